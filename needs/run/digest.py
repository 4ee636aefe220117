"""What to read first: what a run knew, how far its figures may be trusted, and what it does not say yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.build import Features
from features.tables import Tables
from models.lessons import STEPS, sum_up
from models.purchase import Plan
from needs.params import Params
from needs.run.digest_plan import CODES_TOLD, Line, tell_plan
from needs.run.door import Door
from needs.run.forecasts import DIGESTED
from needs.run.skills import MASS, mass_of_bassins
from needs.show.messages import say


@dataclass(frozen=True)
class Digested:
    """What the digest looks at."""

    known: Tables
    features: Features
    tables: Mapping[str, pd.DataFrame]
    judged: pd.DataFrame
    skill_mass: pd.DataFrame
    plan: Plan
    audited: pd.DataFrame
    granted: pd.DataFrame
    seats_gap: float
    everybody: pd.DataFrame
    door: Door
    stale_days: int
    models_told: Sequence[Line] = ()

    @property
    def needs_months(self) -> int:
        """How many months the plan can still serve."""
        return int(self.tables["sector_needs"]["period"].nunique())


STALE_DAYS = 31


def write_digest(digested: Digested, params: Params) -> pd.DataFrame:
    """Write the digest. One row per line: severity, topic, message in words, figure; warnings come first."""
    lines = [
        *_sources(digested),
        *_people(digested, params),
        *digested.models_told,
        *_forecasts(digested),
        *_skills(digested),
        *_effects(digested, params),
        *tell_plan(digested.plan, digested.needs_months, params.purchase),
        *_lessons(digested),
        *_silences(digested),
    ]
    told = sorted(lines, key=lambda line: line[0] != "warning")
    return pd.DataFrame(
        {
            "line": range(1, len(told) + 1),
            "severity": [severity for severity, _, _, _ in told],
            "topic": [topic.partition(".")[0] for _, topic, _, _ in told],
            "message": [say(f"digest.{topic}", params.show.language, **values) for _, topic, values, _ in told],
            "figure": [figure for _, _, _, figure in told],
        }
    )


def _sources(digested: Digested) -> Iterator[Line]:
    """Say what was missing or wrong at the door."""
    if digested.door.simulated:
        yield "warning", "sources.simulated", {}, 0.0
    if digested.stale_days > STALE_DAYS:
        yield "warning", "sources.stale", {"days": digested.stale_days}, digested.stale_days
    for source, count in sorted(digested.door.rejected.items()):
        yield "warning", "sources.rejected", {"source": source, "count": count}, count
    for source, count in sorted(digested.door.unknown.items()):
        yield "warning", "sources.unknown", {"source": source, "count": count}, count
    for name in ("offers", "bmo", "catalogue", "jobseekers", "trainings", "employment", "purchases", "sessions"):
        if not digested.known.count(name):
            yield "warning", "sources.missing", {"source": name}, 0.0
    if count := int(digested.features.seen.border["positions"].sum()):
        yield "info", "sources.border", {"count": count}, count
    if count := int(digested.features.seen.unplaced_signals["signals"].sum()):
        yield "warning", "sources.unplaced_signals", {"count": count}, count
    if count := len(digested.features.crosswalks.corrections):
        yield "info", "sources.corrections", {"count": count}, count
    yield from _unmapped(digested.features.unmapped)


def _unmapped(listed: pd.DataFrame) -> Iterator[Line]:
    """Say what no crosswalk reaches: the volume of each measure, and its largest codes."""
    for measure, rows in listed.groupby("measure", sort=False):
        lost, total = float(rows["volume"].sum()), float(rows["total"].iloc[0])
        values = {"count": lost, "share": lost / total, "codes": ", ".join(rows["code"].head(CODES_TOLD))}
        yield "warning", f"sources.unmapped_{measure}", values, lost


def _people(digested: Digested, params: Params) -> Iterator[Line]:
    """Say how many people are served; groups too small to be shown are not counted here either."""
    people, smallest = digested.features.people, params.features.privacy.smallest_cell
    yield "info", "people.seen", {"count": len(people)}, len(people)
    if (nowhere := int(people["territory"].isna().sum())) >= smallest:
        yield "warning", "people.nowhere", {"count": nowhere}, nowhere
    if (objecting := int(people["opposition"].fillna(False).sum())) >= smallest:
        yield "info", "people.opposition", {"count": objecting}, objecting
    served = digested.tables["recommendations"]["person"].nunique()
    yield "info", "people.served", {"count": served, "share": served / max(len(people), 1)}, served
    granted = len(digested.granted)
    yield "info", "people.granted", {"count": granted, "gap": np.ceil(1000 * digested.seats_gap) / 1000}, granted
    hidden = len(digested.features.outcomes) - len(digested.tables["outcomes"])
    yield "info", "people.hidden_cells", {"count": hidden, "smallest": smallest}, hidden


def _forecasts(digested: Digested) -> Iterator[Line]:
    """Say how the forecast fared over past years, wins and losses alike."""
    for grain, rows in digested.judged.groupby("grain"):
        means = rows.groupby("model")[["wape", "pit_coverage"]].mean()
        ours, naive = (float(means["wape"][name]) for name in DIGESTED)
        values = {"ours": ours, "naive": naive, "coverage": float(means["pit_coverage"][DIGESTED[0]])}
        yield ("info" if ours <= naive else "warning"), f"forecasts.backtest_{grain}", values, ours
    if blind := int((digested.features.coverage["projects"] == 0).sum()):
        yield "warning", "forecasts.no_survey", {"count": blind}, blind


def _skills(digested: Digested) -> Iterator[Line]:
    """Say of the recruitments of the year bought for, else of the last whole one, how far it is told which skills they ask."""
    told = mass_of_bassins(digested.skill_mass)
    if told["asked"].sum() <= 0:
        yield "warning", "silence.skills", {}, 0.0
        return
    year = str(digested.plan.exercise) if str(digested.plan.exercise) in told.index else str(told.index[-1])
    need, silent, asked, rows = (float(told[name][year]) for name in MASS)
    values = {"year": year, "need": need, "silent": silent / max(need, 1.0), "each": asked / max(need - silent, 1.0)}
    yield "info", "skills.mass", {**values, "told": rows / max(asked, 1.0)}, asked


def _effects(digested: Digested, params: Params) -> Iterator[Line]:
    """Say what training adds, and what speaks against it."""
    table, months = digested.tables["effects"], params.effects.horizon_months
    told = table[(table["group"] == "all") & (table["outcome"] == "durable") & (table["horizon_months"] == months)]
    types = told[(told["sector"] == "") & told["value"].notna()]
    if types.empty or types["n"].sum() <= 0:
        yield "warning", "silence.effects", {}, 0.0
        return
    means = {name: float((types[name] * types["n"]).sum() / types["n"].sum()) for name in ("value", "low", "high", "raw_rate")}
    values = {"effect": means["value"], "low": means["low"], "high": means["high"], "rate": means["raw_rate"], "months": months}
    yield "info", "effects.told", values, means["value"]
    for row in digested.everybody.query("outcome == 'durable' and horizon_months == @months and value.notna()").to_dict(
        "records"
    ):
        values = {"effect": row["value"], "low": row["low"], "high": row["high"], "share": row["overlap"]}
        yield "info", "effects.everybody", values, row["value"]
    if refused := int((told["lowered"] == "refused").sum()):
        yield "warning", "effects.refused", {"count": refused}, refused
    for doubt in ("designs", "placebo"):
        if count := int(types["lowered"].str.contains(doubt).sum()):
            yield "warning", f"effects.{doubt}", {"count": count}, count
    if types["lowered"].str.contains("control").any():
        control = float(types["control"].iloc[0])
        yield "warning", "effects.control", {"effect": control}, control
    if scored := len(digested.tables["course_scores"]):
        yield "info", "effects.scores", {"count": scored}, scored
    if len(digested.audited):
        moved = float(digested.audited["moved"].abs().max())
        yield "info", "effects.moved", {"moved": moved}, moved


def _lessons(digested: Digested) -> Iterator[Line]:
    """Say of the newest purchases that are over what was predicted and what was obtained."""
    for exercise, lots in digested.tables["lessons"].groupby("exercise"):
        sums = sum_up(lots)
        told = {"exercise": exercise, **sums}
        yield "info", "lessons.lots", told, sums["unsuccessful"]
        for step in STEPS:
            values = {"exercise": exercise, "share": sums[step], "predicted": sums[f"{step}_predicted"]}
            if pd.notna(sums[step]):
                yield "info", f"lessons.{step}", values, sums[step]
        if sums["scored"]:
            yield "info", "lessons.jobs", told, sums["jobs"]


def _silences(digested: Digested) -> Iterator[Line]:
    """Say what the run does not estimate yet."""
    if (digested.features.outcomes["horizon_months"] >= 12).sum() == 0:
        yield "warning", "silence.outcomes", {}, 0.0
