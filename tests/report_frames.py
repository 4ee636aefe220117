"""Runs for the report: a small one, and one as large as a Region's, with real codes and made-up figures."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import plan_frames

from features import facts
from features.vocabulary import ACTION_TYPES, months_from
from needs.show.messages import say
from needs.store.publish import Run

RUN = Run(
    run_id="20260331-0123456789ab",
    as_of=date(2026, 3, 31),
    started_at=datetime(2026, 4, 1, 2, 0, tzinfo=UTC),
    finished_at=datetime(2026, 4, 1, 2, 4, tzinfo=UTC),
    status="complete",
    code_version="0.1.0",
    params_sha256="a1" * 32,
    data_sha256="b2" * 32,
)
HOSTILE = "</script><b onclick=alert(1)>\"' & co"
_EXERCISE = 2027
_MONTHS = months_from("2027-07", 12)
_OPTION = ["territory", "sector", "action_type", "level"]


def estimate(draw, size, scale):
    value = draw.gamma(2.0, scale, size)
    return {
        "value": value,
        "low": value * 0.7,
        "high": value * 1.4,
        "n": draw.integers(0, 400, size).astype(float),
        "borrowed": draw.random(size).round(2),
        "grade": draw.choice(list("ABCD"), size),
    }


def _grid(names, *values):
    return pd.MultiIndex.from_product(values).to_frame(index=False, name=names)


def _needs(draw, towns, sectors):
    rows = _grid(["territory", "sector", "level", "period"], towns, sectors, ["3", "4"], _MONTHS)
    need, supply, coming = draw.gamma(2.0, 2.0, len(rows)), draw.random(len(rows)), draw.random(len(rows)) / 4
    gap = need - supply - coming
    return rows.assign(
        need=need, need_low=need * 0.8, need_high=need * 1.3, supply=supply, under_way=coming, value=gap, low=gap - need * 0.2,
        high=gap + need * 0.3, n=9.0, borrowed=0.0, grade=draw.choice(list("ABCD"), len(rows)),
        training_solvable=draw.random(len(rows)), disagreement=draw.random(len(rows)),
    )  # fmt: skip


def _rankings(draw, towns, sectors, each):
    kinds = [(kind, level) for kind in ACTION_TYPES for level in ("", "3", "4", "5")][:each]
    rows = pd.concat([_grid(["territory", "sector"], towns, sectors).assign(action_type=k, level=v) for k, v in kinds])
    rows = rows.sort_values(_OPTION, ignore_index=True)
    reasons = [json.dumps([["need_unmet", weight], ["cost_low", 0.2]]) for weight in (0.1, 0.4)]
    caveats = [json.dumps([[doubt, 0.7], ["effect_doubtful", 0.4]]) for doubt in ("sources_disagree", "few_observations")]
    return rows.assign(
        rank=rows.groupby("territory").cumcount() + 1, **estimate(draw, len(rows), 0.1), cost_per_job_eur=9_000.0,
        stability=draw.random(len(rows)), disagreement=0.2, reasons=draw.choice(reasons, len(rows)),
        caveats=draw.choice(caveats, len(rows)),
    )  # fmt: skip


def _lots(draw, rankings):
    codes = facts.formacodes().groupby("sector")["formacode"].first()
    size, group = len(rankings), draw.integers(8, 16, len(rankings))
    lots = rankings[_OPTION].rename(columns={"level": "exit_level"})
    return lots.assign(
        lot_id=[f"{_EXERCISE}-{place:06d}" for place in range(size)], formacode=lots["sector"].map(codes).fillna("15061"),
        envelope="base", volet="socle", exercise=_EXERCISE, certification="", entry_level="", public="tout_public",
        places=group, places_max=group, sessions=1, group_min=8, group_max=16, hours=420.0,
        cost_cents=group * draw.integers(180_000, 520_000, size), allowance_cents=0, expected_entries=group * 0.85,
        **estimate(draw, size, 4.0), stability=draw.random(size), marginal_worth=0.2, infructueux_risk=0.1,
        reason="best_cost_per_job", tipping_point=2500.0, decided_by="engine",
    ).reset_index(drop=True)  # fmt: skip


def _effects(draw):
    rows = _grid(["sector", "action_type"], [""], ACTION_TYPES).assign(group="all", outcome="durable", horizon_months=12)
    return rows.assign(**estimate(draw, len(rows), 0.1), raw_rate=0.6, lowered="")


def _outcomes(draw, rankings):
    towns = rankings["territory"].unique()[:1]
    own = rankings.loc[rankings["territory"].isin(towns), _OPTION]
    rows = pd.concat([own, own.assign(territory="R44")], ignore_index=True).drop_duplicates()
    told = rows.assign(public="tout_public", outcome="durable", horizon_months=12, **estimate(draw, len(rows), 0.1))
    return told.assign(value=told["value"].clip(0, 1))


def run_of(towns, sectors, each, bought):
    """Make the tables of a run that the report shows."""
    draw = np.random.default_rng(11)
    needs, rankings = _needs(draw, towns, sectors), _rankings(draw, towns, sectors, each)
    lots = _lots(draw, rankings)
    left = lots["lot_id"].isin(lots["lot_id"].sample(len(lots) - bought, random_state=2))
    jobs = facts.occupations()["occupation"].head(6)
    forecasts = _grid(["territory", "occupation", "period"], towns, jobs, _MONTHS)
    forecasts = forecasts.assign(**estimate(draw, len(forecasts), 3.0), need=4.0, need_low=3.0, need_high=6.0, seasonal=0.1)
    kept, rejected = lots[~left].reset_index(drop=True), lots[left].reset_index(drop=True).assign(reason="envelope_spent")
    return {
        "forecasts": forecasts,
        "sector_needs": needs,
        "rankings": rankings,
        "lots": kept,
        "rejected_lots": rejected,
        "lot_details": lots[["lot_id"]].assign(causes="few_available|training_link"),
        "purchase_changes": plan_frames.purchase_changes(kept),
        "plan_equity": plan_frames.plan_equity(towns[0]),
        "assumptions": plan_frames.assumptions(),
        "effects": _effects(draw),
        "outcomes": _outcomes(draw, rankings),
        "unmet": pd.DataFrame({"territory": towns[:1], "sector": "", "level": "", "people": 12, "nearest_miss": "distance"}),
        "digest": pd.DataFrame(
            {
                "line": [1, 2, 3],
                "severity": ["warning", "info", "info"],
                "topic": ["sources", "forecasts", "lessons"],
                "message": [say("digest.sources.missing", "fr", source="bmo"), "mieux que la plus simple", "appris"],
                "figure": 0.0,
            }
        ),
    }


def small():
    """Give the run of three bassins."""
    return run_of(["BE4441", "BE4444", "BE4446"], facts.sectors()["sector"].head(8).tolist(), 6, 12)


def region():
    """Give a run as large as a Region's: 43 bassins, 65 sectors, some 17,000 options, 500 lots."""
    towns = facts.territories().query("kind == 'BE'")["territory"].tolist()
    return run_of(towns, facts.sectors()["sector"].head(65).tolist(), 6, 500)


def history(tables):
    """Give two years of what was observed of the needs of a run. One row per territory, sector and month."""
    cells = tables["sector_needs"][["territory", "sector"]].drop_duplicates()
    rows = cells.merge(pd.DataFrame({"period": months_from("2024-04", 24)}), how="cross")
    return rows.assign(need=np.random.default_rng(4).gamma(2.0, 2.0, len(rows)))
