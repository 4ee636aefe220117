"""Pathways: the search gives what looking at every sequence gives, and no step breaks a rule."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pathway_frames import (
    course,
    day,
    drawn_courses,
    drawn_people,
    drawn_prices,
    drawn_ties,
    free,
    people_of,
    stairs_of,
    targets_of,
)

from models.own_pathways import after, enter, find_pathways, goes_after
from models.pathways import ARROW, Stairs, best_pathways, follow_proposals
from models.sight import BARRIERS, look

pytestmark = pytest.mark.long

close = partial(np.testing.assert_allclose, rtol=2e-4, atol=2e-7)
SEEDS = st.integers(0, 10_000)
FEW = settings(max_examples=25, deadline=None)


def sequences(
    person: pd.DataFrame, stairs: Stairs, prices: pd.Series[float], done: tuple[int, ...] = (), reach: float = 1.0
) -> Iterator[tuple[tuple[int, ...], float]]:
    """Every sequence that a person may follow, and its worth: each step looked at, the person being as he or she would be."""
    if len(done) == stairs.params.steps:
        return
    every = np.arange(len(stairs.sessions))
    told = enter(person.iloc[every * 0].reset_index(drop=True), every, stairs, prices, len(done))
    for session, (_, step) in enumerate(told.iterrows()):
        if not step["open"] or step["likelihood"] <= 0 or (done and not goes_after(stairs.ladder, done[-1], session)):
            continue
        worth = reach * step["net"]
        yield (*done, session), worth
        if stairs.market.courses["ends"].iloc[session] < 2**30:
            then = reach * step["likelihood"] * float(stairs.ladder.finish[session])
            later = after(person, np.array([session]), stairs)
            for path, more in sequences(later, stairs, prices, (*done, session), then):
                yield path, worth + more


def drawn(seed: int, count: int = 7, people: int = 3, steps: int = 3) -> tuple[Stairs, pd.DataFrame, pd.Series[float]]:
    rng = np.random.default_rng(seed)
    courses, tied = drawn_courses(rng, count), drawn_ties(rng, count)
    served = drawn_people(rng, people, count)
    stairs = stairs_of(
        [*courses, course("last", "certification", 150, exit_level=3)], tied["given"], tied["asked"], steps=steps
    )
    return stairs, served, drawn_prices(rng, stairs)


def proposals_of(people: pd.DataFrame, stairs: Stairs, prices: pd.Series[float]) -> pd.DataFrame:
    """Propose to everybody whatever is open. One row per person, rank."""
    rows = []
    for who in range(len(people)):
        courses = stairs.market.courses
        told = look(people, np.full(len(courses), who), courses, stairs.market, prices)
        kept = told[told["open"]]
        rows.append(kept.assign(who=who, person=people["person"].iloc[who], rank=range(1, len(kept) + 1)))
    return pd.concat(rows, ignore_index=True)


@pytest.mark.long
@FEW
@given(SEEDS)
def test_the_best_pathway_is_that_of_all_sequences(seed: int) -> None:
    stairs, people, prices = drawn(seed)
    told = best_pathways([people], stairs, prices)
    for who in range(len(people)):
        worths = [worth for _, worth in sequences(people.iloc[[who]].reset_index(drop=True), stairs, prices)]
        assert told["pathway_worth"].iloc[who] == pytest.approx(max([0.0, *worths]), rel=2e-4, abs=2e-7)


@pytest.mark.long
@FEW
@given(SEEDS)
def test_what_follows_a_proposal_is_the_best_of_all_sequences_that_begin_with_it(seed: int) -> None:
    stairs, people, prices = drawn(seed)
    proposals = proposals_of(people, stairs, prices)
    told = follow_proposals([people], proposals, stairs, prices)
    for who in range(len(people)):
        every = list(sequences(people.iloc[[who]].reset_index(drop=True), stairs, prices))
        for row in np.flatnonzero(proposals["who"] == who):
            first = stairs.sessions.get_loc(proposals["session"].iloc[row])
            best = max(worth for path, worth in every if path[0] == first)
            close(told["pathway_worth"].iloc[row], best)
            assert told["pathway"].iloc[row].split(ARROW)[0] == proposals["session"].iloc[row]


@FEW
@given(SEEDS)
def test_a_pathway_to_an_occupation_is_the_best_of_all_that_end_there(seed: int) -> None:
    stairs, people, prices = drawn(seed, people=1)
    told = find_pathways(people, stairs, prices, targets_of(people))
    leads = [set(codes.split("|")) for codes in stairs.market.courses["occupations"].fillna("")]
    every = list(sequences(people, stairs, prices))
    for target, _ in targets_of(people):
        worths = [worth for path, worth in every if target in {"", *leads[path[-1]]}]
        best = max([0.0, *worths])
        found = told.totals.loc[told.totals["target"] == target, "worth"]
        assert (target in set(told.unreachable["target"])) == found.empty
        close(found.max() if len(found) else 0.0, best)


@FEW
@given(SEEDS)
def test_no_step_overlaps_another_or_breaks_a_rule(seed: int) -> None:
    stairs, people, prices = drawn(seed, count=12, people=1)
    told = find_pathways(people, stairs, prices, targets_of(people))
    assert told.steps["open"].all()
    gaps = told.steps["gap_days"][told.steps["step"] > 1]
    assert ((gaps >= 1) & (gaps <= stairs.params.max_gap_days + 1)).all()
    for _, pathway in told.steps.groupby(["target", "pathway"]):
        assert (pathway["starts"].to_numpy()[1:] > pathway["ends"].to_numpy()[:-1]).all()
        rungs = stairs.ladder.rung[stairs.sessions.get_indexer(pd.Index(pathway["session"]))]
        assert (np.diff(rungs) > 0).all()
    sums = told.steps.groupby(["target", "pathway"], sort=False)["worth"].sum()
    np.testing.assert_allclose(told.totals["worth"], sums)
    assert (told.totals["jobs"] >= told.totals["worth"] - 1e-12).all()


@pytest.mark.long
@FEW
@given(SEEDS)
def test_everybody_at_once_is_everybody_alone(seed: int) -> None:
    stairs, people, prices = drawn(seed, count=15, people=6)
    proposals = proposals_of(people, stairs, prices)
    together = follow_proposals([people.iloc[:2], people.iloc[2:]], proposals, stairs, prices)
    alone = []
    for who in range(len(people)):
        own = proposals[proposals["who"] == who].assign(who=0)
        alone.append(follow_proposals([people.iloc[[who]]], own, stairs, prices))
    pd.testing.assert_frame_equal(together, pd.concat(alone), check_exact=True)


@FEW
@given(SEEDS, st.integers(1, 5))
def test_more_steps_never_make_it_worse(seed: int, steps: int) -> None:
    fewer, people, prices = drawn(seed, count=15, steps=steps)
    more, _, _ = drawn(seed, count=15, steps=steps + 1)
    worths = [best_pathways([people], stairs, prices)["pathway_worth"] for stairs in (fewer, more)]
    assert (worths[1] >= worths[0] * (1 - 1e-9)).all()


@FEW
@given(SEEDS)
def test_a_course_more_never_makes_it_worse(seed: int) -> None:
    rng = np.random.default_rng(seed)
    courses, tied, people = drawn_courses(rng, 12), drawn_ties(rng, 12), drawn_people(rng, 4, 12)
    usual = course("always", "mobilisation", 10, seats=3)
    more = stairs_of([*courses, usual], tied["given"], tied["asked"])
    prices = drawn_prices(rng, more)
    fewer = stairs_of([*courses[1:], usual], tied["given"], tied["asked"])
    worths = [best_pathways([people], stairs, prices)["pathway_worth"] for stairs in (fewer, more)]
    assert (worths[1] >= worths[0] - 1e-9).all()


@FEW
@given(SEEDS)
def test_the_order_of_courses_and_people_changes_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    courses, tied, people = [*drawn_courses(rng, 12), course("z", "langue", 9)], drawn_ties(rng, 12), drawn_people(rng, 5, 12)
    stairs = stairs_of(courses, tied["given"], tied["asked"])
    prices = drawn_prices(rng, stairs)
    shuffled = stairs_of([courses[at] for at in rng.permutation(len(courses))], tied["given"], tied["asked"])
    turned = people.sample(frac=1, random_state=seed % 100)
    told = best_pathways([people], stairs, prices)
    again = best_pathways([turned], shuffled, prices).sort_values("person", ignore_index=True)
    pd.testing.assert_frame_equal(told, again)


@FEW
@given(SEEDS)
def test_what_cannot_be_reached_names_a_barrier_that_stands(seed: int) -> None:
    stairs, people, prices = drawn(seed, people=1)
    for row in find_pathways(people, stairs, prices, targets_of(people)).unreachable.itertuples():
        listed = stairs.market.listed
        if row.barriers == "offer":
            assert not listed["occupations"].fillna("").str.contains(str(row.target)).any()
            continue
        session = listed[listed["session"] == row.session]
        told = look(people, np.array([0]), session, stairs.market, prices).iloc[0]
        standing = "|".join(name for name in BARRIERS if told[name])
        assert row.barriers == (standing or "seats")
        assert standing or told["net"] <= 0


# Known answers ----------------------------------------------------------------------------------------------------------

PREPARE = course("prepare", "mobilisation", 10, 30, gain=0.0)
LEVEL_3 = {"entry_level": 3, "entry_level_binds": True}
QUALIFY = course("qualify", "certification", 60, 90, gain=0.3, exit_level=3, **LEVEL_3)


def path_to(person: pd.DataFrame, stairs: Stairs) -> list[str]:
    told = best_pathways([person], stairs, free(stairs))
    return [str(name) for name in told["pathway"]]


def test_a_preparation_opens_the_level_above_and_the_worth_adds_up() -> None:
    stairs, person = stairs_of([PREPARE, QUALIFY]), people_of({"level": 2})
    told = find_pathways(person, stairs, free(stairs), targets_of(person))
    steps = told.steps[told.steps["target"] == "A1101"]
    assert list(steps["session"]) == ["prepare", "qualify"]
    assert list(steps["level_before"]) == [2, 3]
    assert list(steps["level_after"]) == [3, 3]
    assert list(steps["gap_days"]) == [0, 20]
    waits = np.exp(-19 / 365) * np.exp(-19 / 180)  # free from the day after the end
    long = [np.exp(-days / 30.44 / 48) for days in (30, 90)]
    likelihood = [0.8 * long[0] * np.exp(-10 / 365), 0.8 * long[1] * waits]
    np.testing.assert_allclose(steps["likelihood"], likelihood, rtol=1e-5)
    np.testing.assert_allclose(steps["reach"], [1.0, likelihood[0] * 0.85], rtol=1e-5)
    worth = likelihood[0] * 0.002 + likelihood[0] * 0.85 * likelihood[1] * (0.3 * 1.5 + 0.01)
    np.testing.assert_allclose(told.totals["worth"].iloc[0], worth, rtol=1e-5)


@pytest.mark.parametrize(
    ("changed", "person", "path"),
    [
        ({}, {"level": 2}, "prepare > qualify"),
        ({}, {"level": 1}, "prepare"),
        ({}, {"level": 3}, "qualify"),
        ({}, {"level": None}, "qualify"),
        ({"starts": day(40)}, {"level": 2}, "prepare"),
        ({"starts": day(41)}, {"level": 2}, "prepare > qualify"),
        ({"starts": day(41 + 120), "ends": day(200)}, {"level": 2}, "prepare > qualify"),
        ({"starts": day(42 + 120), "ends": day(200)}, {"level": 2}, "prepare"),
        ({"seats": 0}, {"level": 2}, "prepare"),
        ({"latitude": 49.6}, {"level": 2}, "prepare"),
        ({"publics": "jeunes"}, {"level": 2}, "prepare"),
        ({}, {"level": 2, "closed": "qualify"}, "prepare"),
        ({}, {"level": 2, "available": day(11)}, ""),
    ],
)
def test_what_may_follow(changed: dict[str, object], person: dict[str, object], path: str) -> None:
    assert path_to(people_of(person), stairs_of([PREPARE, {**QUALIFY, **changed}])) == [path]


def test_two_preparations_open_no_more_than_one_and_a_certification_gives_its_level() -> None:
    second = course("second", "prequalification", 45, 10, gain=0.0)
    higher = course("higher", "certification", 170, 30, gain=0.9, exit_level=4, entry_level=3, entry_level_binds=True)
    late = {**QUALIFY, "starts": day(70)}
    assert path_to(people_of({"level": 1}), stairs_of([PREPARE, second, late])) == ["prepare > second"]
    assert path_to(people_of({"level": 2}), stairs_of([PREPARE, late, higher])) == ["prepare > qualify > higher"]


def test_what_a_step_gives_opens_what_asks_it_and_shuts_what_gives_no_more() -> None:
    module = course("module", "langue", 10, 30, gain=0.0)
    asking = course("asking", "certification", 60, 60, gain=0.5, exit_level=3)
    gives, asks = {"module": ["module:1"]}, {"asking": ["module:1"]}
    assert path_to(people_of({}), stairs_of([module, asking], gives, asks)) == ["module > asking"]
    assert path_to(people_of({}), stairs_of([module, asking], {}, asks)) == ["module"]
    assert path_to(people_of({"ready": "asking"}), stairs_of([module, asking], {}, asks)) == ["asking"]
    again = course("again", "certification", 150, 60, gain=0.9, exit_level=4, **LEVEL_3)
    first = {**asking, "gain": 0.1}
    same, more = (
        {"asking": ["certifinfo:1"], "again": ["certifinfo:1"]},
        {"asking": ["block:B1"], "again": ["block:B1", "block:B2"]},
    )
    assert path_to(people_of({}), stairs_of([first, again], more)) == ["asking > again"]
    assert path_to(people_of({}), stairs_of([first, again], same)) == ["asking"]


def test_what_is_taken_by_others_is_not_promised() -> None:
    stairs = stairs_of([PREPARE, QUALIFY])
    dear = pd.Series({"prepare": 0.0, "qualify": 1.0})
    told = find_pathways(people_of({"level": 3}), stairs, dear, targets_of(people_of({"level": 3})))
    assert list(told.totals["path"]) == ["prepare"]
    only = stairs_of([QUALIFY])
    assert list(
        find_pathways(people_of({"level": 3}), only, dear, targets_of(people_of({"level": 3}))).unreachable["barriers"]
    ) == [
        "seats",
        "offer",
        "offer",
    ]


@pytest.mark.parametrize(
    ("changed", "person", "barrier", "told"),
    [
        ({}, {"level": 1}, "level", {"level": 3.0}),
        ({"latitude": 49.6}, {"level": 3}, "distance", {"distance_km": 111.195}),
        ({"seats": 0}, {"level": 3}, "seats", {}),
        ({}, {"level": 3, "available": day(70)}, "date", {"until": day(60)}),
        ({}, {"level": 3, "closed": "qualify"}, "held", {}),
        ({"publics": "jeunes"}, {"level": 3}, "public", {}),
    ],
)
def test_why_there_is_no_pathway(
    changed: dict[str, object], person: dict[str, object], barrier: str, told: dict[str, object]
) -> None:
    elsewhere = {**PREPARE, "occupations": "B1101", "exit_level": None}
    stairs = stairs_of([elsewhere, {**QUALIFY, **changed}])
    row = find_pathways(people_of(person), stairs, free(stairs), targets_of(people_of(person))).unreachable.iloc[0]
    assert (row["target"], row["session"], row["barriers"]) == ("A1101", "qualify", barrier)
    for name, value in told.items():
        assert row[name] == pytest.approx(value, rel=1e-3) if isinstance(value, float) else row[name] == value


def test_what_is_asked_before_is_named() -> None:
    stairs = stairs_of([course("asking", "certification", 60)], {}, {"asking": ["module:1"]})
    row = find_pathways(people_of({}), stairs, free(stairs), targets_of(people_of({}))).unreachable.iloc[0]
    assert (row["barriers"], row["asked"]) == ("prerequisite", "module:1")
