"""From raw files to the lake: read, check, place, put pseudonyms, keep the wrong rows apart. Source by source."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from features import facts
from features.contracts import Checked, Contract, fingerprint
from features.crosswalks import hold_corrections
from features.intake import take_in
from features.sources import SOURCES, Source, files_of, sources_in, strangers_in
from features.tables import OVERRIDES, TERRITORIES
from features.vocabulary import InputError
from needs.home import SIMULATED, Home
from needs.params import IngestParams
from needs.privacy import hold_key, load_key, pseudonymise
from needs.run.code import code_version
from needs.run.door import Door
from needs.run.progress import ENDED, counted, measured
from needs.show.figures import safe_cell
from needs.store.lake import drop_table, move_in, print_files, print_of, print_table, read_manifest, write_table

log = logging.getLogger(__name__)
_READ = "read"  # a column for as long as rows are sorted: in which place each was read


@dataclass(frozen=True)
class Arrival:
    """What became of the rows of one source, and how many codes no nomenclature holds; ``new`` when it was read this time."""

    source: str
    read: int
    kept: int
    rejected: int
    duplicates: int
    outside: int
    unknown: int
    new: bool = True


def ingest(home: Home, params: IngestParams, only: Sequence[str] = (), *, again: bool = True) -> list[Arrival]:
    """Load into the lake the sources that ``data/raw`` holds, or those named. One that is refused leaves its table as it was.

    All sources are read before the refusals are told, each with its reason, in one error. Unless ``again``, those are left
    that lie in the lake whole, and whose files and way of reading are the same as when they were read.
    """
    wanted = _wanted(only)
    _tell_unread(home)
    strange = {folder: _strangers(home, folder) for folder in dict.fromkeys(source.folder for source in wanted)}
    faults = [fault for told in strange.values() for fault in told]
    found: dict[str, list[Path]] = {}
    for source in wanted:
        with _gathered(faults):
            files = raw_files(home, source)
            if files or not strange[source.folder]:  # a file that nobody knows may be this table, spoilt: it stays as it was
                found[source.name] = files
    if not (any(found.values()) or faults or only):
        raise InputError(
            f"{home.raw}: there is nothing to read. Drop files into {home.raw}/<source>/ (offers, bmo, catalogue, "
            "jobseekers, trainings…), or draw a simulated region with 'needs demo'."
        )
    if any(files and "person" in SOURCES[name].contract.names for name, files in found.items()):
        hold_key(load_key(create=True), home.key_mark)
    communes, arrivals = region_communes(home, params), list[Arrival]()
    for name, files in counted(found.items(), "reading", unit="source", total=len(found)):
        with _gathered(faults):
            source = SOURCES[name]
            arrivals += [_arrive(home, source, files, communes, params, again)] if files else _forget(home, source)
    if faults:
        raise InputError(*dict.fromkeys(faults))
    return arrivals


def _arrive(
    home: Home, source: Source, files: Sequence[Path], communes: pd.DataFrame, params: IngestParams, again: bool
) -> Arrival:
    """Load a source, or leave it as it lies when nothing would change."""
    mark, told, made_of = _mark(home, source), _read_mark(home, source), _made_of(home, files, communes, params)
    if told and told["lies"] != print_table(home.lake, source.contract):
        log.warning("%s: its table does not lie as it was written, and is read again", source.name)
        drop_table(home.lake, source.contract)
    elif told and told["made_of"] == made_of and not again:
        return Arrival(**{**told["arrival"], "new": False})
    arrival = _load(home, source, files, communes, params)
    if _made_of(home, files, communes, params) != made_of:
        raise InputError(
            f"{home.raw / source.folder}: a file of {source.name} changed while it was read. Deliver it whole (under another "
            "name first, then renamed), and run again."
        )
    lies = print_table(home.lake, source.contract)
    move_in(mark, json.dumps({"made_of": made_of, "lies": lies, "arrival": asdict(arrival)}, indent=1))
    return arrival


def recall(home: Home) -> list[Arrival]:
    """Say what became of every source when it was last read."""
    told = (_read_mark(home, source) for source in SOURCES.values())
    return [Arrival(**{**mark["arrival"], "new": False}) for mark in told if mark]


def list_changed(home: Home, params: IngestParams) -> list[str]:
    """List the sources that would be read now: their files, or the way they are read, are not those of the last time."""
    communes, changed = region_communes(home, params), []
    for name, source in SOURCES.items():
        files, told = raw_files(home, source), _read_mark(home, source)
        lies = told.get("lies") == print_table(home.lake, source.contract)
        same = told.get("made_of") == _made_of(home, files, communes, params) if files else not told
        changed += [] if same and (lies or not files) else [name]
    return changed


def _made_of(home: Home, files: Sequence[Path], communes: pd.DataFrame, params: IngestParams) -> str:
    """Hash what the table of a source is made of: files, and all that decides how they are read."""
    key = home.key_mark.read_text(encoding="utf-8") if home.key_mark.exists() else ""
    region = fingerprint(iter([("communes", communes)]))
    return print_of(code_version(), params.model_dump_json(), region, key, print_files(files))


def _mark(home: Home, source: Source) -> Path:
    """Say where it is noted, beside a table, what it was read from."""
    return home.lake / source.name / "read.json"


def _read_mark(home: Home, source: Source) -> dict[str, Any]:
    """Read what a table was read from (``made_of``), how it lay then (``lies``), what became of its rows; nothing if not."""
    try:
        told: dict[str, Any] = json.loads(_mark(home, source).read_text(encoding="utf-8"))
        return told if {"made_of", "lies", "arrival"} <= told.keys() else {}
    except (OSError, ValueError):
        return {}


@contextmanager
def _gathered(faults: list[str]) -> Iterator[None]:
    """Keep what one source is refused for, so that the others are read all the same."""
    try:
        yield
    except InputError as error:
        faults += error.faults


def unread(home: Home) -> list[Path]:
    """List what lies in ``data/raw`` where no source reads: a folder of another name, a file beside the folders."""
    folders = {source.folder for source in SOURCES.values()}
    found = sorted(home.raw.iterdir()) if home.raw.is_dir() else []
    return [path for path in found if path.name not in {*folders, SIMULATED} and not path.name.startswith(".")]


def _tell_unread(home: Home) -> None:
    for path in unread(home):
        log.warning("%s: is read by nothing; put files into %s/<source>/ ('needs doctor' names the sources)", path, home.raw)


def door_of(home: Home, arrivals: Sequence[Arrival]) -> Door:
    """Say what the door has to say of what arrived in a home."""
    return Door(
        {arrival.source: arrival.rejected for arrival in arrivals if arrival.rejected},
        home.simulated,
        {arrival.source: arrival.unknown for arrival in arrivals if arrival.unknown},
    )


def _wanted(only: Sequence[str]) -> list[Source]:
    """Find the sources named, by their folder or their table; all of them when none is."""
    strange = [name for name in only if name not in SOURCES and not sources_in(name)]
    if strange:
        folders = ", ".join(dict.fromkeys(source.folder for source in SOURCES.values()))
        raise InputError(*(f"'{name}' is not a source. Sources are {folders}." for name in strange))
    return [source for source in SOURCES.values() if not only or {source.name, source.folder} & set(only)]


def _strangers(home: Home, folder: str) -> list[str]:
    faults: list[str] = []
    for path in home.folders_of(folder):
        with _gathered(faults):
            faults += strangers_in(path, folder)
    return faults


def raw_files(home: Home, source: Source) -> list[Path]:
    """List the files a home has of one source."""
    return [path for folder in home.folders_of(source.folder) for path in files_of(folder, source)]


def _forget(home: Home, source: Source) -> list[Arrival]:
    """Empty the table of a source whose files are gone: a run stands on what ``data/raw`` holds, and on nothing else."""
    if (manifest := read_manifest(home.lake, source.contract)) and manifest.rows:
        log.warning("%s holds no %s any more: its %d rows leave the lake", home.raw / source.folder, source.name, manifest.rows)
        write_table(home.lake, source.contract, source.contract.empty())
    _mark(home, source).unlink(missing_ok=True)
    for listed in (home.rejected, home.unknown):
        (listed / f"{source.name}.csv").unlink(missing_ok=True)
    return []


def region_communes(home: Home, params: IngestParams) -> pd.DataFrame:
    """Give the communes of the Region: its own grouping where there is one, else the one shipped. One row per commune.

    A grouping that is refused stops everything: every other row would lie outside the Region.
    """
    source = SOURCES[TERRITORIES.name]
    files = raw_files(home, source)
    if not files:
        return facts.communes()
    checked = source.read(files, params.publication)
    if checked.exceeds(params.reject_budget):
        raise InputError(*_told_wrong(source, checked, params))
    if checked.kept.empty:
        raise InputError(f"{files[0]}: holds no commune. Fill it, or remove it to use the communes that are shipped.")
    return checked.kept


def _load(home: Home, source: Source, files: Sequence[Path], communes: pd.DataFrame, params: IngestParams) -> Arrival:
    started = time.monotonic()
    checked = take_in(source.read(files, params.publication), source.contract, communes)
    _write_rows(home.rejected / f"{source.name}.csv", checked.rejected.sort_values(["file", "line"]))
    _hold_budget(home, source, checked, params)
    kept = pseudonymise(checked.kept, load_key()) if "person" in checked.kept else checked.kept
    _hold_size(home, source, checked)
    if source.contract is OVERRIDES:
        hold_corrections(checked.kept)
    write_table(home.lake, source.contract, *_in_order(kept, checked.origin, source.contract))
    _write_rows(home.unknown / f"{source.name}.csv", checked.unknown)
    counts = (checked.read, len(kept), len(checked.rejected), checked.duplicates, checked.outside)
    took, told = (
        measured(started),
        dict(zip(("rows in", "kept", "rejected", "repeated", "outside the Region"), counts, strict=True)),
    )
    log.info(
        "read %s: %d rows in, %d kept, %d rejected, %d repeated, %d outside the Region, %.1f s",
        *(source.name, *counts, took["seconds"]),
        extra={"event": ENDED, "step": f"read {source.name}", "rows": told, **took},
    )
    return Arrival(source.name, *counts, len(checked.unknown))


def _in_order(kept: pd.DataFrame, origin: pd.DataFrame, contract: Contract) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Put rows in the order of their table, and beside them where each was read. Same rows, twice."""
    ordered = contract.sort(kept.assign(**{_READ: np.arange(len(kept))}))
    places = ordered.pop(_READ).to_numpy()
    return ordered, origin if (np.diff(places) == 1).all() else origin.iloc[places].reset_index(drop=True)


