"""What can be bought: the kinds of lots that were bought before, with their usual price and group."""

from __future__ import annotations

import pandas as pd

from features.supply import level_text

OPTION = ["sector", "action_type", "level"]
_MOST = 0.5


def list_options(purchases: pd.DataFrame) -> pd.DataFrame:
    """List what the Region knows how to buy. One row per sector, action_type, exit level.

    ``formacode``, ``certifinfo`` and ``entry_level`` are those most often bought (ties: the first code); price, hours,
    group sizes and places of a session are medians of the lots that were awarded; ``risk`` is the share that found no
    bidder; ``busiest`` counts the sessions of its busiest year, all the providers have shown they can run. ``group_paid`` says
    whether most are paid by the group, whoever comes: those that state a price of its hour, or none at all.
    """
    lots = purchases[(purchases["places"] > 0) & (purchases["sessions"] > 0)]
    lots = lots.assign(
        sector=lots["formacode"].str[:3],
        level=level_text(lots["exit_level"]),
        entry=level_text(lots["entry_level"]),
        certification=lots["certifinfo"].fillna(""),
        group=lots["places"] / lots["sessions"],
        place_eur=lots["cost_eur"] / lots["places"],
        hours=lots[["centre_hours", "company_hours", "remote_hours"]].fillna(0).sum(axis=1),
        by_group=(lots["group_hour_eur"].notna() | lots["trainee_hour_eur"].isna()).astype(float),
        failed=(lots["bids"] == 0).astype("boolean").fillna(False).astype(float),
    )
    risk = lots.groupby(OPTION)["failed"].mean().rename("risk")
    lots = lots[lots["failed"] == 0]
    grouped = lots.groupby(OPTION)
    numbers = grouped[["group", "group_min", "group_max", "place_eur", "hours"]].median()
    usual = lots.groupby([*OPTION, "formacode", "certification", "entry"], as_index=False)[["places"]].sum()
    usual = usual.sort_values([*OPTION, "places", "formacode", "certification"], ascending=[True] * 3 + [False, True, True])
    usual = usual.drop_duplicates(OPTION).drop(columns="places").rename(columns={"entry": "entry_level"})
    years = lots.groupby([*OPTION, "exercise"])["sessions"].sum()
    paid = grouped["by_group"].mean() >= _MOST
    numbers = numbers.assign(busiest=years.groupby(OPTION).max().astype(float), group_paid=paid).join(risk)
    options = usual.merge(numbers.reset_index(), on=OPTION, how="inner", validate="one_to_one")
    return _whole_groups(options[options["place_eur"] > 0]).sort_values(OPTION, ignore_index=True)


def _whole_groups(options: pd.DataFrame) -> pd.DataFrame:
    """Make group sizes whole and ordered: 1 ≤ minimum ≤ usual ≤ maximum. Same rows."""
    usual = options["group"].round().clip(lower=1)
    low = options["group_min"].fillna(usual).astype("float64").round().clip(lower=1)
    high = options["group_max"].fillna(usual).astype("float64").round()
    high = high.where(high >= low, low)
    whole = {"group_min": low, "group_max": high, "group": usual.clip(lower=low, upper=high)}
    return options.assign(**{name: sizes.astype("int64") for name, sizes in whole.items()})
