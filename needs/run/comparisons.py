"""A run held against bounds and against the run before: each gate, group by group, with what it found.

A gate has a name and groups, spelt as published tables spell them (``territory=57``, ``forecasts``, ``served&sex=F``). Amounts
are compared as now ÷ before, from both sides: too few and too many both refuse. What is under the least amount counts as
that amount, so that small numbers trip nothing; where both are, nothing is judged.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.params import Section, param
from models.purchase import served_months
from needs.run.profiles import drift_of

ROW = ["gate", "group", "now", "before", "value", "low", "high", "held", "note"]
FIRST = 10  # ranks that are read
COMPARED: Mapping[str, tuple[str, ...]] = {
    "forecasts": ("territory", "occupation", "period", "value", "need", "grade"),
    "sector_needs": ("territory", "sector", "level", "period", "need", "grade"),
    "skill_needs": ("territory", "value", "grade"),
    "outcomes": ("territory", "grade"),
    "effects": ("sector", "grade"),
    "rankings": ("territory", "sector", "action_type", "level", "rank", "grade"),
    "lots": (
        *("lot_id", "envelope", "exercise", "action_type", "sector", "formacode", "territory", "public"),
        *("places", "cost_cents", "grade"),
    ),
    "rejected_lots": ("lot_id", "exercise"),
    "session_loads": ("session", "seats"),
    "match_measures": ("rule", "group", "measure", "value", "people"),
    "plan_equity": ("dimension", "group", "people", "expected_entries", "ratio"),
    "assumptions": ("name", "value"),
    "feature_profiles": ("feature", "bin", "low", "high", "share", "n"),
}
"""The tables of the run before that are read, with their columns; of the others only the rows are counted."""
GATES = (
    *("rows", "positions", "need", "seats", "served", "euros", "described"),
    *("euros_moved", "rank_left", "rank_moved", "drift", "grade_d", "grade_d_change", "fairness", "fairness_change"),
)
_OPTION = ["sector", "action_type", "level"]
_MONEY = ("envelope", "sector", "action_type", "territory", "public")
_UNCOUNTED = ("assumptions", "digest", "feature_profiles", "match_measures")  # as long as there is something to say
_WEIGHED = {"forecasts": "value", "sector_needs": "need", "skill_needs": "value", "lots": "cost_cents"}
_OURS, _WEAKEST, _PLACE = "matching", "D", "territory="
_EXERCISE, _BUDGET, _FEW, _NEW, _FAILED = "exercise", "budget", "few", "new", "failed"
Flags = npt.NDArray[np.bool_]
Tables = Mapping[str, pd.DataFrame]


class GateParams(Section):
    """How far a run may be from the run before, and from what is bearable, before a person must say that it may pass."""

    rows_low: float = param(0.5, "rows of a table, now ÷ before, at least", unit="ratio", ge=0, le=1)
    rows_high: float = param(2.0, "rows of a table, now ÷ before, at most", unit="ratio", ge=1, le=100)
    rows_least: int = param(500, "rows under which a table counts as so many", unit="rows", ge=1, le=1_000_000)
    total_low: float = param(
        0.7, "positions, need, seats and people served of a group, now ÷ before, at least", unit="ratio", ge=0, le=1
    )
    total_high: float = param(
        1.4, "positions, need, seats and people served of a group, now ÷ before, at most", unit="ratio", ge=1, le=100
    )
    total_least: int = param(
        200, "positions, recruitments, seats or people under which a group counts as so many", unit="count", ge=1, le=1_000_000
    )
    euros_low: float = param(0.7, "euros of an envelope that are spent, now ÷ before, at least", unit="ratio", ge=0, le=1)
    euros_high: float = param(1.4, "euros of an envelope that are spent, now ÷ before, at most", unit="ratio", ge=1, le=100)
    euros_least: float = param(
        500_000, "euros under which an envelope counts as so much, and no plan is compared", unit="€", ge=0, le=1e9
    )
    euros_moved: float = param(
        0.4, "money that moves between envelopes, sectors, types, territories or publics, at most", unit="share", ge=0, le=1
    )
    rank_left: float = param(0.6, "first ten of a territory's ranking that left it, at most", unit="share", ge=0, le=1)
    rank_moved: float = param(
        0.9, "1 − rank correlation of a territory's rankings, before and now, at most", unit="1 − ρ", ge=0, le=2
    )
    rank_least: int = param(30, "training types ranked under which a territory is not judged", unit="rows", ge=2, le=10_000)
    drift: float = param(0.25, "drift of a feature between two runs, at most", unit="PSI", ge=0, le=10)
    drift_least: int = param(500, "values under which the drift of a feature is not judged", unit="values", ge=10, le=1_000_000)
    grade_d: float = param(0.9, "needs, and money, that are graded D, at most", unit="share", ge=0, le=1)
    grade_d_change: float = param(
        0.2, "change of the share of a table that is graded D, up or down, at most", unit="share", ge=0, le=1
    )
    grade_d_least: int = param(500, "rows under which a share graded D is not judged", unit="rows", ge=1, le=1_000_000)
    fairness_low: float = param(
        0.5, "what a group of people is proposed, or bought, against all, at least", unit="ratio", ge=0, le=1
    )
    fairness_high: float = param(
        2.0, "what a group of people is proposed, or bought, against all, at most", unit="ratio", ge=1, le=100
    )
    fairness_change: float = param(
        0.25, "change of that ratio in parts of itself, up or down, at most", unit="share", ge=0, le=10
    )
    fairness_least: int = param(200, "people, or entries, under which a group is not judged", unit="people", ge=1, le=1_000_000)
    waiver_days: int = param(7, "days for which a refusal suggests to let a run through", unit="days", ge=0, le=366)


def check_gates(
    tables: Tables, before: Tables, params: GateParams, *, profiles: pd.DataFrame, failed: Collection[str] = ()
) -> pd.DataFrame:
    """Hold a run against bounds and against the run before. One row per gate, group: now, before, value, low, high, held, note.

    ``before`` has the tables of the run before, as :data:`COMPARED` says (nothing: there was none, and nothing is compared);
    ``profiles`` tells this run's features in the bins of its ``feature_profiles``. Territories that ``failed`` are not
    judged. ``held`` is missing where the ``note`` says why nothing is judged.
    """
    parts = [*_grades(tables, before, params), _fairness(tables, before, params)]
    if before:
        parts += [*_amounts(tables, before, params), _moved(tables, before, params)]
        parts += [_ranks(tables, before, params), _drift(before["feature_profiles"], profiles, params)]
    rows = pd.concat([part for part in parts if len(part)], ignore_index=True)
    absent = rows["group"].str.partition(_PLACE)[2].isin([*failed])
    rows["note"] = rows["note"].mask(absent, _FAILED)
    inside = ~((rows["value"] < rows["low"] - 1e-9) | (rows["value"] > rows["high"] + 1e-9))
    rows["held"] = inside.astype("boolean").where(rows["note"] == "")
    return rows.reindex(columns=ROW).sort_values(["gate", "group"], ignore_index=True)


def _judged(gate: str, table: pd.DataFrame, low: float, high: float) -> pd.DataFrame:
    """Complete what a gate found with its name and bounds. Same rows, of group, now, before, value, note."""
    return table.assign(gate=gate, low=low, high=high)


def _few(counts: pd.Series[float], least: float) -> pd.Series[str]:
    """Note the groups that are too small to be judged."""
    return pd.Series(np.where(counts < least, _FEW, ""), index=counts.index, dtype="str")


# Amounts ----------------------------------------------------------------------------------------------------------------


def _amounts(tables: Tables, before: Tables, params: GateParams) -> Iterator[pd.DataFrame]:
    """Compare what can be counted, gate by gate. One row per group."""
    counted = [pd.Series({name: len(side[name]) for name in side if name not in _UNCOUNTED}) for side in (tables, before)]
    yield _judged("rows", _ratios(counted, params.rows_least), params.rows_low, params.rows_high)
    of_profiles = [_described(side["feature_profiles"]) for side in (tables, before)]
    yield _judged("described", _ratios(of_profiles, params.rows_least), params.rows_low, params.rows_high)
    months = _months(tables, before)
    for gate, sums in (
        ("positions", [_by(_during(side["forecasts"], months), "territory", "value") for side in (tables, before)]),
        ("need", [_needs(side, months) for side in (tables, before)]),
        ("seats", [pd.Series({"all": float(side["session_loads"]["seats"].sum())}) for side in (tables, before)]),
        ("served", [_people_served(side["match_measures"]) for side in (tables, before)]),
    ):
        yield _judged(gate, _ratios(sums, params.total_least), params.total_low, params.total_high)
    spent = [_by(side["lots"], "envelope", "cost_cents") / 100 for side in (tables, before)]
    changed = _another_year(tables, before) or _another_budget(tables, before)
    yield _judged("euros", _ratios(spent, params.euros_least, changed), params.euros_low, params.euros_high)


def _ratios(sides: Sequence[pd.Series], least: float, why_not: str = "") -> pd.DataFrame:
    """Set amounts against those before. One row per group of either; what was not there before is not judged."""
    groups = sides[0].index.union(sides[1].index)
    told, past = (side.reindex(groups).fillna(0.0).astype("float64") for side in sides)
    value = told.clip(lower=least) / past.clip(lower=least)
    note = np.select([np.maximum(told, past) < least, past <= 0, bool(why_not)], [_FEW, _NEW, why_not], "")
    return pd.DataFrame({"group": groups, "now": told, "before": past, "value": value, "note": note}).reset_index(drop=True)


def _by(rows: pd.DataFrame, column: str, amount: str) -> pd.Series[float]:
    sums = rows.groupby(column)[amount].sum().astype("float64")
    return sums.rename(index=lambda code: f"{column}={code}")


def _needs(side: Tables, months: list[str]) -> pd.Series[float]:
    """Add up what is needed in some months, by territory and by sector."""
    places, sectors = (_during(side[name], months) for name in ("forecasts", "sector_needs"))
    return pd.concat([_by(places, "territory", "need"), _by(sectors, "sector", "need")])


def _months(tables: Tables, before: Tables) -> list[str]:
    """List the months that the plan serves and both runs forecast; all that both do where no lot was looked at."""
    both = set(tables["forecasts"]["period"]) & set(before["forecasts"]["period"])
    year = _year(tables)
    return sorted(both & set(served_months(year)) if year else both)


def _during(rows: pd.DataFrame, months: list[str]) -> pd.DataFrame:
    return rows[rows["period"].isin(months)]


def _year(side: Tables) -> int | None:
    """Say which exercise is bought for; none where no lot was looked at."""
    years = pd.concat([side["lots"]["exercise"], side["rejected_lots"]["exercise"]])
    return int(years.min()) if len(years) else None


def _another_year(tables: Tables, before: Tables) -> str:
    return "" if _year(tables) == _year(before) else _EXERCISE


def _another_budget(tables: Tables, before: Tables) -> str:
    """Say when the envelopes are not those of the run before."""
    stated = [side["assumptions"].query("name.str.startswith('purchase.envelopes')") for side in (tables, before)]
    one, other = (set(zip(rows["name"], rows["value"], strict=True)) for rows in stated)
    return "" if one == other else _BUDGET


def _people_served(measures: pd.DataFrame) -> pd.Series[float]:
    """Count the people who are proposed something, over all and by territory."""
    ours = measures[(measures["rule"] == _OURS) & (measures["measure"] == "served")].set_index("group")
    ours = ours[(ours.index == "all") | ours.index.str.startswith(_PLACE)]
    return (ours["value"] * ours["people"]).astype("float64")


def _described(profiles: pd.DataFrame) -> pd.Series[float]:
    return profiles.drop_duplicates("feature").set_index("feature")["n"].astype("float64")


# Money, ranks, features -------------------------------------------------------------------------------------------------


def _moved(tables: Tables, before: Tables, params: GateParams) -> pd.DataFrame:
    """Say which share of the money goes elsewhere than before: ½ Σ |share now − share before|. One row per dimension."""
    rows = []
    whole = [float(side["lots"]["cost_cents"].sum()) / 100 for side in (tables, before)]
    for dimension in _MONEY:
        shares = [_by(side["lots"], dimension, "cost_cents") for side in (tables, before)]
        apart = (shares[0] / shares[0].sum()).sub(shares[1] / shares[1].sum(), fill_value=0.0).abs().sum() / 2
        why_not = _another_year(tables, before) or (_another_budget(tables, before) if dimension == "envelope" else "")
        note = _FEW if min(whole) < params.euros_least else why_not
        rows.append({"group": dimension, "now": whole[0], "before": whole[1], "value": apart, "note": note})
    return _judged("euros_moved", pd.DataFrame(rows), np.nan, params.euros_moved)


def _ranks(tables: Tables, before: Tables, params: GateParams) -> pd.DataFrame:
    """Say how far each territory's ranking moved: its first ten that left, 1 − ρ of what both rank. Two rows per territory."""
    keys = ["territory", *_OPTION]
    columns = [*keys, "rank"]
    both = before["rankings"][columns].merge(
        tables["rankings"][columns], on=keys, how="left", suffixes=("_before", ""), validate="one_to_one"
    )
    off, left, moved = _another_year(tables, before), [], []
    for place, rows in both.astype({"rank": "float64", "rank_before": "float64"}).groupby("territory"):
        first, common = rows[rows["rank_before"] <= FIRST], rows[rows["rank"].notna()]
        counted = {"group": f"{_PLACE}{place}", "now": len(common), "before": len(rows)}
        note = _FEW if len(rows) < params.rank_least else off
        left.append({**counted, "value": float((~(first["rank"] <= FIRST)).mean()), "note": note})
        rho = common["rank"].corr(common["rank_before"], method="spearman") if len(common) > 1 else 0.0
        moved.append({**counted, "value": 1.0 - rho, "note": note})
    kept = [(gate, rows, high) for gate, rows, high in (
        ("rank_left", left, params.rank_left), ("rank_moved", moved, params.rank_moved),
    ) if rows]  # fmt: skip
    return pd.concat([_judged(gate, pd.DataFrame(rows), np.nan, high) for gate, rows, high in kept]) if kept else _nothing()


