"""Where numbers come from: every row of the lake knows its line, and every number adds up to the parts that are told."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pytest
from homes import copy_home
from pandas.testing import assert_frame_equal
from typer.testing import CliRunner

from features import facts
from features.build import Features
from features.contracts import Contract
from features.crosswalks import sector_links
from features.errors import InputError
from features.lazy import ask
from features.tables import CONTRACT, CONTRACTS, OFFERS
from features.tension import sector_solvable
from needs.cli import app
from needs.home import Home
from needs.params import IngestParams, Params, load_params
from needs.run.cell import Cell, Figure, look_at
from needs.run.ingest import ingest
from needs.run.inputs import Inputs
from needs.run.origins import ROWS, Ground, by_file, find_rows
from needs.run.path import trace
from needs.show.asked import read_asked
from needs.show.path import WIDTH, Found, find_path, write_path
from needs.store.lake import open_table, read_manifest, read_origins, read_table, read_tables, write_table

EVERY_ROW = pc.scalar(True)


def origins(home: Home, contract: Contract) -> pd.DataFrame:
    return read_origins(home.lake, contract, contract.names, EVERY_ROW)


# The lake knows where rows were read -----------------------------------------------------------------------------------


@cache
def lines_of(path: Path) -> list[str]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as stream:
        return stream.read().splitlines()


def test_the_line_of_an_offer_holds_that_offer(ran: Home) -> None:
    rows = origins(ran, OFFERS).sample(300, random_state=1)
    for row in rows.itertuples():
        told = json.loads(lines_of(ran.raw / "offers" / row.file)[row.line - 1])
        assert (told["id"], told["dateActualisation"][:10]) == (row.offer, f"{row.known_from:%Y-%m-%d}")


@pytest.mark.parametrize(("name", "key"), [("purchases", "lot"), ("sessions", "session"), ("signals", "code")])
def test_the_line_of_a_row_holds_its_code(ran: Home, name: str, key: str) -> None:
    rows = origins(ran, CONTRACT[name])
    assert len(rows)
    assert all(str(row[key]) in lines_of(ran.raw / name / row["file"])[row["line"] - 1] for row in rows.to_dict("records"))


def test_every_row_knows_its_file_and_no_row_of_a_person_its_line(ran: Home) -> None:
    for contract in CONTRACTS:
        rows = origins(ran, contract)
        assert_frame_equal(contract.sort(rows[list(contract.names)]), read_table(ran.lake, contract))
        assert rows["file"].notna().all(), contract.name
        assert rows["line"].isna().all() if "person" in contract.names else rows["line"].notna().all(), contract.name


def test_where_a_row_was_read_follows_it_and_is_no_part_of_it(ran: Home, tmp_path: Path) -> None:
    home = copy_home(ran, tmp_path)
    ingest(home, IngestParams(), ["purchases"])
    before, manifest = origins(home, CONTRACT["purchases"]), read_manifest(home.lake, CONTRACT["purchases"])
    (path,) = home.raw.glob("purchases/*.csv")
    head, *rows = path.read_text(encoding="utf-8").splitlines()
    path.with_name("later.csv").write_text("\n".join([head, *reversed(rows)]) + "\n", encoding="utf-8")
    path.unlink()
    ingest(home, IngestParams(), ["purchases"])
    after, moved = origins(home, CONTRACT["purchases"]), read_manifest(home.lake, CONTRACT["purchases"])
    assert manifest
    assert moved
    assert moved == replace(manifest, origin=moved.origin)
    assert set(after["file"]) == {"later.csv"}
    assert (after["line"] == len(rows) + 3 - before["line"]).all()


def test_a_lake_that_does_not_know_its_lines_is_read_all_the_same(ran: Home, tmp_path: Path) -> None:
    rows = read_table(ran.lake, OFFERS)
    write_table(tmp_path, OFFERS, rows)
    told = read_origins(tmp_path, OFFERS, ["offer"], pc.field("offer") == rows["offer"][0])
    assert told[["file", "line"]].isna().all(axis=None)
    assert_frame_equal(read_table(tmp_path, OFFERS), rows)
    origin = pd.DataFrame({"file": "a.jsonl", "line": range(len(rows))})
    write_table(tmp_path, OFFERS, rows, origin)
    assert sorted(read_origins(tmp_path, OFFERS, ["offer"], EVERY_ROW)["line"]) == list(range(len(rows)))
    write_table(tmp_path, OFFERS, rows)
    assert read_origins(tmp_path, OFFERS, ["offer"], EVERY_ROW)["file"].eq("a.jsonl").all(), "they stay while rows do"
    write_table(tmp_path, OFFERS, rows.iloc[::2])
    assert read_origins(tmp_path, OFFERS, ["offer"], EVERY_ROW)["file"].isna().all(), "lines of other rows are none of these"


# Offers are asked where they lie ----------------------------------------------------------------------------------------


def test_offers_are_opened_as_they_would_be_read_and_never_loaded_they_have_no_row(ran: Home, tmp_path: Path) -> None:
    for lake in (ran.lake, tmp_path):
        opened = open_table(lake, OFFERS)
        counted = ask("SELECT count(*) AS n, count(superseded) AS superseded FROM offers", {"offers": opened})
        assert opened.schema.names == list(OFFERS.names)
        read = read_table(lake, OFFERS)
        assert counted.iloc[0].tolist() == [len(read), read["superseded"].notna().sum()]
    assert opened.schema.equals(open_table(ran.lake, OFFERS).schema)


def test_offers_that_are_lost_or_from_an_earlier_version_are_to_be_loaded_again(ran: Home, tmp_path: Path) -> None:
    shutil.copytree(ran.lake / "offers", tmp_path / "offers")
    parts = sorted(tmp_path.glob("offers/edition=*/*/part.parquet"))
    for part in parts:
        pd.read_parquet(part).drop(columns="superseded").to_parquet(part)
    for read in (open_table, read_table):
        with pytest.raises(InputError, match=r"earlier version, without superseded.*needs ingest offers"):
            read(tmp_path, OFFERS)
    parts[-1].unlink()
    with pytest.raises(InputError, match="a part of the table is missing"):
        open_table(tmp_path, OFFERS)


# Numbers add up to their parts ------------------------------------------------------------------------------------------


def cell_of(features: Features, inputs: Inputs, *asked: str) -> Cell:
    territory, sector, *level = asked
    return look_at((territory, sector, *(level or [""])), features, as_of=inputs.as_of, communes=facts.communes())


def figures_of(features: Features, inputs: Inputs, *asked: str) -> dict[str, Figure]:
    return {figure.name: figure for figure in trace(cell_of(features, inputs, *asked), features)}


@pytest.mark.parametrize(
    "asked", [("BE4441", "230"), ("D67", "318"), ("R44", "410"), ("BE4442", "318"), ("BE4441", "230", "3")]
)
def test_every_number_is_the_sum_of_its_parts(features: Features, inputs: Inputs, asked: tuple[str, ...]) -> None:
    told = {name: figure for name, figure in figures_of(features, inputs, *asked).items() if len(figure.parts)}
    for name, figure in told.items():
        assert figure.parts["value"].sum() == pytest.approx(figure.value, abs=1e-9), name
        assert (figure.parts["whole"] * figure.parts["weight"]).sum() == pytest.approx(figure.value, abs=1e-9), name
        assert not figure.low > figure.value, name
        assert not figure.value > figure.high, name
    assert len(told) >= (10 if asked[0] != "BE4442" else 5)


def test_what_no_source_tells_of_is_unknown_and_never_zero(features: Features, inputs: Inputs) -> None:
    silent = {figure.name: figure.value for figure in trace(cell_of(features, inputs, "BE4402", "230"), features)}
    assert "BE4402" not in set(features.panel["territory"])
    assert np.isnan([silent[name] for name in ("need", "supply")]).all()
    assert not {"coverage", "coverage_mean"} & silent.keys()


def test_figures_of_a_bassin_are_those_that_builders_give_it(features: Features, inputs: Inputs) -> None:
    links = sector_links(features.crosswalks)
    told, own = figures_of(features, inputs, "BE4441", "318"), "territory == 'BE4441' and sector == '318'"
    year = features.panel[features.panel["period"] > "2025-03"]
    needs = year.groupby(["territory", "department", "occupation"], as_index=False)[["need"]].sum()
    chosen = sector_solvable(features.seen.solvable, needs, links).query(own).set_index("level")["value"].dropna()
    shared = links.merge(needs.query("territory == 'BE4441'"), on="occupation").query("sector == '318'")
    mass = (shared["need"] * shared["weight"]).groupby(shared["level"]).sum()[chosen.index]
    assert ("solvable" in told) == (len(chosen) > 0) == (len(features.seen.tension) > 0)
    assert not len(chosen) or told["solvable"].value == pytest.approx((chosen * mass).sum() / mass.sum())
    chain = features.under_way.query(own)
    months = [str(month) for month in pd.period_range("2026-04", periods=12, freq="M")]
    assert told["under_way"].value == pytest.approx(chain[chain["period"].isin(months)]["under_way"].sum())


def test_sectors_and_bassins_add_up_to_what_is_linked(features: Features, inputs: Inputs) -> None:
    region, links = cell_of(features, inputs, "R44", "318"), sector_links(features.crosswalks)
    year = features.panel[features.panel["period"] > "2025-03"]
    year = year.groupby(["territory", "department", "occupation"], as_index=False)[["need", "seasonal", "border"]].sum()
    weights = links.groupby(["sector", "occupation"], as_index=False)[["weight"]].sum()
    sectors = [replace(region, sector=str(sector), links=own) for sector, own in weights.groupby("sector")]
    linked = year[year["occupation"].isin(links["occupation"])]["need"].sum()
    assert sum(cell.weigh(year, "need")["value"].sum() for cell in sectors) == pytest.approx(linked)
    bassins = region.atoms["territory"].where(region.atoms["territory"].isin(year["territory"]), "others")
    cells = [replace(region, atoms=atoms) for _, atoms in region.atoms.groupby(bassins)]
    for frame, measure in ((year, "need"), (year, "seasonal"), (year, "border"), (features.supply, "supply")):
        whole = region.weigh(frame, measure)["value"].sum()
        assert sum(cell.weigh(frame, measure)["value"].sum() for cell in cells) == pytest.approx(whole), measure


def test_need_is_positions_over_the_coverage_that_is_told(features: Features, inputs: Inputs) -> None:
    for territory in ("BE4441", "D67", "R44"):
        told = figures_of(features, inputs, territory, "318")
        coverage = told.get("coverage") or told["coverage_mean"]
        assert told["need"].value * coverage.value == pytest.approx(float(str(told["need"].said["positions"])))


def test_the_rows_behind_the_positions_hold_these_positions(
    features: Features, inputs: Inputs, params: Params, ran: Home
) -> None:
    ground = Ground(ran.lake, inputs.tables, facts.communes(), features.crosswalks, params.features)
    for territory in ("BE4441", "BE4442", "D67"):
        cell = cell_of(features, inputs, territory, "318")
        rows = find_rows(ground, cell, ["positions"])["positions"]
        communes = facts.communes()
        own = communes.merge(cell.atoms, on=["territory", "department"])
        people = own.groupby("department")["population"].sum() / communes.groupby("department")["population"].sum()
        share = rows["department"].map(people).astype("float64").mask(rows["territory"].notna(), 1.0)
        share = share.mask(rows["department"].isna(), own["population"].sum() / communes["population"].sum())
        weight = rows["occupation"].map(cell.links.set_index("occupation")["weight"]).astype("float64")
        told = figures_of(features, inputs, territory, "318")["need"].said["positions"]
        assert (rows["positions"] * share * weight).sum() == pytest.approx(told, rel=1e-6)


def test_rows_are_counted_by_file(features: Features, inputs: Inputs, params: Params, ran: Home) -> None:
    ground = Ground(ran.lake, inputs.tables, facts.communes(), features.crosswalks, params.features)
    cell = cell_of(features, inputs, "BE4441", "230")
    names = sorted({name for figure in trace(cell, features) for name in figure.rows})
    found = find_rows(ground, cell, names)
    for name, rows in found.items():
        counted = by_file(rows)
        assert counted["rows"].sum() == len(rows), name
        assert not len(rows) or rows["file"].notna().all(), name
    assert {len(found[name]) > 0 for name in ("positions", "projects", "available", "exits", "spells")} == {True}


# What is printed --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def found(ran: Home, params: Params, features: Features, inputs: Inputs) -> Found:
    return find_path(ran, params, ("BE4441", "230", ""), inputs.tables, features)


@pytest.fixture(scope="module")
def told(found: Found, params: Params) -> dict[str, str]:
    shown = {language: params.show.model_copy(update={"language": language}) for language in ("fr", "en")}
    return {language: write_path(found, params.model_copy(update={"show": show})) for language, show in shown.items()}


@pytest.mark.parametrize("language", ["fr", "en"])
def test_the_page_holds_every_number_with_its_parts_and_files(told: dict[str, str], language: str, found: Found) -> None:
    page = told[language]
    assert max(map(len, page.splitlines())) <= WIDTH + 20, "a file name or a title may stand out, not a sentence"
    assert not re.search(r"\bnan\b|[{}]|None|NaT", page)
    for part in found.figures[0].parts.head(10).itertuples():
        assert part.value < 0.05 or part.code in page
    assert re.search(r"offers_67_2025\.jsonl\.gz.* \(\d+, \d+", page)
    assert "purchases.csv" in page


def test_numbers_of_one_page_are_those_of_the_other(told: dict[str, str]) -> None:
    plain = {language: re.sub("[\u202f\u00a0]", "", page).replace(",", ".") for language, page in told.items()}
    french, english = (re.findall(r"(?m)^ +([\d.]+) = ([\d.]+)", page) for page in plain.values())
    assert french == english
    assert french


def test_how_many_people_a_file_holds_is_not_told_when_they_are_few(told: dict[str, str], params: Params) -> None:
    """A total beside its parts would tell the smallest of them: files of people are named, and only all rows are counted."""
    page = told["fr"]
    blocks = re.findall(r"(?m)^  → ([^:]+?)\s*: (.+)\n((?:      .+\n?)*)", page)
    people = [block for block in blocks if block[0] in ("demandeurs d'emploi", "parcours de formation", "périodes d'emploi")]
    assert people
    for _, head, files in people:
        assert "ligne" not in files
        count, step = re.match(r"environ (\d+)", head), params.features.privacy.smallest_cell
        assert "moins de" in head or (count and int(count[1]) >= step and int(count[1]) % step == 0)


def test_rows_that_came_later_stand_behind_no_number_of_an_earlier_day(
    ran: Home, params: Params, features: Features, inputs: Inputs, tmp_path: Path
) -> None:
    day, names = pd.Timestamp("2025-09-30"), list(ROWS)
    for contract in CONTRACTS:
        if contract is OFFERS:
            known = contract.sort(origins(ran, contract)).query("known_from <= @day", local_dict={"day": day})
            write_table(tmp_path, contract, known[list(contract.names)], known[["file", "line"]])
        elif read_manifest(ran.lake, contract):
            shutil.copytree(ran.lake / contract.name, tmp_path / contract.name)
    cell, found = replace(cell_of(features, inputs, "BE4441", "230"), as_of=day), []
    for lake in (ran.lake, tmp_path):
        ground = Ground(lake, read_tables(lake).known_at(day), facts.communes(), features.crosswalks, params.features)
        found.append(find_rows(ground, cell, names))
    for name in names:
        assert_frame_equal(by_file(found[0][name]), by_file(found[1][name]))
        assert not len(found[0][name]) or not found[0][name]["day"].max() > day, name
    assert len(found[0]["positions"])


def test_what_is_published_adds_up_to_its_parts(found: Found, published: dict[str, pd.DataFrame]) -> None:
    need, gap = found.published
    own = published["sector_needs"].query("territory == 'BE4441' and sector == '230'")
    assert need.value == pytest.approx(own["need"].sum())
    assert need.parts["value"].sum() == pytest.approx(need.value)
    assert gap.value == pytest.approx(own["value"].sum())
    assert gap.low <= gap.value <= gap.high


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        (("4441", "230"), "BE4441 (Strasbourg)"),
        (("BE4441", "materiaux"), "230 (Travail des matériaux)"),
        (("BE9999", "999"), "is not a sector"),
        (("", ""), "is not a territory"),
        (("Strasbour", "230"), "BE4441 (Strasbourg)"),
        (("😀", "230"), "The nearest are"),
    ],
)
def test_an_unknown_territory_or_sector_is_refused_with_the_nearest(tmp_path: Path, asked: tuple[str, str], named: str) -> None:
    done = CliRunner().invoke(app, ["--home", str(tmp_path), "explain", *(word or " " for word in asked)])
    assert isinstance(done.exception, InputError)
    assert named in str(done.exception)


def test_titles_are_read_without_their_accents_and_levels_are_held() -> None:
    assert read_asked("grand-est", "travail des materiaux", "3") == ("R44", "230", "3")
    with pytest.raises(InputError, match="not a European level"):
        read_asked("R44", "230", "9")


def test_occupations_that_move_are_told_with_their_false_alarms(
    ran: Home, params: Params, features: Features, inputs: Inputs
) -> None:
    moving = features.novelty.assign(state="emerging", growth=np.log(1.5), low=0.0, high=1.0, false_alarms=0.05)
    page = write_path(find_path(ran, params, ("D67", "318", ""), inputs.tables, replace(features, novelty=moving)), params)
    assert re.search(r"N4101 .*, Bas-Rhin\s: en essor,\s+50\s%", page)


def test_a_territory_without_a_sector_says_what_is_missing(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["--home", str(tmp_path), "explain", "be4441"])
    assert "give a sector after it, like: needs explain BE4441 230" in str(done.exception)


def test_an_empty_lake_says_so(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["--home", str(tmp_path), "explain", "BE4441", "230", "--level", "3"])
    assert done.output.startswith("La base est vide")


def test_read_tables_leaves_the_offers_where_they_are(ran: Home) -> None:
    assert read_tables(ran.lake).offers.count_rows() == len(read_table(ran.lake, OFFERS))
    assert load_params(ran.params)
