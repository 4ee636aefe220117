"""A run stands on whatever a home has: runs with a source less, or an earlier day."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pyarrow.dataset as ds
import pytest

from features.lazy import lazy
from features.tables import CONTRACT
from needs.run.door import Door
from needs.run.gates import GateRefusal
from needs.run.inputs import Inputs, gather
from needs.run.pipeline import compute

pytestmark = pytest.mark.long


def nothing(name: str) -> pd.DataFrame | ds.Dataset:
    """Give a table without a row, as the lake gives it."""
    empty = CONTRACT[name].empty()
    return lazy(empty) if name == "offers" else empty


@pytest.mark.parametrize("name", [name for name in CONTRACT if name != "territories"])
def test_a_run_stands_without_any_one_source(few: Inputs, name: str) -> None:
    without = replace(few.tables, **{name: nothing(name)})
    told = compute(gather(without, few.as_of, few.params, Door({}, simulated=True))).tables
    assert len(told["forecasts"])
    assert (told["lots"]["cost_cents"].sum() > 0) == (name != "purchases"), "prices and providers are those of past purchases"
    assert told["rankings"].empty == (name == "purchases")


@pytest.mark.parametrize("day", ["2025-12-31", "2024-06-30"])
def test_a_run_stands_on_an_earlier_day(few: Inputs, day: str) -> None:
    told = compute(gather(few.tables, pd.Timestamp(day), few.params, Door({}, simulated=True))).tables
    assert told["forecasts"]["period"].min() == str(pd.Period(day, "M") + 1)
    assert told["recommendations"].empty


def test_where_no_source_knows_of_a_recruitment_the_gate_refuses(few: Inputs) -> None:
    silent = {name: nothing(name) for name in ("offers", "bmo", "projections", "employment", "signals")}
    with pytest.raises(GateRefusal, match="no vacancy was known on 2026-03-31, and no survey of recruitments either"):
        compute(gather(replace(few.tables, **silent), few.as_of, few.params, Door({}, simulated=True)))
