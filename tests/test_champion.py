"""Which models serve a night: the champion, a challenger that is no worse, or what is at hand when MLflow is not."""

from __future__ import annotations

import json
import logging
import pickle
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from features.build import Features, build_features
from needs.home import Home
from needs.run.champion import InForce, choose_models
from needs.run.inputs import Inputs
from needs.run.training import About, Models, train
from needs.show.messages import LANGUAGES, say
from needs.store.bundles import MANIFEST, read_bundle, read_manifest, write_bundle
from needs.store.registry import Made, Registered, Store, Verdict, Version, read_registry, record_backtest, register, settle

pytestmark = pytest.mark.long

NOW = datetime(2026, 4, 1, 8, tzinfo=UTC)
NOBODY = "http://127.0.0.1:9"
NO_SCORES = pd.DataFrame({name: [] for name in ("metric", "step", "champion", "challenger")})


@dataclass(frozen=True)
class Known:
    """A small region, what is known of it, and the models that learn from it."""

    inputs: Inputs
    features: Features
    models: Models


@pytest.fixture(scope="module")
def known(few: Inputs) -> Known:
    features = build_features(few.tables, few.as_of, few.params.features)
    return Known(few, features, train(features, few))


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of MLflow whose tables are laid, and that holds no model."""
    folder = tmp_path_factory.mktemp("laid")
    record_backtest(Store.of(folder), Made("none", NOW, {}, {}), pd.DataFrame(), (), NOW)
    return folder / "mlflow.db"


@pytest.fixture
def home(laid: Path, tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.prepare()
    shutil.copy(laid, home.var / "mlflow.db")
    return home


def registered(home: Home) -> Registered:
    return read_registry(Store.of(home.var))


def enthrone(home: Home, models: Models, *, decided: bool = True) -> Version:
    """Register models as they are, and put them in force."""
    folder, store = home.var / "models" / models.about.name, Store.of(home.var)
    write_bundle(folder, models, models.about.told() | {"reason": "first"})
    version = register(store, Made("by hand", NOW, {}, {}), folder)
    if decided:
        settle(store, version, Verdict(promoted=True, decision="promoted", scores=NO_SCORES), NOW)
    return version


def choose(home: Home, known: Known, *, days: int = 0, tracking: str = "") -> InForce:
    """Choose models for a night so many days later, of which nothing more is known."""
    params = known.inputs.params
    params = params.model_copy(update={"execution": params.execution.model_copy(update={"tracking": tracking})})
    inputs = replace(known.inputs, as_of=known.inputs.as_of + pd.Timedelta(days=days), params=params)
    return choose_models(home, lambda: known.features, inputs, clock=lambda: NOW)


def topics(chosen: InForce) -> list[str]:
    """Say what is told of models, which can be said in every language."""
    assert all(say(f"digest.{topic}", language, **values) for _, topic, values, _ in chosen.told for language in LANGUAGES)
    return [topic.removeprefix("models.") for _, topic, _, _ in chosen.told]


def same(one: Models, other: Models) -> bool:
    assert_frame_equal(one.effects.table, other.effects.table, check_exact=True)
    return one.about == other.about and one.forecast.learned == other.forecast.learned


def boasting(models: Models) -> Models:
    """Models that call all their effects sure: whatever is honest is worse."""
    sure = models.effects.table.assign(grade="A", lowered="", imbalance=0.0)
    return replace(models, effects=replace(models.effects, table=sure))


def of_day(models: Models, day: str, **changed: str) -> Models:
    return replace(models, about=replace(models.about, as_of=day, **changed))


# --- with MLflow ---


def test_the_first_night_trains_and_the_next_ones_apply_what_it_learned(home: Home, known: Known) -> None:
    first = choose(home, known)
    assert (first.model_id, topics(first)) == ("", ["trained_first"])
    assert same(first.models, known.models)
    again = choose(home, known)
    assert (again.model_id, again.told) == ("", first.told)
    later = choose(home, known, days=10)
    assert (later.model_id, topics(later)) == (known.models.about.name, ["used"])
    assert same(later.models, first.models)
    (version,) = registered(home).versions
    assert registered(home).champion == version
    assert version.decision == "promoted"
    assert not [path for path in (home.var / "models").iterdir() if path.name not in ("champion.json", first.models.about.name)]


def test_a_month_later_models_are_trained_again_and_the_new_ones_serve(home: Home, known: Known) -> None:
    enthrone(home, known.models)
    later = choose(home, known, days=28)
    assert (later.model_id, topics(later)) == ("", ["trained_old"])
    assert registered(home).champion == registered(home).versions[0]
    assert registered(home).versions[0].number == 2


def test_a_challenger_that_does_worse_is_kept_out_said_and_not_trained_again_the_next_night(home: Home, known: Known) -> None:
    champion = boasting(known.models)
    enthrone(home, champion)
    refused = choose(home, known, days=28)
    assert refused.model_id == champion.about.name
    assert topics(refused) == ["trained_old", "kept"]
    assert same(refused.models, champion)
    assert "effects.unsure" in str(refused.told[1][2]["worse"])
    assert choose(home, known, days=28).told == refused.told
    assert topics(choose(home, known, days=29)) == ["used"]
    versions = registered(home).versions
    assert [version.number for version in versions] == [2, 1]
    assert registered(home).champion == versions[1]


def test_a_day_of_the_past_is_served_by_models_that_know_no_later_one_and_changes_no_champion(home: Home, known: Known) -> None:
    enthrone(home, of_day(known.models, "2026-06-01"))
    past = choose(home, known)
    assert (past.model_id, topics(past)) == ("", ["trained_later"])
    assert past.models.about == known.models.about
    assert choose(home, known).told == past.told
    held = registered(home)
    assert [version.number for version in held.versions] == [2, 1]
    assert held.champion == held.versions[1]
    assert topics(choose(home, known, days=70)) == ["used"]


def test_what_was_registered_when_a_night_died_is_judged_by_the_next_one_and_not_trained_again(
    home: Home, known: Known
) -> None:
    enthrone(home, known.models, decided=False)
    chosen = choose(home, known)
    assert (chosen.model_id, topics(chosen)) == ("", ["trained_first"])
    (version,) = registered(home).versions
    assert version.decision == "promoted"
    assert registered(home).champion == version


# --- models that are not what they were ---


class Trap:
    """Writes a file when it comes to life."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.write_text, (self.path, "sprung")


