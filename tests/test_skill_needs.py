"""Needs of skills: shares pooled and led on, territories, sums that add up, and what a lot should teach."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from homes import AS_OF as DAY

from features import facts
from features.build import Features
from features.contracts import GradeLimits
from features.demand import DemandParams
from features.exits import link_courses
from features.lazy import empty_dataset, lazy
from features.skill_gaps import place_gaps
from features.skill_shares import SkillShareParams, SkillShares, count_listing, count_steps, follow_shares
from features.skills import ANY, SkillParams, count_skills, skills_of_certifications
from features.sources import SOURCES, files_of
from features.sources.offers import date_versions
from features.tables import OFFERS
from models.purchase import Decided, Plan
from models.skill_grid import Asked, quarters_of
from models.skills import SkillNeedParams, SkillNeeds, skill_needs, skills_of_lots
from needs.home import Home
from needs.run.digest import Digested, write_digest
from needs.run.inputs import Inputs
from needs.run.skills import add_skills, spell_skills, tell_skills
from needs.show.lot_sheets import complete_lots, lots_sheet
from needs.show.messages import say
from needs.store.schema import TABLES, conform, empty
from needs.twin import Drawn

AS_OF = pd.Timestamp(DAY)
PARAMS, COUNTED, DEMAND, NEEDS = SkillShareParams(), SkillParams(), DemandParams(), SkillNeedParams()
LIMITS = GradeLimits(100, 30, 10, 0.2, 0.5)
UNLISTED = pd.DataFrame({"occupation": [], "skill": []}, dtype="str")
QUARTERS, LAST = 24, "2026-03"
Numbers = np.ndarray


def offer(name: str, day: str, **cells: object) -> dict[str, object]:
    usual = {"occupation": "A1101", "contract": "CDI", "seasonal": False, "positions": 1, "skills": "1|2"}
    days = {"created": pd.Timestamp(day), "known_from": pd.Timestamp(day)}
    return {"offer": name, **usual, "territory": "BE4441", "department": "D67", **days, **cells}


def made(*rows: dict[str, object]) -> pd.DataFrame:
    """A table of offers from a few cells of each."""
    kinds = {column.name: column.dtype for column in OFFERS.columns}
    table = pd.DataFrame(list(rows)).reindex(columns=list(kinds)).astype(kinds)
    return date_versions(table.sort_values(["offer", "known_from"], ignore_index=True))


@pytest.fixture(scope="module")
def offers(twin: tuple[Home, Drawn]) -> pd.DataFrame:
    """The offers of the tiny region, with the places that the door gives them."""
    places = facts.communes().set_index("commune")
    found = SOURCES["offers"].read(files_of(twin[0].raw / "offers", SOURCES["offers"])).kept
    commune = found["commune"]
    return found.assign(
        territory=commune.map(places["territory"]).astype("str"),
        department=commune.map(places["department"]).astype("str").where(commune.notna(), found["department"]),
    )


# Counts -----------------------------------------------------------------------------------------------------------------


def stepped(offers: pd.DataFrame, as_of: pd.Timestamp = AS_OF) -> pd.DataFrame:
    return count_steps(lazy(offers), as_of, COUNTED, DEMAND)


def listing_of(offers: pd.DataFrame, as_of: pd.Timestamp = AS_OF) -> pd.DataFrame:
    return count_listing(lazy(offers), facts.communes(), as_of, PARAMS, DEMAND)


def test_an_offer_that_lists_nothing_is_silent_and_quarters_end_with_the_last_full_month() -> None:
    days = ("2026-03-31", "2026-01-01", "2025-12-31", "2026-04-01", "2020-04-01", "2020-03-31")
    rows = [offer(str(k), day, skills=str(k)) for k, day in enumerate(days)]
    found = stepped(made(*rows, offer("none", "2026-03-01", skills=None), offer("empty", "2026-03-01", skills="")))
    told = {(row.skill, row.step): row.offers for row in found.itertuples()}
    assert told == {(ANY, 0): 2, ("0", 0): 1, ("1", 0): 1, (ANY, 1): 1, ("2", 1): 1, (ANY, 23): 1, ("4", 23): 1}


def test_offers_that_list_skills_are_those_that_ask_one_wherever_they_are_spread(offers: pd.DataFrame) -> None:
    steps, listing = stepped(offers), listing_of(offers)
    own = steps[(steps["skill"] == ANY) & (steps["step"] < 4 * PARAMS.local_years)]["offers"].sum()
    assert listing["offers"].sum() == pytest.approx(own, abs=1e-9)
    asked = count_skills(lazy(offers), facts.communes(), AS_OF, COUNTED, DEMAND).query("skill != '' and year < 3")
    quarters = steps[(steps["skill"] != ANY) & (steps["step"] < 12)]
    assert asked["offers"].sum() == pytest.approx(quarters["offers"].sum(), rel=1e-9)


def test_what_was_not_known_yet_and_the_order_of_rows_change_nothing(offers: pd.DataFrame) -> None:
    before = AS_OF - pd.DateOffset(months=7)
    known = date_versions(offers[offers["known_from"] <= before].reset_index(drop=True))
    shuffled = known.sample(frac=1, random_state=3)
    assert len(known) < len(offers)
    for count in (stepped, listing_of):
        pd.testing.assert_frame_equal(count(shuffled, before), count(offers, before), check_exact=True)


def test_without_an_offer_there_is_no_share_and_no_gap() -> None:
    nothing = empty_dataset(OFFERS)
    steps = count_steps(nothing, AS_OF, COUNTED, DEMAND)
    pairs, ahead, learned = follow_shares(steps, UNLISTED, 8, PARAMS)
    counts = count_skills(nothing, facts.communes(), AS_OF, COUNTED, DEMAND)
    listing = count_listing(nothing, facts.communes(), AS_OF, PARAMS, DEMAND)
    assert (len(pairs), len(ahead), learned["strength"].item()) == (0, 0, 0.0)
    assert len(place_gaps(counts, listing, pairs, 1.0, PARAMS)) == 0


# Shares of the Region ---------------------------------------------------------------------------------------------------


class World(NamedTuple):
    """A drawn world: its counts, and the true shares of pairs by quarter, eight of them to come."""

    steps: pd.DataFrame
    truth: Numbers


def draw(seed: int, moving: float, *, pairs: int = 600, offers: int = 60, bundle: int = 1) -> World:
    """Shares that stand still, but for a part of them that climb or fall from some quarter on (logistic)."""
    rng = np.random.default_rng(seed)
    time = np.arange(QUARTERS + 8)
    level = rng.normal(0.0, 1.2, pairs)
    slope = np.where(rng.random(pairs) < moving, rng.choice([-0.25, 0.25], pairs), 0.0)
    since = np.maximum(time[None] - rng.integers(10, 18, pairs)[:, None], 0)
    truth = 1 / (1 + np.exp(-(level[:, None] + slope[:, None] * since)))
    listing = rng.poisson(offers / bundle, (pairs, QUARTERS)) * bundle
    asking = rng.binomial(listing // bundle, truth[:, :QUARTERS]) * bundle
    parts = [frame_of(asking, "7"), frame_of(listing, ANY)]
    return World(pd.concat(parts, ignore_index=True), truth)


def frame_of(counts: Numbers, skill: str) -> pd.DataFrame:
    pair, quarter = np.indices(counts.shape).reshape(2, -1)
    names = np.array([f"A{k:04d}" for k in range(len(counts))])[pair]
    table = pd.DataFrame({"occupation": names, "skill": skill, "step": QUARTERS - 1 - quarter, "offers": counts.ravel()})
    return table.astype({"offers": "float64", "occupation": "str", "skill": "str"}).query("offers > 0")


def year_ahead(world: World, params: SkillShareParams = PARAMS) -> tuple[Numbers, Numbers, Numbers, Numbers, float]:
    """Foretell the second year: truth, what was told, whether the first is within bounds, the plain share of last year."""
    pairs, ahead, learned = follow_shares(world.steps, UNLISTED, 8, params)
    kept = pairs["occupation"].str[1:].astype(int).to_numpy()
    wide = ahead.set_index(["occupation", "ahead"])[["angle", "variance"]].unstack()  # noqa: PD010
    angle = wide["angle"][[5, 6, 7, 8]].mean(axis=1).to_numpy()
    truth = world.truth[kept, QUARTERS + 4 :].mean(axis=1)
    plain = (pairs["asking"] / pairs["n"]).to_numpy()
    first = world.truth[kept, QUARTERS : QUARTERS + 4].mean(axis=1)
    at, doubt = (wide[name][[1, 2, 3, 4]].mean(axis=1).to_numpy() for name in ("angle", "variance"))
    inside = np.abs(np.arcsin(np.sqrt(first)) - at) <= 1.2816 * np.sqrt(doubt)
    return truth, np.sin(angle) ** 2, inside, plain, learned["strength"].item()


def test_noise_is_no_trend() -> None:
    world = draw(1, 0.0)
    truth, told, inside, plain, _ = year_ahead(world)
    pairs, ahead, learned = follow_shares(world.steps, UNLISTED, 8, PARAMS)
    assert np.abs(told - truth).mean() < 0.5 * np.abs(plain - truth).mean()
    assert learned["still"].item() > 0.9
    change = ahead.groupby("occupation")["angle"].agg(["first", "last"])
    assert (change["last"] - change["first"]).abs().mean() < 0.005
    assert inside.mean() >= 0.75
    assert pairs["moving"].lt(0.5).mean() > 0.97


@pytest.mark.parametrize("seed", [2, 3])
def test_what_moves_is_led_on_better_than_it_stands(seed: int) -> None:
    world = draw(seed, 0.3, offers=120)
    truth, told, inside, plain, strength = year_ahead(world)
    assert np.abs(told - truth).mean() < 0.6 * np.abs(plain - truth).mean()
    assert 0.5 < strength <= 1.0
    assert 0.75 <= inside.mean() <= 0.97


def test_trends_that_turned_back_each_time_have_no_strength() -> None:
    """Shares that rise for a year and then fall for one: at every past origin, a trend led the wrong way."""
    time = np.arange(QUARTERS)
    wave = 0.5 + 0.15 * (2 / np.pi) * np.arcsin(np.sin(2 * np.pi * (time - 1.5) / 8))
    rng = np.random.default_rng(4)
    listing = np.full((200, QUARTERS), 400)
    asking = rng.binomial(listing, np.where(np.arange(200)[:, None] < 60, wave, 0.4))
    steps = pd.concat([frame_of(asking, "7"), frame_of(listing, ANY)], ignore_index=True)
    _, ahead, learned = follow_shares(steps, UNLISTED, 4, PARAMS)
    assert learned["strength"].item() < 0.3
    assert learned["still"].item() < 0.8
    change = ahead.groupby("occupation")["angle"].agg(["first", "last"])
    assert (change["last"] - change["first"]).abs().max() < 0.1


def test_offers_in_bundles_are_seen_as_such() -> None:
    for bundle in (1, 3):
        found = follow_shares(draw(5, 0.0, bundle=bundle).steps, UNLISTED, 1, PARAMS)[2]
        assert found["dispersion"].item() == pytest.approx(bundle, rel=0.15)


def test_an_occupation_without_offers_has_the_skills_that_the_rome_lists() -> None:
    world = draw(6, 0.0, pairs=80)
    names = sorted(world.steps["occupation"].unique())
    listed = pd.DataFrame({"occupation": [*names[:40], "Z9999"], "skill": ["7"] * 41}, dtype="str")
    pairs = follow_shares(world.steps, listed, 1, PARAMS)[0].set_index("occupation")
    assert pairs.loc["Z9999", ["n", "borrowed"]].tolist() == pytest.approx([0.0, 1.0])
    usual = world.truth[:40].mean()
    assert np.sin(pairs.loc["Z9999", "angle"]) ** 2 == pytest.approx(usual, abs=0.1)
    assert "Z9999" not in follow_shares(world.steps, UNLISTED, 1, PARAMS)[0]["occupation"].to_numpy()


def test_the_order_of_counts_changes_nothing() -> None:
    world = draw(7, 0.2, pairs=50)
    for one, other in zip(
        follow_shares(world.steps, UNLISTED, 3, PARAMS),
        follow_shares(world.steps.sample(frac=1, random_state=1), UNLISTED, 3, PARAMS),
        strict=True,
    ):
        pd.testing.assert_frame_equal(one, other, check_exact=True)


# Territories ------------------------------------------------------------------------------------------------------------

PLACES = [("BE4401", "D67"), ("BE4402", "D67"), ("BE4403", "D68"), ("BE4404", "D68")]


def local(apart: float, seed: int = 1, pairs: int = 200) -> tuple[pd.DataFrame, pd.DataFrame, Numbers]:
    """Counts and listing of four bassins, whose angles differ from the Region's by so much; the true shares."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0.4, 1.1, pairs)
    truth = np.sin(angle + rng.normal(0, apart, (len(PLACES), pairs))) ** 2
    counts, listing = [], []
    for (territory, department), shares in zip(PLACES, truth, strict=True):
        for year in range(3):
            offers = rng.poisson(12, pairs) + 1
            own = pd.DataFrame({"occupation": [f"A{k:04d}" for k in range(pairs)], "year": year}).assign(
                territory=territory, department=department
            )
            counts.append(own.assign(skill="7", offers=rng.binomial(offers, shares).astype(float)))
            listing.append(own.assign(offers=offers.astype(float)))
    return pd.concat(counts, ignore_index=True), pd.concat(listing, ignore_index=True), truth


