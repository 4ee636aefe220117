"""One task per territory: the only place where work is spread over processes.

``joblib.parallel_config(backend="dask")`` around a run takes the same tasks to a cluster. Results come back in the order
of the territories, so that nothing depends on how many workers there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from needs.run.progress import counted

Part = TypeVar("Part")
Result = TypeVar("Result")


def split(frame: pd.DataFrame, at_least: int = 1) -> list[pd.DataFrame]:
    """Cut a frame by territory. Same rows, in the order of the territories; neighbours in it share a part of so many rows."""
    ordered = frame.sort_values("territory", kind="stable", ignore_index=True)
    ends = np.flatnonzero(ordered["territory"].to_numpy()[1:] != ordered["territory"].to_numpy()[:-1]) + 1
    parts, start = [], 0
    for end in (*ends.tolist(), len(ordered)):
        if end - start >= at_least or (end == len(ordered) > start):
            parts.append(ordered.iloc[start:end].reset_index(drop=True))
            start = end
    return parts


def for_each_territory(
    task: Callable[[pd.DataFrame], Result], frame: pd.DataFrame, *, workers: int, label: str, at_least: int = 1
) -> list[Result]:
    """Run a module-level task on the rows of each territory, in parallel; results in the order of the territories.

    Where territories are small, so many rows ``at_least`` make a task, of whole territories: the task must give each of
    them what it would alone.
    """
    parts = split(frame, at_least)
    results = Parallel(n_jobs=workers, return_as="generator")(delayed(task)(rows) for rows in parts)
    return list(counted(results, label, unit="task", total=len(parts)))


def for_each_part(task: Callable[[Part], Result], parts: Iterable[Part], *, workers: int, label: str) -> Iterator[Result]:
    """Run a task of compiled code on each part; results in the order of the parts. Threads serve it, unless a cluster does.

    Parts are taken as workers come free, and results are passed on as they come: neither is ever there all at once.
    """
    results = Parallel(n_jobs=workers, prefer="threads", return_as="generator")(delayed(task)(part) for part in parts)
    return counted(results, label, unit="task", total=None)
