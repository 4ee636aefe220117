"""What employers across the border seek here, set where people can take it, apart from the openings of the Region."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow.dataset as ds

from features.demand import KEY, DemandParams, current, last_full_month
from features.lazy import ask
from features.places import great_circle_km
from features.spreading import CELL


def observe_border(offers: ds.Dataset, as_of: pd.Timestamp, params: DemandParams) -> pd.DataFrame:
    """Count the positions that employers across the border publish here. One row per border, occupation, period: positions."""
    last = pd.Period(last_full_month(as_of), "M")
    sql = f"""
        SELECT border, occupation, strftime(created, '%Y-%m') AS period, sum(positions)::DOUBLE AS positions
        FROM {current(offers)} WHERE border IS NOT NULL AND created >= $first AND created < $end
        GROUP BY ALL ORDER BY ALL
    """
    first = (last - params.history_months + 1).start_time
    return ask(sql, {"offers": offers}, as_of=as_of, first=first, end=(last + 1).start_time)


def border_shares(communes: pd.DataFrame, towns: pd.DataFrame, params: DemandParams) -> pd.DataFrame:
    """Say where those live who may work across each border. One row per border, territory, department: share.

    share ∝ Σ over communes of population × Σ over the towns there of population × exp(−distance ÷ ``border_km``).
    """
    kilometres = great_circle_km(communes, towns)
    pull = np.exp(-kilometres / params.border_km) * towns["population"].to_numpy()
    by_country = {
        str(country): communes["population"] * pull[:, (towns["area"] == country).to_numpy()].sum(axis=1)
        for country in sorted(towns["area"].unique())
    }
    pulls = communes[CELL].assign(**by_country).groupby(CELL, as_index=False).sum()
    shares = pulls.melt(id_vars=CELL, var_name="border", value_name="share")
    return shares.assign(share=shares["share"] / shares.groupby("border")["share"].transform("sum"))


def spread_border(border: pd.DataFrame, shares: pd.DataFrame) -> pd.DataFrame:
    """Place the positions across the border where people may take them. One row per territory, occupation, period."""
    placed = border.merge(shares, on="border", how="inner", validate="many_to_many")
    placed = placed.assign(border=placed["positions"] * placed["share"])
    return placed.groupby(KEY, as_index=False)[["border"]].sum()
