"""The courses that can be proposed: the sessions of the catalogue that are open, where they are held."""

from __future__ import annotations

import pandas as pd

OPEN = 1


def list_courses(catalogue: pd.DataFrame, communes: pd.DataFrame) -> pd.DataFrame:
    """List the sessions open to recruitment. One row per session, as its last export describes it.

    A session without a geolocalisation stands at the centre of its commune; one without either is left out, since
    nobody could be told how far it is.
    """
    last = catalogue.sort_values(["session", "known_from"]).drop_duplicates("session", keep="last")
    opened = last[last["state"].isna() | (last["state"] == OPEN)]
    centres = communes.set_index("commune")
    latitude = opened["latitude"].fillna(opened["commune"].map(centres["latitude"]))
    longitude = opened["longitude"].fillna(opened["commune"].map(centres["longitude"]))
    placed = opened.assign(latitude=latitude, longitude=longitude, sector=opened["formacode"].str[:3])
    return placed[latitude.notna() & longitude.notna()].sort_values("session", ignore_index=True)