def pairs_of(counts: pd.DataFrame) -> pd.DataFrame:
    found = counts[["occupation", "skill"]].drop_duplicates().sort_values(["occupation", "skill"], ignore_index=True)
    return found.astype("str").assign(borrowed=0.1, angle=0.7, variance=0.001)


def test_territories_that_do_not_differ_borrow_all() -> None:
    counts, listing, _ = local(0.0)
    gaps = place_gaps(counts, listing, pairs_of(counts), 1.0, PARAMS)
    assert gaps.loc[gaps["territory"] != "R44", "borrowed"].min() > 0.85
    assert gaps["gap"].abs().mean() < 0.01
    assert gaps.groupby("territory")["n"].sum()["R44"] == listing.query("year == 0")["offers"].sum()


def test_territories_that_differ_are_told_better_than_raw_and_than_the_region() -> None:
    counts, listing, truth = local(0.12)
    gaps = place_gaps(counts, listing, pairs_of(counts), 1.0, PARAMS)
    bassins = gaps[gaps["territory"].str.startswith("BE")]
    sums = [frame.groupby(["territory", "occupation"])["offers"].sum().unstack().to_numpy() for frame in (counts, listing)]  # noqa: PD010
    raw, whole = sums[0] / sums[1], sums[0].sum(0) / sums[1].sum(0)
    told = np.sin(np.arcsin(np.sqrt(whole)) + bassins["gap"].to_numpy().reshape(raw.shape)) ** 2
    error = [np.abs(of - truth).mean() for of in (told, raw, np.broadcast_to(whole, raw.shape))]
    assert error[0] < 0.96 * error[1]
    assert error[0] < 0.8 * error[2]
    assert 0 < bassins["borrowed"].median() < 0.5


