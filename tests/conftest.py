"""A small simulated region, drawn and run once for all tests."""

from __future__ import annotations

import os

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
from needs.twin import draw
from needs.twin.simulated import turned

# In CI the same examples every time: a red build is then always about the change.
settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")
os.environ.setdefault("NEEDS_PSEUDONYM_KEY", "a key for tests only")
# The sources that a run uses: what is only read and checked has tests of its own.
USED = (
    *("offers", "bmo", "catalogue", "jobseekers", "trainings", "employment", "outcomes", "purchases", "sessions"),
    *("projections", "signals", "overrides"),
)
PARAMS = """
purchase:
  envelopes:
    - {name: base, amount_eur: 200000, volets: [socle], financeurs: ["2"]}
    - {name: additional, amount_eur: 60000, volets: [additionnel], financeurs: ["11"]}
features: {privacy: {smallest_cell: 5}}
execution: {workers: 1}
"""


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home whose data/raw holds the tiny region; tests copy it before they change it."""
    home = Home(tmp_path_factory.mktemp("drawn"))
    home.params.write_text(PARAMS, encoding="utf-8")
    draw(home, world=turned("calm", {"files.sources": USED}), scale="tiny", seed=1, as_of=pd.Timestamp(AS_OF))
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
