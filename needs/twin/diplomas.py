"""Official tables of diplomas, in their real formats: the certifications there are, and what became of young leavers.

Certifications (CertifInfo) are the real ones, as far as the shipped table knows them. Young leavers (InserJeunes) are made up
in the proportions that Grand Est shows in the export of 2019–2022:

- students: 0.18 for one jobseeker over two school years, 62 % of them at school, the rest in apprenticeship; half leave at
  levels 3 and 4, 61 % at level 5, the others study on;
- employed six months later, at school 20 %, 35 % and 53 % at levels 3, 4 and 5, in apprenticeship 55, 67 and 70 %;
- each half-year adds, in log-odds, what the export shows from 6 to 24 months (school .34, .50, .73; apprentices .21, .31, .44).

A diploma adds half the tension of its sector, N(0, 0.2) of its own in every year, and the pulse of the market on that day.
A diploma bears the number of a real one that leads to its sector and level only; what none leads to alone is not taught. Under
20 leavers no rate is shown, under 5 no count.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features import facts
from features.market_tables import HORIZONS
from features.sources.publication import PublicationParams
from needs.twin.raw import Written
from needs.twin.scales import REGION_JOBSEEKERS
from needs.twin.world import World

_STUDENTS = 86_000 / REGION_JOBSEEKERS / 2
_STUDENTS_A_DIPLOMA = 30
_DIPLOMAS = (3, 60)
_PAIRS = 3
_TRACKS = {"scolaire": 0.62, "apprentissage": 0.38}
_LEAVE = {3: 0.52, 4: 0.5, 5: 0.61}
_EMPLOYED = {
    "scolaire": {3: 0.2, 4: 0.35, 5: 0.53},
    "apprentissage": {3: 0.55, 4: 0.67, 5: 0.7},
}
_LATER = {"scolaire": (0.0, 0.34, 0.5, 0.73), "apprentissage": (0.0, 0.21, 0.31, 0.44)}
_NUMBERS = {"scolaire": {3: "232200", 4: "238300", 5: "322210"}, "apprentissage": {3: "500", 4: "400", 5: "320"}}
_DEGREES = {3: ("500", "503"), 4: ("400", "403"), 5: ("320", "323")}  # as apprentices' diplomas and former ones begin
_OWN, _OF_TENSION = 0.2, 0.5
_UNEVEN = 1.2
_FEW_LEAVERS, _NEXT_TO_NOBODY = 20, 5
_COUNTS = ["students", "leavers", *(f"employed_{months}m" for months in HORIZONS)]
_CERTIFINFO = """
    Code_Diplome Libelle_Diplome Libelle_Type_Diplome Code_Niveau_Europeen Date_MaJ Code_FormaCode Libelle_FormaCode
    Code_Rome_1 Code_Rome_2 Code_Rome_3 Code_Rome_4 Code_Rome_5 Code_Nsf Code_RNCP Code_RS Code_Scolarité valideur
    certificateur Annee_Premiere_Session Annee_Derniere_Session Code_Ancien_Diplome Intitulé_Ancien_Diplome Code_Ancien_RNCP
    Code_Ancien_Scolarité `Options` Etat Etat_Libelle Etat_Ancien_Diplome Etat_Ancien_Diplome_Libelle accessibilite_fi
    accessibilite_ca accessibilite_fc accessibilite_cp accessibilite_vae accessibilite_ind code_type_diplome codeIdeo2
