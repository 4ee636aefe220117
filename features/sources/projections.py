"""Projections of jobs: « Métiers en 2030 » by région as JSON, and the tables of branch observatories in our CSV.

The JSON counts in thousands of jobs over the whole period, from the year that its stock bears to 2030. Its families are the 87
of FAP 2009, some of them counted together: four by a code of the study itself, others (in Corse) by a list. Such a group keeps
one row, under the codes it holds joined by ``|``: what it stands for is not ours to share out. Young starters come with a
minus sign there, as what fills openings; here they are people, and never negative. The stock of ``jobs`` of the first year and
the net ``mobility`` between régions are rounded to one. The study's imbalance is not kept, as it is ``openings -
young_starters + mobility``; nor is the tension of its first year, which has a table of its own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from features import facts
from features.contracts import Checked
from features.errors import InputError
from features.sources.files import CSV, JSON, PARQUET, each, opened
from features.sources.grid import Layout, plain
from features.sources.ours import example_of, parse_rows, read_rows
from features.sources.publication import PublicationParams, day_in_name
from features.tables import PROJECTIONS

EXAMPLE = (
    "A real one is the JSON list of « Métiers en 2030 »"
    ' [{"code_fap": "T4Z", "region": "Grand Est", "effectifs_2019_milliers": 58.1, …}], or ours. '
    f"{example_of(PROJECTIONS)}"
)
_KEYS = Layout(
    {
        "code fap": "code",
        "region": "region",
        r"effectifs \d{4} milliers": "jobs",
        "creations destructions milliers": "net_jobs",
        "departs fin carriere milliers": "departures",
        "jeunes debutants milliers": "young_starters",
        "solde mobilites inter regions milliers": "mobility",
        "postes a pourvoir milliers": "openings",
    },
    EXAMPLE,
)
_COUNTS = ("net_jobs", "departures", "young_starters", "openings")
_WHOLE = ("jobs", "mobility")
_TITLE, _LAST_YEAR = "Métiers en 2030", "2030"
# Families that the study counts together under a code of its own, after their titles: with them each région holds all 87.
_GROUPS = {"D0A": "D0Z|D3Z", "F0A": "F0Z|F1Z", "F2A": "F2Z|F3Z", "XK_": "K0Z|X0Z"}
_LARGEST = 16 * 1024**2  # sixteen times the real one
_OBJECTS = (b"[", b"{")
_BROKEN = "the entry is no JSON object, or names a key twice"
Pairs = list[tuple[str, object]]


def read_projections(paths: Sequence[Path], publication: PublicationParams) -> Checked:
    """Read projections, each file as what it holds. One row per study, scenario, family or occupation and territory."""
    read = each(paths, lambda path: _read_study(path, publication) if _is_json(path) else read_rows(path, PROJECTIONS))
    return parse_rows(read, PROJECTIONS)


def _is_json(path: Path) -> bool:
    with opened(path, JSON, CSV, PARQUET) as stream:
        return stream.peek(1024).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(_OBJECTS)


def _read_study(path: Path, publication: PublicationParams) -> pd.DataFrame:
    """Read the JSON of the study as texts. One row per entry of its list; ``line`` is its place there."""
    entries = _entries(path)
    keys = list(dict.fromkeys(key for entry in entries if entry for key in entry))
    places = _places(keys, path)
    cells = [[(entry or {}).get(keys[at], "") for at in places.values()] for entry in entries]
    rows = pd.DataFrame(cells, columns=list(places), dtype="str").assign(
        reason=pd.Series(["" if entry is not None else _BROKEN for entry in entries], dtype="str"),
        line=range(1, len(entries) + 1),
        file=path.name,
        first_year=plain(keys[places["jobs"]]).split()[1],
        known_from=day_in_name(path) or publication.projections_day.isoformat(),
    )
    return _in_contract(rows)


def _places(keys: list[str], path: Path) -> dict[str, int]:
    """Say which key fills which column; refuse a list that lacks one, or has two for the same."""
    found = _KEYS.places(keys)
    missing = [f"no entry has a key like '{key}'" for key, column in _KEYS.headers.items() if not found[column]]
    if 2 * len(missing) > len(found):
        raise InputError(f"{path}: is not the list that is read here. {EXAMPLE}")
    twice = [f"several keys are like '{key}'" for key, column in _KEYS.headers.items() if len(found[column]) > 1]
    if missing or twice:
        raise InputError(*(f"{path}: {fault}." for fault in (*missing, *twice)), f"{path}: the keys are wrong. {EXAMPLE}")
    return {column: at[0] for column, at in found.items()}


def _entries(path: Path) -> list[dict[str, str] | None]:
    """Give the cells of every entry of the list as they are spelt, and None for what is no entry."""
    with opened(path, JSON) as stream:
        content = stream.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise InputError(f"{path}: is a document of more than 16 MB; no edition of the study is. {EXAMPLE}")
    try:
        found = json.loads(content, object_pairs_hook=_entry, parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError) as fault:
        raise InputError(f"{path}: cannot be read as JSON; download it again. {EXAMPLE}") from fault
    if not isinstance(found, list):
        raise InputError(f"{path}: is not a list of entries. {EXAMPLE}")
    return [entry if isinstance(entry, dict) else None for entry in found]


def _entry(pairs: Pairs) -> dict[str, str] | Pairs:
    """Spell the values of one object; one that names a key twice could mean either, and stays its pairs."""
    cells = {_spelt(key): _spelt(value) for key, value in pairs}
    return cells if len(cells) == len(pairs) else pairs


def _spelt(value: object) -> str:
    """Spell a value; what is nested holds no figure, and half a surrogate pair is no text."""
    if value is None or value is True or value is False:
        return ""
    return (value if isinstance(value, str) else "not a value").encode("utf-8", "replace").decode().strip()


def _in_contract(rows: pd.DataFrame) -> pd.DataFrame:
    """Name the study, type the codes and count in jobs, still as texts. Same rows."""
    listed = facts.departments()
    territory = rows["region"].map(_bare).map(dict(zip(listed["region_title"].map(_bare), listed["region"], strict=True)))
    unknown = territory.isna() & (rows["region"] != "") & (rows["reason"] == "")
    people = rows.assign(young_starters=rows["young_starters"].str.removeprefix("-"))
    codes = rows["code"].str.replace(r"\s*[;,|]\s*", "|", regex=True)
    return rows.drop(columns="region").assign(
        **{name: _in_jobs(people[name]) for name in _COUNTS},
        **{name: _in_jobs(people[name], whole=True) for name in _WHOLE},
        **dict.fromkeys(("branch", "valid_until", "scenario", "reliability"), ""),
        source=_TITLE,
        nomenclature="FAP2009",
        code=codes.str.split("|").map(lambda parts: "|".join(_GROUPS.get(part, part) for part in parts)).astype("str"),
        territory_kind="R",
        territory=territory.fillna("").astype("str"),
        last_year=_LAST_YEAR,
        reason=rows["reason"].mask(unknown, "unknown région " + rows["region"].str[:40]),
    )


def _bare(title: str) -> str:
    """Leave the letters of a title: hyphens and apostrophes come in several forms."""
    return plain(title).replace(" ", "")


def _in_jobs(thousands: pd.Series[str], *, whole: bool = False) -> pd.Series[str]:
    """Turn thousands of jobs into jobs; what is no number stays as it is, for its row to be refused. Same rows."""
    counts = 1000 * pd.to_numeric(thousands.str.replace(",", ".", regex=False), errors="coerce").astype("float64")
    return thousands.mask(counts.notna(), (counts.round() if whole else counts).astype("str"))
