"""What is known of one territory and sector, as text for a terminal: each number with its formula, its parts and its files."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, groupby

import pandas as pd

from features.build import Features, build_features
from features.places import own_or_shipped
from features.tables import Tables
from features.vocabulary import InputError
from needs.home import Home
from needs.params import Params
from needs.run.cell import Cell, Figure, look_at
from needs.run.known import day_of
from needs.run.origins import Ground, by_file, find_rows
from needs.run.path import trace
from needs.run.progress import ticking
from needs.run.published_path import trace_published
from needs.run.shown import database_url
from needs.show.asked import read_asked
from needs.show.messages import say
from needs.show.published import open_current
from needs.show.titles import grade_title, titles_of
from needs.store.lake import newest_day, read_tables

PARTS_SHOWN, FEW_SHOWN, LINES_SHOWN = 10, 3, 15
FILES_SHOWN = 3
SMALLEST_SHOWN, SMALLEST_SHARE = 0.05, 0.0005  # what would be written 0,0 is told with the others
WIDTH = 100
_WHOLE = ("need", "published_need")  # of the others, the largest parts will do
_APART = ("seasonal", "border", "supply_reach")  # nothing is to be said of how there are none
_LISTED = {"rate": "rates", "skill": "skills", "novelty": "novelties"}
_TITLED = {"occupation": "occupation", "mean": "occupation", "share": "occupation", "bassin": "territory"}
_SHARES = ("bassin", "share", "grade")
_ESTIMATE = ("value", "low", "high", "n", "borrowed", "grade")
_DAY = {"fr": "%d/%m/%Y", "en": "%Y-%m-%d"}
_MONTH = {"fr": "%m/%Y", "en": "%Y-%m"}
_OF_PEOPLE = ("jobseekers", "trainings", "employment", "outcomes")


@dataclass(frozen=True)
class Found:
    """The figures of one cell, those that are published too, and the rows behind them by name."""

    cell: Cell
    figures: Sequence[Figure]
    published: Sequence[Figure]
    rows: Mapping[str, pd.DataFrame]


def tell_path(home: Home, params: Params, asked: Sequence[str | None], day: str | None = None) -> str:
    """Say what is known of ``asked`` (territory, sector and perhaps an exit level), and where every number comes from."""
    wanted = read_asked(*asked)
    if not newest_day(home.lake):
        return say("explain.lake_empty", params.show.language)
    as_of = day_of(home, day, datetime.now(UTC))
    with ticking("features"):
        known = read_tables(home.lake).known_at(as_of)
        features = build_features(known, as_of, params.features)
    return write_path(find_path(home, params, wanted, known, features), params)


def find_path(home: Home, params: Params, asked: tuple[str, str, str], known: Tables, features: Features) -> Found:
    """Take the figures of one cell out of what was built from the tables known, and find the rows behind them."""
    communes = own_or_shipped(known.territories)
    cell = look_at(asked, features, as_of=known.until, communes=communes)
    figures = trace(cell, features)
    ground = Ground(home.lake, known, communes, features.crosswalks, params.features)
    with ticking("files"):
        rows = find_rows(ground, cell, [name for figure in figures for name in figure.rows])
    return Found(cell, figures, _published(home, params, cell), rows)


def _published(home: Home, params: Params, cell: Cell) -> list[Figure]:
    """Take the current run apart where it stands on the same day; nothing of another day, or where there is none."""
    url = database_url(home, params)
    with suppress(InputError):  # a database that is not there, or holds no run, publishes nothing
        current = open_current(url)
        return trace_published(cell, current.engine, current.run_id) if current.as_of == cell.as_of else []
    return []


def write_path(found: Found, params: Params) -> str:
    """Write the page in the language of the parameters."""
    page = _Page(found.cell, params.show.language, params.features.privacy.smallest_cell)
    return "\n".join(line.rstrip() for line in page.write(found))


# The page ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Page:
    """The figures of one cell in one language; rows of fewer people than ``smallest`` are not counted aloud."""

    cell: Cell
    language: str
    smallest: int

    def write(self, found: Found) -> Iterator[str]:
        """Write the whole page. One text per line."""
        yield from self._head(found.figures[0])
        for figure in found.published:
            yield from self._figure(figure)
        if not found.published:
            yield from self._wrap(self.say("path.not_published" if self.cell.tells_bassins else "path.by_bassin"), 0)
        groups = [list(group) for _, group in groupby(found.figures, key=lambda figure: (figure.rows, figure.name in _LISTED))]
        for figures in groups:
            if figures[0].name in _LISTED:
                yield from self._listed(figures)
            else:
                yield from chain.from_iterable(map(self._figure, figures))
            if figures[0].rows:
                yield from self._sources(pd.concat([found.rows[name] for name in figures[0].rows], ignore_index=True))

    def say(self, code: str, **values: object) -> str:
        """Say one message in the language of the page."""
        return say(code, self.language, **values)

    def _head(self, need: Figure) -> Iterator[str]:
        cell = self.cell
        named = {"sector": cell.sector, "sector_title": self._title("sector", cell.sector)}
        named |= {"territory": cell.territory, "territory_title": self._title("territory", cell.territory)}
        yield self.say("path.head", **named)
        yield self.say("path.level", level=cell.level) if cell.level else self.say("path.levels")
        told = {
            "day": f"{cell.as_of:{_DAY[self.language]}}",
            "first": self._month(need.said["first"]),
            "last": self._month(need.said["last"]),
        }
        yield from self._wrap(self.say("path.as_of", **told), 0)
        if cell.links.empty:
            yield from self._wrap(self.say("path.no_links"), 0)

    def _figure(self, figure: Figure) -> Iterator[str]:
        """Write one figure: value, formula, parts. One text per line."""
        yield ""
        unknown = math.isnan(figure.value) or (figure.name == "hires" and figure.parts.empty)
        if unknown:
            yield from self._wrap(self.say(f"path.unknown_{figure.name}"), 0)
            return
        said = self._said(figure)
        yield from self._wrap(self.say(f"path.{figure.name}", **said), 0)
        if figure.value or figure.name not in _APART:
            yield from self._wrap(self.say(f"path.how_{figure.name}", **said), 2)
        yield from self._parts(figure.parts, PARTS_SHOWN if figure.name in _WHOLE else FEW_SHOWN)

    def _said(self, figure: Figure) -> dict[str, object]:
        """Give what the messages of a figure may say, codes turned into words."""
        said = {**figure.said, **{name: getattr(figure, name) for name in _ESTIMATE}}
        said |= {name: self._month(said[name]) for name in ("first", "last") if name in said}
        for name, word in (("grains", "grain"), ("reasons", "lowered")):
            if name in said:
                listed = [str(each) for each in _listed(said[name])] or [""]
                said[name] = ", ".join(self.say(f"{word}_{each}") for each in listed)
        return said

    def _listed(self, figures: Sequence[Figure]) -> Iterator[str]:
        """Write figures that take a line each, under one heading. One text per line."""
        for name, group in groupby(figures, key=lambda figure: figure.name):
            own = list(group)
            yield ""
            yield self.say(f"path.{_LISTED[name]}")
            for figure in own[:LINES_SHOWN]:
                yield from self._wrap(self._line(figure), 2)
            if len(own) > LINES_SHOWN:
                yield "  " + self.say(f"path.more_{_LISTED[name]}", count=len(own) - LINES_SHOWN)

    def _line(self, figure: Figure) -> str:
        """Write one figure on a line."""
        said = self._said(figure)
        if figure.name == "rate":
            training = self.say("path.training_level" if said["level"] else "path.training", **said)
            step = "path.rate" if said["horizon_months"] else "path.rate_step"
            return self.say(step, **{**said, "training": training})
        if figure.name == "novelty":
            code, place = str(said.pop("code")), self._title("territory", str(said["territory"]))
            return self.say("path.novelty", **said, named=code, title=self._title("occupation", code), place=place)
        return self.say(f"path.{figure.name}", **said)

    def _parts(self, parts: pd.DataFrame, most: int) -> Iterator[str]:
        """Write the largest parts, and how much the others are. One text per line."""
        if parts.empty:
            return
        noun = str(parts["noun"].iloc[0])
        smallest = SMALLEST_SHARE if noun in _SHARES else SMALLEST_SHOWN
        shown = parts[parts["value"].abs() >= smallest].head(most if noun in _TITLED else len(parts))
        for part in shown.to_dict("records"):
            code = str(part["code"])
            title = self._title(_TITLED[noun], code) if noun in _TITLED else ""
            named = {"period": self._month, "grade": self._grade}.get(noun, str)(code)
            numbers = {name: float(part[name]) for name in ("value", "whole", "weight", "n")}
            yield "    " + self.say(f"path.part_{noun}", named=named, title=title, **numbers)
        rest = parts.drop(index=shown.index)
        if len(rest):
            yield "    " + self.say(f"path.more_{noun}", count=len(rest), value=float(rest["value"].sum()))

    def _grade(self, code: str) -> str:
        return grade_title(code, self.language)

    def _sources(self, found: pd.DataFrame) -> Iterator[str]:
        """Write which files the rows behind some figures were read in. One text per line."""
        for source, files in by_file(found).groupby("source", sort=False):
            people = source in _OF_PEOPLE
            rows = int(files["rows"].sum())
            if people:  # in the same steps wherever they are told, so that no difference tells of a person
                rows = self.smallest * round(rows / self.smallest)
            days = self._days(pd.concat([files["since"], files["until"]]), people=people)
            few = people and rows < self.smallest
            told = self.say("path.few_rows", count=self.smallest) if few else self._rows(rows)
            told = self.say("path.about", rows=told) if people and not few else told
            yield "  " + self.say("path.source", source=source, rows=told, days=days)
            if not people and (files["file"] != "").all():
                yield from self._counted(files)
            else:
                yield from self._named(str(source), files["file"])

    def _counted(self, files: pd.DataFrame) -> Iterator[str]:
        """Write the files that most rows were read in, with the first of their lines. One text per line."""
        for file in files.head(FILES_SHOWN).to_dict("records"):
            lines = ", ".join(map(str, file["lines"])) + ("…" if len(file["lines"]) < file["rows"] else "")
            said = {"file": file["file"], "rows": self._rows(int(file["rows"])), "lines": lines}
            yield from self._wrap(self.say("path.file", **said), 6)
        rest = files.iloc[FILES_SHOWN:]
        if len(rest):
            yield "      " + self.say("path.more_files", count=len(rest), rows=self._rows(int(rest["rows"].sum())))

    def _named(self, source: str, files: pd.Series[str]) -> Iterator[str]:
        """Name the files only: which of them holds how many people is nobody's to know. One text per line."""
        known = sorted(files[files != ""])
        if len(known) < len(files):
            yield from self._wrap(self.say("path.unknown_file", named=source), 6)
        if known:
            more = self.say("path.more_names", count=len(known) - FILES_SHOWN) if len(known) > FILES_SHOWN else ""
            yield from self._wrap(", ".join(known[:FILES_SHOWN]) + more, 6)

    def _rows(self, rows: int) -> str:
        return self.say("path.one_row") if rows == 1 else self.say("path.rows", count=rows)

    def _days(self, days: pd.Series[pd.Timestamp], *, people: bool) -> str:
        """Write between which days some rows became known; of people, only a day that is the same for all."""
        known = [f"{day:{_DAY[self.language]}}" for day in days.dropna().sort_values()]
        if not known or (people and known[0] != known[-1]):
            return ""
        if known[0] == known[-1]:
            return self.say("path.known_on", day=known[0])
        return self.say("path.known_between", first=known[0], last=known[-1])

    def _month(self, period: object) -> str:
        return f"{pd.Period(str(period), 'M').to_timestamp():{_MONTH[self.language]}}" if period else ""

    def _title(self, noun: str, code: str) -> str:
        return str(titles_of(noun).get(code, code))

    def _wrap(self, text: str, indent: int) -> list[str]:
        margin = " " * indent
        return textwrap.wrap(text, WIDTH, initial_indent=margin, subsequent_indent=margin + "  ", break_on_hyphens=False)


def _listed(told: object) -> Sequence[object]:
    """Give what a list, or a text of words joined by commas, holds."""
    return told.split(", ") if isinstance(told, str) else list(told) if isinstance(told, tuple) else []
