"""What befalls a database while a run is published: it goes and comes back, is locked or full, two write, others read."""

import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from publish_frames import LATER, RUN, current, many_rows, publish_held, publish_when_told, rows_of, tables
from sqlalchemy import text

import processes
from features.vocabulary import InputError
from needs.store.database import reading, writing
from needs.store.publish import list_runs, open_database, prune, publish, read_current, rollback

pytestmark = pytest.mark.long

NOBODY = 65534
HELD = """
CREATE FUNCTION hold() RETURNS trigger AS 'BEGIN PERFORM pg_sleep(600); RETURN NEW; END' LANGUAGE plpgsql;
CREATE TRIGGER held BEFORE INSERT ON forecasts FOR EACH ROW WHEN (NEW.territory = '060000') EXECUTE FUNCTION hold();
"""


def until(happened):
    """Wait for what is on its way; a minute is more than it takes."""
    for _ in range(6000):
        if happened():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen")


@pytest.mark.parametrize("ending", ["restart", "kill"])
def test_a_server_that_ends_in_the_middle_of_copy_costs_the_run_and_nothing_else(server, ending):
    address = server.new_database()
    engine = open_database(address.replace("//needs@", "//needs:secret@"))
    publish(engine, RUN, tables(), published_by="test")
    with writing(engine) as connection:
        connection.exec_driver_sql(HELD)
    rows = {**tables(9.0), "forecasts": many_rows(100_000)}
    with ThreadPoolExecutor(1) as pool:
        publishing = pool.submit(publish, engine, LATER, rows, published_by="test")
        until(lambda: copied(address) > 50_000)
        getattr(server, ending)()
        if not server.runs:
            server.start()
        with pytest.raises(InputError, match="readers see the last complete run") as refusal:
            publishing.result()
    assert address.split("@")[1] in str(refusal.value)
    assert "secret" not in str(refusal.value)
    assert current(engine) == [RUN.run_id]
    assert rows_of(engine, LATER.run_id) == {}
    assert len(read_current(engine, "forecasts")) == 3
    with writing(engine) as connection:
        connection.exec_driver_sql("DROP TRIGGER held ON forecasts")
    assert publish(engine, LATER, rows, published_by="test")["forecasts"] == 100_000
    assert current(engine) == [LATER.run_id]


def copied(address):
    """Count the rows that the server has taken of the COPY under way."""
    watching = open_database(address)
    with watching.connect() as connection:
        rows = connection.scalar(text("SELECT tuples_processed FROM pg_stat_progress_copy WHERE datname = current_database()"))
    watching.dispose()
    return rows or 0


def test_a_server_that_is_gone_is_told_and_found_again_when_it_is_back(server):
    engine = open_database(server.new_database())
    publish(engine, RUN, tables(), published_by="test")
    server.stop()
    try:
        for deed in (
            lambda: publish(engine, LATER, tables(), published_by="test"),
            lambda: read_current(engine, "forecasts"),
            lambda: list_runs(engine),
            lambda: rollback(engine, None),
            lambda: prune(engine, 1),
        ):
            with pytest.raises(InputError, match="Bring it back, then run again"):
                deed()
        with pytest.raises(InputError, match="cannot be opened"):
            open_database(server.address())
    finally:
        server.start()
    assert len(read_current(engine, "forecasts")) == 3
    assert publish(engine, LATER, tables(), published_by="test")


def test_a_writer_waits_for_another_one_and_says_so_when_it_takes_too_long(url):
    first, second = open_database(url), open_database(url, wait_s=1)
    publish(first, RUN, tables(), published_by="test")
    with writing(first), pytest.raises(InputError, match="Another process is writing there"):
        publish(second, LATER, tables(), published_by="test")
    assert current(first) == [RUN.run_id]
    assert publish(second, LATER, tables(), published_by="test")


