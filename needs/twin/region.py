"""Draw a simulated region: raw files as a Region holds them, and apart from them the truth."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd

from features.tables import CONTRACT
from features.vocabulary import InputError
from needs.home import SIMULATED, Home
from needs.twin import observers, raw
from needs.twin.careers import Careers, draw_careers
from needs.twin.catalogue import catalogue_lines, draw_catalogue
from needs.twin.offers import draw_offers, offer_lines
from needs.twin.purchases import draw_lots, draw_sessions
from needs.twin.scales import scale_of
from needs.twin.stock import Stock, draw_stock, file_columns, person_ids
from needs.twin.survey import draw_survey, survey_years, write_survey
from needs.twin.truth import truths
from needs.twin.world import World, draw_world

_LAG_DAYS = (30, 75)


@dataclass(frozen=True)
class Written:
    """One file: its source (its folder), where it lies and how many rows it holds."""

    source: str
    path: Path
    rows: int


@dataclass(frozen=True)
class Drawn:
    """What one draw wrote: the raw files, and the tables of truth that only tests and benchmarks open."""

    raw: tuple[Written, ...]
    truth: tuple[Written, ...]

    def rows(self, source: str) -> int:
        """Count the rows of one source over its files."""
        return sum(written.rows for written in self.raw if written.source == source)


def draw(home: Home, *, scale: str, seed: int, as_of: pd.Timestamp) -> Drawn:
    """Draw a region into the home: files in ``data/raw``, truth in ``var/truth``. The same seed gives the same bytes.

    Files hold nothing that was not known at ``as_of``. Refuses to mix with files that are there already.
    """
    size = scale_of(scale)
    _refuse_mixing(home)
    if seed < 0:
        raise InputError(f"seed: {seed} is negative. Write a whole number from 0, like 1.")
    world = draw_world(size, seed, as_of.normalize())
    # written aside and moved at the end: what dies half-way leaves data/raw empty
    aside = home.root / "data" / ".drawing"
    shutil.rmtree(aside, ignore_errors=True)
    files, careers = _write_raw(world, aside)
    moved = tuple(replace(file, path=_move(file.path, aside, home.raw)) for file in files)
    shutil.rmtree(aside)
    (home.raw / SIMULATED).write_text(f"A simulated region ({scale}, seed {seed}): no figure here is real.\n", encoding="utf-8")
    truth = [(name, frame, home.truth / f"{name}.parquet") for name, frame in truths(world, careers)]
    return Drawn(moved, tuple(Written(name, path, raw.write_truth(frame, path)) for name, frame, path in truth))


def _refuse_mixing(home: Home) -> None:
    there = [path for path in home.raw.rglob("*") if path.is_file() and not path.name.startswith(".")]
    if there:
        raise InputError(
            f"{home.raw}: holds {len(there)} files already ({there[0].name}…); a simulated region never mixes with them. "
            "Choose another home, like --home /tmp/demo, or move these files away."
        )


def _move(path: Path, aside: Path, folder: Path) -> Path:
    target = folder / path.relative_to(aside)
    target.parent.mkdir(parents=True, exist_ok=True)
    return path.replace(target)


def _write_raw(world: World, folder: Path) -> tuple[list[Written], Careers]:
    """Write every source under the folder; give the files, and the careers that the truth tells of."""
    lots = draw_lots(world)
    sessions = draw_sessions(world, lots)
    careers = draw_careers(world, sessions)
    stock = draw_stock(world, careers)
    files = [
        *_write_offers(world, folder),
        *_write_surveys(world, folder),
        _write_catalogue(world, folder, sessions, careers),
        *_write_ours(folder, "jobseekers", stock.jobseekers, lambda t: t["known_from"].dt.strftime("%Y-%m-%d")),
        *_write_ours(folder, "trainings", _trainings(world, careers, stock), lambda t: t["known_from"].dt.strftime("%Y")),
        *_write_ours(folder, "employment", _employment(world, stock)),
        *_write_ours(folder, "outcomes", observers.draw_outcomes(world, careers)),
        *_write_ours(folder, "purchases", lots.assign(territory=_bare(lots))),
        *_write_ours(folder, "sessions", _sessions(world, sessions, careers)),
        *_write_ours(folder, "projections", observers.draw_projections(world)),
        *_write_ours(folder, "signals", observers.draw_signals(world)),
        *_write_ours(folder, "overrides", CONTRACT["overrides"].empty()),
    ]
    return files, careers


def _write_ours(
    folder: Path, source: str, rows: pd.DataFrame, part: Callable[[pd.DataFrame], pd.Series[str]] | None = None
) -> list[Written]:
    """Write one table as CSV, in one file or one per part."""
    parts = {f"{source}_{name}": of_part for name, of_part in rows.groupby(part(rows))} if part else {source: rows}
    paths = {folder / source / f"{name}.csv": of_part for name, of_part in parts.items()}
    return [Written(source, path, raw.write_csv(of_part, CONTRACT[source], path)) for path, of_part in paths.items()]


def _write_offers(world: World, folder: Path) -> list[Written]:
    written = []
    for year, lines in groupby(offer_lines(draw_offers(world), world), key=lambda pair: pair[0]):
        path = folder / "offers" / f"offers_{year}.jsonl.gz"
        texts = [text + "\n" for _, text in lines]
        raw.write_lines(texts, path)
        written.append(Written("offers", path, len(texts)))
    return written


def _write_surveys(world: World, folder: Path) -> list[Written]:
    written = []
    (folder / "bmo").mkdir(parents=True)
    for year in survey_years(world):
        rows, path = draw_survey(world, year), folder / "bmo" / f"Base_open_data_BMO_{year}.xlsx"
        write_survey(rows, year, path)
        written.append(Written("bmo", path, len(rows)))
    return written


def _write_catalogue(world: World, folder: Path, sessions: pd.DataFrame, careers: Careers) -> Written:
    rows = draw_catalogue(world, sessions, careers)
    path = folder / "catalogue" / f"catalogue_{world.as_of:%Y-%m-%d}.xml.gz"
    raw.write_lines(catalogue_lines(rows, world), path)
    return Written("catalogue", path, len(rows))


def _bare(lots: pd.DataFrame) -> list[str]:
    """Write territories as their producers do, without the kind that stands in its own column."""
    return [code.removeprefix(kind) for code, kind in zip(lots["territory"], lots["territory_kind"], strict=True)]


def _trainings(world: World, careers: Careers, stock: Stock) -> pd.DataFrame:
    """Write prescriptions as known at ``as_of``: what ends later has no end yet. One row per prescription."""
    rows = careers.prescriptions
    rows = rows.assign(reference=rows["known_from"])
    turn = rows.groupby("pid").cumcount()
    told = pd.concat([file_columns(world, of_turn, stock.spells) for _, of_turn in rows.groupby(turn)]).sort_index()
    later = told["exited"] > world.as_of
    ended = {name: told[name].mask(later) for name in ("exited", "exit_reason", "certified")}
    place = world.communes["commune"].to_numpy()[told["place"]]
    allowance = ((told["centre_hours"] + told["company_hours"]) * 3.2).round(2)
    return told.assign(**ended, place=place, cost_eur=told["person_eur"], allowance_eur=allowance)


def _employment(world: World, stock: Stock) -> pd.DataFrame:
    """Write spells of work as known at ``as_of``, with the lag of declarations. One row per spell known by then."""
    rng = world.rng("lags")
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


def _sessions(world: World, sessions: pd.DataFrame, careers: Careers) -> pd.DataFrame:
    """Write the sessions with their entries, blank for those still to come. One row per session."""
    entered = careers.prescriptions[careers.prescriptions["status"] == "entre"].groupby("session").size()
    entries = sessions["session"].map(entered).fillna(0).astype("Int64")
    return sessions.assign(entries=entries.where(np.asarray(sessions["starts"] <= world.as_of)))
