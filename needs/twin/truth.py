"""What is true in a simulated region, for tests and benchmarks only: need, tightness, chances and effects.

What a plan or a match is truly worth stands in ``worth``, ``oracle``, ``rules`` and ``matches``.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from needs.twin.careers import Intercepts
from needs.twin.effects import Effects, groups_of, sigmoid, stay_score
from needs.twin.market import Market
from needs.twin.people import PERSON, person_ids
from needs.twin.places import Numbers
from needs.twin.work import IN_TRAINED_OCCUPATION, occupation
from needs.twin.world import World

HORIZONS = (6, 12, 18, 24)
OUTCOMES = ("work", "durable", "trained_occupation")
_COURSE = (
    *("lheo", "session", "lot", "action_type", "formacode", "certifinfo", "occupations", "entry_level", "exit_level", "binds"),
    *("public", "permanent", "starts", "ends", "state", "seats", "centre_hours", "company_hours", "provider", "load"),
)


def need_table(market: Market) -> pd.DataFrame:
    """Say what was and will be needed. One row per bassin × département, occupation and month, future ones included.

    ``need`` and ``seasonal`` are recruitments, ``positions`` and ``seasonal_positions`` what employers publish of them (months
    after ``as_of``: will publish), those published a second time, ``repeated``, among the positions; ``expected`` is the mean
    around which the need was drawn.
    """
    world, shape = market.world, market.need.shape
    atom, occupations, month = (index.ravel() for index in np.indices(shape, dtype=np.int16))
    home = world.atoms["territory"].to_numpy()[market.atoms]
    counts = {"need": market.need, "positions": market.positions + market.repeated, "repeated": market.repeated}
    seasonal = {"seasonal": market.seasonal, "seasonal_positions": market.seasonal_positions}
    return pd.DataFrame(
        {
            "territory": _coded(home, atom),
            "department": _coded(np.array([market.department], dtype=object), np.zeros_like(atom)),
            "occupation": _coded(world.occupations["occupation"].to_numpy(), occupations),
            "period": _coded(world.months.astype(str).to_numpy(), month),
            "expected": market.rate.ravel().astype("float32"),
            **{name: cells.ravel().astype("int32") for name, cells in (counts | seasonal).items()},
            "coverage": world.occupations["coverage"].to_numpy(dtype="float32")[occupations],
        }
    )


def _coded(names: NDArray[np.object_], index: NDArray[np.int16]) -> pd.api.extensions.ExtensionArray:
    """Give the name at each index."""
    return pd.array(names, dtype="str").take(index)


def occupation_table(world: World) -> pd.DataFrame:
    """Say how each occupation fares and how much of it employers publish. One row per occupation of the world."""
    return world.occupations[["occupation", "title", "weight", "coverage", "difficult", "level", "fate"]].copy()


def tightness_table(world: World) -> pd.DataFrame:
    """Say how scarce people are. One row per bassin × département and code (occupation or sector)."""
    wide = world.tightness().assign(territory=world.atoms["territory"], department=world.atoms["department"])
    return wide.melt(["territory", "department"], var_name="code", value_name="tightness")


def chance_table(effects: Effects, entries: pd.DataFrame, intercepts: Intercepts) -> pd.DataFrame:
    """Say what each training entered changes. One row per entry: chances months after it, with the training and without.

    ``work_with_12`` is the chance to be at work twelve months from entry, ``durable…`` in a lasting job,
    ``trained_occupation…`` in an occupation that the course leads to. A column per group says whether the person belongs to it,
    ``followed`` whether another course came next: chances are then those of the first alone, which no file shows.
    """
    chances = effects.trained(entries, intercepts)
    after, alone = _shares_in_trained(entries)
    told: dict[str, Numbers] = {}
    for name, of_name, share in (("with", chances, after), ("without", chances.untrained(), alone)):
        work, durable = occupation(of_name, list(HORIZONS))
        for column, months in enumerate(HORIZONS):
            told[f"work_{name}_{months}"] = work[:, column]
            told[f"durable_{name}_{months}"] = durable[:, column]
            told[f"trained_occupation_{name}_{months}"] = work[:, column] * share
    kept = entries[["session", "lot", "action_type", "formacode", "entered", "exited", "followed"]]
    return kept.assign(person=person_ids(entries["pid"]), sector=entries["formacode"].str[:3]).join(
        [groups_of(entries), pd.DataFrame(told, index=entries.index).astype("float32")]
    )


def _shares_in_trained(entries: pd.DataFrame) -> tuple[Numbers, Numbers]:
    """Say which part of the jobs of each entry are in an occupation of its course, with the training and without.

    As jobs are drawn: untrained, all are in the occupation wanted; after a course with occupations that was not given up,
    so many are in one of them and the others in the occupation wanted.
    """
    both = zip(entries["wanted"].fillna("").tolist(), entries["occupations"].tolist(), strict=True)
    wanted = np.array([bool(code) and code in codes for code, codes in both], dtype="float64")
    led = ((entries["occupations"] != "") & (entries["exit_reason"] != "abandon")).to_numpy(dtype=bool)
    return np.where(led, IN_TRAINED_OCCUPATION + (1 - IN_TRAINED_OCCUPATION) * wanted, wanted), wanted


def people_table(effects: Effects, people: pd.DataFrame, intercepts: Intercepts) -> pd.DataFrame:
    """Say of each jobseeker of ``as_of`` what no file shows, beside what was drawn of the person. One row per person.

    ``available`` and ``unemployed_months`` are what files tell: with them it is known what each person may enter.
    ``drive`` is a person's own; ``rate`` the monthly rate λ of being hired, untrained, in a mean month; ``stays`` the chance
    that the job is lasting.
    """
    drawn = [name for name in PERSON if name not in ("pid", "atom", "home", "gap_days", "known_from", "seen", "busy_until")]
    return people[drawn].assign(
        person=person_ids(people["pid"]),
        **_places(effects.world, people["home"]),
        **{name: people[name].to_numpy() for name in ("available", "unemployed_months")},
        rate=effects.rate(people, intercepts[0]),
        stays=sigmoid(stay_score(people) + intercepts[1]),
    )


def course_table(world: World, catalogue: pd.DataFrame) -> pd.DataFrame:
    """Say what each session on offer at ``as_of`` is, and how full its sector: ``load``. One row per session."""
    return catalogue[list(_COURSE)].assign(**_places(world, catalogue["place"]))


def _places(world: World, positions: pd.Series[int]) -> dict[str, pd.api.extensions.ExtensionArray]:
    """Give the commune, département and bassin at each position of the world's communes."""
    names = ("commune", "department", "territory")
    return {name: pd.array(world.communes[name].to_numpy()[positions], dtype="str") for name in names}


