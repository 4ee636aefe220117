"""Tables too large to hold: an Arrow dataset is asked in SQL, and only the answer is held.

DuckDB is the engine. Parquet files of a dataset are scanned by its own reader, which is quicker than the scan of Arrow;
rows at hand (in a frame, or in memory as a dataset) are taken as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from tempfile import TemporaryDirectory
from typing import TypeAlias

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds

from features.contracts import Contract
from features.vocabulary import InputError

Source: TypeAlias = ds.Dataset | pd.DataFrame
_SQL_TYPES = {"text": "VARCHAR", "date": "TIMESTAMP", "number": "DOUBLE", "integer": "BIGINT", "flag": "BOOLEAN"}


def ask(sql: str, tables: Mapping[str, Source], **values: object) -> pd.DataFrame:
    """Answer a question in SQL over named tables; ``$name`` in it is a value. One row as the question says.

    A question that wants the same bytes each time sums whole numbers only, and orders its rows: threads add up in any order.
    """
    return to_frame(ask_arrow(sql, tables, **values))


def ask_arrow(sql: str, tables: Mapping[str, Source], **values: object) -> pa.Table:
    """Answer a question as :func:`ask` does, in an Arrow table."""
    with TemporaryDirectory(prefix="needs-") as spill, duckdb.connect() as connection:
        connection.execute("SET autoinstall_known_extensions = false; SET preserve_insertion_order = false")
        if connection.execute("SELECT current_setting('enable_progress_bar')").fetchone() == (True,):
            connection.execute(
                "SET enable_progress_bar = false"
            )  # Jupyter has it off without ipywidgets, and refuses to set it
        connection.execute(f"SET temp_directory = '{spill}'")
        try:
            for name, table in tables.items():
                _name_table(connection, name, table)
            return connection.sql(sql, params=values or None).to_arrow_table()
        except (OSError, duckdb.IOException, duckdb.InvalidInputException) as error:
            raise InputError(f"A table of the lake cannot be read ({str(error)[:200]}). Load it again: needs ingest") from error


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Turn an Arrow table into a frame. Same rows."""
    frame: pd.DataFrame = table.to_pandas()
    if len(frame):
        return frame
    # Texts without a chunk of memory cannot be merged by pandas.
    return pd.DataFrame({name: pd.Series([], dtype=column.dtype) for name, column in frame.items()})


def _name_table(connection: duckdb.DuckDBPyConnection, name: str, table: Source) -> None:
    """Give a table its name in the questions to come."""
    if isinstance(table, pd.DataFrame):
        connection.register(name, pa.Table.from_pandas(table, preserve_index=False))
    elif isinstance(table, ds.FileSystemDataset) and table.format.default_extname == "parquet" and table.files:
        files = ", ".join("'{}'".format(path.replace("'", "''")) for path in table.files)
        within = set(next(table.get_fragments()).physical_schema.names)
        hive = "true, hive_types_autocast = false" if set(table.schema.names) - within else "false"
        connection.execute(f'CREATE VIEW "{name}" AS SELECT * FROM read_parquet([{files}], hive_partitioning = {hive})')
    else:
        connection.register(name, table)


def lazy(frame: pd.DataFrame) -> ds.Dataset:
    """Turn rows at hand into a dataset. Same rows."""
    return ds.dataset(pa.Table.from_pandas(frame, preserve_index=False))


def empty_dataset(contract: Contract) -> ds.Dataset:
    """Give a table of a contract without a row."""
    return lazy(contract.empty())


def with_optional(table: ds.Dataset, contract: Contract, name: str) -> str:
    """Write the SELECT of a table, with the optional columns it lacks, empty; a missing one that must be there is an error."""
    contract.check_shape(table.schema.names, contract.name)
    lacking = [column for column in contract.columns if column.name not in table.schema.names]
    added = "".join(f", NULL::{_SQL_TYPES[column.kind]} AS {column.name}" for column in lacking)
    return f"SELECT *{added} FROM {name}"
