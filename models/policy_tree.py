"""A shallow tree in words that says which action adds most: exact, over all trees of the limits offered.

:func:`fit_tree` sees value − cost (:class:`Worth`), never the one without the other, and answers with a :class:`Tree` whose
leaves are rules. It tries every tree, not one question after the other: the people of each part that one, two or three limits
leave are added up at once, from running sums over the bins of the columns, and each part is used wherever it appears.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from features.params import Section, param
from features.vocabulary import InputError

Numbers = NDArray[np.float64]
Choice = NDArray[np.int64]
Mask = NDArray[np.bool_]
Answers = Callable[[float, bool], "Condition"]
EVERYONE = "everyone"  # the rule of a leaf without a condition
_EXACT = 52  # bits: sums of whole numbers below 2 to this power are exact, in whatever order they are taken
_PER_LEAF = 16  # grains in the unit sums are rounded to: each of at most eight leaves pays one, so the simplest of equals wins


class TreeParams(Section):
    """How simple a tree is to be, and how many people each of its rules tells of."""

    depth: int = param(
        3, "questions that the tree asks a person at most; 0: the same for everyone", unit="questions", ge=0, le=3
    )
    thresholds: int = param(8, "values at which the tree may cut a column, at most", unit="values", ge=1, le=16)
    smallest_leaf: int = param(100, "people that each leaf of a tree tells of at least", unit="people", ge=5, le=100_000)


@dataclass(frozen=True)
class Worth:
    """Value − cost, people × actions: all that a rule may learn from. NaN: the action may not be chosen for the person.

    ``net`` is unbiased and noisy, to choose for groups; ``expected`` is smooth, to choose for a person alone. ``second`` marks
    one half of the people, ``weight`` says how many a person stands for. The first action is no training.
    """

    actions: tuple[str, ...]
    net: Numbers
    expected: Numbers
    second: Mask
    weight: Numbers

    @property
    def judged(self) -> Mask:
        """Mark the people of whom it is known what they would do without training; the others teach nothing."""
        return np.isfinite(self.net[:, 0]) & (self.weight > 0)

    def of(self, rows: Mask) -> Worth:
        """Keep some people."""
        return Worth(self.actions, self.net[rows], self.expected[rows], self.second[rows], self.weight[rows])

    def allow(self, choice: Choice) -> Choice:
        """Give nothing to those for whom what was chosen may not be."""
        return np.where(np.isnan(self.net[np.arange(len(choice)), choice]), 0, choice)


def over_nothing(net: Numbers) -> Numbers:
    """Say what each action adds to no training; nothing where it may not be chosen, since nothing is given then."""
    added = net - net[:, :1]
    return np.where(np.isnan(added), 0.0, added)


@dataclass(frozen=True)
class Condition:
    """One answer of a person: a column is at most ``limit``, or above it. The limit of a flag is False, of a category its name.

    An unknown flag is no; an unknown number or category is above. ``unknown`` says that the tree has seen such people.
    """

    column: str
    limit: float | str | bool
    above: bool
    unknown: bool = False

    def met(self, covariates: pd.DataFrame) -> Mask:
        """Mark the people who answer so."""
        column = covariates[self.column]
        limit = _names(column).index(self.limit) if isinstance(self.limit, str) else float(self.limit)
        below = as_numbers(column) <= limit
        return ~below if self.above else below

    def __str__(self) -> str:
        """Say it in words.

        >>> print(Condition("age", 30.0, above=True, unknown=True), Condition("rsa", False, above=False), sep=" & ")
        age > 30 (or unknown) & not rsa
        """
        if isinstance(self.limit, bool):
            return self.column if self.above else f"not {self.column}"
        limit = self.limit if isinstance(self.limit, str) else f"{self.limit:g}"
        return f"{self.column} {'>' if self.above else '<='} {limit}{' (or unknown)' if self.above and self.unknown else ''}"


@dataclass(frozen=True)
class Leaf:
    """One rule: who meets all conditions gets the action. ``net`` is what it adds to no training, a mean over ``people``."""

    conditions: tuple[Condition, ...]
    action: int
    people: int
    net: float


@dataclass(frozen=True)
class Tree:
    """Rules of which every person meets exactly one."""

    actions: tuple[str, ...]
    leaves: tuple[Leaf, ...]

    def choose(self, covariates: pd.DataFrame) -> Choice:
        """Number the action of each person, whether it may be chosen for that person or not (:meth:`Worth.allow`)."""
        chosen = np.zeros(len(covariates), dtype=np.int64)
        for leaf in self.leaves:
            met = np.ones(len(covariates), dtype=bool)
            for condition in leaf.conditions:
                met &= condition.met(covariates)
            chosen[met] = leaf.action
        return chosen

    def tell(self) -> pd.DataFrame:
        """Say the tree in words. One row per leaf, from the left.

        ``net`` flatters: it is over the people the tree was made for. ``models.policy.judge_policies`` says what it is worth.
        """
        rows = [
            (" & ".join(map(str, leaf.conditions)) or EVERYONE, self.actions[leaf.action], leaf.people, leaf.net)
            for leaf in self.leaves
        ]
        return pd.DataFrame(rows, columns=["rule", "action", "people", "net"])


@dataclass(frozen=True)
class _Ground:
    """Where a tree is looked for: the bin of each person in each column, and what each action adds, in whole grains.

    ``sums`` is (1 + actions but nothing) × people: one for each person, then the grains. ``limits`` are those of the bins.
    """

    bins: NDArray[np.int64]
    limits: tuple[Numbers, ...]
    sums: Numbers
    weight: Numbers
    grain: float
    smallest: int

    def of(self, rows: Mask) -> _Ground:
        """Keep some people."""
        return replace(self, bins=self.bins[:, rows], sums=self.sums[:, rows], weight=self.weight[rows])


def fit_tree(worth: Worth, covariates: pd.DataFrame, params: TreeParams) -> Tree:
    """Find the tree that adds most, over all trees of the limits offered whose leaves are large enough.

    No tree is better on these people. Of equal ones the tree of fewest leaves is taken, then the first column, lowest limit and
    first action; the order of people changes nothing. Of fewer people than a leaf holds nothing is learned: none trains.
    """
    asked, judged = _read_columns(covariates), worth.judged
    offered = {name: _limits(numbers[judged], params.thresholds) for name, numbers in asked.items()}
    limits = {name: values for name, values in offered.items() if len(values)}
    bins = [np.searchsorted(values, asked[name][judged]) for name, values in limits.items()]  # what is unknown is sorted last
    weight = worth.weight[judged]
    grains, grain = _in_grains(over_nothing(worth.net[judged])[:, 1:].T * weight)
    ground = _Ground(
        bins=np.array(bins, dtype=np.int64).reshape(len(limits), len(weight)),
        limits=tuple(limits.values()),
        sums=np.vstack([np.ones(len(weight)), grains]),
        weight=weight,
        grain=grain,
        smallest=params.smallest_leaf,
    )
    answers = [_answers_to(name, covariates[name], bool(np.isnan(asked[name][judged]).any())) for name in limits]
    return Tree(worth.actions, tuple(_grow(ground, answers, params.depth, ())))


def _read_columns(covariates: pd.DataFrame) -> dict[str, Numbers]:
    """Read each column as numbers, if all can be cut."""
    wrong = [
        f"{name} ({column.dtype})"
        for name, column in covariates.items()
        if not (column.cat.ordered if isinstance(column.dtype, pd.CategoricalDtype) else is_numeric_dtype(column))
    ]
    if wrong:
        raise InputError(
            f"covariates: {', '.join(wrong)} cannot be cut at a limit. Give numbers, flags or ordered categories, "
            "and one flag for each value that has no order."
        )
    return {str(name): as_numbers(column) for name, column in covariates.items()}


def as_numbers(column: pd.Series) -> Numbers:
    """Read a column as numbers in its order; an unknown flag is no, any other unknown is NaN."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes = column.cat.codes.to_numpy(dtype="float64")
        return np.where(codes < 0, np.nan, codes)
    return np.asarray(column.to_numpy(dtype="float64", na_value=0.0 if is_bool_dtype(column) else np.nan))


