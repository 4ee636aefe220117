"""The straight line of one run: lake → features → forecasts → outcomes → effects → ranking → plan → matches → published tables.

Read :func:`compute` from top to bottom to follow a row; each step is one call, and logs one line.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial

import pandas as pd

from features.build import Features, build_features
from features.crosswalks import sector_links
from features.decisions import read_decisions
from features.demand import last_full_month
from features.disagreement import sector_disagreement
from features.options import list_bought
from features.outcomes import publishable
from features.places import own_or_shipped
from features.signs import note_signs, sector_signs
from features.tables import Tables
from features.tension import sector_solvable
from features.vocabulary import InputError, months_to
from models.effects import Effects
from models.gap import sector_needs, yearly_gap
from models.matching import Candidates, find_candidates, session_loads, share_seats, tell_recommendations
from models.purchase import Plan, plan_purchase, served_months
from models.ranking import Known, rank_options
from needs.params import Params
from needs.run.added import add_gains, tell_added
from needs.run.batch import for_each_territory
from needs.run.code import code_version
from needs.run.digest import Digested, write_digest
from needs.run.door import Door
from needs.run.forecasts import forecast_levels, judge_forecasts
from needs.run.gates import hold_gates, refuse_nothing
from needs.run.grounds import grounds_of
from needs.run.lessons import tell_lessons
from needs.run.lot_details import Decided, tell_purchase
from needs.run.progress import step
from needs.run.skills import add_skills, count_mass, tell_skills
from needs.run.unmet import count_unmet
from needs.store.schema import TABLES


@dataclass(frozen=True)
class Inputs:
    """What a run is made of, and the name this gives it."""

    tables: Tables
    as_of: pd.Timestamp
    params: Params
    door: Door
    code: str
    data_sha256: str

    @property
    def run_id(self) -> str:
        """``as_of`` and a hash of data, parameters, code and overrides: the same inputs give the same run."""
        parts = "|".join([f"{self.as_of:%Y-%m-%d}", self.data_sha256, self.params.sha256(), self.code, str(self.door)])
        return f"{self.as_of:%Y%m%d}-{hashlib.sha256(parts.encode()).hexdigest()[:12]}"

    @property
    def exercise(self) -> int:
        """The year that is bought for."""
        return self.params.purchase.exercise or self.as_of.year + 1

    @property
    def served(self) -> list[str]:
        """The months the exercise serves that are still to come: what is bought now cannot serve the others."""
        return [month for month in served_months(self.exercise) if month > last_full_month(self.as_of)]


def gather(tables: Tables, as_of: pd.Timestamp, params: Params, door: Door) -> Inputs:
    """Bring together what a run is made of: only what was known at ``as_of``."""
    known = tables.known_at(as_of)
    inputs = Inputs(known, as_of, params, door, code_version(), known.fingerprint())
    if not inputs.served:
        raise InputError(
            f"purchase.exercise {inputs.exercise} serves the months to June {inputs.exercise + 1}, which are over on "
            f"{as_of:%Y-%m-%d}. Give a later year, like {as_of.year + 1}."
        )
    return inputs


def compute(inputs: Inputs) -> dict[str, pd.DataFrame]:
    """Compute every published table. Each frame's row is said in the function that makes it."""
    params, limits = inputs.params, inputs.params.features.grades.limits()
    with step("features") as rows:
        features = build_features(inputs.tables, inputs.as_of, params.features, inputs.exercise)
        links = sector_links(features.crosswalks)
        rows |= {"offer versions in": inputs.tables.count("offers"), "months of series": len(features.panel)}
    with step("forecasts") as rows:
        forecasts = forecast(features, inputs)
        rows |= {"months of series in": len(features.panel), "rows": len(forecasts)}
        refuse_nothing(forecasts, inputs.as_of)
    with step("backtest") as rows:
        judged = judge_forecasts(features.panel, params.forecast)
        rows["origins"] = judged["origin"].nunique()
    with step("outcomes") as rows:
        outcomes = publishable(features.outcomes)
        rows |= {"rates in": len(features.outcomes), "kept": len(outcomes)}
    with step("effects") as rows:
        effects, added = tell_added(features, inputs.tables, params)
        rows |= {"starts in": len(features.starts), "rows": len(effects.table), "courses scored": len(added["course_scores"])}
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
    with step("plan") as rows:
        plan = add_skills(
            decide(ranked, features.chain, inputs), _served(forecasts, inputs), features, inputs.tables, params.skills
        )
        rows |= {"options in": len(ranked), "lots": len(plan.lots), "not bought": len(plan.rejected)}
    with step("matches") as rows:
        matched, audited = match(features, effects, links, inputs)
        rows |= {"people in": len(features.people), "proposed": len(matched["recommendations"])}
    tables = {"forecasts": forecasts, "sector_needs": needs, "outcomes": outcomes, "rankings": ranked, **matched}
    tables |= {"skill_needs": told.needs, **added, **tables_of(plan, ranked, needs, features, inputs)}
    with step("lessons") as rows:
        tables |= tell_lessons(
            features,
            inputs.tables,
            plan,
            tables,
            inputs.as_of,
            params,
            partial(decide, ranked, features.chain, inputs, free=True),
        )
        rows |= {"lots over": len(tables["lessons"]), "decisions": len(tables["decisions"])}
    seen, age = (inputs.tables, features, tables, judged, told.mass), (inputs.as_of - inputs.tables.newest).days
    digested = Digested(*seen, plan, audited, effects.everybody, inputs.door, age)
    return _held(tables | {"digest": write_digest(digested, params)}, features, params)