def _hold_size(home: Home, source: Source, checked: Checked) -> None:
    """Refuse files without a row where there were some, and warn of a table that loses most of its rows."""
    manifest = read_manifest(home.lake, source.contract)
    before = manifest.rows if manifest else 0
    if before and not checked.read:
        raise InputError(
            f"{source.name}: its files hold no row, and the lake holds {before:,}, which stay. Deliver the files again, or "
            f"remove them from {home.raw / source.folder} to empty the table."
        )
    if 2 * len(checked.kept) < before:
        log.warning("%s: %d rows where there were %d; is a file cut short or missing?", source.name, len(checked.kept), before)


def _write_rows(path: Path, rows: pd.DataFrame) -> None:
    """Write what the door has to say of some rows, for a spreadsheet too; nothing to say leaves no file."""
    path.unlink(missing_ok=True)
    if len(rows):
        path.parent.mkdir(parents=True, exist_ok=True)
        named = [name for name in ("file", "reason", "column", "code") if name in rows]
        safe = {name: rows[name].map({text: safe_cell(text) for text in rows[name].unique()}) for name in named}
        rows.assign(**safe).to_csv(path, sep=";", index=False)


def _hold_budget(home: Home, source: Source, checked: Checked, params: IngestParams) -> None:
    """Refuse a source of which too many rows are wrong; repeated rows and codes that are listed as unknown do not count."""
    if checked.exceeds(params.reject_budget):
        listed = f"Nothing was loaded from it; all are listed in {home.rejected / source.name}.csv."
        raise InputError(*_told_wrong(source, checked, params), listed)


def _told_wrong(source: Source, checked: Checked, params: IngestParams) -> list[str]:
    wrong, share = checked.wrong, f"{params.reject_budget:.1%} (ingest.reject_budget)"
    return [
        f"{source.name}: {len(wrong)} rows of {checked.judged} are wrong, more than {share}.",
        *(f"  {row.file}, line {row.line}: {row.reason}" for row in wrong.head(3).itertuples()),
    ]
