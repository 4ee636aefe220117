"""The home: the one folder that holds everything a Region owns."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from features.errors import InputError

SIMULATED = "SIMULATED.txt"
DECISIONS = "overrides"


@dataclass(frozen=True)
class Home:
    """A folder with ``params.yaml``, ``data/raw/<source>/`` and ``var/``, where all that a run makes lies."""

    root: Path

    @property
    def params(self) -> Path:
        """The parameters the Region set; those it did not set keep their default."""
        return self.root / "params.yaml"

    @property
    def raw(self) -> Path:
        """Where files are dropped, one folder per source."""
        return self.root / "data" / "raw"

    def prepare(self) -> None:
        """Make the folder of what runs make; refuse in words a home that cannot be written."""
        try:
            self.var.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{self.root}: cannot be written ({error.strerror}). Give another folder with --home.") from error
        if not os.access(self.var, os.W_OK):
            raise InputError(f"{self.var}: cannot be written. Give another folder with --home, or the right to write here.")

    def folders_of(self, source: str) -> tuple[Path, ...]:
        """Where the files of a source lie; human decisions may lie beside ``data``, out of the way of deliveries."""
        return (self.raw / source, *((self.root / source,) if source == DECISIONS else ()))

    @property
    def var(self) -> Path:
        """Everything a run makes."""
        return self.root / "var"

    @property
    def lake(self) -> Path:
        """The checked tables, as Parquet."""
        return self.var / "lake"

    @property
    def desk(self) -> Path:
        """What the last run leaves for advisers: people and courses, as pseudonymous as the lake."""
        return self.var / "desk"

    @property
    def stages(self) -> Path:
        """What the stages of the last run made, as pseudonymous as the lake: a night that died is taken up there."""
        return self.var / "stages"

    @property
    def digests(self) -> Path:
        """One message per run: what is wrong, and what changed."""
        return self.var / "digest"

    @property
    def rejected(self) -> Path:
        """The wrong rows of each source, with their reasons."""
        return self.var / "rejected"

    @property
    def unknown(self) -> Path:
        """The codes of each source that no nomenclature holds, with the volume they stand for."""
        return self.var / "unknown"

    @property
    def logs(self) -> Path:
        """What each night wrote of itself, one file a night."""
        return self.var / "log"

    @property
    def key_mark(self) -> Path:
        """What tells the key of the pseudonyms from another one, without telling the key."""
        return self.var / "pseudonym.mark"

    @property
    def simulated(self) -> bool:
        """Whether the raw files are those of a simulated region."""
        return (self.raw / SIMULATED).exists()

    @property
    def exports(self) -> Path:
        """Workbooks and CSV files."""
        return self.var / "exports"

    @property
    def reports(self) -> Path:
        """One folder per run, with its page."""
        return self.var / "reports"

    @property
    def truth(self) -> Path:
        """What is true in a simulated region; only tests and benchmarks look in here."""
        return self.var / "truth"
