"""What is no catalogue, or no session: one clear error, or a row set aside with its line and a reason."""

import gzip
import resource

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lheo_files import SHARED, action, catalogue, formation, index, resume, session, write

from features.sources.lheo import read_catalogue
from features.vocabulary import InputError

real = pytest.mark.skipif(not SHARED.exists(), reason="../shared/data is not there")
BOMB = "".join(f'<!ENTITY {name} "{f"&{inside};" * 10}">' for name, inside in zip("bcdefghijk", "abcdefghij", strict=True))
DECLARED = f'<!DOCTYPE lheo [<!ENTITY a "ha">{BOMB}]>'
OUTSIDE = '<!DOCTYPE lheo [<!ENTITY x SYSTEM "file:///etc/hosts">]>'
GOOD_ONE = formation(action(session()))
GOOD = catalogue(GOOD_ONE).replace(" €", "")
MANY = " ".join(f'a{n}=""' for n in range(200_000))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (f'{DECLARED}<lheo x="&k;">&k;</lheo>', "declares a document type or entities"),
        (f"{OUTSIDE}<lheo><offres>&x;</offres></lheo>", "declares a document type"),
        ('<!DOCTYPE lheo SYSTEM "http://example.org/lheo.dtd"><lheo/>', "declares a document type"),
        ("<!--" + "x" * 2_000_000 + "--><lheo/>", "a megabyte without a first element"),
        (f"<lheo {MANY}/>", "a megabyte without a first element"),
        ("<lheo><offres>&x;</offres></lheo>", "not well-formed"),
        (GOOD[:-20], "not well-formed"),
        (GOOD + GOOD[40:], "not well-formed"),
        (GOOD.replace("UTF-8", "UTF-7"), "not well-formed.*multi-byte encodings"),
        (GOOD.replace("UTF-8", "klingon"), "not well-formed.*unknown encoding"),
        (GOOD.encode("latin-1"), "not well-formed.*Invalid bytes"),
        (GOOD.replace("S1", "S\0"), "not well-formed"),
        ("<lheo><offres><formation>" + "<a>" * 3000, "not well-formed.*depth"),
        ("<lheo><offres><formation><a>" + "x" * 10_100_000, "not well-formed.*too long"),
        ("<lheo><offres><formation>" + "<a>bbbbbbbbbbbbbbbbbbbb</a>" * 700_000, "without the end of a formation"),
        ("<lheo><extras>" + "<extra/>" * 2_200_000, "without the end of a formation"),
        ("<dictionnaire/>", "<dictionnaire>, not <lheo>"),
        ('<html xmlns="http://www.w3.org/1999/xhtml"/>', "web page"),
        ('<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"/>', "<html>, not <lheo>"),
        ("<!doctype html><p>", "web page"),
        ('<?xml version="1.0"?>', "not well-formed"),
        ("", "is empty"),
        (gzip.compress(GOOD.encode(), mtime=0)[:40], "cannot be read to its end"),
    ],
)
def test_what_is_no_catalogue_is_refused_in_words(tmp_path, content, words):
    with pytest.raises(InputError, match=words) as caught:
        read_catalogue([write(tmp_path, content)])
    assert len(caught.value.faults) == 1
    assert "XML_PARSE_HUGE" not in str(caught.value)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("raw")


@given(
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16le", "utf-16be", "iso-8859-1", "windows-1252"]),
    before=st.lists(
        st.sampled_from(["\n" * 70_000, "<!--" + "<lheo>" * 20_000 + "-->", "<?a " + "b" * 40_000 + "?>"]), max_size=3
    ),
    declared=st.sampled_from([DECLARED, OUTSIDE, "<!DOCTYPE lheo>"]),
)
@settings(max_examples=20, deadline=None)
def test_a_declaration_is_found_in_every_encoding_and_behind_anything(folder, encoding, before, declared):
    head = f'<?xml version="1.0" encoding="{encoding.removesuffix("-sig")}"?>'
    with pytest.raises(InputError, match="declares a document type"):
        read_catalogue([write(folder, (head + "".join(before) + declared + GOOD[38:]).encode(encoding))])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "iso-8859-1", "windows-1252"])
def test_a_catalogue_is_read_in_the_encoding_that_it_declares(tmp_path, encoding):
    content = GOOD.replace("UTF-8", encoding.removesuffix("-sig")).encode(encoding)
    assert read_catalogue([write(tmp_path, content)]).kept["title"].tolist() == ["Électricien du bâtiment"]


def seats(text: str) -> str:
    return f"<recrutement><nb-places>{text}</nb-places></recrutement>"


