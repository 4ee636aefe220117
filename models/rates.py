"""The next rates of young leavers at work: what part of a row is counted again, what was chance, and what all share.

A row of InserJeunes adds up two school years, and the next row holds the later of them again: half its people, so that half
of what chance did to the last row comes back. Pooling that takes rows for apart throws that half away, and loses to the last
value. The forecast of series s in row t (:func:`forecast_rates`) is

    rate = a_t + G_s + Σ_r b_r · (k_r ÷ n_r − a_r − G_s),        b = V⁻¹ c
    V_rq = τ² + o_rq · √(v_r · v_q),    c_r = τ² + o_rt · √(v_r · v_t),    v = p · (1 − p) ÷ n

- G_s adds up what its level, domain, diploma, région and domain in the région differ by from the whole, each drawn to zero by
  as much as the groups of its kind turned out alike; τ is by how much a series strays from it; older rows fade.
- o_rq is the share of school years that two rows have in common, years ÷ √(length · length): one with itself, a half from
  one pair to the next. With two rows behind, b is near 2/3 and −1/3: what the last row owes to the year that leaves is
  taken back.
- a_t moves for all series alike. It is taken for a walk through the calendar, seen in each row at each month after leaving:
  a month has a level of its own, a school year strays at a month on its own, in both rows that count it. From the moves between
  rows seen at any month follows the best linear guess of a_t.

The interval is the middle of a beta law of that mean and of the variance left: of the walk, of the groups, of the series, and
of the people to be counted. A hidden rate is no zero: where counts are told they count, else the groups stand in.
Use it before a figure of the row asked is out. One row of the past tells no move: then the level stays, with a wide interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations, product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.contracts import GradeLimits, write_estimate
from features.params import Section, param
from features.pooling import bound_rates

Numbers = NDArray[np.float64]
Whole = NDArray[np.intp]
Years = tuple[int, int]

SERIES = ["region", "track", "nomenclature", "diploma"]
_MONTHS = (6, 12, 18, 24)
_ROUNDS = 20  # of turns between groups; variances settle within a dozen
_EDGE = 0.02  # a rate this near to 0 or 1 is not trusted with its own small variance
_FLAT = 1e4  # variance of a level that nothing is known of, beside a step of one
_LEAST = 1e-9  # also added to variances: a pair and both its single years say the same twice


class RateParams(Section):
    """How rows of different years hang together, and what a grade asks."""

    overlap: float = param(
        1.0, "share of the people of a school year that two rows count both; 0 takes rows for apart", ge=0, le=1
    )
    fade: float = param(0.5, "weight of a row beside one a year younger, in the rates of groups", ge=0.05, le=1)
    drift: float = param(
        0.03, "how far the rate of everybody walks in a year, before it was seen to; 0 keeps it", unit="share", ge=0, le=0.5
    )
    noise_years: float = param(
        0.5, "how far each school year strays from the calendar: as a walk of so many years", unit="years", ge=0.01, le=10
    )
    unseen_leavers: float = param(10.0, "leavers expected where none were ever counted", unit="people", ge=1, le=1000)
    low_share: float = param(0.1, "share of the law of a rate below ``low``, and above ``high``", unit="share", ge=0.01, le=0.4)
    grade_a: float = param(100.0, "leavers counted for grade A", unit="people", ge=1, le=1e5)
    grade_b: float = param(40.0, "leavers counted for grade B", unit="people", ge=1, le=1e5)
    grade_c: float = param(20.0, "leavers counted for grade C", unit="people", ge=1, le=1e5)
    borrowed_a: float = param(0.6, "most that grade A borrows", unit="share", ge=0, le=1)
    borrowed_b: float = param(0.8, "most that grade B borrows", unit="share", ge=0, le=1)

    @property
    def limits(self) -> GradeLimits:
        """What the grades ask."""
        return GradeLimits(self.grade_a, self.grade_b, self.grade_c, self.borrowed_a, self.borrowed_b)


@dataclass(frozen=True)
class _Panel:
    """What was counted of each series (columns) in each row of the past (rows, earliest first); nobody where it is unknown."""

    years: list[Years]
    n: Numbers
    k: Numbers

    @property
    def rate(self) -> Numbers:
        """Rates as counted, zero where nobody was."""
        return self.k / np.maximum(self.n, _LEAST)


@dataclass(frozen=True)
class _Fit:
    """Levels of rows, the gap of each series to them that its groups tell (and the variance of both), how far series stray."""

    levels: Numbers
    gap: Numbers
    doubt: Numbers
    stray: float


@dataclass(frozen=True)
class _Law:
    """Mean and variance of the next rate of each series, beside the weight of its own past and the people in it."""

    mean: Numbers
    variance: Numbers
    own: Numbers
    people: Numbers


def forecast_rates(
    insertion: pd.DataFrame, asked: pd.DataFrame, params: RateParams, *, school_years: Years, months: int
) -> pd.DataFrame:
    """Forecast the share at work so many months after leaving. One row per series asked, in the order asked.

    ``insertion`` holds what was known (:meth:`Contract.known_at`); rows that end with or after the last of ``school_years``
    are not looked at. Without any count before them there is no estimate.
    """
    past = _past(insertion, school_years)
    wanted = asked[SERIES].astype("str")
    series = pd.MultiIndex.from_frame(pd.concat([past[SERIES], wanted]).drop_duplicates().sort_values(SERIES))
    panel = _panel(past, series, months)
    if not panel.years:
        return _write(asked, _nothing(len(wanted)), params)
    fit = _fit_groups(panel, _groups(series.to_frame(index=False)), params)
    move, doubt = _next_move(past, series, school_years, months, params)
    law = _follow(panel, fit, school_years, params)
    at = series.get_indexer(pd.MultiIndex.from_frame(wanted))
    return _write(asked, _Law(law.mean[at] + move, law.variance[at] + doubt, law.own[at], law.people[at]), params)


def last_rates(
    insertion: pd.DataFrame, asked: pd.DataFrame, params: RateParams, *, school_years: Years, months: int
) -> pd.DataFrame:
    """Take the last rate published to come again, with the interval of its people: the baseline. One row per series asked."""
    past = _past(insertion, school_years).dropna(subset=[f"rate_{months}m"]).drop_duplicates(SERIES, keep="last")
    last = asked[SERIES].merge(past, on=SERIES, how="left", validate="many_to_one").set_index(asked.index)
    rate, n = last[f"rate_{months}m"].astype("float64") / 100, last["leavers"].astype("float64")
    low, high = bound_rates(np.asarray(rate, dtype=np.float64), np.asarray(n.fillna(1.0), dtype=np.float64), params.low_share)
    bounds = {"low": pd.Series(low, index=asked.index), "high": pd.Series(high, index=asked.index)}
    return write_estimate(asked, value=rate, **bounds, n=n, borrowed=0.0, limits=params.limits)


def _past(insertion: pd.DataFrame, school_years: Years) -> pd.DataFrame:
    """Keep what ended before, of several editions the last, always in the same order. One row per series and school years."""
    key = ["last_year", "first_year", *SERIES]
    earlier = insertion[insertion["last_year"] < school_years[1]]
    return earlier.sort_values([*key, "known_from"]).drop_duplicates(key, keep="last").reset_index(drop=True)


def _panel(past: pd.DataFrame, series: pd.MultiIndex, months: int) -> _Panel:
    """Lay out what was counted of each series; rows of which nothing is known are left out."""
    n, k = _counts(past, months)
    told = n > 0
    span = ["last_year", "first_year"]
    years = past.loc[told, span].drop_duplicates()
    row = pd.MultiIndex.from_frame(years).get_indexer(pd.MultiIndex.from_frame(past.loc[told, span]))
    column = series.get_indexer(pd.MultiIndex.from_frame(past.loc[told, SERIES]))
    people, employed = np.zeros((2, len(years), len(series)))
    people[row, column], employed[row, column] = n[told], k[told]
    return _Panel([(int(first), int(last)) for last, first in years.itertuples(index=False)], people, employed)


def _counts(past: pd.DataFrame, months: int) -> tuple[Numbers, Numbers]:
    """Count leavers, and those at work: nobody where either is hidden or not out yet."""
    n = past["leavers"].astype("float64").to_numpy(dtype="float64", na_value=np.nan)
    k = past[f"employed_{months}m"].astype("float64").to_numpy(dtype="float64", na_value=np.nan)
    told = (n > 0) & ~np.isnan(k)
    return np.where(told, n, 0.0), np.where(told, k, 0.0)


def _groups(series: pd.DataFrame) -> list[Whole]:
    """Number the groups, one line per kind. A CFD begins with its level, a MEFSTAT11 with its kind of class; both end alike."""
    code = series["diploma"]
    level = code.str[:1].where(series["nomenclature"] == "CFD", code.str[:4])
    named = series.assign(level=level, domain=code.str[-5:-2])
    kinds = (["track", "level"], ["domain"], ["track", "nomenclature", "diploma"], ["region", "track"], ["region", "domain"])
    return [np.asarray(named.groupby(kind).ngroup(), dtype=np.intp) for kind in kinds]


def _fit_groups(panel: _Panel, groups: list[Whole], params: RateParams) -> _Fit:
    """Fit levels of rows and gaps of groups by turns, each kind drawn to zero by its own variance, learned from moments."""
    told, rate = panel.n > 0, panel.rate
    ages = np.array([panel.years[-1][1] - last for _, last in panel.years], dtype="float64")
    fade = (params.fade**ages)[:, None]
    levels = panel.k.sum(axis=1) / panel.n.sum(axis=1)
    gaps = np.zeros((len(groups), panel.n.shape[1]))
    spreads, kept, stray = np.full(len(gaps), 0.01), np.ones_like(gaps), 0.001
    for _ in range(_ROUNDS):
        chance = _chance(levels[:, None] + gaps.sum(axis=0), panel.n)
        weight = np.where(told, fade / (stray + chance), 0.0)
        levels = levels + _mean(weight * (rate - levels[:, None] - gaps.sum(axis=0)), weight)
        leverage = np.zeros_like(weight)
        for kind, group in enumerate(groups):
            rest = rate - levels[:, None] - gaps.sum(axis=0) + gaps[kind]
            gap, spreads[kind], whole = _draw(weight, rest, group, spreads[kind])
            gaps[kind], kept[kind] = gap[group], 1.0 / (1.0 + spreads[kind] * whole[group])
            leverage += weight * spreads[kind] * kept[kind]
        error = (rate - levels[:, None] - gaps.sum(axis=0)) ** 2 / (1.0 - np.minimum(leverage, 0.9))
        sure = weight**2
        stray = max(float((sure * (error - chance)).sum() / sure.sum()), _LEAST)
    return _Fit(levels, gaps.sum(axis=0), spreads @ kept + 1.0 / weight[-1].sum(), stray)


def _chance(rate: Numbers, n: Numbers) -> Numbers:
    """Variance that chance makes of a rate among so many people."""
    inner = np.clip(rate, _EDGE, 1 - _EDGE)
    return np.asarray(inner * (1 - inner) / np.maximum(n, _LEAST))


def _mean(weighted: Numbers, weight: Numbers) -> Numbers:
    return np.asarray(weighted.sum(axis=1) / weight.sum(axis=1))


def _draw(weight: Numbers, rest: Numbers, group: Whole, spread: float) -> tuple[Numbers, float, Numbers]:
    """Draw the gaps of groups to zero: the gaps, the variance between groups as it now looks, and the weight of each."""
    whole = np.bincount(group, weight.sum(axis=0)).astype(np.float64)
    raw = np.bincount(group, (weight * rest).sum(axis=0)) / np.maximum(whole, _LEAST)
    sure = (whole / (1.0 + spread * whole)) ** 2
    beyond = raw**2 - 1.0 / np.maximum(whole, _LEAST)
    spread = max(float((sure * beyond).sum() / sure.sum()), _LEAST)
    return np.asarray(raw * spread * whole / (1.0 + spread * whole)), spread, whole


def _follow(panel: _Panel, fit: _Fit, school_years: Years, params: RateParams) -> _Law:
    """Follow each series from its own rows, by the people and the strays that the next row has in common with them."""
    told = (panel.n > 0).T
    usual = fit.levels[:, None] + fit.gap
    people = _expected(panel, school_years, params)
    behind = np.sqrt(np.where(told, _chance(usual, panel.n).T, 0.0))
    ahead = np.sqrt(_chance(usual[-1], people))
    known, common = _covariances(told, behind, ahead, fit.stray, _shared([*panel.years, school_years], params))
    weight = np.linalg.solve(known, common[:, :, None])[:, :, 0]
    own = weight.sum(axis=1)
    left = np.maximum(fit.stray + ahead**2 - (weight * common).sum(axis=1), _LEAST)
    off = np.where(told, (panel.rate - usual).T, 0.0)
    return _Law(
        mean=np.clip(usual[-1], 0.0, 1.0) + (weight * off).sum(axis=1),
        variance=left + (1 - own) ** 2 * fit.doubt,
        own=own,
        people=np.where(told.any(axis=1), people, 0.0),
    )


def _covariances(
    told: NDArray[np.bool_], behind: Numbers, ahead: Numbers, stray: float, shared: Numbers
) -> tuple[Numbers, Numbers]:
    """Give, per series, V between its rows and c with the next; a row that was not told stands alone and tells nothing."""
    both = told[:, :, None] & told[:, None, :]
    known = np.where(both, stray + shared[:-1, :-1] * behind[:, :, None] * behind[:, None, :], 0.0)
    rows = np.arange(told.shape[1])
    known[:, rows, rows] += np.where(told, _LEAST, 1.0)
    return known, np.where(told, stray + shared[:-1, -1] * behind * ahead[:, None], 0.0)


def _expected(panel: _Panel, school_years: Years, params: RateParams) -> Numbers:
    """Expect as many leavers a school year as in the last row that counted any."""
    people = np.full(panel.n.shape[1], params.unseen_leavers)
    for span, n in zip(panel.years, panel.n, strict=True):
        people = np.where(n > 0, n * _length(school_years) / _length(span), people)
    return people


def _shared(spans: Sequence[Years], params: RateParams) -> Numbers:
    """Give the share of school years that rows have in common; a row has itself in common whatever the params say."""
    shared = np.eye(len(spans))
    for i, j in permutations(range(len(spans)), 2):
        years = min(spans[i][1], spans[j][1]) - max(spans[i][0], spans[j][0]) + 1
        shared[i, j] = params.overlap * max(years, 0) / np.sqrt(_length(spans[i]) * _length(spans[j]))
    return shared


def _length(span: Years) -> int:
    return span[1] - span[0] + 1


def _next_move(
    past: pd.DataFrame, series: pd.MultiIndex, school_years: Years, months: int, params: RateParams
) -> tuple[float, float]:
    """Guess how far the level of all moves from the last row to the one asked, and the variance of that guess."""
    if params.drift == 0:
        return 0.0, 0.0
    points = [point for each in _MONTHS for point in _moves(_panel(past, series, each), each)]
    walked = _walk([window for window, _, _ in points] + [(school_years, months)], params)
    seen = np.array([move for _, move, _ in points]) / params.drift
    known = walked[:-1, :-1] + np.diag([doubt for _, _, doubt in points]) / params.drift**2
    weight = np.linalg.solve(known, walked[:-1, -1])
    free = len(points) - len({after for (_, after), _, _ in points})
    # The walk is as quick as was thought before, and as each move seen since: all weigh the same.
    scale = params.drift**2 * (1.0 + float(seen @ np.linalg.solve(known, seen))) / (1.0 + free)
    return float(weight @ seen) * params.drift, float(walked[-1, -1] - walked[-1, :-1] @ weight) * scale


def _moves(panel: _Panel, months: int) -> list[tuple[tuple[Years, int], float, float]]:
    """Tell how far the level of each row lies from that of the last, over the series counted in both, and its variance."""
    if not panel.years:
        return []
    weight = panel.n * panel.n[-1] / np.maximum(panel.n + panel.n[-1], _LEAST)
    whole = np.maximum(weight.sum(axis=1), _LEAST)
    moves = (weight * (panel.rate - panel.rate[-1])).sum(axis=1) / whole
    doubt = np.where(np.arange(len(whole)) < len(whole) - 1, 0.25 / whole, _LEAST)
    return [((span, months), float(m), float(d)) for span, m, d in zip(panel.years, moves, doubt, strict=True)]


def _walk(windows: Sequence[tuple[Years, int]], params: RateParams) -> Numbers:
    """Give the covariance of levels seen through windows, for a walk of one a year: the calendar's, that of the same school
    years at the same month, and a level that each month has of its own.
    """
    ended = [np.arange(first, last + 1.0) for (first, last), _ in windows]
    after = [months / 12 for _, months in windows]
    start = min(years[0] for years in ended)
    covariance = np.zeros((len(windows), len(windows)))
    for i, j in product(range(len(windows)), repeat=2):
        covariance[i, j] = np.minimum.outer(ended[i] + after[i], ended[j] + after[j]).mean() - start
        if after[i] == after[j]:
            covariance[i, j] += _FLAT + params.noise_years * np.equal.outer(ended[i], ended[j]).mean()
    return covariance


def _nothing(rows: int) -> _Law:
    return _Law(np.full(rows, np.nan), np.full(rows, np.nan), np.zeros(rows), np.zeros(rows))


def _write(asked: pd.DataFrame, law: _Law, params: RateParams) -> pd.DataFrame:
    """Write the middle of a beta law of that mean and variance. Same rows as asked."""
    inner = np.clip(law.mean, _EDGE / 2, 1 - _EDGE / 2)
    people = np.maximum(inner * (1 - inner) / law.variance - 1.0, 0.5)
    low, high = bound_rates(inner, people, params.low_share)
    value, least, most, n, borrowed = (
        pd.Series(column, index=asked.index) for column in (np.clip(law.mean, 0.0, 1.0), low, high, law.people, 1.0 - law.own)
    )
    return write_estimate(asked, value=value, low=least, high=most, n=n, borrowed=borrowed, limits=params.limits)
