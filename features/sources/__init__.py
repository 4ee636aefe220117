"""One module per real format: paths in, checked table out."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path

from features import market_tables, tables
from features import reference_tables as ref
from features.contracts import Checked, Contract
from features.errors import InputError
from features.sources import (
    bmo,
    certifications,
    communes,
    families,
    formacode,
    insertion,
    lheo,
    market,
    offers,
    ours,
    projections,
    rncp,
    rome,
    tension,
)
from features.sources.grid import Layout, Top, nearest, top_of
from features.sources.publication import PublicationParams

_LOG = logging.getLogger(__name__)
Reader = Callable[[Sequence[Path], PublicationParams], Checked]
Holds = Callable[[Top], bool]
_GRIDS = ("*.csv", "*.xlsx", "*.xls")


@dataclass(frozen=True)
class Source:
    """One table that raw files fill: its contract and reader, the names its files bear, and how a real one looks.

    Several tables may share a ``folder``, the files of which are then told apart by what they hold.
    """

    contract: Contract
    reader: Reader
    patterns: tuple[str, ...]
    format: str
    example: str
    folder: str
    holds: Holds = lambda _: True
    layout: Layout | None = None

    @property
    def name(self) -> str:
        """The name of the table."""
        return self.contract.name

    def read(self, paths: Sequence[Path], publication: PublicationParams = PublicationParams()) -> Checked:  # noqa: B008
        """Read files of this source into its checked table."""
        return self.reader(paths, publication)


def _source(
    contract: Contract,
    read: Callable[[Sequence[Path]], Checked],
    patterns: tuple[str, ...],
    form: str,
    example: str,
) -> Source:
    """Describe a source with a folder of its own, whose files say themselves when they were known."""
    return Source(contract, lambda paths, _: read(paths), patterns, form, example, contract.name)


def _grid(
    contract: Contract, reader: Reader, layout: Layout, form: str, folder: str = "", holds: Holds | None = None
) -> Source:
    """Describe a published table, told from others by its header."""
    return Source(contract, reader, _GRIDS, form, layout.example, folder or contract.name, holds or layout.heads, layout)


def _fiches(contract: Contract, reader: Reader, form: str) -> Source:
    """Describe a table of the archive of registered certifications."""
    return Source(contract, reader, ("*.zip",), form, rncp.EXAMPLE, _CERTIFICATIONS, rncp.holds_fiches)


def _our(contract: Contract) -> Source:
    example = ours.example_of(contract)
    return Source(
        contract,
        lambda paths, _: ours.read_table(paths, contract),
        ("*.csv", "*.parquet"),
        f"our table '{contract.name}' (CSV or Parquet)",
        example,
        contract.name,
    )


_OFFERS = ("*.json", "*.jsonl", "*.ndjson", "*.json.gz", "*.jsonl.gz", "*.ndjson.gz", "*.parquet")
_PUBLIC = (
    _source(tables.OFFERS, offers.read_offers, _OFFERS, "job offers, France Travail « Offres d'emploi v2 »", offers.EXAMPLE),
    _grid(tables.BMO, bmo.read_bmo, bmo.LAYOUT, "BMO, yearly survey of recruitment projects"),
    _grid(market_tables.TENSION, tension.read_tension, tension.LAYOUT, "tension indicators by family and territory (Dares)"),
    _grid(market_tables.MARKET, market.read_market, market.LAYOUT, "offers and jobseekers by occupation and bassin (Dares)"),
    Source(
        tables.PROJECTIONS,
        projections.read_projections,
        ("*.json", "*.json.gz", "*.csv", "*.parquet"),
        "projections: « Métiers en 2030 » by région (JSON), or our table (CSV or Parquet)",
        projections.EXAMPLE,
        "projections",
    ),
    _grid(
        market_tables.INSERTION,
        insertion.read_insertion,
        insertion.LAYOUT,
        "outcomes of school leavers (InserJeunes)",
    ),
    _source(tables.CATALOGUE, lheo.read_catalogue, ("*.xml", "*.xml.gz"), "training catalogue, LHEO 2.x", lheo.EXAMPLE),
)
_CERTIFICATIONS, _REFERENCE = "certifications", "reference"
_LISTS = (
    _grid(ref.CERTIFICATIONS, certifications.read_certifications, certifications.LAYOUT, "CertifInfo", _CERTIFICATIONS),
    _fiches(ref.REGISTRATIONS, rncp.read_registrations, "RNCP and RS, the open data zip of France compétences"),
    _fiches(ref.BLOCKS, rncp.read_blocks, "blocks of skills, in the same zip"),
    _grid(ref.ROME, rome.read_rome, rome.OCCUPATIONS, "ROME, occupations", _REFERENCE),
    _grid(ref.MOBILITIES, rome.read_mobilities, rome.MOVES, "ROME, moves between occupations", _REFERENCE),
    _grid(ref.SKILLS, rome.read_skills, rome.TITLES, "ROME, skills", _REFERENCE),
    _grid(
        ref.OCCUPATION_SKILLS,
        rome.read_occupation_skills,
        rome.LINKS,
        "ROME, skills of occupations",
        _REFERENCE,
        rome.only_links,
    ),
    _grid(ref.FAMILIES, families.read_families, families.TITLES, "FAP, titles of families", _REFERENCE, families.holds_titles),
    _grid(ref.OCCUPATION_FAMILIES, families.read_occupation_families, families.PASSAGE, "passage ROME → FAP 2009", _REFERENCE),
    _grid(ref.COMMUNES, communes.read_communes, communes.LAYOUT, "communes of the Insee", _REFERENCE),
    Source(
        *(ref.FORMACODES, formacode.read_formacodes, ("*.csv",), "Formacode, list", formacode.EXAMPLE, _REFERENCE),
        formacode.holds_formacodes,
    ),
)
_PUBLIC_NAMES = {source.name for source in (*_PUBLIC, *_LISTS)}

SOURCES: Mapping[str, Source] = {
    source.name: source
    for source in (*_PUBLIC, *_LISTS, *(_our(contract) for contract in tables.CONTRACTS if contract.name not in _PUBLIC_NAMES))
}
"""Every table that a run reads from ``data/raw``."""


def sources_in(folder: str) -> list[Source]:
    """List the sources whose files lie in a folder of ``data/raw``; none for a folder nobody reads."""
    return [source for source in SOURCES.values() if source.folder == folder]


def files_of(folder: Path, source: Source) -> list[Path]:
    """List the files of one source, sorted, subfolders included; none when the folder is absent.

    A link that leaves the folder is refused; a file that bears no name that is read there is left out and logged.
    """
    named = _named(folder, source.folder)
    if len(sources_in(source.folder)) == 1:
        return named
    return [path for path in named if source in holders_of(path, source.folder)]


def holders_of(path: Path, folder: str) -> list[Source]:
    """Say which sources of a folder read a file: the one there is, else those that find their table in it."""
    sources = sources_in(folder)
    if len(sources) == 1:
        return sources
    try:
        state = path.stat()
        top = _top_of(path, (state.st_size, state.st_mtime_ns))
    except OSError:  # what is no file is refused where it is opened
        top = top_of(path)
    return [source for source in sources if source.holds(top)]


@lru_cache(maxsize=64)
def _top_of(path: Path, _state: tuple[int, int]) -> Top:
    """Read the first rows of a file once, however many tables look at them."""
    return top_of(path)


def strangers_in(folder: Path, name: str) -> Iterator[str]:
    """Say of each file of a shared folder that holds no table of it what it might have been."""
    if len(sources_in(name)) > 1:
        yield from (told_stranger(path, name) for path in _named(folder, name) if not holders_of(path, name))


def told_stranger(path: Path, folder: str) -> str:
    """Say that a file holds no table of its folder, which table it is nearest to, and what it lacks of that one."""
    sources = sources_in(folder)
    formats = "; ".join(source.format for source in sources)
    near = nearest(top_of(path), {source.format: source.layout for source in sources if source.layout})
    return f"{path}: is none of the tables that {folder} takes: {formats}. {near}".rstrip()


def _below(folder: Path) -> Iterator[Path]:
    """List what lies in a folder and below; a folder that may not be read is refused, since it may hold anything."""

    def refuse(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise InputError(f"{error.filename}: cannot be read ({error.strerror}). Give this user the right to read it.")

    for path, folders, files in os.walk(folder, onerror=refuse):
        yield from (Path(path, name) for name in (*folders, *files))


def _named(folder: Path, name: str) -> list[Path]:
    found = sorted(path for path in _below(folder) if not path.name.startswith("."))
    home = folder.resolve()
    leaving = [path for path in found if _leaves(path, home)]
    if leaving:
        raise InputError(*(f"{path}: is a link that leaves {folder}. Copy the file itself there." for path in leaving))
    patterns = sorted({pattern for source in sources_in(name) for pattern in source.patterns})
    files = [path for path in found if not path.is_dir()]
    named = [path for path in files if any(fnmatch(path.name.lower(), pattern) for pattern in patterns)]
    for path in sorted(set(files) - set(named)):
        _LOG.warning("%s: is not read; %s takes %s.", path, name, ", ".join(patterns))
    return named


def _leaves(path: Path, home: Path) -> bool:
    """Say whether a path leads out of its folder; a link that leads to itself leads nowhere."""
    try:
        return not path.resolve().is_relative_to(home)
    except (RuntimeError, OSError):
        return True
