"""What was bought and decided before, set beside what came of it, in published tables."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from features.build import Features
from features.decisions import read_decisions
from features.exits import Past, link_courses
from features.known import known_rows
from features.lots import exercises_over, follow_lots
from features.seats import Training, seat_chain
from features.tables import Tables
from features.training_tables import PURCHASES, SESSIONS, TRAININGS
from models.lessons import compare_lots
from models.purchase import Plan
from models.scored import list_decisions, score_decisions
from needs.params import Params

_NAMED = ["exercise", "territory", "formacode"]
_EXERCISES = 2
_NOTHING = pd.DataFrame({"lot": pd.Series(dtype="str"), "exercise": pd.Series(dtype="int64")})
_OBTAINED = {"entries": "entries_obtained", "jobs": "jobs_obtained"}


def tell_lessons(
    features: Features,
    known: Tables,
    plan: Plan,
    scores: pd.DataFrame,
    as_of: pd.Timestamp,
    params: Params,
    without: Callable[[], Plan],
) -> dict[str, pd.DataFrame]:
    """Set the newest purchases that are over beside what was expected of it, and decisions beside the plan without them.

    ``scores`` says what past courses added; ``without`` makes the plan that knows no decisions. A row of each is said
    in the function that makes it.
    """
    lessons = learn(features, known, scores, as_of, params)
    scored = score_decisions(read_decisions(known.overrides, as_of), plan, without)
    return {"lessons": lessons, "decisions": with_obtained(scored, past_decisions(known.overrides), lessons)}


def learn(features: Features, known: Tables, scores: pd.DataFrame, as_of: pd.Timestamp, params: Params) -> pd.DataFrame:
    """Set each lot of the newest exercises that are over beside what was expected of it. One row per lot and exercise.

    The last one tells how far seats got, the one before it what has become of people since. Expected is what was known on the
    day before the exercise began; ``decided_by`` is human where somebody decided of a lot there.
    """
    training, smallest = _training(known), params.features.privacy.smallest_cell
    over = exercises_over(training, as_of)[-_EXERCISES:]
    bought = known.purchases.loc[known.purchases["exercise"].isin(over), "lot"]
    people = known.trainings[known.trainings["lot"].isin(bought)]
    past = Past(people, known.employment, known.outcomes, link_courses(features.crosswalks))
    followed = follow_lots(training, past, as_of, params.features.outcomes)
    parts = []
    for exercise in over:
        before = pd.Timestamp(exercise, 1, 1) - pd.Timedelta(days=1)
        chain = seat_chain(_training_at(known, before), before, params.features.seats)
        own = followed[followed["exercise"] == exercise].reset_index(drop=True)
        parts.append(compare_lots(own, chain, scores, smallest).rename(columns={"place": "territory"}))
    return _signed(pd.concat(parts, ignore_index=True), known.overrides) if parts else _NOTHING.copy()


def _training(known: Tables) -> Training:
    return Training(known.trainings, known.purchases, known.sessions)


def _training_at(known: Tables, day: pd.Timestamp) -> Training:
    """Give what was known of training on a day, and of nothing else: all tables together are large."""
    return Training(*(known_rows(contract, known.frame, day) for contract in (TRAININGS, PURCHASES, SESSIONS)))


def _signed(lessons: pd.DataFrame, overrides: pd.DataFrame) -> pd.DataFrame:
    """Say which lots somebody decided of: named themselves, or as the plan names lots. Same rows."""
    decided = past_decisions(overrides)["lot_id"]
    human = lessons["lot"].isin(decided) | pd.MultiIndex.from_frame(lessons[_NAMED].astype("str")).isin(_names(decided))
    return lessons.assign(decided_by=pd.Series("engine", index=lessons.index, dtype="str").mask(human, "human"))


def past_decisions(overrides: pd.DataFrame) -> pd.DataFrame:
    """Read every decision on lots that was ever taken, over or not. One row per lot_id and field."""
    lasting = overrides.assign(expires=pd.Series(pd.NaT, index=overrides.index, dtype="datetime64[us]"))
    return list_decisions(read_decisions(lasting, pd.Timestamp.max))


def with_obtained(scored: pd.DataFrame, past: pd.DataFrame, lessons: pd.DataFrame) -> pd.DataFrame:
    """Set beside decisions what was obtained where they decided, once that is known. One row per lot_id and field.

    Decisions of exercises that are over are listed again, in force or not; lots are found by their territory and Formacode.
    """
    over = lessons["exercise"].astype("str").unique()
    again = past[past["lot_id"].str.split("-").str[0].isin(over) & ~past["lot_id"].isin(scored["lot_id"])]
    rows = pd.concat([scored, again], ignore_index=True)
    if lessons.empty:
        return rows.assign(**dict.fromkeys(_OBTAINED.values(), float("nan")))
    obtained = lessons.astype(dict.fromkeys(_NAMED, "str")).groupby(_NAMED)[list(_OBTAINED)].sum(min_count=1)
    found = obtained.reindex(_names(rows["lot_id"])).rename(columns=_OBTAINED).set_axis(rows.index)
    return rows.join(found)


def _names(lot_ids: pd.Series[str]) -> pd.MultiIndex:
    """Read exercise, territory and Formacode off the names of lots, which begin with them."""
    parts = lot_ids.astype("str").str.split("-", expand=True).reindex(columns=range(len(_NAMED)))
    return pd.MultiIndex.from_frame(parts.astype("str").fillna(""), names=_NAMED)
