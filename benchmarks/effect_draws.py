"""What intervals of effects hold of the truth, over many small regions; and what bounds do once a hidden trait chooses.

The truth of an entry is the difference of its chances with the training and without; that of a row is its mean over the
entrants that count in it and went on to no other course. The hidden trait is ``drive``: δ is how much more of it those who
entered have than the weighted others, in standard deviations; r its correlation with what is left of the others' outcome.
Both are means over the regions drawn. Bounds are those of :mod:`models.trust` for that δ and r², chance at 90 %.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, delayed, parallel_config
from numpy.typing import NDArray
from scipy.stats import norm

from features.contracts import GradeLimits
from figures import Figure
from models.doubly_robust import ComparisonParams, Crossfit, crossfit
from models.effects import EffectParams, estimate_effects
from models.likeness import ENTERED, LISTED, Asked, Describer, same_times, sample_of
from models.trust import TrustParams, add_bounds, lower_grades
from needs.twin.scales import SCALES
from people import Population, draw_people, starts_of

Numbers = NDArray[np.float64]
DRAWS, WITHOUT_DRIVE, PUBLISHED, CONFOUNDED = 500, 100, 100, 100  # regions; of the 500, 100 are estimated as published
STRONG = {"training.drive": 0.8, "training.line": 8}
SMALL = replace(SCALES["tiny"], jobseekers=2400, past_exercises=3, observations=4)
DIALS = (0.4, 0.8, 1.2)
ASKED = Asked((("work", 6), ("work", 12), ("work", 18), ("durable", 12)))
LIMITS, SMALLEST = GradeLimits(100, 30, 10, 0.2, 0.5), 10  # as shipped
FEARLESS = EffectParams(trust=TrustParams(imbalance=0.0, explains=0.0))
LEVEL, OFF, WORKERS = 0.9, 0.04, 2
REACH = float(norm.ppf(0.5 + LEVEL / 2))
GRADED = 12  # months from entry
LETTERS = {"A": 1, "B": 2, "C": 3, "D": 4}
KEY = ["outcome", "horizon_months"]


class Draw(NamedTuple):
    """One region: the effect on all who entered by outcome and months, and the rows published of types in all sectors."""

    wholes: pd.DataFrame
    rows: pd.DataFrame


def judge_draws() -> Iterator[Figure]:
    """Draw regions in which nothing hidden chooses, then some without drive, then let drive choose, more and more."""
    calm = draw_many({}, DRAWS, published=PUBLISHED)
    yield from _coverage(f"{DRAWS} draws", calm.wholes, bounded=True)
    yield from _published(calm.rows)
    yield from _coverage(f"{WITHOUT_DRIVE} draws without drive", draw_many({"training.drive": 0.0}, WITHOUT_DRIVE).wholes)
    yield from _bounds("hidden 0", calm, bounded=False)
    before = _mean_grade(calm)
    yield Figure("hidden 0: mean grade at the true strength (A 1, D 4), work and durable at 12", before, "")
    for dial in DIALS:
        drawn = draw_many({"training.hidden": dial, **STRONG}, CONFOUNDED, published=CONFOUNDED)
        yield from _bounds(f"hidden {dial:g}", drawn)
        grade = _mean_grade(drawn)
        yield Figure(f"hidden {dial:g}: mean grade at the true strength", grade, "")
        yield Figure(f"hidden {dial:g}: mean grade of the dial before less this one", before - grade, "", 0.0)
        before = grade


# Figures ------------------------------------------------------------------------------------------------------------------


def _coverage(what: str, wholes: pd.DataFrame, *, bounded: bool = False) -> Iterator[Figure]:
    """Tell what intervals of 90 % hold of the effect on all who entered."""
    for (outcome, months), of in wholes.groupby(KEY, sort=False):
        off = of["value"] - of["truth"]
        held = float((off.abs() <= REACH * of["error"]).mean())
        told = f"{what}, {outcome} {months}: bias {off.mean():+.4f}, sd {off.std():.4f}, error {of['error'].median():.4f}"
        yield Figure(f"{told}; held by 90 %", held, "")
        if bounded:
            yield Figure(f"{what}, {outcome} {months}: held, off 0.9 by", abs(held - LEVEL), "", OFF)


def _published(rows: pd.DataFrame) -> Iterator[Figure]:
    known = rows[rows["value"].notna() & rows["truth"].notna()]
    for (outcome, months), of in known.groupby(KEY, sort=False):
        held = float(of["truth"].between(of["low"], of["high"]).mean())
        yield Figure(f"{PUBLISHED} draws, published by type, {outcome} {months}, {len(of)} rows: held by 80 %", held, "")


def _bounds(what: str, drawn: Draw, *, bounded: bool = True) -> Iterator[Figure]:
    """Tell what the plain interval and the bounds at the true strength hold."""
    for (outcome, months), of in drawn.wholes.groupby(KEY, sort=False):
        trust = _true_trust(of)
        bound = add_bounds(of, trust, LEVEL)
        inside = bound["truth"].between(bound["bound_low"], bound["bound_high"])
        width = float((bound["bound_high"] - bound["bound_low"]).mean())
        plain = float(((of["value"] - of["truth"]).abs() <= REACH * of["error"]).mean())
        name = f"{what}, {outcome} {months}"
        bias, delta, r = (of["value"] - of["truth"]).mean(), of["imbalance"].mean(), of["correlation"].mean()
        yield Figure(f"{name}: δ {delta:+.2f}, r {r:+.2f}, bias {bias:+.3f}; held by 90 %", plain, "")
        yield Figure(f"{name}: mean width of bounds (plain {2 * REACH * of['error'].mean():.3f})", width, "")
        missed = 1 - float(inside.mean())
        yield Figure(f"{name}: not held by the bounds at the true strength", missed, "", 1 - LEVEL if bounded else None)


def _true_trust(of: pd.DataFrame) -> TrustParams:
    """Fear exactly the trait that there is."""
    return TrustParams(imbalance=abs(of["imbalance"].mean()), explains=of["correlation"].mean() ** 2)


def _mean_grade(drawn: Draw) -> float:
    """Grade rows as if the trait that there is had been feared: a letter less for those it would be enough to make."""
    already = {"overlap": 1.0, "imbalance": 0.0, "designs_differ": False, "control_differs": False, "placebo_differs": False}
    told = drawn.rows[drawn.rows["value"].notna() & (drawn.rows["horizon_months"] == GRADED)].assign(**already)
    wholes = drawn.wholes[drawn.wholes["horizon_months"] == GRADED]
    trusts = {str(outcome): _true_trust(of) for outcome, of in wholes.groupby("outcome")}
    graded = [lower_grades(rows, trusts[str(outcome)])["grade"] for outcome, rows in told.groupby("outcome")]
    return float(pd.concat(graded).map(LETTERS).mean())


# Draws --------------------------------------------------------------------------------------------------------------------


def draw_many(dials: Mapping[str, float], count: int, *, published: int = 0) -> Draw:
    """Draw regions of the seeds 1, 2, … and estimate; as a run would publish it in the first of them."""
    with parallel_config("loky", inner_max_num_threads=1):
        jobs = (delayed(draw_one)(dict(dials), seed, published=seed <= published) for seed in range(1, count + 1))
        drawn = Parallel(n_jobs=WORKERS)(jobs)
    return Draw(*(pd.concat([getattr(each, name) for each in drawn], ignore_index=True) for name in Draw._fields))


def draw_one(dials: Mapping[str, float], seed: int, *, published: bool) -> Draw:
    """Draw a region, and set what is told of it beside what is true."""
    drawn = draw_people("calm", dials, seed, SMALL)
    starts = starts_of(drawn)
    held = same_times(starts, LISTED)
    compared = held[held["arm"].isin([ENTERED, LISTED])].reset_index(drop=True)
    sample = sample_of(compared, Describer.of(compared)(compared), ASKED)
    fitted = crossfit(sample, ComparisonParams())
    gains = _true_gains(drawn, compared).where(sample.counted > 0)
    rows = _published_rows(starts, gains.groupby(compared["action_type"]).mean()) if published else pd.DataFrame()
    return Draw(_wholes(fitted, gains, compared["person"].map(drawn.drive).to_numpy(dtype="float64")), rows)


def _true_gains(drawn: Population, compared: pd.DataFrame) -> pd.DataFrame:
    """Say what the course truly changed. Same rows, a column per thing asked; missing but for entrants who went to no other."""
    chances = drawn.chances[~drawn.chances["followed"].astype(bool)]
    ends = [f"{outcome}_{side}_{months}" for outcome, months in ASKED.columns for side in ("with", "without")]
    of = compared[["person", "session"]].merge(
        chances[["person", "session", *ends]], on=["person", "session"], how="left", validate="many_to_one"
    )
    entered = compared["arm"] == ENTERED
    told = {
        f"{outcome}_{months}": (of[f"{outcome}_with_{months}"] - of[f"{outcome}_without_{months}"]).where(entered)
        for outcome, months in ASKED.columns
    }
    return pd.DataFrame(told)


def _wholes(fitted: Crossfit, gains: pd.DataFrame, drive: Numbers) -> pd.DataFrame:
    """Tell the effect on all who entered, and how the hidden trait lies. One row per thing asked."""
    told = fitted.all_entrants()
    hidden = [
        _imbalance(fitted, column, gains.iloc[:, column].notna().to_numpy(), drive) for column in range(len(ASKED.columns))
    ]
    return pd.DataFrame(ASKED.columns, columns=KEY).assign(
        value=told.value[0],
        error=told.error[0],
        spread=told.spread[0],
        truth=gains.mean().to_numpy(),
        imbalance=[delta for delta, _ in hidden],
        correlation=[r for _, r in hidden],
    )


def _imbalance(fitted: Crossfit, column: int, entered: NDArray[np.bool_], drive: Numbers) -> tuple[float, float]:
    """Measure δ and r: how much more drive entrants have than the weighted others, and what it has to do with the outcome."""
    sample, cap = fitted.sample, fitted.params.highest_propensity / (1 - fitted.params.highest_propensity)
    odds = np.mean([split.odds for split in fitted.splits], axis=0)
    weight = np.where(sample.treated | (odds > cap), 0.0, odds * sample.counted[:, column])
    others = weight > 0
    left = (sample.outcomes[:, column] - np.mean([split.base[:, column] for split in fitted.splits], axis=0))[others]
    both = np.cov(np.stack([drive[others], left]), aweights=weight[others])
    deviation = np.sqrt(np.diag(both))
    more = drive[entered].mean() - np.average(drive[others], weights=weight[others])
    return float(more / deviation[0]), float(both[0, 1] / deviation.prod())


def _published_rows(starts: pd.DataFrame, truths: pd.DataFrame) -> pd.DataFrame:
    """Estimate as a run does, fearing nothing hidden. One row per type, outcome and months that are judged."""
    table = estimate_effects(starts, FEARLESS, LIMITS, SMALLEST).table
    told = table[(table["sector"] == "") & (table["group"] == "all")]
    true = truths.rename_axis("action_type").reset_index().melt("action_type", var_name="figure", value_name="truth")
    parts = true.pop("figure").str.rsplit("_", n=1)
    true = true.assign(outcome=parts.str[0], horizon_months=parts.str[1].astype("int64"))
    return told.merge(true, on=["action_type", *KEY], how="inner", validate="one_to_one")
