"""The published tables: their keys, columns and types, as one place spells them.

Each row stands under its ``run_id``. :func:`conform` brings a frame to the exact shape of its table, so that the same
rows are stored as the same bytes whatever order they came in; a frame that cannot be brought there is a bug.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, Float, ForeignKey, Integer, MetaData, Table, Text

from features.contracts import ESTIMATE
from models.envelopes import RESERVED
from models.lessons import STEPS as STEPS_TAUGHT
from models.seat_costs import STEPS

SCHEMA_VERSION = 5
METADATA = MetaData()

_Type = type[Text] | type[Float[float]] | type[Integer] | type[BigInteger]
_Types = dict[str, _Type]
_MAY_BE_EMPTY = ("level", "public", "sector")
"""Key columns where an empty text has a meaning: this type of action has none, or the row tells of all sectors."""


def _texts(*names: str) -> _Types:
    return dict.fromkeys(names, Text)


def _numbers(*names: str) -> _Types:
    return dict.fromkeys(names, Float)


def _counts(*names: str) -> _Types:
    return dict.fromkeys(names, Integer)


def _second(*names: str) -> _Types:
    """Give the columns of second estimates: each ``name, name_low, name_high``."""
    return _numbers(*(f"{name}{end}" for name in names for end in ("", "_low", "_high")))


def _shares_apart(*names: str) -> _Types:
    """Give the columns of shares predicted and obtained: each ``name, name_n, name_predicted, name_apart``."""
    numbers = _numbers(*(f"{name}{end}" for name in names for end in ("", "_n", "_predicted")))
    return {**numbers, **_texts(*(f"{name}_apart" for name in names))}


_ESTIMATE: _Types = {name: Text if name == "grade" else Float for name in ESTIMATE}
_LOT: _Types = {
    **_texts("envelope", "volet"),
    **_counts("exercise"),
    **_texts("action_type", "sector", "formacode", "certification", "entry_level", "exit_level", "territory", "public"),
    **_counts("places", "places_max", "sessions", "group_min", "group_max"),
    **_numbers("hours"),
    "cost_cents": BigInteger,
    "allowance_cents": BigInteger,
    **_numbers("expected_entries"),
    **_ESTIMATE,
    **_numbers("marginal_worth", "stability", "infructueux_risk"),
    **_texts("reason"),
    **_numbers("tipping_point"),
    **_texts("tipping", "rule", "lever"),
    **_texts("decided_by", "skills"),
}
_DETAILS: _Types = {
    **_texts("nsf", "registration", "certification_title", "occupations", "families", "commune"),
    **_numbers("quota"),
    **_texts("publics"),
    **_counts("firm_places", "option_places"),
    **_numbers("centre_hours", "company_hours", "remote_hours", "trainee_hours", "group_hour_eur", "trainee_hour_eur"),
    **dict.fromkeys(("teaching_cents", "annex_cents", "allowance_cents", "total_cents"), BigInteger),
    **_texts("by_funder", "by_year", "contract", "procedure"),
    **_numbers("renewals"),
    **_texts("notified", "first_entry", "last_entry"),
    **_numbers("weekly_hours"),
    **_texts("past_source"),
    **_counts("past_from", "past_to", "past_places", "past_entries"),
    **_numbers("past_fill"),
    **_second("need"),
    **_numbers("under_way"),
    **_second("gap", "effect"),
    **_texts("aim", "causes"),
}
_PUBLISHED: dict[str, tuple[_Types, _Types]] = {
    "forecasts": (_texts("territory", "occupation", "period"), {**_ESTIMATE, **_second("coverage", "need", "seasonal")}),
    "sector_needs": (
        _texts("territory", "sector", "level", "period"),
        {**_ESTIMATE, **_second("need", "supply", "under_way", "training_solvable"), **_numbers("disagreement")},
    ),
    "skill_needs": (
        _texts("territory", "skill", "period"),
        {
            **_ESTIMATE,
            **_second("growth"),
            **_numbers("emerging", "emerging_score", "false_alarms", "of_need"),
            **_texts("emerging_of"),
        },
    ),
    "outcomes": (
        {**_texts("territory", "sector", "action_type", "level", "public", "outcome"), **_counts("horizon_months")},
        _ESTIMATE,
    ),
    "effects": (
        {**_texts("sector", "action_type", "group", "outcome"), **_counts("horizon_months")},
        {
            **_ESTIMATE,
            **_numbers("n_effective", "overlap", "imbalance", "robustness", "bound_low", "bound_high"),
            **_second("applicants"),
            **_numbers("raw_rate", "placebo", "placebo_error", "control", "control_error"),
            **_texts("lowered"),
        },
    ),
    "seat_costs": (
        _texts("sector", "action_type", "level"),
        {
            **_numbers("place_eur", "seat_eur"),
            "group_paid": Integer,
            **_numbers(*(f"{step}{unit}" for step in STEPS for unit in ("", "_eur"))),
        },
    ),
    "course_scores": (
        _texts("kind", "code", "action_type"),
        {**_ESTIMATE, **_numbers("raw_rate", "promised", "beyond"), **_counts("rank")},
    ),
    "lessons": (
        {**_texts("lot"), **_counts("exercise")},
        {
            **_texts("action_type", "sector", "formacode", "level", "territory"),
            **_counts("bids", "sessions", "sessions_run"),
            **_numbers("bought", "places_run", "entries", "cost_eur"),
            **_shares_apart(*STEPS_TAUGHT),
            **_numbers("work_6", "work_6_n", "durable_12", "durable_12_n", "jobs_predicted", "jobs", "jobs_low", "jobs_high"),
            **_texts("jobs_apart", "decided_by"),
        },
    ),
    "decisions": (
        _texts("lot_id", "field"),
        {
            **_numbers("asked"),
            **_texts("author", "motive"),
            **_numbers("sessions", "sessions_free", "jobs", "jobs_free", "entries_obtained", "jobs_obtained"),
        },
    ),
    "policies": (
        _texts("policy"),
        {**_ESTIMATE, **_numbers("places", "cost"), **_second("net", "gain"), **_texts("rule")},
    ),
    "rankings": (
        _texts("territory", "sector", "action_type", "level"),
        {
            **_counts("rank"),
            **_ESTIMATE,
            **_numbers("cost_per_job_eur", "stability", "disagreement", "emerging"),
            **_counts("emerging_rank"),
            **_texts("reasons", "caveats"),
        },
    ),
    "options": (
        _texts("territory", "sector", "action_type", "level"),
        {
            **_texts("formacode", "certification", "entry_level", "certified_until", "outcome"),
            **_counts("group", "group_min", "group_max", "group_paid", "never_bought"),
            **_numbers("place_eur", "allowance_eur", "price_spread", "hours", "busiest", "risk", "fill", "finishing"),
            **_numbers(
                "need",
                "gap",
                "gap_low",
                "gap_high",
                "room",
                "room_low",
                "room_high",
                "open",
                "rate",
                "rate_low",
                "rate_high",
                "solvable",
            ),
            **_second("success"),
            **_ESTIMATE,
            **_numbers("emerging", *(f"of_{public}" for public in RESERVED)),
        },
    ),
    "lots": (_texts("lot_id"), _LOT),
    "rejected_lots": (_texts("lot_id"), _LOT),
    "lot_details": (_texts("lot_id"), _DETAILS),
    "purchase_changes": (
        _texts("territory", "sector", "action_type", "level"),
        {
            **_counts("exercise_before", "exercise", "places_before", "places"),
            **dict.fromkeys(("cents_before", "cost_cents"), BigInteger),
            **_texts("change"),
        },
    ),
    "plan_equity": (
        _texts("dimension", "group"),
        {**_counts("people"), **_numbers("expected_entries", "people_share", "entries_share", "ratio")},
    ),
    "assumptions": (_texts("name"), {**_counts("line"), **_texts("value", "default", "unit", "meaning")}),
    "recommendations": (
        {**_texts("person"), **_counts("rank")},
        {
            **_texts("session"),
            **_numbers("score", "expected_gain", "likelihood", "distance_km", "price"),
            **_counts("seats_left"),
            **_texts("starts", "ends", "reasons", "why_not", "pathway"),
            **_counts("step"),
            **_numbers("pathway_worth"),
        },
    ),
    "session_loads": (_texts("session"), {**_counts("seats"), **_numbers("expected_load", "price")}),
    "unmet": (
        _texts("territory", "sector", "level"),
        {**_counts("people"), **_texts("nearest_miss"), **_numbers("shortfall")},
    ),
    "match_measures": (_texts("rule", "group", "measure"), {**_numbers("value"), **_counts("people")}),
    "digest": (_counts("line"), {**_texts("severity", "topic", "message"), **_numbers("figure")}),
    "feature_profiles": (
        {**_texts("feature"), **_counts("bin")},
        {**_numbers("low", "high", "share"), **_counts("n")},
    ),
}
_BESIDE: dict[str, tuple[_Types, _Types]] = {
    "gates": (
        _texts("gate", "group"),
        {
            **_numbers("now", "before", "value", "low", "high"),
            **_counts("held"),
            **_texts("note", "author", "motive", "expires"),
        },
    ),
}
"""What is told of a run beside its tables: it depends on the run before too, and not on the inputs alone."""


def _table(name: str, key: _Types, columns: _Types) -> Table:
    return Table(
        name,
        METADATA,
        Column("run_id", Text, primary_key=True),
        *(Column(column, kind, primary_key=True, autoincrement=False) for column, kind in key.items()),
        *(Column(column, kind) for column, kind in columns.items()),
        sqlite_with_rowid=False,
    )


TABLES: Mapping[str, Table] = {name: _table(name, key, columns) for name, (key, columns) in _PUBLISHED.items()}
BESIDE: Mapping[str, Table] = {name: _table(name, key, columns) for name, (key, columns) in _BESIDE.items()}
EVERY: Mapping[str, Table] = {**TABLES, **BESIDE}
RUNS = Table(
    "runs",
    METADATA,
    Column("run_id", Text, primary_key=True),
    *(
        Column(name, Text, nullable=False)
        for name in ("as_of", "started_at", "finished_at", "status", "code_version", "params_sha256", "data_sha256")
    ),
    Column("schema_version", Integer, nullable=False),
)
CURRENT_RUN = Table(
    "current_run",
    METADATA,
    Column("run_id", Text, ForeignKey(RUNS.c.run_id), nullable=False),
    Column("published_at", DateTime(timezone=True), nullable=False),
    Column("published_by", Text, nullable=False),
    # The key that admits one row only, even from two publishers at the same moment.
    Column("one", Integer, CheckConstraint("one = 1"), primary_key=True, autoincrement=False),
)
EDITION = Table("schema_edition", METADATA, Column("schema_version", Integer, primary_key=True, autoincrement=False))


def _shape(name: str) -> tuple[_Types, _Types]:
    return (_PUBLISHED | _BESIDE)[name]


def key_of(name: str) -> list[str]:
    """List the key columns of a published table, without ``run_id``."""
    return list(_shape(name)[0])


def empty(name: str) -> pd.DataFrame:
    """Give a published table without a row, every column typed. One row per key."""
    return conform(name, pd.DataFrame(columns=key_of(name)))


def conform(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Bring a frame to the columns, types and order of its published table. Same rows, sorted by key.

    Missing columns become empty. A column the table does not have, a key that is missing or a cell that does not fit
    its type is a bug and raises ``ValueError``.
    """
    key, columns = _shape(name)
    cells = _keys(name, frame) | {column: _typed(frame, column, kind, name) for column, kind in columns.items()}
    typed = pd.DataFrame(cells, index=frame.index, copy=False).reset_index(drop=True)
    order = _order(typed[list(key)])
    # Millions of rows that stand in their order already are not copied.
    return typed if np.all(order[1:] > order[:-1]) else typed.take(order).reset_index(drop=True)


