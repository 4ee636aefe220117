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
    order = np.argsort(-_best_nets(kept, prices), kind="stable")
    lists = np.full((len(granted), len(uptakes)), NONE, dtype=np.int16)
    _fill(kept, prices, granted, room.copy(), uptakes, order, lists)
    return lists


@compiled
def _best_nets(kept: Kept, prices: Doubles) -> Doubles:
    """Say what each person's best course leaves, its seat paid."""
    nets = np.full(len(kept.session), -np.inf)
    for who in range(len(nets)):
        for choice in range(kept.session.shape[1]):
            if kept.session[who, choice] >= 0:
                nets[who] = max(nets[who], _net(kept, prices, who, choice))
    return nets


@compiled
def _net(kept: Kept, prices: Doubles, who: int, choice: int) -> float:
    """Give the score of a course less the price of its seat."""
    return float(kept.likelihood[who, choice] * kept.worth[who, choice] - prices[kept.session[who, choice]])


@compiled
def _fill(
    kept: Kept, prices: Doubles, granted: Long, room: Doubles, uptakes: Doubles, order: Long, lists: NDArray[np.int16]
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
            best, chosen = -np.inf, NONE
            for choice in range(kept.session.shape[1]):
                session = kept.session[who, choice]
                if session < 0 or uptakes[rank] * kept.likelihood[who, choice] > room[session]:
                    continue
                net = _net(kept, prices, who, choice)
                if net > best and not _listed(lists[who], rank, choice):
                    best, chosen = net, choice
            if chosen >= 0:
                lists[who, rank], count[who] = chosen, rank + 1
                room[kept.session[who, chosen]] -= uptakes[rank] * kept.likelihood[who, chosen]


@compiled
def _listed(own: Long, count: int, choice: int) -> bool:
    """Say whether a choice stands among the first of a list."""
    at = 0
    while at < count and own[at] != choice:
        at += 1
    return at < count
