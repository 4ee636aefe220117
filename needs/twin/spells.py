"""Spells of work: before a person looks for work, and after a date from which their chances are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from needs.twin.scales import DAYS_PER_MONTH
from needs.twin.world import World

HALF_YEAR = 183
_LATER_JOB = 0.35
_SHORT_JOB = 0.2
_NEXT_JOB = 0.55
_COLUMNS = ["pid", "starts", "ends", "planned_end", "contract", "occupation", "home"]


def past_spells(people: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Draw the last job of each person and sometimes one before, both ended before they registered. One row per spell."""
    worked = people[people["job_months"] > 0]
    ends = worked["registered"] - pd.to_timedelta(worked["gap_days"], unit="D")
    last = _spell(worked, ends, worked["job_months"].to_numpy() * DAYS_PER_MONTH, rng)
    more = last[rng.random(len(last)) < 0.6]
    gap = pd.to_timedelta(rng.integers(20, 300, len(more)), unit="D")
    earlier = _spell(more, more["starts"] - gap, rng.lognormal(np.log(300), 0.9, len(more)), rng)
    return pd.concat([last, earlier], ignore_index=True)


def _spell(people: pd.DataFrame, ends: pd.Series, days: NDArray[np.float64], rng: np.random.Generator) -> pd.DataFrame:
    whole = np.maximum(7, np.round(days)).astype(np.int64)
    contract = _contract_for(whole, rng)
    occupation = people["last_occupation"] if "last_occupation" in people else people["occupation"]
    return pd.DataFrame(
        {
            "pid": people["pid"].to_numpy(),
            "starts": (ends - pd.to_timedelta(whole, unit="D")).to_numpy(),
            "ends": ends.to_numpy(),
            "planned_end": ends.where(~np.isin(contract, ["CDI", "IND", "PUB"])).to_numpy(),
            "contract": contract,
            "occupation": occupation.to_numpy(),
            "home": people["home"].to_numpy(),
        }
    )


def _contract_for(days: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.object_]:
    """Choose a contract that lasts as long as the spell did."""
    draw = rng.random(len(days))
    long = np.select([draw < 0.86, draw < 0.92, draw < 0.97], ["CDI", "PUB", "IND"], "CDD")
    middle = np.select([draw < 0.25, draw < 0.8, draw < 0.95], ["CDI", "CDD", "MIS"], "APP")
    short = np.select([draw < 0.4, draw < 0.8], ["MIS", "CDD"], "SAI")
    return np.asarray(np.where(days > 540, long, np.where(days > HALF_YEAR, middle, short)).astype(object))


