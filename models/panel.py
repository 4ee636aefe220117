"""Many series side by side: a long frame of any country's codes becomes a matrix of series × periods, and back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.vocabulary import InputError

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]
SERIES = ["territory", "occupation"]
KEY = [*SERIES, "period"]
ROW = " row"  # of the matrix; no column of a frame is named so
SEASONS = {"M": 12, "Q": 4}  # periods in a year; any other frequency has no season
GRAINS = (1.0, 1 / 12)
OFTEN = 0.05  # share of zeros from which values that are no whole numbers are counts all the same
WRITTEN = re.compile(r"\d{4}|\d{4}-(0[1-9]|1[0-2])")  # a year, a month
PREFIX_SHARE = 3  # leading characters make a group where they leave at most one group for so many codes


@dataclass(frozen=True)
class Panel:
    """Series of one frequency. ``values`` is series × periods, NaN where nothing was observed.

    ``territories`` and ``occupations`` say which series belong together, from the territory and the occupation themselves
    to their widest groups.
    """

    series: pd.DataFrame
    periods: pd.PeriodIndex
    values: Numbers
    territories: tuple[Codes, ...]
    occupations: tuple[Codes, ...]
    regressors: Mapping[str, Numbers]
    text: bool

    @property
    def season(self) -> int:
        """How many periods make a year: 12 for months, 1 for years."""
        return SEASONS.get(str(self.periods.freqstr).split("-")[0], 1)

    @property
    def grain(self) -> float:
        """What the values are multiples of: 1 for counts, a twelfth for yearly means of monthly counts.

        Where they are not and yet often zero, they may be counts that were shared out or scaled: most of them are whole all the
        same, or one value is common and taken for one. 0 where they are measured, not counted.
        """
        seen = self.values[np.isfinite(self.values)]
        for grain in GRAINS:
            if _whole(seen, grain).all():
                return grain
        if (seen == 0).mean() < OFTEN:
            return 0.0
        values, counts = np.unique(seen[seen > 0], return_counts=True)
        for grain in GRAINS:
            if counts[_whole(values, grain)].sum() > counts.sum() / 2:
                return grain
        return float(values[counts.argmax()]) if counts.max() > OFTEN * counts.sum() else 0.0

    def until(self, count: int) -> Panel:
        """Give what was known after the first ``count`` periods: same series, later values and regressors gone."""
        known = {name: numbers[:, :count] for name, numbers in self.regressors.items()}
        return replace(self, periods=self.periods[:count], values=self.values[:, :count], regressors=known)

    def names(self, periods: pd.PeriodIndex) -> list[object]:
        """Spell periods as the frame did: as text, or as periods."""
        return [str(period) for period in periods] if self.text else list(periods)

    def ahead(self, horizon: int) -> pd.PeriodIndex:
        """List the ``horizon`` periods after the last one."""
        return pd.period_range(self.periods[-1] + 1, periods=horizon)

    def to_long(self, columns: Mapping[str, Numbers], periods: pd.PeriodIndex) -> pd.DataFrame:
        """Write matrices of series × periods as a frame. One row per territory, occupation, period."""
        repeated = self.series.loc[self.series.index.repeat(len(periods))].reset_index(drop=True)
        named = pd.Series(self.names(periods), dtype="str" if self.text else periods.dtype)
        whole = named.take(np.tile(np.arange(len(periods)), len(self.series))).array
        return repeated.assign(period=whole, **{name: matrix.ravel() for name, matrix in columns.items()})


def _whole(values: Numbers, grain: float) -> Flags:
    """Say which values are multiples of a grain; what is far below it is none."""
    counts = np.round(values / grain)
    told: Flags = np.isclose(values / grain, counts, rtol=0, atol=1e-6) & ((counts > 0) | (values == 0))
    return told


def to_panel(frame: pd.DataFrame) -> Panel:
    """Read one row per territory, occupation, period: value, regressors (other numbers) and groups (other texts).

    An absent row or a missing value is a gap: nothing was observed. Zeros must be said. A series without one observation
    is left out: nothing is known of it.
    """
    _refuse_faults(frame)
    text = not isinstance(frame["period"].dtype, pd.PeriodDtype)
    periods = pd.PeriodIndex(_to_periods(frame["period"]) if text else frame["period"])
    frame = frame.assign(period=periods)[frame["value"].notna().to_numpy() | _has_number(frame)]
    known = frame[frame["value"].notna()][SERIES].drop_duplicates().sort_values(SERIES, ignore_index=True)
    span = _span(pd.PeriodIndex(frame["period"]), periods)
    frame = frame.merge(known.reset_index(names=ROW), on=SERIES, how="inner", validate="many_to_one")
    rows, columns = frame[ROW].to_numpy(), span.get_indexer(pd.PeriodIndex(frame["period"]))

    def spread(name: str) -> Numbers:
        matrix = np.full((len(known), len(span)), np.nan)
        matrix[rows, columns] = frame[name].to_numpy(dtype="float64", na_value=np.nan)
        return matrix

    others = [str(name) for name in frame.columns if name not in (*KEY, "value", ROW)]
    numeric = [name for name in others if pd.api.types.is_numeric_dtype(frame[name])]
    ladders = _ladders(frame, known, [name for name in others if name not in numeric])
    return Panel(known, span, spread("value"), *ladders, {name: spread(name) for name in numeric}, text)


def _refuse_faults(frame: pd.DataFrame) -> None:
    """Refuse a frame that no forecast can be made from, with every fault."""
    missing = [name for name in (*KEY, "value") if name not in frame]
    faults = [f"column {name} is missing" for name in missing]
    if not missing:
        if frame.duplicated(KEY).any():
            faults.append(f"{int(frame.duplicated(KEY).sum())} rows repeat a territory, occupation and period")
        values = pd.to_numeric(frame["value"], errors="coerce").to_numpy(dtype="float64", na_value=np.nan)
        if (values < 0).any() or np.isinf(values).any() or (np.isnan(values) & frame["value"].notna()).any():
            faults.append("values must be numbers of zero or more")
        if frame[KEY].isna().any().any():
            faults.append("a territory, an occupation or a period is empty")
    if faults:
        raise InputError("The series cannot be read: " + "; ".join(faults) + ".")


def _to_periods(texts: pd.Series[str]) -> pd.PeriodIndex:
    """Read ``2026-03`` as a month and ``2026`` as a year."""
    names = texts.astype("str")
    lengths = set(names.str.len().unique())
    if len(lengths) > 1 or not all(WRITTEN.fullmatch(name) for name in names.unique()):
        raise InputError("Periods are written YYYY-MM or YYYY, all of them alike, or given as pandas periods.")
    spelt = {name: pd.Period(name, "M" if len(name) == 7 else "Y") for name in names.unique()}
    return pd.PeriodIndex(names.map(spelt), freq="Y" if lengths == {4} else "M")


def _has_number(frame: pd.DataFrame) -> Flags:
    """Say which rows hold a regressor: they say what is known of a period whose value is not."""
    others = frame.drop(columns=[*KEY, "value"]).select_dtypes("number")
    return others.notna().any(axis=1).to_numpy()


def _span(seen: pd.PeriodIndex, asked: pd.PeriodIndex) -> pd.PeriodIndex:
    """List every period from the first to the last; an empty frame ends where its own frequency begins to count."""
    if len(seen) == 0:
        return pd.period_range(pd.Period("1970-01-01", asked.freqstr), periods=1)
    return pd.period_range(seen.min(), seen.max())


def _ladders(frame: pd.DataFrame, known: pd.DataFrame, texts: Sequence[str]) -> tuple[tuple[Codes, ...], tuple[Codes, ...]]:
    """Say which series belong together: by territory and its groups, by occupation and its groups, narrow first.

    A text column that is constant within an occupation groups occupations, within a territory territories. Where none is
    given, the leading characters of the codes do.
    """
    given: dict[str, list[pd.Series[str]]] = {"occupation": [], "territory": []}
    for name in texts:
        side = next((side for side in given if frame[[side, name]].drop_duplicates()[side].is_unique), None)
        if side is None:
            raise InputError(f"Column {name} groups neither occupations nor territories: it changes within both.")
        first = frame.groupby(side)[name].first()
        given[side].append(known[side].map(first).astype("str").fillna(""))
    ladders = [[known[side], *(given[side] or _prefixes(known[side]))] for side in SERIES]
    narrow_first = [sorted(ladder, key=lambda codes: -codes.nunique()) for ladder in ladders]
    territories, occupations = (tuple(pd.factorize(codes)[0] for codes in ladder) for ladder in narrow_first)
    return territories, occupations


def _prefixes(codes: pd.Series[str]) -> list[pd.Series[str]]:
    """Group codes by their leading characters: the finest such grouping that is one, and the next wider. Narrow first."""
    names = pd.Series(codes.unique()).astype("str")
    found: list[pd.Series[str]] = []
    counts: set[int] = set()
    for length in range(int(names.str.len().max()) - 1 if len(names) else 0, 0, -1):
        count = names.str[:length].nunique()
        if 1 < count <= len(names) / PREFIX_SHARE and count not in counts and len(found) < 2:
            found.append(codes.astype("str").str[:length])
            counts.add(count)
    return found
