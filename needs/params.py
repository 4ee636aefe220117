"""The parameters of a home: every module owns its section; this is the only place that reads YAML."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import pandas as pd
import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from features.build import FeatureParams
from features.params import Section, param
from features.vocabulary import InputError
from models.matching import MatchingParams
from models.purchase import PurchaseParams
from models.ranking import RankingParams


class ForecastParams(Section):
    """How far the forecasts go, and over which past they are judged."""

    months: int = param(
        24, "months forecast at least; always to the last month the exercise serves", unit="months", ge=12, le=60
    )
    backtest_origins: int = param(2, "past years each forecast is judged over", unit="years", ge=0, le=5)


class ExecutionParams(Section):
    """How a run is carried out; nothing here changes a result."""

    workers: int = param(2, "territories worked on at the same time", unit="processes", ge=1, le=256)
    database: str = param("", "where runs are published (SQLAlchemy URL); empty: var/needs.db of the home")
    keep_runs: int = param(30, "runs kept in the database", unit="runs", ge=1, le=10000)


class IngestParams(Section):
    """What is read, and how much of it may be wrong."""

    region: str = param("R44", "the Region, by its typed code")
    reject_budget: float = param(0.02, "share of wrong rows above which a source is refused", unit="share", ge=0, le=1)


class PrivacyParams(Section):
    """What protects people in what is published."""

    smallest_cell: int = param(10, "people a published statistic stands for at least", unit="people", ge=5, le=1000)


class ShowParams(Section):
    """What planners and advisers read."""

    language: Literal["fr", "en"] = param("fr", "language of workbooks, reports and messages")


class Params(Section):
    """All parameters, one section per module."""

    ingest: IngestParams = IngestParams()
    features: FeatureParams = FeatureParams()
    forecast: ForecastParams = ForecastParams()
    ranking: RankingParams = RankingParams()
    purchase: PurchaseParams = PurchaseParams()
    matching: MatchingParams = MatchingParams()
    privacy: PrivacyParams = PrivacyParams()
    show: ShowParams = ShowParams()
    execution: ExecutionParams = ExecutionParams()

    def sha256(self) -> str:
        """Hash every parameter that can change a result; how the run is carried out does not count."""
        return hashlib.sha256(self.model_dump_json(exclude={"execution"}).encode()).hexdigest()


def load_params(path: Path, settings: Sequence[str] = ()) -> Params:
    """Read ``params.yaml`` (defaults where it is absent or silent), then apply ``section.key=value`` settings."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: this is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values or {}, dict):
        raise InputError(f"{path}: parameters are sections of 'name: value' lines, like 'purchase:' then '  exercise: 2027'.")
    values = values or {}
    for setting in settings:
        _apply(values, setting)
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        raise InputError(*(_fault(path, fault["loc"], fault["msg"]) for fault in error.errors())) from error


def _apply(values: dict[str, Any], setting: str) -> None:
    """Put one ``section.key=value`` in its place."""
    name, equals, text = setting.partition("=")
    *sections, key = name.strip().split(".")
    if not equals or not sections or not key:
        raise InputError(f"--set {setting}: write it like purchase.exercise=2027.")
    for section in sections:
        if not isinstance(values.setdefault(section, {}), dict):
            raise InputError(f"--set {setting}: '{section}' is a value, not a section.")
        values = values[section]
    try:
        values[key] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"--set {setting}: the value is not YAML; write it like purchase.exercise=2027.") from error


def _fault(path: Path, where: tuple[int | str, ...], message: str) -> str:
    return f"{path.name}: {'.'.join(map(str, where))}: {message}. See 'needs params' for names, units and bounds."


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
