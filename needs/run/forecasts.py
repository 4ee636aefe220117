"""Forecasts at every level of territory: cells are added up first, so that bassins, départements and the Region agree."""

from __future__ import annotations

from functools import partial

import pandas as pd

from features.build import Features
from features.contracts import GradeLimits, write_estimate
from features.outcomes import REGION
from models.backtest import backtest
from models.forecast import SeasonalNaive
from needs.params import ForecastParams, Params
from needs.run.batch import for_each_territory

KEY = ["territory", "occupation", "period"]
MEASURES = ["positions", "need", "seasonal"]


def add_up_levels(panel: pd.DataFrame) -> pd.DataFrame:
    """Add cells up to bassins, départements and the Region. One row per territory, occupation, period."""
    levels = [panel, panel.assign(territory=panel["department"]), panel.assign(territory=REGION)]
    return pd.concat([level.groupby(KEY, as_index=False)[MEASURES].sum() for level in levels], ignore_index=True)


def forecast_levels(features: Features, horizon: int, params: Params, limits: GradeLimits) -> pd.DataFrame:
    """Forecast each level. One row per territory, occupation, period: est. of positions; coverage, need, seasonal.

    The seasonal naive forecast is linear, so what was added up before it is the sum of the forecasts; only intervals are
    each territory's own. The interval of the need is widened by what is not known of the coverage.
    """
    summed = add_up_levels(features.panel)
    parts = for_each_territory(
        partial(forecast_territory, horizon=horizon), summed, workers=params.execution.workers, label="forecasting"
    )
    if not parts:
        return pd.DataFrame({name: pd.Series(dtype="str") for name in KEY}).assign(need=0.0, need_low=0.0, need_high=0.0, n=0.0)
    told = pd.concat(parts, ignore_index=True)
    told = _with_coverage(told, features.coverage)
    recent = summed[summed["period"] > str(pd.Period(summed["period"].max(), "M") - 12)]
    seen = recent.groupby(["territory", "occupation"], as_index=False)[["positions"]].sum().rename(columns={"positions": "n"})
    told = told.merge(seen, on=["territory", "occupation"], how="left", validate="many_to_one")
    return write_estimate(
        told, value=told["value"], low=told["low"], high=told["high"], n=told["n"], borrowed=0.0, limits=limits
    )


def forecast_territory(series: pd.DataFrame, horizon: int) -> pd.DataFrame:
    """Forecast positions, need and seasonal positions of one territory. One row per territory, occupation, period."""
    told = _forecast_measure(series, "positions", horizon)
    for name in ("need", "seasonal"):
        columns = {"value": name, "low": f"{name}_low", "high": f"{name}_high"}
        measure = _forecast_measure(series, name, horizon).rename(columns=columns)
        told = told.merge(measure, on=KEY, how="left", validate="one_to_one")
    return told


def _forecast_measure(series: pd.DataFrame, name: str, horizon: int) -> pd.DataFrame:
    """Forecast one measure. One row per territory, occupation, period."""
    return SeasonalNaive().fit(series[KEY].assign(value=series[name])).predict(horizon)


def _with_coverage(told: pd.DataFrame, coverage: pd.DataFrame) -> pd.DataFrame:
    """Add the coverage, a bassin's own or what its wider territory comes to, and widen the need by it. Same rows."""
    totals = told.groupby("territory")[["value", "need"]].sum()
    overall = (totals["value"] / totals["need"].where(totals["need"] > 0)).fillna(1.0)
    own = coverage.set_index("territory")
    spread = coverage[["coverage", "coverage_low", "coverage_high"]].mean()
    middle = told["territory"].map(own["coverage"]).fillna(told["territory"].map(overall))
    low = told["territory"].map(own["coverage_low"]).fillna(middle * spread["coverage_low"] / spread["coverage"])
    high = told["territory"].map(own["coverage_high"]).fillna(middle * spread["coverage_high"] / spread["coverage"])
    return told.assign(
        coverage=middle,
        coverage_low=low,
        coverage_high=high,
        need_low=told["need_low"] * middle / high,
        need_high=told["need_high"] * middle / low,
    )


def judge_forecasts(panel: pd.DataFrame, params: ForecastParams) -> pd.DataFrame:
    """Judge the forecast over past years, in bassins. One row per origin, model: wape, coverage."""
    if panel.empty:
        return pd.DataFrame({"origin": [], "model": [], "wape": [], "coverage": []})
    series = panel.groupby(KEY, as_index=False)[["positions"]].sum().rename(columns={"positions": "value"})
    last, first = pd.Period(panel["period"].max(), "M"), pd.Period(panel["period"].min(), "M")
    origins = [last - 12 * years for years in range(1, params.backtest_origins + 1)]
    return backtest(series, [str(origin) for origin in origins if origin - 12 >= first], 12)