def _drift(before: pd.DataFrame, profiles: pd.DataFrame, params: GateParams) -> pd.DataFrame:
    """Say how far each feature drifted. One row per feature that both runs tell."""
    told = drift_of(before, profiles)
    few = np.minimum(told["n"], told["n_before"]) < params.drift_least
    rows = {"group": told["feature"], "now": told["n"], "before": told["n_before"], "value": told["psi"]}
    return _judged("drift", pd.DataFrame(rows).assign(note=np.where(few, _FEW, "")), np.nan, params.drift)


def _nothing() -> pd.DataFrame:
    return pd.DataFrame(columns=ROW)


# What is bearable, and how it changed -----------------------------------------------------------------------------------


def _grades(tables: Tables, before: Tables, params: GateParams) -> Iterator[pd.DataFrame]:
    """Say which share of each table is graded D, of rankings by territory too, and how it changed. One row per group.

    Shares are those of what the rows stand for (:data:`_WEIGHED`). Of rows that stand for nothing, and of a table where no
    effect can be told, any share is bearable.
    """
    shares, counts = _shares_graded(tables)
    few = _few(counts, params.grade_d_least)
    now = pd.DataFrame({"group": shares.index, "now": counts, "value": shares, "note": few})
    yield _judged("grade_d", now[now["group"].isin([*_WEIGHED])], np.nan, params.grade_d)
    if before:
        past, past_counts = (side.reindex(shares.index) for side in _shares_graded(before))
        few = few.mask(past_counts.fillna(0) < params.grade_d_least, _FEW)
        told = {"group": shares.index, "now": shares, "before": past, "value": shares - past, "note": few}
        yield _judged("grade_d_change", pd.DataFrame(told), -params.grade_d_change, params.grade_d_change)


