"""The archive of the national registers: known answers, laws, the published sample, and archives that mean harm."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from features.sources.grid import top_of
from features.sources.publication import PublicationParams
from features.sources.rncp import holds_fiches, read_blocks, read_registrations
from features.vocabulary import InputError

SAMPLE = Path(__file__).resolve().parents[2] / "shared" / "data" / "formation" / "export-fiches-csv-2024-02-22_SAMPLE.zip"
real = pytest.mark.skipif(not SAMPLE.exists(), reason="../shared/data is not there")
DATES = PublicationParams()
few, some = settings(max_examples=5, deadline=None), settings(max_examples=30, deadline=None)

STANDARD, BLOCKS, FORMACODE, ROME, OLDER, ACCESS = (
    f"export_fiches_CSV_{table}_2024_02_22.csv"
    for table in (
        "Standard",
        "Blocs_De_Compétences",
        "Formacode",
        "Rome",
        "Ancienne_Nouvelle_Certification",
        "VoixdAccès",
    )
)
TABLES = {
    STANDARD: """\
"Id_Fiche";"Numero_Fiche";"Intitule";"Abrege_Libelle";"Nomenclature_Europe_Niveau";"Nomenclature_Europe_Intitule";\
"Date_dernier_jo";"Date_Decision";"Date_Fin_Enregistrement";"Date_Effet";"Type_Enregistrement";"Actif"
"1";"RNCP509";"Vérificateur d''appareils";"CAP";"NIV3";"Niveau 3";;;"31/08/2023";;"Enregistrement de droit";"INACTIVE"
"2";"RS5000";"Blockchain";;;;;"13/06/2019";"24/05/2024";;"Enregistrement sur demande";"ACTIVE"
"3";"RNCP19468";"CQP Tourier";;"REPRISE";"Sans niveau";"21/07/2018";;"21/07/2021";;"Enregistrement sur demande";"INACTIVE"
""",
    BLOCKS: '"Numero_Fiche";"Bloc_Competences_Code";"Bloc_Competences_Libelle"\n'
    '"RNCP509";"RNCP509BC01";"UP1 : l\'\'intervention"\n"RNCP509";"RNCP509BC02";"UP2\n: robinet"\n',
    FORMACODE: '"Numero_Fiche";"Formacode_Code";"Formacode_Libelle"\n"RNCP509";"42872";"x"\n"RNCP509";"21538";"y"\n',
    ROME: '"Numero_Fiche";"Codes_Rome_Code";"Codes_Rome_Libelle"\n"RNCP509";"I1203";"x"\n"RS5000";"M18";"y"\n"509";"I1203";\n',
    OLDER: '"Numero_Fiche";"Ancienne_Certification";"Nouvelle_Certification"\n"RNCP509";;"RNCP38228"\n"RNCP38228";"RNCP509";\n',
    ACCESS: '"Numero_Fiche";"Si_Jury"\n"RS5000";"Par expérience"\n"RS5000";"En contrat d\'apprentissage"\n',
}


def pack(path: Path, tables: Mapping[str, str | bytes] = TABLES) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in tables.items():
            archive.writestr(name, content)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_registrations([path], DATES)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_a_fiche_holds_the_codes_of_the_other_tables(tmp_path):
    checked = read_registrations([pack(tmp_path / "fiches.zip")], DATES)
    rows = checked.kept.set_index("fiche")
    assert rows.index.tolist() == ["RNCP19468", "RNCP509", "RS5000"]
    assert rows.loc["RNCP509", ["title", "diploma", "level", "active", "formacodes", "occupations", "newer"]].tolist() == [
        "Vérificateur d'appareils",
        "CAP",
        3,
        False,
        "21538|42872",
        "I1203",
        "RNCP38228",
    ]
    assert rows["level"].isna().tolist() == [True, False, True]
    assert rows["ends"].dt.strftime("%d/%m/%Y").tolist() == ["21/07/2021", "31/08/2023", "24/05/2024"]
    assert rows.loc["RS5000", "accesses"] == "En contrat d'apprentissage|Par expérience"
    assert set(rows["known_from"]) == {pd.Timestamp("2024-02-22")}


def test_a_wrong_line_of_another_table_is_set_aside_and_a_lacking_fiche_is_listed(tmp_path):
    checked = read_registrations([pack(tmp_path / "fiches.zip")], DATES)
    assert set(checked.rejected["file"]) == {f"fiches.zip/{ROME}"}
    assert dict(zip(checked.rejected["line"], checked.rejected["reason"], strict=True)) == {
        3: "codes rome code is not spelt as one code",
        4: "numero fiche is not spelt as one fiche",
    }
    assert checked.unknown.to_dict("records") == [{"column": "Numero_Fiche", "code": "RNCP38228", "rows": 1, "volume": 1.0}]


def test_blocks_belong_to_their_fiche(tmp_path):
    rows = read_blocks([pack(tmp_path / "fiches.zip")], DATES).kept
    assert rows[["fiche", "block", "title"]].to_numpy().tolist() == [
        ["RNCP509", "RNCP509BC01", "UP1 : l'intervention"],
        ["RNCP509", "RNCP509BC02", "UP2\n: robinet"],
    ]


@pytest.mark.parametrize("spell", [str.upper, lambda name: name.encode().decode("cp437"), "export/{}".format])
def test_names_are_read_however_they_are_spelt(tmp_path, spell):
    renamed = {spell(name) if not name.isupper() else name: text for name, text in TABLES.items()}
    renamed = {name.removesuffix(".CSV") + ".csv" if name.endswith(".CSV") else name: text for name, text in renamed.items()}
    path, same = pack(tmp_path / "renamed.zip", renamed), pack(tmp_path / "fiches.zip")
    for read in (read_registrations, read_blocks):
        assert_frame_equal(read([path], DATES).kept, read([same], DATES).kept)
    assert holds_fiches(top_of(path))


def test_tables_that_are_not_there_leave_their_columns_empty(tmp_path):
    path = pack(tmp_path / "fiches_2025-01-02.zip", {"standard.csv": TABLES[STANDARD]})
    checked = read_registrations([path], DATES)
    assert len(checked.kept) == 3
    assert checked.kept[["formacodes", "nsf", "occupations", "older", "newer", "accesses"]].isna().all(axis=None)
    assert set(checked.kept["known_from"]) == {pd.Timestamp("2025-01-02")}
    assert len(read_blocks([path], DATES).kept) == 0
    assert len(read_registrations([], DATES).kept) == len(read_blocks([], DATES).kept) == 0


@few
@given(seed=st.integers(0, 2**32))
def test_the_order_of_rows_and_of_tables_changes_nothing(tmp_path_factory, seed):
    folder, dice = tmp_path_factory.mktemp("a"), random.Random(seed)

    def shuffled(name: str) -> str:
        head, *body = TABLES[name].splitlines() if name != BLOCKS else [TABLES[name]]
        return "\n".join([head, *dice.sample(body, len(body))]) + "\n"

    path = pack(folder / "shuffled.zip", {name: shuffled(name) for name in dice.sample(list(TABLES), len(TABLES))})
    same = pack(folder / "fiches.zip")
    for read in (read_registrations, read_blocks):
        assert_frame_equal(read([path], DATES).kept, read([same], DATES).kept)


@few
@given(junk=st.lists(st.text("A1,'|$é0RNCP", min_size=1, max_size=20), max_size=5))
def test_every_fiche_is_kept_rejected_or_a_duplicate(tmp_path_factory, junk):
    lines = "".join(f'"{n}";"{text}";"x";;"{text}";;;;"{text}";;;"{text}"\n' for n, text in enumerate(junk))
    path = pack(tmp_path_factory.mktemp("a") / "fiches.zip", {STANDARD: TABLES[STANDARD] + lines})
    assert read_registrations([path], DATES).read == 3 + len(junk)


@some
@given(place=st.integers(0, 3000), content=st.binary(min_size=1, max_size=20), cut=st.booleans())
def test_a_damaged_archive_is_refused_in_words_or_read_right(tmp_path_factory, place, content, cut):
    path = pack(tmp_path_factory.mktemp("a") / "fiches.zip", {STANDARD: TABLES[STANDARD], ROME: TABLES[ROME]})
    whole = path.read_bytes()
    place %= len(whole)
    path.write_bytes(whole[:place] + content + (b"" if cut else whole[place + len(content) :]))
    with suppress(InputError):
        assert len(read_registrations([path], DATES).kept) <= 3
    with suppress(InputError):
        top_of(path)


@pytest.mark.parametrize("name", ["../Standard.csv", "/etc/Standard.csv", "C:\\Standard.csv", "a\\..\\..\\Standard.csv"])
def test_a_name_that_leads_out_of_the_archive_is_refused(tmp_path, name):
    assert "leads out of the archive" in refusal(pack(tmp_path / "fiches.zip", {**TABLES, name: "x"}))


def test_an_archive_that_unfolds_without_end_is_refused_before_it_is_unfolded(tmp_path):
    bomb = pack(tmp_path / "bomb.zip", {STANDARD: bytes(80 * 1024**2)})
    assert bomb.stat().st_size < 200_000
    assert "far more than a real archive of its size" in refusal(bomb)


def patched(path: Path, central: int, value: int, size: int) -> Path:
    """Write a number into the directory of an archive, at a place in the entry of its first file."""
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02") + central
    content[at : at + size] = value.to_bytes(size, "little")
    path.write_bytes(bytes(content))
    return path


@pytest.mark.parametrize("content", [TABLES[STANDARD], b"x" * 80 * 1024**2], ids=["table", "bomb"])
def test_a_size_that_lies_is_found_out(tmp_path, content):
    assert "damaged" in refusal(patched(pack(tmp_path / "fiches.zip", {STANDARD: content}), 24, 10, 4))


def test_a_locked_or_strangely_packed_file_is_refused(tmp_path):
    assert "locked by a password" in refusal(patched(pack(tmp_path / "locked.zip"), 8, 1, 2))
    assert "packed in a way that is not read here" in refusal(patched(pack(tmp_path / "packed.zip"), 10, 93, 2))


def nested() -> bytes:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr(STANDARD, TABLES[STANDARD])
    return inner.getvalue()


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({ROME: TABLES[ROME]}, "holds no CSV file named …Standard…"),
        ({"inner_Standard.zip": nested()}, "holds no CSV file named …Standard…"),
        ({STANDARD: nested()}, "holds a NUL character"),
        ({STANDARD: b""}, "is empty"),
        ({STANDARD: "<!DOCTYPE html><html>\n"}, "is not the table that is read here"),
        ({STANDARD: TABLES[STANDARD], f"again/{STANDARD}": TABLES[STANDARD]}, "holds 2 files of one table"),
        ({"xl/workbook.xml": "<workbook/>"}, "is an Excel workbook, not an archive"),
        ({STANDARD: TABLES[STANDARD].replace("Actif", "Intitule")}, "comes twice|no column is named"),
        ({STANDARD: "x" * 2_000_000}, "holds more than a million characters"),
    ],
)
def test_an_archive_of_something_else_is_refused(tmp_path, tables, words):
    with pytest.raises(InputError, match=words):
        read_registrations([pack(tmp_path / "fiches.zip", tables)], DATES)


@pytest.mark.parametrize(
    ("content", "words"), [(b"a;b\n1;2\n", "is no zip archive"), (b"", "is empty"), (b"PK\x03\x04cut", "cannot be opened")]
)
def test_a_file_that_is_no_archive_is_refused(tmp_path, content, words):
    path = tmp_path / "fiches.zip"
    path.write_bytes(content)
    assert words in refusal(path)


@real
def test_the_published_sample():
    checked = read_registrations([SAMPLE], DATES)
    rows = checked.kept.set_index("fiche")
    assert (len(rows), len(checked.rejected), checked.unknown["code"].tolist()) == (9, 0, ["RNCP38228"])
    assert rows["active"].sum() == 2
    assert rows.loc["RNCP30271", ["older", "formacodes", "occupations"]].tolist() == ["RNCP28155", "21551", "D1406|D1407|H1102"]
    assert rows.loc["RS6117", "ends"] == pd.Timestamp("2025-09-29")
    blocks = read_blocks([SAMPLE], DATES)
    assert (len(blocks.kept), blocks.kept["fiche"].unique().tolist()) == (6, ["RNCP509"])
