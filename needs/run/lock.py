"""One writer at a time in a home, and what it is told when the machine does not let it read or write."""

from __future__ import annotations

import errno
import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from features.vocabulary import InputError
from needs.home import Home

_MEND = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "Make room on its disk, then run again."),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "Give this user the right to do so, then run again."),
    **dict.fromkeys((errno.EEXIST, errno.ENOTDIR, errno.EISDIR), "Something else lies there: move it away, then run again."),
    **dict.fromkeys((errno.EIO, errno.ESTALE, errno.ENODEV), "Look whether its disk is broken, then run again."),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "Too many files are open on this machine: close some, then run again."),
}
"""What to do about what the system refuses. Anything else that it says is a bug."""


@contextmanager
def alone(home: Home) -> Iterator[None]:
    """Hold the home for one run. The lock is the system's: it goes with the process, whatever ends it.

    What the system refuses inside, like a write to a full disk, is said in words.
    """
    home.prepare()
    with _in_words(home), (home.var / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"{home.root}: another run is at work here. Wait until it ends, or give another --home."
            ) from error
        yield


@contextmanager
def _in_words(home: Home) -> Iterator[None]:
    """Say in words what the system refuses, and what to do about it."""
    try:
        yield
    except OSError as error:
        if error.errno not in _MEND:
            raise
        where = error.filename2 or error.filename or home.var
        raise InputError(
            f"{where}: cannot be read or written ({error.strerror}). What was published stays. {_MEND[error.errno]}"
        ) from error
