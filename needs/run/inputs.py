"""What a run is made of: the tables known on its day, its parameters, and the name that these give it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from features import facts
from features.demand import last_full_month
from features.places import own_or_shipped, region_of
from features.tables import Tables, hash_prints
from features.vocabulary import InputError
from models.purchase import served_months
from needs.params import Params
from needs.run.code import code_version
from needs.run.door import Door
from needs.store.memory import give_back


@dataclass(frozen=True)
class Inputs:
    """What a run is made of, and the name this gives it.

    ``reading`` gives the tables known on its day, ``prints`` a hash of each, so that a run that is there already reads none.
    ``model`` names the models in force where they were not learned from these inputs, but earlier.
    """

    reading: Callable[[], Tables]
    as_of: pd.Timestamp
    params: Params
    door: Door
    code: str
    prints: Mapping[str, str]
    model: str = ""

    @cached_property
    def tables(self) -> Tables:
        """What was known."""
        return self.reading()

    def let_go(self) -> None:
        """Let the tables go that were read: who asks for one later reads it again."""
        self.__dict__.pop("tables", None)
        give_back()

    @property
    def data_sha256(self) -> str:
        """A hash of all that was known."""
        return hash_prints(self.prints)

    @property
    def run_id(self) -> str:
        """``as_of`` and a hash of data, parameters, code, overrides and earlier models: the same inputs give the same run."""
        day = f"{self.as_of:%Y-%m-%d}"
        parts = [day, self.data_sha256, self.params.sha256(), self.code, str(self.door), *([self.model] if self.model else [])]
        return f"{self.as_of:%Y%m%d}-{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:12]}"

    @property
    def exercise(self) -> int:
        """The year that is bought for."""
        return self.params.purchase.exercise or self.as_of.year + 1

    @property
    def served(self) -> list[str]:
        """The months the exercise serves that are still to come: what is bought now cannot serve the others."""
        return [month for month in served_months(self.exercise) if month > last_full_month(self.as_of)]


def gather(tables: Tables, as_of: pd.Timestamp, params: Params, door: Door) -> Inputs:
    """Bring together what a run is made of: only what was known at ``as_of``."""
    known = tables.known_at(as_of)
    hold_region(known.territories, params.features.region)
    return hold_exercise(Inputs(lambda: known, as_of, params, door, code_version(), known.prints()))


def hold_region(territories: pd.DataFrame, region: str) -> None:
    """Refuse communes of which none lies in the Region that is served."""
    communes = own_or_shipped(territories)
    listed = facts.departments()
    if not communes["department"].isin(listed.loc[listed["region"] == region, "department"]).any():
        theirs = region_of(communes)
        raise InputError(
            f"features.region is {region}, and the communes known lie in {theirs}. Put the communes of {region} into "
            f"data/raw/territories (docs/formats.md, territories), or write features.region: {theirs} in params.yaml."
        )


def hold_exercise(inputs: Inputs) -> Inputs:
    """Refuse an exercise that is over. Same inputs."""
    if not inputs.served:
        raise InputError(
            f"purchase.exercise {inputs.exercise} serves the months to June {inputs.exercise + 1}, which are over on "
            f"{inputs.as_of:%Y-%m-%d}. Give a later year, like {inputs.as_of.year + 1}."
        )
    return inputs
