"""Rates of past trainees, from the prescription to lasting work, pooled up the hierarchy, that never go without their n.

:mod:`features.exits` says what became of each person. :func:`count_outcomes` counts it by cell and public, :func:`pool_rates`
makes rates of it that lean on wider groups (:mod:`features.pooling`), :func:`publishable` keeps those of people of their own.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.contracts import GradeLimits, write_estimate
from features.exits import GRAIN, OutcomeParams
from features.pooling import Pooled, PoolingParams, Sums, bound_rates, learn_gaps, pool, pool_parts
from features.publics import PublicParams, mark_publics
from features.supply import level_text
from features.vocabulary import PUBLICS, REGION

WITHIN = ["public", "outcome", "horizon_months"]
ALL = "tout_public"
CELL = ["territory", "sector", "action_type", "level"]
# From the widest group to the cell, one key more at each step: each rate leans on the one of the group before it.
NESTED = ["action_type", "sector", "level", "territory"]


def count_outcomes(followed: pd.DataFrame, trainings: pd.DataFrame, publics: PublicParams) -> pd.DataFrame:
    """Count successes by public. One row per territory, sector, action_type, level, public, outcome, horizon: k, n, squares.

    k and n add up the weights of the successes and of all who are known of; ``squares`` adds up the squares of the weights.
    """
    # ``level`` is the exit level of the course, as in every published key; the person's makes the publics.
    keyed = trainings.assign(sector=trainings["formacode"].str[:3], level=level_text(trainings["exit_level"]))
    cells, cell_of = _coded(keyed, CELL)
    asked, asked_of = _coded(followed, WITHIN[1:])
    asked = asked.astype({"outcome": "str"})
    row = followed["prescription"].to_numpy()
    kept = keyed["territory"].notna().to_numpy()[row]
    place = (cell_of[row] * len(asked) + asked_of)[kept]
    weight = (followed["weight"].to_numpy()[kept] * GRAIN).round()
    sums = {"k": weight * followed["success"].to_numpy()[kept], "n": weight, "squares": weight * weight}
    flags = mark_publics(trainings, publics)
    parts = []
    for public in PUBLICS:
        own = flags[public].to_numpy()[row[kept]]
        totals = {name: np.bincount(place[own], of[own], len(cells) * len(asked)) for name, of in sums.items()}
        seen = np.flatnonzero(totals["n"])
        key = pd.concat([_taken(cells, seen // len(asked)), _taken(asked, seen % len(asked))], axis=1)
        scale = {"k": GRAIN, "n": GRAIN, "squares": GRAIN**2}
        parts.append(key.assign(public=public, **{name: total[seen] / scale[name] for name, total in totals.items()}))
    return pd.concat(parts, ignore_index=True)[[*CELL, *WITHIN, "k", "n", "squares"]]


def _coded(frame: pd.DataFrame, names: list[str]) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """Number the keys of a frame in their order. One row per key; then the number of the key of each row."""
    factors = [pd.factorize(frame[name], sort=True, use_na_sentinel=False) for name in names]
    shape = [max(len(values), 1) for _, values in factors]
    place = np.ravel_multi_index([codes for codes, _ in factors], shape) if len(frame) else np.zeros(0, dtype=np.int64)
    seen, number = np.unique(place, return_inverse=True)
    turns = zip(names, factors, np.unravel_index(seen, shape), strict=True)
    return pd.DataFrame({name: pd.Series(values).take(at).reset_index(drop=True) for name, (_, values), at in turns}), number


def _taken(rows: pd.DataFrame, positions: NDArray[np.int64]) -> pd.DataFrame:
    return rows.take(positions).reset_index(drop=True)


def pool_rates(counts: pd.DataFrame, params: OutcomeParams, limits: GradeLimits, smallest: int) -> pd.DataFrame:
    """Pool each rate up the hierarchy. One row per cell and one per region-wide cell (territory ``R44``), as estimates.

    rate = (k + p · wider rate) ÷ (n + p): it lies between the local rate and the wider one and moves to the local one as n
    grows; ``borrowed`` = p ÷ (n + p), and p is learned (:mod:`features.pooling`). The wider rate of everybody is that of the
    wider group; that of a public is everybody's in the cell, moved by the gap of this public in the Region. The interval is
    that of the beta law. A cell of fewer people than ``smallest`` says nothing of its own: its rate is the wider one, n = 0.
    """
    cells, cell_of = _coded(counts, NESTED)
    asked, asked_of = _coded(counts, WITHIN)
    tables = [np.zeros((len(cells), len(asked))) for _ in range(3)]
    for name, table in zip(("k", "n", "squares"), tables, strict=True):
        table[cell_of, asked_of] = counts[name]
    firsts = [_firsts(cells, depth) for depth in range(len(NESTED) + 1)]
    sums = [Sums.of(*(np.add.reduceat(table, first) for table in tables)) for first in firsts]
    parents = [np.searchsorted(wide, first, side="right") - 1 for wide, first in pairwise(firsts)]
    wide = cells.iloc[firsts[-2]].assign(territory=REGION)
    told = _pool_publics(sums, parents, asked, params.pooling, smallest)
    return _as_estimates([(keys, *of) for keys, both in zip((wide, cells), told, strict=True) for of in both], params, limits)


_Told = tuple[pd.DataFrame, Pooled, Sums]


def _pool_publics(
    sums: list[Sums], parents: list[NDArray[np.int64]], asked: pd.DataFrame, params: PoolingParams, smallest: int
) -> list[list[_Told]]:
    """Pool everybody's rates step by step, then the publics' beside them: for the Region's cells, then for all cells.

    Each is told with its columns (one row per public, outcome, horizon) and what was counted.
    """
    everybody, publics = (np.flatnonzero(flag) for flag in (asked["public"] == ALL, asked["public"] != ALL))
    kinds = np.asarray(asked.groupby(WITHIN[1:]).ngroup(), dtype=np.int64)
    steps = pool([of.pick(everybody) for of in sums], parents, kinds[everybody], params, smallest=smallest)
    whole = pd.Series(np.arange(len(everybody)), index=kinds[everybody]).loc[kinds[publics].tolist()].to_numpy()
    region = sums[-2].pick(publics)
    gaps = learn_gaps(region, steps[-2].pick(whole).rate, params, smallest=smallest)
    told = []
    for step, of in zip(steps[-2:], sums[-2:], strict=True):
        parts = pool_parts(of.pick(publics), step.pick(whole).moved(gaps), kinds[publics], params, smallest=smallest)
        told.append([(asked.iloc[everybody], step, of.pick(everybody)), (asked.iloc[publics], parts, of.pick(publics))])
    return told


def _firsts(cells: pd.DataFrame, depth: int) -> NDArray[np.int64]:
    """Give the position of the first cell of each group of the first so many keys; cells are in the order of their keys."""
    return np.flatnonzero(~cells.assign(all="")[["all", *NESTED[:depth]]].duplicated())


def _as_estimates(
    told: list[tuple[pd.DataFrame, pd.DataFrame, Pooled, Sums]], params: OutcomeParams, limits: GradeLimits
) -> pd.DataFrame:
    """Write the rates of all groups that somebody was counted in. One row per cell and region-wide cell, in their order."""
    parts = []
    for keys, asked, pooled, sums in told:
        row, column = np.nonzero((sums.n > 0) & ~np.isnan(pooled.rate))
        numbers = {name: getattr(pooled, name)[row, column] for name in ("rate", "n", "prior", "borrowed")}
        parts.append(pd.concat([_taken(keys, row), _taken(asked, column)], axis=1)[[*CELL, *WITHIN]].assign(**numbers))
    both = pd.concat(parts, ignore_index=True)
    both = _taken(both, np.argsort(_coded(both, [*CELL, *WITHIN])[1]))
    low, high = _bounds(both, params.pooling.low_share)
    return write_estimate(
        both[[*CELL, *WITHIN]],
        value=both["rate"],
        low=low,
        high=high,
        n=both["n"],
        borrowed=both["borrowed"],
        limits=limits,
    )


def _bounds(rates: pd.DataFrame, low_share: float) -> tuple[pd.Series[float], pd.Series[float]]:
    """Bound rates; those known alike, like all that are borrowed whole from one group, are bounded once. Same rows."""
    law = rates["rate"].to_numpy() + 1j * (rates["n"] + rates["prior"]).to_numpy()
    once, which = np.unique(law, return_inverse=True)
    low, high = (pd.Series(ends[which], index=rates.index) for ends in bound_rates(once.real, once.imag, low_share))
    return low, high


def publishable(estimates: pd.DataFrame) -> pd.DataFrame:
    """Keep the cells that rest on people of their own. One row per cell kept."""
    own: pd.Series[bool] = estimates["n"] > 0
    return estimates[own].reset_index(drop=True)
