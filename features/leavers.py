"""Young people who leave school or apprenticeship with a qualification: once a year, a supply that no seat was bought for.

InserJeunes counts them by région, diploma and track. A diploma tells its sector and level by its code: the kind it begins
with, the speciality it ends with (:func:`link_diplomas`, from :mod:`features.facts`). Nothing is published below the région, so
that bassins get their share by population, and say that all of it is borrowed.
"""

from __future__ import annotations

import pandas as pd

from features import facts
from features.crosswalks import Carried, carry
from features.facts.schooling import LEVELS
from features.params import Section, param
from features.supply import ATOM, share_places

CELL = [*ATOM, "sector", "level", "period"]
_DIPLOMA = ["nomenclature", "diploma"]
_COUNTS = ["leavers", "available", "secret", "told"]
_KIND, _CLASS, _NSF, _SPECIALITY = 3, 4, 3, 5


class LeaverParams(Section):
    """When young people arrive, and how far ahead the last summer known is taken to come again."""

    month: int = param(7, "month in which those who leave school and apprenticeship arrive", unit="month", ge=1, le=12)
    summers: int = param(3, "summers ahead that are expected to be like the last ones known", unit="years", ge=1, le=10)


def count_leavers(
    insertion: pd.DataFrame, communes: pd.DataFrame, *, as_of: pd.Timestamp, params: LeaverParams
) -> pd.DataFrame:
    """Count who leaves school and apprenticeship. One row per territory, department, sector, level, period (a summer month).

    ``leavers`` a year, as in the last school years known of the région; ``available`` of them, those not at work six months
    after; ``n`` the young people counted in the région for that sector and level, ``secret`` the share of leavers that was
    hidden and estimated, ``borrowed`` 1: all is taken from the région.
    """
    mapped = leavers_by_sector(insertion).mapped
    if mapped.empty:
        return _nobody()
    wide = mapped.pivot_table(index=["region", "target"], columns="measure", values="volume", aggfunc="sum", fill_value=0.0)
    wide = wide.reindex(columns=_COUNTS, fill_value=0.0).reset_index()
    cells = wide.merge(
        share_places(communes).rename(columns={"place": "region"}), on="region", how="inner", validate="many_to_many"
    )
    kind = cells["target"].str.split("/", expand=True)
    rows = cells[ATOM].assign(
        sector=kind[0],
        level=kind[1],
        leavers=cells["leavers"] * cells["share"],
        available=cells["available"] * cells["share"],
        n=cells["told"].round(),
        secret=(cells["secret"] / cells["leavers"].where(cells["leavers"] > 0)).fillna(0.0),
        borrowed=1.0,
    )
    dated = rows.merge(_summers(as_of, params), how="cross").sort_values(CELL, ignore_index=True)
    return dated[list(_nobody())].astype(_nobody().dtypes.to_dict())


def _nobody() -> pd.DataFrame:
    """Give the table of leavers without a row."""
    kinds = dict.fromkeys(CELL, "str") | dict.fromkeys(("leavers", "available", "n", "secret", "borrowed"), "float64")
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})


def _summers(as_of: pd.Timestamp, params: LeaverParams) -> pd.DataFrame:
    """List the summers to come; one whose month is not over still comes. One row per summer."""
    first = as_of.year + int(pd.Timestamp(as_of.year, params.month, 1) + pd.offsets.MonthEnd(0) <= as_of)
    return pd.DataFrame({"period": [f"{first + k}-{params.month:02d}" for k in range(params.summers)]}, dtype="str")


def leavers_by_sector(insertion: pd.DataFrame) -> Carried:
    """Carry those who leave in a year to sectors and levels. One row per région, measure and ``target`` (``sector/level``).

    Measures: ``leavers``, ``available`` and ``secret`` a year; ``told``, people counted over the years an edition adds up.
    What is mapped and what is not add up to what there was; a diploma that leads nowhere is listed as
    ``nomenclature/diploma``.
    """
    counted = _yearly(insertion)
    coded = counted.assign(code=counted["nomenclature"] + "/" + counted["diploma"])
    volumes = coded.melt(["region", "code"], _COUNTS, var_name="measure", value_name="volume")
    volumes = volumes.sort_values(["region", "measure", "code", "volume"])
    links = link_diplomas(counted[_DIPLOMA]).assign(
        code=lambda t: t["nomenclature"] + "/" + t["diploma"], target=lambda t: t["sector"] + "/" + t["level"]
    )
    return carry(volumes.groupby(["region", "measure", "code"], as_index=False)[["volume"]].sum(), links)


