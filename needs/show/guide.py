"""What each source is, where to get it, and what a run is worth without it: one table, for people who bring files."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from needs.show.messages import LANGUAGES

WEIGHTS = ("needed", "much", "some")
"""How much a source weighs: without one that is needed there is no run; others lower grades, or leave tables empty."""


class Guide(NamedTuple):
    """What is said of one folder of ``data/raw``; ``address`` is empty for files that only the Region has."""

    weight: str
    address: str
    format: str
    what: Mapping[str, str]
    without: Mapping[str, str]


@cache
def guides() -> Mapping[str, Guide]:
    """Read what is said of each folder of ``data/raw``, those that weigh most first."""
    with files("needs.show").joinpath("sources.csv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, delimiter=";"))
    told = {
        row["folder"]: Guide(
            row["weight"],
            row["address"],
            row["format_fr"],
            *({language: row[f"{name}_{language}"] for language in LANGUAGES} for name in ("what", "without")),
        )
        for row in rows
    }
    return dict(sorted(told.items(), key=lambda item: WEIGHTS.index(item[1].weight)))


def leaflet(folder: str) -> str:
    """Write what lies in a new folder, in French: what to put there, where to get it, in which format, what it is worth."""
    guide = guides()[folder]
    weight = {"needed": "indispensable", "much": "beaucoup", "some": "un peu"}[guide.weight]
    without = guide.without["fr"][:1].lower() + guide.without["fr"][1:]
    lines = [
        f"data/raw/{folder}",
        "",
        guide.what["fr"],
        f"Où\N{NO-BREAK SPACE}: {guide.address or 'dans vos propres systèmes'}",
        f"Format\N{NO-BREAK SPACE}: {guide.format}",
        f"Poids\N{NO-BREAK SPACE}: {weight}. Sans ces fichiers\N{NO-BREAK SPACE}: {without}",
        "",
        f"Essayer un fichier avant de le déposer\N{NO-BREAK SPACE}: needs check {folder} FICHIER",
        "Plusieurs fichiers peuvent se suivre (un par année, un par département)\N{NO-BREAK SPACE}; ce texte n'est pas lu.",
        "",
    ]
    return "\n".join(lines)
