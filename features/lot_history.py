"""How what may be bought again was bought before: on what terms, where, with whom, and how full.

An *option* is what :mod:`features.options` lists: a sector, a type of action and an exit level. ``held`` are the sessions with
what is known of their lots, as :func:`features.seats.attach_sessions` gives them.
"""

from __future__ import annotations

import pandas as pd

from features.options import OPTION
from features.places import region_of
from features.publics import PublicParams, mark_publics
from features.supply import level_text, round_along, share_places
from features.vocabulary import PUBLICS, REGION

PRIORITY = ("infra4", "dld", "rsa", "qpv", "th", "detenus", "parents_isoles")
"""The publics that count in a quota: those whom the policy of the Region and the State puts first."""
GROUPS = (*(f"public={public}" for public in PUBLICS[1:]), "sex=F", "sex=H")
QUOTA = "quota"
_HOURS = ("centre_hours", "company_hours", "remote_hours")
_FRAMEWORK = "accord_cadre"
_PRICED = 3  # decimals of a share of prices: they are published to a cent
_FEW, _MANY = 0.1, 0.9  # shares of the sessions that start before the usual months of entry begin, and end


# Terms ------------------------------------------------------------------------------------------------------------------


def usual_terms(purchases: pd.DataFrame) -> pd.DataFrame:
    """Say on what terms each option was bought, lots without a bidder aside. One row per sector, action_type, level.

    ``contract`` and ``procedure`` are those of most places (ties: the first). ``centre_hours``, ``company_hours`` and
    ``remote_hours`` are shares of all hours; ``firm`` is the median of minimum ÷ maximum places of the framework lots, 1
    where the contract is another; ``annex`` the median share of the cost that the price of the group's hours does not explain.
    ``place_allowance_eur``, ``renewals`` and ``notified_days`` (from 1 January of the exercise) are medians.
    """
    lots = _awarded(purchases)
    hours = lots[list(_HOURS)].astype("float64").fillna(0.0)
    taught = lots["group_hour_eur"] * (hours["centre_hours"] + hours["remote_hours"]) * lots["sessions"].astype("float64")
    opened = pd.to_datetime({"year": lots["exercise"], "month": 1, "day": 1})
    lots = lots.assign(
        **hours,
        firm=(lots["places_min"] / lots["places_max"]).astype("float64").where(lots["contract"] == _FRAMEWORK),
        annex=(1 - taught / lots["cost_eur"].where(lots["cost_eur"] > 0)).clip(0.0, 1.0),
        place_allowance_eur=lots["allowance_eur"] / lots["places"].astype("float64"),
        notified_days=(lots["known_from"] - opened).dt.days.astype("float64"),
        renewals=lots["renewals"].astype("float64"),
    )
    medians = ["firm", "annex", "place_allowance_eur", "renewals", "notified_days"]
    grouped = lots.groupby(OPTION)
    sums = grouped[list(_HOURS)].sum()
    shares = sums.div(sums.sum(axis=1).where(lambda total: total > 0), axis=0)
    terms = shares.join(grouped[medians].median())
    terms = terms.assign(**{name: most_used(lots, OPTION, name, "places") for name in ("contract", "procedure")})
    firm = terms["firm"].where(terms["contract"] == _FRAMEWORK).fillna(1.0).clip(upper=1.0)
    return terms.assign(firm=firm, annex=terms["annex"].fillna(0.0).round(_PRICED)).reset_index()


def _awarded(purchases: pd.DataFrame) -> pd.DataFrame:
    """Keep the lots that found a provider, as last told, with their option. One row per lot and exercise."""
    last = purchases.sort_values(["lot", "exercise", "known_from"]).drop_duplicates(["lot", "exercise"], keep="last")
    kept = last[(last["places"] > 0).fillna(False) & (last["bids"] != 0).fillna(True)]
    return kept.assign(sector=kept["formacode"].str[:3], level=level_text(kept["exit_level"])).reset_index(drop=True)


