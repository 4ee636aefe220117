"""The ranking: what makes a place worth more or less, in what order, and what is said of it; then what options are made of."""

from __future__ import annotations

import json
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from features.contracts import GradeLimits
from features.entrants import SHARES, add_entrants
from features.options import OPTION, OptionParams, list_bought, list_options, registered_until
from features.pooling import PoolingParams
from features.publics import PublicParams
from features.signs import SECTOR, SIGNS, SignParams, note_signs, sector_signs
from features.tables import CERTIFICATIONS, PURCHASES, REGISTRATIONS, TRAININGS
from models.effects import no_effects
from models.metrics import ndcg
from models.ranking import KEY, Known, RankingParams, rank_options
from needs.show.messages import messages

LIMITS = GradeLimits(100, 30, 10, 0.2, 0.5)
TERRITORIES = ("BE4415", "BE4441")
KINDS = (
    ("150", "langue", ""),
    ("230", "certification", "3"),
    ("312", "certification", "4"),
    ("312", "professionnalisation", "4"),
)
SOME = settings(max_examples=40, deadline=None)


def world(seed: int = 0) -> tuple[pd.DataFrame, Known]:
    """Draw gaps, and what is set against them."""
    rng = np.random.default_rng(seed)
    options = pd.DataFrame(list(KINDS), columns=OPTION)
    options = options.assign(place_eur=rng.integers(1500, 6000, 4) + 0.5, risk=rng.uniform(0, 0.4, 4), busiest=5.0)
    cells = pd.DataFrame([(place, *of) for place in TERRITORIES for of in (("230", "3"), ("312", "4"))], columns=SECTOR)
    share, need = np.sort(rng.uniform(0.05, 0.95, (len(cells), 3))), rng.uniform(20, 100, len(cells))
    gap = need * rng.uniform(-0.2, 1.2, len(cells))
    gaps = cells.assign(
        need=need, gap=gap, gap_low=gap - 5, gap_high=gap + 5, need_n=need, training_solvable_low=share[:, 0],
        training_solvable=share[:, 1], training_solvable_high=share[:, 2], disagreement=rng.uniform(0, 1, len(cells)),
    )  # fmt: skip
    names = no_effects().columns
    aims = ["qualification" if kind == "langue" else "durable" for _, kind, _ in KINDS]
    effects = options[OPTION[:2]].assign(group="all", outcome=aims, horizon_months=12, value=rng.uniform(-0.02, 0.1, 4))
    effects = effects.assign(low=effects["value"] - 0.05, high=effects["value"] + 0.05, n=80.0, borrowed=0.3, grade="B")
    known = Known(
        options=options,
        eligible=pd.DataFrame({"territory": list(TERRITORIES), "people": [200, 300]}),
        outcomes=pd.DataFrame(),
        effects=effects.reindex(columns=names),
        chain=pd.DataFrame({"fill": [0.8], "completion": [0.75]}),
        bought=pd.DataFrame([("BE4415", *KINDS[1])], columns=KEY),
        signs=cells.assign(**{name: rng.uniform(0, 1, len(cells)) for name in SIGNS}),
    )
    return gaps, known


def rank(gaps: pd.DataFrame, known: Known, params: RankingParams | None = None) -> pd.DataFrame:
    return rank_options(gaps, known, params or RankingParams(), LIMITS).set_index(KEY)


def codes(told: pd.DataFrame, column: str) -> list[list[str]]:
    return [[code for code, _ in json.loads(text)] for text in told[column]]


# Worth ------------------------------------------------------------------------------------------------------------------


@pytest.mark.long
@given(st.integers(0, 10_000))
@SOME
def test_worth_lies_within_its_bounds_and_shares_are_shares(seed: int) -> None:
    told = rank(*world(seed))
    assert ((told["low"] <= told["value"] + 1e-12) & (told["value"] <= told["high"] + 1e-12)).all()
    for name in ("solvable", "emerging", "open"):
        assert told[name].between(0, 1).all()
    assert told["value"].to_numpy() == pytest.approx((told["success"] * told["open"]).to_numpy())


