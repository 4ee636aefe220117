"""Job offers: laws, each rule of the format once, bad input as a tired clerk or an attacker has it, and the real file."""

import gzip
import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from features import facts, tables
from features.contracts import Checked
from features.demand import DemandParams, observe_offers
from features.lazy import lazy
from features.places import place
from features.sources.offers import read_offers
from features.vocabulary import InputError

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
real = pytest.mark.skipif(not SHARED.exists(), reason="../shared/data is not there")
many = settings(max_examples=25, deadline=None)

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
        ("SUISSE (FRONTALIER)", "border", "CH"),
        ("Bas-Rhin", "department", "D67"),
        ("  haute saone ", "department", "D70"),
        ("HAUTE-SAÔNE", "department", "D70"),
        ("67 - Bas-Rhin\n", "department", "D67"),
        ("Île-de-France", "department", "D99"),
        ("Italie (Frontalier)", "department", "D99"),
        ("", "department", "D99"),
    ],
)
def test_a_place_without_a_commune(tmp_path, label, column, code):
    places = ({"libelle": label}, {"libelle": label, "commune": " "}, {"libelle": label, "commune": None})
    offers = [OFFER | {"id": str(number), "lieuTravail": place_of} for number, place_of in enumerate(places)]
    kept = read_offers([write(tmp_path / "o.jsonl", lines(*offers))]).kept[["department", "border"]]
    assert [row.dropna().to_dict() for _, row in kept.iterrows()] == [{column: code}] * 3


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


@pytest.mark.parametrize("label", ["Grand Est", "GRAND-EST", "44 - Grand Est"])
def test_an_offer_that_names_only_the_region_stands_for_all_of_it(tmp_path, label):
    offers = [OFFER | {"lieuTravail": {"libelle": label}}, OFFER | {"id": "B", "lieuTravail": {"libelle": "67 - Bas-Rhin"}}]
    placed = place(read_offers([write(tmp_path / "o.jsonl", lines(*offers))]), tables.OFFERS, facts.communes())
    assert placed.kept[["commune", "territory", "border"]].isna().all(axis=None)
    assert placed.kept["department"].fillna("").tolist() == ["", "D67"]
    offers = placed.kept.assign(occupation=["A1101", "A1201"])
    spread = observe_offers(lazy(offers), facts.communes(), pd.Timestamp("2030-01-01"), DemandParams(history_months=120))
    assert spread.groupby("occupation")["vacancies"].sum().tolist() == pytest.approx([1, 1], rel=1e-12)
    assert spread.groupby("occupation")["department"].nunique().tolist() == [10, 1]


def test_a_rome_4_occupation_counts_in_its_parent_and_an_unknown_one_is_listed_with_its_positions(tmp_path):
    leaf = facts.leaves().query("leaf != occupation").iloc[0]
    offer = one(tmp_path, romeCode=leaf["leaf"])
    assert offer[["occupation", "leaf"]].tolist() == [leaf["occupation"], leaf["leaf"]]
    found = [("Z9999", 3), ("z9999 ", 4), ("A9", None), ("A9", 1e308), ("H2206", 5), ("", 7)]
    offers = [OFFER | {"id": str(n), "romeCode": rome, "nombrePostes": posts} for n, (rome, posts) in enumerate(found)]
    checked = read_offers([write(tmp_path / "o.jsonl", lines(*offers))])
    assert checked.rejected["reason"].tolist()[:4] == [
        f"unknown occupation code {code}" for code in ("Z9999", "Z9999", "A9", "A9")
    ]
    assert checked.unknown.values.tolist() == [["occupation", "A9", 2, 2.0], ["occupation", "Z9999", 2, 7.0]]
    assert checked.wrong["line"].tolist() == [6]


