"""What was bought in past years, by bassin and funder, and which bassins make a wider territory: what rules are counted on."""

from __future__ import annotations

import pandas as pd

from features import facts
from features.places import region_of
from features.supply import level_text, share_places

BOUGHT = ["places", "euros", "sessions"]
_KEY = ["exercise", "territory", "sector", "action_type", "level", "public", "funder"]


def area_shares(communes: pd.DataFrame) -> pd.DataFrame:
    """Say which share of the people of each bassin live in each territory. One row per area, territory: share.

    An area is a bassin, zone d'emploi, département, Maison or the Region, typed; a bassin is an area of its own.
    """
    region = communes["department"].map(facts.departments().set_index("department")["region"])
    homes = communes[["territory"]].assign(people=communes["population"].astype("float64").clip(lower=1.0))
    kinds = [communes[name] for name in ("territory", "zone", "department", "maison")] + [region]
    long = pd.concat([homes.assign(area=codes.astype("str")) for codes in kinds], ignore_index=True)
    sums = long[long["area"].notna() & (long["area"] != "")].groupby(["area", "territory"], as_index=False)[["people"]].sum()
    whole = homes.groupby("territory")["people"].sum()
    return sums[["area", "territory"]].assign(share=sums["people"] / sums["territory"].map(whole))


def past_lots(purchases: pd.DataFrame, communes: pd.DataFrame) -> pd.DataFrame:
    """Count what was bought and found a bidder. One row per exercise, territory, sector, action_type, level, public, funder.

    ``places``, ``euros`` and ``sessions`` of lots for a wider territory are spread over its bassins by population, and
    over funders by their parts; lots that name none are the Region's own (LHEO 2).
    """
    found = purchases[~(purchases["bids"] == 0).fillna(False).astype(bool) & (purchases["places"] > 0)]
    lots = pd.DataFrame(
        {
            "exercise": found["exercise"].astype("int64"),
            "place": found["territory"],
            "sector": found["formacode"].str[:3],
            "action_type": found["action_type"],
            "level": level_text(found["exit_level"]),
            "public": found["public"].fillna("tout_public"),
            "funder": found["funders"].fillna("2").str.split("|"),
            "places": found["places"].astype("float64"),
            "euros": found["cost_eur"].astype("float64").fillna(0.0),
            "sessions": found["sessions"].astype("float64").fillna(0.0),
        }
    ).explode("funder", ignore_index=True)
    parts = lots["funder"].str.split(":", n=1, expand=True).reindex(columns=[0, 1])
    part = pd.to_numeric(parts[1], errors="coerce").fillna(1.0)
    lots = lots.assign(funder=parts[0].astype("str"), **{name: lots[name] * part for name in BOUGHT})
    shares = share_places(communes).groupby(["place", "territory"], as_index=False)[["share"]].sum()
    whole = shares[shares["place"] == region_of(communes)].drop(columns="place")
    known = lots["place"].isin(shares["place"])
    spread = pd.concat([lots[known].merge(shares, on="place"), lots[~known].merge(whole, how="cross")], ignore_index=True)
    spread = spread.assign(**{name: spread[name] * spread["share"] for name in BOUGHT})
    return spread.groupby(_KEY, as_index=False)[BOUGHT].sum()
