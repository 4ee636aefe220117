"""Prescriptions of training and what becomes of those who train."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from needs.twin.actions import action_table
from needs.twin.chances import sigmoid, solve_intercept, training_scores
from needs.twin.people import BELOW_4, NEET, Draw, draw_people, registered, seek_trained
from needs.twin.scales import DAYS_PER_MONTH, DURABLE_AMONG_WORK, FILL, WORK_6M
from needs.twin.spells import past_spells, spells_after
from needs.twin.world import World

_UPCOMING_DAYS = 90
_SEEN = 0.8
_FOLLOW = 0.5
_LEFT = {"abandon": 0.125, "emploi": 0.03, "sante": 0.015, "autre": 0.01}
_CERTIFIED = 0.82
_FLAG_OF_PUBLIC = {"rsa": "rsa", "qpv": "qpv", "th": "th", "detenus": "detained", "parents_isoles": "lone_parent"}


@dataclass(frozen=True)
class Careers:
    """Prescriptions, the persons they are about (one row per ``pid``), their work, and the two intercepts of chances."""

    prescriptions: pd.DataFrame
    people: pd.DataFrame
    spells: pd.DataFrame
    intercept: float
    stay_intercept: float


def draw_careers(world: World, sessions: pd.DataFrame) -> Careers:
    """Fill the sessions with people, let them enter, leave and find work (or not)."""
    rng = world.rng("careers")
    rows = _add_exits(_prescriptions(world, sessions, rng), world, rng)
    rows = _follow(_add_people(rows, world, rng), world, rng)
    scores = training_scores(world, rows)
    inside = (rows["status"] == "entre").to_numpy()
    hired = inside & (rows["exit_reason"] == "emploi").to_numpy()
    free = (inside & ~hired & ~rows["followed"].to_numpy()).astype(float)
    target = (WORK_6M * inside.sum() - hired.sum()) / free.sum()
    intercept = solve_intercept(scores["with_work"].to_numpy(), float(target), free)
    chances = sigmoid(scores["with_work"].to_numpy() + intercept) * free + hired
    stay = solve_intercept(scores["with_stay"].to_numpy(), DURABLE_AMONG_WORK, np.asarray(chances))
    rows = rows.join(_chances(scores, intercept, stay))
    people = rows.drop_duplicates("pid", keep="first").reset_index(drop=True)
    spells = pd.concat([past_spells(people, rng), _work_after(world, rows, rng)], ignore_index=True)
    return Careers(rows, people, spells, intercept, stay)


def _prescriptions(world: World, sessions: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Prescribe the sessions that started, and those about to. One row per prescription, with its status."""
    near = sessions[sessions["starts"] <= world.as_of + pd.Timedelta(days=_UPCOMING_DAYS)].reset_index(drop=True)
    ahead = np.maximum(0, (near["starts"] - world.as_of).dt.days.to_numpy())
    fill = np.clip(rng.normal(FILL + 0.01, 0.1, len(near)), 0.4, 1.0)
    kept = rng.binomial(near["places"], np.where(ahead > 0, 0.7 * (1 - ahead / (_UPCOMING_DAYS + 1)), fill))
    loss = action_table()["lost"].reindex(near["action_type"]).to_numpy() * rng.uniform(0.8, 1.2, len(near))
    lost = rng.poisson(kept * loss / (1 - loss))
    rows = near.loc[near.index.repeat(kept + lost)]
    here = np.concatenate([np.arange(n) < k for n, k in zip(kept + lost, kept, strict=True)])
    upcoming = (rows["starts"] > world.as_of).to_numpy()
    away = rng.choice(["refuse", "non_presente"], len(rows), p=[0.55, 0.45])
    status = np.where(here, np.where(upcoming, "prescrit", "entre"), np.where(upcoming, "refuse", away))
    before = pd.to_timedelta(rng.integers(7, 75, len(rows)), unit="D")
    recent = pd.to_timedelta(rng.integers(0, 40, len(rows)), unit="D")
    known = (rows["starts"] - before).mask(upcoming, rows["starts"].mask(upcoming, world.as_of) - recent)
    rows = rows.assign(status=status.astype(object), known_from=known, entered=rows["starts"], planned_end=rows["ends"])
    # one person enters once: rows in the order of prescription, so that a first prescription comes first
    return rows.sort_values(["known_from", "session"], kind="stable").reset_index(drop=True)


def _add_exits(rows: pd.DataFrame, world: World, rng: np.random.Generator) -> pd.DataFrame:
    """Add how each training ended, also in the future. Same rows; blank where the person did not enter."""
    size = len(rows)
    reason = rng.choice([*_LEFT, "fin"], size, p=[*_LEFT.values(), 1 - sum(_LEFT.values())]).astype(object)
    early = (rows["ends"] - rows["starts"]) * rng.uniform(0.1, 0.9, size)
    exited = rows["ends"].where(reason == "fin", (rows["starts"] + early).dt.normalize())
    inside = (rows["status"] == "entre").to_numpy()
    graded = inside & (rows["action_type"] == "certification").to_numpy()
    certified = pd.Series((reason == "fin") & (rng.random(size) < _CERTIFIED), dtype="boolean").where(graded)
    prescriber = rng.choice(["France Travail", "Mission locale", "Cap emploi", "Département"], size, p=[0.72, 0.16, 0.05, 0.07])
    return rows.assign(
        exited=exited.where(inside),
        exit_reason=pd.Series(reason).where(inside),
        certified=certified,
        prescriber=prescriber,
        funder=rows["funders"].str.split(":").str[0],
        person_eur=(rows["cost_eur"] / rows["places"].where(rows["places"] > 0) / rows["sessions"]).round(2),
    )


