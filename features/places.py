"""Where rows belong: the bassin and the département of their commune.

A commune of the Region that the table does not know is a wrong row. A commune elsewhere is ``outside``: its territory
stays missing, and an offer or a jobseeker from there is counted and left out, unless the offer is across a border.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features import facts
from features.cells import each_distinct
from features.contracts import Checked, Contract

EARTH_KM = 6371.0088
_HERE_ONLY = ("offers", "jobseekers")


def own_or_shipped(territories: pd.DataFrame) -> pd.DataFrame:
    """Give the communes of the Region: its own grouping where there is one, else the one shipped. One row per commune."""
    return territories if len(territories) else facts.communes()


def place(checked: Checked, contract: Contract, communes: pd.DataFrame) -> Checked:
    """Fill ``territory`` and ``department`` from the commune. Same rows, but for the wrong ones and those outside.

    An offer that names only its département keeps it, without a territory, and one that names only the Region keeps neither; a
    jobseeker without a commune is kept.
    """
    names = {column.name for column in contract.columns}
    if not {"commune", "territory", "department"} <= names:
        return checked
    rows = checked.kept
    known = communes.set_index("commune")
    territory, department = (
        each_distinct(rows["commune"], partial(_looked_up, known[name])) for name in ("territory", "department")
    )
    named = rows["commune"].notna()
    region = set(communes["department"])
    lost = named & territory.isna() & each_distinct(rows["commune"], _department_of).isin(region)
    filled = rows.assign(territory=territory, department=department.where(named, rows["department"]))
    outside = _outside(filled, region, contract) & ~lost
    wrong = checked.origin[lost].assign(reason=_reason(rows.loc[lost, "commune"], contract))
    stays = ~lost & ~outside
    if stays.all():
        return replace(checked, kept=filled)
    return replace(
        checked,
        kept=filled[stays].reset_index(drop=True),
        origin=checked.origin[stays].reset_index(drop=True),
        rejected=pd.concat([checked.rejected, wrong], ignore_index=True),
        outside=checked.outside + int(outside.sum()),
    )


def _looked_up(values: pd.Series[str], communes: pd.Series[str]) -> pd.Series[str]:
    return communes.map(values).astype("str")


def _department_of(communes: pd.Series[str]) -> pd.Series[str]:
    """Read the département in a commune's code: ``C67482`` is in ``D67``, ``C97411`` in ``D974``."""
    return "D" + communes.str[1:3].mask(communes.str[1:3] == "97", communes.str[1:4])


def _outside(rows: pd.DataFrame, region: set[str], contract: Contract) -> pd.Series[bool]:
    """Mark the rows that say where they are, and are neither in the Region nor across its border."""
    if contract.name not in _HERE_ONLY:
        return pd.Series(False, index=rows.index)
    elsewhere = (rows["commune"].notna() | rows["department"].notna()) & ~rows["department"].isin(region)
    return elsewhere & rows["border"].isna() if "border" in rows else elsewhere


def _reason(communes: pd.Series[str], contract: Contract) -> pd.Series[str]:
    """Say that a commune is unknown; which one, except in tables of persons."""
    named = all(column.name != "person" for column in contract.columns)
    return "unknown commune" + (" " + communes.str[1:] if named else communes.str[:0])


def great_circle_km(left: pd.DataFrame, right: pd.DataFrame) -> NDArray[np.float64]:
    """Measure how far places are from others, by ``latitude`` and ``longitude``: a row per place of ``left``, in kilometres."""
    return arcs_km(unit_vectors(left), unit_vectors(right))


def apart_km(left: pd.DataFrame, right: pd.DataFrame) -> NDArray[np.float64]:
    """Measure how far the place of each row of ``left`` is from that of the same row of ``right``, in kilometres."""
    here, there = unit_vectors(left), unit_vectors(right)
    product = here[0] * there[0] + here[1] * there[1] + here[2] * there[2]
    return np.asarray(np.arccos(np.clip(product, -1.0, 1.0)) * EARTH_KM)


def unit_vectors(places: pd.DataFrame) -> NDArray[np.float64]:
    """Give the place of each row on a sphere of radius one: three coordinates, a column per place."""
    latitude, longitude = np.radians(places[["latitude", "longitude"]].to_numpy(dtype="float64")).T
    return np.stack([np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)])


def arcs_km(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Measure the arcs between unit vectors, in kilometres: exact to a metre."""
    # written out, since the library of matrices may round a sum otherwise when rows stand in another order
    product = np.zeros((left.shape[1], right.shape[1]))
    for here, there in zip(left, right, strict=True):
        product += np.multiply.outer(here, there)
    angles: NDArray[np.float64] = np.arccos(np.clip(product, -1.0, 1.0))
    return angles * EARTH_KM
