"""What a purchase taught: each of its lots, and all of them together, predicted beside obtained.

Predicted is what could be said when the lots were bought: the chain of seats of the type (:func:`features.seats.seat_chain`,
with what was known then) and what its courses promised to add. Obtained is what became of them. A difference is beyond chance
where fewer than one in twenty lots that go as predicted would lie as far from it: of two hundred lots, ten do by chance alone.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binom

LOT = ["lot", "exercise"]
STEPS = ("run", "fill", "completion", "certified")
_IN_CHAIN = {"certified": "certification"}
ABOVE, BELOW, AS_PREDICTED = "above", "below", "as_predicted"
_CHANCE = 0.05
_PEOPLE = ("fill", "completion", "certified", "work_6", "durable_12")
Numbers = NDArray[np.float64]


def compare_lots(followed: pd.DataFrame, chain: pd.DataFrame, scores: pd.DataFrame, smallest: float) -> pd.DataFrame:
    """Set what lots obtained beside what was predicted. One row per lot and exercise.

    ``run`` (places run ÷ bought), ``fill`` (entries ÷ places run), ``completion`` and ``certified`` each stand beside
    ``…_predicted`` and ``…_apart`` (above, below, as_predicted; missing where either is not known). ``jobs_predicted`` is what
    the courses of the lot promised to add for those who entered, ``jobs`` with its interval what they added. Whatever tells of
    fewer than ``smallest`` people is missing. ``chain`` has one row per action_type; ``scores`` are those of lots.
    """
    lots = followed.assign(
        fill=(followed["entries"] / followed["run"].where(followed["run"] > 0)).clip(upper=1.0),
        fill_n=followed["run"],
        run=(followed["run"] / followed["bought"].where(followed["bought"] > 0)).clip(upper=1.0),
        run_n=followed["bought"].fillna(0.0),
        places_run=followed["run"],
    )
    told = _with_jobs(_with_predictions(_hidden(lots, smallest), chain), scores)
    return told.assign(**{f"{step}_apart": _apart(told, step) for step in STEPS}, jobs_apart=_apart_of_jobs(told))


def _hidden(lots: pd.DataFrame, smallest: float) -> pd.DataFrame:
    """Blank what tells of too few people; what is told of seats alone stays. Same rows."""
    few = {name: lots["entries" if name == "fill" else f"{name}_n"] < smallest for name in _PEOPLE}
    blank = {name: lots[name].mask(few[name]) for name in _PEOPLE}
    counts = {f"{name}_n": lots[f"{name}_n"].mask(few[name]) for name in _PEOPLE if name != "fill"}
    return lots.assign(**blank, **counts, entries=lots["entries"].mask(few["fill"]))


def _with_predictions(lots: pd.DataFrame, chain: pd.DataFrame) -> pd.DataFrame:
    """Say how far a seat of the type was expected to get; missing where nothing had been measured. Same rows."""
    names = {f"{told}{end}": f"{step}{end}" for step, told in _IN_CHAIN.items() for end in ("", "_n")}
    steps = chain.rename(columns=names).set_index("action_type")
    measured = {step: float(steps[f"{step}_n"].iloc[0]) > 0 for step in STEPS}
    # A type that leads to no certificate has nothing to predict.
    known = {step: steps[step].where(steps[step] > 0) if measured[step] else steps[step] * np.nan for step in STEPS}
    return lots.assign(**{f"{step}_predicted": lots["action_type"].map(known[step]) for step in STEPS})


def _with_jobs(lots: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """Count the jobs that those who entered were promised, and those that training added for them. Same rows."""
    own = scores[scores["kind"] == "lot"].rename(columns={"code": "lot"})[
        ["lot", "action_type", "promised", "value", "low", "high"]
    ]
    found = lots[["lot", "action_type"]].merge(own, on=["lot", "action_type"], how="left", validate="many_to_one")
    names = {"promised": "jobs_predicted", "value": "jobs", "low": "jobs_low", "high": "jobs_high"}
    return lots.assign(**{jobs: lots["entries"] * found[name].to_numpy() for name, jobs in names.items()})


def _apart(lots: pd.DataFrame, step: str) -> pd.Series[str]:
    """Say on which side of what was predicted a share lies, beyond what chance does to so many. Same rows."""
    known = (lots[step].notna() & lots[f"{step}_predicted"].notna() & (lots[f"{step}_n"] > 0)).to_numpy()
    n = np.round(lots[f"{step}_n"].to_numpy(dtype="float64", na_value=0.0))
    k = np.round(lots[step].to_numpy(dtype="float64", na_value=0.0) * n)
    side = _side(k, n, lots[f"{step}_predicted"].to_numpy(dtype="float64", na_value=0.5))
    return pd.Series(np.where(known, side, ""), index=lots.index, dtype="str")


def _side(k: Numbers, n: Numbers, share: Numbers) -> NDArray[np.str_]:
    """Say whether k of n is more or less than chance makes of a share; a tail each side."""
    above, below = binom.sf(k - 1, n, share) < _CHANCE / 2, binom.cdf(k, n, share) < _CHANCE / 2
    return np.select([above, below], [ABOVE, BELOW], AS_PREDICTED)


def _apart_of_jobs(lots: pd.DataFrame) -> pd.Series[str]:
    """Say on which side of what was promised the jobs added lie, interval and all. Same rows."""
    known = lots["jobs"].notna() & lots["jobs_predicted"].notna()
    above, below = lots["jobs_low"] > lots["jobs_predicted"], lots["jobs_high"] < lots["jobs_predicted"]
    return pd.Series(np.select([~known, above, below], ["", ABOVE, BELOW], AS_PREDICTED), index=lots.index, dtype="str")


def sum_up(lots: pd.DataFrame) -> dict[str, float]:
    """Add lots up: what was predicted and obtained of all that are told. One number per name.

    Shares are of all places, entries or people of the lots of which both are known; ``jobs`` those of the lots that are told.
    """
    sums: dict[str, float] = {"lots": len(lots), "unsuccessful": float((lots["bids"] == 0).sum())}
    for step in STEPS:
        both = lots[lots[step].notna() & lots[f"{step}_predicted"].notna()]
        total = max(float(both[f"{step}_n"].sum()), 1e-9)
        for name in (step, f"{step}_predicted"):
            sums[name] = float((both[name] * both[f"{step}_n"]).sum()) / total if len(both) else float("nan")
    both = lots[lots["jobs"].notna()]
    return sums | {name: float(both[name].sum()) for name in ("jobs", "jobs_predicted")} | {"scored": len(both)}
