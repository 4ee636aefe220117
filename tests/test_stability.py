"""How sure a purchase is: shares of draws that can be repeated, and nothing doubtful where nothing is unsure."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.purchase import Plan
from tests.option_frames import TERRITORIES, base, params_of, plan_of, ranked_of


def drawn(ranked: pd.DataFrame, amount: float = 150_000, draws: int = 12) -> Plan:
    return plan_of(ranked, params_of(base(amount)).model_copy(update={"draws": draws}))


def sure(ranked: pd.DataFrame) -> pd.DataFrame:
    """Take away all that is unsure: effects, rooms and prices. Same rows."""
    success, room = ranked["success"], ranked["room"]
    return ranked.assign(success_low=success, success_high=success, room_low=room, room_high=room, price_spread=0.0)


@given(st.integers(0, 10_000), st.floats(0, 400_000))
@settings(max_examples=10, deadline=None)
def test_it_is_a_share_of_draws_that_can_be_repeated_and_lots_carry_it(seed: int, amount: float) -> None:
    ranked = ranked_of(seed)
    one, two = (drawn(ranked, amount) for _ in range(2))
    assert one.stability.between(0, 1).all()
    pd.testing.assert_series_equal(one.stability, two.stability)
    both = pd.concat([one.lots, one.rejected])
    assert both["stability"].tolist() == one.stability.loc[both["option"]].tolist()


def test_where_nothing_is_unsure_what_is_bought_is_always_bought_and_the_rest_never() -> None:
    """Money for exactly three sessions of one price: no part of a session is in doubt."""
    ranked = sure(ranked_of(3)).assign(place_eur=2000.0, group=10, room=500.0, room_low=500.0, room_high=500.0, need=900.0)
    plan = drawn(ranked.assign(group_min=10, group_max=10, busiest=1.0), 60_000)
    assert plan.lots["sessions"].sum() == 3
    assert plan.lots["stability"].eq(1).all()
    assert plan.rejected["stability"].eq(0).all()


def test_without_draws_nothing_is_said() -> None:
    assert drawn(ranked_of(1), draws=0).stability.isna().all()


def test_permuting_territories_permutes_it_where_their_rooms_are_sure() -> None:
    ranked = ranked_of(5, TERRITORIES).assign(room_low=lambda rows: rows["room"], room_high=lambda rows: rows["room"])
    order = dict(zip(TERRITORIES, TERRITORIES[1:] + TERRITORIES[:1], strict=True))
    renamed = ranked.assign(territory=ranked["territory"].map(order))
    assert drawn(renamed).stability.tolist() == pytest.approx(drawn(ranked).stability.tolist())


def test_wider_doubts_make_fewer_lots_sure() -> None:
    ranked = ranked_of(7, TERRITORIES)
    wide = ranked.assign(success_low=-ranked["success"], success_high=3 * ranked["success"])
    distance = [(drawn(rows, draws=40).stability - 0.5).abs().mean() for rows in (sure(ranked), wide)]
    assert distance[1] < distance[0]


def test_it_is_the_same_on_one_core_and_on_four(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    for cores in (1, 4):
        monkeypatch.setattr("models.cores.cpu_count", lambda cores=cores: cores)
        told.append(drawn(ranked_of(11, TERRITORIES), draws=20).stability)
    assert told[0].between(0.01, 0.99).any()
    pd.testing.assert_series_equal(*told)
