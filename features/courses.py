"""The courses that can be proposed: the sessions of the catalogue that are open, where they are held, who pays."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from features import facts
from features.params import Section, param
from features.places import unit_vectors
from features.vocabulary import ELSEWHERE

OPEN = 1
HERE, FRANCE, ABROAD = "here", "region", "abroad"
_TRAINEE = "10"  # the funder of the LHEO that is the trainee
_PLACE = ["latitude", "longitude"]


class CourseParams(Section):
    """When a session of the catalogue is taken to be withdrawn."""

    stale_days: int = param(7, "a session that no export has listed for so long is withdrawn", unit="days", ge=0, le=366)


def list_courses(catalogue: pd.DataFrame, communes: pd.DataFrame, params: CourseParams) -> pd.DataFrame:
    """List the sessions open to recruitment. One row per session, as its last export describes it.

    ``place`` says on which side of which border it is held (:func:`place_of`). ``funded`` is false where the trainee is the
    only funder listed: who pays where nobody is listed is unknown, which is not the same.

    A session that the newest exports no longer list is withdrawn (publishers export on different days: hence a delay).
    A session without a geolocalisation stands at the centre of its commune; one without either is left out, since
    nobody could be told how far it is.
    """
    last = catalogue.sort_values(["session", "known_from"]).drop_duplicates("session", keep="last")
    listed = last["known_from"] >= catalogue["known_from"].max() - pd.Timedelta(days=params.stale_days)
    opened: pd.DataFrame = last[listed & (last["state"].isna() | (last["state"] == OPEN))]
    centres = communes.set_index("commune")
    latitude = opened["latitude"].fillna(opened["commune"].map(centres["latitude"]))
    longitude = opened["longitude"].fillna(opened["commune"].map(centres["longitude"]))
    placed: pd.DataFrame = opened.assign(latitude=latitude, longitude=longitude, sector=opened["formacode"].str[:3])
    kept: pd.DataFrame = placed[latitude.notna() & longitude.notna()].sort_values("session", ignore_index=True)
    return kept.assign(place=place_of(kept, communes), funded=kept["funders"].ne(_TRAINEE))


def place_of(sessions: pd.DataFrame, communes: pd.DataFrame) -> pd.Series[str]:
    """Say whether a session is held here, elsewhere in France (``region``) or ``abroad``. Same rows.

    Its commune says so: one with a territory is of the Region, and of none where its code is that of a country. Where it names
    no commune, what lies nearest does: a commune of the Region, the centre of another département, a town across the border.
    """
    named = pd.Series(FRANCE, index=sessions.index, dtype="str")
    named = named.mask(sessions["territory"].notna(), HERE)
    named = named.mask(("D" + sessions["commune"].str[1:3]) == ELSEWHERE, ABROAD)
    unnamed = sessions["commune"].isna() & sessions["territory"].isna()
    return named.mask(unnamed, _nearest(sessions[unnamed], communes).reindex(sessions.index))


def _nearest(sessions: pd.DataFrame, communes: pd.DataFrame) -> pd.Series[str]:
    """Say on which side the place nearest to a session lies. Same rows."""
    centres = facts.centres()
    beyond = centres[~centres["department"].isin(communes["department"])]
    sides = {HERE: communes, FRANCE: beyond, ABROAD: facts.borders()}
    marks = pd.concat([places[_PLACE].assign(side=side) for side, places in sides.items()], ignore_index=True)
    _, nearest = cKDTree(unit_vectors(marks).T).query(unit_vectors(sessions).T)
    return pd.Series(marks["side"].to_numpy()[np.asarray(nearest, dtype="int64")], index=sessions.index, dtype="str")
