"""What the card of a run tells beside its published tables: the age and the print of each source, and how forecasts fared."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from features.tables import CONTRACTS
from needs.run.inputs import Inputs
from needs.run.training import Models
from needs.show.card import SOURCE, Facts


def facts_of(inputs: Inputs, models: Models) -> Facts:
    """Gather them from what a run was made of."""
    rows = []
    for contract in CONTRACTS:
        newest = inputs.tables.newest_of(contract) if contract.known_from else []
        day = f"{newest[0]:%Y-%m-%d}" if newest else ""
        rows.append((contract.name, inputs.tables.count(contract.name), day, _print_of(contract.name, inputs)))
    return Facts(pd.DataFrame(rows, columns=list(SOURCE)), models.judged, models.about.as_of)


def _print_of(source: str, inputs: Inputs) -> str:
    """Hash what a table is known by: its own hash, or where its print is made of several, the hash of them all."""
    prints = [value for name, value in sorted(inputs.prints.items()) if name.partition(" ")[0] == source]
    whole = "|".join(prints)
    return whole if re.fullmatch(r"[0-9a-f]{64}", whole) else hashlib.sha256(whole.encode()).hexdigest()


def leave_facts(folder: Path, run_id: str, facts: Facts, kept: Collection[str]) -> None:
    """Lay the facts of a run down where they are not yet, and clear those of runs that are no longer ``kept``."""
    path = folder / f"{run_id}.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        told = {
            "sources": facts.sources.to_dict("records"),
            "judged": json.loads(facts.judged.to_json(orient="records")),
            "learned_at": facts.learned_at,
        }
        (folder / f".{path.name}").write_text(json.dumps(told), encoding="utf-8")
        (folder / f".{path.name}").replace(path)
    for other in folder.glob("*.json"):
        if other.stem not in {run_id, *kept}:
            other.unlink()


def read_facts(folder: Path, run_id: str) -> Facts:
    """Read the facts of a run; without a row where none were left."""
    path = folder / f"{run_id}.json"
    if not path.exists():
        return Facts(pd.DataFrame(columns=list(SOURCE)), pd.DataFrame(), "")
    told = json.loads(path.read_text(encoding="utf-8"))
    return Facts(pd.DataFrame(told["sources"], columns=list(SOURCE)), pd.DataFrame(told["judged"]), told["learned_at"])
