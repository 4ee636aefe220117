"""What published lists of codes have in common: a list bears a day or none, and some write an apostrophe twice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from features.sources.editions import read_editions
from features.sources.grid import Layout
from features.sources.publication import PublicationParams


def read_lists(paths: Sequence[Path], layout: Layout, publication: PublicationParams) -> pd.DataFrame:
    """Read editions of one list as texts, known from the day in their name, else from the one that is taken for it.

    One row per row under their headers, with ``file``, ``line``, ``reason`` and ``known_from``.
    """
    rows = read_editions(paths, layout)
    texts = {name: single_apostrophes(rows[name]) for name in layout.columns}
    return rows.assign(**texts, known_from=dated(rows["named_day"], publication))


def dated(days: pd.Series[str], publication: PublicationParams) -> pd.Series[str]:
    """Give the day from which lists without one are taken to be known. Same rows."""
    return days.mask(days == "", publication.reference_day.isoformat())


def single_apostrophes(texts: pd.Series[str]) -> pd.Series[str]:
    """Undo the producers' way of writing an apostrophe twice. Same rows."""
    return texts.str.replace("''", "'", regex=False)


def iso_days(days: pd.Series[str]) -> pd.Series[str]:
    """Spell 31/03/2025 as 2025-03-31; whatever else a cell holds stays. Same rows."""
    return days.str.replace(r"^(\d{2})/(\d{2})/(\d{4})$", r"\3-\2-\1", regex=True)
