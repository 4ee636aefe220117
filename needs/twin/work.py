"""Who finds work and how long it lasts: a chain of three states, stepped month by month.

    out → hired with probability 1 − exp(−λ × pulse of the month); the job is lasting with probability d, short otherwise
    short job → over with probability 0.25 a month;  lasting job → 0.02

λ is the person's own monthly rate (see ``effects``), 0 while in training, λ × lift afterwards. The pulse is that of the labour
market. Lasting jobs are open-ended, public, an own business, or planned for six months and more; they last 50 months on
average, and short ones four.

Expected occupation (:func:`occupation`) and drawn careers (:func:`draw_spells`) step the same chain, so that what is true of
chances is true of files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from needs.twin.places import Numbers
from needs.twin.scales import DAYS_PER_MONTH

END_SHORT = 0.25
END_LASTING = 0.02
IN_TRAINED_OCCUPATION = 0.7
HALF_YEAR = 183
_SHORTEST_DAYS = 5
_RENEWED_AFTER = 5
_LATER_CONTRACT = 24
SPELL = ["pid", "starts", "ends", "planned_end", "contract", "occupation", "home"]
Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Chances:
    """What decides the months of some people; one element per person.

    ``rate`` is λ untrained, ``lift`` what multiplies it from month ``until`` on (nobody is hired before), ``stays`` and
    ``stays_after`` the probability that a job is lasting, before and after; ``hired`` says who is hired in month ``until``
    itself; ``month`` is where month 0 lies in ``pulse``.
    """

    rate: Numbers
    lift: Numbers
    until: Whole
    stays: Numbers
    stays_after: Numbers
    hired: NDArray[np.bool_]
    month: Whole
    pulse: Numbers

    def step(self, month: int) -> tuple[Numbers, Numbers]:
        """Give the probability to be hired in a month if out of work, and that the job is lasting."""
        pulse = self.pulse[np.minimum(self.month + month, len(self.pulse) - 1)]
        after = month > self.until
        free = 1 - np.exp(-self.rate * np.where(self.until > 0, self.lift, 1.0) * pulse)
        probability = np.where(after, free, np.where(self.hired & (month == self.until), 1.0, 0.0))
        return probability, np.where(self.until > 0, self.stays_after, self.stays)

    def untrained(self) -> Chances:
        """Give the chances the same people would have had from month 0 on without the training."""
        return untrained(self.rate, self.stays, self.month, self.pulse)


def untrained(rate: Numbers, stays: Numbers, month: Whole, pulse: Numbers) -> Chances:
    """Give the chances of people who do not train."""
    size = len(rate)
    nobody, never = np.zeros(size, dtype=bool), np.zeros(size, dtype=np.int64)
    return Chances(rate, np.ones(size), never, stays, stays, nobody, month, pulse)


def occupation(chances: Chances, horizons: Sequence[int | Whole]) -> tuple[Numbers, Numbers]:
    """Give the probability to be at work, and in a lasting job, so many months later (for all, or for each their own).

    One row per person, one column per horizon.
    """
    size = len(chances.rate)
    short, lasting = np.zeros(size), np.zeros(size)
    work, durable = (np.zeros((size, len(horizons))) for _ in range(2))
    for month in range(1, max(int(np.max(horizon)) for horizon in horizons) + 1):
        hired, stays = chances.step(month)
        entering = (1 - short - lasting) * hired
        short = short * (1 - END_SHORT) + entering * (1 - stays)
        lasting = lasting * (1 - END_LASTING) + entering * stays
        for column, horizon in enumerate(horizons):
            reached = np.broadcast_to(month == np.asarray(horizon), (size,))
            work[reached, column], durable[reached, column] = (short + lasting)[reached], lasting[reached]
    return work, durable


def draw_spells(people: pd.DataFrame, chances: Chances, months: Whole, rng: np.random.Generator) -> pd.DataFrame:
    """Draw the work that follows a reference date, over so many months. One row per spell.

    ``people`` gives ``pid, reference, home, target`` (the occupation a trained person is hired in), ``wanted`` (that of the
    others) and ``owner`` (who sets up a business).
    """
    jobs = _draw_jobs(chances, months, rng)
    days = (jobs[["first", "over"]].to_numpy() - 1 + rng.random((len(jobs), 2))) * DAYS_PER_MONTH
    who = people.iloc[jobs["person"].to_numpy()].reset_index(drop=True)
    trained = jobs["trained"].to_numpy() & (who["target"] != "").to_numpy()
    target = trained & (rng.random(len(jobs)) < IN_TRAINED_OCCUPATION)
    spells = jobs.assign(
        pid=who["pid"],
        home=who["home"],
        reference=who["reference"],
        occupation=who["wanted"].mask(target, who["target"]),
        owner=who["owner"] & jobs["trained"].to_numpy(),
        start_day=np.maximum(1, np.ceil(days[:, 0])).astype(int),
        end_day=np.maximum(np.floor(days[:, 1]), np.ceil(days[:, 0]) + _SHORTEST_DAYS).astype(int),
    )
    return _as_contracts(spells, rng)


def _draw_jobs(chances: Chances, months: Whole, rng: np.random.Generator) -> pd.DataFrame:
    """Step everybody through the months. One row per job: person (by position), months it began and was over, kind."""
    size = len(chances.rate)
    state, began = np.zeros(size, dtype=np.int8), np.zeros(size, dtype=np.int64)
    found: list[tuple[Whole, Whole, Whole, NDArray[np.int8]]] = []
    ends = np.array([0.0, END_SHORT, END_LASTING])
    for month in range(1, int(months.max(initial=0)) + 1):
        draw = rng.random(size)
        live = months >= month
        over = np.flatnonzero(live & (state > 0) & (draw < ends[state]))
        hired, stays = chances.step(month)
        starts = np.flatnonzero(live & (state == 0) & (draw < hired))
        found.append((over, began[over], np.full(len(over), month), state[over]))
        state[over] = 0
        state[starts] = 1 + (rng.random(len(starts)) < stays[starts])
        began[starts] = month
    going = np.flatnonzero(state > 0)
    left = rng.geometric(ends[state[going]])
    found.append((going, began[going], months[going] + left, state[going]))
    person, first, over_at, kind = (np.concatenate(parts) for parts in zip(*found, strict=True))
    trained = (chances.until[person] > 0) & (first >= chances.until[person])
    jobs = pd.DataFrame({"person": person, "first": first, "over": over_at, "lasting": kind == 2, "trained": trained})
    return jobs.sort_values(["person", "first"], kind="stable", ignore_index=True)


def _as_contracts(jobs: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Write jobs as contracts: a short job that goes on is a row of renewed contracts. One row per spell."""
    times = np.where(jobs["lasting"], 1, -(-(jobs["over"] - jobs["first"]) // _RENEWED_AFTER))
    rows = jobs.loc[jobs.index.repeat(times)]
    turn, last = rows.groupby(level=0).cumcount().to_numpy(), ~rows.index.duplicated(keep="last")
    rows = rows.reset_index(drop=True)
    stride = round(_RENEWED_AFTER * DAYS_PER_MONTH)
    start = rows["start_day"] + turn * stride
    end = pd.Series(np.where(last, np.maximum(rows["end_day"], start + 3), start + stride - 1))
    length = (end - start).to_numpy()
    contract = np.where(rows["lasting"], _lasting_contract(rows, rng), _short_contract(len(rows), rng))
    planned = np.maximum(length, _planned_days(len(rows), rng))
    open_ended = np.isin(contract, ["CDI", "PUB", "IND"])
    until = pd.Series(np.where(rows["lasting"], planned, length))
    return pd.DataFrame(
        {
            "pid": rows["pid"],
            "starts": rows["reference"] + pd.to_timedelta(start, unit="D"),
            "ends": rows["reference"] + pd.to_timedelta(end, unit="D"),
            "planned_end": (rows["reference"] + pd.to_timedelta(start + until, unit="D")).mask(open_ended),
            "contract": contract,
            "occupation": rows["occupation"],
            "home": rows["home"],
        }
    )[SPELL]


def _lasting_contract(jobs: pd.DataFrame, rng: np.random.Generator) -> NDArray[np.object_]:
    kinds = np.array(["CDI", "CDD", "PUB", "IND"], dtype=object)
    drawn = rng.choice(kinds, len(jobs), p=[0.6, 0.27, 0.07, 0.06])
    long = (jobs["over"] - jobs["first"]).to_numpy() >= _LATER_CONTRACT
    owner = jobs["owner"].to_numpy(dtype=bool) & (rng.random(len(jobs)) < 0.6)
    return np.asarray(np.where(owner, "IND", np.where((drawn == "CDD") & long, "CDI", drawn)))


def _short_contract(size: int, rng: np.random.Generator) -> NDArray[np.object_]:
    return rng.choice(np.array(["CDD", "MIS", "SAI"], dtype=object), size, p=[0.45, 0.4, 0.15])


def _planned_days(size: int, rng: np.random.Generator) -> Whole:
    """Draw the planned length of a lasting fixed-term contract, six months and a few days at least."""
    return (rng.choice([6, 7, 8, 9, 12, 18], size) * DAYS_PER_MONTH + 4).astype(np.int64)
