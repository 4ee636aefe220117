"""People who look for work: made-up persons with the proportions of the Region's jobseekers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from needs.twin.offers import places_in, skills_of
from needs.twin.scales import DAYS_PER_MONTH, REGION_BELOW_LEVEL_4, REGION_JOBSEEKERS, REGION_NEET
from needs.twin.world import World

BELOW_4 = REGION_BELOW_LEVEL_4 / REGION_JOBSEEKERS
NEET = REGION_NEET / REGION_JOBSEEKERS
_YOUNG_NOT_NEET = 0.025
_LEVEL_UNKNOWN = 0.04


@dataclass(frozen=True)
class Draw:
    """What is settled about people before the rest is drawn: where they live, and two marks that proportions bear on."""

    atoms: NDArray[np.int64]
    below_4: NDArray[np.bool_]
    neet: NDArray[np.bool_]
    reference: NDArray[np.datetime64]

    @property
    def size(self) -> int:
        """How many people."""
        return len(self.atoms)


def homes(world: World, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Choose the atom where each person lives, by population."""
    share = world.atoms["population"].to_numpy() / world.atoms["population"].sum()
    return np.asarray(rng.choice(len(share), size, p=share))


def quota(size: int, wanted: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Mark exactly the wanted number of people (as far as there are so many), at random."""
    return np.asarray(rng.permutation(size) < round(wanted))


def draw_people(world: World, draw: Draw, rng: np.random.Generator) -> pd.DataFrame:
    """Draw people as they are at their reference date. One row per person.

    ``wait_months`` since they registered, ``job_months`` in their last job (0: none yet), ``gap_days`` between both.
    """
    size = draw.size
    young = draw.neet | (rng.random(size) < _YOUNG_NOT_NEET)
    year = pd.DatetimeIndex(draw.reference).year.to_numpy()
    age = np.where(young, rng.integers(17, 25, size), np.clip(rng.normal(42, 11, size), 26, 63).astype(int))
    no_job = rng.random(size) < np.where(young, 0.4, 0.03)
    people = pd.DataFrame(
        {
            "atom": draw.atoms,
            "home": places_in(world, draw.atoms, rng),
            "sex": rng.choice(["H", "F"], size, p=[0.52, 0.48]),
            "birth_year": year - age,
            "level": _levels(draw.below_4, rng),
            "rsa": (rng.random(size) < 0.19) & ~young,
            "qpv": rng.random(size) < 0.14,
            "th": rng.random(size) < 0.09,
            "detained": rng.random(size) < 0.003,
            "neet": draw.neet,
            "lone_parent": rng.random(size) < 0.09,
            "mobility_km": rng.choice([10.0, 20.0, 30.0, 50.0, 100.0], size, p=[0.15, 0.3, 0.3, 0.18, 0.07]),
            "licence": rng.random(size) < np.where(young, 0.5, 0.8),
            "opposition": rng.random(size) < 0.01,
            "wait_months": np.minimum(rng.exponential(np.where(young, 8.0, 20.0), size), 120),
            "job_months": np.where(no_job, 0.0, np.clip(rng.lognormal(np.log(13), 1.1, size), 0.5, 300)),
            "gap_days": rng.integers(0, 60, size),
        }
    )
    return _add_occupations(people, world, rng).assign(reference=draw.reference.astype("datetime64[s]"))


def _levels(below_4: NDArray[np.bool_], rng: np.random.Generator) -> pd.Series:
    """Draw European levels; some of those not known to be below 4 are unknown."""
    size = len(below_4)
    low = rng.choice([1, 2, 3], size, p=[0.12, 0.26, 0.62])
    high = rng.choice([4, 5, 6, 7], size, p=[0.5, 0.24, 0.15, 0.11])
    level = pd.Series(np.where(below_4, low, high)).astype("Int64")
    return level.mask(~below_4 & (rng.random(size) < _LEVEL_UNKNOWN))


def _add_occupations(people: pd.DataFrame, world: World, rng: np.random.Generator) -> pd.DataFrame:
    """Add what each person looks for, did last and can do. Same rows."""
    size = len(people)
    codes = world.occupations["occupation"].to_numpy()
    cumulated = world.supply.cumsum(axis=1)[people["atom"].to_numpy()]
    draws = [np.minimum((cumulated < rng.random(size)[:, None]).sum(axis=1), len(codes) - 1) for _ in range(3)]
    last = np.where(rng.random(size) < 0.45, draws[0], draws[2])
    wanted = pd.Series(codes[draws[0]])
    second = pd.Series(codes[draws[1]]).mask(rng.random(size) < 0.5).mask(draws[0] == draws[1])
    skills = np.array([skills_of(code) for code in codes], dtype=object)
    picked = [skills[last, k] for k in range(3)] + [skills[draws[0], k + 2] for k in range(2)]
    known = np.array(["|".join(sorted(set(row))) for row in zip(*picked, strict=True)], dtype=object)
    return people.assign(
        wanted=wanted,
        wanted_2=second,
        last_occupation=pd.Series(codes[last]).mask(people["job_months"] == 0),
        skills=pd.Series(known).mask(rng.random(size) < 0.15),
    )


def seek_trained(people: pd.DataFrame, occupations: pd.Series[str], rng: np.random.Generator) -> pd.DataFrame:
    """Let two thirds of trainees look for an occupation their course leads to. Same rows."""
    options = occupations.str.split("|")
    pick = rng.integers(0, 5, len(people))
    target = pd.Series([names[k % len(names)] for names, k in zip(options, pick, strict=True)], index=people.index)
    follow = (rng.random(len(people)) < 0.65) & (target != "")
    return people.assign(wanted=people["wanted"].where(~follow, target))


def registered(people: pd.DataFrame) -> pd.Series[pd.Timestamp]:
    """Give the day each person registered as a jobseeker."""
    return people["reference"] - pd.to_timedelta((people["wait_months"] * DAYS_PER_MONTH).round(), unit="D")
