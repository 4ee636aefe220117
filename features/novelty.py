"""What emerges and what declines: codes whose share of the last twelve months is not that of the years before.

A series is set against a base: an occupation against all offers of its territory, a skill against what its occupations would
have asked with their share of all years, so that neither growth nor crisis of the whole, nor another mix of occupations, is
news. Twelve months are compared with whole years, so that no season is. What is left is held against how far steady codes
move: an *empirical null* (Efron 2004), estimated from the middle of the panel, which a few movers cannot bend.

    u = signed root deviance of (count, before), given their sum, ÷ √I       part = base of the last year ÷ base of all years
    I = (count + before) × part × (1 − part)
    u ~ N(centre, dispersion ÷ I + drift²) while a code is steady;           score = (u − centre) ÷ √(dispersion ÷ I + drift²)

``dispersion`` tells how far offers come in bundles (1: each by itself, less where most offers ask a skill), ``drift`` how far
shares of steady codes move from year to year whatever their size. The threshold of the score is set on placebos: panels as
large as the real one, of codes that are all steady, drawn with that dispersion and drift and estimated again as the real one
was. Half of them set it, and the other half measures how often it is crossed.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import xlogy
from scipy.stats import norm

from features.params import Section, param
from features.skills import ANY
from features.vocabulary import REGION

PANEL = ["kind", "territory"]
SERIES = [*PANEL, "code", "year"]
_Numbers = NDArray[np.float64]
_ROUNDS = 60  # the estimates of the null stand still well before
_LEAST = 1e-8
_LEAST_DISPERSION = 0.1


class NoveltyParams(Section):
    """How sure one wants to be before a code is said to emerge or to decline."""

    false_alarms: float = param(
        0.05, "steady codes that are taken for emerging or declining ones at most", unit="share", ge=0.001, le=0.5
    )
    fewest_offers: float = param(
        10.0, "offers over all years below which nothing is said of a code", unit="offers", ge=1, le=1000
    )
    fewest_codes: int = param(15, "codes of a panel below which nothing is said of any", unit="codes", ge=5, le=1000)
    clip: float = param(
        1.0, "a code further from the centre than this counts as if it were there", unit="spreads", ge=0.5, le=3
    )
    placebo_codes: int = param(40_000, "steady codes drawn to set the threshold and to measure it", unit="codes", ge=1000)
    seed: int = param(1, "seed of the placebos", unit="number", ge=0)


# Series -----------------------------------------------------------------------------------------------------------------


def count_series(counts: pd.DataFrame) -> pd.DataFrame:
    """Set what :func:`features.skills.count_skills` counted against its base. One row per kind, territory, code, year.

    ``kind`` is ``occupation`` (of the Region, ``R44``, and of each département), ``skill`` or ``occupation_skill``, like
    ``A1101>106606`` (of the Region); ``count`` are offers, ``base`` what the share is of. Years without an offer have a row.
    """
    region = counts.groupby(["occupation", "skill", "year"], as_index=False)[["offers"]].sum()
    totals = region.loc[region["skill"] == ANY, ["occupation", "year", "offers"]]
    local = counts[counts["skill"] == ANY].groupby(["department", "occupation", "year"], as_index=False)[["offers"]].sum()
    parts = [
        _occupations(totals.assign(territory=REGION)),
        _occupations(local.rename(columns={"department": "territory"})),
        *_skills(region[region["skill"] != ANY], totals.rename(columns={"offers": "of_offers"})),
    ]
    return pd.concat(parts, ignore_index=True).sort_values(SERIES, ignore_index=True)[[*SERIES, "count", "base"]]


def _occupations(offers: pd.DataFrame) -> pd.DataFrame:
    """Set occupations against all offers of their territory. One row per territory, code, year."""
    base = offers.groupby(["territory", "year"], as_index=False)[["offers"]].sum().rename(columns={"offers": "base"})
    grid = offers[["territory", "occupation"]].drop_duplicates().merge(base, on="territory", validate="many_to_many")
    filled = grid.merge(offers, on=["territory", "occupation", "year"], how="left", validate="one_to_one")
    named = filled.rename(columns={"occupation": "code", "offers": "count"}).assign(kind="occupation")
    return named.fillna({"count": 0.0})


def _skills(asked: pd.DataFrame, totals: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Set skills against what their occupations would ask. One row per code, year: of skills, then of each occupation's."""
    pairs = asked.groupby(["occupation", "skill"], as_index=False)[["offers"]].sum().rename(columns={"offers": "ever"})
    of_all = pairs["occupation"].map(totals.groupby("occupation")["of_offers"].sum()).astype("float64")
    usual = pairs.assign(usual=pairs["ever"] / of_all).drop(columns="ever")
    grid = usual.merge(totals, on="occupation", validate="many_to_many")
    filled = grid.merge(asked, on=["occupation", "skill", "year"], how="left", validate="one_to_one").fillna({"offers": 0.0})
    each = filled.assign(
        code=filled["occupation"] + ">" + filled["skill"], count=filled["offers"], base=filled["of_offers"], territory=REGION
    )
    expected = each.assign(base=each["base"] * each["usual"])
    skills = expected.groupby(["territory", "skill", "year"], as_index=False)[["count", "base"]].sum()
    return skills.rename(columns={"skill": "code"}).assign(kind="skill"), each.assign(kind="occupation_skill")


