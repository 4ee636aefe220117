"""What training added, once effects are known: what seats cost, what was bought, whom scores move, what rules are worth."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from sklearn.linear_model import RidgeCV

from features.build import GradeParams
from features.signs import SECTOR, SIGNS
from models.action_scores import ActionParams, explain, score_actions
from models.doubly_robust import ComparisonParams
from models.effects import Effects, no_effects
from models.feedback import score_courses
from models.gap import TOLD
from models.personal import PersonalParams, audit, learn_personal
from models.policy import PolicyParams, judge_policies, place_costs
from models.ranking import KEY, Known, RankingParams, rank_options
from models.seat_costs import STEPS, follow_seats

LIMITS = GradeParams().limits()
SEED = 11
CHAIN = pd.DataFrame(
    {
        "action_type": ["", "certification", "langue"],
        "run": [1.0, 0.9, 1.0], "fill": [0.8, 0.8, 0.5], "completion": [0.9, 0.75, 0.9], "certification": [0.0, 0.8, 0.0],
    }
)  # fmt: skip


def told_effects(**values: float) -> pd.DataFrame:
    """Effects on durable work at twelve months by sector of certification; ``all`` is the type's."""
    rows = [("" if sector == "all" else sector.removeprefix("s"), value) for sector, value in values.items()]
    frame = pd.DataFrame(rows, columns=["sector", "value"]).assign(
        action_type="certification",
        group="all",
        outcome="durable",
        horizon_months=12,
        n=200.0,
        borrowed=0.1,
        grade="A",
        lowered="",
    )
    return frame.assign(low=frame["value"] - 0.02, high=frame["value"] + 0.02)


def options(**changes: object) -> pd.DataFrame:
    rows = pd.DataFrame({"sector": ["230", "152"], "action_type": ["certification", "langue"], "level": ["4", ""]})
    return rows.assign(place_eur=[4000.0, 2000.0], group_paid=[True, True]).assign(**changes)


def rates(work: float = 0.6, durable: float = 0.5) -> pd.DataFrame:
    rows = pd.DataFrame({"outcome": ["work", "durable"], "value": [work, durable]})
    return rows.assign(
        territory="R44", sector="230", action_type="certification", level="4", public="tout_public", horizon_months=12
    )


# What a seat costs --------------------------------------------------------------------------------------------------------


def test_a_seat_goes_through_its_steps_and_each_cost_is_the_seats_over_its_share():
    told = follow_seats(options(), CHAIN, rates(), told_effects(all=0.03, s230=0.05), 12).set_index("sector").loc["230"]
    fill = 0.9 * 0.8
    expected = {
        "entered": fill, "finished": fill * 0.75, "certified": fill * 0.75 * 0.8,
        "working": fill * 0.6, "durable": fill * 0.5, "added": fill * 0.05,
    }  # fmt: skip
    assert {step: told[step] for step in STEPS} == pytest.approx(expected)
    assert told["seat_eur"] == pytest.approx(4000 * 0.9)
    assert all(told[f"{step}_eur"] * told[step] == pytest.approx(told["seat_eur"]) for step in STEPS)


def test_an_empty_seat_costs_as_much_as_a_full_one_only_where_the_group_is_paid():
    emptier = CHAIN.assign(fill=CHAIN["fill"] / 2)
    for by_group in (True, False):
        full, half = (
            follow_seats(options(group_paid=by_group), chain, rates(), told_effects(all=0.05), 12) for chain in (CHAIN, emptier)
        )
        ratio = half["entered_eur"] / full["entered_eur"]
        assert ratio.to_numpy() == pytest.approx(2.0 if by_group else 1.0)
        assert (half["seat_eur"] / full["seat_eur"]).to_numpy() == pytest.approx(1.0 if by_group else 0.5)


def test_what_nothing_tells_has_no_cost_and_harm_has_none_either():
    told = follow_seats(options(), CHAIN, rates(), told_effects(s230=-0.02), 12).set_index("sector")
    assert told.loc["230", "added"] < 0
    assert pd.isna(told.loc["230", "added_eur"])
    assert told.loc["152", ["working", "durable", "added", "added_eur"]].isna().all()
    assert told.loc["152", "certified"] == 0


# What was bought ----------------------------------------------------------------------------------------------------------


def gains(*lots: tuple[str, int, float]) -> pd.DataFrame:
    """Entrants of lots: how many, and what they gained beyond the promise of 0.05."""
    rng = np.random.default_rng(SEED)
    rows = [
        pd.DataFrame({"lot": lot, "gain": 0.05 + beyond + rng.normal(0, 0.45, size), "reached": rng.random(size) < 0.5})
        for lot, size, beyond in lots
    ]
    told = pd.concat(rows, ignore_index=True).assign(
        action_type="certification", sector="230", promised=0.05, promised_error=0.01
    )
    return told.astype({"reached": "float64"})


