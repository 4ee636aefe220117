"""Judge the forecasts of a home over its past purchases, at the distance that matters: from the tender to the sessions.

The months between a tender and the sessions it buys are forecast but not judged. What is judged is what planners read:
positions of a bassin, occupation and month.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from features.build import Features, build_features
from features.crosswalks import sector_links
from features.tables import Tables
from features.vocabulary import InputError
from models.backtest import Backtest, BacktestParams, backtest, rolling_origins
from needs.home import Home
from needs.params import Params
from needs.run.code import code_version
from needs.run.forecasts import JUDGED, KEY, NAIVE, OURS
from needs.run.known import day_of
from needs.run.lock import alone
from needs.run.nightly import Clock
from needs.run.progress import step
from needs.show.plots import Picture, can_draw, draw_backtest
from needs.store.lake import read_tables
from needs.store.registry import Made, Store, record_backtest

_FIGURES = "%.6g"


@dataclass(frozen=True)
class Judged:
    """What a backtest found and where it lies; without a picture, the package it needs is not installed."""

    as_of: pd.Timestamp
    origins: tuple[str, ...]
    scores: pd.DataFrame
    file: Path
    picture: Path | None
    run: str
    store: str


def run_backtest(home: Home, params: Params, as_of: str | None, *, clock: Clock = lambda: datetime.now(UTC)) -> Judged:
    """Judge every forecast on what the lake knows, write scores and picture under ``var/backtests``, record them in MLflow."""
    started = clock()
    home.prepare()
    with alone(home):
        day = day_of(home, as_of, started)
        known = read_tables(home.lake).known_at(day)
        with step("features") as rows:
            features = build_features(known, day, params.features)
            rows |= {"months of series": len(features.panel)}
        with step("backtest") as rows:
            judged = judge(features.panel, params.forecast.backtest)
            scores = score(judged, features)
            rows |= {"forecasts": len(judged.told), "scores": len(scores)}
        with step("scores and picture") as rows:
            files = _write(home.var / "backtests" / f"{day:%Y-%m-%d}", judged, scores, params.show.language)
            store = Store.of(home.var, params.execution.tracking)
            made = Made(f"{day:%Y-%m-%d}", started, _settings(params), _prints(home, known, params))
            run = record_backtest(store, made, scores, files, clock())
            rows |= {"files": len(files)}
    picture = next((path for path in files if path.suffix == ".png"), None)
    return Judged(day, tuple(sorted(judged.told["origin"].unique())), scores, files[0], picture, run, store.uri)


def judge(panel: pd.DataFrame, params: BacktestParams) -> Backtest:
    """Judge every forecast of positions at past tenders. The atom is bassin × département: bassins add their parts up."""
    series = panel.groupby(KEY, as_index=False)[["positions"]].sum().rename(columns={"positions": "value"})
    origins = rolling_origins(series["period"], params)
    if not origins:
        months = series["period"].nunique()
        raise InputError(
            f"backtest: {months} months of offers are too few to judge months {params.lead + 1} to "
            f"{params.lead + params.horizon} after a tender with a year before it. "
            "Add older offers, or set fewer, like: --set forecast.backtest.lead=0"
        )
    return backtest(
        series, JUDGED, origins, params.horizon,
        lead=params.lead, quantiles=params.quantiles, volume_classes=params.volume_classes,
    )  # fmt: skip


def score(judged: Backtest, features: Features) -> pd.DataFrame:
    """Score a backtest in every way planners ask. One row per origin or "all", by, group, model."""
    links = sector_links(features.crosswalks)
    plain = [judged.scores(by) for by in ("", "volume_class", "step", "territory")]
    scores = pd.concat([*plain, judged.scores("sector", links=links)], ignore_index=True)
    return scores.assign(group=scores["group"].astype("str"))


def _write(folder: Path, judged: Backtest, scores: pd.DataFrame, language: str) -> list[Path]:
    """Write scores, PIT and picture of a backtest; those of the same day are replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    pit = judged.pit()
    frames = {"scores.csv": scores, "pit.csv": pit}
    for name, frame in frames.items():
        frame.to_csv(folder / name, index=False, float_format=_FIGURES, lineterminator="\n")
    written = [folder / name for name in frames]
    picture = Picture(scores, pit, OURS, NAIVE, language)
    return [*written, draw_backtest(picture, folder / "backtest.png")] if can_draw() else written


def _settings(params: Params) -> dict[str, str]:
    """Give the parameters that decide what was judged."""
    return {f"forecast.backtest.{name}": str(value) for name, value in params.forecast.backtest}


def _prints(home: Home, known: Tables, params: Params) -> dict[str, str]:
    """Say what the backtest was made of: data, parameters and code, by their hashes."""
    return {
        "data_sha256": known.fingerprint(),
        "params_sha256": params.sha256(),
        "code_version": code_version(),
        "simulated": str(home.simulated).lower(),
        "models": ",".join(JUDGED),
    }
