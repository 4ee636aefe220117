"""What employers ask for: vacancies by workplace and month, and the recruitments they stand for.

Grain: bassin × département (the atom of every sum) × occupation × month. An offer counts in the month it was first
published, with the positions of its last version known; an offer that names only a département, or only the Region,
is spread over its bassins by population, so that no position is lost and none is counted twice.
"""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from scipy.stats import beta

from features.lazy import ask, ask_arrow, with_optional
from features.params import Section, param
from features.spreading import CELL, spread_over_cells
from features.tables import OFFERS
from features.vocabulary import months_to

KEY = [*CELL, "occupation", "period"]
YEAR = 12
MEASURES = ["positions", "seasonal", "short"]
# DIN is the open-ended contract of temporary work.
OPEN_ENDED = ("CDI", "DIN", "PUB")
LONG_ENOUGH = f"(coalesce(contract IN {OPEN_ENDED}, false) OR coalesce(contract_months >= $durable, false))"
"""Whether an offer lasts, seasonal or not, in SQL; ``$durable`` is ``durable_months``."""


class DemandParams(Section):
    """How offers become positions, and positions recruitments."""

    durable_months: float = param(
        6.0, "a fixed-term contract counts as a position from this length", unit="months", ge=1, le=24
    )
    history_months: int = param(72, "months of offers that are looked back on", unit="months", ge=24, le=240)
    lowest_coverage: float = param(
        0.1, "vacancies are never taken for less than this share of recruitments", unit="share", ge=0.01, le=1
    )
    border_km: float = param(25.0, "the pull of a town across the border falls by 63 % over this", unit="km", ge=1, le=200)
    border_weight: float = param(0.0, "how much of an opening across the border counts as need here", unit="share", ge=0, le=1)
    repeat_days: int = param(
        45, "an offer like another is taken for it when it comes this soon after", unit="days", ge=7, le=92
    )


def last_full_month(as_of: pd.Timestamp) -> str:
    """Give the last month that was over at ``as_of``.

    >>> last_full_month(pd.Timestamp("2026-03-31")), last_full_month(pd.Timestamp("2026-03-30"))
    ('2026-03', '2026-02')
    """
    return str((as_of + pd.Timedelta(days=1)).to_period("M") - 1)


def current(offers: ds.Dataset) -> str:
    """Write the question that gives the last version of each offer known at ``$as_of``. One row per offer.

    A version says since when it is superseded, so that none needs to look for the others; where they do not say it, they do.
    """
    known = f"{with_optional(offers, OFFERS, 'offers')} WHERE known_from <= $as_of"
    if "superseded" in offers.schema.names:
        return f"({known} AND (superseded IS NULL OR superseded > $as_of))"
    first = "min(created) OVER (PARTITION BY offer) AS created"
    last = "QUALIFY row_number() OVER (PARTITION BY offer ORDER BY known_from DESC) = 1"
    return f"(SELECT * EXCLUDE (created), {first} FROM ({known}) {last})"


# What offers say -------------------------------------------------------------------------------------------------------

_SUMS = {
    "vacancies": "count(*)",
    "positions": "sum(positions) FILTER (NOT seasonal AND lasting)",
    "seasonal": "sum(positions) FILTER (seasonal)",
    "short": "sum(positions) FILTER (NOT seasonal AND NOT lasting)",
    "beginners": "count(*) FILTER (experience = 'D')",
    "experienced": "count(*) FILTER (experience IN ('S', 'E'))",
    "level_told": "count(level)",
    "level_below_4": "count(*) FILTER (level < 4)",
    "wage_told": "count(hourly_eur)",
    "wage_cents": "sum(round(hourly_eur * 100)::BIGINT)",
    "days_on_line": "sum(date_diff('day', created, known_from))",
}


def observe_offers(offers: ds.Dataset, communes: pd.DataFrame, as_of: pd.Timestamp, params: DemandParams) -> pd.DataFrame:
    """Count what offers say. One row per territory, department, occupation, period with an offer; columns are sums.

    ``positions`` are CDI, public service or contracts of ``durable_months`` and more; ``seasonal`` and ``short`` ones
    stand apart. ``beginners`` and ``experienced`` are the vacancies that say which they ask, ``level_told`` those that name
    a diploma and ``level_below_4`` those that take one below the baccalauréat; ``wage_cents`` adds up the gross pay of an
    hour over the ``wage_told``; ``days_on_line`` runs from the first publication to the last update, the least time an offer
    can have stood.
    """
    last = pd.Period(last_full_month(as_of), "M")
    first = last - params.history_months + 1
    summed = ", ".join(f"coalesce({sql}, 0)::DOUBLE AS {name}" for name, sql in _SUMS.items())
    sql = f"""
        SELECT territory, department, occupation, year(created) * 100 + month(created) AS period, {summed}
        FROM (
            SELECT *, {LONG_ENOUGH} AS lasting
            FROM {current(offers)} WHERE border IS NULL AND created >= $first AND created < $end
        ) GROUP BY ALL
    """
    seen = ask_arrow(
        sql,
        {"offers": offers},
        as_of=as_of,
        first=first.start_time,
        end=(last + 1).start_time,
        durable=params.durable_months,
    )
    keys = {"occupation": sorted(seen["occupation"].unique().to_pylist()), "period": months_to(str(first), str(last))}
    return spread_over_cells(_with_months(seen), communes, keys)


