"""What a training place adds: by type and sector of course and by group of people, with its uncertainty and its limits.

told = estimate_effects(starts, params, limits, smallest)
told.table          one row per sector, type, group, outcome and months from entry: the published effects
told.gains          what became of each entrant beyond what was to be expected of people alike: what courses are scored on

Those who entered are set against two sorts of people, each in a doubly robust comparison (:mod:`models.doubly_robust`):
people who were listed as looking for work (the effect), and people who were to come and did not (``applicants``, printed beside
it). Effects of small groups lean on those of wider ones (:mod:`models.course_groups`), and their grade falls with what speaks
against them (:mod:`models.trust`): a placebo before the start, a negative control, designs that disagree, a hidden trait that
would be enough.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm
from threadpoolctl import threadpool_limits

from features.contracts import GradeLimits, write_estimate
from features.params import Section, param
from models.course_groups import EVERY, Cells, compare_cells, mark_groups, pool_cells
from models.doubly_robust import ComparisonParams, Crossfit, Flags, Numbers, Sample, Told, crossfit
from models.likeness import AWAY, ENTERED, EVERYWHERE, LISTED, Asked, Describer, number_people, same_times, sample_of
from models.shrinkage import Estimates
from models.trust import TrustParams, add_bounds, differs, lower_grades

KEY = ["sector", "action_type", "group", "outcome", "horizon_months"]
LEVEL = 0.8
_REACH = float(norm.ppf(0.5 + LEVEL / 2))
_BEFORE = "worked_m25_36"
_EVERYBODY = ("value", "low", "high", "overlap")
_NUMBERS = (
    *(
        "value",
        "low",
        "high",
        "n",
        "borrowed",
        "error",
        "n_effective",
        "overlap",
        "imbalance",
        "spread",
        "raw_rate",
        "own",
        "own_error",
    ),
    *("robustness", "bound_low", "bound_high", "applicants", "applicants_low", "applicants_high"),
    *("placebo", "placebo_error", "control", "control_error"),
)


class EffectParams(Section):
    """How effects are estimated and told."""

    horizon_months: int = param(
        12, "months from entry at which gains of entrants, scores and rules are told", unit="months", ge=6, le=24
    )
    comparison: ComparisonParams = ComparisonParams()
    trust: TrustParams = TrustParams()


@dataclass(frozen=True)
class Effects:
    """Effects as they are published (``table``), and the gain of each entrant (``gains``: of persons, never published).

    ``everybody`` tells what an entry into some course would add for all who were compared, entrants or not. One row per outcome
    and months: value, low, high, overlap.
    """

    table: pd.DataFrame
    gains: pd.DataFrame
    everybody: pd.DataFrame


def estimate_effects(starts: pd.DataFrame, params: EffectParams, limits: GradeLimits, smallest: float) -> Effects:
    """Estimate what courses add. ``table``: one row per sector, action_type, group, outcome, horizon_months.

    Rows without a sector tell of a type in all of them. Where too few can be compared there is no value, and ``lowered`` says
    ``refused``; a group of fewer than ``smallest`` entrants is not told, but for ``all``, which then borrows everything.
    Where next to nobody is listed, entrants are set against those who did not come alone. Besides the published columns:
    ``raw_rate``, the outcome of entrants whatever it would have been; ``error`` and ``spread``, which bounds are made of;
    ``own``, before it leans on others; ``imbalance``, how far traits of the entrants of a cell lie from those of the weighted
    others; ``applicants`` with bounds, against those who did not come; ``placebo`` and ``control``, which should be nothing.
    """
    others = LISTED if _count(starts, LISTED) >= params.trust.fewest_compared else AWAY
    starts = same_times(starts, others)
    if not _count(starts, ENTERED) or not _count(starts, others):
        return Effects(
            no_effects(), _no_gains(), pd.DataFrame({name: [] for name in ("outcome", "horizon_months", *_EVERYBODY)})
        )
    describe, asked = Describer.of(starts), Asked.of(starts)
    with threadpool_limits(limits=1, user_api="blas"):  # sums in one order: the same bytes for any number of threads
        rows, gains, everybody = _first_design(starts, others, describe, asked, params, smallest)
        rows = _add_second_design(rows, starts if others == LISTED else starts.head(0), describe, asked, params, smallest)
        rows = _add_placebo(rows, _two_arms(starts, ENTERED, others), describe, params, smallest)
        table = _finish(_add_control(rows, starts, describe, asked, params, smallest), params, limits)
    return Effects(table, _held_to_promises(gains, table, params), everybody)


def _count(starts: pd.DataFrame, arm: str) -> int:
    return int((starts["arm"] == arm).sum())


def _two_arms(starts: pd.DataFrame, treated: str, others: str) -> pd.DataFrame:
    return starts[starts["arm"].isin([treated, others])].reset_index(drop=True)


# Two designs ------------------------------------------------------------------------------------------------------------


def _first_design(
    starts: pd.DataFrame, others: str, describe: Describer, asked: Asked, params: EffectParams, smallest: float
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Set entrants against the others, by group. One row per cell, group and column; then gains, and effects on everybody."""
    compared = _two_arms(starts, ENTERED, others)
    fitted = crossfit(sample_of(compared, describe(compared), asked), params.comparison, both=True)
    marks = mark_groups(compared)
    rows = _tell_cells(compared, fitted, marks, asked, params.trust, smallest)
    return rows, _gains(compared, fitted, asked, params), _everybody(fitted, asked)


