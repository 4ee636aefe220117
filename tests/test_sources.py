"""Our own tables and the files they lie in: laws first, then each bad input with its one clear answer."""

import codecs
import gzip
import logging
import os
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from features.contracts import Checked, Contract
from features.reference_tables import REFERENCES
from features.sources import SOURCES, files_of
from features.sources.formats import describe_formats
from features.sources.ours import read_table
from features.sources.publication import day_in_name
from features.sources.records import cut
from features.tables import CONTRACTS, JOBSEEKERS, PURCHASES, SESSIONS, SIGNALS, TRAININGS
from features.vocabulary import InputError

SIGNAL = {
    "date": "2025-03-01",
    "territoire_type": "BE",
    "territoire": "4415",
    "nomenclature": "ROME",
    "code": "H2206",
    "sens": "1",
    "places_demandees": "12",
    "auteur_type": "comité",
    "commentaire": "métiers du bois; à suivre",
    "valable_jusquau": "2026-03-01",
}
SESSION = {
    "id_session": "S1",
    "id_lot": "L1",
    "numero_lheo": "SE1",
    "date_debut": "2025-03-01",
    "date_fin": "2025-06-01",
    "insee_commune": "67482",
    "places": "12",
    "entrees": "10",
    "siret_formateur": "01234567890123",
}

few, many = settings(max_examples=6, deadline=None), settings(max_examples=12, deadline=None)
cells = st.sampled_from(
    ["", "1", "12,5", "67482", "2025-03-01", "2025-02-30", "BE", "D", "67", "-1", "é", 'a"b', "x;y", "a\nb"]
)
rows = st.lists(st.fixed_dictionaries({name: cells | st.just(value) for name, value in SIGNAL.items()}), max_size=8)


def csv(*table: dict[str, str], headers: list[str] | None = None) -> str:
    names = headers or list(table[0])
    lines = [names, *([row.get(name, "") for name in names] for row in table)]
    return "\n".join(";".join('"' + cell.replace('"', '""') + '"' for cell in line) for line in lines) + "\n"


