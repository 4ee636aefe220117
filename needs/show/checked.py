"""What ``needs check`` says of a file: what it is, what it holds, what a person can compare, and whether it may be used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from features.codes import carry_codes
from features.contracts import Checked, Contract
from features.crosswalks import hold_corrections
from features.intake import in_region, take_in
from features.sources import SOURCES, Source, holders_of, sources_in, told_stranger
from features.tables import OVERRIDES, TERRITORIES
from features.vocabulary import InputError
from needs.home import Home
from needs.params import IngestParams, Params
from needs.run.ingest import region_communes
from needs.show.figures import count, many

_SHOWN = 10
_KINDS = {"BE": "bassin", "ZE": "zone d'emploi", "MR": "Maison de la Région", "D": "département", "R": "région"}
_LINE = "  {:<12} {}"


class Told(NamedTuple):
    """What is said of some files, and of those that may not be used, why."""

    text: str
    faults: tuple[str, ...]


def tell_check(home: Home, source: str, paths: Sequence[Path], params: Params) -> Told:
    """Read files strictly, each by itself, and say what is in them; nothing is loaded."""
    communes = region_communes(home, params.ingest)
    told: list[str] = []
    faults: list[str] = []
    for path in paths:
        try:
            for table in _tables_in(path, source):
                lines, usable = _tell_file(path, table, communes, params.ingest)
                told += [*lines, ""]
                faults += [] if usable else [f"{path}: the engine may not use it as {table.name}; see above."]
        except InputError as error:
            faults += error.faults
    return Told("\n".join(told).rstrip(), tuple(faults))


def _tables_in(path: Path, source: str) -> list[Source]:
    """Find the tables a file is read into, by the name of its folder or of the table itself."""
    if sources_in(source):
        held = holders_of(path, source)
        if not held:
            raise InputError(told_stranger(path, source))
        return held
    if source not in SOURCES:
        folders = dict.fromkeys(each.folder for each in SOURCES.values())
        raise InputError(f"'{source}' is not a source. Sources are {', '.join(folders)}.")
    return [SOURCES[source]]


def _tell_file(path: Path, source: Source, communes: pd.DataFrame, params: IngestParams) -> tuple[list[str], bool]:
    """Say what one file holds of one table, and whether it may be used."""
    contract = source.contract
    read = source.read([path], params.publication)
    communes = read.kept if contract is TERRITORIES and len(read.kept) else communes  # a grouping is its own nomenclature
    whole, here = carry_codes(read, contract, communes), take_in(read, contract, communes)
    if contract is OVERRIDES:
        hold_corrections(here.kept)
    usable = not here.exceeds(params.reject_budget)
    share = f"{params.reject_budget:.1%} of the rows are wrong (ingest.reject_budget)"
    verdict = "the engine may use it" if usable else f"refused: more than {share}"
    lines = [
        *_rows(whole, here, contract),
        *_contents(whole.kept if here.outside else here.kept, contract),
        *(_regional(here, contract, communes) if here.outside else []),
        *_secrets(whole.kept),
        *_empty(whole.kept, contract),
        *_unknown(whole.unknown),
        *_faults(here),
        ("verdict", verdict),
    ]
    return [str(path), _LINE.format("format", source.format), *(_LINE.format(*line).rstrip() for line in lines)], usable


Line = tuple[str, str]


def _rows(whole: Checked, here: Checked, contract: Contract) -> Iterator[Line]:
    counts = [many(here.read, "row") + " read", f"{len(whole.kept):,} sound", f"{len(here.rejected):,} wrong"]
    yield "rows", ", ".join([*counts, f"{here.duplicates:,} repeated"])
    yield "one row", contract.row


def _contents(kept: pd.DataFrame, contract: Contract) -> Iterator[Line]:
    """Say the period, the territories and the sums of a table."""
    if len(kept) and "known_from" in kept:
        yield "known from", _span(kept["known_from"])
    if len(kept) and contract.period:
        yield "period", _span(kept[contract.period])
    if territories := _territories(kept):
        yield "territories", territories
    yield from _sums(kept, contract)


def _span(days: pd.Series) -> str:
    """Say the first and the last day, year or month."""
    texts = days.dropna().dt.strftime("%Y-%m-%d") if days.dtype.kind == "M" else days.dropna().astype("str")
    if texts.empty:
        return "unknown"
    first, last = texts.min(), texts.max()
    return str(first) if first == last else f"{first} to {last}"


def _territories(kept: pd.DataFrame) -> str:
    """Count the territories of each kind that a table names."""
    named = [kept[name].dropna() for name in ("territory", "department", "region") if name in kept]
    codes = pd.concat(named).drop_duplicates() if named else pd.Series(dtype="str")
    kinds = codes.str.extract(r"^([A-Z]+)", expand=False)
    return ", ".join(many(int((kinds == kind).sum()), noun) for kind, noun in _KINDS.items() if (kinds == kind).any())


def _sums(kept: pd.DataFrame, contract: Contract, head: str = "sums") -> Iterator[Line]:
    """Add up what adds up, apart for what would be counted twice: territories, families or years that hold each other."""
    names = [name for name in (contract.volume, *contract.sums) if name]
    if not names or kept.empty:
        return
    for label, rows in kept.groupby(_held_in_each_other(kept, contract)):
        yield head, f"{label} {', '.join(f'{name} {_total(rows[name])}' for name in names)}".strip()
        head = ""


def _total(amounts: pd.Series[float]) -> str:
    """Add up amounts; those that are all unknown have no sum."""
    return count(float(amounts.astype("float64").sum(min_count=1)), "en")


def _held_in_each_other(kept: pd.DataFrame, contract: Contract) -> pd.Series[str]:
    """Say which rows may be added up: those of one kind of territory, one length of family code and one year. Same rows."""
    parts = []
    if "territory" in kept and contract.national:
        parts.append(kept["territory"].str.extract(r"^([A-Z]+)", expand=False).map(_KINDS | {"FR": "France"}))
    if "family" in kept:
        parts.append(kept["family"].str.len().astype("str") + "-character families")
    if contract.national and contract.period and contract[contract.period].kind == "integer":
        parts.append(kept[contract.period].astype("str"))
    labels = pd.Series("", index=kept.index, dtype="str")
    for part in parts:
        if len(part.unique()) > 1:
            labels = labels.mask(labels != "", labels + ", ") + part
    return labels.mask(labels != "", labels + ":")


def _regional(here: Checked, contract: Contract, communes: pd.DataFrame) -> Iterator[Line]:
    """Say the Region's part of a file that goes beyond it, and what is left out."""
    rows = here.kept[in_region(here.kept, communes)] if contract.national else here.kept
    yield "the Region", ": ".join(part for part in (many(len(rows), "row"), _territories(rows)) if part)
    yield from _sums(rows, contract, head="")
    if touching := len(here.kept) - len(rows):
        yield "", f"{many(touching, 'row')} of what touches it, kept too"
    yield "", f"{many(here.outside, 'row')} from elsewhere, left out"


