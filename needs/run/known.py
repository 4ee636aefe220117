"""What a night looks into before it makes anything: the lake on its day, by the prints of what was known."""

from __future__ import annotations

import logging
from datetime import datetime

import pandas as pd

from features.tables import CONTRACTS, Tables
from features.vocabulary import InputError
from needs.home import Home
from needs.params import Params
from needs.run.code import code_version
from needs.run.door import Door
from needs.run.inputs import Inputs, hold_exercise
from needs.run.progress import step
from needs.run.stages import Shelf
from needs.store.bundles import BundleError
from needs.store.lake import KnownTables, newest_day, print_of, read_manifest

log = logging.getLogger(__name__)
_KNOWN = "known"


def look_into(home: Home, day: pd.Timestamp, params: Params, door: Door, shelf: Shelf | None) -> Inputs:
    """Say what a run is made of. Tables are read when a stage asks for them: their prints lie on the shelf, if there is one."""
    code = code_version()
    lying = [f"{contract.name} {read_manifest(home.lake, contract)}" for contract in CONTRACTS]
    key = print_of(code, f"{day:%Y-%m-%d}", *lying)

    def reading() -> Tables:
        return KnownTables(home.lake, day)

    prints = _lying(shelf, key) if shelf else {}
    if not prints:
        with step("lake") as rows:
            known = reading()
            prints, rows["rows known"] = known.prints(), known.rows
        if shelf:
            shelf.put(_KNOWN, key, prints, {"as_of": f"{day:%Y-%m-%d}"})
            shelf.keep({_KNOWN: key})
    return hold_exercise(Inputs(reading, day, params, door, code, prints))


def _lying(shelf: Shelf, key: str) -> dict[str, str]:
    """Give the prints that lie on the shelf; none where they do not, or not as they were put."""
    try:
        return shelf.take(_KNOWN, key, dict)
    except BundleError:
        return {}


def day_of(home: Home, as_of: str | None, now: datetime) -> pd.Timestamp:
    """Give the day a run stands on: the one asked for, else the newest day of the data, never after today."""
    today = f"{now:%Y-%m-%d}"
    newest = newest_day(home.lake)
    if not (as_of or newest):
        raise InputError("The lake is empty: run 'needs nightly' first, which loads what is in data/raw.")
    text = as_of or min(newest, today)
    try:
        day = pd.Timestamp(datetime.strptime(text, "%Y-%m-%d"))
    except ValueError as error:
        raise InputError(f"--as-of '{text}' is not a day. Write it like 2026-03-31.") from error
    if text > today:
        raise InputError(f"--as-of {text} has not come yet (today is {today}). Write a day that is known, like {today}.")
    return day
