"""The yearly survey of recruitment projects (BMO): the official workbook, or its CSV export.

The data sheet is found by its columns, whose order changes, and two of which carry the year in their name (``BE24``).
``*`` is a statistical secret: not zero, not unknown, and flagged as such. Families are FAP 2009 until 2023, FAP 2021 after.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from features.contracts import Checked
from features.sources.files import each
from features.sources.grid import Layout, read_grid
from features.sources.publication import PublicationParams
from features.tables import BMO

LAYOUT = Layout(
    {
        "annee": "year",
        "code metier bmo": "family",
        r"be\d{2}": "territory",
        "dept": "department",
        "reg": "region",
        "met": "projects",
        "xmet": "difficult",
        "smet": "seasonal",
    },
    "A real one is the workbook or CSV that France Travail publishes, with the columns "
    "annee, Code métier BMO, BE24, Dept, REG, met, xmet, smet",
)
_COUNTS = ("projects", "difficult", "seasonal")
_HIDDEN = "*"
_LAST_FAP_2009 = "2023"


def read_bmo(paths: Sequence[Path], publication: PublicationParams) -> Checked:
    """Read surveys. One row per family, bassin × département and year, of the whole country."""
    parts = each(paths, partial(read_grid, layout=LAYOUT))
    rows = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[*LAYOUT.columns, "reason"], dtype="str")
    return BMO.parse(_in_contract(rows, publication.bmo_day), BMO.name)


def _in_contract(rows: pd.DataFrame, published: str) -> pd.DataFrame:
    """Type the codes, tell secrets from numbers and date the survey, still as texts. Same rows."""
    secrets = {f"{name}_secret": (rows[name] == _HIDDEN).map({True: "1", False: "0"}) for name in _COUNTS}
    return rows.assign(
        **{name: rows[name].mask(rows[name] == _HIDDEN, "") for name in _COUNTS},
        **secrets,
        territory=rows["territory"].str.zfill(4),
        department=rows["department"].str.zfill(2),
        region=rows["region"].str.zfill(2),
        nomenclature=(rows["year"] <= _LAST_FAP_2009).map({True: "FAP2009", False: "FAP2021"}),
        known_from=(rows["year"] + "-" + published).where(rows["year"] != "", ""),
    )
