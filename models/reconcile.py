"""Forecasts of cells, territories, families and sectors, made apart, made to agree: every sum adds up, nothing is below zero.

:func:`learn_weights` measures, where the actual values are known, how far each series is to be believed; :func:`reconcile`
moves the cells as little as that allows, and adds them up. What a grain says of its sums is heard only as far as, at past
origins, what it said besides the sum of its cells came true, and only while the cells themselves got no worse by it.

Values are expectations: expectations add up, medians do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from features.params import Section, param
from features.vocabulary import InputError
from models.hierarchy import CELL_GRAIN, SERIES, Hierarchy, Matrix, lay_out, write_out
from models.nearest import Vector, nearest_cells


class ReconcileParams(Section):
    """How forecasts that do not add up are made to agree."""

    highest_share: float = param(
        0.9,
        "an aggregate corrects the sum of its cells by this share of their difference at the most",
        unit="share",
        ge=0,
        le=0.99,
    )
    caution: float = param(
        1.0, "what aggregates seem to know is counted less this many of its standard errors", unit="standard errors", ge=0, le=5
    )
    absolute_slack: float = param(
        0.0,
        "how much worse aggregates may make the absolute errors of cells, over what each origin forecast",
        unit="share",
        ge=0,
        le=0.5,
    )
    pooled_periods: float = param(
        12.0, "the errors of a series count beside those of its grain as if it had this many more", unit="periods", ge=0, le=240
    )
    common_errors: float = param(
        0.1, "correlation of the errors of cells where no interval of an aggregate tells it", unit="correlation", ge=0, le=1
    )
    least_variance: float = param(
        0.01, "an aggregate's variance is at least this share of that of the sum of its cells", unit="share", ge=1e-6, le=1
    )
    tolerance: float = param(1e-10, "what the solution may be off by, beside the correction", unit="share", ge=1e-14, le=1e-4)
    learning_tolerance: float = param(1e-4, "the same while weights are learned", unit="share", ge=1e-14, le=1e-2)


@dataclass(frozen=True, eq=False)
class Weights:
    """How far forecasts are to be believed.

    ``variances`` has one row per series: grain, territory, occupation, ``variance`` of its errors (infinite: not heard), and
    ``n``, the errors seen of it. ``grains`` has one row per grain of aggregates: the ``share`` of a difference between it and
    the sum of its cells that it decides alone, and the errors of cells with it ÷ those of cells as they were forecast,
    ``squared`` (period by period, in units of their variance) and ``absolute`` (of what an origin's periods add up to), each
    grain heard beside those before it.
    """

    variances: pd.DataFrame
    grains: pd.DataFrame


# What agrees ---------------------------------------------------------------------------------------------------------------


def reconcile(
    forecasts: pd.DataFrame, hierarchy: Hierarchy, variances: pd.DataFrame, params: ReconcileParams | None = None
) -> pd.DataFrame:
    """Make forecasts agree. One row per grain, territory, occupation, period: value, low, high.

    Reads one row per series and period: ``grain, territory, occupation, period, value`` and, where there is an interval,
    ``low, high``. Every cell is needed in every period; an aggregate that is not forecast is the sum of its cells.
    ``variances`` has one row per series (grain, territory, occupation, variance); an aggregate without a row, or with an
    infinite one, is not heard, and a cell whose variance is zero stays as it is.

    The value of every aggregate is the weighted sum of its cells, and none is below zero. Bounds do not add up: a sum is
    surer than its parts. A series keeps the upper half-width of its own interval, and its lower bound the same share of the
    value as it had (so that nothing stays possible where it was).
    An aggregate without an interval takes those of its cells, as far as their errors go together: half² = (1 − r)·Σ half² +
    r·(Σ half)², with r the median of what the aggregates that have an interval show.
    """
    params = params or ReconcileParams()
    periods, (told, low, high) = lay_out(forecasts, forecasts["period"], hierarchy, ["value", "low", "high"])
    count = hierarchy.cells
    if np.isnan(told[:count]).any():
        lacking = int(np.isnan(told[:count]).any(axis=1).sum())
        raise InputError(
            f"{lacking} of {count} cells have no forecast for some period: forecast every cell, zero if it is dead."
        )
    told = np.maximum(told, 0.0)
    fine, wide = _variances_of(variances, hierarchy, params)
    cells = nearest_cells(told[:count], told[count:], hierarchy.sums, variances=(fine, wide), tolerance=params.tolerance)
    values = np.vstack([cells, hierarchy.sums @ cells])
    below, above = (
        _widths(np.maximum(width, 0.0), hierarchy.sums, params.common_errors) for width in (told - low, high - told)
    )
    alone = np.vstack([told[:count], np.where(np.isnan(told[count:]), hierarchy.sums @ told[:count], told[count:])])
    kept = np.clip(1 - np.divide(below, alone, out=np.ones_like(below), where=alone > 0), 0.0, 1.0)
    return write_out(hierarchy, periods, {"value": values, "low": values * kept, "high": values + above})


def _variances_of(variances: pd.DataFrame, hierarchy: Hierarchy, params: ReconcileParams) -> tuple[Vector, Vector]:
    """Give the variances of cells and aggregates, in the order of the hierarchy."""
    one = pd.Series(0, index=variances.index)
    _, (laid,) = lay_out(variances, one, hierarchy, ["variance"])
    laid = laid if laid.shape[1] else np.full((len(hierarchy.series), 1), np.nan)
    fine, wide = laid[: hierarchy.cells, 0], laid[hierarchy.cells :, 0]
    if not (np.isfinite(fine) & (fine >= 0)).all() or (wide < 0).any():
        raise InputError("Every cell needs a finite variance, 0 or above, and no variance is below 0.")
    return fine, np.maximum(np.where(np.isnan(wide), np.inf, wide), params.least_variance * (hierarchy.sums @ fine))


def _widths(widths: Matrix, sums: sparse.csr_array, common_errors: float) -> Matrix:
    """Give every aggregate without an interval the half-width that those of its cells make. One row per series."""
    fine, own = widths[: sums.shape[1]], widths[sums.shape[1] :]
    if not np.isnan(own).any():
        return widths
    apart, together = sums.multiply(sums) @ fine**2, (sums @ fine) ** 2
    seen = ~np.isnan(own) & (together > apart * (1 + 1e-9))
    shown = (own[seen] ** 2 - apart[seen]) / (together[seen] - apart[seen])
    alike = float(np.clip(np.median(shown), 0.0, 1.0)) if shown.size else common_errors
    made = np.sqrt((1 - alike) * apart + alike * together)
    return np.vstack([fine, np.where(np.isnan(own), made, own)])


# What is believed ----------------------------------------------------------------------------------------------------------


def learn_weights(judged: pd.DataFrame, hierarchy: Hierarchy, params: ReconcileParams | None = None) -> Weights:
    """Measure on past origins how far each series is to be believed.

    Reads one row per origin, grain, territory, occupation, period: ``value`` forecast at the origin and, for cells,
    ``actual``. An aggregate's actual value is the sum of its cells'.

    The variance of a cell is the mean of its squared errors, pooled with its grain: (Σ e² + k·φ·level) ÷ (n + k), φ the
    squared errors of all cells over their levels, the level the mean of forecast and actual. The share of a grain is the slope
    with which its difference from the sum of its cells foretold the error of that sum, Σ w·e·d ÷ Σ w·d², less ``caution``
    times its standard error; the variance of its aggregates is (1 − share) ÷ share times that of the sum of their cells.
    Errors of cells go together, and those of an aggregate with them: a slope counts that in, variances side by side do not.
    Grains are heard one after the other, the one of most series first, each for what those before it left; the share is
    halved until the cells got no worse, or dropped: neither their squared errors period by period, nor the absolute ones of
    what the periods of an origin add up to (of a month with less than one position, the absolute error is least for zero).
    """
    params = params or ReconcileParams()
    labels = judged["origin"].astype("str") + " " + judged["period"].astype("str")
    columns, (told, actual) = lay_out(judged, labels, hierarchy, ["value", "actual"])
    count = hierarchy.cells
    if not told.shape[1] or np.isnan(told[:count]).any() or np.isnan(actual[:count]).any():
        raise InputError("Every cell needs a forecast and an actual value for every origin and period that is judged.")
    origins = judged.assign(label=labels).drop_duplicates("label").set_index("label")["origin"].astype("str").reindex(columns)
    learning = _Learning(told, actual[:count], pd.factorize(origins, sort=True)[0], hierarchy, params)
    wide, grains = learning.hear_all()
    variance = np.concatenate([learning.variances, wide])
    seen = np.concatenate([np.full(count, told.shape[1]), (~np.isnan(told[count:])).sum(axis=1)])
    return Weights(hierarchy.series[SERIES].assign(variance=variance, n=seen.astype(np.float64)), grains)


def variances_of(weights: Weights, hierarchy: Hierarchy, levels: pd.Series[float]) -> pd.DataFrame:
    """Give series the variances that were learned, perhaps of others. One row per series of the hierarchy: its variance.

    A cell that is not among those learned has φ·level, as learning gives a cell of which no error was seen: φ is the variances
    of all cells over their ``levels`` (one per cell of the hierarchy). An aggregate has (1 − share) ÷ share times the variance
    of the sum of its cells, with the share of its grain. Of the series that were learned, these are the variances learned.
    """
    cells = hierarchy.series.iloc[: hierarchy.cells]
    learned = weights.variances[weights.variances["grain"] == CELL_GRAIN].set_index(SERIES)["variance"]
    fine = learned.reindex(pd.MultiIndex.from_frame(cells[SERIES])).to_numpy(dtype="float64")
    known, level = ~np.isnan(fine), levels.to_numpy(dtype="float64")
    told = float(level[known].sum())
    ratio = float(fine[known].sum()) / told if told > 0 else 1.0
    fine = np.where(known, fine, ratio * level if known.any() else 1.0)
    shares = hierarchy.series["grain"].iloc[hierarchy.cells :].map(weights.grains.set_index("grain")["share"])
    wide = _decided(hierarchy.sums @ fine, shares.fillna(0.0).to_numpy(dtype="float64"))
    return hierarchy.series[SERIES].assign(variance=np.concatenate([fine, wide]))


def nothing_learned() -> Weights:
    """Give what is believed where nothing was judged: cells alone are heard, all alike."""
    texts = {name: pd.Series(dtype="str") for name in SERIES}
    variances = pd.DataFrame({**texts, "variance": pd.Series(dtype="float64"), "n": pd.Series(dtype="float64")})
    return Weights(variances, pd.DataFrame({"grain": texts["grain"], "share": variances["n"]}))


def _decided(wide: Vector, shares: Vector) -> Vector:
    """Give the variances of aggregates that decide a share of what they differ by from the sums of their cells."""
    heard = shares > 0
    return np.where(heard, wide * (1 - shares) / np.where(heard, shares, 1.0), np.inf)


class _Learning:
    """The past, as matrices: what was told of cells and aggregates, and what came."""

    def __init__(
        self, told: Matrix, actual: Matrix, origins: NDArray[np.intp], hierarchy: Hierarchy, params: ReconcileParams
    ) -> None:
        self.base, self.told, self.actual = told[: hierarchy.cells], told[hierarchy.cells :], actual
        self.of_origin = np.equal.outer(origins, np.unique(origins)).astype(np.float64)
        self.hierarchy, self.params = hierarchy, params
        self.variances = _pooled(self.base, actual, params.pooled_periods)
        self.wide = hierarchy.sums @ self.variances

    def hear_all(self) -> tuple[Vector, pd.DataFrame]:
        """Hear one grain after the other. The variances of aggregates, and one row per grain."""
        variances = np.full(len(self.wide), np.inf)
        cells, before = self.base, self.errors(self.base)
        best, rows = before, []
        for grain in self.hierarchy.grains:
            marked = self.hierarchy.rows(grain)
            share = self.slope(cells, marked)
            moved = self.moved(variances, marked, share)
            share *= self.kept_part(cells, moved, best, before)
            moved = self.moved(variances, marked, share)
            errors = self.errors(moved)
            if share > 0 and self.no_worse(errors, best, before):
                variances = np.where(marked, self.variance_of(share), variances)
                cells, best = moved, errors
            else:
                share = 0.0
            rows.append((grain, share, *(best / np.where(before > 0, before, 1.0))))
        grains = pd.DataFrame(rows, columns=["grain", "share", "squared", "absolute"])
        return variances, grains.astype({"grain": "str", "share": "float64", "squared": "float64", "absolute": "float64"})

    def slope(self, cells: Matrix, marked: NDArray[np.bool_]) -> float:
        """Say with what slope the difference of a grain from the sum of its cells foretold the error of that sum.

        Less the standard error of the slope, each period being one draw, so that no chance is taken for knowledge.
        """
        marked = marked & (self.wide > 0)
        sums = sparse.csr_array(self.hierarchy.sums[marked])
        own = sums @ cells
        difference = np.nan_to_num(self.told[marked] - own)
        weighed = difference / self.wide[marked][:, None]
        size, told = (weighed * difference).sum(axis=0), (weighed * (sums @ self.actual - own)).sum(axis=0)
        total = float(size.sum())
        if total <= 0:
            return 0.0
        slope = float(told.sum()) / total
        error = float(np.sqrt(((told - slope * size) ** 2).sum())) / total
        return min(max(slope - self.params.caution * error, 0.0), self.params.highest_share)

    def variance_of(self, share: float) -> Vector:
        """Give the variances that let aggregates decide a share of what they differ by from the sum of their cells."""
        return _decided(self.wide, np.full(len(self.wide), share))

    def moved(self, variances: Vector, marked: NDArray[np.bool_], share: float) -> Matrix:
        """Move the cells to what is heard already, and to one more grain."""
        wide = np.where(marked, self.variance_of(share), variances)
        return nearest_cells(
            self.base,
            self.told,
            self.hierarchy.sums,
            variances=(self.variances, wide),
            tolerance=self.params.learning_tolerance,
            bounded=False,
        )

    def kept_part(self, cells: Matrix, moved: Matrix, best: Vector, before: Vector) -> float:
        """Say how much of a move the cells bear: all of it, half, a quarter, an eighth, or nothing."""
        for part in (1.0, 0.5, 0.25, 0.125):
            if self.no_worse(self.errors(cells + part * (moved - cells)), best, before):
                return part
        return 0.0

    def no_worse(self, errors: Vector, best: Vector, before: Vector) -> bool:
        """Whether squared errors fell, and absolute ones are not above those of the cells as they were forecast."""
        return bool(errors[0] < best[0] and errors[1] <= before[1] * (1 + self.params.absolute_slack))

    def errors(self, cells: Matrix) -> Vector:
        """Add up the errors of cells: squared, in units of their variance, and absolute. Cells are never below zero."""
        missed = np.maximum(cells, 0.0) - self.actual
        uncertain = self.variances > 0
        squared = float(((missed[uncertain] ** 2).sum(axis=1) / self.variances[uncertain]).sum())
        return np.array([squared, float(np.abs(missed @ self.of_origin).sum())])


def _pooled(base: Matrix, actual: Matrix, pooled_periods: float) -> Vector:
    """Give the variance of the errors of each cell, pooled with those of all cells at its level."""
    squares, level = (base - actual) ** 2, (base + actual).mean(axis=1) / 2
    ratio = squares.mean() / level.mean() if level.mean() > 0 else 0.0
    pooled: Vector = (squares.sum(axis=1) + pooled_periods * ratio * level) / (squares.shape[1] + pooled_periods)
    return pooled
