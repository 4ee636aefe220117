"""How far each territory is from the Region in what its offers ask: steady gaps, shrunk step by step.

A territory differs from the Region by a gap in angle (:mod:`features.skill_shares`), taken to be steady over a few years: each
year is held against the Region's share of that year, so that what moves everywhere is no gap. Région → département → bassin:
each step is shrunk towards the wider one, by how far territories of that kind turned out to differ beyond chance, over all
pairs:

    gap = (1 − lean) · own + lean · wider        lean = noise ÷ (noise + apart)        noise = ψ · (1 − part) ÷ 4n

``part`` is the territory's share of the Region's offers: what is all of it cannot differ from it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.skill_shares import PAIR, SkillShareParams, angle_of
from features.vocabulary import REGION

_Numbers = NDArray[np.float64]
_Whole = NDArray[np.int64]
_ROUNDS = 20  # the variance between territories stands still well before
_LEAST = 1e-9
_UNSEEN = 1e9  # variance of what has no offer


class _Grid(NamedTuple):
    """Offers that ask and that list: years × territories of one kind × pairs, the last year first."""

    names: list[str]
    asking: _Numbers
    listing: _Numbers


class _Gaps(NamedTuple):
    """How far territories are from the Region: a row per territory, a column per pair."""

    gap: _Numbers
    variance: _Numbers
    borrowed: _Numbers


def place_gaps(
    counts: pd.DataFrame, listing: pd.DataFrame, pairs: pd.DataFrame, psi: float, params: SkillShareParams
) -> pd.DataFrame:
    """Say how far each territory is from the Region. One row per territory (bassin, département, ``R44``), occupation, skill.

    ``counts`` are those of :func:`features.skills.count_skills`, ``listing`` those of
    :func:`features.skill_shares.count_listing`. ``gap`` in angle and its ``variance``; ``n`` offers of the last year list
    skills and ``asking`` of them ask this one; ``borrowed`` is what the Region weighs in the gap: 1 where nothing differs
    beyond chance, or nothing is seen.
    """
    asked = counts[counts["year"] < params.local_years].merge(pairs[PAIR], on=PAIR, how="inner", validate="many_to_one")
    whole = _grid(asked.assign(all=REGION), listing.assign(all=REGION), "all", pairs, params)
    wide, narrow = (_grid(asked, listing, name, pairs, params) for name in ("department", "territory"))
    nothing = np.zeros((len(wide.names), len(pairs)))
    departments = _shrink(wide, whole, psi, _Gaps(nothing, nothing, nothing + 1), params)
    people = listing.groupby(["territory", "department"])["offers"].sum().unstack(fill_value=0)  # noqa: PD010
    weights = people.to_numpy(dtype="float64") / people.sum(axis=1).to_numpy(dtype="float64")[:, None]
    above = _Gaps(weights @ departments.gap, weights**2 @ departments.variance, weights @ departments.borrowed)
    bassins = _shrink(narrow, whole, psi, above, params)
    borrowed = pairs["borrowed"].to_numpy(dtype="float64")
    here = _Gaps(nothing[:1], nothing[:1], np.broadcast_to(borrowed, nothing[:1].shape))
    parts = [_rows(*of, pairs) for of in ((whole, here), (wide, departments), (narrow, bassins))]
    return pd.concat(parts, ignore_index=True).sort_values(["territory", *PAIR], ignore_index=True)


def _grid(asked: pd.DataFrame, listing: pd.DataFrame, by: str, pairs: pd.DataFrame, params: SkillShareParams) -> _Grid:
    """Lay counts out by territory and pair."""
    names, occupations = sorted(listing[by].unique()), pd.Index(pairs["occupation"].unique())
    codes = pd.MultiIndex.from_frame(pairs[PAIR]).get_indexer(pd.MultiIndex.from_frame(asked[PAIR]))
    asking = _sums(asked, codes, pd.Index(names).get_indexer(asked[by]), (params.local_years, len(names), len(pairs)))
    inside = listing[listing["occupation"].isin(occupations)]
    shape = (params.local_years, len(names), len(occupations))
    own = occupations.get_indexer(inside["occupation"])
    listed = _sums(inside, own, pd.Index(names).get_indexer(inside[by]), shape)
    return _Grid(names, asking, listed[:, :, occupations.get_indexer(pairs["occupation"])])


def _sums(rows: pd.DataFrame, column: _Whole, row: _Whole, shape: tuple[int, int, int]) -> _Numbers:
    """Add offers up by year, row and column, in an order that is not that of the rows."""
    at = (rows["year"].to_numpy(dtype="int64") * shape[1] + row) * shape[2] + column
    offers = rows["offers"].to_numpy(dtype="float64")
    order = np.lexsort((offers, at))
    total: _Numbers = np.bincount(at[order], offers[order], minlength=int(np.prod(shape))).astype(np.float64)
    return total.reshape(shape)


def _shrink(grid: _Grid, whole: _Grid, psi: float, above: _Gaps, params: SkillShareParams) -> _Gaps:
    """Shrink the gap of each territory towards that of the wider one, by how far gaps are beyond chance over all pairs."""
    rates = np.divide(whole.asking, whole.listing, out=np.zeros_like(whole.asking), where=whole.listing > 0)
    asking, listing, expected = grid.asking.sum(axis=0), grid.listing.sum(axis=0), (grid.listing * rates).sum(axis=0)
    part = listing / np.maximum(whole.listing.sum(axis=0), _LEAST)
    noise = np.where(listing > 0, np.maximum(psi * (1 - part) / (4 * listing + 2), _LEAST), _UNSEEN)
    gap = angle_of(asking, listing) - angle_of(expected, listing)
    tells = (np.minimum(expected, listing - expected) >= params.learn_from) & (part < 1)
    square, chance = ((gap - above.gap) ** 2)[tells], (noise + above.variance)[tells]
    apart = 0.0
    for _ in range(_ROUNDS if tells.any() else 0):
        weight = 1 / (chance + apart) ** 2
        apart = max(0.0, float((weight * (square - chance)).sum() / weight.sum()))
    lean = noise / (noise + apart)
    return _Gaps(
        (1 - lean) * gap + lean * above.gap,
        (1 - lean) * noise + lean**2 * above.variance,
        lean * above.borrowed,
    )


def _rows(grid: _Grid, gaps: _Gaps, pairs: pd.DataFrame) -> pd.DataFrame:
    """Write what was laid out. One row per territory, occupation, skill."""
    rows = pairs.loc[np.tile(pairs.index, len(grid.names)), PAIR].reset_index(drop=True)
    rows.insert(0, "territory", pd.Series(grid.names, dtype="str").repeat(len(pairs)).to_numpy())
    numbers = {**gaps._asdict(), "n": grid.listing[0], "asking": grid.asking[0]}
    return rows.assign(**{name: of.ravel() for name, of in numbers.items()}).astype({"territory": "str"})
