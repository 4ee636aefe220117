"""The true labour market of the simulated region: who needs whom, where and when.

What all places share stands here; ``market`` draws each département from it. Need of an occupation in a bassin × département
and month, in recruitments on lasting contracts, is drawn around

    level × growth of the occupation × growth of its domain in the place × cycle × crisis × season × slow noise × shocks

- ``level`` = population × weight of the occupation × specialisation of the place in its domain, a log-normal field in which
  near places are alike (correlation exp(−distance ÷ ``need.reach_km``)), and in the occupation, a log-normal number of its own.
  Vineyards are where they are.
- growth: 1 % a year on average, spread by ``need.trend``; a share ``need.emerging`` of the occupations (one at least) grows
  threefold along a logistic curve, and as many shrink to a third. Real families move far less in ten years: these are quick
  enough to be seen in a few.
- cycle: ± 6 % over four years and a half. Crisis: a fall of ``need.crisis_depth`` times the exposure of the occupation,
  recovered by half in six months (offers of the employment service fell by about half in spring 2020).
- season: a cosine of 5 to 30 % peaking in a month of the occupation's own, more in September, less in December.

Employers publish only a part of it, the occupation's ``coverage``. Harvests, hotels and year-end trade recruit seasonally on
top: a third of all projects over a year (BMO 2024, Grand Est).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features import facts
from needs.twin.causes import draw_causes
from needs.twin.places import Numbers, alike, draw_places
from needs.twin.scales import FUTURE_MONTHS, SEASONAL_SHARE, Scale, stream
from needs.twin.worlds import Dials, NeedDials

# Occupations that weigh most in the vacancies of Grand Est, so that even a tiny region has vineyards, care and industry.
_LARGE = """
    A1405 K2204 K1302 G1602 N1103 J1501 H2909 D1106 G1603 N4101 F1703 A1416 I1304 K1304 G1803 H2913 M1607 F1602
    A1401 I1604 N1101 F1603 K2503 A1203 M1805 D1507 N4105 H2903 M1203 F1606 N4103 A1413 D1214 J1506 H2102 N1105
