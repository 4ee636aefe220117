"""Sums placed where the people are: what names a bassin stays there, the rest is shared over the Region by population."""

from __future__ import annotations

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
    shares = population_shares(communes)
    territories, departments = sorted(shares["territory"].unique()), sorted(shares["department"].unique())
    bassin, department = _codes(seen["territory"], territories), _codes(seen["department"], departments)
    anywhere = np.flatnonzero(department < 0)
    parts = []
    for number, (_, cells) in enumerate(shares.groupby("department")):
        rows = np.flatnonzero(department == number)
        slots = np.full(len(territories) + 1, -1, dtype=np.int64)  # the last one is for rows without a bassin, whose code is -1
        slots[np.searchsorted(territories, cells["territory"].tolist())] = np.arange(len(cells))
        slot = slots[bassin[rows]]
        shared = ((rows[slot < 0], cells["share"]), (anywhere, cells["share_of_region"]))
        parts.append(_place(cells, _Own(rows[slot >= 0], slot[slot >= 0]), shared, at, size))
    return _rows(_fill(parts, at, {name: seen[name].to_numpy() for name in measures}, size), keys)


class _Own(NamedTuple):
    """Rows that name their bassin: which they are, and which cell of their département that is."""

    rows: _Positions
    slot: _Positions


class _Placed(NamedTuple):
    """The places of one département that hold anything: the cell and the place of each, in order.

    ``own`` are the rows that name their bassin, and ``goes`` says where; ``loose`` are rows that do not, with the share of
    them that each place takes.
    """

    cells: pd.DataFrame
    slot: _Positions
    at: _Positions
    own: _Positions
    goes: _Positions
    loose: list[tuple[_Positions, _Numbers]]


def _place(
    cells: pd.DataFrame, own: _Own, shared: tuple[tuple[_Positions, pd.Series[float]], ...], at: _Positions, size: int
) -> _Placed:
    """Find the places of one département that hold anything."""
    here: _Positions = own.slot * size + at[own.rows]
    present = np.zeros((len(cells), size), dtype=bool)
    present.ravel()[here] = True
    for rows, _ in shared:
        present[:, at[rows]] = True
    slot, place = np.nonzero(present)
    loose = [(rows, np.asarray(share, dtype=np.float64)[slot]) for rows, share in shared if len(rows)]
    return _Placed(cells, slot, place, own.rows, np.cumsum(present.ravel())[here] - 1, loose)


class _Filled(NamedTuple):
    """Sums by cell, and the place of each: a column of ``sums`` per place, a row per measure."""

    cells: list[tuple[str, str]]
    counts: list[int]
    at: _Positions
    measures: list[str]
    sums: _Numbers


def _fill(parts: list[_Placed], at: _Positions, columns: dict[str, _Numbers], size: int) -> _Filled:
    """Add up what each place holds, cell after cell in their order."""
    lengths = {
        (str(territory), str(department)): int(count)
        for part in parts
        for territory, department, count in zip(
            part.cells["territory"], part.cells["department"], np.bincount(part.slot, minlength=len(part.cells)), strict=True
        )
    }
    ordered = sorted(lengths)
    ends = dict(zip(ordered, np.cumsum([lengths[cell] for cell in ordered]).tolist(), strict=True))
    places, sums = np.zeros(sum(lengths.values()), dtype=np.int64), np.zeros((len(columns), sum(lengths.values())))
    for part in parts:
        cells = list(zip(part.cells["territory"], part.cells["department"], strict=True))
        goes = np.concatenate([np.arange(ends[cell] - lengths[cell], ends[cell]) for cell in cells])
        places[goes] = part.at
        for row, values in enumerate(columns.values()):
            total = np.zeros(len(part.at))
            total[part.goes] = values[part.own]
            for rows, share in part.loose:
                block = np.zeros(size)
                block[at[rows]] = values[rows]
                total += share * block[part.at]
            sums[row, goes] = total
    return _Filled(ordered, [lengths[cell] for cell in ordered], places, list(columns), sums)


def _codes(texts: pa.ChunkedArray, values: list[str]) -> _Positions:
    """Give the position of each text among some values, -1 where it is missing."""
    codes: _Positions = pc.index_in(texts, value_set=pa.array(values, texts.type)).fill_null(-1).to_numpy()
    return codes


def _positions(seen: pa.Table, keys: dict[str, list[str]]) -> _Positions:
    """Give the place of each row: its keys, read as the digits of a number."""
    at = np.zeros(len(seen), dtype=np.int64)
    for name, values in keys.items():
        at = at * len(values) + _codes(seen[name], values)
    return at


def _rows(filled: _Filled, keys: dict[str, list[str]]) -> pd.DataFrame:
    """Write places as rows. One row per cell and keys that hold anything."""
    cell = np.repeat(np.arange(len(filled.cells)), filled.counts)
    columns = {name: _spelt([pair[k] for pair in filled.cells], cell) for k, name in enumerate(CELL)}
    at = filled.at
    for name, values in reversed(keys.items()):
        at, code = np.divmod(at, max(len(values), 1))
        columns[name] = _spelt(values, code)
    texts = to_frame(pa.table({name: columns[name] for name in (*CELL, *keys)}))
    frame = pd.DataFrame(filled.sums.T, columns=filled.measures, copy=False)
    for number, text in enumerate(texts):
        frame.insert(number, str(text), texts[text])
    return frame


def _spelt(values: list[str], codes: _Positions) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(values, pa.large_string())).dictionary_decode()
