"""Effects at the scale of a region, and effects of 200 groups beside what other libraries tell of them.

``draw`` draws the people and cuts them by a hash; ``publish`` estimates as a run does, ``compare`` tells 200 groups of a
smaller sample, whose design all share. Each is a process of its own, ``python effect_region.py publish folder``, and prints
the core seconds of the whole process, which other work on the machine hardly moves, and the seconds of the deed alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter, process_time
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.contracts import GradeLimits
from features.draws import even_draws
from features.starts import StartParams
from figures import Figure
from models.course_groups import EVERY, Cells, compare_cells, mark_groups, pool_cells
from models.doubly_robust import ComparisonParams, Sample, crossfit
from models.effects import EffectParams, estimate_effects
from models.likeness import ENTERED, LISTED, Asked, Describer, same_times, sample_of
from models.trust import TrustParams
from needs.twin.truth import effect_table
from people import draw_people, starts_of
from processes import Cost, timed

SEED, LISTS = 1, StartParams(most_listed=800_000)
TRAINED, OTHERS = 100_000, 400_000  # people
FEW_ENTERED, FEW_LISTED, GROUPS = 10_000, 10_000, 200
LIMITS, SMALLEST, TRUST = GradeLimits(100, 30, 10, 0.2, 0.5), 10, TrustParams()  # as shipped
OUTCOME, MONTHS = "durable", (6, 12, 18, 24)
SECONDS, GIGABYTES, RANK, SHARE = 300.0, 3.0, 0.8, 0.2
THREADS = 2
KEY = ["sector", "action_type", "group", "outcome", "horizon_months"]
Numbers = NDArray[np.float64]


class Compared(NamedTuple):
    """What someone told of the groups (groups × months), and the seconds it took."""

    value: Numbers
    seconds: float


def judge_region(folder: Path) -> Iterator[Figure]:
    """Estimate all effects of a region, and set them beside the true ones."""
    drawn = run("draw", folder)
    yield Figure("region: seconds of the draw", drawn.seconds, "s")
    yield Figure("region: memory of the draw", drawn.gigabytes, "GB")
    starts = pd.read_parquet(folder / "starts.parquet", columns=["person", "arm"])
    yield Figure("region: people", starts["person"].nunique(), "people")
    yield Figure("region: starts of who entered", int((starts["arm"] == ENTERED).sum()), "starts")
    cost = run("publish", folder)
    yield Figure(f"region: estimate_effects, {THREADS} threads", float(cost.printed.split()[-1]), "s", SECONDS)
    yield Figure("region: core seconds of that process, reading included", float(cost.printed.split()[0]), "s")
    yield Figure("region: peak memory, starts included", cost.gigabytes, "GB", GIGABYTES)
    table = pd.read_parquet(folder / "effects.parquet")
    groups = len(table[["sector", "action_type", "group"]].drop_duplicates())
    yield Figure("region: groups told", groups, "groups")
    yield Figure("region: 200 groups less those told", GROUPS - groups, "groups", 0)
    yield Figure("region: months from entry", table["horizon_months"].nunique(), "")
    truth = pd.read_parquet(folder / "truth.parquet").rename(columns={"effect": "truth"})
    yield from _ranks(table.merge(truth, on=KEY, how="inner", validate="one_to_one"))


def _ranks(rows: pd.DataFrame) -> Iterator[Figure]:
    """Tell how well effects are put in order, by type in a sector and by group of a type."""
    known = rows[rows["value"].notna() & (rows["horizon_months"] == 12)]
    every, whole = known["group"] == EVERY, known["sector"] == ""
    for what, of in {"type × sector": known[every & ~whole], "groups of a type": known[~every & whole]}.items():
        for outcome in ("durable", "work"):
            rank = of[of["outcome"] == outcome][["value", "own", "truth"]].corr(method="spearman")["truth"]
            size = int((of["outcome"] == outcome).sum())
            off = (of["value"] - of["truth"])[of["outcome"] == outcome]
            told = f"{what}, {outcome} 12, n {size}, bias {off.mean():+.3f}, own alone {rank['own']:.2f}"
            yield Figure(f"{told}: rank correlation", rank["value"], "")
            yield Figure(f"{what}, {outcome} 12: 1 − rank correlation", 1 - rank["value"], "", 1 - RANK)


# Beside others ------------------------------------------------------------------------------------------------------------


def judge_groups(folder: Path, peers: dict[str, Callable[[Path], Compared]]) -> Iterator[Figure]:
    """Compare what is told of 200 groups, and its seconds: ours, then each peer on the same people."""
    cost = run("compare", folder)
    told_ours = np.load(folder / "ours.npz")
    ours = Compared(told_ours["value"], float(cost.printed.split()[-1]))
    truth = np.load(folder / "groups.npz")["truth"]
    entrants = np.load(folder / "sample.npz")["groups"].sum(axis=0)
    yield Figure(
        f"{GROUPS} groups of {entrants.min()} to {entrants.max()} entrants, {len(MONTHS)} months: ours", ours.seconds, "s"
    )
    yield Figure("  root mean square error", rmse(ours.value, truth, truth), "")
    yield Figure("  root mean square error of its type's effect for each group", rmse(told_ours["of_type"], truth, truth), "")
    for name, ask in peers.items():
        told = ask(folder)
        known = int(np.isfinite(told.value).all(axis=1).sum())
        yield Figure(f"{name}, {known} groups told", told.seconds, "s")
        yield Figure("  root mean square error", rmse(told.value, truth, told.value), "")
        yield Figure(
            "  median error, ours ÷ theirs",
            median_error(ours.value, truth, told.value) / median_error(told.value, truth, told.value),
            "×",
        )
        yield Figure("  seconds, ours ÷ theirs", ours.seconds / told.seconds, "×", SHARE)
        error = rmse(ours.value, truth, told.value) / rmse(told.value, truth, told.value)
        yield Figure("  error, ours ÷ theirs", error, "×", 1.0)


def rmse(value: Numbers, truth: Numbers, told: Numbers) -> float:
    """Root mean square error where something was ``told``."""
    return float(np.sqrt(np.nanmean(np.where(np.isfinite(told), value - truth, np.nan) ** 2)))


def median_error(value: Numbers, truth: Numbers, told: Numbers) -> float:
    """Median of absolute errors where something was ``told``: a few groups that go astray do not move it."""
    return float(np.nanmedian(np.where(np.isfinite(told), np.abs(value - truth), np.nan)))


def run(deed: str, folder: Path) -> Cost:
    threads = [f"{library}_NUM_THREADS={THREADS}" for library in ("OMP", "OPENBLAS", "MKL")]
    return timed(["env", *threads, sys.executable, __file__, deed, str(folder)])


# Processes ----------------------------------------------------------------------------------------------------------------


def draw(folder: Path) -> float:
    """Draw a region, and keep some of its people by a hash: those who entered a course, others, and a smaller sample."""
    start = perf_counter()
    drawn = draw_people("calm", {}, SEED, "region")
    effect_table(drawn.chances).to_parquet(folder / "truth.parquet", index=False)
    starts = starts_of(drawn, LISTS)
    lot = pd.Series(even_draws(starts[["person"]]), index=starts.index)
    trained = set(starts.loc[starts["arm"] == ENTERED, "person"])
    of_trained = starts["person"].isin(trained)
    kept = first_people(starts, lot, of_trained, TRAINED) | first_people(starts, lot, ~of_trained, OTHERS)
    starts[kept].to_parquet(folder / "starts.parquet", index=False)
    _write_sample(starts, lot, folder)
    return perf_counter() - start


def first_people(starts: pd.DataFrame, lot: pd.Series[float], among: pd.Series[bool], count: int) -> pd.Series[bool]:
    """Mark the rows of the first ``count`` people by their hash."""
    drawn = lot[among].groupby(starts.loc[among, "person"]).first().nsmallest(count)
    return among & (lot <= drawn.max())


def _write_sample(starts: pd.DataFrame, lot: pd.Series[float], folder: Path) -> None:
    """Keep fewer people, described, with the 200 groups that most entered."""
    held = same_times(starts.assign(lot_of=lot), LISTED)
    arms = {ENTERED: FEW_ENTERED, LISTED: FEW_LISTED}
    few = pd.concat([held[held["arm"] == arm].nsmallest(count, "lot_of") for arm, count in arms.items()], ignore_index=True)
    few = few.drop(columns="lot_of")
    asked = Asked(tuple((OUTCOME, months) for months in MONTHS))
    sample = sample_of(few, Describer.of(few)(few), asked)
    cells, marks = Cells.of(few, sample.treated), mark_groups(few)
    truth = (
        pd.read_parquet(folder / "truth.parquet")
        .query("outcome == @OUTCOME")
        .pivot_table("effect", ["sector", "action_type", "group"], "horizon_months")
    )
    inside = np.stack([(cells.code == cell)[:, None] & marks.to_numpy() for cell in cells.pairs])  # pairs × rows × groups
    counts = inside.sum(axis=1)
    counts[:, ~marks.columns.isin(truth.index.get_level_values("group")) | (marks.columns == EVERY)] = 0
    pair, group = np.unravel_index(np.argsort(-counts, axis=None, kind="stable")[:GROUPS], counts.shape)
    names = [
        (cells.names[cells.pairs[p]][1], cells.names[cells.pairs[p]][0], str(marks.columns[g]))
        for p, g in zip(pair, group, strict=True)
    ]
    kinds = np.where(sample.treated, pd.factorize(few["action_type"], sort=True)[0], -1)
    np.savez(
        folder / "sample.npz",
        design=sample.design,
        treated=sample.treated,
        kind=kinds,
        outcomes=np.nan_to_num(sample.outcomes),
        counted=sample.counted,
        groups=inside[pair, :, group].T,
    )
    np.savez(folder / "groups.npz", pair=pair, group=group, truth=truth.reindex(names)[list(MONTHS)].to_numpy())
    few.to_parquet(folder / "few.parquet", index=False)


def publish(folder: Path) -> float:
    """Estimate all that a run publishes."""
    starts = pd.read_parquet(folder / "starts.parquet")
    start = perf_counter()
    table = estimate_effects(starts, EffectParams(), LIMITS, SMALLEST).table
    seconds = perf_counter() - start
    table.to_parquet(folder / "effects.parquet", index=False)
    return seconds


def compare(folder: Path) -> float:
    """Tell every group of the smaller sample, each leaning on wider ones; keep the 200."""
    few, wanted = pd.read_parquet(folder / "few.parquet"), np.load(folder / "groups.npz")
    held = dict(np.load(folder / "sample.npz"))
    marks = mark_groups(few).to_numpy()
    start = perf_counter()
    people = pd.util.hash_array(few["person"].to_numpy(dtype=object)).astype(np.int64)
    sample = Sample(held["design"], held["treated"], people, held["outcomes"], held["counted"])
    cells = Cells.of(few, sample.treated)
    told, _ = compare_cells(crossfit(sample, ComparisonParams()), cells, marks, SMALLEST)
    alike = (told.overlap >= TRUST.smallest_overlap) & (told.n_effective >= TRUST.fewest_compared)
    pooled = pool_cells(told, cells, (told.n < SMALLEST) | ~alike)
    seconds = perf_counter() - start
    pairs = cells.pairs[wanted["pair"]]
    np.savez(folder / "ours.npz", value=pooled.value[pairs, wanted["group"]], of_type=pooled.value[cells.home[pairs], 0])
    return seconds


DEEDS = {"draw": draw, "publish": publish, "compare": compare}

if __name__ == "__main__":
    seconds = DEEDS[sys.argv[1]](Path(sys.argv[2]))
    print(process_time(), seconds)
