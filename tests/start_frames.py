"""People at a start, made by hand or drawn from a law: what tests of effects feed on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pandas as pd

from features.contracts import Checked
from features.crosswalks import build_crosswalks
from features.exits import OutcomeParams, Past, link_courses
from features.starts import StartParams, Watched, gather_starts
from features.tables import CONTRACT, OVERRIDES

AS_OF = pd.Timestamp("2026-03-31")
TABLES = ("trainings", "employment", "outcomes", "jobseekers")
Frames = Mapping[str, pd.DataFrame]


def rows_of(table: str, *rows: Mapping[str, object]) -> pd.DataFrame:
    """Rows of a table that say only what matters; all other cells are missing."""
    contract = CONTRACT[table]
    frame = pd.DataFrame({name: [row.get(name) for row in rows] for name in contract.names}, dtype="object")
    return frame.astype({column.name: column.dtype for column in contract.columns})


@cache
def shipped_links() -> pd.DataFrame:
    """Say what courses lead to, as shipped."""
    return link_courses(build_crosswalks(OVERRIDES.empty(), AS_OF, []))


def gathered_from(
    tables: Frames, links: pd.DataFrame, as_of: pd.Timestamp = AS_OF, params: StartParams | None = None
) -> pd.DataFrame:
    """Gather the starts of what was known at ``as_of``."""
    known = {name: CONTRACT[name].known_at(tables[name], as_of) for name in TABLES}
    past = Past(known["trainings"], known["employment"], known["outcomes"], links)
    return gather_starts(Watched(past, known["jobseekers"]), as_of, params or StartParams(), OutcomeParams())


def kept_of(checked: Mapping[str, Checked]) -> dict[str, pd.DataFrame]:
    """The tables of a region that tell of people."""
    return {name: checked[name].kept for name in TABLES}


def shuffled(frame: pd.DataFrame, seed: int = 7) -> pd.DataFrame:
    return frame.sample(frac=1.0, random_state=seed).reset_index(drop=True)


def months_between(first: pd.Series[pd.Timestamp], last: pd.Series[pd.Timestamp]) -> np.ndarray:
    return ((last - first).dt.days / (365.25 / 12)).to_numpy()


@dataclass(frozen=True)
class Law:
    """How people at a start are drawn: how many of each arm, what training does, and what else parts the arms.

    ``effects`` by type and sector of course; ``selected`` is how far entrants are those who files show to be near to work,
    ``hidden`` how far they have more of a trait that no file shows (and those who stayed away less), ``past`` how far they
    worked more two years ago, which is told of nobody.
    """

    entered: int = 500
    listed: int = 1200
    away: int = 200
    effects: Mapping[tuple[str, str], float] = field(
        default_factory=lambda: {("certification", "230"): 0.15, ("langue", "150"): 0.0}
    )
    selected: float = 0.5
    hidden: float = 0.0
    past: float = 0.0
    horizons: tuple[int, ...] = (12,)


def drawn_starts(law: Law, seed: int) -> pd.DataFrame:
    """Draw people at a start of whom all is known but the hidden trait. One row per person."""
    rng = np.random.default_rng(seed)
    arm = np.repeat(["entered", "listed", "away"], [law.entered, law.listed, law.away])
    size, inside, absent = len(arm), arm == "entered", arm == "away"
    near = rng.normal(size=size) + law.selected * (inside | absent)
    drive = rng.normal(size=size) + law.hidden * (1.0 * inside - 1.0 * absent)
    late = rng.normal(size=size) + law.past * inside
    courses = list(law.effects)
    course = rng.integers(0, len(courses), size)
    gain = np.array(list(law.effects.values()))[course] * inside
    chance = np.clip(0.4 + 0.08 * near + 0.08 * drive * (law.hidden > 0) + gain, 0.01, 0.99)
    kinds, sectors = (np.array([each[level] for each in courses], dtype=object)[course] for level in (0, 1))
    own = arm != "listed"
    days = pd.Timestamp("2023-01-02") + pd.to_timedelta(rng.integers(0, 400, size), unit="D")
    frame = pd.DataFrame(
        {
            "session": pd.Series(np.where(own, "S1", None), dtype="str"),
            "lot": pd.Series(np.where(own, "L1", None), dtype="str"),
            "action_type": pd.Series(np.where(own, kinds, None), dtype="str"),
            "formacode": pd.Series(np.where(own, sectors + "26", None), dtype="str"),
            "certifinfo": pd.Series(np.where(own, "77", None), dtype="str"),
            "level_out": pd.Series(np.where(own, "3", None), dtype="str"),
            "person": pd.Series([f"P{number:06d}" for number in rng.permutation(size)], dtype="str"),
            "start": days.astype("datetime64[us]"),
            "territory": rng.choice(["BE4441", "BE4444"], size),
            "department": rng.choice(["D67", "D68"], size),
            "sex": rng.choice(["H", "F"], size),
            "level": pd.array(rng.integers(3, 6, size), dtype="Int64"),
            "wanted": rng.choice(["F1703", "A1101", "K1303"], size),
            "last_occupation": rng.choice(["F1703", "A1101", "K1303"], size),
            "age": rng.integers(18, 60, size).astype("float64"),
            "unemployed_months": np.clip(12 - 6 * near + rng.normal(size=size), 0, 60),
            "worked_m1_12": np.clip(5 + 2 * near, 0, 12),
            "worked_m13_24": rng.uniform(0, 12, size),
            "worked_m25_36": np.clip(6 + 2 * near + 2.5 * late, 0, 12),
            "mobility_km": rng.uniform(0, 80, size),
            **{name: pd.array(rng.random(size) < 0.2, dtype="boolean") for name in ("rsa", "qpv", "th", "neet", "licence")},
            **dict.fromkeys(("detained", "lone_parent"), pd.array(np.zeros(size, dtype=bool), dtype="boolean")),
            "arm": pd.Series(arm, dtype="str"),
            "wanted_trained": rng.random(size) < 0.5,
            "next_entry": np.nan,
            "first_job": np.where(rng.random(size) < 0.6, rng.exponential(8, size), np.nan),
            "weight": 1.0,
            "place_tightness": rng.normal(size=size),
            "wanted_tightness": rng.normal(size=size),
            "place_class": pd.Series(rng.choice(["slack", "middle", "tight"], size), dtype="str"),
        }
    )
    for months in law.horizons:
        luck = rng.random(size)
        told = {
            "work": luck < chance,
            "durable": luck < 0.75 * chance,
            "trained_occupation": luck < 0.5 * chance,
            "own_business": luck < 0.1 * chance,
            "qualification": luck < 0.3 * chance,
        }
        columns = {f"{name}_{months}": flags.astype("float32") for name, flags in told.items()}
        frame = frame.assign(**{f"asked_{months}": True}, **columns)
    return frame
