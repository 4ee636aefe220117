r"""Many rows at once, into the database and out of it: in chunks, so that memory stays bounded, and each cell as it was.

PostgreSQL takes rows by COPY, in its text format (its CSV takes a line ``\.`` inside a text for the end of all, up to version
17); SQLite by one prepared statement. Both are part of the transaction that the caller holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import repeat
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import BigInteger, Connection, Float, Integer, Row, Table, Text, insert, select

from needs.store.schema import EVERY, conform, conform_parts

_CHUNK = 50_000
_KINDS = {Text: pa.string(), Float: pa.float64(), Integer: pa.int64(), BigInteger: pa.int64()}
_ENDS = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
"""What would end a cell or a line, as COPY spells it inside one; the backslash first."""


def write_rows(connection: Connection, name: str, frame: pd.DataFrame, run_id: str) -> int:
    """Write a frame of a published table under its run, sorted by key. Returns its rows."""
    chunks = _chunks(conform_parts(name, frame, _CHUNK), _arrow(EVERY[name]))
    (_copy if connection.dialect.name == "postgresql" else _insert)(connection, EVERY[name], chunks, run_id)
    return len(frame)


def _arrow(table: Table) -> pa.Schema:
    """Give the columns of a table, without its run, as Arrow spells them."""
    return pa.schema([(column.name, _KINDS[type(column.type)]) for column in table.c if column.name != "run_id"])


def _chunks(parts: Iterator[pd.DataFrame], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Write parts of a conformed frame; what is missing is null."""
    for part in parts:
        yield from pa.Table.from_pandas(part, schema, preserve_index=False).to_batches()


def _insert(connection: Connection, table: Table, chunks: Iterator[pa.RecordBatch], run_id: str) -> None:
    statement = str(insert(table).compile(connection))
    for chunk in chunks:
        cells = (column.to_pylist() for column in chunk.columns)
        connection.exec_driver_sql(statement, list(zip(repeat(run_id, len(chunk)), *cells, strict=True)))


def _copy(connection: Connection, table: Table, chunks: Iterator[pa.RecordBatch], run_id: str) -> None:
    quote = connection.dialect.identifier_preparer.quote
    columns = ", ".join(quote(column.name) for column in table.c)
    statement = f"COPY {quote(table.name)} ({columns}) FROM STDIN (FORMAT text, ENCODING 'UTF8')"
    cursor: Any = connection.connection.cursor()
    with closing(cursor), cursor.copy(statement) as copy:
        for chunk in chunks:
            copy.write(_lines(chunk, run_id))


def _lines(chunk: pa.RecordBatch, run_id: str) -> memoryview:
    r"""Spell rows as COPY reads them: a line each, cells between tabs, ``\N`` where nothing is known, numbers to the last bit.

    >>> rows = pa.RecordBatch.from_pydict({"a": ["é", "two\nlines", None], "b": [1 / 3, None, -0.0]})
    >>> print(bytes(_lines(rows, "run")).decode().replace("\t", "|"))
    run|é|0.3333333333333333
    run|two\nlines|\N
    run|\N|-0
    <BLANKLINE>
    """
    cells = [_escaped(column) if pa.types.is_string(column.type) else column.cast(pa.string()) for column in chunk.columns]
    told = {"null_handling": "replace", "null_replacement": "\\N"}
    lines = pc.binary_join_element_wise(_escaped(pa.scalar(run_id)), *cells, "\t", **told)
    return memoryview(pc.binary_join_element_wise(lines, "", "\n").buffers()[2])


def _escaped(cells: pa.Array | pa.Scalar) -> pa.Array | pa.Scalar:
    for end, spelt in _ENDS.items():
        cells = pc.replace_substring(cells, end, spelt)
    return cells


def read_rows(connection: Connection, name: str, run_id: str | None) -> pd.DataFrame:
    """Read a published table of a run, sorted by key. Rows as published; none without a run."""
    table = EVERY[name]
    schema = _arrow(table)
    query = select(*(table.c[column] for column in schema.names)).where(table.c.run_id == run_id)
    result = connection.execute(query.execution_options(yield_per=_CHUNK))
    chunks = [_chunk(rows, schema) for rows in result.partitions()]
    # Whole numbers stay whole beside missing ones.
    return conform(name, pa.Table.from_batches(chunks, schema).to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get))


def _chunk(rows: Sequence[Row[Any]], schema: pa.Schema) -> pa.RecordBatch:
    cells = [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), schema, strict=True)]
    return pa.RecordBatch.from_arrays(cells, schema=schema)
