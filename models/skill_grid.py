"""Needs and shares laid out for :mod:`models.skills`: territories, occupations, skills and pairs by number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.stats import norm

Z_80 = float(norm.ppf(0.9))
_QUARTER = 3  # months
_Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Asked:
    """How often skills are asked: ``pairs``, ``ahead`` and ``gaps`` of the builder, and the ``novelty`` of codes."""

    pairs: pd.DataFrame
    ahead: pd.DataFrame
    gaps: pd.DataFrame
    novelty: pd.DataFrame


class Layout(NamedTuple):
    """Where everything stands: territories, occupations and skills by number, and of each pair its occupation and its skill."""

    territories: pd.Index[str]
    occupations: pd.Index[str]
    skills: pd.Index[str]
    occupation: NDArray[np.intp]
    by_skill: csr_array

    def sum_skills(self, cells: _Numbers) -> _Numbers:
        """Add up territories × pairs to territories × skills."""
        total: _Numbers = (self.by_skill @ cells.T).T
        return total


class Share(NamedTuple):
    """Territories × pairs: the share of offers that ask, its variance, and what of it is the Region's."""

    value: _Numbers
    variance: _Numbers
    borrowed: _Numbers


class Need(NamedTuple):
    """Territories × occupations: recruitments of a year, and the variance of what is forecast of them."""

    value: _Numbers
    variance: _Numbers


class Past(NamedTuple):
    """Recruitments observed: months × territories × occupations, and the months."""

    months: list[str]
    need: _Numbers


def lay_out(forecasts: pd.DataFrame, asked: Asked) -> Layout:
    """Number the territories of forecasts, and the occupations and skills of both."""
    skills = pd.Index(sorted(asked.pairs["skill"].unique()), dtype="str")
    occupations = pd.Index(sorted({*asked.pairs["occupation"], *forecasts["occupation"]}), dtype="str")
    columns = np.arange(len(asked.pairs))
    where = (skills.get_indexer(asked.pairs["skill"]), columns)
    by_skill = csr_array((np.ones(len(columns)), where), shape=(len(skills), len(columns)))
    territories = pd.Index(sorted(forecasts["territory"].unique()), dtype="str")
    return Layout(territories, occupations, skills, occupations.get_indexer(asked.pairs["occupation"]), by_skill)


def lay_past(observed: pd.DataFrame, layout: Layout) -> Past:
    """Lay out what was observed, of one row per territory, occupation, month."""
    months = sorted(observed["period"].unique())
    return Past(months, _cube(observed, observed["need"].to_numpy(dtype="float64"), layout, months))


def last_observed(forecasts: pd.DataFrame, past: Past) -> str:
    """Give the last month observed: the one before the forecasts where nothing is."""
    if past.months or forecasts.empty:
        return past.months[-1] if past.months else ""
    return str(pd.Period(forecasts["period"].min(), "M") - 1)


def _cube(rows: pd.DataFrame, values: _Numbers, layout: Layout, months: list[str]) -> _Numbers:
    """Lay values of rows out by month, territory and occupation; each has one place, so that the order of rows is nothing."""
    names = zip(("period", "territory", "occupation"), (pd.Index(months), layout.territories, layout.occupations), strict=True)
    at = [_codes(rows[name], index) for name, index in names]
    inside = (at[0] >= 0) & (at[1] >= 0) & (at[2] >= 0)
    cells = np.zeros((len(months), len(layout.territories), len(layout.occupations)))
    cells[at[0][inside], at[1][inside], at[2][inside]] = values[inside]
    return cells


def _codes(values: pd.Series[str], index: pd.Index[str]) -> NDArray[np.intp]:
    codes, found = pd.factorize(values)
    return np.asarray(index.get_indexer(pd.Index(found))[codes])


