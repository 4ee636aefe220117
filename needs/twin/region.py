"""Draw a simulated region: raw files as a Region holds them, and apart from them the truth.

What places share is drawn first (``world``, lots and sessions), then each département apart, on as many processes as one
likes: its random numbers depend on the seed and its own name, so that the files are the same whatever their number.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from joblib import Parallel, delayed

from features.sources import LEAFLET
from features.tables import CONTRACT
from features.vocabulary import InputError
from needs.home import SIMULATED, Home
from needs.twin import raw
from needs.twin.careers import calibrate
from needs.twin.catalogue import draw_unfunded
from needs.twin.department import Folders, Part, Plot, draw_department
from needs.twin.diplomas import write_certifications, write_insertion
from needs.twin.dirt import plant_faults
from needs.twin.effects import Effects
from needs.twin.observers import draw_projections
from needs.twin.official import tension_causes, write_market, write_tension
from needs.twin.oracle import Menu, consult
from needs.twin.places import territories_table
from needs.twin.purchases import add_loads, draw_lots, draw_sessions, room_per_opening
from needs.twin.raw import Written
from needs.twin.rome import write_skills
from needs.twin.rules import (
    follow_chance,
    follow_last_purchase,
    follow_projects,
    follow_raw_rates,
    last_budget,
    plan_tables,
    raw_rates,
)
from needs.twin.scales import in_parts, scale_of
from needs.twin.signals import draw_signals, signal_truth
from needs.twin.skills import skill_table
from needs.twin.survey import survey_years, write_survey
from needs.twin.truth import effect_table, occupation_table, tightness_table
from needs.twin.world import World, draw_world, yearly_openings
from needs.twin.worlds import WorldParams, load_world
from needs.twin.worth import list_options, pool_table, worth_table

AS_OF = pd.Timestamp("2026-03-31")


@dataclass(frozen=True)
class Drawn:
    """What one draw wrote: the raw files, and the tables of truth that only tests and benchmarks open."""

    raw: tuple[Written, ...]
    truth: tuple[Written, ...]

    def rows(self, source: str) -> int:
        """Count the rows of one source over its files."""
        return sum(written.rows for written in self.raw if written.source == source)


def plots_of(world: World, lots: pd.DataFrame) -> list[Plot]:
    """Share sessions and people over the départements, and find the intercepts that all of them have in common."""
    sessions = draw_sessions(world, lots)
    unfunded = draw_unfunded(world, sessions)
    everywhere = np.arange(len(world.atoms))
    openings = yearly_openings(world, everywhere, world.level[:, :, None] * world.common[None])
    room = room_per_opening(world, sessions, openings)
    intercepts = calibrate(Effects(world), add_loads(sessions, openings, room))
    home = world.atoms["department"].to_numpy()
    people = world.atoms.groupby("department")["population"].sum()
    shares = in_parts(world.scale.jobseekers, people.to_numpy())
    return [
        Plot(
            department=department,
            sessions=sessions[home[sessions["atom"]] == department].reset_index(drop=True),
            unfunded=unfunded[home[unfunded["atom"]] == department].reset_index(drop=True),
            jobseekers=jobseekers,
            room=room,
            intercepts=intercepts,
        )
        for department, jobseekers in zip(people.index, shares, strict=True)
    ]


def draw(
    home: Home,
    *,
    world: str | WorldParams = "calm",
    scale: str = "tiny",
    seed: int = 1,
    as_of: pd.Timestamp = AS_OF,
    workers: int = 1,
) -> Drawn:
    """Draw a region into the home: files in ``data/raw``, truth in ``var/truth``. The same seed gives the same bytes.

    ``world`` is the name of one that is shipped, the path of a YAML file, or what such a file says. Files hold nothing that
    was not known at ``as_of``. Refuses to mix with files that are there already.
    """
    dials, size = load_world(world) if isinstance(world, str) else world, scale_of(scale)
    _refuse_mixing(home)
    if seed < 0:
        raise InputError(f"seed: {seed} is negative. Write a whole number from 0, like 1.")
    # written aside and moved at the end: what dies half-way leaves data/raw empty
    aside = home.root / "data" / ".drawing"
    folders = Folders(aside / "raw", aside / "truth")
    _make_room(home, aside)
    placed = [home.raw / SIMULATED]
    try:
        drawn = draw_world(size, dials, seed, as_of.normalize())
        files, truth = _write(drawn, folders, workers)
        told = tuple(replace(file, path=_move(file.path, folders.truth, home.truth, placed)) for file in truth)
        placed[0].write_text(f"{dials.title} ({scale}, seed {seed}): no figure here is real.\n", encoding="utf-8")
        moved = tuple(replace(file, path=_move(file.path, folders.raw, home.raw, placed)) for file in files)
        return Drawn(moved, told)
    except BaseException:  # an error, or a person who stops it: what was placed goes again
        for path in placed:
            path.unlink(missing_ok=True)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _write(world: World, folders: Folders, workers: int) -> tuple[list[Written], list[Written]]:
    """Write every source, then the truth; give the files of both."""
    lots = draw_lots(world)
    plots = plots_of(world, lots)
    parts = list(Parallel(n_jobs=workers)(delayed(draw_department)(world, plot, folders) for plot in plots))
    files = [file for part in parts for file in part.files] + _write_wider(world, lots, parts, folders.raw)
    kept = [file for file in files if file.source in (world.dials.files.sources or {file.source})]
    for file in set(files) - set(kept):
        file.path.unlink()
    truth = [_merge(folder) for folder in sorted(folders.truth.iterdir())]
    if world.dials.files.faults:
        faults = plant_faults(folders.raw, world.rng("faults"))
        again = faults[faults["fault"] == "duplicate"].groupby("file")["rows"].sum()
        named = {file: file.path.relative_to(folders.raw).as_posix() for file in kept}
        kept = [replace(file, rows=file.rows + int(again.get(named[file], 0))) for file in kept]
        truth.append(_write_truth("faults", faults, folders.truth))
    truth += [_write_truth(name, rows, folders.truth) for name, rows in _truths(world, lots, plots, parts, folders.truth)]
    return kept, truth


def _write_wider(world: World, lots: pd.DataFrame, parts: list[Part], folder: Path) -> list[Written]:
    """Write the files that no département has of its own."""
    counts = _together(parts, "counts")
    tables = {
        "purchases": lots.assign(territory=_bare(lots)),
        "projections": draw_projections(world, _together(parts, "family_need")),
        "signals": draw_signals(world),
        "overrides": CONTRACT["overrides"].empty(),
    }
    if world.scale.whole_country:
        tables["territories"] = territories_table(world.communes)
    return [
        *(_write_survey(_together(parts, f"survey_{year}"), year, folder) for year in survey_years(world)),
        *(_write_ours(source, rows, folder) for source, rows in tables.items()),
        write_market(world, counts, folder),
        write_tension(world, folder),
        write_insertion(world, folder),
        write_certifications(world, folder),
        *write_skills(world, folder),
    ]


def _together(parts: list[Part], name: str) -> pd.DataFrame:
    """Put one table of all départements together, in their order. One row per row of theirs."""
    return pd.concat([part.rows[name] for part in parts], ignore_index=True)


def _write_survey(rows: pd.DataFrame, year: int, folder: Path) -> Written:
    path = folder / "bmo" / f"Base_open_data_BMO_{year}.xlsx"
    return Written("bmo", path, write_survey(rows, year, path))


def _write_ours(source: str, rows: pd.DataFrame, folder: Path) -> Written:
    path = folder / source / f"{source}.csv"
    return Written(source, path, raw.write_csv(rows, CONTRACT[source], path))


def _bare(lots: pd.DataFrame) -> list[str]:
    """Write territories as their producers do, without the kind that stands in its own column."""
    return [code.removeprefix(kind) for code, kind in zip(lots["territory"], lots["territory_kind"], strict=True)]


def _truths(
    world: World, lots: pd.DataFrame, plots: list[Plot], parts: list[Part], folder: Path
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Give the tables of truth that are the whole Region's, by name."""
    yield "effects", effect_table(pd.read_parquet(folder / "chances.parquet"))
    yield from _best_plans(world, lots, plots, parts)
    yield "match_values", _match_values(_together(parts, "match_values"))
    yield "occupations", occupation_table(world)
    yield "tightness", tightness_table(world)
    yield "skills", skill_table(world)
    yield "signals", signal_truth(world)
    yield "tension_causes", tension_causes(world)


