"""Laws of a run: what may change nothing, what must add up, and what a failure leaves."""

from __future__ import annotations

import fcntl
import gzip
import json
import random
import shutil
import sqlite3
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pytest
from homes import AS_OF, copy_home, gathered, of_one
from pandas.testing import assert_frame_equal

from features import facts
from features.border import border_shares, observe_border, spread_border
from features.build import Features, build_features
from features.courses import list_courses
from features.demand import fill_months, observe_offers
from features.lazy import lazy
from features.options import OptionParams, list_options, registered_until
from features.sources.offers import date_versions
from features.supply import available_people
from features.tables import CONTRACT, Tables
from features.vocabulary import InputError
from models.action_scores import ActionParams
from models.envelopes import Grounds
from models.gap import yearly_gap
from models.policy import PolicyParams
from models.policy_tree import TreeParams
from models.purchase import Decided, Plan
from models.ranking import rank_options
from models.simple_matches import ORDERS
from needs.home import Home
from needs.params import Params, load_params
from needs.run.added import Lived, judge_rules
from needs.run.buying import what_is_known
from needs.run.door import Door
from needs.run.forecasts import forecast_levels, train_forecast
from needs.run.gates import GateRefusal, hold_gates
from needs.run.inputs import Inputs, gather
from needs.run.match_judged import OURS
from needs.run.nightly import run_nightly
from needs.run.pipeline import compute
from needs.show.sheets import policies_sheet
from needs.store.publish import list_runs, open_database
from needs.store.schema import TABLES, conform

LATER = pd.Timestamp(AS_OF) + pd.Timedelta(days=40)


@pytest.fixture(scope="module")
def built(inputs: Inputs) -> Features:
    return build_features(inputs.tables, inputs.as_of, inputs.params.features)


