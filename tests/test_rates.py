"""Laws of the rates of young leavers: what is counted twice comes back, what is hidden is no zero, nobody sees ahead."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from pydantic import ValidationError

from features.contracts import ESTIMATE
from features.sources import SOURCES
from features.tables import CONTRACT
from models.rates import SERIES, RateParams, Years, forecast_rates, last_rates

EXPORT = Path(__file__).resolve().parents[2] / "shared" / "data" / "insertion" / "inserjeunes_region_formation_2019_2022.csv"
PARAMS = RateParams()
STILL = RateParams(drift=0.0)
FIRST, SECOND, THIRD = (2019, 2020), (2020, 2021), (2021, 2022)
MONTHS = 12
USUAL = {"region": "R44", "track": "scolaire", "nomenclature": "CFD", "diploma": "40022139", "last_year": 2020, "leavers": 50}


def rows(said: list[dict[str, object]]) -> pd.DataFrame:
    """Write what an export tells, pairs of school years unless it says otherwise. One row per row."""
    whole = []
    for each in said:
        row = {**USUAL, **each}
        secret = row["leavers"] is None or row["leavers"] < 20
        out = pd.Timestamp(int(row["last_year"]) + 2, 2, 28)
        row = {"first_year": int(row["last_year"]) - 1, "students": 100, "leavers_secret": row["leavers"] is None, **row}
        shown = None if secret or row.get("employed_12m") is None else round(100 * row["employed_12m"] / row["leavers"])
        whole.append({"rates_secret": secret, "rate_12m": shown, "known_from": out, **row})
    contract = CONTRACT["insertion"]
    return pd.DataFrame({c.name: pd.Series([r.get(c.name) for r in whole], dtype=c.dtype) for c in contract.columns})


def ask(table: pd.DataFrame) -> pd.DataFrame:
    return table[SERIES].drop_duplicates().reset_index(drop=True)


def tell(
    table: pd.DataFrame, asked: pd.DataFrame | None = None, params: RateParams = PARAMS, years: Years = THIRD
) -> pd.DataFrame:
    return forecast_rates(table, ask(table) if asked is None else asked, params, school_years=years, months=MONTHS)


@cache
def world(seed: int = 7) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw school years one by one, of known rates, and add them up to pairs: the rows of the past, and the row to come.

    Rates are those of the diploma and the région, strays of the series, and a level of all that walks from year to year. The
    row to come has one row per series: ``k``, ``n``, and the true ``rate``.
    """
    rng = np.random.default_rng(seed)
    diplomas = [f"{level}00{domain}{order:02d}" for level in (3, 4, 5) for domain in (221, 250, 312, 336) for order in range(5)]
    series = pd.MultiIndex.from_product([[f"R{r:02d}" for r in range(1, 14)], diplomas], names=["region", "diploma"]).to_frame(
        index=False
    )
    own = 0.5 + sum(
        pd.Series(rng.normal(0, 0.09, series[name].nunique()), index=series[name].unique()).reindex(series[name]).to_numpy()
        for name in ("region", "diploma")
    )
    true = np.clip(own + rng.normal(0, 0.03, len(series)), 0.05, 0.95)
    walked = np.cumsum(rng.normal(0.0, PARAMS.drift, 4)) + rng.normal(0.0, PARAMS.drift * PARAMS.noise_years**0.5, 4)
    people = np.maximum(rng.lognormal(3.4, 0.8, len(series)), 3)
    n = rng.poisson(people, (4, len(series))) + 1
    k = rng.binomial(n, np.clip(true + walked[:, None], 0.02, 0.98))
    pairs = [
        series.assign(last_year=2020 + at, leavers=n[at] + n[at + 1], employed_12m=k[at] + k[at + 1]).to_dict("records")
        for at in range(3)
    ]
    whole = n[2] + n[3]
    level = (n[2] * walked[2] + n[3] * walked[3]) / whole
    truth = rows(pairs[2])[SERIES].assign(k=k[2] + k[3], n=whole, rate=np.clip(true + level, 0.02, 0.98))
    return rows([*pairs[0], *pairs[1]]), truth


