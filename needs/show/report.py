"""One page that says what to buy first, where needs are and how far the figures may be trusted.

The page stands alone: style, drawings and the figures of every territory and sector are in it, nothing is fetched. What it
prints comes from the published tables of one run, what was observed before it and what changed since the run before; every text
is escaped. What needs no script comes from the template; the pages of territories and sectors are made in the browser.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from models.purchase import served_months
from needs.show import figures, summary
from needs.show.messages import say, tell
from needs.show.report_map import Bassin, Drawing, draw_map
from needs.show.report_pages import cells_of, pages_of, spell
from needs.show.report_parts import Narrowing, narrowing_of, parts_of, pathways_of, waves_of
from needs.show.sheets import jobs_note
from needs.show.titles import grade_title, region_title, titles_of
from needs.store.publish import Run
from needs.store.schema import conform, empty

_SHOWN = (
    *("lots", "rejected_lots", "lot_details", "purchase_changes", "plan_equity", "lessons", "decisions", "assumptions"),
    *("forecasts", "sector_needs", "rankings", "outcomes", "effects"),
    *("unmet", "match_measures", "digest"),
)
_MAPPED = 8  # bassins named on the map: those where most is missing
HISTORY = {"territory": "str", "sector": "str", "period": "str", "need": "float64"}
"""What was observed of the need of a sector in a territory, month by month."""
_HASH_SHOWN = 8
_WEAKEST = "D"
_SPARK_WIDTH, _SPARK_HEIGHT = 96, 22
_BAR_WIDTH = 100
DAYS = {"fr": "%d/%m/%Y", "en": "%Y-%m-%d"}
_MONTH = {"fr": "%m/%Y", "en": "%Y-%m"}


def write_report(
    path: Path,
    run: Run,
    tables: Mapping[str, pd.DataFrame],
    language: str,
    *,
    history: pd.DataFrame | None = None,
    changed: Sequence[str] = (),
) -> Path:
    """Write the page of a published run. Returns the file written.

    ``history`` has the columns of :data:`HISTORY`; ``changed`` says in words what changed since the run before.
    """
    shown = shown_tables(tables)
    past = history if history is not None else pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in HISTORY.items()})
    page = page_environment(language).get_template("report.html.j2")
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {**_figures(run, shown, language), **_parts(shown, past, language), "changed": list(changed)}
    told["pathways"] = pathways_of(tables.get("recommendations", empty("recommendations")))  # millions: counted as they are
    path.write_text(page.render(told), encoding="utf-8")
    return path


def shown_tables(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Bring the tables that the page shows to their published shape; those that are not there are empty. Rows as published."""
    return {name: conform(name, tables[name]) if name in tables else empty(name) for name in _SHOWN}