def test_gaps_have_no_order_of_rows_and_no_year_too_old() -> None:
    counts, listing, _ = local(0.1, pairs=30)
    whole = place_gaps(counts, listing, pairs_of(counts), 1.2, PARAMS)
    old = pd.concat([counts, counts.assign(year=4, offers=99.0)]).sample(frac=1, random_state=2)
    again = place_gaps(old, listing.sample(frac=1, random_state=3), pairs_of(counts), 1.2, PARAMS)
    pd.testing.assert_frame_equal(whole, again, check_exact=True)


# Needs ------------------------------------------------------------------------------------------------------------------

MONTHS = [str(month) for month in pd.period_range("2024-01", LAST, freq="M")]
AHEAD = [str(month) for month in pd.period_range("2026-04", "2028-06", freq="M")]
SHARES = {("A1101", "1"): 0.5, ("A1101", "2"): 0.2, ("A1201", "1"): 0.8}
NO_NEWS = pd.DataFrame({name: [] for name in ("kind", "territory", "code", "state")}, dtype="str").assign(
    score=np.array([]), false_alarms=np.array([])
)


def known(shares: dict[tuple[str, str], float], *, variance: float = 0.0, territories: tuple[str, ...] = ()) -> Asked:
    """Shares that are the same for ever, everywhere."""
    pairs = pd.DataFrame(sorted(shares), columns=["occupation", "skill"], dtype="str")
    angle = np.arcsin(np.sqrt([shares[key] for key in sorted(shares)]))
    pairs = pairs.assign(angle=angle, variance=variance)
    ahead = pd.concat([pairs.assign(ahead=step) for step in range(12)]).sort_values(
        ["occupation", "skill", "ahead"], ignore_index=True
    )
    gaps = [pairs.assign(territory=name, gap=0.0, borrowed=0.3, asking=5.0, variance=0.0) for name in sorted(territories)]
    return Asked(pairs, ahead, pd.concat(gaps or [pairs[:0].assign(territory="", gap=0.0, borrowed=0.3, asking=5.0)]), NO_NEWS)