def tables_of(
    plan: Plan, ranked: pd.DataFrame, needs: pd.DataFrame, features: Features, inputs: Inputs
) -> dict[str, pd.DataFrame]:
    """Give the tables of the plan: its lots and their details, changes since the last purchase, equity, assumptions."""
    with step("details of lots") as rows:
        run = {
            "run_id": inputs.run_id,
            "as_of": f"{inputs.as_of:%Y-%m-%d}",
            "exercise": str(inputs.exercise),
            "horizon": f"{inputs.served[0]} – {inputs.served[-1]}",
            "code_version": inputs.code,
            "data_sha256": inputs.data_sha256,
            "params_sha256": inputs.params.sha256(),
        }
        decided = Decided(plan, ranked, needs, features, inputs.tables, inputs.as_of, run)
        told = tell_purchase(decided, inputs.params)
        rows |= {"lots in": len(decided.lots), "rows": sum(map(len, told.values()))}
    return {"lots": plan.lots, "rejected_lots": plan.rejected, **told}


def _held(tables: dict[str, pd.DataFrame], features: Features, params: Params) -> dict[str, pd.DataFrame]:
    """Keep the columns that are published, and hold the gates. Each frame as in :func:`compute`."""
    published = {name: _published_columns(name, frame) for name, frame in tables.items()}
    hold_gates(published, features.people, params)
    return published


def forecast(features: Features, inputs: Inputs) -> pd.DataFrame:
    """Forecast bassins, départements and the Region to the last month served. One row per territory, occupation, period."""
    last = inputs.served[-1]
    observed = str(features.panel["period"].max()) if len(features.panel) else f"{inputs.as_of:%Y-%m}"
    horizon = max(inputs.params.forecast.months, len(months_to(observed, last)) - 1)
    return forecast_levels(features, horizon, inputs.params, inputs.params.features.grades.limits())


def needs_of_bassins(forecasts: pd.DataFrame, features: Features, links: pd.DataFrame, inputs: Inputs) -> pd.DataFrame:
    """Set need against supply in each bassin, over the months served. One row per territory, sector, level, period."""
    served = _served(forecasts, inputs)
    supply = features.supply.groupby(["territory", "occupation"], as_index=False)[["supply"]].sum()
    keys = ["territory", "sector", "level", "period"]
    under_way = features.under_way.groupby(keys, as_index=False)[["under_way"]].sum()
    needs = sector_needs(served, links, supply, under_way, inputs.params.features.grades.limits())
    return add_causes(needs, features, links)


def what_is_known(features: Features, effects: pd.DataFrame, forecasts: pd.DataFrame, inputs: Inputs) -> Known:
    """Bring together what the ranking sets against the gaps."""
    known, links = inputs.tables, sector_links(features.crosswalks)
    signs = note_signs(features.cells, features.novelty, known.employment, inputs.params.features.signs)
    return Known(
        options=features.options,
        eligible=features.eligible,
        outcomes=features.outcomes,
        effects=effects,
        chain=features.chain,
        bought=list_bought(known.purchases, own_or_shipped(known.territories)),
        signs=sector_signs(_served(forecasts, inputs), signs, links),
    )


def decide(ranked: pd.DataFrame, chain: pd.DataFrame, inputs: Inputs, *, free: bool = False) -> Plan:
    """Spend the envelopes on what is ranked, with the decisions of people that are in force; ``free`` of them, if asked."""
    params, known = inputs.params, inputs.tables
    return plan_purchase(
        ranked,
        chain,
        inputs.exercise,
        params.purchase,
        params.features.grades.limits(),
        grounds=grounds_of(known, inputs.as_of),
        decisions=None if free else read_decisions(known.overrides, inputs.as_of),
    )


def _served(forecasts: pd.DataFrame, inputs: Inputs) -> pd.DataFrame:
    """Keep the bassins and the months that the exercise serves. Same rows."""
    return forecasts[forecasts["territory"].str.startswith("BE") & forecasts["period"].isin(inputs.served)]


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


def match(
    features: Features, effects: Effects, links: pd.DataFrame, inputs: Inputs
) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """Propose courses: candidates territory by territory, seats shared over the Region. Gives the tables of the matches.

    The last frame has one row per type of course and group of people: whom what is expected for persons favours.
    """
    params = inputs.params.matching
    task = partial(find_candidates, courses=features.courses, as_of=inputs.as_of, params=params)
    found = for_each_territory(task, features.people, workers=inputs.params.execution.workers, label="matching")
    found = found or [task(features.people)]
    candidates = Candidates(
        pairs=pd.concat([part.pairs for part in found], ignore_index=True),
        shut=pd.concat([part.shut for part in found], ignore_index=True),
    )
    proposed = share_seats(candidates.pairs, _seats(features.courses), params)
    loads = session_loads(proposed, features.courses, params)
    told, audited = add_gains(tell_recommendations(proposed, loads), features, effects, inputs.params)
    unmet = count_unmet(features.people, candidates, proposed, links, inputs.params.features.privacy.smallest_cell)
    return {"recommendations": told, "session_loads": loads, "unmet": unmet}, audited


def _seats(courses: pd.DataFrame) -> pd.Series[float]:
    """Give the seats of each session; one that says none is taken to have none."""
    return courses.set_index("session")["seats"].astype("float64").fillna(0.0)


def _published_columns(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Keep the columns that the published table has. Same rows."""
    return frame[[column.name for column in TABLES[name].c if column.name in frame]]
