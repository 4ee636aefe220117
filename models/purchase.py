"""What to buy: whole sessions, under the envelopes, where the next one adds most work for the money.

Greedy: the session with the highest worth per euro is bought first, what it will fill is taken off the gap, then the next
is looked for, until no envelope can pay for one or none is worth it. Money is whole cents throughout.
"""

from __future__ import annotations

import hashlib
import heapq
import math
from collections import Counter, defaultdict
from dataclasses import dataclass

import pandas as pd
from pydantic import field_validator

from features.contracts import GradeLimits, write_estimate
from features.params import Section, param
from features.vocabulary import months_from
from models.ranking import GENERAL


class Envelope(Section):
    """A budget, and what it may pay for."""

    name: str = param(..., "how the envelope is called")
    amount_eur: float = param(..., "what it may spend on teaching and annexes in the exercise", unit="€", ge=0)
    volets: tuple[str, ...] = param(("socle",), "the parts of the programme it pays for (socle, additionnel, autre)")
    financeurs: tuple[str, ...] = param(("2",), "LHEO codes of who pays")

    @field_validator("financeurs", mode="before")
    @classmethod
    def _as_texts(cls, codes: object) -> object:
        """Take a code written as a number, ``[2, 4]``, for the text it is."""
        return tuple(str(code) if type(code) is int else code for code in codes) if isinstance(codes, list | tuple) else codes


class PurchaseParams(Section):
    """What is bought, for when, and with which money."""

    exercise: int | None = param(None, "year bought for; empty: the one after as_of", unit="year", ge=2000, le=2099)
    envelopes: tuple[Envelope, ...] = param((Envelope(name="base", amount_eur=2_000_000),), "the budgets, spent in this order")
    rules: tuple[str, ...] = param((), "floors, ceilings, change limits and reserves by name; none can be stated yet")
    provider_growth: float = param(
        1.25,
        "sessions of a kind bought at most, for one of its busiest year: what providers can run",
        unit="ratio",
        ge=1,
        le=10,
    )
    smallest_worth: float = param(0.001, "a place worth less than this is not bought", unit="jobs", ge=0, le=1)

    @field_validator("envelopes")
    @classmethod
    def _named_apart(cls, envelopes: tuple[Envelope, ...]) -> tuple[Envelope, ...]:
        if len({envelope.name for envelope in envelopes}) < len(envelopes):
            raise ValueError("two envelopes have the same name; give each its own")
        return envelopes

    @field_validator("rules")
    @classmethod
    def _no_rule_yet(cls, rules: tuple[str, ...]) -> tuple[str, ...]:
        if rules:
            raise ValueError("no rule can be stated yet: only money, sessions and group sizes bind; write []")
        return rules


@dataclass(frozen=True)
class Plan:
    """What is bought and what is not; one row per lot in both."""

    lots: pd.DataFrame
    rejected: pd.DataFrame


@dataclass(frozen=True)
class _Option:
    """What the choice needs to know of one option of one territory."""

    pool: tuple[str, str, str]
    kind: tuple[str, str, str]
    capacity: int
    group: int
    place_cents: int
    success: float
    gap: float
    need: float

    @property
    def session_cents(self) -> int:
        """What one session of the usual size costs."""
        return self.group * self.place_cents

    def worth(self, trained: float) -> float:
        """Expected jobs per place of the next session, once so many finishers are under contract in its pool."""
        if self.need <= 0:
            return 0.0
        return self.success * min(1.0, max(0.0, (self.gap - trained) / self.need))


def served_months(exercise: int) -> list[str]:
    """List the twelve months whose needs an exercise serves: from July of its year.

    >>> served_months(2027)[0], served_months(2027)[-1]
    ('2027-07', '2028-06')
    """
    return months_from(f"{exercise}-07", 12)


