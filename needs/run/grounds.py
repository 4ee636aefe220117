"""What the rules of a Region are counted on, read from its own tables."""

from __future__ import annotations

import pandas as pd

from features.past_lots import area_shares, past_lots
from features.places import own_or_shipped
from features.signals import sector_groups
from features.tables import Tables
from models.envelopes import Grounds


def grounds_of(known: Tables, as_of: pd.Timestamp) -> Grounds:
    """Give what rules are counted on: wider territories, contract sectors, what was bought before."""
    communes = own_or_shipped(known.territories)
    groups = sector_groups(known.overrides, as_of).set_index("sector")["group"]
    return Grounds(area_shares(communes), groups, past_lots(known.purchases, communes))
