"""The same result wherever the search runs: in turn, in threads, in processes, on a cluster; in one part or in many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

import joblib
import numpy as np
import pandas as pd
import pytest
from match_frames import Drawn, drawn

from models.halo import around, back
from models.market import lay_out
from models.matching import Errand, Laid, Matched, MatchingParams, Spread, find_courses, match_people, run_all
from models.pairs import Kept, empty, scan
from needs.run.batch import for_each_part

PARAMS = MatchingParams(candidates=10)


@pytest.fixture(scope="module")
def market() -> Drawn:
    return drawn(11, people=120, sessions=60)


def by_town(people: pd.DataFrame) -> list[pd.DataFrame]:
    return [rows.reset_index(drop=True) for _, rows in people.groupby("commune", dropna=False)]


def match(market: Drawn, parts: list[pd.DataFrame], spread: Spread = run_all) -> Matched:
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
    assert_same(match(market, parts, partial(for_each_part, workers=workers, label="matching")), match(market, parts))


def test_processes_find_what_one_finds(market: Drawn) -> None:
    parts = by_town(market.people)
    with joblib.parallel_config(backend="loky"):
        found = match(market, parts, partial(for_each_part, workers=2, label="matching"))
    assert_same(found, match(market, parts))


def test_a_cluster_finds_what_one_finds(market: Drawn) -> None:
    distributed = pytest.importorskip("distributed")
    parts = by_town(market.people)
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        found = match(market, parts, partial(for_each_part, workers=2, label="matching"))
    assert_same(found, match(market, parts))


def test_where_parts_end_changes_nothing(market: Drawn) -> None:
    whole = market.people
    assert_same(
        match(market, [whole]), match(market, [whole[start : start + 7].reset_index(drop=True) for start in range(0, 120, 7)])
    )


def test_a_halo_changes_nothing(market: Drawn) -> None:
    smaller = 0
    for part in by_town(market.people):
        laid, prices = Laid(*lay_out(part, market.market)), np.linspace(0, 0.05, len(market.market.seats))
        whole = empty(len(part), 10)
        scan(laid.people, market.market.sessions, laid.roads, market.market.tastes, prices.astype(np.float32), whole)
        for ours, theirs in zip(find_courses(laid, market.market, prices, 10), whole, strict=True):
            assert ours.tobytes() == theirs.tobytes()
        smaller += len(around(laid.roads, market.market.sessions, market.market.tastes).position) < len(prices)
    assert smaller >= 1


def test_a_halo_holds_what_is_within_reach_and_tells_it_as_it_stands_among_all(market: Drawn) -> None:
    near = market.people.dropna(subset="latitude").head(1).assign(mobility_km=15.0).reset_index(drop=True)
    laid = Laid(*lay_out(near, market.market))
    halo = around(laid.roads, market.market.sessions, market.market.tastes)
    held = market.market.courses.iloc[halo.position]
    assert 0 < len(held) < len(market.market.courses)
    assert set(held["place_number"]) == set(laid.roads.place)
    found = Kept(np.array([[len(held) - 1, -1]], dtype=np.int32), np.ones((1, 2), np.float32), np.ones((1, 2), np.float32))
    assert back(found, halo).session.tolist() == [[halo.position[-1], -1]]


def test_tasks_are_made_as_they_are_taken(market: Drawn) -> None:
    made: list[int] = []
    taken: list[int] = []

    def watch(task: object, errands: Iterable[Errand]) -> Iterator[Kept]:
        for errand in errands:
            made.append(1)
            yield task(errand)  # type: ignore[operator]
            taken.append(1)
            assert len(made) == len(taken)

    match(market, by_town(market.people), watch)
    assert len(made) > 4
