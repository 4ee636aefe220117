"""Small runs to publish, what a database holds of them, and publishers that are processes of their own."""

from __future__ import annotations

import os
import resource
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
from sqlalchemy import create_engine, func, select

from features.vocabulary import InputError
from needs.store.publish import Run, open_database, publish
from needs.store.schema import CURRENT_RUN, RUNS, TABLES

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


def many_rows(count):
    """As many rows of forecasts as asked for, in no order."""
    codes = [f"{number:06d}" for number in range(count)]
    return pd.DataFrame({"territory": codes[::-1], "occupation": "A1101", "period": "2026-04", "value": np.arange(count) / 7})


def publish_when_told(url, run_id, begun):
    """Publish one run; a file says that this process is about to."""
    engine = open_database(url)
    begun.touch()
    publish(engine, replace(RUN, run_id=run_id), tables(), published_by=run_id)


def publish_held(url, megabytes, user):
    """Publish where no file may grow beyond so many megabytes, as a user of this machine, and print what came of it."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (megabytes * 2**20, resource.RLIM_INFINITY))
    create_engine("sqlite://").dispose()  # its modules, which that user may not be allowed to read
    if user is not None and os.geteuid() == 0:
        os.setuid(user)
    try:
        publish(open_database(url), LATER, {"forecasts": many_rows(50_000)}, published_by="held")
        sys.stdout.write("published")
    except InputError as refusal:
        sys.stdout.write(str(refusal))
