"""What is known of a whole Region: a simulated one at its real size, read into the lake, then every feature of it."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import pandas as pd

from features.build import FeatureParams, build_features
from figures import Figure
from needs.store.lake import read_tables
from processes import timed

AS_OF = pd.Timestamp("2026-03-31")
SECONDS = 60


def measure() -> list[Figure]:
    """Draw the region, read its files, and build its features twice in processes of their own: the quicker one counts."""
    os.environ.setdefault("NEEDS_PSEUDONYM_KEY", "a key for benchmarks only")
    with tempfile.TemporaryDirectory() as folder:
        needs = [sys.executable, "-m", "needs", "--quiet", "--home", folder]
        timed([*needs, "demo", "--scale", "region"])
        timed([*needs, "ingest"])
        costs = [timed([sys.executable, __file__, f"{folder}/var/lake"]) for _ in range(2)]
    read, built, rows = min((cost.printed.split() for cost in costs), key=lambda told: float(told[1]))
    return [
        Figure("rows of the Region", float(rows) / 1e6, "M"),
        Figure("  read from the lake, but the offers", float(read), "s"),
        Figure("  build_features", float(built), "s", SECONDS),
        Figure("  peak memory, tables included", max(cost.gigabytes for cost in costs), "GB"),
    ]


def build(lake: Path) -> None:
    """Print the seconds it takes to read tables and to build features, and how many rows there are."""
    started = perf_counter()
    tables = read_tables(lake)
    read = perf_counter()
    build_features(tables, AS_OF, FeatureParams())
    print(read - started, perf_counter() - read, tables.rows)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