# Scores -----------------------------------------------------------------------------------------------------------------


class Null(NamedTuple):
    """How steady codes move: one number each, or one per placebo."""

    centre: _Numbers
    dispersion: _Numbers
    drift: _Numbers


class _Judged(NamedTuple):
    """What a panel is held against, and how often placebos cross it."""

    null: Null
    threshold: float
    placebos: int
    rate: float


def score_novelty(series: pd.DataFrame, params: NoveltyParams) -> pd.DataFrame:
    """Say how far the last year of each code is from those before. One row per kind, territory, code.

    ``growth`` is the log change of its share beyond that of the middle code, within ``low`` and ``high`` (80 %, chance of the
    offers alone), ``n`` the offers it rests on, and ``score`` how many spreads of a steady code it is away. ``state`` is
    ``emerging`` or ``declining`` where the score is beyond the ``threshold`` of its panel, which the share ``false_alarms`` of
    placebos crosses, else ``steady``; ``unknown`` where there are too few offers, codes or years to say.
    """
    cells = _compared(series)
    told = _told(cells, params)
    parts = [_scored(cells[~told].assign(threshold=np.nan, false_alarms=np.nan), None)]
    for _, panel in cells[told].groupby(PANEL, sort=True):
        judged = _judge(panel, params)
        parts.append(_scored(panel.assign(threshold=judged.threshold, false_alarms=judged.rate), judged.null))
    return pd.concat(parts).sort_values([*PANEL, "code"], ignore_index=True)


def measure_false_alarms(series: pd.DataFrame, params: NoveltyParams) -> pd.DataFrame:
    """Say how often steady codes would be flagged, and how steady codes move. One row per kind, territory.

    ``codes`` are judged, ``flagged`` the share of them that is; of ``placebos`` that did not set the ``threshold`` the share
    ``false_alarms`` crosses it.
    """
    cells = _compared(series)
    rows = []
    for key, panel in cells[_told(cells, params)].groupby(PANEL, sort=True):
        null, threshold, placebos, rate = _judge(panel, params)
        u, info = _moves(panel["count"].to_numpy(), panel["before"].to_numpy(), panel["part"].to_numpy())
        flagged = float((np.abs(_scores(u, info, null)) > threshold).mean())
        spread = (float(null.dispersion), float(null.drift))
        rows.append((*key, len(panel), flagged, threshold, placebos, rate, *spread))
    columns = [*PANEL, "codes", "flagged", "threshold", "placebos", "false_alarms", "dispersion", "drift"]
    kinds = {"kind": "str", "territory": "str", "codes": "int64", "placebos": "int64"}
    return pd.DataFrame(rows, columns=columns).astype({name: kinds.get(name, "float64") for name in columns})


def _compared(series: pd.DataFrame) -> pd.DataFrame:
    """Set the last year beside all those before. One row per kind, territory, code; ``part`` is the last year's of the base."""
    keys, ordered = [*PANEL, "code"], series.sort_values(SERIES)
    last = (ordered["year"] == 0).astype("float64")
    split = ordered.assign(
        before=ordered["count"] * (1 - last),
        base_before=ordered["base"] * (1 - last),
        count=ordered["count"] * last,
        base=ordered["base"] * last,
    )
    cells = split.groupby(keys, as_index=False)[["count", "before", "base", "base_before"]].sum()
    return cells.assign(n=cells["count"] + cells["before"], part=cells["base"] / (cells["base"] + cells["base_before"]))


def _told(cells: pd.DataFrame, params: NoveltyParams) -> pd.Series[bool]:
    """Mark the codes of which anything can be said: offers enough, in a panel of codes enough, of more than one year."""
    enough = (cells["n"] >= params.fewest_offers) & cells["part"].between(0, 1, inclusive="neither")
    together = enough.groupby([cells[name] for name in PANEL]).transform("sum")
    return enough & (together >= params.fewest_codes)


