"""Laws of publishing: as a whole or not at all, once, whatever the order of rows; on SQLite and on PostgreSQL."""

import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import create_engine, func, select, text, update
from sqlalchemy.exc import IntegrityError

from features.vocabulary import InputError
from needs.store.publish import Run, list_runs, open_database, prune, publish, read_current, rollback
from needs.store.schema import BESIDE, CURRENT_RUN, EDITION, RUNS, TABLES, conform, empty, key_of

SERVERS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
DAY = datetime(2026, 4, 1, 2, 0, tzinfo=UTC)
RUN = Run(
    run_id="20260331-a",
    as_of=date(2026, 3, 31),
    started_at=DAY,
    finished_at=DAY,
    status="complete",
    code_version="0.1.0",
    params_sha256="a1" * 32,
    data_sha256="b2" * 32,
)
LATER = replace(RUN, run_id="20260430-b", as_of=date(2026, 4, 30), finished_at=DAY + timedelta(days=30))
LAST = replace(RUN, run_id="20260531-c", as_of=date(2026, 5, 31), finished_at=DAY + timedelta(days=60))


@pytest.fixture(scope="session")
def server():
    """A PostgreSQL of its own on a free port, that dies with the tests."""
    if not SERVERS:
        pytest.skip("no PostgreSQL server is installed")
    with tempfile.TemporaryDirectory(prefix="needs-postgres-") as folder:
        yield from serve(SERVERS[-1].parent, Path(folder))


