"""Laws of reconciliation: sums add up, nothing is below zero, cells are those of a dense solution, and get no worse."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from scipy.optimize import lsq_linear

from features.vocabulary import InputError, months_from
from models.hierarchy import SERIES, Hierarchy, add_up, build_hierarchy, write_out
from models.nearest import nearest_cells
from models.reconcile import ReconcileParams, learn_weights, nothing_learned, reconcile, variances_of

GRAINS = (("department", "occupation"), ("region", "occupation"), ("bassin", "sector"), ("region", "sector"))
SIZES = [(1, 1), (1, 5), (5, 1), (3, 4), (6, 6)]
WIDE = [f"{place}/{group}" for place, group in GRAINS]
PARAMS = ReconcileParams()


@cache
def hierarchy(
    atoms: int = 4, occupations: int = 5, *, grains: tuple[tuple[str, str], ...] = GRAINS, seed: int = 0
) -> Hierarchy:
    """Atoms in bassins of two départements, and occupations shared by two sectors each."""
    rng = np.random.default_rng(seed)
    codes, jobs = [f"BE{i // 2:04d} D{1 + i % 2:02d}" for i in range(atoms)], [f"A{j:04d}" for j in range(occupations)]
    cells = pd.DataFrame([(atom, job) for atom in codes for job in jobs], columns=["territory", "occupation"])
    where = {"bassin": [code[:6] for code in codes], "department": [code[7:] for code in codes], "region": ["R44"] * atoms}
    places = pd.concat([pd.DataFrame({"grain": g, "territory": codes, "place": held}) for g, held in where.items()])
    part = rng.uniform(0.1, 0.9, occupations).round(2)
    first, second = [f"{100 + j % 2}" for j in range(occupations)], [f"{102 + j % 3}" for j in range(occupations)]
    groups = pd.concat(
        [pd.DataFrame({"occupation": jobs, "group": g, "weight": w}) for g, w in ((first, part), (second, 1 - part))]
    ).assign(grain="sector")
    return build_hierarchy(cells.sample(frac=1, random_state=seed), places, groups, grains)


def draw_forecasts(laid: Hierarchy, seed: int, periods: int = 3) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Forecasts that do not add up at all, many near zero, and variances of every size."""
    rng = np.random.default_rng(seed)
    size = len(laid.series)
    value = rng.gamma(0.5, 4, (size, periods))
    frame = write_out(
        laid, pd.Index(months_from("2026-04", periods)), {"value": value, "low": value * 0.5, "high": value * 2 + 1}
    )
    return frame, laid.series.assign(variance=rng.gamma(1.0, 2, size) + 0.05)


def matrix(frame: pd.DataFrame, laid: Hierarchy, column: str = "value") -> np.ndarray:
    wide = frame.set_index([*SERIES, "period"])[column].unstack("period")  # noqa: PD010
    return wide.reindex(pd.MultiIndex.from_frame(laid.series)).to_numpy()