def _best_plans(world: World, lots: pd.DataFrame, plots: list[Plot], parts: list[Part]) -> Iterator[tuple[str, pd.DataFrame]]:
    """Give what a place is worth in each bassin, the plans of the oracle and of simple rules, and what these are worth."""
    sessions = pd.concat([plot.sessions for plot in plots], ignore_index=True)
    effects, first = Effects(world), plots[0]
    pools = pool_table(world, _together(parts, "openings"), sessions, first.room)
    worth = worth_table(effects, list_options(lots, sessions), pools, _together(parts, "people"), first.intercepts)
    menu = Menu(worth, last_budget(world, lots))
    survey = _together(parts, f"survey_{survey_years(world)[-1]}")
    rules = {
        "last_purchase": follow_last_purchase(world, menu, sessions),
        "bmo_shares": follow_projects(world, menu, sessions, survey),
        "raw_rates": follow_raw_rates(world, menu, raw_rates(_together(parts, "leavers"))),
        "random": follow_chance(world, menu),
    }
    plans, values = plan_tables(menu, consult(menu, rules.values()), rules)
    yield from {"worth": worth, "plans": plans, "plan_values": values}.items()


def _match_values(values: pd.DataFrame) -> pd.DataFrame:
    """Add up what the matches of all départements are worth. One row per rule."""
    summed = values.groupby("rule", sort=False, as_index=False)[["value", "people"]].sum()
    best = summed.loc[summed["rule"] == "oracle", "value"].sum()
    return summed.assign(share_of_oracle=summed["value"] / best if best > 0 else np.nan)


