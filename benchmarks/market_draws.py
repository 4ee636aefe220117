"""People and courses drawn as published tables have them, at the scale of a Region or of France.

Towns are the communes of the Region, or scattered around the middle of each département of France. Every rule is at work:
levels that bind, publics, dates, permanent entries, distances, what is held and asked before, allowances that end, skills,
needs by territory, gains by type of course. Whoever draws the same part again draws the same people.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features import facts
from features.vocabulary import PUBLICS
from models.market import Knowledge

AS_OF = pd.Timestamp("2025-03-01")
KINDS = ("certification", "professionnalisation", "prequalification", "perfectionnement", "remise_a_niveau", "langue")
SKILLS = 3_000
AIMS_PER_SESSION = 0.075  # certifications and contents, by the sessions that lead to them
TOWNS_PER_DEPARTMENT = 360
_DAY = np.timedelta64(1, "D")


def towns_of_region() -> pd.DataFrame:
    """List the communes of the Region. One row per commune: territory, place and population."""
    return facts.communes()[["commune", "department", "territory", "latitude", "longitude", "population"]]


def towns_of_france(seed: int = 7) -> pd.DataFrame:
    """Scatter towns around the middle of each département; each of them is one territory. One row per town."""
    rng = np.random.default_rng(seed)
    centres = facts.centres()
    centres = centres[centres["latitude"].between(41, 52)].reset_index(drop=True)
    rows = centres.loc[centres.index.repeat(TOWNS_PER_DEPARTMENT)].reset_index(drop=True)
    radius, angle = np.sqrt(rng.random(len(rows)) * rows["area_km2"] / np.pi), rng.uniform(0, 2 * np.pi, len(rows))
    latitude = rows["latitude"] + radius * np.sin(angle) / 111.2
    return pd.DataFrame(
        {
            "commune": [f"C{number:05d}" for number in range(len(rows))],
            "department": rows["department"],
            "territory": rows["department"],
            "latitude": latitude.round(4),
            "longitude": (rows["longitude"] + radius * np.cos(angle) / (111.2 * np.cos(np.radians(latitude)))).round(4),
            "population": rng.lognormal(6.2, 1.4, len(rows)),
        }
    )


def draw_known(towns: pd.DataFrame, sessions: int, seed: int = 1) -> Knowledge:
    """Draw the courses on offer, and what is known beside them."""
    rng = np.random.default_rng([seed, 0])
    occupations = facts.occupations()["occupation"].to_numpy()
    near = facts.moves()
    same = pd.DataFrame({"occupation": occupations, "domain": pd.Series(occupations).str[:3]})
    domain = same.merge(same.rename(columns={"occupation": "target"}), on="domain", validate="many_to_many")
    moves = pd.concat([near[["occupation", "target", "kind"]], domain[["occupation", "target"]].assign(kind="domain")])
    courses = _draw_courses(towns, sessions, rng)
    sectors = courses["sector"].unique()
    territories = towns["territory"].unique()
    needs = pd.DataFrame({"territory": territories}).merge(pd.DataFrame({"sector": sectors}), how="cross")
    asked = [rng.choice(SKILLS, 15, replace=False) for _ in occupations]
    skills = pd.DataFrame({"occupation": np.repeat(occupations, 15), "skill": (100_000 + np.concatenate(asked)).astype(str)})
    return Knowledge(
        courses=courses,
        moves=moves[moves["occupation"] != moves["target"]].drop_duplicates(["occupation", "target"]).reset_index(drop=True),
        skills=skills,
        needs=needs.assign(need=rng.gamma(9.0, 1 / 9, len(needs)).clip(0.2, 2.5)),
        asking=courses.loc[rng.random(sessions) < 0.1, ["session"]].reset_index(drop=True),
    )


def _draw_courses(towns: pd.DataFrame, sessions: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw sessions where people live, more than in proportion in large towns. One row per session."""
    weight = towns["population"].to_numpy() ** 1.3
    town = rng.choice(len(towns), sessions, p=weight / weight.sum())
    aims = int(AIMS_PER_SESSION * sessions)
    aim = rng.integers(0, aims, sessions)
    permanent = rng.random(sessions) < 0.15
    starts = (AS_OF.to_datetime64() + rng.integers(1, 270, sessions) * _DAY).astype("datetime64[us]")
    ends = starts + rng.gamma(2.0, 60.0, sessions).astype("int64") * _DAY + 5 * _DAY
    named = [public for public in PUBLICS if public != "tout_public"]
    return pd.DataFrame(
        {
            "session": [f"S{number:06d}" for number in rng.permutation(sessions)],
            "action_type": rng.choice(KINDS, aims, p=[0.4, 0.25, 0.1, 0.1, 0.08, 0.07])[aim],
            "sector": rng.choice([str(100 + 7 * number) for number in range(90)], aims)[aim],
            "occupations": pd.Series(_led_to(aims, rng), dtype="str").to_numpy()[aim],
            "entry_level": rng.integers(2, 6, sessions),
            "entry_level_binds": rng.random(sessions) < 0.35,
            "publics": np.where(rng.random(sessions) < 0.8, "tout_public", rng.choice(named, sessions)),
            "seats": rng.integers(4, 16, sessions),
            "starts": starts,
            "ends": ends,
            "permanent": permanent,
            "latitude": towns["latitude"].to_numpy()[town],
            "longitude": towns["longitude"].to_numpy()[town],
            "place": rng.choice(["here", "region", "abroad"], sessions, p=[0.96, 0.03, 0.01]),
            "funded": rng.random(sessions) < 0.9,
            "gain": rng.normal(0.13, 0.05, aims)[aim] + rng.normal(0, 0.01, sessions),
            "show": rng.normal(0.75, 0.06, sessions).clip(0.4, 1),
        }
    )


