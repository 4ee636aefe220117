"""How forecasts are judged: one number each, its formula and when it misleads.

Every metric takes columns of the same length, one row per thing forecast, and an optional ``weight`` (the share of the row
that belongs to the group judged; one by default). Rows where something needed is missing are left out, and a metric that no
row is left for is NaN: nothing is never a good score. The order of rows changes nothing but the last digits.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

_FEWEST_RANKED = 3
Column = pd.Series | npt.NDArray[np.float64]
Numbers = npt.NDArray[np.float64]


def wape(actual: Column, forecast: Column, *, weight: Column | None = None) -> float:
    """Weighted absolute percentage error: Σ|actual − forecast| ÷ Σ|actual|.

    Use it on counts, where it weighs each series by its volume. Undefined (NaN) where nothing happened. It is least for the
    median: on small counts a forecast of zero may look best, so read the bias beside it.

    >>> wape(pd.Series([10.0, 0.0]), pd.Series([8.0, 1.0]))
    0.3
    """
    told, meant, share = _rows(actual, forecast, weight=weight)
    return _ratio(_sum(share, np.abs(told - meant)), _sum(share, np.abs(told)))


def bias(actual: Column, forecast: Column, *, weight: Column | None = None) -> float:
    """Relative bias: Σ(forecast − actual) ÷ Σ|actual|. Above zero, too much was forecast.

    Errors of opposite sign cancel: zero says that the total is right, not its parts.

    >>> bias(pd.Series([10.0, 0.0]), pd.Series([8.0, 1.0]))
    -0.1
    """
    told, meant, share = _rows(actual, forecast, weight=weight)
    return _ratio(_sum(share, meant - told), _sum(share, np.abs(told)))


def mase(actual: Column, forecast: Column, scale: Column, *, weight: Column | None = None) -> float:
    """Mean absolute scaled error: mean of |actual − forecast| ÷ scale, the series' own in-sample seasonal naive MAE.

    ``scale`` comes from :func:`naive_scales`. Every series counts alike, whatever its volume. Below one, the forecast errs
    less than the seasonal naive did *one season* ahead in the past: two seasons ahead, one is not the bar. Series that never
    varied have no scale and are left out; those that hardly did may weigh more than all others.

    >>> mase(pd.Series([10.0, 0.0]), pd.Series([8.0, 1.0]), pd.Series([4.0, 1.0]))
    0.75
    """
    told, meant, size, share = _rows(actual, forecast, _positive(scale), weight=weight)
    return _ratio(_sum(share, np.abs(told - meant) / size), float(share.sum()))


def rmsse(actual: Column, forecast: Column, scale: Column, *, weight: Column | None = None) -> float:
    """Root mean squared scaled error: √ mean of ((actual − forecast) ÷ scale)², scale the in-sample seasonal naive RMSE.

    It is least for the mean, where :func:`mase` is for the median: a forecast of sums should win here. A few series that
    broke with their past make most of it.

    >>> rmsse(pd.Series([10.0, 0.0]), pd.Series([7.0, 4.0]), pd.Series([1.0, 1.0]))
    3.5355339059327378
    """
    told, meant, size, share = _rows(actual, forecast, _positive(scale), weight=weight)
    return float(np.sqrt(_ratio(_sum(share, ((told - meant) / size) ** 2), float(share.sum()))))


def naive_scales(history: Numbers, lag: int) -> tuple[Numbers, Numbers]:
    """Measure each row's seasonal naive error in the past: mean |y_t − y_{t−lag}|, and √ mean (y_t − y_{t−lag})².

    ``history`` is series × periods; missing periods are left out, and a row without a pair is NaN.

    >>> naive_scales(np.array([[1.0, 2.0, 4.0]]), lag=1)
    (array([1.5]), array([1.58113883]))
    """
    steps = history[:, lag:] - history[:, :-lag]
    pairs = np.isfinite(steps).sum(axis=1)
    known = np.where(pairs > 0, pairs, np.nan)
    return np.nansum(np.abs(steps), axis=1) / known, np.sqrt(np.nansum(steps**2, axis=1) / known)


def pinball(actual: Column, quantiles: Mapping[float, Column], *, weight: Column | None = None) -> float:
    """Quantile loss over quantiles: 2 · mean over q of Σ max(q · (y − f_q), (q − 1) · (y − f_q)) ÷ Σ|y|.

    ``quantiles`` gives the forecast of each q between 0 and 1. With the median alone it is :func:`wape`; it rewards intervals
    that are both narrow and true. Scores over different sets of quantiles do not compare.

    >>> pinball(pd.Series([10.0]), {0.1: pd.Series([8.0]), 0.9: pd.Series([11.0])})
    0.03
    """
    told, *meant, share = _rows(actual, *quantiles.values(), weight=weight)
    losses = [_sum(share, np.maximum(q * (told - f), (q - 1.0) * (told - f))) for q, f in zip(quantiles, meant, strict=True)]
    return _ratio(2.0 * float(np.mean(losses)), _sum(share, np.abs(told))) if losses else float("nan")


def interval_coverage(actual: Column, low: Column, high: Column, *, weight: Column | None = None) -> float:
    """Share of actual values inside their interval, bounds included: near 0.8 when an 80 % interval tells the truth.

    On series of small counts, bounds that are whole numbers hold more than they say: read it on series with volume, or read
    :func:`pit_coverage`.

    >>> interval_coverage(pd.Series([1.0, 5.0]), pd.Series([0.0, 0.0]), pd.Series([2.0, 4.0]))
    0.5
    """
    told, least, most, share = _rows(actual, low, high, weight=weight)
    return _ratio(_sum(share, ((told >= least) & (told <= most)).astype(np.float64)), float(share.sum()))


def randomised_pit(below: Column, upto: Column, draw: Column) -> Numbers:
    """Place each actual value in its forecast distribution: u = below + draw · (upto − below).

    ``below`` is P(Y < y), ``upto`` P(Y ≤ y). With even draws u is uniform when the distribution is true, even for counts,
    whose plain coverage cannot be exact. Missing where the distribution is.

    >>> randomised_pit(np.array([0.2]), np.array([0.6]), np.array([0.5]))
    array([0.4])
    """
    least, most, even = (np.asarray(column, dtype="float64") for column in (below, upto, draw))
    return np.asarray(least + even * (most - least))


def pit_coverage(pit: Column, level: float, *, weight: Column | None = None) -> float:
    """Share of :func:`randomised_pit` in the middle ``level``: equal to it when intervals mean what they say, at any volume.

    Too low, intervals are too narrow; too high, too wide. Errors on both sides may cancel over groups: read it by volume
    class and by origin.

    >>> pit_coverage(np.array([0.05, 0.5, 0.85, 0.99]), 0.8)
    0.5
    """
    place, share = _rows(pit, weight=weight)
    return _ratio(_sum(share, (np.abs(place - 0.5) <= level / 2).astype(np.float64)), float(share.sum()))


def pit_shares(pit: Column, bins: int) -> Numbers:
    """Count which share of the PIT falls into each of so many equal parts of [0, 1]: all 1 ÷ bins when forecasts are true.

    >>> pit_shares(np.array([0.1, 0.2, 0.9]), 2)
    array([0.66666667, 0.33333333])
    """
    (place, _) = _rows(pit, weight=None)
    counts, _ = np.histogram(place, bins=bins, range=(0.0, 1.0))
    return np.asarray(counts / len(place)) if len(place) else np.full(bins, np.nan)


def skill(loss: float, baseline: float) -> float:
    """Share of a baseline's loss that is gone: 1 − loss ÷ baseline. Zero is no better, below zero is worse.

    Undefined (NaN) beside a baseline without a loss. A skill of a mean is not the mean of skills.

    >>> skill(0.3, 0.6)
    0.5
    """
    return 1.0 - _ratio(loss, baseline)


def share_beaten(loss: Column, baseline: Column, *, weight: Column | None = None) -> float:
    """Share of cells where the loss is below the baseline's; a tie counts for half, so 0.5 says no difference.

    It does not look at how much is won: read it beside :func:`skill`. Cells where nothing happens and nothing is forecast are
    all ties.

    >>> share_beaten(pd.Series([1.0, 2.0, 0.0, 3.0]), pd.Series([2.0, 1.0, 0.0, 4.0]))
    0.625
    """
    own, other, share = _rows(loss, baseline, weight=weight)
    return _ratio(_sum(share, 0.5 + 0.5 * np.sign(other - own)), float(share.sum()))


def rank_correlation(actual: Column, told: Column) -> float:
    """Correlation of the ranks of what is true and what was told (Spearman): 1 when they order things alike.

    It looks at order alone: effects all twice too large order as well as true ones. Undefined (NaN) for fewer than three rows.

    >>> rank_correlation(pd.Series([0.1, 0.2, 0.3]), pd.Series([0.0, 0.5, 0.4]))
    0.5
    """
    true, meant, _ = _rows(actual, told, weight=None)
    if len(true) < _FEWEST_RANKED:
        return float("nan")
    ranks = [pd.Series(values).rank() for values in (true, meant)]
    return float(ranks[0].corr(ranks[1]))


def ndcg(scores: Column, gains: Column, k: int) -> float:
    """Gain of the first ``k`` as ranked ÷ that of the best order: Σ gain ÷ log₂(place + 1), each sum over k places.

    1 when none that brings more stands behind one that brings less. ``scores`` rank, the highest first (ties: as they stand);
    a gain below nothing counts as nothing. Undefined (NaN) where there is nothing to gain. Where most gains are alike, any
    order scores high: read it beside that of a random one.

    >>> ndcg(pd.Series([1.0, 3.0, 2.0]), pd.Series([0.0, 2.0, 2.0]), 2)
    1.0
    """
    told, true, _ = _rows(scores, gains, weight=None)
    gain = np.maximum(true, 0.0)
    first, best = gain[np.argsort(-told, kind="stable")][:k], np.sort(gain)[::-1][:k]
    discount = 1.0 / np.log2(np.arange(len(best)) + 2.0)
    return _ratio(_sum(discount, first), _sum(discount, best))


def standardised_gap(ours: Numbers, others: Numbers, spread: Numbers) -> float:
    """Mean over traits of |mean of some people − mean of others|, in standard deviations of all (``spread``).

    One number per trait in each. It is as large as chance makes it where few people are averaged: read it beside how many they
    are. Undefined (NaN) where a mean is.

    >>> standardised_gap(np.array([1.0, 0.0]), np.array([0.0, 0.0]), np.array([2.0, 1.0]))
    0.25
    """
    varies = spread > 0
    return float(np.mean(np.abs(ours - others)[varies] / spread[varies])) if varies.any() else 0.0


def _rows(*columns: Column, weight: Column | None) -> list[Numbers]:
    """Take columns as numbers, and the weight as the last, without the rows where one of them is missing."""
    given = [np.asarray(column, dtype="float64") for column in columns]
    given.append(np.ones(len(given[0])) if weight is None else np.asarray(weight, dtype="float64"))
    known = ~np.isnan(np.sum(given, axis=0))
    return given if known.all() else [column[known] for column in given]


def _positive(scale: Column) -> Numbers:
    size = np.asarray(scale, dtype="float64")
    return np.where(size > 0, size, np.nan)


def _sum(share: Numbers, values: Numbers) -> float:
    return float(np.sum(share * values))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