def most_used(rows: pd.DataFrame, key: list[str], name: str, weight: str) -> pd.Series[str]:
    """Give what weighs most under each key (ties: the first in order). One text per key."""
    sums = rows.groupby([*key, name], as_index=False)[[weight]].sum()
    first = sums.sort_values([*key, weight, name], ascending=[True] * len(key) + [False, True]).drop_duplicates(key)
    return first.set_index(key)[name]


def usual_funders(purchases: pd.DataFrame) -> pd.Series[float]:
    """Share what was bought over who paid it (``2:0.6|4:0.4``). One amount in euros per LHEO code of a funder."""
    lots = _awarded(purchases)
    parts = lots.assign(part=lots["funders"].str.split("|")).explode("part", ignore_index=True)
    told = parts["part"].str.extract(r"^(?P<funder>\w+):(?P<share>[\d.]+)$")
    return (told["share"].astype("float64") * parts["cost_eur"]).groupby(told["funder"]).sum()


# Sessions ---------------------------------------------------------------------------------------------------------------


def usual_calendar(held: pd.DataFrame) -> pd.DataFrame:
    """Say when sessions of an option usually start, and at what pace. One row per sector, action_type, level.

    ``first_month`` and ``last_month`` leave out the earliest and the latest tenth; ``weekly_hours`` is a median.
    """
    known = held[held["sector"].notna()]
    weeks = ((known["ends"] - known["starts"]).dt.days + 1) / 7
    paced = known.assign(month=known["starts"].dt.month, weekly_hours=known["hours"] / weeks.where(weeks >= 1))
    grouped = paced.groupby(OPTION)
    months = {
        f"{end}_month": grouped["month"].quantile(share, interpolation=kind).astype("int64")
        for end, share, kind in (("first", _FEW, "higher"), ("last", _MANY, "lower"))
    }
    calendar = grouped[["weekly_hours"]].median().assign(**months)
    # Of few sessions the tenths may cross.
    return calendar.assign(last_month=calendar[["first_month", "last_month"]].max(axis=1)).reset_index()


def usual_communes(held: pd.DataFrame) -> pd.DataFrame:
    """Say where most places of an option were held in each bassin. One row per sector, action_type, level, territory."""
    known = held[held["sector"].notna() & held["territory"].notna()]
    return most_used(known, [*OPTION, "territory"], "commune", "places").reset_index()


def centres_of(communes: pd.DataFrame) -> pd.Series[str]:
    """Name the largest commune of each bassin (ties: the first). One commune per territory."""
    largest = communes.sort_values(["population", "commune"], ascending=[False, True]).drop_duplicates("territory")
    return largest.set_index("territory")["commune"]


def count_past(held: pd.DataFrame, as_of: pd.Timestamp, smallest: int) -> pd.DataFrame:
    """Count what was run of each option. One row per sector, action_type, level, territory (bassins, then ``R44``).

    Only sessions that have started and told their entries count. Where fewer people entered than ``smallest``, nothing is told.
    """
    ran = held[(held["starts"] <= as_of) & (held["places"] > 0) & held["entries"].notna() & held["sector"].notna()]
    both = pd.concat([ran[ran["territory"].notna()], ran.assign(territory=REGION)], ignore_index=True)
    counts = both.groupby([*OPTION, "territory"], as_index=False).agg(
        past_from=("exercise", "min"),
        past_to=("exercise", "max"),
        past_places=("places", "sum"),
        past_entries=("entries", "sum"),
    )
    fill = (counts["past_entries"] / counts["past_places"]).clip(upper=1.0)
    return counts.assign(past_fill=fill)[counts["past_entries"] >= smallest].reset_index(drop=True)


# People -----------------------------------------------------------------------------------------------------------------


def mark_groups(people: pd.DataFrame, params: PublicParams) -> pd.DataFrame:
    """Say which groups each person belongs to: the publics, the sexes, and ``quota`` (any of ``PRIORITY``). Same rows."""
    publics = mark_publics(people, params)
    flags = {f"public={name}": publics[name] for name in PUBLICS[1:]}
    flags |= {f"sex={sex}": (people["sex"] == sex).fillna(False).astype(bool) for sex in ("F", "H")}
    return pd.DataFrame({**flags, QUOTA: publics[list(PRIORITY)].any(axis=1)})


