"""Small markets drawn at random: people, courses, what is known beside; every rule at work, every gap in the data.

``drawn(seed)`` gives all three; ``people_of`` and ``known_of`` give one. Frames are as the pipeline makes them: unknown where
unknown is allowed, homes with and without a place, courses that begin yesterday or never, lists that are empty.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from features.vocabulary import PUBLICS
from models.likelihood import LikelihoodParams
from models.market import EntryParams, Knowledge, Market, open_market

AS_OF = pd.Timestamp("2025-03-01")
TERRITORIES = ("BE4441", "BE4415", "BE4430", "BE4205")
OCCUPATIONS = ("A1203", "D1106", "D1214", "F1606", "F1701", "H2903", "J1501", "K1304", "M1607", "N1103")
SKILLS = tuple(str(100_000 + number) for number in range(12))
SECTORS = ("150", "230", "312", "434")
KINDS = ("certification", "langue", "professionnalisation")
TOWNS = pd.DataFrame(
    {
        "commune": ["C67482", "C57463", "C54395", "C51454", "C68224", "C88160", "C67300", "C67218"],
        "latitude": [48.5734, 49.1193, 48.6921, 49.2583, 47.7508, 48.1744, 48.5839, 48.5250],
        "longitude": [7.7521, 6.1757, 6.1844, 4.0317, 7.3359, 6.4499, 7.5300, 7.7100],
    }
)


class Drawn(NamedTuple):
    """A market, who comes to it, and what it was made of."""

    people: pd.DataFrame
    known: Knowledge
    market: Market


def drawn(
    seed: int,
    people: int = 30,
    sessions: int = 40,
    entry: EntryParams | None = None,
    likelihood: LikelihoodParams | None = None,
) -> Drawn:
    """Draw a market and the people who come to it."""
    known = known_of(seed, sessions)
    return Drawn(people_of(seed, known.courses, people), known, market_of(known, entry, likelihood))


def market_of(known: Knowledge, entry: EntryParams | None = None, likelihood: LikelihoodParams | None = None) -> Market:
    """Open the market of what is known, on the day of all markets here."""
    return open_market(known, AS_OF, entry or EntryParams(), likelihood or LikelihoodParams())


def known_of(seed: int, sessions: int = 40) -> Knowledge:
    """Draw courses, how occupations are related, the skills they ask, what is needed where, and who asks something first."""
    rng = np.random.default_rng([seed, 1])
    courses = courses_of(seed, sessions)
    pairs = pd.DataFrame([(left, right) for left in OCCUPATIONS for right in OCCUPATIONS if left != right])
    moves = pairs.set_axis(["occupation", "target"], axis=1).assign(
        kind=rng.choice(["near", "evolution", "domain"], len(pairs))
    )
    asks = pd.DataFrame([(code, skill) for code in OCCUPATIONS for skill in SKILLS], columns=["occupation", "skill"])
    needs = pd.DataFrame([(place, sector) for place in TERRITORIES[:3] for sector in (*SECTORS, "999")])
    needs = needs.set_axis(["territory", "sector"], axis=1).assign(need=rng.uniform(0.3, 1.8, len(needs)))
    asking = courses.loc[rng.random(sessions) < 0.2, ["session"]].reset_index(drop=True)
    return Knowledge(
        courses=courses,
        moves=moves[rng.random(len(moves)) < 0.4].reset_index(drop=True),
        skills=asks[rng.random(len(asks)) < 0.3].reset_index(drop=True),
        needs=needs[rng.random(len(needs)) < 0.8].reset_index(drop=True),
        asking=asking,
    )


def courses_of(seed: int, sessions: int = 40) -> pd.DataFrame:
    """Draw courses as they are listed, with what they add and who shows up. One row per session."""
    rng = np.random.default_rng([seed, 2])
    town = rng.integers(0, len(TOWNS), sessions)
    starts = _days(rng, sessions, -20, 250, unknown=0.1)
    length = pd.to_timedelta(rng.integers(0, 400, sessions), unit="D")
    some = rng.integers(0, 4, sessions)
    led = ["|".join(sorted(rng.choice(OCCUPATIONS, size, replace=False))) for size in some]
    sector = rng.choice(SECTORS, sessions)
    return pd.DataFrame(
        {
            "session": [f"S{number:05d}" for number in rng.permutation(sessions)],
            "title": [f"Formation {number}" for number in range(sessions)],
            "action_type": rng.choice(KINDS, sessions),
            "sector": pd.Series(sector, dtype="str"),
            "formacode": pd.Series(sector, dtype="str") + "54",
            "occupations": pd.Series([codes or None for codes in led], dtype="str"),
            "certifinfo": pd.Series(rng.choice(["84409", "93559", "106615"], sessions), dtype="str"),
            "entry_level": pd.Series(rng.integers(1, 7, sessions), dtype="Int64").mask(rng.random(sessions) < 0.2),
            "entry_level_binds": pd.Series(rng.random(sessions) < 0.5, dtype="boolean").mask(rng.random(sessions) < 0.1),
            "publics": pd.Series(rng.choice([None, "tout_public", "jeunes", "dld|rsa", "th", "autre"], sessions), dtype="str"),
            "seats": pd.Series(rng.integers(0, 5, sessions), dtype="Int64").mask(rng.random(sessions) < 0.05),
            "starts": starts,
            "ends": (starts + length).mask(rng.random(sessions) < 0.1),
            "permanent": pd.Series(rng.random(sessions) < 0.25, dtype="boolean").mask(rng.random(sessions) < 0.05),
            "commune": TOWNS["commune"].to_numpy()[town],
            "latitude": TOWNS["latitude"].to_numpy()[town],
            "longitude": TOWNS["longitude"].to_numpy()[town],
            "provider": pd.Series([f"P{number:02d}" for number in rng.integers(0, 8, sessions)], dtype="str"),
            "place": pd.Series(rng.choice(["here", "region", "abroad"], sessions, p=[0.8, 0.1, 0.1]), dtype="str"),
            "funded": rng.random(sessions) < 0.85,
            "gain": rng.normal(0.12, 0.08, sessions),
            "show": rng.uniform(0.4, 1.0, sessions),
        }
    )


def people_of(seed: int, courses: pd.DataFrame, people: int = 30) -> pd.DataFrame:
    """Draw people as the search takes them, in the order of their codes. One row per person."""
    rng = np.random.default_rng([seed, 3])
    town = rng.integers(0, len(TOWNS), people)
    unknown = rng.random(people) < 0.05
    publics = {name: rng.random(people) < 0.4 for name in PUBLICS} | {"tout_public": np.ones(people, dtype=bool)}
    return pd.DataFrame(
        {
            "person": [f"p{number:05d}" for number in range(people)],
            "territory": _perhaps(rng, rng.choice(TERRITORIES, people), 0.1),
            "department": pd.Series("D" + TOWNS["commune"].str[1:3].to_numpy()[town], dtype="str"),
            "commune": pd.Series(TOWNS["commune"].to_numpy()[town], dtype="str").mask(unknown),
            "level": pd.Series(rng.integers(1, 8, people), dtype="Int64").mask(rng.random(people) < 0.15),
            "wanted": _perhaps(rng, rng.choice([*OCCUPATIONS, "Z9999"], people), 0.1),
            "wanted_2": _perhaps(rng, rng.choice(OCCUPATIONS, people), 0.5),
            "last_occupation": _perhaps(rng, rng.choice(OCCUPATIONS, people), 0.3),
            "available": _days(rng, people, -100, 200, unknown=0.2),
            "mobility_km": pd.Series(rng.choice([0.0, 15.0, 80.0, 150.0, 300.0], people)).mask(rng.random(people) < 0.2),
            "opposition": np.zeros(people, dtype=bool),
            "licence": pd.Series(rng.random(people) < 0.7, dtype="boolean").mask(rng.random(people) < 0.1),
            "allowance_ends": _days(rng, people, -50, 500, unknown=0.3),
            "skills": _perhaps(rng, _joined(rng, (*SKILLS, "unheard"), people), 0.2),
            "latitude": pd.Series(TOWNS["latitude"].to_numpy()[town]).mask(unknown),
            "longitude": pd.Series(TOWNS["longitude"].to_numpy()[town]).mask(unknown),
            "priority": rng.integers(0, 4, people),
            **publics,
            **{f"move_{kind}": rng.normal(0.0, 0.03, people) for kind in KINDS},
            "closed": _some(rng, courses["session"], people),
            "ready": _some(rng, courses["session"], people),
        }
    )


def _days(rng: np.random.Generator, count: int, first: int, last: int, unknown: float) -> pd.Series[pd.Timestamp]:
    days = pd.Series(AS_OF + pd.to_timedelta(rng.integers(first, last, count), unit="D"))
    return days.mask(rng.random(count) < unknown).astype("datetime64[us]")


def _perhaps(rng: np.random.Generator, values: object, unknown: float) -> pd.Series[str]:
    column = pd.Series(values, dtype="str")
    return column.mask(rng.random(len(column)) < unknown)


def _joined(rng: np.random.Generator, codes: tuple[str, ...], count: int) -> list[str]:
    return ["|".join(sorted(rng.choice(codes, rng.integers(0, 6), replace=False))) for _ in range(count)]


def _some(rng: np.random.Generator, sessions: pd.Series[str], count: int) -> list[str]:
    few = min(len(sessions), 6)
    return ["|".join(sorted(rng.choice(sessions, rng.integers(0, few + 1), replace=False))) for _ in range(count)]
