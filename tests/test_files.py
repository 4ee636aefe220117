"""Files as an attacker or a tired clerk would drop them, in every folder: one clear error, in bounded memory, nothing lost."""

import gzip
import io
import os
import resource
import subprocess
import sys
import textwrap
import threading
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.sources import SOURCES, strangers_in
from features.sources.files import CSV
from features.sources.grid import top_of
from features.sources.ours import read_table
from features.sources.records import read_records
from features.tables import SIGNALS
from features.vocabulary import InputError

HEADER = ";".join(SIGNALS.headers)
SIGNAL = "2025-03-01;BE;4415;ROME;H2206;1;12;comité;bois;2026-03-01"
NAMES = {name: source.patterns[0].replace("*", "a") for name, source in SOURCES.items()}


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def sheet(cells: str) -> bytes:
    """Make the smallest workbook that holds these cells."""
    main, package = (
        f"http://schemas.openxmlformats.org/{name}" for name in ("spreadsheetml/2006/main", "package/2006/relationships")
    )
    kinds = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"

    def leads_to(kind: str, target: str) -> str:
        link = f'<Relationship Id="r1" Type="{kinds}/{kind}" Target="{target}"/>'
        return f'<Relationships xmlns="{package}">{link}</Relationships>'

    book = f'<workbook xmlns="{main}" xmlns:r="{kinds}"><sheets><sheet name="a" sheetId="1" r:id="r1"/></sheets></workbook>'
    parts = {
        "_rels/.rels": leads_to("officeDocument", "xl/workbook.xml"),
        "xl/workbook.xml": book,
        "xl/_rels/workbook.xml.rels": leads_to("worksheet", "worksheets/sheet1.xml"),
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{cells}</sheetData></worksheet>',
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return packed.getvalue()


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


@every_source
def test_a_gzip_that_unfolds_without_end_is_refused_in_little_memory(tmp_path, name):
    with gzip.open(tmp_path / "bomb.gz", "wb") as bomb:
        for _ in range(300):
            bomb.write(b" " * 2**20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(name, tmp_path / "bomb.gz")
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
    pq.write_table(pa.table(dict.fromkeys(SIGNALS.headers[:1], one)), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="far more than a file of its size can hold"):
        read_table([tmp_path / "a.parquet"], SIGNALS)


def test_a_field_of_a_gigabyte_is_refused_in_little_memory(tmp_path):
    """In a process of its own, held to memory that could not hold the field."""
    path = tmp_path / "a.csv"
    with path.open("wb") as file:
        file.write(f'{HEADER}\n"'.encode())
        file.truncate(2**30)  # a sparse file: NUL characters that take no place on the disk
    program = f"""
        import resource, sys
        from pathlib import Path
        from features.sources.ours import read_table
        from features.tables import SIGNALS
        from features.vocabulary import InputError
        now = int(open("/proc/self/statm").read().split()[0]) * 4096
        resource.setrlimit(resource.RLIMIT_AS, (now + 400 * 2**20, resource.RLIM_INFINITY))
        try:
            read_table([Path({str(path)!r})], SIGNALS)
        except InputError as error:
            sys.exit("NUL" not in str(error))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr[-500:]


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("packed", [False, True])
def test_encodings_line_ends_and_packing_change_no_field(tmp_path, ends, encoding, packed):
    text = ends.join(["nom;ville", 'Élodie;"Épinal; Vosges"', "Noé;Troyes"]) + ends
    content = text.encode(encoding)
    path = write(tmp_path / "a.csv", gzip.compress(content, mtime=0) if packed else content)
    fields = [["nom", "ville"], ["Élodie", "Épinal; Vosges"], ["Noé", "Troyes"]]
    assert [record for _, record in read_records(path, ";,", CSV)] == fields


@settings(max_examples=25, deadline=None)
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
