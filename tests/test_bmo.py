"""The yearly survey: laws, next year's workbook, secrets, what of France concerns the Region, and the real files."""

import json
from pathlib import Path

import pandas as pd
import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from features import facts
from features.codes import carry_codes
from features.contracts import Checked
from features.intake import in_region, keep_near, take_in
from features.sources import SOURCES
from features.tables import BMO
from features.vocabulary import InputError

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "bmo"
real = pytest.mark.skipif(not SHARED.exists(), reason="../shared/data is not there")
few = settings(max_examples=12, deadline=None)
HEADERS = ["annee", "Code métier BMO", "NOMBE26", "BE26", "REG", "Dept", "smet", "met", "xmet"]
ROW = ["2026", "A0X40", "RETHEL", "4415", "44", "08", "*", "120", "40"]
HERE = facts.communes()

counts = st.sampled_from(["*", "5", "120", "0", "beaucoup", "-3", "", "1e400", "12,5"])
surveys = st.lists(
    st.tuples(
        st.sampled_from(["2024", "2026", "", "MMXX"]),
        st.sampled_from(["A0X40", "B4X41", "Z9Z99", "métier"]),
        st.just("lieu"),
        st.sampled_from(["4415", "4416", "101", "11"]),
        st.sampled_from(["44", "01", "32"]),
        st.sampled_from(["08", "971", "02", "2A"]),
        counts,
        counts,
        counts,
    ),
    max_size=8,
)


def read(*paths: Path) -> Checked:
    return SOURCES["bmo"].read(paths)


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def workbook(path: Path, table: list[list[object]]) -> Path:
    book = xlsxwriter.Workbook(path)
    book.add_worksheet("Description").write_row(0, 0, ["", "Variables", "Description"])
    sheet = book.add_worksheet("données")
    for line, row in enumerate(table):
        sheet.write_row(line, 0, row)
    book.close()
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("bmo")


def test_next_year_s_survey_loads_and_a_secret_is_neither_zero_nor_unknown(tmp_path):
    row = read(workbook(tmp_path / "b.xlsx", [HEADERS, ROW])).kept.iloc[0]
    names = ["year", "nomenclature", "family", "territory", "department", "region"]
    assert row[names].tolist() == [2026, "FAP2021", "A0X40", "BE4415", "D08", "R44"]
    assert (row["projects"], row["difficult"], row["known_from"]) == (120, 40, pd.Timestamp("2026-04-15"))
    assert pd.isna(row["seasonal"])
    assert row[["projects_secret", "difficult_secret", "seasonal_secret"]].tolist() == [False, False, True]


def test_numbers_text_csv_and_column_order_give_the_same_survey(tmp_path):
    first = read(workbook(tmp_path / "b.xlsx", [HEADERS, ROW])).kept
    numbers = [2026.0, "A0X40", "RETHEL", 4415, 44, 8, "*", 120.0, 40]
    assert_frame_equal(read(workbook(tmp_path / "n.xlsx", [HEADERS, numbers])).kept, first)
    for mark in ";,\t":
        text = "\n".join(mark.join(row[::-1]) for row in (HEADERS, ROW))
        assert_frame_equal(read(write(tmp_path / "b.csv", text.encode("latin-1"))).kept, first)


@few
@given(table=surveys, order=st.permutations(range(len(HEADERS))), cut=st.integers(0, 8))
def test_order_and_split_change_nothing_and_every_row_is_kept_rejected_or_repeated(folder, table, order, cut):
    def survey(rows: list[tuple[str, ...]], places: list[int]) -> str:
        return "\n".join(";".join(row[place] for place in places) for row in [HEADERS, *rows])

    table = [(*ROW[:6], "10", *ROW[7:]), *table]  # a column that never holds its type would refuse the file
    whole = read(write(folder / "a.csv", survey(table, list(range(len(HEADERS))))))
    parts = [write(folder / "b.csv", survey(table[cut:][::-1], order)), write(folder / "c.csv", survey(table[:cut], order))]
    assert_frame_equal(read(*parts).kept, whole.kept)
    assert whole.read == len(table)
    assert not whole.kept["projects"][whole.kept["projects_secret"]].notna().any()


