"""Whom no course answers: counted by territory, sector wanted and level, with what came nearest."""

from __future__ import annotations

import pandas as pd

from features.supply import level_text
from models.matching import Candidates

KEY = ["territory", "sector", "level"]


def count_unmet(
    people: pd.DataFrame, candidates: Candidates, proposed: pd.DataFrame, links: pd.DataFrame, smallest: int
) -> pd.DataFrame:
    """Count the people who were proposed nothing. One row per territory, sector wanted, level: people, nearest_miss.

    The sector is the one that trains most for the wanted occupation, empty when nobody knows it. Groups smaller than
    the smallest publishable cell are gathered into the territory's row without sector and level, which is left out in
    turn when it stays too small.
    """
    full = people[people["person"].isin(candidates.pairs["person"]) & ~people["person"].isin(proposed["person"])]
    counted = _sectors_of(pd.concat([candidates.shut, full.assign(nearest_miss="seats")], ignore_index=True), links)
    size = counted.groupby(KEY)["nearest_miss"].transform("size")
    merged = counted.assign(**{name: counted[name].where(size >= smallest, "") for name in ("sector", "level")})
    groups = merged.groupby(KEY)["nearest_miss"]
    rows = pd.DataFrame({"people": groups.size(), "nearest_miss": groups.agg(_most_frequent)})
    return rows[rows["people"] >= smallest].reset_index()


def _most_frequent(misses: pd.Series[str]) -> str:
    """Name the most frequent miss; ties go to the first in alphabetical order."""
    return str(misses.value_counts().sort_index().idxmax())


def _sectors_of(shut: pd.DataFrame, links: pd.DataFrame) -> pd.DataFrame:
    """Name the sector each person looks to and the level each holds. One row per person."""
    totals = links.groupby(["occupation", "sector"], as_index=False)[["weight"]].sum()
    main = totals.sort_values(["occupation", "weight", "sector"], ascending=[True, False, True]).drop_duplicates("occupation")
    sector = shut["wanted"].map(main.set_index("occupation")["sector"]).fillna("")
    return pd.DataFrame(
        {
            "territory": shut["territory"],
            "sector": sector.astype("str"),
            "level": level_text(shut["level"]),
            "nearest_miss": shut["nearest_miss"].astype("str"),
        }
    )
