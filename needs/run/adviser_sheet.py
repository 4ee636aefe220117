"""What an adviser needs of one person on one sheet: figures and codes, no words. :mod:`needs.run.adviser` fills it."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Figure:
    """An estimate: how many observations it rests on, and how far it may be trusted."""

    value: float
    low: float
    high: float
    n: float
    grade: str


@dataclass(frozen=True)
class Person:
    """What is known of a person that binds or weighs; missing values are not known. ``reach_km`` is that of who did not say."""

    territory: str | None
    commune: str | None
    level: int | None
    wanted: str | None
    wanted_2: str | None
    last_occupation: str | None
    available: pd.Timestamp | None
    mobility_km: float | None
    reach_km: float
    licence: bool | None
    allowance_ends: pd.Timestamp | None
    publics: tuple[str, ...]
    skills: int


@dataclass(frozen=True)
class Occupation:
    """An occupation to aim at: positions needed over ``months`` at home, and which part of the shortage training can answer."""

    occupation: str
    kind: str
    need: Figure | None
    months: int
    solvable: Figure | None


@dataclass(frozen=True)
class Skill:
    """A skill that the occupation aimed at asks and nobody knows the person to have; whether a course shown leads there."""

    skill: str
    need: float
    given: bool


@dataclass(frozen=True)
class Step:
    """A step of a pathway, and the days without anything before it."""

    session: str
    title: str
    starts: pd.Timestamp | None
    ends: pd.Timestamp | None
    gap_days: int


@dataclass(frozen=True)
class Pathway:
    """The best pathway to an occupation: its steps; without any, the ``barriers`` before the course nearest to being open."""

    occupation: str
    kind: str
    steps: tuple[Step, ...]
    barriers: tuple[str, ...]


@dataclass(frozen=True)
class Course:
    """A session and how the person stands to it. ``reasons`` and ``why_not`` are codes with weights, JSON.

    ``outcome`` is the share of all its trainees in durable work, ``effect`` what the type of course adds to it, ``gain`` what
    is expected for this person. ``entry_day`` is the first on which the person can enter.
    """

    session: str
    rank: int | None
    title: str
    action_type: str
    occupations: tuple[str, ...]
    commune: str | None
    place: str
    distance_km: float | None
    starts: pd.Timestamp | None
    entry_day: pd.Timestamp | None
    ends: pd.Timestamp | None
    permanent: bool
    hours: float | None
    hours_company: float | None
    teaching: str | None
    entry_level: int | None
    entry_level_binds: bool
    exit_level: int | None
    publics: tuple[str, ...]
    asked: tuple[str, ...]
    certified: tuple[str, ...]
    seats_left: int
    funders: tuple[str, ...]
    funded: bool
    price_eur: float | None
    outcome: Figure | None
    effect: Figure | None
    gain: float
    likelihood: float
    score: float
    price: float
    barriers: tuple[str, ...]
    reasons: str
    why_not: str
    checks: tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """What would open a course that is shut, and how many jobs more it would be expected to bring than the best one open."""

    barrier: str
    more: float | None
    public: str
    session: str
    title: str
    gain: float


@dataclass(frozen=True)
class AdviserSheet:
    """All of it. Who objects gets nothing proposed: only the first line is filled, and ``opposed`` is set.

    ``asked`` answers for the course that the person asks for, ``asked_code``; none where no session on offer has that code.
    ``nearest`` is told where no course is open.
    """

    person: str
    run_id: str
    as_of: pd.Timestamp
    opposed: bool
    legal_basis: str
    contact: str
    horizon_months: int = 0
    known: Person | None = None
    targets: tuple[Occupation, ...] = ()
    skills: tuple[Skill, ...] = ()
    skills_missing: int = 0
    skills_asked: int = 0
    pathways: tuple[Pathway, ...] = ()
    courses: tuple[Course, ...] = ()
    asked_code: str | None = None
    asked: Course | None = None
    changes: tuple[Change, ...] = ()
    nearest: Course | None = None
