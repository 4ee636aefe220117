"""Why an option ranks where it does, and why that rank may be wrong: codes with weights, told in words when they are read."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from features.params import Section, param

_TOLD = 3
_FAINT = 0.05  # a log ratio that nobody would call a difference
_FORCES = {
    "need": ("need_unmet", "need_covered"),
    "placement": ("placement_high", "placement_low"),
    "cost": ("cost_high", "cost_low"),
    "solvable": ("training_answers", "training_answers_little"),
    "bidders": ("bidders_likely", "bidders_unlikely"),
}


class CaveatParams(Section):
    """From when on a rank is said to be doubtful, and why."""

    border_share: float = param(
        0.1, "openings across the border, of all positions, from which cross-border work is said", unit="share", ge=0.01, le=1
    )
    own_account: float = param(
        0.15, "need met by people who work for themselves from which that is said", unit="share", ge=0.01, le=1
    )
    seasonal_share: float = param(0.3, "seasonal positions, of all, from which they are said", unit="share", ge=0.01, le=1)
    secret_share: float = param(
        0.5, "surveyed projects that are estimated, being secret, from which that is said", unit="share", ge=0.01, le=1
    )
    disagreement: float = param(0.5, "disagreement of sources from which it is said", unit="share", ge=0.01, le=1)
    borrowed: float = param(0.8, "share of an effect that is borrowed from which it is said", unit="share", ge=0.01, le=1)
    fewest: float = param(30.0, "observations below which they are said to be few", unit="observations", ge=1, le=1000)


def tell_reasons(ranked: pd.DataFrame) -> pd.Series[str]:
    """Say why an option ranks where it does: what sets it apart from the median option of its territory, heaviest first."""
    forces = {
        "need": _apart(ranked, (ranked["gap"] / ranked["need"].where(ranked["need"] > 0)).clip(0.0, 1.0)),
        "placement": _apart(ranked, ranked["rate"]),
        "cost": _apart(ranked, ranked["place_eur"]),
        "solvable": _apart(ranked, ranked["solvable"]),
        "bidders": _apart(ranked, 1.0 - ranked["risk"]),
    }
    weights = {_FORCES[name][down]: force * sign for name, force in forces.items() for down, sign in ((0, 1.0), (1, -1.0))}
    return _write(pd.DataFrame(weights), _FAINT, _TOLD)


def _apart(ranked: pd.DataFrame, values: pd.Series[float]) -> pd.Series[float]:
    """Measure how far a value stands from its territory's median, as a log ratio floored at a hundredth."""
    floored = values.astype("float64").fillna(0.0).clip(lower=0.01)
    ratio = floored / floored.groupby(ranked["territory"]).transform("median")
    return pd.Series(np.log(ratio.to_numpy()), index=ranked.index)


def tell_caveats(ranked: pd.DataFrame, params: CaveatParams) -> pd.Series[str]:
    """Say why a rank may be wrong: every reason beyond its threshold, the heaviest first.

    A weight is the share that a threshold is about; of few observations it is 1 − n ÷ ``fewest``. An effect that was refused,
    so that its type's stands for it, that has grade D, or that is assumed, none being measured, weighs 1.
    """
    shares = {
        "cross_border_work": (ranked["border_share"], params.border_share),
        "self_employment": (ranked["own_account"], params.own_account),
        "seasonal_contracts": (ranked["seasonal_share"], params.seasonal_share),
        "estimated_need": (ranked["secret_share"], params.secret_share),
        "sources_disagree": (ranked["disagreement"], params.disagreement),
        "borrowed_effect": (ranked["borrowed"], params.borrowed),
        "few_observations": (1.0 - ranked["n"] / params.fewest, 0.0),
        "effect_refused": (ranked["refused"].astype("float64"), 1.0),
        "effect_assumed": (ranked["assumed"].astype("float64"), 1.0),
        "effect_doubtful": ((ranked["doubts"] == "D").astype("float64"), 1.0),
    }
    return _write(
        pd.DataFrame({code: share.where(share >= least) for code, (share, least) in shares.items()}), 0.0, len(shares)
    )


def _write(weights: pd.DataFrame, above: float, most: int) -> pd.Series[str]:
    """Write the codes of each row with their weights above some, the heaviest first (then by code), so many at most."""
    rounded = weights.astype("float64").round(3).fillna(0.0)
    codes = [str(name) for name in rounded]
    texts = []
    for row in rounded.to_numpy():
        told = [(code, weight) for code, weight in zip(codes, row.tolist(), strict=True) if weight > above]
        texts.append(json.dumps(sorted(told, key=lambda reason: (-reason[1], reason[0]))[:most]))
    return pd.Series(texts, index=weights.index, dtype="str")
