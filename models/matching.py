"""Which course for whom: every course a person may enter, seats shared by prices, ten proposals for everybody.

Three steps, over the same rules and the same scores:

1. the best courses of everybody are found, whoever else wants them (:mod:`models.pairs`);
2. seats are granted to those to whom they are worth most in all, by an auction that ends in a price for each seat
   (:mod:`models.auction`); it stops to find others, at its prices, for those who have none left of the courses found for them;
3. lists are filled: the seat granted first, then the best of the rest, their price paid, while sessions can bear it
   (:mod:`models.fill`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.params import Section, param
from models.auction import Doubles, Granted, Long, Sale, certify, close, hold, open_sale
from models.compiled import compiled
from models.fill import fill_lists
from models.likelihood import LikelihoodParams
from models.market import EntryParams, Market, lay_out
from models.pairs import Kept, Reals, Roads, Seekers, Sessions, Tastes, empty, scan, some_of
from models.sight import look
from models.spread import Errand, Spread, in_turn, territories_of

_FEW = 5_000  # people: to look for fewer is over sooner than asking elsewhere


class MatchingParams(Section):
    """How courses are proposed."""

    recommendations: int = param(10, "courses proposed to a person at most", unit="courses", ge=1, le=10)
    candidates: int = param(
        32, "courses looked at for each person, those found at prices besides", unit="courses", ge=10, le=500
    )
    rounds: int = param(
        30,
        "times at most that the auction stops to find courses for who has none left; it ends when nobody has",
        unit="times",
        ge=1,
        le=1000,
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
    """The people of one part, the roads from their homes, and the territories they live in."""

    people: Seekers
    roads: Roads
    territories: tuple[str, ...] = ()


@dataclass(frozen=True)
class Matched:
    """Who is proposed what. ``people`` has a row per person served, in the order of ``kept``; ``lists`` are columns of it.

    ``room`` is by session of the market, as the prices granted at: how many people it can still bear. ``gap`` says how far
    below the best that all pairs allow the seats granted are, at most.
    """

    people: pd.DataFrame
    kept: Kept
    granted: Granted
    lists: NDArray[np.int16]
    room: Doubles
    gap: float

    def part(self, start: int, end: int) -> Matched:
        """Keep some of the people, and what is theirs; prices and room stay those of all."""
        of = self.kept
        kept = Kept(of.session[start:end], of.likelihood[start:end], of.worth[start:end])
        granted = self.granted._replace(column=self.granted.column[start:end])
        return replace(
            self,
            people=self.people.iloc[start:end].reset_index(drop=True),
            kept=kept,
            granted=granted,
            lists=self.lists[start:end],
        )


class Goods(NamedTuple):
    """What a search needs of a market, whoever searches."""

    sessions: Sessions
    tastes: Tastes


class Asked(NamedTuple):
    """Whom so many courses are looked for: people of a part by their position in it, all of them where it is not told."""

    who: Long | None
    most: int


class Held(NamedTuple):
    """A part that lies where tasks run: where its people begin and end among all."""

    start: int
    end: int
    laid: Laid
    territories: tuple[str, ...]


Search = Callable[[Doubles, int, "Long | None"], Iterable[tuple[Long, Kept]]]
"""What finds so many courses at some prices, for everybody or for some, part by part: which people, and theirs."""


def match_people(parts: Sequence[pd.DataFrame], market: Market, params: MatchingParams, spread: Spread = in_turn) -> Matched:
    """Propose courses to the people of all parts: same people in the same order, none of whom objects.

    Seats are shared over all of them: where parts end changes nothing.
    """
    held = spread.hold(market)
    laid = list(spread(lay_out_part, [Errand(territories_of(part), (part, held)) for part in parts]))
    people = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    return match_laid(people, laid, market, params, spread)


def lay_out_part(people: pd.DataFrame, market: Market) -> Laid:
    """Lay out the people of one part."""
    return Laid(*lay_out(people, market), territories_of(people))


def match_laid(
    people: pd.DataFrame, laid: Sequence[Laid], market: Market, params: MatchingParams, spread: Spread = in_turn
) -> Matched:
    """Propose courses to people who are laid out; ``people`` is who they are, one row per person, for who wants to know it."""
    goods = Goods(market.sessions, market.tastes)
    here = partial(_search, parts=_placed(laid, in_turn), goods=goods, spread=in_turn)
    there = partial(_search, parts=_placed(laid, spread), goods=spread.hold(goods), spread=spread)
    search = partial(_near_or_far, here=here, there=there)
    seats, count = np.floor(market.seats * params.overbooking).astype(np.int64), sum(len(part.people.home) for part in laid)
    kept, sale = share_seats(search, count, seats, params)
    granted = close(sale, kept, seats)
    best = empty(count, 1)
    for rows, found in search(granted.prices, 1, None):
        write(best, found, rows)
    _, bound = certify(best, seats, granted.prices, np.full(count, -1, dtype=np.int64))
    uptakes, bears = uptakes_of(params), np.asarray(market.seats * params.overbooking, dtype=np.float64)
    lists = fill_lists(kept, granted.column, granted.prices, bears, uptakes)
    room = bears - loads_of(kept, lists, uptakes, len(seats))
    gap = max(granted.gap, 0.0 if bound <= 0 else 1.0 - granted.worth / bound)
    return Matched(people, kept, granted, lists, room, gap)


def share_seats(search: Search, people: int, seats: Long, params: MatchingParams) -> tuple[Kept, Sale]:
    """Hold an auction over all courses, known or not: whoever has none left that are known is found others, at its prices."""
    kept, sale = empty(people, 2 * params.candidates), open_sale(people, seats)
    for rows, found in search(sale.prices, params.candidates, None):
        write(kept, found, rows)
        sale.floors[rows] = floors_of(found, sale.prices)
    step, who = params.precision * mean_choice(kept), np.arange(people)
    for _ in range(params.rounds):
        who = hold(sale, kept, who, step)
        if not len(who):
            break
        for rows, found in search(sale.prices, params.candidates, who):
            sale.floors[rows] = floors_of(found, sale.prices)
            renew(kept, found, rows)
    return kept, sale


@compiled
def floors_of(found: Kept, prices: Doubles) -> Doubles:
    """Say what courses that were not found leave each person at most: what the last one found does, nothing where all were."""
    floors, last = np.zeros(len(found.session)), found.session.shape[1] - 1
    for who in range(len(floors)):
        if found.session[who, last] >= 0:
            net = found.likelihood[who, last] * found.worth[who, last] - prices[found.session[who, last]]
            floors[who] = max(0.0, net)
    return floors


def mean_choice(kept: Kept) -> float:
    """Give the mean score of what people would choose if seats had no end; 1 where nobody would choose anything."""
    first = (kept.likelihood[:, :1] * kept.worth[:, :1])[kept.session[:, :1] >= 0]
    return float(first.mean(dtype="float64")) if len(first) else 1.0


def uptakes_of(params: MatchingParams) -> Doubles:
    """Say how likely the proposal of each rank is taken up."""
    return np.asarray(params.uptake * (1 - params.uptake) ** np.arange(params.recommendations), dtype=np.float64)


def find_courses(laid: Laid, market: Market, prices: Doubles, count: int) -> Kept:
    """Find the courses of highest net of the people of a part: no other part's are needed."""
    return find_some(laid, Goods(market.sessions, market.tastes), prices.astype(np.float32), Asked(None, count))


