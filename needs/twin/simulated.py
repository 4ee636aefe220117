"""A simulated region in one call, for notebooks: draw a world, turn its dials, read its tables and its truth.

    calm = simulate("calm")                                              # in a folder of its own, which goes with it
    calm.table("trainings")                                              # what files hold, read as the nightly job reads them
    calm.truth("effects")                                                # what is true, whatever files say
    hidden = simulate("creaming", dials={"training.hidden": 1.5})        # the same world but for one dial

One reads files as a Region would: wrong rows are left out. Persons bear the numbers that the truth gives them, so that both
join; the engine would turn them into pseudonyms.
"""

from __future__ import annotations

import json
import weakref
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from features.errors import InputError
from features.sources import SOURCES, files_of
from needs.home import Home
from needs.twin.region import Drawn, draw
from needs.twin.worlds import Dials, WorldParams, load_world

AS_OF = pd.Timestamp("2026-03-31")
Dial = float | bool | Sequence[str]


@dataclass(frozen=True)
class Simulated:
    """A region that was drawn: its home, the files in it, and the world with the dials it was drawn with."""

    home: Home
    drawn: Drawn
    world: WorldParams

    def truth(self, name: str) -> pd.DataFrame:
        """Read one table of truth. What a row is, ``docs/worlds.md`` says of each."""
        paths = {written.source: written.path for written in self.drawn.truth}
        if name not in paths:
            raise InputError(
                f"truth: there is no table '{name[:40]}' in {self.world.title}. There are {', '.join(sorted(paths))}."
            )
        return pd.read_parquet(paths[name])

    def table(self, source: str) -> pd.DataFrame:
        """Read the sound rows of one source with the reader of the engine. One row as its contract says; none without files."""
        if source not in SOURCES:
            raise InputError(f"table: there is no source '{source[:40]}'. There are {', '.join(SOURCES)}.")
        paths = files_of(self.home.raw / SOURCES[source].folder, SOURCES[source])
        return SOURCES[source].read(paths).kept if paths else SOURCES[source].contract.empty()


def simulate(
    world: str = "calm",
    *,
    scale: str = "tiny",
    seed: int = 1,
    as_of: pd.Timestamp = AS_OF,
    folder: Path | None = None,
    workers: int = 1,
    dials: Mapping[str, Dial] | None = None,
) -> Simulated:
    """Draw a world into a folder, or into one of its own that goes when the result does, or the process ends.

    ``world`` is a shipped name or the path of a YAML file; ``dials`` turns some of its dials: ``{"training.hidden": 1.5}``.
    """
    params = turned(world, dials or {})
    with ExitStack() as kept:
        root = folder or Path(kept.enter_context(TemporaryDirectory(prefix="needs-")))
        home = Home(root)
        simulated = Simulated(home, draw(home, world=params, scale=scale, seed=seed, as_of=as_of, workers=workers), params)
        weakref.finalize(simulated, kept.pop_all().close)
    return simulated


def turned(world: str, dials: Mapping[str, Dial]) -> WorldParams:
    """Read a world and turn some of its dials, checked as a file of one's own would be.

    >>> turned("creaming", {"training.hidden": 1.5}).training.hidden
    1.5
    """
    params = load_world(world)
    if not dials:
        return params
    values = params.model_dump(mode="json", exclude_unset=True)
    for name, value in dials.items():
        section, dot, dial = name.partition(".")
        if not dot or section not in Dials.model_fields:
            raise InputError(
                f"dials: '{name[:40]}' is no dial. Write it like training.hidden; sections are {', '.join(Dials.model_fields)}."
            )
        values.setdefault(section, {})[dial] = value
    changes = ", ".join(f"{name} {value}" for name, value in dials.items())
    return _checked(values | {"title": f"{params.title} ({changes})"})


def _checked(values: Mapping[str, object]) -> WorldParams:
    """Read a world from what its file would hold, so that faults are told in the same words."""
    with TemporaryDirectory(prefix="needs-") as folder:
        path = Path(folder) / "world.yaml"
        path.write_text(json.dumps(values, default=_plain), encoding="utf-8")  # JSON is YAML
        try:
            return load_world(str(path))
        except InputError as error:
            raise InputError(*(fault.replace(f"{path}: ", "dials: ") for fault in error.faults)) from None


def _plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else str(value)
