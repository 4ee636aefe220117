"""How large a simulated region is, and the proportions of the real one that every scale keeps."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import numpy as np

from features.vocabulary import InputError

# Grand Est, end of 2016, as its PACTE régional counts them.
REGION_JOBSEEKERS = 469_375
REGION_BELOW_LEVEL_4 = 281_952
REGION_NEET = 82_198
REGION_ENTRIES = 96_295
PLACE_EUR = 3_000.0
# Of those who trained (France, 2014): in work six months later, and durably so among them.
WORK_6M = 0.57
DURABLE_AMONG_WORK = 0.75

FILL = 0.85
SEASONAL_SHARE = 1 / 3
FUTURE_MONTHS = 27
SURVEYS = 3
DAYS_PER_MONTH = 30.44


@dataclass(frozen=True)
class Scale:
    """One size: which bassins (none: the whole Region), how many of everything, how far back.

    ``observations`` counts the yearly dates at which jobseekers are listed; ``extract`` says that offers come as Parquet
    extracts beside one month of JSONL; ``whole_country`` that places are taken
    from all of metropolitan France, and their communes delivered.
    """

    bassins: tuple[str, ...]
    occupations: int
    jobseekers: int
    offer_months: int
    offers_per_month: int
    past_exercises: int
    open_sessions: int
    observations: int
    extract: bool = False
    whole_country: bool = False

    @property
    def entries_a_year(self) -> float:
        """Training entries in a year, all funders, in proportion to the jobseekers."""
        return REGION_ENTRIES * self.jobseekers / REGION_JOBSEEKERS


TINY = Scale(
    bassins=("BE4441", "BE4444", "BE4446"),
    occupations=25,
    jobseekers=1_200,
    offer_months=36,
    offers_per_month=125,
    past_exercises=2,
    open_sessions=60,
    observations=3,
)
SCALES = {
    "tiny": TINY,
    "occitanie": replace(TINY, bassins=("BE7617", "BE7618", "BE7626"), whole_country=True),  # Toulouse, Muret and Montauban
    "demo": Scale(
        bassins=(),
        occupations=150,
        jobseekers=23_469,
        offer_months=72,
        offers_per_month=1_700,
        past_exercises=4,
        open_sessions=800,
        observations=4,
    ),
    "region": Scale(
        bassins=(),
        occupations=532,
        jobseekers=REGION_JOBSEEKERS,
        offer_months=72,
        offers_per_month=69_444,
        past_exercises=4,
        open_sessions=20_000,
        observations=4,
        extract=True,
    ),
    "france": Scale(
        bassins=(),
        occupations=532,
        jobseekers=6_000_000,
        offer_months=24,
        offers_per_month=888_000,
        past_exercises=1,
        open_sessions=200_000,
        observations=2,
        extract=True,
        whole_country=True,
    ),
}


def scale_of(name: str) -> Scale:
    """Find a scale by its name.

    >>> scale_of("tiny").occupations
    25
    """
    if name not in SCALES:
        raise InputError(f"scale: '{name[:40]}' is not a size of simulated region. Write one of {', '.join(SCALES)}.")
    return SCALES[name]


def stream(seed: int, *names: str) -> np.random.Generator:
    """Derive the random numbers of one part of the world from the seed and the part's name, whatever else is drawn."""
    return np.random.default_rng([seed, *(zlib.crc32(name.encode()) for name in names)])


def in_parts(total: int, weights: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[int]:
    """Share a whole number by weights: each part is rounded, and the parts add up to it.

    >>> in_parts(10, np.array([1.0, 1.0, 2.0]))
    [3, 2, 5]
    """
    ends = np.floor(np.cumsum(weights) / weights.sum() * total + 0.5).astype(int)
    return [int(part) for part in np.diff(ends, prepend=0)]
