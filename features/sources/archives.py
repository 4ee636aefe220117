"""The CSV files inside a zip archive, read where they lie: nothing is unpacked to disk, and nothing it says is believed."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import cast

import pandas as pd

from features.errors import InputError
from features.sources.files import DAMAGED, WORKBOOK, ZIP, opened
from features.sources.grid import Layout, plain, table_in
from features.sources.publication import day_in_name
from features.sources.records import records_of

_UNFOLDED_FREELY = 64 * 1024**2
_LARGEST_RATIO = 100  # a real archive of texts unfolds to 5 to 20 times its size
_MOST_UNFOLDED = 2 * 1024**3
_PACKED_AS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1
_LEAVES = re.compile(r"^[/\\]|^[A-Za-z]:|(?:^|[/\\])\.\.(?:[/\\]|$)")


def read_archive(path: Path, layouts: Mapping[str, Layout]) -> dict[str, pd.DataFrame]:
    """Read the tables of an archive as texts: each found by the word of ``layouts`` that its name holds, if it is there.

    One row per row under its header, with ``file`` (archive and name), ``line``, ``reason`` and ``named_day``.
    """
    with _unfolding(path) as archive:
        named = {part: _name(part) for part in archive.infolist()}
        return {
            word: _read_part(archive, part, path / named[part], layout)
            for word, layout in layouts.items()
            for part in _one_part(named, word, path)
        }


def holds_table(names: tuple[str, ...], word: str) -> bool:
    """Say whether an archive with files of these names holds a table."""
    return any(_is_table(name, word) for name in names)


@contextmanager
def _unfolding(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive whose names, sizes and packing are safe to follow."""
    with opened(path, WORKBOOK) as stream:
        if stream.peek(4)[:4] != ZIP:
            raise InputError(f"{path}: is no zip archive; give the archive as it was published.")
        size = stream.seek(0, io.SEEK_END)
        try:
            with zipfile.ZipFile(stream) as archive:
                _refuse_unsafe(archive.infolist(), size, path)
                yield archive
        except DAMAGED as fault:
            raise InputError(f"{path}: cannot be opened as an archive, or is damaged ({fault}); download it again.") from fault


def _refuse_unsafe(parts: list[zipfile.ZipInfo], size: int, path: Path) -> None:
    """Refuse names that leave the archive, what is locked, and what unfolds without end. Sizes that lie end the reading."""
    faults = []
    for part in parts:
        named = f"{path}: holds '{part.filename[:80]}', "
        if part.filename == "xl/workbook.xml":
            raise InputError(f"{path}: is an Excel workbook, not an archive of CSV files.")
        if _LEAVES.search(part.filename):
            faults.append(f"{named}a name that leads out of the archive; no published one does that.")
        elif part.flag_bits & _ENCRYPTED:
            faults.append(f"{named}which is locked by a password; save the archive without one.")
        elif part.compress_type not in _PACKED_AS:
            faults.append(f"{named}packed in a way that is not read here; zip it again.")
    if faults:
        raise InputError(*faults)
    unfolded = sum(part.file_size for part in parts)
    if unfolded > min(_MOST_UNFOLDED, max(_UNFOLDED_FREELY, _LARGEST_RATIO * size)):
        raise InputError(f"{path}: unfolds to {unfolded / 1024**2:,.0f} MB, far more than a real archive of its size.")


def _name(part: zipfile.ZipInfo) -> str:
    """Spell a name as it was meant: some archives hold UTF-8 names without saying so."""
    try:
        return part.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return part.filename


def _is_table(name: str, word: str) -> bool:
    base = name.replace("\\", "/").rsplit("/", maxsplit=1)[-1]
    return base.lower().endswith(".csv") and not base.startswith(".") and bool(re.search(rf"\b(?:{word})\b", plain(base)))


def _one_part(named: Mapping[zipfile.ZipInfo, str], word: str, path: Path) -> list[zipfile.ZipInfo]:
    """Find the file of a table: none, or one."""
    found = [part for part, name in named.items() if _is_table(name, word)]
    if len(found) > 1:
        names = ", ".join(named[part] for part in found)
        raise InputError(f"{path}: holds {len(found)} files of one table ({names}); keep one of them.")
    return found


def _read_part(archive: zipfile.ZipFile, part: zipfile.ZipInfo, inside: Path, layout: Layout) -> pd.DataFrame:
    """Read one file of an archive. One row per row under its header."""
    with archive.open(part) as packed:
        stream = cast(io.BufferedReader, io.BufferedReader(cast(io.RawIOBase, packed)))
        if not stream.peek(1):
            raise InputError(f"{inside}: is empty; download the archive again.")
        with closing(records_of(stream, ";,\t", inside)) as records:
            rows = table_in([("", records)], layout, inside)
    return rows.assign(file=f"{inside.parent.name}/{inside.name}", named_day=day_in_name(inside))
