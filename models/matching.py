"""Which course for whom: the courses a person may enter, the nearest that fit first, while there are seats.

What is forbidden is forbidden exactly (:func:`_barriers`); what only weighs is in the score. A session is proposed no
more often than its seats can bear: the proposal of rank r is taken up with probability u·(1 − u)^(r−1).
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics.pairwise import haversine_distances

from features.params import Section, param
from features.vocabulary import PUBLICS

EARTH_KM = 6371.0088
BARRIERS = ("public", "level", "date", "distance")
Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.float64]


class MatchingParams(Section):
    """How courses are proposed."""

    recommendations: int = param(10, "courses proposed to a person at most", unit="courses", ge=1, le=10)
    candidates: int = param(40, "courses looked at for each person", unit="courses", ge=10, le=500)
    uptake: float = param(
        0.5, "probability that a proposal is taken up when those before it were not", unit="share", ge=0.05, le=0.95
    )
    default_mobility_km: float = param(30.0, "travel accepted by a person who did not say", unit="km", ge=0, le=300)
    same_family: float = param(0.6, "fit of a course for an occupation near the wanted one", unit="score", ge=0, le=1)
    other: float = param(0.2, "fit of a course for any other occupation", unit="score", ge=0, le=1)


@dataclass(frozen=True)
class Candidates:
    """What people could be proposed: ``pairs`` has one row per person, session; ``shut`` one per person without any."""

    pairs: pd.DataFrame
    shut: pd.DataFrame


def find_candidates(people: pd.DataFrame, courses: pd.DataFrame, as_of: pd.Timestamp, params: MatchingParams) -> Candidates:
    """Find the courses each person may enter, best first. A territory's people need no other territory's."""
    served = people[~people["opposition"].fillna(False).astype(bool)].reset_index(drop=True)
    if served.empty or courses.empty:
        return Candidates(_no_pairs(), served.assign(nearest_miss="no_session"))
    starts = _entry_dates(served, courses, as_of)
    distance = _distances(served, courses)
    barriers = _barriers(served, courses, starts, distance, as_of, params)
    open_to = ~np.logical_or.reduce(list(barriers.values()))
    fit = _fits(served, courses, params)
    score = np.where(open_to, fit / (1.0 + distance / 10.0), -1.0)
    best = np.argsort(-score, axis=1, kind="stable")[:, : params.candidates]
    rows, ranks = np.nonzero(np.take_along_axis(score, best, axis=1) > 0)
    columns = best[rows, ranks]
    pairs = pd.DataFrame(
        {
            "person": served["person"].to_numpy()[rows],
            "priority": served["priority"].to_numpy()[rows],
            "session": courses["session"].to_numpy()[columns],
            "score": score[rows, columns].round(6),
            "distance_km": distance[rows, columns].round(2),
            "starts": starts[rows, columns],
            "ends": courses["ends"].to_numpy()[columns],
            "fit": fit[rows, columns],
            "level_unknown": served["level"].isna().to_numpy()[rows] & _binding(courses)[columns],
        }
    )
    alone = ~open_to.any(axis=1)
    return Candidates(pairs, served[alone].assign(nearest_miss=_nearest_misses({k: v[alone] for k, v in barriers.items()})))


def _no_pairs() -> pd.DataFrame:
    """Give the table of pairs without a row."""
    texts, numbers = dict.fromkeys(("person", "session"), "str"), dict.fromkeys(("score", "distance_km", "fit"), "float64")
    kinds = {**texts, **numbers, "priority": "int64", "level_unknown": "bool"}
    days = dict.fromkeys(("starts", "ends"), "datetime64[us]")
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in {**kinds, **days}.items()})


def _entry_dates(people: pd.DataFrame, courses: pd.DataFrame, as_of: pd.Timestamp) -> npt.NDArray[np.datetime64]:
    """Say when each person could enter each course: its start, or with permanent entries the first day the person can."""
    ready = people["available"].fillna(as_of).to_numpy()[:, None]
    start = courses["starts"].to_numpy()[None, :]
    tomorrow = np.datetime64(as_of + pd.Timedelta(days=1))
    rolling = np.fmax(np.fmax(start, tomorrow), ready)
    return np.where(courses["permanent"].fillna(False).to_numpy(dtype=bool)[None, :], rolling, start)


def _distances(people: pd.DataFrame, courses: pd.DataFrame) -> Numbers:
    """Great-circle distance from each home commune to each place, in km; infinite where the home is unknown."""
    homes = np.radians(people[["latitude", "longitude"]].to_numpy(dtype="float64"))
    places = np.radians(courses[["latitude", "longitude"]].to_numpy(dtype="float64"))
    known = ~np.isnan(homes).any(axis=1)
    unique, index = np.unique(np.nan_to_num(homes), axis=0, return_inverse=True)
    distance: Numbers = haversine_distances(unique, places)[index] * EARTH_KM
    return np.where(known[:, None], distance, np.inf)


def _barriers(
    people: pd.DataFrame,
    courses: pd.DataFrame,
    starts: npt.NDArray[np.datetime64],
    distance: Numbers,
    as_of: pd.Timestamp,
    params: MatchingParams,
) -> dict[str, Flags]:
    """Say what stands between each person and each course. A level that is unknown passes, to be checked."""
    level = people["level"].astype("float64").to_numpy()[:, None]
    asked = courses["entry_level"].astype("float64").to_numpy()[None, :]
    ready = people["available"].fillna(as_of).to_numpy()[:, None]
    ends = courses["ends"].to_numpy()[None, :]
    reach = people["mobility_km"].fillna(params.default_mobility_km).to_numpy(dtype="float64")[:, None]
    on_time = (starts > np.datetime64(as_of)) & (starts >= ready) & ~(ends < starts)
    return {
        "public": ~_admitted(people, courses),
        "level": _binding(courses)[None, :] & (level < asked),
        "date": ~on_time,
        "distance": ~(distance <= reach),
    }


def _binding(courses: pd.DataFrame) -> Flags:
    """Say which courses ask an entry level that binds."""
    return courses["entry_level_binds"].fillna(False).to_numpy(dtype=bool) & courses["entry_level"].notna().to_numpy(dtype=bool)


def _admitted(people: pd.DataFrame, courses: pd.DataFrame) -> Flags:
    """Say whose publics each course is for; a course that names none is for all, one for others only is for nobody here."""
    named = courses["publics"].fillna("")
    wanted = named.str.get_dummies("|").reindex(columns=list(PUBLICS), fill_value=0).to_numpy(dtype=np.int64)
    belongs = people[list(PUBLICS)].to_numpy(dtype=np.int64)
    admitted: Flags = (belongs @ wanted.T > 0) | (named == "").to_numpy()[None, :]
    return admitted


def _fits(people: pd.DataFrame, courses: pd.DataFrame, params: MatchingParams) -> Numbers:
    """Score how a course answers what a person wants: 1 the same occupation, less the same family (``N11``), else little."""
    codes = courses["occupations"].fillna("").str.get_dummies("|")
    families = codes.T.groupby(codes.columns.str[:3]).max().T
    fit = np.full((len(people), len(courses)), params.other)
    for wanted in ("wanted", "wanted_2"):
        near = families.reindex(columns=people[wanted].str[:3], fill_value=0).to_numpy(dtype=bool).T
        same = codes.reindex(columns=people[wanted], fill_value=0).to_numpy(dtype=bool).T
        fit = np.maximum(fit, np.where(same, 1.0, np.where(near, params.same_family, 0.0)))
    return fit


def _nearest_misses(barriers: dict[str, Flags]) -> list[str]:
    """Name for each person the one barrier whose lifting alone would open a course, else ``no_session``."""
    count = len(next(iter(barriers.values())))
    misses = np.full(count, "no_session", dtype=object)
    for name in BARRIERS:
        others = np.logical_or.reduce([flags for other, flags in barriers.items() if other != name])
        misses[(~others).any(axis=1)] = name
    return [str(miss) for miss in misses]


def share_seats(pairs: pd.DataFrame, seats: pd.Series[float], params: MatchingParams) -> pd.DataFrame:
    """Propose courses while their seats can bear it. One row per person, rank: 1…``recommendations`` without gaps.

    In each round everybody, those with most public priorities first, takes the best of the remaining candidates whose
    expected load stays within its seats; one that was full when a person's turn came is not looked at again for that person.
    """
    order = pairs.sort_values(
        ["priority", "person", "score", "session"], ascending=[False, True, False, True], ignore_index=True
    )
    sessions, codes = np.unique(order["session"].to_numpy(dtype=object), return_inverse=True)
    left = seats.reindex(sessions).fillna(0.0).to_numpy(dtype="float64").copy()
    first = order["person"].ne(order["person"].shift()).to_numpy()
    starts = np.flatnonzero(first).tolist()
    ends = [*starts[1:], len(order)] if starts else []
    loads = [params.uptake * (1 - params.uptake) ** step for step in range(params.recommendations)]
    rank = np.zeros(len(order), dtype=np.int64)
    cursor = list(starts)
    given = [0] * len(cursor)
    for _ in range(params.recommendations):
        for who, end in enumerate(ends):
            at = cursor[who]
            while at < end and left[codes[at]] < loads[given[who]]:
                at += 1
            if at < end:
                left[codes[at]] -= loads[given[who]]
                given[who] += 1
                rank[at] = given[who]
            cursor[who] = at + 1
    return order.assign(rank=rank)[rank > 0].sort_values(["person", "rank"], ignore_index=True)


def session_loads(proposed: pd.DataFrame, courses: pd.DataFrame, params: MatchingParams) -> pd.DataFrame:
    """Add up what is expected of each session. One row per session: seats, expected_load; no price is set yet."""
    load = proposed.assign(load=params.uptake * (1 - params.uptake) ** (proposed["rank"].astype("float64") - 1))
    loads = load.groupby("session")["load"].sum()
    frame = courses[["session", "seats"]].assign(expected_load=courses["session"].map(loads).astype("float64").fillna(0.0))
    return frame.sort_values("session", ignore_index=True)


def tell_recommendations(proposed: pd.DataFrame, loads: pd.DataFrame) -> pd.DataFrame:
    """Write the recommendations with their reasons and the seats left. One row per person, rank.

    ``expected_gain`` stays empty until the effects of training are estimated; a pathway is a single course so far.
    """
    left = (loads.set_index("session")["seats"].astype("float64") - loads.set_index("session")["expected_load"]).clip(lower=0.0)
    return proposed.assign(
        seats_left=np.floor(proposed["session"].map(left).astype("float64")),
        reasons=_reasons(proposed),
        expected_gain=np.nan,
        step=1,
        **{name: pd.to_datetime(proposed[name]).dt.strftime("%Y-%m-%d") for name in ("starts", "ends")},
    ).drop(columns=["fit", "priority", "level_unknown"])


def _reasons(proposed: pd.DataFrame) -> list[str]:
    """Say why each course is proposed, as codes with weights, heaviest first."""
    told = []
    for fit, distance, priority, unknown in zip(
        proposed["fit"], proposed["distance_km"], proposed["priority"], proposed["level_unknown"], strict=True
    ):
        reasons = [("wanted_occupation" if fit >= 1 else "near_occupation", round(float(fit), 3))] if fit > 0.5 else []
        reasons.append(("close_to_home", 0.5) if distance <= 15 else ("far_but_reachable", 0.1))
        reasons += [("entry_level_to_check", 0.3)] if unknown else [("priority_public", 0.2)] if priority else []
        told.append(json.dumps(sorted(reasons, key=lambda reason: (-reason[1], reason[0]))[:3]))
    return told
