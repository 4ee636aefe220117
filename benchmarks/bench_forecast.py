"""Forecasts of three real panels, from every origin, beside the last value and the other baselines.

Vacancies of Germany by Kreis and occupation, one, two and three years ahead; postings by sector, six and twelve months ahead;
jobseekers of France by family of occupations, one year ahead. At each origin all is learned from what lies before. Errors are
WAPE, and those of vacancies of series with 5 or more a year on average: over all years, as the reference has it, or over the
years before the origin, as one could have chosen them. Intervals are judged by the randomised PIT of all series.

Goals stand beside figures, and those missed say so; the bounds are floors, beyond what was measured when they were set. 2020
is the year of a crisis; no forecaster is told so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from figures import Figure
from judging import CLASSES, Forecasters, biases, coverages, held, held_inside, judge, share_inside, wapes
from models.forecast import (
    ExponentialSmoothing,
    GlobalBoosting,
    LastValue,
    LastYearMean,
    NeedForecaster,
    SeasonalNaive,
)
from panels import JOBSEEKERS, POSTINGS, VACANCIES, read_jobseekers, read_postings, read_vacancies

OURS, BESIDE = "ours", "ours, unemployed"
LAST, SEASONAL = "last value", "seasonal naive"
CRISIS = "2020"
YEARLY: Forecasters = {  # the other baselines are the last value where a year is one period
    OURS: NeedForecaster,
    LAST: LastValue,
    "smoothing": ExponentialSmoothing,
    "boosting": GlobalBoosting,
}
MONTHLY: Forecasters = {**YEARLY, SEASONAL: SeasonalNaive, "year mean": LastYearMean}
FIRST_POSTINGS = "2022-01"  # two years of postings are known then
FIRST_JOBSEEKERS = 2006  # ten years
ONE_YEAR, LATER = (0.96, 1.0), (0.99, 1.05)  # × the last value: the mean of years, and the worst
MONTHS, JOBS = 0.9, 0.94  # × the better naive forecast
WIDE = 12.0  # points from four in five
FAMILIES = {"Catégorie A": "A", "Catégories A, B, C": "A, B, C"}


def measure() -> Iterator[Figure]:
    """Judge each panel that is there."""
    for path, panel in ((VACANCIES, vacancies), (POSTINGS, postings), (JOBSEEKERS, jobseekers)):
        if path.exists():
            yield from panel()
        else:
            yield Figure(f"skipped: no {path.name} beside the project", 0, "")


# Vacancies -----------------------------------------------------------------------------------------------------------------


def vacancies() -> Iterator[Figure]:
    frame = read_vacancies()
    origins = [str(year) for year in range(2015, 2021)]
    bare = frame.drop(columns="unemployed")
    next_year = pd.concat([judge(bare, YEARLY, origins, 1), judge(frame, {BESIDE: NeedForecaster}, origins, 1)])
    later = pd.concat([judge(bare, YEARLY, origins[:-1], 3), judge(frame, {BESIDE: NeedForecaster}, origins[:-1], 3)])
    for model in (OURS, BESIDE):
        yield from beside_last(f"vacancies, 1 year, {model}", next_year, model, floors=ONE_YEAR)
        for ahead in (2, 3):
            rows = later[later["step"] == ahead]
            yield from beside_last(f"vacancies, {ahead} years, {model}", rows, model, floors=LATER)
    for model in (OURS, BESIDE):
        yield from intervals(f"vacancies, 1 year, {model}", next_year[next_year["model"] == model])
        for ahead in (2, 3):
            rows = later[(later["model"] == model) & (later["step"] == ahead) & (later["period"] != CRISIS)]
            yield held_inside(f"  {ahead} years, all but {CRISIS}", share_inside(rows), floor=WIDE)


def beside_last(title: str, tally: pd.DataFrame, model: str, floors: tuple[float, float]) -> Iterator[Figure]:
    """Tell errors beside those of the last value: the mean of origins, the worst, each, and beside other baselines."""
    often = tally[tally["often"]]
    found, off = wapes(often, "period"), biases(often, "period")
    ratio = found[model] / found[LAST]
    yield held(f"{title}, ÷ last value", float(ratio.mean()), "×", goal=0.94, floor=floors[0])
    yield held(f"  worst year, {ratio.idxmax()}", float(ratio.max()), "×", goal=1.0, floor=floors[1])
    for year, value in ratio.items():
        told = f"{found.loc[year, LAST]:.3f}, bias {off.loc[year, LAST]:+.1%}; ours {off.loc[year, model]:+.1%}"
        yield Figure(f"  {year}: last value {told}", float(value), "×")
    known = wapes(tally[tally["known"]], "period")
    yield Figure("  series chosen before the origin", float((known[model] / known[LAST]).mean()), "×")
    for other in ("smoothing", "boosting"):
        yield Figure(f"  ÷ {other}", float((found[model] / found[other]).mean()), "×")


def intervals(title: str, tally: pd.DataFrame) -> Iterator[Figure]:
    """Tell what intervals hold: of all but the crisis, by class of the forecast, and at each origin."""
    calm = tally[tally["period"] != CRISIS]
    yield held_inside(f"{title}, all but {CRISIS}", share_inside(calm), floor=5.0)
    for volume, share in coverages(calm, "volume").iloc[:, 0].items():
        yield held_inside(f"  {volume}", float(share), floor=WIDE)
    of_year = coverages(tally, "period").iloc[:, 0]
    wide = tally.groupby(["period", "volume"], observed=True)[["inside", "n"]].sum()
    shares = (wide["inside"] / wide["n"]).unstack("volume")[list(CLASSES)]  # noqa: PD010
    for year, share in of_year.items():
        by_class = " ".join(f"{100 * part:.0f}" for part in shares.loc[year])
        yield Figure(f"  {year}: {by_class} by class; all", 100 * float(share), "%")


# Months and jobseekers -----------------------------------------------------------------------------------------------------


def postings() -> Iterator[Figure]:
    frame = read_postings()
    months = sorted(frame["period"].unique())
    for horizon in (6, 12):
        origins = [month for month in months[:-horizon] if month >= FIRST_POSTINGS]
        tally = judge(frame, MONTHLY, origins, horizon)
        yield from beside_naive(f"postings, {horizon} months", tally, (LAST, SEASONAL), floor=MONTHS)


def jobseekers() -> Iterator[Figure]:
    for category, named in FAMILIES.items():
        for width, count in ((3, 87), (5, 209)):
            frame = read_jobseekers(category, width)
            origins = [str(year) for year in range(FIRST_JOBSEEKERS, int(frame["period"].max()))]
            tally = judge(frame, YEARLY, origins, 1)
            yield from beside_naive(f"jobseekers {named} of {count} families, 1 year", tally, (LAST,), floor=JOBS)


def beside_naive(title: str, tally: pd.DataFrame, naive: Sequence[str], floor: float) -> Iterator[Figure]:
    """Tell mean errors beside those of the better naive forecast, at how many origins they are larger, and each origin."""
    found, off = wapes(tally, "origin"), biases(tally, "origin")
    means = found.mean()
    best = str(means[list(naive)].idxmin())
    yield held(f"{title}, ÷ {best}", float(means[OURS] / means[best]), "×", goal=0.95, floor=floor)
    for other in means.index.drop([OURS, best]):
        yield Figure(f"  ÷ {other}", float(means[OURS] / means[other]), "×")
    ratio = found[OURS] / found[best]
    yield Figure(f"  origins of {len(ratio)} with a larger error", float((ratio > 1).mean()) * 100, "%")
    rows = tally[tally["model"] == OURS]
    yield Figure("  interval of 80 % holds", 100 * share_inside(rows), "%")
    middle = coverages(rows, "origin")[OURS]
    yield Figure("    at the median origin", 100 * float(np.median(middle)), "%")
    for origin, value in ratio.items():
        told = f"{best} {found.loc[origin, best]:.3f}, bias {off.loc[origin, best]:+.1%}; ours {off.loc[origin, OURS]:+.1%}"
        yield Figure(f"  {origin}: {told}, holds {100 * middle[origin]:.0f} %", float(value), "×")