LOTS = pd.DataFrame({"lot": ["good", "poor", "few", "near"], "provider": ["P1", "P2", "P3", "P3"]})


def test_a_lot_is_held_against_its_promise_and_leans_on_it():
    told = score_courses(gains(("good", 400, 0.2), ("poor", 400, -0.2), ("near", 400, 0.0)), LOTS, LIMITS, 10)
    lots = told[told["kind"] == "lot"].set_index("code")
    own = lots["promised"] + lots["beyond"]
    between = lots["value"].between(np.minimum(own, lots["promised"]) - 1e-12, np.maximum(own, lots["promised"]) + 1e-12)
    assert between.all()
    assert list(lots["value"].sort_values().index) == ["poor", "near", "good"]
    assert lots.loc["good", "low"] > 0.05 > lots.loc["poor", "high"]
    assert lots["rank"].isna().all()
    assert told[told["kind"] == "provider"].set_index("code")["rank"].to_dict() == {"P1": 1, "P3": 2, "P2": 3}


def test_nothing_is_told_or_ranked_of_fewer_trainees_than_the_smallest_cell():
    told = score_courses(gains(("good", 30, 0.2), ("few", 9, 0.5)), LOTS, LIMITS, 10)
    assert set(told["code"]) == {"good", "P1"}
    both = score_courses(gains(("few", 9, 0.5), ("near", 9, 0.5)), LOTS, LIMITS, 10)
    assert set(both["code"]) == {"P3"}, "a provider counts the trainees of all its lots"


def test_a_high_raw_rate_alone_earns_no_score():
    """Two lots reach the same beyond people alike; one let in people who would have got there anyway."""
    told = gains(("good", 300, 0.0), ("poor", 300, 0.0))
    told["reached"] = told["lot"].map({"good": 0.9, "poor": 0.3})
    scored = score_courses(told, LOTS, LIMITS, 10).query("kind == 'lot'").set_index("code")
    assert scored.loc["good", "raw_rate"] - scored.loc["poor", "raw_rate"] == pytest.approx(0.6)
    assert abs(scored.loc["good", "value"] - scored.loc["poor", "value"]) < 0.05


def test_scores_of_courses_do_not_depend_on_the_order_of_rows():
    told = gains(("good", 40, 0.2), ("poor", 40, -0.2))
    assert_frame_equal(
        score_courses(told.sample(frac=1, random_state=1), LOTS, LIMITS, 10), score_courses(told, LOTS, LIMITS, 10)
    )
    assert score_courses(told.head(0), LOTS, LIMITS, 10).empty


# Whom scores move ---------------------------------------------------------------------------------------------------------


@cache
def people(size: int = 3000, *, helped: float = 0.0, of: str = "level", seed: int = SEED) -> pd.DataFrame:
    """People at a start, a third of whom entered a certification; those whose trait is high are helped so much more."""
    rng = np.random.default_rng(seed)
    entered = rng.random(size) < 1 / 3
    rows = pd.DataFrame(
        {
            "person": [f"p{number:05d}" for number in range(size)],
            "start": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, size), unit="D"),
            "arm": np.where(entered, "entered", "listed"),
            "action_type": pd.array(np.where(entered, "certification", None), dtype="str"),
            "formacode": pd.array(np.where(entered, "23026", None), dtype="str"),
            "lot": pd.array(np.where(entered, "L1", None), dtype="str"),
            "session": pd.array(np.where(entered, "S1", None), dtype="str"),
            "sex": rng.choice(["H", "F"], size), "age": rng.integers(18, 60, size).astype(float),
            "level": pd.array(rng.integers(1, 7, size), dtype="Int64"),
            "wanted": "K1304", "wanted_2": None, "last_occupation": "K1304", "department": "D67", "territory": "BE4441",
            "unemployed_months": rng.integers(0, 40, size).astype(float), "worked_m1_12": rng.uniform(0, 12, size),
            "worked_m13_24": rng.uniform(0, 12, size), "worked_m25_36": rng.uniform(0, 12, size),
            **{flag: pd.array(rng.random(size) < 0.3, dtype="boolean") for flag in ("rsa", "qpv", "th", "neet", "licence")},
            "detained": pd.array(np.zeros(size, dtype=bool), dtype="boolean"),
            "lone_parent": pd.array(rng.random(size) < 0.1, dtype="boolean"),
            "mobility_km": 30.0, "place_tightness": 0.0, "wanted_tightness": 0.0, "wanted_trained": False,
            "next_entry": np.nan, "first_job": np.nan, "weight": 1.0,
        }
    )  # fmt: skip
    high = (rows["level"] > 3).to_numpy() if of == "level" else (rows["sex"] == "F").to_numpy()
    chance = 0.4 + entered * (0.1 + helped * np.where(high, 1.0, -1.0))
    return rows.assign(asked_12=True, durable_12=(rng.random(size) < chance).astype("float64"), work_12=0.0)


