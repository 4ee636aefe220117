"""Laws of the models: known answers first, then what must hold for any input."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from features.build import GradeParams
from features.signs import SECTOR, SIGNS
from features.vocabulary import months_from
from models.absorption import absorbed, absorption
from models.backtest import backtest
from models.effects import no_effects
from models.envelopes import Envelope, PurchaseParams
from models.forecast import LastValue, SeasonalNaive
from models.gap import TOLD, sector_needs, to_sectors
from models.metrics import interval_coverage, wape
from models.purchase import plan_purchase
from models.ranking import KEY, Known, RankingParams, rank_options
from tests.option_frames import TERMS

LIMITS = GradeParams().limits()
NAIVE = {"seasonal_naive": SeasonalNaive, "last_value": LastValue}
CHAIN = pd.DataFrame({"fill": [0.8], "completion": [0.9]})
SEASON = np.array([5, 5, 6, 8, 9, 12, 14, 20, 12, 8, 5, 4], dtype=float)


def panel(values: np.ndarray, *, territory: str = "BE4441", occupation: str = "A1101") -> pd.DataFrame:
    months = months_from("2021-01", len(values))
    return pd.DataFrame({"territory": territory, "occupation": occupation, "period": months, "value": values})


# --- forecast ---


def test_a_season_that_repeats_is_forecast_exactly() -> None:
    told = SeasonalNaive().fit(panel(np.tile(SEASON, 3))).predict(27)
    assert told["value"].tolist() == np.tile(SEASON, 3)[:27].tolist()
    assert told["period"].tolist() == months_from("2024-01", 27)


def test_the_interval_of_poisson_counts_covers_four_years_in_five() -> None:
    draws = np.random.default_rng(3).poisson(12 * SEASON[None, :] / SEASON.mean(), (400, 4, 12)).reshape(400, 48)
    frame = pd.concat([panel(row.astype(float), occupation=f"A{i:04d}") for i, row in enumerate(draws)])
    told = backtest(frame, NAIVE, ["2023-12"], 12).scores().query("origin == 'all'").set_index("model")
    assert told.loc["seasonal_naive", "pit_coverage"] == pytest.approx(0.8, abs=0.03)
    assert told.loc["seasonal_naive", "wape"] < told.loc["last_value", "wape"]


def test_the_interval_widens_and_never_goes_below_zero() -> None:
    noisy = np.random.default_rng(5).poisson(3, 36).astype(float)
    told = SeasonalNaive().fit(panel(noisy)).predict(24)
    width = (told["high"] - told["low"]).to_numpy()
    assert width[12:].sum() > width[:12].sum()
    assert (told["low"] >= 0).all()


@pytest.mark.long
@given(st.lists(st.integers(0, 50), min_size=26, max_size=40), st.integers(2, 9))
@settings(max_examples=40, deadline=None)
def test_the_forecast_follows_the_scale_of_counts(values: list[int], factor: int) -> None:
    one = SeasonalNaive().fit(panel(np.array(values, dtype=float))).predict(24)
    many = SeasonalNaive().fit(panel(np.array(values, dtype=float) * factor)).predict(24)
    assert np.allclose(many["value"], one["value"] * factor)


def test_a_forecast_is_learned_from_the_past_only() -> None:
    values = np.random.default_rng(7).poisson(6, 48).astype(float)
    whole, past = panel(values), panel(values[:36])
    spoilt = whole.assign(value=whole["value"].where(whole["period"] <= past["period"].max(), 999.0))
    origin = str(past["period"].max())
    assert_frame_equal(
        SeasonalNaive().fit(spoilt[spoilt["period"] <= origin]).predict(12), SeasonalNaive().fit(past).predict(12)
    )


def test_what_nobody_forecast_counts_as_missed() -> None:
    values = np.tile(SEASON, 3)
    late = panel(SEASON * 10, occupation="B1101").assign(period=months_from("2023-01", 12))
    judged = backtest(pd.concat([panel(values), late]), NAIVE, ["2022-12"], 12)
    told = judged.scores().query("origin == 'all'").set_index("model")
    assert told.loc["seasonal_naive", "wape"] == pytest.approx(10 / 11)


def test_months_no_file_covers_are_taken_for_the_mean_of_the_others() -> None:
    told = SeasonalNaive().fit(panel(np.full(6, 5.0))).predict(12)
    assert told["value"].tolist() == [5.0] * 12


def test_metrics_of_known_answers() -> None:
    actual = pd.Series([4.0, 6.0])
    assert wape(actual, actual) == 0
    assert wape(actual, actual * 0) == 1
    assert np.isnan(wape(actual * 0, actual))
    assert interval_coverage(actual, actual, actual) == 1


# --- needs of sectors ---

LINKS = pd.DataFrame(
    {
        "occupation": ["A1101", "A1101", "B1101"],
        "sector": ["210", "230", "230"],
        "level": ["3", "3", ""],
        "weight": [0.25, 0.75, 1.0],
    }
)


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=2))
def test_mass_is_preserved_from_occupations_to_sectors(values: list[float]) -> None:
    rows = pd.DataFrame({"territory": "BE4441", "occupation": ["A1101", "B1101"], "period": "2027-07", "need": values})
    assert to_sectors(rows, LINKS, ["need"])["need"].sum() == pytest.approx(sum(values), rel=1e-9, abs=1e-9)


def test_the_gap_is_need_less_supply_less_what_is_under_way() -> None:
    forecasts = pd.DataFrame(
        {"territory": "BE4441", "occupation": ["A1101", "B1101"], "period": "2027-07", "need": [8.0, 2.0], "n": 50.0}
    )
    forecasts = forecasts.assign(need_low=forecasts["need"] - 3, need_high=forecasts["need"] + 4)
    supply = pd.DataFrame({"territory": ["BE4441"], "occupation": ["A1101"], "supply": [4.0]})
    way = pd.DataFrame({"territory": "BE4441", "sector": ["230"], "level": ["3"], "period": ["2027-07"], "under_way": [1.5]})
    told = sector_needs(forecasts, LINKS, supply, way, LIMITS).set_index(["sector", "level"])
    assert told.loc[("210", "3"), "value"] == pytest.approx(8 * 0.25 - 4 * 0.25)
    assert told.loc[("230", "3"), "value"] == pytest.approx(8 * 0.75 - 4 * 0.75 - 1.5)
    assert told.loc[("230", ""), "value"] == pytest.approx(2.0)
    assert told.loc[("230", ""), ["low", "high"]].tolist() == [-1.0, 6.0]


# --- ranking and plan ---

NOWHERE = pd.DataFrame({name: pd.Series(dtype="str") for name in KEY})
NO_SIGNS = pd.DataFrame({name: pd.Series(dtype="str") for name in SECTOR}).assign(**dict.fromkeys(SIGNS, 0.0))


def _options(count: int = 3, busiest: float = 1000.0) -> pd.DataFrame:
    sectors = ["230", "312", "344"][:count]
    return pd.DataFrame(
        {
            "sector": sectors,
            "action_type": "certification",
            "level": "3",
            "formacode": [f"{sector}01" for sector in sectors],
            "certification": "1",
            "entry_level": "",
            "group": 10,
            "group_min": 8,
            "group_max": 12,
            "place_eur": [3000.0, 2500.5, 3500.0][:count],
            "hours": 400.0,
            "risk": 0.1,
            "busiest": busiest,
            **{name: TERMS[name] for name in TERMS if name not in ("never_bought", "emerging")},
        }
    )


@cache
def _ranked(gap: tuple[float, ...] = (60.0, 40.0, 30.0), busiest: float = 1000.0) -> pd.DataFrame:
    gaps = pd.DataFrame({"territory": "BE4441", "sector": ["230", "312", "344"], "level": "3", "gap": list(gap)})
    gaps = gaps.assign(
        gap_low=gaps["gap"] - 10, gap_high=gaps["gap"] + 10, need=100.0, need_n=100.0, **dict.fromkeys(TOLD, np.nan)
    )
    rates = pd.DataFrame(
        {
            "territory": "BE4441", "sector": ["230", "312", "344"], "action_type": "certification", "level": "3",
            "public": "tout_public", "outcome": "durable", "horizon_months": 12,
            "value": [0.5, 0.4, 0.6], "low": 0.3, "high": 0.7, "n": 60.0, "borrowed": 0.3,
        }
    )  # fmt: skip
    people = pd.DataFrame({"territory": ["BE4441"], "people": [500]})
    known = Known(_options(busiest=busiest), people, rates, no_effects(), CHAIN, NOWHERE, NO_SIGNS)
    return rank_options(gaps, known, RankingParams(), LIMITS)


def _plan(amount: float, gap: Iterable[float] = (60.0, 40.0, 30.0)) -> tuple[pd.DataFrame, pd.DataFrame]:
    params = PurchaseParams(envelopes=(Envelope(name="base", amount_eur=amount),))
    plan = plan_purchase(_ranked(tuple(gap)), CHAIN, 2027, params, LIMITS)
    return plan.lots, plan.rejected


def test_worth_is_fill_times_rate_times_what_is_still_open_where_somebody_bids() -> None:
    told = _ranked().set_index("sector")
    assert told.loc["230", "value"] == pytest.approx(0.9 * 0.8 * 0.5)
    assert told.loc["230", "cost_per_job_eur"] == pytest.approx(3000 / (0.9 * 0.8 * 0.5))
    doubtful = _ranked((60.0, 0.0, 30.0)).set_index("sector")
    assert doubtful.loc["312", "value"] == pytest.approx(0.9 * 0.8 * 0.4 * 0.5)
    assert told.sort_values("cost_per_job_eur")["rank"].tolist() == [1, 2, 3]
    reasons = json.loads(told.loc["344", "reasons"])
    assert reasons[0][0] == "need_covered"


def test_no_gap_is_worth_nothing_and_ranks_last() -> None:
    told = _ranked((60.0, -500.0, 30.0)).set_index("sector")
    assert told.loc["312", "value"] == 0
    assert np.isnan(told.loc["312", "cost_per_job_eur"])
    assert told.loc["312", "rank"] == 3


@given(st.floats(-1e3, 1e3), st.floats(0, 1e3), st.floats(0, 1e3), st.floats(0, 100))
def test_training_more_never_leaves_more_open(gap: float, spread: float, trained: float, more: float) -> None:
    known = np.array([gap]), np.array([spread])
    one, other = (absorption(*known, count)[0] for count in (trained, trained + more))
    assert 0 <= other <= one <= 1
    some, all_of_them = (absorbed(*known, np.array([count]))[0] for count in (trained, trained + more))
    assert some - 1e-6 <= all_of_them <= some + more * one + 1e-6
    assert all_of_them <= trained + more + 1e-6


@pytest.mark.long
@given(st.floats(0, 3e6), st.lists(st.floats(-50, 300), min_size=3, max_size=3))
@settings(max_examples=60, deadline=None)
def test_a_plan_buys_whole_sessions_within_its_envelope(amount: float, gap: list[float]) -> None:
    lots, rejected = _plan(amount, gap)
    assert lots["cost_cents"].sum() <= round(amount * 100)
    assert (lots["places"] == lots["sessions"] * 10).all()
    assert lots["cost_cents"].dtype == "int64"
    assert len(lots) + len(rejected) == 3
    assert not set(lots["lot_id"]) & set(rejected["lot_id"])
    prices = lots["sector"].map({"230": 300000, "312": 250050, "344": 350000})
    assert (lots["cost_cents"] == prices * lots["places"]).all()


@pytest.mark.long
@given(st.floats(0, 1e6), st.floats(0, 1e6))
@settings(max_examples=40, deadline=None)
def test_a_session_more_is_worth_no_more_than_the_one_before(amount: float, more: float) -> None:
    small, large = _plan(amount)[0], _plan(amount + more)[0]
    both = small.merge(large, on="lot_id", suffixes=("", "_large"))
    grown = both[both["sessions_large"] > both["sessions"]]
    assert (grown["marginal_worth_large"] <= grown["marginal_worth"] + 1e-12).all()


def test_money_enough_is_not_spent_on_what_is_worth_nothing() -> None:
    lots, rejected = _plan(1e9, [60.0, -500.0, 30.0])
    assert lots["cost_cents"].sum() < 1e9
    assert rejected.set_index("sector")["reason"].to_dict() == {"312": "no_gap_left"}


@pytest.mark.long
@given(st.floats(1, 4), st.floats(1, 4))
@settings(max_examples=20, deadline=None)
def test_no_kind_of_training_is_bought_beyond_what_providers_can_run(busiest: float, growth: float) -> None:
    params = PurchaseParams(envelopes=(Envelope(name="base", amount_eur=1e7),), provider_growth=growth)
    lots = plan_purchase(_ranked(busiest=np.floor(busiest)), CHAIN, 2027, params, LIMITS).lots
    assert (lots.groupby("sector")["sessions"].sum() <= np.ceil(np.floor(busiest) * growth)).all()


def test_what_money_alone_kept_out_is_bought_at_its_tipping_price() -> None:
    lots, rejected = _plan(3000 * 10)
    assert len(lots) == 1
    told = rejected.set_index("sector")
    assert (told["reason"] == "envelope_spent").all()
    tips = told[told["tipping_point"].notna()]
    assert len(tips)
    assert (tips["tipping_point"] < tips["cost_cents"] / tips["places"] / 100).all()


def test_a_lot_keeps_its_name_from_one_run_to_the_next() -> None:
    assert set(_plan(60_000)[0]["lot_id"]) <= set(_plan(400_000)[0]["lot_id"])
