"""Where rows belong: every row is placed, left out, or wrong, and none is lost."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import facts
from features.contracts import Checked, Contract
from features.places import place
from features.tables import BMO, EMPLOYMENT, JOBSEEKERS, OFFERS, TRAININGS

COMMUNES = ["C67482", "C08001", "C67999", "C75056", "C97411", "C2A004", None]


def checked(contract: Contract, communes: list[str | None], **columns: object) -> Checked:
    rows = contract.empty().reindex(range(len(communes))).assign(commune=pd.Series(communes, dtype="str"), **columns)
    origin = pd.DataFrame({"file": "f.csv", "line": range(2, len(communes) + 2)})
    return Checked(rows.astype(contract.empty().dtypes), origin.iloc[:0].assign(reason=""), origin=origin)


def test_a_training_belongs_where_the_person_lives_and_elsewhere_stays_without_territory():
    placed = place(checked(TRAININGS, COMMUNES), TRAININGS, facts.communes())
    assert placed.kept["department"].fillna("").tolist() == ["D67", "D08", "", "", "", ""]
    assert placed.kept["territory"].isna().tolist() == [False, False, True, True, True, True]
    assert placed.rejected.to_dict("list") == {"file": ["f.csv"], "line": [4], "reason": ["unknown commune"]}
    assert placed.origin["line"].tolist() == [2, 3, 5, 6, 7, 8]
    assert placed.outside == 0


def test_jobseekers_from_elsewhere_are_counted_and_those_of_unknown_home_are_kept():
    placed = place(checked(JOBSEEKERS, COMMUNES), JOBSEEKERS, facts.communes())
    assert placed.kept["commune"].fillna("").tolist() == ["C67482", "C08001", ""]
    assert (placed.outside, len(placed.rejected)) == (3, 1)


def test_an_offer_across_the_border_stays_and_so_does_one_of_the_whole_region():
    borders, departments = pd.Series(["LU", None, None], dtype="str"), pd.Series([None, "D73", None], dtype="str")
    placed = place(checked(OFFERS, [None] * 3, border=borders, department=departments), OFFERS, facts.communes())
    assert (placed.kept["border"].fillna("").tolist(), placed.outside) == (["LU", ""], 1)
    assert placed.origin["line"].tolist() == [2, 4]


def test_a_table_without_a_commune_is_left_alone():
    survey = Checked(BMO.empty(), pd.DataFrame())
    assert place(survey, BMO, facts.communes()) is survey


@settings(max_examples=8, deadline=None)
@given(communes=st.lists(st.sampled_from(COMMUNES), max_size=8))
@pytest.mark.parametrize("contract", [OFFERS, JOBSEEKERS, TRAININGS, EMPLOYMENT], ids=lambda contract: contract.name)
def test_no_row_is_lost_and_types_hold(contract, communes):
    before = checked(contract, communes)
    after = place(before, contract, facts.communes())
    assert after.read == before.read
    assert len(after.origin) == len(after.kept)
    assert after.kept.dtypes.to_dict() == contract.empty().dtypes.to_dict()
    assert after.kept.loc[after.kept["territory"].notna(), "commune"].isin(facts.communes()["commune"]).all()
