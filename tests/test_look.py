"""A simulated region in one call, the figures of it, and the page that tells of worlds."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from features.vocabulary import InputError
from needs.home import Home
from needs.twin import Simulated, look, simulate
from needs.twin.simulated import AS_OF, turned
from needs.twin.worlds import WORLDS, Dials, load_world

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "worlds.md").read_text(encoding="utf-8")


class Harsh(NamedTuple):
    """What figures tell of a crisis in which the survey errs and training congests as well, and whether its folder went."""

    need: pd.DataFrame
    survey: pd.DataFrame
    worth: pd.DataFrame
    gone: bool


@pytest.fixture(scope="module")
def noted() -> dict[str, Any]:
    """What the lines for notebooks give, by name."""
    names: dict[str, Any] = {}
    exec(compile(lines_of(PAGE), "docs/worlds.md", "exec"), names)
    return names


@pytest.fixture(scope="module")
def calm(noted: dict[str, Any]) -> Simulated:
    return noted["calm"]


@pytest.fixture(scope="module")
def creamed(noted: dict[str, Any]) -> Simulated:
    return noted["creamed"]


@pytest.fixture(scope="module")
def harsh() -> Harsh:
    simulated = simulate("crisis", dials={"survey.bias": 1.0, "training.congestion": 8})
    told = look.need_by_month(simulated), look.surveyed_need(simulated), look.worth_by_places(simulated)
    root = simulated.home.root
    assert root.exists()
    del simulated
    gc.collect()
    return Harsh(*told, gone=not root.exists())


def lines_of(page: str) -> str:
    """The lines of a page that simulate a world."""
    blocks = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    return next(block for block in blocks if "import simulate" in block)


def files(home: Home, *sources: str) -> dict[str, bytes]:
    paths = [path for source in sources or ("",) for path in sorted((home.raw / source).rglob("*")) if path.is_file()]
    return {str(path.relative_to(home.raw)): path.read_bytes() for path in paths}


def test_tables_are_those_of_the_engine_and_join_with_the_truth(calm: Simulated) -> None:
    trainings, chances = calm.table("trainings"), calm.truth("chances")
    entered = trainings[trainings["status"] == "entre"]
    assert len(trainings) == calm.drawn.rows("trainings")
    assert set(zip(entered["person"], entered["session"], strict=True)) == set(
        zip(chances["person"], chances["session"], strict=True)
    )


def test_a_source_without_files_gives_no_row(calm: Simulated) -> None:
    assert calm.table("registrations").empty
    assert "fiche" in calm.table("registrations")


def test_a_wrong_name_is_told_with_the_names_there_are(calm: Simulated) -> None:
    with pytest.raises(InputError, match=r"no table 'efects' in a calm region\. There are border, chances,"):
        calm.truth("efects")
    with pytest.raises(InputError, match=r"no source 'offer'\. There are offers, "):
        calm.table("offer")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("training.hiden", 1, "did you mean 'hidden'"),
        ("training.hidden", 9, "dials: training.hidden: 9 is above 3.0, the most it may be"),
        ("training.hidden", "much", '"much" is not a number'),
        ("hidden", 1, "is no dial. Write it like training.hidden"),
        ("title.x", 1, "sections are need, offers,"),
        ("offers.coverage_low", 0.9, r"dials: offers.coverage_low \(0.9\) is above offers.coverage_high"),
    ],
)
def test_a_wrong_dial_is_told_as_in_a_file(name: str, value: float | str, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words) as told:
        simulate("calm", dials={name: value}, folder=tmp_path)
    assert str(tmp_path.parent) not in str(told.value)
    assert list(tmp_path.iterdir()) == []


def test_a_dial_may_be_a_number_of_numpy_or_a_list() -> None:
    world = turned("crisis", {"need.crisis_months": np.arange(25)[-1], "files.sources": ["bmo"], "need.trend": np.float64(0.1)})
    assert (world.need.crisis_months, world.need.crisis_depth, world.need.trend) == (24, 0.5, 0.1)
    assert world.files.sources == ("bmo",)


def test_a_dial_changes_what_it_should_and_nothing_else(calm: Simulated, creamed: Simulated) -> None:
    untouched = ("offers", "bmo", "purchases", "signals", "projections", "market", "tension", "insertion", "certifications")
    assert files(creamed.home, *untouched) == files(calm.home, *untouched)
    assert files(creamed.home, "trainings") != files(calm.home, "trainings")
    pd.testing.assert_frame_equal(creamed.truth("need"), calm.truth("need"))
    assert creamed.world.title == "a calm region (training.creaming 3)"


def test_a_folder_of_its_own_goes_with_the_result(harsh: Harsh) -> None:
    assert harsh.gone


def test_a_crisis_is_seen_in_the_need_and_recovers(calm: Simulated, harsh: Harsh) -> None:
    def compared(told: pd.DataFrame) -> tuple[float, float, float]:
        counts = told[told["subject"] == "all"].set_index("month")["recruitments"]
        spring = AS_OF - pd.DateOffset(months=12)
        before, fallen, back = (counts[start:][:6].sum() for start in (spring - pd.DateOffset(years=1), spring, AS_OF))
        return float(before), float(fallen), float(back)

    before, fallen, back = compared(harsh.need)
    usual_before, usual, _ = compared(look.need_by_month(calm))
    assert fallen < 0.8 * before
    assert back > 1.2 * fallen
    assert usual > 0.9 * usual_before


def test_a_biased_survey_is_seen_to_be_far_from_the_need(calm: Simulated, harsh: Harsh) -> None:
    near, far = look.surveyed_need(calm), harsh.survey
    errors = [float(np.log(told["projects"] / told["need"]).std()) for told in (near, far)]
    assert errors[1] > 2 * errors[0]
    assert near["projects"].corr(near["need"]) > 0.95


def test_creaming_hides_behind_raw_rates(calm: Simulated, creamed: Simulated) -> None:
    as_seen, chosen = (look.rates_and_effects(simulated, fewest=10) for simulated in (calm, creamed))
    assert chosen["without"].mean() > as_seen["without"].mean()
    np.testing.assert_allclose(chosen["effect"], chosen["rate"] - chosen["without"], atol=1e-6)


def test_lock_in_comes_before_the_gain(calm: Simulated) -> None:
    told = look.effects_by_month(calm).pivot_table("effect", "action_type", "horizon_months")
    assert told.loc["certification", 6] < 0 < told.loc["certification", 24]
    assert (told.loc["all", [12, 18, 24]] > told.loc["all", 6]).all()
    chances = calm.truth("chances").query("not followed")
    assert told.loc["all", 12] == pytest.approx((chances["work_with_12"] - chances["work_without_12"]).mean(), abs=1e-6)


def test_each_further_place_adds_less_and_least_where_training_congests(calm: Simulated, harsh: Harsh) -> None:
    free, crowded = look.worth_by_places(calm)["middle"], harsh.worth["middle"]
    assert (np.diff(free) < 1e-9).all()
    assert free.iloc[5] - crowded.iloc[5] > 0.005


def test_rules_and_bassins_are_told_as_they_are(calm: Simulated) -> None:
    shares = look.rule_shares({"calm": calm})
    values = calm.truth("plan_values").set_index("rule")["value"]
    assert shares.loc["calm", "random"] == pytest.approx(values["random"] / values["oracle"])
    told = look.by_bassin(calm).set_index("territory")
    assert set(told.index) == set(calm.truth("need")["territory"])
    assert told["border"].between(0, 0.25).all()


def test_the_page_shows_each_figure_and_figures_have_the_same_bytes_twice(
    calm: Simulated, creamed: Simulated, tmp_path: Path
) -> None:
    figures = {
        "need": partial(look.draw_need, calm, creamed, AS_OF),
        "map": partial(look.draw_map, calm),
        "survey": partial(look.draw_survey, calm, creamed),
        "rates": partial(look.draw_rates, calm, creamed),
        "lock_in": partial(look.draw_lock_in, calm),
        "worth": partial(look.draw_worth, calm, creamed),
        "rules": partial(look.draw_rules, {"calm": calm}),
    }
    assert {f"{name}.svg" for name in figures} == set(re.findall(r"\(worlds/(\w+\.svg)\)", PAGE))
    written = {name: look.write_svg(figure, tmp_path / f"{name}.svg").read_bytes() for name, figure in figures.items()}
    assert not any(b"<dc:date>" in content for content in written.values())
    for name in ("map", "worth"):
        assert look.write_svg(figures[name], tmp_path / "again.svg").read_bytes() == written[name]


def test_the_figures_of_the_page_are_there_and_small() -> None:
    sizes = {name: (ROOT / "docs" / "worlds" / name).stat().st_size for name in re.findall(r"\(worlds/(\w+\.svg)\)", PAGE)}
    assert len(sizes) == 7
    assert max(sizes.values()) < 150_000


def rows_of(page: str) -> dict[str, str]:
    """The rows of every table whose first cell is one code, by that code."""
    return {match[1]: match[0] for match in re.finditer(r"^\| `([\w.]+)` \|.*$", page, flags=re.MULTILINE)}


def dial_values(dials: Dials) -> Iterator[tuple[str, object]]:
    for section, values in dials.model_dump(exclude_unset=True, include=set(Dials.model_fields)).items():
        yield from ((f"{section}.{name}", value) for name, value in values.items())


def spelt(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(value) or "all"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else f"{value:g}"


@pytest.mark.parametrize("name", WORLDS)
def test_the_page_tells_each_world_with_its_dials(name: str) -> None:
    row, world = rows_of(PAGE)[name], load_world(name)
    assert world.title in row
    told = dict(re.findall(r"`(\w+\.\w+)` ([^;|]+?)(?=[;|]| \|)", row))
    assert told == {dial: spelt(value) for dial, value in dial_values(world)}


def test_the_page_tells_each_dial_with_its_default() -> None:
    rows = rows_of(PAGE)
    told = {name: rows[name].split("|")[2].strip() for name in rows if "." in name}
    defaults = Dials().model_dump()
    assert told == {f"{section}.{name}": spelt(value) for section, dials in defaults.items() for name, value in dials.items()}


def test_the_page_tells_each_table_of_truth_and_its_columns(calm: Simulated) -> None:
    rows, in_words = rows_of(PAGE), {"chances", "people", "courses"}
    for written in calm.drawn.truth:
        listed = re.sub(r"\([^)]*\)", "", rows[written.source].split("|")[3])
        named = {word.strip() for word in listed.split(",")}
        assert written.source in in_words or named == set(calm.truth(written.source).columns), written.source


def test_the_lines_for_notebooks_give_what_they_say(noted: dict[str, Any], calm: Simulated) -> None:
    pd.testing.assert_frame_equal(noted["effects"], calm.truth("effects"))
    assert set(noted["trainings"]["status"]) >= {"entre", "refuse"}


def test_the_command_wants_a_folder() -> None:
    with pytest.raises(InputError, match="name one folder"):
        look.main([])
