"""How long a planner waits for ``needs --help``, as a multiple of importing the library that writes it."""

from __future__ import annotations

import subprocess
import sys
from statistics import median
from time import perf_counter

from figures import Figure

HELP = [sys.executable, "-c", "from needs.cli import app; app(['--help'])"]
TYPER = [sys.executable, "-c", "import typer"]
ROUNDS = 9
BOUND = 2.5


def measure() -> list[Figure]:
    """Time both in turns, so that whatever else the machine does weighs on both."""
    seconds(HELP), seconds(TYPER)  # the first run of each writes bytecode
    helped, imported = (
        median(column) for column in zip(*[(seconds(HELP), seconds(TYPER)) for _ in range(ROUNDS)], strict=True)
    )
    return [
        Figure("needs --help", helped, "s"),
        Figure("import typer", imported, "s"),
        Figure("needs --help ÷ import typer", helped / imported, "×", BOUND),
    ]


def seconds(command: list[str]) -> float:
    """Run a command to its end and say how long it took."""
    start = perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return perf_counter() - start
