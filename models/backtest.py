"""Would the forecast have been right? Rolling origins: learn up to a period, look at those that matter after it.

judged = backtest(panel, {"naive": SeasonalNaive, "mine": NeedForecaster}, origins, 10, lead=8)
judged.told                      every forecast beside what came, one row each
judged.scores("volume_class")    every metric of every forecaster, beside its skill against each other one

What is bought at a tender serves sessions that start much later: ``lead`` periods lie between both, and are not judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.draws import even_draws
from features.params import Section, param
from features.vocabulary import InputError
from models import metrics

SERIES = ["territory", "occupation"]
KEY = [*SERIES, "period"]
ALL = "all"
INTERVAL = 0.8
_BOUNDS = {(1 - INTERVAL) / 2: "low", (1 + INTERVAL) / 2: "high"}
_SEASONS = {"M": 12, "Q": 4}  # a year of any other period is one of them
Numbers = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


class BacktestParams(Section):
    """Over which past forecasts are judged, and how far ahead."""

    origins: int = param(3, "past tenders that forecasts are judged at", unit="tenders", ge=0, le=20)
    every: int = param(12, "months from one of these tenders to the next", unit="months", ge=1, le=24)
    lead: int = param(
        8, "months after the tender that no session bought there starts in: they are not judged", unit="months", ge=0, le=24
    )
    horizon: int = param(10, "months judged after those: sessions start in them", unit="months", ge=1, le=36)
    quantiles: tuple[float, ...] = param(
        (0.1, 0.25, 0.5, 0.75, 0.9), "quantiles that the pinball loss is the mean over; empty: the bounds of the interval"
    )
    volume_classes: tuple[float, ...] = param(
        (1.0, 5.0, 20.0, 100.0), "mean monthly volumes at which a class of series ends and the next begins", unit="positions"
    )


class Forecaster(Protocol):
    """What can be backtested."""

    def fit(self, frame: pd.DataFrame) -> Self:
        """Learn from one row per territory, occupation, period."""
        ...

    def predict(self, horizon: int, quantiles: Sequence[float] = ()) -> pd.DataFrame:
        """Forecast. One row per territory, occupation, period."""
        ...


@runtime_checkable
class Distribution(Protocol):
    """A forecaster that also says how likely less, or no more, than a value is."""

    def probability(self, actual: pd.DataFrame) -> pd.DataFrame:
        """Give ``below`` = P(Y < value) and ``upto`` = P(Y ≤ value). Same rows."""
        ...


@dataclass(frozen=True)
class Backtest:
    """What forecasters told at each origin, beside what came.

    ``told`` has one row per origin, model, territory, occupation, period: ``step`` periods ahead, ``value`` (what came),
    ``told``, ``low``, ``high``, the quantiles asked; ``below``, ``upto`` and ``pit``, missing without a distribution;
    ``missed`` where nothing was told; of the series up to the origin its mean ``volume`` in the last year, ``volume_class``,
    ``mae_scale`` and ``rmse_scale``; and the groups of the frame. Every model is judged on the same rows, in the same order.
    """

    told: pd.DataFrame
    models: tuple[str, ...]
    quantiles: tuple[float, ...]

    def scores(self, by: str = "", *, links: pd.DataFrame | None = None, against: Sequence[str] | None = None) -> pd.DataFrame:
        """Score every forecaster. One row per origin or "all", group, model.

        ``by`` names a column of ``told``. With ``links`` (``occupation``, the column ``by``, ``weight``) the rows of an
        occupation are shared among its groups; rows that no link reaches are in none. ``skill_x`` is the share of the WAPE of x
        that is gone, ``beaten_x`` the share of cells (territory × occupation at one origin) that err less than x does, ties
        half; ``against`` names the x, every model by default. ``n`` counts rows, ``n_scaled`` those with a scale for MASE and
        RMSSE, ``n_pit`` those with a PIT, and ``missed`` those that nothing was told of: they count as forecast at zero.
        """
        texts = self.told.loc[self.told["model"] == self.models[0]].reset_index(drop=True)
        numbers = {name: _numbers(self.told[self.told["model"] == name]) for name in self.models}
        cells = np.asarray(texts.groupby(["origin", *SERIES], sort=False).ngroup(), dtype=np.int64)
        rivals = self.models if against is None else tuple(against)
        rows: list[dict[str, object]] = []
        for origin, group, place, weight in _groups(texts, by, links):
            cut = {name: {key: column[place] for key, column in columns.items()} for name, columns in numbers.items()}
            named = {"origin": origin, "by": by, "group": group}
            rows += [{**named, **row} for row in _score(cut, weight, cells[place], rivals, self.quantiles)]
        return pd.DataFrame(rows)

    def pit(self, bins: int = 10) -> pd.DataFrame:
        """Count where what came lies in the distributions told. One row per model, bin: share, all 1 ÷ bins if true."""
        shares = {name: metrics.pit_shares(self.told.loc[self.told["model"] == name, "pit"], bins) for name in self.models}
        parts = [pd.DataFrame({"model": name, "bin": range(bins), "share": share}) for name, share in shares.items()]
        return pd.concat(parts, ignore_index=True)


def backtest(
    frame: pd.DataFrame,
    forecasters: Mapping[str, Callable[[], Forecaster]],
    origins: Sequence[str],
    horizon: int,
    *,
    lead: int = 0,
    quantiles: Sequence[float] = (),
    volume_classes: Sequence[float] = BacktestParams().volume_classes,
) -> Backtest:
    """Judge forecasters at each origin, over ``horizon`` periods that begin after ``lead`` others.

    ``frame`` has one row per territory, occupation, period: ``value``; its other columns go to the forecasters, and texts among
    them are groups to score by. Forecasters learn from rows up to the origin alone: a regressor of a later period is not known
    there. What was not observed (no row, or no value) is not judged. A series that is zero up to there is not
    given to them: it may be in the frame only for what came later. What they do not forecast counts as forecast at zero, since
    nobody had seen it coming. Without ``quantiles`` the pinball loss is that of the bounds of the interval.
    """
    parts = []
    for origin in sorted(origins):
        past, ahead = _split(frame, origin, lead, horizon)
        described = _describe(ahead, past, origin, volume_classes)
        for name, make in forecasters.items():
            told = _tell(make().fit(past), described, lead + horizon, quantiles)
            parts.append(told.assign(origin=str(origin), model=name))
    if not parts:
        raise InputError("backtest: no origin to judge at, or no forecaster. Give some of both.")
    told = pd.concat(parts, ignore_index=True)
    first = ["origin", "model", *KEY, "step", "value", "told"]
    return Backtest(told[[*first, *told.columns.difference(first, sort=False)]], tuple(forecasters), tuple(quantiles))


def rolling_origins(periods: pd.Series, params: BacktestParams) -> list[str]:
    """List the last months at which all that is judged is already over, with a year of history at least; earliest first.

    >>> rolling_origins(pd.Series(["2020-01", "2025-12"]), BacktestParams(origins=2))
    ['2023-06', '2024-06']
    """
    if periods.empty:
        return []
    first, last = pd.Period(str(periods.min())), pd.Period(str(periods.max()))
    ends = [last - params.lead - params.horizon - params.every * back for back in range(params.origins)]
    return [str(end) for end in reversed(ends) if end - _season(end) >= first]


def _season(period: pd.Period) -> int:
    return _SEASONS.get(period.freqstr[0], 1)


def _span(frame: pd.DataFrame, first: pd.Period, count: int) -> list[object]:
    """List ``count`` periods from ``first``, spelt as the frame spells them."""
    span = pd.period_range(first, periods=count)
    return list(span) if isinstance(frame["period"].dtype, pd.PeriodDtype) else [str(period) for period in span]


def _split(frame: pd.DataFrame, origin: str, lead: int, horizon: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Part what was known at the origin from what is judged. Same rows, of the series seen; the rows judged, in one order."""
    end = pd.Period(origin)
    texts = not isinstance(frame["period"].dtype, pd.PeriodDtype)
    before = frame[frame["period"] <= (str(end) if texts else end)]
    seen = before["value"].fillna(0.0).ne(0).groupby([before[name] for name in SERIES]).transform("any")
    steps = {period: lead + step for step, period in enumerate(_span(frame, end + lead + 1, horizon), start=1)}
    ahead = frame[frame["period"].isin(list(steps)) & frame["value"].notna()]
    if ahead.empty or not seen.any():
        raise InputError(
            f"backtest: nothing is observed up to {origin}, or nothing from {lead + 1} to {lead + horizon} periods after."
        )
    kept = ahead.assign(step=ahead["period"].map(steps).astype("int64"))
    return before[seen].reset_index(drop=True), kept.sort_values(KEY, ignore_index=True)


