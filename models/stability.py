"""How sure a purchase is: need, effect and cost are drawn jointly, and the plan made again each time.

An effect is the Region's, so that a draw moves it alike in all bassins; the room of each sector of a bassin is
drawn around its estimate, as wide below and above as its bounds; the price of a kind of training moves as those of its lots
differ. Parts of sessions can be bought in a draw: an option counts as bought where half a session is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.absorption import EIGHTIETH
from models.bids import Written, refill
from models.buying import Impossible, Numbers, relax
from models.cores import at_once
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
    option = written.cells["option"].to_numpy()[written.problem.cell]
    kind, cell = (ranked.groupby(key).ngroup().to_numpy() for key in (OPTION, ["territory", "sector"]))

    def bought(future: _Future) -> NDArray[np.bool_]:
        told = _Future(future.success[kind], future.price[kind], future.room[cell])
        try:
            sessions = relax(_drawn(ranked, written, finishing, params, told).problem).sessions
        except Impossible:
            return np.zeros(len(ranked), dtype=bool)
        return np.asarray(np.bincount(option, weights=sessions, minlength=len(ranked)) >= _HALF)

    counts = sum(at_once(bought, _futures(int(kind.max()) + 1, int(cell.max()) + 1, params.draws)), np.zeros(len(ranked)))
    return pd.Series(counts / params.draws, index=ranked.index)


def stable_classes(stability: pd.Series[float]) -> pd.Series[str]:
    """Say whether each is robust, fragile or out; nothing where it is not known. Same rows."""
    known = stability.astype("float64")
    names = np.select([known >= _ROBUST, known >= _OUT, known.notna()], ["robust", "fragile", "out"], "")
    return pd.Series(names, index=stability.index, dtype="str")


class _Future(NamedTuple):
    """What moves in one future, each in deviations of its own: success and price of kinds of training, room of sectors."""

    success: Numbers
    price: Numbers
    room: Numbers


def _futures(kinds: int, sectors: int, draws: int) -> list[_Future]:
    """Draw futures. A number per kind, and per sector of a territory."""
    rng = np.random.default_rng(_SEED)
    return [_Future(*(rng.standard_normal(size) for size in (kinds, kinds, sectors))) for _ in range(draws)]


def _drawn(ranked: pd.DataFrame, written: Written, finishing: float, params: PurchaseParams, future: _Future) -> Written:
    """Lay out one future, told for each option. Same cells and bids, with other successes, steps and costs."""
    cells, problem = written.cells, written.problem
    option = cells["option"].to_numpy()
    spread = ((ranked["success_high"] - ranked["success_low"]) / EIGHTIETH).fillna(0.0).to_numpy(dtype="float64")
    usual = ranked["success"].fillna(0.0).to_numpy(dtype="float64")
    moved = usual + spread * future.success
    # A lever multiplies success: it does so in each draw.
    levered = cells["success"].to_numpy() / np.where(usual[option] != 0, usual[option], 1.0)
    price = np.exp(ranked["price_spread"].to_numpy(dtype="float64") * future.price)
    cost = np.maximum(1, np.round(problem.cost * price[option[problem.cell]])).astype(np.int64)
    refilled = refill(_with_rooms(ranked, future.room), written, finishing, params)
    return replace(written, problem=replace(refilled, success=moved[option] * levered, cost=cost))


def _with_rooms(ranked: pd.DataFrame, z: Numbers) -> pd.DataFrame:
    """Take the recruitments to fill for sure, each moved by ``z`` of its deviations. Same rows."""
    middle, low, high = (ranked[name].fillna(0.0).to_numpy(dtype="float64") for name in ("room", "room_low", "room_high"))
    room = middle + np.where(z < 0, middle - low, high - middle) * 2 / EIGHTIETH * z
    return ranked.assign(room=room, room_low=room, room_high=room)
