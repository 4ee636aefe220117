"""People who look for work: made-up persons with the proportions of the Region's jobseekers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from needs.twin.places import places_in
from needs.twin.scales import DAYS_PER_MONTH, REGION_BELOW_LEVEL_4, REGION_JOBSEEKERS, REGION_NEET
from needs.twin.skills import skills_of
from needs.twin.world import World

BELOW_4 = REGION_BELOW_LEVEL_4 / REGION_JOBSEEKERS
NEET = REGION_NEET / REGION_JOBSEEKERS
_YOUNG_NOT_NEET = 0.025
_LEVEL_UNKNOWN = 0.04
_DIGITS = 18  # so many that two people hardly ever share a number
# What is drawn of a person once and for all.
PERSON = [
    *("pid", "reference", "sex", "birth_year", "level", "rsa", "qpv", "th", "detained", "neet", "lone_parent", "mobility_km"),
    *("licence", "opposition", "wait_months", "job_months", "gap_days", "drive", "atom", "home", "wanted", "wanted_2"),
    *("last_occupation", "skills", "registered", "known_from", "seen", "busy_until"),
]


@dataclass(frozen=True)
class Draw:
    """What is settled about people before the rest is drawn: two marks that proportions bear on, and when they are seen."""

    below_4: NDArray[np.bool_]
    neet: NDArray[np.bool_]
    reference: NDArray[np.datetime64]

    @property
    def size(self) -> int:
        """How many people."""
        return len(self.below_4)


def homes(world: World, atoms: NDArray[np.int64], size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Choose the atom where each person lives, among some, by population."""
    share = world.atoms["population"].to_numpy()[atoms]
    return np.asarray(rng.choice(atoms, size, p=share / share.sum()))


def quota(size: int, wanted: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Mark exactly the wanted number of people (as far as there are so many), at random."""
    return np.asarray(rng.permutation(size) < round(wanted))


def draw_traits(draw: Draw, rng: np.random.Generator) -> pd.DataFrame:
    """Draw people as they are at their reference date, wherever they live. One row per person.

    ``wait_months`` since they registered, ``job_months`` in their last job (0: none yet), ``gap_days`` between both;
    ``drive`` is what no file shows.
    """
    size = draw.size
    young = draw.neet | (rng.random(size) < _YOUNG_NOT_NEET)
    year = draw.reference.astype("datetime64[Y]").astype(int) + 1970
    age = np.where(young, rng.integers(17, 25, size), np.clip(rng.normal(42, 11, size), 26, 63).astype(int))
    no_job = rng.random(size) < np.where(young, 0.4, 0.03)
    return pd.DataFrame(
        {
            "reference": draw.reference.astype("datetime64[s]"),
            "sex": np.where(rng.random(size) < 0.52, "H", "F"),
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
            "drive": rng.normal(0, 1, size),
        }
    )


def _levels(below_4: NDArray[np.bool_], rng: np.random.Generator) -> pd.Series:
    """Draw European levels; some of those not known to be below 4 are unknown."""
    size = len(below_4)
    low = rng.choice([1, 2, 3], size, p=[0.12, 0.26, 0.62])
    high = rng.choice([4, 5, 6, 7], size, p=[0.5, 0.24, 0.15, 0.11])
    level = pd.Series(np.where(below_4, low, high)).astype("Int64")
    return level.mask(~below_4 & (rng.random(size) < _LEVEL_UNKNOWN))


def settle(world: World, traits: pd.DataFrame, atoms: NDArray[np.int64], rng: np.random.Generator) -> pd.DataFrame:
    """Give people a home in their atom, and what they look for, did last and can do. Same rows."""
    size = len(traits)
    codes = world.occupations["occupation"].to_numpy(dtype=object)
    draws = [_sought(world, atoms, rng) for _ in range(3)]
    last = np.where(rng.random(size) < 0.45, draws[0], draws[2])
    second = pd.Series(codes[draws[1]]).mask(rng.random(size) < 0.5).mask(draws[0] == draws[1])
    return traits.reset_index(drop=True).assign(
        atom=atoms,
        home=places_in(world.communes, atoms, rng),
        wanted=pd.Series(codes[draws[0]]),
        wanted_2=second,
        last_occupation=pd.Series(codes[last]).mask((traits["job_months"] == 0).to_numpy()),
        skills=_held(codes, last, draws[0]).mask(rng.random(size) < 0.15),
    )


def _sought(world: World, atoms: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw an occupation for each person from what people of their atom look for. Gives positions in the occupations."""
    size = world.supply.shape[1]
    listed, where = np.unique(atoms, return_inverse=True)
    ends = (world.supply[listed].cumsum(axis=1) + np.arange(len(listed))[:, None]).ravel()
    found = np.searchsorted(ends, where + rng.random(len(atoms)), side="right")
    return np.asarray(np.clip(found - where * size, 0, size - 1), dtype=np.int64)


def _held(codes: NDArray[np.object_], last: NDArray[np.int64], wanted: NDArray[np.int64]) -> pd.Series:
    """Name the skills of people: three of what they did last, two of what they look for, joined by ``|``."""
    named = [skills_of(code) for code in codes]
    pairs, where = np.unique(last * len(codes) + wanted, return_inverse=True)
    both = zip(*np.divmod(pairs, len(codes)), strict=True)
    texts = ["|".join(sorted({*named[did][:3], *named[seeks][2:4]})) for did, seeks in both]
    return pd.Series(np.array(texts, dtype=object)[where])


def seek_trained(people: pd.DataFrame, occupations: pd.Series[str], rng: np.random.Generator) -> pd.DataFrame:
    """Let two thirds of trainees look for an occupation their course leads to. Same rows."""
    target = one_of(occupations, rng)
    follow = (rng.random(len(people)) < 0.65) & (target != "")
    return people.assign(wanted=people["wanted"].where(~follow, target))


def one_of(joined: pd.Series[str], rng: np.random.Generator) -> pd.Series[str]:
    """Pick one of the codes joined by ``|`` in each row; empty where there is none."""
    if joined.empty:
        return joined
    pick = rng.integers(0, 5, len(joined))
    listed, where = np.unique(joined.to_numpy(dtype=object).astype(str), return_inverse=True)
    table = np.array(
        [[names[k % len(names)] for k in range(5)] for names in (text.split("|") for text in listed)], dtype=object
    )
    return pd.Series(table[where, pick], index=joined.index)


def registered(people: pd.DataFrame) -> pd.Series[pd.Timestamp]:
    """Give the day each person registered as a jobseeker."""
    return people["reference"] - pd.to_timedelta((people["wait_months"] * DAYS_PER_MONTH).round(), unit="D")


def person_ids(pids: pd.Series[int]) -> pd.Series[str]:
    """Name people by made-up identifiers that say nothing of the order they were drawn in.

    >>> person_ids(pd.Series([1, 2])).tolist()
    ['P238072747940578789', 'P839785061582574730']
    """
    mixed = pd.util.hash_array(pids.to_numpy(dtype="uint64"), categorize=False) % 10**_DIGITS
    return "P" + pd.Series(mixed, index=pids.index).astype("str").str.zfill(_DIGITS)
