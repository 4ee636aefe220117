"""What any course would truly bring any jobseeker of a region that was drawn, for benchmarks and tests only.

    known = read_truth(home, world="calm", scale="demo", seed=1)
    true_surplus(known, pairs)                   # of each person and session given
    best_surplus(known, persons, 10)             # the ten best sessions for each, among all that they may enter

The surplus is that of ``matches``: true gain × probability to go through with it. Nothing was written that says it of any pair,
since there are too many; what was written tells enough to work it out. Sessions bear the number they have in the catalogue
(``lheo`` in the truth), persons that of the truth, unless one names them otherwise (``known.people``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.special import logit

from needs.home import Home
from needs.twin.careers import Intercepts
from needs.twin.effects import Effects, stay_score
from needs.twin.matches import Flags, chance_to_go, fit_table, gate_of, occupation_codes, open_sessions, true_gains
from needs.twin.places import Numbers, distances_km
from needs.twin.region import AS_OF
from needs.twin.scales import scale_of
from needs.twin.work import Whole
from needs.twin.world import draw_world
from needs.twin.worlds import WorldParams, load_world

_CHUNK = 40_000
_PEOPLE = 500


@dataclass(frozen=True)
class KnownTruth:
    """The truth of a region that was drawn: its effects, its jobseekers and its sessions as the truth holds them.

    ``people`` and ``courses`` have one row per person and per session, with ``home``, ``atom`` and ``place`` as positions.
    """

    effects: Effects
    people: pd.DataFrame
    courses: pd.DataFrame
    intercepts: Intercepts

    @cached_property
    def distances(self) -> Numbers:
        """The distance of each home that there is to the place of each session, in km: :attr:`homes` × sessions."""
        towns = self.effects.world.communes
        return distances_km(towns.iloc[self.homes], towns.iloc[self.courses["place"]])

    @cached_property
    def homes(self) -> Whole:
        """The communes where somebody lives, in order."""
        return np.unique(self.people["home"].to_numpy(dtype=np.int64))

    @cached_property
    def fits(self) -> Numbers:
        """How each session answers each occupation, and none: occupations × sessions."""
        return np.asarray(fit_table(self.effects, self.courses), dtype="float64")

    def distance(self, who: Whole, what: Whole) -> Numbers:
        """Give the distance of each person (position) to the session of the same row."""
        home = self.people["home"].to_numpy(dtype=np.int64)[who]
        return np.asarray(self.distances[np.searchsorted(self.homes, home), what])

    def fit(self, who: Whole, what: Whole) -> Numbers:
        """Say how the session of each row answers what its person wants, in the better of two ways."""
        wanted = [occupation_codes(self.effects, self.people[name])[who] for name in ("wanted", "wanted_2")]
        return np.maximum(*(self.fits[codes, what] for codes in wanted))


def read_truth(home: Home, *, world: str | WorldParams, scale: str, seed: int, as_of: pd.Timestamp = AS_OF) -> KnownTruth:
    """Read the truth of a home, which was drawn with this world, scale and seed."""
    dials = load_world(world) if isinstance(world, str) else world
    drawn = draw_world(scale_of(scale), dials, seed, as_of.normalize())
    effects, communes = Effects(drawn), drawn.communes
    people, courses = (pd.read_parquet(home.truth / f"{name}.parquet") for name in ("people", "courses"))
    where = pd.Index(communes["commune"])
    homes = where.get_indexer(pd.Index(people["commune"]))
    people = people.assign(home=homes, atom=communes["atom"].to_numpy()[homes])
    courses = courses.assign(
        place=where.get_indexer(pd.Index(courses["commune"])), days=(courses["ends"] - courses["starts"]).dt.days
    )
    return KnownTruth(effects, people, courses, _intercepts(effects, people))


def _intercepts(effects: Effects, people: pd.DataFrame) -> Intercepts:
    """Find the intercepts of the world in what it made of a person."""
    one = people.head(1)
    work = np.log(float(one["rate"].iloc[0])) - np.log(effects.rate(one, 0.0)[0])
    return float(work), float(logit(one["stays"].iloc[0]) - stay_score(one)[0])


def true_surplus(known: KnownTruth, pairs: pd.DataFrame) -> pd.DataFrame:
    """Say what each session would truly bring its person. One row per person, session given: gain, goes, surplus.

    ``gain`` is what entering adds to the chance of a lasting job twelve months later, ``goes`` the probability to go through
    with it, ``surplus`` their product; allowed or not. Persons or sessions that the truth does not hold are left out.
    """
    who = pd.Index(known.people["person"]).get_indexer(pd.Index(pairs["person"]))
    what = pd.Index(known.courses["lheo"]).get_indexer(pd.Index(pairs["session"]))
    held = (who >= 0) & (what >= 0)
    return _with_surplus(known, pairs.loc[held, ["person", "session"]].reset_index(drop=True), who[held], what[held])


def _with_surplus(known: KnownTruth, pairs: pd.DataFrame, who: Whole, what: Whole) -> pd.DataFrame:
    """Add what is true of pairs, whose persons and sessions are at these positions. Same rows."""
    gains = [
        true_gains(known.effects, known.people.iloc[who[part]], known.courses.iloc[what[part]], known.intercepts)
        for part in np.array_split(np.arange(len(pairs)), -(-len(pairs) // _CHUNK) or 1)
    ]
    gain, goes = np.concatenate(gains), chance_to_go(known.distance(who, what)) * known.fit(who, what)
    return pairs.assign(gain=gain, goes=goes, surplus=gain * goes)


def allowed_pairs(known: KnownTruth, persons: Sequence[str] | pd.Series[str] | None = None) -> pd.DataFrame:
    """List all that some people may enter, or all of them. One row per person, session that is allowed: distance_km, fit.

    Allowed is what the rules of recommendations allow, as far as the region was drawn by them (``matches``).
    """
    some = np.ones(len(known.people), dtype=bool) if persons is None else known.people["person"].isin(list(persons)).to_numpy()
    parts = list(_allowed(known, np.flatnonzero(some)))
    who, what = (np.concatenate([part[side] for part in parts] or [np.zeros(0, dtype=np.int64)]) for side in (0, 1))
    return pd.DataFrame(
        {
            "person": known.people["person"].to_numpy()[who],
            "session": known.courses["lheo"].to_numpy()[what],
            "distance_km": known.distance(who, what),
            "fit": known.fit(who, what),
        }
    )


def _allowed(known: KnownTruth, some: Whole) -> Iterator[tuple[Whole, Whole]]:
    """Give the positions of people and of the sessions allowed to them, for a few people at a time."""
    opened = open_sessions(known.effects, known.courses)["lheo"]
    what = np.flatnonzero(known.courses["lheo"].isin(opened))
    gate, reach = gate_of(known.people, known.courses), known.people["mobility_km"].to_numpy()
    for who in np.array_split(some, -(-len(some) // _PEOPLE) or 1):
        near: Flags = known.distance(who[:, None], what[None, :]) <= reach[who][:, None]
        row, column = np.nonzero(near & gate.allowed(who, what))
        yield who[row], what[column]


def best_surplus(known: KnownTruth, persons: Sequence[str] | pd.Series[str], k: int) -> pd.DataFrame:
    """List the best sessions for some people among all that they may enter. One row per person, session: gain, goes, surplus.

    At most ``k`` a person, and none that brings nothing: what the best order would begin with.
    """
    told = true_surplus(known, allowed_pairs(known, persons))
    ordered = told[told["surplus"] > 0].sort_values(["person", "surplus", "session"], ascending=[True, False, True])
    return ordered[ordered.groupby("person").cumcount() < k].reset_index(drop=True)
