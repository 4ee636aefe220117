"""Ctrl-C leaves nothing half-made, and says so in a line: a drawing, a reading, a report."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from homes import copy_home
from nights import url_of

import processes
from needs.home import Home
from needs.store.publish import list_runs, open_database
from needs.twin.region import Drawn

pytestmark = pytest.mark.long

STOPPED = "Stopped (130). What was published before is as it was."
COMMAND = (sys.executable, "-c", "from needs.cli import main; main()")
_PATIENCE_S = 120


def stop_when(folder: Path, begun: Callable[[], bool], *words: str) -> processes.Ended:
    """Run a command as a terminal does, and send it what Ctrl-C sends once it has ``begun``."""
    folder.mkdir(exist_ok=True)
    until = time.monotonic() + _PATIENCE_S
    with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
        process = subprocess.Popen([*COMMAND, *words], stdout=out, stderr=err, preexec_fn=_hear)
        while not begun():
            assert process.poll() is None, (folder / "err").read_text(encoding="utf-8")
            assert time.monotonic() < until, "it never began"
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        code = process.wait(timeout=_PATIENCE_S)
    return processes.Ended(code, *((folder / name).read_text(encoding="utf-8") for name in ("out", "err")))


def _hear() -> None:
    """Let a command hear Ctrl-C, though its parent may have been started not to."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_drawing_that_is_stopped_leaves_an_empty_home_that_can_be_drawn_in(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    words = ("--home", str(home.root), "demo", "--scale", "tiny")
    done = stop_when(tmp_path / "out", (home.root / "data" / ".drawing").exists, *words)
    assert (done.code, done.err.splitlines()[-1]) == (130, STOPPED)
    assert files(home.root) == {}
    assert not (home.root / "data" / ".drawing").exists()
    assert subprocess.run([*COMMAND, *words], capture_output=True, check=False).returncode == 0


def test_what_was_placed_goes_when_a_drawing_is_stopped_at_its_end(twin: tuple[Home, Drawn], tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    done = stop_when(
        tmp_path / "out",
        lambda: any(home.raw.rglob("*.gz")) if home.raw.exists() else False,
        *("--home", str(home.root), "demo", "--scale", "tiny"),
    )
    assert done.code in (0, 130), "it may have been over"
    whole = {path.relative_to(twin[0].raw) for path in twin[0].raw.rglob("*") if path.is_file()}
    assert {path.relative_to(home.raw) for path in home.raw.rglob("*") if path.is_file()} in (set(), whole), "all, or nothing"


def test_a_reading_that_is_stopped_leaves_the_lake_as_it_was(small: Home, tmp_path: Path) -> None:
    home = copy_home(small, tmp_path / "home", made=True)
    before = files(home.lake)
    (home.var / ".lock").unlink()
    done = stop_when(tmp_path / "out", (home.var / ".lock").exists, "--home", str(home.root), "ingest", "offers")
    assert (done.code, done.err.splitlines()[-1]) == (130, STOPPED)
    assert files(home.lake) == before
    assert processes.run(processes.command, "--home", str(home.root), "ingest", "offers").code == 0


def test_a_report_that_is_stopped_leaves_the_one_that_was_there(small: Home, tmp_path: Path) -> None:
    home = copy_home(small, tmp_path / "home", made=True)
    before, (run,) = files(home.reports), list_runs(open_database(url_of(home)))["run_id"]
    done = stop_when(tmp_path / "out", (home.var / ".show").exists, "--home", str(home.root), "report")
    assert (done.code, done.err.splitlines()[-1]) == (130, STOPPED)
    assert not (home.var / ".show").exists()
    assert set(files(home.reports)) == set(before)
    assert processes.run(processes.command, "--home", str(home.root), "report").code == 0
    assert files(home.reports) == before, f"the page of {run} as the night wrote it"


@pytest.mark.parametrize(("word", "told"), [("ingest", "read offers"), ("report", "page and exports")])
def test_what_was_done_is_told_step_by_step(small: Home, tmp_path: Path, word: str, told: str) -> None:
    home = copy_home(small, tmp_path / "home", made=True)
    done = processes.run(processes.command, "--home", str(home.root), word)
    assert done.code == 0
    assert told in done.err
