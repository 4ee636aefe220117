"""What employers ask people to be able to do, and what of it the certifications of a sector do not name.

An offer names skills by their OGR codes, joined by ``|``, each once. They are counted in offers of lasting positions only, the
``positions`` of :mod:`features.demand`, placed and spread over bassins in the same way. What a certification names is what the
ROME lists for the occupations it leads to: titles of blocks are words, that no code ties to a skill.
"""

from __future__ import annotations

import pandas as pd
import pyarrow.dataset as ds

from features import facts
from features.crosswalks import Crosswalks, links_between
from features.demand import LONG_ENOUGH, DemandParams, current, last_full_month
from features.lazy import ask_arrow
from features.params import Section, param
from features.spreading import CELL, spread_over_cells
from features.vocabulary import REGION

ANY = ""
"""The skill of the rows that count all offers of a cell, whatever they ask."""
_YEAR = 12  # months
_CODE = 5  # characters of an occupation's code
_MARK = ">"  # between an occupation and a skill, where both are one key
_PUBLISHED = "Publié"
_WHOLE_DOMAIN = "00"  # how the code ends where a certification names a domain and no occupation in it


class SkillParams(Section):
    """Over how long skills are counted, and from how many offers one is told."""

    history_years: int = param(6, "years of offers that skills are counted in", unit="years", ge=2, le=20)
    bought_years: int = param(
        2, "years of purchases that say what is offered, the current one included", unit="years", ge=1, le=10
    )
    fewest_offers: float = param(
        10.0, "a skill is told from this many offers of a year that ask it", unit="offers", ge=1, le=1000
    )


# What offers ask --------------------------------------------------------------------------------------------------------


def count_skills(
    offers: ds.Dataset, communes: pd.DataFrame, as_of: pd.Timestamp, params: SkillParams, demand: DemandParams
) -> pd.DataFrame:
    """Count what offers of lasting positions ask. One row per territory, department, occupation, skill, year.

    ``year`` 0 is the twelve months that end with the last full one, 1 the twelve before. ``offers`` and ``positions`` are those
    that ask the skill; where ``skill`` is empty they are all of the cell, whatever they ask. Each offer says what its last
    version known says; one that names no bassin counts in several, by population.
    """
    last = pd.Period(last_full_month(as_of), "M")
    seen = ask_arrow(
        _question(current(offers)),
        {"offers": offers},
        as_of=as_of,
        first=(last - _YEAR * params.history_years + 1).start_time,
        end=(last + 1).start_time,
        last=last.year * _YEAR + last.month,
        durable=demand.durable_months,
    )
    keys = {"asked": sorted(seen["asked"].unique().to_pylist()), "year": [str(year) for year in range(params.history_years)]}
    placed = spread_over_cells(seen, communes, keys)
    return pd.DataFrame(
        {
            **{name: placed[name] for name in CELL},
            "occupation": placed["asked"].str[:_CODE],
            "skill": placed["asked"].str[_CODE + len(_MARK) :],
            "year": placed["year"].astype("int64"),
            **{name: placed[name] for name in _COUNTS},
        }
    )


def _question(known: str) -> str:
    """Write the question that :func:`count_skills` asks of the offers known: sums of whole numbers, the same in any order."""
    sums = "count(*)::DOUBLE AS offers, sum(positions)::DOUBLE AS positions"
    cell = "territory, department, occupation, year"
    return f"""
        WITH told AS NOT MATERIALIZED (
            SELECT territory, department, occupation, positions, skills,
                (($last - year(created) * {_YEAR} - month(created)) // {_YEAR})::TINYINT AS year
            FROM {known}
            WHERE border IS NULL AND created >= $first AND created < $end
                AND NOT seasonal AND {LONG_ENOUGH}
        ),
        named AS (
            SELECT {cell}, skill, {sums}
            FROM (SELECT {cell}, positions, unnest(string_split(skills, '|')) AS skill FROM told WHERE skills <> '{ANY}')
            GROUP BY ALL
            UNION ALL
            SELECT {cell}, '{ANY}' AS skill, {sums} FROM told GROUP BY ALL
        )
        SELECT territory, department, concat(occupation, '{_MARK}', skill) AS asked, year::VARCHAR AS year, offers, positions
        FROM named
    """


