"""How forecasts are judged: one number each, its formula and when it misleads."""

from __future__ import annotations

import numpy as np
import pandas as pd


def wape(actual: pd.Series[float], forecast: pd.Series[float]) -> float:
    """Weighted absolute percentage error: Σ|actual − forecast| ÷ Σ actual.

    Use it on counts, where it weighs each series by its volume. Undefined (NaN) where nothing happened.

    >>> wape(pd.Series([10.0, 0.0]), pd.Series([8.0, 1.0]))
    0.3
    """
    total = float(actual.abs().sum())
    return float((actual - forecast).abs().sum()) / total if total else float("nan")


def interval_coverage(actual: pd.Series[float], low: pd.Series[float], high: pd.Series[float]) -> float:
    """Share of actual values inside their interval, bounds included: near 0.8 when an 80 % interval tells the truth.

    On series of small counts, bounds that are whole numbers hold more than they say: read it on series with volume.

    >>> interval_coverage(pd.Series([1.0, 5.0]), pd.Series([0.0, 0.0]), pd.Series([2.0, 4.0]))
    0.5
    """
    return float(((actual >= low) & (actual <= high)).mean()) if len(actual) else float(np.nan)
