"""What a night would do, without doing it: each stage, whether it would be carried out, and why. Nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from needs.home import Home
from needs.params import Params
from needs.run.champion import foresee_models
from needs.run.ingest import door_of, list_changed, recall
from needs.run.inputs import Inputs
from needs.run.known import day_of, look_into
from needs.run.nightly import MADE, NIGHT, Asked
from needs.run.pipeline import line_of
from needs.run.shown import database_url
from needs.run.stages import Given, Line, Shelf
from needs.run.training import About
from needs.show.published import absent_file
from needs.store.publish import list_runs, open_database

_UNREAD = "what is read first decides"
_BEFORE = "what comes before it"


@dataclass(frozen=True)
class Foreseen:
    """A stage of the night to come: whether it would be carried out, and what for."""

    stage: str
    runs: bool
    why: Sequence[str] = ()


def foresee(home: Home, params: Params, asked: Asked, now: datetime) -> list[Foreseen]:
    """Say of every stage that is asked for whether it would be carried out."""
    reads = list_changed(home, params.ingest) if "ingest" in asked.stages else []
    told = {"ingest": Foreseen("ingest", bool(reads), reads)}
    if reads:
        told |= {name: Foreseen(name, True, (_UNREAD,)) for name in NIGHT[1:]}
    else:
        inputs = look_into(home, day_of(home, asked.as_of, now), params, door_of(home, recall(home)), None)
        told |= _foresee_made(home, inputs, asked)
    forced = {name: Foreseen(name, True, ("asked for",)) for name in asked.again}
    return [{**told, **forced}[name] for name in asked.stages]


def _foresee_made(home: Home, inputs: Inputs, asked: Asked) -> dict[str, Foreseen]:
    """Say it of all stages after reading, of what the lake holds."""
    why, champion = foresee_models(home, inputs)
    own = About.of(inputs).name
    models = own if why else champion
    line = line_of(replace(inputs, model="" if models == own else models), Given(None, models), Shelf(home.stages))
    told = {"training": Foreseen("training", bool(why), (why,) if why else ())}
    for name in MADE:
        changed = line.changed(name)
        told[name] = Foreseen(name, bool(changed), changed)
    there = _is_there(home, line)
    ends = () if there else (_BEFORE,)
    return told | {name: Foreseen(name, not there, ends) for name in ("gate", "publish", "report", "digest")}


def _is_there(home: Home, line: Line) -> bool:
    """Whether the run was published already."""
    url = database_url(home, line.inputs.params)
    return not absent_file(url) and line.inputs.run_id in set(list_runs(open_database(url))["run_id"])
