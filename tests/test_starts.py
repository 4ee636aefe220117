"""Laws of people at a start: nobody is there for what came later, nothing is told before its day, surveys help out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from start_frames import AS_OF, TABLES, gathered_from, kept_of, months_between, rows_of, shipped_links, shuffled

from features.contracts import Checked
from features.draws import even_draws
from features.exits import OutcomeParams, course_aims
from features.starts import FOLLOWED, StartParams, add_places, people_at
from features.tables import CONTRACT

EVERYBODY = StartParams(listed_per_entry=100.0)
LINKS = pd.DataFrame(
    {"kind": ["CERTIFINFO", "FORMACODE"], "code": ["77", "23026"], "occupation": ["F1703", "F1602"], "weight": [1.0, 0.9]}
)
HERE = {"territory": "BE4441", "department": "D67"}
ELSEWHERE = {"territory": "BE4410", "department": "D08"}
TRAITS = {"birth_year": 1990, "unemployed_months": 6, "worked_m1_12": 1.0, "worked_m13_24": 2.0, "wanted": "F1703", "sex": "F"}
Row = dict[str, object]


def row(cells: Row) -> Row:
    """Write days as days."""
    dated = {"known_from", "entered", "planned_end", "exited", "starts", "ends", "end_known_from", "origin_date"}
    return {name: pd.Timestamp(str(cell)) if name in dated and cell is not None else cell for name, cell in cells.items()}


def training(person: str, entered: str | None = "2024-03-01", status: str = "entre", **said: object) -> Row:
    course = {"session": "S1", "action_type": "certification", "formacode": "23026", "certifinfo": "77"}
    known = str(pd.Timestamp(entered) - pd.DateOffset(months=2)) if entered else "2024-01-01"
    return row(
        {"person": person, "status": status, "known_from": known, "entered": entered, **course, **TRAITS, **HERE, **said}
    )


def spell(person: str, starts: str, ends: str | None = None, contract: str = "CDI", **said: object) -> Row:
    told = {"person": person, "starts": starts, "ends": ends, "contract": contract, "occupation": "F1703", "known_from": starts}
    return row({**told, **HERE, **said})


def listed(person: str, day: str = "2024-01-15", **said: object) -> Row:
    return row({"person": person, "known_from": day, **TRAITS, **HERE, **said})


def answer(person: str, origin: str = "entree", **said: object) -> Row:
    dates = {"origin_date": "2024-03-01", "known_from": "2025-12-31"}
    return row({"person": person, "origin": origin, "answered": True, **dates, **said})


WATCHING = [spell("someone else", "2018-01-01", "2018-02-01"), spell("another", "2026-03-30")]


def made(
    trainings: list[Row],
    spells: list[Row] | None = None,
    lists: list[Row] | None = None,
    answers: list[Row] | None = None,
    as_of: pd.Timestamp = AS_OF,
) -> pd.DataFrame:
    """Gather the starts of rows; one row per start, by person."""
    rows = (trainings, WATCHING if spells is None else spells, answers or [], lists or [])
    tables = {name: rows_of(name, *each) for name, each in zip(TABLES, rows, strict=True)}
    return gathered_from(tables, LINKS, as_of, EVERYBODY).set_index("person")


# Who starts, and when ---------------------------------------------------------------------------------------------------


def test_who_entered_and_who_did_not_come_start_when_the_course_began() -> None:
    told = made(
        [
            training("entered"),
            training("refused", status="refuse"),
            training("absent", status="non_presente", entered="2024-04-01"),
            training("undated", status="refuse", entered=None, known_from="2024-05-01"),
            training("prescribed", status="prescrit"),
            training("ahead", status="prescrit", entered="2026-06-01", known_from="2026-01-01"),
            training("refused ahead", status="refuse", entered="2026-06-01", known_from="2026-01-01"),
        ]
    )
    assert told["arm"].to_dict() == {"absent": "away", "entered": "entered", "refused": "away", "undated": "away"}
    days = told["start"].dt.strftime("%Y-%m-%d").to_dict()
    assert days == {"absent": "2024-04-01", "entered": "2024-03-01", "refused": "2024-03-01", "undated": "2024-06-30"}


def test_who_entered_one_of_two_courses_that_day_was_not_away_from_the_other() -> None:
    rows = [
        training("a", session="S1", status="refuse"),
        training("a", session="S2"),
        training("b", session="S1"),
        training("b", session="S2", status="non_presente"),
        training("c", session="S3", status="refuse"),
    ]
    for each in (rows, rows[::-1]):
        told = made(each)
        assert told["arm"].to_dict() == {"a": "entered", "b": "entered", "c": "away"}
        assert told["session"].to_dict() == {"a": "S2", "b": "S1", "c": "S3"}
        assert told["next_entry"].isna().all()


def test_two_prescriptions_of_one_absence_are_one_start_in_any_order() -> None:
    rows = [
        training("a", status="refuse", known_from=day, birth_year=year)
        for day, year in (("2024-01-01", 1980), ("2024-02-01", 1990))
    ]
    assert_frame_equal(made(rows), made(rows[::-1]))
    assert len(made(rows)) == 1


def test_two_courses_in_a_row_are_one_start_and_far_apart_two() -> None:
    told = made(
        [
            training("twice", "2021-03-01"),
            training("twice", "2022-01-03", session="S2"),
            training("apart", "2020-03-02"),
            training("apart", "2023-03-01", session="S2"),
            training("thrice", "2020-03-02", action_type="langue"),
            training("thrice", "2021-09-01", session="S2"),
            training("thrice", "2022-06-01", session="S3"),
        ]
    )
    days = told["start"].dt.strftime("%Y-%m-%d").groupby(level=0).agg(list).to_dict()
    assert days == {"twice": ["2021-03-01"], "apart": ["2020-03-02", "2023-03-01"], "thrice": ["2020-03-02"]}
    assert told.loc["twice", "next_entry"] == pytest.approx(10.1, abs=0.1)
    assert told.loc["apart", "next_entry"].tolist() == pytest.approx([36.0, np.nan], abs=0.1, nan_ok=True)
    assert told.loc["thrice", "qualification_24"] == 1
    assert told.loc["thrice", "qualification_12"] == 0


def test_a_refusal_makes_nobody_trained() -> None:
    told = made([training("a", "2023-03-01", status="refuse"), training("a", "2023-06-01", session="S2")])
    assert told["arm"].tolist() == ["away", "entered"]
    assert told["next_entry"].tolist() == pytest.approx([3.0, np.nan], abs=0.1, nan_ok=True)


ENTRIES = [training("trainee"), training("later", "2025-04-01")]
LISTS = [listed("idle"), listed("idle", "2025-01-15")]


def test_someone_listed_starts_on_a_day_when_others_entered_before_the_next_list() -> None:
    told = made(ENTRIES, lists=LISTS).loc[["idle"]]
    assert told["start"].tolist() == [pd.Timestamp("2024-03-01"), pd.Timestamp("2025-04-01")]
    nobody_between = made([training("trainee", "2025-04-01")], lists=LISTS).loc[["idle"]]
    assert nobody_between["start"].tolist() == [pd.Timestamp("2024-01-15"), pd.Timestamp("2025-04-01")]
    assert (told["arm"] == "listed").all()


def test_who_works_or_entered_by_then_is_not_compared_and_who_does_later_is() -> None:
    told = made(
        [
            *ENTRIES,
            training("trained before", "2023-12-01"),
            training("trained long before", "2021-02-01"),
            training("trains later", "2024-06-01", action_type="langue"),
            training("trained then", "2024-03-01"),
        ],
        [
            *WATCHING,
            spell("hired before", "2024-02-15"),
            spell("hired that day", "2024-03-01"),
            spell("hired and gone", "2024-01-20", "2024-02-20"),
            spell("hired later", "2024-03-02"),
        ],
        [
            listed(name)
            for name in (
                *("idle", "trained before", "trained long before", "trains later", "trained then"),
                *("hired before", "hired that day", "hired and gone", "hired later"),
            )
        ]
        + [listed("of the next list", "2024-03-02")],
    ).query("arm == 'listed' and start < '2024-03-02'")
    assert set(told.index) == {"idle", "trained long before", "trains later", "hired and gone", "hired later"}
    assert (told["start"] == "2024-03-01").all()
    assert told["next_entry"].dropna().to_dict() == pytest.approx({"trains later": 3.02}, abs=0.01)
    assert told.loc["hired later", ["first_job", "work_6"]].tolist() == pytest.approx([1 / 30.44, 1.0], abs=1e-4)
    assert told.loc["hired and gone", "unemployed_months"] == pytest.approx(10 / 30.44, abs=1e-3)
    assert told.loc["idle", "unemployed_months"] == pytest.approx(6 + 46 / 30.44, abs=1e-2)


def test_trainees_at_work_on_the_day_do_not_start() -> None:
    told = made([training("works"), training("idle")], [*WATCHING, spell("works", "2023-01-01", "2024-03-15")])
    assert told.index.tolist() == ["idle"]


def test_no_more_are_drawn_from_lists_than_wanted_the_same_whoever_is_beside_them() -> None:
    tables = {name: rows_of(name) for name in TABLES}
    entries = [training(f"t{number}") for number in range(100)]
    lists = [listed(f"p{number:04d}") for number in range(2000)]
    tables |= {"trainings": rows_of("trainings", *entries), "employment": rows_of("employment", *WATCHING)}
    drawn = [
        gathered_from(tables | {"jobseekers": rows_of("jobseekers", *lists)}, LINKS, params=StartParams(listed_per_entry=per))
        for per in (2.0, 4.0)
    ]
    few, many = (set(told.loc[told["arm"] == "listed", "person"]) for told in drawn)
    assert len(few) == pytest.approx(200, abs=45)
    assert len(many) == pytest.approx(400, abs=60)
    assert few < many


def test_even_draws_are_even_and_of_their_key_alone() -> None:
    keys = pd.DataFrame({"person": [f"p{number}" for number in range(5000)], "of": "start"})
    drawn = even_draws(keys)
    assert np.sort(drawn) == pytest.approx((np.arange(5000) + 0.5) / 5000, abs=0.03)
    assert (even_draws(keys.iloc[[7, 3]]) == drawn[[7, 3]]).all()
    assert abs(np.corrcoef(drawn, even_draws(keys.assign(of="list")))[0, 1]) < 0.05


# What is known of them ---------------------------------------------------------------------------------------------------


def test_history_is_that_of_the_spells() -> None:
    told = made(
        [training("a", "2024-03-01"), training("b", "2024-03-01"), training("c", "2024-03-01", birth_year=2020)],
        [
            *WATCHING,
            spell("a", "2023-10-02", "2023-12-31"),  # 90 days of the last year
            spell("a", "2022-12-31", "2023-03-31"),  # 30 of the last, 60 of the year before
            spell("a", "2021-02-01", "2021-06-01", contract="MIS"),  # 92 of the third
            spell("a", "2024-09-01"),
            spell("b", "2015-01-01", "2024-02-29"),
        ],
    )
    month = 365.25 / 12
    assert told.loc["a", "worked_m1_12"] == pytest.approx((90 + 30) / month, abs=2e-3)
    assert told.loc["a", "worked_m13_24"] == pytest.approx(60 / month, abs=2e-3)
    assert told.loc["a", "worked_m25_36"] == pytest.approx(92 / month, abs=2e-3)
    assert told.loc["a", "unemployed_months"] == pytest.approx(61 / month, abs=2e-3)
    assert told.loc["a", "first_job"] == pytest.approx(184 / month, abs=2e-3)
    assert told.loc["b", ["worked_m1_12", "worked_m13_24", "worked_m25_36"]].tolist() == pytest.approx([12, 12, 12], abs=0.05)
    assert told.loc["c", ["worked_m1_12", "worked_m13_24", "worked_m25_36", "unemployed_months"]].tolist() == pytest.approx(
        [0, 0, 0, 6 + 60 / month], abs=2e-3
    )
    assert told["age"].to_dict() == pytest.approx({"a": 34.0, "b": 34.0, "c": np.nan}, nan_ok=True)


def test_where_spells_do_not_reach_back_the_row_tells() -> None:
    lately = [
        spell("another", "2023-01-01", "2023-02-01"),
        spell("another", "2026-03-30"),
        spell("a", "2023-12-01", "2024-01-01"),
    ]
    told = made([training("a"), training("b", "2025-03-03")], lately)
    assert told.loc["a", ["worked_m1_12", "worked_m13_24"]].tolist() == [1.0, 2.0]
    assert told.loc["b", ["worked_m1_12", "worked_m13_24"]].tolist() == [0.0, 0.0]
    assert told["worked_m25_36"].isna().all()


def test_birth_years_that_make_no_age_are_unknown() -> None:
    years = {"unborn": 2026, "child": 2012, "adult": 1980, "old": 1940}
    told = made([training(name, birth_year=year) for name, year in years.items()])
    assert told["age"].dropna().to_dict() == {"adult": 44.0}


def test_what_is_not_due_yet_is_blank_and_not_asked() -> None:
    """Spells are known until 30 March: a year and three months after 31 December is a day too late."""
    told = made(
        [training("a", "2024-12-30"), training("b", "2024-12-31"), training("c", "2026-01-15"), training("d", "2024-09-15")]
    )
    asked = told[[f"asked_{months}" for months in (6, 12, 18, 24)]].astype("int64").sum(axis=1)
    assert asked.to_dict() == {"a": 2, "b": 1, "c": 0, "d": 2}
    for months in (6, 12, 18, 24):
        late = ~told[f"asked_{months}"]
        assert told.loc[late, [f"{name}_{months}" for name in FOLLOWED]].isna().all(axis=None)
        assert (told.loc[~late, f"work_{months}"] == 0).all()


def test_work_is_looked_at_on_the_day_and_spells_known_later_are_not_known() -> None:
    spells = [
        *WATCHING,
        spell("short", "2024-08-01", "2024-10-01", contract="MIS"),
        spell("long", "2024-08-01", "2025-05-01", contract="CDD"),
        spell("own", "2024-08-01", contract="IND", occupation="A1101"),
        spell("unnamed", "2024-08-01", occupation=None),
        spell("field", "2024-08-01", occupation="F1602"),
        spell("late", "2024-08-01", known_from="2025-06-01"),
    ]
    names = ["short", "long", "own", "unnamed", "field", "late", "none"]
    courses = [training(name, certifinfo=None if name == "field" else "77") for name in names]
    told = made(courses, spells)
    assert told["work_6"].to_dict() == {name: float(name != "none") for name in names}
    assert told["work_12"].to_dict() == {name: float(name not in ("none", "short")) for name in names}
    assert told["durable_6"].to_dict() == {name: float(name not in ("none", "short")) for name in names}
    assert told["own_business_6"].to_dict() == {name: float(name == "own") for name in names}
    aimed = {"short": 1, "long": 1, "own": 0, "unnamed": np.nan, "field": 1, "late": 1, "none": 0}
    assert told["trained_occupation_6"].to_dict() == pytest.approx(aimed, nan_ok=True)
    before = made(courses, [*spells, spell("another", "2025-04-30")], as_of=pd.Timestamp("2025-05-01"))
    assert before.loc["late", "work_6"] == 0
    assert np.isnan(before.loc["late", "first_job"])


def test_general_types_have_no_occupation_and_those_listed_are_asked_of_the_course_they_are_given() -> None:
    told = made(
        [training("language", action_type="langue", certifinfo=None), training("trainee")],
        [
            *WATCHING,
            spell("language", "2024-06-01"),
            spell("idle", "2024-06-01"),
            spell("other", "2024-06-01", occupation="A1101"),
        ],
        [listed("idle", "2024-02-01"), listed("other", "2024-02-01")],
    )
    assert np.isnan(told.loc["language", "trained_occupation_6"])
    assert told.loc[["idle", "other"], "trained_occupation_6"].tolist() == [1.0, 0.0]
    assert told["wanted_trained"].to_dict() == {"language": False, "trainee": True, "idle": True, "other": True}
    assert told.loc[["idle", "other"], "session"].isna().all()


# Where no spell tells ---------------------------------------------------------------------------------------------------


def test_surveys_tell_where_no_spell_does_and_silence_is_asked_and_blank() -> None:
    away = [training(name, **ELSEWHERE) for name in ("yes", "no", "silent", "unasked", "other day", "wrong origin")]
    told = made(
        [*away, training("here"), training("absent", status="refuse", **ELSEWHERE)],
        lists=[listed("list", **ELSEWHERE)],
        answers=[
            answer("yes", work_6m=True, durable_6m=False, trained_occupation_6m=True, work_12m=False, weight=2.5),
            answer("no", work_6m=False),
            answer("silent", answered=False),
            answer("here", work_6m=True, weight=9.0),
            answer("absent", work_6m=True),
            answer("other day", work_6m=True, origin_date="2024-03-02"),
            answer("wrong origin", "observation", work_6m=True),
            answer("list", "observation", work_6m=True, origin_date="2024-01-15"),
        ],
    )
    assert told["work_6"].dropna().to_dict() == {"yes": 1, "no": 0, "here": 0, "absent": 1, "list": 1}
    assert set(told.index[told["asked_6"]]) == {"yes", "no", "silent", "here", "absent", "list"}
    assert told.loc["yes", ["durable_6", "trained_occupation_6", "work_12", "weight"]].tolist() == [0, 1, 0, 2.5]
    assert told.loc["list", "start"] == pd.Timestamp("2024-01-15")
    assert (told["weight"].drop("yes") == 1.0).all()


def test_surveys_wait_for_the_day_too() -> None:
    told = made(
        [training(name, "2025-03-03", **ELSEWHERE) for name in ("told", "silent")],
        answers=[
            answer("told", work_6m=True, work_12m=True, origin_date="2025-03-03"),
            answer("silent", answered=False, origin_date="2025-03-03"),
        ],
    )
    assert told["asked_6"].all()
    assert not told[["asked_12", "asked_18", "asked_24"]].any(axis=None)
    assert told[["work_12", "work_24"]].isna().all(axis=None)
    before = made([training("told", **ELSEWHERE)], answers=[answer("told", work_6m=True)], as_of=pd.Timestamp("2025-12-30"))
    assert not before["asked_6"].any()


# On a simulated region --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tables(checked: dict[str, Checked]) -> dict[str, pd.DataFrame]:
    return kept_of(checked)


@pytest.fixture(scope="module")
def whole(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Everybody at a start in the tiny region; nobody changes it."""
    return gathered_from(tables, shipped_links(), params=EVERYBODY)


