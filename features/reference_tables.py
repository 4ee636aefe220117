"""The tables of code lists and certifications: what a code is called, what it belongs to, and since when that is known.

Each row belongs to one edition of its list, known from ``known_from``: two editions side by side are two sets of rows.
Several codes in one cell are separated by ``|``.
"""

from __future__ import annotations

from features.columns import LAST_YEAR
from features.contracts import Column, Contract, Rule
from features.vocabulary import COMMUNE, DEPARTMENT, FORMACODE, OCCUPATION, REGION_CODE, SECTOR, ZONE, Noun

FICHE = Noun("fiche of the RNCP or the RS", r"(?:RNCP|RS)\d{1,6}", "RNCP38228")
_VERSION = Noun("version of the ROME", r"[34](?:\.\d{2})?", "4.60")
_ANY_GRAIN = Noun("FAP family, or the letter above it", r"[A-Z](?:[0-9A-E][A-Z](?:\d{2}[a-z]?)?)?", "A0Z40")
_FINE = Noun("FAP family of five characters", r"[A-Z][0-9A-E][A-Z]\d{2}", "A0Z40")


def _several(noun: Noun) -> Noun:
    """Give the noun of a cell that holds several codes."""
    return Noun(f"list of codes, each a {noun.name},", rf"(?:{noun.pattern})(?:\|(?:{noun.pattern}))*", noun.example)


_OCCUPATIONS, _FORMACODES, _FICHES = _several(OCCUPATION), _several(FORMACODE), _several(FICHE)
_NSF = _several(Noun("training speciality (NSF)", r"\d{3}[a-z]?", "221w"))
_FIRST_DIPLOMA = 1900
_EDITION = Column("known_from", "date", nullable=False)

