"""The part of a run that ends in people: what is known is brought together, courses are proposed, and what is said of it.

knowledge + people → :func:`needs.run.serving.serve` → recommendations, loads of sessions, whom nothing answers, measures.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import pandas as pd

from features.build import Features
from features.crosswalks import Crosswalks
from features.holdings import already_held, ready_for
from features.reach import within_reach
from features.skills import listed_skills
from features.supply import latest_people
from models.course_groups import EVERY
from models.likelihood import show_rates
from models.market import Knowledge, Market, open_market
from models.matching import MatchingParams, tell_granted, tell_loads
from models.pathways import build_stairs
from models.personal import audit
from models.ranking import GENERAL
from models.simple_matches import Past
from needs.params import Params
from needs.run.added import EffectModel
from needs.run.inputs import Inputs
from needs.run.match_judged import judge_matches, prescribed_ahead, what_orders_see
from needs.run.serving import Failed, serve, without
from needs.run.unmet import count_unmet
from needs.store.memory import give_back

_KEY = ["territory", "sector"]
# What measures are told by, and nothing else looks at.
_TRAITS = ["known_from", "sex", "birth_year", "unemployed_months", "neet"]


@dataclass(frozen=True)
class Proposed:
    """What is proposed: tables to publish, whom scores of persons move, and what is left on the desk for advisers.

    ``people`` has one row per person, ``seats`` one per session open to somebody: price, room; ``granted`` one per person
    granted a seat: session; these are below the best by ``gap`` at most. Of ``failed`` territories nothing is told: everything
    is as if nobody lived there.
    """

    tables: dict[str, pd.DataFrame]
    audited: pd.DataFrame
    people: pd.DataFrame
    known: Knowledge
    seats: pd.DataFrame
    granted: pd.DataFrame
    gap: float
    failed: tuple[Failed, ...] = ()


@dataclass(frozen=True)
class Sight:
    """What matching looks at of the features: people and courses, and what is known of both. Each frame as in its builder."""

    people: pd.DataFrame
    tonight: pd.DataFrame
    courses: pd.DataFrame
    moves: pd.DataFrame
    holdings: pd.DataFrame
    asked: pd.DataFrame
    given: pd.DataFrame
    travel: pd.DataFrame
    chain: pd.DataFrame
    outcomes: pd.DataFrame
    crosswalks: Crosswalks

    @classmethod
    def of(cls, features: Features) -> Sight:
        """Take it out of all that is known."""
        return cls(**{each.name: getattr(features, each.name) for each in fields(cls)})


def propose(features: Sight, effects: EffectModel, ranked: pd.DataFrame, links: pd.DataFrame, inputs: Inputs) -> Proposed:
    """Propose courses to everybody who may enter one and does not object.

    Raises :class:`needs.run.serving.TerritoriesFailed` where territories fail that the run may not do without.
    """
    params, smallest = inputs.params, inputs.params.features.privacy.smallest_cell
    known = bring_together(features, effects.table, ranked, inputs)
    market = open_market(known, inputs.as_of, params.matching.entry, params.matching.likelihood)
    beside = look_beside(features, links, inputs)
    inputs.let_go()  # matching takes as much memory as the tables do
    moves = effects.personal.moves(features.tonight)
    people = describe_people(features, moves)
    served = serve(_asking(people), build_stairs(market, params.pathways, features.given, features.asked), params)
    people, matched = without(people, served.failed), served.matched
    give_back()  # measures take as much memory again as the tasks left behind
    tables = {
        "recommendations": served.told,
        "session_loads": tell_loads(matched, market, params.matching),
        "unmet": count_unmet(served.missed, links, smallest),
        "match_measures": _judged(served.told, people, market, beside, params),
    }
    return Proposed(
        tables,
        audit(moves, features.tonight, params.personal.excluded, smallest),
        people,
        known,
        pd.DataFrame({"session": market.courses["session"], "price": matched.granted.prices, "room": matched.room}),
        tell_granted(matched, market),
        matched.gap,
        served.failed,
    )


def _asking(people: pd.DataFrame) -> pd.DataFrame:
    """Keep who does not object, and lives where somebody knows. Some of the rows."""
    return people[~people["opposition"].fillna(False).astype(bool) & people["latitude"].notna()]


class Beside(NamedTuple):
    """What measures look at beside what is proposed: what simple orders see, prescriptions ahead, traits of persons."""

    past: Past
    ahead: pd.DataFrame
    traits: pd.DataFrame


def look_beside(features: Sight, links: pd.DataFrame, inputs: Inputs) -> Beside:
    """Take from the lake what measures look at. Each frame as in its maker; of traits, one row per person."""
    tables = inputs.tables
    past = what_orders_see(features.outcomes, tables.trainings, links, inputs.params.effects.horizon_months)
    ahead = prescribed_ahead(tables.trainings, features.courses, inputs.as_of)
    return Beside(past, ahead, latest_people(tables.jobseekers)[["person", *_TRAITS]])


def _judged(told: pd.DataFrame, people: pd.DataFrame, market: Market, beside: Beside, params: Params) -> pd.DataFrame:
    """Hold what is proposed against simple orders. One row per rule, group, measure."""
    described = people.merge(beside.traits, on="person", how="left", validate="one_to_one")
    return judge_matches(told, described, market, beside.past, beside.ahead, params)


def describe_people(features: Sight, moves: pd.DataFrame) -> pd.DataFrame:
    """Say of each person what courses look at. One row per person: what is known, ``move_<type>``, ``closed``, ``ready``.

    ``closed`` lists the sessions that lead to what the person holds, ``ready`` those that ask something the person holds.
    """
    beside = moves.add_prefix("move_").set_axis(features.tonight["person"]).reset_index()
    people = features.people.merge(beside, on="person", how="left", validate="one_to_one")
    lists = {
        "closed": already_held(features.holdings, features.given),
        "ready": ready_for(features.holdings, features.asked),
    }
    return people.assign(**{name: _listed(pairs, people["person"]) for name, pairs in lists.items()})


def _listed(pairs: pd.DataFrame, persons: pd.Series[str]) -> pd.Series[str]:
    """Join the sessions of each person by ``|``."""
    joined = pairs.sort_values(["person", "session"]).groupby("person")["session"].agg("|".join)
    return persons.map(joined).astype("str").fillna("")


def bring_together(features: Sight, effects: pd.DataFrame, ranked: pd.DataFrame, inputs: Inputs) -> Knowledge:
    """Bring together what courses are and what they add. ``effects`` is the published table."""
    params = inputs.params
    shows = show_rates(inputs.tables.trainings, inputs.as_of, params.matching.likelihood)
    courses = features.courses.assign(
        gain=usual_gains(features.courses, effects, params.effects.horizon_months),
        show=_of_type(features.courses["action_type"], shows.set_index("action_type")["show"]),
        completion=_of_type(features.courses["action_type"], features.chain.set_index("action_type")["completion"]),
    )
    skills = listed_skills(inputs.tables.occupation_skills)
    return Knowledge(courses, features.moves, skills, need_factors(ranked, features.travel, params.matching), features.asked)


def _of_type(kinds: pd.Series[str], told: pd.Series[float]) -> pd.Series[float]:
    """Look up what is told of types; of one that is not told, what is told of all."""
    return kinds.map(told).astype("float64").fillna(float(told[""]))


def usual_gains(courses: pd.DataFrame, effects: pd.DataFrame, horizon: int) -> pd.Series[float]:
    """Say what each course adds for anybody: the effect of its type in its sector, else of its type. Missing where unknown."""
    asked = (effects["group"] == EVERY) & (effects["outcome"] == "durable") & (effects["horizon_months"] == horizon)
    told = effects[asked].set_index(["action_type", "sector"])["value"]
    of_pair = told.reindex(pd.MultiIndex.from_frame(courses[["action_type", "sector"]])).to_numpy()
    of_type = told.reindex(pd.MultiIndex.from_arrays([courses["action_type"], [""] * len(courses)])).to_numpy()
    return pd.Series(np.where(np.isnan(of_pair), of_type, of_pair), index=courses.index, dtype="float64")


def need_factors(ranked: pd.DataFrame, travel: pd.DataFrame, params: MatchingParams) -> pd.DataFrame:
    """Say where courses of a sector are needed more than usually. One row per territory, sector: need, 1 on average.

    The chance that a recruitment is still open within reach (:mod:`models.absorption`), against that of the Region; it moves
    a gain by a part of itself, ``need_weight``: effects were measured among crowds already.
    """
    trades = ranked[~ranked["action_type"].isin(GENERAL)].drop_duplicates(_KEY)
    cells = trades[_KEY].assign(need=trades["need"], open=trades["need"] * trades["open"])
    if cells.empty:
        return pd.DataFrame({"territory": pd.Series(dtype="str"), "sector": pd.Series(dtype="str"), "need": []})
    reached = within_reach(cells, travel, ["need", "open"])
    whole = cells.groupby("sector")[["need", "open"]].sum()
    usual = (whole["open"] / whole["need"].where(whole["need"] > 0)).reindex(reached["sector"]).to_numpy()
    here = (reached["open_reach"] / reached["need_reach"].where(reached["need_reach"] > 0)).to_numpy()
    ratio = np.where((usual > 0) & np.isfinite(here), here / np.where(usual > 0, usual, 1.0), 1.0)
    return reached[_KEY].assign(need=1.0 + params.entry.need_weight * (np.clip(ratio, 0.0, 2.0) - 1.0))
