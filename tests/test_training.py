"""What is learned and what is known tonight: laws of applying, when training is due, and what is promoted."""

from __future__ import annotations

import io
from dataclasses import replace

import joblib
import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from features.build import Features
from needs.params import TrainingParams
from needs.run.added import tell_added
from needs.run.forecasts import ForecastModel, add_up_levels, forecast_levels, months_ahead, replay, train_forecast
from needs.run.inputs import Inputs
from needs.run.pipeline import compute
from needs.run.training import (
    ALL_STEPS,
    CODE,
    FIRST,
    LATER,
    OLD,
    PARAMS,
    About,
    Decision,
    Models,
    compare,
    decide,
    is_due,
    train,
)

pytestmark = pytest.mark.long

ABOUT = About("2026-03-31", 24, "d" * 64, "p" * 64, "c" * 12)
TRAINING = TrainingParams()


@pytest.fixture(scope="module")
def models(features: Features, inputs: Inputs) -> Models:
    return train(features, inputs)


def told(features: Features, inputs: Inputs, model: ForecastModel) -> pd.DataFrame:
    return forecast_levels(features, 24, inputs.params, inputs.params.features.grades.limits(), model)


def bytes_of(thing: object) -> bytes:
    held = io.BytesIO()
    joblib.dump(thing, held)
    return held.getvalue()


# --- what was learned, applied ---


def test_what_was_learned_tells_of_the_same_data_what_learning_tonight_tells(features: Features, inputs: Inputs) -> None:
    model = train_forecast(features, 24, inputs.params)
    assert set(model.learned) >= {"positions/cell", "positions/region/occupation", "seasonal/cell"}
    tonight = told(features, inputs, replace(model, learned={}))
    assert_frame_equal(told(features, inputs, model), tonight, check_exact=True)


def test_a_run_with_models_trained_on_its_own_inputs_is_the_run_that_trains_them(
    features: Features, inputs: Inputs, models: Models, published: dict[str, pd.DataFrame]
) -> None:
    kept = joblib.load(io.BytesIO(bytes_of(models)))
    tables = compute(inputs, kept).tables
    for name in tables:
        assert_frame_equal(tables[name], published[name], check_exact=True, obj=name)


def test_what_was_learned_a_month_ago_tells_the_months_after_the_newest_one(features: Features, inputs: Inputs) -> None:
    last = features.panel["period"].max()
    before = replace(
        features,
        panel=features.panel[features.panel["period"] < last],
        priors=features.priors[features.priors["period"] < last],
    )
    model = train_forecast(before, 24, inputs.params)
    later = told(features, inputs, model)
    assert later["period"].min() > last
    assert not later[["value", "low", "high"]].isna().any(axis=None)
    own = told(features, inputs, train_forecast(features, 24, inputs.params))
    assert later["value"].sum() == pytest.approx(own["value"].sum(), rel=0.1)


def test_cells_nobody_had_seen_when_it_was_learned_are_told_and_add_up(features: Features, inputs: Inputs) -> None:
    new = sorted(features.panel["occupation"].unique())[::5]
    seen = features.panel[~features.panel["occupation"].isin(new)]
    known = replace(features, panel=seen, priors=features.priors[~features.priors["occupation"].isin(new)])
    model = train_forecast(known, 24, inputs.params)
    assert not model.agreement.variances["occupation"].isin(new).any()
    levels = told(features, inputs, model)
    assert set(new) <= set(levels["occupation"])
    places = {kind: levels[levels["territory"].str.startswith(kind)] for kind in ("BE", "D", "R")}
    sums = [rows.groupby(["occupation", "period"])["value"].sum() for rows in places.values()]
    assert np.allclose(sums[0], sums[1])
    assert np.allclose(sums[1], sums[2])


def test_a_region_without_an_offer_is_learned_and_told_as_nothing(features: Features, inputs: Inputs) -> None:
    silent = replace(features, panel=features.panel.assign(positions=np.nan))
    model = train_forecast(silent, 24, inputs.params)
    assert model.learned == {}
    assert told(silent, inputs, model).empty
    assert replay(silent, model, inputs.params.forecast).empty
    assert not told(features, inputs, model).empty


def test_what_a_seat_costs_is_told_of_the_options_of_tonight(features: Features, inputs: Inputs, models: Models) -> None:
    dearer = replace(features, options=features.options.assign(place_eur=features.options["place_eur"] * 2))
    before, after = (tell_added(known, inputs.params, models.effects) for known in (features, dearer))
    assert np.allclose(after["seat_costs"]["seat_eur"], 2 * before["seat_costs"]["seat_eur"])
    assert_frame_equal(after["effects"], before["effects"])


