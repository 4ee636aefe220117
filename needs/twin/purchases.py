"""What the Region and its partners buy: product lines, the lots of each exercise, and the sessions under each lot."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features import facts
from needs.twin.actions import action_table
from needs.twin.places import places_in
from needs.twin.scales import FILL, PLACE_EUR
from needs.twin.world import World

_PUBLICS = ("tout_public", "infra4", "jeunes", "rsa", "dld", "qpv", "th", "seniors", "parents_isoles", "detenus")
_PUBLIC_ODDS = np.array([0.6, 0.12, 0.08, 0.05, 0.05, 0.03, 0.03, 0.02, 0.01, 0.01])
_STARTS = np.array([0.12, 0.10, 0.10, 0.08, 0.06, 0.05, 0.02, 0.02, 0.18, 0.14, 0.10, 0.03])
_RENEWED = 0.85
WEEK_HOURS = 35.0
_MEAN_GROUP = 11.5
_USUAL_ABOVE = 3
_GROUPINGS = ("territory", "zone", "department", "maison")
FEWEST = 0.4
# Those who enter and neither drop out nor leave for another reason: what ``careers`` draws.
FINISHING = 0.82
_LEVEL_ODDS = {"3": 0.55, "4": 0.28, "5": 0.17}


def exercises(world: World) -> list[int]:
    """List the years bought: the past ones, the current one, and the next when its lots are out already."""
    last = (world.as_of + pd.DateOffset(months=3)).year
    return list(range(world.as_of.year - world.scale.past_exercises, last + 1))


def sessions_a_year(world: World) -> int:
    """Say how many sessions give the Region's entries of a year at the usual fill and group size."""
    return max(8, round(world.scale.entries_a_year / FILL / _MEAN_GROUP))


def draw_lines(world: World, count: int, name: str = "lines") -> pd.DataFrame:
    """Draw product lines: what is taught, to whom, where. One row per line.

    Certifications are drawn near the needs of their occupations, so that what is bought is partly right.
    """
    rng = world.rng(name)
    table = action_table()
    action = _by_share(table["share"], count, rng)
    kind = table.loc[list(action)].reset_index(names="action_type")
    subject = _subjects(world, count, rng)
    named = (kind["action_type"] == "certification").to_numpy()
    group_min = rng.integers(7, 11, count)
    infra = rng.random(count) < 0.5
    exit_level = pd.to_numeric(subject["level"])
    hours = _evened(kind["hours"] * rng.uniform(0.7, 1.4, count), world)
    company_hours = _evened(kind["company_hours"] * rng.uniform(0.6, 1.4, count), world)
    lines = pd.DataFrame(
        {
            "action_type": kind["action_type"],
            "formacode": kind["formacode"].where(~kind["qualifies"], subject["formacode"]),
            "certifinfo": subject["certifinfo"].where(named, ""),
            "rncp": subject["rncp"].where(named, ""),
            "title": subject["title"].where(kind["qualifies"], kind["action_type"].str.replace("_", " ")),
            "occupations": subject["occupations"].where(kind["qualifies"], ""),
            "entry_level": (exit_level - 1).where(named & (infra | (exit_level > 3))).astype("Int64"),
            "exit_level": exit_level.where(named).astype("Int64"),
            "public": rng.choice(_PUBLICS, count, p=_PUBLIC_ODDS),
            "centre_hours": hours.round(-1).clip(lower=14),
            "company_hours": company_hours.round(-1),
            "remote_hours": 0.0,
            "group_min": group_min,
            "group_max": group_min + rng.integers(4, 7, count),
            "group_hour_eur": _hour_prices(group_min + _USUAL_ABOVE, world, rng),
        }
    )
    lines["public"] = lines["public"].where(
        (lines["public"] != "infra4") | ~(lines["entry_level"] >= 4).fillna(False), "tout_public"
    )
    return lines.assign(group=lines["group_min"] + _USUAL_ABOVE, **_where_bought(world, count, rng))


