"""The Dares tension indicators by family and territory, with what explains each tension.

The nomenclature is told by the codes, of which FAP 2009 and FAP 2021 share a handful only. Families of three and of five
characters come side by side, and so do France, its régions and its départements: they are not to be added up. An indicator
is empty where the family has too few jobs in the territory.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from features import facts
from features.contracts import Checked
from features.market_tables import CAUSES, TENSION
from features.sources.editions import figures, known_after, read_editions
from features.sources.grid import Layout
from features.sources.publication import PublicationParams

LAYOUT = Layout(
    {
        "annee": "year",
        "niveau geo(?:graphique)?": "scale",
        "reg|code reg(?:ion)?": "region",
        "dep|code dep(?:artement)?": "department",
        "(?:code )?fap": "family",
        "emploi moyen": "jobs",
        "(?:indicateur de )?tension": "tension",
        "categorie (?:de )?tension": "tension_level",
        "intensite d ?embauches?": "hiring_intensity",
        "lien formation emploi": "training_link",
        "manque de main d ?(?:oe)?uvre(?: disponible)?": "few_available",
        "non durabilite de l ?emploi": "short_lived_jobs",
        "conditions de travail(?: contraignantes)?": "hard_conditions",
        "inadequation geographique": "far_from_jobs",
        "non attractivite salariale": "low_pay",
    },
    "A real one is the CSV of the Dares, with the columns fap, Emploi moyen, Tension, Catégorie Tension, "
    "Intensité d'embauches, Lien formation-emploi, …, Année, niveau_geo, reg, dep",
    optional=frozenset({"jobs", "tension", "low_pay"}),
)
_FIGURES = ("jobs", "tension", "tension_level", *CAUSES, "low_pay")
_SCALES = {"nat": "FR", "reg": "R", "dep": "D"}


def read_tension(paths: Sequence[Path], publication: PublicationParams) -> Checked:
    """Read tension indicators. One row per family, territory and year, of the whole country."""
    rows = read_editions(paths, LAYOUT)
    return TENSION.parse(_in_contract(rows, publication.tension_months), TENSION.name)


def _in_contract(rows: pd.DataFrame, lag: int) -> pd.DataFrame:
    """Type the codes, blank what is no figure and date the edition, still as texts. Same rows."""
    return rows.assign(
        **{name: figures(rows[name]) for name in _FIGURES},
        nomenclature=_nomenclature_of(rows),
        territory=_territory_of(rows),
        known_from=known_after(rows, rows["year"] + "-12-31", lag),
    )


def _nomenclature_of(rows: pd.DataFrame) -> pd.Series[str]:
    """Say which nomenclature holds more of the codes of a file and year. Same rows."""
    listed = facts.families().groupby("nomenclature")["family"].agg(set)
    older = rows["family"].isin(listed["FAP2009"]).astype("int64") - rows["family"].isin(listed["FAP2021"]).astype("int64")
    return (older.groupby([rows["file"], rows["year"]]).transform("sum") > 0).map({True: "FAP2009", False: "FAP2021"})


def _territory_of(rows: pd.DataFrame) -> pd.Series[str]:
    """Type the code of the scale that a row is on; a région may be written as a number, ``1.0`` for ``R01``. Same rows."""
    scale = rows["scale"].str.lower().str[:3]
    numbers = rows["department"].where(scale == "dep", rows["region"])
    codes = numbers.str.replace(r"[.,]0$", "", regex=True).str.upper().str.zfill(2)
    return scale.map(_SCALES).fillna("") + codes.where(scale != "nat", "")
