"""What the plan would have obtained in a past year: chosen with what was known then, judged by what is known today.

The plan and its rivals have the same menu, providers and money, that which was really spent on the exercise, and buy whole
sessions. The judge knows what happened since: the recruitments of the months served, as offers and surveys show them (nothing
is forecast), and today's effects. It shares the law of absorption with the plan, which only a known truth can judge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.stats import norm

from features.build import Features
from features.crosswalks import sector_links
from features.demand import last_full_month
from features.seats import attach_sessions, read_lots
from features.tables import Tables
from features.vocabulary import REGION, InputError
from models.bids import write_problem
from models.buying import Numbers, Problem, Whole, buy, jobs_of
from models.envelopes import Envelope, Grounds, PurchaseParams
from models.gap import sector_needs, yearly_gap
from models.purchase import served_months
from models.ranking import GENERAL, KEY, rank_options
from needs.params import Params
from needs.run.choice import Chosen, choose
from needs.run.door import Door
from needs.run.inputs import gather
from needs.simple_rules import Shelf, by_chance, by_projects, by_rates, share_out

OURS, BEST = "plan", "best"
FEWEST_MONTHS, YEARS_BACK, DRAWS, RANDOM_PLANS = 6, 4, 200, 10
_REACH = float(norm.ppf(0.9))
Plans = Mapping[str, Sequence[Numbers | Whole]]


@dataclass(frozen=True)
class PastYear:
    """The year that is bought again: the day of the choice, the exercise, its months that are over, and what was spent."""

    then: pd.Timestamp
    exercise: int
    months: tuple[str, ...]
    budget_cents: int


@dataclass(frozen=True)
class Verdict:
    """What each plan would have obtained. ``values``: one row per plan, see :func:`compare`."""

    year: PastYear
    values: pd.DataFrame


def backtest_plan(tables: Tables, today: Features, as_of: pd.Timestamp, effects: pd.DataFrame, params: Params) -> Verdict:
    """Choose again with what was known in the past year, and judge it by ``today`` and ``effects``, known at ``as_of``."""
    year = past_year(tables, as_of)
    asked = with_budget(params, year.budget_cents)
    chosen = choose(gather(tables, year.then, asked, Door({}, simulated=False)))
    rows = judged_rows(chosen, today, effects, year, params)
    finishing = float(today.chain["fill"].iloc[0]) * float(today.chain["completion"].iloc[0])
    problem = judge(rows, finishing, asked.purchase)
    plans: dict[str, Sequence[Numbers | Whole]] = {
        OURS: [sessions_of(chosen.plan.lots, rows)],
        **rivals(problem, rows, chosen.features, tables.known_at(year.then), year),
    }
    plans[BEST] = [buy(problem, asked.purchase.search).sessions]
    drawn = [judge(draw_rows(rows, seed), finishing, asked.purchase) for seed in range(DRAWS)]
    return Verdict(year, compare(plans, problem, drawn))


def past_year(tables: Tables, as_of: pd.Timestamp) -> PastYear:
    """Find the newest year that can be judged: half of the months it serves are over, and what it cost is known."""
    for back in range(1, YEARS_BACK + 1):
        then = as_of - pd.DateOffset(years=back)
        months = tuple(month for month in served_months(then.year + 1) if month <= last_full_month(as_of))
        spent = spent_on(tables.known_at(as_of).purchases, then.year + 1)
        if len(months) >= FEWEST_MONTHS and spent > 0:
            return PastYear(then, then.year + 1, months, spent)
    raise InputError(
        f"backtest: no exercise before {as_of:%Y-%m-%d} can be judged. It takes purchases of an exercise with their cost "
        f"(data/raw/purchases), and offers of {FEWEST_MONTHS} months after the June in it, like 2024 judged in 2026."
    )


def spent_on(purchases: pd.DataFrame, exercise: int) -> int:
    """Add up what an exercise cost, in cents; a lot without a bidder cost nothing."""
    paid = purchases[(purchases["exercise"] == exercise) & (purchases["bids"] != 0).fillna(True)]
    return int((paid["cost_eur"].fillna(0.0) * 100).round().sum())


def with_budget(params: Params, cents: int) -> Params:
    """Let one envelope pay for everything, for the year after the day, and nothing else bind but providers."""
    one = {
        "envelopes": (Envelope(name="budget", amount_eur=cents / 100),),
        "rules": (),
        "levers": (),
        "exercise": None,
        "draws": 0,
    }
    return params.model_copy(update={"purchase": params.purchase.model_copy(update=one)})


# The judge --------------------------------------------------------------------------------------------------------------


def judge(rows: pd.DataFrame, finishing: float, purchase: PurchaseParams) -> Problem:
    """Write the choice as rivals have it: one cell per row, groups of their usual size, no lever."""
    usual = rows.assign(group_paid=True, ends_early=False)
    return write_problem(usual, finishing, purchase, Grounds.bare()).problem


def judged_rows(chosen: Chosen, today: Features, effects: pd.DataFrame, year: PastYear, params: Params) -> pd.DataFrame:
    """Put what is known today beside what could be bought then. Same rows as the ranking of then, in its order.

    Menu, group, price and providers are those of then; need, gap and success those of today.
    """
    menu, limits = chosen.features.options, params.features.grades.limits()
    gaps = realised_gaps(today, chosen.features, year, params)
    told = replace(chosen.known, options=menu, eligible=today.eligible, outcomes=today.outcomes, effects=effects)
    known = rank_options(gaps, replace(told, chain=today.chain), params.ranking, limits)
    seen = ["need", "solvable", "room", "room_low", "room_high", "success", "success_low", "success_high", "spread"]
    known = known.assign(spread=known["territory"].map(_spread_of(today.coverage)).fillna(0.0))
    then = chosen.ranked.drop(columns=[name for name in seen if name in chosen.ranked])
    rows = then.merge(known[[*KEY, *seen]], on=KEY, how="left", validate="one_to_one")
    return rows.fillna(dict.fromkeys(seen, 0.0)).reset_index(drop=True)


def realised_gaps(today: Features, then: Features, year: PastYear, params: Params) -> pd.DataFrame:
    """Set the recruitments that came against who was there for them. One row per territory, sector, level, for a whole year.

    What was under way is what was known of it then: what the exercise itself bought is not yet in it.
    """
    key = ["territory", "occupation", "period"]
    came = today.panel[today.panel["period"].isin(year.months)].groupby(key, as_index=False)[["need", "positions"]].sum()
    came = came.assign(need_low=came["need"], need_high=came["need"], n=came["positions"])
    supply = today.supply.groupby(["territory", "occupation"], as_index=False)[["supply"]].sum()
    coming = then.under_way.groupby(["territory", "sector", "level", "period"], as_index=False)[["under_way"]].sum()
    limits = params.features.grades.limits()
    gaps = yearly_gap(sector_needs(came, sector_links(today.crosswalks), supply, coming, limits))
    whole = 12 / len(year.months)
    return gaps.assign(**{name: gaps[name] * whole for name in ("gap", "gap_low", "gap_high", "need")})


def _spread_of(coverage: pd.DataFrame) -> pd.Series[float]:
    """Give the spread of the logarithm of what the need is divided by. One number per territory."""
    known = coverage.set_index("territory")
    wide = np.log(known["coverage_high"].to_numpy(dtype="float64") / known["coverage_low"].to_numpy(dtype="float64"))
    return pd.Series(wide / (2 * _REACH), index=known.index)


def draw_rows(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Draw need and effects jointly: the coverage of each territory, the effect of each sector and type. Same rows."""
    rng = np.random.default_rng([seed, len(rows)])
    place, kind = (rows.groupby(names).ngroup().to_numpy() for names in (["territory"], ["sector", "action_type"]))
    factor = np.exp(rng.standard_normal(len(rows))[place] * rows["spread"])
    error = (rows["success_high"] - rows["success_low"]) / (2 * _REACH)
    moved = rows["need"] * (factor - 1)
    # People not yet served are counted, not estimated.
    moved = moved.mask(rows["action_type"].isin(GENERAL), 0.0)
    return rows.assign(
        need=rows["need"] + moved,
        **{name: rows[name] + moved * rows["solvable"] for name in ("room", "room_low", "room_high")},
        success=rows["success"] + rng.standard_normal(len(rows))[kind] * error,
    )


