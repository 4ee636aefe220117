"""The faults that badly kept files have: what each makes of a line, and what readers must say of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Any

import numpy as np

from features import facts
from features.contracts import UNKNOWN_CODE
from features.tables import CONTRACT
from features.vocabulary import REGION

LATIN_1, UTF_8 = "cp1252", "utf-8"
_NO_COMMUNE = "67999"  # a number that no commune of Bas-Rhin bears
_MARK = "¤"  # which no file of ours holds
NOT_UTF_8 = "the row is not valid UTF-8; save the file as UTF-8"

Row = dict[str, Any]
Cell = Callable[[Row], object]


@dataclass(frozen=True)
class Form:
    """How the lines of one file are written: fields under a header, or JSON objects where there is no header."""

    header: tuple[str, ...] = ()
    encoding: str = UTF_8

    def row(self, line: bytes) -> Row | None:
        """Read a line; None where quotes make it more than its fields."""
        if not self.header:
            return dict(json.loads(line))
        fields = line.decode(self.encoding).split(";")
        return dict(zip(self.header, fields, strict=True)) if len(fields) == len(self.header) and b'"' not in line else None

    def line(self, row: Row) -> bytes:
        """Write a row as its line."""
        return (";".join(row.values()) if self.header else json.dumps(row, ensure_ascii=False)).encode(self.encoding)


Change = Callable[[bytes, Form], bytes | None]


@dataclass(frozen=True)
class Fault:
    """One fault: what it makes of a line (None: it does not suit), and what the reader must say.

    ``reason`` is that of the rejected row; ``column`` and ``code`` say which unknown code is listed, ``volume`` which field
    says how much its rows stand for. A fault with none of them costs no row.
    """

    name: str
    change: Change
    reason: str = ""
    column: str = ""
    code: str = ""
    volume: str = ""
    once: bool = False

    @property
    def is_wrong(self) -> bool:
        """Whether its rows use the reject budget."""
        return bool(self.reason) and not self.code


def volume_of(text: object) -> float:
    """Read how much a row stands for; a secret or an empty cell stands for nothing."""
    plain = str(text)
    return float(plain) if plain.replace(".", "", 1).isdigit() else 0.0


def faults_of_sources(rng: np.random.Generator) -> dict[str, tuple[Fault, ...]]:
    """List the faults of each source, with the unknown codes drawn for this folder."""
    occupation, formacode, family = (str(rng.choice(codes)) for codes in _absent_codes())
    return {
        "bmo": _survey_faults(family),
        "employment": _employment_faults(occupation),
        "jobseekers": _jobseeker_faults(occupation),
        "offers": _offer_faults(occupation),
        "outcomes": (_DUPLICATE, _wrong("outcomes", "origin_date", "unparsable_date", _french_day("date_origine"))),
        "projections": (_DUPLICATE,),
        "purchases": (
            _DUPLICATE,
            _unknown("formacode", formacode, volume="nb_places"),
            _wrong("purchases", "places", "negative_places", _negative("nb_places")),
        ),
        "sessions": _session_faults(),
        "signals": (_DUPLICATE,),
        "trainings": _training_faults(formacode),
    }


def _survey_faults(family: str) -> tuple[Fault, ...]:
    here = _only(lambda row: f"R{row['REG']}" == REGION and row["met"].isdigit() and row["smet"].isdigit())
    unknown = Fault("unknown_code", here(_set("Code métier BMO", _always(family))), "", "family", family, "met", once=True)
    return (
        Fault("duplicate", here(_twice)),
        unknown,
        Fault("secret", here(_set("smet", _always("*")))),
        Fault("below_the_secret", here(_set("met", _always("2"))), _not_expected("bmo", "projects")),
    )


def _employment_faults(occupation: str) -> tuple[Fault, ...]:
    ends = _set("date_fin", _days_before("date_debut", "date_fin"))
    return (
        _DUPLICATE,
        _unknown("rome", occupation),
        _wrong("employment", "starts", "unparsable_date", _french_day("date_debut")),
        Fault("end_before_start", ends, "the spell ends before it starts"),
        Fault("unknown_commune", _set("insee_commune", _always(_NO_COMMUNE)), "unknown commune"),
        Fault("not_utf8", _stray_byte("source"), NOT_UTF_8, once=True),
    )


def _jobseeker_faults(occupation: str) -> tuple[Fault, ...]:
    return (
        _DUPLICATE,
        _unknown("rome_vise", occupation),
        _wrong("jobseekers", "known_from", "unparsable_date", _french_day("date_observation")),
        _wrong("jobseekers", "last_occupation", "old_code", _old_code("rome_dernier_emploi")),
        Fault("missing_commune", _set("insee_commune", _emptied("insee_commune"))),
        Fault("unknown_commune", _set("insee_commune", _always(_NO_COMMUNE)), "unknown commune"),
    )


def _training_faults(formacode: str) -> tuple[Fault, ...]:
    left = "the person left (date_sortie) before entering (date_entree)"
    return (
        _DUPLICATE,
        _unknown("formacode", formacode),
        _wrong("trainings", "entered", "unparsable_date", _french_day("date_entree")),
        _wrong("trainings", "cost_eur", "negative_cost", _negative("cout_eur")),
        Fault("exit_before_entry", _set("date_sortie", _days_before("date_entree", "date_sortie")), left),
        Fault("missing_commune", _set("insee_commune", _emptied("insee_commune"))),
        Fault("not_utf8", _stray_byte("prescripteur"), NOT_UTF_8, once=True),
    )


def _session_faults() -> tuple[Fault, ...]:
    ends = _set("date_fin", _days_before("date_debut", "date_fin"))
    return (
        _DUPLICATE,
        _wrong("sessions", "places", "negative_places", _negative("places")),
        Fault("end_before_start", ends, "the session ends before it starts"),
        Fault("unknown_commune", _set("insee_commune", _always(_NO_COMMUNE)), f"unknown commune {_NO_COMMUNE}"),
    )


def _offer_faults(occupation: str) -> tuple[Fault, ...]:
    """List what can be wrong with an offer; those with a commune only, since the others are told by their label."""
    named = _only(lambda row: _is_ours(_place_of(row).get("commune")))
    nowhere = _set("lieuTravail", lambda row: {name: cell for name, cell in _place_of(row).items() if name != "commune"})
    elsewhere = _set("lieuTravail", lambda row: {**_place_of(row), "commune": _NO_COMMUNE})
    unknown = _set("romeCode", _always(occupation))
    codes = (f"{UNKNOWN_CODE} {occupation}", "occupation", occupation, "nombrePostes")
    early = "the offer was updated before it was created"
    return (
        Fault("duplicate", named(_twice)),
        Fault("unknown_code", named(unknown), *codes),
        Fault("missing_commune", named(nowhere)),
        Fault("unknown_commune", named(elsewhere), f"unknown commune {_NO_COMMUNE}"),
        Fault("negative_places", named(_set("nombrePostes", _always(-1))), _not_expected("offers", "positions")),
        Fault("update_before_creation", named(_set("dateActualisation", _always("2001-01-01T08:00:00.000Z"))), early),
        Fault("cut_short", named(_cut), "the line is not a JSON offer"),
        Fault("not_utf8", named(_stray_byte("typeContratLibelle")), "the line is not UTF-8; save the file as UTF-8", once=True),
    )


def _wrong(source: str, column: str, name: str, cell: Cell) -> Fault:
    """Make the fault of a cell that its column cannot hold."""
    return Fault(name, _set(CONTRACT[source][column].header, cell), _not_expected(source, column))


def _not_expected(source: str, column: str) -> str:
    asked = CONTRACT[source][column]
    return f"{asked.header or asked.name} is not {asked.expected}"


def _unknown(header: str, code: str, volume: str = "") -> Fault:
    """Make the fault of a code that no nomenclature holds, though it is spelt like one."""
    return Fault("unknown_code", _set(header, lambda row: code if row[header] else None), "", header, code, volume)


def _set(header: str, cell: Cell) -> Change:
    """Change one cell of a row; no cell, no change."""

    def change(line: bytes, form: Form) -> bytes | None:
        row = form.row(line)
        new = None if row is None else cell(row)
        return None if row is None or new is None else form.line({**row, header: new})

    return change


def _only(suits: Callable[[Row], bool]) -> Callable[[Change], Change]:
    """Keep a change to the rows it suits."""

    def kept(change: Change) -> Change:
        def changed(line: bytes, form: Form) -> bytes | None:
            row = form.row(line)
            return change(line, form) if row is not None and suits(row) else None

        return changed

    return kept


def _twice(line: bytes, form: Form) -> bytes:
    return line + b"\n" + line


def _cut(line: bytes, form: Form) -> bytes:
    """Break a line off in its middle, between two letters."""
    return line[: len(line) // 2].decode(form.encoding, "ignore").encode(form.encoding)


def _stray_byte(header: str) -> Change:
    """Put an é of Latin-1 into a cell of a UTF-8 file."""

    def change(line: bytes, form: Form) -> bytes | None:
        marked = _set(header, lambda row: f"{row[header]}{_MARK}" if row.get(header) else None)(line, form)
        return None if marked is None else marked.replace(_MARK.encode(form.encoding), b"\xe9")

    return change


def _always(value: object) -> Cell:
    return lambda row: value


def _emptied(header: str) -> Cell:
    return lambda row: "" if row[header] else None


def _french_day(header: str) -> Cell:
    """Write 2025-03-31 as 31/03/2025, which might as well be the third of some month."""
    return lambda row: "/".join(reversed(row[header].split("-"))) if row[header] else None


def _negative(header: str) -> Cell:
    return lambda row: f"-{row[header]}" if volume_of(row[header]) else None


def _old_code(header: str) -> Cell:
    """Write the occupation as ROME did until 2009: five digits."""
    return lambda row: f"3{row[header][1:]}" if row[header] else None


def _days_before(start: str, end: str) -> Cell:
    """Give a day before the start of a row that has an end."""
    return lambda row: f"{date.fromisoformat(row[start]) - timedelta(days=10)}" if row[start] and row[end] else None


def _place_of(row: Row) -> Mapping[str, object]:
    place: Mapping[str, object] = row.get("lieuTravail") or {}
    return place


def _is_ours(commune: object) -> bool:
    return f"C{str(commune).removeprefix('C')}" in _communes()


@cache
def _communes() -> frozenset[str]:
    return frozenset(facts.communes()["commune"])


def _absent_codes() -> tuple[list[str], list[str], list[str]]:
    """List codes that are spelt like an occupation, a Formacode and a family, and are none."""
    occupations, families = set(facts.occupations()["occupation"]), set(facts.families()["family"])
    formacodes, leaves = set(facts.formacodes()["formacode"]), set(facts.leaves()["leaf"])
    numbered = [f"{letter}{number}" for letter in "ABCDEFGHIJKLMN" for number in (9901, 9902, 9903)]
    fields = [f"{sector}{number:02d}" for sector in sorted(facts.sectors()["sector"]) for number in range(100)]
    grouped = [f"{letter}{digit}Z99" for letter in "ABCDEFGHJKLMNPQRSTUVW" for digit in range(10)]
    return (
        [code for code in numbered if code not in occupations | leaves],
        [code for code in fields if code not in formacodes],
        [code for code in grouped if code not in families],
    )


_DUPLICATE = Fault("duplicate", _twice)
