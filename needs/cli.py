"""The command line: each command is one library call. Heavy imports stand where they are used, so that help is instant."""

from __future__ import annotations

import logging
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from features.errors import InputError
from needs.home import Home

if TYPE_CHECKING:
    from needs.params import Params


@dataclass(frozen=True)
class _Call:
    """The home a command works in, and the parameters set for this call only."""

    home: Home
    settings: tuple[str, ...]

    def params(self, *more: str) -> Params:
        from needs.params import load_params

        return load_params(self.home.params, (*self.settings, *more))


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Which training to buy, where and for whom.\n\nExample: needs --home region nightly",
)
Context = typer.Context
# Spelt here, since reading them would make help slow.
_STAGES = "ingest, features, training, forecast, effects, rank, plan, match, gate, publish, report, digest"
_WORLDS = "calm, crisis, creaming, hidden_confounding, congestion, misleading_surveys, no_heterogeneity, sparse, dirty"


@app.callback()
def _start(
    ctx: Context,
    home: Annotated[Path, typer.Option(help="Folder with params.yaml, data/raw and var.")] = Path(),
    settings: Annotated[list[str] | None, typer.Option("--set", help="Parameter for this call, section.key=value.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Log warnings only.")] = False,
) -> None:
    least, terminal = logging.WARNING if quiet else logging.INFO, logging.StreamHandler()
    terminal.addFilter(lambda record: record.levelno >= least)  # and no level: a bar that passes lines on keeps only filters
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", handlers=[terminal])
    ctx.obj = _Call(Home(home.expanduser().resolve()), tuple(settings or ()))


@app.command()
def demo(
    ctx: Context,
    world: Annotated[str, typer.Option(help=f"What is true there: {_WORLDS}; or your YAML file.")] = "calm",
    scale: Annotated[str, typer.Option(help="Size of the region: tiny, demo, region or france.")] = "demo",
    seed: Annotated[int, typer.Option(help="Seed of the drawing: the same seed gives the same files.")] = 1,
    as_of: Annotated[str, typer.Option(help="Day up to which the region is known.")] = "2026-03-31",
    out: Annotated[Path | None, typer.Option(help="Home to draw it in; the one of --home by default.")] = None,
) -> None:
    """Draw a simulated region into data/raw, and what is true of it into var/truth.

    Example: needs demo --world crisis --scale tiny --seed 7 --out /tmp/region
    """
    from needs.show.terminal import tell_demo

    home, workers = Home(out.expanduser().resolve()) if out else ctx.obj.home, ctx.obj.params().execution.workers
    typer.echo(tell_demo(home, world=world, scale=scale, seed=seed, as_of=as_of, workers=workers))


@app.command()
def check(
    ctx: Context,
    source: Annotated[str, typer.Argument(help="Source the files belong to, like offers or bmo.")],
    paths: Annotated[list[Path], typer.Argument(help="Files to read.")],
) -> None:
    """Read files strictly and say what is in them, without loading anything.

    Example: needs check bmo Base_open_data_BMO_2024.xlsx
    """
    from needs.show.terminal import tell_check

    told = tell_check(ctx.obj.home, source, paths, ctx.obj.params())
    if told.text:
        typer.echo(told.text)
    if told.faults:
        raise InputError(*told.faults)


@app.command()
def ingest(
    ctx: Context,
    sources: Annotated[list[str] | None, typer.Argument(help="Sources to read again, like offers; all by default.")] = None,
) -> None:
    """Load files of data/raw into the lake: each source whole or not at all, the others as they were.

    Example: needs ingest offers bmo
    """
    from needs.show.terminal import tell_ingest

    typer.echo(tell_ingest(ctx.obj.home, ctx.obj.params(), sources or []))