def test_rows_in_another_order_say_the_same() -> None:
    past, coming = world()
    shuffled = past.sample(frac=1, random_state=3)
    asked = coming[SERIES].sample(frac=1, random_state=4)
    assert_frame_equal(tell(shuffled, asked).sort_index(), tell(past, coming[SERIES]), check_exact=True)


def test_what_comes_later_is_not_looked_at() -> None:
    past, coming = world()
    later = past.assign(first_year=2021, last_year=2022, employed_12m=0, rate_12m=0.0)
    alone = later.assign(first_year=2022)
    assert_frame_equal(tell(pd.concat([past, later, alone]), coming[SERIES]), tell(past, coming[SERIES]))
    assert not tell(pd.concat([past, later]), coming[SERIES], years=(2022, 2023))["value"].equals(tell(past)["value"])


def test_a_series_is_told_the_same_alone_or_beside_others() -> None:
    past, coming = world()
    one = coming[SERIES].iloc[[17]]
    assert_frame_equal(tell(past, one), tell(past, coming[SERIES]).loc[[17]])


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["R44", "R75"]),
            st.sampled_from(["40022139", "50022139", "50033604"]),
            st.sampled_from([2020, 2021]),
            st.integers(0, 60),
            st.floats(0, 1),
            st.sampled_from(["told", "no count", "no leavers"]),
        ),
        min_size=0,
        max_size=12,
        unique_by=lambda row: row[:3],
    )
)
@settings(max_examples=12, deadline=None)
def test_a_rate_lies_in_its_interval_between_nothing_and_all(said: list[tuple[str, str, int, int, float, str]]) -> None:
    table = rows(
        [
            {
                "region": region,
                "diploma": diploma,
                "last_year": year,
                "leavers": None if what == "no leavers" else n,
                "employed_12m": None if what != "told" else round(share * n),
            }
            for region, diploma, year, n, share, what in said
        ]
    )
    asked = rows([{}, {"diploma": "32031213"}, {"region": "R99", "track": "apprentissage"}])[SERIES]
    told = tell(table, asked)
    counted = ((table["leavers"] > 0).fillna(False) & table["employed_12m"].notna()).any()
    assert told["value"].notna().all() if counted else told["value"].isna().all()
    shown = told.dropna(subset=["value"])
    assert ((shown["low"] >= 0) & (shown["low"] <= shown["value"])).all()
    assert ((shown["value"] <= shown["high"]) & (shown["high"] <= 1)).all()


def test_more_people_at_the_same_rate_draw_the_estimate_to_it() -> None:
    past, _ = world()
    one = (past[SERIES] == past[SERIES].iloc[0]).all(axis=1)
    told = [
        tell(
            past.assign(leavers=past["leavers"].mask(one, 20 * size), employed_12m=past["employed_12m"].mask(one, 18 * size)),
            params=STILL,
        ).iloc[0]
        for size in (1, 3, 10, 100)
    ]
    away = [abs(0.9 - row["value"]) for row in told]
    assert away == sorted(away, reverse=True)
    assert away[0] > 0.05
    assert away[-1] < 0.02
    width = [row["high"] - row["low"] for row in told]
    assert width == sorted(width, reverse=True)
    assert [row["borrowed"] for row in told] == sorted([row["borrowed"] for row in told], reverse=True)


def test_diplomas_may_bear_other_names_of_the_same_kind() -> None:
    past, coming = world()

    def rename(table: pd.DataFrame) -> pd.DataFrame:
        order = table["diploma"].str[-2:].astype(int)
        return table.assign(diploma=table["diploma"].str[:-2] + (97 - 3 * order).astype(str))

    assert np.allclose(tell(rename(past), rename(coming[SERIES]))["value"], tell(past, coming[SERIES])["value"], atol=1e-9)


