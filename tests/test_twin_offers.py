"""The offers of a simulated region: they tell of its market, some twice, some from abroad; and every file says the same."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features import facts
from features.contracts import Checked
from features.sources.offers import read_offers
from features.vocabulary import BORDERS, InputError
from needs.twin import offers as drawing
from needs.twin.market import Market, draw_market
from needs.twin.offer_files import write_offers
from needs.twin.offers import border_shares, border_table, draw_offers
from needs.twin.scales import SCALES
from needs.twin.skills import OWN, SKILLS, asked, skill_need_table, skill_table, skills_of
from needs.twin.world import World, draw_world
from needs.twin.worlds import Dials

AS_OF = pd.Timestamp("2026-03-31")
NEWEST = pd.Timestamp("2026-03-01")
# What a repeat shares with the offer that it repeats.
SAME = [
    "atom",
    "occupation",
    "kind",
    "border",
    "commune",
    "contract",
    "months",
    "experience",
    "level",
    "skills",
    "vague",
    "leaf",
]


def world_of(scale: str, *, extract: bool = False, **dials: dict[str, float]) -> World:
    return draw_world(replace(SCALES[scale], extract=extract), Dials.model_validate(dials), 1, AS_OF)


def written(world: World, folder: Path) -> tuple[list[Path], Checked]:
    """Write the offers of every département, and read them back."""
    markets = [draw_market(world, department) for department in world.departments]
    files = [file for market in markets for file in write_offers(market, draw_offers(market), folder)]
    checked = read_offers([file.path for file in files])
    assert sum(file.rows for file in files) == checked.read
    return [file.path for file in files], checked


def within_sampling(share: float, wanted: float, n: int) -> bool:
    return bool(abs(share - wanted) <= 4 * np.sqrt(wanted * (1 - wanted) / n))


@pytest.fixture(scope="module")
def tiny() -> World:
    return world_of("tiny")


@pytest.fixture(scope="module")
def lines(tiny: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], Checked]:
    return written(tiny, tmp_path_factory.mktemp("lines"))


@pytest.fixture(scope="module")
def demo() -> World:
    return world_of("demo")


@pytest.fixture(scope="module")
def near_and_far(demo: World) -> dict[str, tuple[Market, pd.DataFrame]]:
    markets = {department: draw_market(demo, department) for department in ("D10", "D54", "D57", "D68")}
    return {department: (market, draw_offers(market)) for department, market in markets.items()}


def test_lasting_positions_are_those_of_the_market_and_those_it_repeats(tiny: World, lines: tuple[list[Path], Checked]) -> None:
    last = lines[1].kept.sort_values("known_from").drop_duplicates("offer", keep="last")
    lasting = last[~last["seasonal"] & (last["contract"].eq("CDI") | (last["contract_months"] >= 6)) & last["border"].isna()]
    told = lasting.groupby(["occupation", lasting["created"].dt.strftime("%Y-%m")])["positions"].sum()
    markets = [draw_market(tiny, department) for department in tiny.departments]
    shown = sum((market.positions + market.repeated).sum(axis=0)[:, : tiny.past] for market in markets)
    index = pd.MultiIndex.from_product([tiny.occupations["occupation"], tiny.months[: tiny.past].astype(str)])
    true = pd.Series(np.asarray(shown).ravel(), index).sort_index()
    pd.testing.assert_series_equal(told.astype("int64"), true[true > 0], check_names=False)


def test_a_repeat_is_an_offer_of_the_month_before_under_another_number() -> None:
    market = draw_market(world_of("tiny", offers={"repeated": 0.3}), "D67")
    once = draw_offers(replace(market, repeated=np.zeros_like(market.repeated)))
    offers = draw_offers(market)
    row = [*SAME, "month", "positions", "created"]
    both = offers.merge(once[row].drop_duplicates(), on=row, how="left", validate="many_to_one", indicator=True)
    repeats = both[both["_merge"] == "left_only"]
    assert len(offers) - len(repeats) == len(once)
    told = repeats.groupby(["atom", "occupation", "month"])["positions"].sum()
    atom, occupation, month = np.nonzero(market.repeated[:, :, : market.world.past])
    cells = pd.MultiIndex.from_arrays([market.atoms[atom], occupation, month])
    assert (told.reindex(cells).to_numpy() == market.repeated[atom, occupation, month]).all()
    assert len(told) == len(cells) > 100
    earlier = once[once["kind"] == "lasting"].assign(month=lambda t: t["month"] + 1)[[*SAME, "month", "created"]]
    pairs = repeats.reset_index().merge(
        earlier, on=[*SAME, "month"], how="left", validate="many_to_many", suffixes=("", "_before")
    )
    days = (pairs["created"] - pairs["created_before"]).dt.days.groupby(pairs["index"]).agg(lambda gaps: gaps.abs().min())
    assert days.between(1, 60).all()
    assert days.median() == pytest.approx(30, abs=2)


@pytest.mark.parametrize("updated", [0.0, 0.15, 0.6])
def test_offers_are_updated_as_often_as_the_dial_says_and_never_within_the_day(updated: float) -> None:
    offers = draw_offers(draw_market(world_of("tiny", offers={"updated": updated}), "D67"))
    old = offers[offers["created"] < AS_OF - pd.Timedelta(days=46)]
    assert within_sampling(old["updated"].notna().mean(), updated, len(old))
    again = offers[offers["updated"].notna()]
    assert (again["updated"] - again["created"] >= pd.Timedelta(days=3)).all()
    assert (again["updated"] < AS_OF + pd.Timedelta(days=1)).all()
    assert (offers["first_positions"] == offers["positions"])[offers["updated"].isna()].all()


def test_the_pull_of_the_border_is_that_of_the_region_and_stronger_where_it_is_near(
    demo: World, near_and_far: dict[str, tuple[Market, pd.DataFrame]]
) -> None:
    shares = border_shares(demo)
    assert np.average(shares.sum(axis=1), weights=demo.level.sum(axis=1)) == pytest.approx(0.015, abs=0.0015)
    assert shares.sum(axis=1).max() <= 0.25 + 1e-12
    abroad = {department: (offers["border"] != "").mean() for department, (_, offers) in near_and_far.items()}
    assert abroad["D57"] > 5 * abroad["D10"]
    countries = {department: offers["border"].value_counts() for department, (_, offers) in near_and_far.items()}
    assert countries["D68"]["CH"] > countries["D68"]["LU"]
    assert countries["D54"]["LU"] > countries["D54"]["CH"]


def test_no_border_pulls_where_the_dial_says_none_and_it_pulls_no_more_than_a_quarter() -> None:
    offers = draw_offers(draw_market(world_of("tiny", need={"border": 0.0}), "D68"))
    assert (offers["border"] == "").all()
    assert border_shares(world_of("tiny", need={"border": 5.0})).sum(axis=1).max() == pytest.approx(0.25)


@pytest.mark.parametrize("department", ["D54", "D57", "D68"])
def test_published_offers_from_abroad_are_those_expected(
    near_and_far: dict[str, tuple[Market, pd.DataFrame]], department: str
) -> None:
    market, offers = near_and_far[department]
    table = border_table(market)
    assert len(table) == len(market.atoms) * len(BORDERS) * market.world.months.year.nunique()
    assert (table["published"] < table["expected"]).all()
    expected = table[table["period"] < "2026"].groupby("country")["published"].sum()
    lasting = offers[(offers["kind"] == "lasting") & (offers["created"] < "2026")]
    told = lasting.groupby("border", observed=False)["positions"].sum().reindex(expected.index)
    # positions come in offers of one, two or five: their variance is three times that of single ones, at the most
    assert ((told - expected).abs() <= 4 * np.sqrt(3 * expected) + 5).all()
    assert expected.sum() > 50


def test_no_two_skills_share_a_code_and_a_domain_shares_two() -> None:
    occupations = sorted(set(facts.occupations()["occupation"]))
    named = {code: skills_of(code) for code in occupations}
    own = [skill for skills in named.values() for skill in skills[:OWN]]
    shared = {skill: code[:3] for code, skills in named.items() for skill in skills[OWN:]}
    assert len({*own, *shared}) == len(own) + len(shared) == OWN * len(occupations) + 2 * len({code[:3] for code in named})
    assert all(shared[skill] == code[:3] for code, skills in named.items() for skill in skills[OWN:])
    assert all(skill.isdecimal() and len(skill) == 6 for skill in [*own, *shared])


def test_a_few_skills_per_hundred_emerge_and_as_many_vanish_in_time(tiny: World, demo: World) -> None:
    for world in (tiny, demo):
        table = skill_table(world)
        counts = table.drop_duplicates("skill")["fate"].value_counts(normalize=True)
        assert counts["emerging"] == counts["vanishing"] == pytest.approx(0.03, abs=0.01)
        assert table.groupby("skill")["fate"].nunique().eq(1).all()
        chance = asked(world).reshape(len(table), -1)
        rises = np.diff(chance, axis=1)
        assert ((chance > 0) & (chance < 1)).all()
        assert (rises[table["fate"] == "steady"] == 0).all()
        assert (rises[table["fate"] == "emerging"] > 0).all()
        assert (rises[table["fate"] == "vanishing"] < 0).all()
        now = chance[:, world.past - 1]
        assert now[table["fate"] == "emerging"].mean() > 0.3 > now[table["fate"] == "vanishing"].mean()


def test_offers_ask_for_skills_as_often_as_the_truth_says(near_and_far: dict[str, tuple[Market, pd.DataFrame]]) -> None:
    drawn = pd.concat([offers for _, offers in near_and_far.values()])
    world = near_and_far["D57"][0].world
    fates = skill_table(world)["fate"].to_numpy().reshape(-1, SKILLS)
    bits = (drawn["skills"].to_numpy()[:, None] >> np.arange(SKILLS) & 1).astype(bool)
    chance, of_offer = asked(world)[drawn["occupation"], :, drawn["month"]], fates[drawn["occupation"]]
    early, lately = drawn["month"].to_numpy() < world.past - 48, drawn["month"].to_numpy() >= world.past - 6

    def share(fate: str, when: np.ndarray) -> float:
        return float(bits[(of_offer == fate) & when[:, None]].mean())

    assert share("emerging", lately) > share("emerging", early) + 0.2
    assert share("vanishing", lately) < share("vanishing", early) - 0.2
    assert share("steady", lately) == pytest.approx(share("steady", early), abs=0.02)
    # a repeat asks for what the offer of the month before did
    for fate in ("steady", "emerging", "vanishing"):
        cells = of_offer == fate
        assert bits[cells].mean() == pytest.approx(chance[cells].mean(), abs=0.02)


def test_the_need_for_skills_adds_up_to_that_of_their_occupations(tiny: World) -> None:
    market = draw_market(tiny, "D67")
    table = skill_need_table(market)
    assert not table.duplicated(["territory", "skill", "period"]).any()
    assert set(table["period"]) == {"2023", "2024", "2025", "2026", "2027", "2028"}
    skill = skill_table(tiny)
    alone = skill[skill["skill"].isin(skills_of("K1302")[:1])].index[0]
    need = market.need[:, alone // SKILLS].sum(axis=0) * asked(tiny)[alone // SKILLS, 0]
    told = table[table["skill"] == skill.loc[alone, "skill"]].groupby("period")["need"].sum()
    assert told["2025"] == pytest.approx(need[tiny.months.year == 2025].sum())
    assert table["need"].sum() == pytest.approx((market.need.sum(axis=0)[:, None, :] * asked(tiny)).sum())


def test_an_extract_beside_the_newest_month_says_what_lines_say(
    tiny: World, lines: tuple[list[Path], Checked], tmp_path: Path
) -> None:
    paths, checked = written(replace(tiny, scale=replace(tiny.scale, extract=True)), tmp_path)
    newest = {f"offers_{number}_2026-03.jsonl.gz" for number in ("67", "68")}
    assert {path.name for path in paths} == {"offers_67.parquet", "offers_68.parquet", *newest}
    years = {f"offers_{number}_{year}.jsonl.gz" for number in ("67", "68") for year in (2023, 2024, 2025, 2026)}
    assert {path.name for path in lines[0]} == years
    for read in (checked, lines[1]):
        assert (len(read.rejected), read.duplicates) == (0, 0)
    pd.testing.assert_frame_equal(checked.kept, lines[1].kept)
    old, new = (read_offers([path for path in paths if path.suffix == suffix]).kept for suffix in (".parquet", ".gz"))
    assert old["known_from"].max() < NEWEST <= new["known_from"].min()
    assert len(old) > len(new) > 0
    assert len(old) + len(new) == len(checked.kept)


def test_offers_show_every_kind_of_place_and_term(lines: tuple[list[Path], Checked]) -> None:
    kept = lines[1].kept
    assert set(kept["contract"]) == {"CDI", "CDD", "MIS", "SAI"}
    assert within_sampling(kept.loc[kept["border"].isna(), "commune"].isna().mean(), 0.03, len(kept))
    assert (kept["commune"].notna() + kept["department"].notna() + kept["border"].notna() == 1).all()
    assert set(kept["department"].dropna()) == {"D67", "D68"}
    assert 0.02 < kept["leaf"].notna().mean() < 0.12
    assert kept["skills"].str.split("|").str.len().mean() == pytest.approx(4, abs=0.5)


def test_a_departement_drawn_alone_has_the_bytes_it_has_after_others(lines: tuple[list[Path], Checked], tmp_path: Path) -> None:
    market = draw_market(world_of("tiny"), "D68")
    alone = write_offers(market, draw_offers(market), tmp_path)
    among = {path.name: path for path in lines[0]}
    assert len(alone) == 4
    for file in alone:
        assert hashlib.sha256(file.path.read_bytes()).digest() == hashlib.sha256(among[file.path.name].read_bytes()).digest()
        assert len(gzip.decompress(file.path.read_bytes()).splitlines()) == file.rows


def test_an_extract_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    market = draw_market(world_of("tiny", extract=True), "D67")
    first, second = (write_offers(market, draw_offers(market), tmp_path / name)[0].path for name in ("first", "second"))
    assert first.suffix == ".parquet"
    assert first.read_bytes() == second.read_bytes()


def test_no_number_comes_twice_over_departements(near_and_far: dict[str, tuple[Market, pd.DataFrame]]) -> None:
    numbers = pd.concat([offers["offer"] for _, offers in near_and_far.values()])
    assert numbers.is_unique
    assert numbers.str.fullmatch(r"[1-9]\d\d[A-Z]{4}").all()


def test_a_departement_with_more_offers_than_numbers_is_refused(monkeypatch: pytest.MonkeyPatch, tiny: World) -> None:
    monkeypatch.setattr(drawing, "_STRIDE", 100)
    with pytest.raises(InputError, match=r"D67: .* offers, more than the 100 numbers"):
        draw_offers(draw_market(tiny, "D67"))
