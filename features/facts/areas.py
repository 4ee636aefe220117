"""Make the tables of areas: ``departments.csv`` (those each one borders), ``bassins.csv`` and ``centres.csv``."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd

from features.sources.grid import Layout, read_grid

_TITLES = {"978": "Saint-Martin"}  # which the survey titles Guadeloupe
_SHARED_POINTS = 2  # one point in common is a corner, two are a border
_KM_PER_DEGREE = 111.195  # of a meridian, on a sphere of 6,371 km
_HIDDEN = "*"
_LAYOUT = Layout(
    {"dept": "department", "nomdept": "title", "reg": "region", "nom reg": "region_title"},
    "A real one is the BMO workbook, with the columns Dept, NomDept, REG, NOM_REG",
)
_BASSINS = Layout(
    {r"be\d{2}": "territory", "dept": "department", r"nombe\d{2}": "title", "met": "weight"},
    "A real one is the BMO workbook, with the columns Dept, BE24, NOMBE24, met",
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
    for code, rings in _outlines(outlines):
        for longitude, latitude in (point for ring in rings for point in ring):
            owners[longitude, latitude].add(code)
    shared = Counter(pair for codes in owners.values() for pair in permutations(codes, 2))
    touching: dict[str, set[str]] = defaultdict(set)
    for (code, other), points in shared.items():
        if points >= _SHARED_POINTS:
            touching[code].add(other)
    return touching


def _outlines(path: Path) -> Iterator[tuple[str, list[list[tuple[float, float]]]]]:
    """Read the outlines of areas: the code of the area and the rings of one of its polygons, the outer ring first."""
    for area in json.loads(path.read_text(encoding="utf-8"))["features"]:
        shape = area["geometry"]
        for rings in shape["coordinates"] if shape["type"] == "MultiPolygon" else [shape["coordinates"]]:
            yield area["properties"]["code"], [[(point[0], point[1]) for point in ring] for ring in rings]


def list_bassins(survey: Path) -> pd.DataFrame:
    """List the bassins a survey names, by département, with their projects. One row per bassin × département."""
    rows = read_grid(survey, _BASSINS)[_BASSINS.columns]
    listed = rows.assign(
        territory="BE" + rows["territory"].str.zfill(4),
        department="D" + rows["department"].str.zfill(2),
        weight=rows["weight"].replace(_HIDDEN, "0").astype(int),
    )
    return listed.groupby(["territory", "department"], as_index=False).agg(title=("title", "first"), weight=("weight", "sum"))


def list_centres(outlines: Path) -> pd.DataFrame:
    """Find the centre of gravity and the area of each outline. One row per département."""
    rings = [
        {"department": f"D{code}", **_moments(np.array(ring), 1 if outer == 0 else -1)}
        for code, polygon in _outlines(outlines)
        for outer, ring in enumerate(polygon)
    ]
    sums = pd.DataFrame(rings).groupby("department", as_index=False).sum()
    centres = {name: (sums[name] / sums["area_km2"]).round(4) for name in ("latitude", "longitude")}
    return sums.assign(**centres, area_km2=sums["area_km2"].round().astype(int))[["department", *centres, "area_km2"]]


def _moments(ring: np.ndarray, sign: int) -> dict[str, float]:
    """Measure a ring by the shoelace formula: its area, and its centre times this area; a hole counts against."""
    longitude, latitude = ring[:, 0], ring[:, 1]
    middle = latitude.mean()
    crossed = longitude[:-1] * latitude[1:] - longitude[1:] * latitude[:-1]
    area = abs(crossed.sum()) / 2 * _KM_PER_DEGREE**2 * np.cos(np.radians(middle)) * sign
    centre = [((axis[:-1] + axis[1:]) * crossed).sum() / (3 * crossed.sum()) for axis in (latitude, longitude)]
    return {"area_km2": area, "latitude": centre[0] * area, "longitude": centre[1] * area}