def compare(plans: Plans, problem: Problem, drawn: list[Problem]) -> pd.DataFrame:
    """Value each plan, and ours less each other one. One row per plan: value, low, high; apart, apart_low, apart_high, won.

    Values are means over the draws (``problem`` gives prices), intervals hold 80 % of them; differences are taken draw by
    draw, and ``won`` is the share of draws in which ours adds more. ``of_best`` is the value as a share of that of the plan
    which today's knowledge would have bought. A rival of several plans is their mean.
    """
    values = {name: np.array([np.mean([gross(each, one) for one in of]) for each in drawn]) for name, of in plans.items()}
    best = float(values[BEST].mean())
    rows = []
    for name, of in plans.items():
        told = [figure for each in (values[name], values[OURS] - values[name]) for figure in _told(each)]
        won = float((values[OURS] > values[name]).mean())
        cost = float(np.mean([(problem.cost * one).sum() for one in of])) / 100
        rows.append((name, *told, won, told[0] / best if best > 0 else float("nan"), cost))
    columns = ["plan", "value", "low", "high", "apart", "apart_low", "apart_high", "won", "of_best", "cost_eur"]
    return pd.DataFrame(rows, columns=columns)


def _told(draws: Numbers) -> list[float]:
    """Give the mean of draws and the bounds of their middle 80 %."""
    return [float(draws.mean()), *(float(end) for end in np.quantile(draws, (0.1, 0.9)))]


