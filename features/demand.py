"""What employers ask for: positions by workplace and month, and the recruitments they stand for.

Grain: bassin × département (the atom of every sum) × occupation × month. An offer counts in the month it was first
published, with the positions of its last version known; an offer that names only a département, or only the Region,
is spread over its bassins by population, so that no position is lost and none is counted twice.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import beta

from features.params import Section, param
from features.vocabulary import month_of, months_to

CELL = ["territory", "department"]
MEASURES = ["positions", "seasonal", "short"]
# DIN is the open-ended contract of temporary work.
OPEN_ENDED = ("CDI", "DIN", "PUB")


class DemandParams(Section):
    """How offers become positions, and positions recruitments."""

    durable_months: float = param(
        6.0, "a fixed-term contract counts as a position from this length", unit="months", ge=1, le=24
    )
    history_months: int = param(72, "months of offers that are looked back on", unit="months", ge=24, le=240)
    secret_projects: float = param(
        2.0, "projects a statistical secret of BMO stands for (it hides less than 5)", unit="projects", ge=0, le=4
    )
    lowest_coverage: float = param(
        0.1, "vacancies are never taken for less than this share of recruitments", unit="share", ge=0.01, le=1
    )


def last_full_month(as_of: pd.Timestamp) -> str:
    """Give the last month that was over at ``as_of``.

    >>> last_full_month(pd.Timestamp("2026-03-31")), last_full_month(pd.Timestamp("2026-03-30"))
    ('2026-03', '2026-02')
    """
    return str((as_of + pd.Timedelta(days=1)).to_period("M") - 1)


def last_versions(offers: pd.DataFrame) -> pd.DataFrame:
    """Keep the last known version of each offer, dated by its first publication. One row per offer."""
    dated = offers.assign(created=offers.groupby("offer")["created"].transform("min"))
    return dated.sort_values(["offer", "known_from"]).drop_duplicates("offer", keep="last").reset_index(drop=True)


def population_shares(communes: pd.DataFrame) -> pd.DataFrame:
    """Say which share of a département lives in each of its bassins. One row per département, territory."""
    people = communes.groupby(["department", "territory"], as_index=False)["population"].sum()
    whole = people.groupby("department")["population"].transform("sum")
    shares: pd.DataFrame = people.assign(share=people["population"] / whole)
    return shares[["department", "territory", "share"]]


def spread_over_cells(offers: pd.DataFrame, communes: pd.DataFrame) -> pd.DataFrame:
    """Place each offer: whole in its bassin, else by population over its département, else over the Region.

    One row per offer, cell. Offers across a border are in no cell.
    """
    placed = offers[offers["territory"].notna()].assign(share=1.0)
    loose = offers[offers["territory"].isna() & offers["border"].isna()].drop(columns="territory")
    named = loose["department"].notna()
    spread = loose[named].merge(population_shares(communes), on="department", how="inner", validate="many_to_many")
    everywhere = loose[~named].drop(columns="department").merge(_shares_of_the_region(communes), how="cross")
    return pd.concat([placed, spread, everywhere], ignore_index=True)


def _shares_of_the_region(communes: pd.DataFrame) -> pd.DataFrame:
    """Say which share of the Region lives in each cell. One row per département, territory."""
    people = communes.groupby(["department", "territory"], as_index=False)["population"].sum()
    shares: pd.DataFrame = people.assign(share=people["population"] / people["population"].sum())
    return shares[["department", "territory", "share"]]


def count_positions(offers: pd.DataFrame, communes: pd.DataFrame, as_of: pd.Timestamp, params: DemandParams) -> pd.DataFrame:
    """Count positions published. One row per territory, department, occupation, period, every month of the series filled.

    ``positions`` are CDI, public service or contracts of ``durable_months`` and more; ``seasonal`` and ``short`` ones
    stand apart. A series starts with its territory's first offer, at most ``history_months`` ago.
    """
    placed = spread_over_cells(last_versions(offers), communes)
    long_enough = placed["contract"].isin(OPEN_ENDED) | (placed["contract_months"] >= params.durable_months)
    kind = np.select(
        [placed["seasonal"].to_numpy(dtype=bool), long_enough.to_numpy(dtype=bool)], ["seasonal", "positions"], "short"
    )
    counted = placed.assign(
        count=placed["positions"].astype("float64") * placed["share"], kind=kind, period=month_of(placed["created"])
    )
    last = last_full_month(as_of)
    first = str(pd.Period(last, "M") - params.history_months + 1)
    seen = counted[(counted["period"] >= first) & (counted["period"] <= last)]
    sums = seen.groupby([*CELL, "occupation", "period", "kind"], as_index=False)["count"].sum()
    wide = sums.pivot_table(index=[*CELL, "occupation", "period"], columns="kind", values="count", fill_value=0.0)
    return _fill_months(wide.reindex(columns=MEASURES, fill_value=0.0).reset_index(), last)


def _fill_months(counts: pd.DataFrame, last: str) -> pd.DataFrame:
    """Fill the months without an offer with zeros. One row per territory, department, occupation, period."""
    series = counts[[*CELL, "occupation"]].drop_duplicates()
    starts = counts.groupby("territory")["period"].min()
    months = pd.DataFrame(
        [(territory, month) for territory, first in starts.items() for month in months_to(str(first), last)],
        columns=["territory", "period"],
    ).astype("str")
    grid = series.merge(months, on="territory", validate="many_to_many")
    filled = grid.merge(counts, on=[*CELL, "occupation", "period"], how="left", validate="one_to_one")
    filled = filled.fillna(dict.fromkeys(MEASURES, 0.0))
    return filled.sort_values([*CELL, "occupation", "period"], ignore_index=True)


def estimate_coverage(panel: pd.DataFrame, bmo: pd.DataFrame, params: DemandParams) -> pd.DataFrame:
    """Estimate which share of recruitments the vacancies show. One row per territory: coverage, low, high, projects.

    Coverage = positions of the last twelve months ÷ non-seasonal projects of the last survey known, at most 1. Without
    a survey of the territory it is 1 and ``projects`` is 0: need is then no more than the vacancies seen.
    """
    recent = panel[panel["period"] > _year_before(panel)]
    positions = recent.groupby("territory")["positions"].sum()
    projects = _lasting_projects(bmo, params).reindex(positions.index).fillna(0.0)
    seen = positions.clip(upper=projects)
    coverage = (positions / projects.where(projects > 0)).fillna(1.0).clip(params.lowest_coverage, 1.0)
    surveyed = projects > 0
    low = pd.Series(beta.ppf(0.1, seen + 1, projects - seen + 1), index=positions.index).where(surveyed, 1.0)
    high = pd.Series(beta.ppf(0.9, seen + 1, projects - seen + 1), index=positions.index)
    return pd.DataFrame(
        {
            "coverage": coverage,
            "coverage_low": low.clip(upper=coverage).clip(lower=params.lowest_coverage),
            "coverage_high": high.clip(lower=coverage).clip(upper=1.0),
            "projects": projects,
        }
    ).reset_index()


def _year_before(panel: pd.DataFrame) -> str:
    return "" if panel.empty else str(pd.Period(panel["period"].max(), "M") - 12)


def _lasting_projects(bmo: pd.DataFrame, params: DemandParams) -> pd.Series[float]:
    """Sum the non-seasonal projects of the last survey known, by territory."""
    last = bmo[bmo["year"] == bmo["year"].max()]
    secret = params.secret_projects
    projects = last["projects"].mask(last["projects_secret"], secret).fillna(0.0)
    seasonal = last["seasonal"].mask(last["seasonal_secret"], secret).fillna(0.0).clip(upper=projects)
    lasting = (projects - seasonal).mask(last["projects_secret"], secret)
    totals: pd.Series[float] = lasting.groupby(last["territory"]).sum()
    return totals


def add_need(panel: pd.DataFrame, coverage: pd.DataFrame) -> pd.DataFrame:
    """Add the recruitments that positions stand for: need = positions ÷ coverage. Same rows."""
    shares = coverage.set_index("territory")["coverage"]
    return panel.assign(need=panel["positions"] / panel["territory"].map(shares).astype("float64"))
