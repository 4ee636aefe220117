"""People and courses as the search for pairs takes them: arrays, an element each.

A market holds the courses that somebody may still enter, in the order of their places, and what is known of all of them. It is
made once; people are laid out against it a territory at a time, or one at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.params import Section, param
from features.places import arcs_km, unit_vectors
from features.vocabulary import PUBLICS
from models.likelihood import LikelihoodParams, fit_tables, length, nearness, patience
from models.pairs import FAR, LONGEST, Long, Reals, Roads, Seekers, Sessions, Tastes, Whole

BITS = 1 << np.arange(len(PUBLICS), dtype=np.int64)
EVERYBODY = int(BITS.sum())
AT = ["latitude", "longitude"]
_UNKNOWN_LEVEL = 99.0


class EntryParams(Section):
    """Who may enter what, where the rules leave a choice, and whom seats go to first."""

    default_mobility_km: float = param(30.0, "travel accepted by a person who did not say", unit="km", ge=0, le=300)
    borders: Literal["open", "country", "region"] = param(
        "open", "courses held elsewhere: open to all, those of the country, or those of the Region alone"
    )
    priority: float = param(
        0.25,
        "what each public priority that a person belongs to adds to the weight of the person, which is 1",
        unit="ratio",
        ge=0,
        le=5,
    )
    need_weight: float = param(
        0.5,
        "how far the openings within reach move what a course adds: 0 not at all, 1 in proportion",
        unit="ratio",
        ge=0,
        le=1,
    )
    usual_gain: float = param(
        0.05,
        "what a course adds where no effect is known: the same everywhere, so that it changes no order",
        unit="jobs",
        ge=0.001,
        le=1,
    )
    farthest_km: float = param(
        150.0,
        "no course farther than this, nor than a person accepts, is told to be missed by the distance alone",
        unit="km",
        ge=1,
        le=1000,
    )
    least_gain: float = param(
        0.002,
        "a course is taken to add this much at least, so that nobody is left without a proposal",
        unit="jobs",
        ge=0,
        le=0.1,
    )


class Knowledge(NamedTuple):
    """What is known beside people: each frame says its row.

    ``courses`` as :mod:`features.courses` lists them, with ``gain`` (jobs an entry adds), ``show`` and ``completion``;
    ``moves`` between occupations; ``skills``: occupation, skill; ``needs``: territory, sector, ``need`` (1 is usual);
    ``asking``: session, asked.
    """

    courses: pd.DataFrame
    moves: pd.DataFrame
    skills: pd.DataFrame
    needs: pd.DataFrame
    asking: pd.DataFrame


class Codes(NamedTuple):
    """What numbers the codes that people say."""

    occupations: pd.Index
    skills: pd.Index
    kinds: pd.Index
    zones: pd.Index


@dataclass(frozen=True)
class Market:
    """The courses on offer, laid out. ``listed`` has a row per session, ``courses`` those that somebody may still enter."""

    listed: pd.DataFrame
    courses: pd.DataFrame
    places: pd.DataFrame
    sessions: Sessions
    tastes: Tastes
    codes: Codes
    as_of: pd.Timestamp
    entry: EntryParams
    likelihood: LikelihoodParams

    @property
    def today(self) -> int:
        """The day on which all this is known, since 1970."""
        return _day(self.as_of)

    @property
    def seats(self) -> Long:
        """The seats left in each session."""
        return self.courses["seats"].to_numpy(dtype=np.int64)

    @cached_property
    def numbered(self) -> pd.Index:
        """The sessions listed, in the order of their numbers."""
        listed: pd.Index = pd.Index(self.listed["session"])
        return listed

    @cached_property
    def vectors(self) -> NDArray[np.float64]:
        """Where the places stand on a sphere."""
        return unit_vectors(self.places)

    def roads(self, homes: pd.DataFrame, reach: float) -> Roads:
        """Measure how far places are from homes, the nearest first, no farther than somebody goes."""
        km = arcs_km(unit_vectors(homes), self.vectors).round(3)
        order = np.argsort(km, axis=1, kind="stable")
        sorted_km = np.take_along_axis(km, order, axis=1)
        within = sorted_km <= reach
        near = sorted_km[within]
        ends = np.concatenate([[0], within.sum(axis=1).cumsum()]).astype(np.int64)
        return Roads(ends, order[within].astype(np.int32), near.astype(np.float32), nearness(near, self.likelihood))


def open_market(known: Knowledge, as_of: pd.Timestamp, entry: EntryParams, likelihood: LikelihoodParams) -> Market:
    """Lay out the courses that somebody may still enter: those with a seat, that begin after ``as_of`` or admit at any time."""
    codes = known.courses["occupations"].dropna().str.split("|").explode()
    occupations = _index(known.moves["occupation"], known.moves["target"], codes)
    aims, aim = _aims(known.courses["occupations"])
    kinds, sectors = _index(known.courses["action_type"]), _index(known.courses["sector"])
    listed = _describe(known, as_of, entry, likelihood).assign(
        number=known.courses["session"].rank(method="first").astype("int64") - 1,
        aim=aim,
        kind=kinds.get_indexer(pd.Index(known.courses["action_type"])),
        field=sectors.get_indexer(pd.Index(known.courses["sector"])),
    )
    courses, places = _in_order(listed[~listed["shut"]])
    skills = _index(known.skills["skill"])
    wanted, last = fit_tables(aims, occupations, known.moves, likelihood)
    skill_ends, skill_aims = _aims_of_skills(aims, known.skills, skills)
    zones, need = _need_table(known.needs, sectors)
    tastes = Tastes(
        wanted=wanted,
        last=last,
        skill_ends=skill_ends,
        skill_aims=skill_aims,
        skill_share=np.full(len(skill_aims), likelihood.skill, dtype=np.float32),
        waits=patience(LONGEST, likelihood),
        unpaid=likelihood.unpaid,
        need=need,
        least_gain=entry.least_gain,
    )
    sessions, codes_of = _sessions(courses, places), Codes(occupations, skills, kinds, zones)
    return Market(
        listed.sort_values("session", ignore_index=True), courses, places, sessions, tastes, codes_of, as_of, entry, likelihood
    )


# Courses ----------------------------------------------------------------------------------------------------------------


def entry_days(courses: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """Say from when to when each course can be entered. Same rows: first, until, ends, as days since 1970.

    With permanent entries a course can be entered any day from tomorrow (or its start) to its end. ``FAR`` is never.
    """
    tomorrow, permanent = _day(as_of) + 1, courses["permanent"].fillna(False).to_numpy(dtype=bool)
    starts, ends = _days(courses["starts"]), _days(courses["ends"])
    first = np.where(permanent, np.maximum(np.where(starts == FAR, tomorrow, starts), tomorrow), starts)
    until = np.where(permanent, ends, starts)
    gone = (first <= _day(as_of)) | (starts == FAR) & ~permanent | (ends < first)
    return pd.DataFrame({"first": first, "until": np.where(gone, -1, until), "ends": ends}, index=courses.index, dtype=np.int32)


def _day(date: pd.Timestamp) -> int:
    return int(date.to_datetime64().astype("datetime64[D]").astype(np.int64))


def _days(dates: pd.Series[pd.Timestamp]) -> Whole:
    """Count days since 1970; ``FAR`` where a date is unknown."""
    return np.asarray(np.where(dates.isna(), FAR, dates.to_numpy().astype("datetime64[D]").astype(np.int64)), dtype=np.int32)


def beyond_border(courses: pd.DataFrame, entry: EntryParams) -> NDArray[np.bool_]:
    """Say which courses lie behind a border that may not be crossed."""
    shut = {"open": (), "country": ("abroad",), "region": ("abroad", "region")}[entry.borders]
    return courses["place"].isin(shut).to_numpy(dtype=bool)


def _describe(known: Knowledge, as_of: pd.Timestamp, entry: EntryParams, likelihood: LikelihoodParams) -> pd.DataFrame:
    """Say of each course what the search looks at. Same rows; ``shut`` where nobody may enter it, whoever it is."""
    courses = known.courses.assign(**entry_days(known.courses, as_of), gain=known.courses["gain"].fillna(entry.usual_gain))
    full = (courses["seats"].fillna(0) <= 0).to_numpy(dtype=bool)
    late, border = (courses["until"] < 0).to_numpy(), beyond_border(courses, entry)
    return courses.assign(
        full=full,
        late=late,
        border=border,
        shut=full | late | border,
        **what_all_face(courses, likelihood),
        asked=asked_level(courses),
        admits=admits(courses["publics"]),
        asks=courses["session"].isin(known.asking["session"]),
    )


def _in_order(courses: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Order courses by their places, then by their codes; one row per place."""
    rows = courses.sort_values([*AT, "session"], ignore_index=True)
    places = rows[AT].drop_duplicates(ignore_index=True)
    return rows.assign(place_number=rows.groupby(AT, sort=True).ngroup()), places


