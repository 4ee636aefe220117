"""What the current run proposes, as text for a terminal: the lots to buy, and the courses of one person."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from features import facts
from features.places import own_or_shipped
from features.supply import latest_people
from features.tables import CATALOGUE, TERRITORIES
from features.training_tables import JOBSEEKERS
from features.vocabulary import BASSIN, InputError
from needs.home import Home
from needs.params import Params
from needs.privacy import hold_key, load_key, pseudonym
from needs.run.nightly import database_url
from needs.show import figures
from needs.show.messages import say, tell
from needs.show.published import Current, open_current
from needs.show.titles import titled, titles_of
from needs.store.lake import read_table
from needs.store.publish import read_current

LOTS_SHOWN = 25
_DAY = {"fr": "%d/%m/%Y", "en": "%Y-%m-%d"}
_WIDTHS = (20, 34, 20, 8, -11, -12, -7, 5)
"""Of the columns of the plan; a column with a minus stands to the right."""


# Lots ------------------------------------------------------------------------------------------------------------------


def tell_plan(home: Home, params: Params, territory: str | None) -> str:
    """Show the lots of the current run, those from which most durable jobs are expected first."""
    language = params.show.language
    lots = read_current(open_current(database_url(home, params)).engine, "lots")
    if territory is not None:
        code = read_bassin(territory, lots["territory"], language)
        lots = lots[lots["territory"] == code]
        if lots.empty:
            return say("terminal.no_lot_here", language, territory=titles_of("territory").get(code, code), bassin=code)
    if lots.empty:
        return say("terminal.no_lot", language)
    best = lots.sort_values(["value", "lot_id"], ascending=[False, True]).head(LOTS_SHOWN)
    totals = {"places": int(lots["places"].sum()), "cost": lots["cost_cents"].sum() / 100, "jobs": lots["value"].sum()}
    head = say("terminal.plan_all" if len(best) == len(lots) else "terminal.plan_first", language, **_counts(best, lots))
    return "\n".join([head, _columns(language), *_lines(best, language), say("terminal.plan_total", language, **totals)])


def _counts(best: pd.DataFrame, lots: pd.DataFrame) -> dict[str, int]:
    return {"shown": len(best), "lots": len(lots)} if len(best) < len(lots) else {"lots": len(lots)}


def read_bassin(text: str, bought: pd.Series[str], language: str) -> str:
    """Read a bassin by its code or its title; refuse one that the Region does not have."""
    known = facts.territories().query("kind == 'BE'")
    named = known.loc[known["title"].str.casefold() == text.strip().casefold(), "territory"].tolist()
    code = text.strip().upper()
    if len(named) == 1:
        return str(named[0])
    if code in {*known["territory"], *bought}:
        return code
    examples = known[known["territory"].isin([BASSIN.example, "BE4425", "BE4441"])]
    like = ", ".join(f"{row.territory} ({row.title})" for row in examples.itertuples())
    raise InputError(
        f"--territory: '{text[:40]}' is not a bassin of the Region. Write its code or its title, like {like}; "
        f"the sheet '{say('sheet_forecasts', language)}' of the workbook lists them all."
    )


def _columns(language: str) -> str:
    """Head the columns of the plan."""
    codes = ("column_territory_title", "training", "column_action_type_title", "column_level")
    return lay([say(code, language) for code in (*codes, *_SHORT)])


_SHORT = ("terminal.sessions", "cost_short", "terminal.jobs", "terminal.grade")


def _lines(lots: pd.DataFrame, language: str) -> list[str]:
    """Write each lot on a line. One text per lot."""
    group = lots["places"] // lots["sessions"]
    named = titled(lots, language).assign(group=group, level=lots["exit_level"].fillna(""))
    return [
        lay(
            [
                *(str(lot[f"{name}_title"]) for name in ("territory", "formacode", "action_type")),
                say("terminal.level", language, level=lot["level"]) if lot["level"] else "",
                f"{lot['sessions']} × {lot['group']}",
                figures.euros(round(lot["cost_cents"] / 100) * 100, language),
                figures.count(lot["value"], language, 1),
                "" if pd.isna(lot["grade"]) else str(lot["grade"]),
            ]
        )
        for lot in named.to_dict("records")
    ]


def lay(cells: Sequence[str], widths: Sequence[int] = _WIDTHS) -> str:
    """Lay cells in the widths of a table; a text that is too long is cut."""
    laid = [
        cell.rjust(-width) if width < 0 else (cell if len(cell) <= width else f"{cell[: width - 1]}…").ljust(width)
        for cell, width in zip(cells, widths, strict=True)
    ]
    return " ".join(laid).rstrip()


# Courses of one person -------------------------------------------------------------------------------------------------


def tell_match(home: Home, params: Params, person: str) -> str:
    """Show what is proposed to one person, and why; or why nothing is."""
    language = params.show.language
    current = open_current(database_url(home, params))
    known = _person(home, current, person)
    if bool(known["opposition"].fillna(False).iloc[0]):
        return say("terminal.opposition", language)
    proposed = read_current(current.engine, "recommendations")
    own = proposed[proposed["person"] == known["person"].iloc[0]].sort_values("rank")
    if own.empty:
        return f"{say('terminal.no_course', language)} {_why_none(current, known['territory'].iloc[0], language)}".strip()
    head = say("terminal.match_head", language, courses=len(own))
    return "\n".join([head, *_courses(own, home, current, language)])


def _person(home: Home, current: Current, person: str) -> pd.DataFrame:
    """Find a person among those the current run served. One row; the identifier is never said again."""
    key = load_key()
    if home.key_mark.exists():
        hold_key(key, home.key_mark)
    people = latest_people(JOBSEEKERS.known_at(read_table(home.lake, JOBSEEKERS), current.as_of))
    own = people[people["person"] == pseudonym(key, person)]
    if own.empty:
        raise InputError(
            f"There is no such person among the {figures.many(len(people), 'jobseeker')} of this run. "
            "Write the identifier as in the column id_personne of the jobseekers' file, like P0000042."
        )
    return own


def _why_none(current: Current, territory: str | float, language: str) -> str:
    """Say why nothing is proposed, as far as it is published: by bassin, never by person."""
    if not isinstance(territory, str):
        return say("terminal.nowhere", language)
    unmet = read_current(current.engine, "unmet")
    misses = unmet[unmet["territory"] == territory].groupby("nearest_miss")["people"].sum()
    if misses.empty:
        return ""
    reason = say(str(misses.sort_index().astype("float64").idxmax()), language)
    return say("terminal.obstacle", language, territory=titles_of("territory").get(territory, territory), reason=reason)


def _courses(own: pd.DataFrame, home: Home, current: Current, language: str) -> list[str]:
    """Write each course on a line. One text per course proposed."""
    catalogue = CATALOGUE.known_at(read_table(home.lake, CATALOGUE), current.as_of)
    sessions = catalogue.sort_values("known_from", kind="stable").drop_duplicates("session", keep="last").set_index("session")
    towns = own_or_shipped(read_table(home.lake, TERRITORIES)).set_index("commune")["name"]
    named = own.assign(
        title=own["session"].map(sessions["title"]).fillna(""),
        town=own["session"].map(sessions["commune"]).map(towns).fillna(""),
    )
    return [_course({str(name): value for name, value in row.items()}, language) for row in named.to_dict("records")]


def _course(course: dict[str, object], language: str) -> str:
    """Write one course: title, town, dates, distance, reasons, session."""
    km, title = course["distance_km"], str(course["title"])
    parts = [
        f"{title[:1].upper()}{title[1:]}",
        str(course["town"]),
        _dates(course["starts"], course["ends"], language),
        say("terminal.distance", language, km=km) if isinstance(km, float) and not pd.isna(km) else "",
        tell(str(course["reasons"]), language),
        say("terminal.session", language, session=course["session"]),
    ]
    return f"{course['rank']:>2}. " + " · ".join(part for part in parts if part)


def _dates(starts: object, ends: object, language: str) -> str:
    """Write the first and the last day as the language does; one that is unknown is left out."""
    days = [pd.Timestamp(day).strftime(_DAY[language]) if isinstance(day, str) else "" for day in (starts, ends)]
    if not days[0]:
        return ""
    return (
        say("terminal.from_to", language, starts=days[0], ends=days[1])
        if days[1]
        else say("terminal.from", language, starts=days[0])
    )
