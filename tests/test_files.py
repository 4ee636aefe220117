"""Files as an attacker or a tired clerk would drop them, in every folder: one clear error, in bounded memory, nothing lost."""

import gzip
import io
import os
import resource
import threading
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import processes
from features.sources import SOURCES, strangers_in
from features.sources.files import CSV
from features.sources.grid import Top, nearest, top_of
from features.sources.ours import read_rows, read_table
from features.sources.records import read_records
from features.tables import SIGNALS
from features.vocabulary import InputError

HEADER = ";".join(SIGNALS.headers)
SIGNAL = "2025-03-01;BE;4415;ROME;H2206;1;12;comité;bois;2026-03-01"
NAMES = {name: source.patterns[0].replace("*", "a") for name, source in SOURCES.items()}


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


NAMESPACE = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
KINDS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def leads_to(kind: str, *targets: str) -> str:
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    links = (f'<Relationship Id="r{at}" Type="{KINDS}/{kind}" Target="{name}"/>' for at, name in enumerate(targets, 1))
    return f'<Relationships xmlns="{package}">{"".join(links)}</Relationships>'


def sheet(cells: str, *more: str, shared: str = "", hidden: int = 0) -> bytes:
    """Make the smallest workbook that holds these cells, sheet by sheet, and these shared texts."""
    sheets = [cells, *more]
    state = {hidden: 'state="hidden" '}
    listed = "".join(
        f'<sheet name="s{at}" {state.get(at, "")}sheetId="{at}" r:id="r{at}"/>' for at in range(1, len(sheets) + 1)
    )
    parts = {
        "_rels/.rels": leads_to("officeDocument", "xl/workbook.xml"),
        "xl/workbook.xml": f'<workbook xmlns="{NAMESPACE}" xmlns:r="{KINDS}"><sheets>{listed}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": leads_to("worksheet", *(f"worksheets/sheet{at + 1}.xml" for at in range(len(sheets)))),
        **{
            f"xl/worksheets/sheet{at}.xml": f'<worksheet xmlns="{NAMESPACE}"><sheetData>{rows}</sheetData></worksheet>'
            for at, rows in enumerate(sheets, 1)
        },
        **({"xl/sharedStrings.xml": f'<sst xmlns="{NAMESPACE}">{shared}</sst>'} if shared else {}),
    }
    return packed(parts)


def packed(parts: dict[str, str]) -> bytes:
    folded = io.BytesIO()
    with zipfile.ZipFile(folded, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return folded.getvalue()


def row(*cells: object) -> str:
    return "<row>" + "".join(f'<c t="inlineStr"><is><t>{cell}</t></is></c>' for cell in cells) + "</row>"


BMO_HEADER = row("annee", "Code métier BMO", "BE24", "Dept", "REG", "met", "xmet", "smet")
BMO_ROW = row(2024, "A0Z40", 4401, 67, 44, 10, 5, 5)


def refused(name: str, path: Path) -> str:
    with pytest.raises(InputError) as caught:
        SOURCES[name].read([path])
    assert str(path) in str(caught.value)
    return str(caught.value)


every_source = pytest.mark.parametrize("name", sorted(SOURCES))


@every_source
def test_a_pipe_a_folder_and_nothing_are_refused_at_once(tmp_path, name):
    os.mkfifo(tmp_path / "pipe.csv")
    assert "is a pipe or a device" in refused(name, tmp_path / "pipe.csv")
    assert "is a folder" in refused(name, tmp_path)
    assert "there is no such file" in refused(name, tmp_path / "absent")


@every_source
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"<!DOCTYPE html><html><body>503</body></html>", "web page"),
        (b"%PDF-1.7\n", "is a PDF"),
        (gzip.compress(os.urandom(200_000) + b"a;b\n" * 1000, mtime=0)[:-3000], "(?s)."),
        (b"PAR1" + b"\0" * 60 + b"PAR1", "(?s)."),
    ],
    ids=["empty", "blank", "html", "pdf", "cut gzip", "parquet shell"],
)
def test_what_is_no_file_of_any_source_is_refused_in_words(tmp_path, name, content, words):
    with pytest.raises(InputError, match=words):
        SOURCES[name].read([write(tmp_path / NAMES[name], content)])


