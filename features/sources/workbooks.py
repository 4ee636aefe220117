"""The rows of a workbook, cell by cell as texts; one that would fill the memory is refused before it is laid out.

The library that reads workbooks lays a sheet out as a full table: two cells a million rows and sixteen thousand columns
apart, or one long text that a hundred thousand cells share, which take a few bytes in the file, would end the process. So
the parts of a workbook are looked through first.
"""

from __future__ import annotations

import logging
import re
import zipfile
from array import array
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from io import BufferedReader
from pathlib import Path

from lxml import etree
from python_calamine import CalamineError, CalamineWorkbook, SheetVisibleEnum

from features.errors import InputError
from features.sources.files import DAMAGED, ZIP

_LOG = logging.getLogger(__name__)
WORKBOOKS = (ZIP, b"\xd0\xcf\x11\xe0")
_LARGEST = 256 * 1024**2
_LARGEST_UNFOLDED = 512 * 1024**2
_MOST_CELLS = 50_000_000
_MOST_TEXT = 256 * 1024**2  # bytes, of all the cells of a sheet that hold shared texts
_MOST_ROWS, _MOST_COLUMNS = 1_048_576, 16_384  # no sheet of Excel has more
_MOST_SHARED = 5_000_000
_SHARED = "xl/sharedstrings.xml"
_NOT_EXCEL = frozenset({"content.xml", "xl/workbook.bin"})  # which the library would read, as OpenDocument and .xlsb
_SHARED_CELL = (b's"', b"s'")  # how t="s" ends
_ROW_OR_CELL = ("{*}row", "{*}c")
_BLOCK = 1 << 20
_ONE_LETTER = 26
_PLACED = re.compile(rb"r\s*=\s*[\"'](?:([A-Za-z]{2,3})\d|(\d{1,7})[\"'])")
_FAR_DOWN = re.compile(rb"r\s*=\s*[\"'][A-Za-z]{1,3}\d{6}")
_UNTOLD = 99_999  # the line of a cell up to which the quick look does not read it
_OVERLAP = 64  # bytes looked at twice, so that nothing hides between two blocks
_PLACE = re.compile(r"([A-Za-z]+)(\d+)")


def sheets_of(stream: BufferedReader, path: Path) -> Iterator[tuple[str, Iterable[tuple[int, Sequence[object]]]]]:
    """Give the name of each sheet that is not hidden, and its rows that hold anything, with their line."""
    try:
        _refuse_bomb(stream, path)
        stream.seek(0)
        book = CalamineWorkbook.from_filelike(stream)
        for sheet in book.sheets_metadata:
            if sheet.visible != SheetVisibleEnum.Visible:
                _LOG.warning("%s: sheet '%s' is hidden and not read.", path, sheet.name)
                continue
            rows = book.get_sheet_by_name(sheet.name).iter_rows()
            yield (
                sheet.name,
                ((line, row) for line, row in enumerate(rows, 1) if row.count("") != len(row)),
            )
    except (CalamineError, *DAMAGED, etree.XMLSyntaxError) as fault:
        raise InputError(f"{path}: cannot be opened as a workbook; download it again.") from fault


def spelt(cell: object) -> str:
    """Spell a cell as a CSV file would: whole numbers without a point, days as 2025-03-31.

    >>> spelt(44.0), spelt(12.5), spelt(date(2025, 3, 31)), spelt(True)
    ('44', '12.5', '2025-03-31', '1')
    """
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, datetime):
        return cell.date().isoformat()
    if isinstance(cell, date):
        return cell.isoformat()
    return str(int(cell)) if isinstance(cell, bool) else str(cell)


def _refuse_bomb(stream: BufferedReader, path: Path) -> None:
    """Refuse what is no workbook, one that unfolds without end, or one of which a sheet would fill the memory."""
    if stream.seek(0, 2) > _LARGEST:
        raise InputError(f"{path}: is larger than 256 MB; no published workbook is.")
    stream.seek(0)
    if stream.peek(4)[:4] != ZIP:
        return
    with zipfile.ZipFile(stream) as archive:
        if sum(part.file_size for part in archive.infolist()) > _LARGEST_UNFOLDED:
            raise InputError(f"{path}: unfolds to more than 512 MB; no published workbook is so large.")
        parts = {part.filename.lower(): part for part in archive.infolist()}
        if "xl/workbook.xml" not in parts or parts.keys() & _NOT_EXCEL:
            raise InputError(f"{path}: is an OpenDocument file or another archive; save it as .xlsx or as CSV.")
        shared = array("q", _sizes_of_texts(archive, parts[_SHARED], path) if _SHARED in parts else ())
        for part in archive.infolist():
            if part.filename.lower() != _SHARED and _may_be_large(archive, part, max(shared, default=0)):
                _refuse_large(archive, part, shared, path)


