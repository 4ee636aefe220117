"""What the territories say of their needs: committees, employers and branches that know, that guess, or that wish.

- ``good`` (a share ``signals.good``): of three subjects in its territory it takes the one that moves most, and its direction
  follows log(need of the months +7 to +18 ÷ need of the last twelve): under 3 % is 0, under 10 % is ±1, beyond is ±2.
  Both spans are whole years, so that seasons cancel.
- ``wishful`` (``signals.wishful``): a large subject, always +1 or +2, many places asked.
- ``noise`` (the rest): a subject and a direction at random.

Growth is that of level × common moves × local growth; shocks of single employers to come are known to nobody. The shares are
the world's to choose: no source tells the real ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features import facts
from features.tables import CONTRACT
from needs.twin.places import Numbers
from needs.twin.skills import skills_of
from needs.twin.world import World

_PER_BASSIN, _PER_DEPARTMENT = 2, 4
_REGIONAL_PER_DEPARTMENT = 2
_VALID_MONTHS = 18
_AHEAD = (7, 19)
_EDGES = (-0.1, -0.03, 0.03, 0.1)
_CANDIDATES = 3
_CODED_AS = {"SECTEUR": 0.45, "ROME": 0.35, "FORMACODE": 0.12, "COMPETENCE": 0.08}
_AUTHORS = ("comite", "employeur", "branche")
_AUTHOR_ODDS = {"good": (0.5, 0.3, 0.2), "noise": (0.4, 0.3, 0.3), "wishful": (0.1, 0.3, 0.6)}
_WORDS = {
    -2: ("fort recul des embauches", "des suppressions de postes sont annoncées"),
    -1: ("débouchés en léger recul", "l'offre de formation est jugée suffisante"),
    0: ("besoins stables", "pas de changement attendu"),
    1: ("besoins en légère hausse", "quelques recrutements sont prévus"),
    2: ("besoins en forte hausse", "de nombreuses embauches sont annoncées"),
}
_PLACES_ASKED, _PLACES_WISHED = (5, 30), (40, 120)


@dataclass(frozen=True)
class _Scene:
    """What can be spoken of, and where: growth over places (rows) × subjects (columns), and how large each subject is."""

    places: pd.DataFrame
    subjects: pd.DataFrame
    size: Numbers
    growth: Numbers


def draw_signals(world: World) -> pd.DataFrame:
    """Let the territories speak. One row per signal."""
    return signal_truth(world)[list(CONTRACT["signals"].names)]


def signal_truth(world: World) -> pd.DataFrame:
    """Say of each signal what it is. One row per signal: what files hold, its ``kind`` and the true ``growth``."""
    rng, scene = world.rng("signals"), _scene(world)
    times = scene.places["territory"].str.extract(r"^([A-Z]+)")[0].map({"BE": _PER_BASSIN, "D": _PER_DEPARTMENT})
    times = times.fillna(_REGIONAL_PER_DEPARTMENT * scene.places["departments"]).astype(int)
    place = np.repeat(np.arange(len(scene.places)), times)
    good, wishful = world.dials.signals.good, world.dials.signals.wishful
    draw = rng.random(len(place))
    kind = np.select([draw < good, draw < good + wishful], ["good", "wishful"], "noise")
    subject = _subjects_chosen(scene, place, kind, rng)
    growth = scene.growth[place, subject]
    random, wished = rng.integers(-2, 3, len(place)), rng.integers(1, 3, len(place))
    direction = np.select([kind == "good", kind == "wishful"], [np.digitize(growth, _EDGES) - 2, wished], random)
    few, many = rng.integers(*_PLACES_ASKED, len(place)), rng.integers(*_PLACES_WISHED, len(place))
    known = world.as_of.normalize() - pd.to_timedelta(rng.integers(20, 300, len(place)), unit="D")
    territory = scene.places["territory"].iloc[place].reset_index(drop=True)
    rows = pd.DataFrame(
        {
            "known_from": known,
            "territory_kind": territory.str.extract(r"^([A-Z]+)")[0],
            "territory": territory.str.replace(r"^[A-Z]+", "", regex=True),
            **{name: scene.subjects[name].to_numpy()[subject] for name in ("nomenclature", "code")},
            "direction": direction,
            "places_asked": np.where(direction > 0, np.where(kind == "wishful", many, few), np.nan),
            "author_kind": _one_of_each(kind, rng),
            "comment": _comments(scene, place, subject, direction, rng),
            "valid_until": known + pd.DateOffset(months=_VALID_MONTHS),
            "kind": kind,
            "growth": growth,
        }
    )
    rows = rows.drop_duplicates(list(CONTRACT["signals"].key))
    return rows.sort_values(list(CONTRACT["signals"].key), kind="stable", ignore_index=True)


def _scene(world: World) -> _Scene:
    places, inside = _places(world)
    subjects, weights = _subjects(world)
    now, later = (inside @ need @ weights for need in _needs(world))
    spoken = now.sum(axis=0) > 0
    now, later = now[:, spoken], later[:, spoken]
    return _Scene(places, subjects[spoken].reset_index(drop=True), now.sum(axis=0), np.log((later + 1e-9) / (now + 1e-9)))


def _needs(world: World) -> tuple[Numbers, Numbers]:
    """Give the expected need of the last twelve months and of the months +7 to +18, by atom and occupation."""
    time, past = np.arange(len(world.months)) / 12, world.past
    spans = np.arange(max(0, past - 12), past), np.arange(past - 1 + _AHEAD[0], past - 1 + _AHEAD[1])
    sums = []
    for span in spans:
        monthly = (world.common[:, month] * (1 + world.local) ** time[month] for month in span)
        sums.append(world.level * sum(monthly, start=np.zeros_like(world.level)))
    return sums[0], sums[1]


def _places(world: World) -> tuple[pd.DataFrame, Numbers]:
    """List who speaks. One row per bassin, département and Region, with its title; and which atoms (columns) lie in each."""
    departments = facts.departments().set_index("department")
    bassins = facts.bassins().drop_duplicates("territory").set_index("territory")["title"].str.title()
    ours = facts.territories().set_index("territory")["title"]
    titles = pd.concat([ours, bassins, departments["title"], departments.set_index("region")["region_title"]])
    titles = titles[~titles.index.duplicated()]
    atoms = world.atoms.assign(region=world.atoms["department"].map(departments["region"]))
    levels = [atoms["territory"], atoms["department"], atoms["region"]]
    codes = [code for level in levels for code in sorted(set(level))]
    inside = np.any([np.equal.outer(np.array(codes, dtype=object), level.to_numpy(dtype=object)) for level in levels], axis=0)
    counts = [atoms.loc[row, "department"].nunique() for row in inside]
    table = pd.DataFrame({"territory": codes, "title": titles.reindex(codes).fillna("").to_numpy(), "departments": counts})
    return table, inside.astype("float64")


def _subjects(world: World) -> tuple[pd.DataFrame, Numbers]:
    """List what can be spoken of. One row per code with its title; and the part of each occupation (row) that belongs to it."""
    codes, titles = world.occupations["occupation"], world.occupations["title"]
    sectors = facts.sectors().set_index("sector").reindex(world.sectors.columns)
    trained = facts.certifications()["formacode"].value_counts().sort_index().sort_values(ascending=False, kind="stable")
    largest = pd.Series(trained.index, index=trained.index.str[:3]).groupby(level=0).first().reindex(sectors.index)
    formacodes = facts.formacodes().set_index("formacode")["title"]
    groups = list(dict.fromkeys(sectors["group"]))
    whole, fields = np.eye(len(codes)), world.sectors.to_numpy()
    grouped = np.stack([fields[:, (sectors["group"] == group).to_numpy()].sum(axis=1) for group in groups], axis=1)
    skills = pd.Series([skills_of(code)[0] for code in codes])
    parts: list[tuple[str, pd.Series[str], pd.Series[str], Numbers]] = [
        ("ROME", codes, titles, whole),
        ("COMPETENCE", skills, "Compétence du métier « " + titles + " »", whole),
        ("SECTEUR", sectors.index.to_series(), sectors["title"], fields),
        ("SECTEUR", pd.Series(groups), pd.Series(groups).str.capitalize(), grouped),
        ("FORMACODE", largest, formacodes.reindex(largest).str.capitalize(), fields),
    ]
    table = [
        pd.DataFrame({"nomenclature": kind, "code": code.to_numpy(), "title": title.to_numpy()})
        for kind, code, title, _ in parts
    ]
    listed, weights = pd.concat(table, ignore_index=True), np.hstack([part for *_, part in parts])
    known = listed["code"].notna().to_numpy()
    return listed[known].reset_index(drop=True), np.asarray(weights[:, known])


def _subjects_chosen(
    scene: _Scene, place: NDArray[np.int64], kind: NDArray[np.str_], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Choose what each signal speaks of. Gives positions in the subjects, three drawn for each and one of them kept."""
    odds = pd.Series(np.sqrt(scene.size))
    named = scene.subjects["nomenclature"]
    odds = odds / odds.groupby(named).transform("sum") * named.map(_CODED_AS)
    drawn = rng.choice(len(odds), (len(place), _CANDIDATES), p=(odds / odds.sum()).to_numpy())
    moves = np.abs(scene.growth[place[:, None], drawn])
    taken = np.select([kind == "good", kind == "wishful"], [moves.argmax(axis=1), scene.size[drawn].argmax(axis=1)], 0)
    return np.asarray(drawn[np.arange(len(place)), taken])


def _one_of_each(kind: NDArray[np.str_], rng: np.random.Generator) -> NDArray[np.object_]:
    """Choose who speaks, with the odds of its kind."""
    cumulated = np.cumsum([_AUTHOR_ODDS[name] for name in kind], axis=1)
    drawn = (cumulated < rng.random(len(kind))[:, None]).sum(axis=1)
    return np.asarray(np.array(_AUTHORS, dtype=object)[np.minimum(drawn, len(_AUTHORS) - 1)])


def _comments(
    scene: _Scene, place: NDArray[np.int64], subject: NDArray[np.int64], direction: NDArray[np.int64], rng: np.random.Generator
) -> list[str]:
    """Put each signal into words."""
    turns = rng.integers(0, 2, len(place))
    about, where = scene.subjects["title"].to_numpy()[subject], scene.places["title"].to_numpy()[place]
    told = (_WORDS[int(step)][turn] for step, turn in zip(direction, turns, strict=True))
    return [f"{title} ({spot}) : {words}" for title, spot, words in zip(about, where, told, strict=True)]
