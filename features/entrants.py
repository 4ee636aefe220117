"""Who enters what is bought: the share of each public among the past entrants of a kind of training."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.options import OPTION
from features.pooling import Numbers, PoolingParams, Sums, Whole, pool
from features.publics import PublicParams, mark_publics
from features.supply import level_text
from features.vocabulary import PUBLICS

_NESTED = ["action_type", "sector", "level"]
SHARES = tuple(f"of_{public}" for public in (*PUBLICS[1:], "neet"))
"""Everybody is of everybody: the first public has no share."""


def add_entrants(
    options: pd.DataFrame, trainings: pd.DataFrame, publics: PublicParams, pooling: PoolingParams, smallest: int
) -> pd.DataFrame:
    """Say which share of past entrants belongs to each public, ``of_<public>``. Same rows.

    An option leans on its type of action and that on the Region (:mod:`features.pooling`); one of fewer entrants than
    ``smallest`` says nothing of its own. Where nobody ever entered anything a share is 0.
    """
    entered = trainings[trainings["status"] == "entre"]
    belongs = mark_publics(entered, publics).drop(columns=PUBLICS[0])
    belongs = belongs.assign(neet=entered["neet"].astype("boolean").fillna(value=False).astype(bool))
    cells = entered.assign(sector=entered["formacode"].str[:3], level=level_text(entered["exit_level"]))[_NESTED]
    keys = pd.concat([options[_NESTED], cells]).drop_duplicates().sort_values(_NESTED, ignore_index=True)
    number = pd.Series(keys.index, index=pd.MultiIndex.from_frame(keys))
    of_cell = number.loc[list(cells.itertuples(index=False, name=None))].to_numpy(dtype="int64")
    of_type = np.unique(keys["action_type"], return_inverse=True)[1].astype(np.int64)
    flags = belongs.to_numpy(dtype="float64")
    wide = (np.zeros(len(cells), dtype=np.int64), of_type[of_cell], of_cell)
    sums = [_count(flags, of, size) for of, size in zip(wide, (1, int(of_type.max(initial=-1)) + 1, len(keys)), strict=True)]
    parents = [np.zeros(len(sums[1].n), dtype=np.int64), of_type]
    rates = pool(sums, parents, np.arange(flags.shape[1]), pooling, smallest=smallest)[-1].rate
    shares = keys.assign(**{name: np.nan_to_num(rates[:, column]) for column, name in enumerate(SHARES)})
    return options.merge(shares, on=OPTION, how="left", validate="one_to_one")


def _count(flags: Numbers, group: Whole, size: int) -> Sums:
    """Count the entrants of each group: those of each public, and all of them."""
    counts = np.zeros((size, flags.shape[1]))
    np.add.at(counts, group, flags)
    people = np.bincount(group, minlength=size).astype("float64")
    return Sums(counts, np.repeat(people[:, None], flags.shape[1], axis=1))