def _hour_prices(group: NDArray[np.int64], world: World, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw the price of a group's hour: a group costs the same whatever its size, but a place where prices do not differ."""
    spread = world.dials.training.prices
    by_place = (group / group.mean()) ** max(0.0, 1 - spread)
    return np.asarray(85 * rng.lognormal(0, 0.18, len(group)) ** spread * by_place)


def _evened(hours: pd.Series[float], world: World) -> pd.Series[float]:
    """Draw hours towards their mean where prices differ less, and apart where they differ more. Same rows."""
    mean = hours.mean()
    return (mean + world.dials.training.prices * (hours - mean)).clip(lower=0)


def _by_share(shares: pd.Series[float], count: int, rng: np.random.Generator) -> NDArray[np.object_]:
    """Give each share its number of lines, at least one, in random order."""
    exact = np.maximum(1, np.round(shares.to_numpy() / shares.sum() * count)).astype(int)
    names = np.repeat(shares.index.to_numpy(dtype=object), exact)
    return rng.permutation(np.resize(names, count) if len(names) < count else rng.permutation(names)[:count])


def _subjects(world: World, count: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw certifications of levels 3–5 that lead to occupations of the world. One row per draw."""
    listed = facts.certifications().drop_duplicates("certifinfo")
    listed = listed[listed["level"].isin(_LEVEL_ODDS) & listed["formacode"].isin(facts.formacodes()["formacode"])]
    links = listed.assign(occupation=listed["occupations"].str.split("|")).explode("occupation")
    weight = world.occupations.set_index("occupation")["weight"]
    links = links.assign(odds=links["occupation"].map(weight))
    links = links.assign(odds=links["odds"] / links.groupby(["occupation", "level"])["odds"].transform("size"))
    odds = links.groupby("certifinfo")["odds"].sum()
    listed = listed.assign(odds=listed["certifinfo"].map(odds) * listed["level"].map(_LEVEL_ODDS).astype(float))
    listed = listed[listed["odds"] > 0]
    return listed.iloc[rng.choice(len(listed), count, p=listed["odds"] / listed["odds"].sum())].reset_index(drop=True)


def _where_bought(world: World, count: int, rng: np.random.Generator) -> dict[str, NDArray[np.object_]]:
    """Give each line its territory, in one of the five kinds; where no zone or Maison is known, its bassin or département."""
    kind = rng.choice(["BE", "ZE", "D", "MR", "R"], count, p=[0.35, 0.05, 0.35, 0.22, 0.03])
    home = world.communes.iloc[places_in(world.communes, _atoms_by_people(world, count, rng), rng, power=1.1)]
    kind = np.where((kind == "ZE") & (home["zone"] == "").to_numpy(), "BE", kind)
    kind = np.where((kind == "MR") & (home["maison"] == "").to_numpy(), "D", kind)
    regions = home["department"].map(facts.departments().set_index("department")["region"])
    codes = {"BE": home["territory"], "ZE": home["zone"], "D": home["department"], "MR": home["maison"], "R": regions}
    territory = np.full(count, "", dtype=object)
    for name, column in codes.items():
        territory = np.where(kind == name, column.to_numpy(dtype=object), territory)
    return {"territory_kind": kind.astype(object), "territory": territory}


def _atoms_by_people(world: World, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    share = world.atoms["population"].to_numpy() / world.atoms["population"].sum()
    return np.asarray(rng.choice(len(world.atoms), count, p=share))


def draw_lots(world: World) -> pd.DataFrame:
    """Buy the lines again each year. One row per lot and exercise, known at ``as_of``."""
    total = sessions_a_year(world)
    lines = draw_lines(world, max(10, total // 2))
    bought = [_one_exercise(world, lines, year, total) for year in exercises(world)]
    lots = pd.concat(bought, ignore_index=True)
    mean_eur = lots["cost_eur"].sum() / lots["places"].sum()
    lots = lots.assign(group_hour_eur=(lots["group_hour_eur"] * PLACE_EUR / mean_eur).round(2))
    lots = _priced(lots)
    return lots[lots["known_from"] <= world.as_of].reset_index(drop=True)


def _one_exercise(world: World, lines: pd.DataFrame, year: int, total: int) -> pd.DataFrame:
    rng = world.rng("lots", str(year))
    kept = lines[rng.random(len(lines)) < _RENEWED]
    count = len(kept)
    sessions = 1 + rng.multinomial(max(0, total - count), np.full(count, 1 / count))
    framework = rng.random(count) < 0.6
    notified = pd.Timestamp(year - 1, 10, 1) + pd.to_timedelta(rng.integers(0, 130, count), unit="D")
    lots = kept.assign(
        exercise=year,
        lot=[f"GE{year % 100:02d}-{line:04d}" for line in kept.index + 1],
        market=[f"{year}-PRF-{line % 7 + 1:02d}" for line in kept.index],
        contract=np.where(framework, "accord_cadre", "marche"),
        procedure=np.where(framework, "marche_subsequent", "mapa_services_specifiques"),
        volet=rng.choice(["socle", "additionnel", "autre"], count, p=[0.68, 0.27, 0.05]),
        funders=rng.choice(["2:1.0", "2:0.6|4:0.4", "2:0.8|3:0.2"], count, p=[0.6, 0.28, 0.12]),
        sessions=sessions,
        known_from=notified,
        market_ends=pd.to_datetime([f"{year + more}-12-31" for more in rng.integers(0, 3, count)]),
        renewals=rng.integers(0, 4, count),
        bids=np.where(rng.random(count) < world.dials.training.no_bid, 0, 1 + rng.poisson(2.2, count)),
        provider=_sirets(rng, count),
    )
    return _priced(_conventions(lots))


def _conventions(lots: pd.DataFrame) -> pd.DataFrame:
    """Let the employment service buy training before hiring by convention, and nobody else. Same rows."""
    hiring = lots["action_type"] == "adaptation_poste"
    terms = {"contract": "convention", "procedure": "convention_ft", "funders": "4:1.0", "volet": "autre"}
    return lots.assign(**{name: lots[name].mask(hiring, value) for name, value in terms.items()})


def _priced(lots: pd.DataFrame) -> pd.DataFrame:
    """Count places and money of each lot from its sessions, hours and price of a group's hour. Same rows."""
    places = lots["sessions"] * lots["group"]
    cost = (lots["group_hour_eur"] * lots["centre_hours"] * lots["sessions"]).round(2)
    framework = lots["contract"] == "accord_cadre"
    return lots.assign(
        places=places,
        places_min=(places * 0.6).round().astype("Int64"),
        places_max=(places * 1.25).round().astype("Int64"),
        trainee_hours=places * lots["centre_hours"],
        trainee_hour_eur=(lots["group_hour_eur"] / lots["group"]).round(2),
        allowance_eur=(places * (lots["centre_hours"] + lots["company_hours"]) * 3.2).round(2),
        cost_eur=cost,
        amount_min_eur=(cost * 0.5).round(2).where(framework),
        amount_max_eur=(cost * 1.3).round(2).where(framework),
    )


def _sirets(rng: np.random.Generator, count: int) -> list[str]:
    """Make up providers, each with several lots."""
    return [f"{90_000_000_000_000 + 1_234_567 * int(k):014d}" for k in rng.integers(1, max(6, count // 4), count)]


def draw_sessions(world: World, lots: pd.DataFrame) -> pd.DataFrame:
    """Run the sessions of each lot that found a provider. One row per session, planned ones included.

    ``places`` are the session's own, ``lot_places`` those of its lot; ``place`` and ``atom`` say where it is held.
    """
    rng = world.rng("sessions")
    run = lots[lots["bids"] > 0].rename(columns={"places": "lot_places"})
    rows = run.loc[run.index.repeat(run["sessions"])].reset_index(drop=True)
    size = len(rows)
    place = _training_places(world, rows, rng)
    month = rng.choice(12, size, p=_STARTS) + 1
    starts = pd.to_datetime({"year": rows["exercise"], "month": month, "day": rng.integers(1, 29, size)})
    # a lot that was notified during its own year runs afterwards
    starts = starts.where(starts > rows["known_from"], rows["known_from"] + pd.Timedelta(days=20))
    days = np.maximum(3, (rows["centre_hours"] + rows["company_hours"]) / WEEK_HOURS * 7).round().astype(int)
    number = pd.Series(np.arange(1, size + 1)).astype("str").str.zfill(6)
    return rows.assign(
        session="S" + number,
        lheo="44_SE_" + number,
        starts=starts,
        ends=starts + pd.to_timedelta(days, unit="D"),
        place=place,
        atom=world.communes["atom"].to_numpy()[place],
        commune=world.communes["commune"].to_numpy()[place],
        places=rows["group"],
    )


def _training_places(world: World, rows: pd.DataFrame, rng: np.random.Generator) -> NDArray[np.int64]:
    """Hold each session in a town of its lot's territory, the larger the likelier. Gives positions in communes."""
    homes = world.communes
    weight = homes["population"].to_numpy() ** 1.8 + 1e-9
    place = np.zeros(len(rows), dtype=np.int64)
    inside = {code: where for name in _GROUPINGS for code, where in homes.groupby(name).indices.items()}
    everywhere = np.arange(len(homes))
    for territory, index in rows.groupby("territory").indices.items():
        towns = inside.get(str(territory), everywhere)
        place[index] = rng.choice(towns, len(index), p=weight[towns] / weight[towns].sum())
    return place


def add_loads(sessions: pd.DataFrame, openings: pd.DataFrame, room: float) -> pd.DataFrame:
    """Say how many finish with each session for the room there is: ``load``. Same rows; 0 for a type without a sector.

    All sessions of a sector that start in a year in an atom share its room: ``room`` × ``openings``, the recruitments that
    training opens there (one row per atom and year, one column per sector). A sector that hardly exists in a place has the
    room of two fifths of a mean one.
    """
    keys = [sessions["atom"], sessions["starts"].dt.year, sessions["formacode"].str[:3]]
    finishers = _finishers(sessions)
    row = openings.index.get_indexer(pd.MultiIndex.from_arrays(keys[:2]))
    column = openings.columns.get_indexer(pd.Index(keys[2]))
    table = openings.to_numpy()
    found = np.where((row >= 0) & (column >= 0), table[np.maximum(row, 0), np.maximum(column, 0)], 0.0)
    load = finishers.groupby(keys).transform("sum").to_numpy() / (room * np.maximum(found, FEWEST * table.mean()))
    return sessions.assign(load=np.where((finishers > 0) & (row >= 0), load, 0.0))


def room_per_opening(world: World, sessions: pd.DataFrame, openings: pd.DataFrame) -> float:
    """Say how many finishers one opening has room for, so that the load of the median course is ``training.congestion``.

    It is no share: openings of a simulated region count what its vacancies stand for, and how many of them that is differs
    by scale. The dial alone says how full the median course is.
    """
    loads = add_loads(sessions, openings, 1.0)["load"]
    return float(loads[loads > 0].median() / max(world.dials.training.congestion, 1e-6))


def _finishers(sessions: pd.DataFrame) -> pd.Series[float]:
    """Expect so many to finish each session and look for work in its sector; none where its type has no sector."""
    qualifies = action_table()["qualifies"].reindex(sessions["action_type"]).to_numpy(dtype=bool)
    return (sessions["places"] * FILL * FINISHING).where(qualifies, 0.0)