"""
_OCCUPATIONS = 5


def write_certifications(world: World, folder: Path) -> Written:
    """Write the certifications that the shipped table knows, as CertifInfo lays them out on the first of the month."""
    known = facts.certifications()
    titles = facts.formacodes().set_index("formacode")["title"]
    codes = known["occupations"].map(_in_five).str.split("|", expand=True).reindex(columns=range(_OCCUPATIONS)).fillna("")
    day, columns = world.as_of.replace(day=1), _CERTIFINFO.split()
    filled = {
        "Code_Diplome": known["certifinfo"],
        "Libelle_Diplome": known["title"],
        "Code_Niveau_Europeen": known["level"],
        "Date_MaJ": f"{day:%d/%m/%Y}",
        "Code_FormaCode": known["formacode"],
        "Libelle_FormaCode": titles.reindex(known["formacode"]).fillna("").to_numpy(),
        **{f"Code_Rome_{number + 1}": codes[number] for number in range(_OCCUPATIONS)},
        "Code_RNCP": known["rncp"],
        "Etat": "0",
        "Etat_Libelle": "Publié",
        "Etat_Ancien_Diplome_Libelle": "inconnu",
        **{name: "2" for name in columns if name.startswith("accessibilite")},
        "accessibilite_fc": "1",
    }
    table = pd.DataFrame({name: filled.get(name, "") for name in columns}, index=known.index)
    path = folder / "certifications" / f"certifinfo_opendata_{day:%Y-%m-%d}.csv"
    return Written("certifications", path, _write(table, path, "utf-8"))


def _in_five(occupations: str) -> str:
    """Name whole domains (``F1700``) where a certification leads to more occupations than the file has columns.

    >>> _in_five("F1701|F1702|F1703|F1704|F1705|F1706"), _in_five("A1101|A1201")
    ('F1700', 'A1101|A1201')
    """
    codes = occupations.split("|")
    return occupations if len(codes) <= _OCCUPATIONS else "|".join(dict.fromkeys(code[:3] + "00" for code in codes))


def write_insertion(world: World, folder: Path) -> Written:
    """Write the young leavers of the last pairs of school years, with the horizons that are out at ``as_of``."""
    last = insertion_year(world)
    years = {year: _leavers(world, year) for year in range(last - _PAIRS, last + 1)}
    pairs = [_pair(years[year - 1], years[year], year, world) for year in range(last - _PAIRS + 1, last + 1)]
    table = pd.concat(pairs, ignore_index=True)
    table = table[table["nb_annee_term"] > 0]
    path = folder / "insertion" / f"inserjeunes_region_formation_{last - _PAIRS}_{last}.csv"
    return Written("insertion", path, _write(table, path, "utf-8-sig"))


def _write(table: pd.DataFrame, path: Path, encoding: str) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, sep=";", index=False, lineterminator="\n", encoding=encoding)
    return len(table)


def insertion_year(world: World) -> int:
    """Give the last school year whose first outcome is out at ``as_of``."""
    return next(year for year in range(world.as_of.year, 1990, -1) if _out(year, HORIZONS[0]) <= world.as_of)


def _out(year: int, months: int) -> pd.Timestamp:
    """Say when an outcome of those who left in the summer of a year is out."""
    return pd.Timestamp(year, 7, 31) + pd.DateOffset(months=months + PublicationParams().insertion_months)


def _diplomas(world: World) -> pd.DataFrame:
    """Make up the diplomas. One row per Region, track and diploma: the students expected, and the log-odds of work."""
    regions = world.atoms["department"].map(facts.departments().set_index("department")["region"])
    parts = []
    for region in sorted(set(regions)):
        rng, here = world.rng("diplomas", region), (regions == region).to_numpy()
        share = float(world.atoms.loc[here, "population"].sum() / world.atoms["population"].sum())
        taught = _taught(world, here, total=_STUDENTS * world.scale.jobseekers * share, rng=rng)
        rows = pd.concat([taught.assign(track=track, expected=taught["expected"] * part) for track, part in _TRACKS.items()])
        employed = np.array([_EMPLOYED[track][level] for track, level in zip(rows["track"], rows["level"], strict=True)])
        odds = np.log(employed / (1 - employed)) + rng.normal(0, _OWN, len(rows)) + _OF_TENSION * rows["tension"]
        parts.append(rows.assign(region=region, odds=odds))
    return pd.concat(parts, ignore_index=True)


def _taught(world: World, here: NDArray[np.bool_], *, total: float, rng: np.random.Generator) -> pd.DataFrame:
    """Choose what a Region teaches and share its students. One row per sector and level, with the tension of the sector."""
    links = facts.occupation_sectors()
    links = links[
        pd.MultiIndex.from_arrays([links["level"].replace("", "0").astype(int), links["sector"]]).isin(_specialities())
    ]
    table = links.pivot_table(index="occupation", columns=["sector", "level"], values="weight", aggfunc="sum", fill_value=0.0)
    table = table.reindex(world.occupations["occupation"]).fillna(0.0)
    need = (world.level * world.common[:, : world.past].mean(axis=1))[here].sum(axis=0)
    weight = pd.Series(need @ table.to_numpy(), index=table.columns)
    largest = weight[weight > 0].nlargest(int(np.clip(total / _STUDENTS_A_DIPLOMA, *_DIPLOMAS))).sort_index()
    expected = np.sqrt(largest.to_numpy()) * rng.lognormal(0, _UNEVEN, len(largest))
    sectors = largest.index.get_level_values("sector")
    tension = world.tightness()[sectors].to_numpy()[here]
    return pd.DataFrame(
        {
            "sector": sectors,
            "level": largest.index.get_level_values("level").astype(int),
            "tension": np.average(tension, axis=0, weights=world.atoms["population"].to_numpy()[here]),
            "expected": expected / expected.sum() * total,
        }
    )


def _specialities() -> dict[tuple[int, str], str]:
    """Give the end of a real diploma's code that leads to one sector only, by level and sector."""
    known, found = facts.diplomas(), dict[tuple[int, str], str]()
    for level, (degree, former) in _DEGREES.items():
        taken = set(known.loc[known["diploma"].str[:3] == former, "diploma"].str[3:])
        alone = known[(known["diploma"].str[:3] == degree) & (known["weight"] == 1) & ~known["diploma"].str[3:].isin(taken)]
        usual = alone.sort_values(["certifications", "diploma"], ascending=[False, True]).drop_duplicates("sector")
        found |= {(level, sector): code[3:] for sector, code in zip(usual["sector"], usual["diploma"], strict=True)}
    return found