def find_some(laid: Laid, goods: Goods, prices: Reals, asked: Asked) -> Kept:
    """Find courses for some people of a part: a task that runs anywhere."""
    people = laid.people if asked.who is None else some_of(laid.people, asked.who)
    kept = empty(len(people.home), asked.most)
    scan(people, goods.sessions, laid.roads, goods.tastes, prices, kept)
    return kept


def _placed(laid: Sequence[Laid], spread: Spread) -> list[Held]:
    """Put the parts where tasks run."""
    ends = np.cumsum([len(part.people.home) for part in laid], dtype=np.int64).tolist()
    starts = [0, *ends[:-1]]
    return [Held(at, end, spread.hold(part), part.territories) for at, end, part in zip(starts, ends, laid, strict=False)]


def _near_or_far(prices: Doubles, count: int, who: Long | None, *, here: Search, there: Search) -> Iterable[tuple[Long, Kept]]:
    """Find courses where tasks run; for a few people here, since asking elsewhere would take longer."""
    return (here if who is not None and len(who) < _FEW else there)(prices, count, who)


def _search(
    prices: Doubles, count: int, who: Long | None, *, parts: Sequence[Held], goods: Goods, spread: Spread
) -> Iterator[tuple[Long, Kept]]:
    """Find courses part by part, for everybody or for some (in order). Gives whom they are for, and what was found.

    The longest parts come first, so that workers end together.
    """
    priced = spread.hold(prices.astype(np.float32))
    shares = sorted(_shares(parts, who), key=lambda share: -len(share[1]))
    errands = [
        Errand(part.territories, (part.laid, goods, priced, Asked(None if who is None else own - part.start, count)))
        for part, own in shares
    ]
    return zip((own for _, own in shares), spread(find_some, errands), strict=True)


def _shares(parts: Sequence[Held], who: Long | None) -> Iterator[tuple[Held, Long]]:
    """Say of each part who of its people are asked for; parts of which nobody is are left out."""
    for part in parts:
        if who is None:
            own = np.arange(part.start, part.end)
        else:
            own = who[np.searchsorted(who, part.start) : np.searchsorted(who, part.end)]
        if len(own):
            yield part, own


def write(kept: Kept, found: Kept, rows: Long) -> None:
    """Write the courses found for people in their rows, from the first column on."""
    for whole, own in zip(kept, found, strict=True):
        whole[rows, : own.shape[1]] = own


@compiled
def renew(kept: Kept, found: Kept, some: Long) -> None:
    """Put the courses found for some people in the second half of the columns, but those that stand in the first."""
    old = found.session.shape[1]
    for at in range(len(some)):
        who = some[at]
        for choice in range(old):
            session = found.session[at, choice]
            new = session >= 0
            for other in range(old):
                new = new and kept.session[who, other] != session
            kept.session[who, old + choice] = session if new else -1
            kept.likelihood[who, old + choice] = found.likelihood[at, choice]
            kept.worth[who, old + choice] = found.worth[at, choice]


@compiled
def loads_of(kept: Kept, lists: NDArray[np.int16], uptakes: Doubles, sessions: int) -> Doubles:
    """Add up the people expected in each session."""
    loads = np.zeros(sessions)
    for who in range(len(lists)):
        for rank in range(lists.shape[1]):
            column = lists[who, rank]
            if column >= 0:
                loads[kept.session[who, column]] += uptakes[rank] * kept.likelihood[who, column]
    return loads


def lists_of(kept: Kept) -> NDArray[np.int16]:
    """List the courses kept for people in their order, seats or not: columns of ``kept``, −1 where there are none."""
    return np.where(kept.session >= 0, np.arange(kept.session.shape[1]), -1).astype(np.int16)


# What is told -----------------------------------------------------------------------------------------------------------


def tell_lists(people: pd.DataFrame, kept: Kept, lists: NDArray[np.int16], market: Market, prices: Doubles) -> pd.DataFrame:
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
