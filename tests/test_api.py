"""Laws of the Python API: it is the nightly job, it only looks, and what it cannot do it says in words."""

from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from homes import AS_OF, copy_home
from pandas.testing import assert_frame_equal

import needs
from features.errors import InputError
from models.whatif import sum_up
from needs.home import Home
from needs.store.schema import conform
from needs.twin import Drawn

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parent.parent
HEAVY = {"mlflow", "numpy", "pandas", "pyarrow", "scipy", "sklearn", "sqlalchemy"}
BEFORE = "2025-12-31"


@pytest.fixture(scope="module")
def home(ran: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home of these tests' own, in which a night has run."""
    return copy_home(ran, tmp_path_factory.mktemp("api"), made=True)


@pytest.fixture(scope="module")
def region(home: Home) -> needs.Region:
    return needs.open(home.root)


def lying(home: Home) -> dict[str, tuple[int, int]]:
    """Say of every file how large it is, and when it was written."""
    told = {path: path.stat() for path in sorted(home.root.rglob("*")) if path.is_file()}
    return {str(path): (stat.st_size, stat.st_mtime_ns) for path, stat in told.items()}


def test_importing_it_imports_nothing_heavy() -> None:
    shown = "import sys, needs; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", shown], capture_output=True, encoding="utf-8", check=True)
    assert {name.split(".")[0] for name in done.stdout.split()} & HEAVY == set()


def test_a_name_that_is_none_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'opne': it has Region, Run, demo, open"):
        _ = needs.opne  # type: ignore[attr-defined]
    assert set(needs.__all__) <= {name for name in needs.__all__ if getattr(needs, name)}


def test_it_makes_what_the_night_published(region: needs.Region) -> None:
    run, runs = region.compute(), region.runs()
    assert run.run_id == runs.loc[runs["current"], "run_id"].item()
    for name, table in run.tables.items():
        published = region.published(name).drop(columns="run_id", errors="ignore")
        assert_frame_equal(conform(name, table), published, obj=name, check_dtype=False)


def test_a_stage_is_that_of_the_run(region: needs.Region) -> None:
    assert_frame_equal(
        region.plan().plan.lots[["lot_id", "places"]].sort_values("lot_id", ignore_index=True),
        region.published("lots")[["lot_id", "places"]],
        check_dtype=False,
    )
    assert len(region.forecasts()) == len(region.published("forecasts"))
    assert len(region.effects().model.table) == len(region.published("effects"))
    assert len(region.matches().tables["recommendations"]) == len(region.published("recommendations"))


def test_looking_leaves_a_home_as_it_is(home: Home) -> None:
    before = lying(home)
    other = needs.open(home.root, settings=["purchase.smallest_worth=0.02", "ranking.borrowed_people=40"])
    assert other.inputs.run_id != needs.open(home.root).inputs.run_id
    other.plan()
    other.what_if("budget=300000")
    other.trials()
    other.registered()
    other.published("lots")
    assert lying(home) == before


def test_a_day_of_the_past_knows_nothing_of_what_came_after(home: Home) -> None:
    before = lying(home)
    past = needs.open(home.root, as_of=BEFORE)
    assert past.features().panel["period"].max() == "2025-12"
    assert past.models().about.as_of == BEFORE, "models in force learned of later days"
    assert lying(home) == before


def test_what_is_loaded_is_seen_at_the_next_look(ran: Home, tmp_path: Path) -> None:
    home = copy_home(ran, tmp_path, made=True)
    region = needs.open(home.root)
    seen = region.inputs.data_sha256
    path = next((home.raw / "purchases").glob("*.csv"))
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:-1]), encoding="utf-8")
    assert region.inputs.data_sha256 == seen
    (arrival,) = region.ingest("purchases")
    assert arrival.kept == len(lines) - 2
    assert region.inputs.data_sha256 != seen


def test_a_night_that_has_nothing_to_do_says_so(home: Home) -> None:
    region = needs.open(home.root, as_of=AS_OF)
    assert not region.nightly().new


def test_more_money_buys_no_fewer_jobs(region: needs.Region) -> None:
    jobs = [sum_up(region.what_if(f"budget={euros}").plan.lots)["jobs"].item() for euros in (150_000, 260_000, 400_000)]
    assert jobs == sorted(jobs)
    changes = region.what_if("budget=400000").changes
    assert (changes["cost_cents_to"] - changes["cost_cents_from"]).sum() > 0


def test_the_backtest_judges_ours_beside_the_naive_one(region: needs.Region) -> None:
    judged, scores = region.backtest()
    assert set(judged.told["model"]) == set(scores["model"]) >= {"need_forecaster", "seasonal_naive"}
    assert {"", "territory", "sector", "step", "volume_class"} == set(scores["by"])


def test_what_mlflow_keeps_is_read(region: needs.Region) -> None:
    champion, trials = region.registered().champion, region.trials()
    assert champion
    assert champion.decision == "promoted"
    assert champion.about["as_of"] == AS_OF
    assert trials["run"].unique().tolist() == [region.models().about.name]
    assert (trials.loc[trials["metric"] == "challenger/forecast.bassin.wape", "value"] > 0).all()
    steps = trials.loc[trials["metric"] == "challenger/by step/forecast.bassin.wape", "step"]
    assert steps.is_unique
    assert len(steps) > 1
    assert region.trials("backtest").empty


def test_a_region_is_drawn_by_its_seed(twin: tuple[Home, Drawn], tmp_path: Path) -> None:
    region = needs.demo(tmp_path / "region")
    assert region.home.simulated
    for source in ("purchases", "bmo"):
        assert lines(region.home, source) == lines(twin[0], source)
    with pytest.raises(InputError, match="needs nightly"):
        region.features()
    assert region.runs().empty
    assert region.trials().empty
    assert region.registered().champion is None


def lines(home: Home, source: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((home.raw / source).rglob("*.csv"))]


def test_what_is_not_there_is_said_in_words(region: needs.Region, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is no home.*needs\.demo"):
        needs.open(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"no table 'lot'\. There are forecasts, "):
        region.published("lot")
    with pytest.raises(InputError, match=r"no experiment 'tests'\. There are backtest, training"):
        region.trials("tests")
    with pytest.raises(InputError, match="budget"):
        region.what_if("money=3")
    with pytest.raises(InputError, match="is not a size"):
        needs.demo(tmp_path / "region", scale="huge")


@pytest.mark.usefixtures("region")
def test_the_guide_shows_what_really_happens(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "region").symlink_to(home.root)
    monkeypatch.chdir(tmp_path)
    with pd.option_context("display.width", 110, "display.max_columns", 12):
        told = doctest.testfile(str(ROOT / "docs" / "api.md"), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert told.attempted > 20
    assert told.failed == 0
