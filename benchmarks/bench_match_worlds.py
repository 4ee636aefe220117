"""What recommendations are worth in worlds whose truth is known, beside simple orders that know of no seats.

For each world, at the scale ``demo`` and its first frozen seed, features, effects and matches are those of a run. Judged alike
are ours; the lists that ours begins from, before seats are shared; the seats that ours grants, alone; and the orders of
:mod:`models.simple_matches`:

- lost NDCG@10 and recall@10: 1 − the measure against the true surplus of all that each of 2,000 people may enter; recall is
  the share of a person's ten truly best sessions that is found. Both forget seats, which cannot serve everybody: who keeps to
  them loses here, so NDCG is told of those served, too;
- idle sessions (1 − coverage), Gini of the load per seat, share of seats unfilled, share of first recommendations beyond the
  seats: a proposal is taken up with the true probability to go through with it;
- lost to the oracle: 1 − true surplus obtained ÷ the oracle's, when people in an order drawn once take each the first session
  recommended to them that has a seat left.

``python benchmarks/bench_match_worlds.py congestion`` runs some of the worlds.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.crosswalks import sector_links
from figures import Figure
from known_worlds import draw_worlds
from models.market import Market, lay_out, open_market
from models.match_measures import measure_seats, ndcg_at, play_out, recall_at
from models.matching import Laid, find_courses, lists_of, tell_lists
from needs.home import Home
from needs.run.added import Lived, train_effects
from needs.run.choice import choose
from needs.run.inputs import Inputs
from needs.run.match_judged import OURS, order_simply, what_orders_see
from needs.run.matching import Sight, propose
from needs.twin.surplus import KnownTruth, best_surplus, true_surplus

MATCHED = ("calm", "congestion", "creaming", "misleading_surveys")
PEOPLE, FIRST = 2_000, 10
FREELY, GRANTED = "before seats are shared", "seats granted alone"
_PAIR = ["person", "session"]


@dataclass(frozen=True)
class Stage:
    """What all orders are judged by: the truth, seats, a queue of all people, the best of some, and what the oracle obtains."""

    known: KnownTruth
    seats: pd.Series
    turn: pd.Series
    best: pd.DataFrame
    oracle: float
    uptake: float


def measure(worlds: tuple[str, ...] = MATCHED) -> Iterator[Figure]:
    """Draw each world, recommend, and judge it by the truth."""
    for world, home, inputs, truth in draw_worlds(worlds):
        stage = set_stage(home, truth, inputs)
        yield from told(world, {rule: judge(rows, stage) for rule, rows in recommend(inputs).items()})


def set_stage(home: Home, known: KnownTruth, inputs: Inputs) -> Stage:
    """Draw the queue and the sample of people, and find the best sessions of each."""
    people, rng = known.people["person"].sort_values(ignore_index=True), np.random.default_rng(1)
    turn = pd.Series(rng.permutation(len(people)), index=people)
    values = pd.read_parquet(home.truth / "match_values.parquet").set_index("rule")["value"]
    return Stage(
        known=known,
        seats=known.courses.set_index("lheo")["seats"].astype("float64"),
        turn=turn,
        best=best_surplus(known, turn.index[turn < PEOPLE].tolist(), FIRST),
        oracle=float(values["oracle"]),
        uptake=inputs.params.matching.uptake,
    )


def recommend(inputs: Inputs) -> dict[str, pd.DataFrame]:
    """Recommend as a run does, and by each simple order. One row per person, rank."""
    params, chosen = inputs.params, choose(inputs)
    links = sector_links(chosen.features.crosswalks)
    effects = train_effects(Lived.of(chosen.features), inputs.tables, params)
    proposed = propose(Sight.of(chosen.features), effects, chosen.ranked, links, inputs)
    market = open_market(proposed.known, inputs.as_of, params.matching.entry, params.matching.likelihood)
    people = proposed.people
    asking = people[~people["opposition"].fillna(False).astype(bool) & people["latitude"].notna()].reset_index(drop=True)
    past = what_orders_see(chosen.features.outcomes, inputs.tables.trainings, links, params.effects.horizon_months)
    return {
        OURS: proposed.tables["recommendations"].astype({"person": "str", "session": "str"}),
        FREELY: choose_freely(asking, market),
        GRANTED: proposed.granted.assign(rank=1),
        **order_simply([asking], market, past, FIRST),
    }


def choose_freely(people: pd.DataFrame, market: Market) -> pd.DataFrame:
    """Give people what scores highest, whoever else wants it. One row per person, rank."""
    free = np.zeros(len(market.courses))
    kept = find_courses(Laid(*lay_out(people, market)), market, free, FIRST)
    return tell_lists(people, kept, lists_of(kept), market, free)


def judge(recommendations: pd.DataFrame, stage: Stage) -> dict[str, float]:
    """Judge recommendations by the truth: each measure by its name."""
    ranked = recommendations[[*_PAIR, "rank"]]
    true = true_surplus(stage.known, ranked)
    asked = stage.best["person"].unique()
    own = true[true["person"].isin(asked)]
    gains = pd.concat([stage.best, own], ignore_index=True).drop_duplicates(_PAIR)
    goes = ranked.merge(true[[*_PAIR, "goes"]], on=_PAIR, how="left", validate="one_to_one")
    seats = measure_seats(goes.rename(columns={"goes": "likelihood"}), stage.seats, stage.uptake)
    obtained = play_out(ranked, stage.seats, true, stage.turn)
    return {
        f"lost NDCG@{FIRST}": 1 - ndcg_at(ranked, gains, FIRST),
        f"lost NDCG@{FIRST} of those served": 1 - ndcg_at(ranked, gains[gains["person"].isin(ranked["person"])], FIRST),
        f"lost recall@{FIRST}": 1 - recall_at(ranked, stage.best, FIRST),
        "idle sessions": 1 - seats["coverage"],
        "Gini of load per seat": seats["gini"],
        "seats unfilled": seats["unfilled_share"],
        "first recommendations beyond the seats": seats["overbooked"],
        "people served nothing": 1 - ranked["person"].nunique() / len(stage.turn),
        "lost to the oracle": 1 - obtained / stage.oracle,
    }


def told(world: str, judged: Mapping[str, Mapping[str, float]]) -> Iterator[Figure]:
    """Tell each measure of ours, then of each order."""
    for name in judged[OURS]:
        for rule, values in judged.items():
            yield Figure(f"{world}: {name}, {rule}", values[name], "")


if __name__ == "__main__":
    for figure in measure(tuple(sys.argv[1:]) or MATCHED):
        print(f"{figure.name:<84}{figure.value:>8.3f}", flush=True)
