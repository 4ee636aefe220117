"""Codes in one version, and those outside their nomenclature.

An occupation of ROME 4 counts in its parent of ROME 3. A code that no list holds stays where it is, and is listed with the
rows that hold it and the volume they stand for: a new family, an old occupation or a field that came after the list of
titles costs no row. A Formacode missing from the list keeps its field, which is its first three digits.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pandas as pd

from features import facts
from features.contracts import Checked, Column, Contract, no_unknown_codes
from features.vocabulary import BASSIN, DEPARTMENT, ELSEWHERE, FAMILY, FORMACODE, MAISON, OCCUPATION, REGION_CODE, ZONE

_TERRITORIES = (BASSIN, ZONE, DEPARTMENT, MAISON, REGION_CODE)
_JOINED = "|"
_LEAF = "leaf"  # the ROME 4 code that is kept beside its parent


def carry_codes(checked: Checked, contract: Contract, communes: pd.DataFrame) -> Checked:
    """Put every occupation in ROME 3, and list the unknown codes of every column. Same rows; a list of codes stays as it is."""
    if contract.code_list:
        return checked
    kinds = {c.name: found for c in contract.columns if (found := _kinds_of(c, checked.kept, communes, contract)) is not None}
    rows = checked.kept.assign(**{name: _in_rome_3(checked.kept[name], kind) for name, kind in kinds.items()})
    volume = rows[contract.volume].astype("float64").fillna(0.0) if contract.volume else pd.Series(1.0, index=rows.index)
    known = _known_codes(communes)
    listed = [_list_unknown(contract[name], rows[name], kind, volume, known) for name, kind in kinds.items()]
    return replace(checked, kept=rows, unknown=_totals(pd.concat([checked.unknown, *listed], ignore_index=True)))


def _in_rome_3(codes: pd.Series[str], kinds: pd.Series[str]) -> pd.Series[str]:
    """Replace each leaf of ROME 4 by its parent. Same rows."""
    parents = facts.leaves().set_index("leaf")["occupation"]
    leaves = (kinds == "ROME") & ~codes.isin(facts.occupations()["occupation"])
    return codes.mask(leaves, codes.map(parents).fillna(codes)) if leaves.any() else codes


def _kinds_of(column: Column, rows: pd.DataFrame, communes: pd.DataFrame, contract: Contract) -> pd.Series[str] | None:
    """Say in which nomenclature the code of each row is to be found; "" where none is at hand, None for no code at all."""
    codes = rows[column.name]
    if column.noun is OCCUPATION and column.name != _LEAF:
        return pd.Series("ROME", index=rows.index)
    if column.noun is FORMACODE:
        return pd.Series("FORMACODE", index=rows.index)
    if "nomenclature" in rows and (column.noun is FAMILY or column.name == "code"):
        return rows["nomenclature"]
    if column.noun in _TERRITORIES or column.name == "territory":
        kinds = codes.str.extract(r"^([A-Z]+)", expand=False)
        # The bassins and zones of other Regions are listed nowhere here; those of this one begin with its number.
        ours = codes.str[2:4].isin(set(communes["territory"].str[2:4])) | ~kinds.isin(["BE", "ZE"])
        return kinds.where(ours) if contract.national else kinds
    return None


def _known_codes(communes: pd.DataFrame) -> dict[str, set[str]]:
    """List the codes that every nomenclature at hand holds."""
    families, departments = facts.families(), facts.departments()
    lists: dict[str, Iterable[str]] = {
        "ROME": facts.occupations()["occupation"],
        "FORMACODE": facts.formacodes()["formacode"],
        "SECTEUR": [*facts.sectors()["sector"], *facts.CONTRACT_SECTORS],
        "BE": communes["territory"],
        "ZE": communes["zone"],
        "MR": communes["maison"],
        "D": [*departments["department"], ELSEWHERE],
        "R": departments["region"],
        **{str(name): rows["family"] for name, rows in families.groupby("nomenclature")},
    }
    return {kind: set(codes) for kind, codes in lists.items()}


def _list_unknown(
    column: Column, codes: pd.Series[str], kinds: pd.Series[str], volume: pd.Series[float], known: dict[str, set[str]]
) -> pd.DataFrame:
    """List the codes of one column that their nomenclature does not hold. One row per code and row of the table."""
    strange = pd.Series(False, index=codes.index)
    for kind in set(kinds.dropna().unique()) & set(known):
        strange |= (kinds == kind).fillna(False) & codes.notna() & ~codes.isin(known[kind])
    for at in codes.index[strange & codes.str.contains(_JOINED, regex=False).fillna(False)]:
        strange[at] = not set(codes[at].split(_JOINED)) <= known[kinds[at]]  # a study may count some families together
    named = column.header or column.name
    return pd.DataFrame({"column": named, "code": codes[strange], "rows": 1, "volume": volume[strange]})


def _totals(listed: pd.DataFrame) -> pd.DataFrame:
    """Add up what each unknown code stands for, the largest first. One row per column and code."""
    if listed.empty:
        return no_unknown_codes()
    sums = listed.groupby(["column", "code"], as_index=False)[["rows", "volume"]].sum()
    return sums.sort_values(["volume", "rows", "column", "code"], ascending=[False, False, True, True], ignore_index=True)
