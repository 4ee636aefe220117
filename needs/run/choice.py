"""The part of a run that ends in the plan, and nothing else: what a backtest of the plan and its benchmarks go through."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from features.build import Features, build_features
from features.crosswalks import sector_links
from features.decisions import read_decisions
from models.effects import Effects, estimate_effects
from models.gap import yearly_gap
from models.purchase import Plan, plan_purchase
from models.ranking import rank_options
from needs.run.pipeline import Inputs, forecast, known_of, needs_of_bassins


@dataclass(frozen=True)
class Chosen:
    """A plan, and what it was chosen from: features, effects, the gaps of the year served and the ranking."""

    features: Features
    effects: Effects
    gaps: pd.DataFrame
    ranked: pd.DataFrame
    plan: Plan


def choose(inputs: Inputs) -> Chosen:
    """Choose what to buy with what was known. The steps are those of a run, in its order."""
    params, limits = inputs.params, inputs.params.features.grades.limits()
    features = build_features(inputs.tables, inputs.as_of, params.features)
    effects = estimate_effects(features.starts, params.effects, limits, params.features.privacy.smallest_cell)
    needs = needs_of_bassins(forecast(features, inputs), features, sector_links(features.crosswalks), inputs)
    gaps = yearly_gap(needs)
    ranked = rank_options(gaps, known_of(features, effects), params.ranking, limits)
    decisions = read_decisions(inputs.tables.overrides, inputs.as_of)
    plan = plan_purchase(ranked, features.chain, inputs.exercise, params.purchase, limits, decisions=decisions)
    return Chosen(features, effects, gaps, ranked, plan)
