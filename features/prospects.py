"""What studies expect: projections turned into yearly openings by occupation, and one figure chosen among studies.

A study counts a whole period, from its first year to its last: « Métiers en 2030 » counts the flows between the stocks of 2019
and of 2030, which are eleven years, so a year has the total ÷ (last year − first year). Openings are departures and net jobs
together, young starters the part of the supply that the study itself expects.

    study → families (a letter, or families counted together, over the families it holds, by volume)
          → occupations, by the links of the families
          → cells bassin × département of the territory it speaks of, by what they ask of the occupation, or by population

:func:`yearly_openings` keeps every study side by side, :func:`choose_openings` weighs them into one figure with its interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import norm

from features import facts
from features.crosswalks import Crosswalks, links_between
from features.nomenclatures import codes_of
from features.params import Section, param

CELL = ["territory", "department"]
FLOWS = ["openings", "young_starters", "departures", "net_jobs"]
GRAINS = ("BE", "ZE", "D", "MR", "R")
"""The territories a study may speak of, from the finest to the widest."""
GRADES = ("A", "B", "C", "D")
_KEY = [*CELL, "occupation", "source", "scenario", "nomenclature"]
_STATED = ["known_from", "valid_until", "reliability", "first_year", "last_year"]
_FAMILY = 5  # characters of the families that are linked to occupations
_DAYS = 365.25


class ProspectParams(Section):
    """How openings are shared out, and how much a study is worth by its age and by what it says of itself."""

    volume_prior: float = param(
        20.0, "projects in each cell that population stands for, beside those counted there", unit="projects", ge=0.1, le=10000
    )
    half_life_years: float = param(3.0, "age at which a study weighs half of a new one", unit="years", ge=0.25, le=50)
    width_a: float = param(0.15, "spread of the openings of a study of grade A around what comes", unit="share", ge=0.01, le=2)
    width_b: float = param(0.25, "spread of grade B", unit="share", ge=0.01, le=2)
    width_c: float = param(0.40, "spread of grade C", unit="share", ge=0.01, le=2)
    width_d: float = param(0.60, "spread of grade D", unit="share", ge=0.01, le=2)
    width_year: float = param(0.05, "spread added by each year of age", unit="share", ge=0, le=1)
    width_grain: float = param(0.10, "spread added by each step that a study is wider than a bassin", unit="share", ge=0, le=1)
    unknown_grade: Literal["A", "B", "C", "D"] = param("C", "grade of a study that gives itself none")
    least_covered: float = param(
        0.5, "an occupation is told by studies that cover at least this share of it", unit="share", ge=0.01, le=1
    )
    confidence: float = param(0.8, "share of the cases that the interval is to hold", unit="share", ge=0.5, le=0.99)


@dataclass(frozen=True)
class Ground:
    """Where openings are shared out: ``communes`` of the Region, one row each, and the ``volume`` that each of its cells has.

    ``volumes`` has one row per territory, department, occupation (projects of a survey, say); without one, people share.
    """

    communes: pd.DataFrame
    volumes: pd.DataFrame


@dataclass(frozen=True)
class Prospects:
    """What studies expect a year, beside what is not in it; both together are all the openings that studies hold.

    ``openings`` has one row per territory, department, occupation, source, scenario, nomenclature. ``unmapped`` has one row
    per source, scenario, nomenclature, code and ``reason``, with its openings a year: ``elsewhere`` (of other Regions, or of a
    territory without a commune here), ``period`` (no first or last year), ``code`` (linked to nothing), ``superseded`` (the
    same source says it for a finer territory, or in a later edition).
    """

    openings: pd.DataFrame
    unmapped: pd.DataFrame


def no_volumes() -> pd.DataFrame:
    """Give the volumes of nothing: people share. One row per territory, department, occupation."""
    return pd.DataFrame(
        {**{name: pd.Series(dtype="str") for name in [*CELL, "occupation"]}, "volume": pd.Series(dtype="float64")}
    )


# Every study ------------------------------------------------------------------------------------------------------------


def yearly_openings(
    projections: pd.DataFrame, crosswalks: Crosswalks, ground: Ground, as_of: pd.Timestamp, params: ProspectParams
) -> Prospects:
    """Share each study over occupations and cells, a year.

    One row per territory, department, occupation, source, scenario, nomenclature. ``covered`` is the share of the occupation
    that the families studied hold. ``valid`` says that the study is neither past its day nor past its last year at ``as_of``,
    ``age_years`` how old it is; ``grain`` is the widest territory it spoke of, ``reliability`` the lowest grade it gave itself.
    """
    studies = _a_year(projections[projections["known_from"] <= as_of])
    dated, cells = studies["years"].notna(), _cells_of(ground.communes)
    here = _joined(studies["grain"], studies["studied"]).isin(_joined(cells["grain"], cells["studied"]))
    links = _family_links(crosswalks, {*studies["nomenclature"]} - {"ROME"})
    families, unlinked = _to_families(studies[dated & here], links)
    spread = _to_cells(families, links, cells, ground.volumes, params.volume_prior)
    kept = _freshest_and_finest(spread, as_of)
    left = [
        studies[dated & ~here].assign(reason="elsewhere"),
        studies[~dated].assign(reason="period"),
        unlinked.assign(reason="code"),
        spread[~kept].assign(reason="superseded"),
    ]
    return Prospects(_add_up(spread[kept], as_of), _list_left(pd.concat(left, ignore_index=True)))


def _a_year(projections: pd.DataFrame) -> pd.DataFrame:
    """Turn totals over a period into yearly flows; openings not given are departures and net jobs. Same rows, in order.

    Without a period the totals stay.
    """
    span = (projections["last_year"] - projections["first_year"]).astype("float64")
    rows = projections.assign(years=span.clip(lower=1), grain=projections["territory_kind"], studied=projections["territory"])
    rows = rows.assign(
        scenario=rows["scenario"].fillna(""),
        openings=rows["openings"].fillna(rows["departures"] + rows["net_jobs"]).astype("float64"),
    )
    rows = rows.sort_values(["source", "scenario", "nomenclature", "code", "grain", "studied", "known_from", "first_year"])
    yearly = {flow: rows[flow].astype("float64") / rows["years"].fillna(1.0) for flow in FLOWS}
    kept = ["source", "scenario", "nomenclature", "code", "grain", "studied", *_STATED, "years", *FLOWS]
    return rows.assign(**yearly)[kept].reset_index(drop=True)


def _joined(grain: pd.Series[str], studied: pd.Series[str]) -> pd.Series[str]:
    return grain.astype("str") + " " + studied.astype("str")


def _to_families(studies: pd.DataFrame, links: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Share studies over the families their codes stand for. One row per study, family; and the studies no link takes."""
    shared = studies.merge(_families_of(studies, links), on=["nomenclature", "code"], how="left", validate="many_to_many")
    linked = shared["family"].notna()
    flows = {flow: shared[flow] * shared["share"] for flow in FLOWS}
    return shared.assign(**flows)[linked].drop(columns="share").reset_index(drop=True), shared[~linked]


