"""Laws of what training brings: a seat is never counted twice, nor before it is bought, nor once it is over."""

from __future__ import annotations

import dataclasses

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from features import facts
from features.places import place
from features.seats import CELL, COUNTS, SeatParams, Training, count_under_way, seat_chain
from features.sources import SOURCES, files_of
from features.tables import CONTRACT
from features.vocabulary import ACTION_TYPES
from needs.home import Home
from needs.twin import Drawn

AS_OF = pd.Timestamp("2026-03-31")
PAST = pd.Timestamp("2025-09-30")
COMMUNES = facts.communes()
ALSACE = COMMUNES.query("department == 'D67'")
STRASBOURG = {"territory": "BE4441", "department": "D67"}
PARAMS = SeatParams()
Cells = dict[str, object]


def table(name: str, rows: list[Cells]) -> pd.DataFrame:
    """Write a table of a contract from what is said of its rows. One row per row."""
    typed = {c.name: pd.Series([row.get(c.name) for row in rows], dtype=c.dtype) for c in CONTRACT[name].columns}
    return pd.DataFrame(typed)


def lot(number: int, **said: object) -> Cells:
    usual = {"exercise": 2026, "lot": f"L{number}", "action_type": "certification", "formacode": "23026", "exit_level": 3}
    where = {"territory_kind": "BE", "territory": "BE4441", "known_from": pd.Timestamp("2025-11-03")}
    return {**usual, **where, "places": 12, "sessions": 1, "bids": 2, "centre_hours": 350.0, **said}


def session(number: int, of: int, starts: str, ends: str, **said: object) -> Cells:
    dates = {"starts": pd.Timestamp(starts), "ends": pd.Timestamp(ends)}
    return {"session": f"S{number}", "lot": f"L{of}", **dates, **STRASBOURG, "places": 12, **said}


def trainee(number: int, of: int, entered: str, planned_end: str, **said: object) -> Cells:
    dates = {"entered": pd.Timestamp(entered), "planned_end": pd.Timestamp(planned_end)}
    kind = {"action_type": "certification", "formacode": "23026", "exit_level": 3, "status": "entre"}
    start = {"known_from": pd.Timestamp(entered) - pd.Timedelta(days=20)}
    return {"person": f"P{number}", "session": f"S{of}", "lot": f"L{of}", **dates, **start, **kind, **STRASBOURG, **said}


def training(trainees: list[Cells], lots: list[Cells], sessions: list[Cells]) -> Training:
    return Training(table("trainings", trainees), table("purchases", lots), table("sessions", sessions))


def under_way(known: Training, as_of: pd.Timestamp = AS_OF) -> pd.DataFrame:
    return count_under_way(known, seat_chain(known, as_of, PARAMS), COMMUNES, as_of=as_of, params=PARAMS)


def known_at(tables: dict[str, pd.DataFrame], as_of: pd.Timestamp) -> Training:
    """Cut tables to a day as the engine does."""
    trainings, purchases = (CONTRACT[name].known_at(tables[name], as_of) for name in ("trainings", "purchases"))
    waiting = (trainings["status"] == "entre") & (trainings["entered"] > as_of)
    trainings = trainings.assign(status=trainings["status"].mask(waiting, "prescrit"))
    sessions = tables["sessions"]
    kept = sessions[sessions["lot"].isin(purchases["lot"]) | (sessions["starts"] <= as_of)].reset_index(drop=True)
    return Training(trainings, purchases, CONTRACT["sessions"].blank_later(kept, as_of))


@pytest.fixture(scope="module")
def drawn_tables(twin: tuple[Home, Drawn]) -> dict[str, pd.DataFrame]:
    """What was bought and run in the simulated region, placed; nobody changes it."""
    read = {}
    for name in ("trainings", "purchases", "sessions"):
        checked = SOURCES[name].read(files_of(twin[0].raw / SOURCES[name].folder, SOURCES[name]))
        read[name] = place(checked, CONTRACT[name], COMMUNES).kept
    return read


# The chain of a seat ----------------------------------------------------------------------------------------------------


def test_without_anything_measured_every_seat_is_a_finisher_and_says_so() -> None:
    chain = seat_chain(training([], [], []), AS_OF, PARAMS)
    assert chain["action_type"].tolist() == ["", *ACTION_TYPES]
    assert (chain[["run", "fill", "completion"]] == 1.0).all().all()
    assert (chain[["run_n", "fill_n", "completion_n", "certification_n"]] == 0.0).all().all()
    assert chain.set_index("action_type")["certification"][["certification", "langue"]].tolist() == [1.0, 0.0]


