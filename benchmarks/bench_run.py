"""A whole nightly run of the demo region: how long, how much memory, and how near its forecasts come to the truth.

The truth is that of the simulated region, which shares no code with the models: true positions and needs of the months
after ``as_of``. The floor beside the forecast is the last value known, in the same run.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from time import perf_counter, sleep

import pandas as pd

from figures import Figure
from models.metrics import interval_coverage, wape
from needs.home import Home
from needs.store.publish import open_database, read_current

NEEDS = [sys.executable, "-c", "from needs.cli import main; main()", "--quiet"]
SECONDS, GIGABYTES = 300.0, 2.0
KEYS = ["territory", "occupation", "period"]


def measure() -> list[Figure]:
    """Draw the region, run the chain, and compare what it published with the truth."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        drawn, drawing = timed([*NEEDS, "--home", folder, "demo", "--scale", "demo"])
        ran, running = timed([*NEEDS, "--home", folder, "nightly"])
        return [
            Figure("draw the demo region", drawn, "s"),
            Figure("needs nightly", ran, "s"),
            Figure("both", drawn + ran, "s", SECONDS),
            Figure("peak memory, all processes", max(drawing, running), "GB", GIGABYTES),
            *judge(home),
        ]


def timed(command: list[str]) -> tuple[float, float]:
    """Run a command; give its seconds and the peak memory of its processes together, in GB."""
    start = perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    peaks: list[int] = [0]
    watch = threading.Thread(target=_watch, args=(process, peaks))
    watch.start()
    code = process.wait()
    watch.join()
    if code:
        raise SystemExit(f"{' '.join(command[-3:])} exited {code}")
    return perf_counter() - start, peaks[0] / 2**20


def _watch(process: subprocess.Popen[bytes], peaks: list[int]) -> None:
    """Add up the proportional memory of the processes of a session, ten times a second, and keep the most."""
    while process.poll() is None:
        peaks[0] = max(
            peaks[0], sum(_kilobytes(path) for path in Path("/proc").glob("[0-9]*") if _session(path) == process.pid)
        )
        sleep(0.1)


def _session(path: Path) -> int:
    try:
        return os.getsid(int(path.name))
    except OSError:
        return -1


def _kilobytes(path: Path) -> int:
    try:
        lines = (path / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def judge(home: Home) -> list[Figure]:
    """Compare the forecasts of the bassins with the truth of the months they are for."""
    told = read_current(open_database(f"sqlite:///{home.var / 'needs.db'}"), "forecasts")
    truth = pd.read_parquet(home.truth / "need.parquet").rename(columns={"month": "period"})
    true = truth.groupby(KEYS, as_index=False)[["positions", "need"]].sum()
    cells = told.merge(true, on=KEYS, suffixes=("", "_true"), validate="one_to_one")
    last = true[true["period"] == str(pd.Period(told["period"].min(), "M") - 1)].set_index(KEYS[:2])["positions"]
    floor = cells.set_index(KEYS[:2]).index.map(last)
    yearly = cells.assign(floor=floor, year=cells["period"].str[:4]).groupby(["territory", "year"])
    sums = yearly[["value", "positions", "need", "need_true", "floor"]].sum()
    return [
        Figure("positions, bassin × occupation × month, WAPE", wape(cells["positions"], cells["value"]), ""),
        Figure(
            "  last value ÷ seasonal naive",
            wape(cells["positions"], cells_of(floor)) / wape(cells["positions"], cells["value"]),
            "×",
        ),
        Figure("  coverage of the 80 % interval", interval_coverage(cells["positions"], cells["low"], cells["high"]), ""),
        Figure("positions, bassin × year, WAPE", wape(sums["positions"], sums["value"]), ""),
        Figure("need, bassin × year, WAPE", wape(sums["need_true"], sums["need"]), ""),
    ]


def cells_of(values: pd.Index) -> pd.Series:
    return pd.Series(values.to_numpy(dtype="float64")).fillna(0.0)
