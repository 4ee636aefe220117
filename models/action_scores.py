"""What no training and each type of course would have brought people of the past: the scores that rules are judged on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression, Ridge

from features.params import Section, param
from models.doubly_robust import ComparisonParams, Numbers, Whole, folds_of
from models.likeness import ENTERED, LISTED, Asked, Describer, number_people, same_times, sample_of
from models.policy import NOTHING, Scores

# What rules may be told by: no trait that scores of persons never look at is among them.
EXPLAINED = ("level", "unemployed_months", "worked_m1_12", "worked_m13_24", "mobility_km", "place_tightness")


class ActionParams(Section):
    """Which types of course rules choose among."""

    fewest_people: int = param(
        100, "a type that fewer people entered is not one that rules choose", unit="people", ge=20, le=100_000
    )
    lowest_chance: float = param(
        0.003, "a type taken more rarely than this by people like someone is not judged for them", unit="share", ge=1e-4, le=0.2
    )


def score_actions(
    starts: pd.DataFrame, horizon: int, comparison: ComparisonParams, params: ActionParams
) -> tuple[Scores, pd.DataFrame]:
    """Score what no training and each type of course would have brought people of the past. The scores, and who they are of.

    A person counts once, at the first start: whoever is listed then and enters later counts as listed. Scores are cross-fitted:
    Γ = μ(x) + 1{taken} (Y − μ(x)) ÷ chance(x), each action with a μ of its own.
    """
    compared = same_times(starts[starts["arm"].isin([ENTERED, LISTED])], LISTED)
    first = compared.sort_values(["person", "start"]).drop_duplicates("person", ignore_index=True)
    described = Describer.of(first, without=("wanted_trained",))(first)
    sample = sample_of(first, described, Asked((("durable", horizon),)))
    kinds = first["action_type"].where(pd.Series(sample.treated), NOTHING).fillna(NOTHING)
    counted = sample.counted[:, 0]
    common = kinds[counted > 0].value_counts()
    actions = (NOTHING, *sorted(str(kind) for kind in common.index[common >= params.fewest_people] if kind != NOTHING))
    kept = (counted > 0) & kinds.isin(actions).to_numpy()
    people, outcome, weight = first[kept].reset_index(drop=True), sample.outcomes[kept, 0], counted[kept]
    taken = np.asarray(pd.Index(actions).get_indexer(pd.Index(kinds[kept])), dtype=np.int64)
    fold = folds_of(number_people(people), 0, comparison.folds)
    plain, chance = _cross_fit_actions(described[kept], outcome, weight, (taken, len(actions)), fold, comparison)
    here = np.arange(len(people))
    gamma = plain.copy()
    gamma[here, taken] += (outcome - plain[here, taken]) / np.maximum(chance[here, taken], params.lowest_chance)
    gamma[chance < params.lowest_chance] = np.nan
    return Scores(actions, gamma, plain, taken, outcome, fold, weight), people


def _cross_fit_actions(
    design: Numbers,
    outcome: Numbers,
    weight: Numbers,
    taken: tuple[Whole, int],
    fold: Whole,
    comparison: ComparisonParams,
) -> tuple[Numbers, Numbers]:
    """Learn what each action brings, and how likely each is taken, from other folds. Two arrays of people × actions."""
    which, count = taken
    plain, chance = np.full((len(which), count), np.nan), np.zeros((len(which), count))
    for part in np.unique(fold):
        here, there = fold == part, fold != part
        for action in np.unique(which[there]):
            rows = there & (which == action)
            model = Ridge(alpha=comparison.outcome_penalty).fit(design[rows], outcome[rows], sample_weight=weight[rows])
            plain[here, action] = model.predict(design[here])
        if len(np.unique(which[there])) > 1:
            odds = LogisticRegression(C=1 / comparison.entry_penalty, max_iter=200).fit(
                design[there], which[there], sample_weight=weight[there]
            )
            chance[np.ix_(here, odds.classes_)] = odds.predict_proba(design[here])
        else:
            chance[np.ix_(here, which[there][:1])] = 1.0
    return plain, chance


def explain(people: pd.DataFrame, excluded: Sequence[str]) -> pd.DataFrame:
    """Give what rules may be told by: numbers, and flags of publics. One row per person. What is ``excluded`` is left out."""
    numbers = {name: people[name].astype("float64") for name in EXPLAINED if name not in excluded}
    flags = {
        "infra4": people["level"] < 4,
        "dld": people["unemployed_months"] >= 12,
        **{name: people[name] for name in ("rsa", "neet", "lone_parent") if name not in excluded},
    }
    return pd.DataFrame(
        {**numbers, **{name: flag.astype("boolean").fillna(value=False).astype(bool) for name, flag in flags.items()}}
    )
