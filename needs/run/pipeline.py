"""The straight line of one run: lake → features → forecasts → effects → ranking → plan → matches → published tables.

Read :data:`STAGES` from top to bottom to follow a row; each stage is a function of what those before it made.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import pandas as pd

from features.build import Features, build_features
from features.crosswalks import sector_links
from features.demand import last_full_month
from features.disagreement import sector_disagreement
from features.outcomes import publishable
from features.tables import CONTRACTS, OVERRIDES, decisions_on
from features.tension import sector_solvable
from features.vocabulary import REGION, months_to
from models.gap import sector_needs, yearly_gap
from models.purchase import Plan
from models.ranking import rank_options
from models.skills import SkillNeeds
from needs.run.added import EffectModel, tell_added
from needs.run.assumptions import list_assumptions
from needs.run.buying import buy_training, grounds_of, served, what_is_known
from needs.run.digest import Digested, write_digest
from needs.run.digest_plan import Line as TellingLine
from needs.run.forecasts import ForecastModel, forecast_levels, is_silent, months_ahead
from needs.run.gates import hold_gates, refuse_nothing
from needs.run.inputs import Inputs
from needs.run.matching import Proposed, Sight, propose
from needs.run.profiles import profile_features
from needs.run.progress import step
from needs.run.skills import count_mass, tell_skills
from needs.run.stages import Given, Line, Shelf, Stage
from needs.run.training import Models, train
from needs.run.unadvertised import tell_unadvertised
from needs.store.schema import TABLES


class Told(NamedTuple):
    """What training adds, as it was learned, and the tables that tell it."""

    model: EffectModel
    tables: dict[str, pd.DataFrame]


class Ranked(NamedTuple):
    """What is needed and what may be bought: needs of sectors (with supply), of skills, and the options in their order."""

    needs: pd.DataFrame
    skills: SkillNeeds
    options: pd.DataFrame


class Bought(NamedTuple):
    """The plan, and the tables made of it."""

    plan: Plan
    tables: dict[str, pd.DataFrame]


class Computed(NamedTuple):
    """Every published table, and what is left for advisers."""

    tables: dict[str, pd.DataFrame]
    proposed: Proposed


def make_features(inputs: Inputs) -> Features:
    """Build every feature from what was known."""
    with step("features") as rows:
        features = build_features(inputs.tables, inputs.as_of, inputs.params.features, inputs.exercise)
        rows |= {"offer versions in": inputs.tables.count("offers"), "months of series": len(features.panel)}
    return features


def make_forecasts(inputs: Inputs, features: Features, models: Models) -> pd.DataFrame:
    """Forecast bassins, départements and the Region. One row per territory, occupation, period."""
    with step("forecast") as rows:
        forecasts = forecast(features, inputs, models.forecast)
        rows |= {"months of series in": len(features.panel), "rows": len(forecasts)}
        refuse_nothing(forecasts, inputs.as_of)
    return forecasts


def make_effects(inputs: Inputs, features: Features, models: Models) -> Told:
    """Say what training adds, as it was learned."""
    with step("effects") as rows:
        tables = tell_added(features, inputs.params, models.effects)
        rows |= {"rows": len(models.effects.table), "courses scored": len(tables["course_scores"])}
    return Told(models.effects, tables)


def make_ranking(inputs: Inputs, features: Features, forecasts: pd.DataFrame, told: Told) -> Ranked:
    """Set needs against supply, say which skills are asked, and put what may be bought in order."""
    params, limits = inputs.params, inputs.params.features.grades.limits()
    with step("needs of sectors") as rows:
        needs = needs_of_bassins(forecasts, features, sector_links(features.crosswalks), inputs)
        rows |= {"forecasts in": len(forecasts), "rows": len(needs)}
    with step("needs of skills") as rows:
        skills = tell_skills(forecasts, features, params.skills, limits)
        rows |= {"rows": len(skills.needs), **count_mass(skills.mass)}
    with step("ranking") as rows:
        known = what_is_known(features, told.model.table, forecasts, inputs)
        options = rank_options(yearly_gap(needs), known, params.ranking, limits)
        rows |= {"options in": len(features.options), "rows": len(options)}
    return Ranked(needs, skills, options)


def make_plan(inputs: Inputs, features: Features, forecasts: pd.DataFrame, told: Told, ranked: Ranked) -> Bought:
    """Spend the envelopes, and say what is bought, beside what was."""
    return Bought(*buy_training(ranked.options, ranked.needs, forecasts, features, told.tables["course_scores"], inputs))


def make_matches(inputs: Inputs, features: Sight, told: Told, options: pd.DataFrame) -> Proposed:
    """Propose courses to people, and share seats."""
    with step("matches") as rows:
        proposed = propose(features, told.model, options, sector_links(features.crosswalks), inputs)
        rows |= {
            "people in": len(features.people),
            "proposed": len(proposed.tables["recommendations"]),
            "seats granted": len(proposed.granted),
        }
    return proposed


OBSERVED = (
    *(contract.name for contract in CONTRACTS if contract is not OVERRIDES),
    *map(decisions_on, ("crosswalk", "sector_group")),
)
STAGES = (
    Stage("features", make_features, Features, tables=OBSERVED, settings=("features",)),
    Stage("forecast", make_forecasts, pd.DataFrame, after=("features", "models"), settings=("forecast",)),
    Stage("effects", make_effects, Told, after=("features", "models")),
    Stage(
        "rank",
        make_ranking,
        Ranked,
        after=("features", "forecast", "effects"),
        settings=("skills", "ranking"),
        parts={"features": Features.without_persons},
    ),
    Stage(
        "plan",
        make_plan,
        Bought,
        after=("features", "forecast", "effects", "rank"),
        tables=(decisions_on("lot"),),
        settings=("features", "skills", "ranking", "purchase", "effects"),
        parts={"features": Features.without_persons},
    ),
    Stage(
        "match",
        make_matches,
        Proposed,
        after=("features", "effects", "rank"),
        settings=("matching", "pathways", "advice"),
        parts={"features": Sight.of, "rank": lambda ranked: ranked.options},
        whole=lambda proposed: not proposed.failed,
    ),
)


def line_of(
    inputs: Inputs, models: Given, shelf: Shelf | None = None, *, again: Collection[str] = (), barred: Collection[str] = ()
) -> Line:
    """Lay out the stages of a run, with the models in force; without a shelf all is made in memory."""
    return Line(STAGES, inputs, shelf, {"models": models}, again, barred, inputs.params.execution.limits)


def compute(inputs: Inputs, models: Models | None = None) -> Computed:
    """Compute every published table in memory. Each frame as in its stage; without models, they are trained of the inputs."""
    features = make_features(inputs)
    line = line_of(inputs, Given(models or train(features, inputs), ""))
    line.made["features"] = features
    tables = assemble(line)
    hold_gates(tables, features.people, line["plan"].plan, grounds_of(inputs.tables, inputs.as_of), inputs.params)
    return Computed(tables, line["match"])


def assemble(line: Line, models_told: Sequence[TellingLine] = ()) -> dict[str, pd.DataFrame]:
    """Bring together every published table, the digest last. Each frame as in its stage.

    ``models_told`` is what the digest says of the models in force.
    """
    inputs, bought, proposed = line.inputs, line["plan"], line["match"]  # one after the other: each takes most of the memory
    features, told, ranked = line["features"], line["effects"], line["rank"]
    tables = {"forecasts": line["forecast"], "sector_needs": ranked.needs, "skill_needs": ranked.skills.needs}
    tables |= {"outcomes": publishable(features.outcomes), **told.tables, **bought.tables}
    tables |= {**proposed.tables, "assumptions": list_assumptions(inputs)}
    tables["feature_profiles"] = profile_features(features, inputs.params.features.privacy.smallest_cell)
    seen = (inputs.tables, features, tables, line["models"].judged, ranked.skills.mass)
    age = (inputs.as_of - inputs.tables.newest).days
    digested = Digested(
        *seen,
        bought.plan,
        proposed.audited,
        proposed.granted,
        proposed.gap,
        told.model.everybody,
        inputs.door,
        age,
        models_told,
    )
    return {
        name: _published_columns(name, frame, inputs.params.features.region)
        for name, frame in (tables | {"digest": write_digest(digested, inputs.params)}).items()
    }


def forecast(features: Features, inputs: Inputs, model: ForecastModel) -> pd.DataFrame:
    """Forecast bassins, départements and the Region to the last month served. One row per territory, occupation, period.

    Where hardly an offer is known, the other sources say what is to be expected.
    """
    limits = inputs.params.features.grades.limits()
    if is_silent(features, inputs.params.forecast):
        first = pd.Period(last_full_month(inputs.as_of), "M") + 1
        months = months_to(str(first), str(first + months_ahead(inputs) - 1))
        return tell_unadvertised(features.seen, months, inputs.params.features)
    return forecast_levels(features, months_ahead(inputs), inputs.params, limits, model)


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


_PLACES = ("territory", "past_source", "emerging_of")


def _published_columns(name: str, frame: pd.DataFrame, region: str) -> pd.DataFrame:
    """Keep the columns that the published table has, and give the Region its own code. Same rows."""
    kept = frame[[column.name for column in TABLES[name].c if column.name in frame]]
    whole = {column: kept[column].replace(REGION, region) for column in _PLACES if column in kept} if region != REGION else {}
    return kept.assign(**whole)
