"""Pathways of one person, told step by step: to the occupation wanted and to those near it, or why there is none.

The search is that of everybody (:mod:`models.pathway_search`); each step is then told anew by the rules of one person and one
course (:mod:`models.sight`), the person being as he or she would be by then.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from models.market import Market
from models.pairs import FAR, Flags, Long, Whole
from models.pathway_search import NONE, Begun, Ladder
from models.pathways import ARROW, Stairs, Tied, find
from models.sight import BARRIERS, look

WANTED, ANY = "wanted", "any"
NO_COURSE, TAKEN = "offer", "seats"
"""Barriers that no pair has: nothing leads there; seats are worth more to others than to this person."""
_SURENESS = ("near", "evolution", "domain")
_TELLS = [
    "session",
    "distance_km",
    "starts",
    "ends",
    "gain",
    "likelihood",
    "weight",
    "score",
    "price",
    "net",
    *BARRIERS,
    "open",
]
_TELLS += ["near", "fit", "wait", "allowance"]


class Pathways(NamedTuple):
    """What can be said to a person; ``kind`` says why an occupation is told of: wanted, near, evolution, domain.

    ``steps``: one row per target, pathway, step: what :func:`models.sight.look` tells, gap_days (since the step before),
    wait_days (before the first), level_before, level_after, ``reach`` (chance to get so far) and ``worth`` (reach × net).
    ``totals``: one row per target, pathway (1: the best): path, steps, starts, ends, wait_days, gap_days, jobs (Σ reach ×
    score), worth (Σ worth), arrives (chance to go through with the last step).
    ``unreachable``: one row per target without any: the session nearest to being open, its barriers (joined by ``|``) and what
    would open it: level, asked (codes), distance_km, until.
    """

    steps: pd.DataFrame
    totals: pd.DataFrame
    unreachable: pd.DataFrame


def find_pathways(
    person: pd.DataFrame, stairs: Stairs, prices: pd.Series[float], moves: pd.DataFrame, demand: pd.Series[float] | None = None
) -> Pathways:
    """Find the pathways of a person (one row) to the occupation wanted and to its neighbours.

    ``moves`` as the market takes them; ``demand`` by occupation decides between neighbours of the same kind.
    """
    first = _first_steps(person, stairs, prices)
    paths, barred = [], []
    for target, kind in targets_of(person, moves, demand, stairs.params.neighbours):
        leading = _leading(stairs.market, target)
        found = _best(person, stairs, prices, first, leading)
        paths += [(target, kind, number, path) for number, path in enumerate(found, start=1)]
        barred += [] if found else [_why_not(person, stairs, prices, target).assign(kind=kind)]
    steps = _tell(person, stairs, prices, paths)
    return Pathways(steps, _sum_up(steps), pd.concat([_NOBODY, *barred], ignore_index=True))


def targets_of(
    person: pd.DataFrame, moves: pd.DataFrame, demand: pd.Series[float] | None, neighbours: int
) -> list[tuple[str, str]]:
    """Name the occupation wanted and those near it, the surest first, and why. A person who wants none gets one answer: any."""
    wanted = person["wanted"].iloc[0]
    if pd.isna(wanted):
        return [("", ANY)]
    near = moves[(moves["occupation"] == wanted) & moves["kind"].isin(_SURENESS)]
    asked = near["target"].map(demand if demand is not None else {}).astype("float64").fillna(0.0)
    order = np.lexsort((near["target"].to_numpy(str), -asked.to_numpy(), near["kind"].map(_SURENESS.index).to_numpy(int)))
    chosen = near.iloc[order].drop_duplicates("target").head(neighbours)
    return [(str(wanted), WANTED), *zip(chosen["target"], chosen["kind"], strict=True)]


def _leading(market: Market, target: str) -> Flags:
    """Say which aims have the target among their occupations; all of them where there is no target."""
    aimed = np.full(market.tastes.wanted.shape[1], target == "")
    aimed[market.courses.loc[_leads_to(market.courses, target), "aim"].to_numpy(dtype=np.int64)] = True
    return aimed


def _leads_to(courses: pd.DataFrame, target: str) -> Flags:
    """Say which courses lead to an occupation; all of them where there is none."""
    return np.array([target in ("", *codes.split("|")) for codes in courses["occupations"].fillna("")], dtype=bool)


def _first_steps(person: pd.DataFrame, stairs: Stairs, prices: pd.Series[float]) -> Begun:
    """List the courses that the person may enter now."""
    courses = stairs.market.courses
    told = look(person, np.zeros(len(courses), dtype=np.int64), courses, stairs.market, prices)
    opened = np.flatnonzero(told["open"]).astype(np.int32)
    worth, likelihood = (told[name].to_numpy(dtype=np.float32)[opened] for name in ("net", "likelihood"))
    return Begun(np.zeros(len(opened), dtype=np.int32), opened, worth, likelihood)


def _best(person: pd.DataFrame, stairs: Stairs, prices: pd.Series[float], first: Begun, aimed: Flags) -> list[Whole]:
    """Find the best pathways that bring anything, of different first steps, the best first."""
    found = find(Tied(person, first), stairs, stairs.priced(prices), aimed)
    order = np.argsort(-found.worth, kind="stable")[: stairs.params.choices]
    return [found.path[row][found.path[row] != NONE] for row in order if found.worth[row] > 0]


# What is told -----------------------------------------------------------------------------------------------------------


def enter(people: pd.DataFrame, courses: Long, stairs: Stairs, prices: pd.Series[float], depth: int) -> pd.DataFrame:
    """Tell of courses (positions) entered as step ``depth``, from 0, of pathways. One row per person, each entering one."""
    market = stairs.later if depth else stairs.market
    rows = stairs.market.courses.iloc[courses].reset_index(drop=True)
    return look(people, np.arange(len(people)), rows, market, prices)[_TELLS]


def after(people: pd.DataFrame, courses: Long, stairs: Stairs) -> pd.DataFrame:
    """See people as they would be the day after their course. Same rows; ``own_level`` is without what is only opened."""
    ladder, rows = stairs.ladder, stairs.market.courses.iloc[courses]
    level = people["level"].to_numpy(dtype="float64", na_value=np.nan)
    own = people["own_level"].to_numpy(dtype="float64", na_value=np.nan) if "own_level" in people else level
    higher = np.maximum(own, ladder.gives[courses])
    ends = rows["ends"].to_numpy(dtype=np.int64)
    return people.assign(
        available=np.where(ends >= FAR, np.datetime64("NaT"), (ends + 1).astype("datetime64[D]")).astype("datetime64[us]"),
        level=np.maximum(np.maximum(level, higher), own + ladder.lifts[courses]),
        own_level=higher,
        closed=_longer(people["closed"], courses, ladder.shut_ends, ladder.shuts, stairs),
        ready=_longer(people["ready"], courses, ladder.unlock_ends, ladder.unlocks, stairs),
    )


def _longer(lists: pd.Series[str], courses: Long, ends: Long, listed: Whole, stairs: Stairs) -> pd.Series[str]:
    """Add to each list (joined by ``|``) the sessions that the course of its row is tied to."""
    added = ("|".join(stairs.sessions[listed[ends[course] : ends[course + 1]]]) for course in courses)
    longer = [f"{own}|{more}".strip("|") for own, more in zip(lists.fillna(""), added, strict=True)]
    return pd.Series(longer, index=lists.index, dtype="str")


def goes_after(ladder: Ladder, before: int, session: int) -> bool:
    """Say whether a session stands higher than the one before, which leads on."""
    return bool(ladder.leads[before] and ladder.rung[session] > ladder.rung[before])


def _tell(
    person: pd.DataFrame, stairs: Stairs, prices: pd.Series[float], paths: list[tuple[str, str, int, Whole]]
) -> pd.DataFrame:
    """Tell all steps. One row per target, pathway, step."""
    told = _by_depth(person, stairs, prices, paths)
    steps = pd.concat(list(told), ignore_index=True).sort_values(["order", "step"], ignore_index=True)
    before = steps["ends"].shift().where(steps["step"] > 1)
    free = person["available"].fillna(stairs.market.as_of).iloc[0]
    return steps.assign(
        gap_days=(steps["starts"] - before).dt.days.fillna(0).astype("int64"),
        wait_days=(steps["starts"] - max(free, stairs.market.as_of)).dt.days.where(steps["step"] == 1, 0).astype("int64"),
        worth=steps["reach"] * steps["net"],
    ).drop(columns="order")


def _by_depth(
    person: pd.DataFrame, stairs: Stairs, prices: pd.Series[float], paths: list[tuple[str, str, int, Whole]]
) -> Iterator[pd.DataFrame]:
    """Tell the first step of all pathways, then the second, and so on."""
    people = person.iloc[np.zeros(len(paths), dtype=np.int64)].reset_index(drop=True)
    rows = pd.DataFrame([path[:3] for path in paths], columns=["target", "kind", "pathway"]).assign(order=range(len(paths)))
    reach = np.ones(len(paths))
    for depth in range(max((len(path[3]) for path in paths), default=1)):
        longer = np.array([len(paths[order][3]) > depth for order in rows["order"]], dtype=bool)
        people, rows, reach = people[longer].reset_index(drop=True), rows[longer].reset_index(drop=True), reach[longer]
        courses = np.array([paths[order][3][depth] for order in rows["order"]], dtype=np.int64)
        told, then = enter(people, courses, stairs, prices, depth), after(people, courses, stairs)
        levels = {"level_before": people["level"].astype("Float64"), "level_after": then["level"].astype("Float64")}
        yield rows.assign(step=depth + 1, **told, **levels, reach=reach)
        people, reach = then, reach * told["likelihood"].to_numpy() * stairs.ladder.finish[courses]


def _sum_up(steps: pd.DataFrame) -> pd.DataFrame:
    """Sum up pathways. One row per target, pathway."""
    each = steps.assign(jobs=steps["reach"] * steps["score"], arrives=steps["reach"] * steps["likelihood"])
    return each.groupby(["target", "kind", "pathway"], sort=False, as_index=False).agg(
        path=("session", ARROW.join),
        steps=("step", "size"),
        starts=("starts", "first"),
        ends=("ends", "last"),
        wait_days=("wait_days", "sum"),
        gap_days=("gap_days", "sum"),
        jobs=("jobs", "sum"),
        worth=("worth", "sum"),
        arrives=("arrives", "last"),
    )


def _why_not(person: pd.DataFrame, stairs: Stairs, prices: pd.Series[float], target: str) -> pd.DataFrame:
    """Say what stands before the course to a target that is nearest to being open. One row; where only a price does: seats."""
    market = stairs.market
    courses = market.listed[_leads_to(market.listed, target)].reset_index(drop=True)
    if courses.empty:
        return _NOBODY.reindex([0]).assign(target=target, barriers=NO_COURSE)
    told = look(person, np.zeros(len(courses), dtype=np.int64), courses, market, prices)
    told = told.assign(many=told[list(BARRIERS)].sum(axis=1), asked_level=courses["asked"], until=courses["until"])
    row = told.sort_values(["many", "distance_km", "session"]).iloc[0]
    codes = stairs.asked.loc[stairs.asked["session"] == row["session"], "asked"].sort_values()
    standing = [barrier for barrier in BARRIERS if row[barrier]]
    needed = {
        "session": row["session"],
        "barriers": "|".join(standing or [TAKEN]),
        "level": row["asked_level"] if row["level"] else np.nan,
        "asked": "|".join(codes) if row["prerequisite"] else "",
        "distance_km": row["distance_km"] if row["distance"] else np.nan,
        "until": pd.Timestamp(0) + pd.Timedelta(days=int(row["until"])) if row["date"] and 0 <= row["until"] < FAR else pd.NaT,
    }
    return pd.DataFrame([{"target": target, **needed}]).astype(_NOBODY.drop(columns="kind").dtypes.to_dict())


_NOBODY = pd.DataFrame(columns=["target", "kind", "session", "barriers", "level", "asked", "distance_km", "until"]).astype(
    {"level": "float64", "distance_km": "float64", "until": "datetime64[us]"}
    | dict.fromkeys(["target", "kind", "session", "barriers", "asked"], "str")
)