@app.command()
def nightly(
    ctx: Context,
    as_of: Annotated[str | None, typer.Option(help="Day the run stands on; the newest day of the data by default.")] = None,
    only: Annotated[str | None, typer.Option(help=f"Carry out one stage alone: {_STAGES}.")] = None,
    since: Annotated[str | None, typer.Option("--from", help="Carry out this stage and all after it again.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done, and why.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Carry out everything again, though nothing changed.")] = False,
    engine: Annotated[str | None, typer.Option(help="Where tasks run: local, processes or dask.")] = None,
    scheduler: Annotated[str | None, typer.Option(help="Scheduler of the cluster, for dask, like tcp://host:8786.")] = None,
) -> None:
    """Run the whole chain, from raw files to a published run. What has not changed is not made again.

    Exits 0 when done, 2 for what a person can mend, 3 when a gate refused, 4 when some territories failed.

    Example: needs nightly --as-of 2026-03-31
    """
    from needs.run.nightly import Asked
    from needs.show.night import tell_dry_run, tell_nightly

    asked, settings = Asked(as_of, only, since, force), _engine_settings(engine, scheduler)
    params = ctx.obj.params(*settings)
    if dry_run:
        typer.echo(tell_dry_run(ctx.obj.home, params, asked))
        return
    told, exit_code = tell_nightly(ctx.obj.home, params, asked)
    typer.echo(told)
    raise typer.Exit(exit_code)


def _engine_settings(engine: str | None, scheduler: str | None) -> list[str]:
    given = {"engine": engine, "scheduler": scheduler}
    return [f"execution.{name}={value}" for name, value in given.items() if value is not None]


