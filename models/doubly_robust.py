"""What a course changes for those who enter it, set against people like them who did not: doubly robust, and cross-fitted.

For a group g of those who entered, with Y what became of a person, μ₀(x) what becomes of people like them who did not enter,
and o(x) the odds that such a person enters rather than not,

    effect on g = mean over g of (Y − μ₀) − mean over the others of (Y − μ₀), weighted by o(x) × P(g | x, entered)

It is right where μ₀ or the odds are. μ₀ and o of a person come from a model that was learned without that person (folds, by
person), and everything is done again over several splits: what is told is the median (Chernozhukov and others 2018,
"Double/debiased machine learning", Econometrics Journal 21-1). Whoever has odds that nobody else shares is left out, and the
share that stays is told: ``overlap``. Effects on everybody (:meth:`Crossfit.everybody`) ask for μ₁ too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge

from features.draws import even_draws
from features.params import Section, param
from models.metrics import standardised_gap

Numbers = NDArray[np.float64]
Held = NDArray[np.float32]
Flags = NDArray[np.bool_]
Whole = NDArray[np.int64]
_TINY = 1e-12


class ComparisonParams(Section):
    """How those who entered are compared with those who did not."""

    splits: int = param(3, "times that people are split anew; what is told is the median", unit="splits", ge=1, le=100)
    folds: int = param(3, "parts of a split: what is said of one is learned from the others", unit="parts", ge=2, le=20)
    highest_propensity: float = param(
        0.9, "people who enter more surely than this have nobody to be compared with", unit="share", ge=0.5, le=0.999
    )
    outcome_penalty: float = param(10.0, "penalty of the model of outcomes (ridge)", unit="squared errors", ge=0, le=1e6)
    entry_penalty: float = param(10.0, "penalty of the model of who enters (ridge)", unit="log-likelihood", ge=1e-6, le=1e6)
    tilt_penalty: float = param(
        30.0,
        "penalty of what sets those of one course apart from all who enter (ridge)",
        unit="log-likelihood",
        ge=1e-6,
        le=1e6,
    )


@dataclass(frozen=True)
class Sample:
    """Who is compared. One row per person and start; one column of ``outcomes`` per thing asked (missing: not known).

    ``design`` holds what may explain both, ``person`` a number for each person, and ``weight`` what each outcome counts.
    """

    design: Numbers
    treated: Flags
    person: Whole
    outcomes: Numbers
    weight: Numbers

    @classmethod
    def of(cls, design: Numbers, treated: Flags, outcomes: Numbers, person: Whole | None = None) -> Sample:
        """Make a sample in which every known outcome counts one; without ``person`` every row is another one."""
        asked = outcomes if outcomes.ndim > 1 else outcomes[:, None]
        who = np.arange(len(design)) if person is None else person
        return cls(design, treated, who, asked.astype("float64"), np.ones_like(asked, dtype="float64"))

    @cached_property
    def spread(self) -> Numbers:
        """How far people differ, trait by trait: a standard deviation each."""
        return np.asarray(self.design.std(axis=0), dtype="float64")

    @cached_property
    def counted(self) -> Numbers:
        """What each outcome counts: nothing where it is not known."""
        return np.where(np.isnan(self.outcomes), 0.0, self.weight)


@dataclass(frozen=True)
class Told:
    """Effects, one row per group and one column per thing asked.

    ``n`` counts those who entered, ``n_effective`` what the weighted others are worth; ``spread`` is the standard deviation of
    what is left of their outcomes, ``overlap`` the share of those who entered that somebody can be compared with, ``reached``
    the outcome of those who entered, whatever it would have been; ``asked`` counts them, comparable or not.
    """

    value: Numbers
    error: Numbers
    n: Numbers
    n_effective: Numbers
    spread: Numbers
    overlap: Numbers
    reached: Numbers
    asked: Numbers


@dataclass(frozen=True)
class Split:
    """One way to split people: what each had to expect untrained and trained, and the odds to enter."""

    base: Held
    top: Held
    odds: Numbers


@dataclass(frozen=True)
class _Ready:
    """What every cell of a split is set against: the ``others`` of comparable odds, what is ``left`` of their outcomes, and the
    ``weight`` of each for all who entered; ``alike`` marks whoever somebody can be compared with.
    """

    alike: Flags
    others: Whole
    left: Numbers
    weight: Numbers

    @classmethod
    def of(cls, sample: Sample, split: Split, limit: float) -> _Ready:
        """Lay out one split."""
        alike = split.odds <= limit
        others = np.flatnonzero(~sample.treated & alike)
        left, counted = cls.of_rows(sample, split, others)
        return cls(alike, others, left, counted * split.odds[others, None])

    @staticmethod
    def of_rows(sample: Sample, split: Split, rows: Whole) -> tuple[Numbers, Numbers]:
        """Give what is left of the outcomes of some rows, and what each counts: nothing where nothing was to be expected."""
        expected = split.base[rows]
        return np.nan_to_num(sample.outcomes[rows] - expected), np.where(np.isnan(expected), 0.0, sample.counted[rows])


@dataclass(frozen=True)
class Crossfit:
    """A sample beside what was learned of it, split by split."""

    sample: Sample
    splits: tuple[Split, ...]
    params: ComparisonParams

    def entrants(self, cell: Flags, marks: Flags, tilt: Numbers | None = None) -> Told:
        """Tell the effect on those of a cell who entered, by group: ``marks`` has a column per group.

        ``cell`` marks rows among the treated, ``tilt`` says how much more often people like each row enter that cell.
        """
        parts = [
            self._entrants_of(split, ready, cell, marks, tilt) for split, ready in zip(self.splits, self._ready, strict=True)
        ]
        return _median(parts)

    def everybody(self) -> Told:
        """Tell the effect on all people of the sample, those who entered and those who did not. One row."""
        return _median([self._everybody_of(split) for split in self.splits])

    @cached_property
    def _ready(self) -> list[_Ready]:
        """Lay out what every cell is set against, once for each split."""
        limit = self.params.highest_propensity / (1 - self.params.highest_propensity)
        return [_Ready.of(self.sample, split, limit) for split in self.splits]

    def imbalance(self, cell: Flags, tilt: Numbers | None = None) -> float:
        """Say how far traits of a cell still lie from those of the weighted others: the mean gap, in standard deviations."""
        sample, limit = self.sample, self.params.highest_propensity / (1 - self.params.highest_propensity)
        odds = np.median([split.odds for split in self.splits], axis=0)
        alike = odds <= limit
        weight = odds * (1.0 if tilt is None else tilt) * (~sample.treated & alike)
        inside = sample.design[cell & sample.treated & alike]
        if not len(inside) or weight.sum() <= 0:
            return float("nan")
        return standardised_gap(inside.mean(axis=0), weight @ sample.design / weight.sum(), sample.spread)

    def _entrants_of(self, split: Split, ready: _Ready, cell: Flags, marks: Flags, tilt: Numbers | None) -> Told:
        sample, entrants = self.sample, np.flatnonzero(cell & self.sample.treated)
        inside = entrants[ready.alike[entrants]]
        left, counted = ready.of_rows(sample, split, inside)
        weight = ready.weight if tilt is None else ready.weight * tilt[ready.others, None]
        entered, stayed = _moments(marks[inside], left, counted), _moments(marks[ready.others], ready.left, weight)
        n = marks[inside].T.astype("float64") @ (counted > 0)
        asked = marks[entrants].T.astype("float64") @ (sample.counted[entrants] > 0)
        return Told(
            value=entered.mean - stayed.mean,
            error=np.sqrt(entered.variance + stayed.variance),
            n=n,
            n_effective=stayed.people,
            spread=stayed.spread,
            overlap=_share(n, asked),
            reached=_moments(marks[inside], np.nan_to_num(sample.outcomes[inside]), counted).mean,
            asked=asked,
        )

    def _everybody_of(self, split: Split) -> Told:
        sample, cap = self.sample, self.params.highest_propensity
        chance = split.odds / (1 + split.odds)
        kept = (chance <= cap) & (chance >= 1 - cap)
        weight = sample.counted * kept[:, None]
        told, shift = _weighted(np.asarray(split.top - split.base, dtype="float64"), weight)
        sides = [
            _weighted(sample.outcomes - expected, weight * (side / np.maximum(chance_of, _TINY))[:, None])
            for side, expected, chance_of in ((sample.treated, split.top, chance), (~sample.treated, split.base, 1 - chance))
        ]
        value = (told + sides[0][0] - sides[1][0])[None, :]
        error = np.sqrt(((shift + sides[0][1] - sides[1][1]) ** 2).sum(axis=0))[None, :]
        n = (weight > 0).sum(axis=0).astype("float64")[None, :]
        spread, reached = (
            _moments(np.ones((int(of.sum()), 1), dtype=bool), np.nan_to_num(values[of]), sample.counted[of])
            for of, values in ((~sample.treated, sample.outcomes - split.base), (sample.treated, sample.outcomes))
        )
        asked = (sample.counted > 0).sum(axis=0).astype("float64")[None, :]
        return Told(value, error, n, n, spread.spread, _share(n, asked), reached.mean, asked)


def _weighted(values: Numbers, weight: Numbers) -> tuple[Numbers, Numbers]:
    """Give weighted means by column, and how far each row moves them; missing values weigh nothing by their weight."""
    known = np.nan_to_num(values)
    whole = weight.sum(axis=0)
    mean = _share((weight * known).sum(axis=0), whole)
    return mean, _share(weight, whole) * (known - mean)


@dataclass(frozen=True)
class _Moments:
    """Weighted means by group and outcome, with their variance, the people they are worth, and the spread around them."""

    mean: Numbers
    variance: Numbers
    people: Numbers
    spread: Numbers


def _moments(marks: Flags, values: Numbers, weight: Numbers) -> _Moments:
    groups = marks.T.astype("float64")
    whole, squares = groups @ weight, groups @ weight**2
    mean = _share(groups @ (weight * values), whole)
    around = groups @ (weight**2 * values**2) - 2 * mean * (groups @ (weight**2 * values)) + mean**2 * squares
    spread = _share(groups @ (weight * values**2), whole) - mean**2
    return _Moments(
        mean,
        _share(np.maximum(around, 0.0), whole**2),
        np.nan_to_num(_share(whole**2, squares)),
        np.sqrt(np.maximum(spread, 0.0)),
    )


def _share(part: Numbers, whole: Numbers) -> Numbers:
    nothing = np.full(np.broadcast_shapes(np.shape(part), np.shape(whole)), np.nan)
    return np.asarray(np.divide(part, whole, out=nothing, where=whole > 0))


def _median(parts: list[Told]) -> Told:
    """Take medians over splits; how far the splits differ adds to the error. Missing where one split says nothing."""
    stacked = {name: np.stack([getattr(part, name) for part in parts]) for name in vars(parts[0])}
    told = {name: np.median(values, axis=0) for name, values in stacked.items()}
    apart = stacked["error"] ** 2 + (stacked["value"] - told["value"]) ** 2
    return Told(**(told | {"error": np.sqrt(np.median(apart, axis=0))}))


# Learning ---------------------------------------------------------------------------------------------------------------


def crossfit(sample: Sample, params: ComparisonParams, *, both: bool = False) -> Crossfit:
    """Learn what would have become of everybody, and who enters, each from other people; ``both`` learns μ₁ too."""
    splits = [_learn(sample, number, params, both=both) for number in range(params.splits)]
    return Crossfit(sample, tuple(splits), params)


def _learn(sample: Sample, number: int, params: ComparisonParams, *, both: bool) -> Split:
    fold = folds_of(sample.person, number, params.folds)
    # To seven digits: they are held for every split at once.
    base, top = (np.full(sample.outcomes.shape, np.nan, dtype="float32") for _ in range(2))
    odds = np.zeros(len(fold))
    for part in range(params.folds):
        here, there = fold == part, fold != part
        base[here] = _foretell(sample, there & ~sample.treated, here, params)
        if both:
            top[here] = _foretell(sample, there & sample.treated, here, params)
        odds[here] = _odds(sample, there, here, params)
    return Split(base, top, odds)


def folds_of(person: Whole, number: int, folds: int) -> Whole:
    """Give each person a part of a split: all rows of a person fall in the same, in any order of rows."""
    drawn = even_draws(pd.DataFrame({"person": person, "split": number}))
    return (drawn * folds).astype(np.int64)


def _foretell(sample: Sample, known: Flags, asked: Flags, params: ComparisonParams) -> Numbers:
    """Learn outcomes from some rows and foretell those of others. One row per row asked; the mean where little is known."""
    counted, told = sample.counted[known], np.full((int(asked.sum()), sample.outcomes.shape[1]), np.nan)
    outcomes, given, wanted = sample.outcomes[known], sample.design[known], sample.design[asked]
    for columns in _alike(counted):
        rows = counted[:, columns[0]] > 0
        if rows.any() and len(wanted):
            weight = counted[rows, columns[0]]
            model = Ridge(alpha=params.outcome_penalty)
            model.fit(given[rows], outcomes[rows][:, columns], sample_weight=weight / weight.mean())
            told[:, columns] = model.predict(wanted).reshape(len(wanted), -1)
    return told


def _alike(counted: Numbers) -> list[list[int]]:
    """Gather the outcomes that count alike on every row: they are learned at once."""
    gathered: dict[bytes, list[int]] = {}
    for column in range(counted.shape[1]):
        gathered.setdefault(np.ascontiguousarray(counted[:, column]).tobytes(), []).append(column)
    return list(gathered.values())


def _odds(sample: Sample, known: Flags, asked: Flags, params: ComparisonParams) -> Numbers:
    """Learn who enters from some rows, and give the odds of others; the same for all where only one arm is known."""
    treated = sample.treated[known]
    if treated.all() or not treated.any():
        return np.ones(int(asked.sum()))
    return learn_odds(sample.design[known], treated, params.entry_penalty)(sample.design[asked])


def learn_odds(design: Numbers, chosen: Flags, penalty: float) -> Callable[[Numbers], Numbers]:
    """Learn the odds to be chosen. Gives the function from a design to odds."""
    model = LogisticRegression(C=1 / penalty, solver="newton-cholesky", max_iter=50)
    model.fit(design, chosen)
    return lambda rows: np.exp(np.clip(model.decision_function(rows), -30.0, 30.0)) if len(rows) else np.zeros(0)