def admits(publics: pd.Series[str]) -> Long:
    """Write whom each course is for, a bit per public; one that names none, or everybody, is for all."""
    named = publics.fillna("").str.get_dummies("|").reindex(columns=list(PUBLICS), fill_value=0).to_numpy(dtype=np.int64)
    everybody = (publics.fillna("") == "").to_numpy() | (named[:, PUBLICS.index("tout_public")] == 1)
    return np.asarray(np.where(everybody, EVERYBODY, named @ BITS), dtype=np.int64)


def asked_level(courses: pd.DataFrame) -> NDArray[np.float64]:
    """Give the entry level that binds; 0 where none does."""
    binds = courses["entry_level_binds"].fillna(False).to_numpy(dtype=bool)
    return np.where(binds, courses["entry_level"].astype("float64").fillna(0.0), 0.0)


def what_all_face(courses: pd.DataFrame, likelihood: LikelihoodParams) -> pd.DataFrame:
    """Say what everybody faces in going through with a course, whoever it is. Same rows: long, paid, and ``quick``, all of it.

    The length of a course that anybody may enter at any time, or whose end is unknown, takes nothing.
    """
    unknown = (courses["ends"] == FAR) | courses["permanent"].fillna(False).to_numpy(dtype=bool)
    days = np.where(unknown, np.nan, courses["ends"] - courses["first"]).astype("float64")
    long = length(days, likelihood)
    paid = np.where(courses["funded"].to_numpy(dtype=bool), 1.0, likelihood.unfunded)
    quick = courses["show"].to_numpy(dtype="float64") * long * paid
    return pd.DataFrame({"long": long, "paid": paid, "quick": quick}, index=courses.index)


