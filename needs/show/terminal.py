"""What each command prints, as text: one function a command, each over the same library as the nightly job."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from features.places import place

from features import facts
from features.contracts import Checked
from features.sources import SOURCES, Source
from features.vocabulary import BASSIN, InputError
from needs.home import Home
from needs.params import Params, describe_params
from needs.privacy import load_key, pseudonym
from needs.run.ingest import region_communes
from needs.run.nightly import database_url, run_nightly, show
from needs.show.messages import say, tell
from needs.store.publish import list_runs, open_database, read_current, rollback
from needs.twin import draw

LOTS_SHOWN = 25
FAULTS_SHOWN = 10


def tell_demo(home: Home, scale: str, seed: int, as_of: str) -> str:
    """Draw a simulated region and say where it lies."""
    if not pd.Series([as_of]).str.fullmatch(r"\d{4}-\d{2}-\d{2}").all():
        raise InputError(f"--as-of '{as_of}' is not a day. Write it like 2026-03-31.")
    draw(home, scale=scale, seed=seed, as_of=pd.Timestamp(as_of))
    drawn = f"A simulated region ({scale}, seed {seed}, known up to {as_of}) lies in {home.raw}."
    return f"{drawn} Next: needs --home {home.root} nightly"


def tell_check(home: Home, source: str, paths: Sequence[Path], params: Params) -> str:
    """Read files strictly and say what is in them."""
    if source not in SOURCES:
        raise InputError(f"'{source}' is not a source. Sources are {', '.join(SOURCES)}.")
    named = SOURCES[source]
    checked = place(named.read(paths), named.contract, region_communes(home))
    judged = max(len(checked.kept) + len(checked.rejected), 1)
    usable = len(checked.rejected) <= params.ingest.reject_budget * judged
    verdict = (
        "the engine may use it" if usable else f"refused: more than {params.ingest.reject_budget:.1%} of the rows are wrong"
    )
    return "\n".join([*_describe_checked(named, checked), verdict])


def _describe_checked(source: Source, checked: Checked) -> list[str]:
    """Say rows, period, territories, sums and faults."""
    kept, contract = checked.kept, source.contract
    counts = f"{checked.read} rows read, {len(kept)} kept, {len(checked.rejected)} wrong, {checked.duplicates} repeated"
    lines = [f"{contract.name}: {contract.row}", f"{counts}, {checked.outside} outside the Region"]
    if contract.known_from and len(kept):
        lines.append(f"known from {kept[contract.known_from].min():%Y-%m-%d} to {kept[contract.known_from].max():%Y-%m-%d}")
    if "territory" in kept:
        lines.append(f"{kept['territory'].nunique()} territories")
    sums = {
        c.name: float(kept[c.name].sum()) for c in contract.columns if c.kind in ("number", "integer") and c.name in _SUMMED
    }
    lines += [f"sum of {name}: {total:,.0f}" for name, total in sums.items()]
    lines += [f"{name}: {int(kept[name].sum())} secrets" for name in kept if str(name).endswith("_secret")]
    faults = checked.rejected.head(FAULTS_SHOWN)
    return lines + [f"  {row.file}, line {row.line}: {row.reason}" for row in faults.itertuples()]


_SUMMED = {"positions", "projects", "difficult", "seasonal", "seats", "places", "entries", "cost_eur", "openings", "population"}


def tell_nightly(home: Home, params: Params, as_of: str | None) -> str:
    """Run the chain and say where the results lie."""
    published = run_nightly(home, params, as_of)
    state = "published" if published.new else "already published: nothing changed"
    shown = [f"run {published.run_id} {state}", f"page      {published.report}", f"database  {published.database}"]
    return "\n".join([*shown, *(f"export    {path}" for path in published.exports)])


def tell_plan(home: Home, params: Params, territory: str | None) -> str:
    """Show the lots of the current run, the most valuable first."""
    lots = read_current(open_database(database_url(home, params)), "lots")
    if territory:
        lots = lots[lots["territory"] == BASSIN.parse(territory, "--territory")]
    if lots.empty:
        return say("terminal.no_lot", params.show.language)
    best = lots.sort_values(["value", "lot_id"], ascending=[False, True]).head(LOTS_SHOWN)
    group, euros = best["places"] // best["sessions"], best["cost_cents"] / 100
    where = best["territory"].map(facts.territories().set_index("territory")["title"])
    what = best["formacode"].map(facts.formacodes().set_index("formacode")["title"]).fillna(best["formacode"])
    columns = zip(where, what, best["sessions"], group, euros, best["value"], best["grade"], strict=True)
    rows = [f"{a:<22.22} {b:<38.38} {c:>3} × {d:<3} {e:>12,.0f} € {f:>7.1f} {g}" for a, b, c, d, e, f, g in columns]
    totals = {"places": int(lots["places"].sum()), "cost": lots["cost_cents"].sum() / 100, "jobs": lots["value"].sum()}
    head, total = (say(f"terminal.plan_{part}", params.show.language, lots=len(lots), **totals) for part in ("head", "total"))
    return "\n".join([head, *rows, total])


def tell_match(home: Home, params: Params, person: str) -> str:
    """Show what is proposed to one person, and why."""
    proposed = read_current(open_database(database_url(home, params)), "recommendations")
    own = proposed[proposed["person"] == pseudonym(load_key(), person)]
    if own.empty:
        return say("terminal.no_course", params.show.language)
    columns = zip(own["rank"], own["session"], own["starts"], own["distance_km"], own["reasons"], strict=True)
    return "\n".join(f"{a:>2}. {b}  {c}  {d:.0f} km  {tell(e, params.show.language)}" for a, b, c, d, e in columns)


def tell_report(home: Home, params: Params) -> str:
    """Write the page and the exports again and say where they lie."""
    page, exports = show(home, params)
    return "\n".join(str(path) for path in (page, *exports))


def tell_runs(home: Home, params: Params) -> str:
    """List the published runs."""
    listed = list_runs(open_database(database_url(home, params)))
    if listed.empty:
        return "Nothing has been published yet: run 'needs nightly'."
    return "\n".join(
        f"{'*' if row.current else ' '} {row.run_id}  as of {row.as_of}  finished {row.finished_at}  {row.status}"
        for row in listed.itertuples()
    )


def tell_rollback(home: Home, params: Params, run: str | None) -> str:
    """Go back to an earlier run."""
    return (
        f"{rollback(open_database(database_url(home, params)), run)} is the current run. 'needs report' writes its page again."
    )


def tell_params(params: Params) -> str:
    """Print the effective parameters."""
    rows = describe_params(params)
    return "\n".join(_tell_param(*map(str, row)) for row in rows.itertuples(index=False))


def _tell_param(name: str, value: str, default: str, unit: str, bounds: str, meaning: str) -> str:
    """Print one parameter: its value, what it means, its unit, bounds and default."""
    details = [meaning, *([f"[{unit}]"] if unit else []), *([bounds] if bounds else [])]
    return f"{name} = {value}\n    {' '.join(details)}" + (f" (default {default})" if value != default else "")
