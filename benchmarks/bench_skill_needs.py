"""How near the shares and the needs of skills come to the truth, by rolling origin, and how often a steady skill looks new.

Calm and crisis regions at the scale ``demo``, each drawn with its first frozen seed: files give the offers, truth the chance of
each skill in each month. Shares are foretold from ``as_of`` and from one and two years before, for the first and the
second year ahead. Beside the method stand the plain share of the last year, that of all years, and the method without trends.
Needs stand beside those that the positions which employers will publish ask for, forecast by the seasonal naive; so their
intervals hold the errors of that forecast as well.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench_novelty import AS_OF, FATES, WORLDS, offers_of
from features import facts
from features.contracts import GradeLimits
from features.demand import DemandParams
from features.lazy import lazy
from features.novelty import NoveltyParams, count_series, score_novelty
from features.skill_gaps import place_gaps
from features.skill_shares import YEAR, SkillShareParams, count_listing, count_steps, follow_shares
from features.skills import SkillParams, count_skills
from figures import Figure
from models.forecast import SeasonalNaive
from models.skills import Asked, SkillNeedParams, skill_needs
from needs.twin import Simulated, simulate
from needs.twin.worlds import frozen_seeds

COUNTED, DEMAND, PARAMS = SkillParams(), DemandParams(), SkillShareParams()
UNLISTED = pd.DataFrame({"occupation": [], "skill": []}, dtype="str")
LIMITS = GradeLimits(100, 30, 10, 0.2, 0.5)
ORIGINS = (0, 1, 2)
QUARTERS, HORIZON = 9, 27
Numbers = NDArray[np.float64]


class Told(NamedTuple):
    """Shares of pairs foretold for one year, by each way, and the truth."""

    ways: dict[str, Numbers]
    truth: Numbers
    inside: Numbers
    weight: Numbers
    steady: Numbers


def measure() -> Iterator[Figure]:
    """Draw each region and set what is foretold beside what is true."""
    for world in WORLDS:
        with tempfile.TemporaryDirectory() as folder:
            region = simulate(world, scale="demo", seed=frozen_seeds(world).learning[0], folder=Path(folder), workers=-1)
            offers = offers_of(region)
            for years in ORIGINS:
                yield from shares(world, region, offers, years)
            yield from needs(world, region, offers)


def chances(fates: pd.DataFrame, months: NDArray[np.int64]) -> Numbers:
    """Give the chance that an offer asks each skill, months since ``as_of``: as ``needs.twin.skills`` says."""
    rise = 1 / (1 + np.exp(-(months[None, :] - fates["turn"].to_numpy()[:, None]) / 4))
    fate, usual = fates["fate"].to_numpy()[:, None], fates["usual"].to_numpy()[:, None]
    moves = [fate == "emerging", fate == "vanishing"]
    return np.asarray(np.select(moves, [0.02 + 0.58 * rise, 0.60 - 0.58 * rise], np.broadcast_to(usual, rise.shape)))


def shares(world: str, region: Simulated, offers: pd.DataFrame, years: int) -> Iterator[Figure]:
    """Tell the error of each way in points of share, weighed by offers, and the coverage of intervals."""
    as_of = AS_OF - pd.DateOffset(years=years)
    steps = count_steps(lazy(offers), as_of, COUNTED, DEMAND)
    pairs, ahead, _ = follow_shares(steps, UNLISTED, 2 * YEAR, PARAMS)
    asking = steps.groupby(["occupation", "skill"])["offers"].sum()
    ever = asking.reindex(pd.MultiIndex.from_frame(pairs[["occupation", "skill"]])).to_numpy()
    of_all = asking.xs("", level="skill").reindex(pairs["occupation"]).to_numpy()
    fates = region.truth("skills").set_index(["occupation", "skill"])
    fates = fates.reindex(pd.MultiIndex.from_frame(pairs[["occupation", "skill"]]))
    shape = (len(pairs), 2 * YEAR + 1)
    angle, doubt = (ahead[name].to_numpy().reshape(shape) for name in ("angle", "variance"))
    for year in (1, 2):
        inside = slice(1 + YEAR * (year - 1), 1 + YEAR * year)
        months = np.arange(12 * (year - 1) + 1, 12 * year + 1) - 12 * years
        truth = chances(fates, months).mean(axis=1)
        ways = {
            "last year": (pairs["asking"] / pairs["n"].clip(lower=1)).to_numpy(),
            "all years": ever / of_all,
            "pooled": np.sin(angle[:, 0]) ** 2,
            "pooled, led on": np.sin(angle[:, inside].mean(axis=1)) ** 2,
        }
        held = np.abs(np.arcsin(np.sqrt(truth)) - angle[:, inside].mean(axis=1)) <= 1.2816 * np.sqrt(
            doubt[:, inside].mean(axis=1)
        )
        steady = (fates["fate"] == "steady").to_numpy()
        title = f"{world}, {years} years before, year {year}"
        yield from told(title, Told(ways, truth, held, pairs["n"].to_numpy(), steady))


def told(title: str, shares: Told) -> Iterator[Figure]:
    for way, share in shares.ways.items():
        error = 100 * np.abs(share - shares.truth)
        yield Figure(f"{title}: {way}", float(np.average(error, weights=shares.weight)), "points")
        yield Figure("  steady / moving", float(error[shares.steady].mean()), f"/ {error[~shares.steady].mean():.3g} points")
    yield Figure("  coverage of 80 %", float(shares.inside.mean()), "")
    yield Figure("  coverage of 80 %, moving", float(shares.inside[~shares.steady].mean()), "")


def needs(world: str, region: Simulated, offers: pd.DataFrame) -> Iterator[Figure]:
    """Tell the error of needs of skills, their coverage by volume, and what is said to emerge."""
    steps = count_steps(lazy(offers), AS_OF, COUNTED, DEMAND)
    counts = count_skills(lazy(offers), facts.communes(), AS_OF, COUNTED, DEMAND)
    listing = count_listing(lazy(offers), facts.communes(), AS_OF, PARAMS, DEMAND)
    pairs, ahead, learned = follow_shares(steps, UNLISTED, QUARTERS, PARAMS)
    gaps = place_gaps(counts, listing, pairs, learned["dispersion"].item(), PARAMS)
    asked = Asked(pairs, ahead, gaps, score_novelty(count_series(counts), NoveltyParams()))
    future, past, forecasts = published(region)
    found = skill_needs(forecasts, past, asked, SkillNeedParams(), LIMITS).needs
    found = found[found["territory"].str.startswith("BE")]
    both = found.merge(asking(region, future, past), on=["territory", "skill", "period"], how="left", validate="one_to_one")
    both = both.fillna({"truth": 0.0})
    for year, rows in both.groupby("period"):
        held = rows["truth"].between(rows["low"], rows["high"])
        error = (rows["value"] - rows["truth"]).abs().sum() / rows["truth"].sum()
        yield Figure(f"{world}, needs of {year}: rows", len(rows), "")
        yield Figure("  WAPE", error, "")
        yield Figure("  coverage of 80 %", held.mean(), "")
        for name, part in rows.groupby(pd.cut(rows["value"], [0, 5, 20, np.inf], labels=["1–5", "5–20", "20 and more"])):
            yield Figure(f"  coverage of 80 %, {name}", held[part.index].mean(), "")
    yield from emerging(region, found)


def published(region: Simulated) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Give positions by bassin, occupation, month: those to come, those past, and what the seasonal naive forecasts."""
    keys = ["territory", "occupation", "period"]
    series = (
        region.truth("need").groupby(keys, as_index=False, observed=True)[["positions"]].sum().astype({"positions": "float64"})
    )
    series = series.astype(dict.fromkeys(keys, "str")).rename(columns={"positions": "need"})
    last = str(AS_OF.to_period("M"))
    past, future = series[series["period"] <= last], series[series["period"] > last]
    parts = [
        SeasonalNaive().fit(rows.rename(columns={"need": "value"})).predict(HORIZON) for _, rows in past.groupby("territory")
    ]
    forecasts = pd.concat(parts, ignore_index=True)
    return future, past, forecasts.assign(need=forecasts["value"], coverage=1.0, coverage_low=1.0, coverage_high=1.0)


