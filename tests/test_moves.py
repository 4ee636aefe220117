"""Laws of the moves between occupations: among the 532, never to itself, each told once, by the surest that tells it."""

from __future__ import annotations

from random import Random

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from features import facts
from features.moves import list_moves
from features.tables import MOBILITIES

OCCUPATIONS = facts.occupations()["occupation"].tolist()
LEAVES = facts.leaves()


def mobilities(*moves: tuple[str, str, str | None], **said: object) -> pd.DataFrame:
    """Write one list of moves: origin, target, kind. One row per move."""
    rows = pd.DataFrame(moves, columns=["origin", "target", "kind"])
    rows = rows.assign(version="3.47", known_from=pd.Timestamp("2024-01-01"), **said)
    empty = MOBILITIES.empty()
    return rows.reindex(columns=[*empty.columns, *({*rows.columns} - {*empty.columns})]).astype(empty.dtypes.to_dict())


def told(rows: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Give what is told beyond the domain."""
    listed = list_moves(rows).query("kind != 'domain'")
    return {(row.occupation, row.target): row.kind for row in listed.itertuples()}


moves = st.lists(
    st.tuples(
        st.sampled_from([*OCCUPATIONS[:40], *LEAVES["leaf"][:60]]),
        st.sampled_from([*OCCUPATIONS[:40], *LEAVES["leaf"][:60]]),
        st.sampled_from(["proche", "evolution", None]),
    ),
    min_size=1,
    max_size=30,
)


@settings(deadline=None, max_examples=30)
@given(moves)
def test_a_move_joins_two_of_the_532_and_is_told_once(rows: list[tuple[str, str, str | None]]) -> None:
    listed = list_moves(mobilities(*rows))
    assert not listed.duplicated(["occupation", "target"]).any()
    assert {*listed["occupation"], *listed["target"]} <= {*OCCUPATIONS}
    assert (listed["occupation"] != listed["target"]).all()
    assert set(listed["kind"]) <= {"near", "evolution", "domain"}
    assert listed[["occupation", "target"]].equals(listed[["occupation", "target"]].sort_values(["occupation", "target"]))


@settings(deadline=None, max_examples=30)
@given(moves, st.randoms())
def test_the_order_of_a_list_changes_nothing(rows: list[tuple[str, str, str | None]], random: Random) -> None:
    ordered = mobilities(*rows)
    random.shuffle(rows)
    assert_frame_equal(list_moves(mobilities(*rows)), list_moves(ordered))


@settings(deadline=None, max_examples=30)
@given(moves, moves)
def test_a_longer_list_never_hides_a_move(
    rows: list[tuple[str, str, str | None]], more: list[tuple[str, str, str | None]]
) -> None:
    fewer, longer = told(mobilities(*rows)), told(mobilities(*rows, *more))
    assert fewer.keys() <= longer.keys()
    assert all(longer[pair] == kind or longer[pair] == "near" for pair, kind in fewer.items())


def test_all_of_a_domain_lead_to_each_other_whatever_the_list() -> None:
    members = facts.occupations().groupby("subdomain")["occupation"].agg(list)
    pairs = {(one, other) for codes in members for one in codes for other in codes if one != other}
    for rows in (MOBILITIES.empty(), mobilities(("A1101", "K2204", "proche"))):
        listed = list_moves(rows)
        assert pairs <= {*zip(listed["occupation"], listed["target"], strict=True)}
        assert (
            listed.query("kind == 'domain'")["occupation"].str[:3] == listed.query("kind == 'domain'")["target"].str[:3]
        ).all()


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([("A1101", "K2204", "proche")], {("A1101", "K2204"): "near"}),
        ([("A1101", "K2204", "evolution")], {("A1101", "K2204"): "evolution"}),
        ([("A1101", "K2204", None)], {("A1101", "K2204"): "near"}),  # ROME 4 no more says which
        ([("A1101", "K2204", "evolution"), ("A1101", "K2204", "proche")], {("A1101", "K2204"): "near"}),
        ([("A1101", "A1101", "proche")], {}),
        ([("A1101", "Z9999", "proche"), ("Z9999", "A1101", "proche")], {}),
    ],
)
def test_what_a_list_tells(rows: list[tuple[str, str, str | None]], expected: dict[tuple[str, str], str]) -> None:
    assert told(mobilities(*rows)) == expected


def test_a_move_of_one_job_is_not_one_of_its_occupation() -> None:
    assert told(mobilities(("A1101", "K2204", "proche"), origin_job="11987")) == {}
    assert told(mobilities(("A1101", "K2204", "proche"), target_job="11987")) == {}


def test_a_leaf_counts_in_its_occupation() -> None:
    below = LEAVES[LEAVES["leaf"] != LEAVES["occupation"]]
    leaf, parent = below.iloc[0][["leaf", "occupation"]]
    other = below[below["occupation"].str[0] != parent[0]].iloc[0]
    assert told(mobilities((leaf, other["leaf"], "proche"))) == {(parent, other["occupation"]): "near"}
    assert told(mobilities((leaf, parent, "proche"))) == {}


def test_a_home_without_a_list_has_the_one_shipped_and_its_own_stands_in_for_it() -> None:
    shipped = facts.moves()
    assert told(MOBILITIES.empty()) == {(row.occupation, row.target): row.kind for row in shipped.itertuples()}
    assert told(mobilities(("A1101", "K2204", "proche"))).keys() == {("A1101", "K2204")}


def test_a_column_that_nobody_knows_passes() -> None:
    rows = mobilities(("A1101", "K2204", "proche"))
    assert_frame_equal(list_moves(rows.assign(mood="gay")), list_moves(rows))
