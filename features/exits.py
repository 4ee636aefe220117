"""What became of each person who was prescribed a training: step by step, each where it is known.

entry = entered ÷ prescribed          completion = stayed to the end ÷ left          certified = certified ÷ stayed
work, durable, trained_occupation, own_business, qualification = so many months after exit ÷ left, for whatever reason
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.crosswalks import Crosswalks, links_between
from features.lazy import ask
from features.params import Section, param
from features.pooling import PoolingParams
from features.vocabulary import CREATING, PREPARING, QUALIFYING

OUTCOMES = (
    "certified",
    "completion",
    "durable",
    "entry",
    "own_business",
    "qualification",
    "trained_occupation",
    "work",
)
SURVEYED = {
    "work_6m": ("work", 6),
    "durable_6m": ("durable", 6),
    "trained_occupation_6m": ("trained_occupation", 6),
    "work_12m": ("work", 12),
    "work_18m": ("work", 18),
    "work_24m": ("work", 24),
}
_NAMED: pd.CategoricalDtype[str] = pd.CategoricalDtype(list(OUTCOMES))
GRAIN = 1000  # weights are held to a thousandth: their sums are then exact, in whatever order they are added
_USED = [
    "person",
    "status",
    "known_from",
    "entered",
    "planned_end",
    "exited",
    "exit_reason",
    "certified",
    "action_type",
    "certifinfo",
    "formacode",
    "department",
]


class OutcomeParams(Section):
    """When an outcome is seen, and how much a small cell leans on a wider one."""

    horizons_months: tuple[int, ...] = param((6, 12, 18, 24), "months after exit at which work is looked at", unit="months")
    collection_lag_months: int = param(3, "time to collect an outcome after its date", unit="months", ge=0, le=24)
    durable_months: int = param(6, "a fixed-term contract is durable from this length", unit="months", ge=1, le=24)
    entry_months: int = param(6, "a prescription without a date of entry is decided after this", unit="months", ge=1, le=24)
    aimed_share: float = param(
        0.02,
        "a course without a known certification leads to the occupations that hold this share of its sector",
        unit="share",
        ge=0,
        le=1,
    )
    pooling: PoolingParams = PoolingParams()


@dataclass(frozen=True)
class Past:
    """What is known of past trainees; ``links`` has one row per certification or Formacode and occupation it leads to."""

    trainings: pd.DataFrame
    employment: pd.DataFrame
    outcomes: pd.DataFrame
    links: pd.DataFrame


def link_courses(crosswalks: Crosswalks) -> pd.DataFrame:
    """Say what courses lead to. One row per certification (CERTIFINFO) or Formacode, and occupation: kind, code, weight."""
    parts = [
        links_between(crosswalks, kind, "ROME").rename(columns={"target": "occupation"}).assign(kind=kind)
        for kind in ("CERTIFINFO", "FORMACODE")
    ]
    return pd.concat(parts, ignore_index=True)[["kind", "code", "occupation", "weight"]]


def follow_exits(past: Past, as_of: pd.Timestamp, params: OutcomeParams) -> pd.DataFrame:
    """Say what became of each prescription. One row per prescription, outcome, horizon: ``success`` 0 or 1, and its weight.

    ``prescription`` is a position in ``past.trainings``. What is not known yet is not there: an entry still ahead, an exit
    before the end of the course was due, a horizon whose date plus the collection lag lies after ``as_of``. Spells of work
    tell of the départements and years that they cover, answers to surveys of the others: which of the two tells of a person
    never depends on what it says. A non-response is missing, not a failure.
    """
    trainings = past.trainings[_USED].reset_index(drop=True).rename_axis(index="prescription")
    exits = trainings[trainings["exited"].notna() & (trainings["status"] == "entre")]
    moments = _moments(exits, spell_windows(past.employment), as_of, params)
    parts = [
        *_steps(trainings, as_of, params),
        *_next_courses(moments, exits, trainings),
        *_from_spells(moments[moments["watched"]], exits, past, params),
        *_from_surveys(moments[~moments["watched"]], exits, past.outcomes),
    ]
    return pd.concat(parts, ignore_index=True)


def _mark(rows: pd.DataFrame, outcome: str, success: pd.Series[bool], weight: pd.Series[float] | float = 1.0) -> pd.DataFrame:
    """Write what became of some prescriptions. Same rows."""
    named = np.full(len(rows), OUTCOMES.index(outcome), dtype=np.int8)
    return pd.DataFrame(
        {
            "prescription": rows["prescription"].to_numpy(),
            "outcome": pd.Categorical.from_codes(named, dtype=_NAMED),
            "horizon_months": rows["horizon_months"].to_numpy()
            if "horizon_months" in rows
            else np.zeros(len(rows), dtype="int64"),
            "success": success.to_numpy(dtype="float64"),
            "weight": np.full(len(rows), weight) if isinstance(weight, float) else weight.to_numpy(),
        }
    )


def _steps(trainings: pd.DataFrame, as_of: pd.Timestamp, params: OutcomeParams) -> Iterator[pd.DataFrame]:
    """Follow the prescriptions up to the certificate. One row per prescription and step taken or failed.

    All that were to begin (to end) by ``as_of`` count, and no other: refusals and drop-outs are known sooner than entries
    and ends, so that counting each as it comes would make the last months look bad.
    """
    waited = trainings["known_from"] + pd.DateOffset(months=params.entry_months)
    due = trainings["entered"].fillna(waited)
    pending = (trainings["status"] == "prescrit") & (due + pd.DateOffset(months=params.collection_lag_months) > as_of)
    begun = trainings[(due <= as_of) & ~pending].reset_index()
    yield _mark(begun, "entry", begun["status"] == "entre")
    left = begun[(begun["status"] == "entre") & begun["exit_reason"].notna() & ~(begun["planned_end"] > as_of)]
    yield _mark(left, "completion", left["exit_reason"] == "fin")
    judged = left[(left["exit_reason"] == "fin") & left["certified"].notna()]
    yield _mark(judged, "certified", judged["certified"])


def spell_windows(employment: pd.DataFrame) -> pd.DataFrame:
    """Say which years the spells of work cover. One row per département, and one (``""``) for all of them: since, until.

    They cover the days since a spell first ended, or was first told of: a register that opens today lists contracts that
    began long ago and still run, and none that ended before.
    """
    dated = employment[["department", "ends", "known_from"]].fillna({"department": ""})
    spans = dated.groupby("department").agg(ended=("ends", "min"), told=("known_from", "min"), until=("known_from", "max"))
    spans = spans.assign(since=spans[["ended", "told"]].min(axis=1))[["since", "until"]]
    named = spans[spans.index != ""]
    whole = pd.DataFrame({"since": [spans["since"].min()], "until": [spans["until"].max()]}, index=[""])
    return pd.concat([named, whole])


def _moments(exits: pd.DataFrame, windows: pd.DataFrame, as_of: pd.Timestamp, params: OutcomeParams) -> pd.DataFrame:
    """Date the days on which exits are looked at. One row per exit and horizon that is ripe; ``watched`` by spells or not."""
    placed = exits["department"].fillna("") if len(windows) > 1 else pd.Series("", index=exits.index, dtype="str")
    since, until = (placed.map(windows[end]).astype("datetime64[us]") for end in ("since", "until"))
    parts = []
    for horizon in params.horizons_months:
        when = exits["exited"] + pd.DateOffset(months=horizon)
        told = when + pd.DateOffset(months=params.collection_lag_months)
        watched = (since <= when) & (told <= until)
        ripe = pd.DataFrame({"when": when, "watched": watched, "horizon_months": horizon})[told <= as_of]
        parts.append(ripe.reset_index())
    return pd.concat(parts, ignore_index=True)


def _next_courses(moments: pd.DataFrame, exits: pd.DataFrame, trainings: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Say who went on to a qualifying course. One row per ripe exit of a type that prepares others: ``qualification``."""
    prepared = exits.loc[exits["action_type"].isin(PREPARING), ["person", "exited"]].reset_index()
    entered = trainings.loc[trainings["action_type"].isin(QUALIFYING) & (trainings["status"] == "entre"), ["person", "entered"]]
    both = prepared.merge(entered, on="person", how="inner", validate="many_to_many")
    began = both[both["entered"] >= both["exited"]].groupby("prescription")["entered"].min()
    asked = moments[moments["prescription"].isin(prepared["prescription"])]
    first = began.reindex(asked["prescription"]).set_axis(asked.index)
    yield _mark(asked, "qualification", first <= asked["when"])


