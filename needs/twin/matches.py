"""The matches that someone who knows would make at ``as_of``, one seat each, and simple rules to compare them with.

    surplus of a person and a session = true gain × probability to go through with it
    true gain = what entering adds to the chance of a lasting job 12 months later (``worth.durable_gain``), for this person,
                with this provider, at the session's load
    probability = 0.9 × exp(−distance ÷ 25 km) × fit,  fit = 1 if the course leads to an occupation that the person wants,
                  0.5 if to one of the same ROME domain (first three characters), 0.2 otherwise

The probability is ours to choose: no source tells it; trainees in France rarely go far and mostly follow what they want.

Only what the rules of recommendations allow is matched: no opposition; a session that is open, begins after ``as_of`` and not
before the person is available (with permanent entries, a person begins when available); the entry level where it binds
(an unknown one passes); the public; the distance within the person's mobility; seats.

Small places are solved exactly (an assignment problem on seats). Elsewhere each person keeps the 20 sessions that look best
by the average gain of the session in the person's bassin × probability (drawn with odds of its fourth power, so that not
everybody keeps the same), each seat the 20 people that look best, and pairs are taken greedily, largest surplus first: half
of the optimum of these pairs at least (a pair taken shuts out two of the optimum at most, neither larger).

The rules know no truth: each person in turn, in an order drawn once, takes among the sessions with a seat left the nearest, the
one most like what is wanted (then the nearest), or any. Each has its own 20 sessions a person.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from features.vocabulary import PUBLICS
from needs.twin.careers import Intercepts
from needs.twin.effects import Effects, absorption
from needs.twin.people import person_ids
from needs.twin.places import Numbers, distances_km
from needs.twin.work import Whole
from needs.twin.worth import durable_gain, promise

EXACT_PEOPLE, EXACT_SEATS = 2_000, 1_000
KEPT = 20
RULES = ("oracle", "nearest", "likeness", "random")
VALUES = ["rule", "value", "people"]
_CHUNK = 2_000
_LEAST = np.float32(1e-7)  # a chance of nothing has no logarithm
_SAMPLE = 16
_GOES, _REACH_KM = 0.9, 25.0
_TIE = np.float32(1e-4)
_KEEN = 4
_SAME, _NEAR, _OTHER = 1.0, 0.5, 0.2
_YOUNG_BELOW, _SENIOR_FROM, _LONG_MONTHS, _LEVEL_4 = 26, 45, 12, 4
Flags = NDArray[np.bool_]
Shares = NDArray[np.float32]


@dataclass(frozen=True)
class Matched:
    """Matches (one row per person and session) and what they and the rules are worth (one row per rule)."""

    matches: pd.DataFrame
    values: pd.DataFrame


def draw_matches(
    effects: Effects, people: pd.DataFrame, catalogue: pd.DataFrame, intercepts: Intercepts, rng: np.random.Generator
) -> Matched:
    """Match the jobseekers of a département with the sessions of its catalogue, knowing the truth, then by each rule.

    ``people`` are those of ``as_of`` with what no file shows; ``catalogue`` has one row per session.
    """
    people, courses = people.reset_index(drop=True), open_sessions(effects, catalogue)
    seats = courses["seats"].to_numpy(dtype=np.int64)
    exact = len(people) <= EXACT_PEOPLE and int(seats.sum()) <= EXACT_SEATS
    usual = _usual_gains(effects, people, courses, intercepts)
    listed = _pairs(effects, people, courses, usual, rng, kept=len(courses) if exact else KEPT)
    promising = listed.pop("oracle") if exact else _wanted_by_sessions(listed.pop("oracle"), seats)
    pairs = _with_surplus(effects, people, courses, promising, intercepts)
    taken = assign_exactly(pairs, seats) if exact else take_greedily(pairs, seats)
    turn = rng.permutation(len(people))
    found = {"oracle": pairs.iloc[taken]}
    for rule, of_rule in listed.items():
        order = np.lexsort((-of_rule["looks"].to_numpy(), turn[of_rule["who"].to_numpy()]))
        chosen = of_rule.iloc[_take(of_rule, seats, order)]
        found[rule] = _with_surplus(effects, people, courses, chosen, intercepts)
    return Matched(
        _told(people, courses, found["oracle"], method="exact" if exact else "greedy"),
        pd.DataFrame([(rule, rows["surplus"].sum(), len(rows)) for rule, rows in found.items()], columns=VALUES),
    )


def _told(people: pd.DataFrame, courses: pd.DataFrame, pairs: pd.DataFrame, *, method: str) -> pd.DataFrame:
    """Name the matches as files do. One row per person matched."""
    named = pd.DataFrame(
        {
            "person": person_ids(people["pid"].iloc[pairs["who"]]).to_numpy(),
            "lheo": courses["lheo"].to_numpy()[pairs["what"]],
            "surplus": pairs["surplus"].to_numpy(),
            "method": method,
        }
    )
    return named.sort_values("person", ignore_index=True)


def open_sessions(effects: Effects, catalogue: pd.DataFrame) -> pd.DataFrame:
    """Keep the sessions that may still be proposed to someone. One row per session, with its place and ``days``."""
    soon = (catalogue["starts"] > effects.world.as_of) | catalogue["permanent"]
    kept = catalogue[soon & ~catalogue["state"].isin(["2", "3"]) & (catalogue["seats"] > 0)].reset_index(drop=True)
    return kept.assign(days=(kept["ends"] - kept["starts"]).dt.days)


def _pairs(
    effects: Effects,
    people: pd.DataFrame,
    courses: pd.DataFrame,
    usual: Shares,
    rng: np.random.Generator,
    *,
    kept: int,
) -> dict[str, pd.DataFrame]:
    """List for the oracle and each rule the sessions that look best to each person. One row per pair that is allowed.

    ``who`` and ``what`` are positions in people and courses, ``goes`` the probability to go through with it. Those who live in
    one place and travel as far are looked at together: they reach the same sessions.
    """
    towns, fits, gate = effects.world.communes, fit_table(effects, courses), gate_of(people, courses)
    wanted = [occupation_codes(effects, people[name]) for name in ("wanted", "wanted_2")]
    atoms, homes = people["atom"].to_numpy(), np.unique(people["home"].to_numpy(dtype=np.int64))
    distances = distances_km(towns.iloc[homes], towns.iloc[courses["place"]])
    parts: dict[str, list[tuple[Whole, Whole, Shares, Shares]]] = {rule: [] for rule in RULES}
    for rows in _neighbours(people):
        distance = distances[np.searchsorted(homes, people["home"].iloc[rows[0]])]
        within = np.flatnonzero(distance <= people["mobility_km"].iloc[rows[0]])
        within = within[np.argsort(distance[within], kind="stable")]
        near = (1 / (1 + distance[within])).astype("float32")
        likely = chance_to_go(distance[within]).astype("float32")
        for start in range(0, len(rows) if len(within) else 0, _CHUNK):
            some = rows[start : start + _CHUNK]
            allowed = gate.allowed(some, within)
            fit = np.maximum(*(fits[np.ix_(codes[some], within)] for codes in wanted))
            chance = np.maximum(rng.random(fit.shape, dtype="float32"), _LEAST)
            goes = likely * fit
            best = (goes * usual[atoms[some[0]], within]) ** _KEEN / -np.log1p(-chance)
            # chance parts those that are as near; who takes the nearest, or any, looks at no more than some
            looks = (best, near + chance * _TIE, fit + near / 10 + chance * _TIE, chance)
            few = (None, np.arange(len(within))[: kept * 10], None, rng.permutation(len(within))[: kept * 10])
            for rule, of_rule, at in zip(RULES, looks, few, strict=True):
                row, column = _best(of_rule, allowed, kept, at)
                parts[rule].append((some[row], within[column], of_rule[row, column], goes[row, column]))
    names = ("who", "what", "looks", "goes")
    columns = {rule: [np.concatenate(cells) for cells in zip(*of_rule, strict=True)] for rule, of_rule in parts.items()}
    return {rule: pd.DataFrame(dict(zip(names, cells, strict=False))) for rule, cells in columns.items()}


def chance_to_go(distances: Numbers) -> Numbers:
    """Say how likely a person is to go through with a course of that distance, in km, that leads to what is wanted."""
    return np.asarray(_GOES * np.exp(-distances / _REACH_KM))


def _neighbours(people: pd.DataFrame) -> list[Whole]:
    """Part people (positions) by home and mobility."""
    group = np.asarray(people.groupby(["home", "mobility_km"]).ngroup(), dtype=np.int64)
    order = np.argsort(group, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(group[order])) + 1)


def _best(looks: Shares, allowed: Flags, kept: int, at: Whole | None) -> tuple[Whole, Whole]:
    """Give the positions (person, session) of each person's best looks among those allowed, and among some columns."""
    shown = np.where(allowed, looks, -1) if at is None else np.where(allowed[:, at], looks[:, at], -1)
    if kept >= shown.shape[1]:
        row, column = np.nonzero(shown >= 0)
    else:
        best = np.argpartition(-shown, kept - 1, axis=1)[:, :kept]
        row, place = np.nonzero(np.take_along_axis(shown, best, axis=1) >= 0)
        column = best[row, place]
    return row, column if at is None else at[column]