def forecast(needs: dict[tuple[str, str], float], *, months: list[str] = AHEAD, half: float = 0.0) -> pd.DataFrame:
    rows = [(territory, code, month, need) for (territory, code), need in needs.items() for month in months]
    table = pd.DataFrame(rows, columns=["territory", "occupation", "period", "need"])
    bounds = {"low": table["need"] - half, "high": table["need"] + half}
    return table.assign(value=table["need"], **bounds, coverage=1.0, coverage_low=1.0, coverage_high=1.0)


def told_of(
    needs: dict[tuple[str, str], float], asked: Asked, *, half: float = 0.0, params: SkillNeedParams = NEEDS
) -> SkillNeeds:
    return skill_needs(forecast(needs, half=half), forecast(needs, months=MONTHS), asked, params, LIMITS)


HERE = {("BE4401", "A1101"): 10.0, ("BE4401", "A1201"): 5.0, ("BE4401", "B1101"): 2.0}


def test_a_recruitment_counts_once_for_each_skill_that_it_asks() -> None:
    found = told_of(HERE, known(SHARES, territories=("BE4401",)))
    assert found.needs["period"].unique().tolist() == ["2026", "2027"]
    year = found.needs.query("period == '2027'").set_index("skill")
    assert year["value"].to_dict() == pytest.approx({"1": 12 * (5 + 4), "2": 12 * 2})
    assert (year["of_need"] == 12 * 17).all()
    assert year["growth"].to_numpy() == pytest.approx(0.0)
    assert year["n"].to_dict() == {"1": 10.0, "2": 5.0}
    mass = found.mass.query("period == '2027'").iloc[0]
    numbers = {"need": 204.0, "silent": 24.0, "asked": 132.0, "told": 132.0, "skills_each": 132 / 180}
    assert mass[list(numbers)].to_dict() == pytest.approx(numbers)


