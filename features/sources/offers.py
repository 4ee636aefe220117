"""Job offers: search responses of "Offres d'emploi v2", or one offer per line, plain or gzipped, or Parquet.

Every version of an offer is kept, each known from the day it was updated: what the offer said in March stays what was
known in March. An occupation of ROME 4 is counted in its parent of ROME 3 and kept beside it as ``leaf``. An offer without a
commune keeps its département, or the country across the border; one that names only the Region keeps neither, and stands for
all of it; whatever else it names lies outside.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from features import facts
from features.cells import each_distinct, typed
from features.contracts import UNKNOWN_CODE, Checked
from features.sources.files import JSON, PARQUET, each, opened
from features.sources.grid import plain
from features.sources.offer_lines import EXAMPLE as EXAMPLE
from features.sources.offer_lines import Diploma, Found, Offer, Skill, Workplace, read_blocks
from features.sources.ours import read_parquet
from features.sources.wages import hourly_pay
from features.tables import OFFERS
from features.vocabulary import BORDERS, ELSEWHERE, REGION, InputError

_DISTINCT = 1 << 16
_LONGEST_CODE = 10
_DAYS_PER_MONTH = 365.25 / 12
_MONTHS = {"mois": 1.0, "jour": 1 / _DAYS_PER_MONTH, "semaine": 7 / _DAYS_PER_MONTH, "an": 12.0}
_LENGTH = re.compile(r"- *(\d{1,4}) *(mois|jour|semaine|an)")
_NUMBERED = re.compile(r"(\d{2,3}|2[AB]) - (.*)", re.DOTALL)
_LEVELS = {"CAP": 3, "BEP": 3, "Bac ": 4, "Bac+2": 5, "Bac+3": 6, "Bac+4": 6, "Bac+5": 7}
_BROKEN = Offer("")
_UNSAID = (None, "")
_NUL = "a text holds a NUL character"


def read_offers(paths: Sequence[Path]) -> Checked:
    """Read files of job offers. One row per offer and day on which it changed; of one day, the latest version.

    An earlier version of the same day counts as a duplicate. An occupation that ROME does not know is rejected by name, and
    listed with the positions it stands for.
    """
    rows = pd.concat(each(paths, _read_file), ignore_index=True) if paths else _rows([])
    read, rows = len(rows), _in_rome_3(_latest_of_the_day(rows))
    repeated, unknown, texts = read - len(rows), _unknown_codes(rows), [rows]
    del rows
    checked = OFFERS.parse(texts.pop(), OFFERS.name)  # which lets go of the texts
    return replace(checked, kept=date_versions(checked.kept), duplicates=checked.duplicates + repeated, unknown=unknown)


def date_versions(offers: pd.DataFrame) -> pd.DataFrame:
    """Say of each version until when it was the last one, and when its offer was first published. Same rows.

    Rows stand in the order of offers and days, so that the version before, or after, is the neighbour: the last version
    known on a day is then found by a comparison of dates, however many rows there are.
    """
    follows = (offers["offer"] == offers["offer"].shift()).to_numpy()
    followed = np.append(follows[1:], False) if len(follows) else follows
    superseded = offers["known_from"].shift(-1).where(followed)
    created = offers["created"]
    if follows.any():
        shared = offers["offer"].isin(offers.loc[follows, "offer"])
        created = created.mask(shared, created[shared].groupby(offers.loc[shared, "offer"]).cummin())
    return offers.assign(created=created, superseded=superseded)


def _read_file(path: Path) -> pd.DataFrame:
    """Read one file as texts. One row per offer it holds, and per line that is no offer."""
    with opened(path, JSON, PARQUET) as stream:
        if stream.peek(4)[:4] == b"PAR1":
            rows = read_parquet(path, OFFERS).assign(stamp=lambda t: t["known_from"], reason="")
            return _with_verdict(rows.assign(skills=each_distinct(rows["skills"], _each_once)))
        rows = _rows([_block(found) for found in read_blocks(stream, path) if found])
    if not rows.empty and (rows["reason"] != "").all():
        raise InputError(f"{path}: holds no job offer ({rows['reason'].iloc[0]}). {EXAMPLE}")
    return _with_verdict(rows.assign(file=path.name))


def _rows(blocks: list[pa.Table]) -> pd.DataFrame:
    """Put the blocks of one file together. One row per offer, and per line that is no offer."""
    rows: pd.DataFrame = pa.concat_tables([_block([]), *blocks]).combine_chunks().to_pandas()
    stamps, created = rows["stamp"].str.strip(), rows["created"].str.strip()
    return rows.assign(
        offer=rows["offer"].str.strip(), stamp=stamps, known_from=stamps.str[:10], created=created.str[:10], leaf=""
    )


def _with_verdict(rows: pd.DataFrame) -> pd.DataFrame:
    """Refuse the rows with a NUL character in a free text: no database takes it. Same rows."""
    spoilt = pd.concat([rows[name].str.contains("\0", regex=False) for name in ("offer", "contract", "skills")], axis=1)
    return rows.assign(reason=rows["reason"].mask(spoilt.fillna(False).any(axis=1), _NUL))


def _block(found: Found) -> pa.Table:
    """Lay out some offers in columns of texts, named as in the contract. One row per offer or broken line."""
    offers = [_BROKEN if isinstance(offer, str) else offer for _, offer in found]
    communes = [(offer.place.commune or "").strip() if offer.place else "" for offer in offers]
    places = [_EXACT if at else _place_of(offer.place) for at, offer in zip(communes, offers, strict=True)]
    terms = [_terms_of(offer.contract, offer.nature, offer.length) for offer in offers]
    columns = {
        "reason": [offer if isinstance(offer, str) else "" for _, offer in found],
        "offer": [offer.id for offer in offers],
        "created": [offer.created for offer in offers],
        "stamp": [offer.updated or offer.created for offer in offers],
        "occupation": [offer.occupation for offer in offers],
        "commune": communes,
        "border": [place.border for place in places],
        "department": [place.department for place in places],
        "contract": [offer.contract for offer in offers],
        "contract_months": [months for months, _ in terms],
        "seasonal": [seasonal for _, seasonal in terms],
        "positions": ["1" if offer.positions in _UNSAID else str(offer.positions) for offer in offers],
        "experience": [offer.experience for offer in offers],
        "level": [_lowest_level(offer.diplomas) if offer.diplomas else "" for offer in offers],
        "skills": [_codes_of(offer.skills) if offer.skills else "" for offer in offers],
        "hourly_eur": [hourly_pay(offer.pay.label, offer.worked) if offer.pay else "" for offer in offers],
    }
    texts = {name: pa.array(column, pa.large_string()) for name, column in columns.items()}
    return pa.table({"line": pa.array([line for line, _ in found], pa.int64()), **texts})


class _Place(NamedTuple):
    """Where an offer without a commune is: across a border, or in a département; neither means the whole Region."""

    border: str = ""
    department: str = ""


_EXACT = _Place()


def _place_of(place: Workplace | None) -> _Place:
    return _place_named((place.label if place else None) or "")


@lru_cache(_DISTINCT)
def _place_named(label: str) -> _Place:
    """Read the label of an offer that names no commune.

    >>> [_place_named(label).department for label in ("67 - BAS-RHIN", "bas rhin", "Savoie", "Canada, NB, Caraquet")]
    ['D67', 'D67', 'D73', 'D99']
    >>> _place_named("Allemagne (Frontalier)").border, _place_named("Grand Est")
    ('DE', _Place(border='', department=''))
    """
    number, name = numbered.groups() if (numbered := _NUMBERED.fullmatch(label.strip())) else ("", label)
    if "(frontalier)" in name.lower() and (country := _countries().get(plain(name.lower().split("(frontalier)")[0]))):
        return _Place(border=country)
    if plain(name) == _region():
        return _Place()
    return _Place(department=f"D{number}" if number else _departments().get(plain(name), ELSEWHERE))


@cache
def _countries() -> dict[str, str]:
    return {plain(name): code for code, name in BORDERS.items()}


@cache
def _departments() -> dict[str, str]:
    listed = facts.departments()
    return {plain(title): code for code, title in zip(listed["department"], listed["title"], strict=True)}


@cache
def _region() -> str:
    return plain(str(facts.territories().set_index("territory").loc[REGION, "title"]))


@lru_cache(_DISTINCT)
def _terms_of(contract: str | None, nature: str | None, length: str | None) -> tuple[str, str]:
    """Read how many months a contract lasts, and whether it is seasonal.

    >>> _terms_of("CDD", None, "Contrat à durée déterminée - 12 Mois"), _terms_of("MIS", None, "Mission - 2 Semaine(s)")
    (('12.0', '0'), ('0.46', '0'))
    >>> _terms_of("CDI", None, "CDI"), _terms_of("CDD", "Contrat saisonnier", None)
    (('', '0'), ('', '1'))
    """
    said = (length or "").lower()
    found = _LENGTH.search(said)
    months = str(round(int(found[1]) * _MONTHS[found[2]], 2)) if found else ""
    seasonal = (contract or "").strip() == "SAI" or "saisonnier" in said or "saisonnier" in (nature or "").lower()
    return months, "1" if seasonal else "0"


def _codes_of(skills: list[Skill]) -> str:
    return "|".join(sorted({skill.code for skill in skills if skill.code}))


def _each_once(texts: pd.Series[str]) -> pd.Series[str]:
    """Name each skill of a list once, in order. Same rows."""
    return texts.map(lambda text: "|".join(sorted({*str(text).split("|")} - {""})), na_action="ignore").astype("str")


def _lowest_level(diplomas: list[Diploma]) -> str:
    """Give the lowest level that an offer asks for: one of several diplomas is enough."""
    levels = [level for diploma in diplomas if (level := _level_of(diploma.level))]
    return min(levels) if levels else ""


@lru_cache(_DISTINCT)
def _level_of(label: str | None) -> str:
    """Read the European level of a diploma.

    >>> _level_of("CAP, BEP et équivalents"), _level_of("Bac ou équivalent"), _level_of("Aucune formation scolaire")
    ('3', '4', '')
    """
    return min((str(level) for start, level in _LEVELS.items() if label and label.strip().startswith(start)), default="")


def _latest_of_the_day(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep the latest version of each offer and day. One row per offer, day and line that says the same."""
    again = rows[rows.duplicated(["offer", "known_from"], keep=False)]
    stamps = pd.to_datetime(again["stamp"], utc=True, format="ISO8601", errors="coerce")
    older = stamps < stamps.groupby([again["offer"], again["known_from"]]).transform("max")
    return rows.drop(index=again.index[older]).reset_index(drop=True) if older.any() else rows


