"""The one family of errors that a person can mend."""

from __future__ import annotations


class InputError(Exception):
    """What a person can mend: a wrong file, code or parameter. Lists every fault at once; commands exit with its code."""

    exit_code = 2

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults
