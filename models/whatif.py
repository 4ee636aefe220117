"""What would be bought otherwise, and why: two plans set side by side, by way of the plans between them.

    steps = [Step("", published.lots), Step("constraint", other_money.lots), Step("decision", with_a_ban.lots)]
    compare_plans(steps)

Each step changes one more thing and buys again, so that what moves in it has its cause.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.contracts import ESTIMATE
from models.ranking import ENDS, KEY

CONSTRAINT, DECISION, PRICE, MODEL, DATA = "constraint", "decision", "price", "model", "data"
COLUMNS_OF = {
    PRICE: (
        *("place_eur", "allowance_eur", "group", "group_min", "group_max", "group_paid", "hours", "price_spread"),
        *("busiest", "risk"),
    ),
    MODEL: (*(f"{name}{end}" for name in ("success", "rate") for end in ENDS), "fill", "finishing", *ESTIMATE),
}
"""What of an option is known by which cause; all that is not named here is data."""
_COUNTED = ["sessions", "places", "cost_cents", "jobs"]
_NAMED = ["territory", "sector", "action_type", "formacode", "certification", "exit_level", "envelope"]


@dataclass(frozen=True)
class Step:
    """What is bought once one more thing has changed. ``lots``: one row per lot; the first step of all has no cause."""

    cause: str
    lots: pd.DataFrame


def compare_plans(steps: Sequence[Step]) -> pd.DataFrame:
    """Set the last plan against the first. One row per lot with other sessions, places or cost: both plans, and ``because``.

    ``sessions_from`` is of the first plan, ``sessions_to`` of the last, and so on for places, cost_cents and jobs. ``because``
    is the cause of the step in which its places changed most, else its cost. The largest change of cost comes first.
    """
    lots = pd.concat([step.lots[["lot_id", *_NAMED]] for step in steps]).drop_duplicates("lot_id", keep="last")
    lots = lots.sort_values("lot_id", ignore_index=True)
    held = [_held(step.lots, lots["lot_id"]) for step in steps]
    first, last = held[0].add_suffix("_from"), held[-1].add_suffix("_to")
    rows = pd.concat([lots, first, last], axis=1).assign(because=_causes(held, [step.cause for step in steps]))
    moved = [(rows[f"{name}_from"] - rows[f"{name}_to"]).abs().to_numpy() for name in _COUNTED[:-1]]
    ordered = rows.assign(size=moved[-1])[np.any(moved, axis=0)].sort_values(["size", "lot_id"], ascending=[False, True])
    return ordered.drop(columns="size").reset_index(drop=True)


def _held(lots: pd.DataFrame, wanted: pd.Series[str]) -> pd.DataFrame:
    """Count what a plan buys of each lot wanted. One row per lot wanted, zeros where it is not bought."""
    counted = lots.rename(columns={"value": "jobs"}).set_index("lot_id")[_COUNTED].astype("float64")
    rows = counted.reindex(pd.Index(wanted)).fillna(0.0).reset_index(drop=True)
    return rows.astype(dict.fromkeys(_COUNTED[:-1], "int64"))


def _causes(held: Sequence[pd.DataFrame], causes: Sequence[str]) -> np.ndarray:
    """Name the step in which the places of each lot changed most, else its cost. One name per lot."""
    moved = [np.abs(np.diff(np.stack([rows[name] for rows in held]), axis=0)) for name in ("places", "cost_cents")]
    if len(causes) < 2:
        return np.full(len(held[0]), "", dtype=object)
    steps = np.where(moved[0].any(axis=0), moved[0].argmax(axis=0), moved[1].argmax(axis=0))
    return np.asarray(np.array(causes[1:], dtype=object)[steps])


def sum_up(lots: pd.DataFrame) -> pd.DataFrame:
    """Add up a plan. One row: lots, sessions, places, cost_cents, jobs."""
    held = _held(lots, lots["lot_id"])
    return held.sum().to_frame().T.assign(lots=len(lots)).astype({"lots": "int64", **dict.fromkeys(_COUNTED[:-1], "int64")})


def walk_options(before: pd.DataFrame, now: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Turn the options of one run into those of another, one cause after the other: price, model, data.

    One frame per cause, the last of them ``now``. One row per option: those of ``before`` until data change, which also say
    what can be bought.
    """
    steps, options = [], before
    for cause, names in COLUMNS_OF.items():
        options = _with_columns(options, now, [name for name in names if name in now])
        steps.append((cause, options))
    return [*steps, (DATA, now)]


def _with_columns(before: pd.DataFrame, now: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Take some columns from other options, where they know them too. Same rows."""
    known = now.set_index(KEY)[names]
    rows = pd.MultiIndex.from_frame(before[KEY])
    there = rows.isin(known.index)
    told = known.reindex(rows)
    taken = {name: before[name].mask(there, told[name].set_axis(before.index)) for name in names}
    return before.assign(**{name: cells.astype(before[name].dtype) for name, cells in taken.items()})
