"""What others say of the region: a survey of former trainees, branch observatories, and the territories themselves."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features import facts
from needs.twin.careers import Careers
from needs.twin.spells import HALF_YEAR, at_work, durably
from needs.twin.stock import person_ids
from needs.twin.world import World

_RESPONSE = 0.6
_COLLECTED_MONTHS = 8
_STUDY_ERROR = 0.25
_STUDY_YEARS = 5
_BRANCHES = {
    "Observatoire de la construction": ("B", "construction"),
    "Observatoire des industries": ("D", "industrie"),
    "Observatoire sanitaire et social": ("V", "sanitaire et social"),
    "Observatoire du commerce": ("R", "commerce"),
    "Observatoire du transport et de la logistique": ("J", "transport"),
}
_SIGNALS = (
    ("D", "SECTEUR", "industrie", 2, "branche", "Recrutements difficiles sur les lignes de production"),
    ("D", "SECTEUR", "sanitaire et social", 2, "comite", "Besoins en établissement et à domicile"),
    ("D", "SECTEUR", "hôtellerie-restauration", 1, "comite", "Saison longue attendue"),
    ("D", "SECTEUR", "326", -1, "comite", "Offre jugée suffisante"),
    ("BE", "ROME", "K1302", 2, "employeur", "Ouverture d'une résidence"),
    ("BE", "ROME", "N1103", 1, "employeur", "Nouvelle plateforme logistique"),
    ("BE", "ROME", "I1304", 2, "branche", "Départs à la retraite"),
    ("BE", "ROME", "M1607", -1, "comite", "Débouchés en baisse"),
    ("BE", "FORMACODE", "23026", 1, "branche", "Soudage demandé par la chaudronnerie"),
    ("BE", "FORMACODE", "42752", 1, "employeur", "Deux restaurants ouvrent"),
    ("R", "SECTEUR", "transport", 1, "branche", "Renouvellement des conducteurs"),
    ("R", "ROME", "J1501", 2, "branche", "Plan régional pour le grand âge"),
)


def draw_outcomes(world: World, careers: Careers) -> pd.DataFrame:
    """Survey the trainees who left 9 to 15 months ago, six months after. One row per person asked.

    Those who do not answer are missing, which happens more often to those without work.
    """
    rng = world.rng("outcomes")
    rows = careers.prescriptions
    first, last = (world.as_of - pd.DateOffset(months=months) for months in (15, 9))
    left = rows[(rows["status"] == "entre") & (rows["exited"] >= first) & (rows["exited"] < last)]
    left = left.drop_duplicates("pid", keep="last")
    asked = left.assign(reference=left["exited"]).reset_index(drop=True)
    spells = careers.spells.assign(durable=durably(careers.spells))
    works = at_work(spells, asked, HALF_YEAR)
    lasting = works & at_work(spells[spells["durable"]], asked, HALF_YEAR)
    aimed = works & _in_trained_occupation(spells, asked)
    chance = np.where(works, _RESPONSE + 0.08, _RESPONSE - 0.08)
    answered = rng.random(len(asked)) < chance
    flags = {"work_6m": works, "durable_6m": lasting, "trained_occupation_6m": aimed}
    return pd.DataFrame(
        {
            "person": person_ids(asked["pid"]),
            "origin": "sortie",
            "origin_date": asked["exited"],
            "answered": answered,
            "weight": np.where(answered, round(1 / _RESPONSE, 3), 0.0),
            **{name: pd.Series(flag, dtype="boolean").where(answered) for name, flag in flags.items()},
            **{f"work_{months}m": pd.Series(pd.NA, index=asked.index, dtype="boolean") for months in (12, 18, 24)},
            "known_from": asked["exited"] + pd.DateOffset(months=_COLLECTED_MONTHS),
        }
    )


def _in_trained_occupation(spells: pd.DataFrame, people: pd.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    both = spells.merge(people[["pid", "reference", "occupations"]], on="pid", how="inner", validate="many_to_one")
    day = both["reference"] + pd.Timedelta(days=HALF_YEAR)
    both = both[(both["starts"] <= day) & (day <= both["ends"])]
    same = [code in codes.split("|") for code, codes in zip(both["occupation"], both["occupations"], strict=True)]
    return np.asarray(people["pid"].isin(both.loc[same, "pid"]))


def draw_projections(world: World) -> pd.DataFrame:
    """Project the openings of five years, of the large families of a few branches. One row per branch, family, territory."""
    rng = world.rng("projections")
    need = _need_by_family(world)
    rows = pd.concat([need.groupby("family", as_index=False)["need"].sum().assign(territory="R44"), need], ignore_index=True)
    branch = {letter: (source, title) for source, (letter, title) in _BRANCHES.items()}
    rows = rows[rows["family"].str[0].isin(branch)]
    rows = rows.sort_values(["need", "family", "territory"], ascending=False, kind="stable")
    letter = rows["family"].str[0]
    rows = rows[rows.groupby([letter, rows["territory"]]).cumcount() < 4].sort_values(
        ["territory", "family"], ignore_index=True
    )
    openings = (_STUDY_YEARS * rows["need"] * rng.lognormal(0, _STUDY_ERROR, len(rows))).round()
    studied = (world.as_of - pd.DateOffset(months=15)).normalize()
    letter = rows["family"].str[0]
    return pd.DataFrame(
        {
            "source": letter.map({key: value[0] for key, value in branch.items()}),
            "branch": letter.map({key: value[1] for key, value in branch.items()}),
            "known_from": studied,
            "valid_until": studied + pd.DateOffset(years=4),
            "scenario": "tendanciel",
            "nomenclature": "FAP2021",
            "code": rows["family"],
            "territory_kind": rows["territory"].str[0],
            "territory": rows["territory"].str[1:],
            "first_year": studied.year,
            "last_year": studied.year + _STUDY_YEARS,
            "openings": openings,
            "net_jobs": (openings * 0.2).round(),
            "departures": (openings * 0.8).round(),
            "young_starters": (openings * 0.35).round(),
            "reliability": np.where(rows["territory"] == "R44", "B", "C"),
        }
    )


def _need_by_family(world: World) -> pd.DataFrame:
    """Count the last year's need. One row per FAP 2021 family and département."""
    past = world.past
    year = world.need[:, :, max(0, past - 12) : past].sum(axis=2)
    atom, occupation = np.indices(year.shape).reshape(2, -1)
    cells = pd.DataFrame(
        {
            "territory": world.atoms["department"].to_numpy()[atom],
            "occupation": world.occupations["occupation"].to_numpy()[occupation],
            "need": year.ravel(),
        }
    )
    links = facts.occupation_families()
    links = links[links["nomenclature"] == "FAP2021"][["occupation", "family", "weight"]]
    both = cells.merge(links, on="occupation", how="inner", validate="many_to_many")
    both = both.assign(need=both["need"] * both["weight"].astype(float), family=both["family"].str[:5])
    return both.groupby(["territory", "family"])["need"].sum().reset_index()


def draw_signals(world: World) -> pd.DataFrame:
    """Let a dozen committees, employers and branches speak. One row per signal."""
    rng = world.rng("signals")
    pools = {"D": world.atoms["department"].unique(), "BE": world.atoms["territory"].unique(), "R": np.array(["R44"])}
    rows = [
        {
            "known_from": (world.as_of - pd.Timedelta(days=int(rng.integers(20, 300)))).normalize(),
            "territory_kind": kind,
            "territory": str(rng.choice(pools[kind]))[len(kind) :],
            "nomenclature": nomenclature,
            "code": code,
            "direction": direction,
            "places_asked": float(rng.integers(5, 30)) if direction > 0 else np.nan,
            "author_kind": author,
            "comment": comment,
        }
        for kind, nomenclature, code, direction, author, comment in _SIGNALS
    ]
    signals = pd.DataFrame(rows)
    return signals.assign(valid_until=signals["known_from"] + pd.DateOffset(months=18))
