"""The yearly survey of recruitment projects (BMO), as the official workbook."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import xlsxwriter

from features import facts
from needs.twin.scales import SURVEYS
from needs.twin.world import World

_ERROR = 0.15
_SECRET_BELOW = 5
_FIRST_FAP_2021 = 2024
_ELSEWHERE = ("27", "Bourgogne-Franche-Comté", "21", "Côte-d'Or", "2701", "DIJON")
_FAMILY = ["Code métier BMO", "Nom métier BMO", "Famille_met", "Lbl_fam_met"]
_PLACE = ["BE", "NOMBE"]
_DEPARTMENT = ["Dept", "NomDept"]
_REGION = ["REG", "NOM_REG"]
_COUNTS = ["met", "xmet", "smet"]
_ORDERS = (
    ["annee", *_FAMILY, *_PLACE, *_DEPARTMENT, *_REGION, *_COUNTS],
    ["annee", *_FAMILY, *_REGION, *_DEPARTMENT, *_PLACE, *_COUNTS],
    ["annee", *_REGION, *_DEPARTMENT, *_PLACE, *_FAMILY, *_COUNTS],
)


def survey_years(world: World) -> list[int]:
    """List the years whose survey is out at ``as_of`` (results come in mid-April) and whose need the world holds."""
    last = world.as_of.year if world.as_of >= pd.Timestamp(world.as_of.year, 4, 15) else world.as_of.year - 1
    return [year for year in range(last - SURVEYS + 1, last + 1) if (world.months.year == year).any()]


def draw_survey(world: World, year: int) -> pd.DataFrame:
    """Ask employers for their projects of a year, seasonal ones included. One row per family and bassin × département.

    Temporary agency work is left out, as in the real survey. Counts are text; less than 5 is a secret, ``*``.
    """
    rng = world.rng("survey", str(year))
    counts = _projects(world, year)
    error = rng.lognormal(0, _ERROR, len(counts))
    projects = rng.poisson(counts["projects"] * error)
    seasonal = rng.binomial(projects, (counts["seasonal"] / counts["projects"]).clip(0, 1))
    difficult = rng.binomial(projects, counts["difficult"])
    rows = counts.assign(met=projects, xmet=difficult, smet=seasonal)
    rows = rows[rows["met"] > 0]
    named = _named(rows, world, year)
    return pd.concat([named, _elsewhere(named)], ignore_index=True)


def _projects(world: World, year: int) -> pd.DataFrame:
    """Count the year's need by family. One row per atom and family: projects, seasonal ones among them, share difficult."""
    months = np.flatnonzero(world.months.year == year)
    scale = 12 / len(months)
    nomenclature = "FAP2009" if year < _FIRST_FAP_2021 else "FAP2021"
    links = facts.occupation_families()
    links = links[links["nomenclature"] == nomenclature]
    atom, occupation = np.indices(world.need.shape[:2]).reshape(2, -1)
    seasonal = world.seasonal[:, :, months].sum(axis=2).ravel() * scale
    cells = pd.DataFrame(
        {
            "atom": atom,
            "occupation": world.occupations["occupation"].to_numpy()[occupation],
            "difficult": world.occupations["difficult"].to_numpy()[occupation],
            "seasonal": seasonal,
            "projects": world.need[:, :, months].sum(axis=2).ravel() * scale + seasonal,
        }
    )
    both = cells.merge(links[["occupation", "family", "weight"]], on="occupation", how="inner", validate="many_to_many")
    weight = both["weight"].astype(float)
    both = both.assign(family=both["family"].str[:5], projects=both["projects"] * weight, seasonal=both["seasonal"] * weight)
    both = both.assign(difficult=both["difficult"] * both["projects"])
    total = both.groupby(["atom", "family"], as_index=False)[["projects", "seasonal", "difficult"]].sum()
    total = total[total["projects"] > 0]
    return total.assign(difficult=total["difficult"] / total["projects"]).reset_index(drop=True)


def _named(rows: pd.DataFrame, world: World, year: int) -> pd.DataFrame:
    """Write codes, titles and texts as the workbook has them. Same rows."""
    atoms = world.atoms.iloc[rows["atom"]]
    places = facts.territories().set_index("territory")["title"]
    nomenclature = "FAP2009" if year < _FIRST_FAP_2021 else "FAP2021"
    families = facts.families()
    titles = families[families["nomenclature"] == nomenclature].set_index("family")["title"]
    text = {name: rows[name].astype("str").mask(rows[name] < _SECRET_BELOW, "*").to_numpy() for name in _COUNTS}
    return pd.DataFrame(
        {
            "annee": year,
            "Code métier BMO": rows["family"].to_numpy(),
            "Nom métier BMO": titles.reindex(rows["family"]).fillna("").to_numpy(),
            "Famille_met": rows["family"].str[0].to_numpy(),
            "Lbl_fam_met": titles.reindex(rows["family"].str[0]).fillna("").to_numpy(),
            "BE": atoms["territory"].str[2:].astype(int).to_numpy(),
            "NOMBE": places.reindex(atoms["territory"]).str.upper().to_numpy(),
            "Dept": atoms["department"].str[1:].to_numpy(),
            "NomDept": places.reindex(atoms["department"]).to_numpy(),
            "REG": "44",
            "NOM_REG": "Grand Est",
            **text,
        }
    )


def _elsewhere(rows: pd.DataFrame) -> pd.DataFrame:
    """Make up some rows of a neighbouring Region, since official files are national. One row per family."""
    region, region_title, department, department_title, bassin, bassin_title = _ELSEWHERE
    few = rows.drop_duplicates("Code métier BMO").head(5)
    place = {"REG": region, "NOM_REG": region_title, "Dept": department, "NomDept": department_title}
    return few.assign(**place, BE=int(bassin), NOMBE=bassin_title, met="25", xmet="*", smet="*")


def write_survey(rows: pd.DataFrame, year: int, path: Path) -> None:
    """Write the workbook of a year: the description first, the data second, in the column order of that year."""
    order = _ORDERS[year % len(_ORDERS)]
    book = xlsxwriter.Workbook(path)
    book.set_properties({"title": f"BMO {year}", "created": datetime.datetime(year, 4, 15)})
    about = book.add_worksheet("Description des variables")
    about.write_row(0, 1, ["Variables", "Description"])
    for line, name in enumerate(order, 1):
        about.write_row(line, 1, [_with_year(name, year), "voir la documentation de l'enquête"])
    sheet = book.add_worksheet(f"BMO_{year}_open_data")
    sheet.write_row(0, 0, [_with_year(name, year) for name in order])
    for line, row in enumerate(rows[order].itertuples(index=False), 1):
        sheet.write_row(line, 0, row)
    book.close()


def _with_year(name: str, year: int) -> str:
    return f"{name}{year % 100:02d}" if name in _PLACE else name
