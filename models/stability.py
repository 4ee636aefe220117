"""How sure a purchase is: need, effect and cost are drawn jointly, and the plan made again each time.

An effect is the Region's, so that a draw moves it alike in all bassins; the room of each sector of a bassin is
drawn around its estimate, as wide below and above as its bounds; the price of a kind of training moves as those of its lots
differ. Parts of sessions can be bought in a draw: an option counts as bought where half a session is.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from models.absorption import EIGHTIETH
from models.bids import Written, refill
from models.buying import Impossible, relax
from models.envelopes import PurchaseParams
from models.ranking import OPTION

_ROBUST, _OUT = 0.8, 0.2  # stability from which a lot is robust, and below which it is out
_HALF = 0.5
_SEED = 20_190_101


def stabilities(ranked: pd.DataFrame, written: Written, finishing: float, params: PurchaseParams) -> pd.Series[float]:
    """Say in which share of draws each option is bought. One number per row of ``ranked``; missing where nothing is drawn.

    A draw in which the rules cannot hold buys nothing, and counts.
    """
    if not params.draws or not len(written.problem.cell):
        return pd.Series(np.nan, index=ranked.index)
    rng = np.random.default_rng(_SEED)
    option = written.cells["option"].to_numpy()
    kind, count = ranked.groupby(OPTION).ngroup().to_numpy(), np.zeros(len(ranked))
    for _ in range(params.draws):
        drawn = _drawn(ranked, written, kind, finishing, params, rng)
        try:
            sessions = relax(drawn.problem).sessions
        except Impossible:
            continue
        count += np.bincount(option[written.problem.cell], weights=sessions, minlength=len(ranked)) >= _HALF
    return pd.Series(count / params.draws, index=ranked.index)


def stable_classes(stability: pd.Series[float]) -> pd.Series[str]:
    """Say whether each is robust, fragile or out; nothing where it is not known. Same rows."""
    known = stability.astype("float64")
    names = np.select([known >= _ROBUST, known >= _OUT, known.notna()], ["robust", "fragile", "out"], "")
    return pd.Series(names, index=stability.index, dtype="str")


def _drawn(
    ranked: pd.DataFrame,
    written: Written,
    kind: np.ndarray,
    finishing: float,
    params: PurchaseParams,
    rng: np.random.Generator,
) -> Written:
    """Draw one future. Same cells and bids, with other successes, steps and costs."""
    cells, problem = written.cells, written.problem
    option, kinds = cells["option"].to_numpy(), int(kind.max()) + 1
    spread = ((ranked["success_high"] - ranked["success_low"]) / EIGHTIETH).fillna(0.0).to_numpy(dtype="float64")
    moved = ranked["success"].fillna(0.0).to_numpy(dtype="float64") + spread * rng.standard_normal(kinds)[kind]
    usual = ranked["success"].fillna(0.0).to_numpy(dtype="float64")
    # A lever multiplies success: it does so in each draw.
    levered = cells["success"].to_numpy() / np.where(usual[option] != 0, usual[option], 1.0)
    price = np.exp(ranked["price_spread"].to_numpy(dtype="float64") * rng.standard_normal(kinds)[kind])
    cost = np.maximum(1, np.round(problem.cost * price[option[problem.cell]])).astype(np.int64)
    refilled = refill(_with_rooms(ranked, rng), written, finishing, params)
    return replace(written, problem=replace(refilled, success=moved[option] * levered, cost=cost))


def _with_rooms(ranked: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Draw the recruitments to fill of each sector of a territory, its options alike, and take them for sure. Same rows."""
    cell = ranked.groupby(["territory", "sector"]).ngroup().to_numpy()
    z = rng.standard_normal(int(cell.max()) + 1)[cell]
    middle, low, high = (ranked[name].fillna(0.0).to_numpy(dtype="float64") for name in ("room", "room_low", "room_high"))
    room = middle + np.where(z < 0, middle - low, high - middle) * 2 / EIGHTIETH * z
    return ranked.assign(room=room, room_low=room, room_high=room)