def effects_of(starts: pd.DataFrame) -> Effects:
    entered = starts[starts["arm"] == "entered"]
    told = entered[["person", "start", "lot", "session", "action_type"]].assign(
        sector="230", reached=entered["durable_12"], promised=0.1, promised_error=0.01, gain=entered["durable_12"] - 0.4
    )
    return Effects(told_effects(all=0.1, s230=0.12), told, pd.DataFrame())


def test_who_gains_more_is_told_more_and_the_mean_stays_the_effect():
    starts = people(helped=0.2)
    moves = learn_personal(starts, effects_of(starts), PersonalParams()).moves(starts)["certification"]
    high = (starts["level"] > 3).to_numpy()
    assert moves[high].mean() - moves[~high].mean() > 0.2
    assert moves[(starts["arm"] == "entered").to_numpy()].mean() == pytest.approx(0.0, abs=1e-6)


def learned_and_trusted(helped: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Moves as traits alone tell them, and as they are told once people held out were asked; one per person."""
    starts = people(helped=helped, seed=seed)
    effects = effects_of(starts)
    personal, entered = learn_personal(starts, effects, PersonalParams()), starts[starts["arm"] == "entered"]
    beyond = (effects.gains["gain"] - effects.gains["promised"]).to_numpy()
    alone = RidgeCV(np.logspace(1, 6, 11)).fit(personal.describe(entered), beyond - beyond.mean())
    return alone.predict(personal.describe(starts)), personal.moves(starts)["certification"].to_numpy()


@pytest.mark.parametrize(("helped", "least", "most"), [(0.0, 0.0, 1.0), (0.05, 0.0, 1.0), (0.2, 0.8, 1.0)])
def test_nobody_is_moved_farther_than_traits_tell_and_a_strong_sign_keeps_most_of_it(helped: float, least: float, most: float):
    for seed in range(4):
        alone, told = learned_and_trusted(helped, seed)
        part = float(told @ alone) / float(alone @ alone)
        np.testing.assert_allclose(told, part * alone, atol=1e-9, err_msg="everybody is trusted alike")
        assert least <= part <= most + 1e-9


def test_where_nobody_gains_more_nearly_nobody_is_moved():
    alone, told = (np.array(each) for each in zip(*(learned_and_trusted(0.0, seed) for seed in range(8)), strict=True))
    assert told.std(axis=1).mean() < 0.01, "of an effect of 0.1"
    assert (told.std(axis=1) == 0).sum() >= 4, "people held out bear nothing out, or too little to be sure"
    assert told.std(axis=1).mean() < alone.std(axis=1).mean()


def test_scores_never_look_at_what_is_excluded():
    """Not even where it would tell: the gain hangs on the sex alone."""
    starts = people(helped=0.25, of="sex")
    personal = learn_personal(starts, effects_of(starts), PersonalParams())
    rng = np.random.default_rng(1)
    others = starts.assign(
        sex=rng.permutation(starts["sex"]), age=rng.permutation(starts["age"]),
        th=rng.permutation(starts["th"]), qpv=rng.permutation(starts["qpv"]),
    )  # fmt: skip
    assert_frame_equal(personal.moves(others), personal.moves(starts))
    seeing = learn_personal(starts, effects_of(starts), PersonalParams(excluded=()))
    told = audit(seeing.moves(starts), starts, ("sex",), 10).set_index("group")["moved"]
    assert told["sex=F"] - told["sex=H"] > 0.2, "the audit shows what a score that may look would do"
    blind = audit(personal.moves(starts), starts, ("sex",), 10).set_index("group")["moved"]
    assert abs(blind["sex=F"] - blind["sex=H"]) < 0.02


def test_types_of_few_entrants_tell_everybody_the_same():
    starts = people(helped=0.2)
    none = learn_personal(starts, effects_of(starts), PersonalParams(fewest_entrants=5000))
    assert none.moves(starts).shape == (len(starts), 0)


# What rules are judged on -------------------------------------------------------------------------------------------------


def test_scores_of_actions_tell_what_each_would_have_brought():
    starts = people(helped=0.2)
    scores, of = score_actions(starts, 12, ComparisonParams(), ActionParams())
    assert scores.actions == ("", "certification")
    high = (of["level"] > 3).to_numpy()
    gap = scores.gamma[:, 1] - scores.gamma[:, 0]
    assert gap[high].mean() == pytest.approx(0.3, abs=0.08)
    assert gap[~high].mean() == pytest.approx(-0.1, abs=0.08)


def test_a_person_counts_once_at_the_first_start():
    starts = people()
    again = starts.head(200).assign(start=starts["start"].head(200) + pd.Timedelta(days=400))
    scores, of = score_actions(pd.concat([again, starts], ignore_index=True), 12, ComparisonParams(), ActionParams())
    assert len(of) == of["person"].nunique() == len(scores.outcome)
    assert (of["start"] < pd.Timestamp("2025-01-01")).all()


def test_a_tree_finds_whom_a_course_helps_and_beats_training_everybody():
    starts = people(size=6000, helped=0.2)
    scores, of = score_actions(starts, 12, ComparisonParams(), ActionParams())
    costs = place_costs(np.array([0.0, 1000.0]), PolicyParams())
    told = judge_policies(scores, costs, explain(of, ()), PolicyParams()).set_index("policy")
    assert told.loc["tree_1", "net"] > told.loc["best_action", "net"] + 0.02
    assert told.loc["tree_1", "low"] < 0.15 < told.loc["tree_1", "high"] + 0.05


def test_rules_are_told_by_nothing_that_scores_may_not_see():
    excluded = PersonalParams().excluded
    assert not {*excluded} & {*explain(people(), excluded)}
    assert "lone_parent" not in explain(people(), ("lone_parent",))


# What a place is worth ----------------------------------------------------------------------------------------------------


def ranked(effects: pd.DataFrame, durable: float = 0.5) -> pd.DataFrame:
    gaps = pd.DataFrame({"territory": "BE4441", "sector": ["230", "312"], "level": "4", "gap": 50.0, "need": 100.0})
    gaps = gaps.assign(gap_low=40.0, gap_high=60.0, need_n=100.0, **dict.fromkeys(TOLD, np.nan))
    bought = pd.DataFrame(
        {"sector": ["230", "312"], "action_type": "certification", "level": "4", "place_eur": 3000.0, "busiest": 5.0}
    ).assign(risk=0.0)
    raw = rates(durable=durable).assign(low=0.4, high=0.6, n=100.0, borrowed=0.0)
    eligible = pd.DataFrame({"territory": ["BE4441"], "people": [100]})
    nowhere = pd.DataFrame({name: pd.Series(dtype="str") for name in KEY})
    signs = gaps[SECTOR].assign(**dict.fromkeys(SIGNS, 0.0))
    known = Known(bought, eligible, pd.concat([raw, raw.assign(sector="312")]), effects, CHAIN, nowhere, signs)
    return rank_options(gaps, known, RankingParams(), LIMITS).set_index("sector")


def test_worth_is_what_training_adds_not_what_trainees_reach():
    told = ranked(told_effects(all=0.03, s230=0.06))
    assert told.loc["230", "value"] == pytest.approx(0.8 * 0.06)
    assert told.loc["312", "value"] == pytest.approx(0.8 * 0.03), "a sector without an effect takes the type's"
    assert told.loc["312", "borrowed"] == 1.0
    assert_frame_equal(ranked(told_effects(all=0.03, s230=0.06), durable=0.9), told)


def test_without_any_effect_rates_stand_for_it():
    assert ranked(no_effects())["value"].tolist() == pytest.approx([0.8 * 0.5] * 2)
    blank = told_effects(all=0.03).assign(value=np.nan)
    assert ranked(blank)["value"].tolist() == pytest.approx([0.8 * 0.5] * 2), "what is refused is no effect"


def test_a_place_that_holds_people_back_is_worth_less_than_nothing_and_ranks_last():
    told = ranked(told_effects(all=0.03, s230=-0.06))
    assert told.loc["230", "value"] < 0
    assert told.loc["230", "low"] <= told.loc["230", "value"] <= told.loc["230", "high"]
    assert told.loc["230", "rank"] == 2


def test_a_rank_is_trusted_no_more_than_the_effect_under_it():
    told = ranked(told_effects(s230=0.06, s312=0.06).assign(grade=["D", "A"]))
    assert told["grade"].to_dict() == {"230": "D", "312": "A"}
