"""Nights in processes of their own, what may befall them, and what readers of the database see meanwhile.

ended = night(home, "purchase.draws=3", befalls=[At("started", "plan", die)])
assert seen_by_readers(url_of(home)) == before
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import re
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from homes import AS_OF
from sqlalchemy import text

from needs.home import Home
from needs.run.logs import last_log, read_log
from needs.store.publish import open_database
from needs.store.schema import EVERY
from processes import Begun, Ended, begin, ended

Deed = Callable[[], object]
PLAN, MATCH = "purchase.draws=3", "advice.reasons.faint=0.06"  # what makes a plan, or proposals, anew and nothing else
_PATIENCE_S = 120


class At(NamedTuple):
    """What befalls a night when a step comes to a point: it is ``started``, or it has ``ended``."""

    event: str
    step: str
    deed: Deed


class Seen(NamedTuple):
    """What readers see: the run, and of each table a hash of its rows, but for the name of the run."""

    run_id: str
    tables: dict[str, str]


def one_night(root: Path, settings: Sequence[str], befalls: Sequence[At | Deed] = ()) -> None:
    """Carry out a night as the command does. What befalls it at no point befalls it before it begins."""
    from needs.cli import main

    logging.getLogger("needs").addHandler(_Fate([each for each in befalls if isinstance(each, At)]))
    for each in befalls:
        if not isinstance(each, At):
            each()
    sys.argv = ["needs", "--home", str(root), *(f"--set={each}" for each in settings), "nightly", "--as-of", AS_OF]
    main()


class _Fate(logging.Handler):
    """Does what is to befall a night, when its log tells the point."""

    def __init__(self, befalls: Sequence[At]) -> None:
        super().__init__()
        self.befalls = befalls

    def emit(self, record: logging.LogRecord) -> None:
        for event, step, deed in self.befalls:
            if (getattr(record, "event", ""), getattr(record, "step", "")) == (event, step):
                deed()


# Nights -----------------------------------------------------------------------------------------------------------------


def night(home: Home, *settings: str, befalls: Sequence[At | Deed] = ()) -> Ended:
    """Carry out a night to its end, whatever that is."""
    with TemporaryDirectory(prefix="needs-") as folder:
        return ended(begin(Path(folder), one_night, home.root, settings, befalls), Path(folder))


@contextmanager
def paused(home: Home, at: tuple[str, str], *settings: str) -> Iterator[tuple[Begun, Callable[[], Ended]]]:
    """Hold a night at a point, while the block is at work; it is given its process, and a way to let it go to its end."""
    with TemporaryDirectory(prefix="needs-") as name:
        folder = Path(name)
        process = begin(folder, one_night, home.root, settings, [At(*at, partial(_wait, folder))])
        until(lambda: (folder / "there").exists() or not process.is_alive())

        def let_go() -> Ended:
            (folder / "go").touch()
            return ended(process, folder)

        try:
            yield process, let_go
        finally:
            process.kill()


def _wait(folder: Path) -> None:
    (folder / "there").touch()
    until((folder / "go").exists)


def until(happened: Callable[[], bool]) -> None:
    """Wait for what is on its way."""
    last = time.monotonic() + _PATIENCE_S
    while not happened():
        assert time.monotonic() < last, "it did not happen"
        time.sleep(0.01)


def killed_after(seconds: float, home: Home, *settings: str) -> float:
    """Begin a night and kill it when it has used so much of the processor's time. Gives what it used, 0 when it was killed.

    A busy machine then kills at the same moments as a quiet one.
    """
    used = 0.0
    with TemporaryDirectory(prefix="needs-") as folder:
        process = begin(Path(folder), one_night, home.root, settings)
        assert process.pid is not None
        clock = ~process.pid << 3 | 2  # the processor's time of that process, as clock_getcpuclockid gives it
        with suppress(OSError):  # it has ended
            while (used := time.clock_gettime(clock)) < seconds:
                time.sleep(0.002)
        process.kill()
        how = ended(process, Path(folder))
    assert how.code in (0, -signal.SIGKILL), how.err
    return used if how.code == 0 else 0.0


def steps_of(home: Home, event: str = "started") -> set[str]:
    """List the steps that the last night began, or ended, as its log tells them."""
    path = last_log(home)
    assert path is not None
    lines = read_log(path)
    return set(lines.loc[lines["event"] == event, "step"])


# Many that are killed ---------------------------------------------------------------------------------------------------


class Blow(NamedTuple):
    """One night of many that are killed: whether it was, what it made that lay on the shelf, and what was seen and may be."""

    killed: bool
    again: set[str]
    seen: Seen | None
    before: Seen
    after: Seen
    seconds: float


def harass(home: Home, beside: Home, draws: np.random.Generator) -> Iterator[Blow]:
    """Kill night after night at random moments, for ever. When one comes to its end there is something new for the next.

    ``beside`` is given the same, and nothing befalls it. What is new comes back in turns, so that it need not be made for ever.
    """
    told = [seen_by_readers(url_of(home))]
    costs = [0.0]
    for turn in count(1):
        if len(told) <= len(_TURNS) + 1:
            _deliver(beside, turn)
            costs.append(killed_after(np.inf, beside, _KEEP))
            told.append(seen_by_readers(url_of(beside)))
        _deliver(home, turn)
        before, after, cost = (each[_as_told(turn - back)] for each, back in ((told, 1), (told, 0), (costs, 0)))
        lay, killed = _lying(home), True
        while killed:
            there, log, began = _lying(home) - lay, last_log(home), time.monotonic()
            killed = not killed_after(_REACH * cost * draws.random(), home, _KEEP)
            steps = steps_of(home) if last_log(home) != log else set()
            again = {name for name, _ in there if _STEPS[name] in steps}
            yield Blow(killed, again, _seen_whole(home), before, after, time.monotonic() - began)


_KEEP = "execution.keep_runs=1"
_REACH = 0.6  # of what a night costs, that one is let live at most
_TURNS = ((1, 1), (1, 2), (2, 2), (2, 1))
_STEPS = {
    "known": "lake",
    "rank": "ranking",
    "match": "matches",
    **{name: name for name in ("features", "forecast", "effects", "plan")},
}


def _as_told(turn: int) -> int:
    """Say which earlier turn was the same, after the same."""
    return turn if turn <= len(_TURNS) + 1 else 2 + (turn - 2) % len(_TURNS)


def _deliver(home: Home, turn: int) -> None:
    signal_of, decision = _TURNS[(turn - 1) % len(_TURNS)]
    new_signal(home, signal_of)
    new_decision(home, decision)


def _lying(home: Home) -> set[tuple[str, str]]:
    """List what lies whole on the shelf: stage, key."""
    found = {(path.parts[-3], path.parts[-2]) for path in home.stages.glob("*/*/manifest.json")}
    return {(stage, key) for stage, key in found if stage in _STEPS}


def _seen_whole(home: Home) -> Seen | None:
    """Say what is seen; nothing where it is not one whole run."""
    try:
        return seen_by_readers(url_of(home))
    except AssertionError:
        return None


# What befalls them ------------------------------------------------------------------------------------------------------


def die() -> None:
    """End at once, without a last word."""
    os.kill(os.getpid(), signal.SIGKILL)


def bound_files(size: int) -> None:
    """Let no file grow beyond a size, as on a disk that is full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def obey_rights() -> None:
    """Hold root to the rights of files, as anybody is held."""
    if os.geteuid() == 0:
        head, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.capget(head, sets) == 0
        for each in (0, 1):  # what is in force, and what may be
            sets[each] &= ~0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
        assert libc.capset(head, sets) == 0


