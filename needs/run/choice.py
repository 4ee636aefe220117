"""The part of a run that ends in the plan, and nothing else: what a backtest of the plan and its benchmarks go through."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from features.build import Features, build_features
from features.crosswalks import sector_links
from models.effects import Effects, estimate_effects
from models.gap import yearly_gap
from models.purchase import Plan
from models.ranking import Known, rank_options
from needs.run.buying import decide, what_is_known
from needs.run.forecasts import months_ahead, train_forecast
from needs.run.inputs import Inputs
from needs.run.pipeline import forecast, needs_of_bassins


@dataclass(frozen=True)
class Chosen:
    """A plan, and what it was chosen from: features, effects, gaps of the year served, what is set against them, ranking."""

    features: Features
    effects: Effects
    gaps: pd.DataFrame
    known: Known
    ranked: pd.DataFrame
    plan: Plan


def choose(inputs: Inputs) -> Chosen:
    """Choose what to buy with what was known. The steps are those of a run, in its order."""
    params, limits = inputs.params, inputs.params.features.grades.limits()
    features = build_features(inputs.tables, inputs.as_of, params.features, inputs.exercise)
    effects = estimate_effects(features.starts, params.effects, limits, params.features.privacy.smallest_cell)
    forecasts = forecast(features, inputs, train_forecast(features, months_ahead(inputs), params))
    needs = needs_of_bassins(forecasts, features, sector_links(features.crosswalks), inputs)
    gaps = yearly_gap(needs)
    known = what_is_known(features, effects.table, forecasts, inputs)
    ranked = rank_options(gaps, known, params.ranking, limits)
    return Chosen(features, effects, gaps, known, ranked, decide(ranked, features.chain, inputs))
