"""The first files a fuzzer mutates: for each source, the smallest that its reader takes."""

from __future__ import annotations

import gzip

from features.contracts import Column, Contract
from features.sources import Source

_KINDS = {"integer": "5", "number": "12,5", "flag": "1", "date": "2025-03-31", "month": "2025-03", "text": "x"}
_OFFER = (
    b'{"id":"1AB","dateCreation":"2025-01-29T18:34:08.000Z","dateActualisation":"2025-02-12T14:27:32.000Z",'
    b'"romeCode":"H2206","lieuTravail":{"libelle":"67 - STRASBOURG","commune":"67482"},"typeContrat":"CDD",'
    b'"typeContratLibelle":"CDD - 12 Mois","natureContrat":"Contrat travail","experienceExige":"D",'
    b'"formations":[{"niveauLibelle":"Bac+2"}],"competences":[{"code":"1"}],"nombrePostes":3}'
)
_PLACE = b"<coordonnees><adresse><code-INSEE-commune>67482</code-INSEE-commune></adresse></coordonnees>"
_FORMATION = (
    b'<lheo xmlns="http://www.lheo.org/2.2"><offres><formation numero="F1" datemaj="20250101"><domaine-formation>'
    b'<code-FORMACODE tag="principal">23026</code-FORMACODE><code-ROME>H2206</code-ROME></domaine-formation>'
    b"<intitule-formation>x</intitule-formation><objectif-general-formation>6</objectif-general-formation>"
    b"<code-niveau-entree>13</code-niveau-entree>"
    b'<action numero="A1"><code-public-vise>83056</code-public-vise><lieu-de-formation>' + _PLACE + b"</lieu-de-formation>"
    b'<session numero="S1"><periode><debut>20250301</debut><fin>20250601</fin></periode>'
    b"<etat-recrutement>1</etat-recrutement></session></action></formation></offres></lheo>"
)
_PUBLIC = {
    "offers": [_OFFER, b'{"resultats":[' + _OFFER + b"]}", gzip.compress(_OFFER + b"\n" + _OFFER, mtime=0)],
    "catalogue": [_FORMATION],
    "bmo": [
        "annee;Code métier BMO;BE24;REG;Dept;met;xmet;smet\n2024;A0X40;4415;44;08;120;*;5\n".encode(),
    ],
}


def seeds_of(source: Source) -> list[bytes]:
    """Give the first files of one source."""
    return _PUBLIC.get(source.name) or [_ours(source.contract)]


def _ours(contract: Contract) -> bytes:
    """Write a file of one of our tables with one row that its contract takes."""
    columns = [column for column in contract.columns if column.header]
    return "\n".join([";".join(c.header for c in columns), ";".join(_cell(c) for c in columns)]).encode()


def _cell(column: Column) -> str:
    if column.choices:
        return column.choices[0]
    return column.noun.example if column.noun else _KINDS[column.kind]
