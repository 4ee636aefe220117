"""Pseudonyms at the door: nothing that names a person goes further than the reader.

The pseudonym is the first 128 bits of HMAC-SHA256(key, id_personne), both as UTF-8 bytes as given, in 32 lowercase
hexadecimal characters. The key comes from ``NEEDS_PSEUDONYM_KEY`` or from a file outside the home, made at the first run.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

import pandas as pd

from features.vocabulary import InputError

HOW_TO_GIVE_KEY = "Give the right one in NEEDS_PSEUDONYM_KEY, or its file in NEEDS_PSEUDONYM_KEY_FILE."
DEFAULT_KEY_FILE = Path("~/.config/skills-needs/pseudonym.key")


def pseudonym(key: str, person: str) -> str:
    """Give the pseudonym of one person.

    >>> pseudonym("secret", "P1")
    '17761940192b0358426d3cd116577a4d'
    """
    return hmac.new(key.encode(), person.encode(), hashlib.sha256).hexdigest()[:32]


def pseudonymise(frame: pd.DataFrame, key: str) -> pd.DataFrame:
    """Replace every identifier of a person by its pseudonym. Same rows."""
    names = {person: pseudonym(key, person) for person in frame["person"].unique()}
    return frame.assign(person=frame["person"].map(names).astype("str"))


def key_file() -> Path:
    """Say where the key is kept when the environment does not give it."""
    return Path(os.environ.get("NEEDS_PSEUDONYM_KEY_FILE") or DEFAULT_KEY_FILE).expanduser()


def load_key(*, create: bool = False) -> str:
    """Read the key of the pseudonyms. At the first run (``create``), make one that only its owner can read."""
    if given := os.environ.get("NEEDS_PSEUDONYM_KEY"):
        return given
    path = key_file()
    if not path.exists():
        if not create:
            raise InputError(f"{path}: there is no key of the pseudonyms. {HOW_TO_GIVE_KEY}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600, exist_ok=False)
        path.write_text(secrets.token_hex(32), encoding="utf-8")
    if not (key := path.read_text(encoding="utf-8").strip()):
        raise InputError(f"{path}: the key of the pseudonyms is empty. Put the key back, or remove the file to draw a new one.")
    return key


def hold_key(key: str, mark: Path) -> None:
    """Refuse another key than the one a home was first read with: every pseudonym would change unseen."""
    own = pseudonym(key, "the key of this home")
    if not mark.exists():
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.write_text(own, encoding="utf-8")
    elif mark.read_text(encoding="utf-8") != own:
        raise InputError(
            f"The key of the pseudonyms is not the one this home was read with: people would get other pseudonyms. "
            f"{HOW_TO_GIVE_KEY} To change it for good, remove {mark}."
        )
