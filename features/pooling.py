"""Empirical Bayes for rates: a small group leans on the wider one, by as much as the groups of the past turned out alike.

Groups lie in steps, from the widest to the narrowest. Within a wider group of rate m, the true rates of the narrower ones
are taken to follow a beta law of mean m and of the weight of s people: one s for each step and kind of outcome, learned from
how far the counts of the groups differ beyond chance (:func:`learn_strengths`). Then (:func:`pool`)

    rate = (k + p · m) ÷ (n + p),        1 ÷ (p + 1) = 1 ÷ (s + 1) + 1 ÷ (a + 1)

where a is what the wider group rests on beside this group's own people: a wider group that is itself poorly known weighs
less, since its variance adds to that of the groups in it. A part of the people of each group (:func:`pool_parts`) leans on
everybody of the same group, moved by the gap of such people over all groups (:func:`learn_gaps`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from features.params import Section, param

Numbers = NDArray[np.float64]
Whole = NDArray[np.int64]
_ROUNDS = 12  # weights of the moments settle within a few
_EDGE = 1e-9  # a rate of 0 or 1 has no beta law


class PoolingParams(Section):
    """How much a small group may lean on a wider one, and when the data may say so."""

    weakest_people: float = param(2.0, "a wider group weighs at least as much as this many people", unit="people", ge=1, le=100)
    strongest_people: float = param(
        2000.0, "a wider group weighs at most as much as this many people", unit="people", ge=100, le=1e6
    )
    groups_to_learn: int = param(20, "fewer groups than this do not tell how far groups differ", unit="groups", ge=3, le=1000)
    prior_people: float = param(25.0, "what a wider group weighs where too few groups can tell", unit="people", ge=1, le=1000)
    low_share: float = param(0.1, "share of the law of a rate below ``low``, and above ``high``", unit="share", ge=0.01, le=0.4)


@dataclass(frozen=True)
class Sums:
    """What was counted: successes ``k`` out of ``n``, one row per group and one column per kind of outcome.

    Weighted answers count as many as they tell of: n is (Σ weight)² ÷ Σ weight² (Kish), never more than there are people.
    """

    k: Numbers
    n: Numbers

    @classmethod
    def of(cls, k: Numbers, n: Numbers, squares: Numbers) -> Sums:
        """Make sums of weights count people: ``squares`` is Σ weight²."""
        people = _ratio(n * n, squares, 0.0)
        return cls(_ratio(k * people, n, 0.0), people)

    def pick(self, columns: Whole) -> Sums:
        """Keep some columns, in this order."""
        return Sums(self.k[:, columns], self.n[:, columns])


@dataclass(frozen=True)
class Pooled:
    """The rates of the groups of one step: one row per group, one column per kind of outcome.

    ``n`` is what a rate rests on of its own, ``prior`` how many people the wider group weighs in it; ``strength`` and
    ``learned`` say, per column, what a wider group weighs at most at this step and whether the data said so.
    """

    rate: Numbers
    n: Numbers
    prior: Numbers
    strength: Numbers
    learned: NDArray[np.bool_]

    @property
    def borrowed(self) -> Numbers:
        """The share of the weight of each rate that came from wider groups."""
        whole = self.n + self.prior
        return _ratio(self.prior, whole, 1.0)

    def pick(self, columns: Whole) -> Pooled:
        """Keep some columns, in this order."""
        rate, n, prior = (of[:, columns] for of in (self.rate, self.n, self.prior))
        return Pooled(rate, n, prior, self.strength[columns], self.learned[columns])

    def moved(self, gaps: Numbers) -> Pooled:
        """Move the rates of each column by a gap in log-odds."""
        return replace(self, rate=move(self.rate, gaps))


def pool(
    sums: Sequence[Sums], parents: Sequence[Whole], kinds: Whole, params: PoolingParams, *, smallest: float
) -> list[Pooled]:
    """Pool rates step by step; ``sums`` begins with the one widest group, ``parents`` says where each group of a step belongs.

    Columns of the same kind (``kinds``) share what is learned. A group of fewer people than ``smallest`` says nothing of its
    own: its rate is the wider one, with n = 0. Where the widest group is too small itself, there is no rate at all.
    """
    widest = _hide_small(sums[0], smallest)
    nobody = np.zeros(len(kinds))
    steps = [Pooled(_ratio(widest.k, widest.n, np.nan), widest.n, np.zeros_like(widest.n), nobody, nobody > 0)]
    for wide, here, parent in zip(sums[:-1], sums[1:], parents, strict=True):
        above = steps[-1]
        mean = above.rate[parent]
        excess = here.k - here.n * _ratio(wide.k, wide.n, 0.0)[parent]
        share = _ratio(here.n, wide.n[parent], 0.0)
        strength, learned = learn_strengths(Sums(excess, here.n), mean, share, kinds, params)
        own = _hide_small(here, smallest)
        beside = (above.n + above.prior)[parent] - own.n
        steps.append(_lean(own, mean, beside, strength, learned))
    return steps


def pool_parts(parts: Sums, whole: Pooled, kinds: Whole, params: PoolingParams, *, smallest: float) -> Pooled:
    """Pool the rates of a part of the people of each group, who lean on everybody's rate there.

    ``whole`` holds everybody in the columns of ``parts``, moved by the gaps of such people (:meth:`Pooled.moved`). A part of
    fewer people than ``smallest`` says nothing of its own.
    """
    known = whole.n + whole.prior
    excess = Sums(parts.k - parts.n * whole.rate, parts.n)
    strength, learned = learn_strengths(excess, whole.rate, _ratio(parts.n, known, 0.0), kinds, params)
    own = _hide_small(parts, smallest)
    return _lean(own, whole.rate, known - own.n, strength, learned)


def learn_gaps(parts: Sums, rate: Numbers, params: PoolingParams, *, smallest: float) -> Numbers:
    """Learn by how much the log-odds of some people differ from everybody's in the same groups, per column.

    The gap g solves Σ k + s·r = Σ n·moved rate + s·(r moved by g), with r everybody's mean rate and s = ``prior_people``:
    where these people are many or few does not count, and few people make a small gap.
    """
    seen = np.where(np.isnan(rate), 0.0, parts.n)
    people = seen.sum(axis=0)
    usual = _ratio((seen * np.nan_to_num(rate)).sum(axis=0), people, 0.5)
    rates, weights = (
        np.vstack([np.nan_to_num(rate, nan=0.5), usual]),
        np.vstack([seen, np.full(len(usual), params.prior_people)]),
    )
    missing = (parts.k * (seen > 0)).sum(axis=0) + params.prior_people * usual
    gaps = np.zeros(len(usual))
    for _ in range(_ROUNDS):
        moved = move(rates, gaps)
        slope = (weights * moved * (1 - moved)).sum(axis=0)
        gaps = gaps + np.clip(_ratio(missing - (weights * moved).sum(axis=0), slope, 0.0), -1.0, 1.0)
    return np.where(people >= smallest, gaps, 0.0)


def move(rate: Numbers, gaps: Numbers) -> Numbers:
    """Move rates by gaps in log-odds; nothing and all stay what they are."""
    odds = rate * np.exp(gaps)
    return odds / (1 - rate + odds)


def _ratio(of: Numbers, by: Numbers, otherwise: float) -> Numbers:
    ratio: Numbers = np.divide(of, by, out=np.full(np.broadcast_shapes(np.shape(of), np.shape(by)), otherwise), where=by > 0)
    return ratio


def _hide_small(sums: Sums, smallest: float) -> Sums:
    """Empty the groups that hold too few people to be told apart from their wider group. Same rows."""
    seen = sums.n >= smallest
    return Sums(np.where(seen, sums.k, 0.0), np.where(seen, sums.n, 0.0))


def _lean(own: Sums, mean: Numbers, beside: Numbers, strength: Numbers, learned: NDArray[np.bool_]) -> Pooled:
    """Give each group its rate: its own people's, and the wider group's, which so many people tell of ``beside`` them."""
    prior = 1.0 / (1.0 / (strength + 1.0) + 1.0 / (np.maximum(beside, 0.0) + 1.0)) - 1.0
    return Pooled((own.k + prior * mean) / (own.n + prior), own.n, prior, strength, learned)


def learn_strengths(
    excess: Sums, mean: Numbers, share: Numbers, kinds: Whole, params: PoolingParams
) -> tuple[Numbers, NDArray[np.bool_]]:
    """Learn how many people a wider group weighs, per column: the s of the beta law, and whether enough groups told.

    Moments (Kleinman 1973, JASA 68-341): the squares of k − n·m, less what chance alone makes of them, are (n − 1) ÷ (s + 1)
    of it on average, weighted by how sure each is. ``excess.k`` holds k − n · raw rate of the wider group, ``share`` the part
    of the wider group that the group is: a group that is all of it tells nothing.
    """
    chance = excess.n * mean * (1 - mean) * (1 - share)
    tells = (excess.n > 1) & (chance > _EDGE)
    spread = np.where(tells, excess.k**2 / np.where(tells, chance, 1.0) - 1.0, 0.0)
    extra = np.where(tells, excess.n - 1.0, 0.0)
    doubt = 2.0 + 1.0 / np.where(tells, chance, 1.0)
    groups = np.bincount(kinds, tells.sum(axis=0))
    bounds = 1.0 / (params.strongest_people + 1.0), 1.0 / (params.weakest_people + 1.0)
    alike = np.full(len(groups), 1.0 / (params.prior_people + 1.0))
    for _ in range(_ROUNDS):
        weight = extra / (doubt * (1.0 + extra * alike[kinds]) ** 2)
        seen, whole = (np.bincount(kinds, (weight * of).sum(axis=0)).astype(np.float64) for of in (spread, extra))
        alike = np.clip(_ratio(seen, whole, 0.0), *bounds)
    learned = groups >= params.groups_to_learn
    return np.where(learned, 1.0 / alike - 1.0, params.prior_people)[kinds], learned[kinds]


def bound_rates(rate: Numbers, people: Numbers, low_share: float) -> tuple[Numbers, Numbers]:
    """Bound rates known as well as so many people tell: the middle of their beta law, ``low_share`` left out on each side."""
    alpha, omega = np.maximum(rate * people, _EDGE), np.maximum((1 - rate) * people, _EDGE)
    low, high = (np.asarray(betaincinv(alpha, omega, share), dtype=np.float64) for share in (low_share, 1 - low_share))
    return low, high