# Spells of work as spans: ``until`` the last day known, ``lasting`` where the work is durable ($durable in months).
SPANS = """
    SELECT person, starts, occupation, contract = 'IND' AS own, coalesce(ends, planned_end, TIMESTAMP '9999-12-31') AS until,
        contract IN ('CDI', 'PUB', 'IND') OR contract IN ('CDD', 'MIS')
            AND coalesce(planned_end, ends) >= starts + to_months($durable) AS lasting
    FROM spells"""
SPELL = ["person", "starts", "ends", "planned_end", "contract", "occupation"]
_AT_WORK = f"""
WITH spans AS ({SPANS})
SELECT moment, coalesce(bool_or(lasting), false) AS durable, bool_or(own) AS own_business,
    bool_or(aims.course IS NOT NULL) AS aimed, bool_or(spans.occupation IS NULL) AS unnamed
FROM exits JOIN spans ON spans.person = exits.person AND until >= exits.exited
    JOIN moments ON moments.prescription = exits.prescription AND starts <= "when" AND until >= "when"
    LEFT JOIN aims ON aims.course = exits.course AND aims.occupation = spans.occupation
GROUP BY moment
"""


def _from_spells(moments: pd.DataFrame, exits: pd.DataFrame, past: Past, params: OutcomeParams) -> Iterator[pd.DataFrame]:
    """Look at work on the day. One row per moment and outcome; ``own_business`` only where one is prepared.

    Durable: open-ended, public service, own business, or a fixed term or temporary work of a planned length long enough.
    ``trained_occupation`` is asked where the course leads to some; work in an unnamed occupation leaves it unknown.
    """
    course, aims = course_aims(exits, past.links, params)
    asked = moments.reset_index(drop=True).rename_axis(index="moment")
    tables = {
        "moments": asked[["prescription", "when"]].reset_index(),
        "exits": exits[["person", "exited"]].assign(course=course).reset_index(),
        "aims": aims,
        "spells": past.employment[SPELL],
    }
    seen = ask(_AT_WORK, tables, durable=params.durable_months).set_index("moment")
    states = seen.assign(work=True).reindex(asked.index, fill_value=False)
    yield _mark(asked, "work", states["work"])
    yield _mark(asked, "durable", states["durable"])
    known = asked["prescription"].isin(exits.index[course >= 0]) & (states["aimed"] | ~states["unnamed"])
    yield _mark(asked[known], "trained_occupation", states.loc[known, "aimed"])
    creating = asked["prescription"].isin(exits.index[exits["action_type"] == CREATING])
    yield _mark(asked[creating], "own_business", states.loc[creating, "own_business"])


