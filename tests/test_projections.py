"""« Métiers en 2030 » and the projections of branches: known answers, laws, bad inputs, and the real study."""

import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from features import facts
from features.sources import SOURCES
from features.sources.ours import read_table
from features.tables import PROJECTIONS
from features.vocabulary import InputError

read_projections = SOURCES["projections"].read
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
real = pytest.mark.skipif(not SHARED.exists(), reason="../shared/data is not there")
some = settings(max_examples=5, deadline=None)

ENTRY = {
    "code_fap": "T4Z",
    "fap_libelle": "Agents d'entretien",
    "region": "Grand Est",
    "effectifs_2019_milliers": 58.5,
    "creations_destructions_milliers": -1.25,
    "departs_fin_carriere_milliers": 24.5,
    "departs_fin_carriere_pct": 0.42,
    "jeunes_debutants_milliers": -9.75,
    "solde_mobilites_inter_regions_milliers": 0.5,
    "desequilibre_milliers": 14.0,
    "postes_a_pourvoir_milliers": 23.25,
    "niveau_tension_2019": "hors champ",
}
OURS = (
    "source;branche;date_etude;valable_jusquau;scenario;nomenclature;code;territoire_type;territoire;annee_debut;annee_fin;"
    "postes_a_pourvoir;creations_nettes;departs;jeunes_debutants;fiabilite\n"
    "Observatoire;bois;2024-05-01;2028-05-01;tendanciel;ROME;H2206;D;67;2024;2029;120;20;100;35;B\n"
)


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def study(path: Path, *entries: object) -> Path:
    return write(path, json.dumps(entries, ensure_ascii=False))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("raw")


def test_every_field_of_a_study_is_read_in_jobs_over_its_period(tmp_path):
    kept = read_projections([study(tmp_path / "m.json", ENTRY)]).kept
    row = kept.iloc[0].dropna().to_dict()
    assert row == {
        "source": "Métiers en 2030",
        "known_from": pd.Timestamp("2023-01-19"),
        "nomenclature": "FAP2009",
        "code": "T4Z",
        "territory_kind": "R",
        "territory": "R44",
        "first_year": 2019,
        "last_year": 2030,
        "jobs": 58_500.0,
        "openings": 23_250.0,
        "net_jobs": -1_250.0,
        "departures": 24_500.0,
        "young_starters": 9_750.0,
        "mobility": 500.0,
    }


def test_the_study_and_a_branch_are_read_together_each_as_what_it_is(tmp_path):
    paths = [study(tmp_path / "m.json", ENTRY), write(tmp_path / "bois.csv", OURS)]
    checked = read_projections(paths)
    assert checked.kept[["source", "territory", "openings"]].to_numpy().tolist() == [
        ["Métiers en 2030", "R44", 23_250.0],
        ["Observatoire", "D67", 120.0],
    ]
    assert_frame_equal(checked.kept, read_projections(paths[::-1]).kept)
    assert set(checked.origin["file"]) == {"m.json", "bois.csv"}
    alone = read_table([paths[1]], PROJECTIONS)
    assert_frame_equal(read_projections([paths[1]]).kept, alone.kept)


@some
@given(order=st.permutations([("T4Z", "Grand Est"), ("T4Z", "Corse"), ("XK_", "Bretagne"), ("A0Z;A1Z", "Corse")]))
def test_the_order_of_entries_and_keys_changes_nothing(folder, order):
    entries = [{**ENTRY, "code_fap": code, "region": region} for code, region in order]
    kept = read_projections([study(folder / "m.json", *(dict(list(entry.items())[::-1]) for entry in entries))]).kept
    assert kept["code"].tolist() == ["A0Z|A1Z", "K0Z|X0Z", "T4Z", "T4Z"]
    assert kept["openings"].sum() == 4 * 23_250


