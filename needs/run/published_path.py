"""What the current run publishes of one territory and sector, taken apart again: its parts add up to what is published."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sqlalchemy import Engine, select

from features.vocabulary import REGION
from models.gap import yearly_gap
from needs.run.cell import Cell, Figure
from needs.store.database import reading
from needs.store.schema import CURRENT_RUN, TABLES, conform


def trace_published(cell: Cell, engine: Engine, run_id: str) -> list[Figure]:
    """Give the need and the gap that the current run publishes: needs of sectors are told of bassins, and so of the Region."""
    needs = _read(engine, "sector_needs", sector=cell.sector, **({"level": cell.level} if cell.level else {}))
    if cell.territory != REGION:
        needs = needs[needs["territory"] == cell.territory]
    if needs.empty:
        return []
    months = sorted(needs["period"].unique())
    said = {"run": run_id, "first": months[0], "last": months[-1]}
    sums = {name: float(needs[name].sum()) for name in ("need", "supply", "under_way")}
    years = yearly_gap(needs)
    below, above = years["gap"] - years["gap_low"], years["gap_high"] - years["gap"]
    gap = float(years["gap"].sum())
    return [
        Figure("published_need", sums["need"], said=said, parts=_parts(cell, engine, months, sums["need"])),
        Figure(
            "published_gap",
            gap,
            low=gap - float(np.sqrt((below**2).sum())),
            high=gap + float(np.sqrt((above**2).sum())),
            said={**said, **sums},
        ),
    ]


def _parts(cell: Cell, engine: Engine, months: list[str], need: float) -> pd.DataFrame:
    """Carry the forecasts that are published to the sector. One row per part; none when links have changed since."""
    told = _read(engine, "forecasts", territory=cell.territory)
    parts = cell.share(told[told["period"].isin(months)], "need")
    return parts if abs(float(parts["value"].sum()) - need) <= _ROUNDING * max(need, 1.0) else parts.iloc[:0]


_ROUNDING = 1e-6


def _read(engine: Engine, table: str, **where: str) -> pd.DataFrame:
    """Read some rows of one table of the current run. Rows as published."""
    columns = TABLES[table].c
    query = select(*(column for column in columns if column.name != "run_id"))
    query = query.join(CURRENT_RUN, CURRENT_RUN.c.run_id == columns.run_id)
    query = query.where(*(columns[name] == value for name, value in where.items()))
    with reading(engine) as connection:
        rows = connection.execute(query).mappings().all()
    names = [column.name for column in columns if column.name != "run_id"]
    return conform(table, pd.DataFrame([dict(row) for row in rows], columns=names, dtype=object))
