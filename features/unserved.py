"""Whom no course is for: people who could train for the occupation they want, and whom no open session is for, near enough."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.crosswalks import main_sectors
from features.params import Section, param
from features.places import great_circle_km
from features.supply import level_text, round_along
from features.vocabulary import PUBLICS

CELL = ["territory", "sector", "level", "public"]
_AT = ["latitude", "longitude"]
_COURSE = ["sector", *_AT, "admits", "asked"]
_ALWAYS = pd.Timestamp("2262-01-01")  # later than any day on which somebody could be available
Flags = NDArray[np.bool_]
Numbers = NDArray[np.float64]


class UnservedParams(Section):
    """When a session counts as being there for a person."""

    default_mobility_km: float = param(30.0, "travel accepted by a person who did not say", unit="km", ge=0, le=300)
    least_weight: float = param(
        0.1, "a sector leads to an occupation from this share of the certifications that do", unit="share", ge=0, le=1
    )
    rounding: int = param(
        5, "counts of people are multiples of this, so that none tells of one person", unit="people", ge=1, le=20
    )
    people_at_once: int = param(
        4000, "people set against the courses of a sector at once: memory", unit="people", ge=100, le=1000000
    )


def look_for_sessions(
    people: pd.DataFrame, courses: pd.DataFrame, links: pd.DataFrame, *, as_of: pd.Timestamp, params: UnservedParams
) -> pd.DataFrame:
    """Say who has a session to go to. One row per person of a known territory: territory, sector, level, publics, ``without``.

    ``people`` and ``courses`` are as :mod:`features.people` and :mod:`features.courses` list them, ``links`` weighs the
    sectors and levels of occupations. The sector is the one that trains most for the wanted occupation. A session is there
    for a person when its sector leads to that occupation, its place lies within the person's mobility, it starts after
    ``as_of`` and no earlier than the person is available, has a seat or does not say, admits the person, and asks no higher
    level (an unknown level passes). Who wants an occupation that no sector leads to, or none that is known, stands under no
    sector, without a session.
    """
    here = people[people["territory"].notna()].sort_values("person", ignore_index=True)
    reached = _reached(_Asks.of(here, as_of, params), _last_chances(courses, as_of), _leading(links, params), params)
    return here[["territory", *PUBLICS]].assign(
        sector=here["wanted"].map(main_sectors(links)).astype("str").fillna(""),
        level=level_text(here["level"]),
        without=~reached,
    )


def people_without_session(looked: pd.DataFrame, smallest: int, params: UnservedParams) -> pd.DataFrame:
    """Count who has no session to go to. One row per territory, sector wanted, level held, public: people, without_session.

    ``looked`` says it of each person. Groups smaller than ``smallest`` are gathered into the territory's row without sector
    and level, left out in turn when that is too small. Counts are rounded along each territory and public, and
    ``without_session`` is never more than ``people``.
    """
    parts = [looked.loc[looked[public], [*CELL[:-1], "without"]].assign(public=public) for public in PUBLICS]
    rows = pd.concat(parts, ignore_index=True)
    size = rows.groupby(CELL)["without"].transform("size")
    merged = rows.assign(**{name: rows[name].where(size >= smallest, "") for name in ("sector", "level")})
    sums = merged.groupby(CELL).agg(people=("without", "size"), without=("without", "sum")).reset_index()
    kept = sums[sums["people"] >= smallest].sort_values(["public", *CELL[:-1]], ignore_index=True)
    served = kept["people"] - kept["without"]
    each = [round_along(counts, kept[["territory", "public"]], params.rounding) for counts in (kept["without"], served)]
    told = kept[CELL].assign(people=(each[0] + each[1]).astype("int64"), without_session=each[0].astype("int64"))
    return told[told["people"] >= smallest].sort_values(CELL, ignore_index=True)


def _leading(links: pd.DataFrame, params: UnservedParams) -> pd.DataFrame:
    """Keep the sectors that lead to each occupation, and always its main one. One row per occupation, sector."""
    sums = links.groupby(["occupation", "sector"], as_index=False)[["weight"]].sum()
    kept = (sums["weight"] >= params.least_weight) | (sums["sector"] == sums["occupation"].map(main_sectors(links)))
    return sums.loc[kept, ["occupation", "sector"]]


# Who can go to some session ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Asks:
    """What people ask of a session, as columns: one element per person, in the order of ``people``."""

    people: pd.DataFrame
    reach: Numbers
    ready: NDArray[np.datetime64]
    level: Numbers
    publics: NDArray[np.int64]

    @classmethod
    def of(cls, people: pd.DataFrame, as_of: pd.Timestamp, params: UnservedParams) -> _Asks:
        """Read what people ask; an unknown level is above all, an unknown date is now."""
        return cls(
            people,
            np.asarray(people["mobility_km"].astype("float64").fillna(params.default_mobility_km), dtype=np.float64),
            people["available"].fillna(as_of).to_numpy().astype("datetime64[D]"),
            np.asarray(people["level"].astype("float64").fillna(np.inf), dtype=np.float64),
            people[list(PUBLICS)].to_numpy(dtype="int64") @ _BITS,
        )

    def served_by_nearest(
        self, some: NDArray[np.int64], offered: pd.DataFrame, away: Numbers, home: NDArray[np.int64]
    ) -> Flags:
        """Say who is in time for every course that is for all, and near the nearest: most people, at little cost."""
        for_all = (offered["asked"] == 0).to_numpy(dtype=bool) & (offered["admits"] == _EVERYBODY).to_numpy(dtype=bool)
        nearest = away[:, for_all].min(axis=1, initial=np.inf)
        first = offered["until"].min().to_datetime64().astype("datetime64[D]")
        return np.asarray((nearest[home] <= self.reach[some]) & (self.ready[some] <= first))

    def open_to(self, some: NDArray[np.int64], offered: pd.DataFrame) -> Flags:
        """Say which courses some of the people could enter, wherever they are held."""
        in_time = self.ready[some, None] <= offered["until"].to_numpy().astype("datetime64[D]")[None, :]
        able = self.level[some, None] >= offered["asked"].to_numpy(dtype="float64")[None, :]
        named = offered["admits"].to_numpy(dtype="int64")[None, :]
        return np.asarray(in_time & able & ((self.publics[some, None] & named) > 0))


_BITS = 1 << np.arange(len(PUBLICS), dtype="int64")
_EVERYBODY = int(_BITS.sum())


def _last_chances(courses: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """Keep of the sessions that differ by their dates only the last. One row per sector, place, publics and level asked.

    ``until`` is the last day on which somebody can still enter: the start, or the end of permanent entries. Who is not
    available by then is in time for none of the others. ``admits`` holds a bit per public; a session that names none, or
    everybody, is for all.
    """
    seated = courses[~(courses["seats"] == 0).fillna(False).astype(bool)]
    binds = seated["entry_level_binds"].fillna(False).astype(bool)
    permanent = seated["permanent"].fillna(False).astype(bool)
    until = seated["starts"].where(~permanent, seated["ends"].fillna(_ALWAYS))
    named = seated["publics"].fillna("").str.get_dummies("|").reindex(columns=list(PUBLICS), fill_value=0)
    admits = pd.Series(named.to_numpy(dtype="int64") @ _BITS, index=seated.index)
    listed = seated.assign(
        until=until,
        asked=seated["entry_level"].where(binds).astype("float64").fillna(0.0),
        admits=admits.mask((named["tout_public"] == 1) | (seated["publics"].fillna("") == ""), _EVERYBODY),
    )
    ahead = listed[(until > as_of) & ~(seated["ends"] < seated["starts"])]
    return ahead.groupby(_COURSE, as_index=False)[["until"]].max()


def _reached(asks: _Asks, chances: pd.DataFrame, leading: pd.DataFrame, params: UnservedParams) -> Flags:
    """Say who has a session, sector after sector, asking each time only those whom none was found for."""
    places = chances[_AT].drop_duplicates(ignore_index=True)
    homes = asks.people[_AT].drop_duplicates().dropna().reset_index(drop=True)
    reached = np.zeros(len(asks.people), dtype=bool)
    if places.empty or homes.empty:
        return reached
    kilometres = great_circle_km(homes, places)
    home, place = _positions(asks.people, homes), _positions(chances, places)
    wanted, names = pd.factorize(asks.people["wanted"])
    for sector, offered in chances.groupby("sector"):
        led_to = np.append(names.isin(leading.loc[leading["sector"] == sector, "occupation"]), False)
        left = np.flatnonzero(led_to[wanted] & ~reached & (home >= 0))
        away = kilometres[:, place[offered.index.to_numpy()]]
        reached[left] = asks.served_by_nearest(left, offered, away, home[left])
        left = left[~reached[left]]
        for start in range(0, len(left), params.people_at_once):
            some = left[start : start + params.people_at_once]
            reached[some] = ((away[home[some]] <= asks.reach[some, None]) & asks.open_to(some, offered)).any(axis=1)
    return reached


def _positions(rows: pd.DataFrame, places: pd.DataFrame) -> NDArray[np.int64]:
    """Find each row's place among places; −1 where it has none."""
    found = pd.MultiIndex.from_frame(places[_AT]).get_indexer(pd.MultiIndex.from_frame(rows[_AT]))
    return np.asarray(found, dtype=np.int64)
