"""How hard it is to recruit for an occupation, why, and which share of a shortage training can answer.

The Dares publishes an index of tension and six indicators that say what makes it, in classes from 1 (hardly) to 5 (strongly),
by family and territory; the table ``market`` may hold the classes by occupation and bassin. Classes are properties, not
counts: on their way to occupations and cells they are averaged, never added up. Only ``jobs`` are counted, and shared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from features import facts
from features.contracts import GradeLimits, write_estimate
from features.crosswalks import Crosswalks, carry, links_between
from features.market_tables import CAUSES
from features.params import Section, param

ATOM = ["territory", "department"]
CELL = [*ATOM, "occupation"]
GRAINS = ("bassin", "autres bassins", "département", "région", "France")
"""From the finest to the widest: a figure is that of the first one that knows it. The other bassins of the Region tell
causes alone: why people lack is proper to an occupation first, how much they lack to a place."""
ALONE = ("tension", "tension_level", "low_pay", "jobs")
EXPLAINED = [*ATOM, "occupation", "tension", "tension_level", *CAUSES, "low_pay", "jobs"]
_LEVELS = ("tension", "tension_level", *CAUSES, "low_pay")
_ABOUT = ("year", "known_from", "n", "specific", "borrowed")
_HIGHEST_DECILE = float(norm.ppf(0.9))
_MIDDLE_CLASS = 3.0  # what a class that nobody published counts as: neither for nor against


class TensionParams(Section):
    """How the causes of a tension become the share that training can answer, and how unsure that is."""

    odds_per_class: float = param(2.0, "what one class more of a cause multiplies its odds by", unit="ratio", ge=1, le=10)
    spread: float = param(
        0.8, "spread of the log-odds of the share, from indicators of the bassin itself", unit="log-odds", ge=0.05, le=5
    )
    spread_per_grain: float = param(
        0.3, "spread that each wider grain adds (other bassins, département, région, France)", unit="log-odds", ge=0, le=5
    )
    spread_of_families: float = param(
        2.2, "spread that a family adds in which the occupation is hardly found", unit="log-odds", ge=0, le=5
    )
    spread_per_year: float = param(0.15, "spread that each year of age adds", unit="per year", ge=0, le=5)
    spread_if_unknown: float = param(0.7, "spread that each competing cause nobody published adds", unit="log-odds", ge=0, le=5)


# What is known, and where from ------------------------------------------------------------------------------------------


def explain_tension(
    tension: pd.DataFrame, market: pd.DataFrame, crosswalks: Crosswalks, communes: pd.DataFrame
) -> pd.DataFrame:
    """Say how tense each occupation is, and why. One row per territory, department, occupation that any figure is known of.

    Each figure is that of the last edition known of the finest of ``GRAINS`` that has it: ``tension_grain``,
    ``tension_level_grain``, ``low_pay_grain`` and ``jobs_grain`` say which one. ``grain`` is the widest that a cause was taken
    from (without causes: that of the level, else of the index); ``year``, ``known_from``, ``n`` (the offers or the
    jobseekers of the market, whichever are fewer, else the jobs there), ``specific`` (the share of the jobs of its families
    that are the occupation's, 1 in the market) and ``borrowed`` (1 − ``specific`` × the share of the people of that territory
    who live in the cell, 0 in the market of the bassin) are those of ``grain``. ``jobs`` are shared over cells by population.
    """
    places = _places(communes)
    own = _layer_of_market(market, places[places["grain"] == GRAINS[0]])
    layers = [own, _layer_of_other_bassins(own, communes)]
    layers += [_layer_of_families(tension, crosswalks, places[places["grain"] == grain]) for grain in GRAINS[2:]]
    keys = pd.concat([layer[CELL] for layer in layers]).drop_duplicates().sort_values(CELL, ignore_index=True)
    return _finest(keys, layers)


def _places(communes: pd.DataFrame) -> pd.DataFrame:
    """Say which cells each territory is made of. One row per grain, place, cell: the ``share`` of its people who live there.

    A cell stands for all that its bassin says; how many live in France is not known here, and so missing.
    """
    cells = communes.groupby(ATOM, as_index=False)[["population"]].sum()
    regions = facts.departments().set_index("department")["region"]
    names = {
        "bassin": cells["territory"],
        "département": cells["department"],
        "région": cells["department"].map(regions),
        "France": pd.Series("FR", index=cells.index),
    }
    listed = pd.concat([cells.assign(grain=grain, place=name) for grain, name in names.items()], ignore_index=True)
    whole = listed.groupby(["grain", "place"])["population"].transform("sum")
    share = (listed["population"] / whole.where(whole > 0)).fillna(0.0)
    return listed.assign(share=share.mask(listed["grain"] == "bassin", 1.0).mask(listed["grain"] == "France"))


def _layer_of_market(market: pd.DataFrame, places: pd.DataFrame) -> pd.DataFrame:
    """Read what is known of the bassin itself. One row per cell, occupation; ``n``: the fewer of offers and jobseekers."""
    last = _last_editions(market[market["territory"].isin(places["place"])], "occupation")
    figures = {name: last[name].astype("float64") for name in ("tension_level", *CAUSES)}
    said = last[["occupation", "year", "known_from"]].assign(
        place=last["territory"],
        **figures,
        tension=np.nan,
        low_pay=np.nan,
        jobs=np.nan,
        specific=1.0,
        n=np.minimum(last["offers"].fillna(0.0), last["jobseekers"].fillna(0.0)),
    )
    return _on_cells(said[said[list(figures)].notna().any(axis=1)], places)


def _layer_of_other_bassins(own: pd.DataFrame, communes: pd.DataFrame) -> pd.DataFrame:
    """Average the causes over the bassins that tell them, each with its ``n``. One row per cell, occupation."""
    told = own.drop_duplicates(["place", "occupation"]).sort_values(["place", "occupation"], ignore_index=True)
    key = [told["occupation"]]
    means = {name: _weighted_mean(told[name], told["n"], key) for name in CAUSES}
    about = told.groupby("occupation").agg(year=("year", "min"), known_from=("known_from", "max"), n=("n", "sum"))
    said = about.assign(**means, **dict.fromkeys(ALONE, np.nan), specific=1.0, borrowed=1.0).reset_index()
    return communes[ATOM].drop_duplicates().merge(said, how="cross")


def _layer_of_families(tension: pd.DataFrame, crosswalks: Crosswalks, places: pd.DataFrame) -> pd.DataFrame:
    """Read what is known of the families of a grain. One row per cell, occupation; the jobs of the place are its ``n``."""
    fine = tension["family"].str.len() == _FINE  # wider families repeat what these say
    last = _last_editions(tension[fine & tension["territory"].isin(places["place"])], "family")
    parts = [
        _of_occupations(rows.rename(columns={"territory": "place"}), crosswalks, str(nomenclature))
        for nomenclature, rows in last.groupby("nomenclature")
    ]
    said = pd.concat([_nothing_said(), *parts], ignore_index=True)
    cells = _on_cells(said, places)
    return cells.assign(n=cells["jobs"].fillna(0.0), jobs=cells["jobs"] * cells["share"])


_FINE = 5


def _last_editions(rows: pd.DataFrame, subject: str) -> pd.DataFrame:
    """Keep the last year of each territory, in its newest nomenclature and as last corrected. Same row, fewer of them."""
    orders = ["year", "nomenclature"] if "nomenclature" in rows else ["year"]
    for order in orders:
        rows = rows[rows[order] == rows.groupby("territory")[order].transform("max")]
    key = ["territory", subject]
    return rows.sort_values([*key, "known_from"]).drop_duplicates(key, keep="last").reset_index(drop=True)


def _nothing_said() -> pd.DataFrame:
    """Give the empty list of what is said of occupations. One row per place, occupation."""
    kinds = {"place": "str", "occupation": "str", **dict.fromkeys([*_LEVELS, "jobs", "specific"], "float64")}
    kinds |= {"year": "Int64", "known_from": "datetime64[us]"}
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})


def _of_occupations(said: pd.DataFrame, crosswalks: Crosswalks, nomenclature: str) -> pd.DataFrame:
    """Give each occupation the mean of its families, weighted by its links, and its part of their jobs.

    One row per place, occupation. A family that does not tell a figure does not count in it.
    """
    links = links_between(crosswalks, "ROME", nomenclature).rename(columns={"code": "occupation", "target": "family"})
    back = links_between(crosswalks, nomenclature, "ROME").rename(columns={"code": "family", "target": "occupation"})
    back = back[["family", "occupation", "weight"]].rename(columns={"weight": "specific"})
    pairs = said.merge(links[["occupation", "family", "weight"]], on="family", how="inner", validate="many_to_many")
    pairs = pairs.merge(back, on=["family", "occupation"], how="left", validate="many_to_one")
    pairs = pairs.sort_values(["place", "occupation", "family"], ignore_index=True)
    key = [pairs["place"], pairs["occupation"]]
    dated = pairs.groupby(["place", "occupation"]).agg(year=("year", "max"), known_from=("known_from", "max"))
    means = {name: _weighted_mean(pairs[name].astype("float64"), pairs["weight"], key) for name in [*_LEVELS, "specific"]}
    jobs = said.loc[said["jobs"].notna(), ["place", "family", "jobs"]].set_axis(["place", "code", "volume"], axis=1)
    shared = carry(jobs, back.rename(columns={"family": "code", "occupation": "target", "specific": "weight"})).mapped
    jobs_of = shared.set_index(["place", "target"])["volume"].reindex(dated.index).astype("float64")
    return dated.assign(**means, jobs=jobs_of).reset_index()


def _weighted_mean(told: pd.Series[float], weight: pd.Series[float], key: list[pd.Series[str]]) -> pd.Series[float]:
    """Average what is told, missing where nothing is. One value per key."""
    known = weight.where(told.notna(), 0.0).groupby(key).sum()
    return (told * weight).groupby(key).sum() / known.where(known > 0)


def _on_cells(said: pd.DataFrame, places: pd.DataFrame) -> pd.DataFrame:
    """Say of each cell what is said of its place, and how much of it is borrowed. One row per cell, occupation."""
    rows = places[["place", *ATOM, "share"]].merge(said, on="place", how="inner", validate="many_to_many")
    return rows.assign(borrowed=1 - (rows["share"] * rows["specific"]).fillna(0.0))


def _finest(keys: pd.DataFrame, layers: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Take each figure from the first layer that knows it: they stand in the order of ``GRAINS``. Same rows, but the silent."""
    index = pd.MultiIndex.from_frame(keys)
    known = [layer.set_index(CELL).reindex(index) for layer in layers]
    figures, ranks = {}, {}
    for name in [*_LEVELS, "jobs"]:
        stack = np.stack([rows[name].to_numpy(dtype="float64") for rows in known])
        ranks[name] = np.where(np.isnan(stack).all(axis=0), len(GRAINS), (~np.isnan(stack)).argmax(axis=0))
        figures[name] = np.take_along_axis(stack, np.minimum(ranks[name], len(GRAINS) - 1)[None], axis=0)[0]
    rank = _explaining(ranks)
    about = {name: _at_rank([rows[name] for rows in known], rank) for name in _ABOUT}
    grains = {f"{name}_grain": _named(ranks[name]) for name in ALONE}
    explained = keys.assign(**figures, grain=_named(rank), **about, **grains)
    columns = [*EXPLAINED, "year", "grain", "known_from", "n", "specific", "borrowed", *grains]
    return explained.loc[rank >= 0, columns].reset_index(drop=True)


