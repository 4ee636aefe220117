"""Nights in processes of their own, that may be killed; and what readers of the database see meanwhile."""

from __future__ import annotations

import hashlib
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import text

from needs.home import Home
from needs.store.publish import open_database
from needs.store.schema import TABLES
from processes import Ended, run, start

Spoil = Callable[[], None]


def one_night(
    root: Path, settings: tuple[str, ...], dies_at: tuple[str, str] | None = None, spoil: Spoil | None = None
) -> None:
    """Carry out a night as the command does; it may die as a step is ``started`` or ``ended``, or be spoilt first."""
    from needs.cli import main

    if dies_at:
        logging.getLogger().addHandler(_Killer(*dies_at))
    if spoil:
        spoil()
    sys.argv = ["needs", "--home", str(root), *(f"--set={each}" for each in settings), "nightly"]
    main()


class _Killer(logging.Handler):
    """Kills its process when a step comes to a point."""

    def __init__(self, event: str, step: str) -> None:
        super().__init__()
        self.point = (event, step)

    def emit(self, record: logging.LogRecord) -> None:
        if (getattr(record, "event", ""), getattr(record, "step", "")) == self.point:
            os.kill(os.getpid(), signal.SIGKILL)


def night(home: Home, *settings: str, dies_at: tuple[str, str] | None = None, spoil: Spoil | None = None) -> Ended:
    """Carry out a night to its end, whatever that is."""
    return run(one_night, home.root, settings, dies_at, spoil)


def killed_after(seconds: float, home: Home, *settings: str) -> int | None:
    """Begin a night and kill it after a while; give its exit code."""
    process = start(one_night, home.root, settings)
    process.join(seconds)
    process.kill()
    process.join()
    return process.exitcode


def new_data(home: Home, turn: int) -> None:
    """Deliver one more file, with one line that nobody knew: there is something new to run on."""
    line = f"2026-03-01;R;44;SECTEUR;236;1;{turn + 1}.0;comite;;2027-01-06"
    header = sorted(home.raw.glob("signals/*.csv"))[0].read_text(encoding="utf-8").splitlines()[0]
    (home.raw / "signals" / "zz_new.csv").write_text(f"{header}\n{line}\n", encoding="utf-8")


def seen_by_readers(url: str) -> tuple[str, dict[str, str]]:
    """Read every view in one transaction: the run it is of, and a hash of each. Fails on anything but one whole run."""
    engine = open_database(url)
    with engine.connect() as connection:
        current = connection.execute(text("SELECT run_id FROM current_run")).scalars().all()
        told: dict[str, str] = {}
        for name in TABLES:
            rows = sorted(connection.execute(text(f"SELECT * FROM current_{name}")).all(), key=repr)
            assert {row[0] for row in rows} <= set(current), f"{name} shows another run"
            told[name] = hashlib.sha256(repr([tuple(row) for row in rows]).encode()).hexdigest()
    engine.dispose()
    assert len(current) <= 1
    return (current[0] if current else ""), told
