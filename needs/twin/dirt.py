"""Faults planted in finished raw files, as badly kept ones have them, and the list of what was planted.

Each fault touches a few rows of one file, and no row has two. What readers must say of it is told beside it: a rejected row
with its reason, a repeated row, an unknown code with its volume, or nothing where the row is only poorer. Wrong rows stay at
1 % of a source, half of the default reject budget, and a source of fewer than 100 rows has none: nothing becomes unreadable.

Whole files are changed too: one year of the survey is its CSV export in Latin-1, though it keeps the name of the workbook;
another file is saved in Latin-1, one begins with a byte order mark and one has the line ends of Windows. They read as before.
No file is added, taken away or renamed.
"""

from __future__ import annotations

import csv
import gzip
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import StringIO
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
from python_calamine import CalamineWorkbook

from features.sources.workbooks import spelt
from needs.twin.faults import LATIN_1, NOT_UTF_8, UTF_8, Fault, Form, Row, faults_of_sources, volume_of

_BUDGET = 100  # rows of which one may be wrong
_MOST = 50  # rows one fault touches at most: enough to be counted
_ACCENTED = 0.1  # lines with an accent, above which a file in Latin-1 is known as such without doubt
_ID = re.compile(rb'"id": *"[^"]*"')
_SURVEY = "bmo"
_TOLD = ("source", "file", "fault", "rows", "reason", "column", "code", "volume")


@dataclass
class _Opened:
    """A file while faults are planted in it: its lines after the header, and those that nothing has touched."""

    path: Path
    form: Form
    lines: list[bytes]
    free: list[int] = field(default_factory=list)


def plant_faults(folder: Path, rng: np.random.Generator) -> pd.DataFrame:
    """Plant faults in the raw files of a folder. One row per source, file and fault, with the rows it touches.

    ``reason`` is what the door says of a row it rejects; ``column``, ``code`` and ``volume`` tell of the unknown code that
    it lists. Rows of a ``duplicate`` are counted as such; those of any other fault without a reason are kept.
    """
    exported, ours = _export_survey(folder, rng), list[Path]()
    planted = [_whole(folder, path, "latin_1", path.read_bytes().count(b"\n") - 1) for path in exported]
    for source, faults in faults_of_sources(rng).items():
        paths = exported if source == _SURVEY else _text_files(folder / source)
        planted += _plant_in(folder, paths, faults, rng)
        ours += paths
    mixed = {folder / str(row["file"]) for row in planted if row["fault"] == "not_utf8"}
    planted += _spoil_whole_files(folder, [path for path in ours if path.suffix == ".csv"], mixed, rng)
    listed = pd.DataFrame(planted, columns=list(_TOLD)).astype({"rows": "int64", "volume": "float64"})
    return listed.sort_values(["source", "file", "fault"], ignore_index=True)


def _text_files(folder: Path) -> list[Path]:
    return sorted(path for kind in ("*.csv", "*.jsonl.gz") for path in folder.glob(kind))


def _plant_in(folder: Path, paths: Sequence[Path], faults: Sequence[Fault], rng: np.random.Generator) -> list[Row]:
    """Plant the faults of one source, each in one of its files. Only those are held in memory."""
    opened: dict[Path, _Opened] = {}
    counts = _shares(faults, sum(_content(path).count(b"\n") for path in paths), rng)
    told = []
    for fault, most in zip(faults, counts, strict=True):
        for at in rng.permutation(len(paths)):
            if paths[at] not in opened:
                opened[paths[at]] = _open(paths[at], rng)
            file = opened[paths[at]]
            if rows := _plant(file, fault, most):
                told.append(_told(folder, file.path, fault, rows))
                break
    for file in opened.values():
        _close(file)
    return told


