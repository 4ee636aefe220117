"""Laws of what people have completed and of what courses ask and give: nothing is known early, nothing is supposed."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from features.holdings import already_held, asked_of, given_by, list_holdings, ready_for
from features.tables import CATALOGUE, SESSIONS, TRAININGS

AS_OF = pd.Timestamp("2026-03-31")
PEOPLE = pd.DataFrame({"person": ["P1", "P2"]})
CERTIFYING = ("certifinfo", "rncp", "block")


def _written(empty: pd.DataFrame, rows: list[dict[str, object]]) -> pd.DataFrame:
    extra = [name for row in rows for name in row if name not in empty]
    return pd.DataFrame(rows).reindex(columns=[*empty.columns, *dict.fromkeys(extra)]).astype(empty.dtypes.to_dict())


def trainings(*rows: dict[str, object]) -> pd.DataFrame:
    """Write trainings of P1, followed to the end and certified. One row per training."""
    usual = {
        "person": "P1",
        "session": "S1",
        "status": "entre",
        "known_from": pd.Timestamp("2025-01-06"),
        "entered": pd.Timestamp("2025-02-03"),
        "exited": pd.Timestamp("2025-06-30"),
        "exit_reason": "fin",
        "certified": True,
        "certifinfo": "84409",
        "rncp": "38228",
    }
    return _written(TRAININGS.empty(), [usual | row for row in rows])


def courses(*rows: dict[str, object]) -> pd.DataFrame:
    """Write sessions of an export of 2025. One row per session."""
    usual = {"session": "S1", "known_from": pd.Timestamp("2025-01-31")}
    return _written(CATALOGUE.empty(), [usual | row for row in rows])


def holdings_of(past: pd.DataFrame, catalogue: pd.DataFrame, sessions: pd.DataFrame | None = None) -> set[tuple[str, str]]:
    listed = list_holdings(past, PEOPLE, SESSIONS.empty() if sessions is None else sessions, catalogue, AS_OF)
    assert not listed.duplicated().any()
    return {*listed.itertuples(index=False, name=None)}


CERTIFIED = {("P1", "certifinfo:84409"), ("P1", "rncp:38228")}
UNKNOWN = CATALOGUE.empty()


@pytest.mark.parametrize(
    ("training", "session", "held"),
    [
        ({}, None, CERTIFIED),
        ({"rncp": "RNCP38228"}, None, CERTIFIED),
        ({"certifinfo": None}, None, {("P1", "rncp:38228")}),
        ({"exit_reason": None}, None, CERTIFIED),
        ({"certified": False}, None, set()),
        ({"certified": None}, None, set()),
        ({"status": "prescrit"}, None, set()),
        ({"exited": None}, None, set()),  # still runs
        ({"person": "P9"}, None, set()),  # is not to be served
        ({}, {"modules": "module:UV13|obligatoire:UV14|prerequis:UV1"}, CERTIFIED | {("P1", "module:UV13")}),
        ({"certified": None}, {"modules": "module:UV13"}, {("P1", "module:UV13")}),
        ({"certified": None, "exit_reason": "abandon"}, {"modules": "module:UV13"}, set()),
        ({"session": "S2"}, {"modules": "module:UV13"}, CERTIFIED),
        ({}, {"blocks": "RNCP38228BC01|RNCP38228BC02"}, {("P1", "block:RNCP38228BC01"), ("P1", "block:RNCP38228BC02")}),
        ({"certified": False}, {"blocks": "RNCP38228BC01"}, set()),
    ],
)
def test_what_someone_is_known_to_have(
    training: dict[str, object], session: dict[str, object] | None, held: set[tuple[str, str]]
) -> None:
    assert holdings_of(trainings(training), courses(session) if session else UNKNOWN) == held


def test_a_session_of_the_region_is_found_in_the_catalogue_by_its_number_there() -> None:
    known = _written(SESSIONS.empty(), [{"session": "S1", "lheo": "SE_7"}, {"session": "S2"}])
    listed = courses({"session": "SE_7", "modules": "module:UV13"}, {"session": "S2", "modules": "module:UV14"})
    past = trainings({"certified": None}, {"certified": None, "session": "S2", "person": "P2"})
    assert holdings_of(past, listed, known) == {("P1", "module:UV13"), ("P2", "module:UV14")}
    assert holdings_of(past, listed) == {("P2", "module:UV14")}


def test_the_last_export_says_what_a_session_was() -> None:
    later = {"known_from": pd.Timestamp("2025-02-28"), "modules": "module:UV14"}
    assert holdings_of(trainings({"certified": None}), courses({"modules": "module:UV13"}, later)) == {("P1", "module:UV14")}


@pytest.mark.long
@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["P1", "P2"]),
            st.sampled_from(["S1", "S2", "S3"]),
            st.dates(pd.Timestamp("2025-02-03").date(), pd.Timestamp("2026-12-31").date()),
            st.booleans(),
        ),
        max_size=8,
    ),
    st.randoms(use_true_random=False),
)
def test_neither_the_order_of_rows_nor_what_came_later_nor_a_strange_column_changes_anything(rows, random) -> None:
    listed = courses({"modules": "module:UV13"}, {"session": "S2", "blocks": "RNCP38228BC01"})
    told = [{"person": p, "session": s, "exited": pd.Timestamp(d), "certified": c} for p, s, d, c in rows]
    expected = list_holdings(trainings(*told).head(len(told)), PEOPLE, SESSIONS.empty(), listed, AS_OF)
    random.shuffle(told)
    known = [row for row in told if row["exited"] <= AS_OF]
    later = courses({"session": "S3", "known_from": AS_OF + pd.Timedelta(days=1), "modules": "module:UV15"})
    for past, catalogue in ((told, listed), (known, pd.concat([later, listed])), (known, listed.assign(mood="gay"))):
        frame = trainings(*past).assign(mood="gay")
        assert_frame_equal(list_holdings(frame, PEOPLE, SESSIONS.empty(), catalogue, AS_OF), expected)


def test_a_prescription_that_is_told_after_the_day_is_not_known() -> None:
    late = trainings({"known_from": AS_OF + pd.Timedelta(days=1), "exited": AS_OF})
    assert holdings_of(late, UNKNOWN) == set()


def test_what_courses_ask_and_give() -> None:
    listed = courses(
        {"modules": "module:uv 13|obligatoire:UV14|prerequis:UV1|prerequis:UV2", "certifinfo": "1", "certifinfos": "1|2"},
        {"session": "S2", "rncp": "38228", "blocks": "RNCP38228BC01"},
        {"session": "S3"},
    )
    gives, asks = given_by(listed), asked_of(listed)
    assert gives.to_numpy().tolist() == [
        ["S1", "certifinfo:1"],
        ["S1", "certifinfo:2"],
        ["S1", "module:uv 13"],
        ["S2", "block:RNCP38228BC01"],
        ["S2", "rncp:38228"],
    ]
    assert asks.to_numpy().tolist() == [["S1", "module:UV1"], ["S1", "module:UV2"]]
    shuffled = listed.iloc[::-1].assign(mood="gay")
    assert_frame_equal(given_by(shuffled), gives)
    assert_frame_equal(asked_of(shuffled), asks)


def _pairs(frame: pd.DataFrame) -> set[tuple[str, str]]:
    assert frame.columns.tolist() == ["person", "session"]
    assert frame.equals(frame.drop_duplicates().sort_values(["person", "session"], ignore_index=True))
    return {*frame.itertuples(index=False, name=None)}


def _codes(column: str, rows: list[tuple[str, str]], owner: str) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=[owner, column], dtype="str")


code = st.tuples(st.sampled_from([*CERTIFYING, "module"]), st.sampled_from("123")).map(":".join)
held_rows = st.lists(st.tuples(st.sampled_from(["P1", "P2", "P3"]), code), max_size=12)
session_rows = st.lists(st.tuples(st.sampled_from(["S1", "S2", "S3"]), code), max_size=12)


@pytest.mark.long
@settings(deadline=None, max_examples=100)
@given(held_rows, session_rows, st.randoms(use_true_random=False))
def test_who_is_ready_and_who_holds_what_is_what_sets_say(held, rows, random) -> None:
    people = {person: {code for owner, code in held if owner == person} for person, _ in held}
    sessions = {session: {code for owner, code in rows if owner == session} for session, _ in rows}
    of_kind = {s: [{c for c in codes if c.startswith(f"{kind}:")} for kind in CERTIFYING] for s, codes in sessions.items()}
    ready = {(p, s) for p, has in people.items() for s, codes in sessions.items() if codes <= has}
    holds = {(p, s) for p, has in people.items() for s, kinds in of_kind.items() if any(k and k <= has for k in kinds)}
    for _ in range(2):
        holdings = _codes("held", held, "person")
        assert _pairs(ready_for(holdings, _codes("asked", rows, "session"))) == ready
        assert _pairs(already_held(holdings, _codes("given", rows, "session"))) == holds
        random.shuffle(held)
        random.shuffle(rows)


@settings(deadline=None, max_examples=40)
@given(held_rows, session_rows, code)
def test_who_holds_more_is_ready_for_no_less(held, rows, more) -> None:
    asks = _codes("asked", rows, "session")
    before = _pairs(ready_for(_codes("held", held, "person"), asks))
    assert before <= _pairs(ready_for(_codes("held", [*held, ("P1", more)], "person"), asks))


def test_a_course_that_asks_nothing_lets_nobody_in_by_what_they_hold() -> None:
    listed = courses({"modules": "module:UV13"}, {"session": "S2", "modules": "module:UV14|prerequis:UV13"})
    holdings = _codes("held", [("P1", "module:UV13"), ("P2", "module:UV99")], "person")
    assert _pairs(ready_for(holdings, asked_of(listed))) == {("P1", "S2")}


def test_to_have_followed_a_module_or_a_part_is_not_to_hold_the_course() -> None:
    listed = courses(
        {"modules": "module:UV13", "rncp": "38228"},
        {"session": "S2", "rncp": "38228", "blocks": "RNCP38228BC01|RNCP38228BC02"},
        {"session": "S3", "certifinfo": "1", "certifinfos": "1|2"},
    )
    part = [("P1", "module:UV13"), ("P1", "block:RNCP38228BC01"), ("P1", "certifinfo:1")]
    assert _pairs(already_held(_codes("held", part, "person"), given_by(listed))) == set()
    whole = [*part, ("P1", "block:RNCP38228BC02"), ("P1", "certifinfo:2"), ("P2", "rncp:38228")]
    assert _pairs(already_held(_codes("held", whole, "person"), given_by(listed))) == {
        ("P1", "S2"),
        ("P1", "S3"),
        ("P2", "S1"),
        ("P2", "S2"),
    }
