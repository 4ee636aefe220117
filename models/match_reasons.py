"""Why a course suits a person, and what speaks against it: codes with weights, told in words when they are read.

A weight says how much a part moves the score against that of a usual course, as a log ratio; together they are the whole way:

    Σ forces = ln(score ÷ usual score)

What is usual is stated (:class:`ReasonParams`) and not taken from those who are told of: what is told to one person is the same
whoever else is served. Beside these forces two things are told that are no part of the score: an entry level that nobody knows
the person to hold, and a seat that others ask for.
"""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.params import Section, param
from models.likelihood import LikelihoodParams
from models.market import Market
from models.pairs import Long

Reals = NDArray[np.float64]
TOLD = 3
_CHUNK = 250_000  # rows told at once: what is held meanwhile stays small
_HUNDREDTHS = 100
_LARGEST = 2_000  # hundredths: e²⁰ is as much as anything can be told apart
_LEAST = 1e-9
_FARTHEST = 1e6  # km: from no known home a course is this far
_READ = (
    "distance_km",
    "near",
    "wish",
    "fit",
    "show",
    "long",
    "paid",
    "wait",
    "allowance",
    "effect",
    "need",
    "gain",
    "weight",
    "price",
)

FOR = {
    "wish": "wanted_occupation",
    "skills": "skills_held",
    "road": "close_to_home",
    "effect": "adds_much",
    "need": "needed_here",
    "move": "suits_person",
    "wait": "starts_soon",
    "long": "short_course",
    "show": "often_entered",
    "weight": "priority_public",
}
AGAINST = {
    "wish": "other_occupation",
    "road": "far",
    "licence": "far_without_licence",
    "effect": "adds_little",
    "need": "few_needed",
    "move": "suits_person_less",
    "wait": "starts_late",
    "long": "long_course",
    "show": "seldom_entered",
    "paid": "self_paid",
    "allowance": "after_allowance",
    "unknown_level": "entry_level_to_check",
    "contested": "contested_seat",
}
NEAR_WISH = "near_occupation"
"""What is said for the wish where the course leads to an occupation near the wanted one, or to the last."""
REASONS, CAUTIONS = (*FOR.values(), NEAR_WISH), tuple(AGAINST.values())


class ReasonParams(Section):
    """What is usual, so that a course may be said to be near, soon or long."""

    distance_km: float = param(15.0, "usual distance, for who has a licence", unit="km", ge=0, le=300)
    wait_days: float = param(90.0, "usual wait before a course starts", unit="days", ge=0, le=1000)
    months: float = param(4.0, "usual length of a course", unit="months", ge=0, le=60)
    fit: float = param(0.3, "usual fit of a course to what is wanted", unit="score", ge=0.01, le=1)
    gain: float = param(0.05, "what a course usually adds", unit="jobs", ge=1e-4, le=1)
    least_gain: float = param(0.002, "less than this added is told as this", unit="jobs", ge=1e-6, le=1)
    unknown_level: float = param(
        0.5, "an entry level to check is told as if it left this much of the likelihood", unit="share", ge=0.01, le=1
    )
    faint: float = param(0.05, "a log ratio that nobody would call a difference", unit="log ratio", ge=0, le=2)


def wish_of(people: pd.DataFrame, who: Long, aims: Long, market: Market) -> Reals:
    """Say how the aim of each row answers what the person of the row wants or did: the fit before skills count."""
    named = market.codes.occupations
    numbers = {name: named.get_indexer(pd.Index(people[name])) for name in ("wanted", "wanted_2", "last_occupation")}
    first, second, last = (np.where(at < 0, len(named), at)[who] for at in numbers.values())  # the last row: none is named
    tastes = market.tastes
    wanted = np.maximum(tastes.wanted[first, aims], tastes.wanted[second, aims])
    return np.maximum(wanted, tastes.last[last, aims]).astype("float64")


def explain(told: pd.DataFrame, people: pd.DataFrame, market: Market, usual: ReasonParams) -> pd.DataFrame:
    """Say why each course of lists (:func:`models.matching.tell_lists`), and why not. Same rows, as :func:`tell_why`."""
    aims = market.courses["aim"].to_numpy(dtype=np.int64)[told["course"].to_numpy(dtype=np.int64)]
    wish = wish_of(people, told["who"].to_numpy(dtype=np.int64), aims, market)
    return tell_why(told.assign(wish=wish), market.likelihood, usual)


