"""How one formation of LHEO 2.x, or one resume of its index, becomes rows: one per session, with all that is said of it."""

from __future__ import annotations

import re
from calendar import monthrange
from collections import defaultdict
from functools import cache, lru_cache
from typing import NamedTuple, TypeAlias, cast

from features import facts
from features.sources.lheo_shapes import EXTRA, FORMATION, MODULE_KINDS, RESUME, Element, Found, Names, Shape, gather, names_in
from features.vocabulary import OTHER_PUBLIC, level_of_lheo

NO_ACTION, NO_SESSION = "the formation has no action, hence no session", "the action has no session"
EXPORT_DATE = EXTRA + "date-export"
_LAST_EXACT_LINE = 65_535
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
_TEACHING = {"0": "presentiel", "1": "mixte", "2": "distance"}
_FLAGS = {"0": False, "1": True}


class Course(NamedTuple):
    """What a formation says of all its sessions."""

    title: str
    action_type: str
    formacode: str
    formacodes: str
    nsf: str
    occupations: str
    certifinfo: str
    certifinfos: str
    rncp: str
    rncps: str
    rs: str
    certifying: bool | None
    entry_level: int | None
    exit_level: int | None
    modules: str
    provider: str


class Action(NamedTuple):
    """What an action says of its sessions: for whom, how long, paid by whom, where."""

    action: str
    entry_level_binds: bool
    publics: str
    teaching: str
    hours: str
    hours_centre: str
    hours_company: str
    funders: str
    price_eur: str
    permanent: bool
    under_agreement: bool | None
    commune: str
    latitude: str
    longitude: str


class Held(NamedTuple):
    """What a session says of itself; ``reason`` is filled where there is none to read."""

    session: str
    seats: str
    starts: str
    ends: str
    state: str
    blocks: str
    line: int
    reason: str


Row: TypeAlias = tuple[str | int | bool | None, ...]
FIELDS = (*Course._fields, *Action._fields, *Held._fields)


class Flattened(NamedTuple):
    """The rows of one formation or resume, and the dates it bears: of its export, of its updates."""

    rows: list[Row]
    exported: list[str]
    updated: list[str]


def flatten_formation(formation: Element) -> Flattened:
    """Flatten a formation into one row per session; what should hold a session and holds none is a row with a reason."""
    names = names_in(formation.tag[: -len(FORMATION)])
    found = gather(formation, names.course, defaultdict(list))
    course = _course(found)
    dated = [formation]
    rows: list[Row] = []
    for element in formation.iterchildren(names.action):
        sessions = list(element.iterchildren(names.session))
        dated += [element, *sessions]
        action, financed = _action(element, names, formation.get("numero", ""))
        held = _sessions(sessions, names.in_session, action.action, financed) if sessions else [_nothing(element, NO_SESSION)]
        rows += [(*course, *action, *one) for one in held]
    if not rows:
        rows = [(*course, *_NO_ACTION, *_nothing(formation, NO_ACTION))]
    return Flattened(rows, *_dates(dated, found))


def flatten_resume(resume: Element) -> Flattened:
    """Flatten a resume of the index into one row per session; without a session of its own it is one, of unknown dates.

    Its number names its action and session: it is the session's, followed by the start where a resume holds several.
    """
    names = names_in(resume.tag[: -len(RESUME)])
    found = gather(resume, names.resume, defaultdict(list))
    common = (*_course(found), *_action_of_resume(found))
    sessions = list(resume.iterchildren(names.session))
    held = _sessions(sessions, names.in_session, "", [])
    numbers = _numbers_in_resume(resume.get("numero", "").strip(), held)
    rows: list[Row] = [(*common, *one._replace(session=number)) for one, number in zip(held, numbers, strict=True)]
    if not rows:
        rows = [(*common, *_nothing(resume, "")._replace(session=resume.get("numero", "").strip()))]
    return Flattened(rows, *_dates([resume, *sessions], found))


def _numbers_in_resume(resume: str, held: list[Held]) -> list[str]:
    """Number the sessions of a resume: by its number where there is one, else by start as well, then by place."""
    if len(held) == 1 or not resume:
        return [one.session or resume for one in held]
    alike: defaultdict[str, set[Held]] = defaultdict(set)
    for one in held:
        alike[one.starts].add(one._replace(line=0))
    places = {one: place for same in alike.values() for place, one in enumerate(sorted(same))}
    numbers = []
    for one in held:
        place = places[one._replace(line=0)]
        parts = [resume, one.starts, str(place + 1) if place else ""]
        numbers.append(one.session or "/".join(part for part in parts if part))
    return numbers