@pytest.mark.long
@given(st.integers(0, 10_000), st.floats(0.05, 0.5))
@SOME
def test_less_that_training_answers_or_more_risk_brings_every_worth_nearer_to_nothing(seed: int, less: float) -> None:
    gaps, known = world(seed)
    before = rank(gaps, known)
    solvable = gaps.assign(**{name: gaps[name] * less for name in gaps if str(name).startswith("training_solvable")})
    options = known.options.assign(risk=1 - (1 - known.options["risk"]) * less)
    answered, risky = rank(solvable, known), rank(gaps, replace(known, options=options))
    for after in (answered, risky):
        assert (after["value"].abs() <= before["value"].abs() + 1e-12).all()
    assert (answered["room"] <= before["room"]).all()
    assert (risky["success"].abs() <= before["success"].abs() + 1e-12).all()
    assert risky["success"].abs().sum() < before["success"].abs().sum()


def test_worth_is_the_product_of_what_the_docstring_says() -> None:
    gaps, known = world(1)
    told = rank(gaps, known)
    at = ("BE4415", "230", "certification", "3")
    cell = gaps.set_index(SECTOR).loc[("BE4415", "230", "3")]
    rate, risk = known.effects.loc[1, "value"], known.options.loc[1, "risk"]
    assert told.loc[at, "success"] == pytest.approx(0.8 * rate * (1 - risk))
    assert told.loc[at, "open"] == pytest.approx(1.0 - NormalDist(cell["gap"], 10 / 2.5631).cdf(0.0))


def test_what_nobody_knows_the_causes_of_and_general_types_are_wholly_answered() -> None:
    gaps, known = world(2)
    told = rank(gaps.assign(training_solvable=np.nan, training_solvable_low=np.nan, training_solvable_high=np.nan), known)
    assert (told["solvable"] == 1.0).all()
    general = rank(gaps, known).xs("langue", level="action_type")
    assert (general["solvable"] == 1.0).all()
    assert (general["emerging"] == 0.0).all()
    assert general["disagreement"].isna().all()


# Order ------------------------------------------------------------------------------------------------------------------


@pytest.mark.long
@given(st.integers(0, 10_000))
@SOME
def test_rank_one_costs_least_and_what_is_worth_nothing_comes_last(seed: int) -> None:
    for _, told in rank(*world(seed)).groupby("territory"):
        ordered = told.sort_values("rank")
        assert ordered["rank"].tolist() == list(range(1, len(told) + 1))
        cost = ordered["cost_per_job_eur"]
        assert cost.dropna().is_monotonic_increasing
        assert cost.isna().is_monotonic_increasing
        assert (ordered["value"] > 1e-6).equals(cost.notna())


@pytest.mark.long
@given(st.integers(0, 10_000))
@SOME
def test_the_order_of_rows_changes_nothing(seed: int) -> None:
    gaps, known = world(seed)
    shuffled = replace(
        known,
        **{
            name: getattr(known, name).sample(frac=1, random_state=seed)
            for name in ("options", "eligible", "effects", "bought", "signs")
        },
    )
    assert_frame_equal(rank(gaps.sample(frac=1, random_state=seed), shuffled), rank(gaps, known))


def test_the_emerging_rank_keeps_the_order_among_what_emerges_alone() -> None:
    gaps, known = world(3)
    told = rank(gaps, known, RankingParams(emerging_share=0.5))
    emerges = told["emerging"] >= 0.5
    assert emerges.any()
    assert not emerges.all()
    assert told["emerging_rank"].notna().equals(emerges)
    for _, among in told[emerges].groupby("territory"):
        ordered = among.sort_values("rank")
        assert ordered["emerging_rank"].tolist() == list(range(1, len(among) + 1))


# Words ------------------------------------------------------------------------------------------------------------------


def test_every_reason_and_caveat_has_words_and_reasons_are_three_at_most() -> None:
    for seed in range(5):
        told = rank(*world(seed))
        for column in ("reasons", "caveats"):
            assert {code for row in codes(told, column) for code in row} <= set(messages())
        assert max(map(len, codes(told, "reasons"))) <= 3


