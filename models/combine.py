"""Convex weights of members, learned at origins in the past: the naive forecast unless others told it better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.members import TINY, Member, Past
from models.panel import Codes, Numbers

ORIGINS = 16  # origins looked back to, at most
CELLS = 1_000_000  # values told at all origins together, about: large panels need fewer origins
FEWEST = 3  # origins of a large panel, at least
PRIOR = 0.5  # origins at which the naive forecast is taken to have been right in total
ROWS = 150_000  # values that weights are learned from
ROUNDS = 120  # of the descent from the naive weights: stopped before it is done, it stays nearer to them
BUCKETS = 3  # parts of the horizon with weights of their own


@dataclass(frozen=True)
class Mixed:
    """A combined forecast. ``told`` holds what it would have told at earlier origins: (periods known, series × horizon)."""

    values: Numbers
    weights: list[dict[str, float]]
    told: list[tuple[int, Numbers]]


def combine(past: Past, horizon: int, members: Mapping[str, Member], naive: int) -> Mixed:
    """Mix members; the first ``naive`` of them are naive. Near periods also learn from origins less than a horizon old."""
    buckets = np.array_split(np.arange(horizon), min(horizon, BUCKETS))
    told = [(start, _tell(past.until(start), horizon, members)) for start in look_back(past, horizon)]
    now = _tell(past, horizon, members)
    weights, values = [np.eye(len(members))[0]], np.empty(now.shape[:2])
    for steps in buckets:
        judged = [(f[:, steps], past.values[:, start + steps]) for start, f in told if start + steps[-1] < past.periods]
        # Where nothing so far ahead has come to pass yet, the weights of what is nearer stand.
        weights.append(
            learn_weights([_sample(*pair, ROWS // len(judged), turn) for turn, pair in enumerate(judged)], naive)
            if judged
            else weights[-1]
        )
        values[:, steps] = now[:, steps] @ weights[-1]
    mixed = [
        (start, np.hstack([f[:, steps] @ mine for steps, mine in zip(buckets, weights[1:], strict=True)])) for start, f in told
    ]
    named = [dict(zip(members, mine.tolist(), strict=True)) for mine in weights[1:]]
    return Mixed(values, named, mixed)


def apply_weights(past: Past, horizon: int, members: Mapping[str, Member], learned: Sequence[Mapping[str, float]]) -> Mixed:
    """Mix members by weights that were learned before, without a look at the past: a part not learned is as the one before.

    The weight of a member that is no longer there goes to the others, in proportion to theirs; where none of them has any, the
    first tells alone. Where the members are those that were learned, this is what :func:`combine` told.
    """
    part, now, named = bucket_of(horizon), _tell(past, horizon, members), []
    values = np.empty(now.shape[:2])
    for bucket in range(int(part[-1]) + 1):
        told = learned[min(bucket, len(learned) - 1)]
        mine = np.array([told.get(name, 0.0) for name in members])
        if not set(told) <= set(members):
            mine = mine / mine.sum() if mine.sum() > 0 else np.eye(len(members))[0]
        steps = np.flatnonzero(part == bucket)
        values[:, steps] = now[:, steps] @ mine
        named.append(dict(zip(members, mine.tolist(), strict=True)))
    return Mixed(values, named, [])


def look_back(past: Past, horizon: int) -> list[int]:
    """List the origins judged, latest first, as the number of periods then known."""
    least = max(2, past.season // 2 + 1)
    count = int(np.clip(CELLS // max(len(past.values) * horizon, 1), FEWEST, ORIGINS))
    step = 1 if count == ORIGINS else max(1, horizon // count)
    reach = ORIGINS * step if step == 1 else min(horizon + step, ORIGINS * step)
    return list(range(past.periods - step, max(least, past.periods - reach) - 1, -step))


def _tell(past: Past, horizon: int, members: Mapping[str, Member]) -> Numbers:
    """Let each member tell. Series × horizon × members."""
    return np.stack([member(past, horizon) for member in members.values()], axis=2)


def _sample(told: Numbers, actual: Numbers, most: int, turn: int) -> tuple[Numbers, Numbers]:
    """Keep as many series as give ``most`` values, drawn alike at each call; others at each turn."""
    count = max(1, most // actual.shape[1])
    if count >= len(actual):
        return told, actual
    chosen = np.sort(np.random.default_rng(turn).choice(len(actual), count, replace=False))
    return told[chosen], actual[chosen]


def learn_weights(judged: Sequence[tuple[Numbers, Numbers]], naive: int) -> Numbers:
    """Minimise mean_k (Σ|y − Fw| ÷ Σ|y − n|) + prior ÷ K · mean_k (Σ_t|Σ_i(Fw − n)| ÷ Σ|y − n|) over convex weights w.

    n is the naive forecast that told better. The second term is one more origin (times ``PRIOR``) at which it had been
    right in total: to smooth chance away costs nothing there, to move the whole does.
    """
    losses = [sum(float(np.nansum(np.abs(y - f[:, :, member]))) for f, y in judged) for member in range(naive)]
    best = int(np.argmin(losses))
    gaps, moves = [], []
    for told, actual in judged:
        known = ~np.isnan(actual)
        error = float(np.abs(actual - told[:, :, best])[known].sum())
        if error <= 0:
            continue  # the naive forecast was right: nothing can be gained
        apart = np.where(known[:, :, None], told - told[:, :, [best]], 0.0)
        moves.append(apart.sum(axis=0) * PRIOR / len(judged) / error)
        gaps.append((told[known] - actual[known][:, None]) / error)
    start = np.eye(judged[0][0].shape[2])[best]
    return _descend(np.concatenate(gaps), np.concatenate(moves), start) if gaps else start


def _descend(gaps: Numbers, moves: Numbers, start: Numbers) -> Numbers:
    """Minimise Σ|gaps · w| + Σ|moves · w| by exponentiated gradient from near ``start``; the best weights met are kept."""
    weights = 0.7 * start + 0.3 / len(start)
    kept, best = start, float(np.abs(gaps @ start).sum() + np.abs(moves @ start).sum())
    for turn in range(ROUNDS):
        error, moved = gaps @ weights, moves @ weights
        score = float(np.abs(error).sum() + np.abs(moved).sum())
        if score < best:
            kept, best = weights, score
        slope = np.sign(error) @ gaps + np.sign(moved) @ moves
        slope = slope - slope @ weights
        weights = weights * np.exp(-1.5 / np.sqrt(1 + turn) * slope / max(float(np.abs(slope).max()), TINY))
        weights = np.maximum(weights, 1e-6) / np.maximum(weights, 1e-6).sum()
    return kept


def bucket_of(horizon: int) -> Codes:
    """Say which part of the horizon each period ahead belongs to."""
    parts = np.array_split(np.arange(horizon), min(horizon, BUCKETS))
    return np.repeat(np.arange(len(parts)), [len(part) for part in parts])
