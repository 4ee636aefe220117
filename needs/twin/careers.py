"""Prescriptions of training in one département: who is chosen, who enters, how it ends, and the work that follows.

Entry is selected. For each prescription ``training.line`` people of the place stand in line, and one is taken with odds

    exp(creaming × strictness of the course × (person score ÷ 0.4) + hidden × drive)

The person score is what files show of how near to work someone is (``effects``), drive what no file shows, strictness a
number between 0 and 2 proper to a type and sector, so that raw rates of placement say more of who was let in than of what was
taught; ``training.perverse`` is how far the courses that help least are the strictest. ``training.creaming`` and
``training.hidden`` are the other dials. A prescription then leads to a refusal, a no-show or an entry (about a quarter are lost
before the start, those of least drive first where ``training.hidden`` says so), and an entry to its end, a drop-out (12.5 %), a
job (3 %) or another exit. Shares without a source are ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logit, ndtr

from needs.twin.actions import action_table
from needs.twin.effects import Effects, person_score, sigmoid, stay_score
from needs.twin.history import past_spells
from needs.twin.people import BELOW_4, NEET, PERSON, Draw, draw_traits, one_of, registered, seek_trained, settle
from needs.twin.places import Numbers
from needs.twin.scales import DAYS_PER_MONTH, DURABLE_AMONG_WORK, FILL, WORK_6M
from needs.twin.work import draw_spells, occupation, untrained
from needs.twin.world import World

UPCOMING_DAYS = 90
EXITS = {"abandon": 0.125, "emploi": 0.03, "sante": 0.015, "autre": 0.01}
_SEEN = 0.8
_FOLLOW = 0.5
_CERTIFIED = 0.82
_SCORE_SPREAD = 0.4
_LEVEL_CHECKED = 0.85
_SENIOR = 46
_FLAG_OF_PUBLIC = {"rsa": "rsa", "qpv": "qpv", "th": "th", "detenus": "detained", "parents_isoles": "lone_parent"}
_SAMPLE = 3_000
_ROUNDS = 3
Intercepts = tuple[float, float]


@dataclass(frozen=True)
class Careers:
    """Prescriptions, the persons they are about (one row per ``pid``), and their work."""

    prescriptions: pd.DataFrame
    people: pd.DataFrame
    spells: pd.DataFrame

    @property
    def entries(self) -> pd.DataFrame:
        """The prescriptions that were followed by an entry. One row per entry."""
        return self.prescriptions[self.prescriptions["status"] == "entre"].reset_index(drop=True)


def draw_careers(
    effects: Effects, sessions: pd.DataFrame, intercepts: Intercepts, first_pid: int, rng: np.random.Generator
) -> Careers:
    """Fill the sessions of a département with people, let them enter, leave and find work (or not)."""
    rows = _trainees(effects, sessions, first_pid, rng)
    busy = rows["exited"].fillna(rows["planned_end"].where(rows["status"] == "prescrit")).groupby(rows["pid"]).max()
    first = rows.drop_duplicates("pid", keep="first")
    people = first.assign(busy_until=busy.reindex(first["pid"]).to_numpy())[PERSON].reset_index(drop=True)
    spells = pd.concat([past_spells(people, rng), _work_after(effects, rows, intercepts, rng)], ignore_index=True)
    return Careers(rows, people, spells)


def calibrate(effects: Effects, sessions: pd.DataFrame) -> Intercepts:
    """Find the two intercepts that give the Region's rates of work and of lasting work six months after training.

    They are found on a sample of sessions of the whole world, by bisection, and hold in every département.
    """
    world = effects.world
    rng = world.rng("calibration")
    started = sessions[sessions["starts"] <= world.as_of]
    size = max(1, round(_SAMPLE / (FILL * float(started["places"].mean()))))
    sample = started.iloc[np.sort(rng.permutation(len(started))[:size])]
    # a small world has few sessions: filled many times over, they still tell its mean to a point
    rows = [_trainees(effects, sample.reset_index(drop=True), 0, rng) for _ in range(max(1, size // len(sample)))]
    entries = pd.concat(rows, ignore_index=True).query("status == 'entre'").reset_index(drop=True)

    found = effects.trained(entries, (0.0, 0.0))
    # six months after training: whatever it lasted, seen from the month before it ended
    left = replace(found, until=np.ones_like(found.until), month=found.month + found.until - 1)
    before, after = logit(found.stays), logit(found.stays_after)

    def rates(work: float, stay: float) -> tuple[float, float]:
        moved = replace(left, rate=left.rate * np.exp(work), stays=sigmoid(before + stay), stays_after=sigmoid(after + stay))
        working, lasting = occupation(moved, [7])
        return float(working.mean()), float(lasting.sum() / working.sum())

    work = stay = 0.0
    for _ in range(_ROUNDS):  # each hardly moves the other
        work = _bisect(lambda value: rates(value, stay)[0], WORK_6M, -6.0, 1.0)  # noqa: B023  # called at once
        stay = _bisect(lambda value: rates(work, value)[1], DURABLE_AMONG_WORK, -4.0, 4.0)  # noqa: B023
    return work, stay


def _bisect(function: Callable[[float], float], target: float, low: float, high: float) -> float:
    for _ in range(14):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) < target else (low, middle)
    return (low + high) / 2


def _trainees(effects: Effects, sessions: pd.DataFrame, first_pid: int, rng: np.random.Generator) -> pd.DataFrame:
    """Prescribe sessions to people chosen for them. One row per prescription, with its course, person and end."""
    rows = _add_exits(_prescriptions(effects.world, sessions, rng), rng)
    return _follow(_add_people(effects, rows, first_pid, rng), effects.world, rng)


def _prescriptions(world: World, sessions: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Prescribe the sessions that started, and those about to. One row per prescription, with its status."""
    near = sessions[sessions["starts"] <= world.as_of + pd.Timedelta(days=UPCOMING_DAYS)].reset_index(drop=True)
    ahead = np.maximum(0, (near["starts"] - world.as_of).dt.days.to_numpy())
    fill = np.clip(rng.normal(FILL + 0.01, 0.1, len(near)), 0.4, 1.0)
    kept = rng.binomial(near["places"], np.where(ahead > 0, 0.7 * (1 - ahead / (UPCOMING_DAYS + 1)), fill))
    loss = action_table()["lost"].reindex(near["action_type"]).to_numpy() * rng.uniform(0.8, 1.2, len(near))
    lost = rng.poisson(kept * loss / (1 - loss))
    rows = near.loc[near.index.repeat(kept + lost)]
    turn = rows.groupby(level=0).cumcount().to_numpy()
    here = turn < kept[rows.index]
    upcoming = (rows["starts"] > world.as_of).to_numpy()
    away = np.where(rng.random(len(rows)) < 0.55, "refuse", "non_presente")
    status = np.where(here, np.where(upcoming, "prescrit", "entre"), np.where(upcoming, "refuse", away))
    before = pd.to_timedelta(rng.integers(7, 75, len(rows)), unit="D")
    recent = pd.to_timedelta(rng.integers(0, 40, len(rows)), unit="D")
    known = (rows["starts"] - before).mask(upcoming, rows["starts"].mask(upcoming, world.as_of) - recent)
    known = known.where(known > rows["known_from"], rows["known_from"])  # no prescription before the lot is notified
    rows = rows.assign(status=status.astype(object), known_from=known, entered=rows["starts"], planned_end=rows["ends"])
    # one person enters once: rows in the order of prescription, so that a first prescription comes first
    return rows.sort_values(["known_from", "session"], kind="stable").reset_index(drop=True)


