"""People of a simulated region without its offers, surveys and plans: quick to draw many times, with what is true of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import pandas as pd

from features.crosswalks import build_crosswalks
from features.exits import OutcomeParams, Past, link_courses
from features.starts import StartParams, Watched, add_places, gather_starts
from features.tables import EMPLOYMENT, JOBSEEKERS, OUTCOMES, OVERRIDES, TRAININGS
from needs.twin.department import draw_population, people_rows
from needs.twin.effects import Effects
from needs.twin.market import draw_market
from needs.twin.people import person_ids
from needs.twin.purchases import draw_lots
from needs.twin.region import plots_of
from needs.twin.scales import SCALES, Scale
from needs.twin.simulated import AS_OF, Dial, turned
from needs.twin.truth import chance_table
from needs.twin.world import World, draw_world

CONTRACTS = {contract.name: contract for contract in (JOBSEEKERS, TRAININGS, EMPLOYMENT)}


@dataclass(frozen=True)
class Population:
    """What files hold of people (``tables``), what is true of each entry (``chances``), and the ``drive`` of each person."""

    tables: Mapping[str, pd.DataFrame]
    openings: pd.DataFrame
    chances: pd.DataFrame
    drive: pd.Series[float]


def draw_people(world: str, dials: Mapping[str, Dial], seed: int, scale: str | Scale = "tiny") -> Population:
    """Draw the people of a world, département by département."""
    size = SCALES[scale] if isinstance(scale, str) else scale
    drawn = draw_world(size, turned(world, dials), seed, AS_OF)
    effects, parts, chances, drives, openings = Effects(drawn), [], [], [], []
    for plot in plots_of(drawn, draw_lots(drawn)):
        market = draw_market(drawn, plot.department)
        _, careers, stock = draw_population(effects, market, plot)
        parts.append(people_rows(market, careers, stock))
        chances.append(chance_table(effects, careers.entries, plot.intercepts))
        people = pd.concat([careers.people, stock.people], ignore_index=True)
        drives.append(pd.Series(people["drive"].to_numpy(), index=person_ids(people["pid"])))
        openings.append(_openings(drawn, market))
    tables = {name: _typed(drawn, name, pd.concat([part[name] for part in parts], ignore_index=True)) for name in CONTRACTS}
    drive = pd.concat(drives)
    return Population(tables, pd.concat(openings), pd.concat(chances, ignore_index=True), drive[~drive.index.duplicated()])


def _openings(world: World, market: object) -> pd.DataFrame:
    """Count a year's positions. One row per territory and occupation."""
    yearly = market.positions[:, :, -39:-27].sum(axis=2)  # type: ignore[attr-defined]
    table = pd.DataFrame(yearly, columns=world.occupations["occupation"])
    table = table.assign(territory=world.atoms["territory"].to_numpy()[market.atoms])  # type: ignore[attr-defined]
    return table.melt("territory", var_name="occupation", value_name="positions").astype({"occupation": "str"})


def _typed(world: World, name: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Give rows the columns, types and places that the lake would."""
    contract = CONTRACTS[name]
    places = (
        world.communes.assign(
            territory=world.atoms["territory"].to_numpy()[world.communes["atom"]],
            department=world.atoms["department"].to_numpy()[world.communes["atom"]],
        )
        .drop_duplicates("commune")
        .set_index("commune")
    )
    held = rows.assign(**{of: rows["commune"].map(places[of]).astype("str") for of in ("territory", "department")})
    columns = {c.name: held[c.name] if c.name in held else pd.Series(None, index=held.index) for c in contract.columns}
    return pd.DataFrame({c.name: columns[c.name].astype(c.dtype) for c in contract.columns})


@cache
def links() -> pd.DataFrame:
    """Say what courses lead to, as shipped."""
    return link_courses(build_crosswalks(OVERRIDES.empty(), AS_OF, []))


def starts_of(drawn: Population, params: StartParams | None = None) -> pd.DataFrame:
    """Gather the starts of a population as a run does. One row per person and start."""
    tables = drawn.tables
    past = Past(tables["trainings"], tables["employment"], OUTCOMES.empty(), links())
    starts = gather_starts(Watched(past, tables["jobseekers"]), AS_OF, params or StartParams(), OutcomeParams())
    people = tables["jobseekers"]
    return add_places(starts, drawn.openings, people[people["known_from"] == people["known_from"].max()])
