"""Exports: the purchase plan as a workbook and as CSV, recommendations and forecasts as Parquet, the ranking as CSV.

Every file is the same, byte for byte, for the same published tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from models.seat_costs import STEPS
from needs.show.figures import safe_cell
from needs.show.lessons_sheet import KINDS, decisions_sheet, lessons_sheet
from needs.show.messages import say
from needs.show.sheet import Sheet, without_empty_columns
from needs.show.sheets import sheets_of
from needs.store.schema import conform, conform_parts, empty

_AT_ONCE = 2**18  # rows of a Parquet file
_CREATED = datetime(2020, 1, 1)  # fixed, so that the same plan gives the same bytes
_SHOWN = (
    *("digest", "lots", "rejected_lots", "lot_details", "purchase_changes", "plan_equity", "assumptions", "rankings"),
    *("sector_needs", "forecasts", "outcomes", "effects", "seat_costs", "course_scores", "policies", "lessons", "decisions"),
)
_NUMBERS = {
    "count": "#,##0",
    "tenth": "#,##0.0",
    "thousandth": "0.000",
    "euros": '#,##0\u00a0"€"',
    "cents": '#,##0.00\u00a0"€"',
    "share": "0\u00a0%",
    "part": "0.0\u00a0%",
    "ratio": "0.00",
}
_KINDS = {
    **dict.fromkeys(("places", "places_max", "sessions", "group_min", "group_max", "hours", "n", "rank", "months"), "count"),
    **dict.fromkeys(("horizon_months", "emerging_rank"), "count"),
    **dict.fromkeys(
        ("jobs", "jobs_low", "jobs_high", "expected_entries", "positions", "seasonal", "need", "need_low"), "tenth"
    ),
    **dict.fromkeys(("need_high", "gap", "gap_low", "gap_high", "supply", "under_way", "training_solvable"), "tenth"),
    **dict.fromkeys(("cost_eur", "cost_per_place_eur", "allowance_eur", "cost_per_job_eur", "tipping_point"), "euros"),
    **dict.fromkeys(("worth", "marginal_worth", "low", "high"), "thousandth"),
    **dict.fromkeys(("borrowed", "stability", "infructueux_risk", "disagreement", "rate", "raw_rate", "overlap"), "share"),
    "emerging": "share",
    **dict.fromkeys(
        ("added", "brought", "applicants", "applicants_low", "applicants_high", "bound_low", "bound_high"), "thousandth"
    ),
    **dict.fromkeys(("robustness", "promised", "cost_jobs", "trained"), "thousandth"),
    **{f"{name}{end}": "thousandth" for name in ("net", "gain") for end in ("", "_low", "_high")},
    **dict.fromkeys(("months_from_entry", "n_effective"), "count"),
    **dict.fromkeys(("place_eur", "seat_eur", "cost_from_eur", "cost_to_eur"), "euros"),
    **dict.fromkeys(("sessions_from", "sessions_to", "places_from", "places_to"), "count"),
    **dict.fromkeys(("jobs_from", "jobs_to"), "tenth"),
    **dict.fromkeys(("lots", "firm_places", "option_places", "past_places", "past_entries", "past_n", "people"), "count"),
    **dict.fromkeys(("places_before", "places_difference", "trainee_hours", "renewals"), "count"),
    **dict.fromkeys(("centre_hours", "company_hours", "remote_hours", "weekly_hours"), "tenth"),
    **dict.fromkeys(("group_hour_eur", "trainee_hour_eur"), "cents"),
    **dict.fromkeys(("teaching_eur", "annex_eur", "total_eur", "cost_before_eur", "cost_difference_eur"), "euros"),
    **dict.fromkeys(("quota", "past_fill", "past_dropout", "past_certified", "past_work", "past_aimed"), "share"),
    **dict.fromkeys(("people_share", "entries_share", "cost_share", "jobs_share"), "part"),
    **dict.fromkeys(("effect", "effect_low", "effect_high"), "thousandth"),
    **dict.fromkeys(("lot_need", "lot_need_low", "lot_need_high"), "tenth"),
    **{"places_planned": "count", "cost_planned_eur": "euros", "ratio": "ratio"},
    **{f"seat_{step}": "thousandth" for step in STEPS},
    **{f"seat_{step}_eur": "euros" for step in STEPS},
    **KINDS,
}
# A number below zero that its format would show as "-0".
_SHOWN_AS_ZERO = {
    **{"count": 0.5, "tenth": 0.05, "thousandth": 0.0005, "euros": 0.5, "cents": 0.005},
    **{"share": 0.005, "part": 0.0005, "ratio": 0.005},
}
_HEADER_ROW = 2
_FROZEN_COLUMNS = 2
_A3, _A4 = 8, 9
_LINE_POINTS = 15
_WIDTH = 30
_WIDTHS = {
    "message": 100,
    **dict.fromkeys(("certification_title", "occupation_title", "reasons", "caveats"), 44),
    **dict.fromkeys(("formacode_title", "sector_title"), 38),
    **dict.fromkeys(("skills", "meaning", "occupations", "families"), 60),
    **dict.fromkeys(("value", "publics"), 44),
}


def write_exports(folder: Path, exercise: int, tables: Mapping[str, pd.DataFrame], language: str) -> list[Path]:
    """Write what planners and other programs take from a published run. Returns the files written."""
    folder.mkdir(parents=True, exist_ok=True)
    shown = {name: conform(name, tables[name]) if name in tables else empty(name) for name in _SHOWN}
    past = [lessons_sheet(shown["lessons"], language), decisions_sheet(shown["decisions"], language)]
    sheets = [*sheets_of(shown, exercise, language), *past]
    named = {sheet.name: sheet for sheet in sheets}
    return [
        _write_workbook(folder / f"plan_{exercise}.xlsx", sheets, exercise, language),
        write_csv(folder / f"plan_{exercise}.csv", named["lots"].rows, language),
        write_csv(folder / "rankings.csv", named["rankings"].rows, language),
        *(_write_parquet(folder, name, tables.get(name, empty(name))) for name in ("recommendations", "forecasts")),
    ]


def _write_parquet(folder: Path, name: str, frame: pd.DataFrame) -> Path:
    """Write a published table, some rows at a time."""
    path, conformed = folder / f"{name}.parquet", conform_parts(name, frame, _AT_ONCE)
    parts = (pa.Table.from_pandas(part, preserve_index=False) for part in conformed)
    first = next(parts)
    with pq.ParquetWriter(path, first.schema, compression="zstd") as file:
        for part in chain([first], parts):
            file.write_table(part.cast(first.schema))
    return path


def write_csv(path: Path, rows: pd.DataFrame, language: str) -> Path:
    """Write rows as a spreadsheet of that language reads them, titles as headers and no text that becomes a formula."""
    texts = {str(name): rows[name].fillna("").map(safe_cell) for name in rows if name not in _KINDS}
    titles = {str(name): say(f"column_{name}", language) for name in rows}
    rows.assign(**texts).round(4).rename(columns=titles).to_csv(
        path, sep=";", decimal="," if language == "fr" else ".", index=False, encoding="utf-8-sig", lineterminator="\r\n"
    )
    return path


def _write_workbook(path: Path, sheets: list[Sheet], exercise: int, language: str) -> Path:
    options = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(path, options) as book:
        book.set_properties({"title": say("title_lots", language, exercise=exercise), "created": _CREATED})
        styles = _styles(book)
        for sheet in map(without_empty_columns, sheets):
            page = book.add_worksheet(say(f"sheet_{sheet.name}", language))
            page.write_string(0, 0, _title(sheet, exercise, language), styles["title"])
            _write_rows(page, sheet, styles, language)
            _write_notes(page, sheet, styles, language)
            _set_print(page, sheet)
    return path


def _title(sheet: Sheet, exercise: int, language: str) -> str:
    """Say the title of a sheet; the notes of one whose columns are named in groups stand beside it."""
    title = say(f"title_{sheet.name}", language, exercise=exercise)
    return " · ".join([title, *sheet.notes]) if sheet.bands else title


def _styles(book: xlsxwriter.Workbook) -> dict[str, Format]:
    look = {"font_name": "Calibri", "font_size": 10, "valign": "top"}
    head = {
        **look,
        "bold": True,
        "font_color": "#FFFFFF",
        "bg_color": "#1F3A5F",
        "text_wrap": True,
        "valign": "vcenter",
        "border": 1,
    }
    total = {**look, "bold": True, "top": 2, "bg_color": "#E8EEF5"}
    return {
        "title": book.add_format({**look, "bold": True, "font_size": 15, "font_color": "#1F3A5F"}),
        "head": book.add_format(head),
        "band": book.add_format({**look, "bold": True, "font_color": "#1F3A5F", "bottom": 2, "bg_color": "#E8EEF5"}),
        "note": book.add_format({**look, "italic": True, "font_color": "#444444", "text_wrap": True}),
        "hint": book.add_format({**look, "italic": True, "font_color": "#444444"}),
        "note_heading": book.add_format({**look, "bold": True, "font_size": 12, "font_color": "#1F3A5F"}),
        "text": book.add_format({**look, "text_wrap": True, "indent": 1}),
        **{kind: book.add_format({**look, "num_format": number}) for kind, number in _NUMBERS.items()},
        "total_text": book.add_format(total),
        **{f"total_{kind}": book.add_format({**total, "num_format": number}) for kind, number in _NUMBERS.items()},
    }


def _write_rows(page: Worksheet, sheet: Sheet, styles: dict[str, Format], language: str) -> None:
    """Write the header, the rows and the totals, one column after the other."""
    first, last = _HEADER_ROW + 1, _HEADER_ROW + len(sheet.rows)
    page.set_row(_HEADER_ROW, 45)
    for column, name in enumerate(sheet.rows):
        kind = _KINDS.get(str(name), "text")
        heading = say(f"column_{name}", language)
        page.write_string(_HEADER_ROW, column, heading, styles["head"])
        page.set_column(column, column, _width(sheet.rows[name], str(name), kind, heading))
        _write_cells(page, sheet.rows[name], (first, column), kind, styles[kind])
        if sheet.totals:
            _write_total(page, sheet, (last + 1, column), styles, language)
    for row, lines in _wrapped(sheet.rows):
        page.set_row(first + row, _LINE_POINTS * lines)
    if sheet.rows.empty:
        page.write_string(first, 0, say("nothing", language), styles["note"])
    else:
        page.autofilter(_HEADER_ROW, 0, last, len(sheet.rows.columns) - 1)
    page.freeze_panes(first, _FROZEN_COLUMNS if len(sheet.rows.columns) > _FROZEN_COLUMNS * 3 else 0)


def _wrapped(rows: pd.DataFrame) -> list[tuple[int, int]]:
    """List the rows whose longest text takes more than one line, with their lines: not every reader fits heights itself."""
    names = [str(name) for name in rows if name not in _KINDS] if len(rows) else []
    lines = {name: rows[name].fillna("").str.len() / _WIDTHS.get(name, _WIDTH) for name in names}
    most = np.ceil(pd.DataFrame(lines, index=rows.index).max(axis=1)).tolist() if lines else []
    return [(row, int(count)) for row, count in enumerate(most) if count > 1]


def _write_cells(page: Worksheet, cells: pd.Series, corner: tuple[int, int], kind: str, style: Format) -> None:
    first, column = corner
    known = cells.notna().tolist()
    for row, (value, there) in enumerate(zip(cells.tolist(), known, strict=True), start=first):
        if kind == "text":
            if there and value:
                page.write_string(row, column, str(value), style)
        elif there:
            page.write_number(row, column, 0.0 if -_SHOWN_AS_ZERO.get(kind, 0.0) < value < 0 else value, style)


def _write_total(page: Worksheet, sheet: Sheet, corner: tuple[int, int], styles: dict[str, Format], language: str) -> None:
    """Add up a column that adds up; the formula follows the filters, the value is there for who does not calculate."""
    row, column = corner
    name = str(sheet.rows.columns[column])
    if name in sheet.totals and len(sheet.rows):
        letter = xlsxwriter.utility.xl_col_to_name(column)
        formula = f"=SUBTOTAL(109,{letter}{_HEADER_ROW + 2}:{letter}{row})"
        page.write_formula(row, column, formula, styles[f"total_{_KINDS[name]}"], float(sheet.rows[name].sum()))
    else:
        page.write_string(row, column, say("column_total", language) if column == 0 else "", styles["total_text"])


def _write_notes(page: Worksheet, sheet: Sheet, styles: dict[str, Format], language: str) -> None:
    if sheet.bands:
        _write_bands(page, sheet, styles, language)
        return
    if sheet.name != "digest":
        page.write_string(1, 0, " ".join(sheet.notes), styles["hint"])
        return
    row = _HEADER_ROW + max(len(sheet.rows), 1) + 2
    page.write_string(row, 0, say("notes_heading", language), styles["note_heading"])
    for place, note in enumerate(sheet.notes, start=row + 1):
        page.merge_range(place, 0, place, 2, note, styles["note"])
        page.set_row(place, 28)


def _write_bands(page: Worksheet, sheet: Sheet, styles: dict[str, Format], language: str) -> None:
    """Name the groups of columns above their headers, where each group begins."""
    bands = [sheet.bands[str(name)] for name in sheet.rows]
    for column, band in enumerate(bands):
        begins = column == 0 or band != bands[column - 1]
        page.write_string(1, column, say(f"band_{band}", language) if begins else "", styles["band"])


def _width(cells: pd.Series, name: str, kind: str, heading: str) -> float:
    if kind != "text":
        return 13
    longest = int(cells.fillna("").str.len().max()) if len(cells) else 0
    return min(max(longest + 2, len(max(heading.split(), key=len)) + 3, 9), _WIDTHS.get(name, _WIDTH))


def _set_print(page: Worksheet, sheet: Sheet) -> None:
    page.set_landscape()
    page.set_paper(_A3 if sheet.pages > 1 else _A4)
    page.fit_to_pages(sheet.pages, 0)
    page.repeat_rows(_HEADER_ROW - 1, _HEADER_ROW)
    if sheet.pages > 1:
        page.repeat_columns(0)
    page.set_footer("&L&A&R&P / &N")
