"""How recommendations are judged: answers worked out by hand, and laws that no measure may break."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from features.crosswalks import main_sectors
from models.match_measures import (
    Against,
    gini,
    load_of,
    measure_matches,
    measure_seats,
    ndcg_at,
    ndcg_of,
    overbooked,
    play_out,
    recall_at,
    seats_of,
)
from models.metrics import ndcg
from models.simple_matches import ORDERS, Past, count_entries, mean_rates
from needs.params import Params
from needs.run.match_judged import OURS, judge_matches, order_simply, prescribed_ahead, what_orders_see
from tests import entry_frames as entry
from tests import match_frames

AS_OF = pd.Timestamp("2026-03-31")
SEEDS = st.integers(0, 10_000)
many = settings(max_examples=25, deadline=None)
PROPOSED = ["person", "rank", "session"]
ALONE = Against(uptake=0.5, smallest=1)


def ranked(**of: str) -> pd.DataFrame:
    """Propose sessions, one letter each, best first. One row per person, rank."""
    rows = [(person, rank, session) for person, sessions in of.items() for rank, session in enumerate(sessions, 1)]
    return pd.DataFrame(rows, columns=["person", "rank", "session"])


def pairs_of(**of: str) -> pd.DataFrame:
    return ranked(**of)[["person", "session"]]


def gains_of(**of: dict[str, float]) -> pd.DataFrame:
    rows = [(person, session, value) for person, listed in of.items() for session, value in listed.items()]
    return pd.DataFrame(rows, columns=["person", "session", "surplus"])


def people_of(count: int, **traits: Any) -> pd.DataFrame:
    """List people alike. One row per person, as the newest list of jobseekers has them."""
    alike: dict[str, Any] = {"sex": "F", "birth_year": 1990, "level": 3, "unemployed_months": 6, "territory": "BE4401"}
    flags = dict.fromkeys(("rsa", "qpv", "th", "neet"), False)
    frame = pd.DataFrame({"person": [f"p{number:02}" for number in range(count)], "known_from": AS_OF})
    return frame.assign(**{**alike, **flags, **traits}).astype({"level": "Int64"})


def drawn(seed: int, people: int = 12, sessions: int = 8) -> tuple[pd.DataFrame, pd.Series, pd.DataFrame]:
    """Draw recommendations, seats and surpluses."""
    rng = np.random.default_rng(seed)
    names = np.array([f"s{number}" for number in range(sessions)])
    rows = [
        (f"p{who:02}", rank, session)
        for who in range(people)
        for rank, session in enumerate(rng.permutation(names)[: rng.integers(0, 5)], 1)
    ]
    proposed = pd.DataFrame(rows, columns=["person", "rank", "session"]).astype({"rank": "int64"})
    proposed = proposed.assign(likelihood=rng.random(len(proposed)))
    every = pd.MultiIndex.from_product([[f"p{who:02}" for who in range(people)], names], names=["person", "session"])
    gains = every.to_frame(index=False).assign(surplus=rng.normal(size=len(every)))
    return proposed, pd.Series(rng.integers(0, 4, sessions).astype("float64"), index=names), gains


def test_recall_counts_the_right_sessions_among_the_first() -> None:
    proposed = ranked(ann="abc", bob="xyz")
    truth = pairs_of(ann="cd", bob="x", eve="a")
    assert recall_at(proposed, truth, 3) == pytest.approx((0.5 + 1 + 0) / 3)
    assert recall_at(proposed, truth, 2) == pytest.approx((0 + 1 + 0) / 3)


def test_ndcg_worked_out_by_hand() -> None:
    gains = gains_of(ann={"a": 3.0, "b": 2.0, "c": 1.0, "d": -5.0})
    best = 3 + 2 / np.log2(3)
    assert ndcg_at(ranked(ann="ba"), gains, 2) == pytest.approx((2 + 3 / np.log2(3)) / best)
    assert ndcg_at(ranked(ann="da"), gains, 2) == pytest.approx((3 / np.log2(3)) / best)
    assert ndcg_at(ranked(bob="a"), gains, 2) == 0.0


def test_who_has_nothing_to_gain_is_no_part_of_ndcg() -> None:
    gains = gains_of(ann={"a": 1.0}, bob={"a": -1.0, "b": 0.0})
    assert ndcg_of(ranked(ann="a", bob="a"), gains, 5).to_dict() == {"ann": 1.0}


@many
@given(SEEDS, st.integers(1, 5))
def test_ndcg_lies_between_nothing_and_the_perfect_order_and_is_that_of_one_person_alone(seed: int, k: int) -> None:
    proposed, _, gains = drawn(seed)
    told = ndcg_of(proposed, gains, k)
    assert told.between(0, 1).all()
    perfect = gains.sort_values("surplus", ascending=False)
    perfect = perfect.assign(rank=perfect.groupby("person").cumcount() + 1)
    assert ndcg_at(perfect, gains, k) == pytest.approx(1.0)
    for person, value in told.items():
        own = gains[gains["person"] == person].set_index("session")["surplus"]
        places = proposed[proposed["person"] == person].set_index("session")["rank"].reindex(own.index)
        shown = own.where(places <= k, 0.0)  # what is not proposed brings nothing, wherever it stands
        part = ndcg(-places.fillna(99.0), shown, k) if (shown > 0).any() else 0.0
        assert value == pytest.approx(part * best_sum(shown, k) / best_sum(own, k))


def best_sum(gains: pd.Series, k: int) -> float:
    """Give what the best order of some gains brings."""
    first = np.sort(gains.clip(lower=0.0))[::-1][:k]
    return float((first / np.log2(np.arange(len(first)) + 2.0)).sum())


def test_load_is_what_proposals_of_each_rank_bring() -> None:
    proposed = ranked(ann="ab", bob="b").assign(likelihood=[1.0, 0.5, 0.2])
    assert load_of(proposed.drop(columns="likelihood"), 0.4).to_dict() == pytest.approx({"a": 0.4, "b": 0.24 + 0.4})
    assert load_of(proposed, 0.4).to_dict() == pytest.approx({"a": 0.4, "b": 0.12 + 0.08})


def test_seats_worked_out_by_hand() -> None:
    proposed, seats = ranked(ann="a", bob="a", eve="a"), pd.Series({"a": 1.0, "b": 1.0, "c": 0.0})
    told = measure_seats(proposed, seats, 0.5)
    assert told == pytest.approx(
        {
            "coverage": 0.5,
            "gini": 0.5,
            "unfilled": 1.0,
            "unfilled_share": 0.5,
            "overbooked": 2 / 3,
            "overload": 0.5,
            "overload_share": 1 / 3,
        }
    )


def test_a_session_that_says_no_seats_or_is_not_known_has_none() -> None:
    courses = pd.DataFrame({"session": ["a", "b"], "seats": pd.array([2, None], dtype="Int64")})
    assert seats_of(courses).to_dict() == {"a": 2.0, "b": 0.0}
    assert overbooked(ranked(ann="a", bob="b", eve="z", joe="a"), seats_of(courses)) == 0.5


@many
@given(st.floats(0.01, 100), st.integers(1, 50))
def test_equal_loads_are_no_inequality_whatever_their_size(load: float, count: int) -> None:
    assert gini(np.full(count, load)) == pytest.approx(0.0, abs=1e-9)


@many
@given(st.lists(st.floats(0, 100), min_size=2, max_size=20).filter(lambda loads: sum(loads) > 0.1), st.floats(0.1, 10))
def test_inequality_is_bounded_and_knows_no_unit_and_equals_its_definition(loads: list[float], unit: float) -> None:
    found = np.array(loads)
    told = gini(found)
    assert -1e-9 <= told <= 1 - 1 / len(loads) + 1e-9
    assert gini(found * unit) == pytest.approx(told)
    assert told == pytest.approx(np.abs(found[:, None] - found[None, :]).sum() / (2 * len(loads) * found.sum()))


@many
@given(SEEDS, st.integers(0, 7))
def test_one_more_seat_never_overbooks_nor_overloads_more(seed: int, number: int) -> None:
    proposed, seats, _ = drawn(seed)
    if proposed.empty:
        return
    wider = seats.copy()
    wider.iloc[number] += 1
    before, after = measure_seats(proposed, seats, 0.5), measure_seats(proposed, wider, 0.5)
    for name in ("overbooked", "overload"):
        assert after[name] <= before[name] + 1e-12
    assert after["unfilled"] >= before["unfilled"] - 1e-12


@many
@given(SEEDS)
def test_seats_taken_seats_left_and_people_beyond_add_up(seed: int) -> None:
    proposed, seats, _ = drawn(seed)
    told, load = measure_seats(proposed, seats, 0.5), load_of(proposed, 0.5).sum()
    assert load - told["overload"] == pytest.approx(seats.sum() - told["unfilled"])


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_rows_changes_nothing(seed: int) -> None:
    proposed, seats, gains = drawn(seed, people=20)
    rng = np.random.default_rng(seed)
    people = people_of(20, sex=rng.choice(["H", "F"], 20), level=rng.integers(1, 6, 20))
    courses = pd.DataFrame({"session": seats.index, "seats": seats.to_numpy()})
    against = replace(ALONE, truth=gains[gains["surplus"] > 1][["person", "session"]], gains=gains)
    told = measure_matches(proposed, people, courses, against)
    mixed, people, courses, gains = (of.sample(frac=1.0, random_state=seed) for of in (proposed, people, courses, gains))
    assert_frame_equal(measure_matches(mixed, people, courses, replace(against, gains=gains)), told)


def test_groups_are_those_of_their_people_and_small_ones_are_left_out() -> None:
    people = people_of(6, sex=["F", "F", "F", "H", "H", "H"], th=[True, False, False, False, False, False])
    proposed = ranked(p00="a", p01="ab", p03="a").assign(expected_gain=[0.4, 0.2, 0.0, 0.1], distance_km=10.0)
    courses = pd.DataFrame({"session": ["a", "b"], "seats": [1, 1]})
    told = measure_matches(proposed, people, courses, ALONE).set_index(["group", "measure"])["value"]
    assert told["sex=F", "served"] == pytest.approx(2 / 3)
    assert told["sex=H", "served"] == pytest.approx(1 / 3)
    assert told["all", "served"] == pytest.approx(1 / 2)
    assert told["sex=F", "expected_gain"] == pytest.approx((0.4 + 0.1) / 2), "everybody counts alike"
    assert told["territory=BE4401", "distance_km"] == 10.0
    assert told["public=th", "served"] == 1.0
    few = measure_matches(proposed, people, courses, replace(ALONE, smallest=3))
    assert few["people"].min() >= 3
    assert "public=th" not in set(few["group"])
    assert set(few.loc[few["group"] == "sex=F", "measure"]) == {"served"}, "two people's gains tell of them"


def test_ages_levels_and_time_without_work_part_everybody_once() -> None:
    people = people_of(
        5,
        birth_year=[2001, 2000, 1982, 1981, 1960],
        level=pd.array([3, 4, 5, None, 7], dtype="Int64"),
        unemployed_months=[0, 11, 12, 40, 3],
    )
    told = measure_matches(ranked(p00="a"), people, pd.DataFrame({"session": ["a"], "seats": [1]}), ALONE)
    count = told[told["measure"] == "served"].set_index("group")["people"]
    assert count[["age=u26", "age=26_44", "age=45plus"]].tolist() == [1, 2, 2]
    assert count[["level=infra4", "level=4", "level=5plus", "level=unknown"]].tolist() == [1, 1, 2, 1]
    assert count[["duration=lt12", "duration=ge12"]].tolist() == [3, 2]
    served = told[told["measure"] == "served"].set_index("group")["value"]
    assert served[["age=u26", "age=26_44", "level=infra4", "level=4"]].tolist() == [1, 0, 1, 0]


def test_played_out_each_takes_the_first_with_a_seat_left() -> None:
    proposed = ranked(ann="ab", bob="ab", eve="a")
    surplus = gains_of(ann={"a": 1.0, "b": 0.5}, bob={"a": 4.0, "b": 2.0}, eve={"a": 9.0})
    seats = pd.Series({"a": 1.0, "b": 1.0})
    assert play_out(proposed, seats, surplus, pd.Series({"ann": 0, "bob": 1, "eve": 2})) == 1.0 + 2.0
    assert play_out(proposed, seats, surplus, pd.Series({"eve": 0, "bob": 1, "ann": 2})) == 9.0 + 2.0


@many
@given(SEEDS)
def test_played_out_nobody_obtains_more_than_the_best_of_all(seed: int) -> None:
    proposed, seats, gains = drawn(seed)
    turn = pd.Series(np.random.default_rng(seed).permutation(12), index=[f"p{who:02}" for who in range(12)])
    most = gains.groupby("person")["surplus"].max().clip(lower=0.0).sum()
    assert play_out(proposed, seats, gains, turn) <= most + 1e-9
    assert play_out(proposed, seats * 0, gains, turn) == 0.0


# Simple orders ------------------------------------------------------------------------------------------------------------

_OPTION = ["sector", "action_type"]
PAST = Past(
    entries=pd.DataFrame({"sector": ["220", "313"], "action_type": ["certification"] * 2, "entries": [5, 50]}),
    rates=pd.DataFrame({"sector": ["220"], "action_type": ["certification"], "rate": [0.1]}),
    trains=pd.DataFrame({"occupation": ["A1101"], "sector": ["326"]}),
)


def four(**changes: Any) -> list[dict[str, Any]]:
    """Write four courses of three sectors: a at 30 km, b at 20, c at 40, d at 10."""
    sectors, roads, seats = ("220", "313", "326", "326"), (30.0, 20.0, 40.0, 10.0), (3, 2, 1, 4)
    return [
        entry.course(name, sector=sector, latitude=entry.north(km), seats=left, **changes)
        for name, sector, km, left in zip("abcd", sectors, roads, seats, strict=True)
    ]


@pytest.mark.parametrize(
    ("order", "sessions"),
    [("popularity", "badc"), ("nearest", "dbac"), ("same_sector", "dcba"), ("outcome_rate", "adbc")],
)
def test_simple_orders_do_what_they_say(order: str, sessions: str) -> None:
    told = order_simply([entry.people_of(entry.person(mobility_km=50.0))], entry.market_of(*four()), PAST, 4)[order]
    assert "".join(told["session"]) == sessions
    assert told["rank"].tolist() == [1, 2, 3, 4]


def past_of(seed: int) -> Past:
    """Draw a past: some options were entered, some have a rate, some occupations a sector that trains for them."""
    rng = np.random.default_rng([seed, 9])
    options = pd.DataFrame([(sector, kind) for sector in match_frames.SECTORS for kind in match_frames.KINDS], columns=_OPTION)
    entries = options.assign(entries=rng.integers(0, 40, len(options)))[rng.random(len(options)) < 0.7]
    rates = options.assign(rate=rng.random(len(options)).round(1))[rng.random(len(options)) < 0.7]
    trains = pd.DataFrame({"occupation": match_frames.OCCUPATIONS})
    return Past(
        entries,
        rates,
        trains.assign(sector=rng.choice([*match_frames.SECTORS, "999"], len(trains))).sample(frac=0.7, random_state=seed),
    )


def looks(order: str, seen: pd.DataFrame, wanted: object, past: Past) -> np.ndarray:
    """Say what an order looks at of courses: the more, the better."""
    options = pd.MultiIndex.from_frame(seen[_OPTION])
    if order == "popularity":
        return past.entries.set_index(_OPTION)["entries"].reindex(options).fillna(0.0).to_numpy(dtype="float64")
    if order == "outcome_rate":
        return past.rates.set_index(_OPTION)["rate"].reindex(options).fillna(0.0).to_numpy(dtype="float64")
    if order == "same_sector":
        sector = past.trains.set_index("occupation")["sector"].get(wanted, "")
        return (seen["sector"] == sector).to_numpy(dtype="float64")
    return np.zeros(len(seen))


@pytest.mark.long
@settings(max_examples=6, deadline=None)
@given(SEEDS)
def test_each_order_lists_what_is_open_the_most_looked_for_first_and_of_equals_the_nearest(seed: int) -> None:
    people, _, market = match_frames.drawn(seed, people=15, sessions=40)
    past = past_of(seed)
    told = order_simply([people], market, past, 5)
    for who, row in enumerate(people.itertuples()):
        seen = entry.seen_by(people, who, market).join(market.courses[_OPTION])
        seen = seen[seen["open"]]
        for order, proposed in told.items():
            best = sorted(zip(-looks(order, seen, row.wanted, past), seen["distance_km"], strict=True))[:5]
            own = proposed[proposed["person"] == row.person].merge(seen, on="session", how="left", suffixes=("", "_seen"))
            listed = list(zip(-looks(order, own, row.wanted, past), own["distance_km"], strict=True))
            assert own["open"].notna().all()
            assert [look for look, _ in listed] == [look for look, _ in best]
            np.testing.assert_allclose([km for _, km in listed], [km for _, km in best], atol=0.2)


@pytest.mark.long
def test_orders_know_of_no_seats_nor_of_what_is_gained_nor_of_anybody_else() -> None:
    people, known, market = match_frames.drawn(5, people=30, sessions=40)
    told = order_simply([people], market, past_of(5), 5)
    courses = known.courses.assign(seats=known.courses["seats"].clip(upper=1), gain=-known.courses["gain"], show=0.5)
    other = match_frames.market_of(known._replace(courses=courses))
    changed = order_simply([people], other, past_of(5), 5)
    parts = order_simply([people.iloc[[who]].reset_index(drop=True) for who in range(30)], market, past_of(5), 5)
    for order in ORDERS:
        assert_frame_equal(changed[order][PROPOSED], told[order][PROPOSED])
        assert_frame_equal(parts[order], told[order], check_dtype=False)
    assert told["nearest"]["session"].value_counts().max() > market.courses["seats"].max()


def test_without_people_or_courses_orders_say_nothing() -> None:
    people, _, market = match_frames.drawn(5, people=3)
    empty = match_frames.market_of(match_frames.known_of(5)._replace(courses=match_frames.known_of(5).courses.assign(seats=0)))
    for of in (order_simply([], market, past_of(5), 5), order_simply([people], empty, past_of(5), 5)):
        assert {order: len(rows) for order, rows in of.items()} == dict.fromkeys(ORDERS, 0)


def test_what_simple_orders_see_is_counted_from_the_past() -> None:
    trainings = pd.DataFrame(
        {
            "status": ["entre", "entre", "refuse", "entre"],
            "formacode": ["22054", "22099", "22054", "31300"],
            "action_type": "certification",
        }
    )
    assert count_entries(trainings).set_index("sector")["entries"].to_dict() == {"220": 2, "313": 1}
    outcomes = pd.DataFrame({"sector": "220", "action_type": "certification", "value": [0.2, 0.5], "n": [10.0, 20.0]})
    assert mean_rates(outcomes)["rate"].tolist() == pytest.approx([0.4])
    links = pd.DataFrame({"occupation": "F1603", "sector": ["220", "326", "326"], "level": "3", "weight": [0.4, 0.3, 0.3]})
    assert main_sectors(links).to_dict() == {"F1603": "326"}


COURSES = pd.DataFrame({"session": ["a", "b", "c", "d"]})


def prescriptions(**changes: Any) -> pd.DataFrame:
    """Prescribe a session to each of twelve people, still to come. One row per person."""
    rows = {"person": people_of(12)["person"], "session": "a", "status": "prescrit", "entered": AS_OF + pd.Timedelta(days=9)}
    return pd.DataFrame({**rows, **changes})


def searching(count: int, **traits: Any) -> pd.DataFrame:
    """List people alike who live where four courses are within reach. One row per person, traits beside what courses ask."""
    alike = people_of(count, **{"sex": ["H", "F"] * (count // 2), **traits})
    beside = entry.people_of(*(entry.person(name, mobility_km=50.0) for name in alike["person"]))
    return alike.assign(**{name: beside[name] for name in beside if name not in alike})


def judged(people: pd.DataFrame, ahead: pd.DataFrame, seats: int | None = None, judged: int = 1000) -> pd.DataFrame:
    """Judge one proposal of "a" to everybody. One row per rule, group, measure."""
    courses = [course if seats is None else {**course, "seats": seats} for course in four()]
    ours = pd.DataFrame({"person": people["person"], "rank": 1, "session": "a", "likelihood": 0.5})
    params = Params.model_validate({"matching": {"recommendations": 2, "judged": judged}})
    return judge_matches(ours, people, entry.market_of(*courses), PAST, ahead, params)


def test_ours_and_every_order_are_judged_alike() -> None:
    told = judged(searching(12), prescriptions()[["person", "session"]]).set_index(["rule", "group", "measure"])
    assert set(told.index.get_level_values("rule")) == {OURS, *ORDERS}
    assert not told.index.has_duplicates
    value = told["value"].xs("all", level="group")
    assert value[OURS, "recall"] == value["outcome_rate", "recall"] == 1.0, "they propose what was prescribed"
    assert value["nearest", "recall"] == 0.0
    assert value["popularity", "recall"] == 1.0
    assert value[OURS, "overbooked"] == 9 / 12
    assert value["nearest", "overbooked"] == 8 / 12
    assert told["people"].min() >= 10, "six women are too few to tell of"


def test_whoever_objects_or_lives_nobody_knows_where_is_searched_for_by_no_order() -> None:
    people = searching(40).assign(opposition=[True] * 10 + [False] * 30)
    people = people.assign(latitude=people["latitude"].mask(people.index >= 35))
    value = judged(people, prescriptions().head(0)).set_index(["rule", "group", "measure"])["value"].xs("all", level="group")
    assert [value[order, "served"] for order in ORDERS] == [25 / 40] * 4
    assert value[OURS, "served"] == 1.0, "what was proposed is taken as it is"


def test_where_some_are_judged_for_all_seats_are_counted_down_alike() -> None:
    people, none = searching(400), prescriptions().head(0)
    whole = judged(people, none, seats=80).set_index(["rule", "group", "measure"])
    some = judged(people.sample(frac=1.0, random_state=1), none, seats=80, judged=100).set_index(["rule", "group", "measure"])
    assert set(some["people"].xs("all", level="group")) == {100}
    both = whole["value"].drop("unfilled", level="measure").drop("overload", level="measure")
    pd.testing.assert_series_equal(some["value"].reindex(both.index), both)
    assert both[OURS, "all", "overbooked"] == 0.8
    counted = whole["value"].xs("unfilled", level="measure")
    assert (some["value"].xs("unfilled", level="measure") * 4).to_dict() == pytest.approx(counted.to_dict())


def test_recall_is_not_told_where_nothing_is_prescribed() -> None:
    told = judged(searching(12), prescriptions().assign(person="somebody else")[["person", "session"]])
    assert "served" in set(told["measure"])
    assert "recall" not in set(told["measure"])


def test_only_what_is_still_to_come_and_on_offer_counts_as_prescribed() -> None:
    entered, status = [AS_OF, *[AS_OF + pd.Timedelta(days=1)] * 9, pd.NaT, pd.NaT], ["prescrit"] * 10 + ["refuse", "prescrit"]
    rows = prescriptions(entered=entered, status=status, session=["a"] * 9 + ["elsewhere", "a", "b"])
    assert prescribed_ahead(rows, COURSES, AS_OF)["person"].tolist() == [*(f"p{n:02}" for n in range(1, 9)), "p11"]


def test_orders_see_the_rates_of_everybody_in_the_region() -> None:
    cell = {"sector": "220", "action_type": "certification", "level": "3", "n": 30.0, "grade": "B"}
    rows = [("R44", "tout_public", "durable", 12, 0.4), ("R44", "jeunes", "durable", 12, 0.9)]
    rows += [("BE4401", "tout_public", "durable", 12, 0.8), ("R44", "tout_public", "durable", 6, 0.7)]
    outcomes = pd.DataFrame(rows, columns=["territory", "public", "outcome", "horizon_months", "value"]).assign(**cell)
    trainings = prescriptions(status="entre").assign(formacode="22054", action_type="certification")
    links = pd.DataFrame({"occupation": ["F1603"], "sector": ["326"], "level": ["3"], "weight": [1.0]})
    seen = what_orders_see(outcomes, trainings, links, 12)
    assert seen.rates["rate"].tolist() == [0.4]
    assert seen.entries["entries"].tolist() == [12]
