"""Where the simulated region lies: its communes in their bassins, and how far these are from each other and from borders.

Grand Est has its real communes. The scale of the whole country has, besides, the 370 bassins × départements that BMO 2024
names in the rest of metropolitan France (overseas départements have no outline here, so they are left out). Where these lie
in their département is made up, and so are their towns:

- The bassins of a département stand on a sunflower spiral (Vogel 1979) around its real centre, the heaviest in the middle:
  the k-th of n at a distance of √(k ÷ n) × the radius of a disc as large as the département. Parts of one bassin in several
  départements are drawn three quarters of the way towards each other, that is near their common border.
- Each has eight towns on such a spiral of its own, with populations as 1 ÷ rank (Zipf). Together they have the people of
  metropolitan France (about 65 million) that Grand Est has not, in proportion to the projects of BMO 2024.
- Towns are numbered from 911 in their département (``C29911``). No real commune of metropolitan France has such a number: the
  highest in the list of 2022 is 62909. They belong to no zone d'emploi, EPCI or Maison: these are empty.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics.pairwise import haversine_distances

from features import facts
from features.tables import TERRITORIES
from features.vocabulary import BORDERS
from needs.twin.scales import Scale, in_parts

Numbers = NDArray[np.float64]
EARTH_KM = 6371.0
METROPOLITAN_PEOPLE = 65_000_000
TOWNS = 8
FIRST_NUMBER = 911
_BORDER_REACH_KM = 25.0
_HIRING = {"LU": 5.0, "DE": 0.4, "CH": 1.4, "BE": 1.2}
_TOWARDS_EACH_OTHER = 0.75
_GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))
_KM_PER_DEGREE = EARTH_KM * np.pi / 180


def draw_places(scale: Scale) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Take the communes of the scale. One row per commune; and one row per bassin × département, its ``atom``."""
    communes = facts.communes()
    if scale.whole_country:
        communes = pd.concat([communes, _made_towns(communes)], ignore_index=True)
    if scale.bassins:
        communes = communes[communes["territory"].isin(scale.bassins)]
    communes = communes.sort_values(["department", "commune"], ignore_index=True)
    weight = communes["population"].clip(lower=1)
    weighed = communes.assign(weight=weight, **{name: communes[name] * weight for name in ("latitude", "longitude")})
    sums = weighed.groupby(["department", "territory"], as_index=False)[["population", "weight", "latitude", "longitude"]].sum()
    atoms = sums.assign(**{name: sums[name] / sums["weight"] for name in ("latitude", "longitude")}).drop(columns="weight")
    atom_of = pd.MultiIndex.from_frame(atoms[["territory", "department"]])
    homes = pd.MultiIndex.from_frame(communes[["territory", "department"]])
    return communes.assign(atom=atom_of.get_indexer(homes)), atoms.assign(**border_pulls(atoms))


def _made_towns(real: pd.DataFrame) -> pd.DataFrame:
    """Make the towns of the départements that have no real commune here. One row per town, like ``facts.communes()``."""
    bassins = _made_bassins(set(real["department"]))
    towns = bassins.loc[bassins.index.repeat(TOWNS)].reset_index(drop=True)
    rank = np.tile(np.arange(TOWNS), len(bassins))
    people = in_parts(METROPOLITAN_PEOPLE - int(real["population"].sum()), (towns["weight"] / (rank + 1)).to_numpy())
    number = FIRST_NUMBER + towns["rank"] * TOWNS + rank
    made = towns.assign(
        **_on_spiral(towns, rank, np.full(len(towns), TOWNS), (towns["radius_km"] / np.sqrt(towns["siblings"])).to_numpy()),
        commune="C" + towns["department"].str[1:] + number.astype("str"),
        name=towns["title"].str.title() + ", commune simulée " + pd.Series(rank + 1).astype("str"),
        population=np.array(people, dtype="float64"),
        **dict.fromkeys(("zone", "epci", "maison"), ""),
    )
    return made[real.columns]


def _made_bassins(without: set[str]) -> pd.DataFrame:
    """Place the bassins of the other départements of metropolitan France. One row per bassin × département.

    ``rank`` is its place by weight in its département, which has ``siblings`` of them.
    """
    listed = facts.bassins().merge(facts.centres(), on="department", how="inner", validate="many_to_one")
    listed = listed[~listed["department"].isin(without)]
    listed = listed.sort_values(["department", "weight", "territory"], ascending=[True, False, True], ignore_index=True)
    together = listed.groupby("department")["territory"]
    listed = listed.assign(
        rank=together.cumcount(), siblings=together.transform("size"), radius_km=np.sqrt(listed["area_km2"] / np.pi)
    )
    apart = listed.assign(
        **_on_spiral(listed, listed["rank"].to_numpy(), listed["siblings"].to_numpy(), listed["radius_km"].to_numpy())
    )
    middle = apart.groupby("territory")[["latitude", "longitude"]].transform("mean")
    return apart.assign(
        **{name: apart[name] + _TOWARDS_EACH_OTHER * (middle[name] - apart[name]) for name in ("latitude", "longitude")}
    )


