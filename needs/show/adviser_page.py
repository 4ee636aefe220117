"""The adviser's page as text for a terminal, and as a page that stands alone: style in it, nothing fetched, all escaped."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

from needs.show.adviser import LABELS, Page
from needs.show.messages import say
from needs.show.report import page_environment

_WIDTH = 118
_LABEL = 25


def write_page(path: Path, page: Page, language: str) -> Path:
    """Write the page as HTML. Returns the file written."""
    template = page_environment(language).get_template("adviser.html.j2")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(template.render(page=page, labels=LABELS), encoding="utf-8")
    return path


def as_text(page: Page, language: str) -> str:
    """Lay the page out for a terminal."""
    return "\n".join(_lines(page, language))


def _lines(page: Page, language: str) -> Iterator[str]:
    """Write section after section; who objects reads one only."""
    yield from (page.heading, page.lede, page.advice)
    if page.refused:
        yield from ("", *page.refused, *page.rights, page.footer)
        return
    yield from _section("adviser.person", language)
    for label, value in page.facts:
        yield from _labelled(label, (value,))
    yield from _section("adviser.courses", language)
    yield from page.none
    for number, card in enumerate(page.cards, start=1):
        yield f"{number}. {card.title}"
        for label in LABELS:
            yield from _labelled(say(f"adviser.{label}", language), card.lines[label])
    if page.asked:
        yield from _section("adviser.asked", language)
        yield from (page.asked_title, *page.asked) if page.asked_title else page.asked
    yield from (*_section("adviser.changes", language), *page.changes)
    yield from _section("adviser.pathways", language)
    for title, steps in page.pathways:
        yield title
        for wait, step in steps:
            yield from _labelled(wait, (step,))
    yield from _section("adviser.targets", language)
    for cells in page.targets:
        need = say("adviser.labelled", language, label=page.targets_head[2], lines=cells[2])
        yield f"{cells[0]} ({cells[1]})"
        yield from (*_labelled("", (need,)), *_labelled("", (cells[3],)))
    yield from (*_section("adviser.skills", language), page.skills_lede, *page.skills)
    yield from (*_section("adviser.rights", language), *page.rights, page.footer)


def _section(code: str, language: str) -> tuple[str, str]:
    return "", say(code, language).upper()


def _labelled(label: str, lines: tuple[str, ...]) -> Iterator[str]:
    """Set lines beside their label, none wider than a terminal."""
    folded = textwrap.wrap(" · ".join(lines), _WIDTH - _LABEL) or [""]
    yield f"  {label:<{_LABEL}}{folded[0]}".rstrip()
    yield from (f"  {'':<{_LABEL}}{line}" for line in folded[1:])
