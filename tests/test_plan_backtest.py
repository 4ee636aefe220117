"""The plan of a past year: what its judge says of nothing and of more, what rivals may buy, and that the future is unknown."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from features.errors import InputError
from models.buying import buy
from models.envelopes import Envelope, PurchaseParams
from needs.run.choice import choose
from needs.run.door import Door
from needs.run.inputs import Inputs, gather
from needs.run.plan_backtest import (
    BEST,
    OURS,
    Verdict,
    compare,
    draw_rows,
    gross,
    judge,
    past_year,
    sessions_of,
    shelf_of,
    spent_on,
    with_budget,
)
from needs.show.plan_judged import describe_verdict
from needs.simple_rules import by_chance, by_projects, by_rates, share_out
from tests.option_frames import TERMS

pytestmark = pytest.mark.long

FINISHING = 0.6
KINDS = (
    ("230", "certification", "3"),
    ("312", "certification", "4"),
    ("312", "professionnalisation", ""),
    ("150", "langue", ""),
)
PARAMS = PurchaseParams(envelopes=(Envelope(name="budget", amount_eur=150_000),), provider_growth=1.0)


def menu(seed: int) -> pd.DataFrame:
    """Draw what could be bought. One row per territory and kind; a kind costs the same everywhere."""
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame(product(("BE4415", "BE4441", "BE4430"), range(len(KINDS))), columns=["territory", "of"])
    named = pd.DataFrame(KINDS, columns=["sector", "action_type", "level"]).iloc[rows["of"]].reset_index(drop=True)
    price, group = rng.integers(1500, 6000, len(KINDS)), rng.integers(8, 15, len(KINDS))
    success, need = rng.uniform(0.0, 0.3, len(rows)), rng.uniform(20, 90, len(rows))
    gap = need * rng.uniform(0.2, 1.0, len(rows))
    return pd.concat([rows["territory"], named], axis=1).assign(
        **TERMS,
        group_min=8,
        fill=0.8,
        place_eur=price[rows["of"]], group=group[rows["of"]], busiest=3.0, success=success, success_low=success - 0.05,
        success_high=success + 0.05, need=need, room=gap, room_low=gap - 5, room_high=gap + 5, solvable=1.0,
        spread=0.1,
    )  # fmt: skip


SEEDS = st.integers(0, 10_000)


@given(SEEDS)
@settings(max_examples=15, deadline=None)
def test_nothing_bought_is_worth_nothing(seed: int) -> None:
    rows = menu(seed)
    assert gross(judge(rows, FINISHING, PARAMS), np.zeros(len(rows), dtype=np.int64)) == 0


@given(SEEDS, st.integers(0, 11), st.integers(0, 11))
@settings(max_examples=25, deadline=None)
def test_more_of_what_adds_jobs_never_adds_less(seed: int, first: int, more: int) -> None:
    problem = judge(menu(seed), FINISHING, PARAMS)
    sessions = np.zeros(12, dtype=np.int64)
    sessions[first] = 1
    further = sessions.copy()
    further[more] += 1
    again = sessions * 2
    assert gross(problem, again) >= gross(problem, sessions) - 1e-9
    # The places of another kind may take recruitments from those that add more, never more than they add themselves.
    assert gross(problem, further) >= gross(problem, sessions) - 1e-9


@given(SEEDS)
@settings(max_examples=15, deadline=None)
def test_no_rival_passes_the_money_or_what_providers_run(seed: int) -> None:
    rows, rng = menu(seed), np.random.default_rng(seed)
    problem = judge(rows, FINISHING, PARAMS)
    shelf = shelf_of(problem, rows)
    projects = (
        pd.Series(rng.random(len(rows)), index=pd.MultiIndex.from_frame(rows[["territory", "sector"]]))
        .groupby(level=[0, 1])
        .sum()
    )
    rates = pd.Series([0.5, 0.7], index=pd.MultiIndex.from_tuples([("230", "certification"), ("312", "certification")]))
    people = pd.Series({"BE4415": 100.0, "BE4441": 300.0})
    held = rng.integers(0, 3, len(rows)).astype("float64")
    plans = [share_out(shelf, held), by_projects(shelf, held, projects), by_rates(shelf, rates, people), by_chance(shelf, rng)]
    for sessions in plans:
        assert (problem.cost * sessions).sum() <= problem.budget.sum()
        assert (np.bincount(problem.kind, weights=sessions) <= problem.capacity).all()
        assert (sessions >= 0).all()


def test_what_was_bought_last_is_bought_again_where_money_allows_it() -> None:
    rows = menu(3)
    shelf = replace(shelf_of(judge(rows, FINISHING, PARAMS), rows), budget_cents=10**9)
    held = np.zeros(len(rows))
    held[[0, 5]] = 2, 1
    assert share_out(replace(shelf, capacity=np.full(4, 2)), held).tolist()[0] == 2
    assert set(np.flatnonzero(share_out(shelf, held))) == {0, 5}


def test_plans_are_compared_draw_by_draw_with_ours() -> None:
    rows = menu(5)
    problem = judge(rows, FINISHING, PARAMS)
    best = buy(problem, PARAMS.search).sessions
    ours, none = np.minimum(best, 1), np.zeros(len(rows), dtype=np.int64)
    drawn = [judge(draw_rows(rows, seed), FINISHING, PARAMS) for seed in range(30)]
    told = compare({OURS: [ours], "random": [none, ours], BEST: [best]}, problem, drawn).set_index("plan")
    assert told.loc[OURS, ["apart", "apart_low", "apart_high", "won"]].tolist() == [0, 0, 0, 0]
    mean = np.mean([gross(each, ours) for each in drawn])
    assert told.loc[OURS, "value"] == pytest.approx(mean)
    assert told.loc["random", ["value", "apart"]].tolist() == pytest.approx([mean / 2, mean / 2])
    assert told.loc["random", "cost_eur"] == pytest.approx((problem.cost * ours).sum() / 200)
    assert told.loc[BEST, "of_best"] == 1
    assert ((told["low"] <= told["value"]) & (told["value"] <= told["high"])).all()


def test_draws_move_effects_together_and_leave_people_counted() -> None:
    rows = menu(2)
    one, again, other = (draw_rows(rows, seed) for seed in (1, 1, 2))
    assert_frame_equal(one, again)
    assert not one["success"].equals(other["success"])
    general = rows["action_type"] == "langue"
    assert one.loc[general, "need"].equals(rows.loc[general, "need"])
    moved = (one["success"] - rows["success"]).groupby([rows["sector"], rows["action_type"]]).nunique()
    assert moved.le(2).all(), "one draw for each sector and type, but for rounding"


def test_lots_are_found_again_among_the_rows() -> None:
    rows = menu(4)
    lots = rows.iloc[[2, 7]].rename(columns={"level": "exit_level"}).assign(places=lambda of: of["group"] * [3, 1])
    sessions = sessions_of(lots, rows)
    assert sessions.sum() == 4
    assert (sessions[2], sessions[7]) == (3, 1)


# A past year ------------------------------------------------------------------------------------------------------------


def test_the_year_that_is_bought_again_can_be_judged(inputs: Inputs) -> None:
    year = past_year(inputs.tables, inputs.as_of)
    assert year.then < inputs.as_of
    assert year.exercise == year.then.year + 1
    assert min(year.months) > f"{year.then:%Y-%m}"
    assert max(year.months) <= f"{inputs.as_of:%Y-%m}"
    assert year.budget_cents == spent_on(inputs.tables.purchases, year.exercise) > 0
    with pytest.raises(InputError, match="no exercise before 2026-03-31 can be judged"):
        past_year(replace(inputs.tables, purchases=inputs.tables.purchases.head(0)), inputs.as_of)


def test_nothing_that_came_later_changes_the_past_plan(inputs: Inputs) -> None:
    year = past_year(inputs.tables, inputs.as_of)
    params = with_budget(inputs.params, year.budget_cents)
    door = Door({}, simulated=True)
    then, today = (
        choose(gather(tables, year.then, params, door)) for tables in (inputs.tables.known_at(year.then), inputs.tables)
    )
    assert_frame_equal(then.ranked, today.ranked)
    assert_frame_equal(then.plan.lots, today.plan.lots)


@pytest.mark.parametrize("language", ["fr", "en"])
def test_every_plan_is_told_in_words(language: str, inputs: Inputs) -> None:
    rows = menu(5)
    problem = judge(rows, FINISHING, PARAMS)
    bought = buy(problem, PARAMS.search).sessions
    plans = {name: [bought] for name in (OURS, "last_purchase", "bmo_shares", "raw_rates", "random", BEST)}
    verdict = Verdict(past_year(inputs.tables, inputs.as_of), compare(plans, problem, [problem]))
    told = list(describe_verdict(verdict, language))
    assert len([line for line in told if line]) == len(plans) + 3
