"""The true rate at which a person is hired, and what training makes of it.

    λ = exp(intercept + person + 0.4 × tightness + drive)                                    a month, untrained
    λ after training = λ × (1 + (exp(τ) − 1) × finished × quality of the provider × absorption)
    τ = ``training.effect`` × effect of the type × variety of its sector × variety of the person's group
        × (1 + tightness ÷ 2 in the sector)
    absorption = (1 − exp(−ℓ)) ÷ ℓ,   ℓ = those who will finish a course of the sector begun that year in the place ÷ room

- ``tightness`` is the log of need over people, in the person's place, for the occupation looked for (or the sector trained in);
  0.4 is the usual elasticity of finding a job to vacancies per jobseeker (Petrongolo, Pissarides 2001, "Looking into the
  Black Box", JEL 39-2: 0.3 to 0.5). Where ``training.variety`` is below one, 0.4 is multiplied by it: places differ less.
- ``drive`` is what no file shows: standard normal × ``training.drive``. Where ``training.hidden`` says so, entry depends on it.
- Nobody is hired while in training (but those who leave for a job): lock-in first, gain later. Effects of training are near
  nothing in the short run and about +7 points of employment after one to two years (Card, Kluve, Weber 2018, "What Works?",
  JEEA 16-3); larger for women and the long-term unemployed, smaller for the young: the varieties of groups say so.
- Absorption is the urn and ball: finishers throw themselves at random on openings, and two on one leave one out
  (Petrongolo, Pissarides 2001). More finishers always bring more hires, each fewer. ``training.congestion`` is
  the median of ℓ.
- Room is the recruitments that training opens (``causes``) × a number for the whole world (``purchases.room_per_opening``).
- Who drops out keeps 0.3 of the effect (ours). Quality of providers: log-normal, spread ``training.providers``.

The intercept makes 57 % of those who trained work six months after they left, three quarters of them in lasting jobs.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pandas as pd

from needs.twin.actions import action_table
from needs.twin.places import Numbers
from needs.twin.scales import DAYS_PER_MONTH
from needs.twin.work import Chances, Whole
from needs.twin.world import World

PULL = 0.4
LEVERAGE = 0.5
DROPPED_OUT = 0.3
_MEAN_VARIETY = 1.2  # of the groups below, among the Region's jobseekers
_SECTOR_SPREAD = 0.3
_PAIR_SPREAD = 0.2
# How much more training does for each group (1: as for anyone). Women, the young, the long-term unemployed: the direction is
# that of Card, Kluve, Weber 2018; the other groups, and all sizes, are ours.
GROUP_VARIETY = {"infra4": 1.15, "u26": 0.85, "45plus": 0.9, "F": 1.15, "ge12": 1.25, "th": 0.9}


def person_score(people: pd.DataFrame) -> Numbers:
    """Say how near to work each person is on what files show, in logs of the rate. Mean about 0, spread about 0.4."""
    level = people["level"].fillna(3).astype(float).to_numpy()
    age = people["reference"].dt.year.to_numpy() - people["birth_year"].to_numpy()
    months = people["job_months"].to_numpy()
    score = 0.15 * (level - 3) - 0.010 * np.abs(age - 34) - 0.3 * (age >= 52) + 0.2 * np.minimum(months, 24) / 24
    for flag, weight in {"rsa": -0.3, "th": -0.3, "qpv": -0.12, "detained": -0.6, "licence": 0.25}.items():
        score = score + weight * people[flag].astype(float).to_numpy()
    return np.asarray(score - 0.12 * np.minimum(people["wait_months"].to_numpy(), 36) / 12)


def stay_score(people: pd.DataFrame) -> Numbers:
    """Say how likely the job of each person is to be lasting, in log-odds before the intercept."""
    level = people["level"].fillna(3).astype(float).to_numpy()
    return np.asarray(0.15 * (level - 3) + 0.2 * people["licence"].astype(float).to_numpy())


def groups_of(people: pd.DataFrame) -> pd.DataFrame:
    """Say to which groups each person belongs. One row per person, one column per ``dimension=value``."""
    age = people["reference"].dt.year - people["birth_year"]
    level, waits = people["level"], people["wait_months"]
    known = level.notna()
    marks = {
        "level=infra4": (level < 4) & known,
        "level=4": (level == 4) & known,
        "level=5plus": (level > 4) & known,
        "age=u26": age < 26,
        "age=26_44": (age >= 26) & (age < 45),
        "age=45plus": age >= 45,
        "sex=H": people["sex"] == "H",
        "sex=F": people["sex"] == "F",
        "duration=lt12": waits < 12,
        "duration=ge12": waits >= 12,
        **{f"public={name}": people[name] for name in ("rsa", "qpv", "th", "neet")},
    }
    return pd.DataFrame({name: mark.fillna(False).astype(bool) for name, mark in marks.items()}, index=people.index)


def group_variety(people: pd.DataFrame) -> Numbers:
    """Multiply what the groups of each person say of the effect; 1 on average, nearly."""
    marks = groups_of(people)
    product = np.ones(len(people))
    for column in marks:
        factor = GROUP_VARIETY.get(str(column).split("=")[1], 1.0)
        product = product * np.where(marks[column], factor, 1.0)
    return product / _MEAN_VARIETY


def absorption(load: Numbers) -> Numbers:
    """Say which part of its effect training keeps where so many finishers come for each opening absorbed: urn and ball."""
    some = np.maximum(load, 1e-9)
    return np.asarray(-np.expm1(-some) / some)


class Effects:
    """The true effects of one world: they need no more than its seed, its dials and its tightness."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.types = action_table()

    @cached_property
    def tightness(self) -> pd.DataFrame:
        """The world's tightness. One row per atom, one column per sector or occupation."""
        return self.world.tightness()

    def pull(self, atoms: Whole, codes: pd.Series) -> Numbers:
        """Look up the tightness of each row's atom for its occupation or sector; 0 for one that the world does not hold."""
        column = self.tightness.columns.get_indexer(pd.Index(codes))
        values = self.tightness.to_numpy()[atoms, np.maximum(column, 0)]
        return np.asarray(np.where(column >= 0, values, 0.0))

    def of_type(self, action_types: pd.Series, column: str) -> Numbers:
        """Look up ``effect`` or ``stay`` of types, drawn towards their mean where variety is low."""
        values = self.types[column]
        mean = float((values * self.types["share"]).sum() / self.types["share"].sum())
        varied = (mean + self.world.dials.training.variety * (values - mean)).clip(lower=0.0)
        return np.asarray(varied.reindex(action_types).to_numpy(dtype="float64"))

    def of_sector(self, action_types: pd.Series, sectors: pd.Series) -> Numbers:
        """Multiply by what is proper to a sector, and to a type in it: drawn once for the world, 1 on average."""
        spread = self.world.dials.training.variety * np.hypot(_SECTOR_SPREAD, _PAIR_SPREAD)
        return np.asarray(np.exp(spread * self.fortune(action_types, sectors) - spread**2 / 2))

    def fortune(self, action_types: pd.Series, sectors: pd.Series) -> Numbers:
        """Give what is proper to a sector and to a type in it as a standard normal number, drawn once for the world."""
        pairs = pd.MultiIndex.from_arrays([action_types, sectors])
        listed = pairs.unique()
        drawn = [
            _SECTOR_SPREAD * self.world.rng("sector", sector).normal()
            + _PAIR_SPREAD * self.world.rng("sector", sector, kind).normal()
            for kind, sector in listed
        ]
        of_pair = pd.Series(np.array(drawn) / np.hypot(_SECTOR_SPREAD, _PAIR_SPREAD), index=listed)
        return np.asarray(of_pair.reindex(pairs).to_numpy())

    def quality(self, providers: pd.Series) -> Numbers:
        """Give the quality of each provider: it multiplies the effect; 1 on average."""
        listed = providers.drop_duplicates()
        spread = self.world.dials.training.providers
        drawn = [np.exp(spread * self.world.rng("provider", str(name)).normal() - spread**2 / 2) for name in listed]
        return pd.Series(drawn, index=listed).reindex(providers).to_numpy(dtype="float64")

    def strength(self, courses: pd.DataFrame, people: pd.DataFrame) -> Numbers:
        """Give τ of each row: a course (``action_type, formacode``) followed by a person (``atom`` and traits)."""
        dials = self.world.dials.training
        sectors = courses["formacode"].str[:3]
        qualifies = self.qualifies(courses["action_type"])
        near = np.where(qualifies, self.pull(people["atom"].to_numpy(), sectors), 0.0)
        place = np.maximum(0.1, 1 + LEVERAGE * dials.variety * near)
        group = group_variety(people) ** dials.variety
        own = self.of_sector(courses["action_type"], sectors.where(qualifies, ""))
        return np.asarray(dials.effect * self.of_type(courses["action_type"], "effect") * own * group * place)

    def qualifies(self, action_types: pd.Series) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Say which types lead to an occupation of their own."""
        return self.types["qualifies"].reindex(action_types).to_numpy(dtype=bool)

    def rate(self, people: pd.DataFrame, intercept: float) -> Numbers:
        """Give λ of each person, untrained."""
        drive = self.world.dials.training.drive * people["drive"].to_numpy()
        # where nothing varies, places do not either
        pull = PULL * min(1.0, self.world.dials.training.variety)
        wanted = pull * self.pull(people["atom"].to_numpy(), people["wanted"])
        return np.asarray(np.exp(intercept + person_score(people) + wanted + drive))

    def month_of(self, dates: pd.Series) -> Whole:
        """Give the position of each date's month among the world's months; what lies before is the first month."""
        first = self.world.months[0].ordinal
        month = dates.dt.year.to_numpy() * 12 + dates.dt.month.to_numpy() - 1 - 1970 * 12
        return np.asarray(np.maximum(0, month - first), dtype=np.int64)

    def trained(self, entries: pd.DataFrame, intercepts: tuple[float, float]) -> Chances:
        """Give the chances of people who enter training; ``entries`` holds course, person, ``load`` and how it ended."""
        finished = np.where(entries["exit_reason"] == "abandon", DROPPED_OUT, 1.0)
        kept = finished * self.quality(entries["provider"]) * absorption(entries["load"].to_numpy(dtype="float64"))
        lift = 1 + np.expm1(self.strength(entries, entries)) * kept
        stays = stay_score(entries) + intercepts[1]
        days = (entries["exited"] - entries["entered"]).dt.days.to_numpy(dtype="float64")
        return Chances(
            rate=self.rate(entries, intercepts[0]),
            lift=lift,
            until=np.maximum(1, np.ceil(np.nan_to_num(days) / DAYS_PER_MONTH)).astype(np.int64),
            stays=sigmoid(stays),
            stays_after=sigmoid(stays + self.of_type(entries["action_type"], "stay") * kept),
            hired=(entries["exit_reason"] == "emploi").fillna(False).to_numpy(dtype=bool),
            month=self.month_of(entries["entered"]),
            pulse=self.world.pulse(),
        )


def sigmoid(score: Numbers) -> Numbers:
    """Turn log-odds into probabilities."""
    return np.asarray(1 / (1 + np.exp(-score)))
