"""Every course that every person may enter, scored, and the best kept: the loop that is run for each person.

The rules are those of :mod:`models.sight`, which tells them one by one for one person; here they are only obeyed. A person's
courses are looked at place by place, the nearest first, and a place is passed over when nothing there can be better than
what was kept already: the same courses are kept as if all had been scored.

    score = weight × gain × likelihood          net = score − price of a seat
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.compiled import compiled

Reals = NDArray[np.float32]
Whole = NDArray[np.int32]
Long = NDArray[np.int64]
Flags = NDArray[np.bool_]

FAR = 2**30
"""A day that never comes."""
LONGEST = 1_000
"""Days of waiting that are told apart."""


class Seekers(NamedTuple):
    """People, an element each: where they live, what they ask, what they want, what they hold. Days count from 1970.

    ``moves`` has a column per type of course. ``closed`` lists the sessions that give what a person holds already, ``ready``
    those whose prerequisites a person is known to hold; both by number, cut at ``…_ends``.
    """

    home: Whole
    reach: Reals
    afoot: Whole
    ready_day: Whole
    level: Reals
    publics: Long
    wanted: Whole
    second: Whole
    last: Whole
    weight: Reals
    paid_until: Whole
    zone: Whole
    moves: Reals
    skill_ends: Long
    skills: Whole
    closed_ends: Long
    closed: Whole
    ready_ends: Long
    ready: Whole


def some_of(people: Seekers, who: Long) -> Seekers:
    """Take some people out, in the order asked for."""
    lists: dict[str, Any] = {}
    for cut, name in (("skill_ends", "skills"), ("closed_ends", "closed"), ("ready_ends", "ready")):
        ends = getattr(people, cut)
        sizes = ends[who + 1] - ends[who]
        own = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        lists |= {cut: own, name: getattr(people, name)[np.arange(own[-1]) + np.repeat(ends[who] - own[:-1], sizes)]}
    return Seekers(**{name: lists[name] if name in lists else column[who] for name, column in people._asdict().items()})


class Sessions(NamedTuple):
    """Sessions, an element each, in the order of their places: ``ends_at`` cuts them by place.

    ``first`` is the day it starts, ``until`` the last on which somebody can enter, ``ends`` its end; ``asked`` the level that
    binds, 0 without; ``admits`` a bit per public; ``kind``, ``field`` and ``aim`` number its type, its sector and what it leads
    to; ``gain`` is what it adds for anybody; ``quick`` what everybody faces in going through with it; ``quickest`` the most of
    it in each place.
    """

    ends_at: Long
    number: Whole
    first: Whole
    until: Whole
    ends: Whole
    kind: Whole
    field: Whole
    aim: Whole
    asked: Reals
    admits: Long
    gain: Reals
    quick: Reals
    asks: Flags
    quickest: Reals


class Roads(NamedTuple):
    """The places within reach of each home, the nearest first, cut by home at ``ends_at``; ``near`` has a row per way to go."""

    ends_at: Long
    place: Whole
    km: Reals
    near: Reals


class Tastes(NamedTuple):
    """What makes people go through with a course: how aims fit occupations wanted or left, and skills held; days waited."""

    wanted: Reals
    last: Reals
    skill_ends: Long
    skill_aims: Whole
    skill_share: Reals
    waits: Reals
    unpaid: float
    need: Reals
    least_gain: float


class Kept(NamedTuple):
    """The courses kept for each person, best first: people × courses; ``session`` −1 where there are no more."""

    session: Whole
    likelihood: Reals
    worth: Reals


def empty(people: int, kept: int) -> Kept:
    """Make room for so many courses of so many people."""
    shape = (people, kept)
    return Kept(np.full(shape, -1, dtype=np.int32), np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32))


@compiled
def scan(people: Seekers, courses: Sessions, roads: Roads, tastes: Tastes, prices: Reals, kept: Kept) -> None:
    """Keep for each person the courses of highest net, while it is more than nothing; of equal ones the first by position."""
    fits = np.zeros(tastes.wanted.shape[1], dtype=np.float32)
    net = np.zeros(kept.session.shape[1], dtype=np.float32)
    effect, best = np.zeros(len(courses.gain), dtype=np.float32), np.zeros(len(courses.quickest), dtype=np.float32)
    least, slack, zone = np.float32(tastes.least_gain), np.float32(1.0001), np.int32(-1)  # a bound has some room for rounding
    moves = np.zeros(people.moves.shape[1], dtype=np.float32)
    within = _aims_within(roads, courses, len(fits))
    kinds, aims = courses.kind.view(np.uint32), courses.aim.view(np.uint32)  # never below 0, which need not be looked at
    for who in range(len(people.home)):
        home, count, floor = people.home[who], 0, np.float32(0.0)
        if home < 0:
            continue
        if zone != people.zone[who]:
            zone = people.zone[who]
            _fill_effects(zone, courses, tastes, effect, best)
        fill_fits(who, people, tastes, within, fits)
        moves[:] = people.moves[who]
        weight, eager = people.weight[who], least
        for move in moves:
            eager = max(eager, move)
        for at in range(roads.ends_at[home], roads.ends_at[home + 1]):
            if roads.km[at] > people.reach[who]:
                break
            place, near = roads.place[at], roads.near[people.afoot[who], at]
            hope = near * weight * slack
            if hope * (best[place] + courses.quickest[place] * eager) < floor:
                continue
            for session in range(courses.ends_at[place], courses.ends_at[place + 1]):
                gain = max(effect[session] + moves[kinds[session]], least)
                if hope * courses.quick[session] * fits[aims[session]] * gain - prices[session] < floor:
                    continue
                if not _may_enter(who, session, people, courses):
                    continue
                worth, likely = weight * gain, near * courses.quick[session] * fits[aims[session]]
                likely *= _patience(who, session, people, courses, tastes)
                value = likely * worth - prices[session]
                if value > floor or (value == floor and count == len(net) and session < kept.session[who, count - 1]):
                    count = _keep(who, kept, net, count, value, session, likely, worth)
                    floor = net[count - 1] if count == len(net) else np.float32(0.0)


@compiled
def _aims_within(roads: Roads, courses: Sessions, count: int) -> Long:
    """List what the courses within reach of some homes lead to: of all the aims of a country, a few."""
    passed, aimed = np.zeros(len(courses.quickest), dtype=np.bool_), np.zeros(count, dtype=np.bool_)
    for place in roads.place:
        if not passed[place]:
            passed[place] = True
            for session in range(courses.ends_at[place], courses.ends_at[place + 1]):
                aimed[courses.aim[session]] = True
    return np.flatnonzero(aimed)


@compiled
def _fill_effects(zone: int, courses: Sessions, tastes: Tastes, effect: Reals, best: Reals) -> None:
    """Say what each course adds for who lives in a zone, and the most that this times its quickness reaches in each place."""
    for place in range(len(best)):
        best[place] = np.float32(0.0)
        for session in range(courses.ends_at[place], courses.ends_at[place + 1]):
            effect[session] = courses.gain[session] * tastes.need[zone, courses.field[session]]
            best[place] = max(best[place], courses.quick[session] * effect[session])


@compiled
def fill_fits(who: int, people: Seekers, tastes: Tastes, aims: Long, fits: Reals) -> None:
    """Say how some aims answer what a person wants, did, and can do; of others nothing is said."""
    first, second = tastes.wanted[people.wanted[who]], tastes.wanted[people.second[who]]
    last = tastes.last[people.last[who]]
    for aim in aims:
        fits[aim] = max(first[aim], second[aim], last[aim])
    for at in range(people.skill_ends[who], people.skill_ends[who + 1]):
        skill = people.skills[at]
        for link in range(tastes.skill_ends[skill], tastes.skill_ends[skill + 1]):
            aim = tastes.skill_aims[link]
            fits[aim] += (np.float32(1.0) - fits[aim]) * tastes.skill_share[link]


@compiled
def _may_enter(who: int, session: int, people: Seekers, courses: Sessions) -> bool:
    """Say whether a person within reach may enter a course."""
    if people.ready_day[who] > courses.until[session] or people.level[who] < courses.asked[session]:
        return False
    if people.publics[who] & courses.admits[session] == 0:
        return False
    for at in range(people.closed_ends[who], people.closed_ends[who + 1]):
        if people.closed[at] == courses.number[session]:
            return False
    if courses.asks[session]:
        for at in range(people.ready_ends[who], people.ready_ends[who + 1]):
            if people.ready[at] == courses.number[session]:
                return True
        return False
    return True


@compiled
def _patience(who: int, session: int, people: Seekers, courses: Sessions, tastes: Tastes) -> np.float32:
    """Say what waiting for a course, and following it when the allowance is over, leave of the likelihood."""
    entry = max(courses.first[session], people.ready_day[who])
    waits = np.float32(tastes.waits[min(entry - people.ready_day[who], len(tastes.waits) - 1)])
    over = after_allowance(entry, courses.ends[session], people.paid_until[who])
    return waits * (np.float32(1.0) - np.float32(tastes.unpaid) * np.float32(over))


@compiled
def after_allowance(entry: int, ends: int, paid_until: int) -> float:
    """Say which part of a course lies after the end of an allowance; none where an end is unknown."""
    over = ends - max(paid_until, entry)
    return 0.0 if over <= 0 or ends <= entry or ends >= FAR else over / (ends - entry)


@compiled
def _keep(
    who: int, kept: Kept, net: Reals, count: int, value: np.float32, session: int, likely: np.float32, worth: np.float32
) -> int:
    """Put a course where it belongs among those kept; gives how many there are."""
    at = count if count < len(net) else len(net) - 1
    while at > 0 and (net[at - 1] < value or (net[at - 1] == value and kept.session[who, at - 1] > session)):
        net[at] = net[at - 1]
        kept.session[who, at] = kept.session[who, at - 1]
        kept.likelihood[who, at] = kept.likelihood[who, at - 1]
        kept.worth[who, at] = kept.worth[who, at - 1]
        at -= 1
    net[at] = value
    kept.session[who, at], kept.likelihood[who, at], kept.worth[who, at] = session, likely, worth
    return min(count + 1, len(net))
