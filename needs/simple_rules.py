"""Simple rules to buy training by: what one does who has a menu, money and providers, and no model of what a place is worth.

A rule says how many sessions of each row it would have (any number, parts too); :func:`share_out` turns that into whole
ones, one at a time, each time of the row that is furthest behind its due (Webster's method, also Sainte-Laguë's: the k-th
session of a row comes at (k − ½) ÷ its due), until the money or the providers are used up.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

OPTION = ["sector", "action_type", "level"]
POOL = ["territory", "sector"]
Numbers = NDArray[np.float64]
Whole = NDArray[np.int64]
_LITTLE = 1e-12


@dataclass(frozen=True)
class Shelf:
    """What rules choose from. ``rows``: one per territory and option, ``session_cents``, ``general`` where it has no sector.

    ``option`` numbers the option of each row, ``capacity`` counts the sessions that each option can have in all.
    """

    rows: pd.DataFrame
    option: Whole
    capacity: Whole
    budget_cents: int


def share_out(shelf: Shelf, due: Numbers, turn: Numbers | None = None) -> Whole:
    """Buy whole sessions in proportion to what is due to each row; rows of an earlier ``turn`` first. Sessions of each row."""
    bought = np.zeros(len(due), dtype=np.int64)
    costs, option, spare = shelf.rows["session_cents"].tolist(), shelf.option.tolist(), shelf.capacity.tolist()
    turns = np.zeros(len(due)) if turn is None else turn
    heap = [(float(turns[row]), 0.5 / float(due[row]), row) for row in np.flatnonzero(due > 0).tolist()]
    heapq.heapify(heap)
    left = shelf.budget_cents
    while heap:
        first, when, row = heapq.heappop(heap)
        if costs[row] > left or spare[option[row]] < 1:
            continue
        bought[row] += 1
        left -= costs[row]
        spare[option[row]] -= 1
        heapq.heappush(heap, (first, when + 1 / float(due[row]), row))
    return bought


def by_projects(shelf: Shelf, held: Numbers, projects: pd.Series[float]) -> Whole:
    """Buy by the recruitment projects of each territory and sector (the index of ``projects``). Sessions of each row.

    A sector's money is shared between the types that it usually buys (``held``: last sessions of each row); types without a
    sector keep their share of the money.
    """
    rows = shelf.rows
    money = held * rows["session_cents"]
    general = rows["general"].astype(bool)
    usual = money.groupby([rows[name] for name in OPTION]).transform("sum")
    # an option that was not held last year counts for little, so that a sector without any still has a mix
    weight = usual + 1e-6 * usual.sum() + _LITTLE
    in_sector = projects.reindex(pd.MultiIndex.from_frame(rows[POOL])).fillna(0.0).to_numpy()
    in_all = projects.groupby("territory").sum().reindex(rows["territory"]).fillna(0.0).to_numpy()
    mix = weight / weight.groupby([rows[name] for name in POOL]).transform("sum")
    share = float(money[general].sum() / max(money.sum(), 1.0))
    due = (1 - share) * _shares(in_sector * mix, ~general) + share * _shares(in_all * weight, general)
    return share_out(shelf, due * shelf.budget_cents / rows["session_cents"].to_numpy())


def _shares(amounts: pd.Series[float], inside: pd.Series[bool]) -> Numbers:
    """Give each row's share of the amounts of the rows inside; 0 for others."""
    kept = amounts.where(inside, 0.0).to_numpy(dtype="float64")
    return np.asarray(kept / max(float(kept.sum()), _LITTLE))


def by_rates(shelf: Shelf, rates: pd.Series[float], people: pd.Series[float]) -> Whole:
    """Buy the best raw rates first (by sector and action_type), in each territory by its people. Sessions of each row."""
    asked = pd.MultiIndex.from_frame(shelf.rows[["sector", "action_type"]])
    found = rates.reindex(asked).fillna(0.0).to_numpy(dtype="float64")
    due = np.asarray(people.reindex(shelf.rows["territory"]).fillna(0.0), dtype=np.float64)
    return share_out(shelf, due, np.asarray(-found, dtype=np.float64))


def by_chance(shelf: Shelf, rng: np.random.Generator) -> Whole:
    """Buy sessions at random. Sessions of each row."""
    return share_out(shelf, rng.exponential(size=len(shelf.rows)))