def write(folder: Path, content: str | bytes, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(folder: Path, content: str | bytes, contract: Contract = SIGNALS) -> Checked:
    return read_table([write(folder, content)], contract)


def refusal(folder: Path, content: str | bytes, contract: Contract = SIGNALS) -> str:
    with pytest.raises(InputError) as caught:
        read(folder, content, contract)
    return str(caught.value)


def outcome(paths: list[Path], contract: Contract = SIGNALS) -> tuple[pd.DataFrame, list[str], int] | None:
    try:
        checked = read_table(paths, contract)
    except InputError:
        return None
    return checked.kept, sorted(checked.rejected["reason"]), checked.duplicates


def same(one: object, other: object) -> None:
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        assert_frame_equal(one[0], other[0])
        assert one[1:] == other[1:]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("raw")


@many
@given(table=rows, order=st.randoms(use_true_random=False), cut=st.integers(0, 8))
def test_order_of_rows_and_columns_and_split_in_files_change_nothing(folder, table, order, cut):
    names = list(SIGNAL)
    whole = outcome([write(folder, csv(*table, headers=names))])
    shuffled = order.sample(table, len(table))
    columns = order.sample(names, len(names))
    parts = [
        write(folder, csv(*shuffled[:cut], headers=columns), "b.csv"),
        write(folder, csv(*shuffled[cut:], headers=names), "c.csv"),
    ]
    same(outcome(order.sample(parts, 2)), whole)


@many
@given(table=rows)
def test_every_row_is_kept_rejected_or_a_duplicate(folder, table):
    path = write(folder, csv(*table, headers=list(SIGNAL)))
    try:
        checked = read_table([path], SIGNALS)
    except InputError:
        return
    assert checked.read == len([row for row in table if any(row.values())])
    assert len(checked.origin) == len(checked.kept)


@few
@given(table=rows)
def test_parquet_says_what_the_csv_says(folder, table):
    frame = pa.table({name: pa.array([row[name] for row in table], pa.string()) for name in SIGNAL})
    pq.write_table(frame, folder / "p.parquet")
    table = [row for row in table if any(row.values())]
    if len(table) == len(frame):
        same(outcome([folder / "p.parquet"]), outcome([write(folder, csv(*table, headers=list(SIGNAL)))]))


@many
@given(
    content=st.binary(max_size=200), head=st.sampled_from([b"", csv(SIGNAL).encode(), b"PAR1", b"\x1f\x8b", b"\xff\xfe", b'"'])
)
@pytest.mark.parametrize("name", ["bmo", "catalogue", "offers", "signals"])
def test_garbage_gets_an_input_error_or_quarantine(folder, name, content, head):
    path = write(folder, head + content, "g.bin")
    try:
        told = f"{name}: {SOURCES[name].read([path]).read} rows"
    except InputError as error:
        told = str(error)
    assert told.startswith((f"{path}: ", f"{name}: "))


def test_typed_parquet_cells_are_read_as_their_csv_spelling(tmp_path):
    typed = {"sens": pa.array([1.0]), "places_demandees": pa.array([12]), "date": pa.array([date(2025, 3, 1)])}
    text = {name: pa.array([value]) for name, value in SIGNAL.items() if name not in typed}
    text["code"] = text["code"].dictionary_encode()
    pq.write_table(pa.table({**typed, **text}), tmp_path / "p.parquet")
    spelt = outcome([write(tmp_path, csv(SIGNAL))])
    assert spelt is not None
    assert len(spelt[0]) == 1
    same(outcome([tmp_path / "p.parquet"]), spelt)


def test_types_and_origin_of_a_read_row(tmp_path):
    checked = read(tmp_path, csv(SIGNAL, SIGNAL, SIGNAL | {"code": "A1101", "commentaire": "sur\ndeux lignes"}))
    assert checked.kept["territory"].tolist() == ["BE4415", "BE4415"]
    assert checked.kept["places_asked"].tolist() == [12.0, 12.0]
    assert (checked.duplicates, checked.rejected.empty) == (1, True)
    assert checked.origin.to_dict("list") == {"file": ["a.csv", "a.csv"], "line": [4, 2]}


@pytest.mark.parametrize(
    ("kind", "code"), [("BE", "BE4415"), ("ZE", "4413"), ("D", "67"), ("D", "D67"), ("D", "2A"), ("MR", "03"), ("R", "44")]
)
def test_territories_are_typed(tmp_path, kind, code):
    kept = read(tmp_path, csv(SIGNAL | {"territoire_type": kind, "territoire": code})).kept
    assert kept["territory"].tolist() == [kind + code.removeprefix(kind)]


@pytest.mark.parametrize(("kind", "code"), [("BE", "67"), ("D", "BE4415"), ("R", "x"), ("MR", "3")])
def test_a_code_of_another_kind_of_territory_is_a_wrong_row(tmp_path, kind, code):
    rejected = read(tmp_path, csv(SIGNAL | {"territoire_type": kind, "territoire": code})).rejected
    assert "territoire is not a code of its territoire_type" in rejected["reason"].item()


def test_missing_optional_columns_are_unknown_and_missing_others_are_all_named(tmp_path):
    employment = dict.fromkeys(
        ["id_personne", "date_debut", "date_fin", "contrat", "rome", "insee_commune", "source", "connu_le"], ""
    )
    row = employment | {"id_personne": "p", "date_debut": "2025-01-01", "contrat": "CDI", "connu_le": "2025-02-01"}
    kept = read(tmp_path, csv(row), SOURCES["employment"].contract).kept
    assert kept["end_known_from"].isna().all()
    text = refusal(
        tmp_path,
        csv({name: value for name, value in row.items() if name not in ("contrat", "rome")}),
        SOURCES["employment"].contract,
    )
    assert "'contrat' is missing" in text
    assert "'rome' is missing" in text


def test_faults_of_all_files_come_at_once(tmp_path):
    paths = [
        write(tmp_path, content, name)
        for name, content in (("empty.csv", ""), ("page.csv", "<!DOCTYPE html>"), ("ok.csv", csv(SIGNAL)))
    ]
    with pytest.raises(InputError) as caught:
        read_table([*paths, tmp_path, tmp_path / "absent.csv"], SIGNALS)
    told = [tmp_path / "empty.csv", tmp_path / "page.csv", tmp_path, tmp_path / "absent.csv"]
    assert [fault.split(":")[0] for fault in caught.value.faults] == [str(path) for path in told]
    assert caught.value.faults[-1] == f"{tmp_path / 'absent.csv'}: there is no such file."
    assert not any("territoire_type" in fault for fault in caught.value.faults)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (csv(SIGNAL).replace(";", ","), "separated by commas"),
        (csv(SIGNAL).replace(";", "\t"), "separated by tabs"),
        (csv(SIGNAL).replace('"code"', '"sens"'), "'sens' comes twice"),
        (csv(SIGNAL) + "a\0b", "NUL"),
        (csv(SIGNAL) + "x" * 1_000_001, "more than a million characters"),
        (b"PAR1" + b"x" * 40, "cannot be read as Parquet"),
        (b"\xff\xfe\x00", "neither UTF-8 nor UTF-16"),
        (b"\x1f\x8b\x08\x00garbage", "cannot be read to its end"),
        ("  \n", "is empty"),
        ("<html><body>503</body></html>", "web page"),
        ('{"resultats": []}', "is JSON, not CSV"),
        (gzip.compress(b'\xef\xbb\xbf [{"id": 1}]', mtime=0), "is JSON, not CSV"),
        (b"PK\x03\x04x", "is an Excel workbook (or a zip)"),
        ("<?xml version='1.0'?><lheo/>", "is XML, not CSV"),
        (b"%PDF-1.7", "is a PDF"),
    ],
)
def test_what_is_no_csv_of_ours_is_refused_in_words(tmp_path, content, words):
    text = refusal(tmp_path, content)
    assert "a.csv" in text
    assert words in text


