"""The records of a text file: decoded and cut into fields as a stream, so that memory does not grow with the file."""

from __future__ import annotations

import codecs
import csv
import io
import logging
import re
from collections import deque
from collections.abc import Generator, Iterator
from pathlib import Path

from features.errors import InputError
from features.sources.files import opened

_LOG = logging.getLogger(__name__)
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_MULTIBYTE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_LETTERS = "àâäáæçèéêëíîïñóôöœùûüúßÀÂÄÆÇÈÉÊËÎÏÔÖŒÙÛÜ€«»‘’“”–—…°²·\xa0".encode("cp1252")
_UNDEFINED = frozenset(b"\x81\x8d\x8f\x90\x9d")  # which Windows-1252 gives no meaning
_ASCII = bytes(range(128))
_ESCAPED = re.compile("[\udc80-\udcff]")
_BLOCK = 1 << 20
_LONGEST_LINE = 1_000_000
_LONGEST_RECORD = 1000  # lines
_MOST_EMPTY = 2_000_000  # lines; a spreadsheet saved with all its empty rows has a million
_EMPTY = ' \t\r\n;,"'
_WRONG_ROWS = 0.02  # fewer accented lines than this may as well be wrong rows of a UTF-8 file

Record = tuple[int, list[str]]


def read_records(path: Path, separators: str, *kinds: str) -> Iterator[Record]:
    """Give the records of a CSV file: the 1-based line each starts on, and its fields. Blank lines are no records.

    The separator is the one of ``separators`` that its first line holds most. UTF-8 is read as such, and so is a file
    wholly in UTF-16 or Latin-1 where that is unambiguous, which the log then says. Bytes that are not UTF-8 in a UTF-8
    file come back escaped, for :func:`escaped` to find in their row.
    """
    with opened(path, *kinds) as stream:
        yield from records_of(stream, separators, path)


def records_of(stream: io.BufferedReader, separators: str, path: Path) -> Generator[Record]:
    """Give the records of an open CSV file, as :func:`read_records` does; ``path`` names it where it is refused."""
    encoding = _encoding_of(stream, path)
    stream.seek(0)
    text = io.TextIOWrapper(stream, encoding, errors="surrogateescape" if encoding == "utf-8-sig" else "strict")
    try:
        yield from cut(_lines(text, path), separators)
    except UnicodeDecodeError as fault:
        raise InputError(f"{path}: is neither UTF-8 nor UTF-16 text. Save it as UTF-8.") from fault
    finally:
        text.detach()


def _encoding_of(stream: io.BufferedReader, path: Path) -> str:
    """Find how a file is encoded, from all of its bytes but one block at a time."""
    wide = _utf16(stream.peek(64)[:64])
    if wide:
        _LOG.warning("%s: read as UTF-16; save it as UTF-8.", path)
        return wide
    high = odd = lines = accented = 0
    tail, no_latin, header = b"", False, b""
    while (block := stream.read(_BLOCK)) and b"\0" not in block:  # a NUL is refused where its line is read
        letters = block.translate(None, _ASCII)
        header = header or block.lstrip().partition(b"\n")[0].partition(b"\r")[0]
        if letters and not no_latin:
            no_latin = _MULTIBYTE.search(tail + block) is not None or not _UNDEFINED.isdisjoint(letters)
            high, odd = high + len(letters), odd + len(letters.translate(None, _LETTERS))
            accented += sum(not line.isascii() for line in block.split(b"\n"))
        lines += block.count(b"\n")
        tail = block[-3:]
    # Latin-1 without doubt: mostly French letters, none of them in UTF-8, and in the header or in more than a stray line.
    if no_latin or 2 * odd >= high or (header.isascii() and accented <= _WRONG_ROWS * lines):
        return "utf-8-sig"
    _LOG.warning("%s: read as Latin-1 (Windows-1252); save it as UTF-8.", path)
    return "cp1252"


def _utf16(head: bytes) -> str:
    if head.startswith(_UTF16):
        return "utf-16"
    zeros = (head[0::2].count(0), head[1::2].count(0))
    if len(head) >= 8 and max(zeros) * 2 == len(head) and min(zeros) == 0:
        return "utf-16-be" if zeros[0] else "utf-16-le"
    return ""


def _lines(text: io.TextIOBase, path: Path) -> Iterator[str]:
    """Give the lines without their ends, and refuse one that no memory could be sure to hold."""
    number, empty = 0, 0
    while line := text.readline(_LONGEST_LINE + 1):
        number += 1
        if "\0" in line:
            raise InputError(
                f"{path}: line {number} holds a NUL character: this is no text, or it is damaged. Save it again as UTF-8 text."
            )
        if len(line) > _LONGEST_LINE:
            raise InputError(f"{path}: line {number} holds more than a million characters; a real line holds a few hundred.")
        empty += not line.strip(_EMPTY)
        if empty > _MOST_EMPTY:
            raise InputError(f"{path}: more than two million of its lines are empty; delete the empty lines.")
        yield line.removesuffix("\n")


def escaped(text: str) -> bool:
    """Say whether a text held bytes that are not UTF-8."""
    return _ESCAPED.search(text) is not None


def cut(lines: Iterator[str], separators: str) -> Iterator[Record]:
    r"""Cut lines into records. A quoted field may run over lines; a quote that never closes spoils its own line only.

    >>> list(cut(iter(['a;b', '1;"x;', 'y"', '', '2;z']), ";,"))
    [(1, ['a', 'b']), (2, ['1', 'x;\ny']), (5, ['2', 'z'])]
    """
    ahead: deque[str] = deque()
    number, width, separator = 1, 0, ""
    while (first := ahead.popleft() if ahead else next(lines, None)) is not None:
        separator = separator or max(separators, key=first.count)
        fields, taken = _record(first, ahead, lines, separator, width)
        if any(fields):
            yield number, fields
            width = width or len(fields)
        number += taken


def _record(first: str, ahead: deque[str], lines: Iterator[str], separator: str, width: int) -> tuple[list[str], int]:
    """Give the fields of the record that a line starts, and how many lines it takes."""
    if '"' not in first:
        return first.split(separator), 1
    quotes, size = 0, 0
    for count in range(_LONGEST_RECORD):
        if count > len(ahead) and (more := next(lines, None)) is not None:
            ahead.append(more)
        if count > len(ahead) or size > _LONGEST_LINE:
            break
        line = ahead[count - 1] if count else first
        quotes, size = quotes + line.count('"'), size + len(line)
        if quotes % 2 == 0:
            fields = _fields("\n".join([first, *list(ahead)[:count]]), separator)
            if len(fields) == width or not width:
                for _ in range(count):
                    ahead.popleft()
                return fields, count + 1
            break
    return _fields(first, separator), 1


def _fields(record: str, separator: str) -> list[str]:
    try:
        return next(csv.reader(io.StringIO(record, newline=""), delimiter=separator))
    except csv.Error:
        return [record]
