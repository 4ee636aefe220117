"""Forecasts of 20,000 monthly series of a simulated region, a year ahead, beside what other libraries forecast of them.

72 months of positions that employers publish, by bassin × département and occupation, half of them zero; the 12 that come are
known, since the region is simulated. Peers: AutoETS of statsforecast, LightGBM and HistGradientBoosting on lags, and our
own baselines. Each runs alone in a process of its own, on all cores that the machine has; seconds are those of
learning and forecasting, once libraries are loaded. statsforecast and LightGBM live in an environment made for this in
``build/peers``.

WAPE is least for the median, and totals are told right by the mean: both are judged for each forecaster that tells
both. The pinball loss is that of the quantiles 10, 50 and 90. Bounds are floors; goals stand beside figures.
"""

from __future__ import annotations

import math
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from figures import Figure
from judging import CLASSES, held, held_inside
from models import metrics
from models.forecast import BASELINES, NeedForecaster
from panels import SERIES, draw_positions
from processes import Cost, made, timed

MANY, FEW, MONTHS, AHEAD = 20_000, 5_000, 72, 12
ROUNDS = 2  # of ours; the quicker one counts
OURS = "NeedForecaster"
FORECASTERS = {kind.__name__: kind for kind in (NeedForecaster, *BASELINES)}
PEERS = {"sklearn": "HistGradientBoosting", "lightgbm": "LightGBM", "ets": "AutoETS"}
OUTSIDE = ("lightgbm", "ets")
WANTED = ["statsforecast==2.1.1", "lightgbm==4.7.0", "scikit-learn==1.9.1"]
HOME = Path(__file__).resolve().parents[1] / "build" / "peers"
QUANTILES = {0.1: "q10", 0.5: "q50", 0.9: "q90"}
SECONDS, GIGABYTES, TIMES = 5.0, 1.0, 40.0
Matrix = NDArray[np.float64]
Told = dict[str, Matrix]


class Run(NamedTuple):
    """What a forecaster told, and what it cost: seconds of learning and forecasting, gigabytes of its processes."""

    told: Told
    seconds: float
    gigabytes: float