def _family_links(crosswalks: Crosswalks, nomenclatures: set[str]) -> pd.DataFrame:
    """Link families, and occupations with themselves, to occupations. One row per nomenclature, family, occupation."""
    parts = []
    for nomenclature in sorted(nomenclatures):
        there = links_between(crosswalks, nomenclature, "ROME").rename(columns={"code": "family", "target": "occupation"})
        back = links_between(crosswalks, "ROME", nomenclature).rename(columns={"code": "occupation", "target": "family"})
        back = back[["occupation", "family", "weight"]].rename(columns={"weight": "part"})
        both = there.drop(columns="source").merge(back, on=["occupation", "family"], how="left", validate="one_to_one")
        parts.append(both.assign(nomenclature=nomenclature))
    own = pd.Series(sorted(codes_of("ROME")), dtype="str")
    parts.append(
        pd.DataFrame({"family": own, "occupation": own, "nomenclature": "ROME", "weight": 1.0, "part": 1.0, "volume": 1.0})
    )
    return pd.concat(parts, ignore_index=True)


def _families_of(studies: pd.DataFrame, links: pd.DataFrame) -> pd.DataFrame:
    """Say which families a code stands for (a letter, three characters, several joined by ``|``), and with which share each.

    Shares go by what the families bring to their occupations; ``breadth`` counts them. One row per nomenclature, code, family.
    """
    codes = studies[["nomenclature", "code"]].drop_duplicates()
    named = codes.assign(named=codes["code"].str.split("|")).explode("named").astype({"named": "str"})
    named = named.assign(named=named["named"].str[:_FAMILY])
    linked = links[["nomenclature", "family", "volume"]].drop_duplicates(["nomenclature", "family"])
    ways = [
        linked.assign(named=linked["family"].str[:length]).merge(named, on=["nomenclature", "named"], validate="many_to_many")
        for length in sorted(set(named["named"].str.len()))
    ]
    found = pd.concat([linked.iloc[:0].assign(code=linked["family"].iloc[:0]), *ways], ignore_index=True)
    found = found.drop_duplicates(["nomenclature", "code", "family"]).sort_values(["nomenclature", "code", "family"])
    of_code = found.groupby(["nomenclature", "code"])["volume"]
    told = found.assign(share=found["volume"] / of_code.transform("sum"), breadth=of_code.transform("size"))
    return told[["nomenclature", "code", "family", "share", "breadth"]]