def _secrets(kept: pd.DataFrame) -> Iterator[Line]:
    names = [str(name) for name in kept if str(name).endswith("_secret")]
    hidden = [f"{name.removesuffix('_secret')} {int(kept[name].sum()):,}" for name in names]
    if hidden:
        yield "secrets", ", ".join(hidden) + " (hidden by the publisher: neither zero nor unknown)"


def _empty(kept: pd.DataFrame, contract: Contract) -> Iterator[Line]:
    """Name the columns that hold nothing: one that was renamed, or that this edition lacks."""
    columns = [column for column in contract.columns if not (column.optional and column.name in ("territory", "department"))]
    names = [column.header or column.name for column in columns if len(kept) and kept[column.name].isna().all()]
    if names:
        yield "empty", f"columns that hold nothing: {', '.join(names)}"


def _unknown(unknown: pd.DataFrame) -> Iterator[Line]:
    """List the codes outside their nomenclature, those of the largest volume first."""
    for place, (column, code, rows, volume) in enumerate(unknown.head(_SHOWN).itertuples(index=False)):
        stands_for = f", volume {volume:,.0f}" if volume != rows else ""
        yield "unknown" if not place else "", f"{column} {code}: {many(rows, 'row')}{stands_for}"
    if len(unknown) > _SHOWN:
        rest = unknown.iloc[_SHOWN:]
        yield "", f"and {len(rest):,} more codes, {int(rest['rows'].sum()):,} rows"


def _faults(here: Checked) -> Iterator[Line]:
    """Show the first wrong rows, and count all of them by reason."""
    for place, row in enumerate(here.rejected.sort_values("line").head(_SHOWN).itertuples()):
        yield "faults" if not place else "", f"line {row.line}: {row.reason}"
    if len(here.rejected) > _SHOWN:
        yield "", f"and {len(here.rejected) - _SHOWN:,} more wrong rows; the commonest reasons:"
        for reason, times in here.rejected["reason"].value_counts().head(3).items():
            yield "", f"{times:,} × {reason}"
