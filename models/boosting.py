"""The usual global model: gradient-boosted trees on the growth of all series at once. A yardstick, not a member."""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

from models.growth import fill_gaps, typical
from models.members import Past, last_value
from models.panel import Numbers

LAGS = 5  # past values looked at, and as many of the same period of past years
TAUGHT = 60_000  # rows learned from, about
UNITS = 50.0  # as in models.growth: one unit keeps the logarithm of zero finite


def boosting(past: Past, horizon: int) -> Numbers:
    """Learn log growth over each number of periods ahead from the past of all series, by absolute error."""
    values, season = fill_gaps(past.values), past.season
    unit = typical(values[:, -1]) / UNITS if values.size else 1.0
    first = max(season, 2)
    origins = list(range(values.shape[1] - 1, first - 1, -max(1, season // 4)))
    rows, targets = [], []
    every = max(1, len(values) * len(origins) * min(horizon, 3) // TAUGHT)
    for count, origin in enumerate(origins):
        for step in {1, (horizon + 1) // 2, horizon}:
            if origin + step <= values.shape[1]:
                chosen = slice(count % every, None, every)
                rows.append(_describe(values[chosen, :origin], step, season, unit))
                level = _log(values[chosen, origin - 1], unit)
                targets.append(_log(values[chosen, origin + step - 1], unit) - level)
    if not rows:
        return last_value(past, horizon)
    trees = HistGradientBoostingRegressor(loss="absolute_error", max_leaf_nodes=15, random_state=0)
    trees.fit(np.concatenate(rows), np.concatenate(targets))
    level = _log(values[:, -1], unit)
    grown = [level + trees.predict(_describe(values, step, season, unit)) for step in range(1, horizon + 1)]
    told: Numbers = np.maximum(np.exp(np.column_stack(grown)) - unit, 0.0)
    return told


def _describe(values: Numbers, step: int, season: int, unit: float) -> Numbers:
    """Say where each series stands: its level, how far its last values and the same period of past years lie, the step."""
    logs, count = _log(values, unit), values.shape[1]
    level = logs[:, -1]
    lags = [logs[:, -lag] - level if lag <= count else np.full(len(level), 0.0) for lag in range(2, LAGS + 2)]
    back = [count - season * year + (step - 1) % season for year in range(1, 3)]
    years = [logs[:, at] - level if 0 <= at < count else np.full(len(level), 0.0) for at in back]
    mean = logs[:, -season:].mean(axis=1) - level
    return np.column_stack([level, *lags, *years, mean, np.full(len(level), float(step))])


def _log(values: Numbers, unit: float) -> Numbers:
    return np.log(values + unit)
