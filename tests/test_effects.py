"""Laws of effects: what leans on what, what is doubted and why, what answers count; and worlds whose effects are known."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from start_frames import Law, drawn_starts, gathered_from, kept_of, shipped_links
from threadpoolctl import threadpool_limits

from features.build import GradeParams
from features.contracts import Checked
from features.starts import StartParams, add_places
from models.course_groups import Cells, mark_groups
from models.doubly_robust import ComparisonParams
from models.effects import KEY, EffectParams, Effects, estimate_effects
from models.likeness import Asked, Describer, count_outcomes, same_times, sample_of
from models.shrinkage import Estimates, lean, learn_variance
from models.trust import TrustParams, add_bounds, differs, lower_grades

LIMITS = GradeParams().limits()
QUICK = EffectParams(comparison=ComparisonParams(splits=1))
TRUST = TrustParams()


def estimated(starts: pd.DataFrame, params: EffectParams = QUICK, smallest: float = 10) -> Effects:
    return estimate_effects(starts, params, LIMITS, smallest)


# What small groups lean on ----------------------------------------------------------------------------------------------


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype="float64")[:, None]


def raw(values: list[float], errors: list[float]) -> Estimates:
    return Estimates.raw(column(*values), column(*errors))


def wide(value: float, error: float, times: int) -> Estimates:
    return raw([value] * times, [error] * times)


def leaned(values: list[float], errors: list[float], home: float = 0.0, home_error: float = 0.0) -> Estimates:
    return lean(raw(values, errors), wide(home, home_error, len(values)), np.zeros(len(values), dtype=np.int64))


efforts = st.lists(st.tuples(st.floats(-0.5, 0.5), st.floats(0.01, 0.3)), min_size=1, max_size=12)


@given(efforts, st.floats(-0.3, 0.3))
@settings(max_examples=60, deadline=None)
def test_what_leans_lies_between_its_own_effect_and_the_wider_one(groups: list[tuple[float, float]], home: float) -> None:
    values, errors = (list(each) for each in zip(*groups, strict=True))
    told = leaned(values, errors, home, 0.02)
    low, high = np.minimum(column(*values), home), np.maximum(column(*values), home)
    assert ((low - 1e-9 <= told.value) & (told.value <= high + 1e-9)).all()
    assert ((told.borrowed >= 0) & (told.borrowed <= 1)).all()
    order = np.argsort(errors)
    assert (np.diff(told.borrowed[order, 0]) >= -1e-12).all()
    assert (told.error <= np.hypot(column(*errors), 0.02) + 1e-9).all()
    turned = leaned(values[::-1], errors[::-1], home, 0.02)
    for name in vars(told):
        assert getattr(turned, name)[::-1] == pytest.approx(getattr(told, name), abs=1e-9)


def test_the_spread_of_true_effects_is_found() -> None:
    rng = np.random.default_rng(1)
    errors = rng.uniform(0.02, 0.1, 600)
    parents = np.repeat(np.arange(200), 3)
    true = rng.normal(size=200)[parents] + 0.08 * rng.normal(size=600)
    found = learn_variance(Estimates.raw(column(*(true + errors * rng.normal(size=600))), column(*errors)), parents)
    assert np.sqrt(found[0]) == pytest.approx(0.08, rel=0.15)


def test_leaning_beats_both_ends_and_its_errors_are_honest() -> None:
    rng = np.random.default_rng(2)
    errors = rng.uniform(0.02, 0.2, 800)
    true = 0.1 + 0.08 * rng.normal(size=800)
    own = true + errors * rng.normal(size=800)
    told = leaned(own.tolist(), errors.tolist(), 0.1)
    off = {"own": own - true, "wide": 0.1 - true, "told": told.value[:, 0] - true}
    spread = {name: float(np.sqrt(np.mean(each**2))) for name, each in off.items()}
    assert spread["told"] < 0.9 * min(spread["own"], spread["wide"])
    assert np.mean(np.abs(off["told"]) < 1.2816 * told.error[:, 0]) == pytest.approx(0.8, abs=0.04)


def test_groups_that_do_not_differ_borrow_everything_and_one_group_alone_does() -> None:
    alike = leaned([0.1, 0.1, 0.1, 0.1], [0.05, 0.05, 0.1, 0.2], 0.1)
    assert (alike.borrowed == 1).all()
    alone = leaned([0.4], [0.05], 0.1, 0.03)
    assert (alone.value[0, 0], alone.borrowed[0, 0]) == (pytest.approx(0.1), 1)
    assert alone.error[0, 0] == pytest.approx(0.03)
    rng = np.random.default_rng(7)
    lonely = raw(rng.normal(size=60).tolist(), rng.uniform(0.001, 0.2, 60).tolist())
    each = lean(lonely, wide(0.1, 0.02, 60), np.arange(60))
    assert (each.borrowed == 1).all()
    apart = leaned([-0.5, 0.5, -0.4, 0.4], [0.01] * 4)
    assert (apart.borrowed < 0.01).all()


def test_a_group_without_an_effect_of_its_own_has_the_wider_one_and_less_sure() -> None:
    told = leaned([-0.2, 0.2, 0.1, np.nan], [0.05, 0.05, 0.05, np.nan], 0.05, 0.02)
    assert told.value[3, 0] == pytest.approx(0.05)
    assert told.borrowed[3, 0] == 1
    assert told.error[3, 0] > told.error[:3, 0].max() > 0.02
    nothing = lean(raw([0.2, np.nan], [0.1, np.nan]), raw([np.nan] * 2, [np.nan] * 2), np.zeros(2, dtype=np.int64))
    assert (nothing.value[0, 0], nothing.error[0, 0], nothing.borrowed[0, 0]) == (0.2, 0.1, 0)
    assert np.isnan(nothing.value[1, 0])


# What is doubted --------------------------------------------------------------------------------------------------------


def doubted(**cells: object) -> pd.DataFrame:
    """One effect without a reason to doubt it, but for what is said."""
    calm = {"value": 0.2, "error": 0.03, "spread": 0.45, "overlap": 1.0, "grade": "A"}
    flags = dict.fromkeys(("designs_differ", "control_differs", "placebo_differs"), False)
    return pd.DataFrame([calm | flags | cells])


@given(st.floats(-0.6, 0.6), st.floats(0, 0.3), st.floats(0.05, 0.5), st.floats(0, 3), st.floats(0, 1), st.floats(0.5, 0.95))
@settings(max_examples=60, deadline=None)
def test_bounds_hold_the_interval_and_widen_with_what_is_feared(
    value: float, error: float, spread: float, imbalance: float, explains: float, level: float
) -> None:
    row = doubted(value=value, error=error, spread=spread)
    feared = TrustParams(imbalance=imbalance, explains=explains)
    nothing, told, worse = (
        add_bounds(row, params, level).loc[0]
        for params in (TrustParams(explains=0.0), feared, TrustParams(imbalance=min(imbalance + 0.1, 3), explains=explains))
    )
    assert told["bound_low"] <= nothing["bound_low"] + 1e-12 <= value + 2e-12
    assert told["bound_high"] >= nothing["bound_high"] - 1e-12 >= value - 2e-12
    assert worse["bound_high"] - worse["bound_low"] >= told["bound_high"] - told["bound_low"] - 1e-12
    exact = add_bounds(row.assign(error=0.0), feared, level).loc[0]
    touches = min(abs(exact["bound_low"]), abs(exact["bound_high"]))
    assert touches == pytest.approx(abs(feared.strength - exact["robustness"]) * spread, abs=1e-9)
    assert (exact["bound_low"] <= 0 <= exact["bound_high"]) == (feared.strength >= exact["robustness"])


def test_a_hidden_trait_moves_an_effect_by_no_more_than_said() -> None:
    """A normal trait, δ higher among those who enter, that explains r² of what is left: the bound holds what it does."""
    rng = np.random.default_rng(3)
    for imbalance, explains in ((0.5, 0.04), (1.0, 0.2)):
        trait = rng.normal(size=400_000)
        left = np.sqrt(explains) * trait + np.sqrt(1 - explains) * rng.normal(size=len(trait))
        ratio = np.exp(imbalance * trait - imbalance**2 / 2)
        moved = float(np.average(left, weights=ratio) - left.mean())
        assert 0.8 * imbalance * np.sqrt(explains) < moved < TrustParams(imbalance=imbalance, explains=explains).strength


def test_each_reason_takes_a_letter_and_none_gives_one_back() -> None:
    reasons = {
        "overlap": {"overlap": 0.6},
        "designs": {"designs_differ": True},
        "control": {"control_differs": True},
        "placebo": {"placebo_differs": True},
        "fragile": {"robustness": 0.01},
    }
    letters = "ABCD"
    for grade in letters:
        before, said = letters.index(grade), {"robustness": 1.0, "grade": grade}
        assert lower_grades(doubted(**said), TRUST).loc[0, ["grade", "lowered"]].tolist() == [grade, ""]
        for name, cells in reasons.items():
            told = lower_grades(doubted(**(said | cells)), TRUST).loc[0]
            assert (told["grade"], told["lowered"]) == (letters[min(before + 1, 3)], name)
        for name, cells in reasons.items():
            said |= cells
            told = lower_grades(doubted(**said), TRUST).loc[0]
            assert letters.index(told["grade"]) >= before
            assert name in told["lowered"].split("|")
            before = letters.index(told["grade"])
    both = doubted(robustness=1.0, designs_differ=True, control_differs=True)
    assert lower_grades(both, TRUST).loc[0, ["grade", "lowered"]].tolist() == ["B", "designs|control"]
    unknown = doubted(robustness=np.nan, overlap=np.nan, grade=None)
    assert lower_grades(unknown, TRUST)["grade"].isna().all()
    assert lower_grades(unknown, TRUST).loc[0, "lowered"] == ""


def test_differences_are_sure_only_beyond_what_is_tolerated_and_chance() -> None:
    value = pd.Series([0.02, 0.1, 0.1, -0.2, np.nan, 0.3])
    error = pd.Series([0.001, 0.03, 0.06, 0.05, 0.01, np.nan])
    assert differs(value, error, TRUST).tolist() == [False, True, False, True, False, False]


# What answers count -----------------------------------------------------------------------------------------------------


def followed(first_job: np.ndarray, next_entry: np.ndarray, work: np.ndarray, **said: object) -> pd.DataFrame:
    told = {"first_job": first_job, "next_entry": next_entry, "work_12": work, "asked_12": True, "weight": 1.0, "arm": "listed"}
    return pd.DataFrame(told | said)


def test_where_nobody_enters_another_course_every_answer_counts_one() -> None:
    rng = np.random.default_rng(4)
    people = followed(rng.exponential(9, 500), np.full(500, np.nan), np.ones(500))
    group = np.zeros(500, dtype=np.int64)
    assert (count_outcomes(people, rng.normal(size=(500, 2)), 12, group) == 1).all()
    some = people.assign(asked_12=np.arange(500) < 100, weight=2.0)
    assert count_outcomes(some, rng.normal(size=(500, 2)), 12, group).tolist() == [2.0] * 100 + [0.0] * 400


def test_those_who_enter_none_stand_for_those_who_enter_another_course() -> None:
    """Hired at a pace of λ a month, entering at κ (two groups of them): the share at work without courses is 1 − exp(−12 λ)."""
    rng = np.random.default_rng(5)
    size, hired = 60_000, 0.06
    group = (np.arange(size) % 2).astype(np.int64)
    job = rng.exponential(1 / hired, size)
    entry = rng.exponential(1 / np.where(group == 1, 0.08, 0.02), size)
    job = np.where(entry < job, np.nan, job)  # in the course nobody is hired within the year
    work = (job <= 12).astype("float64")
    entry = np.where(entry < 40, entry, np.nan)
    people = followed(job, entry, work)
    weight = count_outcomes(people, np.zeros((size, 1)), 12, group)
    true = 1 - np.exp(-12 * hired)
    stayed = weight > 0
    for number in (0, 1):
        here = group == number
        assert np.average(work[here], weights=weight[here]) == pytest.approx(true, abs=0.015)
        assert weight[here].sum() / here.sum() == pytest.approx(1.0, abs=0.02)
    left_out = work[stayed & (group == 1)].mean()
    as_it_is = work[group == 1].mean()
    assert left_out > true + 0.04
    assert as_it_is < true - 0.1
    later = people.assign(next_entry=np.where(work > 0, job + 0.1, np.nan))
    assert (count_outcomes(later, np.zeros((size, 1)), 12, group) == 1).all()


def test_those_who_answer_stand_for_those_alike_who_do_not() -> None:
    rng = np.random.default_rng(6)
    size = 30_000
    trait = rng.normal(size=size)
    work = (rng.random(size) < 1 / (1 + np.exp(-trait))).astype("float64")
    answers = rng.random(size) < 1 / (1 + np.exp(-(0.2 + 0.8 * trait)))
    people = followed(np.full(size, np.nan), np.full(size, np.nan), np.where(answers, work, np.nan))
    weight = count_outcomes(people, trait[:, None], 12, np.zeros(size, dtype=np.int64))
    assert work[answers].mean() > 0.56
    assert np.average(work[answers], weights=weight[answers]) == pytest.approx(work.mean(), abs=0.012)
    assert weight[answers].sum() == pytest.approx(size, rel=0.02)


def test_what_is_asked_of_the_next_course_is_not_hidden_by_it() -> None:
    starts = drawn_starts(Law(), 1).assign(next_entry=6.0, first_job=np.nan)
    asked = Asked.of(starts)
    sample = sample_of(starts, np.zeros((len(starts), 1)), asked)
    by_name = dict(zip(asked.names, sample.weight.T, strict=True))
    assert (by_name["qualification_12"] == 1).all()
    assert (by_name["work_12"] == 0).all()


def test_people_are_described_by_themselves_alone_on_one_scale() -> None:
    starts = drawn_starts(Law(), 2)
    describe = Describer.of(starts)
    told = describe(starts)
    assert np.isfinite(told).all()
    assert told.mean(axis=0) == pytest.approx(np.zeros(told.shape[1]), abs=1e-9)
    assert told.std(axis=0).max() == pytest.approx(1.0)
    order = np.random.default_rng(1).permutation(len(starts))[:50]
    assert describe(starts.iloc[order]) == pytest.approx(told[order], abs=1e-12)
    assert describe(starts.head(0)).shape == (0, told.shape[1])
    unknown = starts.head(3).assign(age=np.nan, level=pd.NA, sex=None, wanted=None, department="D99")
    assert np.isfinite(describe(unknown)).all()
    assert not (describe(unknown) == told[:3]).all()
    assert "place_tightness" not in Describer.of(starts.assign(place_tightness=np.nan)).columns
    assert np.isfinite(Describer.of(starts.assign(age=30.0, start=AS_DAY))(starts)).all()
    assert Describer.of(starts, without=("sex", "age")).columns == tuple(c for c in describe.columns if c not in ("sex", "age"))


AS_DAY = pd.Timestamp("2024-01-01")


def test_only_days_on_which_both_arms_start_are_compared() -> None:
    days = pd.to_datetime(["2024-01-01", "2024-03-01", "2024-06-01", "2024-02-01", "2024-09-01", "2024-01-15", "2024-03-02"])
    starts = pd.DataFrame({"arm": ["entered"] * 3 + ["listed"] * 2 + ["away"] * 2, "start": days})
    kept = same_times(starts, "listed")
    assert kept["start"].tolist() == [days[1], days[2], days[3], days[6]]


def test_groups_overlap_and_the_unknown_belong_to_none() -> None:
    people = drawn_starts(Law(), 3)
    marks = mark_groups(people)
    assert marks["all"].all()
    assert next(iter(marks)) == "all"
    for name in ("level", "age", "sex", "duration", "place"):
        assert (marks.filter(like=f"{name}=").sum(axis=1) == 1).all(), name
    blank = people[["level", "sex", "rsa"]].head(0).reindex(people.index)
    unknown = people.assign(**blank, age=np.nan, unemployed_months=np.nan, place_class="")
    assert mark_groups(unknown).drop(columns=["all", "public=qpv", "public=th", "public=neet"]).sum().sum() == 0


def test_cells_hold_one_another() -> None:
    starts = drawn_starts(Law(effects={("certification", "230"): 0, ("certification", "312"): 0, ("langue", "150"): 0}), 4)
    treated = (starts["arm"] == "entered").to_numpy()
    cells = Cells.of(starts, treated)
    assert cells.names == (
        ("", ""), ("certification", ""), ("langue", ""), ("certification", "230"), ("certification", "312"), ("langue", "150"),
    )  # fmt: skip
    assert cells.home.tolist() == [-1, 0, 0, 1, 1, 2]
    assert (cells.rows(0) == treated).all()
    assert (cells.rows(1) == (cells.rows(3) | cells.rows(4))).all()
    assert (cells.rows(2) == cells.rows(5)).all()
    assert (cells.rows(3) == (treated & (starts["formacode"] == "23026"))).all()


# Known worlds -----------------------------------------------------------------------------------------------------------

THREE = {("certification", "230"): 0.25, ("certification", "312"): 0.05, ("langue", "150"): -0.1}


@cache
def world(seed: int = 1, **said: object) -> pd.DataFrame:
    return drawn_starts(Law(**said), seed)


@cache
def told_of(seed: int = 1, **said: object) -> Effects:
    return estimated(world(seed, **said))


@cache
def large_starts() -> pd.DataFrame:
    return drawn_starts(Law(1500, 2500, 400, THREE), 5)


@cache
def of_large() -> Effects:
    return estimated(large_starts())


def cells_of(table: pd.DataFrame, outcome: str = "work", group: str = "all") -> pd.DataFrame:
    return table.query("outcome == @outcome and group == @group").set_index(["action_type", "sector"])


def test_known_effects_are_found_and_those_of_raw_rates_are_not() -> None:
    table = cells_of(of_large().table)
    truth = {
        ("certification", ""): 0.15, ("certification", "230"): 0.25, ("certification", "312"): 0.05,
        ("langue", ""): -0.1, ("langue", "150"): -0.1,
    }  # fmt: skip
    assert set(table.index) == set(truth)
    for cell, true in truth.items():
        row = table.loc[cell]
        assert abs(row["value"] - true) < 2.5 * row["error"], cell
        assert row["error"] < 0.05
        assert row["low"] < row["value"] < row["high"]
    chosen = (
        table["raw_rate"] - pd.Series(truth).rename_axis(["action_type", "sector"])
    ).mean()  # of people as they come 0.4 work
    assert chosen > 0.42
    assert table.loc[("certification", "230"), "value"] > table.loc[("certification", "312"), "high"]


def test_what_is_told_has_its_bounds_its_people_and_its_place() -> None:
    table = of_large().table
    assert not table.duplicated(KEY).any()
    assert_frame_equal(table.sort_values(KEY, ignore_index=True), table)
    assert table["overlap"].between(0.9, 1.0).all()
    assert (table["bound_low"] <= table["low"]).all()
    assert (table["bound_high"] >= table["high"]).all()
    second = table[table["group"] == "all"]
    assert ((second["applicants_low"] < second["applicants"]) & (second["applicants"] < second["applicants_high"])).all()
    assert table.loc[table["group"] != "all", "applicants"].isna().all()
    kinds = table.groupby("action_type")["outcome"].agg(set).to_dict()
    assert kinds == {
        "certification": {"work", "durable", "trained_occupation"},
        "langue": {"work", "durable", "qualification"},
    }
    whole = table.query("sector == '' and outcome == 'work'").set_index(["action_type", "group"])["n"]
    for kind in ("certification", "langue"):
        assert whole[kind, "sex=H"] + whole[kind, "sex=F"] == whole[kind, "all"]
    entrants = large_starts().query("arm == 'entered'")["action_type"].value_counts()
    assert (whole.xs("all", level="group") >= 0.98 * entrants).all()


def test_the_order_of_rows_changes_nothing() -> None:
    starts = world()
    one, two = (estimated(each) for each in (starts, starts.sample(frac=1.0, random_state=3)))
    assert_frame_equal(one.table, two.table, atol=1e-9, rtol=0, check_exact=False)
    by_person = [each.gains.sort_values(["person", "start"], ignore_index=True) for each in (one, two)]
    assert_frame_equal(*by_person, atol=1e-9, rtol=0)


def test_other_names_for_the_same_people_change_hardly_anything() -> None:
    starts = world()
    renamed = starts.assign(person="Q" + starts["person"])
    one, two = (estimated(each, EffectParams()).table for each in (starts, renamed))
    assert_frame_equal(one[[*KEY, "n", "raw_rate"]], two[[*KEY, "n", "raw_rate"]], atol=0.02, rtol=0.02)
    assert (one["value"] != two["value"]).any()
    apart = (one["value"] - two["value"]).abs() / one["error"]
    assert apart.max() < 1.0
    assert apart.median() < 0.25


def test_gains_are_those_of_their_course_on_average() -> None:
    told = of_large()
    gains = told.gains
    assert len(gains) == (large_starts()["arm"] == "entered").sum()
    own = cells_of(told.table, "durable").query("sector != ''")
    means = gains.groupby(["action_type", "sector"])[["gain", "promised", "reached"]].mean()
    assert means["gain"].to_numpy() == pytest.approx(own["own"].reindex(means.index).to_numpy(), abs=1e-9)
    assert means["promised"].to_numpy() == pytest.approx(own["value"].reindex(means.index).to_numpy(), abs=1e-12)
    assert set(gains["reached"]) == {0.0, 1.0}


def few_in(starts: pd.DataFrame, sector: str, people: int) -> pd.DataFrame:
    """Let only some of those who entered a sector stay. Same rows, but the others."""
    there = np.flatnonzero((starts["arm"] == "entered") & starts["formacode"].str.startswith(sector))
    return starts.drop(index=starts.index[there[people:]]).reset_index(drop=True)


def test_a_sector_too_small_says_nothing_of_its_own() -> None:
    starts = few_in(large_starts(), "312", 9)
    table = estimated(starts).table
    rows = table.query("sector == '312'")
    assert rows["group"].unique().tolist() == ["all"]
    assert (rows["n"] == 0).all()
    assert (rows["borrowed"] == 1).all()
    assert (rows["grade"] == "D").all()
    assert rows["value"].notna().all()
    assert rows[["own", "raw_rate", "overlap"]].isna().all(axis=None)
    home = table.query("sector == '' and action_type == 'certification' and group == 'all'")["value"]
    assert rows["value"].to_numpy() == pytest.approx(home.to_numpy())
    entered = starts["arm"] == "entered"
    here, there = (np.flatnonzero(entered & (starts["formacode"] == code)) for code in ("31226", "23026"))
    gained = [row for row in here if starts["work_12"].iloc[row] == 0]
    lost = [row for row in there if starts["work_12"].iloc[row] == 1][: len(gained)]
    moved = starts.copy()  # as many more at work here as fewer in a sector that is seen
    moved.loc[gained, "work_12"], moved.loc[lost, "work_12"] = 1.0, 0.0
    again = estimated(moved).table.query("sector == '312'")
    assert again["value"].to_numpy() == pytest.approx(rows["value"].to_numpy(), abs=1e-4)
    assert table.groupby("group")["n"].min().drop("all").min() >= 10


GONE = ["value", "low", "high", "robustness", "bound_low", "bound_high", "applicants", "applicants_low", "applicants_high"]


def test_the_number_of_threads_changes_no_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sums of a matrix product depend on how many share it, in the last digit; a plan between two equal lots, on that."""
    told = []
    for threads in (1, 2, 4):
        monkeypatch.setattr("models.cores.cpu_count", lambda cores=threads: cores)
        with threadpool_limits(limits=threads, user_api="blas"):
            told.append(estimated(world(3)).table)
    for other in told[1:]:
        assert_frame_equal(told[0], other, check_exact=True)


