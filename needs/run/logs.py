"""What a night writes of itself: one JSON object a line, in ``var/log/<start>-<pid>.jsonl``, beside the terminal's words.

Each line says ``at`` (UTC), ``level``, ``event`` and ``logger``, and, where there are any, the ``step``, ``run_id`` and
``as_of`` it belongs to, ``seconds``, ``rows``, ``ages``, ``peak_mb``, ``message`` and ``error``. The first line is
``opened``, the last ``closed`` with the ``exit_code``; a step is ``started``, then ``ended`` or ``failed``; whatever else
is logged is ``said``.

No line tells of a person. What stands in quotes in a message of ours may come from a file, and is left out. What other
libraries say is left out whole. Of an error stand its type, where in our code it happened and which files of the home it
names; its words, which may quote a file, are for the terminal.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from features.errors import InputError
from needs.home import Home
from needs.run.progress import ENDED, FAILED, STARTED

OPENED, CLOSED, SAID = "opened", "closed", "said"
FIELDS = (
    *("at", "level", "event", "step", "run_id", "as_of", "seconds", "rows", "ages", "peak_mb", "message", "logger", "error"),
    *("exit_code", "opened"),
)
"""What a line may hold, in the order of :func:`read_log`."""
Clock = Callable[[], datetime]
_TOLD = ("seconds", "rows", "ages", "peak_mb")  # what a record may hold, beside the words that a terminal shows
_LASTING = ("run_id", "as_of")  # what a record says for all that follow it
_ROOMS = ("features", "models", "needs")
_INSTALLED = Path(__file__).parents[2]  # where the three packages lie
_HERE = Path(__file__).relative_to(_INSTALLED)  # every error of a night comes through here
_QUOTED = re.compile(r"""(?<!\w)(?P<mark>['"«]).*['"»](?!\w)""", re.DOTALL)
_CATEGORY = re.compile(r":\d+: (\w+): ")  # how the standard library writes a warning
_WARNINGS = "py.warnings"
_SIGNALS = 128  # a code above is that of a command that a signal ended
_LOGS = "*-*.jsonl"
log = logging.getLogger(__name__)


def utc_now() -> datetime:
    """Read the clock."""
    return datetime.now(UTC)


class Journal(logging.Handler):
    """Writes what is logged, a line at once. ``exit_code`` is what the command will exit with where no error says it."""

    def __init__(self, home: Home, clock: Clock) -> None:
        super().__init__()
        self.exit_code = 0
        self._root, self._clock = home.root, clock
        self._steps: list[str] = []
        self._lasting: dict[str, object] = {}
        self.path = home.logs / f"{clock():%Y%m%dT%H%M%SZ}-{os.getpid()}.jsonl"
        self._file: int | None = None
        with self._never_failing():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record. One that cannot be spelt is told as logging does, on stderr."""
        try:
            self._write(record)
        except (TypeError, ValueError):
            self.handleError(record)

    def _write(self, record: logging.LogRecord) -> None:
        said = vars(record)
        event = str(said.get("event", SAID))
        if event == STARTED:
            self._steps.append(said["step"])
        step = said.get("step") or (self._steps[-1] if self._steps else "")
        if event in (ENDED, FAILED) and step in self._steps:
            self._steps.remove(step)
        self._lasting |= {name: said[name] for name in _LASTING if name in said}
        told = {name: said.get(name) for name in _TOLD} | {"message": _words_of(record, self._root)}
        error = describe_error(record.exc_info[1], self._root) if record.exc_info and record.exc_info[1] else None
        self.line(record.levelno, event, step=step, **told, logger=record.name, error=error)

    def line(self, level: int, event: str, **told: object) -> None:
        """Write one line; what is empty is left out."""
        begun = {"at": self._clock().isoformat(timespec="milliseconds"), "level": logging.getLevelName(level), "event": event}
        whole = {name: value for name, value in (begun | self._lasting | told).items() if value not in (None, "", {})}
        text = json.dumps(whole, ensure_ascii=False, default=int).encode("utf-8", "backslashreplace") + b"\n"
        with self._never_failing():
            if self._file is not None and os.write(self._file, text) < len(text):
                raise OSError("the disk is full")

    @contextmanager
    def _never_failing(self) -> Iterator[None]:
        """Give the log up where it cannot be written, and say so once: the night is worth more than what it says of itself."""
        try:
            yield
        except OSError as error:
            self._let_go()
            sys.stderr.write(
                f"{self.path}: the log cannot be written ({error.strerror or error}). The run goes on without it.\n"
            )

    def _let_go(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                os.close(self._file)
        self._file = None

    def close(self) -> None:
        """Close the file."""
        self._let_go()
        super().close()


@contextmanager
def recording(
    home: Home, keep: int, clock: Clock = utc_now, *, options: Mapping[str, object] | None = None
) -> Iterator[Journal]:
    """Keep a log of all that happens inside, and of how it ended; of earlier logs the newest stay, ``keep`` of them in all.

    ``options`` says what the command was asked for; it must hold neither secrets nor what tells of a person.
    """
    journal, started = Journal(home, clock), time.monotonic()
    _prune(home.logs, keep, journal.path)
    asked = {name: value for name, value in (options or {}).items() if value is not None}
    about = {"version": version("skills-needs"), "python": platform.python_version(), **asked}
    journal.line(logging.INFO, OPENED, opened=about, logger=__name__)
    ended: BaseException | None = None
    try:
        with _listening(journal):
            yield journal
    except BaseException as error:
        ended = error
        raise
    finally:
        code = _exit_code(ended) if ended else journal.exit_code
        told = {"exit_code": code, "seconds": round(time.monotonic() - started, 3), "logger": __name__}
        how = {"message": _outcome(code, ended), "error": describe_error(ended, home.root) if ended else None}
        journal.line(logging.ERROR if code else logging.INFO, CLOSED, **told, **how)
        journal.close()


@contextmanager
def _listening(journal: Journal) -> Iterator[None]:
    """Send to a journal what is logged, with the beginning of steps, and what is warned of."""
    root, ours = logging.getLogger(), logging.getLogger("needs")
    level = ours.level
    root.addHandler(journal)
    ours.setLevel(logging.DEBUG)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        ours.setLevel(level)
        root.removeHandler(journal)


def _exit_code(error: BaseException) -> int:
    """Give the code that a command ends with: the one an error carries, else that of a bug."""
    if isinstance(error, KeyboardInterrupt):
        return 130
    code = error.code if isinstance(error, SystemExit) else getattr(error, "exit_code", 1)
    return code if isinstance(code, int) else int(code is not None)


def _outcome(code: int, error: BaseException | None) -> str:
    """Say in words how a run ended."""
    if code > _SIGNALS:
        return "stopped"
    return "refused" if isinstance(error, InputError) else {0: "done", 1: "a bug"}.get(code, "done in part")


def describe_error(error: BaseException, root: Path) -> dict[str, object]:
    """Say of an error what tells of nobody: its type, its cause's, where in our code it happened, which files it names."""
    cause = error.__cause__ or error.__context__
    faults = error.faults if isinstance(error, InputError) else ()
    named = [fault.partition(": ")[0].removeprefix(f"{root}/") for fault in faults if fault.startswith(f"{root}/")]
    told = {"cause": type(cause).__name__ if cause else "", "files": sorted(set(named)), "faults": len(faults)}
    return {"type": type(error).__name__, "where": _where(error)} | {name: value for name, value in told.items() if value}


def _where(error: BaseException) -> list[str]:
    """List the lines of our code that an error came through, the outermost first."""
    lines = [(Path(frame.f_code.co_filename), line) for frame, line in traceback.walk_tb(error.__traceback__)]
    inside = [(path.relative_to(_INSTALLED), line) for path, line in lines if is_ours(path)]
    return [f"{path.as_posix()}:{line}" for path, line in inside if path != _HERE]


def is_ours(path: Path) -> bool:
    """Say whether a file of code is one of our three packages', wherever they and the libraries are installed."""
    return path.is_relative_to(_INSTALLED) and path.relative_to(_INSTALLED).parts[0] in _ROOMS


def _words_of(record: logging.LogRecord, root: Path) -> str:
    """Give of a message what tells of nobody: ours without what it quotes, the kind of a warning, nothing of others'."""
    if record.name == _WARNINGS:
        found = _CATEGORY.search(record.getMessage())
        return found.group(1) if found else ""
    if record.name.split(".")[0] not in _ROOMS:
        return ""
    return _QUOTED.sub("'…'", record.getMessage()).replace(f"{root}/", "")


def _prune(folder: Path, keep: int, own: Path) -> None:
    """Remove the oldest logs, never our own; their names sort by their start, as far as the clock was not set back."""
    others = sorted(path for path in folder.glob(_LOGS) if path != own)
    for path in others[: max(0, len(others) + 1 - keep)]:
        with suppress(OSError):
            path.unlink()


def last_log(home: Home) -> Path | None:
    """Give the log of the last night; nothing where there has been none."""
    return max(home.logs.glob(_LOGS), default=None)


def read_log(path: Path) -> pd.DataFrame:
    """Read a log. One row per line, with the columns :data:`FIELDS`; a last line that was cut short is left out."""
    *lines, _ = path.read_text(encoding="utf-8", errors="replace").split("\n")
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            raise InputError(f"{path}: line {number} is damaged. Remove the file, or read it as text.") from error
    return pd.DataFrame(rows, columns=list(FIELDS))
