"""The catalogue: each rule of LHEO once, full exports and index, the laws of a reader, and the real files."""

import re
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lheo_files import PLACE, SHARED, action, catalogue, formation, index, kept, resume, session, write
from pandas.testing import assert_frame_equal

from features import facts, tables
from features.contracts import Checked
from features.places import place
from features.sources import lheo
from features.sources.lheo import read_catalogue
from features.vocabulary import InputError

real = pytest.mark.skipif(not SHARED.exists(), reason="../shared/data is not there")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("raw")


def funder(code="", places="") -> str:
    codes = f"<code-financeur>{code}</code-financeur>" if code else ""
    held = f"<nb-places-financees>{places}</nb-places-financees>" if places != "" else ""
    return f"<organisme-financeur>{codes}{held}</organisme-financeur>"


def test_every_field_of_a_session_is_read(tmp_path):
    seats = "<recrutement><nb-places>12</nb-places></recrutement>"
    hours = "<nombre-heures-centre>430</nombre-heures-centre><nombre-heures-entreprise>170,5</nombre-heures-entreprise>"
    found = kept(tmp_path, formation(action(session(inner=seats), inner=funder(11) + funder(2), hours=hours)))
    assert found.iloc[0].dropna().to_dict() == {
        "session": "S1",
        "known_from": pd.Timestamp("2025-03-31"),
        "title": "Électricien du bâtiment",
        "action_type": "certification",
        "formacode": "24054",
        "formacodes": "24054|11111",
        "nsf": "255",
        "occupations": "F1602|F1603",
        "certifinfo": "113911",
        "certifinfos": "113911|106031",
        "rncp": "38878",
        "rncps": "38878",
        "rs": "5190",
        "certifying": True,
        "entry_level": 3,
        "entry_level_binds": True,
        "exit_level": 3,
        "publics": "tout_public",
        "teaching": "mixte",
        "hours": 600.5,
        "hours_centre": 430.0,
        "hours_company": 170.5,
        "under_agreement": False,
        "funders": "2|11",
        "seats": 12,
        "price_eur": 2500.5,
        "starts": pd.Timestamp("2025-09-01"),
        "ends": pd.Timestamp("2026-01-31"),
        "permanent": False,
        "state": 1,
        "commune": "C67482",
        "latitude": 48.58,
        "longitude": 7.75,
        "provider": "01234567890123",
    }


@pytest.mark.parametrize(
    ("objective", "formacode", "kind"),
    [
        ("9", "15061", "mobilisation"),
        ("5", "15041", "remise_a_niveau"),
        ("5", "15235", "langue"),
        ("8", "24054", "prequalification"),
        ("7", "24054", "professionnalisation"),
        ("2", "24054", "perfectionnement"),
        ("3", "24054", "perfectionnement"),
        ("6", "15235", "certification"),
        ("4", "32047", "creation_entreprise"),
        ("6", "44591", "vae"),
        ("", "24054", None),
    ],
)
def test_the_type_of_action(tmp_path, objective, formacode, kind):
    found = kept(tmp_path, formation(action(session()), objective=objective, formacode=formacode))["action_type"].item()
    assert (None if pd.isna(found) else found) == kind


def test_modular_parts_and_blocks_keep_their_kind_and_reference(tmp_path):
    parts = "".join(
        f"<sous-module><reference-module>{name}</reference-module><type-module>{kind}</type-module></sous-module>"
        for name, kind in (("UV14", 1), ("UV15", 2), ("a|b", 0))
    )
    more = (
        f"<identifiant-module>UV13</identifiant-module><sous-modules>{parts}</sous-modules>"
        "<modules-prerequis><reference-module>UV1</reference-module></modules-prerequis>"
    )
    blocks = "".join(f"<bloc-competences><code-bloc>RNCP38878BC0{n}</code-bloc></bloc-competences>" for n in (1, 2))
    inner = f"<blocs-competences>{blocks}</blocs-competences>"
    row = kept(tmp_path, formation(action(session(inner=inner)), more=more)).iloc[0]
    assert row["modules"] == "module:UV13|obligatoire:UV14|personnalisable:UV15|inconnu:a b|prerequis:UV1"
    assert row["blocks"] == "RNCP38878BC01|RNCP38878BC02"


