"""What a run must hold before it may be published. A gate that does not hold stops the run; what was published stays."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from features.errors import InputError
from models.envelopes import Grounds, PurchaseParams, Rule
from models.matching import MatchingParams
from models.purchase import Plan
from models.rules import count_lots, paid_cents, spell_out
from needs.params import Params


class GateRefusal(InputError):  # noqa: N818  # it says what the gate did
    """The run is complete but must not be published: each fault names a gate and what it found."""

    exit_code = 3


def hold_gates(tables: Mapping[str, pd.DataFrame], people: pd.DataFrame, plan: Plan, grounds: Grounds, params: Params) -> None:
    """Refuse the run when a law of what is published is broken. Every broken law is told.

    ``plan`` holds the lots beside what of each option rules are counted on, ``grounds``.
    """
    broken = [*_plan_faults(plan, grounds, params.purchase), *_match_faults(tables, people, params.matching)]
    if broken:
        raise GateRefusal(*broken)


def refuse_nothing(forecasts: pd.DataFrame, as_of: pd.Timestamp) -> None:
    """Refuse a run that can say nothing of what is needed."""
    if forecasts.empty:
        raise GateRefusal(
            f"forecasts: there is none, because no vacancy was known on {as_of:%Y-%m-%d}. Drop files into data/raw/offers, "
            "or give a later --as-of."
        )


def _plan_faults(plan: Plan, grounds: Grounds, params: PurchaseParams) -> list[str]:
    """Check money, groups and rules to the cent and to the place."""
    lots = plan.lots
    spent = paid_cents(lots, params.envelopes).groupby(lots["envelope"]).sum()
    faults = [
        f"envelope {envelope.name}: {spent[envelope.name] / 100:.2f} € bought with {envelope.cents / 100:.2f} €"
        for envelope in params.envelopes
        if spent.get(envelope.name, 0) > envelope.cents
    ]
    granted = plan.rules.set_index("name")["granted"].to_dict() if params.nearest else {}
    rules = spell_out(params, grounds)
    faults += [fault for rule in rules if (fault := _broken(rule, plan, grounds, params, granted.get(rule.name)))]
    group = lots["places"] / lots["sessions"]
    wrong = int(((group < lots["group_min"]) | (group > lots["group_max"])).sum())
    return faults + ([f"lots: {wrong} have groups outside their bounds"] if wrong else [])


def _broken(rule: Rule, plan: Plan, grounds: Grounds, params: PurchaseParams, granted: float | None) -> str:
    """Say how a rule is not kept; nothing where it is. ``granted`` is what it was loosened to, where it could not hold."""
    reached, whole = count_lots(rule, plan.lots, grounds, params)
    wanted = (rule.amount if rule.share is None else rule.share) or 0.0
    asked = (wanted if granted is None else granted) * (1.0 if rule.share is None else whole)
    slack = 1e-6 * max(1.0, asked)
    kept = reached >= asked - slack if rule.kind == "floor" else reached <= asked + slack
    return "" if kept else f"rule {rule.name}: a {rule.kind} of {asked:.2f} {rule.counts}, and {reached:.2f} bought"


def _match_faults(tables: Mapping[str, pd.DataFrame], people: pd.DataFrame, params: MatchingParams) -> list[str]:
    """Check that nobody who objects is served, and that no session is promised beyond what its seats can bear."""
    objecting = people.loc[people["opposition"].fillna(False).astype(bool), "person"]
    served = int(tables["recommendations"]["person"].isin(objecting).sum())
    loads = tables["session_loads"]
    over = int((loads["expected_load"] > loads["seats"].astype("float64") * params.overbooking + 1e-6).sum())
    faults = [f"recommendations: {served} are made to people who object"] if served else []
    return faults + ([f"sessions: {over} are promised beyond their seats"] if over else [])
