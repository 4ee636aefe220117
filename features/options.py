"""What can be bought: the kinds of lots that were bought before, with their usual price and group, and where they were."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.params import Section, param
from features.places import region_of
from features.supply import level_text, share_places

OPTION = ["sector", "action_type", "level"]
_MOST = 0.5
_MEDIANS = ["group", "group_min", "group_max", "place_eur", "hours"]


class OptionParams(Section):
    """How far a kind of lot that was bought a few times leans on all lots."""

    prior_lots: float = param(
        5.0, "all lots weigh as this many in the risk and in the spread of the price of one kind", unit="lots", ge=0.1, le=100
    )
    smallest_spread: float = param(0.02, "the price of a place is never taken to be surer than this", unit="log", ge=0.0, le=1)


def list_options(purchases: pd.DataFrame, registered: pd.DataFrame, exercise: int, params: OptionParams) -> pd.DataFrame:
    """List what the Region knows how to buy. One row per sector, action_type, exit level.

    ``formacode``, ``certification`` and ``entry_level`` are those most often bought (ties: the first code), ``certified_until``
    the end of its registration: one that ends before the ``exercise`` does gives way to the one most often bought of those
    that do not, if there is any. Price, hours, allowance, group sizes and places of a session are medians of the lots
    that were awarded, ``price_spread`` the standard deviation of the log of their price; ``risk`` is the share that found no
    bidder; ``busiest`` counts the sessions of its busiest year, all the providers have shown they can run. ``group_paid`` says
    whether most are paid by the group, whoever comes: those that state a price of its hour, or none at all.
    """
    tendered = _read_lots(purchases)
    awarded = tendered[tendered["failed"] == 0]
    grouped = awarded.groupby(OPTION)
    years = awarded.groupby([*OPTION, "exercise"])["sessions"].sum()
    numbers = (
        grouped[_MEDIANS]
        .median()
        .assign(
            allowance_eur=grouped["allowance_place_eur"].median().astype("float64").fillna(0.0),
            busiest=years.groupby(OPTION).max().astype(float),
            group_paid=grouped["by_group"].mean() >= _MOST,
            price_spread=_spread_prices(awarded, params),
            risk=_lean_risk(tendered, params),
        )
    )
    usual = _choose_usual(awarded.merge(registered, on="certification", how="left", validate="many_to_one"), exercise)
    options = usual.merge(numbers.reset_index(), on=OPTION, how="inner", validate="one_to_one")
    return _whole_groups(options[options["place_eur"] > 0]).sort_values(OPTION, ignore_index=True)


def _read_lots(purchases: pd.DataFrame) -> pd.DataFrame:
    """Read what lots say of one place. One row per lot that has places and sessions; ``failed`` is 1 without a bidder."""
    lots = purchases[(purchases["places"] > 0) & (purchases["sessions"] > 0)]
    return lots.assign(
        sector=lots["formacode"].str[:3],
        level=level_text(lots["exit_level"]),
        entry=level_text(lots["entry_level"]),
        certification=lots["certifinfo"].fillna(""),
        group=lots["places"] / lots["sessions"],
        place_eur=lots["cost_eur"] / lots["places"],
        allowance_place_eur=lots["allowance_eur"] / lots["places"],
        hours=lots[["centre_hours", "company_hours", "remote_hours"]].fillna(0).sum(axis=1),
        by_group=(lots["group_hour_eur"].notna() | lots["trainee_hour_eur"].isna()).astype(float),
        failed=(lots["bids"] == 0).astype("boolean").fillna(False).astype(float),
    )


def _lean_risk(tendered: pd.DataFrame, params: OptionParams) -> pd.Series[float]:
    """Give the share of lots without a bidder: (failed + prior × share of all) ÷ (lots + prior). One number per option."""
    failed = tendered.groupby(OPTION)["failed"].agg(["sum", "size"])
    whole = float(tendered["failed"].mean()) if len(tendered) else 0.0
    return (failed["sum"] + params.prior_lots * whole) / (failed["size"] + params.prior_lots)


def _spread_prices(awarded: pd.DataFrame, params: OptionParams) -> pd.Series[float]:
    """Give the standard deviation of the log price of a place. One number per option.

    Its square is (squares + prior × variance) ÷ (lots − 1 + prior), with the variance that lots have within their options.
    """
    priced = awarded[awarded["place_eur"] > 0]
    logs = pd.Series(np.log(priced["place_eur"].to_numpy(dtype="float64")), index=priced.index)
    keys = [priced[name] for name in OPTION]
    squares = ((logs - logs.groupby(keys).transform("mean")) ** 2).groupby(keys).sum()
    free = logs.groupby(keys).size() - 1
    within = float(squares.sum() / max(int(free.sum()), 1))
    spread = ((squares + params.prior_lots * within) / (free + params.prior_lots)) ** 0.5
    return spread.clip(lower=params.smallest_spread)


def _choose_usual(awarded: pd.DataFrame, exercise: int) -> pd.DataFrame:
    """Choose what an option is usually bought with. One row per option: formacode, certification, entry_level, its end."""
    keys = [*OPTION, "formacode", "certification", "entry"]
    usual = awarded.groupby(keys, as_index=False).agg(places=("places", "sum"), certified_until=("certified_until", "first"))
    usual = usual.sort_values([*OPTION, "places", *keys[3:]], ascending=[True] * 3 + [False] + [True] * 3)
    first = usual.drop_duplicates(OPTION)
    ended = first["certified_until"] < pd.Timestamp(exercise, 12, 31)
    lasting = usual[(usual["certification"] != "") & ~(usual["certified_until"] < pd.Timestamp(exercise, 12, 31))]
    chosen = pd.concat([first[~ended], lasting, first[ended]]).drop_duplicates(OPTION)
    return chosen.drop(columns="places").rename(columns={"entry": "entry_level"})


def _whole_groups(options: pd.DataFrame) -> pd.DataFrame:
    """Make group sizes whole and ordered: 1 ≤ minimum ≤ usual ≤ maximum. Same rows."""
    usual = options["group"].round().clip(lower=1)
    low = options["group_min"].fillna(usual).astype("float64").round().clip(lower=1)
    high = options["group_max"].fillna(usual).astype("float64").round()
    high = high.where(high >= low, low)
    whole = {"group_min": low, "group_max": high, "group": usual.clip(lower=low, upper=high)}
    return options.assign(**{name: sizes.astype("int64") for name, sizes in whole.items()})


def registered_until(certifications: pd.DataFrame, registrations: pd.DataFrame) -> pd.DataFrame:
    """Say when the registration of each certification ends. One row per certification: ``certified_until``, or missing.

    One that stands in several fiches of the national registers ends with the last of them. Where no register tells, it ends
    with the year of its last session.
    """
    held = certifications[["certifinfo", "rncp", "rs", "last_session"]].rename(columns={"certifinfo": "certification"})
    rs = held["rs"].str.split("|").explode().astype("str")
    numbers = [held[["certification"]].assign(fiche="RNCP" + held["rncp"])]
    numbers += [held[["certification"]].loc[rs.index].assign(fiche="RS" + rs)]
    fiches = pd.concat(numbers).dropna(subset=["fiche"])
    ends = fiches.merge(registrations[["fiche", "ends"]], on="fiche", how="inner", validate="many_to_one")
    last = ends.astype({"ends": "datetime64[us]"}).groupby("certification")["ends"].max()
    years = pd.to_datetime(held["last_session"].astype("str") + "-12-31", format="%Y-%m-%d", errors="coerce")
    until = pd.Series(last.reindex(held["certification"]).to_numpy(), index=held.index).fillna(years.astype("datetime64[us]"))
    return held[["certification"]].assign(certified_until=until)


def list_bought(purchases: pd.DataFrame, communes: pd.DataFrame) -> pd.DataFrame:
    """List what was ever bought for each bassin. One row per territory, sector, action_type, level.

    A lot for a wider territory counts in each bassin of which a commune lies in it; one without a bidder was not bought.
    """
    lots = _read_lots(purchases)
    lots = lots[lots["failed"] == 0]
    place = lots["territory"].fillna(region_of(communes))
    wide = share_places(communes)[["place", "territory"]].drop_duplicates()
    bought = lots[OPTION].assign(place=place).drop_duplicates()
    within = bought.merge(wide, on="place", how="inner", validate="many_to_many")
    return within[["territory", *OPTION]].drop_duplicates().sort_values(["territory", *OPTION], ignore_index=True)