@pytest.fixture(scope="module")
def bomb(tmp_path_factory):
    """A file of 300 KB that unfolds to 300 MB."""
    path = tmp_path_factory.mktemp("bomb") / "bomb.gz"
    with gzip.open(path, "wb") as file:
        for _ in range(300):
            file.write(b" " * 2**20)
    return path


@every_source
def test_a_gzip_that_unfolds_without_end_is_refused_in_little_memory(bomb, name):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(name, bomb)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 120 * 1024


def test_a_gzip_of_many_rows_is_no_bomb(tmp_path):
    path = write(tmp_path / "a.csv.gz", gzip.compress(f"{HEADER}\n{SIGNAL}\n".encode() * 1, mtime=0))
    assert len(read_table([path], SIGNALS).kept) == 1


def test_a_file_that_is_written_by_another_process_is_refused(tmp_path):
    path = write(tmp_path / "a.csv", f"{HEADER}\n" + f"{SIGNAL}\n" * 30_000)
    done = threading.Event()

    def go_on() -> None:
        while not done.wait(0.001):
            with path.open("ab") as late:
                late.write(b"\n")

    writer = threading.Thread(target=go_on)
    writer.start()
    try:
        with pytest.raises(InputError, match="changed while it was read"):
            read_table([path], SIGNALS)
    finally:
        done.set()
        writer.join()


FAR = [
    '<row><c r="A1048576"><v>1</v></c><c r="XFD1"><v>1</v></c></row>',
    '<row r = "1"><c r = "A1"><v>1</v></c></row><row r = "1048576"><c r = "XFD1048576"><v>1</v></c></row>',
    '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>',
    '<row r="1"><c r=\'A1\'><v>1</v></c></row><row r="1048576"><c s="1" r=\'xfd1048576\'><v>1</v></c></row>',
    '<row r="1048576">' + "<c><v>1</v></c>" * 60 + "</row>" + '<row r="1"><c r="CA1"><v>1</v></c></row>',
]


@pytest.mark.parametrize("cells", FAR)
def test_a_workbook_whose_cells_lie_far_apart_never_ends_the_process(tmp_path, cells):
    """Laid out as a full table its cells would take terabytes, and the attempt aborts the process."""
    path = write(tmp_path / "far.xlsx", sheet(cells))
    assert "most of them empty" in refused("bmo", path)


def test_a_workbook_that_unfolds_without_end_is_refused(tmp_path):
    assert "cannot be opened" in refused("bmo", write(tmp_path / "cut.xlsx", sheet("")[:300]))
    path = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("xl/worksheets/sheet1.xml", "w") as part:
        for _ in range(520):
            part.write(b" " * 2**20)
    assert "unfolds to more than" in refused("bmo", path)


def test_a_parquet_file_that_holds_one_row_a_billion_times_is_refused(tmp_path):
    one = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000_000, pa.int8()), pa.array(["x"]))
    pq.write_table(pa.table(dict.fromkeys(SIGNALS.headers, one)), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="far more than a file of its size can hold"):
        read_table([tmp_path / "a.parquet"], SIGNALS)


@pytest.mark.long
def test_a_field_of_a_gigabyte_is_refused_in_little_memory(tmp_path):
    path = tmp_path / "a.csv"
    with path.open("wb") as file:
        file.write(f'{HEADER}\n"'.encode())
        file.truncate(2**30)  # a sparse file: NUL characters that take no place on the disk
    assert "NUL" in read_within(400, "signals", path)


def read_within(megabytes: int, name: str, path: Path) -> str:
    """Read a file in a process of its own, held to so much more memory than it starts with; say what came of it."""
    done = processes.run(processes.read_within, megabytes, name, path)
    assert done.code == 0, done.err[-500:]
    return done.out


AMPLIFIED = {
    "one text in all cells": (
        sheet(("<row>" + '<c t="s"><v>0</v></c>' * 100 + "</row>") * 1000, shared=f"<si><t>{'x' * 30_000}</t></si>"),
        "more than 256 MB of text",
    ),
    "more rows than Excel takes": (sheet("<row/>" * 1000 + '<row r="2000000"/>'), "more rows or columns than Excel takes"),
    "more columns than Excel takes": (sheet(f"<row>{'<c/>' * 2_000_000}</row>"), "more rows or columns than Excel takes"),
    "OpenDocument": (packed({"content.xml": "<table/>"}), "is an OpenDocument file"),
    "OpenDocument in disguise": (packed({"content.xml": "<table/>", "xl/workbook.xml": "<a/>"}), "is an OpenDocument file"),
    "a CSV wider than any table": (
        f"annee;Code métier BMO{';x' * 100_000}\n{'x;' * 100_000}\n".encode() * 5,
        "has 100,002 columns, and a table at most 2,000",
    ),
}


