"""Laws of the metrics: what they are by definition, and what must not change them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import kstest, nbinom, poisson
from sklearn.metrics import mean_absolute_error, mean_pinball_loss

from features.draws import even_draws
from models import metrics
from models.metrics import (
    interval_coverage,
    mase,
    naive_scales,
    pinball,
    pit_coverage,
    pit_shares,
    randomised_pit,
    rmsse,
    share_beaten,
    skill,
    wape,
)

COUNTS = arrays(np.float64, st.integers(1, 30), elements=st.integers(0, 200).map(float))
Metric = Callable[..., float]


@st.composite
def columns(draw: st.DrawFn) -> dict[str, np.ndarray]:
    """Draw what came, what was told, two bounds and a scale, of rows of which something happened in one at least."""
    actual = draw(COUNTS)
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    return {
        "actual": actual + (np.arange(len(actual)) == 0),
        "forecast": rng.gamma(1.0, 30.0, len(actual)),
        "low": rng.gamma(1.0, 10.0, len(actual)),
        "high": rng.gamma(4.0, 30.0, len(actual)),
        "scale": rng.gamma(2.0, 5.0, len(actual)),
    }


# Each metric as a function of the columns that it reads, and of a weight.
METRICS: dict[str, Metric] = {
    "wape": lambda c, **w: wape(c["actual"], c["forecast"], **w),
    "bias": lambda c, **w: metrics.bias(c["actual"], c["forecast"], **w),
    "mase": lambda c, **w: mase(c["actual"], c["forecast"], c["scale"], **w),
    "rmsse": lambda c, **w: rmsse(c["actual"], c["forecast"], c["scale"], **w),
    "pinball": lambda c, **w: pinball(c["actual"], {0.1: c["low"], 0.9: c["high"]}, **w),
    "coverage": lambda c, **w: interval_coverage(c["actual"], c["low"], c["high"], **w),
    "beaten": lambda c, **w: share_beaten(c["forecast"], c["high"], **w),
}


@pytest.mark.parametrize("name", METRICS)
@given(columns(), st.floats(0.01, 1000))
@settings(max_examples=25, deadline=None)
def test_the_unit_and_the_order_of_rows_change_no_metric(name: str, drawn: dict[str, np.ndarray], factor: float) -> None:
    metric = METRICS[name]
    turned = {key: (column * factor)[::-1] for key, column in drawn.items()}
    assert metric(turned) == pytest.approx(metric(drawn), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", METRICS)
@given(columns(), st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_a_weight_of_two_is_the_row_twice_and_a_missing_row_is_none(name: str, drawn: dict[str, np.ndarray], seed: int) -> None:
    metric = METRICS[name]
    weight = np.random.default_rng(seed).integers(0, 3, len(drawn["actual"]))
    weight[0] = 1
    repeated = {key: np.repeat(column, weight) for key, column in drawn.items()}
    assert metric(drawn, weight=weight.astype(float)) == pytest.approx(metric(repeated), rel=1e-9)
    holed = {key: np.append(column, np.nan if key in ("forecast", "low") else 7.0) for key, column in drawn.items()}
    assert metric(holed) == pytest.approx(metric(drawn), rel=1e-9)


@given(columns())
@settings(max_examples=50, deadline=None)
def test_metrics_are_those_of_scikit_learn(drawn: dict[str, np.ndarray]) -> None:
    actual, forecast, mean = drawn["actual"], drawn["forecast"], drawn["actual"].mean()
    assert wape(actual, forecast) == pytest.approx(mean_absolute_error(actual, forecast) / mean)
    losses = [mean_pinball_loss(actual, drawn[name], alpha=q) for q, name in ((0.1, "low"), (0.9, "high"))]
    assert pinball(actual, {0.1: drawn["low"], 0.9: drawn["high"]}) == pytest.approx(2 * np.mean(losses) / mean)
    assert pinball(actual, {0.5: forecast}) == pytest.approx(wape(actual, forecast))
    assert mase(actual, forecast, np.full(len(actual), 4.0)) == pytest.approx(mean_absolute_error(actual, forecast) / 4)


@given(columns(), st.data())
@settings(max_examples=50, deadline=None)
def test_the_errors_of_parts_add_up_to_that_of_the_whole(drawn: dict[str, np.ndarray], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(drawn["actual"])))
    actual, forecast = drawn["actual"], drawn["forecast"]
    for metric in (wape, metrics.bias):
        parts = [metric(actual[part], forecast[part]) * actual[part].sum() for part in (slice(0, cut), slice(cut, None))]
        assert metric(actual, forecast) * actual.sum() == pytest.approx(np.nansum(parts), rel=1e-9, abs=1e-9)


def test_a_perfect_forecast_errs_by_nothing_and_one_of_zero_by_all() -> None:
    actual = np.array([3.0, 0.0, 5.0])
    scale = np.array([1.0, 2.0, 3.0])
    assert [wape(actual, actual), metrics.bias(actual, actual), mase(actual, actual, scale), rmsse(actual, actual, scale)] == [
        0
    ] * 4
    assert (wape(actual, actual * 0), metrics.bias(actual, actual * 0)) == (1.0, -1.0)
    assert metrics.bias(actual, actual * 3) == 2.0


def test_what_is_undefined_is_missing_and_never_a_good_score() -> None:
    none, zero, one = np.empty(0), np.zeros(2), np.ones(2)
    undefined = [
        wape(zero, one), metrics.bias(zero, one), pinball(zero, {0.5: one}), pinball(one, {}), mase(one, zero, zero),
        rmsse(one, zero, zero * np.nan), interval_coverage(none, none, none), pit_coverage(one * np.nan, 0.8), skill(0.1, 0.0),
        skill(float("nan"), 0.5), share_beaten(none, none), *pit_shares(none, 2),
    ]  # fmt: skip
    assert np.isnan(undefined).all()


def test_scales_are_the_errors_of_the_seasonal_naive_in_the_past() -> None:
    history = np.array([[1.0, 5.0, 3.0, 9.0, np.nan, 8.0], [2.0] * 6, [np.nan] * 5 + [4.0]])
    absolute, squared = naive_scales(history, 2)
    assert absolute[:2].tolist() == [(2 + 4 + 1) / 3, 0.0]
    assert squared[:2] == pytest.approx([np.sqrt((4 + 16 + 1) / 3), 0.0])
    assert np.isnan([absolute[2], squared[2], *naive_scales(history, 6)[0]]).all()


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=30))
def test_what_one_beats_the_other_is_beaten_by(losses: list[tuple[int, int]]) -> None:
    one, other = np.array(losses, dtype=float).T
    assert share_beaten(one, other) + share_beaten(other, one) == pytest.approx(1.0)
    assert share_beaten(one, one) == 0.5


def test_draws_are_even_and_each_row_has_its_own_whatever_the_others() -> None:
    keys = pd.DataFrame(
        {"territory": [f"BE{i % 40:04d}" for i in range(20_000)], "period": [str(i // 40) for i in range(20_000)]}
    )
    drawn = even_draws(keys.astype("str"))
    assert kstest(drawn, "uniform").pvalue > 0.001
    assert abs(np.corrcoef(drawn[1:], drawn[:-1])[0, 1]) < 0.03
    assert (even_draws(keys.astype("str").iloc[::-7]) == drawn[::-7]).all()
    assert drawn.min() >= 0
    assert drawn.max() < 1


@pytest.mark.parametrize("mean", [0.05, 0.7, 4.0, 60.0])
def test_true_counts_have_an_even_pit_at_any_volume_where_plain_coverage_has_not(mean: float) -> None:
    rng = np.random.default_rng(3)
    came = rng.poisson(mean, 20_000).astype(float)
    place = randomised_pit(poisson.cdf(came - 1, mean), poisson.cdf(came, mean), rng.random(20_000))
    assert kstest(place, "uniform").pvalue > 0.001
    assert pit_coverage(place, 0.8) == pytest.approx(0.8, abs=0.012)
    assert pit_shares(place, 10) == pytest.approx(np.full(10, 0.1), abs=0.012)
    plain = interval_coverage(came, np.full(20_000, poisson.ppf(0.1, mean)), np.full(20_000, poisson.ppf(0.9, mean)))
    assert plain > 0.805


def test_a_forecast_too_sure_of_itself_is_seen_in_its_pit() -> None:
    rng = np.random.default_rng(4)
    came = nbinom.rvs(2, 2 / 12, size=5000, random_state=rng).astype(float)
    place = randomised_pit(poisson.cdf(came - 1, 10), poisson.cdf(came, 10), rng.random(5000))
    assert pit_coverage(place, 0.8) < 0.5
    shares = pit_shares(place, 5)
    assert min(shares[0], shares[-1]) > max(shares[1:-1])
