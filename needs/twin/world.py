"""The true labour market of the simulated region: who needs whom, where and when.

Need of an occupation in a bassin × département and month is drawn around

    level (population × weight of the occupation × local specialisation) × trend × cycle × season × noise

in recruitments on lasting contracts. Employers publish only a part of it, the occupation's ``coverage``. Harvests,
hotels and year-end trade recruit seasonally on top, a third of all projects over a year.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features import facts
from needs.twin.scales import FUTURE_MONTHS, SEASONAL_SHARE, Scale, stream

# Occupations that weigh most in the vacancies of Grand Est, so that even a tiny region has vineyards, care and industry.
_LARGE = """
    A1405 K2204 K1302 G1602 N1103 J1501 H2909 D1106 G1603 N4101 F1703 A1416 I1304 K1304 G1803 H2913 M1607 F1602
    A1401 I1604 N1101 F1603 K2503 A1203 M1805 D1507 N4105 H2903 M1203 F1606 N4103 A1413 D1214 J1506 H2102 N1105
"""
_VINEYARDS = ("BE4417", "BE4404", "BE4446", "BE4444", "BE4447", "BE4442")
_SEASONAL_WEIGHT = {"A14": 14.0, "A1": 3.0, "G1": 1.2, "H21": 0.6, "D1": 0.2, "N1": 0.2}
_HARVEST = np.array([0.02, 0.03, 0.04, 0.04, 0.05, 0.06, 0.08, 0.26, 0.28, 0.10, 0.02, 0.02])
_HOLIDAYS = np.array([0.07, 0.07, 0.05, 0.07, 0.10, 0.17, 0.15, 0.06, 0.04, 0.03, 0.08, 0.11])
_LASTING_PER_OFFER = 1.1


@dataclass(frozen=True)
class World:
    """One simulated labour market; arrays run over atoms (bassin × département) × occupations [× months]."""

    scale: Scale
    seed: int
    as_of: pd.Timestamp
    communes: pd.DataFrame
    atoms: pd.DataFrame
    occupations: pd.DataFrame
    months: pd.PeriodIndex
    supply: NDArray[np.float64]
    rate: NDArray[np.float64]
    need: NDArray[np.int64]
    seasonal: NDArray[np.int64]
    positions: NDArray[np.int64]
    seasonal_positions: NDArray[np.int64]
    sectors: pd.DataFrame

    def rng(self, *names: str) -> np.random.Generator:
        """Give the random numbers of one part of this world."""
        return stream(self.seed, *names)

    @property
    def past(self) -> int:
        """How many months lie at or before ``as_of``."""
        return int((self.months <= pd.Period(self.as_of, "M")).sum())

    def tightness(self) -> pd.DataFrame:
        """Say how scarce people are: log of the share of need over the share of people, 0 on average.

        One row per atom (by position), one column per sector; and one column per occupation.
        """
        need = self.rate[:, :, : self.past].mean(axis=2)
        links = self.sectors.to_numpy()
        both = [_log_ratio(need @ links, self.supply @ links), _log_ratio(need, self.supply)]
        names = [*self.sectors.columns, *self.occupations["occupation"]]
        return pd.DataFrame(np.hstack(both), columns=names)


def draw_world(scale: Scale, seed: int, as_of: pd.Timestamp) -> World:
    """Draw the labour market of one region: its places, its occupations and what they need, past and future."""
    communes, atoms = _places(scale)
    occupations = _occupations(scale, seed)
    months = pd.period_range(end=pd.Period(as_of, "M") + FUTURE_MONTHS, periods=scale.offer_months + FUTURE_MONTHS, freq="M")
    level = _levels(atoms, occupations, seed)
    rate = level[:, :, None] * _moves(level.shape, months, seed)
    summer = _seasons(atoms, occupations, months, rate.sum() / len(months) * 12)
    coverage = occupations["coverage"].to_numpy()[None, :, None]
    lasting = (rate * coverage * (1 + occupations["short"].to_numpy()[None, :, None])).sum() + (summer * coverage).sum()
    factor = scale.offers_per_month * _LASTING_PER_OFFER * len(months) / lasting
    rng = stream(seed, "need")
    need = rng.poisson(rate * factor * rng.gamma(25.0, 1 / 25.0, rate.shape))
    seasonal = rng.poisson(summer * factor * rng.gamma(25.0, 1 / 25.0, rate.shape))
    return World(
        scale=scale,
        seed=seed,
        as_of=as_of,
        communes=communes,
        atoms=atoms,
        occupations=occupations,
        months=months,
        supply=_supply(level, seed),
        rate=rate * factor,
        need=need,
        seasonal=seasonal,
        positions=rng.binomial(need, coverage),
        seasonal_positions=rng.binomial(seasonal, coverage),
        sectors=_sector_links(occupations),
    )


def _places(scale: Scale) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Take the real communes of the scale's bassins. One row per commune; and one row per bassin × département."""
    communes = facts.communes()
    if scale.bassins:
        communes = communes[communes["territory"].isin(scale.bassins)]
    communes = communes.assign(**{name: communes[name].astype(float) for name in ("latitude", "longitude", "population")})
    communes = communes.sort_values("commune", ignore_index=True)
    atoms = communes.groupby(["territory", "department"], as_index=False).agg(population=("population", "sum"))
    atom_of = pd.MultiIndex.from_frame(atoms[["territory", "department"]])
    homes = pd.MultiIndex.from_frame(communes[["territory", "department"]])
    return communes.assign(atom=atom_of.get_indexer(homes)), atoms


