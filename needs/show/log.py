"""What a person reads of the last night: its steps, and how it ended."""

from __future__ import annotations

import pandas as pd

from needs.home import Home
from needs.run.logs import CLOSED, last_log, read_log
from needs.run.progress import FAILED
from needs.show.figures import count
from needs.show.messages import say


def tell_log(home: Home, language: str) -> str:
    """Tell the last night: when, its steps with seconds, memory and rows, and the code it ended with, if it came to an end."""
    path = last_log(home)
    if path is None:
        return say("log.none", language, folder=home.logs)
    lines = read_log(path)
    begun = "" if lines.empty else str(lines["at"].iloc[0])[:19].replace("T", " ")
    head = say("log.begun", language, at=begun, file=path)
    return "\n".join([head, *_table(lines[lines["seconds"].notna() & lines["step"].notna()], language), _end(lines, language)])


def _table(steps: pd.DataFrame, language: str) -> list[str]:
    """Write one line a step, under their titles: what was counted stands last, as it was logged."""
    cells = [[say(f"log.{name}", language) for name in ("step", "seconds", "peak_mb", "rows")]]
    for step in steps.to_dict("records"):
        rows = step["rows"] if isinstance(step["rows"], dict) else {}
        counted = ", ".join(f"{number} {what}" for what, number in rows.items())
        told = say("log.failed", language) if step["event"] == FAILED else counted
        cells.append([str(step["step"]), *(count(float(step[name]), language, 1) for name in ("seconds", "peak_mb")), told])
    wide = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [f"{a:<{wide[0]}}  {b:>{wide[1]}}  {c:>{wide[2]}}  {d}".rstrip() for a, b, c, d in cells]


def _end(lines: pd.DataFrame, language: str) -> str:
    """Say how the night ended; what is killed has no time to say so."""
    closed = lines[lines["event"] == CLOSED]
    if closed.empty:
        return say("log.open", language)
    last = closed.iloc[-1]
    return say("log.closed", language, exit_code=int(last["exit_code"]), seconds=last["seconds"])
