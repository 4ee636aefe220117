"""The lake: the checked tables as Parquet, one folder per table and département, replaced whole or not at all."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from features.contracts import Contract, fingerprint
from features.tables import CONTRACTS, Tables
from features.vocabulary import InputError

MANIFEST = "manifest.json"
ELSEWHERE = "none"
_ATTEMPTS = 5


@dataclass(frozen=True)
class Manifest:
    """What a table of the lake holds."""

    source: str
    rows: int
    sha256: str
    known_from: str


def write_table(lake: Path, contract: Contract, frame: pd.DataFrame) -> Manifest:
    """Write one table, a file per département. The manifest is replaced last, in one move: readers see all of it or none."""
    sha256 = fingerprint(iter([(contract.name, frame)]))
    table, edition = lake / contract.name, _edition(sha256)
    current = read_manifest(lake, contract)
    if current and current.sha256 == sha256 and _rows_in(table / edition) == current.rows:
        return current
    shutil.rmtree(table / edition, ignore_errors=True)
    where = frame["department"].fillna(ELSEWHERE) if "department" in frame else pd.Series(ELSEWHERE, index=frame.index)
    for department, rows in frame.groupby(where):
        folder = table / edition / f"department={department}"
        folder.mkdir(parents=True)
        rows.to_parquet(folder / "part.parquet", index=False, compression="zstd")
    manifest = Manifest(contract.name, len(frame), sha256, _newest(contract, frame))
    table.mkdir(parents=True, exist_ok=True)
    (table / f".{MANIFEST}").write_text(json.dumps(asdict(manifest), indent=1), encoding="utf-8")
    (table / f".{MANIFEST}").replace(table / MANIFEST)
    for older in table.glob("edition=*"):
        if older.name != edition:
            shutil.rmtree(older, ignore_errors=True)
    return manifest


def read_manifest(lake: Path, contract: Contract) -> Manifest | None:
    """Say what a table of the lake holds; nothing when it was never loaded."""
    path = lake / contract.name / MANIFEST
    return Manifest(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def _newest(contract: Contract, frame: pd.DataFrame) -> str:
    """Say on which day the newest row became known; empty when the table has no clock or no row."""
    if not contract.known_from or frame.empty:
        return ""
    return f"{frame[contract.known_from].max():%Y-%m-%d}"


def read_table(lake: Path, contract: Contract) -> pd.DataFrame:
    """Read one table in its own order; one that was never loaded has no row. One row: as its contract says."""
    for _ in range(_ATTEMPTS):  # a table that is replaced meanwhile is read again
        manifest = read_manifest(lake, contract)
        if not manifest or not manifest.rows:
            return contract.empty()
        with suppress(FileNotFoundError):
            parts = [pd.read_parquet(part) for part in _parts(lake / contract.name / _edition(manifest.sha256))]
            if sum(map(len, parts)) == manifest.rows:
                return contract.sort(pd.concat(parts, ignore_index=True))
    raise InputError(f"{lake / contract.name}: a part of the table is missing. Load it again: needs ingest {contract.name}")


def _edition(sha256: str) -> str:
    return f"edition={sha256[:16]}"


def _parts(edition: Path) -> list[Path]:
    return sorted(edition.glob("*/part.parquet"))


def _rows_in(edition: Path) -> int:
    return sum(pq.read_metadata(part).num_rows for part in _parts(edition))


def read_tables(lake: Path) -> Tables:
    """Read every table of the lake."""
    return Tables(**{contract.name: read_table(lake, contract) for contract in CONTRACTS})


def newest_day(lake: Path) -> str:
    """Say up to which day the lake knows anything of the Region's own; empty when it holds nothing.

    National tables do not count: the day they are taken to be known lies months after what they describe.
    """
    manifests = [read_manifest(lake, contract) for contract in CONTRACTS if not contract.national]
    return max((manifest.known_from for manifest in manifests if manifest), default="")
