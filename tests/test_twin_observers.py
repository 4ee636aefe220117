"""What observers say of a simulated region: right when they do not err, wrong in the way the dials say, and read whole."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features import facts
from features.contracts import Checked
from features.market_tables import CAUSES, INSERTION
from features.sources import SOURCES
from features.tables import CONTRACT
from needs.twin import diplomas, observers, official, signals, survey
from needs.twin.causes import CAUSES as TRUE_CAUSES
from needs.twin.market import Market, draw_market
from needs.twin.raw import Written, write_csv
from needs.twin.scales import SCALES
from needs.twin.world import World, draw_world
from needs.twin.worlds import Dials

AS_OF = pd.Timestamp("2026-03-31")
RIGHT = {"survey": {"error": 0.0, "bias": 0.0}}
BIASED = {"survey": {"error": 0.0, "bias": 0.8}}


@cache
def world_of(scale: str = "tiny", dials: Dials | None = None) -> World:
    return draw_world(SCALES[scale], dials or Dials(), 1, AS_OF)


def markets_of(world: World) -> list[Market]:
    return [draw_market(world, department) for department in world.departments]


def surveyed(world: World, year: int) -> pd.DataFrame:
    return pd.concat([survey.survey_rows(market, year) for market in markets_of(world)], ignore_index=True)


def read(source: str, path: Path) -> Checked:
    return SOURCES[source].read([path])


# The survey ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("year", [2023, 2024, 2025])
def test_a_survey_that_does_not_err_tells_the_need(year: int) -> None:
    world = world_of("demo", Dials(**RIGHT))
    links = survey.family_links(world, survey.nomenclature_of(year))
    for market in markets_of(world)[:3]:
        rows, months = survey.survey_rows(market, year), world.months.year == year
        need = (market.need + market.seasonal)[:, :, months].sum(axis=(0, 2)) @ links.to_numpy()
        told = rows.groupby("family")["met"].sum().reindex(links.columns, fill_value=0).to_numpy()
        gap = (told - need)[need > 5] / np.sqrt(need[need > 5])
        assert abs(told.sum() - need.sum()) < 4 * np.sqrt(need.sum())
        assert np.abs(gap).max() < 5
        assert 0.5 < np.mean(gap**2) < 1.5


def test_a_partly_known_year_is_counted_as_a_whole_one() -> None:
    world = world_of("tiny", Dials(**RIGHT))
    assert (world.months.year == 2023).sum() == 9
    linked = survey.family_links(world, "FAP2009").sum(axis=1).to_numpy()
    year = world.months.year == 2023
    need = sum(((market.need + market.seasonal)[:, :, year].sum(axis=(0, 2)) @ linked) for market in markets_of(world))
    assert surveyed(world, 2023)["met"].sum() == pytest.approx(float(need) * 12 / 9, rel=0.05)


def test_a_family_errs_alike_in_every_year_and_place() -> None:
    right, biased = (world_of("demo", Dials(**dials)) for dials in (RIGHT, BIASED))
    ratios = {}
    for year in (2024, 2025):
        counts = [surveyed(world, year).groupby(["department", "family"])["met"].sum() for world in (biased, right)]
        both = pd.concat(counts, axis=1, keys=["biased", "right"]).fillna(0)
        ratios[year] = both[both["right"] >= 30]
    truth = survey.survey_bias(biased, "FAP2021")
    for both in ratios.values():
        error = np.log(both["biased"].clip(lower=1) / both["right"])
        expected = error.index.get_level_values("family").map(truth).to_numpy(dtype="float64")
        noise = 1 / np.sqrt(both["right"]) + 1 / np.sqrt(both["biased"].clip(lower=1))
        assert (np.abs(error - expected) < 5 * noise).all()
        assert np.corrcoef(error, expected)[0, 1] > 0.9
    assert survey.survey_bias(right, "FAP2021").abs().max() == 0


def test_the_families_of_2009_err_as_those_that_follow_them() -> None:
    world = world_of("demo", Dials(**BIASED))
    links = facts.family_families()
    alone = links[links["weight"] == 1].set_index("family_2009")["family_2021"]
    recent = survey.survey_bias(world, "FAP2021")
    alone = alone[alone.isin(recent.index)]
    assert len(alone) > 20
    assert np.allclose(survey.survey_bias(world, "FAP2009")[alone.index], recent[alone])


@pytest.mark.parametrize("year", survey.survey_years(world_of()))
def test_a_workbook_is_read_whole_and_hides_what_is_below_five(tmp_path: Path, year: int) -> None:
    rows, path = surveyed(world_of(), year), tmp_path / f"Base_open_data_BMO_{year}.xlsx"
    written = survey.write_survey(rows, year, path)
    checked = read("bmo", path)
    assert (len(checked.kept), len(checked.rejected), checked.duplicates) == (written, 0, 0)
    key = ["family", "territory", "department"]
    both = rows.merge(checked.kept.query("region == 'R44'"), on=key, how="outer", validate="one_to_one", indicator=True)
    assert (both["_merge"] == "both").all()
    for count, name in (("met", "projects"), ("xmet", "difficult"), ("smet", "seasonal")):
        assert (both[f"{name}_secret"] == (both[count] < 5)).all()
        assert (both.loc[both[count] >= 5, name] == both.loc[both[count] >= 5, count]).all()
    assert (checked.kept["region"] != "R44").any()


# Projections --------------------------------------------------------------------------------------------------------


def projected(world: World) -> pd.DataFrame:
    month = observers.study_month(world)
    return observers.draw_projections(world, pd.concat([observers.need_by_family(m, month) for m in markets_of(world)]))


def missed(**dials: float) -> float:
    """How far openings are from five times the need to come, in logs, on average."""
    moving = {"trend": 0.15, "emerging": 0.2}
    world = world_of("demo", Dials(need=moving, projections={"error": 0.0, **dials}))
    coming = pd.concat([observers.need_by_family(m, world.past + 11) for m in markets_of(world)])
    total = coming.groupby("family")["need"].sum()
    regional = projected(world).query("territory_kind == 'R'").set_index("code")["openings"]
    return float(np.abs(np.log(regional / (5 * total[regional.index]))).mean())


def test_old_studies_miss_what_has_moved_since() -> None:
    assert missed(age_months=60) > 1.5 * missed(age_months=3)


def test_a_shared_optimism_moves_every_figure_and_no_grade() -> None:
    plain, rosy = (projected(world_of("tiny", Dials(projections={"error": 0.0, "bias": bias}))) for bias in (0.0, 0.5))
    large = plain["openings"] > 50
    assert np.allclose(rosy["openings"][large] / plain["openings"][large], np.exp(0.5), rtol=0.02)
    assert (rosy["reliability"] == plain["reliability"]).all()


@pytest.mark.parametrize(("age", "regional", "local"), [(6, "A", "B"), (15, "B", "C"), (60, "C", "D")])
def test_a_study_grades_itself_by_its_age_and_reach(age: int, regional: str, local: str) -> None:
    rows = projected(world_of("tiny", Dials(projections={"age_months": age})))
    assert dict(rows.groupby("territory_kind")["reliability"].unique().map(list)) == {"D": [local], "R": [regional]}
    assert (rows["known_from"] == AS_OF - pd.DateOffset(months=age)).all()
    assert (rows["openings"] == rows["net_jobs"] + rows["departures"]).all()


def test_need_by_family_adds_up_to_the_need_of_the_year() -> None:
    world = world_of()
    linked = survey.family_links(world, "FAP2021").sum(axis=1).to_numpy()
    for market in markets_of(world):
        told = observers.need_by_family(market, 20)["need"].sum()
        assert told == pytest.approx(market.need[:, :, 9:21].sum(axis=(0, 2)) @ linked)


# Signals ------------------------------------------------------------------------------------------------------------


def test_good_signals_follow_growth_and_the_others_do_not() -> None:
    truth = signals.signal_truth(world_of("region", Dials(signals={"good": 0.5, "wishful": 0.25})))
    kinds = dict(iter(truth.groupby("kind")))
    assert np.corrcoef(kinds["good"]["direction"], kinds["good"]["growth"])[0, 1] > 0.8
    for kind in ("noise", "wishful"):
        assert abs(np.corrcoef(kinds[kind]["direction"], kinds[kind]["growth"])[0, 1]) < 4 / np.sqrt(len(kinds[kind]))
    assert set(kinds["wishful"]["direction"]) == {1, 2}
    assert kinds["wishful"]["places_asked"].min() >= kinds["good"]["places_asked"].max()
    shares = truth["kind"].value_counts(normalize=True)
    assert shares["good"] == pytest.approx(0.5, abs=0.12)
    assert shares["wishful"] == pytest.approx(0.25, abs=0.12)


@pytest.mark.parametrize(("scale", "fewest", "most"), [("tiny", 12, 20), ("demo", 130, 160)])
def test_signals_pass_their_contract_and_hide_what_they_are(tmp_path: Path, scale: str, fewest: int, most: int) -> None:
    rows = signals.draw_signals(world_of(scale))
    assert list(rows) == list(CONTRACT["signals"].names)
    assert fewest <= len(rows) <= most
    path = tmp_path / "signals.csv"
    assert write_csv(rows, CONTRACT["signals"], path) == len(read("signals", path).kept)
    assert (rows["known_from"] < AS_OF).all()
    known = {"ROME": facts.occupations()["occupation"], "FORMACODE": facts.formacodes()["formacode"]}
    known["SECTEUR"] = pd.concat([facts.sectors()["sector"], pd.Series(facts.CONTRACT_SECTORS)])
    for kind, codes in known.items():
        assert set(rows.loc[rows["nomenclature"] == kind, "code"]) <= set(codes)


# Former trainees ----------------------------------------------------------------------------------------------------


def leavers(size: int, works: bool) -> pd.DataFrame:
    exited = AS_OF - pd.DateOffset(months=12)
    return pd.DataFrame(
        {"pid": np.arange(size), "exited": exited, "works": works, "lasting": works, "aimed": False},
    )


def test_those_without_work_answer_less_and_are_missing_not_failures(tmp_path: Path) -> None:
    market = markets_of(world_of())[0]
    working, idle = (observers.draw_outcomes(leavers(4_000, works), market) for works in (True, False))
    assert working["answered"].mean() == pytest.approx(0.68, abs=0.03)
    assert idle["answered"].mean() == pytest.approx(0.52, abs=0.03)
    assert (working["work_6m"].isna() == ~working["answered"]).all()
    assert (working["known_from"] <= AS_OF).all()
    path = tmp_path / "outcomes.csv"
    write_csv(working, CONTRACT["outcomes"], path)
    assert (len(read("outcomes", path).kept), len(read("outcomes", path).rejected)) == (4_000, 0)


# Official tables ----------------------------------------------------------------------------------------------------


def counts_of(world: World) -> pd.DataFrame:
    return pd.concat([official.yearly_counts(market, official.market_year(world)) for market in markets_of(world)])


WRITERS: dict[str, Callable[[World, Path], Written]] = {
    "market": lambda world, folder: official.write_market(world, counts_of(world), folder),
    "tension": official.write_tension,
    "insertion": diplomas.write_insertion,
    "certifications": diplomas.write_certifications,
}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Checked]:
    folder, world, read_back = tmp_path_factory.mktemp("official"), world_of("demo"), {}
    for source, write in WRITERS.items():
        written = write(world, folder)
        assert written.source == source
        assert written.path.parent == folder / source
        read_back[source] = read(source, written.path)
        assert len(read_back[source].kept) == written.rows
    return read_back


@pytest.mark.parametrize("source", WRITERS)
def test_an_official_table_is_read_whole_and_was_known(tables: dict[str, Checked], source: str) -> None:
    checked = tables[source]
    assert (len(checked.rejected), checked.duplicates) == (0, 0)
    assert len(checked.kept) > 100
    assert (checked.kept["known_from"] <= AS_OF).all()
    assert set(checked.kept) == set(SOURCES[source].contract.names)


@pytest.mark.parametrize("source", WRITERS)
def test_the_same_world_gives_the_same_bytes(tmp_path: Path, source: str) -> None:
    texts = [WRITERS[source](world_of(), tmp_path / part).path.read_bytes() for part in ("one", "two")]
    assert texts[0] == texts[1]


@pytest.mark.parametrize("source", WRITERS)
def test_no_truth_stands_in_an_official_table(tmp_path: Path, source: str) -> None:
    path = WRITERS[source](world_of(), tmp_path).path
    header = path.read_text(encoding="utf-8-sig").split("\n", 1)[0]
    truth = {*TRUE_CAUSES, "solvable", "kind", "growth", "odds", "expected", "need", "coverage"}
    assert not truth & set(header.replace(",", ";").split(";"))


def test_offers_and_jobseekers_are_those_of_the_market(tables: dict[str, Checked]) -> None:
    world, kept = world_of("demo"), tables["market"].kept
    counts = counts_of(world).groupby(["territory", "occupation"])["positions"].sum()
    told = kept.set_index(["territory", "occupation"])["offers"]
    assert (told == counts[told.index]).all()
    assert counts.sum() * 0.9 < told.sum() <= counts.sum()
    year = world.months.year == 2025
    published = sum(int((m.positions + m.seasonal_positions)[:, :, year].sum()) for m in markets_of(world))
    assert counts.sum() == published
    assert 0.7 * world.scale.jobseekers < kept["jobseekers"].sum() <= world.scale.jobseekers


def test_indicators_tell_the_causes_that_the_truth_holds(tables: dict[str, Checked]) -> None:
    causes = official.tension_causes(world_of("demo")).set_index("occupation")
    assert np.allclose(causes[list(TRUE_CAUSES)].sum(axis=1), 1)
    assert causes["solvable"].between(0, 1).all()
    shown = tables["market"].kept.groupby("occupation")[list(CAUSES)].mean().astype("float64")
    pairs = {
        "training_link": "solvable",
        "few_available": "lack_of_trained",
        "hard_conditions": "conditions",
        "far_from_jobs": "distance",
        "hiring_intensity": "volume",
    }
    for indicator, cause in pairs.items():
        assert np.corrcoef(shown[indicator], causes.loc[shown.index, cause])[0, 1] > 0.8, indicator


def test_tension_is_higher_where_people_are_scarcer(tables: dict[str, Checked]) -> None:
    world, kept = world_of("demo"), tables["tension"].kept
    assert set(kept["territory"]) == {*world.departments, "R44"}
    assert kept["jobs"].where(kept["territory"] == "R44").sum() == pytest.approx(
        kept["jobs"].where(kept["territory"] != "R44").sum(), rel=0.01
    )
    links = survey.family_links(world, "FAP2021")
    tight = world.tightness()[world.occupations["occupation"]].mean().to_numpy() @ links.to_numpy() / links.sum().to_numpy()
    told = kept[kept["territory"] == "R44"].set_index("family")["tension"].reindex(links.columns).astype("float64")
    assert np.corrcoef(told.fillna(0), np.where(told.isna(), 0, tight))[0, 1] > 0.7
    assert kept.groupby("tension_level")["tension"].mean().is_monotonic_increasing


def test_rates_of_few_leavers_are_hidden_and_later_horizons_not_out(tables: dict[str, Checked]) -> None:
    kept = tables["insertion"].kept
    assert (kept["rate_6m"].notna() == (kept["leavers"] >= 20).fillna(False)).all()
    assert kept["rate_6m"].isna().any()
    assert kept.loc[kept["last_year"] == kept["last_year"].max(), "employed_12m"].isna().all()
    assert INSERTION.known_at(kept, AS_OF).equals(kept)
    rates = kept.groupby("track")[["employed_6m", "leavers"]].sum()
    assert rates.loc["scolaire", "employed_6m"] / rates.loc["scolaire", "leavers"] < 0.5
    assert rates.loc["apprentissage", "employed_6m"] / rates.loc["apprentissage", "leavers"] > 0.5


def test_certifications_are_those_that_are_known(tables: dict[str, Checked]) -> None:
    known = facts.certifications().set_index("certifinfo").sort_index()
    kept = tables["certifications"].kept.set_index("certifinfo").sort_index()
    assert list(kept.index) == list(known.index)
    for name in ("formacode", "rncp"):
        assert (kept[name].fillna("") == known[name]).all(), name
    whole = kept["occupations"].str.contains("00").fillna(False)
    assert (kept["occupations"].fillna("")[~whole] == known["occupations"][~whole]).all()
    for told, true in zip(kept.loc[whole, "occupations"], known.loc[whole, "occupations"], strict=True):
        assert {code[:3] for code in told.split("|")} == {code[:3] for code in true.split("|")}
    assert (kept["level"].astype("str").fillna("").replace("<NA>", "") == known["level"]).all()
