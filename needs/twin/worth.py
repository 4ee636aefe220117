"""What a place of training truly adds, by bassin × option, and so what any plan is worth.

An option is a sector × type × exit level that was bought before, with its usual group and price. For someone who enters it

    gain    = Σ over ways to leave of odds × (P(lasting job 12 months from entry | trained) − P(… | not))
    lock_in = the same where nobody hires for the training: what is lost while it lasts
    worth of an entry = lock_in + absorption(ℓ) × (gain − lock_in),   absorption(ℓ) = (1 − exp(−ℓ)) ÷ ℓ
    ℓ = (finishers committed + bought) ÷ room,   room = ``room_per_opening`` × openings of the bassin in the sector

``gain`` and ``lock_in`` are means over the same people in every bassin and option, so that cells differ by what they are and
not by whom they got; the provider is an average one. Recruitments are those of the twelve months that the exercise serves, from
its July. Types without a sector of their own (basic skills, language…) fill nothing up: their room is infinite. Their worth is
their own effect only, not that of the courses they lead to. A sector
that hardly exists in a bassin has the room of two fifths of a mean one (``purchases``).

The worth is a chord: exact where all are absorbed and where none is, and between them below the true one, which bends (by
0.007 jobs an entry at a load of 1.5 in the world ``congestion``, by 0.026 at most in a cell). It keeps plans quick to judge.

:func:`plan_value` adds the worth of all entries over a plan: it grows ever less with the places of an option, and pools
(bassin × sector) add up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.errors import InputError
from features.supply import level_text
from needs.twin.careers import EXITS, Intercepts
from needs.twin.effects import DROPPED_OUT, Effects, absorption, sigmoid, stay_score
from needs.twin.market import Market
from needs.twin.places import Numbers
from needs.twin.purchases import FEWEST, FINISHING
from needs.twin.scales import DAYS_PER_MONTH, FILL
from needs.twin.work import Chances, Whole, occupation
from needs.twin.world import World

OPTION = ["sector", "action_type", "level"]
KEY = ["territory", *OPTION]
POOL = ["territory", "sector"]
HORIZON_MONTHS = 12
PEOPLE = 100
# What providers can run: a quarter more sessions of a kind than in its busiest year.
GROWTH = 1.25
_HALF_WAY = 0.5
# How courses are left: odds, part of the effect kept, share of the course followed, and whether for a job.
_WAYS = (
    (1 - sum(EXITS.values()), 1.0, 1.0, False),
    (EXITS["abandon"], DROPPED_OUT, _HALF_WAY, False),
    (EXITS["emploi"], 1.0, _HALF_WAY, True),
    (EXITS["sante"] + EXITS["autre"], 1.0, _HALF_WAY, False),
)


@dataclass(frozen=True)
class Promise:
    """What courses would change for people; one element per pair of a course and a person.

    ``surge`` is what finishing multiplies λ by, less one, and ``stay`` what it adds to the log-odds ``base`` of a lasting job;
    the provider's quality is in both, and everybody is absorbed. ``months`` is the length of the course, ``month`` where
    the entry lies in ``pulse``.
    """

    rate: Numbers
    surge: Numbers
    base: Numbers
    stay: Numbers
    months: Numbers
    month: Whole
    pulse: Numbers

    def chances(self, kept: Numbers | float, share: float, *, hired: bool = False) -> Chances:
        """Give the chances of those who stay for a share of the course and keep a share of its effect."""
        size = len(self.rate)
        return Chances(
            rate=self.rate,
            lift=1 + self.surge * kept,
            until=np.maximum(1, np.ceil(self.months * share)).astype(np.int64),
            stays=sigmoid(self.base),
            stays_after=sigmoid(self.base + self.stay * kept),
            hired=np.full(size, hired),
            month=self.month,
            pulse=self.pulse,
        )


def promise(effects: Effects, pairs: pd.DataFrame, intercepts: Intercepts, quality: Numbers | float = 1.0) -> Promise:
    """Say what each pair's course would change for its person: ``pairs`` holds the course, the person, and when it would be."""
    return Promise(
        rate=effects.rate(pairs, intercepts[0]),
        surge=np.expm1(effects.strength(pairs, pairs)) * quality,
        base=stay_score(pairs) + intercepts[1],
        stay=effects.of_type(pairs["action_type"], "stay") * quality,
        months=pairs["days"].to_numpy(dtype="float64") / DAYS_PER_MONTH,
        month=effects.month_of(pairs["entered"]),
        pulse=effects.world.pulse(),
    )


