"""Titles beside codes: what a planner reads where a published table holds a code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import pandas as pd

from features import facts
from features.vocabulary import REGION, is_region
from needs.show.messages import say

_SAID = ("action_type", "public", "outcome")


@cache
def titles_of(noun: str) -> pd.Series[str]:
    """Give the titles of one kind of code (territory, sector, occupation, formacode, certification), by code."""
    tables: Mapping[str, Callable[[], pd.DataFrame]] = {
        "territory": facts.all_territories,
        "sector": facts.sectors,
        "occupation": facts.occupations,
        "formacode": facts.formacodes,
        "certification": _certifications,
    }
    titles = tables[noun]().set_index(noun)["title"]
    # The fields of the Formacode are printed in capitals by their producer, its subjects without any.
    small = titles.mask(titles.str.isupper(), titles.str.lower())
    return small.str[:1].str.upper() + small.str[1:]


def _certifications() -> pd.DataFrame:
    """Give the certifications under the name that published tables use. One row per certification."""
    return facts.certifications().rename(columns={"certifinfo": "certification"})


@cache
def sector_groups() -> pd.Series[str]:
    """Give the Region's contract sector of each sector, by code."""
    groups = facts.sectors().set_index("sector")["group"]
    return groups.str[:1].str.upper() + groups.str[1:]


def region_title(territories: pd.Series[str]) -> str:
    """Name the Region of which published rows speak."""
    named = next((code for code in territories.dropna().unique() if is_region(code)), REGION)
    return str(titles_of("territory").get(named, named))


def titled(frame: pd.DataFrame, language: str) -> pd.DataFrame:
    """Add ``<code>_title`` for every code column of a published table, and ``sector_group``. Same rows.

    A code without a title is its own title.
    """
    titles = {
        f"{noun}_title": frame[noun].map(titles_of(noun)).fillna(frame[noun])
        for noun in ("territory", "sector", "occupation", "formacode", "certification")
        if noun in frame
    }
    said = {f"{noun}_title": _said(frame[noun], noun, language) for noun in _SAID if noun in frame}
    groups = {"sector_group": frame["sector"].map(sector_groups()).fillna("")} if "sector" in frame else {}
    return frame.assign(**titles, **said, **groups)


def _said(codes: pd.Series[str], noun: str, language: str) -> pd.Series[str]:
    words = {code: say(f"{noun}_{code}", language) for code in codes.dropna().unique() if code}
    return codes.map(words).fillna("").astype("str")


def grade_title(grade: str | float, language: str) -> str:
    """Say a confidence grade with its letter, ``A · solide``; nothing where there is no estimate."""
    return f"{grade} · {say(f'grade_{grade}', language)}" if isinstance(grade, str) and grade else ""
