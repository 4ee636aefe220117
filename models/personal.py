"""What a course may add for one person, told by what may be looked at: an input of the matcher, never published.

Effects are told of groups; a person is given the effect of the type and sector, moved by how people of the same traits fared
beyond it. The model sees neither sex, age, disability nor neighbourhood (``excluded``): these serve the audit alone
(:func:`audit`). How far traits move an effect is learned with a penalty chosen by cross-validation, then lowered to what people
held out bear out (:func:`_trust`): where traits tell nothing that is sure, nobody is moved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_predict

from features.params import Section, param
from models.course_groups import mark_groups
from models.effects import Effects
from models.likeness import Describer

_NEVER = ("wanted_trained", "season", "time")  # of a course, or of a day, not of a person
_PENALTIES = np.logspace(1, 6, 11)
_PARTS = 10
_AT_ONCE = 2**14  # people
Numbers = NDArray[np.float64]
_AUDITED = {"sex": ("sex=",), "age": ("age=",), "neet": ("public=neet",), "th": ("public=th",), "qpv": ("public=qpv",)}


class PersonalParams(Section):
    """What the scores of persons may look at."""

    excluded: tuple[str, ...] = param(("sex", "age", "neet", "th", "qpv"), "traits that scores of persons never look at")
    fewest_entrants: int = param(200, "types of fewer entrants tell everybody the same", unit="people", ge=50, le=100_000)


@dataclass(frozen=True)
class Personal:
    """What traits add to the effect of each type of course. Learned once; ``describe`` knows no excluded trait."""

    describe: Describer | None
    models: Mapping[str, RidgeCV]

    def moves(self, people: pd.DataFrame) -> pd.DataFrame:
        """Say how each person's gain differs from the effect of a type. One row per person, one column per type told."""
        if self.describe is None or people.empty:
            return pd.DataFrame(index=people.index)
        parts = [self._moves_of(people.iloc[start : start + _AT_ONCE]) for start in range(0, len(people), _AT_ONCE)]
        return pd.concat(parts)

    def _moves_of(self, people: pd.DataFrame) -> pd.DataFrame:
        """Say it of some people: what describes them takes more memory than all that is said."""
        assert self.describe is not None
        design = self.describe(people)
        return pd.DataFrame({kind: model.predict(design) for kind, model in self.models.items()}, index=people.index)


def learn_personal(starts: pd.DataFrame, effects: Effects, params: PersonalParams) -> Personal:
    """Learn from what became of entrants beyond what was promised of their course."""
    gains = effects.gains[effects.gains["promised"].notna()]
    seen = gains.merge(starts, on=["person", "start"], how="inner", validate="one_to_one", suffixes=("", "_of"))
    told = seen.groupby("action_type")["gain"].transform("size") >= params.fewest_entrants
    if not told.any():
        return Personal(None, {})
    seen = seen[told].reset_index(drop=True)
    describe = Describer.of(seen, without=(*params.excluded, *_NEVER))
    design, models = describe(seen), {}
    for kind, rows in seen.groupby("action_type").indices.items():
        beyond = (seen["gain"] - seen["promised"]).to_numpy()[rows]
        models[str(kind)] = _trusted(design[rows], beyond - beyond.mean())
    return Personal(describe, models)


def _trusted(design: Numbers, beyond: Numbers) -> RidgeCV:
    """Learn what traits tell, as far as it may be trusted."""
    model, trust = RidgeCV(_PENALTIES).fit(design, beyond), _trust(design, beyond)
    model.coef_, model.intercept_ = trust * model.coef_, trust * model.intercept_
    return model


def _trust(design: Numbers, beyond: Numbers) -> float:
    """Say which part of what is told of people held out came true: the slope, less its standard error; 0 to 1."""
    told = cross_val_predict(RidgeCV(_PENALTIES), design, beyond, cv=KFold(_PARTS))
    square = float(told @ told)
    if square <= 0.0:
        return 0.0
    slope = float(told @ beyond) / square
    error = float(np.std(beyond - slope * told)) / np.sqrt(square)
    return float(min(max(slope - error, 0.0), 1.0))


def audit(moves: pd.DataFrame, people: pd.DataFrame, excluded: Sequence[str], smallest: float) -> pd.DataFrame:
    """Say whom scores move, and how far, by groups they were not told of. One row per type and group: people, moved.

    ``moved`` is how far the mean score of a group lies from that of everybody. Groups of fewer people than ``smallest`` are
    not told.
    """
    named = tuple(start for trait in excluded for start in _AUDITED.get(trait, ()))
    marks = mark_groups(people)
    rows = [
        {
            "action_type": str(kind),
            "group": str(name),
            "people": int(marks[name].sum()),
            "moved": float(moves[kind][marks[name]].mean() - moves[kind].mean()),
        }
        for kind in moves
        for name in marks
        if str(name).startswith(named) and marks[name].sum() >= smallest
    ]
    return pd.DataFrame(rows, columns=["action_type", "group", "people", "moved"])
