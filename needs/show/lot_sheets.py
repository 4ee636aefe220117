"""The lots as a planner tenders them: where, for whom, how many, for how much, on what terms, with what past, and why.

:func:`complete_lots` joins what is published of each lot; :func:`lots_sheet` puts words on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import pandas as pd

from features import facts
from features.vocabulary import REGION_CODE, is_region
from needs.show.messages import say
from needs.show.sheet import Sheet, graded, in_euros, listed, longest, stable, taught, tipped, told, worded
from needs.show.titles import region_title, titled, titles_of

BANDS: Mapping[str, tuple[str, ...]] = {
    "identity": (
        *("lot_id", "volet", "exercise", "action_type_title", "sector_group", "sector_title", "formacode", "formacode_title"),
        *(
            "nsf",
            "registration",
            "certification",
            "certification_title",
            "entry_level",
            "exit_level",
            "occupations",
            "families",
        ),
    ),
    "place": ("territory_title", "commune_title", "public_title", "quota", "publics"),
    "volume": (
        *("places", "firm_places", "option_places", "places_max", "sessions", "group_min", "group_max", "hours"),
        *("centre_hours", "company_hours", "remote_hours", "trainee_hours"),
    ),
    "money": (
        *("group_hour_eur", "trainee_hour_eur", "cost_per_place_eur", "teaching_eur", "annex_eur", "cost_eur", "allowance_eur"),
        *("total_eur", "envelope", "by_funder", "by_year"),
    ),
    "contract": ("contract", "procedure", "notified", "first_entry", "last_entry", "weekly_hours", "renewals"),
    "history": (
        *("past_source", "past_years", "past_places", "past_entries", "past_fill", "rates_source", "past_dropout"),
        *("past_certified", "past_work", "past_aimed", "past_n"),
    ),
    "model": (
        *("lot_need", "lot_need_low", "lot_need_high", "under_way", "gap", "gap_low", "gap_high", "causes", "aim"),
        *("effect", "effect_low", "effect_high", "expected_entries", "jobs", "jobs_low", "jobs_high", "cost_per_job_eur"),
        *(
            "worth",
            "rank",
            "marginal_worth",
            "stability",
            "stability_class",
            "infructueux_risk",
            "grade",
            "n",
            "borrowed",
            "disagreement",
        ),
    ),
    "decision": ("reason", "rule", "tipping", "tipping_point", "lever", "scenario", "decided_by", "run_id", "code_version"),
    "skills": ("skills",),
    "codes": ("action_type", "sector", "territory", "public"),
}
"""The columns of a lot, in their order, by the group that their headers stand under."""
COLUMNS = tuple(name for names in BANDS.values() for name in names)
TOTALS = (
    *("sessions", "places", "firm_places", "option_places", "places_max", "trainee_hours", "teaching_eur", "annex_eur"),
    *("cost_eur", "allowance_eur", "total_eur", "expected_entries", "jobs"),
)
_OPTION = ["sector", "action_type", "level"]
_RATES = {("completion", 0): "past_dropout", ("certified", 0): "past_certified", ("work", 6): "past_work"} | {
    ("trained_occupation", 6): "past_aimed"
}
_PAGES = 6  # the sheet is so many A3 pages wide


# What is published of a lot ---------------------------------------------------------------------------------------------


def complete_lots(name: str, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Join what is published of the lots of a table. One row per lot of it, whatever is known of it elsewhere."""
    lots = tables[name].merge(tables["lot_details"], on="lot_id", how="left", suffixes=("", "_told"), validate="one_to_one")
    allowance = lots["allowance_cents_told"].fillna(lots["allowance_cents"]).fillna(0)
    known = {
        "allowance_cents": allowance,
        "teaching_cents": lots["teaching_cents"].fillna(lots["cost_cents"]),
        "total_cents": lots["total_cents"].fillna(lots["cost_cents"] + allowance),
    }
    key, renamed = ["territory", *_OPTION], lots.assign(**known).rename(columns={"exit_level": "level"})
    ranked = tables["rankings"][[*key, "rank", "value", "disagreement"]].rename(columns={"value": "worth"})
    ranks = renamed.merge(ranked, on=key, how="left", validate="many_to_one")
    cells = ["territory", "sector", "level"]
    apart = tables["sector_needs"].groupby(cells, as_index=False)[["disagreement"]].mean()
    of_needs = ranks[cells].merge(apart, on=cells, how="left", validate="many_to_one")["disagreement"]
    ranks = ranks.assign(disagreement=ranks["disagreement"].fillna(of_needs))
    return _with_rates(ranks, tables["outcomes"]).rename(columns={"level": "exit_level"}).assign(**_run(tables["assumptions"]))


