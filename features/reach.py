"""What lies within travel reach: the demand and supply of neighbouring territories, whatever border runs between them.

A territory's own counts whole; a neighbour's by how near its people live: weight = 1 − distance ÷ reach, nothing beyond.
Distance is the mean great-circle distance between somebody of the one and somebody of the other, at the centres of their
communes: the distance of the two centres of gravity would be 7 % short between neighbours of Grand Est.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features import facts
from features.params import Section, param
from features.places import arcs_km, great_circle_km, unit_vectors

_PLACE = ["territory", "latitude", "longitude", "population"]


class ReachParams(Section):
    """How far people travel to work or to a course."""

    reach_km: float = param(
        50.0, "what lies this far from a territory's people, on average, counts for nothing there", unit="km", ge=0, le=150
    )


def travel_weights(communes: pd.DataFrame, cells: pd.DataFrame, params: ReachParams) -> pd.DataFrame:
    """Weigh the territories that each one can reach, itself too. One row per territory, neighbour: km, weight, approximate.

    Weights lie in 0…1, the same both ways, 1 for a territory itself, whose ``km`` is the mean distance within it.
    Territories of ``cells`` that hold no known commune (what touches the Region) stand at the centre of their département:
    ``approximate``. One whose département has no known centre reaches itself only.
    """
    homes = pd.concat([communes[_PLACE].assign(approximate=False), _outside(communes, cells)], ignore_index=True)
    homes = homes.assign(population=homes["population"].clip(lower=1.0)).sort_values(_PLACE, ignore_index=True)
    pairs = _near(homes, params.reach_km)
    lived_in = {str(name): _people(rows) for name, rows in homes.groupby("territory")}
    kilometres = [_mean_km(lived_in[here], lived_in[there]) for here, there in pairs]
    rough = homes.groupby("territory")["approximate"].any()
    half = pd.DataFrame(pairs, columns=["territory", "neighbour"], dtype="str").assign(km=np.array(kilometres, dtype="float64"))
    own = half["territory"] == half["neighbour"]
    weight = (1 - half["km"] / params.reach_km).where(~own, 1.0) if params.reach_km > 0 else own.astype("float64")
    half = half.assign(
        weight=weight, approximate=(half["territory"].map(rough) | half["neighbour"].map(rough)).astype(bool)
    ).query("weight > 0")
    turned = half[half["territory"] != half["neighbour"]].rename(columns={"territory": "neighbour", "neighbour": "territory"})
    both = pd.concat([half, turned[list(half)]], ignore_index=True)
    return both.sort_values(["territory", "neighbour"], ignore_index=True)


def _outside(communes: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """Place the territories that hold no known commune. One row per territory and département of theirs."""
    named = cells[["territory", "department"]].drop_duplicates().dropna()
    outside = named[~named["territory"].isin(communes["territory"])]
    centres = facts.centres()[["department", "latitude", "longitude"]]
    placed = outside.merge(centres, on="department", how="left", validate="many_to_one")
    return placed[["territory", "latitude", "longitude"]].assign(population=1.0, approximate=True)


def _near(homes: pd.DataFrame, reach_km: float) -> list[tuple[str, str]]:
    """List the pairs whose centres of gravity are within reach; people are, on average, no nearer than these."""
    weighed = homes[["latitude", "longitude"]].mul(homes["population"], axis="index").assign(population=homes["population"])
    sums = weighed.groupby(homes["territory"]).sum(min_count=1)
    centres = sums[["latitude", "longitude"]].div(sums["population"], axis="index")
    known = centres.dropna()
    near = (
        np.argwhere(np.triu(great_circle_km(known, known) < reach_km, k=1)) if len(known) else np.empty((0, 2), dtype="int64")
    )
    names = [str(name) for name in known.index]
    return sorted([(str(name), str(name)) for name in centres.index] + [(names[i], names[j]) for i, j in near.tolist()])


class _People(NamedTuple):
    """Where the people of a territory live: a unit vector and a share for each commune."""

    places: NDArray[np.float64]
    share: NDArray[np.float64]


def _people(homes: pd.DataFrame) -> _People:
    people = homes["population"].to_numpy(dtype="float64")
    return _People(unit_vectors(homes), people / people.sum())


def _mean_km(here: _People, there: _People) -> float:
    """Give the distance between somebody here and somebody there, on average, in kilometres."""
    if np.isnan(here.places).any() or np.isnan(there.places).any():
        return 0.0
    return float((arcs_km(here.places, there.places) * np.outer(here.share, there.share)).sum())


def within_reach(cells: pd.DataFrame, weights: pd.DataFrame, measures: list[str]) -> pd.DataFrame:
    """Add to each measure what neighbours have: ``<measure>_reach`` = Σ over neighbours of weight × measure.

    One row per territory of ``weights`` and key of ``cells`` that it or a neighbour has; the keys are all columns but the
    measures and ``department``, over which measures are added up first. The measure itself is 0 where only neighbours have
    some.
    """
    keys = [str(name) for name in cells if name not in ("territory", "department", *measures)]
    told = cells[cells["territory"].notna()]
    if told.duplicated(["territory", *keys]).any():  # sums of floats depend on their order
        told = told.sort_values(["territory", *keys, *measures])
    sums = told.groupby(["territory", *keys], as_index=False)[measures].sum()
    listed = sums[keys].drop_duplicates().sort_values(keys, ignore_index=True) if keys else pd.DataFrame(index=[0])
    names = sorted(set(weights["territory"]) | set(weights["neighbour"]))
    row = sums.groupby(keys).ngroup().to_numpy() if keys else np.zeros(len(sums), dtype="int64")
    at = pd.Index(names).get_indexer(pd.Index(sums["territory"]))
    inside = at >= 0
    present = np.zeros((len(listed), len(names)))
    present[row[inside], at[inside]] = 1.0
    seen = _reached(present, weights, names) > 0
    where = np.nonzero(seen)
    here = pd.Series(names, dtype="str").iloc[where[1]].reset_index(drop=True).rename("territory")
    rows = pd.concat([here, listed.iloc[where[0]].reset_index(drop=True)], axis="columns")
    for name in measures:
        own = np.zeros((len(listed), len(names)))
        own[row[inside], at[inside]] = sums[name].to_numpy(dtype="float64")[inside]
        rows = rows.assign(**{name: own[where], f"{name}_reach": _reached(own, weights, names)[where]})
    return rows.sort_values(["territory", *keys], ignore_index=True)


def _reached(own: NDArray[np.float64], weights: pd.DataFrame, names: list[str]) -> NDArray[np.float64]:
    """Add up what each territory reaches, neighbour after neighbour: the same sums whatever the machine."""
    reached = np.zeros_like(own)
    index = pd.Index(names)
    here, there = index.get_indexer(pd.Index(weights["territory"])), index.get_indexer(pd.Index(weights["neighbour"]))
    for i, j, weight in zip(here, there, weights["weight"].to_numpy(dtype="float64"), strict=True):
        reached[:, i] += weight * own[:, j]
    return reached