def _shares_graded(side: Tables) -> tuple[pd.Series[float], pd.Series[float]]:
    """Give the share graded D, and the rows that have a grade, by group."""
    named = {name: side[name] for name, columns in COMPARED.items() if "grade" in columns}
    places = {f"rankings&{_PLACE}{code}": rows for code, rows in side["rankings"].groupby("territory")}
    shares, counts = {}, {}
    for group, rows in (named | places).items():
        graded = rows[rows["grade"].notna()]
        weight = graded[_WEIGHED[group]].astype("float64") if group in _WEIGHED else pd.Series(1.0, index=graded.index)
        shares[group] = float(weight[graded["grade"] == _WEAKEST].sum() / max(weight.sum(), 1e-9))
        counts[group] = float(len(graded))
    return pd.Series(shares, dtype="float64"), pd.Series(counts, dtype="float64")


def _fairness(tables: Tables, before: Tables, params: GateParams) -> pd.DataFrame:
    """Say what groups of people get against all, and how that changed. One row per gate, figure and group."""
    now, people = _against_all(tables)
    few = _few(people, params.fairness_least)
    rows = pd.DataFrame({"group": now.index, "now": people.to_numpy(), "value": now.to_numpy(), "note": few.to_numpy()})
    told = [_judged("fairness", rows, params.fairness_low, params.fairness_high)]
    told[0]["high"] = told[0]["high"].mask(_entries(now.index))
    if before:
        past, past_people = (side.reindex(now.index) for side in _against_all(before))
        note = few.mask(_entries(now.index) & bool(_another_year(tables, before)), _EXERCISE).mask(
            past_people.fillna(0) < params.fairness_least, _FEW
        )
        change = {"group": now.index, "now": now, "before": past, "value": now / past - 1.0, "note": note}
        told.append(_judged("fairness_change", pd.DataFrame(change), -params.fairness_change, params.fairness_change))
    return pd.concat(told, ignore_index=True)


