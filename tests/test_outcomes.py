"""Laws of what became of past trainees: what counts and when, how rates lean on wider groups, and that nobody is told apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from features.build import GradeParams, crosswalks_of
from features.exits import OutcomeParams, Past, follow_exits, link_courses
from features.outcomes import CELL, WITHIN, count_outcomes, pool_rates, publishable
from features.pooling import Pooled, PoolingParams, Sums, bound_rates, learn_gaps, move, pool, pool_parts
from features.publics import PublicParams
from features.tables import CONTRACT
from needs.run.inputs import Inputs

LIMITS = GradeParams().limits()
AS_OF = pd.Timestamp("2026-03-31")
PARAMS = OutcomeParams()
KEY = [*CELL, *WITHIN]


# --- what became of each person ---


def rows_of(table: str, *rows: dict[str, object]) -> pd.DataFrame:
    """Rows of a table that say only what matters; all other cells are missing."""
    contract = CONTRACT[table]
    frame = pd.DataFrame({name: [row.get(name) for row in rows] for name in contract.names}, dtype="object")
    return frame.astype({column.name: column.dtype for column in contract.columns})


def training(person: str, status: str = "entre", **said: object) -> dict[str, object]:
    dates = {
        "known_from": "2024-01-02",
        "entered": "2024-02-01",
        "planned_end": "2024-05-31",
        "exited": "2024-05-31" if status == "entre" else None,
        "exit_reason": "fin" if status == "entre" else None,
    }
    place = {"territory": "BE4441", "department": "D67"}
    course = {"session": "S1", "action_type": "certification", "formacode": "23026", "certifinfo": "77", "exit_level": 3}
    told = {"person": person, "status": status, **dates, **place, **course, **said}
    return {name: pd.Timestamp(str(cell)) if name in dates and "-" in str(cell) else cell for name, cell in told.items()}


def spell(person: str, starts: str, ends: str | None = None, contract: str = "CDI", **said: object) -> dict[str, object]:
    until = pd.Timestamp(ends) if ends else None
    planned = until if contract in ("CDD", "MIS", "SAI") else None
    place = {"territory": "BE4441", "department": "D67"}
    dates = {"starts": pd.Timestamp(starts), "ends": until, "planned_end": planned, "known_from": pd.Timestamp(starts)}
    return {"person": person, "contract": contract, "occupation": "F1703", **dates, **place, **said}


WATCHING = spell("someone else", "2020-01-01"), spell("another", "2026-03-30")
LINKS = pd.DataFrame(
    {
        "kind": ["CERTIFINFO", "FORMACODE", "FORMACODE"],
        "code": ["77", "23026", "23026"],
        "occupation": ["F1703", "F1602", "F1603"],
    }
).assign(weight=[1.0, 0.9, 0.01])


def followed(
    trainings: list[dict[str, object]], spells: list[dict[str, object]], answers: list[dict[str, object]] | None = None
) -> pd.DataFrame:
    frames = [
        rows_of(name, *rows) for name, rows in (("trainings", trainings), ("employment", spells), ("outcomes", answers or []))
    ]
    told = follow_exits(Past(*frames, LINKS), AS_OF, PARAMS)
    return told.astype({"outcome": "str"}).set_index(["prescription", "outcome", "horizon_months"]).sort_index()


def test_each_step_counts_those_who_took_the_one_before() -> None:
    told = followed(
        [
            training("finished", certified=True),
            training("failed", certified=False),
            training("left", exit_reason="abandon", certified=False),
            training("refused", status="refuse"),
            training("still to enter", status="prescrit", entered="2026-06-01"),
            training("never came", status="prescrit"),
            training("about to come", status="prescrit", entered="2026-03-01"),
            training("inside", exited=None, exit_reason=None, planned_end="2026-09-01"),
            training("left early", exit_reason="abandon", planned_end="2026-09-01"),
            training("undated", status="prescrit", entered=None, known_from="2026-01-02"),
        ],
        [],
    )["success"]
    steps = {name: rows.droplevel(["outcome", "horizon_months"]) for name, rows in told.groupby("outcome")}
    assert steps["entry"].to_dict() == {0: 1, 1: 1, 2: 1, 3: 0, 5: 0, 7: 1, 8: 1}
    assert steps["completion"].to_dict() == {0: 1, 1: 1, 2: 0}
    assert steps["certified"].to_dict() == {0: 1, 1: 0}


def test_work_is_looked_at_on_the_day_and_counted_from_exit() -> None:
    told = followed(
        [training(name) for name in ("lasting", "short", "long", "other", "none", "apprentice")],
        [
            *WATCHING,
            spell("lasting", "2024-11-30"),
            spell("short", "2024-11-01", "2024-12-15", "MIS"),
            spell("long", "2024-11-01", "2025-05-30", "CDD"),
            spell("long", "2025-05-31", "2025-06-05", "MIS"),
            spell("other", "2024-10-01", occupation="A1101"),
            spell("none", "2024-12-01", "2025-05-30"),
            spell("apprentice", "2024-09-01", "2026-09-01", "APP", planned_end=pd.Timestamp("2026-09-01")),
        ],
    )["success"]
    asked = {name: rows.tolist() for name, rows in told.groupby(["outcome", "horizon_months"])}
    assert asked["work", 6] == [1, 1, 1, 1, 0, 1]
    assert asked["durable", 6] == [1, 0, 1, 1, 0, 0]
    assert asked["trained_occupation", 6] == [1, 1, 1, 0, 0, 1]
    assert asked["work", 12] == [1, 0, 1, 1, 0, 1]
    assert asked["durable", 12] == [1, 0, 0, 1, 0, 0]
    assert ("work", 18) in asked
    assert ("work", 24) not in asked


def test_the_trained_occupation_is_that_of_the_certification_else_of_the_sector() -> None:
    told = followed(
        [
            training("a"),
            training("b", certifinfo=None),
            training("c", certifinfo="not listed"),
            training("d", certifinfo=None),
            training("e"),
            training("f", action_type="langue"),
            training("g", formacode="99999", certifinfo=None),
        ],
        [
            *WATCHING,
            *(spell(name, "2024-06-15", occupation="F1602") for name in "abc"),
            spell("d", "2024-06-15", occupation="F1603"),
            spell("e", "2024-06-15", occupation=None),
            *(spell(name, "2024-06-15", occupation="F1602") for name in "fg"),
        ],
    )["success"].xs(("trained_occupation", 6), level=("outcome", "horizon_months"))
    assert told.to_dict() == {0: 0, 1: 1, 2: 1, 3: 0}


def test_general_types_aim_at_the_next_course_or_an_own_business() -> None:
    told = followed(
        [
            training("a", action_type="langue", certifinfo=None),
            training("a", session="S2", entered="2024-10-15", planned_end="2027-01-01", exited=None, exit_reason=None),
            training("b", action_type="langue", certifinfo=None),
            training("b", session="S2", entered="2024-02-01", planned_end="2024-05-01", exited="2024-05-01"),
            training("c", action_type="creation_entreprise", certifinfo=None),
            training("d", action_type="creation_entreprise", certifinfo=None),
        ],
        [*WATCHING, spell("c", "2024-08-01", contract="IND"), spell("d", "2024-08-01")],
    )["success"]
    assert told.xs(("qualification", 6), level=(1, 2)).to_dict() == {0: 1, 2: 0}
    assert told.xs(("own_business", 6), level=(1, 2)).to_dict() == {4: 1, 5: 0}


def answer(person: str, **said: object) -> dict[str, object]:
    dates = {"origin_date": pd.Timestamp("2024-05-31"), "known_from": pd.Timestamp("2025-01-31")}
    return {"person": person, "origin": "sortie", "answered": True, **dates, **said}


def test_surveys_tell_of_the_places_that_no_spell_covers_and_of_no_other() -> None:
    elsewhere = {"territory": "BE4410", "department": "D08"}
    told = followed(
        [training(name, **elsewhere) for name in ("a", "b", "c", "d")] + [training("e"), training("f", **elsewhere)],
        [*WATCHING],
        [
            answer("a", work_6m=True, durable_6m=False, trained_occupation_6m=True, work_12m=False, weight=2.0),
            answer("b", work_6m=False, work_18m=True, work_24m=True),
            answer("c", answered=False, work_6m=None),
            answer("d", origin="entree", work_6m=True),
            answer("e", work_6m=True),
            answer("f", origin_date=pd.Timestamp("2024-06-01"), work_6m=True),
        ],
    )
    work = told["success"].xs("work", level="outcome")
    assert work.to_dict() == {(0, 6): 1, (0, 12): 0, (1, 6): 0, (1, 18): 1, (4, 6): 0, (4, 12): 0, (4, 18): 0}
    assert told["success"].xs("durable", level="outcome").to_dict() == {(0, 6): 0, (4, 6): 0, (4, 12): 0, (4, 18): 0}
    assert told.loc[(0, "trained_occupation", 6)].tolist() == [1, 2]
    assert told.loc[(1, "work", 6), "weight"] == 1


def test_spells_that_stopped_coming_are_no_proof_of_idleness() -> None:
    told = followed([training("a")], [spell("someone", "2020-01-01"), spell("another", "2025-03-15")])
    assert set(told.xs("work", level="outcome").index.get_level_values("horizon_months")) == {6}


# --- on a simulated region ---


def past_of(inputs: Inputs, as_of: pd.Timestamp) -> Past:
    frames = [CONTRACT[name].known_at(getattr(inputs.tables, name), as_of) for name in ("trainings", "employment", "outcomes")]
    return Past(*frames, link_courses(crosswalks_of(inputs.tables, as_of)))


def rates_of(past: Past, as_of: pd.Timestamp = AS_OF, smallest: int = 5) -> pd.DataFrame:
    counts = count_outcomes(follow_exits(past, as_of, PARAMS), past.trainings, PublicParams())
    return pool_rates(counts, PARAMS, LIMITS, smallest)


def test_the_order_of_rows_changes_nothing(inputs: Inputs) -> None:
    past = past_of(inputs, AS_OF)
    shuffled = [frame.sample(frac=1.0, random_state=7).reset_index(drop=True) for frame in _frames(past)]
    weighed = rates_of(replace(past, employment=past.employment.iloc[:0]))
    assert not weighed.query("outcome == 'work' and n > 0").empty
    for told, other in (
        (rates_of(past), rates_of(Past(*shuffled, past.links))),
        (weighed, rates_of(Past(shuffled[0], past.employment.iloc[:0], shuffled[2], past.links))),
    ):
        assert_frame_equal(told, other, check_exact=True)


def _frames(past: Past) -> list[pd.DataFrame]:
    return [past.trainings, past.employment, past.outcomes]


def test_what_was_said_a_year_ago_still_stands(inputs: Inputs) -> None:
    key = ["person", "session", "known_from"]
    told = []
    for day in (AS_OF - pd.DateOffset(months=12), AS_OF):
        past = past_of(inputs, day)
        rows = follow_exits(past, day, PARAMS)
        named = past.trainings[key].take(rows["prescription"]).reset_index(drop=True)
        told.append(pd.concat([named, rows.drop(columns="prescription")], axis=1))
    both = told[0].merge(told[1], on=[*key, "outcome", "horizon_months"], how="left", validate="one_to_one")
    then = both[both["outcome"] != "entry"]
    assert set(then["outcome"]) >= {"completion", "certified", "work", "durable", "trained_occupation"}
    assert (then["success_x"] == then["success_y"]).mean() > 0.999


def test_every_rate_has_its_n_and_is_of_people_in_the_files(inputs: Inputs) -> None:
    past = past_of(inputs, AS_OF)
    told = rates_of(past)
    assert not told.duplicated(KEY).any()
    assert told[["value", "low", "high", "n", "borrowed", "grade"]].notna().all().all()
    assert told[["value", "low", "high", "borrowed"]].to_numpy().min() >= 0
    assert told[["value", "low", "high", "borrowed"]].to_numpy().max() <= 1
    everybody = told[(told["public"] == "tout_public") & (told["territory"] == "R44")]
    asked = past.trainings[past.trainings["territory"].notna() & (past.trainings["status"] != "prescrit")]
    assert everybody.loc[everybody["outcome"] == "entry", "n"].sum() == (asked["entered"] <= AS_OF).sum()
    assert (publishable(told)["n"] >= 5).all()
    assert set(told["horizon_months"]) == {0, 6, 12, 18}


def test_nothing_known_is_an_empty_table(inputs: Inputs) -> None:
    past = past_of(inputs, AS_OF)
    whole = rates_of(past)
    empty = rates_of(Past(*(frame.iloc[:0] for frame in _frames(past)), past.links))
    assert empty.empty
    assert_frame_equal(empty, whole.iloc[:0])
    alone = rates_of(Past(past.trainings, past.employment.iloc[:0], past.outcomes.iloc[:0], past.links))
    assert set(alone["outcome"]) == {"entry", "completion", "certified", "qualification"}
    assert_frame_equal(alone.iloc[:0], whole.iloc[:0])


# --- pooling ---


def cells(rows: list[tuple[str, str, float, float]], public: str = "tout_public") -> pd.DataFrame:
    cell = {"action_type": "certification", "level": "3", "public": public, "outcome": "work", "horizon_months": 6}
    return pd.DataFrame(rows, columns=["territory", "sector", "k", "n"]).assign(**cell, squares=lambda t: t["n"])


def fixed(people: float) -> OutcomeParams:
    """Wider groups weigh as much as they can: no cell changes what is learned of the others."""
    return OutcomeParams(pooling=PoolingParams(groups_to_learn=1000, prior_people=people))


@given(st.integers(1, 5000), st.floats(0, 1), st.integers(2, 500), st.integers(1, 300), st.floats(0, 1))
@settings(deadline=None)
def test_a_rate_lies_between_the_local_and_the_wider_one_and_borrows_less_as_n_grows(
    n: int, share: float, people: int, others: int, usual: float
) -> None:
    params, told = fixed(people).pooling, []
    for size in (n, 2 * n):
        here = Sums(np.array([[size * share], [others * usual]]), np.array([[size], [others]], dtype=float))
        widest = Sums(here.k.sum(axis=0, keepdims=True), here.n.sum(axis=0, keepdims=True))
        wide, local = pool([widest, here], [np.array([0, 0])], np.array([0]), params, smallest=1)
        assert min(share, wide.rate[0, 0]) - 1e-9 <= local.rate[0, 0] <= max(share, wide.rate[0, 0]) + 1e-9
        low, high = bound_rates(local.rate, local.n + local.prior, 0.1)
        assert 0 <= low[0, 0] <= high[0, 0] <= 1
        told.append((local.borrowed[0, 0], abs(local.rate[0, 0] - share)))
    assert told[1][0] < told[0][0]
    assert told[1][1] <= told[0][1] + 1e-9


def test_a_rate_moves_to_the_local_one_as_n_grows_though_the_others_learn_from_it() -> None:
    rows = [(f"BE44{i:02d}", "230", 8.0 + i % 5, 20.0) for i in range(30)]

    def distance(n: float) -> float:
        told = pool_rates(cells([*rows, ("BE4490", "230", n * 0.9, n)]), PARAMS, LIMITS, 1).set_index("territory")
        return abs(float(told.loc["BE4490", "value"]) - 0.9)

    assert distance(5) > distance(50) > distance(500) > distance(5000)


def test_a_territory_given_the_counts_of_the_region_does_not_care_who_made_them() -> None:
    draw = np.random.default_rng(2)
    names = [(f"BE44{i:02d}", sector) for i in range(1, 30) for sector in ("230", "312")]
    n = draw.integers(10, 60, len(names)).astype(float)
    k = draw.binomial(n.astype(int), 0.5).astype(float)
    counts = cells([(*name, *of) for name, *of in zip(names, k, n, strict=True)])
    others = counts[counts["territory"] != "BE4401"].assign(territory="BE4499")
    merged = others.groupby(KEY, as_index=False)[["k", "n", "squares"]].sum()
    alone = pd.concat([counts[counts["territory"] == "BE4401"], merged])
    whole, part = (pool_rates(each, fixed(80), LIMITS, 10) for each in (counts, alone))
    for territory in ("BE4401", "R44"):
        pair = [each[each["territory"] == territory].reset_index(drop=True) for each in (whole, part)]
        assert_frame_equal(*pair)


def test_a_cell_too_small_says_nothing_of_its_own() -> None:
    rows = [(f"BE44{i:02d}", "230", 6.0 + i % 5, 20.0) for i in range(30)]

    def told(one: float, other: float, smallest: int) -> pd.DataFrame:
        counts = cells([*rows, ("BE4490", "230", one, 4.0), ("BE4491", "230", other, 30.0)])
        return pool_rates(counts, fixed(50), LIMITS, smallest).set_index("territory")

    hidden = told(4.0, 10.0, 10).loc["BE4490"]
    assert (hidden["n"], hidden["borrowed"], hidden["grade"]) == (0, 1, "D")
    assert hidden["value"] == told(4.0, 10.0, 10).loc["R44", "value"]
    # Two successes more here and two fewer in a cell that is seen: the Region's counts are the same.
    assert told(0.0, 14.0, 10).loc["BE4490"].tolist() == hidden.tolist()
    assert told(0.0, 14.0, 1).loc["BE4490", "value"] != told(4.0, 10.0, 1).loc["BE4490", "value"]
    assert pool_rates(cells([("BE4490", "230", 3.0, 4.0)]), PARAMS, LIMITS, 10).empty


def test_weighted_answers_count_as_many_people_as_they_tell_of() -> None:
    sums = Sums.of(np.array([[3.0, 10.0]]), np.array([[5.0, 11.0]]), np.array([[9.0, 101.0]]))
    assert sums.n[0].tolist() == pytest.approx([25 / 9, 121 / 101])
    assert (sums.k / sums.n)[0].tolist() == pytest.approx([3 / 5, 10 / 11])


def test_a_public_leans_on_everybody_there_moved_by_its_gap() -> None:
    draw = np.random.default_rng(4)
    rate = draw.uniform(0.3, 0.7, (400, 1))
    n = draw.integers(20, 200, (400, 1)).astype(float)
    told = learn_gaps(Sums(n * move(rate, np.array([-0.6])), n), rate, PoolingParams(), smallest=10)
    assert told[0] == pytest.approx(-0.6, abs=0.01)
    few = learn_gaps(Sums(np.full((1, 1), 12.0), np.full((1, 1), 12.0)), np.array([[0.5]]), PoolingParams(), smallest=10)
    assert 0 < few[0] < 1.5
    whole = Pooled(rate, n * 3, np.full_like(n, 50.0), np.array([200.0]), np.array([True]))
    silent = pool_parts(Sums(n * 0, n * 0), whole.moved(told), np.array([0]), PoolingParams(), smallest=10)
    assert np.allclose(silent.rate, move(rate, told))
    assert (silent.borrowed == 1).all()


# --- known worlds ---


def world(strength: float, seed: int) -> tuple[list[Sums], list[np.ndarray], np.ndarray]:
    """Draw 12 types, 10 sectors in each and 40 places in each of these, whose true rates follow beta laws."""
    draw = np.random.default_rng(seed)
    types = draw.beta(6, 6, 12)
    sectors = draw.beta(*(part.repeat(10) * 60 for part in (types, 1 - types)))
    true = draw.beta(*(part.repeat(40) * strength for part in (sectors, 1 - sectors)))
    n = np.round(draw.lognormal(2.5, 1.1, len(true))) + 1
    k = draw.binomial(n.astype(int), true)
    grains = [np.zeros(len(true), dtype=int), np.arange(12).repeat(400), np.arange(120).repeat(40), np.arange(len(true))]
    sums = [Sums(*(np.bincount(grain, of)[:, None].astype(float) for of in (k, n))) for grain in grains]
    parents = [np.zeros(12, dtype=int), np.arange(12).repeat(10), np.arange(120).repeat(40)]
    return sums, parents, true


@pytest.mark.parametrize("strength", [8.0, 40.0, 200.0])
def test_where_rates_follow_the_law_it_is_found_and_beats_both_ends(strength: float) -> None:
    covered = []
    for seed in range(3):
        sums, parents, true = world(strength, seed)
        local = pool(sums, parents, np.array([0]), PoolingParams(groups_to_learn=10), smallest=1)
        pooled = local[-1]
        raw = sums[-1].k[:, 0] / sums[-1].n[:, 0]
        wide = local[-2].rate[parents[-1], 0]
        errors = {name: float(np.sqrt(np.mean((of - true) ** 2))) for name, of in {"raw": raw, "wide": wide}.items()}
        error = float(np.sqrt(np.mean((pooled.rate[:, 0] - true) ** 2)))
        assert error < 0.99 * min(errors.values()), (errors, error)
        assert strength / 1.5 < pooled.strength[0] < strength * 1.5
        low, high = bound_rates(pooled.rate[:, 0], (pooled.n + pooled.prior)[:, 0], 0.1)
        covered.append(np.mean((low <= true) & (true <= high)))
    assert np.mean(covered) == pytest.approx(0.8, abs=0.03)


def test_where_all_are_alike_nearly_all_is_borrowed_and_where_none_is_little() -> None:
    alike, apart = (pool(*world(of, 5)[:2], np.array([0]), PoolingParams(), smallest=1)[-1] for of in (1e6, 3.0))
    assert alike.strength[0] > 500
    assert apart.strength[0] < 6
    assert np.median(alike.borrowed) > 0.9 > 0.5 > np.median(apart.borrowed)
