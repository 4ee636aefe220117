"""Estimate the links ROME → FAP 2021, which no public table gives.

The Dares links of FAP 2009 say in which letters (the same 22 in both nomenclatures) the families of an occupation lie.
Among the FAP 2021 families of these letters, the nearest in words are kept: the words of an occupation are its title,
its job names and the titles of its FAP 2009 families; those of a family are its title and those of its details.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

SHARE_OF_BEST = 0.8
_TITLE, _WORDS, _FORMER = 0.3, 0.2, 0.5


def add_decided(links: pd.DataFrame, decided: pd.DataFrame) -> pd.DataFrame:
    """Add the links a person decided, each as strong as the best of its occupation; keeps one row per occupation and family.

    They reach families that are nobody's nearest, such as *Régleurs*.
    """
    best = links.groupby("occupation")["weight"].max()
    added = decided.assign(weight=decided["occupation"].map(best))
    both = pd.concat([links, added]).drop_duplicates(["occupation", "family"])
    return both.assign(weight=both["weight"] / both.groupby("occupation")["weight"].transform("sum"))


def estimate_links(occupations: pd.DataFrame, dares: pd.DataFrame, families: pd.DataFrame) -> pd.DataFrame:
    """Link each occupation to its one or two nearest families of 2021.

    One row per occupation and family; weights add up to one. ``occupations`` has the columns occupation, title, words;
    those that have no link in ``dares`` get none.
    """
    former = families[families["nomenclature"] == "FAP2009"].set_index("family")["title"]
    candidates = candidate_families(families[families["nomenclature"] == "FAP2021"])
    linked = dares.assign(former=dares["family"].map(former), letter=dares["family"].str[0])
    linked = linked.groupby("occupation").agg(former=("former", " ; ".join), letters=("letter", "".join)).reset_index()
    linked = linked.merge(occupations, on="occupation", how="inner", validate="one_to_one")
    near = (
        _TITLE * title_similarity(linked["title"], candidates["words"])
        + _WORDS * title_similarity(linked["words"], candidates["words"])
        + _FORMER * title_similarity(linked["former"], candidates["words"])
    )
    near = np.where([[f[0] in letters for f in candidates["family"]] for letters in linked["letters"]], near, 0.0)
    return _nearest_two(near, linked["occupation"], candidates["family"])


def candidate_families(families: pd.DataFrame) -> pd.DataFrame:
    """List the 228 families of 2021. One row per family: its words are its title and those of its details."""
    kept = families[families["family"].str.len() == 5]
    details = families[families["family"].str.len() == 6].groupby("parent")["title"].agg(" ; ".join)
    return kept.assign(words=kept["title"] + " ; " + kept["family"].map(details).fillna("")).reset_index(drop=True)


def title_similarity(texts: pd.Series[str], families: pd.Series[str]) -> np.ndarray:
    """Cosine between weighted n-grams of characters inside words: spelling and endings (-eur, -euse) hardly count."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    grams = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), strip_accents="unicode", sublinear_tf=True)
    known = grams.fit_transform(families)
    return np.asarray((grams.transform(texts) @ known.T).toarray())


def _nearest_two(near: np.ndarray, occupations: pd.Series[str], families: pd.Series[str]) -> pd.DataFrame:
    """Keep the best family, and the second where it comes close. One row per occupation and family."""
    order = np.argsort(-near, axis=1, kind="stable")[:, :2]
    best = np.take_along_axis(near, order, axis=1)
    kept = best >= SHARE_OF_BEST * best[:, :1]
    weights = np.where(kept, best, 0.0) / np.where(kept, best, 0.0).sum(axis=1, keepdims=True)
    rows, ranks = np.nonzero(kept)
    return pd.DataFrame(
        {
            "occupation": occupations.to_numpy()[rows],
            "family": families.to_numpy()[order[rows, ranks]],
            "weight": weights[rows, ranks],
        }
    )