FUNDED = "<organisme-financeur><nb-places-financees>{}</nb-places-financees></organisme-financeur>"


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (formation(), "the formation has no action"),
        (formation(action()), "the action has no session"),
        (formation(action(session("S2", start="20250231"))), "starts is not a date"),
        (formation(action(session("S2", end="20259999"))), "ends is not a date"),
        (formation(action(session("S2", start="20260101", end="20250101"))), "ends before it starts"),
        (formation(action(session("S2", inner=seats("1e9")))), "seats is not a whole number"),
        (formation(action(session("S2", inner=seats("-3")))), "seats is not a whole number"),
        (formation(action(session("S2", inner=seats("9" * 5000)))), "seats is not a whole number"),
        (formation(action(session("S2", inner=seats("12") + seats("douze")))), "seats is not a whole number"),
        (formation(action(session("S2"), inner=FUNDED.format("beaucoup"))), "seats is not a whole number"),
        (
            formation(action(session("S2"), hours="<nombre-heures-centre>x</nombre-heures-centre>")),
            "hours_centre is not a number",
        ),
        (formation(action(session("S2"), place="<lieu-de-formation/>"), formacode="bois"), "formacode is not a Formacode"),
        (formation(action(session(""), number="")), "session is missing"),
        (
            formation(action(session("S2"))).replace("<action", '<action xmlns="http://example.org"'),
            "the formation has no action",
        ),
    ],
)
def test_a_wrong_session_is_set_aside_with_its_line_and_reason(tmp_path, wrong, reason):
    content = catalogue(GOOD_ONE.replace("\n", ""), "\n\n", wrong.replace("\n", ""), "\n")
    checked = read_catalogue([write(tmp_path, content)])
    assert checked.kept["session"].tolist() == ["S1"]
    assert checked.rejected["line"].tolist() == [3]
    assert reason in checked.rejected["reason"].item()


def test_a_number_that_says_two_things_is_kept_for_neither(tmp_path):
    twice = formation(action(session("S2"), session("S2", start="20251001"), session("S1"), session("S1")))
    checked = read_catalogue([write(tmp_path, catalogue(twice))])
    assert checked.kept["session"].tolist() == ["S1"]
    assert (len(checked.rejected), checked.duplicates, checked.read) == (2, 1, 4)
    resumes = [resume(session(""), number="R1"), resume(session(""), number="R1", commune="67180"), resume(session(""))]
    checked = read_catalogue([write(tmp_path, index(*resumes))])
    assert (checked.kept["session"].tolist(), len(checked.rejected)) == (["AF_SE"], 2)


@pytest.mark.parametrize("around", ["{}", "<offres>{}</offres>", "<liens>{}</liens>"])
def test_what_stands_between_formations_fills_no_memory(tmp_path, around):
    path = tmp_path / "catalogue_2026-03-31.xml.gz"
    between = GOOD_ONE + around.format("<lien/>" * 100_000)
    with gzip.open(path, "wt", compresslevel=1) as file:
        file.write(f"<lheo>{between * 40}</lheo>")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    checked = read_catalogue([path])
    assert (len(checked.kept), checked.duplicates) == (1, 39)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024


def test_an_export_date_that_was_passed_is_not_forgotten(tmp_path):
    extras = '<extras info="a"><extra info="date-export">20260228</extra></extras>'
    content = f"<lheo>{extras}<offres>{GOOD_ONE * 2}</offres><offres>{GOOD_ONE}</offres></lheo>"
    kept = read_catalogue([write(tmp_path, content, "catalogue.xml")]).kept
    assert kept["known_from"].dt.strftime("%Y-%m-%d").tolist() == ["2026-02-28"]


@pytest.mark.parametrize("gap", [0, 65_000, 65_533, 65_534, 65_535, 70_000, 200_000])
@pytest.mark.parametrize("mark", ["", "\n"])
def test_lines_are_told_however_long_the_file_is(tmp_path, gap, mark):
    wrong = formation(action(session("S2", start="20250231"))).replace('numero="S2">', f'numero="S2">{mark}')
    content = catalogue(formation(action(session())), "\n" * gap, wrong, "\n")
    line = next(n for n, text in enumerate(content.split("\n"), 1) if "S2" in text)
    assert read_catalogue([write(tmp_path, content)]).rejected["line"].tolist() == [line]


@given(
    edits=st.lists(
        st.tuples(
            st.floats(0, 1),
            st.integers(0, 40),
            st.sampled_from(
                [b"", b"<", b">", b"&", b"\0", b"\xff", b"<formation>", b"</action>", b"<!--", b"]]>", b"99999999", b"xmlns=''"]
            ),
        ),
        max_size=4,
    ),
    whole=st.sampled_from([catalogue(formation(action(session("S1"), session("S2")))), index(resume(session("")), resume())]),
)
@settings(max_examples=60, deadline=None)
def test_a_damaged_file_is_refused_or_read_and_nothing_else(folder, edits, whole):
    content = whole.encode()
    for where, length, put in edits:
        at = int(where * len(content))
        content = content[:at] + put + content[at + length :]
    try:
        checked = read_catalogue([write(folder, content)])
    except InputError:
        return
    assert checked.kept[["session", "known_from", "formacode"]].notna().all(axis=None)
    assert (checked.rejected["reason"] != "").all()
