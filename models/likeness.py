"""Who is compared with whom, as numbers: what makes people alike at a start, what is asked of them later, what answers count.

Starts are those of :mod:`features.starts`: those who ``entered`` a course, those who were to and stayed ``away``, and those who
were ``listed`` as looking for work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, SplineTransformer, StandardScaler

from features.vocabulary import CREATING, PREPARING
from models.doubly_robust import Flags, Numbers, Sample, Whole, learn_odds

ENTERED, AWAY, LISTED = "entered", "away", "listed"
EVERYWHERE = ("work", "durable")
_OWN = {**dict.fromkeys(PREPARING, "qualification"), CREATING: "own_business"}
NUMBERS = (
    *("age", "unemployed_months", "worked_m1_12", "worked_m13_24", "mobility_km"),
    *("place_tightness", "wanted_tightness", "time"),
)
FLAGS = ("rsa", "qpv", "th", "detained", "neet", "lone_parent", "licence", "wanted_trained", "wants_last")
CLASSES = ("sex", "level", "department", "season", "domain")
_KNOTS, _RAREST = 5, 0.01
_LEAST_CHANCE = 0.05
_AT_ONCE = 2**14  # people described


@dataclass(frozen=True)
class Describer:
    """Turns people at a start into numbers of one scale. Learned once, so that everybody is described alike."""

    columns: tuple[str, ...]
    learned: ColumnTransformer
    scale: StandardScaler

    @classmethod
    def of(cls, people: pd.DataFrame, without: Sequence[str] = ()) -> Describer:
        """Learn how people differ, ``without`` some of their traits."""
        told = _traits(people)
        columns = tuple(name for name in (*NUMBERS, *FLAGS, *CLASSES) if name not in without and told[name].notna().any())
        bends = make_pipeline(SimpleImputer(strategy="median"), SplineTransformer(_KNOTS, degree=2, knots="quantile"))
        classes = OneHotEncoder(min_frequency=_RAREST, handle_unknown="infrequent_if_exist", sparse_output=False)
        parts = [
            ("bent", bends, [name for name in NUMBERS if name in columns]),
            ("unknown", MissingIndicator(features="all"), [name for name in NUMBERS if name in columns]),
            ("flags", "passthrough", [name for name in FLAGS if name in columns]),
            ("classes", classes, [name for name in CLASSES if name in columns]),
        ]
        learned = ColumnTransformer(parts)
        scale = StandardScaler().fit(learned.fit_transform(told[list(columns)]))
        return cls(columns, learned, scale)

    def __call__(self, people: pd.DataFrame) -> Numbers:
        """Describe people, some at a time: on the way it takes several times the memory of what is said.

        One row per person, one column per trait and bend of it.
        """
        design = np.empty((len(people), self.scale.n_features_in_))
        for start in range(0, len(people), _AT_ONCE):
            told = self.learned.transform(_traits(people.iloc[start : start + _AT_ONCE])[list(self.columns)])
            design[start : start + _AT_ONCE] = self.scale.transform(told)
        return design


def _traits(people: pd.DataFrame) -> pd.DataFrame:
    """Write what may make people alike as numbers, flags and classes. Same rows."""
    missing = pd.Series(np.nan, index=people.index)
    numbers = {name: people.get(name, missing).astype("float64") for name in NUMBERS if name != "time"}
    flags = {name: people[name].astype("boolean").astype("float64").fillna(0.0) for name in FLAGS if name in people}
    same = (people["wanted"] == people["last_occupation"]).fillna(value=False).astype("float64")
    return pd.DataFrame(
        {
            **numbers,
            "time": people["start"].dt.year * 12.0 + people["start"].dt.month,
            **flags,
            "wants_last": same,
            "sex": people["sex"].astype("str").fillna(""),
            "level": people["level"].astype("str").fillna(""),
            "department": people["department"].astype("str").fillna(""),
            "season": people["start"].dt.month.astype("str"),
            "domain": people["wanted"].str[:3].astype("str").fillna(""),
        },
        index=people.index,
    )


# What is asked ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """What is asked of each start: outcomes and months, one column of a sample each."""

    columns: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, starts: pd.DataFrame) -> Asked:
        """List what was looked at."""
        months = sorted(int(str(name).removeprefix("asked_")) for name in starts if str(name).startswith("asked_"))
        return cls(tuple(product((*EVERYWHERE, "trained_occupation", *dict.fromkeys(_OWN.values())), months)))

    @property
    def names(self) -> list[str]:
        """The columns of starts that hold what is asked."""
        return [f"{outcome}_{months}" for outcome, months in self.columns]

    def of_type(self, action_type: str) -> Flags:
        """Say which columns are asked of a type of course: of those without an occupation of their own, what they lead to."""
        own = (*EVERYWHERE, _OWN.get(action_type, "trained_occupation"))
        return np.array([outcome in own for outcome, _ in self.columns], dtype=bool)

    def only(self, outcomes: Sequence[str]) -> Asked:
        """Keep some outcomes."""
        return Asked(tuple(column for column in self.columns if column[0] in outcomes))


def same_times(starts: pd.DataFrame, others: str) -> pd.DataFrame:
    """Keep the starts between the first and the last day on which both who entered and the ``others`` have some. Same rows."""
    days = starts[starts["arm"].isin([ENTERED, others])].groupby("arm")["start"].agg(["min", "max"])
    inside = starts["start"].between(days["min"].max(), days["max"].min())
    return starts[inside].reset_index(drop=True)


def sample_of(starts: pd.DataFrame, design: Numbers, asked: Asked, treated: str = ENTERED) -> Sample:
    """Write the starts of two arms as a sample. One row per start.

    Those of one arm, and of one type of course among who entered, share the chance a month to enter another course.
    """
    kinds = starts["arm"] + "|" + starts["action_type"].fillna("").where(starts["arm"] == ENTERED, "")
    group = pd.factorize(kinds)[0].astype(np.int64)
    counted = {months: count_outcomes(starts, design, months, group) for _, months in asked.columns}
    # What is asked of the next course is not hidden by it.
    plain = {months: starts[f"asked_{months}"].to_numpy(dtype="float64") for months in counted}
    weight = [(plain if outcome == "qualification" else counted)[months] for outcome, months in asked.columns]
    outcomes = starts[asked.names].to_numpy(dtype="float64")
    return Sample(design, (starts["arm"] == treated).to_numpy(), number_people(starts), outcomes, np.stack(weight, axis=1))


def number_people(starts: pd.DataFrame) -> Whole:
    """Give each person a number that depends on nobody else. One number per row."""
    return np.asarray(pd.util.hash_array(starts["person"].to_numpy(dtype=object)).astype(np.int64))


# What an outcome counts -------------------------------------------------------------------------------------------------


def count_outcomes(people: pd.DataFrame, design: Numbers, months: int, group: Whole) -> Numbers:
    """Say what the outcome so many months after each start counts; nothing where it may not be looked at. Same rows.

    Two things hide what would have become of someone. Who entered another course before finding work tells no more what this
    one did: those alike who entered none stand for them, and count 1 ÷ (chance to enter none by then), with one chance a month
    for each ``group``. And who did not answer a survey is stood for by those alike who did.
    """
    asked = people[f"asked_{months}"].to_numpy(dtype=bool)
    again = (people["next_entry"].fillna(np.inf).to_numpy() <= months) & ~_worked_first(people)
    stayed = asked & ~again
    idle = people[["first_job", "next_entry"]].min(axis=1).fillna(np.inf).clip(lower=0.0, upper=float(months)).to_numpy()
    groups = int(group.max(initial=-1)) + 1
    events, exposed = (np.bincount(group[asked], of[asked], groups).astype("float64") for of in (again, idle))
    pace = np.divide(events, exposed, out=np.zeros_like(events), where=exposed > 0)
    answered = _answer_weights(people, design, months, asked)
    weight = people["weight"].to_numpy(dtype="float64") * answered * np.exp(pace[group] * idle)
    return np.where(stayed, weight, 0.0)


def _worked_first(people: pd.DataFrame) -> Flags:
    """Say who found work before the next course. Same rows."""
    return (people["first_job"].fillna(np.inf) < people["next_entry"].fillna(np.inf)).to_numpy()


def _answer_weights(people: pd.DataFrame, design: Numbers, months: int, asked: Flags) -> Numbers:
    """Let those who answered stand for those alike who were asked too. One where everybody answered. Same rows."""
    answered = people[f"work_{months}"].notna().to_numpy()
    if answered[asked].all() or not answered[asked].any():
        return np.ones(len(people))
    trained = (people["arm"] == "entered").to_numpy(dtype="float64")[:, None]
    described = np.hstack([design, trained])
    odds = learn_odds(described[asked], answered[asked], 10.0)(described)
    return 1.0 / np.maximum(odds / (1 + odds), _LEAST_CHANCE)
