"""Demand: no position lost or made, and nothing that was not known counts."""

from __future__ import annotations

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from features import facts
from features.border import border_shares, observe_border, spread_border
from features.demand import DemandParams, add_need, count_repeats, estimate_coverage, fill_months, observe_offers
from features.hires import HireParams, count_hires
from features.lazy import ask, lazy
from features.reliability import GRADES, ReliabilityParams, grade_cells, last_error
from features.sources.offers import date_versions
from features.spreading import CELL, population_shares, spread_over_cells
from features.tables import EMPLOYMENT, OFFERS
from features.vocabulary import InputError
from needs.run.inputs import Inputs

AS_OF = pd.Timestamp("2026-03-31")
DAYS = pd.date_range("2025-01-01", "2026-06-30")
COUNTS = ["positions", "seasonal", "short"]


def offers_of(rows: list[dict[str, object]]) -> pd.DataFrame:
    """Make a table of offers: what is not said is a lasting position in Strasbourg. One row per version."""
    usual = {"created": DAYS[0], "known_from": DAYS[0], "occupation": "A1101", "contract": "CDI", "seasonal": False}
    place = {"commune": "C67482", "territory": "BE4441", "department": "D67", "positions": 1}
    told = [{"offer": f"{at:04d}", **usual, **place, **row} for at, row in enumerate(rows)]
    frame = pd.DataFrame(told).reindex(columns=list(OFFERS.names)).astype({c.name: c.dtype for c in OFFERS.columns})
    return date_versions(OFFERS.sort(frame))


def observed(frame: pd.DataFrame, as_of: pd.Timestamp = AS_OF) -> pd.DataFrame:
    return observe_offers(lazy(frame), facts.communes(), as_of, DemandParams())


PLACES = [
    {"commune": "C67482", "territory": "BE4441", "department": "D67"},
    {"commune": None, "territory": None, "department": "D67"},
    {"commune": None, "territory": None, "department": "D08"},
    {"commune": None, "territory": None, "department": None},
]
ROW = st.fixed_dictionaries(
    {
        "offer": st.integers(0, 5).map("{:04d}".format),
        "created": st.sampled_from(DAYS[:300].tolist()),
        "late": st.integers(0, 200),
        "positions": st.integers(1, 50),
        "seasonal": st.booleans(),
        "contract": st.sampled_from(["CDI", "CDD", "MIS"]),
        "occupation": st.sampled_from(["A1101", "K2204"]),
        "place": st.integers(0, 3),
    }
)


@settings(max_examples=25)
@given(st.lists(ROW, min_size=1, max_size=12))
def test_positions_are_those_of_the_last_version_known_wherever_it_stands(rows) -> None:
    told = [{**row, **PLACES[row["place"]], "known_from": row["created"] + pd.Timedelta(days=row["late"])} for row in rows]
    frame = offers_of(told).drop_duplicates(["offer", "known_from"])
    frame = date_versions(frame.drop(columns="superseded").reset_index(drop=True))
    known = frame[frame["known_from"] <= AS_OF]
    last = known.drop_duplicates("offer", keep="last")
    first = known.groupby("offer")["created"].min().reindex(last["offer"])
    months = first.dt.strftime("%Y-%m").value_counts()
    counted = observed(frame)
    assert counted[COUNTS].to_numpy().sum() == pytest.approx(last["positions"].sum(), rel=1e-12)
    assert counted["vacancies"].sum() == pytest.approx(len(last), rel=1e-12)
    by_month = counted.groupby("period")["vacancies"].sum()
    assert by_month.to_dict() == pytest.approx(months.reindex(by_month.index).to_dict())
    assert counted["seasonal"].sum() == pytest.approx(last.loc[last["seasonal"].astype(bool), "positions"].sum())


def test_later_rows_and_the_order_of_rows_change_no_byte(inputs: Inputs) -> None:
    frame = inputs.tables.offers.to_table().to_pandas()
    early = pd.Timestamp("2025-06-30")
    whole = observed(frame, early)
    deleted = frame[frame["known_from"] <= early]
    assert len(deleted) < len(frame)
    assert_frame_equal(observed(deleted, early), whole)
    assert_frame_equal(observed(date_versions(deleted.drop(columns="superseded").reset_index(drop=True)), early), whole)
    assert_frame_equal(observed(frame.sample(frac=1.0, random_state=1), early), whole)


