"""The message of a night: what somebody must look at, and what changed since the run before, short enough to be read.

The text is for a mail, in the language of planners; what machines read holds the same, whole, with codes and integer cents.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from sqlalchemy import Engine

from features.errors import InputError
from needs.run.changes import CHANGED, DIMENSIONS, GONE, NEW, Changes, compare_plans
from needs.run.comparisons import GATES
from needs.run.inputs import Inputs
from needs.run.serving import Failed
from needs.run.waivers import EXPIRED, STRAY, WAIVED
from needs.show.figures import count, euros
from needs.show.messages import say
from needs.show.titles import titled
from needs.store.lake import move_in
from needs.store.publish import Run, list_runs, read_run
from needs.store.schema import conform

_ANOMALIES_TOLD, _MOVES_TOLD, _LOTS_TOLD = 20, 3, 3
_DAY = {"fr": "%d/%m/%Y", "en": "%Y-%m-%d"}
_SIGNED = ["gate", "group", "value", "low", "high", "note", "author", "motive", "expires"]
Tables = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Message:
    """The message of a night: its text, and what machines read."""

    text: str
    told: dict[str, object]


def write_message(
    tables: Tables, before: Tables, gates: pd.DataFrame, run: Run, language: str, *, extra: Sequence[str] = ()
) -> Message:
    """Write what to look at, and what changed since the run ``before`` (nothing: there was none).

    ``gates`` are the rows that the gates gave; ``extra`` are lines that steps of the night have to say, already in words.
    """
    warned = tables["digest"].query("severity == 'warning'")["message"].tolist()
    signed = conform("gates", gates)
    anomalies = [*extra, *_tell_gates(signed, language), *warned]
    changes = compare_plans(tables["lots"], before["lots"]) if before else None
    lines = [
        say("message.title", language, day=run.as_of.strftime(_DAY[language]), run=run.run_id),
        "",
        *_tell_anomalies(anomalies, language),
        "",
        *_tell_changes(tables, before, changes, language),
    ]
    told: dict[str, object] = {
        "run_id": run.run_id,
        "as_of": run.as_of.isoformat(),
        "first": not before,
        "anomalies": anomalies,
        "gates": _records(signed.loc[signed["note"].isin([WAIVED, EXPIRED, STRAY]), _SIGNED]),
        "changes": _spell_changes(changes) if changes else {},
    }
    return Message("\n".join(lines) + "\n", told)


def repeat_message(engine: Engine, run: Run, language: str) -> Message:
    """Write the message of a run that is published, against the one before it."""
    runs = list_runs(engine)["run_id"].tolist()
    earlier = runs[runs.index(run.run_id) + 1 :][:1]
    tables = {name: read_run(engine, name, run.run_id) for name in ("lots", "digest")}
    before = {"lots": read_run(engine, "lots", earlier[0])} if earlier else {}
    return write_message(tables, before, read_run(engine, "gates", run.run_id), run, language)


def refused_message(refusal: InputError, inputs: Inputs) -> Message:
    """Write the message of a run that the gates did not let through."""
    title = say(
        "message.refused",
        inputs.params.show.language,
        day=inputs.as_of.strftime(_DAY[inputs.params.show.language]),
        run=inputs.run_id,
    )
    told: dict[str, object] = {"run_id": inputs.run_id, "as_of": f"{inputs.as_of:%Y-%m-%d}", "refused": list(refusal.faults)}
    return Message("\n".join([title, "", *(f"- {fault}" for fault in refusal.faults)]) + "\n", told)


def tell_failed(failed: Sequence[Failed], language: str) -> list[str]:
    """Say of which territories the run says nothing, and why. A line each."""
    return [say("message.failed", language, territory=one.territory or "–", error=one.error, where=one.where) for one in failed]


def tell_unreached(as_of: str, language: str) -> str:
    """Say that MLflow does not answer, and of which day the models are that serve."""
    return say("message.unreachable", language, as_of=as_of)


def leave_message(folder: Path, name: str, message: Message) -> None:
    """Write a message beside those of other runs: its text, and what machines read."""
    move_in(folder / f"{name}.json", json.dumps(message.told, ensure_ascii=False, indent=1))
    move_in(folder / f"{name}.txt", message.text)


def has_message(folder: Path, name: str) -> bool:
    """Whether a message was left, whole: its text is written last."""
    return (folder / f"{name}.txt").exists()


def _records(rows: pd.DataFrame) -> list[dict[str, object]]:
    """Give rows as machines read them. A dict per row, missing cells None."""
    plain = rows.astype(object).where(rows.notna(), None)
    return [{str(name): value for name, value in row.items()} for row in plain.to_dict("records")]


# What to look at --------------------------------------------------------------------------------------------------------


def _tell_anomalies(anomalies: Sequence[str], language: str) -> Iterator[str]:
    if not anomalies:
        yield say("message.nothing", language)
        return
    yield say("message.anomalies", language, count=len(anomalies))
    yield from (f"- {line}" for line in anomalies[:_ANOMALIES_TOLD])
    if (others := len(anomalies) - _ANOMALIES_TOLD) > 0:
        yield say("message.more_anomalies", language, count=others)


def _tell_gates(gates: pd.DataFrame, language: str) -> Iterator[str]:
    """Say which gates people let the run through, which waivers are over, which name nothing. A line each, never per group."""
    for note in (WAIVED, EXPIRED, STRAY):
        rows = gates[gates["note"] == note].assign(broken=gates["held"] == 0)
        for (gate, author, motive, expires), own in rows.groupby(["gate", "author", "motive", "expires"]):
            known = say(f"gate_{gate}", language) if gate in GATES else str(gate)
            groups = ", ".join(own.loc[own["broken"] | (note != WAIVED), "group"].head(_MOVES_TOLD))
            values = {"gate": known, "groups": groups, "author": author, "motive": motive}
            day = pd.Timestamp(str(expires)).strftime(_DAY[language])
            yield say(f"message.{note}", language, **values, day=day, count=int(own["broken"].sum()))


# What changed -----------------------------------------------------------------------------------------------------------


def _tell_changes(tables: Tables, before: Tables, changes: Changes | None, language: str) -> Iterator[str]:
    """Say what changed in the plan, in euros and places; in one line where nothing did."""
    if changes is None:
        yield say("message.first", language)
        return
    sums = {str(name): int(changes.totals[name].sum()) for name in changes.totals if name != "plan"}
    spent = {name: euros(sums[name], language) for name in ("cents", "cents_before")}
    counts = {"lots": len(tables["lots"]), "lots_before": len(before["lots"])}
    if changes.lots.empty:
        yield say("message.same", language, **counts, places=sums["places"], cents=spent["cents"])
        return
    places = {name: sums[name] for name in ("places", "places_before")}
    yield say(
        "message.totals", language, **counts, **places, **spent, **_moves(sums["cents"] - sums["cents_before"], 0, language)
    )
    years = [side["lots"]["exercise"].dropna().unique() for side in (before, tables)]
    if all(len(of) for of in years) and set(years[0]) != set(years[1]):
        yield say("message.exercise", language, before=str(years[0].min()), after=str(years[1].min()))
    for dimension in DIMENSIONS:
        yield from _tell_moves(changes.moves[dimension], dimension, language)
    yield from _tell_lots(changes.lots, language)


def _moves(cents: int, places: int, language: str) -> dict[str, object]:
    """Write what moved, with its sign."""
    written = {"moved": euros(cents, language), "places_moved": count(places, language)}
    return {name: f"+{text}" if more > 0 else text for (name, text), more in zip(written.items(), (cents, places), strict=True)}


def _tell_moves(moves: pd.DataFrame, dimension: str, language: str) -> Iterator[str]:
    """Say the largest moves along one dimension."""
    if moves.empty:
        return
    yield say(f"message.by_{dimension}", language, count=len(moves))
    shown = titled(moves.head(_MOVES_TOLD), language)
    names = shown[f"{dimension}_title"] if dimension != "envelope" else shown["envelope"]
    for name, cents, places in zip(names, shown["cents_moved"], shown["places_moved"], strict=True):
        yield "- " + say("message.move", language, name=name, **_moves(int(cents), int(places), language))


def _tell_lots(lots: pd.DataFrame, language: str) -> Iterator[str]:
    """Say how many lots came, went or moved, and the largest of each."""
    kinds = lots["change"].value_counts()
    yield say("message.lots", language, **{kind: int(kinds.get(kind, 0)) for kind in (NEW, GONE, CHANGED)})
    for kind in (NEW, GONE, CHANGED):
        for _, row in titled(lots[lots["change"] == kind].head(_LOTS_TOLD), language).iterrows():
            named = {"lot": row["lot_id"], "course": row["formacode_title"], "place": row["territory_title"]}
            moved = _moves(int(row["cents_moved"]), int(row["places_moved"]), language)
            yield "- " + say(f"message.lot_{kind}", language, **named, **moved)


def _spell_changes(changes: Changes) -> dict[str, object]:
    """Give all that changed as machines read it."""
    totals = changes.totals.drop(columns="plan").sum().to_dict()
    return {
        "totals": {str(name): int(value) for name, value in totals.items()},
        "moves": {name: _records(rows) for name, rows in changes.moves.items()},
        "lots": _records(changes.lots),
    }
