"""What a rule counts: so many places, euros or sessions of each bid or lot, and how many it asks for."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from features.errors import InputError
from models.buying import Numbers, Problem
from models.envelopes import Envelope, Grounds, PurchaseParams, Rule

_KINDS_OF = {"territory": "territories", "sector": "sectors", "sector_group": "sector_groups", "action_type": "action_types"}
_FIELDS = {**_KINDS_OF, "level": "levels", "funder": "financeurs"}


def spell_out(params: PurchaseParams, grounds: Grounds) -> tuple[Rule, ...]:
    """Write rules that speak of a past year as amounts, one for each value where they are for each. In their order.

    What is committed already counts in a rule that names no part of what is bought.
    """
    spelt = (one for rule in params.rules for one in (_of_year(rule, grounds) if rule.of_year else (rule,)))
    return tuple(
        rule if rule.amount is None else rule.model_copy(update={"amount": max(0.0, rule.amount - _committed(rule, params))})
        for rule in spelt
    )


def _of_year(rule: Rule, grounds: Grounds) -> Iterable[Rule]:
    past = grounds.past[grounds.past["exercise"] == rule.of_year]
    if past.empty:
        years = ", ".join(str(int(year)) for year in sorted(grounds.past["exercise"].unique())) or "none"
        raise InputError(
            f"purchase: rule '{rule.name}' is a share of {rule.of_year}, of which no purchase is known. Known: {years}."
        )
    past = past[past["funder"].isin(rule.financeurs)] if rule.financeurs else past
    counted = past[rule.counts] * rule.model_copy(update={"never_bought": False, "emerging": False}).share_of(
        past.assign(**{f"of_{rule.public}": past["public"] == rule.public} if rule.public else {}), grounds
    )
    share, said = float(rule.share or 0.0), {"share": None, "of_year": None, "each": ""}
    if not rule.each:
        yield rule.model_copy(update={**said, "amount": share * float(counted.sum())})
        return
    by = past["sector"].map(grounds.groups) if rule.each == "sector_group" else past[rule.each]
    for value, amount in counted.groupby(by).sum().items():
        if amount > 0:
            named = {"name": f"{rule.name} · {value}", _FIELDS[rule.each]: (str(value),), "amount": share * float(amount)}
            yield rule.model_copy(update={**said, **named})


def _committed(rule: Rule, params: PurchaseParams) -> float:
    """Count what is committed already by the envelopes and funders that a rule means; nothing where it names some part."""
    if rule.is_narrow or rule.public or rule.never_bought or rule.emerging or rule.counts == "sessions":
        return 0.0
    held = {"places": "committed_places", "euros": "committed_eur"}[rule.counts]
    return sum(float(getattr(each, held)) * paid_by(rule, each) / each.exercises for each in params.envelopes)


def paid_by(rule: Rule, envelope: Envelope) -> float:
    """Say which part of what an envelope pays a rule counts."""
    if rule.envelopes and envelope.name not in rule.envelopes:
        return 0.0
    return sum(envelope.parts.get(code, 0.0) for code in rule.financeurs) if rule.financeurs else 1.0


def place_limits(envelopes: tuple[Envelope, ...]) -> list[Rule]:
    """Write the most places of an envelope as a ceiling of its own."""
    limited = [each for each in envelopes if each.most_places is not None]
    return [Rule(name=each.name, kind="ceiling", amount=each.most_places, envelopes=(each.name,)) for each in limited]


def rule_row(rule: Rule, options: pd.DataFrame, problem: Problem, grounds: Grounds, params: PurchaseParams) -> Numbers:
    """Write what a session of each bid counts in a rule, less the share of all where it asks for one."""
    each = session_counts(rule, problem)
    paid = np.array([paid_by(rule, one) for one in params.envelopes])[problem.envelope]
    meant = rule.share_of(options, grounds)[problem.cell] * paid * each
    return np.asarray(meant if rule.amount is not None else meant - (rule.share or 0.0) * each)


def session_counts(rule: Rule, problem: Problem) -> Numbers:
    """Say what a session of each bid counts in a rule: places, euros, or one."""
    counted = {"places": problem.places[problem.cell], "euros": problem.cost / 100, "sessions": np.ones(len(problem.cell))}
    return np.asarray(counted[rule.counts], dtype="float64")


def count_lots(rule: Rule, lots: pd.DataFrame, grounds: Grounds, params: PurchaseParams) -> tuple[float, float]:
    """Count a rule on lots as they are bought: what is meant, and all that is bought."""
    each = {"places": lots["places"], "sessions": lots["sessions"], "euros": paid_cents(lots, params.envelopes) / 100}[
        rule.counts
    ]
    paid = lots["envelope"].map({one.name: paid_by(rule, one) for one in params.envelopes}).to_numpy(dtype="float64")
    meant = rule.share_of(lots.rename(columns={"exit_level": "level"}), grounds)
    return float((each.to_numpy(dtype="float64") * meant * paid).sum()), float(each.sum())


def paid_cents(lots: pd.DataFrame, envelopes: tuple[Envelope, ...]) -> pd.Series[int]:
    """Say what lots cost their envelope, allowances counted where it pays them. One number per row of ``lots``."""
    pays = lots["envelope"].isin([each.name for each in envelopes if each.pays_allowances])
    return lots["cost_cents"] + lots["allowance_cents"].where(pays, 0)
