"""What is observed of a territory's occupations, source by source, and all of it side by side.

:func:`observe` asks every source what it knows; :func:`describe_cells` sets it side by side, one row per territory,
département and occupation, with what the sources agree on, how far they are apart, and a grade. A source that a home lacks
leaves its columns empty, the interval wider and the grade lower; it never leaves out a cell that another source knows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.stats import norm

from features.border import border_shares, observe_border, spread_border
from features.contracts import GradeLimits
from features.crosswalks import Crosswalks
from features.demand import DemandParams, count_repeats, last_full_month, observe_offers
from features.disagreement import CELL, HALF, DisagreementParams, claim_changes, compare_sources, disagree
from features.facts import borders
from features.hires import HireParams, count_hires
from features.market_tables import CAUSES
from features.params import Section, param
from features.prospects import Ground, ProspectParams, Prospects, choose_openings, no_volumes, yearly_openings
from features.reach import within_reach
from features.reliability import ReliabilityParams, grade_cells, last_error
from features.signals import SignalParams, list_unplaced, sector_groups, signals_in_force, skill_signals, weigh_signals
from features.surveys import Surveyed, SurveyParams, estimate_families, lies_within, survey_error, survey_occupations
from features.tables import Tables
from features.tension import TensionParams, explain_tension, training_solvable

YEARLY = ["vacancies", "positions", "seasonal", "short", "beginners", "experienced", "level_told", "level_below_4"]
_DESCRIBED = [*YEARLY, "wage_told", "wage_cents", "days_on_line"]
OFFERED = ("vacancies", "signals")  # sources that count vacancies
_NEAR = ["positions", "projects", "supply"]
_UPPER = float(norm.ppf(0.9))  # the interval is one of 80 %


class ObservationParams(Section):
    """How what sources say is estimated, weighed and set side by side."""

    surveys: SurveyParams = SurveyParams()
    prospects: ProspectParams = ProspectParams()
    tension: TensionParams = TensionParams()
    signals: SignalParams = SignalParams()
    hires: HireParams = HireParams()
    disagreement: DisagreementParams = DisagreementParams()
    reliability: ReliabilityParams = ReliabilityParams()
    alone_spread: float = param(
        0.5, "spread added to what one source alone says, since nothing confirms it", unit="log", ge=0, le=2
    )


@dataclass(frozen=True)
class Observation:
    """What each source says; every frame's row is told by the function that makes it."""

    offers: pd.DataFrame
    border: pd.DataFrame
    near_border: pd.DataFrame
    repeats: pd.DataFrame
    families: pd.DataFrame
    survey: Surveyed
    beyond: pd.DataFrame
    survey_error: pd.DataFrame
    prospects: Prospects
    openings: pd.DataFrame
    tension: pd.DataFrame
    solvable: pd.DataFrame
    signals: pd.DataFrame
    skill_signals: pd.DataFrame
    unplaced_signals: pd.DataFrame
    hires: pd.DataFrame
    compared: pd.DataFrame
    agreed: pd.DataFrame


@dataclass(frozen=True)
class Setting:
    """Where and when a Region is looked at: its communes, its crosswalks, and the day."""

    communes: pd.DataFrame
    crosswalks: Crosswalks
    as_of: pd.Timestamp


def observe(
    known: Tables, setting: Setting, demand: DemandParams, params: ObservationParams, limits: GradeLimits
) -> Observation:
    """Ask every source what it knows of the Region's occupations."""
    communes, crosswalks, as_of = setting.communes, setting.crosswalks, setting.as_of
    offers = observe_offers(known.offers, communes, as_of, demand)
    border = observe_border(known.offers, as_of, demand)
    families = estimate_families(known.bmo, params.surveys)
    here = lies_within(families, communes)
    survey = survey_occupations(families[here], crosswalks)
    ground = Ground(communes, _volumes(survey))
    prospects = yearly_openings(known.projections, crosswalks, ground, as_of, params.prospects)
    openings = choose_openings(prospects.openings, params.prospects)
    tension = explain_tension(known.tension, known.market, crosswalks, communes)
    in_force = signals_in_force(known.signals, as_of, params.signals)
    groups = sector_groups(known.overrides, as_of)
    signals = weigh_signals(in_force, crosswalks, communes, groups)
    hires = count_hires(known.employment, as_of, params.hires)
    sources = list_sources(offers, survey, openings, hires, signals, as_of=as_of, params=params.disagreement)
    compared = compare_sources(sources, params.disagreement)
    return Observation(
        offers=offers,
        border=border,
        near_border=spread_border(border, border_shares(communes, borders(), demand)),
        repeats=count_repeats(known.offers, as_of, demand),
        families=families,
        survey=survey,
        beyond=survey_occupations(families[~here], crosswalks).occupations,
        survey_error=survey_error(families, crosswalks),
        prospects=prospects,
        openings=openings,
        tension=tension,
        solvable=training_solvable(tension, as_of, params.tension, limits),
        signals=signals,
        skill_signals=skill_signals(in_force, communes),
        unplaced_signals=list_unplaced(in_force, crosswalks, communes, groups),
        hires=hires,
        compared=compared,
        agreed=disagree(compared),
    )


