"""Where rows belong: the bassin and the département of their commune.

A commune of the Region that the table does not know is a wrong row. A commune elsewhere is ``outside``: its territory
stays missing, and an offer or a jobseeker from there is counted and left out, unless the offer is across a border.
"""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from features.contracts import Checked, Contract

_HERE_ONLY = ("offers", "jobseekers")


def place(checked: Checked, contract: Contract, communes: pd.DataFrame) -> Checked:
    """Fill ``territory`` and ``department`` from the commune. Same rows, but for the wrong ones and those outside.

    An offer that names only its département keeps it, without a territory; a jobseeker without a commune is kept.
    """
    names = {column.name for column in contract.columns}
    if not {"commune", "territory", "department"} <= names:
        return checked
    rows = checked.kept
    known = communes.set_index("commune")
    found = rows["commune"].isin(known.index)
    region = set(communes["department"])
    lost = rows["commune"].notna() & ~found & _department_of(rows["commune"]).isin(region)
    filled = rows.assign(
        territory=rows["commune"].map(known["territory"]).astype("str"),
        department=rows["commune"].map(known["department"]).astype("str").where(rows["commune"].notna(), rows["department"]),
    )
    outside = _outside(filled, region, contract) & ~lost
    wrong = checked.origin[lost].assign(reason=_reason(rows.loc[lost, "commune"], contract))
    stays = ~lost & ~outside
    return replace(
        checked,
        kept=filled[stays].reset_index(drop=True),
        origin=checked.origin[stays].reset_index(drop=True),
        rejected=pd.concat([checked.rejected, wrong], ignore_index=True),
        outside=checked.outside + int(outside.sum()),
    )


def _department_of(communes: pd.Series[str]) -> pd.Series[str]:
    """Read the département in a commune's code: ``C67482`` is in ``D67``, ``C97411`` in ``D974``."""
    return "D" + communes.str[1:3].mask(communes.str[1:3] == "97", communes.str[1:4])


def _outside(rows: pd.DataFrame, region: set[str], contract: Contract) -> pd.Series[bool]:
    if contract.name not in _HERE_ONLY:
        return pd.Series(False, index=rows.index)
    elsewhere = ~rows["department"].isin(region)
    return elsewhere & rows["border"].isna() if "border" in rows else elsewhere & rows["commune"].notna()


def _reason(communes: pd.Series[str], contract: Contract) -> pd.Series[str]:
    """Say that a commune is unknown; which one, except in tables of persons."""
    named = all(column.name != "person" for column in contract.columns)
    return "unknown commune" + (" " + communes.str[1:] if named else communes.str[:0])
