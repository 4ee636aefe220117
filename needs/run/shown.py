"""What people see of the current run: its page and its exports, written from what is published and from nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd
from sqlalchemy import Engine

from features.vocabulary import InputError
from needs.home import Home
from needs.params import Params
from needs.run.progress import step
from needs.run.stages import Shelf
from needs.show.report import write_report
from needs.show.workbook import write_exports
from needs.store.lake import print_files, print_of
from needs.store.publish import NOTHING, Run, list_runs, open_database, read_current
from needs.store.schema import TABLES

_STAGE = "report"


@dataclass(frozen=True)
class Shown:
    """Where the page and the exports of a run lie."""

    page: Path
    exports: tuple[Path, ...]

    @classmethod
    def lying(cls, home: Home, written: Mapping[str, str]) -> Shown | None:
        """Give what was ``written`` (path in the home: hash), where all of it lies as it was."""
        paths = [home.root / name for name in written]
        whole = all(path.is_file() and print_files([path]) == written[name] for path, name in zip(paths, written, strict=True))
        return cls(paths[0], tuple(paths[1:])) if whole else None

    def prints(self, home: Home) -> dict[str, str]:
        """Hash the files, each by its path in the home."""
        return {str(path.relative_to(home.root)): print_files([path]) for path in (self.page, *self.exports)}


def database_url(home: Home, params: Params) -> str:
    """Say where runs are published."""
    return params.execution.database or f"sqlite:///{home.var / 'needs.db'}"


def show_current(home: Home, params: Params, tables: Mapping[str, pd.DataFrame] | None = None, *, again: bool = True) -> Shown:
    """Write the page and the exports of the current run; unless ``again``, only when they do not lie as they were written.

    ``tables`` are those of the current run, where they are at hand.
    """
    engine = open_database(database_url(home, params))
    run, shelf = current_run(engine), Shelf(home.stages)
    key = print_of(run.run_id, run.code_version, params.show.language)
    if not again and shelf.holds(_STAGE, key) and (there := Shown.lying(home, shelf.take(_STAGE, key, dict))):
        return there
    with step("page and exports") as rows:
        tables = tables or {name: read_current(engine, name) for name in TABLES}
        page, exports = _write(home, run, tables, params.show.language)
        rows |= {"rows": sum(map(len, tables.values())), "files": 1 + len(exports)}
    shown = Shown(page, exports)
    shelf.put(_STAGE, key, shown.prints(home), {"run_id": run.run_id})
    shelf.keep({_STAGE: key})
    return shown


def _write(home: Home, run: Run, tables: Mapping[str, pd.DataFrame], language: str) -> tuple[Path, tuple[Path, ...]]:
    """Write all beside what lies there, then move it in, file by file: each is whole, whatever dies."""
    exercises = pd.concat([tables["lots"]["exercise"], tables["rejected_lots"]["exercise"]])
    exercise = int(exercises.min()) if len(exercises) else run.as_of.year + 1
    half, folders = home.var / ".show", (home.reports / run.run_id, home.exports)
    shutil.rmtree(half, ignore_errors=True)
    written = [
        write_report(half / "index.html", run, tables, language),
        *write_exports(half / "exports", exercise, tables, language),
    ]
    moved = []
    for path, folder in zip(written, (folders[0], *[folders[1]] * (len(written) - 1)), strict=True):
        folder.mkdir(parents=True, exist_ok=True)
        moved.append(path.replace(folder / path.name))
    shutil.rmtree(half, ignore_errors=True)
    return moved[0], tuple(moved[1:])


def current_run(engine: Engine) -> Run:
    """Read the row of the current run."""
    runs = list_runs(engine)
    current = runs[runs["current"]]
    if current.empty:
        raise InputError(NOTHING)
    row = current.iloc[0]
    return Run(
        run_id=row["run_id"],
        as_of=datetime.strptime(row["as_of"], "%Y-%m-%d").date(),
        started_at=datetime.fromisoformat(row["started_at"]),
        finished_at=datetime.fromisoformat(row["finished_at"]),
        **{name: row[name] for name in ("status", "code_version", "params_sha256", "data_sha256")},
    )