def _volumes(survey: Surveyed) -> pd.DataFrame:
    """Give the projects that studies are shared by. One row per territory, department, occupation."""
    asked = survey.occupations[[*CELL, "projects"]].rename(columns={"projects": "volume"})
    return asked if len(asked) else no_volumes()


# What is set beside each other ------------------------------------------------------------------------------------------


def list_sources(
    offers: pd.DataFrame,
    survey: Surveyed,
    openings: pd.DataFrame,
    hires: pd.DataFrame,
    signals: pd.DataFrame,
    *,
    as_of: pd.Timestamp,
    params: DisagreementParams,
) -> pd.DataFrame:
    """List the lasting recruitments a year that each source sees. One row per territory, department, occupation, source.

    Vacancies are the positions of the last twelve full months; of the survey it is what is not seasonal; of the studies their
    openings; hires are those of the people followed. ``n`` counts what each rests on: of openings, their number.
    """
    now, before = _year(offers, as_of, 0), _year(offers, as_of, 1)
    asked = survey.occupations
    age = (as_of - asked["known_from"]).dt.days / 365.25 if len(asked) else 0.0
    told = [
        now[CELL].assign(source="vacancies", value=now["positions"], n=now["positions"], age_years=0.0),
        asked[CELL].assign(source="bmo", value=asked["projects"] - asked["seasonal"], n=asked["n"], age_years=age),
        openings[CELL].assign(
            source="projections",
            value=openings["openings"].clip(lower=0.0),
            n=openings["openings"].clip(lower=0.0),
            age_years=openings["age_years"],
        ),
        hires[CELL].assign(source="hires", value=hires["value"], n=hires["n"], age_years=0.0),
        claim_changes(signals, before[CELL].assign(value=before["positions"], n=before["positions"]), params),
    ]
    return pd.concat([rows for rows in told if len(rows)] or told[:1], ignore_index=True)


def _year(offers: pd.DataFrame, as_of: pd.Timestamp, ago: int) -> pd.DataFrame:
    """Add up the twelve full months that ended so many years ago. One row per territory, department, occupation."""
    last = pd.Period(last_full_month(as_of), "M") - 12 * ago
    rows = offers[(offers["period"] > str(last - 12)) & (offers["period"] <= str(last))]
    return rows.groupby(CELL, as_index=False)[_DESCRIBED].sum()


# Side by side -----------------------------------------------------------------------------------------------------------


def describe_cells(
    seen: Observation,
    setting: Setting,
    params: ObservationParams,
    *,
    coverage: pd.DataFrame,
    supply: pd.DataFrame,
    limits: GradeLimits,
) -> pd.DataFrame:
    """Set everything that is known side by side. One row per territory, department, occupation that any source knows.

    ``value`` is the lasting recruitments a year that the sources agree on, told on the scale of the vacancies (else of the
    source with most cells); ``low`` and ``high`` hold it in four cases of five. Figures of offers are those of the last
    twelve full months, ``supply`` the people a year who can do the job,
    ``repeated`` the share of the département's vacancies that are an offer published again, and ``error`` last year's in
    the offers, else the survey's in that territory.
    """
    parts = [
        _describe_offers(seen, setting.as_of),
        seen.survey.occupations.rename(
            columns={"n": "projects_n", "seasonal": "seasonal_projects", "year": "survey_year", "known_from": "survey_from"}
        ),
        seen.openings.rename(columns={"age_years": "openings_age", "sources": "studies"}),
        seen.tension[[*CELL, "tension", "tension_level", "tension_level_grain", *CAUSES, "low_pay", "grain", "year"]].rename(
            columns={"tension_level_grain": "tension_grain", "grain": "causes_grain", "year": "tension_year"}
        ),
        seen.solvable[[*CELL, "value", "low", "high", "n", "borrowed"]].rename(
            columns={"value": "solvable"} | {name: f"solvable_{name}" for name in ("low", "high", "n", "borrowed")}
        ),
        seen.signals[[*CELL, "direction", "places_asked", "voices"]],
        seen.hires[[*CELL, "value"]].rename(columns={"value": "hires"}),
        supply.assign(supply=supply["supply"] * 12),
        agree(seen, params),
    ]
    cells = pd.concat([part.set_index(CELL) for part in parts], axis="columns").sort_index().reset_index()
    cells = cells.merge(coverage[["territory", "coverage"]], on="territory", how="left", validate="many_to_one")
    missed = seen.survey_error[["territory", "error"]].rename(columns={"error": "of_survey"})
    cells = cells.merge(missed, on="territory", how="left", validate="many_to_one")
    cells = cells.assign(error=cells["error"].fillna(cells["of_survey"])).drop(columns="of_survey")
    cells = cells.merge(_repeated(seen.repeats), on=["department", "occupation"], how="left", validate="many_to_one")
    return grade_cells(cells.sort_values(CELL, ignore_index=True), limits, params.reliability)