def test_the_order_of_rows_changes_nothing(tables: dict[str, pd.DataFrame], whole: pd.DataFrame) -> None:
    turned = {name: shuffled(frame) for name, frame in tables.items()}
    assert_frame_equal(gathered_from(turned, shipped_links(), params=EVERYBODY), whole)


def test_what_comes_after_changes_nothing(tables: dict[str, pd.DataFrame]) -> None:
    """A year ago the same was told, and what was told then stands but for spells whose end was not known."""
    then = AS_OF - pd.DateOffset(months=12)
    before = gathered_from(tables, shipped_links(), then)
    cut = {name: CONTRACT[name].known_at(tables[name], then) for name in TABLES}
    assert_frame_equal(gathered_from(cut, shipped_links(), then), before)
    later = gathered_from(tables, shipped_links())
    trained = before[(before["arm"] == "entered") & before["asked_6"]]
    both = trained.merge(later, on=["person", "start", "arm"], how="left", validate="one_to_one")
    assert len(both) > 50
    for name in ("age", "worked_m1_12", "unemployed_months", "work_6", "durable_6", "qualification_6", "trained_occupation_6"):
        said = both[f"{name}_x"].notna()
        assert (both[f"{name}_x"] == both[f"{name}_y"])[said].mean() > 0.99, name


