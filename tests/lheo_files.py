"""Catalogues small enough to read: each element that the reader knows, at its place."""

import gzip
from pathlib import Path

import pandas as pd

from features.sources.lheo import read_catalogue

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "formation"
SPACE = "http://www.lheo.org/2.2"

PLACE = (
    "<lieu-de-formation><coordonnees><adresse><code-INSEE-commune>67482</code-INSEE-commune>"
    "<geolocalisation><latitude>48.58</latitude><longitude>7.75</longitude></geolocalisation></adresse></coordonnees></lieu-de-formation>"
)
FORMATION = (
    '<domaine-formation><code-FORMACODE>11111</code-FORMACODE><code-FORMACODE tag="principal">{formacode}</code-FORMACODE>'
    "<code-NSF>255</code-NSF><code-ROME>F1602</code-ROME><code-ROME>F1603</code-ROME></domaine-formation>"
    "<intitule-formation>Électricien\n  du bâtiment</intitule-formation><certifiante>1</certifiante>"
    "<code-niveau-entree>{entry}</code-niveau-entree><objectif-general-formation>{objective}</objectif-general-formation>"
    "<certification><code-RNCP>RNCP38878</code-RNCP><code-CERTIFINFO>113911</code-CERTIFINFO></certification>"
    "<certification><code-CERTIFINFO>106031</code-CERTIFINFO><code-RS>5190</code-RS></certification>"
    "<code-niveau-sortie>13</code-niveau-sortie>{actions}<organisme-formation-responsable><SIRET-organisme-formation>"
    "<SIRET>01234567890123</SIRET></SIRET-organisme-formation></organisme-formation-responsable>{more}"
)
RESUME = (
    '<resume-offre numero="{number}"><domaine-formation><code-FORMACODE>24054</code-FORMACODE>'
    "<code-FORMACODE>11111</code-FORMACODE>"
    "<code-NSF>255</code-NSF><code-ROME>F1602</code-ROME></domaine-formation>"
    "<intitule-formation>Électricien du bâtiment</intitule-formation><nom-organisme>x</nom-organisme>"
    "<SIRET>01234567890123</SIRET>"
    "<code-INSEE-commune>{commune}</code-INSEE-commune><certifiante>1</certifiante><code-niveau-entree>4</code-niveau-entree>"
    "<modalites-enseignement>2</modalites-enseignement><code-public-vise>80056</code-public-vise>"
    "<nombre-heures-total>300</nombre-heures-total>{sessions}<certification><code-RNCP>38878</code-RNCP>"
    "<code-CERTIFINFO>113911</code-CERTIFINFO></certification>"
    '<extras info="lheo"><extra info="conventionnement">1</extra></extras>'
    '<extras info="geolocalisation"><extra info="latitude">48.58</extra><extra info="longitude">7.75</extra></extras>'
    '<extras info="complements"><extra info="code-niveau-sortie">5</extra></extras></resume-offre>'
)


def session(number="S1", start="20250901", end="20260131", inner="") -> str:
    name = f' numero="{number}"' if number else ""
    period = f"<periode><debut>{start}</debut><fin>{end}</fin></periode>"
    return f"<session{name}>{period}<etat-recrutement>1</etat-recrutement>{inner}</session>"


def action(*sessions: str, number="A1", inner="", place=PLACE, hours="<nombre-heures-total>600</nombre-heures-total>") -> str:
    return (
        f'<action numero="{number}"><code-public-vise>80056</code-public-vise>'
        "<niveau-entree-obligatoire>1</niveau-entree-obligatoire><modalites-enseignement>1</modalites-enseignement>"
        f"{place}<modalites-entrees-sorties>0</modalites-entrees-sorties>{''.join(sessions)}"
        f"{hours}<conventionnement>0</conventionnement><prix-total-TTC>2 500,50 €</prix-total-TTC>{inner}</action>"
    )


def formation(*actions: str, formacode="24054", objective="6", entry="4", more="") -> str:
    content = FORMATION.format(formacode=formacode, objective=objective, entry=entry, actions="".join(actions), more=more)
    return f"<formation>{content}</formation>"


def resume(*sessions: str, number="AF_SE", commune="67482") -> str:
    return RESUME.format(number=number, commune=commune, sessions="".join(sessions))


def dated(export: str) -> str:
    return f'<extras info="flux"><extra info="date-export">{export}</extra></extras>' if export else ""


def catalogue(*formations: str, space=SPACE, export="20250331") -> str:
    head = f'<?xml version="1.0" encoding="UTF-8"?><lheo xmlns="{space}"><offres>'
    return f"{head}{''.join(formations)}</offres>{dated(export)}</lheo>"


def index(*resumes: str, space=SPACE, export="20250331") -> str:
    organisms = "<resumes-organismes><resume-organisme><SIRET>0</SIRET></resume-organisme></resumes-organismes>"
    held = f"<resumes-offres>{''.join(resumes)}{dated(export)}</resumes-offres>"
    return f'<lheo-index xmlns="{space}">{held}{organisms}</lheo-index>'


def write(folder: Path, content: str | bytes, name="catalogue.xml") -> Path:
    path = folder / name
    raw = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(raw, mtime=0) if name.endswith(".gz") else raw)
    return path


def kept(folder: Path, *formations: str) -> pd.DataFrame:
    return read_catalogue([write(folder, catalogue(*formations))]).kept