def durable_gain(promised: Promise, kept: Numbers | float = 1.0) -> Numbers:
    """Give what entering adds to the chance of a lasting job 12 months later, over the ways to leave a course.

    Those who leave before the end do so half-way; ``kept`` is the absorption.
    """
    total = -_durably(promised.chances(0.0, 1.0).untrained())
    for odds, finished, share, hired in _WAYS:
        total = total + odds * _durably(promised.chances(finished * kept, share, hired=hired))
    return total


def _durably(chances: Chances) -> Numbers:
    return np.asarray(occupation(chances, [HORIZON_MONTHS])[1][:, 0])


def list_options(lots: pd.DataFrame, sessions: pd.DataFrame) -> pd.DataFrame:
    """List what was bought before, with its usual group, price and length. One row per sector, type and exit level.

    Medians of the lots that found a provider; ``capacity`` counts the sessions that providers can run in a year.
    """
    held = with_option(lots[lots["bids"] > 0])
    held = held.assign(place_eur=held["cost_eur"] / held["places"])
    usual = held.groupby(OPTION)[["group", "group_min", "group_max", "place_eur"]].median()
    years = held.groupby([*OPTION, "exercise"])["sessions"].sum()
    ran = with_option(sessions)
    length = ran.assign(days=(ran["ends"] - ran["starts"]).dt.days).groupby(OPTION)["days"].median()
    first = held.groupby(OPTION)["formacode"].first()
    busiest = years.groupby(OPTION).max()
    options = usual.assign(capacity=np.ceil(busiest * GROWTH).astype(int), formacode=first, days=length).reset_index()
    whole = {name: options[name].round().astype("int64") for name in ("group", "group_min", "group_max")}
    options = options.assign(**whole)
    return options.assign(session_cents=(options["place_eur"] * options["group"] * 100).round().astype("int64"))


def with_option(rows: pd.DataFrame) -> pd.DataFrame:
    """Name the option of each lot or session. Same rows, with ``sector`` and ``level``."""
    return rows.assign(sector=rows["formacode"].str[:3], level=level_text(rows["exit_level"]))


def served_openings(market: Market) -> pd.DataFrame:
    """Count the recruitments that training opens, in the twelve months that the next exercise serves.

    One row per bassin and sector.
    """
    world = market.world
    served = _served(world)
    yearly = market.rate[:, :, served].mean(axis=2) * 12 @ world.trainable().to_numpy()
    counted = pd.DataFrame(yearly, columns=world.sectors.columns)
    counted = counted.assign(territory=world.atoms["territory"].to_numpy()[market.atoms])
    long = counted.melt("territory", var_name="sector", value_name="openings")
    return long.groupby(POOL)["openings"].sum().reset_index()


def _served(world: World) -> NDArray[np.bool_]:
    """Mark the months from the July of the next exercise to the June after, as far as the world knows them."""
    july = pd.Period(year=exercise_of(world), month=7, freq="M")
    return np.asarray((world.months >= july) & (world.months < july + 12))


def exercise_of(world: World) -> int:
    """Give the year that is bought for: the one after ``as_of``."""
    return int(world.as_of.year) + 1


def pool_table(world: World, openings: pd.DataFrame, sessions: pd.DataFrame, room: float) -> pd.DataFrame:
    """Say how many finishers each bassin and sector can absorb, and how many are committed. One row per bassin and sector.

    ``openings`` may hold a bassin several times, from the départements it lies in; ``room`` is how many finishers each
    has room for. Committed are those of sessions already planned that end in the twelve months served.
    """
    summed = openings.groupby(POOL)["openings"].sum()
    july = pd.Timestamp(exercise_of(world), 7, 1)
    late = with_option(sessions[(sessions["ends"] >= july) & (sessions["ends"] < july + pd.DateOffset(years=1))])
    late = late.assign(territory=world.atoms["territory"].to_numpy()[late["atom"]], finishers=late["places"] * FILL * FINISHING)
    committed = late.groupby(POOL)["finishers"].sum().reindex(summed.index).fillna(0.0)
    rooms = room * np.maximum(summed, FEWEST * summed.mean())
    return pd.DataFrame({"openings": summed, "room": rooms, "committed": committed}).reset_index()


