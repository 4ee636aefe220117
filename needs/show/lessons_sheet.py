"""The sheets of what was bought and decided before: predicted beside obtained."""

from __future__ import annotations

import pandas as pd

from models.lessons import STEPS
from needs.show.messages import say
from needs.show.sheet import Sheet
from needs.show.titles import titled

_RENAMED = {"run": "run_share", "jobs": "jobs_added"}
_LESSONS = (
    *("lot", "territory_title", "formacode_title", "action_type_title", "level", "exercise", "decided_by", "bids"),
    *("sessions", "sessions_run", "bought", "places_run", "entries", "cost_eur"),
    *("run_share", "run_predicted", "run_apart", "fill", "fill_predicted", "fill_apart"),
    *("completion", "completion_predicted", "completion_apart"),
    *("certified", "certified_predicted", "certified_apart", "work_6", "durable_12"),
    *("jobs_predicted", "jobs_added", "jobs_low", "jobs_high", "jobs_apart"),
)
_DECISIONS = (
    *("lot_id", "field", "asked", "author", "motive", "sessions", "sessions_free", "jobs", "jobs_free"),
    *("entries_obtained", "jobs_obtained"),
)
_APART = [f"{name}_apart" for name in (*STEPS, "jobs")]
KINDS = {
    **dict.fromkeys(("bids", "sessions_run", "bought", "places_run", "entries", "asked", "sessions_free"), "count"),
    **dict.fromkeys(("run_share", "fill", "completion", "certified", "work_6", "durable_12"), "share"),
    **{f"{step}_predicted": "share" for step in STEPS},
    **dict.fromkeys(("jobs_predicted", "jobs_added", "jobs_free", "jobs_obtained", "entries_obtained"), "tenth"),
}
"""How the numbers of these sheets are written."""


def lessons_sheet(lessons: pd.DataFrame, language: str) -> Sheet:
    """Show what the last purchase taught. One row per lot."""
    rows = titled(lessons.sort_values(["formacode", "territory", "lot"], ignore_index=True), language)
    words = {name: _said(rows[name], "apart", language) for name in _APART}
    rows = rows.assign(
        **words, decided_by=_said(rows["decided_by"], "decided_by", language), exercise=rows["exercise"].astype("str")
    )
    note = say("notes_lessons", language)
    return Sheet("lessons", rows.rename(columns=_RENAMED)[list(_LESSONS)], ("bought", "entries", "cost_eur"), notes=(note,))


def decisions_sheet(decisions: pd.DataFrame, language: str) -> Sheet:
    """Show what people decided of lots, what it changes and what it obtained. One row per lot and field."""
    rows = decisions.assign(field=_said(decisions["field"], "field", language))
    return Sheet("decisions", rows[list(_DECISIONS)], notes=(say("notes_decisions", language),))


def _said(codes: pd.Series[str], noun: str, language: str) -> pd.Series[str]:
    """Say codes in words. Same rows."""
    words = {code: say(f"{noun}_{code}", language) for code in codes.dropna().unique() if code}
    return codes.map(words).astype("str").fillna("")
