"""The national registers of certifications (RNCP and RS): the daily archive of CSV files of France compétences.

A fiche has one row in the table Standard, without which nothing is read; the other tables hold its codes, its ways of
access, the fiches before and after it, and its blocks of skills. A wrong line of those is a wrong row of its own and never
spoils the fiche; a fiche that they name and Standard lacks is listed as unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from features.contracts import Checked, no_unknown_codes
from features.errors import InputError
from features.reference_tables import BLOCKS, FICHE, REGISTRATIONS
from features.sources.archives import holds_table, read_archive
from features.sources.files import each
from features.sources.grid import Layout, Top
from features.sources.lists import dated, iso_days, single_apostrophes
from features.sources.publication import PublicationParams, day_in_name

EXAMPLE = (
    "A real one is the zip that France compétences publishes daily (export-fiches-csv-2024-02-22.zip), which holds "
    "export_fiches_CSV_Standard_2024_02_22.csv and a dozen others"
)
_STANDARD_WORD, _BLOCKS_WORD = "standard", r"blocs de comp\w*"
_STANDARD = Layout(
    {
        "numero fiche": "fiche",
        "intitule": "title",
        "abrege libelle": "diploma",
        "nomenclature europe niveau": "level",
        "nomenclature europe intitule": "level_title",
        "date dernier jo": "gazetted",
        "date decision": "decided",
        "date fin enregistrement": "ends",
        "date effet": "takes_effect",
        "type enregistrement": "kind",
        "actif": "active",
    },
    EXAMPLE,
    optional=frozenset({"diploma", "level_title", "gazetted", "kind"}),
)
_BLOCKS = Layout(
    {"numero fiche": "fiche", "bloc competences code": "block", "bloc competences libelle": "title"},
    EXAMPLE,
)
_LACKING = "Standard lacks this fiche"
_DAYS = ("gazetted", "decided", "takes_effect", "ends")


class _Link(NamedTuple):
    """A column of another table that fills a column of the fiche, and how one of its codes is spelt."""

    table: str
    header: str
    column: str
    pattern: str


_LINKS = (
    _Link("formacode", "formacode code", "formacodes", r"\d{5}"),
    _Link("nsf", "nsf code", "nsf", r"\d{3}[a-z]?"),
    _Link("rome", "codes rome code", "occupations", r"[A-N]\d{4}"),
    _Link(r"voix ?d ?acc\w*", "si jury", "accesses", r"[^|]+"),
    _Link(r"ancienne nouvelle \w+", "ancienne certification", "older", FICHE.pattern),
    _Link(r"ancienne nouvelle \w+", "nouvelle certification", "newer", FICHE.pattern),
)
_LINK_LAYOUTS = {
    table: Layout({"numero fiche": "fiche", **{link.header: link.column for link in _LINKS if link.table == table}}, EXAMPLE)
    for table in dict.fromkeys(link.table for link in _LINKS)
}


def read_registrations(paths: Sequence[Path], publication: PublicationParams) -> Checked:
    """Read archives. One row per fiche and archive, its several codes joined by ``|``."""
    lines = _together(each(paths, _read_fiches), [*_STANDARD.columns, *(link.column for link in _LINKS)])
    rows = lines[lines["reason"] != _LACKING]
    unlevelled = (rows["level"] == "REPRISE") | rows["level_title"].str.startswith("Sans niveau")
    named = rows.assign(
        **{name: iso_days(rows[name]) for name in _DAYS},
        level=rows["level"].str.removeprefix("NIV").mask(unlevelled, ""),
        active=rows["active"].replace({"ACTIVE": "1", "INACTIVE": "0"}),
        known_from=dated(rows["named_day"], publication),
    )
    return replace(REGISTRATIONS.parse(named, REGISTRATIONS.name), unknown=_lacking(lines))


def _lacking(lines: pd.DataFrame) -> pd.DataFrame:
    """List the fiches that other tables name and Standard lacks. One row per fiche, with the lines that name it."""
    named = lines.loc[lines["reason"] == _LACKING, "fiche"].value_counts().sort_index()
    lacking = pd.DataFrame({"code": named.index, "rows": named.to_numpy(), "volume": named.to_numpy().astype("float64")})
    return lacking.assign(column="Numero_Fiche")[["column", "code", "rows", "volume"]] if len(lacking) else no_unknown_codes()


def read_blocks(paths: Sequence[Path], publication: PublicationParams) -> Checked:
    """Read the blocks of skills of archives. One row per fiche, block and archive."""
    rows = _together(each(paths, _read_blocks), _BLOCKS.columns)
    return BLOCKS.parse(rows.assign(known_from=dated(rows["named_day"], publication)), BLOCKS.name)


def holds_fiches(top: Top) -> bool:
    """Say whether an archive holds the table without which no fiche is read."""
    return holds_table(top.parts, _STANDARD_WORD)


def _together(parts: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    """Put archives under each other, a table or column that one lacks being empty in it. One row per row of theirs."""
    none = pd.DataFrame(columns=[*columns, "file", "line", "reason", "named_day"], dtype="str")
    rows = pd.concat([none, *parts], ignore_index=True).fillna(dict.fromkeys([*columns, "reason"], ""))
    return rows.assign(title=single_apostrophes(rows["title"]))


def _read_blocks(path: Path) -> pd.DataFrame:
    """Read the blocks of one archive. One row per line of their table; none where it is missing."""
    tables = read_archive(path, {_BLOCKS_WORD: _BLOCKS})
    return _in_edition(tables.get(_BLOCKS_WORD, pd.DataFrame()), path)


def _read_fiches(path: Path) -> pd.DataFrame:
    """Read the fiches of one archive. One row per fiche, and per line of another table that is wrong."""
    tables = read_archive(path, {_STANDARD_WORD: _STANDARD, **_LINK_LAYOUTS})
    if _STANDARD_WORD not in tables:
        raise InputError(f"{path}: holds no CSV file named …Standard…. {EXAMPLE}.")
    fiches = tables.pop(_STANDARD_WORD)
    strays = [_strays(table, rows, fiches) for table, rows in tables.items()]
    joined = {link.column: _joined(link, tables, fiches) for link in _LINKS}
    return _in_edition(pd.concat([fiches.assign(**joined), *strays], ignore_index=True), path)


def _in_edition(rows: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Date the rows of an archive by the names of its files, else by its own. Same rows."""
    days = rows["named_day"] if "named_day" in rows else pd.Series(dtype="str")
    return rows.assign(named_day=max(days, default="") or day_in_name(path))


