"""Peers of the matcher, run by a Python that has them: ``python matching_peers.py flow kept.npz``.

``flow`` finds the best assignment of the same pairs by OR-tools' minimum cost flow, ``dense`` the ten nearest of all sessions
to each person by faiss, which knows no rule. It imports nothing of the project, and prints the seconds taken once they
are loaded, and what was found is worth.
"""

from __future__ import annotations

import sys
from time import perf_counter

import numpy as np

SCALE = 1e7  # a flow counts in whole numbers
DENSE, WIDTH = 10, 64


def flow(path: str) -> tuple[float, float]:
    """Grant seats at the least cost; nobody has to have one."""
    from ortools.graph.python.min_cost_flow import SimpleMinCostFlow

    pairs = np.load(path)
    session, worth, seats = pairs["session"], pairs["worth"], pairs["seats"]
    started = perf_counter()
    people, sessions = len(session), len(seats)
    sink = people + sessions
    who, choice = np.nonzero(session >= 0)
    cost = -np.round(worth[who, choice] * SCALE).astype(np.int64)
    solver = SimpleMinCostFlow()
    one = np.ones(len(who), dtype=np.int64)
    solver.add_arcs_with_capacity_and_unit_cost(who, people + session[who, choice], one, cost)
    every = np.arange(people)
    solver.add_arcs_with_capacity_and_unit_cost(
        every, np.full(people, sink), one[:1].repeat(people), np.zeros(people, dtype=np.int64)
    )
    last = np.full(sessions, sink)
    solver.add_arcs_with_capacity_and_unit_cost(people + np.arange(sessions), last, seats, np.zeros(sessions, dtype=np.int64))
    solver.set_nodes_supplies(
        np.arange(sink + 1), np.concatenate([np.ones(people), np.zeros(sessions), [-people]]).astype(np.int64)
    )
    if solver.solve() != solver.OPTIMAL:
        raise SystemExit("the flow has no optimum")
    seconds = perf_counter() - started
    flows = solver.flows(np.arange(len(who)))
    return seconds, float((worth[who, choice] * flows).sum())


def dense(path: str) -> tuple[float, float]:
    """Search people × sessions of that file's size, vectors drawn at random."""
    import faiss

    sizes = np.load(path)
    rng = np.random.default_rng(1)
    people = rng.standard_normal((len(sizes["session"]), WIDTH), dtype=np.float32)
    index = faiss.IndexFlatIP(WIDTH)
    index.add(rng.standard_normal((len(sizes["seats"]), WIDTH), dtype=np.float32))
    started = perf_counter()
    found, _ = index.search(people, DENSE)
    return perf_counter() - started, float(found.sum())


if __name__ == "__main__":
    print(*{"flow": flow, "dense": dense}[sys.argv[1]](sys.argv[2]))
