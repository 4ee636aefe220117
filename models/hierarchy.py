"""What adds up to what: cells (one place × one occupation) to wider places, and occupations to families and sectors.

:func:`build_hierarchy` lays the sums out once, as a sparse matrix that holds only what is not zero; :func:`add_up` makes the
history of every grain from that of the cells. A *grain* is named ``place/group``, like ``department/occupation``; the cells
themselves are the grain ``cell``. A cell's ``territory`` names its atom by any text that says one place (``BE4415 D67``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from features.vocabulary import InputError

CELL_GRAIN = "cell"
OWN_PLACE, OWN_OCCUPATION = "atom", "occupation"  # grains that need no link: the cell's own place, and its own occupation
SERIES = ["grain", "territory", "occupation"]
_NOISE = 1e-9  # what sums of weights may be off by
_NAMED = 5  # codes named in an error

Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """The series and their sums.

    ``series`` has one row per series (grain, territory, occupation or group): the cells first, in the order of the columns of
    ``sums``, then the aggregates, in the order of its rows, each the weighted sum of its cells. ``unmapped`` has one row per
    grain and occupation whose weights fall short of one: the ``share`` of it that the grain does not hold.
    """

    series: pd.DataFrame
    sums: sparse.csr_array
    unmapped: pd.DataFrame

    @property
    def cells(self) -> int:
        """How many cells there are."""
        return int(self.sums.shape[1])

    @property
    def grains(self) -> list[str]:
        """The grains of the aggregates, those of most series first: what is nearest to the cells is heard first."""
        count = self.series["grain"].iloc[self.cells :].value_counts(sort=False)
        return [str(grain) for grain in count.sort_values(ascending=False, kind="stable").index]

    def rows(self, grain: str) -> NDArray[np.bool_]:
        """Mark the rows of the sums that are of a grain."""
        marked: NDArray[np.bool_] = (self.series["grain"].iloc[self.cells :] == grain).to_numpy(dtype=bool)
        return marked


def build_hierarchy(
    cells: pd.DataFrame, places: pd.DataFrame, groups: pd.DataFrame, grains: Iterable[tuple[str, str]]
) -> Hierarchy:
    """Lay out what adds up to what. Reads one row per cell: territory, occupation.

    ``places`` has one row per grain of places and atom: ``grain, territory, place`` (the atom ``BE4415 D67`` lies in the
    ``department`` ``D67``). ``groups`` has one row per link: ``grain, occupation, group, weight``; the weights of an
    occupation add up to one at the most, over as many groups as it has. ``grains`` are the pairs of both that are wanted;
    the place ``atom`` and the group ``occupation`` are the cell's own. A place without a cell has no series.
    """
    listed = cells[["territory", "occupation"]].drop_duplicates().sort_values(["territory", "occupation"], ignore_index=True)
    pairs = list(dict.fromkeys(grains))
    held = {grain: _places_of(listed, places, grain) for grain in dict.fromkeys(pair[0] for pair in pairs)}
    linked = {grain: _groups_of(listed, groups, grain) for grain in dict.fromkeys(pair[1] for pair in pairs)}
    parts = [_sum_over(held[place], linked[group], f"{place}/{group}") for place, group in pairs]
    series = pd.concat([listed.assign(grain=CELL_GRAIN)[SERIES], *(part[0] for part in parts)], ignore_index=True)
    blocks = [sparse.csr_array((0, len(listed)), dtype=np.float64), *(part[1] for part in parts)]
    short = [_unmapped(listed, linked[group], f"{place}/{group}") for place, group in pairs]
    nothing = pd.DataFrame({"grain": [], "occupation": [], "share": []}).astype({"grain": "str", "occupation": "str"})
    unmapped = pd.concat([nothing, *short], ignore_index=True) if short else nothing
    return Hierarchy(series.astype("str"), sparse.csr_array(sparse.vstack(blocks, format="csr")), unmapped)


def _places_of(cells: pd.DataFrame, places: pd.DataFrame, grain: str) -> pd.DataFrame:
    """Say in which place each cell lies. One row per cell, in their order: cell, place."""
    if grain == OWN_PLACE:
        return pd.DataFrame({"cell": range(len(cells)), "place": cells["territory"]})
    own = places.loc[places["grain"] == grain, ["territory", "place"]].drop_duplicates()
    if twice := sorted(own.loc[own["territory"].duplicated(), "territory"].unique()):
        raise InputError(f"{_some(twice)} lie in two places of the grain '{grain}': each atom lies in one.")
    if lost := sorted({*cells["territory"]} - {*own["territory"]}):
        raise InputError(f"{_some(lost)} lie in no place of the grain '{grain}': give each atom its place.")
    found = cells[["territory"]].merge(own, on="territory", how="left", validate="many_to_one")
    return pd.DataFrame({"cell": range(len(cells)), "place": found["place"]})


def _groups_of(cells: pd.DataFrame, groups: pd.DataFrame, grain: str) -> pd.DataFrame:
    """Say to which groups each cell counts, and how much. One row per cell and group: cell, occupation, group, weight."""
    numbered = cells[["occupation"]].assign(cell=range(len(cells)))
    if grain == OWN_OCCUPATION:
        return numbered.assign(group=numbered["occupation"], weight=1.0)
    own = groups.loc[groups["grain"] == grain, ["occupation", "group", "weight"]]
    if own.empty:
        raise InputError(f"No occupation is linked to a group of the grain '{grain}'.")
    total = own.groupby("occupation")["weight"].sum()
    wrong = own.loc[~(own["weight"] > 0), "occupation"].tolist() + total.index[~(total <= 1 + _NOISE)].tolist()
    if wrong:
        raise InputError(f"The weights of {_some(sorted({*wrong}))} in '{grain}' must be above 0 and add up to 1 at the most.")
    summed = own.groupby(["occupation", "group"], as_index=False)[["weight"]].sum()
    return numbered.merge(summed, on="occupation", how="inner", validate="many_to_many")


def _sum_over(places: pd.DataFrame, groups: pd.DataFrame, grain: str) -> tuple[pd.DataFrame, sparse.csr_array]:
    """Give the series of one grain, one row per series, and the weights of the cells in each, one row per series."""
    parts = groups.merge(places, on="cell", how="left", validate="many_to_one")
    labels = parts[["place", "group"]]
    series = labels.drop_duplicates().sort_values(["place", "group"], ignore_index=True)
    row = labels.merge(series.assign(row=range(len(series))), on=["place", "group"], how="left", validate="many_to_one")["row"]
    where = (row.to_numpy(), parts["cell"].to_numpy())
    weights = sparse.coo_array((parts["weight"].to_numpy(dtype=np.float64), where), shape=(len(series), len(places)))
    return series.set_axis(["territory", "occupation"], axis=1).assign(grain=grain)[SERIES], sparse.csr_array(weights)


def _unmapped(cells: pd.DataFrame, groups: pd.DataFrame, grain: str) -> pd.DataFrame:
    """Say what of each occupation a grain leaves out. One row per grain and occupation that is not wholly held."""
    links = groups[["occupation", "group", "weight"]].drop_duplicates()
    held = links.groupby("occupation")["weight"].sum().reindex(sorted({*cells["occupation"]}), fill_value=0.0)
    short = (1 - held)[held < 1 - _NOISE]
    return pd.DataFrame({"grain": grain, "occupation": short.index.astype("str"), "share": short.to_numpy()})


def _some(codes: Sequence[str]) -> str:
    more = f" and {len(codes) - _NAMED} more" if len(codes) > _NAMED else ""
    return ", ".join(codes[:_NAMED]) + more


# Series as matrices -------------------------------------------------------------------------------------------------------


def add_up(panel: pd.DataFrame, hierarchy: Hierarchy) -> pd.DataFrame:
    """Make the history of every grain from that of the cells. One row per grain, territory, occupation, period: value.

    Reads one row per cell and period (territory, occupation, period, value); what is absent is zero.
    """
    cells = panel.assign(grain=CELL_GRAIN)
    periods, (values,) = lay_out(cells, cells["period"], hierarchy, ["value"])
    fine = np.nan_to_num(values[: hierarchy.cells])
    return write_out(hierarchy, periods, {"value": np.vstack([fine, hierarchy.sums @ fine])})


def lay_out(
    frame: pd.DataFrame, columns: pd.Series, hierarchy: Hierarchy, measures: Sequence[str]
) -> tuple[pd.Index, list[Matrix]]:
    """Lay measures out as matrices, one row per series of the hierarchy, one column per label; what is absent is missing.

    Reads one row per series (grain, territory, occupation) and label. A measure that the frame lacks is missing throughout.
    """
    row, known = _row_of(frame, hierarchy)
    if not known.all():
        first = frame.loc[~known, SERIES].astype("str").agg(" ".join, axis=1)
        raise InputError(f"{int((~known).sum())} rows are of no series of the hierarchy: {_some(sorted({*first}))}.")
    column, labels = pd.factorize(columns, sort=True)
    cell = row * max(len(labels), 1) + column
    seen = np.zeros(len(hierarchy.series) * len(labels), dtype=bool)
    seen[cell] = True
    if seen.sum() < len(cell):
        raise InputError("Some series have two values for one period: give one row per series and period.")
    shape = (len(hierarchy.series), len(labels))
    laid = []
    for name in measures:
        values = np.full(shape, np.nan)
        if name in frame:
            values.reshape(-1)[cell] = frame[name].to_numpy(dtype=np.float64)
        laid.append(values)
    return pd.Index(labels), laid


def _row_of(frame: pd.DataFrame, hierarchy: Hierarchy) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Find the row of the hierarchy of each row of a frame, and whether it has one."""
    sought, known = np.zeros(len(frame), dtype=np.int64), np.ones(len(frame), dtype=bool)
    coded = np.zeros(len(hierarchy.series), dtype=np.int64)
    for name in SERIES:
        # Codes are numbered first: texts are slow to compare.
        own, codes = pd.factorize(hierarchy.series[name], sort=False)
        given, texts = pd.factorize(frame[name], sort=False)
        number = np.append(pd.Index(codes).get_indexer(pd.Index(texts)), -1)[given]
        known &= number >= 0
        coded, sought = coded * (len(codes) + 1) + own, sought * (len(codes) + 1) + number
    order = np.argsort(coded, kind="stable")
    at = np.minimum(np.searchsorted(coded, sought, sorter=order), max(len(coded) - 1, 0))
    found = order[at] if len(coded) else at
    if len(coded):
        known &= coded[found] == sought
    return found.astype(np.int64), known


def write_out(hierarchy: Hierarchy, labels: pd.Index, measures: dict[str, Matrix]) -> pd.DataFrame:
    """Write matrices as a frame. One row per grain, territory, occupation, period."""
    count = len(labels)
    series = hierarchy.series.take(np.repeat(np.arange(len(hierarchy.series)), count)).reset_index(drop=True)
    period = labels.take(np.tile(np.arange(count), len(hierarchy.series)))
    return series.assign(period=period, **{name: values.reshape(-1) for name, values in measures.items()})
