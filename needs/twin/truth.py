"""What is true in the simulated region, for tests and benchmarks only."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from needs.twin.careers import Careers
from needs.twin.stock import person_ids
from needs.twin.world import World


def truths(world: World, careers: Careers) -> Iterator[tuple[str, pd.DataFrame]]:
    """Give the tables of truth by name: need, tightness, chances, effects."""
    yield "need", need_table(world)
    yield "tightness", tightness_table(world)
    chances = chance_table(careers)
    yield "chances", chances
    yield "effects", effect_table(chances)


def need_table(world: World) -> pd.DataFrame:
    """Say what was and will be needed. One row per bassin × département, occupation and month, future ones included.

    ``need`` and ``seasonal`` are recruitments, ``positions`` and ``seasonal_positions`` what employers publish of them
    (months after ``as_of``: will publish), ``expected`` the mean around which the need was drawn.
    """
    atom, occupation, month = np.indices(world.need.shape, dtype=np.int32).reshape(3, -1)
    codes = world.occupations
    return pd.DataFrame(
        {
            "territory": world.atoms["territory"].to_numpy()[atom],
            "department": world.atoms["department"].to_numpy()[atom],
            "occupation": codes["occupation"].to_numpy()[occupation],
            "period": world.months.astype(str).to_numpy()[month],
            "expected": world.rate.ravel(),
            "need": world.need.ravel(),
            "positions": world.positions.ravel(),
            "seasonal": world.seasonal.ravel(),
            "seasonal_positions": world.seasonal_positions.ravel(),
            "coverage": codes["coverage"].to_numpy()[occupation],
        }
    )


def tightness_table(world: World) -> pd.DataFrame:
    """Say how scarce people are. One row per bassin × département and code (occupation or sector)."""
    wide = world.tightness().assign(territory=world.atoms["territory"], department=world.atoms["department"])
    return wide.melt(["territory", "department"], var_name="code", value_name="tightness")


def chance_table(careers: Careers) -> pd.DataFrame:
    """Say what each training entered changed. One row per entry: chances six months after, with and without it."""
    entered = careers.prescriptions[careers.prescriptions["status"] == "entre"]
    chances = ["work_with", "work_without", "durable_with", "durable_without"]
    kept = entered[["session", "lot", "action_type", "formacode", "entered", "exited", *chances]]
    return kept.assign(person=person_ids(entered["pid"]), sector=entered["formacode"].str[:3]).reset_index(drop=True)


def effect_table(chances: pd.DataFrame) -> pd.DataFrame:
    """Average what training changed. One row per sector and action type."""
    gains = chances.assign(
        work=chances["work_with"] - chances["work_without"], durable=chances["durable_with"] - chances["durable_without"]
    )
    return gains.groupby(["sector", "action_type"], as_index=False).agg(
        work=("work", "mean"), durable=("durable", "mean"), entries=("work", "size")
    )
