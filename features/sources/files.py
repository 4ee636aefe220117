"""The bytes of a file: opened once, unfolded within bounds, or refused in words that name its path as it was given.

Every reader of this package starts here, so that an HTML page saved as a CSV, a truncated download, a pipe, an archive that
unfolds without end or a file that is still being written gets the same answer wherever it is dropped.
"""

from __future__ import annotations

import codecs
import io
import lzma
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

from isal import igzip, isal_zlib

from features.errors import InputError

_GZIP = b"\x1f\x8b"
_BLOCK = 1 << 18
_FOLDED_FREELY = 64 * 1024**2  # a bomb smaller than this does no harm
_LARGEST_RATIO = 250  # real deliveries unfold to 5 to 50 times their size; a bomb to a thousand
WORKBOOK, PARQUET, JSON, XML, CSV = "an Excel workbook (or a zip)", "Parquet", "JSON", "XML", "CSV"
# What a damaged, locked or oddly packed archive makes its library raise, beside the errors of a file.
DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(NotImplementedError, RuntimeError, EOFError, ValueError),
)
ZIP = b"PK\x03\x04"
_KNOWN_BY = (
    (WORKBOOK, (ZIP, b"\xd0\xcf\x11\xe0")),
    (PARQUET, (b"PAR1",)),
    ("a PDF", (b"%PDF",)),
    (JSON, (b"{", b"[")),
    (XML, (b"<",)),
)

Part = TypeVar("Part")


def each(paths: Sequence[Path], read: Callable[[Path], Part]) -> list[Part]:
    """Read every file, and raise one error that holds the faults of all of them."""
    parts: list[Part] = []
    faults: list[str] = []
    for path in paths:
        try:
            parts.append(read(path))
        except InputError as error:
            faults += error.faults
    if faults:
        raise InputError(*faults)
    return parts


@contextmanager
def opened(path: Path, *kinds: str) -> Iterator[io.BufferedReader]:
    """Open a file, plain or gzipped, and refuse what is no file, is empty, or is plainly of no kind that is read here.

    Read all of it before leaving: a file that changed meanwhile is refused then.
    """
    try:
        _refuse_no_file(path)
        with path.open("rb") as plain:
            before = _state(plain)
            zipped = plain.peek(2)[:2] == _GZIP
            stream = cast(
                io.BufferedReader, io.BufferedReader(cast(io.RawIOBase, _Unfolding(plain, path)), _BLOCK) if zipped else plain
            )
            _refuse_other_kind(stream.peek(1024)[:1024].removeprefix(codecs.BOM_UTF8).lstrip(), path, kinds)
            yield stream
            if _state(plain) != before:
                raise InputError(
                    f"{path}: changed while it was read; it is still being written. Read it again when it is whole."
                )
    except (FileNotFoundError, NotADirectoryError) as fault:
        raise InputError(f"{path}: there is no such file.") from fault
    except PermissionError as fault:
        raise InputError(f"{path}: may not be read by this user; ask for the right to read it.") from fault
    except (OSError, EOFError, isal_zlib.error) as fault:
        raise InputError(f"{path}: cannot be read to its end ({fault}); copy or download it again.") from fault


def _refuse_no_file(path: Path) -> None:
    """Refuse folders, pipes and devices before they are opened: opening a pipe may wait for ever."""
    told = os.fsencode(path).decode("utf-8", "replace")
    if told != str(path):
        raise InputError(f"{told}: has a name that is not UTF-8; rename the file.")
    kind = path.stat().st_mode
    if stat.S_ISDIR(kind):
        raise InputError(f"{path}: is a folder, not a file. Give the files in it.")
    if not stat.S_ISREG(kind):
        raise InputError(f"{path}: is a pipe or a device, not a file. Save what it gives as a file first.")


def _state(file: BinaryIO) -> tuple[int, int]:
    now = os.fstat(file.fileno())
    return now.st_size, now.st_mtime_ns


class _Unfolding(io.RawIOBase):
    """The content of a gzip file, refused once it unfolds to far more than a real one does."""

    def __init__(self, folded: BinaryIO, path: Path) -> None:
        self._gzip, self._folded, self._path, self._given = igzip.IGzipFile(fileobj=folded), folded, path, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        self._given = 0
        return int(self._gzip.seek(place, whence))

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        content = self._gzip.read(len(buffer))
        buffer[: len(content)] = content
        self._given += len(content)
        if self._given > max(_FOLDED_FREELY, _LARGEST_RATIO * self._folded.tell()):
            raise InputError(f"{self._path}: unfolds to more than {_LARGEST_RATIO} times its size, as no real delivery does.")
        return len(content)


def _refuse_other_kind(head: bytes, path: Path, kinds: tuple[str, ...]) -> None:
    """Tell by its first bytes a file that is of none of the kinds that are read here."""
    if not head:
        raise InputError(f"{path}: is empty; copy or download it again.")
    if head.lower().startswith((b"<!doctype html", b"<html")):
        raise InputError(f"{path}: is a web page (HTML), not {' or '.join(kinds)}; the download failed: download it again.")
    found = next((kind for kind, starts in _KNOWN_BY if head.startswith(starts)), CSV)
    if found != CSV and found not in kinds:
        raise InputError(f"{path}: is {found}, not {' or '.join(kinds)}.")