def test_who_leaves_a_course_that_still_runs_tells_nothing_of_completion() -> None:
    over = [
        trainee(k, 1, "2025-01-06", "2025-06-30", exited=pd.Timestamp("2025-06-30"), exit_reason="fin", certified=True)
        for k in range(3)
    ]
    gone = trainee(9, 1, "2025-01-06", "2025-06-30", exited=pd.Timestamp("2025-03-01"), exit_reason="abandon")
    early = trainee(10, 2, "2026-01-05", "2026-06-30", exited=pd.Timestamp("2026-02-01"), exit_reason="abandon")
    for trainees in ([*over, gone], [*over, gone, early]):
        chain = seat_chain(training(trainees, [], []), AS_OF, PARAMS)
        assert chain.loc[0, ["completion", "completion_n", "certification"]].tolist() == [0.75, 4.0, 1.0]


def test_a_type_leans_on_the_region_and_less_the_more_it_shows() -> None:
    def chain_of(people: int) -> pd.Series[float]:
        left = pd.Timestamp("2025-02-01")
        dropped = [
            trainee(k, 1, "2025-01-06", "2025-06-30", exited=left, exit_reason="abandon", action_type="langue")
            for k in range(people)
        ]
        done = [
            trainee(1000 + k, 1, "2025-01-06", "2025-06-30", exited=pd.Timestamp("2025-06-30"), exit_reason="fin")
            for k in range(400)
        ]
        return seat_chain(training([*dropped, *done], [], []), AS_OF, PARAMS).set_index("action_type")["completion"]

    shares = [chain_of(people) for people in (5, 50, 200)]
    assert shares[0]["langue"] > shares[1]["langue"] > shares[2]["langue"] > 0
    assert all(share["langue"] < share[""] < share["certification"] for share in shares)


def test_an_exercise_without_sessions_does_not_tell_how_many_are_run() -> None:
    lots = [lot(1, exercise=2024), lot(2, exercise=2025), lot(3, exercise=2025), lot(4, exercise=2025, bids=0)]
    known = training([], lots, [session(1, 2, "2025-02-03", "2025-06-30", entries=9)])
    chain = seat_chain(known, AS_OF, PARAMS)
    assert chain.loc[0, ["run", "run_n", "fill", "fill_n"]].tolist() == [0.5, 24.0, 0.75, 12.0]


# What is under way ------------------------------------------------------------------------------------------------------


def test_a_session_to_come_counts_in_the_month_it_ends_where_it_is_held() -> None:
    rows = under_way(training([], [lot(1)], [session(1, 1, "2026-05-04", "2026-10-09")]))
    assert rows[CELL].to_numpy().tolist() == [["BE4441", "D67", "230", "3", "2026-10"]]
    assert rows[COUNTS].to_numpy().tolist() == [[12.0, 12.0, 12.0, 12.0, 0.0]]


def test_who_is_inside_counts_at_home_and_the_empty_seats_where_they_are() -> None:
    trainees = [trainee(k, 1, "2026-01-05", "2026-06-30", territory="BE4415", department="D08") for k in range(5)]
    rows = under_way(training(trainees, [lot(1)], [session(1, 1, "2026-01-05", "2026-06-30", entries=5)]))
    assert rows.set_index("territory")[["seats", "entries"]].to_dict("index") == {
        "BE4415": {"seats": 5.0, "entries": 5.0},
        "BE4441": {"seats": 7.0, "entries": 0.0},
    }


def test_without_a_list_of_people_a_session_tells_its_entries_and_never_more_than_its_seats() -> None:
    for told, entries in ((9, 9.0), (20, 12.0)):
        rows = under_way(training([], [lot(1)], [session(1, 1, "2026-01-05", "2026-06-30", entries=told)]))
        assert rows[["seats", "entries"]].to_numpy().tolist() == [[12.0, entries]]


def test_a_lot_whose_sessions_are_all_known_has_no_other_to_come() -> None:
    known = [session(1, 1, "2026-05-04", "2026-06-30", places=10), session(2, 2, "2026-05-04", "2026-06-30", places=10)]
    lots = [lot(1, places=24, sessions=1, centre_hours=0.0), lot(2, places=24, sessions=2, centre_hours=0.0)]
    for bought, seats in ((lots[0], 10.0), (lots[1], 24.0)):
        rows = under_way(training([], [bought], [row for row in known if row["lot"] == bought["lot"]]))
        assert rows["seats"].sum() == pytest.approx(seats)


