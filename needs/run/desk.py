"""What a run leaves on the desk of an adviser: all that is needed to answer for one person, without running anything again.

Frames only, beside the lake and as pseudonymous as it is: the people served, and what the market of courses is made of. A
desk belongs to one run and lies in a folder of its name; those of the newest runs are kept.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.errors import InputError
from models.market import Knowledge, Market, open_market
from models.matching import MatchingParams

if TYPE_CHECKING:
    from needs.run.matching import Proposed

_KNOWN = Knowledge._fields
_FRAMES = (*_KNOWN, "seats", "run")


@dataclass(frozen=True)
class Desk:
    """What is at hand. ``seats`` has a row per session open to somebody: ``price`` and ``room``."""

    people: Path
    known: Knowledge
    seats: pd.DataFrame
    run_id: str
    as_of: pd.Timestamp
    params: MatchingParams

    @cached_property
    def market(self) -> Market:
        """The courses on offer, as the run saw them."""
        return open_market(self.known, self.as_of, self.params.entry, self.params.likelihood)

    @cached_property
    def prices(self) -> pd.Series[float]:
        """What a seat of each session costs, in jobs."""
        return self.seats.set_index("session")["price"]

    def person(self, pseudonym: str) -> pd.DataFrame:
        """Find a person among those of the run. One row, or none."""
        rows: pd.DataFrame = self._everybody.filter(pc.equal(self._everybody["person"], pseudonym)).to_pandas()
        return rows

    @property
    def served(self) -> int:
        """How many people there are to be found."""
        return int(self._everybody.num_rows)

    @cached_property
    def _everybody(self) -> pa.Table:
        """Everybody, as small as they are in the file."""
        return pq.read_table(self.people)


def leave(folder: Path, run_id: str, as_of: pd.Timestamp, proposed: Proposed) -> None:
    """Write the desk of a run; until it is whole there is none."""
    folder.mkdir(parents=True, exist_ok=True)
    run = pd.DataFrame({"run_id": [run_id], "as_of": [as_of]})
    frames = {**proposed.known._asdict(), "seats": proposed.seats, "people": proposed.people, "run": run}
    (folder / "run.parquet").unlink(missing_ok=True)
    for name, frame in frames.items():
        part = folder / f"{name}.parquet.part"
        frame.to_parquet(part, index=False)
        part.replace(folder / f"{name}.parquet")


def is_whole(folder: Path) -> bool:
    """Whether a run left its desk there, and left it whole."""
    return all((folder / f"{name}.parquet").exists() for name in (*_FRAMES, "people"))


def clear(folder: Path, kept: Iterable[str]) -> None:
    """Remove the desks of all runs but some."""
    names = set(kept)
    for desk in sorted(folder.iterdir()):
        if desk.name not in names:
            shutil.rmtree(desk)


def take(folder: Path, params: MatchingParams) -> Desk:
    """Read the desk that a run left, each in a folder of its own."""
    if not is_whole(folder):
        raise InputError(
            f"Run {folder.name} has left nothing to answer from: that of the last runs is kept (execution.keep_desks). "
            "Run 'needs nightly' with its day and its parameters to have it again, or 'needs rollback' to a later run."
        )
    frames = {name: pd.read_parquet(folder / f"{name}.parquet") for name in _FRAMES}
    run = frames["run"].iloc[0]
    known = Knowledge(*(frames[name] for name in _KNOWN))
    return Desk(folder / "people.parquet", known, frames["seats"], str(run["run_id"]), run["as_of"], params)
