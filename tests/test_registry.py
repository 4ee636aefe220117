"""What MLflow keeps of a backtest, read back from a real store; and the command that records it."""

from __future__ import annotations

import hashlib
import multiprocessing
import shutil
import signal
from dataclasses import replace
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
from needs.show.plots import Picture, draw_backtest, draw_training
from needs.store.bundles import BundleError, read_bundle, read_manifest, write_bundle
from needs.store.registry import (
    CHALLENGER,
    CHAMPION,
    MODEL,
    Made,
    Registered,
    RegistryError,
    Store,
    Verdict,
    Version,
    fetch,
    read_registry,
    record_backtest,
    register,
    settle,
)

pytestmark = pytest.mark.long

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


MADE = Made("2026-03-31", NOW, {"lead": "8"}, {"data_sha256": "a" * 64, "code_version": "0.1.0"})
ABOUT = {"as_of": "2026-03-31", "months": "24"}


def record(store: Store, scores: pd.DataFrame = SCORES, files: tuple[Path, ...] = ()) -> str:
    return record_backtest(store, MADE, scores, files, NOW)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store.of(tmp_path_factory.mktemp("runs"))


def read(store: Store, run: str) -> tuple[MlflowClient, Run]:
    client = MlflowClient(tracking_uri=store.uri)
    return client, client.get_run(run)


