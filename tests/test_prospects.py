"""What studies expect: nothing lost from a study to its cells, and the fresher and more reliable study counts for more."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from features import facts
from features.crosswalks import build_crosswalks
from features.prospects import FLOWS, Ground, ProspectParams, Prospects, choose_openings, no_volumes, yearly_openings
from features.sources.projections import read_projections
from features.sources.publication import PublicationParams
from features.tables import OVERRIDES, PROJECTIONS
from needs.twin import observers
from needs.twin.market import Market, draw_market
from needs.twin.scales import SCALES
from needs.twin.world import World, draw_world
from needs.twin.worlds import Dials

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "dares"
real = pytest.mark.skipif(not SHARED.exists(), reason="../shared/data is not there")
DAY = pd.Timestamp("2026-03-31")
CROSSWALKS = build_crosswalks(OVERRIDES.empty(), DAY)
PARAMS = ProspectParams()
HERE = facts.communes()
GROUND = Ground(HERE, no_volumes())
CELL = ["territory", "department", "occupation"]
TYPES = {column.name: column.dtype for column in PROJECTIONS.columns}


def study(**cells: object) -> dict[str, object]:
    row = {
        "source": "Observatoire",
        "known_from": pd.Timestamp("2025-03-31"),
        "nomenclature": "FAP2021",
        "code": "B1X30",
        "territory_kind": "R",
        "territory": "R44",
        "first_year": 2025,
        "last_year": 2030,
        "openings": 1000.0,
        "net_jobs": 100.0,
        "departures": 900.0,
        "young_starters": 800.0,
        "reliability": "B",
    }
    return {**row, **cells}


def studies(*rows: dict[str, object]) -> pd.DataFrame:
    return pd.DataFrame(list(rows)).reindex(columns=list(TYPES)).astype(TYPES)


def expected(*rows: dict[str, object], ground: Ground = GROUND) -> Prospects:
    return yearly_openings(studies(*rows), CROSSWALKS, ground, DAY, PARAMS)


def of_one(**cells: object) -> dict[str, object]:
    """Write a study of one occupation in one bassin, which it covers whole."""
    return study(**{"nomenclature": "ROME", "code": "K2204", "territory_kind": "BE", "territory": "BE4415", **cells})


def chosen(*rows: dict[str, object]) -> pd.DataFrame:
    return choose_openings(expected(*rows).openings, PARAMS)


# Sharing out ------------------------------------------------------------------------------------------------------------

places = st.sampled_from(
    [
        ("R", "R44"),
        ("D", "D67"),
        ("D", "D51"),
        ("BE", "BE4415"),
        ("ZE", "ZE4413"),
        ("MR", "MR03"),
        ("R", "R27"),
        ("BE", "BE2701"),
    ]
)
codes = st.sampled_from(
    [
        ("FAP2021", "B1X30"),
        ("FAP2021", "T"),
        ("FAP2021", "B1X|A0X40"),
        ("FAP2009", "T4Z60"),
        ("FAP2009", "D0Z|D3Z"),
        ("FAP2009", "A0Z00"),
        ("FAP2021", "Z9X99"),
        ("ROME", "K2204"),
        ("ROME", "Z9999"),
    ]
)
rows_of_studies = st.lists(
    st.tuples(places, codes, st.floats(-50, 5000), st.integers(2019, 2031), st.integers(0, 12), st.sampled_from("abc")),
    min_size=1,
    max_size=12,
    unique_by=lambda row: (row[0], row[1], row[3], row[5]),
)


@given(rows_of_studies)
@settings(max_examples=5, deadline=None)
def test_every_opening_is_in_a_cell_or_listed(drawn):
    rows = [
        study(
            territory_kind=kind,
            territory=place,
            nomenclature=nomenclature,
            code=code,
            openings=openings,
            first_year=first,
            last_year=first + years,
            source=source,
        )
        for (kind, place), (nomenclature, code), openings, first, years, source in drawn
    ]
    told = expected(*rows)
    total = sum(openings / max(years, 1) for _, _, openings, _, years, _ in drawn)
    assert told.openings["openings"].sum() + told.unmapped["openings"].sum() == pytest.approx(total, rel=1e-9, abs=1e-9)
    assert not told.openings.duplicated([*CELL, "source", "scenario", "nomenclature"]).any()
    assert told.openings["covered"].between(0, 1).all()


def test_a_year_has_its_part_of_the_period_in_the_territory_studied_and_nowhere_else():
    told = expected(study(territory_kind="D", territory="D67")).openings
    sums = told[FLOWS].sum()
    assert sums.to_numpy() == pytest.approx([200.0, 160.0, 180.0, 20.0])
    assert set(told["department"]) == {"D67"}
    assert set(told["grain"]) == {"D"}
    assert told["age_years"].to_numpy() == pytest.approx(1.0, abs=0.01)


def test_openings_that_are_not_given_are_departures_and_net_jobs():
    assert expected(study(openings=None)).openings["openings"].sum() == pytest.approx(200.0)


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"territory": "R27"}, "elsewhere"),
        ({"first_year": None}, "period"),
        ({"code": "Z9X99"}, "code"),
    ],
)
def test_what_finds_no_place_is_listed_with_its_reason(cells, reason):
    told = expected(study(**cells))
    assert told.openings.empty
    assert told.unmapped["reason"].tolist() == [reason]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"known_from": pd.Timestamp("2020-03-31")}, {}),
        ({"territory_kind": "R"}, {"territory_kind": "D", "territory": "D67"}),
        ({"code": "B1X"}, {}),
        ({"first_year": 2015, "last_year": 2020}, {}),
    ],
    ids=["older edition", "wider territory", "more families together", "period past"],
)
def test_of_what_one_source_says_twice_the_better_one_counts(one, other):
    told = expected(study(openings=5000.0, **one), study(**other))
    alone = expected(study(**other))
    cells = told.openings.merge(alone.openings[CELL], on=CELL, validate="one_to_one")
    same = cells[cells["occupation"].isin(alone.openings["occupation"])]
    assert "superseded" in told.unmapped["reason"].tolist()
    if one.get("code") is None:
        assert same["openings"].to_numpy() == pytest.approx(alone.openings["openings"].to_numpy())


def test_volumes_share_a_wide_territory_where_people_are_all_that_is_known_without_them():
    cells = HERE[["territory", "department"]].drop_duplicates()
    occupation = expected(study()).openings["occupation"].iloc[0]
    there = cells.assign(occupation=occupation, volume=np.where(cells["territory"] == "BE4415", 1e9, 0.0))
    told = expected(study(), ground=Ground(HERE, there)).openings
    assert told.loc[told["territory"] == "BE4415", "openings"].sum() == pytest.approx(200.0, rel=1e-3)
    people = expected(study()).openings.groupby("department")["openings"].sum()
    share = HERE.groupby("department")["population"].sum() / HERE["population"].sum()
    assert people.to_numpy() == pytest.approx(200 * share[people.index].to_numpy())


def test_neighbours_and_what_comes_later_change_nothing_nor_does_the_row_order():
    rows = [study(), study(source="b", code="T"), study(source="b", code="T4X60", territory_kind="D", territory="D51")]
    others = [
        study(source="c", territory="R27"),
        study(known_from=DAY + pd.Timedelta(days=1)),
        study(source="d", known_from=pd.Timestamp("2030-01-01")),
    ]
    one, other = expected(*rows), expected(*others, *rows[::-1])
    assert_frame_equal(one.openings, other.openings)
    assert_frame_equal(
        choose_openings(one.openings, PARAMS), choose_openings(other.openings.sample(frac=1, random_state=1), PARAMS)
    )


def test_without_a_study_there_is_nothing_and_every_column_is_typed():
    nothing, something = yearly_openings(PROJECTIONS.empty(), CROSSWALKS, GROUND, DAY, PARAMS), expected(study())
    assert nothing.openings.empty
    assert nothing.openings.dtypes.equals(something.openings.dtypes)
    assert choose_openings(nothing.openings, PARAMS).dtypes.equals(choose_openings(something.openings, PARAMS).dtypes)


@real
def test_the_real_study_is_whole_in_the_region_and_says_no_grade():
    read = read_projections([SHARED / "metiers2030_regions_fap87_orientia.json"], PublicationParams()).kept
    told = yearly_openings(read, CROSSWALKS, GROUND, DAY, PARAMS)
    ours = read[read["territory"] == "R44"]
    for flow in FLOWS:
        assert told.openings[flow].sum() == pytest.approx(ours[flow].sum() / 11, rel=1e-9)
    assert set(told.unmapped["reason"]) == {"elsewhere"}
    assert told.openings["reliability"].isna().all()
    assert told.openings["covered"].to_numpy() == pytest.approx(1.0)


# One figure -------------------------------------------------------------------------------------------------------------


BASSINS = sorted(HERE["territory"].unique())


def drawn_to(*cells: dict[str, object]) -> list[float]:
    """Say how far a study of twice the openings draws the figure, beside another one, with each of these cells."""
    rows = []
    for place, changed in zip(BASSINS, cells, strict=False):
        rows += [
            of_one(territory=place, source="low"),
            of_one(territory=place, source="high", openings=2000.0, **changed),
        ]
    sums = chosen(*rows).groupby("territory")["openings"].sum()
    return [float(sums[place] / 200 - 1) for place, _ in zip(BASSINS, cells, strict=False)]


def test_the_fresher_and_the_more_reliable_study_weighs_more():
    days = [{"known_from": pd.Timestamp(f"{year}-03-31")} for year in (2016, 2023, 2025, 2026)]
    grades = [{"reliability": grade} for grade in ("D", "C", None, "B", "A")]
    told = drawn_to(*days, *grades)
    by_age, by_grade = told[:4], told[4:]
    assert by_age == sorted(by_age)
    assert len({*by_age}) == len(by_age)
    assert by_age[2] == by_grade[3] == pytest.approx(0.5)
    assert by_grade[1] == by_grade[2]
    assert by_grade[0] < by_grade[1] < by_grade[3] < by_grade[4]


def test_a_source_with_many_scenarios_has_one_voice():
    scenarios = [of_one(source="high", openings=2000.0, scenario=name) for name in ("bas", "central", "haut")]
    told = chosen(of_one(source="low"), *scenarios)
    assert told["openings"].sum() == pytest.approx(300.0)
    assert set(told["scenario"]) == {"bas|central|haut"}
    assert set(told["sources"]) == {2}


@pytest.mark.parametrize("cells", [{"valid_until": pd.Timestamp("2026-03-30")}, {"last_year": 2025, "first_year": 2020}])
def test_an_expired_study_is_told_and_not_used(cells):
    told = expected(of_one(**cells))
    assert not told.openings["valid"].any()
    assert choose_openings(told.openings, PARAMS).empty


def test_a_study_that_covers_little_of_an_occupation_is_told_and_not_used_there():
    told = expected(study()).openings
    assert (told["covered"] < PARAMS.least_covered).any()
    whole = told.assign(covered=told["covered"].where(told["territory"] != "BE4415", 0.8))
    used = choose_openings(whole, PARAMS)
    assert set(used["territory"]) == {"BE4415"}
    here = told[told["territory"] == "BE4415"]
    assert used["openings"].sum() == pytest.approx(here["openings"].sum() / 0.8)


@given(st.lists(st.tuples(st.floats(-100, 1e5), st.sampled_from("ABCD"), st.integers(2015, 2026)), min_size=1, max_size=4))
@settings(max_examples=4, deadline=None)
def test_the_interval_holds_the_figure_and_the_figure_lies_among_the_studies(said):
    rows = [
        of_one(source=str(at), openings=openings, reliability=grade, known_from=pd.Timestamp(f"{year}-01-31"))
        for at, (openings, grade, year) in enumerate(said)
    ]
    told = chosen(*rows)
    assert (told["openings_low"] <= told["openings"]).all()
    assert (told["openings"] <= told["openings_high"]).all()
    yearly = [openings / 5 for openings, _, _ in said]
    assert min(yearly) - 1e-6 <= told["openings"].sum() <= max(yearly) + 1e-6


def test_the_interval_widens_with_age_with_a_lower_grade_and_when_studies_differ():
    said: list[list[dict[str, object]]] = [
        [{}],
        [{"known_from": pd.Timestamp("2020-03-31")}],
        [{"reliability": "C"}],
        [{}, {"source": "other"}],
        [{"openings": 500.0}, {"source": "other", "openings": 1500.0}],
    ]
    rows = [of_one(territory=place, **cells) for place, each in zip(BASSINS, said, strict=False) for cells in each]
    told = chosen(*rows).groupby("territory")[["openings_low", "openings_high"]].sum()
    width = (told["openings_high"] - told["openings_low"])[BASSINS[: len(said)]].tolist()
    plain, old, doubtful, agreeing, differing = width
    assert min(old, doubtful, differing) > 1.05 * plain
    assert agreeing == pytest.approx(plain)


# Against a truth ---------------------------------------------------------------------------------------------------------


@cache
def world(scale: str) -> tuple[World, list[Market]]:
    drawn = draw_world(SCALES[scale], Dials(), 1, DAY)
    return drawn, [draw_market(drawn, department) for department in drawn.departments]


def need(scale: str, first: int) -> pd.DataFrame:
    """Count the lasting need of twelve months, the first counted from as_of. One row per territory, department, occupation."""
    drawn, markets = world(scale)
    start, parts = drawn.past + first, []
    for market in markets:
        counts = market.need[:, :, start : start + 12].sum(axis=2)
        atom, occupation = np.indices(counts.shape).reshape(2, -1)
        cells = drawn.atoms.iloc[market.atoms[atom]][["territory", "department"]].reset_index(drop=True)
        names = drawn.occupations["occupation"].to_numpy()[occupation]
        parts.append(cells.assign(occupation=pd.Series(names, dtype="str"), volume=counts.ravel().astype("float64")))
    return pd.concat(parts, ignore_index=True)


def drawn_studies(scale: str, name: str, **dials: float) -> pd.DataFrame:
    _, markets = world(scale)
    seen = draw_world(SCALES[scale], Dials(projections=dials), 1, DAY)
    month = observers.study_month(seen)
    rows = observers.draw_projections(seen, pd.concat([observers.need_by_family(market, month) for market in markets]))
    named = rows.assign(source=rows["source"] + name, territory=rows["territory_kind"] + rows["territory"])
    return named.reindex(columns=list(TYPES)).astype(TYPES)


def ground(scale: str, *, volumes: bool = True) -> Ground:
    cells = pd.MultiIndex.from_frame(world(scale)[0].atoms[["territory", "department"]])
    here = HERE[pd.MultiIndex.from_frame(HERE[["territory", "department"]]).isin(cells)]
    return Ground(here, need(scale, -12) if volumes else no_volumes())


def missed(told: pd.DataFrame, scale: str) -> float:
    both = told.merge(need(scale, 0), on=CELL, validate="one_to_one")
    return float((both["openings"] - both["volume"]).abs().sum() / both["volume"].sum())


def test_weighing_studies_comes_nearer_to_what_comes_than_their_plain_mean():
    both = pd.concat(
        [
            drawn_studies("demo", "fresh", age_months=6, error=0.15),
            drawn_studies("demo", "stale", age_months=40, error=0.4, bias=0.3),
        ]
    )
    told = yearly_openings(both, CROSSWALKS, ground("demo"), DAY, PARAMS).openings
    used = told[told["valid"] & (told["covered"] >= PARAMS.least_covered)]
    plain = used.assign(openings=used["openings"] / used["covered"]).groupby(CELL, as_index=False)[["openings"]].mean()
    assert missed(choose_openings(told, PARAMS), "demo") < 0.95 * missed(plain, "demo")


def test_a_right_study_with_the_volumes_of_its_places_tells_the_need_of_each():
    told = drawn_studies("demo", "right", age_months=1, error=0.0)
    known, by_people = (
        choose_openings(yearly_openings(told, CROSSWALKS, ground("demo", volumes=each), DAY, PARAMS).openings, PARAMS)
        for each in (True, False)
    )
    last_year = need("demo", -12).rename(columns={"volume": "openings"})
    studied = last_year.merge(known[CELL], on=CELL, validate="one_to_one")
    assert missed(known, "demo") < 1.1 * missed(studied, "demo")
    assert missed(known, "demo") < 0.92 * missed(by_people, "demo")
    both = known.merge(need("demo", 0), on=CELL, validate="one_to_one")
    inside = both["volume"].between(both["openings_low"], both["openings_high"]).mean()
    assert inside > PARAMS.confidence
