"""Decisions of people on lots, held against the plan that would have been bought without them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from features.decisions import FIELDS
from models.purchase import Plan

KEY = ["lot_id", "field"]
_TWO = ("sessions", "jobs")


def score_decisions(decisions: pd.DataFrame, plan: Plan, without: Callable[[], Plan]) -> pd.DataFrame:
    """Say what each decision changed of its lot. One row per lot_id and field: asked, author, motive, and what is bought.

    ``sessions`` and ``jobs`` are those of the lot in ``plan``, which keeps the decisions; ``sessions_free`` and ``jobs_free``,
    those of the plan ``without``, which is only made where there are some. Missing where a decision names no lot that can be
    bought.
    """
    asked = list_decisions(decisions)
    if asked.empty:
        return asked.assign(**{f"{name}{end}": pd.Series(dtype="float64") for end in ("", "_free") for name in _TWO})
    free = without()
    named = ~asked["lot_id"].isin(plan.decided.strange)
    both = {"": _of_lots(plan, asked["lot_id"]), "_free": _of_lots(free, asked["lot_id"])}
    told = {f"{name}{end}": lots[name].to_numpy() for end, lots in both.items() for name in _TWO}
    return asked.assign(**{name: pd.Series(numbers, index=asked.index).where(named) for name, numbers in told.items()})


def list_decisions(decisions: pd.DataFrame) -> pd.DataFrame:
    """List what was decided. One row per lot_id and field: ``asked``, the number; author and motive."""
    kept = [name for name in FIELDS if name in decisions]
    long = decisions.melt(["lot_id", "author", "motive"], kept, var_name="field", value_name="asked")
    rows = long[long["asked"].notna()].sort_values(KEY, ignore_index=True)
    return rows[[*KEY, "asked", "author", "motive"]].astype({"lot_id": "str", "field": "str"})


def _of_lots(plan: Plan, wanted: pd.Series[str]) -> pd.DataFrame:
    """Look lots up in a plan; what is not bought has no session. One row per lot wanted: sessions, jobs."""
    lots = plan.lots.set_index("lot_id")[["sessions", "value"]].rename(columns={"value": "jobs"}).astype("float64")
    return lots.reindex(pd.Index(np.asarray(wanted))).fillna(0.0)
