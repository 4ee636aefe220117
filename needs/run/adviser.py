"""What an adviser is told of one person: every course on offer looked at from there, beside what the run published.

For each person a few published rows are read by their keys, and nothing is run again.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from features.moves import KINDS
from features.vocabulary import PUBLICS
from models.match_changes import nearest_miss, see, what_would_change
from models.match_reasons import tell_why, wish_of
from models.own_pathways import Pathways, find_pathways
from models.sight import BARRIERS
from needs.run.adviser_sheet import AdviserSheet, Change, Course, Figure, Occupation, Pathway, Person, Skill, Step
from needs.run.counter import Counter, codes, grouped, known, whole
from needs.store.publish import read_few

COURSES, NEIGHBOURS, SKILLS, MONTHS = 3, 2, 6, 12
EVERYBODY = "tout_public"
_DURABLE = "durable"
TARGET = "target"
_FIGURE = ("value", "low", "high", "n", "grade")


def advise(counter: Counter, person: pd.DataFrame, asked: str | None = None) -> AdviserSheet:
    """Fill the sheet of one person. ``person`` is the row that the desk has; ``asked`` a session."""
    row, advice = person.iloc[0], counter.advice
    head = (str(row["person"]), counter.run_id, counter.desk.as_of)
    if known(row["opposition"]):
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
    missing = sorted(listed - set(codes(row["skills"])))
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
        pathways=tell_pathways(counter, targets, _find(counter, person, targets)),
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
    return sight.assign(wish=wish_of(person, who, aims, counter.market))


def _person(counter: Counter, row: pd.Series) -> Person:
    mobility = known(row["mobility_km"])
    return Person(
        territory=known(row["territory"]),
        commune=known(row["commune"]),
        level=whole(row["level"]),
        wanted=known(row["wanted"]),
        wanted_2=known(row["wanted_2"]),
        last_occupation=known(row["last_occupation"]),
        available=known(row["available"]),
        mobility_km=mobility,
        reach_km=counter.desk.params.entry.default_mobility_km if mobility is None else float(mobility),
        licence=None if known(row["licence"]) is None else bool(row["licence"]),
        allowance_ends=known(row["allowance_ends"]),
        publics=tuple(public for public in PUBLICS if public != EVERYBODY and bool(row[public])),
        skills=len(codes(row["skills"])),
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
    return Course(
        session=(session := str(course["session"])),
        rank=ranks.get(session),
        title=str(known(course["title"]) or ""),
        action_type=str(known(course["action_type"]) or ""),
        occupations=codes(course["occupations"]),
        commune=known(course["commune"]),
        place=str(course["place"]),
        distance_km=float(seen["distance_km"]) if np.isfinite(seen["distance_km"]) else None,
        starts=known(course["starts"]),
        entry_day=known(seen["starts"]),
        ends=known(seen["ends"]),
        permanent=bool(known(course["permanent"])),
        hours=known(course["hours"]),
        hours_company=known(course["hours_company"]),
        teaching=known(course["teaching"]),
        entry_level=whole(course["entry_level"]),
        entry_level_binds=bool(known(course["entry_level_binds"])),
        exit_level=whole(course["exit_level"]),
        publics=tuple(code for code in codes(course["publics"]) if code != EVERYBODY),
        asked=counter.asking.get(session, ()),
        certified=codes(course["certifinfos"]) or codes(course["certifinfo"]),
        seats_left=int(max(np.floor(counter.rooms.get(session, 0.0)), 0)),
        funders=codes(course["funders"]),
        funded=bool(course["funded"]),
        outcome=figures[0],
        effect=figures[1],
        price_eur=known(course["price_eur"]),
        gain=float(seen["gain"]),
        likelihood=float(seen["likelihood"]),
        score=float(seen["score"]),
        price=float(seen["price"]),
        barriers=tuple(barrier for barrier in BARRIERS if seen[barrier]),
        reasons=str(seen["reasons"]),
        why_not=str(seen["why_not"]),
        checks=_checks(course, seen),
    )


def _checks(course: dict[Hashable, Any], seen: dict[Hashable, Any]) -> tuple[str, ...]:
    """Say what a call should settle before anything is promised."""
    asked = {
        "check_seat": True,
        "check_level": bool(seen["level_unknown"]),
        "check_prerequisite": bool(course["asks"]),
        "check_public": bool(course["publics"]) and EVERYBODY not in codes(course["publics"]),
        "check_funding": not course["funded"] or not codes(course["funders"]),
        "check_start": bool(known(course["permanent"])),
        "check_hours": known(course["hours"]) is None,
    }
    return tuple(code for code, needed in asked.items() if needed)


def _figures(counter: Counter, listed: pd.DataFrame) -> list[tuple[Figure | None, Figure | None]]:
    """Find the outcome of all trainees of each course, and what its type adds: the figures of the bassin first."""
    sectors, kinds = (sorted(set(listed[name].dropna())) for name in ("sector", "action_type"))
    followed: dict[str, Sequence[str | int]] = {"outcome": [_DURABLE], "horizon_months": [counter.horizon_months]}
    followed["action_type"] = kinds
    levels = ["" if pd.isna(level) else str(int(level)) for level in listed["exit_level"]]
    cell = ("territory", "sector", "action_type", "level")
    places = [*sorted(set(listed["territory"].dropna())), counter.params.features.region]
    outcomes = read_few(
        counter.engine, "outcomes", [*cell, *_FIGURE],
        territory=places, level=sorted({*levels, ""}), public=[EVERYBODY], sector=sectors, **followed,
    )  # fmt: skip
    effects = read_few(counter.engine, "effects", [*cell[1:3], *_FIGURE], group=["all"], sector=[*sectors, ""], **followed)
    seen, adds = {row[:4]: _figure(row[4:]) for row in outcomes}, {row[:2]: _figure(row[2:]) for row in effects}
    found = []
    for territory, sector, kind, level in zip(*(listed[name] for name in cell[:3]), levels, strict=True):
        near = [(place, sector, kind, own) for place in (territory, counter.params.features.region) for own in (level, "")]
        outcome = next((seen[key] for key in near if key in seen), None)
        found.append((outcome, adds.get((sector, kind), adds.get(("", kind)))))
    return found


def _figure(cells: Sequence[Any]) -> Figure:
    """Write an estimate as it is published."""
    value, low, high, n, grade = cells
    numbers = [np.nan if cell is None else float(cell) for cell in (value, low, high, n)]
    return Figure(numbers[0], numbers[1], numbers[2], numbers[3], grade or "")


# What a person may aim at -------------------------------------------------------------------------------------------------


def _targets(counter: Counter, row: pd.Series) -> tuple[Occupation, ...]:
    """Name the occupation aimed at and two it leads to, the surest kind first, then the most needed where the person lives."""
    aim = next((str(row[name]) for name in ("wanted", "wanted_2", "last_occupation") if known(row[name])), None)
    if aim is None:
        return ()
    moves, place = counter.moves.get(aim, []), _place(counter, row)
    needs = _needs(counter, place, [aim, *(target for target, _ in moves)])
    need = {code: figure.value for code, (figure, _) in needs.items()}
    nearest = sorted(moves, key=lambda move: (KINDS.index(move[1]), -need.get(move[0], 0.0), move[0]))
    named = [(aim, TARGET), *nearest[:NEIGHBOURS]]
    causes = _causes(counter, place, [code for code, _ in named])
    nothing: tuple[Figure | None, int] = (None, 0)
    return tuple(
        Occupation(code, kind, need=figure, months=months, solvable=causes.get(code))
        for code, kind in named
        for figure, months in (needs.get(code, nothing),)
    )


def _needs(counter: Counter, place: str, occupations: list[str]) -> dict[str, tuple[Figure, int]]:
    """Add up what occupations need over the first months forecast, and say how many these are. Bounds are added up too."""
    columns = ["occupation", "need", "need_low", "need_high", "n", "grade"]
    months: dict[str, list[tuple[Any, ...]]] = {}
    for code, *cells in read_few(counter.engine, "forecasts", columns, territory=[place], occupation=occupations):
        months.setdefault(code, []).append(tuple(cells))
    told = {}
    for code, rows in months.items():
        need, low, high, n, grade = zip(*rows[:MONTHS], strict=True)
        sums = np.nansum(np.asarray([need, low, high], dtype="float64"), axis=1).tolist()
        told[code] = (Figure(sums[0], sums[1], sums[2], float(n[0] or 0.0), max(filter(None, grade), default="")), len(need))
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
    need = dict(read_few(counter.engine, "skill_needs", ["skill", "value"], territory=[_place(counter, row)], skill=missing))
    taught = {skill for course in courses for code in course.occupations for skill in counter.skills.get(code, ())}
    listed = [Skill(code, need.get(code) or 0.0, code in taught) for code in missing]
    return tuple(sorted(listed, key=lambda skill: (-skill.need, skill.skill))[:SKILLS])


def _place(counter: Counter, row: pd.Series) -> str:
    """Say where a person looks for work: the own bassin, else the Region."""
    return str(known(row["territory"]) or counter.params.features.region)


# Steps and changes --------------------------------------------------------------------------------------------------------


def _find(counter: Counter, person: pd.DataFrame, targets: tuple[Occupation, ...]) -> Pathways:
    """Find the pathways to each occupation told of."""
    named = [(target.occupation, target.kind) for target in targets]
    return find_pathways(person, counter.stairs, counter.desk.prices, named)


def tell_pathways(counter: Counter, targets: tuple[Occupation, ...], found: Pathways) -> tuple[Pathway, ...]:
    """Tell the best pathway to each occupation, or what stands before it."""
    best = found.steps[found.steps["pathway"] == 1]
    barriers = dict(zip(found.unreachable["target"], found.unreachable["barriers"], strict=True))
    names = ["session", "starts", "ends", "gap_days", "wait_days", "step"]
    rows = grouped(best.sort_values(["target", "step"]), "target", names)
    return tuple(
        Pathway(
            target.occupation,
            target.kind,
            tuple(
                Step(session, counter.titles.get(session, ""), known(starts), known(ends), int(wait if step == 1 else gap))
                for session, starts, ends, gap, wait, step in rows.get(target.occupation, [])
            ),
            codes(barriers.get(target.occupation)),
        )
        for target in targets
    )


def _change(counter: Counter, change: tuple[Any, ...]) -> Change:
    session, barrier, more, public, _, gain = change
    return Change(barrier, known(more), public, session, counter.titles.get(session, ""), gain)
