"""Where tasks run changes nothing; what a worker takes with it is done again; a task that fails is named, and alone."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from engine_tasks import Killer, ask_within, die, die_once, errands, fail, short_once, square, square_of_held
from match_frames import drawn

from features.errors import InputError
from models import matching
from models.matching import Matched, MatchingParams, match_people
from needs.run.batch import Crew, ErrandsFailed, split
from needs.run.engine import engine
from processes import run

pytestmark = pytest.mark.long

ROOT = Path(__file__).parent.parent
SQUARES = [number * number for number in range(8)]
PARAMS = MatchingParams(candidates=10)
distributed = pytest.importorskip("distributed")
dask = pytest.importorskip("dask")


def cluster(workers: int) -> object:
    """A scheduler on this machine, and worker processes."""
    return distributed.LocalCluster(
        n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs="CRITICAL"
    )


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """A cluster of two worker processes, that gives a task up when a second worker dies of it."""
    with dask.config.set({"distributed.scheduler.allowed-failures": 1}), cluster(2) as made:
        yield made.scheduler_address


@pytest.fixture(params=["local", "processes", "dask"])
def anywhere(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each engine in turn."""
    address = request.getfixturevalue("scheduler") if request.param == "dask" else ""
    with engine(request.param, address, 2):
        yield request.param


def test_results_come_in_the_order_of_the_errands(anywhere: str) -> None:
    assert list(Crew(2, "squares")(square, errands())) == SQUARES


def test_what_is_held_reaches_every_task(anywhere: str) -> None:
    crew = Crew(2, "squares")
    assert list(crew(square_of_held, errands(crew.hold(np.array(SQUARES))))) == SQUARES


def test_a_failing_task_is_named_when_all_others_were_tried_and_says_nothing_of_what_it_held(anywhere: str) -> None:
    made = []
    with pytest.raises(ErrandsFailed) as caught:
        made.extend(Crew(2, "squares")(fail, errands(frozenset({2, 5}))))
    assert made == [0, 1]
    assert set(caught.value.failures) == {("BE0002",), ("BE0005",)}
    failure = caught.value.failures["BE0005",]
    assert (failure.error, failure.where.split(":")[0]) == ("ValueError", "engine_tasks.py")
    assert failure.where.endswith("(fail)")
    assert "of 5" not in f"{caught.value} {failure}"


@pytest.mark.parametrize("anywhere", ["processes", "dask"], indirect=True)
def test_a_killed_worker_costs_a_retry(anywhere: str, tmp_path: Path) -> None:
    crew, guard = Crew(2, "squares"), tmp_path / "died"
    held = crew.hold(np.array(SQUARES))
    assert list(crew(die_once, errands(guard))) == SQUARES
    assert guard.exists()
    assert list(crew(square_of_held, errands(held))) == SQUARES


@pytest.mark.parametrize("anywhere", ["processes", "dask"], indirect=True)
def test_a_task_that_kills_every_worker_fails_alone(anywhere: str) -> None:
    with pytest.raises(ErrandsFailed) as caught:
        list(Crew(2, "squares")(die, errands()))
    assert set(caught.value.failures) == {("BE0003",)}
    assert caught.value.failures["BE0003",].where == "its worker"
    assert list(Crew(2, "squares")(square, errands())) == SQUARES


def test_a_worker_killed_in_the_middle_changes_no_byte_of_what_is_matched(
    anywhere: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matching, "_FEW", 0)
    market = drawn(11, people=120, sessions=60)
    parts = [rows.reset_index(drop=True) for _, rows in market.people.groupby("commune", dropna=False)]
    spread = Crew(2, "matching") if anywhere == "local" else Killer(2, str(tmp_path / "died"))
    assert_same(match_people(parts, market.market, PARAMS, spread), match_people(parts, market.market, PARAMS))
    assert (anywhere == "local") != (tmp_path / "died").exists()


def assert_same(left: Matched, right: Matched) -> None:
    arrays = (
        (m.lists, m.room, *m.kept, m.granted.column, m.granted.prices, np.array([m.granted.worth, m.gap]))
        for m in (left, right)
    )
    for ours, theirs in zip(*arrays, strict=True):
        assert ours.tobytes() == theirs.tobytes()


def test_who_found_no_memory_among_others_is_tried_alone(anywhere: str, tmp_path: Path) -> None:
    assert list(Crew(2, "squares")(short_once, errands(tmp_path / "short"))) == SQUARES
    assert (tmp_path / "short").exists()


def test_a_task_that_asks_for_more_memory_than_there_is_fails_alone() -> None:
    ended = run(ask_within, 512, 2)
    assert (ended.code, ended.out) == (0, f"{SQUARES[:7]} [(('BE0007',), 'MemoryError')]")


def test_territories_share_parts_unless_they_are_to_be_alone() -> None:
    people = drawn(3, people=90).people
    parts = split(people, 20, {"BE4430"})
    assert sum(map(len, parts)) == 90
    assert [set(part["territory"]) for part in parts if (part["territory"] == "BE4430").any()] == [{"BE4430"}]
    assert all(len(part) >= 20 for part in parts if set(part["territory"]) != {"BE4430"} and part is not parts[-1])
    assert [person for part in parts for person in part["person"]] == list(
        people.sort_values("territory", kind="stable")["person"]
    )


# What is refused --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["", "10.0.0.5:8786", "http://10.0.0.5:8786", "tcp://10.0.0.5"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(InputError, match=r"no address of a scheduler.*tcp://10\.0\.0\.5:8786"), engine("dask", address, 2):
        pass


def test_a_scheduler_that_does_not_answer_is_refused_with_what_to_check() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(InputError, match=r"No scheduler answers at .* Check that"), engine("dask", address, 2):
            pass


def test_an_engine_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="Write one of local, processes, dask"), engine("spark", "", 2):  # type: ignore[arg-type]
        pass


def test_workers_that_are_not_there_or_hold_other_code_are_refused(tmp_path: Path) -> None:
    for room in ("features", "models", "needs"):
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "needs" / "run" / "lock.py").open("a").write("# other\n")
    with cluster(0) as made:
        address = made.scheduler_address
        with pytest.raises(InputError, match=r"has no worker\. Start some: dask worker"), engine("dask", address, 2):
            pass
        command = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-nanny", "--dashboard-address", ":0"]
        other = {**os.environ, "PYTHONPATH": str(tmp_path)}
        with subprocess.Popen(command, env=other, cwd=tmp_path, stderr=subprocess.DEVNULL) as worker:
            made.wait_for_workers(1)
            with (
                pytest.raises(InputError, match=r"skills-needs .* there, .* here(?s:.*)same lock file"),
                engine("dask", address, 2),
            ):
                pass
            worker.terminate()
