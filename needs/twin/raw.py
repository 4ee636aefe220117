"""Writers of raw files, so that the same rows always give the same bytes."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pandas as pd

from features.contracts import Contract

_CHUNK = 5_000
Row = TypeVar("Row")


@dataclass(frozen=True)
class Written:
    """One file: its source (its folder), where it lies and how many rows it holds."""

    source: str
    path: Path
    rows: int


def rows_of(frame: pd.DataFrame, kind: Callable[..., Row], columns: tuple[str, ...]) -> Iterator[Row]:
    """Give each row of a frame as a named tuple (its type, and its fields), with plain Python values."""
    return map(kind, *(frame[name].tolist() for name in columns))


def write_csv(rows: pd.DataFrame, contract: Contract, path: Path) -> int:
    """Write one of our CSV files: French headers, ``;``, empty for unknown. Says how many rows."""
    cells = {}
    for column in contract.columns:
        if column.header:
            cells[column.header] = _spelt(rows[column.name], column.kind)
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(cells).to_csv(path, sep=";", index=False, date_format="%Y-%m-%d", lineterminator="\n", encoding="utf-8")
    return len(rows)


def _spelt(column: pd.Series, kind: str) -> pd.Series:
    if kind == "flag":
        return column.astype("boolean").astype("Int8")
    return column.astype("Int64") if kind == "integer" else column


def write_lines(lines: Iterable[str], path: Path) -> None:
    """Write text as it comes into a gzip file that holds neither a name nor a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as plain, gzip.GzipFile(filename="", fileobj=plain, mode="wb", compresslevel=6, mtime=0) as packed:
        block: list[str] = []
        for line in lines:
            block.append(line)
            if len(block) >= _CHUNK:
                packed.write("".join(block).encode())
                block = []
        packed.write("".join(block).encode())


def write_truth(frame: pd.DataFrame, path: Path) -> int:
    """Write what is true into a Parquet file. Says how many rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(path, index=False)
    return len(frame)
