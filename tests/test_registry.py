"""What MLflow keeps of a backtest, read back from a real store; and the command that records it."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from homes import AS_OF, copy_home
from mlflow import MlflowClient
from mlflow.entities import Run

from needs.home import Home
from needs.params import load_params
from needs.run.backtests import Judged, run_backtest
from needs.run.forecasts import JUDGED, NAIVE, OURS
from needs.show.judged import describe_backtest
from needs.show.plots import Picture, draw_backtest
from needs.store import registry
from needs.store.registry import Store, Trial, record_backtest

NOW = datetime(2026, 4, 1, 8, tzinfo=UTC)
SCORES = pd.DataFrame(
    [
        ("all", "", "", "naive", 100, 0.4, np.nan),
        ("2023-12", "", "", "naive", 50, 0.5, 0.1),
        ("2024-12", "", "", "naive", 50, 0.3, 0.2),
        ("all", "step", "9", "naive", 60, 0.35, 0.0),
        ("all", "step", "10", "naive", 40, 0.45, 0.0),
        ("2023-12", "step", "9", "naive", 30, 0.99, 0.0),
        ("all", "volume_class", "100+", "naive", 20, 0.1, 0.0),
        ("all", "sector", "230", "naive", 20, 0.2, 0.0),
    ],
    columns=["origin", "by", "group", "model", "n", "wape", "bias"],
)


def trial(scores: pd.DataFrame = SCORES, files: tuple[Path, ...] = ()) -> Trial:
    return Trial("2026-03-31", NOW, NOW, {"lead": "8"}, {"data_sha256": "a" * 64, "code_version": "0.1.0"}, scores, files)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store.of(tmp_path_factory.mktemp("runs"))


def read(store: Store, run: str) -> tuple[MlflowClient, Run]:
    client = MlflowClient(tracking_uri=store.uri)
    return client, client.get_run(run)


def test_a_run_is_read_back_as_it_was_recorded(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "scores.csv"
    SCORES.to_csv(file, index=False)
    client, run = read(store, record_backtest(store, trial(files=(file,))))
    assert run.data.params == {"lead": "8"}
    assert run.data.metrics["naive/wape"] == 0.4
    assert run.data.metrics["naive/by volume_class/100 and more/wape"] == 0.1
    by_origin, by_step = (client.get_metric_history(run.info.run_id, f"naive/by {by}/wape") for by in ("origin", "step"))
    assert {point.step: point.value for point in by_origin} == {202312: 0.5, 202412: 0.3}
    assert {point.step: point.value for point in by_step} == {9: 0.35, 10: 0.45}
    assert (run.info.status, run.info.start_time) == ("FINISHED", int(NOW.timestamp() * 1000))
    kept = Path(client.download_artifacts(run.info.run_id, "scores.csv", str(tmp_path)))
    assert kept.read_bytes() == file.read_bytes()


def test_what_is_not_known_and_what_nobody_would_read_is_no_metric(store: Store) -> None:
    _, run = read(store, record_backtest(store, trial()))
    assert "naive/bias" not in run.data.metrics
    assert not [name for name in run.data.metrics if "sector" in name]


def test_more_figures_than_one_call_takes_are_all_kept(store: Store) -> None:
    many = pd.concat([SCORES.iloc[:1].assign(model=f"m{i}") for i in range(700)])
    _, run = read(store, record_backtest(store, trial(many)))
    assert len(run.data.metrics) == 1400


def test_a_run_says_neither_who_ran_it_nor_where(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    _, run = read(store, record_backtest(store, trial()))
    assert set(run.data.tags) == {"data_sha256", "code_version", "mlflow.runName"}
    assert run.info.user_id in ("", "unknown", None)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_a_server_is_taken_in_place_of_the_home(tmp_path: Path) -> None:
    assert Store.of(tmp_path, "http://mlflow.example:5000") == Store("http://mlflow.example:5000", "")


# --- the picture ---


def _picture(language: str) -> Picture:
    rng = np.random.default_rng(1)
    rows = [
        (origin, by, group, model, 10, rng.random(), rng.random(), rng.random(), 5, 40.0, rng.normal())
        for by, groups in (("", [""]), ("volume_class", ["0-1", "100+", "5-20"]), ("sector", ["230", "999"]))
        for origin in ("2023-12", "2024-12", "all")
        for group in groups
        for model in JUDGED
    ]
    names = ["origin", "by", "group", "model", "n", "wape", "coverage", "pit_coverage", "n_pit", "volume", f"skill_{NAIVE}"]
    pit = pd.DataFrame({"model": OURS, "bin": range(10), "share": 0.1})
    return Picture(pd.DataFrame(rows, columns=names).assign(cells=7), pit, OURS, NAIVE, language)


def test_the_picture_is_the_same_bytes_each_time_and_speaks_the_language(tmp_path: Path) -> None:
    drawn = [draw_backtest(_picture(language), tmp_path / f"{i}.png") for i, language in enumerate(("fr", "fr", "en"))]
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in drawn]
    assert hashes[0] == hashes[1] != hashes[2]
    assert drawn[0].read_bytes()[:4] == b"\x89PNG"


# --- the command ---


@pytest.fixture(scope="module")
def told(ran: Home, tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Judged]:
    home = copy_home(ran, tmp_path_factory.mktemp("backtest"), made=True)
    return home, run_backtest(home, load_params(home.params), AS_OF, clock=lambda: NOW)


def test_a_backtest_leaves_scores_a_picture_and_a_run(told: tuple[Home, Judged]) -> None:
    home, judged = told
    folder = home.var / "backtests" / AS_OF
    assert sorted(path.name for path in folder.iterdir()) == ["backtest.png", "pit.csv", "scores.csv"]
    scores = pd.read_csv(judged.file)
    assert set(scores["by"].dropna()) == {"volume_class", "step", "territory", "sector"}
    client, run = read(Store.of(home.var), judged.run)
    whole = scores[scores["by"].isna() & (scores["origin"] == "all")].set_index("model")["wape"]
    assert {name: run.data.metrics[f"{name}/wape"] for name in JUDGED} == pytest.approx(whole.to_dict(), rel=1e-5)
    assert len(run.data.tags["data_sha256"]) == 64
    assert {file.path for file in client.list_artifacts(run.info.run_id)} == {"backtest.png", "pit.csv", "scores.csv"}


def test_the_table_is_told_in_the_language_with_where_it_lies(told: tuple[Home, Judged]) -> None:
    home, judged = told
    french, english = (
        describe_backtest(judged, load_params(home.params, [f"show.language={language}"])) for language in ("fr", "en")
    )
    assert "erreur évitée" in french
    assert "error avoided" in english
    for text in (french, english):
        assert [str(judged.file), str(judged.picture)] == text.splitlines()[-3:-1]
        assert judged.run in text.splitlines()[-1]


def test_what_is_not_installed_is_said_with_how_to_install_it(told: tuple[Home, Judged]) -> None:
    home, judged = told
    bare = Judged(judged.as_of, judged.origins, judged.scores, judged.file, None, "", "")
    lines = describe_backtest(bare, load_params(home.params)).splitlines()
    assert "skills-needs[plots]" in lines[-2]
    assert registry.INSTALL in lines[-1]
