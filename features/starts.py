"""People at a start: those who entered a course, those who were to and did not, and those who were listed as looking for work.

A start is the day from which months are counted. That of a trainee is the entry, that of someone who did not come the day the
course began without them. Somebody listed has none: one is drawn among the entries between that list and the next, and so is
a course, so that those who train and those who do not are compared at the same time of their lives and of the year.

- No immortal time: whoever works on the day drawn, or entered a course before it, is not compared there. Whoever enters later
  is, until then (``next_entry``): nobody is left out for what comes after the start.
- Nobody at a start works, or entered a course in the months before (``washout_months``): a person trained twice starts
  once, unless the courses lie far apart.
- What became of them is known by spells of work where these cover the département and the day, by surveys elsewhere. What is
  not due yet is blank, never a failure.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.columns import PERSON
from features.draws import even_draws
from features.exits import SPANS, SPELL, SURVEYED, OutcomeParams, Past, course_aims, spell_windows
from features.lazy import ask
from features.params import Section, param
from features.supply import level_text
from features.vocabulary import QUALIFYING

ENTERED, AWAY, LISTED = "entered", "away", "listed"
FOLLOWED = ("work", "durable", "trained_occupation", "own_business", "qualification")
TRAITS = [column.name for column in PERSON if column.name not in ("available", "allowance_ends", "skills")]
_COURSE = ["session", "lot", "action_type", "formacode", "certifinfo", "level_out"]
_YEAR = pd.DateOffset(months=12)
_OLDEST, _YOUNGEST = 80, 14
_PRIOR = 20.0  # people, whom a code of few has besides its own


class StartParams(Section):
    """Who is compared with whom."""

    washout_months: int = param(
        24, "an entry counts, and a person is compared, so long after another entry at least", unit="months", ge=0, le=60
    )
    listed_per_entry: float = param(
        4.0, "people who were listed, for each entry, at most: more tell hardly more", unit="people", ge=1, le=100
    )
    most_listed: int = param(400_000, "people who were listed, at most", unit="people", ge=1000, le=10_000_000)
    openings_months: int = param(
        12, "months of openings that are set against the people who look for work", unit="months", ge=3, le=60
    )


@dataclass(frozen=True)
class Watched:
    """Who is followed: past training, spells and surveys, and the lists of those who look for work."""

    past: Past
    jobseekers: pd.DataFrame


def gather_starts(seen: Watched, as_of: pd.Timestamp, params: StartParams, outcomes: OutcomeParams) -> pd.DataFrame:
    """Gather people at a start. One row per person and start: ``arm``, course, traits that day, and what became of them.

    ``work_12`` is 1 or 0 where it is known whether the person works twelve months after the start, blank where it is not;
    ``asked_12`` says where it should be: the day is over and someone looked. ``next_entry`` counts the months to the next
    course, ``first_job`` those to the first work.
    """
    starts = _fresh(_all_starts(seen, as_of, params), seen.past.trainings, params)
    starts, aims = _with_aims(starts, seen.past, outcomes)
    followed = _follow(starts, aims, seen.past, as_of, outcomes)
    idle = followed[~followed["at_work"]].drop(columns="at_work")
    return idle.sort_values(["person", "start", "arm"], ignore_index=True)


# Who starts, and when ---------------------------------------------------------------------------------------------------


def _all_starts(seen: Watched, as_of: pd.Timestamp, params: StartParams) -> pd.DataFrame:
    """Put the three arms together. One row per person and start."""
    trainings = seen.past.trainings
    entries = _prescribed(trainings[trainings["status"] == "entre"], ENTERED)
    lag = (entries["start"] - entries["known_from"]).median()
    refused = trainings[trainings["status"].isin(["refuse", "non_presente"])]
    away = _prescribed(refused.assign(entered=refused["entered"].fillna(refused["known_from"] + lag)), AWAY)
    listed = _listed(seen, entries, as_of, params)
    starts = pd.concat([entries, away, listed], ignore_index=True)
    starts = starts[starts["start"] <= as_of]
    # Who entered one of two courses that day was not away from the other.
    ranked = starts.assign(rank=starts["arm"] != ENTERED).sort_values(
        ["person", "start", "rank", "arm", "session", "known_from"]
    )
    return ranked.drop(columns="rank").drop_duplicates(["person", "start"], ignore_index=True)


def _prescribed(trainings: pd.DataFrame, arm: str) -> pd.DataFrame:
    """Make starts of prescriptions. Same rows, but those without a day."""
    rows = trainings.rename(columns={"entered": "start", "exit_level": "level_out"})
    rows = rows[[*_COURSE, "person", "start", "known_from", "territory", "department", *TRAITS]].assign(arm=arm)
    return rows[rows["start"].notna()]


def _listed(seen: Watched, entries: pd.DataFrame, as_of: pd.Timestamp, params: StartParams) -> pd.DataFrame:
    """Draw a start for those who were listed. One row per person and list, as many as are wanted.

    Where no spell tells of their département, surveys count from the day of the list: that day is their start.
    """
    lists = seen.jobseekers[["person", "known_from", "territory", "department", *TRAITS]]
    key = lists[["person", "known_from"]].assign(known_from=lists["known_from"].astype("str"))
    wanted = min(params.listed_per_entry * len(entries), params.most_listed) / max(len(lists), 1)
    lists = lists[even_draws(key.assign(of="list")) < wanted]
    drawn = even_draws(key.loc[lists.index].assign(of="start"))
    days = np.sort(lists["known_from"].unique())
    entered = np.sort(entries["start"].to_numpy())
    start = lists["known_from"].to_numpy().copy()
    for day, following in pairwise([*days, as_of.to_datetime64()]):
        between = entered[(entered >= day) & (entered < following)]
        here = (lists["known_from"] == day).to_numpy()
        if len(between):
            start[here] = between[(drawn[here] * len(between)).astype("int64")]
    known = _placed(lists["department"], spell_windows(seen.past.employment)).notna().to_numpy()
    start = np.where(known, start, lists["known_from"].to_numpy())
    return lists.assign(start=start, arm=LISTED)


def _placed(departments: pd.Series[str], windows: pd.DataFrame) -> pd.Series[str]:
    """Name the window of spells that each row falls in: its département's, else that of all; missing without any."""
    if windows["since"].isna().all():
        return pd.Series(pd.NA, index=departments.index, dtype="str")
    named = departments.fillna("")
    return named.where(named.isin(windows.index)) if len(windows) > 1 else pd.Series("", index=departments.index, dtype="str")


