"""What is said first of the plan: its money, what its rules came to, how sure it is, and what people decided."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from models.envelopes import PurchaseParams
from models.purchase import Plan
from models.rules import paid_cents
from models.stability import stable_classes

MONTHS_SERVED, CODES_TOLD = 12, 3
_MISSED = 1e-6  # of what a rule asks: what is taken for kept
Line = tuple[str, str, Mapping[str, object], float]


def tell_plan(plan: Plan, months: int, params: PurchaseParams) -> Iterator[Line]:
    """Say what the plan buys, with which money, under which rules, and how sure it is. ``months`` are those it can serve."""
    lots, jobs = plan.lots, float(plan.lots["value"].sum())
    yield from _money(plan, params)
    yield from tell_rules(plan.rules)
    if human := int((lots["decided_by"] == "human").sum() + (plan.rejected["decided_by"] == "human").sum()):
        yield "info", "plan.decisions", {"count": human, "jobs": plan.decided.jobs}, human
    if strange := plan.decided.strange:
        yield "warning", "plan.strange", {"count": len(strange), "lots": ", ".join(strange[:CODES_TOLD])}, len(strange)
    if months < MONTHS_SERVED:
        yield "warning", "plan.partly_past", {"exercise": plan.exercise, "months": months}, months
    yield "info", "plan.jobs", {"jobs": jobs, "lots": len(lots)}, jobs
    yield from _sureness(lots)
    yield "info", "plan.gap", {"gap": plan.gap}, plan.gap


def _money(plan: Plan, params: PurchaseParams) -> Iterator[Line]:
    """Say of each envelope what is bought in the exercise, what was committed already, and for how many years it is."""
    paid = paid_cents(plan.lots, params.envelopes)
    for envelope in params.envelopes:
        own = plan.lots["envelope"] == envelope.name
        spent = float(paid[own].sum()) / 100
        values = {"name": envelope.name, "places": int(plan.lots.loc[own, "places"].sum()), "exercise": plan.exercise}
        yield "info", "plan.envelope", {**values, "spent": spent, "left": envelope.cents / 100 - spent}, spent
        if envelope.committed_eur or envelope.committed_places:
            held = {"name": envelope.name, "places": envelope.committed_places, "spent": envelope.committed_eur}
            yield "info", "plan.committed", held, envelope.committed_eur
        if (years := envelope.exercises) > 1:
            yield "info", "plan.years", {"name": envelope.name, "years": years, "spent": spent * years}, years


def tell_rules(rules: pd.DataFrame) -> Iterator[Line]:
    """Say what each rule came to, what it costs, and which had to be loosened."""
    for rule in rules.to_dict("records"):
        values = {str(name): value for name, value in rule.items()}
        asked, granted, share = float(rule["asked"]), float(rule["granted"]), "_share" if rule["by_share"] else ""
        told = pd.notna(rule["jobs"])
        cost = ("_jobs", float(rule["jobs"])) if told else ("_unit", float(rule["price"]))
        yield "info", f"plan.{rule['kind']}{share}{cost[0]}", values, cost[1]
        if abs(granted - asked) > _MISSED * max(1.0, asked):
            yield "warning", f"plan.loosened{share}", values, granted


def _sureness(lots: pd.DataFrame) -> Iterator[Line]:
    """Say which shares of the money are robust, fragile and out; nothing where no future was drawn."""
    cents = lots.loc[lots["stability"].notna(), "cost_cents"].groupby(stable_classes(lots["stability"])).sum()
    if whole := float(cents.sum()):
        shares = {name: float(cents.get(name, 0)) / whole for name in ("robust", "fragile", "out")}
        yield "info" if shares["robust"] >= shares["out"] else "warning", "plan.sureness", shares, shares["robust"]
