"""A territory whose tasks fail is named and left out; the others are served as if nobody lived there."""

from __future__ import annotations

from functools import partial

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from match_frames import drawn, market_of
from pandas.testing import assert_frame_equal
from pathway_frames import ties

from models.matching import MatchingParams
from models.pathways import PathwayParams, Stairs, build_stairs
from needs.params import ExecutionParams, Params
from needs.run.serving import Served, TerritoriesFailed, serve, united

PARAMS = Params(matching=MatchingParams(candidates=10))
same = partial(assert_frame_equal, check_exact=True)
Market = tuple[pd.DataFrame, Stairs]


@pytest.fixture(scope="module")
def market() -> Market:
    """People of four territories and of none, and what may follow what among 60 courses."""
    made = drawn(5, people=160, sessions=60)
    courses = made.known.courses.assign(exit_level=made.known.courses["entry_level"], completion=0.8)
    stairs = build_stairs(
        market_of(made.known._replace(courses=courses)), PathwayParams(), ties("given", {}), ties("asked", {})
    )
    return made.people, stairs


def break_them(people: pd.DataFrame, *territories: str) -> pd.DataFrame:
    """Write a word where kilometres should be, for one person of each territory."""
    first = people[people["territory"].isin(territories)].drop_duplicates("territory").index
    return people.assign(mobility_km=people["mobility_km"].astype("object").where(~people.index.isin(first), "Paul's car"))


def assert_served_alike(left: Served, right: Served) -> None:
    for ours, theirs in ((left.told, right.told), (left.missed, right.missed), (left.matched.people, right.matched.people)):
        same(ours, theirs, check_dtype=False)
    assert left.matched.granted.prices.tobytes() == right.matched.granted.prices.tobytes()


@pytest.mark.parametrize("bad", [("BE4415",), ("BE4205", "BE4430")])
def test_territories_that_fail_are_named_and_the_others_served_as_if_nobody_lived_there(
    market: Market, bad: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    people, stairs = market
    served = serve(break_them(people, *bad), stairs, PARAMS)
    assert sorted(failed.territory for failed in served.failed) == list(bad)
    assert {failed.error for failed in served.failed} == {"ValueError"}
    assert all(failed.where.startswith("market.py:") for failed in served.failed)
    others = serve(people[~people["territory"].isin(bad)], stairs, PARAMS)
    assert not others.failed
    assert_served_alike(served, others)
    assert 0 < served.told["person"].nunique() < len(people)
    assert "Paul" not in caplog.text
    assert "market.py" in caplog.text


def test_nothing_is_served_where_nothing_is_to_be_published_without_some(market: Market) -> None:
    people, stairs = market
    strict = PARAMS.model_copy(update={"execution": ExecutionParams(failing_territories="publish_nothing")})
    with pytest.raises(TerritoriesFailed, match=r"BE4415: ValueError in market\.py:(?s:.*)Nothing is published") as caught:
        serve(break_them(people, "BE4415"), stairs, strict)
    assert (caught.value.exit_code, [failed.territory for failed in caught.value.failed]) == (4, ["BE4415"])


def test_when_every_territory_fails_the_code_or_what_they_share_is_at_fault(market: Market) -> None:
    people, stairs = market
    known = people[people["territory"].notna()]
    with pytest.raises(TerritoriesFailed, match="Every territory failed"):
        serve(break_them(known, *known["territory"].unique()), stairs, PARAMS)


@pytest.mark.parametrize("workers", [1, 2])
def test_how_many_serve_changes_nothing(market: Market, workers: int) -> None:
    people, stairs = market
    params = PARAMS.model_copy(update={"execution": ExecutionParams(workers=workers)})
    assert_served_alike(
        serve(people.sample(frac=1, random_state=1).sort_values("person"), stairs, params), serve(people, stairs, PARAMS)
    )


def test_nobody_to_serve_is_served_nothing(market: Market) -> None:
    people, stairs = market
    served = serve(people.head(0), stairs, PARAMS)
    assert (len(served.told), len(served.missed), served.failed) == (0, 0, ())


@given(st.lists(st.lists(st.text(max_size=3), max_size=8), min_size=1, max_size=5))
def test_texts_set_one_below_the_other_are_held_once_and_in_order(parts: list[list[str]]) -> None:
    cells = [pd.Series(each, dtype="str").astype("category") for each in parts]
    told = united(cells)
    assert told.tolist() == [text for each in parts for text in each]
    assert told.categories.tolist() == sorted({text for each in parts for text in each}, key=str.encode)
