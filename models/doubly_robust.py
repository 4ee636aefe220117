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
from models.cores import at_once
from models.metrics import standardised_gap

Numbers = NDArray[np.float64]
Held = NDArray[np.float32]
Flags = NDArray[np.bool_]
Whole = NDArray[np.int64]
Tilt = Callable[[Whole], Numbers]  # rows → a number for each, one column per cell
_TINY = 1e-12
_AT_ONCE = 16_384  # rows that are added up at a time
_TRAITS = 16  # looked at together, which takes as much memory again


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
        parts = [self.design[:, at : at + _TRAITS].std(axis=0) for at in range(0, self.design.shape[1], _TRAITS)]
        return np.concatenate([np.zeros(0), *parts])

    @cached_property
    def counted(self) -> Numbers:
        """What each outcome counts: nothing where it is not known."""
        return np.where(np.isnan(self.outcomes), 0.0, self.weight)


@dataclass(frozen=True)
class Told:
    """Effects, in arrays whose last axis has a place per thing asked.

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
class Crossfit:
    """A sample beside what was learned of it, split by split."""

    sample: Sample
    splits: tuple[Split, ...]
    params: ComparisonParams

    def entrants(self, cells: Flags, marks: Flags, tilt: Tilt | None = None) -> Told:
        """Tell the effect on those who entered each cell, by group: arrays of cells × groups × things asked.

        ``cells`` and ``marks`` have a column per cell and per group; of a cell, those who entered count. ``tilt`` says how much
        more often people like some rows enter each cell; without, they enter all alike.
        """
        inside, others = np.flatnonzero(cells.any(axis=1) & self.sample.treated), np.flatnonzero(~self.sample.treated)
        entered = self._moments(inside, marks, _members(cells))
        stayed = self._moments(others, marks, tilt or _plain(cells))
        reached, n, asked = self._counts(inside, marks, _members(cells))
        told = [
            Told(
                value=entered.mean[split] - stayed.mean[split],
                error=np.sqrt(entered.variance[split] + stayed.variance[split]),
                n=n[split],
                n_effective=stayed.people[split],
                spread=stayed.spread[split],
                overlap=_share(n[split], asked),
                reached=reached[split],
                asked=asked,
            )
            for split in range(len(self.splits))
        ]
        return _median(told)

    def all_entrants(self) -> Told:
        """Tell the effect on all who entered, in one row."""
        every = np.ones((len(self.sample.treated), 1), dtype=bool)
        told = self.entrants(every, every)
        return Told(**{name: values[0] for name, values in vars(told).items()})

    def everybody(self) -> Told:
        """Tell the effect on all people of the sample, those who entered and those who did not. One row."""
        return _median([self._everybody_of(split) for split in self.splits])

    def imbalance(self, cells: Flags, tilt: Tilt | None = None) -> Numbers:
        """Say how far traits of each cell still lie from those of the weighted others: the mean gap, in standard deviations."""
        sample, every = self.sample, np.ones((len(cells), 1), dtype=bool)
        odds = np.median([split.odds for split in self.splits], axis=0)
        alike = odds <= self._limit
        inside, others = np.flatnonzero(sample.treated & alike), np.flatnonzero(~sample.treated & alike)

        def traits(rows: Whole) -> Numbers:
            return np.hstack([sample.design[rows], np.ones((len(rows), 1))])

        entered = _add_up(inside, every, _members(cells), traits)
        stayed = _add_up(others, every, tilt or _plain(cells), lambda rows: odds[rows, None] * traits(rows))
        ours, theirs = (_share(of[:, 0, :-1], of[:, 0, -1:]) for of in (entered, stayed))
        return np.array([standardised_gap(*both, sample.spread) for both in zip(ours, theirs, strict=True)])

    @property
    def _limit(self) -> float:
        """The odds above which nobody is compared."""
        return self.params.highest_propensity / (1 - self.params.highest_propensity)

    def _left(self, split: Split, rows: Whole) -> tuple[Numbers, Numbers]:
        """Give what is left of the outcomes of some rows, and what each counts: nothing where nothing was to be expected."""
        expected = split.base[rows]
        known = ~np.isnan(expected) & (split.odds[rows, None] <= self._limit)
        return np.nan_to_num(self.sample.outcomes[rows] - expected), np.where(known, self.sample.counted[rows], 0.0)

    def _moments(self, rows: Whole, marks: Flags, share: Tilt) -> _Moments:
        """Sum up what is left of some rows, each for its ``share`` of a cell; who did not enter counts for the odds to.

        Arrays of splits × cells × groups × things asked.
        """

        def weighed(some: Whole, power: int) -> Numbers:
            told = []
            for split in self.splits:
                left, counted = self._left(split, some)
                weight = (counted * np.where(self.sample.treated[some], 1.0, split.odds[some])[:, None]) ** power
                told += [weight, weight * left, weight * left**2]
            return np.hstack(told)

        def summed(power: int) -> Numbers:
            return _add_up(rows, marks, lambda some: share(some) ** power, lambda some: weighed(some, power))

        sums = [summed(power) for power in (1, 2)]
        shape = (*sums[0].shape[:2], len(self.splits), 3, self.sample.outcomes.shape[1])
        return _Moments.of(*(of.reshape(shape).transpose(3, 2, 0, 1, 4) for of in sums))

    def _counts(self, rows: Whole, marks: Flags, share: Tilt) -> tuple[Numbers, Numbers, Numbers]:
        """Tell the mean outcome of some rows and how many are compared, split by split; then how many are known at all."""

        def counted(some: Whole) -> Numbers:
            outcomes, told = np.nan_to_num(self.sample.outcomes[some]), []
            for split in self.splits:
                weight = self._left(split, some)[1]
                told += [weight, weight * outcomes, weight > 0]
            return np.hstack([*told, self.sample.counted[some] > 0])

        sums = _add_up(rows, marks, share, counted)
        parts = sums.reshape(*sums.shape[:2], -1, self.sample.outcomes.shape[1]).transpose(2, 0, 1, 3)
        return _share(parts[1:-1:3], parts[0:-1:3]), parts[2:-1:3], parts[-1]

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
        left = _weighted_spread(sample.outcomes - split.base, sample.counted * ~sample.treated[:, None])
        reached, _ = _weighted(sample.outcomes, sample.counted * sample.treated[:, None])
        asked = (sample.counted > 0).sum(axis=0).astype("float64")[None, :]
        return Told(value, error, n, n, left[None, :], _share(n, asked), reached[None, :], asked)


def _members(cells: Flags) -> Tilt:
    """Let each row count in the cells it belongs to."""
    return lambda rows: cells[rows].astype("float64")


def _plain(cells: Flags) -> Tilt:
    """Let everybody enter each cell alike."""
    return lambda rows: np.ones((len(rows), cells.shape[1]))


def _add_up(rows: Whole, marks: Flags, share: Tilt, values: Callable[[Whole], Numbers]) -> Numbers:
    """Add up the values of rows, each for its share of each cell: arrays of cells × groups × columns. Some rows at a time."""
    parts = np.array_split(rows, len(rows) // _AT_ONCE + 1)
    return np.asarray(np.sum(at_once(lambda some: _add_up_some(marks[some], share(some), values(some)), parts), axis=0))


def _add_up_some(marks: Flags, share: Numbers, values: Numbers) -> Numbers:
    return np.stack([share[of].T @ values[of] for of in marks.T], axis=1)


def _weighted(values: Numbers, weight: Numbers) -> tuple[Numbers, Numbers]:
    """Give weighted means by column, and how far each row moves them; missing values weigh nothing by their weight."""
    known = np.nan_to_num(values)
    whole = weight.sum(axis=0)
    mean = _share((weight * known).sum(axis=0), whole)
    return mean, _share(weight, whole) * (known - mean)


def _weighted_spread(values: Numbers, weight: Numbers) -> Numbers:
    """Give weighted standard deviations by column."""
    mean, _ = _weighted(values, weight)
    return np.sqrt(_weighted((values - mean) ** 2, weight)[0])


@dataclass(frozen=True)
class _Moments:
    """Weighted means, with their variance, the people they are worth, and the spread around them."""

    mean: Numbers
    variance: Numbers
    people: Numbers
    spread: Numbers

    @classmethod
    def of(cls, once: Numbers, twice: Numbers) -> _Moments:
        """Read sums of weights, of weights × values, of weights × values²; ``twice`` those with weights squared."""
        (whole, first, second), (squares, first_twice, second_twice) = once, twice
        mean = _share(first, whole)
        around = second_twice - 2 * mean * first_twice + mean**2 * squares
        return cls(
            mean,
            _share(np.maximum(around, 0.0), whole**2),
            np.nan_to_num(_share(whole**2, squares)),
            np.sqrt(np.maximum(_share(second, whole) - mean**2, 0.0)),
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
    parts = [(number, part) for number in range(params.splits) for part in range(params.folds)]
    folds = [folds_of(sample.person, number, params.folds) for number in range(params.splits)]
    splits = [_unlearned(sample) for _ in folds]

    def learn(number: int, part: int) -> None:
        _learn(splits[number], sample, folds[number] == part, params, both=both)

    at_once(lambda of: learn(*of), parts)
    return Crossfit(sample, tuple(splits), params)


def _unlearned(sample: Sample) -> Split:
    """Make room for what is learned of a split; outcomes to seven digits, since they are held for every split at once."""
    base, top = (np.full(sample.outcomes.shape, np.nan, dtype="float32") for _ in range(2))
    return Split(base, top, np.zeros(len(sample.person)))


def _learn(split: Split, sample: Sample, here: Flags, params: ComparisonParams, *, both: bool) -> None:
    """Fill in, for a fold of a split, what is learned from the other folds."""
    split.base[here] = _foretell(sample, ~here & ~sample.treated, here, params)
    if both:
        split.top[here] = _foretell(sample, ~here & sample.treated, here, params)
    split.odds[here] = _odds(sample, ~here, here, params)


def folds_of(person: Whole, number: int, folds: int) -> Whole:
    """Give each person a part of a split: all rows of a person fall in the same, in any order of rows."""
    drawn = even_draws(pd.DataFrame({"person": person, "split": number}))
    return (drawn * folds).astype(np.int64)


def _foretell(sample: Sample, known: Flags, asked: Flags, params: ComparisonParams) -> Numbers:
    """Learn outcomes from some rows and foretell those of others. One row per row asked; the mean where little is known."""
    told, wanted = np.full((int(asked.sum()), sample.outcomes.shape[1]), np.nan), sample.design[asked]
    for columns in _alike(sample.counted[known]):
        rows = np.flatnonzero(known & (sample.counted[:, columns[0]] > 0))
        if len(rows) and len(wanted):
            weight = sample.counted[rows, columns[0]]
            model = Ridge(alpha=params.outcome_penalty, copy_X=False)  # the rows taken out are a copy already
            model.fit(sample.design[rows], sample.outcomes[rows][:, columns], sample_weight=weight / weight.mean())
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


@dataclass(frozen=True)
class Odds:
    """The odds to be chosen, whose logarithm is linear in what people are described by."""

    coef: Numbers
    intercept: float

    def __call__(self, design: Numbers) -> Numbers:
        """Give the odds of some people."""
        return np.asarray(np.exp(np.clip(design @ self.coef + self.intercept, -30.0, 30.0)))


def learn_odds(design: Numbers, chosen: Flags, penalty: float) -> Odds:
    """Learn the odds to be chosen from who was."""
    model = LogisticRegression(C=1 / penalty, solver="newton-cholesky", max_iter=50).fit(design, chosen)
    return Odds(model.coef_[0], float(model.intercept_[0]))
