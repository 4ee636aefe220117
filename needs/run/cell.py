"""One territory and sector, and a number that is known of them with the parts that add up to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from features.build import Features
from features.crosswalks import sector_links
from features.vocabulary import DEPARTMENT, REGION, is_region

ATOM = ["territory", "department"]
YEAR = 12
PART = {"noun": "str", "code": "str", "whole": "float64", "weight": "float64", "value": "float64", "n": "float64"}


def no_parts() -> pd.DataFrame:
    """Give the parts of a number that has none. One row per part: value = whole × weight."""
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in PART.items()})


@dataclass(frozen=True)
class Cell:
    """What is looked at: one territory, one sector, at one exit level or at all of them (""), as known at ``as_of``.

    ``atoms`` has one row per bassin × département of the territory; ``links`` one per occupation that the sector trains for,
    with the ``weight`` that the sector (and level) has in it.
    """

    territory: str
    sector: str
    level: str
    as_of: pd.Timestamp
    atoms: pd.DataFrame
    links: pd.DataFrame

    def within(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Keep the rows of the territory. Same row."""
        inside = frame["territory"].isin(self.atoms["territory"])
        if "department" in frame:
            inside &= frame["department"].isin(self.atoms["department"])
        return frame[inside]

    def trained(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Keep the rows of the sector and, where one is looked at, of the level. Same row."""
        own = frame["sector"] == self.sector
        return frame[own & (frame["level"] == self.level)] if self.level else frame[own]

    def weigh(self, frame: pd.DataFrame, measure: str) -> pd.DataFrame:
        """Weigh what a frame says of the territory's occupations. One row per part, the largest first."""
        return self.share(self.within(frame), measure)

    def share(self, frame: pd.DataFrame, measure: str) -> pd.DataFrame:
        """Weigh occupations, wherever they are, by their links to the sector. One row per part, the largest first."""
        sums = frame.groupby("occupation")[measure].sum()
        held = self.links[self.links["occupation"].isin(sums.index[sums != 0])]
        whole = held["occupation"].map(sums).astype("float64")
        parts = pd.DataFrame({"noun": "occupation", "code": held["occupation"], "whole": whole, "weight": held["weight"]})
        return in_order(parts.assign(value=parts["whole"] * parts["weight"], n=float("nan")))

    def average(self, frame: pd.DataFrame, measure: str, mass: str) -> pd.DataFrame:
        """Average what a frame says of the territory's occupations over a mass. One row per part, the largest first.

        ``whole`` is the mean of the occupation, ``weight`` its part of the mass, shared by the links to the sector.
        """
        own = self.within(frame)
        told = own[["occupation"]].assign(told=own[measure].astype("float64"), mass=own[mass].astype("float64"))
        rows = told[told["told"].notna() & (told["mass"] > 0)].merge(self.links, on="occupation", validate="many_to_one")
        shared = rows["mass"] * rows["weight"]
        sums = (
            rows.assign(mass=shared, told=rows["told"] * shared).groupby("occupation", as_index=False)[["mass", "told"]].sum()
        )
        parts = pd.DataFrame({"noun": "mean", "code": sums["occupation"], "whole": sums["told"] / sums["mass"]})
        parts = parts.assign(weight=sums["mass"] / sums["mass"].sum(), n=float("nan"))
        return in_order(parts.assign(value=parts["whole"] * parts["weight"]))

    @property
    def tells_bassins(self) -> bool:
        """Whether tables that tell bassins apart, and no départements, can speak of the territory."""
        return not self.territory.startswith(DEPARTMENT.prefix)


def in_order(parts: pd.DataFrame) -> pd.DataFrame:
    """Put the largest part first. Same rows."""
    return parts.sort_values(["value", "code"], ascending=[False, True], ignore_index=True).astype(PART)


@dataclass(frozen=True)
class Figure:
    """One number: what its formula is made of (``said``), its parts, which add up to it, and the rows behind it."""

    name: str
    value: float
    low: float = float("nan")
    high: float = float("nan")
    n: float = float("nan")
    borrowed: float = float("nan")
    grade: str = ""
    said: Mapping[str, object] = field(default_factory=dict)
    parts: pd.DataFrame = field(default_factory=no_parts)
    rows: tuple[str, ...] = ()


def look_at(asked: tuple[str, str, str], features: Features, *, as_of: pd.Timestamp, communes: pd.DataFrame) -> Cell:
    """Find the atoms of the territory asked for (bassin, département or the Region) and the occupations of the sector."""
    territory, sector, level = asked
    territory = REGION if is_region(territory) else territory
    atoms = communes[ATOM].drop_duplicates().sort_values(ATOM, ignore_index=True)
    if territory != REGION:
        atoms = atoms[atoms["department" if DEPARTMENT.spelt(pd.Series([territory]))[0] else "territory"] == territory]
    links = sector_links(features.crosswalks).query("sector == @sector")
    links = links[links["level"] == level] if level else links
    weights = links.groupby("occupation", as_index=False)[["weight"]].sum()
    return Cell(territory, sector, level, as_of, atoms, weights)
