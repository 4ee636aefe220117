"""Tables as producers publish them: a CSV file or a workbook, whose header is found by its names, in any order.

A :class:`Layout` says which header fills which column; the cells come out as texts, with the file and line of each row.
"""

from __future__ import annotations

import re
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BufferedReader
from itertools import chain, islice
from pathlib import Path

import pandas as pd
import pyarrow as pa

from features.errors import InputError
from features.sources.files import CSV, DAMAGED, JSON, WORKBOOK, ZIP, opened
from features.sources.records import escaped, read_records
from features.sources.workbooks import WORKBOOKS, sheets_of, spelt

_HEADER_WITHIN = 20
_CHUNK = 20_000
_CHUNK_CELLS = 2_000_000
_WIDEST = 2000  # columns; real tables have a few dozen

Row = tuple[int, Sequence[object]]  # its line, and its cells as a workbook holds them or as texts
Sheet = tuple[str, Iterable[Row]]
"""The name of a sheet, empty where a file has one table only, and its rows."""


@dataclass(frozen=True)
class Layout:
    """How a published table looks: the pattern of each header, as :func:`plain` spells it, and the column it fills.

    ``optional`` columns may be absent.
    """

    headers: Mapping[str, str]
    example: str
    optional: frozenset[str] = field(default_factory=frozenset)

    @property
    def columns(self) -> list[str]:
        """The columns the layout fills."""
        return list(dict.fromkeys(self.headers.values()))

    def places(self, header: list[str]) -> dict[str, list[int]]:
        """Find where each column stands in a header: nowhere, once, or more than once."""
        spelt = [plain(name) for name in header]
        found: dict[str, list[int]] = {}
        for pattern, column in self.headers.items():
            found.setdefault(column, []).extend(place for place, name in enumerate(spelt) if re.fullmatch(pattern, name))
        return {column: sorted(set(places)) for column, places in found.items()}

    def heads(self, top: Top) -> bool:
        """Say whether the table begins in the first rows of a file."""
        return any(not self.missing(cells) for sheet in top.sheets for cells in sheet)

    def spoken(self, column: str) -> str:
        """Spell a header that fills a column as a producer would: as the example does, else after its pattern."""
        patterns = [pattern for pattern, filled in self.headers.items() if filled == column]
        shown = re.split(r"[,;]| columns ", self.example)
        found = (name.strip() for pattern in patterns for name in shown if re.fullmatch(pattern, plain(name)))
        return next(found, _spelt_out(patterns[0]))

    def missing(self, header: list[str]) -> list[str]:
        """List the columns that a header lacks."""
        return [column for column, places in self.places(header).items() if not places and column not in self.optional]


def plain(header: str) -> str:
    """Spell a header without accents, case, or signs.

    >>> plain(" Code métier BMO "), plain("Intensité d'embauches")
    ('code metier bmo', 'intensite d embauches')
    """
    spaced = header.replace("\u2019", " ").replace("œ", "oe").replace("Œ", "oe")  # which have no ASCII letter under them
    ascii_only = unicodedata.normalize("NFKD", spaced).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", " ", ascii_only).strip()


def _spelt_out(pattern: str) -> str:
    r"""Spell one of the headers that a pattern stands for.

    >>> _spelt_out(r"(?:\w+ )?c?bassin|be\d{2}"), _spelt_out("libelle (?:competence|savoir)"), _spelt_out(r"be\d{2}")
    ('cbassin', 'libelle competence', 'be24')
    """
    whole = re.sub(r"\(\?:([^)|]*)[^)]*\)", lambda group: "" if "\\" in group[1] else group[1], pattern).split("|")[0]
    return re.sub(r"\\d\{(\d)\}", lambda digits: "2024"[-int(digits[1]) :], whole).replace("?", "")


def read_grid(path: Path, layout: Layout) -> pd.DataFrame:
    """Read one published table as texts. One row per row under its header, with ``file``, ``line`` and ``reason``."""
    return table_in(_sheets(path), layout, path)


def table_in(sheets: Iterable[Sheet], layout: Layout, path: Path) -> pd.DataFrame:
    """Find the one table in the sheets of a file. One row per row under its header, as :func:`read_grid` gives them."""
    nearest: list[str] = []
    found: tuple[str, pd.DataFrame] | None = None
    for name, sheet in sheets:
        rows = iter(sheet)
        top = [(line, [_text(cell) for cell in cells]) for line, cells in islice(rows, _HEADER_WITHIN)]
        for place, (_, header) in enumerate(top):
            _refuse_wide(len(header), path)
            if not layout.missing(header):
                if found:
                    raise InputError(
                        f"{path}: sheets '{found[0]}' and '{name}' both hold the table; put them in files of their own."
                    )
                places = _single_places(header, layout, path)
                found = name, frame_of(chain(top[place + 1 :], rows), places, len(header), path)
                break
            nearest = min(nearest or header, header, key=lambda names: len(layout.missing(names)))
    if not found:
        raise InputError(*_told_missing(nearest, layout, path))
    return found[1]


def _refuse_wide(width: int, path: Path) -> None:
    if width > _WIDEST:
        raise InputError(f"{path}: has {width:,} columns, and a table at most {_WIDEST:,}; delete the empty ones.")


