"""A sheet of the workbook, and how codes, money and estimates are told in its cells."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pandas as pd

from models.stability import stable_classes
from needs.show.figures import count
from needs.show.messages import messages, say, tell
from needs.show.titles import grade_title

LONGEST = 20_000
"""Rows a sheet holds at most: more would open slowly, and the files beside the workbook hold all."""
_SKILLS_TOLD = 6  # of a lot: more would hide its line
_MARKS = {1: "skill_named", 0: "skill_not_named", None: "skill_unknown"}


@dataclass(frozen=True)
class Sheet:
    """One sheet: its name in the messages, its rows, the columns that add up, notes, the pages it is wide when printed.

    ``bands`` names the group that columns belong to, shown above their headers.
    """

    name: str
    rows: pd.DataFrame
    totals: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    pages: int = 1
    bands: Mapping[str, str] = field(default_factory=dict)


def longest(sheet: Sheet, language: str) -> Sheet:
    """Keep the first rows of a sheet that would be too long, and say so."""
    if len(sheet.rows) <= LONGEST:
        return sheet
    note = say("notes_largest", language, kept=LONGEST, all=len(sheet.rows))
    return replace(sheet, rows=sheet.rows.head(LONGEST), notes=(*sheet.notes, note))


def without_empty_columns(sheet: Sheet) -> Sheet:
    """Leave out the columns in which no row says anything; a sheet without a row keeps them all."""
    known = [
        str(name) for name in sheet.rows if sheet.rows.empty or (sheet.rows[name].notna() & (sheet.rows[name] != "")).any()
    ]
    return replace(sheet, rows=sheet.rows[known])


def worded(codes: pd.Series[str], noun: str, language: str) -> pd.Series[str]:
    """Say codes that have words; any other stays as it is written, like a person's name. Same rows."""
    said = {code: f"{noun}_{code}" for code in codes.dropna().unique()}
    words = {code: say(name, language) if name in messages() else code for code, name in said.items()}
    return codes.map(words).astype("str")


def listed(codes: pd.Series[str], noun: str, language: str) -> pd.Series[str]:
    """Say codes joined by ``|`` in words. Same rows."""
    words = {text: ", ".join(say(f"{noun}_{code}", language) for code in text.split("|")) for text in codes.unique() if text}
    return codes.map(words).astype("str").fillna("")


def in_euros(cents: pd.Series[int]) -> pd.Series[float]:
    """Give cents in euros. Same rows."""
    return cents.astype("float64") / 100


def told(reasons: pd.Series[str], language: str, *, most: int = 3) -> pd.Series[str]:
    """Tell reasons in words, so many at most. Same rows."""
    words = {text: tell(text, language, most=most) for text in reasons.dropna().unique()}
    return reasons.map(words).astype("str").fillna("")


def taught(skills: pd.Series[str], language: str) -> pd.Series[str]:
    """Say the skills that lots should teach, the most needed first, and whether the certification names them. Same rows."""
    words = {
        text: "; ".join(
            say(_MARKS[mark], language, title=title, share=share) for _, share, mark, title in json.loads(text)[:_SKILLS_TOLD]
        )
        for text in skills.dropna().unique()
    }
    return skills.map(words).astype("str").fillna("")


def graded(grades: pd.Series[str], language: str) -> pd.Series[str]:
    """Say grades with their letter. Same rows."""
    return grades.map({grade: grade_title(grade, language) for grade in grades.dropna().unique()}).astype("str").fillna("")


def stable(stability: pd.Series[float], language: str) -> pd.Series[str]:
    """Say whether lots are robust, fragile or out; nothing where it is not known. Same rows."""
    classes = stable_classes(stability)
    return classes.map({name: say(f"stability_{name}", language) if name else "" for name in classes.unique()}).astype("str")


def tipped(moves: pd.Series[str], language: str) -> pd.Series[str]:
    """Say what alone would make lots change sides, the smallest first: ``[["need", 1.08]]``. Same rows."""
    words = {
        text: ", ".join(_tip(what, move, language) for what, move in json.loads(text))
        for text in moves.dropna().unique()
        if text
    }
    return moves.map(words).astype("str").fillna("")


def _tip(what: str, move: float | str, language: str) -> str:
    """Say one change: of need and price in percent, of an effect as what it is multiplied by, of a rule by its name.

    >>> _tip("price", 0.83, "en"), _tip("effect", 1.21, "fr"), _tip("rule", "Ardennes", "en")
    ('price −17%', 'effet ×1,21', 'rule: Ardennes')
    """
    if isinstance(move, str):
        return say("tip_rule", language, name=move)
    by = round((move - 1) * 100)
    moved = f"{'−' if by < 0 else '+'}{count(abs(by), language)}"
    return say(f"tip_{what}", language, moved=moved, times=count(move, language, 2))
