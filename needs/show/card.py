"""The card of a run: what its models are for, which data they stand on, how they fare, where they fail, and who decides.

It is both the model card and the data sheet that whoever answers for a system at high risk keeps (docs/data_protection.md).
Figures come from the run; what is always so comes from the table of messages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd

from needs.show import figures
from needs.show.messages import messages, say
from needs.show.plan_sheets import equity_sheet
from needs.show.report import DAYS, page_environment, shown_tables
from needs.show.report_parts import Part, orders_part, part_of
from needs.show.summary import confidence
from needs.show.titles import grade_title, region_title
from needs.store.publish import Run

CARD = "card.html"
SOURCE = ("source", "rows", "newest", "sha256")
STEPS = ("1_3", "4_6", "7_12")
"""Months ahead over which errors of forecasts are told apart."""
_PURPOSES, _NOT_FOR, _MODELS, _LIMITS, _OVERSIGHT, _ACT, _PEOPLE = (
    "purposes", "not_for", "models", "limits", "oversight", "act", "gdpr",
)  # fmt: skip
FIXED = (_PURPOSES, _NOT_FOR, _MODELS, _LIMITS, _OVERSIGHT, _ACT, _PEOPLE)
_EQUITY = ("dimension", "group_named", "people_share", "entries_share", "ratio")
_OURS, _NAIVE = "need_forecaster", "seasonal_naive"
_PRINTED = 12


@dataclass(frozen=True)
class Facts:
    """What a card tells beside the published tables.

    ``sources`` has one row per table (its rows, the newest day in it, its print), ``judged`` one per grain, origin and model;
    ``learned_at`` is the day the models stand on.
    """

    sources: pd.DataFrame
    judged: pd.DataFrame
    learned_at: str


def write_card(path: Path, run: Run, tables: Mapping[str, pd.DataFrame], facts: Facts, language: str) -> Path:
    """Write the card of a published run. Returns the file written."""
    shown = shown_tables(tables)
    day = run.as_of.strftime(DAYS[language])
    learned = date.fromisoformat(facts.learned_at).strftime(DAYS[language]) if facts.learned_at else figures.UNKNOWN
    told = {
        "run": run,
        "as_of": day,
        "title": say("card_title", language, region=region_title(shown["forecasts"]["territory"])),
        "lede": say("card_lede", language, as_of=day, learned=learned),
        "fixed": {section: list(_lines(section, language)) for section in FIXED},
        "sources": _sources(facts.sources, run.as_of, language),
        "absent": _absent(facts.sources, language),
        "errors": _errors(facts.judged, language),
        "grades": _grades(shown, language),
        "equity": part_of("equity", equity_sheet(shown["plan_equity"], language).rows, _EQUITY, language),
        "orders": orders_part(shown["match_measures"], language),
        "doubts": shown["digest"].loc[shown["digest"]["severity"] == "warning", "message"].tolist(),
        "decisions": len(shown["decisions"]),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page_environment(language).get_template("card.html.j2").render(told), encoding="utf-8")
    return path


def _lines(section: str, language: str) -> Iterator[str]:
    """Give what is always so of a section, line after line."""
    number = 1
    while f"card_{section}_{number}" in messages():
        yield say(f"card_{section}_{number}", language)
        number += 1


def _heads(names: tuple[str, ...], language: str) -> list[str]:
    return [say(f"card_{name}", language) for name in names]


def _sources(sources: pd.DataFrame, as_of: date, language: str) -> Part:
    """Tell the sources that the run had: rows, newest day, age in days, print."""
    rows = []
    for source in sources[sources["rows"] > 0].to_dict("records"):
        newest = date.fromisoformat(source["newest"]) if source["newest"] else None
        rows.append(
            [
                _named(source["source"], language),
                figures.count(source["rows"], language),
                newest.strftime(DAYS[language]) if newest else figures.UNKNOWN,
                figures.count((as_of - newest).days, language) if newest else figures.UNKNOWN,
                str(source["sha256"])[:_PRINTED],
            ]
        )
    return Part("sources", _heads(("source", "rows", "newest", "age", "print"), language), frozenset({1, 3}), rows)


def _named(source: str, language: str) -> str:
    code = f"source_{source}"
    return say(code, language) if code in messages() else source


def _absent(sources: pd.DataFrame, language: str) -> list[str]:
    """Name the sources that the run did not have."""
    return [_named(name, language) for name in sources.loc[sources["rows"] == 0, "source"]]


def _errors(judged: pd.DataFrame, language: str) -> Part:
    """Set the errors of the forecast beside those of the naive one, by grain and months ahead, with what intervals hold."""
    rows = []
    for grain, told in judged.groupby("grain") if len(judged) else ():
        means = told.groupby("model").mean(numeric_only=True)
        for steps in ("", *(f"_{part}" for part in STEPS)):
            if f"wape{steps}" not in means:  # models of an earlier edition did not tell it
                continue
            ours, naive = (float(means[f"wape{steps}"].get(name, float("nan"))) for name in (_OURS, _NAIVE))
            rows.append(
                [
                    say(f"card_grain_{grain}", language),
                    say(f"card_steps{steps or '_all'}", language),
                    figures.percent(ours, language),
                    figures.percent(naive, language),
                    say("card_wins" if ours <= naive else "card_loses", language),
                    figures.percent(means["pit_coverage"][_OURS], language) if not steps else "",
                ]
            )
    names = ("grain", "steps", "ours", "naive", "verdict", "held")
    return Part("errors", _heads(names, language), frozenset({2, 3, 5}), rows)


def _grades(tables: Mapping[str, pd.DataFrame], language: str) -> Part:
    """Tell which share of the rows of a table has each grade."""
    rows = []
    for name in ("forecasts", "rankings", "lots"):
        counts = confidence(tables[name])
        whole = max(sum(counts.values()), 1)
        rows.append([say(f"card_table_{name}", language), *(figures.percent(of / whole, language) for of in counts.values())])
    heads = [say("card_table", language), *(grade_title(letter, language) for letter in "ABCD")]
    return Part("grades", heads, frozenset(range(1, 5)), rows)
