"""InserJeunes by région and diploma: who left vocational education, and who was employed 6 to 24 months later.

A row adds up two school years (``2019_2020``: those in their final year when it ended in 2019 and in 2020), and the next
pair holds the second again: sums over pairs count people twice. A single year is read as well. One edition holds pairs of
years at different stages. Employment is counted in January and July: 6, 12, 18 and 24 months after the summer of the last
year. Each of them is out some months later, so that a past day knows only the horizons that were out by then; the row
itself is out with the first. Where the name of the file bears a day, all that it holds was known that day, not before.

No rate is published under 20 leavers, no count where next to nobody left: a secret, flagged, not zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from features.contracts import Checked
from features.market_tables import HORIZONS, INSERTION
from features.sources.editions import figures, is_secret, known_after, read_editions
from features.sources.grid import Layout
from features.sources.publication import PublicationParams

LAYOUT = Layout(
    {
        "millesime": "years",
        "code region": "region",
        "voie": "track",
        "cfd": "cfd",
        "mefstat ?11": "mefstat11",
        "nb annees? term": "students",
        "nb poursuite etudes": "studying_on",
        "nb sortants?": "leavers",
        "taux poursuite etudes": "rate_studying_on",
        **{f"nb (?:en )?emploi {months} mois": f"employed_{months}m" for months in HORIZONS},
        **{f"taux (?:en )?emploi {months} mois": f"rate_{months}m" for months in HORIZONS},
    },
    "A real one is the InserJeunes export by région, with the columns millesime, code_region, voie, cfd, mefstat11, "
    "nb_annee_term, nb_poursuite_etudes, nb_sortant, nb_en_emploi_6_mois, …, taux_emploi_24_mois",
    optional=frozenset({f"{kind}_{months}m" for kind in ("employed", "rate") for months in HORIZONS[1:]}),
)
_RATES = tuple(f"rate_{months}m" for months in HORIZONS)
_FIGURES = (
    "students",
    "studying_on",
    "leavers",
    *(f"employed_{months}m" for months in HORIZONS),
    "rate_studying_on",
    *_RATES,
)
_FEW = 20  # under it the producer shows no rate


def read_insertion(paths: Sequence[Path], publication: PublicationParams) -> Checked:
    """Read outcomes of young leavers. One row per diploma, track, région and pair of school years, of the whole country."""
    rows = read_editions(paths, LAYOUT)
    return INSERTION.parse(_dated(_in_contract(rows), publication.insertion_months), INSERTION.name)


def _in_contract(rows: pd.DataFrame) -> pd.DataFrame:
    """Name the diploma and the years, and tell what is secret from what is not out yet, still as texts. Same rows."""
    years = rows["years"].str.extract(r"^(\d{4})(?:\D(\d{4}))?$")
    shown = rows.assign(**{name: figures(rows[name]) for name in _FIGURES})
    is_mefstat = rows["cfd"] == ""
    return shown.assign(
        first_year=years[0].fillna(""),
        last_year=years[1].fillna(years[0]).fillna(""),
        region=rows["region"].str.upper().str.removeprefix("R").str.zfill(2),
        track=rows["track"].str.lower(),
        nomenclature=is_mefstat.map({True: "MEFSTAT11", False: "CFD"}),
        diploma=rows["mefstat11"].where(is_mefstat, rows["cfd"]),
        **{name: flag.map({True: "1", False: "0"}) for name, flag in _secrets(rows, shown).items()},
    )


def _secrets(rows: pd.DataFrame, shown: pd.DataFrame) -> dict[str, pd.Series[bool]]:
    """Say what is hidden in each row. Where everybody studied on, there is no leaver to count and nothing to hide."""
    count = {name: pd.to_numeric(shown[name], errors="coerce") for name in ("students", "leavers")}
    leavers = is_secret(rows["leavers"]) | ((shown["leavers"] == "") & (shown["studying_on"] == ""))
    few = (count["leavers"] < _FEW) | leavers
    return {
        "leavers_secret": leavers,
        "rates_secret": rows[list(_RATES)].apply(is_secret).any(axis=1) | ((shown[_RATES[0]] == "") & few),
        "rate_studying_on_secret": is_secret(rows["rate_studying_on"])
        | ((shown["rate_studying_on"] == "") & (count["students"] < _FEW)),
    }


def _dated(rows: pd.DataFrame, lag: int) -> pd.DataFrame:
    """Say when each horizon was out: the row is known from the first of them. Same rows."""
    left = rows["last_year"] + "-07-31"
    known = {months: known_after(rows, left, months + lag) for months in HORIZONS}
    return rows.assign(known_from=known[HORIZONS[0]], **{f"known_{months}m": known[months] for months in HORIZONS[1:]})
