"""Serve people territory by territory: match them, tell what is proposed and what came nearest, whatever a territory does.

A territory whose tasks fail is found by trying it alone, and left out with its people; the others are matched again, so that
what they are told is what they would be told if nobody lived there.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.errors import InputError
from models.match_reasons import ReasonParams, explain
from models.matching import Matched, match_people, tell_proposals
from models.misses import nearest_misses
from models.pathways import Stairs, follow_proposals
from models.spread import Errand, Spread, territories_of
from needs.params import Params
from needs.run.batch import Crew, ErrandsFailed, split
from needs.store.memory import give_back
from needs.store.schema import TABLES

log = logging.getLogger(__name__)
_AT_ONCE = 5_000  # people of a part, of whole territories: few tasks, none of them long
_TOLD = [column.name for column in TABLES["recommendations"].c if column.name != "run_id"]
_TEXTS = ("person", "session", "reasons", "why_not", "pathway")
_NARROW = {**dict.fromkeys(_TEXTS, "category"), "rank": "int8", "seats_left": "int32", "step": "int8"}


class Failed(NamedTuple):
    """A territory that could not be served: the kind of error, and where in the code."""

    territory: str
    error: str
    where: str


class TerritoriesFailed(InputError):  # noqa: N818  # it says what happened
    """Territories failed that the run may not do without."""

    exit_code = 4

    def __init__(self, failed: Sequence[Failed], why: str) -> None:
        super().__init__(*(f"{one.territory or 'people of no territory'}: {one.error} in {one.where}" for one in failed), why)
        self.failed = tuple(failed)


@dataclass(frozen=True)
class Served:
    """Who was served and how: ``told`` has a row per person, rank, ``missed`` one per person who is proposed nothing.

    Texts that ``told`` says of millions of rows are categories: each is held once.
    """

    matched: Matched
    told: pd.DataFrame
    missed: pd.DataFrame
    failed: tuple[Failed, ...] = ()


def serve(asking: pd.DataFrame, stairs: Stairs, params: Params) -> Served:
    """Serve everybody but those of territories whose tasks fail. Where it is not to go on without these, it raises."""
    failed, alone = list[Failed](), set[str]()
    spread = Crew(params.execution.workers, "matching")
    while True:
        there = without(asking, failed)
        try:
            return replace(_serve(there, alone, stairs, params, spread), failed=tuple(failed))
        except ErrandsFailed as stopped:
            failed, alone = _narrowed(stopped, failed, alone)
            _refuse_too_many(failed, without(asking, failed), params)


def without(people: pd.DataFrame, failed: Collection[Failed]) -> pd.DataFrame:
    """Leave out the people of failed territories. Some of the rows."""
    if not failed:
        return people
    return people[~people["territory"].fillna("").isin([one.territory for one in failed])]


def _narrowed(stopped: ErrandsFailed, failed: list[Failed], alone: set[str]) -> tuple[list[Failed], set[str]]:
    """Say which territories failed, and which are to be tried alone: those that shared a part that failed."""
    for names, why in stopped.failures.items():
        log.error("%s: %s in %s\n%s", ", ".join(names), why.error, why.where, why.trace)
    single = [Failed(names[0], why.error, why.where) for names, why in stopped.failures.items() if len(names) == 1]
    sharing = {name for names in stopped.failures for name in names if len(names) > 1}
    if not single and sharing <= alone:
        raise stopped
    return [*failed, *single], alone | sharing


def _refuse_too_many(failed: Sequence[Failed], left: pd.DataFrame, params: Params) -> None:
    """Stop where nobody is left, or where nothing is to be published without some."""
    if failed and left.empty:
        raise TerritoriesFailed(failed, "Every territory failed: what they share is at fault, or the code; the log says where.")
    if failed and params.execution.failing_territories == "publish_nothing":
        raise TerritoriesFailed(
            failed, "Nothing is published without them: see the log, or set execution.failing_territories to 'publish_others'."
        )


def _serve(there: pd.DataFrame, alone: Collection[str], stairs: Stairs, params: Params, spread: Spread) -> Served:
    """Match people, tell what is proposed to them, and what came nearest for who is proposed nothing."""
    parts = split(there, _AT_ONCE, alone) or [there]
    matched, sizes = match_people(parts, stairs.market, params.matching, spread), [len(part) for part in parts]
    del parts  # who is matched is held already
    told = tell_all(matched, sizes, stairs, params.advice.reasons, spread)
    nothing = there[~there["person"].isin(told["person"].cat.categories)]
    market = spread.hold(stairs.market)
    errands = [Errand(territories_of(part), (part, market)) for part in split(nothing, _AT_ONCE, alone) or [nothing]]
    return Served(matched, told, pd.concat(spread(nearest_misses, errands), ignore_index=True))


def tell_all(matched: Matched, sizes: Sequence[int], stairs: Stairs, usual: ReasonParams, spread: Spread) -> pd.DataFrame:
    """Write what is proposed, why, and what may follow it. One row per person, rank.

    Long lists ask for short tasks: some people of a part, whose sizes are told, at a time.
    """
    held, ends = spread.hold(stairs), np.cumsum(sizes).tolist()
    cuts = [(at, min(at + _AT_ONCE, end)) for size, end in zip(sizes, ends, strict=True) for at in _starts(end - size, end)]
    parts = [matched.part(start, end) for start, end in cuts]
    errands = [Errand(territories_of(part.people), (part, held, usual)) for part in parts]
    told = list(spread(_tell_part, errands))
    give_back()  # tasks leave much behind, and all that is told is held twice while it is brought together
    return _stack(told)


def _stack(told: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Set what is told of some people below what is told of others, which is left empty. One row per person, rank."""
    columns: dict[str, pd.Series | pd.Categorical] = {}
    for name in _TOLD:
        cells = [part.pop(name) for part in told]
        if name in _TEXTS:
            columns[name] = united(cells)
        else:
            columns[name] = pd.concat(cells, ignore_index=True)
    return pd.DataFrame(columns, copy=False)


def united(cells: Sequence[pd.Series]) -> pd.Categorical:
    """Set texts that are held as categories one below the other, each category once and in order. Same rows."""
    parts = [pa.DictionaryArray.from_pandas(each).cast(pa.dictionary(pa.int32(), pa.large_string())) for each in cells]
    whole = pa.chunked_array(parts).unify_dictionaries().combine_chunks()
    order = pc.sort_indices(whole.dictionary)
    place = np.empty(len(order), dtype=np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    codes = place[whole.indices.to_numpy()]
    return pd.Categorical.from_codes(codes, whole.dictionary.take(order).to_pandas())


def _starts(start: int, end: int) -> range:
    """Say where tasks of a part begin; one that is empty has one."""
    return range(start, max(end, start + 1), _AT_ONCE)


def _tell_part(matched: Matched, stairs: Stairs, usual: ReasonParams) -> pd.DataFrame:
    """Write what is proposed to some people. One row per person, rank."""
    listed = tell_proposals(matched, stairs.market)
    prices = pd.Series(matched.granted.prices, index=stairs.market.courses["session"])
    follows = follow_proposals([matched.people], listed, stairs, prices).drop(columns=["person", "rank"])
    why = explain(listed, matched.people, stairs.market, usual)
    return listed.rename(columns={"gain": "expected_gain"}).join([why, follows])[_TOLD].astype(_NARROW)