def worth_table(
    effects: Effects, options: pd.DataFrame, pools: pd.DataFrame, people: pd.DataFrame, intercepts: Intercepts
) -> pd.DataFrame:
    """Say what each option truly adds in each bassin. One row per bassin, sector, action_type and level.

    ``gain`` and ``lock_in`` are by entry; ``entries`` and ``finishers`` by place; ``marginal_worth`` is the lasting jobs that
    one more place adds at the load committed.
    """
    world = effects.world
    order = world.rng("worth").permutation(len(people))[:PEOPLE]
    sample = people.iloc[np.sort(order)].reset_index(drop=True)
    parts = [_in_territory(effects, options, sample, territory, intercepts) for territory in _territories(world)]
    cells = pd.concat(parts, ignore_index=True).merge(pools, on=POOL, how="left", validate="many_to_one")
    general = ~effects.qualifies(cells["action_type"])
    cells = cells.assign(
        openings=cells["openings"].fillna(0.0).mask(general, np.inf),
        room=cells["room"].fillna(pools["room"].min()).mask(general, np.inf),
        committed=cells["committed"].fillna(0.0).mask(general, 0.0),
        entries=FILL,
        finishers=FILL * FINISHING,
    )
    kept = absorption((cells["committed"] / cells["room"]).to_numpy())
    cells = cells.assign(marginal_worth=FILL * (cells["lock_in"] + kept * (cells["gain"] - cells["lock_in"])))
    return cells.drop(columns=["formacode", "place_eur"]).sort_values(KEY, ignore_index=True)


def _territories(world: World) -> list[str]:
    return sorted(set(world.atoms["territory"]))


def _in_territory(
    effects: Effects, options: pd.DataFrame, sample: pd.DataFrame, territory: str, intercepts: Intercepts
) -> pd.DataFrame:
    """Let the sample live in one bassin and enter each option. One row per option, with its mean ``gain`` and ``lock_in``."""
    atoms = effects.world.atoms
    inside = np.flatnonzero((atoms["territory"] == territory).to_numpy())
    share = atoms["population"].to_numpy()[inside].cumsum()
    turn = (np.arange(len(sample)) + 0.5) / len(sample) * share[-1]
    here = sample.assign(atom=inside[np.searchsorted(share, turn)], entered=pd.Timestamp(exercise_of(effects.world), 7, 1))
    lengths = options.drop_duplicates("days")
    lost = pd.Series(_mean_gains(effects, lengths, here, intercepts, kept=0.0), index=lengths["days"].to_numpy())
    gain = _mean_gains(effects, options, here, intercepts, kept=1.0)
    return options.assign(territory=territory, gain=gain, lock_in=options["days"].map(lost))


def _mean_gains(
    effects: Effects, options: pd.DataFrame, people: pd.DataFrame, intercepts: Intercepts, *, kept: float
) -> Numbers:
    """Average over people what each option would give them. One number per option."""
    courses = options[["action_type", "formacode", "days"]]
    who, what = np.tile(np.arange(len(people)), len(options)), np.repeat(np.arange(len(options)), len(people))
    pairs = pd.concat([people.iloc[who].reset_index(drop=True), courses.iloc[what].reset_index(drop=True)], axis=1)
    gains = durable_gain(promise(effects, pairs, intercepts), kept)
    return np.asarray(gains.reshape(len(options), len(people)).mean(axis=1))


def plan_value(worth: pd.DataFrame, plan: pd.DataFrame) -> float:
    """Give the lasting jobs that a plan adds, expected. ``plan`` holds territory, sector, action_type, level and places."""
    places = plan.groupby(KEY, as_index=False)["places"].sum()
    bought = places.merge(worth, on=KEY, how="left", validate="one_to_one")
    if strange := int(bought["gain"].isna().sum()):
        cell = " ".join(str(code) for code in bought.loc[bought["gain"].isna(), KEY].iloc[0])
        raise InputError(
            f"plan: {strange} of its rows name no bassin and option of the truth (first: {cell}). Score a plan against the "
            "world it was made for; write territory, sector, action_type and level like BE4441 326 certification 4."
        )
    together = (bought["places"] * bought["finishers"]).groupby([bought[name] for name in POOL]).transform("sum")
    kept = absorption(((bought["committed"] + together) / bought["room"]).to_numpy(dtype="float64"))
    each = bought["lock_in"] + kept * (bought["gain"] - bought["lock_in"])
    return float((bought["places"] * bought["entries"] * each).sum())


def lots_value(worth: pd.DataFrame, lots: pd.DataFrame) -> float:
    """Give the lasting jobs that published ``lots`` add, by the truth a draw wrote (``var/truth/worth.parquet``)."""
    return plan_value(worth, lots.assign(level=lots["exit_level"].fillna("").astype(str)))
