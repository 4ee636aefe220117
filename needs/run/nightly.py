"""The nightly job: ingest what is there, compute, publish, show. One at a time; what fails leaves yesterday in place."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from features.vocabulary import InputError
from needs.home import Home
from needs.params import Params
from needs.run.desk import clear, is_whole, leave
from needs.run.ingest import door_of, ingest
from needs.run.inputs import Inputs, gather
from needs.run.lock import alone
from needs.run.pipeline import compute
from needs.run.progress import step
from needs.show.report import write_report
from needs.show.workbook import write_exports
from needs.store.lake import ages_of, newest_day, read_tables
from needs.store.publish import COMPLETE, NOTHING, Run, list_runs, open_database, prune, publish, read_current
from needs.store.schema import TABLES

log = logging.getLogger(__name__)
Clock = Callable[[], datetime]


@dataclass(frozen=True)
class Published:
    """Where the results of a run lie."""

    run_id: str
    new: bool
    database: str
    report: Path
    exports: tuple[Path, ...]


def database_url(home: Home, params: Params) -> str:
    """Say where runs are published."""
    return params.execution.database or f"sqlite:///{home.var / 'needs.db'}"


def run_nightly(home: Home, params: Params, as_of: str | None, *, clock: Clock = lambda: datetime.now(UTC)) -> Published:
    """Run the whole chain and publish it. The same inputs publish once; the page and the exports are written again."""
    started = clock()
    with alone(home):
        engine = open_database(database_url(home, params))
        arrivals = ingest(home, params.ingest)
        door = door_of(home, arrivals)
        with step("lake") as rows:
            inputs = gather(read_tables(home.lake), day_of(home, as_of, started), params, door)
            rows |= {"rows known": inputs.tables.rows}
        day, ages = f"{inputs.as_of:%Y-%m-%d}", ages_of(home.lake, inputs.as_of)
        told = {"run_id": inputs.run_id, "as_of": day, "ages": ages}
        log.info("run %s: as of %s, exercise %d", inputs.run_id, day, inputs.exercise, extra=told)
        new = inputs.run_id not in set(list_runs(engine)["run_id"])
        desk = home.desk / inputs.run_id
        computed = compute(inputs) if new or not is_whole(desk) else None
        tables = computed.tables if computed and new else {}
        with step("publish") as rows:
            publish(engine, _run_row(inputs, started, clock()), tables, published_by="nightly")
            prune(engine, params.execution.keep_runs)
            rows |= {"tables": len(tables), "rows": sum(map(len, tables.values()))}
        if computed:
            leave(desk, inputs.run_id, inputs.as_of, computed.proposed)
            clear(home.desk, [inputs.run_id, *list_runs(engine)["run_id"].head(params.execution.keep_desks)])
        report, exports = show(home, params)
        return Published(inputs.run_id, new, database_url(home, params), report, exports)


def day_of(home: Home, as_of: str | None, now: datetime) -> pd.Timestamp:
    """Give the day a run stands on: the one asked for, else the newest day of the data, never after today."""
    today = f"{now:%Y-%m-%d}"
    newest = newest_day(home.lake)
    if not (as_of or newest):
        raise InputError("The lake is empty: run 'needs nightly' first, which loads what is in data/raw.")
    text = as_of or min(newest, today)
    try:
        day = pd.Timestamp(datetime.strptime(text, "%Y-%m-%d"))
    except ValueError as error:
        raise InputError(f"--as-of '{text}' is not a day. Write it like 2026-03-31.") from error
    if text > today:
        raise InputError(f"--as-of {text} has not come yet (today is {today}). Write a day that is known, like {today}.")
    return day


def _run_row(inputs: Inputs, started: datetime, finished: datetime) -> Run:
    """Write the row of ``runs``."""
    return Run(
        run_id=inputs.run_id,
        as_of=inputs.as_of.date(),
        started_at=started,
        finished_at=finished,
        status=COMPLETE,
        code_version=inputs.code,
        params_sha256=inputs.params.sha256(),
        data_sha256=inputs.data_sha256,
    )


def show(home: Home, params: Params) -> tuple[Path, tuple[Path, ...]]:
    """Write the page and the exports of the current run, from what is published and from nothing else."""
    engine = open_database(database_url(home, params))
    runs = list_runs(engine)
    current = runs[runs["current"]]
    if current.empty:
        raise InputError(NOTHING)
    tables = {name: read_current(engine, name) for name in TABLES}
    run = _read_run(current)
    exercises = pd.concat([tables["lots"]["exercise"], tables["rejected_lots"]["exercise"]])
    exercise = int(exercises.min()) if len(exercises) else run.as_of.year + 1
    with step("page and exports") as rows:
        report = write_report(home.reports / run.run_id / "index.html", run, tables, params.show.language)
        exports = write_exports(home.exports, exercise, tables, params.show.language)
        rows |= {"rows": sum(map(len, tables.values())), "files": 1 + len(exports)}
    return report, tuple(exports)


def _read_run(current: pd.DataFrame) -> Run:
    """Read the row of the current run."""
    row = current.iloc[0]
    return Run(
        run_id=row["run_id"],
        as_of=datetime.strptime(row["as_of"], "%Y-%m-%d").date(),
        started_at=datetime.fromisoformat(row["started_at"]),
        finished_at=datetime.fromisoformat(row["finished_at"]),
        **{name: row[name] for name in ("status", "code_version", "params_sha256", "data_sha256")},
    )
