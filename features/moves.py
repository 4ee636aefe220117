"""The occupations that a person may move to from another: those the ROME says are near or an evolution, those of the domain.

The lists of the home count where there are any, else those shipped: ROME 3.47 says which moves are an evolution, 4 no more.
"""

from __future__ import annotations

import pandas as pd

from features import facts
from features.skills import in_occupations

NEAR, EVOLUTION, DOMAIN = KINDS = ("near", "evolution", "domain")
"""How a move is told, the surest first."""
_TOLD = {"proche": NEAR, "evolution": EVOLUTION}


def list_moves(mobilities: pd.DataFrame) -> pd.DataFrame:
    """List where one occupation of the 532 leads, never to itself. One row per occupation, target: the surest ``kind``.

    ``near`` and ``evolution`` are told by the ROME, ``near`` as well where it does not say which; ``domain`` is any other
    occupation of the same domain (the first three characters). What is told of a leaf of ROME 4 holds for its occupation.
    """
    told = whole_moves(mobilities) if len(mobilities) else facts.moves()
    left = in_occupations(told)
    swapped = left.rename(columns={"occupation": "left", "target": "occupation"})
    reached = in_occupations(swapped).rename(columns={"occupation": "target", "left": "occupation"})
    rows = pd.concat([reached, _in_domain()])
    known = facts.occupations()["occupation"]
    real = rows["occupation"].isin(known) & rows["target"].isin(known) & (rows["occupation"] != rows["target"])
    order = rows[real].sort_values(["occupation", "target", "kind"], key=lambda column: column.replace(_RANKS))
    kept: pd.DataFrame = order.drop_duplicates(["occupation", "target"])[["occupation", "target", "kind"]]
    return kept.reset_index(drop=True)


_RANKS = {kind: str(place) for place, kind in enumerate(KINDS)}


def whole_moves(mobilities: pd.DataFrame) -> pd.DataFrame:
    """Keep the moves of a whole occupation, not those of one of its jobs. One row per occupation, target."""
    whole = (mobilities["origin_job"].fillna("") == "") & (mobilities["target_job"].fillna("") == "")
    kinds = mobilities["kind"].map(_TOLD).fillna(NEAR)
    named = mobilities.assign(kind=kinds).rename(columns={"origin": "occupation"})
    return named.loc[whole, ["occupation", "target", "kind"]].astype({"kind": "str"})


def _in_domain() -> pd.DataFrame:
    """List the occupations that share a domain. One row per occupation, target."""
    members = facts.occupations()[["subdomain", "occupation"]]
    pairs = members.merge(members.rename(columns={"occupation": "target"}), on="subdomain", validate="many_to_many")
    return pairs[["occupation", "target"]].assign(kind=DOMAIN)
