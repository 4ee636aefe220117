"""What past purchases taught: predicted beside obtained, what chance explains, what is hidden, and what decisions changed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features.contracts import GradeLimits
from features.decisions import read_decisions
from features.exits import Past
from features.lots import chains_before, exercises_over, follow_lots, follow_newest
from features.seats import Training, seat_chain
from features.tables import CONTRACT
from models.envelopes import Envelope, PurchaseParams
from models.lessons import STEPS, compare_lots, sum_up
from models.purchase import plan_purchase
from models.scored import score_decisions
from needs.run.inputs import Inputs
from needs.run.lessons import past_decisions, with_obtained
from tests.option_frames import TERMS

LIMITS = GradeLimits(100, 30, 10, 0.2, 0.5)
_CHAIN = ("run", "fill", "completion", "certification")
CHAIN = pd.DataFrame(
    {"action_type": ["", "certification"]}
    | {step: [share, share] for step, share in zip(_CHAIN, (0.9, 0.8, 0.75, 0.9), strict=True)}
    | {f"{step}_n": [1000.0, 400.0] for step in _CHAIN}
)
SCORES = pd.DataFrame({"kind": "lot", "code": ["A", "B"], "action_type": "certification"}).assign(
    promised=0.1, value=0.2, low=[0.05, 0.12], high=0.3
)


def past_of(inputs: Inputs, trainings: pd.DataFrame) -> Past:
    links = pd.DataFrame({"kind": [], "code": [], "occupation": [], "weight": []})
    return Past(trainings, inputs.tables.employment, inputs.tables.outcomes, links)


def followed(**more: object) -> pd.DataFrame:
    rows = pd.DataFrame({"lot": ["A", "B"], "exercise": 2025, "action_type": "certification", "bids": [2, 0]})
    told = {"bought": [100.0, 100.0], "run": [90.0, 40.0], "entries": [72.0, 20.0], "sessions_run": 5.0}
    told |= {"completion": 0.75, "completion_n": [60.0, 8.0], "certified": 0.9, "certified_n": [40.0, 8.0]}
    told |= {"work_6": 0.5, "work_6_n": [30.0, 3.0], "durable_12": 0.4, "durable_12_n": 0.0}
    return rows.assign(**(told | more))


def test_what_goes_as_predicted_is_as_predicted_and_what_does_not_is_told() -> None:
    told = compare_lots(followed(), CHAIN, SCORES, 10).set_index("lot")
    assert {str(told.loc["A", f"{step}_apart"]) for step in STEPS} == {"as_predicted"}
    assert told.loc["B", "run_apart"] == "below"
    assert told.loc["B", "fill_apart"] == "below"
    assert told["jobs"].tolist() == pytest.approx([14.4, 4.0])
    assert told["jobs_predicted"].tolist() == pytest.approx([7.2, 2.0])
    assert told["jobs_apart"].tolist() == ["as_predicted", "above"]


def test_what_tells_of_too_few_people_is_missing() -> None:
    told = compare_lots(followed(entries=[72.0, 9.0]), CHAIN, SCORES, 10).set_index("lot").loc["B"]
    hidden = ["entries", "fill", "completion", "completion_n", "certified", "work_6", "work_6_n", "jobs", "jobs_predicted"]
    assert told[hidden].isna().all()
    assert told["run"] == pytest.approx(0.4), "seats are not people"
    assert [told[f"{name}_apart"] for name in ("fill", "completion", "jobs")] == ["", "", ""]


def test_a_difference_beyond_chance_comes_by_chance_in_one_lot_of_twenty_at_most() -> None:
    rng, lots = np.random.default_rng(7), 4000
    n = rng.integers(10, 60, lots).astype("float64")
    drawn = rng.binomial(n.astype(int), 0.75) / n
    some = pd.concat([followed().head(1)] * lots, ignore_index=True).assign(completion=drawn, completion_n=n)
    told = compare_lots(some, CHAIN, SCORES, 10)["completion_apart"]
    assert 0.01 < (told != "as_predicted").mean() < 0.06


def test_nothing_is_predicted_of_what_had_never_been_measured() -> None:
    unknown = CHAIN.assign(certification_n=0.0)
    told = compare_lots(followed(), unknown, SCORES, 10)
    assert told["certified_predicted"].isna().all()
    assert told["certified_apart"].eq("").all()


def test_all_lots_together_are_the_sum_of_the_lots() -> None:
    lots = compare_lots(followed(), CHAIN, SCORES, 10)
    sums = sum_up(lots)
    assert sums["fill"] == pytest.approx(92 / 130)
    assert sums["run"] == pytest.approx(130 / 200)
    assert sums["run_predicted"] == pytest.approx(0.9)
    assert sums["jobs"] == pytest.approx(18.4)
    assert (sums["unsuccessful"], sums["lots"]) == (1, 2)


def test_what_lots_obtained_is_what_tables_hold(inputs: Inputs) -> None:
    training = Training(inputs.tables.trainings, inputs.tables.purchases, inputs.tables.sessions)
    over = exercises_over(training, inputs.as_of)
    assert over[-1] == inputs.as_of.year - 1
    none = inputs.tables.trainings.head(0)
    rows = follow_lots(training, past_of(inputs, none), inputs.as_of, inputs.params.features.outcomes)
    assert not rows.duplicated(["lot", "exercise"]).any()
    lots = rows[rows["exercise"].isin(over)]
    started = inputs.tables.sessions[inputs.tables.sessions["starts"] <= inputs.as_of]
    held = started[started["lot"].isin(lots["lot"])]
    assert lots["entries"].sum() == held["entries"].sum()
    assert rows["completion_n"].eq(0).all()


def test_only_the_newest_lots_are_followed_and_as_all_of_them_would_be(inputs: Inputs) -> None:
    known, params = inputs.tables, inputs.params.features.outcomes
    training = Training(known.trainings, known.purchases, known.sessions)
    newest = follow_newest(training, past_of(inputs, known.trainings), inputs.as_of, params)
    everything = follow_lots(training, past_of(inputs, known.trainings), inputs.as_of, params)
    over = exercises_over(training, inputs.as_of)[-2:]
    pd.testing.assert_frame_equal(newest, everything[everything["exercise"].isin(over)].reset_index(drop=True))


def test_what_was_expected_is_what_was_known_the_day_before_the_exercise(inputs: Inputs) -> None:
    known, params = inputs.tables, inputs.params.features.seats
    chains = chains_before(known, inputs.as_of, params)
    exercises = chains["exercise"].unique()
    assert len(exercises) == 2
    for exercise in exercises:
        before = pd.Timestamp(exercise - 1, 12, 31)
        then = known.known_at(before)
        own = chains[chains["exercise"] == exercise].drop(columns="exercise").reset_index(drop=True)
        pd.testing.assert_frame_equal(own, seat_chain(Training(then.trainings, then.purchases, then.sessions), before, params))
    assert chains_before(known, pd.Timestamp("2010-01-01"), params).empty


def test_a_run_says_what_its_last_purchases_taught(published: dict[str, pd.DataFrame], inputs: Inputs) -> None:
    lessons, smallest = published["lessons"], inputs.params.features.privacy.smallest_cell
    assert lessons["exercise"].max() == inputs.as_of.year - 1
    assert lessons["entries"].dropna().min() >= smallest
    for name in ("completion", "certified", "work_6", "durable_12"):
        told = lessons[lessons[name].notna()]
        assert (told[f"{name}_n"] >= smallest).all()
    assert "lessons" in set(published["digest"]["topic"])


# Decisions --------------------------------------------------------------------------------------------------------------


RANKED = pd.DataFrame({"territory": ["BE4441", "BE4415"], "success": [0.3, 0.1]}).assign(
    sector="230", action_type="certification", level="3", place_eur=1000.0, group=10, need=100.0, gap=100.0, formacode="23001",
    certification="1", entry_level="", group_min=10, group_max=10, hours=400.0, busiest=10.0, risk=0.0, fill=0.8,
    value=[0.3, 0.1], low=0.05, high=0.4, n=60.0, borrowed=0.2, room=100.0,
    room_low=90.0, room_high=110.0, solvable=1.0, success_low=0.05,
    success_high=0.4, **TERMS,
)  # fmt: skip
PARAMS = PurchaseParams(envelopes=(Envelope(name="base", amount_eur=10_000),), provider_growth=1.0)


def decisions_on(lot: str, field: str = "verrou", value: str = "1") -> pd.DataFrame:
    row = ("lot", lot, field, value, "A. Martin", "demande", pd.Timestamp("2026-03-01"), pd.Timestamp("2026-12-31"))
    columns = ["object", "key", "field", "value", "author", "motive", "known_from", "expires"]
    return pd.DataFrame([row], columns=columns)


def test_a_decision_is_scored_by_what_the_plan_would_have_bought_without_it() -> None:
    chain = CHAIN.iloc[1:]
    free = plan_purchase(RANKED, chain, 2027, PARAMS, LIMITS)
    worse = str(free.rejected["lot_id"].iloc[0])
    decisions = read_decisions(decisions_on(worse), pd.Timestamp("2026-03-31"))
    plan = plan_purchase(RANKED, chain, 2027, PARAMS, LIMITS, decisions=decisions)
    told = score_decisions(decisions, plan, lambda: free).iloc[0]
    assert (told["field"], told["asked"], told["author"], told["motive"]) == ("verrou", 1.0, "A. Martin", "demande")
    assert told["sessions_free"] == 0
    strange = read_decisions(decisions_on("2027-BE4441-99999-00000000"), pd.Timestamp("2026-03-31"))
    plan = plan_purchase(RANKED, chain, 2027, PARAMS, LIMITS, decisions=strange)
    assert score_decisions(strange, plan, lambda: free)[["sessions", "sessions_free"]].isna().all(axis=None)


def test_without_decisions_nothing_is_scored() -> None:
    none = read_decisions(CONTRACT["overrides"].empty(), pd.Timestamp("2026-03-31"))
    plan = plan_purchase(RANKED, CHAIN.iloc[1:], 2027, PARAMS, LIMITS, decisions=none)
    assert score_decisions(none, plan, lambda: plan).empty


def test_a_decision_that_is_over_is_listed_with_what_it_obtained() -> None:
    past = past_decisions(decisions_on("2025-BE4441-23001-1a2b3c4d", "sessions", "2"))
    lessons = compare_lots(followed(), CHAIN, SCORES, 10).assign(territory=["BE4441", "BE4415"], formacode="23001")
    plan = plan_purchase(RANKED, CHAIN.iloc[1:], 2027, PARAMS, LIMITS)
    none = read_decisions(CONTRACT["overrides"].empty(), pd.Timestamp("2026-03-31"))
    scored = score_decisions(none, plan, lambda: plan)
    told = with_obtained(scored, past, lessons).iloc[0]
    assert (told["asked"], told["entries_obtained"], told["jobs_obtained"]) == (2.0, 72.0, pytest.approx(14.4))
    assert np.isnan(told["sessions_free"])