def test_a_lot_that_finds_no_bidder_and_a_shortage_that_training_hardly_answers_are_reasons() -> None:
    gaps, known = world(4)
    known = replace(known, options=known.options.assign(risk=[0.0, 0.0, 0.0, 0.9]))
    low = gaps["sector"] == "230"
    told = rank(gaps.assign(training_solvable=np.where(low, 0.1, 0.9)), known).loc["BE4415"]
    assert "bidders_unlikely" in codes(told, "reasons")[3]
    assert "training_answers_little" in codes(told, "reasons")[1]


@pytest.mark.parametrize(
    ("sign", "code"),
    [
        ("border_share", "cross_border_work"),
        ("own_account", "self_employment"),
        ("seasonal_share", "seasonal_contracts"),
        ("secret_share", "estimated_need"),
    ],
)
def test_a_sign_beyond_its_threshold_is_a_caveat_and_below_it_is_none(sign: str, code: str) -> None:
    gaps, known = world(5)
    quiet = replace(known, signs=known.signs.assign(**dict.fromkeys(SIGNS, 0.0)))
    loud = replace(quiet, signs=quiet.signs.assign(**{sign: 0.9}))
    assert not any(code in row for row in codes(rank(gaps, quiet), "caveats"))
    told = rank(gaps, loud)
    general = told.index.get_level_values("action_type") == "langue"
    assert [code in row for row in codes(told, "caveats")] == (~general).tolist()


def test_doubts_on_the_effect_and_on_the_need_are_caveats() -> None:
    gaps, known = world(6)
    every = known.effects.assign(sector="", value=0.04)
    doubted = known.effects.assign(
        value=[0.05, np.nan, 0.05, 0.05], borrowed=[0.1, 1.0, 0.1, 0.95], n=[80.0, 0.0, 80.0, 5.0], grade=["A", "A", "D", "A"]
    )
    known = replace(known, effects=pd.concat([doubted, every.drop_duplicates(["sector", "action_type"])], ignore_index=True))
    told = rank(gaps.assign(disagreement=[0.9, 0.1] * 2), known).loc["BE4415"]
    language, refused, doubtful, borrowed = codes(told, "caveats")
    assert "sources_disagree" not in language
    assert {"effect_refused", "borrowed_effect", "few_observations", "sources_disagree"} <= set(refused)
    assert "effect_doubtful" in doubtful
    assert "few_observations" not in doubtful
    assert {"borrowed_effect", "few_observations"} <= set(borrowed)


# What options are made of -----------------------------------------------------------------------------------------------


def lots(rows: int = 6, **columns: object) -> pd.DataFrame:
    """Lots of one option, notified in time."""
    told = {
        "exercise": 2025, "action_type": "certification", "formacode": "23026", "certifinfo": "100", "exit_level": 3,
        "territory_kind": "BE", "territory": "BE4441", "places": 20, "sessions": 2, "cost_eur": 60_000.0, "bids": 2,
        "known_from": pd.Timestamp("2025-01-15"),
    }  # fmt: skip
    frame = pd.DataFrame({"lot": [f"L{place}" for place in range(rows)]}).assign(**(told | columns))
    return PURCHASES.empty().reindex(range(rows)).assign(**frame).astype(PURCHASES.empty().dtypes.to_dict())


def until(**ends: str) -> pd.DataFrame:
    return pd.DataFrame({"certification": list(ends), "certified_until": pd.to_datetime(list(ends.values())).as_unit("us")})


def options_of(purchases: pd.DataFrame, registered: pd.DataFrame | None = None) -> pd.DataFrame:
    ends = registered if registered is not None else until()
    return list_options(purchases, ends.astype({"certification": "str"}), 2027, OptionParams())


def test_a_certification_that_ends_gives_way_to_one_that_lasts_and_stays_where_none_does() -> None:
    bought = lots(3, certifinfo=["100", "100", "200"])
    ends = pd.DataFrame({"certification": ["100", "200"], "certified_until": pd.to_datetime(["2027-12-30", "2027-12-31"])})
    assert options_of(bought, ends)["certification"].tolist() == ["200"]
    ended = ends.assign(certified_until=pd.to_datetime(["2027-12-30", "2027-06-30"]))
    told = options_of(bought, ended)
    assert told["certification"].tolist() == ["100"]
    assert told["certified_until"].tolist() == [pd.Timestamp("2027-12-30")]
    assert options_of(bought)["certification"].tolist() == ["100"], "what no register tells of does not end"


