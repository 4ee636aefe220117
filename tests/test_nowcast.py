"""Laws of periods told to those that lack them: what is missing and nothing else, from what the others did, and no later."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from features.vocabulary import months_from
from models.forecast import NeedForecaster
from models.nowcast import Told, complete, nowcast
from models.panel import to_panel

KEY = ["territory", "occupation", "period"]
COLUMNS = [*KEY, "value", "low", "high"]
REGIONS, PLACES, OCCUPATIONS = 8, 5, 30
LATE = {"r6", "r7"}
Numbers = np.ndarray


def frame(years: Numbers, first: int = 2022, **groups: Numbers) -> pd.DataFrame:
    """Write territories × occupations × years. One row per territory, occupation, period."""
    places, trades, count = years.shape
    names = pd.MultiIndex.from_product(
        [
            [f"t{place:03d}" for place in range(places)],
            [f"{'ABCDEF'[trade % 6]}{trade:02d}" for trade in range(trades)],
            [str(first + year) for year in range(count)],
        ]
    )
    long = names.to_frame(index=False, name=KEY).astype("str").assign(value=years.ravel())
    region = "r" + (long["territory"].str[1:].astype("int64") % REGIONS).astype("str")
    return long.assign(region=region, **{name: numbers.ravel() for name, numbers in groups.items()})


@cache
def levels(seed: int = 4) -> Numbers:
    """Draw a level of each territory × occupation."""
    random = np.random.default_rng(seed)
    place, trade = random.gamma(2, 1, (REGIONS * PLACES, 1)), random.gamma(1, 40, (1, OCCUPATIONS))
    return 5 + place * trade * random.gamma(4, 0.25, (REGIONS * PLACES, OCCUPATIONS))


@cache
def world(noise: float = 0.2) -> pd.DataFrame:
    """Draw two years: each occupation changed by its own factor, each series by chance."""
    random = np.random.default_rng(6)
    change = np.exp(random.normal(0.1, 0.4, (1, OCCUPATIONS)))
    after = levels() * change * np.exp(random.normal(0, noise, levels().shape))
    return frame(np.stack([levels(), after], axis=2))


def late(whole: pd.DataFrame, period: str = "2023", who: set[str] = LATE) -> pd.DataFrame:
    """Take a period away from some regions."""
    return whole[~(whole["region"].isin(who) & (whole["period"] == period))]


def told(known: pd.DataFrame) -> pd.DataFrame:
    return complete(to_panel(known))


@cache
def plain() -> pd.DataFrame:
    """What is told of the world to those who are late; nobody changes it."""
    return told(late(world()))


def parts(known: pd.DataFrame) -> list[Told]:
    return list(nowcast(to_panel(known)))


def beside(found: pd.DataFrame, whole: pd.DataFrame) -> pd.DataFrame:
    """Put what came, and what was before, beside what was told."""
    came = whole[[*KEY, "value"]].rename(columns={"value": "came"})
    before = came.assign(period=(came["period"].astype("int64") + 1).astype("str")).rename(columns={"came": "before"})
    both = found.merge(came, on=KEY, validate="one_to_one")
    return both.merge(before, on=KEY, how="left", validate="one_to_one")


def error(both: pd.DataFrame, name: str = "value") -> float:
    return float((both[name] - both["came"]).abs().sum())


def test_exactly_what_the_late_lack_is_told_in_the_form_and_order_of_the_frame() -> None:
    whole = world()
    found = plain()
    wanted = whole[whole["region"].isin(LATE) & (whole["period"] == "2023")]
    assert found.columns.tolist() == COLUMNS
    assert_frame_equal(found[KEY], wanted[KEY].sort_values(KEY, ignore_index=True))
    assert ((found["low"] <= found["value"]) & (found["value"] <= found["high"]) & (found["low"] >= 0)).all()
    periods = late(whole).assign(period=lambda t: pd.PeriodIndex(t["period"], freq="Y"))
    alike = told(periods)
    assert alike["period"].dtype == periods["period"].dtype
    assert_frame_equal(alike.assign(period=alike["period"].astype("str")), found)


def test_the_forecaster_tells_it_too() -> None:
    assert_frame_equal(NeedForecaster().fit(late(world())).complete(), plain())


def test_nothing_is_told_where_nothing_is_missing() -> None:
    empty = told(world())
    assert (len(empty), empty.columns.tolist()) == (0, COLUMNS)
    assert empty["value"].dtype == "float64"


def test_what_a_territory_leaves_out_of_a_period_it_has_is_not_told() -> None:
    whole = late(world())
    left_out = (whole["territory"] == "t000") & (whole["occupation"] == "A00") & (whole["period"] == "2023")
    assert len(told(whole[~left_out])) == len(plain())


def test_a_period_that_nobody_has_is_not_told() -> None:
    whole = late(world())
    ahead = whole[whole["period"] == "2022"].assign(period="2024", value=np.nan, help=1.0)
    found = told(pd.concat([whole.assign(help=1.0), ahead], ignore_index=True))
    assert set(found["period"]) == {"2023"}


def test_the_order_of_rows_changes_nothing() -> None:
    known = late(world())
    assert_frame_equal(told(known.sample(frac=1, random_state=3)), plain())


def test_the_unit_changes_nothing() -> None:
    known, times = late(world()), 1000.0
    found = told(known.assign(value=known["value"] * times))
    for name in ("value", "low", "high"):
        assert found[name].to_numpy() == pytest.approx(times * plain()[name].to_numpy(), rel=1e-6)


def test_what_came_later_changes_nothing_that_is_told_of_a_period() -> None:
    later = world().query("period == '2023'").assign(period="2024", value=lambda t: t["value"] * 3 + 1)
    known = late(world())
    more = pd.concat([known, later[~later["region"].isin(LATE)]], ignore_index=True)
    found = told(more)
    assert set(found["period"]) == {"2023", "2024"}
    assert_frame_equal(found[found["period"] == "2023"].reset_index(drop=True), plain())


def test_what_the_late_will_say_is_never_looked_at() -> None:
    whole = world()
    other = whole.assign(value=whole["value"].where(~whole["region"].isin(LATE) | (whole["period"] == "2022"), 7.0))
    assert_frame_equal(told(late(other)), plain())


def test_the_change_of_each_occupation_elsewhere_is_recovered() -> None:
    whole = world(noise=0.02)
    both = beside(told(late(whole)), whole)
    assert error(both) < 0.03 * both["came"].sum() < 0.1 * error(both, "before")


def test_a_common_growth_is_recovered_and_exact() -> None:
    whole = frame(np.stack([levels(), levels() * 1.5], axis=2))
    both = beside(told(late(whole)), whole)
    assert both["value"].to_numpy() == pytest.approx(both["came"].to_numpy(), rel=1e-3)


def test_where_nothing_changed_the_last_value_is_told() -> None:
    whole = frame(np.stack([levels(), levels()], axis=2))
    both = beside(told(late(whole)), whole)
    assert both["value"].to_numpy() == pytest.approx(both["before"].to_numpy(), rel=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_where_chance_alone_moves_series_the_last_value_is_kept_within_a_little(seed: int) -> None:
    after = levels() * np.exp(np.random.default_rng(seed).normal(0, 0.4, levels().shape))
    whole = frame(np.stack([levels(), after], axis=2))
    both = beside(told(late(whole)), whole)
    assert error(both) < 1.02 * error(both, "before")


def test_series_that_return_to_what_their_margins_expect_are_told_better() -> None:
    random = np.random.default_rng(8)
    usual = random.gamma(2, 1, (REGIONS * PLACES, 1)) * random.gamma(1, 40, (1, OCCUPATIONS)) + 5
    whole = frame(np.stack([usual * np.exp(random.normal(0, 0.5, usual.shape)) for _ in range(2)], axis=2))
    both = beside(told(late(whole)), whole)
    assert error(both) < 0.8 * error(both, "before")


def test_the_interval_holds_four_in_five_in_each_class_of_volume() -> None:
    whole = world(noise=0.5)
    both = beside(told(late(whole)), whole)
    held = (both["low"] <= both["came"]) & (both["came"] <= both["high"])
    assert held.mean() == pytest.approx(0.8, abs=0.05)
    assert held.groupby(pd.qcut(both["before"], 3)).mean().between(0.7, 0.9).all()


def test_an_occupation_nobody_else_has_takes_the_change_of_its_groups() -> None:
    whole = frame(np.stack([levels(), levels() * np.where(np.arange(OCCUPATIONS) % 6 == 0, 2.0, 0.7)], axis=2))
    known = late(whole)
    unseen = known[(known["occupation"] != "A00") | (known["period"] == "2022")]
    both = beside(told(unseen), whole).query("occupation == 'A00'")
    assert len(both) == 2 * PLACES
    assert both["value"].to_numpy() == pytest.approx(both["came"].to_numpy(), rel=0.15)


def test_a_single_territory_with_the_period_cannot_be_judged_and_moves_nothing() -> None:
    whole = world()
    known = whole[(whole["territory"] == "t000") | (whole["period"] == "2022")]
    both = beside(told(known), whole)
    assert (both["value"] == both["before"]).all()
    assert (both["low"] < both["value"]).all()
    assert (both["value"] < both["high"]).all()
    assert [part.weights.tolist() for part in parts(known)] == [[1.0]]


def test_a_regressor_of_the_period_counts_where_the_late_have_it_and_only_there() -> None:
    random = np.random.default_rng(9)
    pull = np.exp(random.normal(0, 0.5, levels().shape))
    hints = np.stack([np.ones_like(pull), pull], axis=2)
    whole = frame(np.stack([levels(), levels() * pull], axis=2), hint=hints)
    asked = whole["region"].isin(LATE) & (whole["period"] == "2023")
    helped = beside(told(whole.assign(value=whole["value"].mask(asked))), whole)
    assert error(helped) < 0.5 * error(helped, "before")
    alone = told(whole[~asked])
    assert_frame_equal(alone, told(whole[~asked].assign(hint=whole["hint"].where(whole["period"] == "2022"))))


def test_each_late_territory_is_told_all_it_lacks() -> None:
    whole = pd.concat([world(), world().query("period == '2023'").assign(period="2024")], ignore_index=True)
    known = late(late(whole, "2024"), "2023", {"r7"})
    found = told(known)
    region = "r" + (found["territory"].str[1:].astype("int64") % REGIONS).astype("str")
    counts = found.groupby([region, "period"]).size().to_dict()
    assert counts == dict.fromkeys([("r6", "2024"), ("r7", "2023"), ("r7", "2024")], PLACES * OCCUPATIONS)


def test_a_late_month_is_told_with_its_season() -> None:
    random = np.random.default_rng(2)
    season = 1 + 0.8 * np.sin(np.arange(30) * np.pi / 6 + 2)
    counts = random.poisson(levels()[:, :6, None] * season).astype(float)
    names = [[f"t{place:03d}" for place in range(REGIONS * PLACES)], list("ABCDEF"), months_from("2023-01", 30)]
    long = pd.MultiIndex.from_product(names).to_frame(index=False, name=KEY).astype("str").assign(value=counts.ravel())
    asked = long["territory"].isin(["t003", "t017"]) & (long["period"] >= "2025-05")
    found = told(long[~asked]).merge(long.rename(columns={"value": "came"}), on=KEY, validate="one_to_one")
    last = long[long["period"] == "2025-04"].rename(columns={"value": "last"})[["territory", "occupation", "last"]]
    both = found.merge(last, on=["territory", "occupation"], validate="many_to_one")
    assert len(both) == 2 * 6 * 2
    assert error(both) < 0.5 * error(both, "last")


def test_zeros_stay_possible_and_harmless() -> None:
    years = np.stack([levels(), levels()], axis=2)
    years[:, 3] = 0.0
    found = told(late(frame(years)))
    assert np.isfinite(found[["value", "low", "high"]]).all().all()
    assert (found.loc[found["occupation"] == "D03", "value"] == 0).all()
    nothing = told(late(frame(np.zeros((REGIONS * PLACES, 6, 2)))))
    assert (nothing["value"] == 0).all()
