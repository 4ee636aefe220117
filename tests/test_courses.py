"""Laws of the courses that can be proposed: where they are held, and whether anyone but the trainee pays."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal, assert_series_equal

from features import facts
from features.courses import CourseParams, list_courses, place_of
from features.people import list_people
from features.publics import PublicParams
from features.tables import CATALOGUE, JOBSEEKERS

DAY = pd.Timestamp("2026-03-31")
PARAMS = CourseParams()
KEHL, METZ, VESOUL, ARLON, LILLE = (48.573, 7.815), (49.119, 6.176), (47.62, 6.155), (49.683, 5.817), (50.63, 3.06)


def catalogue(*sessions: dict[str, object]) -> pd.DataFrame:
    """Write sessions of one export. One row per session."""
    usual = {"known_from": DAY, "formacode": "23026", "entry_level_binds": False, "permanent": False}
    rows = pd.DataFrame([{"session": f"S{n}", **usual, **said} for n, said in enumerate(sessions)])
    empty = CATALOGUE.empty()
    return rows.reindex(columns=empty.columns).astype(empty.dtypes.to_dict())


def placed(place: tuple[float, float], **said: object) -> dict[str, object]:
    return {"latitude": place[0], "longitude": place[1], **said}


def sides(*sessions: dict[str, object]) -> list[str]:
    return list_courses(catalogue(*sessions), facts.communes(), PARAMS)["place"].tolist()


@pytest.mark.parametrize(
    ("session", "side"),
    [
        ({"commune": "C67482", "territory": "BE4441"}, "here"),
        (placed(METZ), "here"),
        (placed(VESOUL), "region"),
        (placed(VESOUL, commune="C70550"), "region"),
        (placed(LILLE), "region"),
        (placed(KEHL), "abroad"),
        (placed(ARLON), "abroad"),
        (placed(METZ, commune="C99109"), "abroad"),  # the number of a country, whatever the point says
        (placed(KEHL, commune="C67482", territory="BE4441"), "here"),
        (placed(KEHL, commune="C70550"), "region"),
    ],
)
def test_the_commune_says_where_a_course_is_held_else_what_lies_nearest(session: dict[str, object], side: str) -> None:
    assert sides(session) == [side]


@pytest.mark.parametrize(
    ("table", "side"),
    [
        (facts.communes(), "here"),
        (facts.borders(), "abroad"),
        (facts.centres().query("department not in @known", local_dict={"known": [*facts.communes()["department"]]}), "region"),
    ],
)
def test_a_point_lies_where_the_place_it_stands_on_does(table: pd.DataFrame, side: str) -> None:
    points = table[["latitude", "longitude"]].assign(commune=None, territory=None).astype({"commune": "str"})
    assert (place_of(points, facts.communes()) == side).all()


@pytest.mark.long
@settings(deadline=None, max_examples=20)
@given(st.permutations(range(6)))
def test_the_order_of_courses_does_not_move_them(order: list[int]) -> None:
    points = [placed(place) for place in (KEHL, METZ, VESOUL, ARLON, LILLE)]
    rows = catalogue(*points, {"commune": "C67482", "territory": "BE4441"})
    assert_frame_equal(list_courses(rows.iloc[order], facts.communes(), PARAMS), list_courses(rows, facts.communes(), PARAMS))
    shuffled = place_of(rows.iloc[order], facts.communes())
    assert_series_equal(shuffled.sort_index(), place_of(rows, facts.communes()))


@pytest.mark.parametrize(
    ("funders", "funded"), [("10", False), ("2", True), ("2|10", True), ("10|16", True), ("100", True), (None, True)]
)
def test_a_course_is_unfunded_only_where_the_trainee_is_said_to_pay_alone(funders: str | None, funded: bool) -> None:
    listed = list_courses(catalogue(placed(METZ, funders=funders)), facts.communes(), PARAMS)
    assert listed["funded"].tolist() == [funded]
    assert listed["funded"].dtype == bool


def test_a_column_that_nobody_knows_passes_and_nobody_is_listed_with_sex_or_age() -> None:
    told = list_courses(catalogue(placed(METZ)).assign(mood="gay"), facts.communes(), PARAMS)
    assert told["mood"].tolist() == ["gay"]
    row = {"person": "P1", "known_from": DAY, "commune": "C67482", "licence": True, "skills": "100|200", "birth_year": 1990}
    empty = JOBSEEKERS.empty()
    people = pd.DataFrame([row]).reindex(columns=empty.columns).astype(empty.dtypes.to_dict())
    listed = list_people(people.assign(allowance_ends=DAY), facts.communes(), PublicParams())
    assert listed.loc[0, ["licence", "skills", "allowance_ends"]].tolist() == [True, "100|200", DAY]
    assert not {"sex", "birth_year"} & {*listed.columns}
    assert np.isfinite(listed[["latitude", "longitude"]]).all(axis=None)
