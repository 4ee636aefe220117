"""What the current run proposes to buy, as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from features import facts
from features.vocabulary import BASSIN, InputError
from needs.home import Home
from needs.params import Params
from needs.run.shown import database_url
from needs.show import figures
from needs.show.messages import say
from needs.show.published import open_current
from needs.show.titles import titled, titles_of
from needs.store.publish import read_current

LOTS_SHOWN = 25
_WIDTHS = (20, 34, 20, 8, -11, -12, -7, 5)
"""Of the columns of the plan; a column with a minus stands to the right."""


def tell_plan(home: Home, params: Params, territory: str | None) -> str:
    """Show the lots of the current run, those from which most durable jobs are expected first."""
    language = params.show.language
    lots = read_current(open_current(database_url(home, params)).engine, "lots")
    if territory is not None:
        code = read_bassin(territory, lots["territory"], language)
        lots = lots[lots["territory"] == code]
        if lots.empty:
            return say("terminal.no_lot_here", language, territory=titles_of("territory").get(code, code), bassin=code)
    if lots.empty:
        return say("terminal.no_lot", language)
    best = lots.sort_values(["value", "lot_id"], ascending=[False, True]).head(LOTS_SHOWN)
    totals = {"places": int(lots["places"].sum()), "cost": lots["cost_cents"].sum() / 100, "jobs": lots["value"].sum()}
    head = say("terminal.plan_all" if len(best) == len(lots) else "terminal.plan_first", language, **_counts(best, lots))
    return "\n".join([head, _columns(language), *_lines(best, language), say("terminal.plan_total", language, **totals)])


def _counts(best: pd.DataFrame, lots: pd.DataFrame) -> dict[str, int]:
    return {"shown": len(best), "lots": len(lots)} if len(best) < len(lots) else {"lots": len(lots)}


def read_bassin(text: str, bought: pd.Series[str], language: str) -> str:
    """Read a bassin by its code or its title; refuse one that the Region does not have."""
    known = facts.territories().query("kind == 'BE'")
    named = known.loc[known["title"].str.casefold() == text.strip().casefold(), "territory"].tolist()
    code = text.strip().upper()
    if len(named) == 1:
        return str(named[0])
    if code in {*known["territory"], *bought}:
        return code
    examples = known[known["territory"].isin([BASSIN.example, "BE4425", "BE4441"])]
    like = ", ".join(f"{row.territory} ({row.title})" for row in examples.itertuples())
    raise InputError(
        f"--territory: '{text[:40]}' is not a bassin of the Region. Write its code or its title, like {like}; "
        f"the sheet '{say('sheet_forecasts', language)}' of the workbook lists them all."
    )


def _columns(language: str) -> str:
    """Head the columns of the plan."""
    codes = ("column_territory_title", "training", "column_action_type_title", "column_level")
    return lay([say(code, language) for code in (*codes, *_SHORT)])


_SHORT = ("terminal.sessions", "cost_short", "terminal.jobs", "terminal.grade")


def _lines(lots: pd.DataFrame, language: str) -> list[str]:
    """Write each lot on a line. One text per lot."""
    group = lots["places"] // lots["sessions"]
    named = titled(lots, language).assign(group=group, level=lots["exit_level"].fillna(""))
    return [
        lay(
            [
                *(str(lot[f"{name}_title"]) for name in ("territory", "formacode", "action_type")),
                say("terminal.level", language, level=lot["level"]) if lot["level"] else "",
                f"{lot['sessions']} × {lot['group']}",
                figures.euros(round(lot["cost_cents"] / 100) * 100, language),
                figures.count(lot["value"], language, 1),
                "" if pd.isna(lot["grade"]) else str(lot["grade"]),
            ]
        )
        for lot in named.to_dict("records")
    ]


def lay(cells: Sequence[str], widths: Sequence[int] = _WIDTHS) -> str:
    """Lay cells in the widths of a table; a text that is too long is cut."""
    laid = [
        cell.rjust(-width) if width < 0 else (cell if len(cell) <= width else f"{cell[: width - 1]}…").ljust(width)
        for cell, width in zip(cells, widths, strict=True)
    ]
    return " ".join(laid).rstrip()