def test_nobody_listed_starts_after_they_found_work_or_entered(tables: dict[str, pd.DataFrame], whole: pd.DataFrame) -> None:
    idle = whole[whole["arm"] == "listed"].reset_index(drop=True)
    lists = np.sort(tables["jobseekers"]["known_from"].unique())
    entered = tables["trainings"].query("status == 'entre'")
    seen = pd.Series(lists[np.searchsorted(lists, idle["start"].to_numpy(), side="right") - 1], index=idle.index)
    known = set(zip(tables["jobseekers"]["person"], tables["jobseekers"]["known_from"], strict=True))
    assert all(pair in known for pair in zip(idle["person"], seen, strict=True))
    assert (idle["start"].isin(entered["entered"]) | (idle["start"] == lists[-1])).all()
    both = idle[["person", "start"]].merge(tables["employment"], on="person", validate="many_to_many")
    until = both["ends"].fillna(both["planned_end"]).fillna(pd.Timestamp("2100-01-01"))
    assert not ((both["starts"] <= both["start"]) & (until >= both["start"])).any()
    trained = idle[["person", "start"]].merge(entered[["person", "entered"]], on="person", validate="many_to_many")
    months = months_between(trained["entered"], trained["start"])
    assert not ((months >= 0) & (months < 24)).any()


