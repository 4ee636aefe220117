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

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import pandas_dtype

from features.cells import Column as Column  # what a contract is made of
from features.cells import typed
from features.vocabulary import InputError

_FILES_NAMED = 3
_HASHED_AT_ONCE = 1 << 18  # rows: their texts are spelt out meanwhile
# How the reason begins that lists a code outside its nomenclature: no fault of the file, so it uses no reject budget.
UNKNOWN_CODE = "unknown occupation code"


@dataclass(frozen=True)
class Rule:
    """A law between columns of one row: ``broken`` marks the rows that break it, ``reason`` says so in words."""

    reason: str
    broken: Callable[[pd.DataFrame], pd.Series[bool]]


def _nowhere() -> pd.DataFrame:
    return pd.DataFrame({"file": pd.Series(dtype="str"), "line": pd.Series(dtype="int64")})


def no_unknown_codes() -> pd.DataFrame:
    """Give the empty list of unknown codes. One row per column and code."""
    kinds = {"column": "str", "code": "str", "rows": "int64", "volume": "float64"}
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})


@dataclass(frozen=True)
class Checked:
    """A checked table beside what was not kept: ``rejected`` has one row per wrong row (file, line, reason).

    ``origin`` says where each kept row stood (file, line), in the order of ``kept``; ``outside`` counts the rows that
    concern other Regions. ``unknown`` lists the codes outside their nomenclature: one row per column and code, with the
    rows that hold it and the volume they stand for.
    """

    kept: pd.DataFrame
    rejected: pd.DataFrame
    duplicates: int = 0
    outside: int = 0
    origin: pd.DataFrame = field(default_factory=_nowhere)
    unknown: pd.DataFrame = field(default_factory=no_unknown_codes)

    @property
    def read(self) -> int:
        """Rows the files held."""
        return len(self.kept) + len(self.rejected) + self.duplicates + self.outside

    @property
    def wrong(self) -> pd.DataFrame:
        """The rows that use the reject budget: all that were rejected but the codes listed as unknown. One row per row."""
        return self.rejected[~self.rejected["reason"].str.startswith(UNKNOWN_CODE)]

    def exceeds(self, budget: float) -> bool:
        """Say whether more than a share of the rows is wrong; repeated rows and codes listed as unknown do not count."""
        return len(self.wrong) > budget * self.judged

    @property
    def judged(self) -> int:
        """The rows of which some may be wrong: those kept, those wrong, and the sound ones of other Regions."""
        return len(self.kept) + len(self.wrong) + self.outside