def _occupations(scale: Scale, seed: int) -> pd.DataFrame:
    """Choose the occupations and how each is recruited. One row per occupation, the largest first."""
    known = facts.occupations().drop_duplicates("occupation").set_index("occupation")["title"]
    links = facts.sector_occupations()
    links = links[links["level"].isin(["3", "4", "5"])]
    counts = links.assign(n=links["certifications"].astype(float)).groupby("occupation")["n"].sum()
    common = counts.sort_values(ascending=False, kind="stable").index
    codes = [code for code in dict.fromkeys([*_LARGE.split(), *common]) if code in known.index][: scale.occupations]
    rng = stream(seed, "occupations")
    size = len(codes)
    weight = (np.arange(size) + 3.0) ** -0.75 * rng.lognormal(0, 0.2, size)
    return pd.DataFrame(
        {
            "occupation": codes,
            "title": known[codes].to_numpy(),
            "weight": weight / weight.sum(),
            "coverage": rng.uniform(0.3, 0.8, size),
            "short": rng.uniform(0.2, 0.9, size),
            "lasting_cdi": rng.uniform(0.55, 0.85, size),
            "difficult": rng.uniform(0.3, 0.75, size),
            "level": _usual_levels(links, codes),
        }
    )


def _usual_levels(links: pd.DataFrame, codes: list[str]) -> list[int]:
    """Say at which level most certifications lead to each occupation; 4 where none does."""
    counts = links.groupby(["occupation", "level"])["certifications"].sum().reset_index()
    most = counts.sort_values(["certifications", "level"], kind="stable").drop_duplicates("occupation", keep="last")
    best = dict(zip(most["occupation"], most["level"].astype(int), strict=True))
    return [best.get(code, 4) for code in codes]


def _levels(atoms: pd.DataFrame, occupations: pd.DataFrame, seed: int) -> NDArray[np.float64]:
    """Spread each occupation over the atoms: population × weight × local specialisation."""
    rng = stream(seed, "levels")
    domains = pd.factorize(occupations["occupation"].str[0])[0]
    shape = (len(atoms), len(occupations))
    special = rng.lognormal(0, 0.3, (len(atoms), domains.max() + 1))[:, domains] * rng.lognormal(0, 0.25, shape)
    vines = np.outer(atoms["territory"].isin(_VINEYARDS), occupations["occupation"].str.startswith("A14"))
    special = special * np.where(vines, 3.0, 1.0)
    share = atoms["population"].to_numpy() / atoms["population"].sum()
    return np.asarray(share[:, None] * occupations["weight"].to_numpy()[None, :] * special)


