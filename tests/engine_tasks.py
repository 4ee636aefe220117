"""Tasks that fail, die or ask for too much: functions of a module, so that another process finds them."""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from models.matching import find_some
from models.spread import Errand
from needs.run.batch import Crew, ErrandsFailed


def square(number: int) -> int:
    return number * number


def square_of_held(number: int, held: np.ndarray) -> int:
    return int(held[number])


def fail(number: int, bad: frozenset[int]) -> int:
    if number in bad:
        raise ValueError(f"of {number}")
    return square(number)


def die_once(number: int, guard: Path) -> int:
    """Kill the own process at number 3, the first time."""
    if number == 3 and not guard.exists():
        guard.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return square(number)


def die(number: int) -> int:
    """Kill the own process at number 3, every time."""
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return square(number)


def short_once(number: int, guard: Path) -> int:
    """Find no memory at number 3, the first time."""
    if number == 3 and not guard.exists():
        guard.touch()
        raise MemoryError
    return square(number)


class Killer(Crew):
    """Workers of whom one dies in the middle: when it is to find courses for the fourth part."""

    def __call__(self, task: Callable[..., object], errands: Iterable[Errand], /) -> Iterator[object]:
        guard = Path(self.label)
        numbered = [Errand(one.territories, (number, guard, task, *one.given)) for number, one in enumerate(errands)]
        return super().__call__(_dying, numbered)


def _dying(number: int, guard: Path, task: Callable[..., object], *given: object) -> object:
    if task is find_some:
        die_once(number, guard)
    return task(*given)


def errands(*given: object, count: int = 8) -> list[Errand]:
    return [Errand((f"BE{number:04d}",), (number, *given)) for number in range(count)]


def ask_within(megabytes: int, workers: int) -> None:
    """Square numbers in threads of a process that may take so much more memory; the last asks for more. Prints what came."""
    now = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + megabytes * 2**20, resource.RLIM_INFINITY))
    made = []
    try:
        made.extend(Crew(workers, "memory")(_take, errands(megabytes)))
    except ErrandsFailed as stopped:
        sys.stdout.write(f"{made} {[(names, why.error) for names, why in stopped.failures.items()]}")


def _take(number: int, megabytes: int) -> int:
    if number == 7:
        np.ones(megabytes * 2**20, dtype=np.uint8)
    return square(number)
