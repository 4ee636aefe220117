"""Where tasks run: in threads here, in processes here, or on a cluster. Results are the same bytes everywhere.

This is the only place that knows of distribution: ``with engine(...)`` around a run, and joblib takes its tasks there.
"""

from __future__ import annotations

import asyncio
import platform
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal, TypeVar, cast, get_args
from urllib.parse import urlsplit

import joblib
from joblib.parallel import ParallelBackendBase, get_active_backend

from features.errors import InputError
from needs.run.code import code_version

if TYPE_CHECKING:
    from distributed import Client

EngineName = Literal["local", "processes", "dask"]
_COMPUTING = ("numpy", "pandas", "pyarrow", "numba", "scikit-learn")
_LARGE = "1TB"
_SECONDS_TO_ANSWER = 20
_BREATH_SECONDS = 0.01
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
        with _cluster(scheduler) as client, joblib.parallel_config(backend=_backend(client)):
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
    _refuse_silent(scheduler)
    with (
        dask.config.set({"distributed.admin.large-graph-warning-threshold": _LARGE}),
        Client(scheduler, timeout=_SECONDS_TO_ANSWER, set_as_default=False) as client,  # type: ignore[no-untyped-call]
    ):
        _refuse_others(client, scheduler)
        yield client


def _refuse_silent(scheduler: str) -> None:
    """Refuse an address that is none, or where nothing listens."""
    address = urlsplit(scheduler)
    if address.scheme not in ("tcp", "tls") or not address.hostname or not address.port:
        raise InputError(
            f"execution.scheduler '{scheduler}' is no address of a scheduler. Write it like tcp://10.0.0.5:8786, "
            "as 'dask scheduler' prints it when it starts."
        )
    try:
        socket.create_connection((address.hostname, address.port), timeout=_SECONDS_TO_ANSWER).close()
    except OSError as error:
        raise InputError(
            f"No scheduler answers at {scheduler}. Check that 'dask scheduler' runs there, that the address and the port "
            "are those it printed, and that no firewall stands between; or leave execution.engine to 'local'."
        ) from error


def _backend(client: Client) -> ParallelBackendBase:
    """Give joblib's way to a cluster, mended in two places.

    When one worker is left, tasks still go to it: joblib would run them here. A task that is lost for good is told to have
    failed: joblib would wait for it for ever.
    """
    from joblib._dask import DaskDistributedBackend

    class Cluster(DaskDistributedBackend):
        def effective_n_jobs(self, n_jobs: int) -> int:
            return max(2, int(super().effective_n_jobs(n_jobs)))

        async def _collect(self) -> None:
            while self._continue:
                async for future, result in self.waiting_futures:
                    answer = result[1] if future.status == "error" else result
                    self._results.pop(future).set_result(answer)
                    self._callbacks.pop(future)(answer)
                await asyncio.sleep(_BREATH_SECONDS)

    return Cluster(client=client)


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
