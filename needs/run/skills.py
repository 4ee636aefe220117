"""Needs of skills: what the forecasts, the offers and the certifications say together."""

from __future__ import annotations

import json
from dataclasses import replace

import pandas as pd

from features.build import Features
from features.contracts import GradeLimits
from features.exits import link_courses
from features.skills import skills_of_certifications
from features.tables import Tables
from models.purchase import Plan
from models.skill_grid import Asked
from models.skills import SkillNeedParams, SkillNeeds, skill_needs, skills_of_lots
from needs.run.forecasts import add_up_levels

MASS = {"need": "recruitments", "silent": "of occupations without a share", "asked": "skills asked", "told": "of them told"}


def tell_skills(forecasts: pd.DataFrame, features: Features, params: SkillNeedParams, limits: GradeLimits) -> SkillNeeds:
    """Tell the needs of skills. ``needs``: one row per territory, skill, period; ``mass``: one row per territory, period."""
    return skill_needs(forecasts, add_up_levels(features.panel), _asked(features), params, limits)


def _asked(features: Features) -> Asked:
    """Hand the shares to the models."""
    shares = features.skill_shares
    return Asked(shares.pairs, shares.ahead, shares.gaps, features.novelty)


def mass_of_bassins(mass: pd.DataFrame) -> pd.DataFrame:
    """Add up over bassins where all recruitments went. One row per period: need, silent, asked, told."""
    bassins = mass[mass["territory"].str.startswith("BE")]
    return bassins.groupby("period")[list(MASS)].sum()


def count_mass(mass: pd.DataFrame) -> dict[str, int]:
    """Count, over all years, the recruitments and what of them is told, in the words of the log."""
    sums = mass_of_bassins(mass).sum()
    return {words: round(sums[name]) for name, words in MASS.items()}


# Lots -------------------------------------------------------------------------------------------------------------------


def add_skills(plan: Plan, forecasts: pd.DataFrame, features: Features, known: Tables, params: SkillNeedParams) -> Plan:
    """Write what each lot should teach, bought or not. Same rows; ``forecasts`` are those of the months that they serve.

    A lot aims at what its certification leads to, or where it has none, or one that leads nowhere, at what its Formacode does.
    """
    columns = ["lot_id", "territory", "certification", "formacode"]
    lots = pd.concat([plan.lots[columns], plan.rejected[columns]]).drop_duplicates("lot_id").astype("str").fillna("")
    links = link_courses(features.crosswalks)
    led_to = links[links["kind"] == "CERTIFINFO"].rename(columns={"code": "certification"})
    own = led_to[led_to["certification"].isin(lots["certification"])]
    before = str(pd.Period(forecasts["period"].min(), "M") - 1)  # without an offer no skill is asked, whatever the month
    last = str(features.panel["period"].max()) if len(features.panel) else before
    told = skills_of_lots(
        targets_of_lots(lots, links),
        skills_of_certifications(own, known.occupation_skills),
        forecasts,
        _asked(features),
        last=last,
        params=params,
    )
    written = spell_skills(told, known.skills)
    both = (frame.assign(skills=frame["lot_id"].map(written).astype("str")) for frame in (plan.lots, plan.rejected))
    lots_told, rejected = both
    return replace(plan, lots=lots_told, rejected=rejected)


def targets_of_lots(lots: pd.DataFrame, links: pd.DataFrame) -> pd.DataFrame:
    """List the occupations that lots aim at. One row per lot_id, occupation."""
    kept = ["lot_id", "territory", "certification", "occupation", "weight"]
    parts = []
    for kind, column in (("CERTIFINFO", "certification"), ("FORMACODE", "formacode")):
        own = links.loc[links["kind"] == kind, ["code", "occupation", "weight"]].rename(columns={"code": column})
        parts.append(lots.merge(own, on=column, how="inner", validate="many_to_many")[kept])
    certified, coded = parts
    return pd.concat([certified, coded[~coded["lot_id"].isin(certified["lot_id"])]], ignore_index=True)


def spell_skills(told: pd.DataFrame, titles: pd.DataFrame) -> pd.Series[str]:
    """Write the skills of each lot as one text: ``[["106606", 0.61, 1, "Accueillir les clients"], …]``.

    Code, share of the recruitments that ask it, 1 where the certification names it and 0 where not (null: nothing is known of
    it), and the title, which is that of the run: the same code may be called otherwise in a later edition.
    """
    named = titles.drop_duplicates("skill").set_index("skill")["title"]
    words = told["skill"].map(named).astype("str").fillna(told["skill"])
    lists: dict[str, list[object]] = {}
    for lot, skill, share, mark, title in zip(told["lot_id"], told["skill"], told["share"], told["named"], words, strict=True):
        cell = [skill, round(share, 2), None if mark is pd.NA else int(mark), title]
        lists.setdefault(str(lot), []).append(cell)
    return pd.Series({lot: json.dumps(of, ensure_ascii=False) for lot, of in lists.items()}, dtype="str")
