"""Tensions and their causes: known answers, and laws of grain, mass, dates, monotonicity and calibration."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from scipy.stats import spearmanr

from features import facts
from features.contracts import GradeLimits
from features.crosswalks import Crosswalks, build_crosswalks, carry, links_between, sector_links
from features.market_tables import CAUSES, MARKET, TENSION
from features.sources import SOURCES
from features.tables import CONTRACT
from features.tension import CELL, GRAINS, TensionParams, explain_tension, sector_solvable, training_solvable
from needs.home import Home
from needs.twin import Drawn
from needs.twin.official import tension_causes
from needs.twin.scales import SCALES
from needs.twin.world import draw_world
from needs.twin.worlds import Dials

AS_OF = pd.Timestamp("2026-03-31")
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "dares"
real = pytest.mark.skipif(not SHARED.exists(), reason="../shared/data is not there")
HERE = facts.communes()
LIMITS = GradeLimits(100, 30, 10, 0.2, 0.5)
PARAMS = TensionParams()
INDICATORS = [*CAUSES, "low_pay"]


@pytest.fixture(scope="module")
def crosswalks() -> Crosswalks:
    return build_crosswalks(CONTRACT["overrides"].empty(), AS_OF)


def tensions(*rows: dict[str, object]) -> pd.DataFrame:
    usual = {"year": 2024, "nomenclature": "FAP2021", "jobs": 1000.0, "known_from": pd.Timestamp("2025-04-30")}
    table = pd.DataFrame([usual | row for row in rows])
    return TENSION.empty().reindex(range(len(table))).assign(**table).astype(TENSION.empty().dtypes.to_dict())


def markets(*rows: dict[str, object]) -> pd.DataFrame:
    usual = {"year": 2025, "offers": 80.0, "jobseekers": 60.0, "known_from": pd.Timestamp("2026-02-15")}
    table = pd.DataFrame([usual | row for row in rows])
    return MARKET.empty().reindex(range(len(table))).assign(**table).astype(MARKET.empty().dtypes.to_dict())


def explain(tension: pd.DataFrame, market: pd.DataFrame, crosswalks: Crosswalks) -> pd.DataFrame:
    return explain_tension(tension, market, crosswalks, HERE)


def solve(explained: pd.DataFrame, params: TensionParams = PARAMS, as_of: pd.Timestamp = AS_OF) -> pd.DataFrame:
    return training_solvable(explained, as_of, params, LIMITS)


def indicators(**told: float) -> pd.DataFrame:
    """One cell in which each indicator is in the middle, but for those that are told."""
    row = {"territory": "BE4441", "department": "D67", "occupation": "A1101", **dict.fromkeys(INDICATORS, 3.0)}
    about = {"year": 2025, "grain": "bassin", "n": 60.0, "specific": 1.0, "borrowed": 0.0}
    return pd.DataFrame([row | about | told])


def at(frame: pd.DataFrame, territory: str, occupation: str) -> pd.Series:
    return frame[(frame["territory"] == territory) & (frame["occupation"] == occupation)].iloc[0]


# What is known, and where from ------------------------------------------------------------------------------------------


def test_each_figure_comes_from_the_finest_grain_that_knows_it_and_says_so(crosswalks):
    links = links_between(crosswalks, "ROME", "FAP2021")
    family = links.loc[links["code"] == "A1101", "target"].iloc[0]
    told = tensions(
        {"family": family, "territory": "FR", "tension": 0.1, "tension_level": 1, "low_pay": 4, "far_from_jobs": 2},
        {"family": family, "territory": "R44", "tension": 0.2, "tension_level": 2, **dict.fromkeys(CAUSES, 3)},
        {"family": family, "territory": "D67", "tension": 0.3},
        {"family": family, "territory": "R11", "tension": 9.0, "tension_level": 5},
    )
    seen = markets({"occupation": "A1101", "territory": "BE4441", "tension_level": 4, "few_available": 5})
    row = at(explain(told, seen, crosswalks), "BE4441", "A1101")
    figures = ["tension", "tension_level", "few_available", "training_link", "low_pay"]
    assert row[figures].tolist() == pytest.approx([0.3, 4, 5, 3, 4])
    grains = ["tension_grain", "tension_level_grain", "low_pay_grain", "jobs_grain", "grain"]
    assert row[grains].tolist() == ["département", "bassin", "France", "département", "région"]
    other = at(explain(told, seen, crosswalks), "BE4431", "A1101")
    assert other[["tension", "tension_level", "few_available"]].tolist() == pytest.approx([0.2, 2, 5])
    assert other[["tension_grain", "grain"]].tolist() == ["région", "région"]


def test_a_class_of_an_occupation_lies_within_those_of_its_families(crosswalks):
    links = links_between(crosswalks, "ROME", "FAP2009")
    several = links.groupby("code").filter(lambda rows: len(rows) > 1)
    occupation = several["code"].iloc[0]
    pair = several[several["code"] == occupation]
    told = tensions(
        *(
            {"family": family, "nomenclature": "FAP2009", "territory": "D67", **dict.fromkeys(CAUSES, number % 2 * 4 + 1)}
            for number, family in enumerate(pair["target"])
        )
    )
    row = at(explain(told, markets().iloc[:0], crosswalks), "BE4441", occupation)
    wanted = (pair["weight"] * [number % 2 * 4 + 1 for number in range(len(pair))]).sum()
    assert row[list(CAUSES)].tolist() == pytest.approx([wanted] * 6)


def test_jobs_are_shared_over_occupations_and_cells_and_none_is_lost(twin: tuple[Home, Drawn], crosswalks):
    told = SOURCES["tension"].read([*(twin[0].raw / "tension").glob("*.csv")]).kept
    inside = told[told["territory"].isin(HERE["department"])]
    explained = explain(told[told["territory"].str.startswith("D")], markets().iloc[:0], crosswalks)
    volumes = inside[["territory", "family", "jobs"]].set_axis(["territory", "code", "volume"], axis=1)
    carried = carry(volumes, links_between(crosswalks, "FAP2021", "ROME"))
    assert len(explained) > 100
    shared = explained.groupby("department")["jobs"].sum()
    by_department = carried.mapped.groupby("territory")["volume"].sum()
    assert shared.to_dict() == pytest.approx(by_department.to_dict(), rel=1e-9)
    assert shared.sum() + carried.unmapped["volume"].sum() == pytest.approx(inside["jobs"].sum(), rel=1e-9)


def test_the_last_edition_of_each_territory_counts_and_a_correction_replaces_a_row(crosswalks):
    links = links_between(crosswalks, "FAP2021", "ROME")
    family, occupation = links["code"].iloc[0], links["target"].iloc[0]
    told = tensions(
        {"family": family, "territory": "D67", "year": 2022, "tension": 5.0},
        {"family": family, "territory": "D67", "year": 2023, "tension": 1.0},
        {"family": family, "territory": "D67", "year": 2023, "tension": 2.0, "known_from": pd.Timestamp("2025-09-01")},
        {"family": family, "territory": "R44", "year": 2024, "tension": 3.0},
        {"family": links["code"].iloc[-1], "territory": "D67", "year": 2023, "jobs": None},
    )
    assert explain(told.tail(1), markets().iloc[:0], crosswalks).empty
    row = at(explain(told, markets().iloc[:0], crosswalks), "BE4441", occupation)
    assert (row["tension"], row["year"], row["known_from"]) == (pytest.approx(2.0), 2023, pd.Timestamp("2025-09-01"))


def test_row_order_changes_nothing_and_a_bassin_alone_says_what_it_says_in_the_whole(twin: tuple[Home, Drawn], crosswalks):
    told, seen = (SOURCES[name].read([*(twin[0].raw / name).glob("*.csv")]).kept for name in ("tension", "market"))
    whole = explain(told, seen, crosswalks)
    shuffled = explain(told.sample(frac=1, random_state=1), seen.sample(frac=1, random_state=2), crosswalks)
    assert_frame_equal(shuffled, whole, check_exact=True)
    territory = seen["territory"].iloc[0]
    alone = explain(told, seen[seen["territory"] == territory], crosswalks)
    own = [frame[(frame["territory"] == territory) & (frame["grain"] == "bassin")] for frame in (alone, whole)]
    assert len(own[0]) > 5
    assert_frame_equal(*(rows.reset_index(drop=True) for rows in own), check_exact=True)


def test_without_any_table_there_is_no_row_and_every_column(crosswalks):
    full = explain(tensions({"family": "A0X40", "territory": "D67", "tension": 1.0}), markets().iloc[:0], crosswalks)
    none = explain(TENSION.empty(), MARKET.empty(), crosswalks)
    assert none.empty
    assert list(none) == list(full)
    assert none.dtypes.to_dict() == full.dtypes.to_dict()
    assert solve(none).empty


# What training can answer -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", INDICATORS)
def test_more_lack_of_people_never_lowers_the_share_and_another_cause_never_raises_it(name):
    others = [other for other in INDICATORS if other != name]
    every = pd.MultiIndex.from_product([[1.0, 3.0, 5.0, np.nan]] * len(others), names=others).to_frame(index=False)
    rows = indicators().drop(columns=others).merge(every, how="cross")
    steps = [solve(rows.assign(**{name: float(step)})) for step in range(1, 6)]
    for before, after in pairwise(steps):
        change = (after[["value", "low", "high"]] - before[["value", "low", "high"]]).fillna(0.0)
        assert (change >= -1e-12 if name in ("few_available", "training_link") else change <= 1e-12).all(axis=None)
        known = before[before["value"].notna()]
        assert len(known) >= 3 * 4**5 * 3 // 4
        assert ((known["low"] >= 0) & (known["low"] <= known["value"])).all()
        assert ((known["high"] <= 1) & (known["high"] >= known["value"])).all()


def test_causes_that_weigh_the_same_share_equally_and_each_class_doubles_the_odds():
    assert solve(indicators()).iloc[0]["value"] == pytest.approx(1 / 4)
    twice = solve(indicators(few_available=4.0, training_link=4.0)).iloc[0]["value"]
    assert twice / (1 - twice) == pytest.approx(2 / 3)


def test_people_that_are_few_are_no_matter_of_training_where_no_training_is_asked():
    assert solve(indicators(few_available=5.0, training_link=1.0)).iloc[0]["value"] < 1 / 4


def test_the_interval_widens_with_the_grain_with_age_with_mixed_families_and_with_missing_causes():
    def width(as_of: pd.Timestamp = AS_OF, **told: object) -> float:
        row = solve(indicators(**told), as_of=as_of).iloc[0]
        return float(row["high"] - row["low"])

    grains = [width(grain=grain) for grain in GRAINS]
    assert grains == sorted(set(grains))
    ages = [width(year=year) for year in (2025, 2023, 2019)]
    assert ages == sorted(set(ages))
    mixed = [width(specific=specific) for specific in (1.0, 0.5, 0.1)]
    assert mixed == sorted(set(mixed))
    assert width(far_from_jobs=np.nan) > width()
    assert width(low_pay=np.nan) == pytest.approx(width())


def test_without_the_two_indicators_of_training_there_is_no_share_and_no_n():
    row = solve(indicators(training_link=np.nan)).iloc[0]
    assert row[["value", "low", "high", "grade"]].isna().all()
    assert row["n"] == 0


@pytest.fixture(scope="module")
def demo() -> pd.DataFrame:
    """The market of a made-up Region as the Dares would class it, beside the true share: one row per bassin, occupation."""
    world = draw_world(SCALES["demo"], Dials(), 1, AS_OF)
    rng = np.random.default_rng(1)
    truth = tension_causes(world)
    rows = pd.DataFrame({"territory": sorted(set(world.atoms["territory"]))}).merge(truth, how="cross")
    part = {
        "hiring_intensity": rows["volume"],
        "training_link": rows["lack_of_trained"],
        "few_available": rows["lack_of_trained"],
        "short_lived_jobs": (rows["conditions"] + rows["volume"]) / 2,
        "hard_conditions": rows["conditions"],
        "far_from_jobs": rows["distance"],
    }
    drawn = {name: (1 + 4 * 1.3 * each + rng.normal(0, 0.5, len(rows))).round().clip(1, 5) for name, each in part.items()}
    return markets(*rows[["territory", "occupation"]].assign(**drawn).to_dict("records")).assign(solvable=rows["solvable"])


def test_the_share_is_near_the_true_one_and_its_interval_holds_it_four_times_in_five(demo, crosswalks):
    told = demo.sample(frac=0.5, random_state=1)
    explained = explain(TENSION.empty(), told.drop(columns="solvable"), crosswalks)
    truth = demo.drop_duplicates("occupation").set_index("occupation")["solvable"]
    both = solve(explained).assign(true=lambda t: t["occupation"].map(truth))
    assert set(both["grain"]) == {"bassin", "autres bassins"}
    for _, rows in both.groupby("grain"):
        error = np.sqrt(((rows["value"] - rows["true"]) ** 2).mean())
        assert error < 0.4 * rows["true"].std()  # that of a constant
        assert spearmanr(rows["value"], rows["true"])[0] > 0.8
        assert 0.7 < ((rows["true"] >= rows["low"]) & (rows["true"] <= rows["high"])).mean() < 0.9


def test_the_share_of_a_sector_lies_between_those_of_its_occupations(demo, crosswalks):
    links = sector_links(crosswalks)
    solvable = solve(explain(TENSION.empty(), demo.drop(columns="solvable"), crosswalks))
    needs = solvable[CELL].assign(need=1.0)
    sectors = sector_solvable(solvable, needs, links)
    spans = solvable.merge(links, on="occupation", how="inner", validate="many_to_many")
    spans = spans.groupby(["territory", "sector", "level"])["value"].agg(["min", "max"])
    both = sectors.set_index(["territory", "sector", "level"]).join(spans)
    assert len(both) > 100
    assert both["value"].between(both["min"] - 1e-9, both["max"] + 1e-9).all()
    assert both["covered"].to_numpy() == pytest.approx(1.0)
    half = sector_solvable(solvable[solvable["occupation"] < "H"], needs, links)
    assert half["covered"].min() == 0
    assert half.loc[half["covered"] == 0, "value"].isna().all()


@real
def test_the_real_tables_explain_most_occupations_of_the_region(crosswalks):
    told = SOURCES["tension"].read([SHARED / "dares_tensions_2019_fap_dep_reg_nat.csv"]).kept
    seen = SOURCES["market"].read([SHARED / "tensions_rome_bassin_2021_mobiville.csv"]).kept
    here = told[told["territory"].isin(["FR", "R44", *HERE["department"]])]
    explained = explain(here, seen[seen["territory"].isin(HERE["territory"])], crosswalks)
    shares = solve(explained)
    assert explained["occupation"].nunique() > 450
    assert shares["value"].notna().mean() > 0.95
    assert set(explained["grain"].dropna()) <= set(GRAINS)
    assert 0.1 < shares["value"].mean() < 0.5
