"""How a series grows beside the others: a median regression on where it stands in its groups and in its own past.

What all series did together is removed first, so that a common shock is not learned as a habit. The common growth itself
is forecast apart, damped, and partly undone after a crisis (:func:`common_growth`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from models.members import EARLIER, TINY, Past, add_up, is_crisis
from models.panel import Codes, Flags, Numbers

UNITS = 50.0  # the series in the middle of the volume is taken for so many units: one keeps the logarithm of zero finite
SEEN = 0.5  # share of a year that must have been observed to teach
LEAST = 1.0  # units below which a series teaches nothing: its ratios are noise
FASTEST = 4.0  # no series is expected to grow faster beside the others, whatever its ratio
RIDGE = 1.0  # on standardised features
ROUNDS = 12  # of reweighting: the fit no longer moves
CLOSE = 0.02  # errors below this share of the level weigh alike
FAR = 4.0  # deviations to which features are held
TAUGHT = 60_000  # rows learned from at most, the largest series first
DAMPING = 0.25  # share of the common growth of a year that goes on in the next
UNDONE = 0.3  # share of a crisis that is undone in the next year
LAGS = 3  # growths of past years looked at
SPANS = (2, 3, 5)  # years over which a series' own past is averaged


@dataclass(frozen=True)
class Years:
    """Yearly totals, complete: series × years. ``extra`` holds regressors of the same shape, ``signed`` those below zero."""

    values: Numbers
    territories: tuple[Codes, ...]
    occupations: tuple[Codes, ...]
    extra: Mapping[str, Numbers]
    signed: frozenset[str] = frozenset()

    def until(self, count: int) -> Years:
        """Give what was known after ``count`` years."""
        extra = {name: numbers[:, :count] for name, numbers in self.extra.items()}
        return Years(self.values[:, :count], self.territories, self.occupations, extra, self.signed)

    def groups(self) -> Iterator[Codes]:
        """Give every group: each level alone, wider territories × occupations, territories × the widest occupations."""
        yield from (*self.territories, *self.occupations)
        for wide in self.territories[1:]:
            for narrow in self.occupations[:2]:
                yield cross(wide, narrow)
        if len(self.occupations) > 1:
            yield cross(self.territories[0], self.occupations[-1])


def to_years(past: Past) -> tuple[Years, Numbers]:
    """Average whole years, back from the last period; a gap is filled with what the rest did. Also the share observed.

    Of a regressor the last period of each year counts: what was known then.
    """
    season, panel = past.season, past.panel
    count = past.periods // season

    def fold(numbers: Numbers) -> Numbers:
        means: Numbers = numbers[:, past.periods - count * season :].reshape(len(numbers), count, season).mean(axis=2)
        return means

    ends = [past.periods - 1 - back * season for back in reversed(range(count))]
    known = {name: _carry(numbers)[:, ends] for name, numbers in panel.regressors.items()}
    signed = frozenset(name for name, numbers in known.items() if (numbers < 0).any())
    return Years(fold(fill_gaps(panel.values)), panel.territories, panel.occupations, known, signed), fold(past.known)


def fill_gaps(values: Numbers) -> Numbers:
    """Fill what was not observed with what the rest of the panel did: the series' own scale × the common index.

    The index chains, period by period, the ratio of totals over the series observed in both.
    """
    seen = np.isfinite(values)
    if seen.all():
        return values
    known = np.where(seen, values, 0.0)
    both = seen[:, 1:] & seen[:, :-1]
    later, earlier = (known[:, 1:] * both).sum(axis=0), (known[:, :-1] * both).sum(axis=0)
    ratio = np.divide(later, earlier, out=np.ones(len(later)), where=(earlier > 0) & (later > 0))
    index = np.concatenate([[1.0], np.cumprod(ratio)])
    scale = known.sum(axis=1) / np.maximum((seen * index).sum(axis=1), TINY)
    return np.where(seen, values, scale[:, None] * index)


def _carry(numbers: Numbers) -> Numbers:
    """Carry a regressor over its gaps from the last period that has it; before the first, and without any, its median."""
    seen = np.isfinite(numbers)
    at = np.maximum.accumulate(np.where(seen, np.arange(numbers.shape[1]), -1), axis=1)
    usual = float(np.median(numbers[seen])) if seen.any() else 0.0
    return np.where(at >= 0, np.take_along_axis(numbers, np.maximum(at, 0), axis=1), usual)


def describe(years: Years) -> Numbers:
    """Say where each series stands. One row per series: its log level, then log ratios.

    Values are taken as shares of all, at today's level, so that what is common has gone. Ratios compare today with the
    series' own past, its groups' growth and past (itself left out), and what its margins let one expect.
    """
    totals = years.values.sum(axis=0)
    past = years.values * np.divide(totals[-1], totals, out=np.ones_like(totals), where=totals > 0)
    now, mean, count = past[:, -1], past.mean(axis=1), past.shape[1]
    before, unit = past[:, -2] if count > 1 else now, typical(now) / UNITS

    def ratio(above: Numbers, below: Numbers, least: float = 1.0) -> Numbers:
        return np.log((np.maximum(above, 0) + least * unit) / (np.maximum(below, 0) + least * unit))

    told = [np.log1p(now / unit)]
    told += [ratio(past[:, -lag], past[:, -lag - 1]) if lag < count else np.zeros_like(now) for lag in range(1, LAGS + 1)]
    told += [ratio(past[:, -span:].mean(axis=1), now) for span in (*SPANS, count)]
    told.append(np.abs(np.diff(np.log1p(past / unit), axis=1)).sum(axis=1) / max(count - 1, 1))
    for codes in years.groups():
        whole = _over(codes, now) - now
        told += [ratio(whole, _over(codes, before) - before, 5.0), ratio(_over(codes, mean) - mean, whole, 5.0)]
    told += [ratio(expected, now) for expected in margins(years, now)]
    told += [each for name, of in years.extra.items() for each in _describe_extra(of, now, unit, signed=name in years.signed)]
    return np.column_stack(told)


def margins(years: Years, now: Numbers) -> list[Numbers]:
    """Expect each series from its margins, as if territory and occupation were independent, at three widths."""
    territory, occupation = years.territories[0], years.occupations[0]
    found = [_over(territory, now) * _over(occupation, now) / max(now.sum(), TINY)]
    for wide in years.territories[1:]:
        found.append(_over(cross(wide, occupation), now) * _over(territory, now) / np.maximum(_over(wide, now), TINY))
    for wide in years.occupations[1:]:
        found.append(_over(cross(territory, wide), now) * _over(occupation, now) / np.maximum(_over(wide, now), TINY))
    return found


def _describe_extra(numbers: Numbers, now: Numbers, unit: float, *, signed: bool) -> list[Numbers]:
    """Say where a regressor stands: as a share beside the value's where it is a volume, as it is where it may be negative."""
    last, before = numbers[:, -1], numbers[:, -2] if numbers.shape[1] > 1 else numbers[:, -1]
    if signed:
        return [last, last - before]
    share = last / max(last.sum(), TINY) * now.sum()
    least = typical(last) / UNITS
    return [np.log((share + unit) / (now + unit)), np.log((last + least) / (before + least)), np.log1p(last / least)]