def _leavers(world: World, year: int) -> pd.DataFrame:
    """Follow those who ended their final year in a summer. One row per Region, track and diploma, always the same ones."""
    rows, rng = _diplomas(world), world.rng("leavers", str(year))
    students = rng.poisson(rows["expected"])
    leavers = rng.binomial(students, rows["level"].map(_LEAVE))
    pulse, employed = world.pulse(), {}
    for number, months in enumerate(HORIZONS):
        month = (pd.Period(f"{year}-07", "M") + months - world.months[0]).n
        later = rows["track"].map({track: steps[number] for track, steps in _LATER.items()})
        odds = rows["odds"] + later + np.log(pulse[int(np.clip(month, 0, len(pulse) - 1))])
        employed[f"employed_{months}m"] = rng.binomial(leavers, 1 / (1 + np.exp(-odds)))
    return rows.assign(students=students, leavers=leavers, **employed)


def _pair(first: pd.DataFrame, second: pd.DataFrame, year: int, world: World) -> pd.DataFrame:
    """Add up two school years as the export does. One row per Region, track and diploma; blank what is secret or not out."""
    sums = first[_COUNTS] + second[_COUNTS]
    leavers = sums["leavers"].astype("Int64")
    told, few = sums["leavers"] >= _NEXT_TO_NOBODY, sums["leavers"] < _FEW_LEAVERS
    out = {months: _out(year, months) <= world.as_of for months in HORIZONS}
    counts = {months: sums[f"employed_{months}m"].astype("Int64").where(told & out[months]) for months in HORIZONS}
    rates = {months: (100 * counts[months] / leavers).round().astype("Int64").mask(few) for months in HORIZONS}
    named = zip(second["track"], second["level"], second["sector"], strict=True)
    ends = _specialities()
    diploma = pd.Series([_NUMBERS[track][level] + ends[level, sector] for track, level, sector in named])
    at_school, years, region = second["track"] == "scolaire", f"{year - 1}_{year}", second["region"].str[1:]
    studying = sums["students"].astype("Int64") - leavers
    rate_studying = (100 * studying / sums["students"]).round().astype("Int64")
    return pd.DataFrame(
        {
            "id": years + "_" + region + "_" + second["track"] + "_" + diploma,
            "millesime": years,
            "code_region_ij": "",
            "code_region": region,
            "voie": second["track"],
            "cfd": diploma.mask(at_school, ""),
            "mefstat11": diploma.where(at_school, ""),
            "nb_annee_term": sums["students"],
            **{f"nb_en_emploi_{months}_mois": counts[months] for months in (12, 18, 24, 6)},
            "nb_poursuite_etudes": studying.where(told),
            "nb_sortant": leavers.where(told),
            **{f"taux_emploi_{months}_mois": rates[months] for months in (12, 18, 24, 6)},
            "taux_poursuite_etudes": rate_studying.where(told & (sums["students"] >= _FEW_LEAVERS)),
        }
    )
