"""A small simulated region, drawn and run once for all tests, however many processes share them."""

from __future__ import annotations

import fcntl
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pandas as pd
import pytest
from homes import AS_OF, copy_home, of_one, read_all
from hypothesis import settings
from nights import Seen, narrow, new_decision, night, seen_by_readers, url_of
from postgres import Server, serving

from features.build import Features, build_features
from features.contracts import Checked
from features.sources import SOURCES
from needs.home import Home
from needs.params import Params, load_params
from needs.run.door import Door
from needs.run.inputs import Inputs, gather
from needs.run.logs import recording
from needs.run.nightly import run_nightly
from needs.run.pipeline import compute
from needs.store.lake import read_tables
from needs.twin import Drawn, draw

# In CI the same examples every time: a red build is then always about the change.
settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("here", deadline=None)  # how long an example takes on a busy machine is no law
settings.load_profile("ci" if os.environ.get("CI") else "here")
os.environ.setdefault("NEEDS_PSEUDONYM_KEY", "a key for tests only")
PARAMS = """
purchase:
  envelopes:
    - {name: base, amount_eur: 200000, volets: [socle], financeurs: ["2"]}
    - {name: additional, amount_eur: 60000, volets: [additionnel], financeurs: ["11"]}
features: {privacy: {smallest_cell: 5}}
execution: {workers: 1}
"""
REAL_SURVEYS = Path(__file__).resolve().parents[2] / "shared" / "data" / "bmo"
Made = TypeVar("Made")


@pytest.fixture(scope="session")
def common(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that every process of these tests sees, and no other tests."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def made_once(folder: Path, make: Callable[[Path], Made]) -> Made:
    """Make something in a folder; whichever process comes first does, the others wait and take what it gave."""
    with folder.with_suffix(".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        given = folder.with_suffix(".pickle")
        if not given.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            given.write_bytes(pickle.dumps(make(folder)))
        return pickle.loads(given.read_bytes())


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A PostgreSQL that ends with the tests."""
    with serving() as started:
        yield started


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a new and empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'var' / 'needs.db'}"
    return request.getfixturevalue("server").new_database()


@pytest.fixture(scope="session")
def twin(common: Path) -> tuple[Home, Drawn]:
    """The tiny region, whole, and what its draw says that it wrote; nobody changes it."""

    def make(folder: Path) -> tuple[Home, Drawn]:
        return Home(folder), draw(Home(folder), scale="tiny", seed=1, as_of=pd.Timestamp(AS_OF))

    return made_once(common / "twin", make)


@pytest.fixture(scope="session")
def checked(twin: tuple[Home, Drawn], common: Path) -> dict[str, Checked]:
    """What the readers make of the tiny region, by source."""
    return made_once(common / "checked", lambda _: read_all(twin[0]))


@pytest.fixture(scope="session")
def surveyed(common: Path) -> Callable[[int], Checked]:
    """Read the real survey of a year, where it is there."""

    def of(year: int) -> Checked:
        path = REAL_SURVEYS / f"Base_open_data_BMO_{year}.xlsx"
        return made_once(common / path.stem, lambda _: SOURCES["bmo"].read([path]))

    return of


@pytest.fixture(scope="session")
def drawn(twin: tuple[Home, Drawn], tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home whose data/raw holds the tiny region; tests copy it before they change it."""
    root = tmp_path_factory.mktemp("drawn")
    shutil.copytree(twin[0].root, root, dirs_exist_ok=True)
    home = Home(root)
    home.params.write_text(PARAMS, encoding="utf-8")
    return home


@pytest.fixture(scope="session")
def params(drawn: Home) -> Params:
    return load_params(drawn.params)


@pytest.fixture(scope="session")
def ran(drawn: Home, common: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home in which the nightly job has run once; tests copy it before they change it (``copy_home`` with what was made)."""

    def make(folder: Path) -> Home:
        home = copy_home(drawn, folder)
        with recording(home, keep=7):
            assert run_nightly(home, load_params(home.params), AS_OF).new
        return home

    return copy_home(made_once(common / "ran", make), tmp_path_factory.mktemp("ran"), made=True)


@pytest.fixture(scope="session")
def small(drawn: Home, common: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """One département of that region, in which the nightly job has run once: a night is short; tests copy it with all of it."""

    def make(folder: Path) -> Home:
        home = copy_home(drawn, folder)
        narrow(home)
        with recording(home, keep=7):
            assert run_nightly(home, load_params(home.params), AS_OF).new
        return home

    return copy_home(made_once(common / "small", make), tmp_path_factory.mktemp("small"), made=True)


@pytest.fixture
def home(small: Home, tmp_path: Path) -> Home:
    """A home in which a run was published; its lake and its shelf lie as it left them."""
    return copy_home(small, tmp_path / "home", made=True)


@pytest.fixture
def before(small: Home) -> Seen:
    """What readers see in it."""
    return seen_by_readers(url_of(small))


@pytest.fixture(scope="session")
def undisturbed(small: Home, common: Path) -> Callable[..., Seen]:
    """What readers see once a copy of it has run again, with a new decision (0: none) and settings, and nothing befell it."""

    def of(turn: int, *settings: str) -> Seen:
        def make(folder: Path) -> Seen:
            home = copy_home(small, folder, made=True)
            if turn:
                new_decision(home, turn)
            assert night(home, *settings).code == 0
            return seen_by_readers(url_of(home))

        return made_once(common / f"undisturbed {turn} {' '.join(settings)}", make)

    return of


@pytest.fixture(scope="session")
def inputs(ran: Home, params: Params) -> Inputs:
    return gather(read_tables(ran.lake), pd.Timestamp(AS_OF), params, Door({}, simulated=True))


@pytest.fixture(scope="session")
def few(inputs: Inputs) -> Inputs:
    """The inputs of one bassin: a run of them is short."""
    return of_one(inputs)


@pytest.fixture(scope="session")
def published(inputs: Inputs, common: Path) -> dict[str, pd.DataFrame]:
    return made_once(common / "published", lambda _: compute(inputs).tables)


@pytest.fixture(scope="session")
def features(inputs: Inputs, common: Path) -> Features:
    """What is known of the tiny region; nobody changes it."""
    return made_once(common / "features", lambda _: build_features(inputs.tables, inputs.as_of, inputs.params.features))