def cross(first: Codes, second: Codes) -> Codes:
    """Cross two groupings."""
    crossed: Codes = np.unique(first * (int(second.max(initial=0)) + 1) + second, return_inverse=True)[1]
    return crossed


def _over(codes: Codes, values: Numbers) -> Numbers:
    """Give every series the total of its group."""
    return add_up(values, codes)[codes]


def typical(values: Numbers) -> float:
    """Give the value in the middle of the volume; 1 where nothing happened."""
    return weighted_median(values, values) or 1.0


def weighted_median(values: Numbers, weights: Numbers) -> float:
    """Give the weighted median; 0 where nothing weighs."""
    order = np.argsort(values, kind="stable")
    running = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(running, running[-1] / 2)]) if len(values) and running[-1] > 0 else 0.0


@dataclass(frozen=True)
class Growth:
    """A learned median regression: weights of standardised features, of their products with the level, and of one."""

    middle: Numbers
    spread: Numbers
    weights: Numbers

    def factors(self, features: Numbers) -> Numbers:
        """Give the factor by which each series grows beside the others."""
        return np.clip(1 + self.design(features) @ self.weights, 1 / FASTEST, FASTEST)

    def design(self, features: Numbers) -> Numbers:
        """Standardise features, and let each weigh otherwise with the level of the series."""
        held = np.clip((features - self.middle) / self.spread, -FAR, FAR)
        return np.column_stack([held, held * held[:, [0]], np.ones(len(held))])