def _add_people(rows: pd.DataFrame, world: World, rng: np.random.Generator) -> pd.DataFrame:
    """Send a person to each prescription. Same rows, with the person's columns and ``pid``."""
    size = len(rows)
    session_place = rows["place"].to_numpy()
    below_4 = np.where(rows["public"] == "infra4", True, rng.random(size) < BELOW_4)
    young = np.where(rows["public"] == "jeunes", 0.9, NEET * 0.93)
    draw = Draw(_homes_near(world, session_place, rng), below_4, rng.random(size) < young, rows["known_from"].to_numpy())
    people = seek_trained(draw_people(world, draw, rng), rows["occupations"], rng)
    flags = {flag: people[flag] | (rows["public"] == public) for public, flag in _FLAG_OF_PUBLIC.items()}
    people = people.assign(**flags)
    start = np.datetime64((world.as_of - pd.DateOffset(years=1)).normalize())
    since = (people["reference"] - start).dt.days / DAYS_PER_MONTH
    seen = (since > 0.5) & (rng.random(size) < _SEEN)
    people = people.assign(wait_months=people["wait_months"].where(~seen, since + rng.exponential(5.0, size) + 0.1), seen=seen)
    return rows.assign(**people, pid=np.arange(size), registered=registered(people), followed=False)


def _homes_near(world: World, places: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Choose where trainees live: mostly the session's atom, else its département."""
    own = world.communes["atom"].to_numpy()[places]
    people = world.atoms["population"].to_numpy()
    department = world.atoms["department"].to_numpy()
    home = own.copy()
    away = rng.random(len(places)) > 0.72
    for code in np.unique(department):
        rows = np.flatnonzero(away & (department[own] == code))
        atoms = np.flatnonzero(department == code)
        home[rows] = rng.choice(atoms, len(rows), p=people[atoms] / people[atoms].sum())
    return home


def _follow(rows: pd.DataFrame, world: World, rng: np.random.Generator) -> pd.DataFrame:
    """Let some who finished a preparation be those who enter a qualifying course next. Same rows.

    The second prescription takes over the person of the first, whose own way to work is then ``followed``.
    """
    qualifies = action_table()["qualifies"].reindex(rows["action_type"]).to_numpy(dtype=bool)
    done = rows[~qualifies & (rows["exit_reason"] == "fin").to_numpy()]
    next_step = rows[qualifies & (rng.random(len(rows)) < _FOLLOW)]
    keys = ["department", "row", "date"]
    home = rows["atom"].map(world.atoms["department"])
    left = pd.DataFrame({"department": home[next_step.index], "row": next_step.index, "date": next_step["known_from"]})
    right = pd.DataFrame({"department": home[done.index], "row": done.index, "date": done["exited"]})
    pairs = pd.merge_asof(
        left[keys].sort_values("date", kind="stable"),
        right[keys].sort_values("date", kind="stable").rename(columns={"row": "first"}),
        on="date",
        by="department",
        tolerance=pd.Timedelta(days=300),
    )
    pairs = pairs[pairs["first"].notna()].drop_duplicates("first", keep="first")
    second, first = pairs["row"].to_numpy(dtype=int), pairs["first"].to_numpy(dtype=int)
    taken = [c for c in rows.columns[rows.columns.get_loc("atom") :] if c not in ("reference", "followed")]
    source = np.arange(len(rows))
    source[second] = first
    people = rows[taken].iloc[source].set_axis(rows.index)
    return rows.assign(**people, followed=rows.index.isin(first))


def _chances(scores: pd.DataFrame, intercept: float, stay: float) -> pd.DataFrame:
    """Turn the scores of entries into probabilities. One row per entry; durable counts all who trained."""
    work = {name: sigmoid(scores[f"{name}_work"].to_numpy() + intercept) for name in ("with", "without")}
    lasting = {name: work[name] * sigmoid(scores[f"{name}_stay"].to_numpy() + stay) for name in work}
    columns = {f"work_{name}": work[name] for name in work} | {f"durable_{name}": lasting[name] for name in work}
    return pd.DataFrame(columns, index=scores.index)


def _work_after(world: World, rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Draw the work that follows each training, or the prescription of those who never entered. One row per spell."""
    free = rows[rows["status"].isin(["entre", "refuse", "non_presente"]) & ~rows["followed"]]
    inside = free["status"] == "entre"
    hired = (free["exit_reason"] == "emploi").fillna(False).to_numpy(dtype=bool)
    work = free["work_with"].where(inside, free["work_without"])
    lasting = free["durable_with"].where(inside, free["durable_without"])
    works = hired | (rng.random(len(free)) < work.to_numpy())
    stays = rng.random(len(free)) < (lasting / work).to_numpy()
    target = free["occupations"].str.split("|").str[0]
    target = target.where(inside & (target != ""), free["wanted"])
    reference = free["exited"].where(inside, free["known_from"] + pd.Timedelta(days=30))
    return spells_after(world, free.assign(reference=reference, works=works, stays=stays, at_once=hired, target=target), rng)
