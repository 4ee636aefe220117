"""How good a plan is, and how long it takes, at the scale of a Region and ten times that.

The problem is made up: bassins × 251 options with prices, groups, effects and gaps drawn as they are spread in a simulated
region; eight envelopes, each for what its funder pays; and 200 floors on places, by bassin, bassin and level, bassin and kind,
sector and type. A floor asks for half of what a plan drawn at random buys, so that all hold together. The peer buys session
after session where worth per euro is highest (floors first), as was done before. Stability draws need, effect and cost 50
times.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from time import perf_counter

import numpy as np
import pandas as pd

from features.vocabulary import PREPARING
from figures import Figure
from models.bids import Written, write_problem
from models.buying import Numbers, Problem, Whole, buy, jobs_at_the_margin, worth_of
from models.envelopes import Envelope, Grounds, PurchaseParams, Rule
from models.stability import stabilities

FINISHING = 0.6
BASSINS, OPTIONS, FLOORS = 43, 251, 200
MONEY = 72e6  # of a Region, beyond what is committed
ASKED = 0.5
TYPES = ("certification", "professionnalisation", "prequalification", "perfectionnement")
LEVELS = ("3", "4", "5")
PARAMS = PurchaseParams()


def measure() -> Iterator[Figure]:
    """Solve the Region's problem, then one ten times as large, then draw futures."""
    ranked = draw_options(BASSINS, seed=1)
    params = with_floors(ranked, with_envelopes(MONEY), seed=2)
    written, sessions = yield from solve("10,793 cells", ranked, params, seconds=30.0, gap=0.1)
    peer = worth_of(written.problem, buy_greedily(written)) / worth_of(written.problem, sessions)
    yield Figure("10,793 cells: greedy plan ÷ ours", peer, "ratio", 1.0)
    started = perf_counter()
    stabilities(ranked, written, FINISHING, params)
    yield Figure(f"10,793 cells: {params.draws} draws of need, effect and cost", perf_counter() - started, "s", 120.0)
    larger = draw_options(10 * BASSINS, seed=3)
    params = with_floors(larger, with_envelopes(10 * MONEY), seed=4)
    yield from solve("107,930 cells", larger, params, seconds=300.0, gap=0.5)


def solve(
    name: str, ranked: pd.DataFrame, params: PurchaseParams, *, seconds: float, gap: float
) -> Generator[Figure, None, tuple[Written, Whole]]:
    """Write and solve one problem; gives it and the sessions bought."""
    started = perf_counter()
    written = write_problem(ranked, FINISHING, params, Grounds.bare())
    bought = buy(written.problem, params.search)
    yield Figure(f"{name}, 8 envelopes, {len(params.rules)} floors: time", perf_counter() - started, "s", seconds)
    yield Figure(f"{name}: below the bound by", 100 * bought.gap, "%", gap)
    return written, bought.sessions


def draw_options(bassins: int, seed: int) -> pd.DataFrame:
    """Draw what can be bought. One row per bassin and option; price, group and most of the effect are the option's."""
    rng = np.random.default_rng(seed)
    sectors = [str(100 + 7 * number) for number in range(90)]
    every = [(sector, kind, level) for sector in sectors for kind in TYPES for level in LEVELS]
    every += [(f"15{number}", kind, "") for number, kind in enumerate(PREPARING)]
    chosen = sorted(rng.choice(len(every), OPTIONS, replace=False))
    options = pd.DataFrame([every[place] for place in chosen], columns=["sector", "action_type", "level"]).assign(
        group=rng.integers(8, 17, OPTIONS),
        place_eur=rng.lognormal(np.log(3500), 0.35, OPTIONS).round(2),
        busiest=np.ceil(rng.gamma(2.0, 8.0, OPTIONS) * bassins / BASSINS),
        effect=rng.normal(0.16, 0.07, OPTIONS),
    )
    rows = pd.DataFrame({"territory": [f"BE{number:04d}" for number in range(bassins)]}).merge(options, how="cross")
    pool = rows.groupby(["territory", rows["sector"].mask(rows["action_type"].isin(PREPARING), "")]).ngroup()
    need = rng.gamma(0.7, 60.0, int(pool.max()) + 1)
    gap, unsure = need * rng.uniform(-0.1, 0.9, len(need)), need * rng.uniform(0.05, 0.4, len(need))
    success = rows["effect"] + rng.normal(0.0, 0.02, len(rows))
    return rows.assign(
        success=success,
        success_low=success - 0.06,
        success_high=success + 0.06,
        need=need[pool],
        room=gap[pool],
        room_low=(gap - unsure)[pool],
        room_high=(gap + unsure)[pool],
        group_min=rows["group"],
        fill=0.85,
        price_spread=0.1,
        allowance_eur=0.0,
        group_paid=True,
        ends_early=False,
    )


