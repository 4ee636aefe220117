"""How far what is known of a cell may be trusted, in one letter, and why."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.contracts import GradeLimits
from features.params import Section, param

GRADES = ("A", "B", "C", "D")


class ReliabilityParams(Section):
    """What lowers a grade by one letter, each reason on its own."""

    oldest_years: float = param(2.0, "figures older than this on average", unit="years", ge=0, le=20)
    lowest_coverage: float = param(0.3, "vacancies that show less than this share of recruitments", unit="share", ge=0, le=1)
    largest_error: float = param(
        0.5, "a last year that differs from the one before by more than this", unit="share", ge=0, le=2
    )
    fewest_sources: int = param(2, "fewer sources than this", unit="sources", ge=1, le=5)


def grade_cells(cells: pd.DataFrame, limits: GradeLimits, params: ReliabilityParams) -> pd.DataFrame:
    """Give each cell its letter. Same rows, with ``grade`` and ``lowered`` (the reasons, joined by ``|``).

    ``n`` observations give the first letter, as for every estimate. Each of these takes one letter away: ``age_years`` beyond
    the limit, ``coverage`` below it or not known, ``error`` above it or not known, ``sources`` too few. D is the last.
    """
    n = cells["n"].fillna(0.0)
    first = np.select([n >= limits.a, n >= limits.b, n >= limits.c], [0, 1, 2], 3)
    reasons = {
        "age": ~(cells["age_years"] <= params.oldest_years),
        "coverage": ~(cells["coverage"] >= params.lowest_coverage),
        "error": ~(cells["error"] <= params.largest_error),
        "sources": ~(cells["sources"] >= params.fewest_sources),
    }
    lost = sum(reason.astype("int64") for reason in reasons.values())
    letters = pd.Series(np.array(GRADES)[np.minimum(first + np.asarray(lost), 3)], index=cells.index, dtype="str")
    told = pd.Series("", index=cells.index, dtype="str")
    for name, holds in reasons.items():
        told = told.mask(holds, told.where(told == "", told + "|") + name)
    return cells.assign(grade=letters, lowered=told)


def last_error(last: pd.Series[float], before: pd.Series[float]) -> pd.Series[float]:
    """Say how far a year was from the one before it: |last − before| ÷ the larger of both; missing where neither is known.

    This is what a forecast by the last value would have missed there a year ago.
    """
    larger = last.where(last > before, before)
    error: pd.Series[float] = ((last - before).abs() / larger.where(larger > 0)).clip(upper=1.0)
    return error