def test_a_lot_without_a_certification_never_stands_for_one_that_ends() -> None:
    bought = lots(4, certifinfo=["100", "100", None, None], places=[30, 30, 20, 20])
    ends = pd.DataFrame({"certification": ["100"], "certified_until": pd.to_datetime(["2026-12-31"])})
    assert options_of(bought, ends)["certification"].tolist() == ["100"]


def test_the_end_of_a_certification_is_that_of_its_last_fiche_else_of_its_last_session() -> None:
    rows = pd.DataFrame(
        {"certifinfo": ["1", "2", "3", "4"], "rncp": ["50", None, "99", None], "rs": [None, "7|8", None, None]}
    ).assign(last_session=[2020, None, 2028, None])
    certifications = CERTIFICATIONS.empty().reindex(range(4)).assign(**rows).astype(CERTIFICATIONS.empty().dtypes.to_dict())
    fiches = pd.DataFrame(
        {"fiche": ["RNCP50", "RS7", "RS8"], "ends": pd.to_datetime(["2027-08-31", "2026-01-31", "2029-01-31"])}
    )
    ended = registered_until(certifications, fiches).set_index("certification")["certified_until"]
    assert ended.loc[["1", "2", "3"]].dt.strftime("%Y-%m-%d").tolist() == ["2027-08-31", "2029-01-31", "2028-12-31"]
    assert pd.isna(ended["4"])
    nothing = registered_until(certifications, REGISTRATIONS.empty())
    assert nothing["certified_until"].dt.year.dropna().tolist() == [2020, 2028]


@pytest.mark.long
@given(st.floats(0.5, 3.0), st.integers(2, 8))
@SOME
def test_prices_that_differ_more_have_a_wider_spread_and_a_scale_changes_none(apart: float, count: int) -> None:
    prices = 60_000 * np.exp(np.linspace(-0.1, 0.1, count))
    one, wider, scaled = (
        options_of(lots(count, cost_eur=cost))["price_spread"].iloc[0]
        for cost in (prices, 60_000 * (prices / 60_000) ** (1 + apart), prices * apart)
    )
    assert wider > one == pytest.approx(scaled)
    assert options_of(lots(count))["price_spread"].tolist() == [OptionParams().smallest_spread]


def test_an_allowance_is_per_place_and_nothing_where_never_said() -> None:
    assert options_of(lots(3, allowance_eur=[20_000.0, 30_000.0, 40_000.0]))["allowance_eur"].tolist() == [1500.0]
    assert options_of(lots(3))["allowance_eur"].tolist() == [0.0]


def test_risk_leans_on_all_lots() -> None:
    other = lots(8, formacode="31254").assign(lot=[f"M{place}" for place in range(8)])
    told = options_of(pd.concat([lots(4, bids=[0, 1, 1, 1]), other], ignore_index=True)).set_index("sector")["risk"]
    assert 1 / 12 < told["230"] < 1 / 4
    assert 0 < told["312"] < 1 / 12


def test_a_lot_of_a_wider_territory_was_bought_for_its_bassins() -> None:
    communes = pd.DataFrame(
        {
            "territory": ["BE4441", "BE4415", "BE4430"], "department": ["D67", "D67", "D08"], "zone": ["ZE1", "ZE1", "ZE2"],
            "maison": ["MR01", "MR01", "MR02"], "population": [10, 10, 10],
        }
    )  # fmt: skip
    wide = lots(1, territory_kind="D", territory="D67")
    assert list_bought(wide, communes)["territory"].tolist() == ["BE4415", "BE4441"]
    assert list_bought(lots(1, territory_kind="R", territory="R44"), communes)["territory"].nunique() == 3
    assert list_bought(lots(1), communes)["territory"].tolist() == ["BE4441"]
    assert list_bought(lots(1, bids=0), communes).empty
    told = rank(*world(1))["never_bought"]
    assert told[~told].index.tolist() == [("BE4415", *KINDS[1])]


