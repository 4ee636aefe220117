"""Commands of a benchmark: what one costs in seconds and memory, and the environments that peers live in."""

from __future__ import annotations

import os
import subprocess
import threading
import venv
from pathlib import Path
from time import perf_counter, sleep
from typing import NamedTuple


class Cost(NamedTuple):
    """The seconds a command took, the peak memory of its processes together, and what it printed."""

    seconds: float
    gigabytes: float
    printed: str


def made(home: Path, wanted: list[str]) -> bool:
    """Make the environment of some peers, once. Whether it is there."""
    python = home / "bin" / "python"
    try:
        if not python.exists():
            venv.create(home, with_pip=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted]
        subprocess.run(install, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def timed(command: list[str]) -> Cost:
    """Run a command to its end and say what it cost."""
    start = perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    peaks: list[int] = [0]
    watch = threading.Thread(target=_watch, args=(process, peaks))
    watch.start()
    printed, _ = process.communicate()
    watch.join()
    if process.returncode:
        raise SystemExit(f"{' '.join(command[-3:])} exited {process.returncode}")
    return Cost(perf_counter() - start, peaks[0] / 2**20, printed.decode())


def _watch(process: subprocess.Popen[bytes], peaks: list[int]) -> None:
    """Add up the proportional memory of the processes of a session, three times a second, and keep the most."""
    while process.poll() is None:
        peaks[0] = max(
            peaks[0], sum(_kilobytes(path) for path in Path("/proc").glob("[0-9]*") if _session(path) == process.pid)
        )
        sleep(0.3)


def _session(path: Path) -> int:
    try:
        return os.getsid(int(path.name))
    except OSError:
        return -1


def _kilobytes(path: Path) -> int:
    try:
        lines = (path / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
