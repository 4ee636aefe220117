"""What tests do with a home: copy it, ingest it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd

from needs.home import Home
from needs.params import load_params
from needs.run.ingest import door_of, ingest
from needs.run.pipeline import Inputs, gather
from needs.store.lake import read_tables

AS_OF = "2026-03-31"


def copy_home(home: Home, to: Path) -> Home:
    """Copy what a Region would have: parameters and raw files, nothing that a run made."""
    shutil.copytree(home.raw, to / "data" / "raw")
    shutil.copy(home.params, to / "params.yaml")
    return Home(to)


def gathered(home: Home, *, settings: tuple[str, ...] = ()) -> Inputs:
    """Ingest a home and gather its inputs, as the nightly job does."""
    params = load_params(home.params, settings)
    door = door_of(home, ingest(home, params.ingest))
    return gather(read_tables(home.lake), pd.Timestamp(AS_OF), params, door)
