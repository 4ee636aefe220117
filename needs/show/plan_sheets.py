"""What the plan comes to: its sums, what it changes, whom it serves, how far it may be trusted, and what it assumes.

Money is added up in whole cents before it is shown in euros: the sums of the lots are those of the synthesis.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from features.vocabulary import PUBLICS
from needs.show.lot_sheets import complete_lots, lots_sheet
from needs.show.messages import messages, say
from needs.show.sheet import Sheet, graded, in_euros, longest, stable, worded
from needs.show.titles import titled, titles_of

_AXES = {
    "envelope": "envelope",
    "territory": "territory_title",
    "sector_group": "sector_group",
    "action_type": "action_type_title",
}
_SUMS = ["lots", "sessions", "places", "cost_cents", "allowance_cents", "expected_entries", "jobs"]
_SYNTHESIS = (
    *("axis", "group_named", "lots", "sessions", "places", "cost_eur", "allowance_eur", "total_eur", "expected_entries"),
    *("jobs", "cost_per_job_eur"),
)
_CHANGES = (
    *("territory_title", "sector_title", "action_type_title", "level", "change", "places_before", "places_planned"),
    *("places_difference", "cost_before_eur", "cost_planned_eur", "cost_difference_eur", "sector_group", "territory", "sector"),
)
_EQUITY = ("dimension", "group_named", "people", "people_share", "expected_entries", "entries_share", "ratio")
_DIMENSIONS = ("public", "sex", "territory")
_RELIABILITY = ("criterion", "class_named", "lots", "cost_eur", "cost_share", "jobs", "jobs_share")
_BORROWED, _APART = (0.2, 0.5, 0.8), (0.2, 0.5)  # where classes of the borrowed share and of disagreement begin


def plan_sheets(tables: Mapping[str, pd.DataFrame], exercise: int, language: str) -> list[Sheet]:
    """Give the sheets of the plan in their order: what is bought first, what it assumes last."""
    bought, left = (complete_lots(name, tables) for name in ("lots", "rejected_lots"))
    planned = bought[bought["exercise"] == exercise].reset_index(drop=True)
    return [
        lots_sheet("lots", bought, exercise, language),
        synthesis_sheet(planned, language),
        lots_sheet("rejected_lots", left, exercise, language),
        changes_sheet(tables["purchase_changes"], language),
        equity_sheet(tables["plan_equity"], language),
        reliability_sheet(planned, language),
        assumptions_sheet(tables["assumptions"], language),
    ]


def synthesis_sheet(lots: pd.DataFrame, language: str) -> Sheet:
    """Add up the complete lots. One row for the plan, then one per envelope, territory, sector group and type of action."""
    rows = titled(lots, language).rename(columns={"value": "jobs"}).assign(lots=1)
    rows = rows.assign(sector_group=rows["sector_group"].where(rows["sector_group"] != "", say("other_groups", language)))
    parts = [rows.assign(axis=say("axis_all", language), group_named="")]
    parts += [rows.assign(axis=say(f"axis_{axis}", language), group_named=rows[column]) for axis, column in _AXES.items()]
    sums = [part.groupby(["axis", "group_named"], as_index=False)[_SUMS].sum() for part in parts]
    ordered = [part.sort_values(["cost_cents", "group_named"], ascending=[False, True]) for part in sums]
    whole = pd.concat(ordered, ignore_index=True)
    cost = in_euros(whole["cost_cents"])
    whole = whole.assign(
        cost_eur=cost,
        allowance_eur=in_euros(whole["allowance_cents"]),
        total_eur=in_euros(whole["cost_cents"] + whole["allowance_cents"]),
        cost_per_job_eur=cost / whole["jobs"].where(whole["jobs"] > 0),
    )
    return Sheet("synthesis", whole[list(_SYNTHESIS)], notes=(say("notes_synthesis", language),))


def changes_sheet(changes: pd.DataFrame, language: str) -> Sheet:
    """Set the plan against the last purchase, the largest differences first. One row per territory, sector, type and level."""
    rows = titled(changes, language)
    rows = rows.assign(
        change=worded(rows["change"], "change", language),
        places_difference=rows["places"] - rows["places_before"],
        cost_before_eur=in_euros(rows["cents_before"]),
        cost_planned_eur=in_euros(rows["cost_cents"]),
        places_planned=rows["places"],
        cost_difference_eur=in_euros(rows["cost_cents"] - rows["cents_before"]),
    )
    key = ["territory", "sector", "action_type", "level"]
    rows = rows.assign(size=rows["cost_difference_eur"].abs()).sort_values(["size", *key], ascending=[False, *[True] * 4])
    known = rows[["exercise_before", "exercise"]].dropna()
    notes = [say("notes_changes_none", language)]
    if len(known):
        before, now = known.iloc[0]
        notes = [say("notes_changes", language, before=str(before), now=str(now))]
    totals = (
        "places_before",
        "places_planned",
        "places_difference",
        "cost_before_eur",
        "cost_planned_eur",
        "cost_difference_eur",
    )
    return longest(Sheet("changes", rows[list(_CHANGES)], totals, tuple(notes)), language)


def equity_sheet(equity: pd.DataFrame, language: str) -> Sheet:
    """Set who should enter against who looks for work. One row per dimension and group."""
    named = [
        str(titles_of("territory").get(group, group)) if dimension == "territory" else _named(dimension, group, language)
        for dimension, group in zip(equity["dimension"], equity["group"], strict=True)
    ]
    order = {group: place for place, group in enumerate(PUBLICS)}
    rows = equity.assign(
        group_named=pd.Series(named, index=equity.index, dtype="str"),
        first=equity["dimension"].map({name: place for place, name in enumerate(_DIMENSIONS)}),
        second=equity["group"].map(order).fillna(0),
    ).sort_values(["first", "second", "group_named"], kind="stable")
    rows = rows.assign(dimension=worded(rows["dimension"], "axis", language))
    return Sheet("equity", rows[list(_EQUITY)], notes=(say("notes_equity", language),))


def _named(dimension: str, group: str, language: str) -> str:
    return say(f"group_sex={group}" if dimension == "sex" else f"public_{group}", language)


def reliability_sheet(lots: pd.DataFrame, language: str) -> Sheet:
    """Add up lots and money by how far their estimates may be trusted. One row per criterion and class."""
    jobs = lots["value"].fillna(0.0)
    letters = lots["grade"].map({letter: place for place, letter in enumerate("ABCD")}).astype("float64")
    cases = {
        "grade": (graded(lots["grade"], language), letters),
        "borrowed": (_classes(lots["borrowed"], _BORROWED, language), lots["borrowed"]),
        "stability": (stable(lots["stability"], language), -lots["stability"]),
        "disagreement": (_classes(lots["disagreement"], _APART, language), lots["disagreement"]),
    }
    counted = pd.DataFrame({"lots": 1, "cost_cents": lots["cost_cents"].astype("int64"), "jobs": jobs}, index=lots.index)
    parts = [
        counted.assign(class_named=classes.where(classes != "", say("class_unknown", language)), first=order)
        .groupby("class_named", as_index=False)
        .agg(lots=("lots", "sum"), cost_cents=("cost_cents", "sum"), jobs=("jobs", "sum"), first=("first", "min"))
        .sort_values("first")
        .assign(criterion=say(f"criterion_{name}", language))
        for name, (classes, order) in cases.items()
    ]
    rows = pd.concat(parts, ignore_index=True)
    spent, expected = int(counted["cost_cents"].sum()), float(jobs.sum())
    rows = rows.assign(
        cost_eur=in_euros(rows["cost_cents"]),
        cost_share=rows["cost_cents"] / spent if spent else 0.0,
        jobs_share=rows["jobs"] / expected if expected else 0.0,
    )
    weak = float(jobs[lots["grade"] == "D"].sum()) / expected if expected else 0.0
    return Sheet("reliability", rows[list(_RELIABILITY)], notes=(say("notes_reliability", language, share=weak),))


def _classes(shares: pd.Series[float], begins: tuple[float, ...], language: str) -> pd.Series[str]:
    """Say between which limits each share lies; nothing where it is not known. Same rows."""
    texts = pd.Series("", index=shares.index, dtype="str")
    for low, high in zip((0.0, *begins), (*begins, None), strict=True):
        inside = (shares >= low) & ((shares < high) if high is not None else True)
        name = "class_from" if high is None else "class_below" if low == 0 else "class_between"
        texts = texts.mask(inside, say(name, language, low=low, high=high or 1.0))
    return texts


def assumptions_sheet(assumptions: pd.DataFrame, language: str) -> Sheet:
    """List what the plan holds under. One row per fact of the run, then one per parameter."""
    rows = assumptions.sort_values("line", kind="stable")
    rows = rows.assign(**{name: rows[name].fillna("") for name in ("value", "default", "unit", "meaning")})
    said = {name: f"param.{name.rpartition('.')[0] if _member(name) else name}" for name in rows["name"]}
    meanings = [
        say(said[name], language) if said[name] in messages() else meaning
        for name, meaning in zip(rows["name"], rows["meaning"], strict=True)
    ]
    rows = rows.assign(meaning=pd.Series(meanings, index=rows.index, dtype="str"), unit=worded(rows["unit"], "unit", language))
    names = {"name": "parameter"}
    return Sheet("assumptions", rows.rename(columns=names)[["parameter", "value", "default", "unit", "meaning"]])


def _member(name: str) -> bool:
    """Say whether a name is that of one envelope or one rule."""
    return name.startswith(("purchase.envelopes.", "purchase.rules."))
