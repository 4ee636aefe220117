"""Forecasters of other libraries, run by a Python that has them: ``python peers.py ets panel.npz told.npz``.

The panel holds ``past`` (series × months), ``codes`` (series × groups) and how far to look, ``ahead``; told are ``value``,
``q10``, ``q50`` and ``q90``, series × months ahead. Trees learn one model for all months ahead from lags, means, the month
of the year and the groups. It imports nothing of the project, and prints the seconds taken once its libraries are loaded.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

YEAR = 12
QUANTILES = {"q10": 0.1, "q50": 0.5, "q90": 0.9}
ROUNDS, PACE = 200, 0.05  # trees of each model, and how far each moves it
TAUGHT = 0.5  # of the rows
Matrix = NDArray[np.float64]
Told = dict[str, Matrix]


def smooth(past: Matrix, codes: Matrix, ahead: int) -> Told:
    """Forecast each series by AutoETS with a season of a year; its median is its mean."""
    import pandas as pd
    from statsforecast import StatsForecast
    from statsforecast.models import AutoETS

    def foretell(rows: Matrix) -> Told:
        number, month = (index.ravel() for index in np.indices(rows.shape))
        frame = pd.DataFrame({"unique_id": number, "ds": month, "y": rows.ravel()})
        made = StatsForecast(models=[AutoETS(season_length=YEAR)], freq=1, n_jobs=-1).forecast(df=frame, h=ahead, level=[80])
        made = made.sort_values(["unique_id", "ds"])
        named = {"value": "AutoETS", "q10": "AutoETS-lo-80", "q50": "AutoETS", "q90": "AutoETS-hi-80"}
        return {name: made[column].to_numpy().reshape(len(rows), ahead) for name, column in named.items()}

    return timed(lambda: foretell(past))


def boost_lightgbm(past: Matrix, codes: Matrix, ahead: int) -> Told:
    """Forecast by LightGBM: the mean by the loss of Poisson, quantiles by theirs."""
    import lightgbm

    def make(loss: str, alpha: float) -> object:
        return lightgbm.LGBMRegressor(objective=loss, alpha=alpha, n_estimators=ROUNDS, learning_rate=PACE, verbose=-1)

    return timed(lambda: boost(past, codes, ahead, make, {"value": ("poisson", 0.5)}))


def boost_sklearn(past: Matrix, codes: Matrix, ahead: int) -> Told:
    """Forecast by HistGradientBoosting: the mean by the loss of Poisson, ``absolute`` by that error, quantiles by theirs."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    def make(loss: str, alpha: float) -> object:
        quantile = alpha if loss == "quantile" else None
        return HistGradientBoostingRegressor(
            loss=loss, quantile=quantile, max_iter=ROUNDS, learning_rate=PACE, early_stopping=False, random_state=0
        )

    means = {"value": ("poisson", 0.5), "absolute": ("absolute_error", 0.5)}
    return timed(lambda: boost(past, codes, ahead, make, means))


def boost(
    past: Matrix, codes: Matrix, ahead: int, make: Callable[[str, float], object], means: dict[str, tuple[str, float]]
) -> Told:
    """Learn from the last origins a year apart, on half of the rows; forecast from the last month."""
    last = past.shape[1]
    origins = range(last - ahead, max(2 * YEAR, last - 4 * ahead), -YEAR)
    rows = np.concatenate([describe(past[:, :origin], codes, ahead) for origin in origins])
    came = np.concatenate([past[:, origin : origin + ahead].T.ravel() for origin in origins])
    taught = np.random.default_rng(0).random(len(came)) < TAUGHT
    asked = describe(past, codes, ahead)
    losses = means | {name: ("quantile", level) for name, level in QUANTILES.items()}
    told = {}
    for name, loss in losses.items():
        model = make(*loss)
        model.fit(rows[taught], came[taught])  # type: ignore[attr-defined]
        told[name] = np.maximum(model.predict(asked).reshape(ahead, -1).T, 0.0)  # type: ignore[attr-defined]
    return told


def describe(past: Matrix, codes: Matrix, ahead: int) -> Matrix:
    """Describe each month ahead of each series, month by month: lags, means, step, month of the year, groups."""
    count = past.shape[1]
    means = [past[:, -span:].mean(axis=1) for span in (1, 3, 6, 12, 24, count)]
    parts = []
    for step in range(ahead):
        same = past[:, count - YEAR + step % YEAR]
        before = past[:, count - 2 * YEAR + step % YEAR]
        fixed = [np.full(len(past), float(step)), np.full(len(past), float((count + step) % YEAR))]
        parts.append(np.column_stack([*means, same, (same + before) / 2, *fixed, codes]))
    return np.concatenate(parts)


def timed(forecast: Callable[[], Told]) -> Told:
    start = time.perf_counter()
    told = forecast()
    print(time.perf_counter() - start)
    return told


PEERS = {"ets": smooth, "lightgbm": boost_lightgbm, "sklearn": boost_sklearn}

if __name__ == "__main__":
    panel = np.load(sys.argv[2])
    np.savez(sys.argv[3], **PEERS[sys.argv[1]](panel["past"], panel["codes"], int(panel["ahead"])))