def _describe(ahead: pd.DataFrame, past: pd.DataFrame, origin: str, volume_classes: Sequence[float]) -> pd.DataFrame:
    """Add what was known of each series at the origin, and its groups. Same rows: key, step, value, volume, scales, texts."""
    end = pd.Period(origin)
    season = _season(end)
    length = max(end.ordinal - pd.Period(str(past["period"].min()), end.freqstr).ordinal + 1, season)
    wide = past.set_index(KEY)["value"].unstack("period")  # noqa: PD010
    wide = wide.reindex(columns=_span(past, end - length + 1, length))
    history = wide.to_numpy(dtype="float64")
    absolute, squared = metrics.naive_scales(history, season)
    year = wide.iloc[:, -season:].mean(axis=1).fillna(0.0)
    known = pd.DataFrame({"volume": year, "mae_scale": absolute, "rmse_scale": squared}, index=wide.index).reset_index()
    texts = [name for name in ahead.select_dtypes(["str", "object", "category"]) if name not in KEY]
    rows = ahead[[*KEY, "step", "value", *texts]].merge(known, on=SERIES, how="left", validate="many_to_one")
    volume = rows["volume"].fillna(0.0)
    return rows.assign(volume=volume, volume_class=_classes(volume, volume_classes))


def _classes(volume: pd.Series, edges: Sequence[float]) -> pd.Series:
    """Name the class of each volume: ``0-1``, …, ``100+``; a volume on an edge is in the class that begins there."""
    bounds = [0.0, *edges]
    names = [f"{low:g}-{high:g}" for low, high in pairwise(bounds)] + [f"{bounds[-1]:g}+"]
    place = np.searchsorted(np.asarray(edges), volume.to_numpy(), side="right")
    return pd.Series(np.asarray(names, dtype=object)[place], index=volume.index, dtype="str")


