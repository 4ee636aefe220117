"""Simple orders to hold recommendations against: what one does who has a list of courses, and no model.

    popularity     the sector and type of course that most people entered before
    nearest        the nearest
    same_sector    those of the sector that trains most for the occupation wanted
    outcome_rate   the best raw rate of success of their sector and type

Ties go to the nearest, then to the session whose code comes first. None of them knows of seats, nor of what training adds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

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


def sectors_that_train(links: pd.DataFrame) -> pd.DataFrame:
    """Name the sector that trains most for each occupation. One row per occupation: sector.

    ``links`` has one row per occupation, sector, level: weight (:func:`features.crosswalks.sector_links`).
    """
    weights = links.groupby(["occupation", "sector"], as_index=False)[["weight"]].sum()
    ordered = weights.sort_values(["occupation", "weight", "sector"], ascending=[True, False, True])
    return ordered[["occupation", "sector"]].drop_duplicates("occupation", ignore_index=True)


def rank_simply(pairs: pd.DataFrame, order: str, k: int, past: Past) -> pd.DataFrame:
    """Recommend by a simple order. One row per person, rank: session, and whatever the pairs tell.

    ``pairs`` has one row per person, session that is allowed: distance_km, sector, action_type, and wanted, the occupation.
    """
    person, session = (pd.factorize(pairs[name], sort=True)[0] for name in ("person", "session"))
    looks = np.nan_to_num(ORDERS[order](pairs, past), nan=-np.inf)
    best = np.lexsort((session, pairs["distance_km"].to_numpy(), -looks, person))
    ranked = pairs.iloc[best]
    rank = ranked.groupby(person[best]).cumcount().to_numpy() + 1
    return ranked.assign(rank=rank)[rank <= k].reset_index(drop=True)


def _popularity(pairs: pd.DataFrame, past: Past) -> Numbers:
    return _of_option(pairs, past.entries, "entries")


def _nearest(pairs: pd.DataFrame, past: Past) -> Numbers:
    return np.zeros(len(pairs))


def _same_sector(pairs: pd.DataFrame, past: Past) -> Numbers:
    aimed = pairs["wanted"].map(past.trains.set_index("occupation")["sector"])
    return np.asarray(aimed == pairs["sector"], dtype="float64")


def _outcome_rate(pairs: pd.DataFrame, past: Past) -> Numbers:
    return _of_option(pairs, past.rates, "rate")


def _of_option(pairs: pd.DataFrame, told: pd.DataFrame, name: str) -> Numbers:
    """Look up what is told of the sector and type of each pair; NaN where nothing is."""
    of_option = told.set_index(OPTION)[name].astype("float64")
    return np.asarray(of_option.reindex(pd.MultiIndex.from_frame(pairs[OPTION])), dtype="float64")


ORDERS: dict[str, Callable[[pd.DataFrame, Past], Numbers]] = {
    "popularity": _popularity,
    "nearest": _nearest,
    "same_sector": _same_sector,
    "outcome_rate": _outcome_rate,
}
