"""Drawing a simulated region at full size, and how much better than simple rules one buys who knows its truth.

The draw at the scale ``region`` is held to six minutes and 4 GB, all processes together, the truth and the best plans included.
For each world, at the scale ``demo`` and its first frozen seed: what the best simple rule reaches of the oracle's plan, and how
far the oracle can be from the best plan there is. ``python benchmarks/bench_worlds.py france`` draws the whole country instead,
which is too long for ``make bench``.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from figures import Figure
from needs.home import Home
from needs.twin.worlds import WORLDS, frozen_seeds
from processes import timed

NEEDS = [sys.executable, "-c", "from needs.cli import main; main()", "--quiet"]
SECONDS, GIGABYTES = 360.0, 4.0
FAR_FROM_BEST = 0.05


def measure() -> Iterator[Figure]:
    """Draw a region, then each world, and compare the plans."""
    yield from draw_at("region", SECONDS, GIGABYTES)
    for world in WORLDS:
        with tempfile.TemporaryDirectory() as folder:
            seed = str(frozen_seeds(world).learning[0])
            timed([*NEEDS, "--home", folder, "demo", "--world", world, "--scale", "demo", "--seed", seed])
            values = pd.read_parquet(Home(Path(folder)).truth / "plan_values.parquet").set_index("rule")
        rules = values.drop(index="oracle")["share_of_oracle"]
        yield Figure(f"{world}: best simple rule ({rules.idxmax()}) ÷ oracle", float(rules.max()), "×")
        yield Figure("  the oracle's distance from the best plan", float(values["oracle_gap"].iloc[0]), "", FAR_FROM_BEST)


def draw_at(scale: str, seconds: float | None = None, gigabytes: float | None = None) -> Iterator[Figure]:
    """Draw the calm world at one scale and say what it costs."""
    with tempfile.TemporaryDirectory() as folder:
        drawn = timed([*NEEDS, "--home", folder, "demo", "--scale", scale])
        size = sum(path.stat().st_size for path in Home(Path(folder)).raw.rglob("*") if path.is_file())
    yield Figure(f"draw at the scale {scale}", drawn.seconds, "s", seconds)
    yield Figure("  peak memory, all processes", drawn.gigabytes, "GB", gigabytes)
    yield Figure("  raw files", size / 1e9, "GB")


if __name__ == "__main__":
    for figure in draw_at(sys.argv[1] if len(sys.argv) > 1 else "region"):
        print(f"{figure.name:<44}{figure.value:>10.3g} {figure.unit}")
