"""The database of published runs: open it, read it in one snapshot, write it one at a time, and tell in words when it refuses.

    engine = open_database("sqlite:///var/needs.db")
    with writing(engine) as connection: ...
    with reading(engine) as connection: ...

SQLite and PostgreSQL are brought to behave alike here, so that nothing above has to ask which one it is. A refusal of the
database (gone, locked, full, not ours to write) is an :class:`InputError` and leaves nothing half-made: a transaction that
does not reach its end is as if it had never begun. A row that does not fit is a bug and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, insert, inspect, make_url, select
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import NullPool, QueuePool

from features.vocabulary import InputError
from needs.store.schema import CURRENT_RUN, EDITION, EVERY, METADATA, SCHEMA_VERSION

_WAIT_S = 120
"""Seconds a writer waits for another one: longer than a Region's run takes to be written."""
_CONNECT_S = 10
_WRITERS = 1_936_024_437
"""Number of the lock that writers hold on PostgreSQL: any, but the same in every version."""
_ADVICE = {
    "SQLITE_BUSY": "Another process is writing there: run again when it has ended.",
    "55P03": "Another process is writing there: run again when it has ended.",
    "SQLITE_READONLY": "Give this user the right to write there, or {setting}",
    "42501": "Give this user the right to do so, or {setting}",
    "25006": "Point to the server that takes writes, or {setting}",
    "SQLITE_FULL": "Make room on its disk, then run again.",
    "SQLITE_IOERR": "Look whether its disk is full or broken, then run again.",
    "53": "Make room on the server, then run again.",
}
"""What to do, by the first characters of a code: SQLSTATE of PostgreSQL, name of SQLite."""


def open_database(url: str, *, wait_s: int = _WAIT_S) -> Engine:
    """Open the database of published runs, and lay its tables and views when it is new.

    Whoever writes waits ``wait_s`` for another writer. Raises :class:`InputError` for a database that cannot be reached or
    that another edition of the engine laid.
    """
    engine = _engine(address_of(url), wait_s)
    try:
        with engine.connect() as connection:
            new = not inspect(connection).has_table(EDITION.name)
        if new:
            _lay_tables(engine)
        _check_edition(engine)
    except DBAPIError as error:
        raise InputError(
            f"{_shown(engine.url)}: the database cannot be opened ({_reason(error)}). "
            f"{_advice(error, engine.url, _way_out(engine.url))}"
        ) from error
    return engine


def address_of(url: str) -> URL:
    """Read the address of a database."""
    try:
        address = make_url(url)
    except ArgumentError as error:
        raise InputError(f"'{url[:80]}' is not the address of a database. Write it like sqlite:///var/needs.db.") from error
    # Without a driver's name, SQLAlchemy before 2.1 asks for another driver than the one we declare.
    return address.set(drivername="postgresql+psycopg") if address.drivername in ("postgres", "postgresql") else address


def _engine(address: URL, wait_s: int) -> Engine:
    sqlite = address.get_backend_name() == "sqlite"
    if sqlite and address.database in (None, "", ":memory:"):
        raise InputError(f"{_shown(address)}: a run is published to a file. Write it like sqlite:///var/needs.db.")
    if sqlite and address.database:
        Path(address.database).parent.mkdir(parents=True, exist_ok=True)
    try:
        if sqlite:
            engine = create_engine(address, poolclass=NullPool)
        else:
            told = {"connect_timeout": _CONNECT_S}
            # A connection that a restarted server has cut is replaced before it is used.
            engine = create_engine(address, poolclass=QueuePool, pool_pre_ping=True, connect_args=told)
    except (ImportError, NoSuchModuleError) as error:
        raise InputError(
            f"{_shown(address)}: this kind of database needs a driver that is not installed ({error}). "
            "For PostgreSQL: pip install 'skills-needs[postgres]'."
        ) from error
    (_behave_like_a_server if sqlite else _behave_like_a_file)(engine, wait_s)
    return engine


