"""The purchase plan: the best of all whole sessions, what binds it, and what its rules cost."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from features.decisions import read_decisions
from features.errors import InputError
from models.bids import bind, write_problem
from models.buying import Problem, SearchParams, Whole, buy, jobs_of, relax, worth_of
from models.envelopes import Envelope, Grounds, PurchaseParams, Rule
from models.purchase import Plan, plan_purchase
from tests.option_frames import CHAIN, EXACT, FINISHING, LIMITS, TERRITORIES, base, params_of, plan_of, ranked_of


def problem_of(ranked: pd.DataFrame, params: PurchaseParams) -> Problem:
    return write_problem(ranked.assign(ends_early=False), FINISHING, params, Grounds.bare()).problem


def held(problem: Problem, sessions: Whole) -> bool:
    """Say whether whole sessions keep every limit, to the cent."""
    spent, run = np.zeros(len(problem.budget), dtype=np.int64), np.zeros(len(problem.capacity))
    np.add.at(spent, problem.envelope, problem.cost * sessions)
    np.add.at(run, problem.kind[problem.cell], sessions)
    counted = problem.weight @ sessions
    kept = (counted >= problem.low) & (counted <= problem.high)
    return bool((spent <= problem.budget).all() and (run <= problem.capacity).all() and kept.all())


def value_of(ranked: pd.DataFrame, params: PurchaseParams) -> float:
    return buy(problem_of(ranked, params), params.search).value


# The best ---------------------------------------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.floats(0, 250_000))
@settings(max_examples=25, deadline=None)
def test_no_whole_sessions_within_the_money_are_worth_more(seed: int, amount: float) -> None:
    ranked = ranked_of(seed, TERRITORIES[:1])
    problem = problem_of(ranked, params_of(base(amount)))
    every = [np.array(sessions) for sessions in product(range(3), repeat=len(ranked))]
    best = max(worth_of(problem, sessions) for sessions in every if held(problem, sessions))
    bought = buy(problem, EXACT)
    assert held(problem, bought.sessions)
    assert bought.value == pytest.approx(best, abs=1e-5)
    assert bought.value <= bought.bound + 1e-5
    assert bought.bound <= relax(problem).bound + 1e-5


def test_a_large_problem_is_looked_at_among_the_bids_that_lose_least_and_bounded_by_parts_of_sessions() -> None:
    towns = tuple(f"BE44{number:02d}" for number in range(30))
    few = SearchParams(gap=0.0, bids=100)
    for seed in range(5):
        problem = problem_of(ranked_of(seed, towns), params_of(base(300_000)))
        assert len(problem.cell) > few.bids
        bought, best = buy(problem, few), buy(problem, EXACT)
        assert held(problem, bought.sessions)
        assert bought.value <= best.value + 1e-5
        assert bought.bound == pytest.approx(relax(problem).bound)
        floored = bind(
            problem, pd.DataFrame({"bids": [[np.argmin(problem.success[problem.cell])]], "low": [1.0], "high": [np.inf]})
        )
        assert held(floored, buy(floored, few).sessions)


def test_what_the_solver_adds_up_is_what_its_sessions_are_worth() -> None:
    """The bound of a problem whose sessions are all set is their worth."""
    for seed in range(20):
        problem = problem_of(ranked_of(seed), params_of(base(400_000)))
        sessions = buy(problem, EXACT).sessions
        each = [[bid] for bid in range(len(sessions))]
        still = bind(problem, pd.DataFrame({"bids": each, "low": sessions, "high": sessions}))
        assert relax(still).bound == pytest.approx(worth_of(problem, sessions), abs=1e-7)


def test_each_place_more_in_a_pool_is_worth_less() -> None:
    ranked = ranked_of(1, TERRITORIES[:1], kinds=1).assign(room=40.0, room_low=20.0, room_high=60.0, need=60.0, success=0.3)
    problem = problem_of(ranked, params_of(base(1e7)))
    jobs = [float(jobs_of(problem, np.array([sessions])).sum()) for sessions in range(25)]
    gains = np.diff(jobs)
    assert (np.diff(gains) <= 1e-12).all()
    assert gains[0] > gains[2] > 0
    assert gains[-1] == pytest.approx(0.0, abs=1e-3)
    assert jobs[-1] == pytest.approx(0.3 * 40.0 / FINISHING, rel=0.01)


# Laws -------------------------------------------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.floats(0, 300_000), st.floats(0, 300_000))
@settings(max_examples=20, deadline=None)
def test_more_budget_never_lowers_the_value(seed: int, amount: float, more: float) -> None:
    ranked = ranked_of(seed)
    assert value_of(ranked, params_of(base(amount))) <= value_of(ranked, params_of(base(amount + more))) + 1e-7


@given(st.integers(0, 10_000), st.integers(0, 40), st.integers(0, 40))
@settings(max_examples=20, deadline=None)
def test_a_looser_rule_never_lowers_the_value(seed: int, most: int, more: int) -> None:
    ranked = ranked_of(seed)
    tight, loose = (Rule(name="cap", kind="ceiling", amount=places, sectors=("312",)) for places in (most, most + more))
    held, freer = (value_of(ranked, params_of(base(200_000), rules=(rule,))) for rule in (tight, loose))
    assert held <= freer + 1e-7 <= value_of(ranked, params_of(base(200_000))) + 2e-7


@given(st.integers(0, 10_000), st.permutations(TERRITORIES))
@settings(max_examples=15, deadline=None)
def test_permuting_territories_permutes_the_plan(seed: int, order: list[str]) -> None:
    ranked, params = ranked_of(seed, TERRITORIES), params_of(base(200_000))
    renamed = ranked.assign(territory=ranked["territory"].map(dict(zip(TERRITORIES, order, strict=True))))
    one, other = plan_of(ranked, params), plan_of(renamed.sample(frac=1, random_state=seed), params)
    assert other.lots["value"].sum() == pytest.approx(one.lots["value"].sum(), abs=1e-7)
    places = [plan.lots.groupby("territory")["places"].sum() for plan in (one, other)]
    assert places[0].rename(dict(zip(TERRITORIES, order, strict=True))).sort_index().to_dict() == places[1].to_dict()


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_doubling_prices_and_budget_changes_nothing(seed: int) -> None:
    ranked = ranked_of(seed)
    one = plan_of(ranked, params_of(base(150_000)))
    two = plan_of(ranked.assign(place_eur=2 * ranked["place_eur"]), params_of(base(300_000)))
    assert one.lots.set_index("lot_id")["sessions"].to_dict() == two.lots.set_index("lot_id")["sessions"].to_dict()


def test_the_same_problem_has_the_same_answer() -> None:
    ranked, params = ranked_of(7, TERRITORIES), params_of(base(200_000), Envelope(name="more", amount_eur=90_000))
    pd.testing.assert_frame_equal(plan_of(ranked, params).lots, plan_of(ranked, params).lots)


# Money and rules --------------------------------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.floats(0, 200_000), st.floats(0, 200_000), st.floats(0, 100_000))
@settings(max_examples=25, deadline=None)
def test_every_envelope_pays_only_what_it_may_and_never_more_than_it_has(
    seed: int, first: float, second: float, committed: float
) -> None:
    languages = Envelope(name="langues", amount_eur=second, action_types=("langue",), places=20)
    plan = plan_of(ranked_of(seed), params_of(base(first, committed_eur=committed), languages))
    spent = plan.lots.groupby("envelope")["cost_cents"].sum()
    assert spent.get("base", 0) <= max(0, round(first * 100) - round(committed * 100))
    assert spent.get("langues", 0) <= round(second * 100)
    own = plan.lots[plan.lots["envelope"] == "langues"]
    assert set(own["action_type"]) <= {"langue"}
    assert own["places"].sum() <= 20
    assert (plan.lots["places"] % plan.lots["sessions"] == 0).all()


@given(st.integers(0, 10_000), st.integers(1, 60), st.sampled_from(TERRITORIES[:2]))
@settings(max_examples=25, deadline=None)
def test_a_floor_is_kept_or_refused_in_words_never_missed(seed: int, places: int, territory: str) -> None:
    rule = Rule(name="promis", kind="floor", amount=places, territories=(territory,))
    try:
        plan = plan_of(ranked_of(seed), params_of(base(100_000), rules=(rule,)))
    except InputError as refused:
        assert "rule 'promis'" in str(refused)  # noqa: PT017
    else:
        assert plan.lots.loc[plan.lots["territory"] == territory, "places"].sum() >= places
        assert plan.rules["reached"].tolist() == [plan.lots.loc[plan.lots["territory"] == territory, "places"].sum()]


def test_a_share_is_of_all_that_is_bought() -> None:
    rule = Rule(name="langues", kind="ceiling", counts="euros", share=0.2, action_types=("langue",))
    ranked = ranked_of(3).assign(success=lambda rows: np.where(rows["action_type"] == "langue", 0.5, 0.1))
    free, held = (plan_of(ranked, params_of(base(300_000), rules=rules)).lots for rules in ((), (rule,)))
    shares = [lots.loc[lots["action_type"] == "langue", "cost_cents"].sum() / lots["cost_cents"].sum() for lots in (free, held)]
    assert shares[0] > 0.2 >= shares[1]


def test_rules_that_cannot_hold_together_are_named_and_no_other() -> None:
    ranked, enough = ranked_of(5, busiest=50.0), 2_000_000.0
    floor = Rule(name="au moins", kind="floor", amount=60, territories=("BE4441",))
    ceiling = Rule(name="au plus", kind="ceiling", amount=40, territories=("BE4441",))
    beside = Rule(name="ailleurs", kind="floor", amount=10, territories=("BE4415",))
    with pytest.raises(InputError) as refused:
        plan_of(ranked, params_of(base(enough), rules=(floor, beside, ceiling)))
    told = str(refused.value)
    assert "rule 'au moins'" in told
    assert "rule 'au plus'" in told
    assert "ailleurs" not in told
    assert "envelope 'base'" not in told
    for rules in ((floor, beside), (beside, ceiling)):
        assert len(plan_of(ranked, params_of(base(enough), rules=rules)).lots)
    with pytest.raises(InputError, match="rule 'au moins', envelope 'base'"):
        plan_of(ranked, params_of(base(20_000), rules=(floor, beside)))


def test_the_places_of_an_envelope_are_named_where_they_stand_in_the_way_of_a_promise() -> None:
    rule = Rule(name="promis", kind="floor", amount=40)
    ranked = ranked_of(5, busiest=50.0)
    with pytest.raises(InputError, match="rule 'promis', places of envelope 'base'"):
        plan_of(ranked, params_of(base(2_000_000, places=20), rules=(rule,)))
    assert plan_of(ranked, params_of(base(2_000_000, places=60), rules=(rule,))).lots["places"].sum() >= 40


def test_where_the_nodes_are_too_few_for_a_plan_one_that_keeps_every_limit_is_still_found() -> None:
    """Hard to hold: floors that fit no multiple of the groups, and no branch to look for them."""
    ranked = ranked_of(21, TERRITORIES, busiest=9.0)
    rules = tuple(
        Rule(name=f"{kind}{sector}", kind=kind, amount=amount, sectors=(sector,))
        for sector in ("230", "312")
        for kind, amount in (("floor", 31), ("ceiling", 47))
    )
    params = params_of(base(500_000), rules=rules).model_copy(update={"search": SearchParams(nodes=1)})
    lots = plan_of(ranked, params).lots
    places = lots.groupby("sector")["places"].sum()
    assert places[["230", "312"]].between(31, 47).all()


def test_a_floor_costs_the_jobs_that_it_keeps_out_and_one_that_does_not_bind_costs_nothing() -> None:
    ranked = ranked_of(11).assign(success=lambda rows: np.where(rows["action_type"] == "langue", 0.01, 0.2))
    idle = Rule(name="déjà tenu", kind="floor", amount=1, sectors=("230", "312"))
    dear = Rule(name="langues", kind="floor", amount=12, action_types=("langue",))
    plan = plan_of(ranked, params_of(base(120_000), rules=(idle, dear)))
    told = plan.rules.set_index("name")
    assert told.loc["déjà tenu", "jobs"] == 0
    assert told.loc["langues", "jobs"] > 0
    assert (plan.lots.loc[plan.lots["action_type"] == "langue", "reason"] == "floor_promised").all()
    without = value_of(ranked, params_of(base(120_000)))
    assert without > value_of(ranked, params_of(base(120_000), rules=(idle, dear)))


def test_why_something_is_not_bought_is_said() -> None:
    ranked = ranked_of(13, busiest=50.0).assign(room=50.0, room_low=50.0, room_high=50.0, need=50.0)
    entreprise = Envelope(name="e", amount_eur=1e6, action_types=("certification",))
    capped = Rule(name="plus rien", kind="ceiling", amount=3, sectors=("230",))
    told = plan_of(ranked, params_of(entreprise, rules=(capped,))).rejected
    assert set(told.loc[told["action_type"] == "langue", "reason"]) == {"no_envelope"}
    assert set(told.loc[told["sector"] == "230", "reason"]) == {"ceiling_reached"}


# Decisions of people ------------------------------------------------------------------------------------------------------


def decisions_of(*rows: tuple[str, str, object], expires: str = "2026-12-31") -> pd.DataFrame:
    """Read decisions on lots, as a person writes them."""
    row = {"object": "lot", "author": "A. Martin", "motive": "comité", "known_from": pd.Timestamp("2026-03-01")}
    written = [
        {**row, "key": lot, "field": field, "value": str(value), "expires": pd.Timestamp(expires)} for lot, field, value in rows
    ]
    return read_decisions(pd.DataFrame(written), pd.Timestamp("2026-03-31"))


def decided_plan(ranked: pd.DataFrame, params: PurchaseParams, decisions: pd.DataFrame) -> Plan:
    return plan_purchase(ranked, CHAIN, 2027, params, LIMITS, decisions=decisions)


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_a_lot_that_is_locked_stays_and_one_that_is_forbidden_goes_whatever_the_model_says(seed: int) -> None:
    ranked, params = ranked_of(seed).assign(room=40.0, room_low=40.0, room_high=40.0, need=50.0), params_of(base(200_000))
    plan = plan_of(ranked, params)
    best, worst = plan.lots["lot_id"].iloc[0], plan.rejected["lot_id"].iloc[-1]
    told = decided_plan(ranked, params, decisions_of((best, "interdit", 1), (worst, "verrou", 1)))
    assert best not in set(told.lots["lot_id"])
    assert worst not in set(told.rejected["lot_id"])
    signed = told.lots[told.lots["decided_by"] == "human"]
    assert len(signed) == 1
    assert signed["reason"].tolist() == ["human_decision"]
    assert told.lots["value"].sum() <= plan.lots["value"].sum() + 1e-7
    assert told.decided.jobs >= 0
    assert told.lots["cost_cents"].sum() <= 200_000 * 100


def test_a_ban_holds_whoever_pays_and_is_signed() -> None:
    ranked = ranked_of(2).assign(room=40.0, room_low=40.0, room_high=40.0, need=50.0)
    params = params_of(base(150_000), Envelope(name="autre", amount_eur=150_000))
    lot = plan_of(ranked, params).lots.iloc[0]
    told = decided_plan(ranked, params, decisions_of((lot["lot_id"], "interdit", 1)))
    option = ["territory", "sector", "action_type", "exit_level"]
    assert tuple(lot[option]) not in set(told.lots[option].itertuples(index=False, name=None))
    signed = told.rejected[told.rejected["decided_by"] == "human"]
    assert [tuple(row) for row in signed[option].to_numpy()] == [tuple(lot[option])]


def test_a_decision_changes_a_lot_to_so_many_sessions_or_places_beyond_what_providers_were_seen_to_run() -> None:
    ranked, params = ranked_of(2).assign(room=40.0, room_low=40.0, room_high=40.0, need=50.0), params_of(base(900_000))
    lot = plan_of(ranked, params).lots.iloc[0]
    for field, value in (("sessions", 1), ("places", int(lot["places"] / lot["sessions"]))):
        told = decided_plan(ranked, params, decisions_of((lot["lot_id"], field, value))).lots.set_index("lot_id")
        assert told.loc[lot["lot_id"], "sessions"] == 1


def test_what_decisions_and_money_cannot_do_together_is_said_with_the_lot() -> None:
    ranked, params = ranked_of(2).assign(room=40.0, room_low=40.0, room_high=40.0, need=50.0), params_of(base(100_000))
    lot = plan_of(ranked, params).lots["lot_id"].iloc[0]
    with pytest.raises(InputError, match=f"decision on lot '{lot}', envelope 'base'"):
        decided_plan(
            ranked_of(2, busiest=50.0).assign(room=40.0, room_low=40.0, room_high=40.0, need=50.0),
            params,
            decisions_of((lot, "sessions", 40)),
        )


def test_a_decision_that_is_over_or_names_no_lot_changes_nothing_and_the_latter_is_said() -> None:
    ranked, params = ranked_of(4), params_of(base(200_000))
    plan = plan_of(ranked, params)
    over = decisions_of((plan.lots["lot_id"].iloc[0], "interdit", 1), expires="2026-03-30")
    assert over.empty
    told = decided_plan(ranked, params, decisions_of(("2027-BE0000-00000-deadbeef", "verrou", 1)))
    pd.testing.assert_frame_equal(told.lots, plan.lots)
    assert told.decided.strange == ["2027-BE0000-00000-deadbeef"]


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("sesions", "2", "not what a lot has"),
        ("sessions", "2.5", "whole number"),
        ("places", "-1", "whole number"),
        ("verrou", "oui", "0 or 1"),
    ],
)
def test_a_decision_that_says_nothing_clear_is_refused_with_its_author(field: str, value: str, told: str) -> None:
    with pytest.raises(InputError, match=told) as refused:
        decisions_of(("L1", field, value))
    assert "A. Martin" in str(refused.value)
    with pytest.raises(InputError, match="both locked and forbidden"):
        decisions_of(("L1", "verrou", 1), ("L1", "interdit", 1))


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        ({"rules": [{"name": "a", "kind": "floor"}]}, "either an amount or a share"),
        ({"rules": [{"name": "a", "kind": "floor", "amount": 1, "share": 0.1}]}, "either an amount or a share"),
        ({"rules": [{"name": "a", "kind": "floor", "amount": 1, "envelopes": ["x"]}]}, "envelopes that are not there: x"),
        ({"rules": [{"name": "a", "kind": "floor", "amount": 1}] * 2}, "two rules have the same name"),
        ({"rules": [{"name": "a", "kind": "quota", "amount": 1}]}, "floor"),
        ({"rules": [{"name": "a", "kind": "floor", "amount": 1, "territories": ["08"]}]}, "08: .* like BE4415"),
        ({"rules": [{"name": "a", "kind": "floor", "amount": 1, "action_types": ["langues"]}]}, "langues: "),
        ({"envelopes": [{"name": "a", "amount_eur": 1, "sectors": ["23"]}]}, "23: .* like 230"),
        ({"envelopes": [{"name": "a", "amount_eur": 1, "levels": ["IV"]}]}, "IV: "),
    ],
)
def test_a_rule_that_says_too_little_or_too_much_is_refused(stated: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        PurchaseParams.model_validate(stated)


def test_nothing_to_buy_is_an_empty_plan_and_a_promise_then_is_refused() -> None:
    nothing = ranked_of(1).head(0)
    plan = plan_of(nothing, params_of(base(1e5)))
    assert (len(plan.lots), len(plan.rejected), plan.gap) == (0, 0, 0.0)
    with pytest.raises(InputError, match="rule 'promis'"):
        plan_of(nothing, params_of(base(1e5), rules=(Rule(name="promis", kind="floor", amount=1),)))


def test_the_page_on_the_plan_states_rules_that_can_be_read() -> None:
    page = (Path(__file__).parents[1] / "docs" / "purchase.md").read_text(encoding="utf-8")
    stated = yaml.safe_load(page.split("```yaml")[1].split("```")[0])["purchase"]
    assert [rule.name for rule in PurchaseParams.model_validate(stated).rules] == ["Ardennes", "langues", "premiers niveaux"]