def _sizes_of_texts(archive: zipfile.ZipFile, part: zipfile.ZipInfo, path: Path) -> Iterator[int]:
    """Measure, in bytes, each of the texts that cells share."""
    with archive.open(part) as content:
        for count, (_, element) in enumerate(etree.iterparse(content, tag="{*}si", resolve_entities=False)):
            if count == _MOST_SHARED:
                raise InputError(f"{path}: holds more than five million texts; no published workbook does.")
            yield len("".join(element.itertext()).encode())
            _forget(element)


def _may_be_large(archive: zipfile.ZipFile, part: zipfile.ZipInfo, longest: int) -> bool:
    """Say from a quick look whether a sheet may span too many cells, or hold too much text: never no when it does."""
    rows, height, width, texts, in_row, before = 0, _UNTOLD, _ONE_LETTER, 0, 0, b""
    with archive.open(part) as content:
        while block := content.read(_BLOCK):
            joined = before + block
            texts += sum(joined.count(ending) for ending in _SHARED_CELL)
            signs = [piece.count(b"<") for piece in joined.split(b"row")]
            signs[0] += in_row
            rows, width, in_row = rows + len(signs), max(width, *signs), signs[-1]
            for column, line in set(_PLACED.findall(joined)):
                width, height = max(width, _number(column)), max(height, int(line or 0))
            if _FAR_DOWN.search(joined):
                height = _MOST_ROWS
            if max(rows, height) * width > _MOST_CELLS or width > 4 * _MOST_COLUMNS or texts * longest > _MOST_TEXT:
                return True
            before = joined[-_OVERLAP:]
    return False


def _refuse_large(archive: zipfile.ZipFile, part: zipfile.ZipInfo, shared: Sequence[int], path: Path) -> None:
    """Refuse a sheet that, cell by cell, has more rows, columns, cells or text than the memory is sure to hold."""
    height, width, text, longest = 0, 0, 0, max(shared, default=0)
    for line, place, texts in _cells(archive, part):
        height, width = max(height, line), max(width, place)
        text += sum(longest if at < 0 else shared[at] for at in texts if at < len(shared))
        if height > _MOST_ROWS or width > _MOST_COLUMNS:
            raise InputError(
                f"{path}: a sheet has more rows or columns than Excel takes; save it again without the empty ones."
            )
        if text > _MOST_TEXT:
            raise InputError(f"{path}: a sheet holds more than 256 MB of text, far more than a published workbook.")
    if height * width > _MOST_CELLS:
        raise InputError(
            f"{path}: a sheet spans {height * width:,} cells, most of them empty; delete the empty rows and columns."
        )


def _cells(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> Iterator[tuple[int, int, list[int]]]:
    """Give the row and column of each cell, by its reference or after the one before, and which shared texts it holds.

    A row comes first, as a cell in column 0. A text that is not told plainly is -1.
    """
    line, place = 0, 0
    with archive.open(part) as content:
        for event, element in etree.iterparse(content, events=("start", "end"), tag=_ROW_OR_CELL, resolve_entities=False):
            written = element.get("r", "")
            is_row = element.tag.rpartition("}")[2] == "row"
            if is_row and event == "start":
                line, place = int(written) if written.isdecimal() else line + 1, 0
                yield line, 0, []
            elif event == "end" and not is_row:
                found = _PLACE.fullmatch(written)
                place = _number(found[1].encode()) if found else place + 1
                values = element.iterchildren("{*}v") if element.get("t") == "s" else ()
                indexes = ["" if len(value) else value.text or "" for value in values]
                yield int(found[2]) if found else line, place, [int(at) if at.isdecimal() else -1 for at in indexes]
            if event == "end":
                _forget(element)


def _forget(element: etree._Element) -> None:
    """Let go of what was read, so that memory does not grow with the part."""
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]


def _number(column: bytes) -> int:
    """Count the columns up to one of a sheet: ``A`` is 1, ``AA`` is 27."""
    number = 0
    for letter in column.upper():
        number = number * 26 + letter - 64
    return number
