"""The choice itself, in numbers: whole sessions under budgets and rules, for the most additional jobs. Solved with HiGHS.

Sessions x of each bid (a cell under an envelope), and places y of each cell at each step of its pool:

    maximise    Σ success · open of the step · y  −  hurdle · places bought
    such that   Σ over steps of y ≤ places bought of the cell         what finds no room is worth nothing
                Σ over cells of y ≤ width of the step                 each step of a pool fills once
                Σ cost · x ≤ budget, by envelope                      integer cents
                Σ x ≤ sessions that providers can run, by kind
                low ≤ Σ weight · x ≤ high, by rule
                y ≤ width of the step · sessions of the cell      parts of a session fill parts of a step

The share of recruitments that is still open falls as a pool is served, so that its steps fill in their order: what is bought
is worth ever less. The relaxation, in which parts of sessions can be bought, bounds what any plan could be worth and says
what each rule costs. Whole sessions are then looked for, to a stated gap, in a large problem among the bids that lose least
by the relaxation. Limits are in nodes, bids and gap, never in seconds: the same problem has the same answer.

Steps as wide as a session keep the relaxation close: parts of sessions then gain next to nothing over whole ones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import coo_array, csr_array, hstack, vstack

from features.params import Section, param

Numbers = NDArray[np.float64]
Whole = NDArray[np.int64]
_CENTS = 1e5  # budgets are written in thousands of euros: the solver likes numbers near one
_NEAR = 1e-6  # of a session: what the solver takes for whole
_EVERY_NODE = 2**31 - 1
_SMALL = 10_000  # bids: of larger problems making the problem smaller takes longer than it saves
_FEWER = 10  # times fewer bids are looked among than a problem may have to be looked at whole
_UNFINISHED = 1  # how the solver says that it came to its limit


class SearchParams(Section):
    """How far the best plan is looked for."""

    gap: float = param(0.001, "how far below the bound the plan may stay", unit="share of its jobs", ge=0, le=0.1)
    nodes: int = param(50, "branches looked into at most", unit="nodes", ge=1, le=1_000_000)
    bids: int = param(
        40_000,
        "bids that are all looked among; of more, a tenth as many: those that lose least where parts of sessions can be bought",
        unit="bids",
        ge=100,
        le=1_000_000,
    )
    steps: int = param(8, "steps in which the share of recruitments still open falls, at most", unit="steps", ge=1, le=50)


@dataclass(frozen=True)
class Problem:
    """What can be bought and what binds it.

    Cells: ``pool``, ``kind`` (what providers run together), places and ``success`` of one session's place, all absorbed. Steps:
    ``step_pool``, ``width`` in places and ``open``, falling within a pool. Bids: ``cell``, ``envelope``, ``cost`` in cents, and
    the most sessions. ``budget`` in cents by envelope, ``capacity`` in sessions by kind. Rules: ``weight`` (rules ×
    bids) by session, with ``low`` and ``high``. ``hurdle`` is the least a place must be worth.
    """

    pool: Whole
    kind: Whole
    places: Whole
    success: Numbers
    step_pool: Whole
    width: Numbers
    open: Numbers
    cell: Whole
    envelope: Whole
    cost: Whole
    most: Numbers
    budget: Whole
    capacity: Numbers
    weight: csr_array
    low: Numbers
    high: Numbers
    hurdle: float

    @cached_property
    def slots(self) -> tuple[Whole, Whole, Numbers]:
        """List what a place of a cell can fill: cell, step, and the jobs a place brings there. Only what brings some."""
        order = np.argsort(self.step_pool, kind="stable")
        first = np.searchsorted(self.step_pool[order], self.pool, side="left")
        count = np.searchsorted(self.step_pool[order], self.pool, side="right") - first
        cell = np.repeat(np.arange(len(self.pool)), count)
        within = np.arange(len(cell)) - np.repeat(np.cumsum(count) - count, count)
        step = order[np.repeat(first, count) + within]
        value = self.success[cell] * self.open[step]
        kept = value > 0
        return cell[kept], step[kept], value[kept]

    @cached_property
    def limits(self) -> tuple[csr_array, Numbers]:
        """Write what binds sessions alone as rows ``≤``: budgets, providers, most of each rule, least of each rule."""
        bids = np.arange(len(self.cell))
        budget = _matrix(self.envelope, bids, self.cost / _CENTS, (len(self.budget), len(bids)))
        kinds = _matrix(self.kind[self.cell], bids, np.ones(len(bids)), (len(self.capacity), len(bids)))
        capped, floored = np.isfinite(self.high), np.isfinite(self.low)
        rows = vstack([budget, kinds, self.weight[capped], -self.weight[floored]], format="csr")
        return rows, np.concatenate([self.budget / _CENTS, self.capacity, self.high[capped], -self.low[floored]])

    def places_of(self, sessions: Numbers | Whole) -> Numbers:
        """Count the places of each cell that sessions of each bid make."""
        made = np.asarray(sessions * self.places[self.cell], dtype="float64")
        return np.asarray(np.bincount(self.cell, weights=made, minlength=len(self.pool)), dtype="float64")


@dataclass(frozen=True)
class Relaxed:
    """The best that parts of sessions can do: jobs (hurdle paid), sessions of each bid, and the loss by one more of each.

    A rule's price is above zero where a ceiling keeps jobs out, below where a floor does, and zero where it does not bind.
    """

    bound: float
    sessions: Numbers
    loss: Numbers
    rule_price: Numbers


@dataclass(frozen=True)
class Bought:
    """Whole sessions of each bid, what they are worth (hurdle paid), and the bound on what any plan could be."""

    sessions: Whole
    value: float
    bound: float

    @property
    def gap(self) -> float:
        """Say how far below the bound it stays, as a share."""
        return max(0.0, self.bound - self.value) / max(abs(self.bound), 1e-12)


class Impossible(Exception):  # noqa: N818  # an answer, not an error of the program
    """No plan holds all rules."""


def buy(problem: Problem, params: SearchParams) -> Bought:
    """Buy whole sessions. Raises :class:`Impossible` where no plan holds what binds."""
    if not len(problem.cell):
        if not feasible(problem):
            raise Impossible
        return Bought(np.zeros(0, dtype=np.int64), 0.0, 0.0)
    sessions, bound = _search(problem, params)
    return Bought(sessions, worth_of(problem, sessions), bound)


def feasible(problem: Problem) -> bool:
    """Say whether some whole sessions keep all that binds, whatever they are worth."""
    if not len(problem.cell):
        return not (problem.low > 0).any()
    rows, most = problem.limits
    found = milp(
        np.zeros(len(problem.cell)),
        constraints=LinearConstraint(rows, -np.inf, most),
        bounds=Bounds(0.0, problem.most),
        integrality=np.ones(len(problem.cell), dtype=np.int64),
    )
    return found.x is not None


def loosen(problem: Problem, firm: Whole) -> Problem:
    """Loosen rules, as little as lets some whole sessions keep them: the least sum of shares by which each is missed.

    What is missed of a share of all is set against the most that a session counts in it. Rules in ``firm`` stay as they are.
    """
    rows, most = problem.limits
    capped, floored = np.flatnonzero(np.isfinite(problem.high)), np.flatnonzero(np.isfinite(problem.low))
    asked = np.abs(np.concatenate([problem.high[capped], problem.low[floored]]))
    largest = np.asarray(abs(problem.weight).max(axis=1).todense()).ravel()[np.concatenate([capped, floored])]
    may = np.where(np.isin(np.concatenate([capped, floored]), firm), 0.0, np.inf)
    bids, slacks, kept = len(problem.cell), len(asked), len(most) - len(asked)
    slack = _matrix(kept + np.arange(slacks), np.arange(slacks), -np.ones(slacks), (len(most), slacks))
    found = milp(
        np.append(np.zeros(bids), 1.0 / np.maximum(np.where(asked > 0, asked, largest), 1.0)),
        constraints=LinearConstraint(hstack([rows, slack], format="csr"), -np.inf, most),
        bounds=Bounds(0.0, np.append(problem.most, may)),
        integrality=np.append(np.ones(bids), np.zeros(slacks)).astype(np.int64),
    )
    if found.x is None:
        raise Impossible
    counted, low, high = problem.weight @ np.round(found.x[:bids]), problem.low.copy(), problem.high.copy()
    high[capped] = np.maximum(high[capped], counted[capped])
    low[floored] = np.minimum(low[floored], counted[floored])
    return replace(problem, low=low, high=high)


def relax(problem: Problem) -> Relaxed:
    """Let parts of sessions be bought."""
    jobs, matrix, most, upper = _programme(problem)
    bounds, bids = np.column_stack([np.zeros(len(jobs)), upper]), len(problem.cell)
    found = linprog(-jobs, A_ub=matrix, b_ub=most, bounds=bounds, method="highs-ds")  # type: ignore[call-overload]  # sparse
    if found.x is None:
        raise Impossible
    price, capped, floored = -np.asarray(found.ineqlin.marginals), np.isfinite(problem.high), np.isfinite(problem.low)
    ends = np.cumsum([len(problem.budget) + len(problem.capacity), capped.sum(), floored.sum()])
    _, most, least, _ = np.split(price, ends)
    rule = np.zeros(len(capped))
    rule[capped] += most
    rule[floored] -= least
    return Relaxed(-float(found.fun), found.x[:bids], np.asarray(found.lower.marginals)[:bids], rule)


def worth_of(problem: Problem, sessions: Numbers | Whole) -> float:
    """Give what sessions are worth, hurdle paid: the places of a pool fill its steps, those of the most success first."""
    return float(jobs_of(problem, sessions).sum() - problem.hurdle * problem.places_of(sessions).sum())


def jobs_of(problem: Problem, sessions: Numbers | Whole) -> Numbers:
    """Give the jobs that the places of each cell bring, each pool filled by the cells of most success first."""
    places = problem.places_of(sessions)
    order = np.lexsort((-problem.success, problem.pool))
    pool, bought = problem.pool[order], places[order]
    before = np.cumsum(bought) - bought
    start = np.searchsorted(pool, pool, side="left")
    begins = before - before[start]
    filled = _filled(problem, pool, begins + bought) - _filled(problem, pool, begins)
    jobs = np.empty(len(places))
    success = problem.success[order]
    jobs[order] = np.where(success > 0, success * filled, success * bought)
    return jobs


def jobs_at_the_margin(problem: Problem, sessions: Numbers | Whole) -> tuple[Numbers, Numbers, Numbers]:
    """Say what a place of each cell brings after all others of its pool: in the last session, in the next, and the very next.

    One number per cell in each; what nobody has bought has no last session: it is that of its pool.
    """
    pooled = np.bincount(problem.pool, weights=problem.places_of(sessions), minlength=int(problem.pool.max(initial=-1)) + 1)
    reached, size = np.asarray(pooled[problem.pool], dtype="float64"), np.asarray(problem.places, dtype="float64")
    before, at, after = (
        _filled(problem, problem.pool, np.asarray(np.maximum(places, 0.0), dtype="float64"))
        for places in (reached - size, reached, reached + size)
    )
    very_next = _filled(problem, problem.pool, reached + _NEAR) - at
    last = (at - before) / np.minimum(size, np.maximum(reached, _NEAR))
    return problem.success * last, problem.success * (after - at) / size, problem.success * very_next / _NEAR


def _filled(problem: Problem, pool: Whole, places: Numbers) -> Numbers:
    """Integrate the share still open over the first so many places of each pool. One number per row."""
    order = np.lexsort((-problem.open, problem.step_pool))
    steps, width, share = problem.step_pool[order], problem.width[order], problem.open[order]
    first, last = (np.searchsorted(steps, pool, side=side) for side in ("left", "right"))
    ends = np.append(0.0, np.cumsum(width))
    area = np.append(0.0, np.cumsum(width * share))
    reached = np.minimum(ends[first] + places, ends[last])
    at = np.clip(np.searchsorted(ends, reached, side="right") - 1, first, np.maximum(last - 1, first))
    inside = np.append(share, 0.0)[at] * (reached - ends[at])
    return np.where(last > first, area[at] + inside - area[first], 0.0)


# Whole sessions -----------------------------------------------------------------------------------------------------------


def _search(problem: Problem, params: SearchParams) -> tuple[Whole, float]:
    """Look for whole sessions of each bid; gives them with the bound that was reached.

    A budget that the solver passes by cents, which it takes for nothing, is made as much smaller. Where so many nodes hold no
    plan at all, the first that keeps every limit is taken; where the bids looked among hold none, all are looked among.
    """
    relaxed = relax(problem) if len(problem.cell) > params.bids else None
    bids = np.arange(len(problem.cell)) if relaxed is None else _promising(relaxed, params.bids // _FEWER)
    found = _solve(problem, bids, params.gap, params.nodes)
    if found.sessions is None and found.unfinished:
        found = _solve(problem, bids, np.inf, _EVERY_NODE)
    if found.sessions is None and len(bids) < len(problem.cell):
        return _search(problem, params.model_copy(update={"bids": len(problem.cell)}))
    if found.sessions is None:
        raise Impossible
    sessions = np.zeros(len(problem.cell), dtype=np.int64)
    sessions[bids] = found.sessions
    if (over := _overspent(problem, sessions)).any():
        return _search(replace(problem, budget=problem.budget - over), params)
    return sessions, found.bound if relaxed is None else relaxed.bound


class _Found(NamedTuple):
    """Whole sessions of the bids looked among, if any were found; how good any of these can be; whether a limit was met."""

    sessions: Whole | None
    bound: float = np.inf
    unfinished: bool = False


def _promising(relaxed: Relaxed, most: int) -> Whole:
    """List the bids to look among: those that are bought in part, then those that would lose least."""
    order = np.argsort(np.where(relaxed.sessions > _NEAR, -1.0, relaxed.loss), kind="stable")
    return np.sort(order[: max(most, int((relaxed.sessions > _NEAR).sum()))])


def _solve(problem: Problem, bids: Whole, gap: float, nodes: int) -> _Found:
    """Look for whole sessions of some bids, none of the others."""
    jobs, matrix, most, upper = _programme(problem)
    cells = np.zeros(len(problem.pool), dtype=bool)
    cells[problem.cell[bids]] = True
    columns = np.append(bids, len(problem.cell) + np.flatnonzero(cells[problem.slots[0]]))
    kept = matrix[:, columns]
    bind = np.diff(kept.indptr) > 0
    if (most[~bind] < 0).any():  # a floor that none of these bids counts in
        return _Found(None)
    found = milp(
        -jobs[columns],
        constraints=LinearConstraint(kept[bind], -np.inf, most[bind]),
        bounds=Bounds(0.0, upper[columns]),
        integrality=(columns < len(problem.cell)).astype(np.int64),
        options={"mip_rel_gap": gap, "node_limit": nodes, "presolve": len(bids) <= _SMALL},
    )
    if found.x is None:
        return _Found(None, unfinished=found.status == _UNFINISHED)
    return _Found(np.round(found.x[: len(bids)]).astype(np.int64), -float(found.mip_dual_bound))


def _overspent(problem: Problem, sessions: Whole) -> Whole:
    """Say by how many cents each budget is passed."""
    spent = np.zeros(len(problem.budget), dtype=np.int64)
    np.add.at(spent, problem.envelope, problem.cost * sessions)
    return np.asarray(np.maximum(spent - problem.budget, 0), dtype=np.int64)


def _programme(problem: Problem) -> tuple[Numbers, csr_array, Numbers, Numbers]:
    """Write the problem for the solver: jobs of each variable, rows ``≤``, and the most of each variable (bids, then slots)."""
    cell, step, value = problem.slots
    bids, slots, cells = len(problem.cell), len(cell), len(problem.pool)
    limits, most = problem.limits
    each, filled = problem.places[problem.cell], np.arange(slots)
    link = hstack(
        [
            _matrix(problem.cell, np.arange(bids), -each.astype("float64"), (cells, bids)),
            _matrix(cell, filled, np.ones(slots), (cells, slots)),
        ]
    )
    room = hstack([csr_array((len(problem.width), bids)), _matrix(step, filled, np.ones(slots), (len(problem.width), slots))])
    rows = [hstack([limits, csr_array((limits.shape[0], slots))]), link, room, _parts(problem)]
    matrix = vstack(rows, format="csr")
    bid = each * (np.minimum(problem.success, 0.0)[problem.cell] - problem.hurdle)
    bound = np.concatenate([most, np.zeros(cells), problem.width])
    return (
        np.concatenate([bid, value]),
        matrix,
        np.append(bound, np.zeros(matrix.shape[0] - len(bound))),
        np.concatenate([problem.most, np.full(slots, np.inf)]),
    )


def _parts(problem: Problem) -> csr_array:
    """Let parts of a session fill no more than the same parts of a step, where a session is wider than the step."""
    cell, step, _ = problem.slots
    wide = np.flatnonzero(problem.width[step] < problem.places[cell])
    order = np.argsort(problem.cell, kind="stable")
    first, last = (np.searchsorted(problem.cell[order], cell[wide], side=side) for side in ("left", "right"))
    row = np.repeat(np.arange(len(wide)), last - first)
    bid = order[np.arange(len(row)) + np.repeat(first - np.append(0, np.cumsum(last - first)[:-1]), last - first)]
    parts = _matrix(row, bid, -problem.width[step[wide[row]]], (len(wide), len(problem.cell)))
    return csr_array(hstack([parts, _matrix(np.arange(len(wide)), wide, np.ones(len(wide)), (len(wide), len(cell)))]))


def _matrix(row: Whole, column: Whole, value: Numbers, shape: tuple[int, int]) -> csr_array:
    return csr_array(coo_array((value, (row, column)), shape=shape))
