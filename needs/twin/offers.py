"""Job offers of one département: what employers publish of their need, some of it again, and what those abroad seek here.

- The positions that the market publishes are put on offers of one, two or five; short contracts come on top.
- ``repeated`` positions are published again the month after, under another number: same commune, contract, experience,
  level and skills.
- A share ``offers.updated`` of the offers changes between three days and six weeks later, a third of those in their positions.
- Two offers in five say what they pay: the minimum wage × 1.09 per level above the third, spread by 8 %.
- Employers across the border seek people where they are near:

      offers on top, as a share of those of the bassin × département = min(25 %, k × ``need.border`` × pull ÷ population)

  with pull = weight of the country × Σ over its towns of population × exp(−distance ÷ 25 km), and the countries in proportion
  to theirs. k was set once, at the scale ``demo``: they are then 1.5 % of the offers of Grand Est, with ``need.border`` at one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from features.vocabulary import BORDERS, InputError
from needs.twin.market import Counts, Market
from needs.twin.places import Numbers, places_in
from needs.twin.skills import asked, draw_skills
from needs.twin.world import World

_KINDS = pd.Index(["lasting", "seasonal", "short"])
_CONTRACTS = pd.Index(["CDI", "CDD", "MIS", "SAI"])
_EXPERIENCES = pd.Index(["D", "E"])
_COUNTRIES = pd.Index(["", *BORDERS])
_BORDER_PER_PULL = 0.0151  # set once, at the scale demo
_MOST_BORDER = 0.25
_NO_COMMUNE = 0.03
_LEAF_SHARE = 0.1
_SAYS_PAY, _PAY_SPREAD, _PAY_PER_LEVEL = 0.4, 0.08, 1.09
_LOWEST_PAY = 12.02  # the gross minimum wage of January 2026, in euros an hour
_LETTERS = np.frombuffer(b"ABCDFGHJKLMNPQRSTVWXYZ", dtype=np.uint8)
_WORDS = len(_LETTERS) ** 4
_NUMBERS = 900 * _WORDS
_STRIDE = 2_000_000  # 105 départements have room for that many numbers each
_DAY = np.timedelta64(1, "D")


class Commune(NamedTuple):
    """One commune, about to be written."""

    commune: str
    name: str
    department: str
    latitude: float
    longitude: float


def draw_offers(market: Market) -> pd.DataFrame:
    """Draw the offers published up to ``as_of``. One row per offer, as its last version says.

    ``atom``, ``occupation``, ``month`` and ``commune`` are positions in the world's tables, ``skills`` a bit per skill of
    the occupation, ``updated`` is missing where there is one version only, ``border`` empty inside the Region.
    """
    world, rng = market.world, market.rng("offers")
    cells = pd.concat([_units(market, kind) for kind in _KINDS], ignore_index=True)
    offers = _add_abroad(_group_units(cells, rng), world, rng)
    offers = _add_pay(_add_terms(_add_days(offers, world, rng), world, rng), market.rng("pay"))
    offers = pd.concat([offers, _again(market, offers, rng)], ignore_index=True)
    offers = _add_update(offers, world, rng)
    end = world.as_of + pd.Timedelta(days=1)
    offers = offers[offers["created"] < end].sort_values(["created", "atom", "occupation"], kind="stable", ignore_index=True)
    return offers.assign(offer=_identifiers(market, len(offers)))


def _units(market: Market, kind: str) -> pd.DataFrame:
    """List the positions of one kind. One row per cell (atom, occupation, month) with its count."""
    counts = _counts(market, kind)
    atom, occupation, month = (at.astype(np.int32) for at in np.nonzero(counts))
    columns = {"occupation": occupation, "month": month, "count": counts[atom, occupation, month].astype(np.int32)}
    kinds = pd.Categorical.from_codes(np.full(len(atom), _KINDS.tolist().index(kind)), _KINDS)
    return pd.DataFrame({"atom": market.atoms[atom].astype(np.int32), **columns, "kind": kinds})


def _counts(market: Market, kind: str) -> Counts:
    past = market.world.past
    if kind == "short":
        share = (market.world.occupations["coverage"] * market.world.occupations["short"]).to_numpy()[None, :, None]
        return np.asarray(market.rng("short").poisson(market.rate[:, :, :past] * share))
    return (market.positions if kind == "lasting" else market.seasonal_positions)[:, :, :past]


def _group_units(cells: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Put the positions of a cell on offers of one, two or five positions. One row per offer."""
    group = rng.choice(np.array([1, 2, 5], dtype=np.int32), len(cells), p=[0.7, 0.2, 0.1])
    full, rest = np.divmod(cells["count"].to_numpy(), group)
    times = full + (rest > 0)
    rows = cells.loc[cells.index.repeat(times)].assign(positions=np.repeat(group, times))
    last = ~rows.index.duplicated(keep="last") & np.repeat(rest > 0, times)
    rows = rows.assign(positions=np.where(last, np.repeat(rest, times), rows["positions"]))
    return rows.drop(columns="count").reset_index(drop=True)


