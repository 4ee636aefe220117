"""What territories say: which signals hold, what they weigh, whom they reach, and that no place asked is lost."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from features import facts
from features.crosswalks import Crosswalks, build_crosswalks, links_between
from features.signals import (
    AuthorWeight,
    SignalParams,
    list_unplaced,
    sector_groups,
    signals_in_force,
    skill_signals,
    weigh_signals,
)
from features.sources import SOURCES
from features.tables import CONTRACT
from needs.home import Home
from needs.twin import Drawn

AS_OF = pd.Timestamp("2026-03-31")
HERE = facts.communes()
PARAMS = SignalParams()
OVERRIDES = CONTRACT["overrides"].empty()
GROUPS = sector_groups(OVERRIDES, AS_OF)
ATOM = ["territory", "department"]
AREAS = {"BE": "BE4441", "ZE": "ZE4413", "D": "D67", "MR": "MR03", "R": "R44"}
CODES = {
    "ROME": ("A1101", "J1501", "Z9999"),
    "SECTEUR": ("230", "Hôtellerie-restauration", "foret, bois, ameublement", "000", "cuisine"),
    "FORMACODE": ("42752", "00000"),
    "COMPETENCE": ("123456",),
}
days = st.dates(pd.Timestamp("2024-01-01").date(), pd.Timestamp("2026-12-31").date())
said = st.lists(
    st.tuples(
        st.sampled_from([*AREAS.items(), ("BE", "BE1101"), ("R", "R11")]),
        st.sampled_from([(kind, code) for kind, codes in CODES.items() for code in codes]),
        days,
        st.integers(-2, 2),
        st.one_of(st.none(), st.integers(0, 500)),
        st.sampled_from(["comite", "Comité", "employeur", "maire", None]),
    ),
    max_size=12,
)


@pytest.fixture(scope="module")
def crosswalks() -> Crosswalks:
    return build_crosswalks(OVERRIDES, AS_OF)


def signal(code: str = "A1101", nomenclature: str = "ROME", area: str = "BE4441", **told: object) -> dict[str, object]:
    usual = {"direction": 1, "places_asked": 10.0, "author_kind": "comite", "known_from": pd.Timestamp("2026-03-01")}
    kind = area.rstrip("0123456789")
    return usual | {"territory_kind": kind, "territory": area, "nomenclature": nomenclature, "code": code} | told


def table(*rows: dict[str, object]) -> pd.DataFrame:
    empty = CONTRACT["signals"].empty()
    return empty.reindex(range(len(rows))).assign(**pd.DataFrame(list(rows))).astype(empty.dtypes.to_dict())


def in_force(*rows: dict[str, object], params: SignalParams = PARAMS) -> pd.DataFrame:
    return signals_in_force(table(*rows), AS_OF, params)


def weigh(crosswalks: Crosswalks, *rows: dict[str, object]) -> pd.DataFrame:
    return weigh_signals(in_force(*rows), crosswalks, HERE, GROUPS)


# Which signals hold -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "holds"),
    [
        ({"valid_until": pd.Timestamp("2026-03-31")}, True),
        ({"valid_until": pd.Timestamp("2026-03-30")}, False),
        ({"known_from": pd.Timestamp("2026-04-01")}, False),
        ({"known_from": pd.Timestamp("2025-03-31")}, True),
        ({"known_from": pd.Timestamp("2025-03-30")}, False),
        ({"known_from": pd.Timestamp("2020-01-01"), "valid_until": pd.Timestamp("2030-01-01")}, True),
    ],
)
def test_a_signal_holds_until_it_says_so_else_for_the_usual_time(told, holds):
    assert len(in_force(signal(**told))) == int(holds)


def test_a_signal_weighs_half_as_much_after_each_half_life_and_as_its_author_does():
    params = SignalParams(authors=(AuthorWeight(kind="Comité", weight=2.0),), other_authors=0.5, valid_months=60)
    old = pd.Timestamp("2024-03-31")
    told = [signal(known_from=AS_OF), signal(known_from=old), signal(known_from=AS_OF, author_kind="maire")]
    weights = in_force(*told, params=params).set_index(["known_from", "author_kind"])["weight"]
    assert weights[AS_OF, "comite"] == 2.0
    assert weights[AS_OF, "maire"] == 0.5
    assert weights[old, "comite"] == pytest.approx(2.0 / 4, rel=0.01)


def test_a_signal_on_a_wider_territory_weighs_less_in_a_bassin():
    near, wide = (in_force(signal(area=area))["weight"].iloc[0] for area in ("BE4441", "R44"))
    assert wide == pytest.approx(PARAMS.wider * near)


# Where and whom they reach ----------------------------------------------------------------------------------------------


@given(told=said)
@settings(max_examples=12, deadline=None)
def test_no_place_asked_is_lost_and_what_is_said_later_changes_nothing(crosswalks, told):
    rows = [
        signal(
            code,
            kind,
            area,
            direction=way,
            places_asked=places,
            author_kind=author,
            known_from=pd.Timestamp(day),
            comment=f"{n}",
        )
        for n, ((_, area), (kind, code), day, way, places, author) in enumerate(told)
    ]
    held = in_force(*rows) if rows else signals_in_force(CONTRACT["signals"].empty(), AS_OF, PARAMS)
    known = [row for row in rows if row["known_from"] <= AS_OF]
    assert_frame_equal(held, in_force(*known[::-1]) if known else held.iloc[:0], check_exact=True)
    occupations, skills = weigh_signals(held, crosswalks, HERE, GROUPS), skill_signals(held, HERE)
    lost = list_unplaced(held, crosswalks, HERE, GROUPS)
    total = sum(frame["places_asked"].sum() for frame in (occupations, skills, lost))
    assert total == pytest.approx(held["places_asked"].sum(), rel=1e-9, abs=1e-9)
    for frame in (occupations, skills):
        assert frame["direction"].between(-2 - 1e-9, 2 + 1e-9).all()
        assert (frame["voices"] > 0).all()
        assert not frame.duplicated([*ATOM, frame.columns[2]]).any()


@pytest.mark.parametrize(
    ("area", "column"), [("BE4441", "territory"), ("ZE4413", "zone"), ("D67", "department"), ("MR03", "maison")]
)
def test_a_territory_reaches_its_cells_and_places_follow_the_people(crosswalks, area, column):
    reached = weigh(crosswalks, signal(area=area, places_asked=100.0)).set_index(ATOM)
    people = HERE[HERE[column] == area].groupby(ATOM)["population"].sum()
    assert reached["places_asked"].to_dict() == pytest.approx((100.0 * people / people.sum()).to_dict())
    assert (reached["direction"] == 1).all()


def test_a_zone_that_holds_a_part_of_a_cell_weighs_that_part_of_it(crosswalks):
    reached = weigh(crosswalks, signal(area="ZE4413")).set_index(ATOM)
    inside = HERE[HERE["zone"] == "ZE4413"].groupby(ATOM)["population"].sum() / HERE.groupby(ATOM)["population"].sum()
    whole = in_force(signal(area="ZE4413"))["weight"].iloc[0]
    assert reached["weight"].to_dict() == pytest.approx((whole * inside.dropna()).to_dict())
    assert inside.dropna().min() < 0.5


def test_a_sector_reaches_an_occupation_as_far_as_its_training_belongs_to_it(crosswalks):
    reached = weigh(crosswalks, signal("230", "SECTEUR")).set_index("occupation")
    links = links_between(crosswalks, "ROME", "SECTEUR").query("target == '230'").set_index("code")["weight"]
    weight = in_force(signal("230", "SECTEUR"))["weight"].iloc[0]
    assert reached["weight"].to_dict() == pytest.approx((weight * links).to_dict())
    assert reached["places_asked"].sum() == pytest.approx(10.0)


def test_voices_that_differ_meet_in_their_weighted_mean(crosswalks):
    up, down = signal(direction=2), signal(direction=-1, author_kind="employeur", area="D67")
    row = weigh(crosswalks, up, down).query("territory == 'BE4441' and department == 'D67'").iloc[0]
    weights = in_force(up, down).set_index("author_kind")["weight"]
    assert row["direction"] == pytest.approx((2 * weights["comite"] - weights["employeur"]) / weights.sum())
    assert (row["voices"], row["grain"]) == (2, "bassin")
    other = weigh(crosswalks, up, down).query("territory == 'BE4439' and department == 'D67'").iloc[0]
    assert (other["direction"], other["voices"], other["grain"]) == (-1, 1, "département")


@pytest.mark.parametrize("name", ["Hôtellerie-restauration", " hotellerie-RESTAURATION"])
def test_a_contract_sector_is_known_by_its_name_and_reaches_what_its_sectors_reach(crosswalks, name):
    sectors = GROUPS.query("group == 'hôtellerie-restauration'")["sector"]
    links = links_between(crosswalks, "ROME", "SECTEUR")
    reached = weigh(crosswalks, signal(name, "SECTEUR"))
    assert set(reached["occupation"]) == set(links.loc[links["target"].isin(sectors), "code"])


def test_wood_has_no_sector_of_its_own_and_is_reached_by_its_formacodes(crosswalks):
    reached = weigh(crosswalks, signal("Forêt, bois, ameublement", "SECTEUR", "R44"))
    most = reached.groupby("occupation")["places_asked"].sum().nlargest(12).index
    assert {"H2206", "H2207"} <= set(most)  # joiners and cabinetmakers


def test_a_person_may_put_a_sector_in_another_group_for_a_time(crosswalks):
    decision = {"object": "sector_group", "key": "230", "field": "groupe", "value": "commerce", "known_from": "2026-01-01"}
    rows = OVERRIDES.reindex(range(2)).assign(**pd.DataFrame([decision, decision | {"key": "424", "expires": "2026-03-30"}]))
    groups = sector_groups(rows.astype(OVERRIDES.dtypes.to_dict()), AS_OF).set_index("sector")["group"]
    shipped = GROUPS.set_index("sector")["group"]
    assert groups["230"] == "commerce"
    assert groups.drop("230").to_dict() == shipped.drop("230").to_dict()
    told = in_force(signal("commerce", "SECTEUR"))
    reached = [weigh_signals(told, crosswalks, HERE, each)["occupation"].nunique() for each in (GROUPS, groups.reset_index())]
    assert reached[0] < reached[1]


def test_what_leads_nowhere_is_listed_with_its_reason(crosswalks):
    told = in_force(signal("Z9999"), signal(area="R11"), signal("000", "SECTEUR"), signal("00000", "FORMACODE"), signal())
    lost = list_unplaced(told, crosswalks, HERE, GROUPS).set_index(["code", "area"])
    assert lost["reason"].to_dict() == {
        ("Z9999", "BE4441"): "code",
        ("A1101", "R11"): "territory",
        ("000", "BE4441"): "code",
        ("00000", "BE4441"): "code",
    }
    assert lost["places_asked"].tolist() == [10.0] * 4


def test_the_signals_of_a_region_all_lead_somewhere_and_none_speaks_for_cells_out_of_reach(
    twin: tuple[Home, Drawn], crosswalks
):
    told = SOURCES["signals"].read([*(twin[0].raw / "signals").glob("*.csv")]).kept
    held = signals_in_force(told, AS_OF, PARAMS)
    assert len(held) > 5
    assert list_unplaced(held, crosswalks, HERE, GROUPS).empty
    local = held[held["territory_kind"] == "BE"]
    reached = pd.concat([weigh_signals(local, crosswalks, HERE, GROUPS), skill_signals(local, HERE)])
    assert set(reached["territory"]) == set(local["area"])


def test_without_a_signal_there_is_no_row_and_every_column(crosswalks):
    nothing = signals_in_force(CONTRACT["signals"].empty(), AS_OF, PARAMS)
    for empty, full in (
        (weigh_signals(nothing, crosswalks, HERE, GROUPS), weigh(crosswalks, signal())),
        (skill_signals(nothing, HERE), skill_signals(in_force(signal("1", "COMPETENCE")), HERE)),
    ):
        assert empty.empty
        assert list(empty) == list(full)
        assert empty.dtypes.to_dict() == full.dtypes.to_dict()
