"""What the territories say of their needs, dated, weighed and brought to the cells that it is about.

    signals_in_force      which signals still hold, how old they are and what they weigh
    weigh_signals         what they say of occupations      (nomenclatures ROME, SECTEUR, FORMACODE)
    skill_signals         what they say of skills           (nomenclature COMPETENCE)
    list_unplaced         what leads nowhere: a code or a territory that nothing is known of

Places asked are shared, so that what is weighed and what leads nowhere add up to what was asked. A direction is not shared:
it holds for every occupation and cell that it reaches, the less the less they belong to what it is about.
"""

from __future__ import annotations

import unicodedata

import numpy as np
import pandas as pd

from features import facts
from features.crosswalks import Crosswalks, links_between, reverse
from features.decisions import in_force
from features.params import Section, param

ATOM = ["territory", "department"]
REACHES = {"BE": "bassin", "ZE": "zone d'emploi", "MR": "Maison de la Région", "D": "département", "R": "région"}
"""The kinds of territory, from the finest to the widest, and the grain that each is called."""
_SKILL = "COMPETENCE"
_ORDER = ["territory_kind", "area", "nomenclature", "code", "known_from", "author_kind", "direction", "places_asked"]
_DAYS_A_MONTH = 30.4375


class AuthorWeight(Section):
    """What the word of one kind of author weighs."""

    kind: str = param("", "kind of author, as auteur_type says it")
    weight: float = param(1.0, "what a signal of such an author weighs", unit="signals", ge=0, le=10)


class SignalParams(Section):
    """How long signals hold, and what they weigh."""

    valid_months: int = param(12, "a signal without an end holds for so long", unit="months", ge=1, le=120)
    half_life_months: float = param(12.0, "a signal weighs half as much after so long", unit="months", ge=1, le=120)
    # A committee has heard several voices, an employer speaks for one house, a branch pleads for its own trades.
    authors: tuple[AuthorWeight, ...] = param(
        (
            AuthorWeight(kind="comite", weight=1.0),
            AuthorWeight(kind="employeur", weight=0.8),
            AuthorWeight(kind="branche", weight=0.6),
        ),
        "what each kind of author weighs",
    )
    other_authors: float = param(0.5, "what any other author weighs, and one who is not told", unit="signals", ge=0, le=10)
    wider: float = param(
        0.5, "what a signal weighs in a bassin when it speaks of a wider territory", unit="signals", ge=0, le=1
    )


# Which signals hold -----------------------------------------------------------------------------------------------------


def signals_in_force(signals: pd.DataFrame, as_of: pd.Timestamp, params: SignalParams) -> pd.DataFrame:
    """Keep the signals that hold at ``as_of``. Same row: one signal, with ``age_months`` and ``weight``.

    A signal holds until ``valid_until``, that day included, or ``valid_months`` long. weight = weight of its author ×
    ½ ^ (age ÷ ``half_life_months``) × ``wider`` if it speaks of more than a bassin.
    """
    until = signals["valid_until"].fillna(signals["known_from"] + pd.DateOffset(months=params.valid_months))
    held = signals[(signals["known_from"] <= as_of) & (until >= as_of)]
    age = (as_of - held["known_from"]).dt.days / _DAYS_A_MONTH
    known = {_plain(author.kind): author.weight for author in params.authors}
    author = held["author_kind"].map(lambda kind: known.get(_plain(kind), params.other_authors), na_action="ignore")
    reach = np.where(held["territory_kind"] == "BE", 1.0, params.wider)
    weighed = held.rename(columns={"territory": "area"}).assign(
        direction=held["direction"].astype("float64"),
        places_asked=held["places_asked"].fillna(0.0),
        age_months=age,
        weight=author.astype("float64").fillna(params.other_authors) * 0.5 ** (age / params.half_life_months) * reach,
    )
    columns = [*_ORDER, "comment", "valid_until", "age_months", "weight"]
    return weighed.sort_values([*_ORDER, "comment", "valid_until"], ignore_index=True)[columns]


def _plain(text: str) -> str:
    """Spell a name without capitals, accents or spare blanks.

    >>> _plain(" Comité  de Bassin")
    'comite de bassin'
    """
    letters = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(letter for letter in letters if not unicodedata.combining(letter)).split())


