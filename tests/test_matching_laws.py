"""Laws of the search and of the auction, on small markets drawn at random."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from match_frames import Drawn, drawn, market_of
from scipy.optimize import linear_sum_assignment

from models.auction import grant_seats
from models.market import EntryParams, lay_out
from models.matching import Laid, Matched, MatchingParams, find_courses, loads_of, match_people, mean_choice, uptakes_of
from models.pairs import Kept
from models.sight import look

pytestmark = pytest.mark.long

SEEDS = st.integers(0, 10_000)
LAWS = settings(max_examples=25, deadline=None)
PARAMS = MatchingParams(candidates=10)
FREE = EntryParams(priority=0.0)


def prices_of(made: Drawn, seed: int) -> np.ndarray[Any, Any]:
    """Draw prices of which half are nothing."""
    return np.maximum(np.random.default_rng(seed).uniform(-0.04, 0.04, len(made.market.seats)), 0.0)


def found(made: Drawn, people: pd.DataFrame, prices: np.ndarray[Any, Any], count: int = 10) -> Kept:
    return find_courses(Laid(*lay_out(people, made.market)), made.market, prices, count)


def every_pair(made: Drawn, prices: np.ndarray[Any, Any]) -> pd.DataFrame:
    """Look at every person and every course of the market. One row per pair: ``who``, ``course``, and what look tells."""
    people, courses = len(made.people), len(made.market.courses)
    who, course = np.repeat(np.arange(people), courses), np.tile(np.arange(courses), people)
    priced = pd.Series(prices, index=made.market.courses["session"])
    rows = made.market.courses.iloc[course].reset_index(drop=True)
    return look(made.people, who, rows, made.market, priced).assign(who=who, course=course)


def same(left: Kept, right: Kept) -> bool:
    return all(ours.tobytes() == theirs.tobytes() for ours, theirs in zip(left, right, strict=True))


# The search -------------------------------------------------------------------------------------------------------------


@LAWS
@given(SEEDS)
def test_a_batch_finds_what_each_finds_alone(seed: int) -> None:
    made = drawn(seed)
    prices = prices_of(made, seed)
    alone = [found(made, made.people.iloc[[row]].reset_index(drop=True), prices) for row in range(len(made.people))]
    together = Kept(*(np.concatenate(columns) for columns in zip(*alone, strict=True)))
    assert same(found(made, made.people, prices), together)


@LAWS
@given(SEEDS)
def test_the_order_of_people_and_of_frames_changes_nothing(seed: int) -> None:
    made, rng = drawn(seed), np.random.default_rng(seed)
    order = rng.permutation(len(made.people))
    prices = prices_of(made, seed)
    mixed = found(made, made.people.iloc[order].reset_index(drop=True), prices)
    assert same(Kept(*(column[order] for column in found(made, made.people, prices))), mixed)
    shuffled = market_of(
        made.known._replace(**{name: frame.sample(frac=1, random_state=seed) for name, frame in made.known._asdict().items()})
    )
    assert same(found(made, made.people, prices), found(made._replace(market=shuffled), made.people, prices))


@LAWS
@given(SEEDS, st.integers(1, 12))
def test_the_search_keeps_the_best_of_all_that_may_be_entered_and_nothing_else(seed: int, count: int) -> None:
    made = drawn(seed)
    prices = prices_of(made, seed)
    kept, pairs = found(made, made.people, prices, count), every_pair(made, prices)
    nets = pairs.set_index(["who", "course"])
    for who, rows in pairs[pairs["open"]].groupby("who"):
        own = kept.session[who][kept.session[who] >= 0]
        told = nets.loc[[(who, course) for course in own]] if len(own) else nets.head(0)
        assert told["open"].all()
        best = rows["net"].clip(lower=0.0).sort_values(ascending=False).head(count)
        assert np.allclose(np.pad(told["net"], (0, len(best) - len(told))), best, atol=1e-6)
        assert np.allclose(kept.likelihood[who][: len(own)], told["likelihood"], rtol=1e-5)
        assert np.allclose(kept.worth[who][: len(own)], told["weight"] * told["gain"], rtol=1e-5)
    shut = sorted(set(range(len(made.people))) - set(pairs.loc[pairs["open"], "who"]))
    assert (kept.session[shut] == -1).all()


# Seats ------------------------------------------------------------------------------------------------------------------


def worths(kept: Kept, sessions: int) -> np.ndarray[Any, Any]:
    """What each session is worth to each person, 0 where it is not among those kept: people × sessions."""
    who, choice = np.nonzero(kept.session >= 0)
    table = np.zeros((len(kept.session), sessions))
    table[who, kept.session[who, choice]] = (kept.likelihood * kept.worth).astype("float64")[who, choice]
    return table


def optimum(table: np.ndarray[Any, Any], seats: np.ndarray[Any, Any]) -> float:
    """What the best assignment is worth, each seat a column."""
    wide = np.repeat(table, seats, axis=1)
    rows, columns = linear_sum_assignment(wide, maximize=True)
    return float(wide[rows, columns].sum())


def all_pairs(made: Drawn) -> Kept:
    return found(made, made.people, np.zeros(len(made.market.seats)), len(made.market.seats))


@LAWS
@given(SEEDS, st.sampled_from([0.05, 0.003, 1e-6]))
def test_an_auction_is_as_near_to_the_optimum_as_it_says(seed: int, precision: float) -> None:
    made = drawn(seed, people=60, sessions=25)
    kept, seats = all_pairs(made), made.market.seats
    step = precision * mean_choice(kept)
    granted, best = grant_seats(kept, seats, step), optimum(worths(kept, len(seats)), seats)
    assert granted.worth <= best + 1e-9 <= granted.bound + 2e-9
    assert best - granted.worth <= step * (granted.column >= 0).sum() + 1e-9


@LAWS
@given(SEEDS)
def test_a_match_is_as_near_to_the_optimum_of_all_pairs_as_it_says_though_it_looks_at_few(seed: int) -> None:
    made = drawn(seed, people=80, sessions=200)
    narrow = made._replace(market=market_of(made.known._replace(courses=made.known.courses.assign(seats=1))))
    matched = match_people([narrow.people], narrow.market, PARAMS)
    best = optimum(worths(all_pairs(narrow), len(narrow.market.seats)), narrow.market.seats)
    assert best * (1 - matched.gap) - 1e-6 <= matched.granted.worth <= best + 1e-6
    assert matched.gap <= 2 * PARAMS.precision


@LAWS
@given(SEEDS, st.integers(0, 24))
def test_a_seat_more_is_never_worth_less(seed: int, place: int) -> None:
    """Tolerance: each result is below its optimum by its certified gap at most, and optima never fall."""
    made = drawn(seed, people=60, sessions=25)
    kept, seats = all_pairs(made), made.market.seats
    step = PARAMS.precision * mean_choice(kept)
    before = grant_seats(kept, seats, step)
    more = seats + (np.arange(len(seats)) == place % len(seats))
    after = grant_seats(kept, more, step)
    assert after.worth >= before.worth - max(0.0, after.bound - after.worth) - 1e-9


@LAWS
@given(SEEDS, st.integers(0, 59))
def test_who_leaves_lets_the_others_have_no_less(seed: int, leaver: int) -> None:
    """What all others get, prices paid, is bound by the dual: prices at the optimum do not rise when somebody leaves.

    An auction ends within step × people of the optimum, of which the dual is the bound; two auctions are compared: twice that.
    """
    made = drawn(seed, people=60, sessions=25)
    kept, seats = all_pairs(made), made.market.seats
    step = PARAMS.precision * mean_choice(kept)
    rest = Kept(*(np.delete(column, leaver, axis=0) for column in kept))
    with_all, without = grant_seats(kept, seats, step), grant_seats(rest, seats, step)
    table = worths(kept, len(seats))
    own = np.maximum(table - with_all.prices, 0.0)[leaver].max(initial=0.0)
    held = table[leaver, kept.session[leaver, with_all.column[leaver]]] if with_all.column[leaver] >= 0 else 0.0
    tolerance = 2 * step * len(kept.session) + 1e-9
    assert without.worth >= with_all.worth - held - tolerance
    assert without.worth <= with_all.worth - own + tolerance


# Lists ------------------------------------------------------------------------------------------------------------------


@LAWS
@given(SEEDS, st.sampled_from([0.5, 1.0, 1.7]))
def test_no_session_bears_more_than_its_factor_and_no_pair_is_shut(seed: int, factor: float) -> None:
    made, params = drawn(seed), MatchingParams(candidates=10, overbooking=factor)
    matched = match_people([made.people], made.market, params)
    seats = made.market.seats
    assert (loads_of(matched.kept, matched.lists, uptakes_of(params), len(seats)) <= seats * factor + 1e-9).all()
    opened = every_pair(made, matched.granted.prices).set_index(["who", "course"])["open"]
    for who, own in enumerate(matched.lists):
        sessions = matched.kept.session[who, own[own >= 0]]
        assert len(set(sessions.tolist())) == len(sessions)
        assert all(opened.loc[(who, session)] for session in sessions.tolist())


def outcome(matched: Matched) -> bytes:
    return b"".join(array.tobytes() for array in (matched.lists, matched.kept.session, matched.granted.prices, matched.room))


@pytest.mark.parametrize("entry", [EntryParams(), FREE])
@LAWS
@given(seed=SEEDS)
def test_nobody_is_ranked_by_who_they_are(entry: EntryParams, seed: int) -> None:
    """Courses for everybody: publics may not count, save by the weight of their priorities, which is held, or has no effect."""
    made = drawn(seed)
    known = made.known._replace(courses=made.known.courses.assign(publics="tout_public"))
    market, rng = market_of(known, entry), np.random.default_rng(seed)
    flipped = {name: ~made.people[name] for name in ("jeunes", "seniors", "qpv", "th", "parents_isoles", "infra4")}
    strange = {
        name: rng.integers(0, 2, len(made.people)) for name in ("sex", "age", "nationality", "neet", "department", "commune")
    }
    other = made.people.assign(**flipped, **strange, opposition=True)
    if entry == FREE:
        other = other.assign(priority=rng.integers(0, 6, len(other)))
    first = match_people([made.people], market, PARAMS)
    assert (first.lists >= 0).any()
    assert outcome(match_people([other], market, PARAMS)) == outcome(first)


def test_weight_counts_where_it_should() -> None:
    made = drawn(3, people=60, sessions=25)
    other = made.people.assign(priority=made.people["priority"][::-1].to_numpy())
    assert outcome(match_people([other], made.market, PARAMS)) != outcome(match_people([made.people], made.market, PARAMS))
