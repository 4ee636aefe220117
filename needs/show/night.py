"""What the nightly job prints: what it came to and where the results lie, or what it would do."""

from __future__ import annotations

from datetime import UTC, datetime

from needs.home import Home
from needs.params import Params
from needs.run.foresee import foresee
from needs.run.logs import recording
from needs.run.nightly import Asked, run_nightly
from needs.run.shown import Shown


def tell_nightly(home: Home, params: Params, asked: Asked) -> tuple[str, int]:
    """Run the night; say what it came to and where the results lie, and with which code to exit."""
    options = {"as_of": asked.as_of, "only": asked.only, "from": asked.since, "force": asked.force or None}
    with recording(home, params.execution.keep_logs, options=options) as journal:
        published = run_nightly(home, params, asked=asked)
        journal.exit_code = published.exit_code
    state = "published" if published.new else "already published: nothing changed"
    where = tell_where(published.shown) if published.shown else []
    lines = [f"run {published.run_id} {state}", f"database  {published.database}", *where]
    return "\n".join([*lines, *(["", published.message.rstrip()] if published.message else [])]), published.exit_code


def tell_dry_run(home: Home, params: Params, asked: Asked) -> str:
    """Say of each stage whether a night would carry it out, and why. Nothing is written."""
    steps = foresee(home, params, asked, datetime.now(UTC))
    return "\n".join(
        f"{step.stage:<10}{'would run' if step.runs else 'as it is':<12}{', '.join(step.why)}".rstrip() for step in steps
    )


def tell_where(shown: Shown) -> list[str]:
    """Say where the page and the exports lie."""
    return [f"page      {shown.page}", *(f"export    {path}" for path in shown.exports)]