def test_of_several_places_the_first_is_taken_whole(tmp_path):
    bare = re.sub("<geolocalisation>.*</geolocalisation>", "", PLACE).replace("67482", "2a004")
    row = kept(tmp_path, formation(action(session(), place=bare + PLACE))).iloc[0]
    assert row["commune"] == "C2A004"
    assert row[["latitude", "longitude"]].isna().all()


def test_a_text_of_other_elements_and_of_extras_is_not_taken(tmp_path):
    stray = (
        "<potentiel><code-FORMACODE>99999</code-FORMACODE></potentiel>"
        '<extras><extra info="title">x</extra><extra info="rncps">1</extra></extras>'
    )
    inscription = f"<adresse-inscription>{PLACE}</adresse-inscription>"
    plain = kept(tmp_path, formation(action(session())))
    assert_frame_equal(kept(tmp_path, formation(action(session(inner=inscription)), more=stray)), plain)


@given(places=st.lists(st.integers(0, 9999), max_size=3), count=st.integers(1, 7))
@settings(max_examples=8, deadline=None)
def test_financed_places_are_shared_without_losing_one(folder, places, count):
    funders = "".join(funder(places=number) for number in places)
    seats = kept(folder, formation(action(*(session(f"S{n}") for n in range(count)), inner=funders)))["seats"]
    if places:
        assert seats.sum() == sum(places)
        assert seats.max() - seats.min() <= 1
    else:
        assert seats.isna().all()


def test_seats_of_the_session_come_before_its_cycle_and_its_action(tmp_path):
    cycle = "<cycle><capacite-cumulee>20</capacite-cumulee></cycle>"
    recruited = "<recrutement><nb-places>0</nb-places></recrutement>" + cycle
    sessions = [session("S1", inner=recruited), session("S2", inner=cycle), session("S3")]
    assert kept(tmp_path, formation(action(*sessions, inner=funder(places=9))))["seats"].tolist() == [0, 20, 3]


def test_a_session_number_that_is_repeated_or_absent_takes_its_action_s(tmp_path):
    found = formation(
        action(session("S1"), session("S2")), action(session("S1"), number="A2"), action(session(""), session(""), number="A3")
    )
    assert kept(tmp_path, found)["session"].tolist() == ["A1/S1", "A2/S1", "A3/1", "A3/2", "S2"]


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("20250900", "2025-09-01", "2025-09-30"),
        ("20240200", "2024-02-01", "2024-02-29"),
        ("20250000", "2025-01-01", "2025-12-31"),
        ("00000000", None, None),
        ("99999999", None, None),
        ("-", None, None),
        ("2025-09-01", "2025-09-01", "2025-09-01"),
    ],
)
def test_dates_known_in_part_span_all_that_they_may_be(tmp_path, text, start, end):
    found = kept(tmp_path, formation(action(session(start=text, end=text))))[["starts", "ends"]].iloc[0]
    assert [None if pd.isna(day) else f"{day:%Y-%m-%d}" for day in found] == [start, end]


def test_a_session_is_placed_in_its_bassin(tmp_path):
    placed = place(
        read_catalogue([write(tmp_path, catalogue(formation(action(session()))))]), tables.CATALOGUE, facts.communes()
    )
    assert placed.kept["department"].tolist() == ["D67"]
    assert placed.kept["territory"].isin(facts.communes()["territory"]).all()