def _names(column: pd.Series) -> list[str]:
    return [str(category) for category in column.cat.categories]


def _limits(numbers: Numbers, most: int) -> Numbers:
    """Offer limits: each value but the last one where they are few, quantiles that are values where they are many."""
    known = numbers[~np.isnan(numbers)]
    values = np.unique(known)
    if len(values) <= most + 1:
        return values[:-1]
    cuts = np.unique(np.quantile(known, np.arange(1, most + 1) / (most + 1), method="inverted_cdf"))
    return np.asarray(cuts[cuts < values[-1]])


def _in_grains(added: Numbers) -> tuple[Numbers, float]:
    """Round to whole grains, so fine that all sums stay exact: the same whatever the order of people; then their size."""
    most = float(np.abs(added).max(initial=0.0)) * _PER_LEAF * max(added.shape[1], 1)
    per_unit = 2.0 ** (_EXACT - math.ceil(math.log2(most))) if most else 1.0
    return np.rint(added * per_unit) * _PER_LEAF, 1 / (per_unit * _PER_LEAF)


def _answers_to(name: str, column: pd.Series, unknown: bool) -> Answers:
    """Say how the two answers to a question about a column are put, at a limit that is a number."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return lambda limit, above: Condition(name, _names(column)[int(limit)], above, unknown)
    if is_bool_dtype(column):
        return lambda _, above: Condition(name, False, above)
    return lambda limit, above: Condition(name, limit, above, unknown)


def _grow(ground: _Ground, answers: list[Answers], depth: int, met: tuple[Condition, ...]) -> list[Leaf]:
    """List the leaves of the best tree of the people who meet some conditions."""
    split = _best_split(ground, depth)
    if split is None:
        return [_as_leaf(ground, met)]
    column, limit = split
    below = ground.bins[column] <= limit
    leaves = []
    for above, side in ((False, below), (True, ~below)):
        answer = answers[column](float(ground.limits[column][limit]), above)
        # A later answer on the same side of the same column is the narrower one.
        kept = tuple(each for each in met if (each.column, each.above) != (answer.column, above))
        leaves += _grow(ground.of(side), answers, depth - 1, (*kept, answer))
    return leaves


def _as_leaf(ground: _Ground, met: tuple[Condition, ...]) -> Leaf:
    people = ground.sums.shape[1]
    if people < ground.smallest:
        return Leaf(met, 0, 0, float("nan"))
    added = [0.0, *ground.sums[1:].sum(axis=1).tolist()]
    best = max(added)
    return Leaf(met, added.index(best), people, best * ground.grain / math.fsum(ground.weight))


def _best_split(ground: _Ground, depth: int) -> tuple[int, int] | None:
    """Find the first question of the best tree, column and number of the limit; None where one leaf is as good.

    ``most(cut)`` is what the best tree of the questions left is worth in each part that limits of the columns in ``cut`` leave:
    two axes for each column, the side (below, above) and the limit. A part is the same whichever column cut it first, so it
    is worked out once.
    """
    columns = range(len(ground.limits))

    @cache
    def most(cut: tuple[int, ...]) -> Numbers:
        worth = _worth_of_leaves(ground, cut)
        for column in columns if len(cut) < depth else ():
            worth = np.maximum(worth, turned((*cut, column)).sum(axis=-2).max(axis=-1))
        return worth

    def turned(cut: tuple[int, ...]) -> Numbers:
        order = sorted(range(len(cut)), key=cut.__getitem__)
        axes = [2 * order.index(place) + half for place in range(len(cut)) for half in (0, 1)]
        return most(tuple(cut[place] for place in order)).transpose(axes)

    if depth == 0 or not columns:
        return None
    split = [most((column,)).sum(axis=0) for column in columns]
    best = max(columns, key=lambda column: float(split[column].max()))
    return (best, int(split[best].argmax())) if split[best].max() > _worth_of_leaves(ground, ()) else None


def _worth_of_leaves(ground: _Ground, cut: tuple[int, ...]) -> Numbers:
    """Say what each part is worth as one leaf with its best action, less a grain; −∞ of too few people."""
    shape = [len(ground.limits[column]) + 1 for column in cut]
    place = np.zeros(ground.bins.shape[1], dtype=np.int64)
    for column, size in zip(cut, shape, strict=True):
        place = place * size + ground.bins[column]
    sums = np.array([np.bincount(place, each, math.prod(shape)) for each in ground.sums]).reshape(-1, *shape)
    for axis in range(len(cut)):
        sums = _both_sides(sums, 1 + 2 * axis)
    best = sums[1:].max(axis=0, initial=0.0)
    return np.where(sums[0] >= ground.smallest, best - 1, -np.inf)


def _both_sides(sums: Numbers, axis: int) -> Numbers:
    """Make two axes of the bins of a column: below or above, and the limit."""
    upto = np.moveaxis(np.cumsum(sums, axis=axis), axis, -1)
    below = upto[..., :-1]
    return np.moveaxis(np.stack([below, upto[..., -1:] - below]), [0, -1], [axis, axis + 1])
