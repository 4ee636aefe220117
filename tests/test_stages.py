"""Laws of the line of stages: nothing is made twice, nothing old is taken for new, what is spoilt is made again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from features.vocabulary import InputError
from needs.params import Params
from needs.run.door import Door
from needs.run.inputs import Inputs
from needs.run.limits import LimitParams, OutOfTime, limited
from needs.run.stages import Given, Line, Shelf, Stage
from needs.store.memory import give_back

DAY = pd.Timestamp("2026-03-31")
PRINTS = {"offers": "o1", "purchases": "p1"}


def inputs(**changed: object) -> Inputs:
    return replace(Inputs(lambda: None, DAY, Params(), Door({}, simulated=False), "code", PRINTS), **changed)  # type: ignore[arg-type, return-value]


class World:
    """Four stages that note when they are made: features → forecast (with models) and rank → plan."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.stages = (
            Stage("features", self._note("features", 1), int, tables=("offers",), settings=("features",)),
            Stage("forecast", self._note("forecast", 2), int, after=("features", "models")),
            Stage("rank", self._note("rank", 3), int, after=("features",), settings=("ranking",)),
            Stage(
                "plan", self._note("plan", 4), int, after=("forecast", "rank"), tables=("purchases",), settings=("purchase",)
            ),
        )

    def _note(self, name: str, own: int) -> Callable[..., int]:
        def make(_: Inputs, *results: int) -> int:
            self.made.append(name)
            return own * 1000 + sum(results)

        return make

    def line(self, shelf: Path | None, models: str = "m1", what: Inputs | None = None, **asked: object) -> Line:
        told = {"models": Given(7, models)}
        return Line(self.stages, what or inputs(), Shelf(shelf) if shelf else None, told, **asked)  # type: ignore[arg-type]

    def run(self, shelf: Path | None, **asked: object) -> list[str]:
        """Ask for the plan; say which stages were made for it."""
        self.made.clear()
        assert self.line(shelf, **asked)["plan"] == 4000 + (2000 + 1000 + 7) + (3000 + 1000)  # type: ignore[arg-type]
        return list(self.made)


ALL = ["features", "forecast", "rank", "plan"]


def test_each_stage_is_made_once_in_its_order_and_not_again(tmp_path: Path) -> None:
    world = World()
    assert world.run(None) == ALL
    assert world.run(tmp_path) == ALL
    assert world.run(tmp_path) == []


@pytest.mark.parametrize(
    ("change", "made"),
    [
        ({"prints": {**PRINTS, "offers": "o2"}}, ALL),
        ({"prints": {**PRINTS, "purchases": "p2"}}, ["plan"]),
        ({"prints": {**PRINTS, "signals": "s2"}}, []),
        ({"as_of": DAY + pd.Timedelta(days=1)}, ALL),
        ({"code": "other"}, ALL),
        ({"params": Params.model_validate({"features": {"privacy": {"smallest_cell": 11}}})}, ALL),
        ({"params": Params.model_validate({"purchase": {"draws": 3}})}, ["plan"]),
        ({"params": Params.model_validate({"execution": {"workers": 1}})}, []),
    ],
)
def test_what_changed_decides_what_is_made_again(tmp_path: Path, change: dict[str, object], made: list[str]) -> None:
    world = World()
    world.run(tmp_path)
    assert world.run(tmp_path, what=inputs(**change)) == made


def test_other_models_forecast_anew(tmp_path: Path) -> None:
    world = World()
    world.run(tmp_path)
    assert world.run(tmp_path, models="m2") == ["forecast", "plan"]
    assert world.line(tmp_path, models="m3").changed("forecast") == ["stage models"]


