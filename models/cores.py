"""The cores of this machine: the same task for many things at once, with results that do not depend on how many there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from joblib import cpu_count

Thing = TypeVar("Thing")
Made = TypeVar("Made")


def at_once(task: Callable[[Thing], Made], things: Iterable[Thing]) -> list[Made]:
    """Do a task for each thing, a thread per core. Results in the order of the things.

    For tasks that spend their time in numpy, which leaves the interpreter to others; what they share they do not change.
    """
    with ThreadPoolExecutor(cpu_count()) as pool:
        return list(pool.map(task, things))
