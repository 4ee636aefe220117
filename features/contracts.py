"""What each table holds, and the one check that every row passes at the door.

A :class:`Contract` names the columns of one table, their types and bounds, its key and its clock (when a row became
known, and which of its cells became known later still). ``parse`` turns the text a file holds into typed columns:
a wrong *shape* raises one error with every fault; wrong *rows* are split off with their line and a reason. After it,
only the checked table stays in scope. :class:`Tables` is the frozen bundle of checked tables that features are built from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from pandas.api.types import pandas_dtype

from features.vocabulary import InputError, Noun

Kind = Literal["text", "integer", "number", "flag", "date", "month"]
_DTYPES = {
    "text": "str",
    "month": "str",
    "integer": "Int64",
    "number": "float64",
    "flag": "boolean",
    "date": "datetime64[us]",
}
# How the reason begins that lists a code outside its nomenclature: no fault of the file, so it uses no reject budget.
UNKNOWN_CODE = "unknown occupation code"
_EXAMPLES = {
    "integer": "a whole number like 12",
    "number": "a number like 12.5",
    "flag": "0 or 1",
    "date": "a date like 2025-03-31",
    "month": "a month like 2025-03",
}


@dataclass(frozen=True)
class Column:
    """One column: its name in the engine, its kind, its header in our own CSV files and what it may hold."""

    name: str
    kind: Kind = "text"
    header: str = ""
    noun: Noun | None = None
    nullable: bool = True
    optional: bool = False
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def dtype(self) -> str:
        """The pandas type the checked column has."""
        return _DTYPES[self.kind]

    @property
    def expected(self) -> str:
        """Say in words what a cell of this column must look like."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if self.noun:
            return f"a {self.noun.name} like {self.noun.example}"
        bounds = [f"≥ {self.low:g}"] if self.low is not None else []
        bounds += [f"≤ {self.high:g}"] if self.high is not None else []
        return " ".join([_EXAMPLES.get(self.kind, "a text"), *(["(" + ", ".join(bounds) + ")"] if bounds else [])])


@dataclass(frozen=True)
class Rule:
    """A law between columns of one row: ``broken`` marks the rows that break it, ``reason`` says so in words."""

    reason: str
    broken: Callable[[pd.DataFrame], pd.Series[bool]]


def _nowhere() -> pd.DataFrame:
    return pd.DataFrame({"file": pd.Series(dtype="str"), "line": pd.Series(dtype="int64")})


@dataclass(frozen=True)
class Checked:
    """A checked table beside what was not kept: ``rejected`` has one row per wrong row (file, line, reason).

    ``origin`` says where each kept row stood (file, line), in the order of ``kept``; ``outside`` counts the rows that
    concern other Regions.
    """

    kept: pd.DataFrame
    rejected: pd.DataFrame
    duplicates: int = 0
    outside: int = 0
    origin: pd.DataFrame = field(default_factory=_nowhere)

    @property
    def read(self) -> int:
        """Rows the files held."""
        return len(self.kept) + len(self.rejected) + self.duplicates + self.outside

    @property
    def wrong(self) -> pd.DataFrame:
        """The rows that use the reject budget: all that were rejected but the codes listed as unknown. One row per row."""
        return self.rejected[~self.rejected["reason"].str.startswith(UNKNOWN_CODE)]

    def exceeds(self, budget: float) -> bool:
        """Say whether more than a share of the rows is wrong; repeated rows and those from elsewhere do not count."""
        return len(self.wrong) > budget * (len(self.kept) + len(self.wrong))