def _yearly(insertion: pd.DataFrame) -> pd.DataFrame:
    """Count the leavers of a year. One row per région, track and diploma of the last school years known there.

    Of several editions the last counts. A row that adds up two years is halved; where both stand, single years are kept. A
    hidden count is what its level and track usually have: the share of students who leave.
    """
    order = ["region", "track", *_DIPLOMA, "last_year", "first_year", "known_from"]
    rows = insertion.sort_values(order)
    rows = rows[rows["last_year"] == rows.groupby("region")["last_year"].transform("max")]
    rows = rows[rows["first_year"] == rows.groupby("region")["first_year"].transform("max")]
    rows = rows.drop_duplicates(["region", "track", *_DIPLOMA], keep="last")
    years = (rows["last_year"] - rows["first_year"] + 1).astype("float64")
    told, students, hired = (rows[name].astype("float64") for name in ("leavers", "students", "employed_6m"))
    coded = _read_codes(rows).drop_duplicates(_DIPLOMA).set_index(_DIPLOMA)["level"]
    level = pd.Series(coded.reindex(pd.MultiIndex.from_frame(rows[_DIPLOMA])).to_numpy(), index=rows.index)
    group = [rows["track"], level]
    hidden = rows["leavers_secret"].fillna(False).astype(bool)
    leave = _usual(told, students, group).fillna(1.0)
    leavers = told.mask(hidden, students * leave).fillna(0.0)
    idle = 1 - (hired / told.where(told > 0)).fillna(_usual(hired, told, group)).fillna(0.0)
    return rows[["region", *_DIPLOMA]].assign(
        leavers=leavers / years,
        available=leavers * idle / years,
        secret=(leavers / years).where(hidden, 0.0),
        told=told.mask(hidden, 0.0).fillna(0.0),
    )


def _usual(part: pd.Series[float], whole: pd.Series[float], group: list[pd.Series[str]]) -> pd.Series[float]:
    """Give the share that is usual in each group, over the rows where both are known; that of all where the group has none."""
    both = part.notna() & whole.notna()
    sums = [values.where(both, 0.0).groupby(group).transform("sum") for values in (part, whole)]
    everywhere = part[both].sum() / whole[both].sum() if whole[both].sum() else float("nan")
    return (sums[0] / sums[1].where(sums[1] > 0)).fillna(everywhere)


def link_diplomas(diplomas: pd.DataFrame) -> pd.DataFrame:
    """Link diplomas to sectors and levels by their codes. One row per nomenclature, diploma, sector, level: weight.

    A diploma is looked up by its code, among the kinds of diploma that its class prepares; one that is not listed is taken
    for the diplomas of its NSF and level, else of its NSF. Weights add up to one, or the diploma has no row.
    """
    codes = _read_codes(diplomas)
    known = facts.diplomas()
    wide = known.assign(nsf=known["diploma"].str[-_SPECIALITY:].str[:_NSF]).drop(columns="diploma")
    tries = [
        codes.merge(known, left_on="cfd", right_on="diploma", suffixes=("", "_known"), validate="many_to_many"),
        codes.merge(wide, on=["nsf", "level"], validate="many_to_many"),
        codes.merge(wide, on="nsf", suffixes=("", "_known"), validate="many_to_many"),
    ]
    found = pd.concat([rows.assign(step=step) for step, rows in enumerate(tries)], ignore_index=True)
    first = found[found["step"] == found.groupby(_DIPLOMA)["step"].transform("min")]
    level = first["level"].where(first["level"] != "", first["level_known"])
    sums = first.assign(level=level).groupby([*_DIPLOMA, "sector", "level"], as_index=False)[["certifications"]].sum()
    weight = sums["certifications"] / sums.groupby(_DIPLOMA)["certifications"].transform("sum")
    return sums.assign(weight=weight).drop(columns="certifications")


def _read_codes(diplomas: pd.DataFrame) -> pd.DataFrame:
    """Read codes of diplomas. One row per diploma and CFD it may be: nsf, and level, empty where the code does not tell it."""
    codes = diplomas[_DIPLOMA].drop_duplicates().sort_values(_DIPLOMA, ignore_index=True)
    end = codes["diploma"].str[-_SPECIALITY:]
    schooled = codes.assign(nsf=end.str[:_NSF], end=end, **{"class": codes["diploma"].str[:_CLASS]})
    is_cfd = codes["nomenclature"] == "CFD"
    by_class = schooled[~is_cfd].merge(facts.classes(), on="class", how="left", validate="many_to_many")
    kinds = pd.concat([schooled[is_cfd].assign(kind=codes["diploma"].str[:_KIND]), by_class], ignore_index=True)
    kind = kinds["kind"].fillna("")
    return kinds.assign(cfd=kind + kinds["end"], level=kind.str[:1].map(LEVELS).fillna("").astype("str"))
