"""A small simulated region, drawn and run once for all tests."""

from __future__ import annotations

import os
import shutil

import pandas as pd
import pytest
from homes import AS_OF, copy_home
from hypothesis import settings

from needs.home import Home
from needs.params import Params, load_params
from needs.run.door import Door
from needs.run.nightly import run_nightly
from needs.run.pipeline import Inputs, compute, gather
from needs.store.lake import read_tables
from needs.twin import Drawn, draw

# In CI the same examples every time: a red build is then always about the change.
settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")
os.environ.setdefault("NEEDS_PSEUDONYM_KEY", "a key for tests only")
# Sources that no figure uses yet: their readers have tests of their own.
ONLY_CHECKED = ("certifications", "tension", "market", "insertion")
PARAMS = """
purchase:
  envelopes:
    - {name: base, amount_eur: 200000, volets: [socle], financeurs: ["2"]}
    - {name: additional, amount_eur: 60000, volets: [additionnel], financeurs: ["11"]}
features: {privacy: {smallest_cell: 5}}
execution: {workers: 1}
"""


@pytest.fixture(scope="session")
def twin(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Drawn]:
    """The tiny region, whole, and what its draw says that it wrote; nobody changes it."""
    home = Home(tmp_path_factory.mktemp("twin"))
    return home, draw(home, scale="tiny", seed=1, as_of=pd.Timestamp(AS_OF))


@pytest.fixture(scope="session")
def drawn(twin: tuple[Home, Drawn], tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home whose data/raw holds what a run uses of the tiny region; tests copy it before they change it."""
    root = tmp_path_factory.mktemp("drawn")
    shutil.copytree(twin[0].root, root, dirs_exist_ok=True)
    home = Home(root)
    home.params.write_text(PARAMS, encoding="utf-8")
    for source in ONLY_CHECKED:
        shutil.rmtree(home.raw / source)
    return home


@pytest.fixture(scope="session")
def params(drawn: Home) -> Params:
    return load_params(drawn.params)


@pytest.fixture(scope="session")
def ran(drawn: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home in which the nightly job has run once."""
    home = copy_home(drawn, tmp_path_factory.mktemp("ran"))
    run_nightly(home, load_params(home.params), AS_OF)
    return home


@pytest.fixture(scope="session")
def inputs(ran: Home, params: Params) -> Inputs:
    return gather(read_tables(ran.lake), pd.Timestamp(AS_OF), params, Door({}, simulated=True))


@pytest.fixture(scope="session")
def published(inputs: Inputs) -> dict[str, pd.DataFrame]:
    return compute(inputs)