def with_envelopes(money: float) -> PurchaseParams:
    """State eight envelopes, each for what its funder pays."""
    whole = {"base": {}, "additional": {"levels": ("", "3", "4")}, "state": {"action_types": (*PREPARING, "prequalification")}}
    parts = {"esf": {"levels": ("3",)}, "employment": {"action_types": ("professionnalisation", "perfectionnement")}}
    parts |= {"certifying": {"action_types": ("certification",)}, "preparing": {"action_types": PREPARING}}
    parts |= {"sectors": {"sectors": tuple(str(100 + 7 * number) for number in range(0, 90, 3))}}
    shares = (0.45, 0.15, 0.12, 0.08, 0.08, 0.05, 0.04, 0.03)
    stated = zip({**whole, **parts}.items(), shares, strict=True)
    envelopes = tuple(Envelope(name=name, amount_eur=share * money, **scope) for (name, scope), share in stated)
    return PARAMS.model_copy(update={"envelopes": envelopes})


def with_floors(ranked: pd.DataFrame, params: PurchaseParams, seed: int) -> PurchaseParams:
    """Promise half of the places that a plan drawn at random buys, in each of 200 parts of the Region."""
    free = write_problem(ranked, FINISHING, params, Grounds.bare())
    places = free.problem.places_of(buy_at_random(free.problem, seed))
    towns, sectors = sorted(ranked["territory"].unique())[:BASSINS], sorted(ranked["sector"].unique())
    scopes = [
        *({"territories": (town,)} for town in towns),
        *({"territories": (town,), "levels": ("3",)} for town in towns),
        *({"territories": (town,), "action_types": PREPARING} for town in towns),
        *({"action_types": (kind,)} for kind in TYPES),
        *({"sectors": (sector,)} for sector in sectors),
    ][:FLOORS]
    rules = [Rule(name=str(number), kind="floor", amount=0.0, **scope) for number, scope in enumerate(scopes)]
    promised = [float((rule.share_of(ranked, Grounds.bare()) * places).sum()) for rule in rules]
    floors = [rule.model_copy(update={"amount": ASKED * count}) for rule, count in zip(rules, promised, strict=True)]
    return params.model_copy(update={"rules": tuple(floors)})


# Peers ------------------------------------------------------------------------------------------------------------------


def buy_at_random(problem: Problem, seed: int) -> Whole:
    """Buy one session of each bid in a random order, while there is money and somebody to run it."""
    left, spare = problem.budget.copy(), problem.capacity.copy()
    sessions = np.zeros(len(problem.cell), dtype=np.int64)
    for bid in np.random.default_rng(seed).permutation(len(problem.cell)).tolist():
        envelope, kind = problem.envelope[bid], problem.kind[problem.cell[bid]]
        if problem.cost[bid] <= left[envelope] and spare[kind] >= 1:
            sessions[bid] = 1
            left[envelope] -= problem.cost[bid]
            spare[kind] -= 1
    return sessions


def buy_greedily(written: Written) -> Whole:
    """Buy session after session what adds most for its money; while a floor is missed, among what counts in it."""
    problem = written.problem
    weight = problem.weight.tocsr()
    left, spare = problem.budget.copy(), problem.capacity.copy()
    sessions = np.zeros(len(problem.cell), dtype=np.int64)
    size = problem.places[problem.cell].astype("float64")

    def buy_best(counts: Numbers) -> bool:
        _, following, _ = jobs_at_the_margin(problem, sessions)
        allowed = (problem.cost <= left[problem.envelope]) & (spare[problem.kind[problem.cell]] >= 1) & (counts > 0)
        gain = np.where(allowed, (following[problem.cell] - problem.hurdle) * size / problem.cost, -np.inf)
        order = np.argsort(-gain, kind="stable")[:_AT_ONCE]
        taken = False
        for bid in order[np.isfinite(gain[order])].tolist():
            envelope, kind = problem.envelope[bid], problem.kind[problem.cell[bid]]
            if problem.cost[bid] > left[envelope] or spare[kind] < 1 or (gain[bid] <= 0 and counts.min() > 0):
                continue
            sessions[bid] += 1
            left[envelope] -= problem.cost[bid]
            spare[kind] -= 1
            taken = True
            if counts.min() <= 0:
                break
        return taken

    for row in range(weight.shape[0]):
        counts = weight[[row]].toarray()[0]
        while float((weight[[row]] @ sessions)[0]) < problem.low[row] and buy_best(counts):
            pass
    while buy_best(np.ones(len(problem.cell))):
        pass
    return sessions


_AT_ONCE = 5  # sessions bought before margins are taken again