def _to_cells(
    families: pd.DataFrame, links: pd.DataFrame, cells: pd.DataFrame, volumes: pd.DataFrame, prior: float
) -> pd.DataFrame:
    """Share the families of each territory studied over occupations and cells. One row per study, family, occupation, cell.

    share ∝ part of the occupation in the family × its volume in the cell + prior × cells there × link × people of the cell,
    where link is the weight of the family's link to the occupation, and people a share of those of the territory studied.
    """
    asked = families[["grain", "studied", "nomenclature", "family"]].drop_duplicates()
    ways = asked.merge(links.drop(columns="volume"), on=["nomenclature", "family"], validate="many_to_many")
    spots = ways.merge(cells, on=["grain", "studied"], validate="many_to_many")
    spots = spots.merge(volumes[[*CELL, "occupation", "volume"]], on=[*CELL, "occupation"], how="left", validate="many_to_one")
    brought = spots["part"] * spots["volume"].fillna(0.0) + prior * spots["cells"] * spots["weight"] * spots["people"]
    spots = spots.assign(share=brought)
    whole = spots.groupby(["grain", "studied", "nomenclature", "family"])["share"].transform("sum")
    spots = spots.assign(share=spots["share"] / whole).drop(columns=["weight", "volume", "people", "cells"])
    spread = families.merge(spots, on=["grain", "studied", "nomenclature", "family"], validate="many_to_many")
    return spread.assign(**{flow: spread[flow] * spread["share"] for flow in FLOWS}).drop(columns="share")


def _cells_of(communes: pd.DataFrame) -> pd.DataFrame:
    """Say which cells lie in each territory a study may speak of, with their share of its people. One row per territory, cell.

    A zone d'emploi that reaches beyond the Region counts with its communes here alone.
    """
    regions = facts.departments().set_index("department")["region"]
    codes = {
        "BE": communes["territory"],
        "ZE": communes["zone"],
        "D": communes["department"],
        "MR": communes["maison"],
        "R": communes["department"].map(regions),
    }
    parts = [communes[[*CELL, "population"]].assign(grain=grain, studied=codes[grain]) for grain in GRAINS]
    told = pd.concat(parts, ignore_index=True).dropna(subset=["studied"])
    people = told.groupby(["grain", "studied", *CELL], as_index=False)[["population"]].sum()
    whole = people.groupby(["grain", "studied"])["population"].transform("sum")
    count = people.groupby(["grain", "studied"])["population"].transform("size")
    return people.assign(people=people["population"] / whole, cells=count).drop(columns="population")


def _freshest_and_finest(openings: pd.DataFrame, as_of: pd.Timestamp) -> pd.Series[bool]:
    """Mark, of what a source says of a family in a cell, the one that counts. Same rows.

    It is the last edition's, for the period under way, for the finest territory, then for the fewest families together.
    """
    said = ["source", "scenario", "nomenclature", "family", *CELL, "occupation"]
    year = as_of.year
    ranked = openings[[*said, "known_from", "breadth", "first_year"]].assign(
        under_way=(openings["first_year"] <= year) & (year <= openings["last_year"]), width=_width(openings["grain"])
    )
    order = ["known_from", "under_way", "width", "breadth", "first_year"]
    best = ranked.sort_values([*said, *order], ascending=[True] * len(said) + [False, False, True, True, False])
    return pd.Series(openings.index.isin(best.drop_duplicates(said).index), index=openings.index)


def _width(grain: pd.Series[str]) -> pd.Series[int]:
    """Count the steps that a grain is wider than the finest one."""
    return grain.map(dict(zip(GRAINS, range(len(GRAINS)), strict=True))).astype("int64")