def test_a_run_is_read_back_as_it_was_recorded(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "scores.csv"
    SCORES.to_csv(file, index=False)
    client, run = read(store, record(store, files=(file,)))
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
    _, run = read(store, record(store))
    assert "naive/bias" not in run.data.metrics
    assert not [name for name in run.data.metrics if "sector" in name]


def test_more_figures_than_one_call_takes_are_all_kept(store: Store) -> None:
    many = pd.concat([SCORES.iloc[:1].assign(model=f"m{i}") for i in range(700)])
    _, run = read(store, record(store, many))
    assert len(run.data.metrics) == 1400


def test_a_run_says_neither_who_ran_it_nor_where(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    _, run = read(store, record(store))
    assert set(run.data.tags) == {"data_sha256", "code_version", "mlflow.runName"}
    assert run.info.user_id in ("", "unknown", None)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_a_server_is_taken_in_place_of_the_home(tmp_path: Path) -> None:
    assert Store.of(tmp_path, "http://mlflow.example:5000") == Store("http://mlflow.example:5000", "")


# --- models ---


@pytest.fixture
def empty(store: Store, tmp_path: Path) -> Store:
    """A store of its own, whose tables are laid already."""
    record(store)
    shutil.copy(store.uri.removeprefix("sqlite:///"), tmp_path / "mlflow.db")
    return Store.of(tmp_path)


def bundle(folder: Path, thing: object = "learned", **about: str) -> Path:
    write_bundle(folder, thing, ABOUT | about)
    return folder


def scores_of(challenger: float = 0.4) -> pd.DataFrame:
    return pd.DataFrame(
        [("forecast.bassin.wape", 0, np.nan, challenger), ("forecast.bassin.wape", 3, 0.5, challenger)],
        columns=["metric", "step", "champion", "challenger"],
    )


def test_a_model_is_registered_as_challenger_and_in_force_once_it_is_promoted(empty: Store, tmp_path: Path) -> None:
    assert read_registry(empty) == Registered()
    version = register(empty, MADE, bundle(tmp_path / "one", reason="first"))
    assert version == Version(1, version.run, read_manifest(tmp_path / "one").sha256, ABOUT | {"reason": "first"}, "")
    assert read_registry(empty) == Registered((version,), None)
    settle(empty, version, Verdict(promoted=True, decision="promoted", scores=scores_of()), NOW)
    known = read_registry(empty)
    assert known.champion == known.versions[0] == replace(version, decision="promoted")
    client, run = read(empty, version.run)
    aliases = client.get_registered_model(MODEL).aliases
    assert {name: int(number) for name, number in aliases.items()} == {CHAMPION: 1, CHALLENGER: 1}
    assert run.data.metrics == {
        "challenger/forecast.bassin.wape": 0.4,
        "challenger/by step/forecast.bassin.wape": 0.4,
        "champion/by step/forecast.bassin.wape": 0.5,
    }
    assert [point.step for point in client.get_metric_history(version.run, "champion/by step/forecast.bassin.wape")] == [3]
    assert run.data.params == {"lead": "8"}
    assert run.info.status == "FINISHED"


def test_a_challenger_that_is_refused_leaves_the_champion_in_force(empty: Store, tmp_path: Path) -> None:
    first, second = (register(empty, MADE, bundle(tmp_path / name, name)) for name in ("one", "two"))
    settle(empty, first, Verdict(promoted=True, decision="promoted", scores=scores_of()), NOW)
    settle(empty, second, Verdict(promoted=False, decision="worse", scores=scores_of()), NOW)
    known = read_registry(empty)
    assert [version.number for version in known.versions] == [2, 1]
    assert [version.decision for version in known.versions] == ["worse", "promoted"]
    assert known.champion == known.versions[1]


def test_a_bundle_comes_back_with_the_hash_that_was_registered_and_no_other(empty: Store, tmp_path: Path) -> None:
    version = register(empty, MADE, bundle(tmp_path / "one", ["learned"]))
    bundle(tmp_path / "here", ["older"])
    fetch(empty, version, tmp_path / "here")
    assert read_bundle(tmp_path / "here", list, version.sha256) == ["learned"]
    (artifacts,) = (Path(empty.files.removeprefix("file://"))).glob("*/artifacts/bundle")
    bundle(artifacts, ["tampered"])
    fetch(empty, version, tmp_path / "here")
    with pytest.raises(BundleError, match="is not the bundle that was registered"):
        read_bundle(tmp_path / "here", list, version.sha256)


def test_what_was_not_registered_to_its_end_is_not_there(empty: Store, tmp_path: Path) -> None:
    whole = register(empty, MADE, bundle(tmp_path / "one"))
    client = MlflowClient(tracking_uri=empty.uri)
    half = client.create_model_version(MODEL, "file:///nowhere", whole.run)
    client.set_registered_model_alias(MODEL, CHAMPION, half.version)
    assert read_registry(empty) == Registered((whole,), None)


def test_a_version_whose_bundle_is_gone_is_said_to_have_none(empty: Store, tmp_path: Path) -> None:
    version = register(empty, MADE, bundle(tmp_path / "one"))
    shutil.rmtree(Path(empty.files.removeprefix("file://")) / version.run)
    with pytest.raises(BundleError, match=r"version 1 of skills-needs has no bundle any more"):
        fetch(empty, version, tmp_path / "here")


def _register_many(store: Store, folder: Path, turns: int = 3) -> None:
    for turn in range(turns):
        version = register(store, MADE, bundle(folder, [folder.name, turn]))
        settle(store, version, Verdict(promoted=True, decision="promoted", scores=scores_of()), NOW)


def test_models_registered_at_the_same_time_are_all_there(empty: Store, tmp_path: Path) -> None:
    jobs = [multiprocessing.get_context("fork").Process(target=_register_many, args=(empty, tmp_path / n)) for n in ("a", "b")]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert [job.exitcode for job in jobs] == [0, 0]
    known = read_registry(empty)
    assert [version.number for version in known.versions] == [6, 5, 4, 3, 2, 1]
    assert len({version.sha256 for version in known.versions}) == 6
    assert known.champion in known.versions


def _read_all(store: Store, folder: Path) -> None:
    """Read every version, then register one more."""
    for version in read_registry(store).versions:
        fetch(store, version, folder / "here")
        read_bundle(folder / "here", list, version.sha256)
    version = register(store, MADE, bundle(folder / "more", ["more"]))
    assert read_registry(store).versions[0] == version


def test_a_process_killed_at_any_moment_leaves_a_registry_that_is_read_and_goes_on(empty: Store, tmp_path: Path) -> None:
    for turn in range(4):
        # Each in a process of its own: an open database does not survive a fork.
        folder, fork = tmp_path / f"{turn}", multiprocessing.get_context("fork")
        writer = fork.Process(target=_register_many, args=(empty, folder, 1000))
        writer.start()
        writer.join(0.1 + 0.25 * turn)
        writer.kill()
        writer.join()
        assert writer.exitcode == -signal.SIGKILL
        reader = fork.Process(target=_read_all, args=(empty, folder))
        reader.start()
        reader.join()
        assert reader.exitcode == 0
    assert len(read_registry(empty).versions) >= 4


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@pytest.mark.usefixtures("impatient")
def test_a_server_that_nobody_answers_is_said_in_words_without_its_password(tmp_path: Path) -> None:
    nobody = Store.of(tmp_path, "http://ann:secret@127.0.0.1:9")
    with pytest.raises(RegistryError, match=r"MLflow at http://127\.0\.0\.1:9 cannot be used") as refused:
        read_registry(nobody)
    assert "secret" not in str(refused.value)
    with pytest.raises(RegistryError):
        record(nobody)


def test_a_database_that_is_none_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(RegistryError, match="cannot be used"):
        read_registry(Store.of(tmp_path))


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


def test_the_picture_of_a_training_is_the_same_bytes_each_time_with_or_without_a_champion(tmp_path: Path) -> None:
    rows = [(f"forecast.{grain}.wape", step, 0.3, 0.4) for grain in ("bassin", "occupation") for step in range(4)]
    scores = pd.DataFrame(rows, columns=["metric", "step", "champion", "challenger"])
    alone = scores.assign(champion=np.nan)
    drawn = [draw_training(each, tmp_path / f"{i}.png", "fr").read_bytes() for i, each in enumerate((scores, scores, alone))]
    assert drawn[0] == drawn[1] != drawn[2]
    assert drawn[2][:4] == b"\x89PNG"


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
    lines = describe_backtest(replace(judged, picture=None), load_params(home.params)).splitlines()
    assert "skills-needs[plots]" in lines[-2]