def border_shares(world: World) -> Numbers:
    """Say how many offers each country adds to those of each atom, as a share of them: atoms × countries."""
    pulls = world.atoms[[*BORDERS]].to_numpy()
    total = pulls.sum(axis=1, keepdims=True)
    people = np.maximum(world.atoms[["population"]].to_numpy(), 1)
    share = np.minimum(_MOST_BORDER, _BORDER_PER_PULL * world.dials.need.border * total / people)
    return np.asarray(share * pulls / total)


def border_table(market: Market) -> pd.DataFrame:
    """Say what employers across the border seek here. One row per bassin × département, country and year.

    ``expected`` are the lasting recruitments of the months of the world in that year, future ones included, and
    ``published`` those of them in offers.
    """
    world = market.world
    years, starts = np.unique(world.months.year.to_numpy(), return_index=True)
    shown = market.rate * world.occupations["coverage"].to_numpy()[None, :, None]
    yearly = [np.add.reduceat(mean.sum(axis=1), starts, axis=1) for mean in (market.rate, shown)]
    shares = border_shares(world)[market.atoms][:, :, None]
    atom, country, year = np.indices((len(market.atoms), len(BORDERS), len(years))).reshape(3, -1)
    return pd.DataFrame(
        {
            "territory": world.atoms["territory"].to_numpy()[market.atoms[atom]],
            "department": market.department,
            "country": np.array([*BORDERS])[country],
            "period": years.astype(str)[year],
            "expected": (shares * yearly[0][:, None, :]).ravel(),
            "published": (shares * yearly[1][:, None, :]).ravel(),
        }
    )


def _add_abroad(offers: pd.DataFrame, world: World, rng: np.random.Generator) -> pd.DataFrame:
    """Add the offers of employers across the border, on top of the Region's need. One row per offer."""
    ends = border_shares(world).cumsum(axis=1)[offers["atom"].to_numpy()]
    country = (rng.random(len(offers))[:, None] >= ends).sum(axis=1)
    rows = np.flatnonzero(country < len(BORDERS))
    both = pd.concat([offers, offers.iloc[rows]], ignore_index=True)
    codes = np.concatenate([np.zeros(len(offers), dtype=np.int64), country[rows] + 1])
    return both.assign(border=pd.Categorical.from_codes(codes, _COUNTRIES))


def _add_days(offers: pd.DataFrame, world: World, rng: np.random.Generator) -> pd.DataFrame:
    """Add when each offer was created, and the commune in its atom, large ones first. Same rows."""
    size, month = len(offers), offers["month"].to_numpy()
    day = rng.integers(0, 10_000, size) % world.months.days_in_month.to_numpy()[month]
    created = world.months.start_time.to_numpy()[month] + day.astype("timedelta64[D]") + _hours(size, rng)
    commune = places_in(world.communes, offers["atom"].to_numpy(), rng, power=1.2).astype(np.int32)
    return offers.assign(created=created.astype("datetime64[s]"), commune=commune)


def _hours(size: int, rng: np.random.Generator) -> NDArray[np.timedelta64]:
    return rng.integers(6 * 3600, 20 * 3600, size).astype("timedelta64[s]")


