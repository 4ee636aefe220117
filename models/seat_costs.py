"""What becomes of a seat that is bought, and what each step costs: bought, entered, finished, certified, in work, durable.

A seat that stays empty costs as much as a full one where the group is paid; where trainees are paid for, it costs nothing.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.vocabulary import REGION

OPTION = ["sector", "action_type", "level"]
STEPS = ("entered", "finished", "certified", "working", "durable", "added")


def follow_seats(
    options: pd.DataFrame, chain: pd.DataFrame, outcomes: pd.DataFrame, effects: pd.DataFrame, horizon: int
) -> pd.DataFrame:
    """Follow one seat of each option. One row per sector, action_type, level: what it costs, how far it gets, what steps cost.

    ``entered`` to ``durable`` are expected per seat bought: fill of its type × shares of those who entered; work and durable
    work at ``horizon`` months after exit, of all who left. ``added`` is fill × effect from entry: the durable jobs that would
    not have been. ``seat_eur`` is what a seat costs, full or not; ``…_eur`` what each that gets so far costs. Missing where
    nothing tells.
    """
    steps = chain.set_index("action_type")
    of_type = steps.reindex(options["action_type"]).fillna(steps.loc[""]).reset_index(drop=True)
    fill = of_type["run"] * of_type["fill"]
    rates = _rates(options, outcomes, horizon)
    shares = {
        "entered": fill,
        "finished": fill * of_type["completion"],
        "certified": fill * of_type["completion"] * of_type["certification"],
        "working": fill * rates["work"],
        "durable": fill * rates["durable"],
        "added": fill * _effects_of(options, effects, horizon),
    }
    # A seat of a lot that was never run is not paid.
    seat_eur = options["place_eur"] * of_type["run"] * np.where(options["group_paid"], 1.0, of_type["fill"])
    costs = {f"{step}_eur": seat_eur / share.where(share > 0) for step, share in shares.items()}
    return options[[*OPTION, "place_eur", "group_paid"]].assign(seat_eur=seat_eur, **shares, **costs)


def _rates(options: pd.DataFrame, outcomes: pd.DataFrame, horizon: int) -> pd.DataFrame:
    """Look up the Region's rates after exit. One row per option: work, durable."""
    asked = (outcomes["territory"] == REGION) & (outcomes["public"] == "tout_public") & (outcomes["horizon_months"] == horizon)
    wide = outcomes[asked].pivot_table(index=OPTION, columns="outcome", values="value")
    return wide.reindex(pd.MultiIndex.from_frame(options[OPTION])).reset_index(drop=True).reindex(columns=["work", "durable"])


def _effects_of(options: pd.DataFrame, effects: pd.DataFrame, horizon: int) -> pd.Series[float]:
    """Look up the effect on durable work, of the type in the sector, else of the type. One number per option."""
    every = (effects["group"] == "all") & (effects["outcome"] == "durable") & (effects["horizon_months"] == horizon)
    told = effects[every].set_index(["action_type", "sector"])["value"]
    own = told.reindex(pd.MultiIndex.from_frame(options[["action_type", "sector"]])).to_numpy()
    wide = told.reindex(pd.MultiIndex.from_arrays([options["action_type"], [""] * len(options)])).to_numpy()
    return pd.Series(np.where(np.isnan(own), wide, own), index=options.index)