"""
_VINEYARDS = ("BE4417", "BE4404", "BE4446", "BE4444", "BE4447", "BE4442")
_SEASONAL_WEIGHT = {"A14": 14.0, "A1": 3.0, "G1": 1.2, "H21": 0.6, "D1": 0.2, "N1": 0.2}
HARVEST = np.array([0.02, 0.03, 0.04, 0.04, 0.05, 0.06, 0.08, 0.26, 0.28, 0.10, 0.02, 0.02])
HOLIDAYS = np.array([0.07, 0.07, 0.05, 0.07, 0.10, 0.17, 0.15, 0.06, 0.04, 0.03, 0.08, 0.11])
_POSITIONS_PER_OFFER = 1.1
_ELASTICITY = 0.4


@dataclass(frozen=True)
class World:
    """What the places of one simulated region share.

    Arrays run over atoms (bassin × département, sorted by département), occupations, months and domains (the ROME's
    letters). ``level`` and ``summer`` are recruitments in an average month, ``common`` the moves that an occupation makes
    everywhere, ``local`` the yearly growth that a domain has in a place on top, ``supply`` where people look for work (rows
    sum to one), ``sectors`` which part of each occupation (row) belongs to each sector (column).
    """

    dials: Dials
    scale: Scale
    seed: int
    as_of: pd.Timestamp
    communes: pd.DataFrame
    atoms: pd.DataFrame
    occupations: pd.DataFrame
    months: pd.PeriodIndex
    level: Numbers
    summer: Numbers
    common: Numbers
    local: Numbers
    supply: Numbers
    sectors: pd.DataFrame

    def rng(self, *names: str) -> np.random.Generator:
        """Give the random numbers of one part of this world."""
        return stream(self.seed, *names)

    @property
    def past(self) -> int:
        """How many months lie at or before ``as_of``."""
        return int((self.months <= pd.Period(self.as_of, "M")).sum())

    @property
    def departments(self) -> list[str]:
        """The départements, in order; each is drawn apart."""
        return sorted(set(self.atoms["department"]))

    def atoms_of(self, department: str) -> NDArray[np.int64]:
        """Give the positions of the atoms of one département."""
        return np.flatnonzero((self.atoms["department"] == department).to_numpy())

    def pulse(self) -> Numbers:
        """Say month by month how much easier than usual it is to be hired: (need ÷ its past mean) to the power 0.4."""
        total = self.level.sum(axis=0) @ self.common
        return np.asarray((total / total[: self.past].mean()) ** _ELASTICITY)

    def trainable(self) -> pd.DataFrame:
        """Say which part of each occupation belongs to each sector and lacks trained people. Rows as in ``sectors``."""
        return self.sectors.mul(self.occupations["solvable"], axis=0)

    def tightness(self) -> pd.DataFrame:
        """Say how scarce people are: log of the share of the Region's need over the share of its people, within ±2.

        One row per atom (by position), one column per sector; and one column per occupation.
        """
        need = self.level * self.common[:, : self.past].mean(axis=1)
        people = self.supply * (self.atoms["population"] / self.atoms["population"].sum()).to_numpy()[:, None]
        links = self.sectors.to_numpy()
        both = [_log_ratio(need @ links, people @ links), _log_ratio(need, people)]
        names = [*self.sectors.columns, *self.occupations["occupation"]]
        return pd.DataFrame(np.hstack(both), columns=names)


def yearly_openings(world: World, atoms: NDArray[np.int64], rate: Numbers) -> pd.DataFrame:
    """Count the expected recruitments that training opens. One row per atom and year (its index), one column per sector."""
    years = world.months.year.to_numpy()
    parts = []
    for year in np.unique(years):
        yearly = rate[:, :, years == year].mean(axis=2) * 12 @ world.trainable().to_numpy()
        parts.append(pd.DataFrame(yearly, columns=world.sectors.columns).assign(atom=atoms, year=year))
    return pd.concat(parts, ignore_index=True).set_index(["atom", "year"])


def draw_world(scale: Scale, dials: Dials, seed: int, as_of: pd.Timestamp) -> World:
    """Draw what the places of one region share: its places, its occupations and what moves their need, past and future."""
    communes, atoms = draw_places(scale)
    occupations = _occupations(scale, dials, seed)
    months = pd.period_range(end=pd.Period(as_of, "M") + FUTURE_MONTHS, periods=scale.offer_months + FUTURE_MONTHS, freq="M")
    near = alike(atoms, dials.need.reach_km)
    level = _levels(atoms, occupations, near, seed)
    common = _moves(occupations, months, pd.Period(as_of, "M"), dials.need, seed)
    lasting = level * common.mean(axis=1)
    summer = _seasonal_levels(atoms, occupations, lasting.sum())
    shown = occupations["coverage"].to_numpy()
    offers = (lasting * shown * (1 + occupations["short"].to_numpy())).sum() + (summer * shown).sum()
    factor = scale.offers_per_month * _POSITIONS_PER_OFFER / offers
    domains = pd.factorize(occupations["occupation"].str[0])[0]
    growth = near @ stream(seed, "local").normal(0, dials.need.place_trend, (len(atoms), domains.max() + 1))
    return World(
        dials=dials,
        scale=scale,
        seed=seed,
        as_of=as_of,
        communes=communes,
        atoms=atoms,
        occupations=occupations,
        months=months,
        level=level * factor,
        summer=summer * factor,
        common=common,
        local=growth[:, domains],
        supply=_supply(level, seed),
        sectors=_sector_links(occupations),
    )


def _occupations(scale: Scale, dials: Dials, seed: int) -> pd.DataFrame:
    """Choose the occupations and how each is recruited. One row per occupation, the largest first."""
    known = facts.occupations().drop_duplicates("occupation").set_index("occupation")["title"]
    links = facts.sector_occupations()
    links = links[links["level"].isin(["3", "4", "5"])]
    counts = links.assign(n=links["certifications"].astype(float)).groupby("occupation")["n"].sum()
    common = counts.sort_values(ascending=False, kind="stable").index
    wanted = dict.fromkeys([*_LARGE.split(), *common, *known.index])
    codes = [code for code in wanted if code in known.index][: scale.occupations]
    rng = stream(seed, "occupations")
    size = len(codes)
    weight = (np.arange(size) + 3.0) ** -0.75 * rng.lognormal(0, 0.2, size)
    moving = max(1, round(dials.need.emerging * size)) if dials.need.emerging else 0
    fates = ["emerging"] * moving + ["dying"] * moving + ["steady"] * (size - 2 * moving)
    return pd.DataFrame(
        {
            "occupation": codes,
            "title": known[codes].to_numpy(),
            "weight": weight / weight.sum(),
            "coverage": rng.uniform(dials.offers.coverage_low, dials.offers.coverage_high, size),
            "short": rng.uniform(0.2, 0.9, size),
            "lasting_cdi": rng.uniform(0.55, 0.85, size),
            "difficult": rng.uniform(0.3, 0.75, size),
            "level": _usual_levels(links, codes),
            "fate": rng.permutation(np.array(fates, dtype=object)),
        }
    ).join(draw_causes(size, stream(seed, "causes")))


def _usual_levels(links: pd.DataFrame, codes: list[str]) -> list[int]:
    """Say at which level most certifications lead to each occupation; 4 where none does."""
    counts = links.groupby(["occupation", "level"])["certifications"].sum().reset_index()
    most = counts.sort_values(["certifications", "level"], kind="stable").drop_duplicates("occupation", keep="last")
    best = dict(zip(most["occupation"], most["level"].astype(int), strict=True))
    return [best.get(code, 4) for code in codes]


def _levels(atoms: pd.DataFrame, occupations: pd.DataFrame, near: Numbers, seed: int) -> Numbers:
    """Spread each occupation over the atoms: population × weight × local specialisation."""
    rng = stream(seed, "levels")
    domains = pd.factorize(occupations["occupation"].str[0])[0]
    shape = (len(atoms), len(occupations))
    special = np.exp(0.3 * near @ rng.normal(0, 1, (len(atoms), domains.max() + 1)))[:, domains]
    special = special * rng.lognormal(0, 0.25, shape)
    vines = np.outer(atoms["territory"].isin(_VINEYARDS), occupations["occupation"].str.startswith("A14"))
    special = special * np.where(vines, 3.0, 1.0)
    share = atoms["population"].to_numpy() / atoms["population"].sum()
    return np.asarray(share[:, None] * occupations["weight"].to_numpy()[None, :] * special)


def _moves(occupations: pd.DataFrame, months: pd.PeriodIndex, now: pd.Period, dials: NeedDials, seed: int) -> Numbers:
    """Move each occupation in time, everywhere alike: growth, fate, cycle, crisis, season and slow noise."""
    rng = stream(seed, "moves")
    size, time = len(occupations), np.arange(len(months)) / 12
    trend = np.exp(rng.normal(0.01, dials.trend, size))
    cycle = 1 + 0.06 * np.sin(2 * np.pi * time / 4.5)
    month = months.month.to_numpy()
    peak, height = rng.integers(1, 13, size), rng.uniform(0.05, 0.3, size)
    season = 1 + height[:, None] * np.cos(2 * np.pi * (month[None, :] - peak[:, None]) / 12)
    season = season * np.where(month == 9, 1.12, np.where(month == 12, 0.85, 1.0))[None, :]
    noise = np.exp(np.cumsum(rng.normal(0, 0.02, (size, len(months))), axis=1))
    since = months.astype("int64").to_numpy() - now.ordinal
    turn = rng.uniform(-30, 6, size)
    rise = 1 / (1 + np.exp(-(since[None, :] - turn[:, None]) / 8))
    fate = occupations["fate"].to_numpy()[:, None]
    fated = np.where(fate == "emerging", 1 + 2 * rise, np.where(fate == "dying", 1 - 2 / 3 * rise, 1.0))
    after = since + dials.crisis_months
    fall = np.where(after < 0, 0.0, 2.0 ** (-after / 6))
    exposure = np.clip(rng.normal(1.0, 0.3, size), 0.2, 1.0 / max(dials.crisis_depth, 0.5))
    crisis = 1 - np.minimum(dials.crisis_depth * exposure[:, None] * fall[None, :], 0.95)
    return np.asarray(trend[:, None] ** time * cycle * season * noise * fated * crisis)


def _seasonal_levels(atoms: pd.DataFrame, occupations: pd.DataFrame, lasting: float) -> Numbers:
    """Spread the seasonal recruitments of an average month, in all ``lasting`` × share ÷ (1 − share), over places."""
    codes = occupations["occupation"]
    weight = np.full(len(codes), 0.02)
    for prefix, factor in sorted(_SEASONAL_WEIGHT.items(), key=lambda item: len(item[0])):
        weight = np.where(codes.str.startswith(prefix), factor, weight)
    weight = weight * occupations["weight"].to_numpy()
    vines = np.outer(atoms["territory"].isin(_VINEYARDS), codes.str.startswith("A14"))
    cells = np.outer(atoms["population"], weight) * np.where(vines, 3.0, 1.0)
    return np.asarray(cells / cells.sum() * lasting * SEASONAL_SHARE / (1 - SEASONAL_SHARE))


def _supply(level: Numbers, seed: int) -> Numbers:
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


def _log_ratio(need: Numbers, people: Numbers) -> Numbers:
    shares = [part / part.sum() + 1e-6 for part in (need, people)]
    return np.asarray(np.clip(np.log(shares[0] / shares[1]), -2, 2))