def test_no_person_is_in_what_was_learned(features: Features, inputs: Inputs, models: Models) -> None:
    people = {*features.starts["person"], *features.tonight["person"], *inputs.tables.trainings["person"]}
    kept = bytes_of(models)
    assert len(people) > 1000
    assert [person for person in people if person.encode() in kept] == []
    assert all(person.encode() in bytes_of(features.starts) for person in features.starts["person"].head())


# --- judged at past origins ---


def test_what_is_replayed_is_what_came_beside_what_cells_add_up_to(features: Features, inputs: Inputs, models: Models) -> None:
    replayed = replay(features, models.forecast, inputs.params.forecast)
    fine, whole = (replayed[replayed["grain"] == grain] for grain in ("occupation", "bassin"))
    came = add_up_levels(features.panel).merge(fine, on=["territory", "occupation", "period"], validate="one_to_many")
    assert len(came) == len(fine) > 0
    assert (came["positions"] == came["value"]).all()
    assert fine["told"].sum() == pytest.approx(whole["told"].sum())
    assert sorted(replayed["step"].unique()) == list(range(1, 13))
    assert (fine["low"] <= fine["told"] + 1e-9).all()
    assert not np.isclose(fine["told"], fine["value"]).all()


def test_what_comes_after_an_origin_changes_nothing_that_was_told_there(
    features: Features, inputs: Inputs, models: Models
) -> None:
    replayed = replay(features, models.forecast, inputs.params.forecast)
    after = features.panel["period"] > replayed["origin"].max()
    more = replace(features, panel=features.panel.assign(positions=features.panel["positions"] * np.where(after, 3, 1)))
    again = replay(more, models.forecast, inputs.params.forecast)
    newest = replayed["origin"] == replayed["origin"].max()
    assert_frame_equal(again.loc[newest, ["told", "low", "high"]], replayed.loc[newest, ["told", "low", "high"]])
    assert again.loc[newest, "value"].sum() == pytest.approx(3 * replayed.loc[newest, "value"].sum())


def worse_forecast(models: Models) -> Models:
    """Give all weight to a growth drawn out of one month, and call it sure."""
    learned = {
        name: replace(
            each,
            weights=tuple({"growing_1": 1.0} for _ in each.weights),
            spreads=tuple(spread.times(1e-4) for spread in each.spreads),
        )
        for name, each in models.forecast.learned.items()
    }
    return replace(models, forecast=replace(models.forecast, learned=learned))


def worse_effects(models: Models, column: str, value: object) -> Models:
    return replace(models, effects=replace(models.effects, table=models.effects.table.assign(**{column: value})))


def test_a_model_beside_itself_is_worse_in_nothing(features: Features, inputs: Inputs, models: Models) -> None:
    scores = compare(models, models, features, inputs.params)
    assert scores["champion"].equals(scores["challenger"])
    assert {"forecast.occupation.wape", "forecast.bassin.wape", "forecast.occupation.pinball"} <= set(scores["metric"])
    assert set(scores.loc[scores["metric"] == "forecast.bassin.wape", "step"]) == set(range(13))
    assert decide(scores, TrainingParams(forecast_margin=0, doubt_margin=0, imbalance_margin=0, silence_margin=0)).promoted


def test_a_worse_forecast_is_refused_and_a_better_one_is_not(features: Features, inputs: Inputs, models: Models) -> None:
    worse = worse_forecast(models)
    refused = decide(compare(models, worse, features, inputs.params), TRAINING)
    assert not refused.promoted
    assert {reason.split()[0] for reason in refused.reasons} >= {"forecast.occupation.wape", "forecast.occupation.pinball"}
    assert decide(compare(worse, models, features, inputs.params), TRAINING).promoted


@pytest.mark.parametrize(
    ("column", "value", "metric"),
    [
        ("grade", "D", "unsure"),
        ("lowered", "refused", "refused"),
        ("imbalance", 9.0, "imbalance"),
        ("placebo", -0.4, "placebo"),
    ],
)
def test_effects_that_speak_against_themselves_are_refused(
    column: str, value: object, metric: str, features: Features, inputs: Inputs, models: Models
) -> None:
    sound = {"grade": "B", "lowered": "", "imbalance": 0.02, "placebo": 0.01}[column]
    scores = compare(worse_effects(models, column, sound), worse_effects(models, column, value), features, inputs.params)
    assert [reason.split()[0] for reason in decide(scores, TRAINING).reasons] == [f"effects.{metric}"]


