"""Weighted links occupation ↔ family ↔ sector ↔ certification, versions included, that lose nothing on the way.

:func:`build_crosswalks` takes the default links of :mod:`features.facts` and the corrections that persons made
(:mod:`features.corrections`). :func:`links_between` gives the links of two nomenclatures: weights add up to one per code that
is linked. The way back is made from the same links by Bayes' rule, each code counting with its volume; a longer way is the
product of its steps. :func:`carry` moves volumes along them: what is mapped and what is not add up to what there was.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache

import pandas as pd

from features import facts
from features.corrections import LINK, correct_links, read_corrections
from features.nomenclatures import families_by_grain
from features.vocabulary import FORMACODE

_NOISE = 1e-12  # what sums of weights may be off by
VIA = {
    ("ROME4", "FAP2009"): "ROME",
    ("ROME4", "FAP2021"): "ROME",
    ("ROME4", "SECTEUR"): "ROME",
    ("CERTIFINFO", "SECTEUR"): "FORMACODE",
    ("RNCP", "FORMACODE"): "CERTIFINFO",
    ("RNCP", "ROME"): "CERTIFINFO",
    ("RNCP", "SECTEUR"): "CERTIFINFO",
    ("FORMACODE", "ROME"): "SECTEUR",
}
"""The ways that are made of two: from, to, and through what."""


@dataclass(frozen=True, eq=False)  # two are the same only if they are one: ways between nomenclatures are kept for each
class Crosswalks:
    """Every link that is kept, in one direction.

    ``links`` has one row per link: from_kind, from_code, to_kind, to_code, weight, source, and the ``volume`` its code
    counts with on the way back. ``levels`` has one row per occupation, sector and European level: the ``share`` of the
    training of this sector for this occupation. ``corrections`` has one row per link that a person corrected.
    """

    links: pd.DataFrame
    levels: pd.DataFrame
    corrections: pd.DataFrame


@dataclass(frozen=True)
class Carried:
    """What became of volumes: ``mapped`` has one row per target (and key), ``unmapped`` one per code (and key) left behind."""

    mapped: pd.DataFrame
    unmapped: pd.DataFrame

    @property
    def total(self) -> float:
        """The volume there was."""
        return float(self.mapped["volume"].sum() + self.unmapped["volume"].sum())

    @property
    def covered(self) -> float:
        """The share of the volume that was mapped; all of it when there was none."""
        return float(self.mapped["volume"].sum()) / self.total if self.total else 1.0


# What is linked ---------------------------------------------------------------------------------------------------------


def build_crosswalks(overrides: pd.DataFrame, as_of: pd.Timestamp, formacodes: Iterable[str] = ()) -> Crosswalks:
    """Build the links in force at ``as_of``. ``formacodes`` are those seen: one missing from the list keeps its field."""
    corrections = read_corrections(overrides, as_of)
    to_sector = corrections["to_kind"] == "SECTEUR"
    direct = correct_links(_with_unlisted(default_links(), formacodes), corrections[~to_sector])
    counts = facts.count_by_sector(_certified(direct))
    trained = correct_links(_by_certifications(counts), corrections[to_sector])
    links = pd.concat([direct, trained], ignore_index=True)
    return Crosswalks(links.assign(volume=_volumes(links, counts)), _levels(trained, counts), corrections)


def hold_corrections(overrides: pd.DataFrame) -> None:
    """Refuse corrections that could not be applied on some day on which they are in force, before a run meets them."""
    ours = overrides[overrides["object"] == "crosswalk"]
    for day in sorted({*ours["known_from"], *(ours["expires"].dropna() + pd.Timedelta(days=1))}):
        build_crosswalks(ours, day)


@cache
def default_links() -> pd.DataFrame:
    """List the links nobody corrected, but those of occupations to sectors. One row per link; callers never change it."""
    families, related, crossed = families_by_grain(), facts.occupation_families(), facts.family_families()
    certifications, certified = facts.certifications(), facts.certification_occupations()
    coded = certifications.query("rncp != ''")
    parts = [
        _linked("ROME4", "ROME", facts.leaves()[["leaf", "occupation"]], 1.0, "rome"),
        *(
            _linked("ROME", str(kind), rows[["occupation", "family"]], rows["weight"], rows["source"])
            for kind, rows in related.groupby("nomenclature")
        ),
        _linked(
            "FAP2009",
            "FAP2021",
            crossed[["family_2009", "family_2021"]],
            crossed["weight"],
            crossed["same_title"].map({True: "same_title", False: "estimated"}),
        ),
        *(
            _linked(fine, wide, families.loc[families["kind"] == fine, ["family", "parent"]], 1.0, "hierarchy")
            for fine, wide in (("FAP2009", "FAP87"), ("FAP2021", "FAP86"), ("FAP341", "FAP2021"))
        ),
        _linked("FORMACODE", "SECTEUR", facts.formacodes()[["formacode", "sector"]], 1.0, "formacode"),
        _linked("CERTIFINFO", "FORMACODE", certifications[["certifinfo", "formacode"]], 1.0, "certifinfo"),
        _linked("CERTIFINFO", "ROME", certified[["certifinfo", "occupation"]], certified["weight"], "certifinfo"),
        _linked(
            "RNCP", "CERTIFINFO", coded[["rncp", "certifinfo"]], 1 / coded["rncp"].map(coded["rncp"].value_counts()), "rncp"
        ),
    ]
    return pd.concat(parts, ignore_index=True)


def _linked(
    origin: str, target: str, pairs: pd.DataFrame, weight: pd.Series[float] | float, source: pd.Series[str] | str
) -> pd.DataFrame:
    """Write the links of two nomenclatures: codes in the first column lead to those in the second. Same rows."""
    codes = pairs.set_axis(["from_code", "to_code"], axis=1)
    return codes.assign(from_kind=origin, to_kind=target, weight=weight, source=source)[[*LINK, "weight", "source"]]


def _with_unlisted(links: pd.DataFrame, formacodes: Iterable[str]) -> pd.DataFrame:
    """Add the field of Formacodes missing from the list: their first three digits, where such a field is. One row per link."""
    seen = pd.Series(sorted({*formacodes} - {*facts.formacodes()["formacode"]}), dtype="str")
    seen = seen[FORMACODE.spelt(seen) & seen.str[:3].isin(facts.sectors()["sector"])]
    fields = pd.DataFrame({"formacode": seen, "sector": seen.str[:3]})
    return pd.concat([links, _linked("FORMACODE", "SECTEUR", fields, 1.0, "prefix")], ignore_index=True)


def _certified(links: pd.DataFrame) -> pd.DataFrame:
    """Give the occupations of certifications. One row per certification and occupation."""
    rows = links[(links["from_kind"] == "CERTIFINFO") & (links["to_kind"] == "ROME")]
    return rows.rename(columns={"from_code": "certifinfo", "to_code": "occupation"})[["certifinfo", "occupation", "weight"]]


def _by_certifications(counts: pd.DataFrame) -> pd.DataFrame:
    """Weigh the sectors of each occupation by the certifications that lead to it. One row per link."""
    sums = counts.groupby(["occupation", "sector"], as_index=False)[["certifications"]].sum()
    share = sums["certifications"] / sums.groupby("occupation")["certifications"].transform("sum")
    return _linked("ROME", "SECTEUR", sums[["occupation", "sector"]], share, "certifications")


def _volumes(links: pd.DataFrame, counts: pd.DataFrame) -> pd.Series[float]:
    """Say with how much each code counts on the way back: offers, projects or certifications; 1 where nothing is counted."""
    known = facts.volumes().set_index(["nomenclature", "code"])["volume"]
    coded = pd.MultiIndex.from_frame(links[["from_kind", "from_code"]])
    counted = pd.Series(known.reindex(coded).to_numpy(), index=links.index)
    certifications = links["from_code"].map(counts.groupby("occupation")["certifications"].sum())
    return counted.mask(links["to_kind"] == "SECTEUR", certifications).fillna(1.0)


def _levels(trained: pd.DataFrame, counts: pd.DataFrame) -> pd.DataFrame:
    """Share each link of an occupation to a sector over the European levels of its certifications.

    A link that no certification makes has the levels of its sector. One row per occupation, sector and level.
    """
    pairs = trained.rename(columns={"from_code": "occupation", "to_code": "sector"})[["occupation", "sector"]]
    own = pairs.merge(counts, on=["occupation", "sector"], how="inner", validate="one_to_many")
    made = pd.MultiIndex.from_frame(own[["occupation", "sector"]])
    added = pairs[~pd.MultiIndex.from_frame(pairs).isin(made)]
    wider = counts.groupby(["sector", "level"], as_index=False)[["certifications"]].sum()
    lent = added.merge(wider, on="sector", how="left", validate="many_to_many").fillna({"level": "", "certifications": 1.0})
    both = pd.concat([own, lent], ignore_index=True)
    total = both.groupby(["occupation", "sector"])["certifications"].transform("sum")
    return both.assign(share=both["certifications"] / total)[["occupation", "sector", "level", "share"]]


# How links are used -----------------------------------------------------------------------------------------------------


@lru_cache(64)
def links_between(crosswalks: Crosswalks, origin: str, target: str) -> pd.DataFrame:
    """Give the links from one nomenclature to another, whichever way they are kept. One row per code and target.

    Callers never change it.

    ``weight`` adds up to one per code, less what a way of two steps loses; ``volume`` is what the code counts with.
    """
    kept = crosswalks.links
    for kinds, turn in (((origin, target), False), ((target, origin), True)):
        rows = kept[(kept["from_kind"] == kinds[0]) & (kept["to_kind"] == kinds[1])]
        if len(rows):
            links = rows.rename(columns={"from_code": "code", "to_code": "target"})[_LINKS]
            return reverse(links) if turn else links.sort_values(["code", "target"], ignore_index=True)
    if (target, origin) in VIA:
        return reverse(links_between(crosswalks, target, origin))
    through = VIA[origin, target]
    return chain(links_between(crosswalks, origin, through), links_between(crosswalks, through, target))


_LINKS = ["code", "target", "weight", "volume", "source"]


def reverse(links: pd.DataFrame) -> pd.DataFrame:
    """Turn links round: a target shares over its codes in proportion to what each brings it. One row per code and target."""
    brought = links.assign(volume=links["weight"] * links["volume"], code=links["target"], target=links["code"])
    total = brought.groupby("code")["volume"].transform("sum")
    turned = brought.assign(weight=brought["volume"] / total, volume=total)
    return turned.sort_values(["code", "target"], ignore_index=True)[_LINKS]


def chain(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Follow two links one after the other: the product of their weights, added up. One row per code and target.

    A code whose first step ends where no second one starts keeps that part: its weights then add up to less than one.
    """
    steps = first.merge(
        second.drop(columns="volume").rename(columns={"code": "target", "target": "end"}),
        on="target",
        how="inner",
        suffixes=("", "_second"),
        validate="many_to_many",
    )
    steps = steps.assign(weight=steps["weight"] * steps["weight_second"], target=steps["end"])
    corrected = (steps["source"] == "correction") | (steps["source_second"] == "correction")
    steps = steps.assign(source=corrected.map({True: "correction", False: "chain"}))
    ways = steps.groupby(["code", "target"], as_index=False)
    return ways.agg(weight=("weight", "sum"), volume=("volume", "first"), source=("source", "max"))


