"""The first files a fuzzer mutates: for each source, the smallest that its reader takes."""

from __future__ import annotations

import gzip
from io import BytesIO
from zipfile import ZipFile

import xlsxwriter

from features.contracts import Column, Contract
from features.sources import Source

_KINDS = {"integer": "5", "number": "12,5", "flag": "1", "date": "2025-03-31", "month": "2025-03", "text": "x"}
_MEANT = {"territory": "4415", "code": "A0Z40"}
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
_STUDY = (
    b'[{"code_fap":"T4Z","fap_libelle":"x","region":"Grand Est","effectifs_2019_milliers":58.1,'
    b'"creations_destructions_milliers":-1.2,"departs_fin_carriere_milliers":5.3,"jeunes_debutants_milliers":-5.7,"solde_mobilites_inter_regions_milliers":0.1,'
    b'"postes_a_pourvoir_milliers":4.1}]'
)
_CAUSES = "Intensité d'embauches,Lien formation-emploi,Manque de main-d'œuvre disponible,Non-durabilité de l'emploi"
_FICHES = {
    "Standard": '"Id_Fiche";"Numero_Fiche";"Intitule";"Abrege_Libelle";"Abrege_Intitule";"Nomenclature_Europe_Niveau";'
    '"Nomenclature_Europe_Intitule";"Accessible_Nouvelle_Caledonie";"Accessible_Polynesie_Francaise";"Date_dernier_jo";'
    '"Date_Decision";"Date_Fin_Enregistrement";"Date_Effet";"Type_Enregistrement";"Validation_Partielle";"Actif"\n'
    '"1";"RNCP509";"Agent";"CAP";"x";"NIV3";"Niveau 3";"Non";"Non";;;"31/08/2023";;"Enregistrement de droit";;"INACTIVE"\n',
    "Blocs_De_Compétences": '"Numero_Fiche";"Bloc_Competences_Code";"Bloc_Competences_Libelle"\n'
    '"RNCP509";"RNCP509BC05";"UG2"\n',
    "Rome": '"Numero_Fiche";"Codes_Rome_Code";"Codes_Rome_Libelle"\n"RNCP509";"I1203";"x"\n',
}
_BMO = ["annee;Code métier BMO;BE24;REG;Dept;met;xmet;smet", "2024;A0X40;4415;44;08;120;*;5"]
_PUBLIC = {
    "bmo": _BMO,
    "tension": [
        f"fap,Emploi moyen,Tension ,Catégorie Tension,{_CAUSES},Conditions de travail contraignantes,Inadéquation géographique,"
        "Année,niveau_geo,niveau_fap,reg,dep",
        "A0Z40,63100,-0.006,3.0,5.0,3.0,2.0,5.0,4.0,5.0,2019,nat,fap 225,,",
    ],
    "market": [
        "annee;ROME;cbassin;oee;defm_abc;ind_tension_d;ind_int_emb_d;ind_main_oeuvre_d;ind_dur_empl_d;ind_cond_travail_d;"
        "ind_mismatch_geo_d;ind_specif_form_empl_d",
        "2021;A1101;4415;16,6;28,25;5;5;1;5;4;4;5",
    ],
    "insertion": [
        "id;millesime;code_region_ij;code_region;voie;cfd;mefstat11;nb_annee_term;nb_en_emploi_12_mois;nb_en_emploi_18_mois;"
        "nb_en_emploi_24_mois;nb_en_emploi_6_mois;nb_poursuite_etudes;nb_sortant;taux_emploi_12_mois;taux_emploi_18_mois;"
        "taux_emploi_24_mois;taux_emploi_6_mois;taux_poursuite_etudes",
        "x;2019_2020;10;44;scolaire;;32221022002;52;12;12;15;9;31;21;57;57;71;43;60",
    ],
    "certifications": [
        "Code_Diplome;Libelle_Diplome;Libelle_Type_Diplome;Code_Niveau_Europeen;Date_MaJ;Code_FormaCode;Libelle_FormaCode;"
        "Code_Rome_1;Code_Rome_2;Code_Rome_3;Code_Rome_4;Code_Rome_5;Code_Nsf;Code_RNCP;Code_RS;Code_Scolarité;valideur;"
        "certificateur;Annee_Premiere_Session;Annee_Derniere_Session;Code_Ancien_Diplome;Intitulé_Ancien_Diplome;"
        "Code_Ancien_RNCP;Code_Ancien_Scolarité;`Options`;Etat;Etat_Libelle;Etat_Ancien_Diplome;Etat_Ancien_Diplome_Libelle;"
        "accessibilite_fi;accessibilite_ca;accessibilite_fc;accessibilite_cp;accessibilite_vae;accessibilite_ind;"
        "code_type_diplome;codeIdeo2",
        "1879;DU;DU;7;29/07/2020;41079;x;C1105;;;;;313;509;;;x;;2001;2020;;;;;;1;publiée;;inconnu;1;2;2;2;0;2;156;",
    ],
    "rome": [
        '"code_rome","code_fiche_metier","code_ogr","libelle_rome","transition_eco","transition_num","transition_demo",'
        '"emploi_reglemente","emploi_cadre","code_rome_parent"',
        '"A1102","11","6","Conducteur","","","","","","A1101"',
    ],
    "mobilities": [
        '"code_rome","code_rome_cible","code_appellation_source","code_appellation_cible","code_type_mobilite",'
        '"libelle_type_mobilite"',
        '"A1101","A1416","","","1","Proche"',
    ],
    "skills": [
        '"code_ogr","libelle_competence","code_type_competence","libelle_type_competence","statut"',
        '"100010","Utilisation d\'\'engins","1","SAVOIRS","1"',
    ],
    "occupation_skills": ['"code_rome","code_ogr"', '"C1401","100381"'],
    "formacodes": [
        "11001;THEORIE GRAPHES;théorie graphes;DOM;110 MATHEMATIQUES;;11022 RECHERCHE;;31672 PERT;x;;;114 Maths;;11001 T"
    ],
    "families": [
        "Code_FAP341;Intitulé_FAP341;Code_FAP228;Intitulé_FAP228;Code_FAP86;Intitulé_FAP86;Code_FAP22;Intitulé_FAP22",
        "A0X41a;Eleveurs;A0X41;Eleveurs;A0X;Agriculteurs;A;Agriculture",
    ],
    "occupation_families": ["Fap;Rome;intitule_rome", "A0Z40;A1416;Polyculture", "A0Z00;NA;NA"],
    "communes": ["CODGEO;LIBGEO;ZE2020;LIBZE2020;ZE2020_PARTIE_REG;DEP;REG", "67482;Strasbourg;4415;Strasbourg;;67;44"],
}
_PACKED = ("registrations", "blocks")