def _with_months(seen: pa.Table) -> pa.Table:
    """Spell the months of a count, which are numbers like 202503. Same rows."""
    months = seen["period"].unique().to_pylist()
    spelt = pa.array([f"{month // 100}-{month % 100:02d}" for month in months], pa.string())
    codes = pc.index_in(seen["period"], value_set=pa.array(months, seen["period"].type))
    return seen.set_column(seen.column_names.index("period"), "period", spelt.take(codes.combine_chunks()))


def fill_months(observed: pd.DataFrame, border: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """Fill the months without an offer with zeros. One row per territory, department, occupation, period.

    ``MEASURES`` and the openings across the ``border`` beside them. A series starts with its territory's first offer and
    ends with the last full month; one that only stands across the border has no series.
    """
    series = observed[[*CELL, "occupation"]].drop_duplicates()
    starts, last = observed.groupby("territory")["period"].min(), last_full_month(as_of)
    months = pd.DataFrame(
        [(territory, month) for territory, first in starts.items() for month in months_to(str(first), last)],
        columns=["territory", "period"],
    ).astype("str")
    grid = series.merge(months, on="territory", validate="many_to_many")
    filled = grid.merge(observed[[*KEY, *MEASURES]], on=KEY, how="left", validate="one_to_one")
    filled = filled.merge(border[[*KEY, "border"]], on=KEY, how="left", validate="one_to_one")
    filled = filled.fillna(dict.fromkeys([*MEASURES, "border"], 0.0))
    return filled.sort_values(KEY, ignore_index=True)


def count_repeats(offers: ds.Dataset, as_of: pd.Timestamp, params: DemandParams) -> pd.DataFrame:
    """Estimate how many vacancies of the last year are one offer published again. One row per department, occupation.

    ``alike`` follow within ``repeat_days`` an offer of the same commune, occupation, contract, experience, level and skills;
    some do so by chance: as many as follow one in the span of equal length three spans later. ``repeated`` is the difference,
    never below zero. No offer is left out of what is counted for it: a post that stays vacant is still to be filled.
    """
    last = pd.Period(last_full_month(as_of), "M")
    sql = f"""
        WITH told AS (
            SELECT department, occupation, created,
                hash(commune, occupation, contract, contract_months, experience, level, skills) AS likeness
            FROM {current(offers)} WHERE commune IS NOT NULL AND border IS NULL AND created >= $before AND created < $end
        ),
        days AS (
            SELECT department, occupation, likeness, (epoch(created) // 86400)::INTEGER AS day, count(*) AS vacancies
            FROM told GROUP BY ALL
        ),
        spans AS (
            SELECT *, max(day) OVER near AS previous, max(day) OVER far AS earlier FROM days
            WINDOW near AS (PARTITION BY likeness ORDER BY day RANGE BETWEEN $span PRECEDING AND 1 PRECEDING),
                far AS (PARTITION BY likeness ORDER BY day RANGE BETWEEN 4 * $span PRECEDING AND 3 * $span + 1 PRECEDING)
        )
        SELECT department, occupation, sum(vacancies)::DOUBLE AS vacancies,
            coalesce(sum(vacancies) FILTER (previous IS NOT NULL), 0)::DOUBLE AS alike,
            coalesce(sum(vacancies) FILTER (earlier IS NOT NULL), 0)::DOUBLE AS by_chance
        FROM spans WHERE day >= $year GROUP BY ALL ORDER BY ALL
    """
    year = (last - 11).start_time
    counts = ask(
        sql,
        {"offers": offers},
        as_of=as_of,
        before=year - pd.Timedelta(days=4 * params.repeat_days),
        year=(year - pd.Timestamp(0)).days,
        end=(last + 1).start_time,
        span=params.repeat_days,
    )
    return counts.assign(repeated=(counts["alike"] - counts["by_chance"]).clip(lower=0.0))


# What recruitments they stand for --------------------------------------------------------------------------------------


def estimate_coverage(panel: pd.DataFrame, lasting: pd.Series[float], params: DemandParams) -> pd.DataFrame:
    """Estimate which share of recruitments the vacancies show. One row per territory: coverage, low, high, projects.

    Coverage = positions of the last twelve months ÷ ``projects`` (the ``lasting`` ones of the last survey known, by
    territory; in proportion, where fewer months of offers are known), at most 1. Without
    a survey of the territory it is 1 and ``projects`` is 0: need is then no more than the vacancies seen.
    """
    recent = panel[panel["period"] > _year_before(panel)]
    positions = recent.groupby("territory")["positions"].sum()
    months = recent.groupby("territory")["period"].nunique()
    projects = lasting.reindex(positions.index).fillna(0.0) * months / YEAR
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
    return "" if panel.empty else str(pd.Period(panel["period"].max(), "M") - YEAR)


def add_need(panel: pd.DataFrame, coverage: pd.DataFrame, params: DemandParams) -> pd.DataFrame:
    """Add the recruitments that positions stand for: need = positions ÷ coverage + border × ``border_weight``. Same rows."""
    shares = coverage.set_index("territory")["coverage"]
    own = panel["positions"] / panel["territory"].map(shares).astype("float64")
    return panel.assign(need=own + panel["border"] * params.border_weight)
