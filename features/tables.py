"""The named tables: what each source holds once it is checked, and the bundle that features are built from.

Headers are those of our own CSV formats; tables without headers come from a public format through a reader of
:mod:`features.sources`. A column in ``later`` of a contract became known after its row did.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from features.columns import FIRST_YEAR, LAST_YEAR, PLACE, TYPED_TERRITORY, comes_before
from features.contracts import Column, Contract, Rule, fingerprint
from features.known import known_rows
from features.lazy import Source, ask
from features.market_tables import INSERTION, MARKET, TENSION
from features.reference_tables import CERTIFICATIONS, MOBILITIES, OCCUPATION_SKILLS, REGISTRATIONS, SKILLS
from features.training_tables import EMPLOYMENT, JOBSEEKERS, OUTCOMES, PURCHASES, SESSIONS, TRAININGS
from features.vocabulary import (
    ACTION_TYPES,
    BASSIN,
    COMMUNE,
    DEPARTMENT,
    FAMILY,
    FORMACODE,
    MAISON,
    OCCUPATION,
    REGION_CODE,
    ZONE,
)

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
        Column("hourly_eur", "number", low=0, high=1000, optional=True),
        Column("superseded", "date", optional=True),
        *PLACE,
    ),
    ("offer", "known_from"),
    later={"superseded": ("superseded",)},
    rules=(comes_before("created", "known_from", "the offer was updated before it was created"),),
    volume="positions",
    period="created",
)
SMALLEST_PUBLISHED = 5  # what is less is a statistical secret, so a smaller number is none of the publisher's
_SURVEYED = ("projects", "difficult", "seasonal")


def _neither_given_nor_secret(count: str) -> Rule:
    return Rule(f"{count} is neither given nor secret (*)", lambda t: t[count].isna() & ~t[f"{count}_secret"])


BMO = Contract(
    "bmo",
    "the recruitment projects of one family in one bassin × département and survey year",
    (
        Column("year", "integer", nullable=False, low=FIRST_YEAR, high=LAST_YEAR),
        Column("nomenclature", nullable=False, choices=("FAP2009", "FAP2021")),
        Column("family", noun=FAMILY, nullable=False),
        Column("territory", noun=BASSIN, nullable=False),
        Column("department", noun=DEPARTMENT, nullable=False),
        Column("region", noun=REGION_CODE, nullable=False),
        *(Column(count, "number", low=SMALLEST_PUBLISHED) for count in _SURVEYED),
        Column("projects_secret", "flag", nullable=False),
        Column("difficult_secret", "flag", nullable=False),
        Column("seasonal_secret", "flag", nullable=False),
        Column("known_from", "date", nullable=False),
    ),
    ("year", "family", "territory", "department"),
    rules=tuple(_neither_given_nor_secret(count) for count in _SURVEYED),
    volume="projects",
    sums=("difficult", "seasonal"),
    period="year",
    national=True,
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
        Column("formacodes"),
        Column("nsf"),
        Column("occupations"),
        Column("certifinfo"),
        Column("certifinfos"),
        Column("rncp"),
        Column("rncps"),
        Column("rs"),
        Column("certifying", "flag"),
        Column("entry_level", "integer", low=1, high=8),
        Column("entry_level_binds", "flag", nullable=False),
        Column("exit_level", "integer", low=1, high=8),
        Column("modules"),
        Column("blocks"),
        Column("publics"),
        Column("teaching"),
        Column("hours", "number", low=0, high=20000),
        Column("hours_centre", "number", low=0, high=20000),
        Column("hours_company", "number", low=0, high=20000),
        Column("under_agreement", "flag"),
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
        *PLACE,
    ),
    ("session", "known_from"),
    rules=(comes_before("starts", "ends", "the session ends before it starts"),),
    volume="seats",
    period="starts",
)
_FAMILIES = rf"(?:[A-Z]|{FAMILY.pattern})(?:\|(?:[A-Z]|{FAMILY.pattern}))*"


def _misspelt(t: pd.DataFrame) -> pd.Series[bool]:
    """Mark the codes that are not spelt as their nomenclature does. Same rows."""
    is_rome = t["nomenclature"] == "ROME"
    spelt = t["code"].str.fullmatch(OCCUPATION.pattern).where(is_rome, t["code"].str.fullmatch(_FAMILIES))
    return t["code"].notna() & ~spelt


PROJECTIONS = Contract(
    "projections",
    "the jobs that one study projects for one occupation or family in one territory over the whole period, from annee_debut to"
    " annee_fin",
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
        Column("first_year", "integer", "annee_debut", low=FIRST_YEAR, high=LAST_YEAR),
        Column("last_year", "integer", "annee_fin", low=FIRST_YEAR, high=LAST_YEAR),
        Column("jobs", "integer", low=0, optional=True),
        Column("openings", "number", "postes_a_pourvoir"),
        Column("net_jobs", "number", "creations_nettes"),
        Column("departures", "number", "departs", low=0),
        Column("young_starters", "number", "jeunes_debutants", low=0),
        Column("mobility", "integer", optional=True),
        Column("reliability", header="fiabilite", choices=("A", "B", "C", "D")),
    ),
    ("source", "known_from", "scenario", "nomenclature", "code", "territory_kind", "territory", "first_year"),
    rules=(
        Rule("code is not spelt as its nomenclature does (T4Z60, K2204); families counted together are joined by |", _misspelt),
        TYPED_TERRITORY,
        Rule("annee_fin comes before annee_debut", lambda t: t["last_year"] < t["first_year"]),
    ),
    volume="openings",
    sums=("net_jobs", "departures", "young_starters"),
    period="first_year",
    national=True,
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
    rules=(TYPED_TERRITORY,),
    volume="places_asked",
    period="known_from",
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
    volume="population",
)
DECIDED = ("lot", "gate", "crosswalk", "sector_group")
OVERRIDES = Contract(
    "overrides",
    "one human decision",
    (
        Column("object", header="objet", nullable=False, choices=DECIDED),
        Column("key", header="cle", nullable=False),
        Column("field", header="champ"),
        Column("value", header="valeur"),
        Column("author", header="auteur", nullable=False),
        Column("motive", header="motif", nullable=False),
        Column("known_from", "date", "date", nullable=False),
        Column("expires", "date", "expire_le"),
    ),
    ("object", "key", "field", "known_from"),
    period="known_from",
)


@dataclass(frozen=True)
class Tables:
    """The checked tables of one home, a frozen bundle: what every feature is built from.

    Offers are too many to hold: they stay in a dataset, of which builders ask what was known on their day. Of a list of codes
    the editions stand side by side.
    """

    offers: ds.Dataset
    bmo: pd.DataFrame
    catalogue: pd.DataFrame
    jobseekers: pd.DataFrame
    trainings: pd.DataFrame
    employment: pd.DataFrame
    outcomes: pd.DataFrame
    purchases: pd.DataFrame
    sessions: pd.DataFrame
    projections: pd.DataFrame
    tension: pd.DataFrame
    market: pd.DataFrame
    insertion: pd.DataFrame
    signals: pd.DataFrame
    territories: pd.DataFrame
    overrides: pd.DataFrame
    certifications: pd.DataFrame
    registrations: pd.DataFrame
    mobilities: pd.DataFrame
    skills: pd.DataFrame
    occupation_skills: pd.DataFrame
    until: pd.Timestamp = pd.Timestamp.max

    def known_at(self, as_of: pd.Timestamp) -> Tables:
        """Keep only what was known at ``as_of``; what came later might as well not exist."""
        known = {c.name: known_rows(c, self.frame, as_of) for c in CONTRACTS if c is not OFFERS}
        return Tables(offers=self.offers, **known, until=min(as_of, self.until))

    def frame(self, contract: Contract) -> pd.DataFrame:
        """Give one of the tables that are held. One row as its contract says."""
        frame: pd.DataFrame = getattr(self, contract.name)
        return frame

    @property
    def newest(self) -> pd.Timestamp:
        """The day on which the newest row of the Region's own tables became known; the beginning of time without any."""
        own = [contract for contract in CONTRACTS if contract.known_from and not contract.national]
        return max((day for contract in own for day in self.newest_of(contract)), default=pd.Timestamp.min)

    def newest_of(self, contract: Contract) -> list[pd.Timestamp]:
        """The day on which the newest row of a table became known; none without any."""
        return newest_in(self.offers if contract is OFFERS else self.frame(contract), contract.known_from, self.until)

    @property
    def rows(self) -> int:
        """Rows of all tables together."""
        return sum(self.count(contract.name) for contract in CONTRACTS)

    def count(self, name: str) -> int:
        """Count the rows of one table."""
        if name == OFFERS.name:
            return int(self.offers.count_rows(filter=pc.field("known_from") <= pa.scalar(self.until.to_datetime64())))
        return len(self.frame(CONTRACT[name]))

    def prints(self) -> dict[str, str]:
        """Hash the rows of every table, human decisions by what they are about; file names and row order do not count."""
        held = ((c.name, self.frame(c)) for c in CONTRACTS if c not in (OFFERS, OVERRIDES))
        decided = ((decisions_on(about), self.overrides[self.overrides["object"] == about]) for about in DECIDED)
        offers = {OFFERS.name: _fingerprint_offers(self.offers, self.until)}
        return offers | {name: fingerprint(iter([(name, rows)])) for name, rows in chain(held, decided)}

    def fingerprint(self) -> str:
        """Hash every row of every table."""
        return hash_prints(self.prints())


