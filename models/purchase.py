"""What to buy: whole sessions, under envelopes and rules, so that they add the most work.

The choice is :mod:`models.buying`, solved with HiGHS to a stated gap; :mod:`models.bids` writes it in numbers and
:mod:`models.lots` writes it as lots. What is bought and what is not is told lot by lot, with the reason, what would make it
change sides, and in which share of the futures that may come it is bought.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from features.contracts import GradeLimits
from features.vocabulary import InputError, months_from
from models.bids import Written, bind, find_conflict, write_problem
from models.buying import Bought, Impossible, Problem, Whole, buy, loosen, relax
from models.decided import find_decided, sign
from models.envelopes import Grounds, PurchaseParams
from models.lots import describe_left, describe_lots, tell_margins
from models.rules import place_limits, session_counts
from models.stability import stabilities

_PRICED = 20
"""Rules that are lifted one by one to say what they cost; of the others only the price of a unit is told."""


@dataclass(frozen=True)
class Decided:
    """What decisions of people came to: those that name no lot, and the jobs that the others keep from being added."""

    strange: list[str]
    jobs: float


@dataclass(frozen=True)
class Plan:
    """What is bought and what is not, one row per lot in both; what rules came to, one row each; and how far the best may be.

    ``gap`` is the share by which no plan can be better. ``stability`` has one number per row of what was ranked: the share of
    draws in which some of it is bought.
    """

    exercise: int
    lots: pd.DataFrame
    rejected: pd.DataFrame
    rules: pd.DataFrame
    gap: float
    decided: Decided
    stability: pd.Series[float]


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
    grounds: Grounds | None = None,
    decisions: pd.DataFrame | None = None,
    priced: bool = True,
) -> Plan:
    """Spend the envelopes. One row per lot; a lot is an option of a territory in one envelope, over its sessions.

    What is not bought is told as the one session it would have been, with the reason why not and what would have bought it.
    ``decisions`` of people on lots hold (:mod:`features.decisions`). Rules and decisions that cannot hold together are named,
    and nothing is bought; or, with ``nearest``, they are missed as little as can be. What decisions cost takes a second
    search, which only a plan that is ``priced`` makes.
    """
    grounds = grounds or Grounds.bare()
    ranked = ranked.reset_index(drop=True).assign(ends_early=_ends_early(ranked, exercise).to_numpy())
    finishing = float(chain["fill"].iloc[0]) * float(chain["completion"].iloc[0])
    free = write_problem(ranked, finishing, params, grounds)
    decided = find_decided(ranked, free, exercise, params, decisions)
    held = decided.loc[decided["known"], "lot_id"].tolist()
    bound, bought = _buy(replace(free, problem=bind(free.problem, decided[decided["known"]])), params, held)
    stability = stabilities(ranked, bound, finishing, params)
    lots = describe_lots(ranked, bound, bought.sessions, exercise, params)
    left = describe_left(ranked, bound, bought.sessions, exercise, params)
    lots, rejected = tell_margins(lots, left, limits)
    stable = [rows.assign(stability=rows["option"].map(stability)) for rows in (lots, rejected)]
    lots, rejected = (sign(rows, decided) for rows in stable)
    lost = max(0.0, _buy(free, params, [])[1].value - bought.value) if held and priced else 0.0
    strange = decided["lot_id"][~decided["known"]].tolist()
    rules = _tell_rules(bound, bought.sessions)
    return Plan(exercise, lots, rejected, rules, bought.gap, Decided(strange, lost), stability)


def _ends_early(ranked: pd.DataFrame, exercise: int) -> pd.Series[bool]:
    """Mark options whose certification is not registered any more on the last day on which somebody may enter."""
    return pd.to_datetime(ranked["certified_until"]) < pd.Timestamp(exercise, 12, 31)


def _buy(written: Written, params: PurchaseParams, decided: list[str]) -> tuple[Written, Bought]:
    """Buy, with the rules as they hold: loosened where they cannot and the nearest plan is asked for."""
    try:
        return written, buy(written.problem, params.search)
    except Impossible:
        if params.nearest and len(written.problem.cell):
            places = len(written.rules) + np.arange(len(place_limits(params.envelopes)))
            loosened = replace(written, problem=loosen(written.problem, places))
            return loosened, buy(loosened.problem, params.search)
        raise InputError(_contradiction(written, params, decided)) from None


def _contradiction(written: Written, params: PurchaseParams, decided: list[str]) -> str:
    """Name the rules, decisions and envelopes that cannot hold together."""
    titles = [f"rule '{rule.name}'" for rule in written.rules]
    titles += [f"places of envelope '{each.name}'" for each in params.envelopes if each.most_places is not None]
    titles += [f"decision on lot '{lot}'" for lot in decided]
    rules, envelopes = find_conflict(written.problem)
    names = [titles[place] for place in rules] + [f"envelope '{params.envelopes[place].name}'" for place in envelopes]
    return (
        f"purchase: {len(names)} of its rules cannot hold together with what providers can run: {', '.join(names)}. "
        "Lower a floor, raise a ceiling or an envelope, or let a decision go: any one of these named is enough. "
        "Or ask for the plan that misses them least: --set purchase.nearest=true."
    )


def _tell_rules(written: Written, sessions: Whole) -> pd.DataFrame:
    """Say what each rule came to and what it costs. One row per rule: what it asks, ``granted``, reached, price, jobs.

    ``price`` is the jobs that one unit more of what it asks costs, ``jobs`` those that it keeps from being added, where parts
    of sessions can be bought: of the dearest, others have none. ``granted`` is less than asked where it had to be loosened.
    """
    names = ["name", "kind", "counts", "by_share", "asked", "granted", "reached", "price", "jobs"]
    problem, rules = written.problem, written.rules
    if not rules or not len(problem.cell):
        return pd.DataFrame({name: pd.Series(dtype="object") for name in names})
    with_all, counted, rows = relax(problem), problem.weight @ sessions, []
    prices = np.abs(with_all.rule_price[: len(rules)])
    asked = np.array([rule.share if rule.amount is None else rule.amount for rule in rules], dtype="float64")
    dearest = set(np.argsort(-prices * np.maximum(asked, 1.0), kind="stable")[:_PRICED].tolist())
    for place, rule in enumerate(rules):
        whole = float((session_counts(rule, problem) * sessions).sum())
        share = rule.share if rule.amount is None else None
        bound = float(problem.low[place] if rule.kind == "floor" else problem.high[place])
        reached, granted = (
            number if share is None else number / max(whole, 1.0) + share for number in (float(counted[place]), bound)
        )
        lost = _lifted(problem, place) - with_all.bound if prices[place] and place in dearest else 0.0
        jobs = max(lost, 0.0) if place in dearest or not prices[place] else float("nan")
        told = (share is not None, asked[place], granted, reached, prices[place], jobs)
        rows.append((rule.name, rule.kind, rule.counts, *told))
    return pd.DataFrame(rows, columns=names).astype(dict.fromkeys(names[:3], "str"))


def _lifted(problem: Problem, place: int) -> float:
    """Bound the jobs without one rule."""
    low, high = problem.low.copy(), problem.high.copy()
    low[place], high[place] = -np.inf, np.inf
    return relax(replace(problem, low=low, high=high)).bound