def test_what_is_refused_has_no_value_and_says_so() -> None:
    """Those worth 200 are found for certification and for all courses together, not for langue."""
    starts, tables = world(2, selected=1.5), []
    for fewest in (30, 200, 1000):
        trust = TrustParams(fewest_compared=fewest)
        tables.append(estimated(starts, QUICK.model_copy(update={"trust": trust})).table)
    refused = [each["lowered"] == "refused" for each in tables]
    kinds = [set(table.loc[mark, "action_type"]) for table, mark in zip(tables, refused, strict=True)]
    assert kinds == [set(), {"langue"}, {"certification", "langue"}]
    for table, mark in zip(tables, refused, strict=True):
        assert table.loc[mark, [*GONE, "grade"]].isna().all(axis=None)
        assert table.loc[~mark, ["value", "low", "high", "grade"]].notna().all(axis=None)
    narrow = QUICK.model_copy(update={"trust": TrustParams(smallest_overlap=1.0)})
    assert (estimated(starts, narrow).table.query("group == 'all'")["lowered"] == "refused").all()


def test_nobody_to_compare_gives_an_empty_table_of_the_same_columns() -> None:
    starts, full = world(), told_of()
    for part in (starts.query("arm == 'entered'"), starts.query("arm == 'listed'"), starts.head(0)):
        told = estimated(part.reset_index(drop=True))
        assert_frame_equal(told.table, full.table.head(0))
        assert_frame_equal(told.gains, full.gains.head(0), check_like=True)