def _shares(faults: Sequence[Fault], rows: int, rng: np.random.Generator) -> list[int]:
    """Say how many rows each fault may touch: the wrong ones share the budget, the others cost nothing."""
    wrong = [place for place, fault in enumerate(faults) if fault.is_wrong]
    budget = rows // _BUDGET
    shares = [max(1, rows // (2 * _BUDGET)) if rows else 0] * len(faults)
    for turn, place in enumerate(rng.permutation(wrong).tolist()):
        shares[place] = budget // len(wrong) + (turn < budget % len(wrong))
    return [min(share, 1 if fault.once else _MOST) for share, fault in zip(shares, faults, strict=True)]


def _plant(file: _Opened, fault: Fault, most: int) -> list[bytes]:
    """Change the first lines that a fault suits; give them as they are now."""
    if fault.reason == NOT_UTF_8 and len(file.lines) < _BUDGET:  # a stray byte among few lines may as well be Latin-1
        return []
    suited = ((at, new) for at in file.free if (new := fault.change(file.lines[at], file.form)) is not None)
    changed = dict(islice(suited, most))
    for at, line in changed.items():
        file.lines[at] = line
    file.free = [at for at in file.free if at not in changed]
    return [line.partition(b"\n")[0] for line in changed.values()]


def _told(folder: Path, path: Path, fault: Fault, lines: Sequence[bytes]) -> Row:
    volume = 0.0
    if fault.code:
        form = _form_of(path)
        rows = [form.row(line) or {} for line in lines]
        volume = sum(volume_of(row[fault.volume]) if fault.volume else 1.0 for row in rows)
    words = {"fault": fault.name, "reason": fault.reason, "column": fault.column, "code": fault.code}
    where = {"source": path.parent.name, "file": path.relative_to(folder).as_posix()}
    return {**where, **words, "rows": len(lines), "volume": volume}


def _open(path: Path, rng: np.random.Generator) -> _Opened:
    """Read the lines of a file, and put those that may be touched in a random order."""
    form = _form_of(path)
    lines = _content(path).rstrip(b"\n").split(b"\n")[1 if form.header else 0 :]
    names = lines if form.header else [found[0] if (found := _ID.search(line)) else line for line in lines]
    seen = Counter(names)  # versions of one offer are told apart by their days: they are left alone
    free = [at for at in rng.permutation(len(lines)).tolist() if seen[names[at]] == 1]
    return _Opened(path, form, lines, free)


def _content(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def _form_of(path: Path) -> Form:
    if path.suffix == ".gz":
        return Form()
    encoding = LATIN_1 if path.parent.name == _SURVEY else UTF_8
    with path.open("rb") as file:
        return Form(tuple(file.readline().decode(encoding).rstrip("\n").split(";")), encoding)


def _close(file: _Opened) -> None:
    """Write a file again, with neither a name nor a time where it is packed."""
    header = [";".join(file.form.header).encode(file.form.encoding)] if file.form.header else []
    content = b"".join(line + b"\n" for line in [*header, *file.lines])
    file.path.write_bytes(gzip.compress(content, 6, mtime=0) if file.path.suffix == ".gz" else content)


def _export_survey(folder: Path, rng: np.random.Generator) -> list[Path]:
    """Put the CSV export of one survey, in Latin-1, in the place of its workbook; say which file it is, if there is one."""
    books = sorted((folder / _SURVEY).glob("*.xlsx"))
    if not books:
        return []
    book = books[rng.integers(len(books))]
    rows = CalamineWorkbook.from_path(book).get_sheet_by_index(1).to_python()
    text = StringIO(newline="")
    csv.writer(text, delimiter=";", lineterminator="\n").writerows([spelt(cell) for cell in row] for row in rows)
    book.write_bytes(text.getvalue().encode(LATIN_1, "replace"))
    return [book]


def _spoil_whole_files(folder: Path, paths: Sequence[Path], mixed: set[Path], rng: np.random.Generator) -> list[Row]:
    """Save some files in other ways; those that hold a row that is not UTF-8 keep their encoding."""
    ours = [path for path in paths if path.read_bytes().count(b"\n") > 1]
    accented = [path for path in ours if path not in mixed and _is_accented(path)]
    told = []
    if accented:
        latin = accented[rng.integers(len(accented))]
        latin.write_bytes(latin.read_bytes().decode(UTF_8).encode(LATIN_1))
        told.append(_whole(folder, latin, "latin_1", latin.read_bytes().count(b"\n") - 1))
        ours.remove(latin)
    ways = (("byte_order_mark", b"\xef\xbb\xbf", b"\n"), ("windows_line_ends", b"", b"\r\n"))
    for at, (name, mark, end) in zip(rng.permutation(len(ours)), ways, strict=False):
        content = ours[at].read_bytes()
        ours[at].write_bytes(mark + content.replace(b"\n", end))
        told.append(_whole(folder, ours[at], name, content.count(b"\n") - 1))
    return told


def _whole(folder: Path, path: Path, fault: str, rows: int) -> Row:
    words = {"fault": fault, "reason": "", "column": "", "code": "", "rows": rows, "volume": 0.0}
    return {"source": path.parent.name, "file": path.relative_to(folder).as_posix(), **words}


def _is_accented(path: Path) -> bool:
    """Say whether so many lines of a file hold French letters that no reader can take its Latin-1 for stray bytes."""
    lines = path.read_bytes().splitlines()
    return sum(not line.isascii() for line in lines) > _ACCENTED * len(lines)
