"""How figures are written for people: money, counts and shares, in French or in English."""

from __future__ import annotations

import math

_THOUSANDS = {"fr": "\u202f", "en": ","}
_DECIMAL = {"fr": ",", "en": "."}
UNKNOWN = "–"


def count(value: float, language: str, decimals: int = 0) -> str:
    """Write a number with the separators of the language; a missing one as a dash.

    >>> count(1234.5, "en", 1), count(float("nan"), "fr")
    ('1,234.5', '–')
    """
    if math.isnan(value):
        return UNKNOWN
    text = f"{value:,.{decimals}f}"
    text = text.lstrip("-") if float(text.replace(",", "")) == 0 else text
    return text.replace(",", "\0").replace(".", _DECIMAL[language]).replace("\0", _THOUSANDS[language]).replace("-", "−")


def many(number: int, noun: str) -> str:
    """Count things in English, as commands and logs do.

    >>> many(1, "file"), many(1200, "row")
    ('1 file', '1,200 rows')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def euros(cents: int, language: str) -> str:
    """Write an amount exactly; cents only where there are some.

    >>> euros(123450, "en"), euros(123400, "en"), euros(-5, "en")
    ('€1,234.50', '€1,234', '−€0.05')
    """
    whole, rest = divmod(abs(cents), 100)
    text = f"{whole:,}".replace(",", _THOUSANDS[language]) + (f"{_DECIMAL[language]}{rest:02d}" if rest else "")
    sign = "−" if cents < 0 else ""
    return f"{sign}{text}\u00a0€" if language == "fr" else f"{sign}€{text}"


def percent(share: float, language: str, decimals: int = 0) -> str:
    r"""Write a share of one.

    >>> percent(0.256, "en"), percent(0.256, "fr")
    ('26%', '26\xa0%')
    """
    written = count(share * 100, language, decimals)
    return written if written == UNKNOWN else f"{written}\u00a0%" if language == "fr" else f"{written}%"


def safe_cell(text: str) -> str:
    """Keep a spreadsheet from taking a text for a formula: an apostrophe stands before it.

    >>> safe_cell("=1+1"), safe_cell("Metz")
    ("'=1+1", 'Metz')
    """
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else text
