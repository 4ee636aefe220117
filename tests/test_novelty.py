"""Emerging and declining codes: how often steady ones are flagged, what is found, and laws."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features.novelty import SERIES, NoveltyParams, count_series, estimate_null, measure_false_alarms, score_novelty

PARAMS = NoveltyParams(placebo_codes=6_000)
YEARS = 5


def panel(seed: int, *, codes: int = 300, drift: float = 0.1, movers: int = 0, territory: str = "R44") -> pd.DataFrame:
    """Occupations whose shares drift from year to year; the first ``movers`` then double, and as many halve."""
    rng = np.random.default_rng(seed)
    size = rng.lognormal(4.5, 1.0, codes)
    shares = size[:, None] * np.exp(rng.normal(0, drift, (codes, YEARS)))
    shares[:movers, 0] *= 2.5
    shares[movers : 2 * movers, 0] /= 2.5
    counts = rng.poisson(shares)
    code, year = np.indices(counts.shape).reshape(2, -1)
    table = pd.DataFrame({"code": [f"K{k:04d}" for k in code], "year": year, "count": counts.ravel().astype(float)})
    base = table.groupby("year")["count"].transform("sum")
    return table.assign(kind="occupation", territory=territory, base=base)


@pytest.fixture(scope="module")
def steady() -> pd.DataFrame:
    """Ten panels without a mover, each a territory of its own."""
    return pd.concat([panel(seed, territory=f"D{seed:02d}") for seed in range(1, 11)], ignore_index=True)


@pytest.fixture(scope="module")
def moving() -> pd.DataFrame:
    return panel(50, movers=15)


def states(scores: pd.DataFrame) -> pd.Series:
    return scores.set_index("code")["state"]


# False alarms -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [0.05, 0.01])
def test_steady_codes_are_flagged_no_oftener_than_is_said(steady: pd.DataFrame, wanted: float) -> None:
    told = measure_false_alarms(steady, PARAMS.model_copy(update={"false_alarms": wanted}))
    flagged = float(np.average(told["flagged"], weights=told["codes"]))
    error = np.sqrt(wanted * (1 - wanted) / told["codes"].sum())
    assert wanted / 2 - 3 * error < flagged < wanted + 3 * error
    assert (told["placebos"] >= PARAMS.placebo_codes / 2).all()
    assert told["false_alarms"].mean() == pytest.approx(wanted, abs=3 * error)


def test_what_is_measured_is_what_the_scores_carry(steady: pd.DataFrame) -> None:
    told, scores = measure_false_alarms(steady, PARAMS), score_novelty(steady, PARAMS)
    by_panel = scores.groupby(["kind", "territory"])
    for name in ("threshold", "false_alarms"):
        assert (by_panel[name].first().to_numpy() == told[name].to_numpy()).all()
    known = scores[scores["state"] != "unknown"]
    flagged = (known["state"] != "steady").groupby([known["kind"], known["territory"]]).mean()
    assert flagged.to_numpy() == pytest.approx(told["flagged"].to_numpy())


def test_fewer_false_alarms_flag_fewer(moving: pd.DataFrame) -> None:
    flagged = [
        set(
            states(score_novelty(moving, NoveltyParams(false_alarms=rate)))
            .loc[lambda s: s.isin(["emerging", "declining"])]
            .index
        )
        for rate in (0.2, 0.05, 0.01)
    ]
    assert flagged[0] > flagged[1] >= flagged[2]


@pytest.mark.parametrize(("movers", "drift"), [(0, 0.15), (24, 0.15), (0, 0.02)])
def test_the_null_is_that_of_the_steady_codes_whatever_some_others_do(movers: int, drift: float) -> None:
    rng = np.random.default_rng(7)
    info = rng.lognormal(3, 1, 600)
    u = rng.normal(0.2, np.sqrt(1.5 / info + drift**2))
    u[:movers] += 2.0
    null = estimate_null(u, info, 1.0)
    assert float(null.centre) == pytest.approx(0.2, abs=0.04)
    assert np.median(np.sqrt(null.dispersion / info + null.drift**2)) == pytest.approx(
        np.median(np.sqrt(1.5 / info + drift**2)), rel=0.15
    )


# What is found ----------------------------------------------------------------------------------------------------------


def test_what_doubles_emerges_and_what_halves_declines(moving: pd.DataFrame) -> None:
    scores = score_novelty(moving, PARAMS)
    codes = sorted(moving["code"].unique())
    found = states(scores)
    assert (found[codes[:15]] == "emerging").mean() >= 0.8
    assert (found[codes[15:30]] == "declining").mean() >= 0.8
    assert (scores["growth"].between(scores["low"], scores["high"])).all()
    assert (np.sign(scores["growth"]) == np.sign(scores["score"]))[scores["score"].abs() > 0.5].all()
    assert scores.set_index("code").loc[codes[:15], "growth"].median() == pytest.approx(np.log(2.5), abs=0.2)


def test_a_crisis_of_all_is_no_news(moving: pd.DataFrame) -> None:
    fallen = moving.assign(**{name: moving[name].where(moving["year"] > 0, moving[name] * 0.5) for name in ("count", "base")})
    usual, crisis = (score_novelty(table, PARAMS).set_index("code")["growth"] for table in (moving, fallen))
    large = score_novelty(moving, PARAMS).set_index("code")["n"] > 200
    np.testing.assert_allclose(crisis[large], usual[large], atol=0.05)


def test_a_skill_is_held_against_its_occupations_and_not_against_their_mix() -> None:
    """Half of the offers of each occupation ask the skill, always; the first occupation grows tenfold, the other dies."""
    rows = [("A1101", 10.0, 100.0), ("A1201", 100.0, 10.0)]
    cells = []
    for occupation, before, last in rows:
        for year in range(3):
            offers = last if year == 0 else before
            usual = 0.8 if occupation == "A1101" else 0.2
            cells += [(occupation, "", year, offers), (occupation, "7", year, usual * offers)]
    counts = pd.DataFrame(cells, columns=["occupation", "skill", "year", "offers"]).assign(territory="BE4441", department="D67")
    series = count_series(counts).set_index(["kind", "code", "year"]).sort_index()
    skill = series.xs(("skill", "7"))
    np.testing.assert_allclose(skill["count"], skill["base"])
    assert series.loc[("occupation_skill", "A1101>7", 0), "base"].item() == 100.0


# Laws -------------------------------------------------------------------------------------------------------------------


def test_row_order_changes_nothing(moving: pd.DataFrame) -> None:
    shuffled = moving.sample(frac=1, random_state=2)
    pd.testing.assert_frame_equal(score_novelty(shuffled, PARAMS), score_novelty(moving, PARAMS), check_exact=True)


def test_a_territory_alone_is_as_in_the_whole(steady: pd.DataFrame) -> None:
    whole = score_novelty(steady, PARAMS)
    alone = score_novelty(steady[steady["territory"] == "D03"], PARAMS)
    pd.testing.assert_frame_equal(alone, whole[whole["territory"] == "D03"].reset_index(drop=True), check_exact=True)


def test_bases_add_up_and_every_year_has_a_row() -> None:
    rng = np.random.default_rng(3)
    keys = [("BE4441", "D67", f"A110{k}", skill, year) for k in range(4) for skill in ("", "1", "2") for year in range(3)]
    counts = pd.DataFrame(keys, columns=["territory", "department", "occupation", "skill", "year"])
    counts = counts.assign(offers=np.where(counts["skill"] == "", 20.0, rng.integers(0, 20, len(counts))))
    gap = (counts["occupation"] == "A1100") & (counts["year"] == 1)
    series = count_series(counts[~gap])
    occupations = series[series["kind"] == "occupation"]
    sums = occupations.groupby(["territory", "year"]).agg(count=("count", "sum"), base=("base", "first"))
    assert (sums["count"] == sums["base"]).all()
    assert occupations.query("code == 'A1100' and year == 1 and territory == 'R44'")["count"].item() == 0.0
    skills = series[series["kind"] == "skill"].groupby("code")[["count", "base"]].sum()
    np.testing.assert_allclose(skills["count"], skills["base"])
    assert not series.duplicated(SERIES).any()
    assert set(series.loc[series["kind"] == "occupation", "territory"]) == {"R44", "D67"}


@pytest.mark.parametrize(
    "too_little",
    [
        lambda series: series[series["code"] < "K0010"],
        lambda series: series[series["year"] == 0],
        lambda series: series[series["year"] > 0],
        lambda series: series.assign(count=series["count"] / 1e4),
    ],
    ids=["few codes", "no year before", "no last year", "few offers"],
)
def test_too_little_is_said_to_be_unknown(moving: pd.DataFrame, too_little: object) -> None:
    scores = score_novelty(too_little(moving), PARAMS)  # type: ignore[operator]
    assert len(scores) > 0
    assert (scores["state"] == "unknown").all()
    assert scores["score"].isna().all()


def test_no_series_gives_no_row_and_every_column(moving: pd.DataFrame) -> None:
    none, some = (score_novelty(table, PARAMS) for table in (moving.head(0), moving))
    assert (len(none), list(none)) == (0, list(some))
    assert measure_false_alarms(moving.head(0), PARAMS).empty
    columns = {
        "territory": "str",
        "department": "str",
        "occupation": "str",
        "skill": "str",
        "year": "int64",
        "offers": "float64",
    }
    empty = pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in columns.items()})
    assert (len(count_series(empty)), list(count_series(empty))) == (0, [*SERIES, "count", "base"])
