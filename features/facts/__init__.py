"""Tables of facts: the codes the engine counts in, their titles, their parents and their default links.

Each function gives one table, read once and kept; callers never change it. Codes are text, spelt by
:mod:`features.vocabulary`. ``SOURCES.csv`` says where each table comes from and under which licence;
:mod:`features.facts.rebuild` makes them again from the public files. What is a decision and may be edited: ``maisons.csv``,
``territories.csv`` (titles), ``sectors.csv`` (column ``group``), ``formacode_groups.csv``, ``publics.csv`` (column
``public``), and ``family_additions.csv``, which counts at the next rebuild.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent
CONTRACT_SECTORS = (
    "industrie",
    "logiciels et services numériques",
    "construction et travaux publics",
    "agriculture, viticulture, paysage",
    "forêt, bois, ameublement",
    "sanitaire et social",
    "transport",
    "commerce",
    "hôtellerie-restauration",
    "propreté et sécurité",
    "autres",
)
_EDITIONS = ("80", "81", "82", "83")


def _table(name: str, numbers: tuple[str, ...] = ()) -> pd.DataFrame:
    """Read one of the tables; empty means unknown, and only the columns named are numbers."""
    texts = pd.read_csv(HERE / f"{name}.csv", sep=";", dtype="str", keep_default_na=False, encoding="utf-8")
    return texts.astype(dict.fromkeys(numbers, "float64"))


# Territories --------------------------------------------------------------------------------------------------------


@cache
def communes() -> pd.DataFrame:
    """List the communes of the Region, with the columns of the contract ``territories``.

    One row per commune.
    """
    listed = _table("communes", ("latitude", "longitude", "population"))
    joined = listed.merge(maisons(), on="territory", how="left", validate="many_to_one")
    return joined[
        ["commune", "name", "department", "territory", "zone", "epci", "maison", "latitude", "longitude", "population"]
    ]


@cache
def maisons() -> pd.DataFrame:
    """Say to which Maison de la Région each bassin belongs: a decision, that may be edited.

    One row per bassin.
    """
    return _table("maisons")


@cache
def territories() -> pd.DataFrame:
    """List the territories with their kind (BE, ZE, D, MR, R) and their title in French.

    One row per territory.
    """
    return _table("territories")


@cache
def all_territories() -> pd.DataFrame:
    """List the bassins, départements and régions of France beside the territories of the Region, with the ``region`` of each.

    One row per territory; a title is the one written here, else the one published.
    """
    listed = departments()
    bassin = bassins().drop_duplicates("territory")
    parts = [
        territories(),
        pd.DataFrame({"territory": bassin["territory"], "kind": "BE", "title": bassin["title"].str.title()}),
        pd.DataFrame({"territory": listed["department"], "kind": "D", "title": listed["title"]}),
        pd.DataFrame({"territory": listed["region"], "kind": "R", "title": listed["region_title"]}),
    ]
    whole = pd.concat(parts, ignore_index=True).drop_duplicates("territory", ignore_index=True)
    code, own = whole["territory"], listed.set_index("department")["region"]
    numbered = "R" + code.str.replace(r"^[A-Z]+", "", regex=True).str[:2]
    region = code.map(own).fillna(numbered).mask(whole["kind"] == "MR", "R44")
    return whole.assign(region=region.astype("str"))


@cache
def departments() -> pd.DataFrame:
    """List the départements of France with their title, region, and ``neighbours`` joined by ``|``.

    One row per département.
    """
    return _table("departments")


@cache
def bassins() -> pd.DataFrame:
    """List the bassins of France with their title as published, and ``weight``: the projects of BMO 2024, secrets left out.

    One row per bassin × département.
    """
    return _table("bassins", ("weight",))


@cache
def centres() -> pd.DataFrame:
    """Say where the 96 départements of metropolitan France lie: centre of gravity of the outline, and its area.

    One row per département.
    """
    return _table("centres", ("latitude", "longitude", "area_km2"))


@cache
def borders() -> pd.DataFrame:
    """List the towns across the border (LU, DE, BE, CH): 5,000 people or more, within 60 km of the Region.

    One row per town.
    """
    return _table("borders", ("latitude", "longitude", "population"))


# Occupations and families -------------------------------------------------------------------------------------------


@cache
def domains() -> pd.DataFrame:
    """List the domains of the ROME: 14 letters, and the domains of three characters under them.

    One row per domain.
    """
    return _table("domains")


@cache
def occupations() -> pd.DataFrame:
    """List the 532 ROME v3 occupations; ``domain`` is the letter, ``subdomain`` the first three characters.

    One row per occupation.
    """
    titles = domains().set_index("domain")["title"]
    listed = _table("occupations").rename(columns={"parent": "subdomain"}).assign(domain=lambda t: t["occupation"].str[0])
    return listed.assign(domain_title=listed["domain"].map(titles))[
        ["occupation", "title", "domain", "subdomain", "domain_title"]
    ]


@cache
def leaves() -> pd.DataFrame:
    """List the ROME v4 leaves with the v3 occupation each is counted in.

    One row per leaf.
    """
    return _table("leaves")


@cache
def moves() -> pd.DataFrame:
    """List the moves from one occupation to another that ROME 3.47 tells: ``kind`` is near or evolution.

    One row per occupation and target.
    """
    return _table("moves")


@cache
def families() -> pd.DataFrame:
    """List the families of FAP 2009 (letter, 3, 5 characters) and FAP 2021 (letter, 3, 5, 6 characters), with their parent.

    One row per nomenclature and family.
    """
    return _table("families")


@cache
def occupation_families() -> pd.DataFrame:
    """Link occupations to families: FAP 2009 as the Dares does (equal parts), FAP 2021 *estimated* from words.

    One row per occupation, nomenclature and family; weights add up to one per occupation and nomenclature.
    """
    links = _table("occupation_families", ("weight",))
    return links.assign(weight=links["weight"] / links.groupby(["occupation", "nomenclature"])["weight"].transform("sum"))


@cache
def family_families() -> pd.DataFrame:
    """Link FAP 2009 to FAP 2021, *estimated*: what their titles say (``words``), what their occupations say (``rome``).

    One row per family of 2009 and of 2021; weights add up to one per family of 2009.
    """
    links = _table("family_families", ("weight", "words", "rome"))
    total = links.groupby("family_2009")["weight"].transform("sum")
    return links.assign(weight=links["weight"] / total, same_title=links["same_title"] == "1")


@cache
def volumes() -> pd.DataFrame:
    """Say what codes stand for when a link is read backwards: offers of one day (ROME), projects of a survey (FAP 2009).

    One row per nomenclature and code.
    """
    return _table("volumes", ("volume",))


# Sectors, Formacodes, certifications --------------------------------------------------------------------------------


@cache
def sectors() -> pd.DataFrame:
    """List the sectors: 65 semantic fields of the Formacode and those of newer codes (``official`` says which).

    One row per sector, with its contract ``group`` and whether any certification ``linked`` it to an occupation.
    """
    listed = _table("sectors")
    official = listed["sector"].isin(formacodes().query("official")["sector"])
    return listed.assign(linked=listed["sector"].isin(sector_occupations()["sector"]), official=official)


@cache
def formacodes() -> pd.DataFrame:
    """List the Formacodes of subjects; ``official`` is false for those of newer editions, titled by CertifInfo.

    One row per Formacode. Its contract ``group`` is its sector's, but for wood and forest, which have no field of their own.
    """
    listed = _table("formacodes")
    of_sector = _table("sectors").set_index("sector")["group"]
    of_code = _table("formacode_groups").set_index("formacode")["group"]
    group = listed["formacode"].map(of_code).fillna(listed["sector"].map(of_sector))
    return listed.assign(official=listed["edition"] == "liste", group=group)[
        ["formacode", "title", "sector", "official", "group"]
    ]


@cache
def certifications() -> pd.DataFrame:
    """List the published certifications that have a Formacode; ``occupations`` are ROME v3 codes joined by ``|``.

    One row per certification of CertifInfo.
    """
    return _table("certifications")


@cache
def certification_occupations() -> pd.DataFrame:
    """Link certifications to the occupations they lead to, in equal parts.

    One row per certification and occupation; weights add up to one per certification that is linked.
    """
    rows = certifications().query("occupations != ''")
    linked = rows.assign(occupation=rows["occupations"].str.split("|"))
    shared = linked.assign(weight=1 / linked["occupation"].str.len()).explode("occupation", ignore_index=True)
    return shared.astype({"occupation": "str"})[["certifinfo", "occupation", "weight"]]


def count_by_sector(links: pd.DataFrame) -> pd.DataFrame:
    """Count certifications by what they train for; ``links`` shares each one over occupations.

    One row per sector, occupation and European level ("" when the certification has none).
    """
    kinds = certifications()[["certifinfo", "formacode", "level"]]
    counted = links.merge(kinds, on="certifinfo", how="inner", validate="many_to_one")
    counted = counted.assign(sector=counted["formacode"].str[:3])
    return counted.groupby(["sector", "occupation", "level"], as_index=False).agg(certifications=("weight", "sum"))


@cache
def sector_occupations() -> pd.DataFrame:
    """Count the certifications that link sectors to occupations; each counts one, shared equally over its occupations.

    One row per sector, occupation and European level ("" when the certification has none).
    """
    return count_by_sector(certification_occupations())


@cache
def occupation_sectors() -> pd.DataFrame:
    """Weigh the sectors and levels that train for each occupation, by certifications.

    One row per occupation, sector and level; weights add up to one per occupation that is linked.
    """
    counts = sector_occupations()
    share = counts["certifications"] / counts.groupby("occupation")["certifications"].transform("sum")
    weighed = counts.assign(weight=share)[["occupation", "sector", "level", "weight"]]
    return weighed.sort_values(["occupation", "sector", "level"], ignore_index=True)


@cache
def diplomas() -> pd.DataFrame:
    """Link school diplomas (CFD codes, former ones too) of levels 3 to 5 to sectors, by the certifications of CertifInfo.

    One row per diploma, sector and level; weights add up to one per diploma.
    """
    links = _table("diplomas", ("certifications",))
    return links.assign(weight=links["certifications"] / links.groupby("diploma")["certifications"].transform("sum"))


@cache
def classes() -> pd.DataFrame:
    """Say which kinds of diploma (three characters of a CFD) a kind of class (four of a MEFSTAT11) prepares.

    One row per kind of class and of diploma.
    """
    return _table("classes")


def unlinked_occupations() -> list[str]:
    """List the occupations that no published certification reaches."""
    return sorted({*occupations()["occupation"]} - {*sector_occupations()["occupation"]})


def unlinked_sectors() -> list[str]:
    """List the sectors that no published certification links to an occupation."""
    return sorted(sectors().query("not linked")["sector"])


def occupations_without_family(nomenclature: str) -> list[str]:
    """List the occupations that have no family of this nomenclature."""
    links = occupation_families().query("nomenclature == @nomenclature")
    return sorted({*occupations()["occupation"]} - {*links["occupation"]})


def families_without_occupation(nomenclature: str) -> list[str]:
    """List the families of five characters that no occupation belongs to (such as the self-employed of FAP 2009)."""
    links = occupation_families().query("nomenclature == @nomenclature")
    fine = families().query("nomenclature == @nomenclature and family.str.len() == 5")
    return sorted({*fine["family"]} - {*links["family"]})


@cache
def publics() -> pd.DataFrame:
    """Tie the Formacode's publics to ours; "" means all or unknown.

    One row per code: later editions spell ``80056`` as ``83056``, so each code comes in every spelling.
    """
    listed = _table("publics")
    spelt = [listed.assign(code=edition + listed["code"].str[2:]) for edition in _EDITIONS]
    known = listed[~listed["code"].str.startswith("80")]
    return pd.concat([*spelt, known], ignore_index=True).drop_duplicates("code", ignore_index=True)
