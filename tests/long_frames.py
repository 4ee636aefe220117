"""Long frames of many series, as forecasters read them, for tests."""

from __future__ import annotations

import numpy as np
import pandas as pd

KEY = ["territory", "occupation", "period"]


def to_frame(values: np.ndarray, *, territories: int = 1, start: str = "2018-01", freq: str = "M") -> pd.DataFrame:
    """Write series × periods as one row per territory, occupation, period; territory after territory for each occupation.

    Codes sort in this order; five occupations begin alike, and so do four territories.
    """
    count, length = values.shape
    places = [f"T{i // 4}{i % 4:03d}" for i in range(territories)]
    jobs = [f"{chr(65 + i // 50)}{i // 5 % 10}{i % 5}" for i in range(-(-count // territories))]
    periods = pd.period_range(start, periods=length, freq=freq)
    return pd.DataFrame(
        {
            "territory": np.repeat([places[i % territories] for i in range(count)], length),
            "occupation": np.repeat([jobs[i // territories] for i in range(count)], length),
            "period": periods[np.tile(np.arange(length), count)],
            "value": values.ravel().astype("float64"),
        }
    )


def to_matrix(frame: pd.DataFrame, column: str = "value") -> np.ndarray:
    """Read a column back as series × periods, series in the order of their codes."""
    return frame.pivot_table(index=KEY[:2], columns="period", values=column, dropna=False, observed=True).to_numpy()
