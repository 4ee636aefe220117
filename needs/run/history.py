"""What was observed of needs before a run, kept beside it for its page: published tables speak of the months to come."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from features.build import Features
from features.crosswalks import sector_links
from models.gap import to_sectors
from needs.show.report_pages import HISTORY_MONTHS

_EMPTY = {"territory": "str", "sector": "str", "period": "str", "need": "float64"}


def history_of(features: Features) -> pd.DataFrame:
    """Carry the needs of past months to sectors. One row per territory, sector and month: need."""
    months = sorted(features.panel["period"].unique())[-HISTORY_MONTHS:]
    past = features.panel[features.panel["period"].isin(months)]
    needs = past.groupby(["territory", "occupation", "period"], as_index=False)[["need"]].sum()
    by_level = to_sectors(needs, sector_links(features.crosswalks), ["need"])
    return by_level.groupby(["territory", "sector", "period"], as_index=False)[["need"]].sum()


def leave_history(folder: Path, run_id: str, features: Features, kept: Collection[str]) -> None:
    """Lay the history of a run down where it is not yet, and clear those of runs that are no longer ``kept``."""
    path = folder / f"{run_id}.parquet"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        history_of(features).to_parquet(folder / f".{path.name}", index=False)
        (folder / f".{path.name}").replace(path)
    for other in folder.glob("*.parquet"):
        if other.stem not in {run_id, *kept}:
            other.unlink()


def read_history(folder: Path, run_id: str) -> pd.DataFrame:
    """Read the history of a run; without a row where none was left. One row per territory, sector and month: need."""
    path = folder / f"{run_id}.parquet"
    rows = pd.read_parquet(path) if path.exists() else pd.DataFrame(columns=list(_EMPTY))
    return rows.astype(_EMPTY)