def _entries(groups: pd.Index) -> Flags:
    """Mark what is said of entries bought: places may be kept for a public, so that it may have much more than its share."""
    return np.asarray(groups.str.startswith("entries&"), dtype=bool)


def _against_all(side: Tables) -> tuple[pd.Series[float], pd.Series[float]]:
    """Give what groups of people get against all (proposals, gains, entries bought), and what is counted, by figure and group.

    Places are left out: a need lies where it lies. Of entries bought those expected of the group are counted.
    """
    ours = side["match_measures"].query("rule == @_OURS and measure in ['served', 'expected_gain']")
    ours = ours.merge(ours.loc[ours["group"] == "all", ["measure", "value"]], on="measure", suffixes=("", "_all"))
    ours = ours[(ours["group"] != "all") & ~ours["group"].str.startswith(_PLACE)]
    equity = side["plan_equity"].query("dimension != 'territory'")
    names = [*(ours["measure"] + "&" + ours["group"]), *("entries&" + equity["dimension"] + "=" + equity["group"])]
    ratios = [*(ours["value"] / ours["value_all"]), *equity["ratio"]]
    counts = [*ours["people"], *equity["expected_entries"]]
    return pd.Series(ratios, names, dtype="float64"), pd.Series(counts, names, dtype="float64")
