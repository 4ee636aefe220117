"""The named tables: what each source holds once it is checked, and the bundle that features are built from.

Headers are those of our own CSV formats; tables without headers come from a public format through a reader of
:mod:`features.sources`. A column in ``later`` of a contract became known after its row did.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import pandas as pd

from features.contracts import Column, Contract, Rule, fingerprint
from features.vocabulary import (
    ACTION_TYPES,
    BASSIN,
    COMMUNE,
    DEPARTMENT,
    FAMILY,
    FORMACODE,
    MAISON,
    OCCUPATION,
    PUBLICS,
    TERRITORY,
    ZONE,
)

_FIRST_YEAR, _LAST_YEAR = 1990, 2099
_CONTRACTS = ("CDI", "CDD", "MIS", "PUB", "IND", "APP", "SAI")


def _after(start: str, end: str, reason: str) -> Rule:
    return Rule(reason, lambda t: t[end] < t[start])


_TYPED = Rule(
    "territoire is not a code of its territoire_type (BE 4415, ZE 4413, D 67, MR 03, R 44)",
    lambda t: (
        t["territory"].notna()
        & ~(TERRITORY.spelt(t["territory"]) & (t["territory"].str.extract(r"^([A-Z]+)", expand=False) == t["territory_kind"]))
    ),
)
_PERSON = (
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
_PLACE = (Column("territory", noun=BASSIN, optional=True), Column("department", noun=DEPARTMENT, optional=True))

OFFERS = Contract(
    "offers",
    "one version of one job offer",
    (
        Column("offer", nullable=False),
        Column("created", "date", nullable=False),
        Column("known_from", "date", nullable=False),
        Column("occupation", noun=OCCUPATION, nullable=False),
        Column("leaf", noun=OCCUPATION),
        Column("commune", noun=COMMUNE),
        Column("border", choices=("LU", "DE", "BE", "CH")),
        Column("contract"),
        Column("contract_months", "number", low=0, high=600),
        Column("seasonal", "flag", nullable=False),
        Column("positions", "integer", nullable=False, low=1, high=10000),
        Column("experience", choices=("D", "S", "E")),
        Column("level", "integer", low=1, high=8),
        Column("skills"),
        *_PLACE,
    ),
    ("offer", "known_from"),
    rules=(_after("created", "known_from", "the offer was updated before it was created"),),
)
BMO = Contract(
    "bmo",
    "the recruitment projects of one family in one bassin × département and survey year",
    (
        Column("year", "integer", nullable=False, low=_FIRST_YEAR, high=_LAST_YEAR),
        Column("nomenclature", nullable=False, choices=("FAP2009", "FAP2021")),
        Column("family", noun=FAMILY, nullable=False),
        Column("territory", noun=BASSIN, nullable=False),
        Column("department", noun=DEPARTMENT, nullable=False),
        Column("projects", "number", low=0),
        Column("difficult", "number", low=0),
        Column("seasonal", "number", low=0),
        Column("projects_secret", "flag", nullable=False),
        Column("difficult_secret", "flag", nullable=False),
        Column("seasonal_secret", "flag", nullable=False),
        Column("known_from", "date", nullable=False),
    ),
    ("year", "family", "territory", "department"),
)
CATALOGUE = Contract(
    "catalogue",
    "one training session of one catalogue export",
    (
        Column("session", nullable=False),
        Column("known_from", "date", nullable=False),
        Column("title"),
        Column("action_type", choices=ACTION_TYPES),
        Column("formacode", noun=FORMACODE, nullable=False),
        Column("certifinfo"),
        Column("rncp"),
        Column("occupations"),
        Column("entry_level", "integer", low=1, high=8),
        Column("entry_level_binds", "flag", nullable=False),
        Column("exit_level", "integer", low=1, high=8),
        Column("publics"),
        Column("hours", "number", low=0, high=20000),
        Column("funders"),
        Column("seats", "integer", low=0, high=100000),
        Column("price_eur", "number", low=0),
        Column("starts", "date"),
        Column("ends", "date"),
        Column("permanent", "flag", nullable=False),
        Column("state", "integer", low=1, high=3),
        Column("commune", noun=COMMUNE),
        Column("latitude", "number", low=-90, high=90),
        Column("longitude", "number", low=-180, high=180),
        Column("provider"),
        *_PLACE,
    ),
    ("session", "known_from"),
    rules=(_after("starts", "ends", "the session ends before it starts"),),
)
JOBSEEKERS = Contract(
    "jobseekers",
    "one person looking for work, at one observation date",
    (
        Column("person", header="id_personne", nullable=False),
        Column("known_from", "date", "date_observation", nullable=False),
        *_PERSON,
        Column("opposition", "flag", "opposition"),
        *_PLACE,
    ),
    ("person", "known_from"),
)
TRAININGS = Contract(
    "trainings",
    "one prescription of one session to one person, entered or not",
    (
        Column("person", header="id_personne", nullable=False),
        Column("session", header="id_session", nullable=False),
        Column("lot", header="id_lot"),
        Column("status", header="statut", nullable=False, choices=("prescrit", "refuse", "non_presente", "entre")),
        Column("known_from", "date", "date_prescription", nullable=False),
        Column("prescriber", header="prescripteur"),
        Column("entered", "date", "date_entree"),
        Column("planned_end", "date", "date_fin_prevue"),
        Column("exited", "date", "date_sortie"),
        Column("exit_reason", header="motif_sortie", choices=("fin", "abandon", "emploi", "sante", "autre")),
        Column("certified", "flag", "certifie"),
        Column("action_type", header="type_action", nullable=False, choices=ACTION_TYPES),
        Column("formacode", header="formacode", noun=FORMACODE, nullable=False),
        Column("certifinfo", header="certifinfo"),
        Column("rncp", header="rncp"),
        Column("entry_level", "integer", "niveau_entree", low=1, high=8),
        Column("exit_level", "integer", "niveau_sortie", low=1, high=8),
        Column("funder", header="financeur"),
        Column("cost_eur", "number", "cout_eur", low=0),
        Column("allowance_eur", "number", "remuneration_eur", low=0),
        Column("centre_hours", "number", "heures_centre", low=0),
        Column("company_hours", "number", "heures_entreprise", low=0),
        Column("place", header="insee_commune_lieu", noun=COMMUNE),
        *_PERSON,
        *_PLACE,
    ),
    ("person", "session", "known_from"),
    later={"exited": ("exited", "exit_reason", "certified")},
    rules=(
        _after("entered", "exited", "the person left (date_sortie) before entering (date_entree)"),
        _after("known_from", "entered", "the person entered (date_entree) before the prescription"),
    ),
)
EMPLOYMENT = Contract(
    "employment",
    "one spell of work of one person",
    (
        Column("person", header="id_personne", nullable=False),
        Column("starts", "date", "date_debut", nullable=False),
        Column("ends", "date", "date_fin"),
        Column("contract", header="contrat", nullable=False, choices=_CONTRACTS),
        Column("occupation", header="rome", noun=OCCUPATION),
        Column("commune", header="insee_commune", noun=COMMUNE),
        Column("source", header="source"),
        Column("known_from", "date", "connu_le", nullable=False),
        Column("planned_end", "date", "date_fin_prevue", optional=True),
        Column("end_known_from", "date", "fin_connue_le", optional=True),
        *_PLACE,
    ),
    ("person", "starts", "contract", "occupation"),
    later={"end_known_from": ("ends", "end_known_from")},
    rules=(_after("starts", "ends", "the spell ends before it starts"),),
)
OUTCOMES = Contract(
    "outcomes",
    "what became of one person, counted from one origin",
    (
        Column("person", header="id_personne", nullable=False),
        Column("origin", header="origine", nullable=False, choices=("entree", "sortie", "observation")),
        Column("origin_date", "date", "date_origine", nullable=False),
        Column("answered", "flag", "repondant"),
        Column("weight", "number", "poids", low=0),
        Column("work_6m", "flag", "emploi_6m"),
        Column("durable_6m", "flag", "durable_6m"),
        Column("trained_occupation_6m", "flag", "metier_vise_6m"),
        Column("work_12m", "flag", "emploi_12m"),
        Column("work_18m", "flag", "emploi_18m"),
        Column("work_24m", "flag", "emploi_24m"),
        Column("known_from", "date", "connu_le", nullable=False),
    ),
    ("person", "origin", "origin_date"),
    rules=(_after("origin_date", "known_from", "the outcome is known before its origin"),),
)
PURCHASES = Contract(
    "purchases",
    "one lot bought for one year",
    (
        Column("exercise", "integer", "exercice", nullable=False, low=_FIRST_YEAR, high=_LAST_YEAR),
        Column("lot", header="id_lot", nullable=False),
        Column("market", header="marche"),
        Column("contract", header="type_contrat", choices=("accord_cadre", "marche", "convention", "subvention")),
        Column(
            "procedure",
            header="procedure",
            choices=(
                "mapa_services_specifiques",
                "appel_offres",
                "marche_subsequent",
                "bon_de_commande",
                "sieg",
                "subvention",
                "convention_ft",
            ),
        ),
        Column("volet", header="volet", choices=("socle", "additionnel", "autre")),
        Column("action_type", header="type_action", nullable=False, choices=ACTION_TYPES),
        Column("formacode", header="formacode", noun=FORMACODE, nullable=False),
        Column("certifinfo", header="certifinfo"),
        Column("entry_level", "integer", "niveau_entree", low=1, high=8),
        Column("exit_level", "integer", "niveau_sortie", low=1, high=8),
        Column("territory_kind", header="territoire_type", nullable=False, choices=("BE", "ZE", "D", "MR", "R")),
        Column("territory", header="territoire", nullable=False),
        Column("public", header="public", choices=PUBLICS),
        Column("funders", header="financeurs"),
        Column("places_min", "integer", "places_min", low=0),
        Column("places_max", "integer", "places_max", low=0),
        Column("places", "integer", "nb_places", low=0),
        Column("sessions", "integer", "nb_sessions", low=0),
        Column("group_min", "integer", "effectif_min", low=1, high=1000),
        Column("group_max", "integer", "effectif_max", low=1, high=1000),
        Column("centre_hours", "number", "heures_centre", low=0),
        Column("company_hours", "number", "heures_entreprise", low=0),
        Column("remote_hours", "number", "heures_distance", low=0),
        Column("trainee_hours", "number", "heures_stagiaires", low=0),
        Column("group_hour_eur", "number", "prix_heure_groupe", low=0),
        Column("trainee_hour_eur", "number", "prix_heure_stagiaire", low=0),
        Column("allowance_eur", "number", "remuneration_eur", low=0),
        Column("cost_eur", "number", "cout_total_eur", low=0),
        Column("amount_min_eur", "number", "montant_min_eur", low=0),
        Column("amount_max_eur", "number", "montant_max_eur", low=0),
        Column("known_from", "date", "date_notification", nullable=False),
        Column("market_ends", "date", "date_fin_marche"),
        Column("renewals", "integer", "reconductions", low=0),
        Column("bids", "integer", "nb_offres_recues", low=0),
        Column("provider", header="siret_of"),
    ),
    ("exercise", "lot"),
    rules=(
        _TYPED,
        Rule("effectif_min is above effectif_max", lambda t: t["group_min"] > t["group_max"]),
        Rule(
            "a framework agreement (accord_cadre) has no maximum",
            lambda t: (
                (t["contract"] == "accord_cadre")
                & (t["exercise"] >= 2022)
                & t["places_max"].isna()
                & t["amount_max_eur"].isna()
            ),
        ),
    ),
)
SESSIONS = Contract(
    "sessions",
    "one session run, or to be run, under a lot",
    (
        Column("session", header="id_session", nullable=False),
        Column("lot", header="id_lot"),
        Column("lheo", header="numero_lheo"),
        Column("starts", "date", "date_debut", nullable=False),
        Column("ends", "date", "date_fin"),
        Column("commune", header="insee_commune", noun=COMMUNE),
        Column("places", "integer", "places", low=0, high=100000),
        Column("entries", "integer", "entrees", low=0, high=100000),
        Column("provider", header="siret_formateur"),
        *_PLACE,
    ),
    ("session",),
    known_from="",
    later={"starts": ("entries",)},
    rules=(_after("starts", "ends", "the session ends before it starts"),),
)
PROJECTIONS = Contract(
    "projections",
    "the yearly openings that one study projects for one occupation or family in one territory",
    (
        Column("source", header="source", nullable=False),
        Column("branch", header="branche"),
        Column("known_from", "date", "date_etude", nullable=False),
        Column("valid_until", "date", "valable_jusquau"),
        Column("scenario", header="scenario"),
        Column("nomenclature", header="nomenclature", nullable=False, choices=("FAP2009", "FAP2021", "ROME")),
        Column("code", header="code", nullable=False),
        Column("territory_kind", header="territoire_type", nullable=False, choices=("BE", "ZE", "D", "MR", "R")),
        Column("territory", header="territoire", nullable=False),
        Column("first_year", "integer", "annee_debut", low=_FIRST_YEAR, high=_LAST_YEAR),
        Column("last_year", "integer", "annee_fin", low=_FIRST_YEAR, high=_LAST_YEAR),
        Column("openings", "number", "postes_a_pourvoir"),
        Column("net_jobs", "number", "creations_nettes"),
        Column("departures", "number", "departs"),
        Column("young_starters", "number", "jeunes_debutants"),
        Column("reliability", header="fiabilite", choices=("A", "B", "C", "D")),
    ),
    ("source", "known_from", "scenario", "nomenclature", "code", "territory_kind", "territory", "first_year"),
    rules=(
        _TYPED,
        Rule("annee_fin comes before annee_debut", lambda t: t["last_year"] < t["first_year"]),
    ),
)
SIGNALS = Contract(
    "signals",
    "what one author says of one need in one territory",
    (
        Column("known_from", "date", "date", nullable=False),
        Column("territory_kind", header="territoire_type", nullable=False, choices=("BE", "ZE", "D", "MR", "R")),
        Column("territory", header="territoire", nullable=False),
        Column("nomenclature", header="nomenclature", nullable=False, choices=("FORMACODE", "SECTEUR", "ROME", "COMPETENCE")),
        Column("code", header="code", nullable=False),
        Column("direction", "integer", "sens", nullable=False, low=-2, high=2),
        Column("places_asked", "number", "places_demandees", low=0),
        Column("author_kind", header="auteur_type"),
        Column("comment", header="commentaire"),
        Column("valid_until", "date", "valable_jusquau"),
    ),
    ("known_from", "territory_kind", "territory", "nomenclature", "code", "author_kind", "comment"),
    rules=(_TYPED,),
)
TERRITORIES = Contract(
    "territories",
    "one commune of the Region and the territories it belongs to",
    (
        Column("commune", header="insee", noun=COMMUNE, nullable=False),
        Column("name", header="commune", nullable=False),
        Column("department", header="departement", noun=DEPARTMENT, nullable=False),
        Column("territory", header="bassin", noun=BASSIN, nullable=False),
        Column("zone", header="zone_emploi", noun=ZONE),
        Column("epci", header="epci"),
        Column("maison", header="maison", noun=MAISON),
        Column("latitude", "number", "latitude", nullable=False, low=-90, high=90),
        Column("longitude", "number", "longitude", nullable=False, low=-180, high=180),
        Column("population", "number", "population", nullable=False, low=0),
    ),
    ("commune",),
    known_from="",
)
OVERRIDES = Contract(
    "overrides",
    "one human decision",
    (
        Column("object", header="objet", nullable=False, choices=("lot", "gate", "crosswalk", "sector_group")),
        Column("key", header="cle", nullable=False),
        Column("field", header="champ"),
        Column("value", header="valeur"),
        Column("author", header="auteur", nullable=False),
        Column("reason", header="motif", nullable=False),
        Column("known_from", "date", "date", nullable=False),
        Column("expires", "date", "expire_le"),
    ),
    ("object", "key", "field", "known_from"),
)


@dataclass(frozen=True)
class Tables:
    """The checked tables of one home, a frozen bundle: what every feature is built from."""

    offers: pd.DataFrame
    bmo: pd.DataFrame
    catalogue: pd.DataFrame
    jobseekers: pd.DataFrame
    trainings: pd.DataFrame
    employment: pd.DataFrame
    outcomes: pd.DataFrame
    purchases: pd.DataFrame
    sessions: pd.DataFrame
    projections: pd.DataFrame
    signals: pd.DataFrame
    territories: pd.DataFrame
    overrides: pd.DataFrame

    def known_at(self, as_of: pd.Timestamp) -> Tables:
        """Keep only what was known at ``as_of``; what came later might as well not exist."""
        known = {c.name: c.known_at(getattr(self, c.name), as_of) for c in CONTRACTS if c.known_from}
        return Tables(
            **known, sessions=_sessions_known_at(self.sessions, known["purchases"], as_of), territories=self.territories
        )

    def fingerprint(self) -> str:
        """Hash every row of every table; file names and row order do not count."""
        return fingerprint((f.name, getattr(self, f.name)) for f in fields(self))


def _sessions_known_at(sessions: pd.DataFrame, purchases: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """Keep the sessions whose lot was notified by ``as_of``, or which had started. Same row: one session."""
    known = sessions["lot"].isin(purchases["lot"]) | (sessions["starts"] <= as_of)
    return SESSIONS.blank_later(sessions[known].reset_index(drop=True), as_of)


CONTRACTS = (
    OFFERS,
    BMO,
    CATALOGUE,
    JOBSEEKERS,
    TRAININGS,
    EMPLOYMENT,
    OUTCOMES,
    PURCHASES,
    SESSIONS,
    PROJECTIONS,
    SIGNALS,
    TERRITORIES,
    OVERRIDES,
)
CONTRACT = {contract.name: contract for contract in CONTRACTS}
