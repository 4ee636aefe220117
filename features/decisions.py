"""What people decide of lots: the rows of ``overrides`` whose object is ``lot``.

The key is a ``lot_id``, as published for what is bought or not; the fields are ``sessions`` or ``places`` (so many, neither
more nor less), ``verrou`` (1: it is bought) and ``interdit`` (1: it is not). A decision holds from its date until it expires,
that day included; of one lot and field the last one counts.
"""

from __future__ import annotations

import math

import pandas as pd

from features.errors import InputError

FIELDS = ("sessions", "places", "verrou", "interdit")
_TYPES = {"lot_id": "str", **dict.fromkeys(FIELDS, "float64"), "author": "str", "motive": "str"}


def in_force(overrides: pd.DataFrame, what: str, as_of: pd.Timestamp) -> pd.DataFrame:
    """Keep what people decided of one kind of object, known at ``as_of`` and not yet over. Same rows."""
    running = overrides["expires"].isna() | (overrides["expires"] >= as_of)
    return overrides[(overrides["object"] == what) & (overrides["known_from"] <= as_of) & running]


def read_decisions(overrides: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """Read the decisions in force at ``as_of``. One row per lot_id: the number of each field, author and motive of the last.

    Raises one :class:`InputError` that names every row that cannot be one.
    """
    ours = in_force(overrides, "lot", as_of).sort_values(["known_from", "field", "value"], kind="stable")
    faults: list[str] = []
    lots: dict[str, dict[str, object]] = {}
    for row in ours.to_dict("records"):
        named = f"overrides: '{row['key']}' ({row['author']}, {row['known_from']:%Y-%m-%d})"
        try:
            number = _number(row["field"], row["value"], named)
        except InputError as error:
            faults += error.faults
        else:
            told = {str(row["field"]): number, "author": row["author"], "motive": row["motive"]}
            lots.setdefault(str(row["key"]).strip(), {}).update(told)
    faults += [f"overrides: lot '{lot}' is both locked and forbidden. Keep one." for lot, told in lots.items() if _torn(told)]
    if faults:
        raise InputError(*sorted(faults))
    rows = [{"lot_id": lot, **told} for lot, told in sorted(lots.items())]
    return pd.DataFrame(rows, columns=list(_TYPES)).astype(_TYPES)


def _torn(told: dict[str, object]) -> bool:
    return told.get("verrou") == 1 and told.get("interdit") == 1


def _number(field: object, value: object, named: str) -> float:
    """Read what a field says: a whole number, 0 or 1 for a lock and a ban."""
    if field not in FIELDS:
        raise InputError(f"{named}: champ '{field}' is not what a lot has. Write one of {', '.join(FIELDS)}.")
    try:
        number = float(str(value).strip().replace(",", "."))
    except ValueError:
        number = math.nan
    most = 1 if field in ("verrou", "interdit") else 1_000_000
    if not (0 <= number <= most and number == int(number)):
        example = "0 or 1" if most == 1 else "a whole number, like 2"
        raise InputError(f"{named}: valeur '{value}' does not fit {field}. Write {example}.")
    return number
