"""Laws of a night: what has not changed is not made again, what died is taken up, what people decided stays."""

from __future__ import annotations

import hashlib
import logging
import shutil
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from homes import AS_OF, copy_home

from features.vocabulary import InputError
from needs.home import Home
from needs.params import load_params
from needs.run import stages
from needs.run.nightly import MADE, Asked, Published, run_nightly
from needs.store.publish import list_runs, open_database, rollback
from needs.store.schema import TABLES

pytestmark = pytest.mark.long


@pytest.fixture
def home(ran: Home, tmp_path: Path) -> Home:
    """A home in which a run was published; its lake and its shelf lie as it left them."""
    return copy_home(ran, tmp_path, made=True)


def night(home: Home, *settings: str, **asked: object) -> Published:
    return run_nightly(home, load_params(home.params, settings), asked=Asked(**{"as_of": AS_OF, **asked}))  # type: ignore[arg-type]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The stages that are made, in their order."""
    told: list[str] = []
    before = stages.Line._new

    def note(line: stages.Line, stage: stages.Stage) -> object:
        made = before(line, stage)
        told.append(stage.name)
        return made

    monkeypatch.setattr(stages.Line, "_new", note)
    return told


def published(home: Home) -> dict[str, str]:
    """Hash what each table holds of the current run."""
    with sqlite3.connect(home.var / "needs.db") as connection:
        rows = {name: connection.execute(f"SELECT * FROM current_{name}").fetchall() for name in TABLES}
    return {name: hashlib.sha256(repr(told).encode()).hexdigest() for name, told in rows.items()}


def tree(root: Path) -> dict[str, tuple[int, str]]:
    return {
        str(path.relative_to(root)): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.name.startswith((".lock", "needs.db-"))
    }


def test_a_night_with_nothing_new_reads_nothing_and_writes_nothing(
    home: Home, made: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    before = tree(home.var)
    with caplog.at_level(logging.INFO):
        told = night(home)
    assert (told.new, made) == (False, [])
    assert not [record for record in caplog.records if record.getMessage().startswith("read ")]
    after = tree(home.var)
    assert {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} <= {"needs.db"} | {
        name for name in after if name.startswith(("log/", "digest/"))
    }


def test_money_that_changes_leaves_features_forecasts_and_matches_as_they_are(home: Home, made: list[str]) -> None:
    assert night(home, "purchase.draws=3").new
    assert made == ["plan"]


def test_a_source_that_changes_is_read_alone_and_all_that_follows_is_made(
    home: Home, made: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    path = sorted(home.raw.glob("signals/*.csv"))[0]
    path.write_text("\n".join(path.read_text(encoding="utf-8").splitlines()[:-1]) + "\n", encoding="utf-8")
    with caplog.at_level(logging.INFO):
        night(home)
    assert [record.getMessage().split(":")[0] for record in caplog.records if record.getMessage().startswith("read ")] == [
        "read signals"
    ]
    assert made[0] == "features"
    assert "plan" in made


def test_all_is_made_again_when_forced_and_comes_out_the_same(home: Home, made: list[str]) -> None:
    before = published(home)
    assert night(home, force=True).new
    assert set(made) == set(MADE)
    assert published(home) == before


def test_features_alone_train_nothing(home: Home, made: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("needs.run.nightly.choose_models", lambda *_, **__: pytest.fail("models were chosen"))
    assert not night(home, only="features").new
    assert made == ["features"]


def test_one_stage_alone_publishes_nothing(home: Home, made: list[str]) -> None:
    before = published(home)
    assert not night(home, only="rank").new
    assert made == ["rank"]
    assert published(home) == before


def test_from_a_stage_on_all_is_made_again(home: Home, made: list[str]) -> None:
    before = published(home)
    night(home, since="plan")
    assert set(made) == {"plan", "match"}
    assert published(home) == before


def test_a_stage_that_rests_on_what_was_never_made_is_refused_in_words(home: Home) -> None:
    shutil.rmtree(home.stages / "features")
    with pytest.raises(InputError, match="--from features"):
        night(home, "ranking.emerging_share=0.2", since="rank")


@pytest.mark.parametrize(("only", "since"), [("dinner", None), (None, "dinner"), ("plan", "plan")])
def test_what_no_night_has_is_refused_in_words(only: str | None, since: str | None) -> None:
    with pytest.raises(InputError, match="stage"):
        Asked(AS_OF, only, since)


def test_a_table_that_was_spoilt_in_the_lake_is_read_again(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    before, part = published(home), sorted((home.lake / "jobseekers").rglob("part.parquet"))[0]
    spoilt = bytearray(part.read_bytes())
    spoilt[len(spoilt) // 2] ^= 0xFF
    part.write_bytes(bytes(spoilt))
    with caplog.at_level(logging.INFO):
        assert not night(home).new
    told = [record.getMessage() for record in caplog.records]
    assert any("jobseekers: its table does not lie as it was written" in line for line in told)
    assert published(home) == before
    assert part.read_bytes() != bytes(spoilt)


@pytest.mark.parametrize("kept", [0, 0.5])
def test_what_people_look_at_is_written_again_when_it_was_cut_short(home: Home, kept: float) -> None:
    shown = night(home).shown
    assert shown is not None
    whole = {path: path.read_bytes() for path in (shown.page, *shown.exports)}
    for path, content in whole.items():
        path.write_bytes(content[: int(len(content) * kept)])
    night(home)
    assert {path: path.read_bytes() for path in whole} == whole


def test_a_run_that_was_rolled_back_is_not_published_again_by_the_night(home: Home) -> None:
    first = night(home).run_id
    later = night(home, "purchase.draws=3").run_id
    engine = open_database(f"sqlite:///{home.var / 'needs.db'}")
    rollback(engine, None)
    assert night(home, "purchase.draws=3").run_id == later
    assert list_runs(engine).query("current")["run_id"].tolist() == [first]
    assert night(home, "purchase.draws=3", force=True).run_id == later
    assert list_runs(engine).query("current")["run_id"].tolist() == [later]


def test_a_clock_that_was_set_back_changes_neither_the_day_nor_the_order_of_runs(home: Home) -> None:
    params = load_params(home.params, ("purchase.draws=3",))
    last = datetime.fromisoformat(list_runs(open_database(f"sqlite:///{home.var / 'needs.db'}"))["finished_at"].iloc[0])
    told = run_nightly(home, params, clock=lambda: datetime(1999, 1, 1, tzinfo=UTC))
    runs = list_runs(open_database(f"sqlite:///{home.var / 'needs.db'}"))
    assert runs["run_id"].iloc[0] == told.run_id
    assert runs["as_of"].iloc[0] == AS_OF
    assert datetime.fromisoformat(runs["finished_at"].iloc[0]) - last < timedelta(minutes=1)
