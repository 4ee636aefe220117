"""What was tried and how it fared, kept in MLflow: this is the only module that knows it.

By default runs lie in a SQLite database of the home and their files beside it; any MLflow server does. Nothing is sent
anywhere else, and a run holds neither a person, nor who ran it, nor where: only parameters, scores and fingerprints.
MLflow is an extra: ``pip install 'skills-needs[registry]'``. To look at runs: ``mlflow ui --backend-store-uri URI``.
"""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

INSTALL = "pip install 'skills-needs[registry]'"
EXPERIMENT = "backtest"
_BATCH = 1000  # values that MLflow takes in one call
_CHATTY = ("alembic", "mlflow")
_KEYS = ("origin", "by", "group", "model")
_GROUPS = ("", "step", "volume_class")  # scores by sector or territory stay in the file: thousands of metrics find no reader


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
class Trial:
    """One backtest: its name, when it ran, what it was made of (``params``, ``tags``), how it fared, and its files.

    ``scores`` has one row per origin or "all", by, group, model, as ``Backtest.scores`` gives.
    """

    name: str
    started: datetime
    finished: datetime
    params: Mapping[str, str]
    tags: Mapping[str, str]
    scores: pd.DataFrame
    files: Sequence[Path]


def can_record() -> bool:
    """Say whether MLflow is installed, with what lays its tables."""
    return all(find_spec(name) is not None for name in ("mlflow", "alembic"))


def record_backtest(store: Store, trial: Trial) -> str:
    """Record a backtest as an MLflow run and give its id. The same backtest recorded twice is two runs.

    A metric is named ``model/wape`` over all origins, ``model/by origin/wape`` with the origin as step (202412),
    ``model/by step/wape`` with the months ahead as step, and ``model/by volume_class/5-20/wape``.
    """
    from mlflow.entities import Param, RunTag

    client = _open(store)
    at = _milliseconds(trial.finished)
    run = client.create_run(_experiment(client, store), start_time=_milliseconds(trial.started), run_name=trial.name)
    params = [Param(name, value) for name, value in sorted(trial.params.items())]
    client.log_batch(run.info.run_id, params=params, tags=[RunTag(name, value) for name, value in sorted(trial.tags.items())])
    values = list(_metrics(trial.scores, at))
    for start in range(0, len(values), _BATCH):
        client.log_batch(run.info.run_id, metrics=values[start : start + _BATCH])
    for path in trial.files:
        client.log_artifact(run.info.run_id, str(path))
    client.set_terminated(run.info.run_id, end_time=at)
    return str(run.info.run_id)


def _open(store: Store) -> MlflowClient:
    """Open the store, without telling the makers of MLflow, and without its chatter."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient

    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=store.uri, registry_uri=store.uri)


def _experiment(client: MlflowClient, store: Store) -> str:
    """Give the id of the experiment, made at the first run."""
    known = client.get_experiment_by_name(EXPERIMENT)
    return str(known.experiment_id if known else client.create_experiment(EXPERIMENT, store.files or None))


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