def test_what_is_too_little_to_have_a_row_is_stated() -> None:
    found = told_of(HERE, known(SHARES, territories=("BE4401",)), params=NeedsOf(least_need=30.0))
    assert set(found.needs["skill"]) == {"1"}
    assert (found.mass["asked"] - found.mass["told"]).to_numpy() == pytest.approx(24.0)


def NeedsOf(**cells: float) -> SkillNeedParams:  # noqa: N802
    return NEEDS.model_copy(update=cells)


def test_growth_is_not_told_of_little() -> None:
    found = told_of(HERE, known(SHARES, territories=("BE4401",)), params=NeedsOf(growth_from=100.0)).needs
    assert found.groupby("skill")["growth"].apply(lambda of: bool(of.isna().all())).to_dict() == {"1": False, "2": True}


def test_a_place_of_which_nothing_is_known_borrows_all_of_it() -> None:
    found = told_of(HERE, known(SHARES)).needs
    assert (found["borrowed"] == 1.0).all()
    assert (found["n"] == 0).all()
    assert (found["grade"] == "D").all()


def test_levels_add_up_skill_by_skill() -> None:
    cells = {("BE4401", "D67"): 3.0, ("BE4402", "D67"): 7.0, ("BE4403", "D68"): 2.0}
    needs: dict[tuple[str, str], float] = {}
    for (bassin, department), size in cells.items():
        for level in (bassin, department, "R44"):
            for code, part in (("A1101", size), ("A1201", 10 - size)):
                needs[level, code] = needs.get((level, code), 0.0) + part
    places = tuple({name for name, _ in needs})
    asked = known(SHARES, territories=places)
    tilted = asked.gaps.assign(gap=asked.gaps["territory"].str[-1].astype(int) / 50)
    found = told_of(needs, Asked(asked.pairs, asked.ahead, tilted, NO_NEWS), params=NeedsOf(least_need=0.0)).needs
    sums = found.assign(level=found["territory"].str[0]).groupby(["skill", "period", "level"])["value"].sum().unstack()  # noqa: PD010
    assert sums["B"].to_numpy() == pytest.approx(sums["R"].to_numpy(), rel=1e-12)
    assert sums["D"].to_numpy() == pytest.approx(sums["R"].to_numpy(), rel=1e-12)
    assert (found["low"] <= found["value"]).all()
    assert (found["value"] <= found["high"]).all()