def asking(region: Simulated, future: pd.DataFrame, past: pd.DataFrame) -> pd.DataFrame:
    """Give the truth: positions that ask each skill. One row per territory, skill, period."""
    rows = pd.concat([past, future])
    rows = rows[(rows["period"] >= f"{AS_OF.year}-01") & (rows["need"] > 0)].merge(
        region.truth("skills"), on="occupation", how="inner", validate="many_to_many"
    )
    since = (pd.PeriodIndex(rows["period"], freq="M") - AS_OF.to_period("M")).map(lambda step: step.n).to_numpy()
    rise = 1 / (1 + np.exp(-(since - rows["turn"].to_numpy()) / 4))
    moves = [rows["fate"] == "emerging", rows["fate"] == "vanishing"]
    chance = np.select(moves, [0.02 + 0.58 * rise, 0.60 - 0.58 * rise], rows["usual"])
    sums = rows.assign(truth=rows["need"] * chance, period=rows["period"].str[:4])
    return sums.groupby(["territory", "skill", "period"], as_index=False)[["truth"]].sum()


def emerging(region: Simulated, found: pd.DataFrame) -> Iterator[Figure]:
    """Tell false alarms and recall of the marks, by skill."""
    fates = region.truth("skills").drop_duplicates("skill").set_index("skill")["fate"].map(FATES)
    marks = found.drop_duplicates("skill").set_index("skill")
    marks = marks[marks["emerging"].notna()]
    fate, mark = fates.reindex(marks.index), marks["emerging"].map({1.0: "emerging", 0.0: "steady", -1.0: "declining"})
    steady = fate == "steady"
    yield Figure("  emerging or vanishing: false alarms", (mark[steady] != "steady").mean(), "")
    yield Figure("  of placebos", marks["false_alarms"].mean(), "", NoveltyParams().false_alarms * 1.1)
    yield Figure("  recall", (mark == fate)[~steady].mean(), "")