def test_a_full_disk_leaves_the_last_run(tmp_path):
    url = f"sqlite:///{tmp_path / 'needs.db'}"
    engine = open_database(url)
    publish(engine, RUN, tables(), published_by="test")
    told = processes.run(publish_held, url, 2, None)
    assert told.code == 0, told.err
    assert "readers see the last complete run. " in told.out
    assert "disk" in told.out
    assert current(engine) == [RUN.run_id]
    assert rows_of(engine, LATER.run_id) == {}
    assert publish(engine, LATER, {"forecasts": many_rows(50_000)}, published_by="test")


def test_a_file_that_may_not_be_written_is_told_and_stays_as_it_was():
    with tempfile.TemporaryDirectory(prefix="needs-") as folder:
        path = Path(folder, "needs.db")
        engine = open_database(f"sqlite:///{path}")
        publish(engine, RUN, tables(), published_by="test")
        Path(folder).chmod(0o555)
        path.chmod(0o444)
        before = path.read_bytes()
        told = processes.run(publish_held, f"sqlite:///{path}", 2, NOBODY)
        Path(folder).chmod(0o755)
        path.chmod(0o644)
        assert told.code == 0, told.err
        assert told.out.startswith(f"sqlite:///{path}: the database cannot be opened")
        assert "Give this user the right to write there" in told.out
        assert path.read_bytes() == before
        assert current(engine) == [RUN.run_id]


@pytest.mark.parametrize("names", [("one", "two"), ("same", "same")])
def test_two_publishers_at_the_same_moment_come_one_after_the_other(url, tmp_path, names):
    engine = open_database(url)
    begun = [tmp_path / f"begun {number}" for number in range(2)]
    with writing(engine):
        both = [processes.start(publish_when_told, url, *told) for told in zip(names, begun, strict=True)]
        until(lambda: all(path.exists() for path in begun))
    for process in both:
        process.join()
        assert process.exitcode == 0
    runs = list_runs(engine)
    assert sorted(runs["run_id"]) == sorted(set(names))
    assert runs["current"].sum() == 1
    for name in names:
        assert rows_of(engine, name) == {"runs": 1, **{table: len(frame) for table, frame in tables().items()}}


def test_two_that_open_a_new_database_at_the_same_moment_lay_it_once(url):
    with ThreadPoolExecutor(4) as pool:
        opened = list(pool.map(lambda _: open_database(url), range(4)))
    publish(opened[0], RUN, tables(), published_by="test")
    assert [current(engine) for engine in opened] == [[RUN.run_id]] * 4


VIEWS = ("current_run", "current_forecasts", "current_lots", "current_unmet")


@contextmanager
def watching(look):
    """Look again and again, in a thread of its own, while the block is at work; it is given a way to wait for whole looks."""
    seen, ended = [], threading.Event()

    def watch():
        while not ended.is_set():
            seen.append(look())

    def looked():
        enough = len(seen) + 2  # the first may have begun before
        until(lambda: len(seen) >= enough or watcher.done())

    with ThreadPoolExecutor(1) as pool:
        watcher = pool.submit(watch)
        try:
            yield seen, looked
        finally:
            ended.set()
        watcher.result()


@pytest.mark.parametrize("moment", ["one statement", "one snapshot"])
def test_readers_never_see_a_mixture(url, moment):
    """Of one view in any statement, and of several in one snapshot: the rows of one run, all of them."""
    engine, reader = open_database(url), open_database(url)
    publish(engine, RUN, tables(), published_by="test")

    def look():
        if moment == "one snapshot":
            with reading(reader) as connection:
                return {row for view in VIEWS for row in connection.execute(text(f"SELECT DISTINCT run_id FROM {view}"))}
        rows = read(reader, "SELECT run_id FROM current_forecasts")
        assert len(rows) == 3
        return set(rows)

    with watching(look) as (seen, looked):
        for number in range(8):
            publish(engine, replace(LATER, run_id=f"run {number}"), tables(float(number)), published_by="test")
            looked()
            rollback(engine, None if number else RUN.run_id)
            looked()
            prune(engine, 2)
    assert {len(runs) for runs in seen} == {1}
    assert len(set().union(*seen)) > 5


def read(engine, query):
    """Ask as a tool of a planner does: a statement that is a transaction of its own."""
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]
