"""What training bought or running will bring: seats → entries → finishers → certified, by the month in which it ends.

A seat that was bought is run by a session or is not (``run``), is filled or is not (``fill``), is left before the end or is
not (``completion``), and ends in a certificate or does not (``certification``): :func:`seat_chain` measures the four shares.
:func:`count_under_way` applies them to what is running, what has a date, and what was bought and has no session yet. No lot
ever has more seats under way than were bought: where its sessions have more, all of them shrink alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.params import Section, param
from features.supply import ATOM, level_text, share_places
from features.vocabulary import ACTION_TYPES, month_of

CELL = [*ATOM, "sector", "level", "period"]
COUNTS = ["seats", "entries", "under_way", "certified", "planned"]
CERTIFYING = "certification"
_KIND = ["sector", "level", "action_type"]
_LOT = ["lot", "exercise"]
_DAYS_A_WEEK = 7


class SeatParams(Section):
    """How past sessions tell of those to come."""

    prior_places: float = param(
        50.0,
        "the shares of the whole Region weigh in those of one type as much as this",
        unit="places or people",
        ge=0,
        le=10000,
    )
    week_hours: float = param(
        35.0, "hours of training a week, for lots whose sessions have no date yet", unit="hours", ge=5, le=60
    )


@dataclass(frozen=True)
class Training:
    """The three tables that tell of training: who was sent and entered, what was bought, what is run."""

    trainings: pd.DataFrame
    purchases: pd.DataFrame
    sessions: pd.DataFrame


# How far seats get ------------------------------------------------------------------------------------------------------


def seat_chain(training: Training, as_of: pd.Timestamp, params: SeatParams) -> pd.DataFrame:
    """Follow a seat, step by step. One row per action_type, after a first one without a type, for the whole Region.

    - ``run``: places of sessions ÷ places bought, in the exercises that are over and have sessions, lots without a bidder
      aside;
    - ``fill``: entries ÷ places of the sessions that have started;
    - ``completion``: people who finished ÷ people whose training should be over and whose exit is known (those who leave
      early are known before those who will finish: courses still running would tell of the first only);
    - ``certification``: certified ÷ finishers of whom it is known.

    Each lies in 0…1 and stands beside its own count, ``run_n`` and so on. A type leans on the Region: (k + prior × share of the
    Region) ÷ (n + prior). Where nothing was ever measured a share is 1 and its count 0. Only a type of which some finisher is
    known to be certified or not, or the type ``certification``, leads to a certificate: the share of the others is 0.
    """
    tallies = _tally_steps(training, as_of)
    wide = {step: (float(pair["k"].sum()), float(pair["n"].sum())) for step, pair in tallies.items()}
    columns: dict[str, list[float]] = {}
    for step, pair in tallies.items():
        own = pair.groupby("action_type")[["k", "n"]].sum().reindex(list(ACTION_TYPES), fill_value=0.0)
        region = wide[step][0] / wide[step][1] if wide[step][1] else 1.0
        prior = params.prior_places
        shares = ((own["k"] + prior * region) / (own["n"] + prior)).fillna(region)
        if step == CERTIFYING:
            shares = shares.where((own["n"] > 0) | (own.index == CERTIFYING), 0.0)
        columns |= {step: [region, *shares], f"{step}_n": [wide[step][1], *own["n"]]}
    return pd.DataFrame({"action_type": pd.Series(["", *ACTION_TYPES], dtype="str"), **columns})


def _tally_steps(training: Training, as_of: pd.Timestamp) -> dict[str, pd.DataFrame]:
    """Count what each share is made of. Frames with the columns action_type, k and n; places, then people."""
    lots = read_lots(training.purchases)
    held = attach_sessions(training.sessions, lots)
    told = lots["exercise"].isin(held["exercise"]) & (lots["exercise"] < as_of.year)
    over = lots[told & (lots["bids"] != 0).fillna(True) & (lots["bought"] > 0)]
    ran = held.groupby(_LOT, as_index=False)[["places"]].sum()
    over = over.merge(ran, on=_LOT, how="left", validate="one_to_one").fillna({"places": 0.0})
    started = held[(held["starts"] <= as_of) & (held["places"] > 0) & held["entries"].notna()]
    left = training.trainings[["status", "planned_end", "exited", "exit_reason", "certified", "action_type"]]
    over_by = left["planned_end"].fillna(left["exited"])
    due = left[(left["status"] == "entre") & left["exit_reason"].notna() & (over_by <= as_of)]
    finished = due["exit_reason"] == "fin"
    known = due[finished & due["certified"].notna()]
    return {
        "run": _pairs(over["action_type"], over[["places", "bought"]].min(axis=1), over["bought"]),
        "fill": _pairs(started["action_type"], started["entries"].clip(upper=started["places"]), started["places"]),
        "completion": _pairs(due["action_type"], finished, pd.Series(1.0, index=due.index)),
        CERTIFYING: _pairs(known["action_type"], known["certified"], pd.Series(1.0, index=known.index)),
    }


def _pairs(types: pd.Series[str], k: pd.Series, n: pd.Series) -> pd.DataFrame:
    """Put successes beside what they are counted out of. Same rows."""
    return pd.DataFrame({"action_type": types, "k": k.astype("float64"), "n": n.astype("float64")})


def read_lots(purchases: pd.DataFrame) -> pd.DataFrame:
    """Read what was bought. One row per lot and exercise: its kind, place, hours, and places ``bought`` (missing: not said)."""
    last = purchases.sort_values([*_LOT, "known_from"]).drop_duplicates(_LOT, keep="last")
    hours = last[["centre_hours", "company_hours", "remote_hours"]].astype("float64").fillna(0.0).sum(axis=1)
    lots = last[[*_LOT, "action_type", "formacode", "bids", "sessions"]].assign(
        sector=last["formacode"].str[:3],
        level=level_text(last["exit_level"]),
        place=last["territory"],
        bought=last["places"].fillna(last["places_max"]).astype("float64"),
        hours=hours,
    )
    return lots.reset_index(drop=True)


def attach_sessions(sessions: pd.DataFrame, lots: pd.DataFrame) -> pd.DataFrame:
    """Tie each session to the exercise of its lot that its start falls in, or the nearest. One row per session.

    ``places`` are as listed (entries where they are not); ``share`` is what the lot leaves of them, 1 where its sessions
    have no more places than were bought.
    """
    spans = lots.groupby("lot")["exercise"].agg(first="min", last="max")
    listed = sessions.assign(
        exercise=sessions["starts"]
        .dt.year.clip(
            sessions["lot"].map(spans["first"]).astype("float64"), sessions["lot"].map(spans["last"]).astype("float64")
        )
        .astype("Int64"),
        places=sessions["places"].astype("float64").fillna(sessions["entries"].astype("float64")),
        entries=sessions["entries"].astype("float64"),
    )
    held = listed.merge(lots.drop(columns="sessions"), on=_LOT, how="left", validate="many_to_one")
    total = held.groupby(_LOT)["places"].transform("sum")
    return held.assign(share=(held["bought"] / total.where(total > 0)).clip(upper=1.0).fillna(1.0))


# What they bring --------------------------------------------------------------------------------------------------------


def count_under_way(
    training: Training, chain: pd.DataFrame, communes: pd.DataFrame, *, as_of: pd.Timestamp, params: SeatParams
) -> pd.DataFrame:
    """Count what training bought or running brings. One row per territory, department, sector, level, period of the end.

    ``seats`` of sessions not over, ``entries`` seen or expected, ``under_way`` = finishers expected, ``certified`` of them;
    certified ≤ under_way ≤ entries ≤ seats, and the seats of a lot never exceed the places bought. ``planned`` is the part of
    ``under_way`` that rests on lots without a known session. People in training count at home, empty seats and sessions to come
    where they are held, lots without a session over the territory they were bought for, by population.
    """
    lots = read_lots(training.purchases)
    held = attach_sessions(training.sessions, lots)
    parts = [
        _people_inside(training.trainings, held, as_of),
        _sessions_ahead(held, training.trainings, chain, as_of),
        _lots_ahead(lots, held, chain, as_of).pipe(_spread, communes, params),
    ]
    rows = pd.concat(parts, ignore_index=True).merge(
        chain[["action_type", "completion", "certification"]], on="action_type", how="left", validate="many_to_one"
    )
    stays = rows["completion"] / (rows["completion"] + (1 - rows["completion"]) * (1 - rows["elapsed"]))
    finishers = rows["inside"] * stays.fillna(1.0)
    counted = rows.assign(
        under_way=finishers, certified=finishers * rows["certification"], planned=finishers.where(rows["is_planned"], 0.0)
    )
    placed = counted[counted["territory"].notna() & counted["sector"].notna() & counted["period"].notna()]
    in_order = placed[[*CELL, *COUNTS]].sort_values([*CELL, *COUNTS])
    return in_order.groupby(CELL, as_index=False)[COUNTS].sum()


_ROW = [*CELL, "action_type", "seats", "entries", "inside", "elapsed", "is_planned"]


def _people_inside(trainings: pd.DataFrame, held: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """Count who entered a training that is not over. One row per person and session; ``inside`` 0 for who left already.

    Somebody inside a course of which a share e is over has come so far: where people leave evenly over it, a share
    c ÷ (c + (1 − c)(1 − e)) of them finishes, if c of those who enter do. More entries than seats count as the seats.
    """
    entered = _entered(trainings, as_of)
    room = _room(held, entered).set_index("session")
    running = entered[entered["planned_end"] > as_of]
    weight = running["session"].map(room["weight"]).astype("float64").fillna(1.0)
    length = (running["planned_end"] - running["entered"]).dt.days.clip(lower=1)
    frame = running[ATOM].assign(
        sector=running["formacode"].str[:3],
        level=level_text(running["exit_level"]),
        period=month_of(running["planned_end"]),
        action_type=running["action_type"],
        seats=weight,
        entries=weight,
        inside=weight.where(running["exited"].isna(), 0.0),
        elapsed=((as_of - running["entered"]).dt.days / length).clip(0.0, 1.0),
        is_planned=False,
    )
    return frame[_ROW]


def _entered(trainings: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """Keep who has entered a training. One row per person and session."""
    asked = [*ATOM, "session", "status", "entered", "planned_end", "exited", "action_type", "formacode", "exit_level"]
    told = trainings[asked]
    return told[(told["status"] == "entre") & (told["entered"] <= as_of)]


def _room(held: pd.DataFrame, entered: pd.DataFrame) -> pd.DataFrame:
    """Set the people who entered against the seats. One row per session: people, and the ``weight`` of each.

    A weight is below 1 where more people entered than seats were bought for the session.
    """
    people = entered.groupby("session").size().rename("people").astype("float64")
    room = held[["session"]].assign(people=held["session"].map(people).astype("float64").fillna(0.0))
    seats = held["places"] * held["share"]
    return room.assign(weight=(seats / room["people"].where(room["people"] > 0)).clip(upper=1.0).fillna(1.0))


def _sessions_ahead(held: pd.DataFrame, trainings: pd.DataFrame, chain: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """Count the seats of sessions that nobody is known to sit on. One row per session of a known lot that is not over.

    Of one that has started and whose people are listed, those left empty; of one without a list, all of them, with the
    entries it told; of one to come, all of them, with those expected.
    """
    ahead = held[(held["ends"].fillna(held["starts"]) > as_of) & held["sector"].notna() & (held["places"] > 0)]
    people = _room(ahead, _entered(trainings, as_of))["people"]
    seats = ahead["places"] * ahead["share"]
    filled = seats * ahead["action_type"].map(chain.set_index("action_type")["fill"]).astype("float64")
    told = ahead["entries"].where(ahead["starts"] <= as_of)
    entries = (told * ahead["share"]).fillna(filled).clip(upper=seats).where(people == 0, 0.0)
    ends = ahead["ends"].fillna(ahead["starts"])
    frame = ahead[[*ATOM, "sector", "level", "action_type"]].assign(
        period=month_of(ends),
        seats=(seats - people).clip(lower=0.0),
        entries=entries,
        inside=entries,
        elapsed=0.0,
        is_planned=False,
    )
    return frame[_ROW]


# Lots without a session ------------------------------------------------------------------------------------------------


def _lots_ahead(lots: pd.DataFrame, held: pd.DataFrame, chain: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """Expect sessions of the lots that have fewer than were bought. One row per kind, place, hours and month of start: seats.

    Seats to come = run × places bought − places of the sessions known. They start in the months of the exercise that are
    left, as often as sessions usually do in each. Of an exercise without any session known nobody can say what was run: its
    seats start over the whole year, and those of the months that are over are over. A lot that found no bidder brings nothing.
    """
    known = held.groupby(_LOT, as_index=False).agg(places=("places", "sum"), listed=("session", "size"))
    ahead = lots[(lots["exercise"] >= as_of.year) & (lots["bids"] != 0).fillna(True) & (lots["bought"] > 0)]
    ahead = ahead.merge(known, on=_LOT, how="left", validate="one_to_one").fillna({"places": 0.0, "listed": 0})
    ahead = ahead[~(ahead["listed"] >= ahead["sessions"]).fillna(False).astype(bool)]
    run = ahead["action_type"].map(chain.set_index("action_type")["run"]).astype("float64")
    fill = ahead["action_type"].map(chain.set_index("action_type")["fill"]).astype("float64")
    missing = ahead.assign(seats=(run * ahead["bought"] - ahead["places"]).clip(lower=0.0), fill=fill)
    keys = [*_KIND, "place", "hours", "exercise", "fill"]
    sums = missing.sort_values([*keys, "seats"]).groupby(keys, as_index=False)[["seats"]].sum()
    dated = sums.merge(_usual_months(held, as_of), how="cross")
    dated = dated.assign(month=pd.to_datetime({"year": dated["exercise"], "month": dated["number"], "day": 1}))
    ends = dated["month"] + pd.offsets.MonthEnd(0)
    counts = (ends > as_of) | ~dated["exercise"].isin(held["exercise"])
    total = dated["usual"].where(counts, 0.0).groupby([dated[name] for name in keys]).transform("sum")
    seats = (dated["seats"] * dated["usual"] / total)[ends > as_of]
    return dated[ends > as_of].assign(seats=seats)[[*_KIND, "place", "hours", "fill", "month", "seats"]].query("seats > 0")


def _usual_months(held: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """Say how many places start in each month of a year that is over; evenly where none is. One row per month: number, usual.

    No month has none: a place of the Region's past more in each.
    """
    past = held[(held["starts"].dt.year < as_of.year) & (held["places"] > 0)]
    places = past.groupby(past["starts"].dt.month)["places"].sum().reindex(range(1, 13), fill_value=0.0)
    return pd.DataFrame({"number": np.arange(1, 13), "usual": places.to_numpy(dtype="float64") + 1.0})


def _spread(ahead: pd.DataFrame, communes: pd.DataFrame, params: SeatParams) -> pd.DataFrame:
    """Place the seats over the territory they were bought for. One row per lot kind, month of start and cell.

    They end so many weeks after the middle of the month as their hours take. A place that no commune is in is the Region.
    """
    shares = share_places(communes)
    people = communes.groupby(ATOM, as_index=False)[["population"]].sum()
    anywhere = people[ATOM].assign(place="", share=people["population"] / people["population"].sum())
    found = ahead.assign(place=ahead["place"].where(ahead["place"].isin(shares["place"]), ""))
    placed = found.merge(pd.concat([shares, anywhere], ignore_index=True), on="place", how="inner", validate="many_to_many")
    weeks = placed["hours"] / params.week_hours
    middle = placed["month"] + pd.Timedelta(days=14)
    seats = placed["seats"] * placed["share"]
    frame = placed[[*ATOM, "sector", "level", "action_type"]].assign(
        period=month_of(middle + pd.to_timedelta((weeks * _DAYS_A_WEEK).round(), unit="D")),
        seats=seats,
        entries=seats * placed["fill"],
        inside=seats * placed["fill"],
        elapsed=0.0,
        is_planned=True,
    )
    return frame[_ROW]
