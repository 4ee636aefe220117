"""The Formacode list: a file without a header, of subjects and of the other facets (publics, diplomas, means…).

A line has fifteen fields, of which the last ones are left away where they are empty.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from features.contracts import Checked
from features.errors import InputError
from features.reference_tables import FORMACODES
from features.sources.files import CSV, each
from features.sources.grid import Top, frame_of
from features.sources.lists import dated
from features.sources.publication import PublicationParams, day_in_name
from features.sources.records import read_records

EXAMPLE = (
    "A real one is the Formacode list, whose lines start like 11001;THEORIE GRAPHES;théorie graphes;DOM;110 MATHEMATIQUES;"
)
_PLACES = {"formacode": 0, "title": 2, "facets": 3, "field": 4, "broader": 6, "nsf": 12}
_FEWEST, _MOST = 4, 15


def read_formacodes(paths: Sequence[Path], publication: PublicationParams) -> Checked:
    """Read editions of the list. One row per code, whatever its facet."""
    none = pd.DataFrame(columns=[*_PLACES, "file", "line", "reason", "day"], dtype="str")
    rows = pd.concat([none, *each(paths, _read_edition)], ignore_index=True)
    parted = rows["field"].str.extract(r"^(\d{3}) +(.*)$")
    named = rows.assign(
        facets=rows["facets"].str.replace("$", "|", regex=False),
        field=parted[0].fillna(rows["field"]),
        field_title=parted[1].fillna(""),
        broader=_codes(rows["broader"]),
        nsf=_codes(rows["nsf"]),
        known_from=dated(rows["day"], publication),
    )
    return FORMACODES.parse(named, FORMACODES.name)


def _read_edition(path: Path) -> pd.DataFrame:
    """Read one edition as texts. One row per line."""
    records = read_records(path, ";", CSV)
    cut = ((line, _without_spare(fields)) for line, fields in records)
    whole = ((line, fields + [""] * (_MOST - len(fields) if _is_line(fields) else 0)) for line, fields in cut)
    rows = frame_of(whole, _PLACES, _MOST, path)
    if (rows["reason"] != "").all():
        raise InputError(f"{path}: is not the table that is read here. {EXAMPLE}")
    return rows.assign(day=day_in_name(path))


def _without_spare(fields: list[str]) -> list[str]:
    """Leave away the empty fields that a spreadsheet puts behind the others."""
    return fields if any(fields[_MOST:]) else fields[:_MOST]


def _is_line(fields: list[str]) -> bool:
    """Tell a line of the list by its code and its facets."""
    return (
        _FEWEST <= len(fields) <= _MOST
        and re.fullmatch(r"\d{5}", fields[0]) is not None
        and re.fullmatch(r"[A-Z]{3}(?:\$[A-Z]{3})*", fields[3]) is not None
    )


def _codes(cells: pd.Series[str]) -> pd.Series[str]:
    """Keep the codes of ``11022 RECHERCHE OPERATIONNELLE$11057 STATISTIQUE``. Same rows."""
    return cells.str.replace(r"(^|\$)(\d+) [^$]*", r"\1\2", regex=True).str.replace("$", "|", regex=False)


def holds_formacodes(top: Top) -> bool:
    """Say whether the first rows of a file are lines of the list, but for a wrong one here and there."""
    return any(2 * sum(_is_line(_without_spare(cells)) for cells in sheet) > len(sheet) for sheet in top.sheets)
