"""What is missing for a run, and how to get it. What is not installed is a finding too: packages are imported late."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from features.errors import InputError
from needs.home import Home

# Without one of these a run says little or nothing; without the others its grades are lower.
ESSENTIAL = ("offers", "purchases")
PARTS = (
    *("pandas", "numpy", "scipy", "scikit-learn", "pyarrow", "sqlalchemy", "lxml", "pydantic", "pyyaml", "jinja2"),
    *("xlsxwriter", "python-calamine", "joblib", "msgspec", "isal", "tqdm", "typer"),
)


class Finding(NamedTuple):
    """What was found: how it stands (ok, missing, absent), and in words. Without what is missing there is no run."""

    state: str
    text: str


def examine(home: Home, settings: Sequence[str]) -> tuple[str, bool]:
    """Examine the machine and the home; say each finding on a line, and whether a run can be made."""
    findings = list(machine())
    if healthy(findings):
        findings += [*_home(home, settings), *_files(home)]
    told = [f"{state:<8} {text}" for state, text in findings]
    if not any(path.is_file() for path in home.raw.rglob("*")):
        told.append(f"Nothing lies in {home.raw}: drop files there, or draw a simulated region with 'needs demo'.")
    return "\n".join(told), healthy(findings)


def healthy(findings: Sequence[Finding]) -> bool:
    """Say whether nothing is missing."""
    return all(finding.state != "missing" for finding in findings)


def machine(parts: Sequence[str] = PARTS) -> Iterator[Finding]:
    """Look at what is installed."""
    yield Finding("ok", f"Python {sys.version.split()[0]}")
    found = []
    for name in parts:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            yield Finding("missing", f"package {name}: install it with 'pip install {name}'")
    yield Finding("ok", ", ".join(found))


def _home(home: Home, settings: Sequence[str]) -> Iterator[Finding]:
    """Look at the home, its parameters, its key and its database."""
    from needs.params import load_params
    from needs.privacy import key_file

    writable = home.root.exists() and os.access(home.root, os.W_OK)
    advice = "" if writable else ": make the folder, or give another one with --home"
    yield Finding("ok" if writable else "missing", f"home {home.root}{advice}")
    yield _try(lambda: f"parameters of {home.params}" if load_params(home.params, settings) else "")
    given = bool(os.environ.get("NEEDS_PSEUDONYM_KEY")) or key_file().exists()
    drawn = "" if given else f": will be drawn at the first run, into {key_file()}"
    yield Finding("ok" if given else "absent", f"key of the pseudonyms{drawn}")
    yield _database(home, settings)


def _database(home: Home, settings: Sequence[str]) -> Finding:
    """Look at the database of runs, without laying one."""
    from needs.params import load_params
    from needs.run.shown import database_url
    from needs.show.published import absent_file
    from needs.store.publish import open_database

    try:
        url = database_url(home, load_params(home.params, settings))
    except InputError:
        return Finding("absent", "database: cannot be told as long as the parameters are wrong")
    if path := absent_file(url):
        return Finding("absent", f"database {path}: will be laid at the first run")
    return _try(lambda: f"database {open_database(url).url!r}")


def _try(finding: Callable[[], str]) -> Finding:
    try:
        return Finding("ok", finding())
    except InputError as error:
        return Finding("missing", str(error))


def _files(home: Home) -> Iterator[Finding]:
    """Look at what each source holds."""
    from features.sources import SOURCES
    from needs.run.ingest import raw_files, unread
    from needs.show.figures import many

    for name, source in SOURCES.items():
        folder = home.raw / source.folder
        try:
            count = len(raw_files(home, source))
        except InputError as error:
            yield Finding("missing", str(error))
            continue
        if count:
            yield Finding("ok", f"{name}: {many(count, 'file')} in {folder}")
        else:
            state = "missing" if name in ESSENTIAL else "absent"
            yield Finding(state, f"{name}: no file in {folder} ({source.contract.row})")
    for path in unread(home):
        yield Finding("unread", f"{path}: is in no folder of a source")
