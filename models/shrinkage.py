"""Effects of small groups lean on those of wider ones, by as much as groups were seen to differ.

The true effects of the groups within a wider one are taken to follow a normal law around its effect m, of a variance τ² that
is learned from how far they differ beyond their errors (Paule and Mandel 1982). An effect y with the error e then becomes

    B · y + (1 − B) · m,    B = τ² ÷ (τ² + e²),    variance B · e² + (1 − B)² · (variance of m)

``borrowed`` is 1 − B: all of it where a group has no effect of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Whole = NDArray[np.int64]
_ROUNDS = 40
_WIDEST = 1.0  # a variance of effects in probability is below it


@dataclass(frozen=True)
class Estimates:
    """Effects with their errors: a row per group, a column per thing asked; missing: the group says nothing of its own."""

    value: Numbers
    error: Numbers
    borrowed: Numbers

    @classmethod
    def raw(cls, value: Numbers, error: Numbers) -> Estimates:
        """Take effects as they were estimated."""
        return cls(value, error, np.zeros_like(value))

    def at(self, rows: Whole, group: int | None = None) -> Estimates:
        """Give the rows at some positions; of arrays of cells × groups × columns, those of one group."""
        place = rows if group is None else (rows, group)
        return Estimates(self.value[place], self.error[place], self.borrowed[place])

    def plus(self, other: Estimates) -> Estimates:
        """Add effects that were estimated apart."""
        return Estimates(self.value + other.value, np.hypot(self.error, other.error), np.fmax(self.borrowed, other.borrowed))

    def minus(self, other: Estimates) -> Estimates:
        """Take one from the other: how far a group differs from the whole that it is part of, with the group's own error."""
        return Estimates(self.value - other.value, self.error, self.borrowed)


def lean(own: Estimates, wider: Estimates, parent: Whole) -> Estimates:
    """Let each row of ``own`` lean on that of ``wider`` beside it; rows with the same ``parent`` tell how far they differ."""
    variance = learn_variance(own.minus(wider), parent)
    known = np.isfinite(own.value) & np.isfinite(own.error)
    noise = np.where(known, own.error, np.inf) ** 2
    share = np.where(known, variance / np.maximum(variance + noise, 1e-300), 0.0)
    rests = np.where(np.isfinite(wider.value), 1.0 - share, 0.0)
    share = np.where(np.isfinite(wider.value), share, np.where(known, 1.0, np.nan))
    value = share * np.where(known, own.value, 0.0) + rests * np.nan_to_num(wider.value)
    spare = np.where(known, share**2 * np.where(known, own.error, 0.0) ** 2 + rests**2 * variance, variance)
    error = np.sqrt(spare + rests**2 * np.nan_to_num(wider.error) ** 2)
    return Estimates(value, error, rests)


def learn_variance(own: Estimates, parent: Whole) -> Numbers:
    """Learn the variance of true effects within their parents, per column: that which makes their squares what they are.

    Solves Σ (y − m)² ÷ (τ² + e²) = groups − parents, with m the mean of a parent's groups, each weighing 1 ÷ (τ² + e²).
    """
    known = np.isfinite(own.value) & np.isfinite(own.error) & (own.error > 0)
    value, noise = np.where(known, own.value, 0.0), np.where(known, own.error, 1.0) ** 2
    size = int(parent.max(initial=-1)) + 1
    # A group that is alone within its parent tells nothing of how groups differ.
    known &= (_by_parent(known.astype("float64"), parent, size) > 1)[parent]
    low, high = np.zeros(value.shape[1]), np.full(value.shape[1], _WIDEST)

    def excess(variance: Numbers) -> Numbers:
        weight = known / (variance + noise)
        whole, seen = _by_parent(weight, parent, size), _by_parent(weight * value, parent, size)
        mean = np.divide(seen, whole, out=np.zeros_like(seen), where=whole > 0)[parent]
        told = (_by_parent(known.astype("float64"), parent, size) > 0).sum(axis=0)
        return np.asarray((weight * (value - mean) ** 2).sum(axis=0) - (known.sum(axis=0) - told))

    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        above = excess(middle) > 0
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.where(excess(np.zeros_like(low)) > 0, (low + high) / 2, 0.0)


def _by_parent(values: Numbers, parent: Whole, size: int) -> Numbers:
    sums = np.zeros((size, values.shape[1]))
    np.add.at(sums, parent, values)
    return sums
