"""A new home for a Region, what its folders say, and a whole night in another Region than the one shipped."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pandas as pd
import pytest

import processes
from features.sources import LEAFLET, SOURCES, files_of
from features.vocabulary import REGION, InputError
from needs.doctor import examine
from needs.home import Home
from needs.params import Params, load_params
from needs.project import Asked, make_project, read_asked, read_region
from needs.run.ingest import ingest
from needs.run.inputs import hold_region
from needs.run.nightly import run_nightly
from needs.show.checked import tell_check
from needs.show.guide import WEIGHTS, guides
from needs.show.path import tell_path
from needs.show.terminal import tell_plan
from needs.twin import draw

pytestmark = pytest.mark.long

EXAMPLE = Path(__file__).parents[1] / "docs" / "examples" / "occitanie"
OWN = "R76"


def test_every_folder_that_is_read_has_a_guide_and_no_other() -> None:
    assert set(guides()) == {source.folder for source in SOURCES.values()}
    assert {guide.weight for guide in guides().values()} == set(WEIGHTS)
    assert all(guide.format and all(guide.what.values()) and all(guide.without.values()) for guide in guides().values())


def test_a_new_home_has_parameters_and_a_leaflet_in_every_folder(tmp_path: Path) -> None:
    home = Home(tmp_path / "new")
    told = make_project(home.root, Asked("R76", 5_000_000, 2028))
    params = load_params(home.params)
    assert (params.features.region, params.purchase.exercise) == ("R76", 2028)
    assert [each.amount_eur for each in params.purchase.envelopes] == [5_000_000]
    assert "Occitanie" in params.advice.contact
    assert "territories" in told
    for folder, guide in guides().items():
        text = (home.raw / folder / LEAFLET).read_text(encoding="utf-8")
        assert guide.format in text
        assert guide.address in text
    assert (home.root / "overrides").is_dir()
    assert "/data/" in (home.root / ".gitignore").read_text(encoding="utf-8")
    with pytest.raises(InputError, match="is there already"):
        make_project(home.root, Asked("R44", 1))
    assert load_params(home.params) == params


def test_leaflets_are_read_by_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    home = Home(tmp_path)
    make_project(tmp_path, Asked("R44", 1))
    assert not any(files_of(home.raw / source.folder, source) for source in SOURCES.values())
    with pytest.raises(InputError, match="nothing to read"):
        ingest(home, load_params(home.params).ingest)
    assert caplog.text == ""
    told, healthy = examine(home, ())
    assert not healthy
    assert told.count("needs demo") == 1
    assert "territories" not in make_project(tmp_path / "other", Asked("R44", 1))


@pytest.mark.parametrize("text", ["44", "R44", "grand est", "Grand-Est"])
def test_a_region_is_read_by_code_or_title(text: str) -> None:
    assert read_region(text) == REGION


def test_what_is_no_region_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match="76 Occitanie"):
        read_region("Atlantis")
    with pytest.raises(InputError, match="not a région"):
        load_params(Path("none"), ["features.region=R99"])


def test_without_a_terminal_the_region_must_be_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = processes.run(processes.command, "init", str(tmp_path / "new"))
    assert (done.code, "--region 44" in done.err) == (2, True)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    answers = iter(["occitanie", "20 000 000"])
    monkeypatch.setattr("builtins.input", lambda _: next(answers))
    assert read_asked(None, None, None) == Asked("R76", 20_000_000)


def test_doctor_says_what_a_missing_file_would_change_once_a_folder(tmp_path: Path) -> None:
    told, _ = examine(Home(tmp_path), ())
    assert told.count(guides()["reference"].address) == 1
    for guide in guides().values():
        assert guide.without["en"] in told


# Another Region -----------------------------------------------------------------------------------------------------------


def test_the_example_holds_communes_and_parameters_of_its_region() -> None:
    (file,) = [EXAMPLE / "territories.csv"]
    told = tell_check(Home(EXAMPLE), "territories", [file], Params())
    assert not told.faults
    assert "29 sound, 0 wrong" in told.text
    assert "unknown" not in told.text
    communes = SOURCES["territories"].read([file]).kept
    assert communes["territory"].str.startswith("BE76").all()
    params = load_params(EXAMPLE / "params.yaml")
    hold_region(communes, params.features.region)
    with pytest.raises(InputError, match=r"features.region is R44, and the communes known lie in R76"):
        hold_region(communes, REGION)
    with pytest.raises(InputError, match=r"data/raw/territories"):
        hold_region(communes.iloc[:0], OWN)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home of Occitanie in which a night has run, on simulated files."""
    home = Home(tmp_path_factory.mktemp("occitanie"))
    make_project(home.root, Asked(OWN, 260_000))
    draw(home, scale="occitanie", seed=1)
    run_nightly(home, _params(home), "2026-03-31")
    return home


def _params(home: Home) -> Params:
    return load_params(home.params, ["features.privacy.smallest_cell=5", "execution.workers=1"])


def test_another_region_publishes_under_its_own_code(elsewhere: Home) -> None:
    database = sqlite3.connect(elsewhere.var / "needs.db")
    tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    foreign = r"\bR44\b|\bBE44|Grand Est"
    for name in tables:
        texts = pd.read_sql_query(f'SELECT * FROM "{name}"', database).select_dtypes(["object", "str"])
        found = [column for column in texts if texts[column].dropna().astype("str").str.contains(foreign).any()]
        assert not found, name
    places = {place for (place,) in database.execute("SELECT DISTINCT territory FROM current_forecasts")}
    assert places == {OWN, "BE7617", "BE7618", "BE7626", "D31", "D82"}
    assert len(database.execute("SELECT * FROM current_lots").fetchall()) > 0
    outcomes = {place for (place,) in database.execute("SELECT DISTINCT territory FROM current_outcomes")}
    assert OWN in outcomes


def test_another_region_is_told_by_its_name(elsewhere: Home) -> None:
    (page,) = elsewhere.reports.glob("*/index.html")
    text = page.read_text(encoding="utf-8")
    assert "Occitanie" in text
    assert "Toulouse" in text
    assert "Grand Est" not in text
    assert "Toulouse" in tell_plan(elsewhere, _params(elsewhere), "toulouse")
    with pytest.raises(InputError, match="Cahors"):
        tell_plan(elsewhere, _params(elsewhere), "Strasbourg")
    sector = sqlite3.connect(elsewhere.var / "needs.db").execute("SELECT sector FROM current_lots").fetchone()[0]
    told = tell_path(elsewhere, _params(elsewhere), (OWN, sector))
    assert "Occitanie (R76)" in told.splitlines()[0]
    assert "R44" not in told
    assert "Grand Est" not in told
