"""Canonical codes: territories, occupations, families, sectors, levels, periods.

Every code in the engine is a string spelt here, so that ``4415`` (a bassin *and* a zone d'emploi) can never be
mistaken: territories carry their kind (``BE4415``, ``ZE4413``, ``D67``, ``MR03``, ``R44``, ``C67482``). A noun has one
canonical spelling and one parser; what it refuses, it refuses in words that a planner can act on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pandas as pd

from features.errors import InputError as InputError  # the error of every parser


@dataclass(frozen=True)
class Noun:
    """One kind of code: its name, its canonical pattern, an example, and the prefix that published files leave out."""

    name: str
    pattern: str
    example: str
    prefix: str = ""

    def parse(self, text: str, source: str = "input") -> str:
        """Return the canonical spelling of one code.

        >>> OCCUPATION.parse(" a1101 ")
        'A1101'
        >>> TERRITORY.parse("4415")
        Traceback (most recent call last):
        ...
        features.errors.InputError: input: '4415' is not a territory. Write it like BE4415.
        """
        code = text.strip().upper()
        if not re.fullmatch(self.pattern, code):
            raise InputError(f"{source}: '{text[:40]}' is not a {self.name}. Write it like {self.example}.")
        return code

    def typed(self, codes: pd.Series[str]) -> pd.Series[str]:
        """Put the prefix before the codes that lack it: ``67482`` becomes ``C67482``."""
        return codes.where(codes.str.startswith(self.prefix).fillna(True), self.prefix + codes) if self.prefix else codes

    def spelt(self, codes: pd.Series[str]) -> pd.Series[bool]:
        """Say of each code whether it is spelt canonically (a missing one is not)."""
        return codes.str.fullmatch(self.pattern).fillna(False).astype(bool)


_INSEE = r"(?:\d{2}|2[AB])\d{3}"
TERRITORY = Noun("territory", rf"BE\d{{4}}|ZE\d{{4}}|D(?:\d{{2,3}}|2[AB])|MR\d{{2}}|R\d{{2}}|C{_INSEE}", "BE4415")
COMMUNE = Noun("commune", rf"C{_INSEE}", "C67482", "C")
BASSIN = Noun("bassin", r"BE\d{4}", "BE4415", "BE")
ZONE = Noun("zone d'emploi", r"ZE\d{4}", "ZE4413", "ZE")
MAISON = Noun("Maison de la Région", r"MR\d{2}", "MR03", "MR")
DEPARTMENT = Noun("département", r"D(?:\d{2,3}|2[AB])", "D67", "D")
REGION_CODE = Noun("région", r"R\d{2}", "R44", "R")
OCCUPATION = Noun("ROME occupation", r"[A-N]\d{4}", "A1101")
FAMILY = Noun("FAP family", r"[A-Z][0-9A-E][A-Z](?:\d{2}[a-z]?)?", "A0Z40")
FORMACODE = Noun("Formacode", r"\d{5}", "23026")
SECTOR = Noun("sector", r"\d{3}", "230")
LEVEL = Noun("European level", r"[1-8]", "3")
MONTH = Noun("month", r"(?:19|20)\d{2}-(?:0[1-9]|1[0-2])", "2025-03")

REGION = "R44"  # the whole Region within the engine, whichever it is: what is published bears its own code
ELSEWHERE = "D99"  # the INSEE's number for what lies in no département
ACTION_TYPES = (
    "mobilisation",
    "remise_a_niveau",
    "langue",
    "prequalification",
    "professionnalisation",
    "perfectionnement",
    "certification",
    "creation_entreprise",
    "vae",
    "adaptation_poste",
)
# Types without an occupation of their own: what they answer is people not yet served, not openings of a trade.
PREPARING = ("mobilisation", "remise_a_niveau", "langue")
CREATING = "creation_entreprise"
QUALIFYING = ("prequalification", "professionnalisation", "certification")
PUBLICS = ("tout_public", "infra4", "jeunes", "seniors", "dld", "rsa", "qpv", "th", "detenus", "parents_isoles")
OTHER_PUBLIC = "autre"  # a public that no jobseeker is known to belong to, like people in work
BORDERS = {"LU": "Luxembourg", "DE": "Allemagne", "BE": "Belgique", "CH": "Suisse"}

_LHEO_OLD_LEVELS = {2: 1, 3: 2, 4: 3, 5: 4, 6: 5, 7: 6, 8: 7}


def is_region(code: str) -> bool:
    """Say whether a territory is a whole région.

    >>> is_region("R76"), is_region("BE7617")
    (True, False)
    """
    return bool(re.fullmatch(REGION_CODE.pattern, code))


def sector_of(formacode: str) -> str:
    """Give the sector (semantic field) of a Formacode: its first three digits, listed in the titles or not.

    >>> sector_of("23026")
    '230'
    """
    return FORMACODE.parse(formacode)[:3]


def level_of_lheo(code: str) -> int | None:
    """Read a level of a LHEO catalogue: 2–8 are the old French levels, 11–18 the European ones, 0 and 1 unknown.

    >>> level_of_lheo("4"), level_of_lheo("13"), level_of_lheo("1"), level_of_lheo("")
    (3, 3, None, None)
    """
    if not code.strip().isdecimal():
        return None
    number = int(code)
    return number - 10 if 11 <= number <= 18 else _LHEO_OLD_LEVELS.get(number)


def month_of(dates: pd.Series[pd.Timestamp]) -> pd.Series[str]:
    """Spell the month of each date, ``2025-03``; missing stays missing."""
    return dates.dt.strftime("%Y-%m").astype("str")


def months_from(first: str, count: int) -> list[str]:
    """List ``count`` consecutive months from ``first``, which is included.

    >>> months_from("2025-11", 3)
    ['2025-11', '2025-12', '2026-01']
    """
    return [str(month) for month in pd.period_range(MONTH.parse(first), periods=count, freq="M")]


def months_to(first: str, last: str) -> list[str]:
    """List the months from ``first`` to ``last``, both included; none when ``last`` comes before.

    >>> months_to("2025-12", "2026-01")
    ['2025-12', '2026-01']
    """
    return [str(month) for month in pd.period_range(MONTH.parse(first), MONTH.parse(last), freq="M")]
