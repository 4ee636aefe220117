"""How often people came, by how likely they were said to: prescriptions of the past, in a simulated region.

Each prescription that is over is a pair of a person, as told on that day, and a course. What the likelihood says of it (who
shows up, distance, wish; no file says when a course was first proposed, so that no wait is told) is set beside whether the
person entered: by type, and for each fifth by what was told. Prescriptions were chosen by somebody for somebody nearby: they
tell how many show up, and little of what a proposal from nobody would meet.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from features.build import crosswalks_of
from features.exits import course_aims, link_courses
from features.moves import list_moves
from features.places import apart_km, own_or_shipped
from features.tables import Tables
from figures import Figure
from models.likelihood import fit_tables, nearness, show_rates
from needs.home import Home
from needs.params import Params, load_params
from needs.run.ingest import ingest
from needs.store.lake import read_tables
from needs.twin import draw
from needs.twin.region import AS_OF

FIFTHS = 5


def measure() -> Iterator[Figure]:
    """Tell the likelihood of past prescriptions, of types that lead to an occupation, and count who came."""
    os.environ.setdefault("NEEDS_PSEUDONYM_KEY", "a key for benchmarks only")
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        draw(home, world="calm", scale="demo", seed=1, as_of=AS_OF, workers=2)
        params = load_params(home.params)
        ingest(home, params.ingest)
        told = tell_prescriptions(read_tables(home.lake).known_at(AS_OF), params)
    yield Figure("prescriptions that are over", float(len(told)), "")
    show = told.groupby("action_type")[["show", "entered"]].mean()
    yield Figure(
        "who shows up, told ÷ entered, the type farthest off", float((show["show"] / show["entered"] - 1).abs().max()), ""
    )
    fifth = pd.qcut(told["likelihood"], FIFTHS, labels=False)
    for number, rows in told.groupby(fifth):
        yield Figure(f"fifth {int(number) + 1} by likelihood: told", float(rows["likelihood"].mean()), "share")
        yield Figure(f"fifth {int(number) + 1} by likelihood: entered", float(rows["entered"].mean()), "share")


def tell_prescriptions(known: Tables, params: Params) -> pd.DataFrame:
    """Tell how likely each past prescription was said to be followed. One row per prescription: likelihood, show, entered."""
    likelihood = params.matching.likelihood
    over = known.trainings[known.trainings["status"].isin(["entre", "refuse", "non_presente"])].reset_index(drop=True)
    shows = show_rates(known.trainings, AS_OF, likelihood).set_index("action_type")["show"]
    communes = own_or_shipped(known.territories).set_index("commune")[["latitude", "longitude"]]
    home, place = (communes.reindex(over[name]).reset_index(drop=True) for name in ("commune", "place"))
    near = nearness(apart_km(home, place), likelihood)
    course, aims = course_aims(over, link_courses(crosswalks_of(known, AS_OF)), params.features.outcomes)
    listed = aims.groupby("course")["occupation"].agg(lambda codes: tuple(sorted(codes)))
    moves = list_moves(known.mobilities)
    occupations = pd.Index(sorted({*moves["occupation"], *moves["target"]}), dtype="str")
    fits, _ = fit_tables([(), *listed], occupations, moves, likelihood)
    aim = np.where(course < 0, 0, listed.index.get_indexer(pd.Index(course)) + 1)
    wanted = [occupations.get_indexer(pd.Index(over[name])) for name in ("wanted", "wanted_2")]
    fit = np.maximum(*(fits[rows, aim] for rows in wanted))
    licence = ~over["licence"].astype("boolean").fillna(True).to_numpy(dtype=bool)
    show = over["action_type"].map(shows).astype("float64").to_numpy()
    told = pd.DataFrame(
        {
            "action_type": over["action_type"].astype("str"),
            "show": show,
            "entered": (over["status"] == "entre").astype("float64"),
            "likelihood": show * near[licence.astype(int), np.arange(len(over))] * fit,
        }
    )
    return told[(course >= 0) & told["likelihood"].notna()].reset_index(drop=True)
