"""The sequences of courses that one person can follow, and the best of them: the loop that is run for each beginning.

A label is what a person is after some steps: the day he or she is free, the level, what the steps gave, the worth so far and
the chance to get so far. Labels are set in the order of time, deepest first, and dropped where even the best that could
follow would not beat what was found: the answer is that of all sequences looked at one by one.

    likelihood: as in :mod:`models.pairs`, × what the gap before the step leaves
    worth of a step = weight × gain × likelihood − price of a seat
    worth of a pathway = Σ worth of a step × chance to get so far
    chance to get so far = Π likelihood × chance to finish, over the steps before
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.compiled import compiled
from models.pairs import FAR, Flags, Long, Reals, Roads, Seekers, Sessions, Tastes, Whole, after_allowance, fill_fits

NONE = -1
Doubles = NDArray[np.float64]


class Ladder(NamedTuple):
    """What each session of a market leads to, an element each: a step stands on a higher ``rung`` than the one before.

    ``lifts``: levels above the own one that it opens; ``gives``: the level it gives, 0 where none; ``finish``: the chance to
    finish it; ``leads``: something may follow. ``shuts`` lists the sessions that give what it gave, ``unlocks`` those that ask
    it before, both by position and in order, cut at ``…_ends``. ``waits`` is what days of waiting leave: a row before the first
    step, one after.
    """

    rung: Whole
    lifts: Reals
    gives: Reals
    finish: Reals
    leads: Flags
    shut_ends: Long
    shuts: Whole
    unlock_ends: Long
    unlocks: Whole
    waits: Reals


class Ground(NamedTuple):
    """Where steps are looked for. ``aimed`` says of each aim whether a pathway may end with a course that has it."""

    courses: Sessions
    roads: Roads
    tastes: Tastes
    prices: Reals
    ladder: Ladder
    aimed: Flags


class Begun(NamedTuple):
    """Beginnings, an element each: who, the first step (``NONE``: any), its worth, how likely it is gone through with."""

    who: Whole
    first: Whole
    worth: Reals
    likelihood: Reals


class Found(NamedTuple):
    """The best pathway of each beginning: what it is worth, and its sessions (beginnings × steps), ``NONE`` after the last."""

    worth: Doubles
    path: Whole


class Options(NamedTuple):
    """Courses that one person could follow some day, an element each.

    ``bound`` is what each could bring at most with all that follows; ``may``: nothing is asked before, or it is held.
    """

    session: Whole
    likely: Reals
    worth: Reals
    may: Flags
    bound: Doubles


class Labels(NamedTuple):
    """What a person is before each step of a sequence, and how many options were tried as this step."""

    path: Whole
    tried: Long
    ready: Long
    own: Reals
    level: Reals
    worth: Doubles
    reach: Doubles


def room_for(beginnings: int, steps: int) -> Found:
    """Make room for the pathways of so many beginnings."""
    return Found(np.zeros(beginnings), np.full((beginnings, steps), NONE, dtype=np.int32))


@compiled
def search(people: Seekers, ground: Ground, begun: Begun, found: Found) -> None:
    """Find the best pathway of each beginning; none is worth 0. Beginnings of one person stand together.

    A first step that is given is taken as it is, whatever it is worth.
    """
    size, steps = len(ground.courses.first), found.path.shape[1]
    fits = np.zeros(ground.tastes.wanted.shape[1], dtype=np.float32)
    aims, options, labels = np.arange(len(fits)), _no_options(size), _no_labels(steps + 1)
    last, order = NONE, np.zeros(0, dtype=np.int64)
    for row in range(len(begun.who)):
        who = begun.who[row]
        if not _begin(row, people, ground, begun, labels, found):
            continue
        if who != last:
            last = who
            fill_fits(who, people, ground.tastes, aims, fits)
            order = _promise(_gather(who, people, ground, fits, options), steps, ground, options)
        _follow(row, order, people, ground, options, labels, begun, found)


@compiled
def _no_options(size: int) -> Options:
    """Make room for the options of one person."""
    number, flag, real = np.zeros(size, dtype=np.int32), np.zeros(size, dtype=np.bool_), np.zeros(size, dtype=np.float32)
    return Options(number, real, real.copy(), flag, np.zeros(size))


@compiled
def _no_labels(size: int) -> Labels:
    """Make room for the labels of one sequence."""
    whole, real = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.float32)
    path = np.full(size, NONE, dtype=np.int32)
    return Labels(path, whole, whole.copy(), real, real.copy(), np.zeros(size), np.zeros(size))


@compiled
def _gather(who: int, people: Seekers, ground: Ground, fits: Reals, options: Options) -> int:
    """List what a person could follow some day, whatever the level and what is asked before; gives how many there are."""
    courses, roads = ground.courses, ground.roads
    count, home, weight = 0, people.home[who], people.weight[who]
    if home < 0:
        return count
    for at in range(roads.ends_at[home], roads.ends_at[home + 1]):
        if roads.km[at] > people.reach[who]:
            break
        near, place = roads.near[people.afoot[who], at], roads.place[at]
        for session in range(courses.ends_at[place], courses.ends_at[place + 1]):
            if people.publics[who] & courses.admits[session] == 0 or people.ready_day[who] > courses.until[session]:
                continue
            number = courses.number[session]
            if _listed(number, people.closed, people.closed_ends[who], people.closed_ends[who + 1]):
                continue
            held = _listed(number, people.ready, people.ready_ends[who], people.ready_ends[who + 1])
            options.session[count] = session
            options.likely[count] = near * courses.quick[session] * fits[courses.aim[session]]
            options.worth[count] = weight * gain_of(who, session, people, courses, ground.tastes)
            options.may[count] = held or not courses.asks[session]
            count += 1
    return count


@compiled
def _promise(count: int, steps: int, ground: Ground, options: Options) -> Long:
    """Say what each option could bring at most, with what follows it; gives those that bring any, the best first.

    As though it began at once, and the best of all could follow, and the best after it.
    """
    slack, beyond = 1.0001, 0.0  # a bound is a little more than what it bounds, rounding included
    for _ in range(steps):
        most = 0.0
        for at in range(count):
            session = options.session[at]
            alone = slack * options.likely[at] * options.worth[at] - ground.prices[session]
            options.bound[at] = alone + slack * options.likely[at] * ground.ladder.finish[session] * beyond
            most = max(most, options.bound[at])
        beyond = most
    least = 0.0 if ground.aimed.all() else -np.inf  # a step that nobody aims at is no end: what follows may cost something
    some = np.flatnonzero(options.bound[:count] > least)
    return some[np.argsort(-options.bound[some], kind="mergesort")]


@compiled
def _begin(row: int, people: Seekers, ground: Ground, begun: Begun, labels: Labels, found: Found) -> bool:
    """Set the first label of a beginning, and what it is worth to stop there; says whether anything may follow."""
    who, first = begun.who[row], begun.first[row]
    labels.ready[0], labels.worth[0], labels.reach[0] = people.ready_day[who], 0.0, 1.0
    labels.own[0], labels.level[0] = people.level[who], people.level[who]
    if first == NONE:
        return True
    if ground.aimed[ground.courses.aim[first]]:
        found.worth[row], found.path[row, 0] = begun.worth[row], first
    labels.path[0] = first
    _climb(0, begun.worth[row], begun.likelihood[row], ground, labels)
    return bool(ground.ladder.leads[first] and ground.courses.ends[first] < FAR)


@compiled
def _climb(depth: int, worth: float, likelihood: float, ground: Ground, labels: Labels) -> None:
    """Set the label of a person who has finished a step: the day after its end, at the level it gives or opens."""
    above, session, ladder = depth + 1, labels.path[depth], ground.ladder
    labels.ready[above] = np.int64(ground.courses.ends[session]) + 1
    labels.own[above] = max(labels.own[depth], ladder.gives[session])
    opened = max(labels.own[above], labels.own[depth] + ladder.lifts[session])
    labels.level[above] = max(labels.level[depth], opened)
    labels.worth[above] = worth
    labels.reach[above] = labels.reach[depth] * likelihood * ladder.finish[session]
    labels.tried[above] = 0


@compiled
def _follow(
    row: int, order: Long, people: Seekers, ground: Ground, options: Options, labels: Labels, begun: Begun, found: Found
) -> None:
    """Try all sequences that could beat what was found, those that promise most first.

    What every try looks at is named before: reading it out of a tuple costs more than the try.
    """
    steps, who, start = found.path.shape[1], begun.who[row], 0 if begun.first[row] == NONE else 1
    sessions, bounds, likely_now, worth_then = options.session, options.bound, options.likely, options.worth
    until, asked, rung = ground.courses.until, ground.courses.asked, ground.ladder.rung
    path, tried, ready, level = labels.path, labels.tried, labels.ready, labels.level
    worths, reach, best = labels.worth, labels.reach, found.worth[row]
    depth, tried[start] = start, 0
    while depth >= start:
        at = tried[depth]
        if depth == steps or at == len(order) or worths[depth] + reach[depth] * bounds[order[at]] <= best:
            depth -= 1  # not even the best that could follow would beat the best found
            continue
        tried[depth] += 1
        option = order[at]
        session = sessions[option]
        if ready[depth] > until[session] or level[depth] < asked[session]:
            continue
        if depth > 0 and rung[session] <= rung[path[depth - 1]]:
            continue
        if not _may_follow(depth, session, options.may[option], ground.ladder, path):
            continue
        likely = likely_now[option] * _patience(depth, session, people.paid_until[who], ground, labels)
        if likely <= 0.0:
            continue
        worth = worths[depth] + reach[depth] * (likely * worth_then[option] - ground.prices[session])
        path[depth] = session
        if worth > best and ground.aimed[ground.courses.aim[session]]:
            best = found.worth[row] = worth
            found.path[row, : depth + 1] = path[: depth + 1]
            found.path[row, depth + 1 :] = NONE
        if ground.ladder.leads[session] and ground.courses.ends[session] < FAR:
            _climb(depth, worth, likely, ground, labels)
            depth += 1


@compiled
def _may_follow(depth: int, session: int, may: bool, ladder: Ladder, path: Whole) -> bool:
    """Say whether what was followed before lets a person enter a course: it asks nothing else, and gives something new."""
    for step in range(depth):
        done = path[step]
        if _listed(session, ladder.shuts, ladder.shut_ends[done], ladder.shut_ends[done + 1]):
            return False
        may = may or _listed(session, ladder.unlocks, ladder.unlock_ends[done], ladder.unlock_ends[done + 1])
    return may


@compiled
def _patience(depth: int, session: int, paid_until: int, ground: Ground, labels: Labels) -> float:
    """Say what waiting for a step, and following it when the allowance is over, leave of the likelihood."""
    begins, ends = np.int64(ground.courses.first[session]), np.int64(ground.courses.ends[session])
    waits, entry = ground.ladder.waits[min(depth, 1)], max(begins, labels.ready[depth])
    left = float(waits[min(entry - labels.ready[depth], len(waits) - 1)])
    return left * (1.0 - ground.tastes.unpaid * after_allowance(int(entry), int(ends), int(paid_until)))


@compiled
def _listed(wanted: int, listed: Whole, begin: int, end: int) -> bool:
    """Say whether a number stands in a part of a list."""
    for at in range(begin, end):  # noqa: SIM110 - a generator is not compiled
        if listed[at] == wanted:
            return True
    return False


@compiled
def gain_of(who: int, session: int, people: Seekers, courses: Sessions, tastes: Tastes) -> np.float32:
    """Say what a course adds for a person; never less than the least that is told apart."""
    need = tastes.need[people.zone[who], courses.field[session]]
    gain = courses.gain[session] * need + people.moves[who, courses.kind[session]]
    return np.float32(max(gain, np.float32(tastes.least_gain)))
