"""What a second worker and a cluster bring and cost, on the tasks of territories of a whole Region.

People, towns and courses are drawn (:mod:`market_draws`): 470,000 people and 20,000 sessions, in parts of whole bassins. Two
tasks are timed apart: *matching* (courses found for everybody, seats granted in rounds, lists filled) and *telling* (what is
proposed to a part of these people, why, and what may follow). Each runs with one thread, with two, with two processes of this
machine and with two workers of a cluster on this machine, in a process of its own; results are compared byte by byte. What a
second worker can bring at most on the machine as it is just then is told by two processes that only count: where other jobs run
beside, it is below 2.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import sys
from collections.abc import Iterator
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter, process_time
from typing import NamedTuple

import numpy as np
import pandas as pd

from figures import Figure
from market_draws import AS_OF, draw_known, draw_people, towns_of_region
from models.likelihood import LikelihoodParams
from models.market import EntryParams, lay_out, open_market
from models.match_reasons import ReasonParams
from models.matching import Laid, MatchingParams, match_laid, match_people
from models.pathways import PathwayParams, Stairs, build_stairs
from needs.run.batch import Crew, split
from needs.run.engine import EngineName, engine
from needs.run.serving import tell_all
from processes import timed

PEOPLE, SESSIONS, TOLD = 470_000, 20_000, 60_000
AT_ONCE = 5_000
COUNTED = 60_000_000
RUNS: tuple[tuple[EngineName, int], ...] = (("local", 1), ("local", 2), ("processes", 2), ("dask", 2))


class Told(NamedTuple):
    """What a run on an engine cost: seconds of each task, seconds of the cores of this process, gigabytes; and its bytes."""

    matching: float
    telling: float
    cores_matching: float
    cores_telling: float
    worker: float
    digest: str
    all: float = 0.0


def measure() -> Iterator[Figure]:
    """Seconds of each engine, how many times faster two workers are, what a cluster costs, people per second of a core."""
    yield Figure("two processes that only count, beside one: times faster", _counting(), "×")
    told = {run: _timed(*run) for run in RUNS}
    for task, people in (("matching", PEOPLE), ("telling", TOLD)):
        seconds = {run: float(getattr(told[run], task)) for run in RUNS}
        one, two = seconds["local", 1], seconds["local", 2]
        for (name, workers), spent in seconds.items():
            yield Figure(f"{task} {people:,} people: {name}, {workers} worker{'s' if workers > 1 else ''}", spent, "s")
        yield Figure(f"{task}: people per core-second", people / getattr(told["local", 1], f"cores_{task}"), "")
        yield Figure(f"{task}: two threads, times faster than one", one / two, "×")
        yield Figure(f"{task}: two threads ÷ one thread", two / one, "ratio", 1 / 1.7)
        yield Figure(f"{task}: a cluster of two workers ÷ two threads", seconds["dask", 2] / two, "ratio", 1.15)
    yield Figure("a worker of the cluster: memory at its peak", told["dask", 2].worker, "GB")
    yield Figure("a cluster of two workers: memory of all its processes at the peak", told["dask", 2].all, "GB")
    yield Figure("engines whose results differ by a byte", len({told[run].digest for run in RUNS}) - 1, "", 0.0)


def _timed(name: EngineName, workers: int) -> Told:
    """Run both tasks on an engine, in a process of its own."""
    cost = timed([sys.executable, __file__, name, str(workers)])
    return Told(*json.loads(cost.printed.splitlines()[-1]), all=cost.gigabytes)


def _counting() -> float:
    """Say how many times faster two processes count, each half of what one counts."""
    with get_context("spawn").Pool(2) as pool:
        pool.map(_count, [1, 1])
        spent = []
        for shares in ([COUNTED], [COUNTED // 2] * 2):
            started = perf_counter()
            pool.map(_count, shares, chunksize=1)
            spent.append(perf_counter() - started)
    return spent[0] / spent[1]


def _count(most: int) -> int:
    total = 0
    for number in range(most):
        total += number
    return total


def run(name: EngineName, workers: int) -> None:
    """Match and tell on an engine, and print what it cost."""
    if name != "dask":
        print(json.dumps(_run(name, "", workers)[:-1]))
        return
    from distributed import Client, LocalCluster

    with LocalCluster(n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster:
        told = _run(name, cluster.scheduler_address, workers)
        with Client(cluster.scheduler_address) as client:
            worker = max(client.run(_peak).values())
        print(json.dumps(told._replace(worker=worker)[:-1]))


def _run(name: EngineName, scheduler: str, workers: int) -> Told:
    """Match and tell, each after a first call on few people."""
    stairs, parts = _drawn()
    laid = [Laid(*lay_out(part, stairs.market)) for part in parts]
    people, params, usual = pd.concat(parts, ignore_index=True), MatchingParams(), ReasonParams()
    crew, few = Crew(workers, "engine"), [part.head(100) for part in parts]
    with engine(name, scheduler, workers):
        first = match_people(few, stairs.market, params, crew)
        tell_all(first, [len(part) for part in few], stairs, usual, crew)
        clock = [(perf_counter(), process_time())]
        matched = match_laid(people, laid, stairs.market, params, crew)
        clock.append((perf_counter(), process_time()))
        told = tell_all(matched.part(0, TOLD), [TOLD], stairs, usual, crew)
        clock.append((perf_counter(), process_time()))
    digest = hashlib.sha256(matched.lists.tobytes() + matched.granted.prices.tobytes() + told.to_csv().encode())
    spent = [(after - before).tolist() for before, after in pairwise(np.array(clock))]
    return Told(spent[0][0], spent[1][0], spent[0][1], spent[1][1], _peak(), digest.hexdigest())


def _peak() -> float:
    """Say how much memory this process held at most, in gigabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _drawn() -> tuple[Stairs, list[pd.DataFrame]]:
    """Draw a Region: its market and what may follow what, its people in parts of whole bassins."""
    towns, rng = towns_of_region(), np.random.default_rng(3)
    known = draw_known(towns, SESSIONS)
    levels = known.courses["entry_level"] + rng.integers(0, 2, SESSIONS)
    courses = known.courses.assign(
        exit_level=levels.where(known.courses["action_type"] == "certification").astype("Int64"), completion=0.85
    )
    market = open_market(known._replace(courses=courses), AS_OF, EntryParams(), LikelihoodParams())
    given = pd.DataFrame({"session": pd.Series(dtype="str"), "given": pd.Series(dtype="str")})
    stairs = build_stairs(market, PathwayParams(), given, known.asking.assign(asked="module"))
    return stairs, split(draw_people(towns, known, PEOPLE), AT_ONCE)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    run(sys.argv[1], int(sys.argv[2]))  # type: ignore[arg-type]
