"""Nights of a whole Region: the first one, which trains; one with nothing new; one with a week of offers more.

The Region is drawn at its full size, six years of it, in a folder of its own: half an hour, most of it the first night. Memory
is that of all processes together.
"""

from __future__ import annotations

import gzip
import json
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from figures import Figure
from needs.home import Home
from needs.store.publish import count_current, open_database
from needs.store.schema import TABLES
from processes import Cost, timed

NEEDS = [sys.executable, "-c", "from needs.cli import main; main()", "--quiet"]
TRAINED, USUAL, IDLE, GIGABYTES = 1500.0, 600.0, 15.0, 4.0
LATER, NEW_OFFERS = "2026-04-07", 1000
ENVELOPES = """\
purchase:
  envelopes:
    - {name: socle, amount_eur: 81200000, volets: [socle], financeurs: ["2"]}
    - {name: additionnel, amount_eur: 12700000, volets: [additionnel], financeurs: ["11", "4"]}
  rules: []
"""


def measure() -> Iterator[Figure]:
    """Draw the Region, and run three nights in it."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        home.params.write_text(ENVELOPES, encoding="utf-8")
        yield Figure("draw the Region", timed([*NEEDS, "--home", folder, "demo", "--scale", "region"]).seconds, "s")
        yield from night(home, "first night, models trained", TRAINED)
        yield from night(home, "nothing new", IDLE)
        add_offers(home)
        yield from night(home, "a week of offers more, models in force", USUAL, "--as-of", LATER)


def night(home: Home, name: str, bound: float, *options: str) -> Iterator[Figure]:
    """Run one night: seconds, memory, rows published."""
    cost: Cost = timed([*NEEDS, "--home", str(home.root), "nightly", *options])
    yield Figure(name, cost.seconds, "s", bound)
    yield Figure("  peak memory, all processes", cost.gigabytes, "GB", GIGABYTES)
    published = open_database(f"sqlite:///{home.var / 'needs.db'}")
    yield Figure("  rows of the current run", float(sum(count_current(published, table) for table in TABLES)), "")


def add_offers(home: Home) -> None:
    """Deliver the first offers of a file again, under other names, as updated a week later."""
    folder = home.raw / "offers"
    with gzip.open(min(folder.glob("*.jsonl.gz")), "rt", encoding="utf-8") as lines:
        offers = [json.loads(line) for line in islice(lines, NEW_OFFERS)]
    days = dict.fromkeys(("dateCreation", "dateActualisation"), f"{LATER}T08:00:00.000Z")
    new = [json.dumps({**offer, **days, "id": f"N{number:06d}"}) for number, offer in enumerate(offers)]
    (folder / f"offers_{LATER}.jsonl").write_text("\n".join(new) + "\n", encoding="utf-8")
