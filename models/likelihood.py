"""How likely a person goes through with a course: what is assumed of distance, time and wishes.

    likelihood = show × near × long × paid × fit × wait × allowance

``show`` is how many of those who were prescribed a course of that type entered it; the rest are tastes that no source tells,
stated here so that they can be changed:

    near  = exp(−distance × detour ÷ travel_km)      the detour is that of a car, or of who has no licence
    long  = exp(−months of the course ÷ patience_months)
    paid  = unfunded where only the trainee pays, else 1
    fit   = the best of the occupations wanted and, less, of the last one: the same, a near one (ROME), an evolution,
            one of the same domain, another; every skill held that the course's occupations ask closes a part of what is missing
    wait  = exp(−days between the day a person is ready and the start ÷ wait_days)
    allowance = 1 − unpaid × the part of the course that lies after the end of the allowance
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.params import Section, param

Reals = NDArray[np.float32]
DAYS_A_MONTH = 30.44


class LikelihoodParams(Section):
    """What makes a person go through with a course."""

    usual_show: float = param(
        0.75, "of those prescribed a course, how many enter, where no past tells", unit="share", ge=0.05, le=1
    )
    prior_prescriptions: float = param(
        50.0, "prescriptions of all types weigh in the share of one type as much as this", unit="people", ge=0, le=10_000
    )
    travel_km: float = param(33.0, "distance by road over which the likelihood falls to a third", unit="km", ge=1, le=300)
    detour: float = param(1.3, "roads are so much longer than the straight line", unit="ratio", ge=1, le=3)
    detour_without_licence: float = param(1.7, "the same for who has no licence", unit="ratio", ge=1, le=5)
    patience_months: float = param(
        48.0, "months of a course over which the likelihood falls to a third", unit="months", ge=1, le=600
    )
    wait_days: float = param(365.0, "days of waiting over which the likelihood falls to a third", unit="days", ge=10, le=10_000)
    unfunded: float = param(0.8, "likelihood left where only the trainee pays", unit="share", ge=0, le=1)
    unpaid: float = param(
        0.3, "likelihood lost where the whole course lies after the end of the allowance", unit="share", ge=0, le=1
    )
    near: float = param(0.6, "fit of a course for an occupation near the wanted one (ROME)", unit="score", ge=0, le=1)
    evolution: float = param(0.5, "fit of one for an evolution of it (ROME)", unit="score", ge=0, le=1)
    domain: float = param(0.5, "fit of one in the same domain (three characters of the ROME)", unit="score", ge=0, le=1)
    other: float = param(0.2, "fit of one for any other occupation", unit="score", ge=0.01, le=1)
    general: float = param(0.3, "fit of one that leads to no occupation of its own", unit="score", ge=0.01, le=1)
    last: float = param(0.5, "fit for the last occupation, by that for a wanted one", unit="ratio", ge=0, le=1)
    skill: float = param(
        0.05,
        "part of the missing fit that each skill held closes, where the course's occupations ask it",
        unit="share",
        ge=0,
        le=0.5,
    )


def show_rates(trainings: pd.DataFrame, as_of: pd.Timestamp, params: LikelihoodParams) -> pd.DataFrame:
    """Say how many of those who were prescribed a course entered it. One row per action_type (empty: all): show, prescribed.

    Prescriptions whose course has not begun tell nothing yet. A type of few leans on all of them.
    """
    over = trainings[trainings["status"].isin(["entre", "refuse", "non_presente"]) & ~(trainings["entered"] > as_of)]
    entered = (over["status"] == "entre").groupby(over["action_type"].astype("str"))
    counts = pd.DataFrame({"entered": entered.sum(), "prescribed": entered.size()}).sort_index()
    total, size = float(counts["entered"].sum()), float(counts["prescribed"].sum())
    prior = params.prior_prescriptions
    usual = (total + prior * params.usual_show) / (size + prior) if size + prior > 0 else params.usual_show
    shows = (counts["entered"] + prior * usual) / (counts["prescribed"] + prior)
    rows = pd.DataFrame({"show": shows.astype("float64"), "prescribed": counts["prescribed"].astype("int64")})
    whole = pd.DataFrame({"show": [usual], "prescribed": [int(size)]}, index=pd.Index([""], name="action_type", dtype="str"))
    return pd.concat([whole, rows]).rename_axis("action_type").reset_index()


def fit_tables(
    aims: list[tuple[str, ...]], occupations: pd.Index, moves: pd.DataFrame, params: LikelihoodParams
) -> tuple[Reals, Reals]:
    """Say how each aim (a set of occupations) answers each occupation wanted, and each left: occupations × aims.

    The last row is for who names none. A course without an occupation of its own suits everybody alike.
    """
    size = len(occupations)
    near = np.full((size + 1, size), params.other)
    kinds = {"domain": params.domain, "evolution": params.evolution, "near": params.near}
    for kind, fit in sorted(kinds.items(), key=lambda item: item[1]):
        rows = moves[moves["kind"] == kind]
        here, there = occupations.get_indexer(pd.Index(rows["occupation"])), occupations.get_indexer(pd.Index(rows["target"]))
        known = (here >= 0) & (there >= 0)
        near[here[known], there[known]] = fit
    near[np.arange(size), np.arange(size)] = 1.0
    table = np.full((size + 1, len(aims)), params.general, dtype=np.float32)
    for column, aim in enumerate(aims):
        led = occupations.get_indexer(pd.Index(aim))
        if (led >= 0).any():
            table[:, column] = near[:, led[led >= 0]].max(axis=1)
    left = np.where(table > params.other, params.last * table, np.float32(0.0)).astype(np.float32)
    left[-1] = 0.0
    return table, left


def nearness(km: NDArray[np.float64], params: LikelihoodParams) -> Reals:
    """Say what distance leaves of the likelihood: a row for who has a licence, one for who has none."""
    roads = np.stack([km * params.detour, km * params.detour_without_licence])
    return np.exp(-roads / params.travel_km).astype(np.float32)


def patience(days: int, params: LikelihoodParams) -> Reals:
    """Say what waiting leaves of the likelihood, by days from 0."""
    return np.exp(-np.arange(days) / params.wait_days).astype(np.float32)


def length(days: NDArray[np.float64], params: LikelihoodParams) -> NDArray[np.float64]:
    """Say what the length of a course leaves of the likelihood; an unknown one takes nothing."""
    return np.asarray(np.exp(-np.nan_to_num(days).clip(min=0.0) / DAYS_A_MONTH / params.patience_months))
