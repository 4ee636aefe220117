"""Simple orders to hold recommendations against: what one does who has a list of courses, and no model.

    popularity     the sector and type of course that most people entered before
    nearest        the nearest
    same_sector    those of the sector that trains most for the occupation wanted
    outcome_rate   the best raw rate of success of their sector and type

Ties go to the nearest. None of them knows of seats, nor of what training adds; all keep to what people may enter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.market import Market
from models.matching import Laid, find_courses
from models.pairs import Kept, Sessions, Tastes

ORDERS = ("popularity", "nearest", "same_sector", "outcome_rate")
_TIE = 1e-6  # of a kilometre, against what an order looks at
_LEAST = 1e-4
OPTION = ["sector", "action_type"]
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Past:
    """What simple orders look at.

    ``entries`` has one row per sector, action_type: entries; ``rates`` one row per sector, action_type: rate; ``trains`` one
    row per occupation: the sector that trains most for it.
    """

    entries: pd.DataFrame
    rates: pd.DataFrame
    trains: pd.DataFrame


def count_entries(trainings: pd.DataFrame) -> pd.DataFrame:
    """Count who entered before. One row per sector, action_type: entries."""
    entered = trainings.loc[trainings["status"] == "entre", ["formacode", "action_type"]]
    counts = entered.assign(sector=entered["formacode"].str[:3]).groupby(OPTION, as_index=False).size()
    return counts.rename(columns={"size": "entries"})


def mean_rates(outcomes: pd.DataFrame) -> pd.DataFrame:
    """Average rates over the exit levels and territories of a sector and type, by the people they rest on.

    ``outcomes`` has rows of one public, outcome and horizon: value, n. One row per sector, action_type: rate.
    """
    sums = outcomes.assign(rate=outcomes["value"] * outcomes["n"]).groupby(OPTION, as_index=False)[["rate", "n"]].sum()
    return sums.loc[sums["n"] > 0, OPTION].assign(rate=sums["rate"] / sums["n"]).reset_index(drop=True)


def search_simply(order: str, laid: Laid, market: Market, past: Past, first: int) -> Kept:
    """Find the first courses of people by a simple order, among those that they may enter. As :func:`find_courses` does."""
    people, nobody = laid.people, np.full_like(laid.people.second, len(market.codes.occupations))
    alike = people._replace(
        weight=np.ones_like(people.weight),
        moves=np.zeros_like(people.moves),
        second=nobody,
        last=nobody,
    )
    near = 1.0 / (1.0 + laid.roads.km) if order == "nearest" else 1.0 - _TIE * laid.roads.km
    roads = laid.roads._replace(near=np.stack([near, near]).astype(np.float32))
    seen = replace(market, sessions=_seen(market, order, past), tastes=_tastes(market, order, past))
    return find_courses(Laid(alike, roads), seen, np.zeros(len(market.courses)), first)


def _seen(market: Market, order: str, past: Past) -> Sessions:
    """Let courses be worth what an order looks at, and be as easy to go through with as each other."""
    told = {"popularity": (past.entries, "entries"), "outcome_rate": (past.rates, "rate")}
    looks = _of_option(market.courses, *told[order]) if order in told else np.ones(len(market.courses))
    gain = (_LEAST + np.nan_to_num(looks) / max(float(np.nanmax(looks, initial=_LEAST)), _LEAST)).astype(np.float32)
    places = len(market.places)
    return market.sessions._replace(
        gain=gain,
        quick=np.ones_like(gain),
        aim=market.sessions.field,
        quickest=np.ones(places, dtype=np.float32),
    )


def _tastes(market: Market, order: str, past: Past) -> Tastes:
    """Let people want the sector that trains for their occupation, where the order looks at it; no skill counts."""
    field = market.courses.drop_duplicates("sector").set_index("sector")["field"]
    occupations = market.codes.occupations
    wanted = np.ones((len(occupations) + 1, int(market.sessions.field.max(initial=0)) + 1), dtype=np.float32)
    if order == "same_sector":
        wanted[:] = _LEAST
        trains = past.trains[past.trains["sector"].isin(field.index)]
        row = occupations.get_indexer(pd.Index(trains["occupation"]))
        column = field.reindex(trains["sector"]).to_numpy(dtype=np.int64)
        wanted[row[row >= 0], column[row >= 0]] = 1.0
    tastes = market.tastes
    return tastes._replace(
        wanted=wanted,
        last=np.zeros_like(wanted),
        skill_ends=np.zeros_like(tastes.skill_ends),
        skill_aims=tastes.skill_aims[:0],
        skill_share=tastes.skill_share[:0],
        waits=np.ones_like(tastes.waits),
        unpaid=0.0,
        need=np.ones_like(tastes.need),
        least_gain=_LEAST,
    )


def _of_option(courses: pd.DataFrame, told: pd.DataFrame, name: str) -> Numbers:
    """Look up what is told of the sector and type of each course; NaN where nothing is."""
    of_option = told.set_index(OPTION)[name].astype("float64")
    return np.asarray(of_option.reindex(pd.MultiIndex.from_frame(courses[OPTION])), dtype="float64")
