"""Feed one reader mutated files for a while, guided by the code they reach. Anything but an InputError ends it with code 77.

python benchmarks/fuzz_target.py SOURCE SECONDS FOLDER

FOLDER holds the first files to mutate, and keeps those that reach new code.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["features"]):
    from features.errors import InputError
    from features.sources import SOURCES


def main(name: str, seconds: str, folder: str) -> None:
    logging.disable()
    source = SOURCES[name]
    path = Path(folder).parent / f"{name}.tried"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        try:
            checked = source.read([path])
        except InputError as error:
            assert str(path) in str(error) or source.name in str(error), "an error that does not say where"  # noqa: PT017
            return
        assert checked.read >= len(checked.kept) + len(checked.rejected)

    words = Path(folder).parent / f"{name}.dict"
    options = [f"-max_total_time={seconds}", "-max_len=20000", "-timeout=20", "-rss_limit_mb=3000", f"-dict={words}"]
    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={folder}{os.sep}crash-", folder], read)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:4])
