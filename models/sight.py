"""How one person and one course stand to each other: what is between them, and what makes the score.

The same rules as the search (:mod:`models.pairs`), told one by one: for what is proposed, so that it can be explained; and for
every course on offer and one person, so that an adviser can see why not, and what would change it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.places import apart_km
from models.compiled import compiled
from models.likelihood import nearness
from models.market import AT, Market, describe
from models.pairs import FAR, LONGEST, Long, Reals, Seekers, Tastes, Whole, fill_fits

BARRIERS = ("border", "seats", "held", "prerequisite", "public", "level", "date", "distance")
PARTS = ("show", "near", "long", "paid", "fit", "wait", "allowance")


def look(people: pd.DataFrame, who: Long, courses: pd.DataFrame, market: Market, prices: pd.Series[float]) -> pd.DataFrame:
    """Tell of pairs of a person and a course. One row per row of ``courses``, set against the person at ``who`` of ``people``.

    A flag for each barrier, and ``open`` where none stands; ``likelihood`` is the product of its parts, ``gain`` what the
    course adds for that person, score = weight × gain × likelihood, ``net`` the score less the ``price`` of a seat. ``starts``
    is the day the person could enter.
    """
    seekers = describe(people, market)
    km = np.nan_to_num(apart_km(people[AT].iloc[who], courses).round(3), nan=np.inf)
    entry = np.maximum(courses["first"].to_numpy(), seekers.ready_day[who])
    barriers = _barriers(seekers, who, courses, km)
    parts = _parts(seekers, who, courses, market, km, entry)
    gain = np.maximum(parts["effect"] * parts["need"] + parts["move"], market.entry.least_gain)
    likelihood = parts[list(PARTS)].prod(axis=1)
    weight = seekers.weight[who].astype("float64")
    score, price = weight * gain * likelihood, courses["session"].map(prices).astype("float64").fillna(0.0)
    told = pd.DataFrame(
        {
            "session": courses["session"],
            "distance_km": km,
            "starts": _dates(entry),
            "ends": _dates(courses["ends"].to_numpy()),
            "gain": gain,
            "likelihood": likelihood,
            "weight": weight,
            "score": score,
            "price": price,
            "net": score - price,
            "level_unknown": people["level"].isna().to_numpy()[who] & (courses["asked"] > 0).to_numpy(),
        },
        index=courses.index,
    )
    return told.join([barriers.assign(open=~barriers.any(axis=1)), parts])


def _barriers(seekers: Seekers, who: Long, courses: pd.DataFrame, km: np.ndarray) -> pd.DataFrame:
    """Say what stands between the person and the course of each row."""
    number = courses["number"].to_numpy(dtype=np.int64)
    held = _listed(who, number, seekers.closed_ends, seekers.closed)
    may = _listed(who, number, seekers.ready_ends, seekers.ready)
    flags = {
        "border": courses["border"].to_numpy(dtype=bool),
        "seats": courses["full"].to_numpy(dtype=bool),
        "held": held,
        "prerequisite": courses["asks"].to_numpy(dtype=bool) & ~may,
        "public": (seekers.publics[who] & courses["admits"].to_numpy(dtype=np.int64)) == 0,
        "level": seekers.level[who] < courses["asked"].to_numpy(dtype="float64"),
        "date": seekers.ready_day[who] > courses["until"].to_numpy(),
        "distance": ~(km.astype(np.float32) <= seekers.reach[who]),
    }
    return pd.DataFrame(flags, index=courses.index)[list(BARRIERS)]


def _parts(
    seekers: Seekers, who: Long, courses: pd.DataFrame, market: Market, km: np.ndarray, entry: np.ndarray
) -> pd.DataFrame:
    """Tell the parts of likelihood and gain of each row."""
    likelihood, ends = market.likelihood, courses["ends"].to_numpy().astype("int64")
    over = np.clip(ends - np.maximum(seekers.paid_until[who], entry), 0, None) / np.maximum(ends - entry, 1)
    near = nearness(np.where(np.isinf(km), 1e6, km), likelihood)
    field = courses["field"].to_numpy()
    parts = {
        "show": courses["show"].to_numpy(dtype="float64"),
        "near": near[seekers.afoot[who], np.arange(len(km))].astype("float64"),
        "long": courses["long"].to_numpy(dtype="float64"),
        "paid": courses["paid"].to_numpy(dtype="float64"),
        "fit": _fits(seekers, who, courses["aim"].to_numpy(dtype=np.int64), market.tastes).astype("float64"),
        "wait": market.tastes.waits[np.clip(entry - seekers.ready_day[who], 0, LONGEST - 1)].astype("float64"),
        "allowance": np.where((ends > entry) & (ends < FAR), 1.0 - likelihood.unpaid * over, 1.0),
        "effect": courses["gain"].to_numpy(dtype="float64"),
        "need": market.tastes.need[seekers.zone[who], field].astype("float64"),
        "move": seekers.moves[who, courses["kind"].to_numpy()].astype("float64"),
    }
    return pd.DataFrame(parts, index=courses.index)


@compiled
def _fits(people: Seekers, who: Long, aim: Long, tastes: Tastes) -> Reals:
    """Say how the aim of each row answers what the person of the row wants, did, and can do."""
    fits, own, last = np.zeros(len(who), dtype=np.float32), np.zeros(tastes.wanted.shape[1], dtype=np.float32), -1
    aims = np.arange(len(own))
    for row in range(len(who)):
        if who[row] != last:
            last = who[row]
            fill_fits(last, people, tastes, aims, own)
        fits[row] = own[aim[row]]
    return fits


@compiled
def _listed(who: Long, number: Long, ends: Long, listed: Whole) -> np.ndarray:
    """Say whether the course of each row stands in the list of its person."""
    found = np.zeros(len(who), dtype=np.bool_)
    for row in range(len(who)):
        for at in range(ends[who[row]], ends[who[row] + 1]):
            if listed[at] == number[row]:
                found[row] = True
    return found


def _dates(days: Whole) -> pd.DatetimeIndex:
    """Write days since 1970 as dates; none where the day is not known."""
    known = np.asarray(days).astype("int64")
    return pd.DatetimeIndex(np.where(known >= FAR, np.datetime64("NaT"), known.astype("datetime64[D]"))).as_unit("us")
