"""Nights that are killed, at every point of every step and at random: the next one goes on where they died.

A night that was disturbed is held against one that was not: what is published of the same inputs is the same, row by row.
"""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest
from homes import copy_home
from nights import At, die, harass, new_signal, night, seen_by_readers, steps_of, url_of

from needs.home import Home
from needs.run.logs import last_log, read_log

pytestmark = pytest.mark.long

KILLS = 50
LEARNING = "policy.confidence=0.81"  # with which models must be trained
TOGETHER = (
    {"read signals"},
    {"lake"},
    {"features"},
    {"training of forecasts", "training of effects", "backtest", "registry"},
    {"champion and challenger"},
    {"forecast"},
    {"effects"},
    {"needs of sectors", "needs of skills", "ranking"},
    {"plan", "details of lots", "lessons"},
    {"matches"},
    {"gates", "publish"},
    {"page and exports"},
)
"""Steps that are made together or not at all."""


def test_a_night_that_dies_at_any_point_of_any_step_is_taken_up_there(small: Home, tmp_path: Path) -> None:
    home, beside = (copy_home(small, tmp_path / name, made=True) for name in ("home", "beside"))
    for each in (home, beside):
        new_signal(each, 1)
    before = seen_by_readers(url_of(home))
    assert night(beside, LEARNING).code == 0
    after, points, made = seen_by_readers(url_of(beside)), points_of(beside), 0
    assert {step for _, step in points} == set().union(*TOGETHER)
    for point in points:
        assert night(home, LEARNING, befalls=[At(*point, die)]).code == -signal.SIGKILL, point
        last, made = made, next(number for number, steps in enumerate(TOGETHER) if point[1] in steps)
        assert steps_of(home) <= set().union(*TOGETHER[last : made + 1]), point
        published = points.index(point) >= points.index(("ended", "publish"))
        assert seen_by_readers(url_of(home)) == (after if published else before), point
    assert night(home, LEARNING).code == 0
    assert seen_by_readers(url_of(home)) == after
    assert messages(home) == messages(beside)
    nothing_is_left_over(home)


def points_of(home: Home) -> list[tuple[str, str]]:
    """List the points that the last night came to, in their order."""
    path = last_log(home)
    assert path is not None
    lines = read_log(path)
    told = lines[lines["event"].isin(["started", "ended"])]
    return list(zip(told["event"], told["step"], strict=True))


def messages(home: Home) -> dict[str, str]:
    """Read what was written for a mail, by the name of its run."""
    return {path.name: path.read_text(encoding="utf-8") for path in home.digests.glob("*.txt")}


def nothing_is_left_over(home: Home) -> None:
    """Hold that nothing half-made lies about, and nothing that the last night does not need."""
    lying = [path.relative_to(home.var) for path in home.var.rglob("*")]
    assert [path for path in lying if path.name.startswith(".") or path.name.endswith(".part")] == [Path(".lock")]
    assert {len([*stage.iterdir()]) for stage in home.stages.iterdir()} == {1}
    assert {len([*table.glob("edition=*")]) for table in home.lake.iterdir()} <= {0, 1}
    assert len([path for path in (home.var / "models").iterdir() if path.is_dir()]) == 1


def test_nights_that_are_killed_at_any_moment_are_taken_up(small: Home, tmp_path: Path) -> None:
    home, beside = (copy_home(small, tmp_path / name, made=True) for name in ("home", "beside"))
    kills, nights = 0, 0
    for blow in harass(home, beside, np.random.default_rng(10)):
        assert not blow.again
        assert blow.seen in ((blow.before, blow.after) if blow.killed else (blow.after,))
        kills, nights = kills + blow.killed, nights + (not blow.killed)
        if not blow.killed and kills >= KILLS:
            break
    assert nights > 1
    nothing_is_left_over(home)
