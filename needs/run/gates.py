"""What a run must hold before it may be published. A gate that does not hold stops the run; what was published stays.

Laws (:func:`hold_gates`) hold for every run, and nobody can waive one. Bounds (:mod:`needs.run.comparisons`) are held against
the run before, and a person can let a run through for a time (:mod:`needs.run.waivers`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import numpy as np
import pandas as pd
from sqlalchemy import Engine

from features.build import Features
from features.errors import InputError
from models.envelopes import Grounds, PurchaseParams, Rule
from models.matching import MatchingParams
from models.purchase import Plan
from models.rules import count_lots, paid_cents, spell_out
from needs.params import Params
from needs.run.buying import grounds_of
from needs.run.comparisons import COMPARED, check_gates
from needs.run.inputs import Inputs
from needs.run.profiles import profile_features
from needs.run.waivers import EXPIRED, read_waivers, refused, sign, waiver_header, waiver_line
from needs.store.publish import count_current, read_few
from needs.store.schema import TABLES

_GROUPS_TOLD = 5  # of one gate, the farthest from its bounds first


class GateRefusal(InputError):  # noqa: N818  # it says what the gate did
    """The run is complete but must not be published: each fault names a gate and what it found."""

    exit_code = 3


def judge_run(
    tables: Mapping[str, pd.DataFrame],
    features: Features,
    plan: Plan,
    before: Mapping[str, pd.DataFrame],
    inputs: Inputs,
    *,
    failed: Collection[str] = (),
) -> pd.DataFrame:
    """Hold every gate, or raise :class:`GateRefusal`, which says how to let a run through.

    One row per gate, group: now, before, value, low, high, held, note, author, motive, expires; and one per waiver that meets
    no gate. ``before`` is what :func:`read_before` read, ``failed`` are the territories that this run says nothing of.
    """
    params, smallest = inputs.params, inputs.params.features.privacy.smallest_cell
    waivers = read_waivers(inputs.tables.overrides, inputs.as_of)
    hold_gates(tables, features.people, plan, grounds_of(inputs.tables, inputs.as_of), params)
    edges = before["feature_profiles"] if before else tables["feature_profiles"]
    profiles = profile_features(features, smallest, edges)
    signed = sign(check_gates(tables, before, params.gates, profiles=profiles, failed=failed), waivers)
    if len(stopping := refused(signed)):
        raise GateRefusal(*_refusals(stopping, inputs))
    return signed


def read_before(engine: Engine) -> dict[str, pd.DataFrame]:
    """Read what the gates and the message need of the run that readers see; nothing when there is none. Rows as published.

    Of the tables that :data:`COMPARED` does not name only the rows are counted: their frames have rows and no column.
    """
    counts = {name: count_current(engine, name) for name in TABLES}
    if not any(counts.values()):
        return {}
    read = {name: pd.DataFrame(read_few(engine, name, columns), columns=[*columns]) for name, columns in COMPARED.items()}
    return {name: read.get(name, pd.DataFrame(index=range(count))) for name, count in counts.items()}


def _refusals(stopping: pd.DataFrame, inputs: Inputs) -> Iterator[str]:
    """Say what stops the run, and the very lines that would let it through."""
    days = inputs.params.gates.waiver_days
    yield (
        f"The run {inputs.run_id} is not published; what was published stays. Look at what follows. Where it is right, let it "
        f"through: write the lines into a file of the folder overrides, like overrides/gates.csv, under the head "
        f"'{waiver_header()}', with your name and your reason, and run again."
    )
    beyond = np.fmax(stopping["low"] - stopping["value"], stopping["value"] - stopping["high"])
    for name, rows in stopping.assign(beyond=beyond).sort_values("beyond", ascending=False).groupby("gate"):
        for group, row in rows.head(_GROUPS_TOLD).set_index("group").iterrows():
            key = f"{name}/{group}"
            late = f"; {row['author']} let it through until {row['expires']:%Y-%m-%d}" if row["note"] == EXPIRED else ""
            yield f"gate {key}: {_found(row)}{late}. To let it through: {waiver_line(key, inputs.as_of, days)}"
        if (others := len(rows) - _GROUPS_TOLD) > 0:
            whole = waiver_line(str(name), inputs.as_of, days)
            yield f"gate {name}: {others} more groups do not hold. To let all its groups through: {whole}"


def _found(row: pd.Series) -> str:
    """Say what a gate found: its value, its bounds, and the amounts that it compares."""
    ends = [(word, row[name]) for word, name in (("at least", "low"), ("at most", "high")) if pd.notna(row[name])]
    bounds = " and ".join(f"{word} {end:.4g}" for word, end in ends)
    counted = f" (now {row['now']:,.6g}, before {row['before']:,.6g})" if pd.notna(row["before"]) else ""
    return f"{row['value']:.4g}{counted}, where {bounds} is bearable"


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
