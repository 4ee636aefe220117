"""Laws that every forecaster obeys, worlds whose answer is known, and what is defined where little is known."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import joblib
import numpy as np
import pandas as pd
import pytest
from long_frames import KEY, to_frame, to_matrix
from pandas.testing import assert_frame_equal
from scipy import stats
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from features.vocabulary import InputError
from models.forecast import BASELINES, GlobalBoosting, LastValue, NeedForecaster, PanelForecaster, SeasonalNaive

pytestmark = pytest.mark.filterwarnings("error")
QUICK = tuple(kind for kind in (NeedForecaster, *BASELINES) if kind is not GlobalBoosting)  # it learns trees at each origin
NUMBERS = ["value", "low", "high"]
SEASON = 1 + 0.7 * np.sin(np.arange(12) * np.pi / 6)
every = pytest.mark.parametrize("kind", QUICK)


def poisson(level: np.ndarray, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).poisson(level).astype("float64")


@cache
def months() -> pd.DataFrame:
    """Twelve series of all volumes, with a season, over thirty months."""
    return to_frame(poisson(np.geomspace(0.5, 120, 12)[:, None] * np.tile(SEASON, 3)[:30]), territories=3)


@cache
def years() -> pd.DataFrame:
    """Forty series of measures that are no counts, over nine years."""
    rng = np.random.default_rng(4)
    logs = rng.normal(4, 1, (40, 1)) + np.cumsum(rng.normal(0.01, 0.15, (40, 9)), axis=1)
    return to_frame(np.exp(logs), territories=8, freq="Y", start="2012")


def check_sound(told: pd.DataFrame, series: int, horizon: int) -> None:
    """Every series has each period once, finite, not negative, within its interval."""
    assert len(told) == series * horizon
    assert not told.duplicated(KEY).any()
    assert np.isfinite(told[NUMBERS].to_numpy()).all()
    assert (told["low"] >= 0).all()
    assert (told["low"] <= told["value"]).all()
    assert (told["value"] <= told["high"]).all()


def wape(told: pd.DataFrame, came: np.ndarray) -> float:
    return float(np.abs(to_matrix(told) - came).sum() / came.sum())


def skill(values: np.ndarray, horizon: int, baseline: type[PanelForecaster] = LastValue, **spelt: object) -> float:
    """The error of the forecaster beside that of a baseline, on the last periods."""
    past, came = to_frame(values[:, :-horizon], **spelt), to_matrix(to_frame(values, **spelt))[:, -horizon:]
    return wape(NeedForecaster().fit(past).predict(horizon), came) / wape(baseline().fit(past).predict(horizon), came)


# --- every forecaster ---


@every
def test_rows_in_any_order_give_the_same_bytes_and_are_left_alone(kind: type[PanelForecaster]) -> None:
    frame = months().sample(frac=1, random_state=3)
    before = frame.copy(deep=True)
    told = kind().fit(frame).predict(4, (0.5,))
    assert_frame_equal(frame, before)
    assert_frame_equal(told, kind().fit(months()).predict(4, (0.5,)), check_exact=True)


@every
@pytest.mark.parametrize("whole", [True, False], ids=["counts", "measures"])
def test_forecasts_are_finite_not_negative_and_within_their_interval(kind: type[PanelForecaster], whole: bool) -> None:
    frame = months() if whole else years()
    told = kind().fit(frame).predict(5, (0.025, 0.5, 0.9, 0.975))
    check_sound(told, frame[KEY[:2]].drop_duplicates().shape[0], 5)
    quantiles = told[["q2.5", "q50", "q90", "q97.5"]].to_numpy()
    assert (np.diff(quantiles, axis=1) >= 0).all()
    assert (told["high"] == np.maximum(told["q90"], told["value"])).all()
    assert told[KEY].equals(told[KEY].sort_values(KEY, ignore_index=True))


@every
def test_text_periods_give_what_pandas_periods_give_and_come_back_as_text(kind: type[PanelForecaster]) -> None:
    told = kind().fit(years()).predict(2)
    written = kind().fit(years().assign(period=years()["period"].astype("str"))).predict(2)
    assert_frame_equal(written, told.assign(period=told["period"].astype("str")), check_exact=True)
    assert written["period"].unique().tolist() == ["2021", "2022"]
    assert told["period"].dtype == pd.PeriodDtype("Y")


@every
def test_later_rows_never_change_an_earlier_forecast(kind: type[PanelForecaster]) -> None:
    rng = np.random.default_rng(0)
    later = years().assign(value=years()["value"] * np.where(years()["period"] > "2017", rng.gamma(1, 9, len(years())), 1))
    signal = later.assign(signal=np.where(years()["period"] > "2017", later["value"], 1.0))
    told = [kind().fit(frame[frame["period"] <= "2017"]).predict(2) for frame in (years().assign(signal=1.0), signal)]
    assert_frame_equal(*told, check_exact=True)
    model = kind().fit(later)
    model.panel_ = model.panel_.until(6)
    assert_frame_equal(model.predict(2), told[0], check_exact=True)


@every
def test_measures_in_another_unit_give_the_same_forecast_in_that_unit(kind: type[PanelForecaster]) -> None:
    one, many = (kind().fit(years().assign(value=years()["value"] * unit)).predict(2) for unit in (1, 1000))
    assert np.allclose(many[NUMBERS], one[NUMBERS] * 1000, rtol=0.02)
    assert np.allclose(many["value"], one["value"] * 1000, rtol=1e-3)


@every
def test_codes_renamed_with_their_groups_given_get_the_same_forecast(kind: type[PanelForecaster]) -> None:
    grouped = years().assign(
        family=years()["occupation"].map(lambda code: f"family {code[1]}"), region=years()["territory"].str[:2]
    )
    new = {code: f"{9 - i} é{code}" for i, code in enumerate(sorted(set(grouped["occupation"])))}
    renamed = grouped.assign(occupation=grouped["occupation"].map(new), territory="DE/" + grouped["territory"])
    one, other = kind().fit(grouped).predict(2), kind().fit(renamed).predict(2)
    one = one.assign(occupation=one["occupation"].map(new), territory="DE/" + one["territory"]).sort_values(KEY)
    assert np.allclose(one["value"], other["value"], rtol=0.02)


@every
def test_what_is_probable_agrees_with_the_quantiles(kind: type[PanelForecaster]) -> None:
    model = kind().fit(months())
    told = model.predict(4, (0.3, 0.9))
    for level, name in ((0.3, "q30"), (0.9, "q90")):
        chance = model.probability(told.assign(value=told[name]))
        assert (chance["upto"] >= level - 1e-9).all()
        assert ((chance["below"] <= level + 1e-9) | (told[name] == 0)).all()
    shuffled = told.sample(frac=1, random_state=0)
    assert_frame_equal(model.probability(shuffled), model.probability(told).loc[shuffled.index])


@every
def test_an_estimator_is_cloned_kept_fitted_again_and_asked_only_when_fitted(kind: type[PanelForecaster]) -> None:
    model = kind()
    with pytest.raises(NotFittedError):
        model.predict(2)
    with pytest.raises(NotFittedError):
        model.probability(years())
    assert model.fit(months()) is model
    model.predict(2)
    settings = {"learned": None} if kind is NeedForecaster else {}
    assert model.get_params() == clone(model).get_params() == settings
    again = model.fit(years()).predict(2)
    assert_frame_equal(again, kind().fit(years()).predict(2), check_exact=True)
    held = io.BytesIO()
    joblib.dump(model, held)
    held.seek(0)
    assert_frame_equal(joblib.load(held).predict(2), again, check_exact=True)


@every
def test_one_horizon_asked_after_another_changes_nothing(kind: type[PanelForecaster]) -> None:
    model = kind().fit(years())
    first = model.predict(3)
    model.predict(1)
    assert_frame_equal(model.predict(3), first, check_exact=True)


@every
def test_an_interval_after_a_common_collapse_is_wider_than_before(kind: type[PanelForecaster]) -> None:
    values = to_matrix(years())
    wide = []
    for fall in (1.0, 0.35):
        told = kind().fit(to_frame(np.hstack([values[:, :8], values[:, 8:] * fall]), freq="Y")).predict(1)
        wide.append(float(((told["high"] - told["low"]) / told["value"]).median()))
    assert wide[1] > 1.2 * wide[0]


def test_the_trees_obey_the_same_laws() -> None:
    frame = to_frame(to_matrix(years())[:, :5], territories=1, freq="Y", start="2012")
    told = GlobalBoosting().fit(frame).predict(2, (0.5,))
    check_sound(told, 40, 2)
    assert_frame_equal(told, GlobalBoosting().fit(frame.sample(frac=1, random_state=0)).predict(2, (0.5,)), check_exact=True)
    many = GlobalBoosting().fit(frame.assign(value=frame["value"] * 1000)).predict(2)
    assert np.allclose(many["value"], told["value"] * 1000, rtol=1e-3)
    assert told["value"].sum() == pytest.approx(2 * frame[frame["period"] == "2016"]["value"].sum(), rel=0.3)


def test_the_trees_tell_a_constant_and_nothing_of_nothing() -> None:
    assert np.allclose(GlobalBoosting().fit(to_frame(np.full((6, 6), 40.0), freq="Y")).predict(2)["value"], 40)
    assert len(GlobalBoosting().fit(years().head(0)).predict(2)) == 0


# --- what was learned, applied ---


def led(signal: bool = True) -> pd.DataFrame:
    """Years whose growth a signal leads by a year, and another number that leads nothing."""
    rng = np.random.default_rng(2)
    lead = rng.normal(0, 1, (120, 13))
    growth = np.hstack([np.zeros((120, 1)), 0.15 * lead[:, :-1]]) + rng.normal(0, 0.02, (120, 13))
    frame = to_frame(np.exp(6 + np.cumsum(growth, axis=1)), territories=6, freq="Y")
    return frame.assign(chance=rng.normal(0, 1, len(frame)), **({"signal": lead.ravel()} if signal else {}))


@pytest.mark.parametrize("horizon", [1, 2, 5, 14])
@pytest.mark.parametrize("world", [months, years, led])
def test_what_was_learned_tells_the_same_bytes_of_the_same_rows(world: Callable[[], pd.DataFrame], horizon: int) -> None:
    learning = NeedForecaster().fit(world())
    told = learning.predict(horizon, (0.5,))
    applied = NeedForecaster(learning.learn(horizon)).fit(world())
    assert_frame_equal(applied.predict(horizon, (0.5,)), told, check_exact=True)
    assert_frame_equal(applied.borrowed(), learning.borrowed(), check_exact=True)
    assert_frame_equal(applied.probability(told), learning.probability(told), check_exact=True)
    assert applied.learn(horizon) == learning.learn(horizon)


def test_what_was_learned_looks_at_no_past_origin_again() -> None:
    learned = NeedForecaster().fit(months()).learn(4)
    doubled = months().assign(value=months()["value"] * np.where(months()["period"] < pd.Period("2020-01", "M"), 1, 3))
    applied = NeedForecaster(learned).fit(doubled)
    told = applied.predict(4)
    check_sound(told, 12, 4)
    assert applied.learn(4) == learned
    assert NeedForecaster().fit(doubled).learn(4) != learned


@pytest.mark.parametrize(("at", "asked"), [(2, 12), (12, 2), (12, 13), (1, 1)])
def test_what_was_learned_at_one_horizon_is_applied_at_another_and_its_last_part_goes_on(at: int, asked: int) -> None:
    learned = NeedForecaster().fit(months()).learn(at)
    applied = NeedForecaster(learned).fit(months())
    check_sound(applied.predict(asked), 12, asked)
    parts = min(asked, 3)
    assert len(applied.spreads_) == len(applied.weights_) == parts
    assert applied.spreads_ == [learned.spreads[min(part, min(at, 3) - 1)] for part in range(parts)]


def test_a_regressor_that_is_gone_is_done_without_and_the_weight_of_its_member_goes_to_the_others() -> None:
    season = to_frame(poisson(np.geomspace(5, 120, 12)[:, None] * np.tile(SEASON, 5)), territories=3)
    weights = ({"smoothing": 0.2, "pooled": 0.6, "relative": 0.2},)
    learned = replace(NeedForecaster().fit(season).learn(1), regressors=("signal",), weights=weights)
    gone = NeedForecaster(learned).fit(season)
    gone.predict(1)
    kept = {name: weight for name, weight in gone.weights_[0].items() if weight}
    assert kept == pytest.approx({"smoothing": 0.25, "pooled": 0.75})
    there = NeedForecaster(learned).fit(season.assign(signal=1.0))
    there.predict(1)
    assert there.weights_[0]["relative"] == 0.2
    unseen = NeedForecaster(learned).fit(season.assign(signal=np.nan))
    assert_frame_equal(unseen.predict(1), gone.predict(1), check_exact=True)


def test_where_no_member_that_was_learned_is_there_the_first_tells_alone() -> None:
    learned = replace(NeedForecaster().fit(months()).learn(1), weights=({"relative": 1.0},))
    alone = NeedForecaster(learned).fit(months()).predict(2)["value"]
    assert np.allclose(alone, LastValue().fit(months()).predict(2)["value"])


def test_what_was_learned_tells_of_no_series() -> None:
    names = [*months()["territory"].unique(), *months()["occupation"].unique()]
    held = io.BytesIO()
    joblib.dump(NeedForecaster().fit(months()).learn(4), held)
    assert [name for name in names if name.encode() in held.getvalue()] == []


# --- worlds whose answer is known ---


@pytest.mark.parametrize("seed", range(3))
def test_a_random_walk_is_told_hardly_worse_than_by_its_last_value(seed: int) -> None:
    walk = 300 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.1, (150, 48)), axis=1))
    assert skill(walk, 6) < 1.03


def test_noise_around_a_level_is_smoothed_away() -> None:
    assert skill(poisson(np.broadcast_to(np.geomspace(1, 80, 150)[:, None], (150, 48))), 6, territories=10) < 0.8


def test_a_season_that_all_share_is_found() -> None:
    values = poisson(np.geomspace(1, 20, 150)[:, None] * np.tile(SEASON, 5))
    assert skill(values, 12, territories=10) < 0.7
    assert skill(values, 12, SeasonalNaive, territories=10) < 0.85


def test_growth_that_all_share_is_found() -> None:
    values = np.random.default_rng(0).gamma(400, np.geomspace(0.1, 3, 60)[:, None] * 1.02 ** np.arange(60) / 400) * 100
    assert skill(values, 6) < 0.75


def test_shares_that_return_to_their_level_are_found() -> None:
    rng, logs = np.random.default_rng(1), np.empty((200, 14))
    home = rng.normal(6, 1, 200)
    logs[:, 0] = home
    for year in range(1, 14):
        logs[:, year] = logs[:, year - 1] + 0.6 * (home - logs[:, year - 1]) + rng.normal(0, 0.25, 200)
    assert skill(np.exp(logs), 1, territories=10, freq="Y") < 0.92


def test_after_a_collapse_of_all_the_fall_is_not_drawn_out() -> None:
    values = to_matrix(years())
    fallen = np.hstack([values, values[:, -1:] * 0.4])
    told = NeedForecaster().fit(to_frame(fallen, territories=1, freq="Y")).predict(3)
    total = told.groupby("period")["value"].sum().to_numpy()
    assert (total > 0.97 * fallen[:, -1].sum()).all()
    assert (total < fallen[:, -2].sum()).all()


def test_a_regressor_that_leads_by_a_year_is_kept_and_lowers_the_error_and_noise_is_not_and_changes_no_byte() -> None:
    rng = np.random.default_rng(2)
    signal = rng.normal(0, 1, (120, 13))
    growth = np.hstack([np.zeros((120, 1)), 0.15 * signal[:, :-1]]) + rng.normal(0, 0.02, (120, 13))
    values = np.exp(6 + np.cumsum(growth, axis=1))
    past, came = to_frame(values[:, :12], territories=6, freq="Y"), to_frame(values, territories=6, freq="Y")
    alone = NeedForecaster().fit(past)
    led = NeedForecaster().fit(past.assign(signal=signal[:, :12].ravel(), chance=rng.normal(0, 1, len(past))))
    errors = [wape(model.predict(1), to_matrix(came)[:, [12]]) for model in (led, alone)]
    assert led.regressors_ == ["signal"]
    assert errors[0] < 0.5 * errors[1]
    noise = NeedForecaster().fit(past.assign(chance=rng.normal(0, 1, len(past))))
    assert_frame_equal(noise.predict(1), alone.predict(1), check_exact=True)
    assert noise.regressors_ == []


@every
def test_the_pit_of_counts_drawn_at_a_constant_level_is_uniform_in_each_class_of_volume(kind: type[PanelForecaster]) -> None:
    level = np.geomspace(0.5, 90, 200)[:, None]
    values = poisson(np.broadcast_to(level, (200, 54)))
    model = kind().fit(to_frame(values[:, :48]))
    told = model.predict(6)
    chance = model.probability(told.assign(value=values[:, 48:].ravel()))
    pit = chance["below"] + np.random.default_rng(0).random(len(chance)) * (chance["upto"] - chance["below"])
    inside = ((pit >= 0.1) & (pit <= 0.9)).to_numpy().reshape(200, 6)
    assert inside.mean() == pytest.approx(0.8, abs=0.05)
    if kind is NeedForecaster:
        assert [float(part.mean()) for part in np.array_split(inside, 4)] == pytest.approx([0.8] * 4, abs=0.05)
        assert stats.kstest(pit, "uniform").statistic < 0.06


# --- where little is known ---


@every
def test_an_empty_frame_and_one_without_a_value_give_an_empty_forecast_with_its_columns(kind: type[PanelForecaster]) -> None:
    for empty in (years().head(0), years().assign(value=np.nan), years().head(0).assign(period=pd.Series(dtype="str"))):
        told = kind().fit(empty).predict(3, (0.5,))
        assert list(told) == [*KEY, *NUMBERS, "q50"]
        assert len(told) == 0


@every
@pytest.mark.parametrize("count", [1, 2, 5, 13])
def test_a_history_shorter_than_the_horizon_is_told_flat_or_nearly_and_wider_the_farther(
    kind: type[PanelForecaster], count: int
) -> None:
    frame = months()[months()["period"] < pd.Period("2018-01", "M") + count]
    told = kind().fit(frame).predict(24)
    check_sound(told, 12, 24)
    total = told.assign(wide=told["high"] - told["low"]).groupby("period")[["wide", "value"]].sum()
    width = (total["wide"] / total["value"]).to_numpy()
    assert width[-1] >= 0.95 * width[0]


@every
def test_one_point_is_told_as_it_is(kind: type[PanelForecaster]) -> None:
    told = kind().fit(to_frame(np.array([[8.0]]))).predict(14)
    check_sound(told, 1, 14)
    assert told["value"].tolist() == pytest.approx([8.0] * 14)
    assert (told["high"] > 8).all()


@every
def test_zeros_stay_zero_without_a_width(kind: type[PanelForecaster]) -> None:
    told = kind().fit(to_frame(np.zeros((4, 30)), territories=2)).predict(14)
    assert (told[NUMBERS] == 0).all().all()


@every
def test_a_constant_is_told_as_it_is_with_the_width_of_chance_for_counts_and_none_for_measures(
    kind: type[PanelForecaster],
) -> None:
    counts, measures = (kind().fit(to_frame(np.full((6, 30), level))).predict(14) for level in (40.0, 5.3))
    assert np.allclose(counts["value"], 40)
    assert np.allclose(counts[["low", "high"]], stats.poisson(40).ppf([0.1, 0.9]))
    assert np.allclose(measures[NUMBERS], 5.3, rtol=1e-3)


@every
def test_one_series_alone_is_told(kind: type[PanelForecaster]) -> None:
    check_sound(kind().fit(months().head(30)).predict(26), 1, 26)


@every
def test_gaps_in_the_middle_and_at_the_end_are_told_over(kind: type[PanelForecaster]) -> None:
    lost = months().sample(frac=0.6, random_state=1)
    ended = lost[(lost["territory"] != "T0001") | (lost["period"] < "2019-06")]
    told = kind().fit(ended).predict(6)
    check_sound(told, 12, 6)
    assert told["period"].min() == pd.Period("2020-07", "M")
    level = told.groupby(KEY[:2])["value"].mean() / months().groupby(KEY[:2])["value"].mean()
    assert level.iloc[-1] == pytest.approx(1, abs=0.75)


@every
def test_an_occupation_first_seen_three_months_ago_is_told_at_the_level_seen(kind: type[PanelForecaster]) -> None:
    values = poisson(np.full((20, 36), 30.0))
    values[7, :33] = np.nan
    told = kind().fit(to_frame(values, territories=4)).predict(6).groupby(KEY[:2])["value"].mean()
    assert told[("T0003", "A01")] == pytest.approx(30, rel=0.4)


def test_a_new_territory_is_told_at_what_it_was_seen_with() -> None:
    values = poisson(np.full((20, 36), 30.0))
    values[3::4, :33] = np.nan
    told = NeedForecaster().fit(to_frame(values, territories=4)).predict(6)
    assert told[told["territory"] == "T0003"]["value"].mean() == pytest.approx(30, rel=0.15)


def test_an_occupation_that_fell_to_zero_falls_towards_zero() -> None:
    values = poisson(np.full((20, 36), 30.0))
    values[4:8, 30:] = 0
    told = NeedForecaster().fit(to_frame(values, territories=4)).predict(6).groupby("occupation")["value"].mean()
    assert told["A01"] < 12
    assert told.drop("A01").min() > 25


def test_what_comes_where_nobody_had_seen_anything_was_told_at_zero() -> None:
    model = NeedForecaster().fit(months())
    told = model.predict(1).head(2)
    chance = model.probability(told.assign(occupation="Z99", value=[0.0, 3.0]))
    assert chance.to_numpy().tolist() == [[0.0, 1.0], [1.0, 1.0]]


# --- faults ---


@every
@pytest.mark.parametrize(("horizon", "levels"), [(0, ()), (-3, ()), (1, (1.2,)), (1, (0.0,)), (1, (0.5, float("nan")))])
def test_no_period_and_no_quantile_are_refused_in_words(
    kind: type[PanelForecaster], horizon: int, levels: tuple[float, ...]
) -> None:
    with pytest.raises(InputError, match=r"A forecast tells one period or more; quantiles lie between 0 and 1\."):
        kind().fit(years()).predict(horizon, levels)


@every
def test_every_fault_of_a_frame_is_said_by_every_forecaster(kind: type[PanelForecaster]) -> None:
    with pytest.raises(InputError, match=r"5 rows repeat .*; values must be numbers of zero or more"):
        kind().fit(pd.concat([years(), years().head(5)]).assign(value=-1.0))
