"""Laws of where the simulated region lies: real communes in Grand Est, made towns elsewhere, near places alike."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from features import facts
from features.sources import SOURCES
from features.sources.communes import read_communes
from features.sources.publication import PublicationParams
from features.tables import TERRITORIES
from features.vocabulary import COMMUNE
from needs.twin import places
from needs.twin.raw import write_csv
from needs.twin.scales import SCALES

LIST = Path(__file__).resolve().parents[2] / "shared" / "data" / "geo" / "insee_communes_zone_emploi2020_geo2022.xlsx"
EVERY_SCALE = pytest.mark.parametrize("scale", ["tiny", "demo", "region", "france"])


@cache
def drawn(scale):
    return places.draw_places(SCALES[scale])


@pytest.fixture(scope="module")
def made():
    """The atoms of our own making, with what the tables of facts say of them."""
    _, atoms = drawn("france")
    known = atoms.merge(facts.bassins(), on=["territory", "department"], how="left", validate="one_to_one")
    known = known.merge(facts.centres(), on="department", suffixes=("", "_department"), validate="many_to_one")
    return known[~known["department"].isin(facts.communes()["department"])]


@EVERY_SCALE
def test_every_atom_has_communes_and_every_commune_its_atom(scale):
    communes, atoms = drawn(scale)
    assert set(communes["atom"]) == set(range(len(atoms)))
    keys = ["department", "territory"]
    assert_frame_equal(communes[keys], atoms.iloc[communes["atom"]][keys].reset_index(drop=True))
    assert not atoms.duplicated(keys).any()
    assert atoms["department"].is_monotonic_increasing


@EVERY_SCALE
def test_people_of_communes_are_those_of_atoms(scale):
    communes, atoms = drawn(scale)
    assert communes.groupby("atom")["population"].sum().tolist() == atoms["population"].tolist()
    assert (atoms["population"] > 0).all()


@EVERY_SCALE
def test_codes_are_well_formed_and_come_once(scale):
    communes, _ = drawn(scale)
    assert communes["commune"].is_unique
    assert COMMUNE.spelt(communes["commune"]).all()
    assert ("D" + communes["commune"].str[1:3] == communes["department"]).all()


@EVERY_SCALE
def test_places_are_drawn_alike_each_time_and_leave_the_facts_as_they_are(scale):
    before = facts.communes().copy()
    for again, first in zip(places.draw_places(SCALES[scale]), drawn(scale), strict=True):
        assert_frame_equal(again, first)
    assert_frame_equal(facts.communes(), before)


@pytest.mark.parametrize("scale", ["tiny", "demo", "region"])
def test_the_scales_of_the_region_have_its_real_communes_only(scale):
    communes, _ = drawn(scale)
    taken = facts.communes()["territory"].isin(SCALES[scale].bassins or facts.communes()["territory"])
    real = facts.communes()[taken].sort_values(["department", "commune"], ignore_index=True)
    assert_frame_equal(communes.drop(columns="atom"), real)


def test_the_country_keeps_the_real_region_and_has_every_bassin_of_its_departements():
    communes, atoms = drawn("france")
    here = communes["department"].isin(facts.communes()["department"])
    real = facts.communes().sort_values(["department", "commune"], ignore_index=True)
    assert_frame_equal(communes[here].drop(columns="atom").reset_index(drop=True), real)
    metropolitan = facts.bassins().query("department in @facts.centres().department")
    assert {*zip(atoms["territory"], atoms["department"], strict=True)} == {
        *zip(metropolitan["territory"], metropolitan["department"], strict=True)
    }
    assert communes["population"].sum() == places.METROPOLITAN_PEOPLE


def test_people_follow_the_projects_of_the_survey_and_the_rank_of_the_town(made):
    share = made["weight"] / made["weight"].sum()
    assert (made["population"] - share * made["population"].sum()).abs().max() <= 1
    communes, _ = drawn("france")
    towns = communes[communes["atom"].isin(made.index)].groupby("atom")["population"]
    assert (towns.size() == places.TOWNS).all()
    assert towns.is_monotonic_decreasing.all()


def test_a_made_bassin_lies_in_the_disc_of_its_departement_or_towards_its_other_part(made):
    apart = np.diag(places.distances_km(made, _centres(made)))
    several = made["territory"].duplicated(keep=False).to_numpy()
    radius = np.sqrt(made["area_km2"] / np.pi).to_numpy()
    # an atom's place is that of its people, whose towns stand a little aside of the point of the bassin
    assert (apart <= 1.15 * radius)[~several].all()
    assert several.any()
    for _, parts in made[several].groupby("territory"):
        between = places.distances_km(parts, parts), places.distances_km(_centres(parts), _centres(parts))
        assert between[0].max() < between[1].max()


def _centres(atoms):
    return pd.DataFrame({"latitude": atoms["latitude_department"], "longitude": atoms["longitude_department"]})


def test_no_two_towns_stand_at_the_same_place(made):
    communes, _ = drawn("france")
    towns = communes[communes["atom"].isin(made.index)]
    assert not towns.duplicated(["latitude", "longitude"]).any()


@pytest.mark.skipif(not LIST.is_file(), reason="../shared/data is not there")
def test_no_made_town_has_the_code_of_a_real_commune(made):
    real = read_communes([LIST], PublicationParams()).kept["commune"]
    assert len(real) > 34_000
    communes, _ = drawn("france")
    towns = communes[communes["atom"].isin(made.index)]
    assert not set(towns["commune"]) & set(real)
    assert real[~real.str.startswith("C97")].str[3:].astype(int).max() < places.FIRST_NUMBER


@EVERY_SCALE
def test_the_reader_of_territories_takes_every_commune(scale, tmp_path):
    rows = places.territories_table(drawn(scale)[0])
    path = tmp_path / "territories.csv"
    assert write_csv(rows, TERRITORIES, path) == len(rows)
    checked = SOURCES["territories"].read([path])
    assert len(checked.rejected) == 0
    kept = checked.kept[rows.columns].fillna({"zone": "", "epci": "", "maison": ""})
    assert_frame_equal(kept.sort_values("commune", ignore_index=True), rows.sort_values("commune", ignore_index=True))


def test_every_bassin_and_departement_has_a_title():
    communes, _ = drawn("france")
    titles = places.titles()
    assert titles.index.is_unique
    assert {*communes["territory"], *communes["department"]} <= set(titles[titles != ""].index)
    assert titles[["BE4441", "BE5314", "D67", "D29"]].tolist() == ["Strasbourg", "RENNES", "Bas-Rhin", "Finistère"]
    known = facts.territories().set_index("territory")["title"]
    assert titles[known.index].tolist() == known.tolist()


@pytest.mark.parametrize(("scale", "reach_km"), [("demo", 40.0), ("demo", 120.0), ("france", 40.0)])
def test_near_places_are_alike_as_the_field_says(scale, reach_km):
    _, atoms = drawn(scale)
    draws = 4_000
    field = places.alike(atoms, reach_km) @ np.random.default_rng(1).normal(size=(len(atoms), draws))
    wanted = np.exp(-places.distances_km(atoms, atoms) / reach_km)
    assert np.abs(np.corrcoef(field) - wanted).max() < 6 / np.sqrt(draws)
    assert field.std() == pytest.approx(1, abs=0.02)
    assert field.var(axis=1) == pytest.approx(1, abs=0.15)


def test_distances_are_those_of_the_globe():
    towns = pd.DataFrame({"latitude": [48.8566, 48.5734, 43.2965], "longitude": [2.3522, 7.7521, 5.3698]})
    measured = places.distances_km(towns, towns)
    assert measured[0, 1] == pytest.approx(397, abs=2)
    assert measured[0, 2] == pytest.approx(661, abs=2)
    assert measured == pytest.approx(measured.T)


def test_a_border_pulls_those_who_live_near_it():
    _, atoms = drawn("france")
    pulls = atoms.drop_duplicates("territory").set_index("territory")[["LU", "DE", "BE", "CH"]]
    nearest = {"BE4422": "LU", "BE4441": "DE", "BE4413": "BE", "BE4451": "CH"}
    assert pulls.loc[list(nearest)].idxmax(axis=1).to_dict() == nearest
    assert pulls.loc["BE5314"].max() < 1 < pulls.loc[list(nearest)].max(axis=1).min()


@pytest.mark.parametrize("power", [0.0, 1.0, 1.8])
def test_a_place_is_chosen_in_the_atom_by_its_people_to_a_power(power):
    communes, atoms = drawn("demo")
    each = 500
    asked = np.tile(np.arange(len(atoms)), each)
    chosen = places.places_in(communes, asked, np.random.default_rng(1), power=power)
    assert (communes["atom"].to_numpy()[chosen] == asked).all()
    weight = communes["population"] ** power
    share = weight / weight.groupby(communes["atom"]).transform("sum")
    often = pd.Series(np.bincount(chosen, minlength=len(communes)), communes.index) / each
    spread = np.sqrt(share * (1 - share) / each)
    assert ((often - share).abs() <= 6 * spread + 3 / each).all()
