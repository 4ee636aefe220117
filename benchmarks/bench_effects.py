"""Effects of training: beside an experiment, beside the truth of simulated regions, and beside other libraries.

1. LaLonde's experiment, and the same trainees set against people of the CPS (``effect_experiment``).
2. What intervals hold over many small regions, and what bounds do once a hidden trait chooses (``effect_draws``).
3. Speed, memory and order at the scale of a region (``effect_region``).
4. Speed and error on 200 groups beside econml and DoubleML, two threads each.

The data of 1 come from the package causaldata, which lives with the peers in an environment made for this in
``build/effect_peers``. A causal forest takes the types of course for treatments and knows no sectors. ``gate`` of DoubleML
does not tell effects on the treated: there, each group and month has a model of its own, of the learners that ours have.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from effect_draws import judge_draws
from effect_experiment import judge_experiment
from effect_region import THREADS, Compared, judge_groups, judge_region
from figures import Figure
from models.doubly_robust import Sample
from processes import made, timed

WANTED = ["econml==0.17.0", "doubleml==0.11.4", "causaldata==0.1.5"]
PEERS = {"DoubleML, a model per group and month": "irm", "econml, a causal forest per month": "forest"}
HOME = Path(__file__).resolve().parents[1] / "build" / "effect_peers"
SCRIPT = Path(__file__).with_name("effect_peers.py")
Numbers = NDArray[np.float64]


def measure() -> Iterator[Figure]:
    """Judge by the experiment, by draws, by a region, and by peers."""
    there = made(HOME, WANTED)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if there:
            seconds_of("experiment", folder, {})
            yield from judge_experiment(told_in(folder), partial(adjust, folder))
        else:
            yield Figure(f"experiment and peers skipped: {', '.join(WANTED)} cannot be installed here", 0, "")
        yield from judge_region(folder)
        peers = {title: partial(ask, task) for title, task in PEERS.items()} if there else {}
        yield from judge_groups(folder, peers)
    yield from judge_draws()


def adjust(folder: Path, sample: Sample) -> Mapping[str, Numbers]:
    """Ask DoubleML for the effect on the treated of one comparison: value and error, by learners."""
    seconds_of("adjust", folder, {"design": sample.design, "treated": sample.treated, "outcomes": sample.outcomes})
    return told_in(folder)


def ask(task: str, folder: Path) -> Compared:
    """Ask a peer for the groups of the sample that lies in a folder."""
    return Compared(seconds=_run(task, folder / "sample.npz", folder), value=told_in(folder)["value"])


def seconds_of(task: str, folder: Path, given: Mapping[str, NDArray[np.generic]]) -> float:
    """Give a peer arrays; it writes what it tells."""
    np.savez(folder / "given.npz", **given)
    return _run(task, folder / "given.npz", folder)


def _run(task: str, given: Path, folder: Path) -> float:
    threads = [f"{library}_NUM_THREADS={THREADS}" for library in ("OMP", "OPENBLAS", "MKL")]
    command = ["env", *threads, str(HOME / "bin" / "python"), str(SCRIPT), task, str(given), str(folder / "told.npz")]
    return float(timed(command).printed.split()[-1])


def told_in(folder: Path) -> dict[str, Numbers]:
    with np.load(folder / "told.npz") as told:
        return {name: told[name] for name in told.files}