def test_every_day_keeps_the_last_version_of_its_offer(tmp_path):
    stamps = ["2025-02-12T09:00:00.000Z", "2025-02-12T10:30:00+01:00", "2025-02-12T08:00:00Z", "2025-03-01T08:00:00.000Z"]
    versions = [OFFER | {"dateActualisation": stamp, "nombrePostes": place} for place, stamp in enumerate(stamps, 1)]
    checked = read_offers([write(tmp_path / "o.jsonl", lines(*versions[::-1]))])
    assert checked.kept["positions"].tolist() == [2, 4]
    assert (checked.duplicates, checked.read) == (2, 4)


def outcome(paths: list[Path]) -> Checked | None:
    try:
        return place(read_offers(paths), tables.OFFERS, facts.communes())
    except InputError:
        return None


odd = st.sampled_from([None, 7, 1.5, True, [], {}, "", " ", "x" * 300, [{"code": 7}, {"niveauLibelle": "Bac "}, "CAP", None]])
offers = st.lists(
    st.builds(
        lambda offer, stamp, rome, posts, label, odds: (
            OFFER
            | {"id": offer, "dateActualisation": stamp, "romeCode": rome, "nombrePostes": posts}
            | ({"lieuTravail": {"libelle": label}} if label else {})
            | odds
        ),
        st.sampled_from(["A", "B", "C", "", None, 12]),
        st.sampled_from(["2025-02-12T09:00:00Z", "2025-02-12T10:00:00+01:00", "2025-02-13T10:00:00Z", "hier", None, 7]),
        st.sampled_from(["H2206", "A1101", "Z9999", ""]),
        st.sampled_from([1, 2, -1, 10**300, "x", None, 1.5, {}]),
        st.sampled_from(["", "", "08 - Ardennes", "Savoie", "Grand Est", "Luxembourg (Frontalier)"]),
        st.dictionaries(st.sampled_from(sorted(OFFER)), odd, max_size=2),
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
        assert_frame_equal(split.unknown, whole.unknown)
        assert sorted(split.rejected["reason"]) == sorted(whole.rejected["reason"])
        assert (split.read, split.outside, split.duplicates) == (whole.read, whole.outside, whole.duplicates)
        assert split.read == len(found)


NO_OFFERS = [
    b"\0\0",
    b"{",
    b"[" * 5000,
    b'{"id": "\\ud800"}',
    b'{"a": 1}',
    b"null",
    b"x;y",
    b'{"id": NaN}',
    b"\xff\xfe",
    b'"\xe9"',
]
garbage = st.sampled_from(NO_OFFERS) | st.binary(min_size=1, max_size=30).filter(
    lambda line: line.strip() and not set(b"\n[{") & set(line)
)


@many
@given(junk=st.lists(st.tuples(st.integers(1, 6), garbage), max_size=5))
def test_garbage_between_offers_is_rejected_by_line_and_changes_nothing_else(folder, junk):
    rows = [json.dumps(OFFER | {"id": str(number)}).encode() for number in range(6)]
    clean = read_offers([write(folder / "clean.jsonl", b"\n".join(rows))])
    for after, line in sorted(junk, key=lambda pair: -pair[0]):
        rows.insert(after, line)
    checked = read_offers([write(folder / "mixed.jsonl", b"\n".join(rows))])
    assert_frame_equal(checked.kept, clean.kept)
    wrong = [number for number, line in enumerate(rows, 1) if b'"romeCode"' not in line]
    assert checked.rejected["line"].tolist() == wrong
    assert checked.read == 6 + len(wrong)


def test_a_broken_line_is_a_wrong_row(tmp_path):
    checked = read_offers([write(tmp_path / "o.jsonl", '{"id": "cut\n\n' + lines(OFFER, ["no offer"]) + '{"codeHttp": 429}')])
    assert checked.rejected["line"].tolist() == [1, 4, 5]
    assert set(checked.rejected["reason"]) == {"the line is not a JSON offer"}
    assert len(checked.kept) == 1


def test_lines_keep_their_numbers_over_the_blocks_of_a_large_file(tmp_path):
    filler = lines(OFFER | {"description": "é" * 500_000})
    large = "".join([filler, "\n", "no offer\n"] + [filler] * 20 + ["nor this\n", lines(OFFER | {"id": "B"})])
    checked = read_offers([write(tmp_path / "o.jsonl.gz", gzip.compress(large.encode(), 1, mtime=0))])
    assert checked.rejected["line"].tolist() == [3, 24]
    assert checked.origin["line"].tolist() == [1, 25]
    assert checked.duplicates == 20


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('"nombrePostes": 1e308', "positions is not a whole number"),
        ('"nombrePostes": 1' + "0" * 400, "positions is not a whole number"),
        ('"nombrePostes": NaN', "not a JSON offer"),
        ('"nombrePostes": 1e400', "not a JSON offer"),
        ('"nombrePostes": 0', "positions is not a whole number"),
        ('"id": {}', "offer is missing"),
        ('"id": "\\u0000"', "NUL character"),
        ('"id": "' + "x" * 1_000_000 + '"', "offer is missing"),
        ('"x": ' + "[" * 1_000_000, "not a JSON offer"),
        ('"x": ' + '{"a":' * 200_000, "not a JSON offer"),
        ('"dateCreation": "2026-01-01"', "updated before it was created"),
        ('"lieuTravail": {"commune": "6748"}', "commune is not a commune"),
        ('"romeCode": 12', "unknown occupation code 12"),
    ],
)
def test_a_wrong_offer_says_why_and_spoils_no_other(tmp_path, text, words):
    wrong = lines(OFFER | {"id": "B"}).rstrip()[:-1] + f", {text}}}\n"
    checked = read_offers([write(tmp_path / "o.jsonl", lines(OFFER) + wrong + lines(OFFER | {"id": "C"}))])
    assert words in checked.rejected["reason"].item()
    assert (checked.kept["offer"].tolist(), checked.rejected["line"].tolist()) == (["162MNDF", "C"], [2])


