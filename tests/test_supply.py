"""Laws of the people looking for work: sums near the truth, nobody told of, a territory as it is in the whole."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from features import facts
from features.publics import PublicParams, mark_publics
from features.supply import (
    JOBSEEKER_CELL,
    SupplyParams,
    available_people,
    count_jobseekers,
    latest_people,
    round_along,
    share_places,
)
from features.tables import CONTRACT, JOBSEEKERS
from features.vocabulary import PUBLICS

DAY = pd.Timestamp("2026-03-31")
PARAMS, PUBLIC = SupplyParams(), PublicParams()
PLACES = [("BE4441", "D67"), ("BE4446", "D67"), ("BE4446", "D68"), (None, None)]


def crowd(size: int, seed: int = 0) -> pd.DataFrame:
    """Draw jobseekers of two observation dates, some of whom say little. One row per person and date."""
    rng = np.random.default_rng(seed)
    place = rng.choice(len(PLACES), size, p=[0.5, 0.3, 0.17, 0.03])
    drawn = {
        "person": [f"P{k:05d}" for k in range(size)],
        "known_from": rng.choice([DAY, DAY - pd.DateOffset(years=1)], size, p=[0.7, 0.3]),
        "territory": [PLACES[k][0] for k in place],
        "department": [PLACES[k][1] for k in place],
        "wanted": rng.choice(["A1101", "A1201", "K2204", None], size, p=[0.5, 0.3, 0.15, 0.05]),
        "last_occupation": rng.choice(["A1101", "A1201", "K2204", None], size),
        "level": rng.choice([2, 3, 4, 5, None], size),
        "unemployed_months": rng.integers(0, 40, size),
        "birth_year": rng.integers(1960, 2008, size),
        "rsa": rng.random(size) < 0.2,
    }
    return pd.DataFrame({c.name: pd.Series(drawn.get(c.name, [None] * size), dtype=c.dtype) for c in JOBSEEKERS.columns})


def test_a_territory_and_public_has_its_people_within_half_a_step() -> None:
    jobseekers = crowd(3000)
    told = count_jobseekers(jobseekers, PUBLIC, PARAMS)
    assert_frame_equal(told, told.sort_values(JOBSEEKER_CELL, ignore_index=True))
    people = latest_people(jobseekers)
    flags = mark_publics(people, PUBLIC)
    recent = (people["unemployed_months"] < PARAMS.flow_months).astype(bool)
    for public in PUBLICS:
        inside = people["territory"].where(flags[public])
        for measure, truth in (
            (told["people"], inside.value_counts()),
            (told["entries"] * PARAMS.flow_months, inside[recent].value_counts()),
        ):
            sums = measure[told["public"] == public].groupby(told["territory"]).sum()
            assert (sums.sub(truth, fill_value=0.0).abs() <= PARAMS.rounding / 2).all(), public
    assert set(told.loc[told["public"] == "tout_public", "occupation"]) == {"A1101", "A1201", "K2204", ""}
    assert "" in set(told["level"])


def test_no_count_tells_of_one_person() -> None:
    told = count_jobseekers(crowd(200), PUBLIC, PARAMS)
    assert (told["people"] % PARAMS.rounding == 0).all()
    assert np.allclose((told["entries"] * PARAMS.flow_months) % PARAMS.rounding, 0.0)
    one = crowd(1).assign(territory="BE4441", department="D67")
    assert count_jobseekers(one, PUBLIC, PARAMS).empty


def test_without_rounding_every_person_is_where_it_is() -> None:
    jobseekers = crowd(500)
    told = count_jobseekers(jobseekers, PUBLIC, PARAMS.model_copy(update={"rounding": 1}))
    people = latest_people(jobseekers).query("territory == 'BE4446' and wanted == 'A1201' and level < 4")
    rows = told.query("territory == 'BE4446' and occupation == 'A1201' and public == 'infra4'")
    assert len(people) > 5
    assert rows["people"].sum() == len(people)


def test_a_territory_alone_is_as_in_the_whole_whatever_the_order() -> None:
    jobseekers = crowd(2000)
    whole = count_jobseekers(jobseekers, PUBLIC, PARAMS)
    alone = count_jobseekers(jobseekers[jobseekers["territory"] == "BE4446"], PUBLIC, PARAMS)
    assert_frame_equal(alone, whole[whole["territory"] == "BE4446"].reset_index(drop=True))
    assert_frame_equal(count_jobseekers(jobseekers.sample(frac=1.0, random_state=3), PUBLIC, PARAMS), whole)


def test_only_the_latest_list_counts() -> None:
    jobseekers = crowd(500)
    latest = jobseekers[jobseekers["known_from"] == DAY]
    assert_frame_equal(count_jobseekers(jobseekers, PUBLIC, PARAMS), count_jobseekers(latest, PUBLIC, PARAMS))


def test_without_a_list_there_is_nobody() -> None:
    nobody = CONTRACT["jobseekers"].empty()
    told = count_jobseekers(nobody, PUBLIC, PARAMS)
    assert told.empty
    assert told.dtypes.astype("str").to_dict() == count_jobseekers(crowd(500), PUBLIC, PARAMS).dtypes.astype("str").to_dict()
    assert available_people(nobody, PARAMS).empty


def test_who_can_do_the_job_wanted_is_a_part_of_those_who_want_it() -> None:
    jobseekers, exact = crowd(2000), PARAMS.model_copy(update={"rounding": 1})
    cells = ["territory", "department", "occupation"]
    able = available_people(jobseekers, exact).set_index(cells)["supply"]
    wanting = count_jobseekers(jobseekers, PUBLIC, exact).query("public == 'tout_public'").groupby(cells)["entries"].sum()
    assert len(able) > 5
    assert (able <= wanting.reindex(able.index) + 1e-9).all()


@given(st.lists(st.integers(0, 40), min_size=1, max_size=40), st.integers(1, 20))
@settings(max_examples=60, deadline=None)
def test_every_sum_from_the_first_is_within_half_a_step(counts: list[int], step: int) -> None:
    exact = pd.Series(counts, dtype="float64")
    told = round_along(exact, pd.DataFrame({"territory": ["BE4441"] * len(counts)}), step)
    assert (told % step == 0).all()
    assert (told >= 0).all()
    assert ((told.cumsum() - exact.cumsum()).abs() <= step / 2).all()


def test_every_place_is_shared_whole_over_its_own_cells() -> None:
    communes = facts.communes()
    shares = share_places(communes)
    assert (shares.groupby("place")["share"].sum() - 1).abs().max() < 1e-12
    assert {code[:2] for code in shares["place"]} == {"BE", "ZE", "MR", "D0", "D1", "D5", "D6", "D8", "R4"}
    department = shares[shares["place"] == "D67"]
    assert set(department["department"]) == {"D67"}
    people = communes.query("department == 'D67'").groupby("territory")["population"].sum()
    assert department.set_index("territory")["share"].to_dict() == pytest.approx((people / people.sum()).to_dict())
    empty = share_places(communes.assign(population=0.0))
    assert (empty.groupby("place")["share"].sum() - 1).abs().max() < 1e-12