def spells_after(world: World, people: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Draw the work that follows a date. One row per spell.

    ``people`` gives ``pid, reference, works`` (in work six months later), ``stays`` (durably), ``at_once`` (hired on that
    day), ``target`` (the occupation looked for or trained in) and ``home``.
    """
    works, stays = people["works"].to_numpy(dtype=bool), people["stays"].to_numpy(dtype=bool)
    draw = rng.random(len(people))
    kinds = {
        "lasting": works & stays,
        "current": works & ~stays,
        "later": ~works & (draw < _LATER_JOB),
        "brief": ~works & (draw >= _LATER_JOB) & (draw < _LATER_JOB + _SHORT_JOB),
    }
    first = [_first_job(world, people[mask], kind, rng) for kind, mask in kinds.items()]
    ended = pd.concat([first[1], first[3]], ignore_index=True)
    again = ended[rng.random(len(ended)) < _NEXT_JOB]
    wait = pd.to_timedelta(rng.integers(40, 200, len(again)), unit="D")
    # the next job starts after the half-year, so that what was drawn at six months stays true
    after = np.maximum(again["ends"] + wait, again["reference"] + pd.Timedelta(days=HALF_YEAR + 7))
    again = again.assign(reference=after, target=again["occupation"], at_once=True)
    spells = pd.concat([*first, _first_job(world, again, "lasting", rng)], ignore_index=True)
    return spells[_COLUMNS]


def _first_job(world: World, people: pd.DataFrame, kind: str, rng: np.random.Generator) -> pd.DataFrame:
    """Draw one job that agrees with what the person does six months after the reference. One row per person."""
    size = len(people)
    offset, months = _timing(kind, size, rng)
    offset = np.where(people["at_once"], np.where(offset < HALF_YEAR, 1, offset), offset)
    lasting = kind in ("lasting", "later")
    contract = (
        _lasting_contract(size, rng)
        if lasting
        else rng.choice(np.array(["CDD", "MIS", "SAI"], dtype=object), size, p=[0.45, 0.4, 0.15])
    )
    open_ended = np.isin(contract, ["CDI", "PUB", "IND"])
    planned = np.round(months * DAYS_PER_MONTH).astype(int)
    planned = np.where(people["at_once"] & (kind == "current"), HALF_YEAR - 5, planned)
    length = np.where(open_ended, np.maximum(HALF_YEAR + 7, rng.lognormal(np.log(1200), 0.9, size)).astype(int), planned)
    starts = people["reference"] + pd.to_timedelta(offset, unit="D")
    planned_end = starts + pd.to_timedelta(planned, unit="D")
    codes = world.occupations["occupation"].to_numpy()
    other = codes[rng.integers(0, len(codes), size)]
    return people.assign(
        starts=starts,
        ends=starts + pd.to_timedelta(length, unit="D"),
        planned_end=planned_end.where(~open_ended),
        contract=contract,
        occupation=np.where((rng.random(size) < 0.6) & (people["target"] != ""), people["target"], other),
    )


def _timing(kind: str, size: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Draw how many days after the reference a job starts, and for how many months it is planned."""
    if kind == "lasting":
        return (1 + rng.random(size) ** 1.5 * 170).astype(int), rng.choice([7.0, 8.0, 9.0, 12.0, 18.0], size)
    if kind == "current":
        return HALF_YEAR - rng.integers(0, 60, size), rng.integers(3, 6, size).astype(float)
    if kind == "later":
        return HALF_YEAR + rng.integers(10, 360, size), rng.choice([7.0, 9.0, 12.0], size)
    return rng.integers(5, 80, size), rng.integers(20, 90, size) / DAYS_PER_MONTH


def _lasting_contract(size: int, rng: np.random.Generator) -> NDArray[np.object_]:
    return rng.choice(np.array(["CDI", "CDD", "PUB", "IND"], dtype=object), size, p=[0.6, 0.27, 0.07, 0.06])


def at_work(spells: pd.DataFrame, people: pd.DataFrame, days: int = 0) -> NDArray[np.bool_]:
    """Say of each row of people (one per ``pid``) whether they work that many days after ``reference``."""
    both = spells.merge(_dates(people), on="pid", how="inner", validate="many_to_one")
    day = both["reference"] + pd.Timedelta(days=days)
    return np.asarray(people["pid"].isin(both.loc[(both["starts"] <= day) & (day <= both["ends"]), "pid"]))


def durably(spells: pd.DataFrame) -> NDArray[np.bool_]:
    """Say of each spell whether it is durable: open-ended, public, own business, or planned for six months or more."""
    planned = (spells["planned_end"] - spells["starts"]).dt.days >= HALF_YEAR - 1
    return np.asarray(spells["contract"].isin(["CDI", "PUB", "IND"]) | (planned & spells["contract"].isin(["CDD", "MIS"])))


def idle_months(spells: pd.DataFrame, people: pd.DataFrame) -> NDArray[np.float64]:
    """Count the months since each person registered, or since the end of a job they had after that."""
    both = spells.merge(_dates(people), on="pid", how="inner", validate="many_to_one")
    over = both[both["ends"] < both["reference"]].groupby("pid")["ends"].max()
    since = np.maximum(people["registered"], people["pid"].map(over).fillna(people["registered"]))
    return np.asarray(((people["reference"] - since).dt.days / DAYS_PER_MONTH).clip(lower=0))


def months_worked(spells: pd.DataFrame, people: pd.DataFrame, window: tuple[int, int]) -> NDArray[np.float64]:
    """Count the months each person worked from so many to so many months before ``reference``."""
    both = spells.merge(_dates(people), on="pid", how="inner", validate="many_to_one")
    near, far = (pd.Timedelta(days=round(months * DAYS_PER_MONTH)) for months in window)
    start = both["starts"].clip(lower=both["reference"] - far)
    end = both["ends"].clip(upper=both["reference"] - near)
    days = (end - start).dt.days.clip(lower=0).groupby(both["pid"]).sum()
    return np.asarray((people["pid"].map(days).fillna(0) / DAYS_PER_MONTH).clip(upper=12).round(1))


def _dates(people: pd.DataFrame) -> pd.DataFrame:
    return people[["pid", "reference"]]
