"""From raw files to the lake: read, check, place, put pseudonyms, keep the wrong rows apart. Source by source."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from features import facts
from features.contracts import Checked
from features.places import place
from features.sources import SOURCES, Source, files_of
from features.sources.ours import read_table
from features.tables import TERRITORIES
from features.vocabulary import InputError
from needs.home import Home
from needs.params import IngestParams
from needs.privacy import hold_key, load_key, pseudonymise
from needs.run.progress import counted
from needs.store.lake import read_manifest, write_table

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Arrival:
    """What became of the rows of one source."""

    source: str
    read: int
    kept: int
    rejected: int
    duplicates: int
    outside: int


def ingest(home: Home, params: IngestParams) -> list[Arrival]:
    """Load into the lake every source that ``data/raw`` holds. A source that is refused leaves its table as it was.

    All sources are read before the refusals are told, each with its reason, in one error.
    """
    found = {name: raw_files(home, source) for name, source in SOURCES.items()}
    if not any(found.values()):
        raise InputError(
            f"{home.raw}: there is nothing to read. Drop files into {home.raw}/<source>/ (offers, bmo, catalogue, "
            "jobseekers, trainings…), or draw a simulated region with 'needs demo'."
        )
    if any(files and "person" in SOURCES[name].contract.names for name, files in found.items()):
        hold_key(load_key(create=True), home.key_mark)
    communes = region_communes(home)
    arrivals: list[Arrival] = []
    faults: list[str] = []
    for name, files in counted(found.items(), "reading", unit="source", total=len(found)):
        try:
            arrivals += [_load(home, SOURCES[name], communes, params)] if files else _forget(home, SOURCES[name])
        except InputError as error:
            faults += error.faults
    if faults:
        raise InputError(*faults)
    return arrivals


def raw_files(home: Home, source: Source) -> list[Path]:
    """List the files a home has of one source."""
    return [path for folder in home.folders_of(source.name) for path in files_of(folder, source)]


def _forget(home: Home, source: Source) -> list[Arrival]:
    """Empty the table of a source whose files are gone: a run stands on what ``data/raw`` holds, and on nothing else."""
    if (manifest := read_manifest(home.lake, source.contract)) and manifest.rows:
        log.warning("%s holds no file any more: its %d rows leave the lake", home.raw / source.name, manifest.rows)
        write_table(home.lake, source.contract, source.contract.empty())
    return []


def region_communes(home: Home) -> pd.DataFrame:
    """Give the communes of the Region: its own grouping where there is one, else the one shipped. One row per commune."""
    source = SOURCES[TERRITORIES.name]
    files = raw_files(home, source)
    return read_table(files, TERRITORIES).kept if files else facts.communes()


def read_source(home: Home, source: Source, communes: pd.DataFrame) -> Checked:
    """Read, check and place one source of a home. One row: as the contract of the source says."""
    return place(source.read(raw_files(home, source)), source.contract, communes)


def _load(home: Home, source: Source, communes: pd.DataFrame, params: IngestParams) -> Arrival:
    started = time.monotonic()
    checked = read_source(home, source, communes)
    _write_rejected(home, source, checked)
    _hold_budget(home, source, checked, params)
    kept = pseudonymise(checked.kept, load_key()) if "person" in checked.kept else checked.kept
    write_table(home.lake, source.contract, source.contract.sort(kept))
    arrival = Arrival(source.name, checked.read, len(kept), len(checked.rejected), checked.duplicates, checked.outside)
    log.info(
        "read %s: %d rows in, %d kept, %d rejected, %d repeated, %d outside the Region, %.1f s",
        *(source.name, arrival.read, arrival.kept, arrival.rejected, arrival.duplicates, arrival.outside),
        time.monotonic() - started,
    )
    return arrival


def _write_rejected(home: Home, source: Source, checked: Checked) -> None:
    """Write the wrong rows with their file, line and reason; none leaves no file."""
    path = home.rejected / f"{source.name}.csv"
    path.unlink(missing_ok=True)
    if len(checked.rejected):
        path.parent.mkdir(parents=True, exist_ok=True)
        checked.rejected.sort_values(["file", "line"]).to_csv(path, sep=";", index=False)


def _hold_budget(home: Home, source: Source, checked: Checked, params: IngestParams) -> None:
    """Refuse a source of which too many rows are wrong; repeated rows and codes that are listed as unknown do not count."""
    if checked.exceeds(params.reject_budget):
        wrong, judged = checked.wrong, len(checked.kept) + len(checked.wrong)
        raise InputError(
            f"{source.name}: {len(wrong)} rows of {judged} are wrong, more than {params.reject_budget:.1%} "
            f"(ingest.reject_budget). Nothing was loaded from it; all are listed in {home.rejected / source.name}.csv.",
            *(f"  {row.file}, line {row.line}: {row.reason}" for row in wrong.head(3).itertuples()),
        )