@dataclass(frozen=True)
class Contract:
    """The columns, key and clock of one table.

    ``known_from`` names the date column on which a row became known. ``later`` says which cells were known later still:
    ``{"exited": ("exited", "certified")}`` blanks both while the exit lies after ``as_of``. Where that date is missing, a
    date after ``as_of`` among them is blanked all the same: nobody had seen it happen. ``volume`` names the column that
    says how much a row stands for (without one a row counts one), ``sums`` the others that add up, and ``period`` the column
    that says what time a row is about. A ``national`` table covers France: the Region and what touches it are kept. A
    ``code_list`` is what the codes of other tables are held against.
    """

    name: str
    row: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    known_from: str = "known_from"
    later: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    volume: str = ""
    sums: tuple[str, ...] = ()
    period: str = ""
    national: bool = False
    code_list: bool = False

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
        told = rows.pop("reason").fillna("") if "reason" in rows else pd.Series(dtype="str")
        frame, reasons = self._typed(rows, _files_of(origin) if "file" in rows else source)
        for rule in self.rules:
            reasons = _add_reason(reasons, rule.broken(frame).fillna(False).astype(bool), rule.reason)
        if (told != "").any():
            reasons = reasons.where(told == "", told)
        return self._split(frame, origin, reasons)

    def _typed(self, rows: pd.DataFrame, source: str) -> tuple[pd.DataFrame, pd.Series[str]]:
        """Give every column its type, and every row the reasons why it is wrong. Same rows.

        A whole column that holds something else is the shape of the file, not a fault of its rows. Texts leave ``rows`` as they
        are typed: they take more memory than what they say, and both together more than there is.
        """
        columns, faults, reasons = {}, [], pd.Series("", index=rows.index, dtype="str")
        absent = pd.Series(pd.NA, index=rows.index)
        for column in self.columns:
            cells = rows.pop(column.name) if column.name in rows else absent.astype(pandas_dtype(column.dtype))
            columns[column.name], blank, wrong = typed(cells, column)
            named = column.header or column.name
            reasons = _add_reason(reasons, wrong & blank, f"{named} is missing; it holds {column.expected}")
            reasons = _add_reason(reasons, wrong & ~blank, f"{named} is not {column.expected}")
            if column.kind != "text" and _is_another_shape(columns[column.name], blank):
                faults.append(f"{source}: column '{named}' never holds {column.expected}{_hint(column, cells)}.")
        if faults:
            raise InputError(*faults)
        return pd.DataFrame(columns, index=rows.index), reasons

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
        wrong = reasons != ""
        kept = self._ordered(_drawn(frame, ~wrong.to_numpy()) if wrong.any() else frame)
        key = list(self.key) or list(self.names)
        twins = kept[_beside_a_twin(kept, key)]
        same = twins.duplicated()
        clashing = twins.index[twins[~same].duplicated(key, keep=False).reindex(twins.index, fill_value=False)]
        if len(twins):
            kept = _drawn(kept, ~kept.index.isin(twins.index[same].union(clashing)))
            clash = f"another row has the same {' + '.join(self.key)} and says otherwise"
            reasons = reasons.mask(reasons.index.isin(clashing), clash)
        rejected = origin.assign(reason=reasons)[reasons != ""].reset_index(drop=True)
        here = origin.loc[kept.index].reset_index(drop=True)
        return Checked(kept.reset_index(drop=True), rejected, int(same.sum()), origin=here)

    def sort(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Put rows and columns in the one order that a table has, whatever the order of its files. Same rows."""
        return self.settle(frame.copy(deep=False))

    def settle(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Put them in that order and leave ``frame`` empty: both together are more than memory may hold. Same rows."""
        return self._ordered(frame).reset_index(drop=True)

    def _ordered(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Put rows in order as :meth:`sort` does, each with its label. ``frame`` may be left empty. Same rows."""
        known = [c.name for c in self.columns]
        names = known + [str(name) for name in frame if name not in known]
        key = list(self.key) or names
        if not _ascends(frame, key):
            frame = _drawn(frame, _order_of(frame, key))
        if _beside_a_twin(frame, key).any():
            frame = _drawn(frame, _order_of(frame, key + [name for name in names if name not in key]))
        return frame[names]

    def known_at(self, frame: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
        """Keep what was known at ``as_of``: later rows go, and cells that became known later are blank."""
        known = frame[self.known_from] <= as_of
        return self.blank_later((frame if known.all() else frame[known]).reset_index(drop=True), as_of)

    def blank_later(self, frame: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
        """Blank the cells that became known after ``as_of``. Same rows."""
        for clock, cells in self.later.items():
            late = frame[clock] > as_of
            undated = frame[clock].isna()
            dates = {cell for cell in cells if self[cell].kind == "date"}
            hidden = {cell: late | (undated & (frame[cell] > as_of)) if cell in dates else late for cell in cells}
            frame = frame.assign(**{cell: frame[cell].mask(hidden[cell]) for cell in cells if hidden[cell].any()})
        return frame


def _origin_of(rows: pd.DataFrame, source: str) -> pd.DataFrame:
    """Say where each row stood. One row per row, with ``file`` and ``line``."""
    file = rows["file"] if "file" in rows else pd.Series(source, index=rows.index)
    line = rows["line"] if "line" in rows else pd.Series(range(1, len(rows) + 1), index=rows.index)
    return pd.DataFrame({"file": file, "line": line})


def _drawn(frame: pd.DataFrame, rows: NDArray[np.intp] | NDArray[np.bool_]) -> pd.DataFrame:
    """Take some rows out of a frame, column by column, which leaves it empty: both together are more than memory may hold."""
    labels = frame.index[rows]
    return pd.DataFrame({name: frame.pop(str(name)).array[rows] for name in list(frame)}, index=labels)


def _order_of(frame: pd.DataFrame, columns: list[str]) -> NDArray[np.intp]:
    """Say in which order rows stand when they are sorted, those that tie as they stood."""
    return frame[columns].reset_index(drop=True).sort_values(columns, kind="stable").index.to_numpy()


def _ascends(frame: pd.DataFrame, key: list[str]) -> bool:
    """Say whether rows already stand in the order of their key, missing cells last."""
    tied = np.ones(max(len(frame) - 1, 0), dtype=bool)
    for before, after in _neighbours(frame, key):
        rises = (before < after).fillna(False) | (before.notna() & after.isna())
        alike = _alike(before, after)
        if (tied & ~alike & ~rises.to_numpy(dtype=bool)).any():
            return False
        tied &= alike
    return True


def _beside_a_twin(frame: pd.DataFrame, key: list[str]) -> NDArray[np.bool_]:
    """Mark the rows of an ordered table that stand beside one with the same key."""
    tied = np.ones(max(len(frame) - 1, 0), dtype=bool)
    for before, after in _neighbours(frame, key):
        tied &= _alike(before, after)
    alone = np.zeros(min(len(frame), 1), dtype=bool)
    beside: NDArray[np.bool_] = np.concatenate([alone, tied]) | np.concatenate([tied, alone])
    return beside


def _neighbours(frame: pd.DataFrame, key: list[str]) -> Iterator[tuple[pd.Series, pd.Series]]:
    for name in key:
        yield frame[name].iloc[:-1].reset_index(drop=True), frame[name].iloc[1:].reset_index(drop=True)


def _alike(before: pd.Series, after: pd.Series) -> NDArray[np.bool_]:
    alike: NDArray[np.bool_] = ((before == after).fillna(False) | (before.isna() & after.isna())).to_numpy(dtype=bool)
    return alike


def _files_of(origin: pd.DataFrame) -> str:
    """Name the files that rows came from, a few at the most."""
    names = list(origin["file"].unique())
    return ", ".join(names[:_FILES_NAMED]) + (f" and {len(names) - _FILES_NAMED} more" if len(names) > _FILES_NAMED else "")


def _hint(column: Column, cells: pd.Series) -> str:
    """Say what a spreadsheet makes of days: 31/03/2025, or the number 45747."""
    if column.kind != "date":
        return ""
    looks = cells.astype("str").str.fullmatch(r"\s*(?:\d{1,2}[/.]\d{1,2}[/.]\d{2,4}|[34]\d{4})(?: .*)?\s*")
    return "; a spreadsheet has rewritten its days: write them as 2025-03-31" if looks.fillna(False).any() else ""


def _add_reason(reasons: pd.Series[str], wrong: pd.Series[bool], reason: str) -> pd.Series[str]:
    if not wrong.any():
        return reasons
    return reasons.mask(wrong, reasons.where(reasons == "", reasons + "; ") + reason)


_FEW_ROWS = 0.02  # a column filled in fewer rows than this can only spoil those rows


def _is_another_shape(values: pd.Series, blank: pd.Series[bool]) -> bool:
    """Say whether a column of some length holds texts, and never what it should."""
    filled = int((~blank).sum())
    return len(values) >= 3 and filled >= max(3, _FEW_ROWS * len(values)) and not values.notna().any()


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
        for first in range(0, len(frame), _HASHED_AT_ONCE):
            rows = frame.iloc[first : first + _HASHED_AT_ONCE]
            digest.update(pd.util.hash_pandas_object(rows, index=False).to_numpy().tobytes())
    return digest.hexdigest()
