"""The parameters of a home: every module owns its section, and these are all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, Self, get_args

import pandas as pd
from pydantic import BaseModel, model_validator
from pydantic.fields import FieldInfo

from features.build import FeatureParams
from features.params import Section, param
from features.sources.publication import PublicationParams
from models.action_scores import ActionParams
from models.backtest import BacktestParams
from models.effects import EffectParams
from models.envelopes import PurchaseParams
from models.match_reasons import ReasonParams
from models.matching import MatchingParams
from models.pathways import PathwayParams
from models.personal import PersonalParams
from models.policy import PolicyParams
from models.ranking import RankingParams
from models.reconcile import ReconcileParams
from models.skills import SkillNeedParams
from needs.run.comparisons import GateParams
from needs.run.engine import EngineName
from needs.run.limits import LimitParams
from needs.settings import change_section, read_section

_HOME = "'needs params' for names, units and bounds"
_EXAMPLE = "purchase:' then '  exercise: 2027"


class ForecastParams(Section):
    """How far the forecasts go, and over which past they are judged."""

    months: int = param(
        24, "months forecast at least; always to the last month the exercise serves", unit="months", ge=12, le=60
    )
    backtest_origins: int = param(2, "past years each forecast is judged over", unit="years", ge=0, le=5)
    backtest: BacktestParams = BacktestParams()
    reconcile: ReconcileParams = ReconcileParams()


class TrainingParams(Section):
    """When models are trained again, and what keeps a new one from being used."""

    every_days: int = param(28, "age at which models are trained again", unit="days", ge=1, le=366)
    forecast_margin: float = param(
        0.02, "errors of forecasts may be higher than those of the models in force by this share", unit="share", ge=0, le=1
    )
    doubt_margin: float = param(
        0.01, "effects that should be nothing may be larger by so much", unit="share of entrants", ge=0, le=1
    )
    imbalance_margin: float = param(
        0.05, "traits of those compared may lie farther apart by so much", unit="standard deviations", ge=0, le=10
    )
    silence_margin: float = param(
        0.05, "the share of effects that are refused, and of those graded D, may be higher by so much", unit="share", ge=0, le=1
    )


class ExecutionParams(Section):
    """How a run is carried out; nothing here changes a figure."""

    workers: int = param(2, "territories worked on at the same time", unit="workers", ge=1, le=256)
    engine: EngineName = param(
        "local", "where tasks of territories run: in threads here, in processes here, or on the workers of a dask scheduler"
    )
    scheduler: str = param("", "address of the scheduler of the engine dask, like tcp://10.0.0.5:8786")
    failing_territories: Literal["publish_others", "publish_nothing"] = param(
        "publish_others", "what becomes of a run when the tasks of some territories fail: it goes on without them, or it stops"
    )
    database: str = param("", "where runs are published (SQLAlchemy URL); empty: var/needs.db of the home")
    tracking: str = param("", "where backtests and models are recorded (MLflow tracking URI); empty: var/mlflow.db of the home")
    keep_runs: int = param(30, "runs kept in the database", unit="runs", ge=1, le=10000)
    limits: LimitParams = LimitParams()
    keep_desks: int = param(3, "runs of which advisers can be told: what they left is kept", unit="runs", ge=1, le=1000)
    keep_logs: int = param(90, "nights whose log is kept in var/log", unit="logs", ge=7, le=10000)


class IngestParams(Section):
    """What is read, and how much of it may be wrong."""

    reject_budget: float = param(0.02, "share of wrong rows above which a source is refused", unit="share", ge=0, le=1)
    publication: PublicationParams = PublicationParams()


class ShowParams(Section):
    """What planners and advisers read."""

    language: Literal["fr", "en"] = param("fr", "language of workbooks, reports and messages")


class AdviceParams(Section):
    """What an adviser's page says of itself, and what it calls usual."""

    legal_basis: str = param(
        "mission d'intérêt public (RGPD, art. 6, 1, e)", "why courses may be proposed to one person; the page says it"
    )
    contact: str = param(
        "le conseiller référent, puis la Région Grand Est",
        "whom to ask to object, to come back on it, or to contest a proposal",
    )
    reasons: ReasonParams = ReasonParams()