def dense_solution(laid: Hierarchy, told: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Solve the whole least squares with the bound, one period, with a dense matrix."""
    summing = np.vstack([np.eye(laid.cells), laid.sums.toarray()]) / np.sqrt(variance)[:, None]
    return lsq_linear(summing, told / np.sqrt(variance), bounds=(0, np.inf), method="bvls", tol=1e-14).x


# --- what agrees ---


@given(st.integers(0, 10_000), st.sampled_from(SIZES))
@settings(max_examples=12, deadline=None)
def test_every_sum_adds_up_and_nothing_is_below_zero(seed: int, size: tuple[int, int]) -> None:
    laid = hierarchy(*size)
    told = matrix(reconcile(*reorder(draw_forecasts(laid, seed), laid)), laid)
    assert (told >= 0).all()
    assert np.allclose(told[laid.cells :], laid.sums.toarray() @ told[: laid.cells], rtol=1e-9, atol=1e-9)


def reorder(drawn: tuple[pd.DataFrame, pd.DataFrame], laid: Hierarchy) -> tuple[pd.DataFrame, Hierarchy, pd.DataFrame]:
    return drawn[0], laid, drawn[1]


@given(st.integers(0, 10_000), st.sampled_from(SIZES))
@settings(max_examples=20, deadline=None)
def test_cells_are_those_of_a_dense_solution(seed: int, size: tuple[int, int]) -> None:
    laid = hierarchy(*size)
    forecasts, variances = draw_forecasts(laid, seed, periods=2)
    # Aggregates forecast far below their cells, and some at zero, push many cells to the bound.
    forecasts["value"] *= np.where((forecasts["grain"] != "cell") & (forecasts["period"] == "2026-04"), 0.1, 1.0)
    variance = variances["variance"].to_numpy()
    variance = np.append(
        variance[: laid.cells], np.maximum(variance[laid.cells :], PARAMS.least_variance * (laid.sums @ variance[: laid.cells]))
    )
    told = matrix(reconcile(forecasts, laid, variances), laid)[: laid.cells]
    for period, values in enumerate(matrix(forecasts, laid).T):
        assert np.allclose(told[:, period], dense_solution(laid, values, variance), rtol=1e-6, atol=1e-6)


def test_without_the_bound_it_is_the_closed_form_of_mint() -> None:
    laid = hierarchy()
    forecasts, variances = draw_forecasts(laid, 3)
    values, variance = matrix(forecasts, laid), variances["variance"].to_numpy()
    summing = np.vstack([np.eye(laid.cells), laid.sums.toarray()])
    inverse = np.diag(1 / variance)
    closed = np.linalg.solve(summing.T @ inverse @ summing, summing.T @ inverse @ values)
    parts = variance[: laid.cells], variance[laid.cells :]
    told = nearest_cells(values[: laid.cells], values[laid.cells :], laid.sums, variances=parts, tolerance=1e-12, bounded=False)
    assert (closed < 0).any()
    assert np.allclose(told, closed, atol=1e-8)


def test_a_large_hierarchy_keeps_to_the_conditions_of_the_optimum() -> None:
    laid = hierarchy(30, 60, grains=(("bassin", "occupation"), *GRAINS))
    forecasts, variances = draw_forecasts(laid, 5)
    values, variance = matrix(forecasts, laid), variances["variance"].to_numpy()
    told = matrix(reconcile(forecasts, laid, variances), laid)
    wide = np.maximum(variance[laid.cells :], PARAMS.least_variance * (laid.sums @ variance[: laid.cells]))
    slope = (told - values)[: laid.cells] / variance[: laid.cells, None]
    slope += laid.sums.T @ ((told - values)[laid.cells :] / wide[:, None])
    held = told[: laid.cells] == 0
    assert 0.05 < held.mean() < 0.95
    assert np.abs(slope[~held]).max() < 1e-5
    assert slope[held].min() > -1e-5


@given(st.integers(0, 10_000))
@settings(max_examples=8, deadline=None)
def test_what_adds_up_already_stays(seed: int) -> None:
    laid = hierarchy(seed=seed % 2)
    once = reconcile(*reorder(draw_forecasts(laid, seed), laid))
    assert_frame_equal(reconcile(once, laid, draw_forecasts(laid, seed)[1]), once, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("variance", [np.inf, np.nan, None])
def test_aggregates_that_are_not_heard_are_the_sums_of_cells_as_forecast(variance: float | None) -> None:
    laid = hierarchy()
    forecasts, variances = draw_forecasts(laid, 1)
    cell = variances["grain"] == "cell"
    known = variances[cell] if variance is None else variances.assign(variance=variances["variance"].where(cell, variance))
    told = reconcile(forecasts, laid, known)
    own = forecasts["grain"] == "cell"
    assert_frame_equal(told[own], forecasts[own])
    summed = add_up(forecasts.loc[own, ["territory", "occupation", "period", "value"]], laid)
    assert np.allclose(told["value"], summed["value"])


def test_the_order_of_rows_changes_no_byte() -> None:
    laid = hierarchy()
    forecasts, variances = draw_forecasts(laid, 2)
    mixed = forecasts.sample(frac=1, random_state=1), laid, variances.sample(frac=1, random_state=2)
    assert_frame_equal(reconcile(*mixed), reconcile(forecasts, laid, variances), check_exact=True)


def test_a_period_alone_is_as_among_others() -> None:
    laid = hierarchy()
    forecasts, variances = draw_forecasts(laid, 4, periods=5)
    whole = reconcile(forecasts, laid, variances)
    for period, rows in forecasts.groupby("period"):
        alone = whole[whole["period"] == period].reset_index(drop=True)
        assert_frame_equal(reconcile(rows, laid, variances), alone, rtol=1e-9, atol=1e-9)


@given(st.integers(0, 1_000), st.floats(0.01, 1_000))
@settings(max_examples=8, deadline=None)
def test_the_unit_of_counts_does_not_matter(seed: int, factor: float) -> None:
    laid = hierarchy(seed=seed % 2)
    forecasts, variances = draw_forecasts(laid, seed)
    bounds = ["value", "low", "high"]
    many = reconcile(
        forecasts.assign(**{name: forecasts[name] * factor for name in bounds}),
        laid,
        variances.assign(variance=variances["variance"] * factor**2),
    )
    one = reconcile(forecasts, laid, variances)
    assert np.allclose(many[bounds], one[bounds] * factor, rtol=1e-6, atol=1e-7 * factor)


def test_a_cell_that_is_certain_stays_whatever_its_sums_say() -> None:
    laid = hierarchy()
    forecasts, variances = draw_forecasts(laid, 6)
    dead = (variances["grain"] == "cell") & (variances["occupation"] == "A0002")
    forecasts["value"] = forecasts["value"].mask((forecasts["grain"] == "cell") & (forecasts["occupation"] == "A0002"), 0.0)
    variances["variance"] = variances["variance"].mask(dead, 0.0)
    told = reconcile(forecasts, laid, variances)
    assert (told.loc[told["occupation"] == "A0002", "value"] == 0).all()
    assert (told.loc[told["occupation"] == "A0001", "value"] > 0).any()


def test_a_world_of_zeros_stays_zero() -> None:
    laid = hierarchy()
    forecasts, variances = draw_forecasts(laid, 6)
    still = forecasts.assign(value=0.0, low=0.0, high=0.0)
    told = reconcile(still, laid, variances.assign(variance=0.0))
    assert_frame_equal(told, still)


@given(st.integers(0, 1_000), st.floats(0.1, 50))
@settings(max_examples=8, deadline=None)
def test_to_ask_more_of_a_sum_never_gives_it_less(seed: int, more: float) -> None:
    laid = hierarchy(seed=seed % 2)
    forecasts, variances = draw_forecasts(laid, seed)
    chosen = forecasts["grain"] == "region/sector"
    first = forecasts.loc[chosen, "occupation"].iloc[0]
    raised = chosen & (forecasts["occupation"] == first)
    before = reconcile(forecasts, laid, variances).loc[raised, "value"]
    after = reconcile(forecasts.assign(value=forecasts["value"] + more * raised), laid, variances).loc[raised, "value"]
    assert (after >= before - 1e-7).all()


def test_an_aggregate_may_be_forecast_in_some_periods_only() -> None:
    laid = hierarchy()
    forecasts, variances = draw_forecasts(laid, 8, periods=2)
    partial = forecasts[(forecasts["grain"] == "cell") | (forecasts["period"] == "2026-04")]
    told = reconcile(partial, laid, variances)
    late = told["period"] == "2026-05"
    assert_frame_equal(told[~late], reconcile(forecasts, laid, variances)[~late], rtol=1e-9)
    own = late & (told["grain"] == "cell")
    assert np.allclose(told.loc[own, "value"], forecasts.loc[own, "value"])


def test_periods_come_back_as_they_came() -> None:
    laid = hierarchy()
    forecasts, variances = draw_forecasts(laid, 8)
    periods = forecasts.assign(period=pd.PeriodIndex(forecasts["period"], freq="M"))
    told = reconcile(periods, laid, variances)
    assert told["period"].dtype == periods["period"].dtype
    assert told["period"].tolist() == periods["period"].tolist()


# --- bounds ---


@given(st.integers(0, 1_000))
@settings(max_examples=8, deadline=None)
def test_bounds_hold_the_value_and_are_never_below_zero(seed: int) -> None:
    laid = hierarchy(seed=seed % 2)
    forecasts, variances = draw_forecasts(laid, seed)
    some = forecasts.assign(
        low=forecasts["low"].where(forecasts["grain"] != "region/sector"),
        high=forecasts["high"].where(forecasts["grain"] != "region/sector"),
    )
    told = reconcile(some, laid, variances)
    assert ((told["low"] >= 0) & (told["low"] <= told["value"]) & (told["value"] <= told["high"])).all()


@pytest.mark.parametrize(("together", "width"), [(0.0, np.sqrt(20)), (1.0, 20.0)])
def test_an_aggregate_without_an_interval_takes_that_of_its_cells(together: float, width: float) -> None:
    laid = hierarchy(grains=(("department", "occupation"), ("region", "occupation")))
    cells = laid.series["grain"] == "cell"
    value = np.where(cells, 10.0, np.where(laid.series["grain"] == "region/occupation", 40.0, 20.0))
    half = np.where(cells, 5.0, np.where(laid.series["grain"] == "region/occupation", np.nan, 10.0 if together else 50**0.5))
    frame = laid.series.assign(period="2026-04", value=value, low=value - half, high=value + half)
    told = reconcile(frame, laid, laid.series.assign(variance=1.0)).query("grain == 'region/occupation'")
    assert np.allclose(told["high"] - told["value"], width * np.sqrt(5) if not together else width)


def test_without_any_interval_there_is_none() -> None:
    laid = hierarchy()
    forecasts, variances = draw_forecasts(laid, 1)
    told = reconcile(forecasts.drop(columns=["low", "high"]), laid, variances)
    assert told["value"].notna().all()
    assert told[["low", "high"]].isna().all(axis=None)


# --- what adds up to what ---


def test_mass_is_held_or_listed() -> None:
    laid = hierarchy()
    places = pd.DataFrame({"grain": "region", "territory": laid.series["territory"][: laid.cells].unique(), "place": "R44"})
    links = pd.DataFrame(
        {
            "grain": "sector",
            "occupation": ["A0000", "A0000", "A0001"],
            "group": ["100", "101", "100"],
            "weight": [0.2, 0.5, 1.0],
        }
    )
    short = build_hierarchy(laid.series[: laid.cells], places, links, [("region", "sector")])
    panel = short.series[: short.cells].assign(period="2026-01", value=np.arange(short.cells, dtype=float))
    summed = add_up(panel, short)
    lost = panel["occupation"].map(short.unmapped.set_index("occupation")["share"]).fillna(0.0) * panel["value"]
    total = summed.loc[summed["grain"] == "region/sector", "value"].sum() + lost.sum()
    assert total == pytest.approx(panel["value"].sum(), abs=1e-9)
    assert short.unmapped["occupation"].tolist() == ["A0000", "A0002", "A0003", "A0004"]


def test_a_place_without_a_cell_has_no_series_and_changes_no_other() -> None:
    laid = hierarchy()
    atoms = laid.series["territory"][: laid.cells].unique().tolist()
    near = pd.DataFrame({"grain": "region", "territory": [*atoms, "BE9999 D09"], "place": [*["R44"] * len(atoms), "R99"]})
    wide = build_hierarchy(laid.series[: laid.cells], near, near[:0], [("region", "occupation")])
    assert set(wide.series["territory"]) == {*atoms, "R44"}


def test_a_territory_alone_is_as_in_the_whole_where_nothing_joins_it_to_others() -> None:
    grains = (("bassin", "occupation"), ("bassin", "sector"))
    laid = hierarchy(grains=grains)
    forecasts, variances = draw_forecasts(laid, 9)
    own = [frame[frame["territory"].str.startswith("BE0001")] for frame in (forecasts, variances)]
    parts = laid.series[laid.series["territory"].str.startswith("BE0001")]
    alone = hierarchy(grains=grains)
    keep = np.flatnonzero(laid.series["territory"].str.startswith("BE0001"))
    columns, rows = keep[keep < laid.cells], keep[keep >= laid.cells] - laid.cells
    alone = Hierarchy(parts.reset_index(drop=True), laid.sums[rows][:, columns], laid.unmapped)
    whole = reconcile(forecasts, laid, variances)
    inside = whole[whole["territory"].str.startswith("BE0001")].reset_index(drop=True)
    assert_frame_equal(reconcile(own[0], alone, own[1]), inside, rtol=1e-7, atol=1e-7)


def test_cells_alone_stay_as_they_are() -> None:
    laid = hierarchy(grains=())
    forecasts, variances = draw_forecasts(laid, 9)
    assert_frame_equal(reconcile(forecasts, laid, variances), forecasts)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f, v: (f[1:], v), "1 of 20 cells have no forecast"),
        (lambda f, v: (f.assign(territory=f["territory"].replace("R44", "R99")), v), "of no series"),
        (lambda f, v: (pd.concat([f, f[:1]]), v), "two values"),
        (lambda f, v: (f, v[1:]), "finite variance"),
        (lambda f, v: (f, v.assign(variance=-1.0)), "variance"),
        (lambda f, v: (f, v.assign(variance=np.inf)), "finite variance"),
    ],
)
def test_what_cannot_be_reconciled_is_said(spoil: object, said: str) -> None:
    laid = hierarchy()
    forecasts, variances = spoil(*draw_forecasts(laid, 1))  # type: ignore[operator]
    with pytest.raises(InputError, match=said):
        reconcile(forecasts, laid, variances)


def test_links_that_cannot_add_up_are_refused() -> None:
    cells = pd.DataFrame({"territory": ["a", "b"], "occupation": "A0001"})
    places = pd.DataFrame({"grain": "region", "territory": ["a"], "place": "R44"})
    groups = pd.DataFrame({"grain": "sector", "occupation": "A0001", "group": ["1", "2"], "weight": [0.6, 0.6]})
    with pytest.raises(InputError, match="b lie in no place"):
        build_hierarchy(cells, places, groups, [("region", "occupation")])
    with pytest.raises(InputError, match="A0001"):
        build_hierarchy(cells, places, groups, [("atom", "sector")])
    twice = pd.concat([places, places.assign(place="R99")])
    with pytest.raises(InputError, match="two places"):
        build_hierarchy(cells[:1], twice, groups, [("region", "occupation")])


# --- what is believed ---


def draw_past(laid: Hierarchy, seed: int, *, fine: float, wide: float, common: float = 0.0, years: int = 3) -> pd.DataFrame:
    """Forecasts whose errors are known: of cells, of aggregates, and one that both share. One row per series and period."""
    rng = np.random.default_rng(seed)
    months = 12 * years
    truth = rng.gamma(20, 5, (laid.cells, months))
    shock = 1 + common * rng.standard_normal((1, months))
    cells = truth * shock + fine * rng.standard_normal(truth.shape)
    sums = laid.sums @ (truth * shock)
    size = np.sqrt(laid.sums @ np.ones(laid.cells))[:, None]
    told = np.vstack([cells, sums + wide * size * rng.standard_normal(sums.shape)])
    frame = write_out(laid, pd.Index(months_from("2022-01", months)), {"value": told, "actual": np.vstack([truth, sums])})
    return frame.assign(origin=frame["period"].str[:4])


def errors_of_cells(past: pd.DataFrame, laid: Hierarchy, year: str) -> tuple[float, float]:
    """Learn from the years before, reconcile a year: the squared errors of cells before and after."""
    before, now = past[past["origin"] < year], past[past["origin"] == year]
    told = reconcile(now, laid, learn_weights(before, laid).variances)
    cell = (now["grain"] == "cell").to_numpy()
    actual, base = now.loc[cell, "actual"].to_numpy(), now.loc[cell, "value"].to_numpy()
    return float(((base - actual) ** 2).mean()), float(((told.loc[cell, "value"].to_numpy() - actual) ** 2).mean())


@pytest.mark.parametrize("seed", range(3))
def test_aggregates_that_know_better_make_cells_better(seed: int) -> None:
    laid = hierarchy(8, 6)
    before, after = errors_of_cells(draw_past(laid, seed, fine=20, wide=1), laid, "2024")
    assert after < 0.9 * before


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("wide", "common"), [(200.0, 0.0), (0.0, 0.3), (200.0, 0.3)])
def test_aggregates_that_know_nothing_more_make_no_cell_worse(seed: int, wide: float, common: float) -> None:
    laid = hierarchy(8, 6)
    before, after = errors_of_cells(draw_past(laid, seed, fine=20, wide=wide, common=common), laid, "2024")
    assert after <= 1.005 * before


def test_shares_fall_with_the_errors_of_aggregates() -> None:
    laid = hierarchy(8, 6, grains=(("region", "occupation"),))
    shares = [
        learn_weights(draw_past(laid, 1, fine=20, wide=wide), laid).grains["share"].iloc[0] for wide in (1.0, 10.0, 20.0, 60.0)
    ]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == PARAMS.highest_share
    # Errors of the same size on both sides: each decides half.
    assert shares[2] == pytest.approx(0.5, abs=0.12)


def test_an_error_of_aggregates_that_cells_share_is_not_taken_for_news() -> None:
    """Variances side by side would hear it: those of the sums of cells hide what their errors have in common."""
    laid = hierarchy(8, 6, grains=(("region", "occupation"),))
    past = draw_past(laid, 2, fine=5, wide=40, common=0.2)
    weights = learn_weights(past, laid)
    assert weights.grains["share"].iloc[0] < 0.1


def test_weights_learn_from_what_is_given_in_any_order_and_count_it() -> None:
    laid = hierarchy(4, 5)
    past = draw_past(laid, 4, fine=20, wide=3)
    weights, mixed = learn_weights(past, laid), learn_weights(past.sample(frac=1, random_state=3), laid)
    assert_frame_equal(weights.variances, mixed.variances, check_exact=True)
    assert_frame_equal(weights.grains, mixed.grains, check_exact=True)
    assert (weights.variances["n"] == 36).all()
    assert (weights.grains[["squared", "absolute"]] <= 1).all(axis=None)
    assert set(weights.grains["grain"]) == set(WIDE)


def test_actual_values_of_aggregates_are_never_read() -> None:
    laid = hierarchy(4, 5)
    past = draw_past(laid, 4, fine=20, wide=3)
    blank = past.assign(actual=past["actual"].where(past["grain"] == "cell"))
    assert_frame_equal(learn_weights(blank, laid).variances, learn_weights(past, laid).variances)


def test_a_past_that_lacks_cells_is_refused() -> None:
    laid = hierarchy()
    past = draw_past(laid, 4, fine=20, wide=3)
    for lacking in (past[1:], past[:0], past.assign(actual=np.nan)):
        with pytest.raises(InputError, match="actual value"):
            learn_weights(lacking, laid)


# --- what was learned, of another hierarchy ---


@pytest.mark.parametrize("wide", [1.0, 20.0, 200.0])
def test_what_was_learned_of_the_same_series_is_what_they_are_given(wide: float) -> None:
    laid = hierarchy(8, 6)
    weights = learn_weights(draw_past(laid, 1, fine=20, wide=wide), laid)
    levels = pd.Series(np.random.default_rng(0).gamma(2, 9, laid.cells))
    given_back = variances_of(weights, laid, levels)
    assert_frame_equal(given_back, weights.variances.drop(columns="n"), check_exact=True)


def test_a_series_nobody_had_seen_is_given_what_its_level_and_its_grain_make() -> None:
    laid, wider = hierarchy(4, 5), hierarchy(4, 7)
    past = draw_past(laid, 1, fine=20, wide=1)
    weights = learn_weights(past, laid)
    levels = pd.Series(np.where(wider.series["occupation"][: wider.cells] > "A0004", 50.0, 100.0))
    given_now = variances_of(weights, wider, levels)
    before = given_now.merge(weights.variances, on=SERIES, how="left", suffixes=("", "_learned"), validate="one_to_one")
    cells = before[before["grain"] == "cell"]
    seen, new = cells[cells["variance_learned"].notna()], cells[cells["variance_learned"].isna()]
    assert (len(seen), len(new)) == (20, 8)
    assert seen["variance"].equals(seen["variance_learned"])
    assert np.allclose(new["variance"], seen["variance"].mean() / 2)
    shares = weights.grains.set_index("grain")["share"]
    assert (shares > 0).any()
    for grain, share in shares[shares > 0].items():
        sums = wider.sums[wider.rows(str(grain))] @ cells["variance"].to_numpy()
        assert np.allclose(given_now.loc[given_now["grain"] == grain, "variance"], sums * (1 - share) / share)


def test_where_nothing_was_learned_cells_alone_are_heard() -> None:
    laid = hierarchy()
    told, _ = draw_forecasts(laid, 3)
    given_now = variances_of(nothing_learned(), laid, pd.Series(np.arange(laid.cells) * 1.0))
    assert (given_now["variance"][: laid.cells] == 1.0).all()
    agreed, alone = reconcile(told, laid, given_now), told[told["grain"] == "cell"]
    assert np.allclose(agreed[agreed["grain"] == "cell"]["value"], alone["value"], rtol=1e-12)


def test_a_new_cell_that_is_told_at_zero_stays_there() -> None:
    laid, wider = hierarchy(4, 5), hierarchy(4, 7)
    weights = learn_weights(draw_past(laid, 1, fine=20, wide=1), laid)
    given_now = variances_of(weights, wider, pd.Series(np.zeros(wider.cells)))["variance"][: wider.cells]
    assert (given_now == 0).sum() == 8
    assert np.isfinite(given_now).all()