def test_nobody_is_left_out_for_what_comes_after(tables: dict[str, pd.DataFrame], whole: pd.DataFrame) -> None:
    """Who is not at a start worked, or had entered a course, at some day before the next list."""
    idle = whole[whole["arm"] == "listed"]
    lists = np.sort(tables["jobseekers"]["known_from"].unique())
    ends = pd.Series([*lists[1:], AS_OF], index=lists)
    rows = tables["jobseekers"][["person", "known_from"]].assign(until=lambda t: t["known_from"].map(ends))
    at = idle[["person", "start"]].merge(rows, on="person", validate="many_to_many")
    there = at[(at["start"] >= at["known_from"]) & ((at["start"] < at["until"]) | (at["until"] == AS_OF))]
    keys = pd.MultiIndex.from_frame(rows[["person", "known_from"]])
    missing = rows[~keys.isin(pd.MultiIndex.from_frame(there[["person", "known_from"]]))]
    worked = missing.reset_index().merge(tables["employment"].drop(columns="known_from"), on="person", validate="many_to_many")
    over = worked["ends"].fillna(worked["planned_end"]).fillna(pd.Timestamp("2100-01-01"))
    busy = worked.loc[(worked["starts"] < worked["until"]) & (over >= worked["known_from"]), "index"]
    began = missing.reset_index().merge(
        tables["trainings"].query("status == 'entre'")[["person", "entered"]], on="person", validate="many_to_many"
    )
    trained = began.loc[
        (began["entered"] < began["until"]) & (months_between(began["entered"], began["known_from"]) < 24), "index"
    ]
    unexplained = missing.index.difference(busy).difference(trained)
    assert len(missing) > 100
    # Whoever did not come to a course that day is there as such.
    others = whole[whole["arm"] == "away"]["person"]
    assert missing.loc[unexplained, "person"].isin(others).all()
    assert len(there) > 1000
    assert (idle["next_entry"] > 0).sum() > 20


