"""What recommendations are worth beside simple orders, as far as it can be said without knowing what is true."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from features.crosswalks import main_sectors
from features.outcomes import publishable
from features.vocabulary import REGION
from models.market import Market, lay_out
from models.match_measures import ROW, Against, measure_matches
from models.matching import Laid, lists_of, tell_lists
from models.simple_matches import ORDERS, Past, count_entries, mean_rates, search_simply
from needs.params import Params

OURS = "matching"
_TAKEN = ("prescrit", "entre")
_EVERYBODY, _SUCCESS = "tout_public", "durable"
_TOLD = ["person", "rank", "session", "gain", "likelihood", "distance_km"]


def what_orders_see(outcomes: pd.DataFrame, trainings: pd.DataFrame, links: pd.DataFrame, horizon: int) -> Past:
    """Gather what simple orders look at: entries, published rates of lasting work after so many months, sectors that train."""
    told = publishable(outcomes)
    asked = (told["territory"] == REGION) & (told["public"] == _EVERYBODY) & (told["outcome"] == _SUCCESS)
    rates = mean_rates(told[asked & (told["horizon_months"] == horizon)])
    return Past(count_entries(trainings), rates, main_sectors(links).reset_index())


def order_simply(parts: Sequence[pd.DataFrame], market: Market, past: Past, first: int) -> dict[str, pd.DataFrame]:
    """Recommend by each simple order, by its name. One row per person, rank, with the session and what it is worth."""
    return {order: _recommended([_by(order, part, market, past, first) for part in parts]) for order in ORDERS}


def _by(order: str, part: pd.DataFrame, market: Market, past: Past, first: int) -> pd.DataFrame:
    kept = search_simply(order, Laid(*lay_out(part, market)), market, past, first)
    return tell_lists(part, kept, lists_of(kept), market, np.zeros(len(market.courses)))


def _recommended(told: Sequence[pd.DataFrame]) -> pd.DataFrame:
    rows = pd.concat(told, ignore_index=True) if told else pd.DataFrame({name: [] for name in _TOLD})
    return rows[_TOLD].rename(columns={"gain": "expected_gain"})


def prescribed_ahead(trainings: pd.DataFrame, courses: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """List the prescriptions that nobody has entered yet. One row per person, session that is among the courses.

    What an adviser and a person agreed on is no proof of what is best: recall says how far recommendations are of one mind
    with them. It needs catalogue and prescriptions to number sessions alike.
    """
    ahead = trainings["status"].isin(_TAKEN) & ~(trainings["entered"] <= as_of) & trainings["session"].isin(courses["session"])
    return trainings.loc[ahead, ["person", "session"]].drop_duplicates(ignore_index=True)


def judge_matches(
    recommendations: pd.DataFrame, people: pd.DataFrame, market: Market, past: Past, ahead: pd.DataFrame, params: Params
) -> pd.DataFrame:
    """Judge the recommendations of a run and those of simple orders alike. One row per rule, group, measure: value, people.

    ``rule`` is ``matching`` or the name of an order; measures and groups are those of
    :func:`models.match_measures.measure_matches`. ``people`` has one row per person to serve, with what the market looks at and
    the traits that groups are made of. Where they are more than ``judged``, so many stand for all, and seats are counted
    down alike. ``recall`` is told where some of them are prescribed a session ``ahead`` (:func:`prescribed_ahead`).
    """
    some = people.sort_values("person").head(params.matching.judged)
    searched = some[~some["opposition"].fillna(False).astype(bool) & some["latitude"].notna()].reset_index(drop=True)
    ours = recommendations[recommendations["person"].isin(set(some["person"]))]
    rules = {OURS: ours.astype({"person": "str", "session": "str"})}
    rules |= order_simply([searched] if len(searched) else [], market, past, params.matching.recommendations)
    truth = ahead[ahead["person"].isin(set(some["person"]))]
    against = Against(
        uptake=params.matching.uptake,
        smallest=params.features.privacy.smallest_cell,
        first=params.matching.recommendations,
        truth=truth if len(truth) else None,
    )
    courses = market.courses.assign(seats=market.seats * (len(some) / max(len(people), 1)))
    parts = [measure_matches(proposed, some, courses, against).assign(rule=rule) for rule, proposed in rules.items()]
    return pd.concat(parts, ignore_index=True)[["rule", *ROW]]
