"""Options drawn to be bought, and plans of them. ``TERMS`` are what most laws take for granted of every option."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from features.contracts import GradeLimits
from models.buying import SearchParams
from models.envelopes import RESERVED, Envelope, Grounds, PurchaseParams, Rule
from models.purchase import Plan, plan_purchase

TERMS = {
    "group_paid": True,
    "certified_until": pd.NaT,
    "allowance_eur": 0.0,
    "price_spread": 0.1,
    "never_bought": False,
    "emerging": 0.0,
    **{f"of_{public}": 0.25 for public in RESERVED},
}
LIMITS = GradeLimits(100, 30, 10, 0.2, 0.5)
CHAIN = pd.DataFrame({"action_type": ["certification"], "fill": [0.8], "completion": [0.75]})
FINISHING = 0.8 * 0.75
EXACT = SearchParams(gap=0.0)
TERRITORIES = ("BE4441", "BE4415", "BE4430")
KINDS = (
    ("230", "certification", "3"),
    ("312", "certification", "4"),
    ("312", "professionnalisation", "4"),
    ("150", "langue", ""),
)


def ranked_of(seed: int, territories: tuple[str, ...] = TERRITORIES[:2], kinds: int = 4, busiest: float = 2.0) -> pd.DataFrame:
    """Draw what could be bought. One row per territory and kind; a kind costs the same everywhere."""
    rng = np.random.default_rng(seed)
    price, group = rng.integers(1500, 6000, kinds) + 0.25, rng.integers(8, 15, kinds)
    rows = pd.DataFrame(product(territories, KINDS[:kinds]), columns=["territory", "of"])
    sector, action, level = zip(*rows.pop("of"), strict=True)
    of = np.tile(np.arange(kinds), len(territories))
    success = rng.uniform(0.02, 0.3, len(rows))
    rows = rows.assign(sector=sector, action_type=action, level=level, place_eur=price[of], group=group[of])
    pools = rows.groupby(["territory", rows["sector"].mask(rows["action_type"] == "langue", "")]).ngroup()
    need = rng.uniform(5, 60, pools.max() + 1)
    gap = (need * rng.uniform(-0.1, 1.1, len(need)))[pools]
    return rows.assign(
        formacode=rows["sector"] + "01", certification="1", entry_level="", group_min=rows["group"], group_max=rows["group"],
        hours=400.0, busiest=busiest, risk=0.0, fill=0.8, success=success, need=need[pools],
        room=gap, room_low=gap - 5.0, room_high=gap + 5.0, solvable=1.0, value=success, low=0.5 * success,
        high=1.5 * success, n=60.0, borrowed=0.2, success_low=0.5 * success, success_high=1.5 * success, **TERMS,
    )  # fmt: skip


def params_of(*envelopes: Envelope, rules: tuple[Rule, ...] = (), **more: Any) -> PurchaseParams:
    return PurchaseParams(envelopes=envelopes, rules=rules, search=EXACT, provider_growth=1.0, draws=0, **more)


def base(amount: float, **more: Any) -> Envelope:
    return Envelope(name="base", amount_eur=amount, **more)


def plan_of(ranked: pd.DataFrame, params: PurchaseParams, grounds: Grounds | None = None) -> Plan:
    return plan_purchase(ranked, CHAIN, 2027, params, LIMITS, grounds=grounds)