def _joined(link: _Link, tables: Mapping[str, pd.DataFrame], fiches: pd.DataFrame) -> pd.Series[str]:
    """Join the codes that another table gives each fiche, sorted. Same rows: one fiche."""
    if link.table not in tables:
        return pd.Series("", index=fiches.index, dtype="str")
    codes = tables[link.table][["fiche", link.column]].drop_duplicates().sort_values(["fiche", link.column])
    codes = codes[codes[link.column].str.fullmatch(link.pattern)]
    return fiches["fiche"].map(codes.groupby("fiche")[link.column].agg("|".join)).astype("str").fillna("")


def _strays(table: str, rows: pd.DataFrame, fiches: pd.DataFrame) -> pd.DataFrame:
    """Find the lines that link nothing. One row per wrong line, with why."""
    lost = (rows["reason"] == "") & ~rows["fiche"].isin(fiches["fiche"])
    reasons = (
        rows["reason"].mask(lost, _LACKING).mask(lost & ~FICHE.spelt(rows["fiche"]), "numero fiche is not spelt as one fiche")
    )
    for link in _LINKS:
        if link.table == table:
            wrong = (reasons == "") & (rows[link.column] != "") & ~rows[link.column].str.fullmatch(link.pattern)
            reasons = reasons.mask(wrong, f"{link.header} is not spelt as one code")
    return rows.assign(reason=reasons).loc[reasons != "", ["fiche", "file", "line", "reason", "named_day"]]
