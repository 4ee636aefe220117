"""Kill night after night at random moments, and look what readers of the database see after each.

A second home is given the same, and nothing befalls it: what a night publishes that goes on where others died is held against
what it publishes there, table by table. The homes are one département of the tiny region.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from figures import Figure

KILLS, SEED = 500, 11
TESTS = Path(__file__).resolve().parent.parent / "tests"


def measure() -> Iterator[Figure]:
    """Count what must not be."""
    told = subprocess.run([sys.executable, __file__, str(KILLS)], check=True, stdout=subprocess.PIPE, text=True)
    counts: Mapping[str, float] = json.loads(told.stdout)
    yield Figure(f"{counts['kills']:.0f} nights killed at random: mixtures seen", counts["mixtures"], "times", 0)
    yield Figure("  nights after a kill that made again what lay on the shelf", counts["again"], "nights", 0)
    yield Figure(
        "  nights that came to their end, and published something else than an undisturbed home", counts["unlike"], "", 0
    )
    yield Figure("  nights that came to their end", counts["ended"], "nights")
    yield Figure("  seconds in which a night takes up what died, and publishes", counts["seconds"], "s")


def count_blows(kills: int) -> dict[str, float]:
    """Kill so many nights, and count what came of it."""
    from conftest import PARAMS
    from homes import AS_OF, copy_home
    from nights import harass, narrow, night

    from needs.home import Home
    from needs.twin import draw

    with tempfile.TemporaryDirectory() as name:
        home = Home(Path(name) / "home")
        home.root.mkdir()
        draw(home, scale="tiny", seed=1, as_of=pd.Timestamp(AS_OF))
        home.params.write_text(PARAMS, encoding="utf-8")
        narrow(home)
        assert night(home).code == 0
        beside, counts = copy_home(home, Path(name) / "beside", made=True), dict.fromkeys(("kills", "ended", *_COUNTED), 0.0)
        for blow in harass(home, beside, np.random.default_rng(SEED)):
            counts["kills" if blow.killed else "ended"] += 1
            counts["mixtures"] += blow.seen is None
            counts["again"] += bool(blow.again)
            counts["unlike"] += blow.seen not in (blow.after, blow.before if blow.killed else blow.after)
            counts["seconds"] += 0.0 if blow.killed else blow.seconds
            if not blow.killed and counts["kills"] >= kills:
                break
    return {**counts, "seconds": counts["seconds"] / counts["ended"]}


_COUNTED = ("mixtures", "again", "unlike", "seconds")


if __name__ == "__main__":
    sys.path.insert(0, str(TESTS))
    sys.stdout.write(json.dumps(count_blows(int(sys.argv[1]))))
