"""What will be asked for: forecasts of many series at once, each with what may come instead.

:class:`NeedForecaster` mixes members by how they told the past; the baselines beside it are single members. All of them
learn their interval from their own past errors, in the same way.

What :class:`NeedForecaster` learned (:class:`Learned`) can be kept and applied to later data without judging the past again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from features.vocabulary import InputError
from models.boosting import boosting
from models.combine import Mixed, apply_weights, bucket_of, combine
from models.counts import Spread, fit_spread
from models.growth import relative
from models.members import Member, Past, borrowed, growing, last_value, pooled, seasonal_naive, smoothing, year_mean
from models.nowcast import complete
from models.panel import SERIES, Numbers, Panel, to_panel

INTERVAL = (0.1, 0.9)
JUDGED = 10_000  # values of one origin that the interval is learned from
LONG_YEARS, SHORT_YEARS = 0.98, 0.8  # what a year counts beside the next, for a level that hardly moves
HELPED = 0.998  # share of the error that must remain, at most, for a regressor to be kept
SURE = 2.0  # standard errors over series by which the error must fall
TRIED = 2  # past years in which regressors are tried


class PanelForecaster(BaseEstimator):
    """What every forecaster here does: read a long frame, tell the periods ahead and how far it may be wrong."""

    def fit(self, frame: pd.DataFrame) -> Self:
        """Read one row per territory, occupation, period: value, regressors (other numbers), groups (other texts)."""
        self.panel_ = to_panel(frame)
        self.horizon_ = 0
        return self

    def predict(self, horizon: int, quantiles: Sequence[float] = ()) -> pd.DataFrame:
        """Tell ``horizon`` periods. One row per territory, occupation, period: value, low, high (80 %), and q… as asked.

        ``value`` is a mean, so that sums are means too; where counts are so rare that nine in ten are zero, it is ``high``.
        """
        check_is_fitted(self, "panel_")
        if horizon < 1 or not all(0 < level < 1 for level in quantiles):
            raise InputError("A forecast tells one period or more; quantiles lie between 0 and 1.")
        self._learn(horizon)
        values = self.mixed_.values
        low, high, *asked = (self._quantiles(values, level) for level in (*INTERVAL, *quantiles))
        told = {"value": values, "low": np.minimum(low, values), "high": np.maximum(high, values)}
        told |= {f"q{100 * level:g}": matrix for level, matrix in zip(quantiles, asked, strict=True)}
        return self.panel_.to_long(told, self.panel_.ahead(horizon))

    def probability(self, actual: pd.DataFrame) -> pd.DataFrame:
        """Say how probable what came was, after :meth:`predict`. Same rows: ``below`` P(Y < value), ``upto`` P(Y ≤ value).

        A series nobody had seen was told at zero: ``below`` is then 1 unless it stayed there.
        """
        check_is_fitted(self, "mixed_")
        ahead = self.panel_.ahead(self.horizon_)
        rows = pd.MultiIndex.from_frame(self.panel_.series).get_indexer(pd.MultiIndex.from_frame(actual[SERIES]))
        steps = pd.Index(self.panel_.names(ahead)).get_indexer(pd.Index(actual["period"]))
        if (steps < 0).any():
            raise InputError(f"Only the {self.horizon_} periods told last have a probability.")
        came = actual["value"].to_numpy(dtype="float64")
        below, upto = (came > 0).astype("float64"), np.ones(len(came))
        part = bucket_of(self.horizon_)[steps]
        for bucket, spread in enumerate(self.spreads_):
            held = (rows >= 0) & (part == bucket)
            mean = self.mixed_.values[rows[held], steps[held]]
            below[held], upto[held] = spread.below(came[held], mean), spread.upto(came[held], mean)
        return pd.DataFrame({"below": below, "upto": upto}, index=actual.index)

    def borrowed(self) -> pd.DataFrame:
        """Say which share of each forecast rests on other series, after :meth:`predict`. One row per territory, occupation."""
        past, weights = Past(self.panel_), pd.DataFrame(self.mixed_.weights).mean()
        shares = {"pooled": borrowed(past), "pooled_slow": borrowed(past, long=LONG_YEARS)}
        taken = [share * weights.get(name, 0.0) for name, share in shares.items()]
        return self.panel_.series.assign(borrowed=np.sum(taken, axis=0))

    def _members(self, past: Past, horizon: int) -> tuple[Past, Mapping[str, Member], int]:
        """Give what is known, the members, and how many of them, the first, are naive."""
        raise NotImplementedError

    def _learn(self, horizon: int) -> None:
        """Learn weights and intervals for a horizon, once."""
        if self.horizon_ == horizon:
            return
        with threadpool_limits(limits=1, user_api="blas"):  # sums in one order: the same bytes for any number of threads
            self.mixed_, self.spreads_ = self._mix(horizon)
        self.weights_ = self.mixed_.weights
        self.horizon_ = horizon

    def _mix(self, horizon: int) -> tuple[Mixed, list[Spread]]:
        """Mix the members, and say how far each part of the horizon may be wrong."""
        past, members, naive = self._members(Past(self.panel_), horizon)
        mixed = combine(past, horizon, members, naive)
        return mixed, learn_spreads(mixed, self.panel_, horizon)

    def _quantiles(self, values: Numbers, level: float) -> Numbers:
        part, found = bucket_of(values.shape[1]), np.empty_like(values)
        for bucket, spread in enumerate(self.spreads_):
            found[:, part == bucket] = spread.quantile(values[:, part == bucket], level)
        return found


def learn_spreads(mixed: Mixed, panel: Panel, horizon: int) -> list[Spread]:
    """Learn the spread of each part of the horizon from what was told of it; no part is surer than a nearer one.

    Origins of one year are judged together: their months are not all alike. Of a part so far ahead that nothing told of it
    has come to pass, the variance grows with its distance. Without an origin, each period is told by the one before it.
    """
    part, spreads, grain = bucket_of(horizon), list[Spread](), panel.grain
    before, after = panel.values[:, :-1], panel.values[:, 1:]
    both = np.isfinite(before) & np.isfinite(after)
    steps_of_one = [(before[both], after[both])] if both.any() else []
    for bucket in range(int(part[-1]) + 1):
        steps = np.flatnonzero(part == bucket)
        years: dict[int, list[tuple[Numbers, Numbers]]] = {}
        for start, values in mixed.told:
            pair = _judge(values, panel.values, start, steps)
            if len(pair[0]):
                years.setdefault((panel.values.shape[1] - 1 - start) // panel.season, []).append(pair)
        told = [
            (np.concatenate([mean for mean, _ in year]), np.concatenate([came for _, came in year])) for year in years.values()
        ]
        if not spreads:
            spreads.append(fit_spread(told or steps_of_one, grain))
        elif told:
            spreads.append(fit_spread(told, grain).at_least(spreads[-1]))
        else:
            spreads.append(spreads[-1].times((steps.mean() + 1) / (np.flatnonzero(part == bucket - 1).mean() + 1)))
    return spreads


def _judge(told: Numbers, values: Numbers, start: int, steps: npt.NDArray[np.intp]) -> tuple[Numbers, Numbers]:
    """Pair what was told at an origin with what came, of as many series, evenly, as are needed."""
    steps = steps[start + steps < values.shape[1]]
    every = max(1, len(values) * len(steps) // JUDGED)
    chosen = slice(start % every, None, every)  # others at each origin
    mean, came = told[chosen][:, steps].ravel(), values[chosen][:, start + steps].ravel()
    return mean[np.isfinite(came)], came[np.isfinite(came)]


@dataclass(frozen=True)
class Learned:
    """What was learned of many series together; nothing in it tells of one of them.

    ``regressors`` are those that helped; for each part of the horizon, ``weights`` says which member counts how much, and
    ``spreads`` what may come instead.
    """

    regressors: tuple[str, ...]
    weights: tuple[Mapping[str, float], ...]
    spreads: tuple[Spread, ...]


class NeedForecaster(PanelForecaster):
    """Members mixed by how they told the past, the naive forecast unless others told it better.

    ``weights_`` says, for each part of the horizon, which member counts how much; ``regressors_`` which regressors help. Both
    are learned from the past, unless they are ``learned`` already: then they are applied as they are, at any horizon, and a
    part of it that was not learned is told as the one before. A regressor that is no longer there is done without; the weight
    of a member that cannot be made without it goes to the others (:func:`models.combine.apply_weights`).
    """

    def __init__(self, learned: Learned | None = None) -> None:
        self.learned = learned

    def learn(self, horizon: int) -> Learned:
        """Learn what ``horizon`` periods are told by: given to another forecaster of the same rows, it tells the same bytes."""
        check_is_fitted(self, "panel_")
        self._learn(horizon)
        return Learned(tuple(self.regressors_), tuple(self.weights_), tuple(self.spreads_))

    def _mix(self, horizon: int) -> tuple[Mixed, list[Spread]]:
        if self.learned is None:
            return super()._mix(horizon)
        past, members, _ = self._members(Past(self.panel_), horizon)
        last, parts = len(self.learned.spreads) - 1, range(int(bucket_of(horizon)[-1]) + 1)
        return (
            apply_weights(past, horizon, members, self.learned.weights),
            [self.learned.spreads[min(part, last)] for part in parts],
        )

    def _members(self, past: Past, horizon: int) -> tuple[Past, Mapping[str, Member], int]:
        season = past.season
        self.regressors_ = helpful(past, min(horizon, season)) if self.learned is None else _known(past, self.learned)
        members: dict[str, Member] = {"last_value": last_value}
        if season > 1:
            members["seasonal_naive"] = seasonal_naive
        naive = len(members)
        members |= {"smoothing": smoothing, "pooled": pooled}
        spans = sorted({1, max(1, season // 4), max(1, season // 2)})
        members |= {f"growing_{span}": partial(growing, span=span) for span in spans}
        if season == 1 or self.regressors_:
            members["relative"] = relative
        if season == 1:
            members["pooled_slow"] = partial(pooled, long=LONG_YEARS, short=SHORT_YEARS)
        return _keep(past, self.regressors_), members, naive

    def complete(self) -> pd.DataFrame:
        """Tell late territories the periods others have. One row per territory, occupation, period: value, low, high (80 %)."""
        with threadpool_limits(limits=1, user_api="blas"):
            return complete(self.panel_)


def _known(past: Past, learned: Learned) -> list[str]:
    """List the regressors that helped and are still there."""
    numbers = past.panel.regressors
    return [name for name in learned.regressors if name in numbers and np.isfinite(numbers[name]).any()]


def _keep(past: Past, names: Sequence[str]) -> Past:
    """Forget the other regressors."""
    return Past(replace(past.panel, regressors={name: past.panel.regressors[name] for name in names}))


def helpful(past: Past, horizon: int) -> list[str]:
    """List the regressors to keep: relative growth of the last years is told no worse with them in any, and better in all."""
    names = [name for name, numbers in past.panel.regressors.items() if np.isfinite(numbers).any()]
    losses: dict[str, list[Numbers]] = {name: [] for name in ("", *names)}
    starts = [past.periods - past.season * years for years in range(1, TRIED + 1)]
    for start in [start for start in starts if start >= past.season] if names else ():
        came = past.values[:, start : start + horizon]
        for name, told in losses.items():
            known = _keep(past, [name] if name else []).until(start)
            told.append(np.nansum(np.abs(came - relative(known, came.shape[1])), axis=1))
    without = np.array(losses[""])
    return [name for name in names if _helped(without - np.array(losses[name]), without)]


def _helped(gains: Numbers, without: Numbers) -> bool:
    """Whether a regressor lowers the error: at every origin, and in all by more than chance, and enough."""
    if not gains.size or gains.sum(axis=1).min() < 0:
        return False
    total, chance = float(gains.sum()), float(np.sqrt((gains.sum(axis=0) ** 2).sum()))
    return total > max(SURE * chance, (1 - HELPED) * float(without.sum()))


class _Baseline(PanelForecaster):
    """One member alone."""

    member: Member

    def _members(self, past: Past, horizon: int) -> tuple[Past, Mapping[str, Member], int]:
        return past, {type(self).__name__: type(self).member}, 1


class LastValue(_Baseline):
    """As the last period known."""

    member = staticmethod(last_value)


class SeasonalNaive(_Baseline):
    """As the same period of the last year."""

    member = staticmethod(seasonal_naive)


class LastYearMean(_Baseline):
    """As the mean of the last year."""

    member = staticmethod(year_mean)


class ExponentialSmoothing(_Baseline):
    """As a mean of the past that forgets; one memory for all series."""

    member = staticmethod(smoothing)


class GlobalBoosting(_Baseline):
    """As trees learn from all series at once."""

    member = staticmethod(boosting)


BASELINES = (LastValue, SeasonalNaive, LastYearMean, ExponentialSmoothing, GlobalBoosting)
