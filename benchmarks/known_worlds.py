"""Simulated regions drawn for a benchmark: what a run would know of each, and the truth, under the same pseudonyms."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from needs.home import Home
from needs.params import load_params
from needs.privacy import load_key, pseudonymise
from needs.run.door import Door
from needs.run.ingest import ingest
from needs.run.inputs import Inputs, gather
from needs.store.lake import read_tables
from needs.twin import draw
from needs.twin.region import AS_OF
from needs.twin.surplus import KnownTruth, read_truth
from needs.twin.worlds import frozen_seeds

SCALE, SECRET = "demo", "a key for benchmarks only"


class KnownWorld(NamedTuple):
    """A region that was drawn; its folder is gone once the next one is asked for."""

    world: str
    home: Home
    inputs: Inputs
    truth: KnownTruth


def draw_worlds(worlds: Iterable[str]) -> Iterator[KnownWorld]:
    """Draw each world at the scale ``demo`` with its first frozen seed, and read it as a run does."""
    os.environ.setdefault("NEEDS_PSEUDONYM_KEY", SECRET)
    for world in worlds:
        with tempfile.TemporaryDirectory() as folder:
            home, seed = Home(Path(folder)), frozen_seeds(world).learning[0]
            draw(home, world=world, scale=SCALE, seed=seed, as_of=AS_OF, workers=2)
            params = load_params(home.params)
            ingest(home, params.ingest)
            inputs = gather(read_tables(home.lake), AS_OF, params, Door({}, simulated=True))
            truth = read_truth(home, world=world, scale=SCALE, seed=seed)
            yield KnownWorld(world, home, inputs, replace(truth, people=pseudonymise(truth.people, load_key())))
