"""The labour market of one département: what was and will be needed there, and what employers publish of it.

    need ~ Poisson(level × common moves × exp(local growth × years) × shocks × gamma noise of mean 1 and spread 0.2)

A shock is a large employer that opens or closes: ``need.shocks`` a year in a bassin, in one domain, by a factor between
a third and three, that halves each year.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from needs.twin.places import Numbers
from needs.twin.world import HARVEST, HOLIDAYS, World, yearly_openings

Counts = NDArray[np.int64]
_SHAPE = 25.0
_SHOCK_MONTHS = 12.0


@dataclass(frozen=True)
class Market:
    """One département; arrays run over its atoms × occupations × months.

    ``rate`` is the mean around which ``need`` was drawn, ``positions`` what employers publish of it (those that they publish
    a second time, ``repeated``, on top), ``seasonal`` and ``seasonal_positions`` the same for seasonal work.
    """

    world: World
    department: str
    atoms: NDArray[np.int64]
    rate: Numbers
    need: Counts
    seasonal: Counts
    positions: Counts
    repeated: Counts
    seasonal_positions: Counts

    def rng(self, *names: str) -> np.random.Generator:
        """Give the random numbers of one part of this département."""
        return self.world.rng(*names, self.department)

    def yearly_openings(self) -> pd.DataFrame:
        """Count the expected recruitments of each sector. One row per atom and year, one column per sector."""
        return yearly_openings(self.world, self.atoms, self.rate)


def draw_market(world: World, department: str) -> Market:
    """Draw the market of one département, past and future, whatever is drawn of the others."""
    atoms = world.atoms_of(department)
    rng = world.rng("market", department)
    time = np.arange(len(world.months)) / 12
    moves = world.common[None] * np.exp(world.local[atoms][:, :, None] * time)
    rate = world.level[atoms][:, :, None] * moves * _shocks(world, len(atoms), rng)
    month = world.months.month.to_numpy() - 1
    harvest = world.occupations["occupation"].str.startswith("A1").to_numpy()[:, None]
    calendar = np.where(harvest, HARVEST[None, month], HOLIDAYS[None, month]) * 12
    summer = world.summer[atoms][:, :, None] * calendar[None]
    need, seasonal = (rng.poisson(mean * rng.gamma(_SHAPE, 1 / _SHAPE, mean.shape)) for mean in (rate, summer))
    coverage = world.occupations["coverage"].to_numpy()[None, :, None]
    positions = rng.binomial(need, coverage)
    again = np.concatenate([np.zeros_like(positions[:, :, :1]), positions[:, :, :-1]], axis=2)
    return Market(
        world=world,
        department=department,
        atoms=atoms,
        rate=rate,
        need=need,
        seasonal=seasonal,
        positions=positions,
        repeated=rng.binomial(again, world.dials.offers.repeated),
        seasonal_positions=rng.binomial(seasonal, coverage),
    )


def _shocks(world: World, size: int, rng: np.random.Generator) -> Numbers:
    """Multiply the need where large employers opened or closed, by atom, occupation and month."""
    months = len(world.months)
    domains, codes = pd.factorize(world.occupations["occupation"].str[:3])
    factor = np.zeros((size, len(codes), months))
    count = rng.poisson(world.dials.need.shocks * months / 12, size)
    for atom in np.repeat(np.arange(size), count):
        start, domain = rng.integers(0, months), rng.integers(0, len(codes))
        since = np.arange(months - start)
        factor[atom, domain, start:] += rng.uniform(-1.1, 1.1) * 2.0 ** (-since / _SHOCK_MONTHS)
    return np.asarray(np.exp(factor)[:, domains, :])
