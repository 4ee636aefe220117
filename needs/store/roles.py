"""Who may read what is published: a script for PostgreSQL, run by the owner of the database."""

from __future__ import annotations

import re

from sqlalchemy import Table

from features.vocabulary import InputError
from needs.store.database import address_of
from needs.store.schema import CURRENT_RUN, EDITION, EVERY, METADATA, RUNS

_LONGEST = 63  # bytes of a name in PostgreSQL; it cuts longer ones without a word
_PERSON = "person"


def grant_script(url: str, role: str, *, with_persons: bool) -> str:
    """Write the SQL that lets a role read the current run and the list of runs, and nothing else of ours.

    Views read with the rights of their owner, so that the role needs none on the tables behind them. What names a person,
    by a pseudonym, is left out unless asked for. Run again, it takes back what it does not give.
    """
    if address_of(url).get_backend_name() != "postgresql":
        raise InputError(
            "A SQLite file has no roles: give or refuse the right to read the file instead. For PostgreSQL, set "
            "execution.database in params.yaml, like postgresql://needs@host/needs."
        )
    quoted = _quoted(role)
    read = [f"current_{name}" for name, table in EVERY.items() if with_persons or not _of_persons(table)]
    ours = [*(f"current_{name}" for name in EVERY), *METADATA.tables]
    create = f"BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {_text(role)}) THEN CREATE ROLE {quoted}; END IF; END"
    usage = f"BEGIN EXECUTE format({_text('GRANT USAGE ON SCHEMA %I TO %I')}, current_schema(), {_text(role)}); END"
    return "\n".join(
        [
            "-- Lets a role read what skills-needs publishes. Run it as the owner of the tables; it may be run again.",
            "-- Then let somebody be of that role: GRANT the_role TO somebody.",
            "BEGIN;",
            f"DO {_text(create)};",
            f"DO {_text(usage)};",
            f"REVOKE ALL ON {', '.join(ours)} FROM {quoted};",
            f"GRANT SELECT ON {', '.join([RUNS.name, CURRENT_RUN.name, EDITION.name, *read])} TO {quoted};",
            "COMMIT;",
        ]
    )


def _of_persons(table: Table) -> bool:
    return _PERSON in table.c


def _quoted(role: str) -> str:
    """Quote the name of a role; refuse one that PostgreSQL has no room for, or keeps for itself."""
    if not 0 < len(role.encode()) <= _LONGEST or re.match(r"pg_|(public|none)$", role) or not role.isprintable():
        raise InputError(
            f"{role[:80]!r} cannot be the name of a role: write 1 to {_LONGEST} bytes that can be printed, other than public, "
            "none and pg_…, like readers."
        )
    return '"' + role.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
