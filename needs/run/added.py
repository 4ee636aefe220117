"""What training added, in published tables: effects, costs of seats, what past courses taught, what rules are worth."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.build import Features
from features.contracts import write_estimate
from features.starts import ENTERED, LISTED
from features.tables import Tables
from models.action_scores import explain, score_actions
from models.effects import Effects, estimate_effects
from models.feedback import score_courses
from models.policy import NOTHING, PolicyParams, judge_policies, net_worth, place_costs
from models.policy_tree import Tree, fit_tree
from models.seat_costs import follow_seats
from needs.params import Params


def tell_added(features: Features, known: Tables, params: Params) -> tuple[Effects, dict[str, pd.DataFrame]]:
    """Estimate what training added, and give the tables that tell it. A row of each is said in the function that makes it."""
    limits, smallest = params.features.grades.limits(), params.features.privacy.smallest_cell
    effects, horizon = estimate_effects(features.starts, params.effects, limits, smallest), params.effects.horizon_months
    return effects, {
        "effects": effects.table,
        "seat_costs": follow_seats(features.options, features.chain, features.outcomes, effects.table, horizon),
        "course_scores": score_courses(effects.gains, known.purchases, limits, smallest),
        "policies": judge_rules(features, params),
    }


def judge_rules(features: Features, params: Params) -> pd.DataFrame:
    """Judge rules that say who trains in what, on people of the past. One row per policy; none where too few were compared.

    ``cost`` and ``net`` are in durable jobs per person; ``rule`` writes the tree out.
    """
    starts = features.starts
    known = starts[starts[f"durable_{params.effects.horizon_months}"].notna()]
    if min(int((known["arm"] == arm).sum()) for arm in (ENTERED, LISTED)) < 2 * params.policy.tree.smallest_leaf:
        return pd.DataFrame({"policy": pd.Series(dtype="str")})
    scores, people = score_actions(starts, params.effects.horizon_months, params.effects.comparison, params.actions)
    costs = place_costs(_entry_eur(features, scores.actions), params.policy)
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


def _entry_eur(features: Features, actions: tuple[str, ...]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Give the usual price of an entry of each action, empty seats included, by its busiest years; 0 for no training."""
    options, fill = features.options, features.chain.set_index("action_type")["fill"]
    seats = options["busiest"] * options["group"]
    price = (options["place_eur"] * seats).groupby(options["action_type"]).sum() / seats.groupby(options["action_type"]).sum()
    usual = float((options["place_eur"] * seats).sum() / max(float(seats.sum()), 1.0))
    told = [0.0 if kind == NOTHING else float(price.get(kind, usual)) / float(fill.get(kind, fill[""])) for kind in actions]
    return np.array(told, dtype="float64")


def _written(tree: Tree) -> str:
    """Write a tree out, one leaf after the other."""
    leaves = tree.tell()
    return "; ".join(f"{rule} → {action}" for rule, action in zip(leaves["rule"], leaves["action"], strict=True))
