"""Which code made a run: the version, and a hash of everything that was installed with it."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

import features
import models
import needs

SHIPPED = ("*.py", "*.csv", "*.j2", "*.css", "*.js")


@cache
def code_version() -> str:
    """Spell the version of the code, alike for a checkout and for the wheel made of it."""
    digest = hashlib.sha256()
    for package in (features, models, needs):
        root = Path(str(package.__file__)).parent
        for path in sorted(path for pattern in SHIPPED for path in root.rglob(pattern)):
            digest.update(f"{package.__name__}/{path.relative_to(root).as_posix()}".encode())
            digest.update(path.read_bytes())
    return f"{version('skills-needs')}+{digest.hexdigest()[:12]}"
