"""Simple rules to buy training by, with what a Region can see, to hold the oracle and every model against.

- ``last_purchase``: the sessions of the last year that is over, again.
- ``bmo_shares``: money by the recruitment projects of each bassin and sector in the last survey (what it hides counts for
  nothing), shared between the types that the sector usually buys; types without a sector keep their share of the money.
- ``raw_rates``: what had the best raw rate of work six months after training first, as far as providers can run it (rates of
  all who left, as perfect files would give them).
- ``random``: sessions drawn at random.

All have the oracle's menu, budget and providers, and buy whole sessions (:mod:`needs.simple_rules`).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from needs.simple_rules import POOL, by_chance, by_projects, by_rates, share_out
from needs.twin.oracle import Menu, Oracle
from needs.twin.places import Numbers
from needs.twin.survey import family_links, nomenclature_of
from needs.twin.work import Whole
from needs.twin.world import World
from needs.twin.worth import KEY, plan_value, with_option

_SECRET_BELOW = 5
_FEWEST_LEAVERS = 10


def raw_rates(leavers: pd.DataFrame) -> pd.DataFrame:
    """Count who works six months after training. One row per sector and action_type: ``rate`` and ``n``.

    ``leavers`` has one row per person who left a course: its ``action_type`` and ``formacode``, and ``works``.
    """
    named = leavers.assign(sector=leavers["formacode"].str[:3], works=leavers["works"].astype(float))
    return named.groupby(["sector", "action_type"])["works"].agg(rate="mean", n="size").reset_index()


def last_budget(world: World, lots: pd.DataFrame) -> int:
    """Add up what the last year that is over cost, in cents; a lot without a bidder cost nothing."""
    paid = lots[(lots["exercise"] == _last_year(world)) & (lots["bids"] > 0)]
    return int((paid["cost_eur"] * 100).round().sum())


def _last_year(world: World) -> int:
    return int(world.as_of.year) - 1


def follow_last_purchase(world: World, menu: Menu, sessions: pd.DataFrame) -> Whole:
    """Buy again what was held in the last year that is over. Sessions of each row of the menu."""
    return share_out(menu.shelf, _last_held(world, menu, sessions))


def _last_held(world: World, menu: Menu, sessions: pd.DataFrame) -> Numbers:
    """Count the sessions of the last year that is over, for each row of the menu."""
    held = with_option(sessions[sessions["exercise"] == _last_year(world)])
    counts = held.assign(territory=world.atoms["territory"].to_numpy()[held["atom"]]).groupby(KEY).size()
    return np.asarray(counts.reindex(pd.MultiIndex.from_frame(menu.worth[KEY])).fillna(0), dtype="float64")


def follow_projects(world: World, menu: Menu, sessions: pd.DataFrame, survey: pd.DataFrame) -> Whole:
    """Buy by the projects of the last survey (its rows: year, family, territory, ``met``). Sessions of each row of the menu."""
    return by_projects(menu.shelf, _last_held(world, menu, sessions), _projects(world, survey))


def _projects(world: World, survey: pd.DataFrame) -> pd.Series[float]:
    """Count projects by bassin and sector: a family's go to its occupations, then to their sectors, in equal parts of links."""
    links = family_links(world, nomenclature_of(int(survey["year"].max())))
    to_sector = (links / links.sum()).T.to_numpy() @ world.sectors.to_numpy()
    shown = survey["met"].where(survey["met"] >= _SECRET_BELOW, 0)
    cells = survey.assign(shown=shown).pivot_table("shown", "territory", "family", aggfunc="sum", fill_value=0)
    cells = cells.reindex(columns=links.columns, fill_value=0)
    places, sectors = cells.index.to_numpy(), world.sectors.columns.to_numpy()
    names = pd.MultiIndex.from_product([places, sectors], names=POOL)
    return pd.Series((cells.to_numpy() @ to_sector).ravel(), index=names)


def follow_raw_rates(world: World, menu: Menu, rates: pd.DataFrame) -> Whole:
    """Buy the best raw rates first, in each bassin by its people. Sessions of each row of the menu."""
    known = rates[rates["n"] >= _FEWEST_LEAVERS].set_index(["sector", "action_type"])["rate"]
    return by_rates(menu.shelf, known, world.atoms.groupby("territory")["population"].sum())


def follow_chance(world: World, menu: Menu) -> Whole:
    """Buy sessions at random. Sessions of each row of the menu."""
    return by_chance(menu.shelf, world.rng("random plan"))


def plan_tables(menu: Menu, oracle: Oracle, bought: dict[str, Whole]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Write the plans of the oracle and of each rule (sessions of each row of the menu), and what they are worth.

    Plans: one row per rule, bassin, sector, type and level. Values: one row per rule; ``oracle_gap`` is how much more than the
    oracle's any plan could be worth at most, as a share.
    """
    plans = {"oracle": oracle.plan, **{rule: menu.plan(sessions) for rule, sessions in bought.items()}}
    values = pd.Series({rule: plan_value(menu.worth, plan) for rule, plan in plans.items()})
    told = pd.DataFrame(
        {
            "rule": values.index,
            "value": values.to_numpy(),
            "share_of_oracle": (values / oracle.value).to_numpy() if oracle.value > 0 else np.nan,
            "cost_cents": [int(plan["cost_cents"].sum()) for plan in plans.values()],
            "budget_cents": menu.budget_cents,
            "oracle_gap": oracle.gap,
        }
    )
    parts = [plan.assign(rule=rule)[["rule", *plan.columns]] for rule, plan in plans.items()]
    return pd.concat(parts, ignore_index=True), told
