"""Job offers: what employers publish of their need, as the employment service's search responses give it."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features import facts
from features.vocabulary import BORDERS
from needs.twin.raw import rows_of
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
_BORDER_SHARE = 0.015
_NO_COMMUNE = 0.03
_UPDATED = 0.15
_LEAF_SHARE = 0.1
_LETTERS = "ABCDFGHJKLMNPQRSTVWXYZ"


def skills_of(occupation: str) -> list[str]:
    """Give the six skill codes that the offers of one occupation name.

    >>> len(set(skills_of("A1101")))
    6
    """
    first = 100_000 + zlib.crc32(occupation.encode()) % 20_000
    return [str(first + 37 * k) for k in range(6)]


def draw_offers(world: World) -> pd.DataFrame:
    """Draw the offers published up to ``as_of``. One row per offer, as its last version says."""
    rng = world.rng("offers")
    cells = pd.concat([_units(world, kind) for kind in ("lasting", "seasonal", "short")], ignore_index=True)
    offers = _group_units(cells, rng)
    size = len(offers)
    day = rng.integers(0, 10_000, size) % world.months.days_in_month.to_numpy()[offers["month"]]
    created = world.months.start_time.to_numpy()[offers["month"]] + day.astype("timedelta64[D]")
    created = created + rng.integers(6 * 3600, 20 * 3600, size).astype("timedelta64[s]")
    offers = offers.assign(created=created.astype("datetime64[s]"), commune=_workplaces(world, offers["atom"], rng))
    offers = _add_terms(offers, world, rng)
    offers = pd.concat([offers, _abroad(offers, rng)], ignore_index=True)
    offers = _add_update(offers, world, rng)
    end = world.as_of + pd.Timedelta(days=1)
    offers = offers[offers["created"] < end].sort_values(["created", "atom", "occupation"], kind="stable", ignore_index=True)
    return offers.assign(offer=_identifiers(len(offers)))


def _units(world: World, kind: str) -> pd.DataFrame:
    """List the positions of one kind. One row per cell (atom, occupation, month) with its count."""
    past = world.past
    if kind == "short":
        share = (world.occupations["coverage"] * world.occupations["short"]).to_numpy()[None, :, None]
        counts = world.rng("short").poisson(world.rate[:, :, :past] * share)
    else:
        counts = (world.positions if kind == "lasting" else world.seasonal_positions)[:, :, :past]
    atom, occupation, month = np.nonzero(counts)
    columns = {"atom": atom, "occupation": occupation, "month": month, "count": counts[atom, occupation, month]}
    return pd.DataFrame(columns).assign(kind=kind)


def _group_units(cells: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Put the positions of a cell on offers of one, two or five positions. One row per offer."""
    group = rng.choice([1, 2, 5], len(cells), p=[0.7, 0.2, 0.1])
    full, rest = np.divmod(cells["count"].to_numpy(), group)
    times = full + (rest > 0)
    rows = cells.loc[cells.index.repeat(times)].assign(positions=np.repeat(group, times))
    last = ~rows.index.duplicated(keep="last") & np.repeat(rest > 0, times)
    rows = rows.assign(positions=np.where(last, np.repeat(rest, times), rows["positions"]))
    return rows.drop(columns="count").reset_index(drop=True)


def _workplaces(world: World, atoms: pd.Series[int], rng: np.random.Generator) -> NDArray[np.int64]:
    """Choose a commune in the atom of each row, large ones first. Gives positions in ``world.communes``."""
    return places_in(world, atoms.to_numpy(), rng, power=1.2)


def places_in(world: World, atoms: NDArray[np.integer], rng: np.random.Generator, *, power: float = 1.0) -> NDArray[np.int64]:
    """Choose a commune in each atom, with odds of its population to a power. Gives positions in ``world.communes``."""
    chosen = np.zeros(len(atoms), dtype=np.int64)
    weight = world.communes["population"].to_numpy() ** power + 1e-9
    for atom, communes in world.communes.groupby("atom").indices.items():
        rows = np.flatnonzero(atoms == atom)
        odds = weight[communes] / weight[communes].sum()
        chosen[rows] = rng.choice(communes, len(rows), p=odds)
    return chosen


def _add_terms(offers: pd.DataFrame, world: World, rng: np.random.Generator) -> pd.DataFrame:
    """Add contract, months, experience, level and where the label stays vague. Same rows."""
    size = len(offers)
    occupation = offers["occupation"].to_numpy()
    lasting, seasonal = (offers["kind"] == "lasting").to_numpy(), (offers["kind"] == "seasonal").to_numpy()
    cdi = rng.random(size) < world.occupations["lasting_cdi"].to_numpy()[occupation]
    fixed = np.where(rng.random(size) < 0.9, "CDD", "MIS")
    short = np.where(rng.random(size) < 0.45, "CDD", "MIS")
    contract = np.where(lasting, np.where(cdi, "CDI", fixed), np.where(seasonal, "SAI", short))
    months = np.where(lasting, rng.choice([6, 7, 8, 9, 10, 12, 18, 24], size), rng.integers(1, 6, size))
    months = np.where(seasonal, rng.integers(1, 5, size), np.where(contract == "CDI", 0, months))
    level = world.occupations["level"].to_numpy()[occupation]
    return offers.assign(
        contract=contract,
        months=months,
        experience=np.where(rng.random(size) < 0.55, "D", "E"),
        level=np.where(rng.random(size) < 0.55, level, 0),
        vague=rng.random(size) < _NO_COMMUNE,
        leaf=rng.random(size) < _LEAF_SHARE,
        border="",
    )


