"""What a person sees while a run is at work."""

from __future__ import annotations

import fcntl
import logging
import os
import pty
import struct
import subprocess
import sys
import termios
import textwrap

import pytest

from needs.run.progress import counted, step

SLOW = textwrap.dedent("""
    import logging, time
    from needs.run.progress import counted, step
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with step("slow") as rows:
        time.sleep({seconds})
    for item in counted(range(3), "items", unit="item", total=3):
        time.sleep({seconds} / 2.9)
""")


def seen_on_a_terminal(seconds: float) -> str:
    """Run on a real pseudo-terminal and give what it shows."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    done = subprocess.Popen([sys.executable, "-c", SLOW.format(seconds=seconds)], stdout=slave, stderr=slave)
    os.close(slave)
    shown = b""
    while True:
        try:
            chunk = os.read(master, 4096)
        except OSError:
            break
        if not chunk:
            break
        shown += chunk
    assert done.wait() == 0
    return shown.decode()


@pytest.mark.long
def test_a_bar_shows_where_a_step_takes_more_than_two_seconds_and_only_there() -> None:
    slow, quick = seen_on_a_terminal(2.7), seen_on_a_terminal(0.1)
    assert "slow… 00:0" in slow
    assert "items:" in slow
    assert "…" not in quick
    assert "items:" not in quick


def test_a_step_logs_one_line_with_what_was_counted(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), step("ranking") as rows:
        rows |= {"options in": 3, "rows": 9}
    assert [record.getMessage().rpartition(",")[0] for record in caplog.records] == ["ranking: 3 options in, 9 rows"]
    assert list(counted(range(3), "items", unit="item", total=3)) == [0, 1, 2]
