"""One writer at a time in a home."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from features.vocabulary import InputError
from needs.home import Home


@contextmanager
def alone(home: Home) -> Iterator[None]:
    """Hold the home for one run. The lock is the system's: it goes with the process, whatever ends it."""
    home.prepare()
    with (home.var / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"{home.root}: another run is at work here. Wait until it ends, or give another --home."
            ) from error
        yield
