"""Courses and people in groups: each group of those who entered is compared, and small ones lean on wider ones.

Courses lie in steps: all of them, a type, a type in a sector. People lie in groups that overlap: level, age, sex, time without
work, public, kind of place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit

from models.cores import at_once
from models.doubly_robust import ComparisonParams, Crossfit, Flags, Numbers, Odds, Sample, Told, Whole, learn_odds
from models.shrinkage import Estimates, lean

EVERY = "all"
_FEWEST_OTHERS, _MOST_OTHERS, _OTHERS = 1000, 4000, 10  # entrants of other courses that a course is set apart from


def mark_groups(people: pd.DataFrame) -> pd.DataFrame:
    """Say to which groups each person belongs. One row per person, one flag per group; ``all`` comes first; unknown is no."""
    level, age, waits = (people[name].astype("float64") for name in ("level", "age", "unemployed_months"))
    place = people["place_class"] if "place_class" in people else pd.Series("", index=people.index)
    marks = {
        EVERY: pd.Series(True, index=people.index),
        "level=infra4": level < 4,
        "level=4": level == 4,
        "level=5plus": level > 4,
        "age=u26": age < 26,
        "age=26_44": (age >= 26) & (age < 45),
        "age=45plus": age >= 45,
        "sex=H": people["sex"] == "H",
        "sex=F": people["sex"] == "F",
        "duration=lt12": waits < 12,
        "duration=ge12": waits >= 12,
        **{f"public={name}": people[name].astype("boolean") for name in ("rsa", "qpv", "th", "neet")},
        **{f"place={name}": place == name for name in ("tight", "middle", "slack")},
    }
    return pd.DataFrame({name: mark.fillna(value=False).astype(bool) for name, mark in marks.items()})


@dataclass(frozen=True)
class Cells:
    """The groups of courses that are told apart: all, each type, each type in a sector, in this order.

    ``names`` holds type and sector, empty for all; ``home`` the position of what each leans on; ``code`` the narrowest cell of
    each row of the sample, −1 where nobody entered.
    """

    names: tuple[tuple[str, str], ...]
    home: Whole
    code: Whole

    @classmethod
    def of(cls, starts: pd.DataFrame, treated: Flags) -> Cells:
        """Number the courses of those who entered."""
        pairs = pd.MultiIndex.from_arrays([starts["action_type"], starts["formacode"].str[:3]])
        listed = pairs[treated].unique().sort_values()
        kinds = listed.get_level_values(0).unique()
        names = (("", ""), *((str(kind), "") for kind in kinds), *((str(kind), str(sector)) for kind, sector in listed))
        home = [-1, *[0] * len(kinds), *(1 + kinds.get_indexer(listed.get_level_values(0)))]
        code = np.where(treated, listed.get_indexer(pairs) + 1 + len(kinds), -1)
        return cls(names, np.array(home, dtype=np.int64), code.astype(np.int64))

    @property
    def types(self) -> Whole:
        """The positions of the types."""
        return np.flatnonzero(self.home == 0)

    @property
    def pairs(self) -> Whole:
        """The positions of types in a sector."""
        return np.flatnonzero(self.home > 0)

    def rows(self, cell: int) -> Flags:
        """Mark the rows of a cell."""
        inside = {-1: self.code >= 0, 0: np.isin(self.code, np.flatnonzero(self.home == cell))}
        return np.asarray(inside.get(int(self.home[cell]), self.code == cell))


def compare_cells(fitted: Crossfit, cells: Cells, marks: Flags, smallest: float) -> tuple[Told, Numbers]:
    """Compare those who entered each cell, by group: arrays of cells × groups × columns; then the imbalance left, by cell."""
    sample, rows = fitted.sample, np.stack([cells.rows(cell) for cell in range(len(cells.names))], axis=1)
    learned = at_once(lambda of: _learn_tilt(sample, of, fitted.params, smallest), rows.T)
    coef, intercept = np.stack([of.coef for of in learned], axis=1), np.array([of.intercept for of in learned])

    def tilt(some: Whole) -> Numbers:
        return np.asarray(expit(np.clip(sample.design[some] @ coef + intercept, -30.0, 30.0)))

    return fitted.entrants(rows, marks, tilt), fitted.imbalance(rows, tilt)


def _learn_tilt(sample: Sample, cell: Flags, params: ComparisonParams, smallest: float) -> Odds:
    """Learn the odds that people like each row, among all who enter, enter this cell. Sure where too few did, or all."""
    others = np.flatnonzero(sample.treated & ~cell)
    if cell.sum() < smallest or not len(others):
        return Odds(np.zeros(sample.design.shape[1]), np.inf)
    step = max(1, len(others) // min(max(_FEWEST_OTHERS, _OTHERS * int(cell.sum())), _MOST_OTHERS))
    taken = others[np.argsort(sample.person[others], kind="stable")][::step]  # hashed numbers: an even choice in any order
    rows = np.concatenate([np.flatnonzero(cell), taken])
    odds = learn_odds(sample.design[rows], cell[rows], params.tilt_penalty)
    return Odds(odds.coef, odds.intercept + np.log(len(taken) / len(others)))


def pool_cells(told: Told, cells: Cells, hidden: Flags) -> Estimates:
    """Let types lean on all courses, a type in a sector on the type, and groups of people on how they differ elsewhere.

    Arrays as in ``told``; what is ``hidden`` says nothing of its own. The first group holds everybody. A group of a type leans
    on everybody of the type, moved by how such people differ over all courses; a group of a type in a sector on everybody
    there, moved by how they differ in the type.
    """
    raw = Estimates.raw(*(np.where(hidden, np.nan, of) for of in (told.value, told.error)))
    types, pairs = cells.types, cells.pairs
    home, one = cells.home[pairs], np.zeros(len(cells.names), dtype=np.int64)
    whole = raw.at(one, 0)
    done = [raw.at(np.arange(1), 0)]
    done.append(lean(raw.at(types, 0), whole.at(types), one[types]))
    done.append(lean(raw.at(pairs, 0), done[1].at(home - 1), home - 1))
    groups = [_stack(done)]
    for group in range(1, told.value.shape[1]):
        shift = raw.at(one, group).minus(whole)
        of_types = lean(raw.at(types, group), done[1].plus(shift.at(types)), one[types])
        moved = done[2].plus(of_types.minus(done[1]).at(home - 1))
        groups.append(_stack([raw.at(np.arange(1), group), of_types, lean(raw.at(pairs, group), moved, one[pairs])]))
    return Estimates(*(np.stack([getattr(each, name) for each in groups], axis=1) for name in vars(raw)))


def _stack(parts: list[Estimates]) -> Estimates:
    return Estimates(*(np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])))
