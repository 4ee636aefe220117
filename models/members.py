"""Simple forecasts of many series at once: each reads a :class:`Past` and gives series × horizon.

One idea serves level, season, drift and growth: what a group saw is drawn towards what was expected of it, as far as
chance explains the difference (:func:`shrunk`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from models.panel import Codes, Numbers, Panel

MEMORIES = np.array([0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98])
TINY = 1e-12
LONG, SHORT = 0.98**12, 0.8**12  # what a year counts beside the next: in the level of a series, in the drift of groups
CRISIS = 3.0  # usual deviations of the growth of all that make a crisis
CALM = 0.03  # the usual deviation is taken for at least this
EARLIER = 3  # growths without which no usual one is known


@dataclass(frozen=True)
class Past:
    """What was known at an origin, and what is worked out of it once for every member."""

    panel: Panel

    def until(self, periods: int) -> Past:
        """Forget what came after the first ``periods``."""
        return Past(self.panel.until(periods))

    @property
    def values(self) -> Numbers:
        """Series × periods, NaN where nothing is known."""
        return self.panel.values

    @property
    def season(self) -> int:
        """How many periods a year has."""
        return self.panel.season

    @property
    def periods(self) -> int:
        """How many periods are known."""
        return int(self.values.shape[1])

    @property
    def widening(self) -> tuple[Codes, ...]:
        """Groups of occupations from the widest to the occupation itself."""
        return self.panel.occupations[::-1]

    @property
    def territory(self) -> Codes:
        """The territory of each series."""
        return self.panel.territories[0]

    @cached_property
    def known(self) -> Numbers:
        """One where something is known, zero elsewhere."""
        return (~np.isnan(self.values)).astype(float)

    @cached_property
    def filled(self) -> Numbers:
        """The values, zero where nothing is known."""
        return np.nan_to_num(self.values)

    @cached_property
    def last(self) -> Numbers:
        """The last value known of each series; zero before the first."""
        at = self.periods - 1 - np.argmax(self.known[:, ::-1], axis=1)
        last: Numbers = self.filled[np.arange(len(at)), at]
        return last

    @cached_property
    def noise(self) -> float:
        """How many times more than Poisson counts series vary from a period to the next: mean of Σ(Δy)²/2 ÷ Σy."""
        recent = self.values[:, -(2 * self.season + 1 if self.season > 1 else 7) :]
        steps = np.diff(recent, axis=1)
        usable = ~np.isnan(steps)
        square = np.where(usable, steps, 0.0) ** 2
        level = np.where(usable, (recent[:, 1:] + recent[:, :-1]) / 2, 0.0).sum(axis=1)
        ratios = square.sum(axis=1)[level > 0] / 2 / level[level > 0]
        return max(float(ratios.mean()), TINY) if len(ratios) else 1.0

    @cached_property
    def seasons(self) -> Numbers:
        """How much of its usual level each month of the year has, the next one first: series × season, of mean one.

        From the total to groups and series, each drawn towards its parent as far as chance explains the difference.
        """
        n, years = len(self.values), self.periods // self.season
        if self.season == 1 or years < 2:
            return np.ones((n, self.season))
        known, seen = self.known[:, -years * self.season :], self.filled[:, -years * self.season :]
        level = _moving(seen.sum(axis=0) / np.maximum(known.sum(axis=0), 1.0), self.season)
        exposure = (known * level).reshape(n, years, -1).sum(axis=1)
        seen = seen.reshape(n, years, -1).sum(axis=1)
        rate = seen.sum(axis=1, keepdims=True) / np.maximum(exposure.sum(axis=1, keepdims=True), TINY)
        flat = expected = exposure * rate
        expected = expected * (seen.sum(axis=0) / np.maximum(expected.sum(axis=0), TINY))
        for codes in (*self.widening, None):
            expected = expected * shrunk(seen, expected, self.noise, codes)
        index = np.where(flat > TINY, expected / np.maximum(flat, TINY), 1.0)
        usual: Numbers = index / np.maximum(index.mean(axis=1, keepdims=True), TINY)
        return usual

    def ahead(self, horizon: int) -> Codes:
        """Say which month of the year each period ahead is."""
        return np.arange(horizon) % self.season

    def discounted(self, keep: float) -> tuple[Numbers, Numbers, float]:
        """Give what was seen, weighed by ``keep`` ** age, what it would be at rate one, and Σw² ÷ Σw (noise of the sum)."""
        weights = keep ** np.arange(self.periods)[::-1]
        months = np.arange(-self.periods, 0) % self.season
        folded = np.zeros((self.periods, self.season))
        folded[np.arange(self.periods), months] = weights
        exposure = ((self.known @ folded) * self.seasons).sum(axis=1)
        return self.filled @ weights, exposure, float((weights**2).sum() / weights.sum())


def _moving(total: Numbers, season: int) -> Numbers:
    """Average over a year around each period; at the ends, over the first year and the last."""
    sums = np.concatenate([[0.0], np.cumsum(total)])
    starts = np.clip(np.arange(len(total)) - season // 2, 0, len(total) - season)
    means: Numbers = (sums[starts + season] - sums[starts]) / season
    return means


def add_up(values: Numbers, codes: Codes) -> Numbers:
    """Add rows up by group, in the order of codes."""
    size = int(codes.max(initial=-1)) + 1
    if values.ndim == 1:
        return np.bincount(codes, values, size).astype("float64")
    return np.stack([np.bincount(codes, column, size) for column in values.T], axis=1)


def shrunk(seen: Numbers, expected: Numbers, noise: float, codes: Codes | None) -> Numbers:
    """Give each row the ratio of what its group saw to what was expected, drawn towards one as far as chance explains it.

    Ratios are taken for gamma of mean one and variance v, what is seen for φE beside: v = max(0, Σ((O − E)²/E − φ) ÷ ΣE),
    ratio = (O + φ/v) ÷ (E + φ/v). Without ``codes`` each row is a group.
    """
    observed, told = (seen, expected) if codes is None else (add_up(seen, codes), add_up(expected, codes))
    safe = np.maximum(told, TINY)
    spread = float(np.where(told > 1e-9, (observed - told) ** 2 / safe - noise, 0.0).sum()) / max(float(told.sum()), TINY)
    ratio = np.ones_like(told) if spread <= 0 else (observed + noise / spread) / (told + noise / spread)
    return ratio if codes is None else ratio[codes]


# Members ---------------------------------------------------------------------------------------------------------------

Member = Callable[[Past, int], Numbers]


def last_value(past: Past, horizon: int) -> Numbers:
    """As the last period known."""
    return np.repeat(past.last[:, None], horizon, axis=1)


def seasonal_naive(past: Past, horizon: int) -> Numbers:
    """As the same period of the last year; a gap, as the mean of that year; before a whole year, as the last period."""
    if past.periods < past.season:
        return last_value(past, horizon)
    year = past.values[:, -past.season :]
    return np.where(np.isnan(year), year_mean(past, 1), year)[:, past.ahead(horizon)]


def year_mean(past: Past, horizon: int) -> Numbers:
    """As the mean of the last year."""
    count = past.known[:, -past.season :].sum(axis=1)
    mean = past.filled[:, -past.season :].sum(axis=1) / np.maximum(count, 1.0)
    return np.repeat(np.where(count > 0, mean, past.last)[:, None], horizon, axis=1)


def smoothing(past: Past, horizon: int) -> Numbers:
    """Exponential smoothing, with the one memory for all that told the last ``horizon`` periods best."""
    best, cut = 2, past.periods - horizon
    if cut >= 2:
        told = _smoothed(past.until(cut))
        best = int(np.argmin([np.nansum(np.abs(past.values[:, cut:] - level[:, None])) for level in told.T]))
    return np.repeat(_smoothed(past)[:, [best]], horizon, axis=1)


def _smoothed(past: Past) -> Numbers:
    weights = MEMORIES ** np.arange(past.periods)[::-1, None]
    count = past.known @ weights
    return np.where(count > 0, past.filled @ weights / np.maximum(count, TINY), past.last[:, None])


def pooled(past: Past, horizon: int, *, long: float = LONG, short: float = SHORT) -> Numbers:
    """Level × season × drift, each pooled (:func:`shrunk`).

    The level of a series over its ``long`` memory is drawn towards what its occupation, its territory and their groups
    make expected; over a ``short`` memory all, then groups, then territories move it. A new series has that of its margins.
    """
    season = past.seasons[:, past.ahead(horizon)]
    seen, exposure, weight = past.discounted(long ** (1 / past.season))
    level = _expected(past, seen, exposure, past.noise * weight)
    rate = level * shrunk(seen, level, past.noise * weight, None) / np.maximum(exposure, TINY)
    seen, exposure, weight = past.discounted(short ** (1 / past.season))
    expected = exposure * rate
    factor = np.full(len(seen), seen.sum() / max(float(expected.sum()), TINY))
    for codes in (*past.widening, past.territory):
        factor = factor * shrunk(seen, expected * factor, past.noise * weight, codes)
    told: Numbers = (rate * factor)[:, None] * season
    return told


def borrowed(past: Past, *, long: float = LONG) -> Numbers:
    """Say which share of a pooled level comes from other series: φ/v ÷ (E + φ/v) of :func:`shrunk`; all, without exposure."""
    seen, exposure, weight = past.discounted(long ** (1 / past.season))
    level = _expected(past, seen, exposure, past.noise * weight)
    excess = float(np.where(level > TINY, (seen - level) ** 2 / np.maximum(level, TINY) - past.noise * weight, 0.0).sum())
    prior = past.noise * weight * float(level.sum()) / max(excess, TINY)
    return prior / np.maximum(level + prior, TINY)


def _expected(past: Past, seen: Numbers, exposure: Numbers, noise: float) -> Numbers:
    """Expect of each series what its territory and its occupation have by exposure, then what its pairs of groups have."""
    rates = [add_up(seen, codes) / np.maximum(add_up(exposure, codes), TINY) for codes in (past.territory, past.widening[-1])]
    base = exposure * rates[0][past.territory] * rates[1][past.widening[-1]]
    base = base * (add_up(seen, past.widening[-1]) / np.maximum(add_up(base, past.widening[-1]), TINY))[past.widening[-1]]
    for codes in past.widening[:-1]:
        pair = np.unique(past.territory * (int(codes.max(initial=-1)) + 1) + codes, return_inverse=True)[1]
        base = base * shrunk(seen, base, noise, pair)
    return base


def _usual(past: Past, span: int, together: float) -> float:
    """Give the growth of all between two spans, or one where it is a crisis: far from any between earlier spans."""
    count = past.periods // span
    season = past.seasons[:, np.arange(-count * span, 0) % past.season]
    levels = (past.filled[:, -count * span :] / np.maximum(season, TINY)).reshape(-1, count, span).sum(axis=(0, 2))
    seen = past.known[:, -count * span :].reshape(-1, count, span).sum(axis=(0, 2))
    logs = np.diff(np.log(np.maximum(levels / np.maximum(seen, 1.0), TINY)))[:-1]
    return 1.0 if len(logs) >= EARLIER and is_crisis(float(np.log(max(together, TINY))), logs) else together


def is_crisis(growth: float, earlier: Numbers) -> bool:
    """Whether a growth lies far from the earlier ones, all as logarithms."""
    usual = float(np.median(earlier))
    return abs(growth - usual) > CRISIS * max(1.4826 * float(np.median(np.abs(earlier - usual))), CALM)


def growing(past: Past, horizon: int, *, span: int, level: Member = last_value) -> Numbers:
    """A level that grows on as it did between the last two spans, halved over a year.

    The growth of all is drawn out to groups and series (:func:`shrunk`); it is at most double a year.
    """
    told = level(past, horizon)
    if past.periods < 2 * span:
        return told
    months = np.arange(-2 * span, 0) % past.season
    values = past.filled[:, -2 * span :] / np.maximum(past.seasons[:, months], TINY)
    both = past.known[:, -2 * span : -span] * past.known[:, -span:]
    before, after = (values[:, :span] * both).sum(axis=1), (values[:, span:] * both).sum(axis=1)
    together = after.sum() / max(float(before.sum()), TINY)
    factor = np.full(len(after), together)
    for codes in (*past.widening, None):
        factor = factor * shrunk(after, before * factor, 2 * past.noise, codes)
    factor = factor * (_usual(past, span, together) / max(together, TINY))
    most = np.log(2.0) / past.season
    rate = np.clip(np.log(np.maximum(factor, TINY)) / span, -most, most)
    reach = np.cumsum(0.5 ** (np.arange(1, horizon + 1) / past.season))
    grown: Numbers = told * np.exp(rate[:, None] * reach)
    return grown