def sector_groups(overrides: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """Say to which contract sector each sector belongs, as shipped or as a person decided. One row per sector: group."""
    asked = in_force(overrides, "sector_group", as_of)
    asked = asked[(asked["field"] == "groupe") & asked["value"].notna()].sort_values(["key", "known_from", "value"])
    decided = asked.drop_duplicates("key", keep="last").set_index("key")["value"].str.strip()
    shipped = facts.sectors()[["sector", "group"]]
    return shipped.assign(group=shipped["sector"].map(decided).astype("str").fillna(shipped["group"]))


# Where and whom they reach ----------------------------------------------------------------------------------------------


def weigh_signals(in_force: pd.DataFrame, crosswalks: Crosswalks, communes: pd.DataFrame, groups: pd.DataFrame) -> pd.DataFrame:
    """Weigh what signals say of occupations. One row per territory, department, occupation that a signal reaches.

    A signal reaches a cell with weight × the share of the cell's people it speaks of × the share of the occupation's training
    that belongs to its code. ``direction`` (−2…2) and ``age_months`` are means of these weights and ``weight`` is their sum;
    ``voices`` counts the signals, ``grain`` is the finest territory that one speaks of. ``places_asked`` are shared over
    cells by population and over occupations by what they bring to the code.
    """
    reached = _on_cells(in_force[in_force["nomenclature"] != _SKILL], communes)
    links = _occupations_of(reached[["nomenclature", "code"]].drop_duplicates(), crosswalks, groups)
    rows = reached.merge(links, on=["nomenclature", "code"], how="inner", validate="many_to_many")
    return _weigh(
        rows.assign(weight=rows["weight"] * rows["belongs"], places_asked=rows["places_asked"] * rows["brings"]),
        "occupation",
    )


def skill_signals(in_force: pd.DataFrame, communes: pd.DataFrame) -> pd.DataFrame:
    """Weigh what signals say of skills. One row per territory, department, skill; columns as in :func:`weigh_signals`."""
    reached = _on_cells(in_force[in_force["nomenclature"] == _SKILL], communes)
    return _weigh(reached.rename(columns={"code": "skill"}), "skill")


def _weigh(rows: pd.DataFrame, subject: str) -> pd.DataFrame:
    """Add up what reaches each cell. One row per cell and subject; without any weight there is no direction."""
    kinds = {kind: number for number, kind in enumerate(REACHES)}
    told = rows.assign(
        pulled=rows["weight"] * rows["direction"],
        aged=rows["weight"] * rows["age_months"],
        rank=rows["territory_kind"].map(kinds).astype("int64"),
    )
    key = [*ATOM, subject]
    sums = told.groupby(key, as_index=False).agg(
        pulled=("pulled", "sum"),
        places_asked=("places_asked", "sum"),
        voices=("rank", "size"),
        aged=("aged", "sum"),
        weight=("weight", "sum"),
        rank=("rank", "min"),
    )
    whole = sums["weight"].where(sums["weight"] > 0)
    grains = pd.Series(pd.array(list(REACHES.values()), dtype="str").take(sums["rank"].to_numpy()))
    weighed = sums.assign(direction=sums["pulled"] / whole, age_months=sums["aged"] / whole, grain=grains)
    return weighed[[*key, "direction", "places_asked", "voices", "age_months", "weight", "grain"]]


def _on_cells(in_force: pd.DataFrame, communes: pd.DataFrame) -> pd.DataFrame:
    """Bring signals to the cells of their territory: places by population. One row per signal, cell."""
    rows = in_force.merge(_areas(communes), on=["territory_kind", "area"], how="inner", validate="many_to_many")
    shared = rows.assign(places_asked=rows["places_asked"] * rows["share"], weight=rows["weight"] * rows["covered"])
    return shared.drop(columns=["share", "covered"])


def _areas(communes: pd.DataFrame) -> pd.DataFrame:
    """Say which cells each territory of any kind touches. One row per kind, area, cell.

    ``share`` is the part of the area's people who live in the cell, ``covered`` the part of the cell's who live in the area.
    """
    regions = facts.departments().set_index("department")["region"]
    names = {
        "BE": communes["territory"],
        "ZE": communes["zone"],
        "MR": communes["maison"],
        "D": communes["department"],
        "R": communes["department"].map(regions),
    }
    lists = [communes[[*ATOM, "population"]].assign(territory_kind=kind, area=area) for kind, area in names.items()]
    listed = pd.concat(lists, ignore_index=True)
    parts = listed[listed["area"].notna()].groupby(["territory_kind", "area", *ATOM], as_index=False)[["population"]].sum()
    parts = parts[parts["population"] > 0]
    cells = communes.groupby(ATOM)["population"].sum()
    whole = parts.groupby(["territory_kind", "area"])["population"].transform("sum")
    here = cells.reindex(pd.MultiIndex.from_frame(parts[ATOM])).to_numpy()
    return parts.assign(share=parts["population"] / whole, covered=parts["population"] / here).drop(columns="population")


def _occupations_of(codes: pd.DataFrame, crosswalks: Crosswalks, groups: pd.DataFrame) -> pd.DataFrame:
    """Say which occupations codes are about. One row per nomenclature, code, occupation.

    ``belongs`` is the share of the occupation's training that the code makes, ``brings`` the share of the occupation in the
    code, which adds up to one per code. A Formacode is as wide as its sector.
    """
    fields = links_between(crosswalks, "FORMACODE", "SECTEUR")[["code", "target"]]
    parts = []
    for nomenclature, rows in codes.groupby("nomenclature"):
        links, listed = _links_of(str(nomenclature), crosswalks, groups), rows
        if nomenclature == "FORMACODE":
            listed = rows.merge(fields, on="code", how="inner", validate="one_to_one")
        else:
            listed = rows.assign(target=rows["code"] if nomenclature != "SECTEUR" else rows["code"].map(_plain))
        parts.append(listed.merge(links, on="target", how="inner", validate="many_to_many"))
    columns = ["nomenclature", "code", "occupation", "belongs", "brings"]
    if not parts:
        return pd.DataFrame({name: pd.Series(dtype="float64" if name in columns[3:] else "str") for name in columns})
    return pd.concat(parts, ignore_index=True)[columns]


def _links_of(nomenclature: str, crosswalks: Crosswalks, groups: pd.DataFrame) -> pd.DataFrame:
    """Give the occupations of one nomenclature's codes. One row per target, occupation: belongs, brings."""
    if nomenclature == "ROME":
        codes = facts.occupations()["occupation"]
        return pd.DataFrame({"target": codes, "occupation": codes, "belongs": 1.0, "brings": 1.0})
    forward = links_between(crosswalks, "ROME", "SECTEUR")
    if nomenclature == "SECTEUR":
        forward = pd.concat([forward, _links_of_groups(forward, groups)], ignore_index=True)
    back = reverse(forward)[["code", "target", "weight"]].set_axis(["target", "occupation", "brings"], axis=1)
    there = forward[["code", "target", "weight"]].set_axis(["occupation", "target", "belongs"], axis=1)
    return back.merge(there, on=["target", "occupation"], how="inner", validate="one_to_one")


def _links_of_groups(sectors: pd.DataFrame, groups: pd.DataFrame) -> pd.DataFrame:
    """Link occupations to contract sectors, by their plain names. One row per occupation, contract sector.

    One that has no sector of its own (wood and forest) is linked by the certifications of its Formacodes.
    """
    named = sectors.assign(target=sectors["target"].map(groups.set_index("sector")["group"].map(_plain)))
    sums = named.groupby(["code", "target"], as_index=False).agg(
        weight=("weight", "sum"), volume=("volume", "first"), source=("source", "first")
    )
    coded = facts.certifications()[["certifinfo", "formacode"]].assign(
        group=lambda t: t["formacode"].map(facts.formacodes().set_index("formacode")["group"])
    )
    links = facts.certification_occupations().merge(coded, on="certifinfo", how="inner", validate="many_to_one")
    volume = links.groupby("occupation")["weight"].sum()
    alone = links[links["group"].notna() & ~links["group"].isin(groups["group"])]
    added = alone.groupby(["occupation", "group"], as_index=False)[["weight"]].sum()
    whole = added["occupation"].map(volume)
    more = pd.DataFrame(
        {
            "code": added["occupation"],
            "target": added["group"].map(_plain).astype("str"),
            "weight": added["weight"] / whole,
            "volume": whole,
            "source": "certifications",
        }
    )
    return pd.concat([sums, more], ignore_index=True)


# What leads nowhere -----------------------------------------------------------------------------------------------------


def list_unplaced(in_force: pd.DataFrame, crosswalks: Crosswalks, communes: pd.DataFrame, groups: pd.DataFrame) -> pd.DataFrame:
    """List the signals that reach nothing. One row per nomenclature, code, area: signals, places_asked, reason.

    ``reason`` is ``territory`` where the area lies outside the Region or is unknown, else ``code``: nothing is known of it, or
    no occupation is trained for under it.
    """
    areas = pd.MultiIndex.from_frame(_areas(communes)[["territory_kind", "area"]])
    placed = pd.MultiIndex.from_frame(in_force[["territory_kind", "area"]]).isin(areas)
    links = _occupations_of(in_force[["nomenclature", "code"]].drop_duplicates(), crosswalks, groups)
    coded = pd.MultiIndex.from_frame(in_force[["nomenclature", "code"]]).isin(
        pd.MultiIndex.from_frame(links[["nomenclature", "code"]])
    )
    coded |= (in_force["nomenclature"] == _SKILL).to_numpy()
    lost = in_force.assign(reason=np.where(placed, "code", "territory"))[~(placed & coded)]
    sums = lost.groupby(["nomenclature", "code", "area", "reason"], as_index=False).agg(
        signals=("code", "size"), places_asked=("places_asked", "sum")
    )
    return sums[["nomenclature", "code", "area", "signals", "places_asked", "reason"]]