def test_those_listed_are_given_courses_for_what_they_want_as_often_as_trainees_take_them(whole: pd.DataFrame) -> None:
    taken = whole[(whole["arm"] == "entered") & (whole["course"] >= 0)]
    _, aims = course_aims(whole[whole["arm"] == "entered"], shipped_links(), OutcomeParams())
    somewhere = whole["wanted"].isin(aims.loc[aims["course"].isin(taken["course"]), "occupation"])
    asked = whole[somewhere & (whole["course"] >= 0)].groupby("arm")["wanted_trained"]
    assert asked.size()[["entered", "listed"]].min() > 200
    share = asked.mean()
    assert 0.5 < share["entered"] < 0.95
    assert share["listed"] == pytest.approx(share["entered"], abs=0.06)
    assert not whole.loc[~somewhere, "wanted_trained"].any()
    given = whole.loc[whole["arm"] == "listed", "course"]
    assert set(given) <= set(whole.loc[whole["arm"] == "entered", "course"])
    often = [each.value_counts(normalize=True) for each in (given, taken["course"])]
    assert often[0].sub(often[1], fill_value=0.0).abs().max() < 0.08


def test_nothing_known_is_an_empty_frame_of_the_same_columns(tables: dict[str, pd.DataFrame], whole: pd.DataFrame) -> None:
    without = {name: gathered_from(tables | {name: tables[name].head(0)}, shipped_links()) for name in TABLES}
    nothing = gathered_from({name: frame.head(0) for name, frame in tables.items()}, shipped_links())
    assert nothing.empty
    for told in (*without.values(), nothing):
        assert_frame_equal(told.head(0), whole.head(0))
    assert without["trainings"].empty
    assert "listed" not in set(without["jobseekers"]["arm"])
    assert (without["employment"]["arm"] == "entered").sum() >= (whole["arm"] == "entered").sum()
    assert without["employment"]["work_12"].notna().sum() <= len(tables["outcomes"])
    assert without["employment"]["first_job"].isna().all()


