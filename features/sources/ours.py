"""Our own tables: CSV (UTF-8, ``;``, French headers) or Parquet with the same headers, one file or many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.contracts import Checked, Contract
from features.sources.files import CSV, PARQUET, each, opened
from features.sources.grid import frame_of
from features.sources.records import read_records
from features.tables import CONTRACTS
from features.vocabulary import InputError

_ROWS_FREELY = 1_000_000
_MOST_ROWS_PER_BYTE = 4
_TEXT_FREELY = 256 * 1024**2
_LARGEST_RATIO = 100  # texts to file: a real table has a key, and unfolds to 5 to 30 times its size
_MOST_TEXT = 2 * 1024**3
_BATCH = 50_000  # rows


def read_table(paths: Sequence[Path], contract: Contract) -> Checked:
    """Read the files of one source into its checked table. One row per row of the files.

    Neither the order of the files, nor that of their rows or columns changes the table. No reason ever holds what a
    cell holds: some of these tables are about persons.
    """
    return parse_rows(each(paths, lambda path: read_rows(path, contract)), contract)


def parse_rows(parts: Sequence[pd.DataFrame], contract: Contract) -> Checked:
    """Check what was read of several files as one table of ours. One row per row of the parts."""
    rows = pd.concat(parts, ignore_index=True) if parts else _no_rows(contract)
    del parts
    if "territory_kind" in rows:
        rows = rows.assign(territory=_typed_territories(rows))
    if "bids" in rows:
        rows = rows.assign(known_from=_notified(rows))
    texts = [rows]
    del rows
    return contract.parse(texts.pop(), contract.name)  # which lets go of the texts


def _notified(rows: pd.DataFrame) -> pd.Series[str]:
    """Date the lots that found no bidder: never notified, they are known when their year ends. Same rows."""
    fruitless = (rows["bids"].str.strip() == "0") & (rows["known_from"].str.strip() == "")
    return rows["known_from"].mask(fruitless, rows["exercise"].str.strip() + "-12-31")


def example_of(contract: Contract) -> str:
    """Say how a real file of this table starts."""
    return f"A real one is a CSV whose first line is {';'.join(contract.headers)}"


def _no_rows(contract: Contract) -> pd.DataFrame:
    return pd.DataFrame({column.name: pd.Series(dtype="str") for column in contract.columns})


def read_rows(path: Path, contract: Contract) -> pd.DataFrame:
    """Read one file as texts. One row per row of the file, with its ``file``, ``line`` and, if wrong already, ``reason``."""
    with opened(path, CSV, PARQUET) as stream:
        is_parquet = stream.peek(4)[:4] == b"PAR1"
    if path.suffix == ".parquet" and not is_parquet:
        raise InputError(f"{path}: is not a Parquet file, though it is named so. Write it again, or name it .csv if it is one.")
    return read_parquet(path, contract) if is_parquet else _read_csv(path, contract)


def _read_csv(path: Path, contract: Contract) -> pd.DataFrame:
    """Read one CSV file as texts. One row per record after the header."""
    records = read_records(path, ";", CSV, PARQUET)
    _, header = next(records, (0, [""]))
    return frame_of(records, _names_of(header, path, contract), len(header), path)


def _names_of(header: list[str], path: Path, contract: Contract) -> dict[str, int]:
    """Say where each column stands in a header; refuse what is no header of ours."""
    if len(header) == 1 and any(mark in header[0] for mark in ",\t"):
        mark = "commas" if "," in header[0] else "tabs"
        raise InputError(f"{path}: is separated by {mark}; ours are separated by ';'. {example_of(contract)}")
    spelt = [name.strip().lower() for name in header]
    _refuse_other_table(set(spelt), path, contract)
    names = contract.rename_headers(header)
    twice = sorted({title.strip().lower() for title in names if spelt.count(title.strip().lower()) > 1})
    if twice:
        raise InputError(*(f"{path}: column '{name}' comes twice; keep one of them." for name in twice))
    contract.check_shape(list(names.values()), str(path))
    return {names[title]: position for position, title in enumerate(header) if title in names}


def _refuse_other_table(headers: set[str], path: Path, contract: Contract) -> None:
    """Say in one line that a file is of another table of ours, or that it lacks most columns."""
    needed = _needed(contract)
    missing = [header for header in needed if header.lower() not in headers]
    others = [other.name for other in CONTRACTS if headers.issuperset(_needed(other))]
    if missing and others:
        raise InputError(f"{path}: these are the columns of '{others[0]}', not of '{contract.name}'.")
    if 2 * len(missing) > len(needed):
        raise InputError(
            f"{path}: {len(missing)} of the {len(needed)} columns of {contract.name} are missing: {';'.join(missing)}"
        )


def _needed(contract: Contract) -> list[str]:
    return [column.header or column.name for column in contract.columns if not column.optional]


def read_parquet(path: Path, contract: Contract) -> pd.DataFrame:
    """Read one Parquet file as the texts that a CSV would hold. One row per row of the file."""
    with opened(path, PARQUET) as stream:
        try:
            schema = pq.read_schema(stream)
            names = _names_of(schema.names, path, contract)
            _refuse_no_values([schema.field(place) for place in names.values()], path)
            texts = [field.name for field in schema if _is_text(field.type)]
            file = pq.ParquetFile(stream, read_dictionary=texts)
            _refuse_bomb(file, path)
            table = _laid_out(file, {name: schema.names[place] for name, place in names.items()}, path)
        except (pa.ArrowException, OSError) as fault:
            raise InputError(f"{path}: cannot be read as Parquet; write it again.") from fault
    rows: pd.DataFrame = table.to_pandas()
    return rows.assign(line=range(1, len(rows) + 1), file=path.name)


def _is_text(kind: pa.DataType) -> bool:
    return any(is_kind(kind) for is_kind in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary))


def _refuse_no_values(fields: list[pa.Field], path: Path) -> None:
    """Refuse columns that hold anything but plain values."""
    wrong = [field.name for field in fields if pa.types.is_nested(field.type) or pa.types.is_fixed_size_binary(field.type)]
    if wrong:
        raise InputError(
            *(f"{path}: column '{name}' holds lists, records or bare bytes; it takes plain values." for name in wrong)
        )


def _laid_out(file: pq.ParquetFile, headers: Mapping[str, str], path: Path) -> pa.Table:
    """Lay columns out as texts, part by part, and refuse a few texts repeated until they fill the memory. Same rows."""
    most = min(_MOST_TEXT, max(_TEXT_FREELY, _LARGEST_RATIO * path.stat().st_size))
    parts = [pa.table({name: pa.array([], pa.string()) for name in headers})]
    size = 0
    for batch in file.iter_batches(batch_size=_BATCH, columns=list(headers.values())):
        size += sum(_bytes_of(column) for column in batch.columns)
        if size > most:
            raise InputError(
                f"{path}: unfolds to more than {most / 1024**2:,.0f} MB, far more than a file of its size can hold."
            )
        columns = pa.Table.from_batches([batch])
        parts.append(pa.table({name: _as_text(columns.column(header)) for name, header in headers.items()}))
    return pa.concat_tables(parts)


def _bytes_of(column: pa.Array) -> int:
    """Say how many bytes a column takes once each of its cells holds its own text."""
    if not pa.types.is_dictionary(column.type):
        return int(column.nbytes)
    lengths = pc.binary_length(_as_text(pa.chunked_array([column.dictionary])).combine_chunks())
    return int(pc.sum(lengths.take(column.indices)).as_py() or 0)


def _refuse_bomb(file: pq.ParquetFile, path: Path) -> None:
    """Refuse a file that holds the same few bytes a billion times: a real row has a key, which takes its place."""
    rows = file.metadata.num_rows
    if rows > max(_ROWS_FREELY, _MOST_ROWS_PER_BYTE * path.stat().st_size):
        raise InputError(f"{path}: unfolds to {rows:,} rows, far more than a file of its size can hold.")
    unfolded = sum(file.metadata.row_group(group).total_byte_size for group in range(file.metadata.num_row_groups))
    if unfolded > _MOST_TEXT:
        raise InputError(f"{path}: unfolds to {unfolded / 1024**2:,.0f} MB; split it into several files.")


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Spell typed cells as our CSV files do."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _as_text(column.cast(kind.value_type))
    if pa.types.is_temporal(kind) and not pa.types.is_time(kind) and not pa.types.is_duration(kind):
        return pc.strftime(column, format="%Y-%m-%d")
    if pa.types.is_boolean(kind):
        return pc.if_else(column, "1", "0")
    if pa.types.is_floating(kind):
        column = pc.if_else(pc.is_nan(column), None, column)
    try:
        return column.cast(pa.string())
    except pa.ArrowException:  # bytes that are no text: no cell of ours
        return pa.chunked_array([pa.array(["\ufffd"] * len(column), pa.string())])


def _typed_territories(rows: pd.DataFrame) -> pd.Series[str]:
    """Put the kind before the territory codes that lack it: ``BE`` and ``4415`` make ``BE4415``."""
    kinds = rows["territory_kind"].str.strip()
    codes = rows["territory"].str.strip().str.upper()
    bare = codes.str.fullmatch(r"\d+|2[AB]").fillna(False).astype(bool)
    return codes.mask(bare, kinds + codes)
