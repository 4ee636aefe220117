"""The plan that someone who knows the truth would buy, and how far from the best it can be.

Whole sessions of the usual group, one budget in cents, and for each option the sessions its providers can run. What adds most
lasting jobs for its money is bought first, and nothing that takes away. Under a budget that promises nothing: so greed starts
from nothing, from the pools' choice at the prices below, from what each simple rule bought, and, where the menu is short and
a session a large part of the budget, from each first session; the best plan is kept, and held against a bound.

The bound is Lagrange's: with a price μ on money and ν on the sessions of each option, every pool (bassin × sector) is free
to buy parts of sessions,

    bound(μ, ν) = μ + Σ over options of ν × capacity + Σ over pools of max of (jobs − μ × cost − ν × sessions)

with cost in shares of the budget. For a given load a pool's jobs are linear in what it buys, so that one option is enough to
reach its maximum; a pool that buys at all has the load of one session at least, and never more than that of all sessions its
options can have. The least bound over some prices is kept.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from needs.simple_rules import Shelf
from needs.twin.effects import absorption
from needs.twin.places import Numbers
from needs.twin.work import Whole
from needs.twin.worth import KEY, OPTION, POOL, plan_value

_PRICE_STEPS = 80
_HALVINGS = 40
_WORTHLESS = 1e-9
_SHORT_MENU = 200


@dataclass(frozen=True)
class Menu:
    """What can be bought: the truth of each bassin × option, the budget and the sessions that each option can have."""

    worth: pd.DataFrame
    budget_cents: int

    @cached_property
    def option(self) -> Whole:
        """Number the option of each row."""
        return np.asarray(self.worth.groupby(OPTION).ngroup(), dtype=np.int64)

    @cached_property
    def pool(self) -> Whole:
        """Number the pool of each row; a type that fills nothing up is a pool of its own in each bassin."""
        full = np.isfinite(self.worth["room"])
        names = self.worth["action_type"].where(~full, "")
        pools = self.worth.groupby([*(self.worth[name] for name in POOL), names])
        return np.asarray(pools.ngroup(), dtype=np.int64)

    @cached_property
    def capacity(self) -> Whole:
        """Give the sessions each option can have in all, by its number."""
        listed = self.worth.assign(option=self.option).drop_duplicates("option").sort_values("option")
        return listed["capacity"].to_numpy(dtype=np.int64)

    @cached_property
    def shelf(self) -> Shelf:
        """Give what simple rules choose from."""
        rows = self.worth[[*KEY, "session_cents"]].assign(general=~np.isfinite(self.worth["room"]))
        return Shelf(rows, self.option, self.capacity, self.budget_cents)

    def plan(self, sessions: Whole) -> pd.DataFrame:
        """Write whole sessions of each row of the menu as a plan. One row per bassin and option bought."""
        rows = self.worth[[*KEY, "group", "session_cents"]].assign(sessions=sessions)
        rows = rows[rows["sessions"] > 0].reset_index(drop=True)
        places, cost = rows["sessions"] * rows["group"], rows["sessions"] * rows["session_cents"]
        return rows.assign(places=places, cost_cents=cost)[[*KEY, "sessions", "places", "cost_cents"]]


@dataclass(frozen=True)
class Oracle:
    """The plan, its value, and the least bound found on what any plan could reach."""

    plan: pd.DataFrame
    value: float
    bound: float

    @property
    def gap(self) -> float:
        """Say how much more any plan could add at most, as a share."""
        return self.bound / self.value - 1 if self.value > 0 else 0.0


@dataclass(frozen=True)
class _Terms:
    """The numbers of a session of each row: jobs lost by it, jobs it adds where all are absorbed, its load and its cost."""

    lost: Numbers
    added: Numbers
    load: Numbers
    committed: Numbers
    cost: Numbers

    def span(self, pool: Whole, most: Whole) -> tuple[Numbers, Numbers]:
        """Say how many sessions of a row alone bear the load of one session of its pool, and of all it can have."""
        loads = pd.DataFrame({"one": self.load, "all": self.load * most}).groupby(pool)
        one, every = loads["one"].transform("min").to_numpy(), loads["all"].transform("sum").to_numpy()
        some = np.where(self.load > 0, self.load, 1.0)
        return np.where(self.load > 0, one / some, 1.0), np.where(self.load > 0, every / some, most)


def consult(menu: Menu, known: Iterable[Whole] = ()) -> Oracle:
    """Buy what the truth says is best; ``known`` plans (sessions of each row of the menu) are completed and tried too."""
    terms, known = _terms(menu), list(known)
    none = np.zeros(len(menu.worth), dtype=np.int64)
    bought = _buy(menu, terms, none)
    bound, priced = _bound(menu, terms, bought, plan_value(menu.worth, menu.plan(bought)))
    starts = [none, priced, *known, *(np.eye(len(none), dtype=np.int64) if len(none) <= _SHORT_MENU else ())]
    plans = [menu.plan(_buy(menu, terms, start)) for start in starts] + [menu.plan(plan) for plan in known]
    values = [plan_value(menu.worth, plan) for plan in plans]
    best = int(np.argmax(values))
    return Oracle(plans[best], values[best], bound)


def _terms(menu: Menu) -> _Terms:
    worth = menu.worth
    entries = (worth["group"] * worth["entries"]).to_numpy()
    room = worth["room"].to_numpy()
    return _Terms(
        lost=entries * worth["lock_in"].to_numpy(),
        added=entries * (worth["gain"] - worth["lock_in"]).to_numpy(),
        load=(worth["group"] * worth["finishers"]).to_numpy() / room,
        committed=worth["committed"].to_numpy() / room,
        cost=worth["session_cents"].to_numpy() / menu.budget_cents,
    )


class _Pools:
    """The pools while they are being filled: their load, and the jobs of what they hold before absorption."""

    def __init__(self, menu: Menu, terms: _Terms) -> None:
        self.pool: list[int] = menu.pool.tolist()
        self.terms: list[tuple[float, float, float]] = list(
            zip(terms.lost.tolist(), terms.added.tolist(), terms.load.tolist(), strict=True)
        )
        first = pd.Series(terms.committed).groupby(menu.pool).first()
        self.load: list[float] = first.tolist()
        self.added = [0.0] * len(first)

    def gain(self, row: int) -> float:
        """Say what one more session of a row would add, what it takes from others in its pool taken off."""
        lost, added, load = self.terms[row]
        pool = self.pool[row]
        before, held = self.load[pool], self.added[pool]
        return lost + _kept(before + load) * (held + added) - _kept(before) * held

    def buy(self, row: int, count: int = 1) -> None:
        """Add sessions of a row to its pool."""
        _, added, load = self.terms[row]
        self.load[self.pool[row]] += count * load
        self.added[self.pool[row]] += count * added


def _kept(load: float) -> float:
    """Give the absorption of one load (as :func:`effects.absorption`, quicker for a single number)."""
    return -math.expm1(-load) / load if load > _WORTHLESS else 1.0


def _buy(menu: Menu, terms: _Terms, start: Whole) -> Whole:
    """Go on from some sessions with those that add most for their money, while there is money. Sessions of each row."""
    pools, bought = _Pools(menu, terms), start.copy()
    costs, option = menu.worth["session_cents"].tolist(), menu.option.tolist()
    left = menu.budget_cents - int((start * menu.worth["session_cents"].to_numpy()).sum())
    spare = (menu.capacity - np.bincount(menu.option, weights=start).astype(np.int64)).tolist()
    for row in np.flatnonzero(start).tolist():
        pools.buy(row, int(start[row]))
    heap = [(-pools.gain(row) / cost, row) for row, cost in enumerate(costs)]
    heapq.heapify(heap)
    while heap:
        stated, row = heapq.heappop(heap)
        if costs[row] > left or not spare[option[row]] or stated >= -_WORTHLESS / menu.budget_cents:
            continue
        true = -pools.gain(row) / costs[row]
        if heap and true > heap[0][0]:
            heapq.heappush(heap, (true, row))
            continue
        if true < 0:
            pools.buy(row)
            bought[row] += 1
            left -= costs[row]
            spare[option[row]] -= 1
            heapq.heappush(heap, (-pools.gain(row) / costs[row], row))
    return bought


def _bound(menu: Menu, terms: _Terms, bought: Whole, value: float) -> tuple[float, Whole]:
    """Look for the prices that bound all plans least, by subgradient steps from those that the greedy plan ended at.

    Gives the bound, and whole sessions that the pools would buy at the best prices within budget and capacities.
    """
    option, pool, capacity = menu.option, menu.pool, menu.capacity.astype(float)
    span = terms.span(pool, menu.capacity[option])
    money, prices = _last_prices(menu, terms, bought)
    scale = max(float(prices.mean()), _WORTHLESS)
    least, best = np.inf, np.zeros(len(option))
    for _ in range(_PRICE_STEPS):
        sessions, surplus = _choice(terms, money * terms.cost + prices[option], span, pool)
        bound = money + float(prices @ capacity) + surplus
        if bound < least:
            least, best = bound, sessions
        spare_money = 1 - float(sessions @ terms.cost)
        spare = capacity - np.bincount(option, weights=sessions, minlength=len(capacity))
        spare_money, spare = 0.0 if money <= 0 < spare_money else spare_money, np.where((prices <= 0) & (spare > 0), 0.0, spare)
        # money is priced in jobs for the whole budget, sessions in jobs each: both moves are brought to their own scale
        size = (value * spare_money) ** 2 + scale**2 * float((spare**2).sum())
        if size < _WORTHLESS:
            break
        stride = (bound - (least + value) / 2) / size
        money = max(0.0, money - stride * value**2 * spare_money)
        prices = np.maximum(0.0, prices - stride * scale**2 * spare)
    return least, _whole(menu, best)


def _last_prices(menu: Menu, terms: _Terms, bought: Whole) -> tuple[float, Numbers]:
    """Give what one more budget, and one more session of each option that ran out, would add to a plan."""
    pools, option = _Pools(menu, terms), menu.option
    for row in np.flatnonzero(bought).tolist():
        pools.buy(row, int(bought[row]))
    more = np.array([pools.gain(row) for row in range(len(option))])
    out = np.bincount(option, weights=bought, minlength=len(menu.capacity)) >= menu.capacity
    left = 1 - float(bought @ terms.cost)
    wanted = ~out[option] & (terms.cost > left)
    money = max(0.0, float((more / terms.cost)[wanted].max(initial=0.0)))
    prices = np.zeros(len(menu.capacity))
    np.maximum.at(prices, option, more - money * terms.cost)
    return money, np.where(out, prices, 0.0)


def _choice(terms: _Terms, price: Numbers, span: tuple[Numbers, Numbers], pool: Whole) -> tuple[Numbers, float]:
    """Let every pool buy parts of sessions at the prices. Gives sessions of each row, and the surplus of all pools."""
    low, high = span
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        more = _slope(terms, middle) > price
        low, high = np.where(more, middle, low), np.where(more, high, middle)
    surplus = high * (terms.lost - price + absorption(terms.committed + high * terms.load) * terms.added)
    order = np.lexsort((-surplus, pool))
    first = order[np.diff(pool[order], prepend=-1) > 0]
    sessions = np.zeros(len(price))
    gains = surplus[first]
    sessions[first] = np.where(gains > 0, high[first], 0.0)
    return sessions, float(gains[gains > 0].sum())


def _slope(terms: _Terms, sessions: Numbers) -> Numbers:
    """Give what a little more of each row would add, were it alone in its pool."""
    load = np.maximum(terms.committed + sessions * terms.load, _WORTHLESS)
    kept = absorption(load)
    fall = (np.exp(-load) - kept) / load
    return np.asarray(terms.lost + terms.added * (kept + sessions * terms.load * fall))


def _whole(menu: Menu, sessions: Numbers) -> Whole:
    """Round parts of sessions down, and cut what would pass the budget or a capacity, least bought first."""
    whole = np.floor(sessions + 1e-6).astype(np.int64)
    spare, left = menu.capacity.tolist(), menu.budget_cents
    option, costs = menu.option.tolist(), menu.worth["session_cents"].tolist()
    for row in np.argsort(-sessions, kind="stable").tolist():
        count = min(int(whole[row]), spare[option[row]], left // costs[row])
        whole[row] = count
        spare[option[row]] -= count
        left -= count * costs[row]
    return whole