@pytest.mark.parametrize(("need", "half", "variance"), [(4.0, 0.5, 0.0), (40.0, 5.0, 0.01)])
def test_doubt_of_need_and_of_share_both_widen_and_more_need_gives_more(need: float, half: float, variance: float) -> None:
    def width(half: float, variance: float, need: float = need) -> tuple[float, float]:
        asked = known(SHARES, variance=variance, territories=("BE4401",))
        row = told_of({("BE4401", "A1101"): need}, asked, half=half, params=NeedsOf(least_need=0.0)).needs.query("skill == '1'")
        return float((row["high"] - row["low"]).iloc[-1]), float(row["value"].iloc[-1])

    assert width(0.0, 0.0)[0] == pytest.approx(0.0, abs=1e-6)
    wide, value = width(half, variance)
    assert wide >= -1e-9
    # far wider than the need, a gamma law leans on zero and its 80 % shrink again
    if half + 1 < need:
        assert width(half + 1, variance)[0] > wide
        assert width(half, variance + 0.01)[0] > wide
    assert width(half, variance, 2 * need)[1] == pytest.approx(2 * value)


def test_the_order_of_forecasts_changes_nothing() -> None:
    asked = known(SHARES, territories=("BE4401",))
    rows, past = forecast(HERE, half=2.0), forecast(HERE, months=MONTHS)
    found = skill_needs(rows, past, asked, NEEDS, LIMITS)
    again = skill_needs(rows.sample(frac=1, random_state=1), past.sample(frac=1, random_state=2), asked, NEEDS, LIMITS)
    pd.testing.assert_frame_equal(found.needs, again.needs, check_exact=True)
    pd.testing.assert_frame_equal(found.mass, again.mass, check_exact=True)


def test_months_that_move_together_make_a_year_less_sure() -> None:
    asked, rows = known(SHARES, territories=("BE4401",)), forecast(HERE, half=2.0)
    past = forecast(HERE, months=MONTHS)
    rng = np.random.default_rng(1)
    apart = past.assign(need=past["need"] + rng.normal(0, 1, len(past)))
    together = past.assign(need=past["need"] + past["period"].str[:4].map({"2024": -1.0, "2025": 1.0, "2026": 1.0}))
    one, other = (skill_needs(rows, of, asked, NEEDS, LIMITS).needs for of in (apart, together))
    last = one["period"] == "2027"
    assert ((other["high"] - other["low"]) > 2 * (one["high"] - one["low"]))[last].all()


def test_no_whole_year_ahead_gives_no_row_and_every_column() -> None:
    asked = known(SHARES, territories=("BE4401",))
    full = told_of(HERE, asked)
    none = skill_needs(forecast(HERE, months=AHEAD[:3]), forecast(HERE, months=MONTHS[:3]), asked, NEEDS, LIMITS)
    assert (len(none.needs), len(none.mass)) == (0, 0)
    assert (set(none.needs), set(none.mass)) == (set(full.needs), set(full.mass))


def test_what_emerges_is_told_with_its_false_alarms_and_with_whose_it_is() -> None:
    asked = known(SHARES, territories=("BE4401",))
    news = pd.DataFrame(
        {"kind": "skill", "territory": "R44", "code": ["1", "2"], "state": ["emerging", "declining"], "score": [4.0, -5.0]}
    ).assign(false_alarms=0.05)
    found = told_of(HERE, Asked(asked.pairs, asked.ahead, asked.gaps, news)).needs.query("period == '2027'")
    assert found.set_index("skill")["emerging"].to_dict() == {"1": 1.0, "2": -1.0}
    assert (found["emerging_of"] == "R44").all()
    assert (found["false_alarms"] == 0.05).all()
    assert told_of(HERE, asked).needs["emerging"].isna().all()


# Lots -------------------------------------------------------------------------------------------------------------------


def lots(certification: str = "9") -> pd.DataFrame:
    rows = [("L1", "BE4401", certification, "A1101", 0.5), ("L1", "BE4401", certification, "A1201", 1.0)]
    return pd.DataFrame(rows, columns=["lot_id", "territory", "certification", "occupation", "weight"])


TITLES = pd.DataFrame({"skill": ["1"], "title": ["Accueillir"]}, dtype="str")
NAMED = pd.DataFrame({"certification": ["9"], "skill": ["1"]}, dtype="str")