@pytest.mark.parametrize("arm", ["entered", "listed", "away"])
def test_three_people_are_no_accident(arm: str) -> None:
    starts = world()
    kept = starts[(starts["arm"] != arm) | (starts.groupby("arm").cumcount() < 3)].reset_index(drop=True)
    table = estimated(kept).table
    if arm == "entered":
        assert (table["n"] == 0).all()
        assert table["value"].isna().all()
    elif arm == "away":
        assert table["applicants"].isna().all()
        assert table["control"].isna().all()
        assert table["value"].notna().any()
    else:  # set against those who did not come
        assert table["value"].notna().any()
        assert table["applicants"].isna().all()
    nobody = kept[kept["arm"].isin(["entered", arm])] if arm != "entered" else kept[kept["arm"] == arm]
    alone = estimated(nobody.reset_index(drop=True)).table
    assert alone["value"].isna().all()


def test_arms_that_never_start_at_the_same_time_are_not_compared() -> None:
    starts = world()
    late = starts["start"].mask(starts["arm"] != "entered", starts["start"] + pd.DateOffset(years=5))
    told = estimated(starts.assign(start=late))
    assert told.table["value"].isna().all()
    assert_frame_equal(told.table.head(0), told_of().table.head(0))


def test_where_training_changes_nothing_little_is_told_and_intervals_hold_nothing() -> None:
    nothing = {("certification", "230"): 0.0, ("certification", "312"): 0.0, ("langue", "150"): 0.0}
    held, values = [], []
    for seed in range(10):
        law = Law(300, 500, 0, nothing, selected=0.6)
        table = estimated(drawn_starts(law, 100 + seed)).table.query("group == 'all' and outcome != 'trained_occupation'")
        held.append((table["low"] <= 0) & (table["high"] >= 0))
        values.append(table["value"])
    assert 0.7 <= np.mean(np.concatenate(held)) <= 0.95
    assert abs(np.mean(np.concatenate(values))) < 0.02
    assert np.abs(np.concatenate(values)).max() < 0.15