def entrants(counts: dict[str, tuple[int, int]]) -> pd.DataFrame:
    """Trainings entered: so many of each sector, and so many of them receive the RSA."""
    rows = [
        {"formacode": f"{sector}26", "rsa": place < some, "neet": False}
        for sector, (many, some) in counts.items()
        for place in range(many)
    ]
    frame = pd.DataFrame(rows).assign(action_type="certification", exit_level=3, status="entre")
    return TRAININGS.empty().reindex(range(len(frame))).assign(**frame)


def shares_of(counts: dict[str, tuple[int, int]]) -> pd.DataFrame:
    options = pd.DataFrame({"sector": ["230", "312", "999"], "action_type": "certification", "level": "3"})
    return add_entrants(options, entrants(counts), PublicParams(), PoolingParams(), 10).set_index("sector")


def test_the_share_of_a_public_lies_between_the_option_and_its_type() -> None:
    told = shares_of({"230": (100, 80), "312": (300, 30)})
    assert 110 / 400 < told.loc["230", "of_rsa"] < 0.8
    assert 0.1 < told.loc["312", "of_rsa"] < 110 / 400
    assert told.loc["999", "of_rsa"] == pytest.approx(110 / 400), "nobody entered it: its type's"
    assert (told[list(SHARES)] >= 0).all().all()
    assert (told[list(SHARES)] <= 1).all().all()


def test_a_few_entrants_say_nothing_of_their_own() -> None:
    assert shares_of({"230": (9, 9), "312": (91, 1)}).loc["230", "of_rsa"] == pytest.approx(0.1)
    nobody = add_entrants(
        shares_of({"230": (20, 1)}).reset_index()[OPTION], TRAININGS.empty(), PublicParams(), PoolingParams(), 10
    )
    assert (nobody[list(SHARES)] == 0).all().all()


def test_signs_of_occupations_become_shares_of_sectors() -> None:
    cells = pd.DataFrame(
        {
            "territory": "BE4441", "department": "D67", "occupation": ["A1101", "B1101"], "positions": [30.0, 10.0],
            "seasonal": [10.0, 0.0], "border": [0.0, 10.0], "projects": [20.0, np.nan], "secret_share": [0.5, np.nan],
        }
    )  # fmt: skip
    states = {"code": ["A1101", "B1101"], "state": ["emerging", "steady"]}
    novelty = pd.DataFrame({"kind": "occupation", "territory": "R44"} | states)
    spells = pd.DataFrame({"occupation": ["B1101"] * 100, "contract": ["IND"] * 50 + ["CDI"] * 50})
    noted = note_signs(cells, novelty, spells, SignParams(prior_spells=1.0))
    links = pd.DataFrame({"occupation": ["A1101", "B1101"], "sector": "230", "level": "3", "weight": [0.5, 1.0]})
    asked = pd.DataFrame({"territory": "BE4441", "occupation": ["A1101", "B1101"], "need": [20.0, 30.0]})
    told = sector_signs(asked, noted, links).iloc[0]
    assert told["emerging"] == pytest.approx(10 / 40)
    assert told["seasonal_share"] == pytest.approx(5 / 30)
    assert told["border_share"] == pytest.approx(10 / 35)
    assert told["secret_share"] == pytest.approx(0.5)
    assert told["own_account"] == pytest.approx(0.5)
    assert sector_signs(asked.head(0), noted, links)[["emerging"]].iloc[0, 0] == 0.0


# How a ranking is judged ------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 10), min_size=2, max_size=30))
@SOME
def test_the_true_order_scores_one_and_no_order_more(gains: list[float]) -> None:
    true = np.array(gains)
    if true.sum() > 0:
        assert ndcg(true, true, 10) == pytest.approx(1.0)
        assert 0 <= ndcg(-true, true, 10) <= 1 + 1e-12
    else:
        assert np.isnan(ndcg(true, true, 10))