def test_moving_every_rate_by_some_points_moves_every_estimate_by_them() -> None:
    many = [
        {
            "region": f"R{r}",
            "diploma": f"400221{d}",
            "last_year": year,
            "leavers": 2000,
            "employed_12m": 40 * (10 + r % 7 + d % 5),
        }
        for r in range(10, 20)
        for d in range(10, 20)
        for year in (2020, 2021)
    ]
    table = rows(many)
    moved = table.assign(employed_12m=table["employed_12m"] + 200)
    assert np.allclose(tell(moved)["value"] - tell(table)["value"], 0.1, atol=0.002)


def test_a_hidden_count_is_no_zero_and_tells_nothing() -> None:
    past, coming = world()
    one = (past[SERIES] == coming[SERIES].iloc[0]).all(axis=1)
    hidden = past.assign(
        employed_12m=past["employed_12m"].mask(one),
        leavers=past["leavers"].mask(one),
        rate_12m=past["rate_12m"].mask(one),
        leavers_secret=past["leavers_secret"].mask(one, True),
        rates_secret=past["rates_secret"].mask(one, True),
    )
    zero = past.assign(employed_12m=past["employed_12m"].mask(one, 0))
    asked = coming[SERIES].iloc[[0]]
    told, absent, nought = (tell(table, asked).iloc[0] for table in (hidden, past[~one], zero))
    assert told[list(ESTIMATE)].equals(absent[list(ESTIMATE)])
    assert (told["n"], told["borrowed"], told["grade"]) == (0.0, 1.0, "D")
    assert nought["value"] + 0.2 < told["value"]


def test_counts_tell_where_the_rate_is_hidden() -> None:
    few = [{"diploma": f"400221{d}", "region": f"R{r}", "employed_12m": 25} for d in range(10, 20) for r in range(10, 20)]
    low, high = (
        tell(rows([*few, {"leavers": 19, "employed_12m": k}]), rows([{}])[SERIES], years=SECOND).iloc[0] for k in (3, 16)
    )
    assert low["value"] + 0.2 < high["value"]
    assert low["n"] == 19


def test_half_of_chance_comes_back_from_pairs_of_years_and_none_from_single_ones() -> None:
    """All series are alike but by chance, so that the groups tell the rate: a pair holds half of the people of the last."""
    rng = np.random.default_rng(0)
    alike = [
        {"diploma": f"400{d}", "region": f"R{r}", "employed_12m": int(rng.binomial(50, 0.5))}
        for d in range(22110, 22140)
        for r in range(10, 30)
    ]
    pairs = rows(alike)
    off = pairs["employed_12m"].astype(float) / 50 - 0.5
    singles = pairs.assign(first_year=2020)
    for table, years, share in ((pairs, SECOND, 0.5), (singles, (2021, 2021), 0.0), (pairs, (2021, 2021), 0.0)):
        told = tell(table, table[SERIES], years=years)["value"] - 0.5
        assert np.polyfit(off, told, 1)[0] == pytest.approx(share, abs=0.06)


def test_what_the_last_pair_owes_to_the_year_that_leaves_is_taken_back() -> None:
    """With two pairs behind, the best guess of chance alone is 2/3 of the last less 1/3 of the one before."""
    rng = np.random.default_rng(1)
    series = [{"diploma": f"400{d}", "region": f"R{r}"} for d in range(22110, 22140) for r in range(10, 30)]
    years = rng.binomial(30, 0.5, (3, len(series)))
    before, last = years[0] + years[1], years[1] + years[2]
    table = rows(
        [
            {**each, "leavers": 60, "employed_12m": int(k), "last_year": year}
            for year, counts in ((2020, before), (2021, last))
            for each, k in zip(series, counts, strict=True)
        ]
    )
    told = tell(table, rows(series)[SERIES], params=STILL)["value"]
    weight, *_ = np.linalg.lstsq(np.column_stack([last / 60, before / 60, np.ones(len(series))]), told, rcond=None)
    assert weight[:2] == pytest.approx([2 / 3, -1 / 3], abs=0.07)


