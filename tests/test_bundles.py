"""What is kept on disk is read back as it was written, or refused in words before anything of it comes to life."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from needs.store.bundles import MANIFEST, BundleError, Manifest, read_bundle, read_manifest, write_bundle

ABOUT = {"data_sha256": "a" * 64, "as_of": "2026-03-31"}


@dataclass(frozen=True)
class Kept:
    """Something worth keeping."""

    frame: pd.DataFrame
    weights: dict[str, float] = field(default_factory=dict)


class Trap:
    """Writes a file when it comes to life."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.write_text, (self.path, "sprung")


def kept(size: int = 5) -> Kept:
    frame = pd.DataFrame({"code": pd.Series(["001", "002", None], dtype="str"), "value": [0.1, np.nan, -0.0]})
    return Kept(pd.concat([frame] * size, ignore_index=True), {"naive": 0.25})


def file_of(folder: Path) -> Path:
    (file,) = folder.glob("*.joblib")
    return file


def retell(folder: Path, **changed: object) -> None:
    manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    (folder / MANIFEST).write_text(json.dumps(manifest | changed), "utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_bundle(tmp_path / "forecast", kept(), ABOUT)
    return tmp_path / "forecast"


def test_a_bundle_is_read_back_as_it_was_written_and_says_what_it_is(tmp_path: Path) -> None:
    manifest = write_bundle(tmp_path / "new" / "one", kept(), ABOUT)
    read = read_bundle(tmp_path / "new" / "one", Kept, manifest.sha256)
    assert_frame_equal(read.frame, kept().frame, check_exact=True)
    assert read.weights == kept().weights
    assert read_manifest(tmp_path / "new" / "one") == manifest
    assert manifest.about == ABOUT
    assert manifest.size == file_of(tmp_path / "new" / "one").stat().st_size
    assert set(manifest.versions) == {"python", "numpy", "pandas", "scikit-learn", "joblib", "skills-needs"}


def test_a_bundle_written_again_takes_the_place_of_the_one_before_and_leaves_nothing_of_it(folder: Path) -> None:
    manifest = write_bundle(folder, kept(9), ABOUT)
    assert len(read_bundle(folder, Kept, manifest.sha256).frame) == 27
    assert sorted(path.name for path in folder.iterdir()) == sorted([MANIFEST, file_of(folder).name])


def test_a_bundle_that_was_changed_is_refused_and_nothing_of_it_runs(folder: Path, tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    bomb = pickle.dumps(Trap(sprung))
    file = file_of(folder)
    file.write_bytes(bomb + b"\0" * (read_manifest(folder).size - len(bomb)))
    assert file.stat().st_size == read_manifest(folder).size
    with pytest.raises(BundleError, match=r"the file was changed after it was written .* It is not read"):
        read_bundle(folder, Kept)
    assert not sprung.exists()
    pickle.loads(bomb)
    assert sprung.exists(), "the trap works where it is sprung"


def test_a_whole_other_bundle_in_its_place_is_refused_by_the_hash_that_was_registered(folder: Path, tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    registered = read_manifest(folder).sha256
    write_bundle(folder, Trap(sprung), ABOUT)
    retell(folder, kind=f"{Kept.__module__}.Kept")
    with pytest.raises(BundleError, match=r"is not the bundle that was registered"):
        read_bundle(folder, Kept, registered)
    assert not sprung.exists()


def shortened(folder: Path) -> None:
    file_of(folder).write_bytes(file_of(folder).read_bytes()[:-7])


def one_bit_off(folder: Path) -> None:
    content = bytearray(file_of(folder).read_bytes())
    content[len(content) // 2] ^= 1
    file_of(folder).write_bytes(content)


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no manifest": (lambda folder: (folder / MANIFEST).unlink(), r"there is no bundle here, or it was never written"),
    "no file": (lambda folder: file_of(folder).unlink(), r"the file that its manifest tells of is missing"),
    "half a file": (shortened, r"the file was changed after it was written \(\d+ bytes, \d+ then\)"),
    "one bit": (one_bit_off, r"the file was changed after it was written"),
    "half a manifest": (lambda folder: os.truncate(folder / MANIFEST, 40), r"is not the manifest of a bundle"),
    "an empty manifest": (lambda folder: os.truncate(folder / MANIFEST, 0), r"is not the manifest of a bundle"),
    "a list": (lambda folder: (folder / MANIFEST).write_text("[1]"), r"is not the manifest of a bundle"),
    "no text": (lambda folder: (folder / MANIFEST).write_bytes(b"\xff\xfe{}"), r"is not the manifest of a bundle"),
    "another class": (lambda folder: retell(folder, kind="builtins.dict"), r"holds a builtins\.dict, not a .*Kept"),
    "an older pandas": (
        lambda folder: retell(folder, versions=read_manifest(folder).versions | {"pandas": "1.5.3"}),
        r"was written with pandas 1\.5\.3, which pandas \S+ may read otherwise",
    ),
    "an older scikit-learn": (
        lambda folder: retell(folder, versions=read_manifest(folder).versions | {"scikit-learn": "1.0.2"}),
        r"was written with scikit-learn 1\.0\.2",
    ),
    "no version": (lambda folder: retell(folder, versions={}), r"was written with python none"),
    "a way out": (lambda folder: retell(folder, sha256="../../../escape"), r"the file that its manifest tells of is missing"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_refused_in_words(folder: Path, fault: str) -> None:
    harm, words = FAULTS[fault]
    harm(folder)
    with pytest.raises(BundleError, match=words):
        read_bundle(folder, Kept)


def test_every_fault_of_a_manifest_is_told_at_once(folder: Path) -> None:
    retell(folder, kind="x.Y", versions=read_manifest(folder).versions | {"numpy": "1.0", "pandas": "1.0"})
    with pytest.raises(BundleError) as refused:
        read_bundle(folder, Kept, "b" * 64)
    assert len(refused.value.faults) == 4


def test_another_patch_of_a_package_is_taken(folder: Path) -> None:
    here = read_manifest(folder).versions
    retell(folder, versions=here | {"numpy": f"{here['numpy'].split('.')[0]}.999.0"})
    assert read_bundle(folder, Kept).weights == {"naive": 0.25}


def test_a_bundle_of_a_class_that_lacked_a_field_of_today_is_refused(tmp_path: Path) -> None:
    older = kept()
    object.__delattr__(older, "frame")
    write_bundle(tmp_path, {"inside": [older]}, ABOUT)
    with pytest.raises(BundleError, match=r"holds a dict of other code"):
        read_bundle(tmp_path, dict)


class Gone:
    """A class that is no longer there when it is read."""


def test_a_bundle_of_a_class_that_is_gone_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bundle(tmp_path, {"inside": Gone()}, ABOUT)
    monkeypatch.delitem(globals(), "Gone")
    with pytest.raises(BundleError, match=r"was written by other code"):
        read_bundle(tmp_path, dict)


def test_what_cannot_be_written_leaves_what_was_there(folder: Path) -> None:
    before = read_manifest(folder)
    with pytest.raises(TypeError, match=r"pickle"):
        write_bundle(folder, kept().frame.groupby("code").__iter__(), ABOUT)
    assert read_manifest(folder) == before
    assert len(read_bundle(folder, Kept).frame) == 15
    assert not list(folder.glob(".*"))


def _write_for_ever(folder: Path) -> None:
    for size in range(1, 10_000):
        write_bundle(folder, kept(1 + size % 7), ABOUT)


def test_a_writer_killed_at_any_moment_leaves_a_bundle_that_is_read(folder: Path) -> None:
    for moment in range(12):
        writer = multiprocessing.get_context("fork").Process(target=_write_for_ever, args=(folder,))
        writer.start()
        writer.join(0.02 + 0.007 * moment)
        writer.kill()
        writer.join()
        assert writer.exitcode == -signal.SIGKILL
        manifest: Manifest = read_manifest(folder)
        assert len(read_bundle(folder, Kept, manifest.sha256).frame) % 3 == 0
    write_bundle(folder, kept(), ABOUT)
    assert len(list(folder.iterdir())) == 2
