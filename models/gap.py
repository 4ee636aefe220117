"""What is missing: the recruitments of a sector, less the people available and those training will bring."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.contracts import GradeLimits, write_estimate

KEY = ["territory", "sector", "level", "period"]
TOLD = ("training_solvable", "training_solvable_low", "training_solvable_high", "disagreement")
"""What is said of the need of a cell, whatever the month."""


def to_sectors(rows: pd.DataFrame, links: pd.DataFrame, measures: list[str]) -> pd.DataFrame:
    """Carry measures of occupations to sectors and exit levels. One row per territory, sector, level, period.

    ``links`` weighs each occupation's sectors and levels, weights adding up to one: mass is preserved for every linked
    occupation. The unlinked ones are not in a sector: they are listed with their volume, as unmapped.
    """
    joined = rows.merge(links, on="occupation", how="inner", validate="many_to_many")
    weighted = joined.assign(**{name: joined[name] * joined["weight"] for name in measures})
    return weighted.groupby(KEY, as_index=False)[measures].sum()


def sector_needs(
    forecasts: pd.DataFrame, links: pd.DataFrame, supply: pd.DataFrame, under_way: pd.DataFrame, limits: GradeLimits
) -> pd.DataFrame:
    """Set need against supply. One row per territory, sector, level, period: est. of the gap; need, supply, under_way.

    gap = need − supply − under_way, same period and unit. Half-widths of the needs of occupations add in quadrature, as
    independent errors do; ``n`` is the number of positions that the need rests on.
    """
    spread = forecasts.assign(
        below=(forecasts["need"] - forecasts["need_low"]) ** 2, above=(forecasts["need_high"] - forecasts["need"]) ** 2
    )
    squared = links.assign(square=links["weight"] ** 2)
    need = to_sectors(spread, links, ["need", "n"])
    width = to_sectors(spread, squared.drop(columns="weight").rename(columns={"square": "weight"}), ["below", "above"])
    months = pd.DataFrame({"period": sorted(forecasts["period"].unique())}, dtype="str")
    flow = to_sectors(supply.merge(months, how="cross"), links, ["supply"])
    coming = under_way[under_way["period"].isin(months["period"])].groupby(KEY, as_index=False)["under_way"].sum()
    frame = need.merge(width, on=KEY, how="outer", validate="one_to_one")
    frame = frame.merge(flow, on=KEY, how="outer", validate="one_to_one").merge(
        coming, on=KEY, how="outer", validate="one_to_one"
    )
    frame = frame.fillna(dict.fromkeys(["need", "n", "below", "above", "supply", "under_way"], 0.0))
    return _estimate_gap(frame.sort_values(KEY, ignore_index=True), limits)


def _estimate_gap(frame: pd.DataFrame, limits: GradeLimits) -> pd.DataFrame:
    """Write the gap and the bounds of what makes it. Same rows."""
    below, above = np.sqrt(frame["below"]), np.sqrt(frame["above"])
    gap = frame["need"] - frame["supply"] - frame["under_way"]
    bounded = frame[[*KEY, "need", "supply", "under_way"]].assign(
        need_low=(frame["need"] - below).clip(lower=0.0), need_high=frame["need"] + above
    )
    return write_estimate(bounded, value=gap, low=gap - below, high=gap + above, n=frame["n"], borrowed=0.0, limits=limits)


def yearly_gap(needs: pd.DataFrame) -> pd.DataFrame:
    """Add up the months served. One row per territory, sector, level: gap, gap_low, gap_high, need, and ``TOLD`` as it was.

    Half-widths of months add in quadrature, as independent errors do; ``need_n`` is what the need of a month rests on.
    """
    cells = ["territory", "sector", "level"]
    widths = needs.assign(below=(needs["value"] - needs["low"]) ** 2, above=(needs["high"] - needs["value"]) ** 2)
    sums = widths.groupby(cells, as_index=False)[["value", "need", "below", "above"]].sum().rename(columns={"value": "gap"})
    bounds = {"gap_low": sums["gap"] - np.sqrt(sums["below"]), "gap_high": sums["gap"] + np.sqrt(sums["above"])}
    told = needs.groupby(cells, as_index=False)[list(TOLD)].first()
    bounds |= {"need_n": needs.groupby(cells)["n"].max().to_numpy()}
    yearly = sums.assign(**bounds).drop(columns=["below", "above"])
    return yearly.merge(told, on=cells, how="left", validate="one_to_one")
