"""Offers, BMO and LHEO: laws, each rule of the format once, bad inputs, and the real files where they are at hand."""

import gzip
import json
from pathlib import Path

import pandas as pd
import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from features import facts, tables
from features.contracts import Checked
from features.places import place
from features.sources.bmo import read_bmo
from features.sources.offers import read_offers
from features.vocabulary import InputError

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
real = pytest.mark.skipif(not SHARED.exists(), reason="../shared/data is not there")
many = settings(max_examples=10, deadline=None)

OFFER = {
    "id": "162MNDF",
    "dateCreation": "2025-01-29T18:34:08.000Z",
    "dateActualisation": "2025-02-12T14:27:32.000Z",
    "lieuTravail": {"libelle": "67 - STRASBOURG", "commune": "67482"},
    "romeCode": "H2206",
    "typeContrat": "CDD",
    "typeContratLibelle": "Contrat à durée déterminée - 12 Mois",
    "natureContrat": "Contrat travail",
    "experienceExige": "D",
    "formations": [{"niveauLibelle": "Bac+2 ou équivalents"}, {"niveauLibelle": "CAP, BEP et équivalents"}],
    "competences": [{"code": "120068"}, {"code": "100286"}, {"libelle": "sans code"}],
    "nombrePostes": 3,
}
BMO_HEADERS = ["annee", "Code métier BMO", "NOMBE26", "BE26", "REG", "Dept", "smet", "met", "xmet"]
BMO_ROW = ["2026", "A0X40", "RETHEL", "4415", "44", "08", "*", "120", "40"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("raw")


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def lines(*offers: object) -> str:
    return "".join(json.dumps(offer, ensure_ascii=False) + "\n" for offer in offers)


def one(folder: Path, **changes: object) -> pd.Series:
    return read_offers([write(folder / "o.jsonl", lines(OFFER | changes))]).kept.iloc[0]


def test_every_field_of_an_offer_is_read(tmp_path):
    offer = one(tmp_path).dropna().to_dict()
    assert offer == {
        "offer": "162MNDF",
        "created": pd.Timestamp("2025-01-29"),
        "known_from": pd.Timestamp("2025-02-12"),
        "occupation": "H2206",
        "commune": "C67482",
        "contract": "CDD",
        "contract_months": 12.0,
        "seasonal": False,
        "positions": 3,
        "experience": "D",
        "level": 3,
        "skills": "100286|120068",
    }


@pytest.mark.parametrize(
    ("label", "months"),
    [
        ("Contrat à durée déterminée - 20 Jour(s)", 0.66),
        ("Mission intérimaire - 2 Semaine(s)", 0.46),
        ("CDI", None),
        ("x - 1 An", 12.0),
    ],
)
def test_the_length_of_a_contract_is_in_months(tmp_path, label, months):
    found = one(tmp_path, typeContratLibelle=label)["contract_months"]
    assert (None if pd.isna(found) else found) == months


@pytest.mark.parametrize(
    "changes", [{"typeContrat": "SAI"}, {"natureContrat": "Contrat saisonnier"}, {"typeContratLibelle": "Saisonnier - 2 Mois"}]
)
def test_a_seasonal_offer_is_told(tmp_path, changes):
    assert one(tmp_path, **changes)["seasonal"]


def test_what_an_offer_does_not_say_is_unknown_but_for_its_one_position(tmp_path):
    bare = {name: OFFER[name] for name in ("id", "dateCreation", "romeCode")}
    offer = read_offers([write(tmp_path / "o.json", json.dumps({"resultats": [bare]}))]).kept.iloc[0]
    assert offer["known_from"] == offer["created"]
    assert offer["positions"] == 1
    assert offer[["commune", "border", "level", "skills", "contract_months"]].isna().all()


@pytest.mark.parametrize(
    ("label", "column", "code"),
    [
        ("08 - Ardennes", "department", "D08"),
        ("2A - Corse du Sud", "department", "D2A"),
        ("974 - Réunion", "department", "D974"),
        ("Allemagne (Frontalier)", "border", "DE"),
        ("Luxembourg (Frontalier)", "border", "LU"),
        ("Belgique (Frontalier)", "border", "BE"),
        ("Suisse (Frontalier)", "border", "CH"),
    ],
)
def test_a_place_without_a_commune(tmp_path, label, column, code):
    assert one(tmp_path, lieuTravail={"libelle": label})[["department", "border"]].dropna().to_dict() == {column: code}


def test_offers_elsewhere_are_counted_and_left_out(tmp_path):
    places = ["67 - Bas-Rhin", "73 - Savoie", "Canada, NB, Caraquet", "Suisse (Frontalier)"]
    offers = [OFFER | {"id": str(number), "lieuTravail": {"libelle": label}} for number, label in enumerate(places)]
    offers += [OFFER | {"id": code, "lieuTravail": {"commune": code}} for code in ("67482", "75056", "67999")]
    read = read_offers([write(tmp_path / "o.jsonl", lines(*offers))])
    placed = place(read, tables.OFFERS, facts.communes())
    assert placed.kept["offer"].tolist() == ["0", "3", "67482"]
    assert placed.kept["territory"].dropna().str.startswith("BE").tolist() == [True]
    assert placed.kept["department"].tolist()[::2] == ["D67", "D67"]
    assert placed.rejected[["line", "reason"]].values.tolist() == [[7, "unknown commune 67999"]]
    assert (placed.outside, placed.read) == (3, 7)


def test_a_rome_4_occupation_counts_in_its_parent_and_an_unknown_one_is_named(tmp_path):
    leaf = facts.leaves().query("leaf != occupation").iloc[0]
    offer = one(tmp_path, romeCode=leaf["leaf"])
    assert offer[["occupation", "leaf"]].tolist() == [leaf["occupation"], leaf["leaf"]]
    rejected = read_offers([write(tmp_path / "o.jsonl", lines(OFFER | {"romeCode": "Z9999"}))]).rejected
    assert rejected["reason"].tolist() == ["unknown occupation code Z9999"]


def test_every_day_keeps_the_last_version_of_its_offer(tmp_path):
    stamps = ["2025-02-12T09:00:00.000Z", "2025-02-12T10:30:00+01:00", "2025-02-12T08:00:00Z", "2025-03-01T08:00:00.000Z"]
    versions = [OFFER | {"dateActualisation": stamp, "nombrePostes": place} for place, stamp in enumerate(stamps, 1)]
    checked = read_offers([write(tmp_path / "o.jsonl", lines(*versions[::-1]))])
    assert checked.kept["positions"].tolist() == [2, 4]
    assert (checked.duplicates, checked.read) == (2, 4)


def outcome(paths: list[Path]) -> Checked | None:
    try:
        return read_offers(paths)
    except InputError:
        return None


offers = st.lists(
    st.builds(
        lambda offer, stamp, rome, posts: (
            OFFER | {"id": offer, "dateActualisation": stamp, "romeCode": rome, "nombrePostes": posts}
        ),
        st.sampled_from(["A", "B", "", None]),
        st.sampled_from(["2025-02-12T09:00:00Z", "2025-02-12T10:00:00Z", "2025-02-13T10:00:00Z", "hier", None, 7]),
        st.sampled_from(["H2206", "A1101", "Z9999", ""]),
        st.sampled_from([1, 2, -1, "x", None, 1.5, {}]),
    ),
    max_size=8,
)


@many
@given(found=offers, order=st.randoms(use_true_random=False), cut=st.integers(0, 8))
def test_order_split_and_shape_of_offer_files_change_nothing(folder, found, order, cut):
    whole = outcome([write(folder / "a.json", json.dumps({"resultats": found}, indent=1))])
    mixed = order.sample(found, len(found))
    halves = [json.dumps({"resultats": mixed[:cut]}), lines(*mixed[cut:]) or "[]"]
    parts = [write(folder / "b.json.gz", gzip.compress(halves[0].encode(), mtime=0)), write(folder / "c.jsonl", halves[1])]
    split = outcome(order.sample(parts, 2))
    assert (split is None) == (whole is None)
    if split is not None and whole is not None:
        assert_frame_equal(split.kept, whole.kept)
        assert sorted(split.rejected["reason"]) == sorted(whole.rejected["reason"])
        assert split.read == whole.read == len(found)


def test_a_broken_line_is_a_wrong_row(tmp_path):
    checked = read_offers([write(tmp_path / "o.jsonl", '{"id": "cut\n\n' + lines(OFFER, ["no offer"]) + '{"codeHttp": 429}')])
    assert checked.rejected["line"].tolist() == [1, 4, 5]
    assert set(checked.rejected["reason"]) == {"the line is not a JSON offer"}
    assert len(checked.kept) == 1


def test_parquet_offers_say_what_the_json_says(tmp_path):
    kept = read_offers([write(tmp_path / "o.jsonl", lines(OFFER))]).kept
    kept.to_parquet(tmp_path / "o.parquet")
    assert_frame_equal(read_offers([tmp_path / "o.parquet"]).kept, kept)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>", "web page"),
        (gzip.compress(lines(OFFER).encode() * 50, mtime=0)[:-20], "cannot be read to its end"),
        (b'{"codeHttp": 401, "message": "jeton"}', "holds no job offer"),
        (b"id;dateCreation\n1;2025-01-01", "holds no job offer"),
        (b"[" * 100_000, "holds no job offer"),
    ],
)
def test_what_is_no_file_of_offers_is_refused_in_words(tmp_path, content, words):
    with pytest.raises(InputError, match=words):
        read_offers([write(tmp_path / "o.json", content)])


