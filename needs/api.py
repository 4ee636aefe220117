"""The chain for a data scientist: a home is opened on a day, and each stage of the nightly job is one call.

    region = needs.open("region")
    region.features().cells             what is known; then models(), forecasts(), effects(), ranking(), plan(), matches()
    region.compute().tables["lots"]     every table that a night would publish
    region.published("lots")            what the last night did publish
    region.what_if("budget=300000")     the current plan, bought otherwise

These are the stages, the models and the shelf of the nightly job. What lies there is taken, what does not is made in memory:
only :meth:`Region.ingest` and :meth:`Region.nightly` write anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import pandas as pd

from features.build import Features
from features.errors import InputError
from models.backtest import Backtest
from needs.home import Home
from needs.params import Params, load_params
from needs.run.backtests import judge, score
from needs.run.champion import InForce, models_at_hand, registered
from needs.run.engine import engine
from needs.run.ingest import Arrival, door_of, ingest, recall
from needs.run.inputs import Inputs
from needs.run.known import day_of, look_into
from needs.run.lock import alone
from needs.run.matching import Proposed
from needs.run.nightly import Asked, Published
from needs.run.pipeline import Bought, Ranked, Told, assemble, line_of
from needs.run.shown import database_url
from needs.run.stages import Given, Line, ReadOnlyShelf
from needs.run.training import Models
from needs.run.whatif import Scenario
from needs.show.night import carry_out
from needs.show.published import absent_file, open_current
from needs.show.terminal import draw_demo
from needs.show.whatif import Tried, try_out
from needs.store.publish import list_runs, open_database, read_run
from needs.store.registry import BACKTEST, TRAINING, Registered, Store, read_scores
from needs.store.schema import EVERY

TRIALS = (BACKTEST, TRAINING)
Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Run:
    """What a night would publish: its name, and every table by its name."""

    run_id: str
    tables: dict[str, pd.DataFrame]


@dataclass(frozen=True)
class Region:
    """A home, with the parameters in force, on a day; the newest day of its data where none is asked for."""

    home: Home
    params: Params
    as_of: str | None = None

    # What is written -----------------------------------------------------------------------------------------------------

    def ingest(self, *sources: str) -> list[Arrival]:
        """Load what is new in ``data/raw`` into the lake: each source whole or not at all. Says what became of each."""
        with alone(self.home):
            arrivals = ingest(self.home, self.params.ingest, sources)
        self._look_again()
        return arrivals

    def nightly(self, *, force: bool = False) -> Published:
        """Carry out the whole night, and publish it."""
        published = carry_out(self.home, self.params, Asked(self.as_of, force=force))
        self._look_again()
        return published

    # Stage by stage ------------------------------------------------------------------------------------------------------

    @property
    def inputs(self) -> Inputs:
        """What a run of today would be made of: ``inputs.tables.offers`` and the other tables known on the day."""
        return self._look.inputs

    def features(self) -> Features:
        """Give what is known of territories, occupations, courses and people."""
        return self._look.features

    def models(self) -> Models:
        """Give what was learned: the models in force where they may serve, else some trained now, for this region alone."""
        return self._look.chosen.models

    def forecasts(self) -> pd.DataFrame:
        """Forecast positions and needs. One row per territory, occupation, period."""
        return self._made("forecast", pd.DataFrame)

    def effects(self) -> Told:
        """Say what training adds: ``model.table`` cell by cell, ``tables`` as they are published."""
        return self._made("effects", Told)

    def ranking(self) -> Ranked:
        """Set needs against supply, and put what may be bought in order: ``needs``, ``skills``, ``options``."""
        return self._made("rank", Ranked)

    def plan(self) -> Bought:
        """Spend the envelopes: ``plan.lots``, and the ``tables`` that tell of them."""
        return self._made("plan", Bought)

    def matches(self) -> Proposed:
        """Propose courses to people, and share seats."""
        return self._made("match", Proposed)

    def compute(self) -> Run:
        """Make every table that a night would publish."""
        with self._engine():
            line = self._look.line
            return Run(line.inputs.run_id, assemble(line, self._look.chosen.told))

    # What was, and what if -----------------------------------------------------------------------------------------------

    def runs(self) -> pd.DataFrame:
        """List the published runs. One row per run, the last first; none where nothing was published."""
        url = database_url(self.home, self.params)
        return pd.DataFrame(columns=["run_id", "current"]) if absent_file(url) else list_runs(open_database(url))

    def published(self, table: str, run_id: str | None = None) -> pd.DataFrame:
        """Read a published table of the current run, or of another. One row per key of the table (docs/figures.md)."""
        if table not in EVERY:
            raise InputError(f"published: there is no table '{table[:40]}'. There are {', '.join(EVERY)}.")
        current = open_current(database_url(self.home, self.params))
        return read_run(current.engine, table, run_id or current.run_id)

    def what_if(self, *settings: str, decide: Sequence[str] = (), against: str | None = None) -> Tried:
        """Buy the current plan again with other money, rules or decisions; ``changes`` says which lots differ, and why.

        Words are those of ``needs plan --set … --decide …``: ``budget=20000000``, ``purchase.smallest_worth=0.01``.
        """
        return try_out(self.home, self.params, Scenario(settings, None, tuple(decide), against))

    def backtest(self) -> tuple[Backtest, pd.DataFrame]:
        """Judge forecasts at past tenders, beside naive ones. Gives every forecast, and scores of each model in every group."""
        judged = judge(self.features().panel, self.params.forecast.backtest)
        return judged, score(judged, self.features())

    def trials(self, experiment: str = TRAINING) -> pd.DataFrame:
        """Read what MLflow keeps of an experiment, ``training`` or ``backtest``. One row per run, metric and step."""
        if experiment not in TRIALS:
            raise InputError(f"trials: there is no experiment '{experiment[:40]}'. There are {', '.join(TRIALS)}.")
        return read_scores(self._store, experiment)

    def registered(self) -> Registered:
        """Say which models are registered, and which is in force."""
        return registered(self._store)

    @property
    def _store(self) -> Store:
        return Store.of(self.home.var, self.params.execution.tracking)

    # Behind them ---------------------------------------------------------------------------------------------------------

    @cached_property
    def _look(self) -> _Look:
        return _Look(self.home, self.params, self.as_of)

    def _look_again(self) -> None:
        """Forget what was seen: what lies in the home is no longer the same."""
        vars(self).pop("_look", None)

    def _made(self, stage: str, kind: type[Thing]) -> Thing:
        """Take the result of a stage from the shelf, or make it where the parameters say that tasks run."""
        with self._engine():
            made: Thing = self._look.line[stage]
        assert isinstance(made, kind)
        return made

    def _engine(self) -> AbstractContextManager[None]:
        execution = self.params.execution
        return engine(execution.engine, execution.scheduler, execution.workers)


class _Look:
    """What one look at a home saw, and what was made of it: as the night does it, and nothing is written."""

    def __init__(self, home: Home, params: Params, as_of: str | None) -> None:
        self.home, self.params, self.as_of = home, params, as_of
        self.shelf = ReadOnlyShelf(home.stages)

    @cached_property
    def inputs(self) -> Inputs:
        """What a run would be made of."""
        day = day_of(self.home, self.as_of, datetime.now(UTC))
        return look_into(self.home, day, self.params, door_of(self.home, recall(self.home)), self.shelf)

    @cached_property
    def features(self) -> Features:
        """What is known."""
        known: Features = line_of(self.inputs, Given(None, ""), self.shelf)["features"]
        return known

    @cached_property
    def chosen(self) -> InForce:
        """The models of the run."""
        return models_at_hand(self.home, lambda: self.features, self.inputs)

    @cached_property
    def line(self) -> Line:
        """The stages, with these models."""
        models = Given(self.chosen.models, self.chosen.models.about.name)
        line = line_of(replace(self.inputs, model=self.chosen.model_id), models, self.shelf)
        line.made["features"] = self.features
        return line


# Where a region comes from ----------------------------------------------------------------------------------------------


def open_region(path: Path | str = ".", *, as_of: str | None = None, settings: Sequence[str] = ()) -> Region:
    """Open a home, as ``needs.open``. ``settings`` are parameters for this region alone, like ``"purchase.exercise=2027"``."""
    home = Home(Path(path).expanduser().resolve())
    if not (home.raw.is_dir() or home.lake.is_dir()):
        raise InputError(
            f"{home.root}: is no home, neither data/raw nor var/lake lies there. Give the folder of a Region, "
            f"or draw a simulated region there: needs.demo('{path}')."
        )
    return Region(home, load_params(home.params, settings), as_of)


def demo(path: Path | str, *, world: str = "calm", scale: str = "tiny", seed: int = 1, as_of: str = "2026-03-31") -> Region:
    """Draw a simulated region into the home ``path`` and open it. The same seed gives the same files."""
    home = Home(Path(path).expanduser().resolve())
    params = load_params(home.params)
    draw_demo(home, world=world, scale=scale, seed=seed, as_of=as_of, workers=params.execution.workers)
    return Region(home, params)