def learn_growth(years: Years, seen: Numbers, ahead: int) -> Growth | None:
    """Learn growth over ``ahead`` years from every pair of years so far apart; None where there is no such pair.

    Each pair of years weighs alike, each series in it by its level, so that the loss is the absolute error of the values
    themselves. Years not mostly observed (``seen``) teach nothing. The first pairs, without a past, teach only where
    there are no others.
    """
    count = years.values.shape[1]
    rows, ratios, weights = [], [], []
    pairs = range(max(min(2, count - ahead), 1), count - ahead + 1)
    for year in pairs:
        taught = _teaching(years.values[:, year - 1], seen[:, [year - 1, year - 1 + ahead]].min(axis=1), len(pairs))
        if taught.any():
            base, after = years.values[taught, year - 1], years.values[taught, year - 1 + ahead]
            rows.append(describe(years.until(year))[taught])
            ratios.append(np.clip(after / base / (weighted_median(after / base, base) or 1.0), 0, FASTEST) - 1)
            weights.append(base / base.sum() / len(pairs))
    return fit_median(np.concatenate(rows), np.concatenate(ratios), np.concatenate(weights)) if rows else None


def _teaching(base: Numbers, seen: Numbers, pairs: int) -> Flags:
    """Choose the series a pair of years teaches by: observed, not tiny, the largest first. A flag per series."""
    taught: Flags = (base >= typical(base) / UNITS * LEAST) & (base > 0) & (seen > SEEN)
    most = TAUGHT // pairs
    if taught.sum() > most:
        taught &= base >= np.partition(base[taught], -most)[-most]
    return taught


def fit_median(features: Numbers, ratios: Numbers, weights: Numbers) -> Growth:
    """Fit the weighted median by reweighted least squares."""
    middle = np.average(features, axis=0, weights=weights)
    spread = np.sqrt(np.average((features - middle) ** 2, axis=0, weights=weights))
    growth = Growth(middle, np.where(spread > TINY, spread, np.inf), np.zeros(2 * features.shape[1] + 1))
    design = growth.design(features)
    found: Numbers = growth.weights
    for _ in range(ROUNDS):
        pull = weights / np.maximum(np.abs(ratios - design @ found), CLOSE)
        weighed = design * pull[:, None]
        found = np.asarray(
            np.linalg.solve(weighed.T @ design + RIDGE * np.eye(len(found)), weighed.T @ ratios), dtype=np.float64
        )
    return Growth(growth.middle, growth.spread, found)


def common_growth(years: Years) -> Numbers:
    """Measure what all series did together: the median growth of each year, weighed by the level, as logarithms."""
    found = []
    for before, after in zip(years.values.T[:-1], years.values.T[1:], strict=True):
        some = before > 0
        found.append(np.log(max(weighted_median(after[some] / before[some], before[some]), 1 / FASTEST)))
    return np.array(found)


def expect_common(growths: Numbers, ahead: int) -> float:
    """Forecast the common growth over ``ahead`` years: a quarter goes on each year, and part of a crisis is undone.

    A crisis (:func:`is_crisis`) is undone towards the median of the years before it.
    """
    if len(growths) == 0:
        return 0.0
    last, before = float(growths[-1]), growths[:-1] if len(growths) > 1 else growths
    if len(before) >= EARLIER and is_crisis(last, before):
        return -(last - float(np.median(before))) * (1 - (1 - UNDONE) ** ahead)
    return last * DAMPING * (1 - DAMPING**ahead) / (1 - DAMPING)


def relative(past: Past, horizon: int) -> Numbers:
    """As the last year, times how the series will grow beside the others, times the common growth, times its season."""
    years, seen = to_years(past)
    level, count = years.values, years.values.shape[1]
    season = past.seasons[:, past.ahead(horizon)]
    if count == 0:
        return past.last[:, None] * season
    features, growths = describe(years), common_growth(years)
    told, factors = np.empty((len(level), horizon)), np.ones(len(level))
    for ahead in range(1, -(-horizon // past.season) + 1):
        learned = learn_growth(years, seen, ahead)
        factors = learned.factors(features) if learned else factors
        steps = slice((ahead - 1) * past.season, min(ahead * past.season, horizon))
        told[:, steps] = (level[:, -1] * factors * np.exp(expect_common(growths, ahead)))[:, None] * season[:, steps]
    return told