def workbook(path: Path, table: list[list[object]]) -> Path:
    book = xlsxwriter.Workbook(path)
    book.add_worksheet("Description").write_row(0, 0, ["", "Variables", "Description"])
    sheet = book.add_worksheet("données")
    for line, row in enumerate(table):
        sheet.write_row(line, 0, row)
    book.close()
    return path


def test_next_year_s_survey_loads_and_a_secret_is_neither_zero_nor_unknown(tmp_path):
    row = read_bmo([workbook(tmp_path / "b.xlsx", [BMO_HEADERS, BMO_ROW])]).kept.iloc[0]
    assert row[["year", "nomenclature", "family", "territory", "department"]].tolist() == [
        2026,
        "FAP2021",
        "A0X40",
        "BE4415",
        "D08",
    ]
    assert (row["projects"], row["difficult"], row["known_from"]) == (120, 40, pd.Timestamp("2026-04-15"))
    assert pd.isna(row["seasonal"])
    assert row[["projects_secret", "difficult_secret", "seasonal_secret"]].tolist() == [False, False, True]


def test_numbers_text_csv_and_column_order_give_the_same_survey(tmp_path):
    first = read_bmo([workbook(tmp_path / "b.xlsx", [BMO_HEADERS, BMO_ROW])]).kept
    numbers = [2026.0, "A0X40", "RETHEL", 4415, 44, 8, "*", 120.0, 40]
    assert_frame_equal(read_bmo([workbook(tmp_path / "n.xlsx", [BMO_HEADERS, numbers])]).kept, first)
    for mark in ";,":
        text = "\n".join(mark.join(row[::-1]) for row in (BMO_HEADERS, BMO_ROW))
        assert_frame_equal(read_bmo([write(tmp_path / "b.csv", text.encode("latin-1"))]).kept, first)