def _add_terms(offers: pd.DataFrame, world: World, rng: np.random.Generator) -> pd.DataFrame:
    """Add contract, months, experience, level, skills and where the label stays vague. Same rows."""
    size = len(offers)
    occupation, month = offers["occupation"].to_numpy(), offers["month"].to_numpy()
    lasting, seasonal = (offers["kind"] == "lasting").to_numpy(), (offers["kind"] == "seasonal").to_numpy()
    cdi = rng.random(size) < world.occupations["lasting_cdi"].to_numpy()[occupation]
    fixed = np.where(rng.random(size) < 0.9, 1, 2)
    short = np.where(rng.random(size) < 0.45, 1, 2)
    contract = np.where(lasting, np.where(cdi, 0, fixed), np.where(seasonal, 3, short))
    months = np.where(lasting, rng.choice([6, 7, 8, 9, 10, 12, 18, 24], size), rng.integers(1, 6, size))
    months = np.where(seasonal, rng.integers(1, 5, size), np.where(contract == 0, 0, months))
    level = world.occupations["level"].to_numpy()[occupation]
    return offers.assign(
        contract=pd.Categorical.from_codes(contract, _CONTRACTS),
        months=months.astype(np.int8),
        experience=pd.Categorical.from_codes((rng.random(size) >= 0.55).astype(np.int8), _EXPERIENCES),
        level=np.where(rng.random(size) < 0.55, level, 0).astype(np.int8),
        skills=draw_skills(asked(world), occupation, month, rng),
        vague=rng.random(size) < _NO_COMMUNE,
        leaf=rng.random(size) < _LEAF_SHARE,
    )


def _add_pay(offers: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Add what each offer says it pays, in cents an hour, 0 where it says nothing. Same rows."""
    size = len(offers)
    usual = _LOWEST_PAY * _PAY_PER_LEVEL ** np.maximum(offers["level"].to_numpy() - 3, 0)
    pay = np.maximum(_LOWEST_PAY, usual * np.exp(rng.normal(0, _PAY_SPREAD, size)))
    return offers.assign(pay=np.where(rng.random(size) < _SAYS_PAY, np.round(100 * pay), 0).astype(np.int32))


def _again(market: Market, offers: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Publish some positions of the month before again, copying an offer of their cell. One row per offer."""
    world = market.world
    atom, occupation, month = np.nonzero(market.repeated[:, :, : world.past])
    first = offers[(offers["kind"] == "lasting") & (offers["border"] == "")].drop_duplicates(["atom", "occupation", "month"])
    cells = pd.MultiIndex.from_frame(first[["atom", "occupation", "month"]])
    copies = first.iloc[cells.get_indexer(pd.MultiIndex.from_arrays([market.atoms[atom], occupation, month - 1]))]
    later = copies["created"].to_numpy().astype("datetime64[D]") + rng.integers(27, 34, len(copies)) * _DAY
    starts, ends = (edge.to_numpy()[month].astype("datetime64[D]") for edge in (world.months.start_time, world.months.end_time))
    created = np.clip(later, starts, ends) + _hours(len(copies), rng)
    return copies.assign(
        month=month.astype(np.int32),
        positions=market.repeated[atom, occupation, month].astype(np.int32),
        created=created.astype("datetime64[s]"),
    )


def _add_update(offers: pd.DataFrame, world: World, rng: np.random.Generator) -> pd.DataFrame:
    """Add when some offers were updated, and how many positions their first version gave. Same rows."""
    size = len(offers)
    # never on the day of the first version: of one day, only the last version would be kept
    later = offers["created"].to_numpy() + rng.integers(3 * 86400, 45 * 86400, size).astype("timedelta64[s]")
    end = np.datetime64(world.as_of, "s") + _DAY
    seen = (rng.random(size) < world.dials.offers.updated) & (later < end)
    positions = offers["positions"].to_numpy()
    other = np.maximum(1, positions + rng.choice(np.array([-1, 0, 0, 0, 1], dtype=np.int32), size))
    updated = np.where(seen, later, np.datetime64("NaT")).astype("datetime64[s]")
    return offers.assign(updated=updated, first_positions=np.where(seen, other, positions))


def _identifiers(market: Market, size: int) -> pd.Series[str]:
    """Number the offers as the service does: three digits, four letters; each once over all départements."""
    if size > _STRIDE:
        raise InputError(
            f"{market.department}: {size:,} offers, more than the {_STRIDE:,} numbers of a département. Draw a smaller scale."
        )
    first = market.world.departments.index(market.department) * _STRIDE
    numbers = ((first + np.arange(size, dtype=np.int64)) * 7_919 + 12_345) % _NUMBERS
    head, word = np.divmod(numbers, _WORDS)
    digits = [48 + (100 + head) // 10**place % 10 for place in (2, 1, 0)]
    letters = [_LETTERS[word // len(_LETTERS) ** place % len(_LETTERS)] for place in range(4)]
    texts = np.stack([*digits, *letters], axis=1).astype(np.uint8)
    offsets = np.arange(size + 1, dtype=np.int64) * texts.shape[1]
    spelt: pd.Series[str] = pa.LargeStringArray.from_buffers(
        size, pa.py_buffer(offsets), pa.py_buffer(texts.tobytes())
    ).to_pandas()
    return spelt
