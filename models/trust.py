"""How far an effect may be trusted: what an unobserved confounder could make of it, and what lowers its grade.

Those who entered have a hidden trait more often than people alike who did not: with h the density of the trait among the
first over that among the others, the effect is off by the mean of (h − 1)(Y − μ₀) over the others, and so by no more than

    r · √(variance of h) · σ,        variance of h = exp(δ²) − 1 for a normal trait that lies δ standard deviations higher,

where r² is the share of what is left of the outcome that the trait explains, in whatever way, and σ its standard deviation
(Cauchy and Schwarz; Chernozhukov and others 2022, "Long story short", NBER 30302, bound effects by two numbers like these). The
``strength`` of a trait is r · √(exp(δ²) − 1). ``robustness`` is the strength below which something is left of the effect.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import norm

from features.params import Section, param

_GRADES = ("A", "B", "C", "D")


class TrustParams(Section):
    """What a hidden trait is feared to be, and what lowers a grade by a letter."""

    imbalance: float = param(
        0.5, "a hidden trait is feared to be so much higher among those who enter", unit="standard deviations", ge=0, le=3
    )
    explains: float = param(
        0.04, "share of what is left of an outcome that the hidden trait is feared to explain", unit="share", ge=0, le=1
    )
    smallest_overlap: float = param(
        0.5, "an effect is refused where fewer of those who entered can be compared", unit="share", ge=0, le=1
    )
    fewest_compared: float = param(
        30.0, "an effect is refused where the comparison people are worth fewer", unit="people", ge=2, le=1000
    )
    good_overlap: float = param(0.8, "fewer than these that can be compared lower the grade", unit="share", ge=0, le=1)
    tolerance: float = param(
        0.03,
        "what two designs may differ by, and a placebo from nothing, before chance is looked at",
        unit="probability",
        ge=0,
        le=0.5,
    )
    surely: float = param(0.95, "how sure it must be that they differ by more", unit="share", ge=0.5, le=0.999)

    @property
    def strength(self) -> float:
        """How strong the feared trait is."""
        return float(np.sqrt(self.explains * np.expm1(self.imbalance**2)))


def add_bounds(effects: pd.DataFrame, params: TrustParams, level: float) -> pd.DataFrame:
    """Say what a hidden trait could make of each effect. Same rows, with ``robustness``, ``bound_low`` and ``bound_high``.

    The bounds hold the effect, chance included, as long as the hidden trait is no stronger than the one feared. Refused effects
    have none.
    """
    reach = params.strength * effects["spread"] + norm.ppf(0.5 + level / 2) * effects["error"]
    strength = effects["value"].abs() / effects["spread"].where(effects["spread"] > 0)
    return effects.assign(robustness=strength, bound_low=effects["value"] - reach, bound_high=effects["value"] + reach)


def differs(value: pd.Series[float], error: pd.Series[float], params: TrustParams) -> pd.Series[bool]:
    """Say which differences are surely larger than what is tolerated; one that is not known is not."""
    return value.abs() - params.tolerance > norm.ppf(params.surely) * error


def lower_grades(effects: pd.DataFrame, params: TrustParams) -> pd.DataFrame:
    """Take a letter from a grade for each reason to doubt. Same rows, with ``lowered``: the reasons, joined by ``|``.

    - ``overlap``: too many of those who entered are like nobody else;
    - ``designs``: set against those who were to come and did not, the effect is another;
    - ``control``: those who did not come seem to have an effect too, where there can be none (``designs`` and ``control`` tell
      of the same fault, and take one letter together);
    - ``placebo``: the course seems to change the work of long before it;
    - ``fragile``: the hidden trait that is feared would be enough to make the effect.
    """
    reasons = {
        "overlap": effects["overlap"] < params.good_overlap,
        "designs": effects["designs_differ"],
        "control": effects["control_differs"],
        "placebo": effects["placebo_differs"],
        "fragile": effects["robustness"] < params.strength,
    }
    marks = pd.DataFrame({name: flag.fillna(value=False).astype(bool) for name, flag in reasons.items()})
    counted = marks.assign(control=marks["control"] & ~marks["designs"])
    first = effects["grade"].map({letter: number for number, letter in enumerate(_GRADES)})
    worse = (first + counted.sum(axis=1)).clip(upper=len(_GRADES) - 1)
    letters = worse.map(dict(enumerate(_GRADES))).astype("str").where(effects["grade"].notna())
    told = pd.Series("", index=effects.index, dtype="str")
    for name in marks:
        told = told.mask(marks[name], told.where(told == "", told + "|") + str(name))
    return effects.assign(grade=letters, lowered=told)
