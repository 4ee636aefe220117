"""How a text becomes a value: one column of a contract, and the type and bounds that its cells must have.

A column of a million rows holds a few thousand distinct texts: each is judged once, and its verdict given to all that say it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from pandas.api.types import pandas_dtype

from features.vocabulary import Noun

Kind = Literal["text", "integer", "number", "flag", "date", "month"]
_DTYPES = {
    "text": "str",
    "month": "str",
    "integer": "Int64",
    "number": "float64",
    "flag": "boolean",
    "date": "datetime64[us]",
}
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


class Cells(NamedTuple):
    """The cells of one column: their values, which of them are blank, and which are not what the column holds."""

    values: pd.Series
    blank: pd.Series[bool]
    wrong: pd.Series[bool]


def each_distinct(texts: pd.Series[str], work: Callable[[pd.Series[str]], pd.Series]) -> pd.Series:
    """Do a piece of work on each distinct text and give its result to every row that holds it; missing stays missing.

    >>> each_distinct(pd.Series(["a", None, "a"], dtype="str"), lambda texts: texts.str.upper()).fillna("-").tolist()
    ['A', '-', 'A']
    """
    codes, distinct = pd.factorize(texts)
    return work(pd.Series(distinct)).reindex(codes).set_axis(texts.index)


def typed(cells: pd.Series, column: Column) -> Cells:
    """Give the cells of a column their type, and mark those that could not take it or leave its bounds."""
    if cells.dtype != "str" and cells.dtype != object:
        blank = cells.isna()
        values, wrong = _bounded(cells.astype(pandas_dtype(column.dtype)), column)
    else:
        texts = cells.astype("str").str.strip()
        blank = texts.isna() | (texts == "")
        values, wrong = _parsed(texts.mask(blank) if blank.any() else texts, column)
    missing = values.isna()
    return Cells(values, blank, wrong | (missing if not column.nullable else missing & ~blank))


def _parsed(texts: pd.Series[str], column: Column) -> tuple[pd.Series, pd.Series[bool]]:
    """Parse each distinct text once."""
    if column.kind == "text" and not column.choices and column.noun is None:
        return texts, pd.Series(False, index=texts.index)
    codes, distinct = pd.factorize(texts)
    values, wrong = _bounded(_PARSERS[column.kind](pd.Series(distinct)), column)
    return values.reindex(codes).set_axis(texts.index), wrong.reindex(codes, fill_value=False).set_axis(texts.index)


def _bounded(values: pd.Series, column: Column) -> tuple[pd.Series, pd.Series[bool]]:
    """Spell codes in full, and mark the values that are not among those a column may hold."""
    wrong = pd.Series(False, index=values.index)
    if column.noun is not None:
        values = column.noun.typed(values)
        wrong |= values.notna() & ~column.noun.spelt(values)
    if column.choices:
        wrong |= values.notna() & ~values.isin(column.choices)
    if column.low is not None:
        wrong |= (values < column.low).fillna(False).astype(bool)
    if column.high is not None:
        wrong |= (values > column.high).fillna(False).astype(bool)
    return values, wrong


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
