"""What is truly worth buying and matching: laws of the truth, of the oracle and of the rules it is held against."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from features.vocabulary import InputError
from needs.twin.careers import Careers, draw_careers
from needs.twin.catalogue import draw_catalogue
from needs.twin.effects import Effects, absorption
from needs.twin.history import HALF_YEAR, at_work
from needs.twin.market import Market, draw_market
from needs.twin.matches import Matched, assign_exactly, draw_matches, take_greedily
from needs.twin.oracle import Menu, Oracle, consult
from needs.twin.people import person_ids
from needs.twin.places import distances_km
from needs.twin.purchases import add_loads, draw_lots
from needs.twin.region import plots_of
from needs.twin.rules import (
    follow_chance,
    follow_last_purchase,
    follow_projects,
    follow_raw_rates,
    last_budget,
    plan_tables,
    raw_rates,
)
from needs.twin.scales import DAYS_PER_MONTH, SCALES
from needs.twin.stock import Place, draw_stock
from needs.twin.survey import survey_rows, survey_years
from needs.twin.truth import chance_table, effect_table, need_table
from needs.twin.work import Whole, occupation
from needs.twin.world import World, draw_world
from needs.twin.worlds import WORLDS, Dials, frozen_seeds, load_world
from needs.twin.worth import KEY, list_options, lots_value, plan_value, pool_table, promise, served_openings, worth_table

pytestmark = pytest.mark.long

AS_OF = pd.Timestamp("2026-03-31")
CROWDED = Dials.model_validate({"training": {"congestion": 3.0}})


@dataclass(frozen=True)
class Known:
    """A tiny world and one of its départements, drawn in memory."""

    world: World
    lots: pd.DataFrame

    @cached_property
    def effects(self) -> Effects:
        return Effects(self.world)

    @cached_property
    def plots(self) -> list:
        return plots_of(self.world, self.lots)

    @cached_property
    def market(self) -> Market:
        return draw_market(self.world, self.plots[0].department)

    @cached_property
    def sessions(self) -> pd.DataFrame:
        return pd.concat([plot.sessions for plot in self.plots], ignore_index=True)

    @cached_property
    def careers(self) -> Careers:
        plot = self.plots[0]
        sessions = add_loads(plot.sessions, self.market.yearly_openings(), plot.room)
        return draw_careers(self.effects, sessions, plot.intercepts, 1, self.market.rng("careers"))

    @cached_property
    def people(self) -> pd.DataFrame:
        plot = self.plots[0]
        place = Place(self.market.atoms, plot.jobseekers, 1 + len(self.careers.prescriptions))
        return draw_stock(self.effects, self.careers, place, plot.intercepts, self.market.rng("stock")).tonight

    @cached_property
    def catalogue(self) -> pd.DataFrame:
        plot = self.plots[0]
        sessions = add_loads(plot.sessions, self.market.yearly_openings(), plot.room)
        offered = pd.concat([sessions, plot.unfunded], ignore_index=True)
        return draw_catalogue(self.world, offered, self.careers.prescriptions, self.market.rng("catalogue"))

    @cached_property
    def menu(self) -> Menu:
        served = pd.concat([served_openings(draw_market(self.world, name)) for name in self.world.departments])
        pools = pool_table(self.world, served, self.sessions, self.plots[0].room)
        options = list_options(self.lots, self.sessions)
        worth = worth_table(self.effects, options, pools, self.people, self.plots[0].intercepts)
        return Menu(worth, last_budget(self.world, self.lots))

    @cached_property
    def oracle(self) -> Oracle:
        return consult(self.menu)

    @cached_property
    def chances(self) -> pd.DataFrame:
        return chance_table(self.effects, self.careers.entries, self.plots[0].intercepts)

    @cached_property
    def matched(self) -> Matched:
        rng = self.market.rng("matches")
        return draw_matches(self.effects, self.people, self.catalogue, self.plots[0].intercepts, rng)

    def rules(self) -> dict[str, Whole]:
        year = survey_years(self.world)[-1]
        survey = pd.concat([survey_rows(draw_market(self.world, name), year) for name in self.world.departments])
        entries = self.careers.entries.drop_duplicates("pid")
        leavers = entries.assign(works=at_work(self.careers.spells, entries.assign(reference=entries["exited"]), HALF_YEAR))
        return {
            "last_purchase": follow_last_purchase(self.world, self.menu, self.sessions),
            "bmo_shares": follow_projects(self.world, self.menu, self.sessions, survey),
            "raw_rates": follow_raw_rates(self.world, self.menu, raw_rates(leavers)),
            "random": follow_chance(self.world, self.menu),
        }


@cache
def known(dials: Dials, seed: int) -> Known:
    world = draw_world(SCALES["tiny"], dials, seed, AS_OF)
    return Known(world, draw_lots(world))


@pytest.fixture(scope="session")
def calm() -> Known:
    return known(Dials(), 1)


@pytest.fixture(scope="session", params=[(Dials(), 1), (CROWDED, 2)], ids=["calm", "crowded"])
def drawn_world(request: pytest.FixtureRequest) -> Known:
    return known(*request.param)


def one_option(menu: Menu, row: int, places: int) -> pd.DataFrame:
    return menu.worth.iloc[[row]][KEY].assign(places=places)


# Worth ------------------------------------------------------------------------------------------------------------------


def test_each_further_place_adds_less_and_the_first_adds_the_marginal_worth(drawn_world):
    menu = drawn_world.menu
    one_of_each_type = menu.worth.drop_duplicates("action_type").index
    for row in one_of_each_type:
        values = [plan_value(menu.worth, one_option(menu, row, places)) for places in range(0, 120, 30)]
        assert (np.diff(values, 2) <= 1e-9).all()
        first = plan_value(menu.worth, one_option(menu, row, 1))
        assert first <= menu.worth["marginal_worth"][row] + 1e-9
        full = np.isfinite(menu.worth["room"][row])
        assert (np.diff(values, 2) < -1e-9).any() == full, "only a pool that fills up is worth less and less"


def test_pools_add_up_and_a_plan_may_be_written_in_any_order(calm):
    oracle = calm.oracle
    worth, plan = calm.menu.worth, oracle.plan
    apart = sum(plan_value(worth, of_pool) for _, of_pool in plan.groupby(["territory", "sector"]))
    assert plan_value(worth, plan) == pytest.approx(apart)
    assert plan_value(worth, plan[::-1]) == pytest.approx(oracle.value)
    published = plan.assign(exit_level=plan["level"].replace("", None))
    assert lots_value(worth, published) == pytest.approx(oracle.value)


def test_a_plan_for_another_world_is_refused_with_its_row(calm):
    with pytest.raises(InputError, match=r"1 of its rows.*BE0000 326"):
        plan_value(calm.menu.worth, pd.DataFrame([("BE0000", "326", "certification", "4", 10)], columns=[*KEY, "places"]))


def test_what_is_promised_to_those_who_finish_is_what_entries_are_drawn_from(calm):
    finished = calm.careers.entries.query("exit_reason == 'fin'").reset_index(drop=True)
    intercepts = calm.plots[0].intercepts
    days = (finished["exited"] - finished["entered"]).dt.days
    promised = promise(calm.effects, finished.assign(days=days), intercepts, calm.effects.quality(finished["provider"]))
    kept = absorption(finished["load"].to_numpy())
    drawn = occupation(calm.effects.trained(finished, intercepts), [6, 12, 24])
    for ours, theirs in zip(occupation(promised.chances(kept, 1.0), [6, 12, 24]), drawn, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)


# Truth tables -----------------------------------------------------------------------------------------------------------


def test_chances_of_entries_are_what_their_spells_show(calm):
    entries, chances = calm.careers.entries, calm.chances
    spells, alone = calm.careers.spells, ~entries["pid"].duplicated(keep=False).to_numpy()
    for months in (6, 12):
        days = round(months * DAYS_PER_MONTH)
        old = (entries["entered"] + pd.Timedelta(days=days) <= AS_OF).to_numpy() & alone
        seen = at_work(spells, entries[old].assign(reference=entries["entered"][old]), days)
        stated = chances[f"work_with_{months}"].to_numpy()[old]
        error = np.sqrt((stated * (1 - stated)).sum())
        assert abs(seen.sum() - stated.sum()) < 4 * error
        now = spells.merge(entries.loc[old, ["pid", "entered", "occupations"]], on="pid", how="inner", validate="many_to_one")
        day = now["entered"] + pd.Timedelta(days=days)
        at_it = np.array([code in codes.split("|") for code, codes in zip(now["occupation"], now["occupations"], strict=True)])
        pids = now.loc[(now["starts"] <= day) & (day <= now["ends"]) & at_it & (now["occupations"] != ""), "pid"]
        aimed = chances[f"trained_occupation_with_{months}"].to_numpy()[old]
        assert abs(entries["pid"][old].isin(pids).sum() - aimed.sum()) < 4 * np.sqrt((aimed * (1 - aimed)).sum()) + 1


def test_effects_are_the_means_of_what_entries_gained(calm):
    effects, chances = effect_table(calm.chances), calm.chances[~calm.chances["followed"]]
    gain = chances["durable_with_12"] - chances["durable_without_12"]
    for name in ("all", "level=infra4"):
        inside = chances[name] if name in chances else pd.Series(True, index=chances.index)
        told = effects.query("sector == '' and group == @name and outcome == 'durable' and horizon_months == 12")
        assert told["entries"].sum() == inside.sum()
        assert (told["effect"] * told["entries"]).sum() == pytest.approx(gain[inside].sum(), rel=1e-4)
    by_sector = effects.query("sector != '' and group == 'all' and outcome == 'durable' and horizon_months == 12")
    assert by_sector["entries"].sum() == len(chances)
    early, late = (effects.query("group == 'all' and outcome == 'work' and horizon_months == @m")["effect"] for m in (6, 24))
    assert early.mean() < late.mean(), "lock-in comes first"


def test_the_need_table_holds_every_cell_of_the_market(calm):
    told, market = need_table(calm.market), calm.market
    assert len(told) == market.need.size
    assert told["positions"].sum() == market.positions.sum() + market.repeated.sum()
    one = told[(told["occupation"] == calm.world.occupations["occupation"][3]) & (told["period"] == "2025-02")]
    month = calm.world.months.get_loc(pd.Period("2025-02", "M"))
    assert one["need"].sum() == market.need[:, 3, month].sum()


# The oracle and the rules -----------------------------------------------------------------------------------------------


def test_the_oracle_buys_as_well_as_any_rule_and_no_better_than_its_bound(drawn_world):
    oracle = drawn_world.oracle
    plans, values = plan_tables(drawn_world.menu, oracle, drawn_world.rules())
    best = values.set_index("rule")["value"]
    assert set(best.index) == {"oracle", "last_purchase", "bmo_shares", "raw_rates", "random"}
    assert best.drop("oracle").max() < best["oracle"] <= oracle.bound + 1e-9
    assert oracle.gap < 0.1
    for _, plan in plans.groupby("rule"):
        assert plan["cost_cents"].sum() <= drawn_world.menu.budget_cents
        held = plan.merge(drawn_world.menu.worth, on=KEY, how="left", validate="one_to_one")
        used = held.groupby(["sector", "action_type", "level"]).agg(sessions=("sessions", "sum"), most=("capacity", "first"))
        assert (used["sessions"] <= used["most"]).all()
        assert (held["places"] == held["sessions"] * held["group"]).all()


@pytest.mark.parametrize("world", [name for name in WORLDS if name not in ("sparse", "dirty")])
def test_the_oracle_beats_every_simple_rule_but_where_the_world_says_so(world):
    dials = load_world(world)
    drawn = known(dials, frozen_seeds(world).learning[0])
    rules = drawn.rules()
    _, values = plan_tables(drawn.menu, consult(drawn.menu, rules.values()), rules)
    shares = values.set_index("rule")["share_of_oracle"].drop("oracle")
    alike = shares.index.isin(dials.unbeaten)
    assert (shares[~alike] < 0.95).all(), shares
    assert shares[alike].between(0.95, 1.0).all(), shares


def test_more_budget_never_lowers_what_the_oracle_reaches(drawn_world):
    """But for what greed may lose: its distance from the bound is held above, and half a per cent of it is seen here."""
    menu = drawn_world.menu
    less, more = (consult(Menu(menu.worth, int(menu.budget_cents * share))).value for share in (0.3, 1.6))
    values = [less, drawn_world.oracle.value, more]
    assert (np.diff(values) >= -0.005 * np.array(values[1:])).all()


def test_doubling_prices_and_budget_changes_nothing(drawn_world):
    menu = drawn_world.menu
    dear = Menu(menu.worth.assign(session_cents=menu.worth["session_cents"] * 2), menu.budget_cents * 2)
    plain, doubled = drawn_world.oracle, consult(dear)
    assert_frame_equal(doubled.plan.drop(columns="cost_cents"), plain.plan.drop(columns="cost_cents"))
    assert doubled.bound == pytest.approx(plain.bound)


def test_permuting_territories_does_not_change_what_a_plan_reaches(drawn_world):
    menu = drawn_world.menu
    names = sorted(menu.worth["territory"].unique())
    other = dict(zip(names, reversed(names), strict=True))
    turned = Menu(
        menu.worth.assign(territory=menu.worth["territory"].map(other)).sort_values(KEY, ignore_index=True), menu.budget_cents
    )
    # what one is worth, not which: of two that are worth the same, the first in the table is bought
    assert consult(turned).value == pytest.approx(drawn_world.oracle.value, rel=0.005)


# Matches ----------------------------------------------------------------------------------------------------------------


def test_matches_obey_every_rule_of_recommendations(calm):
    matches = calm.matched.matches
    assert len(matches) > 50
    assert not matches["person"].duplicated().any()
    people = calm.people.assign(person=person_ids(calm.people["pid"])).set_index("person").loc[matches["person"]]
    courses = calm.catalogue.set_index("lheo").loc[matches["lheo"]]
    people, courses = people.reset_index(), courses.reset_index()
    assert not people["opposition"].any()
    assert courses["state"].isin(["1", ""]).all()
    on_time = (courses["starts"] > AS_OF) & (courses["starts"] >= people["available"])
    assert (on_time | courses["permanent"]).all()
    short = (people["level"] < courses["entry_level"]).fillna(False).astype(bool)
    assert not (short & courses["binds"]).any()
    towns = calm.world.communes
    far = distances_km(towns.iloc[people["home"]], towns.iloc[courses["place"]]).diagonal()
    assert (far <= people["mobility_km"]).all()
    age = people["reference"].dt.year - people["birth_year"]
    belongs = {
        "tout_public": pd.Series(True, index=people.index),
        "infra4": (people["level"] < 4).fillna(False),
        "jeunes": age < 26,
        "seniors": age >= 45,
        "dld": people["unemployed_months"] >= 12,
        "rsa": people["rsa"],
        "qpv": people["qpv"],
        "th": people["th"],
        "parents_isoles": people["lone_parent"],
        "detenus": people["detained"],
    }
    assert all(belongs[public][row] for row, public in courses["public"].items())
    taken = matches.groupby("lheo").size()
    assert (taken <= calm.catalogue.set_index("lheo")["seats"].loc[taken.index]).all()
    assert (matches["surplus"] > 0).all()


def test_who_knows_matches_better_than_any_rule(calm):
    values = calm.matched.values.set_index("rule")["value"]
    assert set(values.index) == {"oracle", "nearest", "likeness", "random"}
    assert values["oracle"] > values.drop("oracle").max()
    assert (calm.matched.matches["method"] == "exact").all()
    assert calm.matched.matches["surplus"].sum() == pytest.approx(values["oracle"])


@pytest.mark.parametrize("seed", range(5))
def test_greedy_is_at_least_half_of_exact_and_never_more(seed):
    rng = np.random.default_rng(seed)
    who, what = (part.ravel() for part in np.indices((40, 12)))
    pairs = pd.DataFrame({"who": who, "what": what, "surplus": rng.normal(0.2, 1.0, 480)}).sample(300, random_state=seed)
    seats = rng.integers(0, 4, 12)
    exact, greedy = (pairs["surplus"].to_numpy()[way(pairs, seats)] for way in (assign_exactly, take_greedily))
    assert exact.sum() / 2 <= greedy.sum() <= exact.sum() + 1e-9
    for way in (assign_exactly, take_greedily):
        taken = pairs.iloc[way(pairs, seats)]
        assert not taken["who"].duplicated().any()
        assert (taken.groupby("what").size() <= pd.Series(seats).reindex(taken["what"].unique()).sort_index()).all()


def test_a_place_that_is_too_large_is_matched_greedily_by_the_same_rules(calm, monkeypatch):
    monkeypatch.setattr("needs.twin.matches.EXACT_PEOPLE", 0)
    matched = draw_matches(calm.effects, calm.people, calm.catalogue, calm.plots[0].intercepts, calm.market.rng("matches"))
    exact = calm.matched.matches["surplus"].sum()
    assert (matched.matches["method"] == "greedy").all()
    assert 0.5 * exact <= matched.matches["surplus"].sum() <= exact + 1e-9