def _rows(home: Home, table: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(home.var / "needs.db") as connection:
        return connection.execute(f"SELECT * FROM {table}").fetchall()


def assert_same(one: dict[str, pd.DataFrame], other: dict[str, pd.DataFrame]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        assert_frame_equal(one[name].reset_index(drop=True), other[name].reset_index(drop=True), obj=name)


def test_every_stage_publishes_something(published: dict[str, pd.DataFrame]) -> None:
    empty = {name for name, frame in published.items() if frame.empty}
    assert not empty - {"unmet", "policies", "decisions"}, "of rules, too few people of the tiny region tell anything"
    assert published["recommendations"]["person"].nunique() > 100
    assert (published["lots"]["cost_cents"] > 0).all()


def test_rules_are_judged_and_told_in_words_where_enough_people_were_compared(built: Features, inputs: Inputs) -> None:
    rules = {"policy": PolicyParams(tree=TreeParams(smallest_leaf=10, depth=2)), "actions": ActionParams(fewest_people=20)}
    told = judge_rules(Lived.of(built), inputs.params.model_copy(update=rules)).set_index("policy")
    assert {"status_quo", "nothing", "best_action", "tree_1", "tree_2", "unrestricted"} <= set(told.index)
    assert told.loc["nothing", ["value", "places", "cost", "net"]].eq(0).all()
    assert told["places"].between(0, 1).all()
    assert (told["net"] - (told["value"] - told["cost"])).abs().max() < 1e-9
    written = policies_sheet(conform("policies", told.reset_index()), "fr").rows.set_index("policy_title")["rule"]
    assert set(written.index[written != ""]) == {"Arbre à une question", "Arbre à deux questions"}
    assert written[written != ""].str.contains(" → ").all()


@pytest.mark.long
def test_the_order_of_rows_and_the_number_of_workers_change_no_byte(
    drawn: Home, inputs: Inputs, ran: Home, tmp_path: Path
) -> None:
    home = copy_home(drawn, tmp_path)
    for path in [*home.raw.glob("*/*.csv"), *home.raw.glob("*/*.jsonl.gz"), *home.raw.glob("*/*.jsonl")]:
        _shuffle(path)
    told = run_nightly(home, load_params(home.params, ("execution.workers=2",)), AS_OF)
    assert (told.run_id, told.new) == (inputs.run_id, True)
    for table in TABLES:
        assert _rows(home, table) == _rows(ran, table), table


def _shuffle(path: Path) -> None:
    packed = path.suffix == ".gz"
    raw = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
    head, lines = ([], raw.splitlines()) if "jsonl" in path.name else (raw.splitlines()[:1], raw.splitlines()[1:])
    random.Random(7).shuffle(lines)
    text = b"\n".join([*head, *lines]) + b"\n"
    path.write_bytes(gzip.compress(text, mtime=0) if packed else text)


@pytest.mark.long
def test_what_was_not_known_at_as_of_changes_nothing(inputs: Inputs, published: dict[str, pd.DataFrame]) -> None:
    tables = {field.name: getattr(inputs.tables, field.name) for field in fields(Tables)}
    tables["offers"] = inputs.tables.offers.to_table().to_pandas()
    for name, contract in CONTRACT.items():
        if contract.known_from and len(tables[name]):
            later = tables[name].tail(200).assign(**{contract.known_from: LATER})
            tables[name] = contract.sort(pd.concat([tables[name], later], ignore_index=True))
    tables["offers"] = lazy(date_versions(tables["offers"]))
    assert len(tables["offers"].to_table().filter(pc.field("superseded") == LATER)) == 200
    told = gather(Tables(**tables), inputs.as_of, inputs.params, Door({}, simulated=True))
    assert told.run_id == inputs.run_id
    assert_same(compute(told).tables, published)


def test_cells_that_became_known_later_are_blank(inputs: Inputs) -> None:
    earlier = pd.Timestamp("2025-06-30")
    known = inputs.tables.known_at(earlier)
    assert len(known.trainings) < len(inputs.tables.trainings)
    assert not (known.trainings["exited"] > earlier).any()
    assert known.trainings.loc[known.trainings["exited"].isna(), ["exit_reason", "certified"]].isna().all().all()
    assert known.sessions.loc[known.sessions["starts"] > earlier, "entries"].isna().all()
    assert (known.sessions["starts"] > earlier).any()


def test_a_territory_alone_gives_the_rows_it_has_in_the_whole(inputs: Inputs, built: Features) -> None:
    params, tables = inputs.params.features, inputs.tables
    whole, communes = built, facts.communes()
    shares = border_shares(communes, facts.borders(), params.demand)
    for territory in sorted(whole.panel["territory"].unique()):
        here = (pc.field("territory") == territory) | pc.field("territory").is_null()
        offers = ds.dataset(tables.offers.to_table(filter=here))
        observed = observe_offers(offers, communes, inputs.as_of, params.demand)
        alone = fill_months(observed, spread_border(observe_border(offers, inputs.as_of, params.demand), shares), inputs.as_of)
        own = alone[alone["territory"] == territory].reset_index(drop=True)
        expected = whole.panel[whole.panel["territory"] == territory].reset_index(drop=True)
        assert_frame_equal(own, expected.drop(columns="need"))


def test_the_ranking_of_a_territory_rests_on_it_alone(
    inputs: Inputs, built: Features, published: dict[str, pd.DataFrame]
) -> None:
    gaps = yearly_gap(published["sector_needs"])
    whole = what_is_known(built, published["effects"], published["forecasts"], inputs)
    limits = inputs.params.features.grades.limits()
    for territory, expected in published["rankings"].groupby("territory"):
        known = replace(
            whole,
            eligible=whole.eligible[whole.eligible["territory"] == territory],
            outcomes=whole.outcomes[whole.outcomes["territory"].isin([territory, "R44"])],
            bought=whole.bought[whole.bought["territory"] == territory],
            signs=whole.signs[whole.signs["territory"] == territory],
        )
        told = rank_options(gaps[gaps["territory"] == territory], known, inputs.params.ranking, limits)
        columns = expected.columns.drop("stability")  # the money is the Region's
        assert_frame_equal(told[columns], expected[columns].reset_index(drop=True))


def test_totals_by_territory_add_up_to_the_region(published: dict[str, pd.DataFrame]) -> None:
    forecasts = published["forecasts"].assign(kind=lambda t: t["territory"].str.extract(r"^([A-Z]+)")[0])
    for measure in ("value", "need", "seasonal"):
        sums = forecasts.pivot_table(index=["occupation", "period"], columns="kind", values=measure, aggfunc="sum")
        pd.testing.assert_series_equal(sums["BE"], sums["R"], check_names=False, rtol=1e-9)
        pd.testing.assert_series_equal(sums["D"], sums["R"], check_names=False, rtol=1e-9)


def test_no_position_is_lost_between_offers_and_series(inputs: Inputs) -> None:
    known = inputs.tables.offers.to_table().to_pandas()
    params = inputs.params.features.demand
    panel = observe_offers(inputs.tables.offers, facts.communes(), inputs.as_of, params)
    last = known.sort_values("known_from").drop_duplicates("offer", keep="last")
    placed = last[last["border"].isna()]
    months = placed["created"].dt.strftime("%Y-%m")
    seen = placed[(months >= panel["period"].min()) & (months <= panel["period"].max())]
    assert panel[["positions", "seasonal", "short"]].to_numpy().sum() == pytest.approx(seen["positions"].sum(), rel=1e-12)


def test_needs_of_sectors_keep_the_mass_of_linked_occupations(published: dict[str, pd.DataFrame]) -> None:
    needs, links = published["sector_needs"], facts.occupation_sectors()
    served = published["forecasts"][published["forecasts"]["territory"].str.startswith("BE")]
    served = served[served["period"].isin(needs["period"].unique()) & served["occupation"].isin(links["occupation"])]
    assert needs["need"].sum() == pytest.approx(served["need"].sum(), rel=1e-9)
    assert_frame_equal(
        needs[["value"]], (needs["need"] - needs["supply"] - needs["under_way"]).to_frame("value"), check_names=False
    )


def test_one_run_at_a_time_and_running_twice_publishes_once(ran: Home, inputs: Inputs, tmp_path: Path) -> None:
    home = copy_home(ran, tmp_path, made=True)
    params = load_params(home.params)
    with (home.var / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another run"):
            run_nightly(home, params, AS_OF)
    second = run_nightly(home, params, AS_OF)
    assert (second.new, second.run_id) == (False, inputs.run_id)
    assert list_runs(open_database(second.database))["run_id"].tolist() == [inputs.run_id]
    assert len(_rows(home, "current_run")) == 1


def test_another_parameter_is_another_run_but_another_way_to_run_is_not(inputs: Inputs) -> None:
    def run_id(**sections: object) -> str:
        return replace(inputs, params=Params.model_validate(inputs.params.model_dump() | sections)).run_id

    assert run_id(matching={"uptake": 0.4}) != inputs.run_id
    assert run_id(execution={"workers": 7, "keep_runs": 3}) == inputs.run_id


def test_every_published_interval_holds_its_value(published: dict[str, pd.DataFrame]) -> None:
    for name, frame in published.items():
        if {"value", "low"} <= set(frame):
            known = frame[frame["value"].notna()]
            assert ((known["low"] <= known["value"]) & (known["value"] <= known["high"])).all(), name
            assert known["grade"].isin(list("ABCD")).all(), name
            assert known["borrowed"].between(0, 1).all(), name


def test_recommendations_obey_what_always_holds(inputs: Inputs, built: Features, published: dict[str, pd.DataFrame]) -> None:
    told = published["recommendations"].merge(built.people, on="person", validate="many_to_one")
    told = told.merge(built.courses.add_prefix("c_"), left_on="session", right_on="c_session", validate="many_to_one")
    reach = told["mobility_km"].fillna(inputs.params.matching.entry.default_mobility_km)
    assert not told["opposition"].fillna(False).any()
    assert (told["distance_km"] <= reach + 0.005).all()
    assert (pd.to_datetime(told["starts"]) > inputs.as_of).all()
    assert (pd.to_datetime(told["starts"]) >= told["available"].fillna(pd.Timestamp(AS_OF))).all()
    assert not (told["c_entry_level_binds"].astype(bool) & (told["level"] < told["c_entry_level"]).fillna(False)).any()
    ranks = told.sort_values(["person", "rank"]).groupby("person")["rank"].apply(list)
    assert all(rank == list(range(1, len(rank) + 1)) and len(rank) <= 10 for rank in ranks)
    assert not told.duplicated(["person", "session"]).any()
    loads = published["session_loads"]
    assert (loads["expected_load"] <= loads["seats"] * inputs.params.matching.overbooking + 1e-6).all()


def test_a_recommendation_says_what_makes_its_score(inputs: Inputs, published: dict[str, pd.DataFrame]) -> None:
    told, loads = published["recommendations"], published["session_loads"].set_index("session")
    assert told["likelihood"].between(0, 1, inclusive="right").all()
    assert (told["expected_gain"] >= inputs.params.matching.entry.least_gain).all()
    assert (told["score"] >= told["expected_gain"] * told["likelihood"] * (1 - 1e-9)).all(), "nobody weighs less than one"
    assert (told["price"] == loads["price"].reindex(told["session"]).to_numpy()).all()
    room = np.floor(loads["seats"] * inputs.params.matching.overbooking - loads["expected_load"])
    assert (told["seats_left"] == room.reindex(told["session"]).to_numpy()).all()
    turn = inputs.params.matching.uptake * (1 - inputs.params.matching.uptake) ** (told["rank"] - 1)
    expected = (turn * told["likelihood"]).groupby(told["session"]).sum().reindex(loads.index, fill_value=0.0)
    np.testing.assert_allclose(expected, loads["expected_load"], atol=1e-4)


def test_ours_and_simple_orders_are_measured_alike(published: dict[str, pd.DataFrame], params: Params) -> None:
    told = published["match_measures"].set_index(["rule", "group", "measure"])
    assert told.index.is_unique
    assert set(told.index.get_level_values("rule")) == {OURS, *ORDERS}
    assert (told["people"] >= params.features.privacy.smallest_cell).all()
    value = told["value"].xs("all", level="group")
    assert all(value[OURS, "overbooked"] < value[order, "overbooked"] for order in ORDERS), "simple orders know of no seats"
    assert value[OURS, "overload"] == pytest.approx(0.0, abs=1e-6)


def test_every_person_is_served_or_counted(inputs: Inputs, built: Features, published: dict[str, pd.DataFrame]) -> None:
    told, smallest = published, inputs.params.features.privacy.smallest_cell
    asking = built.people[~built.people["opposition"].fillna(False).astype(bool)]
    unserved = len(asking) - told["recommendations"]["person"].nunique()
    assert told["unmet"]["people"].sum() <= unserved
    assert unserved - told["unmet"]["people"].sum() < smallest * built.people["territory"].nunique()
    counting = told["unmet"]["nearest_miss"].isin(["distance", "level", "date"])
    assert told["unmet"].loc[~counting, "shortfall"].isna().all()
    assert (told["unmet"]["shortfall"].dropna() > 0).all()


def test_small_cells_are_not_published(published: dict[str, pd.DataFrame], params: Params) -> None:
    assert (published["outcomes"]["n"] >= params.features.privacy.smallest_cell).all()
    assert (published["unmet"]["people"] >= params.features.privacy.smallest_cell).all()


def test_nothing_that_names_a_person_leaves_the_door(ran: Home) -> None:
    named = pd.concat([pd.read_csv(path, sep=";", dtype="str")["id_personne"] for path in ran.raw.glob("jobseekers/*.csv")])
    names = [name.encode() for name in named.unique()[:200]]
    kept = [path for path in ran.var.rglob("*") if path.is_file()]
    assert len(kept) > 10
    for path in kept:
        content = path.read_bytes()
        assert not any(name in content for name in names), path


def test_a_gate_that_does_not_hold_stops_the_run(inputs: Inputs, built: Features, published: dict[str, pd.DataFrame]) -> None:
    people, grounds = built.people, Grounds.bare()
    lots = pd.DataFrame(
        {"envelope": ["base"], "places": 10, "sessions": 1, "group_min": 8, "group_max": 12, "allowance_cents": 0}
    )
    plan = Plan(2027, lots.assign(cost_cents=10**12), lots, pd.DataFrame(), 0.0, Decided([], 0.0), pd.Series(dtype="float64"))
    with pytest.raises(GateRefusal, match="envelope base") as refusal:
        hold_gates(published, people, plan, grounds, inputs.params)
    assert refusal.value.exit_code == 3
    crowded = published | {"session_loads": published["session_loads"].assign(seats=0, expected_load=1.0)}
    with pytest.raises(GateRefusal, match="beyond their seats"):
        hold_gates(crowded, people, replace(plan, lots=lots.assign(cost_cents=0)), grounds, inputs.params)


def test_a_refused_source_leaves_what_was_loaded_and_published(ran: Home, tmp_path: Path) -> None:
    home = copy_home(ran, tmp_path, made=True)
    params = load_params(home.params)
    before = _rows(home, "current_run"), sorted(path.name for path in home.lake.rglob("*.parquet"))
    path = next(home.raw.glob("purchases/*.csv"))
    path.write_text(path.read_text(encoding="utf-8").replace("nb_places", "places_"), encoding="utf-8")
    next(home.raw.glob("sessions/*.csv")).write_text("<html><body>503</body></html>", encoding="utf-8")
    with pytest.raises(InputError) as refusal:
        run_nightly(home, params, AS_OF)
    assert any("nb_places" in fault for fault in refusal.value.faults)
    assert any("sessions" in fault for fault in refusal.value.faults)
    assert (_rows(home, "current_run"), sorted(path.name for path in home.lake.rglob("*.parquet"))) == before


def test_too_many_wrong_rows_refuse_the_source_and_fewer_are_kept_apart(ran: Home, tmp_path: Path) -> None:
    home = copy_home(ran, tmp_path, made=True)
    path = sorted(home.raw.glob("jobseekers/*.csv"))[-1]
    head, *lines = path.read_text(encoding="utf-8").splitlines()
    place = head.split(";").index("insee_commune")

    def spoilt(line: str) -> str:
        cells = line.split(";")
        return ";".join([*cells[:place], "67999", *cells[place + 1 :]])

    path.write_text("\n".join([head, *map(spoilt, lines[:3]), *lines[3:]]), encoding="utf-8")
    assert gathered(home, ["jobseekers"]).door.rejected == {"jobseekers": 3}
    rejected = pd.read_csv(home.rejected / "jobseekers.csv", sep=";")
    assert rejected["line"].tolist() == [2, 3, 4]
    path.write_text("\n".join([head, *map(spoilt, lines[:200]), *lines[200:]]), encoding="utf-8")
    with pytest.raises(InputError, match=r"jobseekers: 200 rows of \d+ are wrong"):
        gathered(home, ["jobseekers"])


def test_the_digest_speaks_of_every_step_in_whole_words(published: dict[str, pd.DataFrame]) -> None:
    digest = published["digest"]
    assert digest["line"].tolist() == list(range(1, len(digest) + 1))
    assert {"plan", "people", "forecasts"} <= set(digest["topic"])
    assert json.dumps(digest["message"].tolist())
    assert not digest["message"].str.contains(r"\{|\}").any()


def test_an_empty_home_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs demo"):
        run_nightly(Home(tmp_path), Params(), AS_OF)


def test_forecasts_add_up_from_bassins_to_the_region(inputs: Inputs, built: Features) -> None:
    model = train_forecast(built, 24, inputs.params)
    told = forecast_levels(built, 24, inputs.params, inputs.params.features.grades.limits(), model)
    key, measures = ["occupation", "period"], ["value", "need", "seasonal"]
    grain = told["territory"].str[:1].rename("grain")
    sums = told.groupby([grain, *key])[measures].sum()
    region = sums.loc["R"]
    for other in ("B", "D"):
        assert_frame_equal(sums.loc[other], region, rtol=1e-9)
    for value, low, high in (
        ("value", "low", "high"),
        *((name, f"{name}_low", f"{name}_high") for name in ("need", "coverage")),
    ):
        assert (told[low] <= told[value] + 1e-9).all(), value
        assert (told[value] <= told[high] + 1e-9).all(), value
    assert (told[measures] >= 0).all(axis=None)
    rare = told["value"] < 0.05  # of which nine months in ten have none
    assert rare.mean() > 0.1
    assert (told.loc[rare, "low"] < 1e-3).mean() > 0.99, "what may stay at zero is not told to be above it"


def test_a_small_group_of_past_trainees_cannot_be_told_from_its_wider_one(published: dict[str, pd.DataFrame]) -> None:
    smallest = 5
    for name in ("rankings", "lots", "rejected_lots", "outcomes"):
        counts = published[name]["n"].dropna()
        assert not counts.between(0.5, smallest - 0.5).any(), name
    supply = published["sector_needs"]["supply"]
    assert (supply > 0).any()


def test_counts_of_available_people_are_rounded_and_their_total_kept(inputs: Inputs) -> None:
    params = inputs.params.features.supply
    exact = available_people(inputs.tables.jobseekers, params.model_copy(update={"rounding": 1}))
    told = available_people(inputs.tables.jobseekers, params)
    assert np.allclose(told["supply"] * params.flow_months % params.rounding, 0)
    totals = [flow.groupby(["territory", "department"])["supply"].sum() * params.flow_months for flow in (exact, told)]
    assert (totals[0].sub(totals[1], fill_value=0.0).abs() <= params.rounding / 2).all()


def test_a_session_that_the_catalogue_no_longer_lists_is_withdrawn(inputs: Inputs) -> None:
    catalogue, communes = inputs.tables.catalogue, facts.communes()
    params = inputs.params.features.courses
    old = catalogue.assign(known_from=catalogue["known_from"] - pd.Timedelta(days=params.stale_days + 1))
    both = pd.concat([old, catalogue.iloc[::2]], ignore_index=True)
    listed = list_courses(both, communes, params)
    assert set(listed["session"]) == set(list_courses(catalogue.iloc[::2], communes, params)["session"])
    assert 0 < len(listed) < len(list_courses(catalogue, communes, params))


def test_a_source_whose_files_are_gone_leaves_the_lake(ran: Home, inputs: Inputs, tmp_path: Path) -> None:
    home = copy_home(ran, tmp_path, made=True)
    assert len(inputs.tables.signals)
    for path in home.raw.glob("signals/*"):
        path.unlink()
    after = gathered(home, ["signals"])
    assert after.tables.signals.empty
    assert after.run_id != inputs.run_id


@pytest.mark.long
def test_an_exercise_that_is_over_is_refused_and_one_begun_serves_what_is_left(few: Inputs) -> None:
    def bought_for(year: int) -> Inputs:
        purchase = {**few.params.purchase.model_dump(), "exercise": year}
        params = Params.model_validate(few.params.model_dump() | {"purchase": purchase})
        return gather(few.tables, few.as_of, params, Door({}, simulated=True))

    with pytest.raises(InputError, match=r"purchase\.exercise 2024"):
        bought_for(2024)
    begun = bought_for(2025)
    assert begun.served == ["2026-04", "2026-05", "2026-06"]
    digest = compute(begun).tables["digest"]
    assert digest.loc[digest["message"].str.contains("entamé"), "figure"].tolist() == [3.0]


def test_an_unsuccessful_lot_is_known_when_its_year_ends_and_sets_no_price(inputs: Inputs, ran: Home, tmp_path: Path) -> None:
    home = copy_home(ran, tmp_path, made=True)
    path = next(home.raw.glob("purchases/*.csv"))
    frame = pd.read_csv(path, sep=";", dtype="str", keep_default_na=False)
    lost = frame.iloc[[0]].assign(
        id_lot="LOST", nb_offres_recues="0", date_notification="", exercice="2024", cout_total_eur="99999999"
    )
    pd.concat([frame, lost]).to_csv(path, sep=";", index=False)
    purchases = gathered(home, ["purchases"]).tables.purchases
    assert purchases.set_index("lot").loc["LOST", "known_from"] == pd.Timestamp("2024-12-31")
    registered = registered_until(inputs.tables.certifications, inputs.tables.registrations)
    before, after = (list_options(rows, registered, 2027, OptionParams()) for rows in (inputs.tables.purchases, purchases))
    dear = after.merge(before, on=["sector", "action_type", "level"], validate="one_to_one")
    assert np.allclose(dear["place_eur_x"], dear["place_eur_y"])
    risen = (dear["risk_x"] - dear["risk_y"]).sort_values(ascending=False)
    assert risen.iloc[0] > 5 * risen.iloc[1] > 0, "its own option has more risk, and all others hardly any more"


def test_what_had_not_happened_yet_is_not_seen(inputs: Inputs) -> None:
    earlier = pd.Timestamp("2025-06-30")
    spells = inputs.tables.employment.assign(end_known_from=pd.NaT)
    known = replace(inputs.tables, employment=spells).known_at(earlier)
    assert (inputs.tables.employment["ends"] > earlier).any()
    assert not (known.employment["ends"] > earlier).any()
    assert not ((known.trainings["status"] == "entre") & (known.trainings["entered"] > earlier)).any()


@pytest.mark.long
def test_people_without_a_known_home_are_said(ran: Home, tmp_path: Path) -> None:
    home = copy_home(ran, tmp_path, made=True)
    path = sorted(home.raw.glob("jobseekers/*.csv"))[-1]
    frame = pd.read_csv(path, sep=";", dtype="str", keep_default_na=False)
    last = frame.index[frame["date_observation"] == frame["date_observation"].max()][:30]
    frame.loc[last, "insee_commune"] = ""
    frame.to_csv(path, sep=";", index=False)
    digest = compute(of_one(gathered(home, ["jobseekers"]))).tables["digest"]
    assert digest.loc[digest["message"].str.contains("commune inconnue"), "figure"].tolist() == [30.0]


def test_a_day_that_has_not_come_is_refused(drawn: Home, tmp_path: Path) -> None:
    home = Home(tmp_path)
    shutil.copytree(drawn.raw / "purchases", home.raw / "purchases")
    with pytest.raises(InputError, match="has not come yet"):
        run_nightly(home, load_params(home.params), "2099-01-01")


def test_another_key_is_refused_before_anything_is_published(
    ran: Home, inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = copy_home(ran, tmp_path, made=True)
    monkeypatch.setenv("NEEDS_PSEUDONYM_KEY", "another key")
    with pytest.raises(InputError, match="not the one this home was read with"):
        run_nightly(home, load_params(home.params), AS_OF)
    assert list_runs(open_database(f"sqlite:///{home.var / 'needs.db'}"))["run_id"].tolist() == [inputs.run_id]


@pytest.mark.long
def test_decisions_may_lie_beside_the_data(ran: Home, tmp_path: Path) -> None:
    home = copy_home(ran, tmp_path, made=True)
    (home.root / "overrides").mkdir()
    decision = "objet;cle;champ;valeur;auteur;motif;date;expire_le\nlot;2027-BE4441;interdit;1;comité;doublon;2026-03-01;\n"
    (home.root / "overrides" / "mars.csv").write_text(decision, encoding="utf-8")
    told = gathered(home, ["overrides"])
    assert told.tables.overrides["key"].tolist() == ["2027-BE4441"]
    assert compute(of_one(told)).tables["digest"]["message"].str.contains("décisions").any()
