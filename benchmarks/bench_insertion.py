"""The share of young leavers at work, by région, diploma and track: the next row of InserJeunes told from the rows before it.

A row adds up two school years, so that the next one holds half of its people again: a user has that, and so has the last
value. What is judged are series whose rate is published in the last row and in the one asked. Nothing of the row asked is
known: not even its first months, which are out before the last months of the row before are. Errors are mean absolute
errors of published rates, in points.

The floor is what a forecaster errs by who knows the true rate of each series and nothing else: the mean of E|k ÷ n − p| of
the binomial, p being what was counted, drawn to the groups of its row by as much as those are alike. Who knows the people
counted twice as well errs less: about √(3 ÷ 4) of it after one row, √(2 ÷ 3) after two. An interval is judged by what it holds
of a count spread over k − ½ to k + ½.

The groups were chosen on 2020_2021, where richer ones gain nothing; what is carried over follows from what rows count, and no
weight is fitted. But 2021_2022 was in sight twice. School years had been taken to stray from the calendar row by row, which
left 0.61 and 0.75 of the distance at 6 and 12 months; that it strays once for both rows that count it was seen after.
And of walks of 0.02, 0.025 and 0.03 a year, whose intervals hold 0.78, 0.80 and 0.81 of 2020_2021, the last, thought of first,
was kept when big series of both pairs had been seen. *Without the move of all* owes nothing to either.

2020_2021 has one row behind it: of its move nothing is told. What the intervals of one row hold hangs on one move of all: it
is told there, and bounded over all rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binom

from features.market_tables import HORIZONS, INSERTION
from features.sources import SOURCES
from figures import Figure
from models.rates import SERIES, RateParams, Years, forecast_rates, last_rates

REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "insertion" / "inserjeunes_region_formation_2019_2022.csv"
ASKED: tuple[tuple[Years, int], ...] = (
    *(((2020, 2021), months) for months in HORIZONS),
    *(((2021, 2022), months) for months in HORIZONS[:2]),
)
TWICE = {(2020, 2021): 3 / 4, (2021, 2022): 2 / 3}  # of the variance of chance, who knows those counted twice has this left
APART = RateParams(overlap=0.0, drift=0.0)
STILL = RateParams(drift=0.0)
GOAL, OFF, NO_DISTANCE = 0.6, 0.05, 0.1
CLASSES = ((20, 40), (40, 100), (100, np.inf))  # leavers of the last row
Numbers = NDArray[np.float64]


def measure() -> Iterator[Figure]:
    """Judge each row and month, then all of them, by size, and where there was no rate to take for the last."""
    if not REAL.exists():
        yield Figure("skipped: no ../shared/data/insertion", 0, "figures")
        return
    told = [judge(years, months) for years, months in ASKED]
    for (years, months), judged in zip(ASKED, told, strict=True):
        what = f"{years[0]}_{years[1]}, {months} months"
        yield from _errors(what, judged[judged["scored"]], GOAL)
        yield Figure(f"{what}: held by intervals of 0.8", judged.loc[judged["scored"], "held"].mean(), "")
    every = pd.concat(told, ignore_index=True)
    scored = every[every["scored"]]
    yield from _errors("all", scored, GOAL)
    yield from _holding("all", scored)
    for low, high in CLASSES:
        part = scored[(scored["people"] >= low) & (scored["people"] < high)]
        what = f"{low} to {high - 1:g} leavers" if np.isfinite(high) else f"{low} leavers and more"
        yield from _errors(what, part)
        yield from _holding(what, part)
    yield from _of_hidden(every[every["last"].isna()])


def _errors(what: str, judged: pd.DataFrame, goal: float | None = None) -> Iterator[Figure]:
    """Tell errors beside the floors, and what is left of the distance to them; no share of a distance that is none."""
    last, ours, floor = _mae(judged, "last"), _mae(judged, "ours"), 100 * judged["floor"].mean()
    twice = 100 * (judged["floor"] * np.sqrt(judged["twice"])).mean()
    yield Figure(f"{what}: series judged", len(judged), "series")
    yield Figure(f"{what}: last value", last, "points")
    yield Figure(f"{what}: pooled, years taken for apart", _mae(judged, "apart"), "points")
    yield Figure(f"{what}: ours without the move of all", _mae(judged, "still"), "points")
    yield Figure(f"{what}: ours", ours, "points", last)
    yield Figure(f"{what}: mean of what came less ours", 100 * (judged["actual"] - judged["ours"]).mean(), "points")
    yield Figure(f"{what}: floor", floor, "points")
    yield Figure(f"{what}: floor of who knows those counted twice", twice, "points")
    if last - floor > NO_DISTANCE:
        yield Figure(f"{what}: left of last value less floor", (ours - floor) / (last - floor), "", goal)
    yield Figure(f"{what}: left of last value less the floor of who knows those", (ours - twice) / (last - twice), "")


def _holding(what: str, judged: pd.DataFrame) -> Iterator[Figure]:
    held = float(judged["held"].mean())
    yield Figure(f"{what}: held by intervals of 0.8", held, "")
    yield Figure(f"{what}: held by intervals of 0.8, off by", abs(held - 0.8), "", OFF)


def _of_hidden(judged: pd.DataFrame) -> Iterator[Figure]:
    """Tell the error on rates published now whose last was not, and what intervals hold, published or not."""
    for what, part in {
        "last rate hidden, counts told": judged[judged["people"] > 0],
        "series never counted before": judged[judged["people"] == 0],
    }.items():
        shown = part[part["published"]]
        yield Figure(f"{what}: series published now", len(shown), "series")
        yield Figure(f"{what}: everybody's last rate", _mae(shown, "everybody"), "points")
        yield Figure(f"{what}: ours", _mae(shown, "ours"), "points", _mae(shown, "everybody"))
        yield Figure(f"{what}: held by intervals of 0.8, published or not", part["held"].mean(), "")


def judge(years: Years, months: int) -> pd.DataFrame:
    """Put what was told beside what came. One row per series of the row asked with leavers counted."""
    asked, known = _asked(years, months), _known(years, months)
    ways = {"apart": APART, "still": STILL, "ours": RateParams()}
    told = {name: forecast_rates(known, asked, way, school_years=years, months=months) for name, way in ways.items()}
    last = last_rates(known, asked, RateParams(), school_years=years, months=months)["value"]
    before = known[known["last_year"] == years[1] - 1]
    open_before = asked[SERIES].merge(before, on=SERIES, how="left", validate="one_to_one")[f"rate_{months}m"].notna()
    actual = asked[f"rate_{months}m"] / 100
    n, k = (asked[name].to_numpy(dtype="float64") for name in ("leavers", f"employed_{months}m"))
    return asked[SERIES].assign(
        actual=actual.fillna(pd.Series(k / n, index=asked.index)),
        published=actual.notna(),
        scored=actual.notna() & open_before,
        last=last.where(open_before),
        **{name: rows["value"] for name, rows in told.items()},
        everybody=_everybody(before, months),
        people=told["ours"]["n"],
        held=_held(k, n, told["ours"]),
        floor=_floor(_true_rates(asked, years, months), n),
        twice=TWICE[years],
    )


@cache
def _insertion() -> pd.DataFrame:
    return SOURCES["insertion"].read([REAL]).kept


def _asked(years: Years, months: int) -> pd.DataFrame:
    rows = _insertion().query("last_year == @years[1]")
    return rows[(rows["leavers"] > 0).fillna(False) & rows[f"employed_{months}m"].notna()].reset_index(drop=True)


def _known(years: Years, months: int) -> pd.DataFrame:
    """Keep what was out the day before the row asked, or with the last months asked of the row before if that is later."""
    table = _insertion()
    clock = "known_from" if months == HORIZONS[0] else f"known_{months}m"
    first = table.loc[table["last_year"] == years[1], "known_from"].min() - pd.Timedelta(days=1)
    out = table.loc[table["last_year"] == years[1] - 1, clock].max()
    return INSERTION.known_at(table[table["last_year"] < years[1]], max(first, out))


def _everybody(before: pd.DataFrame, months: int) -> float:
    counted = before[before["leavers"].notna() & before[f"employed_{months}m"].notna()]
    return float(counted[f"employed_{months}m"].sum() / counted["leavers"].sum())


def _true_rates(asked: pd.DataFrame, years: Years, months: int) -> Numbers:
    """Estimate the true rates of a row from that row: its counts, drawn to its groups."""
    after = (years[1] + 1, years[1] + 1)
    return forecast_rates(asked, asked, APART, school_years=after, months=months)["value"].to_numpy(dtype="float64")


def _floor(rate: Numbers, n: Numbers) -> Numbers:
    """E|k ÷ n − p| of the binomial (de Moivre): 2 · m · (1 − p) · P(k = m) ÷ n, with m the least whole number above n · p."""
    above = np.floor(n * rate) + 1
    return np.asarray(2 * above * (1 - rate) * binom.pmf(above, n, rate) / n)


def _held(k: Numbers, n: Numbers, told: pd.DataFrame) -> Numbers:
    """Tell the share of each count, k − ½ to k + ½ leavers, that lies in its interval: what a randomised count would hold."""
    least, most = np.maximum(k - 0.5, 0) / n, np.minimum(k + 0.5, n) / n
    inside = np.minimum(most, told["high"]) - np.maximum(least, told["low"])
    return np.asarray(np.clip(inside, 0, None) / (most - least))


def _mae(judged: pd.DataFrame, way: str) -> float:
    return 100 * float((judged["actual"] - judged[way]).abs().mean())
