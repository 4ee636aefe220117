"""Sums placed where the people are: what names a bassin stays there, the rest is shared over the Region by population."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.lazy import to_frame

CELL = ["territory", "department"]
_Numbers = NDArray[np.float64]
_Positions = NDArray[np.int64]


def population_shares(communes: pd.DataFrame) -> pd.DataFrame:
    """Say which share of a département, and of the Region, lives in each bassin. One row per département, territory."""
    people = communes.groupby(["department", "territory"], as_index=False)["population"].sum()
    whole = people.groupby("department")["population"].transform("sum")
    shares: pd.DataFrame = people.assign(
        share=people["population"] / whole, share_of_region=people["population"] / people["population"].sum()
    )
    return shares.drop(columns="population")


def spread_over_cells(seen: pa.Table, communes: pd.DataFrame, keys: dict[str, list[str]]) -> pd.DataFrame:
    """Place what is counted: in the bassin it names, else by population over its département, else over the Region.

    Reads one row per territory, département (either may be missing) and keys, with sums in the other columns, every code one
    of the communes'; ``keys`` lists the values of each key in their order. One row per territory, department and keys that
    holds anything, in the order of the keys; no mass is lost. Rows have their place by arithmetic, so that nothing is sorted
    or searched, and what is added up is added in the same order whatever that of the rows.
    """
    measures = [name for name in seen.column_names if name not in (*CELL, *keys)]
    size = int(np.prod([len(values) for values in keys.values()]))
    at = _positions(seen, keys)
    columns = {name: seen[name].to_numpy() for name in measures}
    nowhere = np.flatnonzero(pc.is_null(seen["department"]).to_numpy())
    anywhere = _Loose(at[nowhere], {name: columns[name][nowhere] for name in measures}, size)
    placed: dict[tuple[str, str], tuple[_Positions, list[_Numbers]]] = {}
    for department, cells in population_shares(communes).groupby("department"):
        rows = np.flatnonzero(pc.equal(seen["department"], str(department)).fill_null(False).to_numpy())
        slots = _codes(seen["territory"].take(pa.array(rows)), cells["territory"].tolist(), missing=len(cells))
        own, rest = slots < len(cells), rows[slots == len(cells)]
        loose = _Loose(at[rest], {name: columns[name][rest] for name in measures}, size)
        here = slots[own] * size + at[rows[own]]
        values = {name: columns[name][rows[own]] for name in measures}
        for territory, found in _place(here, values, ((loose, "share"), (anywhere, "share_of_region")), cells):
            placed[territory, str(department)] = found
    return _rows(placed, keys, measures)


class _Loose(NamedTuple):
    """Sums of rows that name no bassin: where each stands among ``size`` places, and what it holds."""

    at: _Positions
    values: dict[str, _Numbers]
    size: int

    def block(self, name: str) -> _Numbers:
        """Give one measure in every place."""
        block = np.zeros(self.size)
        block[self.at] = self.values[name]
        return block


def _place(
    here: _Positions, values: dict[str, _Numbers], shared: tuple[tuple[_Loose, str], ...], cells: pd.DataFrame
) -> Iterator[tuple[str, tuple[_Positions, list[_Numbers]]]]:
    """Give each cell of one département the places that hold anything, and its sums there, measure by measure."""
    size = shared[0][0].size
    present = np.zeros((len(cells), size), dtype=bool)
    present.ravel()[here] = True
    used = [(loose, cells[share].to_numpy()) for loose, share in shared if len(loose.at)]
    for loose, _ in used:
        present[:, loose.at] = True
    slot, at = np.nonzero(present)
    index = np.cumsum(present.ravel())[here] - 1
    sums = []
    for name, own in values.items():
        total = np.zeros(len(at))
        total[index] = own
        for loose, share in used:
            total += share[slot] * loose.block(name)[at]
        sums.append(total)
    ends = np.cumsum(present.sum(axis=1))[:-1]
    parts = zip(*(np.split(column, ends) for column in (at, *sums)), strict=True)
    for territory, (places, *totals) in zip(cells["territory"].tolist(), parts, strict=True):
        yield territory, (places, totals)


def _codes(texts: pa.ChunkedArray, values: list[str], *, missing: int) -> _Positions:
    """Give the position of each text among some values."""
    codes = pc.index_in(texts, value_set=pa.array(values, texts.type)).fill_null(missing)
    positions: _Positions = codes.to_numpy().astype(np.int64)
    return positions


def _positions(seen: pa.Table, keys: dict[str, list[str]]) -> _Positions:
    """Give the place of each row: its keys, read as the digits of a number."""
    at = np.zeros(len(seen), dtype=np.int64)
    for name, values in keys.items():
        at = at * len(values) + _codes(seen[name], values, missing=0)
    return at


def _rows(
    placed: dict[tuple[str, str], tuple[_Positions, list[_Numbers]]], keys: dict[str, list[str]], measures: list[str]
) -> pd.DataFrame:
    """Write places as rows. One row per cell and keys that hold anything."""
    ordered = sorted(placed)
    counts = [len(placed[cell][0]) for cell in ordered]
    columns = {
        name: _spelt([cell[k] for cell in ordered], np.repeat(range(len(ordered)), counts)) for k, name in enumerate(CELL)
    }
    at = np.concatenate([placed[cell][0] for cell in ordered])
    for name, values in reversed(keys.items()):
        at, code = np.divmod(at, max(len(values), 1))
        columns[name] = _spelt(values, code)
    sums = {name: np.concatenate([placed[cell][1][k] for cell in ordered]) for k, name in enumerate(measures)}
    return to_frame(pa.table({name: columns[name] for name in (*CELL, *keys)} | sums))


def _spelt(values: list[str], codes: _Positions) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(values, pa.large_string())).dictionary_decode()
