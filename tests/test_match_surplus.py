"""What any course would truly bring anybody: the same as the oracle was told, whoever asks."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from needs.twin import simulate
from needs.twin.simulated import Simulated
from needs.twin.surplus import KnownTruth, allowed_pairs, best_surplus, read_truth, true_surplus

pytestmark = pytest.mark.long

WORLD, SEED = "congestion", 3


@cache
def drawn() -> Simulated:
    return simulate(WORLD, scale="tiny", seed=SEED)


@cache
def known() -> KnownTruth:
    return read_truth(drawn().home, world=WORLD, scale="tiny", seed=SEED)


def oracle() -> pd.DataFrame:
    return drawn().truth("matches").rename(columns={"lheo": "session"})


def some_people(count: int = 40) -> pd.Series:
    return known().people["person"].sort_values().head(count)


def test_the_surplus_is_that_of_the_oracle() -> None:
    told = true_surplus(known(), oracle())
    assert len(told) == len(oracle()) > 50
    np.testing.assert_allclose(told["surplus"], oracle()["surplus"], rtol=1e-5)
    np.testing.assert_allclose(told["surplus"], told["gain"] * told["goes"])


def test_the_people_of_the_truth_have_the_rates_that_were_written() -> None:
    people, (work, _) = known().people, known().intercepts
    np.testing.assert_allclose(known().effects.rate(people, work), people["rate"])


def test_what_the_oracle_matched_is_allowed_and_no_better_than_the_best() -> None:
    matched = oracle()
    allowed = allowed_pairs(known())
    assert len(matched.merge(allowed, on=["person", "session"], how="inner", validate="one_to_one")) == len(matched)
    best = best_surplus(known(), matched["person"], 1).set_index("person")["surplus"]
    both = matched.set_index("person")["surplus"]
    assert (best.reindex(both.index) >= both * (1 - 1e-5)).all()


def test_nobody_is_allowed_what_lies_too_far_or_begins_too_soon() -> None:
    allowed = allowed_pairs(known(), some_people(300))
    people, courses = known().people.set_index("person"), known().courses.set_index("lheo")
    assert (allowed["distance_km"] <= allowed["person"].map(people["mobility_km"])).all()
    fixed = allowed[~allowed["session"].map(courses["permanent"])]
    assert (fixed["session"].map(courses["starts"]) >= fixed["person"].map(people["available"])).all()
    assert not allowed["person"].map(people["opposition"]).any()


def test_order_and_neighbours_change_no_surplus() -> None:
    pairs = allowed_pairs(known(), some_people())
    shuffled = pairs.sample(frac=1.0, random_state=1).reset_index(drop=True)
    back = true_surplus(known(), shuffled).sort_values(["person", "session"], ignore_index=True)
    one_by_one = pd.concat([true_surplus(known(), pairs[pairs["person"] == name]) for name in pairs["person"].unique()])
    told = true_surplus(known(), pairs).sort_values(["person", "session"], ignore_index=True)
    assert_frame_equal(back, told)
    assert_frame_equal(one_by_one.sort_values(["person", "session"], ignore_index=True), told)


@pytest.mark.parametrize("k", [1, 3])
def test_the_best_are_the_best_of_all_that_is_allowed(k: int) -> None:
    best = best_surplus(known(), some_people(), k)
    every = true_surplus(known(), allowed_pairs(known(), some_people()))
    assert best["surplus"].gt(0).all()
    for person, rows in every.groupby("person"):
        wanted = rows["surplus"].clip(lower=0.0).nlargest(k).loc[lambda found: found > 0]
        np.testing.assert_allclose(best.loc[best["person"] == person, "surplus"], wanted)


def test_who_or_what_the_truth_does_not_hold_is_left_out() -> None:
    strangers = pd.DataFrame(
        {"person": ["nobody", oracle()["person"].iloc[0]], "session": [oracle()["session"].iloc[0], "none"]}
    )
    assert true_surplus(known(), strangers).empty
    assert allowed_pairs(known(), ["nobody"]).empty
    assert best_surplus(known(), ["nobody"], 3).empty
