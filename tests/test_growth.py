"""Laws of relative growth: what is common is removed, a habit of the past is found, a crisis is not drawn out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from long_frames import to_frame

from models.growth import (
    FASTEST,
    Years,
    common_growth,
    describe,
    expect_common,
    fill_gaps,
    learn_growth,
    margins,
    relative,
    to_years,
    typical,
    weighted_median,
)
from models.members import Past, last_value
from models.panel import to_panel

NO_GAP = np.ones((80, 14))


def to_past(values: np.ndarray, *, territories: int = 8, freq: str = "Y", start: str = "2005", **beside: np.ndarray) -> Past:
    """Series × periods, with regressors of the same shape."""
    frame = to_frame(values, territories=territories, freq=freq, start=start)
    return Past(to_panel(frame.assign(**{name: numbers.ravel() for name, numbers in beside.items()})))


def years_of(values: np.ndarray, **spelt: int) -> Years:
    return to_years(to_past(values, **spelt))[0]


def reverting(seed: int, shape: tuple[int, int] = (80, 15), pull: float = 0.4) -> np.ndarray:
    """Series that lose a share of their distance to a level of their own each year, with the same shocks for all."""
    rng = np.random.default_rng(seed)
    home = rng.normal(6, 1, shape[0])
    logs = np.empty(shape)
    logs[:, 0] = home + rng.normal(0, 0.4, shape[0])
    for year in range(1, shape[1]):
        logs[:, year] = logs[:, year - 1] + pull * (home - logs[:, year - 1]) + rng.normal(0, 0.2, shape[0])
    return np.exp(logs + np.cumsum(rng.normal(0, 0.1, shape[1])))


# --- whole years ---


def test_months_are_folded_into_years_back_from_the_last_and_the_rest_is_left() -> None:
    values = np.arange(1.0, 31.0)[None, :]
    years, seen = to_years(to_past(values, territories=1, freq="M", start="2018-01"))
    assert years.values.tolist() == [[np.arange(7, 19).mean(), np.arange(19, 31).mean()]]
    assert seen.tolist() == [[1.0, 1.0]]


def test_a_gap_is_filled_with_what_the_rest_did_and_what_was_seen_stays() -> None:
    index = np.array([1.0, 2.0, 3.0, 1.5, 1.8])
    values = np.outer([10.0, 40.0, 5.0], index)
    gaps = values.copy()
    gaps[2, [0, 3]] = gaps[1, 4] = np.nan
    assert np.allclose(fill_gaps(gaps), values)
    assert fill_gaps(values) is values


@given(st.integers(0, 10_000), st.floats(0, 0.9))
@settings(max_examples=40, deadline=None)
def test_filled_values_are_finite_not_negative_and_leave_what_was_seen(seed: int, lost: float) -> None:
    rng = np.random.default_rng(seed)
    values = rng.poisson(rng.gamma(1, 5, (7, 1)), (7, 9)).astype("float64")
    gaps = np.where(rng.random(values.shape) < lost, np.nan, values)
    told = fill_gaps(gaps)
    assert np.isfinite(told).all()
    assert (told >= 0).all()
    assert (told[np.isfinite(gaps)] == gaps[np.isfinite(gaps)]).all()


def test_a_regressor_is_carried_over_its_gaps_and_never_back_from_later() -> None:
    signal = np.array([[np.nan, 1.0, np.nan, 4.0], [2.0, np.nan, np.nan, np.nan]])
    years, _ = to_years(to_past(np.ones((2, 4)), territories=1, signal=signal))
    assert years.extra["signal"].tolist() == [[2.0, 1.0, 1.0, 4.0], [2.0, 2.0, 2.0, 2.0]]


# --- where a series stands ---


def test_what_all_series_did_together_is_no_feature() -> None:
    values = reverting(0)
    shocked = values * np.random.default_rng(1).uniform(0.3, 3, values.shape[1])
    # Only the last year sets the level at which shares are read.
    shocked *= values[:, -1].sum() / shocked[:, -1].sum()
    assert np.allclose(describe(years_of(values)), describe(years_of(shocked)), atol=1e-9)


def test_features_do_not_depend_on_the_unit_of_values() -> None:
    values = reverting(0)
    assert np.allclose(describe(years_of(values)), describe(years_of(values * 1000)), atol=1e-9)


def test_series_that_are_the_product_of_their_margins_are_where_their_margins_expect_them() -> None:
    now = np.outer(np.geomspace(3, 90, 10), np.geomspace(1, 7, 8))
    years = years_of(np.repeat(now.reshape(-1, 1), 3, axis=1))
    for expected in margins(years, years.values[:, -1]):
        assert np.allclose(expected, years.values[:, -1])


def test_the_weighted_median_has_half_the_weight_on_each_side() -> None:
    assert weighted_median(np.array([5.0, 1.0, 3.0]), np.array([1.0, 1.0, 1.0])) == 3.0
    assert weighted_median(np.array([1.0, 100.0]), np.array([1.0, 10.0])) == 100.0
    assert weighted_median(np.array([]), np.array([])) == 0.0
    assert typical(np.zeros(4)) == 1.0
    assert typical(np.array([1.0, 1.0, 50.0])) == 50.0


# --- growth beside the others ---


@pytest.mark.parametrize("seed", range(3))
def test_a_habit_to_return_is_learned_and_tells_better_than_the_last_value(seed: int) -> None:
    values = reverting(seed, (300, 15))
    past = to_past(values[:, :14])
    came = to_past(values).values[:, [14]]
    told, naive = relative(past, 1), last_value(past, 1)
    together = came.sum() / naive.sum()  # nobody can know the common shock
    assert np.abs(told * together - came).sum() < 0.97 * np.abs(naive * together - came).sum()


def test_series_that_move_by_chance_alone_are_expected_to_stay() -> None:
    rng = np.random.default_rng(0)
    values = np.exp(6 + rng.normal(0, 1, (200, 1)) + np.cumsum(rng.normal(0, 0.08, (200, 14)), axis=1))
    years, seen = to_years(to_past(values, territories=20))
    growth = learn_growth(years, seen, 1)
    assert growth is not None
    assert np.abs(growth.factors(describe(years)) - 1).mean() < 0.03


def test_a_regressor_that_leads_by_a_year_is_learned() -> None:
    rng = np.random.default_rng(2)
    signal = rng.normal(0, 1, (80, 15))
    values = np.exp(6 + np.cumsum(np.hstack([np.zeros((80, 1)), 0.15 * signal[:, :-1]]), axis=1))
    told = [to_past(values[:, :14], signal=signal[:, :14]), to_past(values[:, :14])]
    came = to_past(values).values[:, [14]]
    errors = [np.abs(relative(past, 1) - came).sum() for past in told]
    assert errors[0] < 0.4 * errors[1]


def test_no_series_is_expected_to_grow_beyond_measure() -> None:
    values = np.random.default_rng(0).gamma(0.3, 20, (60, 6))
    years, seen = to_years(to_past(values))
    growth = learn_growth(years, seen, 1)
    assert growth is not None
    factors = growth.factors(describe(years) * 1e6)
    assert (factors >= 1 / FASTEST).all()
    assert (factors <= FASTEST).all()


def test_two_years_apart_cannot_be_learned_from_two_years() -> None:
    years, seen = to_years(to_past(reverting(0)[:, :2]))
    assert learn_growth(years, seen, 2) is None
    assert learn_growth(years, seen, 1) is not None


def test_years_hardly_observed_teach_nothing() -> None:
    values = reverting(0, (80, 8))
    wrong = np.where(np.arange(8) == 4, values * np.random.default_rng(0).gamma(0.2, 5, (80, 8)), values)
    seen = np.where(np.arange(8) == 4, 0.2, 1.0) * NO_GAP[:, :8]
    one, other = learn_growth(years_of(values), seen, 1), learn_growth(years_of(values), NO_GAP[:, :8], 1)
    assert one is not None
    assert other is not None
    assert not np.allclose(one.weights, other.weights)
    assert learn_growth(years_of(wrong), np.zeros((80, 8)), 1) is None


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_later_years_change_nothing_of_what_would_have_been_told(count: int) -> None:
    values = reverting(3)
    later = values.copy()
    later[:, count:] = 1e7 * np.random.default_rng(0).random((80, 15 - count))
    one, other = relative(to_past(values[:, :count]), 3), relative(to_past(later).until(count), 3)
    assert one.tobytes() == other.tobytes()
    assert np.isfinite(one).all()


# --- what all do together ---


@given(st.floats(-0.5, 0.5), st.integers(1, 6))
@settings(max_examples=12, deadline=None)
def test_the_growth_all_share_is_measured(growth: float, years: int) -> None:
    values = np.exp(growth * np.arange(years)) * np.array([[3.0], [50.0], [7.0]])
    assert np.allclose(common_growth(years_of(values, territories=1)), growth)


def test_without_a_past_nothing_is_expected_of_all() -> None:
    assert expect_common(np.array([]), 1) == 0.0


@given(st.floats(-0.05, 0.05), st.integers(1, 5))
def test_a_usual_growth_goes_on_damped(growth: float, ahead: int) -> None:
    told = expect_common(np.full(6, growth), ahead)
    assert abs(told) <= abs(growth) / 3 + 1e-12
    assert told * growth >= 0
    assert abs(expect_common(np.full(6, growth), ahead + 1)) >= abs(told)


@given(st.floats(0.3, 1.0), st.integers(1, 4), st.sampled_from([-1.0, 1.0]))
def test_a_crisis_is_undone_in_part_and_never_drawn_out_and_neither_is_a_boom(size: float, ahead: int, sign: float) -> None:
    growths = np.array([0.01, 0.02, 0.0, 0.015, sign * size])
    told = expect_common(growths, ahead)
    assert told * sign < 0
    assert abs(told) < size
    assert abs(expect_common(growths, ahead + 1)) > abs(told)


def test_a_year_after_all_collapsed_the_level_is_told_above_the_trough() -> None:
    values = reverting(1, (80, 12)) * np.where(np.arange(12) == 11, 0.4, 1.0)
    told = relative(to_past(values), 2).sum(axis=0)
    assert values[:, -1].sum() < told[0] < told[1] < values[:, -2].sum() * 1.5


def test_months_keep_their_season() -> None:
    season = 1 + 0.5 * np.sin(np.arange(12) * np.pi / 6)
    values = np.linspace(10, 90, 16)[:, None] * np.tile(season, 4)
    told = relative(to_past(values, freq="M", start="2018-01"), 18)
    assert np.allclose(told, to_past(values).values[:, :1] / season[0] * np.tile(season, 2)[:18], rtol=0.02)