def test_the_level_of_all_goes_on_by_half_of_its_last_move_at_the_most() -> None:
    past, coming = world()
    for points in (-0.06, 0.06):
        later = past["last_year"] == 2021
        moved = past.assign(
            employed_12m=past["employed_12m"].where(~later, (past["employed_12m"] + points * past["leavers"]).round().clip(0))
        )
        moved = moved.assign(employed_12m=moved[["employed_12m", "leavers"]].min(axis=1).astype("Int64"))
        further = (tell(moved, coming[SERIES])["value"] - tell(moved, coming[SERIES], params=STILL)["value"]).mean()
        assert 0.1 < further / points < 0.55


def test_known_rates_are_told_better_than_by_the_last_value_and_as_surely_as_they_say() -> None:
    judged = pd.concat([judge(seed) for seed in range(6)])
    shown = judged[judged["n"] >= 20]
    ours, apart, floor, last = (
        (shown["k"] / shown["n"] - shown[way]).abs().mean() for way in ("value", "apart", "rate", "last")
    )
    assert ours < last - 0.4 * (last - floor)
    assert ours < apart
    assert 0.77 < judged["held"].mean() < 0.83
    for low, high in ((0, 40), (40, 100), (100, np.inf)):
        assert 0.75 < judged.loc[(judged["n"] >= low) & (judged["n"] < high), "held"].mean() < 0.85


def judge(seed: int) -> pd.DataFrame:
    """Put what is told of a world beside what came. One row per series.

    ``held`` is the share of the count, spread over k − ½ to k + ½, that lies in the interval.
    """
    past, coming = world(seed)
    told = tell(past, coming[SERIES])
    last = past[past["last_year"] == 2021].reset_index(drop=True)
    least, most = (coming["k"] - 0.5).clip(0) / coming["n"], (coming["k"] + 0.5).clip(upper=coming["n"]) / coming["n"]
    inside = (np.minimum(most, told["high"]) - np.maximum(least, told["low"])).clip(lower=0)
    return coming.assign(
        value=told["value"],
        apart=tell(past, coming[SERIES], params=RateParams(overlap=0.0, drift=0.0))["value"],
        last=(last["employed_12m"] / last["leavers"]).astype("float64"),
        held=inside / (most - least),
    )


def test_a_new_diploma_is_told_by_its_domain_and_level_in_its_region() -> None:
    past, _ = world()
    new = past[SERIES].drop_duplicates("region").assign(diploma="40022199")
    told = tell(past, new)
    alike = past[past["diploma"].str.startswith("400221") & (past["last_year"] == 2021)]
    sums = alike.groupby("region")[["employed_12m", "leavers"]].sum()
    by_region = (sums["employed_12m"] / sums["leavers"]).to_numpy(float)
    assert np.corrcoef(told["value"], by_region)[0, 1] > 0.8
    assert (told["borrowed"] == 1).all()
    assert (told["grade"] == "D").all()


@pytest.mark.parametrize(
    "said",
    [
        [],
        [{"leavers": None}],
        [{"leavers": 0, "employed_12m": 0}],
        [{"employed_12m": None}],
        [{"last_year": 2022, "employed_12m": 20}],
    ],
    ids=["nothing", "all secret", "nobody left", "not out yet", "only later"],
)
def test_where_nothing_is_known_nothing_is_told(said: list[dict[str, object]]) -> None:
    told = tell(rows(said), rows([{}])[SERIES])
    assert told[["value", "low", "high"]].isna().all(axis=None)
    assert told["grade"].isna().all()
    assert told[["n", "borrowed"]].to_numpy().tolist() == [[0.0, 1.0]]


