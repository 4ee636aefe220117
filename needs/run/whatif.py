"""What if: the plan of the current run bought again with other money, rules or decisions. Nothing of it is published.

A scenario is read in words and refused in words; then :func:`buy_again` walks from what was published to what it asks for,
one cause after the other (:mod:`models.whatif`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from features.decisions import FIELDS
from features.vocabulary import InputError
from models.envelopes import Envelope, Grounds
from models.purchase import Plan, plan_purchase
from models.whatif import CONSTRAINT, DECISION, Step, walk_options
from needs.params import Params, change_params

_BUDGET, _SECTION = "budget", "purchase."
_OF_A_RUN = ("purchase.exercise", "purchase.draws")
_KNOWN = "budget=20000000, budget.ENVELOPE=5000000 or purchase.smallest_worth=0.01"
_LOT = "2027-BE4412-31054-1a2b3c4d interdit=1"


@dataclass(frozen=True)
class Scenario:
    """What is tried: settings ``name=value``, a file of parameters, decisions, and the run that it is set against."""

    settings: tuple[str, ...] = ()
    path: Path | None = None
    decisions: tuple[str, ...] = ()
    against: str | None = None

    @property
    def is_there(self) -> bool:
        """Say whether anything is tried at all."""
        return bool(self.settings or self.path or self.decisions or self.against)


@dataclass(frozen=True)
class Bought:
    """What a run published of its purchase: lots, the options that it chose from, and the decisions that it kept."""

    lots: pd.DataFrame
    options: pd.DataFrame
    decisions: pd.DataFrame


@dataclass(frozen=True)
class Terms:
    """On what terms it is bought again: for which year, with which parameters, and what rules are counted on."""

    exercise: int
    params: Params
    grounds: Grounds


# A scenario in words ----------------------------------------------------------------------------------------------------


def changed_params(params: Params, scenario: Scenario) -> Params:
    """Apply a scenario to the parameters: its file, then ``purchase.…``, then the budgets in their order."""
    if scenario.path and not scenario.path.is_file():
        raise InputError(f"--scenario {scenario.path}: there is no such file. Give one with a section 'purchase:'.")
    named = [(setting, setting.partition("=")[0].strip()) for setting in scenario.settings]
    budgets = [setting for setting, name in named if name == _BUDGET or name.startswith(f"{_BUDGET}.")]
    others = [setting for setting in scenario.settings if setting not in budgets]
    if faults := [_refusal(setting, name) for setting, name in named if setting in others and not _is_tried(name)]:
        raise InputError(*faults)
    changed = change_params(params, scenario.path, others)
    kept = {name: getattr(params, name) for name in type(params).model_fields if name != "purchase"}
    if strange := [name for name, section in kept.items() if getattr(changed, name) != section]:
        raise InputError(
            f"--scenario {scenario.path}: {', '.join(strange)} cannot be tried on what a run found. Keep its section "
            "'purchase:', and set the others in params.yaml for 'needs nightly'."
        )
    if (changed.purchase.exercise, changed.purchase.draws) != (params.purchase.exercise, params.purchase.draws):
        raise InputError(f"--scenario {scenario.path}: exercise and draws are those of a run. Set them in params.yaml.")
    purchase = changed.purchase.model_copy(update={"envelopes": with_budgets(changed.purchase.envelopes, budgets)})
    return changed.model_copy(update={"purchase": purchase})


def _is_tried(name: str) -> bool:
    return name.startswith(_SECTION) and name not in _OF_A_RUN


def _refusal(setting: str, name: str) -> str:
    if name in _OF_A_RUN:
        return f"--set {setting}: {name} is that of a run. Try it with a run: needs --set {setting} nightly."
    if "=" not in setting or "." not in name:
        return f"--set {setting}: this cannot be tried. Write it like {_KNOWN}."
    return (
        f"--set {setting}: only money and rules can be tried on what a run found, like {_KNOWN}. "
        f"The others need a run: needs --set {setting} nightly."
    )


def with_budgets(envelopes: tuple[Envelope, ...], settings: Sequence[str]) -> tuple[Envelope, ...]:
    """Apply ``budget=EUROS`` (all envelopes in proportion) and ``budget.NAME=EUROS`` (that one), in their order."""
    for setting in settings:
        name, _, text = setting.rpartition("=")
        own, euros = name.strip().removeprefix(_BUDGET).removeprefix("."), _euros(setting, text)
        if name.strip() == _BUDGET:
            envelopes = _scaled(envelopes, round(euros * 100))
        elif own in (names := [each.name for each in envelopes]):
            envelopes = tuple(_holding(each, euros) if each.name == own else each for each in envelopes)
        else:
            raise InputError(
                f"--set {setting}: there is no envelope '{own}'; there are {', '.join(names)}. "
                f"Write it like budget.{names[0] if names else 'socle'}=5000000."
            )
    return envelopes


def _euros(setting: str, text: str) -> float:
    try:
        euros = float(text.strip().replace("_", ""))
    except ValueError:
        euros = math.nan
    if not (0 <= euros < math.inf):
        raise InputError(f"--set {setting}: a budget is a number of euros, at least 0. Write it like {_KNOWN}.")
    return euros


def _holding(envelope: Envelope, euros: float) -> Envelope:
    return envelope.model_copy(update={"amount_eur": euros})


def _scaled(envelopes: tuple[Envelope, ...], cents: int) -> tuple[Envelope, ...]:
    """Share an amount as the envelopes shared theirs, in whole cents that add up to it; in equal parts where they had none."""
    had = [round(each.amount_eur * 100) for each in envelopes]
    had = had if sum(had) else [1] * len(had)
    ends = [cents * sum(had[: place + 1]) // sum(had) for place in range(len(had))]
    return tuple(_holding(each, (end - begin) / 100) for each, begin, end in zip(envelopes, [0, *ends], ends, strict=False))


def with_tried(overrides: pd.DataFrame, texts: Sequence[str], as_of: pd.Timestamp) -> pd.DataFrame:
    """Put decisions that are tried (``LOT interdit=1``) in the place of those recorded of the same lot and field.

    One row per decision, as overrides have them.
    """
    rows = {(lot, field): value for text in texts for lot, field, value in _decisions_in(text)}
    if not rows:
        return overrides
    keys = pd.MultiIndex.from_arrays([overrides["key"].str.strip(), overrides["field"]])
    kept = overrides[~((overrides["object"] == "lot") & keys.isin(list(rows)))]
    said = {"object": "lot", "author": "--decide", "motive": "", "known_from": as_of, "expires": pd.NaT}
    tried = pd.DataFrame([{**said, "key": lot, "field": field, "value": value} for (lot, field), value in rows.items()])
    shared = [str(name) for name in overrides if name in tried]
    typed = tried[shared].astype(overrides[shared].dtypes.to_dict())
    return pd.concat([kept, typed], ignore_index=True) if len(kept) else typed


def tried_lots(texts: Sequence[str]) -> list[str]:
    """List the lots that decisions which are tried name."""
    return sorted({lot for text in texts for lot, _, _ in _decisions_in(text)})


def _decisions_in(text: str) -> list[tuple[str, str, str]]:
    """Read lot, field and value of each decision.

    >>> _decisions_in("2027-BE4412-31054-1a2b3c4d sessions=2")
    [('2027-BE4412-31054-1a2b3c4d', 'sessions', '2')]
    """
    lot, *parts = text.split() or [""]
    if not parts or "=" in lot or not all("=" in part for part in parts):
        raise InputError(f"--decide '{text[:60]}': write the lot, then what is decided ({', '.join(FIELDS)}), like '{_LOT}'.")
    told = [part.partition("=") for part in parts]
    return [(lot, field, value) for field, _, value in told]


# What was published ----------------------------------------------------------------------------------------------------


def read_options(published: pd.DataFrame) -> pd.DataFrame:
    """Give published options the types that they were bought with. Same rows."""
    if published.empty:
        raise InputError("This run did not publish what its plan chose from: run 'needs nightly' again, then try.")
    whole = dict.fromkeys(("group", "group_min", "group_max"), "int64")
    flags = dict.fromkeys(("group_paid", "never_bought"), "bool")
    return published.astype({**whole, **flags}).assign(certified_until=pd.to_datetime(published["certified_until"]))


def kept_decisions(published: pd.DataFrame, exercise: int) -> pd.DataFrame:
    """Give back the decisions that a run kept in its plan. One row per lot_id: the number of each field."""
    own = published[published["lot_id"].str.startswith(f"{exercise}-")]
    wide = own.pivot_table(index="lot_id", columns="field", values="asked").reindex(columns=list(FIELDS)).astype("float64")
    return wide.rename_axis(columns=None).reset_index()


# Buying again -----------------------------------------------------------------------------------------------------------


def buy_again(before: Bought, options: pd.DataFrame, decisions: pd.DataFrame, terms: Terms) -> tuple[list[Step], Plan]:
    """Walk from what was bought to what the terms and decisions ask for on ``options``. Gives each step, and the last plan.

    Money and rules come first, then decisions, then what another run knows otherwise. On the way, rules that cannot hold
    together yet are missed as little as can be; at its end they are told.
    """
    own = decisions[["lot_id", *FIELDS]]
    turns = [(CONSTRAINT, before.options, before.decisions), (DECISION, before.options, own)]
    turns += [(cause, rows, own) for cause, rows in walk_options(before.options, options)]
    turned = [
        turn
        for place, turn in enumerate(turns)
        if not place or not all(now.equals(then) for now, then in zip(turn[1:], turns[place - 1][1:], strict=True))
    ]
    *between, (cause, rows, decided) = turned
    loose = terms.params.purchase.model_copy(update={"nearest": True})
    lax = Terms(terms.exercise, terms.params.model_copy(update={"purchase": loose}), terms.grounds)
    steps = [Step(each, _plan(some, held, lax).lots) for each, some, held in between]
    plan = _plan(rows, decided, terms)
    return [Step("", before.lots), *steps, Step(cause, plan.lots)], plan


def _plan(options: pd.DataFrame, decisions: pd.DataFrame, terms: Terms) -> Plan:
    chain = pd.DataFrame({"fill": [float(options["finishing"].iloc[0])], "completion": [1.0]})
    return plan_purchase(
        options,
        chain,
        terms.exercise,
        terms.params.purchase.model_copy(update={"draws": 0}),
        terms.params.features.grades.limits(),
        grounds=terms.grounds,
        decisions=decisions,
        priced=False,
    )