def _explaining(ranks: Mapping[str, NDArray[np.int64]]) -> NDArray[np.int64]:
    """Give the rank of the widest grain that a cause came from; without causes that of the level, else of the index."""
    causes = np.stack([ranks[name] for name in CAUSES])
    rank = np.where(causes < len(GRAINS), causes, -1).max(axis=0)
    for name in ("tension_level", "tension", "low_pay", "jobs"):
        rank = np.where((rank < 0) & (ranks[name] < len(GRAINS)), ranks[name], rank)
    return np.asarray(rank, dtype=np.int64)


def _at_rank(columns: Sequence[pd.Series], rank: NDArray[np.int64]) -> pd.Series:
    """Take from each row the column of its rank."""
    taken = columns[0].reset_index(drop=True)
    for number, column in enumerate(columns):
        taken = taken.mask(rank == number, column.reset_index(drop=True))
    return taken


def _named(rank: NDArray[np.int64]) -> pd.Series[str]:
    """Name the grain of each rank; none where nothing is known."""
    return pd.Series(pd.array([*GRAINS, None], dtype="str").take(rank))


# What training can answer -----------------------------------------------------------------------------------------------


def training_solvable(explained: pd.DataFrame, as_of: pd.Timestamp, params: TensionParams, limits: GradeLimits) -> pd.DataFrame:
    """Estimate which share of a shortage training can answer. Same rows, as estimates, with ``age_years`` and ``grain``.

    Four causes compete for a shortage: a lack of trained people, the volume of recruitments, conditions, distance.
    Training answers the first alone. Each class of a cause multiplies its odds by ``odds_per_class`` (b):

        share = bᴸ ÷ (bᴸ + bⱽ + bᶜ + bᴰ)        L = √(few_available × training_link)

    People lack for want of training only where few are available *and* the job asks for one: the geometric mean falls as
    soon as one of both does. V is ``hiring_intensity``, D ``far_from_jobs``, and bᶜ the mean of b to the power of hard
    conditions, short-lived jobs and low pay, of those published. Classes are ranks among all families, so that only their
    differences count. The 80 % interval is one of the log-odds: wider with the grain, with age, and where the families hold
    other occupations as well. Without ``few_available`` or ``training_link`` there is no share; another cause that is
    missing counts in the middle, and widens the interval.
    """
    base = params.odds_per_class
    lack = base ** np.sqrt(explained["few_available"] * explained["training_link"])
    others = _competing(explained, base)
    share = lack / (lack + others.fillna(base**_MIDDLE_CLASS).sum(axis=1))
    age = ((as_of - _year_end(explained)).dt.days / _DAYS_A_YEAR).clip(lower=0.0)
    rank = explained["grain"].map({grain: number for number, grain in enumerate(GRAINS)}).astype("float64")
    variance = (
        params.spread**2
        + params.spread_per_grain**2 * rank
        + params.spread_of_families**2 * (1 - explained["specific"])
        + (params.spread_per_year * age) ** 2
        + params.spread_if_unknown**2 * others.isna().sum(axis=1)
    )
    step = _HIGHEST_DECILE * np.sqrt(variance)
    odds = np.log(share / (1 - share))
    return write_estimate(
        explained[CELL].assign(age_years=age, grain=explained["grain"]),
        value=share,
        low=1 / (1 + np.exp(step - odds)),
        high=1 / (1 + np.exp(-step - odds)),
        n=explained["n"].where(share.notna(), 0.0),
        borrowed=explained["borrowed"].fillna(1.0),
        limits=limits,
    )


