"""Publish the recommendations of a Region, five million rows, to a real server; and a tenth of them in other ways beside it.

Rows are like those of a run: ten courses a person, reasons of about 150 characters. The server is started here with its own
settings and shares the machine with who publishes. The peer is the statement that SQLAlchemy repeats for each row.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
from sqlalchemy import Engine, insert

from figures import Figure
from needs.store.database import writing
from needs.store.publish import Run, open_database, prune, publish, read_current
from needs.store.schema import TABLES, conform
from processes import timed

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))
from postgres import serving

ROWS, FEW, RANKS = 5_000_000, 500_000, 10
SECONDS, GIGABYTES, RATIO = 60.0, 4.0, 1.0
REASONS = ("tension", "distance", "project", "level", "allowance", "emerging", "fill")


def measure() -> Iterator[Figure]:
    """Publish everything, go on to a second run, remove the first; then publish a part in other ways."""
    with serving(durable=True) as server:
        address = server.new_database()
        cost = timed([sys.executable, __file__, address])
        seconds = json.loads(cost.printed)
        yield Figure("5 M recommendations to PostgreSQL", seconds["publish"], "s", SECONDS)
        yield Figure("  peak memory, the rows themselves with it", cost.gigabytes, "GB", GIGABYTES)
        yield Figure("  read again, whole", seconds["read"], "s")
        yield Figure("  removed, once another run is current", seconds["prune"], "s")
        rows = draw(FEW)
        by_copy = once(open_database(server.new_database()), rows)
        repeated = one_by_one(open_database(server.new_database()), rows)
        yield Figure("500,000 to PostgreSQL by COPY", by_copy, "s")
        yield Figure("  ÷ a statement repeated for each row", by_copy / repeated, "×", RATIO)
    with tempfile.TemporaryDirectory() as folder:
        to_file = once(open_database(f"sqlite:///{folder}/needs.db"), rows)
        repeated = one_by_one(open_database(f"sqlite:///{folder}/other.db"), rows)
        yield Figure("500,000 to SQLite", to_file, "s")
        yield Figure("  ÷ a statement repeated for each row", to_file / repeated, "×", RATIO)


def draw(count: int) -> pd.DataFrame:
    """Draw what is proposed to people. One row per person, rank."""
    draws = np.random.default_rng(1)
    people = np.sort(draws.integers(0, 2**63, (count // RANKS, 2)), axis=0)
    names = pd.Series([f"{first:016x}{second:016x}" for first, second in people], dtype="str")
    told = [
        json.dumps([[code, round(float(weight), 3)] for code, weight in zip(REASONS, row, strict=True)])
        for row in draws.random((5000, 7))
    ]
    days = pd.date_range("2026-04-01", periods=400).strftime("%Y-%m-%d")
    sessions = [f"SE_{number:08d}" for number in range(20_000)]

    def one_of(words: object) -> pd.Series[str]:
        return pd.Series(words, dtype="str").take(draws.integers(0, len(list(words)), count)).reset_index(drop=True)

    numbers = {name: draws.random(count) for name in ("score", "expected_gain", "likelihood", "distance_km", "price")}
    return pd.DataFrame(
        {
            "person": names.repeat(RANKS).reset_index(drop=True),
            "rank": np.tile(np.arange(1, RANKS + 1), count // RANKS),
            "session": one_of(sessions),
            **numbers,
            "seats_left": draws.integers(0, 20, count),
            "starts": one_of(days),
            "ends": one_of(days),
            "reasons": one_of(told),
            "why_not": one_of([None, None, "full"]),
        }
    )


def once(engine: Engine, rows: pd.DataFrame, name: str = "a") -> float:
    """Publish the rows as a run. The seconds it took."""
    now = datetime(2026, 4, 1, tzinfo=UTC)
    run = Run(name, date(2026, 3, 31), now, now, "complete", "0", "0", "0")
    start = perf_counter()
    publish(engine, run, {"recommendations": rows}, published_by="benchmark")
    return perf_counter() - start


def one_by_one(engine: Engine, rows: pd.DataFrame) -> float:
    """Write the same rows by a statement that SQLAlchemy repeats for each. The seconds it took."""
    start = perf_counter()
    conformed = conform("recommendations", rows)
    with writing(engine) as connection:
        for first in range(0, len(rows), 20_000):
            part = conformed.iloc[first : first + 20_000].astype(object)
            told = part.where(part.notna(), None).assign(run_id="a").to_dict("records")
            connection.execute(insert(TABLES["recommendations"]), told)
    return perf_counter() - start


def main(address: str) -> None:
    """Publish everything and print what it cost."""
    engine, rows = open_database(address), draw(ROWS)
    seconds = {"publish": once(engine, rows)}
    start = perf_counter()
    del rows
    assert len(read_current(engine, "recommendations")) == ROWS
    seconds["read"] = perf_counter() - start
    once(engine, draw(10), "b")
    start = perf_counter()
    prune(engine, 1)
    seconds["prune"] = perf_counter() - start
    print(json.dumps(seconds))


if __name__ == "__main__":
    main(sys.argv[1])
