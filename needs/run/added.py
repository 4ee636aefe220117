"""What training added, in published tables: effects, costs of seats, what past courses taught, what rules are worth.

model = train_effects(lived, tables, params)        what the past teaches, learned when it is due
tables = tell_added(features, params, model)        what it tells beside the options of tonight
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.build import Features
from features.contracts import write_estimate
from features.starts import ENTERED, LISTED
from features.tables import Tables
from models.action_scores import explain, score_actions
from models.effects import estimate_effects
from models.feedback import score_courses
from models.personal import Personal, learn_personal
from models.policy import NOTHING, PolicyParams, judge_policies, net_worth, place_costs
from models.policy_tree import Tree, fit_tree
from models.seat_costs import follow_seats
from needs.params import Params


@dataclass(frozen=True)
class EffectModel:
    """What the past taught of what training adds: all that a later night needs, and no row of a person.

    ``table`` and ``everybody`` are those of :class:`models.effects.Effects`; ``scores`` tells of past lots and providers,
    ``policies`` of rules, ``personal`` how far traits move what is told of a person.
    """

    table: pd.DataFrame
    everybody: pd.DataFrame
    scores: pd.DataFrame
    policies: pd.DataFrame
    personal: Personal


@dataclass(frozen=True)
class Lived:
    """What effects are learned from: people at a start, what can be bought, and what came of seats. As in their builders."""

    starts: pd.DataFrame
    options: pd.DataFrame
    chain: pd.DataFrame

    @classmethod
    def of(cls, features: Features) -> Lived:
        """Take it out of all that is known."""
        return cls(features.starts, features.options, features.chain)


def train_effects(lived: Lived, known: Tables, params: Params) -> EffectModel:
    """Learn from past trainees and people alike what training added."""
    limits, smallest = params.features.grades.limits(), params.features.privacy.smallest_cell
    effects = estimate_effects(lived.starts, params.effects, limits, smallest)
    return EffectModel(
        table=effects.table,
        everybody=effects.everybody,
        scores=score_courses(effects.gains, known.purchases, limits, smallest),
        policies=judge_rules(lived, params),
        personal=learn_personal(lived.starts, effects, params.personal),
    )


def tell_added(features: Features, params: Params, model: EffectModel) -> dict[str, pd.DataFrame]:
    """Give the published tables of what training added. A row of each is said in the function that makes it."""
    horizon = params.effects.horizon_months
    return {
        "effects": model.table,
        "seat_costs": follow_seats(features.options, features.chain, features.outcomes, model.table, horizon),
        "course_scores": model.scores,
        "policies": model.policies,
    }


def judge_rules(lived: Lived, params: Params) -> pd.DataFrame:
    """Judge rules that say who trains in what, on people of the past. One row per policy; none where too few were compared.

    ``cost`` and ``net`` are in durable jobs per person; ``rule`` writes the tree out.
    """
    starts = lived.starts
    known = starts[starts[f"durable_{params.effects.horizon_months}"].notna()]
    if min(int((known["arm"] == arm).sum()) for arm in (ENTERED, LISTED)) < 2 * params.policy.tree.smallest_leaf:
        return pd.DataFrame({"policy": pd.Series(dtype="str")})
    scores, people = score_actions(starts, params.effects.horizon_months, params.effects.comparison, params.actions)
    costs = place_costs(_entry_eur(lived, scores.actions), params.policy)
    if len(people) < 2 * params.policy.tree.smallest_leaf or len(scores.actions) == 1:
        return pd.DataFrame({"policy": pd.Series(dtype="str")})
    covariates, policy = explain(people, params.personal.excluded), _private(params)
    judged = judge_policies(scores, costs, covariates, policy)
    told = write_estimate(
        judged.drop(columns=["value", "low", "high", "n"]),
        value=judged["value"],
        low=judged["low"],
        high=judged["high"],
        n=judged["n"],
        borrowed=0.0,
        limits=params.features.grades.limits(),
    )
    worth, trees = net_worth(scores, costs), range(1, policy.tree.depth + 1)
    rules = {
        f"tree_{depth}": _written(fit_tree(worth, covariates, policy.tree.model_copy(update={"depth": depth})))
        for depth in trees
    }
    return told.assign(rule=told["policy"].map(rules))


def _private(params: Params) -> PolicyParams:
    """Let no leaf of a tree tell of fewer people than a published figure may."""
    tree, smallest = params.policy.tree, params.features.privacy.smallest_cell
    return params.policy.model_copy(
        update={"tree": tree.model_copy(update={"smallest_leaf": max(tree.smallest_leaf, smallest)})}
    )


def _entry_eur(lived: Lived, actions: tuple[str, ...]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Give the usual price of an entry of each action, empty seats included, by its busiest years; 0 for no training."""
    options, fill = lived.options, lived.chain.set_index("action_type")["fill"]
    seats = options["busiest"] * options["group"]
    price = (options["place_eur"] * seats).groupby(options["action_type"]).sum() / seats.groupby(options["action_type"]).sum()
    usual = float((options["place_eur"] * seats).sum() / max(float(seats.sum()), 1.0))
    told = [0.0 if kind == NOTHING else float(price.get(kind, usual)) / float(fill.get(kind, fill[""])) for kind in actions]
    return np.array(told, dtype="float64")


def _written(tree: Tree) -> str:
    """Write a tree out, one leaf after the other."""
    leaves = tree.tell()
    return "; ".join(f"{rule} → {action}" for rule, action in zip(leaves["rule"], leaves["action"], strict=True))
