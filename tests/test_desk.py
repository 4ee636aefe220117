"""What a run leaves for advisers: taken back as it was, whole or not at all, and enough to answer as the run did."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from features.errors import InputError
from models.market import Market, lay_out
from models.matching import Laid, Matched, MatchingParams, find_courses, match_people, tell_granted, tell_proposals
from models.pairs import Kept
from needs.run.desk import Desk, clear, is_whole, leave, take
from needs.run.matching import Proposed
from tests.entry_frames import seen_by
from tests.match_frames import AS_OF, Drawn, drawn

NOBODY = "nobody"
PARAMS = MatchingParams()


def matched_of(made: Drawn) -> Matched:
    return match_people([made.people], made.market, PARAMS)


def proposed_of(made: Drawn, matched: Matched) -> Proposed:
    """Put on a desk what a run would."""
    seats = pd.DataFrame({"session": made.market.courses["session"], "price": matched.granted.prices, "room": matched.room})
    granted = tell_granted(matched, made.market)
    return Proposed({}, pd.DataFrame(), made.people, made.known, seats, granted, 0.0)


@pytest.fixture(scope="module")
def made() -> Drawn:
    return drawn(7, people=60, sessions=40)


@pytest.fixture(scope="module")
def matched(made: Drawn) -> Matched:
    return matched_of(made)


@pytest.fixture
def desk(made: Drawn, matched: Matched, tmp_path: Path) -> Desk:
    leave(tmp_path / "desk", "run-1", AS_OF, proposed_of(made, matched))
    return take(tmp_path / "desk", PARAMS)


def test_what_is_left_is_taken_back_as_it_was(desk: Desk, made: Drawn, matched: Matched) -> None:
    for name, frame in made.known._asdict().items():
        assert_frame_equal(getattr(desk.known, name), frame)
    assert_frame_equal(desk.seats, proposed_of(made, matched).seats)
    assert (desk.run_id, desk.as_of) == ("run-1", AS_OF)
    for person in made.people["person"]:
        own = made.people[made.people["person"] == person].reset_index(drop=True)
        assert_frame_equal(desk.person(person), own)
    assert desk.person(NOBODY).empty


def test_each_run_keeps_its_desk_until_it_is_cleared(made: Drawn, matched: Matched, tmp_path: Path) -> None:
    leave(tmp_path / "run-1", "run-1", AS_OF, proposed_of(made, matched))
    other = drawn(8, people=20, sessions=10)
    leave(tmp_path / "run-2", "run-2", AS_OF + pd.Timedelta(days=1), proposed_of(other, matched_of(other)))
    assert take(tmp_path / "run-1", PARAMS).run_id == "run-1"
    clear(tmp_path, ["run-2", "run-3"])
    assert not is_whole(tmp_path / "run-1")
    with pytest.raises(InputError, match="run-1"):
        take(tmp_path / "run-1", PARAMS)
    desk = take(tmp_path / "run-2", PARAMS)
    assert (desk.run_id, desk.as_of) == ("run-2", AS_OF + pd.Timedelta(days=1))
    assert_frame_equal(desk.known.courses, other.known.courses)
    assert desk.person(made.people["person"].iloc[-1]).empty
    assert not list(tmp_path.rglob("*.part"))


def test_no_desk_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs nightly"):
        take(tmp_path / "desk", PARAMS)


@pytest.mark.parametrize("written", range(9))
def test_a_desk_half_written_is_none_even_over_a_whole_one(
    written: int, made: Drawn, matched: Matched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proposed = proposed_of(made, matched)
    leave(tmp_path, "run-1", AS_OF, proposed)
    count, write = 0, pd.DataFrame.to_parquet

    def break_off(frame: pd.DataFrame, path: Path, **how: bool) -> None:
        nonlocal count
        if count == written:
            raise OSError("no space left")
        count += 1
        write(frame, path, **how)

    monkeypatch.setattr(pd.DataFrame, "to_parquet", break_off)
    if written < len(proposed.known) + 3:
        with pytest.raises(OSError, match="no space"):
            leave(tmp_path, "run-2", AS_OF, proposed)
        with pytest.raises(InputError, match="needs nightly"):
            take(tmp_path, PARAMS)
    else:
        leave(tmp_path, "run-2", AS_OF, proposed)
        assert take(tmp_path, PARAMS).run_id == "run-2"


def found_by(people: pd.DataFrame, market: Market, prices: np.ndarray) -> Kept:
    return find_courses(Laid(*lay_out(people, market)), market, prices, 10)


@pytest.mark.long
def test_one_person_is_answered_from_the_desk_as_in_the_run(desk: Desk, made: Drawn, matched: Matched) -> None:
    prices = matched.granted.prices
    assert (prices > 0).any()
    batch = found_by(made.people, made.market, prices)
    told = tell_proposals(matched, made.market)
    for who, person in enumerate(made.people["person"]):
        asked = desk.person(person)
        alone = found_by(asked, desk.market, desk.prices.reindex(desk.market.courses["session"]).to_numpy())
        for one, all_of_them in zip(alone, batch, strict=True):
            np.testing.assert_array_equal(one[0], all_of_them[who])
        seen = seen_by(asked, 0, desk.market, desk.prices)
        worth = seen.loc[seen["open"] & (seen["net"] > 0), "net"].sort_values(ascending=False).head(10)
        found = alone.session[0][alone.session[0] >= 0]
        np.testing.assert_allclose(seen["net"].to_numpy()[found], worth, atol=1e-6)
        own = told[told["person"] == person].merge(seen, on="session", how="left", suffixes=("", "_seen"))
        assert own["open_seen"].all()
        np.testing.assert_allclose(
            own[["score", "price", "distance_km"]], own[["score_seen", "price_seen", "distance_km_seen"]]
        )


def test_who_is_granted_a_seat_is_proposed_it_first(made: Drawn, matched: Matched) -> None:
    told, granted = tell_proposals(matched, made.market), tell_granted(matched, made.market)
    assert 0 < len(granted) < len(made.people)
    assert granted["person"].is_unique
    taken, seats = granted.groupby("session").size(), made.market.courses.set_index("session")["seats"]
    assert (taken <= seats.reindex(taken.index).astype("int64")).all()
    first = told[told["rank"] == 1].set_index("person")["session"]
    assert first.reindex(granted["person"]).tolist() == granted["session"].tolist()
