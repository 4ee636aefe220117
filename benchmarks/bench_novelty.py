"""What is found of the occupations and skills that emerge or decline, and how often a steady one is taken for one of them.

A calm region and one in a crisis at the scale ``demo``, whose fates are known, each drawn with its first frozen seed. Beside
each score stands a floor: the largest changes of the plain share, as many of them as the score flags. A steady code that is
flagged is a false alarm; the parameter allows 5 % of them. An occupation that turned long ago, or will soon, is hard to tell.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from features import facts
from features.demand import DemandParams
from features.lazy import lazy
from features.novelty import NoveltyParams, count_series, score_novelty
from features.places import place
from features.skills import SkillParams, count_skills
from features.sources import SOURCES, files_of
from features.tables import OFFERS
from features.vocabulary import REGION
from figures import Figure
from needs.twin import Simulated, simulate
from needs.twin.worlds import frozen_seeds

AS_OF = pd.Timestamp("2026-03-31")
WORLDS = ("calm", "crisis")
FATES = {"emerging": "emerging", "dying": "declining", "vanishing": "declining", "steady": "steady"}
MOVING = ("emerging", "declining")
PARAMS = NoveltyParams()
CHANCE, PLACEBO_CHANCE = 1.5, 1.1  # what a rate may be above the one set: that of some hundred codes, or of 20,000 placebos


def measure() -> Iterator[Figure]:
    """Draw each region, count what its offers ask, and set the states beside the fates."""
    for world in WORLDS:
        with tempfile.TemporaryDirectory() as folder:
            region = simulate(world, scale="demo", seed=frozen_seeds(world).learning[0], folder=Path(folder), workers=-1)
            yield from judge(region, world)


def judge(region: Simulated, world: str) -> Iterator[Figure]:
    """Tell recall, precision and false alarms of each kind of code."""
    counts = count_skills(lazy(offers_of(region)), facts.communes(), AS_OF, SkillParams(), DemandParams())
    series = count_series(counts)
    scores = score_novelty(series, PARAMS).merge(plain_growth(series), on=["kind", "territory", "code"], validate="one_to_one")
    fates = pd.concat(
        [
            region.truth("occupations").set_index("occupation")["fate"],
            region.truth("skills").drop_duplicates("skill").set_index("skill")["fate"],
        ]
    ).map(FATES)
    scores = scores.assign(fate=scores["code"].str.split(">").str[-1].map(fates)).query("state != 'unknown'")
    here = scores["territory"] == REGION
    for name, rows in (
        ("occupations, Region", scores[here & (scores["kind"] == "occupation")]),
        ("occupations, départements", scores[~here]),
        ("skills, Region", scores[scores["kind"] == "skill"]),
        ("skills of an occupation, Region", scores[scores["kind"] == "occupation_skill"]),
    ):
        yield from told(f"{world}: {name}", rows)


def offers_of(region: Simulated) -> pd.DataFrame:
    """Read the offers and place them. One row per version of an offer."""
    source = SOURCES["offers"]
    return place(source.read(files_of(region.home.raw / "offers", source)), OFFERS, facts.communes()).kept


def plain_growth(series: pd.DataFrame) -> pd.DataFrame:
    """Say how much each share changed, whatever it rests on. One row per kind, territory, code."""
    last = series["year"] == 0
    parts = [series[rows].groupby(["kind", "territory", "code"])[["count", "base"]].sum() for rows in (last, ~last)]
    shares = [(part["count"] + 0.5) / (part["base"] + 0.5) for part in parts]
    return np.log(shares[0] / shares[1]).rename("plain").reset_index()


def told(name: str, rows: pd.DataFrame) -> Iterator[Figure]:
    flagged = rows["state"].isin(MOVING)
    largest = rows["plain"].abs().sort_values(ascending=False, kind="stable").index[: int(flagged.sum())]
    floor = rows["state"].mask(rows["state"].notna(), "steady")
    floor = floor.mask(rows.index.isin(largest) & (rows["plain"] > 0), "emerging")
    floor = floor.mask(rows.index.isin(largest) & (rows["plain"] < 0), "declining")
    steady, moving = rows["fate"] == "steady", rows["fate"] != "steady"
    yield Figure(f"{name}: codes", len(rows), "")
    for label, state, bound in (("", rows["state"], PARAMS.false_alarms * CHANCE), (" of the floor", floor, None)):
        right = moving & (state == rows["fate"])
        yield Figure(f"  recall{label}", right.sum() / moving.sum(), "")
        yield Figure(f"  precision{label}", right.sum() / max(1, int(state.isin(MOVING).sum())), "")
        yield Figure(f"  false alarms{label}", state[steady].isin(MOVING).mean(), "", bound)
    yield Figure("  false alarms of placebos", rows["false_alarms"].mean(), "", PARAMS.false_alarms * PLACEBO_CHANCE)
