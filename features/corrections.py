"""What a person corrects in the crosswalks: the rows of ``overrides`` whose object is ``crosswalk``.

The key is ``from>to`` and the field ``poids``: the weight that this link has from its date until it expires, that day
included. The other links of the same code share what is left in proportion; 0 removes a link, and a link may be added.
Corrections follow the direction in which links are kept, so that the way back is always made from the same links. A code
that two nomenclatures know names its own: ``FAP2009:A0Z40>FAP2021:A0X40``.
"""

from __future__ import annotations

import math
from itertools import pairwise

import pandas as pd

from features.decisions import in_force
from features.errors import InputError
from features.nomenclatures import codes_of, nearest_codes

LINK = ["from_kind", "from_code", "to_kind", "to_code"]
GROUP = ["from_kind", "from_code", "to_kind"]
CORRECTABLE = (
    ("ROME", "FAP2009"),
    ("ROME", "FAP2021"),
    ("ROME", "SECTEUR"),
    ("FAP2009", "FAP2021"),
    ("CERTIFINFO", "ROME"),
)
"""What is a judgement. Parents and fields (the first characters of a code) are definitions, that nobody corrects."""
_EXAMPLE = "FAP2009:A0Z40>FAP2021:A0X40"
_TYPES = {
    **dict.fromkeys(LINK, "str"),
    "weight": "float64",
    "author": "str",
    "motive": "str",
    "known_from": "datetime64[us]",
    "expires": "datetime64[us]",
    "row": "str",
}
_TOLERANCE = 1e-9


