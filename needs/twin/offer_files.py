"""Files of job offers: search responses, one offer per line, or at large scales Parquet extracts beside the newest month."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from features import facts
from features.vocabulary import BORDERS
from needs.twin.market import Market
from needs.twin.offers import Commune
from needs.twin.raw import Written, rows_of, write_lines
from needs.twin.skills import OWN, SKILLS, skills_of
from needs.twin.world import World

Json = dict[str, object]

_CONTRACT_TITLES = {
    "CDI": "Contrat à durée indéterminée",
    "CDD": "Contrat à durée déterminée",
    "MIS": "Intérim",
    "SAI": "Contrat travail saisonnier",
}
_DIPLOMAS = {
    3: "CAP, BEP et équivalents",
    4: "Bac ou équivalent",
    5: "Bac+2 ou équivalents",
    6: "Bac+3, Bac+4 ou équivalents",
    7: "Bac+5 et plus ou équivalents",
}


def write_offers(market: Market, offers: pd.DataFrame, folder: Path) -> list[Written]:
    """Write every version of the offers once: in files by year or, where the scale says so, an extract and the newest month."""
    versions, name = _versions(offers), f"offers_{market.department[1:]}"
    files = {}
    if market.world.scale.extract:
        newest = versions["version"] >= market.world.as_of.to_period("M").start_time
        files[f"{name}.parquet"] = versions[~newest]
        files[f"{name}_{market.world.as_of:%Y-%m}.jsonl.gz"] = versions[newest]
    else:
        files |= {f"{name}_{year}.jsonl.gz": rows for year, rows in versions.groupby(versions["version"].dt.year)}
    return [_write(market, rows, folder / "offers" / file) for file, rows in files.items() if len(rows)]


def _write(market: Market, versions: pd.DataFrame, path: Path) -> Written:
    if path.suffix == ".parquet":
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(_extract(market, versions), path, compression="zstd")
    else:
        write_lines(_lines(versions, market.world), path)
    return Written("offers", path, len(versions))


def _versions(offers: pd.DataFrame) -> pd.DataFrame:
    """List what was published of each offer, in the order of publication. One row per version of an offer."""
    first = offers.assign(version=offers["created"], shown=offers["first_positions"])
    last = offers[offers["updated"].notna()].assign(version=lambda t: t["updated"], shown=lambda t: t["positions"])
    return pd.concat([first, last], ignore_index=True).sort_values("version", kind="stable", ignore_index=True)


def _extract(market: Market, versions: pd.DataFrame) -> pa.Table:
    """Lay versions out in the columns of the contract. One row per version of an offer."""
    world = market.world
    codes, occupation = world.occupations["occupation"].tolist(), versions["occupation"].to_numpy()
    leaves = _leaves(world)["leaf"].reindex(codes).to_numpy()
    is_leaf = versions["leaf"].to_numpy() & (leaves != "")[occupation]
    abroad = versions["border"].to_numpy() != ""
    vague = versions["vague"].to_numpy() & ~abroad
    level, months = versions["level"].to_numpy(), versions["months"].to_numpy()
    combined, texts = _skill_texts(codes, occupation, versions["skills"].to_numpy())
    return pa.table(
        {
            "offer": pa.array(versions["offer"], pa.string()),
            "created": pa.array(versions["created"].dt.floor("D"), pa.date32()),
            "known_from": pa.array(versions["version"].dt.floor("D"), pa.date32()),
            "occupation": _coded(occupation, codes),
            "leaf": _coded(occupation, leaves.tolist(), missing=~is_leaf),
            "commune": _coded(versions["commune"].to_numpy(), world.communes["commune"].tolist(), missing=abroad | vague),
            "department": _coded(np.zeros(len(versions), dtype=np.int8), [market.department], missing=~vague),
            "border": _coded(versions["border"].cat.codes.to_numpy(), ["", *BORDERS], missing=~abroad),
            "contract": _coded(versions["contract"].cat.codes.to_numpy(), list(versions["contract"].cat.categories)),
            "contract_months": pa.array(months.astype(float), mask=months == 0),
            "seasonal": pa.array(versions["contract"].to_numpy() == "SAI"),
            "positions": pa.array(versions["shown"].to_numpy()),
            "experience": _coded(versions["experience"].cat.codes.to_numpy(), list(versions["experience"].cat.categories)),
            "level": pa.array(level, mask=~np.isin(level, [*_DIPLOMAS])),
            "skills": _coded(combined, texts, missing=versions["skills"].to_numpy() == 0),
            "hourly_eur": pa.array(versions["pay"].to_numpy() / 100, mask=versions["pay"].to_numpy() == 0),
        }
    )


def _coded(positions: NDArray[np.integer], texts: list[str], *, missing: NDArray[np.bool_] | None = None) -> pa.Array:
    """Give each row one of a few texts by its position, or none."""
    # no dictionary array: some texts come twice, and then the bytes of its Parquet pages are left to chance
    return pa.array(texts, pa.string()).take(pa.array(positions, mask=missing))


def _skill_texts(
    codes: list[str], occupation: NDArray[np.integer], bits: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], list[str]]:
    """Spell each combination of skills once, as the contract does; and say which one each row has."""
    distinct, combined = np.unique(occupation.astype(np.int64) << SKILLS | bits, return_inverse=True)
    named = [skills_of(code) for code in codes]
    pairs = ((named[key >> SKILLS], key % (1 << SKILLS)) for key in distinct.tolist())
    return combined, ["|".join(_chosen(skills, chosen)) for skills, chosen in pairs]


def _chosen(skills: list[str], bits: int) -> list[str]:
    return [skill for k, skill in enumerate(skills) if bits >> k & 1]


class Version(NamedTuple):
    """One version of one offer, about to be written."""

    offer: str
    occupation: int
    commune: int
    created: pd.Timestamp
    version: pd.Timestamp
    contract: str
    months: int
    experience: str
    level: int
    skills: int
    vague: bool
    leaf: bool
    border: str
    shown: int
    pay: int


def _lines(versions: pd.DataFrame, world: World) -> Iterator[str]:
    """Write each version as one line of JSON."""
    jobs, places = _jobs(world), _places(world)
    codes, titles = world.occupations["occupation"].tolist(), world.occupations["title"].tolist()
    abroad: dict[str, Json] = {code: {"libelle": f"{title} (Frontalier)"} for code, title in BORDERS.items()}

    @cache
    def skills(occupation: int, bits: int) -> list[Json]:
        labels = dict(zip(skills_of(codes[occupation]), _labels(codes[occupation], titles[occupation]), strict=True))
        return [{"code": code, "libelle": labels[code], "exigence": "S"} for code in _chosen([*labels], bits)]

    for row in rows_of(versions, Version, Version._fields):
        exact, vague = places[row.commune]
        place = abroad[row.border] if row.border else (vague if row.vague else exact)
        job = jobs[row.occupation][1 if row.leaf else 0]
        response = _response(row, place, job, skills(row.occupation, row.skills))
        yield json.dumps(response, ensure_ascii=False) + "\n"


def _labels(code: str, title: str) -> list[str]:
    shared = (f"{code[:3]} : geste commun {k - OWN + 1}" for k in range(OWN, SKILLS))
    return [*(f"{title} : geste {k + 1}" for k in range(OWN)), *shared]


def _response(row: Version, place: Json, job: Json, skills: list[Json]) -> Json:
    term = f" - {row.months} Mois" if row.months else ""
    offer: Json = {
        "id": row.offer,
        "intitule": job["appellationlibelle"],
        "description": "",
        "dateCreation": f"{row.created:%Y-%m-%dT%H:%M:%S}.000Z",
        "dateActualisation": f"{row.version:%Y-%m-%dT%H:%M:%S}.000Z",
        "lieuTravail": place,
        **job,
        "entreprise": {"entrepriseAdaptee": False},
        "typeContrat": row.contract,
        "typeContratLibelle": _CONTRACT_TITLES[row.contract] + term,
        "natureContrat": "Contrat travail",
        "experienceExige": row.experience,
        "experienceLibelle": "Débutant accepté" if row.experience == "D" else "2 ans",
    }
    if row.level in _DIPLOMAS:
        offer["formations"] = [{"niveauLibelle": _DIPLOMAS[row.level], "exigence": "S"}]
    if skills:
        offer["competences"] = skills
    if row.pay:
        offer["salaire"] = {"libelle": f"Horaire de {row.pay / 100:.2f} Euros".replace(".", ",")}
    return offer | {"alternance": False, "nombrePostes": row.shown, "accessibleTH": False, "offresManqueCandidats": False}


def _leaves(world: World) -> pd.DataFrame:
    """Choose an occupation of ROME 4 for each of ROME 3, none (empty) where it has no other. One row per occupation."""
    leaves = facts.leaves()
    leaves = leaves[~leaves["leaf"].isin(facts.occupations()["occupation"])]
    leaves = leaves.drop_duplicates("occupation").set_index("occupation")[["leaf", "title"]]
    return leaves.reindex(world.occupations["occupation"]).fillna("")


def _jobs(world: World) -> list[tuple[Json, Json]]:
    """Prepare what every offer of an occupation says, under its v3 code and under one of its v4 leaves."""
    leaves = _leaves(world)
    both = zip(world.occupations["occupation"], world.occupations["title"], leaves["leaf"], leaves["title"], strict=True)
    return [(_job(code, title), _job(leaf or code, name or title)) for code, title, leaf, name in both]


def _job(code: str, title: str) -> Json:
    return {"romeCode": code, "romeLibelle": title, "appellationlibelle": title}


def _places(world: World) -> list[tuple[Json, Json]]:
    """Prepare the workplace of each commune: exact, and as the label of its département only."""
    titles = facts.departments().set_index("department")["title"]
    places: list[tuple[Json, Json]] = []
    for row in rows_of(world.communes, Commune, Commune._fields):
        number = row.department[1:]
        exact: Json = {
            "libelle": f"{number} - {row.name.upper()}",
            "latitude": row.latitude,
            "longitude": row.longitude,
            "codePostal": f"{number}000",
            "commune": row.commune[1:],
        }
        places.append((exact, {"libelle": f"{number} - {titles[row.department]}"}))
    return places
