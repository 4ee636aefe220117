"""What may come instead of a forecast: a distribution whose width is learned from errors made in the past."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from scipy.optimize import brentq, nnls
from scipy.special import betainc, gammainc, gammaincinv

from models.members import TINY
from models.panel import Numbers

EXACT = 400  # counts up to here are looked up one by one, those above on a grid
FAR = 800  # points of that grid
LEAST = 1e-9  # a mean is taken for at least this
UNTOLD = 2.0  # variance ÷ mean of counts before any error was made
CLASSES = 4  # of the mean, of equal shares of √mean, that are scaled apart
CLASS = 2_000  # values that a class holds at least
BINS = 25  # of the mean, of equal shares of √mean, in which squared errors are averaged
HALVINGS = 35  # of the bracket of a mean: a ten-billionth of it
CENTRE = 0.8  # what an interval is to hold
WIDEST = 1e4  # times the variance first fitted, or so many times less
STEP = 0.5  # of the logarithm of the scale
LATEST = 0.5  # weight of the latest year beside the median one


@dataclass(frozen=True)
class Spread:
    """Variance (φμ + ψμ²) × scale. Negative binomial on multiples of ``grain``, the nearest; gamma where there is none (0).

    The scale goes straight from each of ``levels`` (log μ) to the next (``scales``, as logarithms), and stays beyond them.
    """

    phi: float
    psi: float
    grain: float
    levels: tuple[float, ...] = (0.0,)
    scales: tuple[float, ...] = (0.0,)

    def times(self, scale: float) -> Spread:
        """Give a spread of so many times the variance."""
        return replace(self, phi=self.phi * scale, psi=self.psi * scale)

    def at_least(self, other: Spread) -> Spread:
        """Give a spread not below another at any of its levels."""
        levels = np.array(self.levels)
        short = np.log(other.variance(np.exp(levels)) / self.variance(np.exp(levels)))
        return replace(self, scales=tuple((np.array(self.scales) + np.maximum(short, 0.0)).tolist()))

    def variance(self, mean: Numbers) -> Numbers:
        """Give the variance, in multiples of the grain."""
        scale = np.exp(np.interp(np.log(np.maximum(mean, LEAST)), self.levels, self.scales))
        told: Numbers = (self.phi * mean + self.psi * mean**2) * scale
        return told

    def shape(self, mean: Numbers) -> tuple[Numbers, Numbers]:
        """Give the shape μ² ÷ (V − μ) and the chance μ ÷ V of counts; the shape μ² ÷ V and the rate μ ÷ V of the gamma."""
        mean = np.maximum(mean, LEAST)
        variance = self.variance(mean)
        if self.grain:
            variance = np.maximum(variance, mean * (1 + 1e-6))
            return mean**2 / (variance - mean), mean / variance
        return mean**2 / np.maximum(variance, TINY), mean / np.maximum(variance, TINY)

    def upto(self, value: Numbers, mean: Numbers) -> Numbers:
        """P(Y ≤ value)."""
        if not self.grain:
            shape, rate = self.shape(mean)
            return np.asarray(gammainc(shape, rate * np.maximum(value, 0)))
        shape, chance = self.shape(mean / self.grain)
        count = np.round(value / self.grain)
        return np.where(count < 0, 0.0, betainc(shape, np.maximum(count, 0) + 1, chance))

    def below(self, value: Numbers, mean: Numbers) -> Numbers:
        """P(Y < value)."""
        return self.upto(value - self.grain, mean) if self.grain else self.upto(value, mean)

    def quantile(self, mean: Numbers, level: float) -> Numbers:
        """Find the least value whose P(Y ≤ value) reaches ``level``: for counts a step function of the mean, looked up."""
        if not self.grain:
            shape, rate = self.shape(mean)
            return np.asarray(gammaincinv(shape, level) / rate)
        top = max(float(mean.max(initial=self.grain)) / self.grain, 1.0)
        top += 8 * float(np.sqrt(self.variance(np.array([top]))[0])) + 10
        whole = np.arange(min(EXACT, int(top)) + 1, dtype="float64")
        far = np.floor(np.geomspace(EXACT, top, FAR)) if top > EXACT else np.empty(0)
        values = np.unique(np.concatenate([whole, far])) * self.grain
        low, high = np.zeros(len(values)), np.full(len(values), top * 4 * self.grain)
        for _ in range(HALVINGS):  # the mean at which P(Y ≤ value) falls to the level
            middle = (low + high) / 2
            above = self.upto(values, middle) >= level
            low, high = np.where(above, middle, low), np.where(above, high, middle)
        # Between the points of the grid the mean is interpolated: a step there would be wider than the distribution.
        between = np.ceil(np.interp(mean, low, values) / self.grain - 1e-6) * self.grain
        found = values[np.minimum(np.searchsorted(low, mean, side="left"), len(values) - 1)]
        return np.where(found > EXACT * self.grain, between, found)


def fit_spread(told: Sequence[tuple[Numbers, Numbers]], grain: float) -> Spread:
    """Fit the spread to what was told in years, latest first: (forecasts, what came).

    The variance function is fitted to squared errors, then scaled, level by level, so that the interval of four in five holds
    as many: half as the median year asks, so that an old crisis does not widen calm years, and half as the latest one
    does, so that a new crisis is not forgotten at once.
    """
    unit = grain or 1.0
    scaled = [(mean / unit, came / unit) for mean, came in told]
    if not scaled:
        return Spread(UNTOLD, 0.0, grain)
    spread = replace(_fit_variance(*(np.concatenate(each) for each in zip(*scaled, strict=True))), grain=1.0 if grain else 0.0)
    edges, nodes = _classes(np.concatenate([mean for mean, _ in scaled]))
    scales = []
    for low, high in pairwise(edges):
        held = [(mean[part], came[part]) for mean, came in scaled if (part := (mean >= low) & (mean < high)).any()]
        asked = np.array([_scale_at(spread, *pair) for pair in held])
        scales.append((1 - LATEST) * float(np.median(asked)) + LATEST * float(asked[0]))
    return replace(spread, grain=grain, levels=tuple(nodes), scales=tuple(scales))


def _classes(means: Numbers) -> tuple[list[float], list[float]]:
    """Cut the means into classes of equal shares of √mean: their edges, and the logarithm of the middle of each."""
    order = np.sort(np.maximum(means, LEAST))
    share = np.cumsum(np.sqrt(order))
    parts = int(np.clip(len(order) // CLASS, 1, CLASSES))
    cuts = [float(order[np.searchsorted(share, share[-1] * part / parts)]) for part in range(1, parts)]
    cuts = sorted({cut for cut in cuts if order[0] < cut})
    edges = [0.0, *cuts, np.inf]
    middles = [np.log(np.median(order[(order >= low) & (order < high)])) for low, high in pairwise(edges)]
    return edges, [float(middle) for middle in middles]


def _fit_variance(mean: Numbers, actual: Numbers) -> Spread:
    """Fit φ and ψ, not negative, by least squares relative to the variance; refitted with the weights it gives itself."""
    order = np.argsort(mean, kind="stable")
    means, squares = np.maximum(mean[order], 1e-9), (actual[order] - mean[order]) ** 2
    share = np.cumsum(np.sqrt(means))
    which = np.minimum((share / share[-1] * BINS).astype(int), BINS - 1)
    size = np.bincount(which, minlength=BINS)
    used = size > 0
    first, second, square = (
        np.bincount(which, numbers, BINS)[used] / size[used] for numbers in (means, means**2, np.maximum(squares, TINY))
    )
    weight, phi, psi = 1 / np.maximum(square, TINY), 1.0, 0.0
    for _ in range(3):
        scale = np.sqrt(size[used]) * weight
        (phi, psi), _ = nnls(np.stack([first * scale, second * scale], axis=1), square * scale)
        weight = 1 / np.maximum(phi * first + psi * second, TINY)
    return Spread(max(float(phi), 1e-9), float(psi), 1.0)


def _scale_at(spread: Spread, mean: Numbers, came: Numbers) -> float:
    """Find the logarithm of how many times the variance makes the middle four fifths hold four in five of what came."""

    def short(log_scale: float) -> float:
        return inside(spread.times(float(np.exp(log_scale))), mean, came) - CENTRE

    # From the width at hand outwards: far too wide a distribution lies at zero, and holds less again.
    near, missing = 0.0, short(0.0)
    step = STEP if missing < 0 else -STEP
    while (there := short(near + step)) * missing > 0:
        if abs(near) > np.log(WIDEST) or (missing < 0 and there < short(near)):
            return near if missing < 0 else 0.0  # no width holds so many, or none so few
        near += step
    return float(brentq(short, near, near + step, xtol=0.02)) if missing else 0.0


def inside(spread: Spread, mean: Numbers, came: Numbers) -> float:
    """Measure the share of what came in the middle of its distribution: the mean chance that a randomised PIT lies there."""
    below, upto = spread.below(came, mean), spread.upto(came, mean)
    low, high = (1 - CENTRE) / 2, (1 + CENTRE) / 2
    width = upto - below
    overlap = np.clip(np.minimum(upto, high) - np.maximum(below, low), 0, None)
    certain = ((below >= low) & (upto <= high)).astype("float64")
    return float(np.where(width > TINY, overlap / np.maximum(width, TINY), certain).mean())
