"""Every reader against mutated files, guided by the code they reach, for a stated time each: nothing but clear errors.

``FUZZ_SECONDS=600 python benchmarks/run.py fuzz`` looks longer. A file that breaks a reader is kept and named.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from features.sources import SOURCES
from figures import Figure
from fuzz_seeds import seeds_of

SECONDS = int(os.environ.get("FUZZ_SECONDS", "6"))
_RUNS = re.compile(r"Done (\d+) runs")
_REACHED = re.compile(r"cov: (\d+)")
_BROKEN_KEPT_IN = Path("build") / "fuzz"


def measure() -> Iterator[Figure]:
    """Try every reader for the same time; where the fuzzer is not made for the machine, say so."""
    if find_spec("atheris") is None:
        yield Figure("skipped: atheris is not made for this machine", 0, "")
        return
    broken: list[str] = []
    for name in SOURCES:
        with tempfile.TemporaryDirectory() as folder:
            told, code = _try(name, Path(folder))
        runs, reached = _last(_RUNS, told), _last(_REACHED, told)
        broken += [name] if code else []
        yield Figure(f"{name}: files tried in {SECONDS} s", runs, "")
        yield Figure("  branches reached by the last ÷ by the seeds", reached / max(_first(_REACHED, told), 1), "×")
    yield Figure(f"readers that a file broke {' '.join(broken)}".rstrip(), len(broken), "", 0)


def _try(name: str, folder: Path) -> tuple[str, int]:
    """Run one target; give what it told and its exit code."""
    corpus = folder / "corpus"
    corpus.mkdir()
    words: set[str] = set()
    for number, seed in enumerate(seeds_of(SOURCES[name])):
        (corpus / f"seed{number}").write_bytes(seed)
        words |= set(re.findall(r"[A-Za-z_-]{3,20}", seed.decode("latin-1")))
    (folder / f"{name}.dict").write_text("".join(f'"{word}"\n' for word in sorted(words)))
    target = [sys.executable, str(Path(__file__).with_name("fuzz_target.py")), name, str(SECONDS), str(corpus)]
    done = subprocess.run(target, capture_output=True, encoding="utf-8", errors="replace", check=False)
    if done.returncode:
        _keep(corpus, name, done.stderr)
    return done.stderr, done.returncode


def _keep(corpus: Path, name: str, told: str) -> None:
    _BROKEN_KEPT_IN.mkdir(parents=True, exist_ok=True)
    for crash in corpus.glob("crash-*"):
        (_BROKEN_KEPT_IN / f"{name}-{crash.name}").write_bytes(crash.read_bytes())
    (_BROKEN_KEPT_IN / f"{name}.txt").write_text(told, encoding="utf-8")


def _last(pattern: re.Pattern[str], told: str) -> int:
    return int((pattern.findall(told) or ["0"])[-1])


def _first(pattern: re.Pattern[str], told: str) -> int:
    return int((pattern.findall(told) or ["0"])[0])
