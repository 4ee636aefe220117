"""Whom no course answers: counted by territory, sector wanted and level, with what came nearest."""

from __future__ import annotations

import pandas as pd

from features.crosswalks import main_sectors
from features.supply import level_text

KEY = ["territory", "sector", "level"]


def count_unmet(misses: pd.DataFrame, links: pd.DataFrame, smallest: int) -> pd.DataFrame:
    """Count the people who were proposed nothing. One row per territory, sector wanted, level: people, nearest_miss, shortfall.

    ``misses`` has one row per such person (:func:`models.misses.nearest_misses`). The sector is the one that trains most for
    the wanted occupation, empty when nobody knows it. ``shortfall`` is the median of those whom the most frequent miss keeps
    out: kilometres, levels or days. Groups smaller than the smallest publishable cell are gathered into the territory's row
    without sector and level, which is left out in turn when it stays too small; so is a shortfall of too few.
    """
    counted = _sectors_of(misses, links)
    size = counted.groupby(KEY)["nearest_miss"].transform("size")
    merged = counted.assign(**{name: counted[name].where(size >= smallest, "") for name in ("sector", "level")})
    groups = merged.groupby(KEY)["nearest_miss"]
    rows = pd.DataFrame({"people": groups.size(), "nearest_miss": groups.agg(_most_frequent)}).reset_index()
    told = rows.merge(merged, on=[*KEY, "nearest_miss"], how="left", validate="one_to_many").groupby(KEY)["shortfall"]
    short = told.median().where(told.count() >= smallest).round(1)
    kept = rows[rows["people"] >= smallest].reset_index(drop=True)
    return kept.assign(shortfall=short.reindex(pd.MultiIndex.from_frame(kept[KEY])).to_numpy(dtype="float64"))


def _most_frequent(misses: pd.Series[str]) -> str:
    """Name the most frequent miss; ties go to the first in alphabetical order."""
    return str(misses.value_counts().sort_index().idxmax())


def _sectors_of(shut: pd.DataFrame, links: pd.DataFrame) -> pd.DataFrame:
    """Name the sector each person looks to and the level each holds. One row per person of a known territory."""
    sector = shut["wanted"].map(main_sectors(links)).fillna("")
    return pd.DataFrame(
        {
            "territory": shut["territory"],
            "sector": sector.astype("str"),
            "level": level_text(shut["level"]),
            "nearest_miss": shut["nearest_miss"].astype("str"),
            "shortfall": shut["shortfall"].astype("float64"),
        }
    )
