"""Would the forecast have been right? Rolling origins: learn up to a month, look at the year after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, Self

import pandas as pd

from features.vocabulary import months_from
from models.forecast import LastValue, SeasonalNaive
from models.metrics import interval_coverage, wape


class Forecaster(Protocol):
    """What can be backtested."""

    def fit(self, frame: pd.DataFrame) -> Self:
        """Learn from one row per territory, occupation, period."""
        ...

    def predict(self, horizon: int) -> pd.DataFrame:
        """Forecast. One row per territory, occupation, period."""
        ...


def backtest(frame: pd.DataFrame, origins: Sequence[str], horizon: int) -> pd.DataFrame:
    """Judge the forecaster beside its yardstick. One row per origin, model: wape, coverage (NaN without an interval).

    What appears after the origin only counts as forecast at zero: nobody had seen it coming.
    """
    models: Mapping[str, type[Forecaster]] = {"seasonal_naive": SeasonalNaive, "last_value": LastValue}
    rows = []
    for origin in origins:
        past = frame[frame["period"] <= origin]
        months = months_from(origin, horizon + 1)[1:]
        ahead = frame[frame["period"].isin(months)]
        for name, model in models.items():
            told = model().fit(past).predict(horizon)
            told = told.rename(columns={"value": "told"})
            both = ahead.merge(told, on=["territory", "occupation", "period"], how="left", validate="one_to_one")
            both = both.fillna(dict.fromkeys(["told", "low", "high"], 0.0))
            covered = interval_coverage(both["value"], both["low"], both["high"]) if "low" in told else float("nan")
            rows.append((origin, name, wape(both["value"], both["told"]), covered))
    return pd.DataFrame(rows, columns=["origin", "model", "wape", "coverage"])