def _scored(cells: pd.DataFrame, null: Null | None) -> pd.DataFrame:
    """Write growth, score and state. Same rows."""
    centre, dispersion = (float(null.centre), float(null.dispersion)) if null else (np.nan, np.nan)
    later, before = cells["count"] + 0.5, cells["before"] + 0.5
    part = cells["part"].where(cells["part"].between(0, 1, inclusive="neither"))
    growth = np.log(later / before) - np.log(part / (1 - part)) - centre
    reach = norm.ppf(0.9) * np.sqrt(dispersion * (1 / later + 1 / before))
    score = pd.Series(np.nan, index=cells.index)
    if null:
        u, info = _moves(cells["count"].to_numpy(), cells["before"].to_numpy(), cells["part"].to_numpy())
        score = pd.Series(_scores(u, info, null), index=cells.index)
    states = [score.isna(), score > cells["threshold"], score < -cells["threshold"]]
    state = np.select(states, ["unknown", "emerging", "declining"], "steady")
    return pd.DataFrame(
        {
            **{name: cells[name] for name in (*PANEL, "code")},
            "growth": growth,
            "score": score,
            "low": growth - reach,
            "high": growth + reach,
            "n": cells["n"],
            "state": pd.Series(state, index=cells.index, dtype="str"),
            "threshold": cells["threshold"],
            "false_alarms": cells["false_alarms"],
        }
    )


# What steady codes do ---------------------------------------------------------------------------------------------------


def _moves(count: _Numbers, before: _Numbers, part: _Numbers) -> tuple[_Numbers, _Numbers]:
    """Give how far each code moved (a log change, near none), and the information on it."""
    n = count + before
    deviance = xlogy(count, count / (n * part)) + xlogy(before, before / (n * (1 - part)))
    info = n * part * (1 - part)
    return np.sign(count - n * part) * np.sqrt(2 * np.maximum(deviance, 0) / info), info


def _scores(u: _Numbers, info: _Numbers, null: Null) -> _Numbers:
    spread = np.sqrt(null.dispersion[..., None] / info + null.drift[..., None] ** 2)
    return np.asarray((u - null.centre[..., None]) / spread)


def estimate_null(u: _Numbers, info: _Numbers, clip: float) -> Null:
    """Estimate how steady codes move, from codes along the last axis; others stand apart.

    Huber's second proposal: each moment is that of scores clipped, set to what it would be for the normal law. A variance is
    shared between dispersion and drift in proportion to what each brings to it.
    """
    usual = 1 - 2 * norm.sf(clip) - 2 * clip * norm.pdf(clip) + 2 * clip**2 * norm.sf(clip)
    null = Null(np.median(u, axis=-1), np.ones(u.shape[:-1]), np.full(u.shape[:-1], np.sqrt(np.median(1 / info))))
    for _ in range(_ROUNDS):
        z, chance = _scores(u, info, null), null.dispersion[..., None] / info
        variance = chance + null.drift[..., None] ** 2
        weight = np.minimum(1, clip / np.maximum(np.abs(z), _LEAST)) / variance
        square, part = np.minimum(z**2, clip**2) / usual, chance / variance
        null = Null(
            (weight * u).sum(-1) / weight.sum(-1),
            np.maximum(_LEAST_DISPERSION, null.dispersion * (part * square).sum(-1) / part.sum(-1)),
            null.drift * np.sqrt(((1 - part) * square).sum(-1) / np.maximum((1 - part).sum(-1), _LEAST)),
        )
    return null


def _judge(panel: pd.DataFrame, params: NoveltyParams) -> _Judged:
    """Estimate the null of one panel, and set the threshold on placebos of it."""
    count, before, part = (panel[name].to_numpy() for name in ("count", "before", "part"))
    u, info = _moves(count, before, part)
    null = estimate_null(u, info, params.clip)
    names = "|".join(panel[PANEL].iloc[0])
    rng = np.random.default_rng([params.seed, zlib.crc32(names.encode())])
    half = -(-params.placebo_codes // (2 * len(panel)))
    n, size = count + before, (2 * half, len(panel))
    odds = np.exp(rng.normal(null.centre, null.drift, size)) * part / (1 - part)
    bundles = np.maximum(np.round(n / null.dispersion), 1).astype(np.int64)
    drawn = rng.binomial(bundles, odds / (1 + odds)) * null.dispersion
    moved, known = _moves(drawn, bundles * null.dispersion - drawn, np.broadcast_to(part, size))
    scores = np.abs(_scores(moved, known, estimate_null(moved, known, params.clip)))
    threshold = float(np.quantile(scores[:half], 1 - params.false_alarms))
    return _Judged(null, threshold, scores[half:].size, float((scores[half:] > threshold).mean()))