def test_a_file_of_another_table_is_told_in_one_line(tmp_path):
    path = tmp_path / "a.csv"
    assert refusal(tmp_path, csv(SESSION), PURCHASES) == f"{path}: these are the columns of 'sessions', not of 'purchases'."
    few_of_them = refusal(tmp_path, "exercice;id_lot\n2025;L1\n", PURCHASES)
    assert few_of_them.startswith(f"{path}: 34 of the 36 columns of purchases are missing: marche;type_contrat;")
    assert "\n" not in few_of_them


@pytest.mark.parametrize("name", ["catalogue", "offers", "signals"])
def test_a_workbook_is_told_wherever_it_is_dropped(tmp_path, name):
    path = write(tmp_path, b"PK\x03\x04 and more", "a.xlsx")
    with pytest.raises(InputError, match="is an Excel workbook"):
        SOURCES[name].read([path])


def test_the_page_of_formats_says_what_the_contracts_say():
    page = Path(__file__).resolve().parents[1] / "docs" / "formats.md"
    assert page.read_text(encoding="utf-8") == describe_formats(), "run: python -m features.sources.formats > docs/formats.md"


def test_a_column_that_never_holds_its_type_is_a_wrong_shape(tmp_path):
    assert "never holds" in refusal(
        tmp_path, csv(*(SIGNAL | {"date": f"{day}/03/2025", "code": str(day)} for day in range(10, 14)))
    )


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le", "utf-16-be"])
def test_another_encoding_is_read_as_such_and_said(tmp_path, encoding, caplog):
    with caplog.at_level(logging.WARNING):
        kept = read(tmp_path, csv(SIGNAL).encode(encoding)).kept
    assert kept["comment"].tolist() == [SIGNAL["commentaire"]]
    assert "save it as UTF-8" in caplog.text


def test_a_byte_order_mark_and_windows_line_ends_are_no_matter(tmp_path):
    content = codecs.BOM_UTF8 + csv(SIGNAL).replace("\n", "\r\n").encode()
    assert read(tmp_path, content).kept["comment"].tolist() == [SIGNAL["commentaire"]]


@pytest.mark.parametrize("bad", [b"\xff", b"caf\xe9", b"\xed\xa0\x80"])
def test_a_row_that_is_not_utf8_is_a_wrong_row(tmp_path, bad):
    checked = read(tmp_path, csv(SIGNAL, SIGNAL | {"code": "A1101"}).encode().replace(b"A1101", bad))
    assert checked.rejected.to_dict("list") == {
        "file": ["a.csv"],
        "line": [3],
        "reason": ["the row is not valid UTF-8; save the file as UTF-8"],
    }
    assert len(checked.kept) == 1


def test_bytes_that_spell_nothing_are_no_latin_1(tmp_path):
    plain = SIGNAL | {"commentaire": "bois"}
    checked = read(tmp_path, csv(plain, plain | {"code": "A1101"}).encode().replace(b"A1101", b"\xff\xfe"))
    assert checked.rejected["reason"].tolist() == ["the row is not valid UTF-8; save the file as UTF-8"]


def test_a_wrong_number_of_fields_and_an_open_quote_spoil_their_own_row(tmp_path):
    checked = read(tmp_path, csv(SIGNAL) + '2025;BE\n"2025;BE\n2025;"BE\n' + csv(SIGNAL | {"code": "A1101"}).split("\n")[1])
    assert checked.rejected["line"].tolist() == [3, 4, 5]
    assert checked.rejected["reason"].str.contains("fields, the header 10").all()
    assert checked.kept["code"].tolist() == ["A1101", "H2206"]


