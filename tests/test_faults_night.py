"""What befalls a night beside its files: models, MLflow, the database, the clock, territories, gates, time, other nights.

A night that was disturbed is held against one that was not: what is published of the same inputs is the same, row by row.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import joblib
import pandas as pd
import pytest
from nights import (
    MATCH,
    PLAN,
    At,
    Seen,
    ask_too_much,
    at_once,
    completes,
    fail_in,
    new_decision,
    night,
    paused,
    raise_always,
    refused,
    seen_by_readers,
    steps_of,
    until,
    url_of,
)
from postgres import Server
from sqlalchemy import text

from needs.home import Home
from needs.params import load_params
from needs.run.nightly import run_nightly
from needs.store.bundles import MANIFEST
from needs.store.database import reading, writing
from needs.store.publish import COMPLETE, PARTIAL, list_runs, open_database, read_current

pytestmark = pytest.mark.long

Undisturbed = Callable[..., Seen]
BESIDE = {"gates"}  # what is told of a run beside the run before, and not of its inputs alone
NOBODY_THERE = "execution.tracking=http://127.0.0.1:9"


def runs_of(home: Home) -> list[str]:
    """List how the runs of a home ended, the last first."""
    return list_runs(open_database(url_of(home)))["status"].tolist()


# Models -----------------------------------------------------------------------------------------------------------------


class Trap:
    """A thing that leaves a file when it is brought to life."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.trace,)


