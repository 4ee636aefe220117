"""Laws of the message of a night: money that adds up, anomalies alone, short, and the same for machines."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from needs.run.changes import DIMENSIONS, compare_plans
from needs.run.message import write_message
from needs.run.waivers import TOLD
from needs.store.publish import Run

DAY = datetime(2026, 4, 1, 2, 0, tzinfo=UTC)
RUN = Run("20260331-a", date(2026, 3, 31), DAY, DAY, "complete", "0.1.0", "a1" * 32, "b2" * 32)
ENVELOPES, SECTORS, TYPES = ("socle", "additionnel"), ("230", "311", "434"), ("certification", "mobilisation")
PLACES = ("BE4415", "BE4441", "BE4431", "BE4404")
NO_GATES = pd.DataFrame(columns=TOLD)
LINES = 60


def lot(number: int, cents: int = 1_000_000, places: int = 10, exercise: int = 2027) -> dict[str, object]:
    """A lot of a plan; its number says what it is."""
    return {
        "lot_id": f"{exercise}-{PLACES[number % 4]}-{number:05d}", "envelope": ENVELOPES[number % 2], "exercise": exercise,
        "action_type": TYPES[number // 2 % 2], "sector": SECTORS[number % 3], "formacode": "23035",
        "territory": PLACES[number % 4], "places": places, "cost_cents": cents,
    }  # fmt: skip


def plan(*lots: dict[str, object]) -> pd.DataFrame:
    return pd.DataFrame(list(lots), columns=list(lot(0))).astype(dict.fromkeys(("places", "cost_cents", "exercise"), "Int64"))


def run_of(*lots: dict[str, object], warnings: tuple[str, ...] = ()) -> dict[str, pd.DataFrame]:
    lines = [("warning", text) for text in warnings] + [("info", "all is well")]
    return {"lots": plan(*lots), "digest": pd.DataFrame(lines, columns=["severity", "message"])}


def signed(*rows: tuple[str, str, bool | None, str]) -> pd.DataFrame:
    """Gates with a waiver: gate, group, held, note."""
    told = pd.DataFrame(rows, columns=["gate", "group", "held", "note"]).reindex(columns=TOLD)
    return told.assign(
        held=told["held"].astype("boolean"), author="A. Martin", motive="panne", expires=pd.Timestamp("2026-04-07"), value=0.3
    )


def lines_of(text: str, start: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(start)]


PLANS = st.dictionaries(st.integers(0, 30), st.tuples(st.integers(0, 10**9), st.integers(0, 500)), max_size=20)


@given(PLANS, PLANS)
@settings(max_examples=25, deadline=None)
def test_moves_sum_to_the_difference_of_totals_to_the_cent_and_to_the_place(now, before) -> None:
    lots, past = (plan(*(lot(number, *amounts) for number, amounts in side.items())) for side in (now, before))
    changes = compare_plans(lots, past)
    for name, column in (("cents", "cost_cents"), ("places", "places")):
        apart = int(lots[column].sum()) - int(past[column].sum())
        for moves in (changes.lots, *(changes.moves[dimension] for dimension in DIMENSIONS)):
            assert int(moves[f"{name}_moved"].sum()) == apart
        assert int(changes.totals[name].sum() - changes.totals[f"{name}_before"].sum()) == apart
    kinds = changes.lots.set_index("lot_id")["change"]
    spent = {lot(number)["lot_id"]: amounts for number, amounts in now.items() if amounts != (0, 0)}
    was = {lot(number)["lot_id"]: amounts for number, amounts in before.items() if amounts != (0, 0)}
    assert set(kinds.index[kinds == "changed"]) >= {name for name in set(spent) & set(was) if spent[name] != was[name]}
    assert set(spent) - set(was) <= set(kinds.index)
    assert not set(kinds.index) & {name for name in set(spent) & set(was) if spent[name] == was[name]}


@given(PLANS, PLANS)
@settings(max_examples=10, deadline=None)
def test_machines_read_the_same_sums_and_the_order_of_lots_changes_nothing(now, before) -> None:
    sides = [[lot(number, *amounts) for number, amounts in side.items()] for side in (now, before)]
    message = write_message(run_of(*sides[0]), run_of(*sides[1]), NO_GATES, RUN, "fr")
    told = json.loads(json.dumps(message.told))
    totals = told["changes"]["totals"]
    assert totals["cents"] == sum(int(row["cost_cents"]) for row in sides[0])
    assert totals["places_before"] == sum(int(row["places"]) for row in sides[1])
    for dimension in DIMENSIONS:
        assert (
            sum(row["cents_moved"] for row in told["changes"]["moves"][dimension]) == totals["cents"] - totals["cents_before"]
        )
    turned = write_message(run_of(*sides[0][::-1]), run_of(*sides[1][::-1]), NO_GATES, RUN, "fr")
    assert (turned.text, turned.told) == (message.text, message.told)


def test_what_changed_is_told_in_euros_and_places() -> None:
    before = run_of(lot(0), lot(1), lot(2))
    after = run_of(lot(0), lot(2, cents=1_250_050, places=12), lot(3, cents=300_000))
    text = write_message(after, before, NO_GATES, RUN, "en").text
    assert "3 → 3 lots, 30 → 32 places, €30,000 → €25,500.50 (−€4,499.50)" in text
    assert "Lots new: 1; gone: 1; changed: 1." in text
    assert lines_of(text, "- additionnel") == ["- additionnel: −€7,000, 0 places"]
    assert lines_of(text, "- socle") == ["- socle: +€2,500.50, +2 places"]
    assert [line.split(",")[0] for line in lines_of(text, "- gone")] == ["- gone 2027-BE4441-00001"]


def test_nothing_changed_is_one_line_and_nothing_to_look_at_is_one_line() -> None:
    same = run_of(lot(0), lot(1))
    lines = [line for line in write_message(same, same, NO_GATES, RUN, "fr").text.splitlines() if line]
    assert lines[1:] == [
        "Rien à signaler.",
        "Achats\u00a0: rien n'a changé depuis la publication précédente (2 lots, 20 places, 20\u202f000\u00a0€).",
    ]


def test_the_first_run_has_nothing_to_compare() -> None:
    message = write_message(run_of(lot(0)), {}, NO_GATES, RUN, "en")
    assert "First run" in message.text
    assert (message.told["first"], message.told["changes"]) == (True, {})


def test_another_exercise_is_told() -> None:
    message = write_message(run_of(lot(0, exercise=2028)), run_of(lot(0)), NO_GATES, RUN, "en")
    assert "The exercise bought is no longer 2027 but 2028" in message.text


def test_a_plan_that_comes_from_nothing_or_goes_to_nothing_is_told() -> None:
    assert "Lots new: 2; gone: 0" in write_message(run_of(lot(0), lot(1)), run_of(), NO_GATES, RUN, "en").text
    assert "Lots new: 0; gone: 2" in write_message(run_of(), run_of(lot(0), lot(1)), NO_GATES, RUN, "en").text


def test_anomalies_alone_are_told() -> None:
    tables = run_of(lot(0), warnings=("Aucune donnée\u00a0: catalogue.",))
    message = write_message(tables, tables, NO_GATES, RUN, "fr", extra=["Modèle gardé."])
    assert lines_of(message.text, "- ") == ["- Modèle gardé.", "- Aucune donnée\u00a0: catalogue."]
    assert message.told["anomalies"] == ["Modèle gardé.", "Aucune donnée\u00a0: catalogue."]
    assert "all is well" not in message.text


def test_who_let_the_run_through_is_told_and_so_are_waivers_that_are_over_or_name_nothing() -> None:
    groups = [("served", f"territory=BE44{number}", False, "waived") for number in range(15, 40)]
    gates = signed(
        *groups, ("served", "*", None, "waived"), ("seats", "all", True, "expired"), ("raws", "*", None, "names_nothing")
    )
    same = run_of(lot(0))
    message = write_message(same, same, gates, RUN, "fr")
    told = lines_of(message.text, "- ")
    assert len(told) == 3, "a line for a gate, however many groups it has"
    assert all("A. Martin" in line for line in told)
    assert "jusqu'au 07/04/2026 (panne)" in told[0]
    assert "hors bornes\u00a0: 25 (territory=BE4415, " in told[0]
    assert "a pris fin" in told[1]
    assert "raws" in told[2]
    assert len(message.told["gates"]) == 28
    assert message.told["gates"][0]["expires"] == "2026-04-07"


def test_gates_that_hold_say_nothing() -> None:
    same = run_of(lot(0))
    gates = signed(("seats", "all", True, "unneeded"), ("rows", "lots", True, ""), ("need", "sector=230", None, "few"))
    assert "Nothing to report." in write_message(same, same, gates, RUN, "en").text


@pytest.mark.parametrize("language", ["fr", "en"])
def test_the_longest_message_is_short_and_its_punctuation_stays_on_its_line(language: str) -> None:
    now = run_of(*(lot(number, cents=number) for number in range(1, 200)), warnings=tuple(f"w{n}" for n in range(100)))
    before = run_of(*(lot(number, cents=2 * number) for number in range(100, 300)))
    message = write_message(now, before, NO_GATES, RUN, language)
    assert len(message.text.splitlines()) <= LINES
    assert len(message.told["anomalies"]) == 100
    if language == "fr":
        assert not re.search(r" [:;?!»]|« ", message.text)
