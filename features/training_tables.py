"""The tables of training: the people looking for work, what was bought for them, and what became of them.

Headers are those of our own CSV formats. A column in ``later`` of a contract became known after its row did.
"""

from __future__ import annotations

from features.columns import FIRST_YEAR, LAST_YEAR, PERSON, PLACE, TYPED_TERRITORY, comes_before
from features.contracts import Column, Contract, Rule
from features.vocabulary import ACTION_TYPES, COMMUNE, FORMACODE, OCCUPATION, PUBLICS

_EMPLOYMENT_CONTRACTS = ("CDI", "CDD", "MIS", "PUB", "IND", "APP", "SAI")

JOBSEEKERS = Contract(
    "jobseekers",
    "one person looking for work, at one observation date",
    (
        Column("person", header="id_personne", nullable=False),
        Column("known_from", "date", "date_observation", nullable=False),
        *PERSON,
        Column("opposition", "flag", "opposition"),
        *PLACE,
    ),
    ("person", "known_from"),
    period="known_from",
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
        *PERSON,
        *PLACE,
    ),
    ("person", "session", "known_from"),
    later={"exited": ("exited", "exit_reason", "certified")},
    rules=(
        comes_before("entered", "exited", "the person left (date_sortie) before entering (date_entree)"),
        comes_before("known_from", "entered", "the person entered (date_entree) before the prescription"),
    ),
    sums=("cost_eur",),
    period="known_from",
)
EMPLOYMENT = Contract(
    "employment",
    "one spell of work of one person",
    (
        Column("person", header="id_personne", nullable=False),
        Column("starts", "date", "date_debut", nullable=False),
        Column("ends", "date", "date_fin"),
        Column("contract", header="contrat", nullable=False, choices=_EMPLOYMENT_CONTRACTS),
        Column("occupation", header="rome", noun=OCCUPATION),
        Column("commune", header="insee_commune", noun=COMMUNE),
        Column("source", header="source"),
        Column("known_from", "date", "connu_le", nullable=False),
        Column("planned_end", "date", "date_fin_prevue", optional=True),
        Column("end_known_from", "date", "fin_connue_le", optional=True),
        *PLACE,
    ),
    ("person", "starts", "contract", "occupation", "ends", "commune", "source", "known_from"),
    later={"end_known_from": ("ends", "end_known_from")},
    rules=(comes_before("starts", "ends", "the spell ends before it starts"),),
    period="starts",
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
    rules=(comes_before("origin_date", "known_from", "the outcome is known before its origin"),),
    period="origin_date",
)
PURCHASES = Contract(
    "purchases",
    "one lot bought for one year",
    (
        Column("exercise", "integer", "exercice", nullable=False, low=FIRST_YEAR, high=LAST_YEAR),
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
        TYPED_TERRITORY,
        Rule("effectif_min is above effectif_max", lambda t: t["group_min"] > t["group_max"]),
        Rule(
            "a framework agreement (accord_cadre) states no maximum",
            lambda t: (
                (t["contract"] == "accord_cadre")
                & (t["exercise"] >= 2022)
                & t["places_max"].isna()
                & t["amount_max_eur"].isna()
            ),
        ),
    ),
    volume="places",
    sums=("cost_eur", "sessions", "trainee_hours"),
    period="exercise",
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
        *PLACE,
    ),
    ("session",),
    known_from="",
    later={"starts": ("entries",)},
    rules=(comes_before("starts", "ends", "the session ends before it starts"),),
    volume="places",
    sums=("entries",),
    period="starts",
)