@pytest.mark.parametrize(
    ("name", "export", "mark", "day"),
    [
        ("c_2024-05-06.xml", "20250331", "", "2025-03-31"),
        ("c_2024-05-06.xml", "20250231", "", "2024-05-06"),
        ("c_2024-05-06.xml", "", "", "2024-05-06"),
        ("c_20240506.xml.gz", "", "", "2024-05-06"),
        ("c.xml", "", ' datemaj="20240102"', "2024-01-02"),
        ("c_2024-05-06.xml", "", ' horodatage-export="2025-02-01T23:00:00+01:00"', "2025-02-01"),
    ],
)
@pytest.mark.parametrize("element", ["formation", "action", "session", "resume-offre"])
def test_when_an_export_was_known(tmp_path, name, export, mark, day, element):
    whole = index(resume(session()), export=export) if element == "resume-offre" else None
    content = whole or catalogue(formation(action(session())), export=export)
    path = write(tmp_path, re.sub(f"<{element}(?=[ >])", f"<{element}{mark}", content), name)
    assert read_catalogue([path]).kept["known_from"].tolist() == [pd.Timestamp(day)]


def test_extras_before_the_formations_tell_the_export_date_as_well(tmp_path):
    first = catalogue(
        '<extras><extra info="DATE EXPORT">20250331</extra></extras>', *[formation(action(session()))] * 3, export=""
    )
    assert read_catalogue([write(tmp_path, first)]).kept["known_from"].unique().tolist() == [pd.Timestamp("2025-03-31")]


@pytest.mark.parametrize("content", [catalogue(formation(action(session())), export=""), index(resume(session()), export="")])
def test_an_export_without_a_date_asks_for_one(tmp_path, content):
    with pytest.raises(InputError, match=r"catalogue_2025-03-31\.xml"):
        read_catalogue([write(tmp_path, content)])


def test_a_resume_says_what_a_full_export_says_of_the_same_session(tmp_path):
    full = kept(tmp_path, formation(action(session("AF_SE")))).iloc[0]
    found = read_catalogue([write(tmp_path, index(resume(session(""))))]).kept.iloc[0]
    same = ["session", "known_from", "title", "formacode", "formacodes", "nsf", "certifinfo", "rncp", "certifying", "publics"]
    same += ["entry_level", "commune", "latitude", "longitude", "provider", "starts", "ends", "state", "permanent"]
    assert found[same].to_dict() == full[same].to_dict()
    own = ["teaching", "hours", "under_agreement", "entry_level_binds", "exit_level"]
    assert found[own].tolist() == ["distance", 300, True, False, 4]
    assert found[["seats", "price_eur", "funders", "action_type", "modules"]].isna().all()


def test_sessions_of_a_resume_have_numbers_that_do_not_depend_on_their_order(tmp_path):
    held = [
        session("", "20250901", "20251001"),
        session("", "20250901", "20251101"),
        session("", "20260101"),
        session("", "", ""),
        session("S9"),
    ]
    for sessions in (held, held[::-1]):
        found = read_catalogue([write(tmp_path, index(resume(*sessions)))]).kept
        assert found["session"].tolist() == ["AF_SE", "AF_SE/2025-09-01", "AF_SE/2025-09-01/2", "AF_SE/2026-01-01", "S9"]
        assert found["ends"].dt.month.fillna(0).tolist() == [0, 10, 11, 1, 1]


def test_a_resume_without_sessions_is_one_of_unknown_dates(tmp_path):
    found = read_catalogue([write(tmp_path, index(resume()))]).kept
    assert found["session"].tolist() == ["AF_SE"]
    assert found[["starts", "ends"]].isna().all(axis=None)


def outcome(paths: list[Path]) -> Checked | None:
    try:
        return read_catalogue(paths)
    except InputError:
        return None


sessions = st.lists(
    st.builds(
        session,
        st.sampled_from(["S1", "S2", "S3", ""]),
        st.sampled_from(["20250901", "20251345", "20270101", ""]),
        inner=st.sampled_from(
            [
                "",
                "<recrutement><nb-places>12</nb-places></recrutement>",
                "<cycle><capacite-cumulee>-3</capacite-cumulee></cycle>",
            ]
        ),
    ),
    max_size=3,
)
formations = st.lists(
    st.builds(
        lambda number, held, formacode: formation(action(*held, number=number), formacode=formacode),
        st.sampled_from(["A1", "A2", "A3"]),
        sessions,
        st.sampled_from(["24054", "bois", ""]),
    ),
    max_size=5,
)
resumes = st.lists(st.builds(lambda held, n: resume(*held, number=n), sessions, st.sampled_from(["R1", "R2", ""])), max_size=5)


