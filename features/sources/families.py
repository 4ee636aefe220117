"""The families of occupations (FAP): their titles in both nomenclatures, and the occupations that those of 2009 hold.

The passage of the Dares comes as a workbook laid out for the eye, where a family stands once above its occupations, between
notes; and as a plain table without titles. FAP 2021 comes with four grains on a line, the finest first.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from features.contracts import Checked
from features.reference_tables import FAMILIES, OCCUPATION_FAMILIES
from features.sources.files import each
from features.sources.grid import Layout, Top, top_of
from features.sources.lists import read_lists
from features.sources.publication import PublicationParams

_PASSAGE = {"fap": "family", "familles professionnelles": "title", "rome": "occupation"}
_EXAMPLE = "A real one is the passage of the Dares, a workbook with the columns FAP, Familles professionnelles, PCS, …, ROME"
PASSAGE = Layout(_PASSAGE, f"{_EXAMPLE}, or a CSV with the columns Fap;Rome;intitule_rome", optional=frozenset({"title"}))
_TITLED = Layout(_PASSAGE, f"{_EXAMPLE}, or the CSV of FAP 2021, with the columns Code_FAP341, Intitulé_FAP341, …")
_GRAINS = ("22", "86", "228", "341")
TITLES = Layout(
    {
        header: f"{part}_{grain}"
        for grain in _GRAINS
        for header, part in ((f"code fap{grain}", "family"), (f"intitule fap{grain}", "title"))
    },
    _TITLED.example,
)
_NONE = "NA"
_CODE = r"\S{1,6}"  # what stands in the column of families and is no note


def holds_titles(top: Top) -> bool:
    """Say whether a file begins as one that gives families their titles."""
    return TITLES.heads(top) or _TITLED.heads(top)


def read_families(paths: Sequence[Path], publication: PublicationParams) -> Checked:
    """Read titles of families. One row per nomenclature and family; where two grains share a code, the wider stands."""
    newer = dict(zip(paths, each(paths, lambda path: TITLES.heads(top_of(path))), strict=True))
    older = read_lists([path for path in paths if not newer[path]], _TITLED, publication)
    named = older[older["family"].str.fullmatch(_CODE) | (older["reason"] != "")]
    parent = named["family"].str[:3].where(named["family"].str.len() > 3, named["family"].str[:1])
    rows_2009 = named.assign(
        nomenclature="FAP2009", title=named["title"].str.strip(" *"), parent=parent.mask(parent == named["family"], "")
    )
    rows_2021 = _grains(read_lists([path for path in paths if newer[path]], TITLES, publication))
    return FAMILIES.parse(pd.concat([rows_2009, rows_2021], ignore_index=True), FAMILIES.name)


def _grains(lines: pd.DataFrame) -> pd.DataFrame:
    """Take the grains of a line apart. One row per family, on the first line that names it, and per wrong line."""
    parts = []
    for grain, wider in zip(_GRAINS, ("", *_GRAINS), strict=False):
        family, parent = lines[f"family_{grain}"], lines[f"family_{wider}"] if wider else ""
        title = lines[f"title_{grain}"].str.split().str.join(" ")
        part = lines.assign(nomenclature="FAP2021", family=family, title=title, parent=parent)
        parts.append(part[(part["family"] != part["parent"]) & (part["reason"] == "")] if wider else part)
    every = pd.concat(parts)
    again = every.duplicated(["file", "family", "title", "parent"]) & (every["reason"] == "")
    return every[~again]


def read_occupation_families(paths: Sequence[Path], publication: PublicationParams) -> Checked:
    """Read passages. One row per occupation and family that holds it; both forms of the passage say the same."""
    rows = read_lists(paths, PASSAGE, publication)
    codes = rows["family"].where(rows["family"].str.fullmatch(_CODE))
    above = codes.groupby(rows["file"]).ffill().fillna("")
    laid_out = (rows["title"] != "").groupby(rows["file"]).transform("any")
    linked = rows.assign(family=rows["family"].mask(laid_out, above), nomenclature="FAP2009")
    holding = ~rows["occupation"].isin(["", _NONE]) | (rows["reason"] != "")
    return OCCUPATION_FAMILIES.parse(linked[holding], OCCUPATION_FAMILIES.name)
