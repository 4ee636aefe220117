"""What a person sees while a run is at work: one log line a step, and a bar once a step takes more than two seconds."""

from __future__ import annotations

import logging
import resource
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import TypeVar

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

BAR_AFTER_SECONDS = 2
_TICK_SECONDS = 0.5
STARTED, ENDED, FAILED = "started", "ended", "failed"
"""What happens to a step; records say it as ``event``, beside their ``step``, and no other word of theirs is read."""
log = logging.getLogger(__name__)
Item = TypeVar("Item")


@contextmanager
def step(name: str) -> Iterator[dict[str, int]]:
    """Log one line when a step ends: what the caller counted, and the seconds; meanwhile show that it is at work.

    The same records tell a journal more: that it started, how long until it ended or failed, the most memory held so far.
    """
    rows: dict[str, int] = {}
    started = time.monotonic()
    log.debug("%s: started", name, extra={"event": STARTED, "step": name})
    try:
        with ticking(name):
            yield rows
    except BaseException:
        log.debug("%s: failed", name, extra={"event": FAILED, "step": name, **measured(started)})
        raise
    counts, took = ", ".join(f"{count} {what}" for what, count in rows.items()), measured(started)
    log.info("%s: %s, %.1f s", name, counts, took["seconds"], extra={"event": ENDED, "step": name, "rows": rows, **took})


def measured(started: float) -> dict[str, float]:
    """Measure what a step took: seconds, and the most memory that the process has held so far, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": round(time.monotonic() - started, 3), "peak_mb": round(peak, 1)}


@contextmanager
def ticking(name: str) -> Iterator[None]:
    """Show the seconds that pass, where there is a terminal, once there are more than two."""
    done = Event()

    def tick() -> None:
        with tqdm(desc=name, bar_format="{desc}… {elapsed}", delay=BAR_AFTER_SECONDS, disable=None, leave=False) as bar:
            while not done.wait(_TICK_SECONDS):
                bar.update()

    shown = Thread(target=tick, daemon=True)
    shown.start()
    try:
        yield
    finally:
        done.set()
        shown.join()


def counted(items: Iterable[Item], name: str, *, unit: str, total: int | None) -> Iterator[Item]:
    """Pass items on, with a bar that counts them where there is a terminal; log lines pass above it."""
    with logging_redirect_tqdm():
        yield from tqdm(items, desc=name, unit=unit, total=total, delay=BAR_AFTER_SECONDS, disable=None, leave=False)