def _fresh(starts: pd.DataFrame, trainings: pd.DataFrame, params: StartParams) -> pd.DataFrame:
    """Keep who entered no course in the months before. Same rows, with ``next_entry`` and ``next_qualifying`` in months."""
    entered = trainings.loc[trainings["status"] == "entre", ["person", "entered", "action_type"]].dropna(subset=["entered"])
    starts = starts.reset_index(drop=True).rename_axis(index="row")
    both = starts[["person", "start"]].reset_index().merge(entered, on="person", how="inner", validate="many_to_many")
    months = (both["entered"] - both["start"]).dt.days / (365.25 / 12)
    after = both[months > 0].assign(months=months).groupby("row")["months"].min()
    qualifying = both[(months > 0) & both["action_type"].isin(QUALIFYING)].assign(months=months).groupby("row")["months"].min()
    again = both.loc[(months < 0) & (months > -params.washout_months), "row"].unique()
    told = starts.assign(next_entry=after.reindex(starts.index), next_qualifying=qualifying.reindex(starts.index))
    return told[~told.index.isin(again)].reset_index(drop=True)


# What their course leads to ---------------------------------------------------------------------------------------------


def _with_aims(starts: pd.DataFrame, past: Past, params: OutcomeParams) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Number the course of each start (−1: leads to no occupation of its own); then one row per course and occupation.

    Those listed are given one of the courses entered, as often for the occupation they want as trainees have it: what they
    are asked later, whether they work in an occupation of it, is then what trainees are asked. ``wanted_trained`` says so.
    """
    own = starts["arm"] != LISTED
    named, aims = course_aims(starts[own], past.links, params)
    course = np.full(len(starts), -1, dtype=np.int64)
    course[own.to_numpy()] = named
    pairs = set(zip(aims["course"].tolist(), aims["occupation"].tolist(), strict=True))
    entered = (starts["arm"] == ENTERED).to_numpy() & (course >= 0)
    course[~own.to_numpy()] = _draw_courses(starts[~own], course[entered], starts.loc[entered, "wanted"], aims)
    wanted = [pair in pairs for pair in zip(course.tolist(), starts["wanted"].fillna("").tolist(), strict=True)]
    return starts.assign(course=course, wanted_trained=np.array(wanted, dtype=bool)), aims


def _draw_courses(
    listed: pd.DataFrame, entered: NDArray[np.int64], wanted: pd.Series[str], aims: pd.DataFrame
) -> NDArray[np.int64]:
    """Draw one of the courses entered for each person listed.

    It is for the occupation they want as often as it is for trainees, where any course leads there.
    """
    if not len(entered) or not len(listed):
        return np.full(len(listed), -1, dtype=np.int64)
    key = listed[["person", "start"]].assign(start=listed["start"].astype("str"))
    lot, whether = (even_draws(key.assign(of=name)) for name in ("course", "wanted"))
    counts = pd.Series(entered).value_counts().rename_axis("course").rename("entries").reset_index()
    ways = aims.merge(counts, on="course", how="inner", validate="many_to_one").sort_values(["occupation", "course"])
    upto = ways["entries"].cumsum()
    of_occupation = (
        ways.assign(before=upto - ways["entries"]).groupby("occupation").agg(before=("before", "min"), of=("entries", "sum"))
    )
    before, of = (listed["wanted"].map(of_occupation[name]).fillna(0.0).to_numpy() for name in ("before", "of"))
    led = ways["course"].to_numpy()[np.minimum(np.searchsorted(upto, before + lot * of, side="right"), len(ways) - 1)]
    pairs = pd.MultiIndex.from_frame(aims[["course", "occupation"]])
    offered = wanted.isin(of_occupation.index).to_numpy()
    led_there = pd.MultiIndex.from_arrays([entered, wanted.fillna("")]).isin(pairs)
    as_wanted = led_there.sum() / max(offered.sum(), 1)
    chance = np.minimum(of / len(entered), 1.0 - 1e-9)  # any course leads to what they want so often
    drawn = np.sort(entered)[(lot * len(entered)).astype("int64")]
    for_wanted = (of > 0) & (whether < (as_wanted - chance) / (1.0 - chance))
    return np.asarray(np.where(for_wanted, led, drawn), dtype=np.int64)


# What became of them ----------------------------------------------------------------------------------------------------


def _follow(starts: pd.DataFrame, aims: pd.DataFrame, past: Past, as_of: pd.Timestamp, params: OutcomeParams) -> pd.DataFrame:
    """Tell the past and what came after of each start. Same rows."""
    windows = spell_windows(past.employment)
    placed = _placed(starts["department"], windows)
    since, until = (placed.map(windows[end]).astype("datetime64[us]") for end in ("since", "until"))
    spells = _ask_spells(starts, aims, past, params).reindex(starts.index)
    told = _with_history(starts, spells, since)
    for months in params.horizons_months:
        when = starts["start"] + pd.DateOffset(months=months)
        due = when + pd.DateOffset(months=params.collection_lag_months)
        watched = (since <= when) & (due <= until)
        told = told.assign(**_outcomes(told, spells, watched & (due <= as_of), months))
    surveyed = _ask_surveys(told, past.outcomes, as_of, params)
    return told.assign(**surveyed)


def _span(months: int) -> str:
    """Write the part of the question that looks at the day so many months after a start."""
    here = f"starts <= start + to_months({months}) AND until >= start + to_months({months})"
    return f"""coalesce(bool_or({here}), false) AS work_{months},
    coalesce(bool_or(lasting AND {here}), false) AS durable_{months},
    coalesce(bool_or(own AND {here}), false) AS own_business_{months},
    coalesce(bool_or(aims.course IS NOT NULL AND {here}), false) AS trained_occupation_{months},
    coalesce(bool_or(spans.occupation IS NULL AND {here}), false) AS unnamed_{months}"""


def _ask_spells(starts: pd.DataFrame, aims: pd.DataFrame, past: Past, params: OutcomeParams) -> pd.DataFrame:
    """Ask the spells of each start. One row per start with any: work that day, before and after, and days of work before."""
    days = "greatest(0, date_diff('day', greatest(starts, start - to_months({far})), least(until, start - to_months({near}))))"
    looked = ",\n    ".join(_span(months) for months in params.horizons_months)
    sql = f"""