def _on_spiral(
    centres: pd.DataFrame, rank: NDArray[np.integer], count: NDArray[np.integer], radius_km: Numbers
) -> dict[str, pd.Series[float]]:
    """Stand each place, the ``rank``-th of ``count``, on the spiral around its centre."""
    distance = radius_km * np.sqrt(rank / count) / _KM_PER_DEGREE
    north, east = distance * np.cos(rank * _GOLDEN_ANGLE), distance * np.sin(rank * _GOLDEN_ANGLE)
    latitude = centres["latitude"]
    longitude = centres["longitude"] + east / np.cos(np.radians(latitude))
    return {"latitude": (latitude + north).round(5), "longitude": longitude.round(5)}


def titles() -> pd.Series[str]:
    """Give the title of every territory, by code: as the Region writes it, else as BMO 2024 publishes it."""
    known = facts.territories()[["territory", "title"]]
    bassins = facts.bassins()[["territory", "title"]]
    departments = facts.departments()[["department", "title"]].rename(columns={"department": "territory"})
    every = pd.concat([known, bassins, departments], ignore_index=True)
    return every.drop_duplicates("territory").set_index("territory")["title"]


def territories_table(communes: pd.DataFrame) -> pd.DataFrame:
    """Give the communes as the contract ``territories`` has them. One row per commune."""
    return communes[[column.name for column in TERRITORIES.columns]]


def distances_km(left: pd.DataFrame, right: pd.DataFrame) -> Numbers:
    """Measure the great-circle distance of each place of the left to each of the right."""
    radians = [np.radians(places[["latitude", "longitude"]].to_numpy(dtype="float64")) for places in (left, right)]
    return cast(Numbers, haversine_distances(*radians) * EARTH_KM)


def border_pulls(atoms: pd.DataFrame) -> dict[str, Numbers]:
    """Say how strongly each country draws the people of each atom, by country.

    pull = weight of the country × Σ over its towns of population × exp(−distance ÷ 25 km), in people. A town of Luxembourg
    hires far more people of Grand Est than one of Germany: the weights give the four countries about the parts that they have
    among those who live in Grand Est and work across the border (Insee, 2010s: near half in Luxembourg, a quarter in Germany,
    a fifth in Switzerland, the rest in Belgium). The towns known are those within 60 km of Grand Est: the pull of the other
    borders of France is left out.
    """
    towns = facts.borders()
    weight = towns["population"] * towns["area"].map(_HIRING)
    near = np.exp(-distances_km(atoms, towns) / _BORDER_REACH_KM) * weight.to_numpy()
    return {country: near[:, (towns["area"] == country).to_numpy()].sum(axis=1) for country in BORDERS}


def alike(atoms: pd.DataFrame, reach_km: float) -> Numbers:
    """Give the factor that turns independent numbers into a field where near places are alike.

    The field's correlation between two atoms is exp(−distance ÷ reach); its variance is one everywhere.
    """
    correlation = np.exp(-distances_km(atoms, atoms) / reach_km)
    return np.asarray(np.linalg.cholesky(correlation + 1e-6 * np.eye(len(atoms))))


def places_in(
    communes: pd.DataFrame, atoms: NDArray[np.integer], rng: np.random.Generator, *, power: float = 1.0
) -> NDArray[np.int64]:
    """Choose a commune in each atom, with odds of its population to a power. Gives positions in ``communes``."""
    weight = communes["population"].to_numpy() ** power + 1e-9
    order = np.argsort(communes["atom"].to_numpy(), kind="stable")
    ends = np.cumsum(weight[order])
    last = np.searchsorted(communes["atom"].to_numpy()[order], atoms, side="right") - 1
    first = np.searchsorted(communes["atom"].to_numpy()[order], atoms, side="left")
    low = np.where(first > 0, ends[first - 1], 0.0)
    drawn = low + rng.random(len(atoms)) * (ends[last] - low)
    return np.asarray(order[np.clip(np.searchsorted(ends, drawn, side="right"), first, last)], dtype=np.int64)