def test_a_hidden_trait_sets_designs_apart_and_the_grade_falls() -> None:
    calm, hidden = (told_of(7, entered=700, listed=1500, away=300, hidden=each, selected=0.3).table for each in (0.0, 1.5))
    reasons = hidden["lowered"].str.split("|")
    work = hidden["outcome"] == "work"
    flagged = reasons.map(lambda names: bool({"designs", "control"} & set(names)))
    assert flagged[work].mean() > 0.9
    assert hidden.loc[work, "lowered"].str.contains("designs").mean() > 0.4
    assert not calm["lowered"].str.contains("designs|control").any()
    both = calm.merge(hidden, on=KEY, validate="one_to_one").query("group == 'all' and outcome == 'work'")
    assert (both["grade_y"] > both["grade_x"]).any()
    assert (both["grade_y"] >= both["grade_x"]).all()
    assert hidden.loc[work, "control"].mean() < -0.05 < 0.04 < abs(calm.loc[work, "control"]).mean() + 0.05
    first, second = (hidden.loc[work & (hidden["group"] == "all"), name].mean() for name in ("value", "applicants"))
    assert second > first + 0.03


def test_a_past_that_trainees_were_chosen_by_is_seen() -> None:
    calm, chosen = (told_of(8, past=each).table for each in (0.0, 1.0))
    assert chosen["lowered"].str.contains("placebo").all()
    assert not calm["lowered"].str.contains("placebo").any()
    assert chosen["placebo"].min() > 0.1
    assert calm["placebo"].abs().max() < 0.06
    unknown = estimated(world(8).assign(worked_m25_36=np.nan)).table
    assert unknown["placebo"].isna().all()
    assert not unknown["lowered"].str.contains("placebo").any()


