"""What past purchases taught: each lot and each provider held against the effect that its type promised, beside its raw rate.

A raw rate says whom a course let in as much as what it taught; what is scored is the gain beyond people alike. A lot leans on
what its courses promised, by as much as lots turned out to differ. Lots of fewer trainees than the smallest cell are not told,
and providers are ranked on no fewer.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import norm

from features.contracts import GradeLimits, write_estimate
from models.shrinkage import Estimates, lean

LOT, PROVIDER = "lot", "provider"
_REACH = float(norm.ppf(0.9))


def score_courses(gains: pd.DataFrame, lots: pd.DataFrame, limits: GradeLimits, smallest: float) -> pd.DataFrame:
    """Score what was bought. One row per kind (``lot``, ``provider``), code and action_type: est. of what an entry added.

    ``raw_rate`` is the share in durable work, ``promised`` the effect of the courses held, ``beyond`` what was added less what
    was promised, before it leans on that; ``rank`` orders the providers of a type, 1 the one that adds most beyond its promise.
    ``gains`` has one row per entrant, ``lots`` one per lot: lot, provider.
    """
    provider = lots.dropna(subset=["provider"]).drop_duplicates("lot", keep="last").set_index("lot")["provider"]
    known = gains[gains["promised"].notna()]
    told = known.assign(provider=known["lot"].map(provider))
    parts = [_score(told.rename(columns={kind: "code"}), kind, limits, smallest) for kind in (LOT, PROVIDER)]
    return _with_ranks(pd.concat(parts, ignore_index=True)).sort_values(["kind", "code", "action_type"], ignore_index=True)


def _score(gains: pd.DataFrame, kind: str, limits: GradeLimits, smallest: float) -> pd.DataFrame:
    """Score one kind of group. One row per code and action_type of at least ``smallest`` entrants."""
    groups = gains[gains["code"].notna()].assign(beyond=lambda t: t["gain"] - t["promised"]).groupby(["code", "action_type"])
    means = (
        groups[["reached", "gain", "promised", "promised_error", "beyond"]]
        .mean()
        .assign(n=groups.size(), spread=groups["gain"].std())
    )
    rows = means[means["n"] >= smallest].reset_index()
    error = (rows["spread"].fillna(0.5) / np.sqrt(rows["n"])).clip(lower=1e-3)
    own = Estimates.raw(rows[["beyond"]].to_numpy(), error.to_numpy()[:, None])
    none = Estimates.raw(np.zeros((len(rows), 1)), np.zeros((len(rows), 1)))
    leaning = lean(own, none, np.asarray(pd.factorize(rows["action_type"])[0], dtype=np.int64))
    value = rows["promised"] + leaning.value[:, 0]
    reach = _REACH * np.hypot(leaning.error[:, 0], rows["promised_error"])
    named = rows.rename(columns={"reached": "raw_rate"})[["code", "action_type", "raw_rate", "promised", "beyond"]]
    borrowed = pd.Series(leaning.borrowed[:, 0], index=rows.index)
    scored = write_estimate(
        named, value=value, low=value - reach, high=value + reach, n=rows["n"], borrowed=borrowed, limits=limits
    )
    return scored.assign(kind=kind)


def _with_ranks(scored: pd.DataFrame) -> pd.DataFrame:
    """Rank providers within a type by what they add beyond their promise. Same rows; lots have no rank."""
    leaned = (scored["value"] - scored["promised"]).where(scored["kind"] == PROVIDER)
    return scored.assign(rank=leaned.groupby(scored["action_type"]).rank(ascending=False, method="min").astype("Int64"))
