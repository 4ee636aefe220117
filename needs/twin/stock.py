"""The jobseekers at two dates, one year apart, and what the files know of each person at a date."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from needs.twin.careers import Careers
from needs.twin.chances import PULL, person_score, pull, sigmoid, stay_score
from needs.twin.people import BELOW_4, NEET, Draw, draw_people, homes, quota, registered
from needs.twin.spells import at_work, idle_months, months_worked, past_spells, spells_after
from needs.twin.world import World

_TRAINED_BEFORE = 0.06
_STILL_THERE = 0.42
_PERSON_STEP = 7_368_787


@dataclass(frozen=True)
class Stock:
    """Jobseekers (one row per person and observation date) and every spell of work in the region."""

    jobseekers: pd.DataFrame
    spells: pd.DataFrame


def draw_stock(world: World, careers: Careers) -> Stock:
    """Gather the jobseekers of a year ago and of ``as_of``: those in training, those still there, and newcomers."""
    rng = world.rng("stock")
    size = world.scale.jobseekers
    dates = [world.as_of - pd.DateOffset(years=1), world.as_of]
    trained, spells = careers.people, careers.spells
    soon = trained[(trained["known_from"] > dates[0]) & trained["seen"]]
    earlier = _idle(trained[trained["known_from"] <= dates[0]], spells, dates[0])
    before = _sample(earlier, round(size * _TRAINED_BEFORE), rng)
    known = pd.concat([soon.head(size // 2), before], ignore_index=True)
    first_pid = int(trained["pid"].max()) + 1
    fresh = _newcomers(world, known, size - len(known), dates[0], rng).assign(pid=lambda t: np.arange(len(t)) + first_pid)
    spells = pd.concat([spells, past_spells(fresh, rng), _work_untrained(world, careers, fresh, rng)], ignore_index=True)
    then = pd.concat([known, fresh], ignore_index=True)
    unseen = trained[(trained["known_from"] > dates[0]) & ~trained["seen"]]
    still = _sample(_idle(then, spells, dates[1]), round(size * _STILL_THERE), rng)
    still = pd.concat([still, _idle(unseen, spells, dates[1]).head(size // 4)], ignore_index=True)
    first_pid += len(fresh)
    new = _newcomers(world, still, size - len(still), dates[1], rng)
    new = new.assign(wait_months=new["wait_months"] % 12, pid=np.arange(len(new)) + first_pid)
    new = new.assign(registered=registered(new))
    spells = pd.concat([spells, past_spells(new, rng)], ignore_index=True)
    now = pd.concat([still, new], ignore_index=True)
    seen = [file_columns(world, people.assign(reference=date), spells) for people, date in zip([then, now], dates, strict=True)]
    return Stock(pd.concat(seen, ignore_index=True), spells)


def _newcomers(world: World, known: pd.DataFrame, size: int, date: pd.Timestamp, rng: np.random.Generator) -> pd.DataFrame:
    """Draw the people who complete a stock, so that its proportions are the Region's. One row per person."""
    total = size + len(known)
    below_4 = quota(size, BELOW_4 * total - int((known["level"] < 4).sum()), rng)
    neet = quota(size, NEET * total - int(known["neet"].sum()), rng)
    draw = Draw(homes(world, size, rng), below_4, neet, np.full(size, np.datetime64(date.normalize())))
    people = draw_people(world, draw, rng)
    return people.assign(registered=registered(people))


def _idle(people: pd.DataFrame, spells: pd.DataFrame, date: pd.Timestamp) -> pd.DataFrame:
    """Keep the people who do not work at that date. Same row: one person."""
    return people[~at_work(spells, people.assign(reference=date))]


def _sample(people: pd.DataFrame, size: int, rng: np.random.Generator) -> pd.DataFrame:
    chosen = np.sort(rng.permutation(len(people))[:size])
    return people.iloc[chosen]


def _work_untrained(world: World, careers: Careers, people: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Draw the work that follows an observation without training. One row per spell."""
    score = person_score(people, world.as_of) + PULL * pull(world.tightness(), people["atom"].to_numpy(), people["wanted"])
    works = rng.random(len(people)) < sigmoid(score + careers.intercept)
    stays = rng.random(len(people)) < sigmoid(stay_score(people) + careers.stay_intercept)
    return spells_after(world, people.assign(works=works, stays=stays, at_once=False, target=people["wanted"]), rng)


def file_columns(world: World, people: pd.DataFrame, spells: pd.DataFrame) -> pd.DataFrame:
    """Write people as the files hold them at their ``reference``. One row per person (``pid`` once)."""
    rng = world.rng("file", str(people["reference"].iloc[0]) if len(people) else "")
    size = len(people)
    ready = np.where(rng.random(size) < 0.8, 0, rng.integers(5, 120, size))
    allowance = people["reference"] + pd.to_timedelta(rng.integers(15, 700, size), unit="D")
    return people.assign(
        person=person_ids(people["pid"]),
        known_from=people["reference"],
        commune=world.communes["commune"].to_numpy()[people["home"]],
        unemployed_months=idle_months(spells, people).astype(int),
        worked_m1_12=months_worked(spells, people, (0, 12)),
        worked_m13_24=months_worked(spells, people, (12, 24)),
        available=people["reference"] + pd.to_timedelta(ready, unit="D"),
        allowance_ends=allowance.where(rng.random(size) < 0.55),
    )


def person_ids(pids: pd.Series[int]) -> list[str]:
    """Name people by made-up identifiers that say nothing of the order they were drawn in.

    >>> person_ids(pd.Series([1, 2]))
    ['P7368787', 'P4737574']
    """
    return [f"P{pid * _PERSON_STEP % 10_000_000:07d}" for pid in pids.tolist()]