def plan_purchase(
    ranked: pd.DataFrame, chain: pd.DataFrame, exercise: int, params: PurchaseParams, limits: GradeLimits
) -> Plan:
    """Spend the envelopes. One row per lot; a lot is an option of a territory in one envelope, over its sessions.

    What is not bought is told as the one session it would have been, with the reason why not and, where only money lacked,
    the price of a place that would have bought it.
    """
    ranked = ranked.reset_index(drop=True)
    finishing = float(chain["fill"].iloc[0]) * float(chain["completion"].iloc[0])
    bought, stopped = _spend(_read_options(ranked, params), finishing, params)
    cutoff = float(bought["last_ratio"].min()) if len(bought) else 0.0
    lots = _describe(ranked.loc[bought["option"]].reset_index(drop=True), bought, exercise, params)
    left = stopped[~stopped["option"].isin(bought["option"])].reset_index(drop=True)
    offered = _describe(ranked.loc[left["option"]].reset_index(drop=True), left, exercise, params)
    rejected = _settle(offered.assign(reason=left["reason"]), cutoff, limits)
    buyable = rejected["reason"] == "envelope_spent"
    return Plan(_settle(lots, cutoff, limits), rejected.assign(tipping_point=rejected["tipping_point"].where(buyable)))


def _read_options(ranked: pd.DataFrame, params: PurchaseParams) -> list[_Option]:
    """Read one option per row."""
    pools = zip(ranked["territory"], ranked["sector"], ranked["level"], ranked["action_type"], strict=True)
    numbers = ranked[["busiest", "group", "place_eur", "success", "gap", "need"]].fillna(0.0).to_numpy(dtype="float64")
    return [
        _Option(
            (territory, "", "") if kind in GENERAL else (territory, sector, level),
            (sector, kind, level),
            math.ceil(busiest * params.provider_growth),
            int(group),
            round(price * 100),
            success,
            gap,
            need,
        )
        for (territory, sector, level, kind), (busiest, group, price, success, gap, need) in zip(pools, numbers, strict=True)
    ]


def _spend(options: list[_Option], finishing: float, params: PurchaseParams) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Buy session after session. One row per option, envelope bought; then one per option, with why it was left there."""
    left = {envelope.name: round(envelope.amount_eur * 100) for envelope in params.envelopes}
    trained: defaultdict[tuple[str, str, str], float] = defaultdict(float)
    run: Counter[tuple[str, str, str]] = Counter()
    rows: dict[tuple[int, str], tuple[int, float, float, float]] = {}
    stopped: list[tuple[int, str]] = []

    def next_worth(i: int) -> float:
        return options[i].worth(trained[options[i].pool] + options[i].group * finishing / 2)

    queue = [(-next_worth(i) / option.place_cents, i) for i, option in enumerate(options) if option.place_cents > 0]
    heapq.heapify(queue)
    while queue:
        promised, i = heapq.heappop(queue)
        option, worth = options[i], next_worth(i)
        if worth / option.place_cents < -promised:  # its pool was served meanwhile: let the others pass first
            heapq.heappush(queue, (-worth / option.place_cents, i))
            continue
        envelope = next((name for name, cents in left.items() if cents >= option.session_cents), None)
        if worth < params.smallest_worth:
            open_place = option.worth(trained[option.pool]) >= params.smallest_worth
            stopped.append((i, "no_whole_session" if open_place else "no_gap_left"))
        elif run[option.kind] >= option.capacity:
            stopped.append((i, "provider_capacity"))
        elif envelope is None:
            stopped.append((i, "envelope_spent"))
        else:
            left[envelope] -= option.session_cents
            sessions, jobs, _, _ = rows.get((i, envelope), (0, 0.0, 0.0, 0.0))
            rows[i, envelope] = (sessions + 1, jobs + worth * option.group, worth, worth / option.place_cents)
            trained[option.pool] += option.group * finishing
            run[option.kind] += 1
            heapq.heappush(queue, (-next_worth(i) / option.place_cents, i))
    bought = [(i, envelope, *numbers) for (i, envelope), numbers in sorted(rows.items())]
    alone = [(i, "", 1, next_worth(i) * options[i].group, next_worth(i), reason) for i, reason in sorted(stopped)]
    return (
        pd.DataFrame(bought, columns=["option", "envelope", "sessions", "jobs", "marginal", "last_ratio"]),
        pd.DataFrame(alone, columns=["option", "envelope", "sessions", "jobs", "marginal", "reason"]),
    )


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
            "reason": "best_cost_per_job",
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