@pytest.mark.parametrize("what", AMPLIFIED)
def test_what_a_few_bytes_of_a_table_unfold_to_is_refused_in_little_memory(tmp_path, what):
    content, words = AMPLIFIED[what]
    assert words in read_within(500, "bmo", write(tmp_path / "a", content))


def test_a_text_that_many_cells_share_is_read_where_it_is_short(tmp_path):
    names = ["annee", "Code métier BMO", "BE24", "Dept", "REG", "met", "xmet", "smet", "2024", "A0Z40", "67", "x" * 20_000]
    header, cells = (
        "".join(f'<c t="s"><v>{at}</v></c>' for at in places) for places in (range(8), (8, 9, 10, 10, 10, 10, 10, 10))
    )
    shared = "".join(f"<si><t>{name}</t></si>" for name in names)
    path = write(tmp_path / "a.xlsx", sheet(f"<row>{header}</row>" + f"<row>{cells}</row>" * 3000, shared=shared))
    assert SOURCES["bmo"].read([path]).read == 3000


def test_rows_wider_than_the_header_are_wrong_rows_that_take_no_memory(tmp_path):
    path = write(tmp_path / "a.csv", f"{HEADER}\n{SIGNAL}\n" + f"{';' * 400_000}x\n" * 150)
    assert "1 kept, {'the row has 400001 fields, the header 10'}" in read_within(400, "signals", path)


def test_a_parquet_file_whose_texts_are_repeated_is_refused_in_little_memory(tmp_path):
    values = dict(zip(SIGNALS.headers, SIGNAL.split(";"), strict=True)) | {"commentaire": "x" * 10_000}
    one = {name: pa.DictionaryArray.from_arrays(pa.array([0] * 200_000, pa.int32()), [value]) for name, value in values.items()}
    pq.write_table(pa.table(one), tmp_path / "coded.parquet", store_schema=False)
    assert "far more than a file of its size" in read_within(500, "signals", tmp_path / "coded.parquet")


def test_parquet_texts_are_the_same_however_they_are_stored(tmp_path):
    table = pa.table({name: [value, None, value] for name, value in zip(SIGNALS.headers, SIGNAL.split(";"), strict=True)})
    for name, stored in (("a", table), ("b", pa.table({name: table[name].dictionary_encode() for name in table.column_names}))):
        pq.write_table(stored, tmp_path / f"{name}.parquet", row_group_size=2, use_dictionary=name == "b")
    first, second = (read_rows(tmp_path / f"{name}.parquet", SIGNALS).drop(columns="file") for name in "ab")
    assert first.equals(second)
    assert first["comment"].fillna("").tolist() == ["bois", "", "bois"]


def test_a_million_empty_lines_are_no_matter_and_more_are_refused(tmp_path):
    path = write(tmp_path / "a.csv", f"{HEADER}\n{SIGNAL}\n" + ";;;\n" * 1_000_000)
    assert len(read_table([path], SIGNALS).kept) == 1
    with gzip.open(tmp_path / "b.csv.gz", "wb") as file:
        file.write(path.read_bytes() + b"\n" * 1_100_000)
    with pytest.raises(InputError, match="more than two million of its lines are empty"):
        read_table([tmp_path / "b.csv.gz"], SIGNALS)


def test_a_table_on_two_sheets_is_refused_and_a_hidden_one_is_not_read(tmp_path, caplog):
    note, table = row("a note"), BMO_HEADER + BMO_ROW
    assert "sheets 's2' and 's3' both hold the table" in refused("bmo", write(tmp_path / "a.xlsx", sheet(note, table, table)))
    path = write(tmp_path / "b.xlsx", sheet(table + BMO_ROW.replace("A0Z40", "A0Z41"), note, table, hidden=1))
    assert SOURCES["bmo"].read([path]).read == 1
    assert len(top_of(path).sheets) == 2
    assert "sheet 's1' is hidden and not read" in caplog.text


