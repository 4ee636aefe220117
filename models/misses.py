"""What came nearest for people whom no course answers: the one rule that keeps the best course from them, and by how much.

Each rule is lifted alone and the search run again: what it finds is open but for that rule. Of several, the nearest miss is the
course worth most to the person; what would make it possible is counted in what the rule counts: kilometres, levels, days.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from models.market import EVERYBODY, Market, lay_out
from models.matching import Laid, find_courses
from models.pairs import Seekers
from models.sight import look

SEATS, NOTHING = "seats", "no_session"
_ANY_LEVEL = 99.0


def _today(people: Seekers, market: Market) -> Seekers:
    return people._replace(ready_day=np.full_like(people.ready_day, market.today))


def _farther(people: Seekers, market: Market) -> Seekers:
    return people._replace(reach=np.maximum(people.reach, np.float32(market.entry.farthest_km)))


def _ready_for(people: Seekers, numbers: pd.Series[int]) -> Seekers:
    """Let everybody hold what these sessions ask."""
    count = len(people.home)
    ends = np.arange(count + 1, dtype=np.int64) * len(numbers)
    return people._replace(ready_ends=ends, ready=np.tile(numbers.to_numpy(dtype=np.int32), count))


LIFTED: Mapping[str, Callable[[Seekers, Market], Seekers]] = {
    "distance": _farther,
    "level": lambda people, _: people._replace(level=np.full_like(people.level, _ANY_LEVEL)),
    "date": _today,
    "public": lambda people, _: people._replace(publics=np.full_like(people.publics, EVERYBODY)),
    "prerequisite": lambda people, market: _ready_for(people, market.courses.loc[market.courses["asks"], "number"]),
    "held": lambda people, _: people._replace(closed_ends=np.zeros_like(people.closed_ends)),
}
"""What a person is taken to be when one rule is lifted."""


def nearest_misses(people: pd.DataFrame, market: Market) -> pd.DataFrame:
    """Say what came nearest for each person. Same rows: nearest_miss, session, and the ``shortfall`` in what the rule counts.

    ``seats`` where a course is open to the person, and only seats are missing; ``no_session`` where nothing would be open if
    any one rule were lifted.
    """
    laid = Laid(*lay_out(people, market, market.entry.farthest_km))
    free, best = np.zeros(len(market.courses)), np.zeros(len(people))
    miss, where = np.full(len(people), NOTHING, dtype=object), np.full(len(people), -1)
    for rule, lift in LIFTED.items():
        found = find_courses(laid._replace(people=lift(laid.people, market)), market, free, 1)
        score = (found.likelihood * found.worth)[:, 0]
        better = (found.session[:, 0] >= 0) & (score > best)
        miss[better], where[better], best[better] = rule, found.session[better, 0], score[better]
    open_now = find_courses(laid, market, free, 1).session[:, 0]
    miss[open_now >= 0], where[open_now >= 0] = SEATS, open_now[open_now >= 0]
    told = people.assign(nearest_miss=pd.array(miss, dtype="str"), session=pd.NA, shortfall=np.nan).astype({"session": "str"})
    seen = np.flatnonzero(where >= 0)
    if len(seen):
        courses = market.courses.iloc[where[seen]].reset_index(drop=True)
        told["session"] = told["session"].mask(where >= 0, pd.Series(courses["session"].to_numpy(), index=told.index[seen]))
        told.loc[told.index[seen], "shortfall"] = _shortfalls(people, laid, seen.astype(np.int64), courses, market, miss[seen])
    return told


def _shortfalls(
    people: pd.DataFrame, laid: Laid, who: np.ndarray, courses: pd.DataFrame, market: Market, rules: np.ndarray
) -> np.ndarray:
    """Say how far each person (at ``who``) is from each course, in what its rule counts; missing where it counts nothing."""
    km = look(people, who, courses, market, pd.Series(dtype="float64"))["distance_km"].to_numpy()
    counted = {
        "distance": km - laid.people.reach[who],
        "level": courses["asked"].to_numpy() - laid.people.level[who],
        "date": laid.people.ready_day[who] - courses["until"].to_numpy(dtype="float64"),
    }
    return np.asarray(np.select([rules == rule for rule in counted], list(counted.values()), np.nan))
