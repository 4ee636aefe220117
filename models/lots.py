"""From sessions bought to lots as they are tendered: one row per lot, with why it is there and what would move it."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pandas as pd
from scipy.stats import norm

from features.contracts import GradeLimits, write_estimate
from models.absorption import spread_of
from models.bids import Written
from models.buying import Numbers, Whole, jobs_at_the_margin, jobs_of
from models.envelopes import PurchaseParams
from models.rules import place_limits

_LITTLE = 1e-9
_DECISION = "—"
_KEY = ["option", "envelope"]


def describe_lots(
    ranked: pd.DataFrame, written: Written, sessions: Whole, exercise: int, params: PurchaseParams
) -> pd.DataFrame:
    """Write what is bought as lots. One row per option and envelope; its sessions may differ in size or lever.

    ``reason`` says whether a floor would be missed without its last session, and ``rule`` which; ``ratio`` is what that session
    adds by cent.
    """
    problem, cells = written.problem, written.cells
    bids, last = np.flatnonzero(sessions), jobs_at_the_margin(problem, sessions)[0]
    cell, count = problem.cell[bids], sessions[bids]
    own = cells.iloc[cell].reset_index(drop=True)
    in_all = np.bincount(problem.cell, weights=sessions, minlength=len(cells))
    flat = np.array([np.nan if each.place_eur is None else round(each.place_eur * 100) for each in params.envelopes])
    stated = flat[problem.envelope[bids]]
    place_cents = np.where(np.isnan(stated), own["place_cents"], stated).astype(np.int64)
    held = _binding(written, sessions, params, floors=True)[bids]
    places = count * own["group"].to_numpy()
    rows = pd.DataFrame(
        {
            "option": own["option"],
            "envelope": pd.array(_names(params)[problem.envelope[bids]], dtype="str"),
            "sessions": count,
            "places": places,
            "cost_cents": places * (place_cents + own["lever_cents"].to_numpy(dtype="int64")),
            "expected_entries": places * own["fill"].to_numpy(),
            "jobs": jobs_of(problem, sessions)[cell] * count / np.maximum(in_all[cell], 1.0),
            "marginal": last[cell],
            "ratio": last[cell] * problem.places[cell] / np.maximum(problem.cost[bids], 1),
            "lever": own["lever"],
            "rule": pd.array(held, dtype="str"),
            "open": _open_of(problem.success, cell, last),
        }
    )
    sums = dict.fromkeys(("sessions", "places", "cost_cents", "expected_entries", "jobs"), "sum")
    least = dict.fromkeys(("marginal", "ratio", "open"), "min")
    lots = rows.groupby(_KEY, as_index=False).agg({**sums, **least, "rule": "max", "lever": _together})
    reasons = np.where(lots["rule"] != "", "floor_promised", "best_cost_per_job")
    return _describe(ranked, lots.assign(reason=pd.array(reasons, dtype="str")), exercise, params)


def describe_left(
    ranked: pd.DataFrame, written: Written, sessions: Whole, exercise: int, params: PurchaseParams
) -> pd.DataFrame:
    """Write what is not bought, as the one session it would have been. One row per option, with the reason."""
    problem, cells = written.problem, written.cells
    plain = cells[cells["lever"] == ""].drop_duplicates("option", keep="last")
    bought = np.bincount(problem.cell, weights=sessions, minlength=len(cells))
    untouched = ~plain["option"].isin(cells["option"].to_numpy()[bought > 0])
    cell = plain.index.to_numpy()[untouched]
    own = cells.iloc[cell].reset_index(drop=True)
    following = jobs_at_the_margin(problem, sessions)[1]
    reasons, rules = _why_not(ranked, written, sessions, cell, params)
    places, cents = own["group"].to_numpy(dtype="int64"), own["place_cents"].to_numpy(dtype="int64")
    offered = pd.DataFrame(
        {
            "option": own["option"],
            "envelope": pd.array([""] * len(own), dtype="str"),
            "sessions": 1,
            "places": places,
            "cost_cents": places * cents,
            "expected_entries": places * own["fill"].to_numpy(),
            "jobs": following[cell] * places,
            "marginal": following[cell],
            "ratio": following[cell] / np.maximum(cents, 1),
            "lever": pd.array([""] * len(own), dtype="str"),
            "rule": pd.array(rules, dtype="str"),
            "open": _open_of(problem.success, cell, following),
            "reason": pd.array(reasons, dtype="str"),
        }
    )
    return _describe(ranked, offered, exercise, params)


def _why_not(
    ranked: pd.DataFrame, written: Written, sessions: Whole, cell: Whole, params: PurchaseParams
) -> tuple[np.ndarray, np.ndarray]:
    """Say why cells are not bought, and the rule that keeps out those that no envelope may pay more of. Values per cell."""
    problem = written.problem
    _, following, very_next = jobs_at_the_margin(problem, sessions)
    run = np.bincount(problem.kind[problem.cell], weights=sessions, minlength=len(problem.capacity))
    capped = _binding(written, sessions, params, floors=False)
    bids = pd.DataFrame({"cell": problem.cell, "free": capped == "", "rule": capped}).groupby("cell")
    told = bids.agg(free=("free", "any"), rule=("rule", "max")).reindex(cell)
    paid = told["free"].notna().to_numpy()
    open_to_all = told["free"].astype("boolean").fillna(False).to_numpy(dtype=bool)
    ends = ranked.loc[written.cells["option"].to_numpy()[cell], "ends_early"].to_numpy(dtype=bool)
    reasons = np.select(
        [
            ends,
            very_next[cell] < params.smallest_worth,
            following[cell] < params.smallest_worth,
            run[problem.kind[cell]] >= problem.capacity[problem.kind[cell]],
            ~paid,
            ~open_to_all,
        ],
        ["certification_ends", "no_gap_left", "no_whole_session", "provider_capacity", "no_envelope", "ceiling_reached"],
        "envelope_spent",
    )
    return reasons, told["rule"].where(~open_to_all, "").astype("str").fillna("").to_numpy()


def _names(params: PurchaseParams) -> np.ndarray:
    return np.array([envelope.name for envelope in params.envelopes], dtype=object)


def _open_of(success: Numbers, cell: Whole, worth: Numbers) -> Numbers:
    """Say which share of recruitments is still open for what a place is worth."""
    return np.asarray(np.where(success[cell] > 0, worth[cell] / np.where(success[cell] > 0, success[cell], 1.0), 0.0))


def _together(names: pd.Series[str]) -> str:
    return "|".join(sorted(set(names) - {""}))


def _binding(written: Written, sessions: Whole, params: PurchaseParams, *, floors: bool) -> np.ndarray:
    """Name for each bid a rule that one session less (of a floor) or more (of a ceiling) would break: of the Region, the
    envelope whose places are all bought, or what a person decided.
    """
    problem = written.problem
    weight = problem.weight.tocoo()
    counted = (problem.weight @ sessions)[weight.row]
    if floors:
        broken = (weight.data > 0) & (counted - weight.data < problem.low[weight.row] - _LITTLE) & (sessions[weight.col] > 0)
    else:
        broken = (weight.data > 0) & (counted + weight.data > problem.high[weight.row] + _LITTLE)
    names = np.full(len(problem.cell), "", dtype=object)
    titles = [rule.name for rule in (*written.rules, *place_limits(params.envelopes))]
    titles += [_DECISION] * (len(problem.low) - len(titles))
    for row, bid in zip(weight.row[broken].tolist(), weight.col[broken].tolist(), strict=True):
        names[bid] = names[bid] or titles[row]
    return names


def _describe(ranked: pd.DataFrame, bought: pd.DataFrame, exercise: int, params: PurchaseParams) -> pd.DataFrame:
    """Write lots as they are tendered. One row per row of ``bought``, in its order."""
    named = ranked.loc[bought["option"]].reset_index(drop=True)
    volets = {envelope.name: envelope.volets[0] if envelope.volets else "" for envelope in params.envelopes}
    renewals = {envelope.name: envelope.exercises - 1 for envelope in params.envelopes}
    places = bought["places"].astype("int64")
    kept = ("envelope", "sessions", "cost_cents", "jobs", "reason", "lever", "option", "ratio", "open")
    lots = pd.DataFrame(
        {
            **{name: bought[name] for name in kept},
            "rule": bought["rule"].replace(_DECISION, ""),
            "volet": bought["envelope"].map(volets).fillna("").astype("str"),
            "exercise": exercise,
            **{name: named[name] for name in ("action_type", "sector", "formacode", "certification", "entry_level")},
            "exit_level": named["level"],
            "territory": named["territory"],
            "public": "tout_public",
            "places": places,
            "places_max": np.ceil(places * (1.0 + params.framework_margin) - _LITTLE).astype("int64"),
            "renewals": bought["envelope"].map(renewals).fillna(0).astype("int64"),
            **{name: named[name] for name in ("group_min", "group_max", "hours", "n", "borrowed")},
            "answered": named["need"] * named["solvable"],
            "spread": spread_of(named),
            "allowance_cents": places * (named["allowance_eur"] * 100).round().astype("int64"),
            "expected_entries": bought["expected_entries"] * (1.0 - named["risk"]),
            "shrink": (named["low"] / named["value"]).where(named["value"] > 0, 0.0),
            "stretch": (named["high"] / named["value"]).where(named["value"] > 0, 1.0),
            "marginal_worth": bought["marginal"].astype("float64"),
            "infructueux_risk": named["risk"],
            "decided_by": "engine",
            **{str(name): named[name] for name in named if str(name).startswith(("emerging", "never_bought", "of_"))},
        }
    )
    return lots.assign(lot_id=lot_ids(lots))


def lot_ids(lots: pd.DataFrame) -> list[str]:
    """Name each lot so that an override and next year's comparison find it again: readable, then a hash of what it is."""
    parts = [
        *("exercise", "envelope", "action_type", "formacode", "certification"),
        *("entry_level", "exit_level", "territory", "public"),
    ]
    keys = ["|".join(map(str, key)) for key in lots[parts].itertuples(index=False)]
    return [
        f"{exercise}-{territory}-{formacode}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
        for exercise, territory, formacode, key in zip(
            lots["exercise"], lots["territory"], lots["formacode"], keys, strict=True
        )
    ]


