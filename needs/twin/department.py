"""One département, drawn whatever is drawn of the others: its files, its part of the truth, and what wider files need of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from features.tables import CONTRACT
from needs.twin import raw
from needs.twin.careers import Careers, Intercepts, draw_careers
from needs.twin.catalogue import catalogue_lines, draw_catalogue
from needs.twin.effects import Effects
from needs.twin.history import at_work, durably, file_columns, in_occupation
from needs.twin.market import Market, draw_market
from needs.twin.matches import draw_matches
from needs.twin.observers import draw_outcomes, need_by_family, study_month
from needs.twin.offer_files import write_offers
from needs.twin.offers import border_table, draw_offers
from needs.twin.official import market_year, yearly_counts
from needs.twin.people import PERSON, person_ids
from needs.twin.purchases import add_loads
from needs.twin.raw import Written
from needs.twin.skills import skill_need_table
from needs.twin.stock import Place, Stock, draw_stock
from needs.twin.survey import survey_rows, survey_years
from needs.twin.truth import chance_table, course_table, need_table, people_table
from needs.twin.work import HALF_YEAR
from needs.twin.world import World
from needs.twin.worth import served_openings

PIDS = 10_000_000
_LAG_DAYS = (30, 75)
_LEFT_MONTHS = 9
_LEFT = ["pid", "action_type", "formacode", "occupations", "exited"]
_PEOPLE = 400


@dataclass(frozen=True)
class Plot:
    """What the Region hands to one département: its sessions (funded ones and others), its people, what is solved for all."""

    department: str
    sessions: pd.DataFrame
    unfunded: pd.DataFrame
    jobseekers: int
    room: float
    intercepts: Intercepts


@dataclass(frozen=True)
class Folders:
    """Where a département writes its files, and its part of each table of truth."""

    raw: Path
    truth: Path


@dataclass(frozen=True)
class Part:
    """What one département gives back: its files, and the rows of it that wider tables are made of, by table."""

    files: list[Written]
    rows: dict[str, pd.DataFrame]


def draw_department(world: World, plot: Plot, folders: Folders) -> Part:
    """Draw one département; write its files and its part of the truth."""
    market, effects = draw_market(world, plot.department), Effects(world)
    sessions, careers, stock = draw_population(effects, market, plot)
    offered = pd.concat([sessions, plot.unfunded], ignore_index=True)
    catalogue = draw_catalogue(world, offered, careers.prescriptions, market.rng("catalogue"))
    leavers = _leavers(world, careers)
    files = [
        *write_offers(market, draw_offers(market), folders.raw),
        _write_catalogue(market, catalogue, folders.raw),
        *_write_people(market, careers, stock, folders.raw),
        *_write_ours(market, folders.raw, "outcomes", draw_outcomes(_surveyed(world, leavers), market)),
        *_write_ours(market, folders.raw, "sessions", _sessions(world, sessions, careers)),
    ]
    matched = draw_matches(effects, stock.tonight, catalogue, plot.intercepts, market.rng("matches"))
    truths = {
        **_truths(effects, market, careers, plot.intercepts),
        "people": people_table(effects, stock.tonight, plot.intercepts),
        "courses": course_table(world, catalogue),
        "matches": matched.matches,
    }
    for name, rows in truths.items():
        raw.write_truth(rows, folders.truth / name / f"{plot.department}.parquet")
    asked = stock.tonight.iloc[market.rng("sample").permutation(len(stock.tonight))[: _asked(world, plot)]]
    told = {"leavers": leavers, "people": asked[PERSON], "match_values": matched.values}
    return Part(files, _wider(market) | told)


def draw_population(effects: Effects, market: Market, plot: Plot) -> tuple[pd.DataFrame, Careers, Stock]:
    """Draw who trains and who looks for work in one département: sessions with their loads, careers, and lists of people."""
    sessions = add_loads(plot.sessions, market.yearly_openings(), plot.room)
    first_pid = (market.world.departments.index(plot.department) + 1) * PIDS
    careers = draw_careers(effects, sessions, plot.intercepts, first_pid, market.rng("careers"))
    place = Place(market.atoms, plot.jobseekers, first_pid + len(careers.prescriptions))
    return sessions, careers, draw_stock(effects, careers, place, plot.intercepts, market.rng("stock"))


def _asked(world: World, plot: Plot) -> int:
    """Say how many of the few hundred people whom the truth of plans rests on live here."""
    return -(-_PEOPLE * plot.jobseekers // world.scale.jobseekers)


def _wider(market: Market) -> dict[str, pd.DataFrame]:
    """Give what the surveys, studies, official tables and best plans of the Region need of this département."""
    world = market.world
    return {
        **{f"survey_{year}": survey_rows(market, year) for year in survey_years(world)},
        "family_need": need_by_family(market, study_month(world)),
        "counts": yearly_counts(market, market_year(world)),
        "openings": served_openings(market),
    }


def _truths(effects: Effects, market: Market, careers: Careers, intercepts: Intercepts) -> dict[str, pd.DataFrame]:
    """Give the département's part of the tables of truth that tell of need and of those who trained, by name."""
    return {
        "need": need_table(market),
        "skill_need": skill_need_table(market),
        "border": border_table(market),
        "chances": chance_table(effects, careers.entries, intercepts),
    }


