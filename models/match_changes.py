"""What would change what a person is proposed: one thing less in the way, and what it would bring.

Only what can be changed or may not have been told is tried: how far somebody goes, by when, one level more, what a course asks
before, a public that nobody said the person belongs to. A border, a seat or an age is nobody's to change; where nothing else is
left, the nearest miss says so.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.vocabulary import PUBLICS
from models.market import BITS, Market
from models.sight import BARRIERS, look

TOLD = 3
CHANGEABLE = ("distance", "level", "date", "prerequisite", "public")
UNTOLD = ("rsa", "qpv", "th", "parents_isoles")
"""The publics a person may belong to without anybody having said so."""
_TRIED = 12  # courses tried for each thing in the way: those that could bring most
_KM = 5.0  # kilometres are asked for by fives
_LEVELS = 1.0  # what one training more may give
_LEAST = 1e-9
_UNTOLD_BITS = sum(int(BITS[PUBLICS.index(public)]) for public in UNTOLD)

CHANGES = ["session", "barrier", "more", "public", "net", "gain"]


def see(people: pd.DataFrame, market: Market, prices: pd.Series[float]) -> pd.DataFrame:
    """Look at every course listed from where one person stands. One row per session, as :func:`models.sight.look` tells."""
    return look(people, np.zeros(len(market.listed), dtype=np.int64), market.listed, market, prices)


def what_would_change(sight: pd.DataFrame, person: pd.DataFrame, market: Market, prices: pd.Series[float]) -> pd.DataFrame:
    """Say what would bring one person more than the best course open. One row per barrier: the course it brings most by.

    ``more`` is what it takes: km, levels or days; the ``public`` to belong to; ``net`` what the course would be worth and
    ``gain`` by how much that beats the best course open, or nothing if that is more. To who has no course open, any that opens
    counts, whatever its seats are worth to others: its ``gain`` is what it brings. Three at most, the largest gain first.
    """
    opened, net = sight["open"].to_numpy(), sight["net"].to_numpy()
    best = max(float(net[opened].max()), 0.0) if opened.any() else None
    courses = market.listed
    alone = (sight[list(BARRIERS)].to_numpy().sum(axis=1) == 1) & ~courses["late"].to_numpy(dtype=bool)
    found = []
    for barrier in CHANGEABLE:
        more = _more(sight, barrier, person, market)
        shut = np.flatnonzero(alone & sight[barrier].to_numpy() & _can_change(barrier, more, sight, market))
        if not len(shut):
            continue
        worth = _earlier(sight, shut, person, market, prices) if barrier == "date" else net[shut]
        gain = worth + sight["price"].to_numpy()[shut] if best is None else worth - best
        at = int(np.nanargmax(gain))
        public = _public_of(int(courses["admits"].iloc[shut[at]])) if barrier == "public" else ""
        found.append((sight["session"].iloc[shut[at]], barrier, more[shut[at]], public, worth[at], gain[at]))
    told = pd.DataFrame(found, columns=CHANGES)
    gained = told[told["gain"] > 0].sort_values(["gain", "barrier"], ascending=[False, True])
    return gained.head(TOLD).reset_index(drop=True)


def nearest_miss(sight: pd.DataFrame, market: Market) -> pd.DataFrame:
    """Say what came nearest to being open. One row, of the session with fewest barriers, then of the best score; or none.

    What nobody may enter comes after all that somebody may.
    """
    there = np.flatnonzero(~market.listed["late"].to_numpy(dtype=bool))
    shut = market.listed["shut"].to_numpy(dtype=bool)[there]
    barriers = sight[list(BARRIERS)].to_numpy().sum(axis=1)[there]
    first = np.lexsort((-sight["score"].to_numpy()[there], barriers, shut))[:1]  # of equal ones the first by its code
    return sight.iloc[there[first]]


def _more(sight: pd.DataFrame, barrier: str, person: pd.DataFrame, market: Market) -> NDArray[np.float64]:
    """Say how much it takes to enter each course: kilometres, levels, days; nothing where it is not counted."""
    row, courses = person.iloc[0], market.listed
    if barrier == "distance":
        reach = market.entry.default_mobility_km if pd.isna(row["mobility_km"]) else float(row["mobility_km"])
        return np.ceil(sight["distance_km"].to_numpy() / _KM) * _KM - reach
    if barrier == "level":
        return courses["asked"].to_numpy(dtype="float64") - (np.nan if pd.isna(row["level"]) else float(row["level"]))
    if barrier == "date":
        free = market.as_of if pd.isna(row["available"]) else max(row["available"], market.as_of)
        return np.asarray((free - pd.Timestamp(0)).days - courses["until"].to_numpy(dtype="float64"))
    return np.full(len(sight), np.nan)


def _can_change(barrier: str, more: NDArray[np.float64], sight: pd.DataFrame, market: Market) -> NDArray[np.bool_]:
    """Say before which courses a barrier can be taken away. One element per course."""
    if barrier == "distance":
        return np.asarray(sight["distance_km"].to_numpy() <= market.entry.farthest_km)
    if barrier == "level":
        return np.asarray(more <= _LEVELS)
    if barrier == "public":
        return np.asarray((market.listed["admits"].to_numpy(dtype=np.int64) & _UNTOLD_BITS) != 0)
    return np.ones(len(more), dtype=bool)


def _earlier(
    sight: pd.DataFrame, shut: NDArray[np.int64], person: pd.DataFrame, market: Market, prices: pd.Series[float]
) -> NDArray[np.float64]:
    """Say what courses would be worth to one who could enter on their last day: less waiting, more of it paid. One per element.

    Looked at are those that could be worth most; the others are worth nothing here.
    """
    rows = sight.iloc[shut]
    most = rows["net"] + rows["score"] * (1.0 / np.maximum(rows["wait"] * rows["allowance"], _LEAST) - 1.0)
    first = np.argsort(-most.to_numpy(), kind="stable")[:_TRIED]
    courses = market.listed.iloc[shut[first]]
    days = pd.to_datetime(courses["until"].to_numpy(dtype="int64"), unit="D")
    people = person.loc[person.index.repeat(len(first))].reset_index(drop=True).assign(available=days.as_unit("us"))
    worth = np.full(len(shut), -np.inf)
    worth[first] = look(people, np.arange(len(first), dtype=np.int64), courses, market, prices)["net"]
    return worth


def _public_of(admits: int) -> str:
    """Name the first public that a course admits and nobody may have said a person belongs to."""
    return next(public for public in UNTOLD if admits & int(BITS[PUBLICS.index(public)]))
