"""Publish a run as a whole, or not at all; go back to an earlier one; read the current one.

    engine = open_database("sqlite:///var/needs.db")
    publish(engine, run, tables, published_by="nightly")
    rollback(engine, None)

A run is written under its ``run_id`` and becomes current in the same transaction: whatever dies on the way, readers see
the last complete run through the views ``current_<table>``. The same statements serve SQLite and PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import URL, Connection, Engine, create_engine, delete, event, func, insert, inspect, make_url, select
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError
from sqlalchemy.pool import NullPool, QueuePool

from features.vocabulary import InputError
from needs.store.schema import BESIDE, CURRENT_RUN, EDITION, METADATA, RUNS, SCHEMA_VERSION, TABLES, conform, key_of

COMPLETE = "complete"
NOTHING = "Nothing has been published yet: run 'needs nightly'."
_EVERY = {**TABLES, **BESIDE}
_CHUNK = 20_000
_SQLITE_BUSY_S = 30


@dataclass(frozen=True)
class Run:
    """One run: what it knew, when it ran, and the code, parameters and data that made it."""

    run_id: str
    as_of: date
    started_at: datetime
    finished_at: datetime
    status: str
    code_version: str
    params_sha256: str
    data_sha256: str

    def row(self) -> dict[str, object]:
        """Give the row of ``runs``."""
        times = {
            "as_of": self.as_of.strftime("%Y-%m-%d"),
            "started_at": self.started_at.isoformat(timespec="seconds"),
            "finished_at": self.finished_at.isoformat(timespec="seconds"),
        }
        return {**asdict(self), **times, "schema_version": SCHEMA_VERSION}


def open_database(url: str) -> Engine:
    """Open the database of published runs, and lay its tables and views when it is new.

    Raises :class:`InputError` for a database that cannot be reached or that another edition of the engine laid.
    """
    engine = _engine(_address(url))
    try:
        with engine.connect() as connection:
            new = not inspect(connection).has_table(EDITION.name)
        if new:
            _lay_tables(engine)
        _check_edition(engine)
    except DatabaseError as error:
        raise InputError(
            f"{_shown(engine.url)}: the database cannot be opened ({str(error.orig).strip().splitlines()[0]}). "
            f"{_way_out(engine.url)}"
        ) from error
    return engine


def _address(url: str) -> URL:
    try:
        address = make_url(url)
    except ArgumentError as error:
        raise InputError(f"'{url[:80]}' is not the address of a database. Write it like sqlite:///var/needs.db.") from error
    # Without a driver's name, SQLAlchemy before 2.1 asks for another driver than the one we declare.
    return address.set(drivername="postgresql+psycopg") if address.drivername in ("postgres", "postgresql") else address


def _engine(address: URL) -> Engine:
    sqlite = address.get_backend_name() == "sqlite"
    if sqlite and address.database in (None, "", ":memory:"):
        raise InputError(f"{_shown(address)}: a run is published to a file. Write it like sqlite:///var/needs.db.")
    if sqlite and address.database:
        Path(address.database).parent.mkdir(parents=True, exist_ok=True)
    try:
        engine = create_engine(address, poolclass=NullPool if sqlite else QueuePool)
    except (ImportError, NoSuchModuleError) as error:
        raise InputError(
            f"{_shown(address)}: this kind of database needs a driver that is not installed ({error}). "
            "For PostgreSQL: pip install 'skills-needs[postgres]'."
        ) from error
    if sqlite:
        _behave_like_a_server(engine)
    return engine


def _behave_like_a_server(engine: Engine) -> None:
    """Let readers read while a run is written, and let a transaction hold tables and views too."""

    def connect(connection: object, _: object) -> None:
        connection.isolation_level = None  # type: ignore[attr-defined]  # the driver's own BEGIN leaves DDL out
        cursor = connection.cursor()  # type: ignore[attr-defined]
        for pragma in ("journal_mode = WAL", "foreign_keys = ON", f"busy_timeout = {_SQLITE_BUSY_S * 1000}"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    event.listen(engine, "connect", connect)
    event.listen(engine, "begin", begin)


def _lay_tables(engine: Engine) -> None:
    with _writing(engine) as connection:
        there = set(inspect(connection).get_table_names())
        if EDITION.name in there:  # another process laid them meanwhile
            return
        if strangers := sorted(there & set(METADATA.tables)):
            raise InputError(
                f"{_shown(engine.url)}: it already holds tables that another program laid ({', '.join(strangers[:5])}). "
                f"{_way_out(engine.url)}"
            )
        METADATA.create_all(connection)
        connection.execute(insert(EDITION).values(schema_version=SCHEMA_VERSION))
        for name, table in _EVERY.items():
            rows = select(*table.c).join(CURRENT_RUN, CURRENT_RUN.c.run_id == table.c.run_id)
            connection.exec_driver_sql(f"CREATE VIEW current_{name} AS {rows.compile(connection)}")


def _check_edition(engine: Engine) -> None:
    with engine.connect() as connection:
        editions = connection.scalars(select(EDITION.c.schema_version)).all()
    if editions != [SCHEMA_VERSION]:
        raise InputError(
            f"{_shown(engine.url)}: its tables are of edition {', '.join(map(str, editions)) or 'unknown'}, this version "
            f"reads edition {SCHEMA_VERSION}. {_way_out(engine.url)}"
        )


def _way_out(address: URL) -> str:
    """Say what to do with a database that cannot be used: another address is always one that is not this one."""
    name = Path(address.database or "needs")
    other = _shown(address.set(database=name.with_name(f"{name.stem}-new{name.suffix}").as_posix()))
    setting = f"set execution.database in params.yaml to another address, like {other}."
    return (
        f"Move the file away and run again, or {setting}"
        if address.get_backend_name() == "sqlite"
        else f"Mend it, or {setting}"
    )


def _shown(address: URL) -> str:
    """Show the address of a database without its password."""
    return address.render_as_string(hide_password=True)


def publish(
    engine: Engine,
    run: Run,
    tables: Mapping[str, pd.DataFrame],
    *,
    published_by: str,
    beside: Mapping[str, pd.DataFrame] | None = None,
) -> bool:
    """Write a complete run and make it current, in one transaction. True when it was not there yet.

    ``beside`` is what is told of the run that its inputs alone do not make: its gates.

    A run that is already there keeps its rows; it becomes current again if another one was.
    """
    if run.status != COMPLETE:
        raise ValueError(f"run {run.run_id} is {run.status}; only a complete run is published")
    if unknown := (set(tables) - set(TABLES)) | (set(beside or {}) - set(BESIDE)):
        raise ValueError(f"no published tables are called {sorted(unknown)}")
    frames = {name: conform(name, frame) for name, frame in {**tables, **(beside or {})}.items()}
    with _writing(engine) as connection:
        new = run.run_id not in _run_ids(connection)
        if new:
            connection.execute(insert(RUNS).values(run.row()))
            for name, frame in frames.items():
                _write_rows(connection, name, frame, run.run_id)
        _make_current(connection, run.run_id, published_by)
    return new


def _writing(engine: Engine) -> AbstractContextManager[Connection]:
    """Hold one transaction that writes from its first statement, so that it never waits on its own snapshot."""
    return engine.execution_options(writes=True).begin()


def _write_rows(connection: Connection, name: str, frame: pd.DataFrame, run_id: str) -> None:
    """Insert a conformed frame under its run. One row per row of the frame."""
    statement = insert(_EVERY[name])
    names = ["run_id", *frame.columns]
    for first in range(0, len(frame), _CHUNK):
        cells = [_plain(frame[column].iloc[first : first + _CHUNK]) for column in frame]
        rows = [dict(zip(names, (run_id, *row), strict=True)) for row in zip(*cells, strict=True)]
        connection.execute(statement, rows)


def _plain(cells: pd.Series) -> list[object]:
    """Give the cells as plain Python values, missing ones as None."""
    return cells.astype(object).where(cells.notna(), None).tolist()


def _make_current(connection: Connection, run_id: str, published_by: str) -> None:
    if connection.scalar(select(CURRENT_RUN.c.run_id)) == run_id:
        return
    connection.execute(delete(CURRENT_RUN))
    row = {"run_id": run_id, "published_by": published_by, "one": 1}
    connection.execute(insert(CURRENT_RUN).values(**row, published_at=func.current_timestamp()))


def _run_ids(connection: Connection) -> list[str]:
    """List the runs, the last finished first."""
    return list(connection.scalars(select(RUNS.c.run_id).order_by(RUNS.c.finished_at.desc(), RUNS.c.run_id.desc())))


def list_runs(engine: Engine) -> pd.DataFrame:
    """List the published runs, the last finished first. One row per run; ``current`` marks the one readers see."""
    query = select(RUNS, CURRENT_RUN.c.run_id.is_not(None).label("current"))
    query = query.outerjoin(CURRENT_RUN, CURRENT_RUN.c.run_id == RUNS.c.run_id)
    with engine.connect() as connection:
        result = connection.execute(query.order_by(RUNS.c.finished_at.desc(), RUNS.c.run_id.desc()))
        runs = pd.DataFrame.from_records([tuple(row) for row in result], columns=list(result.keys()))
    return runs.astype({"current": bool})


def rollback(engine: Engine, run_id: str | None) -> str:
    """Make the named run current, or the one before the current one. Returns the run that is current now."""
    with _writing(engine) as connection:
        runs = _run_ids(connection)
        current = connection.scalar(select(CURRENT_RUN.c.run_id))
        target = run_id or _run_before(runs, current)
        if target not in runs:
            raise InputError(f"No run is called '{target}'. {_listing(runs)}")
        _make_current(connection, target, "rollback")
    return target


def _run_before(runs: list[str], current: str | None) -> str:
    earlier = runs[runs.index(current) + 1 :] if current else []
    if not earlier:
        raise InputError(f"There is no run before the current one ({current or 'none'}) to go back to. {_listing(runs)}")
    return earlier[0]


def _listing(runs: list[str]) -> str:
    return f"Runs there are, the last first: {', '.join(runs)}." if runs else NOTHING


def read_current(engine: Engine, table: str) -> pd.DataFrame:
    """Read one table of the current run, sorted by key; without a row when nothing has been published. Rows as published."""
    with engine.connect() as connection:
        return _read(connection, table, connection.scalar(select(CURRENT_RUN.c.run_id)))


def read_run(engine: Engine, table: str, run_id: str) -> pd.DataFrame:
    """Read one table of a run that is published, current or not, sorted by key. Rows as published."""
    with engine.connect() as connection:
        if run_id not in (runs := _run_ids(connection)):
            raise InputError(f"No run is called '{run_id}'. {_listing(runs)}")
        return _read(connection, table, run_id)


def read_few(engine: Engine, table: str, columns: Sequence[str], **held: Sequence[str | int]) -> list[tuple[Any, ...]]:
    """Read some columns of the rows of the current run whose other columns hold one of the values given.

    A tuple per row, its cells as they are stored, missing ones None; sorted by key. Cheap where the first keys are given.
    """
    own = TABLES[table].c
    asked = [own[name].in_(list(values)) for name, values in held.items()]
    run = select(CURRENT_RUN.c.run_id).scalar_subquery()
    query = select(*(own[name] for name in columns)).where(own.run_id == run, *asked)
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(query.order_by(*(own[name] for name in key_of(table))))]


def count_current(engine: Engine, table: str) -> int:
    """Count the rows of one table of the current run; none when nothing has been published."""
    run = select(CURRENT_RUN.c.run_id).scalar_subquery()
    with engine.connect() as connection:
        return int(connection.scalar(select(func.count()).where(TABLES[table].c.run_id == run)) or 0)


def _read(connection: Connection, table: str, run_id: str | None) -> pd.DataFrame:
    if table not in _EVERY:
        raise ValueError(f"no published table is called {table}")
    columns = [column for column in _EVERY[table].c if column.name != "run_id"]
    rows = connection.execute(select(*columns).where(_EVERY[table].c.run_id == run_id)).all()
    cells = zip(*rows, strict=True) if rows else [()] * len(columns)
    named = zip((column.name for column in columns), cells, strict=True)
    return conform(table, pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in named}))


def prune(engine: Engine, keep: int) -> list[str]:
    """Remove all runs but the last ``keep`` and the current one. Returns the removed ones, the last first."""
    if keep < 1:
        raise InputError(f"keep is {keep}: at least one run is kept. Write it like 30.")
    with _writing(engine) as connection:
        current = connection.scalar(select(CURRENT_RUN.c.run_id))
        gone = [run_id for run_id in _run_ids(connection)[keep:] if run_id != current]
        for table in (*_EVERY.values(), RUNS):
            connection.execute(delete(table).where(table.c.run_id.in_(gone)))
    return gone
