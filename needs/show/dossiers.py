"""One file per Maison de la Région and one for the regional committee: what is proposed there, and what they are asked.

Each stands alone, prints, and saves its answers as rows of ``signals`` (docs/formats.md), which the next run reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from features.tables import SIGNALS
from features.vocabulary import REGION
from needs.show.messages import say
from needs.show.report import DAYS, page_environment, shown_tables
from needs.show.report_pages import cells_of, maison_of
from needs.show.report_parts import part_of
from needs.show.sheet import graded
from needs.show.titles import region_title, titled, titles_of
from needs.store.publish import Run

FOLDER = "dossiers"
OPINIONS = ("none", "-2", "-1", "0", "1", "2")
AUTHORS = ("maison_region", "comite", "branche", "employeur", "organisme", "autre")
_NEEDS_ASKED, _LOTS_ASKED, _LOTS_SHOWN = 8, 12, 40
_COMMITTEE = "comite"
_WEAKEST = "D"
_NEEDS = (
    "sector_title",
    "territory_title",
    "need",
    "need_low",
    "need_high",
    "supply",
    "under_way",
    "gap",
    "gap_low",
    "gap_high",
)
_LOTS = (
    "formacode_title",
    "action_type_title",
    "territory_title",
    "places",
    "cost_eur",
    "jobs",
    "jobs_low",
    "jobs_high",
    "confidence",
)


class Question(NamedTuple):
    """One thing that is asked: of which territory and code, in which nomenclature, and what is written of it."""

    kind: str
    territory: str
    nomenclature: str
    code: str
    asked: str
    written: str


class Area(NamedTuple):
    """Whom a dossier is for: its name, the bassins it speaks of, and the name of their Region."""

    code: str
    title: str
    bassins: tuple[str, ...]
    region: str


def write_dossiers(folder: Path, run: Run, tables: Mapping[str, pd.DataFrame], language: str) -> list[Path]:
    """Write the dossiers of a run. Returns the files, those of the Maisons in their order, then that of the committee."""
    shown = shown_tables(tables)
    cells, lots = _needs(shown, language), _lots(shown, language)
    template = page_environment(language).get_template("dossier.html.j2")
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for area in _areas(region_title(shown["forecasts"]["territory"]), language):
        path = folder / f"{area.code}.html"
        path.write_text(template.render(_told(area, cells, lots, run, language)), encoding="utf-8")
        written.append(path)
    return written


def _areas(region: str, language: str) -> Iterator[Area]:
    """List whom dossiers are for."""
    houses = pd.Series(maison_of())
    titles = titles_of("territory")
    for code, own in houses.groupby(houses):
        yield Area(str(code), f"Maison de la Région {titles[str(code)]}", tuple(sorted(map(str, own.index))), region)
    yield Area(_COMMITTEE, say("dossier_committee", language), tuple(sorted(map(str, houses.index))), region)


def _needs(tables: Mapping[str, pd.DataFrame], language: str) -> pd.DataFrame:
    """Give the needs that are not answered, the largest first. One row per territory and sector."""
    cells = titled(cells_of(tables, language), language)
    return cells[cells["gap"] > 0].sort_values(["gap", "territory", "sector"], ascending=[False, True, True], ignore_index=True)


def _lots(tables: Mapping[str, pd.DataFrame], language: str) -> pd.DataFrame:
    """Give the lots of the plan, the dearest first. One row per lot."""
    lots = titled(tables["lots"], language).rename(columns={"value": "jobs", "low": "jobs_low", "high": "jobs_high"})
    lots = lots.assign(cost_eur=lots["cost_cents"].astype("float64") / 100, confidence=graded(lots["grade"], language))
    return lots.sort_values(["cost_cents", "lot_id"], ascending=[False, True], ignore_index=True)


def _told(area: Area, cells: pd.DataFrame, lots: pd.DataFrame, run: Run, language: str) -> dict[str, object]:
    """Gather what a dossier shows, under the names of its template."""
    needs = cells[cells["territory"].isin(area.bassins)].head(_NEEDS_ASKED * 2)
    own = lots[lots["territory"].isin(area.bassins)]
    day = run.as_of.strftime(DAYS[language])
    return {
        "title": say("dossier_title", language, name=area.title),
        "lede": say("dossier_lede", language, region=area.region, as_of=day),
        "needs": part_of("needs", needs, _NEEDS, language),
        "lots": part_of("lots", own.head(_LOTS_SHOWN), _LOTS, language),
        "uncertain": say("dossier_uncertain", language, weak=int((own["grade"] == _WEAKEST).sum()), lots=len(own)),
        "questions": list(_questions(needs, own, language)),
        "places": _places(area),
        "opinions": OPINIONS,
        "authors": AUTHORS,
        "headers": ";".join(column.header or column.name for column in SIGNALS.columns),
        "file": f"signals_{area.code}_{run.run_id}.csv",
        "footer": say(
            "footer_run", language, run_id=run.run_id, as_of=day, code_version=run.code_version,
            params=run.params_sha256[:8], data=run.data_sha256[:8],
        ),
    }  # fmt: skip


def _places(area: Area) -> list[tuple[str, str, str]]:
    """List where another need may be told of: kind, code, title."""
    titles = titles_of("territory")
    region = [("R", REGION[1:], area.region)] if area.code == _COMMITTEE else []
    return [*region, *(("BE", code[2:], str(titles.get(code, code))) for code in area.bassins)]


def _questions(needs: pd.DataFrame, lots: pd.DataFrame, language: str) -> Iterator[Question]:
    """Ask of the largest gaps, then of the dearest trainings; of each training in a bassin once."""
    for row in needs.head(_NEEDS_ASKED).to_dict("records"):
        asked = say("asked_need", language, title=row["sector_title"], place=row["territory_title"])
        written = say("told_gap", language, gap=row["gap"], low=row["gap_low"], high=row["gap_high"])
        yield Question("BE", row["territory"][2:], "SECTEUR", row["sector"], asked, written)
    groups = lots.groupby(["territory", "formacode"], as_index=False, sort=False)
    sums = groups.agg(places=("places", "sum"), title=("formacode_title", "first"), place=("territory_title", "first"))
    for row in sums.head(_LOTS_ASKED).to_dict("records"):
        asked = say("asked_lot", language, title=row["title"], place=row["place"])
        yield Question(
            "BE", row["territory"][2:], "FORMACODE", row["formacode"], asked, say("told_places", language, places=row["places"])
        )
