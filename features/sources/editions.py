"""What the published tables of observers have in common: editions that may bear their day, and cells that give no figure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from features.sources.files import each
from features.sources.grid import Layout, read_grid
from features.sources.publication import day_in_name

_SECRET = frozenset({"*", "s", "ss", "c", "nd", "n.d.", "n.d", "secret"})
_ABSENT = frozenset({"-", ".", "na", "n/a", "n.a.", "nan", "null", "none", "ns"})


def read_editions(paths: Sequence[Path], layout: Layout) -> pd.DataFrame:
    """Read editions of one table as texts, a column that an edition lacks being empty in it.

    One row per row under their headers, with ``file``, ``line``, ``reason`` and ``named_day``, the day in the file's name.
    """
    parts = each(paths, partial(_read_edition, layout=layout))
    none = pd.DataFrame(columns=[*layout.columns, "file", "line", "reason", "named_day"], dtype="str")
    return pd.concat([none, *parts], ignore_index=True).fillna(dict.fromkeys(layout.columns, ""))


def _read_edition(path: Path, layout: Layout) -> pd.DataFrame:
    return read_grid(path, layout).assign(named_day=day_in_name(path))


def known_after(rows: pd.DataFrame, day: pd.Series[str], months: int) -> pd.Series[str]:
    """Give the day on which each row was known: the one in its file's name, else so many months after a day. Same rows."""
    plausible = day.where(day.str.fullmatch(r"(?:19|20)\d{2}-\d{2}-\d{2}"))
    later = pd.to_datetime(plausible, format="%Y-%m-%d", errors="coerce") + pd.DateOffset(months=months)
    return later.dt.strftime("%Y-%m-%d").astype("str").fillna("").mask(rows["named_day"] != "", rows["named_day"])


def is_secret(cells: pd.Series[str]) -> pd.Series[bool]:
    """Mark the cells that say a figure is kept secret. Same rows."""
    return cells.str.strip().str.lower().isin(_SECRET)


def figures(cells: pd.Series[str]) -> pd.Series[str]:
    """Keep the figures and blank what says that there is none to give: it is never zero. Same rows."""
    return cells.mask(cells.str.strip().str.lower().isin(_SECRET | _ABSENT), "")
