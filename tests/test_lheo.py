"""The catalogue: each rule of LHEO once, the laws of a reader, and what is refused."""

import gzip
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from features import facts, tables
from features.contracts import Checked
from features.places import place
from features.sources.lheo import read_catalogue
from features.vocabulary import InputError

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "formation"
real = pytest.mark.skipif(not SHARED.exists(), reason="../shared/data is not there")

PLACE = (
    "<lieu-de-formation><coordonnees><adresse><code-INSEE-commune>67482</code-INSEE-commune>"
    "<geolocalisation><latitude>48.58</latitude><longitude>7.75</longitude></geolocalisation></adresse></coordonnees></lieu-de-formation>"
)
FORMATION = (
    '<domaine-formation><code-FORMACODE>11111</code-FORMACODE><code-FORMACODE tag="principal">{formacode}</code-FORMACODE>'
    "<code-ROME>F1602</code-ROME><code-ROME>F1603</code-ROME></domaine-formation><intitule-formation>Électricien</intitule-formation>"
    "<code-niveau-entree>{entry}</code-niveau-entree><objectif-general-formation>{objective}</objectif-general-formation>"
    "<certification><code-RNCP>RNCP38878</code-RNCP><code-CERTIFINFO>113911</code-CERTIFINFO></certification>"
    "<code-niveau-sortie>13</code-niveau-sortie>{actions}<organisme-formation-responsable><SIRET-organisme-formation>"
    "<SIRET>01234567890123</SIRET></SIRET-organisme-formation></organisme-formation-responsable>"
)


def session(number="S1", start="20250901", end="20260131", inner="") -> str:
    name = f' numero="{number}"' if number else ""
    period = f"<periode><debut>{start}</debut><fin>{end}</fin></periode>"
    return f"<session{name}>{period}<etat-recrutement>1</etat-recrutement>{inner}</session>"


def action(*sessions: str, number="A1", inner="") -> str:
    return (
        f'<action numero="{number}"><code-public-vise>80056</code-public-vise>'
        "<niveau-entree-obligatoire>1</niveau-entree-obligatoire>"
        f"{PLACE}<modalites-entrees-sorties>0</modalites-entrees-sorties>{''.join(sessions)}"
        "<nombre-heures-total>600</nombre-heures-total>"
        f"<prix-total-TTC>2 500,50 €</prix-total-TTC>{inner}</action>"
    )


def formation(*actions: str, formacode="24054", objective="6", entry="4") -> str:
    content = FORMATION.format(formacode=formacode, objective=objective, entry=entry, actions="".join(actions))
    return f"<formation>{content}</formation>"


def catalogue(*formations: str, space="http://www.lheo.org/2.2", export="20250331") -> str:
    extras = f'<extras info="flux"><extra info="date-export">{export}</extra></extras>' if export else ""
    return f'<?xml version="1.0" encoding="UTF-8"?><lheo xmlns="{space}"><offres>{"".join(formations)}</offres>{extras}</lheo>'


def write(folder: Path, content: str | bytes, name="catalogue.xml") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def kept(folder: Path, *formations: str) -> pd.DataFrame:
    return read_catalogue([write(folder, catalogue(*formations))]).kept


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("raw")


def test_every_field_of_a_session_is_read(tmp_path):
    seats = "<recrutement><nb-places>12</nb-places></recrutement>"
    funders = "".join(f"<organisme-financeur><code-financeur>{code}</code-financeur></organisme-financeur>" for code in (11, 2))
    assert kept(tmp_path, formation(action(session(inner=seats), inner=funders))).iloc[0].dropna().to_dict() == {
        "session": "S1",
        "known_from": pd.Timestamp("2025-03-31"),
        "title": "Électricien",
        "action_type": "certification",
        "formacode": "24054",
        "certifinfo": "113911",
        "rncp": "38878",
        "occupations": "F1602|F1603",
        "entry_level": 3,
        "entry_level_binds": True,
        "exit_level": 3,
        "publics": "tout_public",
        "hours": 600.0,
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


@given(places=st.lists(st.integers(0, 9999), max_size=3), count=st.integers(1, 7))
@settings(max_examples=10, deadline=None)
def test_financed_places_are_shared_without_losing_one(folder, places, count):
    funders = "".join(
        f"<organisme-financeur><nb-places-financees>{n}</nb-places-financees></organisme-financeur>" for n in places
    )
    seats = kept(folder, formation(action(*(session(f"S{n}") for n in range(count)), inner=funders)))["seats"]
    if places:
        assert seats.sum() == sum(places)
        assert seats.max() - seats.min() <= 1
    else:
        assert seats.isna().all()


def test_seats_of_the_session_come_before_its_cycle_and_its_action(tmp_path):
    cycle = "<cycle><capacite-cumulee>20</capacite-cumulee></cycle>"
    recruited = "<recrutement><nb-places>0</nb-places></recrutement>" + cycle
    financed = "<organisme-financeur><nb-places-financees>9</nb-places-financees></organisme-financeur>"
    sessions = [session("S1", inner=recruited), session("S2", inner=cycle), session("S3")]
    assert kept(tmp_path, formation(action(*sessions, inner=financed)))["seats"].tolist() == [0, 20, 3]


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
    ("name", "export", "root", "day"),
    [
        ("c_2024-05-06.xml", "20250331", "", "2025-03-31"),
        ("c_2024-05-06.xml", "", "", "2024-05-06"),
        ("c_20240506.xml.gz", "", "", "2024-05-06"),
        ("c.xml", "", ' datemaj="20240102"', "2024-01-02"),
    ],
)
def test_when_an_export_was_known(tmp_path, name, export, root, day):
    content = catalogue(formation(action(session())), export=export).replace("<formation>", f"<formation{root}>").encode()
    path = write(tmp_path, gzip.compress(content, mtime=0) if name.endswith(".gz") else content, name)
    assert read_catalogue([path]).kept["known_from"].tolist() == [pd.Timestamp(day)]


