"""What became of past trainees: rates counted from exit, pooled up the hierarchy, never without their n."""

from __future__ import annotations

from itertools import pairwise

import pandas as pd
from scipy.stats import beta

from features.contracts import GradeLimits, write_estimate
from features.params import Section, param
from features.publics import PublicParams, mark_publics
from features.supply import level_text
from features.vocabulary import CREATING, PREPARING, PUBLICS, QUALIFYING, REGION

WITHIN = ["public", "outcome", "horizon_months"]
CELL = ["territory", "sector", "action_type", "level"]
# From the widest group to the cell: each rate leans on the one of the group before it.
STEPS: tuple[list[str], ...] = ([], ["action_type"], ["action_type", "sector"], ["action_type", "sector", "level"], CELL)
LASTING = ("CDI", "PUB", "IND")


class OutcomeParams(Section):
    """When an outcome is seen, and how much a small cell leans on a wider one."""

    horizons_months: tuple[int, ...] = param((6, 12), "months after exit at which work is looked at", unit="months")
    collection_lag_months: int = param(3, "time to collect an outcome after its date", unit="months", ge=0, le=24)
    durable_months: int = param(6, "a fixed-term contract is durable from this length", unit="months", ge=1, le=24)
    prior_people: float = param(25.0, "a wider group weighs as much as this many people", unit="people", ge=1, le=1000)


def follow_exits(
    trainings: pd.DataFrame, employment: pd.DataFrame, outcomes: pd.DataFrame, as_of: pd.Timestamp, params: OutcomeParams
) -> pd.DataFrame:
    """Say what became of each person who left a training. One row per exit, outcome, horizon: ``success`` 0 or 1.

    Spells of work are preferred; answers to surveys serve where there is no spell at all. A horizon whose date plus the
    collection lag lies after ``as_of`` is not there: it is not yet an outcome. A non-response is missing, not a failure.
    """
    exits = trainings[trainings["exited"].notna() & (trainings["status"] == "entre")].reset_index(drop=True)
    parts = [] if len(employment) else [_from_surveys(exits, outcomes)]
    for horizon in params.horizons_months:
        when = exits["exited"] + pd.DateOffset(months=horizon)
        lagged = when + pd.DateOffset(months=params.collection_lag_months)
        ripe = exits.assign(exit=exits.index, when=when, horizon_months=horizon)[lagged <= as_of]
        parts.append(_next_steps(ripe, trainings))
        if len(employment):
            parts.append(_from_spells(ripe, employment, params))
    return pd.concat(parts, ignore_index=True)


def _next_steps(ripe: pd.DataFrame, trainings: pd.DataFrame) -> pd.DataFrame:
    """Say who went on to a qualifying course. One row per exit of a type that prepares others: outcome ``qualification``."""
    prepared = ripe[ripe["action_type"].isin(PREPARING)]
    entered = trainings[trainings["action_type"].isin(QUALIFYING) & (trainings["status"] == "entre")]
    steps = prepared[["exit", "person", "exited", "when"]].merge(
        entered[["person", "entered"]].rename(columns={"entered": "began"}), on="person", how="inner", validate="many_to_many"
    )
    done = steps[(steps["began"] >= steps["exited"]) & (steps["began"] <= steps["when"])]
    return prepared.assign(outcome="qualification", success=prepared["exit"].isin(done["exit"]).astype(float), weight=1.0)


def _from_spells(ripe: pd.DataFrame, employment: pd.DataFrame, params: OutcomeParams) -> pd.DataFrame:
    """Look at work when an exit is ripe. One row per ripe exit, outcome; ``own_business`` only where one is prepared."""
    spells = ripe[["exit", "person", "when"]].merge(
        employment[["person", "starts", "ends", "planned_end", "contract"]], on="person", how="inner", validate="many_to_many"
    )
    at_work = spells[(spells["starts"] <= spells["when"]) & ~(spells["ends"] < spells["when"])]
    until = at_work["planned_end"].fillna(at_work["ends"])
    lasts = until >= at_work["starts"] + pd.DateOffset(months=params.durable_months)
    durable = at_work[at_work["contract"].isin(LASTING) | lasts]
    found = {"work": ripe["exit"].isin(at_work["exit"]), "durable": ripe["exit"].isin(durable["exit"])}
    parts = [ripe.assign(outcome=name, success=flag.astype(float), weight=1.0) for name, flag in found.items()]
    creators = ripe[ripe["action_type"] == CREATING]
    owners = creators["exit"].isin(at_work.loc[at_work["contract"] == "IND", "exit"])
    parts.append(creators.assign(outcome="own_business", success=owners.astype(float), weight=1.0))
    return pd.concat(parts, ignore_index=True)


