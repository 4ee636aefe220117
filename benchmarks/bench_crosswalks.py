"""How far the estimated crosswalk FAP 2009 → FAP 2021 can be trusted, on two surveys that were counted one in each.

The survey of 2023 is carried to FAP 2021, put to the national total of 2024 and set against what was counted in 2024.
Beside it stand a floor (what a letter holds, spread equally over its families) and the change of the year itself, as the
families that keep their title show it. Nothing was tuned on 2024: the blend of both witnesses is judged on the titles
that did not change, each word of them hidden in turn. Skipped, and said, where the public files are not there.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from features import facts
from features.crosswalks import build_crosswalks, carry, links_between
from features.facts import rebuild
from features.facts.estimate import add_decided, estimate_links
from features.facts.family_links import link_families, plain_titles
from features.sources.bmo import read_bmo
from features.sources.publication import PublicationParams
from features.tables import OVERRIDES
from figures import Figure

PUBLIC = Path(__file__).resolve().parents[2] / "shared" / "data"
BLENDS = {"ROME alone": 0.0, "words and ROME": 0.5, "words alone": 1.0}
HIDDEN_WORDS = 3
_SMALL = {"de", "des", "du", "la", "le", "les", "et", "en", "a", "au", "aux", "ou", "d", "l"}


def measure() -> list[Figure]:
    """Carry one survey to the nomenclature of the next, and hide words of titles that both share."""
    if not PUBLIC.is_dir():
        print("crosswalks: skipped, ../shared/data is not there", file=sys.stderr)
        return []
    before, after = (national(year) for year in (2023, 2024))
    links = links_between(build_crosswalks(OVERRIDES.empty(), pd.Timestamp("2024-01-01")), "FAP2009", "FAP2021")
    carried = carry(before.rename_axis("code").reset_index(name="volume"), links)
    mapped = carried.mapped.set_index("target")["volume"]
    kept = facts.family_families().query("same_title").drop_duplicates("family_2009")
    old, new = before.reindex(kept["family_2009"]).fillna(0.0), after.reindex(kept["family_2021"]).fillna(0.0)
    error, floor = (100 * wape(told, after) for told in (mapped, equal_parts(before)))
    reached = after[after.index.isin(mapped.index)].sum() / after.sum()
    return [
        Figure("projects of 2023 carried to FAP 2021", 100 * carried.covered, "%"),
        Figure("projects of 2024 in families reached", 100 * float(reached), "%"),
        Figure("WAPE of 2023 carried, against 2024", error, "%", round(floor / 2, 1)),
        Figure("WAPE of equal parts in each letter", floor, "%"),
        Figure("WAPE of families that keep their title", 100 * wape(old.set_axis(new.index), new), "%"),
        *hide_words(),
    ]


def national(year: int) -> pd.Series[float]:
    """Sum the projects of a survey by family, the whole country; secrets are not counted."""
    survey = read_bmo([PUBLIC / "bmo" / f"Base_open_data_BMO_{year}.xlsx"], PublicationParams()).kept
    return survey.groupby("family")["projects"].sum()


def wape(told: pd.Series[float], counted: pd.Series[float]) -> float:
    """Σ|told − counted| ÷ Σ counted, told put to the total of what was counted."""
    told, counted = told.align(counted, fill_value=0.0)
    return float((told * counted.sum() / told.sum() - counted).abs().sum() / counted.sum())


def equal_parts(before: pd.Series[float]) -> pd.Series[float]:
    """Spread what each letter holds equally over its families of 2021."""
    new = facts.families().query("nomenclature == 'FAP2021' and family.str.len() == 5")["family"]
    letters = before.groupby(before.index.str[0]).sum()
    return pd.Series((new.str[0].map(letters) / new.groupby(new.str[0]).transform("size")).fillna(0.0).to_numpy(), index=new)


def hide_words() -> list[Figure]:
    """Say how often a family that keeps its title is found again while one word of it is hidden, for each blend."""
    families, dares, words = rebuild.families(PUBLIC), rebuild.dares_links(PUBLIC), rebuild.occupation_words(PUBLIC)
    decided, offers = pd.read_csv(facts.HERE / "family_additions.csv", sep=";"), facts.volumes().query("nomenclature == 'ROME'")
    truth = facts.family_families().query("same_title").set_index("family_2009")["family_2021"]
    found: dict[str, list[float]] = {name: [] for name in BLENDS}
    for place in range(HIDDEN_WORDS):
        hidden, touched = without_word(families, truth.index, place)
        related = add_decided(estimate_links(words, dares, hidden), decided).assign(nomenclature="FAP2021")
        both = pd.concat([dares.assign(nomenclature="FAP2009"), related])
        for name, part in BLENDS.items():
            links = link_families(hidden, both, offers.set_index("code")["volume"], part)
            best = (
                links.sort_values("weight").drop_duplicates("family_2009", keep="last").set_index("family_2009")["family_2021"]
            )
            found[name] += (best.reindex(touched) == truth[touched]).tolist()
    return [Figure(f"found without one word: {name}", 100 * float(np.mean(hits)), "%") for name, hits in found.items()]


def without_word(families: pd.DataFrame, kept: pd.Index[str], place: int) -> tuple[pd.DataFrame, list[str]]:
    """Hide one word of each title of 2009 that has two that carry sense. Same rows, and the families touched."""
    rows = families.set_index(["nomenclature", "family"])
    touched = []
    for family in kept:
        words = str(rows.loc[("FAP2009", family), "title"]).split()
        plain = plain_titles(pd.Series(words))
        telling = [i for i, word in enumerate(plain) if word and word not in _SMALL]
        if len(telling) > max(place, 1):
            rows.loc[("FAP2009", family), "title"] = " ".join(w for i, w in enumerate(words) if i != telling[place])
            touched.append(str(family))
    return rows.reset_index(), touched
