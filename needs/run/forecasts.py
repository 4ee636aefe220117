"""Forecasts at every level of territory: cells are added up first, so that bassins, départements and the Region agree."""

from __future__ import annotations

from functools import partial

import pandas as pd

from features.build import Features
from features.contracts import GradeLimits, write_estimate
from features.vocabulary import REGION
from models.backtest import backtest
from models.forecast import YEAR, SeasonalNaive
from needs.params import ForecastParams, Params
from needs.run.batch import for_each_territory

KEY = ["territory", "occupation", "period"]
MEASURES = ["positions", "need", "seasonal"]
TASK_ROWS = 20_000  # fewer months than this cost less to forecast than to hand over


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
    task = partial(forecast_territory, horizon=horizon)
    workers = params.execution.workers
    parts = for_each_territory(task, summed, workers=workers, label="forecasting", at_least=TASK_ROWS) or [task(summed)]
    told = _with_coverage(pd.concat(parts, ignore_index=True), coverage_of_levels(features.panel, features.coverage))
    recent = summed[summed["period"] > str(pd.Period(told["period"].min(), "M") - YEAR - 1)] if len(summed) else summed
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


def coverage_of_levels(panel: pd.DataFrame, coverage: pd.DataFrame) -> pd.DataFrame:
    """Give every level its coverage: the mean of its own bassins', weighed by their need. One row per territory."""
    names = ["coverage", "coverage_low", "coverage_high"]
    needs = panel.groupby(["territory", "department"], as_index=False)["need"].sum()
    cells = needs.merge(coverage[["territory", *names]], on="territory", how="inner", validate="many_to_one")
    levels = pd.concat([cells, cells.assign(territory=cells["department"]), cells.assign(territory=REGION)], ignore_index=True)
    # A territory without a position has no need to weigh by: its bassins count alike.
    empty = levels.groupby("territory")["need"].transform("sum") == 0
    weight = levels["need"].mask(empty, 1.0)
    weighed = levels.assign(weight=weight, **{name: levels[name] * weight for name in names})
    sums: pd.DataFrame = weighed.groupby("territory")[[*names, "weight"]].sum()
    return sums[names].div(sums["weight"], axis=0)


def _with_coverage(told: pd.DataFrame, coverage: pd.DataFrame) -> pd.DataFrame:
    """Add the coverage of each territory, and widen its need by what is not known of it. Same rows."""
    own = coverage.reindex(told["territory"]).reset_index(drop=True)
    return told.assign(
        **own,
        need_low=told["need_low"] * own["coverage"] / own["coverage_high"],
        need_high=told["need_high"] * own["coverage"] / own["coverage_low"],
    )


def judge_forecasts(panel: pd.DataFrame, params: ForecastParams) -> pd.DataFrame:
    """Judge the forecast over past years. One row per grain, origin, model: wape, coverage.

    The grains are bassin × occupation, where counts are small and any forecast errs widely, and bassin, all occupations.
    """
    if panel.empty:
        return pd.DataFrame({"grain": [], "origin": [], "model": [], "wape": [], "coverage": []})
    fine = panel.groupby(KEY, as_index=False)[["positions"]].sum().rename(columns={"positions": "value"})
    whole = fine.assign(occupation="").groupby(KEY, as_index=False)[["value"]].sum()
    last, first = pd.Period(panel["period"].max(), "M"), pd.Period(panel["period"].min(), "M")
    origins = [
        str(last - YEAR * years) for years in range(1, params.backtest_origins + 1) if last - YEAR * (years + 1) >= first
    ]
    grains = {"occupation": fine, "bassin": whole}
    judged = [backtest(series, origins, YEAR).assign(grain=grain) for grain, series in grains.items()]
    return pd.concat(judged, ignore_index=True)