def spring(folder: Path, sprung: Path) -> None:
    """Put a trap in the place of a bundle, with a manifest that vouches for it."""
    kind = json.loads((folder / MANIFEST).read_text("utf-8"))["kind"]
    write_bundle(folder, Trap(sprung), {})
    manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    (folder / MANIFEST).write_text(json.dumps(manifest | {"kind": kind}), "utf-8")


def test_a_copy_that_was_changed_is_taken_from_mlflow_again_and_nothing_of_it_runs(home: Home, known: Known) -> None:
    enthrone(home, known.models)
    copy = home.var / "models" / known.models.about.name
    spring(copy, home.root / "sprung")
    assert topics(choose(home, known, days=1)) == ["used"]
    assert not (home.root / "sprung").exists()
    assert same(read_bundle(copy, Models), known.models)
    assert len(registered(home).versions) == 1


def tamper(home: Home, artifacts: Path) -> None:
    spring(artifacts, home.root / "sprung")


def lose(home: Home, artifacts: Path) -> None:
    shutil.rmtree(artifacts)


@pytest.mark.parametrize("harm", [tamper, lose])
def test_a_champion_that_cannot_be_had_any_more_is_trained_anew(
    harm: Callable[[Home, Path], None], home: Home, known: Known
) -> None:
    version = enthrone(home, known.models)
    harm(home, home.var / "mlruns" / version.run / "artifacts" / "bundle")
    shutil.rmtree(home.var / "models")
    chosen = choose(home, known, days=1)
    assert (chosen.model_id, topics(chosen)) == ("", ["trained_unreadable"])
    assert not (home.root / "sprung").exists()
    assert registered(home).champion == registered(home).versions[0] != version


def test_a_champion_whose_making_is_not_told_is_none(home: Home, known: Known) -> None:
    folder = home.var / "models" / "other"
    write_bundle(folder, known.models, {"as_of": "../../.."})
    version = register(Store.of(home.var), Made("by hand", NOW, {}, {}), folder)
    settle(Store.of(home.var), version, Verdict(promoted=True, decision="promoted", scores=NO_SCORES), NOW)
    assert topics(choose(home, known)) == ["trained_first"]


# --- without MLflow ---


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@pytest.mark.usefixtures("impatient")
def test_without_mlflow_the_champion_on_disk_serves_however_old_and_it_is_said(
    home: Home, known: Known, caplog: pytest.LogCaptureFixture
) -> None:
    enthrone(home, known.models)
    choose(home, known, days=1)
    with caplog.at_level(logging.WARNING):
        alone = choose(home, known, days=60, tracking=NOBODY)
    assert (alone.model_id, topics(alone), alone.reached) == (known.models.about.name, ["used"], False)
    assert same(alone.models, known.models)
    assert any("cannot be used" in record.getMessage() for record in caplog.records)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("harm", ["nothing there", "of the future", "changed"])
def test_without_mlflow_and_without_a_champion_that_may_serve_models_are_trained_for_the_run(
    harm: str, home: Home, known: Known
) -> None:
    if harm != "nothing there":
        day = "2026-06-01" if harm == "of the future" else known.models.about.as_of
        models = of_day(known.models, day)
        enthrone(home, models)
        choose(home, known, days=70 if harm == "of the future" else 1)
        if harm == "changed":
            spring(home.var / "models" / models.about.name, home.root / "sprung")
    alone = choose(home, known, tracking=NOBODY)
    assert (alone.model_id, alone.reached) == ("", False)
    assert same(alone.models, known.models)
    assert not (home.root / "sprung").exists()


def test_a_database_of_mlflow_that_broke_does_not_fail_the_night(home: Home, known: Known) -> None:
    (home.var / "mlflow.db").write_bytes(b"this is no database" * 1000)
    assert not choose(home, known).reached


def test_models_name_themselves_by_what_they_were_made_of_and_not_by_where(home: Home, known: Known) -> None:
    enthrone(home, known.models)
    about = About.read(read_manifest(home.var / "models" / known.models.about.name).about)
    assert about == known.models.about
    assert pickle.loads(pickle.dumps(about)).name == about.name == choose(home, known, days=3).model_id
