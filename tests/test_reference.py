"""Code lists and certifications: known answers in the real layouts, laws, the published files, and what is no such file."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from features.contracts import Checked
from features.reference_tables import REFERENCES
from features.sources import certifications, communes, families, formacode, rome
from features.sources.grid import Top, top_of
from features.sources.publication import PublicationParams
from features.vocabulary import InputError

PUBLIC = Path(__file__).resolve().parents[2] / "shared" / "data"
real = pytest.mark.skipif(not PUBLIC.exists(), reason="../shared/data is not there")
DATES = PublicationParams()
few, some = settings(max_examples=2, deadline=None), settings(max_examples=8, deadline=None)

CERTIFINFO = """\
Code_Diplome;Libelle_Diplome;Code_Niveau_Europeen;Date_MaJ;Code_FormaCode;Libelle_FormaCode;Code_Rome_1;Code_Rome_2;Code_Rome_3;Code_Rome_4;Code_Rome_5;Code_Nsf;Code_RNCP;Code_RS;Annee_Premiere_Session;Annee_Derniere_Session;Code_Ancien_Diplome;Code_Ancien_RNCP;Etat_Libelle;Etat_Ancien_Diplome_Libelle;accessibilite_ca;accessibilite_vae
83148;"TP;""engins"".";4;12/03/2024;22286;Matériel;I1603;;A1100;;;252;34611;;2019;2025;76865;13622;Publié;archivée;1;0
85199;Test d'anglais;;06/01/2022;15214;Anglais;;;;;;136;;5638;;;;;habilitations;inconnu;2;2
85199;Test d'anglais;;06/01/2022;15214;Anglais;;;;;;136;;2754;;;;;habilitations;inconnu;2;2
85200;Autre test;;06/01/2022;;;;;;;;;;;2025;2019;;;habilitations;inconnu;2;2
85201;Encore un;;06/01/2022;;;A110;;;;;;;;;;;;habilitations;inconnu;2;2
"""
ROME_3 = """\
"code_rome","code_fiche_em","code_ogr","libelle_rome","statut"
"A1101","11","6","Conduite d''engins agricoles","1"
"A1201","19","7","Bûcheronnage","1"
"""
ROME_4 = """\
"code_rome","code_fiche_metier","code_ogr","libelle_rome","transition_eco","transition_num","transition_demo","emploi_reglemente","emploi_cadre","code_rome_parent"
"A1101","11","6","Conducteur d'engins agricoles","Emploi Blanc","","","","","A1101"
"A1102","30047","403950","Conducteur d'engins forestiers","Emploi Vert","O","N","N","N","A1101"
"""
MOVES_3 = """\
"code_rome","code_rome_cible","code_appellation_source","code_appellation_cible","code_type_mobilite","libelle_type_mobilite"
"A1101","A1416","","","1","Proche"
"A1101","A1203","17010","","2","Evolution"
"""
MOVES_4 = '"code_rome","code_rome_cible","numero_ordre"\n"A1101","A1102","1"\n"A1101","A1416","2"\n'
SKILLS_3 = """\
"code_ogr","libelle_competence","code_type_competence","libelle_type_competence","statut"
"100010","Utilisation d''engins forestiers","1","SAVOIRS THEORIQUES ET PROCEDURAUX","1"
"""
LINKS_3 = '"code_rome","code_ogr"\n"C1401","100381"\n"C1401","101343"\n'
FORMACODE = """\
11001;GRAPHES;théorie graphes;DOM;110 MATHEMATIQUES;;11022 RECHERCHE OPERATIONNELLE$11057 STATISTIQUE;;;"A" b;;;114 Math;;
80013;DETENU;détenu;PUB;;;;;;;;;;;
97001;FRANCE;France;PAY$DOM
"""
PASSAGE = "Fap;Rome;intitule_rome\nA0Z00;NA;NA\nA0Z40;A1416;Polyculture, élevage\nA0Z41;A1403;Aide d'élevage\n"
FAP_2021 = """\
Code_FAP341;Intitulé_FAP341;Code_FAP228;Intitulé_FAP228;Code_FAP86;Intitulé_FAP86;Code_FAP22;Intitulé_FAP22
A0X40;Agriculteurs;A0X40;Agriculteurs;A0X;Agriculteurs,  éleveurs;A;Agriculture
A0X41a;Eleveurs de bovins;A0X41;Eleveurs;A0X;Agriculteurs,  éleveurs;A;Agriculture
"""
INSEE = """\
CODGEO;LIBGEO;ZE2020;LIBZE2020;ZE2020_PARTIE_REG;DEP;REG
01016;Arbigny;0059;Mâcon;0059-84;01;84
2A004;Ajaccio;9401;Ajaccio;;2A;94
97617;Tsingoni;0601;Mayotte;;976;06
"""


@dataclass(frozen=True)
class List:
    read: Callable[[Sequence[Path], PublicationParams], Checked]
    name: str
    text: str
    separator: str
    holds: Callable[[Top], bool]
    published: str
    rows: int


LISTS = {
    "certifications": List(
        certifications.read_certifications,
        "certifinfo_2024-06-28.csv",
        CERTIFINFO,
        ";",
        certifications.LAYOUT.heads,
        "formation/certifinfo_opendata.csv",
        9923,
    ),
    "rome 3": List(
        rome.read_rome,
        "unix_referentiel_code_rome_v347_utf8.csv",
        ROME_3,
        ",",
        rome.OCCUPATIONS.heads,
        "rome/unix_referentiel_code_rome_v347_utf8.csv",
        531,
    ),
    "rome 4": List(
        rome.read_rome,
        "unix_referentiel_code_rome_v460_utf8.csv",
        ROME_4,
        ",",
        rome.OCCUPATIONS.heads,
        "rome/unix_referentiel_code_rome_v460_utf8.csv",
        1584,
    ),
    "mobilities": List(
        rome.read_mobilities,
        "unix_rubrique_mobilite_v347_utf8.csv",
        MOVES_3,
        ",",
        rome.MOVES.heads,
        "rome/unix_rubrique_mobilite_v347_utf8.csv",
        4218,
    ),
    "skills": List(
        rome.read_skills,
        "unix_referentiel_competence_v347_utf8.csv",
        SKILLS_3,
        ",",
        rome.TITLES.heads,
        "rome/unix_referentiel_competence_v347_utf8.csv",
        4947,
    ),
    "occupation_skills": List(
        rome.read_occupation_skills,
        "unix_coherence_item_v347_utf8.csv",
        LINKS_3,
        ",",
        rome.only_links,
        "rome/unix_coherence_item_v347_utf8.csv",
        30706,
    ),
    "formacodes": List(
        formacode.read_formacodes,
        "formacode.csv",
        FORMACODE,
        ";",
        formacode.holds_formacodes,
        "formation/formacode_FCod_utf8.csv",
        3048,
    ),
    "families": List(
        families.read_families, "fap2021.csv", FAP_2021, ";", families.holds_titles, "dares/intitules_FAP2021.csv", 515
    ),
    "occupation_families": List(
        families.read_occupation_families,
        "fap_rome.csv",
        PASSAGE,
        ";",
        families.PASSAGE.heads,
        "dares/dares_fap225_rome.csv",
        749,
    ),
    "communes": List(
        communes.read_communes,
        "insee_20220318.csv",
        INSEE,
        ";",
        communes.LAYOUT.heads,
        "geo/insee_communes_zone_emploi2020_geo2022.xlsx",
        34955,
    ),
}
every_list = pytest.mark.parametrize("name", LISTS)


def write(folder: Path, content: str | bytes, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(folder: Path, name: str, text: str | bytes | None = None) -> Checked:
    listed = LISTS[name]
    return listed.read([write(folder, listed.text if text is None else text, listed.name)], DATES)


def told(checked: Checked) -> list[str]:
    return sorted(checked.rejected["reason"])


def assert_same(one: Checked, other: Checked) -> None:
    assert_frame_equal(one.kept, other.kept)
    assert told(one) == told(other)
    assert one.duplicates == other.duplicates


# Known answers ------------------------------------------------------------------------------------------------------


def test_a_certification_on_several_lines_is_one_with_all_its_numbers(tmp_path):
    checked = read(tmp_path, "certifications")
    rows = checked.kept.set_index("certifinfo")
    assert rows.index.tolist() == ["83148", "85199"]
    assert rows["rs"].fillna("").tolist() == ["", "2754|5638"]
    assert checked.duplicates == 1
    assert rows.loc["83148", ["title", "level", "formacode", "occupations", "rncp", "older", "older_rncp"]].tolist() == [
        'TP;"engins".',
        4,
        "22286",
        "I1603|A1100",
        "34611",
        "76865",
        "13622",
    ]
    assert rows.loc["83148", "by_apprenticeship"]
    assert not rows.loc["83148", "by_experience"]
    assert rows.loc["85199", ["level", "by_apprenticeship", "by_experience", "older_state"]].isna().all()
    assert [reason.split(";")[0] for reason in told(checked)] == [
        "occupations is not a list of codes, each a ROME occupation, like A1101",
        "the last session comes before the first",
    ]


@pytest.mark.parametrize(
    ("name", "text", "known_from"),
    [
        ("certifinfo_2024-06-28.csv", CERTIFINFO, "2024-06-28"),
        ("certifinfo.csv", CERTIFINFO, "2024-03-12"),
        ("certifinfo.csv", CERTIFINFO.replace("12/03/2024", "").replace("06/01/2022", ""), "2024-01-01"),
    ],
)
def test_certifications_are_known_from_a_named_day_else_their_newest_update(tmp_path, name, text, known_from):
    kept = certifications.read_certifications([write(tmp_path, text, name)], DATES).kept
    assert set(kept["known_from"]) == {pd.Timestamp(known_from)}


def test_two_editions_are_two_sets_of_rows(tmp_path):
    files = [write(tmp_path, CERTIFINFO, f"certifinfo_{year}-06-28.csv") for year in (2023, 2024)]
    checked = certifications.read_certifications(files, DATES)
    assert checked.kept.groupby("known_from").size().tolist() == [2, 2]


def test_an_occupation_of_version_3_is_its_own_parent_and_versions_stand_side_by_side(tmp_path):
    files = [write(tmp_path, text, LISTS[name].name) for name, text in (("rome 3", ROME_3), ("rome 4", ROME_4))]
    rows = rome.read_rome(files, DATES).kept
    assert rows[["version", "code", "parent"]].to_numpy().tolist() == [
        ["3.47", "A1101", "A1101"],
        ["3.47", "A1201", "A1201"],
        ["4.60", "A1101", "A1101"],
        ["4.60", "A1102", "A1101"],
    ]
    assert rows["title"][0] == "Conduite d'engins agricoles"
    assert rows["digital"].isna().tolist() == [True, True, True, False]
    assert not rows["executive"][3]


@pytest.mark.parametrize(
    ("read_list", "text", "version"),
    [
        (rome.read_rome, ROME_3, "3"),
        (rome.read_rome, ROME_4, "4"),
        (rome.read_mobilities, MOVES_3, "3"),
        (rome.read_mobilities, MOVES_4, "4"),
        (rome.read_occupation_skills, LINKS_3, "3"),
        (rome.read_occupation_skills, '"code_rome","code_ogr","coeur_metier"\n"C1401","1","Principale"\n', "4"),
    ],
)
def test_a_version_that_no_name_tells_is_told_by_the_columns(tmp_path, read_list, text, version):
    assert set(read_list([write(tmp_path, text, "liste.csv")], DATES).kept["version"]) == {version}


def test_a_move_of_one_job_is_no_move_of_its_occupation(tmp_path):
    rows = read(tmp_path, "mobilities").kept
    assert rows[["origin", "target", "origin_job", "kind"]].fillna("").to_numpy().tolist() == [
        ["A1101", "A1203", "17010", "evolution"],
        ["A1101", "A1416", "", "proche"],
    ]
    ranked = rome.read_mobilities([write(tmp_path, MOVES_4, "unix_rubrique_mobilite_v461_utf8.csv")], DATES).kept
    assert ranked[["version", "target", "rank"]].to_numpy().tolist() == [["4.61", "A1102", 1], ["4.61", "A1416", 2]]
    assert ranked["kind"].isna().all()


def test_other_files_of_the_rome_are_not_taken_for_links(tmp_path):
    tops = {name: top_of(write(tmp_path, LISTS[name].text, LISTS[name].name)) for name in LISTS}
    takers = {name: {taker for taker, listed in LISTS.items() if listed.holds(top)} for name, top in tops.items()}
    both = {"rome 3", "rome 4"}
    assert takers == {name: both if name in both else {name} for name in LISTS}


def test_the_facets_of_the_formacode_stand_apart_from_its_subjects(tmp_path):
    rows = read(tmp_path, "formacodes").kept.set_index("formacode").select_dtypes("str").fillna("")
    assert rows.loc["11001", ["title", "facets", "field", "field_title", "broader", "nsf"]].tolist() == [
        "théorie graphes",
        "DOM",
        "110",
        "MATHEMATIQUES",
        "11022|11057",
        "114",
    ]
    assert rows.loc[["80013", "97001"], ["title", "facets", "field"]].to_numpy().tolist() == [
        ["détenu", "PUB", ""],
        ["France", "PAY|DOM", ""],
    ]


@pytest.mark.parametrize("spare", ["", ";;;;;"])
def test_a_wrong_line_of_the_formacode_is_set_aside_and_hides_neither_the_list_nor_its_line(tmp_path, spare):
    lines = [*FORMACODE.splitlines(), "no line of it"]
    path = write(tmp_path, "\n".join(line + spare for line in lines), "formacode.csv")
    checked = formacode.read_formacodes([path], DATES)
    assert (formacode.holds_formacodes(top_of(path)), len(checked.kept)) == (True, 3)
    assert checked.rejected["line"].map(str).tolist() == ["4"]


def passage(folder: Path, rows: Sequence[Sequence[str]], name: str = "passage.xlsx") -> Path:
    book = xlsxwriter.Workbook(folder / name)
    book.add_worksheet("Titre").write(0, 0, "FAP - 2009")
    sheet = book.add_worksheet("Table")
    head = ("FAP", "Familles professionnelles", "PCS", "Professions", "ROME", "Qualification", "Répertoire")
    for line, row in enumerate([head, *rows]):
        sheet.write_row(line, 0, row)
    book.close()
    return folder / name


LAID_OUT = (
    ("", " FAP-2009", "", " PCS 2003", "", "", "ROME version 3"),
    ("A", "Agriculture, marine, pêche"),
    ("A0Z", "Agriculteurs, éleveurs*"),
    ("A0Z00", "Agriculteurs indépendants", "111a", "Agriculteurs"),
    ("A0Z40", "Agriculteurs salariés", "691e", "Ouvriers", "A1416", "Q_0123456", "Polyculture"),
    ("  * (FAP A0Z40) Ils sont classés ici ", "", "", "", "", "", ""),
    ("A0Z41", "Éleveurs salariés", "691b", "Ouvriers", "A1403"),
    ("", "", "", "", "A1407", "", "Élevage bovin"),
)


def test_the_workbook_and_the_plain_passage_say_the_same(tmp_path):
    book = passage(tmp_path, LAID_OUT)
    plain = write(tmp_path, PASSAGE + "A0Z41;A1407;Élevage\n", "fap_rome.csv")
    checked = families.read_occupation_families([book, plain], DATES)
    assert checked.kept[["occupation", "family"]].to_numpy().tolist() == [
        ["A1403", "A0Z41"],
        ["A1407", "A0Z41"],
        ["A1416", "A0Z40"],
    ]
    assert (checked.duplicates, told(checked)) == (3, [])


def test_a_family_miswritten_above_its_occupations_is_not_taken_for_the_one_before(tmp_path):
    book = passage(tmp_path, [*LAID_OUT[:6], ("A0Z4l", "Éleveurs", "", "", "A1403"), *LAID_OUT[7:]])
    checked = families.read_occupation_families([book], DATES)
    assert checked.kept["occupation"].tolist() == ["A1416"]
    assert told(checked) == ["family is not a FAP family of five characters like A0Z40"] * 2


def test_families_have_titles_and_parents_in_both_nomenclatures(tmp_path):
    files = [passage(tmp_path, LAID_OUT), write(tmp_path, FAP_2021, "fap2021.csv")]
    rows = families.read_families(files, DATES).kept
    assert rows[["nomenclature", "family", "title", "parent"]].fillna("").to_numpy().tolist() == [
        ["FAP2009", "A", "Agriculture, marine, pêche", ""],
        ["FAP2009", "A0Z", "Agriculteurs, éleveurs", "A"],
        ["FAP2009", "A0Z00", "Agriculteurs indépendants", "A0Z"],
        ["FAP2009", "A0Z40", "Agriculteurs salariés", "A0Z"],
        ["FAP2009", "A0Z41", "Éleveurs salariés", "A0Z"],
        ["FAP2021", "A", "Agriculture", ""],
        ["FAP2021", "A0X", "Agriculteurs, éleveurs", "A"],
        ["FAP2021", "A0X40", "Agriculteurs", "A0X"],
        ["FAP2021", "A0X41", "Eleveurs", "A0X"],
        ["FAP2021", "A0X41a", "Eleveurs de bovins", "A0X41"],
    ]


def test_every_wrong_line_of_the_families_counts_though_several_are_wrong_alike(tmp_path):
    lines = FAP_2021.splitlines()
    short = [line.rpartition(";")[0] for line in lines[1:]]
    checked = families.read_families([write(tmp_path, "\n".join([*lines, *short]), "fap2021.csv")], DATES)
    assert checked.rejected["line"].tolist() == [4, 5]
    assert len(checked.kept) == 5


def test_communes_are_typed_and_known_from_the_day_above_the_table(tmp_path):
    rows = read(tmp_path, "communes").kept
    assert rows[["commune", "zone", "department", "region"]].to_numpy().tolist() == [
        ["C01016", "ZE0059", "D01", "R84"],
        ["C2A004", "ZE9401", "D2A", "R94"],
        ["C97617", "ZE0601", "D976", "R06"],
    ]
    headed_by = "Zones d'emploi 2020;;;;;;\nMise en ligne le 19/04/2023  Géographie au 01/01/2023;;;;;;\n" + INSEE
    later = communes.read_communes([write(tmp_path, headed_by, "communes.csv")], DATES).kept
    assert set(later["known_from"]) == {pd.Timestamp("2023-04-19")}
    assert len(later) == 3
    short = write(tmp_path, INSEE + "01001;Abergement\n", "short.csv")
    assert communes.read_communes([short], DATES).rejected["line"].map(str).tolist() == ["5"]


# Laws ---------------------------------------------------------------------------------------------------------------


@every_list
@few
@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_rows_and_columns_and_the_case_of_headers_change_nothing(tmp_path_factory, name, seed):
    folder, listed, dice = tmp_path_factory.mktemp("a"), LISTS[name], random.Random(seed)
    if name == "formacodes":
        lines = listed.text.splitlines()
        text = "\n".join(dice.sample(lines, len(lines))) + "\n"
    else:
        table = pd.read_csv(io.StringIO(listed.text), sep=listed.separator, dtype="str", keep_default_na=False)
        shuffled = table[dice.sample(list(table), len(table.columns))].sample(frac=1, random_state=seed)
        text = shuffled.rename(columns=str.upper).to_csv(sep=listed.separator, index=False)
    assert_same(read(folder, name, text), read(folder / "b", name))


@every_list
def test_the_order_of_files_changes_nothing_and_none_is_an_empty_table(tmp_path, name):
    listed = LISTS[name]
    files = [write(tmp_path / side, listed.text, f"{side}{listed.name}") for side in "ab"]
    assert_same(listed.read(files, DATES), listed.read(files[::-1], DATES))
    assert len(listed.read([], DATES).kept) == 0


@every_list
@few
@given(junk=st.lists(st.text("A1;,\"'\\|$é0 NA*\t", max_size=30), max_size=6))
def test_every_row_is_kept_rejected_or_a_duplicate(tmp_path_factory, name, junk):
    """Lines of the list with as many fields as its header, each with its own code: none may vanish."""
    listed = LISTS[name]
    lines = listed.text.splitlines()
    width = lines[0].count(listed.separator) + 1
    wrong = [listed.separator.join([f"Z{n}", *([text.replace(listed.separator, "").replace('"', "")] * (width - 1))])
             for n, text in enumerate(junk)]  # fmt: skip
    before, after = (read(tmp_path_factory.mktemp("a"), name, "\n".join(text) + "\n") for text in (lines, [*lines, *wrong]))
    unlinked = name == "occupation_families"  # a line without an occupation links nothing
    vanished = sum(1 for text in junk if text.replace(";", "").replace('"', "").strip() in ("", "NA")) if unlinked else 0
    grains = {"families": 4}.get(name, 1)
    added = after.read - before.read
    assert len(wrong) - vanished <= added <= grains * len(wrong)
    assert_frame_equal(after.kept.head(0), before.kept.head(0))


@every_list
@some
@given(content=st.binary(max_size=200), cut=st.integers(0, 400), keeps=st.booleans())
def test_garbage_is_refused_in_words_or_set_aside(tmp_path_factory, name, content, cut, keeps):
    text = LISTS[name].text.encode()
    with suppress(InputError):
        checked = read(tmp_path_factory.mktemp("a"), name, text[:cut] + content + (text[cut:] if keeps else b""))
        assert set(checked.rejected["line"]) <= set(range(1, 500))


@every_list
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html></html>", "is a web page"),
        (b"%PDF-1.4", "is a PDF"),
        (b"a;b;c\n1;2;3\n", "A real one is"),
        (b"PK\x03\x04 and no more", "cannot be opened|is an Excel workbook"),
    ],
)
def test_another_file_is_refused_by_its_name(tmp_path, name, content, words):
    with pytest.raises(InputError, match=words) as caught:
        read(tmp_path, name, content)
    assert LISTS[name].name in str(caught.value)


def test_every_list_is_a_list_of_codes_with_editions():
    assert [contract.name for contract in REFERENCES if not contract.code_list or contract.known_from] == []
    assert [contract.name for contract in REFERENCES if contract.key[-1] != "known_from"] == []


# The published files --------------------------------------------------------------------------------------------------


@cache
def published(name: str) -> Checked:
    return LISTS[name].read([PUBLIC / LISTS[name].published], DATES)


@real
@every_list
def test_the_published_list_is_read_whole(name):
    checked = published(name)
    assert (len(checked.kept), told(checked)) == (LISTS[name].rows, [])


@real
def test_certifinfo_as_published():
    checked = published("certifications")
    rows = checked.kept
    assert checked.read == 10067
    assert rows["state"].value_counts().to_dict() == {
        "Publié": 7041,
        "habilitations": 1776,
        "formations préparatoires et non certifiantes": 1106,
    }
    assert (rows["rncp"].notna().sum(), rows["rs"].notna().sum(), rows["formacode"].notna().sum()) == (5273, 1256, 9908)
    assert set(rows["known_from"]) == {pd.Timestamp("2024-06-28")}


@real
def test_lists_as_published():
    moves = published("mobilities").kept
    assert moves["kind"].value_counts().to_dict() == {"evolution": 2301, "proche": 1917}
    assert moves[["origin_job", "target_job"]].notna().any(axis=1).sum() == 894
    leaves = published("rome 4").kept
    assert (leaves["parent"].nunique(), leaves["executive"].sum(), leaves["executive"].isna().sum()) == (532, 507, 198)
    codes = published("formacodes").kept
    assert ((codes["facets"] == "DOM").sum(), codes["facets"].str.startswith("PUB").sum(), codes["field"].nunique()) == (
        2418,
        57,
        65,
    )
    france = published("communes").kept
    assert (france["zone"].nunique(), france["department"].nunique(), (france["region"] == "R44").sum()) == (306, 101, 5121)
    assert set(france["known_from"]) == {pd.Timestamp("2022-03-18")}


@real
def test_both_passages_of_the_dares_say_the_same():
    book, plain = PUBLIC / "dares/dares_passage_romev3_fap2009.xls", PUBLIC / "dares/dares_fap225_rome.csv"
    checked = families.read_occupation_families([book, plain], DATES)
    assert (len(checked.kept), checked.duplicates, told(checked)) == (749, 749, [])
    titled = families.read_families([book, PUBLIC / "dares/intitules_FAP2021.csv"], DATES)
    assert titled.kept.groupby("nomenclature").size().to_dict() == {"FAP2009": 334, "FAP2021": 515}
