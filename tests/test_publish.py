"""Laws of publishing: as a whole or not at all, once, whatever the order of rows; on SQLite and on PostgreSQL."""

import sqlite3
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from publish_frames import DAY, LAST, LATER, RUN, current, many_rows, rows_of, tables
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError

from features.vocabulary import InputError
from needs.store.database import writing
from needs.store.publish import list_runs, open_database, prune, publish, read_current, rollback
from needs.store.roles import grant_script
from needs.store.schema import BESIDE, CURRENT_RUN, EDITION, SCHEMA_VERSION, TABLES, conform, conform_parts, empty, key_of


@pytest.fixture
def engine(url):
    opened = open_database(url)
    yield opened
    opened.dispose()


def test_what_is_published_is_read_back_as_it_was(engine):
    written = publish(engine, RUN, tables(), published_by="test")
    assert written == {"runs": 1, **{name: len(frame) for name, frame in tables().items()}} == rows_of(engine, RUN.run_id)
    for name in TABLES:
        expected = conform(name, tables()[name]) if name in tables() else empty(name)
        pd.testing.assert_frame_equal(read_current(engine, name), expected)


@pytest.mark.parametrize("rows", [1, 7, 10_000])
def test_rows_spelt_some_at_a_time_are_those_spelt_at_once_in_any_order_and_as_categories(rows):
    told = many_rows(23).sample(frac=1, random_state=1)
    coded = told.astype({name: "category" for name, kind in told.dtypes.items() if kind == "str"})
    for frame in (told, coded, told.head(0)):
        parts = pd.concat(conform_parts("forecasts", frame, rows), ignore_index=True)
        pd.testing.assert_frame_equal(parts, conform("forecasts", told.head(len(frame))))


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
    assert publish(engine, RUN, tables(), published_by="first")["forecasts"] == 3
    before = rows_of(engine, RUN.run_id)
    assert publish(engine, replace(RUN, finished_at=DAY + timedelta(1)), tables(9.0), published_by="second") == {}
    assert rows_of(engine, RUN.run_id) == before
    assert len(list_runs(engine)) == 1
    assert read_current(engine, "forecasts")["value"].max() == 3.25
    with engine.connect() as connection:
        assert connection.scalar(select(CURRENT_RUN.c.published_by)) == "first"


def test_a_fault_in_the_middle_leaves_no_trace(engine):
    publish(engine, RUN, tables(), published_by="test")
    broken = tables(8.0)
    broken["recommendations"] = pd.concat([broken["recommendations"]] * 2)
    with pytest.raises((IntegrityError, engine.dialect.loaded_dbapi.IntegrityError)):
        publish(engine, LATER, broken, published_by="test")
    assert rows_of(engine, LATER.run_id) == {}
    assert current(engine) == [RUN.run_id]
    assert read_current(engine, "forecasts")["value"].max() == 3.25
    assert publish(engine, LATER, tables(8.0), published_by="test")


def test_readers_see_the_last_run_while_the_next_is_written(engine, url):
    publish(engine, RUN, tables(), published_by="test")
    with writing(engine) as connection:
        connection.execute(update(CURRENT_RUN).values(published_by="writing"))
        reader = open_database(url)
        assert len(read_current(reader, "forecasts")) == 3
        reader.dispose()


def test_rolling_back_and_publishing_again(engine):
    publish(engine, RUN, tables(1.0), published_by="test")
    publish(engine, LATER, tables(5.0), published_by="test")
    assert rollback(engine, None) == RUN.run_id
    assert read_current(engine, "lots")["value"].tolist() == [2.0, 1.0]
    assert publish(engine, LATER, tables(5.0), published_by="test") == {}
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


@pytest.mark.parametrize(("edition", "told"), [(SCHEMA_VERSION + 1, "Upgrade"), (SCHEMA_VERSION - 1, "an older version")])
def test_a_database_of_another_edition_is_refused_in_words_that_say_which_is_behind(engine, url, edition, told):
    with engine.begin() as connection:
        connection.execute(update(EDITION).values(schema_version=edition))
    with pytest.raises(InputError, match=rf"edition {edition}, this version reads edition {SCHEMA_VERSION}.*{told}"):
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


