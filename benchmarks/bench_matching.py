"""How long it takes to propose courses to a Region and to France, how far from the best, and beside what others use.

People, towns and courses are drawn (:mod:`market_draws`) and laid out from frames. The search runs in two threads. Peers
solve the same pairs in a process and an environment of their own. France goes département by département, each with the
courses within reach of its people on either side of any border; its memory is that of the whole process.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from time import perf_counter
from typing import TypeVar

import numpy as np
import pandas as pd

from figures import Figure
from market_draws import AS_OF, draw_known, draw_people, towns_of_france, towns_of_region
from models.auction import Granted, grant_seats
from models.likelihood import LikelihoodParams
from models.market import EntryParams, Market, lay_out, open_market
from models.matching import Asked, Goods, Laid, MatchingParams, find_courses, find_some, match_laid, mean_choice
from models.pairs import Kept
from models.sight import look
from models.spread import Errand
from needs.run.batch import Crew
from processes import made, timed

HERE = Path(__file__).parent
HOME = HERE.parent / "build" / "matching_peers"
WANTED = ["ortools", "faiss-cpu", "numpy"]
PEOPLE, SESSIONS = 470_000, 20_000
FRENCH, FRENCH_SESSIONS = 6_000_000, 200_000
WORKERS = 2
PARAMS = MatchingParams()
LIGHT = MatchingParams(candidates=10)  # of France, so that what is kept fits
Done = TypeVar("Done")
spread = Crew(WORKERS, "matching")


def measure() -> Iterator[Figure]:
    """The Region, its peers, one person, compilation, France."""
    market, laid = yield from lay_out_region()
    yield from search(market, laid)
    kept = search_all(market, laid, PARAMS.candidates)
    seconds, granted = clocked(lambda: grant(kept, market))
    yield Figure("470,000 people: seats granted among 32 courses each", seconds, "s")
    yield Figure("470,000 people: below the optimum of these pairs by at most", granted.gap, "ratio", 0.001)
    yield from peers(kept, market, seconds, granted)
    seconds, matched = clocked(lambda: match_laid(pd.DataFrame(), laid, market, PARAMS, spread))
    yield Figure("470,000 people: searched, seats granted and lists filled, in all", seconds, "s")
    yield Figure("470,000 people: below the optimum of all pairs by at most", matched.gap, "ratio", 0.001)
    yield Figure("470,000 people: courses proposed to each", float((matched.lists >= 0).sum(axis=1).mean()), "")
    yield from one_person(market)
    yield from compiling()
    france = timed([sys.executable, __file__])
    laid_out, seconds, gap = (float(word) for word in france.printed.split()[-3:])
    yield Figure("6,000,000 people × 200,000 sessions: drawn and laid out", laid_out, "s")
    yield Figure("6,000,000 people × 200,000 sessions: searched, granted and filled", seconds, "s", 600.0)
    yield Figure("6,000,000 people × 200,000 sessions: memory of the process at its peak", france.gigabytes, "GB", 4.0)
    yield Figure("6,000,000 people × 200,000 sessions: below the optimum of all pairs by at most", gap, "ratio", 0.001)


def clocked(task: Callable[[], Done]) -> tuple[float, Done]:
    """Say how many seconds a task took, and what it gave."""
    started = perf_counter()
    given = task()
    return perf_counter() - started, given


# The Region -------------------------------------------------------------------------------------------------------------


def lay_out_region() -> Generator[Figure, None, tuple[Market, list[Laid]]]:
    """Draw the Region and lay it out, a part per bassin; gives the market and the parts."""
    towns = towns_of_region()
    known = draw_known(towns, SESSIONS)
    people = draw_people(towns, known, PEOPLE)
    parts = [rows.reset_index(drop=True) for _, rows in people.groupby("territory", sort=True)]
    seconds, market = clocked(lambda: open_market(known, AS_OF, EntryParams(), LikelihoodParams()))
    yield Figure("20,000 sessions laid out", seconds, "s")
    seconds, laid = clocked(lambda: [Laid(*lay_out(part, market)) for part in parts])
    yield Figure("470,000 people laid out", seconds, "s")
    return market, laid


def search(market: Market, laid: list[Laid]) -> Iterator[Figure]:
    """Search all pairs for the ten best of each person, thrice; the median, and what memory it took."""
    find_courses(laid[0], market, np.zeros(len(market.seats)), 10)
    before = resident()
    rest()
    seconds = sorted(clocked(lambda: search_all(market, laid, 10))[0] for _ in range(3))
    yield Figure("470,000 × 20,000: all pairs looked at, the best ten kept, two threads", seconds[1], "s", 3.0)
    yield Figure(
        "470,000 × 20,000: memory beyond people and sessions at its peak", (resident("VmHWM") - before) / 2**20, "GB", 1.0
    )


def search_all(market: Market, laid: list[Laid], count: int) -> Kept:
    """Find so many courses for everybody, whoever else wants them."""
    goods, free = Goods(market.sessions, market.tastes), np.zeros(len(market.seats), dtype=np.float32)
    found = list(spread(find_some, [Errand((), (part, goods, free, Asked(None, count))) for part in laid]))
    return Kept(*(np.concatenate(columns) for columns in zip(*found, strict=True)))


def grant(kept: Kept, market: Market) -> Granted:
    """Grant the seats of the Region."""
    return grant_seats(kept, market.seats, PARAMS.precision * mean_choice(kept))


def resident(line: str = "VmRSS") -> int:
    """Say how much memory this process holds, or held at most since the last rest, in kilobytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(text.split()[1]) for text in lines if text.startswith(f"{line}:"))


