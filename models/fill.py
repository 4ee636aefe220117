"""Lists of ten for everybody: the seat granted first, then what is best of the rest while sessions can bear it.

A proposal of rank r is taken up with probability uptake × (1 − uptake)^(r − 1), and gone through with as likely as its course
says: their product is what it loads its session with. No session is loaded with more than its seats × the overbooking factor.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.auction import Doubles, Long
from models.compiled import compiled
from models.pairs import Kept

NONE = -1


def fill_lists(kept: Kept, granted: Long, prices: Doubles, room: Doubles, uptakes: Doubles) -> NDArray[np.int16]:
    """Choose the courses of each person, as columns of ``kept``: people × ranks, −1 where a list ends.

    In each round everybody takes one more: of the courses not yet in the list whose session can bear it, that of highest
    score less the price of its seat. Those come first to whom it leaves most: who are next to be granted a seat.
    """
    nets, choices = _in_order(kept, prices)
    order = np.argsort(-nets, kind="stable")
    lists = np.full((len(granted), len(uptakes)), NONE, dtype=np.int16)
    _fill(kept, choices, granted, room.copy(), uptakes, order, lists)
    return lists


@compiled
def _in_order(kept: Kept, prices: Doubles) -> tuple[Doubles, NDArray[np.int16]]:
    """Say what each person's best course leaves, its seat paid, and order the courses by it: of equal ones the first."""
    people, most = kept.session.shape
    nets, choices = np.full(people, -np.inf), np.full((people, most), NONE, dtype=np.int16)
    own = np.zeros(most)
    for who in range(people):
        count = 0
        for choice in range(most):
            where = kept.session[who, choice]
            if where < 0:
                continue
            net, at = kept.likelihood[who, choice] * kept.worth[who, choice] - prices[where], count
            while at > 0 and own[at - 1] < net:
                own[at], choices[who, at] = own[at - 1], choices[who, at - 1]
                at -= 1
            own[at], choices[who, at] = net, choice
            count += 1
        if count:
            nets[who] = own[0]
    return nets, choices


@compiled
def _fill(
    kept: Kept,
    choices: NDArray[np.int16],
    granted: Long,
    room: Doubles,
    uptakes: Doubles,
    order: Long,
    lists: NDArray[np.int16],
) -> None:
    """Fill lists, round after round; a round later a session may have no room that it had before, never the reverse."""
    count = np.zeros(len(granted), dtype=np.int64)
    for who in range(len(granted)):
        if granted[who] >= 0:
            lists[who, 0], count[who] = granted[who], 1
            room[kept.session[who, granted[who]]] -= uptakes[0] * kept.likelihood[who, granted[who]]
    for rank in range(len(uptakes)):
        for who in order:
            if count[who] != rank:
                continue
            for choice in choices[who]:
                if choice < 0:
                    break
                load, session = uptakes[rank] * kept.likelihood[who, choice], kept.session[who, choice]
                if load <= room[session] and not _listed(lists[who], rank, choice):
                    lists[who, rank], count[who] = choice, rank + 1
                    room[session] -= load
                    break


@compiled
def _listed(own: Long, count: int, choice: int) -> bool:
    """Say whether a choice stands among the first of a list."""
    at = 0
    while at < count and own[at] != choice:
        at += 1
    return at < count
