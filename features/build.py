"""From checked tables to dated features: the one place that says what the models are given."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from features.contracts import GradeLimits
from features.courses import CourseParams, list_courses
from features.crosswalks import Crosswalks, build_crosswalks
from features.demand import DemandParams, add_need, count_positions, estimate_coverage
from features.options import list_options
from features.outcomes import OutcomeParams, count_outcomes, follow_exits, pool_rates
from features.params import Section, param
from features.people import list_people
from features.places import own_or_shipped
from features.publics import PublicParams
from features.supply import SupplyParams, available_people, count_under_way, eligible_people, latest_people, seat_chain
from features.tables import Tables
from features.unmapped import carry_measures, list_unmapped


class GradeParams(Section):
    """What a grade asks: so many observations at least, and no more borrowed than that."""

    a_observations: float = param(100.0, "grade A from this many observations", unit="observations", ge=1)
    b_observations: float = param(30.0, "grade B from this many observations", unit="observations", ge=1)
    c_observations: float = param(10.0, "grade C from this many observations, D below", unit="observations", ge=1)
    a_borrowed: float = param(0.2, "grade A borrows at most this share", unit="share", ge=0, le=1)
    b_borrowed: float = param(0.5, "grade B borrows at most this share", unit="share", ge=0, le=1)

    def limits(self) -> GradeLimits:
        """Give the limits as the models take them."""
        return GradeLimits(self.a_observations, self.b_observations, self.c_observations, self.a_borrowed, self.b_borrowed)


class PrivacyParams(Section):
    """What protects people in what is published."""

    smallest_cell: int = param(10, "people a published statistic stands for at least", unit="people", ge=5, le=1000)


class FeatureParams(Section):
    """Everything that decides what a feature is."""

    demand: DemandParams = DemandParams()
    supply: SupplyParams = SupplyParams()
    outcomes: OutcomeParams = OutcomeParams()
    publics: PublicParams = PublicParams()
    courses: CourseParams = CourseParams()
    grades: GradeParams = GradeParams()
    privacy: PrivacyParams = PrivacyParams()


@dataclass(frozen=True)
class Features:
    """What is known at ``as_of``; each frame says its row in the builder that makes it."""

    panel: pd.DataFrame
    coverage: pd.DataFrame
    supply: pd.DataFrame
    under_way: pd.DataFrame
    eligible: pd.DataFrame
    chain: pd.DataFrame
    outcomes: pd.DataFrame
    options: pd.DataFrame
    people: pd.DataFrame
    courses: pd.DataFrame
    crosswalks: Crosswalks
    unmapped: pd.DataFrame


def build_features(tables: Tables, as_of: pd.Timestamp, params: FeatureParams) -> Features:
    """Build every feature from what was known at ``as_of``; nothing dated after it changes one."""
    known = tables.known_at(as_of)
    communes = own_or_shipped(known.territories)
    crosswalks = crosswalks_of(known, as_of)
    positions = count_positions(known.offers, communes, as_of, params.demand)
    coverage = estimate_coverage(positions, known.bmo, params.demand)
    chain = seat_chain(known.trainings, known.sessions, as_of)
    followed = follow_exits(known.trainings, known.employment, known.outcomes, as_of, params.outcomes)
    return Features(
        panel=add_need(positions, coverage),
        coverage=coverage,
        supply=available_people(known.jobseekers, params.supply),
        under_way=count_under_way(known.trainings, known.sessions, known.purchases, chain, as_of),
        eligible=eligible_people(known.jobseekers),
        chain=chain,
        outcomes=pool_rates(
            count_outcomes(followed, params.publics), params.outcomes, params.grades.limits(), params.privacy.smallest_cell
        ),
        options=list_options(known.purchases),
        people=list_people(latest_people(known.jobseekers), communes, params.publics),
        courses=list_courses(known.catalogue, communes, params.courses),
        crosswalks=crosswalks,
        unmapped=list_unmapped(carry_measures(known, communes, crosswalks)),
    )


def crosswalks_of(known: Tables, as_of: pd.Timestamp) -> Crosswalks:
    """Build the crosswalks of a home: its corrections in force, and the Formacodes that its tables hold."""
    seen = pd.concat([known.catalogue["formacode"], known.trainings["formacode"], known.purchases["formacode"]])
    return build_crosswalks(known.overrides, as_of, seen.dropna().unique())
