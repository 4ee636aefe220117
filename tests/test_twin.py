"""The simulated region: reproducible, in proportion, in the formats of its sources, and its truth kept apart."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features import facts
from features.contracts import Checked
from features.sources import SOURCES, files_of
from features.tables import CONTRACTS
from features.vocabulary import InputError
from needs.home import Home
from needs.twin import SCALES, Drawn, draw

pytestmark = pytest.mark.long

AS_OF = pd.Timestamp("2026-03-31")
EMPTY_DEPARTMENT = 1_450_539_313  # a frozen seed for which one of the two départements has no session
# Columns of the truth that are also words of the files' own formats; any other column of the truth is a secret.
PUBLIC_WORDS = {
    *("certifinfo", "code", "commune", "distance", "formacode", "lheo", "neet", "nomenclature", "opposition", "places"),
    *("places_max", "places_min", "procedure", "public", "qpv", "rncp", "rsa", "session", "th", "volet"),
}
REAL_OFFERS = Path(__file__).resolve().parents[2] / "shared" / "data" / "offers" / "offres_v2_search_response_150.json"


def hashes(home: Home) -> dict[str, str]:
    files = sorted(path for path in home.root.rglob("*") if path.is_file())
    return {str(path.relative_to(home.root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="session")
def kept(checked: dict[str, Checked]) -> dict[str, pd.DataFrame]:
    return {name: table.kept for name, table in checked.items()}


def truth(home: Home, name: str) -> pd.DataFrame:
    return pd.read_parquet(home.truth / f"{name}.parquet")


def within_sampling(share: float, wanted: float, n: int) -> bool:
    return bool(abs(share - wanted) <= 4 * np.sqrt(wanted * (1 - wanted) / n))


def test_the_same_seed_gives_the_same_bytes_for_any_number_of_workers_and_another_seed_others(
    twin: tuple[Home, Drawn], tmp_path: Path
) -> None:
    again, other = Home(tmp_path / "again"), Home(tmp_path / "other")
    draw(again, scale="tiny", seed=1, as_of=AS_OF, workers=2)
    draw(other, world="creaming", scale="tiny", seed=EMPTY_DEPARTMENT, as_of=AS_OF)
    first, second, third = hashes(twin[0]), hashes(again), hashes(other)
    assert first == second
    same = {name for name in first if first[name] == third.get(name)}
    empty = {name for name in same if "/outcomes" in name or "/overrides" in name}
    lists = {
        "data/raw/certifications/certifinfo_opendata_2026-03-01.csv",
        "data/raw/reference/unix_referentiel_competence_v460_utf8_2023-04-01.csv",
    }
    assert same - empty <= lists, "real certifications only, and the titles of the skills of the same occupations"


def test_every_file_passes_its_contract_whole(twin: tuple[Home, Drawn], checked: dict[str, Checked]) -> None:
    assert set(checked) == {c.name for c in CONTRACTS} - {"territories", "registrations", "mobilities"}
    rows = {written.path: written.rows for written in twin[1].raw}
    for name, table in checked.items():
        assert table.rejected.empty, f"{name}: {table.rejected.head()}"
        assert table.duplicates == 0
        paths = files_of(twin[0].raw / SOURCES[name].folder, SOURCES[name])
        assert len(table.kept) == sum(rows[path] for path in paths)


def test_the_files_say_how_many_rows_they_hold(twin: tuple[Home, Drawn]) -> None:
    offers = [written for written in twin[1].raw if written.source == "offers"]
    assert all(len(gzip.decompress(written.path.read_bytes()).splitlines()) == written.rows for written in offers)


def test_a_filled_folder_is_never_mixed_with(tmp_path: Path) -> None:
    home = Home(tmp_path)
    (home.raw / "offers").mkdir(parents=True)
    (home.raw / "offers" / ".gitkeep").touch()
    (home.raw / "offers" / "mine.json").write_text("{}")
    with pytest.raises(InputError, match="holds 1 files already"):
        draw(home, scale="tiny", seed=1, as_of=AS_OF)
    assert {path.name for path in home.root.rglob("*") if path.is_file()} == {".gitkeep", "mine.json"}


def test_an_unknown_scale_is_refused_with_the_ones_there_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="tiny, occitanie, demo"):
        draw(Home(tmp_path), scale="huge", seed=1, as_of=AS_OF)
    assert not Home(tmp_path).raw.exists()


def test_jobseekers_keep_the_proportions_of_the_region(kept: dict[str, pd.DataFrame]) -> None:
    everyone = kept["jobseekers"]
    for years in range(SCALES["tiny"].observations):
        date = AS_OF - pd.DateOffset(years=years)
        people = everyone[everyone["known_from"] == date]
        assert len(people) == SCALES["tiny"].jobseekers
        assert people["person"].is_unique
        assert within_sampling((people["level"] < 4).fillna(False).mean(), 281_952 / 469_375, len(people))
        assert within_sampling(people["neet"].mean(), 82_198 / 469_375, len(people))
        assert ((date.year - people.loc[people["neet"], "birth_year"]) <= 26).all()
        assert within_sampling(people["opposition"].mean(), 0.01, len(people))
    lists = [set(people["person"]) for _, people in kept["jobseekers"].groupby("known_from")]
    assert all(0.2 < len(first & second) / len(first) < 0.7 for first, second in pairwise(lists))


def test_no_list_of_jobseekers_tells_who_will_train(kept: dict[str, pd.DataFrame]) -> None:
    date = AS_OF - pd.DateOffset(years=1)
    everyone, trainings = kept["jobseekers"], kept["trainings"]
    people = everyone[everyone["known_from"] == date].reset_index(drop=True)
    later = trainings.loc[trainings["known_from"] > date, "person"]
    soon = people["person"].isin(later)
    assert 50 < soon.sum() < len(people) / 2
    for _, of_file in people.groupby("department"):
        place = (np.arange(len(of_file))[soon[of_file.index]]).mean() / len(of_file)
        assert abs(place - 0.5) < 4 * 0.29 / np.sqrt(soon[of_file.index].sum()), (
            "rows, and identifiers, are in no telling order"
        )


def test_nobody_in_training_is_listed_as_looking_for_work(kept: dict[str, pd.DataFrame]) -> None:
    entered = kept["trainings"].query("status == 'entre' and entered <= @AS_OF")
    inside = entered[entered["exited"].isna()]["person"]
    tonight = kept["jobseekers"].query("known_from == @AS_OF")["person"]
    assert len(inside) > 0
    assert not tonight.isin(inside).any()


def test_training_keeps_the_volumes_and_losses_of_the_region(kept: dict[str, pd.DataFrame]) -> None:
    trainings = kept["trainings"]
    entered = trainings[trainings["status"] == "entre"]
    for year in (2024, 2025):
        entries = int((entered["entered"].dt.year == year).sum())
        assert entries == pytest.approx(SCALES["tiny"].entries_a_year, rel=0.2)
    over = trainings[trainings["entered"] <= AS_OF]
    assert 0.15 < over["status"].isin(["refuse", "non_presente"]).mean() <= 0.3
    left = entered[entered["planned_end"] <= AS_OF]
    assert within_sampling((left["exit_reason"] == "abandon").mean(), 0.125, len(left))
    started = kept["sessions"][kept["sessions"]["starts"] <= AS_OF]
    assert 0.75 < started["entries"].sum() / started["places"].sum() < 0.95
    assert (started["entries"] <= started["places"]).all()
    assert kept["sessions"].loc[kept["sessions"]["starts"] > AS_OF, "entries"].isna().all()
    lots = kept["purchases"]
    assert lots["cost_eur"].sum() / lots["places"].sum() == pytest.approx(3000, rel=0.1)


def test_those_who_trained_work_as_often_as_in_the_source(kept: dict[str, pd.DataFrame]) -> None:
    entered = kept["trainings"][kept["trainings"]["status"] == "entre"]
    old = entered[entered["exited"] + pd.DateOffset(months=9) <= AS_OF].drop_duplicates("person", keep="last")
    spells = kept["employment"].merge(old[["person", "exited"]], on="person", how="inner", validate="many_to_one")
    day = spells["exited"] + pd.Timedelta(days=183)
    spells = spells[(spells["starts"] <= day) & (spells["ends"].isna() | (day <= spells["ends"]))]
    lasting = (spells["planned_end"] - spells["starts"]).dt.days >= 182
    durable = spells[spells["contract"].isin(["CDI", "PUB", "IND"]) | (lasting & spells["contract"].isin(["CDD", "MIS"]))]
    working = spells["person"].nunique()
    assert within_sampling(working / len(old), 0.57, len(old))
    assert within_sampling(durable["person"].nunique() / working, 0.75, working)


def test_sessions_lots_and_prescriptions_hang_together(kept: dict[str, pd.DataFrame]) -> None:
    lots, sessions, trainings = kept["purchases"], kept["sessions"], kept["trainings"]
    assert sessions["lot"].isin(lots["lot"]).all()
    assert lots["lot"].is_unique
    unsuccessful = lots.loc[lots["bids"] == 0, "lot"]
    assert not sessions["lot"].isin(unsuccessful).any()
    counts = sessions.groupby("lot").size().reindex(lots["lot"]).fillna(0).to_numpy()
    assert (counts == np.where(lots["bids"] > 0, lots["sessions"], 0)).all()
    of_lot = sessions.set_index("session")["lot"]
    assert (trainings["session"].map(of_lot) == trainings["lot"]).all()
    entries = trainings[trainings["status"] == "entre"].groupby("session").size()
    started = sessions[sessions["starts"] <= AS_OF].set_index("session")["entries"]
    assert (entries.reindex(started.index).fillna(0) == started).all()
    subject = lots.set_index("lot")[["action_type", "formacode"]]
    assert (subject.loc[trainings["lot"]].to_numpy() == trainings[["action_type", "formacode"]].to_numpy()).all()


def test_what_certifies_is_a_real_certification_of_an_occupation_of_the_world(
    twin: tuple[Home, Drawn], kept: dict[str, pd.DataFrame]
) -> None:
    occupations = set(truth(twin[0], "need")["occupation"])
    certified = kept["purchases"].query("action_type == 'certification'")
    known = facts.certifications().set_index("certifinfo")
    rows = known.loc[certified["certifinfo"]]
    assert len(certified) > 0
    assert (rows["formacode"].to_numpy() == certified["formacode"].to_numpy()).all()
    assert (rows["level"].astype(int).to_numpy() == certified["exit_level"].astype(int).to_numpy()).all()
    assert all(occupations & set(codes.split("|")) for codes in rows["occupations"])


def test_the_catalogue_names_the_sessions_of_the_lots(kept: dict[str, pd.DataFrame]) -> None:
    catalogue, sessions = kept["catalogue"], kept["sessions"]
    ahead = sessions[(sessions["starts"] > AS_OF) & (sessions["starts"] <= AS_OF + pd.DateOffset(months=9))]
    assert set(ahead["lheo"]) <= set(catalogue["session"])
    funded = catalogue[catalogue["session"].isin(sessions["lheo"])]
    dated = funded[~funded["permanent"]].merge(
        sessions, left_on="session", right_on="lheo", how="inner", validate="one_to_one", suffixes=("", "_run")
    )
    assert (dated["starts"] == dated["starts_run"]).all()
    assert (dated["commune"] == dated["commune_run"]).all()
    assert (funded["seats"] <= 20).all()
    recruiting = catalogue[catalogue["state"].fillna(1) == 1]
    assert len(recruiting) == pytest.approx(SCALES["tiny"].open_sessions, rel=0.2)
    assert {True, False} == set(catalogue["permanent"])
    assert 2 in set(catalogue["state"].dropna())


def test_files_hold_nothing_that_was_not_known(kept: dict[str, pd.DataFrame]) -> None:
    for name in ("offers", "bmo", "catalogue", "jobseekers", "trainings", "employment", "outcomes", "purchases", "signals"):
        assert (kept[name]["known_from"] <= AS_OF).all(), name
    assert (kept["trainings"]["exited"].dropna() <= AS_OF).all()
    running = kept["trainings"]["status"].eq("entre") & (kept["trainings"]["planned_end"] > AS_OF)
    assert kept["trainings"].loc[running & kept["trainings"]["exited"].isna(), "exit_reason"].isna().all()
    assert running.any()
    assert (kept["employment"]["end_known_from"].dropna() <= AS_OF).all()
    assert (kept["employment"]["ends"].isna() == kept["employment"]["end_known_from"].isna()).all()


def test_no_truth_lies_among_the_raw_files(twin: tuple[Home, Drawn]) -> None:
    home, drawn = twin
    told = {name for written in drawn.truth for name in pd.read_parquet(written.path).columns}
    secret = {"expected", "tightness", "durable_with_12", "solvable", "drive", "surplus", "marginal_worth", "growth"}
    assert secret <= told - PUBLIC_WORDS
    for path in home.raw.rglob("*.*"):
        words = _words_of(path)
        assert not words & (told - PUBLIC_WORDS), path.name
    assert not any(path.is_relative_to(home.raw) for path in home.truth.rglob("*"))


def _words_of(path: Path) -> set[str]:
    """Every word that may name a column, a field or a tag in a raw file."""
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    if path.suffix == ".xlsx":
        book = pd.read_excel(path, sheet_name=None, header=None, engine="calamine")
        return {str(cell) for sheet in book.values() for row in sheet.head(30).to_numpy() for cell in row}
    text = content.decode("utf-8", "replace")
    return set(re.split(r'[;,"<>\s]+', text.split("\n", 1)[0] if path.suffix == ".csv" else text))


def test_published_positions_are_those_of_the_truth(twin: tuple[Home, Drawn], kept: dict[str, pd.DataFrame]) -> None:
    need = truth(twin[0], "need")
    offers = kept["offers"]
    last = offers.sort_values("known_from").drop_duplicates("offer", keep="last")
    lasting = last[~last["seasonal"] & (last["contract"].eq("CDI") | (last["contract_months"] >= 6)) & last["border"].isna()]
    lasting = lasting.assign(period=lasting["created"].dt.strftime("%Y-%m"))
    told = lasting.groupby(["occupation", "period"])["positions"].sum()
    true = need[need["period"] <= "2026-03"].groupby(["occupation", "period"])["positions"].sum()
    pd.testing.assert_series_equal(told.astype("int64"), true[true > 0].astype("int64"), check_names=False)


def test_need_exceeds_what_is_published_by_the_coverage(twin: tuple[Home, Drawn]) -> None:
    need = truth(twin[0], "need")
    assert need["coverage"].between(0.3, 0.8).all()
    assert within_sampling(
        need["positions"].sum() / need["need"].sum(), np.average(need["coverage"], weights=need["need"]), 3000
    )
    assert need["period"].nunique() == SCALES["tiny"].offer_months + 27
    assert need["period"].max() == "2028-06"
    assert set(need.loc[need["territory"] == "BE4444", "department"]) == {"D67", "D68"}
    harvest = need[need["occupation"].str.startswith("A14")].groupby(need["period"].str[5:])["seasonal"].sum()
    assert harvest[["08", "09", "10"]].sum() > 0.5 * harvest.sum()


def test_the_survey_hides_small_counts_and_a_third_is_seasonal(kept: dict[str, pd.DataFrame]) -> None:
    survey = kept["bmo"]
    assert dict(survey.groupby("year")["nomenclature"].first()) == {2023: "FAP2009", 2024: "FAP2021", 2025: "FAP2021"}
    assert not survey["projects"].between(1, 4).any()
    assert 0.05 < survey["projects_secret"].mean() < 0.6
    assert 0.2 < survey["seasonal"].sum() / survey["projects"].sum() < 0.55


@pytest.mark.skipif(not REAL_OFFERS.exists(), reason="../shared/data is not there")
def test_offers_look_like_the_search_response(twin: tuple[Home, Drawn]) -> None:
    names = {name for offer in json.loads(REAL_OFFERS.read_text(encoding="utf-8"))["resultats"] for name in offer}
    paths = [written.path for written in twin[1].raw if written.source == "offers"]
    drawn = [json.loads(line) for path in paths for line in gzip.decompress(path.read_bytes()).splitlines()]
    assert {name for offer in drawn for name in offer} <= names
    assert len({offer["id"] for offer in drawn}) < len(drawn)
    vague = [offer for offer in drawn if "commune" not in offer["lieuTravail"]]
    assert {"67 - Bas-Rhin", "Allemagne (Frontalier)"} <= {offer["lieuTravail"]["libelle"] for offer in vague}
    assert {offer["typeContrat"] for offer in drawn} == {"CDI", "CDD", "MIS", "SAI"}


def test_training_is_worth_more_where_the_occupation_is_needed(twin: tuple[Home, Drawn]) -> None:
    chances = truth(twin[0], "chances").query("action_type == 'certification'")
    gain = chances["durable_with_24"] - chances["durable_without_24"]
    assert gain.mean() > 0.03
    assert gain.std() > 0.02
    prepares = truth(twin[0], "chances").query("action_type in ['mobilisation', 'remise_a_niveau', 'langue']")
    assert (prepares["work_with_24"] - prepares["work_without_24"]).mean() < gain.mean()
