"""The adviser's sheet in words: what is told of one person, as it is read. A terminal and a page show the same words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from needs.run.adviser_sheet import AdviserSheet, Change, Course, Figure, Occupation, Pathway, Person
from needs.show.figures import UNKNOWN, count
from needs.show.messages import messages, say, tell
from needs.show.titles import grade_title, titles_of

_DAY = {"fr": "%d/%m/%Y", "en": "%Y-%m-%d"}
_MOST_IS_TRAINING = 0.5  # the share of a shortage from which training is said to be most of the answer


@dataclass(frozen=True)
class Names:
    """What codes that the package has no title for are called: communes and skills; and the language."""

    towns: Mapping[str, str]
    skills: Mapping[str, str]
    language: str

    def say(self, code: str, **values: object) -> str:
        """Say a message in the language of the page."""
        return say(code, self.language, **values)

    def day(self, day: pd.Timestamp | None) -> str:
        """Write a day."""
        return UNKNOWN if day is None else day.strftime(_DAY[self.language])


@dataclass(frozen=True)
class Card:
    """A course: its title, and lines under each of ``LABELS``."""

    title: str
    lines: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Page:
    """All that is said, section by section. ``refused`` is all there is for who objects."""

    heading: str
    lede: str
    advice: str
    facts: tuple[tuple[str, str], ...]
    refused: tuple[str, ...]
    cards: tuple[Card, ...]
    none: tuple[str, ...]
    asked_title: str
    asked: tuple[str, ...]
    changes: tuple[str, ...]
    pathways: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    targets_head: tuple[str, ...]
    targets: tuple[tuple[str, ...], ...]
    skills_lede: str
    skills: tuple[str, ...]
    rights: tuple[str, ...]
    footer: str


LABELS = (
    "session", "why", "why_not", "dates", "place", "seats", "prerequisites", "hours", "funding", "leads", "outcome", "adds",
    "checks",
)  # fmt: skip


def page_of(sheet: AdviserSheet, names: Names) -> Page:
    """Put a sheet in words."""
    told = names.say
    head = (
        told("adviser.title"),
        told("adviser.lede", person=sheet.person, as_of=names.day(sheet.as_of)),
        told("adviser.advice"),
    )
    rights = told("adviser.right_basis", basis=sheet.legal_basis), told("adviser.right_contest", contact=sheet.contact)
    footer = told("adviser.footer", run_id=sheet.run_id)
    if sheet.opposed or sheet.known is None:
        back = told("adviser.opposed_back", contact=sheet.contact)
        refused = (told("adviser.opposed"), told("adviser.opposed_right"), back)
        return Page(*head, (), refused, (), (), "", (), (), (), (), (), "", (), (rights[0],), footer)
    lede, skills = _skills(sheet, names)
    return Page(
        *head,
        facts=tuple(_facts(sheet.known, names)),
        refused=(),
        cards=tuple(_card(course, sheet.horizon_months, names) for course in sheet.courses),
        none=() if sheet.courses else tuple(_none(sheet, names)),
        asked_title=sheet.asked.title[:1].upper() + sheet.asked.title[1:] if sheet.asked else "",
        asked=tuple(_asked(sheet, sheet.known, names)) if sheet.asked_code else (),
        changes=tuple(_change(change, names) for change in sheet.changes) or (told("adviser.no_change"),),
        pathways=tuple(_pathway(pathway, names) for pathway in sheet.pathways),
        targets_head=_targets_head(sheet, names),
        targets=tuple(_target(target, names) for target in sheet.targets),
        skills_lede=lede,
        skills=skills,
        rights=rights,
        footer=footer,
    )


# The person -------------------------------------------------------------------------------------------------------------


def _facts(known: Person, names: Names) -> Iterable[tuple[str, str]]:
    """Say what binds or weighs: a label and a value."""
    told, unknown = names.say, names.say("adviser.unknown")
    yield told("adviser.bassin"), _title("territory", known.territory) if known.territory else told("adviser.nowhere")
    yield told("adviser.home"), names.towns.get(known.commune or "", known.commune or unknown)
    yield told("adviser.level"), unknown if known.level is None else str(known.level)
    wanted = [_title("occupation", code) for code in (known.wanted, known.wanted_2) if code]
    yield told("adviser.wanted"), " / ".join(wanted) or unknown
    yield told("adviser.last"), _title("occupation", known.last_occupation) if known.last_occupation else unknown
    yield (
        told("adviser.available"),
        told("adviser.from", day=names.day(known.available)) if known.available else told("adviser.now"),
    )
    yield (
        told("adviser.mobility"),
        told("adviser.km" if known.mobility_km is not None else "adviser.km_default", km=known.reach_km),
    )
    yield told("adviser.licence"), unknown if known.licence is None else told("adviser.yes" if known.licence else "adviser.no")
    yield told("adviser.allowance"), names.day(known.allowance_ends)
    yield told("adviser.publics"), _publics(known.publics, names) or UNKNOWN


def _title(noun: str, code: str) -> str:
    return str(titles_of(noun).get(code, code))


def _publics(codes: Iterable[str], names: Names) -> str:
    return ", ".join(names.say(f"public_{code}") if f"public_{code}" in messages() else code for code in codes)


# Courses ----------------------------------------------------------------------------------------------------------------


def _card(course: Course, months: int, names: Names) -> Card:
    """Tell one course, line by line."""
    told = names.say
    lines = {
        "session": (course.session, told(f"action_type_{course.action_type}")),
        "dates": (_dates(course, names),),
        "place": tuple(_place(course, names)),
        "seats": (told("adviser.seats_left", seats=course.seats_left),),
        "prerequisites": tuple(_prerequisites(course, names)),
        "hours": (_hours(course, names),),
        "funding": (_funding(course, names),),
        "leads": tuple(_leads(course, names)),
        "outcome": _figure("outcome", course.outcome, names, months=months),
        "adds": (
            *_figure("adds", course.effect, names),
            told("adviser.adds_person", value=course.gain),
            told("adviser.likelihood", value=course.likelihood),
        ),
        "why": _lines(tell(course.reasons, names.language)),
        "why_not": _lines(tell(course.why_not, names.language)),
        "checks": tuple(told(code) for code in course.checks),
    }
    return Card(course.title[:1].upper() + course.title[1:], lines)


def _lines(text: str) -> tuple[str, ...]:
    return tuple(text.split(", ")) if text else (UNKNOWN,)


def _dates(course: Course, names: Names) -> str:
    """Say from when to when; a course that may be entered any day says so."""
    starts, ends = names.day(course.entry_day), names.day(course.ends)
    if course.permanent:
        return names.say("adviser.permanent_to" if course.ends is not None else "adviser.permanent", starts=starts, ends=ends)
    return names.say("adviser.from_to" if course.ends is not None else "adviser.from", starts=starts, ends=ends, day=starts)


def _place(course: Course, names: Names) -> Iterable[str]:
    yield names.towns.get(course.commune or "", course.commune or names.say("adviser.unknown"))
    if course.distance_km is not None:
        yield names.say("adviser.distance", km=course.distance_km)
    if course.place != "here":
        yield names.say(f"adviser.place_{course.place}")


def _prerequisites(course: Course, names: Names) -> Iterable[str]:
    if course.entry_level is None:
        yield names.say("adviser.entry_open")
    else:
        yield names.say(
            "adviser.entry_level" if course.entry_level_binds else "adviser.entry_level_soft", level=course.entry_level
        )
    if course.asked or "check_prerequisite" in course.checks:
        yield names.say("adviser.asks", codes=", ".join(course.asked) or UNKNOWN)
    if course.publics:
        yield names.say("adviser.reserved", publics=_publics(course.publics, names))


def _hours(course: Course, names: Names) -> str:
    if course.hours is None:
        return names.say("adviser.unknown")
    if course.hours_company:
        return names.say("adviser.hours_company", hours=course.hours, company=course.hours_company)
    return names.say("adviser.hours_all", hours=course.hours)


def _funding(course: Course, names: Names) -> str:
    """Say who pays; what the trainee would pay where nobody else does."""
    if not course.funded:
        return names.say(
            "adviser.self_paid_bare" if course.price_eur is None else "adviser.self_paid", price=round(course.price_eur or 0.0)
        )
    said = [
        names.say(f"funder_{code}") if f"funder_{code}" in messages() else names.say("adviser.funder_other", funder=code)
        for code in course.funders
    ]
    return ", ".join(said) or names.say("adviser.funder_unknown")


def _leads(course: Course, names: Names) -> Iterable[str]:
    yield from (_title("occupation", code) for code in course.occupations[:2])
    if course.exit_level is not None:
        yield names.say("adviser.level_out", level=course.exit_level)
    if not course.occupations and course.exit_level is None:
        yield UNKNOWN


def _figure(name: str, figure: Figure | None, names: Names, **values: int) -> tuple[str, ...]:
    """Say an estimate, between what it lies, on how many it rests, and how far it may be trusted."""
    if figure is None:
        return (names.say("adviser.unknown"),)
    spread = "adviser.range_percent" if name == "outcome" else "adviser.range_points"
    line = names.say(f"adviser.{name}_line", value=figure.value, **values)
    return (line, names.say(spread, low=figure.low, high=figure.high, n=figure.n), *_grade(figure, names))


def _grade(figure: Figure, names: Names) -> tuple[str, ...]:
    return (names.say("adviser.grade", grade=grade_title(figure.grade, names.language)),) if figure.grade else ()


def _none(sheet: AdviserSheet, names: Names) -> Iterable[str]:
    """Say that nothing is proposed, and what comes nearest."""
    yield names.say("adviser.none")
    if sheet.nearest is None:
        yield names.say("adviser.taken")
    elif sheet.known is not None:
        yield names.say("adviser.nearest", title=sheet.nearest.title, session=sheet.nearest.session)
        yield from _barred(sheet.nearest, sheet.known, names)


def _asked(sheet: AdviserSheet, known: Person, names: Names) -> Iterable[str]:
    """Answer for the course asked for: open or not, and by what it is shut."""
    course = sheet.asked
    if course is None:
        yield names.say("adviser.asked_unknown", session=sheet.asked_code, as_of=names.day(sheet.as_of))
        return
    if course.barriers:
        yield names.say("adviser.asked_shut")
        yield from _barred(course, known, names)
    elif course.rank is not None:
        yield names.say("adviser.asked_ranked", rank=course.rank)
    else:
        yield names.say("adviser.asked_open")
    card = _card(course, sheet.horizon_months, names)
    for label in ("dates", "place", "outcome", "adds", "why", "why_not"):
        yield names.say("adviser.labelled", label=names.say(f"adviser.{label}"), lines=", ".join(card.lines[label]))


def _barred(course: Course, known: Person, names: Names) -> Iterable[str]:
    """Name each barrier, with what it is about."""
    values = {
        "codes": ", ".join(course.asked) or UNKNOWN,
        "publics": _publics(course.publics, names),
        "asked": course.entry_level or UNKNOWN,
        "level": UNKNOWN if known.level is None else known.level,
        "day": names.day(known.available),
        "km": UNKNOWN if course.distance_km is None else count(course.distance_km, names.language),
        "reach": count(known.reach_km, names.language),
    }
    return (f"– {names.say(f'barred_{barrier}', **values)}" for barrier in course.barriers)


# What may be aimed at ---------------------------------------------------------------------------------------------------


def _change(change: Change, names: Names) -> str:
    public = names.say(f"public_{change.public}") if change.public else ""
    what = names.say(f"change_{change.barrier}", more=0.0 if change.more is None else change.more, public=public)
    return names.say("adviser.change", change=what, title=change.title, session=change.session, gain=change.gain)


def _pathway(pathway: Pathway, names: Names) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Tell a pathway: the occupation it leads to, then each step with the days before it."""
    title = f"{_title('occupation', pathway.occupation)} ({names.say(f'kind_{pathway.kind}')})"
    if not pathway.steps:
        barriers = ", ".join(names.say(barrier) for barrier in pathway.barriers)
        none = names.say("adviser.no_pathway", barriers=barriers) if barriers else names.say("adviser.no_pathway_bare")
        return title, (("", none),)
    steps = []
    for place, step in enumerate(pathway.steps):
        days = "adviser.at_once" if step.gap_days <= 0 else "adviser.gap" if place else "adviser.wait"
        until = names.say(
            "adviser.from_to" if step.ends is not None else "adviser.from", **_span(step.starts, step.ends, names)
        )
        steps.append(
            (names.say(days, days=step.gap_days), f"{step.title[:1].upper()}{step.title[1:]} ({step.session}), {until}")
        )
    return title, tuple(steps)


