"""Laws of the tables of facts: every code resolves, weights add up to one or the code is listed, sums are conserved."""

import json
from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from features import facts
from features.facts import rebuild
from features.facts.areas import list_centres
from features.tables import CONTRACT
from features.vocabulary import (
    BASSIN,
    BORDERS,
    COMMUNE,
    DEPARTMENT,
    FAMILY,
    FORMACODE,
    LEVEL,
    MAISON,
    OCCUPATION,
    PUBLICS,
    SECTOR,
    TERRITORY,
    ZONE,
    InputError,
)

PUBLIC = Path(__file__).resolve().parents[2] / "shared" / "data"
needs_public_files = pytest.mark.skipif(not PUBLIC.is_dir(), reason="../shared/data is not there")
EVERY_TABLE = [
    facts.communes,
    facts.maisons,
    facts.territories,
    facts.departments,
    facts.bassins,
    facts.centres,
    facts.borders,
    facts.domains,
    facts.occupations,
    facts.leaves,
    facts.moves,
    facts.families,
    facts.occupation_families,
    facts.family_families,
    facts.volumes,
    facts.sectors,
    facts.formacodes,
    facts.certifications,
    facts.certification_occupations,
    facts.sector_occupations,
    facts.occupation_sectors,
    facts.publics,
    facts.diplomas,
    facts.classes,
]
KEYS = {
    "communes": ["commune"],
    "maisons": ["territory"],
    "territories": ["territory"],
    "departments": ["department"],
    "bassins": ["territory", "department"],
    "centres": ["department"],
    "borders": ["town", "area", "latitude"],
    "domains": ["domain"],
    "occupations": ["occupation"],
    "leaves": ["leaf"],
    "moves": ["occupation", "target"],
    "families": ["nomenclature", "family"],
    "occupation_families": ["occupation", "nomenclature", "family"],
    "family_families": ["family_2009", "family_2021"],
    "volumes": ["nomenclature", "code"],
    "sectors": ["sector"],
    "formacodes": ["formacode"],
    "certifications": ["certifinfo"],
    "certification_occupations": ["certifinfo", "occupation"],
    "sector_occupations": ["sector", "occupation", "level"],
    "occupation_sectors": ["occupation", "sector", "level"],
    "publics": ["code"],
    "diplomas": ["diploma", "sector", "level"],
    "classes": ["class", "kind"],
}


@pytest.mark.parametrize("table", EVERY_TABLE, ids=lambda table: table.__name__)
def test_a_key_comes_once_and_nothing_is_missing(table):
    rows = table()
    assert not rows.duplicated(KEYS[table.__name__]).any()
    assert not rows.isna().any().any()
    assert (rows[KEYS[table.__name__]].drop(columns="level", errors="ignore").astype("str") != "").all().all()


@pytest.mark.parametrize(
    ("codes", "noun"),
    [
        (lambda: facts.communes()["commune"], COMMUNE),
        (lambda: facts.communes()["territory"], BASSIN),
        (lambda: facts.communes()["zone"], ZONE),
        (lambda: facts.communes()["department"], DEPARTMENT),
        (lambda: facts.communes()["maison"], MAISON),
        (lambda: facts.territories()["territory"], TERRITORY),
        (lambda: facts.bassins()["territory"], BASSIN),
        (lambda: facts.bassins()["department"], DEPARTMENT),
        (lambda: facts.occupations()["occupation"], OCCUPATION),
        (lambda: facts.leaves()["leaf"], OCCUPATION),
        (lambda: facts.moves()["target"], OCCUPATION),
        (lambda: facts.families().query("family.str.len() > 1")["family"], FAMILY),
        (lambda: facts.sectors()["sector"], SECTOR),
        (lambda: facts.formacodes()["formacode"], FORMACODE),
        (lambda: facts.certifications()["formacode"], FORMACODE),
        (lambda: facts.certifications().query("level != ''")["level"], LEVEL),
        (lambda: facts.publics()["code"], FORMACODE),
        (lambda: facts.diplomas()["sector"], SECTOR),
        (lambda: facts.diplomas()["level"], LEVEL),
    ],
)
def test_codes_are_spelt_as_the_vocabulary_says(codes, noun):
    written = codes()
    assert written[~noun.spelt(written)].tolist() == []


def _families(nomenclature):
    return facts.families().query("nomenclature == @nomenclature")


def _links(nomenclature):
    return facts.occupation_families().query("nomenclature == @nomenclature")