@pytest.mark.parametrize("died", [*ALL, ""])
def test_a_run_that_died_is_taken_up_where_it_died(died: str, tmp_path: Path) -> None:
    world, folder = World(), tmp_path

    def die(*_: object) -> int:
        raise KeyboardInterrupt

    whole = world.stages
    world.stages = tuple(replace(stage, make=die) if stage.name == died else stage for stage in whole)
    if died:
        with pytest.raises(KeyboardInterrupt):
            world.run(folder)
    before = list(world.made) if died else []
    world.stages = whole
    assert [*before, *world.run(folder)] == ALL


def test_what_was_spoilt_on_the_shelf_is_made_again_and_nothing_else(tmp_path: Path) -> None:
    world = World()
    world.run(tmp_path)
    file = next((tmp_path / "forecast").glob("*/*.joblib"))
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    next((tmp_path / "plan").glob("*/manifest.json")).unlink()
    assert world.run(tmp_path) == ["forecast", "plan"]
    assert world.run(tmp_path) == []


def test_a_stage_is_made_again_when_asked_and_barred_from_being_made_when_not(tmp_path: Path) -> None:
    world = World()
    with pytest.raises(InputError, match="--from features"):
        world.line(tmp_path, barred=("features", "forecast"))["plan"]
    world.run(tmp_path)
    assert world.run(tmp_path, again=("rank", "plan"), barred=("features", "forecast")) == ["rank", "plan"]


def test_what_differs_is_told(tmp_path: Path) -> None:
    world = World()
    assert world.line(tmp_path).changed("rank") == ["never made"]
    world.run(tmp_path)
    other = world.line(tmp_path, what=inputs(prints={**PRINTS, "offers": "o2", "purchases": "p2"}))
    assert world.line(tmp_path).changed("plan") == []
    assert other.changed("features") == ["table offers"]
    assert set(other.changed("plan")) == {"table purchases", "stage forecast", "stage rank"}


def test_old_results_leave_the_shelf_and_the_others_stay(tmp_path: Path) -> None:
    world = World()
    world.run(tmp_path)
    later = world.line(tmp_path, what=inputs(prints={**PRINTS, "purchases": "p2"}))
    later["plan"]
    Shelf(tmp_path).keep(later.keys())
    assert [len(list((tmp_path / stage).iterdir())) for stage in ALL] == [1, 1, 1, 1]
    assert world.run(tmp_path) == ["plan"]


@pytest.mark.parametrize("again", [(), ALL])
def test_a_result_looked_at_in_part_or_not_at_all_is_put_back_and_taken_again_without_being_made(
    tmp_path: Path, again: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    world = World()
    world.stages = (*world.stages[:3], replace(world.stages[3], parts={"rank": lambda rank: rank - 1000}))
    line = world.line(tmp_path, again=again)
    assert line["plan"] == 4000 + (2000 + 1000 + 7) + (3000 + 1000 - 1000)
    assert (set(line.made), line["rank"], world.made) == ({"forecast", "plan"}, 4000, ALL)
    assert (line.lend("features"), "features" in line.made, world.made) == (1000, False, ALL)
    assert "taken" not in caplog.text
    assert world.line(None).lend("features") == 1000, "without a shelf it stays at hand"


def test_what_takes_too_long_is_ended_and_what_does_not_is_left_alone() -> None:
    limits = LimitParams(plan=0.01)
    with pytest.raises(OutOfTime, match=r"execution\.limits\.plan"), limited(limits, "plan"):
        time.sleep(30)
    with limited(limits, "match"):
        time.sleep(0.01)
    with limited(limits, "plan"):
        pass
    time.sleep(0.7)  # a timer left behind would ring now


def test_memory_that_nothing_holds_goes_back_to_the_system() -> None:
    """Blocks too small to be mapped each for itself stay with the allocator, below one that is still held."""
    before = held_mb()
    blocks = [bytearray(100_000) for _ in range(2_000)]
    above = bytearray(100_000)
    full = held_mb()
    del blocks
    give_back()
    assert full - before > 150
    assert held_mb() - before < 50
    assert len(above) == 100_000


def held_mb() -> float:
    """Say how much memory this process holds."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