def tell_why(told: pd.DataFrame, likelihood: LikelihoodParams, usual: ReasonParams) -> pd.DataFrame:
    """Say what speaks for each course, and what against it or must be checked. Same rows: ``reasons`` and ``why_not``.

    Three codes with their weights at most, the heaviest first. ``told`` as :func:`models.sight.look` tells, and ``wish``.
    """
    texts: dict[str, list[pa.StringArray]] = {"reasons": [], "why_not": []}
    for start in range(0, max(len(told), 1), _CHUNK):  # part by part: what a row is told does not depend on the others
        rows = told.iloc[start : start + _CHUNK]
        weighed = forces(rows, likelihood, usual)
        wanted = rows["wish"].to_numpy() >= 1.0
        speaking = {code: weighed[part] for part, code in FOR.items()}
        speaking[NEAR_WISH] = np.where(wanted, 0.0, weighed["wish"])
        speaking[FOR["wish"]] = np.where(wanted, weighed["wish"], 0.0)
        texts["reasons"].append(_write(speaking, usual.faint))
        texts["why_not"].append(_write({code: -weighed[part] for part, code in AGAINST.items()}, usual.faint))
    written: pd.DataFrame = pa.table({name: pa.chunked_array(parts) for name, parts in texts.items()}).to_pandas()
    return written.set_axis(told.index)


def forces(told: pd.DataFrame, likelihood: LikelihoodParams, usual: ReasonParams) -> dict[str, Reals]:
    """Say how each part moves the score of a course against the usual one: log ratios by part, one element per row.

    Two more are no part of the score: ``unknown_level``, and ``contested``: −ln(1 + price ÷ usual score).
    """
    parts = {name: told[name].to_numpy(dtype="float64") for name in _READ}
    effect, need = np.maximum(parts["effect"], usual.least_gain), np.maximum(parts["need"], _LEAST)
    far = np.minimum(parts["distance_km"], _FARTHEST)
    by_car = np.maximum(np.exp(-far * likelihood.detour / likelihood.travel_km), _LEAST)
    ratios = {
        "wish": parts["wish"] / usual.fit,
        "skills": parts["fit"] / parts["wish"],
        "road": by_car / float(np.exp(-usual.distance_km * likelihood.detour / likelihood.travel_km)),
        "licence": np.maximum(parts["near"], _LEAST) / by_car,
        "effect": effect / usual.gain,
        "need": need,
        "move": parts["gain"] / (effect * need),
        "wait": parts["wait"] / float(np.exp(-usual.wait_days / likelihood.wait_days)),
        "long": parts["long"] / float(np.exp(-usual.months / likelihood.patience_months)),
        "show": parts["show"] / likelihood.usual_show,
        "paid": parts["paid"],
        "allowance": parts["allowance"],
        "weight": parts["weight"],
        "unknown_level": np.where(told["level_unknown"].to_numpy(), usual.unknown_level, 1.0),
        "contested": 1.0 / (1.0 + parts["price"] / usual_score(likelihood, usual)),
    }
    return {name: np.log(np.maximum(ratio, _LEAST)) for name, ratio in ratios.items()}


def usual_score(likelihood: LikelihoodParams, usual: ReasonParams) -> float:
    """Give the score of a usual course: what forces are measured from."""
    tastes = usual.distance_km * likelihood.detour / likelihood.travel_km + usual.wait_days / likelihood.wait_days
    return float(likelihood.usual_show * usual.fit * usual.gain * np.exp(-tastes - usual.months / likelihood.patience_months))


def _write(weights: dict[str, Reals], faint: float) -> pa.StringArray:
    """Write the heaviest codes of each row with their weights, then by name."""
    names = sorted(weights)
    hundredths = np.rint(np.stack([weights[name] for name in names], axis=1) * _HUNDREDTHS)
    hundredths = np.clip(hundredths, 0, _LARGEST).astype(np.int64)
    hundredths[hundredths <= faint * _HUNDREDTHS] = 0
    order = np.argsort(-hundredths, axis=1, kind="stable")[:, :TOLD]
    heaviest = np.take_along_axis(hundredths, order, axis=1)
    tokens, which = np.unique(order * (_LARGEST + 1) + heaviest, return_inverse=True)
    pairs = zip(*(part.tolist() for part in np.divmod(tokens, _LARGEST + 1)), strict=True)
    first = [f"[{json.dumps(names[code])}, {weight / _HUNDREDTHS!r}]" if weight else "" for code, weight in pairs]
    others = [text and f", {text}" for text in first]
    told = [
        pa.array(first if not rank else others, pa.string()).take(pa.array(column))
        for rank, column in enumerate(which.reshape(order.shape).T)
    ]
    return pc.binary_join_element_wise("[", *told, "]", "")
