"""Tasks of territories: what is lost is tried again, and who cannot be served is told by name.

Results come back in the order of the errands, so that nothing depends on how many workers there are, nor on where they are
(:mod:`needs.run.engine`).
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import pandas as pd
from joblib import Parallel, delayed

from models.spread import Errand
from needs.run import engine
from needs.run.logs import is_ours
from needs.run.progress import counted

Made = TypeVar("Made")
Value = TypeVar("Value")
_HERE = Path(__file__)


def split(frame: pd.DataFrame, at_least: int = 1, alone: Collection[str] = ()) -> list[pd.DataFrame]:
    """Cut a frame by territory. Same rows, in the order of the territories; neighbours in it share a part of so many rows.

    Territories that are to be ``alone`` share no part.
    """
    ordered = frame.sort_values("territory", kind="stable")
    sizes = frame.groupby("territory", dropna=False, sort=True).size()
    parts, start, end = [], 0, 0
    for territory, size in zip(sizes.index.fillna(""), sizes, strict=True):
        if end > start and territory in alone:
            parts.append(ordered.iloc[start:end])
            start = end
        end += size
        if end - start >= at_least or end == len(ordered) or territory in alone:
            parts.append(ordered.iloc[start:end])
            start = end
    return [part.reset_index(drop=True) for part in parts]


class Failure(NamedTuple):
    """Why a task failed: the kind of error and where it was raised. Never its message, which may tell of a person."""

    error: str
    where: str
    trace: str = ""
    again: bool = False
    lost: bool = False


class ErrandsFailed(Exception):  # noqa: N818  # it says what happened
    """Some errands failed, when all had been tried: by the territories of each, why."""

    def __init__(self, failures: Mapping[tuple[str, ...], Failure]) -> None:
        super().__init__("; ".join(f"{', '.join(names)}: {why.error} in {why.where}" for names, why in failures.items()))
        self.failures = failures


@dataclass(frozen=True)
class Crew:
    """So many workers, wherever the engine has them: runs a task on every errand (:class:`models.spread.Spread`).

    What is lost with a worker is tried again with the others; what is lost again, or asked for more memory than there was, is
    tried once more when nothing else runs.
    """

    workers: int
    label: str

    def __call__(self, task: Callable[..., Made], errands: Iterable[Errand], /) -> Iterator[Made]:
        """Run a task on each errand; results in the order of the errands. Raises :class:`ErrandsFailed` at the end."""
        asked, rest = list(errands), list[Made | Failure]()
        for made in counted(self._try(task, asked), self.label, unit="task", total=len(asked)):
            if rest or isinstance(made, Failure):
                rest.append(made)
            else:
                yield made
        held = asked[len(asked) - len(rest) :]
        failures = {}
        for errand, made in zip(held, self._again(task, held, rest), strict=True):
            if isinstance(made, Failure):
                failures[errand.territories] = made
            elif not failures:
                yield made
        if failures:
            raise ErrandsFailed(failures)

    def hold(self, value: Value, /) -> Value:
        """Keep a value where tasks run."""
        return engine.hold(value)

    def _again(
        self, task: Callable[..., Made], asked: Sequence[Errand], tried: Sequence[Made | Failure]
    ) -> list[Made | Failure]:
        """Try again what a worker took with it; then, one by one, what is lost still or found no memory."""
        last = list(tried)
        lost = [at for at, made in enumerate(last) if isinstance(made, Failure) and made.lost]
        for at, made in zip(lost, self._try(task, [asked[at] for at in lost]), strict=True):
            last[at] = made
        for at, made in enumerate(last):
            if isinstance(made, Failure) and made.again:
                last[at] = next(self._try(task, [asked[at]]))
        return last

    def _try(self, task: Callable[..., Made], asked: Sequence[Errand]) -> Iterator[Made | Failure]:
        """Run a task on each errand. Gives what it made, or why it failed; what it is given is pickled whole, not in pieces."""
        parallel = Parallel(n_jobs=self.workers, prefer="threads", return_as="generator", batch_size=1, pre_dispatch="all")
        done = 0
        try:
            for made in parallel(delayed(_attempt)(task, errand.given) for errand in asked):
                yield made
                done += 1
        except Exception as error:
            yield from [Failure(type(error).__name__, "its worker", again=True, lost=True)] * (len(asked) - done)


def _attempt(task: Callable[..., Made], given: tuple[object, ...]) -> Made | Failure:
    """Run a task, whatever it raises."""
    try:
        return task(*given)
    except Exception as error:
        trace = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in trace if is_ours(Path(frame.filename)) and Path(frame.filename) != _HERE]
        frames = ours or list(trace)
        where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno} ({frames[-1].name})"
        return Failure(type(error).__name__, where, "".join(trace.format()), again=isinstance(error, MemoryError))
