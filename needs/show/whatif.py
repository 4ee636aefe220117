"""What a scenario changes of the current plan, as text and as a file: totals, rules, then lot by lot, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from features.decisions import read_decisions
from features.vocabulary import InputError
from models.purchase import Plan
from models.whatif import Step, compare_plans, sum_up
from needs.home import Home
from needs.params import Params
from needs.run.buying import grounds_of
from needs.run.digest_plan import tell_rules
from needs.run.shown import database_url
from needs.run.whatif import (
    Bought,
    Scenario,
    Terms,
    buy_again,
    changed_params,
    kept_decisions,
    read_options,
    tried_lots,
    with_tried,
)
from needs.show import figures
from needs.show.messages import say
from needs.show.proposals import LOTS_SHOWN, lay, read_bassin
from needs.show.published import Current, open_current
from needs.show.sheet import in_euros
from needs.show.titles import titled
from needs.show.workbook import write_csv
from needs.store.lake import read_tables
from needs.store.publish import read_run

_WIDTHS = (20, 34, 20, 8, -9, -14, -8, 15)
"""Of the columns shown; a column with a minus stands to the right."""
_WRITTEN = (
    *("territory_title", "formacode_title", "certification_title", "action_type_title", "level", "envelope"),
    *("sessions_from", "sessions_to", "places_from", "places_to", "cost_from_eur", "cost_to_eur", "jobs_from", "jobs_to"),
    *("because", "lot_id"),
)


@dataclass(frozen=True)
class _Tried:
    """What a scenario came to: the run it is set against, the steps from there, and the last plan."""

    run_id: str
    exercise: int
    steps: list[Step]
    plan: Plan


def tell_what_if(home: Home, params: Params, scenario: Scenario, territory: str | None) -> str:
    """Buy again as a scenario asks, and say what changes; all lots that do are written to ``exports``."""
    language = params.show.language
    changed = changed_params(params, scenario)
    tried = _try_out(home, open_current(database_url(home, params)), changed, scenario)
    rows = compare_plans(tried.steps)
    home.exports.mkdir(parents=True, exist_ok=True)
    path = write_csv(home.exports / f"whatif_{tried.exercise}.csv", _worded(rows, language), language)
    code = None if territory is None else read_bassin(territory, rows["territory"], language)
    shown = rows if code is None else rows[rows["territory"] == code]
    return "\n".join([*_sums(tried, rows, language), *_rules(tried.plan, language), *_lots(shown, path, language, code)])


def _try_out(home: Home, current: Current, params: Params, scenario: Scenario) -> _Tried:
    """Read what was published and what is known since, and buy again."""
    run_id = scenario.against or current.run_id
    before_lots = read_run(current.engine, "lots", run_id)
    exercise = _exercise(current, current.run_id, params)
    if (other := _exercise(current, run_id, params)) != exercise:
        raise InputError(
            f"--against {run_id}: it bought for {other}, and the current run for {exercise}. "
            "Give a run of the same exercise; 'needs runs' lists them."
        )
    known = read_tables(home.lake).known_at(current.as_of)
    decisions = read_decisions(with_tried(known.overrides, scenario.decisions, current.as_of), current.as_of)
    options = [read_options(read_run(current.engine, "options", name)) for name in (run_id, current.run_id)]
    before = Bought(before_lots, options[0], kept_decisions(read_run(current.engine, "decisions", run_id), exercise))
    steps, plan = buy_again(before, options[1], decisions, Terms(exercise, params, grounds_of(known, current.as_of)))
    if strange := [lot for lot in tried_lots(scenario.decisions) if lot in plan.decided.strange]:
        raise InputError(
            *(f"--decide {lot}: no lot that can be bought has this name; the workbook lists them." for lot in strange)
        )
    return _Tried(run_id, exercise, steps, plan)


def _exercise(current: Current, run_id: str, params: Params) -> int:
    """Say which year a run bought for: that of its lots, bought or not."""
    lots = pd.concat([read_run(current.engine, name, run_id)["exercise"] for name in ("lots", "rejected_lots")])
    return int(lots.max()) if len(lots) else params.purchase.exercise or current.as_of.year + 1


# In words ---------------------------------------------------------------------------------------------------------------


def _sums(tried: _Tried, rows: pd.DataFrame, language: str) -> Iterator[str]:
    """Say what both plans come to."""
    sums = [sum_up(step.lots).iloc[0] for step in (tried.steps[0], tried.steps[-1])]
    yield say("whatif.head", language)
    for code, each in zip(("before", "after"), sums, strict=True):
        counts = {name: int(each[name]) for name in ("lots", "places")}
        values = {**counts, "cost": each["cost_cents"] / 100, "jobs": each["jobs"], "run_id": tried.run_id}
        yield say(f"whatif.{code}", language, **values)
    others = float(sums[1]["jobs"] - sums[0]["jobs"] - (rows["jobs_to"] - rows["jobs_from"]).sum())
    if (moved := _signed(figures.count(others, language, 1), others)) not in ("0,0", "0.0", "+0,0", "+0.0"):
        yield say("whatif.others", language, jobs=moved)
    yield say("digest.plan.gap", language, gap=tried.plan.gap)


def _rules(plan: Plan, language: str) -> Iterator[str]:
    """Say what each rule came to and costs, and by how much those that cannot hold are missed."""
    for _, topic, values, _ in tell_rules(plan.rules):
        yield say(f"digest.{topic}", language, **values)


def _lots(rows: pd.DataFrame, path: Path, language: str, code: str | None) -> Iterator[str]:
    """Write the lots that change, the largest first. One text per lot, after the heads of their columns."""
    if rows.empty:
        yield say("whatif.none" if code is None else "whatif.none_here", language)
        return
    yield say("whatif.changed", language, lots=len(rows), path=path)
    heads = ("column_territory_title", "training", "column_action_type_title", "column_level", "whatif.sessions")
    yield lay([say(head, language) for head in (*heads, "cost_short", "terminal.jobs", "whatif.because")], _WIDTHS)
    for lot in titled(rows.head(LOTS_SHOWN), language).to_dict("records"):
        euros, jobs = round((lot["cost_cents_to"] - lot["cost_cents_from"]) / 100) * 100, lot["jobs_to"] - lot["jobs_from"]
        yield lay(
            [
                *(str(lot[f"{name}_title"]) for name in ("territory", "formacode", "action_type")),
                say("terminal.level", language, level=lot["exit_level"]) if lot["exit_level"] else "",
                f"{lot['sessions_from']} → {lot['sessions_to']}",
                _signed(figures.euros(euros, language), euros),
                _signed(figures.count(jobs, language, 1), jobs),
                say(f"because_{lot['because']}", language),
            ],
            _WIDTHS,
        )


def _signed(text: str, number: float) -> str:
    return f"+{text}" if number > 0 else text


def _worded(rows: pd.DataFrame, language: str) -> pd.DataFrame:
    """Put words on the lots that change. Same rows, with the columns of the file."""
    causes = {code: say(f"because_{code}", language) for code in rows["because"].unique()}
    named = titled(rows, language).rename(columns={"exit_level": "level"})
    money = {f"cost_{end}_eur": in_euros(named[f"cost_cents_{end}"]) for end in ("from", "to")}
    return named.assign(because=named["because"].map(causes).astype("str"), **money)[list(_WRITTEN)]
