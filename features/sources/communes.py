"""The communes of France by zone d'emploi, département and région, as the Insee lists them.

The day on which the list came out stands above its table.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from features.contracts import Checked
from features.reference_tables import COMMUNES
from features.sources.files import each
from features.sources.grid import Layout, read_grid, top_of
from features.sources.lists import dated
from features.sources.publication import PublicationParams, day_in_name

LAYOUT = Layout(
    {
        "codgeo": "commune",
        "libgeo": "name",
        r"ze\d{4}": "zone",
        r"libze\d{4}": "zone_title",
        "dep": "department",
        "reg": "region",
    },
    "A real one is the Insee's workbook of zones d'emploi, with the columns CODGEO, LIBGEO, ZE2020, LIBZE2020, DEP, REG",
    optional=frozenset({"zone_title"}),
)
_PUT_ONLINE = re.compile(r"Mise en ligne le (\d{2})/(\d{2})/(\d{4})")


def read_communes(paths: Sequence[Path], publication: PublicationParams) -> Checked:
    """Read lists of communes. One row per commune of France and edition."""
    none = pd.DataFrame(columns=[*LAYOUT.columns, "file", "line", "reason", "day"], dtype="str")
    rows = pd.concat([none, *each(paths, _read_dated)], ignore_index=True)
    return COMMUNES.parse(rows.assign(known_from=dated(rows["day"], publication)), COMMUNES.name)


def _read_dated(path: Path) -> pd.DataFrame:
    """Read one list, with the day in its name or above its table. One row per commune."""
    cells = (cell for sheet in top_of(path).sheets for row in sheet for cell in row)
    days = ["-".join(reversed(found.groups())) for cell in cells if (found := _PUT_ONLINE.search(cell))]
    return read_grid(path, LAYOUT).assign(day=day_in_name(path) or max(days, default=""))
