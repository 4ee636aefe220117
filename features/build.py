"""From checked tables to dated features: the one place that says what the models are given, and what a territory is told.

features = build_features(tables, as_of, params)
features.cells                      everything known of a territory × occupation, side by side
features.seen                       the same, source by source
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd
from pydantic import field_validator

from features import facts
from features.contracts import GradeLimits
from features.courses import CourseParams, list_courses
from features.crosswalks import Crosswalks, build_crosswalks, sector_links
from features.demand import DemandParams, add_need, estimate_coverage, fill_months, last_full_month
from features.entrants import add_entrants
from features.exits import OutcomeParams, Past, follow_exits, link_courses
from features.holdings import asked_of, given_by, list_holdings
from features.leavers import LeaverParams, count_leavers
from features.lots import chains_before, follow_newest
from features.moves import list_moves
from features.novelty import NoveltyParams, count_series, score_novelty
from features.observation import Observation, ObservationParams, Setting, describe_cells, look_around, observe
from features.options import OptionParams, list_options, registered_until
from features.outcomes import count_outcomes, pool_rates
from features.params import Section, param
from features.people import list_people
from features.places import own_or_shipped
from features.priors import PriorParams, expect_by_sources
from features.publics import PublicParams
from features.reach import ReachParams, travel_weights
from features.seats import CELL as UNDER_WAY
from features.seats import COUNTS, SeatParams, Training, count_under_way, seat_chain
from features.signs import SignParams, note_signs
from features.skill_gaps import place_gaps
from features.skill_shares import YEAR, SkillShareParams, SkillShares, count_listing, count_steps, follow_shares
from features.skills import SkillParams, asked_skills, count_skills, listed_skills, named_skills, offered_certifications
from features.starts import StartParams, Watched, add_places, gather_starts, people_at
from features.supply import SupplyParams, available_people, count_jobseekers, eligible_people, latest_people
from features.surveys import lasting_projects
from features.tables import Tables
from features.unmapped import carry_measures, list_unmapped
from features.unserved import UnservedParams, look_for_sessions, people_without_session


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
    observation: ObservationParams = ObservationParams()
    priors: PriorParams = PriorParams()
    supply: SupplyParams = SupplyParams()
    seats: SeatParams = SeatParams()
    leavers: LeaverParams = LeaverParams()
    reach: ReachParams = ReachParams()
    unserved: UnservedParams = UnservedParams()
    outcomes: OutcomeParams = OutcomeParams()
    starts: StartParams = StartParams()
    skills: SkillParams = SkillParams()
    skill_shares: SkillShareParams = SkillShareParams()
    novelty: NoveltyParams = NoveltyParams()
    signs: SignParams = SignParams()
    options: OptionParams = OptionParams()
    publics: PublicParams = PublicParams()
    courses: CourseParams = CourseParams()
    region: str = param("R44", "the Region that is served; one other than Grand Est brings its communes (data/raw/territories)")
    grades: GradeParams = GradeParams()
    privacy: PrivacyParams = PrivacyParams()

    @field_validator("region")
    @classmethod
    def _is_a_region(cls, code: str) -> str:
        known = sorted(facts.departments()["region"].unique())
        if code not in known:
            raise ValueError(f"{code} is not a région; write one of {', '.join(known)}")
        return code


@dataclass(frozen=True)
class Features:
    """What is known at ``as_of``; each frame says its row in the builder that makes it.

    ``cells`` is all that is known of a territory × département × occupation, side by side, ``seen`` the same, source by
    source; ``reach`` adds what neighbours have. ``priors`` is what the other sources let expect of the offers of the
    ``panel``, year by year as it was known; ``signs`` are what may make its need wrong. ``chain`` follows a seat,
    ``chains_before`` as it was known when the lots that are over (``lots_over``) were bought. ``skills`` are those that the
    occupations of a sector ask, named by its certifications or not, ``skill_shares`` how often each occupation asks them;
    ``novelty`` says what emerges and declines, and how often that is said of what does neither. ``starts`` are people at the
    day from which effects count; ``tonight`` are those to be served, described as they would be at a start. ``holdings`` are
    what the ``people`` have completed, ``asked`` and ``given`` what the ``courses`` ask before and give, ``moves`` where each
    occupation leads.
    """

    cells: pd.DataFrame
    reach: pd.DataFrame
    seen: Observation
    panel: pd.DataFrame
    priors: pd.DataFrame
    signs: pd.DataFrame
    coverage: pd.DataFrame
    supply: pd.DataFrame
    jobseekers: pd.DataFrame
    under_way: pd.DataFrame
    leavers: pd.DataFrame
    eligible: pd.DataFrame
    unserved: pd.DataFrame
    chain: pd.DataFrame
    chains_before: pd.DataFrame
    lots_over: pd.DataFrame
    outcomes: pd.DataFrame
    starts: pd.DataFrame
    tonight: pd.DataFrame
    skills: pd.DataFrame
    skill_shares: SkillShares
    novelty: pd.DataFrame
    options: pd.DataFrame
    people: pd.DataFrame
    courses: pd.DataFrame
    moves: pd.DataFrame
    holdings: pd.DataFrame
    asked: pd.DataFrame
    given: pd.DataFrame
    travel: pd.DataFrame
    crosswalks: Crosswalks
    unmapped: pd.DataFrame

    def without_persons(self) -> Features:
        """Give what there is to know of territories and courses: frames with a row per person hold nothing."""
        nobody = pd.DataFrame()
        return replace(self, starts=nobody, tonight=nobody, people=nobody, holdings=nobody)


def build_features(tables: Tables, as_of: pd.Timestamp, params: FeatureParams, exercise: int = 0) -> Features:
    """Build every feature from what was known at ``as_of``; nothing later changes one; ``exercise`` 0 is the next year."""
    known = tables.known_at(as_of)
    communes = own_or_shipped(known.territories)
    crosswalks, limits = crosswalks_of(known, as_of), params.grades.limits()
    setting = Setting(communes, crosswalks, as_of)
    # What takes most memory comes first, while little else is held.
    starts, outcomes = _starts(known, setting, params), _rates(known, setting, params)
    seen = observe(known, setting, params.demand, params.observation, limits)
    months = fill_months(seen.offers, seen.near_border, as_of)
    coverage = estimate_coverage(months, lasting_projects(seen.families), params.demand)
    supply = available_people(known.jobseekers, params.supply)
    travel = travel_weights(communes, seen.families, params.reach)
    cells = describe_cells(seen, setting, params.observation, coverage=coverage, supply=supply, limits=limits)
    matched = _people_and_courses(known, setting, params)
    counts = count_skills(known.offers, communes, as_of, params.skills, params.demand)
    novelty = score_novelty(count_series(counts), params.novelty)
    return Features(
        cells=cells,
        reach=look_around(cells, seen.beyond, travel),
        seen=seen,
        panel=add_need(months, coverage, params.demand),
        priors=_expected(known, seen, setting, params),
        signs=note_signs(cells, novelty, known.employment, params.signs),
        coverage=coverage,
        supply=supply,
        jobseekers=count_jobseekers(known.jobseekers, params.publics, params.supply),
        **_seats(known, setting, params),
        eligible=eligible_people(known.jobseekers, params.supply),
        unserved=_unserved(matched["people"], matched["courses"], setting, params),
        outcomes=outcomes,
        starts=_with_places(starts, known, months, params),
        tonight=_with_places(people_at(latest_people(known.jobseekers), as_of), known, months, params),
        skills=asked_skills(counts, _named(known, as_of, params.skills), crosswalks, known.skills, params.skills),
        skill_shares=_shares_of_skills(known, setting, counts, params),
        novelty=novelty,
        options=_options(known, exercise or as_of.year + 1, params),
        **matched,
        travel=travel,
        crosswalks=crosswalks,
        unmapped=list_unmapped(carry_measures(known, communes, crosswalks)),
    )


def _expected(known: Tables, seen: Observation, setting: Setting, params: FeatureParams) -> pd.DataFrame:
    """Tell what the other sources let expect, year by year. One row per territory, department, occupation, period."""
    last, years = last_full_month(setting.as_of), params.priors.years
    return expect_by_sources(known, seen, setting, last, params=params.observation, years=years)


def _people_and_courses(known: Tables, setting: Setting, params: FeatureParams) -> dict[str, pd.DataFrame]:
    """List who is to be served and the courses there are, and what lets one into the other."""
    courses = list_courses(known.catalogue, setting.communes, params.courses)
    people = list_people(latest_people(known.jobseekers), setting.communes, params.publics)
    return {
        "people": people,
        "courses": courses,
        "moves": list_moves(known.mobilities),
        "holdings": list_holdings(known.trainings, people, known.sessions, known.catalogue, setting.as_of),
        "asked": asked_of(courses),
        "given": given_by(courses),
    }


def _unserved(people: pd.DataFrame, courses: pd.DataFrame, setting: Setting, params: FeatureParams) -> pd.DataFrame:
    """Count the people for whom no session exists. One row as in its builder."""
    links = sector_links(setting.crosswalks)
    looked = look_for_sessions(people, courses, links, as_of=setting.as_of, params=params.unserved)
    return people_without_session(looked, params.privacy.smallest_cell, params.unserved)


def _past(known: Tables, setting: Setting) -> Past:
    return Past(known.trainings, known.employment, known.outcomes, link_courses(setting.crosswalks))


def _options(known: Tables, exercise: int, params: FeatureParams) -> pd.DataFrame:
    """List what can be bought, and who enters it. One row per sector, action_type, exit level."""
    registered = registered_until(known.certifications, known.registrations)
    options = list_options(known.purchases, registered, exercise, params.options)
    return add_entrants(options, known.trainings, params.publics, params.outcomes.pooling, params.privacy.smallest_cell)


def _starts(known: Tables, setting: Setting, params: FeatureParams) -> pd.DataFrame:
    """Gather the people whom effects are estimated from. One row per person and start."""
    watched = Watched(_past(known, setting), known.jobseekers)
    return gather_starts(watched, setting.as_of, params.starts, params.outcomes)


def _with_places(people: pd.DataFrame, known: Tables, months: pd.DataFrame, params: FeatureParams) -> pd.DataFrame:
    """Say how many openings there are where each person lives, and in what each wants. Same rows."""
    recent = months[months["period"].isin(sorted(months["period"].unique())[-params.starts.openings_months :])]
    openings = recent.groupby(["territory", "occupation"], as_index=False)[["positions"]].sum()
    return add_places(people, openings, latest_people(known.jobseekers))


def _seats(known: Tables, setting: Setting, params: FeatureParams) -> dict[str, pd.DataFrame]:
    """Follow seats: how far they get, whom they bring, what became of the newest that are over. One row as in its builder."""
    training, as_of = Training(known.trainings, known.purchases, known.sessions), setting.as_of
    chain = seat_chain(training, as_of, params.seats)
    leavers = count_leavers(known.insertion, setting.communes, as_of=as_of, params=params.leavers)
    coming = count_under_way(training, chain, setting.communes, as_of=as_of, params=params.seats)
    return {
        "chain": chain,
        "chains_before": chains_before(known, as_of, params.seats),
        "lots_over": follow_newest(training, _past(known, setting), as_of, params.outcomes),
        "under_way": _with_leavers(coming, leavers),
        "leavers": leavers,
    }


def _rates(known: Tables, setting: Setting, params: FeatureParams) -> pd.DataFrame:
    """Estimate what becomes of trainees. One row per cell, public, outcome and horizon."""
    past = _past(known, setting)
    counts = count_outcomes(follow_exits(past, setting.as_of, params.outcomes), known.trainings, params.publics)
    return pool_rates(counts, params.outcomes, params.grades.limits(), params.privacy.smallest_cell)


def _with_leavers(coming: pd.DataFrame, leavers: pd.DataFrame) -> pd.DataFrame:
    """Set the leavers of schools beside those whom training brings. Same key as both: ``under_way`` counts them all.

    Need counts all recruitments, those of the young as well: so all who leave count, at work or not.
    """
    both = coming.merge(leavers[[*UNDER_WAY, "leavers"]], on=UNDER_WAY, how="outer", validate="one_to_one").sort_values(
        UNDER_WAY, ignore_index=True
    )
    filled = both.fillna(dict.fromkeys([*COUNTS, "leavers"], 0.0))
    return filled.assign(under_way=filled["under_way"] + filled["leavers"])


def _named(known: Tables, as_of: pd.Timestamp, params: SkillParams) -> pd.DataFrame:
    """List the skills that the certifications of each sector name. One row per sector, skill."""
    offered = offered_certifications(known.purchases, known.catalogue, as_of, params)
    return named_skills(known.certifications, offered, known.occupation_skills)


def _shares_of_skills(known: Tables, setting: Setting, counts: pd.DataFrame, params: FeatureParams) -> SkillShares:
    """Follow how often offers ask each skill, over the Region and by territory."""
    own, as_of = params.skill_shares, setting.as_of
    steps = count_steps(known.offers, as_of, params.skills, params.demand)
    listing = count_listing(known.offers, setting.communes, as_of, own, params.demand)
    pairs, ahead, learned = follow_shares(steps, listed_skills(known.occupation_skills), YEAR * own.years_ahead, own)
    gaps = place_gaps(counts, listing, pairs, float(learned["dispersion"].item()), own)
    return SkillShares(pairs, ahead, gaps, learned)


def crosswalks_of(known: Tables, as_of: pd.Timestamp) -> Crosswalks:
    """Build the crosswalks of a home: its corrections in force, and the Formacodes that its tables hold."""
    said = known.signals.loc[known.signals["nomenclature"] == "FORMACODE", "code"]
    seen = pd.concat([known.catalogue["formacode"], known.trainings["formacode"], known.purchases["formacode"], said])
    return build_crosswalks(known.overrides, as_of, seen.dropna().unique())