def _parts(places):
    return places["territory"] + " " + places["department"]


def _split(column):
    return column[column != ""].str.split("|").explode()


@pytest.mark.parametrize(
    ("codes", "known"),
    [
        (lambda: facts.leaves()["occupation"], lambda: facts.occupations()["occupation"]),
        (lambda: facts.moves()["occupation"], lambda: facts.occupations()["occupation"]),
        (lambda: facts.moves()["target"], lambda: facts.occupations()["occupation"]),
        (lambda: facts.moves()["kind"], lambda: pd.Series(["near", "evolution"])),
        (lambda: facts.occupations()["subdomain"], lambda: facts.domains()["domain"]),
        (lambda: facts.occupations()["domain"], lambda: facts.domains().query("parent == ''")["domain"]),
        (lambda: facts.domains().query("parent != ''")["parent"], lambda: facts.domains()["domain"]),
        (lambda: _families("FAP2009").query("parent != ''")["parent"], lambda: _families("FAP2009")["family"]),
        (lambda: _families("FAP2021").query("parent != ''")["parent"], lambda: _families("FAP2021")["family"]),
        (lambda: _links("FAP2009")["family"], lambda: _families("FAP2009")["family"]),
        (lambda: _links("FAP2021")["family"], lambda: _families("FAP2021")["family"]),
        (lambda: facts.occupation_families()["occupation"], lambda: facts.occupations()["occupation"]),
        (lambda: facts.formacodes()["sector"], lambda: facts.sectors()["sector"]),
        (lambda: facts.certifications()["formacode"], lambda: facts.formacodes()["formacode"]),
        (lambda: _split(facts.certifications()["occupations"]), lambda: facts.occupations()["occupation"]),
        (lambda: facts.communes()["territory"], lambda: facts.territories()["territory"]),
        (lambda: facts.communes()["zone"], lambda: facts.territories()["territory"]),
        (lambda: facts.communes()["department"], lambda: facts.territories()["territory"]),
        (lambda: facts.communes()["maison"], lambda: facts.territories()["territory"]),
        (lambda: _parts(facts.communes()), lambda: _parts(facts.bassins())),
        (lambda: facts.bassins()["department"], lambda: facts.departments()["department"]),
        (lambda: facts.departments()["department"], lambda: facts.bassins()["department"]),
        (lambda: facts.centres()["department"], lambda: facts.departments()["department"]),
        (lambda: facts.sectors()["group"], lambda: pd.Series(facts.CONTRACT_SECTORS)),
        (lambda: facts.formacodes()["group"], lambda: pd.Series(facts.CONTRACT_SECTORS)),
        (lambda: facts.publics()["public"], lambda: pd.Series(["", *PUBLICS])),
        (lambda: facts.borders()["area"], lambda: pd.Series(list(BORDERS))),
        (lambda: facts.diplomas()["sector"], lambda: facts.sectors()["sector"]),
        (lambda: facts.classes()["kind"], lambda: facts.diplomas()["diploma"].str[:3]),
    ],
)
def test_every_code_resolves(codes, known):
    assert sorted(set(codes()) - set(known())) == []


@pytest.mark.parametrize("nomenclature", ["FAP2009", "FAP2021"])
def test_weights_to_families_add_up_to_one_or_the_occupation_is_listed(nomenclature):
    sums = _links(nomenclature).groupby("occupation")["weight"].sum()
    assert (sums - 1).abs().max() < 1e-12
    assert set(sums.index) | set(facts.occupations_without_family(nomenclature)) == set(facts.occupations()["occupation"])
    assert not set(sums.index) & set(facts.occupations_without_family(nomenclature))
    assert len(facts.occupations_without_family(nomenclature)) < 5


def test_weights_to_sectors_add_up_to_one_or_the_occupation_is_listed():
    sums = facts.occupation_sectors().groupby("occupation")["weight"].sum()
    assert (sums - 1).abs().max() < 1e-9
    assert sorted({*sums.index, *facts.unlinked_occupations()}) == facts.occupations()["occupation"].tolist()
    assert not set(sums.index) & set(facts.unlinked_occupations())
    assert len(facts.unlinked_occupations()) < 20


def test_each_linked_certification_counts_one():
    linked = facts.certifications().query("occupations != ''")
    by_sector = linked.groupby(linked["formacode"].str[:3]).size()
    counted = facts.sector_occupations().groupby("sector")["certifications"].sum()
    assert (counted - by_sector).abs().max() < 1e-6
    assert set(counted.index) == set(facts.sectors().query("linked")["sector"])
    assert facts.unlinked_sectors() == sorted(facts.sectors().query("not linked")["sector"])


