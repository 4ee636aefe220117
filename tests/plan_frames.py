"""What a run publishes beside its lots, made up: details, changes since the last purchase, equity and assumptions."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features import facts

SMALLEST = 10


def lot_details(lots: pd.DataFrame) -> pd.DataFrame:
    """Complete lots with real codes and made-up terms. One row per lot."""
    size, occupations = len(lots), facts.occupations()["occupation"]
    families = facts.families().query("nomenclature == 'FAP2021'")["family"]
    cost = lots["cost_cents"].to_numpy()
    annex = cost // 20
    return pd.DataFrame(
        {
            "lot_id": lots["lot_id"],
            "nsf": "230r",
            "registration": "RNCP38228",
            "certification_title": "TP Maçon",
            "occupations": [f"{occupations[place]}|{occupations[place + 1]}" for place in range(size)],
            "families": families.iloc[0],
            "commune": "C67482",
            "quota": 0.6,
            "publics": "infra4:0.55|rsa:0.22",
            "firm_places": lots["places"].to_numpy() // 2,
            "option_places": lots["places"].to_numpy() - lots["places"].to_numpy() // 2,
            "centre_hours": 350.0,
            "company_hours": 70.0,
            "remote_hours": 0.0,
            "trainee_hours": lots["places"].to_numpy() * 350.0,
            "group_hour_eur": 95.5,
            "trainee_hour_eur": 8.25,
            "teaching_cents": cost - annex,
            "annex_cents": annex,
            "allowance_cents": lots["places"].to_numpy() * 123_457,
            "total_cents": cost + lots["places"].to_numpy() * 123_457,
            "by_funder": "2:1000.50|4:12.00",
            "by_year": "2027:1012.50|2028:1012.50",
            "contract": "accord_cadre",
            "procedure": "marche_subsequent",
            "renewals": 1.0,
            "notified": "2026-12",
            "first_entry": "2027-02",
            "last_entry": "2027-10",
            "weekly_hours": 34.5,
            "past_source": np.where(np.arange(size) % 2 == 0, "R44", lots["territory"]),
            "past_from": 2024,
            "past_to": 2026,
            "past_places": 120,
            "past_entries": 99,
            "past_fill": 0.825,
            "need": 40.0,
            "need_low": 30.0,
            "need_high": 60.0,
            "under_way": 5.0,
            "gap": 20.0,
            "gap_low": 10.0,
            "gap_high": 40.0,
            "effect": 0.1,
            "effect_low": -0.02,
            "effect_high": 0.2,
            "aim": "durable",
            "causes": "few_available|training_link",
        }
    )


def purchase_changes(lots: pd.DataFrame) -> pd.DataFrame:
    """Set lots against a purchase in which the first of them were twice as large. One row per territory and option."""
    key = ["territory", "sector", "action_type", "level"]
    now = lots.rename(columns={"exit_level": "level"}).groupby(key, as_index=False)[["places", "cost_cents"]].sum()
    known = np.arange(len(now)) % 3 == 0
    then = {"places_before": now["places"] * 2 * known, "cents_before": now["cost_cents"] * 2 * known}
    return now.assign(**then, exercise_before=2026, exercise=2027, change=np.where(known, "cut", "new"))


def plan_equity(territory: str) -> pd.DataFrame:
    """Give groups, their shares among jobseekers and expected entrants. One row per group."""
    rows = [("public", "infra4", 5000), ("public", "rsa", 1500), ("sex", "F", 4000), ("territory", territory, 900)]
    people = pd.DataFrame(rows, columns=["dimension", "group", "people"])
    return people.assign(expected_entries=120.0, people_share=people["people"] / 9000, entries_share=0.2, ratio=0.9)


def assumptions() -> pd.DataFrame:
    """List what a run names itself, and a few parameters. One row per name."""
    rows = [
        ("run.run_id", "20260331-0123456789ab", "", "", ""),
        ("run.code_version", "0.1.0", "", "", ""),
        ("purchase.envelopes.socle", "=1+1", "", "", ""),
        ("purchase.smallest_worth", "0.001", "0.001", "jobs", "what a place must be worth to be bought freely"),
        ("purchase.not_told_yet", "-1", "0", "furlongs", "a parameter without words of its own"),
    ]
    return pd.DataFrame(rows, columns=["name", "value", "default", "unit", "meaning"]).assign(line=range(1, len(rows) + 1))