def _behave_like_a_server(engine: Engine, wait_s: int) -> None:
    """Let readers of SQLite read while a run is written, and let a transaction hold tables and views too."""

    def connect(connection: Any, _: object) -> None:  # noqa: ANN401  # the driver's own connection
        connection.isolation_level = None  # the driver's own BEGIN leaves DDL out
        cursor = connection.cursor()
        for pragma in (f"busy_timeout = {wait_s * 1000}", "journal_mode = WAL", "foreign_keys = ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if _writes(connection) else "BEGIN")

    event.listen(engine, "connect", connect)
    event.listen(engine, "begin", begin)


def _behave_like_a_file(engine: Engine, wait_s: int) -> None:
    """Let readers of PostgreSQL see one moment, and writers come one after the other."""

    def begin(connection: Connection) -> None:
        if _writes(connection):
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{wait_s}s'")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITERS})")
        else:
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")

    event.listen(engine, "begin", begin)


def _writes(connection: Connection) -> bool:
    return bool(connection.get_execution_options().get("writes", False))


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Hold one snapshot: whatever is published or removed meanwhile, each statement sees the same rows."""
    with _in_words(engine, "Nothing was changed."), engine.connect() as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Hold the only transaction that writes, from its first statement on, so that it never waits on its own snapshot."""
    told = "Nothing of it was kept: readers see the last complete run."
    with _in_words(engine, told), engine.execution_options(writes=True).begin() as connection:
        yield connection


@contextmanager
def _in_words(engine: Engine, left: str) -> Iterator[None]:
    """Turn a refusal of the database into words; a row that does not fit, or a wrong statement, stays a bug."""
    driver = engine.dialect.loaded_dbapi
    bugs = (driver.IntegrityError, driver.DataError, driver.ProgrammingError, driver.NotSupportedError)
    try:
        yield
    except (DBAPIError, driver.Error) as error:
        advice = _advice(error, engine.url, "")
        if isinstance(_cause(error), bugs) and not advice:
            raise
        raise InputError(
            f"{_shown(engine.url)}: the database refused or was lost ({_reason(error)}). {left} "
            f"{advice or f'Bring it back, then run again; or {_setting(engine.url)}'}"
        ) from error


def _advice(error: BaseException, address: URL, otherwise: str) -> str:
    """Say what to do about a refusal whose code is known."""
    cause = _cause(error)
    code = str(getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorname", None) or "")
    known = (advice.format(setting=_setting(address)) for start, advice in _ADVICE.items() if code.startswith(start))
    return next(known, otherwise)


def _cause(error: BaseException) -> BaseException:
    """Give what the driver said; COPY speaks to the driver itself, the rest through SQLAlchemy."""
    return (error.orig or error) if isinstance(error, DBAPIError) else error


def _reason(error: BaseException) -> str:
    return (str(_cause(error)).strip() or type(error).__name__).splitlines()[0]


def _lay_tables(engine: Engine) -> None:
    with engine.execution_options(writes=True).begin() as connection:
        there = set(inspect(connection).get_table_names())
        if EDITION.name in there:  # another process laid them meanwhile
            return
        if strangers := sorted(there & set(METADATA.tables)):
            raise InputError(
                f"{_shown(engine.url)}: it already holds tables that another program laid ({', '.join(strangers[:5])}). "
                f"{_way_out(engine.url)}"
            )
        METADATA.create_all(connection)
        connection.execute(insert(EDITION).values(schema_version=SCHEMA_VERSION))
        for name, table in EVERY.items():
            rows = select(*table.c).join(CURRENT_RUN, CURRENT_RUN.c.run_id == table.c.run_id)
            connection.exec_driver_sql(f"CREATE VIEW current_{name} AS {rows.compile(connection)}")


def _check_edition(engine: Engine) -> None:
    """Refuse tables that another edition laid, and say which of the two is behind."""
    with engine.connect() as connection:
        editions = list(connection.scalars(select(EDITION.c.schema_version)))
    if editions == [SCHEMA_VERSION]:
        return
    told = ", ".join(map(str, editions)) or "unknown"
    if editions and min(editions) > SCHEMA_VERSION:
        what = "a newer version of skills-needs laid them. Upgrade skills-needs to that version here too, or"
        way = f"{what} {_setting(engine.url)}"
    else:
        what = "an older version of skills-needs laid them, and only that version reads the runs there."
        way = f"{what} {_way_out(engine.url)} The next 'needs nightly' lays new tables."
    raise InputError(
        f"{_shown(engine.url)}: its tables are of edition {told}, this version reads edition {SCHEMA_VERSION}: {way}"
    )


def _way_out(address: URL) -> str:
    """Say what to do with a database that cannot be used."""
    sqlite = address.get_backend_name() == "sqlite"
    return f"{'Move the file away and run again' if sqlite else 'Mend it'}, or {_setting(address)}"


def _setting(address: URL) -> str:
    """Say how to publish elsewhere: another address is always one that is not this one."""
    name = Path(address.database or "needs")
    other = _shown(address.set(database=name.with_name(f"{name.stem}-new{name.suffix}").as_posix()))
    return f"set execution.database in params.yaml to another address, like {other}."


def _shown(address: URL) -> str:
    """Show the address of a database without its password."""
    return address.render_as_string(hide_password=True)