def _tell_cells(
    compared: pd.DataFrame, fitted: Crossfit, marks: pd.DataFrame, asked: Asked, trust: TrustParams, smallest: float
) -> pd.DataFrame:
    """Compare every cell and let it lean on wider ones. One row per cell, group and column told."""
    cells = Cells.of(compared, fitted.sample.treated)
    told, gaps = compare_cells(fitted, cells, marks.to_numpy(), smallest)
    refused = _refused(told, trust, smallest)
    hidden = (told.n < smallest) | refused
    rows = _rows(told, pool_cells(told, cells, hidden), (hidden, refused), cells, asked, [str(name) for name in marks])
    named = pd.DataFrame(list(cells.names), columns=["action_type", "sector"]).astype("str").assign(imbalance=gaps)
    told_gaps = rows.merge(named, on=["action_type", "sector"], how="left", validate="many_to_one")
    return told_gaps.assign(imbalance=told_gaps["imbalance"].where(told_gaps["n"] > 0))


def _refused(told: Told, trust: TrustParams, smallest: float) -> Flags:
    """Mark the effects on enough entrants of whom too few have anybody to be compared with."""
    enough = (told.overlap >= trust.smallest_overlap) & (told.n_effective >= trust.fewest_compared) & (told.n >= smallest)
    refused: Flags = (told.asked >= smallest) & ~enough
    return refused


def _rows(
    told: Told, pooled: Estimates, silent: tuple[Flags, Flags], cells: Cells, asked: Asked, groups: list[str]
) -> pd.DataFrame:
    """Write arrays as rows. One row per cell, group and column asked of its type, that may be told.

    ``silent`` marks what says nothing of its own, and what of it is refused: such a row has no value at all.
    """
    hidden, refused = silent
    wanted = np.array([asked.of_type(kind) & (kind != "") for kind, _ in cells.names])
    shown = wanted[:, None, :] & (~hidden | (np.arange(len(groups)) == 0)[None, :, None])
    at = cell, group, column = np.nonzero(shown)
    small = hidden[at]
    names = np.array(cells.names, dtype=object)[cell]
    outcomes = np.array(asked.columns, dtype=object)[column]
    whole = told.spread[0, 0, column]
    return pd.DataFrame(
        {
            "sector": pd.array(names[:, 1], dtype="str"),
            "action_type": pd.array(names[:, 0], dtype="str"),
            "group": pd.array(np.array(groups, dtype=object)[group], dtype="str"),
            "outcome": pd.array(outcomes[:, 0], dtype="str"),
            "horizon_months": outcomes[:, 1].astype("int64"),
            **{name: getattr(pooled, name)[at] for name in ("value", "error", "borrowed")},
            **{name: np.where(small, 0.0, getattr(told, name)[at]) for name in ("n", "n_effective")},
            "overlap": np.where(small, np.nan, told.overlap[at]),
            "spread": np.where(np.isnan(told.spread[at]) | small, whole, told.spread[at]),
            "raw_rate": np.where(small, np.nan, told.reached[at]),
            "refused": refused[at],
            "own": np.where(small, np.nan, told.value[at]),
            "own_error": np.where(small, np.nan, told.error[at]),
        }
    )


