"""Publish a run as a whole, or not at all; go back to an earlier one; read the current one.

    engine = open_database("sqlite:///var/needs.db")
    publish(engine, run, tables, published_by="nightly")
    rollback(engine, None)

A run is written under its ``run_id`` and becomes current in the same transaction: whatever dies on the way, readers see
the last complete run through the views ``current_<table>``. The same statements serve SQLite and PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

import pandas as pd
from sqlalchemy import Connection, Engine, delete, func, insert, select

from features.vocabulary import InputError
from needs.store.bulk import read_rows, write_rows
from needs.store.database import open_database as open_database
from needs.store.database import reading, writing
from needs.store.schema import BESIDE, CURRENT_RUN, EVERY, RUNS, SCHEMA_VERSION, TABLES, key_of

COMPLETE, PARTIAL = "complete", "partial"
ROLLBACK = "rollback"
NOTHING = "Nothing has been published yet: run 'needs nightly'."


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


def publish(
    engine: Engine,
    run: Run,
    tables: Mapping[str, pd.DataFrame],
    *,
    published_by: str,
    beside: Mapping[str, pd.DataFrame] | None = None,
    again: bool = False,
) -> dict[str, int]:
    """Write a run, whole or without the territories that failed, and make it current, in one transaction.

    Returns the rows written, by table.

    ``beside`` is what is told of the run that its inputs alone do not make: its gates.

    A run that is already there keeps its rows, and nothing is written, unless ``again`` asks for it; it becomes current
    again if another one was.
    """
    if run.status not in (COMPLETE, PARTIAL):
        raise ValueError(f"run {run.run_id} is {run.status}; only a run that has come to its end is published")
    if unknown := (set(tables) - set(TABLES)) | (set(beside or {}) - set(BESIDE)):
        raise ValueError(f"no published tables are called {sorted(unknown)}")
    written: dict[str, int] = {}
    with writing(engine) as connection:
        there = run.run_id in _run_ids(connection)
        if there and again:
            _remove(connection, [run.run_id])
        if again or not there:
            connection.execute(insert(RUNS).values(run.row()))
            written = {RUNS.name: 1}
            for name, frame in {**tables, **(beside or {})}.items():
                written[name] = write_rows(connection, name, frame, run.run_id)
        _make_current(connection, run.run_id, published_by)
    return written


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
    """List the published runs, the last finished first. One row per run.

    ``current`` marks the one readers see; of that one ``published_at`` and ``published_by`` say since when and by whom.
    """
    current = CURRENT_RUN.c
    query = select(RUNS, current.run_id.is_not(None).label("current"), current.published_at, current.published_by)
    query = query.outerjoin(CURRENT_RUN, CURRENT_RUN.c.run_id == RUNS.c.run_id)
    with reading(engine) as connection:
        result = connection.execute(query.order_by(RUNS.c.finished_at.desc(), RUNS.c.run_id.desc()))
        runs = pd.DataFrame.from_records([tuple(row) for row in result], columns=list(result.keys()))
    return runs.astype({"current": bool})


def rollback(engine: Engine, run_id: str | None) -> str:
    """Make the named run current, or the one before the current one. Returns the run that is current now."""
    with writing(engine) as connection:
        runs = _run_ids(connection)
        current = connection.scalar(select(CURRENT_RUN.c.run_id))
        target = run_id or _run_before(runs, current)
        if target not in runs:
            raise InputError(f"No run is called '{target}'. {_listing(runs)}")
        _make_current(connection, target, ROLLBACK)
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
    with reading(engine) as connection:
        return read_rows(connection, table, connection.scalar(select(CURRENT_RUN.c.run_id)))


def read_run(engine: Engine, table: str, run_id: str) -> pd.DataFrame:
    """Read one table of a run that is published, current or not, sorted by key. Rows as published."""
    with reading(engine) as connection:
        if run_id not in (runs := _run_ids(connection)):
            raise InputError(f"No run is called '{run_id}'. {_listing(runs)}")
        return read_rows(connection, table, run_id)


def read_few(engine: Engine, table: str, columns: Sequence[str], **held: Sequence[str | int]) -> list[tuple[Any, ...]]:
    """Read some columns of the rows of the current run whose other columns hold one of the values given.

    A tuple per row, its cells as they are stored, missing ones None; sorted by key. Cheap where the first keys are given.
    """
    own = TABLES[table].c
    asked = [own[name].in_(list(values)) for name, values in held.items()]
    run = select(CURRENT_RUN.c.run_id).scalar_subquery()
    query = select(*(own[name] for name in columns)).where(own.run_id == run, *asked)
    with reading(engine) as connection:
        return [tuple(row) for row in connection.execute(query.order_by(*(own[name] for name in key_of(table))))]


def count_current(engine: Engine, table: str) -> int:
    """Count the rows of one table of the current run; none when nothing has been published."""
    run = select(CURRENT_RUN.c.run_id).scalar_subquery()
    with reading(engine) as connection:
        return int(connection.scalar(select(func.count()).where(TABLES[table].c.run_id == run)) or 0)


def prune(engine: Engine, keep: int) -> list[str]:
    """Remove all runs but the last ``keep`` and the current one. Returns the removed ones, the last first."""
    if keep < 1:
        raise InputError(f"keep is {keep}: at least one run is kept. Write it like 30.")
    with writing(engine) as connection:
        current = connection.scalar(select(CURRENT_RUN.c.run_id))
        gone = [run_id for run_id in _run_ids(connection)[keep:] if run_id != current]
        _remove(connection, gone)
    return gone


def _remove(connection: Connection, runs: Sequence[str]) -> None:
    """Remove runs with all their rows."""
    for table in (CURRENT_RUN, *EVERY.values(), RUNS):
        connection.execute(delete(table).where(table.c.run_id.in_(runs)))