def _sessions(courses: pd.DataFrame, places: pd.DataFrame) -> Sessions:
    """Lay out courses in the order of their places."""
    number = courses["place_number"].to_numpy()
    ends = np.searchsorted(number, np.arange(len(places) + 1)).astype(np.int64)
    quick, gain = courses["quick"].to_numpy(dtype=np.float32), courses["gain"].to_numpy(dtype=np.float32)
    quickest = np.zeros(len(places), dtype=np.float32)
    np.maximum.at(quickest, number, quick)
    whole = ("number", "first", "until", "ends", "kind", "field", "aim")
    return Sessions(
        ends_at=ends,
        **{name: courses[name].to_numpy(dtype=np.int32) for name in whole},
        asked=courses["asked"].to_numpy(dtype=np.float32),
        admits=courses["admits"].to_numpy(dtype=np.int64),
        gain=gain,
        quick=quick,
        asks=courses["asks"].to_numpy(dtype=bool),
        quickest=quickest,
    )


def _index(*codes: pd.Series[str]) -> pd.Index:
    """Number codes in their order."""
    return pd.Index(sorted({str(code) for part in codes for code in part.dropna().unique()}), dtype="str")


def _aims(occupations: pd.Series[str]) -> tuple[list[tuple[str, ...]], Whole]:
    """Name the sets of occupations that courses lead to, and the set of each course."""
    number, names = pd.factorize(occupations.fillna(""), sort=True)
    return [tuple(sorted(set(filter(None, name.split("|"))))) for name in names], number.astype(np.int32)


def _aims_of_skills(aims: list[tuple[str, ...]], skills: pd.DataFrame, numbered: pd.Index) -> tuple[Long, Whole]:
    """List the aims whose occupations ask each skill."""
    pairs = pd.DataFrame(
        [(code, number) for number, codes in enumerate(aims) for code in codes], columns=["occupation", "aim"]
    ).astype({"occupation": "str", "aim": "int64"})
    both = skills[["occupation", "skill"]].merge(pairs, on="occupation", how="inner", validate="many_to_many")
    links = both[["skill", "aim"]].drop_duplicates().sort_values(["skill", "aim"])
    at = numbered.get_indexer(pd.Index(links["skill"]))
    return np.searchsorted(at, np.arange(len(numbered) + 1)).astype(np.int64), links["aim"].to_numpy(dtype=np.int32)