def test_more_vacancies_never_lower_what_is_counted(inputs: Inputs) -> None:
    frame = inputs.tables.offers.to_table().to_pandas()
    more = pd.concat([frame, frame.sample(50, random_state=2).assign(offer=lambda t: "new" + t["offer"])], ignore_index=True)
    key = [*CELL, "occupation", "period"]
    before, after = (observed(rows).set_index(key)[["vacancies", *COUNTS]] for rows in (frame, more))
    grown = after.sub(before.reindex(after.index, fill_value=0.0))
    assert (grown >= -1e-9).all().all()
    assert grown["vacancies"].sum() > 0


def test_files_of_the_lake_and_rows_at_hand_count_alike(tmp_path, inputs: Inputs) -> None:
    table = inputs.tables.offers.to_table()
    ds.write_dataset(table, tmp_path / "it's", format="parquet", partitioning=["department"], partitioning_flavor="hive")
    for dataset in (ds.dataset(tmp_path / "it's", partitioning="hive"), ds.dataset(table), inputs.tables.offers):
        told = observe_offers(dataset, facts.communes(), AS_OF, DemandParams())
        assert_frame_equal(told, observed(table.to_pandas()))


def test_optional_columns_may_lack_and_others_are_asked_for(inputs: Inputs) -> None:
    table = inputs.tables.offers.to_table()
    told = observe_offers(ds.dataset(table.drop_columns(["hourly_eur"])), facts.communes(), AS_OF, DemandParams())
    assert told["wage_told"].sum() == 0
    assert told["positions"].sum() == observed(table.to_pandas())["positions"].sum()
    with pytest.raises(InputError, match="column 'positions' is missing"):
        observe_offers(ds.dataset(table.drop_columns(["positions"])), facts.communes(), AS_OF, DemandParams())


def test_a_vanished_file_is_told_in_words(tmp_path, inputs: Inputs) -> None:
    ds.write_dataset(inputs.tables.offers.to_table(), tmp_path, format="parquet")
    dataset = ds.dataset(tmp_path)
    for path in tmp_path.glob("*.parquet"):
        path.unlink()
    with pytest.raises(InputError, match="needs ingest"):
        observe_offers(dataset, facts.communes(), AS_OF, DemandParams())


def test_what_offers_say_is_counted_over_those_that_say_it() -> None:
    rows = [
        {"experience": "D", "level": 3, "hourly_eur": 12.5},
        {"experience": "E", "level": 5, "hourly_eur": 20.0, "positions": 4},
        {"contract": "CDD", "contract_months": 2.0},
        {"contract": "CDD", "contract_months": 6.0},
        {"seasonal": True, "contract": "SAI", "contract_months": 12.0},
    ]
    told = observed(offers_of(rows)).iloc[0]
    assert told[["vacancies", "positions", "short", "seasonal"]].tolist() == [5, 6, 1, 1]
    assert told[["beginners", "experienced", "level_told", "level_below_4"]].tolist() == [1, 1, 2, 1]
    assert told[["wage_told", "wage_cents"]].tolist() == [2, 3250]


def test_time_on_line_runs_from_the_first_publication_to_the_last_update() -> None:
    versions = [{"offer": "a", "known_from": DAYS[0]}, {"offer": "a", "created": DAYS[9], "known_from": DAYS[20]}]
    told = observed(offers_of([*versions, {"offer": "b"}])).iloc[0]
    assert told[["vacancies", "days_on_line", "period"]].tolist() == [2, 20, "2025-01"]


def test_offers_published_again_are_told_from_chance() -> None:
    communes = facts.communes().query("department == 'D67'")["commune"].head(40).tolist()
    first = [{"commune": commune, "created": DAYS[200], "known_from": DAYS[200]} for commune in communes]
    again = [{**row, "created": DAYS[230], "known_from": DAYS[230]} for row in first[:15]]
    chance = [{**row, "created": DAYS[200 + 30], "known_from": DAYS[200 + 30], "contract": "MIS"} for row in first]
    told = count_repeats(lazy(offers_of([*first, *again, *chance])), AS_OF, DemandParams())
    assert told[["vacancies", "alike", "by_chance", "repeated"]].values.tolist() == [[95.0, 15.0, 0.0, 15.0]]
    steady = [{"created": DAYS[day], "known_from": DAYS[day]} for day in range(100, 430, 30)]
    assert count_repeats(lazy(offers_of(steady)), AS_OF, DemandParams())["repeated"].sum() <= 4