WITH spans AS ({SPANS})
SELECT row, coalesce(bool_or(starts <= start AND until >= start), false) AS at_work,
    sum({days.format(far=12, near=0)})::DOUBLE AS days_1_12, sum({days.format(far=24, near=12)})::DOUBLE AS days_13_24,
    sum({days.format(far=36, near=24)})::DOUBLE AS days_25_36,
    max(CASE WHEN until < start THEN until END) AS last_end, min(CASE WHEN starts > start THEN starts END) AS first_job,
    {looked}
FROM starts JOIN spans ON spans.person = starts.person
    LEFT JOIN aims ON aims.course = starts.course AND aims.occupation = spans.occupation
GROUP BY row ORDER BY row"""
    asked = starts[["person", "start", "course"]].rename_axis(index="row").reset_index()
    tables = {"starts": asked, "aims": aims, "spells": past.employment[SPELL]}
    return ask(sql, tables, durable=params.durable_months).set_index("row")


def _with_history(starts: pd.DataFrame, spells: pd.DataFrame, since: pd.Series[pd.Timestamp]) -> pd.DataFrame:
    """Say what is known of each person that day: by spells where they reach back so far, else as the row has it. Same rows."""
    month = 365.25 / 12
    told = {years: since <= starts["start"] - years * _YEAR for years in (2, 3)}
    ages = starts["start"].dt.year - starts["birth_year"]
    later = (starts["start"] - starts["known_from"]).dt.days / month
    ended = (starts["start"] - spells["last_end"].astype("datetime64[us]")).dt.days / month
    waited = starts["unemployed_months"].astype("float64") + later
    found = (spells["first_job"].astype("datetime64[us]") - starts["start"]).dt.days / month
    worked = {name: (spells[f"days_{name}"].fillna(0.0) / month).clip(upper=12.0) for name in ("1_12", "13_24", "25_36")}
    return starts.assign(
        age=ages.where(ages.between(_YOUNGEST, _OLDEST)).astype("float64"),
        unemployed_months=waited.where(~(ended < waited), ended),
        at_work=spells["at_work"].astype("boolean").fillna(value=False).astype(bool) & since.notna(),
        first_job=found,
        level_out=level_text(starts["level_out"]),
        worked_m1_12=worked["1_12"].where(told[2], starts["worked_m1_12"]),
        worked_m13_24=worked["13_24"].where(told[2], starts["worked_m13_24"]),
        worked_m25_36=worked["25_36"].where(told[3]),
    ).drop(columns=["known_from", "birth_year"])


def _outcomes(starts: pd.DataFrame, spells: pd.DataFrame, asked: pd.Series[bool], months: int) -> dict[str, pd.Series]:
    """Say what spells tell so many months later, blank where they do not."""
    held = {
        name: spells[f"{name}_{months}"].astype("boolean").fillna(value=False).astype("float64").where(asked)
        for name in ("work", "durable", "own_business", "trained_occupation", "unnamed")
    }
    aimed = held["trained_occupation"]
    known = (starts["course"] >= 0) & ((aimed > 0) | ~(held["unnamed"] > 0))
    qualified = (starts["next_qualifying"] <= months).astype("float64").where(asked)
    told = held | {"trained_occupation": aimed.where(known), "qualification": qualified}
    return {f"asked_{months}": asked} | {f"{name}_{months}": told[name].astype("float32") for name in FOLLOWED}


def _ask_surveys(
    starts: pd.DataFrame, answers: pd.DataFrame, as_of: pd.Timestamp, params: OutcomeParams
) -> dict[str, pd.Series]:
    """Add what people said where no spell tells of them: whoever was asked and did not answer is asked, and blank.

    ``weight`` is that of the survey where it tells anything, one elsewhere.
    """
    origin = starts["arm"].map({ENTERED: "entree", AWAY: "entree", LISTED: "observation"})
    keyed = starts[["person", "start"]].assign(origin=origin.astype("str"))
    put = answers[answers["known_from"] <= as_of].rename(columns={"origin_date": "start"})
    names = ["answered", "weight", *SURVEYED]
    told = keyed.merge(put[["person", "start", "origin", *names]], on=list(keyed), how="left", validate="many_to_one")
    told.index = starts.index
    silent = (told["answered"].astype("boolean") == False).fillna(value=False).astype(bool)  # noqa: E712  # may be missing
    columns: dict[str, pd.Series] = {}
    surveyed = pd.Series(False, index=starts.index)
    for column, (outcome, months) in SURVEYED.items():
        if f"asked_{months}" not in starts:
            continue
        given = told[column].astype("float64")
        due = starts["start"] + pd.DateOffset(months=months + params.collection_lag_months) <= as_of
        open_to = ~starts[f"asked_{months}"] & due & (silent | given.notna())
        surveyed |= open_to
        before = columns.get(f"asked_{months}", starts[f"asked_{months}"])
        columns[f"asked_{months}"] = before | open_to
        columns[f"{outcome}_{months}"] = starts[f"{outcome}_{months}"].where(~open_to, given.mask(silent)).astype("float32")
    weight = told["weight"].astype("float64").where(surveyed & (told["weight"] > 0))
    return columns | {"weight": weight.fillna(1.0)}


# Where they live --------------------------------------------------------------------------------------------------------


def add_places(starts: pd.DataFrame, openings: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    """Say how many openings stand against how many who look for work, where each person lives and in what each wants.

    Same rows, with ``place_tightness`` and ``wanted_tightness`` (logs, over the Region's), and ``place_class``: the third of
    the people whose bassins are ``tight``, ``middle`` or ``slack``. ``openings`` has one row per territory and occupation.
    """
    place = _tightness(openings.groupby("territory")["positions"].sum(), people["territory"])
    wanted = _tightness(openings.groupby("occupation")["positions"].sum(), people["wanted"])
    of_people = people["territory"].map(place)
    slack, tight = of_people.quantile([1 / 3, 2 / 3]) if of_people.notna().any() else (0.0, 0.0)
    here = starts["territory"].map(place)
    classes = np.select([here <= slack, here <= tight, here > tight], ["slack", "middle", "tight"], "")
    return starts.assign(
        place_tightness=here,
        wanted_tightness=starts["wanted"].map(wanted),
        place_class=pd.Series(classes, index=starts.index, dtype="str"),
    )


def people_at(people: pd.DataFrame, day: pd.Timestamp) -> pd.DataFrame:
    """Describe those to be served tonight as if they started that day. One row per person, in their order."""
    people = people.sort_values("person", ignore_index=True)
    ages = day.year - people["birth_year"]
    return people[["person", "territory", "department", *TRAITS]].assign(
        start=day,
        age=ages.where(ages.between(_YOUNGEST, _OLDEST)).astype("float64"),
        unemployed_months=people["unemployed_months"].astype("float64"),
        wanted_trained=False,
    )


def _tightness(openings: pd.Series[float], looking: pd.Series[str]) -> pd.Series[float]:
    """Set openings against people, by code; codes that few want stay near the Region's."""
    people = looking.value_counts().astype("float64")
    both = pd.DataFrame({"openings": openings.astype("float64"), "people": people}).fillna(0.0)
    usual = float(both["openings"].sum() / max(both["people"].sum(), 1.0))
    ratio: pd.Series[float] = (both["openings"] + _PRIOR * usual) / ((both["people"] + _PRIOR) * max(usual, 1e-9))
    return pd.Series(np.log(ratio.to_numpy() + 1e-9), index=both.index)