def _add_up(openings: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """Add up the families of each occupation. One row per territory, department, occupation, source, scenario, nomenclature."""
    ranked = openings.assign(
        width=_width(openings["grain"]),
        grade=openings["reliability"].map({grade: rank for rank, grade in enumerate(GRADES)}).astype("float64"),
        until=openings["valid_until"].fillna(pd.Timestamp.max.floor("D")),
    )
    cells = ranked.groupby(_KEY)
    flows = cells[FLOWS].sum(min_count=1)
    parts = ranked.drop_duplicates([*_KEY, "family"]).groupby(_KEY)["part"].sum()
    stated = cells.agg(
        known_from=("known_from", "min"),
        until=("until", "min"),
        first_year=("first_year", "min"),
        last_year=("last_year", "max"),
        width=("width", "max"),
        grade=("grade", "max"),
    )
    told = flows.join(stated, validate="one_to_one").assign(covered=parts.clip(upper=1.0)).reset_index()
    told = told.assign(
        grain=told["width"].map(dict(enumerate(GRAINS))).astype("str"),
        reliability=told["grade"].map(dict(enumerate(GRADES))).astype("str"),
        age_years=(as_of - told["known_from"]).dt.days / _DAYS,
        valid=(told["until"] >= as_of) & (told["last_year"] >= as_of.year).astype("bool"),
    )
    return told[[*_KEY, *FLOWS, "covered", "age_years", "valid", "reliability", "first_year", "last_year", "grain"]]


def _list_left(left: pd.DataFrame) -> pd.DataFrame:
    """Add up the openings left out. One row per source, scenario, nomenclature, code, reason."""
    keys = ["source", "scenario", "nomenclature", "code", "reason"]
    return left.groupby(keys, as_index=False)[["openings"]].sum()


# One figure -------------------------------------------------------------------------------------------------------------


def choose_openings(openings: pd.DataFrame, params: ProspectParams) -> pd.DataFrame:
    """Weigh the valid studies of each occupation. One row per territory, department, occupation.

        weight = ½^(age ÷ half-life) × covered ÷ width of the grade², shared over what a source says there (its scenarios)
        openings = Σ weight × openings ÷ covered ÷ Σ weight

    so that of two studies the fresher and the more reliable one weighs more. The interval holds what studies differ by, their
    mean width by grade, age and grain (what they have in common does not average out), and the chance of counts. Expired
    studies, and those that cover too little of an occupation, are not used; ``sources`` counts the others.
    """
    used = openings[openings["valid"] & (openings["covered"] >= params.least_covered) & openings["openings"].notna()]
    weighed = _weigh(used.sort_values(_KEY, ignore_index=True), params)
    sums = weighed.groupby(_CELL_OF, as_index=False)[["part", "spread", "square", "age_years"]].sum()
    counted = weighed.drop_duplicates([*_CELL_OF, "source"]).groupby(_CELL_OF, as_index=False).agg(sources=("source", "size"))
    heaviest = weighed.sort_values([*_CELL_OF, "weight"], ascending=[True] * len(_CELL_OF) + [False], kind="stable")
    told = sums.merge(counted, on=_CELL_OF, validate="one_to_one")
    told = told.merge(_scenarios(weighed), on=_CELL_OF, validate="one_to_one").merge(
        heaviest.drop_duplicates(_CELL_OF)[[*_CELL_OF, "reliability"]], on=_CELL_OF, validate="one_to_one"
    )
    between = (told["square"] - told["part"] ** 2).clip(lower=0.0)
    sd = np.sqrt(told["spread"] ** 2 + between + told["part"].abs())
    reach = float(norm.ppf((1 + params.confidence) / 2)) * sd
    told = told.assign(openings=told["part"], openings_high=told["part"] + reach)
    told = told.assign(openings_low=(told["part"] - reach).where(told["part"] < 0, (told["part"] - reach).clip(lower=0.0)))
    return told[[*_CELL_OF, "openings", "openings_low", "openings_high", "scenario", "age_years", "reliability", "sources"]]


_CELL_OF = [*CELL, "occupation"]


def _weigh(used: pd.DataFrame, params: ProspectParams) -> pd.DataFrame:
    """Give each study its ``weight`` in its cell (they add up to one), and what it brings with it. Same rows.

    ``part`` adds up to the mean of openings, ``square`` to that of their squares, ``spread`` and ``age_years`` to theirs.
    """
    cell = [used[name] for name in _CELL_OF]
    grade = used["reliability"].fillna(params.unknown_grade)
    widths = dict(zip(GRADES, (params.width_a, params.width_b, params.width_c, params.width_d), strict=True))
    width = grade.map(widths).astype("float64")
    said = used.groupby([*_CELL_OF, "source"])["openings"].transform("size")
    raw = 0.5 ** (used["age_years"] / params.half_life_years) * used["covered"] / width**2 / said
    weight = raw / raw.groupby(cell).transform("sum")
    whole = used["openings"] / used["covered"]
    steps = _width(used["grain"])
    spread = (width + params.width_year * used["age_years"] + params.width_grain * steps) * whole.abs()
    brought = {"part": whole, "square": whole**2, "spread": spread, "age_years": used["age_years"]}
    return used.assign(reliability=grade, weight=weight, **{name: weight * told for name, told in brought.items()})


def _scenarios(weighed: pd.DataFrame) -> pd.DataFrame:
    """Join the names of the scenarios of each cell by ``|``. One row per territory, department, occupation."""
    said = weighed.pivot_table(index=_CELL_OF, columns="scenario", values="weight", aggfunc="count", fill_value=0) > 0
    text = pd.Series("", index=said.index, dtype="str")
    for name in sorted(said.columns):
        text = text.mask(said[name], text + "|" + str(name))
    return text.str.strip("|").rename("scenario").reset_index()