_KEYS = ["territory", "occupation"]
_COUNTS = ["offers", "positions"]


_OF = {"offers": "of_offers", "positions": "of_positions"}


def _beside_totals(counts: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Set what asks a skill beside all there is, ``of_offers`` and ``of_positions``. One row per key and skill named."""
    everything = counts["skill"] == ANY
    totals = counts.loc[everything, [*keys, *_COUNTS]].rename(columns=_OF)
    return counts[~everything].merge(totals, on=keys, how="left", validate="many_to_one")


# What certifications name -----------------------------------------------------------------------------------------------


def offered_certifications(
    purchases: pd.DataFrame, catalogue: pd.DataFrame, as_of: pd.Timestamp, params: SkillParams
) -> set[str]:
    """Give the CertifInfo codes of what is bought (this year and those just before it) or stands in the newest catalogue."""
    recent = purchases[purchases["exercise"] > as_of.year - params.bought_years]
    newest = catalogue[catalogue["known_from"] == catalogue["known_from"].max()]
    listed = newest["certifinfos"].fillna(newest["certifinfo"]).dropna().str.split("|").explode()
    return {*recent["certifinfo"].dropna(), *listed}


def named_skills(certifications: pd.DataFrame, offered: set[str], occupation_skills: pd.DataFrame) -> pd.DataFrame:
    """List the skills that the certifications of each sector name. One row per sector, skill: by how many it is named.

    A certification names what the ROME lists for the occupations it leads to. Those of a sector are the ones ``offered``: a
    skill that only a course held elsewhere teaches is still missing here. Where none is, they are all the published ones, and
    ``offered`` is false. The row without a skill counts the certifications of the sector that anything is known of; a sector
    without such a row has none.
    """
    coded = certifications[certifications["formacode"].notna() & certifications["occupations"].notna()]
    coded = coded.assign(sector=coded["formacode"].str[:3], offered=coded["certifinfo"].isin(offered))
    theirs = coded["offered"].groupby(coded["sector"]).transform("any")
    kept = coded[coded["offered"] | (~theirs & (coded["state"] == _PUBLISHED))]
    pairs = kept[["sector", "certifinfo", "offered"]].assign(occupation=kept["occupations"].str.split("|"))
    led_to = in_occupations(pairs.explode("occupation", ignore_index=True).astype({"occupation": "str"}))
    held = in_occupations(occupation_skills[["occupation", "skill"]])
    named = led_to.merge(held, on="occupation", how="inner", validate="many_to_many")
    both = pd.concat([named, named.assign(skill=ANY)]).astype({"skill": "str"})
    counts = both.groupby(["sector", "skill"], as_index=False).agg(
        certifications=("certifinfo", "nunique"), offered=("offered", "max")
    )
    return counts.astype({"certifications": "int64", "offered": "bool"})


def skills_of_certifications(led_to: pd.DataFrame, occupation_skills: pd.DataFrame) -> pd.DataFrame:
    """List the skills that each certification names, as :func:`named_skills` takes them. One row per certification, skill.

    ``led_to`` has one row per certification, occupation, of the 532.
    """
    held = listed_skills(occupation_skills)
    pairs = led_to[["certification", "occupation"]].drop_duplicates()
    named = pairs.merge(held, on="occupation", how="inner", validate="many_to_many")
    return named[["certification", "skill"]].drop_duplicates().sort_values(["certification", "skill"], ignore_index=True)


def listed_skills(occupation_skills: pd.DataFrame) -> pd.DataFrame:
    """List what the ROME lists for each of the 532 occupations. One row per occupation, skill."""
    held = in_occupations(occupation_skills[["occupation", "skill"]])
    return held[["occupation", "skill"]].sort_values(["occupation", "skill"], ignore_index=True)


def in_occupations(rows: pd.DataFrame) -> pd.DataFrame:
    """Count leaves of ROME 4 in their occupation, a domain (``F1700``) in all of its own. One row per row and occupation."""
    parents = facts.leaves().set_index("leaf")["occupation"]
    codes = rows["occupation"]
    domain = codes.str.endswith(_WHOLE_DOMAIN) & ~codes.isin(facts.occupations()["occupation"])
    exact = rows[~domain].assign(occupation=codes.map(parents).astype("str").fillna(codes))
    members = facts.occupations()[["subdomain", "occupation"]]
    wide = rows[domain].assign(subdomain=codes[domain].str[:3]).drop(columns="occupation")
    spread = wide.merge(members, on="subdomain", how="inner", validate="many_to_many").drop(columns="subdomain")
    return pd.concat([exact, spread], ignore_index=True).drop_duplicates(ignore_index=True)


def asked_skills(
    counts: pd.DataFrame, named: pd.DataFrame, crosswalks: Crosswalks, titles: pd.DataFrame, params: SkillParams
) -> pd.DataFrame:
    """Say what the occupations of each sector ask. One row per territory, sector, skill; territory ``R44`` for all of them.

    Over the last year. ``offers`` and ``positions`` are those that ask the skill, shared over sectors by the weights of their
    occupations; ``occupations`` how many of these ask it; ``share`` the part of the sector's positions there; ``named`` whether
    one of the sector's ``certifications`` (how many there are; ``offered``: those bought or in the catalogue) names it. A skill
    asked in fewer than ``fewest_offers`` is left out, and so are sectors of whose certifications nothing is known.
    """
    last = counts[counts["year"] == 0]
    local = last.groupby([*_KEYS, "skill"], as_index=False)[_COUNTS].sum()
    region = last.groupby(["occupation", "skill"], as_index=False)[_COUNTS].sum().assign(territory=REGION)
    links = links_between(crosswalks, "ROME", "SECTEUR").rename(columns={"code": "occupation", "target": "sector"})
    told = links[links["sector"].isin(named["sector"])]
    linked = pd.concat([local, region]).merge(
        told[["occupation", "sector", "weight"]], on="occupation", how="inner", validate="many_to_many"
    )
    weighed = linked.assign(**{name: linked[name] * linked["weight"] for name in _COUNTS})
    key = ["territory", "sector", "skill"]
    sums = weighed.groupby(key, as_index=False).agg(
        offers=("offers", "sum"), positions=("positions", "sum"), occupations=("occupation", "nunique")
    )
    asked = _beside_totals(sums, ["territory", "sector"])
    asked = asked[asked["offers"] >= params.fewest_offers]
    asked = asked.assign(share=asked["positions"] / asked["of_positions"])
    known = named.loc[named["skill"] == ANY, ["sector", "certifications", "offered"]]
    asked = asked.merge(known, on="sector", how="left", validate="many_to_one")
    naming = pd.MultiIndex.from_frame(named[["sector", "skill"]])
    asked = asked.assign(
        named=pd.MultiIndex.from_frame(asked[["sector", "skill"]]).isin(naming),
        title=asked["skill"].map(titles.drop_duplicates("skill").set_index("skill")["title"]).astype("str"),
    )
    return asked[_ASKED].sort_values(key, ignore_index=True)


_ASKED = [
    *("territory", "sector", "skill", "title", "offers", "positions", "occupations", "share"),
    *("named", "certifications", "offered"),
]


def missing_skills(asked: pd.DataFrame) -> pd.DataFrame:
    """Keep what no certification of the sector names, most asked first. One row per territory, sector, skill."""
    order = {"territory": True, "sector": True, "positions": False, "skill": True}
    return asked[~asked["named"]].sort_values(list(order), ascending=list(order.values()), ignore_index=True)
