"""Territories and sectors as people write them: by code or by title, and what was meant where nothing is called so."""

from __future__ import annotations

from difflib import SequenceMatcher
from heapq import nsmallest
from itertools import takewhile

import pandas as pd

from features import facts
from features.sources.grid import plain
from features.vocabulary import LEVEL, REGION, InputError

_NAMED, _LONGEST = 3, 40
_KINDS = ("BE", "D", "R")


def read_asked(
    territory: str | None, sector: str | None, level: str | None = None, *, region: str = REGION
) -> tuple[str, str, str]:
    """Read a territory and a sector, by code or by title, and a level; refuse in words what the Region does not have."""
    places = (
        facts.all_territories()
        .query("kind in @kinds and region == @region", local_dict={"kinds": _KINDS, "region": region})
        .set_index("territory")["title"]
    )
    sectors = facts.sectors().set_index("sector")["title"]
    faults: list[str] = []
    found = [
        _among(territory or "", places, "territory", faults),
        _among(sector or "", sectors, "sector", faults),
        LEVEL.parse(level, "--level") if level else "",
    ]
    if faults:
        raise InputError(*faults)
    return found[0], found[1], found[2]


def _among(text: str, titles: pd.Series[str], noun: str, faults: list[str]) -> str:
    """Find the code that a text is, or is the only title of."""
    asked = plain(text)
    named = titles.index[titles.map(plain) == asked]
    if asked.upper() in titles.index:
        return asked.upper()
    if len(named) == 1:
        return str(named[0])
    like = ", ".join(f"{code} ({titles[code]})" for code in _nearest(asked[:_LONGEST], titles))
    faults.append(f"'{text[:_LONGEST]}' is not a {noun} of the Region's. The nearest are {like}.")
    return ""


def _nearest(text: str, titles: pd.Series[str]) -> list[str]:
    """Name the codes that look most like a text, or whose titles do where the text holds no digit."""
    words = titles.index.to_series() if any(letter.isdigit() for letter in text) else titles
    likeness = SequenceMatcher(b=text)

    def far(code: str) -> tuple[bool, int, float, str]:
        word = plain(str(words[code]))
        likeness.set_seq1(word)
        begins = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(word, text, strict=False)))
        return text not in word, -begins, -likeness.ratio(), code

    return nsmallest(_NAMED, [str(code) for code in titles.index], key=far)
