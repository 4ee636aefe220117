"""Laws of the panel: what is read is given back, groups are found or refused, and every fault is said in words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from long_frames import KEY, to_frame
from pandas.testing import assert_frame_equal

from features.vocabulary import InputError
from models.panel import Panel, to_panel

COUNTS = np.random.default_rng(1).poisson(6, (12, 30))
FRAME = to_frame(COUNTS, territories=3)


def shuffled(frame: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    return frame.sample(frac=1, random_state=seed)


def groups(panel: Panel) -> tuple[list[int], list[int]]:
    """How many groups each step of the two ladders has."""
    return ([int(codes.max()) + 1 for codes in panel.territories], [int(codes.max()) + 1 for codes in panel.occupations])


# --- there and back ---


@given(st.integers(0, 10_000), st.floats(0.05, 1.0))
@settings(max_examples=12, deadline=None)
def test_what_was_observed_is_given_back_and_gaps_stay_gaps(seed: int, share: float) -> None:
    kept = FRAME.sample(frac=share, random_state=seed)
    panel = to_panel(kept)
    back = panel.to_long({"value": panel.values}, panel.periods)
    told = back[back["value"].notna()].reset_index(drop=True)
    assert_frame_equal(told, kept.sort_values(KEY, ignore_index=True)[[*KEY, "value"]])
    assert len(back) == len(panel.series) * len(panel.periods)


def test_the_order_of_rows_and_the_index_change_nothing() -> None:
    one, other = to_panel(FRAME), to_panel(shuffled(FRAME).set_axis([7] * len(FRAME)))
    assert_frame_equal(one.series, other.series)
    assert one.values.tobytes() == other.values.tobytes()
    for mine, yours in zip((*one.territories, *one.occupations), (*other.territories, *other.occupations), strict=True):
        assert mine.tolist() == yours.tolist()


def test_reading_a_frame_leaves_it_alone() -> None:
    given_frame = FRAME.assign(signal=1.0, family="x")
    before = given_frame.copy(deep=True)
    to_panel(given_frame)
    assert_frame_equal(given_frame, before)


def test_an_absent_row_and_a_missing_value_are_the_same_gap_and_a_zero_is_none() -> None:
    hole = (FRAME["period"] == "2018-05") & (FRAME["territory"] == FRAME["territory"].iloc[0])
    absent = to_panel(FRAME[~hole])
    assert absent.values.tobytes() == to_panel(FRAME.assign(value=FRAME["value"].mask(hole))).values.tobytes()
    assert np.isnan(absent.values).sum() == hole.sum()
    assert not np.isnan(to_panel(FRAME.assign(value=FRAME["value"].mask(hole, 0.0))).values).any()


def test_a_series_never_observed_is_left_out_whatever_is_known_beside_it() -> None:
    nobody = FRAME["occupation"] == "A03"
    panel = to_panel(FRAME.assign(value=FRAME["value"].mask(nobody), signal=1.0))
    assert "A03" not in set(panel.series["occupation"])
    assert len(panel.series) == len(COUNTS) - 3


def test_a_last_month_without_a_value_counts_as_passed_only_where_something_else_is_known_of_it() -> None:
    unseen = FRAME.assign(value=FRAME["value"].mask(FRAME["period"] == FRAME["period"].max()))
    assert to_panel(unseen).values.shape[1] == COUNTS.shape[1] - 1
    known = to_panel(unseen.assign(signal=2.0))
    assert known.values.shape[1] == COUNTS.shape[1]
    assert np.isnan(known.values[:, -1]).all()
    assert (known.regressors["signal"][:, -1] == 2.0).all()


def test_what_came_later_is_forgotten_with_its_regressors() -> None:
    panel = to_panel(FRAME.assign(signal=np.arange(len(FRAME), dtype=float)))
    cut = panel.until(10)
    spoilt = panel.until(30)
    spoilt.values[:, 10:] = spoilt.regressors["signal"][:, 10:] = 1e9
    assert cut.values.tolist() == COUNTS[:, :10].reshape(4, 3, 10).swapaxes(0, 1).reshape(12, 10).tolist()
    assert cut.regressors["signal"].shape == (12, 10)
    assert list(cut.ahead(2)) == [pd.Period("2018-11", "M"), pd.Period("2018-12", "M")]


# --- periods ---


@pytest.mark.parametrize(
    ("freq", "start", "season", "following"),
    [
        ("M", "2018-01", 12, "2020-07"),
        ("Q", "2018Q1", 4, "2025Q3"),
        ("Y", "1990", 1, "2020"),
        ("Y-JUN", "1990", 1, "2020"),
    ],
)
def test_pandas_periods_of_any_frequency_say_their_season_and_go_on(freq: str, start: str, season: int, following: str) -> None:
    panel = to_panel(to_frame(COUNTS, start=start, freq=freq))
    assert panel.season == season
    assert str(panel.ahead(1)[0]) == following
    assert panel.to_long({}, panel.ahead(2))["period"].dtype == pd.PeriodDtype(freq)


@pytest.mark.parametrize(("freq", "start"), [("M", "2018-01"), ("Y", "1990")])
def test_text_periods_are_read_like_pandas_periods_and_given_back_as_text(freq: str, start: str) -> None:
    frame = to_frame(COUNTS, start=start, freq=freq)
    panel, written = to_panel(frame), to_panel(frame.assign(period=frame["period"].astype("str")))
    assert panel.values.tobytes() == written.values.tobytes()
    given_back = written.to_long({}, written.ahead(3))["period"]
    assert given_back.dtype == "str"
    assert given_back.tolist() == [str(period) for period in panel.to_long({}, panel.ahead(3))["period"]]


def test_years_given_as_numbers_are_years() -> None:
    frame = to_frame(COUNTS, start="1990", freq="Y")
    assert to_panel(frame.assign(period=frame["period"].dt.year)).season == 1


@pytest.mark.parametrize("text", ["2018-13", "2018-Q1", "01-2018", "2018/01", "2018-1x", "abcd", "2018-01-31", "18", "2018Q1"])
def test_a_text_that_is_no_month_and_no_year_is_refused_in_words(text: str) -> None:
    with pytest.raises(InputError, match="YYYY-MM or YYYY"):
        to_panel(FRAME.head(1).assign(period=text))


def test_months_beside_years_are_refused_in_words() -> None:
    with pytest.raises(InputError, match="all of them alike"):
        to_panel(FRAME.head(2).assign(period=["2018-01", "2019"]))


# --- the grain of values ---


@pytest.mark.parametrize(
    ("values", "grain"),
    [(COUNTS, 1.0), (COUNTS / 12, 1 / 12), (COUNTS * 1e6, 1.0), (COUNTS * np.pi, 0.0), (COUNTS * 0, 1.0)],
)
def test_counts_are_told_from_means_of_counts_and_from_measures(values: np.ndarray, grain: float) -> None:
    gap = to_frame(values).sample(frac=0.9, random_state=0)
    assert to_panel(gap).grain == grain


# --- who belongs together ---


@pytest.mark.parametrize(
    "codes",
    [
        ["71402", "71403", "71404", "81301", "81302", "81303"],
        ["DE-a", "DE-b", "DE-c", "FR-a", "FR-b", "FR-c"],
        ["éa1", "éa2", "éa3", "ça1", "ça2", "ça3"],
        [71402, 71403, 71404, 81301, 81302, 81303],
    ],
    ids=["digits", "hyphens", "accents", "numbers"],
)
def test_codes_of_any_country_are_grouped_by_how_they_begin_and_given_back_as_they_came(codes: list[object]) -> None:
    frame = to_frame(COUNTS[:6])
    frame["occupation"] = np.repeat(np.array(codes), COUNTS.shape[1])
    panel = to_panel(frame)
    assert sorted(panel.series["occupation"]) == sorted(codes)
    assert groups(panel)[1] == [6, 2]


def test_a_column_constant_within_occupations_groups_them_and_one_constant_within_territories_those() -> None:
    family = FRAME["occupation"].map({"A0000": "x", "A0001": "x", "A0002": "y", "A03": "y"})
    region = FRAME["territory"].map(lambda code: "r" if code == "T0000" else "s")
    panel = to_panel(FRAME.assign(family=family, region=region, everyone="all"))
    assert groups(panel) == ([3, 2], [4, 2, 1])
    joined = panel.series.assign(territory=panel.territories[1], occupation=panel.occupations[1])
    assert joined.groupby("territory").ngroups * joined.groupby("occupation").ngroups == 4
    assert len(joined.drop_duplicates()) == 4


def test_without_groups_codes_that_begin_alike_belong_together() -> None:
    many = to_panel(to_frame(np.repeat(COUNTS, 10, axis=0), territories=12))
    assert groups(many) == ([12, 3], [10, 2])
    assert groups(to_panel(to_frame(COUNTS[:1]))) == ([1], [1])


def test_a_text_that_changes_within_both_is_refused_by_its_name() -> None:
    with pytest.raises(InputError, match="Column mood groups neither occupations nor territories"):
        to_panel(FRAME.assign(mood=np.arange(len(FRAME)).astype(str)))


def test_numbers_beside_the_value_are_regressors_whatever_their_name() -> None:
    panel = to_panel(FRAME.assign(row=1.0, seekers=2, flag=True))
    assert set(panel.regressors) == {"row", "seekers", "flag"}
    assert (panel.regressors["row"] == 1.0).all()
    assert panel.values.tobytes() == to_panel(FRAME).values.tobytes()


# --- faults ---


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (FRAME.drop(columns="value"), "column value is missing"),
        (FRAME.drop(columns=["territory", "period"]), "column territory is missing; column period is missing"),
        (pd.concat([FRAME, FRAME.head(3)]), "3 rows repeat a territory, occupation and period"),
        (FRAME.assign(value=FRAME["value"] - 100), "values must be numbers of zero or more"),
        (FRAME.assign(value=np.inf), "values must be numbers of zero or more"),
        (FRAME.assign(value="many"), "values must be numbers of zero or more"),
        (FRAME.assign(territory=None), "a territory, an occupation or a period is empty"),
        (FRAME.assign(period=pd.PeriodIndex([pd.NaT] * len(FRAME), freq="M")), "a period is empty"),
    ],
    ids=["no value", "two columns", "repeated", "negative", "infinite", "text", "no territory", "no period"],
)
def test_a_frame_no_forecast_can_be_made_from_is_refused_in_words(wrong: pd.DataFrame, words: str) -> None:
    with pytest.raises(InputError, match=words):
        to_panel(wrong)


def test_every_fault_is_said_at_once() -> None:
    twice = pd.concat([FRAME, FRAME.head(1)]).assign(value=-1.0)
    with pytest.raises(InputError, match=r"1 rows repeat .*; values must be numbers"):
        to_panel(twice)
