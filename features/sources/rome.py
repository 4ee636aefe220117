"""The ROME: its occupations, the moves between them, and the skills they ask, in versions 3 and 4.

A version is told by the file's name (``v460`` is 4.60), else by the columns that only version 4 has. An occupation of
version 3 is its own parent. In version 3 a move may concern one job of an occupation only: that is not a move of the
occupation, and stays apart. Version 4 ranks moves and says no more which are an evolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from features.contracts import Checked
from features.reference_tables import MOBILITIES, OCCUPATION_SKILLS, ROME, SKILLS
from features.sources.grid import Layout, Top, plain
from features.sources.lists import read_lists
from features.sources.publication import PublicationParams

_EXAMPLE = "A real one is the CSV of France Travail's ROME, named like"
_FLAGS = {
    "digital": "transition num",
    "ageing": "transition demo",
    "regulated": "emploi reglemente",
    "executive": "emploi cadre",
}
OCCUPATIONS = Layout(
    {
        "code rome": "code",
        r"code fiche \w+": "sheet",
        "libelle rome": "title",
        "code rome parent": "parent",
        "transition eco": "green",
        **{header: name for name, header in _FLAGS.items()},
    },
    f"{_EXAMPLE} unix_referentiel_code_rome_v460_utf8.csv, with the columns code_rome, code_fiche_metier, libelle_rome",
    optional=frozenset({"parent", "green", *_FLAGS}),
)
MOVES = Layout(
    {
        "code rome": "origin",
        "code rome cible": "target",
        "code appellation source": "origin_job",
        "code appellation cible": "target_job",
        "libelle type mobilite": "kind",
        "numero ordre": "rank",
    },
    f"{_EXAMPLE} unix_rubrique_mobilite_v460_utf8.csv, with the columns code_rome, code_rome_cible",
    optional=frozenset({"origin_job", "target_job", "kind", "rank"}),
)
TITLES = Layout(
    {
        "code ogr(?: competence| savoir)?": "skill",
        "libelle (?:competence|savoir)": "title",
        "libelle type competence|nature": "kind",
        "definition": "definition",
    },
    f"{_EXAMPLE} unix_referentiel_competence_v460_utf8.csv, with the columns code_ogr, libelle_competence",
    optional=frozenset({"kind", "definition"}),
)
LINKS = Layout(
    {"code rome": "occupation", "code ogr": "skill", "coeur metier": "core"},
    f"{_EXAMPLE} unix_coherence_item_v460_utf8.csv, with the columns code_rome, code_ogr",
    optional=frozenset({"core"}),
)


def read_rome(paths: Sequence[Path], publication: PublicationParams) -> Checked:
    """Read lists of occupations. One row per version and occupation."""
    rows = _versioned(read_lists(paths, OCCUPATIONS, publication), "parent")
    flags = {name: rows[name].replace({"O": "1", "N": "0"}) for name in _FLAGS}
    third = rows["version"].str.startswith("3")
    return ROME.parse(rows.assign(**flags, parent=rows["parent"].mask(third, rows["code"])), ROME.name)


def read_mobilities(paths: Sequence[Path], publication: PublicationParams) -> Checked:
    """Read lists of moves. One row per version, occupation left and occupation reached, and job left or reached."""
    rows = _versioned(read_lists(paths, MOVES, publication), "rank")
    kinds = {kind: plain(kind) for kind in rows["kind"].unique()}
    return MOBILITIES.parse(rows.assign(kind=rows["kind"].map(kinds).astype("str")), MOBILITIES.name)


def read_skills(paths: Sequence[Path], publication: PublicationParams) -> Checked:
    """Read lists of skills. One row per version and skill."""
    return SKILLS.parse(_versioned(read_lists(paths, TITLES, publication), "definition"), SKILLS.name)


def read_occupation_skills(paths: Sequence[Path], publication: PublicationParams) -> Checked:
    """Read what occupations hold. One row per version, occupation and item: a skill, an activity or a working condition."""
    return OCCUPATION_SKILLS.parse(_versioned(read_lists(paths, LINKS, publication), "core"), OCCUPATION_SKILLS.name)


def only_links(top: Top) -> bool:
    """Say whether a file links occupations to items and holds nothing else: other files of the ROME have both codes too."""
    return any(len(cells) <= len(LINKS.headers) and not LINKS.missing(cells) for sheet in top.sheets for cells in sheet)


def _versioned(rows: pd.DataFrame, fourth: str) -> pd.DataFrame:
    """Add the version: of the file's name, else 4 where the column ``fourth`` holds anything, which 3 lacks. Same rows."""
    named = rows["file"].str.extract(r"_v([34])(\d{2})(?!\d)")
    told = (rows[fourth] != "").groupby(rows["file"]).transform("any").map({True: "4", False: "3"}).astype("str")
    return rows.assign(version=(named[0] + "." + named[1]).astype("str").fillna(told))