# Where they live --------------------------------------------------------------------------------------------------------


def test_places_and_wishes_are_as_tight_as_openings_say() -> None:
    starts = pd.DataFrame({"territory": ["BE1", "BE2", "BE3", None], "wanted": ["F1703", "F1602", None, "A1101"]}).astype("str")
    people = pd.DataFrame({"territory": ["BE1"] * 300 + ["BE2"] * 300 + ["BE3"] * 300, "wanted": ["F1703", "F1602"] * 450})
    openings = pd.DataFrame(
        {
            "territory": ["BE1", "BE2", "BE3"] * 2,
            "occupation": ["F1703"] * 3 + ["F1602"] * 3,
            "positions": [10.0, 50.0, 300.0, 20.0, 100.0, 600.0],
        }
    )
    told = add_places(starts, openings, people)
    assert told["place_class"].tolist() == ["slack", "middle", "tight", ""]
    assert told["place_tightness"].head(3).is_monotonic_increasing
    assert told["place_tightness"].isna().tolist() == [False, False, False, True]
    first, second = told["wanted_tightness"].iloc[:2]
    assert first < 0 < second
    assert second - first == pytest.approx(np.log(2), abs=0.1)
    assert told["wanted_tightness"].iloc[2:].isna().all()
    nobody = add_places(starts, openings.head(0), people.head(0))
    assert nobody.dtypes.equals(told.dtypes)


def test_people_served_tonight_look_like_people_at_a_start(tables: dict[str, pd.DataFrame], whole: pd.DataFrame) -> None:
    people = tables["jobseekers"]
    told = people_at(people, AS_OF)
    assert len(told) == len(people)
    assert set(told) - {"birth_year"} <= set(whole)
    assert (told["age"].dropna() == (2026 - people["birth_year"]).loc[told["age"].notna()]).all()
    assert told["age"].dropna().between(14, 80).all()