def _led_to(aims: int, rng: np.random.Generator) -> list[str | None]:
    """Draw the occupations that courses lead to: none, or up to four of one domain."""
    occupations = facts.occupations()["occupation"]
    domains = [group.to_numpy() for _, group in occupations.groupby(occupations.str[:3])]
    chosen: list[str | None] = []
    for domain, size in zip(rng.integers(0, len(domains), aims), rng.integers(0, 5, aims), strict=True):
        own = rng.choice(domains[domain], min(size, len(domains[domain])), replace=False)
        chosen.append("|".join(sorted(own)) or None)
    return chosen


def draw_people(towns: pd.DataFrame, known: Knowledge, people: int, seed: int = 1) -> pd.DataFrame:
    """Draw people of some towns, in the order of their codes. One row per person, as the search takes them."""
    rng = np.random.default_rng([seed, 1])
    weight = towns["population"].to_numpy()
    town = np.sort(rng.choice(len(towns), people, p=weight / weight.sum()))
    occupations = facts.occupations()["occupation"].to_numpy()
    frame = pd.DataFrame(
        {
            "person": np.char.mod(f"p{seed:03d}%07d", np.arange(people)),
            "territory": towns["territory"].to_numpy()[town],
            "latitude": towns["latitude"].to_numpy()[town],
            "longitude": towns["longitude"].to_numpy()[town],
            "level": rng.choice([1, 2, 3, 4, 5, 6, np.nan], people, p=[0.05, 0.15, 0.4, 0.2, 0.1, 0.06, 0.04]),
            "wanted": occupations[rng.integers(0, len(occupations), people)],
            "wanted_2": _where(rng, 0.5, occupations[rng.integers(0, len(occupations), people)]),
            "last_occupation": _where(rng, 0.8, occupations[rng.integers(0, len(occupations), people)]),
            "available": (AS_OF.to_datetime64() + rng.integers(-60, 90, people) * _DAY).astype("datetime64[us]"),
            "mobility_km": rng.choice([10, 20, 30, 50, 100, np.nan], people, p=[0.15, 0.25, 0.25, 0.18, 0.07, 0.1]),
            "licence": rng.random(people) < 0.75,
            "allowance_ends": (AS_OF.to_datetime64() + rng.integers(-90, 700, people) * _DAY).astype("datetime64[us]"),
            "skills": _skills(people, rng),
            "priority": rng.choice([0, 1, 2, 3], people, p=[0.3, 0.4, 0.2, 0.1]),
            "closed": _sessions_of(known.courses["session"].to_numpy(), 0.1, 20, people, rng),
            "ready": _sessions_of(known.asking["session"].to_numpy(), 0.3, 20, people, rng),
        }
    )
    publics = {public: rng.random(people) < 0.25 for public in PUBLICS} | {"tout_public": np.ones(people, dtype=bool)}
    moves = {f"move_{kind}": rng.normal(0, 0.02, people) for kind in KINDS[:4]}
    return frame.assign(**publics, **moves)


def _where(rng: np.random.Generator, share: float, codes: NDArray[np.object_]) -> pd.Series[str]:
    return pd.Series(codes, dtype="str").where(rng.random(len(codes)) < share)


def _skills(people: int, rng: np.random.Generator) -> pd.Series[str]:
    """Draw what people can do: none for four in ten, else four skills."""
    bundles = ["|".join(str(100_000 + skill) for skill in rng.choice(SKILLS, 4, replace=False)) for _ in range(5_000)]
    return _where(rng, 0.6, np.array(bundles, dtype=object)[rng.integers(0, len(bundles), people)])


def _sessions_of(
    sessions: NDArray[np.object_], share: float, count: int, people: int, rng: np.random.Generator
) -> NDArray[np.object_]:
    """Draw sessions, joined by ``|``, for a share of people, the same for all who hold the same; none for others."""
    lists = np.array(["", *("|".join(sorted(rng.choice(sessions, count, replace=False))) for _ in range(500))], dtype=object)
    return lists[np.where(rng.random(people) < share, rng.integers(1, 501, people), 0)]
