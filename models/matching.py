"""Which course for whom: every course a person may enter, seats shared by prices, ten proposals for everybody.

Three steps, over the same rules and the same scores:

1. the best courses of everybody are found, whoever else wants them (:mod:`models.pairs`);
2. seats are granted to those to whom they are worth most in all, by an auction that ends in a price for each seat
   (:mod:`models.auction`); courses that look better at these prices are found, and the auction held again;
3. lists are filled: the seat granted first, then the best of the rest, their price paid, while sessions can bear it
   (:mod:`models.fill`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.params import Section, param
from models.auction import Doubles, Granted, certify, grant_seats
from models.compiled import compiled
from models.fill import fill_lists
from models.likelihood import LikelihoodParams
from models.market import EntryParams, Market, lay_out
from models.pairs import Kept, Roads, Seekers, empty, scan
from models.sight import look

Part, Made = TypeVar("Part"), TypeVar("Made")
Spread = Callable[[Callable[[Part], Made], Sequence[Part]], list[Made]]
"""What runs a task on every part, and gives what it made of them in their order."""


class MatchingParams(Section):
    """How courses are proposed."""

    recommendations: int = param(10, "courses proposed to a person at most", unit="courses", ge=1, le=10)
    candidates: int = param(
        32, "courses looked at for each person, those found at prices besides", unit="courses", ge=10, le=500
    )
    rounds: int = param(
        2, "auctions held, each after courses that look better at the prices of the last were found", ge=1, le=10
    )
    uptake: float = param(
        0.5, "probability that a proposal is taken up when those before it were not", unit="share", ge=0.05, le=0.95
    )
    overbooking: float = param(1.0, "people expected in a session, by its seats, at most", unit="ratio", ge=0.5, le=5)
    precision: float = param(
        0.003,
        "what bids rise by at least, by the mean score of what people would choose: the smaller, the nearer to the optimum",
        unit="ratio",
        ge=1e-9,
        le=0.5,
    )
    judged: int = param(
        50_000,
        "people by whom recommendations are held against simple orders; more are not looked at",
        unit="people",
        ge=100,
        le=10_000_000,
    )
    entry: EntryParams = EntryParams()
    likelihood: LikelihoodParams = LikelihoodParams()


class Laid(NamedTuple):
    """The people of one part, and the roads from their homes."""

    people: Seekers
    roads: Roads


@dataclass(frozen=True)
class Matched:
    """Who is proposed what. ``people`` has a row per person served, in the order of ``kept``; ``lists`` are columns of it.

    ``room`` is by session of the market, as the prices granted at: how many people it can still bear. ``gap`` says how far
    below the best that all pairs allow the seats granted are, at most.
    """

    people: pd.DataFrame
    kept: Kept
    granted: Granted
    lists: NDArray[np.int64]
    room: Doubles
    gap: float


def run_all(task: Callable[[Part], Made], parts: Sequence[Part]) -> list[Made]:
    """Run a task on each part, one after the other."""
    return [task(part) for part in parts]


def match_people(parts: Sequence[pd.DataFrame], market: Market, params: MatchingParams, spread: Spread = run_all) -> Matched:
    """Propose courses to the people of all parts: same people in the same order, none of whom objects.

    Seats are shared over all of them: where parts end changes nothing.
    """
    laid = [Laid(*lay_out(part, market)) for part in parts]
    search = partial(_search, market=market, spread=spread, laid=laid)
    seats = np.floor(market.seats * params.overbooking).astype(np.int64)
    kept = search(np.zeros(len(seats)), params.candidates)
    step = params.precision * mean_choice(kept)
    granted = grant_seats(kept, seats, step)
    for _ in range(params.rounds - 1):
        kept = widen(kept, search(granted.prices, params.recommendations))
        granted = grant_seats(kept, seats, step)
    best = search(granted.prices, 1)
    _, bound = certify(best, seats, granted.prices, np.full(len(best.session), -1, dtype=np.int64))
    uptakes = uptakes_of(params)
    lists = fill_lists(kept, granted.column, granted.prices, market.seats * params.overbooking, uptakes)
    room = market.seats * params.overbooking - loads_of(kept, lists, uptakes, len(seats))
    gap = max(granted.gap, 0.0 if bound <= 0 else 1.0 - granted.worth / bound)
    people = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    return Matched(people, kept, granted, lists, room, gap)


def mean_choice(kept: Kept) -> float:
    """Give the mean score of what people would choose if seats had no end; 1 where nobody would choose anything."""
    first = (kept.likelihood[:, :1] * kept.worth[:, :1])[kept.session[:, :1] >= 0]
    return float(first.mean(dtype="float64")) if len(first) else 1.0


def uptakes_of(params: MatchingParams) -> Doubles:
    """Say how likely the proposal of each rank is taken up."""
    return params.uptake * (1 - params.uptake) ** np.arange(params.recommendations)


def find_courses(laid: Laid, market: Market, prices: Doubles, count: int) -> Kept:
    """Find the courses of highest net of the people of a part: no other part's are needed."""
    kept = empty(len(laid.people.home), count)
    if len(market.courses):
        scan(laid.people, market.sessions, laid.roads, market.tastes, prices.astype(np.float32), kept)
    return kept


