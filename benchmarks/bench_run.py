"""A whole nightly run of the demo region: how long, how much memory, and how near its forecasts come to the truth.

The truth is that of the simulated region, which shares no code with the models: true positions and needs of the months
after ``as_of``. The floor beside the forecast is the last value known, in the same run.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pandas as pd

from figures import Figure
from models.metrics import interval_coverage, wape
from needs.home import Home
from needs.store.publish import open_database, read_current
from processes import timed

NEEDS = [sys.executable, "-c", "from needs.cli import main; main()", "--quiet"]
SECONDS, GIGABYTES = 300.0, 2.0
KEYS = ["territory", "occupation", "period"]


def measure() -> list[Figure]:
    """Draw the region, run the chain, and compare what it published with the truth."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        drawn = timed([*NEEDS, "--home", folder, "demo", "--scale", "demo"])
        ran = timed([*NEEDS, "--home", folder, "nightly"])
        return [
            Figure("draw the demo region", drawn.seconds, "s"),
            Figure("needs nightly", ran.seconds, "s"),
            Figure("both", drawn.seconds + ran.seconds, "s", SECONDS),
            Figure("peak memory, all processes", max(drawn.gigabytes, ran.gigabytes), "GB", GIGABYTES),
            *judge(home),
        ]


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
            "  last value ÷ forecast",
            wape(cells["positions"], cells_of(floor)) / wape(cells["positions"], cells["value"]),
            "×",
        ),
        Figure("  coverage of the 80 % interval", interval_coverage(cells["positions"], cells["low"], cells["high"]), ""),
        Figure("positions, bassin × year, WAPE", wape(sums["positions"], sums["value"]), ""),
        Figure("need, bassin × year, WAPE", wape(sums["need_true"], sums["need"]), ""),
    ]


def cells_of(values: pd.Index) -> pd.Series:
    return pd.Series(values.to_numpy(dtype="float64")).fillna(0.0)
