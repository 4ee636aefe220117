"""Where tasks run: in threads here, in processes here, or on a cluster. Results are the same bytes everywhere.

This is the only place that knows of distribution: ``with engine(...)`` around a run, and joblib takes its tasks there.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal, TypeVar, cast, get_args

import joblib
from joblib.parallel import get_active_backend

from features.errors import InputError
from needs.run.code import code_version

if TYPE_CHECKING:
    from distributed import Client

EngineName = Literal["local", "processes", "dask"]
_COMPUTING = ("numpy", "pandas", "pyarrow", "numba", "scikit-learn")
_LARGE = "1TB"
_SECONDS_TO_ANSWER = 20
Value = TypeVar("Value")


@contextmanager
def engine(name: EngineName, scheduler: str, workers: int) -> Iterator[None]:
    """Run what is inside on an engine: so many threads, so many processes, or the workers of a scheduler (``tcp://host:8786``).

    Refused in words where the engine is not there, or where its workers would not compute as this machine does.
    """
    if name == "local":
        yield
    elif name == "processes":
        with joblib.parallel_config(backend="loky", n_jobs=workers, inner_max_num_threads=1):
            yield
    elif name == "dask":
        with _cluster(scheduler) as client, joblib.parallel_config(backend="dask", client=client):
            yield
    else:
        raise InputError(f"execution.engine '{name}' is none. Write one of {', '.join(get_args(EngineName))}.")


def hold(value: Value) -> Value:
    """Keep a value where tasks run: here it stays as it is, a cluster gives it to each worker that needs it, once.

    There it is a task of its own: when the worker that has it dies, another is given it again.
    """
    client: Client | None = getattr(get_active_backend()[0], "client", None)
    return value if client is None else cast("Value", client.submit(partial(_same, value), pure=False))


def _same(value: Value) -> Value:
    return value


# Clusters ---------------------------------------------------------------------------------------------------------------


@contextmanager
def _cluster(scheduler: str) -> Iterator[Client]:
    """Meet a scheduler whose workers are as we are."""
    try:
        import dask
        from distributed import Client
    except ImportError as error:
        raise InputError(
            "The engine 'dask' needs packages that are not installed: pip install 'skills-needs[dask]'. "
            "Or leave execution.engine to 'local'."
        ) from error
    if not scheduler.startswith(("tcp://", "tls://")):
        raise InputError(
            f"execution.scheduler '{scheduler}' is no address of a scheduler. Write it like tcp://10.0.0.5:8786, "
            "as 'dask scheduler' prints it when it starts."
        )
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": _LARGE}):
        try:
            client = Client(scheduler, timeout=_SECONDS_TO_ANSWER, set_as_default=False)  # type: ignore[no-untyped-call]
        except (OSError, TimeoutError) as error:
            raise InputError(
                f"No scheduler answers at {scheduler}. Check that 'dask scheduler' runs there, that the address and the port "
                "are those it printed, and that no firewall stands between; or leave execution.engine to 'local'."
            ) from error
        with client:
            _refuse_others(client, scheduler)
            yield client


def _refuse_others(client: Client, scheduler: str) -> None:
    """Refuse a cluster without workers, or whose workers hold other code or compute with other packages than ours."""
    theirs: dict[str, object] = client.run(_installed, on_error="return")
    if not theirs:
        raise InputError(f"The scheduler {scheduler} has no worker. Start some: dask worker {scheduler} --nthreads 1")
    ours = _installed()
    faults = [f"worker {address}: {fault}" for address, told in theirs.items() for fault in _differences(told, ours)]
    if faults:
        raise InputError(*faults, "Install the same version of skills-needs, from the same lock file, on every worker.")


def _installed() -> dict[str, str]:
    """Say what computes here, by name: versions that a result may depend on."""
    packages = {name: version(name) for name in _COMPUTING}
    return {"python": ".".join(platform.python_version_tuple()[:2]), "skills-needs": code_version(), **packages}


def _differences(theirs: object, ours: dict[str, str]) -> list[str]:
    """Say in what a worker differs from us."""
    if not isinstance(theirs, dict):
        return [f"it cannot say what it has installed ({type(theirs).__name__}); is skills-needs installed there?"]
    return [f"{name} {theirs.get(name)} there, {own} here" for name, own in ours.items() if theirs.get(name) != own]
