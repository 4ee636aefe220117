"""A small place with courses and people, made by hand or drawn: what tests of pathways feed on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from features.vocabulary import PUBLICS
from models.likelihood import LikelihoodParams
from models.market import EntryParams, Knowledge, Market, open_market
from models.pathways import PathwayParams, Stairs, build_stairs

AS_OF = pd.Timestamp("2026-03-31")
LIKES = [("A1101", "A1203", "near"), ("A1101", "A1405", "evolution"), ("A1101", "A1201", "domain")]
MOVES = pd.DataFrame(LIKES, columns=["occupation", "target", "kind"])
TIES = ("given", "asked")


def day(number: int) -> pd.Timestamp:
    """The day so many days after the run."""
    return AS_OF + pd.Timedelta(days=number)


def course(session: str, kind: str, start: int, days: int = 50, **said: object) -> dict[str, object]:
    """A session beside everybody's home, with seats, for all, that begins ``start`` days after the run."""
    usual: dict[str, object] = {
        "session": session, "action_type": kind, "starts": day(start), "ends": day(start + days), "permanent": False,
        "seats": 5, "occupations": "A1101", "sector": "210", "place": "here", "funded": True, "show": 0.8, "gain": 0.1,
        "publics": "tout_public", "entry_level": None, "entry_level_binds": False, "exit_level": None,
        "latitude": 48.6, "longitude": 7.7,
    }  # fmt: skip
    return {**usual, **said}


def market_of(courses: Sequence[Mapping[str, object]], asked: pd.DataFrame | None = None) -> Market:
    """Open a market with these courses."""
    frame = pd.DataFrame(courses).astype({"occupations": "str", "entry_level": "Int64", "exit_level": "Int64"})
    skills = pd.DataFrame({"occupation": ["A1101"], "skill": ["1"]})
    needs = pd.DataFrame({"territory": ["BE4401"], "sector": ["210"], "need": [1.5]})
    asking = ties("asked", {}) if asked is None else asked
    return open_market(Knowledge(frame, MOVES, skills, needs, asking), AS_OF, EntryParams(), LikelihoodParams())


def ties(name: str, of: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """List the codes that sessions give or ask. One row per session, code."""
    rows = [(session, code) for session, codes in of.items() for code in codes]
    return pd.DataFrame(rows, columns=["session", name]).astype("str")


def stairs_of(
    courses: Sequence[Mapping[str, object]],
    given: Mapping[str, Sequence[str]] | None = None,
    asked: Mapping[str, Sequence[str]] | None = None,
    steps: int = 3,
) -> Stairs:
    """Say what may follow what among these courses."""
    asks = ties("asked", asked or {})
    completion = pd.Series({"certification": 0.7})
    return build_stairs(market_of(courses, asks), PathwayParams(steps=steps), completion, ties("given", given or {}), asks)


def people_of(*said: Mapping[str, object]) -> pd.DataFrame:
    """People who live where the courses are, want A1101 and have no level; each says what is different."""
    usual = {
        "person": "p", "territory": "BE4401", "level": 2, "wanted": "A1101", "wanted_2": None, "last_occupation": None,
        "available": None, "mobility_km": 30.0, "licence": True, "allowance_ends": None, "skills": "1", "latitude": 48.6,
        "longitude": 7.7, "priority": 0, "move_certification": 0.01, "closed": "", "ready": "",
    }  # fmt: skip
    public = {name: name == "tout_public" for name in PUBLICS}
    rows = [{**usual, **public, "person": f"p{number}", **own} for number, own in enumerate(said)]
    texts = dict.fromkeys(["person", "territory", "wanted", "wanted_2", "last_occupation", "skills", "closed", "ready"], "str")
    dates = dict.fromkeys(["available", "allowance_ends"], "datetime64[us]")
    return pd.DataFrame(rows).astype({**texts, **dates, "level": "Int64", "licence": "boolean"})


def free(stairs: Stairs) -> pd.Series[float]:
    """Let every seat be free."""
    return pd.Series(0.0, index=stairs.sessions)


def drawn_courses(rng: np.random.Generator, count: int) -> list[dict[str, object]]:
    """Draw courses of all types, dates, levels, places and publics."""
    kinds = (
        "mobilisation",
        "langue",
        "prequalification",
        "certification",
        "certification",
        "professionnalisation",
        "adaptation_poste",
    )
    drawn = []
    for number in range(count):
        kind = str(rng.choice(kinds))
        drawn.append(
            course(
                f"s{number}",
                kind,
                int(rng.integers(1, 200)),
                int(rng.integers(5, 60)),
                permanent=bool(rng.random() < 0.15),
                entry_level=int(rng.integers(2, 5)),
                entry_level_binds=bool(rng.random() < 0.5),
                exit_level=int(rng.integers(3, 6)) if kind == "certification" else None,
                occupations=str(rng.choice(["A1101", "A1203", "A1101|A1405", "B1101"])),
                publics=str(rng.choice(["tout_public", "tout_public", "jeunes"])),
                gain=float(rng.normal(0.05, 0.06)),
                latitude=48.6 + float(rng.choice([0.0, 0.1, 0.5])),
                seats=int(rng.integers(0, 4)),
                funded=bool(rng.random() < 0.8),
            )
        )
        if rng.random() < 0.1:
            drawn[-1]["ends"] = pd.NaT
    return drawn


def drawn_ties(rng: np.random.Generator, count: int) -> dict[str, dict[str, list[str]]]:
    """Draw what sessions give and ask: few codes, so that they meet."""
    codes = ["module:a", "module:b", "certifinfo:1", "certifinfo:2", "block:RNCP1BC01"]
    tied: dict[str, dict[str, list[str]]] = {name: {} for name in TIES}
    for number in range(count):
        if rng.random() < 0.5:
            tied["given"][f"s{number}"] = list(rng.choice(codes, size=int(rng.integers(1, 3)), replace=False))
        if rng.random() < 0.3:
            tied["asked"][f"s{number}"] = list(rng.choice(codes[:2], size=int(rng.integers(1, 3)), replace=False))
    return tied


def drawn_people(rng: np.random.Generator, count: int, sessions: int) -> pd.DataFrame:
    """Draw people of all levels, wishes and dates."""
    return people_of(
        *(
            {
                "level": None if rng.random() < 0.1 else int(rng.integers(1, 5)),
                "wanted": None if rng.random() < 0.1 else str(rng.choice(["A1101", "A1203", "B1101"])),
                "available": None if rng.random() < 0.3 else day(int(rng.integers(-30, 90))),
                "allowance_ends": None if rng.random() < 0.3 else day(int(rng.integers(0, 200))),
                "mobility_km": float(rng.choice([5.0, 30.0, 80.0])),
                "licence": bool(rng.random() < 0.5),
                "jeunes": bool(rng.random() < 0.5),
                "priority": int(rng.integers(0, 3)),
                "closed": "|".join(f"s{at}" for at in range(sessions) if rng.random() < 0.1),
                "ready": "|".join(f"s{at}" for at in range(sessions) if rng.random() < 0.3),
            }
            for _ in range(count)
        )
    )


def drawn_prices(rng: np.random.Generator, stairs: Stairs) -> pd.Series[float]:
    """Draw prices of seats, half of them free."""
    size = len(stairs.sessions)
    return pd.Series(np.where(rng.random(size) < 0.5, 0.0, rng.random(size) * 0.02), index=stairs.sessions)
