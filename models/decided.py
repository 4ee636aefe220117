"""What people decided of lots, as bids that it binds: found by the names that lots are published under."""

from __future__ import annotations

import numpy as np
import pandas as pd

from models.bids import Written
from models.envelopes import PurchaseParams
from models.lots import lot_ids


def find_decided(
    ranked: pd.DataFrame, written: Written, exercise: int, params: PurchaseParams, decisions: pd.DataFrame | None
) -> pd.DataFrame:
    """Find the bids that decisions name. One row per decision: lot_id, option_id, known, bids, and the least and most sessions.

    A lot that was not bought is an option whatever pays for it: its decision holds over all envelopes together, and so does
    a ban. ``option_id`` is the name of the lot whoever pays.
    """
    if decisions is None or decisions.empty:
        others = ("lot_id", "option_id", "bids", "low", "high")
        return pd.DataFrame({"known": pd.Series(dtype=bool), **{name: pd.Series(dtype="object") for name in others}})
    problem = written.problem
    option = written.cells["option"].to_numpy()[problem.cell]
    named = ranked.loc[option].reset_index(drop=True).assign(exercise=exercise, public="tout_public")
    named = named.assign(exit_level=named["level"])
    envelopes = np.array([each.name for each in params.envelopes], dtype=object)[problem.envelope]
    own, whole = (lot_ids(named.assign(envelope=names)) for names in (envelopes, ""))
    found: dict[str, list[int]] = {}
    for ids in (own, whole):
        for place, lot in enumerate(ids):
            found.setdefault(lot, []).append(place)
    banned = decisions["interdit"] == 1
    meant = {lot: found[whole[bids[0]]] for lot, bids in found.items()}
    group = {lot: int(named["group"].iloc[bids[0]]) for lot, bids in found.items()}
    asked = decisions["sessions"].fillna(np.ceil(decisions["places"] / decisions["lot_id"].map(group)))
    return pd.DataFrame(
        {
            "lot_id": decisions["lot_id"],
            "option_id": [whole[found[lot][0]] if lot in found else lot for lot in decisions["lot_id"]],
            "known": decisions["lot_id"].isin(found.keys()),
            "bids": [(meant if ban else found).get(lot, []) for lot, ban in zip(decisions["lot_id"], banned, strict=True)],
            "low": asked.mask(banned, 0.0).fillna((decisions["verrou"] == 1).astype("float64")),
            "high": asked.mask(banned, 0.0).fillna(np.inf),
        }
    )


def sign(lots: pd.DataFrame, decided: pd.DataFrame) -> pd.DataFrame:
    """Say which lots a person decided of. Same rows."""
    option = pd.Series(lot_ids(lots.assign(envelope="")), index=lots.index)
    own = lots["lot_id"].isin(decided["lot_id"]) | option.isin(decided["lot_id"])
    either = own | ((lots["envelope"] == "") & option.isin(decided["option_id"]))
    signed = {"decided_by": "human", "reason": "human_decision"}
    return lots.assign(**{name: lots[name].mask(either, code) for name, code in signed.items()})
