"""The survey's secrets: inside their bounds, near what they hide, and nothing lost on the way to occupations."""

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
from features.sources.bmo import read_bmo
from features.sources.publication import PublicationParams
from features.surveys import (
    COUNTS,
    SurveyParams,
    estimate_families,
    lasting_projects,
    lies_within,
    survey_error,
    survey_occupations,
)
from features.tables import BMO, OVERRIDES
from needs.twin.market import Market, draw_market
from needs.twin.scales import SCALES
from needs.twin.survey import nomenclature_of, survey_rows
from needs.twin.world import draw_world
from needs.twin.worlds import Dials

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "bmo"
real = pytest.mark.skipif(not SHARED.exists(), reason="../shared/data is not there")
PARAMS = SurveyParams()
HERE = facts.communes()
DAY = pd.Timestamp("2026-03-31")
CROSSWALKS = build_crosswalks(OVERRIDES.empty(), DAY)
CELLS = HERE[["territory", "department"]].drop_duplicates().sort_values(["territory", "department"]).head(6)
FAMILIES = sorted(facts.family_families()["family_2021"].unique())[:8]
# What France Travail tells of the whole Region in 2024.
TOLD = {"projects": 193_318, "seasonal": 60_587, "difficult": 105_946}


def survey(rows: pd.DataFrame) -> pd.DataFrame:
    """Hide the counts below 5 of rows with year, family, territory, department and three counts. Same rows, as in a lake."""
    hidden = {f"{count}_secret": rows[count] < 5 for count in COUNTS}
    shown = {count: rows[count].where(rows[count] >= 5).astype("float64") for count in COUNTS}
    dated = pd.to_datetime(rows["year"].astype("str") + "-04-15")
    kinds = rows["year"].map(nomenclature_of)
    filled = rows.assign(region="R44", nomenclature=kinds, known_from=dated, **shown, **hidden)
    types = {column.name: column.dtype for column in BMO.columns}
    return filled[list(types)].astype(types).sort_values(list(BMO.key), ignore_index=True)


def made(counts: list[tuple[int, int, int]], year: int = 2025) -> pd.DataFrame:
    """Give each cell of families × places its projects, difficult and seasonal ones, the latter two at most the first."""
    places = [(family, *cell) for family in FAMILIES for cell in CELLS.itertuples(index=False, name=None)]
    rows = pd.DataFrame(places[: len(counts)], columns=["family", "territory", "department"])
    projects, difficult, seasonal = np.array(counts).reshape(-1, 3).T
    return rows.assign(
        year=year, projects=projects, difficult=np.minimum(difficult, projects), seasonal=np.minimum(seasonal, projects)
    )


surveys = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=40)


@cache
def markets() -> list[Market]:
    world = draw_world(SCALES["demo"], Dials(), 1, DAY)
    return [draw_market(world, department) for department in world.departments]


@cache
def found(year: int) -> pd.DataFrame:
    return estimate_families(survey(asked(year)), PARAMS)


@cache
def asked(year: int) -> pd.DataFrame:
    """Ask a simulated region, nothing hidden. One row per family, territory, department."""
    rows = pd.concat([survey_rows(market, year) for market in markets()])
    return rows.rename(columns={"met": "projects", "xmet": "difficult", "smet": "seasonal"}).reset_index(drop=True)


@cache
def published() -> pd.DataFrame:
    return read_bmo([SHARED / "Base_open_data_BMO_2024.xlsx"], PublicationParams()).kept


# Secrets ----------------------------------------------------------------------------------------------------------------


