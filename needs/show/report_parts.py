"""The tables that the report carries in its text: each with its headers, its cells in words, and which columns are numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from models.pathways import ARROW
from needs.show import figures
from needs.show.lessons_sheet import decisions_sheet, lessons_sheet
from needs.show.messages import LANGUAGES, messages, say
from needs.show.plan_sheets import assumptions_sheet, changes_sheet, equity_sheet
from needs.show.sheet import Sheet
from needs.show.titles import titled

_CHANGES_SHOWN, _LESSONS_SHOWN = 15, 20
_SHARES = ("people_share", "entries_share", "fill", "fill_predicted", "completion", "completion_predicted", "certified")
_TENTHS = ("jobs", "jobs_predicted", "jobs_added", "jobs_low", "jobs_high", "ratio", "expected_entries", "jobs_free")
_CHANGES = ("territory_title", "sector_title", "action_type_title", "level", "change", "places_before", "places_planned")
_LESSONS = (
    *(
        "formacode_title",
        "territory_title",
        "exercise",
        "bids",
        "bought",
        "entries",
        "fill_predicted",
        "fill",
        "completion_predicted",
    ),
    *("completion", "jobs_predicted", "jobs_added", "jobs_low", "jobs_high", "jobs_apart"),
)
_EQUITY = ("dimension", "group_named", "people", "people_share", "entries_share", "ratio")
_MEASURES = ("served", "coverage", "expected_gain", "distance_km", "unfilled_share", "overload_share")
_SMALLEST = 5  # people: fewer are never counted apart on a page that is mailed
_ANSWERS: Mapping[str, tuple[str, ...]] = {
    "employment": ("effect_assumed", "borrowed_effect", "effect_refused", "effect_doubtful"),
    "trainings": ("effect_assumed", "borrowed_effect", "effect_refused", "effect_doubtful"),
    "offers": ("few_observations", "no_need_observed", "estimated_need"),
    "bmo": ("sources_disagree", "estimated_need", "no_need_observed"),
    "projections": ("sources_disagree",),
    "purchases": ("bidders_unlikely",),
}
"""Which doubts about a lot each file answers: longer or finer, it would put more observations behind the same figure."""
_ASKED = ("offers", "bmo", "catalogue", "jobseekers", "trainings", "employment", "purchases", "sessions")


class Part(NamedTuple):
    """A table of the page: its name, headers, which of them are numbers, rows of cells in words."""

    name: str
    heads: Sequence[str]
    numbers: frozenset[int]
    rows: Sequence[Sequence[str]]


def part_of(name: str, rows: pd.DataFrame, columns: Sequence[str], language: str) -> Part:
    """Write the columns of rows in words, under the headers of the workbook."""
    written = [
        [_written(str(column), cell, language) for column, cell in zip(columns, line, strict=True)]
        for line in _lines(rows, columns)
    ]
    numbers = frozenset(place for place, column in enumerate(columns) if pd.api.types.is_numeric_dtype(rows[column]))
    return Part(name, [say(f"column_{column}", language) for column in columns], numbers, written)


def _lines(rows: pd.DataFrame, columns: Sequence[str]) -> Iterator[tuple[object, ...]]:
    yield from zip(*(rows[column].astype(object) for column in columns), strict=True)


def _written(column: str, cell: object, language: str) -> str:
    """Write one cell: money in euros, shares in percent, jobs to a tenth, anything else whole."""
    if isinstance(cell, str):
        return cell
    if cell is None or pd.isna(cell):  # type: ignore[call-overload]
        return figures.UNKNOWN
    number = float(cell)  # type: ignore[arg-type]
    if column.endswith("_eur"):
        return figures.euros(round(number) * 100, language)
    if column in _SHARES:
        return figures.percent(number, language)
    return figures.count(number, language, 1 if column in _TENTHS else 0)


def parts_of(tables: Mapping[str, pd.DataFrame], language: str) -> dict[str, Part]:
    """Give the tables of the page, by name."""
    changes = changes_sheet(tables["purchase_changes"], language).rows.head(_CHANGES_SHOWN)
    lessons = _widest(lessons_sheet(tables["lessons"], language))
    assumed = assumptions_sheet(tables["assumptions"], language).rows
    moved = assumed[(assumed["default"] == "") | (assumed["value"] != assumed["default"])]
    decided = decisions_sheet(tables["decisions"], language).rows
    names = ("parameter", "value", "default", "meaning")
    return {
        "envelopes": envelopes_part(tables["lots"], language),
        "equity": part_of("equity", equity_sheet(tables["plan_equity"], language).rows, _EQUITY, language),
        "purchased": part_of("purchased", changes, (*_CHANGES, "cost_before_eur", "cost_planned_eur"), language),
        "lessons": part_of("lessons", lessons, _LESSONS, language),
        "decisions": part_of("decisions", decided, ("lot_id", "field", "author", "motive", "jobs", "jobs_free"), language),
        "orders": orders_part(tables["match_measures"], language),
        "assumed": part_of("assumed", moved, names, language),
        "all_assumed": part_of("all_assumed", assumed[~assumed.index.isin(moved.index)], names, language),
    }


def _widest(sheet: Sheet) -> pd.DataFrame:
    """Keep the lots that cost most. One row per lot."""
    return sheet.rows.sort_values("cost_eur", ascending=False, kind="stable").head(_LESSONS_SHOWN)


def envelopes_part(lots: pd.DataFrame, language: str) -> Part:
    """Add up the lots of each envelope."""
    sums = lots.groupby("envelope", as_index=False).agg(
        lots=("lot_id", "size"), places=("places", "sum"), cents=("cost_cents", "sum"), jobs=("value", "sum"),
        jobs_low=("low", "sum"), jobs_high=("high", "sum"),
    )  # fmt: skip
    rows = sums.assign(cost_eur=sums["cents"].astype("float64") / 100)
    return part_of("envelopes", rows, ("envelope", "lots", "places", "cost_eur", "jobs", "jobs_low", "jobs_high"), language)


def orders_part(measures: pd.DataFrame, language: str) -> Part:
    """Set proposals beside those of simple orders. One row per rule."""
    everybody = measures[(measures["group"] == "all") & measures["measure"].isin(_MEASURES)]
    wide = everybody.pivot_table(index="rule", columns="measure", values="value").reindex(columns=list(_MEASURES))
    ordered = wide.reindex(
        [*[name for name in ("matching",) if name in wide.index], *wide.index.drop("matching", errors="ignore")]
    )
    rows = [
        [say(f"order_{rule}", language) if f"order_{rule}" in messages() else str(rule), *_measured(line, language)]
        for rule, line in ordered.iterrows()
    ]
    heads = [say(f"measure_{name}", language) for name in ("rule", *_MEASURES)]
    return Part("orders", heads, frozenset(range(1, len(heads))), rows)


def _measured(line: pd.Series[float], language: str) -> list[str]:
    """Write the measures of a rule: kilometres whole, gains in points of a hundred, the others in percent."""
    written = {
        "distance_km": lambda value: figures.count(value, language, 1),
        "expected_gain": lambda value: figures.count(value * 100, language, 1),
    }
    return [
        written.get(str(name), lambda value: figures.percent(value, language))(float(value)) for name, value in line.items()
    ]


def pathways_of(recommendations: pd.DataFrame) -> dict[str, int]:
    """Count people by what is proposed to them first; fewer than five are not told apart. A count each."""
    first = recommendations.loc[recommendations["rank"] == 1, "pathway"].astype("str")
    counts = {"proposed": len(first), "several": int(first.str.contains(ARROW, regex=False, na=False).sum())}
    return {name: number for name, number in counts.items() if number >= _SMALLEST}


# Which file would narrow the plan most --------------------------------------------------------------------------------------


class Narrowing(NamedTuple):
    """A file, whether it is there, and the share of the uncertainty of the plan that lots it would answer for carry."""

    source: str
    there: bool
    share: float
    lots: int


def narrowing_of(tables: Mapping[str, pd.DataFrame]) -> list[Narrowing]:
    """Say which file would narrow the plan most, absent ones first among equals.

    Uncertainty is the sum over lots of the width of the interval of jobs; a file answers for the lots that carry a doubt it
    answers (``_ANSWERS``). It tells where uncertainty lies, not by how much the file would reduce it.
    """
    key = ["territory", "sector", "action_type", "level"]
    lots = tables["lots"].rename(columns={"exit_level": "level"}).assign(level=lambda t: t["level"].fillna(""))
    doubts = lots.merge(tables["rankings"][[*key, "caveats"]], on=key, how="left", validate="many_to_one")["caveats"].fillna("")
    widths = (lots["high"] - lots["low"]).clip(lower=0.0).fillna(0.0)
    whole, absent = float(widths.sum()), absent_sources(tables["digest"])
    found = []
    for source in dict.fromkeys((*absent, *_ANSWERS)):
        codes = _ANSWERS.get(source, ())
        own = doubts.apply(lambda text, codes=codes: any(f'"{code}"' in text for code in codes)).astype(bool)
        share = float(widths[own].sum()) / whole if whole else 0.0
        if share or source in absent:
            found.append(Narrowing(source, source not in absent, share, int(own.sum())))
    return sorted(found, key=lambda one: (-round(one.share, 6), one.there, one.source))


def absent_sources(digest: pd.DataFrame) -> list[str]:
    """List the sources that the digest says are missing, whatever its language."""
    said = set(digest.loc[digest["topic"] == "sources", "message"])
    return [
        source for source in _ASKED if said & {say("digest.sources.missing", language, source=source) for language in LANGUAGES}
    ]


def waves_of(tables: Mapping[str, pd.DataFrame], months: Sequence[str], language: str) -> list[tuple[str, float, list[float]]]:
    """Add up needs by contract sector, month by month, the largest first: name, need, months."""
    needs = titled(tables["sector_needs"], language)
    served = needs[needs["period"].isin(list(months))]
    wide = served.pivot_table(index="sector_group", columns="period", values="need", aggfunc="sum").reindex(
        columns=list(months)
    )
    rows = [
        (str(name) or say("other_groups", language), float(line.sum()), line.fillna(0).tolist())
        for name, line in wide.iterrows()
    ]
    return sorted(rows, key=lambda row: (-row[1], row[0]))
