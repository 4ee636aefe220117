"""Under what the plan holds: the run that made it, and every parameter that could have made another."""

from __future__ import annotations

import pandas as pd

from models.envelopes import Envelope, Rule
from needs.params import describe_params
from needs.run.inputs import Inputs

_STATED = ("purchase.envelopes", "purchase.rules")  # told one by one
_PLAN_PARAMS = ("purchase.", "ranking.", "features.privacy.", "features.grades.")


def list_assumptions(inputs: Inputs) -> pd.DataFrame:
    """List what the plan holds under: the run, then the parameters of purchase, ranking, privacy, grades. One row per name."""
    params = inputs.params
    described = describe_params(params)
    kept = described[described["name"].str.startswith(_PLAN_PARAMS) & ~described["name"].isin(_STATED)]
    run = [{"name": f"run.{name}", "value": value} for name, value in _said_of(inputs).items()]
    stated = [
        {"name": f"purchase.{what}.{each.name}", "value": _set_values(each)}
        for what, members in (("envelopes", params.purchase.envelopes), ("rules", params.purchase.rules))
        for each in members
    ]
    columns = ["name", "value", "default", "unit", "meaning"]
    rows = pd.concat([pd.DataFrame(run), pd.DataFrame(stated), kept], ignore_index=True)[columns].astype("str").fillna("")
    return rows.assign(line=range(1, len(rows) + 1))


def _said_of(inputs: Inputs) -> dict[str, str]:
    """Say which run it is."""
    return {
        "run_id": inputs.run_id,
        "as_of": f"{inputs.as_of:%Y-%m-%d}",
        "exercise": str(inputs.exercise),
        "horizon": f"{inputs.served[0]} – {inputs.served[-1]}",
        "code_version": inputs.code,
        "data_sha256": inputs.data_sha256,
        "params_sha256": inputs.params.sha256(),
    }


def _set_values(member: Envelope | Rule) -> str:
    """Spell what an envelope or a rule says beside its name, what it leaves open aside."""
    said = member.model_dump(exclude_defaults=True, exclude={"name"})
    return ", ".join(f"{name} {_plain(value)}" for name, value in said.items())


def _plain(value: object) -> str:
    """Spell a value as people write it: no decimals where there are none, lists as words."""
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
