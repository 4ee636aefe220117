"""Laws of the gates against the run before: from both sides, group by group, never for a small number, and never for good."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from homes import copy_home
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from features.build import Features
from features.sources import SOURCES
from features.tables import OVERRIDES
from features.vocabulary import InputError
from models.purchase import Decided, Plan
from needs.home import Home
from needs.run.comparisons import GATES, GateParams, check_gates
from needs.run.gates import GateRefusal, judge_run, read_before
from needs.run.inputs import Inputs
from needs.run.nightly import database_url
from needs.run.profiles import drift_of, profile_features
from needs.run.waivers import read_waivers, refused, sign, waiver_header
from needs.store.publish import list_runs, open_database

SMALLEST = 5
AS_OF = pd.Timestamp("2026-03-31")
# Everything is judged, however small.
STRICT = GateParams(rows_least=1, total_least=1, euros_least=0, rank_least=2, drift_least=10, grade_d_least=1, fairness_least=1)
Tables = dict[str, pd.DataFrame]


def checked(tables: Tables, before: Tables, params: GateParams = STRICT, **other) -> pd.DataFrame:
    profiles = other.pop("profiles", tables["feature_profiles"])
    return check_gates(tables, before, params, profiles=profiles, **other)


def tripped(rows: pd.DataFrame) -> set[str]:
    broken = rows[rows["held"].eq(False).fillna(value=False)]
    return set(broken["gate"] + "/" + broken["group"])


def compared(tables: Tables) -> pd.DataFrame:
    """Hold a run against itself, without what is held against bounds alone."""
    rows = checked(tables, tables)
    return rows[~rows["gate"].isin(["fairness", "grade_d"])]


def overrides(*rows: tuple[str, str, str, str | None]) -> pd.DataFrame:
    """Decisions on gates: key, author, date, expiry."""
    names = ["object", "key", "field", "value", "author", "motive", "known_from", "expires"]
    told = pd.DataFrame([["gate", key, None, None, who, "checked", day, end] for key, who, day, end in rows], columns=names)
    return told.assign(**{day: pd.to_datetime(told[day]) for day in ("known_from", "expires")})


# What changes nothing -------------------------------------------------------------------------------------------------


def test_a_run_against_itself_trips_nothing_and_every_gate_is_there(published: Tables) -> None:
    rows = compared(published)
    assert rows["held"].fillna(value=True).all()
    assert set(checked(published, published)["gate"]) == set(GATES)
    by_gate = rows[rows["held"].notna()].groupby("gate")["value"]
    for gate in ("rows", "described", "positions", "need", "seats", "served", "euros"):
        assert by_gate.get_group(gate).eq(1).all(), gate
    for gate in ("euros_moved", "rank_left", "rank_moved", "drift", "grade_d_change", "fairness_change"):
        assert by_gate.get_group(gate).abs().max() < 1e-9, gate


def test_the_order_of_rows_changes_nothing(published: Tables) -> None:
    shuffled = {name: rows.sample(frac=1.0, random_state=3).reset_index(drop=True) for name, rows in published.items()}
    assert_frame_equal(checked(shuffled, published), checked(published, published))
    assert_frame_equal(checked(published, shuffled), checked(published, published))


def test_the_first_run_is_held_against_bounds_alone_and_passes(published: Tables) -> None:
    rows = checked(published, {}, GateParams())
    assert set(rows["gate"]) == {"grade_d", "fairness"}
    assert rows["before"].isna().all()
    assert tripped(rows) == set()


# Profiles -------------------------------------------------------------------------------------------------------------


def older(features: Features, years: float) -> Features:
    return replace(features, tonight=features.tonight.assign(age=features.tonight["age"] + years))


def test_drift_is_nothing_of_the_same_and_grows_with_a_shift(features: Features) -> None:
    before = profile_features(features, SMALLEST)
    drifts = [
        drift_of(before, profile_features(older(features, years), SMALLEST, before)).set_index("feature")["psi"]
        for years in (0, 3, 6, 12, 24)
    ]
    assert drifts[0].eq(0).all()
    ages = [drift["people.age"] for drift in drifts]
    assert ages == sorted(ages)
    assert ages[1] > 0
    assert ages[-1] > 1
    assert drifts[-1].drop("people.age").eq(0).all(), "of the others nothing moved"


def test_the_order_of_rows_changes_no_profile(features: Features) -> None:
    mixed = replace(
        features, **{name: getattr(features, name).sample(frac=1.0, random_state=1) for name in ("tonight", "cells")}
    )
    assert_frame_equal(profile_features(mixed, SMALLEST), profile_features(features, SMALLEST))


def test_what_is_no_longer_known_drifts(features: Features) -> None:
    before = profile_features(features, SMALLEST)
    blank = replace(
        features, tonight=features.tonight.assign(age=features.tonight["age"].mask(features.tonight.index % 2 == 0))
    )
    drift = drift_of(before, profile_features(blank, SMALLEST, before)).set_index("feature")["psi"]
    assert drift["people.age"] > 1


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(st.none(), st.integers(0, 6), st.floats(-1e6, 1e6)), max_size=60), st.integers(1, 12))
def test_no_bin_tells_of_few(features: Features, ages: list[float | None], smallest: int) -> None:
    rows = pd.DataFrame(columns=features.tonight.columns).assign(age=pd.Series(ages, dtype="float64"))
    told = profile_features(replace(features, tonight=rows), smallest)
    told = told[told["feature"] == "people.age"]
    counts = (told["share"] * told["n"]).round(6)
    assert ((counts == 0) | (counts >= smallest)).all()
    assert told.empty or abs(told["share"].sum() - 1) < 1e-9
    known = told[told["bin"] > 0]
    assert known["high"].iloc[:-1].tolist() == known["low"].iloc[1:].tolist()
    assert known["high"].iloc[:-1].is_monotonic_increasing


# Both sides, group by group -------------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["seats", "need", "positions"]), st.floats(0.05, 5.0))
def test_too_few_and_too_many_both_trip(published: Tables, gate: str, factor: float) -> None:
    table, column = {"seats": ("session_loads", "seats"), "need": ("forecasts", "need"), "positions": ("forecasts", "value")}[
        gate
    ]
    small = {name: rows if name == table else rows.head(0) for name, rows in published.items()}
    faulty = small | {table: small[table].assign(**{column: small[table][column].astype("float64") * factor})}
    rows = checked(faulty, small, STRICT.model_copy(update={"total_least": 5})).query("gate == @gate")
    judged = rows[rows["held"].notna() & (rows["before"] >= 100)]
    assert len(judged)
    assert (judged["held"] == (STRICT.total_low <= factor <= STRICT.total_high)).all()


def without(rows: pd.DataFrame, share: float) -> pd.DataFrame:
    return rows.head(int(len(rows) * (1 - share)))


def in_one_place(rows: pd.DataFrame, column: str, factor: float) -> tuple[pd.DataFrame, str]:
    place = rows.groupby("territory")[column].sum().filter(like="BE").idxmax()
    return rows.assign(**{column: rows[column].where(rows["territory"] != place, rows[column] * factor)}), place


def turned(rankings: pd.DataFrame) -> pd.DataFrame:
    return rankings.assign(rank=rankings.groupby("territory")["rank"].transform(lambda rank: rank.max() + 1 - rank))


def measured(rows: pd.DataFrame, group: str, measure: str, factor: float) -> pd.DataFrame:
    there = (rows["rule"] == "matching") & (rows["group"] == group) & (rows["measure"] == measure)
    assert there.any()
    return rows.assign(value=rows["value"].where(~there, rows["value"] * factor))


def elsewhere(lots: pd.DataFrame) -> pd.DataFrame:
    return lots.assign(sector="999", envelope="other")


FAULTS = {
    "rows/forecasts": lambda tables: {"forecasts": without(tables["forecasts"], 0.7)},
    "rows/outcomes": lambda tables: {"outcomes": pd.concat([tables["outcomes"]] * 3)},
    "seats/all": lambda tables: {"session_loads": tables["session_loads"].assign(seats=0)},
    "served/all": lambda tables: {"match_measures": measured(tables["match_measures"], "all", "served", 0.4)},
    "euros/envelope=base": lambda tables: {"lots": tables["lots"].query("envelope != 'base'")},
    "euros_moved/sector": lambda tables: {"lots": elsewhere(tables["lots"])},
    "euros_moved/envelope": lambda tables: {"lots": elsewhere(tables["lots"])},
    "rank_moved/territory=BE4441": lambda tables: {"rankings": turned(tables["rankings"])},
    "grade_d/forecasts": lambda tables: {"forecasts": tables["forecasts"].assign(grade="D")},
    "grade_d_change/outcomes": lambda tables: {"outcomes": tables["outcomes"].assign(grade="A")},
    "grade_d_change/rankings&territory=BE4441": lambda tables: {"rankings": tables["rankings"].assign(grade="A")},
    "fairness/served&sex=F": lambda tables: {"match_measures": measured(tables["match_measures"], "sex=F", "served", 0.4)},
    "fairness_change/served&sex=F": lambda tables: {
        "match_measures": measured(tables["match_measures"], "sex=F", "served", 0.7)
    },
    "fairness/entries&public=rsa": lambda tables: {"plan_equity": tables["plan_equity"].assign(ratio=0.1)},
    "described/people.age": lambda tables: {
        "feature_profiles": tables["feature_profiles"].assign(n=tables["feature_profiles"]["n"] // 3)
    },
}


@pytest.mark.parametrize("key", list(FAULTS))
def test_each_gate_trips_on_its_fault(published: Tables, key: str) -> None:
    faulty = published | FAULTS[key](published)
    assert key not in tripped(checked(published, published))
    assert key in tripped(checked(faulty, published))


def test_first_ranks_that_leave_trip_and_a_new_order_among_them_does_not(published: Tables) -> None:
    first = published["rankings"]["rank"] <= 10
    ranks = published["rankings"]["rank"]
    mixed = published | {"rankings": published["rankings"].assign(rank=ranks.where(~first, 11 - ranks))}
    left = published | {"rankings": published["rankings"].assign(rank=ranks + 8)}
    assert not {key for key in tripped(checked(mixed, published)) if key.startswith("rank_left")}
    assert "rank_left/territory=BE4441" in tripped(checked(left, published))


def test_a_fault_in_one_place_trips_there_and_its_neighbours_pass(published: Tables) -> None:
    rows, place = in_one_place(published["forecasts"], "value", 3.0)
    found = tripped(checked(published | {"forecasts": rows}, published))
    assert {key for key in found if key.startswith("positions")} == {f"positions/territory={place}"}


def test_drift_trips_the_feature_that_drifts(published: Tables, features: Features) -> None:
    before = published["feature_profiles"]
    moved = profile_features(older(features, 15), SMALLEST, before)
    rows = checked(published, published, GateParams(), profiles=moved)
    assert {key for key in tripped(rows) if key.startswith("drift")} == {"drift/people.age"}


def test_small_numbers_trip_nothing(published: Tables) -> None:
    forecasts, least = published["forecasts"], GateParams().total_least
    months = forecasts[forecasts["period"].between("2027-07", "2028-06")]
    sums = months.groupby("territory")["value"].sum()
    small = sums.index[(sums > 0) & (sums * 3 < least)]
    assert len(small)
    value = forecasts["value"].where(~forecasts["territory"].isin(small), forecasts["value"] * 3)
    faulty = published | {"forecasts": forecasts.assign(value=value), "lots": published["lots"].head(1)}
    rows = checked(faulty, published, GateParams())
    assert {key for key in tripped(rows) if key.startswith(("positions", "euros", "rank", "served"))} == set()
    noted = rows.set_index(["gate", "group"])["note"]
    assert (noted["positions"][[f"territory={code}" for code in small]] == "few").all()
    assert (noted["euros_moved"] == "few").all()


def test_what_was_not_there_before_is_not_judged_and_what_is_gone_is(published: Tables) -> None:
    none = published | {"session_loads": published["session_loads"].head(0)}
    came = checked(published, none).query("gate == 'seats'").iloc[0]
    assert (came["note"], pd.isna(came["held"])) == ("new", True)
    assert "seats/all" in tripped(checked(none, published))


def test_another_exercise_and_another_budget_switch_off_what_cannot_be_compared(published: Tables) -> None:
    later = {name: published[name].assign(exercise=published[name]["exercise"] + 1) for name in ("lots", "rejected_lots")}
    notes = checked(published | later, published).set_index("gate")["note"]
    for gate in ("euros", "euros_moved", "rank_left", "rank_moved"):
        assert (notes[gate] == "exercise").all(), gate
    stated = published["assumptions"]
    other = stated["value"].where(stated["name"] != "purchase.envelopes.base", "amount_eur 300000")
    rows = checked(published | {"assumptions": stated.assign(value=other)}, published)
    noted = rows.set_index(["gate", "group"])["note"]
    assert (noted["euros"] == "budget").all()
    assert noted["euros_moved", "envelope"] == "budget"
    assert noted["euros_moved", "sector"] == "", "shares are compared whatever the budget"


def test_a_territory_that_failed_is_not_judged(published: Tables) -> None:
    gone = published | {"forecasts": published["forecasts"].query("territory != 'BE4441'")}
    assert "positions/territory=BE4441" in tripped(checked(gone, published))
    rows = checked(gone, published, failed=["BE4441"])
    assert "positions/territory=BE4441" not in tripped(rows)
    assert set(rows.loc[rows["group"].str.contains("BE4441"), "note"]) == {"failed"}


# Who lets a run through -----------------------------------------------------------------------------------------------


@pytest.fixture
def broken(published: Tables) -> pd.DataFrame:
    """What gates find of a run with several faults."""
    faults = {**FAULTS["seats/all"](published), "outcomes": without(published["outcomes"], 0.9)}
    rows = checked(published | faults | {"effects": without(published["effects"], 0.9)}, published)
    assert {"seats/all", "rows/outcomes", "rows/effects"} <= tripped(rows)
    return rows


def stopping(rows: pd.DataFrame, *decisions: tuple[str, str, str, str | None]) -> set[str]:
    left = refused(sign(rows, read_waivers(overrides(*decisions), AS_OF)))
    return set(left["gate"] + "/" + left["group"])


def test_a_waiver_lets_through_its_gate_and_group_and_no_other(broken: pd.DataFrame) -> None:
    every = stopping(broken)
    assert every == tripped(broken)
    assert stopping(broken, ("rows/outcomes", "A. Martin", "2026-03-31", "2026-03-31")) == every - {"rows/outcomes"}
    whole = {key for key in every if key.startswith("rows/")}
    assert stopping(broken, ("rows", "A. Martin", "2026-03-01", "2026-04-07")) == every - whole
    signed = sign(broken, read_waivers(overrides(("rows", "A. Martin", "2026-03-01", "2026-04-07")), AS_OF))
    told = signed[signed["author"] == "A. Martin"].set_index(["gate", "group"])
    assert set(told.index) == {*(tuple(key.split("/", 1)) for key in whole), ("rows", "*")}
    assert told[["note", "motive"]].eq(["waived", "checked"]).all().all()
    assert told["expires"].eq(pd.Timestamp("2026-04-07")).all()
    assert signed.loc[signed["gate"] == "seats", "author"].isna().all()


def test_a_waiver_that_is_over_or_not_yet_there_lets_nothing_through(broken: pd.DataFrame) -> None:
    every = stopping(broken)
    assert stopping(broken, ("rows/outcomes", "A", "2026-03-01", "2026-03-30")) == every
    assert stopping(broken, ("rows/outcomes", "A", "2026-04-01", "2026-05-01")) == every
    over = overrides(("rows/outcomes", "A", "2026-03-01", "2026-03-30"), ("seats", "B", "2026-03-01", "2026-03-30"))
    signed = sign(broken, read_waivers(over, AS_OF)).set_index(["gate", "group"])
    assert signed.loc[("rows", "outcomes"), ["note", "author"]].tolist() == ["expired", "A"]
    assert signed.loc[("seats", "all"), ["note", "author"]].tolist() == ["expired", "B"]


def test_a_waiver_of_one_group_stands_beside_one_of_all(broken: pd.DataFrame) -> None:
    rows = ("rows", "A", "2026-03-01", "2026-04-30"), ("rows/outcomes", "B", "2026-03-01", "2026-03-30")
    signed = sign(broken, read_waivers(overrides(*rows), AS_OF)).set_index(["gate", "group"])
    assert signed.loc[("rows", "outcomes"), ["note", "author"]].tolist() == ["waived", "A"], (
        "the one that is over stops nothing"
    )


def test_a_waiver_without_an_end_is_refused_in_words() -> None:
    endless = overrides(("seats", "A. Martin", "2026-03-01", None), ("rows", "B", "2026-03-01", None))
    with pytest.raises(InputError, match=r"'seats' \(A. Martin, 2026-03-01\) has no expire_le") as error:
        read_waivers(endless, AS_OF)
    assert len(error.value.faults) == 2
    assert read_waivers(overrides(("seats", "A", "2026-04-01", None)), AS_OF).empty, "what is not known yet is not read"


def test_a_waiver_that_names_nothing_is_told(broken: pd.DataFrame) -> None:
    rows = [(key, "A", "2026-03-01", "2026-04-30") for key in ("raws", "rows/forecast", "rows/outcomes")]
    signed = sign(broken, read_waivers(overrides(*rows), AS_OF))
    assert set(signed.loc[signed["note"] == "names_nothing", ["gate", "group"]].itertuples(index=False, name=None)) == {
        ("raws", "*"), ("rows", "forecast"),
    }  # fmt: skip


def test_each_gate_and_group_has_one_row(broken: pd.DataFrame) -> None:
    rows = [(key, "A", "2026-03-01", "2026-04-30") for key in ("rows", "rows/outcomes", "seats/all", "need")]
    signed = sign(broken, read_waivers(overrides(*rows), AS_OF))
    assert not signed.duplicated(["gate", "group"]).any()
    assert len(signed) == len(broken) + 2


# The whole ------------------------------------------------------------------------------------------------------------


def bought(inputs: Inputs) -> Plan:
    """A plan that keeps every law: it buys nothing."""
    names = ["envelope", "places", "sessions", "group_min", "group_max", "allowance_cents", "cost_cents"]
    lots = pd.DataFrame({name: pd.Series(dtype="str" if name == "envelope" else "int64") for name in names})
    return Plan(inputs.exercise, lots, lots, pd.DataFrame(), 0.0, Decided([], 0.0), pd.Series(dtype="float64"))


def test_a_run_that_is_read_back_passes_and_a_fault_says_how_to_let_it_through(
    ran: Home, inputs: Inputs, features: Features, published: Tables, tmp_path: Path
) -> None:
    home = copy_home(ran, tmp_path / "home", made=True)
    before = read_before(open_database(database_url(home, inputs.params)))
    assert before["recommendations"].shape == (len(published["recommendations"]), 0), "they are counted, not read"
    held = judge_run(published, features, bought(inputs), before, inputs)
    assert tripped(held) == set()
    assert held["held"].notna().sum() > 20
    faulty = published | {"outcomes": without(published["outcomes"], 0.9)}
    with pytest.raises(GateRefusal, match="gate rows/outcomes") as refusal:
        judge_run(faulty, features, bought(inputs), before, inputs)
    assert refusal.value.exit_code == 3
    line = refusal.value.faults[1].rpartition("To let it through: ")[2]
    file = tmp_path / "gates.csv"
    file.write_text(f"{waiver_header()}\n{line.replace('NAME', 'A. Martin').replace('REASON', 'source réduite')}\n", "utf-8")
    decided = SOURCES["overrides"].read([file]).kept
    known = replace(inputs, reading=lambda: replace(inputs.tables, overrides=OVERRIDES.sort(decided)))
    signed = judge_run(faulty, features, bought(inputs), before, known).set_index(["gate", "group"])
    assert signed.loc[("rows", "outcomes"), ["author", "motive", "note"]].tolist() == ["A. Martin", "source réduite", "waived"]


def test_nothing_is_read_where_nothing_was_published(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'new.db'}")
    assert list_runs(engine).empty
    assert read_before(engine) == {}


def test_waivers_cannot_break_a_law(inputs: Inputs, features: Features, published: Tables) -> None:
    crowded = published | {"session_loads": published["session_loads"].assign(seats=0, expected_load=1.0)}
    rows = [(gate, "A", "2026-03-01", "2026-04-30") for gate in GATES]
    waived = replace(inputs, reading=lambda: replace(inputs.tables, overrides=overrides(*rows)))
    with pytest.raises(GateRefusal, match="beyond their seats"):
        judge_run(crowded, features, bought(inputs), {}, waived)


def test_drift_counts_an_emptied_bin_as_half_a_value() -> None:
    edges = {"feature": "x", "bin": [0, 1, 2], "low": np.nan, "high": np.nan, "n": 100}
    before, now = (pd.DataFrame({**edges, "share": shares}) for shares in ([0.0, 0.5, 0.5], [0.0, 1.0, 0.0]))
    expected = 0.5 * np.log(2) + (0.005 - 0.5) * np.log(0.005 / 0.5)
    assert drift_of(before, now)["psi"].iloc[0] == pytest.approx(expected)