@given(surveys)
@settings(max_examples=6, deadline=None)
def test_estimates_stay_in_their_bounds_and_what_is_published_stays(counts):
    rows = survey(made(counts))
    told = estimate_families(rows, PARAMS)
    assert len(told) == len(rows)
    for count in COUNTS:
        secret, shown = told[f"{count}_secret"], rows[count]
        assert secret.tolist() == rows[f"{count}_secret"].tolist()
        assert told[count].between(told[f"{count}_low"], told[f"{count}_high"]).all()
        for name in (count, f"{count}_low", f"{count}_high"):
            assert told.loc[~secret, name].tolist() == shown[~secret].tolist()
        assert (told[count] <= told["projects"]).all()
    assert (told.loc[told["projects_secret"], "projects"] >= 1).all()
    assert (told["projects_high"] <= told["projects"].clip(lower=5)).all()


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("year", [2024, 2025])
def test_what_is_hidden_in_a_known_region_is_found(count, year):
    truth = asked(year).sort_values(["family", "territory", "department"], ignore_index=True)
    secret = found(year)[f"{count}_secret"]
    hidden, guess = truth[count][secret], found(year)[count][secret]
    assert len(hidden) > 1000
    if count == "seasonal":  # nearly all are zeros, which no count just above tells: far nearer than two each, no more
        assert abs(guess.sum() - hidden.sum()) < 0.25 * abs(2 * len(hidden) - hidden.sum())
    else:
        assert guess.sum() == pytest.approx(hidden.sum(), rel=0.1)
        best_constant = (hidden.mean() - hidden).pow(2).mean()
        assert (guess - hidden).pow(2).mean() < 0.95 * best_constant


def test_the_more_secrets_beside_small_counts_the_less_each_hides():
    few, many = (made([(3, 1, 0)] * secrets + [(6, 5, 0)] * 20 + [(40, 20, 5)] * 8) for secrets in (2, 20))
    one, other = (estimate_families(survey(rows), PARAMS).query("projects_secret")["projects"].mean() for rows in (few, many))
    assert other < one < 5


def test_each_survey_is_estimated_from_itself_alone_whatever_the_row_order():
    one, two = survey(asked(2024).head(400)), survey(asked(2025).head(400))
    both = pd.concat([two, one]).sample(frac=1, random_state=3)
    told = estimate_families(both, PARAMS)
    assert_frame_equal(told, pd.concat([estimate_families(each, PARAMS) for each in (one, two)], ignore_index=True))
    assert told["year"].is_monotonic_increasing


@real
def test_the_region_has_as_many_projects_as_it_was_told_to_have():
    shown = published().query("region == 'R44'")
    places = shown[["family", "territory", "department"]]
    told = estimate_families(published(), PARAMS).merge(places, validate="one_to_one")
    for count, whole in TOLD.items():
        hidden, two_each = whole - shown[count].sum(), 2 * shown[f"{count}_secret"].sum()
        found = told[count].sum() - shown[count].sum()
        assert abs(found - hidden) < 0.25 * min(hidden, abs(two_each - hidden))
    lasting = (told["projects"] - told["seasonal"]).sum()
    assert lasting == pytest.approx(TOLD["projects"] - TOLD["seasonal"], rel=0.0025)


@real
def test_small_counts_that_are_hidden_on_purpose_are_found_again():
    """A fifth of each published count: those of 5 to 24 then hide where those of 1 to 4 do."""
    shown = published().query("not projects_secret").sort_values(["family", "territory", "department"])
    truth = (shown["projects"] / 5).reset_index(drop=True)
    nothing = {"difficult": np.nan, "seasonal": np.nan, "difficult_secret": True, "seasonal_secret": True}
    blind = shown.reset_index(drop=True).assign(projects=truth.where(truth >= 5), projects_secret=truth < 5, **nothing)
    told = estimate_families(blind, PARAMS)
    secret = told["projects_secret"]
    assert told["projects"][secret].sum() == pytest.approx(truth[secret].sum(), rel=0.05)
    ours, constant = ((guess - truth[secret]).pow(2).mean() for guess in (told["projects"][secret], 2.0))
    assert ours < constant


# What is drawn from them ------------------------------------------------------------------------------------------------


def test_lasting_projects_are_those_of_the_last_survey_that_are_not_seasonal():
    told = estimate_families(survey(pd.concat([made([(60, 9, 9)] * 9, 2024), made([(30, 7, 10)] * 6)])), PARAMS)
    assert lasting_projects(told).to_dict() == dict.fromkeys(CELLS["territory"], 20.0) | {
        code: 20.0 * count for code, count in CELLS["territory"].value_counts().items()
    }