def course_aims(exits: pd.DataFrame, links: pd.DataFrame, params: OutcomeParams) -> tuple[NDArray[np.int64], pd.DataFrame]:
    """Say which occupations courses lead to: the number of each exit's course (−1: to none that is known), and then one row
    per course and occupation.

    The certification tells where it is known, else the sector of the Formacode, less its rarest occupations.
    """
    near = links[(links["kind"] == "CERTIFINFO") | (links["weight"] >= params.aimed_share)]
    near = near.assign(code=near["kind"] + near["code"]).drop_duplicates(["code", "occupation"])
    codes = pd.Index(near["code"].unique())
    certified, field = (codes.get_indexer(kind + exits[kind.lower()].fillna("")) for kind in ("CERTIFINFO", "FORMACODE"))
    general = exits["action_type"].isin([*PREPARING, CREATING]).to_numpy(dtype=bool)
    course = np.where(general, -1, np.where(certified >= 0, certified, field))
    return course, pd.DataFrame({"course": codes.get_indexer(near["code"]), "occupation": near["occupation"]})


def _from_surveys(moments: pd.DataFrame, exits: pd.DataFrame, outcomes: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Read what the persons answered. One row per moment that no spell tells of, and answer given."""
    told = outcomes["answered"].astype("boolean").fillna(value=True).astype(bool) & ~(outcomes["weight"] <= 0)
    answers = outcomes[(outcomes["origin"] == "sortie") & told].rename(columns={"origin_date": "exited"})
    left = exits[["person", "exited"]].reset_index()
    known = left.merge(answers, on=["person", "exited"], how="inner", validate="many_to_one").drop(columns="exited")
    known = moments.merge(known, on="prescription", how="inner", validate="many_to_one")
    weight = ((known["weight"].fillna(1.0) * GRAIN).round() / GRAIN).clip(lower=1 / GRAIN)
    for column, (outcome, horizon) in SURVEYED.items():
        given = known[column].notna() & (known["horizon_months"] == horizon)
        yield _mark(known[given], outcome, known.loc[given, column], weight[given])
