"""The people to serve: what is known of each, at home, and the publics each belongs to."""

from __future__ import annotations

import pandas as pd

from features.publics import PublicParams, mark_publics
from features.vocabulary import PUBLICS

KNOWN = [
    "person",
    "territory",
    "department",
    "level",
    "wanted",
    "wanted_2",
    "last_occupation",
    "available",
    "mobility_km",
    "opposition",
    "licence",
    "allowance_ends",
    "skills",
]


def list_people(people: pd.DataFrame, communes: pd.DataFrame, params: PublicParams) -> pd.DataFrame:
    """List who is to be served. One row per person, with the place of the home commune and a flag for each public.

    ``priority`` counts the public priorities a person belongs to: below level 4, young and outside work and training,
    long-term unemployed, priority neighbourhood, disabled. Sex and age are not among what is known: nobody is ranked by them.
    """
    flags = mark_publics(people, params)
    outside = people["neet"].astype("boolean").fillna(False).astype(bool)
    priority = flags[["infra4", "dld", "qpv", "th"]].sum(axis=1) + (flags["jeunes"] & outside)
    homes = people[[*KNOWN, "commune"]].merge(
        communes[["commune", "latitude", "longitude"]], on="commune", how="left", validate="many_to_one"
    )
    return homes.assign(priority=priority.astype("int64"), **{public: flags[public] for public in PUBLICS})
