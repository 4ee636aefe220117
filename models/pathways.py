"""Dated sequences of courses: from what prepares to what qualifies, and on to a job learned where it is done.

    mobilisation, basic skills, language → pre-qualification → certification, level by level → professional courses → immersion

A step stands higher than the one before, begins after its end and not too long after. What prepares lets a person enter courses
some levels above the own one; a certification gives its level. What a pathway is worth is told step by step, and adds up
(:mod:`models.pathway_search`). For everybody at once: what follows each proposal, and the best that each person could begin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.holdings import already_held, ready_for
from features.params import Section, param
from features.vocabulary import PREPARING
from models.market import Market, lay_out
from models.pairs import LONGEST, Flags, Long, Reals, Whole
from models.pathway_search import NONE, Begun, Found, Ground, Ladder, room_for, search

ARROW = " > "
_PREQUALIFYING, _IMMERSION = "prequalification", "adaptation_poste"
_PREPARED, _LEVELS, _PROFESSIONAL, _LAST = 10, 20, 29, 30
_LIFTING = [*PREPARING, _PREQUALIFYING]


class PathwayParams(Section):
    """What courses may follow one another, and what is lost between them."""

    steps: int = param(3, "courses in a pathway at most", unit="courses", ge=1, le=6)
    max_gap_days: int = param(
        120, "days between the day a person is free again and the next course, at most", unit="days", ge=1, le=LONGEST - 2
    )
    gap_days: float = param(
        180.0,
        "days between two courses over which the likelihood of the next falls to a third, beside that of waiting",
        unit="days",
        ge=10,
        le=10_000,
    )
    opens_levels: int = param(
        1, "levels above the own one that a preparation lets enter; two of them open no more", unit="levels", ge=0, le=3
    )
    completion: float = param(0.85, "chance that who entered finishes, where no past tells", unit="share", ge=0.05, le=1)
    choices: int = param(3, "pathways told for each occupation, of different first courses", unit="pathways", ge=1, le=20)


@dataclass(frozen=True)
class Stairs:
    """What may follow what on a market. ``asked`` has a row per session, ``asked``: a code that it asks before."""

    market: Market
    ladder: Ladder
    asked: pd.DataFrame
    params: PathwayParams

    @cached_property
    def sessions(self) -> pd.Index:
        """The sessions of the market, in the order of all arrays."""
        named: pd.Index = pd.Index(self.market.courses["session"])
        return named

    @cached_property
    def later(self) -> Market:
        """The market as who has followed a course sees it: what a gap leaves lies in what waiting leaves."""
        return replace(self.market, tastes=self.market.tastes._replace(waits=self.ladder.waits[1]))

    def priced(self, prices: pd.Series[float]) -> Reals:
        """Lay out the prices of seats."""
        return prices.reindex(self.sessions).fillna(0.0).to_numpy(dtype=np.float32)


def build_stairs(market: Market, params: PathwayParams, given: pd.DataFrame, asked: pd.DataFrame) -> Stairs:
    """Say what may follow what.

    ``given`` has a row per session, given: a code that it gives at its end; ``asked`` one per session, asked. A step opens what
    asks no more than it gives alone, and shuts what gives no more.
    """
    courses = market.courses
    position, kind = pd.Index(courses["session"]), courses["action_type"]
    gives = courses["exit_level"].astype("float64").fillna(0.0).to_numpy(dtype=np.float32)
    lifts = np.where(kind.isin(_LIFTING), np.float32(params.opens_levels), np.float32(0.0)).astype(np.float32)
    rung = rungs(courses)
    opens = [frame[frame["session"].isin(position)] for frame in (given, asked)]
    shut_ends, shuts = _relation(already_held(_as_holdings(opens[0]), opens[0]), position)
    unlock_ends, unlocks = _relation(ready_for(_as_holdings(opens[0]), opens[1]), position)
    goes_on = (rung < _LAST) if (rung == _LAST).any() else (rung < _PROFESSIONAL)
    ladder = Ladder(
        rung=rung,
        lifts=lifts,
        gives=gives,
        finish=courses["completion"].astype("float64").fillna(params.completion).to_numpy(dtype=np.float32),
        leads=goes_on | (np.diff(unlock_ends) > 0),
        shut_ends=shut_ends,
        shuts=shuts,
        unlock_ends=unlock_ends,
        unlocks=unlocks,
        waits=np.stack([market.tastes.waits, market.tastes.waits * what_gaps_leave(params)]),
    )
    return Stairs(market, ladder, asked, params)


def rungs(courses: pd.DataFrame) -> Whole:
    """Say how high each course stands: what prepares, what qualifies by the level it gives, what gives none, immersion."""
    kind, level = courses["action_type"], courses["exit_level"].fillna(0).astype("int64")
    qualifying = np.where(level > 0, _LEVELS + level, _PROFESSIONAL)
    told = [kind.isin(PREPARING), kind == _PREQUALIFYING, kind == _IMMERSION]
    return np.select(told, [0, _PREPARED, _LAST], qualifying).astype(np.int32)


def what_gaps_leave(params: PathwayParams) -> Reals:
    """Say what is left of the likelihood after a gap, by days from 0; nothing of one that is too long."""
    days = np.arange(LONGEST)
    return np.where(days <= params.max_gap_days, np.exp(-days / params.gap_days), 0.0).astype(np.float32)


def _as_holdings(given: pd.DataFrame) -> pd.DataFrame:
    """See each session as somebody who holds what it gives. One row per person, held."""
    return given.rename(columns={"session": "person", "given": "held"})


def _relation(pairs: pd.DataFrame, position: pd.Index) -> tuple[Long, Whole]:
    """Lay out which other sessions each session is tied to, end to end. ``pairs`` has a row per person (a session), session."""
    done, other = position.get_indexer(pd.Index(pairs["person"])), position.get_indexer(pd.Index(pairs["session"]))
    order = np.lexsort((other, done))[: len(done)]
    order = order[(done != other)[order]]
    return np.searchsorted(done[order], np.arange(len(position) + 1)).astype(np.int64), other[order].astype(np.int32)


# Everybody --------------------------------------------------------------------------------------------------------------


class Tied(NamedTuple):
    """The people of one part, and their beginnings by position in that part."""

    people: pd.DataFrame
    begun: Begun


def follow_proposals(
    parts: Sequence[pd.DataFrame], proposals: pd.DataFrame, stairs: Stairs, prices: pd.Series[float]
) -> pd.DataFrame:
    """Say what follows each proposal at best. One row per proposal, in their order: person, rank, pathway, step, pathway_worth.

    ``proposals`` as :func:`models.matching.tell_proposals` writes them for the people of these parts: by person. ``pathway``
    joins sessions by an arrow, the proposed one first (``step`` 1); it is that one alone where nothing that follows would add
    anything.
    """
    who = proposals["who"].to_numpy(dtype=np.int64)
    first = stairs.sessions.get_indexer(pd.Index(proposals["session"])).astype(np.int32)
    worth, likelihood = (proposals[name].to_numpy(dtype=np.float32) for name in ("net", "likelihood"))
    ends = np.cumsum([len(part) for part in parts])
    cuts = np.searchsorted(who, ends)
    tied = [
        Tied(
            part,
            Begun((who[low:high] - end + len(part)).astype(np.int32), first[low:high], worth[low:high], likelihood[low:high]),
        )
        for part, end, low, high in zip(parts, ends, [0, *cuts[:-1]], cuts, strict=True)
    ]
    found = _search_all(tied, stairs, prices)
    pathway = join(found.path, stairs.sessions).set_axis(proposals.index)
    return proposals[["person", "rank"]].assign(pathway=pathway, step=1, pathway_worth=found.worth)


def best_pathways(parts: Sequence[pd.DataFrame], stairs: Stairs, prices: pd.Series[float]) -> pd.DataFrame:
    """Find the best pathway of each person, whatever was proposed. One row per person: pathway (empty: none), pathway_worth."""
    found = _search_all([Tied(part, from_nothing(len(part))) for part in parts], stairs, prices)
    people = pd.concat([part["person"] for part in parts], ignore_index=True)
    return pd.DataFrame({"person": people, "pathway": join(found.path, stairs.sessions), "pathway_worth": found.worth})


def from_nothing(people: int) -> Begun:
    """Let each person begin with whatever is best."""
    none = np.zeros(people, dtype=np.float32)
    return Begun(np.arange(people, dtype=np.int32), np.full(people, NONE, dtype=np.int32), none, none)


def _search_all(tied: Sequence[Tied], stairs: Stairs, prices: pd.Series[float]) -> Found:
    """Search part by part, and set the parts one below the other."""
    aimed = np.ones(stairs.market.tastes.wanted.shape[1], dtype=np.bool_)
    found = [find(part, stairs, stairs.priced(prices), aimed) for part in tied]
    return (
        Found(*(np.concatenate(columns) for columns in zip(*found, strict=True))) if found else room_for(0, stairs.params.steps)
    )


def find(tied: Tied, stairs: Stairs, prices: Reals, aimed: Flags) -> Found:
    """Find the best pathway of each beginning of the people of a part whose last step has an aim that is aimed at."""
    found, market = room_for(len(tied.begun.who), stairs.params.steps), stairs.market
    if len(market.courses) and len(tied.begun.who):
        people, roads = lay_out(tied.people, market)
        search(people, Ground(market.sessions, roads, market.tastes, prices, stairs.ladder, aimed), tied.begun, found)
    return found


def join(path: Whole, sessions: pd.Index) -> pd.Series[str]:
    """Write each row of positions as sessions joined by arrows."""
    names = pa.array(sessions.to_numpy(dtype="object"), pa.string())
    first, *others = (
        _named(pc.binary_join_element_wise(ARROW if step else "", names, ""), at) for step, at in enumerate(path.T)
    )
    texts: pd.Series[str] = pc.binary_join_element_wise(first, *others, "").to_pandas()
    return texts


def _named(names: pa.StringArray, at: Whole) -> pa.StringArray:
    """Take the name of each position, nothing where there is none."""
    return names.take(pa.array(at, mask=at == NONE)).fill_null("")