def _abroad(offers: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Draw the offers of employers across the border, on top of the Region's need. One row per offer."""
    rows = np.sort(rng.choice(len(offers), round(len(offers) * _BORDER_SHARE), replace=False))
    return offers.iloc[rows].assign(border=rng.choice([*BORDERS], len(rows), p=[0.4, 0.35, 0.05, 0.2]))


def _add_update(offers: pd.DataFrame, world: World, rng: np.random.Generator) -> pd.DataFrame:
    """Add when some offers were updated, and how many positions their first version gave. Same rows."""
    size = len(offers)
    later = offers["created"] + pd.to_timedelta(rng.integers(3 * 86400, 45 * 86400, size), unit="s")
    seen = (rng.random(size) < _UPDATED) & (later < world.as_of + pd.Timedelta(days=1)).to_numpy()
    other = np.maximum(1, offers["positions"].to_numpy() + rng.choice([-1, 0, 0, 0, 1], size))
    return offers.assign(
        updated=later.where(seen).astype("datetime64[s]"), first_positions=np.where(seen, other, offers["positions"])
    )


def _identifiers(size: int) -> list[str]:
    """Number the offers as the service does: three digits, four letters; each once."""
    letters = len(_LETTERS)
    span = letters**4
    numbers = (np.arange(size, dtype=np.int64) * 7_919 + 12_345) % (span * 900)
    words = ["".join(_LETTERS[(k // letters**place) % letters] for place in range(4)) for k in (numbers % span).tolist()]
    return [f"{100 + head}{word}" for head, word in zip((numbers // span).tolist(), words, strict=True)]


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
    vague: bool
    leaf: bool
    border: str
    shown: int


class Commune(NamedTuple):
    """One commune, about to be written."""

    commune: str
    name: str
    department: str
    latitude: float
    longitude: float


def offer_lines(offers: pd.DataFrame, world: World) -> Iterator[tuple[int, str]]:
    """Write each version of each offer as one JSON line, in the order of publication, with its year."""
    first = offers.assign(version=offers["created"], shown=offers["first_positions"])
    last = offers[offers["updated"].notna()].assign(version=lambda t: t["updated"], shown=lambda t: t["positions"])
    versions = pd.concat([first, last]).sort_values(["version", "offer"], kind="stable")
    jobs, places = _jobs(world), _places(world)
    abroad: dict[str, Json] = {code: {"libelle": f"{title} (Frontalier)"} for code, title in BORDERS.items()}
    for row in rows_of(versions, Version, Version._fields):
        exact, vague = places[row.commune]
        place = abroad[row.border] if row.border else (vague if row.vague else exact)
        job = jobs[row.occupation][1 if row.leaf else 0]
        yield row.version.year, json.dumps(_response(row, place, job), ensure_ascii=False)


def _response(row: Version, place: Json, job: Json) -> Json:
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
    return offer | {"alternance": False, "nombrePostes": row.shown, "accessibleTH": False, "offresManqueCandidats": False}


def _jobs(world: World) -> list[tuple[Json, Json]]:
    """Prepare what every offer of an occupation says, under its v3 code and under one of its v4 leaves."""
    leaves = facts.leaves()
    leaves = leaves[~leaves["leaf"].isin(facts.occupations()["occupation"])]
    leaves = leaves.drop_duplicates("occupation").set_index("occupation")
    jobs = []
    for code, title in zip(world.occupations["occupation"], world.occupations["title"], strict=True):
        named = enumerate(skills_of(code), 1)
        skills = [{"code": skill, "libelle": f"{title} : geste {k}", "exigence": "S"} for k, skill in named]
        leaf = leaves.loc[code] if code in leaves.index else pd.Series({"leaf": code, "title": title})
        jobs.append((_job(code, title, skills[:4]), _job(str(leaf["leaf"]), str(leaf["title"]), skills[2:])))
    return jobs


def _job(code: str, title: str, skills: list[dict[str, str]]) -> Json:
    return {"romeCode": code, "romeLibelle": title, "appellationlibelle": title, "competences": skills}


def _places(world: World) -> list[tuple[Json, Json]]:
    """Prepare the workplace of each commune: exact, and as the label of its département only."""
    titles = facts.territories().set_index("territory")["title"]
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