def _with_rates(lots: pd.DataFrame, outcomes: pd.DataFrame) -> pd.DataFrame:
    """Add what became of past trainees: those of the bassin where enough are known, else those of the Region. Same rows.

    ``past_n`` counts the people followed six months after they left; ``rates_source`` says whose all these rates are.
    """
    key = ["territory", *_OPTION]
    everybody = outcomes[outcomes["public"] == "tout_public"]
    wide = everybody[key].drop_duplicates().reset_index(drop=True)
    for (outcome, months), name in _RATES.items():
        rows = everybody[(everybody["outcome"] == outcome) & (everybody["horizon_months"] == months)]
        figures = rows[[*key, "value", "n"]].rename(columns={"value": name, "n": f"{name}_n"})
        wide = wide.merge(figures, on=key, how="left", validate="one_to_one")
    wide = wide.assign(past_dropout=1 - wide["past_dropout"]).rename(columns={"past_work_n": "past_n"})
    wide = wide.drop(columns=[f"{name}_n" for name in _RATES.values() if name != "past_work"])
    names = [str(name) for name in wide if name not in key]
    own = lots[key].merge(wide, on=key, how="left", validate="many_to_one")
    regional = wide[REGION_CODE.spelt(wide["territory"])].rename(columns={"territory": "region"})
    region = lots[_OPTION].merge(regional, on=_OPTION, how="left", validate="many_to_one")
    local = own["past_work"].notna()
    source = own["territory"].where(local, region["region"].where(region[names].notna().any(axis=1)))
    return lots.assign(rates_source=source.astype("str"), **{name: own[name].where(local, region[name]) for name in names})


def _run(assumptions: pd.DataFrame) -> dict[str, str]:
    """Say which run this is, and of which version of the engine."""
    told = assumptions.set_index("name")["value"]
    return {name: str(told.get(f"run.{name}", "")) for name in ("run_id", "code_version")}


# In words ---------------------------------------------------------------------------------------------------------------


def lots_sheet(name: str, lots: pd.DataFrame, exercise: int, language: str) -> Sheet:
    """Show the complete lots of one exercise, the lowest cost per additional durable job first. One row per lot."""
    rows = by_cost_per_job(lots[lots["exercise"] == exercise])
    title = rows["certification_title"]
    rows = titled(rows, language)
    rows = rows.assign(
        exercise=rows["exercise"].astype("str"),
        certification_title=title.fillna(rows["certification_title"]),
        **{f"{part}_eur": in_euros(rows[f"{part}_cents"]) for part in ("teaching", "annex", "cost", "allowance", "total")},
        cost_per_place_eur=in_euros(rows["cost_cents"]) / rows["places"].astype("float64").where(rows["places"] > 0),
        scenario=say("scenario_base", language),
        **_in_words(rows, language),
    ).rename(columns={"value": "jobs", "low": "jobs_low", "high": "jobs_high"})
    rows = rows.rename(columns={f"need{end}": f"lot_need{end}" for end in ("", "_low", "_high")})
    bands = {column: band for band, columns in BANDS.items() for column in columns}
    totals = TOTALS if name == "lots" else ()
    return longest(Sheet(name, rows[list(COLUMNS)], totals, pages=_PAGES, bands=bands), language)


def by_cost_per_job(lots: pd.DataFrame) -> pd.DataFrame:
    """Sort lots by what one additional durable job costs, those that bring none last. Same rows, ``cost_per_job_eur`` added."""
    cost = in_euros(lots["cost_cents"]) / lots["value"].where(lots["value"] > 0)
    return lots.assign(cost_per_job_eur=cost).sort_values(["cost_per_job_eur", "lot_id"], ignore_index=True)


