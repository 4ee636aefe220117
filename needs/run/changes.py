"""What changed in the plan since the run before: lots that came, went or moved, in euros and places, and where money went."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

DIMENSIONS = ("envelope", "sector", "action_type", "territory")
NEW, GONE, CHANGED = "new", "gone", "changed"
_AMOUNTS = {"cost_cents": "cents", "places": "places"}
_NAMED = ["formacode", "territory"]


class Changes(NamedTuple):
    """What changed between two plans: their totals, their lots, and the moves along each dimension."""

    totals: pd.DataFrame
    lots: pd.DataFrame
    moves: dict[str, pd.DataFrame]


def compare_plans(lots: pd.DataFrame, before: pd.DataFrame) -> Changes:
    """Set the lots bought against those of the run before. Cents and places add up: moves sum to the difference of totals."""
    whole = _set_side_by_side(lots.assign(plan="all"), before.assign(plan="all"), "plan")
    moves = {name: _moved(_set_side_by_side(lots, before, name)) for name in DIMENSIONS}
    return Changes(whole, _compare_lots(lots, before), moves)


def _set_side_by_side(lots: pd.DataFrame, before: pd.DataFrame, column: str) -> pd.DataFrame:
    """Add up cents and places of both plans. One row per value of the column in either."""
    sides = [side.groupby(column)[[*_AMOUNTS]].sum().rename(columns=_AMOUNTS) for side in (lots, before)]
    both = pd.concat([sides[0], sides[1].add_suffix("_before")], axis=1).fillna(0).astype("int64")
    return both.sort_index().rename_axis(column).reset_index()


def _moved(both: pd.DataFrame) -> pd.DataFrame:
    """Keep what moved, the largest sums first. Same rows."""
    cents, places = both["cents"] - both["cents_before"], both["places"] - both["places_before"]
    kept = both.assign(cents_moved=cents, places_moved=places)[(cents != 0) | (places != 0)]
    order = kept.assign(size=kept["cents_moved"].abs()).sort_values(["size", both.columns[0]], ascending=[False, True])
    return order.drop(columns="size").reset_index(drop=True)


def _compare_lots(lots: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
    """List the lots that differ, the largest sums first. One row per lot_id: change, formacode, territory, cents and places."""
    moved = _moved(_set_side_by_side(lots, before, "lot_id")).astype({"lot_id": "str"})
    named = pd.concat([lots, before]).drop_duplicates("lot_id")[["lot_id", *_NAMED]].astype("str")
    told = moved.merge(named, on="lot_id", how="left", validate="one_to_one")
    change = pd.Series(CHANGED, index=told.index).mask(~told["lot_id"].isin(before["lot_id"]), NEW)
    return told.assign(change=change.mask(~told["lot_id"].isin(lots["lot_id"]), GONE))
