"""What each command prints, as text: one function a command, each over the same library as the nightly job."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from features.vocabulary import InputError
from needs.home import Home
from needs.params import Params, describe_params
from needs.run.ingest import ingest
from needs.run.lock import alone
from needs.run.nightly import database_url, run_nightly, show
from needs.run.progress import ticking
from needs.show.checked import tell_check as tell_check
from needs.show.proposals import tell_match as tell_match
from needs.show.proposals import tell_plan as tell_plan
from needs.show.published import absent_file
from needs.store.publish import NOTHING, list_runs, open_database, rollback
from needs.twin import draw


def tell_demo(home: Home, scale: str, seed: int, as_of: str) -> str:
    """Draw a simulated region and say where it lies."""
    if not pd.Series([as_of]).str.fullmatch(r"\d{4}-\d{2}-\d{2}").all():
        raise InputError(f"--as-of '{as_of}' is not a day. Write it like 2026-03-31.")
    home.prepare()
    with ticking("drawing"):
        draw(home, scale=scale, seed=seed, as_of=pd.Timestamp(as_of))
    drawn = f"A simulated region ({scale}, seed {seed}, known up to {as_of}) lies in {home.raw}."
    return f"{drawn} Next: needs --home {home.root} nightly"


def tell_ingest(home: Home, params: Params, sources: Sequence[str]) -> str:
    """Load files into the lake and say what became of their rows."""
    with alone(home):
        arrivals = ingest(home, params.ingest, sources)
    told = []
    for arrival in arrivals:
        counts = f"{arrival.kept:,} rows kept, {arrival.rejected:,} wrong, {arrival.duplicates:,} repeated"
        told.append(f"{arrival.source:<20} {counts}, {arrival.outside:,} outside the Region")
        told += [f"  wrong rows     {home.rejected / arrival.source}.csv"] if arrival.rejected else []
        told += (
            [f"  unknown codes  {home.unknown / arrival.source}.csv ({len(arrival.unknown)})"] if len(arrival.unknown) else []
        )
    return "\n".join([*told, f"lake                 {home.lake}"])


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