def conform_parts(name: str, frame: pd.DataFrame, rows: int) -> Iterator[pd.DataFrame]:
    """Give what :func:`conform` gives, so many rows at a time: spelt out, millions of them take several times the memory."""
    order = _order(pd.DataFrame(_keys(name, frame), copy=False).reset_index(drop=True))
    for start in range(0, max(len(frame), 1), rows):
        yield conform(name, frame.iloc[order[start : start + rows]])


def _keys(name: str, frame: pd.DataFrame) -> dict[str, pd.Series]:
    """Spell the key of each row, once the frame has the columns it must have, and no others."""
    key, columns = _shape(name)
    if unexpected := [column for column in frame if column not in {**key, **columns}]:
        raise ValueError(f"{name}: unexpected columns {unexpected}; the table has {list({**key, **columns})}")
    if missing := [column for column in key if column not in frame]:
        raise ValueError(f"{name}: key columns {missing} are missing")
    return {column: _filled(_typed(frame, column, kind, name), name) for column, kind in key.items()}


def _order(keys: pd.DataFrame) -> NDArray[np.int64]:
    """Say in which order rows are stored: where each stands now."""
    return keys.sort_values([str(column) for column in keys], kind="stable").index.to_numpy()


def _typed(frame: pd.DataFrame, column: str, kind: _Type, table: str) -> pd.Series:
    if column not in frame:
        return pd.Series(None, index=frame.index, dtype={Text: "str", Float: "float64"}.get(kind, "Int64"))
    cells = frame[column]
    try:
        if kind is Text:
            return _text(cells)
        numbers = cells.astype("float64") + 0.0 if kind is Float else cells.astype("Int64")  # a database knows no -0.0
    except (TypeError, ValueError) as error:
        raise ValueError(f"{table}.{column}: {error}") from error
    if kind is Float and np.isinf(numbers.to_numpy()).any():
        raise ValueError(f"{table}.{column}: {int(np.isinf(numbers.to_numpy()).sum())} infinite numbers")
    return numbers


def _text(cells: pd.Series) -> pd.Series[str]:
    """Spell codes and dates as text; a whole number that pandas turned to float keeps no decimal."""
    if pd.api.types.is_datetime64_any_dtype(cells):
        cells = cells.dt.strftime("%Y-%m-%d")
    elif pd.api.types.is_numeric_dtype(cells):
        cells = cells.astype("Int64")
    texts: pd.Series[str] = cells.astype("str")
    return texts


def _filled(cells: pd.Series, table: str) -> pd.Series:
    if cells.name in _MAY_BE_EMPTY:
        cells = cells.fillna("")
    if empty := int(cells.isna().sum()):
        raise ValueError(f"{table}.{cells.name}: {empty} rows have no key")
    return cells