def _add_exits(rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Add how each training ended, also in the future. Same rows; blank where the person did not enter."""
    size = len(rows)
    reason = rng.choice(np.array([*EXITS, "fin"], dtype=object), size, p=[*EXITS.values(), 1 - sum(EXITS.values())])
    early = (rows["ends"] - rows["starts"]) * rng.uniform(0.1, 0.9, size)
    exited = rows["ends"].where(reason == "fin", (rows["starts"] + early).dt.normalize())
    inside = (rows["status"] == "entre").to_numpy()
    graded = inside & (rows["action_type"] == "certification").to_numpy()
    certified = pd.Series((reason == "fin") & (rng.random(size) < _CERTIFIED), dtype="boolean").where(graded)
    names = np.array(["France Travail", "Mission locale", "Cap emploi", "Département"], dtype=object)
    return rows.assign(
        exited=exited.where(inside),
        exit_reason=pd.Series(reason, dtype="object").where(inside),
        certified=certified,
        prescriber=rng.choice(names, size, p=[0.72, 0.16, 0.05, 0.07]),
        funder=rows["funders"].str.split(":").str[0],
        person_eur=(rows["cost_eur"] / rows["lot_places"].clip(lower=1)).round(2),
    )


def _add_people(effects: Effects, rows: pd.DataFrame, first_pid: int, rng: np.random.Generator) -> pd.DataFrame:
    """Send a chosen person to each prescription. Same rows, with the person's columns and ``pid``."""
    world, size = effects.world, len(rows)
    traits = _chosen(effects, rows, rng)
    flags = {flag: traits[flag] | (rows["public"] == public) for public, flag in _FLAG_OF_PUBLIC.items()}
    people = settle(world, traits.assign(**flags), _homes_near(world, rows["place"].to_numpy(), rng), rng)
    people = seek_trained(people, rows["occupations"], rng)
    # seen at a yearly date before the prescription: most trainees were listed there
    since = _months_since_listing(world, people["reference"])
    seen = (since > 0.5) & (rng.random(size) < _SEEN)
    waits = np.maximum(since + rng.exponential(5.0, size) + 0.1, np.where(rows["public"] == "dld", 12.0, 0.0))
    people = people.assign(wait_months=people["wait_months"].where(~seen, waits), seen=seen)
    return rows.assign(**people, pid=first_pid + np.arange(size), registered=registered(people), followed=False)


def _chosen(effects: Effects, rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Let people stand in line for each prescription and take one, by the odds above. One row per prescription."""
    dials, size = effects.world.dials.training, len(rows)
    line = dials.line
    below_4 = np.tile((rows["public"] == "infra4").to_numpy(), line) | (rng.random(size * line) < BELOW_4)
    young = np.tile(np.where(rows["public"] == "jeunes", 0.9, NEET * 0.93), line)
    seen = np.tile(rows["known_from"].to_numpy(), line)
    people = draw_traits(Draw(below_4, rng.random(size * line) < young, seen), rng)
    people = _admissible(people, rows, line, rng)
    strict = np.tile(_strictness(effects, rows), line)
    odds = dials.creaming * strict * person_score(people) / _SCORE_SPREAD + dials.hidden * people["drive"].to_numpy()
    best = (odds + rng.gumbel(size=size * line)).reshape(line, size).argmax(axis=0)
    taken = people.iloc[best * size + np.arange(size)].reset_index(drop=True)
    return _keenest_first(taken, rows, dials.hidden * taken["drive"].to_numpy() + rng.gumbel(size=size))


def _admissible(people: pd.DataFrame, rows: pd.DataFrame, line: int, rng: np.random.Generator) -> pd.DataFrame:
    """Let only those stand in line whom a course is for: its public, and in most cases its entry level. Same rows."""
    public, level = np.tile(rows["public"].to_numpy(dtype=object), line), pd.concat([rows["entry_level"]] * line)
    checked = rng.random(len(people)) < _LEVEL_CHECKED
    low = (people["level"] < level.set_axis(people.index)).fillna(False).to_numpy(dtype=bool) & checked
    short, young = (public == "dld") & (people["wait_months"] < 12), (public == "seniors") & (_ages(people) < _SENIOR)
    return people.assign(
        level=people["level"].mask(low, level.set_axis(people.index)),
        wait_months=people["wait_months"].mask(short, 12 + people["wait_months"]),
        birth_year=people["birth_year"].mask(young, people["reference"].dt.year - rng.integers(_SENIOR, 63, len(people))),
    )


def _ages(people: pd.DataFrame) -> pd.Series[int]:
    ages: pd.Series[int] = people["reference"].dt.year - people["birth_year"]
    return ages


def _keenest_first(people: pd.DataFrame, rows: pd.DataFrame, odds: Numbers) -> pd.DataFrame:
    """Let those with the highest odds among the people of a session be those who enter it. One row per prescription."""
    sessions = rows["session"].to_numpy(dtype=object).astype(str)
    inside = rows["status"].isin(["entre", "prescrit"]).to_numpy()
    places, keen = np.lexsort((~inside, sessions)), np.lexsort((-odds, sessions))
    order = np.empty(len(rows), dtype=np.int64)
    order[places] = keen
    return people.iloc[order].reset_index(drop=True).assign(reference=people["reference"])


def _strictness(effects: Effects, rows: pd.DataFrame) -> Numbers:
    """Say how strictly each type in each sector chooses: 0 to 2, drawn once for the world, most where ``perverse`` says so."""
    world, sectors = effects.world, rows["formacode"].str[:3]
    pairs = pd.MultiIndex.from_arrays([rows["action_type"], sectors])
    listed = pairs.unique()
    kinds, of_sector = (pd.Series(listed.get_level_values(level)) for level in (0, 1))
    types = effects.types["effect"]
    helps = (((types - types.mean()) / types.std()).reindex(kinds).to_numpy() + effects.fortune(kinds, of_sector)) / np.sqrt(2)
    perverse = world.dials.training.perverse
    chance = np.array([world.rng("strict", kind, sector).normal() for kind, sector in listed])
    strict = 2 * ndtr(np.sqrt(1 - perverse**2) * chance - perverse * helps)
    return np.asarray(pd.Series(strict, index=listed).reindex(pairs).to_numpy(dtype="float64"))


def _months_since_listing(world: World, dates: pd.Series) -> Numbers:
    """Count the months since the last yearly listing of jobseekers; 0 where there was none before."""
    since = np.zeros(len(dates))
    for years in range(world.scale.observations - 1, 0, -1):
        listed = (world.as_of - pd.DateOffset(years=years)).normalize()
        months = (dates - listed).dt.days.to_numpy() / DAYS_PER_MONTH
        since = np.where(months > 0, months, since)
    return np.asarray(since)


def _homes_near(world: World, places: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Choose where trainees live: mostly the session's atom, else its département."""
    own = world.communes["atom"].to_numpy()[places]
    people = world.atoms["population"].to_numpy()
    department = world.atoms["department"].to_numpy()
    home = own.copy()
    away = rng.random(len(places)) > 0.72
    for code in np.unique(department[own]):
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
    next_step = rows[qualifies & rows["status"].isin(["entre", "prescrit"]) & (rng.random(len(rows)) < _FOLLOW)]
    home = rows["atom"].map(world.atoms["department"])
    left = pd.DataFrame({"department": home[next_step.index], "row": next_step.index, "date": next_step["known_from"]})
    right = pd.DataFrame({"department": home[done.index], "first": done.index, "date": done["exited"]})
    pairs = pd.merge_asof(
        left.sort_values("date", kind="stable"),
        right.sort_values("date", kind="stable"),
        on="date",
        by="department",
        tolerance=pd.Timedelta(days=300),
    )
    pairs = pairs[pairs["first"].notna()].drop_duplicates("first", keep="first")
    second, first = pairs["row"].to_numpy(dtype=int), pairs["first"].to_numpy(dtype=int)
    taken = [c for c in rows.columns[rows.columns.get_loc("sex") :] if c not in ("followed",)]
    source = np.arange(len(rows))
    source[second] = first
    people = rows[taken].iloc[source].set_axis(rows.index)
    return rows.assign(**people, followed=rows.index.isin(first))


def _work_after(effects: Effects, rows: pd.DataFrame, intercepts: Intercepts, rng: np.random.Generator) -> pd.DataFrame:
    """Draw the work that follows each entry, or the prescription of those who never entered. One row per spell."""
    free = rows[~rows["followed"] & rows["status"].isin(["entre", "refuse", "non_presente"])]
    inside = free["status"] == "entre"
    entered = free[inside].assign(reference=lambda t: t["entered"]).reset_index(drop=True)
    away = free[~inside].assign(reference=lambda t: t["known_from"] + pd.Timedelta(days=30)).reset_index(drop=True)
    target = one_of(entered["occupations"], rng).mask((entered["exit_reason"] == "abandon").to_numpy(), "")
    entered = entered.assign(target=target, owner=entered["action_type"] == "creation_entreprise")
    trained = effects.trained(rows.loc[free.index[inside]].reset_index(drop=True), intercepts)
    return pd.concat(
        [
            draw_spells(entered, trained, _months_left(effects.world, entered), rng),
            work_untrained(effects, away, intercepts, rng),
        ],
        ignore_index=True,
    )


def work_untrained(effects: Effects, people: pd.DataFrame, intercepts: Intercepts, rng: np.random.Generator) -> pd.DataFrame:
    """Draw the work that follows a date without training. One row per spell."""
    chances = untrained(
        effects.rate(people, intercepts[0]),
        sigmoid(stay_score(people) + intercepts[1]),
        effects.month_of(people["reference"]),
        effects.world.pulse(),
    )
    return draw_spells(people.assign(target="", owner=False), chances, _months_left(effects.world, people), rng)


def _months_left(world: World, people: pd.DataFrame) -> NDArray[np.int64]:
    """Count the months from each reference to ``as_of``, begun ones included."""
    return np.asarray(np.ceil((world.as_of - people["reference"]).dt.days / DAYS_PER_MONTH).clip(lower=0).astype(np.int64))
