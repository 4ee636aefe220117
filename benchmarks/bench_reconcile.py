"""What reconciliation does to forecasts at every grain, and what it costs at the scale of a Region.

Every series of a simulated region, from cells to sectors, is forecast alone by the same smoothing, with a season as far as its
counts carry one; the forecasts of the last year are then made to agree by five methods, which learn from the two origins
before it. Every error is told ÷ that of the same series forecast alone, and bounds hold those of cells. The WAPE of months
is told, not held: of a month with less than one position, it is least for a forecast of zero.

The peers see the same base forecasts: top-down shares out what is forecast of each occupation in the Region; weighted least
squares takes for variances either how much each series adds up (``struct``) or its own past errors (``var``), the diagonal of
MinT. The larger panels are made up: in the first, aggregates know a season that cells cannot see; in the second, they are
forecast worse than their cells.

Times are of made-up forecasts of 23,408 cells and 29,018 sums, frames in, frames out; the dense peer solves MinT for a part
of them, its own products included.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features import facts
from features.crosswalks import build_crosswalks, links_between
from features.tables import OVERRIDES
from features.vocabulary import REGION, months_from
from figures import Figure
from models.hierarchy import Hierarchy, build_hierarchy, write_out
from models.nearest import nearest_cells
from models.reconcile import ReconcileParams, Weights, learn_weights, reconcile
from needs.twin import simulate
from needs.twin.worlds import frozen_seeds

Matrix = NDArray[np.float64]
YEAR, YEARS = 12, 6
GRAINS = [
    ("bassin", "occupation"),
    ("department", "occupation"),
    ("region", "occupation"),
    ("region", "family"),
    ("region", "sector"),
]
TOLD = ("cell", "region/sector")
ERRORS = ("WAPE of months", "WAPE of the year", "RMSE of months")
PARAMS = ReconcileParams()
DENSE_OCCUPATIONS = 40
NOT_WORSE = {"WAPE of the year": 1.02, "RMSE of months": 1.005}  # of cells; a year differs from those that were learned from
SECONDS, ROUNDS = 0.5, 3


def measure() -> Iterator[Figure]:
    """Judge each panel, then take times."""
    for world in ("calm", "crisis"):
        with tempfile.TemporaryDirectory() as folder:
            region = simulate(world, scale="demo", seed=frozen_seeds(world).learning[0], folder=Path(folder), workers=-1)
            panel = region.truth("need")[["territory", "department", "occupation", "period", "positions"]]
        yield from judge(f"simulated, {world}", *as_matrix(panel), aggregates=smoothed)
    laid = lay_region(facts.occupations()["occupation"])
    yield from judge("made up, sums know more", laid, made_up(laid), aggregates=smoothed)
    yield from judge("made up, sums know less", laid, made_up(laid), aggregates=last_quarter)
    yield from take_times(laid)


# What is forecast ----------------------------------------------------------------------------------------------------------


def lay_region(occupations: pd.Series) -> Hierarchy:
    """Lay out the Region: bassin × département × occupation, up to sectors."""
    atoms = facts.communes()[["territory", "department"]].drop_duplicates()
    atom = atoms["territory"] + " " + atoms["department"]
    cells = pd.DataFrame({"territory": atom}).merge(pd.DataFrame({"occupation": occupations}), how="cross")
    held = {"bassin": atoms["territory"], "department": atoms["department"], "region": REGION}
    places = pd.concat([pd.DataFrame({"grain": g, "territory": atom, "place": place}) for g, place in held.items()])
    crosswalks = build_crosswalks(OVERRIDES.empty(), pd.Timestamp("2026-03-31"))
    named = {"code": "occupation", "target": "group"}
    groups = pd.concat(
        [
            links_between(crosswalks, "ROME", target)[["code", "target", "weight"]].rename(columns=named).assign(grain=grain)
            for grain, target in (("family", "FAP2021"), ("sector", "SECTEUR"))
        ]
    )
    return build_hierarchy(cells, places, groups, GRAINS)


def as_matrix(panel: pd.DataFrame) -> tuple[Hierarchy, Matrix]:
    """Lay the truth of a simulated region out: its last six years, one row per cell."""
    laid = lay_region(panel["occupation"].drop_duplicates())
    cells = pd.MultiIndex.from_frame(laid.series.iloc[: laid.cells][["territory", "occupation"]])
    atom = panel["territory"] + " " + panel["department"]
    sums = panel.assign(territory=atom).groupby(["territory", "occupation", "period"])["positions"].sum()
    wide = sums.unstack("period").reindex(cells).fillna(0.0)  # noqa: PD010
    return laid, wide.iloc[:, -YEARS * YEAR :].to_numpy(dtype=np.float64)


def made_up(laid: Hierarchy) -> Matrix:
    """Draw counts that share growth and a season with their occupation, and little else. One row per cell."""
    rng = np.random.default_rng(1)
    jobs, job = np.unique(laid.series["occupation"].iloc[: laid.cells], return_inverse=True)
    months = np.arange(YEARS * YEAR)
    size = rng.pareto(1.3, len(jobs)) + 0.05
    growth = np.cumsum(0.03 * rng.standard_normal((len(jobs), len(months))), axis=1)
    season = 0.3 * np.cos(2 * np.pi * (months - rng.integers(0, YEAR, (len(jobs), 1))) / YEAR)
    own = 0.5 * rng.standard_normal((laid.cells, 1)) + np.cumsum(0.02 * rng.standard_normal((laid.cells, len(months))), axis=1)
    mean = (0.4 * size / size.mean())[job, None] * np.exp((growth + season)[job] + own)
    return rng.poisson(mean * rng.gamma(3.0, 1 / 3.0, mean.shape)).astype(np.float64)


def smoothed(past: Matrix) -> Matrix:
    """Smooth each series with the best of four paces, and give it its season as far as its counts carry one."""
    years = past.shape[1] // YEAR
    totals = past[:, -years * YEAR :].reshape(len(past), years, YEAR).sum(axis=1)
    season = (totals + 5) / (totals.mean(axis=1, keepdims=True) + 5)
    plain = past[:, -years * YEAR :] / np.tile(season, (1, years))
    levels, errors = [], []
    for pace in (0.02, 0.1, 0.3, 0.6):
        level, error = plain[:, :YEAR].mean(axis=1), np.zeros(len(past))
        for month in range(YEAR, plain.shape[1]):
            error += (plain[:, month] - level) ** 2
            level = level + pace * (plain[:, month] - level)
        levels.append(level)
        errors.append(error)
    best = np.argmin(errors, axis=0)
    return np.take_along_axis(np.array(levels), best[None], axis=0)[0][:, None] * season


def last_quarter(past: Matrix) -> Matrix:
    """Take every month for the mean of the last quarter, whatever the season."""
    return np.repeat(past[:, -3:].mean(axis=1, keepdims=True), YEAR, axis=1)


# What becomes of it --------------------------------------------------------------------------------------------------------


def judge(name: str, laid: Hierarchy, counts: Matrix, aggregates: Callable[[Matrix], Matrix]) -> Iterator[Figure]:
    """Forecast every series at three origins, learn from two and reconcile the last by each method."""
    sums = laid.sums @ counts
    origins = [(YEARS - back) * YEAR for back in (3, 2, 1)]
    base = [np.vstack([smoothed(counts[:, :end]), aggregates(sums[:, :end])]) for end in origins]
    actual = [np.vstack([counts, sums])[:, end : end + YEAR] for end in origins]
    weights = learn(laid, base[:2], actual[:2])
    methods = reconciled(laid, base[2], weights, np.hstack(base[:2]) - np.hstack(actual[:2]))
    for grain in TOLD:
        rows = (laid.series["grain"] == grain).to_numpy()
        before = errors_of(base[2][rows], actual[2][rows])
        yield Figure(f"{name}: {grain}, WAPE of months", 100 * before[0], "%")
        for method, values in methods.items():
            after = errors_of(values[rows], actual[2][rows])
            for measured, label in enumerate(ERRORS):
                bound = NOT_WORSE.get(label) if method == "ours" and grain == "cell" else None
                yield Figure(f"  {label}, {method}", after[measured] / before[measured], "×", bound)


def learn(laid: Hierarchy, base: list[Matrix], actual: list[Matrix]) -> Weights:
    months = pd.Index(months_from("2020-01", YEAR * len(base)))
    judged = write_out(laid, months, {"value": np.hstack(base), "actual": np.hstack(actual)})
    return learn_weights(judged.assign(origin=judged["period"].str[:4]), laid, PARAMS)


def reconciled(laid: Hierarchy, base: Matrix, weights: Weights, missed: Matrix) -> dict[str, Matrix]:
    """Reconcile by each method. One matrix per method, one row per series."""
    fine, told = base[: laid.cells], base[laid.cells :]
    learned = weights.variances["variance"].to_numpy()
    cells = {"bottom-up": fine, "top-down": top_down(laid, fine, told)}
    own = np.maximum((missed**2).mean(axis=1), PARAMS.least_variance * 0.1)
    struct = np.ones(laid.cells), np.asarray(laid.sums.sum(axis=1)).ravel()
    variances = {
        "least squares, struct": struct,
        "least squares, var": (own[: laid.cells], own[laid.cells :]),
        "ours": (learned[: laid.cells], learned[laid.cells :]),
    }
    for name, both in variances.items():
        cells[name] = nearest_cells(fine, told, laid.sums, variances=both, tolerance=PARAMS.tolerance)
    return {name: np.vstack([values, laid.sums @ values]) for name, values in cells.items()}


def top_down(laid: Hierarchy, fine: Matrix, told: Matrix) -> Matrix:
    """Share what the Region is forecast to ask of each occupation over its cells, as they were forecast."""
    rows = laid.rows("region/occupation")
    own = laid.sums[rows]
    total = own @ fine
    return fine * (own.T @ np.divide(told[rows], total, out=np.zeros_like(total), where=total > 0))


def errors_of(told: Matrix, actual: Matrix) -> tuple[float, float, float]:
    """Σ|told − actual| ÷ Σ actual by month and over the year, and the root of the mean square of months."""
    missed, total = told - actual, actual.sum()
    root = float(np.sqrt((missed**2).mean()))
    return float(np.abs(missed).sum() / total), float(np.abs(missed.sum(axis=1)).sum() / total), root


# What it costs -------------------------------------------------------------------------------------------------------------


def take_times(laid: Hierarchy) -> Iterator[Figure]:
    """Time whole frames of 1, 12 and 24 months, and a part of the Region beside a dense solution."""
    variances = make_variances(laid)
    seconds = {months: quickest(frame_of(laid, months), laid, variances) for months in (1, 12, 24)}
    yield Figure("23,408 cells, 29,018 sums, one month", seconds[1], "s", SECONDS)
    yield Figure("  12 months", seconds[12], "s")
    yield Figure("  slope from 12 to 24 months (1: linear)", float(np.log2(seconds[24] / seconds[12])), "")
    at_odds = laid.series.assign(variance=np.random.default_rng(2).gamma(2.0, 2.0, len(laid.series)))
    yield Figure("  one month, sums as sure as one cell", quickest(frame_of(laid, 1), laid, at_odds), "s")
    few = lay_region(facts.occupations()["occupation"].iloc[:DENSE_OCCUPATIONS])
    variance, frame = make_variances(few), frame_of(few, 1)
    ours, dense = quickest(frame, few, variance), quickest_dense(few, frame["value"].to_numpy(), variance["variance"])
    yield Figure(f"{few.cells} cells, {few.sums.shape[0]} sums, one month", ours, "s")
    yield Figure("  dense MinT, which may fall below zero ÷ ours", dense / ours, "×")


def make_variances(laid: Hierarchy) -> pd.DataFrame:
    """Make up errors of cells, and sums half as sure as theirs. One row per series."""
    fine = np.random.default_rng(2).gamma(2.0, 2.0, laid.cells)
    return laid.series.assign(variance=np.append(fine, 2 * (laid.sums @ fine)))


def frame_of(laid: Hierarchy, months: int) -> pd.DataFrame:
    """Make up forecasts that do not add up. One row per series and month."""
    rng = np.random.default_rng(3)
    fine = rng.gamma(0.5, 2.0, (laid.cells, months))
    value = np.vstack([fine, (laid.sums @ fine) * rng.gamma(20.0, 0.05, (laid.sums.shape[0], months))])
    return write_out(laid, pd.Index(months_from("2026-04", months)), {"value": value, "low": value * 0.5, "high": value * 1.7})


def quickest(frame: pd.DataFrame, laid: Hierarchy, variances: pd.DataFrame) -> float:
    times = []
    for _ in range(ROUNDS):
        started = perf_counter()
        reconcile(frame, laid, variances, PARAMS)
        times.append(perf_counter() - started)
    return min(times)


def quickest_dense(laid: Hierarchy, values: Matrix, variance: pd.Series) -> float:
    times = []
    for _ in range(ROUNDS):
        started = perf_counter()
        summing = np.vstack([np.eye(laid.cells), laid.sums.toarray()])
        weighed = summing / variance.to_numpy()[:, None]
        np.linalg.solve(weighed.T @ summing, weighed.T @ values)
        times.append(perf_counter() - started)
    return min(times)
