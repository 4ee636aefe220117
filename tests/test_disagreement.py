"""Sources held against each other: laws of scale, order and agreement, and a source that errs is the one that is found."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from features.crosswalks import build_crosswalks, sector_links
from features.disagreement import (
    DisagreementParams,
    SourceParams,
    claim_changes,
    compare_sources,
    disagree,
    sector_disagreement,
)
from features.tables import CONTRACT

CELL = ["territory", "department", "occupation"]
PARAMS = DisagreementParams()
SCALES = {"vacancies": 0.5, "bmo": 1.4, "hires": 0.2}
OCCUPATIONS = ("A1101", "F1602", "J1501", "K1302", "N4101")


def world(seed: int = 1, cells: int = 60, **errors: float) -> pd.DataFrame:
    """Sources that count the same need on scales of their own, each with an error of its own. One row per cell, source."""
    rng = np.random.default_rng(seed)
    need = rng.lognormal(4, 1, cells)
    place = pd.DataFrame(
        {
            "territory": [f"BE44{number // 5 + 2:02d}" for number in range(cells)],
            "department": "D67",
            "occupation": [OCCUPATIONS[number % 5] for number in range(cells)],
        }
    )
    counts = {
        name: rng.poisson(need * scale * np.exp(errors.get(name, 0.0) * rng.normal(size=cells))).astype("float64")
        for name, scale in SCALES.items()
    }
    return pd.concat([place.assign(source=name, value=n, n=n, age_years=0.0) for name, n in counts.items()], ignore_index=True)


def exact(cells: int = 20) -> pd.DataFrame:
    """Sources that agree to the last digit but for their scales. One row per cell, source."""
    one = world(cells=cells).query("source == 'vacancies'").assign(value=lambda t: t["n"] + 1)
    return pd.concat([one.assign(source=name, value=one["value"] * scale) for name, scale in SCALES.items()], ignore_index=True)


def test_sources_that_agree_have_no_sign_whatever_their_scales():
    compared = compare_sources(exact(), PARAMS)
    assert (compared["sign"] == 0).all()
    assert compared["ratio"].to_numpy() == pytest.approx(0, abs=1e-9)
    assert compared["agreed"].to_numpy() == pytest.approx(compared["value"].to_numpy())
    told = compared.groupby("source")["scale"].first()
    assert told.to_dict() == pytest.approx({name: scale / SCALES["vacancies"] for name, scale in SCALES.items()})
    cells = disagree(compared)
    assert (cells["disagreement"] == 0).all()
    assert cells["most_apart"].isna().all()
    anchor = exact().query("source == 'vacancies'").sort_values(CELL)
    assert cells["value"].to_numpy() == pytest.approx(anchor["value"].to_numpy())


@given(factor=st.floats(0.01, 100), name=st.sampled_from(list(SCALES)))
@settings(max_examples=8, deadline=None)
def test_scaling_a_whole_source_changes_nothing_but_its_scale(factor, name):
    told = world(bmo=0.5)
    scaled = told.assign(value=told["value"].mask(told["source"] == name, told["value"] * factor))
    before, after = (compare_sources(each, PARAMS) for each in (told, scaled))
    steady = ["ratio", "noise", "weight"]
    assert after[steady].to_numpy() == pytest.approx(before[steady].to_numpy(), abs=1e-9)
    assert after["sign"].equals(before["sign"])
    figures = [*CELL, "n", "sources", "disagreement", "known", "most_apart"]
    assert_frame_equal(disagree(after)[figures], disagree(before)[figures])


def test_the_order_of_rows_changes_no_byte():
    told = world(hires=0.6)
    first, second = (compare_sources(each, PARAMS) for each in (told, told.sample(frac=1, random_state=3)))
    assert_frame_equal(first, second, check_exact=True)
    assert_frame_equal(disagree(first), disagree(second.sample(frac=1, random_state=4)), check_exact=True)


def test_weights_add_up_to_one_and_age_and_few_observations_take_weight_away():
    compared = compare_sources(world(), PARAMS)
    assert compared.groupby(CELL)["weight"].sum().to_numpy() == pytest.approx(1)
    old = compare_sources(world().assign(age_years=lambda t: np.where(t["source"] == "bmo", 5.0, 0.0)), PARAMS)
    few = compare_sources(world().assign(n=lambda t: t["n"].where(t["source"] != "bmo", 1.0)), PARAMS)
    before, aged, thin = (each.query("source == 'bmo'")["weight"].to_numpy() for each in (compared, old, few))
    assert (aged < before).all()
    assert (thin < before).all()


@given(moves=st.lists(st.floats(-3, 3), min_size=4, max_size=4), n=st.floats(0, 1000))
@settings(max_examples=10, deadline=None)
def test_adding_a_source_that_agrees_never_raises_disagreement(moves, n):
    told = exact()
    told = told.assign(value=told["value"].mask(told.index < 4, told["value"] * np.exp(pd.Series([*moves, *[0.0] * 56]))))
    before = disagree(compare_sources(told, PARAMS))
    consensus = before[[*CELL, "value"]].assign(source="projections", n=n, age_years=1.0)
    after = disagree(compare_sources(pd.concat([told, consensus], ignore_index=True), PARAMS))
    assert (after["disagreement"] <= before["disagreement"] + 1e-9).all()
    assert (after["sources"] == before["sources"] + 1).all()


def test_the_further_a_source_is_the_more_they_disagree_and_it_is_named():
    steps = []
    for move in (0.0, 0.5, 1.0, 2.0):
        told = exact()
        odd = (told["source"] == "hires") & (told.index % 20 == 7)
        compared = compare_sources(told.assign(value=told["value"].mask(odd, told["value"] * np.exp(move))), PARAMS)
        row = told[odd].iloc[0]
        steps.append(disagree(compared).set_index(CELL).loc[tuple(row[CELL])])
        mine = compared[(compared[CELL] == row[CELL]).all(axis=1)].set_index("source")
        assert mine.loc["hires", "ratio"] == pytest.approx(move, abs=1e-9)
    shares = [step["disagreement"] for step in steps]
    assert shares == sorted(shares)
    assert shares[0] == 0 < shares[-1] < 1
    assert steps[-1]["most_apart"] == "hires"
    assert mine.loc["hires", "sign"] == 1
    assert (mine["ratio"] / mine["noise"]).abs().idxmax() == "hires"


def test_a_source_alone_disagrees_with_nobody_and_says_that_nothing_is_known():
    told = exact()
    first = told[CELL].iloc[0]
    alone = told[(told["source"] == "bmo") | ~(told[CELL] == first).all(axis=1)]
    compared = compare_sources(alone, PARAMS)
    row = compared[(compared[CELL] == first).all(axis=1)].iloc[0]
    assert (row["weight"], row["sign"]) == (1.0, 0)
    assert row[["agreed", "ratio"]].isna().all()
    cell = disagree(compared).set_index(CELL).loc[tuple(first)]
    assert (cell["sources"], cell["disagreement"], cell["known"]) == (1, 0.0, False)
    assert cell["value"] == pytest.approx(row["value"] / row["scale"])


def test_a_source_that_shares_too_few_cells_with_the_anchor_is_not_compared():
    told = exact()
    few = told[(told["source"] != "hires") | (told.index % 20 < 3)]
    compared = compare_sources(few, PARAMS)
    hires = compared[compared["source"] == "hires"]
    assert hires[["scale", "agreed"]].isna().all(axis=None)
    assert (hires["weight"] == 0).all()
    both = few[few["source"] != "hires"]
    assert_frame_equal(disagree(compared), disagree(compare_sources(both, PARAMS)))


def test_where_nothing_was_seen_half_an_observation_is_put_in():
    told = exact()
    none = (told["source"] == "vacancies") & (told.index == 3)
    compared = compare_sources(told.assign(value=told["value"].mask(none, 0.0), n=told["n"].mask(none, 0.0)), PARAMS)
    row = compared[(compared["source"] == "vacancies") & (compared["value"] == 0)].iloc[0]
    rest = told[(told["source"] == "vacancies") & ~none]
    assert row["ratio"] == pytest.approx(np.log(0.5 * rest["value"].sum() / rest["n"].sum() / row["agreed"]))
    assert row["sign"] == -1


def test_without_the_usual_anchor_the_survey_is_one_and_without_both_the_source_with_most_cells():
    compared = compare_sources(exact().query("source != 'vacancies'"), PARAMS)
    assert compared.groupby("source")["scale"].first().to_dict() == pytest.approx({"hires": 1 / 7, "bmo": 1.0})
    others = exact().query("source != 'vacancies'").replace({"source": {"bmo": "studies"}})
    compared = compare_sources(others[others["source"] != "hires"].iloc[1:], PARAMS)
    assert compared.groupby("source")["scale"].first().to_dict() == pytest.approx({"studies": 1.0})


def test_an_anchor_of_a_few_cells_does_not_silence_the_others():
    few = exact().query("source != 'vacancies'")
    few = pd.concat([few, exact().query("source == 'vacancies'").head(2)], ignore_index=True)
    compared = compare_sources(few, PARAMS)
    assert compared.loc[compared["source"] != "vacancies", "weight"].min() > 0


@pytest.mark.parametrize("odd", list(SCALES))
def test_the_source_that_errs_is_the_one_most_often_apart(odd):
    """As in a region with misleading surveys, whichever source misleads."""
    same = PARAMS.model_copy(update={"sources": tuple(SourceParams(name=name, error=0.2) for name in SCALES)})
    for seed in range(3):
        calm, misled = (disagree(compare_sources(world(seed, 300, **errors), same)) for errors in ({}, {odd: 1.0}))
        assert calm["disagreement"].mean() < 0.1
        assert misled["disagreement"].mean() > 4 * calm["disagreement"].mean()
        assert misled["most_apart"].value_counts(normalize=True)[odd] > 0.5


def test_what_signals_expect_is_last_year_moved_and_stands_on_the_scale_of_vacancies():
    told = exact()
    before = told.query("source == 'vacancies'")[[*CELL, "value", "n"]].assign(n=50.0)
    signals = before[CELL].iloc[:3].assign(direction=[2.0, 0.0, -1.0], weight=1.0, age_months=6.0)
    claims = claim_changes(signals, before, PARAMS)
    moved = claims.merge(before, on=CELL, validate="one_to_one", suffixes=("", "_before"))
    step = PARAMS.change_per_step
    assert sorted(moved["value"] / moved["value_before"]) == pytest.approx([1 - step, 1.0, 1 + 2 * step])
    assert claims["n"].to_numpy() == pytest.approx(1 / (1 / 50 + 1))
    compared = compare_sources(pd.concat([told, claims], ignore_index=True), PARAMS)
    scales = compared.groupby("source")["scale"].first()
    assert scales["signals"] == scales["vacancies"] == 1.0


def test_any_grain_is_a_cell():
    told = world().rename(columns={"occupation": "sector"}).assign(level="3").drop(columns="department")
    cells = disagree(compare_sources(told, PARAMS))
    assert list(cells)[:3] == ["territory", "sector", "level"]
    assert len(cells) == 60


def test_a_sector_averages_its_occupations_over_what_was_compared():
    links = sector_links(build_crosswalks(CONTRACT["overrides"].empty(), pd.Timestamp("2026-03-31")))
    cells = disagree(compare_sources(world(hires=1.5), PARAMS))
    sectors = sector_disagreement(cells, links)
    assert not sectors.duplicated(["territory", "sector", "level"]).any()
    assert sectors["disagreement"].between(0, 1).all()
    assert sectors["compared"].to_numpy() == pytest.approx(1)
    rows = cells.merge(links, on="occupation", validate="many_to_many").assign(mass=lambda t: t["value"] * t["weight"])
    key = ["territory", "sector", "level"]
    wanted = rows.assign(part=rows["mass"] * rows["disagreement"]).groupby(key)[["part", "mass"]].sum()
    assert sectors["disagreement"].to_numpy() == pytest.approx((wanted["part"] / wanted["mass"]).to_numpy())
    unknown = sector_disagreement(cells.assign(known=False), links)
    assert unknown["disagreement"].isna().all()
    assert (unknown["compared"] == 0).all()


def test_no_source_gives_no_row():
    compared = compare_sources(world().iloc[:0], PARAMS)
    assert compared.empty
    assert list(compared) == list(compare_sources(world(), PARAMS))
    assert disagree(compared).empty
