"""How forecasts fared over past purchases, as text for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pandas as pd

from needs.home import Home
from needs.params import Params
from needs.run.backtests import Judged, run_backtest
from needs.run.forecasts import NAIVE, OURS
from needs.show import plots
from needs.show.figures import count, percent
from needs.show.messages import say

_DAY = {"fr": "%d/%m/%Y", "en": "%Y-%m-%d"}
_GAP = "  "
Cell = Callable[["pd.Series[float]"], str]


def tell_backtest(home: Home, params: Params, as_of: str | None) -> str:
    """Judge the forecasts, say how they fared beside naive ones, and where scores, picture and run lie."""
    return describe_backtest(run_backtest(home, params, as_of), params)


def describe_backtest(judged: Judged, params: Params) -> str:
    """Say what was judged, how each forecast fared, and where it is written."""
    language, judging = params.show.language, params.forecast.backtest
    whole = judged.scores.query("origin == 'all' and by == ''")
    classes = judged.scores.query("origin == 'all' and by == 'volume_class' and model == @OURS")
    values = {"first": judging.lead + 1, "last": judging.lead + judging.horizon, "rows": int(whole["n"].iloc[0])}
    named = {"as_of": judged.as_of.strftime(_DAY[language]), "origins": ", ".join(judged.origins)}
    lines = [
        say("backtest.said", language, **named, **values),
        "",
        *_table(whole, "model", language),
        "",
        say("backtest.by_class", language, model=_named(OURS, language).capitalize()),
        *_table(classes, "class", language),
        "",
        say("backtest.explained", language, other=_named(NAIVE, language)),
        *_places(judged, language),
    ]
    return "\n".join(lines)


def _named(model: str, language: str) -> str:
    return say(f"backtest.model_{model}", language)


def _table(scores: pd.DataFrame, first: str, language: str) -> Iterator[str]:
    """Lay scores out in columns. One text per row, and the headers."""
    cells: dict[str, Cell] = {
        "cells": lambda row: count(row["cells"], language),
        "wape": lambda row: percent(row["wape"], language),
        "bias": lambda row: percent(row["bias"], language),
        "coverage": lambda row: percent(_covered(row), language),
        "skill": lambda row: percent(row[f"skill_{NAIVE}"], language),
        "beaten": lambda row: percent(row[f"beaten_{NAIVE}"], language),
    }
    rows = [[say(f"backtest.column_{name}", language) for name in (first, *cells)]]
    by_model = first == "model"
    for _, row in (scores if by_model else scores.sort_values("group", key=_lowest)).iterrows():
        name = _named(str(row["model"]), language) if by_model else str(row["group"]).replace("-", "–")
        rows.append([name, *(cell(row) for cell in cells.values())])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *figures in rows:
        yield _GAP.join([name.ljust(widths[0]), *(text.rjust(width) for text, width in zip(figures, widths[1:], strict=True))])


def _covered(row: pd.Series[float]) -> float:
    """Give the share inside the interval: of the PIT, exact on counts, where the forecast has a distribution."""
    return float(row["coverage"] if row["n_pit"] == 0 else row["pit_coverage"])


def _lowest(classes: pd.Series[str]) -> pd.Series[float]:
    """Give the volume at which each class begins. Same rows."""
    return classes.str.rstrip("+").str.partition("-")[0].astype("float64")


def _places(judged: Judged, language: str) -> Iterator[str]:
    """Say where scores, picture and run lie, and what to install for those that are not there."""
    yield str(judged.file)
    yield str(judged.picture) if judged.picture else say("backtest.no_picture", language, install=plots.INSTALL)
    yield f"MLflow {judged.store} {judged.run}"