def _dates(elements: list[Element], found: Found) -> tuple[list[str], list[str]]:
    exported = [text for name, texts in found.items() if name.startswith(EXPORT_DATE) for text in texts]
    exported += [text for element in elements if (text := element.get("horodatage-export"))]
    return exported, [text for element in elements if (text := element.get("datemaj"))]


def _nothing(element: Element, reason: str) -> Held:
    return Held("", "", "", "", "", "", _line(element), reason)


def _course(found: Found) -> Course:
    codes = [*found["principal"], *found["formacodes"]]
    rncps = [code.upper().removeprefix("RNCP") for code in found["rncps"]]
    formacode = codes[0] if codes else ""
    return Course(
        title=" ".join(_first(found["title"]).split()),
        action_type=_action_type(formacode, _first(found["objective"])),
        formacode=formacode,
        formacodes=_joined(codes),
        nsf=_joined(found["nsf"]),
        occupations=_joined(found["occupations"]),
        certifinfo=_first(found["certifinfos"]),
        certifinfos=_joined(found["certifinfos"]),
        rncp=_first(rncps),
        rncps=_joined(rncps),
        rs=_joined(found["rs"]),
        certifying=_FLAGS.get(_first(found["certifying"])),
        entry_level=_level(_first(found["entry_level"])),
        exit_level=_level(_first(found["exit_level"] or found[EXTRA + "code-niveau-sortie"])),
        modules=_modules(found),
        provider=_first(found["provider"]),
    )


def _action_type(formacode: str, objective: str) -> str:
    if formacode == _VAE:
        return "vae"
    return "langue" if objective == "5" and formacode.startswith(_LANGUAGES) else _ACTION_TYPES.get(objective, "")


def _modules(found: Found) -> str:
    """Write the modular parts as ``kind:reference``: the module that this is, those it is made of, those it asks before."""
    kinds = [kind for kind in MODULE_KINDS if kind in found]
    return _joined([f"{kind}:{' '.join(name.replace('|', ' ').split())}" for kind in kinds for name in found[kind]])


@lru_cache(maxsize=256)
def _level(code: str) -> int | None:
    return level_of_lheo(code) if len(code) <= 2 else None


def _action(element: Element, names: Names, formation: str) -> tuple[Action, list[str]]:
    """Read an action, and how many places are financed in it."""
    found = gather(element, names.in_action, defaultdict(list))
    place = next(element.iterchildren(names.place), None)
    if place is not None:
        gather(place, names.in_place, found)
    latitude, longitude = _point(_first(found["latitude"]), _first(found["longitude"]))
    parts = [_first(found["hours_centre"]), _first(found["hours_company"])]
    action = Action(
        action=element.get("numero", "").strip() or formation.strip(),
        entry_level_binds=_first(found["binds"]) == "1",
        publics=_publics(tuple(found["publics"])),
        teaching=_teaching(found),
        hours=_first(found["hours"]) or _sum(parts),
        hours_centre=parts[0],
        hours_company=parts[1],
        funders="|".join(sorted(set(found["funders"]), key=lambda code: (len(code), code))),
        price_eur=_amount(_first(found["price_eur"])),
        permanent=_first(found["permanent"]) == "1",
        under_agreement=_FLAGS.get(_first(found["under_agreement"])),
        commune=_first(found["commune"]).upper(),
        latitude=latitude,
        longitude=longitude,
    )
    return action, found["financed"]


_NO_ACTION = Action("", False, "", "", "", "", "", "", "", False, None, "", "", "")


def _action_of_resume(found: Found) -> Action:
    """Read what a resume says of its action: no price, funder, seat or binding level."""
    latitude, longitude = _point(_first(found[EXTRA + "latitude"]), _first(found[EXTRA + "longitude"]))
    return _NO_ACTION._replace(
        publics=_publics(tuple(found["publics"])),
        teaching=_teaching(found),
        hours=_first(found["hours"]),
        under_agreement=_FLAGS.get(_first(found[EXTRA + "conventionnement"])),
        commune=_first(found["commune"]).upper(),
        latitude=latitude,
        longitude=longitude,
    )


