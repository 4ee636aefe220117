"""Where the weight of a link comes from, and what nothing links yet, as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from features import facts
from features.build import crosswalks_of
from features.corrections import LINK
from features.crosswalks import VIA, Crosswalks, build_crosswalks, links_between
from features.errors import InputError
from features.nomenclatures import KINDS, kinds_of, list_codes, nearest_codes
from features.places import own_or_shipped
from features.tables import OVERRIDES
from features.unmapped import carry_measures, list_unmapped
from needs.home import Home
from needs.params import Params
from needs.show.messages import say
from needs.store.lake import newest_day, read_table, read_tables

LINKS_SHOWN = 10
_DAY = {"fr": "%d/%m/%Y", "en": "%Y-%m-%d"}
_TARGETS = {
    "ROME": ("FAP2009", "FAP2021", "SECTEUR", "CERTIFINFO", "ROME4"),
    "ROME4": ("ROME", "FAP2009", "FAP2021", "SECTEUR"),
    "FAP2009": ("FAP2021", "ROME"),
    "FAP2021": ("FAP2009", "ROME", "FAP341"),
    "FAP87": ("FAP2009",),
    "FAP86": ("FAP2021",),
    "FAP341": ("FAP2021",),
    "FORMACODE": ("SECTEUR", "ROME", "CERTIFINFO"),
    "SECTEUR": ("ROME", "FORMACODE"),
    "CERTIFINFO": ("FORMACODE", "SECTEUR", "ROME"),
    "RNCP": ("CERTIFINFO", "FORMACODE", "SECTEUR", "ROME"),
}


def tell_explain(home: Home, params: Params, code: str | None) -> str:
    """Say what a code is linked to and why; without a code, what stays unmapped in the lake."""
    language, day = params.show.language, newest_day(home.lake)
    if code is None:
        return _tell_unmapped(home, pd.Timestamp(day), language) if day else say("explain.lake_empty", language)
    kinds, plain = _parse(code)
    overrides = read_table(home.lake, OVERRIDES)
    crosswalks = build_crosswalks(overrides, pd.Timestamp(day) if day else pd.Timestamp.max, [plain])
    return "\n\n".join("\n".join(_explain(kind, plain, crosswalks, language)) for kind in kinds)


def _parse(text: str) -> tuple[list[str], str]:
    """Read a code, with its nomenclature before it or not, and say which nomenclatures know it."""
    named, colon, code = (part.strip().upper() for part in text.rpartition(":"))
    code = {known.upper(): known for known in list_codes()["code"]}.get(code, code)
    kinds = [kind for kind in kinds_of(code) if not colon or kind == named]
    if not kinds and not colon and code in set(facts.territories()["territory"]):
        raise InputError(f"{code} is a territory: give a sector after it, like: needs explain {code} 230.")
    if not kinds:
        where = f"{named} holds no code" if named in KINDS else "No nomenclature holds the code"
        near = ", ".join(nearest_codes(code, (named,) if named in KINDS else KINDS))
        raise InputError(
            f"{where} '{code[:40]}'. The nearest are {near}. Write a code of {', '.join(KINDS)}, like A1201 or FAP2009:A0Z40."
        )
    return kinds, code


# One code ---------------------------------------------------------------------------------------------------------------


def _explain(kind: str, code: str, crosswalks: Crosswalks, language: str) -> Iterator[str]:
    """Write a code of one nomenclature: title, parent, links. One text per line."""
    own = list_codes().query("kind == @kind and code == @code")
    if own.empty:
        yield say("explain.untitled", language, kind=kind, named=code)
    else:
        yield say("explain.title", language, kind=kind, named=code, title=_sentence(own["title"].iloc[0]))
    if len(own) and own["parent"].iloc[0]:
        title = _sentence(own["parent_title"].iloc[0]) or say("explain.no_title", language)
        yield say("explain.parent", language, named=own["parent"].iloc[0], title=title)
    for target in _TARGETS[kind]:
        links = links_between(crosswalks, kind, target).query("code == @code")
        yield from _tell_links(links, kind, target, crosswalks, language)
        yield from _tell_removed(code, kind, target, crosswalks, language)


def _tell_links(links: pd.DataFrame, kind: str, target: str, crosswalks: Crosswalks, language: str) -> Iterator[str]:
    """Write the links to one nomenclature, the heaviest first. One text per line."""
    if links.empty:
        yield say("explain.none", language, kind=target)
        return
    heaviest = links.sort_values(["weight", "target"], ascending=[False, True])
    backwards = _backwards((kind, target), crosswalks)
    yield say("explain.to_back" if backwards else "explain.to", language, kind=target, count=len(links))
    for link in heaviest.head(LINKS_SHOWN).to_dict("records"):
        whole = (str(link["code"]), str(link["target"]), str(link["source"]))
        why = _why(whole, (kind, target), crosswalks, language)
        title = _title(target, str(link["target"]), language)
        yield say("explain.link", language, weight=float(link["weight"]), named=link["target"], title=title, why=why)
    rest = heaviest.iloc[LINKS_SHOWN:]
    if len(rest):
        yield say("explain.more", language, count=len(rest), weight=float(rest["weight"].sum()))
    if (lost := 1 - float(links["weight"].sum())) > 1e-9:
        yield say("explain.lost", language, weight=lost)


def _tell_removed(code: str, kind: str, target: str, crosswalks: Crosswalks, language: str) -> Iterator[str]:
    """Write the links that a person removed. One text per line."""
    ours = crosswalks.corrections.query("from_kind == @kind and from_code == @code and to_kind == @target and weight == 0")
    for row in ours.to_dict("records"):
        title, why = _title(target, str(row["to_code"]), language), _who(ours[ours["to_code"] == row["to_code"]], language)
        yield say("explain.removed", language, named=row["to_code"], title=title, why=why)


def _why(link: tuple[str, str, str], kinds: tuple[str, str], crosswalks: Crosswalks, language: str) -> str:
    """Say where the weight of one link comes from: the evidence of the link that is kept, whichever way it is read."""
    code, target, source = link
    if kinds in VIA or kinds[::-1] in VIA:
        return say("explain.why_corrected_chain" if source == "correction" else "explain.why_chain", language)
    origin, end, first, last = (*kinds[::-1], target, code) if _backwards(kinds, crosswalks) else (*kinds, code, target)
    if source == "correction":
        own = crosswalks.corrections[(crosswalks.corrections[LINK] == [origin, first, end, last]).all(axis="columns")]
        return _who(own, language)
    if (origin, end) == ("FAP2009", "FAP2021"):
        evidence = facts.family_families().query("family_2009 == @first and family_2021 == @last").iloc[0]
        said = {"words": float(evidence["words"]), "rome": float(evidence["rome"])}
        return say("explain.why_same_title" if source == "same_title" else "explain.why_family", language, **said)
    return say(f"explain.why_{source}", language)


def _backwards(kinds: tuple[str, str], crosswalks: Crosswalks) -> bool:
    """Whether the links of two nomenclatures are kept the other way round."""
    kept = crosswalks.links
    return kinds not in VIA and not ((kept["from_kind"] == kinds[0]) & (kept["to_kind"] == kinds[1])).any()


def _who(correction: pd.DataFrame, language: str) -> str:
    """Say who corrected a link, when, until when and why."""
    row = correction.iloc[0]
    values = {"author": row["author"], "day": f"{row['known_from']:{_DAY[language]}}", "motive": row["motive"]}
    if pd.isna(row["expires"]):
        return say("explain.why_correction", language, **values)
    return say("explain.why_correction_until", language, until=f"{row['expires']:{_DAY[language]}}", **values)


def _title(kind: str, code: str, language: str) -> str:
    """Give the title of a code."""
    titles = list_codes().query("kind == @kind and code == @code")["title"]
    return _sentence(titles.iloc[0]) if len(titles) else say("explain.no_title", language)


def _sentence(title: str) -> str:
    """Begin a title with a capital; producers print some wholly in capitals, some in none."""
    small = title.lower() if title.isupper() else title
    return small[:1].upper() + small[1:]


# What nothing links -----------------------------------------------------------------------------------------------------


def _tell_unmapped(home: Home, as_of: pd.Timestamp, language: str) -> str:
    """Say of each measure of the lake how much of it is linked, and which codes are not."""
    known = read_tables(home.lake).known_at(as_of)
    carried = carry_measures(known, own_or_shipped(known.territories), crosswalks_of(known, as_of))
    listed = list_unmapped(carried)
    lines = [say("explain.unmapped_head", language)]
    for measure, moved in carried.items():
        rows = listed[listed["measure"] == measure]
        said = {"count": float(rows["volume"].sum()), "total": moved.total, "covered": moved.covered}
        lines += [say(f"explain.unmapped_{measure}", language, **said), *_largest(rows, language)]
    return "\n".join(lines)


def _largest(rows: pd.DataFrame, language: str) -> Iterator[str]:
    """Write the largest codes of one measure, and how many more there are. One text per line."""
    for row in rows.head(LINKS_SHOWN).to_dict("records"):
        title = _title(str(row["kind"]), str(row["code"]), language)
        yield say("explain.unmapped_code", language, volume=float(row["volume"]), named=row["code"], title=title)
    rest = rows.iloc[LINKS_SHOWN:]
    if len(rest):
        yield say("explain.more_codes", language, count=len(rest), volume=float(rest["volume"].sum()))
