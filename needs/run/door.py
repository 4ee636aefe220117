"""What the door has to say of the raw files a run was read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Door:
    """What the door has to say of the raw files: wrong rows, unknown codes, and whether the region is simulated."""

    rejected: Mapping[str, int]
    simulated: bool
    unknown: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        """Spell it, for the name of the run."""
        counts = [*sorted(self.rejected.items()), *sorted((f"{source} codes", count) for source, count in self.unknown.items())]
        return "|".join([*(f"{name}={count}" for name, count in counts), str(self.simulated)])
