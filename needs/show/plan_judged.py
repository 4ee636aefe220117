"""What the plan would have obtained in a past year, beside its rivals, as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from features.build import build_features
from models.effects import estimate_effects
from needs.home import Home
from needs.params import Params
from needs.run.known import day_of
from needs.run.lock import alone
from needs.run.nightly import Clock
from needs.run.plan_backtest import BEST, OURS, Verdict, backtest_plan
from needs.run.progress import step
from needs.run.shown import database_url
from needs.show.figures import count, percent
from needs.show.messages import say
from needs.store.lake import read_tables
from needs.store.publish import open_database, read_current
from needs.twin.worth import lots_value

_DAY = {"fr": "%d/%m/%Y", "en": "%Y-%m-%d"}
_FIGURES = "%.6g"
_COLUMNS = ("plan", "value", "interval", "of_best", "apart", "apart_interval", "won")


def tell_plan_backtest(home: Home, params: Params, as_of: str | None, *, clock: Clock = lambda: datetime.now(UTC)) -> str:
    """Buy a past year again, say what each plan would have obtained, and where that is written."""
    home.prepare()
    with alone(home):
        day = day_of(home, as_of, clock())
        known = read_tables(home.lake).known_at(day)
        with step("features"):
            today = build_features(known, day, params.features)
        with step("effects"):
            limits, smallest = params.features.grades.limits(), params.features.privacy.smallest_cell
            effects = estimate_effects(today.starts, params.effects, limits, smallest)
        with step("plan of the past year") as rows:
            verdict = backtest_plan(known, today, day, effects.table, params)
            rows |= {"plans": len(verdict.values)}
        file = _write(home.var / "backtests" / f"{day:%Y-%m-%d}", verdict)
    return "\n".join([*describe_verdict(verdict, params.show.language), *_truth(home, params), str(file)])


def describe_verdict(verdict: Verdict, language: str) -> Iterator[str]:
    """Say what was bought again, and how each plan fared, the best first."""
    year = verdict.year
    named = {"then": year.then.strftime(_DAY[language]), "exercise": year.exercise, "months": len(year.months)}
    yield say("plan_backtest.said", language, spent=year.budget_cents / 100, **named)
    yield ""
    told = verdict.values.sort_values("value", ascending=False, kind="stable")
    table = [[say(f"plan_backtest.column_{name}", language) for name in _COLUMNS]]
    table += [_cells(row, language) for _, row in told.iterrows()]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for first, *others in table:
        cells = [text.rjust(width) for text, width in zip(others, widths[1:], strict=True)]
        yield "  ".join([first.ljust(widths[0]), *cells])
    yield ""
    yield say("plan_backtest.explained", language)


def _cells(row: pd.Series, language: str) -> list[str]:
    """Write one plan. Ours is not set beside itself."""
    numbers = {name: count(float(row[name]), language, 1) for name in row.index if name != "plan"}
    own = row["plan"] == OURS
    beside = ["", "", ""] if own else [
        numbers["apart"],
        f"{numbers['apart_low']} … {numbers['apart_high']}",
        percent(float(row["won"]), language),
    ]  # fmt: skip
    named = say(f"plan_backtest.plan_{row['plan']}", language)
    share = percent(float(row["of_best"]), language) if row["plan"] != BEST else ""
    return [named, numbers["value"], f"{numbers['low']} … {numbers['high']}", share, *beside]


def _write(folder: Path, verdict: Verdict) -> Path:
    """Write what each plan would have obtained; that of the same day is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "plan.csv"
    dated = verdict.values.assign(as_of=f"{verdict.year.then:%Y-%m-%d}", exercise=verdict.year.exercise)
    dated.to_csv(file, index=False, float_format=_FIGURES, lineterminator="\n")
    return file


def _truth(home: Home, params: Params) -> Iterator[str]:
    """On a simulated region, say what the published plan is truly worth, beside the plans of its truth."""
    if not (home.truth / "worth.parquet").exists():
        return
    lots = read_current(open_database(database_url(home, params)), "lots")
    if lots.empty:
        return
    language = params.show.language
    worth, values = (pd.read_parquet(home.truth / f"{name}.parquet") for name in ("worth", "plan_values"))
    plans = values.set_index("rule")[["value", "cost_cents"]].astype("float64")
    plans.loc[OURS] = [lots_value(worth, lots), float(lots["cost_cents"].sum())]
    yield say("plan_backtest.truth", language)
    for rule, row in plans.sort_values("value", ascending=False).iterrows():
        named = say(f"plan_backtest.plan_{rule}", language)
        yield say(
            "plan_backtest.true_value", language, plan=named, jobs=float(row["value"]), spent=float(row["cost_cents"]) / 100
        )
    yield ""