def entrants_by_group(trainings: pd.DataFrame, params: PublicParams) -> pd.DataFrame:
    """Say who entered what. One row per entry into a course: its option, and a flag for each group."""
    entered = trainings[trainings["status"] == "entre"].reset_index(drop=True)
    option = {"sector": entered["formacode"].str[:3], "level": level_text(entered["exit_level"])}
    return pd.concat([entered[["action_type"]].assign(**option)[OPTION], mark_groups(entered, params)], axis=1)


def usual_shares(options: pd.DataFrame, entrants: pd.DataFrame, smallest: int) -> pd.DataFrame:
    """Say which share of the entrants each group usually makes. Same rows as ``options``: one share per group.

    Where fewer people than ``smallest`` entered the option, the share is that of its type of action, else of all.
    """
    groups = [*GROUPS, QUOTA]
    shares = pd.DataFrame(index=options.index, columns=groups, dtype="float64")
    for key in (OPTION, ["action_type"], []):
        known = entrants.assign(everybody="").groupby(["everybody", *key])[groups].agg("mean")
        sizes = entrants.assign(everybody="").groupby(["everybody", *key]).size()
        asked = options.assign(everybody="")[["everybody", *key]]
        found = asked.merge(known[sizes >= smallest].reset_index(), on=["everybody", *key], how="left", validate="many_to_one")
        shares = shares.fillna(found[groups].set_axis(options.index))
    return shares


# The last purchase ------------------------------------------------------------------------------------------------------


def last_purchase(purchases: pd.DataFrame, held: pd.DataFrame, communes: pd.DataFrame, exercise: int) -> pd.DataFrame:
    """Tell what the last exercise before this one bought. One row per territory, sector, action_type, level.

    Columns ``exercise_before``, ``places_before`` and ``cents_before``. A lot counts in the bassins of its sessions, else in
    those it was bought for, by population; places and cents are whole, and their sums are those of the lots.
    """
    lots = _awarded(purchases)
    lots = lots[lots["exercise"] < exercise]
    lots = lots[lots["exercise"] == lots["exercise"].max()]
    cents = (lots["cost_eur"].fillna(0.0) * 100).round()
    spread = lots[["exercise", "lot", *OPTION, "places"]].assign(place=lots["territory"], cents=cents)
    spread = spread.merge(_where(spread, held, communes), on="lot", how="inner", validate="one_to_many")
    spread = spread.sort_values(["lot", "territory"], ignore_index=True)
    places = round_along(spread["places"].astype("float64") * spread["share"], spread[["lot"]], 1)
    money = round_along(spread["cents"] * places / spread["places"].astype("float64"), spread[["lot"]], 1)
    counted = spread.assign(places_before=places.astype("int64"), cents_before=money.astype("int64"))
    counted = counted[counted["places_before"] > 0].rename(columns={"exercise": "exercise_before"})
    key = ["territory", *OPTION]
    sums: pd.DataFrame = counted.groupby([*key, "exercise_before"], as_index=False)[["places_before", "cents_before"]].sum()
    return sums


def _where(lots: pd.DataFrame, held: pd.DataFrame, communes: pd.DataFrame) -> pd.DataFrame:
    """Share each lot over bassins: by its sessions, else by population. One row per lot, territory: ``share``."""
    ran = held[held["territory"].notna() & (held["places"] > 0)].merge(
        lots[["lot", "exercise"]], on=["lot", "exercise"], how="inner", validate="many_to_one"
    )
    sums = ran.groupby(["lot", "territory"], as_index=False)[["places"]].sum()
    run = sums.assign(share=sums["places"] / sums.groupby("lot")["places"].transform("sum"))[["lot", "territory", "share"]]
    people = share_places(communes).groupby(["place", "territory"], as_index=False)[["share"]].sum()
    rest = lots.loc[~lots["lot"].isin(run["lot"]), ["lot", "place"]]
    rest = rest.assign(place=rest["place"].where(rest["place"].isin(people["place"]), region_of(communes)))
    spread = rest.merge(people, on="place", how="inner", validate="many_to_many")[["lot", "territory", "share"]]
    return pd.concat([run, spread], ignore_index=True)