# What would move them ---------------------------------------------------------------------------------------------------


def tell_margins(lots: pd.DataFrame, left: pd.DataFrame, limits: GradeLimits) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Write the estimate of jobs of lots bought and left, and what would make each change sides. Same rows.

    ``tipping_point`` is the price of a place (€) at which a lot adds as much by euro as the last of those bought freely.
    ``tipping`` holds every change that alone would do it, the smallest first: ``[["need", 1.08], ["effect", 1.21],
    ["price", 0.83]]`` are factors, ``["rule", "Ardennes"]`` is the rule that holds it.
    """
    freely = lots.loc[lots["reason"] == "best_cost_per_job", "ratio"]
    cutoff = float(freely.min()) if len(freely) else 0.0
    written = [_settle(rows, cutoff, limits) for rows in (lots, left)]
    # Where whole sessions left no room for it, no price of its own would have.
    rejected = written[1]
    place_eur = rejected["cost_cents"] / rejected["places"] / 100
    buyable = (rejected["reason"] == "envelope_spent") & (rejected["tipping_point"] < place_eur)
    return written[0], rejected.assign(
        tipping_point=rejected["tipping_point"].where(buyable),
        tipping=rejected["tipping"].where(buyable | (rejected["reason"] == "ceiling_reached"), "[]"),
    )


def _settle(lots: pd.DataFrame, cutoff: float, limits: GradeLimits) -> pd.DataFrame:
    """Write the estimate of jobs and what would move each lot. Same rows, by lot_id."""
    factor = lots["ratio"].where(lots["ratio"] > 0) / cutoff if cutoff > 0 else lots["ratio"] * np.nan
    price = lots["cost_cents"] / lots["places"] / 100 * factor
    estimated = write_estimate(
        lots.drop(columns=["jobs", "shrink", "stretch"]),
        value=lots["jobs"],
        low=lots["jobs"] * lots["shrink"],
        high=lots["jobs"] * lots["stretch"],
        n=lots["n"],
        borrowed=lots["borrowed"],
        limits=limits,
    )
    moves = [
        _moves(by, more, rule)
        for by, more, rule in zip(factor.tolist(), _more_need(lots, factor).tolist(), lots["rule"], strict=True)
    ]
    told = estimated.assign(tipping_point=price.where(price > 0).round(2), tipping=pd.array(moves, dtype="str"))
    return told.sort_values("lot_id", ignore_index=True)


def _more_need(lots: pd.DataFrame, factor: pd.Series[float]) -> pd.Series[float]:
    """Say by how much the need would have to be multiplied for a lot to change sides; missing where none would do.

    A recruitment more moves the gap by one, and with it the chance that one is open.
    """
    asked = lots["open"] / factor
    possible = (lots["open"] > 0) & (lots["open"] < 1) & (asked > 0) & (asked < 1) & (lots["answered"] > 0)
    moved = (norm.ppf(asked.where(possible)) - norm.ppf(lots["open"].where(possible))) * lots["spread"]
    times = 1.0 + moved / lots["answered"].where(possible)
    return times.where(times > 0)


def _moves(factor: float, need: float, rule: str) -> str:
    """Write what alone would make a lot change sides that adds ``factor`` times what the last of those bought freely does."""
    held = [["rule", rule]] if rule else []
    if not factor > 0 or abs(np.log(factor)) < _LITTLE:
        return json.dumps(held, ensure_ascii=False)
    moves = {"price": factor, "effect": 1.0 / factor} | ({"need": need} if need > 0 else {})
    order = sorted(moves, key=lambda name: (abs(np.log(moves[name])), name))
    return json.dumps([*held, *([name, round(moves[name], 3)] for name in order)], ensure_ascii=False)