def _told_missing(header: list[str], layout: Layout, path: Path) -> list[str]:
    """Name the columns that the likeliest header lacks; where it lacks most of them, the file is another one."""
    missing = layout.missing(header)
    if not _is_near(header, layout):
        return [f"{path}: is not the table that is read here. {layout.example}"]
    named = [f"{path}: no column is named '{layout.spoken(column)}'." for column in missing]
    return [*named, f"{path}: columns are missing. {layout.example}"]


def _is_near(header: list[str], layout: Layout) -> bool:
    """Say whether a header has at least half of the columns that a table cannot do without."""
    return 2 * len(layout.missing(header)) <= len(set(layout.columns) - layout.optional)


def nearest(top: Top, layouts: Mapping[str, Layout]) -> str:
    """Say which of these tables, each by its name, a file is nearest to, and what it lacks; nothing if to none of them."""
    near = [
        (-sum(map(bool, layout.places(cells).values())), name, layout.missing(cells))
        for name, layout in layouts.items()
        for sheet in top.sheets
        for cells in sheet
        if _is_near(cells, layout)
    ]
    if not near:
        return ""
    _, name, lacking = min(near)
    named = ", ".join(f"'{layouts[name].spoken(column)}'" for column in lacking)
    return f"It is nearest to {name}, but no column is named {named}. {layouts[name].example}."


@dataclass(frozen=True)
class Top:
    """The first rows of each sheet of a file, and the names of its parts if it is an archive: enough to tell what it is."""

    sheets: tuple[tuple[list[str], ...], ...] = ()
    parts: tuple[str, ...] = ()


def top_of(path: Path) -> Top:
    """Read the first rows of a file; an archive that is no workbook has parts only."""
    with opened(path, WORKBOOK, CSV, JSON) as stream:
        if stream.peek(4)[:4] == ZIP:
            parts = parts_of(stream, path)
            if "xl/workbook.xml" not in parts:
                return Top(parts=parts)
    sheets = (islice(sheet, _HEADER_WITHIN) for _, sheet in _sheets(path))
    return Top(tuple(tuple([_text(cell) for cell in cells[:_WIDEST]] for _, cells in sheet) for sheet in sheets))


def parts_of(stream: BufferedReader, path: Path) -> tuple[str, ...]:
    """List what an archive holds."""
    try:
        with zipfile.ZipFile(stream) as archive:
            return tuple(archive.namelist())
    except DAMAGED as fault:
        raise InputError(f"{path}: cannot be opened as an archive; download it again.") from fault


def _single_places(header: list[str], layout: Layout, path: Path) -> dict[str, int]:
    """Give the one place of each column; one that comes twice could mean either."""
    places = layout.places(header)
    twice = [header[found[0]] for found in places.values() if len(found) > 1]
    if twice:
        raise InputError(*(f"{path}: column '{name[:40]}' comes twice; keep one of them." for name in twice))
    return {column: found[0] for column, found in places.items() if found}


def frame_of(records: Iterable[Row], places: Mapping[str, int], width: int, path: Path) -> pd.DataFrame:
    """Put records under their columns. One row per record; one that is no row of this table says why."""
    _refuse_wide(width, path)
    found = _judged(records, width)
    parts = [_texts([], places)]
    while chunk := list(islice(found, max(1, min(_CHUNK, _CHUNK_CELLS // width)))):
        parts.append(_texts(chunk, places))
    rows: pd.DataFrame = pa.concat_tables(parts).to_pandas()
    return rows.assign(file=path.name)


def _judged(records: Iterable[Row], width: int) -> Iterator[tuple[int, str, Sequence[object]]]:
    """Give the line of each record, why it is no row of this table, and its fields; those of another width are left."""
    empty = [""] * width
    for line, fields in records:
        if len(fields) == width:
            yield line, "", fields
        else:
            yield line, f"the row has {len(fields)} fields, the header {width}", empty


def _texts(chunk: list[tuple[int, str, Sequence[object]]], places: Mapping[str, int]) -> pa.Table:
    """Turn records into columns of texts; those not in UTF-8 keep their line and a reason only."""
    lines, reasons, sound = ([*part] for part in zip(*chunk, strict=True)) if chunk else ([], [], [])
    texts = {name: [_text(fields[at]) for fields in sound] for name, at in places.items()}
    if any(escaped("".join(cells)) for cells in texts.values()):
        for at in [at for at in range(len(sound)) if any(escaped(cells[at]) for cells in texts.values())]:
            reasons[at] = "the row is not valid UTF-8; save the file as UTF-8"
            for cells in texts.values():
                cells[at] = ""
    return pa.table(
        {
            "line": pa.array(lines, pa.int64()),
            "reason": pa.array(reasons, pa.large_string()),
            **{name: pa.array(cells, pa.large_string()) for name, cells in texts.items()},
        }
    )


def _text(cell: object) -> str:
    return cell.strip() if isinstance(cell, str) else spelt(cell)


def _sheets(path: Path) -> Iterator[Sheet]:
    """Give each sheet of a workbook, or the one table of a CSV file."""
    with opened(path, WORKBOOK, CSV) as stream:
        if stream.peek(4)[:4] in WORKBOOKS:
            yield from sheets_of(stream, path)
            return
    yield "", read_records(path, ";,\t", WORKBOOK, CSV, JSON)
