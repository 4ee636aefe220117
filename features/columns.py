"""Columns and rules that several tables share."""

from __future__ import annotations

from features.contracts import Column, Rule
from features.vocabulary import BASSIN, COMMUNE, DEPARTMENT, OCCUPATION, TERRITORY

FIRST_YEAR, LAST_YEAR = 1990, 2099


def comes_before(start: str, end: str, reason: str) -> Rule:
    """Make the rule that ``end`` never comes before ``start``."""
    return Rule(reason, lambda t: t[end] < t[start])


TYPED_TERRITORY = Rule(
    "territoire is not a code of its territoire_type (BE 4415, ZE 4413, D 67, MR 03, R 44)",
    lambda t: (
        t["territory"].notna()
        & ~(TERRITORY.spelt(t["territory"]) & (t["territory"].str.extract(r"^([A-Z]+)", expand=False) == t["territory_kind"]))
    ),
)
PERSON = (
    Column("commune", header="insee_commune", noun=COMMUNE),
    Column("sex", header="sexe", choices=("H", "F")),
    Column("birth_year", "integer", "annee_naissance", low=1930, high=2020),
    Column("level", "integer", "niveau", low=1, high=8),
    Column("wanted", header="rome_vise", noun=OCCUPATION),
    Column("wanted_2", header="rome_vise_2", noun=OCCUPATION),
    Column("last_occupation", header="rome_dernier_emploi", noun=OCCUPATION),
    Column("unemployed_months", "integer", "anciennete_chomage_mois", low=0, high=600),
    Column("worked_m1_12", "number", "mois_emploi_m1_12", low=0, high=12),
    Column("worked_m13_24", "number", "mois_emploi_m13_24", low=0, high=12),
    Column("rsa", "flag", "rsa"),
    Column("qpv", "flag", "qpv"),
    Column("th", "flag", "th"),
    Column("detained", "flag", "detenu"),
    Column("neet", "flag", "neet"),
    Column("lone_parent", "flag", "parent_isole"),
    Column("mobility_km", "number", "mobilite_km", low=0, high=2000),
    Column("licence", "flag", "permis_b"),
    Column("available", "date", "date_disponibilite"),
    Column("allowance_ends", "date", "date_fin_allocation"),
    Column("skills", header="competences"),
)
PLACE = (Column("territory", noun=BASSIN, optional=True), Column("department", noun=DEPARTMENT, optional=True))
