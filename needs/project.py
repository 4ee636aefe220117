"""A new home for a Region: parameters with comments, a folder for each source that says what it takes, room for decisions."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from features.errors import InputError
from needs.home import DECISIONS, Home

_SHIPPED = "R44"  # whose communes are shipped
_AMOUNT_EUR = 2_000_000  # as in the parameters, where nothing is said
_IGNORED = """\
# Ce que font les nuits, et les fichiers du territoire : rien de cela n'est du code.
/var/
/data/
"""
_PARAMS = """\
# Paramètres de la Région. Ce qui n'est pas écrit ici garde sa valeur par défaut ;
# « needs params » les montre tous, avec unités et bornes.

features:
  region: {region}  # {title}

purchase:
  exercise: {exercise}  # année achetée ; vide : celle qui suit la date du calcul
  # Les enveloppes : montant en euros, volets et financeurs (codes LHEO : 2 Région, 3 FSE, 4 France Travail, 11 État).
  envelopes:
    - {{name: socle, amount_eur: {amount}, volets: [socle], financeurs: ["2"]}}
    # - {{name: additionnel, amount_eur: 1000000, volets: [additionnel], financeurs: ["11", "4"]}}
  # Planchers, plafonds, limites de changement, réserves : docs/purchase.md en donne des exemples.
  rules: []

show:
  language: fr  # fr ou en : la langue des classeurs, des pages et des messages

advice:
  contact: "le conseiller référent, puis la Région {title}"
"""


@dataclass(frozen=True)
class Asked:
    """What a person said of the new home; ``amount_eur`` is the money of its first envelope."""

    region: str
    amount_eur: int
    exercise: int | None = None


def read_asked(region: str | None, amount_eur: int | None, exercise: int | None) -> Asked:
    """Ask on a terminal for what was not given; without a terminal the Region must be given, and money has a default."""
    if region is None and not sys.stdin.isatty():
        raise InputError("--region is missing. Give the code or the title of the Region, like: needs init home --region 44")
    code = read_region(region if region is not None else input("Region, by code or title (like 44 or Occitanie): "))
    if amount_eur is None and sys.stdin.isatty():
        amount_eur = _read_amount(input(f"Euros of the first envelope [{_AMOUNT_EUR}]: "))
    return Asked(code, _AMOUNT_EUR if amount_eur is None else amount_eur, exercise)


def _read_amount(text: str) -> int:
    """Read an amount as people write it, 20 000 000; the default where nothing is written."""
    digits = "".join(text.split()).removesuffix("€")
    if digits and not digits.isdecimal():
        raise InputError(f"'{text[:40]}' is not an amount. Write whole euros, like {_AMOUNT_EUR}.")
    return int(digits) if digits else _AMOUNT_EUR


def read_region(text: str) -> str:
    """Read a Region by its code or its title; refuse in words what is none.

    >>> read_region("44"), read_region("occitanie"), read_region("R76")
    ('R44', 'R76', 'R76')
    """
    from features.sources.grid import plain
    from features.vocabulary import REGION_CODE

    titles = region_titles()
    named = [code for code, title in titles.items() if plain(title) == plain(text)]
    code = f"R{text.strip().upper().removeprefix('R')}"
    if not named and code not in titles:
        listed = ", ".join(f"{code[1:]} {title}" for code, title in titles.items())
        raise InputError(
            f"--region: '{text[:40]}' is not a Region. Write its code or its title, like {REGION_CODE.example[1:]}; "
            f"they are {listed}."
        )
    return named[0] if named else code


def region_titles() -> dict[str, str]:
    """Name the régions of France, by code."""
    from features import facts

    listed = facts.departments().drop_duplicates("region").sort_values("region")
    return dict(zip(listed["region"], listed["region_title"], strict=True))


def make_project(root: Path, asked: Asked) -> str:
    """Make a home where none is, and say what is to be done next. What is there is never written over."""
    home = Home(root)
    if home.params.exists():
        raise InputError(
            f"{home.params}: is there already; a home is made once. Give another folder, or change this one by hand."
        )
    try:
        _lay(home, asked)
    except OSError as error:
        raise InputError(f"{root}: cannot be written ({error.strerror or error}). Give another folder.") from error
    return _tell_next(home, asked)


def _lay(home: Home, asked: Asked) -> None:
    """Lay folders and files; the parameters come last, since they say that the home is whole."""
    from features.sources import LEAFLET
    from needs.show.guide import guides, leaflet

    (home.root / DECISIONS).mkdir(parents=True, exist_ok=True)
    for folder in guides():
        (home.raw / folder).mkdir(parents=True, exist_ok=True)
        (home.raw / folder / LEAFLET).write_text(leaflet(folder), encoding="utf-8")
    ignored = home.root / ".gitignore"
    if not ignored.exists():
        ignored.write_text(_IGNORED, encoding="utf-8")
    written = _PARAMS.format(
        region=asked.region, title=region_titles()[asked.region], exercise=asked.exercise or "", amount=asked.amount_eur
    )
    half = home.params.with_suffix(".yaml.part")
    half.write_text(written, encoding="utf-8")
    half.replace(home.params)


def _tell_next(home: Home, asked: Asked) -> str:
    """Say what a person does now, step by step."""
    from features.sources import LEAFLET
    from needs.show.guide import guides

    needed = [folder for folder, guide in guides().items() if guide.weight == "needed"]
    needed = [folder for folder in needed if folder != "territories" or asked.region != _SHIPPED]
    return "\n".join(
        [
            f"{home.root}: made for {region_titles()[asked.region]} ({asked.region}).",
            f"1. Read {home.params}: envelopes, exercise, rules.",
            f"2. Drop files into {home.raw}/<source>/; each folder has a {LEAFLET}. Needed: {', '.join(needed)}.",
            f"3. needs --home {home.root} doctor     says what is missing and what it would change",
            f"4. needs --home {home.root} nightly    makes the plan",
        ]
    )