def test_the_nearer_the_end_the_surer_to_finish() -> None:
    past = [
        trainee(k, 9, "2025-01-06", "2025-06-30", exited=pd.Timestamp("2025-06-30"), exit_reason=reason)
        for k, reason in enumerate(["fin", "abandon"] * 300)
    ]
    inside = [trainee(1000, 1, "2026-01-01", "2026-06-30"), trainee(1001, 2, "2026-03-30", "2026-09-30")]
    gone = trainee(1002, 1, "2026-01-01", "2026-06-30", exited=pd.Timestamp("2026-02-01"), exit_reason="abandon")
    rows = under_way(training([*past, *inside, gone], [], [])).set_index("period")
    assert rows.loc["2026-06", "entries"] == 2.0
    assert rows.loc["2026-09", "under_way"] == pytest.approx(0.5, abs=0.01)
    assert rows.loc["2026-06", "under_way"] == pytest.approx(0.5 / (0.5 + 0.5 * (1 - 89 / 180)))


def test_a_lot_without_a_session_starts_in_the_usual_months_over_its_territory() -> None:
    past = [
        session(100 + k, 100 + k, f"{year}-{month}-04", f"{year}-{month}-28", entries=12)
        for k, (year, month) in enumerate([(2024, "09"), (2024, "09"), (2025, "09"), (2025, "05")])
    ]
    old = [lot(100 + k, exercise=int(str(row["starts"])[:4])) for k, row in enumerate(past)]
    begun = session(200, 200, "2026-01-05", "2026-02-27", entries=12)
    new = [lot(200), lot(1, territory_kind="D", territory="D67", places=120, sessions=10, centre_hours=0.0), lot(2, bids=0)]
    rows = under_way(training([], [*old, *new], [*past, begun]))
    assert set(rows["department"]) == {"D67"}
    assert (rows["planned"] == rows["under_way"]).all()
    assert rows["seats"].sum() == pytest.approx(120.0)
    people = COMMUNES.query("department == 'D67'").groupby("territory")["population"].sum()
    assert (rows.groupby("territory")["seats"].sum() / 120 - people / people.sum()).abs().max() < 1e-9
    by_month = rows.groupby("period")["seats"].sum()
    assert by_month["2026-09"] > 2.5 * by_month["2026-05"] > by_month["2026-07"]
    assert min(by_month.index) == "2026-04"


@pytest.mark.parametrize(("kind", "code"), [("BE", "BE4441"), ("ZE", "ZE4413"), ("MR", "MR03"), ("R", "R44"), ("MR", "MR99")])
def test_no_seat_is_lost_whatever_territory_a_lot_was_bought_for(kind: str, code: str) -> None:
    rows = under_way(training([], [lot(1, exercise=2027, territory_kind=kind, territory=code)], []), AS_OF)
    assert rows["seats"].sum() == pytest.approx(12.0, abs=1e-9)
    column = {"BE": "territory", "ZE": "zone", "MR": "maison"}.get(kind)
    inside = COMMUNES if column is None or code == "MR99" else COMMUNES[COMMUNES[column] == code]
    assert set(rows["territory"]) <= set(inside["territory"])


def test_where_no_session_is_known_at_all_what_should_have_started_is_not_to_come() -> None:
    rows = under_way(training([], [lot(1)], []))
    assert rows["seats"].sum() == pytest.approx(12.0 * 9 / 12)


@st.composite
def bought_and_run(draw: st.DrawFn) -> Training:
    """A few lots, with sessions of more or fewer places than were bought, and people who entered some of them."""
    lots, sessions, trainees = [], [], []
    for number in range(draw(st.integers(3, 6))):
        places = draw(st.one_of(st.none(), st.integers(1, 30)))
        lots.append(lot(number, places=places, places_max=30, sessions=draw(st.integers(1, 4)), bids=draw(st.integers(0, 2))))
        for _ in range(draw(st.integers(0, 3))):
            month, run = draw(st.integers(1, 12)), len(sessions)
            ends = pd.Timestamp(2026, month, 5) + pd.Timedelta(days=draw(st.integers(1, 200)))
            told = {"places": draw(st.one_of(st.none(), st.integers(0, 25))), "entries": draw(st.integers(0, 30))}
            if month > AS_OF.month:
                told["entries"] = None
            sessions.append(session(run, number, f"2026-{month:02d}-05", f"{ends:%Y-%m-%d}", **told))
            inside = draw(st.integers(0, 30)) if month <= AS_OF.month else 0
            for _ in range(inside):
                said = {"lot": f"L{number}"} | draw(st.sampled_from([{}, {"exited": AS_OF, "exit_reason": "abandon"}]))
                trainees.append(trainee(len(trainees), run, f"2026-{month:02d}-05", f"{ends:%Y-%m-%d}", **said))
    return training(trainees, lots, sessions)


