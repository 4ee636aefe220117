"""How important features are spread, so that the next run can say how far they have drifted.

A profile cuts each feature into bins of about as many values; the next run counts its own values in the same bins. The
population stability index between the shares p before and q now is PSI = Σ (q − p) ln(q ÷ p): 0 where nothing moved, about 0.1
where something did, above 0.25 where much did. It grows by chance alone to about bins × (1 ÷ n before + 1 ÷ n now).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.build import Features

BINS = 10
PROFILE = ["feature", "bin", "low", "high", "share", "n"]
_PEOPLE = ("age", "level", "unemployed_months", "worked_m1_12", "mobility_km", "rsa", "qpv", "th", "neet")
_CELLS = ("positions", "supply", "tension", "projects", "value", "durable", "beginner", "wage_eur")
_COURSES = ("hours", "seats", "price_eur")
_FIGURES, _APART = 6, 1e-3  # of an edge: digits that are kept, and how far it stands from the only value there is
Numbers = npt.NDArray[np.float64]


def profile_features(features: Features, smallest: int, edges_from: pd.DataFrame | None = None) -> pd.DataFrame:
    """Say how important features are spread. One row per feature, bin: low (not in it), high (in it), share, n.

    Bin 0 holds what is not known; an end that is missing is open. ``n`` counts all values of the feature. With
    ``edges_from``, a profile, its bins are those that are counted in. Else each bin that is not empty holds as many as
    ``smallest`` at least, and so does the whole: a profile tells of nobody.
    """
    parts = []
    for name, values in _values(features):
        cells = values.to_numpy(dtype="float64", na_value=np.nan)
        if edges_from is None:
            edges = _own_edges(cells[~np.isnan(cells)], smallest)
        elif name in set(edges_from["feature"]):
            edges = edges_from.loc[(edges_from["feature"] == name) & (edges_from["bin"] > 0), "high"].dropna().to_numpy()
        else:
            continue
        parts.append(_count(name, cells, np.sort(edges), smallest))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=PROFILE)


def _values(features: Features) -> Iterator[tuple[str, pd.Series]]:
    """Name the features that are followed, with their values: one per person tonight, cell, course, start or rate."""
    yield from ((f"people.{name}", features.tonight[name]) for name in _PEOPLE)
    yield "people.women", (features.tonight["sex"] == "F").where(features.tonight["sex"].notna())
    yield from ((f"cells.{name}", features.cells[name]) for name in _CELLS)
    yield from ((f"courses.{name}", features.courses[name]) for name in _COURSES)
    yield "starts.durable_12", features.starts["durable_12"]
    yield "outcomes.value", features.outcomes["value"]


def _own_edges(known: Numbers, smallest: int) -> Numbers:
    """Cut known values into bins of about as many, between values that there are, none of fewer than ``smallest``."""
    if not len(known):
        return np.array([])
    distinct, counts = np.unique(known, return_counts=True)
    if len(distinct) == 1:
        apart = _APART * max(1.0, abs(distinct[0]))
        return _rounded(np.array([distinct[0] - apart, distinct[0] + apart]))
    upto = np.cumsum(counts)
    asked = np.arange(1, BINS) / BINS * len(known)
    last = np.minimum(np.searchsorted(upto, asked), len(distinct) - 2)
    edges = np.unique(_rounded((distinct[last] + distinct[last + 1]) / 2))
    kept: list[float] = []
    below = 0
    for edge in edges:
        upto_edge = int((known <= edge).sum())
        if upto_edge - below >= smallest and len(known) - upto_edge >= smallest:
            kept.append(float(edge))
            below = upto_edge
    return np.array(kept)


def _rounded(edges: Numbers) -> Numbers:
    return np.array([float(f"{edge:.{_FIGURES}g}") for edge in edges])


def _count(name: str, cells: Numbers, edges: Numbers, smallest: int) -> pd.DataFrame:
    """Count values in bins. One row per bin; none where fewer than ``smallest`` values are known or not."""
    known = cells[~np.isnan(cells)]
    counts = np.bincount(np.searchsorted(edges, known, side="left"), minlength=len(edges) + 1)
    unknown, known_count = len(cells) - len(known), int(counts.sum())
    counts = np.concatenate([[unknown if unknown >= smallest else 0], counts if known_count >= smallest else 0 * counts])
    n = int(counts.sum())
    ends = {"low": [np.nan, np.nan, *edges], "high": [np.nan, *edges, np.nan]}
    rows = pd.DataFrame({"feature": name, "bin": range(len(counts)), **ends, "share": counts / max(n, 1), "n": n})
    return rows if n else rows.head(0)


def drift_of(before: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """Say how far features drifted between two profiles with the same bins. One row per feature in both: psi, n_before, n.

    A share of nothing counts as half a value, so that a bin that fills or empties counts much and not infinitely.
    """
    both = before.merge(now, on=["feature", "bin"], suffixes=("_before", ""), how="inner", validate="one_to_one")
    p = np.maximum(both["share_before"], 0.5 / both["n_before"])
    q = np.maximum(both["share"], 0.5 / both["n"])
    told = both.assign(psi=(q - p) * np.log(q / p)).groupby("feature", as_index=False)
    return told.agg(psi=("psi", "sum"), n_before=("n_before", "first"), n=("n", "first"))
