"""Sources held against each other: vacancies, the survey, projections, hires and what territories say, cell by cell.

    sources = pd.concat([...])                       one row per cell and source: value, n, age_years
    compared = compare_sources(sources, params)      what each says beside what the others say
    cells = disagree(compared)                       how far they are apart, and who most
    sector_disagreement(cells, sector_links(...))    the same by sector, as it is published

``value`` is recruitments a year as the source sees them, ``n`` what that rests on (offers, projects, hires), ``age_years`` how
old it is. Any other column is part of the cell: territory, department, occupation, or a wider one.

Sources see different parts of the same market: the survey counts intentions, vacancies show a share, hires are those of some
people only. So the overall scale of each is taken away first, as the median of its ratios to one source, the anchor; what is
left is where they tell different stories. All is done on logarithms: twice as many is as far as half as many.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.params import Section, param

CELL = ["territory", "department", "occupation"]
SIGNALS, SURVEY = "signals", "bmo"
COMPARED = ["source", "value", "n", "age_years", "variance", "scale", "agreed", "ratio", "noise", "sign", "weight"]
_MEASURED = ("source", "value", "n", "age_years")
HALF = 0.5  # of an observation: what may have been missed where none was seen

Numbers = NDArray[np.float64]


class SourceParams(Section):
    """How far one source errs beyond the chance of counting."""

    name: str = param("", "name of the source, as its rows say it")
    error: float = param(0.3, "error of one figure beyond chance", unit="log", ge=0.01, le=3)
    scale_of: str = param("", "source whose scale it has by construction; empty: its own")


class DisagreementParams(Section):
    """When sources disagree."""

    # Offers and hires are recorded, intentions and studies are judgements.
    sources: tuple[SourceParams, ...] = param(
        (
            SourceParams(name="vacancies", error=0.2),
            SourceParams(name=SURVEY, error=0.3),
            SourceParams(name="projections", error=0.4),
            SourceParams(name="hires", error=0.3),
            SourceParams(name=SIGNALS, error=0.4, scale_of="vacancies"),
        ),
        "what is known of each source",
    )
    other_error: float = param(0.4, "error of any other source", unit="log", ge=0.01, le=3)
    error_per_year: float = param(0.1, "error that each year of age adds", unit="log per year", ge=0, le=3)
    anchor: str = param(
        "vacancies", "source that scales are told against; without it the survey, else the one with the most cells"
    )
    fewest_cells: int = param(
        5, "cells that a source shares with the anchor at least, or it is not compared", unit="cells", ge=1, le=1000
    )
    clear: float = param(1.64, "a source is clearly apart beyond so many spreads of the noise", unit="spreads", ge=0.5, le=5)
    change_per_step: float = param(
        0.06, "change a year that one step of a signal's direction claims", unit="share", ge=0, le=0.45
    )


def claim_changes(signals: pd.DataFrame, before: pd.DataFrame, params: DisagreementParams) -> pd.DataFrame:
    """Turn what signals say into what they expect. One row per territory, department, occupation: a source of its own.

    ``before`` holds the ``value`` (recruitments) and ``n`` of the year before, as the source sees them whose scale signals
    have:

        value = before × (1 + ``change_per_step`` × direction)        n = 1 ÷ (1 ÷ n before + 1 ÷ weight of the signals)

    Set against the volumes of the last year, this compares the change that is claimed with the change that was seen.
    """
    columns = [*CELL, "direction", "weight", "age_months"]
    both = before[[*CELL, "value", "n"]].merge(signals[columns], on=CELL, how="inner", validate="one_to_one")
    told = both[(both["value"] > 0) & (both["n"] > 0) & (both["weight"] > 0)].sort_values(CELL, ignore_index=True)
    return told[CELL].assign(
        source=SIGNALS,
        value=told["value"] * (1 + params.change_per_step * told["direction"]),
        n=1 / (1 / told["n"] + 1 / told["weight"]),
        age_years=told["age_months"] / 12,
    )


# Beside each other ------------------------------------------------------------------------------------------------------


def compare_sources(sources: pd.DataFrame, params: DisagreementParams) -> pd.DataFrame:
    """Hold each source against the others of its cell. One row per cell, source.

    ``scale`` is the ratio of the whole source to the anchor; z = log(value) − log(scale), and its variance

        v = 1 ÷ (n + ½) + error² + (``error_per_year`` × age)²

    ``agreed`` is what the *others* say (their mean of z, each with weight 1 ÷ v), told on the scale of this source. ``ratio``
    = log(value ÷ agreed), ``noise`` the spread it would have if they agreed, ``sign`` −1 or +1 where it is beyond ``clear`` ×
    noise, else 0. ``weight`` is the share of the source in the consensus of all; weights add up to one per cell.

    A source alone in its cell has no ``agreed`` and the sign 0. One without a scale (too few cells in common with the anchor)
    has no weight. Where nothing was seen, half an observation is put in.
    """
    cell = _cell_of(sources)
    rows = _read(sources, cell, params)
    scale = rows["source"].map(_scales(rows, cell, params)).astype("float64")
    precision = (1 / rows["variance"]).where(scale.notna() & rows["log"].notna(), 0.0)
    pull = precision * (rows["log"] - scale).fillna(0.0)
    sums = pd.DataFrame({"precision": precision, "pull": pull, "some": (precision > 0).astype("int64")}).groupby(
        [rows[name] for name in cell]
    )
    whole = sums["precision"].transform("sum")
    others = (whole - precision).where((sums["some"].transform("sum") > 1) & (precision > 0))
    agreed = (sums["pull"].transform("sum") - pull) / others + scale
    ratio, noise = rows["log"] - agreed, np.sqrt(rows["variance"] + 1 / others)
    return rows.assign(
        scale=np.exp(scale),
        agreed=np.exp(agreed),
        ratio=ratio,
        noise=noise,
        sign=((ratio > params.clear * noise).astype("int64") - (ratio < -params.clear * noise).astype("int64")),
        weight=(precision / whole.where(whole > 0)).fillna(0.0),
    )[[*cell, *COMPARED]]


def _cell_of(frame: pd.DataFrame) -> list[str]:
    """Name the columns that make the cell: all but those that are measured or compared."""
    return [str(name) for name in frame if name not in {*_MEASURED, *COMPARED}]


def _read(sources: pd.DataFrame, cell: list[str], params: DisagreementParams) -> pd.DataFrame:
    """Put what sources say on logarithms, with its variance. Same rows, but those that say nothing, in order of cells."""
    rows = sources[sources["value"].notna()].sort_values([*cell, "source"], ignore_index=True)
    totals = rows.groupby("source")[["value", "n"]].transform("sum")
    unit = (totals["value"] / totals["n"].where(totals["n"] > 0)).where(totals["value"] > 0)
    seen = rows["value"].where(rows["value"] > 0, HALF * unit)
    errors = {source.name: source.error for source in params.sources}
    error = rows["source"].map(errors).astype("float64").fillna(params.other_error)
    age = params.error_per_year * rows["age_years"].fillna(0.0)
    counted = rows["n"].astype("float64").fillna(0.0)
    return rows.assign(
        log=np.log(seen), n=counted, age_years=rows["age_years"].fillna(0.0), variance=1 / (counted + HALF) + error**2 + age**2
    )


def _scales(rows: pd.DataFrame, cell: list[str], params: DisagreementParams) -> dict[str, float]:
    """Give the log of the scale of each source that has one: the median of its ratios to the anchor, by what they rest on."""
    known = rows[rows["log"].notna()]
    cells = known["source"].value_counts().sort_index().sort_values(ascending=False, kind="stable")
    if cells.empty:
        return {}
    anchor = _anchor(known, cell, params)
    base = known.loc[known["source"] == anchor, [*cell, "log", "n"]]
    pairs = known.merge(base, on=cell, how="inner", suffixes=("", "_anchor"), validate="many_to_one")
    scales = {anchor: 0.0}
    for name, both in pairs[pairs["source"] != anchor].groupby("source"):
        if len(both) >= params.fewest_cells:
            apart = (both["log"] - both["log_anchor"]).to_numpy()
            rests = 1 / (1 / (both["n"] + HALF) + 1 / (both["n_anchor"] + HALF))
            scales[str(name)] = _weighted_median(apart, rests.to_numpy())
    same = {source.name: source.scale_of for source in params.sources if source.scale_of in scales and source.name in cells}
    return scales | {name: scales[base_name] for name, base_name in same.items()}


def _anchor(known: pd.DataFrame, cell: list[str], params: DisagreementParams) -> str:
    """Name the source that scales are told against: the usual one, then the survey, then the one with most cells.

    It shares ``fewest_cells`` with another one, or nothing could be told against it.
    """
    cells = known["source"].value_counts().sort_index().sort_values(ascending=False, kind="stable")
    shared = known.loc[known.duplicated(cell, keep=False), "source"].value_counts()
    named = [str(name) for name in dict.fromkeys((params.anchor, SURVEY, *cells.index)) if name in cells.index]
    return next((name for name in named if shared.get(name, 0) >= params.fewest_cells), named[0])


def _weighted_median(values: Numbers, weights: Numbers) -> float:
    """Give the value that parts the weights in two halves.

    >>> _weighted_median(np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 1.0]))
    2.0
    """
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order]) / weights.sum()
    below, above = np.searchsorted(reached, [HALF - _NOISE, HALF + _NOISE])
    return float((values[order][below] + values[order][min(above, len(values) - 1)]) / 2)


_NOISE = 1e-9  # what sums of weights may be off by


# How far apart ----------------------------------------------------------------------------------------------------------


def disagree(compared: pd.DataFrame) -> pd.DataFrame:
    """Say how far the sources of a cell are apart. One row per cell.

    With Q the sum over sources of (z − mean of z)² ÷ v, ``disagreement`` = max(0, 1 − (sources − 1) ÷ Q): the share of what
    lies between them that chance and the usual errors do not explain, 0 when they agree within noise, towards 1 when they tell
    different stories. ``known`` says that two sources at least were compared; one alone has disagreement 0 and tells nothing.
    ``value`` is their consensus on the scale of the anchor, ``sources`` counts them and ``n`` adds up what they rest on.
    ``most_apart`` is the source furthest from the others (of two, the one of less weight), missing where they agree.
    """
    cell = _cell_of(compared)
    used = compared[compared["weight"] > 0].sort_values([*cell, "source"], ignore_index=True)
    log = (np.log(used["agreed"]) - np.log(used["scale"]) + used["ratio"]).fillna(0.0)
    apart = used["ratio"] / used["noise"]
    told = used.assign(
        spread=(apart**2 * (1 - used["weight"])).fillna(0.0), log=log * used["weight"], alone=used["value"] / used["scale"]
    )
    cells = told.groupby(cell, as_index=False).agg(
        log=("log", "sum"), alone=("alone", "first"), sources=("log", "size"), n=("n", "sum"), spread=("spread", "sum")
    )
    known = cells["sources"] > 1
    excess = 1 - (cells["sources"] - 1) / cells["spread"].where(cells["spread"] > 0)
    cells = cells.assign(
        value=np.exp(cells["log"]).where(known, cells["alone"]), disagreement=excess.clip(lower=0.0).fillna(0.0), known=known
    )
    ranked = used.assign(apart=apart.abs().round(_DIGITS)).sort_values(
        [*cell, "apart", "weight", "source"], ascending=[*[True] * len(cell), False, True, True]
    )
    first = ranked.drop_duplicates(cell)[[*cell, "source"]].rename(columns={"source": "most_apart"})
    both = cells.merge(first, on=cell, how="left", validate="one_to_one")
    both = both.assign(most_apart=both["most_apart"].where(both["disagreement"] > 0).astype("str"))
    return both[[*cell, "value", "n", "sources", "disagreement", "known", "most_apart"]]


_DIGITS = 9  # of two sources, both are as far apart but for the noise of the arithmetic


def sector_disagreement(cells: pd.DataFrame, links: pd.DataFrame) -> pd.DataFrame:
    """Average disagreement over recruitments. One row per territory, sector, level.

    ``links`` are those of :func:`features.crosswalks.sector_links`. ``disagreement`` and ``sources`` are means over what was
    compared, and ``compared`` is the share of the recruitments that this is; ``most_apart`` is the source that is most
    apart in most of what is in disagreement.
    """
    rows = cells.merge(links, on="occupation", how="inner", validate="many_to_many")
    rows = rows.sort_values([*CELL, "sector", "level"], ignore_index=True)
    whole = rows["value"] * rows["weight"]
    known = whole.where(rows["known"], 0.0)
    told = rows[[*_PUBLISHED, "most_apart"]].assign(
        whole=whole, known=known, disputed=known * rows["disagreement"], heard=known * rows["sources"]
    )
    sums = told.groupby(_PUBLISHED, as_index=False)[["whole", "known", "disputed", "heard"]].sum()
    blamed = told.groupby([*_PUBLISHED, "most_apart"], as_index=False)[["disputed"]].sum()
    blamed = blamed.sort_values([*_PUBLISHED, "disputed", "most_apart"], ascending=[True, True, True, False, True])
    most = blamed.drop_duplicates(_PUBLISHED)[[*_PUBLISHED, "most_apart"]]
    both = sums.merge(most, on=_PUBLISHED, how="left", validate="one_to_one")
    divisor = both["known"].where(both["known"] > 0)
    return both[_PUBLISHED].assign(
        disagreement=both["disputed"] / divisor,
        sources=both["heard"] / divisor,
        compared=(both["known"] / both["whole"].where(both["whole"] > 0)).fillna(0.0),
        most_apart=both["most_apart"],
    )


_PUBLISHED = ["territory", "sector", "level"]
