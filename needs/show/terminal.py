"""What each command prints, as text: one function a command, each over the same library as the nightly job."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from features.vocabulary import InputError
from needs.home import Home
from needs.params import Params, describe_params
from needs.run.ingest import ingest
from needs.run.lock import alone
from needs.run.progress import ticking
from needs.run.shown import database_url, show_current
from needs.show.checked import tell_check as tell_check
from needs.show.match import tell_match as tell_match
from needs.show.night import tell_nightly as tell_nightly
from needs.show.night import tell_where
from needs.show.proposals import tell_plan as tell_plan
from needs.show.published import absent_file
from needs.show.whatif import tell_what_if as tell_what_if
from needs.store.publish import NOTHING, list_runs, open_database, rollback
from needs.store.roles import grant_script
from needs.twin import draw
from needs.twin.worlds import load_world

_NEEDED = "offers"  # no forecast without them, and no run without a forecast
_YEARS = range(2010, 2091)  # a drawing tells of the years around its day, and files speak of 2000 to 2100


def tell_demo(home: Home, *, world: str, scale: str, seed: int, as_of: str, workers: int) -> str:
    """Draw a simulated region, say what it is and where it lies, and what to do next."""
    loaded, day = load_world(world), _day(as_of)
    home.prepare()
    with ticking("drawing"):
        draw(home, world=world, scale=scale, seed=seed, as_of=day, workers=workers)
    title = loaded.title[:1].upper() + loaded.title[1:]
    drawn = f"{title} (world {world}, scale {scale}, seed {seed}, known up to {as_of}) lies in {home.raw}."
    if loaded.files.sources and _NEEDED not in loaded.files.sources:
        return f"{drawn} It has no {_NEEDED}, so 'needs nightly' refuses it. Next: needs --home {home.root} ingest"
    return f"{drawn} Next: needs --home {home.root} nightly"


def _day(text: str) -> pd.Timestamp:
    """Read the day of a drawing; of years about which no file of ours may speak, none."""
    day = pd.to_datetime(text, format="%Y-%m-%d", errors="coerce")
    if pd.isna(day) or f"{day:%Y-%m-%d}" != text or day.year not in _YEARS:
        raise InputError(f"--as-of '{text}' is not a day from {_YEARS[0]} to {_YEARS[-1]}. Write it like 2026-03-31.")
    return day


def tell_ingest(home: Home, params: Params, sources: Sequence[str]) -> str:
    """Load files into the lake and say what became of their rows."""
    with alone(home):
        arrivals = ingest(home, params.ingest, sources)
    told = []
    for arrival in arrivals:
        counts = f"{arrival.kept:,} rows kept, {arrival.rejected:,} wrong, {arrival.duplicates:,} repeated"
        told.append(f"{arrival.source:<20} {counts}, {arrival.outside:,} outside the Region")
        told += [f"  wrong rows     {home.rejected / arrival.source}.csv"] if arrival.rejected else []
        told += [f"  unknown codes  {home.unknown / arrival.source}.csv ({arrival.unknown})"] if arrival.unknown else []
    return "\n".join([*told, f"lake                 {home.lake}"])


def tell_report(home: Home, params: Params) -> str:
    """Write the page and the exports again and say where they lie."""
    if absent_file(database_url(home, params)):
        raise InputError(NOTHING)
    shown = show_current(home, params)
    return "\n".join(str(path) for path in (shown.page, *shown.exports))


def tell_runs(home: Home, params: Params) -> str:
    """List the published runs."""
    if absent_file(database_url(home, params)):
        return NOTHING
    listed = list_runs(open_database(database_url(home, params)))
    if listed.empty:
        return NOTHING
    since = pd.to_datetime(listed["published_at"], utc=True).dt.strftime("%Y-%m-%d %H:%M UTC")
    rows = [
        f"{'*' if row.current else ' '} {row.run_id}  as of {row.as_of}  finished {row.finished_at}  {row.status}  "
        f"code {row.code_version}{f'  current since {when}, by {row.published_by}' if row.current else ''}"
        for row, when in zip(listed.itertuples(), since, strict=True)
    ]
    return "\n".join([*rows, "* = current"])


def tell_rollback(home: Home, params: Params, run: str | None) -> str:
    """Go back to an earlier run, and write its page and exports again."""
    if absent_file(database_url(home, params)):
        raise InputError(NOTHING)
    target = rollback(open_database(database_url(home, params)), run)
    return "\n".join([f"{target} is the current run", *tell_where(show_current(home, params))])


def tell_grant(home: Home, params: Params, role: str, *, with_persons: bool) -> str:
    """Write the script that lets a role read what is published, and nothing else."""
    return grant_script(database_url(home, params), role, with_persons=with_persons)


def tell_params(params: Params) -> str:
    """Print the effective parameters."""
    rows = describe_params(params)
    return "\n".join(_tell_param(*map(str, row)) for row in rows.itertuples(index=False))


def _tell_param(name: str, value: str, default: str, unit: str, bounds: str, meaning: str) -> str:
    """Print one parameter: its value, what it means, its unit, bounds and default."""
    details = [meaning, *([f"[{unit}]"] if unit else []), *([bounds] if bounds else [])]
    return f"{name} = {value}\n    {' '.join(details)}" + (f" (default {default})" if value != default else "")
