"""Make ``departments.csv``: every département with its region and those it borders."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from itertools import permutations
from pathlib import Path

import pandas as pd

from features.sources.grid import Layout, read_grid

_TITLES = {"978": "Saint-Martin"}  # which the survey titles Guadeloupe
_SHARED_POINTS = 2  # one point in common is a corner, two are a border
_LAYOUT = Layout(
    {"dept": "department", "nomdept": "title", "reg": "region", "nom reg": "region_title"},
    "A real one is the BMO workbook, with the columns Dept, NomDept, REG, NOM_REG",
)


def list_departments(survey: Path, outlines: Path) -> pd.DataFrame:
    """List the départements a survey names, with their neighbours by the outlines. One row per département."""
    named = read_grid(survey, _LAYOUT)[_LAYOUT.columns].drop_duplicates("department")
    touching = _neighbours(outlines)
    listed = named.assign(
        title=named["department"].map(_TITLES).fillna(named["title"]),
        neighbours=named["department"].map(lambda code: "|".join(f"D{other}" for other in sorted(touching[code]))),
        department="D" + named["department"],
        region="R" + named["region"],
    )
    return listed.sort_values("department")


def _neighbours(outlines: Path) -> dict[str, set[str]]:
    """Say which départements each one borders: outlines that run along each other share their points."""
    owners: dict[tuple[float, float], set[str]] = defaultdict(set)
    for area in json.loads(outlines.read_text(encoding="utf-8"))["features"]:
        shape = area["geometry"]
        for polygon in shape["coordinates"] if shape["type"] == "MultiPolygon" else [shape["coordinates"]]:
            for longitude, latitude in (point for ring in polygon for point in ring):
                owners[longitude, latitude].add(area["properties"]["code"])
    shared = Counter(pair for codes in owners.values() for pair in permutations(codes, 2))
    touching: dict[str, set[str]] = defaultdict(set)
    for (code, other), points in shared.items():
        if points >= _SHARED_POINTS:
            touching[code].add(other)
    return touching
