"""Run every ``bench_*.py`` beside this file and print its figures beside their bounds.

A benchmark is a module with one public function, ``measure() -> Iterable[Figure]``. Exits 1 when a bound is not kept.
``python benchmarks/run.py fuzz bmo`` runs some of them.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from figures import Figure

LINE = "{:<16}{:<84}{:>12}  {:<14}{}"


def main() -> int:
    missed = 0
    print(LINE.format("benchmark", "figure", "value", "bound", ""), flush=True)
    found = sorted(path.stem for path in Path(__file__).parent.glob("bench_*.py"))
    if unknown := {name for name in sys.argv[1:] if f"bench_{name}" not in found}:
        raise SystemExit(f"There is no benchmark {', '.join(sorted(unknown))}.")
    for name in [name for name in found if name.removeprefix("bench_") in sys.argv[1:] or not sys.argv[1:]]:
        for figure in importlib.import_module(name).measure():
            print(LINE.format(name.removeprefix("bench_"), *cells(figure)).rstrip(), flush=True)
            missed += not figure.kept
    return int(missed > 0)


def cells(figure: Figure) -> tuple[str, str, str, str]:
    """Write a figure as the cells of its line."""
    value = f"{figure.value:.3g} {figure.unit}"
    if figure.bound is None:
        return figure.name, value, "", ""
    return figure.name, value, f"≤ {figure.bound:g} {figure.unit}", "kept" if figure.kept else "MISSED"


if __name__ == "__main__":
    sys.exit(main())