def test_an_export_without_a_date_asks_for_one(tmp_path):
    with pytest.raises(InputError, match=r"catalogue_2025-03-31\.xml"):
        read_catalogue([write(tmp_path, catalogue(formation(action(session())), export=""))])


def outcome(paths: list[Path]) -> Checked | None:
    try:
        return read_catalogue(paths)
    except InputError:
        return None


formations = st.lists(
    st.builds(
        lambda number, sessions, formacode: formation(
            action(*(session(*given) for given in sessions), number=number), formacode=formacode
        ),
        st.sampled_from(["A1", "A2", "A3"]),
        st.lists(
            st.tuples(st.sampled_from(["S1", "S2", "S3"]), st.sampled_from(["20250901", "20251345", "20270101", ""])),
            max_size=3,
        ),
        st.sampled_from(["24054", "bois", ""]),
    ),
    max_size=5,
)


@given(found=formations, order=st.randoms(use_true_random=False), cut=st.integers(0, 5))
@settings(max_examples=10, deadline=None)
def test_order_split_and_namespace_change_nothing(folder, found, order, cut):
    whole = outcome([write(folder, catalogue(*found), "a.xml")])
    mixed = order.sample(found, len(found))
    parts = [write(folder, catalogue(*mixed[:cut], space=""), "b.xml"), write(folder, catalogue(*mixed[cut:]), "c.xml")]
    split = outcome(order.sample(parts, 2))
    assert (split is None) == (whole is None)
    if split is not None and whole is not None:
        assert_frame_equal(split.kept, whole.kept)
        assert sorted(split.rejected["reason"]) == sorted(whole.rejected["reason"])
        assert split.read == whole.read == sum(text.count("<session") for text in found)


ENTITIES = '<!DOCTYPE lheo [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><lheo><offres x="&b;"/></lheo>'


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (ENTITIES, "declares a document type or entities"),
        (('<?xml version="1.0" encoding="utf-16"?>' + ENTITIES).encode("utf-16"), "declares a document type or entities"),
        (
            '<!DOCTYPE lheo [<!ENTITY x SYSTEM "file:///etc/hosts">]><lheo><offres>&x;</offres></lheo>',
            "declares a document type",
        ),
        ("<lheo><offres>&x;</offres></lheo>", "not well-formed"),
        (catalogue(formation(action(session())))[:-20], "not well-formed"),
        ("<lheo-index><resumes-offres/></lheo-index>", "<lheo-index>, not <lheo>"),
        ("<lheo><offres><formation>" + "<a>bbbbbbbbbbbbbbbbbbbb</a>" * 700_000, "without the end of a formation"),
        ("<!doctype html><p>", "web page"),
        ("", "is empty"),
        (gzip.compress(catalogue().encode(), mtime=0)[:40], "cannot be read to its end"),
    ],
)
def test_what_is_no_catalogue_is_refused_in_words(tmp_path, content, words):
    with pytest.raises(InputError, match=words) as caught:
        read_catalogue([write(tmp_path, content)])
    assert len(caught.value.faults) == 1


@real
def test_the_real_examples():
    checked = read_catalogue([SHARED / "lheo_exemple_bts_onisep.xml", SHARED / "lheo_intercarif_anotea_test.xml"])
    found = checked.kept.set_index("session")
    assert checked.rejected.empty
    assert found["known_from"].to_dict() == {"9436_18706": pd.Timestamp("2015-12-03"), "SE_XXXXXX": pd.Timestamp("2018-06-12")}
    assert found[["entry_level", "exit_level"]].fillna(0).to_numpy().tolist() == [[0, 5], [0, 3]]
    assert found.loc["SE_XXXXXX", ["seats", "hours", "funders", "action_type"]].tolist() == [5, 697, "2", "certification"]
    for stranger in ("carif_bob_emploi.xml", "lheo_definition_gml.xml"):
        with pytest.raises(InputError):
            read_catalogue([SHARED / stranger])
