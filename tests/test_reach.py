"""Laws of what lies within travel reach: one's own counts whole, the near more than the far, both ways alike."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from features import facts
from features.places import great_circle_km
from features.reach import ReachParams, travel_weights, within_reach

COMMUNES = facts.communes()
NOWHERE = pd.DataFrame({"territory": [], "department": []}, dtype="str")
NEAR = ReachParams(reach_km=40.0)


@pytest.fixture(scope="module")
def weights() -> pd.DataFrame:
    return travel_weights(COMMUNES, NOWHERE, NEAR)


def cells(seed: int = 0) -> pd.DataFrame:
    """Draw a measure for each cell, in a few sectors. One row per territory, department, sector."""
    rng = np.random.default_rng(seed)
    places = COMMUNES[["territory", "department"]].drop_duplicates()
    every = places.merge(pd.DataFrame({"sector": ["230", "427"]}, dtype="str"), how="cross")
    return every.assign(need=rng.random(len(every)), supply=1.0).sample(frac=0.8, random_state=seed).reset_index(drop=True)


def test_weights_are_the_same_both_ways_and_one_at_home(weights: pd.DataFrame) -> None:
    own = weights["territory"] == weights["neighbour"]
    assert set(weights.loc[own, "territory"]) == set(COMMUNES["territory"])
    assert (weights.loc[own, "weight"] == 1.0).all()
    assert weights.loc[~own, "weight"].between(0, 1, inclusive="neither").all()
    pairs = weights.set_index(["territory", "neighbour"])[["km", "weight"]]
    assert_frame_equal(pairs.swaplevel().rename_axis(pairs.index.names).sort_index(), pairs.sort_index())


def test_distance_is_that_of_people_not_of_territories(weights: pd.DataFrame) -> None:
    pair = weights[weights["territory"] < weights["neighbour"]].iloc[0]
    here, there = (COMMUNES[COMMUNES["territory"] == pair[side]] for side in ("territory", "neighbour"))
    kilometres = great_circle_km(here, there)
    people = np.outer(here["population"].clip(lower=1), there["population"].clip(lower=1))
    assert pair["km"] == pytest.approx(np.average(kilometres, weights=people), rel=1e-9)
    assert pair["weight"] == pytest.approx(1 - pair["km"] / NEAR.reach_km)


def test_no_pair_within_reach_is_forgotten(weights: pd.DataFrame) -> None:
    """The centres of two territories are never further apart than their people are, on average: they may sort out the far."""
    wider = travel_weights(COMMUNES, NOWHERE, ReachParams(reach_km=60.0))
    inside = wider[(wider["km"] < NEAR.reach_km) | (wider["territory"] == wider["neighbour"])]
    assert_frame_equal(
        inside[["territory", "neighbour", "km"]].reset_index(drop=True), weights[["territory", "neighbour", "km"]]
    )


def test_no_reach_is_ones_own(weights: pd.DataFrame) -> None:
    alone = travel_weights(COMMUNES, NOWHERE, ReachParams(reach_km=0.0))
    rows = within_reach(cells(), alone, ["need"])
    assert (rows["need_reach"] == rows["need"]).all()
    assert rows["need"].sum() == pytest.approx(cells()["need"].sum(), abs=1e-9)


def test_more_reach_never_brings_less_and_never_less_than_ones_own() -> None:
    keys, before = ["territory", "sector"], None
    for reach in (0.0, 25.0, 40.0, 55.0):
        rows = within_reach(cells(), travel_weights(COMMUNES, NOWHERE, ReachParams(reach_km=reach)), ["need", "supply"])
        now = rows.set_index(keys)["need_reach"]
        assert (rows["need_reach"] >= rows["need"] - 1e-12).all()
        assert before is None or (now.reindex(before.index) >= before - 1e-12).all()
        before = now


def test_what_is_reached_is_what_all_reach_by_weight(weights: pd.DataFrame) -> None:
    rows = within_reach(cells(), weights, ["need"])
    lent = weights.groupby("neighbour")["weight"].sum()
    own = cells().groupby("territory")["need"].sum()
    assert rows["need_reach"].sum() == pytest.approx((own * lent.reindex(own.index)).sum(), abs=1e-9)


def test_a_neighbour_brings_what_a_territory_lacks(weights: pd.DataFrame) -> None:
    pair = weights[weights["territory"] != weights["neighbour"]].iloc[0]
    only = pd.DataFrame({"territory": [pair["neighbour"]], "department": ["D67"], "sector": ["230"], "need": [10.0]})
    rows = within_reach(only, weights, ["need"]).set_index("territory")
    assert rows.loc[pair["territory"], ["need", "need_reach"]].tolist() == [0.0, pytest.approx(10 * pair["weight"])]
    assert set(rows.index) == set(weights.loc[weights["neighbour"] == pair["neighbour"], "territory"])


def test_what_touches_the_region_stands_at_the_centre_of_its_departement() -> None:
    outside = pd.DataFrame({"territory": ["BE2701", "BE2701", "BE9901"], "department": ["D52", "D88", "D99"]})
    weights = travel_weights(COMMUNES, outside, ReachParams(reach_km=60.0))
    rough = weights[weights["approximate"]]
    assert set(rough["territory"]) > {"BE2701", "BE9901"}
    assert ((rough["territory"] == "BE2701") | (rough["neighbour"] == "BE2701") | (rough["territory"] == "BE9901")).all()
    assert rough.query("territory == 'BE9901'")["neighbour"].tolist() == ["BE9901"]
    assert not weights.query("territory == 'BE4441'")["approximate"].all()


def test_row_order_does_not_matter_and_nothing_is_nothing(weights: pd.DataFrame) -> None:
    turned = travel_weights(COMMUNES.iloc[::-1], NOWHERE, NEAR)
    assert_frame_equal(turned, weights, check_exact=True)
    rows = within_reach(cells(), weights, ["need"])
    assert_frame_equal(within_reach(cells().iloc[::-1], weights, ["need"]), rows, check_exact=True)
    nothing = within_reach(cells().head(0), weights, ["need"])
    assert nothing.empty
    assert nothing.dtypes.to_dict() == rows.dtypes.to_dict()
