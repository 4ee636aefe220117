"""The lake: the checked tables as Parquet, one folder per table and département, replaced whole or not at all.

Beside the rows stands where each was read, its file and line: ``part.parquet`` and ``origin.parquet``, row by row. A line
beside a pseudonym would tell whose it is: of tables of persons only the file is kept.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from features.contracts import Contract, fingerprint
from features.known import known_rows
from features.lazy import empty_dataset
from features.tables import CONTRACT, CONTRACTS, OFFERS, Tables, newest_in
from features.training_tables import SESSIONS
from features.vocabulary import InputError
from needs.store.memory import give_back

MANIFEST = "manifest.json"
ELSEWHERE = "none"
_PART, _ORIGIN = "part.parquet", "origin.parquet"
_ATTEMPTS = 5
_ROWS_AT_ONCE = 122_880  # what DuckDB scans in one piece: its threads share the pieces of a file
_UNLIKE = ("offer",)  # hardly two rows alike: a dictionary would be as long as the column
_WHERE = ("file", "line")
_Read = TypeVar("_Read")


@dataclass(frozen=True)
class Manifest:
    """What a table of the lake holds; ``origin`` tells where its rows were read from where they were before, "" is unknown."""

    source: str
    rows: int
    sha256: str
    known_from: str
    origin: str = ""


def write_table(lake: Path, contract: Contract, frame: pd.DataFrame, origin: pd.DataFrame | None = None) -> Manifest:
    """Write one table, a file per département. The manifest is replaced last, in one move: readers see all of it or none.

    ``origin`` says where each row was read (file, line), row by row; it is no part of what the table holds.
    """
    sha256, told = fingerprint(iter([(contract.name, frame)])), _told(contract, origin)
    current = read_manifest(lake, contract)
    table, edition = lake / contract.name, _edition(sha256)
    same = bool(current and current.sha256 == sha256 and _rows_in(_parts(table / edition)) == current.rows)
    traced = fingerprint(iter([("origin", told)])) if told is not None else ""
    if current and same and traced in ("", current.origin):
        _keep_edition(table, edition)
        return current
    if not same:
        shutil.rmtree(table / edition, ignore_errors=True)
    where = frame["department"].fillna(ELSEWHERE) if "department" in frame else pd.Series(ELSEWHERE, index=frame.index)
    for department, rows in frame.groupby(where.to_numpy()).indices.items():
        folder = table / edition / f"department={department}"
        if not same:
            _write_part(folder, frame.iloc[rows])
        if told is not None:
            _write_origin(folder, told.iloc[rows])
    manifest = Manifest(contract.name, len(frame), sha256, _newest(contract, frame), traced)
    move_in(table / MANIFEST, json.dumps(asdict(manifest), indent=1))
    _keep_edition(table, edition)
    return manifest


def _keep_edition(table: Path, edition: str) -> None:
    """Remove what was written before, or was never written to its end."""
    for other in table.glob("edition=*"):
        if other.name != edition:
            shutil.rmtree(other, ignore_errors=True)


def _told(contract: Contract, origin: pd.DataFrame | None) -> pd.DataFrame | None:
    """Say what may be told of where rows were read: of persons, the file. Same rows."""
    if origin is None:
        return None
    lines = origin["line"].astype("Int64")
    return pd.DataFrame({"file": origin["file"], "line": lines.mask(lines.notna()) if "person" in contract.names else lines})


def _write_part(folder: Path, rows: pd.DataFrame) -> None:
    """Write the rows of one département."""
    folder.mkdir(parents=True)
    coded = [str(name) for name in rows if name not in _UNLIKE]
    part = pa.Table.from_pandas(rows, preserve_index=False)
    pq.write_table(part, folder / _PART, compression="zstd", row_group_size=_ROWS_AT_ONCE, use_dictionary=coded)


def _write_origin(folder: Path, origin: pd.DataFrame) -> None:
    """Write where the rows of one département were read: files as codes, lines as steps."""
    files = pa.array(origin["file"], pa.large_string()).dictionary_encode()
    told = pa.table({"file": files, "line": pa.array(origin["line"], pa.int64())})
    coded = {"use_dictionary": ["file"], "column_encoding": {"line": "DELTA_BINARY_PACKED"}}
    pq.write_table(told, folder / f".{_ORIGIN}", compression="zstd", row_group_size=_ROWS_AT_ONCE, **coded)
    (folder / f".{_ORIGIN}").replace(folder / _ORIGIN)


def move_in(path: Path, text: str) -> None:
    """Write a small file in one move."""
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / f".{path.name}").write_text(text, encoding="utf-8")
    (path.parent / f".{path.name}").replace(path)


def print_of(*parts: str) -> str:
    """Hash some texts to one."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def print_files(files: Sequence[Path]) -> str:
    """Hash the names and the bytes of some files."""
    return print_of(*(part for path in files for part in (path.name, _hash_file(path))))