def test_the_region_and_what_touches_it_are_kept(tmp_path):
    lille, laon = [*ROW[:3], "3201", "32", "59", *ROW[6:]], [*ROW[:3], "3202", "32", "02", *ROW[6:]]
    whole = read(workbook(tmp_path / "b.xlsx", [HEADERS, ROW, lille, laon]))
    near = keep_near(whole, BMO, HERE)
    assert near.kept["department"].tolist() == ["D02", "D08"], "Aisne borders the Ardennes, Nord does not"
    assert (near.outside, near.read, len(near.origin)) == (1, 3, 2)
    assert in_region(near.kept, HERE).tolist() == [False, True]


def test_old_families_and_wrong_rows(tmp_path):
    table = [HEADERS, ["2023", *ROW[1:]], [*ROW[:7], "beaucoup", "1"]]
    checked = read(workbook(tmp_path / "b.xlsx", table))
    assert checked.kept["nomenclature"].tolist() == ["FAP2009"]
    assert checked.rejected["line"].tolist() == [3]


@pytest.mark.parametrize("projects", ["0", "4", "", "#N/A", "nan"])
def test_a_count_that_the_publisher_never_gives_is_a_wrong_row(tmp_path, projects):
    wrong = [*ROW[:7], projects, ROW[8]]
    checked = read(workbook(tmp_path / "b.xlsx", [HEADERS, ROW, wrong]))
    assert checked.rejected["line"].tolist() == [3]


def test_an_unknown_family_or_bassin_costs_no_row_and_is_listed_with_its_volume(tmp_path):
    strange = [["2026", "Z9Z99", *ROW[2:]], ["2026", "Z9Z99", "", "4499", *ROW[4:]], ROW]
    checked = take_in(read(workbook(tmp_path / "b.xlsx", [HEADERS, *strange])), BMO, HERE)
    assert len(checked.kept) == 3
    listed = checked.unknown.set_index(["column", "code"])[["rows", "volume"]]
    assert listed.loc[("family", "Z9Z99")].tolist() == [2, 240]
    assert listed.loc[("territory", "BE4499")].tolist() == [1, 120]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04 broken", "cannot be opened"),
        (b"a;b\n1;2", "is not the table that is read here"),
        (";".join(HEADERS[:-1]).encode(), "no column is named 'xmet'"),
        (";".join([*HEADERS, "met"]).encode(), "column 'met' comes twice"),
        (b"", "is empty"),
    ],
)
def test_what_is_no_survey_is_refused_in_words(tmp_path, content, words):
    with pytest.raises(InputError, match=words):
        read(write(tmp_path / "b.xlsx", content))


@real
@pytest.mark.parametrize(
    ("year", "rows", "bassins", "total", "here"),
    [(2023, 50437, 405, 3013134, 200180), (2024, 53443, 406, 2751069, 189816)],
)
def test_the_real_surveys(surveyed, year, rows, bassins, total, here):
    checked = surveyed(year)
    kept = checked.kept
    assert (len(kept), checked.read, kept["territory"].nunique(), kept["projects"].sum()) == (rows, rows, bassins, total)
    assert kept["projects"].min() >= 5, "no secret became a number"
    region = kept[in_region(kept, HERE)]
    assert (region["territory"].nunique(), region["projects"].sum()) == (43, here)
    near = keep_near(checked, BMO, HERE)
    assert set(near.kept.loc[~in_region(near.kept, HERE), "department"]) == {"D02", "D21", "D70", "D77", "D89", "D90"}
    assert carry_codes(checked, BMO, HERE).unknown.empty


@real
def test_next_year_is_the_real_workbook_under_another_year(surveyed, tmp_path):
    """The year stands in two headers and one column; nothing else of the reader may depend on it."""
    this = surveyed(2024).kept.head(300)
    rows = this.assign(**{"Code métier BMO": this["family"], "Lbl_fam_met": "", "NOMBE27": ""})
    named = {
        "annee": 2027,
        "BE27": rows["territory"].str[2:],
        "Dept": rows["department"].str[1:],
        "REG": rows["region"].str[1:],
    }
    for name, column in (("met", "projects"), ("xmet", "difficult"), ("smet", "seasonal")):
        named[name] = rows[column].astype("object").where(~rows[f"{column}_secret"], "*")
    table = rows.assign(**named)[["NOMBE27", "REG", *[h for h in named if h != "REG"], "Code métier BMO", "Lbl_fam_met"]]
    nxt = read(workbook(tmp_path / "b.xlsx", [list(table.columns), *json.loads(table.to_json(orient="values"))])).kept
    changed = ["year", "known_from"]
    assert_frame_equal(nxt.drop(columns=changed), BMO.sort(this).drop(columns=changed))
    assert set(nxt["year"]) == {2027}