@pytest.mark.parametrize(
    ("name", "code"),
    [("GRAND-EST", "R44"), (" grand est", "R44"), ("Provence Alpes Côte d’Azur", "R93"), ("La Reunion", "R04")],
)
def test_a_region_is_known_by_its_title(tmp_path, name, code):
    assert read_projections([study(tmp_path / "m.json", ENTRY | {"region": name})]).kept["territory"].tolist() == [code]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (ENTRY | {"region": "Alsace"}, "unknown région Alsace"),
        (ENTRY | {"code_fap": "ménage"}, "code is not spelt as its nomenclature does"),
        (ENTRY | {"departs_fin_carriere_milliers": -1}, "departs is not a number"),
        (ENTRY | {"postes_a_pourvoir_milliers": "beaucoup"}, "postes_a_pourvoir is not a number"),
        (ENTRY | {"postes_a_pourvoir_milliers": float("nan")}, "postes_a_pourvoir is not a number"),
        (ENTRY | {"postes_a_pourvoir_milliers": float("inf")}, "postes_a_pourvoir is not a number"),
        (ENTRY | {"postes_a_pourvoir_milliers": [1]}, "postes_a_pourvoir is not a number"),
        (["T4Z"], "the entry is no JSON object"),
        ("T4Z", "the entry is no JSON object"),
        (None, "the entry is no JSON object"),
    ],
)
def test_a_wrong_entry_is_set_aside_with_its_place(tmp_path, entry, reason):
    checked = read_projections([study(tmp_path / "m.json", ENTRY, entry)])
    assert (len(checked.kept), checked.read, checked.rejected["line"].tolist()) == (1, 2, [2])
    assert reason in checked.rejected["reason"].iloc[0]


def test_an_entry_that_names_a_key_twice_could_mean_either(tmp_path):
    text = json.dumps([ENTRY, ENTRY]).replace('"region"', '"code_fap": "A0Z", "region"', 1)
    checked = read_projections([write(tmp_path / "m.json", text)])
    assert checked.rejected["line"].tolist() == [1]
    assert checked.kept["code"].tolist() == ["T4Z"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"code_fap": "T4Z"}', "is not a list of entries"),
        ('[{"code_fap": "T4Z"', "cannot be read as JSON"),
        ("[" * 200_000, "cannot be read as JSON"),
        ('[{"code_fap": ' + "9" * 5_000 + "}]", "is not the list that is read here"),
        ("[]", "is not the list that is read here"),
        ('[{"titre": "x"}]', "is not the list that is read here"),
        ("[" + " " * 17 * 1024**2 + "]", "more than 16 MB"),
        ("a;b\n1;2\n", "columns of projections are missing"),
    ],
)
def test_what_is_no_projection_is_refused_in_words(tmp_path, content, words):
    with pytest.raises(InputError, match=words):
        read_projections([write(tmp_path / "m.json", content)])


def test_a_key_that_lacks_or_comes_twice_is_named(tmp_path):
    lacking = {key: value for key, value in ENTRY.items() if key != "region"}
    with pytest.raises(InputError, match="no entry has a key like 'region'"):
        read_projections([study(tmp_path / "m.json", lacking)])
    with pytest.raises(InputError, match="several keys are like 'region'"):
        read_projections([study(tmp_path / "m.json", ENTRY | {"Région": "Grand Est"})])


def test_what_a_figure_lacks_is_missing(tmp_path):
    entry = ENTRY | {"jeunes_debutants_milliers": None}
    assert (
        read_projections([study(tmp_path / "m.json", ENTRY, entry | {"code_fap": "A0Z"})]).kept["young_starters"].isna().sum()
        == 1
    )


@real
def test_the_real_study_holds_every_family_of_every_region_once():
    checked = read_projections([SHARED / "dares" / "metiers2030_regions_fap87_orientia.json"])
    kept = checked.kept
    assert (len(kept), checked.read, kept["territory"].nunique()) == (1_049, 1_049, 13)
    listed = facts.families().query("nomenclature == 'FAP2009' and family.str.len() == 3")["family"]
    for _, codes in kept.groupby("territory")["code"]:
        assert sorted("|".join(codes).split("|")) == sorted(listed)
    assert (kept["openings"] - kept["net_jobs"] - kept["departures"]).abs().max() < 1e-6
    here = kept[kept["territory"] == "R44"]
    assert here["openings"].sum() == pytest.approx(597_644.3, abs=0.1)
    assert here["jobs"].sum() == pytest.approx(2_064_238, abs=42)
    assert kept["openings"].sum() == pytest.approx(8_351_007, abs=1)
    assert abs(kept["mobility"].sum()) < len(kept) / 2
