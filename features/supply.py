"""Who is available for what employers ask: the people looking for work, as they stand and as they come month by month.

Those whom training and schools will bring are counted in :mod:`features.seats` and :mod:`features.leavers`. Counts of people
are rounded along their cells (:func:`round_along`): sums stay near the truth, and no cell tells of one person.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features import facts
from features.params import Section, param
from features.publics import PublicParams, mark_publics
from features.vocabulary import PUBLICS

ATOM = ["territory", "department"]


class SupplyParams(Section):
    """How people and seats become a flow."""

    flow_months: int = param(12, "people unemployed for less than this make the flow", unit="months", ge=1, le=24)
    rounding: int = param(
        5, "counts of people are multiples of this, so that none tells of one person", unit="people", ge=1, le=20
    )


def latest_people(jobseekers: pd.DataFrame) -> pd.DataFrame:
    """Keep who is to be served tonight: the rows of the latest observation date. One row per person."""
    latest: pd.Series[bool] = jobseekers["known_from"] == jobseekers["known_from"].max()
    return jobseekers[latest].reset_index(drop=True)


def available_people(jobseekers: pd.DataFrame, params: SupplyParams) -> pd.DataFrame:
    """Count who can already do the job they look for. One row per territory, department, occupation: people a month.

    A person counts in the wanted occupation when the last job was in it, and only while newly unemployed: the flow of a
    month is the recent stock ÷ its window. Whoever wants another occupation is somebody to train, not a supply of it.
    Counts are rounded along each territory's occupations, so that its total stays within one rounding step.
    """
    people = latest_people(jobseekers)
    able = people[(people["wanted"] == people["last_occupation"]) & (people["unemployed_months"] < params.flow_months)]
    cells = able.groupby([*ATOM, "wanted"], as_index=False).size()
    counts = round_along(cells["size"], cells[ATOM], params.rounding)
    flow = cells.rename(columns={"wanted": "occupation"}).drop(columns="size").assign(supply=counts / params.flow_months)
    return flow[counts > 0].reset_index(drop=True)


def round_along(counts: pd.Series[float], within: pd.DataFrame, step: int) -> pd.Series[float]:
    """Round counts to multiples of a step, in their order, so that every sum from the first stays within half a step.

    Same rows; ``within`` names the groups that are rounded on their own.

    >>> one_by_one = pd.Series([1.0] * 6)
    >>> round_along(one_by_one, pd.DataFrame({"territory": ["BE4415"] * 6}), 5).tolist()
    [0.0, 0.0, 5.0, 0.0, 0.0, 0.0]
    """
    groups = [within[name] for name in within]
    steps = ((counts.astype("float64").groupby(groups).cumsum() / step).round() * step).astype("float64")
    return (steps - steps.groupby(groups).shift(fill_value=0.0)).astype("float64")


JOBSEEKER_CELL = [*ATOM, "occupation", "level", "public"]


def count_jobseekers(jobseekers: pd.DataFrame, publics: PublicParams, params: SupplyParams) -> pd.DataFrame:
    """Count who looks for what. One row per territory, department, occupation wanted, level, public: people, entries.

    ``people`` is the stock of the latest observation, ``entries`` those a month who became jobseekers: the stock of less than
    ``flow_months`` ÷ ``flow_months``. ``level`` is what the person holds and ``occupation`` what is wanted, each empty where
    unknown. A person counts in every public it belongs to, and in ``tout_public``. Both counts are rounded along the cells of
    a territory and public; whose home is unknown is in no territory.
    """
    people = latest_people(jobseekers).query("territory.notna()").reset_index(drop=True)
    named = people[ATOM].assign(occupation=people["wanted"].fillna("").astype("str"), level=level_text(people["level"]))
    cells = named.groupby([*ATOM, "occupation", "level"])
    keys = named.assign(cell=cells.ngroup()).drop_duplicates("cell").sort_values("cell", ignore_index=True)
    cell, recent = (
        cells.ngroup().to_numpy(),
        (people["unemployed_months"] < params.flow_months).fillna(False).to_numpy(dtype=bool),
    )
    flags, parts = mark_publics(people, publics), []
    for public in PUBLICS:
        belongs = flags[public].to_numpy(dtype=bool)
        parts.append(
            keys.drop(columns="cell").assign(
                public=public, people=_tally(cell, belongs, len(keys)), entries=_tally(cell, belongs & recent, len(keys))
            )
        )
    return _rounded(pd.concat(parts, ignore_index=True), params).sort_values(JOBSEEKER_CELL, ignore_index=True)


def _tally(cell: NDArray[np.integer], counted: NDArray[np.bool_], size: int) -> NDArray[np.float64]:
    """Count the people of each cell who are counted."""
    return np.bincount(cell[counted], minlength=size).astype("float64")


def _rounded(counts: pd.DataFrame, params: SupplyParams) -> pd.DataFrame:
    """Round both counts along each territory and public; drop the cells that are left with nobody. Same row."""
    within = counts[["territory", "public"]]
    people, recent = (round_along(counts[name], within, params.rounding) for name in ("people", "entries"))
    told = counts.assign(people=people.astype("int64"), entries=recent / params.flow_months)
    return told[(people > 0) | (recent > 0)]


def eligible_people(jobseekers: pd.DataFrame, params: SupplyParams) -> pd.DataFrame:
    """Count the people below level 4, whom general training is for. One row per territory, in multiples of ``rounding``."""
    latest = latest_people(jobseekers)
    below = latest[(latest["level"] < 4).fillna(False).astype(bool)]
    counts = below.groupby("territory", as_index=False).size()
    rounded = ((counts["size"] / params.rounding).round() * params.rounding).astype("int64")
    return counts[["territory"]].assign(people=rounded)[rounded > 0].reset_index(drop=True)


def share_places(communes: pd.DataFrame) -> pd.DataFrame:
    """Share every grouping of communes over its cells by population. One row per place, territory, department: share.

    A place is a bassin, zone d'emploi, département, Maison or région, typed; the shares of each add up to one. Where nobody
    lives in a place, its communes weigh alike. No table tells how many of its people are young: every age counts.
    """
    region = communes["department"].map(facts.departments().set_index("department")["region"])
    homes = communes[ATOM].assign(people=communes["population"].astype("float64"), communes=1.0)
    groupings = [communes[name] for name in ("territory", "zone", "department", "maison")] + [region]
    parts = [homes.assign(place=codes.astype("str")) for codes in groupings]
    long = pd.concat(parts, ignore_index=True).query("place.notna() and place != ''")
    sums = long.groupby(["place", *ATOM], as_index=False)[["people", "communes"]].sum()
    whole = sums.groupby("place")[["people", "communes"]].transform("sum")
    share = (sums["people"] / whole["people"]).where(whole["people"] > 0, sums["communes"] / whole["communes"])
    return sums[["place", *ATOM]].assign(share=share)


def level_text(levels: pd.Series[int]) -> pd.Series[str]:
    """Write levels as the text that keys carry, empty where there is none.

    >>> level_text(pd.Series([3, None], dtype="Int64")).tolist()
    ['3', '']
    """
    return levels.astype("str").where(levels.notna(), "").astype("str")