@few
@given(secret=st.text("abcdefgh", min_size=8), table=st.lists(st.lists(cells, min_size=1, max_size=30), max_size=5))
@pytest.mark.parametrize("contract", [JOBSEEKERS, TRAININGS])
def test_no_cell_of_a_person_is_told(folder, contract, secret, table):
    lines = [contract.headers, *([secret, *row] for row in table), [secret] * len(contract.headers)]
    try:
        told = read(folder, "\n".join(";".join(line).replace("\n", "") for line in lines), contract).rejected.to_csv()
    except InputError as error:
        told = str(error)
    assert secret not in told


def test_rows_that_break_a_law_between_columns_are_wrong(tmp_path):
    late = read(tmp_path, csv(SESSION | {"date_fin": "2024-01-01"}), SESSIONS).rejected
    assert late["reason"].tolist() == ["the session ends before it starts"]
    blank = dict.fromkeys(PURCHASES.headers, "")
    lot = {"exercice": "2025", "id_lot": "L1", "type_action": "certification", "formacode": "23026", "territoire_type": "D"}
    lot |= {
        "territoire": "67",
        "date_notification": "2025-01-01",
        "effectif_min": "9",
        "effectif_max": "8",
        "type_contrat": "accord_cadre",
    }
    reason = read(tmp_path, csv(blank | lot), PURCHASES).rejected["reason"].item()
    assert "effectif_min is above effectif_max" in reason
    assert "no maximum" in reason


@many
@given(
    table=st.lists(
        st.lists(st.text(st.characters(exclude_characters="\0\r", codec="utf-8"), max_size=6), min_size=2, max_size=2),
        min_size=1,
    )
)
def test_quoted_records_come_back_as_they_were_written(table):
    quoted = "\n".join(";".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in table)
    assert [fields for _, fields in cut(iter(quoted.split("\n")), ";")] == [row for row in table if any(row)]


def test_files_of_a_source(tmp_path, caplog):
    source = SOURCES["signals"]
    assert files_of(tmp_path / "absent", source) == []
    names = ["b.csv", "a.CSV", "2024/c.parquet", "notes.txt", ".gitkeep"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "d.csv").symlink_to(tmp_path / "b.csv")
    with caplog.at_level(logging.WARNING):
        found = files_of(tmp_path, source)
    assert [str(path.relative_to(tmp_path)) for path in found] == ["2024/c.parquet", "a.CSV", "b.csv", "d.csv"]
    assert "notes.txt" in caplog.text


@pytest.mark.parametrize("target", ["outside.csv", "folder"])
def test_a_link_that_leaves_its_folder_is_refused(tmp_path, target):
    (tmp_path / "folder").mkdir()
    (tmp_path / "raw").mkdir()
    (tmp_path / "outside.csv").touch()
    (tmp_path / "raw" / "x.csv").symlink_to(tmp_path / target)
    with pytest.raises(InputError, match="leaves"):
        files_of(tmp_path / "raw", SOURCES["signals"])


def test_every_source_has_its_contract_and_no_file_gives_its_empty_table():
    assert set(SOURCES) == {contract.name for contract in (*CONTRACTS, *REFERENCES)}
    for name, source in SOURCES.items():
        assert source.contract.name == name
        assert_frame_equal(source.read([]).kept, source.contract.empty())


def test_a_file_of_persons_without_its_header_tells_no_cell(tmp_path):
    row = ";".join(["P0000042", "2024-01-01", "67482", "67482", *["secret", "secret"] * 10])
    told = refusal(tmp_path, f"{row}\n{row}\n", JOBSEEKERS)
    assert not [cell for cell in ("P0000042", "2024-01-01", "67482", "secret") if cell in told]


@pytest.mark.parametrize("day", ["31/03/2025", "45747", "31/03/2025 00:00"])
def test_days_that_a_spreadsheet_rewrote_are_told_with_their_file(tmp_path, day):
    told = refusal(tmp_path, csv(*(SIGNAL | {"date": day, "code": str(number)} for number in range(4))))
    assert told.startswith("a.csv: column 'date' never holds")
    assert "write them as 2025-03-31" in told


def test_a_name_that_is_not_utf_8_is_refused_in_words(tmp_path):
    path = tmp_path / os.fsdecode(b"s\xe9.csv")
    path.write_text(csv(SIGNAL), encoding="utf-8")
    with pytest.raises(InputError, match="has a name that is not UTF-8"):
        read_table([path], SIGNALS)


@pytest.mark.parametrize("name", ["m_20230231.csv", "m_2023-13-01.csv", "m.csv"])
def test_an_impossible_day_in_a_name_is_no_day(name):
    assert day_in_name(Path(name)) == ""
