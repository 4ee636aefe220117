"""How forecasts of one panel did, origin by origin: sums that errors, biases and coverages of any part are worked out of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pandas as pd
from joblib import Parallel, delayed

from figures import Figure
from models.backtest import INTERVAL, Forecaster, backtest
from panels import SERIES

LEAST = 5.0  # mean volume from which a series is one of those judged by their errors
CLASSES = {"0–5": 0.0, "5–20": 5.0, "20–100": 20.0, "100+": 100.0}  # of what is forecast
SUMS = ["error", "value", "told", "inside", "n"]
Forecasters = Mapping[str, Callable[[], Forecaster]]


def judge(frame: pd.DataFrame, forecasters: Forecasters, origins: Sequence[str], horizon: int) -> pd.DataFrame:
    """Judge forecasters at each origin, on all cores. One row per origin, model, step, period, often, known and volume.

    ``often`` marks series whose mean over all periods is 5 or more, ``known`` those whose mean up to the origin is;
    ``volume`` is the class of what was forecast. Of their rows: the sums of absolute errors, values and forecasts, those
    whose randomised PIT lies in the middle four fifths, and how many there are.
    """
    parts = Parallel(n_jobs=-1)(delayed(judge_at)(frame, forecasters, origin, horizon) for origin in origins)
    return pd.concat(parts, ignore_index=True)


def judge_at(frame: pd.DataFrame, forecasters: Forecasters, origin: str, horizon: int) -> pd.DataFrame:
    told = backtest(frame, forecasters, [origin], horizon).told
    rows = pd.MultiIndex.from_frame(told[SERIES])
    means = {
        "often": frame.groupby(SERIES)["value"].mean(),
        "known": frame[frame["period"] <= origin].groupby(SERIES)["value"].mean(),
    }
    marks = {name: mean.reindex(rows).to_numpy() >= LEAST for name, mean in means.items()}
    edges = [*CLASSES.values(), float("inf")]
    told = told.assign(
        **marks,
        volume=pd.cut(told["told"], edges, right=False, labels=list(CLASSES)),
        error=(told["told"] - told["value"]).abs(),
        inside=(told["pit"] - 0.5).abs() <= INTERVAL / 2,
        n=1.0,
    )
    keys = ["origin", "model", "step", "period", *marks, "volume"]
    return told.groupby(keys, observed=True)[SUMS].sum().reset_index()


def wapes(tally: pd.DataFrame, by: str) -> pd.DataFrame:
    """Work out Σ|error| ÷ Σ value. One row per value of ``by``, one column per model."""
    sums = tally.groupby(["model", by], observed=True)[["error", "value"]].sum()
    return (sums["error"] / sums["value"]).unstack("model")  # noqa: PD010


def biases(tally: pd.DataFrame, by: str) -> pd.DataFrame:
    """Work out Σ forecast ÷ Σ value − 1. One row per value of ``by``, one column per model."""
    sums = tally.groupby(["model", by], observed=True)[["told", "value"]].sum()
    return (sums["told"] / sums["value"] - 1).unstack("model")  # noqa: PD010


def coverages(tally: pd.DataFrame, by: str) -> pd.DataFrame:
    """Work out the share inside the interval of 80 %. One row per value of ``by``, one column per model."""
    sums = tally.groupby(["model", by], observed=True)[["inside", "n"]].sum()
    return (sums["inside"] / sums["n"]).unstack("model")  # noqa: PD010


def share_inside(tally: pd.DataFrame) -> float:
    """Work out the share inside the interval of 80 % of all rows together."""
    return float(tally["inside"].sum() / tally["n"].sum())


def held(name: str, value: float, unit: str, *, goal: float, floor: float) -> Figure:
    """Tell a figure beside its goal, reached or not; it is held to a floor that lies beyond what was once measured."""
    return Figure(f"{name} (goal ≤ {goal:g}: {'reached' if value <= goal else 'MISSED'})", value, unit, floor)


def held_inside(name: str, share: float, *, floor: float, goal: float = 5.0) -> Figure:
    """Tell how many points from four in five an interval holds."""
    return held(f"{name}: holds {share:.1%}, off", 100 * abs(share - INTERVAL), "points", goal=goal, floor=floor)