def _write_people(market: Market, careers: Careers, stock: Stock, folder: Path) -> list[Written]:
    """Write who looks for work, who trained and who worked."""
    rows = people_rows(market, careers, stock)
    return [
        *_write_ours(market, folder, "jobseekers", rows["jobseekers"], lambda t: t["known_from"].dt.strftime("%Y-%m-%d")),
        *_write_ours(market, folder, "trainings", rows["trainings"], lambda t: t["known_from"].dt.strftime("%Y")),
        *_write_ours(market, folder, "employment", rows["employment"]),
    ]


def people_rows(market: Market, careers: Careers, stock: Stock) -> dict[str, pd.DataFrame]:
    """Give what files will hold of people, by source: ``jobseekers``, ``trainings``, ``employment``. Rows as there."""
    return {
        "jobseekers": stock.jobseekers,
        "trainings": _trainings(market, careers, stock),
        "employment": _employment(market, stock),
    }


def _write_ours(
    market: Market,
    folder: Path,
    source: str,
    rows: pd.DataFrame,
    part: Callable[[pd.DataFrame], pd.Series[str]] | None = None,
) -> list[Written]:
    """Write one table of the département as CSV, in one file or one per part."""
    stem = f"{source}_{market.department[1:]}"
    parts = {f"{stem}_{name}": of_part for name, of_part in rows.groupby(part(rows))} if part else {stem: rows}
    paths = {folder / source / f"{name}.csv": of_part for name, of_part in parts.items()}
    return [Written(source, path, raw.write_csv(of_part, CONTRACT[source], path)) for path, of_part in paths.items()]


def _write_catalogue(market: Market, rows: pd.DataFrame, folder: Path) -> Written:
    path = folder / "catalogue" / f"catalogue_{market.department[1:]}_{market.world.as_of:%Y-%m-%d}.xml.gz"
    raw.write_lines(catalogue_lines(rows, market.world), path)
    return Written("catalogue", path, len(rows))


def _trainings(market: Market, careers: Careers, stock: Stock) -> pd.DataFrame:
    """Write prescriptions as known at ``as_of``: what ends later has no end yet. One row per prescription."""
    world, rng = market.world, market.rng("files")
    rows = careers.prescriptions.assign(reference=careers.prescriptions["known_from"])
    turn = rows.groupby("pid").cumcount().to_numpy()
    turns = range(int(turn.max(initial=0)) + 1)
    told = pd.concat([file_columns(world, rows[turn == number], stock.spells, rng) for number in turns]).sort_index()
    later = told["exited"] > world.as_of
    ended = {name: told[name].mask(later) for name in ("exited", "exit_reason", "certified")}
    place = world.communes["commune"].to_numpy()[told["place"]]
    allowance = ((told["centre_hours"] + told["company_hours"]) * 3.2).round(2)
    return told.assign(**ended, place=place, cost_eur=told["person_eur"], allowance_eur=allowance)


def _employment(market: Market, stock: Stock) -> pd.DataFrame:
    """Write spells of work as known at ``as_of``, with the lag of declarations. One row per spell known by then."""
    world, rng = market.world, market.rng("lags")
    spells = stock.spells.drop_duplicates(["pid", "starts", "contract", "occupation"], ignore_index=True)
    start_lag, end_lag = (pd.to_timedelta(rng.integers(*_LAG_DAYS, len(spells)), unit="D") for _ in range(2))
    known, end_known = spells["starts"] + start_lag, spells["ends"] + end_lag
    seen = end_known <= world.as_of
    rows = spells.assign(
        person=person_ids(spells["pid"]),
        commune=world.communes["commune"].to_numpy()[spells["home"]],
        source="declarations",
        known_from=known,
        ends=spells["ends"].where(seen),
        end_known_from=end_known.where(seen),
    )
    return rows[known <= world.as_of].sort_values(["known_from", "person"], kind="stable", ignore_index=True)


def _leavers(world: World, careers: Careers) -> pd.DataFrame:
    """Say how those who left training at least nine months ago fared six months after. One row per person, last exit."""
    rows = careers.entries
    left = rows[rows["exited"] < world.as_of - pd.DateOffset(months=_LEFT_MONTHS)].drop_duplicates("pid", keep="last")
    left = left[_LEFT].assign(reference=left["exited"]).reset_index(drop=True)
    works = at_work(careers.spells, left, HALF_YEAR)
    lasting = works & at_work(careers.spells[durably(careers.spells)], left, HALF_YEAR)
    return left.assign(works=works, lasting=lasting, aimed=works & in_occupation(careers.spells, left, HALF_YEAR))


def _surveyed(world: World, leavers: pd.DataFrame) -> pd.DataFrame:
    """Keep those who left in the half-year that the survey is about. Same rows."""
    since = world.as_of - pd.DateOffset(months=_LEFT_MONTHS + 6)
    return leavers[leavers["exited"] >= since].reset_index(drop=True)


def _sessions(world: World, sessions: pd.DataFrame, careers: Careers) -> pd.DataFrame:
    """Write the sessions with their entries, blank for those still to come. One row per session."""
    entered = careers.entries.groupby("session").size()
    entries = sessions["session"].map(entered).fillna(0).astype("Int64")
    return sessions.assign(entries=entries.where(np.asarray(sessions["starts"] <= world.as_of)))
