"""What a benchmark measures: a name, a value with its unit, and the bound it is held to."""

from __future__ import annotations

from typing import NamedTuple


class Figure(NamedTuple):
    """One measured figure; without a bound it is only told."""

    name: str
    value: float
    unit: str
    bound: float | None = None

    @property
    def kept(self) -> bool:
        """Whether the figure stays within its bound."""
        return self.bound is None or self.value <= self.bound
