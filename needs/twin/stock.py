"""The jobseekers of one département at yearly dates, and what became of them between.

Each list holds the people in training soon, those like them who find work before they would be, those who trained before and
look for work, those of the list before who still do, and newcomers who complete it to the Region's numbers and proportions.
Whoever trains is still out of work by then. Without those who found work first, a list would hold people whom nobody can hire
until they train, and to leave out all who train later, which is wrong, would seem right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from needs.twin.careers import Careers, Intercepts, work_untrained
from needs.twin.effects import Effects
from needs.twin.history import at_work, file_columns, past_spells
from needs.twin.people import BELOW_4, NEET, PERSON, Draw, draw_traits, homes, quota, registered, settle
from needs.twin.scales import DAYS_PER_MONTH

_TRAINED_BEFORE = 0.06
_STILL_THERE = 0.42


@dataclass(frozen=True)
class Stock:
    """Jobseekers (one row per person and date), those of ``as_of`` with what no file shows, and every spell of work.

    ``people`` has one row per person who was ever listed, with what no file shows.
    """

    jobseekers: pd.DataFrame
    tonight: pd.DataFrame
    spells: pd.DataFrame
    people: pd.DataFrame


@dataclass(frozen=True)
class Place:
    """One département: its atoms, how many jobseekers it has, and the first number of those who never trained."""

    atoms: np.ndarray[tuple[int], np.dtype[np.int64]]
    jobseekers: int
    first_pid: int


def draw_stock(effects: Effects, careers: Careers, place: Place, intercepts: Intercepts, rng: np.random.Generator) -> Stock:
    """List the jobseekers of each yearly date up to ``as_of``; those in training, or about to begin, are not among them.

    What becomes of them was drawn as they were first seen; what is true of those of ``as_of`` is as they are that day.
    """
    world = effects.world
    years = range(world.scale.observations - 1, -1, -1)
    dates = [(world.as_of - pd.DateOffset(years=number)).normalize() for number in years]
    trained, spells = careers.people, careers.spells
    next_pid = place.first_pid
    listed = trained.head(0)
    lists, everybody = [], []
    for date, following in zip(dates, [*dates[1:], pd.Timestamp.max], strict=True):
        known = _known(trained, listed, spells, (date, following), place.jobseekers, rng)
        soon = _soon(known, date)
        lucky, found = _hired_first(effects, soon, (date, next_pid), intercepts, rng)
        next_pid += len(soon)
        known = pd.concat([known[~known["pid"].isin(soon.loc[lucky.index, "pid"])], lucky], ignore_index=True)
        missing = place.jobseekers - len(known)
        fresh = _newcomers(effects, known, missing, place, date, rng).assign(pid=next_pid + np.arange(missing))[PERSON]
        next_pid += missing
        later = pd.concat([found, work_untrained(effects, fresh, intercepts, rng)], ignore_index=True)
        past = past_spells(pd.concat([lucky, fresh], ignore_index=True), rng)
        spells = pd.concat([spells, past, later], ignore_index=True)
        listed = pd.concat([known, fresh], ignore_index=True)
        everybody.append(listed)
        waits = (date - listed["registered"]).dt.days / DAYS_PER_MONTH
        told = file_columns(world, listed.assign(reference=date, wait_months=waits), spells, rng)
        # in the order of identifiers: how a list was put together tells who will train
        lists.append(told.sort_values("person", ignore_index=True))
    people = pd.concat(everybody, ignore_index=True).drop_duplicates("pid", ignore_index=True)
    return Stock(pd.concat(lists, ignore_index=True), lists[-1], spells, people)


def _known(
    trained: pd.DataFrame,
    before: pd.DataFrame,
    spells: pd.DataFrame,
    dates: tuple[pd.Timestamp, pd.Timestamp],
    size: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Gather the people of a list who are known already. One row per person."""
    (date, following), listed = dates, before["pid"]
    ahead = trained["known_from"] > date
    free, before = trained[~(trained["busy_until"] > date)], before[~(before["busy_until"] > date)]
    soon = trained[ahead & (trained["known_from"] <= following) & trained["seen"]].head(size // 2)
    once = _sample(
        _idle(free[~ahead[free.index] & ~free["pid"].isin(listed)], spells, date), round(size * _TRAINED_BEFORE), rng
    )
    still = _sample(_idle(before[~before["pid"].isin(soon["pid"])], spells, date), round(size * _STILL_THERE), rng)
    return pd.concat([soon, once, still], ignore_index=True)


def _soon(known: pd.DataFrame, date: pd.Timestamp) -> pd.DataFrame:
    """Keep who is prescribed a course after the list. Same row: one person."""
    return known[known["known_from"] > date].reset_index(drop=True)


def _hired_first(
    effects: Effects, soon: pd.DataFrame, start: tuple[pd.Timestamp, int], intercepts: Intercepts, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw people like those about to train who find work before they would be prescribed it. One row per person; their spells.

    Someone like each of them looks for work from the date on. Who has found none by then is the one who trains; who has is
    another person, and stands in the list instead.
    """
    date, pid = start
    alike = soon.assign(reference=date, known_from=date, seen=False, pid=pid + np.arange(len(soon)))
    free = pd.Series(pd.NaT, index=soon.index, dtype=soon["busy_until"].dtype)
    alike = alike.assign(wait_months=(date - alike["registered"]).dt.days / DAYS_PER_MONTH, busy_until=free)
    work = work_untrained(effects, alike, intercepts, rng)
    began = work.groupby("pid")["starts"].min().reindex(alike["pid"]).set_axis(alike.index)
    hired = alike[(began <= soon["known_from"]).to_numpy()]
    return hired, work[work["pid"].isin(hired["pid"])]


def _newcomers(
    effects: Effects, known: pd.DataFrame, size: int, place: Place, date: pd.Timestamp, rng: np.random.Generator
) -> pd.DataFrame:
    """Draw the people who complete a list, so that its proportions are the Region's. One row per person."""
    total = size + len(known)
    below_4 = quota(size, BELOW_4 * total - int((known["level"] < 4).sum()), rng)
    neet = quota(size, NEET * total - int(known["neet"].sum()), rng)
    traits = draw_traits(Draw(below_4, neet, np.full(size, np.datetime64(date))), rng)
    people = settle(effects.world, traits, homes(effects.world, place.atoms, size, rng), rng)
    if len(known):
        people = people.assign(wait_months=people["wait_months"] % 12)
    return people.assign(
        registered=registered(people),
        seen=False,
        known_from=date,
        busy_until=pd.Series(pd.NaT, index=people.index, dtype="datetime64[s]"),
    )


def _idle(people: pd.DataFrame, spells: pd.DataFrame, date: pd.Timestamp) -> pd.DataFrame:
    """Keep the people who do not work at that date. Same row: one person."""
    return people[~at_work(spells, people.assign(reference=date))]


def _sample(people: pd.DataFrame, size: int, rng: np.random.Generator) -> pd.DataFrame:
    return people.iloc[np.sort(rng.permutation(len(people))[:size])]
