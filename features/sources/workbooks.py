"""The rows of a workbook, cell by cell as texts; one that would fill the memory is refused before it is laid out.

The library that reads workbooks lays a sheet out as a full table: two cells a million rows and sixteen thousand columns
apart, which take a few bytes in the file, would end the process. So the parts of a workbook are looked through first.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from io import BufferedReader
from pathlib import Path
from typing import IO

from lxml import etree
from python_calamine import CalamineError, CalamineWorkbook

from features.errors import InputError
from features.sources.files import DAMAGED, ZIP
from features.sources.records import Record

WORKBOOKS = (ZIP, b"\xd0\xcf\x11\xe0")
_LARGEST = 256 * 1024**2
_LARGEST_UNFOLDED = 512 * 1024**2
_MOST_CELLS = 50_000_000
_BLOCK = 1 << 20
_ONE_LETTER = 26
_PLACED = re.compile(rb"\br=[\"'](?:([A-Za-z]{2,3})\d|(\d{1,7})[\"'])")
_PLACE = re.compile(r"([A-Za-z]+)(\d+)")


def sheets_of(stream: BufferedReader, path: Path) -> Iterator[Iterable[Record]]:
    """Give the rows of each sheet that hold anything, with their line."""
    try:
        _refuse_bomb(stream, path)
        stream.seek(0)
        book = CalamineWorkbook.from_filelike(stream)
        for name in book.sheet_names:
            rows = book.get_sheet_by_name(name).iter_rows()
            yield (
                (line, [cell if cell.__class__ is str else spelt(cell) for cell in row])
                for line, row in enumerate(rows, 1)
                if row.count("") != len(row)
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
    """Refuse a workbook that unfolds without end, or whose cells lie so far apart that a table of them fills the memory."""
    if stream.seek(0, 2) > _LARGEST:
        raise InputError(f"{path}: is larger than 256 MB; no published workbook is.")
    stream.seek(0)
    if stream.peek(4)[:4] != ZIP:
        return
    with zipfile.ZipFile(stream) as archive:
        parts = archive.infolist()
        if sum(part.file_size for part in parts) > _LARGEST_UNFOLDED:
            raise InputError(f"{path}: unfolds to more than 512 MB; no published workbook is so large.")
        for part in parts:
            with archive.open(part) as content:
                may_be_far = _most_cells(content) > _MOST_CELLS
            if may_be_far and (cells := _count_cells(archive, part)) > _MOST_CELLS:
                raise InputError(
                    f"{path}: a sheet spans {cells:,} cells, most of them empty; delete the empty rows and columns."
                )


def _most_cells(part: IO[bytes]) -> int:
    """Say how many cells a sheet may span at most, from a quick look: never less than it does."""
    rows, height, width, row = 0, 0, _ONE_LETTER, b""
    while block := part.read(_BLOCK):
        *ended, row = (row + block).split(b"row")
        rows += len(ended)
        width = max(width, max((piece.count(b"<") for piece in (*ended, row)), default=0))
        for column, line in set(_PLACED.findall(block)):
            width, height = max(width, _number(column)), max(height, int(line or 0))
        row = row[-_BLOCK:]
    return max(rows, height) * width


def _count_cells(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> int:
    """Count the cells that a sheet spans, each placed by its reference, or after the one before."""
    line, place, height, width = 0, 0, 0, 0
    with archive.open(part) as content:
        for _, element in etree.iterparse(content, events=("start",), tag=("{*}row", "{*}c"), resolve_entities=False):
            written = element.get("r", "")
            if etree.QName(element).localname == "row":
                line, place = int(written) if written.isdecimal() else line + 1, 0
            else:
                found = _PLACE.fullmatch(written)
                place = _number(found[1].encode()) if found else place + 1
                height = max(height, int(found[2]) if found else line)
            height, width = max(height, line), max(width, place)
            element.clear()
    return height * width


def _number(column: bytes) -> int:
    """Count the columns up to one of a sheet: ``A`` is 1, ``AA`` is 27."""
    number = 0
    for letter in column.upper():
        number = number * 26 + letter - 64
    return number
