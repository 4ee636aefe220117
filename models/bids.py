"""From ranked options to the choice in numbers: what each bid costs and brings, how pools fill, and what rules count."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.sparse import csr_array, vstack

from models.buying import Numbers, Problem, Whole, feasible
from models.envelopes import Envelope, Flags, PurchaseParams, Rule
from models.ranking import GENERAL, OPTION

_BOTTOMLESS = 10**15  # cents


def write_problem(ranked: pd.DataFrame, finishing: float, params: PurchaseParams) -> Problem:
    """Write what can be bought. A cell is a row of ``ranked``; a bid, a cell under an envelope that may pay for it.

    ``finishing`` is the share of places whose people finish. A pool is the recruitments of a sector and level in a territory,
    or its people not yet served for types without a sector; its steps are as wide as its smallest session.
    """
    pool, gap, need = _pools(ranked)
    group = ranked["group"].to_numpy(dtype="int64")
    step_pool, width, share = _steps(pool, gap, need, group, finishing=finishing, most=params.search.steps)
    kind = np.asarray(ranked.groupby(OPTION).ngroup(), dtype=np.int64)
    capacity = np.ceil(ranked.groupby(kind)["busiest"].first().to_numpy(dtype="float64") * params.provider_growth)
    cell, envelope = np.nonzero(np.stack([each.covers(ranked) for each in params.envelopes], axis=1))
    cost = group * (ranked["place_eur"] * 100).round().to_numpy(dtype="int64")
    rules = [*params.rules, *_place_limits(params.envelopes)]
    room = np.bincount(step_pool, weights=width, minlength=len(gap))[pool]
    freely = np.ceil(room / group) if not params.rules else np.full(len(ranked), np.inf)
    unruled = Problem(
        pool=pool,
        kind=kind,
        places=group,
        success=ranked["success"].fillna(0.0).to_numpy(dtype="float64"),
        step_pool=step_pool,
        width=width,
        open=share,
        cell=cell,
        envelope=envelope,
        cost=cost[cell],
        most=np.minimum(freely, capacity[kind])[cell],
        budget=np.array([each.cents for each in params.envelopes], dtype="int64"),
        capacity=capacity,
        weight=csr_array((0, len(cell))),
        low=np.zeros(0),
        high=np.zeros(0),
        hurdle=params.smallest_worth,
    )
    written = [_row(rule, ranked, unruled, params) for rule in rules]
    return replace(
        unruled,
        weight=csr_array(np.stack([row for row, _, _ in written])) if written else unruled.weight,
        low=np.array([low for _, low, _ in written]),
        high=np.array([high for _, _, high in written]),
    )


def _pools(ranked: pd.DataFrame) -> tuple[Whole, Numbers, Numbers]:
    """Number the pool of each option, and give the gap and the need of each pool."""
    general = ranked["action_type"].isin(GENERAL)
    pool = ranked.groupby(["territory", *(ranked[name].mask(general, "") for name in ("sector", "level")), general]).ngroup()
    first = ranked.groupby(pool)[["gap", "need"]].first().fillna(0.0)
    gap, need = (np.asarray(first[name], dtype="float64") for name in ("gap", "need"))
    return np.asarray(pool, dtype=np.int64), gap, need


def _steps(
    pool: Whole, gap: Numbers, need: Numbers, group: Whole, *, finishing: float, most: int
) -> tuple[Whole, Numbers, Numbers]:
    """Cut the places that each pool has room for into steps: pool, width in places, mean share of recruitments still open.

    After so many finishers F the share is (gap − F) ÷ need, one at most; there is room while it is above nothing.
    """
    room = np.where(need > 0, np.maximum(gap, 0.0), 0.0) / finishing
    smallest = pd.Series(group).groupby(pool).min().to_numpy(dtype="float64")
    width = np.maximum(smallest, np.ceil(room / most))
    count = np.ceil(room / width).astype(np.int64)
    step_pool = np.repeat(np.arange(len(gap)), count)
    begins = (np.arange(len(step_pool)) - np.repeat(np.cumsum(count) - count, count)) * width[step_pool]
    ends = np.minimum(begins + width[step_pool], room[step_pool])

    def area(places: Numbers) -> Numbers:
        whole = np.minimum(places, np.maximum(gap - need, 0.0)[step_pool] / finishing)
        left = np.maximum(gap, 0.0)[step_pool] - finishing * whole
        some = places - whole
        return np.asarray(whole + (left * some - finishing * some**2 / 2) / need[step_pool])

    return step_pool, ends - begins, (area(ends) - area(begins)) / (ends - begins)


def _place_limits(envelopes: tuple[Envelope, ...]) -> list[Rule]:
    """Write the most places of an envelope as a ceiling of its own."""
    limited = [each for each in envelopes if each.places is not None]
    return [Rule(name=each.name, kind="ceiling", amount=each.places, envelopes=(each.name,)) for each in limited]


def _row(rule: Rule, ranked: pd.DataFrame, problem: Problem, params: PurchaseParams) -> tuple[Numbers, float, float]:
    """Write one rule: what a session of each bid counts, the least and the most it may come to."""
    each = session_counts(rule, problem)
    paid = np.array([not rule.envelopes or one.name in rule.envelopes for one in params.envelopes])[problem.envelope]
    meant = np.where(rule.covers(ranked)[problem.cell] & paid, each, 0.0)
    weight, amount = (meant, rule.amount) if rule.amount is not None else (meant - (rule.share or 0.0) * each, 0.0)
    return weight, *((amount, np.inf) if rule.kind == "floor" else (-np.inf, amount))


def session_counts(rule: Rule, problem: Problem) -> Numbers:
    """Say what a session of each bid counts in a rule: places, euros, or one."""
    counted = {"places": problem.places[problem.cell], "euros": problem.cost / 100, "sessions": np.ones(len(problem.cell))}
    return np.asarray(counted[rule.counts], dtype="float64")


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


def _only(problem: Problem, rules: Flags, envelopes: Flags) -> Problem:
    """Let only some rules and envelopes bind."""
    return replace(
        problem,
        low=np.where(rules, problem.low, -np.inf),
        high=np.where(rules, problem.high, np.inf),
        budget=np.where(envelopes, problem.budget, _BOTTOMLESS),
    )
