"""Who trains and who works in a simulated region: what is drawn is what the formulas say, and each dial does what it says."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

from needs.twin.careers import calibrate, draw_careers
from needs.twin.department import draw_population
from needs.twin.effects import Effects, absorption, group_variety, groups_of, person_score
from needs.twin.history import at_work, durably, months_worked, past_spells
from needs.twin.market import draw_market
from needs.twin.people import Draw, draw_traits, person_ids, registered, settle
from needs.twin.purchases import FINISHING, add_loads, draw_lots, draw_sessions, room_per_opening
from needs.twin.region import plots_of
from needs.twin.scales import DAYS_PER_MONTH, DURABLE_AMONG_WORK, FILL, SCALES, WORK_6M, in_parts
from needs.twin.work import END_LASTING, END_SHORT, Chances, draw_spells, occupation, untrained
from needs.twin.world import World, draw_world, yearly_openings
from needs.twin.worlds import Dials, TrainingDials, load_world

AS_OF = pd.Timestamp("2026-03-31")
PEOPLE = 20_000


@cache
def world_of(**dials: float) -> World:
    return draw_world(SCALES["demo"], Dials(training=TrainingDials(**dials)), 3, AS_OF)


@cache
def sessions_of(world_dials: tuple[tuple[str, float], ...] = ()) -> tuple[pd.DataFrame, float]:
    world = world_of(**dict(world_dials))
    sessions = draw_sessions(world, draw_lots(world))
    openings = yearly_openings(world, np.arange(len(world.atoms)), world.level[:, :, None] * world.common[None])
    room = room_per_opening(world, sessions, openings)
    return add_loads(sessions, openings, room), room


def entries_of(**dials: float) -> pd.DataFrame:
    effects = Effects(world_of(**dials))
    sessions = sessions_of(tuple(sorted(dials.items())))[0]
    return draw_careers(effects, sessions, (-2.0, 0.0), 1, np.random.default_rng(1)).entries


def chances_of(size: int = PEOPLE) -> Chances:
    """Some trained people: a third of a rate each, courses of one to nine months, lifts from none to triple."""
    rng = np.random.default_rng(5)
    return Chances(
        rate=rng.uniform(0.03, 0.3, size),
        lift=rng.uniform(1.0, 3.0, size),
        until=rng.integers(1, 10, size),
        stays=np.full(size, 0.4),
        stays_after=np.full(size, 0.6),
        hired=rng.random(size) < 0.05,
        month=rng.integers(0, 40, size),
        pulse=rng.uniform(0.7, 1.3, 80),
    )


def drawn(chances: Chances, months: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    size = len(chances.rate)
    people = pd.DataFrame(
        {"pid": np.arange(size), "reference": AS_OF, "home": 0, "target": "", "wanted": "A1101", "owner": False}
    )
    return people, draw_spells(people, chances, np.full(size, months), np.random.default_rng(7))


@pytest.mark.parametrize("kind", ["trained", "untrained"])
def test_careers_are_drawn_as_chances_say(kind: str) -> None:
    chances = chances_of() if kind == "trained" else chances_of().untrained()
    people, spells = drawn(chances, 30)
    horizons = [3, 6, 12, 24]
    work, lasting = occupation(chances, horizons)
    for column, months in enumerate(horizons):
        days = round(months * DAYS_PER_MONTH)
        error = 4 * np.sqrt(0.25 / PEOPLE) + 0.01  # a job that ends on the very day is at work that day
        assert at_work(spells, people, days).mean() == pytest.approx(work[:, column].mean(), abs=error)
        durable = at_work(spells[durably(spells)], people, days).mean()
        assert durable == pytest.approx(lasting[:, column].mean(), abs=error)


def test_nobody_works_while_in_training_and_nobody_twice_at_once() -> None:
    chances = chances_of()
    people, spells = drawn(chances, 30)
    until = pd.Series((chances.until - 1) * DAYS_PER_MONTH, index=people["pid"])
    first = (spells.groupby("pid")["starts"].min() - AS_OF).dt.days
    assert (first >= until[first.index].round()).all()
    ordered = spells.sort_values(["pid", "starts"])
    before = ordered.groupby("pid")["ends"].shift()
    assert (ordered["starts"] > before)[before.notna()].all()
    assert (spells["planned_end"].isna() == spells["contract"].isin(["CDI", "PUB", "IND"])).all()


def test_in_the_long_run_work_is_what_the_rates_balance_at() -> None:
    rate, stays = np.array([0.1]), np.array([0.5])
    steady = untrained(rate, stays, np.zeros(1, dtype=np.int64), np.ones(400))
    work, lasting = occupation(steady, [400])
    hired = 1 - np.exp(-0.1)
    odds = hired * np.array([0.5 / END_SHORT, 0.5 / END_LASTING])
    assert work[0, 0] == pytest.approx(odds.sum() / (1 + odds.sum()), rel=1e-3)
    assert lasting[0, 0] == pytest.approx(odds[1] / (1 + odds.sum()), rel=1e-3)


def test_training_locks_in_first_and_pays_later() -> None:
    chances = chances_of()
    gain = occupation(chances, [2, 24])[0] - occupation(chances.untrained(), [2, 24])[0]
    assert gain[:, 0].mean() < -0.05
    assert gain[:, 1].mean() > 0.05
    nothing = Chances(
        **(vars(chances) | {"lift": np.ones(PEOPLE), "hired": chances.hired & False, "stays_after": chances.stays})
    )
    assert (occupation(nothing, [12])[0] <= occupation(nothing.untrained(), [12])[0] + 1e-12).all()


def test_more_finishers_bring_more_hires_each_fewer() -> None:
    load = np.linspace(0, 20, 200)
    kept = absorption(load)
    assert kept[0] == pytest.approx(1.0)
    assert (np.diff(kept) < 0).all()
    assert (np.diff(load * kept) > 0).all()
    assert (load * kept <= 1.0).all()


def test_the_intercepts_give_the_rates_of_the_source() -> None:
    effects, sessions = Effects(world_of()), sessions_of()[0]
    intercepts = calibrate(effects, sessions)
    started = sessions[sessions["starts"] <= AS_OF].reset_index(drop=True)
    chances = effects.trained(draw_careers(effects, started, intercepts, 1, np.random.default_rng(2)).entries, intercepts)
    work, lasting = occupation(chances, [chances.until + 6])
    assert work.mean() == pytest.approx(WORK_6M, abs=0.02)
    assert lasting.sum() / work.sum() == pytest.approx(DURABLE_AMONG_WORK, abs=0.02)


def test_creaming_chooses_on_what_files_show_and_hidden_selection_on_what_they_do_not() -> None:
    plain, creamed, hidden = (entries_of(creaming=c, hidden=h) for c, h in ((0.0, 0.0), (2.0, 0.0), (0.0, 1.2)))
    score = [person_score(entries).mean() for entries in (plain, creamed, hidden)]
    drive = [entries["drive"].mean() for entries in (plain, creamed, hidden)]
    assert score[1] > score[0] + 0.1
    assert score[2] == pytest.approx(score[0], abs=0.03)
    assert drive[0] == pytest.approx(0, abs=0.06)
    assert drive[1] == pytest.approx(0, abs=0.06)
    assert drive[2] > 0.5


def test_hidden_selection_also_parts_those_who_enter_from_those_who_do_not_come() -> None:
    for hidden, least in ((0.0, -0.1), (1.2, 0.5)):
        effects = Effects(world_of(hidden=hidden))
        rows = draw_careers(
            effects, sessions_of((("hidden", hidden),))[0], (-2.0, 0.0), 1, np.random.default_rng(1)
        ).prescriptions
        drive = rows.groupby(rows["status"] == "entre")["drive"].mean()
        assert drive[True] - drive[False] > least
        assert hidden or drive[True] - drive[False] < 0.1


def test_courses_take_those_they_are_for() -> None:
    rows = entries_of()
    age = rows["reference"].dt.year - rows["birth_year"]
    assert (rows.loc[rows["public"] == "dld", "wait_months"] >= 12).mean() > 0.75
    assert (age[rows["public"] == "seniors"] >= 45).mean() > 0.9
    asked = rows[rows["entry_level"].notna() & rows["level"].notna()]
    assert (asked["level"] >= asked["entry_level"]).mean() > 0.8
    assert (rows["known_from"] <= rows["entered"]).all()


def test_raw_rates_tell_of_effects_in_a_calm_world_and_of_those_chosen_in_a_creaming_one() -> None:
    told = []
    for dials in ({}, load_world("creaming").training.model_dump(exclude_unset=True)):
        entries = entries_of(**dials)
        chances = Effects(world_of(**dials)).trained(entries, (-2.0, 0.0))
        work, without = (occupation(of, [18])[0][:, 0] for of in (chances, chances.untrained()))
        names = [entries["action_type"], entries["formacode"].str[:3]]
        courses = pd.DataFrame({"raw": work, "effect": work - without}).groupby(names)
        rates = courses.mean()[courses.size() >= 40]
        assert len(rates) > 30
        told.append(rates["raw"].corr(rates["effect"]))
    calm, creaming = told
    assert calm > 0.6
    assert creaming < calm - 0.2


def test_without_variety_training_does_the_same_for_all() -> None:
    entries = entries_of(variety=0.0, congestion=0.0, providers=0.0)
    effects = Effects(world_of(variety=0.0, congestion=0.0, providers=0.0))
    assert np.ptp(effects.strength(entries, entries)) == pytest.approx(0, abs=1e-9)
    assert np.ptp(effects.quality(entries["provider"])) == pytest.approx(0)
    assert entries["load"].max() < 1e-3
    varied = entries_of()
    assert np.std(Effects(world_of()).strength(varied, varied)) > 0.1


def test_the_median_course_is_as_full_as_the_dial_says() -> None:
    for congestion in (0.5, 2.0):
        loads = sessions_of((("congestion", congestion),))[0]["load"]
        assert loads[loads > 0].median() == pytest.approx(congestion)


def test_loads_count_the_finishers_of_a_sector_place_and_year() -> None:
    sessions, room = sessions_of()
    cell = sessions[sessions["load"] > 0].groupby([sessions["atom"], sessions["starts"].dt.year, sessions["formacode"].str[:3]])
    assert np.allclose(cell["load"].max(), cell["load"].min())
    world = world_of()
    openings = yearly_openings(world, np.arange(len(world.atoms)), world.level[:, :, None] * world.common[None])
    (atom, year, sector), rows = max(cell, key=lambda pair: len(pair[1]))
    finishers = rows["places"].sum() * FILL * FINISHING
    assert rows["load"].iloc[0] == pytest.approx(
        finishers / room / max(openings.loc[(atom, year), sector], 0.4 * openings.to_numpy().mean())
    )


def test_groups_part_everybody_and_vary_the_effect() -> None:
    rng = np.random.default_rng(3)
    below = rng.random(5_000) < 0.6
    people = draw_traits(Draw(below, rng.random(5_000) < 0.17, np.full(5_000, np.datetime64(AS_OF))), rng)
    marks = groups_of(people)
    for dimension in ("age", "sex", "duration"):
        assert (marks.filter(like=f"{dimension}=").sum(axis=1) == 1).all()
    assert (marks.filter(like="level=").sum(axis=1) == people["level"].notna()).all()
    variety = pd.Series(group_variety(people))
    assert variety[marks["sex=F"]].mean() > variety[marks["sex=H"]].mean()
    assert variety.mean() == pytest.approx(1, abs=0.1)


def test_the_files_know_what_a_person_did_before() -> None:
    rng = np.random.default_rng(4)
    world = world_of()
    below = np.zeros(3_000, dtype=bool)
    traits = draw_traits(Draw(below, below, np.full(3_000, np.datetime64(AS_OF))), rng)
    people = settle(world, traits, np.zeros(3_000, dtype=np.int64), rng).assign(pid=np.arange(3_000))
    people = people.assign(registered=registered(people))
    spells = past_spells(people, rng)
    assert (spells["ends"] <= spells["pid"].map(people["registered"])).all()
    both = spells.merge(people[["pid", "reference"]], on="pid", validate="many_to_one")
    year = months_worked(both, people, (0, 12))
    day = rng.integers(0, 365, 40)
    counted = np.mean([at_work(spells, people, -int(back)) for back in day], axis=0).mean() * 12
    assert year.mean() == pytest.approx(counted, abs=0.4)
    assert (people["wanted"].isin(world.occupations["occupation"])).all()


def test_parts_add_up_to_the_whole() -> None:
    rng = np.random.default_rng(6)
    for total in (0, 1, 7, 469_375):
        weights = rng.exponential(size=10)
        parts = in_parts(total, weights)
        assert sum(parts) == total
        assert np.abs(np.array(parts) - total * weights / weights.sum()).max() <= 1


def found_by(effects: Effects, people: pd.DataFrame, date: pd.Timestamp, months: np.ndarray, intercept: float) -> np.ndarray:
    """Give the chance that each person, untrained, has found work so many months after a date."""
    here = people.assign(reference=date, wait_months=(date - people["registered"]).dt.days / DAYS_PER_MONTH)
    paces = np.concatenate([[0.0], np.cumsum(effects.world.pulse()[effects.month_of(here["reference"].head(1))[0] :])])
    met = np.interp(months, np.arange(len(paces)), paces)
    return 1 - np.exp(-effects.rate(here, intercept) * met)


def test_those_about_to_train_are_on_a_list_beside_those_alike_who_are_hired_first() -> None:
    """Whoever trains found no work until then; were they alone on the list, nobody of their kind would ever be hired first."""
    world = world_of()
    effects, plot = Effects(world), max(plots_of(world, draw_lots(world)), key=lambda each: each.jobseekers)
    _, careers, stock = draw_population(effects, draw_market(world, plot.department), plot)
    date = stock.jobseekers["known_from"].min()
    on_list = set(stock.jobseekers.loc[stock.jobseekers["known_from"] == date, "person"])
    first = len(careers.prescriptions) + careers.prescriptions["pid"].min()
    listed = stock.people[person_ids(stock.people["pid"]).isin(on_list).to_numpy()].sort_values("pid", ignore_index=True)
    soon = listed[(listed["pid"] < first) & (listed["known_from"] > date)].reset_index(drop=True)
    others = listed[listed["pid"] >= first].reset_index(drop=True)
    gaps = np.flatnonzero(np.diff(others["pid"]) > 1)  # newcomers follow one another, those hired first stand apart
    hired, fresh = others.iloc[: gaps[-1] + 1], others.iloc[gaps[-1] + 1 :].reset_index(drop=True)
    began = stock.spells[stock.spells["starts"] > date].groupby("pid")["starts"].min()
    waits = ((soon["known_from"] - date).dt.days / DAYS_PER_MONTH).to_numpy()
    # One who is left by then stands for chance ÷ (1 − chance) who are not.
    chance = found_by(effects, soon, date, waits, plot.intercepts[0])
    assert len(hired) == pytest.approx((chance / (1 - chance)).sum(), rel=0.15)
    for pids, months in ((fresh["pid"], waits.mean()), (fresh["pid"], 2 * waits.mean())):
        share = (began.reindex(pids) <= date + pd.Timedelta(days=round(months * DAYS_PER_MONTH))).mean()
        expected = found_by(effects, fresh, date, np.full(len(fresh), months), plot.intercepts[0]).mean()
        assert share == pytest.approx(expected, rel=0.1)
    alike = found_by(effects, fresh, date, np.resize(waits, len(fresh)), plot.intercepts[0])
    assert len(hired) / (len(hired) + len(soon)) == pytest.approx(alike.mean(), rel=0.3)
    assert (began.reindex(hired["pid"]) <= date + pd.DateOffset(years=1)).all()
    prescribed = soon.set_index("pid")["known_from"]
    assert not (began.reindex(prescribed.index) <= prescribed).any()
