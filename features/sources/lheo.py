"""The catalogue of training: LHEO 2.x XML, full exports or their index, one file or many, plain or gzipped, read as a stream.

Formation, action and session are flattened into one row per session; what is read of them stands in
:mod:`features.sources.lheo_shapes`. A file is one export: what it holds was known from its export date. Documents that
declare a type or entities are refused before they can unfold; a formation is forgotten as soon as it is read, so that
memory does not grow with the file but for the table itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from io import BufferedReader
from pathlib import Path
from typing import NoReturn
from xml.parsers import expat

import numpy as np
import pandas as pd
import pyarrow as pa
from lxml import etree

from features.contracts import Checked
from features.errors import InputError
from features.sources.files import XML, each, opened
from features.sources.lheo_rows import EXPORT_DATE, FIELDS, Flattened, Row, day_of_lheo, flatten_formation, flatten_resume
from features.sources.lheo_shapes import FORMATION, RESUME, Element, extra_name
from features.sources.publication import day_in_name
from features.tables import CATALOGUE

EXAMPLE = (
    "A real one is LHEO 2.x: <lheo><offres><formation>…<action>…<session> or its index <lheo-index>…<resume-offre>, "
    ".xml or .xml.gz"
)
_ROOTS = ("lheo", "offres", "lheo-index", "resumes-offres")
_READ = ("{*}formation", "{*}resume-offre", "{*}resume-organisme")
_LARGEST_FORMATION = 16 * 1024**2
_LARGEST_PROLOG = 1024**2
_CHUNK = 1 << 15
_BATCH = 20_000
_TYPED = {"line": pa.int64(), "entry_level": pa.int64(), "exit_level": pa.int64()} | dict.fromkeys(
    ("certifying", "entry_level_binds", "permanent", "under_agreement"), pa.bool_()
)
_SCHEMA = pa.schema([(name, _TYPED.get(name, pa.large_string())) for name in FIELDS])
_IN_PANDAS = {
    pa.large_string(): pd.StringDtype(na_value=np.nan),
    pa.int64(): pd.Int64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}


def read_catalogue(paths: Sequence[Path]) -> Checked:
    """Read exports of a catalogue. One row per session and export.

    The session is ``session/@numero``, prefixed by ``action/@numero`` and a ``/`` where an export repeats it or lacks it; in
    an index it is ``resume-offre/@numero``, followed by the start where a resume holds several. Of lists, joined by ``|``,
    ``formacodes`` begins with the principal one; ``modules`` holds ``kind:reference`` (``module`` is the formation itself,
    ``obligatoire``, ``personnalisable`` or ``inconnu`` a part of it, ``prerequis`` what it asks before), ``blocks`` the
    blocks of competences; ``teaching`` is ``presentiel``, ``mixte``, ``distance``, or what else the publisher wrote.
    """
    parts = each(paths, _read_file)
    rows = pd.concat(parts or [_dated(_frame([]), "", "")], ignore_index=True)
    return CATALOGUE.parse(_with_sessions(rows), CATALOGUE.name)


@dataclass
class _Export:
    """What one pass over a file gathers: its sessions in compact batches, and the dates that may tell when it was exported."""

    rows: list[Row] = field(default_factory=list)
    batches: list[pa.RecordBatch] = field(default_factory=list)
    exported: str = ""
    updated: str = ""

    def add(self, found: Flattened) -> None:
        """Take the sessions of one formation."""
        self.rows += found.rows
        self.exported = _latest(self.exported, found.exported)
        self.updated = _latest(self.updated, found.updated)
        if len(self.rows) >= _BATCH:
            self.pack()

    def pack(self) -> None:
        """Put the sessions gathered so far into a compact batch."""
        columns = zip(*self.rows, strict=True) if self.rows else ([] for _ in FIELDS)
        self.batches.append(pa.RecordBatch.from_arrays(list(map(pa.array, columns, _SCHEMA.types)), schema=_SCHEMA))
        self.rows = []


def _latest(day: str, texts: list[str]) -> str:
    """Give the latest of some dates; what is no day of the calendar is none."""
    for text in texts:
        found = day_of_lheo(text)
        if found > day and _is_day(found):
            day = found
    return day


def _is_day(text: str) -> bool:
    try:
        return 1990 <= date.fromisoformat(text).year <= 2099
    except ValueError:
        return False


def _read_file(path: Path) -> pd.DataFrame:
    """Read one export. One row per session."""
    export = _Export()
    with opened(path, XML) as stream:
        head = _prolog(stream, str(path))
        try:
            _stream(export, _Metered(stream, head, str(path)))
        except etree.XMLSyntaxError as fault:
            _refuse_broken(str(path), fault)
    export.pack()
    return _dated(_frame(export.batches), path.name, _known_from(export, path))


def _frame(batches: list[pa.RecordBatch]) -> pd.DataFrame:
    frame: pd.DataFrame = pa.Table.from_batches(batches, _SCHEMA).to_pandas(types_mapper=_IN_PANDAS.get)
    return frame


def _dated(rows: pd.DataFrame, file: str, day: str) -> pd.DataFrame:
    known_from = pd.Series(pd.Timestamp(day or "NaT"), index=rows.index, dtype="datetime64[us]")
    named = pd.Series(file, index=rows.index, dtype="str")
    return rows.assign(file=named, line=rows["line"].astype("int64"), known_from=known_from)


def _refuse_broken(source: str, fault: Exception) -> NoReturn:
    said = re.sub(r", (?:try|use) XML_PARSE_HUGE(?: option)?|\(<string>.*|\s+", " ", str(fault))
    raise InputError(f"{source}: is not well-formed XML ({said[:120].strip()}). {EXAMPLE}") from fault


def _prolog(stream: BufferedReader, source: str) -> bytes:
    """Read to the first element, and refuse what is declared before it, in whatever encoding, or another vocabulary."""
    roots: list[str] = []

    def refuse_declaration(*_: object) -> NoReturn:
        raise InputError(f"{source}: declares a document type or entities, which are never read; remove them. {EXAMPLE}")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartDoctypeDeclHandler = refuse_declaration
    parser.StartElementHandler = lambda name, _: roots.append(name.rpartition(" ")[2])
    head = b""
    while not roots:
        content = stream.read(_CHUNK)
        head += content
        try:
            parser.Parse(content, not content)
        except (
            expat.ExpatError,
            LookupError,
            ValueError,
        ) as fault:  # the last two: an encoding unheard of, or of several bytes
            if not roots:
                _refuse_broken(source, fault)
        if len(head) > _LARGEST_PROLOG and not roots:
            raise InputError(f"{source}: a megabyte without a first element; no real catalogue begins so. {EXAMPLE}")
    if roots[0] not in _ROOTS:
        raise InputError(f"{source}: is a document <{roots[0][:40]}>, not <lheo>. {EXAMPLE}")
    return head


class _Metered:
    """A stream that refuses a formation without end, which would fill the memory."""

    def __init__(self, stream: BufferedReader, head: bytes, source: str) -> None:
        self.stream, self.head, self.source, self.pending = stream, head, source, 0

    def read(self, size: int) -> bytes:
        """Give the next bytes to the parser, the head that was looked at first."""
        content, self.head = (self.head, b"") if self.head else (self.stream.read(size), b"")
        self.pending += len(content)
        if self.pending > _LARGEST_FORMATION:
            raise InputError(f"{self.source}: 16 MB without the end of a formation; no real one is so long. {EXAMPLE}")
        return content


def _stream(export: _Export, stream: _Metered) -> None:
    events = etree.iterparse(
        stream,
        tag=_READ,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    for _, element in events:
        if element.tag.endswith(FORMATION):
            export.add(flatten_formation(element))
        elif element.tag.endswith(RESUME):
            export.add(flatten_resume(element))
        stream.pending = 0
        _forget(element, export)
    export.exported = _latest(export.exported, list(_export_dates(events.root)))
    export.updated = _latest(export.updated, [events.root.get("datemaj", "")])


def _forget(element: Element, export: _Export) -> None:
    """Empty an element that was read, and drop all that stands before it, once it has told its dates."""
    element.clear()
    if next(element.iterancestors(*_READ), None) is not None:
        return  # what stands around it is still being read
    for node in (element, *element.iterancestors()):
        parent, before = node.getparent(), node.getprevious()
        if parent is None or before is None:
            continue
        if before.tag == element.tag and before.getprevious() is None:
            parent.remove(before)  # it was read, and is empty
        else:
            export.exported = _latest(export.exported, list(_export_dates(parent)))
            del parent[: parent.index(node)]


def _export_dates(root: Element) -> Iterator[str]:
    for element in root.iter("{*}extra"):
        if extra_name(element).startswith(EXPORT_DATE):
            yield element.text or ""
    yield root.get("horodatage-export", "")


def _known_from(export: _Export, path: Path) -> str:
    """Give the day of an export: the one it bears, else the one in its name, else that of its latest update."""
    named = _latest("", [day_in_name(path)])
    day = export.exported or named or export.updated
    if not day and any(len(batch) for batch in export.batches):
        raise InputError(
            f"{path}: does not say when it was exported. Put the day in its name, like catalogue_2025-03-31.xml.gz"
        )
    return day


def _with_sessions(rows: pd.DataFrame) -> pd.DataFrame:
    """Tell apart the sessions of different actions that bear one number in one export. Same rows."""
    number = ["known_from", "session"]
    doubled = rows[rows.duplicated(number, keep=False) & (rows["session"] != "")]
    again = doubled[(doubled.groupby(number)["action"].transform("nunique") > 1) & (doubled["action"] != "")]
    return rows.assign(session=(again["action"] + "/" + again["session"]).reindex(rows.index).fillna(rows["session"]))
