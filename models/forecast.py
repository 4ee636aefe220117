"""What will be asked for: the seasonal naive forecast, with an interval measured on its own past errors.

It is the floor that every later forecaster must beat, and the default weight of any combination.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import norm
from sklearn.base import BaseEstimator

SERIES = ["territory", "occupation"]
YEAR = 12
FIRST_MONTH = "1970-01"  # where an empty panel is taken to end: it forecasts no series
Z_80 = float(norm.ppf(0.9))


class LastValue(BaseEstimator):
    """Tomorrow is as the last month was. No interval: it is only the yardstick of :class:`SeasonalNaive`."""

    def fit(self, frame: pd.DataFrame) -> LastValue:
        """Learn the last value of each series. Reads one row per territory, occupation, period."""
        self.last_ = str(frame["period"].max())
        self.values_ = frame[frame["period"] == self.last_][[*SERIES, "value"]]
        return self

    def predict(self, horizon: int) -> pd.DataFrame:
        """Repeat it. One row per territory, occupation, period."""
        months = pd.DataFrame({"period": _months_after(self.last_, horizon)})
        return self.values_.merge(months, how="cross").sort_values([*SERIES, "period"], ignore_index=True)


class SeasonalNaive(BaseEstimator):
    """Each month will be as the same month of the last year observed.

    The 80 % interval is value ± 1.28 · √(φ · level). The level is halfway between the forecast and the monthly mean of the
    last year, so that a month without a position is not taken for certain. φ = Σ(y_t − y_{t−lag})² ÷ Σ(y_t + y_{t−lag})/2 is
    the overdispersion of the method's own errors over the last year, measured territory by territory, and apart for the
    first year ahead and those after (never less).
    A territory's forecast rests on its own series alone.
    """

    def fit(self, frame: pd.DataFrame) -> SeasonalNaive:
        """Learn the last year and the size of past errors. Reads one row per territory, occupation, period.

        A month of the last year that no file covers is taken for the mean of those that are.
        """
        wide = frame.set_index([*SERIES, "period"])["value"].unstack("period").sort_index(axis=1)  # noqa: PD010
        self.last_ = str(frame["period"].max()) if len(frame) else FIRST_MONTH
        years = [list(reversed(_months_after(str(pd.Period(self.last_, "M") - YEAR * lag), -YEAR))) for lag in range(3)]
        now, *before = (wide.reindex(columns=months) for months in years)
        self.series_ = wide.index
        self.year_ = now.T.fillna(now.mean(axis=1)).T.fillna(0.0)
        self.dispersion_ = _dispersions(now, before)
        return self

    def predict(self, horizon: int) -> pd.DataFrame:
        """Forecast ``horizon`` months. One row per territory, occupation, period: value, low, high (80 %)."""
        steps = np.arange(horizon)
        last_year = self.year_.to_numpy()
        values = last_year[:, steps % YEAR]
        level = (values + last_year.mean(axis=1, keepdims=True)) / 2
        phi = self.dispersion_.loc[self.series_.get_level_values("territory")].to_numpy()
        half = Z_80 * np.sqrt(phi[:, np.minimum(steps // YEAR, 1)] * level)
        index = self.series_.repeat(horizon)
        return pd.DataFrame(
            {
                "territory": index.get_level_values("territory"),
                "occupation": index.get_level_values("occupation"),
                "period": np.tile(_months_after(self.last_, horizon), len(self.series_)),
                "value": values.ravel(),
                "low": np.maximum(values - half, 0.0).ravel(),
                "high": (values + half).ravel(),
            }
        ).astype({"territory": "str", "occupation": "str", "period": "str"})


def _months_after(last: str, count: int) -> list[str]:
    """List the ``count`` months after ``last``; with a negative count, ``last`` and those before, latest first."""
    start = pd.Period(last, "M")
    return [str(start + step) for step in (range(1, count + 1) if count >= 0 else range(0, count, -1))]


def _dispersions(now: pd.DataFrame, before: list[pd.DataFrame]) -> pd.DataFrame:
    """Measure φ at a lag of one year and of two. One row per territory; a short history gives Poisson counts (1)."""
    territories = now.index.get_level_values("territory")
    first, second = (_dispersion(now, earlier, territories) for earlier in before)
    return pd.DataFrame({"first": first, "later": np.maximum(first, second)})


def _dispersion(now: pd.DataFrame, before: pd.DataFrame, territories: pd.Index[str]) -> pd.Series[float]:
    later, earlier = now.to_numpy(), before.to_numpy()
    squares = pd.Series(np.nansum((later - earlier) ** 2, axis=1), index=territories).groupby(level=0).sum()
    means = pd.Series(np.nansum((later + earlier) / 2, axis=1), index=territories).groupby(level=0).sum()
    return (squares / means.where(means > 0)).fillna(1.0).clip(lower=1.0)
