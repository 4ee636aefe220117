"""Panels that forecasts are judged on: three real ones, read from beside the project, and a simulated one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from needs.twin.market import draw_market
from needs.twin.region import AS_OF
from needs.twin.scales import scale_of
from needs.twin.truth import need_table
from needs.twin.world import draw_world
from needs.twin.worlds import frozen_seeds, load_world

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SERIES = ["territory", "occupation"]
VACANCIES = DATA / "vacancies_de" / "vacancies_unemployed_kreis_kldb3_2012_2021.parquet"
POSTINGS = DATA / "indeed" / "job_postings_by_sector_DE_vintage2025-07-01.csv"
JOBSEEKERS = DATA / "dares" / "dares_serie_demandeurs_emploi_fap_1997_2020.csv"


def read_vacancies() -> pd.DataFrame:
    """Read registered vacancies of Germany. One row per Kreis, group of occupations and year; ``unemployed`` beside.

    Rows without a Kreis or a group belong to no series; they are left out.
    """
    named = {"region": "territory", "occupational_group": "occupation", "total": "value"}
    rows = pd.read_parquet(VACANCIES).rename(columns=named)
    rows = rows[rows[SERIES].notna().all(axis=1)]
    return rows.assign(period=rows["year"].astype("str"))[[*SERIES, "period", "value", "unemployed"]].reset_index(drop=True)


def read_postings() -> pd.DataFrame:
    """Read the index of postings in Germany, mean of the days of a month. One row per sector and month."""
    days = pd.read_csv(POSTINGS)
    months = days.assign(occupation=days["display_name"], period=days["date"].str[:7])
    means = months.groupby(["occupation", "period"], as_index=False)[["indeed_job_postings_index"]].mean()
    return means.rename(columns={"indeed_job_postings_index": "value"}).assign(territory="DE")[[*SERIES, "period", "value"]]


def read_jobseekers(category: str, width: int) -> pd.DataFrame:
    """Read jobseekers of France, thousands. One row per family of occupations, whose code has so many signs, and year."""
    rows = pd.read_csv(JOBSEEKERS, encoding="latin-1")
    rows = rows[(rows["Categorie"] == category) & (rows["Fap3"].str.len() == width) & (rows["Fap3"] != "Ensemble")]
    named = {"Fap3": "occupation", "Effectifs": "value"}
    rows = rows.rename(columns=named).assign(territory="FR", period=rows["Annee"].astype("str"))
    return rows[[*SERIES, "period", "value"]].reset_index(drop=True)


def draw_positions(series: int, months: int, ahead: int) -> pd.DataFrame:
    """Draw what employers publish in the calm world. One row per bassin × département, occupation and month.

    Of the Region's 23,000 series, so many, chosen by a fixed seed; their last ``ahead`` months come after ``as_of``.
    """
    world = draw_world(scale_of("region"), load_world("calm"), frozen_seeds("calm").learning[0], AS_OF)
    end = pd.Period(AS_OF, "M") + ahead
    span = set(pd.period_range(end=end, periods=months + ahead).astype(str))
    parts = []
    for department in world.departments:
        rows = need_table(draw_market(world, department))
        kept = rows[rows["period"].isin(span)]
        atom = kept["territory"] + "_" + kept["department"]
        parts.append(kept.assign(territory=atom, value=kept["positions"].astype("float64"))[[*SERIES, "period", "value"]])
    drawn = pd.concat(parts, ignore_index=True)
    number = drawn.groupby(SERIES).ngroup()
    chosen = np.random.default_rng(0).permutation(int(number.max()) + 1)[:series]
    return drawn[number.isin(chosen)].sort_values([*SERIES, "period"], ignore_index=True)
