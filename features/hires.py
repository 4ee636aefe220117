"""Hires: the spells of work that began, of the people the Region follows: where work is found, not how much there is."""

from __future__ import annotations

import pandas as pd

from features.demand import last_full_month
from features.params import Section, param
from features.supply import ATOM, round_along

_CELL = [*ATOM, "occupation"]


class HireParams(Section):
    """Which hires are counted."""

    months: int = param(12, "months of hires that are looked back on", unit="months", ge=3, le=60)
    lag_months: int = param(3, "hires younger than this are not all declared yet, and are left out", unit="months", ge=0, le=24)
    rounding: int = param(5, "hires are multiples of this, so that none tells of one person", unit="hires", ge=1, le=20)


def count_hires(employment: pd.DataFrame, as_of: pd.Timestamp, params: HireParams) -> pd.DataFrame:
    """Count the spells that began, a year. One row per territory, department, occupation: value, n, before.

    ``value`` counts the last ``months`` that are known well, ``before`` the months before those; both are rounded along the
    occupations of a territory, so that its total stays within one rounding step. ``n`` is what the value rests on.
    """
    end = pd.Period(last_full_month(as_of), "M") - params.lag_months + 1
    known = employment[employment["territory"].notna() & employment["occupation"].notna()]
    counts = {
        name: _count(known, end - params.months * (age + 1), end - params.months * age)
        for age, name in enumerate(("value", "before"))
    }
    cells = pd.DataFrame(counts).fillna(0.0).rename_axis(_CELL).reset_index().sort_values(_CELL, ignore_index=True)
    rounded = {name: round_along(cells[name], cells[ATOM], params.rounding) for name in counts}
    yearly = {name: rounded[name] * 12 / params.months for name in counts}
    told = cells[_CELL].assign(n=rounded["value"], **yearly)
    return told[(told["value"] > 0) | (told["before"] > 0)].reset_index(drop=True)


def _count(spells: pd.DataFrame, first: pd.Period, end: pd.Period) -> pd.Series[float]:
    """Count the spells that began in some months. One value per territory, department, occupation."""
    began = spells[(spells["starts"] >= first.start_time) & (spells["starts"] < end.start_time)]
    return began.groupby(_CELL).size().astype("float64")
