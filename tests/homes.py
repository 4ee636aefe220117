"""What tests do with a home: copy it, ingest it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow.compute as pc

from features.contracts import Checked
from features.lazy import lazy
from features.sources import SOURCES, files_of
from needs.home import Home
from needs.params import load_params
from needs.run.ingest import door_of, ingest
from needs.run.inputs import Inputs, gather
from needs.store.lake import read_tables

AS_OF = "2026-03-31"


def copy_home(home: Home, to: Path, *, made: bool = False) -> Home:
    """Copy what a Region would have: parameters and raw files; with all that runs made of them only when asked for."""
    shutil.copytree(home.raw, to / "data" / "raw")
    shutil.copy(home.params, to / "params.yaml")
    if made:
        shutil.copytree(home.var, to / "var")
    return Home(to)


def read_all(home: Home) -> dict[str, Checked]:
    """Read every source that a home has files of, by its name."""
    found = {name: files_of(home.raw / source.folder, source) for name, source in SOURCES.items()}
    return {name: SOURCES[name].read(files) for name, files in found.items() if files}


def gathered(home: Home, only: Sequence[str] = (), *, settings: tuple[str, ...] = ()) -> Inputs:
    """Ingest a home, or some sources of it, and gather its inputs, as the nightly job does."""
    params = load_params(home.params, settings)
    door = door_of(home, ingest(home, params.ingest, only))
    return gather(read_tables(home.lake), pd.Timestamp(AS_OF), params, door)


def of_one(whole: Inputs) -> Inputs:
    """Keep the vacancies of one bassin and the people who live there, or nobody knows where: a run of them is short."""
    offers, people = whole.tables.offers, whole.tables.jobseekers
    here = people["territory"].mode()[0]
    near = (people["territory"] == here) | people["territory"].isna()
    tables = replace(
        whole.tables, offers=lazy(offers.to_table(filter=pc.field("territory") == here).to_pandas()), jobseekers=people[near]
    )
    return gather(tables, whole.as_of, whole.params, whole.door)
