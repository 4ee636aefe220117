"""The codes that crosswalks link: which nomenclature knows a code, by which title, and under which parent.

``ROME`` is version 3, the occupation everything is counted in, ``ROME4`` its leaves. Families stand by their grain:
``FAP2009`` and ``FAP2021`` have five characters, ``FAP87`` and ``FAP86`` are the wider ones above them, ``FAP341`` the finer
ones below ``FAP2021``.
"""

from __future__ import annotations

from difflib import SequenceMatcher
from functools import cache
from heapq import nsmallest
from itertools import takewhile

import pandas as pd

from features import facts
from features.vocabulary import FORMACODE

KINDS = (
    "ROME",
    "ROME4",
    "FAP2009",
    "FAP2021",
    "FAP87",
    "FAP86",
    "FAP341",
    "FORMACODE",
    "SECTEUR",
    "CERTIFINFO",
    "RNCP",
)
_LONGEST = 40
_GRAINS = {("FAP2009", 3): "FAP87", ("FAP2009", 5): "FAP2009", ("FAP2021", 3): "FAP86", ("FAP2021", 5): "FAP2021"}


@cache
def list_codes() -> pd.DataFrame:
    """List every code that a nomenclature holds: kind, code, title, parent and its title ("" where there is none).

    One row per nomenclature and code.
    """
    families = facts.families().drop_duplicates("family").set_index("family")["title"]
    above = {
        "ROME": facts.domains().set_index("domain")["title"],
        "ROME4": facts.occupations().set_index("occupation")["title"],
        "FORMACODE": facts.sectors().set_index("sector")["title"],
    }
    parts = [
        _named("ROME", facts.occupations(), "occupation", "subdomain"),
        _named("ROME4", facts.leaves(), "leaf", "occupation"),
        families_by_grain().rename(columns={"family": "code"}),
        _named("FORMACODE", facts.formacodes(), "formacode", "sector"),
        _named("SECTEUR", facts.sectors().assign(none=""), "sector", "none"),
        _named("CERTIFINFO", facts.certifications(), "certifinfo", "rncp"),
        _named("RNCP", facts.certifications().query("rncp != ''").drop_duplicates("rncp").assign(none=""), "rncp", "none"),
    ]
    listed = pd.concat([part[["kind", "code", "title", "parent"]] for part in parts], ignore_index=True)
    titled = [rows["parent"].map(above.get(str(kind), families)) for kind, rows in listed.groupby("kind")]
    return listed.assign(parent_title=pd.concat(titled).fillna("").astype("str"))


def _named(kind: str, table: pd.DataFrame, code: str, parent: str) -> pd.DataFrame:
    return pd.DataFrame({"kind": kind, "code": table[code], "title": table["title"], "parent": table[parent]})


def families_by_grain() -> pd.DataFrame:
    """List the families but their letters, with the nomenclature of their grain in ``kind``. One row per family."""
    listed = facts.families()[facts.families()["family"].str.len() > 1]
    grain = zip(listed["nomenclature"], listed["family"].str.len(), strict=True)
    return listed.assign(kind=pd.Series([_GRAINS.get(key, "FAP341") for key in grain], index=listed.index, dtype="str"))


@cache
def codes_of(kind: str) -> frozenset[str]:
    """Give the codes of one nomenclature."""
    listed = list_codes()
    return frozenset(listed.loc[listed["kind"] == kind, "code"])


def kinds_of(code: str) -> list[str]:
    """Say which nomenclatures know a code. A Formacode missing from the list is known when its field is, and nothing else fits.

    >>> kinds_of("A1201"), kinds_of("A0Z40"), kinds_of("99998")
    (['ROME', 'ROME4'], ['FAP2009'], [])
    """
    kinds = [kind for kind in KINDS if code in codes_of(kind)]
    spelt = len(code) == len(FORMACODE.example) and code.isdecimal()
    return kinds or (["FORMACODE"] if spelt and code[:3] in codes_of("SECTEUR") else [])


def nearest_codes(code: str, kinds: tuple[str, ...] = KINDS) -> list[str]:
    """Name the known codes that look most like one nobody knows: those that begin like it first.

    >>> nearest_codes("A0Z4O", ("FAP2009",))
    ['A0Z40', 'A0Z41', 'A0Z42']
    """
    likeness = SequenceMatcher(b=code[:_LONGEST])

    def far(known: str) -> tuple[int, float, str]:
        likeness.set_seq1(known)
        begins = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(known, code, strict=False)))
        return -begins, -likeness.ratio(), known

    return nsmallest(3, {each for kind in kinds for each in codes_of(kind)}, key=far)
