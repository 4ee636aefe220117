"""Feed one reader mutated files for a while, guided by the code they reach. Anything but an InputError ends it with code 77.

python benchmarks/fuzz_target.py SOURCE SECONDS FOLDER

FOLDER holds the first files to mutate, and keeps those that reach new code.
"""

from __future__ import annotations

import gzip
import io
import logging
import os
import random
import sys
import zipfile
import zlib
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["features"]):
    from features import facts
    from features.errors import InputError
    from features.intake import take_in
    from features.sources import SOURCES, holders_of

_OUTSIDE = 0.2
_BROKEN = (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, NotImplementedError, RuntimeError, IndexError)


def mutate(content: bytes, most: int, seed: int) -> bytes:
    """Change what an archive holds more often than the archive itself, which is then only broken."""
    if random.Random(seed).random() > _OUTSIDE:
        try:
            if len(within := _mutated_within(content, most, seed)) <= most:
                return within
        except _BROKEN:
            pass
    return atheris.Mutate(content, most)


def _mutated_within(content: bytes, most: int, seed: int) -> bytes:
    if content.startswith(b"PK"):
        return _mutated_archive(content, most, seed)
    if content.startswith(b"\x1f\x8b"):
        return gzip.compress(atheris.Mutate(gzip.decompress(content), most), mtime=0)
    return atheris.Mutate(content, most)


def _mutated_archive(content: bytes, most: int, seed: int) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {part.filename: archive.read(part) for part in archive.infolist()}
    chosen = random.Random(seed + 1).choice(sorted(parts))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for part, held in parts.items():
            archive.writestr(part, atheris.Mutate(held, most) if part == chosen else held)
    return packed.getvalue()


def main(name: str, seconds: str, folder: str) -> None:
    logging.disable()
    source = SOURCES[name]
    path = Path(folder).parent / f"{name}.tried"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        try:
            holders_of(path, source.folder)
            checked = source.read([path])
            taken = take_in(checked, source.contract, facts.communes())
        except InputError as error:
            assert str(path) in str(error) or source.name in str(error), "an error that does not say where"  # noqa: PT017
            return
        assert checked.read >= len(checked.kept) + len(checked.rejected)
        assert taken.read == checked.read

    words = Path(folder).parent / f"{name}.dict"
    options = [f"-max_total_time={seconds}", "-max_len=20000", "-timeout=20", "-rss_limit_mb=3000", f"-dict={words}"]
    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={folder}{os.sep}crash-", folder], read, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:4])
