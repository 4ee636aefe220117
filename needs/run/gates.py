"""What a run must hold before it may be published. A gate that does not hold stops the run; what was published stays."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from features.errors import InputError
from models.envelopes import Rule
from needs.params import Params


class GateRefusal(InputError):  # noqa: N818  # it says what the gate did
    """The run is complete but must not be published: each fault names a gate and what it found."""

    exit_code = 3


def hold_gates(tables: Mapping[str, pd.DataFrame], people: pd.DataFrame, params: Params) -> None:
    """Refuse the run when a law of what is published is broken. Every broken law is told."""
    broken = [*_plan_faults(tables["lots"], params), *_match_faults(tables, people)]
    if broken:
        raise GateRefusal(*broken)


def refuse_nothing(forecasts: pd.DataFrame, as_of: pd.Timestamp) -> None:
    """Refuse a run that can say nothing of what is needed."""
    if forecasts.empty:
        raise GateRefusal(
            f"forecasts: there is none, because no vacancy was known on {as_of:%Y-%m-%d}. Drop files into data/raw/offers, "
            "or give a later --as-of."
        )


def _plan_faults(lots: pd.DataFrame, params: Params) -> list[str]:
    """Check money and groups to the cent and to the place."""
    spent = lots.groupby("envelope")["cost_cents"].sum()
    faults = [
        f"envelope {envelope.name}: {spent[envelope.name] / 100:.2f} € bought with {envelope.cents / 100:.2f} €"
        for envelope in params.purchase.envelopes
        if spent.get(envelope.name, 0) > envelope.cents
    ]
    faults += [fault for rule in params.purchase.rules if (fault := _broken(rule, lots))]
    group = lots["places"] / lots["sessions"]
    wrong = int(((group < lots["group_min"]) | (group > lots["group_max"])).sum())
    return faults + ([f"lots: {wrong} have groups outside their bounds"] if wrong else [])


def _broken(rule: Rule, lots: pd.DataFrame) -> str:
    """Say how a rule is not kept; nothing where it is."""
    each = {"places": lots["places"], "sessions": lots["sessions"], "euros": lots["cost_cents"] / 100}[rule.counts]
    meant = rule.covers(lots.rename(columns={"exit_level": "level"}))
    if rule.envelopes:
        meant &= lots["envelope"].isin(rule.envelopes).to_numpy()
    reached, asked = (
        float(each[meant].sum()),
        rule.amount if rule.amount is not None else (rule.share or 0.0) * float(each.sum()),
    )
    slack = 1e-6 * max(1.0, asked)
    kept = reached >= asked - slack if rule.kind == "floor" else reached <= asked + slack
    return "" if kept else f"rule {rule.name}: a {rule.kind} of {asked:.2f} {rule.counts}, and {reached:.2f} bought"


def _match_faults(tables: Mapping[str, pd.DataFrame], people: pd.DataFrame) -> list[str]:
    """Check that nobody who objects is served, and that no session is promised beyond its seats."""
    objecting = people.loc[people["opposition"].fillna(False).astype(bool), "person"]
    served = int(tables["recommendations"]["person"].isin(objecting).sum())
    over = int((tables["session_loads"]["expected_load"] > tables["session_loads"]["seats"].astype("float64") + 1e-9).sum())
    faults = [f"recommendations: {served} are made to people who object"] if served else []
    return faults + ([f"sessions: {over} are promised beyond their seats"] if over else [])
