"""The path of every number known of one territory and sector: what it is made of, part by part.

Figures are those of :class:`features.build.Features`, never worked out again here: this module only takes the rows of a
cell, weighs occupations by their links to the sector, and keeps the parts beside their sum.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from features.build import Features
from features.demand import last_full_month
from features.vocabulary import months_from
from needs.run.cell import PART, YEAR, Cell, Figure, in_order
from needs.run.witnesses import trace_people, trace_skills, trace_witnesses


def trace(cell: Cell, features: Features) -> list[Figure]:
    """Give every number of a cell with its parts, in the order in which they are read."""
    year = _last_year(features.panel)
    return [
        *_demand(cell, features, year),
        *trace_witnesses(cell, features, year),
        *_apart(cell, year),
        _supply(cell, features),
        *trace_people(cell, features),
        _under_way(cell, features),
        *_rates(cell, features.outcomes),
        *trace_skills(cell, features),
    ]


# Demand -----------------------------------------------------------------------------------------------------------------


def _demand(cell: Cell, features: Features, year: pd.DataFrame) -> list[Figure]:
    """Trace the need of the last twelve months, and the coverage it stands on; without any offer here, neither is known."""
    last = pd.Period(last_full_month(cell.as_of), "M")
    months = {"first": str(last - YEAR + 1), "last": str(last)}
    if cell.within(year).empty:
        return [Figure("need", float("nan"), said=months, rows=("positions",))]
    positions = float(cell.weigh(year, "positions")["value"].sum())
    parts = cell.weigh(year, "need")
    need = Figure(
        "need", float(parts["value"].sum()), said={**months, "positions": positions}, parts=parts, rows=("positions",)
    )
    return [need, *_coverage(cell, features.coverage, year)]


def _apart(cell: Cell, year: pd.DataFrame) -> list[Figure]:
    """Trace the positions that are counted apart from the need; none where no offer is known."""
    if cell.within(year).empty:
        return []
    parts = {name: cell.weigh(year, name) for name in ("seasonal", "border")}
    return [Figure(name, float(own["value"].sum()), parts=own, rows=(name,)) for name, own in parts.items()]


def _last_year(panel: pd.DataFrame) -> pd.DataFrame:
    """Keep the last twelve months of the series. Same row."""
    last = panel["period"].max()
    return panel[panel["period"] > str(pd.Period(last, "M") - YEAR)] if len(panel) else panel


def _coverage(cell: Cell, coverage: pd.DataFrame, year: pd.DataFrame) -> Iterator[Figure]:
    """Trace the share of recruitments that vacancies show: that of a bassin, or the mean of several by the need they have."""
    needs = pd.Series({name: cell.weigh(rows, "need")["value"].sum() for name, rows in cell.within(year).groupby("territory")})
    own = coverage[coverage["territory"].isin(needs.index)].sort_values("territory", ignore_index=True)
    if len(own) and (cell.atoms["territory"] == own["territory"][0]).all():
        row = own.to_dict("records")[0]
        positions = float(year.loc[year["territory"] == row["territory"], "positions"].sum())
        yield Figure(
            "coverage" if row["projects"] else "coverage_unknown",
            value=float(row["coverage"]),
            low=float(row["coverage_low"]),
            high=float(row["coverage_high"]),
            said={"positions": positions, "projects": float(row["projects"])},
            rows=("projects",),
        )
    elif needs.sum() > 0:
        need = own["territory"].map(needs).astype("float64")
        parts = pd.DataFrame(
            {"noun": "bassin", "code": own["territory"], "whole": own["coverage"], "weight": need / need.sum()}
        )
        parts = in_order(parts.assign(value=parts["whole"] * parts["weight"], n=own["projects"]))
        yield Figure("coverage_mean", float(parts["value"].sum()), parts=parts, rows=("projects",))


# Supply -----------------------------------------------------------------------------------------------------------------


def _supply(cell: Cell, features: Features) -> Figure:
    """Trace the people available in a year: twelve times those of a month. Where no jobseeker is known, neither are they."""
    if cell.within(features.jobseekers).empty:
        return Figure("supply", float("nan"), rows=("available",))
    monthly = cell.weigh(features.supply, "supply")
    parts = monthly.assign(whole=monthly["whole"] * YEAR, value=monthly["value"] * YEAR)
    return Figure("supply", float(parts["value"].sum()), parts=parts, rows=("available",))


def _under_way(cell: Cell, features: Features) -> Figure:
    """Trace those whom training and schools bring in the next twelve months, month by month."""
    months = months_from(str(pd.Period(last_full_month(cell.as_of), "M") + 1), YEAR)
    own = cell.trained(cell.within(features.under_way))
    ahead = own[own["period"].isin(months)]
    sums = ahead.groupby("period", as_index=False)[["under_way"]].sum().set_axis(["code", "whole"], axis=1)
    parts = sums.assign(noun="period", weight=1.0, value=sums["whole"], n=float("nan"))[list(PART)].astype(PART)
    said = {name: float(ahead[name].sum()) for name in ("seats", "entries", "certified", "planned", "leavers")}
    chain = features.chain.iloc[0]
    said |= {name: float(chain[name]) for name in ("fill", "completion")}
    known = len(parts) or features.chain["fill_n"].sum() > 0
    rows = ("inside", "sessions", "lots", "diplomas")
    return Figure("under_way", float(parts["value"].sum()) if known else float("nan"), said=said, parts=parts, rows=rows)


# Outcomes ---------------------------------------------------------------------------------------------------------------


def _rates(cell: Cell, outcomes: pd.DataFrame) -> list[Figure]:
    """Give the rates of past trainees that rest on people of the territory; only bassins have rates of their own."""
    own = cell.trained(outcomes[outcomes["territory"] == cell.territory])
    told = own[(own["public"] == "tout_public") & (own["n"] > 0)]
    keys = ["action_type", "level", "step", "horizon_months"]
    told = told.assign(step=told["outcome"].map({outcome: place for place, outcome in enumerate(_STEPS)}))
    return [
        Figure(
            "rate",
            value=float(row["value"]),
            low=float(row["low"]),
            high=float(row["high"]),
            n=float(row["n"]),
            borrowed=float(row["borrowed"]),
            grade=str(row["grade"]),
            said={name: row[name] for name in ("action_type", "level", "outcome", "horizon_months")},
            rows=("exits", "spells", "answers"),
        )
        for row in told.sort_values(keys).to_dict("records")
    ]


_STEPS = ("entry", "completion", "certified", "work", "durable", "trained_occupation", "qualification", "own_business")
