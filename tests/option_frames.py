"""What tests of the plan take for granted of every option: columns that most laws do not look at."""

from __future__ import annotations

import pandas as pd

from models.envelopes import RESERVED

TERMS = {
    "group_paid": True,
    "certified_until": pd.NaT,
    "allowance_eur": 0.0,
    "price_spread": 0.1,
    "never_bought": False,
    "emerging": 0.0,
    **{f"of_{public}": 0.25 for public in RESERVED},
}