@pytest.mark.parametrize(("made", "whole_of", "unit"), [(formations, catalogue, "action"), (resumes, index, "resume-offre")])
@given(data=st.data(), order=st.randoms(use_true_random=False), cut=st.integers(0, 5), batch=st.integers(1, 4))
@settings(max_examples=8, deadline=None)
def test_order_split_batch_namespace_and_gzip_change_nothing(folder, made, whole_of, unit, data, order, cut, batch):
    found = data.draw(made)
    whole = outcome([write(folder, whole_of(*found), "a.xml")])
    mixed = order.sample(found, len(found))
    parts = [write(folder, whole_of(*mixed[:cut], space=""), "b.xml"), write(folder, whole_of(*mixed[cut:]), "c.xml.gz")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lheo, "_BATCH", batch)
        split = outcome(order.sample(parts, 2))
    assert (split is None) == (whole is None)
    if split is not None and whole is not None:
        assert_frame_equal(split.kept, whole.kept)
        assert sorted(split.rejected["reason"]) == sorted(whole.rejected["reason"])
        without = sum(len(re.findall(f"<{unit}[ >]", text)) - ("<session" in text) for text in found)
        assert split.read == whole.read == sum(text.count("<session") for text in found) + without


@given(found=formations)
@settings(max_examples=8, deadline=None)
def test_sessions_added_elsewhere_change_nothing(folder, found):
    own = formation(action(session("S9"), number="A9"))
    alone = read_catalogue([write(folder, catalogue(own))])
    among = outcome([write(folder, catalogue(*found, own))])
    if among is not None:
        assert_frame_equal(among.kept[among.kept["session"] == "S9"].reset_index(drop=True), alone.kept)


@real
def test_the_real_examples():
    checked = read_catalogue([SHARED / "lheo_exemple_bts_onisep.xml", SHARED / "lheo_intercarif_anotea_test.xml"])
    found = checked.kept.set_index("session")
    assert checked.rejected.empty
    assert found["known_from"].to_dict() == {"9436_18706": pd.Timestamp("2015-12-03"), "SE_XXXXXX": pd.Timestamp("2018-06-12")}
    assert found[["entry_level", "exit_level"]].fillna(0).to_numpy().tolist() == [[0, 5], [0, 3]]
    assert found.loc["SE_XXXXXX", ["seats", "hours", "funders", "action_type"]].tolist() == [5, 697, "2", "certification"]
    assert found.loc["SE_XXXXXX", ["hours_centre", "hours_company", "under_agreement", "nsf"]].tolist() == [
        585,
        112,
        True,
        "233",
    ]
    assert found.loc["9436_18706", ["formacodes", "teaching", "certifying"]].tolist() == ["34582|34076", "presentiel", True]
    with pytest.raises(InputError, match="declares a document type"):
        read_catalogue([SHARED / "lheo_definition_gml.xml"])


@real
def test_the_real_index():
    checked = read_catalogue([SHARED / "carif_bob_emploi.xml", SHARED / "carif_bob_emploi_single_offer.xml"])
    found = checked.kept.set_index("session")
    assert (len(found), len(checked.rejected), checked.duplicates) == (11, 0, 0)
    assert found["known_from"].value_counts().to_dict() == {pd.Timestamp("2017-08-09"): 10, pd.Timestamp("2019-06-03"): 1}
    assert found["commune"].value_counts()["C75117"] == 6
    assert found["hours"].sum() == 482 + 686 + 534 * 3 + 611 + 390 + 539 + 481 + 676 + 300
    assert found["certifying"].all()
    licence = found.loc["14_AF_0000011179_SE_0000093700"]
    assert licence[["entry_level", "exit_level", "rncp", "provider"]].tolist() == [5, 6, "25730", "19750707200027"]
    assert licence[["latitude", "longitude"]].tolist() == [48.897144, 2.320914]
    assert found["ends"].loc["14_AF_0000028218_SE_0000118670"] == pd.Timestamp("2018-03-31")
    assert found[["seats", "price_eur", "state"]].isna().all(axis=None)