def test_no_project_is_lost_on_the_way_to_occupations():
    rows = made([(3, 1, 1), (12, 6, 0), (80, 40, 20), (7, 2, 2)] * 6)
    rows.loc[0, "family"] = "Z9X99"
    told = estimate_families(survey(rows), PARAMS)
    done = survey_occupations(told, CROSSWALKS)
    assert done.occupations["projects"].sum() + done.unmapped["projects"].sum() == pytest.approx(
        told["projects"].sum(), rel=1e-9
    )
    assert set(done.unmapped["family"]) == {"Z9X99"}
    by_cell = [each.groupby(["territory", "department"])["projects"].sum() for each in (done.occupations, done.unmapped, told)]
    assert by_cell[0].add(by_cell[1], fill_value=0.0).to_numpy() == pytest.approx(by_cell[2].to_numpy(), rel=1e-9)
    assert (
        done.occupations["projects"].between(done.occupations["projects_low"], done.occupations["projects_high"] + 1e-9).all()
    )
    assert done.occupations["difficulty"].between(0, 1).all()
    published_only = done.occupations["projects"] * (1 - done.occupations["secret_share"])
    assert published_only.to_numpy() == pytest.approx(done.occupations["n"].to_numpy())


def test_cells_beyond_the_region_change_nothing_in_it():
    told = estimate_families(survey(made([(30, 9, 9)] * 12)), PARAMS)
    neighbours = told.assign(territory="BE2701", department="D21")
    both = pd.concat([neighbours, told], ignore_index=True)
    here = lies_within(both, HERE)
    assert (len(here), here.sum()) == (24, 12)
    own = survey_occupations(both[here], CROSSWALKS).occupations
    assert_frame_equal(own, survey_occupations(told, CROSSWALKS).occupations)


def test_a_territory_alone_has_the_occupations_it_has_in_the_whole():
    told = estimate_families(survey(asked(2025).head(1000)), PARAMS)
    place = told["territory"].mode()[0]
    alone = survey_occupations(told[told["territory"] == place], CROSSWALKS).occupations
    every = survey_occupations(told, CROSSWALKS).occupations
    whole = every[every["territory"] == place].reset_index(drop=True)
    assert_frame_equal(alone, whole)


def test_a_survey_that_repeats_itself_has_no_error_and_one_that_grows_has_that_of_its_growth():
    before, same = made([(50, 20, 10)] * 30, 2024), made([(50, 20, 10)] * 30)
    grown = same.assign(projects=60)
    still, moved = (
        survey_error(estimate_families(survey(pd.concat([before, last])), PARAMS), CROSSWALKS) for last in (same, grown)
    )
    assert (still[["error", "change"]] == 0).all().all()
    assert moved["error"].to_numpy() == pytest.approx(1 / 6)
    assert moved["change"].to_numpy() == pytest.approx(0.2)
    assert (moved["n"] >= 5).all()
    assert not moved["bridged"].any()


def test_an_earlier_survey_in_other_families_is_carried_over_and_said_to_be():
    told = pd.concat([found(2023), found(2024)], ignore_index=True)
    error = survey_error(told, CROSSWALKS)
    assert error["bridged"].all()
    assert error["error"].between(0.01, 1.5).all()
    assert survey_error(told.query("year == 2024"), CROSSWALKS).empty


def test_without_a_survey_there_is_nothing_and_every_column_is_typed():
    nothing, something = (estimate_families(rows, PARAMS) for rows in (BMO.empty(), survey(made([(30, 9, 9), (3, 1, 1)]))))
    assert nothing.empty
    assert nothing.dtypes.equals(something.dtypes)
    empty, full = (survey_occupations(each, CROSSWALKS) for each in (nothing, something))
    assert empty.occupations.empty
    assert empty.occupations.dtypes.equals(full.occupations.dtypes)
    assert lasting_projects(nothing).empty
    assert survey_error(nothing, CROSSWALKS).empty
