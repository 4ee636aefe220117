"""What people see of the current run: its page, its dossiers and its exports.

They are written from what is published, what was observed before it, and the run before.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd
from sqlalchemy import Engine

from features.vocabulary import InputError
from needs.home import Home
from needs.params import Params
from needs.run.about_run import read_facts
from needs.run.changes import compare_plans
from needs.run.history import read_history
from needs.run.message import tell_changes, tell_gates
from needs.run.progress import step
from needs.run.stages import Shelf
from needs.show.card import CARD, write_card
from needs.show.dossiers import FOLDER, write_dossiers
from needs.show.report import write_report
from needs.show.workbook import write_exports
from needs.store.lake import print_files, print_of
from needs.store.publish import NOTHING, Run, list_runs, open_database, read_current, read_run
from needs.store.schema import TABLES

_STAGE = "report"


@dataclass(frozen=True)
class Shown:
    """Where the page, its card, the exports and the dossiers of a run lie."""

    page: Path
    card: Path
    exports: tuple[Path, ...]
    dossiers: tuple[Path, ...] = ()

    @classmethod
    def of(cls, paths: Sequence[Path]) -> Shown:
        """Tell the files of a run apart: the page and its card first, dossiers by the folder they lie in."""
        page, card, *others = paths
        dossiers = tuple(path for path in others if path.parent.name == FOLDER)
        return cls(page, card, tuple(path for path in others if path not in dossiers), dossiers)

    @classmethod
    def lying(cls, home: Home, written: Mapping[str, str]) -> Shown | None:
        """Give what was ``written`` (path in the home: hash), where all of it lies as it was."""
        paths = [home.root / name for name in written]
        whole = all(path.is_file() and print_files([path]) == written[name] for path, name in zip(paths, written, strict=True))
        return cls.of(paths) if whole else None

    def prints(self, home: Home) -> dict[str, str]:
        """Hash the files, each by its path in the home."""
        return {str(path.relative_to(home.root)): print_files([path]) for path in self.files}

    @property
    def files(self) -> tuple[Path, ...]:
        """All of them."""
        return (self.page, self.card, *self.exports, *self.dossiers)


def database_url(home: Home, params: Params) -> str:
    """Say where runs are published."""
    return params.execution.database or f"sqlite:///{home.var / 'needs.db'}"


def show_current(home: Home, params: Params, tables: Mapping[str, pd.DataFrame] | None = None, *, again: bool = True) -> Shown:
    """Write the page and the exports of the current run; unless ``again``, only when they do not lie as they were written.

    ``tables`` are those of the current run, where they are at hand.
    """
    engine = open_database(database_url(home, params))
    run, shelf = current_run(engine), Shelf(home.stages)
    earlier = _run_before(engine, run)
    key = print_of(run.run_id, run.code_version, params.show.language, earlier or "")
    if not again and shelf.holds(_STAGE, key) and (there := Shown.lying(home, shelf.take(_STAGE, key, dict))):
        return there
    with step("page and exports") as rows:
        tables = tables or {name: read_current(engine, name) for name in TABLES}
        changed = _tell_since(engine, run, earlier, tables, params.show.language)
        shown = _write(home, run, tables, changed, params.show.language)
        rows |= {"rows": sum(map(len, tables.values())), "files": len(shown.prints(home))}
    shelf.put(_STAGE, key, shown.prints(home), {"run_id": run.run_id})
    shelf.keep({_STAGE: key})
    return shown


def _run_before(engine: Engine, run: Run) -> str | None:
    """Name the run that was published before this one."""
    runs = list_runs(engine)["run_id"].tolist()
    return next(iter(runs[runs.index(run.run_id) + 1 :]), None)


def _tell_since(engine: Engine, run: Run, earlier: str | None, tables: Mapping[str, pd.DataFrame], language: str) -> list[str]:
    """Say what changed in the plan since the run before, and which gates people let it through. A line each."""
    before = {"lots": read_run(engine, "lots", earlier)} if earlier else {}
    changes = compare_plans(tables["lots"], before["lots"]) if before else None
    gates = read_run(engine, "gates", run.run_id)
    return [
        line.removeprefix("- ") for line in (*tell_gates(gates, language), *tell_changes(tables, before, changes, language))
    ]


def _write(home: Home, run: Run, tables: Mapping[str, pd.DataFrame], changed: Sequence[str], language: str) -> Shown:
    """Write all beside what lies there, then move it in, file by file: each is whole, whatever dies."""
    exercises = pd.concat([tables["lots"]["exercise"], tables["rejected_lots"]["exercise"]])
    exercise = int(exercises.min()) if len(exercises) else run.as_of.year + 1
    half, report = home.var / ".show", home.reports / run.run_id
    shutil.rmtree(half, ignore_errors=True)
    try:
        history = read_history(home.history, run.run_id)
        page = write_report(half / "index.html", run, tables, language, history=history, changed=changed)
        card = write_card(half / CARD, run, tables, read_facts(home.history, run.run_id), language)
        dossiers = write_dossiers(half / FOLDER, run, tables, language)
        exports = write_exports(half / "exports", exercise, tables, language)
        shown = [_place(path, report) for path in (page, card)]
        shown += [_place(path, report / FOLDER) for path in dossiers]
        return Shown.of(shown + [_place(path, home.exports) for path in exports])
    finally:
        shutil.rmtree(half, ignore_errors=True)


def _place(path: Path, folder: Path) -> Path:
    """Move a file that is whole into its folder, over what lies there."""
    folder.mkdir(parents=True, exist_ok=True)
    return path.replace(folder / path.name)


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