def _search(prices: Doubles, count: int, *, market: Market, spread: Spread, laid: Sequence[Laid]) -> Kept:
    """Find courses part by part, and set the parts one below the other."""
    task = partial(find_courses, market=market, prices=prices, count=count)
    found = spread(task, laid)
    return Kept(*(np.concatenate(columns) for columns in zip(*found, strict=True))) if found else empty(0, count)


def widen(kept: Kept, found: Kept) -> Kept:
    """Set beside the courses kept those found that are not among them."""
    wide = empty(len(kept.session), kept.session.shape[1] + found.session.shape[1])
    _join(kept, found, wide)
    return wide


@compiled
def _join(kept: Kept, found: Kept, wide: Kept) -> None:
    """Copy the courses kept, then those found that are new."""
    old = kept.session.shape[1]
    for who in range(len(kept.session)):
        for choice in range(old):
            wide.session[who, choice] = kept.session[who, choice]
            wide.likelihood[who, choice] = kept.likelihood[who, choice]
            wide.worth[who, choice] = kept.worth[who, choice]
        for choice in range(found.session.shape[1]):
            new = found.session[who, choice] >= 0
            for other in range(old):
                new = new and kept.session[who, other] != found.session[who, choice]
            if new:
                wide.session[who, old + choice] = found.session[who, choice]
                wide.likelihood[who, old + choice] = found.likelihood[who, choice]
                wide.worth[who, old + choice] = found.worth[who, choice]


def loads_of(kept: Kept, lists: NDArray[np.int64], uptakes: Doubles, sessions: int) -> Doubles:
    """Add up the people expected in each session."""
    who, rank = np.nonzero(lists >= 0)
    column = lists[who, rank]
    load = uptakes[rank] * kept.likelihood[who, column]
    return np.asarray(np.bincount(kept.session[who, column], weights=load, minlength=sessions), dtype=np.float64)


def lists_of(kept: Kept) -> NDArray[np.int64]:
    """List the courses kept for people in their order, seats or not: columns of ``kept``, −1 where there are none."""
    return np.where(kept.session >= 0, np.arange(kept.session.shape[1]), -1)


# What is told -----------------------------------------------------------------------------------------------------------


def tell_lists(people: pd.DataFrame, kept: Kept, lists: NDArray[np.int64], market: Market, prices: Doubles) -> pd.DataFrame:
    """Write lists of courses, and what makes them. One row per person, rank: as :func:`models.sight.look` tells.

    ``who`` is the place of the person in ``people``, ``course`` that of the session in the market.
    """
    who, rank = np.nonzero(lists >= 0)
    course = kept.session[who, lists[who, rank]].astype(np.int64)
    priced = pd.Series(prices, index=market.courses["session"])
    told = look(people, who.astype(np.int64), market.courses.iloc[course].reset_index(drop=True), market, priced)
    return told.assign(person=people["person"].to_numpy()[who], rank=rank + 1, who=who, course=course)


def tell_proposals(matched: Matched, market: Market) -> pd.DataFrame:
    """Write what is proposed. One row per person, rank: as :func:`tell_lists`, and the seats that are expected to be left."""
    told = tell_lists(matched.people, matched.kept, matched.lists, market, matched.granted.prices)
    left = np.floor(np.maximum(matched.room, 0.0)).astype(np.int64)
    return told.assign(seats_left=left[told["course"].to_numpy()])


def tell_granted(matched: Matched, market: Market) -> pd.DataFrame:
    """Say who is granted which seat. One row per person granted one: session."""
    who = np.flatnonzero(matched.granted.column >= 0)
    course = matched.kept.session[who, matched.granted.column[who]]
    sessions = market.courses["session"].to_numpy()[course]
    return pd.DataFrame({"person": matched.people.iloc[who]["person"].to_numpy(), "session": sessions})


def tell_loads(matched: Matched, market: Market, params: MatchingParams) -> pd.DataFrame:
    """Say what is expected of each session open to somebody. One row per session: seats, expected_load, price."""
    load = market.seats * params.overbooking - matched.room
    told = pd.DataFrame(
        {
            "session": market.courses["session"],
            "seats": market.seats,
            "expected_load": np.maximum(load, 0.0),
            "price": matched.granted.prices,
        }
    )
    return told.sort_values("session", ignore_index=True)
