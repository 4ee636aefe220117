"""What a lot needs to be tendered beside its places and its price, and what the plan is set against, as published tables.

``lot_details`` completes ``lots`` and ``rejected_lots``; ``purchase_changes`` sets the plan against the last purchase,
``plan_equity`` its expected entrants against who looks for work.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from features import facts
from features.build import Features
from features.crosswalks import links_between
from features.exits import link_courses
from features.lot_history import (
    GROUPS,
    QUOTA,
    centres_of,
    count_past,
    entrants_by_group,
    last_purchase,
    mark_groups,
    most_used,
    usual_calendar,
    usual_communes,
    usual_funders,
    usual_shares,
    usual_terms,
)
from features.market_tables import CAUSES
from features.options import OPTION
from features.places import own_or_shipped
from features.seats import attach_sessions, read_lots
from features.supply import latest_people, round_along
from features.tables import Tables
from features.vocabulary import REGION
from models.envelopes import Envelope
from models.gap import yearly_gap
from models.purchase import Plan
from needs.params import Params
from needs.run.skills import targets_of_lots

_CODES_TOLD = 6  # occupations or families of a lot: a Formacode leads to many
_STRONG = 4.0  # a cause stands out from this class, of 1 to 5
_CAUSES_TOLD = 2
NO_CAUSE = "none_strong"


@dataclass(frozen=True)
class Decided:
    """The plan, and what it was decided on: the ranking and the needs of sectors."""

    plan: Plan
    ranked: pd.DataFrame
    needs: pd.DataFrame
    features: Features
    known: Tables
    as_of: pd.Timestamp

    @property
    def lots(self) -> pd.DataFrame:
        """The lots that are bought, then those that are not. One row per lot."""
        both = pd.concat([self.plan.lots, self.plan.rejected], ignore_index=True)
        return both.rename(columns={"exit_level": "level"})

    @property
    def communes(self) -> pd.DataFrame:
        """The communes of the Region. One row per commune."""
        return own_or_shipped(self.known.territories)

    @property
    def held(self) -> pd.DataFrame:
        """The sessions with their lots. One row per session."""
        return attach_sessions(self.known.sessions, read_lots(self.known.purchases))


def tell_purchase(decided: Decided, params: Params) -> dict[str, pd.DataFrame]:
    """Give the tables that complete the plan. A row of each is said in the function that makes it."""
    entrants = entrants_by_group(decided.known.trainings, params.features.publics)
    shares = usual_shares(decided.lots[OPTION], entrants, params.features.privacy.smallest_cell)
    return {
        "lot_details": describe_lots(decided, shares, params),
        "purchase_changes": compare_purchases(decided),
        "plan_equity": compare_groups(decided, shares, entrants, params),
    }


# Lots -------------------------------------------------------------------------------------------------------------------


def describe_lots(decided: Decided, shares: pd.DataFrame, params: Params) -> pd.DataFrame:
    """Complete the lots, bought or not. One row per lot_id."""
    lots, known, smallest = decided.lots, decided.known, params.features.privacy.smallest_cell
    terms = lots[OPTION].merge(usual_terms(known.purchases), on=OPTION, how="left", validate="many_to_one")
    terms["renewals"] = lots["renewals"].astype("float64").where(lots["renewals"] > 0, terms["renewals"])
    calendar = lots[OPTION].merge(usual_calendar(decided.held), on=OPTION, how="left", validate="many_to_one")
    targets = targets_of_lots(lots, link_courses(decided.features.crosswalks))
    columns = {
        **_certified(lots, known),
        **_aimed(lots["lot_id"], targets, decided.features),
        "commune": _commune(lots, decided),
        "quota": shares[QUOTA],
        "publics": _spelt_shares(shares),
        **_volume(lots, terms),
        **_money(lots, terms),
        "by_funder": _by_funder(lots, usual_funders(known.purchases), params.purchase.envelopes),
        "by_year": _by_year(lots, terms["renewals"]),
        **{name: terms[name] for name in ("contract", "procedure", "renewals")},
        **_dates(lots["exercise"], terms, calendar),
        "weekly_hours": calendar["weekly_hours"],
        **_past(lots, count_past(decided.held, decided.as_of, smallest)),
        **_model(lots, decided),
        "causes": _causes(lots, targets, decided.features.seen.tension),
    }
    return lots[["lot_id"]].assign(**columns)


def _certified(lots: pd.DataFrame, known: Tables) -> dict[str, pd.Series]:
    """Say what the certification of a lot is, from the last edition known, else from the list shipped. Values per lot.

    Its speciality (NSF) is what the certification says, else what courses of the catalogue with its Formacode say most often.
    """
    codes = lots["certification"]
    last = known.certifications.sort_values("known_from").drop_duplicates("certifinfo", keep="last").set_index("certifinfo")
    shipped = facts.certifications().drop_duplicates("certifinfo").set_index("certifinfo")
    number = _looked_up(codes, last["rncp"]).fillna(_looked_up(codes, shipped["rncp"])).fillna("")
    directory = _looked_up(codes, last["rs"]).fillna("").str.split("|").str[0]
    registered = ("RNCP" + number).where(number != "", ("RS" + directory).where(directory != "", ""))
    named = known.catalogue[known.catalogue["nsf"].notna() & (known.catalogue["nsf"] != "")]
    courses = most_used(named.assign(courses=1), ["formacode"], "nsf", "courses")
    return {
        "nsf": _looked_up(codes, last["nsf"]).fillna(_looked_up(lots["formacode"], courses)),
        "registration": registered,
        "certification_title": _looked_up(codes, last["title"]).fillna(_looked_up(codes, shipped["title"])),
    }


def _looked_up(codes: pd.Series[str], texts: pd.Series[str]) -> pd.Series[str]:
    """Give the text of each code, missing where there is none. Same rows."""
    return codes.map(texts).astype("str")


def _aimed(lots: pd.Series[str], targets: pd.DataFrame, features: Features) -> dict[str, pd.Series[str]]:
    """Name the occupations and families that lots aim at, most weighted first. Texts per lot."""
    families = links_between(features.crosswalks, "ROME", "FAP2021").rename(columns={"code": "occupation", "target": "family"})
    both = targets.merge(families[["occupation", "family", "weight"]], on="occupation", how="inner", validate="many_to_many")
    weighed = both.assign(weight=both["weight_x"] * both["weight_y"])[["lot_id", "family", "weight"]]
    return {
        "occupations": _looked_up(lots, _joined(targets, "occupation")),
        "families": _looked_up(lots, _joined(weighed, "family")),
    }


def _joined(weighed: pd.DataFrame, code: str) -> pd.Series[str]:
    """Join the codes of each lot, the most weighted first (ties: in order). One text per lot_id."""
    sums = weighed.groupby(["lot_id", code], as_index=False)[["weight"]].sum()
    # Sums of the same weights in another order differ in their last digit.
    first = sums.assign(weight=sums["weight"].round(9)).sort_values(["lot_id", "weight", code], ascending=[True, False, True])
    return first.groupby("lot_id").head(_CODES_TOLD).groupby("lot_id")[code].agg("|".join)


def _commune(lots: pd.DataFrame, decided: Decided) -> pd.Series[str]:
    """Name the commune where a lot is usually held, else the largest of its bassin. One per lot."""
    key = [*OPTION, "territory"]
    usual = lots[key].merge(usual_communes(decided.held), on=key, how="left", validate="many_to_one")["commune"]
    return usual.astype("str").fillna(_looked_up(lots["territory"], centres_of(decided.communes)))


def _spelt_shares(shares: pd.DataFrame) -> pd.Series[str]:
    """Spell the shares of the publics, the largest first: ``infra4:0.41|rsa:0.22``; those of nobody are left out."""
    names = [group.removeprefix("public=") for group in GROUPS if group.startswith("public=")]
    told = []
    for row in shares[[f"public={name}" for name in names]].round(2).itertuples(index=False):
        known = [(name, share) for name, share in zip(names, row, strict=True) if share > 0]
        told.append("|".join(f"{name}:{share:.2f}" for name, share in sorted(known, key=lambda pair: (-pair[1], pair[0]))))
    return pd.Series(told, index=shares.index, dtype="str")


def _volume(lots: pd.DataFrame, terms: pd.DataFrame) -> dict[str, pd.Series]:
    """Share places and hours: what is firm and what is an option, where it is learned. Values per lot.

    firm + option = places at most; the firm part is no more than the places planned, and all of them outside framework lots.
    """
    most = lots["places_max"].where(terms["firm"] < 1, lots["places"]).astype("float64")
    firm = (most * terms["firm"]).round().where(terms["firm"] < 1, lots["places"]).clip(upper=lots["places"]).astype("int64")
    hours = {name: lots["hours"] * terms[name] for name in ("centre_hours", "company_hours", "remote_hours")}
    taught = hours["centre_hours"] + hours["remote_hours"]
    options = most.astype("int64") - firm
    return {"firm_places": firm, "option_places": options, **hours, "trainee_hours": taught * lots["places"]}


def _money(lots: pd.DataFrame, terms: pd.DataFrame) -> dict[str, pd.Series]:
    """Say what the money of a lot is made of, in whole cents, and what an hour costs. Values per lot.

    teaching + annexes = what the envelope pays; with the allowances they make the total.
    """
    annex = (lots["cost_cents"] * terms["annex"].fillna(0.0)).round().astype("int64")
    usual = (lots["places"] * terms["place_allowance_eur"].fillna(0.0) * 100).round().astype("int64")
    stated = lots["allowance_cents"].astype("int64")
    allowance, teaching = stated.where(stated > 0, usual), lots["cost_cents"] - annex
    taught = lots["hours"] * (terms["centre_hours"] + terms["remote_hours"])
    of_groups, of_trainees = taught * lots["sessions"], taught * lots["places"]
    return {
        "group_hour_eur": teaching / of_groups.where(of_groups > 0) / 100,
        "trainee_hour_eur": teaching / of_trainees.where(of_trainees > 0) / 100,
        "teaching_cents": teaching,
        "annex_cents": annex,
        "allowance_cents": allowance,
        "total_cents": lots["cost_cents"] + allowance,
    }


def _by_funder(lots: pd.DataFrame, paid: pd.Series[float], envelopes: tuple[Envelope, ...]) -> pd.Series[str]:
    """Share what each lot costs over its funders, by the parts told, else as in past lots, to the cent. One text per lot."""
    named = [(each, code, part) for each in envelopes for code, part in each.parts.items()]
    rows = [(each.name, code, part if each.tells_parts else float(paid.get(code, 0.0))) for each, code, part in named]
    shares = pd.DataFrame(rows, columns=["envelope", "funder", "paid"]).astype({"envelope": "str"})
    whole = shares.groupby("envelope")["paid"].transform
    shares["share"] = (shares["paid"] / whole("sum").where(whole("sum") > 0)).fillna(1 / whole("size"))
    both = lots[["lot_id", "envelope", "cost_cents"]].merge(shares, on="envelope", how="inner", validate="many_to_many")
    cents = round_along(both["cost_cents"] * both["share"], both[["lot_id"]], 1).astype("int64")
    texts = both["funder"].astype("str") + ":" + cents.map(_euros).astype("str")
    return _looked_up(lots["lot_id"], texts[cents > 0].groupby(both["lot_id"]).agg("|".join))


def _by_year(lots: pd.DataFrame, renewals: pd.Series[float]) -> pd.Series[str]:
    """Say what each lot costs in its exercise, then in each year to which it is renewed. One text per lot."""
    told = [
        "|".join(f"{year}:{_euros(cents)}" for year in range(first, first + 1 + int(more)))
        for first, cents, more in zip(lots["exercise"], lots["cost_cents"], np.floor(renewals.fillna(0.0)), strict=True)
    ]
    return pd.Series(told, index=lots.index, dtype="str")


def _euros(cents: int) -> str:
    """Spell cents as euros.

    >>> _euros(123405)
    '1234.05'
    """
    return f"{cents // 100}.{cents % 100:02d}"


def _dates(exercise: pd.Series[int], terms: pd.DataFrame, calendar: pd.DataFrame) -> dict[str, pd.Series[str]]:
    """Date a lot as its option usually is: the month of notification, of the first and of the last entries. Texts per lot."""
    opens = pd.to_datetime({"year": exercise, "month": 1, "day": 1})
    notified = (opens + pd.to_timedelta(terms["notified_days"].round(), unit="D")).dt.strftime("%Y-%m")
    entries = {
        f"{end}_entry": exercise.astype("str") + "-" + calendar[f"{end}_month"].astype("Int64").astype("str").str.zfill(2)
        for end in ("first", "last")
    }
    return {"notified": notified, **entries}


def _past(lots: pd.DataFrame, counted: pd.DataFrame) -> dict[str, pd.Series]:
    """Tell how the option went in the bassin, else in the Region. Values per lot; ``past_source`` says which of both."""
    key = [*OPTION, "territory"]
    own = lots[key].merge(counted, on=key, how="left", validate="many_to_one")
    wide = lots[key].assign(territory=REGION).merge(counted, on=key, how="left", validate="many_to_one")
    found = own["past_places"].notna()
    names = ("past_from", "past_to", "past_places", "past_entries", "past_fill")
    source = own["territory"].where(found, wide["territory"].where(wide["past_places"].notna()))
    return {"past_source": source, **{name: own[name].where(found, wide[name]) for name in names}}


def _model(lots: pd.DataFrame, decided: Decided) -> dict[str, pd.Series]:
    """Tell what the model holds of a lot: need, what is trained already, what is missing, what an entry adds. Values per lot.

    A type without a sector of its own answers people, who have no range.
    """
    key, cells = ["territory", *OPTION], ["territory", "sector", "level"]
    ranked = decided.ranked[[*key, "need", "gap", "gap_low", "gap_high", "rate", "rate_low", "rate_high", "outcome"]]
    told = lots[key].merge(ranked, on=key, how="left", validate="many_to_one")
    as_gap = {"need": "value", "need_low": "low", "need_high": "high"}
    bounds = yearly_gap(decided.needs.drop(columns=["value", "low", "high"]).rename(columns=as_gap).assign(need=0.0))
    coming = decided.needs.groupby(cells, as_index=False)[["under_way"]].sum()
    ranged = lots[cells].merge(bounds[[*cells, "gap_low", "gap_high"]], on=cells, how="left", validate="many_to_one")
    trained = lots[cells].merge(coming, on=cells, how="left", validate="many_to_one")["under_way"]
    named = ~told["outcome"].isin(["qualification", "own_business"])
    return {
        "need": told["need"],
        "need_low": ranged["gap_low"].clip(lower=0.0).where(named),
        "need_high": ranged["gap_high"].where(named),
        "under_way": trained.where(named),
        **{name: told[name] for name in ("gap", "gap_low", "gap_high")},
        **{name.replace("rate", "effect"): told[name] for name in ("rate", "rate_low", "rate_high")},
        "aim": told["outcome"],
    }


def _causes(lots: pd.DataFrame, targets: pd.DataFrame, tension: pd.DataFrame) -> pd.Series[str]:
    """Name what makes it hard to recruit in the occupations of a lot, the strongest first. One text per lot, or none known."""
    cells = tension.groupby(["territory", "occupation"], as_index=False)[list(CAUSES)].mean()
    told = targets.merge(cells, on=["territory", "occupation"], how="inner", validate="many_to_one")
    classes = pd.DataFrame({name: _mean_class(told, name) for name in CAUSES})
    texts = {}
    for lot, row in classes.dropna(how="all").iterrows():
        strong = sorted((name for name in CAUSES if row[name] >= _STRONG - 1e-9), key=lambda name: (-round(row[name], 6), name))
        texts[lot] = "|".join(strong[:_CAUSES_TOLD]) or NO_CAUSE
    return _looked_up(lots["lot_id"], pd.Series(texts, dtype="str"))


def _mean_class(told: pd.DataFrame, cause: str) -> pd.Series[float]:
    """Average the class of a cause over the occupations of each lot, by their weight. One class per lot_id."""
    known = told[told[cause].notna()]
    sums = (known[cause] * known["weight"]).groupby(known["lot_id"]).sum()
    return sums / known.groupby("lot_id")["weight"].sum()


# What the plan is set against --------------------------------------------------------------------------------------------


def compare_purchases(decided: Decided) -> pd.DataFrame:
    """Set the plan against the last purchase. One row per territory, sector, action_type, level.

    ``change``: new, dropped, grown, cut or kept, by its places.
    """
    key, bought = ["territory", *OPTION], decided.plan.lots.rename(columns={"exit_level": "level"})
    now = bought.groupby(key, as_index=False)[["places", "cost_cents"]].sum()
    before = last_purchase(decided.known.purchases, decided.held, decided.communes, decided.plan.exercise)
    sides = [frame.astype(dict.fromkeys(key, "object")) for frame in (now, before)]  # Arrow cannot join text without a row
    both = sides[0].merge(sides[1], on=key, how="outer", validate="one_to_one").sort_values(key, ignore_index=True)
    both = both.assign(exercise=decided.plan.exercise, exercise_before=before["exercise_before"].max())
    counts = ["places", "cost_cents", "places_before", "cents_before"]
    both = both.assign(**{name: both[name].fillna(0).astype("int64") for name in counts})
    then, planned = both["places_before"], both["places"]
    cases = [then == 0, planned == 0, planned > then, planned < then]
    return both.assign(change=pd.array(np.select(cases, ["new", "dropped", "grown", "cut"], "kept"), dtype="str"))


def compare_groups(decided: Decided, shares: pd.DataFrame, entrants: pd.DataFrame, params: Params) -> pd.DataFrame:
    """Set who should enter against who looks for work. One row per dimension (public, sex, territory) and group.

    People are counted in multiples of ``features.supply.rounding``. A group of fewer jobseekers, or seen in fewer past entries,
    than ``features.privacy.smallest_cell`` is not told.
    """
    bought, smallest = decided.plan.lots, params.features.privacy.smallest_cell
    people = latest_people(decided.known.jobseekers)
    flags, step = mark_groups(people, params.features.publics), params.features.supply.rounding
    entries = bought["expected_entries"]
    # The lots that are bought are the first of all lots.
    expected = shares[list(GROUPS)].head(len(bought)).mul(entries.to_numpy(), axis=0).sum()
    parts = [
        pd.DataFrame({"group": GROUPS, "people": flags[list(GROUPS)].sum().to_numpy(), "entries": expected.to_numpy()}).assign(
            seen=entrants[list(GROUPS)].sum().to_numpy()
        ),
        _by_territory(people, bought),
    ]
    rows = pd.concat(parts, ignore_index=True)
    counted = ((rows["people"] / step).round() * step).astype("int64")
    rows = rows.assign(people=counted)[(rows["people"] >= smallest) & (rows["seen"] >= smallest)].reset_index(drop=True)
    named = rows["group"].str.extract(r"^(?P<dimension>[^=]*)=(?P<group>.*)$")
    everybody, entering = max(len(people), 1), max(float(entries.sum()), 1e-9)
    of_people, of_entries = (rows["people"] / everybody).clip(upper=1.0), rows["entries"] / entering
    ratio = of_entries / of_people.where(of_people > 0)
    columns = {"expected_entries": rows["entries"], "people_share": of_people, "entries_share": of_entries, "ratio": ratio}
    return named.assign(people=rows["people"], **columns)


def _by_territory(people: pd.DataFrame, bought: pd.DataFrame) -> pd.DataFrame:
    """Count jobseekers and expected entries by bassin. One row per bassin: group, people, entries; ``seen`` bounds nothing."""
    counts = people.groupby("territory").size().rename("people").to_frame()
    sums = bought.groupby("territory")["expected_entries"].sum().rename("entries")
    rows = counts.join(sums, how="left").fillna({"entries": 0.0}).reset_index()
    return rows.assign(group="territory=" + rows["territory"], seen=np.inf)[["group", "people", "entries", "seen"]]
