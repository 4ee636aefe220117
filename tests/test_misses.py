"""What came nearest for whom no course answers: each rule alone, by how much, and what that much would open."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from features.vocabulary import PUBLICS
from models.market import Market
from models.misses import nearest_misses
from needs.run.unmet import count_unmet
from tests import match_frames
from tests.entry_frames import AS_OF, course, market_of, north, people_of, person, seen_by

pytestmark = pytest.mark.long

LINKS = pd.DataFrame(
    {"occupation": ["A1101", "A1101", "F1603"], "sector": ["230", "312", "312"], "level": "3", "weight": [0.7, 0.3, 1.0]}
)
FAR = {"latitude": north(35.0)}
HIGH = {"entry_level": 5, "entry_level_binds": True}
LATE = {"available": AS_OF + pd.Timedelta(days=71)}


def missed(who: dict[str, Any], *courses: dict[str, Any], **more: Any) -> pd.Series[Any]:
    return nearest_misses(people_of(who), market_of(*courses, **more)).iloc[0]


@pytest.mark.parametrize(
    ("who", "what", "asking", "rule", "shortfall"),
    [
        ({}, FAR, (), "distance", 15.0),
        ({}, HIGH, (), "level", 2.0),
        (LATE, {}, (), "date", 11.0),
        (LATE, {"permanent": True, "ends": AS_OF + pd.Timedelta(days=61)}, (), "date", 10.0),
        ({}, {"publics": "jeunes|rsa"}, (), "public", np.nan),
        ({}, {}, ("a",), "prerequisite", np.nan),
        ({"closed": "a"}, {}, (), "held", np.nan),
    ],
)
def test_the_one_rule_that_keeps_a_person_out_is_named_with_what_is_missing(
    who: dict[str, Any], what: dict[str, Any], asking: tuple[str, ...], rule: str, shortfall: float
) -> None:
    told = missed(person(**who), course(**what), asking=asking)
    assert (told["nearest_miss"], told["session"]) == (rule, "a")
    assert told["shortfall"] == pytest.approx(shortfall, abs=0.01, nan_ok=True)


@pytest.mark.parametrize(("who", "what"), [({}, FAR), ({}, HIGH), (LATE, {})])
def test_as_much_as_is_missing_opens_the_course_and_any_less_does_not(who: dict[str, Any], what: dict[str, Any]) -> None:
    market, kept_out = market_of(course(**what)), person(**who)
    short = float(missed(kept_out, course(**what))["shortfall"])
    for part, opens in ((1.0, True), (0.9, False)):
        day = kept_out["available"] - pd.Timedelta(days=int(short * part))
        nearer = {"distance": {"mobility_km": 20.0 + short * part}, "level": {"level": 3 + int(short * part)}}
        met = person(
            **{**who, **nearer.get("distance" if what is FAR else "level" if what is HIGH else "", {"available": day})}
        )
        assert seen_by(people_of(met), 0, market)["open"].tolist() == [opens]


def test_where_something_is_open_only_seats_are_missing() -> None:
    told = missed(person(), course("a", **FAR), course("b"), course("c", gain=0.01))
    assert (told["nearest_miss"], told["session"]) == ("seats", "b")
    assert np.isnan(told["shortfall"])


def test_who_goes_farther_than_anything_is_looked_for_is_still_told_of_what_is_open() -> None:
    assert missed(person(mobility_km=400.0), course(latitude=north(250.0)), farthest_km=100.0)["nearest_miss"] == "seats"


@pytest.mark.parametrize(
    ("who", "what"),
    [({}, {**FAR, **HIGH}), ({"closed": "a"}, FAR), (LATE, {"publics": "th"}), ({}, {"latitude": north(200.0)})],
)
def test_two_rules_are_no_near_miss_nor_is_what_nobody_would_look_for(who: dict[str, Any], what: dict[str, Any]) -> None:
    told = missed(person(**who), course(**what))
    assert told["nearest_miss"] == "no_session"
    assert told[["session", "shortfall"]].isna().all()


def test_nobody_is_told_of_a_session_that_nobody_can_enter() -> None:
    told = missed(
        person(), course("full", seats=0), course("over", starts=AS_OF), course("there", place="abroad"), borders="country"
    )
    assert told["nearest_miss"] == "no_session"


def test_of_several_the_nearest_miss_is_worth_most_to_the_person() -> None:
    far, high = course("far", **FAR), course("high", **HIGH)
    assert missed(person(), far, high)["session"] == "high", "the road leaves less of the far one"
    assert missed(person(), {**far, "gain": 0.9}, high)["session"] == "far"


def _lifted(people: pd.DataFrame, rule: str, market: Market) -> pd.DataFrame:
    """Write people as if a rule were not. Same rows."""
    changed: dict[str, Any] = {
        "distance": {"mobility_km": people["mobility_km"].fillna(30.0).clip(lower=market.entry.farthest_km)},
        "level": {"level": 9},
        "date": {"available": pd.NaT},
        "public": dict.fromkeys(PUBLICS, True),
        "prerequisite": {"ready": "|".join(market.courses["session"])},
        "held": {"closed": ""},
    }
    return people.assign(**changed[rule])


@given(st.integers(0, 10_000))
@settings(max_examples=8, deadline=None)
def test_the_nearest_miss_is_the_best_that_any_one_rule_would_open(seed: int) -> None:
    drawn = match_frames.drawn(seed, people=12, sessions=15)
    market, told = drawn.market, nearest_misses(drawn.people, drawn.market)
    rules = ("distance", "level", "date", "public", "prerequisite", "held")
    for who, row in enumerate(told.itertuples()):
        best = dict.fromkeys((*rules, "seats"), 0.0)
        for rule in best:
            seen = seen_by(drawn.people if rule == "seats" else _lifted(drawn.people, rule, market), who, market)
            best[rule] = float(seen.loc[seen["open"], "score"].max()) if seen["open"].any() else 0.0
        if best["seats"] > 0:
            assert row.nearest_miss == "seats"
        elif max(best.values()) == 0:
            assert row.nearest_miss == "no_session"
        else:
            assert best[row.nearest_miss] == pytest.approx(max(best.values()), rel=1e-4)


def test_a_person_is_told_the_same_whoever_else_is() -> None:
    drawn = match_frames.drawn(3, people=20, sessions=15)
    alone = [nearest_misses(drawn.people.iloc[[who]], drawn.market) for who in range(20)]
    assert_frame_equal(pd.concat(alone), nearest_misses(drawn.people, drawn.market))
    assert nearest_misses(drawn.people.head(0), drawn.market).empty


# Counted ------------------------------------------------------------------------------------------------------------------


def misses(*groups: tuple[int, dict[str, Any]]) -> pd.DataFrame:
    """List people by groups alike. One row per person."""
    alike = {"territory": "BE4441", "wanted": "A1101", "level": 3, "nearest_miss": "distance", "shortfall": 10.0}
    rows = [{**alike, **changed} for count, changed in groups for _ in range(count)]
    return pd.DataFrame(rows).astype({"level": "Int64", "wanted": "str", "shortfall": "float64"})


def test_people_are_counted_by_the_sector_that_trains_for_what_they_want() -> None:
    told = count_unmet(misses((6, {}), (5, {"wanted": "F1603"}), (7, {"level": 4}), (8, {"wanted": None})), LINKS, 5)
    counted = told.set_index(["sector", "level"])["people"]
    assert counted.to_dict() == {("", "3"): 8, ("230", "3"): 6, ("230", "4"): 7, ("312", "3"): 5}


def test_small_groups_are_gathered_in_their_territory_and_left_out_where_that_is_small_too() -> None:
    few = [(3, {"wanted": "F1603"}), (3, {"level": 5}), (4, {"territory": "BE4415"})]
    told = count_unmet(misses((6, {}), *few), LINKS, 5).set_index(["territory", "sector", "level"])["people"]
    assert told.to_dict() == {("BE4441", "", ""): 6, ("BE4441", "230", "3"): 6}


def test_what_is_short_is_the_median_of_those_whom_the_most_frequent_miss_keeps_out() -> None:
    far = [(1, {"shortfall": km}) for km in (1.0, 2.0, 3.0, 40.0, 50.0)]
    told = count_unmet(misses(*far, (4, {"nearest_miss": "level", "shortfall": 900.0})), LINKS, 5)
    assert told[["people", "nearest_miss", "shortfall"]].to_numpy().tolist() == [[9, "distance", 3.0]]


def test_a_shortfall_of_too_few_or_of_what_counts_nothing_is_not_told() -> None:
    told = count_unmet(misses((4, {}), (3, {"nearest_miss": "level"})), LINKS, 5)
    assert told[["people", "nearest_miss"]].to_numpy().tolist() == [[7, "distance"]]
    assert told["shortfall"].isna().all()
    assert count_unmet(misses((6, {"nearest_miss": "seats", "shortfall": np.nan})), LINKS, 5)["shortfall"].isna().all()


@given(st.lists(st.integers(1, 12), min_size=1, max_size=6), st.integers(1, 8))
@settings(max_examples=30, deadline=None)
def test_nobody_is_counted_twice_and_no_cell_is_too_small(sizes: list[int], smallest: int) -> None:
    told = count_unmet(misses(*((size, {"level": level}) for level, size in enumerate(sizes))), LINKS, smallest)
    small = sum(size for size in sizes if size < smallest)
    assert told["people"].sum() == sum(sizes) - (small if small < smallest else 0)
    assert (told["people"] >= smallest).all()
