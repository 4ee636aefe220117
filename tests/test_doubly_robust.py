"""Known worlds in which training does so much and no more: what is found, how surely, and of whom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
import pytest
from scipy.stats import norm

from models import doubly_robust
from models.doubly_robust import (
    ComparisonParams,
    Crossfit,
    Flags,
    Numbers,
    Sample,
    Told,
    Whole,
    crossfit,
    folds_of,
    learn_odds,
)

PARAMS = ComparisonParams()
QUICK = ComparisonParams(splits=1)
NAMES = tuple(field.name for field in fields(Told))
Shape = Callable[[Numbers], Numbers]


@dataclass(frozen=True)
class World:
    """People whose effect is known: ``effect`` of each, whoever entered, and the sample that shows one side of each."""

    sample: Sample
    effect: Numbers

    @property
    def raw(self) -> float:
        """What who entered has more than who did not."""
        outcomes, treated = self.sample.outcomes[:, 0], self.sample.treated
        return float(outcomes[treated].mean() - outcomes[~treated].mean())

    @property
    def of_entrants(self) -> float:
        return float(self.effect[self.sample.treated].mean())


def world(
    seed: int,
    size: int = 2000,
    *,
    score: Shape = lambda x: x[:, 0] - 1.0,
    base: Shape = lambda x: 0.3 * x[:, 0] + 0.1 * x[:, 1],
    effect: Shape = lambda x: np.full(len(x), 0.2),
    noise: float = 0.4,
) -> World:
    """Draw people of three traits, who enters (``score``: the log of the odds), and what becomes of them."""
    rng = np.random.default_rng(seed)
    traits = rng.normal(size=(size, 3))
    treated = rng.random(size) < 1 / (1 + np.exp(-score(traits)))
    gains = effect(traits)
    outcomes = base(traits) + treated * gains + noise * rng.normal(size=size)
    return World(Sample.of(traits, treated, outcomes), gains)


def every(sample: Sample) -> Flags:
    """One group of everybody."""
    return np.ones((len(sample.treated), 1), dtype=bool)


def of_cell(fitted: Crossfit, cell: Flags, marks: Flags | None = None, tilt: Numbers | None = None) -> Told:
    """Tell the effect on those of one cell, a row per group; ``tilt`` says how much more often each row enters it."""
    told = fitted.entrants(cell[:, None], every(fitted.sample) if marks is None else marks, tilts(tilt))
    return Told(**{name: values[0] for name, values in vars(told).items()})


def tilts(tilt: Numbers | None) -> Callable[[Whole], Numbers] | None:
    return None if tilt is None else lambda rows: tilt[rows, None]


def told_of(sample: Sample, params: ComparisonParams = PARAMS) -> tuple[float, float]:
    told = crossfit(sample, params).all_entrants()
    return float(told.value[0, 0]), float(told.error[0, 0])


# What is found ----------------------------------------------------------------------------------------------------------


def test_where_chance_decides_who_enters_the_effect_is_the_difference_in_means_and_surer() -> None:
    drawn = world(1, score=lambda x: np.full(len(x), -0.8), base=lambda x: 0.6 * x[:, 0])
    value, error = told_of(drawn.sample)
    outcomes, treated = drawn.sample.outcomes[:, 0], drawn.sample.treated
    of_raw = np.sqrt(sum(outcomes[arm].var() / arm.sum() for arm in (treated, ~treated)))
    assert abs(value - drawn.raw) < 3 * of_raw
    assert abs(value - 0.2) < 3 * error
    assert error < 0.8 * of_raw


def test_what_both_choose_by_is_taken_away() -> None:
    drawn = world(2)
    value, error = told_of(drawn.sample)
    assert drawn.raw > 0.2 + 8 * error
    assert abs(value - 0.2) < 3 * error


def test_it_is_right_where_only_the_odds_are() -> None:
    drawn = world(3, 6000, base=lambda x: 0.4 * x[:, 0] ** 2)
    fitted = crossfit(drawn.sample, PARAMS)
    told, entered = fitted.all_entrants(), drawn.sample.treated
    only_outcomes = (drawn.sample.outcomes - fitted.splits[0].base)[entered].mean()
    error = float(told.error[0, 0])
    assert abs(only_outcomes - 0.2) > 4 * error
    assert abs(told.value[0, 0] - 0.2) < 3 * error


def test_it_is_right_where_only_the_outcomes_are() -> None:
    drawn = world(4, 6000, score=lambda x: np.where(x[:, 0] > 1.0, 1.5, -2.0), base=lambda x: 0.8 * x[:, 0])
    fitted = crossfit(drawn.sample, PARAMS)
    told, entered = fitted.all_entrants(), drawn.sample.treated
    outcomes, odds = drawn.sample.outcomes[:, 0], fitted.splits[0].odds
    only_odds = outcomes[entered].mean() - np.average(outcomes[~entered], weights=odds[~entered])
    error = float(told.error[0, 0])
    assert abs(only_odds - 0.2) > 4 * error
    assert abs(told.value[0, 0] - 0.2) < 3 * error


@pytest.mark.long
def test_nine_intervals_in_ten_hold_the_truth() -> None:
    reach = norm.ppf(0.95)
    held = []
    for seed in range(200):
        drawn = world(1000 + seed, 500)
        value, error = told_of(drawn.sample, QUICK)
        held.append(abs(value - 0.2) < reach * error)
    assert 0.85 <= np.mean(held) <= 0.95


def test_those_who_entered_may_gain_more_than_all_would() -> None:
    drawn = world(5, 4000, effect=lambda x: 0.2 + 0.2 * x[:, 0], noise=0.3)
    fitted = crossfit(drawn.sample, PARAMS, both=True)
    entrants, everybody = fitted.all_entrants(), fitted.everybody()
    assert drawn.of_entrants - drawn.effect.mean() > 0.1
    assert abs(entrants.value[0, 0] - drawn.of_entrants) < 3 * entrants.error[0, 0]
    assert abs(everybody.value[0, 0] - drawn.effect.mean()) < 3 * everybody.error[0, 0]
    assert 0 < everybody.error[0, 0] < 0.05


def test_groups_and_cells_have_effects_of_their_own() -> None:
    drawn = world(6, 6000, effect=lambda x: np.where(x[:, 1] > 0, 0.4, 0.0))
    marks = np.stack([drawn.sample.design[:, 1] > 0, drawn.sample.design[:, 1] <= 0], axis=1)
    fitted = crossfit(drawn.sample, PARAMS)
    told, whole = of_cell(fitted, drawn.sample.treated, marks), fitted.all_entrants()
    assert told.value[:, 0] == pytest.approx([0.4, 0.0], abs=3 * float(told.error.max()))
    assert told.n.sum() == whole.n.sum()
    assert (told.reached[:, 0] * told.n[:, 0]).sum() == pytest.approx(whole.reached[0, 0] * whole.n[0, 0], rel=1e-3)


def test_a_cell_that_takes_other_people_is_compared_with_people_like_its_own() -> None:
    """The course takes those of a high trait 2, whom all courses take as they come; only the tilt says so."""
    drawn = world(7, 8000, base=lambda x: 0.3 * x[:, 0] + 0.4 * x[:, 1] ** 2)
    rng = np.random.default_rng(8)
    chance = 1 / (1 + np.exp(2.0 - 2.5 * drawn.sample.design[:, 1]))
    cell = drawn.sample.treated & (rng.random(len(chance)) < chance)
    fitted = crossfit(drawn.sample, PARAMS)
    tilted, plain = (of_cell(fitted, cell, tilt=tilt) for tilt in (chance, None))
    assert abs(plain.value[0, 0] - 0.2) > 4 * plain.error[0, 0]
    assert abs(tilted.value[0, 0] - 0.2) < 3 * tilted.error[0, 0]
    doubled = of_cell(fitted, cell, tilt=2 * chance)
    assert doubled.value == pytest.approx(tilted.value, abs=1e-12)


def test_weights_make_both_arms_alike_and_what_is_left_is_said() -> None:
    drawn = world(24, 6000)
    treated, design = drawn.sample.treated, drawn.sample.design
    fitted = crossfit(drawn.sample, PARAMS)
    raw_gap = abs(design[treated].mean(axis=0) - design[~treated].mean(axis=0)).max()
    assert raw_gap > 0.7
    assert fitted.imbalance(treated[:, None])[0] < 0.12
    cell = treated & (design[:, 1] > 0.5)
    assert fitted.imbalance(cell[:, None])[0] > 0.3
    assert fitted.imbalance(cell[:, None], tilts((design[:, 1] > 0.5).astype("float64")))[0] < 0.2


def test_cells_told_at_once_are_as_each_told_alone_some_rows_at_a_time_or_all(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = world(25, 1500).sample
    fitted, rng = crossfit(sample, PARAMS), np.random.default_rng(9)
    cells, marks, tilt = rng.random((1500, 3)) < 0.5, rng.random((1500, 4)) < 0.4, rng.random((1500, 3))
    at_once = fitted.entrants(cells, marks, lambda rows: tilt[rows])
    gaps = fitted.imbalance(cells, lambda rows: tilt[rows])
    monkeypatch.setattr(doubly_robust, "_AT_ONCE", 100)
    for place in range(3):
        alone = of_cell(fitted, cells[:, place], marks, tilt[:, place])
        for name in NAMES:
            assert getattr(alone, name) == pytest.approx(getattr(at_once, name)[place], abs=1e-9), name
        assert fitted.imbalance(cells[:, [place]], tilts(tilt[:, place]))[0] == pytest.approx(gaps[place], abs=1e-12)


# Laws -------------------------------------------------------------------------------------------------------------------


def test_the_order_of_rows_changes_nothing() -> None:
    sample = world(9).sample
    order = np.random.default_rng(1).permutation(len(sample.person))
    other = Sample(*(getattr(sample, name)[order] for name in ("design", "treated", "person", "outcomes", "weight")))
    both = [crossfit(each, PARAMS, both=True) for each in (sample, other)]
    for tell in (Crossfit.all_entrants, Crossfit.everybody):
        one, two = (tell(fitted) for fitted in both)
        for name in NAMES:
            assert getattr(one, name) == pytest.approx(getattr(two, name), abs=1e-9), name


def test_who_enters_elsewhere_changes_nothing_of_what_was_to_be_expected_untrained() -> None:
    sample = world(10).sample
    more = world(11, 500, score=lambda x: np.full(len(x), 9.0)).sample
    entered = more.treated
    added = Sample(
        np.vstack([sample.design, more.design[entered]]),
        np.append(sample.treated, more.treated[entered]),
        np.append(sample.person, 10_000 + more.person[entered]),
        np.vstack([sample.outcomes, more.outcomes[entered] + 5.0]),
        np.vstack([sample.weight, more.weight[entered]]),
    )
    alone, beside = (crossfit(each, PARAMS) for each in (sample, added))
    for one, two in zip(alone.splits, beside.splits, strict=True):
        assert two.base[: len(sample.person)] == pytest.approx(one.base, abs=1e-9)
    cell = np.append(sample.treated, np.zeros(entered.sum(), dtype=bool))
    told = of_cell(beside, cell)
    assert abs(told.value[0, 0] - alone.all_entrants().value[0, 0]) < 0.5 * told.error[0, 0]
    assert told.reached[0, 0] == pytest.approx(alone.all_entrants().reached[0, 0], abs=0.02)


def test_all_rows_of_a_person_fall_in_one_part_whoever_else_is_there() -> None:
    person = np.repeat(np.arange(3000), 3)
    parts = [folds_of(person, number, 3) for number in range(3)]
    for fold in parts:
        assert (fold.reshape(-1, 3) == fold[::3, None]).all()
        assert np.bincount(fold[::3], minlength=3) == pytest.approx([1000] * 3, abs=110)
    assert np.mean(parts[0] == parts[1]) == pytest.approx(1 / 3, abs=0.04)
    assert np.mean(parts[1] == parts[2]) == pytest.approx(1 / 3, abs=0.04)
    few = np.array([2999, 7, 7, 100])
    assert folds_of(few, 1, 3).tolist() == parts[1][[8997, 21, 21, 300]].tolist()


def test_nobody_is_foretold_by_their_own_outcome() -> None:
    sample = world(12, 300).sample
    twice = Sample(*(np.concatenate([of, of]) for of in (sample.design, sample.treated, sample.person)), *[np.empty(0)] * 2)
    outcomes = np.vstack([sample.outcomes, sample.outcomes])
    whole = replace(twice, outcomes=outcomes, weight=np.ones_like(outcomes))
    person = int(sample.person[~sample.treated][0])
    own = whole.person == person
    moved = replace(whole, outcomes=np.where(own[:, None], 99.0, outcomes))
    for one, two in zip(crossfit(whole, PARAMS).splits, crossfit(moved, PARAMS).splits, strict=True):
        assert (one.base[own] == two.base[own]).all()
        assert (one.base != two.base).any()


def test_what_is_not_known_is_no_failure() -> None:
    drawn = world(13, 3000)
    rng = np.random.default_rng(2)
    known = rng.random(3000) < 0.7
    blank = replace(drawn.sample, outcomes=np.where(known[:, None], drawn.sample.outcomes, np.nan))
    names = ("design", "treated", "person", "outcomes", "weight")
    dropped = Sample(*(getattr(drawn.sample, name)[known] for name in names))
    one, two = (crossfit(each, PARAMS).all_entrants() for each in (blank, dropped))
    assert one.n == pytest.approx(two.n, rel=0.01)
    assert abs(one.value - two.value) < 0.3 * two.error
    assert one.reached == pytest.approx(two.reached, abs=0.01)
    assert abs(one.value - 0.2) < 3 * one.error
    beside = replace(drawn.sample, outcomes=np.hstack([drawn.sample.outcomes, blank.outcomes]), weight=np.ones((len(known), 2)))
    each, alone = (crossfit(sample, PARAMS).all_entrants() for sample in (beside, drawn.sample))
    assert each.value[0] == pytest.approx([alone.value[0, 0], one.value[0, 0]], abs=1e-9)


def test_only_how_weights_compare_counts() -> None:
    drawn = world(14)
    weight = np.random.default_rng(3).uniform(0.5, 3.0, (len(drawn.effect), 1))
    told = [crossfit(replace(drawn.sample, weight=times * weight), PARAMS, both=True) for times in (1.0, 2.0)]
    for tell in (Crossfit.all_entrants, Crossfit.everybody):
        one, two = (tell(fitted) for fitted in told)
        for name in NAMES:
            assert getattr(one, name) == pytest.approx(getattr(two, name), abs=1e-9), name


def test_who_counts_twice_is_worth_two_alike() -> None:
    drawn = world(15, 1500, effect=lambda x: np.where(x[:, 1] > 0, 0.6, 0.0))
    heavy = 1.0 + 3.0 * (drawn.sample.design[:, 1:2] > 0)
    value, error = told_of(replace(drawn.sample, weight=heavy))
    assert value == pytest.approx(np.average(drawn.effect, weights=heavy[:, 0] * drawn.sample.treated), abs=3 * error)
    assert value > 0.4


# Whom nobody is like ----------------------------------------------------------------------------------------------------


def sure(seed: int, base: Shape) -> World:
    """Some enter surely, and what training does to them is another thing."""
    score: Shape = lambda x: np.where(x[:, 0] > 1.0, 3.5, -1.0)  # noqa: E731
    drawn = world(seed, 6000, score=score, base=base, effect=lambda x: np.where(x[:, 0] > 1.0, 1.0, 0.2), noise=0.3)
    above = 5.0 * (drawn.sample.design[:, :1] > 1.0)
    return World(replace(drawn.sample, design=np.hstack([drawn.sample.design, above])), drawn.effect)


def test_who_enters_too_surely_is_left_out_and_it_is_said() -> None:
    drawn = sure(16, lambda x: 0.3 * x[:, 0])
    fitted = crossfit(drawn.sample, PARAMS)
    told = fitted.all_entrants()
    alone = (drawn.sample.design[:, 0] > 1.0) & drawn.sample.treated
    assert told.overlap[0, 0] == pytest.approx(1 - alone.sum() / drawn.sample.treated.sum(), abs=0.01)
    assert told.n[0, 0] == pytest.approx(drawn.sample.treated.sum() - alone.sum(), rel=0.01)
    assert told.value[0, 0] == pytest.approx(0.2, abs=3 * told.error[0, 0])
    moved = replace(drawn.sample, outcomes=drawn.sample.outcomes + 10.0 * alone[:, None])
    assert crossfit(moved, PARAMS).all_entrants().value == pytest.approx(told.value, abs=1e-12)
    assert of_cell(fitted, alone).overlap[0, 0] < 0.05


def test_nobody_stands_for_those_who_are_left_out() -> None:
    """A few who would enter too surely did not: nobody who is told of is like them, and the odds say so where outcomes err."""
    drawn = world(17, 6000, score=lambda x: 2.0 * x[:, 0], base=lambda x: 0.7 * np.exp(x[:, 0]))
    told = crossfit(drawn.sample, PARAMS).all_entrants()
    assert told.overlap[0, 0] < 0.75
    assert abs(told.value[0, 0] - 0.2) < 2 * told.error[0, 0] < 0.06


def test_the_limit_lets_more_be_compared_as_it_rises() -> None:
    sample = world(18, score=lambda x: 2.5 * x[:, 0]).sample
    shares = [
        float(crossfit(sample, ComparisonParams(splits=1, highest_propensity=limit)).all_entrants().overlap[0, 0])
        for limit in (0.6, 0.8, 0.95)
    ]
    assert 0 < shares[0] < shares[1] < shares[2] < 1


# Where little or nothing is known ---------------------------------------------------------------------------------------


def test_one_arm_alone_tells_nothing() -> None:
    sample = world(19, 300).sample
    for treated in (np.ones(300, dtype=bool), np.zeros(300, dtype=bool)):
        fitted = crossfit(replace(sample, treated=treated), QUICK, both=True)
        assert np.isnan(fitted.all_entrants().value).all()
        assert np.isnan(fitted.everybody().value).all()
        assert fitted.all_entrants().n[0, 0] == 0
        assert not fitted.all_entrants().overlap[0, 0] > 0


def test_what_never_changes_has_no_effect_and_nothing_asked_has_none_told() -> None:
    sample = world(20, 400).sample
    outcomes = np.column_stack([np.ones(400), np.full(400, np.nan), sample.outcomes[:, 0]])
    told = crossfit(replace(sample, outcomes=outcomes, weight=np.ones((400, 3))), PARAMS).all_entrants()
    assert told.value[0, 0] == pytest.approx(0.0, abs=1e-9)
    assert told.error[0, 0] == pytest.approx(0.0, abs=1e-9)
    assert np.isnan(told.value[0, 1])
    assert (told.n[0, 1], told.n_effective[0, 1]) == (0, 0)
    assert told.value[0, 2] == pytest.approx(told_of(sample)[0], abs=1e-9)


@pytest.mark.parametrize("size", [0, 1, 2, 5])
def test_a_handful_is_no_accident(size: int) -> None:
    sample = world(21, 50).sample
    names = ("design", "treated", "person", "outcomes", "weight")
    few = Sample(*(getattr(sample, name)[:size] for name in names))
    fitted = crossfit(few, QUICK, both=True)
    assert fitted.all_entrants().n[0, 0] <= few.treated.sum()
    assert fitted.everybody().value.shape == (1, 1)


def test_untrained_people_known_in_one_part_only_tell_of_no_gain_elsewhere() -> None:
    """Where nobody untrained is known outside a part, what was to be expected there is not known."""
    sample = world(22, 200, score=lambda x: np.full(len(x), 0.0)).sample
    first = folds_of(sample.person, 0, PARAMS.folds) == 0
    known = sample.treated | first
    told = crossfit(replace(sample, outcomes=np.where(known[:, None], sample.outcomes, np.nan)), QUICK).all_entrants()
    assert told.n[0, 0] <= (sample.treated & ~first).sum()


def test_odds_are_those_of_the_law_they_are_drawn_by() -> None:
    rng = np.random.default_rng(4)
    design = rng.normal(size=(20_000, 2))
    chosen = rng.random(20_000) < 1 / (1 + np.exp(-(0.7 * design[:, 0] - 1.0)))
    asked = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert learn_odds(design, chosen, 1.0)(asked) == pytest.approx(np.exp([-1.0, -0.3, -1.0]), rel=0.08)
    assert learn_odds(design, chosen, 1.0)(asked[:0]).shape == (0,)
