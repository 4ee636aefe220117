"""Every word that planners read, in French and in English, from one table.

Published rows hold codes; the words are made when a row is read, by :func:`say` for one code and :func:`tell` for
reasons with their weights. A placeholder says how its value is written: ``{people:count}``, ``{jobs:tenth}``,
``{spent:euros}`` (a number of euros), ``{part:percent}``, ``{part:share}`` (with a decimal), ``{gap:points}`` (of a hundred,
with a decimal), ``{price:fine}`` (four decimals), or ``{source:source}``, which says the message ``source_<value>``.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from numbers import Real
from string import Formatter

from needs.show.figures import count, euros, percent

LANGUAGES = ("fr", "en")
_REASONS_TOLD = 3


@cache
def messages() -> Mapping[str, Mapping[str, str]]:
    """Read the table of messages: language → text, by code."""
    with files("needs.show").joinpath("messages.csv").open(encoding="utf-8") as lines:
        return {
            row["code"]: {language: row[language] for language in LANGUAGES} for row in csv.DictReader(lines, delimiter=";")
        }


def say(code: str, language: str, **values: object) -> str:
    """Say one message. An unknown code or language, or a missing value, is a bug (``KeyError``).

    >>> say("interval", "fr", low=3.25, high=5)
    'entre 3,2 et 5,0'
    """
    return _Voice(language).vformat(messages()[code][language], (), values)


class _Voice(Formatter):
    """Writes the values of a message as its language does."""

    def __init__(self, language: str) -> None:
        self.language = language

    def format_field(self, value: object, format_spec: str) -> str:
        """Write one value; a number always says how."""
        if isinstance(value, Real):
            return _WRITTEN[format_spec](float(value), self.language) if format_spec else str(value)
        return say(f"{format_spec}_{value}", self.language) if format_spec else str(value)


_WRITTEN: Mapping[str, Callable[[float, str], str]] = {
    "count": count,
    "tenth": lambda number, language: count(number, language, 1),
    "euros": lambda number, language: euros(round(number * 100), language),
    "percent": percent,
    "points": lambda number, language: count(number * 100, language, 1),
    "fine": lambda number, language: count(number, language, 4),
    "share": lambda number, language: percent(number, language, 1),
}


def tell(reasons: str, language: str, *, most: int = _REASONS_TOLD) -> str:
    """Tell reasons in words, the weightiest first, so many at most; a single code is told as it is.

    >>> tell('[["cost_low", 0.2], ["need_unmet", 0.5]]', "fr")
    'besoin non couvert, coût modéré'
    >>> tell("envelope_spent", "en")
    'envelope spent'
    """
    if not reasons:
        return ""
    weighted = json.loads(reasons) if reasons.startswith("[") else [(reasons, 1.0)]
    weightiest = sorted(weighted, key=lambda reason: -abs(reason[1]))[:most]
    return ", ".join(say(code, language) for code, _ in weightiest)
