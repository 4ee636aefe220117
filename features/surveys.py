"""What employers announce: the projects of the yearly survey (BMO), secrets estimated inside their bounds, by occupation.

A secret (``*``) hides a count below :data:`SMALLEST_PUBLISHED`. The projects of a cell are never zero: the row would not be
there. What is difficult or seasonal among them may be: no zero is published in any row of 2023 and 2024, so zeros are secrets
too. Where projects are a secret both parts are. Half as many cells publish 5 as 6 or 7: projects are weighted, hidden below
5, and rounded after that. A secret is therefore held against 5, not 4.

    projects   density e^(-bx) from 1 to 5; b makes the secrets as many, beside counts published just above 5, as they are
    a part     beta-binomial among the projects of cells of one size, its hidden counts taken as hidden when it is fitted

What France Travail tells of Grand Est as a whole says how near that comes. In 2024 (193,318 projects, 60,587 seasonal, 105,946
difficult) the workbook hides 3,502, 987 and 3,054 of them; 3,572, 1,174 and 2,991 are estimated, and two for each secret
would make 2,524, 7,970 and 4,564. In 2023 it hides 3,064 projects and 942 seasonal ones: 3,096 and 1,082 are estimated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize
from scipy.special import betaln, expit, exprel, gammaln, logsumexp

from features.crosswalks import Crosswalks, carry, links_between
from features.params import Section, param
from features.tables import BMO, SMALLEST_PUBLISHED

CELL = ["territory", "department"]
PARTS = ("difficult", "seasonal")
COUNTS = ("projects", *PARTS)
Numbers = NDArray[np.float64]
_KEY = ["year", "nomenclature", "family", *CELL]
_LEAST = 1.0  # a row stands for one project at least
_STEEPEST = 5.0  # a fall that no survey comes near
_POINTS = 401  # where a density is summed up
_LOGITS, _LOGS = (-7.0, 7.0), (-4.0, 7.0)  # where the mean and the concentration of a beta-binomial are looked for
_HIDDEN_PARTS = np.arange(SMALLEST_PUBLISHED, dtype="float64")


class SurveyParams(Section):
    """How the secrets of a survey are estimated."""

    near_width: float = param(
        4.5, "published counts up to this far above the secrets tell how these fall off", unit="projects", ge=1, le=50
    )
    size_groups: int = param(
        6, "groups of cells, by the size expected of them, whose secrets are told apart", unit="groups", ge=1, le=20
    )
    near_prior: float = param(30.0, "cells of the whole survey that count in each group", unit="cells", ge=1, le=1000)
    secrets_to_near: float = param(
        1.3,
        "secrets for one count published just above them, before the survey tells (1.28 and 1.34 in France)",
        unit="ratio",
        ge=0.05,
        le=20,
    )
    part_step: float = param(
        2.0,
        "each size of cells, for difficult and seasonal parts, ends at so many times its start",
        unit="ratio",
        ge=1.2,
        le=10,
    )
    part_sizes: int = param(6, "sizes of cells whose difficult and seasonal parts are told apart", unit="sizes", ge=1, le=12)
    fewest_cells: int = param(100, "a size with fewer cells takes the parts of all sizes", unit="cells", ge=1, le=10000)
    family_prior: float = param(
        50.0, "projects at which the parts of a family weigh as much as those of all families", unit="projects", ge=1, le=10000
    )


# Secrets ----------------------------------------------------------------------------------------------------------------


def estimate_families(bmo: pd.DataFrame, params: SurveyParams) -> pd.DataFrame:
    """Estimate the secrets of each survey from that survey alone.

    One row per year, nomenclature, family, territory, department. ``projects``, ``difficult`` and ``seasonal`` have each their
    bounds ``_low`` and ``_high``, equal to the count where it is published, and ``_secret`` where it is not. No part exceeds
    its projects.
    """
    surveys = [_estimate_survey(rows, params) for _, rows in bmo.sort_values(_KEY).groupby("year")]
    estimated = pd.concat(surveys, ignore_index=True) if surveys else _estimate_survey(BMO.empty(), params)
    bounds = [f"{count}{end}" for count in COUNTS for end in ("", "_low", "_high", "_secret")]
    return estimated[[*_KEY, *bounds, "known_from"]]


def _estimate_survey(survey: pd.DataFrame, params: SurveyParams) -> pd.DataFrame:
    """Fill the secrets of one survey and add the bounds of every count. Same rows."""
    rows = survey.reset_index(drop=True)
    rows = rows.assign(**{f"{count}_secret": rows[f"{count}_secret"].astype("bool") for count in COUNTS})
    filled = rows.assign(projects=_estimate_projects(rows, params))
    filled = filled.assign(**{part: _estimate_part(filled, part, params) for part in PARTS})
    for count, least in zip(COUNTS, (_LEAST, 0.0, 0.0), strict=True):
        secret = filled[f"{count}_secret"]
        most = float(SMALLEST_PUBLISHED)
        filled = filled.assign(
            **{f"{count}_low": filled[count].mask(secret, least), f"{count}_high": filled[count].mask(secret, most)}
        )
    return filled


def _estimate_projects(survey: pd.DataFrame, params: SurveyParams) -> pd.Series[float]:
    """Estimate the secret projects of a survey: one mean for all cells of which the same size is expected. Same rows.

    The size expected of a cell is that of its family and its place: total of the family × total of the place ÷ total.
    """
    secret = survey["projects_secret"]
    near = survey["projects"] < SMALLEST_PUBLISHED + params.near_width
    group = _size_groups(survey, params.size_groups)
    ratio = (secret.sum() + params.near_prior * params.secrets_to_near) / (near.sum() + params.near_prior)
    ratios = (secret.groupby(group).sum() + params.near_prior * ratio) / (near.groupby(group).sum() + params.near_prior)
    start = _share_of_whole_fives(survey["projects"], params.near_prior) / 2
    means = ratios.map(lambda each: _mean_secret(each, (_LEAST - start, SMALLEST_PUBLISHED - start), params.near_width + start))
    return survey["projects"].astype("float64").mask(secret, group.map(means))


def _size_groups(survey: pd.DataFrame, groups: int) -> pd.Series[int]:
    """Number the cells by the size expected of them, from small to large, in groups of as many. Same rows."""
    counts = survey["projects"].mask(survey["projects_secret"], (_LEAST + SMALLEST_PUBLISHED) / 2)
    of_family = counts.groupby(survey["family"]).transform("sum")
    expected = of_family * counts.groupby([survey[name] for name in CELL]).transform("sum")
    return (expected.rank(method="average", pct=True) * groups).sub(1e-9).clip(lower=0).astype("int64")


def _share_of_whole_fives(projects: pd.Series[float], prior: float) -> float:
    """Say whether counts were whole before they were hidden (1) or rounded after it (0): half of the fives are then hidden.

    As many fives are expected as carry on the fall from 8 and 9 to 6 and 7.
    """
    fives, next_two, last_two = (
        int(projects.between(SMALLEST_PUBLISHED + start, SMALLEST_PUBLISHED + end).sum())
        for start, end in ((0, 0), (1, 2), (3, 4))
    )
    expected = (next_two + prior) ** 2 / (last_two + prior) / 2
    return float(np.clip(2 * (fives + prior / 4) / expected - 1, 0, 1))


def _mean_secret(ratio: float, between: tuple[float, float], width: float) -> float:
    """Give the mean of a secret when there are ``ratio`` of them for each count published just above: density e^(-bx)."""
    least, edge = between
    reach = edge - least

    def excess(fall: float) -> float:
        return float(np.log(reach * exprel(fall * reach) / (width * exprel(-fall * width))) - np.log(ratio))

    steep = -_STEEPEST if excess(-_STEEPEST) > 0 else _STEEPEST
    fall = steep if excess(-_STEEPEST) * excess(_STEEPEST) > 0 else float(brentq(excess, -_STEEPEST, _STEEPEST))
    counts = np.linspace(least, edge, _POINTS)
    return max(_LEAST, float(np.average(counts, weights=np.exp(-fall * (counts - least)))))


def _estimate_part(survey: pd.DataFrame, part: str, params: SurveyParams) -> pd.Series[float]:
    """Estimate a secret part of the projects, published or already estimated. Same rows.

    Among published projects it is the mean of what the beta-binomial of their size leaves below the secret; among secret ones
    the share that the family has in the smallest cells, drawn towards that of all families.
    """
    asked = survey[~survey["projects_secret"]].assign(count=survey[part].astype("float64"))[["family", "projects", "count"]]
    size = np.floor(np.log(asked["projects"] / SMALLEST_PUBLISHED) / np.log(params.part_step)).clip(0, params.part_sizes - 1)
    kind = size.where(size.map(size.value_counts()) >= params.fewest_cells, -1.0)
    parts = [_fill_part(cells, asked if each < 0 else cells) for each, cells in asked.groupby(kind)]
    filled = pd.concat(parts).sort_index() if parts else asked
    smallest = filled[(size == size.min()).reindex(filled.index)]
    share, of_all = _family_shares(smallest, params.family_prior)
    within_secrets = survey["projects"] * survey["family"].map(share).astype("float64").fillna(of_all)
    return filled["count"].reindex(survey.index).fillna(within_secrets)


def _fill_part(cells: pd.DataFrame, like: pd.DataFrame) -> pd.DataFrame:
    """Fill the hidden counts of a part with what a beta-binomial fitted to cells like these expects. Same rows."""
    hidden = cells["count"].isna()
    if not hidden.any():
        return cells
    alpha, beta = _fit_beta_binomial(like)
    projects = cells.loc[hidden, "projects"].to_numpy(dtype="float64")
    chances = _log_chances(_HIDDEN_PARTS[None, :], projects[:, None], alpha, beta)
    means = np.exp(chances - logsumexp(chances, axis=1, keepdims=True)) @ _HIDDEN_PARTS
    return cells.assign(count=cells["count"].fillna(pd.Series(means, index=cells.index[hidden])))


def _fit_beta_binomial(cells: pd.DataFrame) -> tuple[float, float]:
    """Fit how many of the projects of a cell are in the part: most likely, a hidden count being below the secret."""
    seen = cells.value_counts(["projects", "count"], dropna=False, sort=False).sort_index()
    projects, count = (seen.index.get_level_values(name).to_numpy(dtype="float64") for name in ("projects", "count"))
    weight, hidden = seen.to_numpy(dtype="float64"), np.isnan(count)

    def unlikely(point: Numbers) -> float:
        alpha, beta = _shape(point)
        told = _log_chances(count[~hidden], projects[~hidden], alpha, beta)
        below = logsumexp(_log_chances(_HIDDEN_PARTS[None, :], projects[hidden][:, None], alpha, beta), axis=1)
        return -float(told @ weight[~hidden] + below @ weight[hidden]) / float(weight.sum())

    found = minimize(unlikely, np.zeros(2), method="L-BFGS-B", bounds=(_LOGITS, _LOGS))
    return _shape(found.x)


def _shape(point: Numbers) -> tuple[float, float]:
    """Give alpha and beta from the logit of the mean and the log of the concentration."""
    mean, concentration = float(expit(point[0])), float(np.exp(point[1]))
    return mean * concentration, (1 - mean) * concentration


def _log_chances(count: Numbers, projects: Numbers, alpha: float, beta: float) -> Numbers:
    """Give the log of the beta-binomial chance of each count among its projects."""
    ways = gammaln(projects + 1) - gammaln(count + 1) - gammaln(projects - count + 1)
    chances: Numbers = ways + betaln(count + alpha, projects - count + beta) - betaln(alpha, beta)
    return chances


def _family_shares(cells: pd.DataFrame, prior: float) -> tuple[pd.Series[float], float]:
    """Give the part of the projects of each family, drawn towards that of all families, and the latter; half of none."""
    sums = cells.groupby("family")[["count", "projects"]].sum()
    of_all = float(sums["count"].sum() / sums["projects"].sum()) if len(sums) else 1 / 2
    return (sums["count"] + prior * of_all) / (sums["projects"] + prior), of_all


# What is drawn from them ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Surveyed:
    """The last survey by occupation, beside what no link reaches.

    ``occupations`` has one row per territory, department, occupation; ``unmapped`` one per territory, department, family.
    """

    occupations: pd.DataFrame
    unmapped: pd.DataFrame


def last_survey(families: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows of the last year. One row per family, territory, department."""
    last: pd.DataFrame = families[families["year"] == families["year"].max()]
    return last


