"""How near the ranking of each bassin comes to the order of what a euro truly brings there.

A calm region, and one where courses fill up, at the scale ``demo``, each drawn with its first frozen seed. The truth is the
lasting jobs that one more place of an option adds at the load committed, ÷ its price. NDCG@10 is a mean of bassins, for all
options and for those that lead to an occupation. Beside the ranking stand the same worth without the share that training can
answer, prices alone, and any order.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from features.vocabulary import QUALIFYING
from figures import Figure
from models.metrics import ndcg
from models.ranking import KEY
from needs.home import Home
from needs.store.publish import open_database, read_current
from needs.twin.worlds import frozen_seeds
from processes import timed

NEEDS = [sys.executable, "-c", "from needs.cli import main; main()", "--quiet"]
WORLDS = ("calm", "congestion")
FIRST = 10


def measure() -> Iterator[Figure]:
    """Draw each region, run the chain, and hold what it published against the truth."""
    for world in WORLDS:
        with tempfile.TemporaryDirectory() as folder:
            seed = str(frozen_seeds(world).learning[0])
            timed([*NEEDS, "--home", folder, "demo", "--world", world, "--scale", "demo", "--seed", seed])
            timed([*NEEDS, "--home", folder, "nightly"])
            yield from judge(Home(Path(folder)), world)


def judge(home: Home, world: str) -> Iterator[Figure]:
    """Hold each order against the truth, over all options and over those that lead to an occupation."""
    rows = set_against_truth(home)
    for name, some in (("all options", rows), ("qualifying types", rows[rows["action_type"].isin(QUALIFYING)])):
        yield Figure(f"{world}, {name}: NDCG@{FIRST} of the ranking", mean_ndcg(some, some["told"]), "")
        yield Figure("  without the share that training can answer", mean_ndcg(some, some["told"] / some["solvable"]), "")
        yield Figure("  prices alone, the lowest first", mean_ndcg(some, -some["place_eur"]), "")
        drawn = [np.random.default_rng(seed).random(len(some)) for seed in range(20)]
        yield Figure("  any order", float(np.mean([mean_ndcg(some, each) for each in drawn])), "")


def set_against_truth(home: Home) -> pd.DataFrame:
    """Set what was published beside the truth. One row per bassin and option: ``told`` and ``true`` jobs per euro."""
    engine = open_database(f"sqlite:///{home.var / 'needs.db'}")
    ranked, needs = (read_current(engine, name) for name in ("rankings", "sector_needs"))
    truth = pd.read_parquet(home.truth / "worth.parquet")
    truth = truth.assign(place_eur=truth["session_cents"] / truth["group"] / 100)[[*KEY, "marginal_worth", "place_eur"]]
    cells = ["territory", "sector", "level"]
    shares = needs.groupby(cells, as_index=False)["training_solvable"].first()
    rows = ranked.merge(truth, on=KEY, validate="one_to_one").merge(shares, on=cells, how="left", validate="many_to_one")
    return rows.assign(
        told=rows["value"] / rows["place_eur"],
        true=rows["marginal_worth"] / rows["place_eur"],
        solvable=rows["training_solvable"].fillna(1.0),
    )


def mean_ndcg(rows: pd.DataFrame, scores: pd.Series | np.ndarray) -> float:
    """Average over bassins how well scores order what a euro truly brings."""
    scored = rows[["territory", "true"]].assign(score=scores).groupby("territory")
    return float(np.nanmean([ndcg(own["score"], own["true"], FIRST) for _, own in scored]))