# On a simulated region --------------------------------------------------------------------------------------------------


def test_a_simulated_region_is_told_of_whatever_the_order_of_its_people(checked: dict[str, Checked]) -> None:
    tables = kept_of(checked)
    starts = gathered_from(tables, shipped_links(), params=StartParams(listed_per_entry=4.0))
    openings = pd.DataFrame({"territory": ["BE4441"], "occupation": ["F1703"], "positions": [10.0]})
    placed = add_places(starts, openings, tables["jobseekers"])
    told = estimated(placed)
    again = estimated(placed.sample(frac=1.0, random_state=1))
    assert_frame_equal(told.table, again.table, atol=1e-9, rtol=0)
    whole = told.table.query("group == 'all'")
    assert set(whole["action_type"]) >= {"certification", "mobilisation"}
    assert whole.groupby(["action_type", "sector"])["horizon_months"].agg(set).map(len).min() == 4
    shown = told.table[told.table["value"].notna()]
    assert len(shown) > 20
    assert ((shown["low"] <= shown["value"]) & (shown["value"] <= shown["high"])).all()
    assert shown["value"].between(-1, 1).all()
    assert (told.table.query("group != 'all'")["n"] >= 10).all()
    assert set(told.gains["person"]) <= set(placed.query("arm == 'entered'")["person"])
