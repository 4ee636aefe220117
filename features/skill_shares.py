"""How often the offers of an occupation ask a skill: by territory, as it moves, and where it is heading.

Only offers of lasting positions that list a skill at all tell anything: one without a list is silent, and no proof that nothing
is asked. A share p is followed as the angle θ = arcsin √p, whose error is √(ψ ÷ 4n) whatever p (Anscombe 1948), so that a rare
skill does not look more restless than a usual one; ψ says how far offers come in bundles. Each quarter

    θ ← θ + φ · slope + N(0, drift²)        slope ← φ · slope + N(0, push²)

for each pair of an occupation and a skill, over all the Region, under several members: one that stands still, ones that drift,
ones with a damped slope. Each pair weighs the members by how well they foretold its own past quarters, from weights learned
over all pairs (empirical Bayes), so that a skill that never moved is not moved by noise. What the whole foretold at earlier
origins, a year ahead, then sets two numbers: the ``strength`` of trends (0 where they did not help), the ``width`` of errors.
A pair starts from the mean of its kind: those that the ROME lists for the occupation, and the others.

How far territories are from the Region stands in :mod:`features.skill_gaps`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow.dataset as ds
from numpy.typing import NDArray

from features.demand import LONG_ENOUGH, DemandParams, current, last_full_month
from features.lazy import ask, ask_arrow
from features.params import Section, param
from features.skills import ANY, SkillParams
from features.spreading import spread_over_cells

PAIR = ["occupation", "skill"]
STEP = 3  # months of a quarter
YEAR = 4  # quarters
_MONTHS = 12
_Numbers = NDArray[np.float64]
# Standard deviation of a quarter's change of angle and of slope, and what of a slope lasts a quarter, member by member.
_DRIFT = np.array([0.0, 0.01, 0.03, 0.08, 0.0, 0.0, 0.0, 0.0])[:, None]
_PUSH = np.array([0.0, 0.0, 0.0, 0.0, 0.01, 0.03, 0.01, 0.03])[:, None]
_LASTS = np.array([0.0, 0.0, 0.0, 0.0, 0.85, 0.85, 0.95, 0.95])[:, None]
_ROUNDS = 20  # shared weights and variances stand still well before
_LEAST = 1e-9
_UNSEEN = 1e9  # variance of a quarter without an offer
_MIDDLE = 0.4549  # median of a squared normal number
_WITHIN = 0.8  # share of errors that an interval holds …
_REACH = 1.2816  # … and how many standard deviations it then reaches to each side


class SkillShareParams(Section):
    """From how much a share is told, and over which past it is judged."""

    fewest_offers: float = param(
        10.0, "a skill of an occupation is followed from this many offers that ask it", unit="offers", ge=1, le=1000
    )
    reference_offers: float = param(
        30.0, "with fewer offers that list skills, an occupation also has those of the ROME", unit="offers", ge=0, le=1000
    )
    local_years: int = param(3, "years over which a territory differs from the Region in one way", unit="years", ge=1, le=10)
    learn_from: float = param(
        5.0, "offers expected to ask a skill from which a count tells how far counts err", unit="offers", ge=1, le=100
    )
    years_ahead: int = param(5, "years that shares are led on over", unit="years", ge=1, le=10)
    origins: int = param(3, "past years from which a year ahead is foretold, to judge trends", unit="years", ge=0, le=10)


@dataclass(frozen=True)
class SkillShares:
    """How often skills are asked.

    ``pairs``: one row per occupation, skill; ``ahead``: one row per occupation, skill, quarter ahead (:func:`follow_shares`);
    ``gaps``: one row per territory, occupation, skill (:func:`features.skill_gaps.place_gaps`). ``learned``, one row:
    ``dispersion`` ψ, ``strength`` of trends, ``width`` of errors, ``still`` the share of pairs that do not move.
    """

    pairs: pd.DataFrame
    ahead: pd.DataFrame
    gaps: pd.DataFrame
    learned: pd.DataFrame


# Counts -----------------------------------------------------------------------------------------------------------------


def _telling(known: str) -> str:
    """Write the question for the offers that list skills; ``step`` counts quarters back from the last full month."""
    return f"""
        WITH told AS NOT MATERIALIZED (
            SELECT territory, department, occupation, skills,
                (($last - year(created) * {_MONTHS} - month(created)) // {STEP})::TINYINT AS step
            FROM {known}
            WHERE border IS NULL AND created >= $first AND created < $end
                AND skills <> '{ANY}' AND NOT seasonal AND {LONG_ENOUGH}
        )
    """


def _asked(as_of: pd.Timestamp, years: int, demand: DemandParams) -> dict[str, object]:
    last = pd.Period(last_full_month(as_of), "M")
    return {
        "as_of": as_of,
        "first": (last - _MONTHS * years + 1).start_time,
        "end": (last + 1).start_time,
        "last": last.year * _MONTHS + last.month,
        "durable": demand.durable_months,
    }


def count_steps(offers: ds.Dataset, as_of: pd.Timestamp, params: SkillParams, demand: DemandParams) -> pd.DataFrame:
    """Count, over all the Region, the offers that ask each skill. One row per occupation, skill, step.

    ``step`` 0 is the quarter that ends with the last full month, 1 the one before. Where ``skill`` is empty, ``offers`` are all
    that list a skill.
    """
    sql = f"""{_telling(current(offers))}
        SELECT occupation, skill, step::BIGINT AS step, count(*)::DOUBLE AS offers
        FROM (SELECT occupation, step, unnest(string_split(skills, '|')) AS skill FROM told) GROUP BY ALL
        UNION ALL SELECT occupation, '{ANY}', step::BIGINT, count(*)::DOUBLE FROM told GROUP BY ALL
        ORDER BY ALL
    """
    return ask(sql, {"offers": offers}, **_asked(as_of, params.history_years, demand))


def count_listing(
    offers: ds.Dataset, communes: pd.DataFrame, as_of: pd.Timestamp, params: SkillShareParams, demand: DemandParams
) -> pd.DataFrame:
    """Count the offers that list a skill. One row per territory, department, occupation, year; 0 is the last one.

    They are placed and spread over bassins as :func:`features.skills.count_skills` places those that ask one.
    """
    sql = f"""{_telling(current(offers))}
        SELECT territory, department, occupation, (step // {YEAR})::VARCHAR AS year, count(*)::DOUBLE AS offers
        FROM told GROUP BY ALL
    """
    seen = ask_arrow(sql, {"offers": offers}, **_asked(as_of, params.local_years, demand))
    keys = {
        "occupation": sorted(seen["occupation"].unique().to_pylist()),
        "year": [str(year) for year in range(params.local_years)],
    }
    return spread_over_cells(seen, communes, keys).astype({"year": "int64"})


# The Region, quarter after quarter ---------------------------------------------------------------------------------------


class _Seen(NamedTuple):
    """What was seen of each pair: offers that ask and that list, a row per pair and a column per quarter, the oldest first."""

    asking: _Numbers
    listing: _Numbers

    def before(self, count: int) -> _Seen:
        """Leave out the last quarters."""
        end = self.asking.shape[1] - count
        return _Seen(self.asking[:, :end], self.listing[:, :end])

    def last(self, count: int) -> tuple[_Numbers, _Numbers]:
        """Add up the last quarters."""
        return self.asking[:, -count:].sum(axis=1), self.listing[:, -count:].sum(axis=1)


class _Law(NamedTuple):
    """Where each pair stands after the last quarter under each member (a row each), and what each member weighs."""

    angle: _Numbers
    slope: _Numbers
    variance: _Numbers
    shared: _Numbers
    of_slope: _Numbers
    weight: _Numbers


def angle_of(asking: _Numbers, listing: _Numbers) -> _Numbers:
    """Turn counts into angles: θ = arcsin √((k + ⅜) ÷ (n + ¾))."""
    return np.asarray(np.arcsin(np.sqrt((asking + 0.375) / (listing + 0.75))))


def follow_shares(
    steps: pd.DataFrame, listed: pd.DataFrame, quarters: int, params: SkillShareParams
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Follow the share of each skill and lead it on. Gives ``pairs``, ``ahead`` and ``learned`` of :class:`SkillShares`.

    ``steps`` are those of :func:`count_steps`, ``listed`` the pairs that the ROME lists. Of ``pairs``: one row per occupation,
    skill; ``angle`` and ``variance`` of the last year, ``n`` the offers of it that list skills, ``asking`` those that ask this
    one, ``borrowed`` what weighs its kind in it, ``moving`` the weight of the members that move. Of ``ahead``: one row per
    occupation, skill, ahead (0: the last quarter seen); ``angle`` and ``variance``.
    """
    pairs, seen = _lay_out(steps, listed, params)
    strength, width = _judge(pairs, seen, params)
    kept, mean, spread = _kinds(pairs, seen, params)
    pairs, seen = pairs[kept].reset_index(drop=True), _Seen(seen.asking[kept], seen.listing[kept])
    psi = _dispersion(seen, params)
    law = _follow(seen, psi, (mean, spread))
    angle, variance = _lead(law, quarters)
    angle, variance = angle[:, :1] + strength * (angle - angle[:, :1]), variance * width**2
    asking, listing = seen.last(YEAR)
    noise = np.where(listing > 0, psi / (4 * listing + 2), _UNSEEN)
    lean = noise / (noise + spread)
    told = pairs.assign(
        angle=(1 - lean) * angle_of(asking, listing) + lean * mean,
        variance=(1 - lean) * noise,
        n=listing,
        asking=asking,
        borrowed=lean,
        moving=1 - law.weight[0],
    )
    ahead = pairs.loc[pairs.index.repeat(quarters + 1), PAIR].reset_index(drop=True)
    ahead = ahead.assign(ahead=np.tile(np.arange(quarters + 1), len(pairs)), angle=angle.ravel(), variance=variance.ravel())
    still = float(law.weight[0].mean()) if len(pairs) else 1.0
    learned = {"dispersion": [psi], "strength": [strength], "width": [width], "still": [still]}
    return told, ahead, pd.DataFrame(learned)


def _lay_out(steps: pd.DataFrame, listed: pd.DataFrame, params: SkillShareParams) -> tuple[pd.DataFrame, _Seen]:
    """Lay counts out by pair and quarter. One row per occupation, skill: those followed, and all that the ROME lists."""
    everything = steps["skill"] == ANY
    last = int(steps["step"].max()) if len(steps) else YEAR - 1
    columns = pd.RangeIndex(last, -1, -1)
    wide = steps[~everything].set_index([*PAIR, "step"])["offers"].unstack("step").reindex(columns=columns).fillna(0.0)  # noqa: PD010
    wide = wide[wide.sum(axis=1) >= params.fewest_offers]
    named = pd.MultiIndex.from_frame(listed[PAIR].drop_duplicates())
    index = wide.index.union(named).sort_values().set_names(PAIR)
    totals = steps[everything].set_index(["occupation", "step"])["offers"].unstack("step").reindex(columns=columns)  # noqa: PD010
    listing = totals.fillna(0.0).reindex(index.get_level_values("occupation"), fill_value=0.0)
    pairs = index.to_frame(index=False).astype("str").assign(listed=index.isin(named))
    return pairs, _Seen(wide.reindex(index, fill_value=0.0).to_numpy(dtype="float64"), listing.to_numpy(dtype="float64"))


def _kinds(pairs: pd.DataFrame, seen: _Seen, params: SkillShareParams) -> tuple[NDArray[np.bool_], _Numbers, _Numbers]:
    """Say where a pair starts: mean and variance of the angles of its kind, listed by the ROME or not; and which are kept.

    A listed skill that nobody asks is kept where the offers are too few to tell; it counts in the mean of its kind anyway.
    """
    asking, listing = seen.asking.sum(axis=1), seen.listing.sum(axis=1)
    few = listing < params.reference_offers
    kept = (asking >= params.fewest_offers) | few
    angles, listed = angle_of(asking, listing), pairs["listed"].to_numpy(dtype=bool)
    mean, spread = np.full(len(pairs), np.pi / 4), np.full(len(pairs), 1.0)
    for kind in (listed, ~listed):
        tells = kind & ~few
        if tells.sum() > 1:
            mean[kind], spread[kind] = angles[tells].mean(), max(float(angles[tells].var()), _LEAST)
    return kept, mean[kept], spread[kept]


def _dispersion(seen: _Seen, params: SkillShareParams) -> float:
    """Estimate ψ from how far neighbouring quarters are apart, in the middle of all pairs: a few that move do not bend it."""
    share = seen.asking.sum(axis=1) / np.maximum(seen.listing.sum(axis=1), 1.0)
    telling = seen.listing * np.minimum(share, 1 - share)[:, None] >= params.learn_from
    both = telling[:, 1:] & telling[:, :-1]
    noise = 1 / (4 * seen.listing + 2)
    moved = np.diff(angle_of(seen.asking, seen.listing), axis=1) ** 2 / (noise[:, 1:] + noise[:, :-1])
    return float(max(1.0, np.median(moved[both]) / _MIDDLE)) if both.any() else 1.0


def _follow(seen: _Seen, psi: float, start: tuple[_Numbers, _Numbers]) -> _Law:
    """Follow all pairs under all members (Kalman), and weigh these by what they foretold quarter by quarter."""
    angles = angle_of(seen.asking, seen.listing)
    noise = np.where(seen.listing > 0, psi / (4 * seen.listing + 2), _UNSEEN)
    size = (len(_DRIFT), len(angles))
    angle, variance = (np.broadcast_to(of, size) for of in start)
    slope, shared = np.zeros(size), np.zeros(size)
    of_slope = np.broadcast_to(_PUSH**2 / (1 - _LASTS**2), size)
    foretold = np.zeros(size)
    for at in range(angles.shape[1]):
        if at:
            angle, slope, variance, shared, of_slope = _step(angle, slope, variance, shared, of_slope)
        error, doubt = angles[:, at] - angle, variance + noise[:, at]
        if at:
            foretold = foretold - 0.5 * (np.log(doubt) + error**2 / doubt)
        gain, gain_slope = variance / doubt, shared / doubt
        angle, slope = angle + gain * error, slope + gain_slope * error
        of_slope = of_slope - gain_slope * shared
        variance, shared = variance * (1 - gain), shared * (1 - gain)
    return _Law(angle, slope, variance, shared, of_slope, _weigh(foretold))


def _step(
    angle: _Numbers, slope: _Numbers, variance: _Numbers, shared: _Numbers, of_slope: _Numbers
) -> tuple[_Numbers, _Numbers, _Numbers, _Numbers, _Numbers]:
    """Go one quarter on: angle, slope, and their variances."""
    lasting = _LASTS**2 * of_slope
    moved = variance + 2 * _LASTS * shared + lasting + _DRIFT**2
    return angle + _LASTS * slope, _LASTS * slope, moved, _LASTS * shared + lasting, lasting + _PUSH**2


def _weigh(foretold: _Numbers) -> _Numbers:
    """Weigh the members for each pair: what they foretold × a weight shared by all pairs, which is the mean of these."""
    alike = np.exp(foretold - foretold.max(axis=0))
    usual = np.full((len(foretold), 1), 1 / len(foretold))
    weight = alike * usual
    for _ in range(_ROUNDS):
        weight = alike * usual / (alike * usual).sum(axis=0)
        if weight.shape[1]:
            usual = weight.mean(axis=1, keepdims=True)
    return np.asarray(weight)


def _lead(law: _Law, quarters: int) -> tuple[_Numbers, _Numbers]:
    """Lead angles on: mean and variance over the members, a column per quarter, the last one seen first."""
    angle, slope, variance, shared, of_slope, weight = law
    angles, variances = [], []
    for at in range(quarters + 1):
        if at:
            angle, slope, variance, shared, of_slope = _step(angle, slope, variance, shared, of_slope)
        mean = (weight * angle).sum(axis=0)
        angles.append(mean)
        variances.append((weight * (variance + (angle - mean) ** 2)).sum(axis=0))
    return np.clip(np.stack(angles, axis=1), 0.0, np.pi / 2), np.stack(variances, axis=1)


def _judge(pairs: pd.DataFrame, seen: _Seen, params: SkillShareParams) -> tuple[float, float]:
    """Learn the strength of trends and the width of errors from what was foretold a year ahead, at each past year's end.

    Where pairs start, which are kept and how noisy they are is worked out anew from what was known then.
    """
    changes, truths, doubts = [], [], []
    for origin in range(1, params.origins + 1):
        past = seen.before(YEAR * origin)
        if past.asking.shape[1] < 2 * YEAR:
            break
        kept, *start = _kinds(pairs, past, params)
        past = _Seen(past.asking[kept], past.listing[kept])
        psi = _dispersion(past, params)
        angle, variance = _lead(_follow(past, psi, (start[0], start[1])), YEAR)
        asking, listing = (counts[kept] for counts in seen.before(YEAR * (origin - 1)).last(YEAR))
        tells = (listing >= params.reference_offers) & (past.listing.sum(axis=1) > 0)
        changes.append((angle[:, 1:].mean(axis=1) - angle[:, 0])[tells])
        truths.append((angle_of(asking, listing) - angle[:, 0])[tells])
        doubts.append((variance[:, 1:].mean(axis=1) + psi / (4 * listing + 2))[tells])
    if not sum(len(part) for part in changes):
        return 0.0, 1.0
    change, truth, doubt = (np.concatenate(parts) for parts in (changes, truths, doubts))
    strength = float(np.clip((change * truth / doubt).sum() / max((change**2 / doubt).sum(), _LEAST), 0.0, 1.0))
    reach = np.quantile(np.abs(truth - strength * change) / np.sqrt(doubt), _WITHIN)
    return strength, max(1.0, float(reach) / _REACH)