def _need_table(needs: pd.DataFrame, sectors: pd.Index) -> tuple[pd.Index, Reals]:
    """Lay out how much courses of each sector are needed where people live: territories, then nowhere, × sectors."""
    zones = _index(needs["territory"])
    table = np.ones((len(zones) + 1, len(sectors)), dtype=np.float32)
    row, column = zones.get_indexer(pd.Index(needs["territory"])), sectors.get_indexer(pd.Index(needs["sector"]))
    table[row[column >= 0], column[column >= 0]] = needs["need"].to_numpy(dtype=np.float32)[column >= 0]
    return zones, table


# People -----------------------------------------------------------------------------------------------------------------


def lay_out(people: pd.DataFrame, market: Market, reach: float = 0.0) -> tuple[Seekers, Roads]:
    """Lay out people, and the roads from their homes: as far as anyone of them goes, and so far at least.

    ``people`` hold ``move_<type>``, and ``closed`` and ``ready`` sessions.
    """
    known = people[AT].notna().all(axis=1).to_numpy()
    homes = people.loc[known, AT].drop_duplicates().sort_values(AT, ignore_index=True)
    home = np.full(len(people), -1, dtype=np.int32)
    found = pd.MultiIndex.from_frame(homes).get_indexer(pd.MultiIndex.from_frame(people[AT]))
    home[known] = found[known].astype(np.int32)
    farthest = float(_reach(people, market.entry).max(initial=reach))
    roads = market.roads(homes, farthest)
    return describe(people, market)._replace(home=home), roads


def describe(people: pd.DataFrame, market: Market) -> Seekers:
    """Lay out people, whose homes are not numbered: −1."""
    today = market.today
    skills = _lists(people["skills"], market.codes.skills)
    closed, ready = (_lists(people[name], market.numbered) for name in ("closed", "ready"))
    occupations = {name: _numbers(market.codes.occupations, people[name]) for name in ("wanted", "wanted_2", "last_occupation")}
    moves = people.reindex(columns=[f"move_{kind}" for kind in market.codes.kinds], fill_value=0.0).fillna(0.0)
    return Seekers(
        home=np.full(len(people), -1, dtype=np.int32),
        reach=_reach(people, market.entry),
        afoot=np.asarray(~people["licence"].astype("boolean").fillna(True), dtype=np.int32),
        ready_day=np.maximum(np.where(people["available"].isna(), today, _days(people["available"])), today).astype(np.int32),
        level=people["level"].astype("float64").fillna(_UNKNOWN_LEVEL).to_numpy(dtype=np.float32),
        publics=np.asarray(people[list(PUBLICS)].to_numpy(dtype=np.int64) @ BITS, dtype=np.int64),
        wanted=occupations["wanted"],
        second=occupations["wanted_2"],
        last=occupations["last_occupation"],
        weight=weights(people["priority"], market.entry).astype(np.float32),
        paid_until=_days(people["allowance_ends"]),
        zone=_numbers(market.codes.zones, people["territory"]),
        moves=np.ascontiguousarray(moves.to_numpy(dtype=np.float32)),
        skill_ends=skills[0],
        skills=skills[1],
        closed_ends=closed[0],
        closed=closed[1],
        ready_ends=ready[0],
        ready=ready[1],
    )


def _reach(people: pd.DataFrame, entry: EntryParams) -> Reals:
    """Give the kilometres each person accepts."""
    return people["mobility_km"].astype("float64").fillna(entry.default_mobility_km).to_numpy(dtype=np.float32)


def weights(priority: pd.Series[int], entry: EntryParams) -> NDArray[np.float64]:
    """Give the weight of people: more for each public priority they belong to."""
    return np.asarray(1.0 + entry.priority * priority.to_numpy(dtype="float64"))


def _numbers(index: pd.Index, codes: pd.Series[str]) -> Whole:
    """Number codes; the last row of a table is for who names none, or one that is not known."""
    at = index.get_indexer(pd.Index(codes))
    return np.where(at < 0, len(index), at).astype(np.int32)


def _lists(joined: pd.Series[str], index: pd.Index) -> tuple[Long, Whole]:
    """Lay lists of codes, joined by ``|``, end to end: where each ends, and the positions of the codes that are known."""
    lists = pc.split_pattern(pa.array(joined.where(joined != "").to_numpy(dtype="object"), pa.string(), from_pandas=True), "|")
    at = index.get_indexer(pd.Index(pc.list_flatten(lists).to_pandas()))
    owner = pc.list_parent_indices(lists).to_numpy()[at >= 0]
    return np.searchsorted(owner, np.arange(len(joined) + 1)).astype(np.int64), at[at >= 0].astype(np.int32)
