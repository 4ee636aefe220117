"""What offers ask, and what certifications do not name: laws, known answers, and sources that are not there."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.dataset as ds
import pytest
from homes import AS_OF as DAY

from features import facts
from features.contracts import GradeLimits
from features.crosswalks import Crosswalks, build_crosswalks, links_between
from features.demand import DemandParams, observe_offers
from features.lazy import empty_dataset, lazy
from features.reference_tables import CERTIFICATIONS, OCCUPATION_SKILLS, SKILLS
from features.skills import (
    ANY,
    SkillParams,
    asked_skills,
    count_skills,
    missing_skills,
    named_skills,
    offered_certifications,
)
from features.sources import SOURCES, files_of
from features.sources.offers import date_versions
from features.tables import CATALOGUE, OFFERS, OVERRIDES, PURCHASES
from needs.home import Home
from needs.twin import Drawn

AS_OF = pd.Timestamp(DAY)
PARAMS, DEMAND = SkillParams(), DemandParams()
LIMITS = GradeLimits(100, 30, 10, 0.2, 0.5)
KEY = ["territory", "department", "occupation", "skill", "year"]
MEASURES = ["offers", "positions"]
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
Tables = dict[str, pd.DataFrame]


@pytest.fixture(scope="module")
def tables(twin: tuple[Home, Drawn]) -> Tables:
    names = ("offers", "certifications", "skills", "occupation_skills", "purchases", "catalogue")
    raw = twin[0].raw
    return {name: SOURCES[name].read(files_of(raw / SOURCES[name].folder, SOURCES[name])).kept for name in names} | {
        "fates": pd.read_parquet(twin[0].truth / "skills.parquet")
    }


@pytest.fixture(scope="module")
def offers(tables: Tables) -> pd.DataFrame:
    """The offers with the places that the door gives them."""
    places = facts.communes().set_index("commune")
    found = tables["offers"]
    commune = found["commune"]
    return found.assign(
        territory=commune.map(places["territory"]).astype("str"),
        department=commune.map(places["department"]).astype("str").where(commune.notna(), found["department"]),
    )


@pytest.fixture(scope="module")
def counts(offers: pd.DataFrame) -> pd.DataFrame:
    return counted(offers)


@pytest.fixture(scope="module")
def asked(tables: Tables, counts: pd.DataFrame) -> pd.DataFrame:
    return asked_skills(counts, named(tables), crosswalks(), tables["skills"], PARAMS)


def counted(offers: pd.DataFrame, as_of: pd.Timestamp = AS_OF) -> pd.DataFrame:
    return count_skills(lazy(offers), facts.communes(), as_of, PARAMS, DEMAND)


def named(tables: Tables) -> pd.DataFrame:
    offered = offered_certifications(tables["purchases"], tables["catalogue"], AS_OF, PARAMS)
    return named_skills(tables["certifications"], offered, tables["occupation_skills"])


@cache
def crosswalks() -> Crosswalks:
    return build_crosswalks(OVERRIDES.empty(), AS_OF)


def offer(name: str, **cells: object) -> dict[str, object]:
    usual = {"occupation": "A1101", "contract": "CDI", "seasonal": False, "positions": 1, "skills": "1|2"}
    where = {"territory": "BE4441", "department": "D67"}
    days = {"created": pd.Timestamp("2026-03-31"), "known_from": pd.Timestamp("2026-03-31")}
    return {"offer": name, **usual, **where, **days, **cells}


def made(*rows: dict[str, object]) -> pd.DataFrame:
    """A table of offers from a few cells of each."""
    kinds = {column.name: column.dtype for column in OFFERS.columns}
    table = pd.DataFrame(list(rows)).reindex(columns=list(kinds)).astype(kinds)
    return date_versions(table.sort_values(["offer", "known_from"], ignore_index=True))


def told(counts: pd.DataFrame) -> dict[tuple[str, int], tuple[float, float]]:
    sums = counts.groupby(["skill", "year"])[MEASURES].sum()
    return {key: (float(row["offers"]), float(row["positions"])) for key, row in sums.iterrows()}  # type: ignore[misc]


# Counts -----------------------------------------------------------------------------------------------------------------


def test_each_skill_is_counted_once_an_offer_with_its_positions_in_its_year() -> None:
    days = [pd.Timestamp(day) for day in ("2025-04-01", "2025-03-31", "2020-03-31")]
    rows = [offer(str(k), positions=k + 2, created=day, known_from=day) for k, day in enumerate(days)]
    assert told(counted(made(*rows, offer("bare", skills=None, positions=7)))) == {
        ("", 0): (2, 9),
        ("1", 0): (1, 2),
        ("2", 0): (1, 2),
        **{(skill, 1): (1, 3) for skill in ("", "1", "2")},
    }


@pytest.mark.parametrize(
    "cells",
    [
        {"seasonal": True},
        {"contract": "CDD", "contract_months": 5},
        {"contract": "MIS"},
        {"border": "DE", "territory": None, "department": None},
        {"created": pd.Timestamp("2026-04-01"), "known_from": pd.Timestamp("2026-04-01")},
    ],
)
def test_what_is_no_lasting_position_here_and_now_asks_nothing(cells: dict[str, object]) -> None:
    assert counted(made(offer("a", **cells))).empty


def test_the_last_version_known_says_what_an_offer_asks() -> None:
    rows = made(
        offer("a", skills="1", created=pd.Timestamp("2026-01-02"), known_from=pd.Timestamp("2026-01-02")),
        offer("a", skills="2", created=pd.Timestamp("2026-01-02"), known_from=pd.Timestamp("2026-02-03"), positions=4),
    )
    assert told(counted(rows)) == {("", 0): (1, 4), ("2", 0): (1, 4)}
    assert told(counted(rows, pd.Timestamp("2026-01-31"))) == {("", 0): (1, 1), ("1", 0): (1, 1)}


def test_an_offer_without_a_bassin_is_spread_whole() -> None:
    counts = counted(made(offer("a", territory=None, positions=3), offer("b", territory=None, department=None, positions=5)))
    here = facts.communes()
    assert set(counts["territory"]) == set(here["territory"])
    assert counts.groupby("skill")[MEASURES].sum().to_numpy() == pytest.approx(np.array([[2, 8]] * 3), abs=1e-9)
    assert counts.loc[counts["department"] == "D67", "positions"].sum() / 3 > 3


def test_all_offers_of_a_cell_are_the_positions_of_the_panel(offers: pd.DataFrame, counts: pd.DataFrame) -> None:
    cell = ["territory", "department", "occupation"]
    panel = observe_offers(lazy(offers), facts.communes(), AS_OF, DEMAND).groupby(cell)["positions"].sum()
    ours = counts[counts["skill"] == ANY].groupby(cell)["positions"].sum()
    pd.testing.assert_series_equal(ours, panel[panel > 0], check_exact=False, rtol=1e-9)


def test_what_was_not_known_yet_changes_nothing(offers: pd.DataFrame) -> None:
    before = AS_OF - pd.DateOffset(months=7)
    known = date_versions(offers[offers["known_from"] <= before].reset_index(drop=True))
    assert len(known) < len(offers)
    pd.testing.assert_frame_equal(counted(known, before), counted(offers, before), check_exact=True)


def test_row_order_changes_nothing(offers: pd.DataFrame, counts: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(counted(offers.sample(frac=1, random_state=3)), counts, check_exact=True)
    assert counts[KEY].equals(counts[KEY].sort_values(KEY, ignore_index=True))


def test_a_department_alone_is_as_in_the_whole(offers: pd.DataFrame, counts: pd.DataFrame) -> None:
    department = counts["department"].iloc[-1]
    alone = counted(offers[offers["department"] == department])
    whole = counts[counts["department"] == department].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, whole, check_exact=True)


def test_one_more_offer_lowers_nothing(offers: pd.DataFrame, counts: pd.DataFrame) -> None:
    more = counted(pd.concat([offers, offers.tail(5).assign(offer=lambda t: t["offer"] + "x")], ignore_index=True))
    both = counts.merge(more, on=KEY, how="left", validate="one_to_one", suffixes=("", "_more"))
    assert (both[[f"{name}_more" for name in MEASURES]].to_numpy() >= both[MEASURES].to_numpy()).all()
    assert more["offers"].sum() > counts["offers"].sum()


def test_no_offer_gives_no_row_and_every_column() -> None:
    counts = count_skills(empty_dataset(OFFERS), facts.communes(), AS_OF, PARAMS, DEMAND)
    assert (len(counts), list(counts)) == (0, [*KEY, *MEASURES])


def test_a_dataset_of_files_is_counted_like_rows_at_hand(offers: pd.DataFrame, counts: pd.DataFrame, tmp_path: Path) -> None:
    for department, rows in offers.groupby(offers["department"].fillna("none")):
        (tmp_path / f"department={department}").mkdir()
        rows.to_parquet(tmp_path / f"department={department}" / "part.parquet", index=False)
    files = ds.dataset(tmp_path, partitioning=None)
    pd.testing.assert_frame_equal(count_skills(files, facts.communes(), AS_OF, PARAMS, DEMAND), counts, check_exact=True)


# Shares -----------------------------------------------------------------------------------------------------------------


def test_what_is_missing_emerges_or_belongs_to_an_occupation_that_nothing_offered_leads_to(
    tables: Tables, asked: pd.DataFrame
) -> None:
    fates = tables["fates"]
    emerging, holders = set(fates.query("fate == 'emerging'")["skill"]), fates.groupby("skill")["occupation"].agg(set)
    offered = offered_certifications(tables["purchases"], tables["catalogue"], AS_OF, PARAMS)
    known = tables["certifications"].query("occupations.notna()")
    theirs = known[known["certifinfo"].isin(offered)]
    led = theirs.groupby(theirs["formacode"].str[:3])["occupations"].agg(lambda texts: {c for t in texts for c in t.split("|")})
    missing = missing_skills(asked)
    assert set(missing["skill"]) & emerging
    assert not asked.loc[asked["skill"].isin(emerging), "named"].any()
    told_of = missing[missing["offered"] & ~missing["skill"].isin(emerging)]
    assert len(told_of) > 10
    assert not any(holders[row.skill] & led[row.sector] for row in told_of.itertuples())
    assert missing["title"].str.contains(" : geste ").all()
    assert (asked["offers"] >= PARAMS.fewest_offers).all()
    assert asked["share"].between(0, 1).all()


def certified(*rows: tuple[str, str, str]) -> pd.DataFrame:
    """Certifications, each with its Formacode and what it leads to."""
    table = pd.DataFrame(rows, columns=["certifinfo", "formacode", "occupations"]).assign(state="Publié", title="one")
    return table.reindex(columns=list(CERTIFICATIONS.names)).astype(dict.fromkeys(("certifinfo", "formacode", "state"), "str"))


def held(*rows: tuple[str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["occupation", "skill"]).astype("str")


def by_sector(table: pd.DataFrame) -> dict[tuple[str, str], int]:
    return {(row.sector, row.skill): row.certifications for row in table.itertuples()}


def test_a_leaf_counts_in_its_occupation_and_a_domain_in_all_of_its_own() -> None:
    leaf = facts.leaves().query("leaf != occupation and leaf.str.startswith('A')").iloc[0]
    certifications = certified(("1", "23001", leaf["leaf"]), ("2", "42001", "F1700"))
    lists = held((leaf["occupation"], "7"), ("F1701", "8"), ("F1702", "8"), ("F1801", "9"))
    found = by_sector(named_skills(certifications, set(), lists))
    assert found == {("230", ""): 1, ("230", "7"): 1, ("420", ""): 1, ("420", "8"): 1}


def test_what_is_offered_comes_before_what_is_only_published() -> None:
    certifications = certified(("1", "23001", "A1101"), ("2", "23002", "A1201"), ("3", "42001", "A1201"))
    found = named_skills(certifications, {"1"}, held(("A1101", "7"), ("A1201", "8")))
    assert by_sector(found) == {("230", ""): 1, ("230", "7"): 1, ("420", ""): 1, ("420", "8"): 1}
    assert found.set_index("sector")["offered"].to_dict() == {"230": True, "420": False}


def test_purchases_of_long_ago_and_older_catalogues_offer_nothing() -> None:
    purchases = pd.DataFrame({"exercise": [2023, 2025, 2026], "certifinfo": ["1", "2", None]})
    days = pd.to_datetime(["2026-01-01", "2026-03-01", "2026-03-01"])
    catalogue = pd.DataFrame({"known_from": days, "certifinfo": ["3", "4", "6"], "certifinfos": ["3", "4|5", None]})
    assert offered_certifications(purchases, catalogue, AS_OF, PARAMS) == {"2", "4", "5", "6"}


@pytest.mark.parametrize("absent", ["certifications", "occupation_skills"])
def test_without_lists_nothing_is_said_to_be_missing(tables: Tables, counts: pd.DataFrame, absent: str) -> None:
    empty = {"certifications": CERTIFICATIONS.empty(), "occupation_skills": OCCUPATION_SKILLS.empty()}[absent]
    asked = asked_skills(counts, named(tables | {absent: empty}), crosswalks(), SKILLS.empty(), PARAMS)
    assert (len(asked), len(missing_skills(asked))) == (0, 0)
    assert {"territory", "sector", "skill", "title", "named", "share"} <= set(asked)


def test_without_titles_codes_stand_alone_and_without_purchases_all_that_is_published_counts(
    tables: Tables, counts: pd.DataFrame
) -> None:
    empty = {"purchases": PURCHASES.empty(), "catalogue": CATALOGUE.empty()}
    asked = asked_skills(counts, named(tables | empty), crosswalks(), SKILLS.empty(), PARAMS)
    assert len(asked) > 0
    assert asked["title"].isna().all()
    assert not asked["offered"].any()


@pytest.mark.skipif(not (SHARED / "rome").is_dir(), reason="the published files are not there")
def test_the_published_list_names_skills_in_every_sector(tables: Tables) -> None:
    lists = SOURCES["occupation_skills"].read([SHARED / "rome" / "unix_coherence_item_v347_utf8.csv"]).kept
    found = named_skills(tables["certifications"], set(), lists)
    linked = set(tables["certifications"].query("occupations.notna()")["formacode"].dropna().str[:3])
    assert set(found["sector"]) == linked
    assert found.groupby("sector").size().median() > 100


def test_positions_of_sectors_add_up_to_those_of_linked_occupations(tables: Tables, counts: pd.DataFrame) -> None:
    one = SkillParams(fewest_offers=1)
    everything = named_skills(tables["certifications"], set(), tables["occupation_skills"])
    many = counts.assign(offers=counts["offers"] * 1e9)  # so that nothing is too small to be told
    asked = asked_skills(many, everything, crosswalks(), tables["skills"], one)
    links = links_between(crosswalks(), "ROME", "SECTEUR")
    kept = links[links["target"].isin(everything["sector"])].groupby("code")["weight"].sum()
    last = counts[(counts["year"] == 0) & (counts["skill"] != ANY)]
    wanted = (last["positions"] * last["occupation"].map(kept).fillna(0.0)).groupby(last["skill"]).sum().rename("positions")
    told_here = asked[asked["territory"] == "R44"].groupby("skill")["positions"].sum()
    pd.testing.assert_series_equal(told_here, wanted[wanted > 0], rtol=1e-9)
    local = asked[asked["territory"] != "R44"].groupby("skill")["positions"].sum()
    pd.testing.assert_series_equal(local, told_here, rtol=1e-9)