def test_the_old_families_other_regions_and_wrong_rows(tmp_path):
    table = [BMO_HEADERS, ["2023", *BMO_ROW[1:]], [*BMO_ROW[:4], "01", "971", "1", "1", "1"], [*BMO_ROW[:7], "beaucoup", "1"]]
    path = workbook(tmp_path / "b.xlsx", table)
    checked = read_bmo([path])
    assert checked.kept["nomenclature"].tolist() == ["FAP2009"]
    assert checked.rejected["line"].tolist() == [4]
    assert (checked.outside, checked.read) == (1, 3)
    assert read_bmo([path], None).outside == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"PK\x03\x04 broken", "cannot be opened"), (b"a;b\n1;2", "no sheet has the columns"), (b"", "is empty")],
)
def test_what_is_no_survey_is_refused_in_words(tmp_path, content, words):
    with pytest.raises(InputError, match=words):
        read_bmo([write(tmp_path / "b.xlsx", content)])


@real
@pytest.mark.parametrize(("year", "rows", "total", "here"), [(2023, 50437, 3013134, 200180), (2024, 53443, 2751069, 189816)])
def test_the_real_surveys(year, rows, total, here):
    checked = read_bmo([SHARED / "bmo" / f"Base_open_data_BMO_{year}.xlsx"], None)
    assert (len(checked.kept), checked.read, checked.kept["projects"].sum()) == (rows, rows, total)
    region = checked.kept[checked.kept["territory"].isin(facts.communes()["territory"])]
    assert (region["territory"].nunique(), region["projects"].sum()) == (43, here)


@real
def test_the_real_offers():
    checked = read_offers([SHARED / "offers" / "offres_v2_search_response_150.json"])
    assert (len(checked.kept), checked.read, checked.kept["positions"].sum()) == (150, 150, 147 + 2 + 26 + 23)
    assert checked.kept["border"].dropna().tolist() == ["DE"]
    assert checked.kept["department"].dropna().tolist() == ["D73", "D73", "D73", "D08"]
