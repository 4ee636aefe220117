"""What is known of a territory: whole whatever the order, silent of the future, standing on few sources."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from features.build import Features, build_features
from features.contracts import Contract
from features.disagreement import CELL
from features.lazy import empty_dataset, lazy
from features.observation import look_around
from features.reliability import GRADES
from features.sources.offers import date_versions
from features.tables import CONTRACT, OFFERS, Tables
from needs.run.inputs import Inputs

LATER = pd.Timestamp("2026-05-15")
ALONE = ("bmo", "certifications", "purchases")


def frames_of(value: object, name: str = "features") -> dict[str, pd.DataFrame]:
    """Give every frame in features, by the path that leads to it."""
    if isinstance(value, pd.DataFrame):
        return {name: value}
    if not is_dataclass(value):
        return {}
    parts = (frames_of(getattr(value, field.name), f"{name}.{field.name}") for field in fields(value))
    return {path: frame for part in parts for path, frame in part.items()}


def without(tables: Tables, names: list[str]) -> Tables:
    """Empty some tables."""
    return replace(tables, **{name: empty_dataset(OFFERS) if name == "offers" else CONTRACT[name].empty() for name in names})


def with_the_future(contract: Contract, rows: pd.DataFrame) -> pd.DataFrame:
    """Add rows that become known later, of other persons and other lots too. One row more per row, up to a hundred."""
    if not contract.known_from or rows.empty:
        return rows
    others = {name: rows[name].tail(100) + "x" for name in ("person", "lot", "session", "offer") if name in contract.names}
    later = rows.tail(100).assign(**others, **{contract.known_from: LATER})
    return pd.concat([rows, later], ignore_index=True)


@pytest.fixture(scope="module")
def alone(inputs: Inputs) -> Features:
    """Features of a home that has the survey, certifications and purchases, and nothing else."""
    others = [name for name in CONTRACT if name not in ALONE]
    return build_features(without(inputs.tables, others), inputs.as_of, inputs.params.features)


@pytest.mark.long
def test_neither_the_future_nor_the_order_of_rows_changes_a_byte(inputs: Inputs, features: Features) -> None:
    held = {
        name: with_the_future(contract, inputs.tables.frame(contract)).sample(frac=1.0, random_state=3)
        for name, contract in CONTRACT.items()
        if contract is not OFFERS
    }
    offers = with_the_future(OFFERS, inputs.tables.offers.to_table().to_pandas())
    offers = date_versions(OFFERS.sort(offers.assign(superseded=pd.NaT))).sample(frac=1.0, random_state=4)
    told = build_features(Tables(offers=lazy(offers), **held), inputs.as_of, inputs.params.features)
    expected, found = frames_of(features), frames_of(told)
    assert set(expected) == set(found)
    for path, frame in expected.items():
        if path in ("features.people", "features.courses"):  # in the order of their tables
            key = [name for name in ("person", "session") if name in frame]
            frame, found[path] = (rows.sort_values(key, ignore_index=True) for rows in (frame, found[path]))
        assert_frame_equal(found[path], frame, check_exact=True, obj=path)


def test_every_cell_that_a_source_knows_is_there_with_what_it_says(features: Features) -> None:
    cells, seen = features.cells, features.seen
    assert not cells.duplicated(CELL).any()
    last = sorted(seen.offers["period"].unique())[-12:]
    recent = seen.offers[seen.offers["period"].isin(last)]
    for name in ("vacancies", "positions", "seasonal", "short"):
        assert cells[name].sum() == pytest.approx(recent[name].sum(), rel=1e-12)
    assert cells["projects"].sum() == pytest.approx(seen.survey.occupations["projects"].sum(), rel=1e-12)
    assert cells["openings"].sum() == pytest.approx(seen.openings["openings"].sum(), rel=1e-12)
    assert cells["places_asked"].sum() == pytest.approx(seen.signals["places_asked"].sum(), rel=1e-12)
    assert cells["hires"].sum() == pytest.approx(seen.hires["value"].sum())
    assert cells["supply"].sum() == pytest.approx(12 * features.supply["supply"].sum())
    border = seen.near_border[seen.near_border["period"].isin(last)]
    assert cells["border"].sum() == pytest.approx(border["border"].sum(), rel=1e-12)


def test_figures_lie_within_their_bounds(features: Features) -> None:
    cells = features.cells
    for value, low, high in (
        ("value", "low", "high"),
        ("projects", "projects_low", "projects_high"),
        ("openings", "openings_low", "openings_high"),
        ("solvable", "solvable_low", "solvable_high"),
    ):
        known = cells[cells[value].notna()]
        assert len(known) > 0
        assert ((known[low] <= known[value] + 1e-9) & (known[value] <= known[high] + 1e-9)).all(), value
    for share in ("durable", "beginner", "low_level", "solvable", "disagreement", "difficulty", "secret_share"):
        assert cells[share].dropna().between(0, 1 + 1e-9).all(), share
    assert cells["repeated"].dropna().between(0, 1).all()
    assert set(cells["grade"]) <= set(GRADES)
    assert (cells["wage_eur"].dropna() >= 12).all()


def test_neighbours_add_to_what_a_territory_has_on_both_sides_of_the_border(features: Features) -> None:
    reach, cells = features.reach, features.cells
    for measure in ("positions", "projects", "supply"):
        assert reach[measure].sum() == pytest.approx(cells[measure].sum(), rel=1e-12)
        assert (reach[f"{measure}_reach"] >= reach[measure] - 1e-9).all()
    asked = cells[["territory", "occupation"]].drop_duplicates()
    assert len(reach) > len(asked[asked["occupation"].isin(reach["occupation"])]) or len(reach) >= len(asked)
    beyond = pd.DataFrame({"territory": ["BE2733"], "department": ["D25"], "occupation": ["A1101"], "projects": [1000.0]})
    near = pd.DataFrame({"territory": ["BE4448", "BE4441"], "neighbour": "BE2733", "km": 20.0, "weight": [0.5, 0.1]})
    travel = pd.concat([features.travel, near], ignore_index=True)
    more = look_around(cells, beyond, travel).set_index(["territory", "occupation"])["projects_reach"]
    before = reach.set_index(["territory", "occupation"])["projects_reach"]
    grown = more.sub(before, fill_value=0.0)
    assert grown[("BE4441", "A1101")] == pytest.approx(100)
    nearer = 500 if "BE4448" in set(cells["territory"]) else 0
    assert grown.sum() == pytest.approx(100 + nearer)


def test_with_the_survey_certifications_and_purchases_alone_the_frame_still_stands(alone: Features, features: Features) -> None:
    cells = alone.cells
    asked = features.seen.survey.occupations
    assert cells["projects"].sum() == pytest.approx(asked["projects"].sum())
    lasting = (cells["projects"] - cells["seasonal_projects"]).to_numpy()
    assert cells["value"].to_numpy()[lasting > 0] == pytest.approx(lasting[lasting > 0])
    assert cells[["positions", "hires", "openings", "tension"]].fillna(0.0).to_numpy().sum() == 0
    assert len(alone.options) == len(features.options)
    assert len(alone.panel) == 0
    assert set(cells["grade"]) <= {"B", "C", "D"}
    assert cells["lowered"].str.contains("sources").all()


def test_fewer_sources_lower_grades_and_widen_intervals(alone: Features, features: Features) -> None:
    both = features.cells.merge(alone.cells, on=CELL, suffixes=("", "_alone"), validate="one_to_one")
    both = both[(both["projects_n"] > 0) & (both["value_alone"] > 0)]
    several = both[(both["sources"] >= 3) & (both["disagreement"] == 0)]
    assert len(several) >= 5
    ranks = {name: several[name].map(GRADES.index) for name in ("grade", "grade_alone")}
    assert (ranks["grade_alone"] >= ranks["grade"]).all()
    wide = {end: np.log(several[f"high{end}"] / several[f"low{end}"]) for end in ("", "_alone")}
    assert (wide["_alone"] > wide[""]).all()


def test_nothing_at_all_gives_empty_frames_with_their_columns(inputs: Inputs, features: Features) -> None:
    nothing = build_features(without(inputs.tables, list(CONTRACT)), inputs.as_of, inputs.params.features)
    expected, found = frames_of(features), frames_of(nothing)
    assert len(found["features.cells"]) == 0
    assert [path for path in expected if list(expected[path]) != list(found[path])] == []


def test_what_training_brings_and_schools_send_add_up(features: Features) -> None:
    under_way = features.under_way
    assert under_way["leavers"].sum() == pytest.approx(features.leavers["leavers"].sum(), rel=1e-12)
    trained = under_way["under_way"] - under_way["leavers"]
    assert (trained <= under_way["entries"] + 1e-9).all()
    assert (under_way["entries"] <= under_way["seats"] + 1e-9).all()
    assert trained.sum() > 0
