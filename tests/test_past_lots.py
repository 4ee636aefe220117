"""What was bought in past years, counted by hand, and the wider territories that rules may name."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.past_lots import BOUGHT, area_shares, past_lots
from features.vocabulary import REGION

COMMUNES = pd.DataFrame(
    {
        "commune": ["C67482", "C67001", "C08105"],
        "territory": ["BE4441", "BE4441", "BE4412"],
        "department": ["D67", "D08", "D08"],
        "zone": ["ZE4416", "ZE4416", "ZE4403"],
        "maison": ["MR09", "MR09", "MR01"],
        "population": [300.0, 100.0, 400.0],
    }
)


def lot(**more: object) -> dict[str, object]:
    """Write a lot as it was bought: 20 places for 50,000 € in a bassin, two bids."""
    return {
        "exercise": 2026, "territory": "BE4441", "formacode": "23001", "action_type": "certification", "exit_level": 4,
        "public": "tout_public", "funders": None, "places": 20, "cost_eur": 50_000.0, "sessions": 2, "bids": 2, **more,
    }  # fmt: skip


def counted(*lots: dict[str, object]) -> pd.DataFrame:
    frame = pd.DataFrame(list(lots))
    whole = {name: frame[name].astype("Int64") for name in ("exit_level", "places", "sessions", "bids")}
    return past_lots(frame.assign(**whole, funders=frame["funders"].astype("str")), COMMUNES)


def test_shares_of_wider_territories_are_those_of_people() -> None:
    shares = area_shares(COMMUNES).set_index(["area", "territory"])["share"]
    assert shares["D67", "BE4441"] == pytest.approx(0.75)
    assert shares["D08", "BE4441"] == pytest.approx(0.25)
    assert shares["D08", "BE4412"] == shares["MR01", "BE4412"] == shares["ZE4416", "BE4441"] == 1
    assert shares[REGION].to_dict() == {"BE4441": 1.0, "BE4412": 1.0}
    assert shares["BE4412", "BE4412"] == 1


def test_lots_are_shared_by_people_and_by_the_parts_of_their_funders() -> None:
    told = counted(lot(territory="D08", funders="2:0.6|4:0.4")).set_index(["territory", "funder"])
    assert told.loc[("BE4412", "2"), "places"] == pytest.approx(20 * 0.8 * 0.6)
    assert told.loc[("BE4441", "4"), "euros"] == pytest.approx(50_000 * 0.2 * 0.4)
    assert told["sessions"].sum() == pytest.approx(2)


def test_a_lot_nobody_bid_for_was_not_bought_and_one_without_a_funder_is_the_regions_own() -> None:
    told = counted(lot(), lot(bids=0), lot(bids=None, formacode="31201"))
    assert told["sector"].tolist() == ["230", "312"]
    assert set(told["funder"]) == {"2"}
    assert told["places"].sum() == 40


@given(st.lists(st.sampled_from(["BE4441", "D08", REGION, "MR09"]), min_size=1, max_size=6))
@settings(max_examples=20, deadline=None)
def test_nothing_of_a_purchase_is_lost_or_counted_twice(places: list[str]) -> None:
    told = counted(*(lot(territory=place, funders="2:0.6|4:0.4") for place in places))
    assert told[BOUGHT].sum().tolist() == pytest.approx([20 * len(places), 50_000 * len(places), 2 * len(places)])
    assert not told.duplicated([name for name in told if name not in BOUGHT]).any()