def decisions_on(about: str) -> str:
    """Name the human decisions on one sort of thing, among the prints of tables."""
    return f"{OVERRIDES.name} {about}"


def hash_prints(prints: Mapping[str, str]) -> str:
    """Hash the prints of tables to one."""
    return hashlib.sha256("|".join(f"{name}={prints[name]}" for name in sorted(prints)).encode()).hexdigest()


def newest_in(rows: Source, clock: str, until: pd.Timestamp) -> list[pd.Timestamp]:
    """Give the newest day of those until another; none where there is none."""
    told = {"told": rows if isinstance(rows, ds.Dataset) else rows[[clock]]}
    days = ask(f"SELECT max({clock}) AS day FROM told WHERE {clock} <= $until", told, until=until)["day"]
    return list(days.dropna())


def _fingerprint_offers(offers: ds.Dataset, until: pd.Timestamp) -> str:
    """Hash the offers known until a day: the sum of what each row hashes to, so that their order does not count.

    ``superseded`` follows from the other rows, and may lie after that day. Another version of the engine may hash otherwise:
    the same inputs are then another run.
    """
    columns = [c.name for c in OFFERS.columns if c.name in offers.schema.names and c.name != "superseded"]
    total = f"sum(hash({', '.join(columns)})::HUGEINT)::VARCHAR"
    sql = f"SELECT count(*) AS n, {total} AS total FROM offers WHERE known_from <= $until"
    answer = ask(sql, {"offers": offers}, until=until).iloc[0]
    return f"{'|'.join(columns)}|{answer['n']}|{answer['total']}"


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
    TENSION,
    MARKET,
    INSERTION,
    SIGNALS,
    TERRITORIES,
    OVERRIDES,
    CERTIFICATIONS,
    REGISTRATIONS,
    MOBILITIES,
    SKILLS,
    OCCUPATION_SKILLS,
)
CONTRACT = {contract.name: contract for contract in CONTRACTS}