def gross(problem: Problem, sessions: Numbers | Whole) -> float:
    """Give the jobs that sessions add, places that hold people back counted with their loss, no hurdle taken off."""
    return float(jobs_of(problem, sessions).sum())


def sessions_of(lots: pd.DataFrame, rows: pd.DataFrame) -> Numbers:
    """Count the sessions that lots hold of each row, in groups of its usual size."""
    places = lots.assign(level=lots["exit_level"]).groupby(KEY)["places"].sum()
    held = places.reindex(pd.MultiIndex.from_frame(rows[KEY])).fillna(0.0).to_numpy(dtype="float64")
    return np.asarray(held / rows["group"].to_numpy(dtype="float64"))


# Rivals -----------------------------------------------------------------------------------------------------------------


def rivals(problem: Problem, rows: pd.DataFrame, then: Features, known: Tables, year: PastYear) -> dict[str, list[Whole]]:
    """Let simple rules buy with what was known then. Sessions of each row, by rule; one that lacks its source is not there."""
    shelf = shelf_of(problem, rows)
    held = last_held(known, rows, year.then.year - 1)
    told: dict[str, list[Whole]] = {"last_purchase": [share_out(shelf, held)]} if held.any() else {}
    if len(then.seen.survey.occupations):
        told["bmo_shares"] = [by_projects(shelf, held, projects_of(then))]
    if len(rates := raw_rates(then.outcomes)):
        told["raw_rates"] = [by_rates(shelf, rates, then.people.groupby("territory").size().astype("float64"))]
    return {**told, "random": [by_chance(shelf, np.random.default_rng(seed)) for seed in range(RANDOM_PLANS)]}


def shelf_of(problem: Problem, rows: pd.DataFrame) -> Shelf:
    """Give what rules choose from: what the plan could choose from, no more and no less."""
    named = rows[KEY].assign(session_cents=problem.cost, general=rows["action_type"].isin(GENERAL))
    return Shelf(named, problem.kind, problem.capacity.astype(np.int64), int(problem.budget.sum()))


def last_held(known: Tables, rows: pd.DataFrame, year: int) -> Numbers:
    """Count the sessions of each row that were held in a year."""
    held = attach_sessions(known.sessions, read_lots(known.purchases))
    counts = held[held["starts"].dt.year == year].groupby(KEY).size()
    return np.asarray(counts.reindex(pd.MultiIndex.from_frame(rows[KEY])).fillna(0), dtype=np.float64)


def projects_of(then: Features) -> pd.Series[float]:
    """Carry the projects of the last survey to sectors. One number per territory and sector."""
    links = sector_links(then.crosswalks).groupby(["occupation", "sector"], as_index=False)[["weight"]].sum()
    carried = then.seen.survey.occupations.merge(links, on="occupation", how="inner", validate="many_to_many")
    return (carried["projects"] * carried["weight"]).groupby([carried["territory"], carried["sector"]]).sum()


def raw_rates(outcomes: pd.DataFrame) -> pd.Series[float]:
    """Give the Region's rates of work six months after the exit. One number per sector and action_type."""
    asked = (outcomes["territory"] == REGION) & (outcomes["public"] == "tout_public") & (outcomes["outcome"] == "work")
    told = outcomes[asked & (outcomes["horizon_months"] == 6) & (outcomes["n"] > 0)]
    keys = [told["sector"], told["action_type"]]
    return (told["value"] * told["n"]).groupby(keys).sum() / told["n"].groupby(keys).sum()
