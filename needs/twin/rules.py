"""Simple rules to buy training by, with what a Region can see, to hold the oracle and every model against.

- ``last_purchase``: the sessions of the last year that is over, again.
- ``bmo_shares``: money by the recruitment projects of each bassin and sector in the last survey (what it hides counts for
  nothing), shared between the types that the sector usually buys; types without a sector keep their share of the money.
- ``raw_rates``: what had the best raw rate of work six months after training first, as far as providers can run it (rates of
  all who left, as perfect files would give them).
- ``random``: sessions drawn at random.

All have the oracle's menu, budget and providers, and buy whole sessions. A rule says how many sessions of each row it would
have (any number, parts too); :func:`share_out` turns that into whole ones, one at a time, each time of the row that is furthest
behind its due (Webster's method, also Sainte-Laguë's: the k-th session of a row comes at (k − ½) ÷ its due), until the money
or the providers are used up.
"""

from __future__ import annotations

import heapq

import numpy as np
import pandas as pd

from needs.twin.oracle import Menu, Oracle
from needs.twin.places import Numbers
from needs.twin.survey import family_links, nomenclature_of
from needs.twin.work import Whole
from needs.twin.world import World
from needs.twin.worth import KEY, OPTION, POOL, plan_value, with_option

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
    return share_out(menu, _last_held(world, menu, sessions))


def _last_held(world: World, menu: Menu, sessions: pd.DataFrame) -> Numbers:
    """Count the sessions of the last year that is over, for each row of the menu."""
    held = with_option(sessions[sessions["exercise"] == _last_year(world)])
    counts = held.assign(territory=world.atoms["territory"].to_numpy()[held["atom"]]).groupby(KEY).size()
    return np.asarray(counts.reindex(pd.MultiIndex.from_frame(menu.worth[KEY])).fillna(0), dtype="float64")


def follow_projects(world: World, menu: Menu, sessions: pd.DataFrame, survey: pd.DataFrame) -> Whole:
    """Buy by the projects of the last survey (its rows: year, family, territory, ``met``). Sessions of each row of the menu."""
    rows = menu.worth
    money = _last_held(world, menu, sessions) * rows["session_cents"]
    general = ~np.isfinite(rows["room"])
    usual = money.groupby([rows[name] for name in OPTION]).transform("sum")
    # an option that was not held last year counts for little, so that a sector without any still has a mix
    weight = usual + 1e-6 * usual.sum() + 1e-12
    projects = _projects(world, survey)
    in_sector = projects.reindex(pd.MultiIndex.from_frame(rows[POOL])).fillna(0.0).to_numpy()
    in_all = projects.groupby("territory").sum().reindex(rows["territory"]).fillna(0.0).to_numpy()
    mix = weight / weight.groupby([rows[name] for name in POOL]).transform("sum")
    share = float(money[general].sum() / max(money.sum(), 1.0))
    due = (1 - share) * _shares(in_sector * mix, ~general) + share * _shares(in_all * weight, general)
    return share_out(menu, due * menu.budget_cents / rows["session_cents"].to_numpy())


def _shares(amounts: pd.Series[float], inside: pd.Series[bool]) -> Numbers:
    """Give each row's share of the amounts of the rows inside; 0 for others."""
    kept = amounts.where(inside, 0.0).to_numpy(dtype="float64")
    return np.asarray(kept / max(float(kept.sum()), 1e-12))


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
    found = known.reindex(pd.MultiIndex.from_frame(menu.worth[["sector", "action_type"]])).fillna(0.0).to_numpy()
    people = world.atoms.groupby("territory")["population"].sum()
    return share_out(menu, people.reindex(menu.worth["territory"]).to_numpy(dtype="float64"), -found)


def follow_chance(world: World, menu: Menu) -> Whole:
    """Buy sessions at random. Sessions of each row of the menu."""
    return share_out(menu, world.rng("random plan").exponential(size=len(menu.worth)))


def share_out(menu: Menu, due: Numbers, turn: Numbers | None = None) -> Whole:
    """Buy whole sessions in proportion to what is due to each row; rows of an earlier ``turn`` first. Sessions of each row."""
    bought = np.zeros(len(due), dtype=np.int64)
    costs, option, spare = menu.worth["session_cents"].tolist(), menu.option.tolist(), menu.capacity.tolist()
    turns = np.zeros(len(due)) if turn is None else turn
    heap = [(float(turns[row]), 0.5 / float(due[row]), row) for row in np.flatnonzero(due > 0).tolist()]
    heapq.heapify(heap)
    left = menu.budget_cents
    while heap:
        first, when, row = heapq.heappop(heap)
        if costs[row] > left or not spare[option[row]]:
            continue
        bought[row] += 1
        left -= costs[row]
        spare[option[row]] -= 1
        heapq.heappush(heap, (first, when + 1 / float(due[row]), row))
    return bought


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