def test_a_school_diploma_leads_to_sectors_at_the_level_of_its_code():
    links = facts.diplomas()
    assert (links.groupby("diploma")["weight"].sum() - 1).abs().max() < 1e-12
    assert (links["diploma"].str.len() == 8).all()
    coded = links["diploma"].str[0].map({"5": "3", "4": "4", "3": "5"})
    assert (coded.isna() == (links["diploma"].str[0] == "0")).all()
    assert (links["level"] == coded.fillna(links["level"])).all()
    sector = links.drop_duplicates("diploma", keep=False).set_index("diploma")["sector"]
    # CAP cuisine, CAP boulanger, bac pro cuisine, BTS management commercial opérationnel
    assert sector[["50022139", "50022137", "40022106", "32031213"]].tolist() == ["427", "215", "427", "340"]


def test_estimated_links_say_so():
    by_source = facts.occupation_families().groupby("nomenclature")["source"].agg(set)
    assert by_source.to_dict() == {"FAP2009": {"dares"}, "FAP2021": {"estimated"}}


def test_a_family_that_kept_its_title_keeps_its_occupations():
    """The known answer inside the estimate: where Dares gives one family of 2009 whose title 2021 repeats."""
    titles = facts.families().query("family.str.len() == 5").assign(title=lambda t: t["title"].str.lower())
    repeated = titles.query("nomenclature == 'FAP2009'").merge(
        titles.query("nomenclature == 'FAP2021'"), on="title", suffixes=("_2009", "_2021"), validate="one_to_one"
    )
    former = (
        _links("FAP2009").query("weight == 1").merge(repeated, left_on="family", right_on="family_2009", validate="many_to_one")
    )
    weights = _links("FAP2021").set_index(["occupation", "family"])["weight"]
    right = weights.reindex(pd.MultiIndex.from_frame(former[["occupation", "family_2021"]])).fillna(0)
    assert len(former) > 150
    assert right.mean() > 0.9


def test_the_region_has_its_territories():
    communes = facts.communes()
    assert len(communes) == 5115
    assert communes["territory"].nunique() == 43
    assert len(communes[["territory", "department"]].drop_duplicates()) == 44
    kinds = facts.territories()["kind"].value_counts().to_dict()
    assert kinds == {"BE": 43, "ZE": 27, "MR": 12, "D": 10, "R": 1}
    assert communes["maison"].nunique() == 12
    assert communes["zone"].nunique() == 27


def test_population_is_the_same_at_every_level():
    communes = facts.communes()
    total = communes["population"].sum()
    assert 5_500_000 < total < 5_600_000
    for level in (["territory"], ["territory", "department"], ["department"], ["zone"], ["maison"], ["epci"]):
        assert communes.groupby(level)["population"].sum().sum() == total


def test_communes_lie_in_the_region_and_borders_near_it():
    communes, borders = facts.communes(), facts.borders()
    assert communes["latitude"].between(47.3, 50.3).all()
    assert communes["longitude"].between(3.3, 8.3).all()
    assert set(borders["area"]) == set(BORDERS)
    assert (borders["population"] >= rebuild.BORDER_POPULATION).all()
    assert {"Luxembourg", "Saarbrücken", "Basel", "Arlon"} <= set(borders["town"])


def test_every_project_of_the_survey_that_is_no_secret_weighs_somewhere():
    bassins = facts.bassins()
    assert bassins["weight"].sum() == 2_751_069
    assert (bassins["weight"] > 0).all()
    assert bassins["territory"].nunique() == 406
    assert len(bassins[["territory", "title"]].drop_duplicates()) == 406


def test_a_departement_lies_among_its_communes_and_the_centres_cover_the_country():
    centres = facts.centres().set_index("department")
    middle = facts.communes().groupby("department")[["latitude", "longitude"]].mean()
    apart = (centres.loc[middle.index, ["latitude", "longitude"]] - middle).abs()
    assert (apart < 0.1).all().all()
    assert len(centres) == 96
    assert 530_000 < centres["area_km2"].sum() < 560_000


