"""Periods that some territories have already and others not: a survey told region by region, a département that is late.

What the others did is known then, and is told apart: the growth of all, the change of the occupation, growth beside the
others (:mod:`models.growth`). How much of it counts is judged on territories that have the period, as if they lacked it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from models.combine import learn_weights
from models.growth import FASTEST, LEAST, UNITS, describe, fit_median, to_years, typical
from models.members import TINY, Past, add_up, last_value, seasonal_naive, shrunk, year_mean
from models.panel import Codes, Flags, Numbers, Panel

FOLDS = 5  # parts of the territories, each told from the others once
BLOCKS = 20  # groups of territories, at most: no series learns the change of its occupation from its own block
INTERVAL = (0.1, 0.9)
CLASSES = 20  # of volume, at most, whose errors are taken apart
ENOUGH = 100  # errors in each of them, at least


@dataclass(frozen=True)
class Told:
    """One period told to the series ``rows`` that lack it, and, as if they lacked it, to those that do not.

    ``weights`` are those of the members: naive, with the change of the occupation, beside the others. ``judged`` pairs what
    was told to territories that have the period with what came there.
    """

    rows: Codes
    column: int
    values: Numbers
    weights: Numbers
    judged: tuple[Numbers, Numbers]

    def quantile(self, level: float) -> Numbers:
        """Give the value × a ratio that so many of those judged stayed below, of their class of volume.

        Where none was judged, the fastest change held possible.
        """
        told, came = self.judged
        if not len(told):
            return self.values * float(FASTEST ** np.sign(level - 1 / 2))
        unit = typical(told) / UNITS
        ratios = np.log((came + unit) / (told + unit))
        count = int(np.clip(len(told) // ENOUGH, 1, CLASSES))
        edges = np.unique(np.quantile(told, np.arange(1, count) / count))
        which = np.searchsorted(edges, told, side="right")
        classes = [which == each for each in np.unique(which)]
        middles = [np.log(told[rows] + unit).mean() for rows in classes]
        place = np.log(self.values + unit)
        ratio = np.interp(place, middles, [np.quantile(ratios[rows], level) for rows in classes])
        found: Numbers = np.maximum(np.exp(place + ratio) - unit, 0.0)
        return found


def complete(panel: Panel) -> pd.DataFrame:
    """Tell what is missing of the periods that others have. One row per territory, occupation, period: value, low, high (80 %).

    Missing is each period after the last one that the territory has anything of, where another territory has some. A series
    that its own territory leaves out of a period was not reported, and is not told. ``value`` is a median: sums of many are
    a little low.
    """
    found = {name: np.full(panel.values.shape, np.nan) for name in ("value", "low", "high")}
    first = len(panel.periods)
    for part in nowcast(panel):
        low, high = (part.quantile(level) for level in INTERVAL)
        bounds = {"value": part.values, "low": np.minimum(low, part.values), "high": np.maximum(high, part.values)}
        for name, numbers in bounds.items():
            found[name][part.rows, part.column] = numbers
        first = min(first, part.column)
    long = panel.to_long({name: matrix[:, first:] for name, matrix in found.items()}, panel.periods[first:])
    return long[long["value"].notna()].reset_index(drop=True)


def nowcast(panel: Panel) -> Iterator[Told]:
    """Tell each missing period to the territories that end alike."""
    seen = np.isfinite(panel.values)
    has = (add_up(seen.astype("float64"), panel.territories[0]) > 0)[panel.territories[0]]
    last = has.shape[1] - 1 - np.argmax(has[:, ::-1], axis=1)
    for column in np.flatnonzero(seen.any(axis=0)):
        for end in np.unique(last[last < column]):
            yield _tell(panel, int(end), int(column), np.flatnonzero(last == end))


def _tell(panel: Panel, end: int, column: int, rows: Codes) -> Told:
    """Tell one period to the series of territories that end at another: by the others, or as the last value without any."""
    others = _describe_others(panel, end, column, rows)
    holds = np.isfinite(others.after) & np.isfinite(panel.values[:, end])
    folds = others.blocks % FOLDS
    tested = [holds & (folds == fold) for fold in np.unique(folds[holds])]
    if len(tested) < 2:
        last, pair = others.bases[0][rows], _errors_before(panel.values[:, : end + 1], column - end)
        return Told(rows, column, last, np.ones(1), pair)
    told = [(_tell_all(others, holds & ~test)[test], others.after[test]) for test in tested]
    weights = learn_weights([(members[:, None, :], came[:, None]) for members, came in told], len(others.bases))
    values = _tell_all(others, holds)[rows] @ weights
    judged = np.concatenate([members @ weights for members, _ in told]), np.concatenate([came for _, came in told])
    return Told(rows, column, values, weights, judged)


def _errors_before(values: Numbers, ahead: int) -> tuple[Numbers, Numbers]:
    """Pair each value with the one so many periods later: what the last value would have told."""
    before, after = values[:, :-ahead], values[:, ahead:]
    both = np.isfinite(before) & np.isfinite(after)
    return before[both], after[both]


@dataclass(frozen=True)
class _Others:
    """What was known of all series when some ended, and what came after, where it is known."""

    after: Numbers
    bases: Sequence[Numbers]
    level: Numbers
    features: Numbers
    blocks: Codes
    widening: Sequence[Codes]


def _describe_others(panel: Panel, end: int, column: int, rows: Codes) -> _Others:
    """Describe every series by its past; by the regressors of the period itself where those who lack it have them."""
    ahead, after = column - end, panel.values[:, column]
    known = panel.until(end + 1)
    extra = {
        name: numbers[:, ahead : column + 1] if np.isfinite(numbers[rows, column]).mean() > 1 / 2 else numbers[:, : end + 1]
        for name, numbers in panel.regressors.items()
    }
    past = Past(replace(known, regressors=extra))
    naive = (last_value, seasonal_naive, year_mean) if past.season > 1 else (last_value,)
    bases = [member(past, ahead)[:, -1] for member in naive]
    years, _ = to_years(past)
    whole = years.values.shape[1] > 0
    features = describe(years) if whole else np.log1p(past.last)[:, None]
    level = years.values[:, -1] if whole else past.last
    return _Others(after, bases, level, features, _block(panel, after), past.widening)


def _block(panel: Panel, after: Numbers) -> Codes:
    """Put territories into blocks of like volume: the widest groups of which two have the period, the largest first."""
    held = np.isfinite(after)
    codes = next((codes for codes in panel.territories[::-1] if len(np.unique(codes[held])) > 1), panel.territories[0])
    volume = add_up(np.where(held, after, 0.0), codes)
    block, load = np.empty(len(volume), dtype=np.intp), np.zeros(BLOCKS)
    for group in np.argsort(-volume, kind="stable"):
        block[group] = int(load.argmin())
        load[block[group]] += max(volume[group], TINY)
    return block[codes]


def _tell_all(others: _Others, known: Flags) -> Numbers:
    """Tell every series from those ``known``. Series × members: naive, with the change of the occupation, beside the others."""
    changed = [base * _change(others, base, known) for base in others.bases]
    change = _change(others, others.level, known)
    beside = others.level * change
    taught = known & (beside > 0) & (others.level >= typical(others.level) / UNITS * LEAST)
    if taught.any():
        features = np.column_stack([others.features, np.log(np.maximum(change, 1 / FASTEST))])
        ratios = np.clip(others.after[taught] / beside[taught], 0, FASTEST) - 1
        growth = fit_median(features[taught], ratios, beside[taught] / beside[taught].sum())
        beside = beside * growth.factors(features)
    return np.column_stack([*others.bases, *changed, beside])


def _change(others: _Others, base: Numbers, known: Flags) -> Numbers:
    """Give each series the change of its occupation where it is known, outside its own block, drawn to that of all."""
    found = np.ones(len(base))
    for block in np.unique(others.blocks):
        inside = others.blocks == block
        used = known & ~inside
        seen, expected = np.where(used, others.after, 0.0), np.where(used, base, 0.0)
        factor = np.full(len(base), seen.sum() / max(float(expected.sum()), TINY) if expected.any() else 1.0)
        noise = _noise(seen, expected * factor, others.widening[-1])
        for codes in others.widening:
            factor = factor * shrunk(seen, expected * factor, noise, codes)
        found[inside] = factor[inside]
    return found


def _noise(seen: Numbers, expected: Numbers, codes: Codes) -> float:
    """Say how many times more than Poisson counts series vary within their occupation: Σ(y − e)² ÷ Σe × n ÷ (n − groups)."""
    own = (add_up(seen, codes) / np.maximum(add_up(expected, codes), TINY))[codes]
    count, groups = int((expected > 0).sum()), int((add_up(expected, codes) > 0).sum())
    square = float(((seen - expected * own) ** 2).sum()) * count / max(count - groups, 1)
    return square / max(float(seen.sum()), TINY)