def _in_rome_3(rows: pd.DataFrame) -> pd.DataFrame:
    """Count each occupation in its ROME 3 parent, keep the leaf beside it, and mark the unknown ones. Same rows."""
    codes = rows["occupation"].fillna("").str.strip().str.upper()
    parents = each_distinct(codes, lambda distinct: distinct.map(_parents()).astype("str"))
    unknown = parents.isna() & (codes != "") & (rows["reason"] == "")
    return rows.assign(
        occupation=parents.fillna(codes),
        leaf=rows["leaf"].mask(parents.notna() & (parents != codes), codes),
        reason=rows["reason"].mask(unknown, f"{UNKNOWN_CODE} " + codes.str[:_LONGEST_CODE])
        if unknown.any()
        else rows["reason"],
    )


@cache
def _parents() -> dict[str, str]:
    """Say in which ROME 3 occupation each code of ROME 3 and 4 counts."""
    leaves = facts.leaves()
    return dict(zip(leaves["leaf"], leaves["occupation"], strict=True)) | {
        code: code for code in facts.occupations()["occupation"]
    }


def _unknown_codes(rows: pd.DataFrame) -> pd.DataFrame:
    """List the occupations that ROME does not know, with their positions. One row per code."""
    unknown = rows[rows["reason"].str.startswith(UNKNOWN_CODE)]
    positions = typed(unknown["positions"], OFFERS["positions"])
    listed = pd.DataFrame(
        {
            "column": pd.Series("occupation", index=unknown.index, dtype="str"),
            "code": unknown["occupation"].str[:_LONGEST_CODE],
            "volume": positions.values.mask(positions.wrong).astype("float64").fillna(1.0),
        }
    )
    return listed.groupby(["column", "code"], as_index=False).agg(rows=("volume", "size"), volume=("volume", "sum"))