def print_table(lake: Path, contract: Contract) -> str:
    """Hash all that lies of a table: another print when a byte was lost."""
    folder = lake / contract.name
    lying = [folder / MANIFEST, *sorted(folder.glob("edition=*/*/*.parquet"))]
    return print_of(
        *(part for path in lying if path.exists() for part in (f"{path.parent.name}/{path.name}", _hash_file(path)))
    )


def _hash_file(path: Path) -> str:
    if not path.is_file():  # a pipe would keep whoever reads it waiting; its reader refuses it in words
        return "no file"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_manifest(lake: Path, contract: Contract) -> Manifest | None:
    """Say what a table of the lake holds; nothing when it was never loaded."""
    path = lake / contract.name / MANIFEST
    try:
        return Manifest(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: is damaged. Load the table again: needs ingest {contract.name}") from error


def drop_table(lake: Path, contract: Contract) -> None:
    """Remove a table that does not lie as it was written, so that it is written anew."""
    shutil.rmtree(lake / contract.name, ignore_errors=True)


def _newest(contract: Contract, frame: pd.DataFrame) -> str:
    """Say on which day the newest row became known; empty when the table has no clock or no row."""
    if not contract.known_from or frame.empty:
        return ""
    return f"{frame[contract.known_from].max():%Y-%m-%d}"


# Reading ----------------------------------------------------------------------------------------------------------------


def read_table(lake: Path, contract: Contract) -> pd.DataFrame:
    """Read one table in its own order; one that was never loaded has no row. One row: as its contract says."""
    rows = _read_whole(lake, contract, lambda parts: pd.concat([pd.read_parquet(part) for part in parts], ignore_index=True))
    return contract.empty() if rows is None else contract.settle(rows)


def open_table(lake: Path, contract: Contract) -> ds.Dataset:
    """Open a table too large to hold; one that was never loaded has no row. One row: as its contract says.

    The dataset is that of one edition: rows loaded after it was opened are not in it, and it cannot be read once they are.
    """
    opened = _read_whole(lake, contract, lambda parts: ds.dataset([str(part) for part in parts], format="parquet"))
    return empty_dataset(contract) if opened is None else opened


def read_origins(lake: Path, contract: Contract, columns: Sequence[str], kept: pc.Expression) -> pd.DataFrame:
    """Say where rows were read. One row per row of the table that is ``kept``: its columns, file and line.

    ``columns`` holds those that ``kept`` looks at. The file is missing where it is not known, which a new load mends; the
    line is missing of persons too.
    """

    def read(parts: list[Path]) -> pa.Table:
        return pa.concat_tables([_with_origin(part, columns).filter(kept) for part in parts], promote_options="permissive")

    found = _read_whole(lake, contract, read)
    if found is None:
        return pd.DataFrame(
            {**contract.empty()[list(columns)], "file": pd.Series(dtype="str"), "line": pd.Series(dtype="Int64")}
        )
    frame: pd.DataFrame = found.to_pandas()
    return frame.astype({"file": "str", "line": "Int64"})


def _with_origin(part: Path, columns: Sequence[str]) -> pa.Table:
    """Put beside the rows of one part where they were read. One row per row of the part."""
    rows = pq.read_table(part, columns=list(columns), partitioning=None)
    origin = part.with_name(_ORIGIN)
    unknown = {"file": pa.nulls(len(rows), pa.large_string()), "line": pa.nulls(len(rows), pa.int64())}
    told = pq.read_table(origin, partitioning=None) if origin.exists() else pa.table(unknown)
    for name in _WHERE:
        rows = rows.append_column(name, told[name].cast(pa.large_string()) if name == "file" else told[name])
    return rows


def _read_whole(lake: Path, contract: Contract, read: Callable[[list[Path]], _Read]) -> _Read | None:
    """Read the parts of a table, again when they are replaced meanwhile; nothing when it holds no row."""
    for _ in range(_ATTEMPTS):
        manifest = read_manifest(lake, contract)
        if not manifest or not manifest.rows:
            return None
        with suppress(FileNotFoundError), _told_damaged(lake, contract):
            parts = _parts(lake / contract.name / _edition(manifest.sha256))
            if _rows_in(parts) == manifest.rows:
                _hold_columns(lake, contract, parts[0])
                return read(parts)
    raise InputError(f"{lake / contract.name}: a part of the table is missing. Load it again: needs ingest {contract.name}")


@contextmanager
def _told_damaged(lake: Path, contract: Contract) -> Iterator[None]:
    """Say in words that a part is no longer what was written."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(
            f"{lake / contract.name}: a part of the table is damaged. Load it again: needs ingest {contract.name}"
        ) from error


def _hold_columns(lake: Path, contract: Contract, part: Path) -> None:
    """Refuse a table that an earlier version of the engine wrote, with fewer columns."""
    if missing := [name for name in contract.names if name not in pq.read_schema(part).names]:
        raise InputError(
            f"{lake / contract.name}: was loaded by an earlier version, without {', '.join(missing)}. "
            f"Load it again: needs ingest {contract.name}"
        )


def _edition(sha256: str) -> str:
    return f"edition={sha256[:16]}"


def _parts(edition: Path) -> list[Path]:
    return sorted(edition.glob(f"*/{_PART}"))


def _rows_in(parts: Sequence[Path]) -> int:
    return sum(pq.read_metadata(part).num_rows for part in parts)


def read_tables(lake: Path) -> Tables:
    """Read every table of the lake, but for the offers: they are asked where they lie."""
    held = {contract.name: read_table(lake, contract) for contract in CONTRACTS if contract is not OFFERS}
    return Tables(offers=open_table(lake, OFFERS), **held, until=pd.Timestamp.max)


class KnownTables(Tables):
    """The tables of a lake as they were known on a day, each read once it is asked for."""

    lake: Path

    def __init__(self, lake: Path, day: pd.Timestamp) -> None:
        for name, value in {"lake": lake, OFFERS.name: open_table(lake, OFFERS), "until": day}.items():
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> pd.DataFrame:
        """Read a table."""
        if name not in CONTRACT or name == OFFERS.name:
            raise AttributeError(name)
        rows = self.frame(CONTRACT[name])
        object.__setattr__(self, name, rows)
        return rows

    def frame(self, contract: Contract) -> pd.DataFrame:
        """Give a table without keeping it here: together they are large. One row: as its contract says."""
        kept: pd.DataFrame | None = vars(self).get(contract.name)
        if kept is not None:
            return kept
        rows = known_rows(contract, lambda asked: read_table(self.lake, asked), self.until)
        give_back()
        return rows

    def count(self, name: str) -> int:
        """Count the rows of one table. Of those that have a clock only days are read."""
        contract = CONTRACT[name]
        if contract.code_list or contract is SESSIONS or not contract.known_from:
            return super().count(name)
        known = pc.field(contract.known_from) <= pa.scalar(self.until.to_datetime64())
        return int(open_table(self.lake, contract).count_rows(filter=known))

    def newest_of(self, contract: Contract) -> list[pd.Timestamp]:
        """The day on which the newest row of a table became known; none without any. Only days are read."""
        return newest_in(open_table(self.lake, contract), contract.known_from, self.until)


def newest_day(lake: Path) -> str:
    """Say up to which day the lake knows anything of the Region's own; empty when it holds nothing.

    National tables do not count: the day they are taken to be known lies months after what they describe.
    """
    manifests = [read_manifest(lake, contract) for contract in CONTRACTS if not contract.national]
    return max((manifest.known_from for manifest in manifests if manifest), default="")


def ages_of(lake: Path, as_of: pd.Timestamp) -> dict[str, int]:
    """Say how many days before a day the newest row of each table became known; tables without a clock or a row have no age."""
    manifests = [read_manifest(lake, contract) for contract in CONTRACTS]
    return {told.source: (as_of - pd.Timestamp(told.known_from)).days for told in manifests if told and told.known_from}
