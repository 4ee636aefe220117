"""What a night would do, without doing it: each stage, whether it would be carried out, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from needs.home import Home
from needs.params import Params
from needs.run.ingest import list_changed
from needs.run.nightly import Asked


@dataclass(frozen=True)
class Foreseen:
    """A stage of the night to come: whether it would be carried out, and what for."""

    stage: str
    runs: bool
    why: Sequence[str] = ()


def foresee(home: Home, params: Params, asked: Asked, now: datetime) -> list[Foreseen]:
    """Say of every stage that is asked for whether it would be carried out. Nothing is written, in the lake or elsewhere."""
    told = {"ingest": list_changed(home, params.ingest) if "ingest" in asked.stages else []}
    return []