def carry(volumes: pd.DataFrame, links: pd.DataFrame) -> Carried:
    """Move volumes along links. ``volumes`` has the columns code and volume; any other is a key, that stays.

    What is mapped and what is not add up to what there was.
    """
    keys = [str(name) for name in volumes if name not in ("code", "volume")]
    moved = volumes.merge(links[["code", "target", "weight"]], on="code", how="inner", validate="many_to_many")
    moved = moved.assign(volume=moved["volume"] * moved["weight"])
    lost = 1 - volumes["code"].map(links.groupby("code")["weight"].sum()).astype("float64").fillna(0.0)
    left = volumes.assign(volume=volumes["volume"] * lost)[lost > _NOISE]
    return Carried(
        moved.groupby([*keys, "target"], as_index=False, dropna=False)[["volume"]].sum(),
        left.groupby([*keys, "code"], as_index=False, dropna=False)[["volume"]].sum(),
    )


def sector_links(crosswalks: Crosswalks) -> pd.DataFrame:
    """Weigh the sectors and European levels that train for each occupation.

    One row per occupation, sector, level; weights add up to one per occupation that is linked.
    """
    links = links_between(crosswalks, "ROME", "SECTEUR").rename(columns={"code": "occupation", "target": "sector"})
    shared = links.merge(crosswalks.levels, on=["occupation", "sector"], how="inner", validate="one_to_many")
    weighed = shared.assign(weight=shared["weight"] * shared["share"])[["occupation", "sector", "level", "weight"]]
    return weighed.sort_values(["occupation", "sector", "level"], ignore_index=True)


def main_sectors(links: pd.DataFrame) -> pd.Series[str]:
    """Name the sector that trains most for each occupation; of two that train alike, the first by code.

    ``links`` as :func:`sector_links` gives them. One code per occupation, which it is found by.
    """
    sums = links.groupby(["occupation", "sector"], as_index=False)[["weight"]].sum()
    order = sums.sort_values(["occupation", "weight", "sector"], ascending=[True, False, True])
    return order.drop_duplicates("occupation").set_index("occupation")["sector"]
