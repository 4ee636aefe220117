"""The published run that commands read: where it lies, and what to say when there is none. Reading lays no database."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from sqlalchemy import Engine, make_url
from sqlalchemy.exc import ArgumentError

from features.vocabulary import InputError
from needs.store.publish import NOTHING, list_runs, open_database


@dataclass(frozen=True)
class Current:
    """The current run: its database, its name and the day it stands on."""

    engine: Engine
    run_id: str
    as_of: pd.Timestamp


def absent_file(url: str) -> Path | None:
    """Give the file of a database that has not been laid yet; nothing when it is there, or on a server."""
    try:
        address = make_url(url)
    except ArgumentError:
        return None
    if address.get_backend_name() != "sqlite" or address.database in (None, "", ":memory:"):
        return None
    path = Path(str(address.database))
    return None if path.exists() else path


def open_current(url: str) -> Current:
    """Open the current run; refuse when nothing has been published."""
    if absent_file(url):
        raise InputError(NOTHING)
    engine = open_database(url)
    runs = list_runs(engine)
    current = runs[runs["current"]]
    if current.empty:
        raise InputError(NOTHING)
    row = current.iloc[0]
    return Current(engine, str(row["run_id"]), pd.Timestamp(row["as_of"]))
