"""The figures of the page: what the published tables add up to, each from one table and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from needs.show.lot_sheets import by_cost_per_job
from needs.show.titles import titled

LOTS_SHOWN = 15
NEARLY_SHOWN = 8
GROUPS_SHOWN = 12
OCCUPATIONS_SHOWN = 3
MONTHS_TOLD = 12
GRADES = ("A", "B", "C", "D")


@dataclass(frozen=True)
class Totals:
    """What the whole plan comes to."""

    lots: int
    territories: int
    sessions: int
    places: int
    cost_cents: int
    entries: float
    jobs: float
    jobs_low: float
    jobs_high: float

    @property
    def eur_per_job(self) -> float | None:
        """What one durable job costs; nothing when none is expected."""
        return self.cost_cents / 100 / self.jobs if self.jobs > 0 else None


def totals_of(lots: pd.DataFrame) -> Totals:
    """Add up the lots."""
    return Totals(
        lots=len(lots),
        territories=lots["territory"].nunique(),
        sessions=int(lots["sessions"].sum()),
        places=int(lots["places"].sum()),
        cost_cents=int(lots["cost_cents"].sum()),
        entries=float(lots["expected_entries"].sum()),
        jobs=float(lots["value"].sum()),
        jobs_low=float(lots["low"].sum()),
        jobs_high=float(lots["high"].sum()),
    )


def added_by_type(effects: pd.DataFrame, language: str) -> pd.DataFrame:
    """Take what an entry adds in durable work a year on, beside the raw rate, the most first. One row per type of action."""
    asked = (effects["sector"] == "") & (effects["group"] == "all") & (effects["outcome"] == "durable")
    told = effects[asked & (effects["horizon_months"] == MONTHS_TOLD) & effects["value"].notna()]
    return titled(told, language).sort_values(["value", "action_type"], ascending=[False, True], ignore_index=True)


def first_lots(lots: pd.DataFrame, rankings: pd.DataFrame, language: str) -> pd.DataFrame:
    """Take the lots whose durable jobs cost least, with the reasons of their ranking. One row per lot."""
    first = by_cost_per_job(lots).head(LOTS_SHOWN)
    key = ["territory", "sector", "action_type", "level"]
    told = first.assign(level=first["exit_level"].fillna("")).merge(
        rankings[[*key, "reasons"]], on=key, how="left", validate="many_to_one"
    )
    return titled(told.assign(reasons=told["reasons"].fillna(told["reason"])), language)


def nearly_bought(rejected: pd.DataFrame, language: str) -> pd.DataFrame:
    """Take the rejected lots whose price stands least above the one that would buy them. One row per lot."""
    price = rejected["cost_cents"].astype("float64") / 100 / rejected["places"].astype("float64")
    priced = rejected.assign(price_eur=price, excess=price / rejected["tipping_point"])
    near = priced[priced["excess"] > 1]
    return titled(near.sort_values(["excess", "lot_id"]).head(NEARLY_SHOWN), language)


def spending_by(lots: pd.DataFrame, group: str, language: str) -> pd.DataFrame:
    """Add up money and places, the largest budget first. One row per title or sector group."""
    groups = titled(lots, language).groupby(group, as_index=False)
    added = groups.agg(cost_cents=("cost_cents", "sum"), places=("places", "sum"), lots=("places", "size"))
    ordered = added.rename(columns={group: "name"}).sort_values(["cost_cents", "name"], ascending=[False, True])
    return ordered.assign(share=ordered["cost_cents"] / max(int(ordered["cost_cents"].sum()), 1)).reset_index(drop=True)


def gather_rest(spending: pd.DataFrame, name: str) -> pd.DataFrame:
    """Keep the largest groups and add the others up under one name. One row per group shown."""
    rest = spending.iloc[GROUPS_SHOWN:]
    if len(rest) < 2:
        return spending
    sums = rest[["cost_cents", "places", "lots", "share"]].sum().to_frame().T
    return pd.concat([spending.head(GROUPS_SHOWN), sums.assign(name=name)], ignore_index=True)


def needs_by_territory(forecasts: pd.DataFrame, lots: pd.DataFrame, language: str) -> pd.DataFrame:
    """Add up the needs of each bassin beside what is bought for it, the largest need first.

    One row per bassin: need, its months as a list, its first occupations as text, places, cost_cents.
    """
    bassins = titled(forecasts[forecasts["territory"].str.startswith("BE")], language)
    by_month = bassins.groupby(["territory", "territory_title", "period"], as_index=False)[["need"]].sum()
    rows = by_month.groupby(["territory", "territory_title"], as_index=False).agg(need=("need", "sum"), months=("need", list))
    bought = lots.groupby("territory")[["places", "cost_cents"]].sum()
    rows = rows.assign(
        occupations=rows["territory"].map(_first_occupations(bassins)),
        **{name: rows["territory"].map(bought[name]).fillna(0).astype("int64") for name in ("places", "cost_cents")},
    )
    return rows.sort_values(["need", "territory"], ascending=[False, True], ignore_index=True)


def _first_occupations(bassins: pd.DataFrame) -> pd.Series[str]:
    """Name the occupations each bassin needs most. One row per bassin."""
    sums = bassins.groupby(["territory", "occupation", "occupation_title"], as_index=False)[["need"]].sum()
    ordered = sums.sort_values(["need", "occupation"], ascending=[False, True])
    first = ordered.groupby("territory").head(OCCUPATIONS_SHOWN)
    named: pd.Series[str] = first.groupby("territory")["occupation_title"].agg(" · ".join)
    return named


def confidence(estimates: pd.DataFrame) -> dict[str, int]:
    """Count estimates by confidence grade, from A to D."""
    counts = estimates["grade"].value_counts()
    return {grade: int(counts.get(grade, 0)) for grade in GRADES}


def unmet_by_reason(unmet: pd.DataFrame) -> pd.DataFrame:
    """Count people without training by what came nearest, the most frequent first. One row per reason."""
    counted = unmet.groupby("nearest_miss", as_index=False)[["people"]].sum()
    return counted.sort_values(["people", "nearest_miss"], ascending=[False, True], ignore_index=True)