def test_positions_published_again_come_near_those_of_the_twin(twin, inputs: Inputs) -> None:
    told = count_repeats(inputs.tables.offers, AS_OF, DemandParams()).sum(numeric_only=True)
    assert 0.005 < told["repeated"] / told["vacancies"] < 0.12  # one in twenty-five or so of what is not filled


def test_openings_across_the_border_stand_apart_and_count_as_far_as_asked() -> None:
    towns = facts.borders()
    params = DemandParams(border_weight=0.5)
    rows = [{"border": "DE", "commune": None, "territory": None, "department": None, "positions": 8}, {}]
    offers = lazy(offers_of(rows))
    shares = border_shares(facts.communes(), towns, params)
    assert shares.groupby("border")["share"].sum().to_numpy() == pytest.approx(np.ones(4))
    assert shares.query("border == 'LU'").nlargest(1, "share")["department"].tolist() in (["D54"], ["D57"])
    near = spread_border(observe_border(offers, AS_OF, params), shares)
    assert near["border"].sum() == pytest.approx(8)
    seen = observe_offers(offers, facts.communes(), AS_OF, params)
    assert seen["positions"].sum() == 1
    panel = fill_months(seen, near, AS_OF)
    coverage = pd.DataFrame({"territory": ["BE4441"], "coverage": [0.5]})
    none, half = (add_need(panel, coverage, DemandParams(border_weight=w))["need"].sum() for w in (0.0, 0.5))
    assert (none, half - none) == (2.0, pytest.approx(0.5 * panel["border"].sum()))
    assert panel["border"].sum() > 0


def test_sums_are_shared_by_population_and_stay_in_the_bassin_they_name() -> None:
    shares = population_shares(facts.communes())
    assert shares.groupby("department")["share"].sum().to_numpy() == pytest.approx(np.ones(10))
    assert shares["share_of_region"].sum() == pytest.approx(1)
    seen = pa.table({"territory": ["BE4441", None], "department": ["D67", "D67"], "kind": ["a", "b"], "count": [3.0, 10.0]})
    told = spread_over_cells(seen, facts.communes(), {"kind": ["a", "b"]})
    assert told.loc[told["kind"] == "a", [*CELL, "count"]].values.tolist() == [["BE4441", "D67", 3.0]]
    both = told[told["kind"] == "b"].merge(shares, on=CELL, validate="one_to_one")
    assert both["count"].to_numpy() == pytest.approx(10 * both["share"])
    nothing = spread_over_cells(seen.slice(0, 0), facts.communes(), {"kind": []})
    assert (len(nothing), list(nothing)) == (0, [*CELL, "kind", "count"])


def test_a_question_is_answered_in_the_types_of_our_tables() -> None:
    told = ask("SELECT a, $b AS b FROM t", {"t": pd.DataFrame({"a": ["x"]})}, b=AS_OF)
    assert told.dtypes.astype(str).tolist() == ["str", "datetime64[us]"]


# Hires and grades -------------------------------------------------------------------------------------------------------


def test_hires_are_counted_over_a_year_and_tell_of_no_person() -> None:
    spells = pd.DataFrame(
        {
            "person": [f"p{k}" for k in range(60)],
            "starts": [pd.Timestamp("2025-06-01")] * 40 + [pd.Timestamp("2024-06-01")] * 19 + [pd.Timestamp("2026-02-01")],
            "occupation": "A1101",
            "contract": "CDI",
            "territory": "BE4441",
            "department": "D67",
            "known_from": pd.Timestamp("2025-07-01"),
        }
    )
    told = count_hires(spells.reindex(columns=list(EMPLOYMENT.names)), AS_OF, HireParams())
    assert told[["value", "n", "before"]].values.tolist() == [[40.0, 40.0, 20.0]]  # the youngest is not all declared yet
    assert count_hires(EMPLOYMENT.empty(), AS_OF, HireParams()).empty


CELL_ROW = st.fixed_dictionaries(
    {
        "n": st.floats(0, 300),
        "age_years": st.none() | st.floats(0, 9),
        "coverage": st.none() | st.floats(0, 1),
        "error": st.none() | st.floats(0, 1),
        "sources": st.none() | st.integers(1, 5),
    }
)


