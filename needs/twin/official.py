"""Official tables of the labour market, in their real formats: offers and jobseekers, tensions and what explains them.

The tables show what the causes of a shortage (``causes``) leave behind:

    class = 1 + 4 × 1.3 × part of the cause + N(0, 0.5), rounded, within 1…5

a lack of trained people in "lien formation-emploi" and "manque de main-d'œuvre", conditions in "conditions de travail" and,
by half, in short-lived jobs, distance in "inadéquation géographique", volume in "intensité d'embauche" and, by half, in
short-lived jobs: the reading that the Dares gives of its own six indicators. Odds and parts are ours.

Tension is the log of the share of need over the share of people (``World.tightness``) and N(0, 0.1); classes part at ±0.6
and ±0.2. Jobs are as many for one jobseeker as in Grand Est (1,556,500 in the Dares table of 2019 for 469,375).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features import facts
from features.sources.publication import PublicationParams
from needs.twin.causes import CAUSES
from needs.twin.market import Market
from needs.twin.places import Numbers
from needs.twin.raw import Written
from needs.twin.scales import REGION_JOBSEEKERS
from needs.twin.survey import family_links
from needs.twin.world import World

# columns: intensity of hiring, link with training, few available, short-lived jobs, conditions, distance
_LEFT_BEHIND = np.array(
    [
        [0.0, 1.0, 1.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.5, 1.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 1.0],
        [1.0, 0.0, 0.0, 0.5, 0.0, 0.0],
    ]
)
_STRENGTH, _BLUR = 1.3, 0.5
_TENSION_ERROR = 0.1
_EDGES = (-0.6, -0.2, 0.2, 0.6)
_MARKET_OUT = (2, 15)
_PAIR_ABOVE = 10.0
_REGION_JOBS = 1_556_500
_FEW_JOBS = 200.0
_MARKET_COLUMNS = [
    "ind_int_emb_d",
    "ind_specif_form_empl_d",
    "ind_main_oeuvre_d",
    "ind_dur_empl_d",
    "ind_cond_travail_d",
    "ind_mismatch_geo_d",
]
_TENSION_COLUMNS = [
    "Intensité d'embauches",
    "Lien formation-emploi",
    "Manque de main-d'œuvre disponible",
    "Non-durabilité de l'emploi",
    "Conditions de travail contraignantes",
    "Inadéquation géographique",
]


def tension_causes(world: World) -> pd.DataFrame:
    """Tell why people lack in each occupation. One row per occupation: the part of each cause, and ``solvable`` by training."""
    return world.occupations[["occupation", *CAUSES, "solvable"]]


# Offers and jobseekers ----------------------------------------------------------------------------------------------


def market_year(world: World) -> int:
    """Give the last full year whose offers and jobseekers are out at ``as_of``: the employment service tells in February."""
    out = pd.Timestamp(world.as_of.year, *_MARKET_OUT)
    return world.as_of.year - 1 if world.as_of >= out else world.as_of.year - 2


def yearly_counts(market: Market, year: int) -> pd.DataFrame:
    """Count a year in a département. One row per bassin × département and occupation.

    ``need`` and ``seasonal`` are recruitments, ``positions`` what was published of both.
    """
    world, months = market.world, np.flatnonzero(market.world.months.year == year)
    sums = {name: getattr(market, name)[:, :, months].sum(axis=2).ravel() for name in ("need", "seasonal")}
    published = (market.positions[:, :, months] + market.seasonal_positions[:, :, months]).sum(axis=2)
    atom, occupation = np.indices(published.shape).reshape(2, -1)
    return pd.DataFrame(
        {
            "territory": world.atoms["territory"].to_numpy()[market.atoms[atom]],
            "department": market.department,
            "occupation": world.occupations["occupation"].to_numpy()[occupation],
            **sums,
            "positions": published.ravel(),
        }
    )


def market_pairs(world: World, counts: pd.DataFrame) -> pd.DataFrame:
    """Set offers beside jobseekers, from ``yearly_counts`` of all départements. One row per bassin and occupation.

    Pairs with few of either are left out as in the real table: ten or fewer, and in a smaller Region in proportion.
    """
    share = (world.atoms["population"] / world.atoms["population"].sum()).to_numpy()
    atom, occupation = np.indices(world.supply.shape).reshape(2, -1)
    cells = {
        "territory": world.atoms["territory"].to_numpy()[atom],
        "occupation": world.occupations["occupation"].to_numpy()[occupation],
        "jobseekers": (world.supply * share[:, None] * world.scale.jobseekers).ravel(),
    }
    pair = ["territory", "occupation"]
    people = pd.DataFrame(cells).groupby(pair, as_index=False).agg(jobseekers=("jobseekers", "sum"))
    offers = counts.groupby(pair, as_index=False).agg(offers=("positions", "sum"))
    pairs = offers.merge(people, on=pair, how="inner", validate="one_to_one")
    above = _PAIR_ABOVE * _smaller(world)
    return pairs[(pairs["offers"] > above) & (pairs["jobseekers"] > above)].reset_index(drop=True)


def _smaller(world: World) -> float:
    """Say by how much the world is smaller than the Region, so that its tables lack as much as the real ones."""
    return min(1.0, world.scale.jobseekers / REGION_JOBSEEKERS)


def write_market(world: World, counts: pd.DataFrame, folder: Path) -> Written:
    """Write the offers and the jobseekers of the last full year, with the classes of their tension and its causes."""
    pairs, rng = market_pairs(world, counts), world.rng("market indicators")
    tension = np.log(pairs["offers"] / pairs["offers"].sum()) - np.log(pairs["jobseekers"] / pairs["jobseekers"].sum())
    parts = tension_causes(world).set_index("occupation").loc[pairs["occupation"], list(CAUSES)].to_numpy()
    year = market_year(world)
    table = pd.DataFrame(
        {
            "annee": year,
            "ROME": pairs["occupation"],
            "cbassin": pairs["territory"].str[2:],
            "oee": pairs["offers"],
            "defm_abc": pairs["jobseekers"].round(2),
            "ind_tension_d": np.digitize(tension, _EDGES) + 1,
            **dict(zip(_MARKET_COLUMNS, _classes(parts, rng).T, strict=True)),
        }
    )
    out = pd.Timestamp(year + 1, *_MARKET_OUT)
    path = folder / "market" / f"tensions_rome_bassin_{year}_{out:%Y-%m-%d}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, sep=";", decimal=",", index=False, lineterminator="\n", encoding="utf-8")
    return Written("market", path, len(table))


# Tensions -----------------------------------------------------------------------------------------------------------


def tension_year(world: World) -> int:
    """Give the last year whose tension indicators are out at ``as_of``."""
    months = PublicationParams().tension_months
    years = range(world.as_of.year - 1, 1990, -1)
    return next(year for year in years if pd.Timestamp(year, 12, 31) + pd.DateOffset(months=months) <= world.as_of)


def write_tension(world: World, folder: Path) -> Written:
    """Write the tension of each family in each département and Region, empty where the family has too few jobs there."""
    rng, rows = world.rng("tension"), _tensions(world)
    tension = rows["tension"] + rng.normal(0, _TENSION_ERROR, len(rows))
    classes = pd.DataFrame(_classes(rows[list(CAUSES)].to_numpy(), rng), columns=_TENSION_COLUMNS)
    shown = rows["jobs"] >= _FEW_JOBS * _smaller(world)
    regional, year = rows["department"] == "", tension_year(world)
    table = pd.DataFrame(
        {
            "fap": rows["family"],
            "Emploi moyen": rows["jobs"].round().astype(int),
            "Tension ": tension.where(shown),
            "Catégorie Tension": pd.Series(np.digitize(tension, _EDGES) + 1.0).where(shown),
            **{name: classes[name].astype("float64").where(shown) for name in _TENSION_COLUMNS},
            "Année": year,
            "niveau_geo": np.where(regional, "reg", "dep"),
            "niveau_fap": "fap 228",
            "reg": rows["region"].str[1:].where(regional),
            "dep": rows["department"].str[1:].where(~regional),
        }
    )
    path = folder / "tension" / f"dares_tensions_{year}_fap_dep_reg.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")
    return Written("tension", path, len(table))


def _tensions(world: World) -> pd.DataFrame:
    """Weigh occupations by their need. One row per FAP 2021 family and département, or Region: jobs, tension, causes."""
    links = family_links(world, "FAP2021")
    need = world.level * world.common[:, : world.past].mean(axis=1)
    tight = world.tightness()[world.occupations["occupation"]].to_numpy()
    regions = world.atoms["department"].map(facts.departments().set_index("department")["region"])
    places = sorted({("", region) for region in regions} | set(zip(world.atoms["department"], regions, strict=True)))
    inside = np.array([(world.atoms["department"] == place) if place else (regions == region) for place, region in places])
    local = inside @ need
    weight = local @ links.to_numpy()
    tension = (inside @ (need * tight)) @ links.to_numpy() / weight
    parts = tension_causes(world)[list(CAUSES)].to_numpy()
    causes = {name: (local * parts[:, number]) @ links.to_numpy() / weight for number, name in enumerate(CAUSES)}
    place, family = np.indices(weight.shape).reshape(2, -1)
    jobs = _REGION_JOBS * world.scale.jobseekers / REGION_JOBSEEKERS
    return pd.DataFrame(
        {
            "family": links.columns.to_numpy()[family],
            "department": np.array([department for department, _ in places], dtype=object)[place],
            "region": np.array([region for _, region in places], dtype=object)[place],
            "jobs": (weight / need.sum() * jobs).ravel(),
            "tension": tension.ravel(),
            **{name: cells.ravel() for name, cells in causes.items()},
        }
    )


def _classes(parts: Numbers, rng: np.random.Generator) -> NDArray[np.int64]:
    """Turn the parts of the causes (columns) into the classes of the six indicators (columns), row by row."""
    left = _STRENGTH * parts @ _LEFT_BEHIND
    return np.asarray(np.clip(np.round(1 + 4 * left + rng.normal(0, _BLUR, left.shape)), 1, 5), dtype=np.int64)
