"""Laws of the people whom no session is for: each barrier bars, nothing else does, and nobody is told of."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from features import facts
from features.places import great_circle_km
from features.unserved import UnservedParams, look_for_sessions, people_without_session
from features.vocabulary import PUBLICS

AS_OF = pd.Timestamp("2026-03-31")
PARAMS = UnservedParams(people_at_once=100)
LINKS = pd.DataFrame(
    {
        "occupation": ["A1101", "A1101", "A1101", "A1201", "K2204"],
        "sector": ["210", "250", "120", "230", "420"],
        "level": ["3", "3", "4", "3", "3"],
        "weight": [0.7, 0.25, 0.05, 1.0, 1.0],
    }
)
HOME = facts.communes().query("commune == 'C67482'").iloc[0]  # Strasbourg
COLMAR = facts.communes().query("commune == 'C68066'").iloc[0]  # 64 km away


def people(**said: object) -> pd.DataFrame:
    """Write one person of Strasbourg who wants to farm. One row."""
    usual: dict[str, object] = {
        "person": "P1",
        "territory": "BE4441",
        "wanted": "A1101",
        "level": 3,
        "mobility_km": 30.0,
        "available": AS_OF,
        "latitude": HOME["latitude"],
        "longitude": HOME["longitude"],
        **{public: public == "tout_public" for public in PUBLICS},
    }
    kinds = {"level": "Int64", "mobility_km": "float64", "available": "datetime64[us]", "wanted": "str"}
    return pd.DataFrame({name: [value] for name, value in (usual | said).items()}).astype(kinds)


def courses(**said: object) -> pd.DataFrame:
    """Write one session held in Strasbourg. One row."""
    usual: dict[str, object] = {
        "session": "S1",
        "sector": "210",
        "starts": pd.Timestamp("2026-05-04"),
        "ends": pd.Timestamp("2026-07-31"),
        "permanent": False,
        "entry_level": None,
        "entry_level_binds": False,
        "publics": None,
        "seats": 8,
        "latitude": HOME["latitude"],
        "longitude": HOME["longitude"],
    }
    kinds = {"entry_level": "Int64", "seats": "Int64", "publics": "str", "starts": "datetime64[us]", "ends": "datetime64[us]"}
    return pd.DataFrame({name: [value] for name, value in (usual | said).items()}).astype(kinds)


def without(person: pd.DataFrame, session: pd.DataFrame) -> bool:
    return bool(look_for_sessions(person, session, LINKS, as_of=AS_OF, params=PARAMS)["without"].iloc[0])


@pytest.mark.parametrize(
    ("person", "session", "barred"),
    [
        ({}, {}, False),
        ({}, {"sector": "250"}, False),
        ({}, {"sector": "120"}, True),  # hardly leads to the occupation
        ({}, {"sector": "230"}, True),
        ({"wanted": None}, {}, True),
        ({}, {"starts": AS_OF}, True),  # has begun
        ({"available": pd.Timestamp("2026-05-04")}, {}, False),
        ({"available": pd.Timestamp("2026-05-05")}, {}, True),
        ({"available": pd.NaT}, {}, False),
        ({"available": pd.Timestamp("2026-06-30")}, {"permanent": True, "starts": pd.Timestamp("2025-01-06")}, False),
        ({"available": pd.Timestamp("2026-08-01")}, {"permanent": True}, True),
        ({"available": pd.Timestamp("2027-08-01")}, {"permanent": True, "ends": pd.NaT}, False),
        ({}, {"latitude": COLMAR["latitude"], "longitude": COLMAR["longitude"]}, True),
        ({"mobility_km": 80.0}, {"latitude": COLMAR["latitude"], "longitude": COLMAR["longitude"]}, False),
        ({"mobility_km": None}, {"latitude": COLMAR["latitude"], "longitude": COLMAR["longitude"]}, True),
        ({"mobility_km": 0.0}, {}, False),
        ({"latitude": np.nan, "longitude": np.nan}, {}, True),
        ({}, {"publics": "jeunes|rsa"}, True),
        ({"rsa": True}, {"publics": "jeunes|rsa"}, False),
        ({}, {"publics": "tout_public"}, False),
        ({}, {"publics": "autre"}, True),
        ({}, {"entry_level": 4}, False),  # asked, not binding
        ({}, {"entry_level": 4, "entry_level_binds": True}, True),
        ({"level": None}, {"entry_level": 4, "entry_level_binds": True}, False),
        ({}, {"seats": 0}, True),
        ({}, {"seats": None}, False),
    ],
)
def test_each_barrier_bars_and_nothing_else_does(person: dict[str, object], session: dict[str, object], barred: bool) -> None:
    assert without(people(**person), courses(**session)) is barred


def test_the_sector_that_trains_most_leads_to_an_occupation_however_little() -> None:
    thin = pd.DataFrame({"occupation": "A1101", "sector": ["210", "230", "250"], "level": "3", "weight": [0.09, 0.08, 0.08]})
    for sector, barred in (("210", False), ("230", True)):
        looked = look_for_sessions(people(), courses(sector=sector), thin, as_of=AS_OF, params=PARAMS)
        assert looked["without"].tolist() == [barred]
        assert looked["sector"].tolist() == ["210"]


def crowd(size: int, seed: int = 0) -> pd.DataFrame:
    """Draw people at home in three towns. One row per person."""
    rng = np.random.default_rng(seed)
    towns = facts.communes().query("commune in ['C67482', 'C68066', 'C57463']").reset_index(drop=True)
    home = towns.iloc[rng.integers(0, len(towns), size)].reset_index(drop=True)
    drawn = {
        "person": [f"P{k:05d}" for k in range(size)],
        "wanted": pd.Series(rng.choice(["A1101", "A1201", "K2204", "Z0000"], size), dtype="str"),
        "level": pd.Series(rng.choice([2, 3, 4], size), dtype="Int64").mask(rng.random(size) < 0.1),
        "mobility_km": pd.Series(rng.choice([5.0, 70.0, 200.0], size)).mask(rng.random(size) < 0.2),
        "available": AS_OF + pd.to_timedelta(rng.integers(0, 200, size), unit="D"),
        **{public: rng.random(size) < 0.3 for public in PUBLICS},
    }
    return home[["territory", "latitude", "longitude"]].assign(**drawn).assign(tout_public=True)


def offer(size: int, seed: int = 0) -> pd.DataFrame:
    """Draw sessions in the same towns. One row per session."""
    rng, place = np.random.default_rng(seed + 100), crowd(size, seed + 7)
    starts = AS_OF + pd.to_timedelta(rng.integers(-40, 200, size), unit="D")
    return place[["latitude", "longitude"]].assign(
        session=[f"S{k}" for k in range(size)],
        sector=pd.Series(rng.choice(["210", "250", "230", "420"], size), dtype="str"),
        starts=starts,
        ends=starts + pd.to_timedelta(rng.integers(5, 100, size), unit="D"),
        permanent=rng.random(size) < 0.1,
        entry_level=pd.Series(rng.choice([3, 4], size), dtype="Int64"),
        entry_level_binds=rng.random(size) < 0.4,
        publics=pd.Series(rng.choice(["tout_public", "jeunes", "rsa|qpv"], size), dtype="str").mask(rng.random(size) < 0.2),
        seats=pd.Series(rng.integers(0, 4, size), dtype="Int64"),
    )


def _has_one(person: pd.Series, offered: pd.DataFrame) -> bool:
    """Look at every session of the sectors wanted, one by one, as it is said in words."""
    leading = {"A1101": {"210", "250"}, "A1201": {"230"}, "K2204": {"420"}}.get(str(person["wanted"]), set())
    kilometres = great_circle_km(person[["latitude", "longitude"]].to_frame().T, offered)[0]
    reach = 30.0 if pd.isna(person["mobility_km"]) else person["mobility_km"]
    for (_, course), km in zip(offered.iterrows(), kilometres, strict=True):
        entry = max(course["starts"], person["available"], AS_OF + pd.Timedelta(days=1))
        entry = entry if course["permanent"] else course["starts"]
        named = [] if pd.isna(course["publics"]) else str(course["publics"]).split("|")
        if (
            course["sector"] in leading
            and km <= reach
            and course["seats"] != 0
            and AS_OF < entry <= course["ends"]
            and person["available"] <= entry
            and (not named or any(person[public] for public in named))
            and not (course["entry_level_binds"] and pd.notna(person["level"]) and person["level"] < course["entry_level"])
        ):
            return True
    return False


@pytest.mark.parametrize("seed", [0, 1])
def test_the_quick_count_is_the_slow_one(seed: int) -> None:
    crowded, offered = crowd(150, seed), offer(25, seed)
    looked = look_for_sessions(crowded, offered, LINKS, as_of=AS_OF, params=PARAMS)
    slow = [not _has_one(person, offered) for _, person in crowded.iterrows()]
    assert 30 < sum(slow) < 140
    assert looked["without"].tolist() == slow


def test_one_more_session_never_leaves_more_people_without() -> None:
    crowded, offered = crowd(400), offer(30)
    counts = [
        look_for_sessions(crowded, offered.head(size), LINKS, as_of=AS_OF, params=PARAMS)["without"] for size in (0, 3, 10, 30)
    ]
    assert counts[0].all()
    for few, more in pairwise(counts):
        assert (more <= few).all()
        assert more.sum() < few.sum()


def test_counts_are_rounded_small_groups_gathered_and_nobody_lost() -> None:
    looked = look_for_sessions(crowd(3000), offer(30), LINKS, as_of=AS_OF, params=PARAMS)
    told = people_without_session(looked, 10, PARAMS)
    assert (told[["people", "without_session"]] % PARAMS.rounding == 0).all().all()
    assert (told["without_session"] <= told["people"]).all()
    assert (told["without_session"] >= 0).all()
    for public in PUBLICS:
        truth = looked[looked[public]].groupby("territory")["without"].agg(["size", "sum"])
        sums = told[told["public"] == public].groupby("territory")[["people", "without_session"]].sum()
        for told_of, is_there, steps in (("people", "size", 1.0), ("without_session", "sum", 0.5)):
            lost = truth[is_there] - sums[told_of]  # what is left out is fewer than the smallest group
            assert lost.between(-steps * PARAMS.rounding, steps * PARAMS.rounding + 9).all(), public
    few = people_without_session(looked, 400, PARAMS).query("public == 'tout_public'")
    assert set(few["sector"]) == {""}
    assert people_without_session(looked.head(9), 10, PARAMS).empty


def test_a_territory_alone_is_as_in_the_whole_and_row_order_does_not_matter() -> None:
    crowded, offered = crowd(600), offer(30)

    def told(who: pd.DataFrame, what: pd.DataFrame) -> pd.DataFrame:
        return people_without_session(look_for_sessions(who, what, LINKS, as_of=AS_OF, params=PARAMS), 5, PARAMS)

    whole = told(crowded, offered)
    home = str(whole["territory"].iloc[0])
    assert_frame_equal(told(crowded[crowded["territory"] == home], offered), whole.query("territory == @home"))
    assert_frame_equal(told(crowded.iloc[::-1], offered.iloc[::-1]), whole)


def test_without_people_or_courses_there_is_nobody_to_serve_or_nothing_to_go_to() -> None:
    nobody = look_for_sessions(crowd(5).head(0), offer(5), LINKS, as_of=AS_OF, params=PARAMS)
    assert nobody.empty
    assert people_without_session(nobody, 10, PARAMS).empty
    assert look_for_sessions(crowd(50), offer(5).head(0), LINKS, as_of=AS_OF, params=PARAMS)["without"].all()
    assert look_for_sessions(crowd(50), offer(5), LINKS.head(0), as_of=AS_OF, params=PARAMS)["sector"].eq("").all()
