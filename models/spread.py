"""Work that is done part by part, wherever it runs: here in turn, in threads, in processes, or on a cluster.

A model says what is to be done on each part (an errand); what runs it is given to it. What many errands need is held where they
run, so that it travels once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, Protocol, TypeVar

import pandas as pd

Made = TypeVar("Made")
Value = TypeVar("Value")


class Errand(NamedTuple):
    """What one task is given, and the territories whose people it serves: those that nothing is told of, if it fails."""

    territories: tuple[str, ...]
    given: tuple[Any, ...]


class Spread(Protocol):
    """What runs a task on every errand, and gives what it made of them in their order."""

    def __call__(self, task: Callable[..., Made], errands: Iterable[Errand], /) -> Iterator[Made]:
        """Run the task on what each errand gives; results may be passed on one by one."""

    def hold(self, value: Value, /) -> Value:
        """Keep a value where tasks run. What comes back stands for it in what errands give, as one of its elements."""


class InTurn:
    """Errands run here, one after the other."""

    def __call__(self, task: Callable[..., Made], errands: Iterable[Errand], /) -> Iterator[Made]:
        """Run the task on what each errand gives."""
        return (task(*errand.given) for errand in errands)

    def hold(self, value: Value, /) -> Value:
        """Give the value: it is here."""
        return value


in_turn = InTurn()


def territories_of(people: pd.DataFrame) -> tuple[str, ...]:
    """Name the territories where people live, in their order; those of nobody knows where come under an empty name."""
    return tuple(sorted(people["territory"].fillna("").unique()))