def page_environment(language: str) -> Environment:
    """Give what pages are made with: their templates, and how words and figures are written."""
    pages = Environment(
        loader=PackageLoader("needs", "show"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    pages.globals.update(
        say=lambda code, **values: say(code, language, **values),
        language=language,
        sparkline=sparkline,
        interval_line=interval_line,
        bar_width=_BAR_WIDTH,
    )
    pages.filters.update(
        money=lambda cents: figures.euros(round(cents / 100) * 100, language),
        whole_euros=lambda euros: figures.euros(round(euros) * 100, language),
        count=partial(figures.count, language=language),
        tenth=partial(figures.count, language=language, decimals=1),
        points=lambda share: figures.count(share * 100, language, decimals=1),
        percent=partial(figures.percent, language=language),
        grade=partial(grade_title, language=language),
        tell=partial(tell, language=language),
        territory=lambda code: str(titles_of("territory").get(code, code)),
    )
    return pages


def _figures(run: Run, tables: Mapping[str, pd.DataFrame], language: str) -> dict[str, object]:
    """Gather what the page shows, under the names of the template."""
    lots, digest = tables["lots"], tables["digest"]
    exercise = _exercise(lots, tables["rejected_lots"])
    forecasts = _served(tables["forecasts"], exercise)
    needs = summary.needs_by_territory(forecasts, lots, language)
    first = summary.first_lots(lots, tables["rankings"], language)
    return {
        "run": run,
        "hashes": (run.params_sha256[:_HASH_SHOWN], run.data_sha256[:_HASH_SHOWN]),
        "as_of": run.as_of.strftime(DAYS[language]),
        "region": region_title(tables["forecasts"]["territory"]),
        "exercise": exercise,
        "totals": summary.totals_of(lots),
        "first_lots": _rows(first),
        "weak": int((first["grade"] == _WEAKEST).sum()),
        "read_first": digest.loc[(digest["severity"] == "warning") & (digest["topic"] == "sources"), "message"].tolist(),
        "largest": float(first["high"].max()),
        "spending": {name: _spending(lots, name, language) for name in ("sector_group", "formacode_title", "territory_title")},
        "needs": _rows(needs),
        "needs_total": float(needs["need"].sum()),
        "months": _first_and_last(forecasts["period"], language),
        "added": _rows(summary.added_by_type(tables["effects"], language)),
        "nearly": _rows(summary.nearly_bought(tables["rejected_lots"], language)),
        "rejected": len(tables["rejected_lots"]),
        "unmet": _rows(summary.unmet_by_reason(tables["unmet"])),
        "grades": {
            "lots_short": summary.confidence(lots),
            "rankings_short": summary.confidence(tables["rankings"]),
        },
        "digest": [(*told, [line["message"] for line in lines]) for told, lines in groupby(_rows(digest), key=_heading)],
        "jobs_note": jobs_note(tables["effects"]),
    }


def _parts(tables: Mapping[str, pd.DataFrame], history: pd.DataFrame, language: str) -> dict[str, object]:
    """Gather the tables, drawings and pages of the report, under the names of the template."""
    digest = tables["digest"]
    months = _months(tables)
    cells = cells_of(tables, language)
    missing = cells.assign(gap=cells["gap"].clip(lower=0.0)).groupby("territory")["gap"].sum()
    gaps = {str(code): float(gap) for code, gap in missing.items()}
    drawing, narrowing = draw_map(gaps), narrowing_of(tables)
    told = {
        topic: digest.loc[digest["topic"] == topic, "message"].tolist() for topic in ("plan", "lessons", "forecasts", "models")
    }
    return {
        "parts": parts_of(tables, language),
        "rules": told["plan"],
        "taught": told["lessons"],
        "foreseen": [*told["forecasts"], *told["models"]],
        "warnings": int((digest["severity"] == "warning").sum()),
        "narrowing": narrowing,
        "narrowing_told": _tell_narrowing(narrowing, language),
        "drawing": drawing,
        "gaps": gaps,
        "pages_known": set(gaps),
        "largest_gaps": _largest(drawing, gaps),
        "waves": waves_of(tables, months, language),
        "pages": spell(pages_of(tables, history, months, language)),
    }


def _months(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """List the months that the exercise serves and that are forecast."""
    served = _served(tables["forecasts"], _exercise(tables["lots"], tables["rejected_lots"]))
    return sorted(served["period"].unique().tolist())


def _largest(drawing: Drawing, gaps: Mapping[str, float]) -> list[Bassin]:
    """Take the bassins where most is missing."""
    return sorted(drawing.bassins, key=lambda bassin: (-gaps.get(bassin.territory, 0.0), bassin.territory))[:_MAPPED]


def _tell_narrowing(found: Sequence[Narrowing], language: str) -> str:
    """Say which missing file would narrow the plan most; where none is missing, of which one more would."""
    absent = [one for one in found if not one.there]
    first = (absent or list(found))[:1]
    code = ("narrowing_missing" if first[0].share else "narrowing_unseen") if absent else "narrowing_more"
    return "".join(say(code, language, source=one.source, share=one.share) for one in first)


def _rows(frame: pd.DataFrame) -> list[dict[str, object]]:
    texts = {str(name): "" for name in frame.columns if frame[name].dtype == "str"}
    return [{str(name): value for name, value in row.items()} for row in frame.fillna(texts).to_dict("records")]


def _heading(line: Mapping[str, object]) -> tuple[object, object]:
    """Give what lines of the digest that follow each other may share."""
    return line["severity"], line["topic"]


def _spending(lots: pd.DataFrame, group: str, language: str) -> list[dict[str, object]]:
    spending = summary.spending_by(lots, group, language)
    return _rows(summary.gather_rest(spending, say("others", language, count=len(spending) - summary.GROUPS_SHOWN)))


def _exercise(lots: pd.DataFrame, rejected: pd.DataFrame) -> int | None:
    """Say which year is bought for; none when no lot was considered."""
    years = pd.concat([lots["exercise"], rejected["exercise"]])
    return int(years.min()) if len(years) else None


def _served(forecasts: pd.DataFrame, exercise: int | None) -> pd.DataFrame:
    """Keep the months that the exercise serves, the first twelve forecast when there is none. Same rows."""
    months = served_months(exercise) if exercise else sorted(forecasts["period"].unique())[:12]
    return forecasts[forecasts["period"].isin(months)]


def _first_and_last(periods: pd.Series[str], language: str) -> list[str]:
    """Write the first and the last month as the language does."""
    months = pd.PeriodIndex([periods.min(), periods.max()] if len(periods) else [], freq="M")
    return months.strftime(_MONTH[language]).tolist()


def sparkline(months: Sequence[float]) -> str:
    """Give the points of a line over months, for an SVG of 96 × 22, zero at the bottom.

    >>> sparkline([1.0, 2.0])
    '0.0,11.5 96.0,2.0'
    """
    top = max(months) or 1.0
    step = _SPARK_WIDTH / max(len(months) - 1, 1)
    height = _SPARK_HEIGHT - 3
    return " ".join(f"{place * step:.1f},{_SPARK_HEIGHT - 1 - height * month / top:.1f}" for place, month in enumerate(months))


def interval_line(low: float, value: float, high: float, largest: float) -> tuple[float, float, float]:
    """Give the places of an interval and its value on a line of 100, where ``largest`` is the end.

    >>> interval_line(1.0, 2.0, 4.0, 8.0)
    (12.5, 25.0, 50.0)
    """
    scale = _BAR_WIDTH / (largest or 1.0)
    return round(low * scale, 1), round(value * scale, 1), round(high * scale, 1)
