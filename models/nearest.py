"""The cells nearest to forecasts that do not add up: weighted least squares, none below zero, without a dense matrix.

Minimises Σ (x − base)² ÷ variance over the cells + Σ (sum of x − told)² ÷ variance over the aggregates, x ≥ 0: the diagonal
case of MinT (Wickramasuriya, Athanasopoulos and Hyndman 2019) with the bound of the same authors' non-negative one (2020).
Each period is its own problem; all are solved together.

In units of each cell's standard deviation the matrix is I + (a sum of squares), so that conjugate gradients need few steps
and the distance to the solution is never larger than the residual. The bound is kept by block pivoting: cells that fall
below zero are held there, those that are held and would rise are let go, until none is wrong (Portugal, Júdice and
Vicente 1994; after some passes without progress one at a time, which always ends).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
Marks = NDArray[np.bool_]

_MOST_STEPS = 2_000  # of conjugate gradients; far fewer are needed, rounding may keep them from ending
_MOST_PASSES = 200  # of pivoting
_ROUGH, _FINER = 1e-2, 0.03  # precision at which it is first looked for which cells are held, and from pass to pass
_PATIENCE = 5  # passes without progress before one cell moves at a time
_SAFE = 10.0  # a cell is wrong only by more than the solver can be off
_ROUNDING = 1e-13  # what does not add up by less than this share of what was added is rounding


@dataclass(frozen=True, eq=False)
class Problem:
    """Least squares in units of each cell's standard deviation: (I + AᵀWA) x = pull, ``least`` ≤ x; a column per period."""

    sums: sparse.csr_array
    turned: sparse.csr_array
    weights: Matrix
    pull: Matrix
    least: Matrix
    moves: Marks
    scale: Vector

    def apply(self, x: Matrix) -> Matrix:
        """Multiply by I + AᵀWA."""
        product: Matrix = x + self.turned @ (self.weights * (self.sums @ x))
        return product

    def of(self, columns: NDArray[np.intp]) -> Problem:
        """Keep some columns."""
        return Problem(
            self.sums,
            self.turned,
            self.weights[:, columns],
            self.pull[:, columns],
            self.least[:, columns],
            self.moves[:, columns],
            self.scale[columns],
        )


def nearest_cells(
    base: Matrix,
    told: Matrix,
    sums: sparse.csr_array,
    *,
    variances: tuple[Vector, Vector],
    tolerance: float,
    bounded: bool = True,
) -> Matrix:
    """Give the cells nearest to ``base`` (cells × periods) and to ``told`` (aggregates × periods, missing where not told).

    ``variances`` are those of the cells (zero: the cell stays) and of the aggregates (infinite: not heard).
    """
    fine, wide = variances
    heard = np.isfinite(wide) & (sums @ fine > 0)
    if not heard.any() or base.size == 0:
        return np.maximum(base, 0.0) if bounded else base.copy()
    deviation = np.sqrt(fine)[:, None]
    problem = _pose(base, told[heard], sparse.csr_array(sums[heard]), deviation, wide[heard])
    x = _pivot(problem, tolerance) if bounded else _solve(problem, problem.moves, np.zeros_like(base), tolerance)
    cells: Matrix = base + deviation * x
    return np.where(problem.moves & (x <= problem.least), 0.0, np.maximum(cells, 0.0)) if bounded else cells


def _pose(base: Matrix, told: Matrix, sums: sparse.csr_array, deviation: Matrix, wide: Vector) -> Problem:
    scaled = sparse.csr_array(sums.multiply(deviation.T))
    turned = sparse.csr_array(scaled.T)
    weights = np.where(np.isnan(told), 0.0, 1 / wide[:, None])
    own = sums @ base
    miss = np.nan_to_num(told) - own
    pull = turned @ (weights * miss)
    rounding = turned @ (weights * (np.abs(np.nan_to_num(told)) + np.abs(own)))
    scale = np.maximum(np.linalg.norm(pull, axis=0), _ROUNDING * np.linalg.norm(rounding, axis=0))
    moves = np.broadcast_to(deviation > 0, base.shape)
    least = np.where(moves, -base / np.where(moves, deviation, 1.0), 0.0)
    # What is off by rounding alone adds up already: it stays as it is.
    coherent = np.linalg.norm(pull, axis=0) <= _ROUNDING * np.linalg.norm(rounding, axis=0)
    return Problem(scaled, turned, weights, np.where(coherent, 0.0, pull), least, moves, scale)


def _pivot(problem: Problem, tolerance: float) -> Matrix:
    """Solve with the bound: hold cells at zero, let them go, until none is wrong.

    The first passes are rough: they only look for which cells are held. The last digits are asked once that is known.
    """
    free, x = problem.moves.copy(), np.zeros_like(problem.pull)
    left, precision = np.arange(x.shape[1]), max(_ROUGH, tolerance)
    fewest, waited = np.full(x.shape[1], x.shape[0] + 1), np.zeros(x.shape[1], dtype=np.int64)
    for _ in range(_MOST_PASSES):
        now, loose = problem.of(left), free[:, left]
        start = np.where(loose, x[:, left], np.where(now.moves, now.least, 0.0))
        x[:, left] = _solve(now, loose, start, precision)
        wrong = _misplaced(now, loose, x[:, left], tolerance)
        count = wrong.sum(axis=0)
        gained = count < fewest[left]
        waited[left] = np.where(gained, 0, waited[left] + 1)
        fewest[left] = np.minimum(count, fewest[left])
        free[:, left] ^= _one_at_a_time(wrong, waited[left] > _PATIENCE)
        if precision == tolerance:
            left = left[count > 0]
        if not len(left):
            break
        precision = max(precision * _FINER, tolerance)
    return x


def _misplaced(problem: Problem, free: Marks, x: Matrix, tolerance: float) -> Marks:
    slack = _SAFE * tolerance * problem.scale
    slope = problem.apply(x) - problem.pull
    wrong: Marks = problem.moves & np.where(free, x < problem.least - slack, slope < -slack)
    return wrong


def _one_at_a_time(wrong: Marks, slowly: Marks) -> Marks:
    """Keep only the last of the cells that are wrong, in the columns that do not progress."""
    last = wrong.shape[0] - 1 - wrong[::-1].argmax(axis=0)
    single = np.arange(wrong.shape[0])[:, None] == last
    moved: Marks = wrong & (single | ~slowly)
    return moved


def _solve(problem: Problem, free: Marks, start: Matrix, tolerance: float) -> Matrix:
    """Solve for the free cells by conjugate gradients, the others held where they start. A column that is done rests."""
    x = start.copy()
    diagonal = 1 + problem.turned.multiply(problem.turned) @ problem.weights
    left = np.where(free, problem.pull - problem.apply(x), 0.0)
    eased = left / diagonal
    step, size = eased.copy(), _dot(left, eased)
    goal = tolerance * problem.scale
    for _ in range(_MOST_STEPS):
        going = np.sqrt(_dot(left, left)) > goal
        if not going.any():
            break
        turned = np.where(free, problem.apply(step), 0.0)
        length = _ratio(size, _dot(step, turned), going)
        x += length * step
        left -= length * turned
        eased = left / diagonal
        new = _dot(left, eased)
        step = eased + _ratio(new, size, going) * step
        size = new
    return x


def _dot(a: Matrix, b: Matrix) -> Vector:
    product: Vector = np.einsum("ij,ij->j", a, b)
    return product


def _ratio(over: Vector, under: Vector, going: Marks) -> Vector:
    sound = going & (under > 0)
    ratio: Vector = np.where(sound, over / np.where(sound, under, 1.0), 0.0)
    return ratio