def taught(targets: pd.DataFrame, needs: dict[tuple[str, str], float] = HERE, keep: int = 15) -> pd.DataFrame:
    asked = known(SHARES, territories=("BE4401",))
    rows = forecast(needs, months=AHEAD[3:15])
    return skills_of_lots(targets, NAMED, rows, asked, last=LAST, params=NeedsOf(lot_skills=keep))


def test_a_lot_should_teach_what_is_most_needed_and_says_what_its_certification_names() -> None:
    found = taught(lots())
    assert found[["rank", "skill"]].to_numpy().tolist() == [[1, "1"], [2, "2"]]
    assert found["need"].tolist() == pytest.approx([12 * (0.5 * 10 * 0.5 + 5 * 0.8), 12 * 0.5 * 10 * 0.2])
    assert found["share"].tolist() == pytest.approx([6.5 / 10, 1 / 10])
    assert found["named"].tolist() == [True, False]
    told = {lot: json.loads(text) for lot, text in spell_skills(found, TITLES).items()}
    assert told == {"L1": [["1", 0.65, 1, "Accueillir"], ["2", 0.1, 0, "2"]]}
    assert len(taught(lots(), keep=1)) == 1


def test_a_certification_of_which_nothing_is_known_marks_nothing() -> None:
    found = taught(lots(""))
    assert found["named"].isna().all()
    assert json.loads(spell_skills(found, TITLES)["L1"])[0][2] is None


def test_a_lot_where_nobody_recruits_has_the_skills_most_asked_and_one_elsewhere_has_none() -> None:
    idle = taught(lots(), dict.fromkeys(HERE, 0.0))
    assert idle["need"].tolist() == [0.0, 0.0]
    assert idle["share"].tolist() == pytest.approx([(0.25 + 0.8) / 1.5, 0.1 / 1.5])
    assert taught(lots().assign(territory="BE9999")).empty
    assert spell_skills(taught(lots().assign(territory="BE9999")), TITLES).empty


def test_a_certification_names_what_the_rome_lists_for_its_occupations() -> None:
    led_to = pd.DataFrame({"certification": ["9", "9", "8"], "occupation": ["A1101", "A1201", "A1201"]}, dtype="str")
    held = pd.DataFrame({"occupation": ["A1101", "A1201", "A1202"], "skill": ["1", "2", "3"]}, dtype="str")
    found = skills_of_certifications(led_to, held)
    assert found.to_numpy().tolist() == [["8", "2"], ["9", "1"], ["9", "2"]]


def test_observed_months_count_as_the_last_quarter_seen() -> None:
    assert quarters_of(AHEAD[:3], LAST) == {1: 1.0}
    assert quarters_of([*MONTHS[-3:], *AHEAD[:9]], LAST) == {0: 0.25, 1: 0.25, 2: 0.25, 3: 0.25}


# In a run ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def unskilled(features: Features) -> Features:
    """The tiny region, had no offer ever listed a skill."""
    nothing = empty_dataset(OFFERS)
    steps = count_steps(nothing, AS_OF, COUNTED, DEMAND)
    counts = count_skills(nothing, facts.communes(), AS_OF, COUNTED, DEMAND)
    listing = count_listing(nothing, facts.communes(), AS_OF, PARAMS, DEMAND)
    pairs, ahead, learned = follow_shares(steps, UNLISTED, 8, PARAMS)
    shares = SkillShares(pairs, ahead, place_gaps(counts, listing, pairs, 1.0, PARAMS), learned)
    return replace(features, skill_shares=shares, novelty=features.novelty.iloc[:0])


def planned(published: dict[str, pd.DataFrame]) -> Plan:
    lots, rejected = (published[name].drop(columns="skills") for name in ("lots", "rejected_lots"))
    return Plan(2027, lots, rejected, pd.DataFrame(), 0.0, Decided([], 0.0), pd.Series(dtype="float64"))


