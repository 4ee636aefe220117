"""What a place is worth: one row per territory × sector × type × exit level, ranked by the cost of a durable job.

Worth says what a place brings; it knows nothing of envelopes, which belong to :mod:`models.purchase`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import beta

from features.contracts import GradeLimits, write_estimate
from features.params import Section, param
from features.signs import SECTOR, SIGNS
from features.vocabulary import CREATING, PREPARING, QUALIFYING, REGION
from models.absorption import absorption, spread_of
from models.reasons import CaveatParams, tell_caveats, tell_reasons

OPTION = ["sector", "action_type", "level"]
_WORTHLESS = 1e-6  # jobs by place: less has no cost that could be told
_GAPS = ("need", "gap", "gap_low", "gap_high")
KEY = ["territory", *OPTION]
GENERAL = (*PREPARING, CREATING)
ENDS = ("", "_low", "_high")


class RankingParams(Section):
    """Which outcome makes the worth of a place."""

    horizon_months: int = param(
        12, "months from entry (after exit, where no effect is known) at which durable work counts", unit="months", ge=6, le=24
    )
    borrowed_people: float = param(
        25.0,
        "a rate borrowed whole from the Region tells of a territory as much as this many people",
        unit="people",
        ge=1,
        le=1000,
    )
    emerging_share: float = param(
        0.1,
        "an option has an emerging rank when this much of its need is asked in occupations that emerge",
        unit="share",
        ge=0.01,
        le=1,
    )
    assumed_effect: float = param(
        0.05, "durable work that an entry is assumed to add where nothing at all was measured", unit="share", ge=0.001, le=0.5
    )
    assumed_most: float = param(
        0.12, "durable work that an entry is assumed to add at most; at least, it is nothing", unit="share", ge=0.001, le=1
    )
    caveats: CaveatParams = CaveatParams()


@dataclass(frozen=True)
class Known:
    """What the ranking sets against the gaps: the options, the people below level 4, what courses add, the chain of a seat.

    ``outcomes`` are rates after exit: they stand for effects where none could be estimated at all. ``bought`` says what was
    ever bought in which territory, ``signs`` what stands beside the need of its sectors.
    """

    options: pd.DataFrame
    eligible: pd.DataFrame
    outcomes: pd.DataFrame
    effects: pd.DataFrame
    chain: pd.DataFrame
    bought: pd.DataFrame
    signs: pd.DataFrame


def rank_options(gaps: pd.DataFrame, known: Known, params: RankingParams, limits: GradeLimits) -> pd.DataFrame:
    """Rank in each territory what can be bought. One row per territory, sector, action_type, level.

    worth of a place = success × chance that a recruitment is still open (:mod:`models.absorption`),

    success = fill × effect of an entry on durable work × (1 − risk that nobody bids).

    An effect is that of entries: it counts those who never finish. A type that prepares others is worth its effect on entering
    a qualifying course × what such a course is worth there; an own business is durable work. ``rank`` 1 is the
    lowest cost per job; an option worth nothing comes last and has no cost. ``emerging_rank`` is the same order among options
    for what emerges. The grade is no better than that of the effect.
    """
    aimed = _with_aims(_beside_signs(_open_shares(gaps, known), known))
    effects = _effects_on_aims(known.effects, params)
    rows = _with_next_step(_with_success(aimed, effects, known.outcomes, params))
    estimates = write_estimate(
        rows,
        value=rows["success"] * rows["open"],
        low=rows["success_low"] * rows["open"],
        high=rows["success_high"] * rows["open"],
        n=rows["n"],
        borrowed=rows["borrowed"],
        limits=limits,
    )
    worse = estimates["doubts"] > estimates["grade"]
    estimates = estimates.assign(grade=estimates["grade"].mask(worse & estimates["grade"].notna(), estimates["doubts"]))
    ranked = _in_order(estimates, params)
    caveats = tell_caveats(_with_refusals(ranked, known.effects, params), params.caveats)
    return ranked.assign(reasons=tell_reasons(ranked), caveats=caveats).sort_values(KEY, ignore_index=True)


def _in_order(estimates: pd.DataFrame, params: RankingParams) -> pd.DataFrame:
    """Give the cost of a job and the ranks. Same rows, in the order of the ranks of each territory."""
    cost = estimates["place_eur"] / estimates["value"].where(estimates["value"] > _WORTHLESS)
    ranked = estimates.assign(cost_per_job_eur=cost).sort_values(["territory", "cost_per_job_eur", *OPTION], na_position="last")
    emerges = ranked["emerging"] >= params.emerging_share
    among = emerges.astype("Int64").groupby(ranked["territory"]).cumsum().where(emerges)
    return ranked.assign(rank=ranked.groupby("territory").cumcount() + 1, emerging_rank=among)


def _open_shares(gaps: pd.DataFrame, known: Known) -> pd.DataFrame:
    """Say how likely each option finds a recruitment open, and what training can answer. One row per territory, option."""
    territories = pd.DataFrame({"territory": sorted(set(gaps["territory"]) | set(known.eligible["territory"]))}, dtype="str")
    rows = territories.merge(known.options, how="cross")
    rows = rows.merge(gaps_of_sectors(gaps), on=["territory", "sector"], how="left", validate="many_to_one")
    rows = rows.merge(
        gaps.drop(columns=[*_GAPS, "need_n"]), on=["territory", "sector", "level"], how="left", validate="many_to_one"
    )
    rows = rows.merge(known.eligible, on="territory", how="left", validate="many_to_one")
    general = rows["action_type"].isin(GENERAL)
    people = rows["people"].fillna(0).astype("float64")
    filled = {name: rows[name].fillna(0.0).mask(general, people) for name in _GAPS}
    solvable = rows["solvable"].mask(general).fillna(1.0)
    room = _rooms(pd.DataFrame(filled), solvable)
    return rows.assign(
        **filled,
        **room,
        solvable=solvable,
        open=np.where(filled["need"] > 0, absorption(room["room"].to_numpy(dtype="float64"), spread_of(room)), 0.0),
        disagreement=rows["disagreement"].mask(general),
        fill=float(known.chain["fill"].iloc[0]),
    )


def gaps_of_sectors(gaps: pd.DataFrame) -> pd.DataFrame:
    """Add up the gaps of the levels of a sector, whose courses serve the same recruitments. One row per territory, sector.

    ``solvable`` is the share of the need that training can answer; all of it, where nobody published a cause.
    """
    solvable = gaps["training_solvable"].fillna(1.0) * gaps["need"]
    half = {end: (gaps[f"gap_{end}"] - gaps["gap"]) ** 2 for end in ("low", "high")}
    sums = (
        gaps.assign(**half, solvable=solvable)
        .groupby(["territory", "sector"], as_index=False)[["need", "gap", "low", "high", "solvable", "need_n"]]
        .sum(min_count=1)
    )
    low, high = sums["gap"] - np.sqrt(sums["low"]), sums["gap"] + np.sqrt(sums["high"])
    solvable = (sums["solvable"] / sums["need"].where(sums["need"] > 0)).fillna(1.0)
    return sums[["territory", "sector", "need", "gap", "need_n"]].assign(gap_low=low, gap_high=high, solvable=solvable)


def _rooms(gaps: pd.DataFrame, solvable: pd.Series[float]) -> pd.DataFrame:
    """Say how many recruitments training can still fill: the part that it can answer of a gap. Same rows, with its bounds.

    What there is too much of stays too much.
    """
    part = solvable.where(gaps["gap"] > 0, 1.0)
    return pd.DataFrame({name.replace("gap", "room"): gaps[name] * part for name in _GAPS[1:]})


def _beside_signs(rows: pd.DataFrame, known: Known) -> pd.DataFrame:
    """Say what stands beside the need of each option, and what was never bought there. Same rows.

    A type without a sector of its own has no signs.
    """
    seen = known.bought.assign(never_bought=False)
    told = rows.merge(seen, on=KEY, how="left", validate="one_to_one")
    told = told.merge(known.signs, on=SECTOR, how="left", validate="many_to_one")
    general = told["action_type"].isin(GENERAL)
    signs = {name: told[name].fillna(0.0).mask(general, 0.0) for name in SIGNS}
    return told.assign(**signs, never_bought=told["never_bought"].isna())


def _with_aims(rows: pd.DataFrame) -> pd.DataFrame:
    """Name the outcome that each option is for. Same rows."""
    aims = rows["action_type"].map(dict.fromkeys(PREPARING, "qualification")).fillna("durable")
    return rows.assign(outcome=aims.astype("str"))


def _effects_on_aims(effects: pd.DataFrame, params: RankingParams) -> pd.DataFrame:
    """Keep the effects on everybody that are told, at the horizon. One row per sector, action_type, outcome."""
    return effects[
        (effects["group"] == "all") & (effects["horizon_months"] == params.horizon_months) & effects["value"].notna()
    ]


def _with_success(aimed: pd.DataFrame, effects: pd.DataFrame, outcomes: pd.DataFrame, params: RankingParams) -> pd.DataFrame:
    """Give each option what an entry adds: the effects; without any the rates after exit; without these what is assumed.

    Same rows. What is assumed is the same for all options, so that they differ by what is needed and by what they cost; it
    rests on the observations of the need alone.
    """
    if (effects["outcome"] == "durable").any():
        return _with_effects(aimed, effects).assign(assumed=False)
    rated = _with_rates(aimed, outcomes, params)
    if (rated["rate"].notna() & (rated["outcome"] == "durable")).any():
        return rated.assign(assumed=False)
    assumed = {"rate": params.assumed_effect, "rate_low": 0.0, "rate_high": max(params.assumed_most, params.assumed_effect)}
    return aimed.assign(**assumed, n=aimed["need_n"].fillna(0.0), borrowed=1.0, doubts="C", assumed=True)


def _with_effects(aimed: pd.DataFrame, effects: pd.DataFrame) -> pd.DataFrame:
    """Give each option what an entry adds to what it is for: in its sector, else over all sectors. Same rows."""
    key = ["sector", "action_type", "outcome"]
    names = {"value": "rate", "low": "rate_low", "high": "rate_high", "grade": "doubts"}
    told = effects.rename(columns=names)[[*key, *names.values(), "n", "borrowed"]]
    whole = told[told["sector"] == ""].drop(columns="sector").assign(n=0.0, borrowed=1.0)
    own = aimed.merge(told, on=key, how="left", validate="many_to_one")
    wide = aimed[key[1:]].merge(whole, on=key[1:], how="left", validate="many_to_one")
    columns = (*names.values(), "n", "borrowed")
    told = own.assign(**{name: own[name].where(own["rate"].notna(), wide[name]) for name in columns})
    return told.assign(n=told["n"].fillna(0.0), borrowed=told["borrowed"].fillna(1.0), doubts=told["doubts"].fillna("D"))


def _with_rates(aimed: pd.DataFrame, outcomes: pd.DataFrame, params: RankingParams) -> pd.DataFrame:
    """Give each option the rate of what it is for: the territory's own, else the Region's, all of it borrowed. Same rows."""
    asked = outcomes[(outcomes["public"] == "tout_public") & (outcomes["horizon_months"] == params.horizon_months)]
    names = {"value": "rate", "low": "rate_low", "high": "rate_high"}
    rates = asked.rename(columns=names)[[*KEY, "outcome", *names.values(), "n", "borrowed"]]
    local = aimed.merge(rates, on=[*KEY, "outcome"], how="left", validate="many_to_one")
    whole = rates[rates["territory"] == REGION].drop(columns="territory").assign(n=0.0, borrowed=1.0)
    region = aimed[[*OPTION, "outcome"]].merge(
        whole.assign(**_borrowed_bounds(whole["rate"], params.borrowed_people)),
        on=[*OPTION, "outcome"],
        how="left",
        validate="many_to_one",
    )
    known = {name: local[name].fillna(region[name]) for name in (*names.values(), "n", "borrowed")}
    return local.assign(**known, doubts="A")


def _borrowed_bounds(rates: pd.Series[float], people: float) -> dict[str, pd.Series[float]]:
    """Bound a rate in a territory that has none of its own: sure as it may be for the Region, territories differ."""
    alpha, omega = (rates * people).clip(lower=1e-6), ((1 - rates) * people).clip(lower=1e-6)
    return {f"rate_{end}": pd.Series(beta.ppf(q, alpha, omega), index=rates.index) for end, q in (("low", 0.1), ("high", 0.9))}


def _with_refusals(rows: pd.DataFrame, effects: pd.DataFrame, params: RankingParams) -> pd.DataFrame:
    """Mark the options whose own effect was refused, too few people being alike. Same rows, with ``refused``."""
    key = ["sector", "action_type", "outcome"]
    asked = effects[(effects["group"] == "all") & (effects["horizon_months"] == params.horizon_months)]
    refused = asked.loc[asked["value"].isna(), key].assign(refused=True)
    told = rows.merge(refused, on=key, how="left", validate="many_to_one").set_axis(rows.index)
    return told.assign(refused=told["refused"].notna())


def _with_next_step(rows: pd.DataFrame) -> pd.DataFrame:
    """Say what a place leads to, with its bounds: ``success`` = fill × rate × (1 − risk) × what follows. Same rows.

    What follows a type that prepares others is the mean worth of the territory's qualifying options, in their usual mix; those
    that would hold people back are not taken.
    """
    prepares = rows["action_type"].isin(PREPARING)
    held = rows["fill"] * (1.0 - rows["risk"])
    qualifying = rows[rows["action_type"].isin(QUALIFYING)]
    follows = {}
    for end in ENDS:
        reached = held * rows[f"rate{end}"] * rows["open"]
        worth = reached.loc[qualifying.index].fillna(0.0).clip(lower=0.0)
        bought = (worth * qualifying["busiest"]).groupby(qualifying["territory"]).sum()
        usual = bought / qualifying.groupby("territory")["busiest"].sum()
        follows[end] = rows["territory"].map(usual).astype("float64").fillna(0.0).where(prepares, 1.0)
    low, high = _times(rows["rate_low"], rows["rate_high"], follows["_low"], follows["_high"])
    bounds = {"success": rows["rate"] * follows[""], "success_low": low, "success_high": high}
    return rows.assign(**{name: held * success for name, success in bounds.items()})


def _times(
    low: pd.Series[float], high: pd.Series[float], least: pd.Series[float], most: pd.Series[float]
) -> tuple[pd.Series[float], pd.Series[float]]:
    """Bound a product of what may lie below zero and what may not."""
    return (low * least).where(low >= 0, low * most), (high * most).where(high >= 0, high * least)
