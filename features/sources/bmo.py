"""The yearly survey of recruitment projects (BMO): the official workbook, or its CSV export.

The data sheet is found by its columns, whose order changes, and two of which carry the year in their name (``BE24``).
``*`` is a statistical secret: not zero, not unknown, and flagged as such. Families are FAP 2009 until 2023, FAP 2021 after.
"""

from __future__ import annotations

import re
import unicodedata
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
from python_calamine import CalamineError, CalamineWorkbook

from features.contracts import Checked
from features.sources.files import CSV, WORKBOOK, each, escaped, opened, read_text, records
from features.tables import BMO
from features.vocabulary import InputError

EXAMPLE = (
    "A real one is the workbook or CSV that France Travail publishes, with the columns "
    "annee, Code métier BMO, BE24, Dept, REG, met, xmet, smet"
)
PUBLISHED = "04-15"
"""The day of its year on which a survey is out: results come in April."""

_COLUMNS = {
    "annee": "year",
    "code metier bmo": "family",
    "dept": "department",
    "reg": "region",
    "met": "projects",
    "xmet": "difficult",
    "smet": "seasonal",
}
_COUNTS = ("projects", "difficult", "seasonal")
_FIELDS = ("year", "family", "territory", "department", "region", *_COUNTS)
_HIDDEN = "*"
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_BASSIN = re.compile(r"be\d{2}")
_LAST_FAP_2009 = "2023"
_LARGEST = 1024**3
_HEADER_WITHIN = 20

Record = tuple[int, list[str]]


def read_bmo(paths: Sequence[Path], region: str | None = "44", *, published: str = PUBLISHED) -> Checked:
    """Read surveys. One row per family, bassin × département and year; other Regions are counted ``outside``.

    ``region`` None keeps them all; ``published`` is the month and day from which a year's survey is known.
    """
    parts = each(paths, _read_file)
    rows = pd.concat(parts, ignore_index=True) if parts else _frame([], "")
    other = (rows["region"].str.zfill(2) != region) & (rows["reason"] == "") & (region is not None)
    checked = BMO.parse(_in_contract(rows[~other], published), BMO.name)
    return replace(checked, outside=int(other.sum()))


def _read_file(path: Path) -> pd.DataFrame:
    """Read one file as texts. One row per row under the header."""
    with opened(path, WORKBOOK, CSV) as stream:
        is_workbook = stream.peek(4)[:4] in _WORKBOOKS
    for sheet in _sheets(path) if is_workbook else [_csv(path)]:
        for place, (_, cells) in enumerate(sheet[:_HEADER_WITHIN]):
            names = _names_of(cells)
            if set(_COLUMNS.values()) | {"territory"} <= set(names):
                return _frame([_row(record, names) for record in sheet[place + 1 :]], path.name)
    raise InputError(f"{path}: no sheet has the columns of the survey. {EXAMPLE}")


def _frame(rows: list[list[str]], source: str) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["line", "reason", *_FIELDS], dtype="str")
    return frame.assign(file=source, line=frame["line"].astype("int64"))


def _sheets(path: Path) -> Iterator[list[Record]]:
    """Give the rows of each sheet of a workbook, with their line and as texts."""
    refusal = f"{path}: cannot be opened as a workbook; download it again. {EXAMPLE}"
    try:
        if zipfile.is_zipfile(path) and sum(part.file_size for part in zipfile.ZipFile(path).infolist()) > _LARGEST:
            raise InputError(f"{path}: unfolds to more than 1 GB; no survey is so large. {EXAMPLE}")
        book = CalamineWorkbook.from_path(path)
        for name in book.sheet_names:
            rows = book.get_sheet_by_name(name).to_python(skip_empty_area=False)
            yield [
                (line, [_spelt(cell) for cell in row]) for line, row in enumerate(rows, 1) if any(cell != "" for cell in row)
            ]
    except (CalamineError, zipfile.BadZipFile, OSError) as fault:
        raise InputError(refusal) from fault


def _spelt(cell: object) -> str:
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell).strip()


def _csv(path: Path) -> list[Record]:
    text = read_text(path, WORKBOOK, CSV)
    header = text.split("\n", 1)[0]
    return list(records(text, max(";,\t", key=header.count), str(path)))


def _names_of(header: list[str]) -> dict[str, int]:
    """Place the columns of the contract in a header, whatever its order, case, accents and year."""
    plain = [unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().strip().lower() for name in header]
    names = {_COLUMNS[name]: place for place, name in enumerate(plain) if name in _COLUMNS}
    bassins = [place for place, name in enumerate(plain) if _BASSIN.fullmatch(name)]
    return names | {"territory": bassins[0]} if bassins else names


def _row(record: Record, names: dict[str, int]) -> list[str]:
    line, cells = record
    if max(names.values()) >= len(cells):
        return [str(line), f"the row has {len(cells)} fields only", *[""] * len(_FIELDS)]
    row = [cells[names[name]].strip() for name in _FIELDS]
    if any(map(escaped, row)):
        return [str(line), "the row is not valid UTF-8", *[""] * len(_FIELDS)]
    return [str(line), "", *row]


def _in_contract(rows: pd.DataFrame, published: str) -> pd.DataFrame:
    """Type the codes, tell secrets from numbers and date the survey, still as texts. Same rows."""
    secrets = {f"{name}_secret": (rows[name] == _HIDDEN).map({True: "1", False: "0"}) for name in _COUNTS}
    return rows.assign(
        **{name: rows[name].mask(rows[name] == _HIDDEN, "") for name in _COUNTS},
        **secrets,
        territory=rows["territory"].str.zfill(4),
        department=rows["department"].str.zfill(2),
        nomenclature=(rows["year"] <= _LAST_FAP_2009).map({True: "FAP2009", False: "FAP2021"}),
        known_from=rows["year"] + "-" + published,
    )