def read_corrections(overrides: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """Read the corrections in force at ``as_of``, the last of each link. One row per corrected link: weight, who, why, until.

    Raises one :class:`InputError` that names every row that cannot be one.
    """
    ours = in_force(overrides, "crosswalk", as_of)
    faults: list[str] = []
    rows = []
    for row in ours.to_dict("records"):
        named = f"overrides: '{row['key']}' ({row['author']}, {row['known_from']:%Y-%m-%d})"
        try:
            link, weight = _link(str(row["key"]), named), _weight(row["field"], row["value"], named)
        except InputError as error:
            faults += error.faults
        else:
            rows.append([*link, weight, row["author"], row["motive"], row["known_from"], row["expires"], named])
    if faults:
        raise InputError(*sorted(faults))
    read = pd.DataFrame(rows, columns=list(_TYPES)).astype(_TYPES)
    return _last_of_each(read.sort_values([*LINK, "known_from", "row"], ignore_index=True))


def _weight(field: object, value: object, named: str) -> float:
    """Read a weight, written with a point or a comma."""
    if field != "poids":
        raise InputError(f"{named}: champ '{field}' is not what a crosswalk has. Write poids.")
    text = str(value).strip().replace(",", ".")
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not 0 <= weight <= 1:
        raise InputError(f"{named}: valeur '{value}' is not a weight. Write a number from 0 to 1, like 0.4.")
    return weight


def _link(key: str, named: str) -> tuple[str, str, str, str]:
    """Read ``from>to``, each with its nomenclature where it is written, else the only one that fits."""
    sides = [side.strip() for side in key.split(">")]
    if len(sides) != 2 or not all(sides):
        raise InputError(f"{named}: a link is written from>to, like {_EXAMPLE}.")
    named_kinds, codes = zip(*(_side(side) for side in sides), strict=True)
    pairs = [pair for pair in CORRECTABLE if all(not k or k == own for k, own in zip(named_kinds, pair, strict=True))]
    fitting = [pair for pair in pairs if all(code in codes_of(kind) for code, kind in zip(codes, pair, strict=True))]
    if len(fitting) == 1:
        return fitting[0][0], codes[0], fitting[0][1], codes[1]
    if fitting:
        either = " or ".join(f"{origin}:{codes[0]}>{target}:{codes[1]}" for origin, target in fitting)
        raise InputError(f"{named}: several nomenclatures fit. Write {either}.")
    raise InputError(*_why_none_fits(named, codes, pairs))


def _side(side: str) -> tuple[str, str]:
    kind, colon, code = side.rpartition(":")
    return (kind.strip().upper() if colon else "", code.strip().upper())


def _why_none_fits(named: str, codes: tuple[str, ...], pairs: list[tuple[str, str]]) -> list[str]:
    """Say which code nobody knows, or that these nomenclatures have no link that can be corrected."""
    faults = []
    for side, code in enumerate(codes):
        other = 1 - side
        likely = [pair for pair in pairs if codes[other] in codes_of(pair[other])] or pairs
        kinds = tuple(dict.fromkeys(pair[side] for pair in likely))
        if kinds and not any(code in codes_of(kind) for kind in kinds):
            near = ", ".join(nearest_codes(code, kinds))
            faults.append(f"{named}: no code of {' or '.join(kinds)} is '{code[:40]}'. The nearest are {near}.")
    links = ", ".join(f"{origin}>{target}" for origin, target in CORRECTABLE)
    return faults or [f"{named}: this is no link that can be corrected. Those are {links}, in this direction, like {_EXAMPLE}."]


def _last_of_each(corrections: pd.DataFrame) -> pd.DataFrame:
    """Keep the last correction of each link; two of one day that disagree are refused. One row per corrected link."""
    faults = [
        f"{after['row']}: another correction of the same link has the same date and another weight. Keep one of them."
        for before, after in pairwise(corrections.to_dict("records"))
        if [before[name] for name in [*LINK, "known_from"]] == [after[name] for name in [*LINK, "known_from"]]
        and before["weight"] != after["weight"]
    ]
    if faults:
        raise InputError(*faults)
    return corrections.drop_duplicates(LINK, keep="last", ignore_index=True)


def correct_links(links: pd.DataFrame, corrections: pd.DataFrame) -> pd.DataFrame:
    """Fix the corrected weights, and share what is left over the other links of the same code in proportion.

    One row per link; weights add up to one per code that has a link. Raises :class:`InputError` where they cannot.
    """
    touched = links["from_code"].isin(corrections["from_code"])
    kept = links[touched].merge(corrections[LINK], on=LINK, how="left", validate="one_to_one", indicator="seen")
    free = kept[kept["seen"] == "left_only"].drop(columns="seen")
    fixed = corrections.groupby(GROUP)["weight"].sum().rename("fixed")
    sums = free.groupby(GROUP)["weight"].sum().rename("free")
    _refuse_impossible(corrections, sums)
    both = free.merge(fixed.reset_index(), on=GROUP, how="left", validate="many_to_one")
    both = both.merge(sums.reset_index(), on=GROUP, how="left", validate="many_to_one")
    left = (1 - both["fixed"]).clip(lower=0.0) * both["weight"] / both["free"]
    rest = both.assign(weight=left.where(both["fixed"].notna(), both["weight"]))[links.columns]
    decided = corrections[[*LINK, "weight"]].assign(source="correction")[links.columns]
    every = pd.concat([links[~touched], rest, decided], ignore_index=True)
    return every[every["weight"] > 0].reset_index(drop=True)


def _refuse_impossible(corrections: pd.DataFrame, free: pd.Series[float]) -> None:
    """Refuse corrections of one code that exceed one, or that leave a part which no other link could take."""
    faults = []
    for group, rows in corrections.groupby(GROUP):
        total, named = float(rows["weight"].sum()), " and ".join(rows["row"])
        if total > 1 + _TOLERANCE:
            faults.append(f"{named}: the weights add up to {total:g}, more than 1. Lower one of them.")
        elif 0 < total < 1 - _TOLERANCE and not free.get(group, 0.0) > 0:
            faults.append(f"{named}: {1 - total:g} is left and no other link takes it. Give 1, or add a link for the rest.")
    if faults:
        raise InputError(*faults)