def append(path: Path, line: str) -> None:
    """Let a file grow by a line."""
    with path.open("a", encoding="utf-8") as file:
        file.write(line)


def fail_in(territory: str, deed: Deed) -> None:
    """Let the task that tells the people of a territory what is proposed to them do something first."""
    from needs.run import serving

    tell = serving._tell_part

    def told(part: object, *rest: object) -> object:
        if territory in set(part.people["territory"]):  # type: ignore[attr-defined]
            deed()
        return tell(part, *rest)  # type: ignore[arg-type]

    serving._tell_part = told  # type: ignore[assignment]


def raise_always() -> None:
    """Fail, with a word that nobody may read."""
    raise ZeroDivisionError("-".join(("some", "body")))


def ask_too_much(left: list[None]) -> None:
    """Ask for more memory than any machine has, as many times as there are left."""
    if left:
        left.pop()
        bytearray(2**62)


def at_once() -> None:
    """Do not try again where nobody answers."""
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"


# Homes ------------------------------------------------------------------------------------------------------------------


def narrow(home: Home) -> None:
    """Keep one département of the tiny region, and draw its plan less often: a night is short."""
    for path in (*home.raw.rglob("*_67_*"), *home.raw.rglob("*_67.csv")):
        path.unlink()
    home.params.write_text(
        home.params.read_text(encoding="utf-8").replace("purchase:", "purchase:\n  draws: 2"), encoding="utf-8"
    )


