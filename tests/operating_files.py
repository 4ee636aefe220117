"""The files of docs/operating read as what runs them reads them: units, a line of cron, the recipe of a container."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "operating"
SERVICE, TIMER = FOLDER / "skills-needs.service", FOLDER / "skills-needs.timer"
CRON, CONTAINER = FOLDER / "skills-needs.cron", FOLDER / "Containerfile"


class Cron(NamedTuple):
    """What a file of /etc/cron.d says: the environment, and one line."""

    env: dict[str, str]
    when: str
    user: str
    command: str


def said(path: Path) -> Iterator[str]:
    """Give the lines of a file that are neither empty nor comments."""
    yield from (line for line in path.read_text(encoding="utf-8").splitlines() if line.strip() and not line.startswith("#"))


def directives(path: Path) -> list[tuple[str, str]]:
    """Read a unit. One pair per directive, in order; some come several times."""
    pairs = [line.partition("=") for line in said(path) if not line.startswith("[")]
    return [(name, value) for name, _, value in pairs]


def cron() -> Cron:
    """Read the file of cron as cron does: lines that set a variable, then five fields, who, and the command."""
    *settings, line = said(CRON)
    env = dict(setting.split("=", 1) for setting in settings)
    *fields, user, command = re.split(r"\s+", line, maxsplit=6)
    return Cron(env, " ".join(fields), user, command)


def instructions(**arguments: str) -> list[tuple[str, str]]:
    """Read the recipe of the container. One pair per instruction, in order; its arguments have their default or are given."""
    pairs = [line.partition(" ") for line in said(CONTAINER)]
    known = dict(value.split("=", 1) for name, _, value in pairs if name == "ARG") | arguments
    return [(name, re.sub(r"\$\{(\w+)\}", lambda found: known[found.group(1)], value)) for name, _, value in pairs]
