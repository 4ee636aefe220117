"""The part of a run that buys: what is set against the gaps, the plan with its lots, and what past purchases taught."""

from __future__ import annotations

from functools import partial

import pandas as pd

from features.build import Features
from features.crosswalks import sector_links
from features.decisions import read_decisions
from features.options import list_bought
from features.past_lots import area_shares, past_lots
from features.places import own_or_shipped
from features.signals import sector_groups
from features.signs import sector_signs
from features.tables import Tables
from models.envelopes import Grounds
from models.purchase import Plan, plan_purchase
from models.ranking import Known
from needs.run.inputs import Inputs
from needs.run.lessons import tell_lessons
from needs.run.lot_details import Decided, tell_purchase
from needs.run.progress import step
from needs.run.skills import add_skills


def buy_training(
    ranked: pd.DataFrame,
    needs: pd.DataFrame,
    forecasts: pd.DataFrame,
    features: Features,
    scores: pd.DataFrame,
    inputs: Inputs,
) -> tuple[Plan, dict[str, pd.DataFrame]]:
    """Buy, and tell what is bought beside what was bought before. Gives the plan and the tables made of it.

    ``scores`` says what past courses added.
    """
    with step("plan") as rows:
        plan = decide(ranked, features.chain, inputs)
        plan = add_skills(plan, served(forecasts, inputs), features, inputs.tables, inputs.params.skills)
        rows |= {"options in": len(ranked), "lots": len(plan.lots), "not bought": len(plan.rejected)}
    stable = ranked.assign(stability=plan.stability.to_numpy())
    tables = {
        "rankings": stable,
        "options": offered(ranked, features.chain),
        **tables_of(plan, stable, needs, features, inputs),
    }
    with step("lessons") as rows:
        free = partial(decide, ranked, features.chain, inputs, free=True)
        lessons = tell_lessons(features, inputs.tables.overrides, scores, inputs, plan, free)
        rows |= {"lots over": len(lessons["lessons"]), "decisions": len(lessons["decisions"])}
    return plan, tables | lessons


def offered(ranked: pd.DataFrame, chain: pd.DataFrame) -> pd.DataFrame:
    """Say what the plan chose from, so that it can be chosen again with other money and rules. Same rows as the ranking."""
    return ranked.assign(finishing=float(chain["fill"].iloc[0]) * float(chain["completion"].iloc[0]))


def served(forecasts: pd.DataFrame, inputs: Inputs) -> pd.DataFrame:
    """Keep the bassins and the months that the exercise serves. Same rows."""
    return forecasts[forecasts["territory"].str.startswith("BE") & forecasts["period"].isin(inputs.served)]


def what_is_known(features: Features, effects: pd.DataFrame, forecasts: pd.DataFrame, inputs: Inputs) -> Known:
    """Bring together what the ranking sets against the gaps."""
    known, links = inputs.tables, sector_links(features.crosswalks)
    return Known(
        options=features.options,
        eligible=features.eligible,
        outcomes=features.outcomes,
        effects=effects,
        chain=features.chain,
        bought=list_bought(known.purchases, own_or_shipped(known.territories)),
        signs=sector_signs(served(forecasts, inputs), features.signs, links),
    )


def decide(ranked: pd.DataFrame, chain: pd.DataFrame, inputs: Inputs, *, free: bool = False) -> Plan:
    """Spend the envelopes on what is ranked, with the decisions of people that are in force; ``free`` of them, if asked."""
    params, known = inputs.params, inputs.tables
    purchase = params.purchase.model_copy(update={"draws": 0}) if free else params.purchase
    return plan_purchase(
        ranked,
        chain,
        inputs.exercise,
        purchase,
        params.features.grades.limits(),
        grounds=grounds_of(known, inputs.as_of),
        decisions=None if free else read_decisions(known.overrides, inputs.as_of),
    )


def grounds_of(known: Tables, as_of: pd.Timestamp) -> Grounds:
    """Give what rules are counted on: wider territories, contract sectors, what was bought before."""
    communes = own_or_shipped(known.territories)
    groups = sector_groups(known.overrides, as_of).set_index("sector")["group"]
    return Grounds(area_shares(communes), groups, past_lots(known.purchases, communes))


def tables_of(
    plan: Plan, ranked: pd.DataFrame, needs: pd.DataFrame, features: Features, inputs: Inputs
) -> dict[str, pd.DataFrame]:
    """Give the tables of the plan: its lots and their details, changes since the last purchase, equity."""
    with step("details of lots") as rows:
        decided = Decided(plan, ranked, needs, features, inputs.tables, inputs.as_of)
        told = tell_purchase(decided, inputs.params)
        rows |= {"lots in": len(decided.lots), "rows": sum(map(len, told.values()))}
    return {"lots": plan.lots, "rejected_lots": plan.rejected, **told}
