"""What will be needed where hardly an offer is known: what the other sources agree on, spread evenly over the months.

The survey of recruitment projects (BMO) says how many are expected a year in each bassin, by family; studies and hires are
heard beside it, where there are some. Nothing of it says when in the year, and no past tells how far it errs: intervals are
wide, and the grade is C at best.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import norm

from features.build import FeatureParams
from features.contracts import write_estimate
from features.disagreement import CELL, HALF
from features.observation import Observation, agree, leave_out_offers
from features.vocabulary import REGION

KEY = ["territory", "occupation", "period"]
_YEAR = 12  # months
_REACH = float(norm.ppf(0.9))  # the interval is one of 80 %
_LEAST = 0.01  # of a count, below which its logarithm says nothing


def tell_unadvertised(seen: Observation, months: list[str], params: FeatureParams) -> pd.DataFrame:
    """Tell each level what the sources but the offers let expect. One row per territory, occupation, period.

    ``value`` is the lasting recruitments of a year ÷ 12, ``coverage`` 1, so that the need is the same; ``seasonal`` those
    that the survey calls so. With σ the spread of the logarithm of a cell's year, that of a level is the mean of its cells',
    weighed by what they need, as if they all erred together; a month adds the chance of a count, 1 ÷ (value + ½).
    """
    seasonal = seen.survey.occupations[[*CELL, "seasonal"]]
    cells = agree(leave_out_offers(seen, params.observation), params.observation)
    cells = cells.merge(seasonal, on=CELL, how="left", validate="one_to_one")
    levels = _add_up(cells[cells["value"] > 0])
    spread = (levels["spread"] ** 2 + 1 / (levels["value"] + HALF)) ** 0.5
    told = _bounded("need", levels["value"], spread) | _bounded("seasonal", levels["seasonal"], spread)
    wide = levels[["territory", "occupation", "n"]].assign(**told, coverage=1.0, coverage_low=1.0, coverage_high=1.0)
    rows = wide.merge(pd.DataFrame({"period": months}, dtype="str"), how="cross")
    bounds = {"value": rows["need"], "low": rows["need_low"], "high": rows["need_high"], "n": rows["n"]}
    return write_estimate(rows, **bounds, borrowed=1.0, limits=params.grades.limits()).sort_values(KEY, ignore_index=True)


def _bounded(name: str, value: pd.Series[float], spread: pd.Series[float]) -> dict[str, pd.Series[float]]:
    """Bound what lies within a spread of logarithms."""
    return {name: value, f"{name}_low": value * np.exp(-_REACH * spread), f"{name}_high": value * np.exp(_REACH * spread)}


def _add_up(cells: pd.DataFrame) -> pd.DataFrame:
    """Add cells up to bassins, départements and the Region. One row per territory, occupation: value, seasonal (a month), n."""
    spread = np.log(cells["high"].clip(lower=_LEAST) / cells["value"].clip(lower=_LEAST)) / _REACH
    own = cells[CELL].assign(
        value=cells["value"] / _YEAR,
        seasonal=cells["seasonal"].astype("float64").fillna(0.0) / _YEAR,
        n=cells["n"].fillna(0.0),
        pull=cells["value"] / _YEAR * spread,
    )
    levels = [own, own.assign(territory=own["department"]), own.assign(territory=REGION)]
    sums = pd.concat(levels, ignore_index=True).groupby(KEY[:2], as_index=False)[["value", "seasonal", "n", "pull"]].sum()
    return sums.assign(spread=sums["pull"] / sums["value"]).drop(columns="pull")
