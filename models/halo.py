"""What a part of the people needs of a market: the courses within their reach, and nothing of the rest.

A halo is cut by how far people go, never by a border: what is found within it is what would be found among all courses. It is
what a task carries to another process or another machine.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.pairs import Kept, Long, Roads, Sessions, Tastes

_OF_PLACES = ("ends_at", "quickest")


class Halo(NamedTuple):
    """A market cut down, as if it were all there is; ``position`` says where each of its sessions stands among all."""

    sessions: Sessions
    roads: Roads
    tastes: Tastes
    position: Long


def around(roads: Roads, sessions: Sessions, tastes: Tastes) -> Halo:
    """Cut out the places that roads lead to. Sessions, places and aims keep their order, so that ties fall as among all."""
    places, place = np.unique(roads.place, return_inverse=True)
    starts, ends = sessions.ends_at[places], sessions.ends_at[places + 1]
    ends_at = np.concatenate([[0], np.cumsum(ends - starts)]).astype(np.int64)
    position = np.arange(ends_at[-1]) + np.repeat(starts - ends_at[:-1], ends - starts)
    aims, aim = np.unique(sessions.aim[position], return_inverse=True)
    of_sessions = {name: column[position] for name, column in sessions._asdict().items() if name not in _OF_PLACES}
    of_sessions["aim"] = aim.astype(np.int32)
    cut = Sessions(ends_at=ends_at, quickest=sessions.quickest[places], **of_sessions)
    return Halo(cut, roads._replace(place=place.astype(np.int32)), _with_aims(tastes, aims), position)


def _with_aims(tastes: Tastes, aims: Long) -> Tastes:
    """Keep what concerns some aims."""
    number = np.full(tastes.wanted.shape[1], -1, dtype=np.int32)
    number[aims] = np.arange(len(aims))
    links = number[tastes.skill_aims]
    before = np.concatenate([[0], np.cumsum(links >= 0)]).astype(np.int64)
    return tastes._replace(
        wanted=np.ascontiguousarray(tastes.wanted[:, aims]),
        last=np.ascontiguousarray(tastes.last[:, aims]),
        skill_ends=before[tastes.skill_ends],
        skill_aims=links[links >= 0],
        skill_share=tastes.skill_share[links >= 0],
    )


def back(found: Kept, halo: Halo) -> Kept:
    """Say of courses found within a halo where they stand among all."""
    position = np.append(halo.position, -1).astype(np.int32)  # none stays none
    return found._replace(session=position[found.session])
