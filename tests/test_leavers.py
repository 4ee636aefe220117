"""Laws of the young people who leave school: none is lost on the way from a diploma to a sector, none is counted twice."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from features import facts
from features.leavers import CELL, LeaverParams, count_leavers, leavers_by_sector, link_diplomas
from features.sources.insertion import read_insertion
from features.sources.publication import PublicationParams
from features.tables import CONTRACT

EXPORT = Path(__file__).resolve().parents[2] / "shared" / "data" / "insertion" / "inserjeunes_region_formation_2019_2022.csv"
AS_OF = pd.Timestamp("2026-03-31")
COMMUNES = facts.communes()
PARAMS = LeaverParams()
COOKING, HAIR, UNKNOWN = "50022139", "50033604", "50099999"


def edition(rows: list[dict[str, object]]) -> pd.DataFrame:
    """Write an edition of the outcomes of young leavers. One row per row."""
    out = pd.Timestamp("2025-02-28")
    usual = {"first_year": 2023, "last_year": 2024, "region": "R44", "track": "apprentissage", "nomenclature": "CFD"}
    usual |= {
        "students": 200,
        "studying_on": 100,
        "leavers": 100,
        "leavers_secret": False,
        "employed_6m": 60,
        "known_from": out,
    }
    said = [{**usual, "diploma": COOKING, **row} for row in rows]
    return pd.DataFrame(
        {c.name: pd.Series([r.get(c.name) for r in said], dtype=c.dtype) for c in CONTRACT["insertion"].columns}
    )


def count(insertion: pd.DataFrame, as_of: pd.Timestamp = AS_OF) -> pd.DataFrame:
    return count_leavers(insertion, COMMUNES, as_of=as_of, params=PARAMS)


def test_a_pair_of_years_is_halved_and_shared_by_population() -> None:
    rows = count(edition([{}]))
    summers = rows.groupby("period")[["leavers", "available"]].sum()
    assert summers.index.tolist() == ["2026-07", "2027-07", "2028-07"]
    assert summers.to_numpy().ravel().tolist() == pytest.approx([50.0, 20.0] * 3)
    people = COMMUNES.groupby("territory")["population"].sum()
    placed = rows.query("period == '2026-07'").groupby("territory")["leavers"].sum()
    assert (placed / 50 - people / people.sum()).abs().max() < 1e-9
    assert (rows[["n", "borrowed", "secret"]].drop_duplicates().to_numpy() == [[100.0, 1.0, 0.0]]).all()


@pytest.mark.parametrize(("day", "first"), [("2026-07-30", "2026-07"), ("2026-07-31", "2027-07"), ("2026-12-31", "2027-07")])
def test_a_summer_comes_until_its_month_is_over(day: str, first: str) -> None:
    assert count(edition([{}]), pd.Timestamp(day))["period"].min() == first


def test_the_last_school_years_count_once() -> None:
    before = {"first_year": 2022, "last_year": 2023, "leavers": 900}
    revised = {"known_from": pd.Timestamp("2025-09-01"), "leavers": 80, "employed_6m": 40}
    single = {"first_year": 2024, "leavers": 70, "employed_6m": 35, "diploma": HAIR}
    assert count(edition([before, {}, revised]))["leavers"].sum() == pytest.approx(3 * 40.0)
    assert count(edition([{}, single]))["leavers"].sum() == pytest.approx(3 * 70.0)


def test_a_hidden_count_is_what_its_track_and_level_usually_have_and_says_so() -> None:
    hidden = {"diploma": HAIR, "students": 8, "studying_on": None, "leavers": None, "leavers_secret": True}
    rows = count(edition([{"leavers": 100}, {**hidden, "employed_6m": None}]))
    assert rows.query("period == '2026-07'")["leavers"].sum() == pytest.approx(50.0 + 2.0)
    told = leavers_by_sector(edition([{}, {**hidden, "employed_6m": None}])).mapped.groupby("measure")["volume"].sum()
    assert told[["available", "leavers", "secret", "told"]].tolist() == pytest.approx([20.8, 52.0, 2.0, 100.0])
    assert set(rows["secret"]) == {0.0, 1.0}


def test_everybody_who_studies_on_leaves_nobody() -> None:
    assert count(edition([{}, {"diploma": HAIR, "leavers": None, "studying_on": 9, "students": 9, "employed_6m": None}]))[
        "leavers"
    ].sum() == pytest.approx(150.0)


def test_what_leads_nowhere_is_listed_and_nothing_is_lost() -> None:
    carried = leavers_by_sector(edition([{}, {"diploma": UNKNOWN, "leavers": 30}]))
    left = carried.unmapped.query("measure == 'leavers'")
    assert left[["code", "volume"]].to_numpy().tolist() == [[f"CFD/{UNKNOWN}", 15.0]]
    mapped = carried.mapped.query("measure == 'leavers'")
    assert mapped["volume"].sum() + left["volume"].sum() == pytest.approx(65.0, abs=1e-9)


@pytest.mark.parametrize(
    ("nomenclature", "diploma", "sector", "level"),
    [
        ("CFD", "50022139", "427", "3"),  # CAP cuisine
        ("MEFSTAT11", "23220022139", "427", "3"),  # the same at school
        ("CFD", "50022137", "215", "3"),  # CAP boulanger
        ("MEFSTAT11", "32220031213", "340", "5"),  # BTS management commercial opérationnel
        ("CFD", "01022109", "427", "3"),  # mention complémentaire: CertifInfo tells the level
    ],
)
def test_a_known_diploma_leads_to_its_sector_and_level(nomenclature: str, diploma: str, sector: str, level: str) -> None:
    links = link_diplomas(pd.DataFrame({"nomenclature": [nomenclature], "diploma": [diploma]}, dtype="str"))
    heaviest = links.sort_values("weight").iloc[-1]
    assert (heaviest["sector"], heaviest["level"]) == (sector, level)
    assert links["weight"].sum() == pytest.approx(1.0)


def test_an_unknown_number_falls_back_on_the_speciality_at_its_level() -> None:
    told = link_diplomas(pd.DataFrame({"nomenclature": ["CFD"] * 2, "diploma": ["500221ZZ", "36T221ZZ"]}, dtype="str"))
    known = facts.diplomas()
    like = known[(known["diploma"].str[3:6] == "221") & (known["level"] == "3")]
    shares = like.groupby("sector")["certifications"].sum() / like["certifications"].sum()
    assert told.query("level == '3'").set_index("sector")["weight"].to_dict() == pytest.approx(shares.to_dict())
    assert set(told.query("diploma == '36T221ZZ'")["level"]) == {"5"}


def test_without_an_edition_there_is_nobody_and_row_order_does_not_matter() -> None:
    nobody = count(CONTRACT["insertion"].empty())
    rows = edition([{}, {"diploma": UNKNOWN}, {"diploma": "40022105", "track": "scolaire"}, {"region": "R11"}])
    whole = count(rows)
    assert nobody.empty
    assert nobody.dtypes.to_dict() == whole.dtypes.to_dict()
    assert not whole.duplicated(CELL).any()
    assert_frame_equal(count(rows.iloc[::-1]), whole, check_exact=True)


@pytest.mark.skipif(not EXPORT.exists(), reason="../shared/data is not there")
def test_every_young_leaver_of_the_real_export_has_a_sector() -> None:
    published = read_insertion([EXPORT], PublicationParams()).kept
    here = published[published["region"] == "R44"]
    carried = leavers_by_sector(here)
    totals = carried.mapped.groupby("measure")["volume"].sum()
    assert carried.unmapped.empty
    assert totals["told"] == here.query("last_year == 2022")["leavers"].sum()
    assert totals["leavers"] == pytest.approx(totals["told"] / 2 + totals["secret"], abs=1e-6)
    assert totals["secret"] < 0.01 * totals["leavers"]
    rows = count(here).query("period == '2026-07'")
    main = rows.groupby("sector")["leavers"].sum().nlargest(2).index.tolist()
    assert main == ["345", "440"]  # selling, social work
