"""The nightly job: ingest what is new, make what has changed, hold the gates, publish, show, say what is wrong.

One at a time. What fails leaves yesterday in place, and what was made lies on the shelf (:mod:`needs.run.stages`), so that
the next night takes it up there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pandas as pd

from features.vocabulary import InputError
from needs.home import Home
from needs.params import Params
from needs.run.about_run import facts_of, leave_facts
from needs.run.champion import InForce, choose_models
from needs.run.desk import clear, is_whole, leave
from needs.run.engine import engine
from needs.run.gates import GateRefusal, judge_run, read_before
from needs.run.history import leave_history
from needs.run.ingest import Arrival, door_of, ingest, recall
from needs.run.inputs import Inputs
from needs.run.known import day_of, look_into
from needs.run.limits import limited
from needs.run.lock import alone
from needs.run.message import (
    has_message,
    leave_message,
    refused_message,
    repeat_message,
    tell_failed,
    tell_unreached,
    write_message,
)
from needs.run.pipeline import STAGES, assemble, line_of
from needs.run.progress import step
from needs.run.shown import Shown, current_run, database_url, show_current
from needs.run.stages import Given, Line, Shelf
from needs.run.waivers import read_waivers
from needs.store.lake import ages_of
from needs.store.publish import COMPLETE, PARTIAL, ROLLBACK, Run, list_runs, open_database, prune, publish

log = logging.getLogger(__name__)
Clock = Callable[[], datetime]
Tables = Mapping[str, pd.DataFrame]
MADE = tuple(stage.name for stage in STAGES)
SOME_FAILED = 4
NIGHT = ("ingest", MADE[0], "training", *MADE[1:], "gate", "publish", "report", "digest")


@dataclass(frozen=True)
class Asked:
    """What is asked of a night: the day it stands on; one stage alone, or all from one on; all, though nothing changed."""

    as_of: str | None = None
    only: str | None = None
    since: str | None = None
    force: bool = False

    def __post_init__(self) -> None:
        """Refuse what no night has."""
        for option, name in (("--only", self.only), ("--from", self.since)):
            if name is not None and name not in NIGHT:
                raise InputError(f"{option} '{name}' is no stage of a night. They are: {', '.join(NIGHT)}.")
        if self.only and self.since:
            raise InputError("--only and --from cannot both be given: one stage alone, or all from one on.")

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that may be carried out, in their order."""
        if self.only:
            return (self.only,)
        return NIGHT[NIGHT.index(self.since) if self.since else 0 :]

    @property
    def again(self) -> frozenset[str]:
        """The stages that are carried out though nothing changed."""
        return frozenset(self.stages if self.only or self.since or self.force else ())


@dataclass(frozen=True)
class Published:
    """What a night came to, and where the results of the current run lie; ``new`` when it was published now.

    ``message`` is the digest of a run that is new; ``failed`` are the territories of which it says nothing.
    """

    run_id: str
    new: bool
    database: str
    shown: Shown | None
    message: str = ""
    failed: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """What the command exits with."""
        return SOME_FAILED if self.failed else 0


