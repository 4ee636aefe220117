"""What others say of the region: branch observatories, and a survey of former trainees. What territories say: ``signals``.

A study is done ``projections.age_months`` before ``as_of`` and knows the need of the twelve months before it, no later:

    openings of five years = 5 × need of that year × exp(bias + error × ε)        ε ~ N(0, 1), one for each figure

so that an old study misses what has moved since. ``projections.bias`` is shared by all, and none knows of it: a study grades
itself by its age and its reach alone. Openings are departures plus net jobs: 11 % of them are net jobs, and young starters
are 84 % of the openings ("Les métiers en 2030" by région, Dares and France Stratégie 2023); how far families differ is ours.

The survey of those who left training asks them six months after; six in ten answer, and those who work more often, by 16
points (ours).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from features import facts
from needs.twin.market import Market
from needs.twin.people import person_ids
from needs.twin.survey import family_links
from needs.twin.world import World

_RESPONSE = 0.6
_LIKELIER = 0.08
_COLLECTED_MONTHS = 8
_STUDY_YEARS = 5
_FAMILIES_STUDIED = 4
_NET_SHARE, _NET_SPREAD = 0.11, 0.25
_YOUNG_SHARE = 0.84
_AGEING_MONTHS = (12, 36)
_BRANCHES = {
    "B": ("Observatoire de la construction", "construction"),
    "D": ("Observatoire des industries", "industrie"),
    "V": ("Observatoire sanitaire et social", "sanitaire et social"),
    "R": ("Observatoire du commerce", "commerce"),
    "J": ("Observatoire du transport et de la logistique", "transport"),
}


def study_month(world: World) -> int:
    """Give the position of the last month that the studies know; the first year of the world at the earliest."""
    return max(11, world.past - 1 - world.dials.projections.age_months)


def need_by_family(market: Market, month: int) -> pd.DataFrame:
    """Count the lasting recruitments of the twelve months that end with the month at a position. One row per family.

    Families are those of FAP 2021 in five characters; ``territory`` is the département.
    """
    links = family_links(market.world, "FAP2021")
    need = market.need[:, :, max(0, month - 11) : month + 1].sum(axis=(0, 2)) @ links.to_numpy()
    return pd.DataFrame({"territory": market.department, "family": links.columns.to_numpy(), "need": need})


def draw_projections(world: World, need: pd.DataFrame) -> pd.DataFrame:
    """Project the large families of a few branches from ``need_by_family`` of all départements at ``study_month``.

    One row per branch, family and territory (département or Region).
    """
    rng, dials = world.rng("projections"), world.dials.projections
    rows = _studied(need)
    letter, size = rows["family"].str[0], len(rows)
    error = rng.lognormal(dials.bias, dials.error, size)
    openings = (_STUDY_YEARS * rows["need"] * error).round()
    net = (openings * np.clip(rng.normal(_NET_SHARE, _NET_SPREAD, size), -0.6, 0.8)).round()
    studied = (world.as_of - pd.DateOffset(months=dials.age_months)).normalize()
    kind = rows["territory"].str[0]
    # what a study says of itself: fresh is better than old, a Region better than a département
    flaws = sum(dials.age_months >= months for months in _AGEING_MONTHS) + (kind == "D").astype(int)
    return pd.DataFrame(
        {
            "source": letter.map({key: source for key, (source, _) in _BRANCHES.items()}),
            "branch": letter.map({key: title for key, (_, title) in _BRANCHES.items()}),
            "known_from": studied,
            "valid_until": studied + pd.DateOffset(years=_STUDY_YEARS),
            "scenario": "tendanciel",
            "nomenclature": "FAP2021",
            "code": rows["family"],
            "territory_kind": kind,
            "territory": rows["territory"].str[1:],
            "first_year": studied.year,
            "last_year": studied.year + _STUDY_YEARS,
            "openings": openings,
            "net_jobs": net,
            "departures": openings - net,
            "young_starters": (openings * _YOUNG_SHARE).round(),
            "reliability": flaws.map(dict(enumerate("ABCD"))),
        }
    )


def _studied(need: pd.DataFrame) -> pd.DataFrame:
    """Choose what is studied: the largest families of each branch. One row per territory and family, with its need."""
    regions = facts.departments().set_index("department")["region"]
    both = pd.concat([need, need.assign(territory=need["territory"].map(regions))], ignore_index=True)
    rows = both.groupby(["territory", "family"], as_index=False).agg(need=("need", "sum"))
    rows = rows[rows["family"].str[0].isin(list(_BRANCHES)) & (rows["need"] > 0)]
    rows = rows.sort_values(["need", "territory", "family"], ascending=[False, True, True], kind="stable")
    rank = rows.groupby([rows["family"].str[0], rows["territory"]]).cumcount()
    return rows[rank < _FAMILIES_STUDIED].sort_values(["territory", "family"], ignore_index=True)


def draw_outcomes(leavers: pd.DataFrame, market: Market) -> pd.DataFrame:
    """Survey those of a département who left training 9 to 15 months ago, six months after. One row per person asked.

    ``leavers`` holds each person once: ``pid``, ``exited``, and ``works``, ``lasting``, ``aimed`` six months later.
    """
    asked = leavers.reset_index(drop=True)
    works = asked["works"].to_numpy(dtype=bool)
    chance = np.where(works, _RESPONSE + _LIKELIER, _RESPONSE - _LIKELIER)
    answered = market.rng("outcomes").random(len(asked)) < chance
    flags = {"work_6m": "works", "durable_6m": "lasting", "trained_occupation_6m": "aimed"}
    return pd.DataFrame(
        {
            "person": person_ids(asked["pid"]),
            "origin": "sortie",
            "origin_date": asked["exited"],
            "answered": answered,
            "weight": np.where(answered, round(1 / _RESPONSE, 3), 0.0),
            **{name: asked[state].astype("boolean").where(answered) for name, state in flags.items()},
            **{f"work_{months}m": pd.Series(pd.NA, index=asked.index, dtype="boolean") for months in (12, 18, 24)},
            "known_from": asked["exited"] + pd.DateOffset(months=_COLLECTED_MONTHS),
        }
    )
