"""Effects by other libraries, run by a Python that has them: ``python effect_peers.py forest sample.npz told.npz``.

``experiment`` writes the data of LaLonde's experiment (package causaldata) to ``told.npz``. ``adjust`` reads one comparison
(``design``, ``treated``, ``outcomes``) and tells the effect on the treated. The others read a comparison of groups: ``design``,
``treated``, ``kind`` (type of course, −1 for those who took none), ``outcomes`` and ``counted`` (rows × months), and
``groups`` (rows × groups of those who entered). They tell ``value``, groups × months. It imports nothing of the project, and
prints the seconds taken once its libraries are loaded.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

PENALTY, FOLDS = 10.0, 5
ROUNDS = {"linear": 9, "forest": 1}
Matrix = NDArray[np.float64]
Told = dict[str, Matrix]
Given = Mapping[str, NDArray[np.generic]]


def write_experiment(given: Given) -> Told:
    """Give those of the experiment and the people of the CPS, a row per person: treated, traits, earnings of 1978."""
    from causaldata import cps_mixtape, nsw_mixtape

    columns = ["treat", "age", "educ", "black", "hisp", "marr", "nodegree", "re74", "re75", "re78"]
    tables = {"nsw": nsw_mixtape, "cps": cps_mixtape}
    return {name: of.load_pandas().data[columns].to_numpy(dtype="float64") for name, of in tables.items()}


def adjust(given: Given) -> Told:
    """Estimate the effect on the treated of one comparison: by models like ours, then by random forests."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    def grown() -> Learners:
        trees = {"n_estimators": 100, "min_samples_leaf": 10, "n_jobs": 2, "random_state": 0}
        return RandomForestRegressor(**trees), RandomForestClassifier(**trees)

    told = {}
    for name, learners in {"linear": linear, "forest": grown}.items():
        model = effect_on_treated(given["design"], given["treated"], given["outcomes"], learners, ROUNDS[name])
        told[name] = np.array([model.coef[0], model.se[0]])
    return told


Learners = tuple[object, object]


def linear() -> Learners:
    """Give a ridge regression and a logistic one, of the penalty that ours have."""
    from sklearn.linear_model import LogisticRegression, Ridge

    return Ridge(alpha=PENALTY), LogisticRegression(C=1 / PENALTY, solver="newton-cholesky")


def effect_on_treated(
    design: Matrix, treated: Matrix, outcome: Matrix, learners: Callable[[], Learners], rounds: int
) -> object:
    """Fit the interactive regression model of DoubleML, for the effect on the treated."""
    from doubleml import DoubleMLData, DoubleMLIRM

    held = DoubleMLData.from_arrays(design, outcome.ravel(), treated.astype("float64"))
    regressor, classifier = learners()
    np.random.seed(0)  # noqa: NPY002  # DoubleML draws its folds from it
    model = DoubleMLIRM(held, regressor, classifier, n_folds=FOLDS, n_rep=rounds, score="ATTE")
    return model.fit()


def compare_each(given: Given) -> Told:
    """Set the entrants of each group against all who took no course: one model per group and month.

    ``gate`` of DoubleML tells of everybody, not of who entered, and asks to which group of courses those without one belong.
    """
    design, treated, groups = given["design"], given["treated"].astype(bool), given["groups"].astype(bool)
    value = np.full((groups.shape[1], given["outcomes"].shape[1]), np.nan)
    for month in range(value.shape[1]):
        known = given["counted"][:, month] > 0
        for group in range(len(value)):
            rows = known & (~treated | groups[:, group])
            if treated[rows].sum() >= 2 * FOLDS:
                outcome = given["outcomes"][rows, month].astype("float64")
                value[group, month] = effect_on_treated(design[rows], treated[rows], outcome, linear, 1).coef[0]
    return {"value": value}


def grow_forest(given: Given) -> Told:
    """Grow a causal forest per month, whose treatments are the types of course; each group has the mean over its entrants."""
    from econml.dml import CausalForestDML

    design, kind, groups = given["design"], given["kind"], given["groups"].astype(bool)
    value = np.full((groups.shape[1], given["outcomes"].shape[1]), np.nan)
    for month in range(value.shape[1]):
        known = given["counted"][:, month] > 0
        regressor, classifier = linear()
        forest = CausalForestDML(
            model_y=regressor,
            model_t=classifier,
            discrete_treatment=True,
            categories=list(np.unique(kind)),
            n_jobs=2,
            random_state=0,
        )
        outcome, weight = given["outcomes"][known, month].astype("float64"), given["counted"][known, month]
        forest.fit(outcome, kind[known], X=design[known], sample_weight=weight)
        effects = forest.const_marginal_effect(design).reshape(len(design), -1)  # of each type beside none
        own = effects[np.arange(len(kind)), np.maximum(np.searchsorted(np.unique(kind), kind) - 1, 0)]
        inside = groups & known[:, None]
        value[:, month] = (inside.T @ own) / np.maximum(inside.sum(axis=0), 1)
    return {"value": value}


TASKS: dict[str, Callable[[Given], Told]] = {
    "experiment": write_experiment,
    "adjust": adjust,
    "irm": compare_each,
    "forest": grow_forest,
}


def warm(task: str) -> None:
    """Load what a task needs, before its seconds count."""
    import doubleml  # noqa: F401
    import sklearn.ensemble  # noqa: F401

    if task == "forest":
        import econml.dml  # noqa: F401


if __name__ == "__main__":
    warm(sys.argv[1])
    held = dict(np.load(sys.argv[2])) if sys.argv[1] != "experiment" else {}
    start = time.perf_counter()
    told = TASKS[sys.argv[1]](held)
    print(time.perf_counter() - start)
    np.savez(sys.argv[3], **told)