def _merge(folder: Path) -> Written:
    """Put the parts of one table of truth into one file, in the order of départements, one at a time in memory."""
    path, rows = folder.with_suffix(".parquet"), 0
    parts = sorted(folder.iterdir())
    # the largest part knows the types of its columns; one without a row may not
    schema = pq.read_schema(max(parts, key=lambda part: (pq.read_metadata(part).num_rows, part.name)))
    with pq.ParquetWriter(path, schema) as merged:
        for part in parts:
            table = pq.read_table(part).cast(schema)
            merged.write_table(table)
            rows += table.num_rows
    shutil.rmtree(folder)
    return Written(folder.name, path, rows)


def _write_truth(name: str, rows: pd.DataFrame, folder: Path) -> Written:
    path = folder / f"{name}.parquet"
    return Written(name, path, raw.write_truth(rows, path))


def _refuse_mixing(home: Home) -> None:
    there = [path for path in home.raw.rglob("*") if path.is_file() and not path.name.startswith(".") and path.name != LEAFLET]
    if there:
        raise InputError(
            f"{home.raw}: holds {len(there)} files already ({there[0].name}…); a simulated region never mixes with them. "
            "Choose another home, like --home /tmp/demo, or move these files away."
        )


def _make_room(home: Home, aside: Path) -> None:
    """Clear what an earlier drawing left, its truth too, and make the folders; refuse in words where that cannot be."""
    try:
        for folder in (aside, home.truth):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        home.raw.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{home.root}: cannot be drawn in ({error.strerror}). Choose another home with --out.") from error


def _move(path: Path, aside: Path, folder: Path, placed: list[Path]) -> Path:
    """Move a file to its place, which is noted before it lies there."""
    target = folder / path.relative_to(aside)
    placed.append(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    return path.replace(target)
