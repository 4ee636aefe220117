"""One task per territory: the only place where work is spread over processes.

``joblib.parallel_config(backend="dask")`` around a run takes the same tasks to a cluster. Results come back in the order
of the territories, so that nothing depends on how many workers there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import pandas as pd
from joblib import Parallel, delayed

from needs.run.progress import counted

Result = TypeVar("Result")


def split(frame: pd.DataFrame) -> Mapping[str, pd.DataFrame]:
    """Cut a frame by territory. Same rows, in the order of the territories."""
    return {str(territory): rows.reset_index(drop=True) for territory, rows in frame.groupby("territory", sort=True)}


def for_each_territory(
    task: Callable[[pd.DataFrame], Result], frame: pd.DataFrame, *, workers: int, label: str
) -> list[Result]:
    """Run a module-level task on the rows of each territory, in parallel; results in the order of the territories."""
    parts = split(frame)
    results = Parallel(n_jobs=workers, return_as="generator")(delayed(task)(rows) for rows in parts.values())
    return list(counted(results, label, unit="territory", total=len(parts)))
