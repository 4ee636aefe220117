"""A run stands on whatever a home has, but for the vacancies: runs with a source less, or an earlier day."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from features.tables import CONTRACT
from needs.run.door import Door
from needs.run.gates import GateRefusal
from needs.run.inputs import Inputs, gather
from needs.run.pipeline import compute


@pytest.mark.parametrize("name", [name for name in CONTRACT if name not in ("offers", "territories")])
def test_a_run_stands_without_any_one_source_but_the_vacancies(few: Inputs, name: str) -> None:
    without = replace(few.tables, **{name: CONTRACT[name].empty()})
    told = compute(gather(without, few.as_of, few.params, Door({}, simulated=True))).tables
    assert len(told["forecasts"])
    assert (told["lots"]["cost_cents"].sum() > 0) == (name not in ("trainings", "employment", "purchases"))


@pytest.mark.parametrize("day", ["2025-12-31", "2024-06-30"])
def test_a_run_stands_on_an_earlier_day(few: Inputs, day: str) -> None:
    told = compute(gather(few.tables, pd.Timestamp(day), few.params, Door({}, simulated=True))).tables
    assert told["forecasts"]["period"].min() == str(pd.Period(day, "M") + 1)
    assert told["recommendations"].empty


def test_before_the_first_vacancy_the_gate_refuses(few: Inputs) -> None:
    with pytest.raises(GateRefusal, match="no vacancy was known on 2020-01-01"):
        compute(gather(few.tables, pd.Timestamp("2020-01-01"), few.params, Door({}, simulated=True)))
