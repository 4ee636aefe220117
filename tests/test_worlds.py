"""Worlds: what is shipped can be read, says only what sets it apart, and nobody picks its seeds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.main import get_command

from features.vocabulary import InputError
from needs.cli import app
from needs.home import Home
from needs.show.terminal import tell_demo
from needs.twin.scales import SCALES
from needs.twin.worlds import HERE, WORLDS, Dials, frozen_seeds, load_world

RULES = {"last_purchase", "bmo_shares", "raw_rates", "random"}


def refusal(path: Path, content: str = "") -> str:
    if content:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_world(str(path))
    return str(caught.value)


def test_the_shipped_worlds_are_those_that_are_named():
    assert {path.stem for path in HERE.glob("*.yaml")} == {*WORLDS, "seeds"}


@pytest.mark.parametrize("name", WORLDS)
def test_a_world_says_what_it_teaches_and_only_what_sets_it_apart(name):
    world = load_world(name)
    assert world.title
    assert world.lesson
    assert set(world.unbeaten) <= RULES
    assert (name == "calm") == (world.model_dump(include=set(Dials.model_fields)) == Dials().model_dump())
    own = world.model_dump(exclude_unset=True, include=set(Dials.model_fields))
    kept = [(section, dial) for section, dials in own.items() for dial in dials if _default(section, dial) == dials[dial]]
    assert kept == [], "these dials have their default: leave them out"


def _default(section: str, dial: str) -> object:
    return getattr(getattr(Dials(), section), dial)


def test_only_the_world_without_differences_leaves_every_rule_unbeaten():
    assert {name for name in WORLDS if load_world(name).unbeaten} == {"no_heterogeneity"}
    assert set(load_world("no_heterogeneity").unbeaten) == RULES


def test_a_world_of_ones_own_is_read_from_its_path(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("title: mine\nlesson: none\nneed:\n  trend: 0.2\n", encoding="utf-8")
    assert load_world(str(path)).need.trend == 0.2
    assert load_world(str(path)).survey == Dials().survey


def test_an_unknown_world_is_told_with_the_names_and_the_way_out(tmp_path):
    for absent in (Path("clam"), tmp_path / "absent.yaml", tmp_path):
        told = refusal(absent)
        assert all(name in told for name in WORLDS)
        assert "path of a file of yours" in told


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("title: a\nlesson: b\nneed:\n  crisis: 1\n", "there is no parameter 'crisis' in need"),
        ("lesson: b\n", "title: is missing"),
        ("title: a\nlesson: b\nneed: {trend: 2}\n", "need.trend: 2 is above 0.5"),
        ("- calm\n", "like 'need:' then '  crisis_depth: 0.3'"),
        ("title: a\nlesson: b\nfiles: {sources: [bmo, ofers]}\n", "files.sources names ofers"),
        ("title: a\nlesson: b\nsignals: {good: 0.8, wishful: 0.4}\n", "signals.good (0.8) and signals.wishful (0.4)"),
        ("title: a\nlesson: b\noffers: {coverage_low: 0.9}\n", "coverage_low (0.9) is above offers.coverage_high (0.8)"),
    ],
)
def test_a_wrong_world_is_told_with_its_file_and_where_dials_are_explained(tmp_path, content, words):
    told = refusal(tmp_path / "mine.yaml", content)
    assert told.startswith(f"{tmp_path / 'mine.yaml'}: ")
    assert words in told
    assert "needs params" not in told


def test_a_wrong_dial_points_to_the_page_that_explains_it(tmp_path):
    assert "See docs/worlds.md" in refusal(tmp_path / "mine.yaml", "title: a\nlesson: b\nneed: {trend: 2}\n")


def test_seeds_are_those_that_the_rule_gives_and_none_is_for_both():
    words = (np.random.SeedSequence(20260331).generate_state(40 * len(WORLDS)) >> 1).tolist()
    frozen = [frozen_seeds(world) for world in WORLDS]
    assert [seed for seeds in frozen for seed in (*seeds.learning, *seeds.judging)] == words
    assert len(set(words)) == len(words)
    assert {(len(seeds.learning), len(seeds.judging)) for seeds in frozen} == {(20, 20)}


def test_a_world_of_ones_own_has_no_frozen_seeds():
    with pytest.raises(InputError, match="no frozen seeds"):
        frozen_seeds("mine")


def demo(root: Path, *, world: str = "calm", scale: str = "tiny", seed: int = 1, as_of: str = "2026-03-31") -> str:
    return tell_demo(Home(root), world=world, scale=scale, seed=seed, as_of=as_of, workers=1)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"world": "clam"}, "hidden_confounding"),
        ({"scale": "huge"}, "tiny"),
        ({"seed": -1}, "negative"),
        ({"as_of": "31/03/2026"}, "2026-03-31"),
        ({"as_of": "2026-02-30"}, "'2026-02-30' is not a day"),
        ({"as_of": "1850-01-01"}, "from 2010"),
    ],
)
def test_demo_refuses_in_words_and_draws_nothing(tmp_path, asked, words):
    with pytest.raises(InputError, match=words):
        demo(tmp_path, **asked)
    assert not (tmp_path / "data").exists()


def test_demo_names_every_world_and_scale():
    told = {option.name: str(getattr(option, "help", "")) for option in get_command(app).commands["demo"].params}
    assert [name for name in WORLDS if name not in told["world"]] == []
    assert [name for name in SCALES if name not in told["scale"]] == []


@pytest.mark.long
def test_demo_says_what_the_world_is_and_what_comes_next(tmp_path):
    told = demo(tmp_path, world="sparse")
    assert load_world("sparse").title[1:] in told
    assert told.endswith("nightly"), "a survey, certifications and purchases are enough for a night"
