"""Skills: what offers of each occupation ask for, and how it moves in time.

An occupation has six skills of its own and two that it shares with its ROME domain (the first three characters). An offer
asks for each of them apart, with a chance that is the same everywhere:

    steady     a level of its own, drawn between 15 and 85 % (an offer then names four on average)
    emerging   2 % + 58 % × 1 ÷ (1 + exp(−(month − turn) ÷ 4))
    vanishing  the same curve, falling from 60 % to 2 %

Three skills per hundred emerge and as many vanish, around a month of the last two years before ``as_of``: much quicker than
real ones, so that a forecast can be held to them. The codes are made up; no two skills have the same.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from needs.twin.market import Market
from needs.twin.places import Numbers
from needs.twin.world import World

OWN, SHARED = 6, 2
SKILLS = OWN + SHARED
_FIRST_OWN, _FIRST_SHARED = 100_000, 950_000
_LETTERS = "ABCDEFGHIJKLMN"
_STEADY = (0.15, 0.85)
_RARE, _USUAL = 0.02, 0.60
_SLOPE_MONTHS = 4.0
_TURN_MONTHS = (-24, 0)
_MOVING_SHARE = 0.03


def skills_of(occupation: str) -> list[str]:
    """Give the codes of the skills of one occupation: six of its own, then two that its domain shares.

    >>> skills_of("A1101")[:2], skills_of("A1101")[6:] == skills_of("A1102")[6:]
    (['106606', '106607'], True)
    """
    letter = _LETTERS.index(occupation[0])
    own = _FIRST_OWN + OWN * (10_000 * letter + int(occupation[1:]))
    shared = _FIRST_SHARED + SHARED * (100 * letter + int(occupation[1:3]))
    return [*(str(own + k) for k in range(OWN)), *(str(shared + k) for k in range(SHARED))]


def skill_table(world: World) -> pd.DataFrame:
    """Say what becomes of each skill. One row per occupation and skill, eight per occupation, in its order.

    ``fate`` is steady, emerging or vanishing; ``usual`` the chance that an offer asks for a steady one, ``turn`` the month
    (since that of ``as_of``) around which another one moves.
    """
    codes = [skill for code in world.occupations["occupation"] for skill in skills_of(code)]
    table = pd.DataFrame({"occupation": world.occupations["occupation"].repeat(SKILLS).to_numpy(), "skill": codes})
    fates = _fates(sorted(set(codes)), world.rng("skills"))
    return table.merge(fates, on="skill", how="left", validate="many_to_one")


def _fates(codes: list[str], rng: np.random.Generator) -> pd.DataFrame:
    """Draw what becomes of skills, a fixed share of each fate. One row per skill."""
    size = len(codes)
    moving = max(1, round(_MOVING_SHARE * size))
    rank = rng.permutation(size)
    steady = rank >= 2 * moving
    return pd.DataFrame(
        {
            "skill": codes,
            "fate": np.select([rank < moving, ~steady], ["emerging", "vanishing"], "steady"),
            "usual": np.where(steady, rng.uniform(*_STEADY, size), np.nan),
            "turn": np.where(steady, np.nan, rng.uniform(*_TURN_MONTHS, size)),
        }
    )


def asked(world: World) -> Numbers:
    """Give the chance that an offer asks for each skill: occupations × skills (eight, in their order) × months."""
    table = skill_table(world)
    since = np.arange(len(world.months)) - (world.past - 1)
    rise = 1 / (1 + np.exp(-(since[None, :] - table["turn"].to_numpy()[:, None]) / _SLOPE_MONTHS))
    climb = (_USUAL - _RARE) * rise
    fate = table["fate"].to_numpy()[:, None]
    usual = np.broadcast_to(table["usual"].to_numpy()[:, None], climb.shape)
    chance = np.select([fate == "emerging", fate == "vanishing"], [_RARE + climb, _USUAL - climb], usual)
    return np.asarray(chance.reshape(len(world.occupations), SKILLS, len(world.months)))


def draw_skills(
    chances: Numbers, occupation: NDArray[np.integer], month: NDArray[np.integer], rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Draw which skills each offer asks for, a bit per skill of its occupation."""
    bits = np.zeros(len(occupation), dtype=np.uint8)
    for k in range(SKILLS):
        bits |= (rng.random(len(occupation)) < chances[occupation, k, month]).astype(np.uint8) << k
    return bits


def skill_need_table(market: Market) -> pd.DataFrame:
    """Say how many recruitments ask for each skill. One row per bassin × département, skill and year, future ones included.

    need = Σ over occupations and the months of the world in that year of need × chance.
    """
    world = market.world
    codes, skills = pd.factorize(skill_table(world)["skill"], sort=True)
    years, starts = np.unique(world.months.year.to_numpy(), return_index=True)
    asking = market.need[:, :, None, :] * asked(world)[None]
    yearly = np.add.reduceat(asking, starts, axis=3).reshape(len(market.atoms), len(codes), len(years))
    need = np.zeros((len(skills), len(market.atoms), len(years)))
    np.add.at(need, codes, yearly.transpose(1, 0, 2))
    skill, atom, year = np.indices(need.shape, dtype=np.int32).reshape(3, -1)
    return pd.DataFrame(
        {
            "territory": world.atoms["territory"].to_numpy()[market.atoms[atom]],
            "department": market.department,
            "skill": skills.to_numpy()[skill],
            "period": years.astype(str)[year],
            "need": need.ravel(),
        }
    )
