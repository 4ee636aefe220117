"""What each command prints, as text: one function a command, each over the same library as the nightly job."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from features.contracts import Checked
from features.places import place
from features.sources import SOURCES, Source
from features.vocabulary import InputError
from needs.home import Home
from needs.params import Params, describe_params
from needs.run.ingest import region_communes
from needs.run.nightly import database_url, run_nightly, show
from needs.run.progress import ticking
from needs.show.figures import many
from needs.show.proposals import tell_match as tell_match
from needs.show.proposals import tell_plan as tell_plan
from needs.show.published import absent_file
from needs.store.publish import NOTHING, list_runs, open_database, rollback
from needs.twin import draw

FAULTS_SHOWN = 10


def tell_demo(home: Home, scale: str, seed: int, as_of: str) -> str:
    """Draw a simulated region and say where it lies."""
    if not pd.Series([as_of]).str.fullmatch(r"\d{4}-\d{2}-\d{2}").all():
        raise InputError(f"--as-of '{as_of}' is not a day. Write it like 2026-03-31.")
    home.prepare()
    with ticking("drawing"):
        draw(home, scale=scale, seed=seed, as_of=pd.Timestamp(as_of))
    drawn = f"A simulated region ({scale}, seed {seed}, known up to {as_of}) lies in {home.raw}."
    return f"{drawn} Next: needs --home {home.root} nightly"


def tell_check(home: Home, source: str, paths: Sequence[Path], params: Params) -> str:
    """Read files strictly and say what is in them."""
    if source not in SOURCES:
        raise InputError(f"'{source}' is not a source. Sources are {', '.join(SOURCES)}.")
    named = SOURCES[source]
    checked = place(named.read(paths), named.contract, region_communes(home))
    usable = not checked.exceeds(params.ingest.reject_budget)
    verdict = (
        "the engine may use it" if usable else f"refused: more than {params.ingest.reject_budget:.1%} of the rows are wrong"
    )
    return "\n".join([*_describe_checked(named, checked), verdict])


def _describe_checked(source: Source, checked: Checked) -> list[str]:
    """Say rows, period, territories, sums and faults."""
    kept, contract = checked.kept, source.contract
    counts = f"{many(checked.read, 'row')} read, {len(kept):,} kept, {len(checked.rejected):,} wrong"
    lines = [f"{contract.name}: {contract.row}"]
    lines.append(f"{counts}, {checked.duplicates:,} repeated, {checked.outside:,} outside the Region")
    if contract.known_from and len(kept):
        lines.append(f"known from {kept[contract.known_from].min():%Y-%m-%d} to {kept[contract.known_from].max():%Y-%m-%d}")
    if "territory" in kept:
        territories = kept["territory"].nunique()
        lines.append("1 territory" if territories == 1 else f"{territories} territories")
    sums = {
        c.name: float(kept[c.name].sum()) for c in contract.columns if c.kind in ("number", "integer") and c.name in _SUMMED
    }
    lines += [f"sum of {name}: {total:,.0f}" for name, total in sums.items()]
    lines += [f"{name}: {many(int(kept[name].sum()), 'secret')}" for name in kept if str(name).endswith("_secret")]
    faults = checked.rejected.head(FAULTS_SHOWN)
    return lines + [f"  {row.file}, line {row.line}: {row.reason}" for row in faults.itertuples()]


_SUMMED = {"positions", "projects", "difficult", "seasonal", "seats", "places", "entries", "cost_eur", "openings", "population"}


def tell_nightly(home: Home, params: Params, as_of: str | None) -> str:
    """Run the chain and say where the results lie."""
    published = run_nightly(home, params, as_of)
    state = "published" if published.new else "already published: nothing changed"
    shown = [f"run {published.run_id} {state}", f"page      {published.report}", f"database  {published.database}"]
    return "\n".join([*shown, *(f"export    {path}" for path in published.exports)])


def tell_report(home: Home, params: Params) -> str:
    """Write the page and the exports again and say where they lie."""
    if absent_file(database_url(home, params)):
        raise InputError(NOTHING)
    page, exports = show(home, params)
    return "\n".join(str(path) for path in (page, *exports))


def tell_runs(home: Home, params: Params) -> str:
    """List the published runs."""
    if absent_file(database_url(home, params)):
        return NOTHING
    listed = list_runs(open_database(database_url(home, params)))
    if listed.empty:
        return NOTHING
    rows = [
        f"{'*' if row.current else ' '} {row.run_id}  as of {row.as_of}  finished {row.finished_at}  {row.status}"
        for row in listed.itertuples()
    ]
    return "\n".join([*rows, "* = current"])


def tell_rollback(home: Home, params: Params, run: str | None) -> str:
    """Go back to an earlier run, and write its page and exports again."""
    if absent_file(database_url(home, params)):
        raise InputError(NOTHING)
    target = rollback(open_database(database_url(home, params)), run)
    page, exports = show(home, params)
    shown = [f"{target} is the current run", f"page      {page}"]
    return "\n".join([*shown, *(f"export    {path}" for path in exports)])


def tell_params(params: Params) -> str:
    """Print the effective parameters."""
    rows = describe_params(params)
    return "\n".join(_tell_param(*map(str, row)) for row in rows.itertuples(index=False))


def _tell_param(name: str, value: str, default: str, unit: str, bounds: str, meaning: str) -> str:
    """Print one parameter: its value, what it means, its unit, bounds and default."""
    details = [meaning, *([f"[{unit}]"] if unit else []), *([bounds] if bounds else [])]
    return f"{name} = {value}\n    {' '.join(details)}" + (f" (default {default})" if value != default else "")