def lasting_projects(families: pd.DataFrame) -> pd.Series[float]:
    """Sum the projects of the last survey that are not seasonal, by territory."""
    last = last_survey(families)
    totals: pd.Series[float] = (last["projects"] - last["seasonal"]).groupby(last["territory"]).sum()
    return totals


def survey_occupations(families: pd.DataFrame, crosswalks: Crosswalks) -> Surveyed:
    """Carry the last survey to occupations. One row per territory, department, occupation.

    ``projects`` lie between ``projects_low`` and ``projects_high``, which bound secrets alone and not what employers may err;
    ``secret_share`` of them is estimated, and ``n`` are published. ``difficulty`` = ``difficult`` ÷ ``projects``.
    """
    last = last_survey(families)
    measured = last.assign(n=last["projects"].mask(last["projects_secret"], 0.0))
    long = measured.melt([*CELL, "family"], _CARRIED, var_name="measure", value_name="volume")
    nomenclature = str(last["nomenclature"].iloc[0]) if len(last) else "FAP2021"
    links = links_between(crosswalks, nomenclature, "ROME")
    carried = carry(long.rename(columns={"family": "code"}), links)
    wide = carried.mapped.pivot_table(index=[*CELL, "target"], columns="measure", values="volume", aggfunc="sum")
    counts = (
        wide.reindex(columns=_CARRIED)
        .astype("float64")
        .rename_axis(columns=None)
        .reset_index()
        .rename(columns={"target": "occupation"})
    )
    occupations = counts.assign(
        difficulty=counts["difficult"] / counts["projects"],
        secret_share=1 - (counts["n"] / counts["projects"]).clip(upper=1),
        year=last["year"].max(),
        known_from=last["known_from"].max(),
    )
    left = carried.unmapped[carried.unmapped["measure"] == "projects"].rename(columns={"code": "family", "volume": "projects"})
    types = {"occupation": "str", "year": "Int64", "known_from": "datetime64[us]", **dict.fromkeys(CELL, "str")}
    return Surveyed(
        occupations.astype(types)[[*CELL, "occupation", *_CARRIED, "difficulty", "secret_share", "year", "known_from"]],
        left[[*CELL, "family", "projects"]].reset_index(drop=True),
    )


