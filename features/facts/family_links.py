"""Estimate the links FAP 2009 → FAP 2021, which no public table gives.

Two witnesses are heard for every family of 2009. *Words*: which families of 2021 have the nearest title. *ROME*: where
its occupations go, each counting with the offers it has. Both count the same, and both are held to the hierarchy: a family
stays in its letter (the same 22 in both nomenclatures) and hardly ever changes rank, which the fourth character of its
code says. A family that keeps its title and that ROME sends to the same place is that family and no other.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.facts.estimate import SHARE_OF_BEST, candidate_families, title_similarity

WORDS = 0.5
LEAST_WEIGHT = 0.05
# Of the 96 families that keep their title, 96 keep their letter and 95 their rank.
OTHER_RANK = 0.05
_RANKS = {"2": "worker", "3": "worker", "4": "worker", "6": "employee", "7": "technician", "8": "technician", "9": "manager"}
_OLD, _NEW = "FAP2009", "FAP2021"


def link_families(
    families: pd.DataFrame, occupations: pd.DataFrame, offers: pd.Series[float], part: float = WORDS
) -> pd.DataFrame:
    """Link each family of 2009 to families of 2021. One row per pair: weight, and what the witnesses say of it.

    ``occupations`` links occupations to both nomenclatures, ``offers`` says how many each occupation has, ``part`` how
    much the words count. ``words`` and ``rome`` add up to one per family of 2009 that they know, ``weight`` for every one.
    """
    old = families[(families["nomenclature"] == _OLD) & (families["family"].str.len() == 5)].reset_index(drop=True)
    new = candidate_families(families[families["nomenclature"] == _NEW])
    held = hierarchy(old["family"], new["family"])
    same = _equal(plain_titles(old["title"]), plain_titles(new["title"])) & (held > 0)
    words = np.where(same.any(axis=1, keepdims=True), same, _nearest_titles(old["title"], new, held)).astype(float)
    rome = _shares(_occupations_in_common(occupations, offers, old["family"], new["family"]) * held)
    weight = blend(words, rome, same, part)
    places, targets = np.nonzero(weight)
    return pd.DataFrame(
        {
            "family_2009": old["family"].to_numpy()[places],
            "family_2021": new["family"].to_numpy()[targets],
            "weight": weight[places, targets].round(4),
            "words": words[places, targets].round(4),
            "rome": rome[places, targets].round(4),
            "same_title": same[places, targets].astype(int),
        }
    ).sort_values(["family_2009", "family_2021"], ignore_index=True)


def hierarchy(old: pd.Series[str], new: pd.Series[str]) -> np.ndarray:
    """Say how far the codes let one family become another: 0 in another letter, little in another rank, else 1.

    Banking and insurance have no rank in their codes of 2021 (``QAX01``): every rank may become theirs.
    """
    ranks = new.str[3].map(_RANKS).fillna("none").mask(new.str[1].str.isalpha(), "any").to_numpy()
    rank = np.equal.outer(old.str[3].map(_RANKS).fillna("none").to_numpy(), ranks) | (ranks == "any")
    return np.where(_equal(old.str[0], new.str[0]), np.where(rank, 1.0, OTHER_RANK), 0.0)


def _equal(old: pd.Series[str], new: pd.Series[str]) -> np.ndarray:
    return np.asarray(np.equal.outer(old.to_numpy(), new.to_numpy()))


def blend(words: np.ndarray, rome: np.ndarray, same: np.ndarray, part: float) -> np.ndarray:
    """Weigh both witnesses, ``part`` for the words; a witness that knows nothing of a family leaves it to the other.

    Shares below ``LEAST_WEIGHT`` go to the others, so that a person can read the list.
    """
    heard = part * _shares(words) + (1 - part) * _shares(rome)
    weight = _shares(np.where(_shares(heard) >= LEAST_WEIGHT, heard, 0.0))
    agreed = (same & (rome == rome.max(axis=1, keepdims=True)) & (rome > 0)).any(axis=1, keepdims=True)
    return np.where(agreed, same, weight).astype(float)


def plain_titles(titles: pd.Series[str]) -> pd.Series[str]:
    """Spell titles without case, accents and punctuation. Same rows.

    >>> plain_titles(pd.Series(["Maçons, carreleurs"])).tolist()
    ['macons carreleurs']
    """
    ascii_only = titles.str.normalize("NFKD").str.replace(r"[\u0300-\u036f]", "", regex=True)
    return ascii_only.str.lower().str.replace(r"[^a-z]+", " ", regex=True).str.strip()


def _nearest_titles(titles: pd.Series[str], new: pd.DataFrame, held: np.ndarray) -> np.ndarray:
    """Share each title over the nearest, by its own words or with those of its details."""
    near = np.maximum(title_similarity(titles, new["title"]), title_similarity(titles, new["words"])) * held
    return _shares(np.where(near >= SHARE_OF_BEST * near.max(axis=1, keepdims=True), near, 0.0))


def _occupations_in_common(
    links: pd.DataFrame, offers: pd.Series[float], old: pd.Series[str], new: pd.Series[str]
) -> np.ndarray:
    """Count the offers of the occupations that two families share; an occupation without an offer counts one."""
    occupations = sorted(links["occupation"].unique())
    tables = [
        links[links["nomenclature"] == nomenclature]
        .pivot_table(index="occupation", columns="family", values="weight", aggfunc="sum")
        .reindex(index=occupations, columns=codes)
        .fillna(0.0)
        for nomenclature, codes in ((_OLD, old), (_NEW, new))
    ]
    counted = offers.reindex(occupations).fillna(1.0).clip(lower=1.0).to_numpy()[:, None]
    return np.asarray((tables[0].to_numpy() * counted).T @ tables[1].to_numpy())


def _shares(rows: np.ndarray) -> np.ndarray:
    sums = rows.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(rows, sums, out=np.zeros(rows.shape), where=sums > 0))
