"""The skills that the ROME lists, in its real format: those it knows of each occupation, and what all of them are called.

The list knows an occupation's steady skills and those that vanish; it does not hold yet those that emerge, though their codes
have a title: what certifications do not name is then known. Its edition is as old as the world, and so known all along it.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from needs.twin.raw import Written
from needs.twin.skills import OWN, SHARED, skill_table
from needs.twin.world import World

_FOLDER, _VERSION = "reference", "v460"
_KIND, _KIND_TITLE, _IN_FORCE = "2", "SAVOIR-FAIRE", "1"


def skill_titles(occupation: str, title: str) -> list[str]:
    """Call the skills of one occupation, in their order: its own by its title, those it shares by its domain.

    >>> skill_titles("A1101", "Conduite d'engins")[5:7]
    ["Conduite d'engins : geste 6", 'A11 : geste commun 1']
    """
    own = [f"{title} : geste {k + 1}" for k in range(OWN)]
    return [*own, *(f"{occupation[:3]} : geste commun {k + 1}" for k in range(SHARED))]


def write_skills(world: World, folder: Path) -> list[Written]:
    """Write which skills each occupation holds, and the list of all skills."""
    table = skill_table(world)
    known = table[table["fate"] != "emerging"]
    links = pd.DataFrame({"code_rome": known["occupation"], "code_ogr": known["skill"]})
    named = zip(world.occupations["occupation"], world.occupations["title"], strict=True)
    titles = [text for occupation, title in named for text in skill_titles(occupation, title)]
    listed = pd.DataFrame({"code_ogr": table["skill"], "libelle_competence": titles}).drop_duplicates("code_ogr")
    listed = listed.assign(code_type_competence=_KIND, libelle_type_competence=_KIND_TITLE, statut=_IN_FORCE)
    return [
        _write(links, "unix_coherence_item", world, folder),
        _write(listed, "unix_referentiel_competence", world, folder),
    ]


def _write(table: pd.DataFrame, name: str, world: World, folder: Path) -> Written:
    """Write one table as the open data of the ROME lays it out: commas, every cell in quotes, apostrophes twice."""
    path = folder / _FOLDER / f"{name}_{_VERSION}_utf8_{world.months[0].start_time:%Y-%m-%d}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    doubled = table.apply(lambda cells: cells.str.replace("'", "''", regex=False))
    doubled.sort_values(list(table.columns)).to_csv(path, index=False, quoting=1, lineterminator="\n", encoding="utf-8")
    return Written(_FOLDER, path, len(table))
