"""People and courses written by hand: one of each that suit each other, and whatever a test changes of them.

A person lives at ``HOME``, holds a level 3, goes 20 km and wants ``A1101``; a course is held there, leads to ``A1101``, has
seats for three, begins in two months and asks nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from features.vocabulary import PUBLICS
from models.likelihood import LikelihoodParams
from models.market import EntryParams, Knowledge, Market, open_market
from models.sight import look

AS_OF = pd.Timestamp("2026-03-31")
HOME = (48.5, 7.5)
KM_A_DEGREE = 111.195
_DATES, _TEXTS = ("available", "allowance_ends", "starts", "ends"), ("wanted_2", "last_occupation", "skills")


def north(km: float) -> float:
    """Give the latitude that lies so far north of where people live."""
    return HOME[0] + km / KM_A_DEGREE


def person(name: str = "ann", **changes: Any) -> dict[str, Any]:
    alike: dict[str, Any] = {
        "person": name, "territory": "BE4441", "department": "D67", "commune": "C67482", "level": 3,
        "wanted": "A1101", "wanted_2": None, "last_occupation": None, "available": pd.NaT, "mobility_km": 20.0,
        "opposition": False, "licence": True, "allowance_ends": pd.NaT, "skills": None,
        "latitude": HOME[0], "longitude": HOME[1], "priority": 0,
        **{public: public == "tout_public" for public in PUBLICS}, "closed": "", "ready": "",
    }  # fmt: skip
    return {**alike, **changes}


def course(session: str = "a", **changes: Any) -> dict[str, Any]:
    alike: dict[str, Any] = {
        "session": session, "title": "Formation", "action_type": "certification", "sector": "230", "formacode": "23054",
        "occupations": "A1101", "entry_level": None, "entry_level_binds": False, "publics": None, "seats": 3,
        "starts": AS_OF + pd.Timedelta(days=60), "ends": AS_OF + pd.Timedelta(days=160), "permanent": False,
        "latitude": HOME[0], "longitude": HOME[1], "place": "here", "funded": True, "gain": 0.1, "show": 0.8,
    }  # fmt: skip
    return {**alike, **changes}


def people_of(*people: dict[str, Any]) -> pd.DataFrame:
    """List people. One row per person."""
    return _typed(pd.DataFrame(list(people)), level="Int64", licence="boolean", opposition="boolean", mobility_km="float64")


def known_of(*courses: dict[str, Any], asking: tuple[str, ...] = ()) -> Knowledge:
    """Bring courses together; no occupation leads to another, no skill is asked, all is needed as usually."""
    frame = pd.DataFrame(list(courses))
    return Knowledge(
        courses=_typed(
            frame, seats="Int64", entry_level="Int64", entry_level_binds="boolean", permanent="boolean", publics="str"
        ),
        moves=pd.DataFrame({"occupation": ["A1101"], "target": ["A1201"], "kind": ["near"]}, dtype="str"),
        skills=pd.DataFrame({"occupation": ["A1101"], "skill": ["100001"]}, dtype="str"),
        needs=pd.DataFrame({"territory": ["BE4441"], "sector": ["230"], "need": [1.0]}),
        asking=pd.DataFrame({"session": list(asking)}, dtype="str"),
    )


def market_of(*courses: dict[str, Any], asking: tuple[str, ...] = (), **entry: Any) -> Market:
    """Open a market of courses."""
    return open_market(known_of(*courses, asking=asking), AS_OF, EntryParams(**entry), LikelihoodParams())


def seen_by(people: pd.DataFrame, who: int, market: Market, prices: pd.Series[float] | None = None) -> pd.DataFrame:
    """Look at all that is on offer with the eyes of one person. One row per session of the market, in its order."""
    at = np.full(len(market.courses), who, dtype=np.int64)
    return look(people, at, market.courses, market, pd.Series(dtype="float64") if prices is None else prices)


def _typed(frame: pd.DataFrame, **types: str) -> pd.DataFrame:
    dates = {name: pd.to_datetime(frame[name]).astype("datetime64[us]") for name in _DATES if name in frame}
    texts = {name: frame[name].astype("str") for name in _TEXTS if name in frame}
    return frame.assign(**dates, **texts).astype(types)
