"""Laws of what if: nothing tried changes nothing, differences add up, and each lot that differs has its cause."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pytest
from homes import copy_home
from hypothesis import given
from hypothesis import strategies as st

import processes
from features.decisions import read_decisions
from features.errors import InputError
from features.tables import OVERRIDES
from models.envelopes import Envelope
from models.whatif import CONSTRAINT, DATA, DECISION, MODEL, PRICE, Step, compare_plans, sum_up
from needs.home import Home
from needs.params import Params, load_params
from needs.run.buying import grounds_of
from needs.run.inputs import Inputs
from needs.run.shown import database_url
from needs.run.whatif import (
    Bought,
    Scenario,
    Terms,
    buy_again,
    changed_params,
    kept_decisions,
    read_options,
    with_budgets,
    with_tried,
)
from needs.show.published import open_current
from needs.show.whatif import tell_what_if
from needs.store.publish import read_current

SUMS = ["sessions", "places", "cost_cents"]


@dataclass(frozen=True)
class Shop:
    """The published purchase of the tiny region, and the terms on which it was made."""

    before: Bought
    terms: Terms
    overrides: pd.DataFrame
    as_of: pd.Timestamp

    def buy(
        self, *settings: str, tried: tuple[str, ...] = (), options: pd.DataFrame | None = None, before: Bought | None = None
    ) -> list[Step]:
        """Buy again, and give every step on the way there."""
        params = changed_params(self.terms.params, Scenario(settings))
        decisions = read_decisions(with_tried(self.overrides, tried, self.as_of), self.as_of)
        now = self.before.options if options is None else options
        return buy_again(before or self.before, now, decisions, replace(self.terms, params=params))[0]


@pytest.fixture(scope="module")
def shop(ran: Home, inputs: Inputs) -> Shop:
    engine = open_current(database_url(ran, inputs.params)).engine
    lots, options, decisions = (read_current(engine, name) for name in ("lots", "options", "decisions"))
    before = Bought(lots, read_options(options), kept_decisions(decisions, inputs.exercise))
    terms = Terms(inputs.exercise, inputs.params, grounds_of(inputs.tables, inputs.as_of))
    return Shop(before, terms, inputs.tables.overrides, inputs.as_of)


def jobs(steps: list[Step]) -> float:
    return float(sum_up(steps[-1].lots)["jobs"].iloc[0])


# Laws -------------------------------------------------------------------------------------------------------------------


def test_what_is_published_is_bought_again_when_nothing_is_tried(shop: Shop) -> None:
    steps = shop.buy()
    assert [step.cause for step in steps] == ["", CONSTRAINT]
    assert compare_plans(steps).empty
    assert jobs(steps) == pytest.approx(jobs(steps[:1]), rel=1e-12)
    assert steps[-1].lots["lot_id"].tolist() == shop.before.lots["lot_id"].tolist()


def test_more_money_never_brings_fewer_jobs_and_differences_add_up(shop: Shop) -> None:
    least = -float("inf")
    for budget in (0, 120_000, 260_000, 400_000):
        steps = shop.buy(f"budget={budget}", "purchase.search.gap=0")
        first, last = sum_up(steps[0].lots), sum_up(steps[-1].lots)
        rows = compare_plans(steps)
        for name in SUMS:
            moved = int((rows[f"{name}_to"] - rows[f"{name}_from"]).sum())
            assert moved == int(last[name].iloc[0] - first[name].iloc[0]), name
        assert set(rows["because"]) <= {CONSTRAINT}
        assert int(last["cost_cents"].iloc[0]) <= budget * 100
        worth = jobs(steps) - shop.terms.params.purchase.smallest_worth * float(last["places"].iloc[0])
        assert worth >= least - 1e-9
        least = worth


def test_a_ban_removes_the_lot_and_is_told_as_a_decision(shop: Shop) -> None:
    lot = shop.before.lots.sort_values("cost_cents")["lot_id"].iloc[-1]
    steps = shop.buy(tried=(f"{lot} interdit=1",))
    assert lot not in set(steps[-1].lots["lot_id"])
    rows = compare_plans(steps).set_index("lot_id")
    assert rows.loc[lot, ["places_to", "because"]].tolist() == [0, DECISION]


def _otherwise(options: pd.DataFrame, names: tuple[str, ...], factor: float) -> pd.DataFrame:
    return options.assign(**{name: options[name] * factor for name in names})


@pytest.mark.parametrize(
    ("cause", "names", "factor"),
    [
        (PRICE, ("place_eur",), 2.0),
        (MODEL, ("success", "success_low", "success_high"), 0.001),
        (DATA, ("need", "room", "room_low", "room_high"), 0.0),
    ],
)
def test_what_another_run_knew_otherwise_is_the_cause(shop: Shop, cause: str, names: tuple[str, ...], factor: float) -> None:
    """The other run knew one thing otherwise, bought on it, and differs for no other cause."""
    other = _otherwise(shop.before.options, names, factor)
    lots = shop.buy(options=other)[-1].lots
    steps = shop.buy(before=replace(shop.before, lots=lots, options=other))
    rows = compare_plans(steps)
    assert len(rows) > 0
    assert set(rows["because"]) == {cause}
    assert steps[-1].lots["lot_id"].tolist() == shop.before.lots["lot_id"].tolist()


def _lots(**places: int) -> pd.DataFrame:
    """Make up lots of so many places at 100 euros. One row per lot."""
    codes = dict.fromkeys(("territory", "sector", "action_type", "formacode", "certification", "exit_level", "envelope"), "1")
    rows = pd.DataFrame({"lot_id": list(places), "places": list(places.values())}, dtype="object")
    rows = rows.astype({"lot_id": "str", "places": "int64"})
    return rows.assign(sessions=1, cost_cents=rows["places"] * 10_000, value=0.5, **codes)


def test_the_cause_is_the_step_in_which_places_change_most() -> None:
    steps = [Step("", _lots(a=10, b=10, c=5)), Step(PRICE, _lots(a=12, b=2, c=9)), Step(DATA, _lots(a=20, b=1, c=5))]
    rows = compare_plans(steps).set_index("lot_id")
    assert rows["because"].to_dict() == {"a": DATA, "b": PRICE}
    assert rows.index.tolist() == ["a", "b"]
    dearer = [steps[0], Step(PRICE, steps[0].lots.assign(cost_cents=1)), Step(DATA, steps[0].lots.assign(cost_cents=1))]
    assert set(compare_plans(dearer)["because"]) == {PRICE}


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=5), st.integers(0, 10**9))
def test_a_budget_is_shared_to_the_cent(cents: list[int], wanted: int) -> None:
    envelopes = tuple(Envelope(name=str(place), amount_eur=each / 100) for place, each in enumerate(cents))
    scaled = with_budgets(envelopes, [f"budget={wanted / 100}"])
    assert sum(round(each.amount_eur * 100) for each in scaled) == wanted
    own = with_budgets(envelopes, ["budget.0=12.5"])
    assert [own[0].amount_eur, *own[1:]] == [12.5, *envelopes[1:]]


def test_a_tried_decision_stands_in_the_place_of_the_recorded_one() -> None:
    day = pd.Timestamp("2026-03-31")
    recorded = with_tried(OVERRIDES.empty(), ["L interdit=1 places=3"], day)
    told = read_decisions(with_tried(recorded, ["L interdit=0"], day), day)
    assert told[["interdit", "places"]].to_numpy().tolist() == [[0.0, 3.0]]


# Words ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("budget=20M", "budget=20000000"),
        ("budget=-1", "at least 0"),
        ("budget.socle=1", "there are base, additional"),
        ("budget", "Write it like"),
        ("ranking.horizon_months=18", "needs --set ranking.horizon_months=18 nightly"),
        ("purchase.exercise=2029", "that of a run"),
        ("purchase.smallest_wort=1", "did you mean 'smallest_worth'"),
        ("purchase.smallest_worth=2", "above 1"),
    ],
)
def test_what_cannot_be_tried_is_refused_in_words(params: Params, settings: str, told: str) -> None:
    with pytest.raises(InputError) as refused:
        changed_params(params, Scenario((settings,)))
    assert told in "\n".join(refused.value.faults)


def test_a_file_replaces_what_it_names_and_nothing_else(params: Params, tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    path.write_text("purchase: {smallest_worth: 0.02, search: {steps: 5}, envelopes: [{name: one, amount_eur: 9}]}", "utf-8")
    purchase = changed_params(params, Scenario(("purchase.provider_growth=2.0",), path)).purchase
    assert [purchase.smallest_worth, purchase.search.steps, purchase.provider_growth] == [0.02, 5, 2.0]
    assert [each.name for each in purchase.envelopes] == ["one"]
    assert purchase.search.nodes == params.purchase.search.nodes
    for text, told in (("show: {language: en}", "show cannot be tried"), ("purchase: {draws: 7}", "those of a run")):
        path.write_text(text, "utf-8")
        with pytest.raises(InputError, match=told):
            changed_params(params, Scenario(path=path))
    with pytest.raises(InputError, match="no such file"):
        changed_params(params, Scenario(path=tmp_path / "absent.yaml"))


@pytest.fixture(scope="module")
def home(ran: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    return copy_home(ran, tmp_path_factory.mktemp("whatif"), made=True)


def run(home: Home, *words: str, code: int = 0) -> str:
    done = processes.run(processes.command, "--home", str(home.root), *words, env={})
    assert done.code == code, done.err
    assert "Traceback" not in done.err
    return done.out + done.err


def test_a_trial_is_told_and_written_and_publishes_nothing(home: Home, shop: Shop) -> None:
    database = home.var / "needs.db"
    held = hashlib.sha256(database.read_bytes()).hexdigest()
    told = run(home, "plan", "--set", "budget=400000")
    assert "argent ou règle" in told
    rows = compare_plans(shop.buy("budget=400000"))
    written = pd.read_csv(home.exports / f"whatif_{shop.terms.exercise}.csv", sep=";", decimal=",", dtype={"Lot": "str"})
    assert written["Lot"].tolist() == rows["lot_id"].tolist()
    assert written["Coût après (€)"].tolist() == (rows["cost_cents_to"] / 100).tolist()
    assert hashlib.sha256(database.read_bytes()).hexdigest() == held


def test_a_run_against_itself_differs_in_nothing_and_a_stranger_is_refused(home: Home) -> None:
    current = open_current(database_url(home, load_params(home.params))).run_id
    assert "Aucun lot ne change" in run(home, "plan", "--against", current)
    assert current in run(home, "plan", "--against", "20260101-nothing", code=2)


@pytest.mark.parametrize(
    ("decision", "told"),
    [
        ("nothing interdit=1", "no lot that can be bought"),
        ("nothing", "write the lot, then"),
        ("nothing interdit=2", "Write 0 or 1"),
        ("nothing colour=2", "Write one of sessions"),
    ],
)
def test_a_decision_that_is_none_is_refused_in_words(home: Home, decision: str, told: str) -> None:
    with pytest.raises(InputError) as refused:
        tell_what_if(home, load_params(home.params), Scenario(decisions=(decision,)), None)
    assert told in "\n".join(refused.value.faults)


def test_a_contradiction_names_its_rules_and_the_nearest_plan_says_what_is_missed(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    path.write_text("purchase: {rules: [{name: trop, kind: floor, amount: 100000}]}", "utf-8")
    told = run(home, "plan", "--scenario", str(path), code=2)
    assert "rule 'trop'" in told
    near = run(home, "plan", "--scenario", str(path), "--set", "purchase.nearest=true")
    assert "Règle «\u00a0trop\u00a0» assouplie" in near
