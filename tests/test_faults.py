"""What befalls the files of a night: readers see one whole run, the command says what to do, the next night completes.

A night that was disturbed is held against one that was not: what is published of the same inputs is the same, row by row.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from nights import (
    PLAN,
    At,
    Seen,
    append,
    bound_files,
    completes,
    new_decision,
    night,
    obey_rights,
    refused,
    seen_by_readers,
    steps_of,
    url_of,
)

from features.sources import SOURCES
from needs.home import Home

pytestmark = pytest.mark.long

Undisturbed = Callable[..., Seen]
READING = {f"read {name}" for name in SOURCES}


# Disks ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [3_000, 300_000])
def test_a_file_that_finds_no_room_ends_the_night_in_words(
    home: Home, before: Seen, undisturbed: Undisturbed, size: int
) -> None:
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


def test_a_small_disk_that_is_full_ends_the_night_in_words(
    home: Home, before: Seen, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    new_decision(home, 1)
    held = home.var.rename(tmp_path / "held")
    home.var.mkdir()
    size = sum(-(-path.stat().st_size // 4096) * 4096 if path.is_file() else 4096 for path in held.rglob("*"))
    with mounted(home.var, "-t", "tmpfs", "-o", f"size={size + 500_000}", "tmpfs"):
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


# Files ------------------------------------------------------------------------------------------------------------------


def cut(path: Path) -> bytes:
    """Keep half of a file, as when its delivery stops in the middle; give what it was."""
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    return whole


def test_files_that_are_half_written_are_all_told_and_the_others_are_read(
    home: Home, before: Seen, undisturbed: Undisturbed
) -> None:
    new_decision(home, 1)
    shutil.copy(home.exports / "forecasts.parquet", home.raw / "offers" / "zz.parquet")
    halves = ("offers/offers_68_2026.jsonl.gz", "offers/zz.parquet", "catalogue/catalogue_68_2026-03-31.xml.gz")
    halves += ("bmo/Base_open_data_BMO_2025.xlsx",)
    whole = {home.raw / name: cut(home.raw / name) for name in halves}
    told = night(home)
    for path in whole:
        refused(told, re.escape(str(path)))
    assert "read overrides: 1 rows in" in told.err
    assert seen_by_readers(url_of(home)) == before
    for path, content in whole.items():
        path.write_bytes(content)
    (home.raw / "offers" / "zz.parquet").unlink()
    assert completes(home) == undisturbed(1)


def test_a_file_that_grows_while_it_is_read_is_told(home: Home, before: Seen, undisturbed: Undisturbed) -> None:
    new_decision(home, 2)
    path = home.raw / "overrides" / "zz_new.csv"
    grown = "lot;2027-BE4446-3;interdit;1;comité;doublon;2026-03-01;\n"
    refused(night(home, befalls=[At("ended", "read overrides", partial(append, path, grown))]), "changed while it was read")
    assert seen_by_readers(url_of(home)) == before
    new_decision(home, 1)
    assert completes(home) == undisturbed(1)


def test_tables_that_were_spoilt_in_the_lake_are_read_again(home: Home, undisturbed: Undisturbed) -> None:
    new_decision(home, 1)
    part = {table: sorted((home.lake / table).rglob("part.parquet"))[0] for table in ("employment", "market", "purchases")}
    flipped = bytearray(part["employment"].read_bytes())
    flipped[len(flipped) // 2] ^= 0xFF
    part["employment"].write_bytes(flipped)
    cut(part["market"])
    part["purchases"].unlink()
    (home.lake / "signals" / "manifest.json").write_text("{", encoding="utf-8")
    assert completes(home) == undisturbed(1)
    assert {f"read {table}" for table in (*part, "signals", "overrides")} == steps_of(home, "ended") & READING