def _wanted_by_sessions(pairs: pd.DataFrame, seats: Whole) -> pd.DataFrame:
    """Keep for each seat of a session the 20 pairs that look best. Fewer rows."""
    order = np.lexsort((-pairs["looks"].to_numpy(), pairs["what"].to_numpy()))
    rank = pairs.iloc[order].groupby("what").cumcount()
    few = rank < KEPT * seats[pairs["what"].to_numpy()[order]]
    return pairs.iloc[np.sort(order[few.to_numpy()])].reset_index(drop=True)


def _with_surplus(
    effects: Effects, people: pd.DataFrame, courses: pd.DataFrame, pairs: pd.DataFrame, intercepts: Intercepts
) -> pd.DataFrame:
    """Add the true surplus of each pair. Same rows."""
    gains = [
        true_gains(effects, people.iloc[some["who"]], courses.iloc[some["what"]], intercepts)
        for _, some in pairs.groupby(np.arange(len(pairs)) // (_CHUNK * KEPT))
    ]
    gain = np.concatenate(gains) if gains else np.zeros(0)
    return pairs.assign(surplus=gain * pairs["goes"])


def true_gains(effects: Effects, people: pd.DataFrame, courses: pd.DataFrame, intercepts: Intercepts) -> Numbers:
    """Give the true gain of each person (row) from the course of the same row."""
    taught = courses[["action_type", "formacode", "days", "provider", "load"]].reset_index(drop=True)
    starts = _entry_days(effects, people["available"].to_numpy(), courses)
    pairs = pd.concat([people.reset_index(drop=True), taught], axis=1).assign(entered=starts)
    promised = promise(effects, pairs, intercepts, effects.quality(pairs["provider"]))
    return durable_gain(promised, absorption(pairs["load"].to_numpy(dtype="float64")))


def _entry_days(effects: Effects, available: NDArray[np.datetime64], courses: pd.DataFrame) -> NDArray[np.datetime64]:
    """Say when each person would enter each course: its start, or with permanent entries the first day that suits."""
    tomorrow = np.datetime64(effects.world.as_of + pd.Timedelta(days=1))
    return np.asarray(np.where(courses["permanent"], np.fmax(tomorrow, available), courses["starts"].to_numpy()))


def _usual_gains(effects: Effects, people: pd.DataFrame, courses: pd.DataFrame, intercepts: Intercepts) -> Shares:
    """Say what each session gives on average to a few people of each atom: atoms × sessions; at least a little."""
    usual = np.full((len(effects.world.atoms), len(courses)), 0.0)
    for atom in np.unique(people["atom"]):
        some = people[people["atom"] == atom].head(_SAMPLE)
        who, what = np.tile(np.arange(len(some)), len(courses)), np.repeat(np.arange(len(courses)), len(some))
        gains = true_gains(effects, some.iloc[who], courses.iloc[what], intercepts)
        usual[atom] = gains.reshape(len(courses), len(some)).mean(axis=1)
    return np.asarray(np.maximum(usual, 1e-4), dtype="float32")


def occupation_codes(effects: Effects, wanted: pd.Series[str]) -> Whole:
    """Give the position of each occupation in the world; the last of the table for none."""
    return np.asarray(pd.Index(effects.world.occupations["occupation"]).get_indexer(pd.Index(wanted)), dtype=np.int64)


def fit_table(effects: Effects, courses: pd.DataFrame) -> Shares:
    """Say how each course answers each occupation wanted: occupations, then none at all, × sessions."""
    listed = effects.world.occupations["occupation"]
    leads = courses["occupations"].str.get_dummies("|")
    domains = leads.T.groupby(leads.columns.str[:3]).max().T
    same = leads.reindex(columns=listed, fill_value=0).to_numpy(dtype=bool).T
    near = domains.reindex(columns=listed.str[:3], fill_value=0).to_numpy(dtype=bool).T
    fit = np.where(same, _SAME, np.where(near, _NEAR, _OTHER))
    return np.vstack([fit, np.full((1, len(courses)), _OTHER)]).astype("float32")


@dataclass(frozen=True)
class Gate:
    """What decides who may enter what, but for the distance; one element (or row) per person, or per session."""

    level: Numbers
    ready: NDArray[np.datetime64]
    willing: Flags
    belongs: Flags
    asked: Numbers
    starts: NDArray[np.datetime64]
    public: Whole

    def allowed(self, who: Whole, what: Whole) -> Flags:
        """Say which of some sessions each of some people may enter: people × sessions."""
        low = self.level[who][:, None] < self.asked[what][None, :]
        late = self.starts[what][None, :] < self.ready[who][:, None]
        admitted = self.belongs[who][:, self.public[what]]
        return np.asarray(admitted & ~low & ~late & self.willing[who][:, None])


def gate_of(people: pd.DataFrame, courses: pd.DataFrame) -> Gate:
    """Gather what decides who may enter what; an unknown level and an entry level that does not bind shut nothing."""
    far = np.datetime64("2200-01-01")
    return Gate(
        level=np.asarray(people["level"].astype("float64")),
        ready=people["available"].to_numpy(),
        willing=~people["opposition"].to_numpy(dtype=bool),
        belongs=_publics(people).to_numpy(dtype=bool),
        asked=np.asarray(courses["entry_level"].astype("float64").where(courses["binds"])),
        starts=np.where(courses["permanent"], far, courses["starts"].to_numpy()),
        public=np.asarray(pd.Index(PUBLICS).get_indexer(pd.Index(courses["public"])), dtype=np.int64),
    )


def _publics(people: pd.DataFrame) -> pd.DataFrame:
    """Say to which publics each person belongs. One row per person, one column per public; unknown is no."""
    age = people["reference"].dt.year - people["birth_year"]
    marks = {
        "tout_public": pd.Series(True, index=people.index),
        "infra4": people["level"] < _LEVEL_4,
        "jeunes": age < _YOUNG_BELOW,
        "seniors": age >= _SENIOR_FROM,
        "dld": people["unemployed_months"] >= _LONG_MONTHS,
        "detenus": people["detained"],
        "parents_isoles": people["lone_parent"],
        **{name: people[name] for name in ("rsa", "qpv", "th")},
    }
    return pd.DataFrame({name: mark.astype("boolean").fillna(False).astype(bool) for name, mark in marks.items()})[[*PUBLICS]]


def assign_exactly(pairs: pd.DataFrame, seats: Whole) -> Whole:
    """Give each person one seat at most for the largest surplus in all, exactly. Positions of the pairs taken."""
    gain = np.zeros((int(pairs["who"].max()) + 1 if len(pairs) else 0, len(seats)))
    row = np.full(gain.shape, -1)
    gain[pairs["who"], pairs["what"]] = np.maximum(pairs["surplus"], 0.0)
    row[pairs["who"], pairs["what"]] = np.arange(len(pairs))
    seat = np.repeat(np.arange(len(seats)), seats)
    who, where = linear_sum_assignment(gain[:, seat], maximize=True)
    taken = gain[who, seat[where]] > 0
    return np.asarray(row[who[taken], seat[where[taken]]])


def take_greedily(pairs: pd.DataFrame, seats: Whole) -> Whole:
    """Take the pair of largest surplus while there are seats and people left. Positions of the pairs taken."""
    worth = np.flatnonzero(pairs["surplus"].to_numpy() > 0)
    return _take(pairs, seats, worth[np.argsort(-pairs["surplus"].to_numpy()[worth], kind="stable")])


def _take(pairs: pd.DataFrame, seats: Whole, order: Whole) -> Whole:
    """Take pairs in an order while the person is free and the session has a seat. Positions of the pairs taken."""
    who, what = (pairs[name].to_numpy()[order].tolist() for name in ("who", "what"))
    left, free = seats.tolist(), [True] * (max(who, default=-1) + 1)
    taken = []
    for position, person, session in zip(order.tolist(), who, what, strict=True):
        if free[person] and left[session]:
            free[person] = False
            left[session] -= 1
            taken.append(position)
    return np.array(taken, dtype=np.int64)