_DAYS_A_YEAR = 365.25


def _competing(explained: pd.DataFrame, base: float) -> pd.DataFrame:
    """Weigh the causes that training does not answer. Same rows, one column per cause, missing where nobody published it."""
    conditions = base ** explained[["short_lived_jobs", "hard_conditions", "low_pay"]]
    return pd.DataFrame(
        {
            "volume": base ** explained["hiring_intensity"],
            "conditions": conditions.mean(axis=1),
            "distance": base ** explained["far_from_jobs"],
        }
    )


def _year_end(explained: pd.DataFrame) -> pd.Series[pd.Timestamp]:
    """Give the last day of the year that figures are about. Same rows."""
    return pd.to_datetime(explained["year"].astype("str") + "-12-31", format="%Y-%m-%d")


def sector_solvable(solvable: pd.DataFrame, needs: pd.DataFrame, links: pd.DataFrame) -> pd.DataFrame:
    """Average the share over what is needed. One row per territory, sector, level, with ``covered``: the need it is known of.

    ``needs`` says the ``need`` of each territory, department, occupation; ``links`` are those of
    :func:`features.crosswalks.sector_links`. Bounds are averaged like values, as if all erred together: never too narrow.
    """
    told = needs[[*CELL, "need"]].merge(solvable[[*CELL, *_AVERAGED]], on=CELL, how="left", validate="one_to_one")
    rows = told.merge(links, on="occupation", how="inner", validate="many_to_many")
    rows = rows.sort_values([*CELL, "sector", "level"], ignore_index=True)
    whole = rows["need"] * rows["weight"]
    known = whole.where(rows["value"].notna(), 0.0)
    sums = rows[_KEY].assign(whole=whole, known=known, **{name: rows[name].fillna(0.0) * known for name in _AVERAGED})
    added = sums.groupby(_KEY, as_index=False).sum()
    divisor = added["known"].where(added["known"] > 0)
    means = {name: added[name] / divisor for name in _AVERAGED}
    return added[_KEY].assign(**means, covered=(added["known"] / added["whole"].where(added["whole"] > 0)).fillna(0.0))


_KEY = ["territory", "sector", "level"]
_AVERAGED = ["value", "low", "high", "n", "borrowed"]
