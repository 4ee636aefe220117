"""Job offers out of JSON: a search response, a list, or one offer per line, decoded block by block.

A line never spoils its neighbours: what is no offer is told by its number. The decoder knows the few fields that are read and
skips the rest; an offer that spells one of them otherwise is read by a slower, tolerant way that gives the same.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Iterator
from io import BufferedReader
from itertools import chain, islice
from pathlib import Path
from typing import Annotated

import msgspec

from features.errors import InputError

EXAMPLE = 'A real one is {"resultats": [{"id": "162MNDF", "dateCreation": …}]}, or one offer per line, plain or .gz'
_BLOCK = 256 * 1024  # what stays near the processor is decoded quicker than a larger block
_AT_ONCE = 1000
_LARGEST = 16 * 1024**2  # an offer holds 2 to 20 kB, a search response of 150 offers half a MB
_LONGEST_TEXT = 200  # what is read are codes, dates and short labels
_BROKEN_FREELY = 100_000  # more broken lines than this are kept only beside as many offers
_UTF_16 = re.compile(rb"\xff\xfe|\xfe\xff|(?:[^\0]\0){4}|(?:\0[^\0]){4}")
_NO_OFFER, _NOT_UTF_8 = "the line is not a JSON offer", "the line is not UTF-8; save the file as UTF-8"
_UNDECODED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


Text = Annotated[str, msgspec.Meta(max_length=_LONGEST_TEXT)]


class Workplace(msgspec.Struct, gc=False, rename={"label": "libelle"}):
    """Where the work is: a commune, or only a label."""

    label: Text | None = None
    commune: Text | None = None


class Diploma(msgspec.Struct, gc=False, rename={"level": "niveauLibelle"}):
    """A diploma that an offer asks for."""

    level: Text | None = None


class Pay(msgspec.Struct, gc=False, rename={"label": "libelle"}):
    """What an offer pays, in words."""

    label: Text | None = None


class Skill(msgspec.Struct, gc=False):
    """A skill that an offer asks for."""

    code: Text | None = None


class Offer(
    msgspec.Struct,
    gc=False,
    rename={
        "created": "dateCreation",
        "updated": "dateActualisation",
        "occupation": "romeCode",
        "place": "lieuTravail",
        "contract": "typeContrat",
        "length": "typeContratLibelle",
        "nature": "natureContrat",
        "positions": "nombrePostes",
        "experience": "experienceExige",
        "diplomas": "formations",
        "skills": "competences",
        "pay": "salaire",
        "worked": "dureeTravailLibelle",
    },
):
    """One version of one offer: the fields that are read of it."""

    id: Text
    created: Text | None = None
    updated: Text | None = None
    place: Workplace | None = None
    occupation: Text | None = None
    contract: Text | None = None
    length: Text | None = None
    nature: Text | None = None
    experience: Text | None = None
    diplomas: list[Diploma] | None = None
    skills: list[Skill] | None = None
    positions: int | float | Text | None = None
    pay: Pay | None = None
    worked: Text | None = None


Found = list[tuple[int, Offer | str]]
_DECODER = msgspec.json.Decoder(Offer)
_decode, _decode_lines = _DECODER.decode, _DECODER.decode_lines


def read_blocks(stream: BufferedReader, path: Path) -> Iterator[Found]:
    """Give what the lines of a file hold (in a search response, its places): an offer, or the reason why it is none."""
    good, broken = 0, 0
    for found in _found_in(stream, path):
        missed = sum(isinstance(offer, str) for _, offer in found)
        good, broken = good + len(found) - missed, broken + missed
        if broken > max(good, _BROKEN_FREELY):
            raise InputError(f"{path}: {broken:,} of its first {good + broken:,} lines are no job offers. {EXAMPLE}")
        yield found


def _found_in(stream: BufferedReader, path: Path) -> Iterator[Found]:
    """Take a file for one document if it is one, else for lines; some hundreds of offers at a time."""
    head = stream.read(_LARGEST).removeprefix(BOM_UTF8)
    if _UTF_16.match(head):
        raise InputError(f"{path}: is UTF-16 text. Save it again as UTF-8.")
    whole = _document(head) if len(head) < _LARGEST - len(BOM_UTF8) else None
    if whole is not None:
        offers = _offers_of(whole, 1)
        yield from iter(lambda: list(islice(offers, _AT_ONCE)), [])
        return
    first = 1
    for block in _blocks(head, stream, path):
        ended = block.count(b"\n")
        yield _offers_in(block, first, ended + (not block.endswith(b"\n")))
        first += ended


def _blocks(head: bytes, stream: BufferedReader, path: Path) -> Iterator[bytes]:
    """Give whole lines of a file, some hundreds at a time."""
    rest = b""
    for block in chain((head[at : at + _BLOCK] for at in range(0, len(head), _BLOCK)), iter(lambda: stream.read(_BLOCK), b"")):
        end = block.rfind(b"\n") + 1
        if len(rest) + (block.find(b"\n") if end else len(block)) >= _LARGEST:
            raise InputError(f"{path}: a line holds more than 16 MB; write one offer per line. {EXAMPLE}")
        if end:
            yield rest + block[:end]
            rest = block[end:]
        else:
            rest += block
    yield rest


def _offers_in(block: bytes, first: int, lines: int) -> Found:
    """Decode lines at once where each is an offer, else one by one, so that a broken line costs no other."""
    try:
        offers = _decode_lines(block)
        if len(offers) == lines:
            return list(enumerate(offers, first))
    except _UNDECODED:
        pass
    return [pair for number, line in enumerate(block.split(b"\n"), first) for pair in _offers_of_line(line, number)]


def _offers_of_line(line: bytes, number: int) -> Iterator[tuple[int, Offer | str]]:
    try:
        yield number, _decode(line)
    except _UNDECODED:
        if line.strip():
            document = _document(line)
            yield from [(number, _reason(line))] if document is None else _offers_of(document, number)


def _reason(line: bytes) -> str:
    try:
        line.decode()
    except UnicodeDecodeError:
        return _NOT_UTF_8
    return _NO_OFFER


def _document(text: bytes) -> object:
    try:
        return msgspec.json.decode(text)
    except _UNDECODED:
        return None


def _offers_of(document: object, line: int) -> Iterator[tuple[int, Offer | str]]:
    if isinstance(document, dict) and "resultats" not in document:
        yield line, _tolerated(document)
        return
    found = document.get("resultats") if isinstance(document, dict) else document
    if not isinstance(found, list):
        yield line, _NO_OFFER
        return
    for place, offer in enumerate(found, line):
        yield place, _tolerated(offer)


def _tolerated(offer: object) -> Offer | str:
    """Read an offer whatever its fields hold: a number for a text is that text; anything else, and a text without
    end, is as if it were not there.
    """
    if not isinstance(offer, dict) or "id" not in offer:
        return _NO_OFFER
    where = offer.get("lieuTravail")
    where = where if isinstance(where, dict) else {}
    return Offer(
        id=_text(offer["id"]) or "",
        created=_text(offer.get("dateCreation")),
        updated=_text(offer.get("dateActualisation")),
        occupation=_text(offer.get("romeCode")),
        place=Workplace(_text(where.get("libelle")), _text(where.get("commune"))),
        contract=_text(offer.get("typeContrat")),
        length=_text(offer.get("typeContratLibelle")),
        nature=_text(offer.get("natureContrat")),
        positions=_text(offer.get("nombrePostes")),
        experience=_text(offer.get("experienceExige")),
        diplomas=[Diploma(text) for text in _texts(offer.get("formations"), "niveauLibelle")],
        skills=[Skill(text) for text in _texts(offer.get("competences"), "code")],
    )


def _text(value: object) -> str | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and len(value) <= _LONGEST_TEXT else None


def _texts(items: object, name: str) -> list[str | None]:
    return [_text(item.get(name)) for item in items if isinstance(item, dict)] if isinstance(items, list) else []