class Params(Section):
    """All parameters, one section per module."""

    ingest: IngestParams = IngestParams()
    features: FeatureParams = FeatureParams()
    forecast: ForecastParams = ForecastParams()
    training: TrainingParams = TrainingParams()
    skills: SkillNeedParams = SkillNeedParams()
    effects: EffectParams = EffectParams()
    personal: PersonalParams = PersonalParams()
    actions: ActionParams = ActionParams()
    policy: PolicyParams = PolicyParams()
    ranking: RankingParams = RankingParams()
    purchase: PurchaseParams = PurchaseParams()
    matching: MatchingParams = MatchingParams()
    pathways: PathwayParams = PathwayParams()
    advice: AdviceParams = AdviceParams()
    gates: GateParams = GateParams()
    show: ShowParams = ShowParams()
    execution: ExecutionParams = ExecutionParams()

    @model_validator(mode="after")
    def _effects_are_followed(self) -> Self:
        followed, asked = self.features.outcomes.horizons_months, self.effects.horizon_months
        if asked not in followed:
            raise ValueError(f"effects.horizon_months {asked} is not followed; write one of {', '.join(map(str, followed))}")
        return self

    def print_of(self, section: str) -> str:
        """Hash one section, or what it holds under a name with a dot."""
        part: BaseModel = self
        for name in section.split("."):
            part = getattr(part, name)
        return hashlib.sha256(part.model_dump_json().encode()).hexdigest()

    def sha256(self) -> str:
        """Hash every parameter that can change a result; how the run is carried out does not count."""
        return hashlib.sha256(self.model_dump_json(exclude={"execution"}).encode()).hexdigest()


def load_params(path: Path, settings: Sequence[str] = ()) -> Params:
    """Read ``params.yaml`` (defaults where it is absent or silent), then apply ``section.key=value`` settings."""
    return read_section(path, Params, settings, example=_EXAMPLE, see=_HOME)


def change_params(params: Params, path: Path | None, settings: Sequence[str] = ()) -> Params:
    """Replace what a YAML file names (nothing without one), then apply ``section.key=value`` settings."""
    return change_section(params, path, settings, example=_EXAMPLE, see=_HOME)


def describe_params(params: Params) -> pd.DataFrame:
    """Describe the effective parameters. One row per parameter: name, value, default, unit, bounds, meaning."""
    return pd.DataFrame(_rows(params, ""), columns=["name", "value", "default", "unit", "bounds", "meaning"])


def _rows(section: BaseModel, prefix: str) -> Iterator[tuple[str, str, str, str, str, str]]:
    for name, info in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from _rows(value, f"{prefix}{name}.")
        else:
            extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
            yield (
                f"{prefix}{name}", _spell(value), _spell(info.get_default()),
                str(extra.get("unit", "")), _bounds(info), info.description or "",
            )  # fmt: skip


def _spell(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(_spell(item) for item in value) or "[]"
    if isinstance(value, BaseModel):
        return "{" + ", ".join(f"{name}: {_spell(item)}" for name, item in value) + "}"
    return "" if value is None else str(value)


def _bounds(info: FieldInfo) -> str:
    """Spell the bounds of a parameter, or its choices."""
    if getattr(info.annotation, "__origin__", None) is Literal:
        return " | ".join(map(str, get_args(info.annotation)))
    low = next((rule.ge for rule in info.metadata if getattr(rule, "ge", None) is not None), None)
    high = next((rule.le for rule in info.metadata if getattr(rule, "le", None) is not None), None)
    return " ".join([*([f"≥ {low:g}"] if low is not None else []), *([f"≤ {high:g}"] if high is not None else [])])
