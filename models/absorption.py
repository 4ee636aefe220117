"""How many of those who finish find a recruitment that training leaves open: the chance that it is not yet filled.

The room is the part of a gap that training can answer; what pay or conditions keep open is none of it. It is known with an
interval. The next one to finish, after so many others, finds a place where the room is larger than
their number: a chance that falls with each of them, so that each further place is worth less. What an effect was measured
with is not counted twice: where the room is surely not filled, all of the effect remains.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

Numbers = NDArray[np.float64]
EIGHTIETH = 2.5631
"""Standard deviations between the ends of an interval of 80 %."""
_SURE = 1e-6


def spread_of(rows: pd.DataFrame) -> Numbers:
    """Give the standard deviation that the bounds of a room stand for. One number per row of room_low, room_high."""
    wide = (rows["room_high"] - rows["room_low"]).astype("float64").fillna(0.0).to_numpy()
    return np.asarray(np.maximum(wide, 0.0) / EIGHTIETH)


def absorption(room: Numbers, spread: Numbers, finishers: Numbers | float = 0.0) -> Numbers:
    """Give the chance that a recruitment is still open once so many more have finished.

    >>> absorption(np.array([30.0, 30.0]), np.array([10.0, 0.0]), 30.0).tolist()
    [0.5, 0.5]
    """
    return np.asarray(norm.sf((np.asarray(finishers) - room) / _held(room, spread)))


def absorbed(room: Numbers, spread: Numbers, finishers: Numbers) -> Numbers:
    """Count those of the first so many to finish who find a recruitment open, as expected: absorption, added up.

    >>> absorbed(np.array([30.0, 30.0]), np.array([0.0, 0.0]), np.array([20.0, 50.0])).round(3).tolist()
    [20.0, 30.0]
    """
    wide = _held(room, spread)

    def passed(count: Numbers | float) -> Numbers:
        z = (count - room) / wide
        return np.asarray(wide * (z * norm.sf(z) - norm.pdf(z)))

    return np.asarray(np.maximum(passed(finishers) - passed(0.0), 0.0))


def _held(room: Numbers, spread: Numbers) -> Numbers:
    """Keep a spread from being nothing, which has no chances to give."""
    return np.asarray(np.maximum(spread, _SURE * (1.0 + np.abs(room))))
