"""Effects of an experiment, told again without its control group: LaLonde's training programme (NSW) and the CPS.

Of those whom chance chose, 1,794 dollars more than the others, with an error of 671 (Dehejia and Wahba 1999). Who was
chosen is then set against 15,992 people of the Current Population Survey instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
from joblib import Parallel, delayed, parallel_config
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import SplineTransformer, StandardScaler

from figures import Figure
from models.doubly_robust import ComparisonParams, Crossfit, Sample, crossfit

Numbers = NDArray[np.float64]
Adjust = Callable[[Sample], Mapping[str, Numbers]]
TREATED, FLAGS, NUMBERS, EARNED, OUTCOME = 0, [3, 4, 5, 6], [1, 2, 7, 8], [7, 8], 9
TRUTH, ERROR = 1794.0, 671.0
PARAMS, FEWER = ComparisonParams(splits=9, folds=5), ComparisonParams(splits=3, folds=5)
RESAMPLES, WORKERS = 200, 2
MOST_APART, OFF = 150.0, 0.25


def judge_experiment(tables: Mapping[str, Numbers], adjust: Adjust) -> Iterator[Figure]:
    """Tell the effect by the experiment and without it, beside what others tell; ``adjust`` asks a peer."""
    nsw, cps = tables["nsw"], tables["cps"]
    for what, people in {"NSW": nsw, "CPS": np.concatenate([nsw[nsw[:, TREATED] == 1], cps])}.items():
        sample = sample_of(people)
        fitted = crossfit(sample, PARAMS)
        value, error = effect_of(fitted)
        yield Figure(f"{what}: difference in means", float(np.diff(arm_means(sample))[0]), "$")
        yield Figure(f"{what}: least squares", least_squares(people), "$")
        for name, (told, its_error) in adjust(sample).items():
            yield Figure(f"{what}: DoubleML, {name}, error {its_error:.0f}", told, "$")
        yield Figure(f"{what}: ours, error {error:.0f}", value, "$")
        yield Figure(f"{what}: ours less the experiment, distance", abs(value - TRUTH), "$", ERROR)
        apart = np.std([effect_of(replace(fitted, splits=(split,)))[0] for split in fitted.splits])
        yield Figure(f"{what}: standard deviation of one split beside another", float(apart), "$", MOST_APART)
        yield from _honesty(what, sample)


def _honesty(what: str, sample: Sample) -> Iterator[Figure]:
    """Set the error stated beside the standard deviation over resamples, with as many splits in both."""
    _, error = effect_of(crossfit(sample, FEWER))
    with parallel_config("loky", inner_max_num_threads=1):
        told = Parallel(n_jobs=WORKERS)(delayed(_of_resample)(sample, number) for number in range(RESAMPLES))
    ratio = error / float(np.std(told))
    yield Figure(f"{what}: error stated ÷ standard deviation over {RESAMPLES} resamples", ratio, "×")
    yield Figure(f"{what}: that ratio, off 1 by", abs(ratio - 1), "×", OFF)


def _of_resample(sample: Sample, number: int) -> float:
    """Draw as many of each arm with replacement; who is drawn twice stays one person, so that no part knows another."""
    rng = np.random.default_rng([number, len(sample.design)])
    arms = (np.flatnonzero(sample.treated), np.flatnonzero(~sample.treated))
    rows = np.concatenate([rng.choice(arm, len(arm)) for arm in arms])
    again = Sample.of(sample.design[rows], sample.treated[rows], sample.outcomes[rows], sample.person[rows])
    return effect_of(crossfit(again, FEWER))[0]


def sample_of(people: Numbers) -> Sample:
    """Describe people by bends of their numbers, by flags and by whether they earned nothing, all of one scale."""
    bends = SplineTransformer(5, degree=2, knots="quantile").fit_transform(people[:, NUMBERS])
    nothing = (people[:, EARNED] == 0).astype("float64")
    design = StandardScaler().fit_transform(np.hstack([bends, people[:, FLAGS], nothing]))
    return Sample.of(design, people[:, TREATED] == 1, people[:, OUTCOME])


def effect_of(fitted: Crossfit) -> tuple[float, float]:
    """Give the effect on all who were treated, and its error."""
    told = fitted.all_entrants()
    return float(told.value[0, 0]), float(told.error[0, 0])


def arm_means(sample: Sample) -> list[float]:
    return [float(sample.outcomes[sample.treated == arm].mean()) for arm in (False, True)]


def least_squares(people: Numbers) -> float:
    """Give the coefficient of treatment beside all traits and whether earnings were nothing."""
    given = np.hstack([people[:, :OUTCOME], people[:, EARNED] == 0])
    return float(LinearRegression().fit(given, people[:, OUTCOME]).coef_[TREATED])
