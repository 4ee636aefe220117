"""Which skills will be needed: by territory and year, and for each lot what it should teach.

    need(territory, skill, year) = Σ over occupations of need(territory, occupation, year) × share(same, skill)

An offer asks several skills, or none: a recruitment counts once for each skill that it asks, so that needs of skills add up to
``asked`` = need × skills per recruitment, and never to the recruitments themselves. What is not told stands beside
(:class:`SkillNeeds`): skills too little needed to have a row, and occupations of which no share is known.

A year is a calendar one, of observed months and forecast ones, so that it compares with budgets and with other years. Errors of
need and of share both count. How far errors of months, and of occupations, add up instead of cancelling out is measured on the
past: on the changes from one year to the next, which are the errors of the seasonal naive forecast.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import gammaincinv

from features.contracts import GradeLimits, write_estimate
from features.params import Section, param
from features.vocabulary import REGION
from models.skill_grid import (
    Z_80,
    Asked,
    Layout,
    Need,
    Past,
    Share,
    coverage_error,
    last_observed,
    lay_forecasts,
    lay_out,
    lay_past,
    quarters_of,
    share_over,
    shares_of,
    spread,
)

KEY = ["territory", "skill", "period"]
PAIR = ["occupation", "skill"]
LOW, HIGH = 0.1, 0.9
_YEAR = 12  # months
_LEAST = 1e-12
_HALF = 0.5  # of a recruitment
_SAME = 1e-6  # levels that add up this nearly were made to
STATES = {"emerging": 1.0, "steady": 0.0, "declining": -1.0}
_Numbers = NDArray[np.float64]


class SkillNeedParams(Section):
    """What of the needs of skills is told."""

    least_need: float = param(
        1.0, "a skill has a row in a territory from this many recruitments a year", unit="recruitments", ge=0, le=1000
    )
    growth_from: float = param(
        10.0,
        "growth is told from this many recruitments of the last year that ask the skill",
        unit="recruitments",
        ge=1,
        le=1e4,
    )
    months_alike: float = param(
        3.0, "how far errors of months add up, where no past year tells: 1 apart, 12 all one", unit="months", ge=1, le=12
    )
    lot_skills: int = param(15, "skills told of each lot, most needed first", unit="skills", ge=1, le=100)


@dataclass(frozen=True)
class SkillNeeds:
    """``needs``: one row per territory, skill, period. ``mass``: one row per territory, period, saying where all need went."""

    needs: pd.DataFrame
    mass: pd.DataFrame


class _Together(NamedTuple):
    """By territory (a column): how far errors of months, then of occupations, add up (1: they are apart)."""

    months: _Numbers
    occupations: _Numbers


# Needs ------------------------------------------------------------------------------------------------------------------


def skill_needs(
    forecasts: pd.DataFrame, observed: pd.DataFrame, asked: Asked, params: SkillNeedParams, limits: GradeLimits
) -> SkillNeeds:
    """Tell how many recruitments will ask each skill. ``needs``: one row per territory, skill, period (``YYYY``).

    ``forecasts`` and ``observed`` have one row per territory, occupation, month; the forecasts with ``low`` and ``high`` of the
    positions, ``need`` and the ``coverage``. ``growth`` is need ÷ need of the last twelve months observed − 1. ``n`` are the
    offers of the last year that ask the skill there, ``borrowed`` what of the share is the Region's. ``emerging`` is 1, −1
    (vanishing) or 0, as judged over the territory ``emerging_of``, where ``false_alarms`` of steady skills are taken for one.
    ``of_need`` are all recruitments of the territory and period, whatever they ask.
    """
    layout = lay_out(forecasts, asked)
    past = lay_past(observed, layout)
    labels, last = _label_months(forecasts, past), last_observed(forecasts, past)
    now = share_over(layout, asked, {0: 1.0})
    together = _measure_together(past, layout, now, params)
    base = _base(past, layout, asked)
    coverage = coverage_error(forecasts, layout)
    offers = layout.sum_skills(spread(asked.gaps, "asking", layout, 0.0))
    tables, masses = [], []
    for period, months in labels.items():
        need = lay_forecasts(forecasts, layout, months)
        need = need._replace(value=need.value + past.need[[month in months for month in past.months]].sum(axis=0))
        share = share_over(layout, asked, quarters_of(months, last))
        told = _tell(layout, need, share, together, coverage)
        told = told.assign(n=offers.ravel(), period=period, base=base["base"], base_spread=base["base_spread"])
        kept = told["value"] >= params.least_need
        tables.append(told[kept])
        masses.append(_mass(layout, need, told, kept).assign(period=period))
    if not tables:
        return _nothing(limits)
    mass = pd.concat(masses, ignore_index=True)[["territory", "period", *_MASS]].sort_values(["territory", "period"])
    return SkillNeeds(_written(pd.concat(tables, ignore_index=True), asked, params, limits), mass.reset_index(drop=True))


def _nothing(limits: GradeLimits) -> SkillNeeds:
    """Give the tables without a row, where no whole year is covered."""
    none = pd.Series(dtype="float64")
    empty = pd.DataFrame({name: pd.Series(dtype="str") for name in KEY})
    needs = write_estimate(empty, value=none, low=none, high=none, n=none, borrowed=none, limits=limits)
    mass = pd.DataFrame({name: pd.Series(dtype="str") for name in ("territory", "period")})
    return SkillNeeds(
        needs.assign(**dict.fromkeys(_MORE, none), emerging_of=pd.Series(dtype="str")),
        mass.assign(**dict.fromkeys(_MASS, none)),
    )


_MORE = ("growth", "growth_low", "growth_high", "emerging", "emerging_score", "false_alarms", "of_need")
_MASS = ("need", "silent", "asked", "told", "skills_each")


def _label_months(forecasts: pd.DataFrame, past: Past) -> dict[str, list[str]]:
    """List the months of each year that observed and forecast months cover whole, and that is not over."""
    ahead = set(forecasts["period"].unique())
    months = pd.Series(sorted({*past.months, *ahead}), dtype="str")
    years = {str(year): of.tolist() for year, of in months.groupby(months.str[:4])}
    return {year: of for year, of in years.items() if len(of) == _YEAR and of[-1] in ahead}


def _tell(layout: Layout, need: Need, share: Share, together: _Together, coverage: _Numbers) -> pd.DataFrame:
    """Multiply needs by shares and add them up over occupations. One row per territory, skill."""
    needs, spreads = need.value[:, layout.occupation], need.variance[:, layout.occupation]
    each = needs * share.value
    value = layout.sum_skills(each)
    chance = layout.sum_skills(share.value**2 * spreads) * together.months * together.occupations
    variance = layout.sum_skills(needs**2 * share.variance) + chance + (value * coverage) ** 2
    borrowed = layout.sum_skills(each * share.borrowed) / np.maximum(value, _LEAST)
    factor = _to_add_up(layout, value, need.value.sum(axis=1))
    shape = np.maximum(value**2 / np.maximum(variance, _LEAST), _LEAST)
    doubtful = variance > _LEAST
    low, high = (np.where(doubtful, gammaincinv(shape, end) / shape * value, value) for end in (LOW, HIGH))
    # recruitments are whole: where less than half of one is the bound, there may well be none
    low = np.where(doubtful, np.maximum(low - _HALF, 0.0), low)
    return pd.DataFrame(
        {
            "territory": layout.territories.repeat(len(layout.skills)),
            "skill": np.tile(layout.skills, len(layout.territories)),
            **{name: (of * factor).ravel() for name, of in {"value": value, "low": low, "high": high}.items()},
            "spread": (np.sqrt(variance) / np.maximum(value, _LEAST)).ravel(),
            "borrowed": borrowed.ravel(),
            "of_need": need.value.sum(axis=1).repeat(len(layout.skills)),
        }
    ).astype({"territory": "str", "skill": "str"})


def _to_add_up(layout: Layout, value: _Numbers, need: _Numbers) -> _Numbers:
    """Give what makes départements, and the Region, add up to the bassins, skill by skill; 1 where their needs do not."""
    factor = np.ones_like(value)
    bassins = layout.territories.str.startswith("BE")
    target, all_need = value[bassins].sum(axis=0), need[bassins].sum()
    for level in (layout.territories.str.fullmatch(r"D\w+"), layout.territories == REGION):
        if level.any() and abs(need[level].sum() - all_need) <= _SAME * all_need:
            here = value[level].sum(axis=0)
            factor[level] = np.divide(target, here, out=np.ones_like(here), where=here > 0)
    return factor


def _base(past: Past, layout: Layout, asked: Asked) -> pd.DataFrame:
    """Tell the need of the last twelve months observed, as needs ahead are told. One row per territory, skill.

    ``base`` is missing where fewer months are observed; ``base_spread`` is the relative error of its shares.
    """
    value = past.need[-_YEAR:].sum(axis=0)
    angles, variances = (asked.pairs[name].to_numpy(dtype="float64")[None, :] for name in ("angle", "variance"))
    gap, doubt = spread(asked.gaps, "gap", layout, 0.0), spread(asked.gaps, "variance", layout, 0.0)
    share = shares_of(angles + gap, variances + doubt, np.ones_like(gap))
    apart = np.ones((len(layout.territories), 1))
    told = _tell(layout, Need(value, np.zeros_like(value)), share, _Together(apart, apart), 0 * apart)
    return pd.DataFrame({"base": told["value"] if len(past.months) >= _YEAR else np.nan, "base_spread": told["spread"]})


def _written(told: pd.DataFrame, asked: Asked, params: SkillNeedParams, limits: GradeLimits) -> pd.DataFrame:
    """Write estimates, growth and what emerges. Same rows, by territory, skill, period."""
    rows = told.sort_values(KEY, ignore_index=True)
    estimate = {name: rows[name] for name in ("value", "low", "high", "n", "borrowed")}
    ratio = rows["value"] / rows["base"].where(rows["base"] >= params.growth_from)
    reach = np.exp(Z_80 * np.sqrt(np.log1p(rows["spread"] ** 2) + np.log1p(rows["base_spread"] ** 2)))
    growth: dict[str, pd.Series] = {"growth": ratio - 1, "growth_low": ratio / reach - 1, "growth_high": ratio * reach - 1}
    found = asked.novelty[(asked.novelty["kind"] == "skill") & (asked.novelty["territory"] == REGION)].set_index("code")
    own = found.reindex(rows["skill"]).reset_index(drop=True)
    emerging: dict[str, pd.Series] = {
        "emerging": own["state"].map(STATES).astype("float64"),
        "emerging_score": own["score"].astype("float64"),
        "false_alarms": own["false_alarms"].astype("float64"),
        "emerging_of": own["territory"].astype("str"),
    }
    return write_estimate(rows[KEY].assign(**growth, **emerging, of_need=rows["of_need"]), **estimate, limits=limits)


def _mass(layout: Layout, need: Need, told: pd.DataFrame, kept: pd.Series[bool]) -> pd.DataFrame:
    """Say where need went. One row per territory.

    ``need`` are all recruitments, ``silent`` those of occupations of which no share is known; ``asked`` counts the others once
    for each skill they ask, ``skills_each`` of them on average; ``told`` is the part of it that has a row.
    """
    shape = (len(layout.territories), len(layout.skills))
    value = told["value"].to_numpy().reshape(shape)
    known = np.isin(np.arange(len(layout.occupations)), layout.occupation)
    whole, silent = need.value.sum(axis=1), need.value[:, ~known].sum(axis=1)
    asked = value.sum(axis=1)
    frame = pd.DataFrame({"territory": layout.territories, "need": whole, "silent": silent, "asked": asked})
    heard = (frame["need"] - frame["silent"]).where(lambda left: left > 0)
    return frame.assign(told=(value * kept.to_numpy().reshape(shape)).sum(axis=1), skills_each=frame["asked"] / heard).astype(
        {"territory": "str"}
    )


# Errors that add up -----------------------------------------------------------------------------------------------------


def _measure_together(past: Past, layout: Layout, share: Share, params: SkillNeedParams) -> _Together:
    """Measure how far changes from year to year add up: over the months of a year, and over the occupations that ask a skill.

    months = Σ (change of the year)² ÷ Σ (change of a month)², over occupations; occupations = Σ (Σ share × change)² ÷
    Σ share² × change², over skills; of each level of territory, the middle of the past years.
    """
    years = len(past.months) // _YEAR - 1
    ones = np.ones((len(layout.territories), 1))
    if years < 1:
        return _Together(ones * params.months_alike, ones)
    kinds, levels = pd.factorize(layout.territories.str[:1])
    months, occupations = np.zeros((2, years, len(levels)))
    changes = past.need[_YEAR:] - past.need[:-_YEAR]
    for year in range(years):
        monthly = changes[len(changes) - _YEAR * (year + 1) : len(changes) - _YEAR * year]
        yearly = monthly.sum(axis=0)
        each = share.value * yearly[:, layout.occupation]
        figures = (yearly**2).sum(1), (monthly**2).sum((0, 2)), (layout.sum_skills(each) ** 2).sum(1), (each**2).sum(1)
        own, of_months, summed, of_pairs = (np.bincount(kinds, of, minlength=len(levels)) for of in figures)
        months[year] = own / np.maximum(of_months, _LEAST)
        occupations[year] = summed / np.maximum(of_pairs, _LEAST)
    both = (np.median(of, axis=0)[kinds][:, None] for of in (months, occupations))
    return _Together(*(np.where(of > 0, of, 1.0) for of in both))


# Lots -------------------------------------------------------------------------------------------------------------------


def skills_of_lots(
    targets: pd.DataFrame, named: pd.DataFrame, forecasts: pd.DataFrame, asked: Asked, *, last: str, params: SkillNeedParams
) -> pd.DataFrame:
    """Say what each lot should teach. One row per lot_id, rank: the skill most needed first.

    ``targets``: one row per lot_id, territory, certification, occupation, with a ``weight``; ``named``: one row per
    certification, skill; ``forecasts``: the months that the lots serve, after the ``last`` one observed.
    need = Σ over target occupations of weight × need × share, and ``share`` is its part of their weighed need. ``named`` says
    whether the certification names the skill, and is missing where nothing is known of it. Where no recruitment is forecast,
    the skills most often asked come first.
    """
    layout = lay_out(forecasts, asked)
    months = sorted(forecasts["period"].unique())
    needs, share = lay_forecasts(forecasts, layout, months), share_over(layout, asked, quarters_of(months, last))
    row, column = (
        layout.territories.get_indexer(targets["territory"].array),
        layout.occupations.get_indexer(targets["occupation"].array),
    )
    inside = (row >= 0) & (column >= 0)
    kept = targets[inside].assign(at=row[inside], need=needs.value[row[inside], column[inside]])
    number = asked.pairs[PAIR].assign(pair=np.arange(len(asked.pairs)))
    each = kept.merge(number, on="occupation", how="inner", validate="many_to_many")
    each = each.assign(share=share.value[each["at"], each["pair"]] * each["weight"])
    each = each.assign(asking=each["share"] * each["need"]).sort_values(["lot_id", *PAIR])
    whole = kept.assign(of=kept["need"] * kept["weight"]).groupby("lot_id")[["of", "weight"]].sum()
    sums = each.groupby(["lot_id", "certification", "skill"], as_index=False)[["asking", "share"]].sum()
    of = whole.reindex(sums["lot_id"]).reset_index(drop=True)
    usual = sums["share"] / of["weight"]
    told = sums.assign(need=sums["asking"], share=(sums["asking"] / of["of"].where(of["of"] > 0)).fillna(usual))
    ordered = told.sort_values(["lot_id", "need", "share", "skill"], ascending=[True, False, False, True], ignore_index=True)
    ranked = ordered.assign(rank=ordered.groupby("lot_id").cumcount() + 1)
    ranked = ranked[ranked["rank"] <= params.lot_skills].reset_index(drop=True)
    return _marked(ranked, named)[["lot_id", "rank", "skill", "need", "share", "named"]]


def _marked(ranked: pd.DataFrame, named: pd.DataFrame) -> pd.DataFrame:
    """Mark what the certification names, where anything is known of it. Same rows."""
    key = ["certification", "skill"]
    marks = pd.MultiIndex.from_frame(ranked[key]).isin(pd.MultiIndex.from_frame(named[key]))
    known = ranked["certification"].isin(named["certification"])
    return ranked.assign(named=pd.Series(marks, index=ranked.index, dtype="boolean").where(known))