@settings(max_examples=60)
@given(CELL_ROW, st.sampled_from(["n", "age_years", "coverage", "error", "sources"]))
def test_knowing_more_never_lowers_a_grade_and_knowing_less_never_raises_it(inputs: Inputs, row, name) -> None:
    limits = inputs.params.features.grades.limits()
    better = {"n": 500.0, "age_years": 0.0, "coverage": 1.0, "error": 0.0, "sources": 5}
    worse = {"n": 0.0, "age_years": None, "coverage": None, "error": None, "sources": None}
    rows = pd.DataFrame([row | {name: better[name]}, row, row | {name: worse[name]}], dtype="float64")
    ranks = grade_cells(rows, limits, ReliabilityParams())["grade"].map(GRADES.index).tolist()
    assert ranks == sorted(ranks)


def test_a_grade_says_why_it_was_lowered(inputs: Inputs) -> None:
    rows = pd.DataFrame({"n": [200.0] * 2, "age_years": [0.5, 5.0], "coverage": [0.8, 0.1], "error": 0.1, "sources": 3})
    told = grade_cells(rows, inputs.params.features.grades.limits(), ReliabilityParams())
    assert told[["grade", "lowered"]].values.tolist() == [["A", ""], ["C", "age|coverage"]]


def test_the_error_of_last_year_is_that_of_the_last_value() -> None:
    told = last_error(pd.Series([10.0, 0.0, 5.0, 0.0]), pd.Series([10.0, 4.0, 10.0, 0.0]))
    assert told.fillna(-1).tolist() == [0.0, 1.0, 0.5, -1.0]


def test_more_vacancies_never_lower_the_need_of_their_occupation_or_of_their_territory() -> None:
    lasting = pd.Series({"BE4441": 300.0})
    months = [{"created": day, "known_from": day} for day in DAYS[100:400:30]]
    rows = [{**row, "occupation": code} for row in months for code in ("A1101", "K2204") for _ in range(4)]
    needs = []
    for added in (0, 1, 5, 40, 400):
        more = [{**months[-1], "occupation": "A1101"}] * added
        offers = lazy(offers_of([*rows, *more]))
        seen = observe_offers(offers, facts.communes(), AS_OF, DemandParams())
        panel = fill_months(seen, spread_border(observe_border(offers, AS_OF, DemandParams()), NOWHERE), AS_OF)
        need = add_need(panel, estimate_coverage(panel, lasting, DemandParams()), DemandParams())
        needs.append((need["need"].sum(), need.loc[need["occupation"] == "A1101", "need"].sum()))
    assert (np.diff(np.array(needs), axis=0) >= -1e-9).all()
    assert needs[-1][1] > needs[0][1]


NOWHERE = border_shares(facts.communes(), facts.borders(), DemandParams())


@pytest.mark.parametrize("contract", [None, "", "CDI", "CDD", "LIB", "XYZ"])
@pytest.mark.parametrize("months", [None, 2.0, 12.0])
def test_every_position_is_lasting_seasonal_or_short_whatever_the_contract(contract, months) -> None:
    told = observed(offers_of([{"contract": contract, "contract_months": months, "positions": 3}, {"positions": 2}]))
    assert told[COUNTS].to_numpy().sum() == 5


def test_versions_that_do_not_say_when_they_end_are_told_apart_all_the_same(inputs: Inputs) -> None:
    table = inputs.tables.offers.to_table()
    told = observe_offers(ds.dataset(table.drop_columns(["superseded"])), facts.communes(), AS_OF, DemandParams())
    assert_frame_equal(told, observed(table.to_pandas()))


def test_offers_of_a_few_months_are_held_against_as_many_months_of_projects() -> None:
    months = pd.period_range("2025-04", "2026-03", freq="M").astype(str)
    steady = pd.DataFrame({"territory": "BE4441", "period": months, "positions": 10.0})
    lasting = pd.Series({"BE4441": 240.0})
    whole, quarter = (estimate_coverage(rows, lasting, DemandParams())["coverage"].item() for rows in (steady, steady.tail(3)))
    assert whole == quarter == 0.5


@pytest.mark.parametrize("threads", [1, 3])
def test_the_threads_of_the_engine_change_no_byte(monkeypatch, inputs: Inputs, threads: int) -> None:
    whole = observed(inputs.tables.offers.to_table().to_pandas())
    connect = duckdb.connect
    monkeypatch.setattr(duckdb, "connect", lambda: connect(config={"threads": threads}))
    assert_frame_equal(observe_offers(inputs.tables.offers, facts.communes(), AS_OF, DemandParams()), whole)
