"""What whole pathways are worth beside single courses, in worlds whose truth is known, and how long their search takes.

For each world, at the scale ``demo`` and its first frozen seed, people and courses are those of a run; needs of sectors are
left out. For people below level 4, and for others:

- begun with the best: the best single course of each person by our score at the prices of the run, against the best pathway;
- begun with the proposal: the course proposed first, alone, against that course and what follows it at best.

The truth of a pathway is Σ true surplus of a step × chance to get so far, by the true probability to go through with the steps
before and the share of their type that finishes; all is the mean over everybody served. A loss is 1 − pathways ÷ single courses
where these are worth more. The truth knows no levels, so that it cannot say what a step brings by preparing for the next:
only what the next one brings.

``python benchmarks/bench_pathways.py congestion`` runs some of the worlds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.build import Features, build_features
from features.holdings import given_by
from figures import Figure
from known_worlds import draw_worlds
from models.effects import Effects, estimate_effects
from models.market import open_market
from models.matching import match_people, tell_proposals
from models.pathways import ARROW, PathwayParams, best_pathways, build_stairs, follow_proposals
from models.personal import learn_personal
from needs.run.batch import split
from needs.run.inputs import Inputs
from needs.run.matching import Sight, bring_together, describe_people
from needs.twin.surplus import KnownTruth, true_surplus

CLIMBED = ("calm", "congestion")
BELOW, AT_ONCE = 4, 5_000
BEGUN = ("the best", "the proposal")
_PAIR = ["person", "session"]
_SECONDS_PER_MILLION = 60.0


@dataclass(frozen=True)
class Climbed:
    """What was found, by the same people: single courses and pathways (one row per person), and the seconds it took."""

    paths: dict[str, pd.DataFrame]
    finish: pd.Series
    level: pd.Series
    seconds: float
    proposals: int


def measure(worlds: tuple[str, ...] = CLIMBED) -> Iterator[Figure]:
    """Draw each world, find pathways, and judge them by the truth."""
    for world, _, inputs, truth in draw_worlds(worlds):
        yield from judge(world, climb(inputs), truth)


def climb(inputs: Inputs) -> Climbed:
    """Find single courses and pathways as a run does."""
    params = inputs.params
    features = build_features(inputs.tables, inputs.as_of, params.features, inputs.exercise)
    effects = estimate_effects(
        features.starts, params.effects, params.features.grades.limits(), params.features.privacy.smallest_cell
    )
    known = bring_together(Sight.of(features), effects.table, _no_needs(), inputs)
    market = open_market(known, inputs.as_of, params.matching.entry, params.matching.likelihood)
    parts = split(_people(features, effects, inputs), AT_ONCE)
    matched = match_people(parts, market, params.matching)
    proposals = tell_proposals(matched, market)
    prices = pd.Series(matched.granted.prices, index=market.courses["session"])
    given = given_by(known.courses)
    one, more = (build_stairs(market, PathwayParams(steps=steps), given, known.asking) for steps in (1, 3))
    follow_proposals(parts[:1], proposals[proposals["who"] < len(parts[0])], more, prices)  # compiles
    began = time.perf_counter()
    followed = follow_proposals(parts, proposals, more, prices)
    seconds = time.perf_counter() - began
    first = followed[followed["rank"] == 1].reset_index(drop=True)
    alone = first.assign(
        pathway=first["pathway"].str.split(ARROW).str[0], pathway_worth=proposals.loc[proposals["rank"] == 1, "net"].to_numpy()
    )
    paths = {
        "the best: single": best_pathways(parts, one, prices),
        "the best: pathway": best_pathways(parts, more, prices),
        "the proposal: single": alone,
        "the proposal: pathway": first,
    }
    finish = pd.Series(more.ladder.finish, index=more.sessions, dtype="float64")
    level = pd.concat(parts).set_index("person")["level"].astype("float64")
    return Climbed(paths, finish, level, seconds, len(proposals))


def _no_needs() -> pd.DataFrame:
    """Say nothing of where courses are needed."""
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in _RANKED.items()})


_RANKED = {"territory": "str", "sector": "str", "action_type": "str", "need": "float64", "open": "float64"}


def _people(features: Features, effects: Effects, inputs: Inputs) -> pd.DataFrame:
    """List the people whom a run serves. One row per person."""
    moves = learn_personal(features.starts, effects, inputs.params.personal).moves(features.tonight)
    people = describe_people(Sight.of(features), moves)
    return people[~people["opposition"].fillna(False).astype(bool) & people["latitude"].notna()]


def true_worth(told: pd.DataFrame, climbed: Climbed, known: KnownTruth) -> pd.DataFrame:
    """Say what pathways are truly worth. One row per person: steps, worth; a person without any is left out."""
    steps = told.assign(session=told["pathway"].str.split(ARROW)).loc[told["pathway"] != "", ["person", "session"]]
    rows = steps.explode("session", ignore_index=True)
    true = true_surplus(known, rows.drop_duplicates(_PAIR))
    rows = rows.merge(true, on=_PAIR, how="left", validate="many_to_one").fillna({"goes": 0.0, "surplus": 0.0})
    passed = rows["goes"] * rows["session"].map(climbed.finish)
    reach = passed.groupby(rows["person"]).cumprod().groupby(rows["person"]).shift(fill_value=1.0)
    worth = rows.assign(worth=reach * rows["surplus"]).groupby("person")
    return worth.agg(steps=("session", "size"), worth=("worth", "sum"))


def judge(world: str, climbed: Climbed, known: KnownTruth) -> Iterator[Figure]:
    """Tell what was found, below level 4, from there on and for everybody."""
    true = {name: true_worth(told, climbed, known) for name, told in climbed.paths.items()}
    level = climbed.level
    groups = {
        f"below level {BELOW}": level < BELOW,
        f"from level {BELOW}": level >= BELOW,
        "everybody": level.index == level.index,
    }
    for group, asked in groups.items():
        for begun in BEGUN:
            bound = 0.0 if group == f"below level {BELOW}" else None
            people = level.index[np.asarray(asked)]
            yield from compare(f"{world}, {group}, from {begun}", begun, people, bound, climbed, true)
    pace = climbed.seconds / climbed.proposals * 1e6
    yield Figure(f"{world}: what follows a million proposals, one core", pace, "s", _SECONDS_PER_MILLION)


def compare(
    name: str, begun: str, people: pd.Index, bound: float | None, climbed: Climbed, true: dict[str, pd.DataFrame]
) -> Iterator[Figure]:
    """Set pathways beside the single courses of some people: by our score, then by the truth."""
    kinds = [f"{begun}: {kind}" for kind in ("single", "pathway")]
    ours = [climbed.paths[kind].set_index("person")["pathway_worth"].reindex(people).fillna(0.0) for kind in kinds]
    truth = [true[kind]["worth"].reindex(people).fillna(0.0) for kind in kinds]
    longer = true[kinds[1]]["steps"].reindex(people).fillna(0.0) > 1
    for label, (one, more) in {"our net": ours, "truth": truth}.items():
        yield Figure(f"{name}: single, {label}", one.mean() * 1000, "‰ jobs")
        yield Figure(f"{name}: pathway, {label}", more.mean() * 1000, "‰ jobs")
    apart = truth[1] - truth[0]
    yield Figure(
        f"{name}: two standard errors of what pathways add, truth", 2000 * apart.std() / np.sqrt(len(people)), "‰ jobs"
    )
    yield Figure(f"{name}: people whose pathway has two steps or more", longer.mean(), "")
    yield Figure("  of these, truly better than the single course", (apart[longer] > 0).mean(), "")
    yield Figure("  of these, single, truth", truth[0][longer].mean() * 1000, "‰ jobs")
    yield Figure("  of these, pathway, truth", truth[1][longer].mean() * 1000, "‰ jobs")
    yield Figure(f"{name}: lost by pathways", max(0.0, 1 - truth[1].mean() / truth[0].mean()), "", bound)


if __name__ == "__main__":
    for figure in measure(tuple(sys.argv[1:]) or CLIMBED):
        print(f"{figure.name:<84}{figure.value:>8.3f}", flush=True)
