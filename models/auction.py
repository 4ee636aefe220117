"""Who is granted which seat: the assignment of people to sessions that is worth most in all, by an auction.

Everybody without a seat bids in turn for the session worth most to them less its price: as much as leaves them as well off
there as with their second choice, and a step more. A full session lets its lowest bidder go, and its price is its lowest bid.
Prices begin at nothing and only rise; a session that is not full costs nothing. Who is left finds everything dearer than it is
worth. (Bertsekas, 1988; steps keep bids from standing still.)

Any prices bound what the best assignment is worth:  Σ prices × seats + Σ over people of the best (worth − price), or nothing.
:func:`certify` adds it up: how far below the optimum an assignment is at most is known, whatever found it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.compiled import compiled
from models.pairs import Kept

Doubles = NDArray[np.float64]
Long = NDArray[np.int64]


class Granted(NamedTuple):
    """What an auction ends in: the column granted to each person (−1: none), the price of each session, and what it is worth.

    ``bound`` is what no assignment of these pairs passes.
    """

    column: Long
    prices: Doubles
    worth: float
    bound: float

    @property
    def gap(self) -> float:
        """How far below the optimum the assignment is, at most."""
        return 0.0 if self.bound <= 0 else max(0.0, 1.0 - self.worth / self.bound)


def grant_seats(kept: Kept, seats: Long, step: float) -> Granted:
    """Grant seats to people among the courses kept for them. ``column`` is a position in these, −1 for who is granted none.

    ``seats`` counts those of each session. The result is below the optimum by the number of seats granted × ``step`` at most.
    """
    prices, column = np.zeros(len(seats)), np.full(len(kept.session), -1, dtype=np.int64)
    ends = np.concatenate([[0], np.cumsum(seats)]).astype(np.int64)
    bids, bidders = np.zeros(ends[-1]), np.zeros(ends[-1], dtype=np.int64)
    _auction(kept, ends, step, prices, column, bids, bidders)
    worth, bound = certify(kept, seats, prices, column)
    return Granted(column, prices, worth, bound)


@compiled
def certify(kept: Kept, seats: Long, prices: Doubles, column: Long) -> tuple[float, float]:
    """Say what an assignment is worth, and what prices bound all assignments by."""
    worth, bound = 0.0, 0.0
    for who in range(len(column)):
        best = 0.0
        for choice in range(kept.session.shape[1]):
            where = kept.session[who, choice]
            if where >= 0:
                best = max(best, kept.likelihood[who, choice] * kept.worth[who, choice] - prices[where])
        bound += best
        if column[who] >= 0:
            worth += kept.likelihood[who, column[who]] * kept.worth[who, column[who]]
    for where in range(len(seats)):
        bound += prices[where] * seats[where]
    return worth, bound


@compiled
def _auction(kept: Kept, ends: Long, step: float, prices: Doubles, column: Long, bids: Doubles, bidders: Long) -> None:
    """Let people bid until nobody without a seat wants one. The bids of a session are a heap, the lowest on top."""
    count = len(column)
    waiting, left = np.arange(count - 1, -1, -1), count
    held = np.zeros(len(prices), dtype=np.int64)
    while left > 0:
        left -= 1
        who = waiting[left]
        best, second, choice = 0.0, 0.0, -1
        for other in range(kept.session.shape[1]):
            where = kept.session[who, other]
            if where < 0 or ends[where] == ends[where + 1]:
                continue
            net = kept.likelihood[who, other] * kept.worth[who, other] - prices[where]
            if net > best:
                best, second, choice = net, best, other
            elif net > second:
                second = net
        if choice < 0:
            continue
        where = kept.session[who, choice]
        bid, full = prices[where] + best - second + step, held[where] == ends[where + 1] - ends[where]
        column[who] = choice
        if full:
            waiting[left] = bidders[ends[where]]
            column[waiting[left]] = -1
            left += 1
            _sink(bids, bidders, ends[where], held[where], bid, who)
        else:
            held[where] += 1
            _rise(bids, bidders, ends[where], held[where], bid, who)
        if held[where] == ends[where + 1] - ends[where]:
            prices[where] = max(prices[where], bids[ends[where]])


@compiled
def _sink(bids: Doubles, bidders: Long, top: int, size: int, bid: float, who: int) -> None:
    """Put a bid in the place of the lowest of a heap."""
    at = 0
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and bids[top + child + 1] < bids[top + child]:
            child += 1
        if bids[top + child] >= bid:
            break
        bids[top + at], bidders[top + at] = bids[top + child], bidders[top + child]
        at = child
    bids[top + at], bidders[top + at] = bid, who


@compiled
def _rise(bids: Doubles, bidders: Long, top: int, size: int, bid: float, who: int) -> None:
    """Add a bid to a heap, which then holds ``size``."""
    at = size - 1
    while at > 0 and bids[top + (at - 1) // 2] > bid:
        bids[top + at], bidders[top + at] = bids[top + (at - 1) // 2], bidders[top + (at - 1) // 2]
        at = (at - 1) // 2
    bids[top + at], bidders[top + at] = bid, who
