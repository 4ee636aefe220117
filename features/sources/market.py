"""Offers online and jobseekers by occupation and bassin, as the Dares computes tensions from them, with their causes.

The file of 2021 holds the pairs with more than ten offers and ten jobseekers: one that it lacks is small, not empty. The
indicators are classes (``…_d``, 1 to 5); the name of a column varies in case and in its prefix.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from features.contracts import Checked
from features.market_tables import CAUSES, MARKET
from features.sources.editions import figures, known_after, read_editions
from features.sources.grid import Layout
from features.sources.publication import PublicationParams

_FIGURES = ("offers", "jobseekers", "tension_level", *CAUSES)
LAYOUT = Layout(
    {
        r"(?:\w+ )?annee": "year",
        r"(?:\w+ )?rome": "occupation",
        r"(?:\w+ )?c?bassin|be\d{2}": "territory",
        r"(?:\w+ )?oee": "offers",
        r"(?:\w+ )?defm(?: abc)?": "jobseekers",
        r"(?:\w+ )?tension d": "tension_level",
        r"(?:\w+ )?int emb d": "hiring_intensity",
        r"(?:\w+ )?specif form empl d": "training_link",
        r"(?:\w+ )?main oeuvre d": "few_available",
        r"(?:\w+ )?dur empl d": "short_lived_jobs",
        r"(?:\w+ )?cond travail d": "hard_conditions",
        r"(?:\w+ )?mismatch geo d": "far_from_jobs",
    },
    "A real one is a CSV whose first line is annee;ROME;cbassin;oee;defm_abc;ind_tension_d;ind_int_emb_d;…",
    optional=frozenset({"tension_level", *CAUSES}),
)


def read_market(paths: Sequence[Path], publication: PublicationParams) -> Checked:
    """Read offers and jobseekers. One row per occupation, bassin and year, of the whole country."""
    rows = read_editions(paths, LAYOUT)
    return MARKET.parse(_in_contract(rows, publication.market_months), MARKET.name)


def _in_contract(rows: pd.DataFrame, lag: int) -> pd.DataFrame:
    """Give back the zeros that a bassin lost, blank what is no figure and date the edition, still as texts. Same rows."""
    return rows.assign(
        **{name: figures(rows[name]) for name in _FIGURES},
        territory=rows["territory"].str.zfill(4),
        known_from=known_after(rows, rows["year"] + "-12-31", lag),
    )
