"""The counter where advice is given: what the last run left and published, read once and laid out by code."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd
from sqlalchemy import Engine

from features import facts
from models.market import Market
from needs.params import AdviceParams
from needs.run.desk import Desk


@dataclass(frozen=True)
class Counter:
    """Where advice is given: the desk of a run, its published tables, and what pages say of themselves."""

    desk: Desk
    engine: Engine
    run_id: str
    horizon_months: int
    advice: AdviceParams

    @property
    def market(self) -> Market:
        """The courses on offer."""
        return self.desk.market

    @cached_property
    def skills(self) -> dict[str, tuple[str, ...]]:
        """The skills that each occupation asks."""
        return {str(code): tuple(own) for code, own in self.desk.known.skills.groupby("occupation")["skill"]}

    @cached_property
    def moves(self) -> dict[str, list[tuple[str, str]]]:
        """Where each occupation leads, and how sure that is: target, kind."""
        return grouped(self.desk.known.moves, "occupation", ["target", "kind"])

    @cached_property
    def sectors(self) -> dict[str, list[tuple[str, str, float]]]:
        """What trains for each occupation: sector, level, weight."""
        return grouped(facts.occupation_sectors(), "occupation", ["sector", "level", "weight"])

    @cached_property
    def positions(self) -> dict[str, int]:
        """Where each session stands among those listed."""
        return {str(session): place for place, session in enumerate(self.market.listed["session"])}

    def course(self, place: int) -> dict[Hashable, Any]:
        """Give what is listed of one session."""
        return self.market.listed.iloc[place].to_dict()

    @cached_property
    def titles(self) -> dict[str, str]:
        """The title of each session."""
        return dict(zip(self.market.listed["session"], self.market.listed["title"].fillna(""), strict=True))

    @cached_property
    def rooms(self) -> dict[str, float]:
        """How many people each session can still bear."""
        return dict(zip(self.desk.seats["session"], self.desk.seats["room"], strict=True))

    @cached_property
    def asking(self) -> dict[str, tuple[str, ...]]:
        """What each session asks before, where that is told."""
        rows = self.desk.known.asking
        return {str(code): tuple(own) for code, own in rows.groupby("session")["asked"]} if "asked" in rows else {}


def grouped(frame: pd.DataFrame, by: str, names: list[str]) -> dict[str, list[tuple[Any, ...]]]:
    """Gather rows by a code."""
    gathered: dict[str, list[tuple[Any, ...]]] = {}
    for code, *cells in frame[[by, *names]].itertuples(index=False, name=None):
        gathered.setdefault(code, []).append(tuple(cells))
    return gathered


def known(cell: Any) -> Any:  # noqa: ANN401 — a cell is whatever its column holds
    """Give a cell, or nothing where it is missing."""
    return None if pd.isna(cell) else cell


def whole(cell: float | None) -> int | None:
    """Give a whole number, or nothing where it is missing."""
    return None if pd.isna(cell) else int(cell)


def codes(text: str | float | None) -> tuple[str, ...]:
    """Part codes joined by ``|``."""
    return tuple(filter(None, str(text).split("|"))) if known(text) else ()
