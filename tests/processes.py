"""Processes of their own, quick to start: each is forked from one that has imported the engine and done nothing else."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from multiprocessing.context import ForkServerProcess as Begun
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # whose threads nothing may be forked from
_NIGHT = ("needs.run.nightly", "mlflow.store.tracking.sqlalchemy_store", "needs.show.plots")
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["__main__", "needs.show.terminal", "needs.store.lake", "features.sources", *_NIGHT])


class Ended(NamedTuple):
    """How a process ended, and what it wrote."""

    code: int | None
    out: str
    err: str


def start(deed: Callable[..., object], *arguments: object) -> Begun:
    """Start a process that does one deed, a function of a module; whoever starts it waits for it."""
    process = _SERVER.Process(target=deed, args=arguments)
    process.start()
    return process


def run(deed: Callable[..., object], *arguments: object, env: Mapping[str, str] | None = None) -> Ended:
    """Do one deed in a process of its own, with more variables of its environment, and say how it ended."""
    with tempfile.TemporaryDirectory(prefix="needs-") as folder:
        return ended(begin(Path(folder), deed, *arguments, env=env), Path(folder))


def begin(folder: Path, deed: Callable[..., object], *arguments: object, env: Mapping[str, str] | None = None) -> Begun:
    """Begin one deed in a process of its own, which writes into a folder; whoever begins it calls :func:`ended`."""
    return start(_written, folder / "out", folder / "err", {**os.environ, **(env or {})}, deed, *arguments)


def ended(process: Begun, folder: Path) -> Ended:
    """Wait for what has begun, and say how it ended."""
    process.join()
    return Ended(process.exitcode, *((folder / name).read_text(encoding="utf-8") for name in ("out", "err")))


def _written(out: Path, err: Path, env: Mapping[str, str], deed: Callable[..., object], *arguments: object) -> None:
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever started the tests may have ignored it, like nohup
    signal.signal(signal.SIGINT, signal.default_int_handler)  # and this one, like a shell that starts them beside itself
    os.environ.clear()
    os.environ.update(env)
    deed(*arguments)


def command(*words: str) -> None:
    """Run the command line as the console script does."""
    from needs.cli import main

    sys.argv = ["needs", *words]
    main()


def replace_offers(lake: Path, begun: Path) -> None:
    """Replace the vacancies of a lake by half of them and back, for ever; a file says that it has begun."""
    from features.tables import OFFERS
    from needs.store.lake import read_table, write_table

    rows = read_table(lake, OFFERS)
    begun.touch()
    while True:
        write_table(lake, OFFERS, rows.iloc[::2])
        write_table(lake, OFFERS, rows)


def read_within(megabytes: int, name: str, path: Path) -> None:
    """Read a file of one source, held to so much more memory than this process has now, and print what came of it."""
    from features.sources import SOURCES
    from features.vocabulary import InputError

    now = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + megabytes * 2**20, resource.RLIM_INFINITY))
    try:
        checked = SOURCES[name].read([path])
        sys.stdout.write(f"{len(checked.kept)} kept, {set(checked.rejected['reason'])}")
    except InputError as error:
        sys.stdout.write(str(error))
