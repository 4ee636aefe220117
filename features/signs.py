"""Signs on the need of a sector: what of it emerges, and what may make its figure, and so a rank, wrong.

Need misses openings across a border and people who work for themselves; seasonal positions are none of it; a survey hides its
small counts, which are then estimated. Each sign is a share, of the Region's own figures, carried to sectors like the need is.
"""

from __future__ import annotations

import pandas as pd

from features.params import Section, param
from features.vocabulary import REGION

SECTOR = ["territory", "sector", "level"]
SIGNS = ("emerging", "seasonal_share", "border_share", "secret_share", "own_account")
_COUNTED = ["positions", "seasonal", "border", "projects", "secret"]
_OWN = "IND"  # the contract of those who work for themselves


class SignParams(Section):
    """How signs are counted."""

    prior_spells: float = param(
        50.0, "all occupations weigh as this many spells in the share of own businesses of one", unit="spells", ge=1, le=10_000
    )


def note_signs(cells: pd.DataFrame, novelty: pd.DataFrame, employment: pd.DataFrame, params: SignParams) -> pd.DataFrame:
    """Note what is known of each occupation beside its need. One row per territory, occupation of ``cells``.

    Counted in a year: lasting ``positions``, ``seasonal`` ones, those across the ``border``, surveyed ``projects`` and what of
    them is ``secret``; ``emerges`` is 1 for what emerges in the Region, ``own`` the share of spells in own businesses there.
    """
    secret = (cells["projects"] * cells["secret_share"]).fillna(0.0)
    counted = cells.assign(secret=secret).groupby(["territory", "occupation"], as_index=False)[_COUNTED].sum()
    here = novelty[(novelty["kind"] == "occupation") & (novelty["territory"] == REGION) & (novelty["state"] == "emerging")]
    own, whole = _own_businesses(employment, params)
    return counted.assign(
        emerges=counted["occupation"].isin(here["code"]).astype("float64"),
        own=counted["occupation"].map(own).astype("float64").fillna(whole),
    )


def _own_businesses(employment: pd.DataFrame, params: SignParams) -> tuple[pd.Series[float], float]:
    """Give the share of spells that are own businesses, by occupation, and that of all of them."""
    spells = employment[employment["occupation"].notna()]
    own = (spells["contract"] == _OWN).astype("float64")
    whole = float(own.mean()) if len(own) else 0.0
    counts = own.groupby(spells["occupation"]).agg(["sum", "size"])
    return (counts["sum"] + params.prior_spells * whole) / (counts["size"] + params.prior_spells), whole


def sector_signs(asked: pd.DataFrame, signs: pd.DataFrame, links: pd.DataFrame) -> pd.DataFrame:
    """Carry signs to sectors. One row per territory, sector, level: ``SIGNS``, each a share and 0 where nothing is known.

    ``asked`` says the ``need`` of each territory, occupation. Of the need, ``emerging`` is asked in occupations that emerge and
    ``own_account`` is usually met by people who work for themselves; ``seasonal_share`` and ``border_share`` are of all the
    positions with them, ``secret_share`` of the projects of the survey.
    """
    needs = asked.groupby(["territory", "occupation"], as_index=False)[["need"]].sum()
    both = needs.merge(signs, on=["territory", "occupation"], how="outer", validate="one_to_one").fillna({"need": 0.0})
    rows = both.merge(links, on="occupation", how="inner", validate="many_to_many").fillna(0.0)
    masses = {"need": rows["need"], "emerges": rows["need"] * rows["emerges"], "own": rows["need"] * rows["own"]}
    masses |= {name: rows[name] for name in _COUNTED}
    weighed = rows[SECTOR].assign(**{name: mass * rows["weight"] for name, mass in masses.items()})
    sums = weighed.groupby(SECTOR, as_index=False).sum()
    shares = {
        "emerging": (sums["emerges"], sums["need"]),
        "seasonal_share": (sums["seasonal"], sums["positions"] + sums["seasonal"]),
        "border_share": (sums["border"], sums["positions"] + sums["border"]),
        "secret_share": (sums["secret"], sums["projects"]),
        "own_account": (sums["own"], sums["need"]),
    }
    return sums[SECTOR].assign(**{name: (of / by.where(by > 0)).fillna(0.0) for name, (of, by) in shares.items()})