def test_a_hole_weighs_against_its_outline_and_an_island_with_it(tmp_path):
    def square(west, south, side):
        return [[west + side * x, south + side * y] for x, y in ((0, 0), (1, 0), (1, 1), (0, 1), (0, 0))]

    island, mainland = [square(10, 0, 1)], [square(0, 0, 2), square(0, 0, 1)[::-1]]
    shapes = {
        "01": {"type": "Polygon", "coordinates": mainland},
        "02": {"type": "MultiPolygon", "coordinates": [mainland, island]},
    }
    areas = [{"properties": {"code": code}, "geometry": shape} for code, shape in shapes.items()]
    (tmp_path / "outlines.json").write_text(json.dumps({"features": areas}), encoding="utf-8")
    centres = list_centres(tmp_path / "outlines.json")
    # three unit squares are left of the first, in the mean at 7/6; the island is a fourth, at 10.5
    assert centres["longitude"].tolist() == pytest.approx([7 / 6, (3.5 + 10.5) / 4], abs=1e-3)
    assert centres["latitude"].tolist() == pytest.approx([7 / 6, 1.0], abs=1e-3)
    assert centres["area_km2"].tolist() == pytest.approx([3 * 111.195**2, 4 * 111.195**2], rel=1e-3)


def test_communes_obey_the_contract_of_territories():
    rows = facts.communes().astype("str").assign(file="communes.csv", line=range(2, 5117))
    checked = CONTRACT["territories"].parse(rows, "communes.csv")
    assert len(checked.rejected) == 0
    assert_frame_equal(checked.kept[facts.communes().columns], facts.communes(), check_dtype=False)


def test_known_counts_of_nomenclatures():
    assert len(facts.occupations()) == 532
    assert len(facts.leaves()) == 1584
    assert facts.moves().groupby("kind").size().to_dict() == {"near": 1484, "evolution": 1840}
    assert facts.sectors()["official"].sum() == 65
    length = facts.families()["family"].str.len()
    assert facts.families().groupby(["nomenclature", length]).size()["FAP2009"].to_dict() == {1: 22, 3: 87, 5: 225}
    assert (_families("FAP2021").query("family.str.len() == 5").shape[0]) == 228


def test_every_contract_sector_is_reached():
    assert set(facts.formacodes()["group"]) == set(facts.CONTRACT_SECTORS)


@pytest.mark.parametrize(
    ("code", "public"),
    [("80012", "dld"), ("83056", "tout_public"), ("80020", "th"), ("82013", "detenus"), ("80005", "infra4"), ("82044", "")],
)
def test_a_public_is_known_in_every_edition(code, public):
    assert facts.publics().set_index("code")["public"][code] == public


def test_sources_name_each_table():
    sources = pd.read_csv(facts.HERE / "SOURCES.csv", sep=";", dtype="str", keep_default_na=False)
    tables = {path.stem for path in facts.HERE.glob("*.csv")} - {"SOURCES"}
    assert sources.columns.tolist() == ["table", "source", "producer", "edition", "licence", "note"]
    assert sorted(sources["table"]) == sorted(tables)
    assert (sources[["source", "producer", "edition", "licence"]] != "").all().all()


def test_the_tables_stay_small():
    assert sum(path.stat().st_size for path in facts.HERE.glob("*.csv")) < 2_500_000


def test_a_missing_public_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no file is named 'arbo_rome_ogr_202107\.csv'"):
        rebuild.rebuild(tmp_path, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
@needs_public_files
def test_rebuild_makes_the_same_bytes(tmp_path):
    rebuild.rebuild(PUBLIC, tmp_path)
    for name in rebuild.TABLES:
        assert (tmp_path / f"{name}.csv").read_bytes() == (facts.HERE / f"{name}.csv").read_bytes(), name


@needs_public_files
@pytest.mark.parametrize(("year", "nomenclature", "listed"), [(2023, "FAP2009", ["R1Z66"]), (2024, "FAP2021", [])])
def test_every_family_of_the_survey_is_linked_or_listed(year, nomenclature, listed):
    calamine = pytest.importorskip("python_calamine")
    book = calamine.CalamineWorkbook.from_path(str(PUBLIC / "bmo" / f"Base_open_data_BMO_{year}.xlsx"))
    header, *rows = book.get_sheet_by_index(1).to_python()
    surveyed = {str(row[header.index("Code métier BMO")]) for row in rows}
    assert surveyed <= set(_families(nomenclature)["family"])
    assert surveyed <= {*_links(nomenclature)["family"], *facts.families_without_occupation(nomenclature)}
    assert sorted(surveyed & {*facts.families_without_occupation(nomenclature)}) == listed
