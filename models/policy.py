"""What rules are worth that say who trains in what: simple ones, a shallow tree in words, and one without restriction.

What an action brings a person is told elsewhere, as doubly robust scores Γ (:class:`Scores`). :func:`net_worth` takes the cost
of a place off, and what remains is all that a rule may learn from (:func:`choose_policies`, :mod:`models.policy_tree`).
:func:`judge_policies` then says what each rule would have brought the people of the past, always people it did not learn from:

    value(rule) = Σ w_i · (Γ_i,rule(i) − Γ_i,nothing) ÷ Σ w_i        net(rule) = value − mean cost of the places it gives

Where nobody alike ever took an action, nothing tells what it brings: there a rule gives nothing instead.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_bool_dtype
from scipy.special import ndtri

from features.params import Section, param
from features.vocabulary import InputError
from models.policy_tree import Choice, Mask, Numbers, TreeParams, Worth, as_numbers, fit_tree, over_nothing

NOTHING = ""  # the action of those who do not train, always the first
_BOUNDS = ["value", "low", "high", "net", "net_low", "net_high", "gain", "gain_low", "gain_high"]


class PolicyParams(Section):
    """What a job is worth to the Region, and how rules are looked for and judged."""

    job_eur: float = param(20_000.0, "what the Region would pay for one more durable job", unit="€", ge=1000, le=1e6)
    confidence: float = param(0.8, "share of the cases that the interval is to hold", unit="share", ge=0.5, le=0.99)
    tree: TreeParams = TreeParams()


@dataclass(frozen=True)
class Scores:
    """What each action would have brought each person, people × actions, as a probability of durable work.

    ``gamma`` holds the doubly robust scores (NaN: not judged, nobody alike took it), ``plain`` the outcome predicted without
    the person's own fold. ``taken`` is the number of the action that each took, ``outcome`` what came of it, ``fold`` the
    part of the people each belongs to, ``weight`` how many a person stands for.
    """

    actions: tuple[str, ...]
    gamma: Numbers
    plain: Numbers
    taken: Choice
    outcome: Numbers
    fold: NDArray[np.int64]
    weight: Numbers

    def __post_init__(self) -> None:
        """Refuse scores that do not fit together."""
        people = {len(each) for each in (self.gamma, self.plain, self.taken, self.outcome, self.fold, self.weight)}
        widths = {self.gamma.shape[1:], self.plain.shape[1:], (len(self.actions),)}
        if len(people) > 1 or len(widths) > 1 or self.actions[:1] != (NOTHING,):
            raise ValueError(f"scores of {people} people × {widths} actions {self.actions}, of which the first must be ''")


def place_costs(entry_eur: Numbers, params: PolicyParams) -> Numbers:
    """Turn the price of an entry (€) into jobs: what a place costs ÷ what the Region would pay for a durable job.

    >>> place_costs(np.array([0.0, 4000.0]), PolicyParams(job_eur=20_000))
    array([0. , 0.2])
    """
    return np.asarray(entry_eur / params.job_eur, dtype="float64")


def net_worth(scores: Scores, costs: Numbers) -> Worth:
    """Take the cost of each action off what it brings, both in durable jobs. An infinite cost forbids the action.

    Every other fold is in the second half, whatever the numbers of the folds.
    """
    _check_costs(scores.actions, costs)
    forbidden = np.isnan(scores.gamma) | np.isnan(scores.plain) | np.isinf(costs)
    net, expected = (np.where(forbidden, np.nan, brought - costs) for brought in (scores.gamma, scores.plain))
    _, place = np.unique(scores.fold, return_inverse=True)
    return Worth(scores.actions, net, expected, place % 2 > 0, scores.weight)


def _check_costs(actions: tuple[str, ...], costs: Numbers) -> None:
    if len(costs) != len(actions):
        raise InputError(f"costs: {len(costs)} costs for {len(actions)} actions. Give one for each, 0 for no training.")
    unusable = np.isnan(costs) | (costs == -np.inf)
    unusable[0] |= not np.isfinite(costs[0])
    if unusable.any():
        named = ", ".join(repr(action) for action, wrong in zip(actions, unusable, strict=True) if wrong)
        raise InputError(f"costs: no usable cost of {named}. Write jobs per place, 0.2; inf for a training not to be chosen.")


def choose_policies(worth: Worth, covariates: pd.DataFrame, places: float, params: PolicyParams) -> dict[str, Choice]:
    """Let each rule choose for each person, as learned from the other half of the people: the number of the action.

    ``best_action`` gives everyone the same, ``public:…`` does so within one public (a flag) and leaves the others, ``tree_2``
    asks two questions at most. ``unrestricted`` takes what is expected to be best for each; ``unrestricted_capped`` puts a
    price on a place, the lowest that leaves no larger share of the people in training than ``places``.
    """
    best = over_nothing(worth.expected)
    free, gain = best.argmax(axis=1), best.max(axis=1)
    alike, *deeper = (params.tree.model_copy(update={"depth": depth}) for depth in range(params.tree.depth + 1))
    publics = [str(name) for name, column in covariates.items() if is_bool_dtype(column)]
    chosen = {
        "nothing": np.zeros(len(gain), dtype=np.int64),
        "best_action": _learn_elsewhere(worth, covariates, alike),
        **{f"public:{public}": _learn_within(public, worth, covariates, alike) for public in publics},
        **{f"tree_{tree.depth}": _learn_elsewhere(worth, covariates, tree) for tree in deeper},
        "unrestricted": free,
        "unrestricted_capped": np.where(gain > _price_of_places(gain, worth, places), free, 0),
    }
    return {policy: worth.allow(choice) for policy, choice in chosen.items()}


def _learn_elsewhere(worth: Worth, covariates: pd.DataFrame, params: TreeParams) -> Choice:
    """Let a tree choose for the people of each half that was made for those of the other."""
    chosen = np.zeros(len(covariates), dtype=np.int64)
    # Two halves, not all folds: rules learned from folds in common err together, and the intervals would be too narrow.
    for here in (worth.second, ~worth.second):
        chosen[here] = fit_tree(worth.of(~here), covariates[~here], params).choose(covariates[here])
    return chosen


def _learn_within(public: str, worth: Worth, covariates: pd.DataFrame, params: TreeParams) -> Choice:
    """Let a tree made for a public choose for it, and leave the others."""
    own = as_numbers(covariates[public]) > 0
    chosen = np.zeros(len(own), dtype=np.int64)
    chosen[own] = _learn_elsewhere(worth.of(own), covariates[own], params)
    return chosen


def _price_of_places(gain: Numbers, worth: Worth, places: float) -> float:
    """Find the lowest price at which no more than a share of the people gain more than it."""
    judged = worth.judged
    if not judged.any():
        return 0.0
    prices, at = np.unique(gain[judged], return_inverse=True)
    upto = np.cumsum(np.bincount(at, worth.weight[judged]))
    return float(prices[np.argmax(1 - upto / upto[-1] <= places + 1e-9)])


def judge_policies(scores: Scores, costs: Numbers, covariates: pd.DataFrame, params: PolicyParams) -> pd.DataFrame:
    """Judge the rules on people of the past that they did not learn from. One row per policy.

    ``value`` is what the rule adds to no training, in durable jobs per person, ``cost`` what its places cost, ``net`` value −
    cost, ``gain`` net less that of the status quo, person by person: each with its interval. ``places`` is the share of people
    in training, ``n`` the people judged. The tree to publish is made for everyone, as deep as still pays here: each question
    more follows chance more closely, and ``tree_3`` may be worth less than ``tree_1`` to people it did not see.
    Where people took what has an infinite cost, nobody knows what the status quo costs, and no gain over it is told.
    """
    worth = net_worth(scores, costs)
    judged = worth.judged
    places = _mean_within(scores.taken[judged] > 0, scores.weight[judged], params.confidence)[0]
    people = np.arange(len(judged))
    chosen = choose_policies(worth, covariates, places, params)
    brought = {policy: scores.gamma[people, choice] for policy, choice in chosen.items()}
    # What came of the status quo was seen. Γ of the action taken would not do: that action is no function of the covariates.
    chosen, brought = {"status_quo": scores.taken, **chosen}, {"status_quo": scores.outcome, **brought}
    price = np.where(np.isinf(costs), np.nan, costs - costs[0])
    now = (scores.outcome - scores.gamma[:, 0] - price[scores.taken])[judged]
    rows = []
    for policy, choice in chosen.items():
        value, cost = (brought[policy] - scores.gamma[:, 0])[judged], price[choice[judged]]
        told = [
            _mean_within(each, scores.weight[judged], params.confidence)
            for each in (choice[judged] > 0, cost, value, value - cost, value - cost - now)
        ]
        rows.append((policy, len(value), told[0][0], told[1][0], *told[2], *told[3], *told[4]))
    return pd.DataFrame(rows, columns=["policy", "n", "places", "cost", *_BOUNDS])


def _mean_within(values: Numbers | Mask, weight: Numbers, confidence: float) -> tuple[float, float, float]:
    """Give the weighted mean and its interval, se² = n ÷ (n − 1) · Σ w² (v − mean)² ÷ (Σ w)²; NaN of nobody."""
    n, total = len(values), float(weight.sum())
    if n == 0:
        return float("nan"), float("nan"), float("nan")
    mean = float(weight @ values) / total
    squares = float(weight**2 @ (values - mean) ** 2)
    reach = float(ndtri((1 + confidence) / 2)) * math.sqrt(squares * n / (n - 1)) / total if n > 1 else float("nan")
    return mean, mean - reach, mean + reach
