"""Job offers: search responses of "Offres d'emploi v2", or one offer per line, plain or gzipped, or Parquet.

Every version of an offer is kept, each known from the day it was updated: what the offer said in March stays what was
known in March. An occupation of ROME 4 is counted in its parent of ROME 3 and kept beside it as ``leaf``.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from dataclasses import replace
from io import BufferedReader
from itertools import chain
from pathlib import Path

import orjson
import pandas as pd
import pyarrow as pa

from features import facts
from features.contracts import UNKNOWN_CODE, Checked
from features.sources.files import JSON, PARQUET, each, opened
from features.sources.ours import read_parquet
from features.tables import OFFERS
from features.vocabulary import BORDERS, InputError

EXAMPLE = 'A real one is {"resultats": [{"id": "162MNDF", "dateCreation": …}]}, or one offer per line, plain or .gz'
_DAYS_PER_MONTH = 365.25 / 12
_MONTHS = {"mois": 1.0, "jour": 1 / _DAYS_PER_MONTH, "semaine": 7 / _DAYS_PER_MONTH, "an": 12.0}
_LEVELS = {"CAP": 3, "BEP": 3, "Bac ": 4, "Bac+2": 5, "Bac+3": 6, "Bac+4": 6, "Bac+5": 7}
_LARGEST = 256 * 1024**2
Offer = dict[str, object]
_FIELDS = (
    "offer",
    "created",
    "stamp",
    "occupation",
    "commune",
    "label",
    "contract",
    "length",
    "nature",
    "positions",
    "experience",
    "level",
    "skills",
)
_COLUMNS = ("file", "line", "reason", *_FIELDS)


def read_offers(paths: Sequence[Path]) -> Checked:
    """Read files of job offers. One row per offer and day on which it changed; of one day, the latest version.

    An earlier version of the same day counts as a duplicate; an occupation that ROME does not know is rejected by name.
    """
    parts = each(paths, _read_file) or [_translated(_frame([[] for _ in _COLUMNS]))]
    rows = pd.concat(parts, ignore_index=True)
    latest = _latest_of_the_day(rows)
    checked = OFFERS.parse(_in_rome_3(latest), OFFERS.name)
    return replace(checked, duplicates=checked.duplicates + len(rows) - len(latest))


def _read_file(path: Path) -> pd.DataFrame:
    """Read one file as texts. One row per offer it holds, and per line that is no offer."""
    with opened(path, JSON, PARQUET) as stream:
        if stream.peek(4)[:4] == b"PAR1":
            return read_parquet(path, OFFERS).assign(file=path.name, stamp=lambda t: t["known_from"])
        rows = _frame(_columns_of(_documents(stream, str(path)), path.name))
    if not rows.empty and (rows["reason"] != "").all():
        raise InputError(f"{path}: holds no job offer. {EXAMPLE}")
    return _translated(rows)


def _columns_of(offers: Iterator[tuple[int, Offer | None]], source: str) -> list[list[str]]:
    columns: list[list[str]] = [[] for _ in _COLUMNS]
    broken = ["the line is not a JSON offer", *[""] * len(_FIELDS)]
    for line, offer in offers:
        cells = broken if offer is None else ["", *_cells(offer)]
        for column, cell in zip(columns, [source, str(line), *cells], strict=True):
            column.append(cell)
    return columns


def _frame(columns: list[list[str]]) -> pd.DataFrame:
    texts = pa.table([pa.array(column, pa.large_string()) for column in columns], names=list(_COLUMNS))
    rows: pd.DataFrame = texts.to_pandas()
    return rows.assign(line=rows["line"].astype("int64"))


def _documents(stream: BufferedReader, source: str) -> Iterator[tuple[int, Offer | None]]:
    """Give every offer of a file with its line (its position, in a search response), and None for a broken line."""
    first, second = _line(stream, source).removeprefix(BOM_UTF8), _line(stream, source)
    lines: Iterator[bytes] = chain([first, second], iter(lambda: _line(stream, source), b""))
    if _loaded(first) is None and _loaded(second) is None:
        lines = iter(_whole(first + second + stream.read(_LARGEST), source))
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield from _offers_of(_loaded(line), number)


def _whole(content: bytes, source: str) -> list[bytes]:
    """Take a file for one document spread over its lines, or else for lines of which the first ones are broken."""
    if len(content) >= _LARGEST:
        raise InputError(f"{source}: is one document of more than 256 MB; write one offer per line. {EXAMPLE}")
    return [content] if _loaded(content) is not None else content.splitlines(keepends=True)


def _line(stream: BufferedReader, source: str) -> bytes:
    line = stream.readline(_LARGEST)
    if len(line) == _LARGEST:
        raise InputError(f"{source}: a line holds more than 256 MB; write one offer per line. {EXAMPLE}")
    return line


def _loaded(line: bytes) -> object:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None


def _offers_of(document: object, line: int) -> Iterator[tuple[int, Offer | None]]:
    if isinstance(document, dict) and "resultats" not in document:
        yield line, document if "id" in document else None
        return
    found = document.get("resultats") if isinstance(document, dict) else document
    if not isinstance(found, list):
        yield line, None
        return
    for place, offer in enumerate(found, line):
        yield place, offer if isinstance(offer, dict) and "id" in offer else None


def _cells(offer: Offer) -> list[str]:
    """Give the texts of one offer, in the order of ``_FIELDS``."""
    where = offer.get("lieuTravail")
    where = where if isinstance(where, dict) else {}
    created = _text(offer.get("dateCreation"))
    return [
        _text(offer.get("id")),
        created,
        _text(offer.get("dateActualisation")) or created,
        _text(offer.get("romeCode")),
        _text(where.get("commune")),
        _text(where.get("libelle")),
        _text(offer.get("typeContrat")),
        _text(offer.get("typeContratLibelle")),
        _text(offer.get("natureContrat")),
        _text(offer.get("nombrePostes")) or "1",
        _text(offer.get("experienceExige")),
        _level(_texts(offer.get("formations"), "niveauLibelle")),
        "|".join(sorted(set(_texts(offer.get("competences"), "code")))),
    ]


def _text(value: object) -> str:
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int | float) else ""


def _texts(items: object, name: str) -> list[str]:
    found = [_text(item.get(name)) for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    return [text for text in found if text]


def _level(labels: list[str]) -> str:
    """Give the lowest level that an offer asks for: one of several diplomas is enough."""
    return min((str(level) for label in labels for start, level in _LEVELS.items() if label.startswith(start)), default="")


def _translated(rows: pd.DataFrame) -> pd.DataFrame:
    """Turn the fields of the public format into the columns of the contract, still as texts. Same rows."""
    length = rows["length"].str.lower()
    spans = length.str.extract(r"- *(\d{1,4}) *(mois|jour|semaine|an)")
    months = spans[0].astype("float64") * spans[1].map(_MONTHS).astype("float64")
    label = rows["label"].where(rows["commune"] == "", "")
    border = label.where(label.str.lower().str.contains("(frontalier)", regex=False), "").str.split(" (", regex=False).str[0]
    seasonal = (rows["contract"] == "SAI") | (rows["nature"].str.lower() + length).str.contains("saisonnier", regex=False)
    return rows.drop(columns=["length", "nature", "label"]).assign(
        created=rows["created"].str[:10],
        known_from=rows["stamp"].str[:10],
        leaf="",
        border=border.map({name: code for code, name in BORDERS.items()}).fillna(""),
        contract_months=months.round(2).astype("str").where(months.notna(), ""),
        seasonal=seasonal.map({True: "1", False: "0"}),
        department=label.str.extract(r"^(\d{2,3}|2[AB]) - ", expand=False).fillna(""),
    )


def _latest_of_the_day(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep the latest version of each offer and day. One row per offer, day and line that says the same."""
    stamps = pd.to_datetime(rows["stamp"], utc=True, format="ISO8601", errors="coerce")
    latest = stamps.groupby([rows["offer"], rows["known_from"]]).transform("max")
    return rows[(stamps == latest) | stamps.isna()].reset_index(drop=True)


def _in_rome_3(rows: pd.DataFrame) -> pd.DataFrame:
    """Count each occupation in its ROME 3 parent, keep the leaf beside it, and mark the unknown ones. Same rows."""
    codes = rows["occupation"].fillna("").str.strip().str.upper()
    known = codes.isin(facts.occupations()["occupation"])
    parents = codes.map(facts.leaves().set_index("leaf")["occupation"]).mask(known, codes)
    unknown = parents.isna() & (codes != "")
    given = rows["reason"].fillna("") if "reason" in rows else pd.Series("", index=rows.index, dtype="str")
    return rows.assign(
        occupation=parents.fillna(codes),
        leaf=rows["leaf"].mask(~known & parents.notna(), codes),
        reason=given.mask(unknown & (given == ""), f"{UNKNOWN_CODE} " + codes.str[:10]),
    )