def _span(starts: pd.Timestamp | None, ends: pd.Timestamp | None, names: Names) -> dict[str, str]:
    return {"starts": names.day(starts), "ends": names.day(ends), "day": names.day(starts)}


def _targets_head(sheet: AdviserSheet, names: Names) -> tuple[str, ...]:
    months = max((target.months for target in sheet.targets), default=0)
    need = names.say("adviser.need", months=months) if months else names.say("adviser.need_bare")
    return names.say("adviser.occupation"), names.say("adviser.kind"), need, names.say("adviser.cause")


def _target(target: Occupation, names: Names) -> tuple[str, ...]:
    """Tell an occupation: how it is linked, what is needed, and what causes the shortage."""
    need = cause = names.say("adviser.unknown")
    if target.need is not None:
        spread = {"low": target.need.low, "high": target.need.high}
        need = ", ".join([names.say("adviser.value_range", value=target.need.value, **spread), *_grade(target.need, names)])
    if target.solvable is not None:
        code = "adviser.cause_training" if target.solvable.value >= _MOST_IS_TRAINING else "adviser.cause_other"
        cause = names.say(code, value=target.solvable.value, low=target.solvable.low, high=target.solvable.high)
    return _title("occupation", target.occupation), names.say(f"kind_{target.kind}"), need, cause


def _skills(sheet: AdviserSheet, names: Names) -> tuple[str, tuple[str, ...]]:
    """List the skills to acquire, under what is said of them."""
    if not sheet.targets:
        return names.say("adviser.unknown"), ()
    if not sheet.skills:
        return names.say("adviser.no_skills"), ()
    occupation = _title("occupation", sheet.targets[0].occupation)
    lede = names.say("adviser.skills_lede", missing=sheet.skills_missing, asked=sheet.skills_asked, occupation=occupation)
    listed = (
        names.say("adviser.given" if skill.given else "adviser.missing", skill=names.skills.get(skill.skill, skill.skill))
        for skill in sheet.skills
    )
    return lede, tuple(listed)