def test_a_run_tells_of_whole_years_at_every_level_and_they_add_up(published: dict[str, pd.DataFrame]) -> None:
    needs = published["skill_needs"]
    assert not needs.duplicated(["territory", "skill", "period"]).any()
    months = published["forecasts"]["period"]
    assert set(needs["period"]) == {"2026", "2027"}
    assert months.max() >= "2027-12"
    year = published["forecasts"].query("period.str.startswith('2027')").groupby("territory")["need"].sum()
    of_need = needs[needs["period"] == "2027"].groupby("territory")["of_need"].agg(["min", "max"])
    for end in ("min", "max"):
        assert of_need[end].to_dict() == pytest.approx(year[of_need.index].to_dict())
    levels = needs.assign(level=needs["territory"].str[0]).groupby(["level", "period"])["value"].sum().unstack("level")  # noqa: PD010
    assert (levels["B"] <= levels["R"] * (1 + 1e-9)).all()
    assert levels["B"].to_numpy() == pytest.approx(levels["R"].to_numpy(), rel=0.1)  # what is too little has no row
    mass = published["digest"].query("topic == 'skills'")
    assert mass["figure"].tolist() == pytest.approx([levels.loc["2027", "R"]], rel=0.01)


def test_lots_of_a_run_say_what_to_teach_in_words(
    published: dict[str, pd.DataFrame], inputs: Inputs, features: Features
) -> None:
    lots = published["lots"]
    told = {row.lot_id: json.loads(row.skills) for row in lots[lots["skills"].notna()].itertuples()}
    assert len(told) > 0
    titles = inputs.tables.skills.set_index("skill")["title"].to_dict()
    for cells in told.values():
        shares = [share for _, share, _, _ in cells]
        assert shares == sorted(shares, reverse=True)
        assert all(0 <= share <= 1 for share in shares)
        assert all(title == titles[code] for code, _, _, title in cells)
    considered = pd.concat([lots["skills"], published["rejected_lots"]["skills"]]).dropna()
    assert {mark for cells in considered for _, _, mark, _ in json.loads(cells)} == {0, 1, None}
    certified = set(link_courses(features.crosswalks).query("kind == 'CERTIFINFO'")["code"])
    unknown = lots[lots["lot_id"].isin([lot for lot, cells in told.items() if cells[0][2] is None])]
    assert not set(unknown["certification"]) & certified
    whole = {name: empty(name) for name in TABLES} | {"lots": conform("lots", lots)}
    rows = lots_sheet("lots", complete_lots("lots", whole), inputs.exercise, "fr").rows.set_index("lot_id")["skills"]
    for lot, cells in told.items():
        for (_, _, mark, title), text in zip(cells, rows[lot].split("; "), strict=False):
            assert text.startswith(title)
            assert {0: "non nommée", 1: "nommée par", None: ""}[mark] in text


def test_a_lot_should_teach_the_same_bought_or_not_and_whatever_the_order(
    published: dict[str, pd.DataFrame], inputs: Inputs, features: Features
) -> None:
    plan, served = planned(published), published["forecasts"].query("territory.str.startswith('BE')")
    served = served[served["period"].isin(inputs.served)]
    swapped = replace(plan, lots=plan.rejected.sample(frac=1, random_state=1), rejected=plan.lots)
    found = add_skills(swapped, served.sample(frac=1, random_state=2), features, inputs.tables, NEEDS)
    for name, frame in (("lots", found.rejected), ("rejected_lots", found.lots)):
        expected = published[name].set_index("lot_id")["skills"].sort_index()
        pd.testing.assert_series_equal(frame.set_index("lot_id")["skills"].sort_index(), expected)


def test_where_no_offer_lists_a_skill_nothing_is_told_and_it_is_said(
    published: dict[str, pd.DataFrame], inputs: Inputs, unskilled: Features
) -> None:
    forecasts = published["forecasts"]
    told = tell_skills(forecasts, unskilled, NEEDS, LIMITS)
    assert len(told.needs) == 0
    assert set(told.needs) == set(published["skill_needs"])
    year = told.mass.query("period == '2027' and territory == 'R44'").iloc[0]
    assert (year["need"], year["asked"]) == (pytest.approx(year["silent"]), 0.0)
    plan = planned(published)
    without = add_skills(plan, forecasts[forecasts["period"].isin(inputs.served)], unskilled, inputs.tables, NEEDS)
    assert without.lots["skills"].isna().all()
    assert without.rejected["skills"].isna().all()
    conform("lots", without.lots)
    blank = pd.DataFrame({name: [] for name in ("grain", "moved", "outcome", "horizon_months", "value")})
    digested = Digested(inputs.tables, unskilled, published, blank, told.mass, plan, blank, blank, 0.0, blank, inputs.door, 0)
    messages = write_digest(digested, inputs.params)["message"]
    assert say("digest.silence.skills", "fr") in set(messages)
