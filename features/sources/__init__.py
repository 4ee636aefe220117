"""One module per real format: paths in, checked table out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

from features import tables
from features.contracts import Checked, Contract
from features.sources import bmo, lheo, offers, ours
from features.vocabulary import InputError

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """A folder of raw files: the contract they fill, their reader, the names they bear and how a real one looks."""

    name: str
    contract: Contract
    read: Callable[[Sequence[Path]], Checked]
    patterns: tuple[str, ...]
    example: str


def _our(contract: Contract) -> Source:
    read = partial(ours.read_table, contract=contract)
    return Source(contract.name, contract, read, ("*.csv", "*.parquet"), ours.example_of(contract))


_OFFERS = ("*.json", "*.jsonl", "*.ndjson", "*.json.gz", "*.jsonl.gz", "*.ndjson.gz", "*.parquet")
_PUBLIC = (
    Source("offers", tables.OFFERS, offers.read_offers, _OFFERS, offers.EXAMPLE),
    Source("bmo", tables.BMO, bmo.read_bmo, ("*.xlsx", "*.xls", "*.csv"), bmo.EXAMPLE),
    Source("catalogue", tables.CATALOGUE, lheo.read_catalogue, ("*.xml", "*.xml.gz"), lheo.EXAMPLE),
)
_PUBLIC_NAMES = {source.name for source in _PUBLIC}

SOURCES: Mapping[str, Source] = {
    source.name: source
    for source in (*_PUBLIC, *(_our(contract) for contract in tables.CONTRACTS if contract.name not in _PUBLIC_NAMES))
}
"""Every folder of ``data/raw`` that a run reads."""


def files_of(folder: Path, source: Source) -> list[Path]:
    """List the files of one source, sorted, its subfolders included; none when the folder is absent.

    A link that leaves the folder is refused; a file that bears no name of this source is left out and logged.
    """
    found = sorted(path for path in folder.rglob("*") if not path.name.startswith("."))
    home = folder.resolve()
    leaving = [path for path in found if not path.resolve().is_relative_to(home)]
    if leaving:
        raise InputError(*(f"{path}: is a link that leaves {folder}. Copy the file itself there." for path in leaving))
    files = [path for path in found if not path.is_dir()]
    named = [path for path in files if any(fnmatch(path.name.lower(), pattern) for pattern in source.patterns)]
    for path in sorted(set(files) - set(named)):
        _LOG.warning("%s: is not read; %s takes %s.", path, source.name, ", ".join(source.patterns))
    return named
