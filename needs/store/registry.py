"""What was tried and how it fared, and which models are in force, kept in MLflow: this is the only module that knows it.

By default runs lie in a SQLite database of the home and their files beside it; any MLflow server does. Nothing is sent
anywhere else, and a run holds neither a person, nor who ran it, nor where: only parameters, scores, fingerprints, and what was
learned of many people together. To look at it: ``mlflow ui --backend-store-uri URI``.

Models are versions of one registered model. A version counts once it has a ``sha256``: it is given with all that it is in one
move, after its bundle lies where the version says. What cannot be reached is one error in words (:class:`RegistryError`).
"""

from __future__ import annotations

import logging
import math
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from features.errors import InputError
from needs.store.bundles import BundleError, read_manifest

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric
    from mlflow.entities.model_registry import ModelVersion

BACKTEST, TRAINING = "backtest", "training"
MODEL, CHAMPION, CHALLENGER = "skills-needs", "champion", "challenger"
SHA256, DECISION = "sha256", "decision"
_BUNDLE = "bundle"
_BATCH, _PARAMS = 1000, 100  # values and parameters that MLflow takes in one call
_LONGEST = 500  # letters of a parameter, or of a fault, that are told
_CHATTY = ("alembic", "mlflow")
_KEYS = ("origin", "by", "group", "model")
_GROUPS = ("", "step", "volume_class")  # scores by sector or territory stay in the file: thousands of metrics find no reader
# A server that does not answer keeps nobody waiting, and nothing is drawn on the terminal: what is set outside stands.
_MANNERS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
}


class RegistryError(InputError):
    """MLflow cannot be reached, or what it keeps cannot be read."""


@dataclass(frozen=True)
class Store:
    """Where runs are kept: an MLflow tracking URI, and the folder of their files ("" leaves it to the server)."""

    uri: str
    files: str

    @classmethod
    def of(cls, folder: Path, uri: str = "") -> Store:
        """Give the store of a folder, or the one at a URI."""
        return cls(uri, "") if uri else cls(f"sqlite:///{folder / 'mlflow.db'}", (folder / "mlruns").as_uri())


@dataclass(frozen=True)
class Made:
    """A run of MLflow: its name, when it began, and what it was made of (``params``, ``tags``)."""

    name: str
    started: datetime
    params: Mapping[str, str]
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Version:
    """A registered model: its number, the hash of its bundle, what it was made of, and what was decided of it ("": not yet)."""

    number: int
    run: str
    sha256: str
    about: Mapping[str, str]
    decision: str


@dataclass(frozen=True)
class Registered:
    """What is registered: whole versions, the newest first, and the one in force."""

    versions: tuple[Version, ...] = ()
    champion: Version | None = None


# Trials -----------------------------------------------------------------------------------------------------------------


def record_backtest(store: Store, made: Made, scores: pd.DataFrame, files: Sequence[Path], finished: datetime) -> str:
    """Record a backtest as an MLflow run and give its id. The same backtest recorded twice is two runs.

    ``scores`` has one row per origin or "all", by, group, model, as ``Backtest.scores`` gives. A metric is named ``model/wape``
    over all origins, ``model/by origin/wape`` with the origin as step (202412), ``model/by step/wape`` with the months ahead as
    step, and ``model/by volume_class/5-20/wape``.
    """
    with _reached(store) as client:
        run, at = _begin(client, store, BACKTEST, made), _milliseconds(finished)
        _finish(client, run, at, list(_metrics(scores, at)), files)
    return run


def _begin(client: MlflowClient, store: Store, experiment: str, made: Made) -> str:
    """Begin a run with what it was made of, and give its id."""
    from mlflow.entities import Param, RunTag

    started = _milliseconds(made.started)
    run = str(client.create_run(_experiment(client, store, experiment), started, run_name=made.name).info.run_id)
    client.log_batch(run, tags=[RunTag(name, value) for name, value in sorted(made.tags.items())])
    params = [Param(name, value[:_LONGEST]) for name, value in sorted(made.params.items())]
    for first in range(0, len(params), _PARAMS):
        client.log_batch(run, params=params[first : first + _PARAMS])
    return run


def _finish(client: MlflowClient, run: str, at: int, values: Sequence[Metric], files: Sequence[Path]) -> None:
    """End a run with its figures and files."""
    for start in range(0, len(values), _BATCH):
        client.log_batch(run, metrics=values[start : start + _BATCH])
    for path in files:
        client.log_artifact(run, str(path))
    client.set_terminated(run, end_time=at)


# Models -----------------------------------------------------------------------------------------------------------------


def read_registry(store: Store) -> Registered:
    """Say which models are registered, and which is in force. One that was not registered to its end is not there."""
    with _reached(store) as client:
        found = client.search_model_versions(f"name='{MODEL}'")
        whole = {int(version.version): _version(version) for version in found if version.tags.get(SHA256)}
        champion = client.get_registered_model(MODEL).aliases.get(CHAMPION) if whole else None
    return Registered(
        tuple(whole[number] for number in sorted(whole, reverse=True)), whole.get(int(champion)) if champion else None
    )


def _version(found: ModelVersion) -> Version:
    tags = dict(found.tags)
    sha256, decision = tags.pop(SHA256), tags.pop(DECISION, "")
    return Version(int(found.version), str(found.run_id), sha256, tags, decision)


