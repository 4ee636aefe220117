"""What recommendations are worth beside simple orders, as far as it can be said without knowing what is true.

past = what_orders_see(features.outcomes, known.trainings, links, horizon)
simple = order_simply(pairs, features.people, features.courses, past)     # territory by territory where people are many
ahead = prescribed_ahead(known.trainings, features.courses, as_of)
table = judge_matches(recommendations, simple, people=latest_people(known.jobseekers), …)
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from features.outcomes import publishable
from features.vocabulary import REGION
from models.match_measures import ROW, Against, measure_matches
from models.simple_matches import ORDERS, Past, count_entries, mean_rates, rank_simply, sectors_that_train
from needs.params import Params

OURS = "matching"
_TAKEN = ("prescrit", "entre")
_EVERYBODY, _SUCCESS = "tout_public", "durable"


def what_orders_see(outcomes: pd.DataFrame, trainings: pd.DataFrame, links: pd.DataFrame, horizon: int) -> Past:
    """Gather what simple orders look at: entries, published rates of lasting work after so many months, sectors that train."""
    told = publishable(outcomes)
    asked = (told["territory"] == REGION) & (told["public"] == _EVERYBODY) & (told["outcome"] == _SUCCESS)
    rates = mean_rates(told[asked & (told["horizon_months"] == horizon)])
    return Past(count_entries(trainings), rates, sectors_that_train(links))


def order_simply(
    pairs: pd.DataFrame, people: pd.DataFrame, courses: pd.DataFrame, past: Past, *, first: int = 10
) -> dict[str, pd.DataFrame]:
    """Recommend by each simple order, by its name. One row per person, rank, and whatever the pairs tell.

    ``pairs`` has one row per person, session that is allowed: distance_km, and likelihood and expected_gain where they are
    known. A person's orders need nobody else's pairs.
    """
    of_course, wanted = courses.set_index("session"), people.set_index("person")["wanted"]
    told = {name: pairs["session"].map(of_course[name]) for name in ("sector", "action_type")}
    named = pairs.assign(wanted=pairs["person"].map(wanted), **told)
    return {order: rank_simply(named, order, first, past) for order in ORDERS}


def prescribed_ahead(trainings: pd.DataFrame, courses: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """List the prescriptions that nobody has entered yet. One row per person, session that is among the courses.

    What an adviser and a person agreed on is no proof of what is best: recall says how far recommendations are of one mind
    with them. It needs catalogue and prescriptions to number sessions alike.
    """
    ahead = trainings["status"].isin(_TAKEN) & ~(trainings["entered"] <= as_of) & trainings["session"].isin(courses["session"])
    return trainings.loc[ahead, ["person", "session"]].drop_duplicates(ignore_index=True)


def judge_matches(
    recommendations: pd.DataFrame,
    simple: Mapping[str, pd.DataFrame],
    *,
    people: pd.DataFrame,
    courses: pd.DataFrame,
    ahead: pd.DataFrame,
    params: Params,
) -> pd.DataFrame:
    """Judge the recommendations of a run and those of simple orders alike. One row per rule, group, measure: value, people.

    ``rule`` is ``matching`` or the name of an order; measures and groups are those of
    :func:`models.match_measures.measure_matches`. ``people`` has one row per person to serve, as the newest list says them.
    ``recall`` is told where some of them are prescribed a session ``ahead`` (:func:`prescribed_ahead`).
    """
    truth = ahead[ahead["person"].isin(people["person"])]
    against = Against(
        uptake=params.matching.uptake,
        smallest=params.features.privacy.smallest_cell,
        first=params.matching.recommendations,
        truth=truth if len(truth) else None,
    )
    rules = {OURS: recommendations, **simple}
    parts = [measure_matches(proposed, people, courses, against).assign(rule=rule) for rule, proposed in rules.items()]
    return pd.concat(parts, ignore_index=True)[["rule", *ROW]]