def _moves(shape: tuple[int, ...], months: pd.PeriodIndex, seed: int) -> NDArray[np.float64]:
    """Move the level in time: trend of the occupation and of the place, a common cycle, a season, slow noise."""
    rng = stream(seed, "moves")
    time = np.arange(len(months)) / 12
    trend = rng.normal(0.01, 0.04, shape[1])[None, :, None] + rng.normal(0, 0.03, shape)[:, :, None]
    cycle = 1 + 0.06 * np.sin(2 * np.pi * time / 4.5)
    month = months.month.to_numpy()
    peak, height = rng.integers(1, 13, shape[1]), rng.uniform(0.05, 0.3, shape[1])
    season = 1 + height[:, None] * np.cos(2 * np.pi * (month[None, :] - peak[:, None]) / 12)
    season = season * np.where(month == 9, 1.12, np.where(month == 12, 0.85, 1.0))[None, :]
    noise = np.exp(np.cumsum(rng.normal(0, 0.02, (shape[1], len(months))), axis=1))
    return np.asarray((1 + trend) ** time * cycle * season[None] * noise[None])


def _seasons(atoms: pd.DataFrame, occupations: pd.DataFrame, months: pd.PeriodIndex, need: float) -> NDArray[np.float64]:
    """Place the seasonal recruitments of a year, in all ``need`` × share ÷ (1 − share), in their occupations and months."""
    codes = occupations["occupation"]
    weight = np.full(len(codes), 0.02)
    for prefix, factor in sorted(_SEASONAL_WEIGHT.items(), key=lambda item: len(item[0])):
        weight = np.where(codes.str.startswith(prefix), factor, weight)
    weight = weight * occupations["weight"].to_numpy()
    vines = np.outer(atoms["territory"].isin(_VINEYARDS), codes.str.startswith("A14"))
    cells = np.outer(atoms["population"], weight) * np.where(vines, 3.0, 1.0)
    cells = cells / cells.sum() * need * SEASONAL_SHARE / (1 - SEASONAL_SHARE)
    calendar = np.where(codes.str.startswith("A1").to_numpy()[:, None], _HARVEST[None, :], _HOLIDAYS[None, :])
    return np.asarray(cells[:, :, None] * calendar[:, months.month.to_numpy() - 1][None])


def _supply(level: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Say in which occupation the people of each atom look for work: near the need, never at it. Rows sum to 1."""
    rng = stream(seed, "supply")
    common = rng.lognormal(0, 0.5, (1, level.shape[1]))
    wanted = level**0.85 * common * rng.lognormal(0, 0.3, level.shape)
    return np.asarray(wanted / wanted.sum(axis=1, keepdims=True))


def _sector_links(occupations: pd.DataFrame) -> pd.DataFrame:
    """Link occupations to sectors. One row per occupation of the world (by position), one column per sector."""
    links = facts.occupation_sectors()
    links = links.assign(weight=links["weight"].astype(float))
    table = links.pivot_table(index="occupation", columns="sector", values="weight", aggfunc="sum", fill_value=0.0)
    return table.reindex(occupations["occupation"]).fillna(0.0).reset_index(drop=True)


def _log_ratio(need: NDArray[np.float64], supply: NDArray[np.float64]) -> NDArray[np.float64]:
    shares = [part / part.sum(axis=1, keepdims=True) + 1e-4 for part in (need, supply)]
    ratio = np.log(shares[0] / shares[1])
    return np.asarray(np.clip(ratio - ratio.mean(), -2, 2))