def serve(programs, folder):
    # A server refuses to run as root, and its files must be its own user's.
    as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    if as_user:
        shutil.chown(folder, "postgres", "postgres")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def call(program, *arguments):
        subprocess.run([*as_user, str(programs / program), *arguments], check=True, stdout=subprocess.DEVNULL, cwd=folder)

    data = str(folder / "data")
    call("initdb", "-D", data, "-U", "needs", "--auth=trust", "--no-sync", "--locale=C", "--encoding=UTF8")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    call("pg_ctl", "-D", data, "-w", "-s", "-l", str(folder / "log"), "-o", options, "start")
    yield f"postgresql://needs@127.0.0.1:{port}/postgres"
    call("pg_ctl", "-D", data, "-w", "-s", "-m", "immediate", "stop")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """The address of a new and empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'var' / 'needs.db'}"
    pytest.importorskip("psycopg")
    address = request.getfixturevalue("server")
    name = f"needs_{abs(hash(tmp_path)):x}"
    admin = create_engine(address.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    admin.dispose()
    return address.removesuffix("postgres") + name


@pytest.fixture
def engine(url):
    opened = open_database(url)
    yield opened
    opened.dispose()


def tables(figure=1.0):
    """A few rows of most tables, with what is missing and what is not plain."""
    return {
        "forecasts": pd.DataFrame(
            {
                "territory": ["BE4402", "BE4404", "BE4402"],
                "occupation": ["A1101", "A1101", "D1106"],
                "period": ["2026-04", "2026-04", "2026-05"],
                "value": [figure, np.nan, 3.25],
                "grade": ["A", None, "D"],
                "need": [figure, 2.0, 1 / 3],
            }
        ),
        "lots": pd.DataFrame(
            {"lot_id": ["2027-b", "2027-a"], "places": [12, 24], "cost_cents": [2**40 + 1, 5], "value": [figure, 2.0]}
        ),
        "unmet": pd.DataFrame(
            {
                "territory": ["BE4402"] * 2,
                "sector": ["", "230"],
                "level": [None, "3"],
                "people": [12, 40],
                "nearest_miss": "level",
            }
        ),
        "recommendations": pd.DataFrame(
            {"person": ["é'\"; --"], "rank": [1], "session": ["s"], "starts": pd.to_datetime(["2026-09-01"]), "reasons": ["[]"]}
        ),
    }


def rows_of(engine, run_id):
    """Count the rows each table holds under a run."""
    with engine.connect() as connection:
        counts = {
            name: connection.scalar(select(func.count()).select_from(table).where(table.c.run_id == run_id))
            for name, table in (TABLES | {"runs": RUNS}).items()
        }
    return {name: count for name, count in counts.items() if count}


def current(engine):
    with engine.connect() as connection:
        return list(connection.scalars(select(CURRENT_RUN.c.run_id)))


def test_what_is_published_is_read_back_as_it_was(engine):
    assert publish(engine, RUN, tables(), published_by="test")
    for name in TABLES:
        expected = conform(name, tables()[name]) if name in tables() else empty(name)
        pd.testing.assert_frame_equal(read_current(engine, name), expected)


def test_gates_stand_beside_a_run_in_the_same_transaction_and_go_with_it(engine):
    found = pd.DataFrame(
        {
            "gate": ["seats", "rows"],
            "group": ["all", "lots"],
            "value": [0.2, 1.0],
            "held": pd.array([False, None], dtype="boolean"),
            "author": ["A. Martin", None],
            "expires": pd.to_datetime(["2026-04-07", None]),
        }
    )
    publish(engine, RUN, tables(), published_by="test", beside={"gates": found})
    kept = read_current(engine, "gates")
    pd.testing.assert_frame_equal(kept, conform("gates", found))
    assert kept.loc[kept["gate"] == "seats", ["held", "expires"]].to_numpy().tolist() == [[0, "2026-04-07"]]
    publish(engine, LATER, tables(7.0), published_by="test", beside={"gates": found.head(1)})
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM current_gates")) == 1
    with pytest.raises(ValueError, match="forecasts"):
        publish(engine, LAST, {}, published_by="test", beside={"forecasts": tables()["forecasts"]})
    prune(engine, 1)
    with engine.connect() as connection:
        assert set(connection.scalars(select(BESIDE["gates"].c.run_id))) == {LATER.run_id}


def test_views_show_the_current_run_only(engine):
    publish(engine, RUN, tables(), published_by="test")
    publish(engine, LATER, tables(7.0), published_by="test")
    with engine.connect() as connection:
        for name, table in TABLES.items():
            result = connection.execute(text(f"SELECT * FROM current_{name}"))
            assert list(result.keys()) == [column.name for column in table.c]
            assert {row.run_id for row in result} <= {LATER.run_id}
        assert connection.scalar(text("SELECT count(*) FROM current_forecasts")) == 3


def test_publishing_twice_publishes_once(engine):
    assert publish(engine, RUN, tables(), published_by="first") is True
    before = rows_of(engine, RUN.run_id)
    assert publish(engine, replace(RUN, finished_at=DAY + timedelta(1)), tables(9.0), published_by="second") is False
    assert rows_of(engine, RUN.run_id) == before
    assert len(list_runs(engine)) == 1
    assert read_current(engine, "forecasts")["value"].max() == 3.25
    with engine.connect() as connection:
        assert connection.scalar(select(CURRENT_RUN.c.published_by)) == "first"


def test_a_fault_in_the_middle_leaves_no_trace(engine):
    publish(engine, RUN, tables(), published_by="test")
    broken = tables(8.0)
    broken["recommendations"] = pd.concat([broken["recommendations"]] * 2)
    with pytest.raises(IntegrityError):
        publish(engine, LATER, broken, published_by="test")
    assert rows_of(engine, LATER.run_id) == {}
    assert current(engine) == [RUN.run_id]
    assert read_current(engine, "forecasts")["value"].max() == 3.25
    assert publish(engine, LATER, tables(8.0), published_by="test")


def test_readers_see_the_last_run_while_the_next_is_written(engine, url):
    publish(engine, RUN, tables(), published_by="test")
    with engine.execution_options(writes=True).begin() as writing:
        writing.execute(update(CURRENT_RUN).values(published_by="writing"))
        reader = open_database(url)
        assert len(read_current(reader, "forecasts")) == 3
        reader.dispose()


def test_rolling_back_and_publishing_again(engine):
    publish(engine, RUN, tables(1.0), published_by="test")
    publish(engine, LATER, tables(5.0), published_by="test")
    assert rollback(engine, None) == RUN.run_id
    assert read_current(engine, "lots")["value"].tolist() == [2.0, 1.0]
    assert publish(engine, LATER, tables(5.0), published_by="test") is False
    assert current(engine) == [LATER.run_id]
    assert rollback(engine, RUN.run_id) == RUN.run_id
    assert list_runs(engine)[["run_id", "current"]].to_dict("list") == {
        "run_id": [LATER.run_id, RUN.run_id],
        "current": [False, True],
    }


def test_there_is_nothing_to_go_back_to(engine):
    with pytest.raises(InputError, match="Nothing has been published"):
        rollback(engine, None)
    publish(engine, RUN, tables(), published_by="test")
    with pytest.raises(InputError, match=RUN.run_id):
        rollback(engine, None)
    with pytest.raises(InputError, match=f"'x'.*{RUN.run_id}"):
        rollback(engine, "x")
    assert current(engine) == [RUN.run_id]


def test_pruning_never_drops_the_current_run(engine):
    for run in (RUN, LATER, LAST):
        publish(engine, run, tables(), published_by="test")
    rollback(engine, RUN.run_id)
    assert prune(engine, 1) == [LATER.run_id]
    assert list_runs(engine)["run_id"].tolist() == [LAST.run_id, RUN.run_id]
    assert rows_of(engine, LATER.run_id) == {}
    assert current(engine) == [RUN.run_id]
    with pytest.raises(InputError, match="at least one"):
        prune(engine, 0)


def test_a_database_of_another_edition_is_refused_in_words(engine, url):
    with engine.begin() as connection:
        connection.execute(update(EDITION).values(schema_version=99))
    with pytest.raises(InputError, match="edition 99"):
        open_database(url)


def test_opening_again_keeps_what_is_there(engine, url):
    publish(engine, RUN, tables(), published_by="test")
    again = open_database(url)
    assert current(again) == [RUN.run_id]
    again.dispose()


def test_nothing_published_reads_as_empty(engine):
    assert list_runs(engine).empty
    for name in TABLES:
        pd.testing.assert_frame_equal(read_current(engine, name), empty(name))


def dump(path):
    """Everything a SQLite file holds but when it was published."""
    with sqlite3.connect(path) as connection:
        return [line for line in connection.iterdump() if '"current_run"' not in line]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_order_of_rows_changes_no_byte(tmp_path, seed):
    for name, seeded in (("a", 0), ("b", seed)):
        shuffled = {table: frame.sample(frac=1, random_state=seeded) for table, frame in tables().items()}
        publish(open_database(f"sqlite:///{tmp_path / name}.db"), RUN, shuffled, published_by="test")
    assert dump(tmp_path / "a.db") == dump(tmp_path / "b.db")
    assert any("INSERT INTO" in line and "20260331-a" in line for line in dump(tmp_path / "a.db"))


@pytest.mark.parametrize("address", ["needs.db", "sqlite://", "oracle://host/needs", "postgresql://u:secret@127.0.0.1:1/needs"])
def test_an_address_that_leads_nowhere_is_refused_in_words(address):
    if address.startswith("postgresql"):
        pytest.importorskip("psycopg")
    with pytest.raises(InputError) as refusal:
        open_database(address)
    assert "secret" not in str(refusal.value)
    assert address.split(":")[0] in str(refusal.value)


def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("a planner's notes, not a database\n" * 100, encoding="utf-8")
    before = path.read_bytes()
    with pytest.raises(InputError, match="cannot be opened"):
        open_database(f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_frames_that_do_not_fit_are_bugs():
    frame = tables()["lots"]
    for wrong in (
        frame.assign(surprise=1),
        frame.drop(columns="lot_id"),
        frame.assign(lot_id=None),
        frame.assign(places=1.5),
        frame.assign(value=np.inf),
        frame.assign(cost_cents="many"),
    ):
        with pytest.raises(ValueError, match="lots"):
            conform("lots", wrong)


def test_only_complete_runs_of_known_tables_are_published(tmp_path):
    engine = open_database(f"sqlite:///{tmp_path / 'needs.db'}")
    with pytest.raises(ValueError, match="held"):
        publish(engine, replace(RUN, status="held"), tables(), published_by="test")
    with pytest.raises(ValueError, match="surprise"):
        publish(engine, RUN, {"surprise": pd.DataFrame()}, published_by="test")
    assert list_runs(engine).empty


@pytest.mark.parametrize("name", list(TABLES))
def test_every_table_is_keyed_by_its_run_and_its_key(name):
    assert [column.name for column in TABLES[name].primary_key] == ["run_id", *key_of(name)]
    assert list(empty(name)) == [column.name for column in TABLES[name].c if column.name != "run_id"]


def test_codes_stay_text_and_levels_lose_no_zero():
    rows = pd.DataFrame({"territory": ["BE4402"], "sector": ["044"], "level": [3.0], "people": [1]})
    assert conform("unmet", rows)[["sector", "level"]].iloc[0].tolist() == ["044", "3"]