def rest() -> None:
    """Forget how much memory was held before."""
    Path("/proc/self/clear_refs").write_text("5")


def one_person(market: Market) -> Iterator[Figure]:
    """Lay out one person, find the best courses and look at every session on offer: the median of 20."""
    towns = towns_of_region()
    people = draw_people(towns, draw_known(towns, SESSIONS), 21, seed=5)
    free = pd.Series(0.0, index=market.courses["session"])
    nobody = np.zeros(len(market.listed), dtype=np.int64)

    def answer(row: int) -> None:
        person = people.iloc[[row]].reset_index(drop=True)
        find_courses(Laid(*lay_out(person, market)), market, np.zeros(len(market.seats)), 10)
        look(person, nobody, market.listed, market, free)

    answer(20)
    seconds = np.median([clocked(lambda row=row: answer(row))[0] for row in range(20)])
    yield Figure("one person against 20,000 sessions, on demand", 1000 * float(seconds), "ms", 50.0)


def compiling() -> Iterator[Figure]:
    """Match a small market in a fresh process, before and after machine code is on disk."""
    with tempfile.TemporaryDirectory() as folder:
        where = {**os.environ, "NUMBA_CACHE_DIR": folder}
        for name in ("compiled first", "machine code on disk"):
            seconds, _ = clocked(lambda: subprocess.run([sys.executable, __file__, "small"], env=where, check=True))
            yield Figure(f"a small market matched in a fresh process, {name}", seconds, "s")


def small() -> None:
    """Match few people."""
    towns = towns_of_region()
    known = draw_known(towns, 500)
    market = open_market(known, AS_OF, EntryParams(), LikelihoodParams())
    match_laid(pd.DataFrame(), [Laid(*lay_out(draw_people(towns, known, 300), market))], market, PARAMS)


# Peers ------------------------------------------------------------------------------------------------------------------


def peers(kept: Kept, market: Market, ours: float, granted: Granted) -> Iterator[Figure]:
    """Set the same pairs before OR-tools, and the same numbers of people and sessions before a dense search."""
    if not made(HOME, WANTED):
        yield Figure(f"skipped: {', '.join(WANTED)} cannot be installed here", 0, "")
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kept.npz"
        worth = (kept.likelihood * kept.worth).astype("float64")
        np.savez(path, session=kept.session, worth=worth, seats=market.seats)
        told = {task: run_peer(task, path) for task in ("flow", "dense")}
    yield Figure("470,000 people: OR-tools' minimum cost flow on the same pairs", told["flow"][0], "s")
    yield Figure("470,000 people: seats granted, ours ÷ OR-tools in time", ours / told["flow"][0], "ratio", 0.1)
    yield Figure("470,000 people: what seats are worth, OR-tools ÷ ours", told["flow"][1] / granted.worth, "ratio", 1.001)
    yield Figure("470,000 × 20,000: faiss, ten best of 64 numbers, no rule known", told["dense"][0], "s")


def run_peer(task: str, path: Path) -> tuple[float, float]:
    """Give the seconds a peer took, and what it found is worth."""
    printed = timed([str(HOME / "bin" / "python"), str(HERE / "matching_peers.py"), task, str(path)]).printed
    seconds, worth = (float(word) for word in printed.split()[-2:])
    return seconds, worth


# France -----------------------------------------------------------------------------------------------------------------


def france() -> None:
    """Match the people of every département, drawn and laid out one after the other; print the seconds and the gap."""
    started = perf_counter()
    towns = towns_of_france()
    known = draw_known(towns, FRENCH_SESSIONS)
    market = open_market(known, AS_OF, EntryParams(), LikelihoodParams())
    departments = [rows.reset_index(drop=True) for _, rows in towns.groupby("department", sort=True)]
    each = FRENCH // len(departments)
    laid = [
        Laid(*lay_out(draw_people(rows, known, each, seed=number), market)) for number, rows in enumerate(departments, start=1)
    ]
    laid_out = perf_counter() - started
    seconds, matched = clocked(lambda: match_laid(pd.DataFrame(), laid, market, LIGHT, spread))
    print(laid_out, seconds, matched.gap)


if __name__ == "__main__":
    small() if sys.argv[1:] == ["small"] else france()
