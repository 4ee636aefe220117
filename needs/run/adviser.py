"""What an adviser is told of one person: every course on offer looked at from there, beside what the run published.

A counter holds what is read once. For each person it reads a few published rows by their keys, and nothing is run again.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from sqlalchemy import Engine

from features import facts
from features.moves import KINDS
from features.vocabulary import PUBLICS, REGION
from models.market import Market, describe
from models.match_changes import nearest_miss, see, what_would_change
from models.match_reasons import tell_why, wish_of
from models.sight import BARRIERS
from needs.params import AdviceParams
from needs.run.adviser_sheet import AdviserSheet, Change, Course, Figure, Occupation, Pathway, Person, Skill, Step
from needs.run.desk import Desk
from needs.store.publish import read_few

COURSES, NEIGHBOURS, SKILLS, MONTHS = 3, 2, 6, 12
EVERYBODY = "tout_public"
_DURABLE = "durable"
TARGET = "target"
Known = TypeVar("Known")
_FIGURE = ("value", "low", "high", "n", "grade")


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
        return _grouped(self.desk.known.moves, "occupation", ["target", "kind"])

    @cached_property
    def sectors(self) -> dict[str, list[tuple[str, str, float]]]:
        """What trains for each occupation: sector, level, weight."""
        return _grouped(facts.occupation_sectors(), "occupation", ["sector", "level", "weight"])

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


def _grouped(frame: pd.DataFrame, by: str, names: list[str]) -> dict[str, list[tuple[Any, ...]]]:
    """Gather rows by a code."""
    gathered: dict[str, list[tuple[Any, ...]]] = {}
    for code, *cells in frame[[by, *names]].itertuples(index=False, name=None):
        gathered.setdefault(code, []).append(tuple(cells))
    return gathered


def advise(
    counter: Counter, person: pd.DataFrame, asked: str | None = None, pathways: tuple[pd.DataFrame, pd.DataFrame] | None = None
) -> AdviserSheet:
    """Fill the sheet of one person. ``person`` is the row that the desk has; ``asked`` a session.

    ``pathways``: one row per target, pathway (1 is the best), step; and one per target that no pathway leads to.
    """
    row, advice = person.iloc[0], counter.advice
    head = (str(row["person"]), counter.run_id, counter.desk.as_of)
    if _known(row["opposition"]):
        return AdviserSheet(*head, opposed=True, legal_basis=advice.legal_basis, contact=advice.contact)
    sight = _sight(counter, person)
    proposed = read_few(counter.engine, "recommendations", ["session"], person=[head[0]], rank=range(1, COURSES + 1))
    changes = what_would_change(sight, person, counter.market, counter.desk.prices)
    missed = [] if sight["open"].any() else nearest_miss(sight, counter.market)["session"].tolist()
    ranks = {session: rank for rank, (session,) in enumerate(proposed, start=1)}
    told = _courses(counter, sight, [*ranks, *([asked] if asked else []), *missed], ranks)
    courses = tuple(told[session] for session in ranks if session in told)
    targets = _targets(counter, row)
    listed = set(counter.skills.get(targets[0].occupation, ())) if targets else set()
    missing = sorted(listed - set(_codes(row["skills"])))
    return AdviserSheet(
        *head,
        opposed=False,
        legal_basis=advice.legal_basis,
        contact=advice.contact,
        horizon_months=counter.horizon_months,
        known=_person(counter, row),
        targets=targets,
        skills=_skills(counter, row, missing, courses),
        skills_missing=len(missing),
        skills_asked=len(listed),
        pathways=_pathways(counter, row, targets, courses, pathways),
        courses=courses,
        asked_code=asked,
        asked=told.get(asked) if asked else None,
        changes=tuple(_change(counter, change) for change in changes.itertuples(index=False, name=None)),
        nearest=told.get(missed[0]) if missed else None,
    )


def _sight(counter: Counter, person: pd.DataFrame) -> pd.DataFrame:
    """Look at every course from where the person stands. One row per session, with its ``wish``."""
    sight = see(person, counter.market, counter.desk.prices)
    who, aims = np.zeros(len(sight), dtype=np.int64), counter.market.listed["aim"].to_numpy(dtype=np.int64)
    return sight.assign(wish=wish_of(describe(person, counter.market), who, aims, counter.market))


def _person(counter: Counter, row: pd.Series) -> Person:
    mobility = _known(row["mobility_km"])
    return Person(
        territory=_known(row["territory"]),
        commune=_known(row["commune"]),
        level=_whole(row["level"]),
        wanted=_known(row["wanted"]),
        wanted_2=_known(row["wanted_2"]),
        last_occupation=_known(row["last_occupation"]),
        available=_known(row["available"]),
        mobility_km=mobility,
        reach_km=counter.desk.params.entry.default_mobility_km if mobility is None else float(mobility),
        licence=None if _known(row["licence"]) is None else bool(row["licence"]),
        allowance_ends=_known(row["allowance_ends"]),
        publics=tuple(public for public in PUBLICS if public != EVERYBODY and bool(row[public])),
        skills=len(_codes(row["skills"])),
    )


# Courses ----------------------------------------------------------------------------------------------------------------


def _courses(counter: Counter, sight: pd.DataFrame, sessions: list[str], ranks: dict[str, int]) -> dict[str, Course]:
    """Tell of some sessions, those on offer among them."""
    at = sorted({counter.positions[session] for session in sessions if session in counter.positions})
    if not at:
        return {}
    seen, listed = sight.iloc[at], counter.market.listed.iloc[at]
    told = [seen.iloc[place].to_dict() for place in range(len(at))]
    why = tell_why(seen, counter.desk.params.likelihood, counter.advice.reasons)
    figures = _figures(counter, listed)
    return {
        str(own["session"]): _course(counter, counter.course(place), own | said, ranks, figure)
        for place, own, said, figure in zip(at, told, why.to_dict("records"), figures, strict=True)
    }


def _course(
    counter: Counter,
    course: dict[Hashable, Any],
    seen: dict[Hashable, Any],
    ranks: dict[str, int],
    figures: tuple[Figure | None, Figure | None],
) -> Course:
    """Tell of one session."""
    session = str(course["session"])
    whole = {name: _whole(course[name]) for name in ("entry_level", "exit_level")}
    numbers = {name: _known(course[name]) for name in ("hours", "hours_company", "price_eur")}
    asked = counter.asking.get(session, ())
    return Course(
        session=session,
        rank=ranks.get(session),
        title=str(_known(course["title"]) or ""),
        action_type=str(_known(course["action_type"]) or ""),
        occupations=_codes(course["occupations"]),
        commune=_known(course["commune"]),
        place=str(course["place"]),
        distance_km=float(seen["distance_km"]) if np.isfinite(seen["distance_km"]) else None,
        starts=_known(course["starts"]),
        entry_day=_known(seen["starts"]),
        ends=_known(seen["ends"]),
        permanent=bool(_known(course["permanent"])),
        teaching=_known(course["teaching"]),
        entry_level_binds=bool(_known(course["entry_level_binds"])),
        publics=tuple(code for code in _codes(course["publics"]) if code != EVERYBODY),
        asked=asked,
        certified=_codes(course["certifinfos"]) or _codes(course["certifinfo"]),
        seats_left=int(max(np.floor(counter.rooms.get(session, 0.0)), 0)),
        funders=_codes(course["funders"]),
        funded=bool(course["funded"]),
        outcome=figures[0],
        effect=figures[1],
        **{name: float(seen[name]) for name in ("gain", "likelihood", "score", "price")},
        barriers=tuple(barrier for barrier in BARRIERS if seen[barrier]),
        reasons=str(seen["reasons"]),
        why_not=str(seen["why_not"]),
        checks=_checks(course, seen),
        **whole,
        **numbers,
    )


def _checks(course: dict[Hashable, Any], seen: dict[Hashable, Any]) -> tuple[str, ...]:
    """Say what a call should settle before anything is promised."""
    asked = {
        "check_seat": True,
        "check_level": bool(seen["level_unknown"]),
        "check_prerequisite": bool(course["asks"]),
        "check_public": bool(course["publics"]) and EVERYBODY not in _codes(course["publics"]),
        "check_funding": not course["funded"] or not _codes(course["funders"]),
        "check_start": bool(_known(course["permanent"])),
        "check_hours": _known(course["hours"]) is None,
    }
    return tuple(code for code, needed in asked.items() if needed)


def _figures(counter: Counter, listed: pd.DataFrame) -> list[tuple[Figure | None, Figure | None]]:
    """Find the outcome of all trainees of each course, and what its type adds: the figures of the bassin first."""
    keys = {name: sorted(set(listed[name].dropna())) for name in ("sector", "action_type")}
    followed = {"outcome": [_DURABLE], "horizon_months": [counter.horizon_months]}
    levels = ["" if pd.isna(level) else str(int(level)) for level in listed["exit_level"]]
    cell = ("territory", "sector", "action_type", "level")
    places = [*sorted(set(listed["territory"].dropna())), REGION]
    outcomes = read_few(
        counter.engine, "outcomes", [*cell, *_FIGURE],
        territory=places, level=sorted({*levels, ""}), public=[EVERYBODY], **keys, **followed,
    )  # fmt: skip
    keys["sector"].append("")
    effects = read_few(counter.engine, "effects", [*cell[1:3], *_FIGURE], group=["all"], **keys, **followed)
    seen, adds = {row[:4]: _figure(row[4:]) for row in outcomes}, {row[:2]: _figure(row[2:]) for row in effects}
    found = []
    for territory, sector, kind, level in zip(*(listed[name] for name in cell[:3]), levels, strict=True):
        near = [(place, sector, kind, own) for place in (territory, REGION) for own in (level, "")]
        outcome = next((seen[key] for key in near if key in seen), None)
        found.append((outcome, adds.get((sector, kind), adds.get(("", kind)))))
    return found


def _figure(cells: Sequence[Any]) -> Figure:
    """Write an estimate as it is published."""
    value, low, high, n, grade = cells
    return Figure(*(np.nan if cell is None else float(cell) for cell in (value, low, high, n)), grade or "")


# What a person may aim at -------------------------------------------------------------------------------------------------


def _targets(counter: Counter, row: pd.Series) -> tuple[Occupation, ...]:
    """Name the occupation aimed at and two it leads to, the surest kind first, then the most needed where the person lives."""
    aim = next((str(row[name]) for name in ("wanted", "wanted_2", "last_occupation") if _known(row[name])), None)
    if aim is None:
        return ()
    moves, place = counter.moves.get(aim, []), _place(row)
    needs = _needs(counter, place, [aim, *(target for target, _ in moves)])
    need = {code: figure.value for code, (figure, _) in needs.items()}
    nearest = sorted(moves, key=lambda move: (KINDS.index(move[1]), -need.get(move[0], 0.0), move[0]))
    named = [(aim, TARGET), *nearest[:NEIGHBOURS]]
    causes = _causes(counter, place, [code for code, _ in named])
    return tuple(Occupation(code, kind, *needs.get(code, (None, 0)), causes.get(code)) for code, kind in named)


def _needs(counter: Counter, place: str, occupations: list[str]) -> dict[str, tuple[Figure, int]]:
    """Add up what occupations need over the first months forecast, and say how many these are. Bounds are added up too."""
    columns = ["occupation", "need", "need_low", "need_high", "n", "grade"]
    months: dict[str, list[tuple[Any, ...]]] = {}
    for code, *cells in read_few(counter.engine, "forecasts", columns, territory=[place], occupation=occupations):
        months.setdefault(code, []).append(tuple(cells))
    told = {}
    for code, rows in months.items():
        need, low, high, n, grade = zip(*rows[:MONTHS], strict=True)
        sums = [float(np.nansum(np.asarray(part, dtype="float64"))) for part in (need, low, high)]
        told[code] = (Figure(*sums, float(n[0] or 0.0), max(filter(None, grade), default="")), len(need))
    return told


def _causes(counter: Counter, place: str, occupations: list[str]) -> dict[str, Figure]:
    """Say which share of a shortage training can answer: that of the sectors and levels that train for the occupation."""
    links = {code: counter.sectors.get(code, []) for code in occupations}
    columns = ["sector", "level", "training_solvable", "training_solvable_low", "training_solvable_high"]
    sectors = sorted({sector for own in links.values() for sector, _, _ in own})
    shares = {
        (sector, level): cells
        for sector, level, *cells in read_few(counter.engine, "sector_needs", columns, territory=[place], sector=sectors)
        if cells[0] is not None
    }
    told = {}
    for code, own in links.items():
        known = [(weight, shares[sector, level]) for sector, level, weight in own if (sector, level) in shares]
        if known:
            weights, cells = zip(*known, strict=True)
            value, low, high = np.average(np.asarray(cells, dtype="float64"), axis=0, weights=weights)
            told[code] = Figure(float(value), float(low), float(high), np.nan, "")
    return told


def _skills(counter: Counter, row: pd.Series, missing: list[str], courses: tuple[Course, ...]) -> tuple[Skill, ...]:
    """List the first of the skills that the person is not known to have, the most asked at home first."""
    if not missing:
        return ()
    need = dict(read_few(counter.engine, "skill_needs", ["skill", "value"], territory=[_place(row)], skill=missing))
    taught = {skill for course in courses for code in course.occupations for skill in counter.skills.get(code, ())}
    listed = [Skill(code, need.get(code) or 0.0, code in taught) for code in missing]
    return tuple(sorted(listed, key=lambda skill: (-skill.need, skill.skill))[:SKILLS])


def _place(row: pd.Series) -> str:
    """Say where a person looks for work: the own bassin, else the Region."""
    return str(_known(row["territory"]) or REGION)


# Steps and changes --------------------------------------------------------------------------------------------------------


def _pathways(
    counter: Counter, row: pd.Series, targets: tuple[Occupation, ...], courses: tuple[Course, ...],
    pathways: tuple[pd.DataFrame, pd.DataFrame] | None,
) -> tuple[Pathway, ...]:  # fmt: skip
    """Tell the best pathway to each occupation; where none was searched for, a course proposed that leads there."""
    if pathways is None:
        return tuple(_one_step(counter, row, target, courses) for target in targets[:1])
    steps, unreachable = pathways
    best = steps[steps["pathway"] == 1]
    barriers = dict(zip(unreachable["target"], unreachable["barriers"], strict=True))
    names = ["session", "starts", "ends", "gap_days", "wait_days", "step"]
    rows = _grouped(best.sort_values(["target", "step"]), "target", names)
    return tuple(
        Pathway(
            target.occupation,
            target.kind,
            tuple(
                Step(session, counter.titles.get(session, ""), _known(starts), _known(ends), int(wait if step == 1 else gap))
                for session, starts, ends, gap, wait, step in rows.get(target.occupation, [])
            ),
            _codes(barriers.get(target.occupation)),
        )
        for target in targets
    )


def _one_step(counter: Counter, row: pd.Series, target: Occupation, courses: tuple[Course, ...]) -> Pathway:
    """Make a pathway of the first course proposed that leads to an occupation."""
    free = max(_known(row["available"]) or counter.desk.as_of, counter.desk.as_of)
    leading = (course for course in courses if target.occupation in course.occupations)
    first = next(leading, None)
    days = (first.entry_day - free).days if first is not None and first.entry_day is not None else 0
    steps = () if first is None else (Step(first.session, first.title, first.entry_day, first.ends, days),)
    return Pathway(target.occupation, target.kind, steps, ())


def _change(counter: Counter, change: tuple[Any, ...]) -> Change:
    session, barrier, more, public, _, gain = change
    return Change(barrier, _known(more), public, session, counter.titles.get(session, ""), gain)


def _known(cell: Known) -> Known | None:
    """Give a cell, or nothing where it is missing."""
    return None if pd.isna(cell) else cell


def _whole(cell: float | None) -> int | None:
    return None if pd.isna(cell) else int(cell)


def _codes(text: str | float | None) -> tuple[str, ...]:
    """Part codes joined by ``|``."""
    return tuple(filter(None, str(text).split("|"))) if _known(text) else ()
