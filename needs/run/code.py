"""Which code made a run: the version, and a hash of everything that was installed with it; and which code learned."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import features
import models
import needs

SHIPPED = ("*.py", "*.csv", "*.j2", "*.css", "*.js")


LEARNING = ("run/added.py", "run/forecasts.py", "run/training.py")  # what models are made by, beside features and models


@cache
def code_version() -> str:
    """Spell the version of the code, alike for a checkout and for the wheel made of it."""
    return f"{version('skills-needs')}+{_hash([*_shipped(features), *_shipped(models), *_shipped(needs)])}"


@cache
def learning_code() -> str:
    """Hash the code that what is learned depends on: pages, commands and publishing may change without it."""
    root = _root(needs)
    return _hash([*_shipped(features), *_shipped(models), *((f"needs/{name}", root / name) for name in LEARNING)])


def _shipped(package: ModuleType) -> Iterator[tuple[str, Path]]:
    """List the files of a package, each with its name."""
    root = _root(package)
    for path in sorted(path for pattern in SHIPPED for path in root.rglob(pattern)):
        yield f"{package.__name__}/{path.relative_to(root).as_posix()}", path


def _root(package: ModuleType) -> Path:
    return Path(str(package.__file__)).parent


def _hash(files: list[tuple[str, Path]]) -> str:
    digest = hashlib.sha256()
    for name, path in files:
        digest.update(name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