def measure() -> Iterator[Figure]:
    """Draw the panel, let each forecaster tell, then compare."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        panel = draw_positions(MANY, MONTHS, AHEAD)
        came = write_panel(panel, folder)
        runs = {kind: run_ours(folder, kind, MANY) for kind in FORECASTERS}
        many, few = (min((run_ours(folder, OURS, size) for _ in range(ROUNDS)), key=seconds_of) for size in (MANY, FEW))
        runs[OURS] = many
        yield from cost(many, few.seconds)
        skipped = "" if made(HOME, WANTED) else f"skipped: {', '.join(WANTED)} cannot be installed here"
        for peer, title in PEERS.items():
            if peer in OUTSIDE and skipped:
                yield Figure(f"{title} {skipped}", 0, "")
            else:
                runs[title] = run_peer(folder, peer)
        yield from errors(runs, came)
        yield from intervals(runs[OURS].told, came)
        yield from speed(runs)


def seconds_of(run: Run) -> float:
    return run.seconds


def write_panel(panel: pd.DataFrame, folder: Path) -> Matrix:
    """Write the past as a frame for our forecasters and as a matrix for the others. What came, series × months."""
    wide = panel.set_index([*SERIES, "period"])["value"].unstack("period")  # noqa: PD010
    values = wide.to_numpy(dtype="float64")
    for series in (MANY, FEW):
        rows = panel[pd.MultiIndex.from_frame(panel[SERIES]).isin(wide.index[:series])]
        known = rows["period"].isin(list(wide.columns[:MONTHS]))
        rows[known].to_parquet(folder / f"{series}.parquet", index=False)
        rows[~known].to_parquet(folder / f"{series}.future", index=False)
    territory, occupation = (wide.index.get_level_values(name) for name in SERIES)
    groups = (territory, occupation, occupation.str[:3], occupation.str[:1])
    codes = np.column_stack([pd.factorize(group)[0] for group in groups]).astype("float64")
    np.savez(folder / "panel.npz", past=values[:, :MONTHS], codes=codes, ahead=AHEAD)
    return values[:, MONTHS:]


# Who forecasts -------------------------------------------------------------------------------------------------------------


def run_peer(folder: Path, peer: str) -> Run:
    python = HOME / "bin" / "python" if peer in OUTSIDE else Path(sys.executable)
    script = Path(__file__).with_name("peers.py")
    return taken(timed([str(python), str(script), peer, str(folder / "panel.npz"), str(folder / "told.npz")]), folder)


def run_ours(folder: Path, kind: str, series: int) -> Run:
    return taken(timed([sys.executable, __file__, kind, str(folder / f"{series}.parquet"), str(folder / "told.npz")]), folder)


def taken(cost: Cost, folder: Path) -> Run:
    """Read what a process told."""
    with np.load(folder / "told.npz") as told:
        return Run({name: told[name] for name in told.files}, float(cost.printed.split()[-1]), cost.gigabytes)


def foretell(kind: str, past: Path, target: Path) -> None:
    """Forecast in a process of its own; print the seconds of learning and forecasting."""
    frame = pd.read_parquet(past)
    start = perf_counter()
    model = FORECASTERS[kind]().fit(frame)
    told = model.predict(AHEAD, quantiles=list(QUANTILES))
    seconds = perf_counter() - start
    future = pd.read_parquet(past.with_suffix(".future"))
    both = future.assign(**model.probability(future)).merge(
        told.drop(columns="value").assign(told=told["value"]), on=[*SERIES, "period"], how="left", validate="one_to_one"
    )
    both = both.sort_values([*SERIES, "period"]).assign(value=lambda rows: rows["told"]).fillna({"value": 0.0})
    columns = {name: both[name].to_numpy() for name in ("value", *QUANTILES.values(), "below", "upto")}
    np.savez(target, **{name: column.reshape(-1, AHEAD) for name, column in columns.items()})
    print(seconds)


# What is told of them ------------------------------------------------------------------------------------------------------


def errors(runs: dict[str, Run], came: Matrix) -> Iterator[Figure]:
    """Tell errors of each forecaster, and set ours beside the best of the others."""
    wapes = {(name, way): wape(run.told[way], came) for name, run in runs.items() for way in ("value", "q50")}
    wapes |= {(name, "absolute"): wape(run.told["absolute"], came) for name, run in runs.items() if "absolute" in run.told}
    losses = {name: pinball(run.told, came) for name, run in runs.items()}
    for name, run in runs.items():
        off = metrics.bias(came.ravel(), run.told["value"].ravel())
        yield Figure(f"{name}: WAPE of its mean, bias {off:+.1%}", wapes[name, "value"], "")
        yield Figure("  WAPE of its median", wapes[name, "q50"], "")
        if "absolute" in run.told:
            yield Figure("  WAPE of what is learned by absolute error", wapes[name, "absolute"], "")
        yield Figure("  pinball loss", losses[name], "")
    own = min(wapes[OURS, way] for way in ("value", "q50"))
    best = min(error for (name, _), error in wapes.items() if name != OURS)
    means = min(error for (name, way), error in wapes.items() if name != OURS and way == "value" and name != "AutoETS")
    yield held("WAPE ÷ the best of the others", own / best, "×", goal=1.0, floor=1.0)
    yield Figure("  of means alone", wapes[OURS, "value"] / means, "×")
    loss = losses[OURS] / min(loss for name, loss in losses.items() if name != OURS)
    yield held("pinball loss ÷ the best of the others", loss, "×", goal=1.0, floor=1.0)


def wape(told: Matrix, came: Matrix) -> float:
    return metrics.wape(came.ravel(), told.ravel())


def pinball(told: Told, came: Matrix) -> float:
    return metrics.pinball(came.ravel(), {level: told[name].ravel() for level, name in QUANTILES.items()})


def intervals(told: Told, came: Matrix) -> Iterator[Figure]:
    """Tell what our interval holds of what came, by class of the forecast."""
    draws = np.random.default_rng(0).random(came.shape)
    pit = metrics.randomised_pit(told["below"].ravel(), told["upto"].ravel(), draws.ravel())
    yield held_inside("interval of 80 %, all", metrics.pit_coverage(pit, 0.8), floor=5.0)
    classes = pd.cut(told["value"].ravel(), [*CLASSES.values(), math.inf], right=False, labels=list(CLASSES))
    for name in CLASSES:
        if (classes == name).any():
            yield held_inside(f"  {name}", metrics.pit_coverage(pit[classes == name], 0.8), floor=8.0)


def cost(ours: Run, few: float) -> Iterator[Figure]:
    yield held(
        f"learn and forecast {MANY:,} series, {os.cpu_count()} cores", ours.seconds, "s", goal=SECONDS, floor=2 * SECONDS
    )
    yield held("  peak memory, the frame included", ours.gigabytes, "GB", goal=GIGABYTES, floor=1.5 * GIGABYTES)
    slope = math.log(ours.seconds / few) / math.log(MANY / FEW)
    yield held(f"  slope from {FEW:,} series (1: linear)", slope, "", goal=1.1, floor=1.3)


def speed(runs: dict[str, Run]) -> Iterator[Figure]:
    """Tell seconds beside ours. Slower is said as a share, so that the bound is one from above."""
    for name, run in runs.items():
        if name != OURS:
            yield Figure(f"{name}: seconds ÷ ours", run.seconds / runs[OURS].seconds, "×")
    if "AutoETS" in runs:
        share = TIMES * runs[OURS].seconds / runs["AutoETS"].seconds
        yield held(f"ours × {TIMES:g} ÷ AutoETS", share, "×", goal=1.0, floor=1.5)


if __name__ == "__main__":
    foretell(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
