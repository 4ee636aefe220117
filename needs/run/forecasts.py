"""Forecasts at every level: cells, territories and families are forecast apart, then made to agree, so that sums add up.

The cell is bassin × département × occupation. Whatever is published is a sum of cells; the forecasts of départements, of the
Region and of its families only correct the cells, as far as they proved right before. Sectors are sums of needs: no human
correction of what trains for an occupation changes how much of it is needed.

model = train_forecast(features, horizon, params)                        what the past teaches, learned when it is due
told = forecast_levels(features, horizon, params, limits, model)         what it tells of tonight
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.build import Features
from features.contracts import GradeLimits, write_estimate
from features.crosswalks import links_between
from features.demand import last_full_month
from features.vocabulary import REGION, months_to
from models.backtest import ALL, BacktestParams, Forecaster, backtest, rolling_origins
from models.forecast import (
    ExponentialSmoothing,
    GlobalBoosting,
    LastValue,
    LastYearMean,
    Learned,
    NeedForecaster,
    SeasonalNaive,
)
from models.growth import fill_gaps
from models.hierarchy import CELL_GRAIN, SERIES, Hierarchy, add_up, build_hierarchy
from models.panel import to_panel
from models.reconcile import Weights, learn_weights, nothing_learned, reconcile, variances_of
from needs.params import ForecastParams, Params
from needs.run.inputs import Inputs

KEY = ["territory", "occupation", "period"]
MEASURES = ["positions", "need", "seasonal"]
YEAR = 12
# Every forecast that is judged: ours, what it is held against, and the other baselines.
OURS, NAIVE = "need_forecaster", "seasonal_naive"
JUDGED: Mapping[str, Callable[[], Forecaster]] = {
    OURS: NeedForecaster,
    NAIVE: SeasonalNaive,
    "last_value": LastValue,
    "last_year_mean": LastYearMean,
    "exponential_smoothing": ExponentialSmoothing,
    "global_boosting": GlobalBoosting,
}
DIGESTED = (OURS, NAIVE)  # judged every night: what runs use, and its yardstick
FAMILIES = "FAP2021"
ATOM = " "  # between the bassin and the département of a cell
LEVELS = ["bassin/occupation", "department/occupation", "region/occupation"]
APART = ["department/occupation", "region/occupation", "region/family"]  # grains that correct the cells


@dataclass(frozen=True)
class ForecastModel:
    """What the past taught the forecasts: all that it takes to tell the months ahead of what is known tonight.

    ``learned`` is by measure and grain, like ``positions/cell``: which members to mix, and what may come instead. ``agreement``
    says how far cells and grains are to be believed, ``months`` how far ahead it was learned for.
    """

    learned: Mapping[str, Learned]
    agreement: Weights
    months: int


def months_ahead(inputs: Inputs) -> int:
    """Say how far ahead a run forecasts: to the last month that the exercise serves, and as far as parameters ask."""
    return max(inputs.params.forecast.months, len(months_to(last_full_month(inputs.as_of), inputs.served[-1])) - 1)


def train_forecast(features: Features, horizon: int, params: Params) -> ForecastModel:
    """Learn from the past what ``horizon`` months are told by, and how far what is told apart is to be believed."""
    if _is_silent(features):
        return ForecastModel({}, nothing_learned(), horizon)
    hierarchy = lay_out_cells(features)
    series = _all_series(features, hierarchy, params)
    learned = {name: NeedForecaster().fit(frame).learn(horizon) for name, frame in series}
    agreement = _learn_agreement(_cells(features.panel, "positions"), hierarchy, params.forecast)
    return ForecastModel(learned, agreement, horizon)


def forecast_levels(
    features: Features, horizon: int, params: Params, limits: GradeLimits, model: ForecastModel
) -> pd.DataFrame:
    """Forecast each level. One row per territory, occupation, period: est. of positions; coverage, need, seasonal.

    Each level is the sum of its cells. The interval of the need is widened by what is not known of the coverage. Where
    the model knows nothing of a grain, its past is judged tonight.
    """
    if _is_silent(features):
        return _nothing(limits)
    hierarchy = lay_out_cells(features)
    positions = agree(forecast_apart(features, hierarchy, horizon, model), hierarchy, model.agreement, params.forecast)
    seasonal = forecast_sums(
        _cells(features.panel, "seasonal"), hierarchy, horizon, model.learned.get(f"seasonal/{CELL_GRAIN}")
    )
    told = _add_needs(positions, _border(features, hierarchy, horizon, params, model), features)
    bounds = {"value": "seasonal", "low": "seasonal_low", "high": "seasonal_high"}
    told = told.merge(_levels(seasonal).rename(columns=bounds), on=KEY, how="left", validate="one_to_one")
    summed = add_up_levels(features.panel)
    recent = summed[summed["period"] > str(pd.Period(told["period"].min(), "M") - YEAR - 1)] if len(told) else summed
    seen = recent.groupby(["territory", "occupation"], as_index=False)[["positions"]].sum().rename(columns={"positions": "n"})
    told = told.merge(seen, on=["territory", "occupation"], how="left", validate="many_to_one")
    return write_estimate(
        told, value=told["value"], low=told["low"], high=told["high"], n=told["n"], borrowed=told["borrowed"], limits=limits
    ).sort_values(KEY, ignore_index=True)


def _is_silent(features: Features) -> bool:
    """Whether no offer is known of the Region."""
    return bool(features.panel["positions"].notna().sum() == 0)


def add_up_levels(panel: pd.DataFrame) -> pd.DataFrame:
    """Add cells up to bassins, départements and the Region. One row per territory, occupation, period."""
    levels = [panel, panel.assign(territory=panel["department"]), panel.assign(territory=REGION)]
    return pd.concat([level.groupby(KEY, as_index=False)[MEASURES].sum() for level in levels], ignore_index=True)


def _nothing(limits: GradeLimits) -> pd.DataFrame:
    """Give the forecasts of a Region of which no offer is known: no row, the columns all the same."""
    names = ["value", "low", "high", "n"]
    names += [f"{name}{end}" for name in ("coverage", "need", "seasonal") for end in ("", "_low", "_high")]
    told = pd.DataFrame({name: pd.Series(dtype="str") for name in KEY} | {name: pd.Series(dtype="float64") for name in names})
    bounds = {name: told[name] for name in ("value", "low", "high", "n")}
    return write_estimate(told, **bounds, borrowed=0.0, limits=limits)


def lay_out_cells(features: Features) -> Hierarchy:
    """Lay out what cells add up to: bassins, départements and the Region by occupation, and the Region's families."""
    atoms = features.panel[["territory", "department"]].drop_duplicates().sort_values(["territory", "department"])
    named = atoms["territory"] + ATOM + atoms["department"]
    lies = {"bassin": atoms["territory"], "department": atoms["department"], "region": REGION}
    places = pd.concat([pd.DataFrame({"grain": grain, "territory": named, "place": place}) for grain, place in lies.items()])
    links = links_between(features.crosswalks, "ROME", FAMILIES).rename(columns={"code": "occupation", "target": "group"})
    groups = links[["occupation", "group", "weight"]].assign(grain="family")
    grains = [(place, "occupation") for place in lies]
    linked = links["occupation"].isin(features.panel["occupation"].unique()).any()
    cells = _cells(features.panel, "positions").dropna(subset="value")
    return build_hierarchy(cells, places, groups, [*grains, ("region", "family")] if linked else grains)


