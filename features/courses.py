"""The courses that can be proposed: the sessions of the catalogue that are open, where they are held."""

from __future__ import annotations

import pandas as pd

from features.params import Section, param

OPEN = 1


class CourseParams(Section):
    """When a session of the catalogue is taken to be withdrawn."""

    stale_days: int = param(7, "a session that no export has listed for so long is withdrawn", unit="days", ge=0, le=366)


def list_courses(catalogue: pd.DataFrame, communes: pd.DataFrame, params: CourseParams) -> pd.DataFrame:
    """List the sessions open to recruitment. One row per session, as its last export describes it.

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
    return placed[latitude.notna() & longitude.notna()].sort_values("session", ignore_index=True)
