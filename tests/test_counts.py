"""Laws of what may come: the distributions are those of scipy, quantiles are quantiles, widths hold what they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from models.counts import Spread, fit_spread, inside

SHAPES = [(1.0, 0.0), (1.5, 0.0), (1.2, 0.1), (3.0, 0.5), (0.4, 0.0)]
CLASSES = [(0, 2), (2, 10), (10, 50), (50, np.inf)]
LEVELS = [0.025, 0.1, 0.5, 0.9, 0.975]
Told = list[tuple[np.ndarray, np.ndarray]]


def negative_binomial(mean: np.ndarray, phi: float, psi: float) -> stats.distributions.rv_frozen:
    """Scipy's, of variance φμ + ψμ², and Poisson's where that is no more than the mean."""
    variance = np.maximum(phi * mean + psi * mean**2, mean * (1 + 1e-6))
    return stats.nbinom(mean**2 / (variance - mean), mean / variance)


def draw(phi: float, psi: float, *, origins: int = 6, size: int = 3000, seed: int = 0, shock: float = 1.0) -> Told:
    """What was told and what came at origins, of all volumes; at the latest, errors are ``shock`` times the variance."""
    rng = np.random.default_rng(seed)
    told = []
    for origin in range(origins):
        mean, times = rng.gamma(0.6, 40, size), shock if origin == 0 else 1.0
        came = negative_binomial(mean, phi * times, psi * times).rvs(random_state=rng)
        told.append((mean, came.astype("float64")))
    return told


# --- the distribution ---


@pytest.mark.parametrize(("phi", "psi"), SHAPES)
def test_counts_are_negative_binomial(phi: float, psi: float) -> None:
    mean = np.repeat(np.geomspace(0.05, 500, 9), 40)
    value = np.tile(np.arange(40.0) * 15, 9)
    spread, known = Spread(phi, psi, 1.0), negative_binomial(mean, phi, psi)
    assert np.allclose(spread.upto(value, mean), known.cdf(value), atol=1e-9)
    assert np.allclose(spread.below(value, mean), known.cdf(value - 1), atol=1e-9)


@pytest.mark.parametrize(("phi", "psi"), SHAPES)
@pytest.mark.parametrize("level", LEVELS)
def test_quantiles_of_counts_are_those_of_the_negative_binomial(phi: float, psi: float, level: float) -> None:
    mean = np.geomspace(0.01, 200, 60)
    told, known = Spread(phi, psi, 1.0).quantile(mean, level), negative_binomial(mean, phi, psi).ppf(level)
    assert (told == np.maximum(known, 0)).mean() > 0.98  # the others lie where a step falls on the level to the last digit
    assert np.abs(told - known).max() <= 1


@pytest.mark.parametrize(("phi", "psi"), [(1.0, 0.0), (2.0, 0.0), (2.0, 0.01)])
def test_quantiles_of_large_counts_stand_where_they_say(phi: float, psi: float) -> None:
    mean, spread = np.array([1.0, 500, 1e4, 1e5, 1e6, 1e8]), Spread(phi, psi, 1.0)
    known = negative_binomial(mean, phi, psi)
    for level in LEVELS:
        assert (np.abs(spread.quantile(mean, level) - known.ppf(level)) <= 1 + 0.02 * known.std()).all()


@given(st.floats(1e-6, 300), st.floats(0.01, 0.99), st.floats(0.2, 5), st.floats(0, 1), st.sampled_from([1.0, 1 / 12]))
@settings(max_examples=30, deadline=None)
def test_a_quantile_is_the_least_value_that_reaches_its_level(
    mean: float, level: float, phi: float, psi: float, grain: float
) -> None:
    spread, means = Spread(phi, psi, grain), np.array([mean * grain])
    told = spread.quantile(means, level)
    assert spread.upto(told, means)[0] >= level - 1e-9
    assert told[0] == 0 or spread.below(told, means)[0] <= level + 1e-9
    assert np.isclose(told / grain, np.round(told / grain)).all()


@pytest.mark.parametrize("grain", [1.0, 1 / 12, 0.0])
def test_quantiles_rise_with_their_level_and_with_the_mean(grain: float) -> None:
    mean = np.geomspace(1e-3, 5000, 80)
    told = np.stack([Spread(1.4, 0.1, grain).quantile(mean, level) for level in LEVELS])
    assert (np.diff(told, axis=0) >= 0).all()
    assert (np.diff(told, axis=1) >= 0).all()
    assert np.isfinite(told).all()
    assert (told >= 0).all()


def test_measures_without_a_grain_are_gamma() -> None:
    mean, value = np.geomspace(0.5, 50, 30), np.linspace(0.1, 80, 30)
    spread = Spread(0.7, 0.2, 0.0)
    variance = 0.7 * mean + 0.2 * mean**2
    known = stats.gamma(mean**2 / variance, scale=variance / mean)
    assert np.allclose(spread.upto(value, mean), known.cdf(value))
    assert np.allclose(spread.quantile(mean, 0.9), known.ppf(0.9))
    assert spread.below(value, mean).tolist() == spread.upto(value, mean).tolist()


def test_means_of_twelve_counts_are_counts_of_twelfths() -> None:
    mean = np.array([0.5, 4.0, 30.0])
    twelfths, counts = Spread(1.3, 0.1, 1 / 12), Spread(1.3, 0.1, 1.0)
    assert np.allclose(twelfths.quantile(mean / 12, 0.9) * 12, counts.quantile(mean, 0.9))
    assert np.allclose(
        twelfths.upto(np.array([0.0, 5 / 12, 31 / 12]), mean / 12), counts.upto(np.array([0.0, 5.0, 31.0]), mean)
    )


def test_nothing_is_told_of_zero_but_zero() -> None:
    for grain in (1.0, 1 / 12, 0.0):
        spread = Spread(2.0, 0.3, grain)
        assert spread.quantile(np.zeros(3), 0.9) == pytest.approx(np.zeros(3), abs=1e-6)
        assert spread.upto(np.zeros(2), np.zeros(2))[0] == pytest.approx(1.0 if grain else 0.0, abs=1e-6)
    assert Spread(1.0, 0.0, 1.0).upto(np.array([-1.0]), np.array([3.0]))[0] == 0.0


def test_more_variance_never_narrows_the_middle() -> None:
    mean, spread = np.geomspace(0.5, 400, 50), Spread(1.1, 0.02, 1.0)
    wide = [spread.times(scale).quantile(mean, 0.9) - spread.times(scale).quantile(mean, 0.1) for scale in (1.0, 2.0, 5.0)]
    # A step of a count may fall on the other side of a level.
    assert (np.diff(np.stack(wide), axis=0) >= -1).all()
    assert wide[2].sum() > 1.8 * wide[0].sum()


# --- learned from errors ---


@pytest.mark.parametrize(("phi", "psi"), [(1.0, 0.0), (2.0, 0.05), (1.5, 0.3), (4.0, 0.01)])
def test_the_variance_that_errors_were_drawn_with_is_found(phi: float, psi: float) -> None:
    found = fit_spread(draw(phi, psi), 1.0)
    mean = np.array([2.0, 20.0, 200.0])
    assert found.variance(mean) == pytest.approx(phi * mean + psi * mean**2, rel=0.25)


@pytest.mark.parametrize(("phi", "psi"), [(1.0, 0.0), (2.0, 0.05), (1.5, 0.3), (4.0, 0.01)])
def test_four_in_five_of_what_comes_next_lie_in_the_middle_in_each_class_of_volume(phi: float, psi: float) -> None:
    found = fit_spread(draw(phi, psi), 1.0)
    (mean, came) = draw(phi, psi, origins=1, size=20_000, seed=9)[0]
    for low, high in CLASSES:
        held = (mean >= low) & (mean < high)
        assert inside(found, mean[held], came[held]) == pytest.approx(0.8, abs=0.05)


def test_what_lies_inside_is_the_mean_chance_of_a_randomised_pit() -> None:
    spread, (mean, came) = Spread(1.2, 0.1, 1.0), draw(2.0, 0.2, origins=1, size=4000)[0]
    below, upto = spread.below(came, mean), spread.upto(came, mean)
    drawn = below + np.random.default_rng(0).random((50, len(came))) * (upto - below)
    assert inside(spread, mean, came) == pytest.approx(((drawn >= 0.1) & (drawn <= 0.9)).mean(), abs=0.005)


def test_the_pit_of_what_a_spread_itself_draws_is_uniform() -> None:
    spread, (mean, came) = Spread(1.5, 0.2, 1.0), draw(1.5, 0.2, origins=1, size=20_000)[0]
    below, upto = spread.below(came, mean), spread.upto(came, mean)
    pit = below + np.random.default_rng(1).random(len(came)) * (upto - below)
    assert stats.kstest(pit, "uniform").statistic < 0.015


def test_errors_scaled_with_what_is_measured_scale_the_width() -> None:
    told = [(mean + 0.1, came * 1.01 + 0.1) for mean, came in draw(2.0, 0.1)]
    one, many = fit_spread(told, 0.0), fit_spread([(mean * 1000, came * 1000) for mean, came in told], 0.0)
    mean = np.geomspace(1, 500, 20)
    for level in LEVELS:
        assert np.allclose(many.quantile(mean * 1000, level), one.quantile(mean, level) * 1000, rtol=0.01)


def test_a_past_crisis_does_not_widen_calm_times_and_a_crisis_just_passed_does() -> None:
    calm, shocked = draw(1.5, 0.1), draw(1.5, 0.1, shock=9.0)
    mean = np.array([3.0, 20.0, 60.0])
    usual, now, passed = (fit_spread(told, 1.0).variance(mean) for told in (calm, shocked, [*shocked[1:], shocked[0]]))
    assert (now > 1.8 * usual).all()
    assert passed == pytest.approx(usual, rel=0.3)


def test_forecasts_that_were_right_every_time_leave_counts_the_width_of_chance_and_measures_none() -> None:
    told = [(np.full(50, 40.0), np.full(50, 40.0))]
    exact = fit_spread(told, 1.0).quantile(np.array([40.0]), 0.9)[0]
    assert exact == stats.poisson(40).ppf(0.9)
    assert fit_spread([(np.full(50, 0.5), np.full(50, 0.5))], 0.0).quantile(np.array([0.5]), 0.9)[0] == pytest.approx(
        0.5, rel=1e-3
    )


def test_without_a_past_the_variance_of_counts_is_twice_the_mean() -> None:
    assert fit_spread([], 1.0) == Spread(2.0, 0.0, 1.0)


def test_series_that_stay_at_zero_teach_no_width_that_is_not_finite() -> None:
    found = fit_spread([(np.zeros(100), np.zeros(100))], 1.0)
    assert np.isfinite(found.variance(np.array([0.0, 1.0]))).all()
    assert inside(found, np.zeros(10), np.zeros(10)) == pytest.approx(0.8, abs=1e-6)