def _add_second_design(
    rows: pd.DataFrame, starts: pd.DataFrame, describe: Describer, asked: Asked, params: EffectParams, smallest: float
) -> pd.DataFrame:
    """Set entrants against those who were to come and did not. Same rows, with ``applicants``, its error, if both differ."""
    names = {"value": "applicants", "error": "applicants_error", "own": "second", "own_error": "second_error"}
    if _count(starts, AWAY) < params.trust.fewest_compared:
        return rows.assign(**dict.fromkeys(names.values(), np.nan), designs_differ=False)
    both = _two_arms(starts, ENTERED, AWAY)
    fitted = crossfit(sample_of(both, describe(both), asked), params.comparison)
    every = pd.DataFrame({EVERY: np.ones(len(both), dtype=bool)})
    told = _tell_cells(both, fitted, every, asked, params.trust, smallest)
    second = told.assign(**{name: told[name].mask(told["refused"]) for name in ("value", "error")}).rename(columns=names)
    joined = rows.merge(second[[*KEY, *names.values()]], on=KEY, how="left", validate="one_to_one")
    error = (joined["own_error"] ** 2 + joined["second_error"] ** 2) ** 0.5
    return _spread_doubts(joined, differs(joined["own"] - joined["second"], error, params.trust))


def _spread_doubts(rows: pd.DataFrame, differ: pd.Series[bool]) -> pd.DataFrame:
    """Let what is doubted of a type be doubted of its sectors, and what is doubted of a cell of its groups. Same rows."""
    key = [rows[name] for name in ("action_type", "outcome", "horizon_months")]
    of_type = (differ & (rows["sector"] == "")).groupby(key).transform("any")
    of_cell = differ.groupby([rows["sector"], *key]).transform("any")
    return rows.assign(designs_differ=of_type | of_cell)


# What should be nothing -------------------------------------------------------------------------------------------------


def _add_placebo(
    rows: pd.DataFrame, compared: pd.DataFrame, describe: Describer, params: EffectParams, smallest: float
) -> pd.DataFrame:
    """Look for an effect on the past. Same rows, with ``placebo`` by type, its error, and if it is something.

    It is the share worked of the months 36 to 25 before the start, which nobody is described by.
    """
    known = compared[compared[_BEFORE].notna()].reset_index(drop=True)
    found = pd.DataFrame({"action_type": pd.Series(dtype="str"), "placebo": [], "placebo_error": []})
    if _count(known, ENTERED) and _count(known, ENTERED) < len(known):
        treated = (known["arm"] == ENTERED).to_numpy()
        sample = Sample.of(describe(known), treated, (known[_BEFORE] / 12.0).to_numpy(), number_people(known))
        fitted, cells = crossfit(sample, params.comparison), Cells.of(known, treated)
        told, _ = compare_cells(fitted, cells, np.ones((len(known), 1), dtype=bool), smallest)
        silent = (told.n < smallest) | _refused(told, params.trust, smallest)
        numbers = {name: np.where(silent, np.nan, of)[cells.types, 0, 0] for name, of in _named("placebo", told).items()}
        found = pd.DataFrame({"action_type": [cells.names[place][0] for place in cells.types], **numbers})
    joined = rows.merge(found.astype({"action_type": "str"}), on="action_type", how="left", validate="many_to_one")
    return joined.assign(placebo_differs=differs(joined["placebo"], joined["placebo_error"], params.trust))


def _named(name: str, told: Told) -> dict[str, Numbers]:
    return {name: told.value, f"{name}_error": told.error}


def _add_control(
    rows: pd.DataFrame, starts: pd.DataFrame, describe: Describer, asked: Asked, params: EffectParams, smallest: float
) -> pd.DataFrame:
    """Look for an effect on those who did not come, whom no course changed. Same rows, with ``control`` and its error.

    They are set against those listed, all types together.
    """
    both, asked = _two_arms(starts, AWAY, LISTED), asked.only(EVERYWHERE)
    told = pd.DataFrame(asked.columns, columns=["outcome", "horizon_months"]).astype({"outcome": "str"})
    found: dict[str, Numbers] = dict.fromkeys(("control", "control_error"), np.full((1, len(told)), np.nan))
    if min(_count(both, AWAY), _count(both, LISTED)) >= params.trust.fewest_compared:
        fitted = crossfit(sample_of(both, describe(both), asked, AWAY), params.comparison)
        of_all = fitted.all_entrants()
        silent = (of_all.n < smallest) | _refused(of_all, params.trust, smallest)
        found = {name: np.where(silent, np.nan, of) for name, of in _named("control", of_all).items()}
    told = told.assign(**{name: of[0] for name, of in found.items()})
    joined = rows.merge(told, on=["outcome", "horizon_months"], how="left", validate="many_to_one")
    return joined.assign(control_differs=differs(joined["control"], joined["control_error"], params.trust))


