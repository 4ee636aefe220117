"""Make the tables of facts again from the files their producers publish.

``python -m features.facts.rebuild FOLDER [TARGET]`` finds the public files anywhere under ``FOLDER`` by their names and
writes the tables into ``TARGET`` (this package unless said otherwise). What a person decides stays as it is: the grouping
and wording of sectors (``sectors.csv``, columns ``group`` and ``title``, and ``formacode_groups.csv``), the publics
(``publics.csv``, column ``public``), ``territories.csv`` but its zones d'emploi, ``maisons.csv`` and ``family_additions.csv``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from features.vocabulary import InputError

HERE = Path(__file__).parent
BORDER_KM = 60.0
BORDER_POPULATION = 5000
_EARTH_KM = 6371.0


def rebuild(folder: Path, target: Path = HERE) -> dict[str, int]:
    """Write every derived table into ``target``; say how many rows each has."""
    made = {name: make(folder) for name, make in TABLES.items()}
    for name, table in made.items():
        table.to_csv(target / f"{name}.csv", sep=";", index=False, lineterminator="\n", encoding="utf-8")
    return {name: len(table) for name, table in made.items()}


def find(folder: Path, name: str) -> Path:
    """Find the one file of that name under the folder, whatever its layout."""
    paths = sorted(folder.rglob(name))
    if not paths:
        raise InputError(f"{folder}: no file is named '{name}'. Put the producer's file there under this name.")
    return paths[0]


def _read(folder: Path, name: str, *, sep: str = ",", encoding: str = "utf-8-sig") -> pd.DataFrame:
    return pd.read_csv(find(folder, name), sep=sep, dtype="str", keep_default_na=False, encoding=encoding)


def _kept(name: str) -> pd.DataFrame:
    """Read the table the package holds, for the columns a person decided."""
    return pd.read_csv(HERE / f"{name}.csv", sep=";", dtype="str", keep_default_na=False)


# ROME -------------------------------------------------------------------------------------------------------------


def _tree(folder: Path) -> pd.DataFrame:
    """Read the ROME tree. One row per domain (``A``, ``A11``) or occupation (``A1101``): code, title."""
    lines = _read(folder, "arbo_rome_ogr_202107.csv", sep=";")
    parts = lines.apply(lambda column: column.str.strip())
    groups = parts[parts["OGR"] == ""]
    return pd.DataFrame({"code": groups["Rome1"] + groups["Rome2"] + groups["Rome3"], "title": groups["Intitule"]})


def domains(folder: Path) -> pd.DataFrame:
    """List the domains of the ROME. One row per domain: a letter, or a letter and two digits with the letter as parent."""
    tree = _tree(folder).query("code.str.len() < 5").sort_values("code")
    parent = tree["code"].str[0].where(tree["code"].str.len() > 1, "")
    return tree.assign(parent=parent).rename(columns={"code": "domain"})


def occupations(folder: Path) -> pd.DataFrame:
    """List the ROME v3 occupations. One row per code, titled by version 3.47, else by the tree (which also has L1510)."""
    listed = _read(folder, "unix_referentiel_code_rome_v347_utf8.csv")
    listed = listed.assign(code=listed["code_rome"], title=listed["libelle_rome"].str.replace("''", "'", regex=False))
    both = pd.concat([listed[["code", "title"]], _tree(folder).query("code.str.len() == 5")])
    both = both.drop_duplicates("code").sort_values("code")
    return both.assign(parent=both["code"].str[:3]).rename(columns={"code": "occupation"})


def leaves(folder: Path) -> pd.DataFrame:
    """List the ROME v4 leaves. One row per leaf, with the v3 occupation it is counted in."""
    listed = _read(folder, "unix_referentiel_code_rome_v460_utf8.csv")
    names = {"code_rome": "leaf", "libelle_rome": "title", "code_rome_parent": "occupation"}
    return listed.rename(columns=names)[[*names.values()]].sort_values("leaf")


# Families ---------------------------------------------------------------------------------------------------------


def families(folder: Path) -> pd.DataFrame:
    """List the families of both nomenclatures. One row per nomenclature and family, with its parent family."""
    both = pd.concat(
        [_families_2009(folder).assign(nomenclature="FAP2009"), _families_2021(folder).assign(nomenclature="FAP2021")]
    )
    return both[["nomenclature", "family", "title", "parent"]].sort_values(["nomenclature", "family"])


def _families_2009(folder: Path) -> pd.DataFrame:
    """Read the titles of FAP 2009. One row per family: five characters under three under one letter."""
    from python_calamine import CalamineWorkbook

    rows = (
        CalamineWorkbook.from_path(str(find(folder, "dares_passage_romev3_fap2009.xls"))).get_sheet_by_name("Table").to_python()
    )
    cells = pd.DataFrame([(str(row[0]).strip(), str(row[1]).strip(" *")) for row in rows], columns=["family", "title"])
    named = cells[cells["family"].str.fullmatch(r"[A-Z](?:\d[A-Z](?:\d\d)?)?")]
    length = named["family"].str.len()
    parent = named["family"].str[:3].where(length == 5, named["family"].str[0].where(length == 3, ""))
    return named.assign(parent=parent)


def _families_2021(folder: Path) -> pd.DataFrame:
    """Read FAP 2021. One row per family of 22, 86, 228 or 341; where two grains share a code, the wider stands."""
    listed = _read(folder, "intitules_FAP2021.csv", sep=";")
    grains = []
    for grain, wider in (("22", ""), ("86", "22"), ("228", "86"), ("341", "228")):
        parent = listed[f"Code_FAP{wider}"] if wider else ""
        grains.append(
            pd.DataFrame(
                {
                    "family": listed[f"Code_FAP{grain}"],
                    "title": listed[f"Intitulé_FAP{grain}"].str.split().str.join(" "),
                    "parent": parent,
                }
            )
        )
    return pd.concat(grains).drop_duplicates("family")


def dares_links(folder: Path) -> pd.DataFrame:
    """Read the links ROME → FAP 2009 of the Dares. One row per occupation and family, weighing 1/k among k families."""
    listed = _read(folder, "dares_fap225_rome.csv", sep=";", encoding="cp1252")
    links = listed[listed["Rome"].str.fullmatch(r"[A-N]\d{4}")].rename(columns={"Rome": "occupation", "Fap": "family"})
    links = links[["occupation", "family"]].drop_duplicates()
    return links.assign(weight=1 / links.groupby("occupation")["family"].transform("size"))


def occupation_families(folder: Path) -> pd.DataFrame:
    """Link occupations to families. One row per occupation, nomenclature and family; weights add up to one."""
    from features.facts.estimate import add_decided, estimate_links

    dares = dares_links(folder)
    official = dares.assign(nomenclature="FAP2009", source="dares")
    links = add_decided(estimate_links(_tree_words(folder), dares, families(folder)), _kept("family_additions"))
    estimated = links.assign(nomenclature="FAP2021", source="estimated")
    both = pd.concat([official, estimated])[["occupation", "nomenclature", "family", "weight", "source"]]
    return both.assign(weight=both["weight"].round(4)).sort_values(["occupation", "nomenclature", "family"])


def _tree_words(folder: Path) -> pd.DataFrame:
    """Gather the words of each occupation. One row per occupation: its title, and its title with all its job names."""
    listed = occupations(folder)
    lines = _read(folder, "arbo_rome_ogr_202107.csv", sep=";")
    names = lines.assign(occupation=lines["Rome1"] + lines["Rome2"].str.strip() + lines["Rome3"].str.strip())
    words = names.groupby("occupation")["Intitule"].agg(" ; ".join)
    return listed.assign(words=listed["occupation"].map(words).fillna(listed["title"]))[["occupation", "title", "words"]]


# Sectors and certifications -----------------------------------------------------------------------------------------


def _formacode_list(folder: Path) -> pd.DataFrame:
    """Read the Formacode list, which has no header. One row per code: its columns 0 code, 2 title, 3 kind, 4 field."""
    path = find(folder, "formacode_FCod_utf8.csv")
    return pd.read_csv(path, sep=";", dtype="str", keep_default_na=False, header=None, quoting=3, encoding="utf-8")


def _certifinfo(folder: Path) -> pd.DataFrame:
    """Read CertifInfo. One row per certification (the file repeats one for each diploma it took over)."""
    return _read(folder, "certifinfo_opendata.csv", sep=";").drop_duplicates("Code_Diplome")


def formacodes(folder: Path) -> pd.DataFrame:
    """List the Formacodes of subjects. One row per code, titled by the official list, else by CertifInfo (newer editions)."""
    listed = _formacode_list(folder)
    official = listed[listed[3] == "DOM"].rename(columns={0: "formacode", 2: "title"})
    newer = _certifinfo(folder).rename(columns={"Code_FormaCode": "formacode", "Libelle_FormaCode": "title"})
    both = pd.concat([official.assign(edition="liste"), newer[newer["formacode"] != ""].assign(edition="certifinfo")])
    both = both.drop_duplicates("formacode").sort_values("formacode").assign(sector=lambda t: t["formacode"].str[:3])
    return both[["formacode", "title", "sector", "edition"]]


def sectors(folder: Path) -> pd.DataFrame:
    """List the sectors. One row per semantic field, and per field that only newer codes have; group and title are decisions.

    ``official_title`` is the producer's, in capitals; a field of newer codes has none.
    """
    listed = _formacode_list(folder)
    fields = listed.loc[listed[3] == "DOM", 4].drop_duplicates()
    titles = dict(zip(fields.str[:3], fields.str[4:].str.strip(), strict=True))
    every = pd.DataFrame({"sector": sorted({*titles, *formacodes(folder)["sector"]})})
    official = every["sector"].map(titles).fillna("")
    kept = every.merge(_kept("sectors")[["sector", "title", "group"]], on="sector", how="left", validate="one_to_one")
    named = kept.assign(title=kept["title"].fillna(official), official_title=official, group=kept["group"].fillna("autres"))
    return named[["sector", "title", "official_title", "group"]]


def certifications(folder: Path) -> pd.DataFrame:
    """List the published certifications that have a Formacode. One row per certification; its ROME joined by ``|``."""
    rows = _certifinfo(folder)
    rows = rows[(rows["Etat_Libelle"] == "Publié") & (rows["Code_FormaCode"] != "")]
    names = {
        "Code_Diplome": "certifinfo",
        "Libelle_Diplome": "title",
        "Code_FormaCode": "formacode",
        "Code_Niveau_Europeen": "level",
        "Code_RNCP": "rncp",
    }
    linked = rows.assign(occupations=_linked_occupations(rows, folder)).rename(columns=names)
    return linked[[*names.values(), "occupations"]].sort_values("certifinfo", key=lambda codes: codes.astype(int))


def _linked_occupations(rows: pd.DataFrame, folder: Path) -> pd.Series[str]:
    """Carry the ROME of certifications to v3. Same row: one certification.

    A code that ends in 00 (``A1100``) is a whole domain: it counts only where no more precise code is given.
    """
    parents = leaves(folder).set_index("leaf")["occupation"]
    by_domain = occupations(folder).groupby("parent")["occupation"].agg(list)
    linked = []
    for codes in rows[[f"Code_Rome_{i}" for i in range(1, 6)]].itertuples(index=False):
        precise = {parents.get(code, code) for code in codes if code and not code.endswith("00")}
        wide = {o for code in codes if code.endswith("00") for o in by_domain.get(code[:3], [])}
        linked.append("|".join(sorted(precise or wide)))
    return pd.Series(linked, index=rows.index, dtype="str")


def publics(folder: Path) -> pd.DataFrame:
    """List the publics of the Formacode. One row per code; which of our publics it is, is a decision."""
    listed = _formacode_list(folder)
    rows = (
        listed[listed[3].str.startswith("PUB")].rename(columns={0: "code", 2: "title"})[["code", "title"]].sort_values("code")
    )
    decided = _kept("publics").set_index("code")["public"]
    return rows.assign(public=rows["code"].map(decided).fillna(""))


# Territories --------------------------------------------------------------------------------------------------------


def communes(folder: Path) -> pd.DataFrame:
    """List the communes of the Region. One row per commune with its territories, all typed."""
    rows = _read(folder, "communes_grand_est_joined.csv")
    return pd.DataFrame(
        {
            "commune": "C" + rows["code"],
            "name": rows["nom"],
            "department": "D" + rows["departement"],
            "territory": "BE" + rows["code_bassin_BMO"],
            "zone": "ZE" + rows["ZE2020"],
            "epci": rows["epci"],
            "latitude": rows["latitude"].astype(float).round(5),
            "longitude": rows["longitude"].astype(float).round(5),
            "population": rows["population"].astype(float).astype(int),
        }
    ).sort_values("commune")


def territories(folder: Path) -> pd.DataFrame:
    """List the territories. One row per territory: zones d'emploi as the Insee titles them, the others as decided."""
    rows = _read(folder, "communes_grand_est_joined.csv").drop_duplicates("ZE2020")
    zones = pd.DataFrame({"territory": "ZE" + rows["ZE2020"], "kind": "ZE", "title": rows["LIBZE2020"]})
    decided = _kept("territories").query("kind != 'ZE'")
    return pd.concat([decided, zones]).sort_values("territory")


