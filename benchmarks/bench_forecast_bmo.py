"""The survey of 2024 told to regions that lack it, from that of 2023 and from the regions that have it.

The families changed between the two: they are linked by equal titles, which covers half of what is asked for, or by the
crosswalk. Regions are dealt into five parts of like volume, and each part is told once from the four others; nothing of 2024 is
known of it. What is scored are cells (bassin × département × family) published in both years. Every error is WAPE ÷ that of the
last survey.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.crosswalks import default_links
from features.sources import SOURCES
from features.surveys import SurveyParams, estimate_families
from figures import Figure
from models.growth import cross
from models.members import add_up
from models.nowcast import INTERVAL, nowcast
from models.panel import to_panel

REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "bmo"
CELL = ["territory", "department"]
GROUPS = ["department", "region", "family3", "domain"]
PARTS = ["difficult", "seasonal", "secret"]
FOLDS = 5
GOAL, OFF = 0.83, 0.05
CLASSES = [0, 20, 50, 100, 300, np.inf]  # projects of 2023
PRIOR = 200.0  # projects that hold the change of an occupation to that of all, in the simple way
SHRINKS = (0, 1, 2, 5, 10, 20, 50, 100, 200)  # projects by which a cell is drawn to its margins: the best before is taken
Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]


def measure() -> Iterator[Figure]:
    """Judge both ways of linking."""
    if not all(_path(year).exists() for year in (2023, 2024)):
        yield Figure("skipped: no ../shared/data/bmo", 0, "figures")
        return
    for way in ("titles", "crosswalk"):
        yield from _judge(way, link(way))


def _path(year: int) -> Path:
    return REAL / f"Base_open_data_BMO_{year}.xlsx"


@cache
def _survey(year: int) -> pd.DataFrame:
    return SOURCES["bmo"].read([_path(year)]).kept


def link(way: str) -> pd.DataFrame:
    """Put both surveys side by side. One row per family, territory, department of 2023: projects, parts, after."""
    before, after = _survey(2023), _survey(2024)
    known = estimate_families(before, SurveyParams()).merge(
        before[["family", *CELL, "region"]], on=["family", *CELL], validate="one_to_one"
    )
    known = known.assign(secret=known["projects"].where(known["projects_secret"], 0.0))
    links = default_links().query("from_kind == 'FAP2009' and to_kind == 'FAP2021'")
    links = links.rename(columns={"from_code": "family", "to_code": "target"})[["family", "target", "weight", "source"]]
    numbers = ["projects", *PARTS]
    if way == "titles":
        known = known.merge(links.query("source == 'same_title'"), on="family", how="left", validate="many_to_one")
    else:
        known = known.merge(links, on="family", how="inner", validate="many_to_many")
        carried = known.assign(family=known["target"], **known[numbers].mul(known["weight"], axis=0))
        known = carried.groupby(["family", *CELL, "region"], as_index=False)[numbers].sum().assign(target=lambda t: t["family"])
    later = after.rename(columns={"family": "target", "projects": "after"})[["target", *CELL, "after"]]
    both = known.merge(later, on=["target", *CELL], how="left", validate="many_to_one")
    return both.assign(
        scored=both["after"].notna() & (both["secret"] <= both["projects"] / 2),
        place=both["territory"] + both["department"],
        family3=both["family"].str[:3],
        domain=both["family"].str[0],
    ).sort_values(["family", *CELL], ignore_index=True)


def to_frame(both: pd.DataFrame) -> pd.DataFrame:
    """Write 2023 as series, with the shares of its parts, own and of groups. One row per territory, occupation."""
    shares = {}
    for name in PARTS:
        shares[name] = both[name] / both["projects"]
        for group in ("family", "place"):
            sums = both.groupby(group)[[name, "projects"]].transform("sum")
            shares[f"{name}_{group}"] = sums[name] / sums["projects"]
    keys = {"territory": both["place"], "occupation": both["family"], "period": "2023", "value": both["projects"]}
    return pd.DataFrame({**keys, **{name: both[name] for name in GROUPS}, **shares})


def tell(both: pd.DataFrame, known: Flags) -> Numbers:
    """Tell 2024 to the regions that have none ``known``: cells × value, low, high."""
    frame = to_frame(both)
    later = frame.loc[known, ["territory", "occupation", *GROUPS]].assign(period="2024", value=both["after"])
    panel = to_panel(pd.concat([frame, later], ignore_index=True))
    rows = pd.MultiIndex.from_frame(frame[["territory", "occupation"]]).get_indexer(pd.MultiIndex.from_frame(panel.series))
    found = np.full((len(both), 3), np.nan)
    for part in nowcast(panel):
        found[rows[part.rows]] = np.column_stack([part.values, *(part.quantile(level) for level in INTERVAL)])
    return found


def folds_of(both: pd.DataFrame) -> NDArray[np.intp]:
    """Deal regions into parts of like volume, the largest first."""
    volume = both[both["scored"]].groupby("region")["after"].sum().sort_values(ascending=False)
    load, part = np.zeros(FOLDS), {}
    for region, projects in volume.items():
        part[region] = int(load.argmin())
        load[part[region]] += projects
    return both["region"].map(part).to_numpy(dtype=np.intp)


# What is told by simpler means -------------------------------------------------------------------------------------------


def national(both: pd.DataFrame, known: Flags) -> Numbers:
    """As the last survey, times the change of all."""
    seen = both[known]
    return (both["projects"] * (seen["after"].sum() / seen["projects"].sum())).to_numpy()


def occupational(both: pd.DataFrame, known: Flags) -> Numbers:
    """As the last survey, times the change of the family, drawn to that of all."""
    seen = both[known]
    sums, common = seen.groupby("family")[["after", "projects"]].sum(), seen["after"].sum() / seen["projects"].sum()
    change = (sums["after"] + PRIOR * common) / (sums["projects"] + PRIOR)
    return (both["projects"] * both["family"].map(change).fillna(common)).to_numpy()


def margins(both: pd.DataFrame, known: Flags) -> Numbers:
    """As the last survey drawn to what region × family and place let one expect, times the change of all."""
    x = both["projects"].to_numpy()
    place, family, region = (pd.factorize(both[name])[0] for name in ("place", "family", "region"))
    local, wide = cross(region, family), region
    expected = add_up(x, local)[local] * add_up(x, place)[place] / add_up(x, wide)[wide]
    after, best = both["after"].to_numpy(), []
    for prior in SHRINKS:
        told = expected * (x + prior) / (expected + prior)
        told = told * after[known].sum() / told[known].sum()
        best.append((float(np.abs(after - told)[known].sum()), prior, told))
    return min(best, key=lambda found: found[:2])[2]


# Figures -----------------------------------------------------------------------------------------------------------------


def _judge(way: str, both: pd.DataFrame) -> Iterator[Figure]:
    scored, fold = both["scored"].to_numpy(), folds_of(both)
    x, y = both["projects"].to_numpy(), both["after"].to_numpy()
    yield Figure(f"{way}: volume of 2024 covered", y[scored].sum() / _survey(2024)["projects"].sum(), "share")
    yield Figure(f"{way}: WAPE of the last survey", _wape(y[scored], x[scored]), "")
    told, low, high = np.full((3, len(both)), np.nan)
    simple = {"change of all": national, "change of the family": occupational, "drawn to margins": margins}
    others = {name: np.full(len(both), np.nan) for name in simple}
    for part in range(FOLDS):
        known, test = scored & (fold != part), scored & (fold == part)
        told[test], low[test], high[test] = tell(both, known)[test].T
        for name, method in simple.items():
            others[name][test] = method(both, known)[test]
        yield Figure(f"{way}: part {part + 1} ÷ last survey", _wape(y[test], told[test]) / _wape(y[test], x[test]), "×", 1.0)
    ratio = partial(_ratio, y[scored], x[scored])
    yield Figure(f"{way}: all ÷ last survey", ratio(told[scored]), "×", GOAL)
    yield from (Figure(f"{way}: {name} ÷ last survey", ratio(values[scored]), "×") for name, values in others.items())
    scale = np.array([y[scored & (fold != part)].sum() / told[scored & (fold != part)].sum() for part in range(FOLDS)])[fold]
    yield Figure(f"{way}: total told ÷ came − 1", told[scored].sum() / y[scored].sum() - 1, "")
    yield Figure(f"{way}: rescaled, total told ÷ came − 1", (told * scale)[scored].sum() / y[scored].sum() - 1, "")
    yield Figure(f"{way}: rescaled ÷ last survey", ratio((told * scale)[scored]), "×")
    held = (low <= y) & (y <= high)
    yield Figure(f"{way}: interval off 80 %", abs(held[scored].mean() - 0.8), "", OFF)
    for least, most in pairwise(CLASSES):
        rows = scored & (x >= least) & (x < most)
        yield Figure(f"{way}: interval holds, {least:g} ≤ projects < {most:g}", held[rows].mean(), "share")
    yield Figure(f"{way}: unseen region and family ÷ last survey", _unseen(both, scored, fold), "×")


def _unseen(both: pd.DataFrame, scored: Flags, fold: NDArray[np.intp]) -> float:
    """Tell families of which no region knows anything: a fifth of them in each part. WAPE ÷ that of the last survey."""
    x, y = both["projects"].to_numpy(), both["after"].to_numpy()
    family, told = pd.factorize(both["family"])[0] % FOLDS, np.full(len(both), np.nan)
    for part in range(FOLDS):
        test = scored & (fold == part) & (family == part)
        told[test] = tell(both, scored & (fold != part) & (family != part))[test, 0]
    some = np.isfinite(told)
    return _ratio(y[some], x[some], told[some])


def _wape(came: Numbers, told: Numbers) -> float:
    return float(np.abs(came - told).sum() / came.sum())


def _ratio(came: Numbers, last: Numbers, told: Numbers) -> float:
    return _wape(came, told) / _wape(came, last)
