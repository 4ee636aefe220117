"""Who a person is for the training policy: the publics that a course or a lot may be reserved for."""

from __future__ import annotations

import pandas as pd

from features.params import Section, param
from features.vocabulary import PUBLICS


class PublicParams(Section):
    """Where the publics begin and end."""

    young_below: int = param(26, "a person is young (jeunes) below this age", unit="years", ge=16, le=35)
    senior_from: int = param(45, "a person is senior (seniors) from this age", unit="years", ge=40, le=65)
    long_term_months: int = param(12, "unemployment is long-term (dld) from this duration", unit="months", ge=6, le=36)


def mark_publics(people: pd.DataFrame, params: PublicParams) -> pd.DataFrame:
    """Say which publics each person belongs to. One row per row of ``people``, one flag per public; unknown is no.

    "Infra IV" is below European level 4; an unknown level is never counted as below. Ages are those at the observation
    (or prescription) date.
    """
    age = people["known_from"].dt.year - people["birth_year"]
    flags = {
        "tout_public": pd.Series(True, index=people.index),
        "infra4": people["level"] < 4,
        "jeunes": age < params.young_below,
        "seniors": age >= params.senior_from,
        "dld": people["unemployed_months"] >= params.long_term_months,
        "rsa": people["rsa"],
        "qpv": people["qpv"],
        "th": people["th"],
        "detenus": people["detained"],
        "parents_isoles": people["lone_parent"],
    }
    return pd.DataFrame({public: flags[public].astype("boolean").fillna(False).astype(bool) for public in PUBLICS})
