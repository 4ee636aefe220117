"""What is learned, apart from what is known tonight: models trained when it is due, and held against those in force.

models = train(features, inputs)                               all that later nights need, and no row of a person
why = is_due(champion, tried, wanted, params.training)         "" while the champion may serve
scores = compare(champion, challenger, features, params)       both at the same past origins, with the newest data
decision = decide(scores, params.training)                     promoted, or kept from it, and why
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields

import numpy as np
import pandas as pd

from features.build import Features
from models import metrics
from models.course_groups import EVERY
from needs.params import Params, TrainingParams
from needs.run.added import EffectModel, Lived, train_effects
from needs.run.code import learning_code
from needs.run.forecasts import ForecastModel, judge_forecasts, months_ahead, replay, train_forecast
from needs.run.inputs import Inputs
from needs.run.progress import step

LEARNED_BY = ("features", "forecast", "effects", "personal", "actions", "policy")  # sections that decide what is learned
FIRST, LATER, PARAMS, CODE, OLD = "first", "later", "params", "code", "old"
ALL_STEPS = 0
_DAY = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")


@dataclass(frozen=True)
class About:
    """What models were made of. The same gives the same models, and the same ``name``."""

    as_of: str
    months: int
    data_sha256: str
    params_sha256: str
    code: str

    @classmethod
    def of(cls, inputs: Inputs) -> About:
        """Say what models of a run would be made of."""
        learned_by = inputs.params.model_dump_json(include=set(LEARNED_BY))
        return cls(
            as_of=f"{inputs.as_of:%Y-%m-%d}",
            months=months_ahead(inputs),
            data_sha256=inputs.data_sha256,
            params_sha256=hashlib.sha256(learned_by.encode()).hexdigest(),
            code=learning_code(),
        )

    @classmethod
    def read(cls, told: Mapping[str, str]) -> About | None:
        """Read what :meth:`told` wrote; nothing where some of it lacks."""
        names = [field.name for field in fields(cls)]
        if not set(names) <= set(told) or not told["months"].isdecimal() or not _DAY.fullmatch(told["as_of"]):
            return None
        texts = {name: told[name] for name in names if name != "months"}
        return cls(**texts, months=int(told["months"]))

    def told(self) -> dict[str, str]:
        """Write it as texts."""
        return {name: str(value) for name, value in asdict(self).items()}

    @property
    def day(self) -> pd.Timestamp:
        """The day they stand on: nothing later was learned from."""
        return pd.Timestamp(self.as_of)

    @property
    def name(self) -> str:
        """The day, and a hash of the rest."""
        return f"{self.as_of.replace('-', '')}-{hashlib.sha256(str(self.told()).encode()).hexdigest()[:12]}"


@dataclass(frozen=True)
class Models:
    """All that was learned: of forecasts and of effects; and how the forecast fared over past years (``judged``)."""

    about: About
    forecast: ForecastModel
    effects: EffectModel
    judged: pd.DataFrame


@dataclass(frozen=True)
class Decision:
    """Whether a challenger becomes the champion; ``reasons`` name what it does worse by more than is allowed."""

    promoted: bool
    reasons: tuple[str, ...] = ()


def train(features: Features, inputs: Inputs) -> Models:
    """Learn from what is known at the day of a run."""
    return learn(lambda: features, inputs)


def learn(features: Callable[[], Features], inputs: Inputs) -> Models:
    """Learn as :func:`train` does. The features are asked for each time: what takes most memory looks at a third of them."""
    params = inputs.params
    known = features()
    with step("training of forecasts") as rows:
        forecast = train_forecast(known, months_ahead(inputs), params)
        rows |= {"months of series in": len(known.panel), "sets of series": len(forecast.learned)}
    del known
    lived = Lived.of(features())
    with step("training of effects") as rows:
        effects = train_effects(lived, inputs.tables, params)
        rows |= {"starts in": len(lived.starts), "effects": len(effects.table)}
    del lived
    panel = features().panel
    with step("backtest") as rows:
        judged = judge_forecasts(panel, params.forecast)
        rows["origins"] = judged["origin"].nunique()
    return Models(About.of(inputs), forecast, effects, judged)


def is_due(champion: About | None, tried: About | None, wanted: About, params: TrainingParams) -> str:
    """Say why models must be trained for a run, or "" when the champion may serve it.

    ``first``: there is no champion. ``later``: it stands on a day after that of the run, and nothing of the future may serve
    one. Else what was ``tried`` last decides, promoted or not, so that what was refused is not learned again every night:
    ``params`` or ``code`` of training are others than today's, or it is ``old``.
    """
    if champion is None:
        return FIRST
    if champion.day > wanted.day:
        return LATER
    last = tried if tried and champion.day <= tried.day <= wanted.day else champion
    if last.params_sha256 != wanted.params_sha256:
        return PARAMS
    if last.code != wanted.code:
        return CODE
    return OLD if (wanted.day - last.day).days >= params.every_days else ""


# Held against each other ------------------------------------------------------------------------------------------------


def compare(champion: Models | None, challenger: Models, features: Features, params: Params) -> pd.DataFrame:
    """Judge both on the same. One row per metric and step (0: all): champion, challenger; all are better when lower.

    Forecasts are judged at the same past origins, each model applying what it learned to what was known there; effects by what
    should be nothing, and by what they leave unsaid.
    """
    scores = pd.DataFrame(_scores(challenger, features, params), columns=["metric", "step", "challenger"])
    held = _scores(champion, features, params) if champion else ()
    before = pd.DataFrame(held, columns=["metric", "step", "champion"]).astype({"metric": "str", "step": "int64"})
    both = before.merge(scores, on=["metric", "step"], how="outer", validate="one_to_one")
    return both.astype({"champion": "float64"}).sort_values(["metric", "step"], ignore_index=True)


def _scores(models: Models, features: Features, params: Params) -> Iterator[tuple[str, int, float]]:
    """Score models: metric, step ahead, score."""
    told = replay(features, models.forecast, params.forecast)
    for grain, rows in told.groupby("grain"):
        yield f"forecast.{grain}.wape", ALL_STEPS, metrics.wape(rows["value"], rows["told"])
        for ahead, some in rows.groupby(rows["step"].astype("str")):
            yield f"forecast.{grain}.wape", int(str(ahead)), metrics.wape(some["value"], some["told"])
    fine = told[told["grain"] == "occupation"]
    if len(fine):
        yield "forecast.occupation.pinball", ALL_STEPS, metrics.pinball(fine["value"], {0.1: fine["low"], 0.9: fine["high"]})
    for name, doubt in _doubts(models.effects.table, params.effects.horizon_months).items():
        yield f"effects.{name}", ALL_STEPS, doubt


def _doubts(effects: pd.DataFrame, months: int) -> dict[str, float]:
    """Sum up what speaks against effects: sizes of what should be nothing, by entrants of a type, and what is not told."""
    told = effects[(effects["group"] == EVERY) & (effects["outcome"] == "durable") & (effects["horizon_months"] == months)]
    types = told[told["sector"] == ""]
    shares = {"refused": told["lowered"] == "refused", "unsure": told["grade"] == "D"}
    return {
        **{name: _usual(types[name].abs(), types["n"]) for name in ("placebo", "control", "imbalance")},
        **{name: float(share.mean()) for name, share in shares.items()},
    }


def _usual(sizes: pd.Series[float], weights: pd.Series[float]) -> float:
    """Give the weighted mean of what is known, or NaN."""
    weight = weights.where(sizes.notna(), 0.0)
    return float((sizes.fillna(0.0) * weight).sum() / weight.sum()) if weight.sum() > 0 else float(np.nan)


def decide(scores: pd.DataFrame, params: TrainingParams) -> Decision:
    """Promote the challenger unless a guarded metric is worse by more than its margin, or can no longer be told.

    Guarded is what is told of all steps together. Errors of forecasts may grow by a share of themselves, doubts of effects by
    an amount.
    """
    whole = scores[(scores["step"] == ALL_STEPS) & scores["champion"].notna()].set_index("metric")
    forecasts = whole.index.str.startswith("forecast.")
    allowed = np.where(
        forecasts,
        whole["champion"] * (1 + params.forecast_margin),
        whole["champion"] + whole.index.map(_margins(params)).to_numpy(dtype="float64", na_value=0.0),
    )
    worse = whole[~(whole["challenger"] <= allowed)]
    reasons = [f"{row.Index} {row.champion:.4g} → {row.challenger:.4g}" for row in worse.itertuples()]
    return Decision(not reasons, tuple(reasons))


def _margins(params: TrainingParams) -> dict[str, float]:
    """Say by how much each doubt of effects may grow."""
    return {
        "effects.placebo": params.doubt_margin,
        "effects.control": params.doubt_margin,
        "effects.imbalance": params.imbalance_margin,
        "effects.refused": params.silence_margin,
        "effects.unsure": params.silence_margin,
    }
