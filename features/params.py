"""The base of every section of parameters: frozen, closed, each value with its unit, bounds and meaning."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """One module's parameters. An unknown name or a value out of bounds is an error, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def param(default: object, meaning: str, *, unit: str = "", ge: float | None = None, le: float | None = None) -> Any:  # noqa: ANN401
    """Declare one parameter: its default, what it means, its unit and bounds (``needs params`` prints all of them)."""
    return Field(default, description=meaning, json_schema_extra={"unit": unit}, ge=ge, le=le)
