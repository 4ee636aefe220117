"""How long each stage of a night may take, and what ends one that takes longer."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from features.errors import InputError
from features.params import Section, param

log = logging.getLogger(__name__)
_GRACE_S = 120.0  # compiled code answers no signal before it returns: after so long, the process ends itself


def _minutes(usual: float, what: str) -> Any:  # noqa: ANN401
    return param(usual, what, unit="minutes", ge=0.01, le=1440)


class LimitParams(Section):
    """How long each stage of a night may take before it is ended; what was published stays."""

    ingest: float = _minutes(30.0, "longest time of reading raw files")
    features: float = _minutes(20.0, "longest time of building features")
    training: float = _minutes(40.0, "longest time of training models and judging them")
    forecast: float = _minutes(20.0, "longest time of forecasting needs")
    effects: float = _minutes(20.0, "longest time of telling what training adds")
    rank: float = _minutes(10.0, "longest time of ranking what may be bought")
    plan: float = _minutes(20.0, "longest time of choosing the plan")
    match: float = _minutes(30.0, "longest time of matching people with courses")
    gate: float = _minutes(10.0, "longest time of holding the gates")
    publish: float = _minutes(30.0, "longest time of publishing")
    report: float = _minutes(20.0, "longest time of writing the page and the exports")
    digest: float = _minutes(5.0, "longest time of writing the digest")


class OutOfTime(InputError):  # noqa: N818  # it says what happened
    """A stage took longer than it may."""


@contextmanager
def limited(limits: LimitParams, stage: str) -> Iterator[None]:
    """End a stage that takes longer than it may: in words where it can be stopped, else by ending the process.

    What a night has made lies on the shelf, and what is published stays: the next one takes up the stage again.
    """
    minutes: float = getattr(limits, stage)
    told = (
        f"{stage}: took longer than the {minutes:g} minutes it may. What was published stays. Look at var/log for what took so "
        f"long, or give it more: --set execution.limits.{stage}={2 * minutes:g}"
    )
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread alone
        return

    def stop(_: int, __: FrameType | None) -> None:
        raise OutOfTime(told)

    def end() -> None:
        log.error(told)
        os._exit(InputError.exit_code)

    last = threading.Timer(60 * minutes + _GRACE_S, end)
    last.daemon = True
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 60 * minutes)
    last.start()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        last.cancel()