# Telling ----------------------------------------------------------------------------------------------------------------


def _finish(rows: pd.DataFrame, params: EffectParams, limits: GradeLimits) -> pd.DataFrame:
    """Write estimates, bounds and grades; what is refused has none. Same rows, in the order of their key."""
    told = rows.assign(
        **{name: rows[name].mask(rows["refused"]) for name in ("value", "error", "applicants", "applicants_error")}
    )
    told = write_estimate(
        told,
        value=told["value"],
        low=told["value"] - _REACH * told["error"],
        high=told["value"] + _REACH * told["error"],
        n=told["n"],
        borrowed=told["borrowed"].fillna(1.0),
        limits=limits,
    )
    ends = {"low": -_REACH, "high": _REACH}
    told = told.assign(**{f"applicants_{end}": told["applicants"] + by * told["applicants_error"] for end, by in ends.items()})
    graded = lower_grades(add_bounds(told, params.trust, LEVEL), params.trust)
    graded = graded.assign(lowered=graded["lowered"].mask(graded["refused"], "refused"))
    return graded[[*KEY, *_NUMBERS, "grade", "lowered"]].sort_values(KEY, ignore_index=True)


def _gains(compared: pd.DataFrame, fitted: Crossfit, asked: Asked, params: EffectParams) -> pd.DataFrame:
    """Say what became of each entrant beyond what was to be expected. One row per entrant whose durable work is known.

    ``reached`` is the outcome, ``gain`` what of it people alike did not have.
    """
    column = asked.columns.index(("durable", params.horizon_months))
    known = fitted.sample.treated & (fitted.sample.counted[:, column] > 0)
    base = np.mean([split.base[known, column] for split in fitted.splits], axis=0)
    reached = fitted.sample.outcomes[known, column]
    entrants = compared.loc[known, ["person", "start", "lot", "session", "action_type"]]
    return entrants.assign(sector=compared.loc[known, "formacode"].str[:3], reached=reached, gain=reached - base)


def _held_to_promises(gains: pd.DataFrame, table: pd.DataFrame, params: EffectParams) -> pd.DataFrame:
    """Set gains beside the effects told, and move them so that their mean over a type in a sector is the effect there.

    Same rows. ``promised`` is the effect told, missing where it is refused; the mean is that before it leans on others.
    """
    every = (table["group"] == EVERY) & (table["outcome"] == "durable") & (table["horizon_months"] == params.horizon_months)
    names = {"value": "promised", "error": "promised_error"}
    promised = table.loc[every, ["sector", "action_type", "value", "error", "own"]].rename(columns=names)
    told = gains.merge(promised, on=["sector", "action_type"], how="left", validate="many_to_one")
    mean = told.groupby(["action_type", "sector"])["gain"].transform("mean")
    moved = (told["own"].fillna(told["promised"]) - mean).fillna(0.0)
    return told.assign(gain=told["gain"] + moved).drop(columns="own")


def no_effects() -> pd.DataFrame:
    """Give the table of effects without a row."""
    texts = dict.fromkeys(("sector", "action_type", "group", "outcome", "grade", "lowered"), "str")
    kinds = {**texts, "horizon_months": "int64", **dict.fromkeys(_NUMBERS, "float64")}
    return pd.DataFrame({name: pd.Series(dtype=kinds[name]) for name in (*KEY, *_NUMBERS, "grade", "lowered")})


def _everybody(fitted: Crossfit, asked: Asked) -> pd.DataFrame:
    """Tell what an entry would add for all who were compared. One row per outcome asked of every course, and months."""
    told, shown = fitted.everybody(), [name in EVERYWHERE for name, _ in asked.columns]
    value, error = told.value[0, shown], told.error[0, shown]
    columns = pd.DataFrame(asked.columns, columns=["outcome", "horizon_months"])[shown].reset_index(drop=True)
    numbers = {"value": value, "low": value - _REACH * error, "high": value + _REACH * error, "overlap": told.overlap[0, shown]}
    return columns.assign(**numbers)


def _no_gains() -> pd.DataFrame:
    """Give the table of gains without a row."""
    texts = dict.fromkeys(("person", "lot", "session", "action_type", "sector"), "str")
    numbers = dict.fromkeys(("reached", "promised", "promised_error", "gain"), "float64")
    kinds = texts | numbers | {"start": "datetime64[us]"}
    order = ("person", "start", "lot", "session", "action_type", "sector", "reached", "gain", "promised", "promised_error")
    return pd.DataFrame({name: pd.Series(dtype=kinds[name]) for name in order})
