"""Laws of the plan as it is tendered: its terms come from past purchases, its sums agree, and no cell does harm."""

from __future__ import annotations

import json

import numpy as np
import openpyxl
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_show import EXERCISE
from test_show import published as shown

from features.lot_history import (
    GROUPS,
    QUOTA,
    count_past,
    entrants_by_group,
    last_purchase,
    usual_calendar,
    usual_shares,
    usual_terms,
)
from features.options import OPTION
from features.publics import PublicParams
from needs.show.lot_sheets import BANDS, COLUMNS, complete_lots, lots_sheet
from needs.show.messages import LANGUAGES, messages, say
from needs.show.plan_sheets import changes_sheet, plan_sheets, reliability_sheet, synthesis_sheet
from needs.show.workbook import write_exports
from needs.store.schema import TABLES, conform, empty

SMALLEST = 10
COMMUNES = pd.DataFrame(
    {
        "commune": ["C67482", "C67001", "C08105"],
        "territory": ["BE4441", "BE4441", "BE4412"],
        "department": ["D67", "D67", "D08"],
        "zone": ["ZE4416", "ZE4416", "ZE4403"],
        "maison": ["MR09", "MR09", "MR01"],
        "population": [280_000.0, 2_500.0, 46_000.0],
    }
)


def whole(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Give every published table; those that are not there without a row."""
    return {name: conform(name, tables[name]) if name in tables else empty(name) for name in TABLES}


@pytest.fixture
def tables() -> dict[str, pd.DataFrame]:
    return whole(shown())


# What the sheets say ----------------------------------------------------------------------------------------------------


def in_cents(euros: pd.Series) -> int:
    """Read money back as whole cents."""
    cents = (euros * 100).round()
    assert np.allclose(euros * 100, cents, atol=1e-6), "money has no parts of cents"
    return int(cents.sum())


def test_the_sheets_of_the_plan_come_first_in_their_order(tables, tmp_path):
    book = openpyxl.load_workbook(write_exports(tmp_path, EXERCISE, tables, "fr")[0])
    names = ["Lots", "Synthèse", "Non retenus", "Changements n−1", "Équité", "Fiabilité", "Hypothèses"]
    assert book.sheetnames[1:8] == names
    assert book.sheetnames[0] == say("sheet_digest", "fr")


def test_every_lot_has_its_line_whatever_is_known_of_it(tables):
    tables["lot_details"] = tables["lot_details"].iloc[::2]
    for name in ("lots", "rejected_lots"):
        rows = lots_sheet(name, complete_lots(name, tables), EXERCISE, "fr").rows
        assert sorted(rows["lot_id"]) == sorted(tables[name]["lot_id"])
        assert rows["cost_eur"].sum() == pytest.approx(tables[name]["cost_cents"].sum() / 100)
    alone = {name: empty(name) for name in TABLES} | {"lots": tables["lots"]}
    assert len(lots_sheet("lots", complete_lots("lots", alone), EXERCISE, "en").rows) == len(tables["lots"])


def test_every_axis_of_the_synthesis_is_the_sum_of_the_lots_to_the_cent(tables):
    lots = complete_lots("lots", tables)
    rows = synthesis_sheet(lots, "fr").rows
    assert set(rows["axis"]) == {
        say(f"axis_{axis}", "fr") for axis in ("all", "envelope", "territory", "sector_group", "action_type")
    }
    detailed = lots_sheet("lots", lots, EXERCISE, "fr").rows
    for _, axis in rows.groupby("axis"):
        assert in_cents(axis["cost_eur"]) == int(tables["lots"]["cost_cents"].sum()) == in_cents(detailed["cost_eur"])
        assert in_cents(axis["total_eur"]) == in_cents(detailed["total_eur"])
        assert in_cents(axis["total_eur"]) == in_cents(axis["cost_eur"]) + in_cents(axis["allowance_eur"])
        assert axis["places"].sum() == tables["lots"]["places"].sum()
        assert axis["lots"].sum() == len(tables["lots"])
        assert axis["jobs"].sum() == pytest.approx(tables["lots"]["value"].sum())


def test_the_money_of_a_lot_is_made_of_its_parts(tables):
    rows = lots_sheet("lots", complete_lots("lots", tables), EXERCISE, "fr").rows
    for _, lot in rows.iterrows():
        assert round(lot["teaching_eur"] * 100) + round(lot["annex_eur"] * 100) == round(lot["cost_eur"] * 100)
        assert round(lot["total_eur"] * 100) == round(lot["cost_eur"] * 100) + round(lot["allowance_eur"] * 100)


def test_changes_add_up_to_both_years(tables):
    rows = changes_sheet(tables["purchase_changes"], "fr").rows
    assert in_cents(rows["cost_planned_eur"]) == int(tables["lots"]["cost_cents"].sum())
    assert in_cents(rows["cost_before_eur"]) == int(tables["purchase_changes"]["cents_before"].sum())
    assert (rows["places_difference"] == rows["places_planned"] - rows["places_before"]).all()
    assert rows["cost_difference_eur"].abs().is_monotonic_decreasing


def test_reliability_shares_out_all_lots_under_each_criterion(tables):
    rows = reliability_sheet(complete_lots("lots", tables), "fr")
    for _, criterion in rows.rows.groupby("criterion"):
        assert criterion["lots"].sum() == len(tables["lots"])
        assert in_cents(criterion["cost_eur"]) == int(tables["lots"]["cost_cents"].sum())
        assert criterion["cost_share"].sum() == pytest.approx(1.0)
        assert criterion["jobs_share"].sum() == pytest.approx(1.0)
    weak = tables["lots"].query("grade == 'D'")["value"].sum() / tables["lots"]["value"].sum()
    assert rows.notes == (say("notes_reliability", "fr", share=weak),)


@pytest.mark.parametrize(("stability", "word"), [(0.8, "robust"), (0.79, "fragile"), (0.2, "fragile"), (0.19, "out")])
def test_stability_is_told_in_three_classes(tables, stability, word):
    rows = reliability_sheet(complete_lots("lots", tables).assign(stability=stability), "fr").rows
    told = rows.loc[rows["criterion"] == say("criterion_stability", "fr"), "class_named"]
    assert told.tolist() == [say(f"stability_{word}", "fr")]


def test_what_would_tip_a_lot_and_how_sure_it_is_are_said_in_words(tables):
    moves = [["rule", "Ardennes"], ["need", 1.08], ["price", 0.83], ["effect", 1.21]]
    tables["lots"] = tables["lots"].assign(tipping=json.dumps(moves), stability=0.5, lever="aide", rule="Ardennes")
    row = lots_sheet("lots", complete_lots("lots", tables), EXERCISE, "fr").rows.iloc[0]
    assert row["tipping"] == "règle\u00a0: Ardennes, besoin +8\u00a0%, prix −17\u00a0%, effet ×1,21"
    assert row[["stability_class", "lever", "rule"]].tolist() == ["fragile", "aide", "Ardennes"]


def test_no_cell_can_be_read_as_a_formula(tables, tmp_path):
    hostile = "=HYPERLINK(1)"
    for name, column in [("lot_details", "certification_title"), ("lot_details", "registration"), ("assumptions", "value")]:
        tables[name] = tables[name].assign(**{column: hostile})
    tables["lots"] = tables["lots"].assign(skills=json.dumps([["1", 0.5, 1, "@SUM(A1)"]]), envelope="+1")
    workbook, plan, *_ = write_exports(tmp_path, EXERCISE, tables, "fr")
    for sheet in openpyxl.load_workbook(workbook).worksheets:
        formulas = [cell.value for row in sheet.iter_rows() for cell in row if cell.data_type == "f"]
        assert all(str(formula).startswith("=SUBTOTAL(109,") for formula in formulas), sheet.title
    read = pd.read_csv(plan, sep=";", dtype=str, encoding="utf-8-sig", keep_default_na=False)
    texts = read[[title for title in read if not read[title].str.fullmatch(r"-?[\d,.]*").all()]]
    assert not texts.map(lambda cell: cell.startswith(("=", "+", "-", "@"))).any(axis=None)
    assert set(read["Certification"]) == {f"'{hostile}"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_workbook_is_the_same_bytes_whatever_the_row_order(tables, tmp_path, language):
    shuffled = {name: frame.sample(frac=1, random_state=3) for name, frame in tables.items()}
    first, second = (
        write_exports(tmp_path / name, EXERCISE, frames, language) for name, frames in (("a", tables), ("b", shuffled))
    )
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_column_and_group_of_columns_has_words(tables, language):
    for sheet in plan_sheets(tables, EXERCISE, language):
        assert [name for name in sheet.rows if f"column_{name}" not in messages()] == [], sheet.name
        assert {f"sheet_{sheet.name}", f"title_{sheet.name}"} <= set(messages())
    assert all(f"band_{band}" in messages() for band in BANDS)
    assert len(set(COLUMNS)) == len(COLUMNS)


def test_groups_of_columns_are_named_above_where_they_begin(tables, tmp_path):
    tables["lots"] = tables["lots"].assign(skills=json.dumps([["1", 0.5, 1, "Lire un plan"]]))
    sheet = openpyxl.load_workbook(write_exports(tmp_path, EXERCISE, tables, "fr")[0])["Lots"]
    named = {sheet.cell(3, cell.column).value: cell.value for cell in sheet[2] if cell.value}
    assert named["Lot"] == say("band_identity", "fr")
    assert named["Places"] == say("band_volume", "fr")
    assert list(named.values()) == [say(f"band_{band}", "fr") for band in BANDS]


def test_the_csv_has_the_columns_of_the_lots(tables, tmp_path):
    _, plan, *_ = write_exports(tmp_path, EXERCISE, tables, "fr")
    read = pd.read_csv(plan, sep=";", decimal=",", encoding="utf-8-sig")
    assert list(read) == [say(f"column_{name}", "fr") for name in COLUMNS]


def test_rates_are_those_of_one_place_and_say_whose(tables):
    rows = complete_lots("lots", tables)
    lot = rows.iloc[0]
    key = {name: lot[name] for name in ("sector", "action_type")} | {"level": lot["exit_level"], "public": "tout_public"}
    rates = [
        {"territory": place, **key, "outcome": outcome, "horizon_months": months, "value": value, "n": n}
        for place, n, values in (("R44", 90.0, (0.8, 0.7, 0.6)), (lot["territory"], 12.0, (0.5, 0.4, 0.3)))
        for (outcome, months), value in zip([("completion", 0), ("certified", 0), ("work", 6)], values, strict=True)
    ]
    outcomes = pd.DataFrame(rates)
    own = complete_lots("lots", tables | {"outcomes": conform("outcomes", outcomes)}).iloc[0]
    assert (own["rates_source"], own["past_n"], own["past_dropout"]) == (lot["territory"], 12.0, 0.5)
    few = outcomes[(outcomes["territory"] == "R44") | (outcomes["outcome"] != "work")]
    region = complete_lots("lots", tables | {"outcomes": conform("outcomes", few)}).iloc[0]
    assert (region["rates_source"], region["past_n"]) == ("R44", 90.0)
    assert region["past_dropout"] == pytest.approx(0.2)


# Where the terms come from -----------------------------------------------------------------------------------------------


def purchases(**more: object) -> pd.DataFrame:
    """Two lots of one option in 2025 and 2026, a larger one of another, and one that nobody bid for."""
    rows = pd.DataFrame(
        {
            "exercise": [2025, 2026, 2026, 2026],
            "lot": ["A", "B", "C", "D"],
            "contract": ["accord_cadre", "accord_cadre", "marche", "marche"],
            "procedure": ["marche_subsequent", "marche_subsequent", "mapa_services_specifiques", "appel_offres"],
            "action_type": "certification",
            "formacode": ["23001", "23002", "31201", "23001"],
            "exit_level": pd.array([3, 3, 4, 3], dtype="Int64"),
            "territory": ["BE4441", "D08", "R44", "BE4441"],
            "funders": ["2:1.0", "2:0.5|4:0.5", "2:1.0", "2:1.0"],
            "places_min": pd.array([60, 40, 10, 5], dtype="Int64"),
            "places_max": pd.array([120, 100, 12, 5], dtype="Int64"),
            "places": pd.array([100, 50, 11, 5], dtype="Int64"),
            "sessions": pd.array([10, 5, 1, 1], dtype="Int64"),
            "centre_hours": [300.0, 300.0, 100.0, 50.0],
            "company_hours": [100.0, 100.0, 0.0, 0.0],
            "remote_hours": [np.nan, 0.0, 0.0, 0.0],
            "group_hour_eur": [90.0, 90.0, np.nan, 1.0],
            "allowance_eur": [50_000.0, 25_000.0, 0.0, 0.0],
            "cost_eur": [300_000.0, 150_000.33, 9_999.99, 1.0],
            "known_from": pd.to_datetime(["2024-12-01", "2025-12-01", "2025-11-01", "2025-11-01"]),
            "renewals": pd.array([1, 3, 0, 0], dtype="Int64"),
            "bids": pd.array([2, None, 1, 0], dtype="Int64"),
        }
    )
    return rows.assign(**more)


def held(entries: int = 8) -> pd.DataFrame:
    """Give sessions of the lots. One row per session."""
    rows = [("A", 2025, "BE4441", "C67482", 2), ("A", 2025, "BE4441", "C67001", 3), ("B", 2026, "BE4412", "C08105", 10)]
    frame = pd.DataFrame(rows, columns=["lot", "exercise", "territory", "commune", "month"])
    starts = pd.to_datetime({"year": frame["exercise"], "month": frame["month"], "day": 1})
    return frame.assign(
        sector="230", action_type="certification", level="3", starts=starts, ends=starts + pd.Timedelta(days=69),
        hours=400.0, places=12.0, entries=float(entries),
    )  # fmt: skip


def test_terms_are_those_of_the_lots_that_found_a_provider():
    terms = usual_terms(purchases()).set_index("sector").loc["230"]
    assert terms["contract"] == "accord_cadre"
    assert terms["firm"] == pytest.approx((60 / 120 + 40 / 100) / 2)
    assert terms["centre_hours"] == pytest.approx(0.75)
    assert terms["annex"] == pytest.approx(1 - 90 * 300 * 10 / 300_000, abs=1e-3)
    assert terms["place_allowance_eur"] == 500.0
    assert terms["renewals"] == 2.0
    assert usual_terms(purchases()).set_index("sector").loc["312", "firm"] == 1.0, "a plain contract has no option"


def test_the_calendar_is_that_of_the_sessions():
    calendar = usual_calendar(held()).iloc[0]
    assert (calendar["first_month"], calendar["last_month"]) == (3, 3)
    assert calendar["weekly_hours"] == pytest.approx(40.0)


@pytest.mark.parametrize(
    ("entries", "told"), [(3, set()), (4, {"R44"}), (5, {"R44", "BE4441"}), (10, {"R44", "BE4441", "BE4412"})]
)
def test_a_history_of_too_few_entries_is_not_told(entries, told):
    counted = count_past(held(entries), pd.Timestamp("2027-01-01"), SMALLEST)
    assert set(counted["territory"]) == told
    assert (counted["past_entries"] >= SMALLEST).all()


def test_sessions_to_come_are_no_history():
    later = count_past(held(10), pd.Timestamp("2025-02-15"), SMALLEST).set_index("territory")
    assert later.loc["R44", "past_entries"] == 10.0
    assert later.loc["R44", "past_to"] == 2025


def trainings(size: int, rsa: int) -> pd.DataFrame:
    """Give entries into one option, some of people who receive the RSA. One row per entry."""
    false = pd.array([False] * size, dtype="boolean")
    return pd.DataFrame(
        {
            "status": "entre",
            "action_type": "certification",
            "formacode": "23001",
            "exit_level": pd.array([3] * size, dtype="Int64"),
            "known_from": pd.Timestamp("2025-01-01"),
            "birth_year": pd.array([1990] * size, dtype="Int64"),
            "level": pd.array([4] * size, dtype="Int64"),
            "unemployed_months": 3.0,
            "rsa": pd.array([place < rsa for place in range(size)], dtype="boolean"),
            **dict.fromkeys(("qpv", "th", "detained", "lone_parent"), false),
            "sex": "F",
        }
    )


def test_shares_of_too_few_entrants_are_those_of_a_wider_group():
    options = pd.DataFrame([("230", "certification", "3"), ("312", "certification", "4")], columns=OPTION)
    many = pd.concat([trainings(20, 5), trainings(9, 9).assign(formacode="31201", exit_level=4)], ignore_index=True)
    shares = usual_shares(options, entrants_by_group(many, PublicParams()), SMALLEST)
    assert shares.loc[0, "public=rsa"] == pytest.approx(0.25)
    assert shares.loc[1, "public=rsa"] == pytest.approx(14 / 29), "nine people: the share of the type of action"
    assert shares.loc[0, QUOTA] == shares.loc[0, "public=rsa"]
    none = usual_shares(options, entrants_by_group(trainings(9, 1), PublicParams()), SMALLEST)
    assert none[list(GROUPS)].isna().all(axis=None)


@given(st.integers(0, 10**9), st.integers(1, 300))
@settings(max_examples=40, deadline=None)
def test_the_last_purchase_keeps_places_and_cents(cents, places):
    bought = purchases()
    bought.loc[bought["lot"] == "C", ["places", "cost_eur"]] = [places, cents / 100]
    told = last_purchase(bought, held(), COMMUNES, 2027)
    lots = bought[(bought["exercise"] == 2026) & (bought["bids"].fillna(1) > 0)]
    assert told["places_before"].sum() == lots["places"].sum()
    assert told["cents_before"].sum() == int((lots["cost_eur"] * 100).round().sum())
    assert set(told["territory"]) <= set(COMMUNES["territory"])
    assert told.loc[told["sector"] == "230", "territory"].tolist() == ["BE4412"], "where its sessions are"


# A whole run -------------------------------------------------------------------------------------------------------------


def test_a_run_completes_every_lot_and_sets_it_against_the_last_purchase(published, inputs):
    both = pd.concat([published["lots"], published["rejected_lots"]], ignore_index=True)
    details = published["lot_details"].set_index("lot_id").loc[both["lot_id"]].reset_index()
    assert len(details) == len(published["lot_details"])
    told = details["firm_places"] + details["option_places"]
    assert (told == both["places_max"].where(details["option_places"] > 0, both["places"])).all()
    assert (details["firm_places"] <= both["places"]).all()
    assert (details["teaching_cents"] + details["annex_cents"] == both["cost_cents"]).all()
    hours = details[["centre_hours", "company_hours", "remote_hours"]].sum(axis=1)
    assert np.allclose(hours, both["hours"])
    assert details["commune"].str.startswith("C").all()
    changes = published["purchase_changes"]
    assert changes["cost_cents"].sum() == published["lots"]["cost_cents"].sum()
    assert changes["places"].sum() == published["lots"]["places"].sum()
    past = inputs.tables.purchases
    last = past[(past["exercise"] == changes["exercise_before"].max()) & (past["bids"].fillna(1) > 0) & (past["places"] > 0)]
    assert changes["places_before"].sum() == last["places"].sum()
    assert changes["cents_before"].sum() == round(last["cost_eur"].sum() * 100)


def test_the_amounts_by_funder_add_up_to_the_cost(published):
    lots = published["lots"].merge(published["lot_details"], on="lot_id", how="inner", validate="one_to_one")
    for text, cents in zip(lots["by_funder"], lots["cost_cents"], strict=True):
        assert sum(round(float(part.split(":")[1]) * 100) for part in text.split("|")) == cents
    left = published["rejected_lots"].merge(published["lot_details"], on="lot_id", how="inner", validate="one_to_one")
    assert left.loc[left["envelope"] == "", "by_funder"].isna().all()


def test_nothing_is_told_of_too_few_people(published, params):
    smallest = params.features.privacy.smallest_cell
    assert (published["plan_equity"]["people"] >= smallest).all()
    assert (published["lot_details"]["past_entries"].dropna() >= smallest).all()


def test_a_run_says_what_it_assumes(published, inputs):
    told = published["assumptions"].set_index("name")["value"]
    assert told["run.run_id"] == inputs.run_id
    assert told["run.data_sha256"] == inputs.data_sha256
    assert float(told["purchase.smallest_worth"]) == inputs.params.purchase.smallest_worth
    assert {f"purchase.envelopes.{each.name}" for each in inputs.params.purchase.envelopes} <= set(told.index)
    described = [name for name in told.index if f"param.{name}" not in messages() and not name.startswith("purchase.")]
    assert [name for name in described if not name.startswith("ranking.")] == [], "no words in French"
