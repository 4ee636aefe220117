"""What a Region may state of its money: each kind of rule, envelope and lever, counted by hand and held by the plan."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from features.errors import InputError
from models.bids import Written, write_problem
from models.buying import buy
from models.envelopes import Envelope, Grounds, Lever, PurchaseParams, Rule
from models.rules import count_lots, paid_cents, rule_row, spell_out
from needs.params import Params
from needs.run.gates import GateRefusal, hold_gates
from tests.option_frames import FINISHING, base, params_of, plan_of, ranked_of

FIRST, SECOND = "BE4441", "BE4415"
AREAS = pd.DataFrame(
    [("D67", FIRST, 0.75), ("D08", FIRST, 0.25), ("D08", SECOND, 1.0), ("MR09", FIRST, 1.0), ("ZE4403", SECOND, 0.5)],
    columns=["area", "territory", "share"],
)
GROUPS = pd.Series({"230": "Bâtiment", "312": "Commerce"})
PAST = pd.DataFrame(
    [
        (2026, FIRST, "230", "certification", "3", "tout_public", "2", 30.0, 60_000.0, 3.0),
        (2026, SECOND, "230", "certification", "3", "rsa", "4", 10.0, 20_000.0, 1.0),
        (2026, FIRST, "312", "certification", "4", "tout_public", "2", 20.0, 80_000.0, 2.0),
        (2025, FIRST, "312", "certification", "4", "tout_public", "2", 500.0, 900_000.0, 50.0),
    ],
    columns=["exercise", "territory", "sector", "action_type", "level", "public", "funder", "places", "euros", "sessions"],
)
GROUNDS = Grounds(AREAS, GROUPS, PAST)
RICH = 400_000.0


def open_to(seed: int, busiest: float = 20.0, **more: Any) -> pd.DataFrame:
    """Draw options that all have room."""
    return ranked_of(seed, busiest=busiest).assign(room=60.0, room_low=40.0, room_high=80.0, need=90.0, **more)


def written_of(ranked: pd.DataFrame, params: PurchaseParams) -> Written:
    return write_problem(ranked.assign(ends_early=False), FINISHING, params, GROUNDS)


def rule(kind: str = "floor", **more: Any) -> Rule:
    return Rule.model_validate({"name": "r", "kind": kind, **({} if "share" in more else {"amount": 1}), **more})


# What a rule counts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stated", "meant"),
    [
        ({}, [1, 1, 1, 1]),
        ({"territories": ("D67",)}, [0.75, 0.75, 0, 0]),
        ({"territories": ("D08",)}, [0.25, 0.25, 1, 1]),
        ({"territories": ("D67", "D08")}, [1, 1, 1, 1]),
        ({"territories": ("D67", FIRST)}, [1, 1, 0, 0]),
        ({"territories": ("ZE4403",)}, [0, 0, 0.5, 0.5]),
        ({"sector_groups": ("Commerce",)}, [0, 1, 0, 1]),
        ({"levels": ("3",), "territories": ("MR09",)}, [1, 0, 0, 0]),
        ({"public": "rsa"}, [0.1, 0.2, 0.3, 0.4]),
        ({"public": "rsa", "sectors": ("230",)}, [0.1, 0, 0.3, 0]),
        ({"never_bought": True}, [1, 0, 0, 1]),
        ({"emerging": True}, [0.5, 0, 0.25, 0]),
    ],
)
def test_each_kind_of_rule_counts_what_it_means(stated: dict[str, Any], meant: list[float]) -> None:
    options = pd.DataFrame(
        {
            "territory": [FIRST, FIRST, SECOND, SECOND],
            "sector": ["230", "312"] * 2,
            "action_type": "certification",
            "level": ["3", "4"] * 2,
            "of_rsa": [0.1, 0.2, 0.3, 0.4],
            "never_bought": [True, False, False, True],
            "emerging": [0.5, 0.0, 0.25, 0.0],
        }
    )
    assert rule(**stated).share_of(options, GROUNDS).tolist() == pytest.approx(meant)


STATED = st.fixed_dictionaries(
    {},
    optional={
        "territories": st.sampled_from([("D08",), ("D67",), (SECOND,)]),
        "sector_groups": st.just(("Commerce",)),
        "public": st.sampled_from(["rsa", "infra4"]),
        "never_bought": st.booleans(),
        "emerging": st.booleans(),
        "financeurs": st.sampled_from([("2",), ("4",)]),
        "envelopes": st.just(("base",)),
        "share": st.just(0.25),
        "counts": st.sampled_from(["places", "euros", "sessions"]),
    },
)


@pytest.mark.long
@given(st.integers(0, 10_000), STATED)
@settings(max_examples=40, deadline=None)
def test_a_rule_counts_on_lots_what_it_counted_in_the_problem(seed: int, stated: dict[str, Any]) -> None:
    rng = np.random.default_rng(seed)
    ranked = open_to(seed).assign(allowance_eur=700.0, group_paid=False, group_min=6)
    size = len(ranked)
    ranked = ranked.assign(of_rsa=rng.random(size), emerging=rng.random(size), never_bought=rng.random(size) < 0.5)
    other = Envelope(name="autre", amount_eur=150_000, financeurs=("2:0.6", "4:0.4"), place_eur=2400, pays_allowances=True)
    params = params_of(base(120_000), other, levers=(Lever(name="trajet", place_eur=20, fills=1.1),))
    written, asked = written_of(ranked, params), rule(**stated)
    lots = plan_of(ranked, params, GROUNDS).lots
    row = rule_row(asked, ranked.loc[written.cells["option"]].reset_index(drop=True), written.problem, GROUNDS, params)
    reached, whole = count_lots(asked, lots, GROUNDS, params)
    counted = float(row @ buy(written.problem, params.search).sessions)
    assert counted == pytest.approx(reached - (asked.share or 0.0) * whole, abs=1e-6)


@given(
    st.integers(0, 10_000), st.sampled_from([{"public": "rsa"}, {"territories": ("D08",)}, {"public": "qpv", "levels": ("3",)}])
)
@settings(max_examples=20, deadline=None)
def test_a_floor_by_public_or_area_holds_as_the_gate_counts_it(seed: int, stated: dict[str, Any]) -> None:
    floor = rule(**stated, amount=12)
    params = params_of(base(RICH), rules=(floor,))
    plan = plan_of(open_to(seed), params, GROUNDS)
    assert count_lots(floor, plan.lots, GROUNDS, params)[0] >= 12 - 1e-6
    tables = {
        "recommendations": pd.DataFrame({"person": []}),
        "session_loads": pd.DataFrame({"expected_load": [0.0], "seats": [1.0]}),
    }
    people = pd.DataFrame({"person": ["a"], "opposition": [False]})
    hold_gates(tables, people, plan, GROUNDS, Params(purchase=params))
    harder = params.model_copy(update={"rules": (floor.model_copy(update={"amount": 1e4}),)})
    with pytest.raises(GateRefusal, match="a floor of 10000"):
        hold_gates(tables, people, plan, GROUNDS, Params(purchase=harder))


# Past years ---------------------------------------------------------------------------------------------------------------


def test_no_sector_grows_beyond_its_limit_and_what_was_not_there_last_year_is_free() -> None:
    past = PAST[PAST["sector"] != "312"]
    limit = rule("ceiling", of_year=2026, share=1.3, each="sector")
    params, grounds = params_of(base(RICH), rules=(limit,)), Grounds(AREAS, GROUPS, past)
    assert [(one.name, one.sectors, one.amount) for one in spell_out(params, grounds)] == [("r · 230", ("230",), 52.0)]
    ranked = open_to(1, success=0.2).assign(place_eur=2000.25)
    held = plan_of(ranked, params, grounds).lots.groupby("sector")["places"].sum()
    free = plan_of(ranked, params_of(base(RICH)), grounds).lots.groupby("sector")["places"].sum()
    assert held["230"] <= 52 < free["230"]
    assert held["312"] > 20 * 1.3


def test_a_rule_for_each_speaks_of_every_value_of_the_year_and_of_no_other_year() -> None:
    told = {
        each: {one.name: one.amount for one in spell_out(params_of(rules=(rule(of_year=2026, share=0.5, each=each),)), GROUNDS)}
        for each in ("sector_group", "territory", "funder", "level")
    }
    assert told["sector_group"] == {"r · Bâtiment": 20.0, "r · Commerce": 10.0}
    assert told["territory"] == {f"r · {FIRST}": 25.0, f"r · {SECOND}": 5.0}
    assert told["funder"] == {"r · 2": 25.0, "r · 4": 5.0}
    assert told["level"] == {"r · 3": 20.0, "r · 4": 10.0}


def test_effort_is_that_of_the_funders_named_their_commitments_counted() -> None:
    effort = rule(of_year=2026, share=1.0, counts="euros", financeurs=("2",))
    shared = Envelope(name="e", amount_eur=500_000, committed_eur=50_000, financeurs=("2:0.6", "4:0.4"), exercises=2)
    for stated in (effort, effort.model_copy(update={"financeurs": (), "each": "funder"})):
        amounts = {one.financeurs: one.amount for one in spell_out(params_of(shared, rules=(stated,)), GROUNDS)}
        assert amounts["2",] == pytest.approx(140_000 - 50_000 / 2 * 0.6)
    params = params_of(shared, rules=(effort,))
    lots = plan_of(open_to(3), params, GROUNDS).lots
    assert lots["cost_cents"].sum() / 100 * 0.6 >= 125_000 - 1e-6


def test_a_year_of_which_nothing_is_known_is_refused_and_not_taken_for_nothing() -> None:
    for each in ("", "sector"):
        with pytest.raises(InputError, match=r"share of 2024.* Known: 2025, 2026"):
            spell_out(params_of(base(1e5), rules=(rule("ceiling", of_year=2024, share=1.3, each=each),)), GROUNDS)


def test_a_public_of_last_year_is_who_its_lots_were_for() -> None:
    (one,) = spell_out(params_of(rules=(rule(of_year=2026, share=1.0, public="rsa"),)), GROUNDS)
    assert one.amount == 10.0


# Envelopes ----------------------------------------------------------------------------------------------------------------


def many(places: float) -> pd.DataFrame:
    """Give options that together have room, and providers, for so many places and more."""
    return ranked_of(1, busiest=1000.0).assign(
        room=places, room_low=places, room_high=places, need=2 * places, success=0.2, group=10, group_min=10, group_max=10
    )


def test_5294_additional_places_at_2400_euros_beside_27081_committed() -> None:
    additional = Envelope(name="additionnel", amount_eur=12_705_600, place_eur=2400, volets=("additionnel",))
    committed = Envelope(name="base", amount_eur=0, committed_places=27_081)
    effort = rule(amount=27_081 + 5_280)
    params = params_of(committed, additional, rules=(effort,))
    plan = plan_of(many(6000.0), params)
    assert plan.lots["places"].sum() == 5_290
    assert plan.lots["cost_cents"].sum() == 5_290 * 2_400_00 <= 12_705_600_00
    assert spell_out(params, Grounds.bare())[0].amount == 5_280
    assert plan.rules["reached"].tolist() == [5_290.0]
    with pytest.raises(InputError, match=r"rule 'r'.*envelope 'additionnel'"):
        plan_of(many(6000.0), params.model_copy(update={"rules": (effort.model_copy(update={"amount": 27_081 + 5_295}),)}))


def test_a_price_of_its_own_buys_as_many_places_as_its_money_whatever_they_usually_cost() -> None:
    """Groups of one: 12,705,600 € at 2,400 € are 5,294 places; 75 M€ at 3,000 € are 25,000."""
    for amount, price, places in ((12_705_600, 2400, 5_294), (75_000_000, 3000, 25_000)):
        ranked = many(1e5).assign(group=1, group_min=1, group_max=1, busiest=1e6)
        lots = plan_of(ranked, params_of(base(amount, place_eur=price))).lots
        assert lots["places"].sum() == places
        assert lots["cost_cents"].sum() == amount * 100
        fewer = plan_of(ranked, params_of(base(amount - 0.01, place_eur=price))).lots
        assert fewer["places"].sum() == places - 1


def test_65000_places_over_four_years_are_a_quarter_of_them_each_year() -> None:
    four = base(160_000_000, place_eur=2400, places=65_000, exercises=4)
    lots = plan_of(many(1e5).assign(busiest=1e6), params_of(four)).lots
    assert lots["places"].sum() == 16_250
    assert lots["cost_cents"].sum() * 4 <= 160_000_000_00
    assert (lots["renewals"] == 3).all()


@given(st.integers(0, 10_000), st.floats(0, 200_000))
@settings(max_examples=15, deadline=None)
def test_allowances_are_paid_out_of_the_envelope_that_pays_them(seed: int, amount: float) -> None:
    params = params_of(base(amount, pays_allowances=True))
    lots = plan_of(open_to(seed, allowance_eur=1234.5), params).lots
    assert (lots["allowance_cents"] == lots["places"] * 123_450).all()
    assert (
        (lots["cost_cents"] + lots["allowance_cents"]).sum() == paid_cents(lots, params.envelopes).sum() <= round(amount * 100)
    )


@pytest.mark.parametrize("codes", [("2:0.6",), ("2:0.6", "3"), ("2:0.6", "3:0.6"), ("Région",)])
def test_parts_of_funders_make_a_whole(codes: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError, match=r"2:0\.6"):
        base(1.0, financeurs=codes)
    assert base(1.0, financeurs=(2, 4)).parts == {"2": 0.5, "4": 0.5}
    assert base(1.0, financeurs=("2:0.6", "3:.4")).parts == {"2": 0.6, "3": 0.4}


# Levers, groups, certifications ---------------------------------------------------------------------------------------------


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_a_lever_without_a_price_is_always_taken_and_one_that_adds_nothing_never(seed: int) -> None:
    ranked = open_to(seed)
    free, idle = Lever(name="gratuit", place_eur=0, fills=1.1), Lever(name="vain", place_eur=10, fills=1.0)
    lots = plan_of(ranked, params_of(base(100_000), levers=(free, idle))).lots
    assert set(lots["lever"]) == {"gratuit"}
    assert set(plan_of(ranked, params_of(base(100_000), levers=(idle,))).lots["lever"]) == {""}


def test_a_lever_is_bought_only_where_it_adds_more_than_the_same_money_elsewhere() -> None:
    ranked = many(400.0).assign(place_eur=2000.0, fill=0.5)
    for price, taken in ((150.0, True), (300.0, False)):  # a tenth more for 7.5 % or 15 % more money
        lever = Lever(name="aide", place_eur=price, fills=1.1, territories=(SECOND,))
        lots = plan_of(ranked, params_of(base(400_000), levers=(lever,))).lots
        used = lots[lots["lever"] == "aide"]
        assert bool(len(used)) == taken
        assert set(used["territory"]) <= {SECOND}
        assert (used["cost_cents"] > used["places"] * 200_000).all()


@given(st.integers(0, 10_000), st.floats(10_000, 200_000))
@settings(max_examples=20, deadline=None)
def test_groups_are_smaller_only_where_trainees_are_paid_for_one_by_one(seed: int, amount: float) -> None:
    ranked = open_to(seed, busiest=3.0).assign(group_paid=lambda rows: rows["sector"] == "312", group_min=5)
    lots = plan_of(ranked, params_of(base(amount))).lots
    group = lots["places"] / lots["sessions"]
    assert group.between(lots["group_min"], lots["group_max"]).all()
    by_group = lots["sector"] == "312"
    assert (group[by_group] == lots.loc[by_group, "group_max"]).all()


def test_a_smaller_group_is_bought_where_money_or_room_is_short_of_a_usual_one() -> None:
    ranked = many(400.0).assign(group=12, group_min=6, group_max=12, place_eur=1000.0)
    assert plan_of(ranked, params_of(base(8_000))).lots.empty
    lots = plan_of(ranked.assign(group_paid=False), params_of(base(8_000))).lots
    assert lots["places"].tolist() == [6]


def test_what_ends_before_the_last_entry_is_never_bought_and_it_is_said() -> None:
    ends = pd.to_datetime(pd.Series(["2027-12-30", "2027-12-31", None, None] * 2))
    plan = plan_of(open_to(2, certified_until=ends.to_numpy()), params_of(base(5e6)))
    assert set(plan.rejected["reason"]) == {"certification_ends"}
    assert set(plan.rejected["sector"]) == {"230"}
    assert "230" not in set(plan.lots["sector"])


# The nearest plan -----------------------------------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.integers(20, 300), st.integers(0, 60))
@settings(max_examples=20, deadline=None)
def test_the_nearest_plan_keeps_money_and_providers_and_is_the_plan_where_nothing_contradicts(
    seed: int, least: int, most: int
) -> None:
    rules = (rule(amount=least, territories=(FIRST,)), rule("ceiling", name="c", amount=most, sectors=("312",)))
    envelopes = base(90_000), Envelope(name="autre", amount_eur=1e6, places=25)
    told = params_of(*envelopes, rules=rules, nearest=True)
    ranked = open_to(seed, busiest=2.0)
    plan = plan_of(ranked, told, GROUNDS)
    lots = plan.lots
    assert lots.loc[lots["envelope"] == "base", "cost_cents"].sum() <= 90_000_00
    assert lots.loc[lots["envelope"] == "autre", "places"].sum() <= 25
    assert (lots.groupby(["sector", "action_type", "exit_level"])["sessions"].sum() <= 2).all()
    floor, ceiling = plan.rules.to_dict("records")
    assert floor["reached"] >= floor["granted"] - 1e-6
    assert ceiling["reached"] <= ceiling["granted"] + 1e-6
    try:
        same = plan_of(ranked, told.model_copy(update={"nearest": False}), GROUNDS)
    except InputError:
        assert floor["granted"] < floor["asked"] or ceiling["granted"] > ceiling["asked"]
    else:
        pd.testing.assert_frame_equal(lots, same.lots)
        assert (plan.rules["granted"] == plan.rules["asked"]).all()


def test_the_nearest_plan_misses_least() -> None:
    """Ten places to a session of 1,000 € a place, money for two: a promise of thirty is missed by ten."""
    ranked = many(400.0).assign(place_eur=1000.0)
    plan = plan_of(ranked, params_of(base(29_999), rules=(rule(amount=30),), nearest=True))
    assert plan.rules[["asked", "granted", "reached"]].to_numpy().tolist() == [[30.0, 20.0, 20.0]]


def test_with_nothing_to_buy_a_promise_is_refused_even_where_the_nearest_plan_is_asked_for() -> None:
    with pytest.raises(InputError, match="rule 'r'"):
        plan_of(ranked_of(1).head(0), params_of(base(1e5), rules=(rule(),), nearest=True))


# Laws and words -------------------------------------------------------------------------------------------------------------


@given(st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_doubling_prices_levers_and_budgets_changes_nothing(seed: int) -> None:
    ranked, share = open_to(seed), rule("ceiling", counts="euros", share=0.4, sectors=("312",))
    plans = [
        plan_of(
            ranked.assign(place_eur=times * ranked["place_eur"], allowance_eur=times * 100.0),
            params_of(
                base(times * 90_000.0, pays_allowances=True),
                Envelope(name="b", amount_eur=times * 50_000.0, place_eur=times * 2400.0),
                rules=(share,),
                levers=(Lever(name="aide", place_eur=times * 100.0, fills=1.08),),
            ),
        )
        for times in (1, 2)
    ]
    one, two = (plan.lots["value"].sum() - 0.001 * plan.lots["places"].sum() for plan in plans)
    assert two == pytest.approx(one, abs=1e-6)


def test_what_is_left_is_bought_beyond_its_tipping_point_and_what_is_bought_is_dropped_below_it() -> None:
    """Three sessions of the same price, money for two, and room for all."""
    ranked = many(5000.0).head(3).assign(place_eur=2000.0, busiest=1.0, formacode=["23001", "31201", "31202"])
    ranked = ranked.assign(success=[0.30, 0.20, 0.18])
    params = params_of(base(40_000))
    plan = plan_of(ranked, params)
    left = dict(json.loads(plan.rejected["tipping"].iloc[0]))
    assert left["effect"] == pytest.approx(0.20 / 0.18, abs=1e-3)
    assert left["price"] == pytest.approx(0.18 / 0.20, abs=1e-3)
    first = dict(json.loads(plan.lots.set_index("formacode").loc["23001", "tipping"]))
    assert first["effect"] == pytest.approx(0.20 / 0.30, abs=1e-3)
    for place, formacode, times, bought in (
        (2, "31202", left["effect"] * 1.02, True),
        (2, "31202", left["effect"] * 0.98, False),
        (0, "23001", first["effect"] * 0.88, False),
        (0, "23001", first["effect"] * 1.02, True),
    ):
        moved = ranked.assign(success=ranked["success"].where(ranked.index != place, ranked["success"] * times))
        assert (formacode in set(plan_of(moved, params).lots["formacode"])) == bought


def test_the_rule_that_holds_a_lot_is_named() -> None:
    ranked = many(400.0)
    held = plan_of(ranked, params_of(base(1e6), rules=(rule("ceiling", name="plus rien", amount=3),))).rejected
    assert set(held["rule"]) == {"plus rien"}
    assert held["tipping"].str.contains('["rule", "plus rien"]', regex=False).all()
    full = plan_of(ranked, params_of(Envelope(name="pleine", amount_eur=1e6, places=5))).rejected
    assert set(full["rule"]) == {"pleine"}
