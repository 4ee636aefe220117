"""What the plan is worth in worlds whose truth is known, beside the plan of an oracle and of simple rules.

For each world, at the scale ``demo`` and its first frozen seed: the chain is run with the oracle's budget as the one envelope
and its growth of providers, and its lots are valued by the truth. Losses are printed, so that every bound is a ceiling:

- lost to the oracle: 1 − value ÷ oracle's, held to 0.10;
- the best simple rule ÷ the plan, held to 1 ÷ 1.15 where the oracle itself is that far above the rule, and to 1 ÷ 0.98 where
  the world says that the rule buys as well as the oracle;
- lost in the ranking: 1 − NDCG@10, the truth of an option being the jobs of its next place for its money, mean over bassins,
  held to 0.15.

``python benchmarks/bench_plan_worlds.py congestion`` runs some of the worlds.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from figures import Figure
from models.envelopes import Envelope
from models.metrics import ndcg
from needs.home import Home
from needs.params import Params, load_params
from needs.run.choice import Chosen, choose
from needs.run.door import Door
from needs.run.ingest import ingest
from needs.run.inputs import gather
from needs.store.lake import read_tables
from needs.twin import draw
from needs.twin.region import AS_OF
from needs.twin.worlds import WORLDS, frozen_seeds, load_world
from needs.twin.worth import GROWTH, KEY, lots_value

LOST, HEADROOM, ALIKE, LOST_IN_RANKING = 0.10, 1.15, 0.98, 0.15
FIRST = 10
SECRET = "a key for benchmarks only"


def measure(worlds: tuple[str, ...] = WORLDS) -> Iterator[Figure]:
    """Draw each world, run the chain and value its plan."""
    os.environ.setdefault("NEEDS_PSEUDONYM_KEY", SECRET)
    for world in worlds:
        with tempfile.TemporaryDirectory() as folder:
            home = Home(Path(folder))
            draw(home, world=world, scale="demo", seed=frozen_seeds(world).learning[0], as_of=AS_OF, workers=2)
            yield from judge(world, home, choose_at(home))


def choose_at(home: Home) -> Chosen:
    """Run the chain to the plan, with the money and the providers of the oracle."""
    cents = int(_truth(home, "plan_values")["budget_cents"].iloc[0])
    params = with_budget(load_params(home.params), cents)
    ingest(home, params.ingest)
    return choose(gather(read_tables(home.lake), AS_OF, params, Door({}, simulated=True)))


def with_budget(params: Params, cents: int) -> Params:
    """Let one envelope pay for everything, and nothing else bind but providers."""
    one = {"envelopes": (Envelope(name="budget", amount_eur=cents / 100),), "rules": (), "provider_growth": GROWTH, "draws": 0}
    return params.model_copy(update={"purchase": params.purchase.model_copy(update=one)})


def judge(world: str, home: Home, chosen: Chosen) -> Iterator[Figure]:
    """Value the plan and the ranking by the truth."""
    worth, values = _truth(home, "worth"), _truth(home, "plan_values").set_index("rule")["value"]
    value, rules = lots_value(worth, chosen.plan.lots), values.drop("oracle")
    best = float(rules.max())
    alike = rules.idxmax() in load_world(world).unbeaten
    bound = 1 / ALIKE if alike else 1 / HEADROOM if values["oracle"] >= HEADROOM * best else None
    yield Figure(f"{world}: lost to the oracle", 1 - value / float(values["oracle"]), "", LOST)
    yield Figure(f"  best simple rule ({rules.idxmax()}) ÷ the plan", best / value if value > 0 else np.inf, "×", bound)
    yield Figure("  jobs that the plan promises ÷ true", float(chosen.plan.lots["value"].sum()) / value, "×")
    yield Figure(f"  lost in the ranking: 1 − NDCG@{FIRST}", 1 - ranking_gain(chosen.ranked, worth), "", LOST_IN_RANKING)


def ranking_gain(ranked: pd.DataFrame, worth: pd.DataFrame) -> float:
    """Score the order of each bassin: NDCG@10, mean over bassins where something is worth buying."""
    truth = (
        worth[KEY].astype("str").assign(jobs=(worth["marginal_worth"] * worth["group"] / worth["session_cents"]).clip(lower=0))
    )
    both = ranked[[*KEY, "rank"]].merge(truth, on=KEY, how="inner", validate="one_to_one")
    gains = [ndcg(-of["rank"].astype("float64"), of["jobs"], FIRST) for _, of in both.groupby("territory")]
    return float(np.nanmean(gains))


def _truth(home: Home, name: str) -> pd.DataFrame:
    return pd.read_parquet(home.truth / f"{name}.parquet")


if __name__ == "__main__":
    for figure in measure(tuple(sys.argv[1:]) or WORLDS):
        print(f"{figure.name:<56}{figure.value:>10.3g} {figure.unit:<2}{'' if figure.kept else 'MISSED'}", flush=True)