def scored(metric: str, champion: float, challenger: float, step: int = ALL_STEPS) -> pd.DataFrame:
    return pd.DataFrame({"metric": [metric], "step": [step], "champion": [champion], "challenger": [challenger]})


@pytest.mark.parametrize(
    ("metric", "champion", "challenger", "promoted"),
    [
        ("forecast.bassin.wape", 0.50, 0.51, True),
        ("forecast.bassin.wape", 0.50, 0.5101, False),
        ("forecast.bassin.wape", 0.50, np.nan, False),
        ("forecast.bassin.wape", np.nan, 0.9, True),
        ("effects.placebo", 0.0, 0.01, True),
        ("effects.placebo", 0.0, 0.0101, False),
        ("effects.unsure", 0.30, 0.35, True),
        ("effects.unsure", 0.30, 0.36, False),
        ("effects.imbalance", 0.10, 0.16, False),
    ],
)
def test_a_metric_may_be_worse_by_its_margin_and_no_more(
    metric: str, champion: float, challenger: float, promoted: bool
) -> None:
    decided = decide(scored(metric, champion, challenger), TRAINING)
    assert decided.promoted is promoted
    assert len(decided.reasons) == (not promoted)


def test_one_step_ahead_alone_decides_nothing_and_a_first_model_is_promoted() -> None:
    assert decide(scored("forecast.bassin.wape", 0.1, 0.9, step=3), TRAINING) == Decision(promoted=True)
    assert decide(scored("forecast.bassin.wape", 0.1, 0.9).head(0), TRAINING).promoted


# --- when it is due ---


def on(day: str, **changed: str) -> About:
    return replace(ABOUT, as_of=day, **changed)


@pytest.mark.parametrize(
    ("champion", "tried", "wanted", "why"),
    [
        (None, None, on("2026-03-31"), FIRST),
        (ABOUT, None, on("2026-03-31"), ""),
        (ABOUT, None, on("2026-04-27", data_sha256="e" * 64), ""),
        (ABOUT, None, on("2026-04-28"), OLD),
        (ABOUT, None, on("2026-03-30"), LATER),
        (ABOUT, None, on("2026-04-01", params_sha256="q" * 64), PARAMS),
        (ABOUT, None, on("2026-04-01", code="e" * 12), CODE),
        (ABOUT, None, replace(on("2026-04-01"), months=23), ""),
        # What was refused is not learned again every night.
        (ABOUT, on("2026-04-28"), on("2026-05-25"), ""),
        (ABOUT, on("2026-04-28"), on("2026-05-26"), OLD),
        (ABOUT, on("2026-04-01", code="e" * 12), on("2026-04-02", code="e" * 12), ""),
        (ABOUT, on("2026-04-01", code="e" * 12), on("2026-04-02"), CODE),
        # A day of the past, or one to come, that was tried says nothing of tonight.
        (ABOUT, on("2026-03-01", code="e" * 12), on("2026-04-02"), ""),
        (ABOUT, on("2026-05-20"), on("2026-04-30"), OLD),
    ],
)
def test_training_is_due_when_it_must_be(champion: About | None, tried: About | None, wanted: About, why: str) -> None:
    assert is_due(champion, tried, wanted, TRAINING) == why


def test_what_models_are_made_of_is_read_back_and_named_by_all_of_it(features: Features, inputs: Inputs) -> None:
    about = About.of(inputs)
    assert About.read({**about.told(), "more": "x"}) == about
    assert about.months == months_ahead(inputs)
    others = [replace(about, months=1), on("2026-03-31"), replace(about, code="x"), replace(about, data_sha256="x")]
    assert len({about.name, *(other.name for other in others)}) == 5
    spoilt = ({}, about.told() | {"months": "x"}, about.told() | {"as_of": "../../etc"})
    assert [About.read(told_wrong) for told_wrong in spoilt] == [None, None, None]


def test_only_parameters_that_decide_what_is_learned_make_other_models(features: Features, inputs: Inputs) -> None:
    own = About.of(inputs)
    changes = {
        "show": {"language": "en"},
        "training": {"every_days": 7},
        "execution": {"workers": 7},
        "effects": {"horizon_months": 6},
    }
    made = {}
    for name, change in changes.items():
        section = getattr(inputs.params, name).model_copy(update=change)
        params = inputs.params.model_copy(update={name: section})
        made[name] = About.of(replace(inputs, params=params))
    assert {name for name, about in made.items() if about != own} == {"effects"}
