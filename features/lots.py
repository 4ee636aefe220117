"""What became of the lots that were bought: the sessions run, who entered, how they left, and who works afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pandas as pd

from features.exits import OutcomeParams, Past, follow_exits
from features.known import known_rows
from features.seats import SeatParams, Training, attach_sessions, read_lots, seat_chain
from features.tables import Tables
from features.training_tables import PURCHASES, SESSIONS, TRAININGS

LOT = ["lot", "exercise"]
_EXERCISES = 2
RATES = {
    "completion": ("completion", 0),
    "certified": ("certified", 0),
    "work": ("work_6", 6),
    "durable": ("durable_12", 12),
}
"""What is followed after the entry: the share it makes, and months after exit."""
_TOLD = ["action_type", "sector", "formacode", "level", "place", "bids", "sessions", "bought"]


def follow_newest(training: Training, past: Past, as_of: pd.Timestamp, params: OutcomeParams) -> pd.DataFrame:
    """Follow the lots of the newest exercises that are over: one tells how far seats got, the one before of people since.

    One row as in :func:`follow_lots`.
    """
    over = exercises_over(training, as_of)[-_EXERCISES:]
    bought = training.purchases.loc[training.purchases["exercise"].isin(over), "lot"]
    trained = replace(past, trainings=past.trainings[past.trainings["lot"].isin(bought)])
    followed = follow_lots(training, trained, as_of, params)
    return followed[followed["exercise"].isin(over)].reset_index(drop=True)


def chains_before(known: Tables, as_of: pd.Timestamp, params: SeatParams) -> pd.DataFrame:
    """Follow a seat with what was known on the day before each of the newest exercises that are over.

    One row per exercise and as in :func:`features.seats.seat_chain`.
    """
    training = Training(known.trainings, known.purchases, known.sessions)
    parts = [seat_chain(training, as_of, params).head(0).assign(exercise=0)]
    for exercise in exercises_over(training, as_of)[-_EXERCISES:]:
        before = pd.Timestamp(exercise, 1, 1) - pd.Timedelta(days=1)
        then = (known_rows(contract, known.frame, before) for contract in (TRAININGS, PURCHASES, SESSIONS))
        parts.append(seat_chain(Training(*then), before, params).assign(exercise=exercise))
    return pd.concat(parts, ignore_index=True)


def exercises_over(training: Training, as_of: pd.Timestamp) -> list[int]:
    """List the exercises that are over and of which sessions are known, the newest last."""
    held = attach_sessions(training.sessions, read_lots(training.purchases))
    over = held.loc[(held["exercise"] < as_of.year) & (held["starts"] <= as_of), "exercise"].dropna()
    return sorted(int(year) for year in over.unique())


def follow_lots(training: Training, past: Past, as_of: pd.Timestamp, params: OutcomeParams) -> pd.DataFrame:
    """Follow each lot. One row per lot and exercise: what was bought, run and filled, and rates of its people with their count.

    ``run`` counts the places of its sessions that have started, ``entries`` who entered them. Each rate stands beside its own
    count ``…_n``: ``completion`` and ``certified`` of those who left, work six months after the exit, durable work twelve
    months after it, of those known of. ``cost_eur`` is what the lot cost, nothing where nobody bid.
    """
    lots = read_lots(training.purchases)
    held = attach_sessions(training.sessions, lots)
    started = held[held["starts"] <= as_of]
    ran = started.groupby(LOT, as_index=False).agg(
        sessions_run=("session", "size"), run=("places", "sum"), entries=("entries", "sum")
    )
    rows = lots[[*LOT, *_TOLD]].merge(ran, on=LOT, how="left", validate="one_to_one")
    rows = rows.assign(cost_eur=_costs(training.purchases, rows)).fillna({"sessions_run": 0, "run": 0.0, "entries": 0.0})
    exercise = held.set_index("session")["exercise"]
    for rates in _rates(past, exercise, as_of, params):
        rows = rows.merge(rates, on=LOT, how="left", validate="one_to_one")
    counts = [f"{name}_n" for name, _ in RATES.values()]
    return rows.fillna(dict.fromkeys(counts, 0.0)).sort_values(LOT, ignore_index=True)


def _costs(purchases: pd.DataFrame, rows: pd.DataFrame) -> pd.Series[float]:
    """Give what each lot cost. One number per row."""
    last = purchases.sort_values([*LOT, "known_from"]).drop_duplicates(LOT, keep="last").set_index(LOT)
    costs = last["cost_eur"].mask((last["bids"] == 0).fillna(False).astype(bool), 0.0)
    return pd.Series(costs.reindex(pd.MultiIndex.from_frame(rows[LOT])).to_numpy(), index=rows.index)


def _rates(past: Past, exercise: pd.Series[int], as_of: pd.Timestamp, params: OutcomeParams) -> Iterator[pd.DataFrame]:
    """Count what became of the people of each lot, by what is followed. One row per lot, exercise: the rate, its count."""
    people = past.trainings[["lot"]].assign(exercise=past.trainings["session"].map(exercise)).reset_index(drop=True)
    followed = follow_exits(past, as_of, params)
    followed = followed.assign(hits=followed["success"] * followed["weight"])
    followed = followed.join(people, on="prescription")
    for outcome, (name, months) in RATES.items():
        asked = followed[(followed["outcome"] == outcome) & (followed["horizon_months"] == months)]
        sums = asked.dropna(subset=LOT).groupby(LOT, as_index=False)[["hits", "weight"]].sum()
        told = sums.assign(**{name: sums["hits"] / sums["weight"]}).rename(columns={"weight": f"{name}_n"})
        yield told.drop(columns="hits").astype({"lot": "str", "exercise": "Int64"})  # as lots say them, also of nobody