def seeds_of(source: Source) -> list[bytes]:
    """Give the first files of one source."""
    if source.name == "offers":
        return [_OFFER, b'{"resultats":[' + _OFFER + b"]}", gzip.compress(_OFFER + b"\n" + _OFFER, mtime=0)]
    if source.name == "catalogue":
        return [_FORMATION, gzip.compress(_FORMATION, mtime=0)]
    if source.name in _PACKED:
        return [_archive()]
    lines = _PUBLIC.get(source.name)
    own = ["\n".join(lines).encode()] if lines else [_ours(source.contract)]
    others = {"projections": [_STUDY], "bmo": [_workbook(_BMO)]}
    return [*own, *others.get(source.name, [])]


def _archive() -> bytes:
    """Pack the tables of a few fiches as their publisher does."""
    packed = BytesIO()
    with ZipFile(packed, "w") as archive:
        for name, text in _FICHES.items():
            archive.writestr(f"export_fiches_CSV_{name}_2024_02_22.csv", text)
    return packed.getvalue()


def _workbook(lines: list[str]) -> bytes:
    """Write a table as a workbook."""
    written = BytesIO()
    book = xlsxwriter.Workbook(written)
    sheet = book.add_worksheet()
    for place, line in enumerate(lines):
        sheet.write_row(place, 0, line.split(";"))
    book.close()
    return written.getvalue()


def _ours(contract: Contract) -> bytes:
    """Write a file of one of our tables with one row that its contract takes."""
    columns = [column for column in contract.columns if column.header]
    return "\n".join([";".join(c.header for c in columns), ";".join(_cell(c) for c in columns)]).encode()


def _cell(column: Column) -> str:
    if column.name in _MEANT:
        return _MEANT[column.name]
    if column.choices:
        return column.choices[0]
    if column.kind in ("integer", "number") and column.low is not None:
        return f"{column.low:g}"
    return column.noun.example if column.noun else _KINDS[column.kind]
