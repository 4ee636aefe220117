"""What is missing for a run, and how to get it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version

from features.sources import SOURCES, files_of
from features.vocabulary import InputError
from needs.home import Home
from needs.params import load_params
from needs.privacy import key_file
from needs.run.nightly import database_url
from needs.store.publish import open_database

# Without one of these a run says little or nothing; without the others its grades are lower.
ESSENTIAL = ("offers", "purchases")
PARTS = ("pandas", "numpy", "scipy", "scikit-learn", "pyarrow", "sqlalchemy", "lxml")


def examine(home: Home, settings: Sequence[str]) -> tuple[str, bool]:
    """Examine the machine and the home; say each finding on a line, and whether a run can be made."""
    findings = [*_machine(), *_home(home, settings), *_files(home)]
    told = [f"{'ok     ' if good else 'missing'}  {text}" for good, _, text in findings]
    return "\n".join(told), all(good for good, essential, _ in findings if essential)


Finding = tuple[bool, bool, str]


def _machine() -> Iterator[Finding]:
    """Look at what is installed."""
    yield True, True, f"Python {sys.version.split()[0]}"
    yield True, True, ", ".join(f"{name} {version(name)}" for name in PARTS)


def _home(home: Home, settings: Sequence[str]) -> Iterator[Finding]:
    """Look at the home, its parameters, its key and its database."""
    writable = os.access(home.root, os.W_OK) if home.root.exists() else False
    yield writable, True, f"home {home.root}" + ("" if writable else ": make the folder, or give another one with --home")
    yield _try(lambda: f"parameters of {home.params}" if load_params(home.params, settings) else "")
    given = bool(os.environ.get("NEEDS_PSEUDONYM_KEY")) or key_file().exists()
    yield given, False, "key of the pseudonyms" + ("" if given else f": will be drawn at the first run, into {key_file()}")
    if writable and home.var.exists():
        yield _try(lambda: f"database {open_database(database_url(home, load_params(home.params, settings))).url!r}")


def _try(finding: Callable[[], str]) -> Finding:
    try:
        return True, True, finding()
    except InputError as error:
        return False, True, str(error)


def _files(home: Home) -> Iterator[Finding]:
    """Look at what each source holds."""
    for name, source in SOURCES.items():
        count = len(files_of(home.raw / name, source))
        hint = "" if count else f": drop files there, like {source.example}; or draw a simulated region with 'needs demo'"
        yield count > 0, name in ESSENTIAL, f"{name}: {count} files in {home.raw / name}{hint}"