@given(bought_and_run())
@settings(max_examples=6, deadline=None)
def test_certified_finishers_entries_and_seats_come_in_order_and_never_exceed_what_was_bought(known: Training) -> None:
    rows = count_under_way(known, seat_chain(known, AS_OF, PARAMS), ALSACE, as_of=AS_OF, params=PARAMS)
    for less, more in (("certified", "under_way"), ("planned", "under_way"), ("under_way", "entries"), ("entries", "seats")):
        assert (rows[less] <= rows[more] + 1e-9).all(), less
    assert (rows[COUNTS] >= 0).all().all()
    bought = known.purchases["places"].fillna(known.purchases["places_max"]).sum()
    assert rows["seats"].sum() <= bought + 1e-6


def test_more_bought_never_brings_less(drawn_tables: dict[str, pd.DataFrame]) -> None:
    known = known_at(drawn_tables, PAST)
    more = known.purchases.assign(places=known.purchases["places"] + 5, sessions=known.purchases["sessions"] + 1)
    chain = seat_chain(known, PAST, PARAMS)
    few, many = (
        count_under_way(each, chain, COMMUNES, as_of=PAST, params=PARAMS)[COUNTS].sum()
        for each in (known, dataclasses.replace(known, purchases=more))
    )
    assert (many >= few - 1e-9).all()
    assert many["planned"] > few["planned"]


def test_what_was_not_known_and_the_order_of_rows_do_not_matter(drawn_tables: dict[str, pd.DataFrame]) -> None:
    whole = under_way(known_at(drawn_tables, PAST), PAST)
    cut = {name: rows[rows["known_from"] <= PAST] for name, rows in drawn_tables.items() if name != "sessions"}
    late = cut["trainings"]["exited"] > PAST
    cut["trainings"] = cut["trainings"].assign(exit_reason=cut["trainings"]["exit_reason"].mask(late, "abandon"))
    sessions = drawn_tables["sessions"]
    seen = (sessions["starts"] <= PAST) | sessions["lot"].isin(cut["purchases"]["lot"])
    shuffled = {name: rows.sample(frac=1.0, random_state=1) for name, rows in {**cut, "sessions": sessions[seen]}.items()}
    assert len(whole) > 10
    assert_frame_equal(under_way(known_at(shuffled, PAST), PAST), whole, check_exact=True)


def test_people_of_one_cell_are_added_up_in_one_order() -> None:
    past = [
        trainee(k, 900 + k, "2025-01-06", "2025-06-30", exited=pd.Timestamp("2025-06-30"), exit_reason=reason)
        for k, reason in enumerate(["fin", "fin", "abandon"] * 5)
    ]
    inside = [trainee(100 + k, k, f"2026-{1 + k % 3:02d}-{1 + k:02d}", "2026-06-30") for k in range(25)]
    forth, back = (under_way(training([*past, *people], [], [])) for people in (inside, inside[::-1]))
    assert_frame_equal(forth, back, check_exact=True)


def test_finishers_expected_are_those_who_finish(drawn_tables: dict[str, pd.DataFrame]) -> None:
    """The known answer: a past day's expectations against who finished in the months whose sessions were all bought by then."""
    rows = under_way(known_at(drawn_tables, PAST), PAST)
    trainings = drawn_tables["trainings"]
    done = trainings[(trainings["exit_reason"] == "fin") & (trainings["exited"] > PAST)]
    finished = done.groupby(done["exited"].dt.strftime("%Y-%m")).size()
    months = ["2025-10", "2025-11", "2025-12"]
    expected, seen = rows.groupby("period")["under_way"].sum()[months].sum(), finished[months].sum()
    assert seen > 40
    assert abs(expected - seen) < 2.6 * (seen * 0.3) ** 0.5
