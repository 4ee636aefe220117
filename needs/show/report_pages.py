"""What the page of a territory or a sector is made of: rows small enough to be carried by the report itself.

Codes that come back (territories, sectors, words of reasons) are spelt once and numbered; everything else stands in columns,
one per figure. The browser makes the pages from it (``report.js``); nothing is worked out there but the order of rows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from features.vocabulary import REGION
from needs.show.messages import messages, say
from needs.show.sheet import told
from needs.show.titles import grade_title, titled, titles_of

GRADES = "ABCD"
HISTORY_MONTHS = 24
_OPTION = ["territory", "sector", "action_type", "level"]
_CELL = ["territory", "sector"]
_OUTCOME, _MONTHS = "durable", 12
_CAVEATS_TOLD = 9
_WORDS = "page."
Column = list[object]
Tables = Mapping[str, pd.DataFrame]


class Numbered:
    """Texts that come back, each under its number in the order of their first use."""

    def __init__(self) -> None:
        self.places: dict[str, int] = {}

    def number(self, texts: pd.Series[str]) -> Column:
        """Number texts; none where there is none."""
        return [self.places.setdefault(text, len(self.places)) if text else None for text in texts.fillna("")]

    @property
    def texts(self) -> list[str]:
        """The texts, by number."""
        return list(self.places)


def pages_of(tables: Tables, history: pd.DataFrame, months: Sequence[str], language: str) -> dict[str, object]:
    """Give what the browser makes pages from, for the ``months`` served.

    ``history`` is as :func:`needs.run.history.history_of` gives it.
    """
    territories, sectors, words = Numbered(), Numbered(), Numbered()
    cells = cells_of(tables, language)
    ranks, lots = ranks_of(tables, language), lots_of(tables, language)
    numbered = {"t": ("territory", territories), "s": ("sector", sectors)}
    told_words = {
        "cells": ("causes",),
        "ranks": ("type", "level", "reasons", "caveats", "why"),
        "lots": ("type", "public", "why"),
    }
    columns = {}
    for name, frame in (("cells", cells), ("ranks", ranks), ("lots", lots)):
        coded = {short: numbers.number(frame[noun]) for short, (noun, numbers) in numbered.items()}
        coded |= {word: words.number(frame[word]) for word in told_words[name]}
        figures = [column for column in frame if column not in {*told_words[name], *_CELL}]
        columns[name] = coded | {str(column): _plain(frame[column]) for column in figures}
    columns["cells"] |= months_of(cells, tables["sector_needs"], history)
    return {
        "months": list(months),
        "past": _past(history),
        "territories": _named(territories.texts, "territory", tables, months),
        "sectors": _named(sectors.texts, "sector", tables, months),
        "courses": _courses(tables, sectors),
        "words": words.texts,
        "grades": {letter: grade_title(letter, language) for letter in GRADES},
        "say": {code.removeprefix(_WORDS): say(code, language) for code in messages() if code.startswith(_WORDS)},
        "language": language,
        **columns,
    }


def spell(pages: Mapping[str, object]) -> str:
    """Write what the browser reads, so that no text in it can end the script that holds it."""
    text = json.dumps(pages, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _plain(values: pd.Series) -> Column:
    """Write numbers with three digits after their first, whole ones without decimals, missing ones as nothing."""
    if not pd.api.types.is_numeric_dtype(values):
        return values.astype(object).where(values.notna(), None).tolist()
    return [None if pd.isna(value) else _short(float(value)) for value in values]


def _short(value: float) -> float:
    """Keep what a reader can use.

    >>> _short(12345.678), _short(0.012345), _short(3.0)
    (12346, 0.0123, 3)
    """
    kept = round(value) if abs(value) >= 1000 else float(f"{value:.3g}")
    return int(kept) if kept == int(kept) else kept


# Cells: the need of a sector in a territory --------------------------------------------------------------------------------


def cells_of(tables: Tables, language: str) -> pd.DataFrame:
    """Add up the needs of the months served. One row per territory and sector: need, gap, offer, what is said of them.

    Half-widths of months and levels add in quadrature, as independent errors do; the grade is the weakest of those of levels
    that have a need.
    """
    needs = tables["sector_needs"]
    weight = needs["need"].fillna(0.0)
    letters = needs["grade"].map({letter: place for place, letter in enumerate(GRADES)}).where(weight > 0)
    parts = needs[[*_CELL, "need", "supply", "under_way"]].assign(
        gap=needs["value"],
        solvable=needs["training_solvable"] * weight,
        solvable_of=weight.where(needs["training_solvable"].notna()),
        apart=needs["disagreement"] * weight,
        apart_of=weight.where(needs["disagreement"].notna()),
        grade=letters,
        **{f"{name}_{end}": (needs[high] - needs[low]) ** 2 for name, end, low, high in _ENDS},
    )
    groups = parts.groupby(_CELL, as_index=False)
    sums = groups.sum(min_count=1).assign(grade=groups["grade"].max()["grade"])
    bounds = {f"{name}_{end}": sums[name] + _SIGN[end] * np.sqrt(sums[f"{name}_{end}"]) for name, end, _, _ in _ENDS}
    causes = _causes(tables, language)
    rows = sums.assign(
        **bounds,
        solvable=sums["solvable"] / sums["solvable_of"].where(sums["solvable_of"] > 0),
        apart=sums["apart"] / sums["apart_of"].where(sums["apart_of"] > 0),
    ).assign(need_low=lambda t: t["need_low"].clip(lower=0.0))
    kept = rows[(rows["need"].fillna(0) > 0) | (rows["gap"].fillna(0) > 0)].drop(columns=["solvable_of", "apart_of"])
    return kept.merge(causes, on=_CELL, how="left", validate="one_to_one").reset_index(drop=True)


_SIGN = {"low": -1, "high": 1}
_ENDS = (
    ("need", "low", "need_low", "need"),
    ("need", "high", "need", "need_high"),
    ("gap", "low", "low", "value"),
    ("gap", "high", "value", "high"),
)


def _causes(tables: Tables, language: str) -> pd.DataFrame:
    """Say what makes the tension. One row per territory and sector of which it is known."""
    lots = pd.concat([tables["lots"][["lot_id", *_CELL]], tables["rejected_lots"][["lot_id", *_CELL]]], ignore_index=True)
    known = tables["lot_details"][["lot_id", "causes"]].query("causes.notna() and causes != ''")
    rows = lots.merge(known, on="lot_id", how="inner", validate="one_to_one").drop_duplicates(_CELL)
    words = {text: ", ".join(say(f"cause_{code}", language) for code in text.split("|")) for text in rows["causes"].unique()}
    return rows.assign(causes=rows["causes"].map(words).astype("str"))[[*_CELL, "causes"]]


def months_of(cells: pd.DataFrame, needs: pd.DataFrame, history: pd.DataFrame) -> dict[str, Column]:
    """Give the need of each cell month by month: those served, and those of the past where they are known."""
    return {"ahead": _by_month(cells, needs), "behind": _by_month(cells, history)}


def _by_month(cells: pd.DataFrame, rows: pd.DataFrame) -> Column:
    months = sorted(rows["period"].unique())[-HISTORY_MONTHS:]
    wide = rows.pivot_table(index=_CELL, columns="period", values="need", aggfunc="sum").reindex(columns=months)
    found = wide.reindex(pd.MultiIndex.from_frame(cells[_CELL]))
    return [
        None if np.isnan(line).all() else [_short(round(float(x), 1)) for x in np.nan_to_num(line)] for line in found.to_numpy()
    ]


def _past(history: pd.DataFrame) -> list[str]:
    return sorted(history["period"].unique())[-HISTORY_MONTHS:]


# Ranks: what may be bought -------------------------------------------------------------------------------------------------


def ranks_of(tables: Tables, language: str) -> pd.DataFrame:
    """Set the rank of each option beside what is known of it. One row per territory, sector, type and level.

    ``effect`` is what an entry adds, of the sector where it is told, else of the type; ``rate`` what becomes of trainees, of
    the territory where they are enough, else of the Region (``of_region``).
    """
    ranks = tables["rankings"]
    rows = titled(ranks, language).merge(_bought(tables), on=_OPTION, how="left", validate="one_to_one")
    rows = _with_rate(_with_effect(rows, tables["effects"]), tables["outcomes"])
    return pd.DataFrame(
        {
            **{name: rows[name] for name in (*_CELL, "rank", "value", "low", "high", "n", "borrowed", "stability")},
            "cost": rows["cost_per_job_eur"],
            "grade": rows["grade"].map({letter: place for place, letter in enumerate(GRADES)}),
            "type": rows["action_type_title"],
            "level": rows["level"],
            "reasons": told(rows["reasons"], language),
            "caveats": told(rows["caveats"], language, most=_CAVEATS_TOLD),
            "places": rows["places"],
            "why": told(rows["why"], language),
            **{name: rows[name] for name in ("effect", "effect_low", "effect_high", "effect_n", "raw")},
            **{name: rows[name] for name in ("rate", "rate_low", "rate_high", "rate_n", "of_region")},
        }
    )


def _bought(tables: Tables) -> pd.DataFrame:
    """Say of each option how many places are bought, else why none. One row per option."""
    sides = [tables["lots"].assign(left=0), tables["rejected_lots"].assign(left=1, places=0)]
    lots = pd.concat(sides, ignore_index=True).rename(columns={"exit_level": "level"})
    lots = lots.assign(level=lots["level"].fillna("")).sort_values(["left", "lot_id"], kind="stable")
    options = lots.groupby(_OPTION, as_index=False)
    return options.agg(places=("places", "sum"), why=("reason", "first"))


def _with_effect(rows: pd.DataFrame, effects: pd.DataFrame) -> pd.DataFrame:
    """Add what an entry adds, and the raw rate. Same rows."""
    asked = (effects["group"] == "all") & (effects["outcome"] == _OUTCOME) & (effects["horizon_months"] == _MONTHS)
    names = {"value": "effect", "low": "effect_low", "high": "effect_high", "n": "effect_n", "raw_rate": "raw"}
    known = effects[asked & effects["value"].notna()].rename(columns=names)[["sector", "action_type", *names.values()]]
    key = ["sector", "action_type"]
    own = rows[key].merge(known, on=key, how="left", validate="many_to_one")
    wide = rows[key].assign(sector="").merge(known, on=key, how="left", validate="many_to_one")
    chosen = own.where(own["effect"].notna(), wide)
    return rows.assign(**{name: chosen[name].to_numpy() for name in names.values()})


def _with_rate(rows: pd.DataFrame, outcomes: pd.DataFrame) -> pd.DataFrame:
    """Add what becomes of trainees. Same rows."""
    asked = (outcomes["public"] == "tout_public") & (outcomes["outcome"] == _OUTCOME) & (outcomes["horizon_months"] == _MONTHS)
    names = {"value": "rate", "low": "rate_low", "high": "rate_high", "n": "rate_n"}
    known = outcomes[asked].rename(columns=names)[[*_OPTION, *names.values()]]
    own = rows[_OPTION].merge(known, on=_OPTION, how="left", validate="one_to_one")
    wide = rows[_OPTION].assign(territory=REGION).merge(known, on=_OPTION, how="left", validate="many_to_one")
    local = own["rate"].notna()
    chosen = own.where(local, wide)
    region = (~local & wide["rate"].notna()).astype(int).to_numpy()
    return rows.assign(of_region=region, **{name: chosen[name].to_numpy() for name in names.values()})


# Lots and names ------------------------------------------------------------------------------------------------------------


def lots_of(tables: Tables, language: str) -> pd.DataFrame:
    """Give the lots of the plan, the cheapest durable job first. One row per lot."""
    lots = tables["lots"].rename(columns={"exit_level": "level"}).assign(level=lambda t: t["level"].fillna(""))
    reasons = tables["rankings"][[*_OPTION, "reasons"]]
    rows = titled(lots.merge(reasons, on=_OPTION, how="left", validate="many_to_one"), language)
    price = (rows["cost_cents"] / 100 / rows["value"].where(rows["value"] > 0)).fillna(np.inf)
    rows = rows.assign(price=price).sort_values(["price", "lot_id"], ignore_index=True)
    return pd.DataFrame(
        {
            **{name: rows[name] for name in ("lot_id", *_CELL, "formacode", "envelope", "level", "places", "sessions")},
            "cents": rows["cost_cents"].astype(object),
            "grade": rows["grade"].map({letter: place for place, letter in enumerate(GRADES)}),
            **{name: rows[name] for name in ("value", "low", "high", "stability")},
            "type": rows["action_type_title"],
            "public": rows["public_title"],
            "why": told(rows["reasons"].fillna(rows["reason"]), language),
            "human": (rows["decided_by"] == "human").astype(int),
        }
    )


def _named(codes: Sequence[str], noun: str, tables: Tables, months: Sequence[str]) -> list[list[object]]:
    """Name codes: code, title, and of a territory its Maison; need of all its occupations with its bounds."""
    titles = titles_of(noun)
    if noun == "sector":
        return [[code, str(titles.get(code, code))] for code in codes]
    totals = territory_needs(tables["forecasts"], months)
    houses = maison_of()
    told_of = {str(name): dict(zip(totals.index, _plain(totals[name]), strict=True)) for name in totals}
    return [
        [code, *(str(titles.get(one, other)) for one, other in ((code, code), (houses.get(code, ""), ""))), *_of(code, told_of)]
        for code in codes
    ]


def _of(code: str, figures: Mapping[str, Mapping[str, object]]) -> Column:
    return [of.get(code) for of in figures.values()]


def maison_of() -> dict[str, str]:
    """Say to which Maison de la Région each bassin belongs."""
    from features import facts

    houses = facts.maisons()
    return dict(zip(houses["territory"], houses["maison"], strict=True))


def territory_needs(forecasts: pd.DataFrame, months: Sequence[str]) -> pd.DataFrame:
    """Add up the needs of all occupations over months. One row per territory: need, need_low, need_high.

    Half-widths add in quadrature, as independent errors do.
    """
    served = forecasts[forecasts["period"].isin(list(months))]
    spread = served[["territory", "need"]].assign(
        below=(served["need"] - served["need_low"]) ** 2, above=(served["need_high"] - served["need"]) ** 2
    )
    sums = spread.groupby("territory").sum()
    low = (sums["need"] - np.sqrt(sums["below"])).clip(lower=0.0)
    return sums.assign(need_low=low, need_high=sums["need"] + np.sqrt(sums["above"]))[["need", "need_low", "need_high"]]


def _courses(tables: Tables, sectors: Numbered) -> list[list[object]]:
    """List the trainings that were considered, to be searched: code, title, number of the sector."""
    listed = pd.concat([tables["lots"], tables["rejected_lots"]])[["formacode", "sector"]].drop_duplicates("formacode")
    known = listed[listed["sector"].isin(sectors.places)].sort_values("formacode")
    titles = titles_of("formacode")
    return [
        [code, str(titles.get(code, code)), sectors.places[sector]]
        for code, sector in zip(known["formacode"], known["sector"], strict=True)
    ]