def test_the_list_of_runs_says_who_published_the_current_one(engine):
    publish(engine, RUN, tables(), published_by="night")
    publish(engine, LATER, tables(), published_by="night")
    rollback(engine, None)
    runs = list_runs(engine).set_index("run_id")
    assert runs.loc[RUN.run_id, "published_by"] == "rollback"
    assert runs["published_at"].notna().tolist() == runs["current"].tolist() == [False, True]


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
TRICKS = st.sampled_from(["", "\\N", "\\.", "a\n\\.\nb", "\t", "\r\n", "\\", '"', "NULL", "\\x41", "é\u2028"])
NUMBERS = st.floats(allow_infinity=False, allow_nan=False)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cells=st.lists(st.tuples(st.none() | TEXTS | TRICKS, st.none() | NUMBERS, st.none() | st.integers(-(2**63), 2**63 - 1))))
def test_every_cell_comes_back_to_the_last_bit(engine, cells):
    """Texts that end a line, a cell or all in COPY's formats; numbers at the ends of their range; and what is missing."""
    rows = pd.DataFrame(cells, columns=["reason", "value", "cost_cents"], dtype=object)
    rows = rows.assign(lot_id=[f"lot {number:03d}" for number in range(len(rows))])
    run = replace(RUN, run_id=f"run {len(list_runs(engine))}\t\\")
    publish(engine, run, {"lots": rows}, published_by="test")
    pd.testing.assert_frame_equal(read_current(engine, "lots"), conform("lots", rows), check_exact=True)


def test_rows_of_several_chunks_are_all_written(engine):
    assert publish(engine, RUN, {"forecasts": many_rows(120_001)}, published_by="test")["forecasts"] == 120_001
    pd.testing.assert_frame_equal(read_current(engine, "forecasts"), conform("forecasts", many_rows(120_001)))


def ask(address, script):
    """Have the server do a script, as whoever the address names."""
    with psycopg.connect(address, autocommit=True) as connection:
        done = connection.execute(script)
        return done.fetchall() if done.description else []


@pytest.mark.parametrize("role", ["readers", 'Préfecture d\'Alsace "5%" $$; --'])
def test_a_role_reads_what_it_was_granted_and_nothing_else(server, role):
    address = server.new_database()
    engine = open_database(address)
    publish(engine, RUN, tables(), published_by="test")
    somebody = f"somebody{len(role)}"
    quoted = '"' + role.replace('"', '""') + '"'
    for with_persons in (True, False, False):  # run again, it takes back what it does not give
        ask(address, grant_script(address, role, with_persons=with_persons))
    ask(address, f"CREATE ROLE {somebody} LOGIN; GRANT {quoted} TO {somebody}")
    theirs = address.replace("//needs@", f"//{somebody}@")
    publish(engine, LATER, tables(7.0), published_by="test")
    for name in sorted(set(TABLES) - {"recommendations"}):
        assert {row[0] for row in ask(theirs, f"SELECT run_id FROM current_{name}")} <= {LATER.run_id}
    assert len(ask(theirs, "SELECT * FROM current_forecasts")) == 3
    assert list_runs(open_database(theirs))["run_id"].tolist() == [LATER.run_id, RUN.run_id]
    for refused in ("SELECT * FROM current_recommendations", "SELECT * FROM forecasts", "DELETE FROM runs", "DELETE FROM lots"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ask(theirs, refused)
    with pytest.raises(InputError, match="Give this user the right"):
        rollback(open_database(theirs), RUN.run_id)
    ask(address, grant_script(address, role, with_persons=True))
    assert [row[0] for row in ask(theirs, "SELECT person FROM current_recommendations")] == tables()["recommendations"][
        "person"
    ].tolist()


@pytest.mark.parametrize("role", ["", "pg_read", "public", "x" * 64, "é" * 32, "a\nb", "a\0"])
def test_a_name_that_no_role_can_have_is_refused(role):
    with pytest.raises(InputError, match="like readers"):
        grant_script("postgresql://needs@host/needs", role, with_persons=False)


def test_a_file_has_no_roles():
    with pytest.raises(InputError, match="right to read the file"):
        grant_script("sqlite:///var/needs.db", "readers", with_persons=False)


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
