"""What is said first of the plan: sums of its lots, rules in words whatever is known of them, shares that make a whole."""

from __future__ import annotations

import pandas as pd
import pytest

from models.envelopes import PurchaseParams, Rule
from needs.run.digest_plan import tell_plan
from needs.show.messages import say
from tests.option_frames import base, params_of, plan_of, ranked_of


def told(params: PurchaseParams) -> pd.DataFrame:
    lines = list(tell_plan(plan_of(ranked_of(3, busiest=4.0), params), 12, params))
    for _, topic, values, _ in lines:
        assert all("nan" not in say(f"digest.{topic}", language, **values) for language in ("fr", "en"))
    return pd.DataFrame(lines, columns=["severity", "topic", "values", "figure"]).set_index("topic")


def test_money_is_told_with_what_was_committed_with_allowances_and_over_its_years() -> None:
    lines = told(params_of(base(400_000, committed_eur=40_000, exercises=3, pays_allowances=True)))
    spent = lines.loc["plan.envelope", "figure"]
    assert lines.loc["plan.envelope", "values"]["left"] == pytest.approx(120_000 - spent)
    assert lines.loc["plan.years", "values"]["spent"] == pytest.approx(3 * spent)
    assert lines.loc["plan.committed", "figure"] == 40_000


def test_rules_say_their_jobs_or_the_price_of_a_unit_and_those_loosened_are_said_apart() -> None:
    rules = tuple(Rule(name=f"r{place}", kind="floor", amount=4, territories=("BE4441",)) for place in range(24))
    lines = told(params_of(base(200_000), rules=rules))
    assert lines.index.value_counts()[["plan.floor_jobs"]].ge(20).all()
    assert "plan.loosened" not in lines.index
    loosened = told(params_of(base(50_000), rules=(Rule(name="trop", kind="floor", amount=900),), nearest=True))
    assert loosened.loc["plan.loosened", "severity"] == "warning"
    assert loosened.loc["plan.loosened", "values"]["asked"] == 900


def test_money_is_shared_out_over_the_classes_of_stability() -> None:
    assert "plan.sureness" not in told(params_of(base(200_000))).index
    lines = told(params_of(base(200_000)).model_copy(update={"draws": 10}))
    assert sum(lines.loc["plan.sureness", "values"].values()) == pytest.approx(1)
