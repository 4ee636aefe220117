"""What was bought and decided before, set beside what came of it, in published tables."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from features.build import Features
from features.decisions import read_decisions
from models.lessons import compare_lots
from models.purchase import Plan
from models.scored import list_decisions, score_decisions
from needs.run.inputs import Inputs

_NAMED = ["exercise", "territory", "formacode"]
_NOTHING = pd.DataFrame({"lot": pd.Series(dtype="str"), "exercise": pd.Series(dtype="int64")})
_OBTAINED = {"entries": "entries_obtained", "jobs": "jobs_obtained"}


def tell_lessons(
    features: Features, overrides: pd.DataFrame, scores: pd.DataFrame, inputs: Inputs, plan: Plan, without: Callable[[], Plan]
) -> dict[str, pd.DataFrame]:
    """Set the newest purchases that are over beside what was expected of it, and decisions beside the plan without them.

    ``scores`` says what past courses added; ``without`` makes the plan that knows no decisions. A row of each is said
    in the function that makes it.
    """
    lessons = _signed(learn(features, scores, inputs.params.features.privacy.smallest_cell), overrides)
    scored = score_decisions(read_decisions(overrides, inputs.as_of), plan, without)
    return {"lessons": lessons, "decisions": with_obtained(scored, past_decisions(overrides), lessons)}


def learn(features: Features, scores: pd.DataFrame, smallest: float) -> pd.DataFrame:
    """Set each lot of the newest exercises that are over beside what was expected of it. One row per lot and exercise.

    The last one tells how far seats got, the one before it what has become of people since. Expected is what was known on the
    day before the exercise began.
    """
    parts = []
    for exercise, chain in features.chains_before.groupby("exercise"):
        own = features.lots_over[features.lots_over["exercise"] == exercise].reset_index(drop=True)
        parts.append(compare_lots(own, chain.drop(columns="exercise"), scores, smallest))
    return pd.concat(parts, ignore_index=True).rename(columns={"place": "territory"}) if parts else _NOTHING.copy()


def _signed(lessons: pd.DataFrame, overrides: pd.DataFrame) -> pd.DataFrame:
    """Say which lots somebody decided of (``decided_by``): named themselves, or as the plan names lots. Same rows."""
    if lessons.empty:
        return lessons
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
