"""The yearly survey of recruitment projects (BMO), as the official workbook.

    projects ~ Poisson(need × exp(bias of the family + error × ε))        ε ~ N(0, 1), one for each cell and year

where need is that of the year, seasonal work included, temporary agency work left out as in the real survey. ``survey.error``
is the spread of a cell; the bias of a family is drawn once with spread ``survey.bias`` and is the same in every year and
place: some employers announce more than they recruit, others less, and no further edition tells. FAP 2009, asked until
2023, has the biases of the families of 2021 that follow it. Counts below 5 are a secret, ``*``: in the workbooks of 2023
and 2024 a fifth of the rows hold one. The spreads are the world's to choose: no source tells the real ones.
"""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import xlsxwriter

from features import facts
from needs.twin.market import Market
from needs.twin.scales import SURVEYS
from needs.twin.world import World

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


def nomenclature_of(year: int) -> str:
    """Say in which families the survey of a year counts.

    >>> nomenclature_of(2023), nomenclature_of(2024)
    ('FAP2009', 'FAP2021')
    """
    return "FAP2009" if year < _FIRST_FAP_2021 else "FAP2021"


def family_links(world: World, nomenclature: str) -> pd.DataFrame:
    """Link occupations to families. One row per occupation of the world (by position), one column per family."""
    links = facts.occupation_families()
    links = links[links["nomenclature"] == nomenclature]
    table = links.pivot_table(index="occupation", columns="family", values="weight", aggfunc="sum", fill_value=0.0)
    table = table.reindex(world.occupations["occupation"]).fillna(0.0).reset_index(drop=True)
    return table.loc[:, table.sum() > 0]


def survey_bias(world: World, nomenclature: str) -> pd.Series[float]:
    """Draw the log of what the employers of each family announce over what they need, by family, for all years and places."""
    listed = facts.families()
    recent = listed[(listed["nomenclature"] == "FAP2021") & (listed["family"].str.len() == 5)]
    families = np.sort(recent["family"].to_numpy(dtype=object))
    drawn = pd.Series(world.rng("survey bias").normal(0, world.dials.survey.bias, len(families)), index=families)
    if nomenclature == "FAP2021":
        return drawn
    links = facts.family_families()
    shared = links["weight"] * links["family_2021"].map(drawn).fillna(0.0)
    return shared.groupby(links["family_2009"]).sum()


def survey_rows(market: Market, year: int) -> pd.DataFrame:
    """Ask the employers of a département for their projects of a year. One row per bassin × département and family.

    ``met`` counts projects, ``xmet`` those held difficult, ``smet`` seasonal ones; nothing is hidden yet.
    """
    rng = market.rng("survey", str(year))
    cells = _projects(market, year)
    bias = survey_bias(market.world, nomenclature_of(year)).reindex(cells["family"]).fillna(0.0).to_numpy()
    error = rng.lognormal(0, market.world.dials.survey.error, len(cells))
    projects = rng.poisson(cells["projects"] * np.exp(bias) * error)
    seasonal = rng.binomial(projects, (cells["seasonal"] / cells["projects"]).clip(0, 1))
    difficult = rng.binomial(projects, (cells["difficult"] / cells["projects"]).clip(0, 1))
    rows = cells.assign(year=year, met=projects, xmet=difficult, smet=seasonal)
    rows = rows[["year", "family", "territory", "department", *_COUNTS]]
    return rows[rows["met"] > 0].reset_index(drop=True)


def _projects(market: Market, year: int) -> pd.DataFrame:
    """Count the year's recruitments. One row per atom and family: all, seasonal ones and difficult ones among them."""
    world = market.world
    months = np.flatnonzero(world.months.year == year)
    links = family_links(world, nomenclature_of(year))
    seasonal, lasting = (counts[:, :, months].sum(axis=2) * 12 / len(months) for counts in (market.seasonal, market.need))
    both = seasonal + lasting
    counted = {"projects": both, "seasonal": seasonal, "difficult": both * world.occupations["difficult"].to_numpy()}
    sums = {name: counts @ links.to_numpy() for name, counts in counted.items()}
    atom, family = np.nonzero(sums["projects"])
    places = world.atoms.iloc[market.atoms[atom]]
    return pd.DataFrame(
        {
            "family": links.columns.to_numpy()[family],
            "territory": places["territory"].to_numpy(),
            "department": places["department"].to_numpy(),
            **{name: cells[atom, family] for name, cells in sums.items()},
        }
    )


def write_survey(rows: pd.DataFrame, year: int, path: Path) -> int:
    """Write the workbook of a year from the rows of all départements. Says how many rows it holds.

    The description comes first, the data second, in the column order of that year.
    """
    named = _named(rows, year)
    table = pd.concat([named, _elsewhere(named)], ignore_index=True)[_ORDERS[year % len(_ORDERS)]]
    path.parent.mkdir(parents=True, exist_ok=True)
    book = xlsxwriter.Workbook(path)
    book.set_properties({"title": f"BMO {year}", "created": datetime.datetime(year, 4, 15)})
    about = book.add_worksheet("Description des variables")
    about.write_row(0, 1, ["Variables", "Description"])
    for line, name in enumerate(table, 1):
        about.write_row(line, 1, [_with_year(str(name), year), "voir la documentation de l'enquête"])
    sheet = book.add_worksheet(f"BMO_{year}_open_data")
    sheet.write_row(0, 0, [_with_year(str(name), year) for name in table])
    for line, row in enumerate(table.itertuples(index=False), 1):
        sheet.write_row(line, 0, row)
    book.close()
    return len(table)


def _named(rows: pd.DataFrame, year: int) -> pd.DataFrame:
    """Write codes, titles, texts and secrets as the workbook has them. Same rows."""
    bassins = facts.bassins().drop_duplicates("territory").set_index("territory")["title"]
    departments = facts.departments().set_index("department").reindex(rows["department"])
    families = facts.families()
    titles = families[families["nomenclature"] == nomenclature_of(year)].set_index("family")["title"]
    letters = rows["family"].str[0]
    text = {name: rows[name].astype("str").mask(rows[name] < _SECRET_BELOW, "*").to_numpy() for name in _COUNTS}
    return pd.DataFrame(
        {
            "annee": year,
            "Code métier BMO": rows["family"].to_numpy(),
            "Nom métier BMO": titles.reindex(rows["family"]).fillna("").to_numpy(),
            "Famille_met": letters.to_numpy(),
            "Lbl_fam_met": titles.reindex(letters).fillna("").to_numpy(),
            "BE": rows["territory"].str[2:].astype(int).to_numpy(),
            "NOMBE": bassins.reindex(rows["territory"]).fillna("").to_numpy(),
            "Dept": rows["department"].str[1:].to_numpy(),
            "NomDept": departments["title"].to_numpy(),
            "REG": departments["region"].str[1:].to_numpy(),
            "NOM_REG": departments["region_title"].to_numpy(),
            **text,
        }
    )


def _elsewhere(rows: pd.DataFrame) -> pd.DataFrame:
    """Make up some rows of a neighbouring Region, since official files are national. One row per family.

    None where the world holds that Region itself.
    """
    region, region_title, department, department_title, bassin, bassin_title = _ELSEWHERE
    few = rows.drop_duplicates("Code métier BMO").head(0 if (rows["REG"] == region).any() else 5)
    place = {"REG": region, "NOM_REG": region_title, "Dept": department, "NomDept": department_title}
    return few.assign(**place, BE=int(bassin), NOMBE=bassin_title, met="25", xmet="*", smet="*")


def _with_year(name: str, year: int) -> str:
    return f"{name}{year % 100:02d}" if name in _PLACE else name
