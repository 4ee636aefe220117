"""What the other sources let one expect, year by year: only what was known then, and all of it."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from features.build import Features
from features.disagreement import CELL
from features.observation import Setting
from features.places import own_or_shipped
from features.priors import EXPECTED, KEY, expect_by_sources
from features.surveys import estimate_families
from features.tables import CONTRACT, Tables
from needs.run.inputs import Inputs

LAST, YEARS = "2026-03", 4
TOLD = ("bmo", "projections", "signals")


@pytest.fixture(scope="module")
def setting(inputs: Inputs, features: Features) -> Setting:
    """The tiny region, on a day that is no end of a month: nothing of that day can be taken for an answer."""
    return Setting(own_or_shipped(inputs.tables.territories), features.crosswalks, inputs.as_of + pd.Timedelta(days=1))


def expected(inputs: Inputs, features: Features, setting: Setting, tables: Tables, last: str = LAST) -> pd.DataFrame:
    observing = inputs.params.features.observation
    seen = replace(features.seen, families=estimate_families(tables.bmo, observing.surveys))
    return expect_by_sources(tables, seen, setting, last, params=observing, years=YEARS)


@pytest.fixture(scope="module")
def asked_anew(inputs: Inputs, features: Features, setting: Setting) -> pd.DataFrame:
    return expected(inputs, features, setting, inputs.tables)


def silent(tables: Tables, *names: str) -> Tables:
    return replace(tables, **{name: CONTRACT[name].empty() for name in names})


def test_what_was_observed_on_the_day_is_what_would_be_answered_again(features: Features, asked_anew: pd.DataFrame) -> None:
    assert_frame_equal(features.priors, asked_anew, check_exact=True)


def test_the_newest_year_adds_up_to_what_is_observed(features: Features) -> None:
    last = features.priors[features.priors["period"] == LAST].set_index(CELL)
    survey, seen = features.seen.survey.occupations.set_index(CELL), features.seen
    assert last["projects"].sum() == pytest.approx((survey["projects"] - survey["seasonal"]).sum(), abs=1e-9)
    assert last["openings"].sum() == pytest.approx(seen.openings["openings"].sum(), abs=1e-9)
    assert last["signals"].sum() == pytest.approx((seen.signals["direction"] * seen.signals["weight"]).sum(), abs=1e-9)
    openings = last["openings"].dropna()
    assert set(openings.index) == set(seen.openings.set_index(CELL).index)


def test_years_are_the_blocks_that_end_with_the_panel_and_have_something_to_tell(features: Features) -> None:
    priors = features.priors
    assert priors["period"].max() == features.panel["period"].max() == LAST
    assert set(priors["period"].str[5:]) == {LAST[5:]}
    assert not priors.duplicated(KEY).any()
    assert priors[EXPECTED].notna().any(axis=1).all()
    assert priors["period"].min() > str(pd.Period(LAST, "M") - 12 * 6)


@pytest.mark.parametrize("last", ["2025-03", "2024-03"])
def test_a_year_holds_what_was_known_at_its_end_and_no_more(
    inputs: Inputs, features: Features, setting: Setting, asked_anew: pd.DataFrame, last: str
) -> None:
    then = inputs.tables.known_at(pd.Period(last, "M").end_time.normalize())
    assert sum(then.count(name) for name in TOLD) < sum(inputs.tables.count(name) for name in TOLD)
    found = expected(inputs, features, setting, then, last)
    known = asked_anew[asked_anew["period"] <= last].reset_index(drop=True)
    assert len(found) > 0
    assert_frame_equal(found, known, check_exact=True)


def test_the_order_of_rows_changes_nothing(
    inputs: Inputs, features: Features, setting: Setting, asked_anew: pd.DataFrame
) -> None:
    names = (*TOLD, "overrides")
    shuffled = {name: inputs.tables.frame(CONTRACT[name]).sample(frac=1, random_state=1) for name in names}
    found = expected(inputs, features, setting, replace(inputs.tables, **shuffled))
    assert_frame_equal(found, asked_anew, check_exact=True)


def test_where_nothing_is_known_there_is_an_empty_frame_of_the_same_types(
    inputs: Inputs, features: Features, setting: Setting, asked_anew: pd.DataFrame
) -> None:
    found = expected(inputs, features, setting, silent(inputs.tables, *TOLD))
    assert len(found) == 0
    assert_frame_equal(found, asked_anew.iloc[:0])


@pytest.mark.parametrize(("name", "column"), [("bmo", "projects"), ("projections", "openings"), ("signals", "signals")])
def test_a_source_alone_says_what_it_says_and_the_others_are_missing(
    inputs: Inputs, features: Features, setting: Setting, asked_anew: pd.DataFrame, name: str, column: str
) -> None:
    found = expected(inputs, features, setting, silent(inputs.tables, *(other for other in TOLD if other != name)))
    assert found[[other for other in EXPECTED if other != column]].isna().all(axis=None)
    assert (found[column] != 0).any()
    if name != "projections":  # studies are shared out by the projects of the survey: without one, occupations have others
        both = found.merge(asked_anew, on=KEY, how="left", validate="one_to_one", suffixes=("", "_of_all"))
        assert both[column].to_numpy() == pytest.approx(both[f"{column}_of_all"].to_numpy(), abs=1e-12)
        sums, of_all = (rows.groupby("period")[column].sum() for rows in (found, asked_anew))
        assert sums.to_dict() == pytest.approx(of_all[sums.index].to_dict(), rel=1e-12)


def test_silence_before_a_source_spoke_is_missing_and_after_it_is_none(
    inputs: Inputs, features: Features, asked_anew: pd.DataFrame
) -> None:
    ends = {month: pd.Period(month, "M").end_time for month in asked_anew["period"].unique()}
    for name, column in (("bmo", "projects"), ("signals", "signals")):
        first = inputs.tables.frame(CONTRACT[name])["known_from"].min()
        for month, rows in asked_anew.groupby("period"):
            spoken = first <= ends[str(month)]
            assert rows[column].notna().all() if spoken else rows[column].isna().all(), (month, column)
    before = asked_anew["signals"].isna()
    assert before.any()
    assert not before.all()
    asked = features.seen.survey.occupations.set_index(CELL).index
    unasked = asked_anew[asked_anew["period"] == LAST].set_index(CELL).drop(index=asked)
    assert len(unasked) > 0
    assert (unasked["projects"] == 0).all()
