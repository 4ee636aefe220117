"""What the door has to say of the raw files a run was read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Door:
    """What the door has to say of the raw files: wrong rows by source, and whether the region is a simulated one."""

    rejected: Mapping[str, int]
    simulated: bool

    def __str__(self) -> str:
        """Spell it, for the name of the run."""
        return "|".join([*(f"{source}={count}" for source, count in sorted(self.rejected.items())), str(self.simulated)])