def borders(folder: Path) -> pd.DataFrame:
    """List the towns across the border. One row per town of 5,000 people or more within 60 km of a commune of the Region."""
    towns = _read(folder, "geonames_border_towns_LU_DE_BE_CH.csv")
    towns = towns.rename(columns={"name": "town", "countrycode": "area"})
    towns = towns[["town", "area", "latitude", "longitude", "population"]]
    towns = towns.astype({"latitude": float, "longitude": float, "population": float}).astype({"population": int})
    near = _nearest_km(towns, communes(folder)) <= BORDER_KM
    kept = towns[near & (towns["population"] >= BORDER_POPULATION)].drop_duplicates(["town", "area", "latitude", "longitude"])
    return kept.sort_values(["area", "town", "latitude"])


def _nearest_km(places: pd.DataFrame, others: pd.DataFrame) -> np.ndarray:
    """Great-circle distance from each place to the nearest of the others, by the haversine formula."""
    lat, lon = (np.radians(places[c].to_numpy())[:, None] for c in ("latitude", "longitude"))
    lat2, lon2 = (np.radians(others[c].to_numpy())[None, :] for c in ("latitude", "longitude"))
    chord = np.sin((lat - lat2) / 2) ** 2 + np.cos(lat) * np.cos(lat2) * np.sin((lon - lon2) / 2) ** 2
    return np.asarray(2 * _EARTH_KM * np.arcsin(np.sqrt(chord)).min(axis=1))


TABLES: dict[str, Callable[[Path], pd.DataFrame]] = {
    "domains": domains,
    "occupations": occupations,
    "leaves": leaves,
    "families": families,
    "occupation_families": occupation_families,
    "sectors": sectors,
    "formacodes": formacodes,
    "certifications": certifications,
    "publics": publics,
    "communes": communes,
    "territories": territories,
    "borders": borders,
}

if __name__ == "__main__":
    for table_name, count in rebuild(*map(Path, sys.argv[1:3])).items():
        sys.stdout.write(f"{table_name}: {count} rows\n")