def _point(latitude: str, longitude: str) -> tuple[str, str]:
    """Give latitude and longitude; zeros are how publishers write that they know none."""
    return (latitude, longitude) if latitude.strip("0.,") or longitude.strip("0.,") else ("", "")


def _teaching(found: Found) -> str:
    code = _first(found["teaching"])
    return _TEACHING.get(code, code)


@lru_cache(maxsize=4096)
def _publics(codes: tuple[str, ...]) -> str:
    return "|".join(sorted({_public_codes().get(code) or OTHER_PUBLIC for code in codes}))


@cache
def _public_codes() -> dict[str, str]:
    return {str(code): str(public) for code, public in facts.publics()[["code", "public"]].itertuples(index=False)}


def _sessions(sessions: list[Element], shape: Shape, action: str, financed: list[str]) -> list[Held]:
    """Read the sessions of one action, which share the places that are financed in it."""
    shares = _shares(financed, len(sessions))
    held = []
    for place, (element, share) in enumerate(zip(sessions, shares, strict=True), 1):
        found = gather(element, shape, defaultdict(list))
        held.append(
            Held(
                session=element.get("numero", "").strip() or (f"{action}/{place}" if action else ""),
                seats=_most(found["seats"] or found["capacity"] or [share]),
                starts=day_of_lheo(_first(found["starts"])),
                ends=day_of_lheo(_first(found["ends"]), last=True),
                state=_first(found["state"]),
                blocks=_joined(found["blocks"]),
                line=_line(element),
                reason="",
            )
        )
    return held


def _line(element: Element) -> int:
    """Say on which line an element begins; past 65,535 the parser only knows where the text after its tag ends."""
    line = cast(int, element.sourceline)
    return line - (element.text or "").count("\n") if line >= _LAST_EXACT_LINE else line


def _shares(financed: list[str], sessions: int) -> list[str]:
    """Share the financed places of an action over its sessions: none is lost, the first ones get what remains.

    A number that is none is given to every session, which is then a wrong row.
    """
    wrong = [text for text in financed if not _counts(text)]
    if wrong or not financed or not sessions:
        return (wrong or [""])[:1] * sessions
    each_gets, left = divmod(sum(map(int, financed)), sessions)
    return [str(each_gets + (place < left)) for place in range(sessions)]


def _most(places: list[str]) -> str:
    """Give the largest of several numbers; one that is none makes a wrong row."""
    wrong = [text for text in places if not _counts(text)]
    return wrong[0] if wrong else max(places, key=int)


def _counts(text: str) -> bool:
    return text.isdecimal() and len(text) < 10


def _sum(parts: list[str]) -> str:
    try:
        return str(sum(float(part.replace(",", ".")) for part in parts if part)) if any(parts) else ""
    except ValueError:
        return ""


def _amount(text: str) -> str:
    """Read a price written by hand; what is no number is unknown.

    >>> _amount("2 500,00 € TTC"), _amount("sur devis")
    ('2500.00', '')
    """
    found = re.match(r"\d[\d\s]*(?:[.,]\d+)?", text)
    return re.sub(r"\s", "", found[0]).replace(",", ".") if found else ""


@lru_cache(maxsize=4096)
def day_of_lheo(text: str, *, last: bool = False) -> str:
    """Read a LHEO date: an unknown day or month gives the first day that it may be, or the last; 0 and 9 are unknown.

    >>> day_of_lheo("20250331"), day_of_lheo("20250200", last=True), day_of_lheo("20250000"), day_of_lheo("99999999")
    ('2025-03-31', '2025-02-28', '2025-01-01', '')
    """
    digits = re.sub(r"\D", "", text[:40])[:8]
    if digits in ("", "00000000", "99999999"):
        return ""
    year, month, day = digits[:4], digits[4:6], digits[6:]
    month = month if month != "00" else ("12" if last else "01")
    if day == "00":
        day = f"{monthrange(int(year), int(month))[1]}" if last and "01" <= month <= "12" and year != "0000" else "01"
    return f"{year}-{month}-{day}"


def _first(texts: list[str]) -> str:
    return texts[0] if texts else ""


def _joined(texts: list[str]) -> str:
    return "|".join(dict.fromkeys(texts)) if texts else ""