def quarters_of(months: list[str], last: str) -> dict[int, float]:
    """Weigh the quarters ahead that months lie in; observed ones count as the last quarter seen.

    >>> quarters_of(["2026-03", "2026-04", "2026-06", "2026-07"], "2026-03")
    {0: 0.25, 1: 0.5, 2: 0.25}
    """
    end = pd.Period(last, "M").ordinal
    ahead = [max(0, -(-(pd.Period(month, "M").ordinal - end) // _QUARTER)) for month in months]
    return {step: ahead.count(step) / len(ahead) for step in sorted(set(ahead))}


def _within(steps: dict[int, float], farthest: int) -> dict[int, float]:
    """Take what lies beyond the farthest step that is known for it: shares stay there."""
    near: dict[int, float] = {}
    for step, weight in steps.items():
        near[min(step, farthest)] = near.get(min(step, farthest), 0.0) + weight
    return near


def share_over(layout: Layout, asked: Asked, steps: dict[int, float]) -> Share:
    """Give the share of each pair in each territory, over some quarters: the Region's angle, moved by the gap of the territory.

    Of an angle N(m, v): E[sin²] = (1 − e⁻²ᵛ cos 2m) ÷ 2 and Var[sin²] = (1 + e⁻⁸ᵛ cos 4m) ÷ 8 − (e⁻²ᵛ cos 2m)² ÷ 4.
    """
    steps = _within(steps, int(asked.ahead["ahead"].max()) if len(asked.ahead) else 0)
    wide = asked.ahead[asked.ahead["ahead"].isin(list(steps))]
    weights = wide["ahead"].map(steps).to_numpy(dtype="float64")
    shape = (len(asked.pairs), len(steps))
    angle, variance = ((wide[name].to_numpy() * weights).reshape(shape).sum(axis=1) for name in ("angle", "variance"))
    return shares_of(
        angle + spread(asked.gaps, "gap", layout, 0.0),
        variance + spread(asked.gaps, "variance", layout, 0.0),
        spread(asked.gaps, "borrowed", layout, 1.0),
    )


def shares_of(angle: _Numbers, variance: _Numbers, borrowed: _Numbers) -> Share:
    """Turn angles into shares."""
    at = np.clip(angle, 0.0, np.pi / 2)
    twice = np.exp(-2 * variance) * np.cos(2 * at)
    spread = (1 + np.exp(-8 * variance) * np.cos(4 * at)) / 8 - twice**2 / 4
    return Share((1 - twice) / 2, np.maximum(spread, 0.0), borrowed)


def spread(gaps: pd.DataFrame, name: str, layout: Layout, otherwise: float) -> _Numbers:
    """Lay a column of gaps out by territory and pair: every territory of it has every pair, in their order."""
    pairs = layout.by_skill.shape[1]
    rows = gaps["territory"].to_numpy()[:: max(pairs, 1)]
    cells = gaps[name].to_numpy(dtype="float64").reshape(len(rows), pairs)
    at = pd.Index(rows).get_indexer(layout.territories)
    if not len(rows):
        return np.full((len(at), pairs), otherwise)
    return np.where((at >= 0)[:, None], cells[at], otherwise)


def lay_forecasts(forecasts: pd.DataFrame, layout: Layout, months: list[str]) -> Need:
    """Add forecasts up over some months; the variance is that of the positions, and need is positions ÷ ``coverage``."""
    rows = forecasts[forecasts["period"].isin(months)]
    spread = ((rows["high"] - rows["low"]) / (2 * Z_80) / rows["coverage"]).to_numpy(dtype="float64") ** 2
    value = _cube(rows, rows["need"].to_numpy(dtype="float64"), layout, months)
    return Need(value.sum(axis=0), _cube(rows, spread, layout, months).sum(axis=0))


def coverage_error(forecasts: pd.DataFrame, layout: Layout) -> _Numbers:
    """Give the relative error of the coverage of each territory, a column: it errs alike in all months and occupations."""
    first = forecasts.drop_duplicates("territory").set_index("territory").reindex(layout.territories)
    error = (first["coverage_high"] - first["coverage_low"]) / (2 * Z_80 * first["coverage"])
    return np.asarray(error.fillna(0.0).to_numpy(dtype="float64"))[:, None]
