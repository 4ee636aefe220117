"""The check that every row passes: shapes refused whole, rows split off with reasons, nothing lost, nothing known too early."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from features.contracts import ESTIMATE, Column, Contract, GradeLimits, Rule, fingerprint, write_estimate
from features.reference_tables import REFERENCES
from features.tables import CONTRACTS, EMPLOYMENT, SESSIONS, TRAININGS
from features.vocabulary import COMMUNE, InputError

THING = Contract(
    "things",
    "one thing",
    (
        Column("name", header="nom", nullable=False),
        Column("commune", header="insee", noun=COMMUNE),
        Column("size", "integer", "taille", low=0, high=10),
        Column("price", "number", "prix", low=0),
        Column("new", "flag", "neuf"),
        Column("known_from", "date", "jour", nullable=False),
        Column("ended", "date", "fin", optional=True),
        Column("month", "month", "mois", optional=True),
        Column("colour", header="couleur", choices=("rouge", "vert"), optional=True),
    ),
    ("name", "known_from"),
    later={"ended": ("ended", "colour")},
    rules=(Rule("fin comes before jour", lambda t: t["ended"] < t["known_from"]),),
)
GOOD = {"name": "a", "commune": "67482", "size": "3", "price": "1 234,5", "new": "1", "known_from": "2025-01-31"}
many = settings(max_examples=15, deadline=None)
LIMITS = GradeLimits(a=100, b=30, c=10, borrowed_a=0.2, borrowed_b=0.5)


def frame(*rows: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), dtype="str")


def reason(**changes: str) -> str:
    return THING.parse(frame(GOOD, GOOD | {"name": "b"} | changes), "t.csv").rejected["reason"].item()


def test_texts_take_their_type():
    kept = THING.parse(frame(GOOD), "t.csv").kept
    assert kept.iloc[0].dropna().to_dict() == {
        "name": "a",
        "commune": "C67482",
        "size": 3,
        "price": 1234.5,
        "new": True,
        "known_from": pd.Timestamp("2025-01-31"),
    }
    assert {name: str(dtype) for name, dtype in kept.dtypes.items()} == {c.name: c.dtype for c in THING.columns}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("size", "3.5", "taille is not a whole number"),
        ("size", "11", "taille is not a whole number like 12 (≥ 0, ≤ 10)"),
        ("size", "-1", "taille is not"),
        ("size", "9" * 40, "taille is not"),
        ("price", "inf", "prix is not a number"),
        ("price", "nan", "prix is not a number"),
        ("price", "douze", "prix is not a number"),
        ("new", "oui", "neuf is not 0 or 1"),
        ("known_from", "31/01/2025", "jour is not a date like 2025-03-31"),
        ("known_from", "2025-02-30", "jour is not a date"),
        ("known_from", "0025-02-03", "jour is not a date"),
        ("known_from", " ", "jour is missing"),
        ("name", "", "nom is missing; it holds a text"),
        ("commune", "6748", "insee is not a commune like C67482"),
        ("month", "2025-13", "mois is not a month like 2025-03"),
        ("colour", "bleu", "couleur is not one of rouge, vert"),
        ("ended", "2024-01-01", "fin comes before jour"),
    ],
)
def test_a_wrong_cell_makes_a_wrong_row_and_says_what_it_should_hold(name, text, words):
    assert words in reason(**{name: text})


def test_every_fault_of_a_row_and_of_a_shape_comes_at_once():
    assert reason(size="x", price="y").count(";") == 1
    with pytest.raises(InputError) as caught:
        THING.parse(frame({"name": "a", "size": "1"}), "t.csv")
    text = str(caught.value)
    assert all(f"column '{header}' is missing" in text for header in ("insee", "prix", "neuf", "jour"))
    assert "nom;insee;taille;prix;neuf;jour;fin;mois;couleur" in text


def test_a_column_that_never_holds_its_type_is_a_wrong_shape():
    with pytest.raises(InputError, match="'taille' never holds a whole number"):
        THING.parse(frame(*(GOOD | {"name": name, "size": "?"} for name in "abc")), "t.csv")


def test_a_few_wrong_cells_in_a_column_that_is_hardly_filled_spoil_their_rows_only():
    rows = [GOOD | {"name": str(number), "price": "?" if number < 3 else ""} for number in range(200)]
    assert len(THING.parse(frame(*rows), "t.csv").rejected) == 3


def test_rows_that_say_the_same_are_counted_and_rows_that_contradict_are_both_wrong():
    checked = THING.parse(frame(GOOD, GOOD | {"size": " 3 "}, GOOD | {"name": "b"}, GOOD | {"name": "b", "size": "4"}), "t.csv")
    assert (checked.kept["name"].tolist(), checked.duplicates) == (["a"], 1)
    assert checked.rejected["line"].tolist() == [3, 4]
    assert checked.rejected["reason"].str.contains("same name \\+ known_from and says otherwise").all()


def test_a_reader_s_verdict_stands_alone():
    rows = frame(GOOD, dict.fromkeys(GOOD, "")).assign(reason=["", "cut"], file="t.csv", line=[2, 3])
    checked = THING.parse(rows, "t.csv")
    assert checked.rejected.to_dict("list") == {"file": ["t.csv"], "line": [3], "reason": ["cut"]}
    assert checked.origin.to_dict("list") == {"file": ["t.csv"], "line": [2]}


cells = st.sampled_from(
    ["", "a", "b", "1", "12", "-3", "2025-01-31", "2024-06-01", "67482", "rouge", "\u00e9", "1e3", "0x1", "٣"]
)


@many
@given(
    table=st.lists(st.fixed_dictionaries({column.name: cells for column in THING.columns}), min_size=1, max_size=8),
    data=st.randoms(),
)
def test_no_row_is_lost_and_their_order_changes_nothing(table, data):
    rows = frame(*table)
    try:
        checked = THING.parse(rows, "t.csv")
    except InputError:
        with pytest.raises(InputError):
            THING.parse(frame(*data.sample(table, len(table))), "t.csv")
        return
    again = THING.parse(frame(*data.sample(table, len(table))), "t.csv")
    assert checked.read == len(table)
    assert_frame_equal(again.kept, checked.kept)
    assert sorted(again.rejected["reason"]) == sorted(checked.rejected["reason"])
    assert_frame_equal(THING.parse(checked.kept, "again").kept, checked.kept)


def test_what_came_later_is_gone_or_blank():
    rows = frame(
        GOOD | {"ended": "2025-06-01", "colour": "vert"},
        GOOD | {"name": "b", "ended": "2025-02-01", "colour": "vert"},
        GOOD | {"name": "c", "known_from": "2025-04-01", "ended": "", "colour": ""},
    )
    known = THING.known_at(THING.parse(rows, "t.csv").kept, pd.Timestamp("2025-03-31"))
    assert known["name"].tolist() == ["a", "b"]
    assert known["colour"].fillna("").tolist() == ["", "vert"]
    assert known["ended"].isna().tolist() == [True, False]


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.name)
def test_every_contract_names_columns_it_has_once(contract):
    names = [column.name for column in contract.columns]
    clocks = {*contract.later, *(cell for cells in contract.later.values() for cell in cells)}
    assert len(names) == len(set(names))
    assert {*contract.key, *clocks, *filter(None, [contract.known_from])} <= set(names)
    assert contract.parse(contract.empty(), "empty").read == 0


def test_the_exit_of_a_trainee_and_the_end_of_a_spell_wait_for_their_clock():
    training = (
        TRAININGS.empty()
        .reindex(range(1))
        .assign(exited=pd.Timestamp("2025-06-01"), exit_reason="emploi", certified=True, known_from=pd.Timestamp("2025-01-01"))
    )
    early = TRAININGS.known_at(training, pd.Timestamp("2025-05-31"))
    assert early[["exited", "exit_reason", "certified"]].isna().all(axis=None)
    assert TRAININGS.known_at(training, pd.Timestamp("2025-06-01"))["certified"].tolist() == [True]
    spell = (
        EMPLOYMENT.empty()
        .reindex(range(1))
        .assign(
            known_from=pd.Timestamp("2025-01-01"), ends=pd.Timestamp("2025-02-01"), end_known_from=pd.Timestamp("2025-04-01")
        )
    )
    assert EMPLOYMENT.known_at(spell, pd.Timestamp("2025-03-31"))["ends"].isna().all()


def test_columns_and_headers():
    assert SESSIONS.headers[:3] == ["id_session", "id_lot", "numero_lheo"]
    assert SESSIONS.rename_headers([" ID_Session", "autre", "places"]) == {" ID_Session": "session", "places": "places"}
    assert "territory" not in SESSIONS.headers


numbers = st.floats(-1e6, 1e6) | st.just(np.nan)


@many
@given(values=st.lists(st.tuples(numbers, numbers, numbers, st.integers(0, 300), st.floats(0, 1)), min_size=1, max_size=6))
def test_an_estimate_s_interval_holds_its_value_and_its_grade_falls_with_less_evidence(values):
    table = pd.DataFrame(values, columns=["value", "low", "high", "n", "borrowed"])
    written = write_estimate(table[[]], **{name: table[name] for name in table}, limits=LIMITS)
    assert list(written) == list(ESTIMATE)
    known = written.dropna(subset=["value", "low", "high"])
    assert (known["low"] <= known["value"]).all()
    assert (known["value"] <= known["high"]).all()
    assert written["grade"].isna().tolist() == table["value"].isna().tolist()
    fewer = write_estimate(table[[]], **{name: table[name] for name in table} | {"n": table["n"] // 2}, limits=LIMITS)
    assert (fewer["grade"].dropna() >= written["grade"].dropna()).all()


def test_a_fingerprint_tells_any_change_of_rows():
    one = THING.parse(frame(GOOD, GOOD | {"name": "b"}), "t.csv").kept
    other = THING.parse(frame(GOOD, GOOD | {"name": "b", "size": "4"}), "t.csv").kept
    swapped = THING.parse(frame(GOOD | {"name": "b"}, GOOD), "t.csv").kept
    assert fingerprint(iter([("t", one)])) == fingerprint(iter([("t", swapped)]))
    assert fingerprint(iter([("t", one)])) != fingerprint(iter([("t", other)]))
    assert fingerprint(iter([("t", one)])) != fingerprint(iter([("u", one)]))


def test_no_column_is_named_like_what_the_door_says_of_a_row():
    """``file``, ``line`` and ``reason`` are where a row stood and why a reader refused it."""
    assert not [
        (c.name, column.name)
        for c in (*CONTRACTS, *REFERENCES)
        for column in c.columns
        if column.name in ("file", "line", "reason")
    ]
