"""Planted faults: readers find exactly those, and read the rest as if nothing had happened."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from homes import AS_OF, read_all
from pandas.testing import assert_frame_equal

from features import facts
from features.contracts import Checked
from features.intake import take_in
from features.sources import SOURCES, files_of
from needs.home import Home
from needs.twin import draw
from needs.twin.dirt import plant_faults

pytestmark = pytest.mark.long

BUDGET = 0.02


class Both(NamedTuple):
    """The same sources read clean and dirty, and what was planted."""

    clean: dict[str, Checked]
    dirty: dict[str, Checked]
    planted: pd.DataFrame

    def each(self, of: Callable[[Checked], int]) -> dict[str, int]:
        """Count something more in the dirty sources than in the clean ones."""
        return {name: of(self.dirty[name]) - of(self.clean[name]) for name in self.clean}


def plant(raw: Path, folder: Path, seed: int = 7) -> pd.DataFrame:
    shutil.copytree(raw, folder)
    return plant_faults(folder, np.random.default_rng(seed))


def placed(read: dict[str, Checked]) -> dict[str, Checked]:
    return {name: take_in(one, SOURCES[name].contract, facts.communes()) for name, one in read.items()}


@pytest.fixture(scope="module")
def both(checked: dict[str, Checked], tmp_path_factory: pytest.TempPathFactory) -> Both:
    """The calm world, and the dirty one of the same seed: the same files but for their faults."""
    dirty = Home(tmp_path_factory.mktemp("dirty"))
    written = draw(dirty, world="dirty", scale="tiny", seed=1, as_of=pd.Timestamp(AS_OF))
    found = placed(read_all(dirty))
    rows, raw = {file.path: file.rows for file in written.raw}, dirty.raw
    assert {name: sum(rows[path] for path in files_of(raw / SOURCES[name].folder, SOURCES[name])) for name in found} == {
        name: len(one.kept) + len(one.rejected) + one.duplicates for name, one in found.items()
    }
    return Both(placed(checked), found, pd.read_parquet(dirty.truth / "faults.parquet"))


def planted_rows(both: Both, faults: set[str]) -> dict[str, int]:
    chosen = both.planted[both.planted["fault"].isin(faults)].groupby("source")["rows"].sum()
    return {name: int(chosen.get(name, 0)) for name in both.clean}


def test_a_clean_world_has_no_wrong_row_and_no_unknown_code(both):
    assert {name: (len(read.rejected), len(read.unknown)) for name, read in both.clean.items()} == dict.fromkeys(
        both.clean, (0, 0)
    )


def test_readers_reject_the_rows_that_were_spoilt_each_for_its_reason(both):
    found = pd.concat([read.rejected.assign(source=name) for name, read in both.dirty.items()])
    seen = found.groupby(["source", "file", "reason"]).size()
    wanted = both.planted[both.planted["reason"] != ""]
    expected = wanted.assign(file=wanted["file"].str.split("/").str[-1]).groupby(["source", "file", "reason"])["rows"].sum()
    assert seen.to_dict() == expected.to_dict()


def test_repeated_rows_are_counted(both):
    assert both.each(lambda read: read.duplicates) == planted_rows(both, {"duplicate"})


def test_unknown_codes_are_listed_with_their_volume(both):
    found = pd.concat([read.unknown.assign(source=name) for name, read in both.dirty.items()])
    wanted = both.planted[both.planted["code"] != ""]
    columns = ["source", "column", "code", "rows", "volume"]
    seen, expected = (rows[columns].sort_values(columns, ignore_index=True) for rows in (found, wanted))
    assert len(expected) >= 5
    assert_frame_equal(seen, expected)


def test_nothing_else_is_read_otherwise(both):
    """A file in Latin-1, with a mark or other line ends reads as before; so does every row that nothing touched."""
    wanted = both.planted[both.planted["reason"] == ""]
    changed = wanted[wanted["fault"].isin({"unknown_code", "missing_commune", "secret"})].groupby("source")["rows"].sum()
    rejected = both.planted[both.planted["reason"] != ""].groupby("source")["rows"].sum()
    for name, clean in both.clean.items():
        # when a version of an offer was superseded follows from the other rows, and one of these may be spoilt
        kept = [read.kept.drop(columns="superseded", errors="ignore") for read in (clean, both.dirty[name])]
        before, after = (set(pd.util.hash_pandas_object(rows, index=False)) for rows in kept)
        assert len(after - before) == changed.get(name, 0), name
        assert len(before - after) == changed.get(name, 0) + rejected.get(name, 0), name


def test_missing_communes_and_secrets_are_as_many_as_were_planted(both):
    blank = both.each(lambda read: int(read.kept["commune"].isna().sum()) if "commune" in read.kept else 0)
    assert blank == planted_rows(both, {"missing_commune"})
    secret = both.each(lambda read: int(read.kept["seasonal_secret"].sum()) if "seasonal_secret" in read.kept else 0)
    assert secret == planted_rows(both, {"secret"})


def test_no_source_is_refused(both):
    assert [name for name, read in both.dirty.items() if read.exceeds(BUDGET)] == []
    assert planted_rows(both, {"negative_places"})["purchases"] == 0, "too few rows for a wrong one"


def test_every_way_of_being_wrong_is_there_even_in_a_tiny_region(both):
    assert set(both.planted["fault"]) >= {
        *("duplicate", "unknown_code", "missing_commune", "unknown_commune", "unparsable_date", "old_code", "negative_places"),
        *("end_before_start", "exit_before_entry", "not_utf8", "cut_short", "secret"),
        *("latin_1", "byte_order_mark", "windows_line_ends"),
    }


def test_the_same_numbers_plant_the_same_bytes(drawn, tmp_path):
    listed = [plant(drawn.raw, tmp_path / name, seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))]
    bytes_of = [
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*") if path.is_file()}
        for name in ("a", "b", "c")
    ]
    assert_frame_equal(listed[0], listed[1])
    assert bytes_of[0] == bytes_of[1]
    assert bytes_of[0] != bytes_of[2]


def test_a_folder_with_nothing_in_it_has_no_fault(tmp_path):
    assert plant_faults(tmp_path, np.random.default_rng(1)).empty
