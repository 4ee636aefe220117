"""What to buy: whole sessions, under envelopes and rules, so that they add the most work.

The choice is :mod:`models.buying`, solved with HiGHS to a stated gap; :mod:`models.bids` writes it in numbers. What is bought
and what is not is told lot by lot, with the reason and the price of a place at which it would change sides.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from features.contracts import GradeLimits, write_estimate
from features.errors import InputError
from features.vocabulary import months_from
from models.bids import bind, find_conflict, session_counts, write_problem
from models.buying import Bought, Impossible, Problem, Whole, buy, jobs_at_the_margin, jobs_of, relax
from models.envelopes import PurchaseParams

_LITTLE = 1e-9


@dataclass(frozen=True)
class Decided:
    """What decisions of people came to: those that name no lot, and the jobs that the others keep from being added."""

    strange: list[str]
    jobs: float


@dataclass(frozen=True)
class Plan:
    """What is bought and what is not, one row per lot in both; what rules came to, one row each; and how far the best may be.

    ``gap`` is the share by which no plan can be better.
    """

    exercise: int
    lots: pd.DataFrame
    rejected: pd.DataFrame
    rules: pd.DataFrame
    gap: float
    decided: Decided


def served_months(exercise: int) -> list[str]:
    """List the twelve months whose needs an exercise serves: from July of its year.

    >>> served_months(2027)[0], served_months(2027)[-1]
    ('2027-07', '2028-06')
    """
    return months_from(f"{exercise}-07", 12)


def plan_purchase(
    ranked: pd.DataFrame,
    chain: pd.DataFrame,
    exercise: int,
    params: PurchaseParams,
    limits: GradeLimits,
    *,
    decisions: pd.DataFrame | None = None,
) -> Plan:
    """Spend the envelopes. One row per lot; a lot is an option of a territory in one envelope, over its sessions.

    What is not bought is told as the one session it would have been, with the reason why not and, where only money lacked,
    the price of a place that would have bought it. ``decisions`` of people on lots hold (:mod:`features.decisions`). Rules and
    decisions that cannot hold together are named, and nothing is bought.
    """
    ranked = ranked.reset_index(drop=True)
    free = write_problem(ranked, float(chain["fill"].iloc[0]) * float(chain["completion"].iloc[0]), params)
    decided = _decided(ranked, free, exercise, params, decisions)
    problem = bind(free, decided[decided["known"]])
    bought = _buy(problem, params, decided.loc[decided["known"], "lot_id"].tolist())
    chosen, left = _chosen(problem, bought.sessions, params), _left(problem, bought.sessions, params)
    freely = chosen.loc[chosen["reason"] == "best_cost_per_job", "last_ratio"]
    cutoff = float(freely.min()) if len(freely) else 0.0
    lots = _describe(ranked.loc[chosen["option"]].reset_index(drop=True), chosen, exercise, params)
    offered = _describe(ranked.loc[left["option"]].reset_index(drop=True), left, exercise, params)
    rejected = _settle(offered, cutoff, limits)
    # Where whole sessions left no room for it, no price of its own would have.
    buyable = (rejected["reason"] == "envelope_spent") & (rejected["tipping_point"] < _place_eur(rejected))
    rejected = rejected.assign(tipping_point=rejected["tipping_point"].where(buyable))
    lots, rejected = (_signed(rows, decided) for rows in (_settle(lots, cutoff, limits), rejected))
    rules = _tell_rules(problem, bought.sessions, params)
    lost = max(0.0, _buy(free, params, []).value - bought.value) if decided["known"].any() else 0.0
    return Plan(exercise, lots, rejected, rules, bought.gap, Decided(decided["lot_id"][~decided["known"]].tolist(), lost))


def _decided(
    ranked: pd.DataFrame, problem: Problem, exercise: int, params: PurchaseParams, decisions: pd.DataFrame | None
) -> pd.DataFrame:
    """Find the bids that decisions name. One row per decision: lot_id, option_id, known, bids, and the least and most sessions.

    A lot that was not bought is an option whatever pays for it: its decision holds over all envelopes together, and so does
    a ban. ``option_id`` is the name of the lot whoever pays.
    """
    if decisions is None or decisions.empty:
        others = ("lot_id", "option_id", "bids", "low", "high")
        return pd.DataFrame({"known": pd.Series(dtype=bool), **{name: pd.Series(dtype="object") for name in others}})
    names = np.array([envelope.name for envelope in params.envelopes], dtype=object)[problem.envelope]
    found: dict[str, list[int]] = {}
    for envelopes in (names, np.full(len(names), "", dtype=object)):
        one = {"envelope": envelopes, "sessions": 1, "jobs": 0.0, "marginal": 0.0, "reason": ""}
        bids = pd.DataFrame(one, index=range(len(names)))
        described = _describe(ranked.loc[problem.cell].reset_index(drop=True), bids, exercise, params)
        for place, lot in enumerate(described["lot_id"]):
            found.setdefault(lot, []).append(place)
    # The last described are those whoever pays.
    whole = described["lot_id"].tolist()
    banned = decisions["interdit"] == 1
    meant = {lot: found[whole[bids[0]]] for lot, bids in found.items()}
    group = {lot: int(problem.places[problem.cell[bids[0]]]) for lot, bids in found.items()}
    asked = decisions["sessions"].fillna(np.ceil(decisions["places"] / decisions["lot_id"].map(group)))
    return pd.DataFrame(
        {
            "lot_id": decisions["lot_id"],
            "option_id": [whole[found[lot][0]] if lot in found else lot for lot in decisions["lot_id"]],
            "known": decisions["lot_id"].isin(found.keys()),
            "bids": [(meant if ban else found).get(lot, []) for lot, ban in zip(decisions["lot_id"], banned, strict=True)],
            "low": asked.mask(banned, 0.0).fillna((decisions["verrou"] == 1).astype("float64")),
            "high": asked.mask(banned, 0.0).fillna(np.inf),
        }
    )


def _signed(lots: pd.DataFrame, decided: pd.DataFrame) -> pd.DataFrame:
    """Say which lots a person decided of. Same rows."""
    option = pd.Series(_lot_ids(lots.assign(envelope="")), index=lots.index)
    own = lots["lot_id"].isin(decided["lot_id"]) | option.isin(decided["lot_id"])
    either = own | ((lots["envelope"] == "") & option.isin(decided["option_id"]))
    signed = {"decided_by": "human", "reason": "human_decision"}
    return lots.assign(**{name: lots[name].mask(either, code) for name, code in signed.items()})


def _buy(problem: Problem, params: PurchaseParams, decided: list[str]) -> Bought:
    try:
        return buy(problem, params.search)
    except Impossible:
        titles = [f"rule '{rule.name}'" for rule in params.rules]
        titles += [f"places of envelope '{each.name}'" for each in params.envelopes if each.places is not None]
        titles += [f"decision on lot '{lot}'" for lot in decided]
        rules, envelopes = find_conflict(problem)
        names = [titles[place] for place in rules] + [f"envelope '{params.envelopes[place].name}'" for place in envelopes]
        raise InputError(
            f"purchase: {len(names)} of its rules cannot hold together with what providers can run: {', '.join(names)}. "
            "Lower a floor, raise a ceiling or an envelope, or let a decision go: any one of these named is enough."
        ) from None


def _chosen(problem: Problem, sessions: Whole, params: PurchaseParams) -> pd.DataFrame:
    """List what is bought. One row per option and envelope: sessions, jobs, marginal worth, jobs by cent of the last session.

    ``reason`` says whether a floor would be missed without its last session.
    """
    bids, counted = np.flatnonzero(sessions), problem.weight @ sessions
    held = problem.weight.toarray()[:, bids]
    promised = ((held > 0) & (counted[:, None] - held < problem.low[:, None] - _LITTLE)).any(axis=0)
    cell, bought = problem.cell[bids], sessions[bids]
    in_all = np.bincount(problem.cell, weights=sessions, minlength=len(problem.pool))
    last, _, _ = jobs_at_the_margin(problem, sessions)
    names = np.array([envelope.name for envelope in params.envelopes], dtype=object)
    rows = pd.DataFrame(
        {
            "option": cell,
            "envelope": pd.array(names[problem.envelope[bids]], dtype="str"),
            "sessions": bought,
            "jobs": jobs_of(problem, sessions)[cell] * bought / np.maximum(in_all[cell], 1.0),
            "marginal": last[cell],
            "reason": pd.array(np.where(promised, "floor_promised", "best_cost_per_job"), dtype="str"),
            "last_ratio": last[cell] * problem.places[cell] / np.maximum(problem.cost[bids], 1),
        }
    )
    return rows.sort_values(["option", "envelope"], ignore_index=True)


def _left(problem: Problem, sessions: Whole, params: PurchaseParams) -> pd.DataFrame:
    """List what is not bought, as the one session it would have been. One row per option, with the reason."""
    in_all = np.bincount(problem.cell, weights=sessions, minlength=len(problem.pool))
    _, following, very_next = jobs_at_the_margin(problem, sessions)
    run = np.bincount(problem.kind[problem.cell], weights=sessions, minlength=len(problem.capacity))
    weight, counted = problem.weight.toarray(), problem.weight @ sessions
    full = ((weight > 0) & (counted[:, None] + weight > problem.high[:, None] + _LITTLE)).any(axis=0)
    paid = np.bincount(problem.cell, minlength=len(problem.pool)) > 0
    capped = paid & (np.bincount(problem.cell, weights=~full, minlength=len(problem.pool)) == 0)
    reasons = np.select(
        [
            very_next < params.smallest_worth,
            following < params.smallest_worth,
            run[problem.kind] >= problem.capacity[problem.kind],
            ~paid,
            capped,
        ],
        ["no_gap_left", "no_whole_session", "provider_capacity", "no_envelope", "ceiling_reached"],
        "envelope_spent",
    )
    option = np.flatnonzero(in_all == 0)
    worth = following[option]
    return pd.DataFrame(
        {
            "option": option,
            "envelope": pd.array([""] * len(option), dtype="str"),
            "sessions": 1,
            "jobs": worth * problem.places[option],
            "marginal": worth,
            "reason": pd.array(reasons[option], dtype="str"),
        }
    )


def _tell_rules(problem: Problem, sessions: Whole, params: PurchaseParams) -> pd.DataFrame:
    """Say what each rule came to and what it costs. One row per rule: what it asks, reached, jobs.

    ``jobs`` are those that it keeps from being added, where parts of sessions can be bought.
    """
    names = ["name", "kind", "counts", "by_share", "asked", "reached", "jobs"]
    if not params.rules or not len(problem.cell):
        return pd.DataFrame({name: pd.Series(dtype="object") for name in names})
    with_all, counted, rows = relax(problem), problem.weight @ sessions, []
    for place, rule in enumerate(params.rules):
        low, high = problem.low.copy(), problem.high.copy()
        low[place], high[place] = -np.inf, np.inf
        lost = relax(replace(problem, low=low, high=high)).bound - with_all.bound if with_all.rule_price[place] else 0.0
        every = float((session_counts(rule, problem) * sessions).sum())
        reached = counted[place] if rule.amount is not None else counted[place] / max(every, 1.0) + (rule.share or 0.0)
        asked = rule.amount if rule.amount is not None else rule.share
        told = (rule.share is not None, asked, reached, max(lost, 0.0))
        rows.append((rule.name, rule.kind, rule.counts, *told))
    return pd.DataFrame(rows, columns=names).astype(dict.fromkeys(names[:3], "str"))


def _place_eur(lots: pd.DataFrame) -> pd.Series[float]:
    return lots["cost_cents"] / lots["places"] / 100


def _describe(ranked: pd.DataFrame, bought: pd.DataFrame, exercise: int, params: PurchaseParams) -> pd.DataFrame:
    """Write lots as they are tendered. One row per row of ``bought``, in its order."""
    volets = {envelope.name: envelope.volets[0] if envelope.volets else "" for envelope in params.envelopes}
    sessions = bought["sessions"].astype("int64")
    places = sessions * ranked["group"]
    lots = pd.DataFrame(
        {
            "envelope": bought["envelope"].astype("str"),
            "volet": bought["envelope"].map(volets).fillna("").astype("str"),
            "exercise": exercise,
            **{name: ranked[name] for name in ("action_type", "sector", "formacode", "certification", "entry_level")},
            "exit_level": ranked["level"],
            "territory": ranked["territory"],
            "public": "tout_public",
            "places": places,
            "places_max": places,
            "sessions": sessions,
            **{name: ranked[name] for name in ("group_min", "group_max", "hours")},
            "cost_cents": places * (ranked["place_eur"] * 100).round().astype("int64"),
            "allowance_cents": 0,
            "expected_entries": places * ranked["fill"],
            "jobs": bought["jobs"].astype("float64"),
            "shrink": (ranked["low"] / ranked["value"]).where(ranked["value"] > 0, 0.0),
            "stretch": (ranked["high"] / ranked["value"]).where(ranked["value"] > 0, 1.0),
            **{name: ranked[name] for name in ("n", "borrowed")},
            "marginal_worth": bought["marginal"].astype("float64"),
            "infructueux_risk": ranked["risk"],
            "reason": bought["reason"],
            "decided_by": "engine",
        }
    )
    return lots.assign(lot_id=_lot_ids(lots))


def _lot_ids(lots: pd.DataFrame) -> list[str]:
    """Name each lot so that an override and next year's comparison find it again: readable, then a hash of what it is."""
    parts = [
        "exercise",
        "envelope",
        "action_type",
        "formacode",
        "certification",
        "entry_level",
        "exit_level",
        "territory",
        "public",
    ]
    keys = ["|".join(map(str, key)) for key in lots[parts].itertuples(index=False)]
    return [
        f"{exercise}-{territory}-{formacode}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
        for exercise, territory, formacode, key in zip(
            lots["exercise"], lots["territory"], lots["formacode"], keys, strict=True
        )
    ]


def _settle(lots: pd.DataFrame, cutoff: float, limits: GradeLimits) -> pd.DataFrame:
    """Write the estimate of jobs, and the price of a place (€) at which a lot would change sides. Same rows."""
    price = lots["marginal_worth"] / cutoff / 100 if cutoff > 0 else pd.Series(float("nan"), index=lots.index)
    estimated = write_estimate(
        lots.drop(columns=["jobs", "shrink", "stretch"]),
        value=lots["jobs"],
        low=lots["jobs"] * lots["shrink"],
        high=lots["jobs"] * lots["stretch"],
        n=lots["n"],
        borrowed=lots["borrowed"],
        limits=limits,
    )
    return estimated.assign(tipping_point=price.where(price > 0).round(2)).sort_values("lot_id", ignore_index=True)
