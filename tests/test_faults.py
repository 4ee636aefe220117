"""What befalls a night: readers see one whole run, the command says what to do, and the next night completes as if nothing was.

A night that was disturbed is held against one that was not: what is published of the same inputs is the same, row by row.
"""

from __future__ import annotations

import os
import pickle
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import joblib
import pytest
from homes import copy_home
from nights import (
    At,
    Deed,
    Seen,
    append,
    ask_too_much,
    bound_files,
    fail_in,
    new_decision,
    night,
    obey_rights,
    paused,
    raise_always,
    seen_by_readers,
    steps_of,
    until,
    url_of,
)
from postgres import Server
from processes import Ended
from sqlalchemy import text

from needs.home import Home
from needs.store.publish import PARTIAL, list_runs, open_database

PLAN, MATCH = "purchase.draws=3", "advice.reasons.faint=0.06"  # what makes a plan, or proposals, anew and nothing else
Undisturbed = Callable[..., Seen]


@pytest.fixture
def home(small: Home, tmp_path: Path) -> Home:
    """A home in which a run was published."""
    return copy_home(small, tmp_path / "home", made=True)


@pytest.fixture
def before(small: Home) -> Seen:
    """What readers see before anything befalls a night."""
    return seen_by_readers(url_of(small))


def refused(ended: Ended, words: str, code: int = 2) -> None:
    """Hold how a night ended: with a code, and in words that say what to do."""
    assert ended.code == code, ended.err
    assert re.search(words, ended.err), ended.err
    assert "Traceback" not in ended.err


def completes(home: Home, *settings: str) -> Seen:
    """Carry out a night that nothing befalls, and give what is seen then."""
    told = night(home, *settings)
    assert told.code == 0, told.err
    return seen_by_readers(url_of(home))


# Disks ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [3_000, 30_000, 300_000])
def test_a_file_that_finds_no_room_ends_the_night_in_words(home: Home, before: Seen, undisturbed: Undisturbed, size: int) -> None:
    new_decision(home, 1)
    refused(night(home, befalls=[partial(bound_files, size)]), "room|full|opened")
    assert seen_by_readers(url_of(home)) == before
    assert completes(home) == undisturbed(1)


@pytest.mark.parametrize("step", ["plan", "publish", "page and exports"])
def test_a_disk_that_fills_up_at_a_step_ends_the_night_in_words(
    home: Home, before: Seen, undisturbed: Undisturbed, step: str
) -> None:
    refused(night(home, PLAN, befalls=[At("started", step, partial(bound_files, 20_000))]), "[Mm]ake room|disk is full")
    assert seen_by_readers(url_of(home)) == (undisturbed(0, PLAN) if step == "page and exports" else before)
    assert completes(home, PLAN) == undisturbed(0, PLAN)
    assert (step == "plan") == ("plan" in steps_of(home))


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """Mount something on a folder, where that is allowed."""
    if subprocess.run(["mount", *options, str(folder)], check=False, capture_output=True).returncode:
        pytest.skip("nothing may be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("room", [20_000, 500_000])
def test_a_small_disk_that_is_full_ends_the_night_in_words(
    home: Home, before: Seen, undisturbed: Undisturbed, tmp_path: Path, room: int
) -> None:
    new_decision(home, 1)
    held = home.var.rename(tmp_path / "held")
    home.var.mkdir()
    size = sum(-(-path.stat().st_size // 4096) * 4096 if path.is_file() else 4096 for path in held.rglob("*"))
    with mounted(home.var, "-t", "tmpfs", "-o", f"size={size + room}", "tmpfs"):
        shutil.copytree(held, home.var, dirs_exist_ok=True)
        refused(night(home), "[Mm]ake room|disk is full")
        assert seen_by_readers(url_of(home)) == before
        subprocess.run(["mount", "-o", f"remount,size={size + 100_000_000}", str(home.var)], check=True)
        assert completes(home) == undisturbed(1)


@pytest.mark.parametrize("closed", ["var", "var/lake/overrides", "var/stages/plan", "var/log", "var/digest", "var/exports"])
def test_a_folder_that_may_not_be_written_is_told(home: Home, before: Seen, undisturbed: Undisturbed, closed: str) -> None:
    settings = () if closed == "var/lake/overrides" else (PLAN,)
    if not settings:
        new_decision(home, 1)
    expected = undisturbed(0 if settings else 1, *settings)
    (home.root / closed).chmod(0o555)
    told = night(home, *settings, befalls=[obey_rights])
    (home.root / closed).chmod(0o755)
    if closed == "var/log":
        assert told.code == 0
        assert "The run goes on without it" in told.err
    else:
        refused(told, re.escape(closed) + ".*right to")
    assert seen_by_readers(url_of(home)) in (before, expected)
    assert completes(home, *settings) == expected


@pytest.mark.parametrize("closed", ["data/raw", "data/raw/offers", "data/raw/overrides/zz_new.csv"])
def test_deliveries_that_may_not_be_read_are_told(home: Home, before: Seen, undisturbed: Undisturbed, closed: str) -> None:
    new_decision(home, 1)
    (home.root / closed).chmod(0)
    told = night(home, befalls=[obey_rights])
    (home.root / closed).chmod(0o755)
    refused(told, re.escape(closed))
    assert seen_by_readers(url_of(home)) == before
    assert completes(home) == undisturbed(1)
