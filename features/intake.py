"""From a checked table to the Region's: the rows that concern it, their codes in one version, their places.

A national file keeps the Region and what touches it: the rows of its départements and of those that border them (of the
régions, where a row names no département), and those of all France.
"""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from features import facts
from features.codes import carry_codes
from features.contracts import Checked, Contract
from features.places import place

FRANCE = "FR"
ACROSS = "R00"  # what the number of a zone d'emploi begins with that lies across régions


def take_in(checked: Checked, contract: Contract, communes: pd.DataFrame) -> Checked:
    """Keep what concerns the Region, put its codes in one version and its rows in their places."""
    return place(carry_codes(keep_near(checked, contract, communes), contract, communes), contract, communes)


def keep_near(checked: Checked, contract: Contract, communes: pd.DataFrame) -> Checked:
    """Leave out the rows of a national table that neither lie in the Region nor touch it; they are counted ``outside``."""
    if not contract.national:
        return checked
    near = _lies_in(checked.kept, _near_areas(communes))
    return replace(
        checked,
        kept=checked.kept[near].reset_index(drop=True),
        origin=checked.origin[near].reset_index(drop=True),
        outside=checked.outside + int((~near).sum()),
    )


def in_region(frame: pd.DataFrame, communes: pd.DataFrame) -> pd.Series[bool]:
    """Say of each row of a national table whether it lies in the Region itself."""
    listed = facts.departments()
    own = listed[listed["department"].isin(set(communes["department"]))]
    return _lies_in(frame, {*own["department"], *own["region"], *communes["maison"].dropna()})


def _near_areas(communes: pd.DataFrame) -> set[str]:
    """List the départements and régions of the Region and those they border, and all France."""
    listed = facts.departments()
    own = listed[listed["department"].isin(set(communes["department"]))]
    near = {*own["department"], *own["neighbours"].str.split("|").explode()} - {""}
    return {*near, *listed.loc[listed["department"].isin(near), "region"], *communes["maison"].dropna(), FRANCE, ACROSS}


def _lies_in(frame: pd.DataFrame, areas: set[str]) -> pd.Series[bool]:
    """Look up the narrowest area that a row names: its département, else its territory, else its région.

    A bassin or a zone d'emploi lies in the région that its first two digits number; a zone across régions has 00.
    """
    if "department" in frame:
        return frame["department"].isin(areas)
    if "territory" not in frame:
        return frame["region"].isin(areas)
    codes = frame["territory"]
    return codes.mask(codes.str.startswith(("BE", "ZE")), "R" + codes.str[2:4]).isin(areas)
