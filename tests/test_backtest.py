"""Laws of backtests: only the past is learned from, what matters is judged, and groups add up to the whole."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from scipy.stats import poisson

from features.build import Features
from features.crosswalks import sector_links
from features.vocabulary import InputError, months_from
from models import metrics
from models.backtest import Backtest, BacktestParams, backtest, rolling_origins
from models.forecast import LastValue, SeasonalNaive
from needs.params import Params
from needs.run.backtests import judge, score

ORIGINS = ["2022-12", "2023-12"]
KEY = ["territory", "occupation", "period"]
TERRITORIES, OCCUPATIONS, MONTHS = 3, 12, 60
MEANS = 0.3 + np.random.default_rng(1).gamma(0.5, 20.0, TERRITORIES * OCCUPATIONS)  # each is seen before any origin


@cache
def panel(seed: int = 2) -> pd.DataFrame:
    """Draw Poisson counts around a known mean of each series. One row per territory, occupation, period."""
    names = pd.MultiIndex.from_product(
        [
            [f"BE{4401 + i}" for i in range(TERRITORIES)],
            [f"A{1101 + i}" for i in range(OCCUPATIONS)],
            months_from("2020-01", MONTHS),
        ]
    )
    frame = names.to_frame(index=False, name=KEY).astype("str")
    value = np.random.default_rng(seed).poisson(np.repeat(MEANS, MONTHS)).astype(float)
    return frame.assign(value=value, family=frame["occupation"].str[:4])


class Told:
    """Tells what a column of a frame says: a forecaster that knows as much as its maker wants."""

    def __init__(self, known: pd.DataFrame) -> None:
        self.known = known

    def fit(self, frame: pd.DataFrame) -> Told:
        self.last, self.seen = frame["period"].max(), frame[["territory", "occupation"]].drop_duplicates()
        return self

    def predict(self, horizon: int, quantiles: Sequence[float] = ()) -> pd.DataFrame:
        ahead = self.known[self.known["period"].isin(months_from(str(self.last), horizon + 1)[1:])]
        told = ahead.merge(self.seen, on=["territory", "occupation"], validate="many_to_one")
        told = told.assign(low=poisson.ppf(0.1, told["value"]), high=poisson.ppf(0.9, told["value"]))
        return told.assign(**{f"q{100 * q:g}": poisson.ppf(q, told["value"]) for q in quantiles})


class Oracle(Told):
    """Knows the mean of each series, and that counts are Poisson."""

    def probability(self, actual: pd.DataFrame) -> pd.DataFrame:
        mean = actual.merge(self.known[[*KEY, "value"]], on=KEY, suffixes=("", "_told"), validate="one_to_one")["value_told"]
        value = actual["value"].to_numpy()
        places = {"below": poisson.cdf(value - 1, mean), "upto": poisson.cdf(value, mean)}
        return pd.DataFrame(places, index=actual.index)


class Perfect(Told):
    """Knows what came."""

    def predict(self, horizon: int, quantiles: Sequence[float] = ()) -> pd.DataFrame:
        told = super().predict(horizon, quantiles)
        return told.assign(low=told["value"], high=told["value"], **{f"q{100 * q:g}": told["value"] for q in quantiles})


def means() -> pd.DataFrame:
    return panel().assign(value=np.repeat(MEANS, MONTHS))


FORECASTERS = {
    "perfect": lambda: Perfect(panel()),
    "double": lambda: Told(panel().assign(value=2 * panel()["value"])),
    "oracle": lambda: Oracle(means()),
    "naive": SeasonalNaive,
    "last": LastValue,
}


@cache
def judged(lead: int = 3, quantiles: tuple[float, ...] = (), only: tuple[str, ...] = tuple(FORECASTERS)) -> Backtest:
    makers = {name: FORECASTERS[name] for name in only}
    return backtest(panel(), makers, ORIGINS, 6, lead=lead, quantiles=quantiles)


def overall(told: Backtest, **asked: object) -> pd.DataFrame:
    return told.scores(**asked).query("origin == 'all'")


# --- what is judged ---


def test_the_months_from_the_tender_to_the_first_session_are_not_judged() -> None:
    told = judged().told
    assert sorted(told["step"].unique()) == [4, 5, 6, 7, 8, 9]
    assert sorted(told.loc[told["origin"] == "2022-12", "period"].unique()) == months_from("2023-04", 6)
    assert len(told) == len(ORIGINS) * len(FORECASTERS) * len(MEANS) * 6


@pytest.mark.parametrize("name", ["naive", "last"])
def test_nothing_after_the_origin_changes_what_is_told(name: str) -> None:
    whole, origin = panel(), ORIGINS[0]
    after = whole["period"] > origin
    late = whole[whole["occupation"] == "A1101"].assign(occupation="B1101")
    spoilt = pd.concat(
        [whole.assign(value=whole["value"].mask(after, 77.0)), late.assign(value=late["value"].where(after, 0.0))]
    )
    told, other = (backtest(frame, {name: FORECASTERS[name]}, [origin], 6, lead=3).told for frame in (whole, spoilt))
    forecasts = other[other["occupation"] != "B1101"].reset_index(drop=True)
    known = [name for name in told if name not in ("value", "below", "upto", "pit", "family")]
    assert_frame_equal(forecasts[known], told[known])


class Reader(LastValue):
    """Keeps what it was given to learn from."""

    given: pd.DataFrame

    def fit(self, frame: pd.DataFrame) -> Reader:
        type(self).given = frame
        super().fit(frame)
        return self


def test_a_series_that_was_zero_is_not_given_and_counts_as_forecast_at_zero() -> None:
    late = panel()[panel()["occupation"] == "A1101"].assign(occupation="B1101", family="B110")
    late = late.assign(value=np.where(late["period"] > ORIGINS[0], 50.0, 0.0))
    told = backtest(pd.concat([panel(), late]), {"reader": Reader, "oracle": FORECASTERS["oracle"]}, ORIGINS[:1], 6)
    assert set(Reader.given["occupation"]) == set(panel()["occupation"])
    assert Reader.given["period"].max() == ORIGINS[0]
    rows = told.told[told.told["occupation"] == "B1101"]
    assert (rows["told"].eq(0) & rows["missed"] & rows["volume_class"].eq("0-1")).all()
    assert (rows.loc[rows["model"] == "oracle", "pit"] == 1.0).all()
    assert overall(told, by="family").set_index(["group", "model"]).loc[("B110", "oracle"), ["wape", "missed"]].tolist() == [
        1,
        18,
    ]


def test_what_was_not_observed_is_not_judged() -> None:
    gap = (panel()["period"] == "2023-05") & (panel()["territory"] == "BE4401")
    holed, absent = panel().assign(value=panel()["value"].mask(gap)), panel()[~gap]
    told, other = (backtest(frame, {"flat": partial(Flat, 5.0)}, ORIGINS[:1], 6, lead=3) for frame in (holed, absent))
    assert_frame_equal(told.told, other.told)
    assert told.scores()["n"].iloc[0] == 6 * len(MEANS) - OCCUPATIONS


def test_the_order_of_rows_changes_nothing() -> None:
    shuffled = panel().sample(frac=1.0, random_state=5)
    told = backtest(shuffled, {"naive": SeasonalNaive, "oracle": FORECASTERS["oracle"]}, ORIGINS[::-1], 6, lead=3)
    alone = judged(only=("naive", "oracle"))
    assert_frame_equal(told.told, alone.told)
    assert_frame_equal(told.scores("volume_class"), alone.scores("volume_class"))


def test_the_company_of_other_forecasters_changes_no_score() -> None:
    crowd, alone = (told.scores().query("model == 'naive'") for told in (judged(), judged(only=("naive",))))
    assert_frame_equal(crowd[list(alone)].reset_index(drop=True), alone)


@pytest.mark.parametrize("spelt", ["months as periods", "years as text", "years as periods"])
def test_periods_are_taken_in_every_spelling(spelt: str) -> None:
    months = panel()["period"]
    years = {"2020-01": "2010"} | {month: str(2010 + i) for i, month in enumerate(months_from("2020-01", MONTHS))}
    text = months if "months" in spelt else months.map(years)
    frame = panel().assign(period=text if "text" in spelt else pd.PeriodIndex(text, freq="M" if "months" in spelt else "Y"))
    told = backtest(frame, {"flat": partial(Flat, 5.0)}, [text[35]], 6, lead=3).told
    assert told["period"].dtype == frame["period"].dtype
    assert told["period"].astype("str").nunique() == 6
    season = 12 if "months" in spelt else 1
    assert told["volume"].iloc[0] == pytest.approx(panel()["value"].iloc[36 - season : 36].mean())
    assert told["mae_scale"].iloc[0] == pytest.approx(np.abs(panel()["value"].iloc[:36].diff(season)).mean())


class Flat:
    """Tells one number of every series and period, and no interval."""

    def __init__(self, number: float) -> None:
        self.number = number

    def fit(self, frame: pd.DataFrame) -> Flat:
        self.keys, self.last = frame[["territory", "occupation"]].drop_duplicates(), frame["period"].max()
        return self

    def predict(self, horizon: int, quantiles: Sequence[float] = ()) -> pd.DataFrame:
        span = pd.period_range(pd.Period(self.last), periods=horizon + 1)[1:]
        ahead = pd.DataFrame({"period": span if isinstance(self.last, pd.Period) else span.astype(str)})
        return self.keys.merge(ahead, how="cross").assign(value=self.number)


def test_no_origin_and_nothing_to_judge_are_told_in_words() -> None:
    with pytest.raises(InputError, match="no origin"):
        backtest(panel(), {"naive": SeasonalNaive}, [], 6)
    with pytest.raises(InputError, match="nothing from 1 to 6 periods after"):
        backtest(panel(), {"naive": SeasonalNaive}, ["2025-12"], 6)


def test_origins_leave_a_year_to_learn_from_and_all_that_is_judged() -> None:
    params = BacktestParams(origins=9)
    assert rolling_origins(panel()["period"], params) == ["2021-06", "2022-06", "2023-06"]
    assert rolling_origins(panel()["period"].iloc[:29], params) == []
    assert rolling_origins(panel()["period"].iloc[:0], params) == []


# --- how it is judged ---


def test_forecasters_of_known_behaviour_score_what_they_must() -> None:
    told = overall(judged()).set_index("model")
    assert told.loc["perfect", ["wape", "bias", "mase", "rmsse", "pinball", "coverage"]].tolist() == [0, 0, 0, 0, 0, 1]
    assert told.loc["double", ["wape", "bias"]].tolist() == [1.0, 1.0]
    assert told.loc["perfect", [f"skill_{name}" for name in FORECASTERS if name != "perfect"]].tolist() == [1.0] * 4
    assert (np.diag(told[[f"skill_{name}" for name in FORECASTERS if name != "perfect"]].iloc[1:]) == 0).all()
    assert (np.diag(told[[f"beaten_{name}" for name in FORECASTERS]]) == 0.5).all()
    assert told.loc["oracle", "skill_naive"] > 0.2
    assert told.loc["oracle", "wape"] < told["wape"].drop(["perfect", "oracle"]).min()


def test_the_pit_of_a_true_distribution_is_even_in_every_volume_class_and_its_coverage_is_not() -> None:
    many = pd.concat([panel(seed).assign(occupation=panel()["occupation"] + f"-{seed}") for seed in range(40)])
    known = pd.concat([means().assign(occupation=panel()["occupation"] + f"-{seed}") for seed in range(40)])
    told = backtest(many, {"oracle": lambda: Oracle(known)}, ["2023-06"], 12)
    classes = overall(told, by="volume_class").set_index("group")
    assert set(classes.index) == {"0-1", "1-5", "5-20", "20-100"}
    assert (classes["pit_coverage"] - 0.8).abs().max() < 0.03
    assert classes.loc["0-1", "coverage"] > 0.85
    assert told.pit(5)["share"].to_numpy() == pytest.approx(np.full(5, 0.2), abs=0.02)


def test_who_has_no_distribution_has_no_pit() -> None:
    told = overall(judged()).set_index("model")
    assert np.isnan(told.loc["double", "pit_coverage"])
    assert told.loc["double", "n_pit"] == 0
    assert 0 < told.loc["double", "coverage"] < 0.6
    assert np.isnan(overall(backtest(panel(), {"flat": partial(Flat, 5.0)}, ORIGINS, 6))["coverage"]).all()


@pytest.mark.parametrize("by", ["territory", "volume_class", "step", "family", "origin", "period"])
def test_groups_add_up_to_the_whole(by: str) -> None:
    whole, parts = overall(judged()).set_index("model"), overall(judged(), by=by)
    errors = (parts["wape"] * parts["volume"]).groupby(parts["model"]).sum()
    assert parts.groupby("model")["n"].sum().to_dict() == whole["n"].to_dict()
    assert errors.reindex(whole.index).to_numpy() == pytest.approx((whole["wape"] * whole["volume"]).to_numpy())


def test_a_group_scores_what_the_metrics_say_of_its_rows() -> None:
    told = judged(quantiles=(0.1, 0.5, 0.9), only=("oracle", "double"))
    scores = told.scores("territory").set_index(["origin", "group", "model"])
    rows = told.told.query("origin == '2023-12' and territory == 'BE4402' and model == 'oracle'")
    value, own = rows["value"], scores.loc[("2023-12", "BE4402", "oracle")]
    assert own["rmsse"] == pytest.approx(metrics.rmsse(value, rows["told"], rows["rmse_scale"]))
    assert own["pinball"] == pytest.approx(metrics.pinball(value, {0.1: rows["q10"], 0.5: rows["q50"], 0.9: rows["q90"]}))
    assert own["pit_coverage"] == pytest.approx(metrics.pit_coverage(rows["pit"], 0.8))
    assert (own["n"], own["cells"]) == (72, 12)


def test_sectors_share_the_rows_of_an_occupation_by_weight() -> None:
    occupations = sorted(panel()["occupation"].unique())
    links = pd.DataFrame(
        {"occupation": occupations[1:] * 2, "sector": ["230"] * 11 + ["312"] * 11, "weight": [0.25] * 11 + [0.75] * 11}
    )
    whole = overall(judged(), by="occupation").set_index(["group", "model"])
    parts = overall(judged(), by="sector", links=links).set_index(["group", "model"])
    linked = (whole["volume"] * whole["wape"]).drop(occupations[0], level="group").groupby("model").sum()
    for sector, weight in (("230", 0.25), ("312", 0.75)):
        own = parts.loc[sector]
        assert (own["volume"] * own["wape"]).to_dict() == pytest.approx((linked * weight).to_dict())
        assert own["wape"].to_dict() == pytest.approx(parts.loc["230", "wape"].to_dict())


def test_a_cell_counts_among_those_beaten_by_its_weight_in_the_sector() -> None:
    shares = {"A1101": 0.9, "A1102": 0.1}
    links = pd.DataFrame({"occupation": list(shares), "sector": "230", "weight": list(shares.values())})
    own = overall(judged(), by="sector", links=links).set_index("model").loc["naive", "beaten_last"]
    alone = overall(judged(), by="occupation").set_index(["group", "model"])["beaten_last"]
    assert own == pytest.approx(sum(share * alone[(occupation, "naive")] for occupation, share in shares.items()))
    assert alone[("A1101", "naive")] != alone[("A1102", "naive")]


def test_a_volume_class_is_that_of_the_last_year_before_the_origin() -> None:
    frame = panel().assign(
        value=np.where(panel()["period"] > "2022-12", 500.0, np.where(panel()["period"] > "2021-12", 5.0, 80.0))
    )
    told = backtest(frame, {"last": LastValue}, ["2022-12"], 6).told
    assert set(told["volume_class"]) == {"5-20"}
    edges = backtest(frame, {"last": LastValue}, ["2022-12"], 6, volume_classes=(2.5, 5.5)).told
    assert set(edges["volume_class"]) == {"2.5-5.5"}


# --- the panel of a home ---


def test_the_forecasts_of_a_home_are_judged_on_every_position_that_came(features: Features, params: Params) -> None:
    told = judge(features.panel, params.forecast.backtest)
    scores = score(told, features)
    whole = scores.query("origin == 'all' and by == ''")
    months = told.told["period"].unique()
    came = features.panel.loc[features.panel["period"].isin(months), "positions"].sum()
    assert whole["volume"].tolist() == pytest.approx([came] * len(whole))
    sectors = scores.query("origin == 'all' and by == 'sector'").groupby("model")["volume"].sum()
    reached = told.told.loc[told.told["occupation"].isin(sector_links(features.crosswalks)["occupation"])]
    assert sectors.to_dict() == pytest.approx(reached.groupby("model")["value"].sum().to_dict())


def test_a_history_too_short_is_told_in_words(features: Features, params: Params) -> None:
    recent = features.panel[features.panel["period"] > "2025-06"]
    with pytest.raises(InputError, match="months of offers are too few to judge months 9 to 18"):
        judge(recent, params.forecast.backtest)
