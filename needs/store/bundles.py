"""A thing that was computed, kept on disk so that it is read back whole and untouched, or refused in words.

manifest = write_bundle(folder, thing, {"data_sha256": …})
thing = read_bundle(folder, Kind, sha256)     verified, byte by byte, before anything of it is brought to life

A folder holds one bundle: a joblib file named after its hash, and ``manifest.json``, which says what it is. The manifest is
moved in last: whatever dies, a reader finds the bundle that was there, the new one, or none.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from importlib.metadata import version
from io import BufferedRandom, BufferedReader
from pathlib import Path
from typing import TypeVar

import joblib

from features.errors import InputError

MANIFEST = "manifest.json"
PACKAGES = ("numpy", "pandas", "scikit-learn", "joblib", "skills-needs")
_FILE, _PART = "*.joblib", ".bundle.part"
_STRANGE = (pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, KeyError, TypeError, ValueError)
Thing = TypeVar("Thing")


class BundleError(InputError):
    """A bundle that cannot be taken for what was written: it is missing, half-written, changed, or of another make."""


@dataclass(frozen=True)
class Manifest:
    """What a bundle is: its class, the ``versions`` it was written with, what it was made of (``about``), its hash and size."""

    kind: str
    versions: Mapping[str, str]
    about: Mapping[str, str]
    sha256: str
    size: int


def write_bundle(folder: Path, thing: object, about: Mapping[str, str]) -> Manifest:
    """Write a thing, in place of what the folder held. It is on the disk, not only on its way there, when this returns."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / _PART
    try:
        with part.open("w+b") as file:
            joblib.dump(thing, file)
            file.flush()
            os.fsync(file.fileno())
            size, sha256 = file.tell(), _hash(file)
        manifest = Manifest(_name(type(thing)), versions(), dict(about), sha256, size)
        part.replace(_file(folder, sha256))
        part.write_text(json.dumps(asdict(manifest), indent=1, ensure_ascii=False), encoding="utf-8")
        _settle(part)
        part.replace(folder / MANIFEST)
    finally:
        part.unlink(missing_ok=True)
    for place in (folder, folder.parent):
        _settle(place)
    for older in set(folder.glob(_FILE)) - {_file(folder, sha256)}:
        older.unlink(missing_ok=True)
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """Say what the bundle of a folder is, without reading it."""
    try:
        told = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return Manifest(**{field.name: told[field.name] for field in fields(Manifest)})
    except FileNotFoundError as error:
        raise BundleError(f"{folder}: there is no bundle here, or it was never written to its end.") from error
    except OSError as error:
        raise BundleError(f"{folder / MANIFEST}: cannot be read ({error.strerror}).") from error
    except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise BundleError(
            f"{folder / MANIFEST}: is not the manifest of a bundle. Remove the folder: it is made anew."
        ) from error


def read_bundle(folder: Path, kind: type[Thing], sha256: str = "") -> Thing:
    """Read what was written, once its bytes are those of its manifest and, where it is given, of ``sha256``."""
    manifest = read_manifest(folder)
    if faults := [*_faults(folder, manifest, kind, sha256)]:
        raise BundleError(*faults)
    try:
        with _file(folder, manifest.sha256).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size != manifest.size or _hash(file) != manifest.sha256:
                raise BundleError(
                    f"{folder}: the file was changed after it was written ({size} bytes, {manifest.size} then). "
                    "It is not read. Remove the folder: it is made anew."
                )
            thing = _bring_to_life(file, folder)
    except FileNotFoundError as error:
        raise BundleError(f"{folder}: the file that its manifest tells of is missing. Remove the folder.") from error
    except OSError as error:
        raise BundleError(f"{folder}: cannot be read ({error.strerror}).") from error
    if not isinstance(thing, kind) or not _is_whole(thing):
        raise BundleError(f"{folder}: holds a {kind.__name__} of other code. It is not read.")
    return thing


def versions() -> dict[str, str]:
    """Say with what bundles are written here."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def _faults(folder: Path, manifest: Manifest, kind: type, sha256: str) -> Iterator[str]:
    """Say why a bundle cannot be the one that is asked for, from its manifest alone."""
    if sha256 and manifest.sha256 != sha256:
        yield f"{folder}: is not the bundle that was registered (sha256 {manifest.sha256[:12]}, not {sha256[:12]})."
    if manifest.kind != _name(kind):
        yield f"{folder}: holds a {manifest.kind}, not a {_name(kind)}."
    for name, here in versions().items():
        written = str(manifest.versions.get(name, "none"))
        if _major(name, written) != _major(name, here):
            yield f"{folder}: was written with {name} {written}, which {name} {here} may read otherwise. It is not read."


def _major(name: str, text: str) -> list[str]:
    """Give the part of a version within which files stay readable; scikit-learn changes them from one minor to the next."""
    return text.split(".")[: 2 if name == "scikit-learn" else 1]


def _bring_to_life(file: BufferedReader, folder: Path) -> object:
    try:
        return joblib.load(file)
    except _STRANGE as error:
        raise BundleError(f"{folder}: was written by other code, which this one cannot read ({error}).") from error


def _is_whole(thing: object) -> bool:
    """Whether every dataclass within has all the fields that it has today."""
    if is_dataclass(thing) and not isinstance(thing, type):
        names = [field.name for field in fields(thing)]
        return all(hasattr(thing, name) and _is_whole(getattr(thing, name)) for name in names)
    inside = thing.values() if isinstance(thing, dict) else thing if isinstance(thing, list | tuple) else ()
    return all(_is_whole(each) for each in inside)


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _file(folder: Path, sha256: str) -> Path:
    """Give the file of a bundle; a hash is letters and digits, and names nothing else."""
    return folder / f"{''.join(filter(str.isalnum, sha256))[:32]}.joblib"


def _hash(file: BufferedReader | BufferedRandom) -> str:
    """Hash an open file from its beginning, and come back there."""
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256").hexdigest()
    file.seek(0)
    return digest


def _settle(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
