"""Laws of mixing: weights are convex and learned from the past only, naive unless another member told it better."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from long_frames import to_frame

from models.combine import BUCKETS, bucket_of, combine, look_back
from models.members import Member, Past, add_up, growing, last_value, pooled, seasonal_naive, shrunk, smoothing, year_mean
from models.panel import to_panel

SINGLE: Mapping[str, Member] = {
    "last_value": last_value,
    "seasonal_naive": seasonal_naive,
    "year_mean": year_mean,
    "smoothing": smoothing,
    "pooled": pooled,
}
SEASON = 1 + 0.6 * np.sin(np.arange(12) * np.pi / 6)


def to_past(values: np.ndarray, **spelt: object) -> Past:
    return Past(to_panel(to_frame(values, **spelt)))


def oracle(truth: np.ndarray, error: float = 0.0, seed: int = 0) -> Member:
    """A member that knows what comes, but for a relative error."""

    def tell(past: Past, horizon: int) -> np.ndarray:
        noise = np.random.default_rng([seed, past.periods]).normal(0, error, (len(truth), horizon))
        return np.maximum(truth[:, past.periods : past.periods + horizon] * (1 + noise), 0)

    return tell


def walk(seed: int, shape: tuple[int, int] = (60, 48)) -> np.ndarray:
    """Series whose next value is the last and chance: nothing tells them better than the last value."""
    steps = np.random.default_rng(seed).normal(0, 0.12, shape)
    return 100 * np.exp(np.cumsum(steps, axis=1))


def poisson(seed: int, level: np.ndarray, periods: int = 48) -> np.ndarray:
    return np.random.default_rng(seed).poisson(np.broadcast_to(level.reshape(-1, 1), (len(level), periods))).astype("float64")


# --- the horizon and the origins ---


@given(st.integers(1, 60))
def test_a_horizon_has_at_most_three_parts_one_after_the_other(horizon: int) -> None:
    parts = bucket_of(horizon)
    assert len(parts) == horizon
    assert parts[0] == 0
    assert set(np.diff(parts)) <= {0, 1}
    assert parts[-1] == min(horizon, BUCKETS) - 1
    assert np.ptp(np.bincount(parts)) <= 1


@given(st.integers(1, 60), st.integers(1, 40), st.sampled_from([1, 5, 400]))
@settings(max_examples=20, deadline=None)
def test_every_origin_lies_in_the_past_and_something_was_known_before_it(periods: int, horizon: int, series: int) -> None:
    origins = look_back(to_past(np.ones((series, periods))), horizon)
    assert origins == sorted(set(origins), reverse=True)
    assert all(2 <= origin < periods for origin in origins)


# --- weights ---


@given(st.integers(0, 10_000), st.integers(3, 40), st.integers(1, 15))
@settings(max_examples=8, deadline=None)
def test_weights_are_convex_and_the_mixture_lies_between_its_members(seed: int, periods: int, horizon: int) -> None:
    past = to_past(poisson(seed, np.array([0.5, 3, 20, 90.0]), periods), territories=2)
    mixed = combine(past, horizon, SINGLE, 2)
    for weights in mixed.weights:
        assert list(weights) == list(SINGLE)
        assert sum(weights.values()) == pytest.approx(1, abs=1e-9)
        assert min(weights.values()) >= 0
    told = np.stack([member(past, horizon) for member in SINGLE.values()])
    assert (mixed.values >= told.min(axis=0) - 1e-9).all()
    assert (mixed.values <= told.max(axis=0) + 1e-9).all()


def test_a_member_that_knows_what_comes_gets_the_weight() -> None:
    truth = walk(0, (40, 60))
    mixed = combine(to_past(truth[:, :48]), 6, {"last_value": last_value, "knows": oracle(truth)}, 1)
    assert all(weights["knows"] > 0.97 for weights in mixed.weights)
    assert np.abs(mixed.values - truth[:, 48:54]).sum() < 0.05 * np.abs(truth[:, [47]] - truth[:, 48:54]).sum()


def test_of_two_members_that_know_the_one_that_errs_less_weighs_more_and_together_they_beat_both() -> None:
    truth = walk(1, (200, 60))
    good, fair = oracle(truth, 0.05, seed=1), oracle(truth, 0.08, seed=2)
    mixed = combine(to_past(truth[:, :48]), 3, {"last_value": last_value, "good": good, "fair": fair}, 1)
    assert all(0.55 < weights["good"] < 0.9 for weights in mixed.weights)
    assert all(0.1 < weights["fair"] < 0.45 for weights in mixed.weights)
    errors = [np.abs(told - truth[:, 48:51]).sum() for told in (mixed.values, good(to_past(truth[:, :48]), 3))]
    assert errors[0] < errors[1]


@pytest.mark.parametrize("seed", range(3))
def test_where_the_last_value_cannot_be_beaten_it_keeps_nearly_all_the_weight(seed: int) -> None:
    past = to_past(walk(seed))
    mixed = combine(past, 6, {"last_value": last_value, "year_mean": year_mean, "pooled": pooled}, 1)
    assert min(weights["last_value"] for weights in mixed.weights) > 0.75


def test_members_that_say_nothing_of_use_get_nothing() -> None:
    rubbish: Member = lambda past, horizon: np.full((len(past.values), horizon), 1e6)  # noqa: E731
    nothing: Member = lambda past, horizon: np.zeros((len(past.values), horizon))  # noqa: E731
    mixed = combine(to_past(walk(5)), 6, {"last_value": last_value, "rubbish": rubbish, "nothing": nothing}, 1)
    assert all(weights["last_value"] > 0.999 for weights in mixed.weights)
    assert np.allclose(mixed.values, walk(5)[:, [-1]], rtol=0.02)


def test_of_several_naive_forecasts_the_one_that_told_better_is_the_default() -> None:
    seasonal = np.tile(SEASON * 100, (10, 4)) * np.linspace(1, 5, 10)[:, None]
    naive = {"last_value": last_value, "seasonal_naive": seasonal_naive}
    assert all(w["seasonal_naive"] == pytest.approx(1, abs=1e-3) for w in combine(to_past(seasonal), 12, naive, 2).weights)


def test_what_was_told_at_an_origin_is_what_would_have_been_told_then() -> None:
    past = to_past(poisson(3, np.linspace(1, 40, 20)))
    mixed = combine(past, 6, SINGLE, 2)
    assert [start for start, _ in mixed.told] == look_back(past, 6)
    for start, told in mixed.told[::5]:
        members = [np.stack([member(past.until(start), 6) for member in SINGLE.values()], axis=2)]
        weights = np.array([list(mine.values()) for mine in mixed.weights])[bucket_of(6)]
        assert np.allclose(told, (members[0] * weights[None]).sum(axis=2))


@pytest.mark.parametrize(("periods", "horizon"), [(1, 12), (2, 12), (4, 24), (8, 36)])
def test_a_horizon_longer_than_the_history_is_told_with_the_weights_of_what_is_nearer(periods: int, horizon: int) -> None:
    mixed = combine(to_past(poisson(0, np.linspace(1, 40, 10), periods)), horizon, SINGLE, 2)
    assert len(mixed.weights) == BUCKETS
    assert mixed.weights[2] == mixed.weights[1]
    assert np.isfinite(mixed.values).all()
    if periods < 4:
        assert mixed.weights[0] == dict(zip(SINGLE, [1.0, 0, 0, 0, 0], strict=True))


def test_what_comes_after_the_origin_changes_neither_weights_nor_values() -> None:
    values = poisson(3, np.linspace(1, 40, 20))
    later = np.hstack([values, values[::-1] * 50])
    one, other = combine(to_past(values), 6, SINGLE, 2), combine(to_past(later).until(48), 6, SINGLE, 2)
    assert one.values.tobytes() == other.values.tobytes()
    assert one.weights == other.weights


# --- members ---


@pytest.mark.parametrize("name", list(SINGLE))
def test_a_constant_is_told_by_every_member(name: str) -> None:
    told = SINGLE[name](to_past(np.full((6, 40), 7.0), territories=2), 15)
    assert np.allclose(told, 7.0)


@pytest.mark.parametrize("name", [*SINGLE, "growing"])
def test_members_follow_the_scale_and_no_neighbour_s_name(name: str) -> None:
    member: Member = {**SINGLE, "growing": lambda past, horizon: growing(past, horizon, span=6)}[name]
    values = poisson(2, np.linspace(2, 60, 12), 36)
    one, many = (member(to_past(scaled, territories=3), 14) for scaled in (values, values * 1000))
    assert np.allclose(many, one * 1000, rtol=1e-6)


def test_the_season_of_all_is_found_under_the_noise_of_each() -> None:
    level = np.full((300, 1), 3.0)
    values = np.random.default_rng(0).poisson(np.tile(SEASON, 4) * level).astype("float64")
    seasons = to_past(values, territories=10).seasons
    assert np.allclose(seasons, SEASON / SEASON.mean(), atol=0.12)
    assert np.allclose(seasons.mean(axis=1), 1)


def test_a_new_series_is_told_what_its_territory_and_its_occupation_let_expect() -> None:
    rate = np.outer(np.geomspace(2, 60, 12), np.geomspace(1, 4, 6)).ravel()
    values = poisson(4, rate[:, None], 40)
    values[30, :-1] = np.nan  # seen for the first time last month
    told = pooled(to_past(values, territories=6), 1)[:, 0]
    order = to_past(values, territories=6).panel.series
    where = order.index[(order["territory"] == "T0000") & (order["occupation"] == "A10")][0]
    assert told[where] == pytest.approx(rate[30], rel=0.35)


def test_growth_that_all_share_goes_on_and_is_damped() -> None:
    values = 200 * 1.03 ** np.arange(36) * np.linspace(1, 3, 8)[:, None]
    told = growing(to_past(values), 12, span=6)
    growth = told / values[:, [-1]]
    assert (np.diff(growth, axis=1) > 0).all()
    assert (growth[:, 0] <= 1.03 + 1e-6).all()
    assert (growth[:, -1] < 1.03**12).all()
    assert (growth[:, -1] > 1.1).all()


@given(st.integers(0, 10_000), st.floats(0.2, 5))
@settings(max_examples=30, deadline=None)
def test_what_is_shrunk_lies_between_what_was_expected_and_what_was_seen(seed: int, noise: float) -> None:
    rng = np.random.default_rng(seed)
    expected = rng.gamma(1, 10, 40) + 0.1
    seen = rng.poisson(expected * rng.gamma(3, 1 / 3, 40)).astype("float64")
    for codes in (None, np.arange(40) // 5):
        ratio = shrunk(seen, expected, noise, codes)
        raw = seen / expected if codes is None else (add_up(seen, codes) / add_up(expected, codes))[codes]
        assert (ratio >= np.minimum(raw, 1) - 1e-9).all()
        assert (ratio <= np.maximum(raw, 1) + 1e-9).all()


def test_chance_alone_is_shrunk_away_and_true_differences_stay() -> None:
    rng, expected = np.random.default_rng(0), np.full(2000, 8.0)
    assert np.abs(shrunk(rng.poisson(expected).astype("float64"), expected, 1.0, None) - 1).mean() < 0.06
    true = rng.choice([0.25, 4.0], 2000)
    assert np.abs(shrunk(rng.poisson(expected * 100 * true) * 1.0, expected * 100, 1.0, None) - true).max() < 0.4
