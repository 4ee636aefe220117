"""Who is granted which seat: the assignment of people to sessions that is worth most in all, by an auction.

Everybody without a seat bids in turn for the session worth most to them less its price: as much as leaves them as well off
there as with their second choice, and a step more. A full session lets its lowest bidder go, and its price is its lowest bid.
Prices begin at nothing and only rise; a session that is not full costs nothing. Who is left finds everything dearer than it is
worth. (Bertsekas, 1988; steps keep bids from standing still.)

Only some courses of each person are known to the auction; what the others leave at most is (``floors``), as prices only rise.
Whom no known course leaves as much is set aside, until their best courses at the prices of the day are found. When nobody
is set aside any more, seats are granted as if all courses had been known.

Any prices bound what the best assignment is worth:  Σ prices × seats + Σ over people of the best (worth − price), or nothing.
:func:`certify` adds it up: how far below the optimum an assignment is at most is known, whatever found it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.compiled import compiled
from models.pairs import Flags, Kept

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


class Sale(NamedTuple):
    """An auction that goes on: the price of each session, the column granted to each person, and the bids that hold.

    A session's bids, a heap with the lowest on top, begin at ``ends`` of the one before; ``held`` counts them. ``floors`` is
    what courses that are not known leave each person at most.
    """

    prices: Doubles
    column: Long
    floors: Doubles
    ends: Long
    held: Long
    bids: Doubles
    bidders: Long


def open_sale(people: int, seats: Long) -> Sale:
    """Begin an auction of the seats of each session: nothing costs anything, and nobody holds any."""
    ends = np.concatenate([[0], np.cumsum(seats)]).astype(np.int64)
    sold = np.zeros(len(seats), dtype=np.int64)
    bidders = np.zeros(ends[-1], dtype=np.int64)
    return Sale(
        np.zeros(len(seats)), np.full(people, -1, dtype=np.int64), np.zeros(people), ends, sold, np.zeros(ends[-1]), bidders
    )


def grant_seats(kept: Kept, seats: Long, step: float) -> Granted:
    """Grant seats to people among the courses kept for them. ``column`` is a position in these, −1 for who is granted none.

    ``seats`` counts those of each session. The result is below the optimum by the number of seats granted × ``step`` at most.
    """
    sale = open_sale(len(kept.session), seats)
    hold(sale, kept, np.arange(len(kept.session)), step)
    return close(sale, kept, seats)


def hold(sale: Sale, kept: Kept, who: Long, step: float) -> Long:
    """Let people who hold no seat bid, the first first. Gives those who are set aside."""
    waiting = np.full(len(sale.column), -1, dtype=np.int64)
    waiting[: len(who)] = who[::-1]
    aside = np.zeros(len(sale.column), dtype=np.bool_)
    _auction(kept, sale, step, waiting, len(who), aside)
    return np.flatnonzero(aside)


def close(sale: Sale, kept: Kept, seats: Long) -> Granted:
    """Say what an auction ended in."""
    return Granted(sale.column, sale.prices, *certify(kept, seats, sale.prices, sale.column))


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
def _auction(kept: Kept, sale: Sale, step: float, waiting: Long, left: int, aside: Flags) -> None:
    """Let people bid until nobody without a seat wants one of those known."""
    prices, ends = sale.prices, sale.ends
    while left > 0:
        left -= 1
        who = waiting[left]
        best, second, choice = 0.0, sale.floors[who], -1
        for other in range(kept.session.shape[1]):
            where = kept.session[who, other]
            if where < 0 or ends[where] == ends[where + 1]:
                continue
            net = kept.likelihood[who, other] * kept.worth[who, other] - prices[where]
            if net > best:
                best, second, choice = net, max(best, second), other
            elif net > second:
                second = net
        if best < sale.floors[who]:
            aside[who] = True
        if choice < 0 or aside[who]:
            continue
        where = kept.session[who, choice]
        bid, size = prices[where] + best - second + step, ends[where + 1] - ends[where]
        sale.column[who] = choice
        if sale.held[where] == size:
            waiting[left] = sale.bidders[ends[where]]
            sale.column[waiting[left]] = -1
            left += 1
            _sink(sale.bids, sale.bidders, ends[where], size, bid, who)
        else:
            sale.held[where] += 1
            _rise(sale.bids, sale.bidders, ends[where], sale.held[where], bid, who)
        if sale.held[where] == size:
            prices[where] = max(prices[where], sale.bids[ends[where]])


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
