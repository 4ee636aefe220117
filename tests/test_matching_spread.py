"""The same result wherever the search runs: in turn, in threads, in processes; in one part or in many."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from match_frames import Drawn, drawn

from models import matching
from models.market import lay_out
from models.matching import Asked, Goods, Laid, Matched, MatchingParams, find_courses, find_some, match_people
from models.spread import Spread, in_turn
from needs.run.batch import Crew
from needs.run.engine import engine

PARAMS = MatchingParams(candidates=10)


@pytest.fixture(scope="module")
def market() -> Drawn:
    return drawn(11, people=120, sessions=60)


@pytest.fixture(autouse=True)
def _nobody_is_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spread every search, however few people it is for."""
    monkeypatch.setattr(matching, "_FEW", 0)


def by_town(people: pd.DataFrame) -> list[pd.DataFrame]:
    return [rows.reset_index(drop=True) for _, rows in people.groupby("commune", dropna=False)]


def match(market: Drawn, parts: list[pd.DataFrame], spread: Spread = in_turn) -> Matched:
    return match_people(parts, market.market, PARAMS, spread)


def assert_same(left: Matched, right: Matched) -> None:
    arrays = (
        (m.lists, m.room, *m.kept, m.granted.column, m.granted.prices, np.array([m.granted.worth, m.gap]))
        for m in (left, right)
    )
    for ours, theirs in zip(*arrays, strict=True):
        assert ours.tobytes() == theirs.tobytes()


@pytest.mark.parametrize("workers", [1, 2])
def test_threads_find_what_one_finds(market: Drawn, workers: int) -> None:
    parts = by_town(market.people)
    assert len(parts) > 4
    assert_same(match(market, parts, Crew(workers, "matching")), match(market, parts))


def test_processes_find_what_one_finds(market: Drawn) -> None:
    parts = by_town(market.people)
    with engine("processes", "", 2):
        found = match(market, parts, Crew(2, "matching"))
    assert_same(found, match(market, parts))


def test_where_parts_end_changes_nothing(market: Drawn) -> None:
    whole = market.people
    assert_same(
        match(market, [whole]), match(market, [whole[start : start + 7].reset_index(drop=True) for start in range(0, 120, 7)])
    )


def test_who_is_looked_for_alone_is_found_what_they_are_found_among_others(market: Drawn) -> None:
    laid, prices = Laid(*lay_out(market.people, market.market)), np.linspace(0, 0.05, len(market.market.seats))
    goods = Goods(market.market.sessions, market.market.tastes)
    among = find_courses(laid, market.market, prices, 10)
    for some in ([], [3], [117, 0, 42], range(120)):
        who = np.array(some, dtype=np.int64)
        alone = find_some(laid, goods, prices.astype(np.float32), Asked(who, 10))
        for ours, theirs in zip(alone, among, strict=True):
            assert ours.tobytes() == theirs[who].tobytes()
    assert (among.session >= 0).any(axis=1).mean() > 0.5


def test_few_people_are_found_here_what_they_are_found_elsewhere(market: Drawn, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = by_town(market.people)
    spread = match(market, parts)
    monkeypatch.setattr(matching, "_FEW", 60)
    assert_same(match(market, parts), spread)
