"""What files know of a person at a date: the work before it, and the months without."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from needs.twin.people import person_ids
from needs.twin.scales import DAYS_PER_MONTH
from needs.twin.work import HALF_YEAR, SPELL
from needs.twin.world import World


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
    )[SPELL]


def _contract_for(days: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.object_]:
    """Choose a contract that lasts as long as the spell did."""
    draw = rng.random(len(days))
    long = np.select([draw < 0.86, draw < 0.92, draw < 0.97], ["CDI", "PUB", "IND"], "CDD")
    middle = np.select([draw < 0.25, draw < 0.8, draw < 0.95], ["CDI", "CDD", "MIS"], "APP")
    short = np.select([draw < 0.4, draw < 0.8], ["MIS", "CDD"], "SAI")
    return np.asarray(np.where(days > 540, long, np.where(days > HALF_YEAR, middle, short)).astype(object))


def at_work(spells: pd.DataFrame, people: pd.DataFrame, days: int = 0) -> NDArray[np.bool_]:
    """Say of each row of people (one per ``pid``) whether they work that many days after ``reference``."""
    both = spells.merge(_dates(people), on="pid", how="inner", validate="many_to_one")
    day = both["reference"] + pd.Timedelta(days=days)
    return np.asarray(people["pid"].isin(both.loc[(both["starts"] <= day) & (day <= both["ends"]), "pid"]))


def in_occupation(spells: pd.DataFrame, people: pd.DataFrame, days: int) -> NDArray[np.bool_]:
    """Say of each row of people whether they work so many days later in one of the ``occupations`` their course leads to."""
    both = spells.merge(people[["pid", "reference", "occupations"]], on="pid", how="inner", validate="many_to_one")
    day = both["reference"] + pd.Timedelta(days=days)
    both = both[(both["starts"] <= day) & (day <= both["ends"])]
    same = [code in codes.split("|") for code, codes in zip(both["occupation"], both["occupations"], strict=True)]
    return np.asarray(people["pid"].isin(both.loc[same, "pid"]))


def durably(spells: pd.DataFrame) -> NDArray[np.bool_]:
    """Say of each spell whether it is durable: open-ended, public, own business, or planned for six months or more."""
    planned = (spells["planned_end"] - spells["starts"]).dt.days >= HALF_YEAR - 1
    return np.asarray(spells["contract"].isin(["CDI", "PUB", "IND"]) | (planned & spells["contract"].isin(["CDD", "MIS"])))


def file_columns(world: World, people: pd.DataFrame, spells: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Write people as the files hold them at their ``reference``. One row per person (``pid`` once)."""
    size = len(people)
    ready = np.where(rng.random(size) < 0.8, 0, rng.integers(5, 120, size))
    allowance = people["reference"] + pd.to_timedelta(rng.integers(15, 700, size), unit="D")
    both = spells.merge(_dates(people), on="pid", how="inner", validate="many_to_one")
    return people.assign(
        person=person_ids(people["pid"]),
        known_from=people["reference"],
        commune=world.communes["commune"].to_numpy()[people["home"]],
        unemployed_months=_idle_months(both, people).astype(int),
        worked_m1_12=months_worked(both, people, (0, 12)),
        worked_m13_24=months_worked(both, people, (12, 24)),
        available=people["reference"] + pd.to_timedelta(ready, unit="D"),
        allowance_ends=allowance.where(rng.random(size) < 0.55),
    )


def _idle_months(both: pd.DataFrame, people: pd.DataFrame) -> NDArray[np.float64]:
    """Count the months since each person registered, or since the end of a job they had after that."""
    over = both[both["ends"] < both["reference"]].groupby("pid")["ends"].max().reindex(people["pid"]).set_axis(people.index)
    since = over.where(over > people["registered"], people["registered"])
    return np.asarray(((people["reference"] - since).dt.days / DAYS_PER_MONTH).clip(lower=0))


def months_worked(both: pd.DataFrame, people: pd.DataFrame, window: tuple[int, int]) -> NDArray[np.float64]:
    """Count the months each person worked from so many to so many months before ``reference``."""
    near, far = (pd.Timedelta(days=round(months * DAYS_PER_MONTH)) for months in window)
    start = both["starts"].clip(lower=both["reference"] - far)
    end = both["ends"].clip(upper=both["reference"] - near)
    days = (end - start).dt.days.clip(lower=0).groupby(both["pid"]).sum().reindex(people["pid"])
    return np.asarray((days.fillna(0) / DAYS_PER_MONTH).clip(upper=12).round(1))


def _dates(people: pd.DataFrame) -> pd.DataFrame:
    return people[["pid", "reference"]]