_CARRIED = ["projects", "projects_low", "projects_high", *PARTS, "n"]


def lies_within(families: pd.DataFrame, communes: pd.DataFrame) -> pd.Series[bool]:
    """Say of each row whether its cell holds communes of the Region: national files hold its neighbours too."""
    ours = pd.MultiIndex.from_frame(communes[CELL].drop_duplicates())
    return pd.Series(pd.MultiIndex.from_frame(families[CELL]).isin(ours), index=families.index)


def survey_error(families: pd.DataFrame, crosswalks: Crosswalks) -> pd.DataFrame:
    """Say how far each territory's last survey is from the one before, family by family. One row per territory.

        error = Σ |projects − projects before| ÷ Σ projects        change = Σ projects ÷ Σ projects before − 1

    over the ``n`` families that either survey asked for: what a forecast by last year's survey would have missed there, true
    change and chance together. One pair of surveys says nothing of a single cell, so a territory is as fine as it goes.
    ``bridged`` says that the earlier one was carried from other families, which adds errors of its own. No row where there
    are not two surveys.
    """
    last = last_survey(families)
    before = last_survey(families[families["year"] < families["year"].max()])
    then, bridged = _in_families_of(before, last, crosswalks)
    told_twice = set(last["territory"]) & set(before["territory"])
    now = last[["territory", "family", "projects"]].assign(before=0.0)
    both = pd.concat([now, then.rename(columns={"projects": "before"}).assign(projects=0.0)], ignore_index=True)
    cells = (
        both[both["territory"].isin(told_twice)].groupby(["territory", "family"], as_index=False)[["projects", "before"]].sum()
    )
    cells = cells.assign(missed=(cells["projects"] - cells["before"]).abs(), n=1)
    sums = cells.groupby("territory", as_index=False)[["projects", "before", "missed", "n"]].sum()
    told = sums.assign(error=sums["missed"] / sums["projects"], change=sums["projects"] / sums["before"] - 1, bridged=bridged)
    return told[["territory", "error", "change", "n", "projects", "bridged"]]


def _in_families_of(before: pd.DataFrame, last: pd.DataFrame, crosswalks: Crosswalks) -> tuple[pd.DataFrame, bool]:
    """Carry a survey to the families of a later one where they differ, and say so. One row per territory, family."""
    kinds = [str(rows["nomenclature"].iloc[0]) for rows in (before, last) if len(rows)]
    then = before[["territory", "family", "projects"]]
    if len(set(kinds)) <= 1:
        return then, False
    links = links_between(crosswalks, *kinds)
    mapped = carry(then.rename(columns={"family": "code", "projects": "volume"}), links).mapped
    return mapped.rename(columns={"target": "family", "volume": "projects"}), True