def test_of_a_key_that_comes_twice_the_last_counts(tmp_path):
    twice = lines(OFFER).rstrip()[:-1] + ', "nombrePostes": 8}'
    for content in (twice, f"[{twice}]"):
        assert read_offers([write(tmp_path / "o.json", content)]).kept["positions"].tolist() == [8]


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
        (b"[" * 17_000_000, "a line holds more than 16 MB"),
        (b'[{"id":\n"A"},\n' * 1_300_000, "are no job offers"),
        (gzip.compress(b'{"id": "' + b"x" * 40_000_000, mtime=0), "a line holds more than 16 MB"),
        (b"[" + b"0," * 500_000 + b"0]", "are no job offers"),
        (b"x\n" * 100_001, "lines are no job offers"),
        (json.dumps({"resultats": [OFFER]}).encode("utf-16"), "UTF-16 text. Save it again as UTF-8"),
        (json.dumps({"resultats": [OFFER]}).encode("utf-16-le"), "UTF-16 text. Save it again as UTF-8"),
        (json.dumps(OFFER | {"typeContratLibelle": "durée"}, ensure_ascii=False).encode("latin-1"), "not UTF-8"),
        (b"\0" * 2000, "holds no job offer"),
    ],
)
def test_what_is_no_file_of_offers_is_refused_in_words(tmp_path, content, words):
    with pytest.raises(InputError, match=words):
        read_offers([write(tmp_path / "o.json", content)])


@real
def test_the_real_offers():
    checked = read_offers([SHARED / "offers" / "offres_v2_search_response_150.json"])
    assert (len(checked.kept), checked.read, checked.kept["positions"].sum()) == (150, 150, 147 + 2 + 26 + 23)
    assert checked.kept["border"].dropna().tolist() == ["DE"]
    assert checked.kept["department"].dropna().tolist() == ["D73", "D73", "D73", "D99", "D08"]
