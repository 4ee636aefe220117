"""What the other sources let one expect of the offers to come, as it stood at the end of each past year.

A forecast of vacancies may hear what employers said in the survey, what studies expect and what territories ask for. Whether
that helps is learned at origins in the past, so each year needs what was known *then*: the survey, the studies and the signals
of that day, and none that came later. The crosswalks are today's for every year: a code that moved is no change of need.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import pandas as pd

from features.disagreement import CELL
from features.observation import Observation, ObservationParams, Setting
from features.params import Section, param
from features.prospects import Ground, choose_openings, no_volumes, yearly_openings
from features.signals import sector_groups, signals_in_force, weigh_signals
from features.surveys import lies_within, survey_occupations
from features.tables import Tables

KEY = [*CELL, "period"]
EXPECTED = ["projects", "openings", "signals"]
_YEAR = 12  # months


class PriorParams(Section):
    """How far back the other sources are looked at."""

    years: int = param(6, "past years of which it is told what the other sources let expect", unit="years", ge=1, le=20)


class _Said(NamedTuple):
    """What sources said on one day, by territory, department, occupation; nothing where a source was silent."""

    survey: pd.DataFrame | None
    openings: pd.DataFrame | None
    signals: pd.DataFrame | None

    def columns(self) -> Iterator[pd.DataFrame]:
        """Give what each source lets expect. One row per territory, department, occupation (the index)."""
        if self.survey is not None and len(self.survey):
            survey = self.survey.set_index(CELL)
            yield (survey["projects"] - survey["seasonal"]).to_frame("projects")
        if self.openings is not None and len(self.openings):
            yield self.openings.set_index(CELL)[["openings"]]
        if self.signals is not None:
            signals = self.signals.set_index(CELL)
            yield (signals["direction"] * signals["weight"]).fillna(0.0).to_frame("signals")


def expect_by_sources(
    known: Tables, seen: Observation, setting: Setting, last: str, *, params: ObservationParams, years: int
) -> pd.DataFrame:
    """Tell what sources let expect at the end of ``last`` and of that month in past years.

    One row per territory, department, occupation, period (``YYYY-MM``, the last month of a year): of all cells that a source
    had told of by then. ``seen`` is what was observed on the day of the setting, with its surveys, each estimated by itself.

        projects = projects − seasonal ones, of the last survey known      openings = those of a year, of the valid studies
        signals  = Σ direction × weight, of those in force

    Missing where the source was silent that day: no survey, no study of the occupation, no signal ever. Where a survey or a
    signal was known, cells it does not speak of have zero.
    """
    told: list[pd.DataFrame] = []
    for ago in reversed(range(years)):
        month = pd.Period(last, "M") - _YEAR * ago
        day = month.end_time.normalize()
        found = list(_ask(known, seen, replace(setting, as_of=day), params, asked=day == setting.as_of).columns())
        if not found:
            continue
        before = told[-1].set_index(CELL)[[]] if told else found[0][[]]
        wide = pd.concat([before, *found], axis="columns").sort_index().reindex(columns=EXPECTED)
        answered = {str(name): 0.0 for part in found for name in part if name != "openings"}
        told.append(wide.fillna(answered).reset_index().assign(period=str(month)))
    types = {**dict.fromkeys(KEY, "str"), **dict.fromkeys(EXPECTED, "float64")}
    rows = pd.concat(told, ignore_index=True) if told else pd.DataFrame(columns=[*KEY, *EXPECTED])
    return rows[[*KEY, *EXPECTED]].astype(types).sort_values(KEY, ignore_index=True)


def _ask(known: Tables, seen: Observation, setting: Setting, params: ObservationParams, *, asked: bool) -> _Said:
    """Ask the survey, the studies and the territories what was known that day; who was ``asked`` then is not asked again."""
    communes, crosswalks, as_of = setting.communes, setting.crosswalks, setting.as_of
    spoken = bool((known.signals["known_from"] <= as_of).any())
    if asked:
        return _Said(seen.survey.occupations, seen.openings, seen.signals if spoken else None)
    survey = openings = signals = None
    published = seen.families[seen.families["known_from"] <= as_of]
    if len(published):
        survey = survey_occupations(published[lies_within(published, communes)], crosswalks).occupations
    if (known.projections["known_from"] <= as_of).any():
        volumes = no_volumes() if survey is None else survey[[*CELL, "projects"]].rename(columns={"projects": "volume"})
        studies = yearly_openings(known.projections, crosswalks, Ground(communes, volumes), as_of, params.prospects)
        openings = choose_openings(studies.openings, params.prospects)
    if spoken:
        in_force = signals_in_force(known.signals, as_of, params.signals)
        signals = weigh_signals(in_force, crosswalks, communes, sector_groups(known.overrides, as_of))
    return _Said(survey, openings, signals)
