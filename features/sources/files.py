"""The bytes of a file: opened, decoded and cut into records, or refused in words that name its path as it was given.

Every reader of this package starts here, so that an HTML page saved as a CSV, a truncated download or a spreadsheet in
Latin-1 gets the same answer wherever it is dropped.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import logging
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar, cast

from features.vocabulary import InputError

_LOG = logging.getLogger(__name__)
_GZIP = b"\x1f\x8b"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_MULTIBYTE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_LETTERS = frozenset("àâäáæçèéêëíîïñóôöœùûüúßÀÂÄÆÇÈÉÊËÎÏÔÖŒÙÛÜ€«»‘’“”–—…°²·\xa0".encode("cp1252"))
_ESCAPED = re.compile("[\udc80-\udcff]")
_LONGEST_LINE = 1_000_000
_LONGEST_RECORD = 1000
WORKBOOK, PARQUET, JSON, XML, CSV = "an Excel workbook (or a zip)", "Parquet", "JSON", "XML", "CSV"
_KNOWN_BY = (
    (WORKBOOK, (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")),
    (PARQUET, (b"PAR1",)),
    ("a PDF", (b"%PDF",)),
    (JSON, (b"{", b"[")),
    (XML, (b"<",)),
)
_WRONG_ROWS = 0.02  # fewer accented lines than this may as well be wrong rows of a UTF-8 file

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
    """Open a file, plain or gzipped, and refuse a folder, an empty file, or what is plainly of no kind that is read here."""
    if path.is_dir():
        raise InputError(f"{path}: is a folder, not a file. Give the files in it.")
    try:
        with path.open("rb") as plain:
            zipped = plain.peek(2)[:2] == _GZIP
            stream = cast(io.BufferedReader, io.BufferedReader(gzip.GzipFile(fileobj=plain), 1 << 20) if zipped else plain)
            _refuse_other_kind(stream.peek(1024)[:1024].removeprefix(codecs.BOM_UTF8).lstrip(), path, kinds)
            yield stream
    except (FileNotFoundError, NotADirectoryError) as fault:
        raise InputError(f"{path}: there is no such file.") from fault
    except PermissionError as fault:
        raise InputError(f"{path}: may not be read by this user; ask for the right to read it.") from fault
    except (OSError, EOFError, zlib.error) as fault:
        raise InputError(f"{path}: cannot be read to its end ({fault}); copy or download it again.") from fault


def _refuse_other_kind(head: bytes, path: Path, kinds: tuple[str, ...]) -> None:
    """Tell by its first bytes a file that is of none of the kinds that are read here."""
    if not head:
        raise InputError(f"{path}: is empty; copy or download it again.")
    if head.lower().startswith((b"<!doctype html", b"<html")):
        raise InputError(f"{path}: is a web page (HTML), not {' or '.join(kinds)}; the download failed: download it again.")
    found = next((kind for kind, starts in _KNOWN_BY if head.startswith(starts)), CSV)
    if found != CSV and found not in kinds:
        raise InputError(f"{path}: is {found}, not {' or '.join(kinds)}.")


def read_text(path: Path, *kinds: str) -> str:
    """Read a file of text: UTF-8, or wholly UTF-16 or Latin-1 where that is unambiguous, which the log then says.

    Bytes that are not UTF-8 in a UTF-8 file come back escaped, for :func:`escaped` to find in their row.
    """
    with opened(path, *kinds) as stream:
        content = stream.read()
    text = _decoded(content, path)
    if "\0" in text:
        raise InputError(
            f"{path}: holds a NUL character: it is not a text file, or it is damaged. Save it again as UTF-8 text."
        )
    return text


def _decoded(content: bytes, path: Path) -> str:
    wide = _utf16(content)
    if wide:
        _LOG.warning("%s: read as UTF-16; save it as UTF-8.", path)
        try:
            return content.decode(wide).removeprefix("\ufeff")
        except UnicodeDecodeError as fault:
            raise InputError(f"{path}: is neither UTF-8 nor UTF-16 text. Save it as UTF-8.") from fault
    if _is_latin(content):
        _LOG.warning("%s: read as Latin-1 (Windows-1252); save it as UTF-8.", path)
        return content.decode("cp1252")
    return content.decode("utf-8-sig", "surrogateescape")


def _utf16(content: bytes) -> str:
    if content.startswith(_UTF16):
        return "utf-16"
    head = content[:64]
    zeros = (head[0::2].count(0), head[1::2].count(0))
    if len(head) >= 8 and max(zeros) * 2 == len(head) and min(zeros) == 0:
        return "utf-16-be" if zeros[0] else "utf-16-le"
    return ""


def _is_latin(content: bytes) -> bool:
    """Say whether a file is Latin-1 without doubt: French letters, none of them in UTF-8, and not in a stray line only."""
    high = content.translate(None, bytes(range(128)))
    if not high or _MULTIBYTE.search(content) or not set(high) <= _LETTERS:
        return False
    lines = content.splitlines()
    return sum(not line.isascii() for line in lines) > _WRONG_ROWS * len(lines)


def escaped(text: str) -> bool:
    """Say whether a text held bytes that are not UTF-8."""
    return _ESCAPED.search(text) is not None


def records(text: str, separator: str, source: str) -> Iterator[tuple[int, list[str]]]:
    r"""Cut a CSV text into records: the 1-based line each starts on, and its fields. Blank lines are no records.

    A quoted field may run over lines; a quote that never closes spoils its own line and no other.

    >>> list(records('a;b\n1;"x;\ny"\n\n2;z', ";", "x.csv"))
    [(1, ['a', 'b']), (2, ['1', 'x;\ny']), (5, ['2', 'z'])]
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    long = [number for number, line in enumerate(lines, 1) if len(line) > _LONGEST_LINE]
    if long:
        raise InputError(f"{source}: line {long[0]} holds more than a million characters; a real line holds a few hundred.")
    at, width = 0, 0
    while at < len(lines):
        fields, end = _record(lines, at, separator, width)
        if any(fields):
            yield at + 1, fields
            width = width or len(fields)
        at = end


def _record(lines: list[str], at: int, separator: str, width: int) -> tuple[list[str], int]:
    if '"' not in lines[at]:
        return lines[at].split(separator), at + 1
    quotes = 0
    for end in range(at, min(at + _LONGEST_RECORD, len(lines))):
        quotes += lines[end].count('"')
        if quotes % 2 == 0:
            fields = _fields("\n".join(lines[at : end + 1]), separator)
            if len(fields) == width or not width:
                return fields, end + 1
            break
    return _fields(lines[at], separator), at + 1


def _fields(record: str, separator: str) -> list[str]:
    try:
        return next(csv.reader(io.StringIO(record, newline=""), delimiter=separator))
    except csv.Error:
        return [record]