def test_a_missing_column_is_named_as_a_producer_writes_it(tmp_path):
    lacking = BMO_HEADER.replace("BE24", "Bassin").replace("xmet", "dur")
    words = refused("bmo", write(tmp_path / "a.xlsx", sheet(lacking + BMO_ROW)))
    assert "no column is named 'BE24'" in words
    assert "no column is named 'xmet'" in words


LAYOUTS = [source.layout for source in SOURCES.values() if source.layout]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.columns[0])
def test_every_column_is_spelt_as_a_header_that_fills_it(layout):
    for column in layout.columns:
        assert layout.places([layout.spoken(column)])[column] == [0]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.columns[0])
def test_a_file_that_lacks_one_column_is_nearest_to_its_own_table(layout):
    needed = [column for column in layout.columns if column not in layout.optional]
    top = Top((([layout.spoken(column) for column in needed[:-1]],),))
    assert f"no column is named '{layout.spoken(needed[-1])}'" in nearest(top, {"it": layout})
    assert nearest(Top(((["a", "b"],),)), {"it": layout}) == ""


def test_a_stranger_of_a_shared_folder_is_told_what_it_lacks(tmp_path):
    header = "code_rome;code_cible;code_appellation_source;code_appellation_cible;libelle_type_mobilite"
    path = write(tmp_path / "a.csv", f"{header}\nA1101;A1102;;;proche\n")
    (told,) = strangers_in(tmp_path, "reference")
    assert str(path) in told
    assert "nearest to ROME, moves between occupations, but no column is named 'code_rome_cible'" in told


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Année;ville\n" + "2024;Troyes\n" * 500, "cp1252"),
        ("nom;ville\n" + "Noé;Épinal\n" * 50 + "Dupont®;Troyes\n", "cp1252"),
        ("nom;ville\n" + "Noe;Troyes\n" * 500 + "Noé;Troyes\n", "utf-8-sig"),  # a wrong row of a UTF-8 file
        ("nom;ville\n" + "ÿþý;Troyes\n" * 50, "utf-8-sig"),  # mostly no French letters
    ],
    ids=["header only", "a rare sign", "a stray row", "no letters"],
)
def test_latin_1_is_told_by_its_header_or_by_its_letters(tmp_path, text, encoding):
    path = write(tmp_path / "a.csv", text.encode("cp1252"))
    assert [";".join(fields) for _, fields in read_records(path, ";", CSV)] == (
        text.splitlines() if encoding == "cp1252" else text.encode("cp1252").decode("utf-8", "surrogateescape").splitlines()
    )


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("packed", [False, True])
def test_encodings_line_ends_and_packing_change_no_field(tmp_path, ends, encoding, packed):
    text = ends.join(["nom;ville", 'Élodie;"Épinal; Vosges"', "Noé;Troyes"]) + ends
    content = text.encode(encoding)
    path = write(tmp_path / "a.csv", gzip.compress(content, mtime=0) if packed else content)
    fields = [["nom", "ville"], ["Élodie", "Épinal; Vosges"], ["Noé", "Troyes"]]
    assert [record for _, record in read_records(path, ";,", CSV)] == fields


@settings(max_examples=15, deadline=None)
@given(content=st.binary(max_size=300), start=st.sampled_from([b"", b"\x1f\x8b", b"PK\x03\x04", HEADER.encode() + b"\n"]))
@pytest.mark.parametrize("name", sorted(SOURCES))
def test_garbage_never_raises_anything_but_an_input_error(tmp_path_factory, name, content, start):
    path = write(tmp_path_factory.getbasetemp() / f"garbage_{name}", start + content)
    try:
        checked = SOURCES[name].read([path])
    except InputError:
        return
    assert checked.read >= len(checked.kept)


def test_a_file_of_a_shared_folder_that_is_no_table_of_it_is_named(tmp_path):
    shared = [source.folder for source in SOURCES.values() if sum(s.folder == source.folder for s in SOURCES.values()) > 1]
    path = write(tmp_path / "strange.csv", "a;b\n1;2\n")
    for folder in set(shared):
        assert str(path) in " ".join(strangers_in(tmp_path, folder))


def test_the_top_of_an_archive_names_its_parts(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("one.csv", "a;b")
    assert top_of(tmp_path / "a.zip").parts == ("one.csv",)
