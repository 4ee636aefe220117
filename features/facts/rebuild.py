"""Make the tables of facts again from the files their producers publish.

``python -m features.facts.rebuild FOLDER [TARGET]`` finds the public files anywhere under ``FOLDER`` by their names and
writes the tables into ``TARGET`` (this package unless said otherwise). What a person decides stays as it is: the grouping
and wording of sectors (``sectors.csv``, columns ``group`` and ``title``, and ``formacode_groups.csv``), the publics
(``publics.csv``, column ``public``), ``territories.csv`` but its zones d'emploi, ``maisons.csv`` and ``family_additions.csv``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import pandas as pd

from features.contracts import Checked
from features.errors import InputError
from features.facts.areas import list_bassins, list_centres, list_departments
from features.facts.schooling import list_classes, list_diplomas
from features.moves import whole_moves
from features.places import great_circle_km
from features.sources.certifications import read_certifications
from features.sources.families import read_families, read_occupation_families
from features.sources.formacode import read_formacodes
from features.sources.publication import PublicationParams
from features.sources.rome import read_mobilities, read_rome

HERE = Path(__file__).parent
BORDER_KM = 60.0
BORDER_POPULATION = 5000
_SUBJECT = "DOM"
_PASSAGE = "dares_passage_romev3_fap2009.xls"
_SURVEY = "Base_open_data_BMO_2024.xlsx"
_OUTLINES = "departements-version-simplifiee.geojson"


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


def _checked(read: Callable[[Sequence[Path], PublicationParams], Checked], folder: Path, *names: str) -> pd.DataFrame:
    """Read files as the engine does, and refuse a wrong row. One row per row of theirs; a missing text is empty."""
    checked = read([find(folder, name) for name in names], PublicationParams())
    for wrong in checked.rejected.itertuples():
        raise InputError(f"{wrong.file}, line {wrong.line}: {wrong.reason} ({len(checked.rejected)} rows are wrong).")
    return checked.kept.fillna(dict.fromkeys(checked.kept.select_dtypes("str"), ""))


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
    listed = _checked(read_rome, folder, "unix_referentiel_code_rome_v347_utf8.csv")
    both = pd.concat([listed[["code", "title"]], _tree(folder).query("code.str.len() == 5")])
    both = both.drop_duplicates("code").sort_values("code")
    return both.assign(parent=both["code"].str[:3]).rename(columns={"code": "occupation"})


def leaves(folder: Path) -> pd.DataFrame:
    """List the ROME v4 leaves. One row per leaf, with the v3 occupation it is counted in."""
    listed = _checked(read_rome, folder, "unix_referentiel_code_rome_v460_utf8.csv")
    names = {"code": "leaf", "title": "title", "parent": "occupation"}
    return listed.rename(columns=names)[[*names.values()]].sort_values("leaf")


def moves(folder: Path) -> pd.DataFrame:
    """List the moves that ROME 3.47 tells of whole occupations. One row per occupation, target: near or an evolution."""
    listed = _checked(read_mobilities, folder, "unix_rubrique_mobilite_v347_utf8.csv")
    return whole_moves(listed).sort_values(["occupation", "target"])


# Families ---------------------------------------------------------------------------------------------------------


def families(folder: Path) -> pd.DataFrame:
    """List the families of both nomenclatures. One row per nomenclature and family, with its parent family."""
    return _checked(read_families, folder, _PASSAGE, "intitules_FAP2021.csv")[["nomenclature", "family", "title", "parent"]]


def dares_links(folder: Path) -> pd.DataFrame:
    """Read the links ROME → FAP 2009 of the Dares. One row per occupation and family, weighing 1/k among k families."""
    links = _checked(read_occupation_families, folder, _PASSAGE)[["occupation", "family"]]
    return links.assign(weight=1 / links.groupby("occupation")["family"].transform("size"))


@cache
def occupation_families(folder: Path) -> pd.DataFrame:
    """Link occupations to families. One row per occupation, nomenclature and family; weights add up to one."""
    from features.facts.estimate import add_decided, estimate_links

    dares = dares_links(folder)
    official = dares.assign(nomenclature="FAP2009", source="dares")
    links = add_decided(estimate_links(occupation_words(folder), dares, families(folder)), _kept("family_additions"))
    estimated = links.assign(nomenclature="FAP2021", source="estimated")
    both = pd.concat([official, estimated])[["occupation", "nomenclature", "family", "weight", "source"]]
    return both.assign(weight=both["weight"].round(4)).sort_values(["occupation", "nomenclature", "family"])


@cache
def volumes(folder: Path) -> pd.DataFrame:
    """Say what a code counts with when a link is read backwards. One row per occupation (offers) or family (projects)."""
    from features.sources.grid import Layout, read_grid

    listed = _read(folder, "offres_par_commune_rome_20211221.csv.bz2", sep=";")
    offers = pd.DataFrame({"nomenclature": "ROME", "code": listed["dc_rome_id"], "volume": listed["nb_offre"]})
    layout = Layout({"code metier bmo": "code", "met": "volume"}, "A real one is the BMO workbook of 2023")
    projects = read_grid(find(folder, "Base_open_data_BMO_2023.xlsx"), layout)[layout.columns]
    projects = projects[projects["volume"] != "*"].assign(nomenclature="FAP2009")
    both = pd.concat([offers, projects]).assign(volume=lambda t: t["volume"].astype(int))
    return both.groupby(["nomenclature", "code"], as_index=False)[["volume"]].sum()


def family_families(folder: Path) -> pd.DataFrame:
    """Link FAP 2009 to FAP 2021. One row per pair: its weight and what it rests on."""
    from features.facts.family_links import link_families

    offers = volumes(folder).query("nomenclature == 'ROME'").set_index("code")["volume"].astype(float)
    return link_families(families(folder), occupation_families(folder), offers)


def occupation_words(folder: Path) -> pd.DataFrame:
    """Gather the words of each occupation. One row per occupation: its title, and its title with all its job names."""
    listed = occupations(folder)
    lines = _read(folder, "arbo_rome_ogr_202107.csv", sep=";")
    names = lines.assign(occupation=lines["Rome1"] + lines["Rome2"].str.strip() + lines["Rome3"].str.strip())
    words = names.groupby("occupation")["Intitule"].agg(" ; ".join)
    return listed.assign(words=listed["occupation"].map(words).fillna(listed["title"]))[["occupation", "title", "words"]]


# Sectors and certifications -----------------------------------------------------------------------------------------


@cache
def _formacode_list(folder: Path) -> pd.DataFrame:
    """Read the Formacode list. One row per code, of whatever facet."""
    return _checked(read_formacodes, folder, "formacode_FCod_utf8.csv")


@cache
def _certifinfo(folder: Path) -> pd.DataFrame:
    """Read CertifInfo. One row per certification."""
    return _checked(read_certifications, folder, "certifinfo_opendata.csv")


def formacodes(folder: Path) -> pd.DataFrame:
    """List the Formacodes of subjects. One row per code, titled by the official list, else by CertifInfo (newer editions)."""
    listed = _formacode_list(folder)
    official = listed[listed["facets"] == _SUBJECT]
    newer = _certifinfo(folder)[["formacode", "formacode_title"]].rename(columns={"formacode_title": "title"})
    both = pd.concat([official.assign(edition="liste"), newer[newer["formacode"] != ""].assign(edition="certifinfo")])
    both = both.drop_duplicates("formacode").sort_values("formacode").assign(sector=lambda t: t["formacode"].str[:3])
    return both[["formacode", "title", "sector", "edition"]]


def sectors(folder: Path) -> pd.DataFrame:
    """List the sectors. One row per semantic field, and per field that only newer codes have; group and title are decisions.

    ``official_title`` is the producer's, in capitals; a field of newer codes has none.
    """
    listed = _formacode_list(folder)
    fields = listed[listed["facets"] == _SUBJECT].drop_duplicates("field")
    titles = dict(zip(fields["field"], fields["field_title"], strict=True))
    every = pd.DataFrame({"sector": sorted({*titles, *formacodes(folder)["sector"]})})
    official = every["sector"].map(titles).fillna("")
    kept = every.merge(_kept("sectors")[["sector", "title", "group"]], on="sector", how="left", validate="one_to_one")
    named = kept.assign(title=kept["title"].fillna(official), official_title=official, group=kept["group"].fillna("autres"))
    return named[["sector", "title", "official_title", "group"]]


def certifications(folder: Path) -> pd.DataFrame:
    """List the published certifications that have a Formacode. One row per certification; its ROME joined by ``|``."""
    rows = _certifinfo(folder)
    rows = rows[(rows["state"] == "Publié") & (rows["formacode"] != "")]
    listed = rows.assign(occupations=_linked_occupations(rows, folder))
    names = ["certifinfo", "title", "formacode", "level", "rncp", "occupations"]
    return listed[names].sort_values("certifinfo", key=lambda codes: codes.astype(int))


def _linked_occupations(rows: pd.DataFrame, folder: Path) -> pd.Series[str]:
    """Carry the ROME of certifications to v3. Same row: one certification.

    A code that ends in 00 (``A1100``) is a whole domain: it counts only where no more precise code is given.
    """
    parents = leaves(folder).set_index("leaf")["occupation"]
    by_domain = occupations(folder).groupby("parent")["occupation"].agg(list)
    linked = []
    for codes in rows["occupations"].str.split("|"):
        precise = {parents.get(code, code) for code in codes if code and not code.endswith("00")}
        wide = {o for code in codes if code.endswith("00") for o in by_domain.get(code[:3], [])}
        linked.append("|".join(sorted(precise or wide)))
    return pd.Series(linked, index=rows.index, dtype="str")


def publics(folder: Path) -> pd.DataFrame:
    """List the publics of the Formacode. One row per code; which of our publics it is, is a decision."""
    listed = _formacode_list(folder)
    rows = listed[listed["facets"].str.startswith("PUB")].rename(columns={"formacode": "code"})[["code", "title"]]
    decided = _kept("publics").set_index("code")["public"]
    return rows.assign(public=rows["code"].map(decided).fillna(""))


def diplomas(folder: Path) -> pd.DataFrame:
    """Link school diplomas to sectors. One row per diploma, sector and level."""
    return list_diplomas(_read(folder, "certifinfo_opendata.csv", sep=";"))


def classes(folder: Path) -> pd.DataFrame:
    """Say which kinds of diploma the kinds of class prepare. One row per kind of class and of diploma."""
    return list_classes(_read(folder, "bcn_nMef.csv", sep=";"), diplomas(folder))


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
    near = great_circle_km(towns, communes(folder)).min(axis=1) <= BORDER_KM
    kept: pd.DataFrame = towns[near & (towns["population"] >= BORDER_POPULATION)].drop_duplicates(
        ["town", "area", "latitude", "longitude"]
    )
    return kept.sort_values(["area", "town", "latitude"])


def departments(folder: Path) -> pd.DataFrame:
    """List the départements of France with their region and neighbours. One row per département."""
    return list_departments(find(folder, _SURVEY), find(folder, _OUTLINES))


def bassins(folder: Path) -> pd.DataFrame:
    """List the bassins of France with the recruitment projects of 2024. One row per bassin × département."""
    return list_bassins(find(folder, _SURVEY))


def centres(folder: Path) -> pd.DataFrame:
    """Say where the départements of metropolitan France lie. One row per département."""
    return list_centres(find(folder, _OUTLINES))


TABLES: dict[str, Callable[[Path], pd.DataFrame]] = {
    "domains": domains,
    "occupations": occupations,
    "leaves": leaves,
    "moves": moves,
    "families": families,
    "occupation_families": occupation_families,
    "volumes": volumes,
    "family_families": family_families,
    "sectors": sectors,
    "formacodes": formacodes,
    "certifications": certifications,
    "publics": publics,
    "diplomas": diplomas,
    "classes": classes,
    "communes": communes,
    "territories": territories,
    "departments": departments,
    "bassins": bassins,
    "centres": centres,
    "borders": borders,
}

if __name__ == "__main__":
    for table_name, count in rebuild(*map(Path, sys.argv[1:3])).items():
        sys.stdout.write(f"{table_name}: {count} rows\n")