def test_one_series_of_one_row_is_told_by_itself() -> None:
    told = tell(rows([{"employed_12m": 30}]), years=SECOND).iloc[0]
    assert told["value"] == pytest.approx(0.6)
    assert 0.45 < told["low"] < 0.6 < told["high"] < 0.75
    assert (told["n"], told["grade"]) == (50.0, "B")


def test_of_two_editions_the_last_counts() -> None:
    old, new = rows([{"employed_12m": 10}]), rows([{"employed_12m": 30, "known_from": pd.Timestamp("2023-01-31")}])
    assert_frame_equal(tell(pd.concat([new, old])), tell(new))


def test_a_pair_says_no_more_beside_its_single_years() -> None:
    years = [{"first_year": year, "last_year": year, "leavers": 50, "employed_12m": 30} for year in (2019, 2020)]
    pair = [{"leavers": 100, "employed_12m": 60}]
    others = [
        {"region": f"R{r}", **row, "employed_12m": int(row["employed_12m"]) * share // 10}
        for r, share in zip(range(50, 60), range(5, 15), strict=True)
        for row in [*years, *pair]
    ]
    both, alone = (
        tell(table, rows([{}])[SERIES], years=SECOND) for table in (rows([*years, *pair, *others]), rows([*pair, *others]))
    )
    assert both["value"].iloc[0] == pytest.approx(alone["value"].iloc[0], abs=0.02)
    assert both["high"].iloc[0] < 1


def test_a_single_year_to_come_has_fewer_people_and_a_wider_interval_than_a_pair() -> None:
    past, coming = world()
    pair, single = (tell(past, coming[SERIES], years=years) for years in (THIRD, (2022, 2022)))
    counted = pair["n"] > 0
    assert np.allclose(single["n"][counted], pair["n"][counted] / 2)
    assert ((single["high"] - single["low"]) > (pair["high"] - pair["low"])).mean() > 0.95


def test_nothing_asked_and_asking_twice_keep_the_rows_asked() -> None:
    past, coming = world()
    twice = pd.concat([coming[SERIES].iloc[:2]] * 2).set_axis(["a", "b", "c", "d"])
    told = tell(past, twice)
    assert told.index.tolist() == ["a", "b", "c", "d"]
    assert told["value"].iloc[:2].tolist() == told["value"].iloc[2:].tolist()
    assert tell(past, twice.iloc[:0]).empty


def test_the_last_rate_is_the_last_published_one() -> None:
    older, newer = {"last_year": 2020, "employed_12m": 45}, {"last_year": 2021, "employed_12m": 20}
    table = rows([newer, older, {"last_year": 2022, "leavers": 12, "employed_12m": 12}, {"region": "R75"}])
    told = last_rates(table, ask(table), PARAMS, school_years=(2022, 2023), months=MONTHS)
    assert told["value"].tolist() == pytest.approx([0.4, np.nan], nan_ok=True)
    assert told["n"].tolist() == [50.0, 0.0]
    assert told["low"].iloc[0] < 0.4 < told["high"].iloc[0]


@pytest.mark.parametrize("wrong", [{"overlap": 1.5}, {"drift": -0.1}, {"fade": 2}, {"unseen_leavers": 0}, {"overlaps": 1}])
def test_params_out_of_bounds_or_unknown_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        RateParams(**wrong)


@pytest.mark.skipif(not EXPORT.exists(), reason="no ../shared/data/insertion")
def test_the_real_rates_of_2021_2022_are_told_better_than_by_the_last_value() -> None:
    table = SOURCES["insertion"].read([EXPORT]).kept
    coming = table[(table["last_year"] == 2022) & table["rate_12m"].notna()].reset_index(drop=True)
    told = tell(table, coming[SERIES])
    last = last_rates(table, coming[SERIES], PARAMS, school_years=THIRD, months=MONTHS)["value"]
    off = {
        name: (100 * value - coming["rate_12m"]).abs()[last.notna()].mean()
        for name, value in (("ours", told["value"]), ("last", last))
    }
    assert told["value"].notna().all()
    assert off["ours"] < 0.9 * off["last"]