def register(store: Store, made: Made, bundle: Path) -> Version:
    """Record a training with its bundle, and register it as the challenger. Two at the same time are two versions."""
    manifest = read_manifest(bundle)
    with _reached(store) as client:
        run = _begin(client, store, TRAINING, made)
        client.log_artifacts(run, str(bundle), _BUNDLE)
        source = f"{client.get_run(run).info.artifact_uri}/{_BUNDLE}"
        _know(client)
        tags = {**manifest.about, SHA256: manifest.sha256}
        version = client.create_model_version(MODEL, source, run, tags=tags)
        client.set_registered_model_alias(MODEL, CHALLENGER, str(version.version))
    return _version(version)


@dataclass(frozen=True)
class Verdict:
    """What was decided of a version: in force or not, why in a few words, by which ``scores``, shown in which files.

    ``scores`` has one row per metric and step: champion, challenger.
    """

    promoted: bool
    decision: str
    scores: pd.DataFrame
    files: Sequence[Path] = ()


def settle(store: Store, version: Version, verdict: Verdict, finished: datetime) -> None:
    """Say what was decided of a version; one that is promoted is in force from here on.

    Its scores become metrics of the run of its training.
    """
    at = _milliseconds(finished)
    with _reached(store) as client:
        _finish(client, version.run, at, list(_compared(verdict.scores, at)), verdict.files)
        if verdict.promoted:
            client.set_registered_model_alias(MODEL, CHAMPION, str(version.number))
        client.set_model_version_tag(MODEL, str(version.number), DECISION, verdict.decision[:_LONGEST])


def fetch(store: Store, version: Version, folder: Path) -> None:
    """Bring the bundle of a version into a folder, in place of what was there. Nothing of it is trusted yet."""
    arriving = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(arriving, ignore_errors=True)
    arriving.mkdir(parents=True)
    with _reached(store) as client:
        if not client.list_artifacts(version.run, _BUNDLE):
            raise BundleError(
                f"MLflow at {_without_secrets(store.uri)}: version {version.number} of {MODEL} has no bundle any more."
            )
        client.download_artifacts(version.run, _BUNDLE, str(arriving))
    shutil.rmtree(folder, ignore_errors=True)
    (arriving / _BUNDLE).replace(folder)
    shutil.rmtree(arriving)


def _know(client: MlflowClient) -> None:
    """Make the registered model, unless somebody did."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(MODEL)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


# MLflow -----------------------------------------------------------------------------------------------------------------


@contextmanager
def _reached(store: Store) -> Iterator[MlflowClient]:
    """Open the store, without telling the makers of MLflow, and without its chatter; what fails there is said in words."""
    for name, value in _MANNERS.items():
        os.environ.setdefault(name, value)
    _hush()
    from alembic.util import CommandError
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    _hush()  # importing MLflow gave it its voice back
    try:
        yield MlflowClient(tracking_uri=store.uri, registry_uri=store.uri)
    except (MlflowException, SQLAlchemyError, CommandError, OSError) as error:
        told = _without_secrets(" ".join(str(error).split()))[:_LONGEST]
        raise RegistryError(
            f"MLflow at {_without_secrets(store.uri)} cannot be used: {told} See execution.tracking."
        ) from error


def _hush() -> None:
    """Let MLflow and what lays its tables speak of faults alone."""
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


def _without_secrets(text: str) -> str:
    """Leave names and passwords out of addresses.

    >>> _without_secrets("https://ann:secret@mlflow.example/")
    'https://mlflow.example/'
    """
    return re.sub(r"(?<=://)[^/@\s]*@", "", text)


def _experiment(client: MlflowClient, store: Store, name: str) -> str:
    """Give the id of an experiment, made at its first run."""
    known = client.get_experiment_by_name(name)
    return str(known.experiment_id if known else client.create_experiment(name, store.files or None))


def _compared(scores: pd.DataFrame, at: int) -> Iterator[Metric]:
    """Name each score of each model; those that are not known are not recorded."""
    from mlflow.entities import Metric

    for row in scores.to_dict("records"):
        for model in (CHAMPION, CHALLENGER):
            if not math.isnan(row[model]):
                step = "/by step" if row["step"] else ""
                yield Metric(_named(f"{model}{step}/{row['metric']}"), float(row[model]), at, int(row["step"]))


def _metrics(scores: pd.DataFrame, at: int) -> Iterator[Metric]:
    """Name each figure of the scores; those that are not known are not recorded."""
    from mlflow.entities import Metric

    figures = [name for name in scores.select_dtypes("number") if name not in _KEYS]
    for row in scores.to_dict("records"):
        place = _place(str(row["origin"]), str(row["by"]), str(row["group"]))
        if place is not None:
            path, step = place
            for name in figures:
                if not math.isnan(row[name]):
                    yield Metric(_named(f"{row['model']}{path}/{name}"), float(row[name]), at, step)


def _place(origin: str, by: str, group: str) -> tuple[str, int] | None:
    """Give the path of a row's metrics and their step; what stays in the file of scores has none."""
    if not by:
        return ("", 0) if origin == "all" else ("/by origin", int(origin.replace("-", "")))
    if origin != "all" or by not in _GROUPS:
        return None
    return (f"/by {by}", int(group)) if by == "step" else (f"/by {by}/{group}", 0)


def _named(text: str) -> str:
    """Spell a name as MLflow takes it.

    >>> _named("naive/by volume_class/100+/wape")
    'naive/by volume_class/100 and more/wape'
    """
    return re.sub(r"[^\w /.-]", "_", text.replace("+", " and more"))


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