@dataclass(frozen=True)
class Contract:
    """The columns, key and clock of one table.

    ``known_from`` names the date column on which a row became known. ``later`` says which cells were known later still:
    ``{"exited": ("exited", "certified")}`` blanks both while the exit lies after ``as_of``. Where that date is missing, a
    date after ``as_of`` among them is blanked all the same: nobody had seen it happen.
    """

    name: str
    row: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    known_from: str = "known_from"
    later: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()

    def __getitem__(self, name: str) -> Column:
        """Give one column by its name."""
        return next(column for column in self.columns if column.name == name)

    @property
    def headers(self) -> list[str]:
        """The headers of our CSV files, or the column names of a table that comes from a public format."""
        return [c.header for c in self.columns if c.header] or [c.name for c in self.columns]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(column.name for column in self.columns)

    def empty(self) -> pd.DataFrame:
        """Give the table without a row, every column typed."""
        return pd.DataFrame({column.name: pd.Series(dtype=column.dtype) for column in self.columns})

    def rename_headers(self, headers: list[str]) -> dict[str, str]:
        """Map the headers of one of our files to column names."""
        known = set(self.headers)
        names = {(c.header or c.name).lower(): c.name for c in self.columns if (c.header or c.name) in known}
        return {header: names[header.strip().lower()] for header in headers if header.strip().lower() in names}

    def parse(self, rows: pd.DataFrame, source: str) -> Checked:
        """Check a table of texts: one row per line of the file; ``file`` and ``line`` say where each came from.

        Columns that already have their type are only bounded. A row that its reader found wrong says so in a column
        ``reason``, and is not judged again. Raises :class:`InputError` for a wrong shape.
        """
        self.check_shape(rows.columns, source)
        rows = rows.reset_index(drop=True)
        origin = _origin_of(rows, source)
        frame, reasons = self._typed(rows)
        _refuse_ill_typed(frame, rows, self, source)
        for rule in self.rules:
            reasons = _add_reason(reasons, rule.broken(frame).fillna(False).astype(bool), rule.reason)
        if "reason" in rows:
            reasons = reasons.where(rows["reason"].fillna("") == "", rows["reason"])
        return self._split(frame, origin, reasons)

    def _typed(self, rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series[str]]:
        """Give every column its type, and every row the reasons why it is wrong. Same rows."""
        typed, reasons = {}, pd.Series("", index=rows.index, dtype="str")
        absent = pd.Series(pd.NA, index=rows.index)
        for column in self.columns:
            cells = rows[column.name] if column.name in rows else absent.astype(pandas_dtype(column.dtype))
            typed[column.name], wrong = _typed(cells, column)
            named, missing = column.header or column.name, wrong & _blank(cells)
            reasons = _add_reason(reasons, missing, f"{named} is missing; it holds {column.expected}")
            reasons = _add_reason(reasons, wrong & ~missing, f"{named} is not {column.expected}")
        return pd.DataFrame(typed, index=rows.index), reasons

    def check_shape(self, names: Iterable[Hashable], source: str) -> None:
        """Raise one :class:`InputError` that lists every column that a file lacks."""
        present = set(names)
        missing = [c for c in self.columns if c.name not in present and not c.optional]
        if missing:
            raise InputError(
                *(f"{source}: column '{c.header or c.name}' is missing; it holds {c.expected}." for c in missing),
                f"{source}: a file of {self.name} has the columns {';'.join(self.headers)}.",
            )

    def _split(self, frame: pd.DataFrame, origin: pd.DataFrame, reasons: pd.Series[str]) -> Checked:
        kept = frame[reasons == ""]
        same = kept.duplicated()
        kept = kept[~same]
        if self.key:
            again = kept.duplicated(list(self.key), keep=False)
            clash = f"another row has the same {' + '.join(self.key)} and says otherwise"
            reasons = reasons.mask(reasons.index.isin(kept.index[again]), clash)
            kept = kept[~again]
        kept = self._ordered(kept)
        rejected = origin.assign(reason=reasons)[reasons != ""].reset_index(drop=True)
        here = origin.loc[kept.index].reset_index(drop=True)
        return Checked(kept.reset_index(drop=True), rejected, int(same.sum()), origin=here)

    def sort(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Put rows and columns in the one order that a table has, whatever the order of its files. Same rows."""
        return self._ordered(frame).reset_index(drop=True)

    def _ordered(self, frame: pd.DataFrame) -> pd.DataFrame:
        known = [c.name for c in self.columns]
        names = known + [str(name) for name in frame if name not in known]
        key = list(self.key)
        if not key or frame.duplicated(key).any():
            key += [name for name in names if name not in key]
        return frame[names].sort_values(key, kind="stable")

    def known_at(self, frame: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
        """Keep what was known at ``as_of``: later rows go, and cells that became known later are blank."""
        return self.blank_later(frame[frame[self.known_from] <= as_of].reset_index(drop=True), as_of)

    def blank_later(self, frame: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
        """Blank the cells that became known after ``as_of``. Same rows."""
        for clock, cells in self.later.items():
            late = frame[clock] > as_of
            undated = frame[clock].isna()
            dates = {cell for cell in cells if self[cell].kind == "date"}
            hidden = {cell: late | (undated & (frame[cell] > as_of)) if cell in dates else late for cell in cells}
            frame = frame.assign(**{cell: frame[cell].mask(hidden[cell]) for cell in cells})
        return frame


def _origin_of(rows: pd.DataFrame, source: str) -> pd.DataFrame:
    """Say where each row stood. One row per row, with ``file`` and ``line``."""
    file = rows["file"] if "file" in rows else pd.Series(source, index=rows.index)
    line = rows["line"] if "line" in rows else pd.Series(range(1, len(rows) + 1), index=rows.index)
    return pd.DataFrame({"file": file, "line": line})


def _blank(cells: pd.Series) -> pd.Series[bool]:
    return cells.isna() | (cells.astype("str").str.strip() == "")


def _add_reason(reasons: pd.Series[str], wrong: pd.Series[bool], reason: str) -> pd.Series[str]:
    if not wrong.any():
        return reasons
    return reasons.mask(wrong, reasons.where(reasons == "", reasons + "; ") + reason)


def _typed(cells: pd.Series, column: Column) -> tuple[pd.Series, pd.Series[bool]]:
    """Give the column its type, and mark the cells that could not take it or leave its bounds."""
    if cells.dtype == "str" or cells.dtype == object:
        texts = cells.astype("str").str.strip()
        texts = texts.mask(texts == "")
        values = _PARSERS[column.kind](texts)
    else:
        texts, values = cells, cells.astype(pandas_dtype(column.dtype))
    wrong = (texts.notna() & values.isna()) | (values.isna() & (not column.nullable))
    if column.noun is not None:
        values = column.noun.typed(values)
        wrong |= values.notna() & ~column.noun.spelt(values)
    if column.choices:
        wrong |= values.notna() & ~values.isin(column.choices)
    if column.low is not None:
        wrong |= (values < column.low).fillna(False)
    if column.high is not None:
        wrong |= (values > column.high).fillna(False)
    return values, wrong.astype(bool)


def _parse_number(texts: pd.Series[str]) -> pd.Series[float]:
    plain = texts.str.replace(r"[   ]", "", regex=True).str.replace(",", ".", regex=False)
    values = pd.to_numeric(plain, errors="coerce").astype("float64")
    return values.mask(~np.isfinite(values))


def _parse_integer(texts: pd.Series[str]) -> pd.Series[int]:
    values = _parse_number(texts)
    return values.mask((values % 1 != 0) | (values.abs() > 2**53)).astype("Int64")


def _parse_flag(texts: pd.Series[str]) -> pd.Series[bool]:
    return texts.map({"0": False, "1": True}).astype("boolean")


def _parse_date(texts: pd.Series[str]) -> pd.Series[pd.Timestamp]:
    dates = pd.to_datetime(texts.where(texts.str.fullmatch(r"\d{4}-\d{2}-\d{2}")), format="%Y-%m-%d", errors="coerce")
    return dates.where(dates.dt.year.between(1900, 2099)).astype("datetime64[us]")


def _parse_month(texts: pd.Series[str]) -> pd.Series[str]:
    return texts.where(texts.str.fullmatch(r"(?:19|20)\d{2}-(?:0[1-9]|1[0-2])"))


def _parse_text(texts: pd.Series[str]) -> pd.Series[str]:
    return texts


_PARSERS: dict[Kind, Callable[[pd.Series[str]], pd.Series]] = {
    "text": _parse_text,
    "integer": _parse_integer,
    "number": _parse_number,
    "flag": _parse_flag,
    "date": _parse_date,
    "month": _parse_month,
}


_FEW_ROWS = 0.02  # a column filled in fewer rows than this can only spoil those rows


def _refuse_ill_typed(frame: pd.DataFrame, rows: pd.DataFrame, contract: Contract, source: str) -> None:
    """Refuse a file in which a whole column holds something else: that is its shape, not its rows."""
    faults = []
    for column in contract.columns:
        if column.name not in rows or len(rows) < 3 or column.kind == "text":
            continue
        filled = ~_blank(rows[column.name])
        if filled.sum() >= max(3, _FEW_ROWS * len(rows)) and frame[column.name].isna()[filled].all():
            faults.append(f"{source}: column '{column.header or column.name}' never holds {column.expected}.")
    if faults:
        raise InputError(*faults)


@dataclass(frozen=True)
class GradeLimits:
    """How many observations a grade asks, and how much it may have borrowed from a wider group."""

    a: float
    b: float
    c: float
    borrowed_a: float
    borrowed_b: float


ESTIMATE = ("value", "low", "high", "n", "borrowed", "grade")


def write_estimate(
    frame: pd.DataFrame,
    *,
    value: pd.Series,
    low: pd.Series,
    high: pd.Series,
    n: pd.Series,
    borrowed: pd.Series | float,
    limits: GradeLimits,
) -> pd.DataFrame:
    """Add ``value, low, high, n, borrowed, grade`` to a frame, the only way an estimate is written. Same rows.

    The 80 % interval always holds the value. The grade falls with few observations and with what is borrowed:
    A, B, C ask ``n`` at or above the limits, A and B also a borrowed share at or below theirs.
    """
    share = pd.Series(borrowed, index=frame.index, dtype="float64").clip(0, 1)
    count = n.astype("float64").fillna(0)
    grade = np.select(
        [
            value.isna(),
            (count >= limits.a) & (share <= limits.borrowed_a),
            (count >= limits.b) & (share <= limits.borrowed_b),
            count >= limits.c,
        ],
        ["", "A", "B", "C"],
        "D",
    )
    return frame.assign(
        value=value.astype("float64"),
        low=np.minimum(low, value).astype("float64"),
        high=np.maximum(high, value).astype("float64"),
        n=count,
        borrowed=share,
        grade=pd.Series(grade, index=frame.index, dtype="str").mask(value.isna()),
    )


def fingerprint(frames: Iterator[tuple[str, pd.DataFrame]]) -> str:
    """Hash named frames into 64 hexadecimal characters: the same rows give the same hash, whatever their order in the files."""
    digest = hashlib.sha256()
    for name, frame in frames:
        digest.update(name.encode())
        digest.update("|".join(frame.columns).encode())
        digest.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
    return digest.hexdigest()
