"""CertifInfo: every certification with its Formacode, its level, its occupations and what came before it.

A certification comes on several lines where it has several identifiers elsewhere (RS, Onisep): one row holds them all. Its
Formacode is one. Its occupations are codes of ROME 4 as they are given, and whole domains (``A1100``) where nothing more
precise was known. An access that is neither open nor closed is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from features.contracts import Checked
from features.reference_tables import CERTIFICATIONS
from features.sources.editions import read_editions
from features.sources.grid import Layout
from features.sources.lists import dated, iso_days
from features.sources.publication import PublicationParams

_ACCESSES = {
    "by_school": "accessibilite fi",
    "by_apprenticeship": "accessibilite ca",
    "by_training": "accessibilite fc",
    "by_work_contract": "accessibilite cp",
    "by_experience": "accessibilite vae",
    "by_application": "accessibilite ind",
}
_OCCUPATIONS = [f"occupation_{number}" for number in range(1, 6)]
LAYOUT = Layout(
    {
        "code diplome": "certifinfo",
        "libelle diplome": "title",
        "libelle type diplome": "kind",
        "code niveau europeen": "level",
        "date maj": "updated",
        "code formacode": "formacode",
        "libelle formacode": "formacode_title",
        **{f"code rome {name[-1]}": name for name in _OCCUPATIONS},
        "code nsf": "nsf",
        "code rncp": "rncp",
        "code rs": "rs",
        "valideurs?": "validators",
        "certificateurs?": "certifiers",
        "annee premiere session": "first_session",
        "annee derniere session": "last_session",
        "code ancien diplome": "older",
        "code ancien rncp": "older_rncp",
        "etat libelle": "state",
        "etat ancien diplome libelle": "older_state",
        **{header: name for name, header in _ACCESSES.items()},
    },
    "A real one is the CertifInfo open data CSV, with the columns Code_Diplome, Libelle_Diplome, Code_Niveau_Europeen, "
    "Code_FormaCode, Code_Rome_1, Code_Nsf, Code_RNCP, Code_RS, Etat_Libelle, …",
    optional=frozenset(
        {"kind", "formacode_title", "validators", "certifiers", "older_state", "updated", *_OCCUPATIONS[1:], *_ACCESSES}
    ),
)


def read_certifications(paths: Sequence[Path], publication: PublicationParams) -> Checked:
    """Read editions of CertifInfo. One row per certification and edition."""
    rows = read_editions(paths, LAYOUT)
    rows = rows.assign(updated=iso_days(rows["updated"]))
    named = rows.assign(
        rs=_every_rs(rows),
        occupations=_joined(rows, _OCCUPATIONS),
        older_state=rows["older_state"].mask(rows["older"] == "", ""),
        known_from=dated(rows["named_day"].mask(rows["named_day"] == "", _newest(rows)), publication),
        **{name: rows[name].mask(rows[name] == "2", "") for name in _ACCESSES},
    )
    return CERTIFICATIONS.parse(named, CERTIFICATIONS.name)


def _every_rs(rows: pd.DataFrame) -> pd.Series[str]:
    """Join the numbers in the RS that a file gives a certification on its several lines. Same rows."""
    certifications = rows["file"] + "\n" + rows["certifinfo"]
    given = rows.loc[rows["rs"] != "", "rs"].groupby(certifications).unique()
    return certifications.map(given.map(lambda codes: "|".join(sorted(codes)))).astype("str").fillna("")


def _joined(rows: pd.DataFrame, columns: list[str]) -> pd.Series[str]:
    """Join the codes of several columns, in their order, without the empty ones. Same rows."""
    texts = rows[columns[0]].str.cat(rows[columns[1:]], sep="|")
    return texts.str.replace(r"\|+", "|", regex=True).str.strip("|")


def _newest(rows: pd.DataFrame) -> pd.Series[str]:
    """Give the last day on which anything of the same file was updated. Same rows."""
    days = rows["updated"].where(rows["updated"].str.fullmatch(r"\d{4}-\d{2}-\d{2}"), "")
    return days.groupby(rows["file"]).transform("max")
