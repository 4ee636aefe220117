"""How recommendations are judged: each measure with its formula, and when it misleads.

``recommendations`` has one row per person, rank (1, 2…): session, and where they are known ``expected_gain``, ``likelihood``
and ``distance_km``. A person has each rank once, and each session. ``seats`` counts the seats of sessions (:func:`seats_of`).
The order of rows changes nothing but the last digits; what nothing is left for is NaN, or told in no row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.course_groups import EVERY, mark_groups

MEANS = ("expected_gain", "likelihood", "distance_km")
ROW = ["group", "measure", "value", "people"]
_PAIR = ["person", "session"]
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Against:
    """What recommendations are held against.

    ``uptake`` is the probability that a proposal is taken up when those before it were not, ``smallest`` the fewest people a
    figure may stand for. ``truth`` has one row per person, session that was the right one, ``gains`` one row per person,
    session: surplus; without them nothing is said of recall, or of NDCG.
    """

    uptake: float
    smallest: int
    first: int = 10
    truth: pd.DataFrame | None = None
    gains: pd.DataFrame | None = None


def measure_matches(
    recommendations: pd.DataFrame, people: pd.DataFrame, courses: pd.DataFrame, against: Against
) -> pd.DataFrame:
    """Judge recommendations over all, and for each group of people. One row per group, measure: value, people.

    ``people`` has one row per person to serve, with traits as the newest list of jobseekers says them. A figure of people is
    the mean over those of the group whom it can be said of (:func:`measure_people`), whom ``people`` counts; one of fewer than
    ``smallest`` is left out. What is said of sessions (:func:`measure_seats`) has no group but ``all``.
    """
    told = measure_people(recommendations, people, against)
    age = people["known_from"].dt.year - people["birth_year"]
    marks = mark_groups(people.assign(age=age)).assign(**{"level=unknown": people["level"].isna()})
    parts = [_means(told[marks[name].to_numpy()], str(name)) for name in marks]
    parts += [_means(rows, f"territory={code}") for code, rows in told.groupby(people["territory"].to_numpy())]
    means = pd.concat(parts, ignore_index=True)
    seats = pd.Series(measure_seats(recommendations, seats_of(courses), against.uptake), dtype="float64")
    of_seats = pd.DataFrame({"group": EVERY, "measure": seats.index, "value": seats.to_numpy(), "people": len(people)})
    every = pd.concat([means, of_seats], ignore_index=True)
    kept = (every["people"] >= against.smallest) & every["value"].notna()
    return every.loc[kept, ROW].sort_values(["group", "measure"], ignore_index=True)


def _means(told: pd.DataFrame, group: str) -> pd.DataFrame:
    """Average each measure over the people whom it can be said of. One row per measure."""
    return pd.DataFrame(
        {"group": group, "measure": told.columns, "value": told.mean().to_numpy(), "people": told.count().to_numpy()}
    )


def measure_people(recommendations: pd.DataFrame, people: pd.DataFrame, against: Against) -> pd.DataFrame:
    """Judge what each person is proposed. One row per person, in their order; NaN where a measure says nothing of someone.

    ``served`` is 1 with a proposal and 0 without; the mean gain, likelihood and distance are over a person's proposals, so that
    everybody counts alike; ``recall`` and ``ndcg`` are those of :func:`recall_of` and :func:`ndcg_of`.
    """
    known = pd.Index(people["person"])
    means = recommendations.groupby("person")[[name for name in MEANS if name in recommendations]].mean()
    served = means.index.get_indexer(known) >= 0
    told = means.astype("float64").reindex(known).assign(served=served.astype("float64"))
    if against.truth is not None:
        told = told.assign(recall=recall_of(recommendations, against.truth, against.first).reindex(known))
    if against.gains is not None:
        told = told.assign(ndcg=ndcg_of(recommendations, against.gains, against.first).reindex(known))
    return told.reset_index(drop=True)


def recall_at(recommendations: pd.DataFrame, truth: pd.DataFrame, k: int) -> float:
    """Mean over people of the share of their right sessions that is among their first ``k``.

    ``truth`` has one row per person, session. Whoever is proposed nothing counts as 0. Where what people entered was itself
    chosen among few, recall says who is imitated, not who is right.
    """
    return float(recall_of(recommendations, truth, k).mean())


def recall_of(recommendations: pd.DataFrame, truth: pd.DataFrame, k: int) -> pd.Series[float]:
    """Share of the right sessions of each person that is among the first ``k``. One number per person of ``truth``."""
    right, first = truth[_PAIR].drop_duplicates(), recommendations.loc[recommendations["rank"] <= k, _PAIR]
    found = right.merge(first.assign(found=1.0), on=_PAIR, how="left", validate="one_to_one")
    return found["found"].fillna(0.0).groupby(found["person"]).mean()


def ndcg_at(recommendations: pd.DataFrame, gains: pd.DataFrame, k: int) -> float:
    """Mean of :func:`ndcg_of` over the people who have something to gain."""
    return float(ndcg_of(recommendations, gains, k).mean())


def ndcg_of(recommendations: pd.DataFrame, gains: pd.DataFrame, k: int) -> pd.Series[float]:
    """Gain of the first ``k`` as ranked ÷ that of the best order: Σ gain ÷ log₂(rank + 1), each sum over k places.

    ``gains`` has one row per person, session: surplus. One number per person with something to gain; that of
    :func:`models.metrics.ndcg` for many people at once. A surplus below nothing counts as nothing, and so does a session that
    ``gains`` does not hold; the best order is that of the sessions listed, so list all that a person may enter, or at least the
    ``k`` best. It knows nothing of seats: what is best for each cannot be had by all.
    """
    worth = gains[gains["surplus"] > 0]
    ideal = worth.sort_values("surplus", ascending=False, kind="stable")
    ideal = ideal.assign(rank=ideal.groupby("person").cumcount() + 1)
    first = recommendations.loc[recommendations["rank"] <= k, [*_PAIR, "rank"]]
    got = first.merge(worth[[*_PAIR, "surplus"]], on=_PAIR, how="inner", validate="one_to_one")
    most = _discounted(ideal[ideal["rank"] <= k])
    return (_discounted(got).reindex(most.index).fillna(0.0) / most).clip(upper=1.0)


def _discounted(ranked: pd.DataFrame) -> pd.Series[float]:
    """Add up what each person's places bring, less the further down. One number per person."""
    brought: pd.Series[float] = ranked["surplus"] / np.log2(ranked["rank"].astype("float64") + 1.0)
    return brought.groupby(ranked["person"]).sum()