@app.command()
def backtest(
    ctx: Context,
    as_of: Annotated[
        str | None, typer.Option(help="Day up to which all is known; the newest day of the data by default.")
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Judge the plan of a past year instead, beside simple rules.")] = False,
) -> None:
    """Judge forecasts over past purchases, beside naive ones: scores, a picture and an MLflow run.

    Example: needs backtest --as-of 2026-03-31
    """
    from needs.show.judged import tell_backtest
    from needs.show.plan_judged import tell_plan_backtest

    typer.echo((tell_plan_backtest if plan else tell_backtest)(ctx.obj.home, ctx.obj.params(), as_of))


@app.command()
def plan(
    ctx: Context,
    territory: Annotated[str | None, typer.Option(help="Only this bassin, like BE4441.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="What if: budget=EUROS, budget.ENVELOPE=EUROS or purchase.key=value.")
    ] = None,
    scenario: Annotated[Path | None, typer.Option(help="What if: a YAML file whose section 'purchase:' replaces ours.")] = None,
    decide: Annotated[list[str] | None, typer.Option(help="What if: a decision, like 'LOT interdit=1'.")] = None,
    against: Annotated[str | None, typer.Option(help="Why it changed since this run, one of 'needs runs'.")] = None,
) -> None:
    """Show the purchase plan of the current run; or what it would be otherwise, which publishes nothing.

    Example: needs plan --set budget=20000000
    """
    from needs.run.whatif import Scenario
    from needs.show.terminal import tell_plan, tell_what_if

    tried = Scenario(tuple(settings or ()), scenario, tuple(decide or ()), against)
    home, parameters = ctx.obj.home, ctx.obj.params()
    told = tell_what_if(home, parameters, tried, territory) if tried.is_there else tell_plan(home, parameters, territory)
    typer.echo(told)


@app.command()
def match(
    ctx: Context,
    person: Annotated[str, typer.Option(help="Identifier of the person, as in the jobseekers' file.")],
    course: Annotated[str | None, typer.Option(help="Session that the person asks for: it is answered, open or not.")] = None,
    html: Annotated[Path | None, typer.Option(help="File to write the page to print in, instead of showing it here.")] = None,
) -> None:
    """Show an adviser what is proposed to one person in the current run, why, and what would change it.

    Example: needs match --person P0000042 --html sheet.html
    """
    from needs.show.terminal import tell_match

    typer.echo(tell_match(ctx.obj.home, ctx.obj.params(), person, course, html))


@app.command()
def report(ctx: Context) -> None:
    """Write the page and the workbooks of the current run again, in the language of the parameters.

    Example: needs --set show.language=en report
    """
    from needs.show.terminal import tell_report

    typer.echo(tell_report(ctx.obj.home, ctx.obj.params()))


@app.command()
def runs(ctx: Context) -> None:
    """List the published runs, the last first.

    Example: needs runs
    """
    from needs.show.terminal import tell_runs

    typer.echo(tell_runs(ctx.obj.home, ctx.obj.params()))


@app.command(name="log")
def show_log(ctx: Context) -> None:
    """Show how the last night went: its steps, with seconds, memory and rows.

    Example: needs log
    """
    from needs.show.log import tell_log

    typer.echo(tell_log(ctx.obj.home, ctx.obj.params().show.language))


@app.command()
def rollback(
    ctx: Context,
    run: Annotated[str | None, typer.Argument(help="Run to go back to; the one before the current by default.")] = None,
) -> None:
    """Make an earlier run the current one.

    Example: needs rollback
    """
    from needs.show.terminal import tell_rollback

    typer.echo(tell_rollback(ctx.obj.home, ctx.obj.params(), run))


@app.command()
def grant(
    ctx: Context,
    role: Annotated[str, typer.Argument(help="Role of PostgreSQL that may read; made if it is not there.")],
    with_persons: Annotated[
        bool, typer.Option("--with-persons", help="Let it read what is proposed to each person too (pseudonyms).")
    ] = False,
) -> None:
    """Print the SQL that lets a role read the current run, and write nothing. The owner of the database runs it.

    Example: needs grant readers | psql "$DATABASE"
    """
    from needs.show.terminal import tell_grant

    typer.echo(tell_grant(ctx.obj.home, ctx.obj.params(), role, with_persons=with_persons))


@app.command()
def explain(
    ctx: Context,
    code: Annotated[
        str | None, typer.Argument(help="Code of any nomenclature, or a territory; without one, what nothing links.")
    ] = None,
    sector: Annotated[
        str | None, typer.Argument(help="Sector, after a territory: the path of every number known there.")
    ] = None,
    level: Annotated[str | None, typer.Option(help="Only this exit level, 1 to 8.")] = None,
    as_of: Annotated[str | None, typer.Option(help="Day on which it was known; the newest day of the data by default.")] = None,
) -> None:
    """Show what a code is linked to, with each weight and where it comes from; or where the numbers of a territory come from.

    Example: needs explain BE4441 230
    """
    from needs.show.explain import tell_explain
    from needs.show.path import tell_path

    home, parameters = ctx.obj.home, ctx.obj.params()
    asked = (code, sector, level)
    typer.echo(tell_path(home, parameters, asked, as_of) if sector else tell_explain(home, parameters, code))


@app.command()
def params(ctx: Context) -> None:
    """Print the effective parameters, with units and bounds.

    Example: needs --set purchase.exercise=2028 params
    """
    from needs.show.terminal import tell_params

    typer.echo(tell_params(ctx.obj.params()))


@app.command()
def doctor(ctx: Context) -> None:
    """Say what is missing, and how to get it.

    Example: needs doctor
    """
    from needs.doctor import examine

    told, healthy = examine(ctx.obj.home, ctx.obj.settings)
    typer.echo(told)
    raise typer.Exit(0 if healthy else InputError.exit_code)


class _Stopped(SystemExit):
    """A signal asked for the end; the code is 128 and its number, as a shell says it."""


def _stop(number: int, _frame: FrameType | None) -> None:
    """End the command as an error would: locks and half-made files go. A second signal does not wait for that."""
    signal.signal(number, signal.SIG_DFL)
    raise _Stopped(128 + number)


def main() -> None:
    """Run a command. An expected error is told in words and exits with its code; a bug shows where it is, and exits with 1."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
            signal.signal(number, _stop)
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "jemalloc")  # the usual one keeps a third of what tables leave
    try:
        app()
    except InputError as error:
        typer.echo("\n".join(error.faults), err=True)
        sys.exit(error.exit_code)
    except _Stopped as stopped:
        typer.echo(f"Stopped ({stopped.code}). What was published before is as it was.", err=True)
        raise