def _cells(panel: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Name cells by one code. One row per territory (bassin and département), occupation, period: value."""
    return panel[KEY].assign(territory=panel["territory"] + ATOM + panel["department"], value=panel[measure].astype("float64"))


def _all_series(features: Features, hierarchy: Hierarchy, params: Params) -> Iterator[tuple[str, pd.DataFrame]]:
    """Give all that is forecast by itself, by measure and grain. One row per territory, occupation, period: value."""
    for grain, frame in _apart(_with_priors(features), fill_cells(_cells(features.panel, "positions")), hierarchy):
        yield f"positions/{grain}", frame
    yield f"seasonal/{CELL_GRAIN}", _cells(features.panel, "seasonal")
    if params.features.demand.border_weight > 0:
        yield f"border/{CELL_GRAIN}", _cells(features.panel, "border")


def _with_priors(features: Features) -> pd.DataFrame:
    """Put what other sources expected beside the cells. One row per territory, occupation, period: value, regressors."""
    priors = features.priors
    known = priors.assign(territory=priors["territory"] + ATOM + priors["department"]).drop(columns="department")
    return _cells(features.panel, "positions").merge(known, on=KEY, how="left", validate="one_to_one")


def _apart(cells: pd.DataFrame, whole: pd.DataFrame, hierarchy: Hierarchy) -> Iterator[tuple[str, pd.DataFrame]]:
    """Give the series of each grain. One row per territory, occupation, period: value.

    Cells are forecast as they were seen, gaps and regressors included; their sums from the ``whole`` ones, without gaps.
    """
    yield CELL_GRAIN, cells
    summed = add_up(whole, hierarchy)
    for grain in APART:
        if grain in hierarchy.grains:
            yield grain, summed[summed["grain"] == grain].drop(columns="grain")


def fill_cells(cells: pd.DataFrame) -> pd.DataFrame:
    """Fill what no file covers with what the rest did, so that sums are whole. One row per territory, occupation, period."""
    panel = to_panel(cells)
    return panel.to_long({"value": fill_gaps(panel.values)}, panel.periods)


def forecast_apart(features: Features, hierarchy: Hierarchy, horizon: int, model: ForecastModel) -> pd.DataFrame:
    """Forecast each grain by itself. One row per grain, territory, occupation, period: value, low, high, borrowed."""
    series = _apart(_with_priors(features), fill_cells(_cells(features.panel, "positions")), hierarchy)
    return _tell_apart(series, horizon, model.learned)


def _tell_apart(series: Iterator[tuple[str, pd.DataFrame]], horizon: int, learned: Mapping[str, Learned]) -> pd.DataFrame:
    """Forecast series of each grain. One row per grain, territory, occupation, period: value, low, high, borrowed."""
    parts = []
    for grain, frame in series:
        forecaster = NeedForecaster(learned.get(f"positions/{grain}")).fit(frame)
        told = forecaster.predict(horizon).merge(forecaster.borrowed(), on=SERIES[1:], how="left", validate="many_to_one")
        parts.append(told.assign(grain=grain))
    return pd.concat(parts, ignore_index=True)


def agree(told: pd.DataFrame, hierarchy: Hierarchy, agreement: Weights, params: ForecastParams) -> pd.DataFrame:
    """Make grains that were forecast apart agree. One row per grain, territory, occupation, period: value, low, high, borrowed.

    How far each is heard was learned at origins in the past, without what other sources expected.
    """
    means = told.groupby(SERIES)[["value", "borrowed"]].mean().reindex(pd.MultiIndex.from_frame(hierarchy.series))
    variances = variances_of(agreement, hierarchy, means["value"].iloc[: hierarchy.cells])
    agreed = reconcile(told, hierarchy, variances, params.reconcile)
    return agreed.merge(_borrowed(means, hierarchy), on=SERIES, how="left", validate="many_to_one")


def _borrowed(means: pd.DataFrame, hierarchy: Hierarchy) -> pd.DataFrame:
    """Say how much each forecast rests on other series. One row per series; a sum not forecast borrows as its cells do."""
    cells = means.iloc[: hierarchy.cells]
    whole, taken = (hierarchy.sums @ weight for weight in (cells["value"], cells["value"] * cells["borrowed"]))
    parts = np.divide(taken, whole, out=np.ones_like(whole), where=whole > 0)
    own = means["borrowed"].fillna(pd.Series(np.concatenate([np.ones(len(cells)), parts]), index=means.index))
    return hierarchy.series.assign(borrowed=own.to_numpy())


def _learn_agreement(cells: pd.DataFrame, hierarchy: Hierarchy, params: ForecastParams) -> Weights:
    """Learn at past origins how far each series is to be believed; without any, cells alone are heard."""
    whole = fill_cells(cells)
    judged = [_judge_apart(cells, whole, hierarchy, origin, {}) for origin in _origins(cells, params)]
    return learn_weights(pd.concat(judged, ignore_index=True), hierarchy, params.reconcile) if judged else nothing_learned()


def _origins(series: pd.DataFrame, params: ForecastParams) -> list[str]:
    """List the months after which a year is judged."""
    return rolling_origins(series["period"], BacktestParams(origins=params.backtest_origins, lead=0, horizon=YEAR))


def _judge_apart(
    cells: pd.DataFrame, whole: pd.DataFrame, hierarchy: Hierarchy, origin: str, learned: Mapping[str, Learned]
) -> pd.DataFrame:
    """Forecast the year after an origin from what was then known. One row per origin, grain, series, period: value, actual.

    A cell that nobody had seen by then is told at zero. Where nothing was observed since, what the rest did stands for it.
    """
    past = fill_cells(cells[cells["period"] <= origin])
    told = _tell_apart(_apart(past, past, hierarchy), YEAR, learned)
    ahead = whole[whole["period"].isin(told["period"].unique())].assign(grain=CELL_GRAIN).rename(columns={"value": "actual"})
    judged = told.merge(ahead, on=[*SERIES, "period"], how="outer", validate="one_to_one")
    return judged.fillna({"value": 0.0}).assign(origin=origin)


def forecast_sums(cells: pd.DataFrame, hierarchy: Hierarchy, horizon: int, learned: Learned | None) -> pd.DataFrame:
    """Forecast cells alone, and add them up. One row per grain, territory, occupation, period: value, low, high."""
    told = NeedForecaster(learned).fit(cells).predict(horizon).assign(grain=CELL_GRAIN)
    return reconcile(told, hierarchy, hierarchy.series.iloc[: hierarchy.cells].assign(variance=1.0))


def _border(features: Features, hierarchy: Hierarchy, horizon: int, params: Params, model: ForecastModel) -> pd.DataFrame:
    """Forecast the openings across the border that count as need. One row per cell and period: across."""
    weight = params.features.demand.border_weight
    panel = features.panel if weight > 0 else features.panel.iloc[:0]
    cells, learned = _cells(panel, "border"), model.learned.get(f"border/{CELL_GRAIN}")
    told = forecast_sums(cells, hierarchy, horizon, learned) if len(cells) else cells
    told = told[told["grain"] == CELL_GRAIN] if "grain" in told else told
    return told[[*KEY, "value"]].assign(across=told["value"] * weight).drop(columns="value")


def _levels(told: pd.DataFrame) -> pd.DataFrame:
    """Keep bassins, départements and the Region by occupation. One row per territory, occupation, period."""
    return told[told["grain"].isin(LEVELS)].drop(columns="grain")


def _add_needs(positions: pd.DataFrame, border: pd.DataFrame, features: Features) -> pd.DataFrame:
    """Add coverage and need to the positions of each level. One row per territory, occupation, period.

    The need of a cell is its positions ÷ the coverage of its bassin, and the openings across the border that count; a level's
    is the sum of its cells'. Its bounds are those of the positions, in proportion, widened by those of the coverage.
    """
    cells = positions[positions["grain"] == CELL_GRAIN].merge(border, on=KEY, how="left", validate="one_to_one")
    places = cells["territory"].str.split(ATOM, expand=True)
    shares = features.coverage.set_index("territory")["coverage"]
    across = cells["across"].fillna(0.0)
    own = cells[KEY].assign(need=cells["value"] / places[0].map(shares).astype("float64") + across, across=across)
    each = [own.assign(territory=place) for place in (places[0], places[1], REGION)]
    needs = pd.concat([part.groupby(KEY, as_index=False)[["need", "across"]].sum() for part in each], ignore_index=True)
    told = _levels(positions).merge(needs, on=KEY, how="left", validate="one_to_one")
    known = coverage_of_levels(features.panel, features.coverage).reindex(told["territory"]).reset_index(drop=True)
    low, high = known["coverage"] / known["coverage_high"], known["coverage"] / known["coverage_low"]
    times = ((told["need"] - told["across"]) / told["value"]).where(told["value"] > 0, 1 / known["coverage"])
    bounds = {"need_low": told["low"] * times * low, "need_high": told["high"] * times * high}
    return told.assign(**known, **{name: bound + told["across"] for name, bound in bounds.items()}).drop(columns="across")


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


def judge_forecasts(panel: pd.DataFrame, params: ForecastParams) -> pd.DataFrame:
    """Judge the forecast over past years. One row per grain, origin, model: its scores (``Backtest.scores``).

    The grains are bassin × occupation, where counts are small and any forecast errs widely, and bassin, all occupations.
    """
    fine = panel.groupby(KEY, as_index=False)[["positions"]].sum().rename(columns={"positions": "value"})
    whole = fine.assign(occupation="").groupby(KEY, as_index=False)[["value"]].sum()
    origins = _origins(fine, params)
    if not origins:
        return pd.DataFrame({"grain": [], "origin": [], "model": [], "wape": [], "coverage": []})
    grains, models = {"occupation": fine, "bassin": whole}, {name: JUDGED[name] for name in DIGESTED}
    judged = [backtest(series, models, origins, YEAR).scores().assign(grain=grain) for grain, series in grains.items()]
    scores = pd.concat(judged, ignore_index=True)
    return scores[scores["origin"] != ALL].reset_index(drop=True)


def replay(features: Features, model: ForecastModel, params: ForecastParams) -> pd.DataFrame:
    """Say what a model would have told of past years, beside what came. One row per grain, origin, territory, occupation, step.

    Columns: ``value`` (what came), ``told``, and by occupation ``low`` and ``high``. The grains are those of
    :func:`judge_forecasts`, but what is judged here is what runs publish: cells, départements and the Region made to agree.
    """
    fine = features.panel.groupby(KEY, as_index=False)[["positions"]].sum().rename(columns={"positions": "value"})
    names = ("grain", "origin", *KEY, "step", "value", "told", "low", "high")
    told = [pd.DataFrame({name: pd.Series(dtype="float64") for name in names}).astype({"step": "int64"})]
    if not _is_silent(features):
        cells, hierarchy = _cells(features.panel, "positions"), lay_out_cells(features)
        whole = fill_cells(cells)
        for origin in _origins(fine, params):
            apart = _judge_apart(cells, whole, hierarchy, origin, model.learned).drop(columns="actual")
            unseen = {"low": 0.0, "high": 0.0, "borrowed": 1.0}
            agreed = agree(apart.fillna(unseen), hierarchy, model.agreement, params)
            told.append(_beside(fine, agreed).assign(origin=origin))
    return pd.concat(told, ignore_index=True)


def _beside(fine: pd.DataFrame, agreed: pd.DataFrame) -> pd.DataFrame:
    """Put what came beside what was told of a year. One row per grain, territory, occupation, period: step, value, told."""
    levels = _levels(agreed).drop(columns="borrowed").rename(columns={"value": "told"})
    both = fine.merge(levels, on=KEY, how="inner", validate="one_to_one")
    whole = both.groupby(["territory", "period"], as_index=False)[["value", "told"]].sum().assign(occupation="")
    rows = pd.concat([both.assign(grain="occupation"), whole.assign(grain="bassin")], ignore_index=True)
    return rows.assign(step=pd.factorize(rows["period"], sort=True)[0] + 1)
