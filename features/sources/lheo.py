"""The catalogue of training: LHEO 2.x XML, one file or many, plain or gzipped, read as a stream.

Formation, action and session are flattened into one row per session. A file is one export: what it holds was known from
its export date. Documents that declare a type or entities are refused before they can unfold; a formation is forgotten
as soon as it is read, so that memory does not grow with the file.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from io import BufferedReader
from pathlib import Path

import pandas as pd
from lxml import etree

from features import facts
from features.contracts import Checked
from features.sources.files import XML, each, opened
from features.tables import CATALOGUE
from features.vocabulary import OTHER_PUBLIC, InputError, level_of_lheo

EXAMPLE = "A real one is LHEO 2.x: <lheo><offres><formation>…<action>…<session>, .xml or .xml.gz"
_LARGEST_FORMATION = 16 * 1024**2
_LANGUAGES, _VAE = "152", "44591"
_ACTION_TYPES = {
    "2": "perfectionnement",
    "3": "perfectionnement",
    "4": "creation_entreprise",
    "5": "remise_a_niveau",
    "6": "certification",
    "7": "professionnalisation",
    "8": "prequalification",
    "9": "mobilisation",
}
_DECLARATION = re.compile(rb"<!(?:DOCTYPE|ENTITY)")
_DECLARED = f"declares a document type or entities, which are never read; remove them. {EXAMPLE}"
_ROOTS = ("lheo", "offres")
_DATE = re.compile(r"(?<!\d)((?:19|20)\d{2})-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])(?!\d)")
_PLACE = "lieu-de-formation/coordonnees/adresse/"
_NAMES = [column.name for column in CATALOGUE.columns if not column.optional and column.name != "known_from"]

Row = dict[str, str]


def read_catalogue(paths: Sequence[Path]) -> Checked:
    """Read exports of a catalogue. One row per session and export.

    The session is ``session/@numero``, prefixed by ``action/@numero`` and a ``/`` where an export repeats it or lacks it.
    """
    parts = each(paths, _read_file)
    rows = pd.concat(parts, ignore_index=True) if parts else _frame([]).assign(known_from="")
    return CATALOGUE.parse(_with_sessions(rows), CATALOGUE.name)


@dataclass
class _Export:
    """What one pass over a file gathers: its sessions, and the dates that may tell when it was exported."""

    rows: list[Row] = field(default_factory=list)
    dates: list[str] = field(default_factory=list)
    updates: list[str] = field(default_factory=list)


def _read_file(path: Path) -> pd.DataFrame:
    """Read one export as texts. One row per session."""
    export = _Export()
    with opened(path, XML) as stream:
        try:
            _gather(export, _Metered(stream, str(path)), str(path))
        except etree.XMLSyntaxError as fault:
            raise InputError(f"{path}: is not well-formed XML ({str(fault)[:120]}). {EXAMPLE}") from fault
    return _frame(export.rows).assign(file=path.name, known_from=_known_from(export, path))


def _frame(rows: list[Row]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=[*_NAMES, "action", "line"], dtype="str")


class _Metered:
    """A stream that refuses declarations at its head, and a formation without end, which would fill the memory."""

    def __init__(self, stream: BufferedReader, source: str) -> None:
        self.stream, self.source, self.pending, self.started = stream, source, 0, False

    def read(self, size: int) -> bytes:
        """Give the next bytes to the parser."""
        self.pending += size
        if self.pending > _LARGEST_FORMATION:
            raise InputError(f"{self.source}: 16 MB without the end of a formation; no real one is so long. {EXAMPLE}")
        content = self.stream.read(size)
        if _DECLARATION.search(re.split(rb"<[A-Za-z]", content, maxsplit=1)[0]) and not self.started:
            raise InputError(f"{self.source}: {_DECLARED}")
        self.started = True
        return content


def _gather(export: _Export, stream: _Metered, source: str) -> None:
    events = etree.iterparse(
        stream,
        tag=("{*}formation", "{*}extra"),
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    for _, element in events:
        _refuse_stranger(element, source)
        if etree.QName(element).localname == "extra":
            named = element.get("info", "").lower().replace(" ", "-").startswith("date-export")
            export.dates += [element.text or ""] if named else []
            continue
        export.updates += _without_namespaces(element)
        export.rows += _sessions_of(element)
        stream.pending = 0
        _forget(element)
    _refuse_stranger(events.root, source)
    export.updates = sorted(export.updates)[-1:]


def _refuse_stranger(element: etree._Element, source: str) -> None:
    tree = element.getroottree()
    if tree.docinfo.internalDTD:
        raise InputError(f"{source}: {_DECLARED}")
    root = etree.QName(tree.getroot()).localname
    if root not in _ROOTS:
        raise InputError(f"{source}: is a document <{root[:40]}>, not <lheo>. {EXAMPLE}")


def _without_namespaces(formation: etree._Element) -> list[str]:
    """Name the elements locally, since namespaces differ between publishers; give the latest day of update."""
    latest = ""
    for element in formation.iter("*"):
        element.tag = etree.QName(element).localname
        latest = max(latest, _day(element.get("datemaj", "")))
    return [latest]


def _forget(element: etree._Element) -> None:
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]


def _known_from(export: _Export, path: Path) -> str:
    named = ["-".join(found) for found in _DATE.findall(path.name)]
    for dates in ([_day(text) for text in export.dates], named, export.updates):
        if found := [date for date in dates if _DATE.fullmatch(date)]:
            return max(found)
    if not export.rows:
        return ""
    raise InputError(f"{path}: does not say when it was exported. Put the day in its name, like catalogue_2025-03-31.xml.gz")


def _sessions_of(formation: etree._Element) -> Iterator[Row]:
    """Flatten one formation into its sessions."""
    own = _of_formation(formation)
    for action in formation.findall("action"):
        shared = {**own, **_of_action(action), "action": action.get("numero", "") or formation.get("numero", "")}
        sessions = action.findall("session")
        for place, (session, share) in enumerate(zip(sessions, _shares(action, len(sessions)), strict=True), 1):
            yield {**shared, **_of_session(session, share), "session": _number_of(session, shared["action"], place)}


def _number_of(session: etree._Element, action: str, place: int) -> str:
    return session.get("numero", "").strip() or (f"{action}/{place}" if action else "")


def _of_formation(formation: etree._Element) -> Row:
    codes = formation.findall("domaine-formation/code-FORMACODE")
    principal = [code for code in codes if code.get("tag") == "principal"] or codes
    formacode = (principal[0].text or "").strip() if principal else ""
    return {
        "title": _text(formation, "intitule-formation"),
        "action_type": _action_type(formacode, _text(formation, "objectif-general-formation")),
        "formacode": formacode,
        "certifinfo": _text(formation, "certification/code-CERTIFINFO"),
        "rncp": _text(formation, "certification/code-RNCP").upper().removeprefix("RNCP"),
        "occupations": "|".join(_texts(formation, "domaine-formation/code-ROME")),
        "entry_level": str(level_of_lheo(_text(formation, "code-niveau-entree")) or ""),
        "exit_level": str(level_of_lheo(_text(formation, "code-niveau-sortie")) or ""),
        "provider": _text(formation, "organisme-formation-responsable/SIRET-organisme-formation/SIRET"),
    }


def _action_type(formacode: str, objective: str) -> str:
    if formacode == _VAE:
        return "vae"
    return "langue" if objective == "5" and formacode.startswith(_LANGUAGES) else _ACTION_TYPES.get(objective, "")


def _of_action(action: etree._Element) -> Row:
    publics = {_publics().get(code) or OTHER_PUBLIC for code in _texts(action, "code-public-vise")}
    latitude, longitude = (_text(action, _PLACE + "geolocalisation/" + name) for name in ("latitude", "longitude"))
    nowhere = not latitude.strip("0.,") and not longitude.strip("0.,")
    return {
        "entry_level_binds": str(int(_text(action, "niveau-entree-obligatoire") == "1")),
        "publics": "|".join(sorted(publics)),
        "hours": _hours(action),
        "funders": "|".join(
            sorted(set(_texts(action, "organisme-financeur/code-financeur")), key=lambda code: (len(code), code))
        ),
        "price_eur": _amount(_text(action, "prix-total-TTC")),
        "permanent": str(int(_text(action, "modalites-entrees-sorties") == "1")),
        "commune": _text(action, _PLACE + "code-INSEE-commune"),
        "latitude": "" if nowhere else latitude,
        "longitude": "" if nowhere else longitude,
    }


@cache
def _publics() -> dict[str, str]:
    return {str(code): str(public) for code, public in facts.publics()[["code", "public"]].itertuples(index=False)}


def _of_session(session: etree._Element, share: str) -> Row:
    places = _texts(session, "recrutement/nb-places") or _texts(session, "cycle/capacite-cumulee") or [share]
    return {
        "seats": max(places, key=lambda text: int(text) if text.isdecimal() else -1),
        "starts": _day(_text(session, "periode/debut")),
        "ends": _day(_text(session, "periode/fin"), last=True),
        "state": _text(session, "etat-recrutement"),
        "line": str(session.sourceline),
    }


def _shares(action: etree._Element, sessions: int) -> list[str]:
    """Share the financed places of an action over its sessions: none is lost, the first ones get what remains."""
    financed = [int(text) for text in _texts(action, "organisme-financeur/nb-places-financees") if text.isdecimal()]
    if not financed or not sessions:
        return [""] * sessions
    each_gets, left = divmod(sum(financed), sessions)
    return [str(each_gets + (place < left)) for place in range(sessions)]


def _hours(action: etree._Element) -> str:
    total = _text(action, "nombre-heures-total")
    parts = [_text(action, f"nombre-heures-{where}") for where in ("centre", "entreprise")]
    return total or (str(sum(int(part) for part in parts if part.isdecimal())) if any(parts) else "")


def _amount(text: str) -> str:
    """Read a price written by hand; what is no number is unknown.

    >>> _amount("2 500,00 € TTC"), _amount("sur devis")
    ('2500.00', '')
    """
    found = re.match(r"\d[\d\s]*(?:[.,]\d+)?", text)
    return re.sub(r"\s", "", found[0]).replace(",", ".") if found else ""


def _day(text: str, *, last: bool = False) -> str:
    """Read a LHEO date: an unknown day or month gives the first day that it may be, or the last; 0 and 9 are unknown.

    >>> _day("20250331"), _day("20250200", last=True), _day("20250000"), _day("99999999")
    ('2025-03-31', '2025-02-28', '2025-01-01', '')
    """
    digits = re.sub(r"\D", "", text)[:8]
    if digits in ("", "00000000", "99999999"):
        return ""
    year, month, day = digits[:4], digits[4:6], digits[6:]
    month = month if month != "00" else ("12" if last else "01")
    if day == "00":
        day = f"{monthrange(int(year), int(month))[1]}" if last and "01" <= month <= "12" and year != "0000" else "01"
    return f"{year}-{month}-{day}"


def _text(element: etree._Element, path: str) -> str:
    return (element.findtext(path) or "").strip()


def _texts(element: etree._Element, path: str) -> list[str]:
    found = [(item.text or "").strip() for item in element.findall(path)]
    return [text for text in found if text]


def _with_sessions(rows: pd.DataFrame) -> pd.DataFrame:
    """Tell apart the sessions of different actions that bear one number in one export. Same rows."""
    actions = rows.groupby(["known_from", "session"])["action"].transform("nunique")
    again = (actions > 1) & (rows["action"] != "") & (rows["session"] != "")
    return rows.assign(
        session=rows["session"].mask(again, rows["action"] + "/" + rows["session"]), line=rows["line"].astype("int64")
    )