def set_trap(folder: Path, trace: Path, *, hidden: bool = False) -> None:
    """Put a trap in the place of a bundle; one that is ``hidden`` has a manifest that tells of it."""
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    path = next(folder.glob("*.joblib"))
    joblib.dump(Trap(trace), path)
    if hidden:
        told = hashlib.sha256(path.read_bytes()).hexdigest()
        path.rename(folder / f"{told[:32]}.joblib")
        manifest |= {"sha256": told, "size": (folder / f"{told[:32]}.joblib").stat().st_size}
        (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")


def bundle_at_hand(home: Home) -> Path:
    """Find the copy of the champion."""
    return next(path for path in (home.var / "models").iterdir() if path.is_dir())


def bundle_of_mlflow(home: Home) -> Path:
    """Give a home, which is a copy, MLflow's files for its own, and find the champion there."""
    with closing(sqlite3.connect(home.var / "mlflow.db")) as store, store:
        (address,) = store.execute("SELECT artifact_uri FROM runs").fetchone()
        own = re.sub(r"^file://.*/mlruns", (home.var / "mlruns").as_uri(), address)
        shutil.copytree(Path(address.removeprefix("file://")), Path(own.removeprefix("file://")), dirs_exist_ok=True)
        store.execute("UPDATE runs SET artifact_uri = ?", (own,))
    return Path(own.removeprefix("file://")) / "bundle"


@pytest.mark.parametrize("hidden", [False, True])
def test_models_at_hand_that_were_changed_are_fetched_again(
    home: Home, undisturbed: Undisturbed, tmp_path: Path, hidden: bool
) -> None:
    whole = (bundle_at_hand(home) / MANIFEST).read_bytes()
    set_trap(bundle_at_hand(home), tmp_path / "trace", hidden=hidden)
    assert completes(home, PLAN) == undisturbed(0, PLAN)
    assert not (tmp_path / "trace").exists()
    assert (bundle_at_hand(home) / MANIFEST).read_bytes() == whole
    assert "training of forecasts" not in steps_of(home)


def test_models_that_were_changed_in_mlflow_too_are_refused_and_learned_again(
    home: Home, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    for folder in (bundle_of_mlflow(home), bundle_at_hand(home)):
        set_trap(folder, tmp_path / "trace", hidden=True)
    told = night(home, PLAN)
    assert told.code == 0, told.err
    assert "is not the bundle that was registered" in told.err
    assert not (tmp_path / "trace").exists()
    assert "training of forecasts" in steps_of(home)
    seen, expected = seen_by_readers(url_of(home)), undisturbed(0, PLAN)
    assert {name for name in seen.tables if seen.tables[name] != expected.tables[name]} == {"digest"}
    assert completes(home, PLAN) == seen


def test_a_stage_that_was_changed_is_made_again(home: Home, undisturbed: Undisturbed, tmp_path: Path) -> None:
    set_trap(next((home.stages / "rank").iterdir()), tmp_path / "trace")
    assert completes(home, PLAN) == undisturbed(0, PLAN)
    assert not (tmp_path / "trace").exists()
    assert "ranking" in steps_of(home)


@pytest.mark.parametrize("at_hand", [True, False])
def test_a_night_without_mlflow_goes_on_with_what_is_at_hand_and_says_so(
    home: Home, undisturbed: Undisturbed, at_hand: bool
) -> None:
    if not at_hand:
        shutil.rmtree(home.var / "models")
    told = night(home, PLAN, NOBODY_THERE, befalls=[at_once])
    assert told.code == 0, told.err
    assert "MLflow ne répond pas" in told.out
    assert ("training of forecasts" in steps_of(home)) != at_hand
    assert seen_by_readers(url_of(home)) == undisturbed(0, PLAN)
    assert completes(home, PLAN) == undisturbed(0, PLAN)


# Database ---------------------------------------------------------------------------------------------------------------


HELD = """
CREATE FUNCTION hold() RETURNS trigger AS 'BEGIN PERFORM pg_sleep(600); RETURN NEW; END' LANGUAGE plpgsql;
CREATE TRIGGER held BEFORE INSERT ON forecasts FOR EACH ROW WHEN (NEW.territory = 'BE4446') EXECUTE FUNCTION hold();
"""
COPYING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE 'COPY%'"


def test_a_database_that_goes_costs_what_was_not_published_and_nothing_else(
    home: Home, undisturbed: Undisturbed, server: Server
) -> None:
    url = server.new_database()
    there = f"execution.database={url}"
    before = completes(home, there, url=url)
    server.stop()
    refused(night(home, PLAN, there), "cannot be opened")
    assert not steps_of(home)
    server.start()
    with paused(home, ("ended", "lessons"), PLAN, there) as (_, let_go):
        server.stop()
        told = let_go()
    server.start()
    refused(told, "Bring it back, then run again")
    assert seen_by_readers(url) == before
    with paused(home, ("started", "publish"), PLAN, there) as (_, let_go):
        server.kill()
        told = let_go()
    server.start()
    refused(told, "Bring it back, then run again")
    assert seen_by_readers(url) == before
    assert completes(home, PLAN, there, url=url) == undisturbed(0, PLAN)
    assert steps_of(home) == {"gates", "publish", "page and exports"}


def test_a_server_that_restarts_in_the_middle_of_copy_costs_the_publishing_alone(
    home: Home, undisturbed: Undisturbed, server: Server
) -> None:
    url = server.new_database()
    there = f"execution.database={url}"
    before, engine = completes(home, there, url=url), open_database(url)
    with writing(engine) as connection:
        connection.exec_driver_sql(HELD)

    def copies() -> bool:
        with reading(engine) as connection:
            return bool(connection.scalar(text(COPYING)))

    with paused(home, ("started", "publish"), PLAN, there) as (_, let_go), ThreadPoolExecutor(1) as pool:
        ending = pool.submit(let_go)
        until(copies)
        server.restart()
        refused(ending.result(), "readers see the last complete run")
    assert seen_by_readers(url) == before
    with writing(engine) as connection:
        connection.exec_driver_sql("DROP TRIGGER held ON forecasts")
    assert completes(home, PLAN, there, url=url) == undisturbed(0, PLAN)
    assert steps_of(home) == {"gates", "publish", "page and exports"}


# Clock and company ------------------------------------------------------------------------------------------------------


def test_a_clock_that_jumps_on_and_back_changes_neither_what_is_published_nor_the_order_of_runs(
    home: Home, undisturbed: Undisturbed
) -> None:
    params = load_params(home.params, (PLAN,))
    first = run_nightly(home, params, clock=lambda: datetime.now(UTC) + timedelta(days=4_000))
    assert seen_by_readers(url_of(home)) == undisturbed(0, PLAN)
    new_decision(home, 1)
    second = run_nightly(home, load_params(home.params), clock=lambda: datetime.now(UTC) - timedelta(hours=5))
    runs = list_runs(open_database(url_of(home)))
    assert runs["run_id"].tolist()[:2] == [second.run_id, first.run_id]
    assert runs["current"].tolist()[:2] == [True, False]
    assert runs["finished_at"].is_monotonic_decreasing
    assert unlike(seen_by_readers(url_of(home)), undisturbed(1)) <= BESIDE


def unlike(seen: Seen, expected: Seen) -> set[str]:
    """Name the tables in which runs differ."""
    return {name for name in seen.tables if seen.tables[name] != expected.tables[name]}


def test_of_two_nights_at_once_one_publishes_and_the_other_says_why_not(
    home: Home, before: Seen, undisturbed: Undisturbed
) -> None:
    with paused(home, ("started", "plan"), PLAN) as (_, let_go):
        refused(night(home, PLAN), "another run is at work here")
        assert seen_by_readers(url_of(home)) == before
        assert let_go().code == 0
    assert seen_by_readers(url_of(home)) == undisturbed(0, PLAN)
    assert completes(home, PLAN) == undisturbed(0, PLAN)


def test_a_night_that_is_told_to_stop_leaves_what_was_published(home: Home, before: Seen, undisturbed: Undisturbed) -> None:
    with paused(home, ("started", "matches"), MATCH) as (process, let_go):
        os.kill(process.pid, signal.SIGTERM)
        refused(let_go(), r"Stopped \(143\)", 128 + signal.SIGTERM)
    assert seen_by_readers(url_of(home)) == before
    assert completes(home, MATCH) == undisturbed(0, MATCH)


def test_a_step_that_comes_to_no_end_is_ended(home: Home, before: Seen, undisturbed: Undisturbed) -> None:
    hanging = At("started", "matches", partial(time.sleep, 600))
    refused(night(home, MATCH, "execution.limits.match=0.01", befalls=[hanging]), r"match: took longer .*limits\.match=0\.02")
    assert seen_by_readers(url_of(home)) == before
    assert completes(home, MATCH) == undisturbed(0, MATCH)


# Territories and gates --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("deed", [raise_always, partial(ask_too_much, [None] * 9)])
def test_a_territory_whose_task_always_fails_is_left_out_and_taken_up_by_the_next_night(
    home: Home, undisturbed: Undisturbed, deed: Callable[[], object]
) -> None:
    people = pd.read_parquet(next(home.desk.glob("*/people.parquet"))).groupby("territory")["person"].agg(set)
    told = night(home, MATCH, befalls=[partial(fail_in, "BE4444", deed)])
    assert told.code == 4, told.err
    assert re.search(r"BE4444 .*(ZeroDivisionError|MemoryError)", told.out)
    assert "some-body" not in told.out + told.err
    assert runs_of(home) == [PARTIAL, COMPLETE]
    served = set(read_current(open_database(url_of(home)), "recommendations")["person"])
    assert served & people["BE4446"]
    assert not served & people["BE4444"]
    assert unlike(completes(home, MATCH), undisturbed(0, MATCH)) <= BESIDE
    assert runs_of(home) == [COMPLETE, COMPLETE]


def test_nothing_is_published_without_a_territory_where_nothing_is_to_be(
    home: Home, before: Seen, undisturbed: Undisturbed
) -> None:
    told = night(
        home, MATCH, "execution.failing_territories=publish_nothing", befalls=[partial(fail_in, "BE4444", raise_always)]
    )
    refused(told, "BE4444: ZeroDivisionError.*", 4)
    assert "failing_territories" in told.err
    assert seen_by_readers(url_of(home)) == before
    assert completes(home, MATCH) == undisturbed(0, MATCH)


def test_a_task_that_finds_no_memory_once_is_tried_again(home: Home, undisturbed: Undisturbed) -> None:
    told = night(home, MATCH, befalls=[partial(fail_in, "BE4444", partial(ask_too_much, [None]))])
    assert told.code == 0, told.err
    assert seen_by_readers(url_of(home)) == undisturbed(0, MATCH)
    assert completes(home, MATCH) == undisturbed(0, MATCH)


def test_a_gate_that_refuses_keeps_what_was_published_until_somebody_signs(
    home: Home, before: Seen, undisturbed: Undisturbed
) -> None:
    settings = (PLAN, "gates.grade_d=0.0")
    told = night(home, *settings)
    refused(told, "gate grade_d", 3)
    assert seen_by_readers(url_of(home)) == before
    assert [path.name for path in home.digests.glob("*-refused.txt")]
    head = re.findall(r"under the head '(.*?)'", told.err)
    lines = re.findall(r"To let (?:it|all its groups) through: (.*)", told.err)
    signed = [line.replace("NAME", "Mme Weber").replace("REASON", "vu en comité") for line in lines]
    (home.root / "overrides").mkdir()
    (home.root / "overrides" / "gates.csv").write_text("\n".join([*head, *signed, ""]), encoding="utf-8")
    told = night(home, *settings)
    assert told.code == 0, told.err
    assert "Mme Weber" in told.out
    seen = seen_by_readers(url_of(home))
    assert "Mme Weber" in (home.digests / f"{seen.run_id}.txt").read_text(encoding="utf-8")
    assert unlike(seen, undisturbed(0, PLAN)) <= {*BESIDE, "digest", "assumptions"}