class Night:
    """One night in a home that is held for it alone."""

    def __init__(self, home: Home, params: Params, asked: Asked, clock: Clock) -> None:
        self.home, self.params, self.asked, self.clock = home, params, asked, clock
        self.url = database_url(home, params)
        self.engine = open_database(self.url)
        self.shelf = Shelf(home.stages)
        self.started = self.now()

    def now(self) -> datetime:
        """Tell the time, never before the last run ended: a clock that was set back does not change the order of runs."""
        last = list_runs(self.engine)["finished_at"].max()
        told = self.clock()
        if pd.isna(last) or told > datetime.fromisoformat(last):
            return told
        log.warning(
            "the clock says %s, and the last run ended at %s: it was set back", told.isoformat(timespec="seconds"), last
        )
        return datetime.fromisoformat(last) + timedelta(seconds=1)

    def run(self) -> Published:
        """Carry out the stages that are asked for."""
        arrivals = self._ingest() if "ingest" in self.asked.stages else recall(self.home)
        if self.asked.only == "ingest":
            return self._done("")
        if self.asked.stages[0] in ("report", "digest"):
            return self._show_again()
        day = day_of(self.home, self.asked.as_of, self.started)
        inputs = look_into(self.home, day, self.params, door_of(self.home, arrivals), self.shelf)
        first = self._lay(inputs, Given(None, ""))
        if self.asked.only == "features":
            self._tell(inputs)
            first["features"]
            return self._done(inputs.run_id)
        line, chosen = self._line(first)
        self._tell(line.inputs)
        if self.asked.only == "gate":
            self._judge(line, assemble(line, chosen.told), read_before(self.engine))
        elif self.asked.only in MADE:
            line[self.asked.only]
        if self.asked.only not in (None, "publish"):
            return self._done(line.inputs.run_id)
        return self._publish(line, chosen)

    def _done(self, run_id: str, *, shown: Shown | None = None, message: str = "") -> Published:
        return Published(run_id, new=False, database=self.url, shown=shown, message=message)

    def _show_again(self) -> Published:
        """Write the page, the exports and the message of the current run again, as far as they are asked for."""
        shown = show_current(self.home, self.params) if "report" in self.asked.stages else None
        run, message = current_run(self.engine), ""
        if "digest" in self.asked.stages:
            message = self._repeat(run)
        return self._done(run.run_id, shown=shown, message=message)

    def _repeat(self, run: Run) -> str:
        """Leave the message of the current run again, and give its text."""
        told = repeat_message(self.engine, run, self.params.show.language)
        leave_message(self.home.digests, run.run_id, told)
        return told.text

    def _tell(self, inputs: Inputs) -> None:
        """Say which run it is, and how old what it knows is."""
        day = f"{inputs.as_of:%Y-%m-%d}"
        told = {"run_id": inputs.run_id, "as_of": day, "ages": ages_of(self.home.lake, inputs.as_of)}
        log.info("run %s: as of %s, exercise %d", inputs.run_id, day, inputs.exercise, extra=told)

    def _ingest(self) -> list[Arrival]:
        with limited(self.params.execution.limits, "ingest"):
            return ingest(self.home, self.params.ingest, again="ingest" in self.asked.again)

    def _line(self, first: Line) -> tuple[Line, InForce]:
        """Lay out the stages, with the models in force: those are chosen, and trained if it is due, before anything is told."""
        inputs = first.inputs
        with limited(self.params.execution.limits, "training"):
            chosen = choose_models(
                self.home, lambda: first.lend("features"), inputs, again="training" in self.asked.again, clock=self.clock
            )
        models = Given(chosen.models, chosen.models.about.name)
        line = self._lay(replace(inputs, model=chosen.model_id), models)
        line.made |= first.made
        line.seen |= first.seen
        return line, chosen

    def _lay(self, inputs: Inputs, models: Given) -> Line:
        """Lay out the stages: those asked for may be made, the others only be taken as they lie."""
        barred = frozenset(MADE) - set(self.asked.stages)
        return line_of(inputs, models, self.shelf, again=self.asked.again, barred=barred)

    def _publish(self, line: Line, chosen: InForce) -> Published:
        """Publish a run that is not there yet, or that is asked for again, and show the current one."""
        run_id, runs = line.inputs.run_id, list_runs(self.engine)
        tables, message = None, ""
        if run_id not in set(runs.loc[runs["status"] == COMPLETE, "run_id"]) or self.asked.again:
            tables, message = self._write(line, chosen)
        elif _rolled_back(runs, run_id):
            log.warning("run %s is there, and somebody went back to an earlier one: it stays so (--force publishes it)", run_id)
        elif run_id not in set(runs.loc[runs["current"], "run_id"]):
            publish(self.engine, self._row(line), {}, published_by="nightly")
        failed = tuple(one.territory for one in line["match"].failed) if tables else ()
        self._leave(line)
        if not has_message(self.home.digests, (run := current_run(self.engine)).run_id):
            message = self._repeat(run)
        with limited(self.params.execution.limits, "report"):
            shown = show_current(self.home, self.params, tables, again="report" in self.asked.again)
        self.shelf.keep(line.keys())
        return Published(run_id, tables is not None, self.url, shown, message, failed)

    def _write(self, line: Line, chosen: InForce) -> tuple[Tables, str]:
        """Hold the gates, say what changed, write the tables of a run, and make it current."""
        read_waivers(line.inputs.tables.overrides, line.inputs.as_of)  # a decision that cannot be read is refused at once
        tables, before = assemble(line, chosen.told), read_before(self.engine)
        limits, run = self.params.execution.limits, self._row(line)
        gates = self._judge(line, tables, before)
        with limited(limits, "digest"):
            language = self.params.show.language
            apart = tell_failed(line["match"].failed, language)
            apart += [] if chosen.reached else [tell_unreached(chosen.models.about.as_of, language)]
            message = write_message(tables, before, gates, run, language, extra=apart)
        line.put_back(["features"])
        with limited(limits, "publish"), step("publish") as rows:
            written = publish(self.engine, run, tables, published_by="nightly", beside={"gates": gates}, again=True)
            prune(self.engine, self.params.execution.keep_runs)
            rows |= {"tables": len(written), "rows": sum(written.values())}
        leave_message(self.home.digests, run.run_id, message)
        return tables, message.text

    def _judge(self, line: Line, tables: Tables, before: Tables) -> pd.DataFrame:
        """Hold the gates; a refusal is kept where messages lie. One row per gate and group."""
        with limited(self.params.execution.limits, "gate"), step("gates") as rows:
            lost = [one.territory for one in line["match"].failed]
            try:
                gates = judge_run(tables, line["features"], line["plan"].plan, before, line.inputs, failed=lost)
            except GateRefusal as refusal:
                leave_message(self.home.digests, f"{line.inputs.run_id}-refused", refused_message(refusal, line.inputs))
                raise
            rows |= {"held": int((gates["held"] == 1).sum()), "not judged": int(gates["held"].isna().sum())}
        return gates

    def _leave(self, line: Line) -> None:
        """Leave for advisers what they answer from, and for the page what was observed."""
        desk = self.home.desk / line.inputs.run_id
        if not is_whole(desk):
            leave(desk, line.inputs.run_id, line.inputs.as_of, line["match"])
        line.put_back(MADE)  # what is shown is what was published
        runs = list_runs(self.engine)["run_id"]
        leave_history(self.home.history, line.inputs.run_id, line.lend("features"), runs.tolist())
        leave_facts(self.home.history, line.inputs.run_id, facts_of(line.inputs, line["models"]), runs.tolist())
        kept = runs.head(self.params.execution.keep_desks)
        clear(self.home.desk, [line.inputs.run_id, *kept])

    def _row(self, line: Line) -> Run:
        """Write the row of ``runs``."""
        inputs = line.inputs
        return Run(
            run_id=inputs.run_id,
            as_of=inputs.as_of.date(),
            started_at=self.started,
            finished_at=self.now(),
            status=PARTIAL if line["match"].failed else COMPLETE,
            code_version=inputs.code,
            params_sha256=inputs.params.sha256(),
            data_sha256=inputs.data_sha256,
        )


def _rolled_back(runs: pd.DataFrame, run_id: str) -> bool:
    """Whether somebody went back from a run that is there to the current one."""
    current = runs[runs["current"]]
    return bool((current["published_by"] == ROLLBACK).any() and (current["run_id"] != run_id).any())


def run_nightly(
    home: Home,
    params: Params,
    as_of: str | None = None,
    *,
    asked: Asked | None = None,
    clock: Clock = lambda: datetime.now(UTC),
) -> Published:
    """Run the whole chain and publish it. The same inputs publish once; page and exports are written where they lack."""
    execution = params.execution
    with alone(home), engine(execution.engine, execution.scheduler, execution.workers):
        return Night(home, params, asked or Asked(as_of), clock).run()
