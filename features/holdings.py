"""What people are known to have completed, what courses ask before and give at their end, and who that lets in or leaves out.

A code says its kind: ``certifinfo:84409``, ``rncp:38228``, ``block:RNCP38228BC01``, ``module:UV13`` (the reference a formation
bears in a catalogue, which another may ask before). What is not known of a person is not held against anybody: a course
is refused as held only where something says so, and as asking too much only where it asks something.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

_CERTIFYING = ("certifinfo", "rncp", "block")
_MODULE = "module"
_ASKED = "prerequis"


def given_by(courses: pd.DataFrame) -> pd.DataFrame:
    """List what courses give at their end: certifications, blocks of them, and the module they are. One row per session, given.

    ``courses`` are sessions of a catalogue, each once.
    """
    lists = {
        "certifinfo": courses["certifinfos"].fillna(courses["certifinfo"]),
        "rncp": courses["rncps"].fillna(courses["rncp"]),
        "block": courses["blocks"],
    }
    parts = [_listed(courses["session"], codes, kind) for kind, codes in lists.items()]
    return _each_once(pd.concat([*parts, _modules(courses, _MODULE)]).rename(columns={"code": "given"}))


def asked_of(courses: pd.DataFrame) -> pd.DataFrame:
    """List the modules that courses ask before. One row per session, asked: a session that asks nothing has none."""
    return _each_once(_modules(courses, _ASKED).rename(columns={"code": "asked"}))


def list_holdings(
    trainings: pd.DataFrame, people: pd.DataFrame, sessions: pd.DataFrame, catalogue: pd.DataFrame, as_of: pd.Timestamp
) -> pd.DataFrame:
    """List what the people to serve are known to have completed by ``as_of``. One row per person, held.

    Who is certified holds the certification that the training names, or, where the catalogue says which of its blocks the
    session gives, these blocks only: a part of a certification is not the whole. Who stayed to the end holds the module
    that the session was, if a catalogue says so. Trainings name sessions as the Region does, or as the catalogue.
    """
    past = trainings["known_from"].le(as_of) & trainings["exited"].le(as_of) & (trainings["status"] == "entre")
    done: pd.DataFrame = trainings[past & trainings["person"].isin(people["person"])]
    certified = done[done["certified"].fillna(False).astype(bool)]
    stayed = done[done["exit_reason"] == "fin"]
    known = catalogue[catalogue["known_from"] <= as_of].sort_values(["session", "known_from"])
    gives = given_by(known.drop_duplicates("session", keep="last")).rename(columns={"given": "held"})
    named = _as_catalogued(certified, sessions)
    blocks = _gained(named, gives, "block")
    whole = named[~named["listed"].isin(gives.loc[gives["held"].str.startswith("block:"), "session"])]
    parts = [
        *(_listed(whole["person"], whole[kind], kind).rename(columns={"code": "held"}) for kind in ("certifinfo", "rncp")),
        blocks,
        _gained(_as_catalogued(stayed, sessions), gives, _MODULE),
    ]
    return _each_once(pd.concat(parts))


def _as_catalogued(done: pd.DataFrame, sessions: pd.DataFrame) -> pd.DataFrame:
    """Give trainings the number under which a catalogue ``listed`` their session. Same rows."""
    numbers = sessions.dropna(subset=["lheo"]).drop_duplicates("session").set_index("session")["lheo"]
    return done.assign(listed=done["session"].map(numbers).astype("str").fillna(done["session"]))


def _gained(done: pd.DataFrame, gives: pd.DataFrame, kind: str) -> pd.DataFrame:
    """List what people got of one kind from the sessions they did. One row per training, held."""
    of_kind = gives[gives["held"].str.startswith(f"{kind}:")]
    gained = done[["person", "listed"]].merge(
        of_kind.rename(columns={"session": "listed"}), on="listed", how="inner", validate="many_to_many"
    )
    return gained[["person", "held"]]


def already_held(holdings: pd.DataFrame, given: pd.DataFrame) -> pd.DataFrame:
    """Find who holds what a course leads to. One row per person, session.

    A course is held by who holds all its certifications in one register (CertifInfo, RNCP), or all its blocks; to have
    followed its module before is not to hold it.
    """
    wanted = given.rename(columns={"given": "code"})
    kinds = wanted["code"].str.split(":", n=1).str[0]
    return _holding_all([wanted[kinds == kind] for kind in _CERTIFYING], holdings)


def ready_for(holdings: pd.DataFrame, asked: pd.DataFrame) -> pd.DataFrame:
    """Find who holds all that a course asks before. One row per person, session that asks something."""
    return _holding_all([asked.rename(columns={"asked": "code"})], holdings)


def _holding_all(bundles: list[pd.DataFrame], holdings: pd.DataFrame) -> pd.DataFrame:
    """Find who holds every code that a session has in one of the bundles. One row per person, session.

    ``bundles`` have one row per session, code. People and sessions are numbered, so that a pair is one whole number.
    """
    held = holdings[["person", "held"]].drop_duplicates()
    numbers, persons = pd.factorize(held["person"], sort=True)
    holders = pd.DataFrame({"code": held["held"], "person": numbers})
    sessions = pd.Index(pd.concat([bundle["session"] for bundle in bundles]).unique()).sort_values()
    width = max(len(sessions), 1)
    found = [np.array([], dtype="int64")]
    for bundle in bundles:
        codes = bundle[["session", "code"]].drop_duplicates()
        codes = codes.assign(session=sessions.get_indexer(codes["session"]))
        matched = codes.merge(holders, on="code", how="inner", validate="many_to_many")
        pairs, times = np.unique((matched["person"] * width + matched["session"]).to_numpy("int64"), return_counts=True)
        asked = np.bincount(codes["session"], minlength=width)
        found.append(pairs[times == asked[pairs % width]])
    pairs = np.sort(np.concatenate(found))
    pairs = pairs[np.diff(pairs, prepend=-1) > 0]
    return pd.DataFrame({"person": persons[pairs // width], "session": sessions[pairs % width]}).astype("str")


def _modules(courses: pd.DataFrame, kind: str) -> pd.DataFrame:
    """List the modular parts of one kind. One row per session, code."""
    parts = _parted(courses["session"], courses["modules"])
    of_kind = parts[parts["code"].str.startswith(f"{kind}:")]
    return of_kind.assign(code=f"{_MODULE}:" + of_kind["code"].str.removeprefix(f"{kind}:"))


def _listed(owners: pd.Series[str], codes: pd.Series[str], kind: str) -> pd.DataFrame:
    """Part codes and say their kind. One row per owner, code."""
    rows = _parted(owners, codes)
    plain = rows["code"].str.upper()
    spelt = plain.str.removeprefix("RNCP") if kind == "rncp" else plain
    return rows.assign(code=f"{kind}:" + spelt)


def _parted(owners: pd.Series[str], codes: pd.Series[str]) -> pd.DataFrame:
    """Part codes that are joined by ``|``. One row per owner, code."""
    told = codes.notna()
    rows = pd.DataFrame({owners.name: owners[told], "code": codes[told].str.split("|")}).explode("code").astype("str")
    plain = rows["code"].str.strip()
    return rows.assign(code=plain)[plain != ""]


def _each_once(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.astype("str").drop_duplicates().sort_values([*rows.columns], ignore_index=True)
