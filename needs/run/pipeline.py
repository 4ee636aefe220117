"""The straight line of one run: lake → features → forecasts → outcomes → effects → ranking → plan → matches → published tables.

Read :func:`compute` from top to bottom to follow a row; each step is one call, and logs one line.
"""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from features.build import Features, build_features
from features.crosswalks import sector_links
from features.disagreement import sector_disagreement
from features.outcomes import publishable
from features.tension import sector_solvable
from models.gap import sector_needs, yearly_gap
from models.purchase import Plan
from models.ranking import rank_options
from needs.run.added import tell_added
from needs.run.buying import buy_training, grounds_of, served, what_is_known
from needs.run.digest import Digested, write_digest
from needs.run.forecasts import ForecastModel, forecast_levels, months_ahead
from needs.run.gates import hold_gates, refuse_nothing
from needs.run.inputs import Inputs
from needs.run.matching import Proposed, propose
from needs.run.progress import step
from needs.run.skills import count_mass, tell_skills
from needs.run.training import Models, train
from needs.store.schema import TABLES


class Computed(NamedTuple):
    """Every published table, and what is left for advisers."""

    tables: dict[str, pd.DataFrame]
    proposed: Proposed


def compute(inputs: Inputs, models: Models | None = None) -> Computed:
    """Compute every published table. Each frame's row is said in the function that makes it. Without models, train them."""
    params, limits = inputs.params, inputs.params.features.grades.limits()
    with step("features") as rows:
        features = build_features(inputs.tables, inputs.as_of, params.features, inputs.exercise)
        links = sector_links(features.crosswalks)
        rows |= {"offer versions in": inputs.tables.count("offers"), "months of series": len(features.panel)}
    models = models or train(features, inputs)
    with step("forecasts") as rows:
        forecasts = forecast(features, inputs, models.forecast)
        rows |= {"months of series in": len(features.panel), "rows": len(forecasts)}
        refuse_nothing(forecasts, inputs.as_of)
    with step("outcomes") as rows:
        outcomes = publishable(features.outcomes)
        rows |= {"rates in": len(features.outcomes), "kept": len(outcomes)}
    with step("effects") as rows:
        effects, added = models.effects, tell_added(features, params, models.effects)
        rows |= {"rows": len(effects.table), "courses scored": len(added["course_scores"])}
    with step("needs of sectors") as rows:
        needs = needs_of_bassins(forecasts, features, links, inputs)
        rows |= {"forecasts in": len(forecasts), "rows": len(needs)}
    with step("needs of skills") as rows:
        told = tell_skills(forecasts, features, params.skills, limits)
        rows |= {"rows": len(told.needs), **count_mass(told.mass)}
    with step("ranking") as rows:
        known = what_is_known(features, effects.table, forecasts, inputs)
        ranked = rank_options(yearly_gap(needs), known, params.ranking, limits)
        rows |= {"options in": len(features.options), "rows": len(ranked)}
    plan, bought = buy_training(ranked, needs, forecasts, features, added["course_scores"], inputs)
    with step("matches") as rows:
        proposed = propose(features, effects, ranked, links, inputs)
        rows |= {
            "people in": len(features.people),
            "proposed": len(proposed.tables["recommendations"]),
            "seats granted": len(proposed.granted),
        }
    tables = {"forecasts": forecasts, "sector_needs": needs, "outcomes": outcomes, **proposed.tables}
    tables |= {"skill_needs": told.needs, **added, **bought}
    seen, age = (inputs.tables, features, tables, models.judged, told.mass), (inputs.as_of - inputs.tables.newest).days
    digested = Digested(*seen, plan, proposed.audited, proposed.granted, proposed.gap, effects.everybody, inputs.door, age)
    return Computed(_held(tables | {"digest": write_digest(digested, params)}, features, plan, inputs), proposed)


def _held(tables: dict[str, pd.DataFrame], features: Features, plan: Plan, inputs: Inputs) -> dict[str, pd.DataFrame]:
    """Keep the columns that are published, and hold the gates. Each frame as in :func:`compute`."""
    published = {name: _published_columns(name, frame) for name, frame in tables.items()}
    hold_gates(published, features.people, plan, grounds_of(inputs.tables, inputs.as_of), inputs.params)
    return published


def forecast(features: Features, inputs: Inputs, model: ForecastModel) -> pd.DataFrame:
    """Forecast bassins, départements and the Region to the last month served. One row per territory, occupation, period."""
    limits = inputs.params.features.grades.limits()
    return forecast_levels(features, months_ahead(features, inputs), inputs.params, limits, model)


def needs_of_bassins(forecasts: pd.DataFrame, features: Features, links: pd.DataFrame, inputs: Inputs) -> pd.DataFrame:
    """Set need against supply in each bassin, over the months served. One row per territory, sector, level, period."""
    counted = served(forecasts, inputs)
    supply = features.supply.groupby(["territory", "occupation"], as_index=False)[["supply"]].sum()
    keys = ["territory", "sector", "level", "period"]
    under_way = features.under_way.groupby(keys, as_index=False)[["under_way"]].sum()
    needs = sector_needs(counted, links, supply, under_way, inputs.params.features.grades.limits())
    return add_causes(needs, features, links)


def add_causes(needs: pd.DataFrame, features: Features, links: pd.DataFrame) -> pd.DataFrame:
    """Say which share of a shortage training can answer, and how far sources are apart. Same rows; missing where not known."""
    keys = ["territory", "sector", "level"]
    asked = features.seen.agreed.rename(columns={"value": "need"})
    solvable = sector_solvable(features.seen.solvable, asked, links)[[*keys, "value", "low", "high"]]
    bounds = {"value": "training_solvable", "low": "training_solvable_low", "high": "training_solvable_high"}
    apart = sector_disagreement(features.seen.agreed, links)[[*keys, "disagreement"]]
    return needs.merge(solvable.rename(columns=bounds), on=keys, how="left", validate="many_to_one").merge(
        apart, on=keys, how="left", validate="many_to_one"
    )


def _published_columns(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Keep the columns that the published table has. Same rows."""
    return frame[[column.name for column in TABLES[name].c if column.name in frame]]