def _in_words(rows: pd.DataFrame, language: str) -> dict[str, pd.Series[str]]:
    """Say the codes of lots. Texts per lot."""
    spans = zip(rows["past_from"].tolist(), rows["past_to"].tolist(), rows["past_from"].notna(), strict=True)
    years = [_years(first, last) if known else "" for first, last, known in spans]
    return {
        **{noun: worded(rows[noun], noun, language) for noun in ("decided_by", "volet", "contract", "procedure")},
        "aim": worded(rows["aim"], "outcome", language),
        **{name: _source(rows[name], language) for name in ("past_source", "rates_source")},
        "past_years": pd.Series(years, index=rows.index, dtype="str"),
        "occupations": _with_titles(rows["occupations"], titles_of("occupation")),
        "families": _with_titles(rows["families"], _families()),
        "commune_title": rows["commune"].map(_communes()).astype("str").fillna(rows["commune"]),
        "publics": _shares(rows["publics"], language),
        "by_funder": _amounts(rows["by_funder"], "funder", language),
        "by_year": _amounts(rows["by_year"], "year", language),
        "causes": listed(rows["causes"].fillna(""), "cause", language),
        "reason": told(rows["reason"], language),
        "skills": taught(rows["skills"], language),
        "grade": graded(rows["grade"], language),
        "tipping": tipped(rows["tipping"], language),
        "stability_class": stable(rows["stability"], language),
    }


def _years(first: int, last: int) -> str:
    """Spell the exercises of a history.

    >>> _years(2024, 2026), _years(2026, 2026)
    ('2024–2026', '2026')
    """
    return str(first) if first == last else f"{first}–{last}"


def _source(territories: pd.Series[str], language: str) -> pd.Series[str]:
    """Say whose history it is: the bassin's, or the Region's where the bassin's would rest on too few people. Same rows."""
    words = {code: say("source_bassin", language) for code in territories.dropna().unique()}
    words |= {code: say("source_region", language, region=region_title(territories)) for code in words if is_region(code)}
    return territories.map(words).astype("str")


def _with_titles(codes: pd.Series[str], titles: pd.Series[str]) -> pd.Series[str]:
    """Write codes joined by ``|`` with their titles. Same rows."""
    words = {
        text: "; ".join(f"{code} {titles.get(code, '')}".strip() for code in text.split("|"))
        for text in codes.dropna().unique()
        if text
    }
    return codes.map(words).astype("str").fillna("")


@cache
def _families() -> pd.Series[str]:
    """Give the titles of FAP 2021 families, by code."""
    families = facts.families()
    return families[families["nomenclature"] == "FAP2021"].set_index("family")["title"]


@cache
def _communes() -> pd.Series[str]:
    """Give the names of communes, by code."""
    return facts.communes().set_index("commune")["name"]


def _shares(publics: pd.Series[str], language: str) -> pd.Series[str]:
    """Say the usual shares of the publics, ``rsa:0.22|qpv:0.11``, in words. Same rows."""
    words = {}
    for text in publics.dropna().unique():
        pairs = [part.split(":") for part in text.split("|") if part]
        words[text] = ", ".join(
            say("public_share", language, public=say(f"public_{code}", language), share=float(share)) for code, share in pairs
        )
    return publics.map(words).astype("str").fillna("")


def _amounts(amounts: pd.Series[str], noun: str, language: str) -> pd.Series[str]:
    """Say amounts, ``2:1234.50|4:100.00``, in words: a funder or a year, and its euros. Same rows."""
    words = {}
    for text in amounts.dropna().unique():
        pairs = [part.split(":") for part in text.split("|") if part]
        names = worded(pd.Series([code for code, _ in pairs], dtype="str"), noun, language)
        told_pairs = zip(names, (float(amount) for _, amount in pairs), strict=True)
        words[text] = ", ".join(say("named_amount", language, name=name, amount=amount) for name, amount in told_pairs)
    return amounts.map(words).astype("str").fillna("")