def _repeated(repeats: pd.DataFrame) -> pd.DataFrame:
    """Say which share of vacancies is an offer published again. One row per department, occupation: repeated."""
    shares = repeats[["department", "occupation"]].assign(repeated=repeats["repeated"] / repeats["vacancies"])
    return shares.astype({"department": "str", "occupation": "str"})


def look_around(cells: pd.DataFrame, beyond: pd.DataFrame, travel: pd.DataFrame) -> pd.DataFrame:
    """Add what neighbours within travel reach have. One row per territory of ``cells``, occupation of it or of a neighbour.

    ``positions``, ``projects`` and ``supply`` are those of a year in the territory, ``_reach`` what it reaches, itself too.
    ``beyond`` are the occupations of the survey outside the Region, where nothing else is known.
    """
    around = pd.concat([cells[[*CELL, *_NEAR]], beyond[[*CELL, "projects"]]], ignore_index=True)
    near = within_reach(around.fillna(dict.fromkeys(_NEAR, 0.0)), travel, _NEAR)
    return near[near["territory"].isin(cells["territory"])].reset_index(drop=True)


def _describe_offers(seen: Observation, as_of: pd.Timestamp) -> pd.DataFrame:
    """Describe the offers of the last twelve full months. One row per territory, department, occupation.

    Shares are of the vacancies that say: ``durable`` of all positions, ``beginner`` of those that name an experience,
    ``low_level`` of those that name a diploma; ``wage_eur`` is the mean gross pay of an hour over ``wage_told`` vacancies and
    ``days_on_line`` the mean of the days between the first publication and the last update.
    """
    last = pd.Period(last_full_month(as_of), "M")
    rows = pd.concat([seen.offers, seen.near_border], ignore_index=True).fillna(dict.fromkeys([*_DESCRIBED, "border"], 0.0))
    rows = rows[(rows["period"] > str(last - 24)) & (rows["period"] <= str(last))]
    recent = rows["period"] > str(last - 12)
    counted = rows[CELL].assign(
        positions_before=rows["positions"].mask(recent, 0.0),
        **{name: rows[name].where(recent, 0.0) for name in (*_DESCRIBED, "border")},
    )
    both = counted.groupby(CELL, as_index=False).sum()
    everything = both["positions"] + both["seasonal"] + both["short"]
    asked = both["beginners"] + both["experienced"]
    described = both[[*CELL, "vacancies", "positions", "positions_before", "seasonal", "short", "border", "wage_told"]]
    return described.assign(
        durable=_share(both["positions"], everything),
        beginner=_share(both["beginners"], asked),
        low_level=_share(both["level_below_4"], both["level_told"]),
        wage_eur=_share(both["wage_cents"], both["wage_told"]) / 100,
        days_on_line=_share(both["days_on_line"], both["vacancies"]),
        error=last_error(both["positions"], both["positions_before"]),
    )


def _share(part: pd.Series[float], whole: pd.Series[float]) -> pd.Series[float]:
    return part / whole.where(whole > 0)


def leave_out_offers(seen: Observation, params: ObservationParams) -> Observation:
    """Let the sources agree without the vacancies, and without what is told against them. Everything else as it was."""
    rows = seen.compared[~seen.compared["source"].isin(OFFERED)]
    compared = compare_sources(rows[[*CELL, "source", "value", "n", "age_years"]], params.disagreement)
    return replace(seen, compared=compared, agreed=disagree(compared))


def agree(seen: Observation, params: ObservationParams) -> pd.DataFrame:
    """Give what the sources of each cell agree on. One row per territory, department, occupation.

    The spread of the logarithm of the consensus is √(variance of their mean × max(1, Q ÷ (sources − 1))): sources that
    disagree say less than their counts pretend, and one alone is confirmed by none (``alone_spread``).
    """
    told = seen.compared[seen.compared["weight"] > 0]
    weighed = told.assign(age_years=told["age_years"] * told["weight"])
    ages = weighed.groupby(CELL, as_index=False)[["age_years"]].sum()
    means = told.assign(precision=1 / told["variance"]).groupby(CELL, as_index=False)[["precision"]].sum()
    agreed = seen.agreed.merge(ages, on=CELL, validate="one_to_one").merge(means, on=CELL, validate="one_to_one")
    excess = 1 / (1 - agreed["disagreement"].clip(upper=0.99))
    spread = np.sqrt(excess / agreed["precision"] + (agreed["sources"] == 1) * params.alone_spread**2)
    least = agreed["value"].mask(agreed["value"] <= 0, HALF)  # none seen is not none for certain
    return agreed.assign(low=agreed["value"] * np.exp(-_UPPER * spread), high=least * np.exp(_UPPER * spread)).drop(
        columns=["precision", "known"]
    )