def _from_surveys(exits: pd.DataFrame, outcomes: pd.DataFrame) -> pd.DataFrame:
    """Read what the persons answered six months after exit. One row per answered exit, outcome."""
    answers = outcomes[(outcomes["origin"] == "sortie") & outcomes["answered"].fillna(False).astype(bool)]
    columns = {"person": "person", "origin_date": "exited", "work_6m": "work", "durable_6m": "durable", "weight": "weight"}
    told = answers[list(columns)].rename(columns=columns)
    known = exits.merge(told, on=["person", "exited"], how="inner", validate="many_to_one")
    long = known.melt(
        id_vars=[name for name in known if name not in ("work", "durable")],
        value_vars=["work", "durable"],
        var_name="outcome",
        value_name="success",
    )
    answered = long[long["success"].notna()]
    return answered.assign(success=answered["success"].astype(float), weight=answered["weight"].fillna(1.0), horizon_months=6)


def count_outcomes(followed: pd.DataFrame, publics: PublicParams) -> pd.DataFrame:
    """Count successes by public. One row per territory, sector, action_type, level, public, outcome, horizon: k, n."""
    placed = followed[followed["territory"].notna()].reset_index(drop=True)
    flags = mark_publics(placed, publics)
    # From here on ``level`` is the exit level of the course, as in every published key; the person's made the publics.
    keyed = placed.assign(sector=placed["formacode"].str[:3], level=level_text(placed["exit_level"]))
    parts = [keyed[flags[public]].assign(public=public) for public in PUBLICS]
    long = pd.concat(parts, ignore_index=True)
    weighted = long.assign(k=long["success"] * long["weight"], n=long["weight"])
    return weighted.groupby([*CELL, *WITHIN], as_index=False)[["k", "n"]].sum()


def pool_rates(counts: pd.DataFrame, params: OutcomeParams, limits: GradeLimits, smallest: int) -> pd.DataFrame:
    """Pool each rate up the hierarchy. One row per cell and one per region-wide cell (territory ``R44``), as estimates.

    rate = (k + s · rate of the wider group) ÷ (n + s), with s = ``prior_people``: it lies between the local rate and the
    wider one and moves to the local one as n grows; ``borrowed`` = s ÷ (n + s). The interval is that of the beta law.
    A cell of fewer people than ``smallest`` says nothing of its own: its rate is the wider one, with n = 0.
    """
    rates, region = _pool_steps(counts, params.prior_people, smallest)
    both = pd.concat([region.assign(territory=REGION), rates], ignore_index=True)
    strength = both["n"] + params.prior_people
    alpha = (both["rate"] * strength).clip(lower=1e-6)
    omega = ((1 - both["rate"]) * strength).clip(lower=1e-6)
    estimates = write_estimate(
        both[[*CELL, *WITHIN]],
        value=both["rate"],
        low=pd.Series(beta.ppf(0.1, alpha, omega), index=both.index),
        high=pd.Series(beta.ppf(0.9, alpha, omega), index=both.index),
        n=both["n"],
        borrowed=params.prior_people / strength,
        limits=limits,
    )
    return estimates.sort_values([*CELL, *WITHIN], ignore_index=True)


def _pool_steps(counts: pd.DataFrame, prior: float, smallest: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Walk from the widest group to the cell. One row per cell with n and rate; then one per region-wide cell."""
    wide = counts.groupby(WITHIN, as_index=False)[["k", "n"]].sum()
    wide = wide.assign(rate=wide["k"] / wide["n"])
    previous = wide
    for before, step in pairwise(STEPS):
        wide = previous
        here = _hide_small(counts.groupby([*step, *WITHIN], as_index=False)[["k", "n"]].sum(), smallest)
        lean = here.merge(wide[[*before, *WITHIN, "rate"]], on=[*before, *WITHIN], how="left", validate="many_to_one")
        previous = here.assign(rate=(here["k"] + prior * lean["rate"]) / (here["n"] + prior))
    return previous, wide


def _hide_small(counts: pd.DataFrame, smallest: int) -> pd.DataFrame:
    """Empty the cells that hold too few people to be told apart from their wider group. Same rows."""
    small = counts["n"] < smallest
    return counts.assign(k=counts["k"].mask(small, 0.0), n=counts["n"].mask(small, 0.0))


def publishable(estimates: pd.DataFrame) -> pd.DataFrame:
    """Keep the cells that rest on people of their own. One row per cell kept."""
    own: pd.Series[bool] = estimates["n"] > 0
    return estimates[own].reset_index(drop=True)