def seats_of(courses: pd.DataFrame) -> pd.Series[float]:
    """Give the seats of each session; one that says none is taken to have none. One number per session."""
    return courses.set_index("session")["seats"].astype("float64").fillna(0.0)


def load_of(recommendations: pd.DataFrame, uptake: float) -> pd.Series[float]:
    """Add up whom each session can expect: Σ uptake · (1 − uptake)^(rank − 1) × likelihood. One number per session proposed.

    ``likelihood`` is the chance that the person goes through with it, 1 where no column tells it.
    """
    turn = uptake * (1.0 - uptake) ** (recommendations["rank"].astype("float64") - 1.0)
    goes = recommendations["likelihood"].astype("float64") if "likelihood" in recommendations else 1.0
    return (turn * goes).groupby(recommendations["session"]).sum()


def measure_seats(recommendations: pd.DataFrame, seats: pd.Series[float], uptake: float) -> dict[str, float]:
    """Judge how recommendations use the seats: each measure by its name.

    coverage          share of the sessions with a seat that are proposed to somebody
    gini              Gini coefficient of load ÷ seats over the sessions with a seat (:func:`gini`)
    unfilled          seats that nobody is expected in: Σ max(0, seats − load); ``unfilled_share`` of all seats
    overbooked        share of first recommendations beyond the seats of their session (:func:`overbooked`)
    overload          people expected beyond the seats: Σ max(0, load − seats); ``overload_share`` of all expected
    """
    load = load_of(recommendations, uptake)
    having = seats[seats > 0]
    expected = load.reindex(having.index).fillna(0.0)
    empty, beyond = (
        float((having - expected).clip(lower=0.0).sum()),
        float((load - _seats_at(load, seats)).clip(lower=0.0).sum()),
    )
    return {
        "coverage": _ratio(float(having.index.isin(load.index).sum()), float(len(having))),
        "gini": gini(np.asarray(expected / having, dtype="float64")),
        "unfilled": empty,
        "unfilled_share": _ratio(empty, float(having.sum())),
        "overbooked": overbooked(recommendations, seats),
        "overload": beyond,
        "overload_share": _ratio(beyond, float(load.sum())),
    }


def overbooked(recommendations: pd.DataFrame, seats: pd.Series[float]) -> float:
    """Share of first recommendations that lead beyond the seats: Σ max(0, people sent first − seats) ÷ people sent first.

    It says what happens when everybody follows the first recommendation: more than will, so read the overload beside it.
    """
    sent = recommendations.loc[recommendations["rank"] == 1, "session"].value_counts().astype("float64")
    return _ratio(float((sent - _seats_at(sent, seats)).clip(lower=0.0).sum()), float(sent.sum()))


def _seats_at(counted: pd.Series[float], seats: pd.Series[float]) -> pd.Series[float]:
    """Give the seats of the sessions counted; none where a session is not known."""
    return seats.reindex(counted.index).fillna(0.0)


def gini(loads: Numbers) -> float:
    """Gini coefficient: Σᵢ Σⱼ |xᵢ − xⱼ| ÷ (2 n Σ x). 0 when all carry the same, near 1 when one carries all.

    Undefined (NaN) where nothing is carried.

    >>> gini(np.array([1.0, 1.0]))
    0.0
    >>> gini(np.array([0.0, 0.0, 0.0, 1.0]))
    0.75
    """
    ordered, size = np.sort(loads), len(loads)
    spread = float(np.sum((2.0 * np.arange(1, size + 1) - size - 1.0) * ordered))
    return _ratio(spread, size * float(ordered.sum()))


def play_out(recommendations: pd.DataFrame, seats: pd.Series[float], surplus: pd.DataFrame, turn: pd.Series[int]) -> float:
    """Add up what people obtain who, each in ``turn``, take the first session recommended that has a seat left.

    ``surplus`` has one row per person, session: surplus, and ``turn`` the place of each person in a queue drawn once. Nobody
    chooses by what is gained: who is sent somewhere that takes away loses. It is the judge that recommendations which know of
    seats and those that do not have in common.
    """
    asked = recommendations[[*_PAIR, "rank"]]
    asked = asked.merge(surplus[[*_PAIR, "surplus"]], on=_PAIR, how="left", validate="one_to_one")
    place = asked["person"].map(turn).to_numpy()
    asked = asked.iloc[np.lexsort((asked["rank"].to_numpy(), place))]
    left, settled, total = seats.to_dict(), set(), 0.0
    for person, session, worth in zip(asked["person"], asked["session"], asked["surplus"].fillna(0.0), strict=True):
        if person not in settled and left.get(session, 0.0) >= 1:
            settled.add(person)
            left[session] -= 1
            total += worth
    return total


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