def effect_table(chances: pd.DataFrame) -> pd.DataFrame:
    """Average what training changed for those who entered. One row per sector, type, group, outcome and horizon.

    Those who went on to another course are left out. ``group`` is ``all`` or one ``dimension=value``; an empty sector stands
    for all of them. ``effect`` is in probability.
    """
    chances = chances[~chances["followed"]]
    gains = {
        f"{outcome}|{months}": chances[f"{outcome}_with_{months}"] - chances[f"{outcome}_without_{months}"]
        for outcome in OUTCOMES
        for months in HORIZONS
    }
    wide = pd.DataFrame(gains, dtype="float64")
    everybody = pd.Series(True, index=chances.index)
    groups = {"all": everybody, **{name: chances[name] for name in chances if "=" in str(name)}}
    parts = []
    for name, inside in groups.items():
        types = chances.loc[inside, "action_type"].astype(str)
        for sectors in (chances.loc[inside, "sector"].astype(str), pd.Series("", index=types.index)):
            parts.append(_mean_effects(wide[inside], sectors, types).assign(group=str(name)))
    told = pd.concat(parts, ignore_index=True)
    keys = ["sector", "action_type", "group", "outcome", "horizon_months"]
    return told[[*keys, "effect", "entries"]].sort_values(keys, ignore_index=True)


def _mean_effects(wide: pd.DataFrame, sectors: pd.Series[str], types: pd.Series[str]) -> pd.DataFrame:
    """Average gains. One row per sector, type, outcome and horizon."""
    keys = [sectors.rename("sector"), types.rename("action_type")]
    means = wide.groupby(keys).mean().assign(entries=wide.groupby(keys).size()).reset_index()
    long = means.melt(["sector", "action_type", "entries"], var_name="figure", value_name="effect")
    figure = long.pop("figure").str.split("|")
    return long.assign(outcome=figure.str[0], horizon_months=figure.str[1].astype("int64"))