def _tell(model: Forecaster, rows: pd.DataFrame, horizon: int, quantiles: Sequence[float]) -> pd.DataFrame:
    """Set what a model tells beside what came. Same rows; a model without an interval or a distribution has them missing."""
    told = (model.predict(horizon, quantiles) if quantiles else model.predict(horizon)).rename(columns={"value": "told"})
    names = ["told", "low", "high", *map(_quantile, quantiles)]
    given = told[[*KEY, *(name for name in names if name in told)]]
    both = rows.merge(given, on=KEY, how="left", validate="one_to_one").reindex(columns=[*rows.columns, *names])
    missed = both["told"].isna()
    filled = both.assign(**{name: both[name].mask(missed, 0.0) for name in names if name in told}, missed=missed)
    below, upto = _place(model, filled)
    draws = even_draws(rows[KEY].astype("str"))
    return filled.assign(below=below, upto=upto, pit=metrics.randomised_pit(below, upto, draws))


def _quantile(level: float) -> str:
    return f"q{100 * level:g}"


def _place(model: Forecaster, rows: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Say how likely less than what came was, and no more; of what was not forecast, that zero was certain. Same rows."""
    if not isinstance(model, Distribution):
        nothing = pd.Series(np.nan, index=rows.index)
        return nothing, nothing
    placed = model.probability(rows.loc[~rows["missed"], [*KEY, "value"]]).reindex(rows.index)
    below = placed["below"].mask(rows["missed"], (rows["value"] > 0).astype("float64"))
    return below, placed["upto"].mask(rows["missed"], 1.0)


def _numbers(told: pd.DataFrame) -> dict[str, Numbers]:
    """Take the columns of one model that are numbers or flags."""
    columns = told.select_dtypes(["number", "bool"])
    return {str(name): columns[name].to_numpy(dtype="float64") for name in columns}


def _groups(texts: pd.DataFrame, by: str, links: pd.DataFrame | None) -> Iterator[tuple[str, object, Places, Numbers]]:
    """Give the rows of each origin and group, then of all origins: the origin, the group, where rows stand, their weight."""
    rows = texts[["origin", "occupation"]].assign(row=np.arange(len(texts)), weight=1.0)
    if links is not None:
        shares = links.groupby(["occupation", by], as_index=False)[["weight"]].sum()
        rows = rows.drop(columns="weight").merge(shares, on="occupation", how="inner", validate="many_to_many")
        rows = rows.rename(columns={by: "group"}).sort_values(["row", "group"], ignore_index=True)
    else:
        rows = rows.assign(group=texts[by] if by else "")
    place, weight = rows["row"].to_numpy(dtype="int64"), rows["weight"].to_numpy()
    for origin, part in [*rows.groupby("origin"), (ALL, rows)]:
        for group, found in part.groupby("group"):
            inside = found.index.to_numpy()
            yield str(origin), group, place[inside], weight[inside]


def _score(
    cut: Mapping[str, Mapping[str, Numbers]],
    weight: Numbers,
    cells: Places,
    rivals: Sequence[str],
    quantiles: Sequence[float],
) -> Iterator[dict[str, object]]:
    """Score each forecaster on the rows of one group."""
    _, cell = np.unique(cells, return_inverse=True)
    shared = np.bincount(cell, weights=weight) / np.bincount(cell)
    errors = {name: np.abs(rows["value"] - rows["told"]) for name, rows in cut.items()}
    losses = {name: np.bincount(cell, weights=error).astype("float64") for name, error in errors.items()}
    wapes = {name: metrics.wape(rows["value"], rows["told"], weight=weight) for name, rows in cut.items()}
    for name, rows in cut.items():
        yield {
            "model": name,
            "n": len(weight),
            "cells": len(shared),
            "volume": float(np.sum(weight * rows["value"])),
            "missed": int(rows["missed"].sum()),
            "wape": wapes[name],
            **_own_scores(rows, weight, quantiles),
            **{f"skill_{rival}": metrics.skill(wapes[name], wapes[rival]) for rival in rivals},
            **{f"beaten_{rival}": metrics.share_beaten(losses[name], losses[rival], weight=shared) for rival in rivals},
        }


def _own_scores(rows: Mapping[str, Numbers], weight: Numbers, quantiles: Sequence[float]) -> dict[str, float]:
    """Score one forecaster on the rows of one group, whatever the others say."""
    value, told = rows["value"], rows["told"]
    levels = {level: rows[_quantile(level)] for level in quantiles} or {level: rows[name] for level, name in _BOUNDS.items()}
    return {
        "bias": metrics.bias(value, told, weight=weight),
        "mase": metrics.mase(value, told, rows["mae_scale"], weight=weight),
        "rmsse": metrics.rmsse(value, told, rows["rmse_scale"], weight=weight),
        "n_scaled": int((rows["mae_scale"] > 0).sum()),
        "pinball": metrics.pinball(value, levels, weight=weight),
        "coverage": metrics.interval_coverage(value, rows["low"], rows["high"], weight=weight),
        "pit_coverage": metrics.pit_coverage(rows["pit"], INTERVAL, weight=weight),
        "n_pit": int(np.isfinite(rows["pit"]).sum()),
    }
