"""From ranked options to the choice in numbers: what can be bought, what each bid costs and brings, and how pools fill."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.sparse import csr_array, vstack

from models.absorption import absorbed, spread_of
from models.buying import Numbers, Problem, Whole, feasible
from models.envelopes import Grounds, PurchaseParams, Rule
from models.ranking import GENERAL, OPTION
from models.rules import place_limits, rule_row, spell_out

_HALF = 0.5
_BOTTOMLESS = 10**15  # cents
_ALL_BUT = 3.0  # standard deviations beyond a gap at which nothing is open any more


@dataclass(frozen=True)
class Written:
    """The choice in numbers, and what its cells and rows stand for.

    ``cells``: one row per cell: the ``option`` it is (a row of what is ranked), its ``lever``, ``group``, and what of its
    ``fill`` comes. ``rules`` are those of a Region, spelt out, the first rows of the problem; ceilings of places come after.
    """

    problem: Problem
    cells: pd.DataFrame
    rules: tuple[Rule, ...]


def write_problem(ranked: pd.DataFrame, finishing: float, params: PurchaseParams, grounds: Grounds) -> Written:
    """Write what can be bought. A cell is an option with a size of its group and a lever or none; a bid, a cell under an
    envelope that may pay for it.

    ``finishing`` is the share of places whose people finish. A pool is the recruitments of a sector in a territory,
    or its people not yet served for types without a sector; its steps are as wide as its smallest session.
    """
    cells = _cells(ranked, params, grounds)
    option, places = cells["option"].to_numpy(dtype="int64"), cells["group"].to_numpy(dtype="int64")
    pool, step_pool, width, share = _filled_pools(ranked, option, places, finishing, params.search.steps)
    kinds = np.asarray(ranked.groupby(OPTION).ngroup(), dtype=np.int64)
    capacity = np.ceil(ranked.groupby(kinds)["busiest"].first().to_numpy(dtype="float64") * params.provider_growth)
    cell, envelope, cost = _bids(ranked, cells, params, grounds)
    rules = spell_out(params, grounds)
    room = np.bincount(step_pool, weights=width, minlength=int(pool.max(initial=-1)) + 1)[pool]
    freely = np.ceil(room / places) if not rules else np.full(len(cells), np.inf)
    unruled = Problem(
        pool=pool,
        kind=kinds[option],
        places=places,
        success=cells["success"].to_numpy(dtype="float64"),
        step_pool=step_pool,
        width=width,
        open=share,
        cell=cell,
        envelope=envelope,
        cost=cost,
        most=np.minimum(freely, capacity[kinds[option]])[cell],
        budget=np.array([each.cents for each in params.envelopes], dtype="int64"),
        capacity=capacity,
        weight=csr_array((0, len(cell))),
        low=np.zeros(0),
        high=np.zeros(0),
        hurdle=params.smallest_worth,
    )
    bound = [*rules, *place_limits(params.envelopes)]
    options = ranked.loc[option].reset_index(drop=True)
    rows = [csr_array(rule_row(rule, options, unruled, grounds, params)[None, :]) for rule in bound]
    amount = np.array([rule.amount or 0.0 for rule in bound], dtype="float64")
    floor = np.array([rule.kind == "floor" for rule in bound], dtype=bool)
    weight = vstack(rows, format="csr") if rows else unruled.weight
    ruled = replace(unruled, weight=weight, low=np.where(floor, amount, -np.inf), high=np.where(floor, np.inf, amount))
    return Written(ruled, cells, rules)


def refill(ranked: pd.DataFrame, written: Written, finishing: float, params: PurchaseParams) -> Problem:
    """Write the same cells and bids with the recruitments to fill of ``ranked``, which may have become others."""
    option, places = written.cells["option"].to_numpy(dtype="int64"), written.problem.places
    _, step_pool, width, share = _filled_pools(ranked, option, places, finishing, params.search.steps)
    return replace(written.problem, step_pool=step_pool, width=width, open=share)


def _cells(ranked: pd.DataFrame, params: PurchaseParams, grounds: Grounds) -> pd.DataFrame:
    """List what can be bought. One row per option, size and lever: option, lever, group, success, fill, place and lever cents.

    Sessions paid by the group have their usual size, whose filling is known; those paid by the trainee may be as small as
    their minimum.
    """
    small = ranked[~ranked["group_paid"].astype(bool) & (ranked["group_min"] < ranked["group"])]
    sizes = pd.concat([ranked["group"], small["group_min"]])
    option = sizes.index.to_numpy(dtype="int64")
    named = ranked.loc[option]
    plain = pd.DataFrame(
        {
            "option": option,
            "lever": pd.array([""] * len(option), dtype="str"),
            "group": sizes.to_numpy(dtype="int64"),
            "success": named["success"].fillna(0.0).to_numpy(dtype="float64"),
            "fill": named["fill"].to_numpy(dtype="float64"),
            "place_cents": (named["place_eur"] * 100).round().to_numpy(dtype="int64"),
            "lever_cents": 0,
        }
    )
    with_levers = [
        plain.assign(
            lever=lever.name,
            lever_cents=round(lever.place_eur * 100),
            success=plain["success"] * lever.fills,
            fill=(plain["fill"] * lever.fills).clip(upper=1.0),
        )[lever.share_of(named, grounds) >= _HALF]
        for lever in params.levers
        if lever.fills > 1.0  # any other would only spend what is left over
    ]
    every = pd.concat([plain, *with_levers], ignore_index=True)
    return every.sort_values(["option", "lever", "group"], ignore_index=True)


def _bids(ranked: pd.DataFrame, cells: pd.DataFrame, params: PurchaseParams, grounds: Grounds) -> tuple[Whole, Whole, Whole]:
    """Say which envelope may pay for which cell: cell, envelope, and what a session costs it in cents.

    Nothing may pay for a certification whose registration ends before the last entry.
    """
    lasts = ~ranked["ends_early"].astype(bool).to_numpy()
    pays = np.stack([(each.pays_for(ranked, grounds) > 0) & lasts for each in params.envelopes], axis=1)
    cell, envelope = np.nonzero(pays[cells["option"].to_numpy()])
    flat = np.array([-1 if each.place_eur is None else round(each.place_eur * 100) for each in params.envelopes])[envelope]
    allowed = np.array([each.pays_allowances for each in params.envelopes])[envelope]
    allowance = (ranked["allowance_eur"] * 100).round().to_numpy(dtype="int64")[cells["option"].to_numpy()]
    usual, more, places = (cells[name].to_numpy(dtype="int64") for name in ("place_cents", "lever_cents", "group"))
    place = np.where(flat >= 0, flat, usual[cell]) + more[cell] + np.where(allowed, allowance[cell], 0)
    return cell, envelope, places[cell] * place


def _filled_pools(
    ranked: pd.DataFrame, option: Whole, group: Whole, finishing: float, most: int
) -> tuple[Whole, Whole, Numbers, Numbers]:
    """Say which pool each cell fills, and cut what pools have room for into steps: pool, width in places, mean chance.

    The chance that a recruitment is still open falls with the finishers of a pool; there is room while it is above nothing.
    Of a session that finds room in part, the rest of its places bring next to nothing.
    """
    general = ranked["action_type"].isin(GENERAL)
    keys = ["territory", ranked["sector"].mask(general, ""), general]
    pools = np.asarray(ranked.groupby(keys).ngroup(), dtype=np.int64)
    first = ranked.groupby(pools)[["room", "room_low", "room_high", "need"]].first().fillna(0.0)
    gap, spread = first["room"].to_numpy(dtype="float64"), spread_of(first)
    pool = pools[option]
    smallest = pd.Series(group).groupby(pool).min().to_numpy(dtype="float64")
    room = np.where(first["need"] > 0, np.maximum(gap + _ALL_BUT * spread, 0.0), 0.0) / finishing
    width = smallest * np.ceil(np.maximum(room / smallest, 1.0) / most)
    count = np.ceil(room / width).astype(np.int64)
    step_pool = np.repeat(np.arange(len(gap)), count)
    begins = (np.arange(len(step_pool)) - np.repeat(np.cumsum(count) - count, count)) * width[step_pool]
    known = gap[step_pool], spread[step_pool]
    finished = [finishing * places for places in (begins, begins + width[step_pool])]
    before, after = (absorbed(*known, count) for count in finished)
    return pool, step_pool, width[step_pool], (after - before) / (finished[1] - finished[0])


# What cannot be -----------------------------------------------------------------------------------------------------------


def bind(problem: Problem, decided: pd.DataFrame) -> Problem:
    """Let decisions bind, after the rules that are there. ``decided``: one row per decision: ``bids``, ``low``, ``high``."""
    if decided.empty:
        return problem
    named = np.zeros((len(decided), len(problem.cell)))
    for place, bids in enumerate(decided["bids"]):
        named[place, bids] = 1.0
    return replace(
        problem,
        most=np.where(named.any(axis=0), np.inf, problem.most),
        weight=vstack([problem.weight, csr_array(named)], format="csr"),
        low=np.append(problem.low, decided["low"].to_numpy(dtype="float64")),
        high=np.append(problem.high, decided["high"].to_numpy(dtype="float64")),
    )


def find_conflict(problem: Problem) -> tuple[list[int], list[int]]:
    """Find rules and envelopes that cannot hold together, none of which could be left out: their positions.

    Each is left out in turn, and for good where the others cannot hold without it either.
    """
    row, budget = np.ones(len(problem.low), dtype=bool), np.ones(len(problem.budget), dtype=bool)
    for held in (row, budget):
        for place in range(len(held)):
            held[place] = False
            held[place] = feasible(_only(problem, row, budget))
    return np.flatnonzero(row).tolist(), np.flatnonzero(budget).tolist()


def _only(problem: Problem, rules: np.ndarray, envelopes: np.ndarray) -> Problem:
    """Let only some rules and envelopes bind."""
    return replace(
        problem,
        low=np.where(rules, problem.low, -np.inf),
        high=np.where(rules, problem.high, np.inf),
        budget=np.where(envelopes, problem.budget, _BOTTOMLESS),
    )
