"""The tables of those who observe the labour market: tensions and their causes, offers and jobseekers, young leavers."""

from __future__ import annotations

import pandas as pd

from features.columns import FIRST_YEAR, LAST_YEAR, comes_before
from features.contracts import Column, Contract, Rule
from features.vocabulary import BASSIN, DEPARTMENT, FAMILY, OCCUPATION, REGION_CODE, Noun

CAUSES = ("hiring_intensity", "training_link", "few_available", "short_lived_jobs", "hard_conditions", "far_from_jobs")
"""What the Dares explains a tension by, each from 1 (hardly) to 5 (strongly). Training answers ``few_available`` where
``training_link`` is strong; it does not answer the others."""
HORIZONS = (6, 12, 18, 24)

_STUDIED = Noun("territory", rf"FR|{REGION_CODE.pattern}|{DEPARTMENT.pattern}", "FR, R44 or D67")
_ROUNDING = 1.0  # a rate is published in whole points
TENSION = Contract(
    "tension",
    "how hard it is to recruit for one family in one territory (France, région or département) and year, by one edition",
    (
        Column("year", "integer", nullable=False, low=FIRST_YEAR, high=LAST_YEAR),
        Column("nomenclature", nullable=False, choices=("FAP2009", "FAP2021")),
        Column("family", noun=FAMILY, nullable=False),
        Column("territory", noun=_STUDIED, nullable=False),
        Column("jobs", "number", low=0),
        Column("tension", "number"),
        Column("tension_level", "integer", low=1, high=5),
        *(Column(cause, "integer", low=1, high=5) for cause in CAUSES),
        Column("low_pay", "integer", low=1, high=5, optional=True),
        Column("known_from", "date", nullable=False),
    ),
    ("year", "nomenclature", "family", "territory", "known_from"),
    volume="jobs",
    period="year",
    national=True,
)
MARKET = Contract(
    "market",
    "the online offers and the jobseekers of one occupation in one bassin and year, by one edition",
    (
        Column("year", "integer", nullable=False, low=FIRST_YEAR, high=LAST_YEAR),
        Column("occupation", noun=OCCUPATION, nullable=False),
        Column("territory", noun=BASSIN, nullable=False),
        Column("offers", "number", low=0),
        Column("jobseekers", "number", low=0),
        Column("tension_level", "integer", low=1, high=5, optional=True),
        *(Column(cause, "integer", low=1, high=5, optional=True) for cause in CAUSES),
        Column("known_from", "date", nullable=False),
    ),
    ("year", "occupation", "territory", "known_from"),
    volume="offers",
    sums=("jobseekers",),
    period="year",
    national=True,
)


def _miscounted(t: pd.DataFrame) -> pd.Series[bool]:
    """Mark the rows whose leavers and those who study on are not together the final-year students. Same rows."""
    return t["leavers"] + t["studying_on"] != t["students"]


def _more_than_left(months: int) -> Rule:
    return Rule(f"more are employed at {months} months than left", lambda t: t[f"employed_{months}m"] > t["leavers"])


def _rate_differs(months: int) -> Rule:
    return Rule(
        f"the rate at {months} months is not that of its counts",
        lambda t: (t[f"rate_{months}m"] - 100 * t[f"employed_{months}m"] / t["leavers"]).abs() > _ROUNDING,
    )


def _misspelt(t: pd.DataFrame) -> pd.Series[bool]:
    """Mark the diplomas that are not spelt as their nomenclature does. Same rows."""
    is_mefstat = t["nomenclature"] == "MEFSTAT11"
    spelt = t["diploma"].str.fullmatch(r"\d{11}").where(is_mefstat, t["diploma"].str.fullmatch(r"[0-9A-Z]{8}"))
    return t["diploma"].notna() & ~spelt


INSERTION = Contract(
    "insertion",
    "the young people of one diploma, track and région who ended one or two school years in their final year, by one edition",
    (
        Column("first_year", "integer", nullable=False, low=FIRST_YEAR, high=LAST_YEAR),
        Column("last_year", "integer", nullable=False, low=FIRST_YEAR, high=LAST_YEAR),
        Column("region", noun=REGION_CODE, nullable=False),
        Column("track", nullable=False, choices=("scolaire", "apprentissage")),
        Column("nomenclature", nullable=False, choices=("CFD", "MEFSTAT11")),
        Column("diploma", nullable=False),
        Column("students", "integer", nullable=False, low=0),
        Column("studying_on", "integer", low=0),
        Column("leavers", "integer", low=0),
        Column("leavers_secret", "flag", nullable=False),
        *(Column(f"employed_{months}m", "integer", low=0) for months in HORIZONS),
        Column("rate_studying_on", "number", low=0, high=100),
        *(Column(f"rate_{months}m", "number", low=0, high=100) for months in HORIZONS),
        Column("rate_studying_on_secret", "flag", nullable=False),
        Column("rates_secret", "flag", nullable=False),
        Column("known_from", "date", nullable=False),
        *(Column(f"known_{months}m", "date", nullable=False) for months in HORIZONS[1:]),
    ),
    ("first_year", "last_year", "region", "track", "nomenclature", "diploma", "known_from"),
    later={f"known_{months}m": (f"employed_{months}m", f"rate_{months}m") for months in HORIZONS[1:]},
    rules=(
        comes_before("first_year", "last_year", "the second school year comes before the first"),
        Rule("the diploma is not a MEFSTAT11 (11 digits) or a CFD (8 characters)", _misspelt),
        Rule("leavers and those who study on do not add up to the students", _miscounted),
        *(_more_than_left(months) for months in HORIZONS),
        *(_rate_differs(months) for months in HORIZONS),
    ),
    volume="leavers",
    sums=("students", "studying_on", "employed_6m", "employed_12m", "employed_18m", "employed_24m"),
    period="last_year",
    national=True,
)
