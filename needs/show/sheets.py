"""What each sheet of the workbook shows: published tables turned into rows that a planner reads.

Each function gives a :class:`Sheet`: the rows under the names of ``column_<name>`` in the messages, with titles beside
codes, money in euros and estimates with their interval and confidence.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from models.policy_tree import EVERYONE
from models.seat_costs import STEPS
from needs.show.messages import say
from needs.show.plan_sheets import plan_sheets
from needs.show.sheet import Sheet, graded, listed, longest, told, worded
from needs.show.titles import titled

_INTERVAL = ("low", "high", "n", "borrowed", "grade")
_RANKING = (
    *("territory", "territory_title", "rank", "sector", "sector_title", "sector_group", "action_type_title", "level", "worth"),
    *(*_INTERVAL, "cost_per_job_eur", "stability", "disagreement", "emerging", "emerging_rank", "reasons", "caveats"),
)
_OCCUPATIONS = (
    *("territory", "territory_title", "occupation", "occupation_title", "period", "months"),
    *("need", "need_low", "need_high", "positions", "seasonal"),
)
_SECTORS = (
    *("territory", "territory_title", "sector", "sector_title", "sector_group", "level", "period", "months"),
    *("gap", "gap_low", "gap_high", "need", "supply", "under_way", "training_solvable"),
)
_OUTCOMES = (
    *("territory", "territory_title", "sector", "sector_title", "action_type_title", "level", "public_title"),
    *("outcome_title", "horizon_months", "rate", *_INTERVAL),
)
_EFFECTS = (
    *("action_type_title", "sector", "sector_title", "group_title", "outcome_title", "months_from_entry", "added"),
    *(*_INTERVAL, "raw_rate", "applicants", "applicants_low", "applicants_high", "bound_low", "bound_high", "robustness"),
    *("overlap", "n_effective", "doubts"),
)
_SEATS = (
    *("action_type_title", "sector", "sector_title", "level", "place_eur", "paid_by", "seat_eur"),
    *(f"seat_{step}{unit}" for step in STEPS for unit in ("", "_eur")),
)
_SCORES = (*("kind", "code", "action_type_title", "rank", "raw_rate", "promised", "added", *_INTERVAL),)
_POLICIES = (
    *("policy_title", "trained", "brought", "low", "high", "cost_jobs", "net", "net_low", "net_high"),
    *("gain", "gain_low", "gain_high", "n", "rule"),
)
_CAVEATS_TOLD = 9


def sheets_of(tables: Mapping[str, pd.DataFrame], exercise: int, language: str) -> list[Sheet]:
    """Give the sheets in the order of the workbook, what to read first first."""
    return [
        digest_sheet(tables["digest"], jobs_note(tables["effects"]), language),
        *plan_sheets(tables, exercise, language),
        rankings_sheet(tables["rankings"], language),
        sector_needs_sheet(tables["sector_needs"], language),
        forecasts_sheet(tables["forecasts"], language),
        outcomes_sheet(tables["outcomes"], language),
        effects_sheet(tables["effects"], language),
        seat_costs_sheet(tables["seat_costs"], language),
        course_scores_sheet(tables["course_scores"], language),
        policies_sheet(tables["policies"], language),
    ]


def jobs_note(effects: pd.DataFrame) -> str:
    """Name the message that says what the expected jobs are, as long as effects are estimated or not."""
    return "notes_jobs_raw" if effects.empty else "notes_jobs"


def digest_sheet(digest: pd.DataFrame, jobs: str, language: str) -> Sheet:
    """Tell the digest, and how to read the workbook. One row per line of the digest."""
    rows = digest.assign(
        severity=[say(f"severity_{severity}", language) for severity in digest["severity"]],
        topic=[say(f"topic_{topic}", language) for topic in digest["topic"]],
    )
    explained = ("notes_cost", "notes_tipping", "notes_total", "notes_year", "notes_empty")
    notes = ("notes_interval", "notes_grade", jobs, *explained)
    return Sheet("digest", rows[["severity", "topic", "message"]], notes=tuple(say(note, language) for note in notes))


def rankings_sheet(rankings: pd.DataFrame, language: str) -> Sheet:
    """Show the ranking of each territory. One row per territory, sector, type of action and level."""
    rows = titled(rankings.sort_values(["territory", "rank"], kind="stable", ignore_index=True), language)
    rows = rows.assign(
        reasons=told(rows["reasons"], language),
        caveats=told(rows["caveats"], language, most=_CAVEATS_TOLD),
        grade=graded(rows["grade"], language),
    ).rename(columns={"value": "worth"})
    notes = tuple(say(f"notes_{part}", language) for part in ("caveats", "emerging"))
    return longest(Sheet("rankings", rows[list(_RANKING)], notes=notes), language)


def forecasts_sheet(forecasts: pd.DataFrame, language: str) -> Sheet:
    """Show needs by occupation in the bassins, the largest first. One row per bassin, occupation and year."""
    sums = ["need", "need_low", "need_high", "value", "seasonal"]
    bassins = forecasts[forecasts["territory"].str.startswith("BE")]
    rows = titled(_by_year(bassins, ["territory", "occupation"], sums), language).rename(columns={"value": "positions"})
    rows = rows.sort_values(["need", "territory", "occupation", "period"], ascending=[False, True, True, True])
    return longest(Sheet("forecasts", rows[list(_OCCUPATIONS)], notes=(say("notes_year", language),)), language)


def sector_needs_sheet(sector_needs: pd.DataFrame, language: str) -> Sheet:
    """Show needs by sector, the largest gap first. One row per territory, sector, level and year."""
    sums = ["value", "low", "high", "need", "supply", "under_way", "training_solvable"]
    counted = sector_needs.assign(training_solvable=sector_needs["training_solvable"] * sector_needs["need"])
    rows = titled(_by_year(counted, ["territory", "sector", "level"], sums), language)
    rows = rows.rename(columns={"value": "gap", "low": "gap_low", "high": "gap_high"})
    rows = rows.sort_values(["gap", "territory", "sector", "level", "period"], ascending=[False, True, True, True, True])
    return longest(Sheet("sector_needs", rows[list(_SECTORS)], notes=(say("notes_year", language),)), language)


def outcomes_sheet(outcomes: pd.DataFrame, language: str) -> Sheet:
    """Show the rates from exit. One row per territory, sector, type, level, public, outcome and horizon."""
    rows = titled(outcomes, language).rename(columns={"value": "rate"})
    return longest(Sheet("outcomes", rows.assign(grade=graded(rows["grade"], language))[list(_OUTCOMES)]), language)


def effects_sheet(effects: pd.DataFrame, language: str) -> Sheet:
    """Show what courses add, types and everybody first. One row per sector, type, group, outcome and months."""
    whole = effects.assign(narrow=effects["sector"].ne("").astype(int) + effects["group"].ne("all"))
    rows = titled(whole.sort_values(["narrow", "action_type"], kind="stable", ignore_index=True), language)
    every = say("all_sectors", language)
    rows = rows.assign(
        sector_title=rows["sector_title"].where(rows["sector"] != "", every),
        group_title=worded(rows["group"], "group", language),
        doubts=listed(rows["lowered"], "doubt", language),
        grade=graded(rows["grade"], language),
    ).rename(columns={"value": "added", "horizon_months": "months_from_entry"})
    notes = tuple(say(f"notes_effects_{part}", language) for part in ("added", "bounds"))
    return longest(Sheet("effects", rows[list(_EFFECTS)], notes=notes), language)


def seat_costs_sheet(seats: pd.DataFrame, language: str) -> Sheet:
    """Show how far a seat gets and what each step costs. One row per sector, type and exit level."""
    rows = titled(seats, language)
    names = {f"{step}{unit}": f"seat_{step}{unit}" for step in STEPS for unit in ("", "_eur")}
    paid = rows["group_paid"].map({1: "group", 0: "trainee"})
    rows = rows.assign(paid_by=worded(paid.astype("str"), "paid_by", language)).rename(columns=names)
    return longest(Sheet("seat_costs", rows[list(_SEATS)], notes=(say("notes_seats", language),)), language)


def course_scores_sheet(scores: pd.DataFrame, language: str) -> Sheet:
    """Show what lots and providers added beside what was promised of their courses. One row per lot or provider, and type."""
    rows = titled(scores, language)
    rows = rows.assign(kind=worded(rows["kind"], "kind", language), grade=graded(rows["grade"], language))
    rows = rows.rename(columns={"value": "added"})[list(_SCORES)]
    return longest(Sheet("course_scores", rows, notes=(say("notes_scores", language),)), language)


def policies_sheet(policies: pd.DataFrame, language: str) -> Sheet:
    """Show what rules would have brought. One row per rule."""
    public = policies["policy"].str.removeprefix("public:")
    titles = [
        say("policy_public", language, public=say(f"public_{code}", language))
        if name != code
        else say(f"policy_{name}", language)
        for name, code in zip(policies["policy"], public, strict=True)
    ]
    rules = [_rule_in_words(text, language) for text in policies["rule"].fillna("")]
    written = {"policy_title": titles, "rule": rules}
    rows = policies.assign(**{name: pd.Series(texts, index=policies.index, dtype="str") for name, texts in written.items()})
    names = {"value": "brought", "places": "trained", "cost": "cost_jobs"}
    return Sheet("policies", rows.rename(columns=names)[list(_POLICIES)], notes=(say("notes_policies", language),))


def _rule_in_words(rule: str, language: str) -> str:
    """Write a tree in words: ``level <= 3 → certification; level > 3 (or unknown) → `` becomes what a planner reads."""
    leaves = [leaf.partition(" → ") for leaf in rule.split("; ")] if rule else []
    told = []
    for conditions, _, action in leaves:
        asked = [_condition_in_words(one, language) for one in conditions.split(" & ") if one != EVERYONE]
        given = say(f"action_type_{action}", language) if action else say("policy_nobody", language)
        told.append(f"{', '.join(asked) or say('group_all', language)} → {given}")
    return " | ".join(told)


def _condition_in_words(condition: str, language: str) -> str:
    """Write one condition of a rule in words; numbers to three digits.

    >>> _condition_in_words("level > 3 (or unknown)", "fr"), _condition_in_words("not rsa", "fr")
    ('niveau > 3 (ou inconnu)', 'hors bénéficiaire du RSA')
    """
    if condition.startswith("not "):
        return say("trait_not", language, trait=say(f"trait_{condition.removeprefix('not ')}", language))
    name, *compared = condition.removesuffix(" (or unknown)").split(" ")
    words = [say(f"trait_{name}", language), *({"<=": "≤"}.get(part, part) for part in compared[:1])]
    words += [f"{float(limit):.3g}" for limit in compared[1:]]
    words += [f"({say('or_unknown', language)})"] if condition.endswith("(or unknown)") else []
    return " ".join(words)


def _by_year(frame: pd.DataFrame, key: list[str], sums: list[str]) -> pd.DataFrame:
    """Add up the months of each year, and count them; rows that add up to nothing go. One row per key and year."""
    yearly = frame.assign(period=frame["period"].str[:4]).groupby([*key, "period"], as_index=False)
    # Without ``min_count`` what is not estimated would add up to zero.
    added = yearly.agg(months=("period", "size")).assign(**yearly[sums].sum(min_count=1)[sums])
    return added[added[sums].abs().sum(axis=1) > 0]