# What is new ------------------------------------------------------------------------------------------------------------


def new_decision(home: Home, turn: int) -> None:
    """Deliver one more file, with a decision that nobody knew: there is something new to read, and a plan to make of it."""
    lines = [
        "objet;cle;champ;valeur;auteur;motif;date;expire_le",
        f"lot;2027-BE4446-{turn};interdit;1;comité;doublon;2026-03-01;",
    ]
    (home.raw / "overrides" / "zz_new.csv").write_text("\n".join([*lines, ""]), encoding="utf-8")


def new_signal(home: Home, turn: int) -> None:
    """Deliver one more file, with a signal that nobody knew: there is something new to read, and all to make of it."""
    line = f"2026-03-01;R;44;SECTEUR;236;1;{turn + 1}.0;comite;;2027-01-06"
    header = sorted(home.raw.glob("signals/*.csv"))[0].read_text(encoding="utf-8").splitlines()[0]
    (home.raw / "signals" / "zz_new.csv").write_text(f"{header}\n{line}\n", encoding="utf-8")


# How they end -----------------------------------------------------------------------------------------------------------


def refused(told: Ended, words: str, code: int = 2) -> None:
    """Hold how a night ended: with a code, and in words that say what to do."""
    assert told.code == code, told.err
    assert re.search(words, told.err), told.err
    assert "Traceback" not in told.err


def completes(home: Home, *settings: str, url: str = "") -> Seen:
    """Carry out a night that nothing befalls, and give what is seen then."""
    told = night(home, *settings)
    assert told.code == 0, told.err
    return seen_by_readers(url or url_of(home))


# What is seen -----------------------------------------------------------------------------------------------------------


def url_of(home: Home) -> str:
    """Give the address of the database that a home publishes to by itself."""
    return f"sqlite:///{home.var / 'needs.db'}"


def seen_by_readers(url: str) -> Seen:
    """Read every view in one transaction: the run it is of, and a hash of each. Fails on anything but one whole run."""
    engine = open_database(url)
    with engine.connect() as connection:
        current = connection.execute(text("SELECT run_id FROM current_run")).scalars().all()
        assert len(current) <= 1
        told: dict[str, str] = {}
        for name, table in EVERY.items():
            order = ", ".join(f'"{column.name}"' for column in table.primary_key)
            rows = connection.execute(text(f"SELECT * FROM current_{name} ORDER BY {order}")).all()
            assert {row[0] for row in rows} <= set(current), f"{name} shows another run"
            told[name] = hashlib.sha256(repr([tuple(row[1:]) for row in rows]).encode()).hexdigest()
    engine.dispose()
    return Seen(current[0] if current else "", told)