CERTIFICATIONS = Contract(
    "certifications",
    "one certification of one edition of CertifInfo",
    (
        Column("certifinfo", noun=Noun("CertifInfo code", r"\d{1,6}", "84409"), nullable=False),
        Column("title", nullable=False),
        Column("kind"),
        Column("level", "integer", low=1, high=8),
        Column("formacode", noun=FORMACODE),
        Column("formacode_title"),
        Column("occupations", noun=_OCCUPATIONS),
        Column("nsf", noun=_NSF),
        Column("rncp", noun=Noun("number in the RNCP", r"\d{1,6}", "38228")),
        Column("rs", noun=_several(Noun("number in the RS", r"\d{1,6}", "6117"))),
        Column("state", nullable=False),
        Column("validators"),
        Column("certifiers"),
        Column("first_session", "integer", low=_FIRST_DIPLOMA, high=LAST_YEAR),
        Column("last_session", "integer", low=_FIRST_DIPLOMA, high=LAST_YEAR),
        Column("older"),
        Column("older_rncp"),
        Column("older_state"),
        Column("by_school", "flag"),
        Column("by_apprenticeship", "flag"),
        Column("by_training", "flag"),
        Column("by_work_contract", "flag"),
        Column("by_experience", "flag"),
        Column("by_application", "flag"),
        Column("updated", "date"),
        _EDITION,
    ),
    ("certifinfo", "known_from"),
    known_from="",
    rules=(Rule("the last session comes before the first", lambda t: t["last_session"] < t["first_session"]),),
    code_list=True,
)
REGISTRATIONS = Contract(
    "registrations",
    "one certification of one edition of the national registers (RNCP, RS)",
    (
        Column("fiche", noun=FICHE, nullable=False),
        Column("title", nullable=False),
        Column("diploma"),
        Column("level", "integer", low=1, high=8),
        Column("active", "flag", nullable=False),
        Column("kind"),
        Column("gazetted", "date"),
        Column("decided", "date"),
        Column("takes_effect", "date"),
        Column("ends", "date"),
        Column("formacodes", noun=_FORMACODES),
        Column("nsf", noun=_NSF),
        Column("occupations", noun=_OCCUPATIONS),
        Column("accesses"),
        Column("older", noun=_FICHES),
        Column("newer", noun=_FICHES),
        _EDITION,
    ),
    ("fiche", "known_from"),
    known_from="",
    code_list=True,
)
BLOCKS = Contract(
    "blocks",
    "one block of skills of one certification and edition of the national registers",
    (Column("fiche", noun=FICHE, nullable=False), Column("block", nullable=False), Column("title", nullable=False), _EDITION),
    ("fiche", "block", "known_from"),
    known_from="",
    code_list=True,
)
ROME = Contract(
    "rome",
    "one occupation of one version of the ROME",
    (
        Column("version", noun=_VERSION, nullable=False),
        Column("code", noun=OCCUPATION, nullable=False),
        Column("title", nullable=False),
        Column("parent", noun=OCCUPATION, nullable=False),
        Column("green"),
        Column("digital", "flag"),
        Column("ageing", "flag"),
        Column("regulated", "flag"),
        Column("executive", "flag"),
        _EDITION,
    ),
    ("version", "code", "known_from"),
    known_from="",
    code_list=True,
)
MOBILITIES = Contract(
    "mobilities",
    "one move from an occupation, or from one of its jobs, to another, in one version of the ROME",
    (
        Column("version", noun=_VERSION, nullable=False),
        Column("origin", noun=OCCUPATION, nullable=False),
        Column("target", noun=OCCUPATION, nullable=False),
        Column("origin_job"),
        Column("target_job"),
        Column("kind", choices=("proche", "evolution")),
        Column("rank", "integer", low=1),
        _EDITION,
    ),
    ("version", "origin", "target", "origin_job", "target_job", "known_from"),
    known_from="",
    code_list=True,
)
SKILLS = Contract(
    "skills",
    "one skill of one version of the ROME",
    (
        Column("version", noun=_VERSION, nullable=False),
        Column("skill", noun=Noun("OGR code", r"\d{1,6}", "100381"), nullable=False),
        Column("title", nullable=False),
        Column("kind"),
        _EDITION,
    ),
    ("version", "skill", "known_from"),
    known_from="",
    code_list=True,
)
OCCUPATION_SKILLS = Contract(
    "occupation_skills",
    "one skill, activity or working condition that one occupation holds, in one version of the ROME",
    (
        Column("version", noun=_VERSION, nullable=False),
        Column("occupation", noun=OCCUPATION, nullable=False),
        SKILLS["skill"],
        Column("core"),
        _EDITION,
    ),
    ("version", "occupation", "skill", "known_from"),
    known_from="",
    code_list=True,
)
FORMACODES = Contract(
    "formacodes",
    "one Formacode of one edition of the list: a subject (DOM) with its field, or another facet (PUB, DIP, OUT…)",
    (
        Column("formacode", noun=FORMACODE, nullable=False),
        Column("title", nullable=False),
        Column("facets", nullable=False),
        Column("field", noun=SECTOR),
        Column("field_title"),
        Column("broader", noun=_FORMACODES),
        Column("nsf", noun=_NSF),
        _EDITION,
    ),
    ("formacode", "known_from"),
    known_from="",
    code_list=True,
)
FAMILIES = Contract(
    "families",
    "one family of one nomenclature, of any grain",
    (
        Column("nomenclature", nullable=False, choices=("FAP2009", "FAP2021")),
        Column("family", noun=_ANY_GRAIN, nullable=False),
        Column("title", nullable=False),
        Column("parent", noun=_ANY_GRAIN),
        _EDITION,
    ),
    ("nomenclature", "family", "known_from"),
    known_from="",
    code_list=True,
)
OCCUPATION_FAMILIES = Contract(
    "occupation_families",
    "one occupation that one family holds, by the passage of the Dares",
    (
        Column("occupation", noun=OCCUPATION, nullable=False),
        Column("nomenclature", nullable=False, choices=("FAP2009", "FAP2021")),
        Column("family", noun=_FINE, nullable=False),
        _EDITION,
    ),
    ("occupation", "nomenclature", "family", "known_from"),
    known_from="",
    code_list=True,
)
COMMUNES = Contract(
    "communes",
    "one commune of France in one edition of its geography",
    (
        Column("commune", noun=COMMUNE, nullable=False),
        Column("name", nullable=False),
        Column("zone", noun=ZONE),
        Column("zone_title"),
        Column("department", noun=DEPARTMENT, nullable=False),
        Column("region", noun=REGION_CODE, nullable=False),
        _EDITION,
    ),
    ("commune", "known_from"),
    known_from="",
    code_list=True,
)
REFERENCES = (
    CERTIFICATIONS,
    REGISTRATIONS,
    BLOCKS,
    ROME,
    MOBILITIES,
    SKILLS,
    OCCUPATION_SKILLS,
    FORMACODES,
    FAMILIES,
    OCCUPATION_FAMILIES,
    COMMUNES,
)
